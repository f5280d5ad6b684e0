"""Rounds of the past: the published program's numbers, and the same program standing alone."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongban.rounds import historic_draw
from tongban.rounds.historic_draw import Generator, NotAPool, draw, read_pool, read_seed

with Path(__file__).with_name("historic_draw_vectors.csv").open(encoding="utf-8", newline="") as file:
    VECTORS = list(csv.DictReader(file))


def a_pool(count, first=1_000_000_000_000):
    return [str(first + number) for number in range(count)]


def wanted(row):
    return [int(text) for text in row["numbers"].split()]


@pytest.mark.parametrize("row", [row for row in VECTORS if row["what"] == "next"], ids=lambda row: row["seed"])
def test_the_generator_s_first_numbers_are_those_of_the_library(row):
    generator = Generator(int(row["seed"]))
    assert [generator.next() for _ in range(5)] == wanted(row)


@pytest.mark.parametrize("row", [row for row in VECTORS if row["what"] == "draw"], ids=lambda row: row["seed"])
def test_the_drawn_numbers_are_those_of_the_published_program(row):
    pool = a_pool(int(row["total"]))
    drawn = draw(pool, int(row["quota"]), read_seed(row["seed"]))
    assert list(drawn.numbers) == wanted(row)
    assert list(drawn.winners) == [pool[number - 1] for number in wanted(row)]


@given(st.integers(1, 60), st.integers(0, 70), st.integers(0, 999_999))
def test_nobody_wins_twice_and_nobody_beyond_the_quota(count, quota, seed):
    drawn = draw(a_pool(count), quota, seed)
    assert len(set(drawn.winners)) == len(drawn.winners) == min(quota, count) or drawn.gave_up


def test_a_quota_as_large_as_the_pool_lets_everybody_win_undrawn():
    drawn = draw(a_pool(5), 5, 123_456)
    assert (list(drawn.winners), drawn.numbers) == (a_pool(5), ())


def test_a_further_ball_of_a_code_that_won_is_passed_over():
    once = a_pool(20)
    # Seed 888888 hits lines 7, 3, 17, 9, 10 first: let line 3 be a second ball of line 7's code.
    ladder = [*once[:2], once[6], *once[3:]]
    assert draw(ladder, 4, 888_888).numbers == (7, 17, 9, 10)


def test_it_gives_up_after_ten_numbers_for_each_line():
    # To reach all but one of so many lines takes about 11.4 numbers a line (harmonic sum less one), not ten.
    count = 150_000
    drawn = draw(a_pool(count), count - 1, 5)
    generator = Generator(5)
    assert drawn.gave_up
    assert set(drawn.numbers) == {generator.below(count) + 1 for _ in range(10 * count)}


@pytest.mark.parametrize(("code", "status"), [(0, "未中签"), (6, "中签"), (99, "编码不存在")])
def test_each_code_is_told_what_became_of_it(code, status):
    drawn = draw(a_pool(20), 5, 888_888)
    assert drawn.status(str(1_000_000_000_000 + code)) == status


@pytest.mark.parametrize("text", ["12345", "1234567", "12345x", "-12345", "１２３４５６", ""])
def test_a_seed_that_is_not_six_digits_is_refused(text):
    with pytest.raises(NotAPool):
        read_seed(text)


@pytest.mark.parametrize("line", ["123456789012", "12345678901234", "123456789012x", ""])
def test_a_pool_with_a_line_that_is_no_code_is_refused_by_its_line(tmp_path, line):
    (tmp_path / "pool.txt").write_text(f"{'1' * 13}\n{line}\n{'2' * 13}\n")
    with pytest.raises(NotAPool, match="line 2"):
        read_pool(tmp_path / "pool.txt")


def alone(folder, *words):
    command = [sys.executable, "-I", historic_draw.__file__, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=folder)


def test_the_file_runs_alone_in_an_empty_folder(tmp_path):
    pool = tmp_path / "pool.txt"
    pool.write_text("".join(f"{code}\r\n" for code in a_pool(20)))
    (tmp_path / "empty").mkdir()
    done = alone(tmp_path / "empty", pool, 5, "888888")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "1,1000000000006"
    told = alone(tmp_path / "empty", pool, 5, "888888", "1000000000006", "9" * 13).stdout
    assert told.splitlines() == ["1000000000006 中签", "9999999999999 编码不存在"]
    assert alone(tmp_path / "empty", pool, 5, "88888").returncode == 1
