"""Published snapshots of a node's facts: folders that never change, and a pointer to the newest.

facts/<resource>/<snapshot id>/    facts.<domain>.arrow, doubts.<domain>.arrow, snapshot.json
facts/<resource>/current           id of the newest
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path


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
    return Snapshot(resource, id, day, into / id, held["rows"], held["rejected"], held["doubts"])


def keep_newest(into: Path, keep: int, pinned: frozenset[str]) -> list[str]:
    """Remove snapshots beyond the newest `keep` that no open round has pinned; their ids.

    The current one stays, however old its folder is: equal data on the same day are published only once.
    """
    pointer = into / "current"
    kept = pinned | {pointer.read_text().strip()} if pointer.is_file() else pinned
    folders = sorted((path for path in into.glob("*/snapshot.json")), key=lambda path: path.stat().st_mtime_ns)
    old = [path.parent for path in folders[:-keep] if path.parent.name not in kept]
    for folder in old:
        shutil.rmtree(folder)
    return [folder.name for folder in old]
