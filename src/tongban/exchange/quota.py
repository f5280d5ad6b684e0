"""Quotas: how many calls and persons a grant may cost in a window.

Reserve before the register is read, commit when the answer is durable, release when there was none.
What is reserved counts as spent, so two calls in flight can never share the last place. That a call
repeated under its idempotency key is charged once follows from the gate's order: a repeat is answered
before anything is reserved.
"""

from dataclasses import dataclass
from typing import Final

from tongban.exchange.grant import Quota
from tongban.kit.errors import Refused

SPENT: Final = Refused("exchange.quota_spent", "the grant's quota for this window is spent")


@dataclass(slots=True)
class _Window:
    start: int  #: seconds since 1970
    calls: int = 0
    persons: int = 0


@dataclass(slots=True, eq=False)
class Reservation:
    """Settled once, by commit or release; whatever comes after has no effect."""

    window: _Window
    persons: int
    open: bool = True


class Quotas:
    """Counters by scope (a grant's id, or narrower). Belongs to the one process that owns the log.

    Windows are fixed and begin at multiples of their length since 1970, so that a counter can be made
    again from the log's records.
    """

    __slots__ = ("_windows",)

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def reserve(self, scope: str, quota: Quota, persons: int, now: float) -> Reservation | Refused:
        """Take one call about `persons` out of the window that `now` lies in."""
        window = self._window(scope, quota, now)
        if window.calls + 1 > quota.calls or window.persons + persons > quota.persons:
            return SPENT
        window.calls += 1
        window.persons += persons
        return Reservation(window, persons)

    def commit(self, reservation: Reservation, persons: int) -> None:
        """The call was answered about `persons`; of what was reserved, the rest is given back."""
        if reservation.open:
            reservation.open = False
            reservation.window.persons -= max(0, reservation.persons - persons)

    def release(self, reservation: Reservation) -> None:
        """There was no answer: nothing was spent."""
        if reservation.open:
            reservation.open = False
            reservation.window.calls -= 1
            reservation.window.persons -= reservation.persons

    def charge(self, scope: str, quota: Quota, persons: int, at: float) -> None:
        """Count a call that the log says was answered `at`: how counters survive a restart. In order of time."""
        window = self._window(scope, quota, at)
        window.calls += 1
        window.persons += persons

    def spent(self) -> list[tuple[str, int, int]]:
        """Calls and persons by scope, in the windows that are open."""
        return [(scope, window.calls, window.persons) for scope, window in self._windows.items()]

    def forget(self, before: float) -> None:
        """Drop the counters of windows that began before; for scopes that come and go, such as cases."""
        self._windows = {scope: held for scope, held in self._windows.items() if held.start >= before}

    def _window(self, scope: str, quota: Quota, now: float) -> _Window:
        start = int(now) // quota.window_seconds * quota.window_seconds
        window = self._windows.get(scope)
        # A clock set back must not open a window anew: the later one stays in force.
        if window is None or window.start < start:
            window = self._windows[scope] = _Window(start)
        return window
