"""Columns as they were typed, brought to one form: texts, days, counts."""

import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tongban.identity.identifiers import stripped
from tongban.kit.errors import Invalid


class ListInvalid(Invalid):
    """The application list is not one."""

    code = "rounds.list_invalid"
    message = "Application list {path}: {what}."
    remedy = "Export the list again; the round was not opened."


def mapped(keys: Any, values: Mapping[str, str | None], missing: str | None = "") -> Any:
    """Each key's value, `missing` for keys without one."""
    found = pc.index_in(keys, pa.array(list(values), pa.string()))
    taken = pa.array(list(values.values()), pa.string()).take(found)
    return taken if missing is None else pc.fill_null(taken, missing)


def whole(column: Any) -> Any:
    """The column in one piece."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    # One that is whole already would be copied.
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def texts(column: Any) -> Any:
    """One plain array of texts."""
    return whole(column.cast(pa.string()))


def plain(column: Any) -> Any:
    """Texts of a closed list: NFKC, trimmed, empty if missing."""
    found = pc.fill_null(texts(column), "")
    known = pc.unique(found).to_pylist()
    return mapped(found, {raw: unicodedata.normalize("NFKC", raw).strip() for raw in known})


def bare(documents: Any) -> Any:
    """Numbers without white space, in capitals; only those that are not plain already are looked at one by one."""
    usual = pc.fill_null(pc.match_substring_regex(documents, "^[0-9A-Z]*$"), True).to_numpy(zero_copy_only=False)
    rest = pa.array(~usual)
    found = [stripped(raw).upper() for raw in documents.filter(rest).to_pylist()]
    return pc.replace_with_mask(documents, rest, pa.array(found, pa.string()))


def days(typed: Any) -> Any:
    """Days as typed; null for what is not a day of the calendar."""
    return mapped(typed, {raw: raw for raw in pc.unique(typed.drop_null()).to_pylist() if _is_day(raw)}, None)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def counts(column: Any, name: str) -> Any:
    """Failed draws; missing ones would silently take balls from somebody, so they are refused."""
    try:
        counts = column.cast(pa.int32())
    except pa.ArrowInvalid:
        raise ListInvalid(path=name, what="failed_draws holds something that is not a whole number") from None
    if counts.null_count or pc.any(pc.less(counts, 0)).as_py():
        raise ListInvalid(path=name, what="failed_draws is missing or negative in a line")
    return whole(counts)


def objects(typed: Any) -> npt.NDArray[np.object_]:
    """Texts as an array that numpy sorts."""
    return np.asarray(typed.to_numpy(zero_copy_only=False))
