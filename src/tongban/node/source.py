"""Where a node's directory comes from, and how it keeps the last good one.

The source is a file or an address. When it is gone, answers go on from the adopted directory until it
expires; each grant says how old a directory it bears. Beside the kept directory stands what no later one
can take back, so that neither a restart nor an old copy of the file revives a key or a grant.
"""

import asyncio
import contextlib
import logging
import random
from pathlib import Path
from typing import Any

import msgspec

from tongban.exchange.authority import Memory
from tongban.exchange.directory import Directory, adopt
from tongban.kit.clock import Clock
from tongban.kit.durable import write_durably
from tongban.kit.errors import Corrupt, Refused

_log = logging.getLogger("tongban.node.directory")

#: A directory of 10^5 grants has some 100 MB; more is not a directory.
LARGEST = 256 * 1024 * 1024
#: Seconds between two looks that others can bring about. A key signs later than that after it was published.
AGAIN = 2
#: Refusals that depend on this node's clock: the same directory may be adopted once that is set right.
_OF_TIME = frozenset({"exchange.directory_ahead", "exchange.directory_expired", "exchange.root_expired"})
_UNREADABLE = Refused("node.directory_unreadable", "the kept directory.json cannot be read")


class MemoryUnreadable(Corrupt):
    """What earlier directories said is lost: an old one could pass for the newest."""

    code = "node.directory_memory"
    message = "{file} cannot be read ({what}), so this node cannot tell an old directory from the newest."
    remedy = "Restore the file; or remove it once you have compared the city's newest version with other nodes'."


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """The file beside the kept directory. Another pin is another city's story: what was remembered does not count."""

    pin: str
    memory: Memory


