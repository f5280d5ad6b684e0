"""Whether what others promised is kept: each answer's leaf must come to lie under a head that witnesses have seen.

A call does not wait for this. The node comes back for the receipts of its own log, asks the provider's log for its
head and the few tiles that lead there, and says so where a leaf is still missing after the time that policy gives, or
where another leaf stands in its place. How far it has come is kept, so that a restart forgets no receipt.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from tongban.exchange.directory import Directory
from tongban.exchange.listing import Node
from tongban.kit.clock import Clock, unstamp
from tongban.kit.durable import write_durably
from tongban.node.source import DirectorySource, whole
from tongban.tlog.checkpoint import LARGEST, Checkpoint, CheckpointInvalid, verify
from tongban.tlog.cosignature import cosigners
from tongban.tlog.log import Log
from tongban.tlog.tile import WIDTH, Tile
from tongban.tlog.tiled import leaf_under, needed

if TYPE_CHECKING:
    import aiohttp

_log = logging.getLogger("tongban.node")

#: Receipts looked after in one turn, for each log.
AT_ONCE = 2_000
_PATIENCE = 10


class Promised(NamedTuple):
    """A receipt that is not proven yet."""

    own_entry: int
    origin: str
    entry: int
    leaf: str
    at: int  #: when the answer came, seconds since 1970


class Proving:
    """`open` is what is not proven yet, oldest first; `broken` counts receipts that another leaf contradicts."""

    def __init__(self, log: Log, folder: Path, source: DirectorySource, clock: Clock) -> None:
        self._log, self._source, self._clock = log, source, clock
        self._place = folder / "proven.json"
        self._session: aiohttp.ClientSession | None = None
        self.open: list[Promised] = []
        self.broken = 0
        self._read = self._kept()  #: own entries before this one were looked at
        if not self._place.exists():
            self._keep()

    def late(self, seconds: int) -> list[Promised]:
        """Receipts older than so many seconds that are not proven."""
        now = self._clock.seconds()
        return [one for one in self.open if now - one.at > seconds]

    async def turn(self) -> None:
        """Look once after every log in which something was promised."""
        self._take_up()
        directory = self._source.current
        if directory is None or not self.open:
            return
        settled: set[int] = set()
        for origin in {one.origin for one in self.open}:
            node = next((one for one in directory.nodes.values() if one.origin == origin), None)
            if node is not None:
                due = [one for one in self.open if one.origin == origin][:AT_ONCE]
                settled |= await self._proven(directory, node, due)
        self.open = [one for one in self.open if one.own_entry not in settled]
        self._keep()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    # --- own log --------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """The receipts that came since."""
        size = self._log.tree.size
        for one in self._log.entries(self._read):
            if one.index >= size:
                break
            if b'"kind":"answer"' in one.leaf and one.record:
                record = orjson.loads(one.record)
                promise = record["origin"], record["entry"], record["leaf"], unstamp(record["at"])
                self.open.append(Promised(one.index, *promise))
        self._read = size

    def _kept(self) -> int:
        """Where to begin: a log of before receipts were looked after begins with what comes."""
        try:
            return min(int(orjson.loads(self._place.read_bytes())["from"]), self._log.tree.size)
        except (OSError, ValueError, KeyError, TypeError):
            return self._log.tree.size

    def _keep(self) -> None:
        first = min((one.own_entry for one in self.open), default=self._read)
        write_durably(self._place, orjson.dumps({"from": first}))

    # --- another's log --------------------------------------------------------------------------------

    async def _proven(self, directory: Directory, node: Node, due: list[Promised]) -> set[int]:
        """Own entries of those that need no further look."""
        head = await self._head(directory, node)
        covered = [one for one in due if head is not None and one.entry < head.size]
        if head is None or not covered:
            return set()
        tiles = await self._tiles(node, {tile for one in covered for tile in needed(one.entry, head.size)})
        settled = set()
        for one in covered:
            try:
                found = leaf_under(head, one.entry, tiles)
            except KeyError:
                continue
            if found is None:
                continue
            settled.add(one.own_entry)
            if found.hex() != one.leaf:
                # Two signed statements of one provider that exclude each other: it is for a person to show them.
                self.broken += 1
                _log.error("receipt of own entry %s: %s holds another leaf", one.own_entry, one.origin)
        return settled

    async def _head(self, directory: Directory, node: Node) -> Checkpoint | None:
        """The newest head that enough witnesses have seen."""
        note = await self._get(node, "checkpoint", LARGEST)
        keys = directory.log_keys(node.origin, self._clock.seconds())
        if note is None or not keys:
            return None
        try:
            head = verify(note, node.origin, keys)
            if directory.witnessing is not None:
                quorum = directory.witnessing.quorum(node.origin)
                return head if quorum.reached(cosigners(note, quorum.witnesses)) else None
        except CheckpointInvalid:
            return None
        return head

    async def _tiles(self, node: Node, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
        found = {}
        for tile in wanted:
            if (data := await self._get(node, tile.path, 32 * WIDTH)) is not None:
                found[tile] = data
        return found

    async def _get(self, node: Node, path: str, most: int) -> bytes | None:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE, connect=2))
        pin: Any = aiohttp.Fingerprint(bytes.fromhex(node.certificate)) if node.certificate else True
        try:
            async with self._session.get(f"{node.address}/{path}", allow_redirects=False, ssl=pin) as got:
                return await whole(got.content, most) if got.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
