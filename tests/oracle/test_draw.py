"""The independent draw, pinned by hand-made values and by a second way of saying the same."""

import hashlib
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.draw import (
    Broken,
    balls,
    check,
    commitment,
    draw_code,
    merkle_root,
    pool_file,
    pool_root,
    read_pool,
    seed,
    winners,
)

IN_2014, IN_2026 = date(2014, 6, 8), date(2026, 10, 8)
A, B, C = "00000000000000aa", "00000000000000bb", "00000000000000cc"
REVEALS = {"notary": b"\x01" * 32, "press": b"\x02" * 32, "traffic": b"\x03" * 32}
COMMITMENTS = {party: commitment(party, reveal) for party, reveal in REVEALS.items()}
SEED = bytes(range(32))
POOLS = st.dictionaries(st.binary(min_size=8, max_size=8).map(bytes.hex), st.integers(1, 6), max_size=25)

# The leaves and roots with which Certificate Transparency implementations are tested.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize(
    ("failed", "expected"),
    [(0, 1), (1, 1), (24, 1), (25, 2), (36, 2), (37, 3), (48, 3), (49, 4), (60, 4), (61, 5)],
)
def test_the_ladder_of_2014_adds_a_ball_at_25_and_for_each_further_12(failed: int, expected: int) -> None:
    assert balls(IN_2014, "persons", failed) == expected


@pytest.mark.parametrize(("failed", "expected"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (50, 26)])
def test_the_ladder_of_2021_adds_a_ball_for_each_two(failed: int, expected: int) -> None:
    assert balls(IN_2026, "persons", failed) == expected


def test_the_ladder_changes_on_the_first_of_january_2021() -> None:
    assert balls(date(2020, 12, 31), "persons", 24) == 1
    assert balls(date(2021, 1, 1), "persons", 24) == 13


def test_a_unit_has_one_ball_however_often_it_failed() -> None:
    assert balls(IN_2014, "units", 90) == 1


def test_failed_draws_below_nought_are_broken() -> None:
    with pytest.raises(Broken):
        balls(IN_2014, "persons", -1)


def test_a_draw_code_is_the_first_16_digits_of_an_hmac_computed_by_hand() -> None:
    secret, application = b"\x07" * 32, "1234567890123"
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in secret.ljust(64, b"\0")) + application.encode()).digest()
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in secret.ljust(64, b"\0")) + inner).hexdigest()
    assert draw_code(secret, application) == outer[:16]


def test_a_pool_is_written_by_code_with_an_end_to_each_line() -> None:
    assert pool_file({B: 3, A: 1}) == f"{A},1\n{B},3\n".encode()


@settings(max_examples=50)
@given(POOLS)
def test_a_pool_comes_back_as_it_was_written(pool: dict[str, int]) -> None:
    assert read_pool(pool_file(pool)) == pool


@pytest.mark.parametrize(
    "file",
    [
        f"{A},1",
        f"{B},1\n{A},1\n",
        f"{A},1\n{A},1\n",
        f"{A},1\n\n",
        f"{A},0\n",
        f"{A},01\n",
        f"{A},-1\n",
        f"{A.upper()},1\n",
        f"{A[1:]},1\n",
        f"{A},1\r\n",
        f"draw_code,balls\n{A},1\n",
    ],
)
def test_a_pool_in_any_other_form_is_broken(file: str) -> None:
    with pytest.raises(Broken):
        read_pool(file.encode())


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert merkle_root(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert pool_root(b"").hex() == hashlib.sha256(b"").hexdigest()


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40))
def test_roots_agree_with_pairing_from_the_bottom(leaves: list[bytes]) -> None:
    level = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\x01" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(level) & ~1 :]
    assert merkle_root(leaves) == level[0]


def test_the_leaves_of_a_pool_are_its_lines_without_their_ends() -> None:
    assert pool_root(pool_file({A: 1, B: 3})) == merkle_root([f"{A},1".encode(), f"{B},3".encode()])


def test_a_commitment_binds_party_and_reveal() -> None:
    expected = hashlib.sha256("tongban/seed/1\n公证处\n".encode() + b"\x09" * 32).digest()
    assert commitment("公证处", b"\x09" * 32) == expected
    assert commitment("公证", b"\x09" * 32) != expected


