"""Time as an argument. Rooms never ask the machine; they are given a clock."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Seconds since 1970 UTC. Two clocks exist: the machine's, and one that a test moves."""

    def seconds(self) -> float: ...


class MachineClock:
    def seconds(self) -> float:
        return time.time()


class MovedClock:
    """A clock that stands still until somebody moves it."""

    def __init__(self, start: float) -> None:
        self.now = start

    def seconds(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


def stamp(seconds: float) -> str:
    """RFC 3339 in UTC with whole seconds, "2014-06-09T01:02:03Z": how time stands in every statement."""
    return _stamp(int(seconds))


@lru_cache(maxsize=256)
def _stamp(seconds: int) -> str:
    # Thousands of entries share a second; writing it out once is a twentieth of a call's own work.
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unstamp(text: str) -> int:
    """Seconds of a `stamp`; ValueError for any other spelling."""
    moment = int(datetime.fromisoformat(text).timestamp()) if text.isascii() and text.endswith("Z") else None
    if moment is None or _stamp(moment) != text:
        raise ValueError("not a time in the form 2014-06-09T01:02:03Z")
    return moment
