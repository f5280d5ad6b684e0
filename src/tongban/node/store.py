"""Published facts, opened: mapped into memory, found by binary search, never changed under a reader."""

import bisect
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tongban.node import snapshots
from tongban.node.snapshots import Snapshot
from tongban.rules.facts import KEY

#: Column of a register's own text for a key.
SPELLING = "spelling"


def spellings_file(domain: str) -> str:
    return f"spellings.{domain}.arrow"


@dataclass(frozen=True, slots=True)
class Facts:
    """One snapshot's table and doubtful keys for one domain."""

    snapshot: Snapshot
    table: Any  #: pa.Table, sorted by `k`
    doubts: Any  #: pa.Table of `k`, sorted
    _keys: Any
    _doubtful: Any
    _spelled: Any  #: pa.Table of `k` and `spelling`, sorted; None in a snapshot of before they were kept
    _spelled_keys: Any
    _held: mmap.mmap  #: what `table` lies in

    def let_go(self) -> None:
        """Give back the memory of what was read; it is mapped again when it is read again.

        A batch walks through whole columns, and the pages of all of them together are more than the batch itself.
        """
        self._held.madvise(mmap.MADV_DONTNEED)

    def row(self, key: int | str) -> Mapping[str, Any] | None:
        """The fact row of a key in its batch form; None if the register holds no such key."""
        place = _found(self._keys, key)
        if place is None:
            return None
        return {name: self.table[name][place].as_py() for name in self.table.column_names if name != KEY}

    def doubtful(self, key: int | str) -> bool:
        return _found(self._doubtful, key) is not None

    def holds(self, key: int | str) -> bool:
        return _found(self._keys, key) is not None

    @property
    def counted(self) -> bool:
        """Whether the register was searched for numbers that are not in their one spelling."""
        return self._spelled is not None

    def spellings(self, key: int | str) -> list[str]:
        """Texts other than the one spelling under which the register keeps this key."""
        if self._spelled is None:
            return []
        first = _found(self._spelled_keys, key)
        if first is None:
            return []
        end = first
        while end < len(self._spelled_keys) and self._spelled_keys[end] == key:
            end += 1
        return [text.as_py() for text in self._spelled[SPELLING][first:end]]


#: What `FactStore` raises for facts that are damaged or half removed: they say nothing of anybody.
UNREADABLE = (OSError, ValueError, KeyError, TypeError)


class FactStore:
    """The facts of a node's resources. Its look-ups raise what `UNREADABLE` lists."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[tuple[str, str, str], Facts] = {}
        self._current: dict[str, tuple[int, Snapshot]] = {}
        self._pointers: dict[str, str] = {}

    def place(self, resource: str) -> Path:
        return self._folder / resource.replace("/", ".")

    def current(self, resource: str) -> Snapshot | None:
        """The newest snapshot; a refresh by another process is seen at the next question."""
        pointer = self._pointers.get(resource)
        if pointer is None:
            pointer = self._pointers[resource] = str(self.place(resource) / "current")
        try:
            changed = os.stat(pointer).st_mtime_ns
        except FileNotFoundError:
            return None
        held = self._current.get(resource)
        if held is not None and held[0] == changed:
            return held[1]
        found = snapshots.current(resource, self.place(resource))
        if found is not None:
            self._current[resource] = (changed, found)
        return found

    def snapshot(self, resource: str, id: str) -> Snapshot | None:
        """A snapshot that a round has pinned; None if it is gone."""
        return snapshots.opened(resource, self.place(resource), id)

    def facts(self, snapshot: Snapshot, domain: str) -> Facts | None:
        """The snapshot's facts for one kind of key; None if the resource is not asked by it."""
        held = self._open.get((snapshot.resource, snapshot.id, domain))
        if held is None:
            if domain not in snapshot.rows:
                return None
            table, memory = _mapped(snapshot.folder / f"facts.{domain}.arrow")
            doubts, _ = _mapped(snapshot.folder / f"doubts.{domain}.arrow")
            place = snapshot.folder / spellings_file(domain)
            spelled = _mapped(place)[0] if place.is_file() else None
            spelled_keys = _column(spelled) if spelled is not None else []
            held = Facts(snapshot, table, doubts, _column(table), _column(doubts), spelled, spelled_keys, memory)
            self._forget(snapshot, domain)
            self._open[snapshot.resource, snapshot.id, domain] = held
        return held

    def _forget(self, snapshot: Snapshot, domain: str) -> None:
        """Let go of older snapshots of the same facts beyond the one before: a mapping keeps a deleted file alive."""
        # Batches ask from another thread: no loop over what another may change, and gone is gone.
        same = [key for key in list(self._open) if (key[0], key[2]) == (snapshot.resource, domain)]
        for key in same[:-1]:
            self._open.pop(key, None)


def _mapped(path: Path) -> tuple[Any, mmap.mmap]:
    """A table that lies in a file, and the mapping that it lies in."""
    with path.open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return pa.ipc.open_file(pa.py_buffer(held)).read_all(), held


def _column(table: Any) -> Any:
    column = table[KEY]
    if pa.types.is_integer(column.type):
        # Facts are written in one batch: the keys lie in the mapping, and are not copied out of it.
        whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        return whole.to_numpy(zero_copy_only=False) if len(column) else np.array([], np.int64)
    return [text.as_py() for chunk in column.chunks for text in chunk]


def _found(keys: Any, key: int | str) -> int | None:
    place = bisect.bisect_left(keys, key) if isinstance(keys, list) else int(np.searchsorted(keys, key))
    return place if place < len(keys) and keys[place] == key else None
