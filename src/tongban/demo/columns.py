"""Text columns from arrays of numbers: registers hold text, numpy makes numbers."""

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

EPOCH = date(1970, 1, 1).toordinal()
_FIRST_DAY = date(1890, 1, 1).toordinal() - EPOCH
_LAST_DAY = date(2110, 1, 1).toordinal() - EPOCH


def day(of: date) -> int:
    """Days since 1970-01-01: how dates stand in every array here."""
    return of.toordinal() - EPOCH


def picked(values: Sequence[str], index: npt.NDArray[Any]) -> Any:
    """The text of `values` that each row's index names."""
    return pa.array(values, pa.string()).take(pa.array(index))


def constant(value: str, rows: int) -> Any:
    return pa.repeat(pa.scalar(value, pa.string()), rows)


def day_texts(days: npt.NDArray[Any]) -> Any:
    """YYYY-MM-DD. Taking from a table of all days is several times faster than formatting."""
    return _all_days().take(pa.array(days - _FIRST_DAY))


@cache
def _all_days() -> Any:
    days = np.arange(_FIRST_DAY, _LAST_DAY).astype("datetime64[D]")
    return pa.array(np.datetime_as_string(days).tolist(), pa.string())


def month_texts(months: npt.NDArray[Any]) -> Any:
    """YYYY-MM from months counted from year 0."""
    return _all_months().take(pa.array(months - 2000 * 12))


@cache
def _all_months() -> Any:
    return pa.array([f"{month // 12}-{month % 12 + 1:02d}" for month in range(2000 * 12, 2100 * 12)], pa.string())


def last_day_of_month(months: npt.NDArray[Any]) -> Ints:
    """Day number of the last day of months counted from year 0."""
    following: Ints = (months + 1 - 1970 * 12).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return following - 1


def first_day_of_year(years: npt.NDArray[Any]) -> Ints:
    days: Ints = (np.asarray(years) - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    return days


def whole_texts(numbers: npt.NDArray[Any]) -> Any:
    return pa.array(numbers).cast(pa.string())


def fixed_texts(characters: Bytes) -> Any:
    """ASCII texts of one width: each row of the matrix is a text."""
    rows, width = characters.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    data = pa.py_buffer(np.ascontiguousarray(characters))
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), data)


def digits_of(numbers: npt.NDArray[Any], width: int) -> Bytes:
    """Decimal digits, most significant first, as a matrix of small numbers."""
    digits = np.empty((len(numbers), width), np.uint8)
    left = numbers.astype(np.int64)
    for place in range(width - 1, -1, -1):
        left, digits[:, place] = np.divmod(left, 10)
    return digits


def between(rng: np.random.Generator, low: int, high: int, rows: int) -> Ints:
    """Whole numbers from `low` to `high`, both included."""
    return rng.integers(low, high + 1, rows)
