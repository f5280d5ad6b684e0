"""Numbers of operation: when a warning is due, how long a key is made for. Dated, each with its source.

data/operation.csv holds them. `valid_until` is the first day on which a number holds no more; empty: it holds on.
"""

import csv
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from tongban.kit.config import FileInvalid, read_text

SHIPPED = Path(__file__).with_name("data") / "operation.csv"
COLUMNS = ["name", "number", "valid_from", "valid_until", "source"]
NAMES = frozenset(
    {"key_days", "key_warning_days", "directory_ends_seconds", "unproven_seconds",
     "cosigned_seconds"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dated:
    """One number, and the days on which it holds."""

    name: str
    number: int
    valid_from: date
    valid_until: date | None
    source: str

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_until is None or day < self.valid_until)


@cache
def read(path: Path = SHIPPED) -> tuple[Dated, ...]:
    """Raises FileInvalid at the first line that does not hold."""
    rows = csv.reader(read_text(path).splitlines(), strict=True)
    found = []
    try:
        if next(rows, []) != COLUMNS:
            raise ValueError(f"the first line must be {','.join(COLUMNS)}")
        for name, number, begins, ends, source in rows:
            if name not in NAMES or int(number) < 1 or not source:
                raise ValueError("a row is a known name, a number above 0, its days and its source")
            until = date.fromisoformat(ends) if ends else None
            found.append(Dated(name, int(number), date.fromisoformat(begins), until, source))
    except (ValueError, csv.Error) as error:
        raise FileInvalid(path=path, line=max(rows.line_num, 1), what=str(error)) from None
    return tuple(found)


def number(name: str, day: date, numbers: tuple[Dated, ...] | None = None) -> int:
    """The number that holds on `day`; before the first day of all, the first that ever held."""
    named = sorted((one for one in numbers or read() if one.name == name), key=lambda one: one.valid_from)
    return next((one for one in reversed(named) if one.holds_on(day)), named[0]).number
