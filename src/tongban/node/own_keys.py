"""The node's own keys, and how a new one takes over while calls go on.

    keys/<role>.json        signs now;   keys/<role>.next.json  is to sign once the others can know it

A new key waits until a directory in force has listed it for `settle` seconds: so long the others need to pull that
directory too. Then its file takes the old one's place. The old key stays listed until its own end, so that what it
signed can be judged; its private part is gone.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tongban.exchange.directory import Directory
from tongban.kit.clock import Clock, stamp
from tongban.kit.durable import sync
from tongban.kit.keys import SigningKey, read_key
from tongban.node.source import DirectorySource
from tongban.tlog.log import Log

_log = logging.getLogger("tongban.node")

#: Keys that the node itself uses. A witness's key has no successor: a new one is a new witness.
ROLES: Final = ("online", "ticket")


def place_of(folder: Path, role: str) -> Path:
    return folder / "keys" / f"{role}.json"


def next_place(folder: Path, role: str) -> Path:
    """Where the key waits that is to follow."""
    return folder / "keys" / f"{role}.next.json"


class Changed(NamedTuple):
    """One key took another's place."""

    role: str
    before: SigningKey
    after: SigningKey


class OwnKeys:
    """Whoever signs takes the key once, and names the key that signed: in between another may have taken over."""

    def __init__(
        self, folder: Path, source: DirectorySource, clock: Clock, settle: float, pass_phrase: str | None
    ) -> None:
        """Raises KeyFileInvalid."""
        self._folder, self._source, self._clock = folder, source, clock
        self._settle, self._pass_phrase = settle, pass_phrase
        self._now = {role: read_key(place_of(folder, role), pass_phrase) for role in ROLES}
        self._waiting: dict[str, SigningKey] = {}
        self._known_since: dict[str, float] = {}  #: key id: when a directory in force here first listed it

    def online(self) -> SigningKey:
        """Signs calls, answers and the log's heads."""
        return self._now["online"]

    def ticket(self) -> SigningKey:
        return self._now["ticket"]

    def turn(self) -> Iterator[Changed]:
        """Let every key take over whose time has come. Raises KeyFileInvalid, OSError: the former key signs on."""
        for role in ROLES:
            key = self._next(role)
            if key is not None and self._known(key):
                # One rename: after a crash either of the two is there, and the directory lists both.
                os.replace(next_place(self._folder, role), place_of(self._folder, role))
                sync(self._folder / "keys")
                before, self._now[role] = self._now[role], key
                self._waiting.pop(role)
                self._known_since.pop(key.id)
                _log.warning("key %s signs from now on, after %s", key.id, before.id)
                yield Changed(role, before, key)

    def ends(self) -> dict[str, tuple[str, float | None]]:
        """Of each role the key's id, and when it stops counting; None: the directory here does not list it."""
        directory = self._source.current
        return {role: (key.id, _end(directory, key)) for role, key in self._now.items()}

    def _next(self, role: str) -> SigningKey | None:
        if not next_place(self._folder, role).exists():
            self._waiting.pop(role, None)
            return None
        if role not in self._waiting:
            self._waiting[role] = read_key(next_place(self._folder, role), self._pass_phrase)
        return self._waiting[role]

    def _known(self, key: SigningKey) -> bool:
        """Whether the others can know it."""
        directory, now = self._source.current, self._clock.seconds()
        listed = directory.keys.get(key.id) if directory and not directory.refusal(now) else None
        if listed is None or listed.public != key.public or listed.refusal(now):
            self._known_since.pop(key.id, None)
            return False
        return now - self._known_since.setdefault(key.id, now) >= self._settle


def _end(directory: Directory | None, key: SigningKey) -> float | None:
    return directory.key_ends_at(key.id) if directory and key.id in directory.keys else None


async def take_over(keys: OwnKeys, log: Log, member: str, clock: Clock) -> None:
    """Let keys take over, and write into the log which key began and which ended, and when."""
    for role, before, after in keys.turn():
        if role == "online":
            log.sign_with(after)
        for key, change in ((before, "ended"), (after, "begun")):
            body = {"key": key.id, "member": member, "role": role, "change": change, "at": stamp(clock.seconds())}
            await log.append({"kind": "key", "body": body})
