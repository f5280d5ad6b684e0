"""Nonces: one signed message counts once, whatever the clock does and whenever the node was started."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.world import NOON
from tongban.exchange.envelope import SKEW
from tongban.exchange.nonces import BEFORE_START, REPLAY, WINDOW, Nonces

KEY = "11990100TB0000028B.online.1"


def running(now: float = NOON) -> Nonces:
    """A node that has been up for a while."""
    return Nonces(now, rebuilt_since=0)


def test_a_message_counts_once():
    nonces = running()
    assert nonces.refusal(KEY, "n" * 22, NOON, NOON) is None
    assert nonces.refusal(KEY, "n" * 22, NOON, NOON) is REPLAY
    assert nonces.refusal(KEY, "m" * 22, NOON, NOON) is None


def test_the_same_nonce_of_another_key_is_another_message():
    nonces = running()
    assert nonces.refusal(KEY, "n" * 22, NOON, NOON) is None
    assert nonces.refusal("other.online.1", "n" * 22, NOON, NOON) is None


@given(
    st.lists(st.tuples(st.floats(0, 400), st.floats(-SKEW, SKEW), st.integers(0, 5)), min_size=1, max_size=60),
)
def test_no_message_that_is_still_fresh_is_ever_accepted_twice(story):
    """Messages arrive in time order; each has a nonce and a `created` within the skew, and is sent again and again."""
    nonces, accepted = running(), set()
    sent = []
    for after, skew, nonce in sorted(story):
        now = NOON + after
        sent.append((f"{nonce:022}", int(now + skew)))
        for name, created in sent:
            if abs(now - created) <= SKEW and nonces.refusal(KEY, name, created, now) is None:
                assert (name, created) not in accepted
                accepted.add((name, created))


@given(st.lists(st.floats(0, 10_000), min_size=1, max_size=80))
def test_a_fresh_message_with_a_new_nonce_is_never_refused_on_a_clock_that_runs(times):
    nonces = running()
    for n, after in enumerate(sorted(times)):
        for skew in (-SKEW, 0, SKEW):
            assert nonces.refusal(KEY, f"{n}.{skew}", int(NOON + after + skew + 0.999), NOON + after) is None


def test_what_is_forgotten_could_not_be_replayed_any_more():
    nonces = running()
    for minute in range(10):
        for n in range(100):
            nonces.refusal(KEY, f"{minute}.{n}", NOON + WINDOW * minute, NOON + WINDOW * minute)
    assert len(nonces) == 200


# Restarts


def test_a_restarted_node_refuses_what_it_may_have_answered_before():
    nonces = Nonces(NOON)
    assert nonces.refusal(KEY, "n" * 22, NOON - 1, NOON) is BEFORE_START
    assert nonces.refusal(KEY, "n" * 22, NOON + SKEW, NOON) is BEFORE_START
    assert nonces.refusal(KEY, "n" * 22, NOON + SKEW + 1, NOON + 1) is None


def test_a_node_that_found_its_messages_in_the_log_answers_at_once_but_not_twice():
    nonces = Nonces(NOON, rebuilt_since=NOON - WINDOW, seen=[(KEY, "n" * 22)])
    assert nonces.refusal(KEY, "n" * 22, NOON - 1, NOON) is REPLAY
    assert nonces.refusal(KEY, "m" * 22, NOON - SKEW, NOON) is None


def test_a_rebuilt_memory_that_does_not_reach_back_far_enough_is_not_trusted():
    nonces = Nonces(NOON, rebuilt_since=NOON - 10)
    assert nonces.refusal(KEY, "n" * 22, NOON, NOON) is BEFORE_START


@pytest.mark.parametrize("after", [0, 30, 59, 60, 61, 90])
def test_a_recalled_message_stays_recalled_for_as_long_as_it_is_fresh(after):
    created = NOON + SKEW  # accepted just before the restart, from a clock that runs ahead
    nonces = Nonces(NOON, rebuilt_since=0, seen=[(KEY, "n" * 22)])
    nonces.refusal(KEY, "other", NOON + after, NOON + after)
    if NOON + after - created <= SKEW:
        assert nonces.refusal(KEY, "n" * 22, created, NOON + after) is not None


# Clocks


def test_a_clock_set_back_does_not_revive_a_message():
    nonces = running()
    assert nonces.refusal(KEY, "n" * 22, NOON, NOON) is None
    for minute in range(1, 4):
        nonces.refusal(KEY, f"{minute}", NOON + 60 * minute, NOON + 60 * minute)
    assert nonces.refusal(KEY, "n" * 22, NOON, NOON) is not None


def test_a_clock_that_leapt_and_was_set_back_does_not_either():
    nonces = running()
    assert nonces.refusal(KEY, "n" * 22, NOON, NOON) is None
    assert nonces.refusal(KEY, "m" * 22, NOON + 86400, NOON + 86400) is None
    assert nonces.refusal(KEY, "n" * 22, NOON, NOON) is BEFORE_START
