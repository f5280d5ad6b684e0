"""The looks of whole days, counted a person at a time: in a process of its own, for a round makes days of millions.

    python -m tongban.node.tally < {"log", "first", "size", "since", "through"}

Reads the log's folder without owning it, writes the days' trees, and says one line of JSON a day: what the log is to
commit to. A day ends before the first entry that was made on a later one; what comes in late counts for the next.
"""

import ctypes
import json
import os
import signal
import sys
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tongban.calendar.day import day_of
from tongban.kit.clock import unstamp
from tongban.tlog import day_file, person_table, segment
from tongban.tlog.day_file import Count, Rows, hashed
from tongban.tlog.day_tree import NAME, NOBODY, Look, chained, leaf_of, person
from tongban.tlog.entry import SALT, Framed, unframe
from tongban.tlog.looks import looks_of
from tongban.tlog.segment import FRAMES, Segment, entry_file
from tongban.tlog.tree import leaf_hash

#: Looks that are sorted at once; more are taken in sixteen parts, so that the memory stays small.
_AT_ONCE = 2_000_000
_PR_SET_PDEATHSIG = 1
#: No entry is made later than this.
_LAST = date(9000, 1, 1)


class Looks:
    """What one day has had so far."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.leaves: list[bytes] = []  #: leaf hashes of the entries that count for somebody
        self.indices: list[int] = []  #: where these stand in the log
        self.names, self.ordinals = bytearray(), list[int]()  #: of entries about one person
        self.batches: list[tuple[int, int, int]] = []  #: ordinal, entry that has the table, persons
        self.nobody: list[tuple[int, Look]] = []

    def one(self, index: int, hashed: bytes, names: Sequence[bytes]) -> None:
        for name in names:
            self.names += name
            self.ordinals.append(len(self.leaves))
        self._entry(index, hashed)

    def batch(self, index: int, hashed: bytes, table: int, count: int) -> None:
        self.batches.append((len(self.leaves), table, count))
        self._entry(index, hashed)

    def unattributed(self, index: int, hashed: bytes, count: int) -> None:
        self.nobody.append((index, Look(hashed, count)))

    def _entry(self, index: int, hashed: bytes) -> None:
        self.leaves.append(hashed)
        self.indices.append(index)


def counted(log: Path, first: int, size: int, since: date, through: date) -> Iterator[Count]:
    """Write the trees of the days from `since` `through`; entries before index `first` count already.

    Raises OSError, Damaged.
    """
    reading = _Reading(log, first, since, through)
    yield from reading.days(size)


def between(log: Path, first: int, until: int) -> Looks:
    """The looks of the entries from index `first` up to `until`, whatever day they were made on."""
    reading = _Reading(log, first, _LAST, _LAST)
    return reading.whole(until)


class _Reading:
    def __init__(self, log: Path, first: int, since: date, through: date) -> None:
        self._log, self._first, self._today, self._through = log, first, since, through
        self._day = Looks(first)
        self._ended: list[tuple[date, Looks, int]] = []
        self._segment: tuple[int, Segment] | None = None

    def whole(self, until: int) -> Looks:
        for _ in self._read(until):
            pass
        return self._day

    def days(self, size: int) -> Iterator[Count]:
        for _ in self._read(size):
            yield from self._written()
        while self._today <= self._through:
            self._end(size)
        yield from self._written()

    def _read(self, size: int) -> Iterator[int]:
        """Read up to `size`, and stop after each file."""
        for number in range(self._first // FRAMES, -(-size // FRAMES)):
            if self._today > self._through:
                break

            def visit(place: int, framed: Framed, start: int = number * FRAMES) -> None:
                if self._first <= start + place < size and self._today <= self._through:
                    self._entry(start + place, framed)

            segment.read(entry_file(self._log, number), visit)
            yield number

    def _written(self) -> Iterator[Count]:
        for day, held, until in self._ended:
            salt = os.urandom(32)
            rows = _rows(self._log, held, salt)
            yield day_file.write(self._log, day.isoformat(), held.first, until, salt, rows)
        self._ended = []

    def _end(self, until: int) -> None:
        self._ended.append((self._today, self._day, until))
        self._today += timedelta(days=1)
        self._day = Looks(until)

    def _entry(self, index: int, framed: Framed) -> None:
        record = orjson.loads(framed.salted[SALT:]) if framed.salted else {}
        made = day_of(unstamp(record["at"])) if "at" in record else self._today
        while made > self._today:
            self._end(index)
            if self._today > self._through:
                return
        leaf = orjson.loads(framed.leaf)
        if count := looks_of(leaf):
            self._look(index, leaf, record, leaf_hash(framed.leaf), count)

    def _look(self, index: int, leaf: Mapping[str, Any], record: Mapping[str, Any], hashed: bytes, count: int) -> None:
        table = leaf["batch"] if leaf["kind"] == "batch-persons" else index
        subjects = record.get("subjects", ())
        if leaf["kind"] == "repeat":
            subjects = self._subjects_of(record.get("repeat_of", index), index)
        if len(subjects) == count:
            self._day.one(index, hashed, [urlsafe_b64decode(name + "==") for name in subjects])
        elif person_table.names(self._log, table, count) is not None:
            self._day.batch(index, hashed, table, count)
        else:
            self._day.unattributed(index, hashed, count)

    def _subjects_of(self, index: int, before: int) -> Sequence[str]:
        """The persons of an earlier entry, whose answer was given again."""
        number, place = divmod(index, FRAMES)
        if index >= before:
            return ()
        path = entry_file(self._log, number)
        if self._segment is None or self._segment[0] != number or place >= self._segment[1].count:
            self._segment = number, segment.read(path)
        stops = self._segment[1].stops
        with segment.mapped(path) as data:
            framed = unframe(data, stops[place], stops[place + 1])
        record = orjson.loads(framed.salted[SALT:]) if framed and framed.salted else {}
        return list(record.get("subjects", ()))


# --- one day --------------------------------------------------------------------------------------------------


def _rows(log: Path, day: Looks, salt: bytes) -> Rows:
    parts = [*_people(log, day, salt)]
    if day.nobody:
        leaf = leaf_of(person(salt, NOBODY), (look for _, look in day.nobody))
        own = np.frombuffer(leaf.name, np.uint8)[None], np.array([leaf.count], np.uint64)
        parts.append(Rows(*own, np.frombuffer(leaf.head, np.uint8)[None]))
    if not parts:
        return Rows(np.empty((0, NAME), np.uint8), np.empty(0, np.uint64), np.empty((0, 32), np.uint8))
    names = np.concatenate([part.names for part in parts])
    order = np.lexsort(_words(names))
    counts = np.concatenate([part.counts for part in parts])[order]
    return Rows(names[order], counts, np.concatenate([part.heads for part in parts])[order])


def _people(log: Path, day: Looks, salt: bytes) -> Iterator[Rows]:
    total = len(day.ordinals) + sum(count for _, _, count in day.batches)
    shift = 8 if total <= _AT_ONCE else 4
    for part in range(256 >> shift):
        names, ordinals = [], []
        for held, ordinal in _sources(log, day):
            mine = (held[:, 0] >> shift if shift < 8 else np.zeros(len(held), np.uint8)) == part
            names.append(held[mine])
            ordinals.append(
                ordinal[mine] if isinstance(ordinal, np.ndarray) else np.full(mine.sum(), ordinal, np.int64)
            )
        if total and any(map(len, names)):
            yield _grouped(np.concatenate(names), np.concatenate(ordinals), day.leaves, salt)


def _sources(log: Path, day: Looks) -> Iterator[tuple[Any, Any]]:
    """Names of all looks at known persons, a table at a time, each with its ordinal or the one of all."""
    single = np.frombuffer(bytes(day.names), np.uint8).reshape(-1, NAME)
    yield single, np.array(day.ordinals, np.int64)
    for ordinal, index, count in day.batches:
        held = person_table.names(log, index, count)
        if held is None:
            raise OSError(f"persons of entry {index}")
        yield held, ordinal


def _grouped(names: Any, ordinals: Any, leaves: Sequence[bytes], salt: bytes) -> Rows:
    """One row a person, in no order."""
    high, low = _words(names)[::-1]
    order = np.lexsort((ordinals, low, high))
    names, ordinals = names[order], ordinals[order]
    first = np.ones(len(names), np.bool_)
    first[1:] = (names[1:] != names[:-1]).any(axis=1)
    starts = np.flatnonzero(first)
    counts = np.diff(np.append(starts, len(names)))
    chains = _chains(ordinals, starts, counts, leaves)
    own = np.frombuffer(hashed(b"tongban/day-name/1\n" + salt, names[starts]), np.uint8).reshape(-1, 32)
    heads = np.frombuffer(hashed(b"tongban/day-head/1\n", own[:, NAME:], chains), np.uint8).reshape(-1, 32)
    return Rows(own[:, :NAME].copy(), counts.astype(np.uint64), heads)


def _chains(ordinals: Any, starts: Any, counts: Any, leaves: Sequence[bytes]) -> Any:
    """What each person's looks come to: (persons, 32). Whoever shares the same looks so far shares the work."""
    table, state = [bytes(32)], np.zeros(len(starts), np.int64)
    going, link = np.arange(len(starts)), 0
    while len(going):
        pairs = state[going] * len(leaves) + ordinals[starts[going] + link]
        different, which = np.unique(pairs, return_inverse=True)
        state[going] = len(table) + which
        for pair in different.tolist():
            table.append(chained(table[pair // len(leaves)], Look(leaves[pair % len(leaves)])))
        link += 1
        going = going[counts[going] > link]
    return np.frombuffer(b"".join(table), np.uint8).reshape(-1, 32)[state]


def _words(names: Any) -> tuple[Any, Any]:
    """Keys for a sort by name, as `lexsort` takes them: the last counts most."""
    words = np.ascontiguousarray(names).view(">u8").astype(np.uint64)
    return words[:, 1], words[:, 0]


def main() -> None:
    # A count that its node no longer waits for would leave a tree that stands in no log.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    asked = json.load(sys.stdin)
    os.nice(10)
    since, through = date.fromisoformat(asked["since"]), date.fromisoformat(asked["through"])
    for count in counted(Path(asked["log"]), asked["first"], asked["size"], since, through):
        print(json.dumps(count.body()), flush=True)


if __name__ == "__main__":
    main()