def test_the_seed_takes_the_reveals_by_party_name_in_whatever_order_they_came() -> None:
    root = pool_root(pool_file({A: 1}))
    expected = hashlib.sha256(b"tongban/draw/1\n" + root + b"\x01" * 32 + b"\x02" * 32 + b"\x03" * 32).digest()
    backwards = dict(reversed(REVEALS.items()))
    assert seed(root, COMMITMENTS, REVEALS) == seed(root, COMMITMENTS, backwards) == expected


def test_a_draw_never_goes_on_with_a_subset() -> None:
    with pytest.raises(Broken):
        seed(SEED, COMMITMENTS, {"notary": REVEALS["notary"], "press": REVEALS["press"]})


def test_a_party_that_never_committed_may_not_reveal() -> None:
    with pytest.raises(Broken):
        seed(SEED, COMMITMENTS, REVEALS | {"late": b"\x04" * 32})


def test_no_parties_at_all_make_no_seed() -> None:
    with pytest.raises(Broken):
        seed(SEED, {}, {})


@pytest.mark.parametrize("reveal", [b"\x05" * 32, b"\x02" * 31, b""])
def test_a_reveal_that_does_not_open_its_commitment_is_broken(reveal: bytes) -> None:
    with pytest.raises(Broken):
        seed(SEED, COMMITMENTS, REVEALS | {"press": reveal})


def test_a_short_reveal_is_broken_though_it_opens() -> None:
    with pytest.raises(Broken):
        seed(SEED, {"press": commitment("press", b"short")}, {"press": b"short"})


def test_the_first_winner_has_the_least_ball_of_all_computed_by_hand() -> None:
    balls_of = {code: [hashlib.sha256(SEED + f":{code}:{i}".encode()).hexdigest() for i in (1, 2)] for code in (A, B)}
    least = min((min(numbers), code) for code, numbers in balls_of.items())[1]
    assert winners(SEED, {A: 2, B: 2}, 1) == [least]


@settings(max_examples=60)
@given(POOLS, st.integers(0, 30), st.binary(min_size=32, max_size=32))
def test_the_draw_agrees_with_drawing_ball_by_ball(pool: dict[str, int], quota: int, seed: bytes) -> None:
    every_ball = [
        (int(hashlib.sha256(seed + f":{code}:{i + 1}".encode()).hexdigest(), 16), code)
        for code, count in pool.items()
        for i in range(count)
    ]
    drawn: list[str] = []
    for _, code in sorted(every_ball):
        if code not in drawn and len(drawn) < quota:
            drawn.append(code)
    assert winners(seed, pool, quota) == drawn


def test_everybody_wins_when_the_quota_is_at_least_the_number_of_codes() -> None:
    assert set(winners(SEED, {A: 1, B: 2, C: 3}, 3)) == set(winners(SEED, {A: 1, B: 2, C: 3}, 99)) == {A, B, C}


def test_nobody_wins_without_a_quota() -> None:
    assert winners(SEED, {A: 1}, 0) == []


def test_three_balls_win_three_times_as_often_as_one() -> None:
    seeds = [hashlib.sha256(str(i).encode()).digest() for i in range(4000)]
    won = sum(winners(seed, {A: 1, B: 3}, 1) == [B] for seed in seeds)
    assert 0.73 < won / len(seeds) < 0.77


def test_a_whole_draw_holds_and_any_other_list_of_winners_does_not() -> None:
    pool = {A: 1, B: 2, C: 1}
    file = pool_file(pool)
    drawn_by = seed(pool_root(file), COMMITMENTS, REVEALS)
    right = winners(drawn_by, pool, 2)
    assert check(file, COMMITMENTS, REVEALS, 2, right) == drawn_by
    for wrong in (right[::-1], right[:1], [*right, A], []):
        with pytest.raises(Broken):
            check(file, COMMITMENTS, REVEALS, 2, wrong)


def test_one_ball_more_in_the_pool_makes_another_seed() -> None:
    one, other = pool_root(pool_file({A: 1, B: 2})), pool_root(pool_file({A: 1, B: 3}))
    assert seed(one, COMMITMENTS, REVEALS) != seed(other, COMMITMENTS, REVEALS)
