"""A sealed node's log: looks that a statute keeps secret, in a log of their own of which everybody sees the same.

Hour by hour it grows by the same number of entries, looks first and then padding; only its head at the full hour is
shown, and no leaf. So nothing public tells an hour with looks from one without, nor one person from another.
"""

import asyncio
import os
from typing import Any

from tongban.kit.clock import Clock, unstamp
from tongban.tlog import folder, history
from tongban.tlog.checkpoint import CheckpointInvalid, parse
from tongban.tlog.log import Draft, Entry, Log
from tongban.tlog.storage import AppendRefused

HOUR = 3600
#: Bytes of a padding entry's record, which nobody reads.
_PADDING = 32


class SealedLog(Log):
    """A log that is padded. `pad` is called once, after it is opened."""

    def pad(self, hourly: int, clock: Clock) -> None:
        """`hourly`: entries an hour, no more and no fewer."""
        self._hourly, self._clock = hourly, clock
        self._since = unstamp(folder.identity(self.directory)["created"])
        self._pending, self._turning, self._idle = 0, asyncio.Lock(), asyncio.Event()
        self.head = self._signed = self._kept()

    @property
    def _due(self) -> int:
        """Entries that the full hours so far must have."""
        return self._hourly * max(int((self._clock.seconds() - self._since) // HOUR), 0)

    async def append(self, fields: dict[str, Any], record: dict[str, Any] | None = None, answer: bytes = b"") -> Entry:
        """As in any log, but no more an hour than it has room for.

        Raises as there; AppendRefused: the hour is full. Whoever is not answered is not looked at either.
        """
        await self._turn()
        # What is on its way counts too: the hour must not overflow by those who came together.
        if self.tree.size + self._pending >= self._due + self._hourly:
            raise AppendRefused(directory=self.directory, why="this hour's room for sealed looks is used up")
        self._pending += 1
        try:
            return await super().append(fields, record, answer)
        finally:
            self._pending -= 1
            if not self._pending:
                self._idle.set()

    async def show(self) -> None:
        """Show the head of the last full hour. Raises AppendFailed, DiskFull."""
        await self._turn()
        # Only here, at the node's own pace: a head that came with the first look after the hour would tell of it.
        self.head = self._signed

    async def _turn(self) -> None:
        """Fill up the hours that are over, and sign their head before anything else is added."""
        async with self._turning:
            due = self._due
            if self.tree.size > due or self._signed_size == due:
                return
            while self._pending:
                self._idle.clear()
                await self._idle.wait()
            padding = [Draft({"kind": "suppression", "n": 0}, {"padding": os.urandom(_PADDING).hex()})]
            if missing := due - self.tree.size:
                self.append_many(padding * missing)
            self._signed = self.checkpoint()

    @property
    def _signed_size(self) -> int:
        return parse(self._signed)[0].size if self._signed else 0

    def _kept(self) -> bytes | None:
        """The head of the last full hour that was padded, as it was signed then."""
        found = None
        for note in history.read_all(self.directory)[0]:
            try:
                size = parse(note)[0].size
            except CheckpointInvalid:
                continue
            if size and size % self._hourly == 0 and size <= self._due:
                found = note
        return found
