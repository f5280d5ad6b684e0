"""Evaluation dates: by many dates, verdicts about one person would become that person's dates."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.world import DAY, NOON
from tongban.calendar.day import day_of
from tongban.exchange.dates import SECOND_DATE, Dates, Held

TODAY = day_of(NOON)
EARLIER, LATER = TODAY - timedelta(400), TODAY + timedelta(3)


def taken(dates: Dates, at: date, person: str = "p", now: float = NOON, grant: str = "g") -> Held:
    held = dates.take(grant, person, at, now)
    assert isinstance(held, Held), held
    return held


def answered(dates: Dates, at: date, person: str = "p", now: float = NOON, grant: str = "g") -> None:
    taken(dates, at, person, now, grant).settle(True, now)


def strict() -> Dates:
    return Dates(1, 3, 30)


def test_a_person_is_asked_about_for_one_date():
    dates = strict()
    answered(dates, EARLIER)
    answered(dates, EARLIER)
    assert dates.take("g", "p", LATER, NOON) is SECOND_DATE
    answered(dates, LATER, person="another")
    answered(dates, LATER, grant="another")


def test_the_day_of_asking_is_free_for_nobody_chooses_it():
    dates = strict()
    answered(dates, EARLIER)
    for days in range(5):
        answered(dates, TODAY + timedelta(days), now=NOON + days * DAY)
    assert dates.take("g", "p", TODAY, NOON + DAY) is SECOND_DATE


def test_a_call_that_is_still_running_holds_its_date():
    dates = strict()
    first = taken(dates, EARLIER)
    assert dates.take("g", "p", LATER, NOON) is SECOND_DATE
    first.settle(True, NOON)
    assert dates.take("g", "p", LATER, NOON) is SECOND_DATE


def test_what_was_not_answered_tells_nobody_anything():
    dates = strict()
    first, second = taken(dates, EARLIER), taken(dates, EARLIER)
    first.settle(False, NOON)
    assert dates.take("g", "p", LATER, NOON) is SECOND_DATE
    second.settle(False, NOON)
    answered(dates, LATER)
    assert dates.take("g", "p", EARLIER, NOON) is SECOND_DATE


def test_one_that_fails_beside_one_that_is_answered_frees_nothing():
    dates = strict()
    first, second = taken(dates, EARLIER), taken(dates, EARLIER)
    first.settle(True, NOON)
    second.settle(False, NOON)
    assert dates.take("g", "p", LATER, NOON) is SECOND_DATE


def test_a_date_is_held_so_many_days_since_it_was_last_answered():
    dates = strict()
    answered(dates, EARLIER)
    answered(dates, EARLIER, now=NOON + 20 * DAY)
    assert dates.take("g", "p", LATER, NOON + 50 * DAY - 1) is SECOND_DATE
    answered(dates, LATER, now=NOON + 50 * DAY)


def test_the_batches_of_a_grant_share_their_dates():
    dates = strict()
    for days in (1, 2, 3):
        answered(dates, TODAY - timedelta(days), person="")
    assert dates.take("g", "", EARLIER, NOON) is SECOND_DATE
    answered(dates, TODAY - timedelta(2), person="")
    answered(dates, EARLIER, person="p")


def test_what_is_over_takes_no_memory():
    dates = strict()
    answered(dates, EARLIER)
    held = taken(dates, EARLIER, person="running")
    dates.forget(NOON + 30 * DAY)
    assert [person for _, person in dates._uses] == ["running"]
    held.settle(False, NOON)
    dates.forget(NOON + 30 * DAY)
    assert not dates._uses


def test_a_refused_date_is_not_remembered():
    dates = Dates(0, 0, 30)
    assert dates.take("g", "p", EARLIER, NOON) is SECOND_DATE
    dates.forget(NOON)
    assert not dates._uses


acts = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.integers(-5, 5), st.integers(0, 10 * DAY), st.booleans()
    ), max_size=40
)  # fmt: skip


@given(acts, st.integers(0, 2), st.integers(1, 30))
def test_nobody_is_answered_about_for_more_dates_than_the_node_allows(acts, most, days):
    dates, now = Dates(most, most, days), NOON
    given_out: list[tuple[str, date, float]] = []
    for person, day, later, durable in acts:
        now += later
        at = day_of(now) + timedelta(day)
        held = dates.take("g", person, at, now)
        since = now - days * DAY
        last = {when: then for whose, when, then in given_out if whose == person}
        known = {when for when, then in last.items() if then > since}
        assert isinstance(held, Held) == (day == 0 or at in known or len(known) < most)
        if isinstance(held, Held):
            held.settle(durable, now)
            if durable and day:
                given_out.append((person, at, now))
        elif later % 2:
            dates.forget(now)


@given(acts)
def test_what_is_made_again_from_the_log_refuses_the_same(acts):
    before, after, now = strict(), strict(), NOON
    for person, day, later, durable in acts:
        now += later
        at = day_of(now) + timedelta(day)
        held = before.take("g", person, at, now)
        if isinstance(held, Held):
            held.settle(durable, now)
            if durable:
                after.recall("g", person, at, now)
    for person in "ab":
        for day in range(-20, 20):
            at = day_of(now) + timedelta(day)
            held = before.take("g", person, at, now)
            again = after.take("g", person, at, now)
            assert isinstance(held, Held) == isinstance(again, Held)
            for one in (held, again):
                if isinstance(one, Held):
                    one.settle(False, now)
