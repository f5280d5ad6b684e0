"""Holiday notices: which days the State Council took from the week and which it gave back.

A notice is a fact with a date. The notice of a year comes in the autumn before; some are changed
later (2019 Labour Day, 2020 Spring Festival), so one day may be named twice and the later word holds.

data/holidays.csv holds the notices for 2011 to 2026. `announced_at` is the date the notice bears;
the public learned of some a day or two later. An empty one would mean that nobody knows it for certain.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from tongban.kit.config import FileInvalid, read_text

SHIPPED = Path(__file__).with_name("data") / "holidays.csv"
COLUMNS = ["day", "kind", "notice", "announced_at"]


class Kind(StrEnum):
    HOLIDAY = "holiday"  #: no work, whatever the day of the week
    MAKEUP = "makeup"  #: a Saturday or Sunday on which work is done


@dataclass(frozen=True, slots=True)
class NoticedDay:
    """One day as one notice names it."""

    day: date
    kind: Kind
    notice: str  #: full title of the notice
    announced_at: date | None  #: the date it bears; None if not known for certain


def read_notices(path: Path = SHIPPED) -> tuple[NoticedDay, ...]:
    """Read and check a table of notices. Raises FileInvalid at the first line that does not hold."""
    rows = csv.reader(read_text(path).splitlines(), strict=True)
    try:
        if next(rows, []) != COLUMNS:
            raise _Wrong(f"the first line must be {','.join(COLUMNS)}")
        days = tuple(_day_of(row) for row in rows)
    except (_Wrong, csv.Error) as wrong:
        raise FileInvalid(path=path, line=max(rows.line_num, 1), what=str(wrong)) from None
    for line, what in _contradictions(days):
        raise FileInvalid(path=path, line=line, what=what)
    return days


class _Wrong(Exception):
    """A row does not hold; its line is known to the reader of the file."""


def _day_of(row: Sequence[str]) -> NoticedDay:
    if len(row) != len(COLUMNS):
        raise _Wrong(f"a row has {len(COLUMNS)} columns, not {len(row)}")
    day, kind = _date_of(row[0]), row[1]
    if kind not in Kind.__members__.values():
        raise _Wrong("kind must be holiday or makeup")
    if kind == Kind.MAKEUP and day.weekday() < 5:
        raise _Wrong(f"{day} is no Saturday or Sunday, work on it is no make-up")
    if not row[2] or row[2] != row[2].strip():
        raise _Wrong("the notice needs its title, without blanks around it")
    return NoticedDay(day, Kind(kind), row[2], _date_of(row[3]) if row[3] else None)


def _date_of(text: str) -> date:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise _Wrong("a day of the calendar is written YYYY-MM-DD")


def _contradictions(days: Sequence[NoticedDay]) -> Iterator[tuple[int, str]]:
    """Lines that do not go together, with what is wrong. The first line of days is line 2."""
    dates = {one.notice: one.announced_at for one in reversed(days)}
    for line, one in enumerate(days, start=2):
        if one.announced_at != dates[one.notice]:
            yield line, "the notice has another date than above"
        if one.announced_at and one.announced_at >= one.day:
            yield line, f"{one.day} lies before the notice that names it"
    for line, (before, after) in enumerate(pairwise(days), start=3):
        if after.day < before.day:
            yield line, "days must stand in their order"
        if after.day == before.day and not _supersedes(after, before):
            yield line, f"{after.day} stands twice; only a notice with a later date may name it again"


def _supersedes(after: NoticedDay, before: NoticedDay) -> bool:
    return bool(after.announced_at and before.announced_at and after.announced_at > before.announced_at)


def known_on(days: Iterable[NoticedDay], today: date) -> tuple[NoticedDay, ...]:
    """The days of the notices that were out on `today`; an undated notice counts from the first day it names."""
    days = tuple(days)
    first: dict[str, date] = {}
    for one in days:
        first[one.notice] = min(one.day, first.get(one.notice, one.day))
    return tuple(one for one in days if (one.announced_at or first[one.notice]) <= today)
