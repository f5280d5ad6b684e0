"""Days are those of the law, not of a machine."""

import time
from collections.abc import Iterator
from datetime import date

import pytest

from tongban.calendar.day import day_of
from tongban.kit.clock import unstamp


@pytest.fixture(params=["UTC", "Asia/Shanghai", "America/New_York", "Pacific/Kiritimati"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that is set to some zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2014-06-08T15:59:59Z", "2014-06-08"),
        ("2014-06-08T16:00:00Z", "2014-06-09"),
        ("2014-06-08T23:59:59Z", "2014-06-09"),
        ("2014-06-09T00:00:00Z", "2014-06-09"),
        ("2014-06-09T15:59:59Z", "2014-06-09"),
        ("2014-12-31T16:00:00Z", "2015-01-01"),
        ("2016-02-28T16:00:00Z", "2016-02-29"),
    ],
)
def test_a_day_begins_at_midnight_in_beijing_wherever_the_machine_is_set_to(machine: None, instant: str, day: str):
    assert day_of(unstamp(instant)) == date.fromisoformat(day)


def test_the_last_fraction_of_a_day_is_of_that_day() -> None:
    assert day_of(unstamp("2014-06-08T16:00:00Z") - 0.001) == date(2014, 6, 8)
