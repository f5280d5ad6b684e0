"""What revocation and closing mean for a log: which signatures of a revoked key count, and where a closed log ends.

A signature of a revoked key counts if its entry lies under a head that enough witnesses cosigned before the instant
of revocation: by then it was made, whoever holds the key now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongban.cli import log_read
from tongban.cli.keyring import Keyring
from tongban.exchange.listing import Closing
from tongban.kit.errors import TongbanError
from tongban.tlog import history
from tongban.tlog.audit import Problem
from tongban.tlog.checkpoint import Checkpoint, parse
from tongban.tlog.cosignature import Quorum, cosigners

#: Indices told one by one; the rest is counted.
_TOLD = 20


@dataclass(slots=True)
class Void:
    """Signatures of one revoked key in one log that do not count."""

    key: str
    revoked_at: int
    counted: int  #: entries from 0 on whose signatures by this key count
    count: int
    entries: list[int]  #: the first of them

    def sentence(self) -> str:
        first = ", ".join(map(str, self.entries))
        more = ", …" if self.count > len(self.entries) else ""
        return f"{self.count} signatures of the revoked key {self.key} do not count: entries {first}{more}"


def void(directory: Path, origin: str, ring: Keyring) -> list[Void]:
    """The signatures of revoked keys in this log that do not count, by key."""
    revoked = {
        key.id: key.revoked_at
        for one in ring.directories
        for key in one.keys.values()
        if key.role == "online" and key.revoked_at is not None
    }
    if not revoked:
        return []
    heads = list(_heads(directory, ring.quorum(origin)))
    found = {
        id: Void(id, at, max((head.size for head, seen_at in heads if seen_at < at), default=0), 0, [])
        for id, at in revoked.items()
    }
    for one in log_read.entries(directory):
        for id in _signers(log_read.record_of(one) or {}):
            if id in found and one.index >= found[id].counted:
                found[id].count += 1
                if len(found[id].entries) < _TOLD:
                    found[id].entries.append(one.index)
    return [one for one in found.values() if one.count]


def _heads(directory: Path, quorum: Quorum) -> Iterator[tuple[Checkpoint, int]]:
    """Cosigned heads, each with the instant by which enough had seen it. Without witnesses nothing is proven."""
    for note in history.read_cosigned(directory):
        try:
            head, times = parse(note)[0], sorted(one.time for one in cosigners(note, quorum.witnesses))
        except TongbanError:
            continue
        if quorum.k and len(times) >= quorum.k:
            yield head, times[quorum.k - 1]


def _signers(record: dict[str, Any]) -> set[str]:
    return {str(record[name]) for name in ("key", "answer_key") if name in record}


def closing_of(ring: Keyring | None, origin: str) -> Closing | None:
    """What the newest directory that knows of it says of the log's end."""
    directories = ring.directories if ring else ()
    return next((one.closings[origin] for one in directories if origin in one.closings), None)


def closed_elsewhere(closing: Closing | None, size: int, root: str) -> list[Problem]:
    """Whether a log that has ended shows another head than the one at which its member ended it."""
    if closing is None or (size, root) == (closing.size, closing.root):
        return []
    return [Problem("cli.closing_differs", f"closed at size {closing.size}")]
