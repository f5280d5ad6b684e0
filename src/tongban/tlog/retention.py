"""How long records are kept, by class: dated data with its source; and which records of a log are over time.

data/retention.csv holds the shortest time that the law allows. A department that keeps longer has a file of its own.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tongban.calendar.day import day_of
from tongban.kit.clock import unstamp
from tongban.kit.config import FileInvalid, read_text
from tongban.tlog.entry import Stored

SHIPPED = Path(__file__).with_name("data") / "retention.csv"
COLUMNS = ["class", "years", "valid_from", "valid_until", "source"]
#: Classes of records: single questions, batches, acts of an official.
CLASSES = ("call", "batch", "act")
#: Years below which no file may go, whatever it says.
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Term:
    """How long one class is kept, while this holds."""

    of: str
    years: int
    valid_from: date
    valid_until: date | None  #: the first day on which it holds no more
    source: str

    def over(self, made: date, today: date) -> bool:
        return today >= _later(made, self.years)


class Due(NamedTuple):
    """A record whose time is over."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a record
    term: Term


def read_terms(path: Path = SHIPPED) -> tuple[Term, ...]:
    """Raises FileInvalid at the first line that does not hold."""
    rows = csv.reader(read_text(path).splitlines(), strict=True)
    try:
        if next(rows, []) != COLUMNS:
            raise ValueError(f"the first line must be {','.join(COLUMNS)}")
        return tuple(_term(row) for row in rows)
    except (ValueError, csv.Error) as wrong:
        raise FileInvalid(path=path, line=max(rows.line_num, 1), what=str(wrong)) from None


def _term(row: Sequence[str]) -> Term:
    if len(row) != len(COLUMNS) or row[0] not in CLASSES or not row[4].strip():
        raise ValueError(f"a row has a class ({', '.join(CLASSES)}), years, two dates and a source")
    years = int(row[1])
    if not 1 <= years <= _LONGEST:
        raise ValueError(f"years are between 1 and {_LONGEST}")
    until = date.fromisoformat(row[3]) if row[3] else None
    return Term(row[0], years, date.fromisoformat(row[2]), until, row[4].strip())


def term_of(terms: Iterable[Term], of: str, made: date, today: date) -> Term | None:
    """The longest term that held for the class at any time since the record was made; None: it is kept for ever."""
    held = [
        one
        for one in terms
        if one.of == of and one.valid_from <= today and (one.valid_until is None or made < one.valid_until)
    ]
    return max(held, key=lambda one: one.years, default=None)


def due(entries: Iterable[Stored], terms: Sequence[Term], of: str, today: date) -> Iterator[Due]:
    """The records of a class whose time is over on `today`."""
    for one in entries:
        if one.record is None:
            continue
        kind, record = orjson.loads(one.leaf)["kind"], orjson.loads(one.record)
        if class_of(kind, record) != of or "at" not in record:
            continue
        made = day_of(unstamp(record["at"]))
        term = term_of(terms, of, made, today)
        if term is not None and term.over(made, today):
            yield Due(one.index, term)


def class_of(kind: str, record: Mapping[str, Any]) -> str:
    if kind == "act":
        return "act"
    return "batch" if kind == "batch" or record.get("call") == "match" else "call"


def _later(day: date, years: int) -> date:
    """The same day so many years later; of a 29 February the day after the 28th, so that nothing is gone too early."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)
