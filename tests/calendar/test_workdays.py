from datetime import date, timedelta

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongban.calendar.notices import Kind, NoticedDay, read_notices
from tongban.calendar.workdays import Count, Due, WorkingDays, YearNotAnnounced, shipped_calendar

CALENDAR = shipped_calendar()
#: Days from which even long limits stay inside the announced years.
starts = st.dates(min_value=date(2011, 1, 1), max_value=date(2025, 10, 31))
limits = st.integers(0, 60)


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(n) for n in range((last - first).days + 1)]


def test_every_day_from_2011_to_2026_agrees_with_chinesecalendar():
    differing = [
        day
        for day in days(date(2011, 1, 1), date(2026, 12, 31))
        if CALENDAR.is_working(day) != chinese_calendar.is_workday(day)
    ]
    assert differing == []


def test_the_announced_years_are_2011_to_2026():
    assert set(range(2011, 2027)) == CALENDAR.announced


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2014, 6, 2), False),  # Monday, Dragon Boat Festival
        (date(2014, 6, 3), True),
        (date(2014, 5, 4), True),  # Sunday worked for Labour Day
        (date(2014, 6, 7), False),  # an ordinary Saturday
        (date(2011, 12, 31), True),  # Saturday worked under the notice for 2012
        (date(2018, 12, 31), False),  # Monday off under the notice for 2019
        (date(2015, 9, 3), False),
        (date(2015, 9, 6), True),  # Sunday
        (date(2020, 2, 1), False),  # Saturday, first to be worked, then off
    ],
)
def test_a_day_is_what_the_notice_says_and_otherwise_what_the_week_says(day, works):
    assert CALENDAR.is_working(day) is works


def test_a_limit_of_eight_working_days_does_not_count_the_day_of_receipt():
    # Received on Monday 9 June 2014: 10, 11, 12, 13, 16, 17, 18, 19.
    assert CALENDAR.add_working_days(date(2014, 6, 9), 8) == Due(date(2014, 6, 19), False)


def test_a_limit_over_a_holiday_and_a_make_up_sunday_counts_the_days_worked():
    # Received on Tuesday 29 April 2014: 30; 1 to 3 May off; Sunday the 4th worked; 5 to 9; 12.
    assert CALENDAR.add_working_days(date(2014, 4, 29), 8) == Due(date(2014, 5, 12), False)


def test_a_limit_that_begins_on_a_saturday_counts_from_monday():
    assert CALENDAR.add_working_days(date(2014, 6, 7), 1).day == date(2014, 6, 9)


def test_twenty_working_days_over_the_national_day_of_2025_end_on_23_october():
    assert CALENDAR.add_working_days(date(2025, 9, 20), 20) == Due(date(2025, 10, 23), False)


def test_a_limit_of_no_days_ends_where_it_begins():
    assert CALENDAR.add_working_days(date(2014, 6, 7), 0) == Due(date(2014, 6, 7), False)
    assert CALENDAR.add_working_days(date(2031, 6, 7), 0) == Due(date(2031, 6, 7), False)


def test_a_negative_limit_is_no_limit():
    with pytest.raises(ValueError, match="-1"):
        CALENDAR.add_working_days(date(2014, 6, 9), -1)


@given(starts, limits)
def test_a_limit_ends_on_the_day_a_plain_loop_over_chinesecalendar_finds(start, limit):
    day, left = start, limit
    while left:
        day += timedelta(1)
        left -= chinese_calendar.is_workday(day)
    assert CALENDAR.add_working_days(start, limit) == Due(day, False)


@given(starts, limits)
def test_counting_back_gives_the_limit(start, limit):
    assert CALENDAR.count(start, CALENDAR.add_working_days(start, limit).day) == Count(limit, False)


@given(starts, st.integers(1, 60))
def test_a_limit_ends_on_a_working_day_and_a_longer_one_later(start, limit):
    due = CALENDAR.add_working_days(start, limit).day
    assert CALENDAR.is_working(due)
    assert CALENDAR.add_working_days(start, limit + 1).day > due


@given(starts, st.integers(0, 60), st.integers(0, 60))
def test_two_spans_hold_as_many_working_days_as_their_whole(start, first, second):
    middle, end = start + timedelta(first), start + timedelta(first + second)
    parts = CALENDAR.count(start, middle).days + CALENDAR.count(middle, end).days
    assert CALENDAR.count(start, end).days == parts


