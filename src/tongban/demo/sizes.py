"""How large a city is, and in which world (day of handing over) it stands."""

from dataclasses import dataclass
from datetime import date

from tongban.kit.errors import Invalid


class SizeUnknown(Invalid):
    code = "demo.size_unknown"
    message = "There is no city of size {size!r}."
    remedy = "Choose one of: {known}."


class WorldUnknown(Invalid):
    code = "demo.world_unknown"
    message = "There is no demonstration world on {day}."
    remedy = "Choose one of: {known}."


@dataclass(frozen=True, slots=True)
class Size:
    people: int  #: persons in the population register, before duplicate rows
    applications: int  #: lines of the application list, those of military persons not counted
    military: int  #: lines of military persons, on top
    foreigners: int  #: persons in the exit-entry register
    organisations: int  #: enterprises and social bodies
    planted: int  #: applicants set on every situation of the tables, all else in order, spared from dirt
    healable: float = 0.02  #: share of rows (of lines too) whose dirt normalising heals
    unhealable: float = 0.003  #: share of rows of a register whose dirt it does not heal


SIZES = {
    "hamlet": Size(3_000, 400, 4, 80, 220, 1),
    "small": Size(300_000, 30_000, 150, 4_000, 15_000, 3),
    "city": Size(3_000_000, 300_000, 1_500, 40_000, 150_000, 5),
    "metropolis": Size(22_000_000, 3_000_000, 15_000, 200_000, 1_500_000, 5),
}


@dataclass(frozen=True, slots=True)
class World:
    day: date  #: the data is handed over; every register was read this day
    window_from: date  #: first day on which one could apply

    @property
    def at(self) -> date:
        """The evaluation date: last day of the application window, the day before the handing over."""
        return date.fromordinal(self.day.toordinal() - 1)

    @property
    def one_certificate(self) -> bool:
        """Whether the unified social credit code has taken the place of an enterprise's three certificates."""
        return self.at >= date(2015, 10, 1)

    @property
    def old_codes(self) -> bool:
        """Whether a unit may still apply under its old organisation code."""
        return self.at <= date(2017, 12, 31)

    @property
    def investment_counts(self) -> bool:
        """Whether an enterprise may show investment in place of tax."""
        return self.at >= date(2021, 1, 1)

    @property
    def months(self) -> tuple[int, int]:
        """First and last of the 60 months of insurance, counted from year 0."""
        last = self.at.year * 12 + self.at.month - 2
        return last - 59, last

    @property
    def years(self) -> range:
        """The five tax years."""
        return range(self.at.year - 5, self.at.year)


WORLDS = {
    world.day: world
    for world in (
        # Before the revision of 2013: a draw each month.
        World(date(2011, 6, 9), date(2011, 5, 9)),
        World(date(2014, 6, 9), date(2014, 4, 9)),
        # One certificate already, and the departments of before 2018 still.
        World(date(2016, 6, 9), date(2016, 4, 9)),
        World(date(2026, 10, 9), date(2026, 8, 1)),
    )
}

#: Shares of the kinds among applicants [assumed; near what the city published of persons and units].
SHARES = {
    "resident": 0.62,
    "work_permit": 0.04,
    "residence_permit": 0.24,
    "foreign": 0.02,
    "enterprise": 0.06,
    "social_body": 0.01,
}
UNIT_KINDS = ("enterprise", "social_body")


def size_named(name: str) -> Size:
    """Raises SizeUnknown."""
    if name not in SIZES:
        raise SizeUnknown(size=name, known=", ".join(SIZES))
    return SIZES[name]


def world_on(day: date) -> World:
    """Raises WorldUnknown."""
    if day not in WORLDS:
        raise WorldUnknown(day=day, known=", ".join(map(str, WORLDS)))
    return WORLDS[day]
