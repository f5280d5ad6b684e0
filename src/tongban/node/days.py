"""The days of the log: how often each person was looked at, committed to soon after midnight, Beijing time.

A process of its own counts (tongban.node.tally); here its results become entries, one a day, days without a look too.
What a crash interrupts is counted again: only what stands in the log has happened.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import orjson

from tongban.calendar.day import day_of
from tongban.kit.clock import Clock, unstamp
from tongban.kit.errors import Unavailable
from tongban.tlog import day_file, folder
from tongban.tlog.log import Log
from tongban.tlog.tile import bundles, leaves_of

#: Seconds after midnight at which a day is counted: calls that began before it have come to their end.
SETTLED = 600


class DayNotCounted(Unavailable):
    """The process that counts did not come to its end."""

    code = "node.day_not_counted"
    message = "The looks of {day} could not be counted ({what}); nothing was committed to."
    remedy = "It is tried again by itself. See that the disk has room and ./tongban log verify finds the log whole."


class Days:
    """Commits the log to its days. `before` finishes what has to be in the log for a count to be whole."""

    def __init__(self, log: Log, clock: Clock, before: Callable[[], Awaitable[Any]]) -> None:
        self._log, self._clock, self._before = log, clock, before
        self._counted: tuple[date, int] | None = None  #: newest day in the log, and the first entry that it leaves

    async def publish(self) -> int:
        """Commit to every day that is over and not in the log yet; how many those were.

        Raises DayNotCounted, AppendFailed, DiskFull, AppendRefused, and what `before` raises: to be tried again.
        """
        if self._counted is None:
            self._counted = await self._newest()
        day, first = self._counted
        through = day_of(self._clock.seconds() - SETTLED) - timedelta(days=1)
        if day >= through:
            return 0
        await self._before()
        self._tidy(day)
        bodies = await self._tallied(first, day + timedelta(days=1), through)
        for body in bodies:
            await self._log.append({"kind": "day-count", "body": body})
            self._counted = date.fromisoformat(body["day"]), body["until"]
        return len(bodies)

    async def _newest(self) -> tuple[date, int]:
        """From the log itself; before its first count, the day before it was made."""
        for tile in reversed([*bundles(self._log.tree.size)]):
            for leaf in reversed(leaves_of(tile, self._log.tile(tile))):
                if b'"kind":"day-count"' in leaf and (body := orjson.loads(leaf).get("body")):
                    return date.fromisoformat(body["day"]), body["until"]
            # The log is read while the node answers.
            await asyncio.sleep(0)
        made = unstamp(folder.identity(self._log.directory)["created"])
        return day_of(made) - timedelta(days=1), 0

    def _tidy(self, day: date) -> None:
        """Erase what a count left behind that never came into the log: nobody can be proved anything by it."""
        for path in (self._log.directory / day_file.FOLDER).glob("*"):
            if path.name.partition(".")[0] > day.isoformat():
                path.unlink(missing_ok=True)

    async def _tallied(self, first: int, since: date, through: date) -> list[dict[str, Any]]:
        asked = {
            "log": str(self._log.directory), "first": first, "size": self._log.tree.size,
            "since": since.isoformat(), "through": through.isoformat(),
        }  # fmt: skip
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tongban.node.tally",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            said, _ = await child.communicate(json.dumps(asked).encode())
        except asyncio.CancelledError:
            child.kill()
            raise
        if child.returncode:
            raise DayNotCounted(day=since.isoformat(), what=f"status {child.returncode}")
        return [orjson.loads(line) for line in said.splitlines()]
