"""A log's folder, read without owning it, while its node may be running: entries, and what of them is shown.

What is shown of a record is a closed list: salts, signatures, tickets and stored answers are never shown.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from tongban.tlog import folder, segment
from tongban.tlog.entry import Framed, Stored, stored
from tongban.tlog.segment import FRAMES, entry_file
from tongban.tlog.tree import leaf_hash

#: Of a record, in the order of telling. With `persons_salt` anybody could try out who was in a batch.
SHOWN = (
    "at", "consumer", "provider", "node", "call", "resource", "register", "fields", "purpose", "case", "operator",
    "subjects", "round", "part", "rule", "rows", "status", "code", "outcome", "snapshot", "grant", "directory",
    "repeat_of", "request_entry", "origin", "entry", "leaf",
)  # fmt: skip


def place(given: Path) -> Path:
    """The log's folder: the one given, or the one inside a node's folder."""
    inside = given / "log"
    return inside if not (given / "log.json").exists() and (inside / "log.json").exists() else given


def is_owner(directory: Path) -> bool:
    """Whether who asks holds the log's subject key: without it the records' persons are nobody."""
    return os.access(directory / "subject.key", os.R_OK)


def entries(directory: Path, advance: Callable[[int], None] = lambda steps: None) -> Iterator[Stored]:
    """Every whole entry, in order; `advance` is told of each finished file. Raises NotALog."""
    folder.identity(directory)
    for number in segment.numbers(directory):
        yield from _of_file(directory, number)
        advance(1)


def _of_file(directory: Path, number: int) -> list[Stored]:
    found: list[Stored] = []

    def visit(at: int, framed: Framed) -> None:
        found.append(stored(number * FRAMES + at, framed))

    segment.read(entry_file(directory, number), visit)
    return found


def entry(directory: Path, index: int) -> Stored | None:
    """One entry; None if the log has not come so far. Raises NotALog."""
    folder.identity(directory)
    number, at = divmod(index, FRAMES)
    if index < 0 or number not in segment.numbers(directory):
        return None
    held = _of_file(directory, number)
    return held[at] if at < len(held) else None


def newest(directory: Path, count: int, kind: str | None) -> list[Stored]:
    """The newest `count` entries of a kind (None: of any), oldest first. Raises NotALog."""
    folder.identity(directory)
    found: deque[Stored] = deque()
    for number in reversed(segment.numbers(directory)):
        for one in reversed(_of_file(directory, number)):
            if len(found) == count:
                return list(found)
            if kind in (None, leaf_of(one).get("kind")):
                found.appendleft(one)
    return list(found)


def leaf_of(one: Stored) -> dict[str, Any]:
    """The leaf's fields; none for a leaf that is not even JSON."""
    try:
        held = orjson.loads(one.leaf)
    except orjson.JSONDecodeError:
        return {}
    return held if isinstance(held, dict) else {}


def record_of(one: Stored) -> dict[str, Any] | None:
    """The record; None for a public kind, and once it is destroyed."""
    held = orjson.loads(one.record) if one.record else None
    return held if isinstance(held, dict) else None


def shown(one: Stored, owner: bool) -> dict[str, Any]:
    """What may be told of an entry: its leaf, and to the log's owner who asked what about which pseudonym."""
    leaf = leaf_of(one)
    told: dict[str, Any] = {"entry": one.index, "kind": leaf.get("kind", ""), "leaf": leaf_hash(one.leaf).hex()}
    told |= {name: value for name, value in leaf.items() if name not in ("kind", "v", "record", "keys")}
    if owner and (record := record_of(one)) is not None:
        told["record"] = {name: record[name] for name in SHOWN if record.get(name) not in (None, "", [])}
    return told
