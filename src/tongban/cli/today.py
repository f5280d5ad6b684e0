"""The day on which a command acts, where none is named: the same that the nodes go by."""

from datetime import date

from tongban.calendar.day import day_of
from tongban.kit.clock import MachineClock


def today() -> date:
    return day_of(MachineClock().seconds())
