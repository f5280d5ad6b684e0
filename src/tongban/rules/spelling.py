"""How people write facts in situations: `paid: 2009-06..2014-05`, `taxed: 2009..2013`."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from tongban.rules.facts import (
    FIRST_YEAR,
    MONTHS,
    Column,
    Type,
    from_plain,
    month_bits,
    month_columns,
    month_index,
    year_bits,
)

_MONTH = re.compile(r"(\d{4})-(\d\d)")


def physical(column: Column, written: Any, at: date) -> dict[str, Any]:
    """The physical columns of one fact as written. `at` dates the end of a months bitmap. ValueError in words."""
    if column.type is Type.MONTHS:
        return _months(column.name, written, at)
    if column.type is Type.YEARS:
        return {column.name: None if written is None else year_bits(_years(written))}
    if column.type is Type.YEAR_AMOUNTS:
        return {column.name: _amounts(written)}
    value = from_plain(written, column.type)
    if column.type is Type.CODE and value is not None and value not in column.codes:
        raise ValueError(f"{value!r} is not one of its codes: {', '.join(column.codes)}")
    if value is None and not column.nullable:
        raise ValueError("it is never missing; give it a value, or make the column nullable")
    return {column.name: value}


def _months(name: str, written: Any, at: date) -> dict[str, Any]:
    """Paid months. Without `first` the bitmap ends with the month of `at`, as a register's usual snapshot does."""
    low, high, first_name = month_columns(name)
    if written is None:
        return {low: None, high: None, first_name: None}
    first = _month_at(month_index(at) - MONTHS + 1)
    if isinstance(written, dict):
        if set(written) != {"first", "paid"}:
            raise ValueError("write 2009-06..2014-05, or {first: 2004-06, paid: 2009-06..2014-05}")
        first, written = _month(str(written["first"])), written["paid"]
    halves = month_bits(list(_spans(written)), first)
    return {low: halves[0], high: halves[1], first_name: first}


def _spans(written: Any) -> Iterator[date]:
    for part in _parts(written):
        start, _, end = part.partition("..")
        first, last = month_index(_month(start)), month_index(_month(end or start))
        if first > last:
            raise ValueError(f"{part} ends before it begins")
        yield from map(_month_at, range(first, last + 1))


def _parts(written: Any) -> list[str]:
    if written == "none":
        return []
    items = written if isinstance(written, list) else str(written).split(",")
    return [str(item).strip() for item in items]


def _month(text: str) -> date:
    found = _MONTH.fullmatch(text.strip())
    if not found or not 1 <= int(found[2]) <= 12 or not int(found[1]):
        raise ValueError(f"{text!r} is not a month; write 2009-06, or none")
    return date(int(found[1]), int(found[2]), 1)


def _month_at(index: int) -> date:
    return date(index // 12, index % 12 + 1, 1)


def _years(written: Any) -> list[int]:
    return [year for part in _parts(written) for year in _span_of_years(part)]


def _span_of_years(text: str) -> range:
    start, _, end = text.partition("..")
    if not start.isdecimal() or not (end or start).isdecimal():
        raise ValueError(f"{text!r} is no year; write 2009, 2009..2013 or none")
    return range(int(start), int(end or start) + 1)


def _amounts(written: Any) -> list[int | None] | None:
    """Amounts by year, {2009..2012: 5000, 2013: null, rest: 0}; without `rest` other years are unknown."""
    if written is None:
        return None
    if not isinstance(written, dict) or not written:
        raise ValueError("write {2009: 5000, 2010..2013: 6000, rest: 0}, in fen")
    rest = from_plain(written.get("rest"), Type.INT)
    by_year = {
        year: from_plain(amount, Type.INT)
        for years, amount in written.items()
        if years != "rest"
        for year in _span_of_years(str(years))
    }
    if any(year < FIRST_YEAR for year in by_year):
        raise ValueError(f"amounts begin with the year {FIRST_YEAR}")
    last = max(by_year, default=FIRST_YEAR)
    return [by_year.get(year, rest) for year in range(FIRST_YEAR, last + 1)]  # type: ignore[misc]
