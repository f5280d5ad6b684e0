"""What national reforms say about who came after whom: data/successions.csv.

`mark` says how well a day is known: `reported` when public reports of the day itself name it,
`unverified` when nobody has checked it. A city's own members' entries decide; this table is for
writing them, and for telling a person which department an old paper means.
"""

import csv
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from tongban.kit.config import FileInvalid, read_text

SHIPPED = Path(__file__).with_name("data") / "successions.csv"
COLUMNS = ["predecessor", "successor", "level", "day", "mark", "source"]


class Level(StrEnum):
    NATIONAL = "national"
    PROVINCE = "province"
    CITY = "city"
    COUNTY = "county"


class Mark(StrEnum):
    REPORTED = "reported"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Succession:
    predecessor: str  #: name without the place
    successor: str
    level: Level
    day: date  #: first day of the successor
    mark: Mark
    source: str


def read_successions(path: Path = SHIPPED) -> tuple[Succession, ...]:
    """Raises FileInvalid at the first line that does not hold."""
    rows = list(csv.reader(read_text(path).splitlines()))
    if not rows or rows[0] != COLUMNS:
        raise FileInvalid(path=path, line=1, what=f"the first line must be {','.join(COLUMNS)}")
    return tuple(_succession(path, line, row) for line, row in enumerate(rows[1:], start=2))


def _succession(path: Path, line: int, row: list[str]) -> Succession:
    try:
        predecessor, successor, level, day, mark, source = row
        if not (predecessor and successor and source):
            raise ValueError("predecessor, successor and source cannot be empty")
        return Succession(predecessor, successor, Level(level), date.fromisoformat(day), Mark(mark), source)
    except ValueError as error:
        raise FileInvalid(path=path, line=line, what=str(error)) from None
