"""Which entries are looks at persons, how many each, and whether the days that a log counts are those it holds.

Anybody can add this up: all that counts stands in the leaves.
"""

from array import array
from collections.abc import Mapping
from datetime import date
from typing import Any

from tongban.kit.canonical import SAFE

#: Kinds whose leaf says of how many persons they are; a batch counts once its persons are committed.
COUNTED = frozenset({"request", "call", "refused", "batch-persons"})
DIFFERS = "tlog.day_count_differs"


def looks_of(leaf: Mapping[str, Any]) -> int:
    """How many looks an entry is; 0 for what is none."""
    kind, n = leaf.get("kind"), leaf.get("n")
    if kind == "repeat":
        return 1
    return n if isinstance(kind, str) and kind in COUNTED and type(n) is int and 0 < n <= SAFE else 0


class DayCounts:
    """Told of every leaf in order; says which `day-count` entries do not fit what stands before them."""

    def __init__(self) -> None:
        self.days = 0  #: day-count entries that fit
        self._looks = array("Q")  #: of each entry from `_first` on
        self._first, self._day = 0, ""

    def counted(self, looks: "array[int]") -> None:
        """The looks of further entries, in order."""
        self._looks.extend(looks)

    def fits(self, index: int, body: Any) -> bool:
        """Whether the `day-count` with `body` at `index` counts what no day before it does, and counts it right."""
        day, first, until, total = _read(body)
        there = min(index - self._first, len(self._looks))
        right = first == self._first and first <= until <= first + there and day > self._day
        fits = right and sum(self._looks[: until - first]) == total
        if right:
            del self._looks[: until - first]
            self._first, self._day = until, day
        self.days += fits
        return fits


def _read(body: Any) -> tuple[str, int, int, int]:
    """Day, from, until, sum; numbers that fit nothing for a body that is none."""
    try:
        numbers = [body[name] for name in ("from", "until", "sum", "persons")]
        day = str(date.fromisoformat(body["day"]))
        formed = all(type(one) is int and one >= 0 for one in numbers) and len(bytes.fromhex(body["root"])) == 32
    except (KeyError, TypeError, ValueError):
        formed = False
    return (day, numbers[0], numbers[1], numbers[2]) if formed else ("", -1, -1, -1)
