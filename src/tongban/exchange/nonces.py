"""Nonces: one signed message counts once.

Two sets take turns, so forgetting is cheap. What they know for certain reaches back to an instant; a
message that may have been accepted before it is refused, whether the memory was lost by a restart or
the clock was set back.
"""

from collections.abc import Iterable
from typing import Final

from tongban.exchange.envelope import SKEW
from tongban.kit.errors import Refused

#: Seconds a set fills before it becomes the older one. A message can be accepted from SKEW before its
#: `created` to SKEW after it, so whatever can still be replayed lies within the last 2 * SKEW, ends included.
WINDOW: Final = 2 * SKEW + 1

REPLAY: Final = Refused("exchange.replay", "this message was received before")
BEFORE_START: Final = Refused("exchange.before_start", "created before this node's memory of messages begins")


class Nonces:
    """Belongs to one thread. `now` is the node's clock in seconds."""

    __slots__ = ("_certain_since", "_newer", "_newer_since", "_older")

    def __init__(self, now: float, rebuilt_since: float | None = None, seen: Iterable[tuple[str, str]] = ()) -> None:
        """`seen` are key id and nonce of every message accepted since `rebuilt_since`, as the log's records say.

        Without them calls are refused until nothing can be replayed any more, at most WINDOW seconds.
        """
        self._newer: set[str] = set()
        self._older = {key_id + nonce for key_id, nonce in seen}
        self._newer_since = now
        self._certain_since = now if rebuilt_since is None else min(now, rebuilt_since)

    def refusal(self, key_id: str, nonce: str, created: int, now: float) -> Refused | None:
        """Remember a message whose signature was found good; say why it does not count, None if it does."""
        if now >= self._newer_since + WINDOW:
            self._turn(now)
        # It could have been accepted as early as SKEW before its `created`.
        if created - SKEW <= self._certain_since:
            return BEFORE_START
        message = key_id + nonce
        if message in self._newer or message in self._older:
            return REPLAY
        self._newer.add(message)
        return None

    def _turn(self, now: float) -> None:
        # After two windows without a message both sets are stale.
        stale = now >= self._newer_since + 2 * WINDOW
        self._older = set() if stale else self._newer
        self._certain_since = max(self._certain_since, now - WINDOW if stale else self._newer_since)
        self._newer, self._newer_since = set(), now

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)
