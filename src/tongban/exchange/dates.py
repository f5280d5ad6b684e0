"""Evaluation dates: a person is asked about for one day, or verdicts would become that person's dates.

A rule answers yes or no for a day. Whoever may choose many days finds the one on which the answer turns: when a
marriage was registered, when a licence was lost. The day on which a call is made is free, for nobody chooses it.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Final

from tongban.calendar.day import day_of
from tongban.kit.errors import Refused

SECOND_DATE: Final = Refused("exchange.second_date", "this grant was used for another evaluation date not long ago")

_Day = int  #: as `date.toordinal`
_Whose = tuple[str, str]  #: grant, person; an empty person stands for the batches of a grant


@dataclass(slots=True)
class _Use:
    """How a day was asked for."""

    running: int = 0  #: calls that have no answer yet
    answered_at: float = 0  #: when one was last answered; 0 if none was


@dataclass(slots=True, eq=False)
class Held:
    """A day that one call is about; settled once, when the call ends."""

    uses: dict[_Day, _Use] = field(default_factory=dict)
    day: _Day = 0

    def settle(self, answered: bool, now: float) -> None:
        """`answered`: durably. What was not answered tells nobody anything, and its day is free again."""
        use = self.uses.get(self.day)
        if use is None:
            return
        use.running -= 1
        if answered:
            use.answered_at = max(use.answered_at, now)
        elif not use.running and not use.answered_at:
            del self.uses[self.day]


class Dates:
    """Days by grant and person, other than the day of asking. Belongs to one thread; made again from the log."""

    __slots__ = ("_days", "_most_a_person", "_most_of_batches", "_uses")

    def __init__(self, most_a_person: int, most_of_batches: int, days: int) -> None:
        """So many dates a person, and for the batches of a grant, within `days` since each was last answered."""
        self._most_a_person, self._most_of_batches, self._days = most_a_person, most_of_batches, days
        self._uses: dict[_Whose, dict[_Day, _Use]] = {}

    def take(self, grant: str, person: str, at: date, now: float) -> Held | Refused:
        """Hold `at` for one call under `grant` about `person` (a pseudonym; empty for a batch)."""
        if at == day_of(now):
            return Held()
        whose, day = (grant, person), at.toordinal()
        uses = self._uses.setdefault(whose, {})
        use = uses.get(day)
        if use is None:
            self._expire(uses, now)
            if len(uses) >= (self._most_a_person if person else self._most_of_batches):
                return SECOND_DATE
            use = uses[day] = _Use()
            # It may have been dropped as empty a moment ago.
            self._uses[whose] = uses
        use.running += 1
        return Held(uses, day)

    def recall(self, grant: str, person: str, at: date, answered_at: float) -> None:
        """What the log says was answered."""
        if at != day_of(answered_at):
            use = self._uses.setdefault((grant, person), {}).setdefault(at.toordinal(), _Use())
            use.answered_at = max(use.answered_at, answered_at)

    def forget(self, now: float) -> None:
        """Drop what no call will be held against any more."""
        for whose, uses in list(self._uses.items()):
            self._expire(uses, now)
            if not uses:
                del self._uses[whose]

    def _expire(self, uses: dict[_Day, _Use], now: float) -> None:
        since = now - self._days * 86_400
        for day in [day for day, use in uses.items() if not use.running and use.answered_at <= since]:
            del uses[day]
