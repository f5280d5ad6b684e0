import hmac

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rounds.world import a_line, a_unit, code, frozen, the_policy
from tongban.rounds.draw import frozen_statements
from tongban.rounds.folder import Stage
from tongban.rounds.pool import (
    CodesCollide,
    draw_codes,
    inclusion,
    pool_file,
    pool_lines,
    pool_table,
    pool_tree,
    read_pool,
)
from tongban.tlog.tree import root_of

SECRET = bytes(range(32))


def entered(*people):
    """People as (number, pool, failed draws)."""
    return pa.table(
        {
            "application": [code(number) for number, _, _ in people],
            "pool": [pool for _, pool, _ in people],
            "failed_draws": pa.array([failed for _, _, failed in people], pa.int32()),
        }
    )


def a_pool(*people, secret=SECRET, pool="persons"):
    return pool_table(entered(*people), secret, the_policy(), pool)


def root(table):
    return pool_tree(pool_file(table)).root()


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=20, unique=True), st.binary(min_size=32, max_size=32))
@settings(max_examples=30)
def test_a_draw_code_is_the_first_half_of_an_hmac(numbers, secret):
    applications = [code(number) for number in numbers]
    expected = [hmac.digest(secret, one.encode(), "sha256").hex()[:16] for one in applications]
    assert draw_codes(pa.array(applications), secret).to_pylist() == expected


def test_nobody_is_recognised_from_one_round_to_the_next():
    one, next_ = (draw_codes(pa.array([code(1)]), secret).to_pylist() for secret in (b"1" * 32, b"2" * 32))
    assert one != next_


def test_a_pool_file_has_one_line_a_code_in_ascending_order():
    file = pool_file(a_pool((1, "persons", 0), (2, "persons", 30), (3, "units", 0)))
    lines = file.decode().split("\n")
    assert lines.pop() == ""
    assert lines == sorted(lines)
    assert {line.partition(",")[2] for line in lines} == {"1", "2"}


def test_a_pool_holds_its_own_applications_only():
    table = a_pool((1, "persons", 0), (2, "units", 0), (3, "", 0), pool="units")
    assert table["application"].to_pylist() == [code(2)]


def test_two_applications_with_one_code_stop_the_freeze():
    with pytest.raises(CodesCollide):
        a_pool((1, "persons", 0), (1, "persons", 0))


def test_a_pool_file_is_read_as_it_was_written():
    table = a_pool(*((n, "persons", n) for n in range(60)))
    assert read_pool(pool_file(table)).to_pydict() == table.select(["code", "balls"]).to_pydict()
    assert read_pool(b"").num_rows == 0


@given(
    st.sets(st.integers(0, 200), min_size=1, max_size=20),
    st.integers(0, 200),
)
@settings(max_examples=25)
def test_one_application_more_or_less_is_another_root(numbers, other):
    people = [(number, "persons", 0) for number in sorted(numbers ^ {other})]
    assert root(a_pool(*((number, "persons", 0) for number in sorted(numbers)))) != root(a_pool(*people))


@given(st.integers(0, 9), st.integers(25, 200))
@settings(max_examples=12)
def test_one_ball_more_is_another_root(who, failed):
    people = [(number, "persons", 0) for number in range(10)]
    changed = [(number, pool, failed if number == who else 0) for number, pool, _ in people]
    assert root(a_pool(*people)) != root(a_pool(*changed))


@given(st.lists(st.integers(0, 9999), max_size=40, unique=True))
@settings(max_examples=30)
def test_the_root_is_that_of_the_log_over_the_lines(numbers):
    file = pool_file(a_pool(*((number, "persons", 0) for number in numbers)))
    assert pool_tree(file).root() == root_of(pool_lines(file))


@pytest.mark.parametrize("size", [1, 2, 3, 8, 13])
def test_every_applicant_can_prove_that_her_code_and_her_balls_were_frozen(size):
    table = a_pool(*((n, "persons", n * 7) for n in range(size)))
    file = pool_file(table)
    pool_root = pool_tree(file).root().hex()
    for own, balls in zip(table["code"].to_pylist(), table["balls"].to_pylist(), strict=True):
        proof = inclusion(file, own)
        assert proof.line == f"{own},{balls}"
        assert proof.holds(pool_root)


def test_a_proof_for_another_number_of_balls_does_not_hold():
    file = pool_file(a_pool(*((n, "persons", 0) for n in range(5))))
    proof = inclusion(file, pool_lines(file)[2][:16].decode())
    forged = type(proof)(proof.line.replace(",1", ",9"), proof.index, proof.size, proof.path)
    assert not forged.holds(pool_tree(file).root().hex())


@pytest.mark.parametrize("stranger", ["0" * 16, "f" * 16, "", "00"])
def test_a_code_that_is_not_in_the_pool_has_no_proof(stranger):
    assert inclusion(pool_file(a_pool((1, "persons", 0), (2, "persons", 0))), stranger) is None


# --- The freeze ---------------------------------------------------------------------------------

LINES = [a_line(n, failed_draws=n) for n in range(30)] + [a_unit(50 + n) for n in range(3)]


def test_freezing_is_deterministic(tmp_path):
    one, other = frozen(tmp_path / "one", LINES), frozen(tmp_path / "other", LINES)
    assert one.done(Stage.FROZEN) == other.done(Stage.FROZEN)


def test_the_statement_says_what_is_frozen(tmp_path):
    folder = frozen(tmp_path / "r", LINES)
    persons, units = frozen_statements(folder).values()
    assert (persons.body["codes"], persons.body["balls"], persons.body["quota"]) == (30, 35, 5)
    assert (units.body["codes"], units.body["balls"], units.body["quota"]) == (3, 3, 2)
    lines = (folder.directory(Stage.FROZEN) / "persons" / "pool.csv").read_bytes()
    assert persons.body["pool_root"] == pool_tree(lines).root().hex()


def test_nothing_of_a_frozen_pool_tells_an_application_code(tmp_path):
    folder = frozen(tmp_path / "r", LINES)
    for file in folder.directory(Stage.FROZEN).glob("*/*"):
        assert b"90000000000" not in file.read_bytes()


def test_balls_are_whole_numbers_of_at_least_one():
    balls = a_pool(*((n, "persons", n) for n in range(100)))["balls"].to_numpy()
    assert balls.min() == 1
    assert balls.dtype == np.int32
