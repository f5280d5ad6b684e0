"""Published snapshots of a node's facts: folders that never change, and a pointer to the newest.

facts/<resource>/<snapshot id>/    facts.<domain>.arrow, doubts.<domain>.arrow, spellings.<domain>.arrow, snapshot.json
facts/<resource>/current           id of the newest
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

#: Folders in which a snapshot is made, until they are renamed.
MAKING = ".making-"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Facts of one resource as of one day: a folder that never changes once it is published."""

    resource: str
    id: str  #: date and digest: equal data give an equal id
    date: date
    folder: Path
    rows: Mapping[str, int]  #: by domain
    rejected: int
    doubts: int
    nameless: int | None  #: rows that lead back to nobody; None in a snapshot of before they were counted


@contextlib.contextmanager
def making(into: Path) -> Iterator[None]:
    """Be the only one who makes a snapshot below `into`; waits for another, and erases what a killed one left."""
    into.mkdir(parents=True, exist_ok=True)
    with _locked(into, fcntl.LOCK_EX):
        _erase(into)
        yield


def erase_abandoned(into: Path) -> int:
    """Erase what killed refreshes left of a register's rows, unless one runs now; how many folders."""
    if not any(into.glob(f"{MAKING}*")):
        return 0
    try:
        with _locked(into, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return _erase(into)
    except BlockingIOError:
        return 0


@contextlib.contextmanager
def _locked(into: Path, how: int) -> Iterator[None]:
    # The folder itself: a file of its own could be removed, and then two would each hold the lock. The kernel lets go
    # of it when its holder dies, however it dies, so that it cannot lie as a process number can.
    held = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, how)
        yield
    finally:
        os.close(held)


def _erase(into: Path) -> int:
    left = list(into.glob(f"{MAKING}*"))
    for folder in left:
        shutil.rmtree(folder)
    return len(left)


def current(resource: str, into: Path) -> Snapshot | None:
    """The newest published snapshot, None if there is none."""
    pointer = into / "current"
    return opened(resource, into, pointer.read_text().strip()) if pointer.is_file() else None


def opened(resource: str, into: Path, id: str) -> Snapshot | None:
    """A published snapshot by id; None if it is gone."""
    about = into / id / "snapshot.json"
    if not about.is_file():
        return None
    held = json.loads(about.read_text())
    day = date.fromisoformat(held["date"])
    counts = (held["rows"], held["rejected"], held["doubts"], held.get("nameless"))
    return Snapshot(resource, id, day, into / id, *counts)


def keep_newest(into: Path, keep: int, pinned: frozenset[str]) -> list[str]:
    """Remove snapshots beyond the newest `keep` that no open round has pinned; their ids.

    The current one stays, however old its folder is: equal data on the same day are published only once.
    """
    pointer = into / "current"
    kept = pinned | {pointer.read_text().strip()} if pointer.is_file() else pinned
    # One that is being made, or that a killed refresh left, is none: it would take the place of a published one.
    published = (path for path in into.glob("*/snapshot.json") if not path.parent.name.startswith(MAKING))
    folders = sorted(published, key=lambda path: path.stat().st_mtime_ns)
    old = [path.parent for path in folders[:-keep] if path.parent.name not in kept]
    for folder in old:
        shutil.rmtree(folder)
    return [folder.name for folder in old]
