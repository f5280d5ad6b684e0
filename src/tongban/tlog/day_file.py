"""A day's tree on disk: who was looked at how often, by the day's names, so that it can be proved for years.

    one line of JSON: day, from, until, salt, persons, sum, root | names | counts, little-endian | heads

Whole columns are worked on at once: a round makes days of millions.
"""

import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from tongban.kit import canonical
from tongban.kit.durable import sync
from tongban.kit.errors import Corrupt
from tongban.tlog.day_tree import EMPTY, NAME, Leaf, Step, Way
from tongban.tlog.segment import mapped

_HEAD = 32
_COUNT = 8
#: Rows worked on at once.
SLICE = 65_536
FOLDER = "days"


class DayDamaged(Corrupt):
    """The tree of a day is not the one that the log committed to."""

    code = "tlog.day_damaged"
    message = "The tree of {day} in the log's folder days is missing or is not the one that the log committed to."
    remedy = "Bring the file back from the backup; without it nothing can be proved of that day's looks."


class Rows(NamedTuple):
    """Arrays with one row a person, sorted by name."""

    names: Any  #: uint8, (n, 16)
    counts: Any  #: uint64, (n,)
    heads: Any  #: uint8, (n, 32)


@dataclass(frozen=True, slots=True)
class Count:
    """What a day's entry says, and its salt."""

    day: str
    first: int  #: index of the first entry of the log that it counts
    until: int  #: one past the last
    salt: bytes
    persons: int
    sum: int
    root: bytes

    def body(self) -> dict[str, Any]:
        """Body of the entry `day-count`."""
        numbers = {"from": self.first, "until": self.until, "persons": self.persons, "sum": self.sum}
        return {"day": self.day, "root": self.root.hex(), **numbers}


def place(log: Path, day: str, root: str) -> Path:
    """Named by its root too: what a crash left behind without an entry is nobody's."""
    return log / FOLDER / f"{day}.{root[:16]}.day"


def write(log: Path, day: str, first: int, until: int, salt: bytes, rows: Rows) -> Count:
    """Write the tree of a day, durably. Raises OSError."""
    levels = _levels(rows)
    root = levels[-1].hashed(0) if levels else EMPTY
    count = Count(day, first, until, salt, len(rows.counts), int(rows.counts.sum()), root)
    path = place(log, day, root.hex())
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_suffix(".new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(canonical.encode({**count.body(), "salt": salt.hex()}) + b"\n")
        for column in (rows.names, rows.counts.astype("<u8"), rows.heads):
            file.write(memoryview(column).cast("B") if len(column) else b"")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync(path.parent)
    return count


class DayFile:
    """The tree of a day, read."""

    def __init__(self, log: Path, day: str, root: str) -> None:
        """Raises DayDamaged."""
        try:
            with mapped(place(log, day, root)) as data:
                raw = bytes(data)
            line, _, rest = raw.partition(b"\n")
            held: dict[str, Any] = dict(canonical.decode(line))
            numbers = held["from"], held["until"], bytes.fromhex(held["salt"]), held["persons"], held["sum"]
            self.count = Count(held["day"], *numbers, bytes.fromhex(held["root"]))
        except (OSError, canonical.NotCanonical, KeyError, TypeError, ValueError):
            raise DayDamaged(day=day) from None
        if (held["day"], held["root"]) != (day, root) or len(rest) != (NAME + _COUNT + _HEAD) * self.count.persons:
            raise DayDamaged(day=day)
        self._rest = rest

    def paths(self, sought: bytes) -> list[Way]:
        """What proves how often the person `sought` was looked at: her leaf's path, or those beside her place."""
        size = self.count.persons
        at = bisect_left(range(size), sought, key=self._name)
        if at < size and self._name(at) == sought:
            return [self._path(at)]
        return [self._path(index) for index in (at - 1, at) if 0 <= index < size]

    def leaf(self, index: int) -> Leaf:
        counts, heads = NAME * self.count.persons, (NAME + _COUNT) * self.count.persons
        count = int.from_bytes(self._rest[counts + _COUNT * index : counts + _COUNT * (index + 1)], "little")
        return Leaf(self._name(index), count, self._rest[heads + _HEAD * index : heads + _HEAD * (index + 1)])

    def _name(self, index: int) -> bytes:
        return self._rest[NAME * index : NAME * (index + 1)]

    @cached_property
    def _built(self) -> list["_Level"]:
        import numpy as np

        size, rest = self.count.persons, self._rest
        counts, heads = NAME * size, (NAME + _COUNT) * size
        built = _levels(
            Rows(
                np.frombuffer(rest, np.uint8, NAME * size).reshape(size, NAME),
                np.frombuffer(rest, "<u8", size, counts).astype(np.uint64),
                np.frombuffer(rest, np.uint8, _HEAD * size, heads).reshape(size, _HEAD),
            )
        )
        if (built[-1].hashed(0) if built else EMPTY) != self.count.root:
            raise DayDamaged(day=self.count.day)
        return built

    def _path(self, index: int) -> Way:
        steps, node = [], index
        for level in self._built[:-1]:
            beside = node ^ 1
            if beside < level.size:
                steps.append(
                    Step(level.hashed(beside), int(level.sums[beside]), level.names[max(node, beside)].tobytes())
                )
            node >>= 1
        return Way(self.leaf(index), index, tuple(steps))


class _Level(NamedTuple):
    """Nodes of one height, from the left; one without a neighbour stands on the next level too."""

    hashes: bytes
    sums: Any
    names: Any  #: of the first person below each

    @property
    def size(self) -> int:
        return len(self.sums)

    def hashed(self, index: int) -> bytes:
        return self.hashes[_HEAD * index : _HEAD * (index + 1)]


def _levels(rows: Rows) -> list[_Level]:
    """Leaves first, root last; none for an empty tree."""
    import numpy as np

    if not len(rows.counts):
        return []
    big = rows.counts.astype(">u8").view(np.uint8).reshape(-1, _COUNT)
    found = [_Level(hashed(b"\x00", rows.names, big, rows.heads), rows.counts, rows.names)]
    while (below := found[-1]).size > 1:
        pairs = below.size // 2
        left, right = slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)
        whole = np.frombuffer(below.hashes, np.uint8).reshape(-1, _HEAD)
        sums = below.sums.astype(">u8").view(np.uint8).reshape(-1, _COUNT)
        hashes = hashed(b"\x01", whole[left], sums[left], below.names[right], whole[right], sums[right])
        total, names = below.sums[left] + below.sums[right], below.names[left]
        if below.size % 2:
            hashes += below.hashed(below.size - 1)
            total = np.append(total, below.sums[-1:])
            names = np.concatenate([names, below.names[-1:]])
        found.append(_Level(hashes, total, names))
    return found


def hashed(tag: bytes, *columns: Any) -> bytes:
    """SHA-256 of `tag` and each row of `columns` (uint8, with as many rows each), end to end."""
    return b"".join(_hashed(tag, *columns))


def _hashed(tag: bytes, *columns: Any) -> Iterator[bytes]:
    import numpy as np

    started = sha256(tag)
    for start in range(0, len(columns[0]), SLICE):
        rows = np.concatenate([column[start : start + SLICE] for column in columns], axis=1)
        width, data = rows.shape[1], rows.tobytes()
        found = []
        for at in range(0, len(data), width):
            one = started.copy()
            one.update(data[at : at + width])
            found.append(one.digest())
        yield b"".join(found)