def test_a_span_of_one_day_holds_no_working_day_and_the_next_day_one():
    assert CALENDAR.count(date(2014, 6, 9), date(2014, 6, 9)) == Count(0, False)
    assert CALENDAR.count(date(2014, 6, 9), date(2014, 6, 10)) == Count(1, False)
    assert CALENDAR.count(date(2014, 6, 6), date(2014, 6, 8)) == Count(0, False)


def test_a_span_that_ends_before_it_begins_is_none():
    with pytest.raises(ValueError, match="2014-06-08"):
        CALENDAR.count(date(2014, 6, 9), date(2014, 6, 8))


def test_a_year_whose_holidays_are_not_announced_has_no_working_days_yet():
    assert CALENDAR.is_working(date(2026, 12, 31))
    assert CALENDAR.is_working(date(2011, 1, 4))
    for day in (date(2027, 1, 4), date(2010, 12, 31)):
        with pytest.raises(YearNotAnnounced, match=str(day.year)) as caught:
            CALENDAR.is_working(day)
        assert caught.value.code == "calendar.year_not_announced"


@pytest.mark.parametrize(
    ("start", "limit", "due"),
    [
        (date(2026, 12, 1), 17, Due(date(2026, 12, 24), False)),
        (date(2026, 12, 1), 18, Due(date(2026, 12, 25), True)),
        (date(2026, 12, 30), 1, Due(date(2026, 12, 31), True)),
        (date(2026, 12, 31), 1, Due(date(2027, 1, 1), True)),  # a Friday; New Year's Day itself is only known by notice
        (date(2026, 12, 31), 2, Due(date(2027, 1, 4), True)),
        (date(2031, 6, 2), 1, Due(date(2031, 6, 3), True)),
        (date(2010, 12, 30), 1, Due(date(2010, 12, 31), True)),
        (date(2010, 12, 30), 3, Due(date(2011, 1, 5), True)),
        (date(2010, 12, 31), 1, Due(date(2011, 1, 4), False)),
    ],
)
def test_a_limit_that_reaches_days_a_coming_notice_may_move_is_provisional(start, limit, due):
    assert CALENDAR.add_working_days(start, limit) == due


def test_a_count_that_reaches_days_a_coming_notice_may_move_is_provisional():
    assert CALENDAR.count(date(2026, 12, 23), date(2026, 12, 24)) == Count(1, False)
    assert CALENDAR.count(date(2026, 12, 23), date(2026, 12, 25)) == Count(2, True)


def test_the_last_week_of_a_year_is_settled_by_the_notice_for_the_next():
    assert CALENDAR.is_settled(date(2025, 12, 31))
    assert CALENDAR.is_settled(date(2026, 12, 24))
    assert not CALENDAR.is_settled(date(2026, 12, 25))
    assert not CALENDAR.is_settled(date(2010, 12, 31))
    assert not CALENDAR.is_settled(date(2027, 6, 1))


def test_no_shipped_notice_reaches_further_back_than_the_last_week_of_the_year_before():
    early = [one.day for one in read_notices() if f"关于{one.day.year + 1}年" in one.notice]
    assert len(early) == 7
    assert min((day.month, day.day) for day in early) == (12, 29)


def test_a_calendar_of_the_past_knows_only_what_was_announced_then():
    before, after = CALENDAR.as_known_on(date(2020, 1, 25)), CALENDAR.as_known_on(date(2020, 1, 26))
    assert before.add_working_days(date(2020, 1, 23), 1).day == date(2020, 1, 31)
    assert after.add_working_days(date(2020, 1, 23), 1).day == date(2020, 2, 3)
    assert before.is_working(date(2020, 2, 1))
    assert not after.is_working(date(2020, 2, 1))


def test_the_next_year_is_announced_on_the_day_of_its_notice():
    before, after = CALENDAR.as_known_on(date(2013, 12, 10)), CALENDAR.as_known_on(date(2013, 12, 11))
    assert before.add_working_days(date(2013, 12, 24), 1).provisional
    assert not after.add_working_days(date(2013, 12, 24), 1).provisional
    assert (2014 in before.announced, 2014 in after.announced) == (False, True)


def test_the_later_of_two_words_about_a_day_holds():
    saturday = date(2020, 2, 1)
    first = NoticedDay(saturday, Kind.MAKEUP, "first", date(2019, 11, 21))
    second = NoticedDay(saturday, Kind.HOLIDAY, "second", date(2020, 1, 26))
    new_year = NoticedDay(date(2020, 1, 1), Kind.HOLIDAY, "first", date(2019, 11, 21))
    assert WorkingDays([new_year, first]).is_working(saturday)
    assert not WorkingDays([new_year, first, second]).is_working(saturday)
