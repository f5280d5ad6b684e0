"""Working days: what the week says, unless a notice says otherwise.

Counting: the day on which a limit begins to run does not count (Civil Code, article 201); limits of
licensing run in working days, without holidays (Administrative Licensing Law, article 82).
"""

from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache
from typing import NamedTuple

from tongban.calendar.notices import Kind, NoticedDay, known_on, read_notices
from tongban.kit.errors import Unavailable

ONE_DAY = timedelta(days=1)
#: From this day on the notice for the *next* year may still move a day: that for 2012 made Saturday
#: 31 December 2011 a working day, that for 2019 gave Monday 31 December 2018 off. None reached further
#: back than the 29th.
YEAR_END = (12, 25)


class YearNotAnnounced(Unavailable):
    code = "calendar.year_not_announced"
    message = "The holidays of {year} are not announced."
    remedy = "Add the State Council's notice for that year to the calendar; it comes in the autumn before."


class Due(NamedTuple):
    """A day on which a limit ends. Provisional: a notice that is still to come may move it."""

    day: date
    provisional: bool


class Count(NamedTuple):
    """A number of working days. Provisional: a notice that is still to come may change it."""

    days: int
    provisional: bool


class WorkingDays:
    """The calendar that a set of notices makes. A year is announced once its 1 January is named."""

    def __init__(self, days: Iterable[NoticedDay]) -> None:
        """`days` in the order of the table: the later of two words about a day holds."""
        self._days = tuple(days)
        self._works = {one.day: one.kind is Kind.MAKEUP for one in self._days}
        self.announced = frozenset(day.year for day in self._works if (day.month, day.day) == (1, 1))

    def as_known_on(self, today: date) -> "WorkingDays":
        """The calendar as it stood on `today`, before notices of a later date."""
        return WorkingDays(known_on(self._days, today))

    def is_working(self, day: date) -> bool:
        """Whether work is done on `day`. Raises YearNotAnnounced.

        In the last week of a year the answer may still change: ask `is_settled`.
        """
        if day.year not in self.announced:
            raise YearNotAnnounced(year=day.year)
        return self._works_on(day)

    def is_settled(self, day: date) -> bool:
        """Whether no yearly notice that is still to come can change `day`."""
        if (day.month, day.day) >= YEAR_END and day.year + 1 not in self.announced:
            return False
        return day.year in self.announced

    def add_working_days(self, start: date, count: int) -> Due:
        """The day on which a limit of `count` working days ends; `start` itself does not count.

        A limit of 0 ends on `start`. Raises ValueError: `count` is negative.
        """
        if count < 0:
            raise ValueError(f"a limit has no negative number of days: {count}")
        day, settled = start, True
        while count:
            day += ONE_DAY
            settled = settled and self.is_settled(day)
            count -= self._works_on(day)
        return Due(day, not settled)

    def count(self, start: date, end: date) -> Count:
        """Working days after `start` up to and with `end`. Raises ValueError: `end` lies before `start`."""
        if end < start:
            raise ValueError(f"{end} lies before {start}")
        days = [start + ONE_DAY * n for n in range(1, (end - start).days + 1)]
        return Count(sum(map(self._works_on, days)), not all(map(self.is_settled, days)))

    def _works_on(self, day: date) -> bool:
        """What the notices say, and for a day they do not name, the week."""
        return self._works.get(day, day.weekday() < 5)


@cache
def shipped_calendar() -> WorkingDays:
    """The national calendar that ships with this version."""
    return WorkingDays(read_notices())
