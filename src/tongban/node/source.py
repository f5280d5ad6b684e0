"""Where a node's directory comes from, and how it keeps the last good one.

The source is a file or an address. When it is gone, answers go on from the adopted directory until it
expires; each grant says how old a directory it bears.
"""

import asyncio
import logging
import os
import random
from pathlib import Path
from typing import Any

from tongban.exchange.directory import Directory, adopt
from tongban.kit.clock import Clock
from tongban.kit.errors import Refused

_log = logging.getLogger("tongban.node.directory")

#: A directory of 10^5 grants has some 100 MB; more is not a directory.
LARGEST = 256 * 1024 * 1024


class DirectorySource:
    """Pulls, judges, keeps. `current` is None until a first directory was adopted."""

    def __init__(self, place: str, kept: Path, pinned_root: str, clock: Clock) -> None:
        self.place, self.kept, self.pinned_root, self._clock = place, kept, pinned_root, clock
        self.current: Directory | None = None
        self.refused: Refused | None = None  #: why the newest one offered was not adopted
        self._seen: Any = None  #: file: (mtime, size); address: ETag

    def load_kept(self) -> None:
        """Begin with the directory on disk, judged again: the disk is not trusted more than the network."""
        if self.kept.is_file():
            self._judge(self.kept.read_bytes(), keep=False)

    async def pull(self) -> bool:
        """Look once. True if a newer directory was adopted. Never raises for a source that is gone."""
        try:
            raw = await self._fetch()
        except OSError as error:
            _log.warning("directory source does not answer: %s", type(error).__name__)
            return False
        return raw is not None and await asyncio.to_thread(self._judge, raw, True)

    async def run(self, every: float) -> None:
        """Pull for ever, each time after `every` seconds give or take a tenth, so that nodes do not pull in step."""
        while True:
            await asyncio.sleep(every * random.uniform(0.9, 1.1))  # noqa: S311  jitter is no secret
            await self.pull()

    def _judge(self, raw: bytes, keep: bool) -> bool:
        found = adopt(self.current, raw, self.pinned_root, self._clock.seconds())
        if isinstance(found, Refused):
            # The same version again is the ordinary case of a source that re-reads its file.
            self.refused = None if found.code == "exchange.directory_unchanged" else found
            if self.refused:
                _log.warning("directory not adopted: %s", found.code)
            return False
        if keep:
            _write_durably(self.kept, raw)
        self.current, self.refused = found, None
        return True

    async def _fetch(self) -> bytes | None:
        if self.place.startswith(("http://", "https://")):
            return await self._fetch_address()
        return await asyncio.to_thread(self._fetch_file)

    def _fetch_file(self) -> bytes | None:
        path = Path(self.place)
        state = path.stat()
        seen = (state.st_mtime_ns, state.st_size)
        if seen == self._seen:
            return None
        raw = path.read_bytes()
        self._seen = seen
        return raw

    async def _fetch_address(self) -> bytes | None:
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
                raw = await got.content.read(LARGEST)
                self._seen = got.headers.get("ETag")
                return raw
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionError(type(error).__name__) from None


def _write_durably(path: Path, data: bytes) -> None:
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
