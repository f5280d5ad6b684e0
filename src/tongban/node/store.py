"""Published facts, opened: mapped into memory, found by binary search, never changed under a reader."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tongban.node import snapshots
from tongban.node.snapshots import Snapshot
from tongban.rules.facts import KEY


@dataclass(frozen=True, slots=True)
class Facts:
    """One snapshot's table and doubtful keys for one domain."""

    snapshot: Snapshot
    table: Any  #: pa.Table, sorted by `k`
    doubts: Any  #: pa.Table of `k`, sorted
    _keys: Any
    _doubtful: Any

    def row(self, key: int | str) -> Mapping[str, Any] | None:
        """The fact row of a key in its batch form; None if the register holds no such key."""
        place = _found(self._keys, key)
        if place is None:
            return None
        return {name: self.table[name][place].as_py() for name in self.table.column_names if name != KEY}

    def doubtful(self, key: int | str) -> bool:
        return _found(self._doubtful, key) is not None


class FactStore:
    """The facts of a node's resources."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[tuple[str, str, str], Facts] = {}
        self._current: dict[str, tuple[int, Snapshot]] = {}

    def place(self, resource: str) -> Path:
        return self._folder / resource.replace("/", ".")

    def current(self, resource: str) -> Snapshot | None:
        """The newest snapshot; a refresh by another process is seen at the next question."""
        pointer = self.place(resource) / "current"
        try:
            changed = pointer.stat().st_mtime_ns
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
            table = _mapped(snapshot.folder / f"facts.{domain}.arrow")
            doubts = _mapped(snapshot.folder / f"doubts.{domain}.arrow")
            held = Facts(snapshot, table, doubts, _column(table), _column(doubts))
            self._forget(snapshot, domain)
            self._open[snapshot.resource, snapshot.id, domain] = held
        return held

    def _forget(self, snapshot: Snapshot, domain: str) -> None:
        """Let go of older snapshots of the same facts beyond the one before: a mapping keeps a deleted file alive."""
        # Batches ask from another thread: no loop over what another may change, and gone is gone.
        same = [key for key in list(self._open) if (key[0], key[2]) == (snapshot.resource, domain)]
        for key in same[:-1]:
            self._open.pop(key, None)


def _mapped(path: Path) -> Any:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _column(table: Any) -> Any:
    column = table[KEY]
    if pa.types.is_integer(column.type):
        return column.combine_chunks().to_numpy(zero_copy_only=False) if len(column) else np.array([], np.int64)
    return [text.as_py() for chunk in column.chunks for text in chunk]


def _found(keys: Any, key: int | str) -> int | None:
    if isinstance(keys, list):
        import bisect

        place = bisect.bisect_left(keys, key)
    else:
        place = int(np.searchsorted(keys, key))
    return place if place < len(keys) and keys[place] == key else None