class DirectorySource:
    """Pulls, judges, keeps. `current` is None until a first directory was adopted."""

    def __init__(self, place: str, kept: Path, pinned_root: str, clock: Clock) -> None:
        self.place, self.kept, self.pinned_root, self._clock = place, kept, pinned_root, clock
        self.current: Directory | None = None
        self.refused: Refused | None = None  #: why the newest one offered was not adopted
        self._memory = Memory()  #: of before this process
        self._seen: Any = None  #: file: (inode, mtime, size); address: ETag
        self._unkept = False  #: the disk did not take the directory in force
        self._turn = asyncio.Lock()  #: one looks at a time
        self._looked = 0.0  #: in the loop's time
        self._looking: asyncio.Task[None] | None = None  #: on behalf of those who used an unknown key

    @property
    def memory_place(self) -> Path:
        """What no later directory can take back."""
        return self.kept.with_name("directory-memory.json")

    def load_kept(self) -> None:
        """Begin with the directory on disk, judged again: the disk is not trusted more than the network.

        Raises MemoryUnreadable.
        """
        self._memory = self._remembered()
        try:
            raw = self.kept.read_bytes()
        except FileNotFoundError:
            return
        except OSError:
            self.refused = _UNREADABLE
            return
        if self._judge(raw) and self.current and self.current.memory != self._memory:
            # On a disk that takes nothing now, the next directory is written with its memory.
            with contextlib.suppress(OSError):
                self._keep_memory(self.current.memory)

    async def pull(self) -> bool:
        """Look once. True if a newer directory was adopted. Never raises for a source that is gone."""
        async with self._turn:
            return await self._pull()

    async def look_again(self, known: Directory) -> bool:
        """Look at once for one that is newer than `known`, for somebody used a key that it does not list.

        Whoever makes keys up must not send this node to the bureau with each of them: it looks once in AGAIN seconds.
        """
        if self.current is not known:
            return True
        if self._looking is None or self._looking.done():
            if not self._turn.locked() and asyncio.get_running_loop().time() < self._looked + AGAIN:
                return False
            self._looking = asyncio.create_task(self._look())
        # A bureau that is slow must not hold up whoever asks: the look goes on, and the next one profits.
        await asyncio.wait({self._looking}, timeout=AGAIN)
        return self.current is not known

    async def _pull(self) -> bool:
        self._looked = asyncio.get_running_loop().time()
        try:
            fetched = await self._fetch()
        except OSError as error:
            _log.warning("directory source does not answer: %s", type(error).__name__)
            return False
        return fetched is not None and await asyncio.to_thread(self._take, *fetched)

    async def run(self, every: float) -> None:
        """Pull for ever, each time after `every` seconds give or take a tenth, so that nodes do not pull in step."""
        while True:
            await asyncio.sleep(every * random.uniform(0.9, 1.1))  # noqa: S311  jitter is no secret
            await self._look()

    async def _look(self) -> None:
        try:
            await self.pull()
        except Exception as error:
            # Whatever a source sends, the next one must be heard: it may revoke a key.
            _log.error("directory not adopted: %s", type(error).__name__)

    def _take(self, raw: bytes, seen: Any) -> bool:
        adopted = self._judge(raw)
        if self.refused is None and (adopted or self._unkept):
            self._keep(raw)
        # Whatever may end otherwise next time is fetched again.
        again = self.refused.code in _OF_TIME if self.refused else self._unkept
        self._seen = None if again else seen
        return adopted

    def _judge(self, raw: bytes) -> bool:
        found = adopt(self.current or self._memory, raw, self.pinned_root, self._clock.seconds())
        if isinstance(found, Refused):
            # The same version again is the ordinary case of a source that re-reads its file.
            self.refused = None if found.code == "exchange.directory_unchanged" else found
            if self.refused:
                _log.warning("directory not adopted: %s", found.code)
            return False
        self.current, self.refused = found, None
        return True

    # --- keeping --------------------------------------------------------------------------------------

    def _keep(self, raw: bytes) -> None:
        """Write the directory in force; a full disk must not keep a revocation from being heeded."""
        assert self.current is not None
        try:
            # In this order: a crash between the two leaves a directory newer than the memory, which is adopted.
            write_durably(self.kept, raw)
            self._keep_memory(self.current.memory)
        except OSError as error:
            _log.warning("directory in force cannot be written: %s", type(error).__name__)
            self._unkept = True
        else:
            self._unkept = False

    def _keep_memory(self, memory: Memory) -> None:
        write_durably(self.memory_place, msgspec.json.encode(_Kept(self.pinned_root, memory)))

    def _remembered(self) -> Memory:
        try:
            held = msgspec.json.decode(self.memory_place.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return Memory()
        except (OSError, ValueError) as error:
            raise MemoryUnreadable(file=self.memory_place.name, what=type(error).__name__) from None
        return held.memory if held.pin == self.pinned_root else Memory()

    # --- fetching -------------------------------------------------------------------------------------

    async def _fetch(self) -> tuple[bytes, Any] | None:
        """The directory and what to know it by; None if it is the one seen last. Raises OSError."""
        if self.place.startswith(("http://", "https://")):
            return await self._fetch_address()
        return await asyncio.to_thread(self._fetch_file)

    def _fetch_file(self) -> tuple[bytes, Any] | None:
        path = Path(self.place)
        state = path.stat()
        seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        if seen == self._seen:
            return None
        if state.st_size > LARGEST:
            raise OSError("larger than any directory")
        return path.read_bytes(), seen

    async def _fetch_address(self) -> tuple[bytes, Any] | None:
        import aiohttp

        headers = {"If-None-Match": self._seen} if self._seen else {}
        timeout = aiohttp.ClientTimeout(total=60, connect=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self.place, headers=headers) as got,
            ):
                if got.status == 304:
                    return None
                if got.status != 200:
                    raise ConnectionError(f"status {got.status}")
                return await whole(got.content, LARGEST), got.headers.get("ETag")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionError(type(error).__name__) from None


class TooLarge(ConnectionError):
    """More bytes than anything that was asked for has."""


async def whole(content: Any, most: int) -> bytes:
    """All of a body that another sends, whatever length it announced. Raises TooLarge beyond `most` bytes."""
    parts, size = [], 0
    async for part in content.iter_any():
        parts.append(part)
        size += len(part)
        if size > most:
            raise TooLarge(f"more than {most} bytes")
    return b"".join(parts)
