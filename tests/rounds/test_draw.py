import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rounds.world import (
    COMMITMENTS,
    REVEALS,
    a_line,
    a_unit,
    decided,
    drawn,
    freeze_it,
    frozen,
    receipts,
)
from tongban.kit.errors import Refused
from tongban.rounds.draw import Reveals, commitment, draw, frozen_statements, new_reveal, opened, seed, winners
from tongban.rounds.folder import Contradicted, OutOfOrder, Stage

LINES = [a_line(n, failed_draws=n) for n in range(30)] + [a_unit(50 + n) for n in range(3)]
SEED = hashlib.sha256(b"seed").digest()


def a_pool(balls):
    codes = sorted(hashlib.sha256(str(n).encode()).hexdigest()[:16] for n in range(len(balls)))
    return pa.table({"code": codes, "balls": pa.array(balls, pa.int32())})


def slow_winners(pool, seed, quota):
    """All balls of all codes in one drum, taken out one after another; a winner's other balls are put aside."""
    drum = [
        (hashlib.sha256(seed + f":{code}:{ball}".encode()).digest(), code)
        for code, balls in zip(pool["code"].to_pylist(), pool["balls"].to_pylist(), strict=True)
        for ball in range(1, balls + 1)
    ]
    won = []
    for _, code in sorted(drum):
        if code not in won and len(won) < quota:
            won.append(code)
    return won


@given(st.lists(st.integers(1, 12), max_size=25), st.integers(0, 30), st.binary(min_size=32, max_size=32))
@settings(max_examples=60, deadline=None)
def test_the_draw_is_that_of_a_slow_drum(balls, quota, seed):
    pool = a_pool(balls)
    assert winners(pool, seed, quota)["code"].to_pylist() == slow_winners(pool, seed, quota)


def test_everybody_wins_if_the_quota_is_no_smaller_than_the_pool():
    pool = a_pool([1, 2, 3])
    assert sorted(winners(pool, SEED, 3)["code"].to_pylist()) == pool["code"].to_pylist()
    assert winners(pool, SEED, 99)["rank"].to_pylist() == [1, 2, 3]


def test_nobody_wins_without_a_quota():
    assert winners(a_pool([1, 2]), SEED, 0).num_rows == 0


def test_a_larger_quota_only_adds_winners_at_the_end():
    pool = a_pool([1] * 40)
    assert winners(pool, SEED, 20)["code"].to_pylist()[:7] == winners(pool, SEED, 7)["code"].to_pylist()


def test_balls_give_chances_in_proportion():
    # 4,000 codes of each weight, 2 of 100 codes win: a code with w balls should win about w times as often.
    weights = np.repeat([1, 2, 3, 4], 4_000)
    pool = a_pool(weights.tolist())
    balls_of = dict(zip(pool["code"].to_pylist(), pool["balls"].to_pylist(), strict=True))
    won = np.zeros(5)
    for number in range(12):
        own = hashlib.sha256(f"seed {number}".encode()).digest()
        for code in winners(pool, own, 320)["code"].to_pylist():
            won[balls_of[code]] += 1
    shares = won[1:] / won.sum()
    # 3,840 winners in all: three standard deviations of the smallest share are about 0.015.
    assert np.abs(shares - np.array([1, 2, 3, 4]) / 10).max() < 0.02


def test_codes_with_equal_balls_have_equal_chances():
    pool = a_pool([1] * 200)
    won = np.zeros(200)
    place = {code: n for n, code in enumerate(pool["code"].to_pylist())}
    for number in range(100):
        for code in winners(pool, hashlib.sha256(f"equal {number}".encode()).digest(), 20)["code"].to_pylist():
            won[place[code]] += 1
    # Chi-square with 199 degrees of freedom (scaled for drawing without replacement): 99.9 % lies below 268.
    assert ((won - 10) ** 2 / (10 * 0.9)).sum() < 268


# --- The seed -----------------------------------------------------------------------------------


def test_the_seed_depends_on_every_share_and_on_the_pool():
    made = {seed(b"r" * 32, REVEALS), seed(b"s" * 32, REVEALS)}
    for party in REVEALS:
        made.add(seed(b"r" * 32, REVEALS | {party: b"x" * 32}))
    assert len(made) == 5


def test_the_seed_does_not_depend_on_who_revealed_first():
    assert seed(b"r" * 32, REVEALS) == seed(b"r" * 32, dict(reversed(REVEALS.items())))


def test_a_commitment_is_bound_to_its_party():
    assert commitment("citizens", b"1" * 32) != commitment("transport", b"1" * 32)


def test_all_shares_together_open_the_seed():
    assert opened(COMMITMENTS, REVEALS) == Reveals(REVEALS, dict.fromkeys(REVEALS, "party"))


def test_a_missing_share_postpones_the_draw():
    some = {party: share for party, share in REVEALS.items() if party != "citizens"}
    refused = opened(COMMITMENTS, some)
    assert refused.code == "rounds.reveal_missing"
    assert "citizens" in refused.reason


