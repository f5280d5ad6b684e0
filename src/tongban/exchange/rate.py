"""Token buckets: how many calls a peer may make, judged before its signature is.

A bad signature costs as much to find as a good one, so a flood is stopped by who sends it.
"""

from typing import Final

from tongban.kit.errors import Refused

RATE_LIMITED: Final = Refused("exchange.rate_limited", "more calls than this node takes from one peer; try again soon")


class Buckets:
    """One bucket a peer: `burst` calls at once, refilled with `per_second`. Belongs to one thread."""

    __slots__ = ("_burst", "_held", "_most", "_per_second")

    def __init__(self, per_second: float, burst: float, most_peers: int = 10_000) -> None:
        self._per_second, self._burst, self._most = per_second, burst, most_peers
        self._held: dict[str, list[float]] = {}  #: peer: calls left, and when that was

    def refusal(self, peer: str, now: float) -> Refused | None:
        """Take one call of `peer`; say so if none is left. `now` in seconds; a clock set back refills nothing."""
        bucket = self._held.get(peer)
        if bucket is None:
            if len(self._held) >= self._most:
                self._forget(now)
            self._held[peer] = [self._burst - 1, now]
            return None
        left, since = bucket
        if now > since:
            left += (now - since) * self._per_second
            if left > self._burst:
                left = self._burst
            bucket[1] = now
        if left < 1:
            bucket[0] = left
            return RATE_LIMITED
        bucket[0] = left - 1
        return None

    def wait(self, peer: str) -> float:
        """Seconds until `peer` may call again, as of its last call."""
        bucket = self._held.get(peer)
        return 0.0 if bucket is None else max(0.0, (1 - bucket[0]) / self._per_second)

    def _forget(self, now: float) -> None:
        """Drop the full buckets, which say nothing; if all are in use, the half that was asked longest ago."""
        busy = {
            peer: held
            for peer, held in self._held.items()
            if held[0] + (now - held[1]) * self._per_second < self._burst
        }
        if len(busy) >= self._most:
            newest = sorted(busy, key=lambda peer: busy[peer][1])[len(busy) // 2 :]
            busy = {peer: busy[peer] for peer in newest}
        self._held = busy
