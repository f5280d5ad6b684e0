"""Public keys and names for a check, read from a directory that the city's bureau published.

A directory is judged as of the instant of its own issue: a log may be audited years after the directory that
lists its keys has expired. Root, head, proof of publication and every entry must hold all the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from tongban.exchange.directory import Directory, adopt
from tongban.kit import canonical, statement
from tongban.kit.clock import stamp, unstamp
from tongban.kit.config import open_toml
from tongban.kit.errors import Invalid, Refused, Unavailable
from tongban.kit.keys import PublicKey
from tongban.tlog.cosignature import Quorum


class DirectoryUnusable(Invalid):
    code = "cli.directory_unusable"
    message = "{path} is no directory to check with: {why}."
    remedy = "Fetch the city's published directory.json again; with --root, check the digest too."


class NoDirectory(Unavailable):
    code = "cli.no_directory"
    message = "There is no directory beside {place}, so there are no keys to check with."
    remedy = "Name the city's published directory.json with --directory."


class LogKeyUnlisted(Unavailable):
    code = "cli.log_key_unlisted"
    message = "The directory lists no key that may sign for the log {origin}."
    remedy = "Name with --directory one that lists its member; the option may be given several times."


@dataclass(frozen=True)
class Keyring:
    """What one or more directories say, the newest first."""

    directories: tuple[Directory, ...]
    pinned: str  #: who knew the root beforehand: "--root", "node.toml", or nobody (empty)

    @cached_property
    def calling(self) -> dict[str, PublicKey]:
        """Every key that may sign calls and answers, by id, those whose time is over included."""
        return {key.id: key.public for one in self.directories for key in one.keys.values() if key.role == "online"}

    def of_log(self, origin: str) -> dict[str, PublicKey]:
        """The keys that may sign checkpoints of the log `origin`: its member's online keys, or the hub's log keys."""
        member = origin.partition("/")[0]
        found: dict[str, PublicKey] = {}
        for one in self.directories:
            hub = one.root.roles["log"] if one.root.log_origin == origin else ()
            own = [key.public for key in one.by_role.get((member, "online"), ())]
            found |= {key.id: key for key in (*hub, *own)}
        return found

    def quorum(self, origin: str) -> Quorum:
        """Who may witness the log `origin`, by the newest directory."""
        witnessing = self.directories[0].witnessing
        return witnessing.quorum(origin) if witnessing else Quorum({})

    def approvals(self, member: str) -> list[PublicKey]:
        """Approval keys of a member that were never revoked, those whose time is over included."""
        keys = [key for one in self.directories for key in one.by_role.get((member, "approval"), ())]
        revoked = {key.id for key in keys if key.revoked_at is not None}
        return [key.public for key in keys if key.id not in revoked]

    def name(self, member: str) -> str:
        """The department's name, its code where no directory lists it."""
        return next((one.members[member].name for one in self.directories if member in one.members), member)

    def told(self) -> Iterator[str]:
        """Where the keys come from, for the person who must decide whether to believe it."""
        for one in self.directories:
            yield f"{one.root.city}, version {one.version} of {stamp(one.head.issued_at)}, root {one.root.digest}"
        yield _PINNED[self.pinned]

    def to_json(self) -> dict[str, Any]:
        listed = [
            {"city": one.root.city, "version": one.version, "issued_at": one.head.issued_at, "root": one.root.digest}
            for one in self.directories
        ]
        return {"directories": listed, "root_known_from": self.pinned}


_PINNED = {
    "--root": "the root is the one given with --root",
    "node.toml": "the root is the one in this node's node.toml: a stranger compares it with the bureau's announcement",
    "": "the root was taken from the directory itself: compare it with the bureau's announcement, or give --root",
}


def keyring(files: Sequence[Path], beside: Path, root: str = "") -> Keyring | None:
    """The directories named, or else the one that lies beside a log; None if there is none.

    root: digest of the city's first root; where it is empty, what the node's own file pins.
    Raises DirectoryUnusable, FileInvalid.
    """
    places = list(files) or [place for place in _beside(beside) if place.is_file()][:1]
    pin, pinned = root, "--root" if root else ""
    if not root and not files and (beside.parent / "node.toml").is_file():
        pin, pinned = _pin(beside.parent / "node.toml"), "node.toml"
    found = [read(place, pin) for place in places]
    newest_first = sorted(found, key=lambda one: one.head.version, reverse=True)
    return Keyring(tuple(newest_first), pinned) if found else None


def _beside(log: Path) -> tuple[Path, ...]:
    """Where a node, and the hub, keep their directory."""
    return log.parent / "directory.json", log.parent / "public" / "directory.json"


def _pin(node_file: Path) -> str:
    """The root that the log's own node trusts."""
    return str(open_toml(node_file).section("node").text("directory_root"))


def read(path: Path, root: str = "") -> Directory:
    """The directory in a file. Raises DirectoryUnusable."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DirectoryUnusable(path=path, why=f"it cannot be read ({error.strerror})") from None
    first, issued_at = _claims(raw)
    found = adopt(None, raw, root or first, issued_at)
    if isinstance(found, Refused):
        raise DirectoryUnusable(path=path, why=f"{found.reason} ({found.code})")
    return found


def _claims(raw: bytes) -> tuple[str, int]:
    """Digest of its first root and instant of its issue, as it says itself; `adopt` refuses what is malformed."""
    try:
        whole = orjson.loads(raw)
        first = statement.from_json([*whole["roots"], whole["root"]][0])
        return first.digest(), unstamp(whole["head"]["body"]["issued_at"])
    except (orjson.JSONDecodeError, canonical.NotCanonical, KeyError, TypeError, ValueError):
        return "", 0
