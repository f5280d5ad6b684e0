"""Rates: a flood is stopped by who sends it."""

from hypothesis import given
from hypothesis import strategies as st

from tongban.exchange.rate import RATE_LIMITED, Buckets


def test_a_peer_may_call_in_a_burst_and_then_at_its_rate():
    buckets = Buckets(per_second=10, burst=3)
    assert [buckets.refusal("a", 0.0) for _ in range(4)] == [None, None, None, RATE_LIMITED]
    assert buckets.refusal("a", 0.1) is None
    assert buckets.refusal("a", 0.15) is RATE_LIMITED


def test_one_peer_s_flood_does_not_touch_another():
    buckets = Buckets(per_second=1, burst=1)
    assert buckets.refusal("a", 0) is None
    assert buckets.refusal("a", 0) is RATE_LIMITED
    assert buckets.refusal("b", 0) is None


@given(st.lists(st.floats(0, 100), max_size=300))
def test_no_peer_ever_gets_more_than_burst_and_rate(times):
    buckets = Buckets(per_second=2, burst=5)
    taken = [now for now in sorted(times) if buckets.refusal("a", now) is None]
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= 5 + 2 * (taken[last] - taken[first]) + 1e-6


def test_a_clock_set_back_refills_nothing():
    buckets = Buckets(per_second=1, burst=1)
    assert buckets.refusal("a", 100) is None
    assert buckets.refusal("a", 0) is RATE_LIMITED
    assert buckets.refusal("a", 100.5) is RATE_LIMITED
    assert buckets.refusal("a", 101) is None


def test_a_peer_is_told_how_long_to_wait():
    buckets = Buckets(per_second=2, burst=1)
    assert buckets.wait("a") == 0
    buckets.refusal("a", 0)
    assert buckets.refusal("a", 0) is RATE_LIMITED
    assert buckets.wait("a") == 0.5


def test_many_strangers_do_not_fill_the_memory_nor_free_the_one_who_floods():
    buckets = Buckets(per_second=1, burst=2, most_peers=100)
    for n in range(10_000):
        buckets.refusal("flood", n / 1000)
        buckets.refusal(f"stranger-{n}", n / 1000)
    assert len(buckets._held) <= 101
    assert [buckets.refusal("flood", 10) for _ in range(2)][1] is RATE_LIMITED
