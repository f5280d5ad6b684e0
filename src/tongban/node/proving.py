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

#: Receipts remembered at once; what comes beyond waits in the own log and is read again from there.
MOST = 100_000
#: Bundles of 256 entries of one log that are looked at in one turn.
AT_ONCE = 400
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
        self._left: int | None = self._kept()  #: own entries from here on were not taken up; None: all were
        self._told = self._left  #: what the file says
        self._before = self._left  #: own entries that were there a turn ago: their receipts have come by now
        if not self._place.exists():
            write_durably(self._place, orjson.dumps({"from": self._told}))

    def promised(self, own_entry: int, origin: str, entry: int, leaf: str, at: int) -> None:
        """An answer came, and its entry is in the own log."""
        if self._left is None and len(self.open) < MOST:
            self.open.append(Promised(own_entry, origin, entry, leaf, at))
        elif self._left is None:
            self._left = own_entry

    def late(self, seconds: int) -> list[Promised]:
        """Receipts older than so many seconds that are not proven."""
        now = self._clock.seconds()
        return [one for one in self.open if now - one.at > seconds]

    async def turn(self) -> None:
        """Look once after every log in which something was promised."""
        if self._left is not None and len(self.open) < MOST // 2:
            self._take_up(self._left)
        directory, settled = self._source.current, set()
        for origin in {one.origin for one in self.open} if directory else ():
            node = next((one for one in directory.nodes.values() if one.origin == origin), None) if directory else None
            if directory is not None and node is not None:
                settled |= await self._proven(directory, node, [one for one in self.open if one.origin == origin])
        if settled:
            self.open = [one for one in self.open if one.own_entry not in settled]
        self._keep()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    # --- own log --------------------------------------------------------------------------------------

    def _take_up(self, start: int) -> None:
        """The receipts in the own log from entry `start` on: after a restart, or when there was room again."""
        self._left = None
        for one in self._log.entries(start):
            if len(self.open) >= MOST:
                self._left = one.index
                return
            if b'"kind":"answer"' in one.leaf and one.record:
                record = orjson.loads(one.record)
                at = unstamp(record["at"])
                self.open.append(Promised(one.index, record["origin"], record["entry"], record["leaf"], at))

    def _kept(self) -> int:
        """Where to begin: a log of before receipts were looked after begins with what comes."""
        try:
            return min(int(orjson.loads(self._place.read_bytes())["from"]), self._log.tree.size)
        except (OSError, ValueError, KeyError, TypeError):
            return self._log.tree.size

    def _keep(self) -> None:
        """Own entries before this need no look after a restart."""
        waiting = [one.own_entry for one in self.open[:1]] + ([] if self._left is None else [self._left])
        first = min([*waiting, self._before])
        self._before = self._log.tree.size
        if first != self._told:
            write_durably(self._place, orjson.dumps({"from": first}))
            self._told = first

    # --- another's log --------------------------------------------------------------------------------

    async def _proven(self, directory: Directory, node: Node, due: list[Promised]) -> set[int]:
        """Own entries of those that need no further look."""
        head = await self._head(directory, node)
        bundles: dict[int, list[Promised]] = {}
        for one in due:
            if head is not None and one.entry < head.size:
                bundles.setdefault(one.entry // WIDTH, []).append(one)
        settled: set[int] = set()
        for index in sorted(bundles)[:AT_ONCE]:
            assert head is not None
            first = bundles[index][0].entry
            tiles = await self._tiles(node, needed(first, head.size))
            if tiles is None or leaf_under(head, first, tiles) is None:
                continue
            # What leads from one leaf to the head is made of all others beside it, so they are proven with it.
            hashes = next(data for tile, data in tiles.items() if (tile.level, tile.index) == (0, index))
            for one in bundles[index]:
                self._compare(one, hashes)
                settled.add(one.own_entry)
        return settled

    def _compare(self, one: Promised, hashes: bytes) -> None:
        at = 32 * (one.entry % WIDTH)
        if hashes[at : at + 32].hex() != one.leaf:
            # Two signed statements of one provider that exclude each other: it is for a person to show them.
            self.broken += 1
            _log.error("receipt of own entry %s: %s holds another leaf", one.own_entry, one.origin)

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

    async def _tiles(self, node: Node, wanted: Iterable[Tile]) -> dict[Tile, bytes] | None:
        """None: the log does not give one of them."""
        found = {}
        for tile in wanted:
            data = await self._get(node, tile.path, 32 * WIDTH)
            if data is None or len(data) != 32 * tile.width:
                return None
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
