"""What anybody may fetch of this node's log, and what other logs may ask of it as a witness.

GET /checkpoint, /tile/…           this node's log, C2SP tlog-tiles: heads, hashes and leaves, never a record
POST /add-checkpoint               C2SP tlog-witness
GET /witnessed/<SHA-256 of origin> the head of another log that this witness cosigned last
POST /sample                       a witness of this log: the looks of a day that its signature picks
"""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from hashlib import sha256
from typing import Any

import orjson

from tongban.exchange.rate import Buckets
from tongban.exchange.refusals import status_of
from tongban.kit.clock import Clock
from tongban.kit.errors import Refused, TongbanError
from tongban.node.body import BodyReader, Receive
from tongban.node.connections import address_of
from tongban.node.gate import Reply
from tongban.node.sampling import Witnesses, opened
from tongban.tlog.log import Log
from tongban.tlog.tile import Tile, read_path
from tongban.tlog.tree import OutsideTree
from tongban.tlog.witness import MOST_BYTES, Witness

_log = logging.getLogger("tongban.node")

#: Requests of one address a second, and at once: whoever follows a log needs two for 256 entries.
PER_SECOND, BURST = 500, 2000

_LONGEST_SAMPLE = 4096
_TEXT = b"text/plain; charset=utf-8"
_WITNESSED = re.compile(rb"/witnessed/([0-9a-f]{64})")
_NONE = Reply(404, [(b"content-type", _TEXT)], b"there is nothing here\n")
_NOT_NOW = Reply(503, [(b"content-type", _TEXT)], b"this cannot be told now\n")
_WRONG_METHOD = Reply(405, [(b"content-type", _TEXT)], b"this path is not asked in this way\n")


class OpenLog:
    """Answers for the paths above; `heads` gives the note to be shown, None while there is none."""

    def __init__(
        self,
        log: Log,
        heads: Callable[[], bytes | None],
        witness: Witness | None,
        origins: Callable[[], list[str]],
        bodies: BodyReader,
        clock: Clock,
        witnesses: Witnesses = dict,
        sealed: bool = False,
    ) -> None:
        """`origins`: names of the logs that this node may be a witness of; `witnesses`: those of its own log.

        `sealed`: of its own log nothing is open but the head.
        """
        self._sealed = sealed
        self._witnesses, self._sampling = witnesses, asyncio.Lock()
        self._log, self._heads, self._witness, self._origins = log, heads, witness, origins
        self._bodies, self._clock = bodies, clock
        self._rate = Buckets(PER_SECOND, BURST)

    async def answer(self, method: str, path: bytes, peer: str, receive: Receive) -> Reply | None:
        """None: the path is none of these."""
        if path == b"/add-checkpoint":
            act = self._add_checkpoint(receive) if method == "POST" else None
        elif path == b"/sample" and not self._sealed:
            act = self._sample(receive) if method == "POST" else None
        elif path == b"/checkpoint" or path.startswith((b"/tile/", b"/witnessed/")):
            act = self._read(path) if method == "GET" else None
        else:
            return None
        if refused := self._rate.refusal(address_of(peer), self._clock.seconds()):
            if act is not None:
                act.close()
            return _refused(refused)
        return _WRONG_METHOD if act is None else await self._done(act)

    async def _done(self, act: Coroutine[Any, Any, Reply]) -> Reply:
        """What a stranger asks for must not fill the log of operation with traces, whatever the disk says."""
        try:
            return await act
        except (TongbanError, OSError) as error:
            _log.error(
                "%s", f"{error.code}: {error.said()}" if isinstance(error, TongbanError) else type(error).__name__
            )
            return _NOT_NOW

    async def _read(self, path: bytes) -> Reply:
        if path == b"/checkpoint":
            note = self._heads()
            return (
                _NONE if note is None else Reply(200, [(b"content-type", _TEXT), (b"cache-control", b"no-cache")], note)
            )
        if found := _WITNESSED.fullmatch(path):
            return await asyncio.to_thread(self._witnessed, found[1].decode())
        tile = read_path(path[1:].decode("latin-1"))
        return _NONE if tile is None or self._sealed else self._tile(tile)

    def _tile(self, tile: Tile) -> Reply:
        try:
            data = self._log.tile(tile)
        except OutsideTree:
            return _NONE
        kept = (b"cache-control", b"public, max-age=31536000, immutable")
        return Reply(200, [(b"content-type", b"application/octet-stream"), kept], data)

    def _witnessed(self, digest: str) -> Reply:
        for origin in self._origins() if self._witness else ():
            if sha256(origin.encode()).hexdigest() == digest:
                note = self._witness.newest(origin) if self._witness else None
                return _NONE if note is None else Reply(200, [(b"content-type", _TEXT)], note)
        return _NONE

    async def _add_checkpoint(self, receive: Receive) -> Reply:
        if self._witness is None:
            return _NONE
        body = await self._bodies.read(receive, MOST_BYTES)
        if isinstance(body, Refused):
            return _refused(body)
        status, content_type, said = await asyncio.to_thread(self._witness.add_checkpoint, body)
        return Reply(status, [(b"content-type", content_type.encode())], said)

    async def _sample(self, receive: Receive) -> Reply:
        body = await self._bodies.read(receive, _LONGEST_SAMPLE)
        if isinstance(body, Refused):
            return _refused(body)
        # One at a time: a day of millions is read for it.
        async with self._sampling:
            found = await asyncio.to_thread(opened, self._log, self._witnesses, body)
        if isinstance(found, Refused):
            return Reply(403, [(b"content-type", _TEXT)], f"{found.reason} ({found.code})\n".encode())
        return Reply(200, [(b"content-type", b"application/json")], orjson.dumps(found))


def _refused(refused: Refused) -> Reply:
    return Reply(status_of(refused.code), [(b"content-type", _TEXT)], f"{refused.reason} ({refused.code})\n".encode())
