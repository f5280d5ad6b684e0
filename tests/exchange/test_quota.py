"""Quotas: what a grant may cost in a window, charged once and never lost."""

from hypothesis import given
from hypothesis import strategies as st

from tests.world import DAY, HOUR, NOON
from tongban.exchange.grant import LONGEST_WINDOW, Quota
from tongban.exchange.quota import SPENT, Quotas, Reservation

THREE = Quota(calls=3, persons=5, window_seconds=DAY)


def reserved(
    quotas: Quotas, persons: int = 1, now: float = NOON, quota: Quota = THREE, scope: str = "g"
) -> Reservation:
    found = quotas.reserve(scope, quota, persons, now)
    assert isinstance(found, Reservation), found
    return found


def test_calls_are_counted_to_the_last_and_no_further():
    quotas = Quotas()
    for _ in range(3):
        quotas.commit(reserved(quotas), 1)
    assert quotas.reserve("g", THREE, 1, NOON) is SPENT


def test_persons_are_counted_to_the_last_and_no_further():
    quotas = Quotas()
    quotas.commit(reserved(quotas, 4), 4)
    assert quotas.reserve("g", THREE, 2, NOON) is SPENT
    quotas.commit(reserved(quotas, 1), 1)


def test_two_calls_in_flight_never_share_the_last_place():
    quotas = Quotas()
    held = [reserved(quotas) for _ in range(3)]
    assert quotas.reserve("g", THREE, 1, NOON) is SPENT
    quotas.release(held[0])
    assert isinstance(quotas.reserve("g", THREE, 1, NOON), Reservation)


def test_a_call_without_an_answer_costs_nothing():
    quotas = Quotas()
    for _ in range(10):
        quotas.release(reserved(quotas, 5))
    assert isinstance(quotas.reserve("g", THREE, 5, NOON), Reservation)


def test_a_reservation_is_settled_once():
    quotas = Quotas()
    first = reserved(quotas, 2)
    quotas.commit(first, 2)
    quotas.release(first)
    quotas.release(first)
    reserved(quotas, 3)
    assert quotas.reserve("g", THREE, 1, NOON) is SPENT


def test_what_was_reserved_and_not_used_is_given_back():
    quotas = Quotas()
    quotas.commit(reserved(quotas, 5), 2)
    quotas.commit(reserved(quotas, 3), 9)
    assert quotas.reserve("g", THREE, 1, NOON) is SPENT


def test_a_new_window_begins_with_nothing_spent_and_an_old_reservation_does_not_touch_it():
    quotas = Quotas()
    old = [reserved(quotas) for _ in range(3)]
    new = [reserved(quotas, now=NOON + DAY) for _ in range(3)]
    quotas.release(old[0])
    assert quotas.reserve("g", THREE, 1, NOON + DAY) is SPENT
    quotas.release(new[0])
    assert isinstance(quotas.reserve("g", THREE, 1, NOON + DAY), Reservation)


def test_a_clock_set_back_opens_no_window_anew():
    quotas = Quotas()
    for _ in range(3):
        reserved(quotas, now=NOON + DAY)
    assert quotas.reserve("g", THREE, 1, NOON) is SPENT


def test_scopes_do_not_touch_each_other():
    quotas = Quotas()
    for _ in range(3):
        reserved(quotas)
    assert isinstance(quotas.reserve("other", THREE, 1, NOON), Reservation)


def test_counters_survive_a_restart_through_the_log():
    quotas = Quotas()
    quotas.charge("g", THREE, 5, NOON - DAY)
    quotas.charge("g", THREE, 2, NOON - HOUR)
    quotas.charge("g", THREE, 2, NOON)
    assert quotas.reserve("g", THREE, 2, NOON) is SPENT
    assert isinstance(quotas.reserve("g", THREE, 1, NOON), Reservation)


def test_old_windows_are_forgotten_and_running_ones_are_not():
    quotas = Quotas()
    reserved(quotas, 5)
    quotas.forget(NOON - DAY)
    assert quotas.reserve("g", THREE, 1, NOON) is SPENT
    quotas.forget(NOON + 1)
    assert isinstance(quotas.reserve("g", THREE, 1, NOON), Reservation)


def test_the_longest_window_is_forgotten_when_it_is_over_and_not_a_second_before():
    year = Quota(calls=3, persons=5, window_seconds=LONGEST_WINDOW)
    start = NOON // LONGEST_WINDOW * LONGEST_WINDOW
    quotas = Quotas()
    quotas.charge("g", year, 5, start)
    for now in (NOON, start + LONGEST_WINDOW - 1):
        quotas.forget(now - LONGEST_WINDOW)
        assert quotas.reserve("g", year, 1, now) is SPENT
    quotas.forget(start + LONGEST_WINDOW + 1 - LONGEST_WINDOW)
    assert quotas._windows == {}


@given(st.lists(st.tuples(st.sampled_from(["reserve", "commit", "release"]), st.integers(0, 4)), max_size=80))
def test_whatever_happens_never_more_is_answered_than_the_quota(story):
    quotas, open_, answered = Quotas(), [], []
    for step, persons in story:
        if step == "reserve":
            found = quotas.reserve("g", THREE, persons, NOON)
            if isinstance(found, Reservation):
                open_.append(found)
        elif open_:
            one = open_.pop(persons % len(open_))
            if step == "commit":
                quotas.commit(one, one.persons)
                answered.append(one.persons)
            else:
                quotas.release(one)
    assert len(answered) <= THREE.calls
    assert sum(answered) <= THREE.persons