def test_the_notarys_sealed_copy_takes_the_place_of_a_missing_share():
    some = {party: share for party, share in REVEALS.items() if party != "citizens"}
    found = opened(COMMITMENTS, some, {"citizens": REVEALS["citizens"]})
    assert (found.shares, found.opened_by["citizens"]) == (REVEALS, "notary")


def test_the_sealed_copy_also_stands_in_for_a_false_share():
    found = opened(COMMITMENTS, REVEALS | {"citizens": b"x" * 32}, {"citizens": REVEALS["citizens"]})
    assert found.opened_by["citizens"] == "notary"


@pytest.mark.parametrize("share", [b"x" * 32, b"", REVEALS["citizens"] + b"\0", REVEALS["citizens"][:31]])
def test_a_share_that_was_not_committed_counts_as_none(share):
    assert opened(COMMITMENTS, REVEALS | {"citizens": share}).code == "rounds.reveal_differs"


def test_a_stranger_adds_nothing_to_the_seed():
    assert opened(COMMITMENTS, REVEALS | {"mallory": b"x" * 32}).code == "rounds.reveal_foreign"


def test_a_new_share_has_thirty_two_random_bytes():
    assert len(new_reveal()) == 32
    assert new_reveal() != new_reveal()


# --- The step -----------------------------------------------------------------------------------


def test_a_frozen_round_is_drawn_once(tmp_path):
    folder = drawn(tmp_path / "r", LINES)
    before = folder.done(Stage.DRAWN)
    assert draw(folder, REVEALS, receipts(folder)) is False
    assert folder.done(Stage.DRAWN) == before


def test_the_same_round_is_drawn_alike_everywhere(tmp_path):
    one, other = drawn(tmp_path / "one", LINES), drawn(tmp_path / "other", LINES[::-1])
    assert one.done(Stage.DRAWN) == other.done(Stage.DRAWN)


def test_each_pool_has_as_many_winners_as_its_quota(tmp_path):
    folder = drawn(tmp_path / "r", LINES)
    for pool, quota in (("persons", 5), ("units", 2)):
        lines = (folder.directory(Stage.DRAWN) / pool / "winners.csv").read_text().splitlines()
        assert [int(line.partition(",")[0]) for line in lines] == list(range(1, quota + 1))


def test_a_pool_without_anybody_is_drawn_too(tmp_path):
    folder = drawn(tmp_path / "r", LINES[:30])
    assert (folder.directory(Stage.DRAWN) / "units" / "winners.csv").read_bytes() == b""


def test_a_draw_with_a_missing_share_leaves_the_round_frozen(tmp_path):
    folder = frozen(tmp_path / "r", LINES)
    assert draw(folder, {}, receipts(folder)).code == "rounds.reveal_missing"
    assert folder.stage is Stage.FROZEN


@pytest.mark.parametrize("change", [None, {}, {"leaf": "0" * 64}])
def test_a_freeze_that_is_not_in_the_log_is_not_drawn(tmp_path, change):
    folder = frozen(tmp_path / "r", LINES)
    logged = receipts(folder)
    if change is None:
        del logged["units"]
    else:
        logged["units"] = logged["units"] | change if change else {}
    assert draw(folder, REVEALS, logged).code == "rounds.freeze_not_logged"
    assert folder.stage is Stage.FROZEN


def test_a_receipt_for_another_pool_is_no_receipt(tmp_path):
    folder = frozen(tmp_path / "r", LINES)
    logged = receipts(folder)
    assert isinstance(draw(folder, REVEALS, {"persons": logged["units"], "units": logged["persons"]}), Refused)


def test_nothing_is_drawn_before_the_freeze(tmp_path):
    with pytest.raises(OutOfOrder):
        draw(decided(tmp_path / "r", LINES), REVEALS, {})


def test_a_frozen_round_is_not_frozen_with_other_commitments(tmp_path):
    folder = frozen(tmp_path / "r", LINES)
    other = COMMITMENTS | {"citizens": commitment("citizens", b"x" * 32)}
    with pytest.raises(Contradicted):
        freeze_it(folder, commitments=other)


@pytest.mark.parametrize(
    "commitments",
    [
        {party: c for party, c in COMMITMENTS.items() if party != "citizens"},
        COMMITMENTS | {"mallory": "a" * 64},
        COMMITMENTS | {"citizens": "not a digest"},
    ],
)
def test_a_round_is_frozen_only_with_the_commitment_of_every_party_and_of_nobody_else(tmp_path, commitments):
    folder = decided(tmp_path / "r", LINES)
    assert freeze_it(folder, commitments=commitments).code == "rounds.commitments_incomplete"


def test_pools_of_one_round_have_different_seeds(tmp_path):
    folder = frozen(tmp_path / "r", LINES)
    roots = [bytes.fromhex(one.body["pool_root"]) for one in frozen_statements(folder).values()]
    assert len({seed(root, REVEALS) for root in roots}) == 2
