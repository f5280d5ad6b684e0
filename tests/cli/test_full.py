"""The long counts: chunks with seeds of their own, a state that lets a stopped run go on, and mutation."""

import argparse
from pathlib import Path

import pytest

from tests import full as counts
from tongban.cli import full, pytest_run, testing

ROOT = Path(__file__).resolve().parents[2]


def asked(name: str, **change: object) -> argparse.Namespace:
    words = {"seed": 7, "pytest": [], "full": name, "minutes": None, "again": False, "json": False}
    return argparse.Namespace(**(words | change))


class Chunks:
    """Stands where a chunk would run: notes (chunk, seed), and fails the chunk that a test names."""

    def __init__(self) -> None:
        self.ran: list[tuple[int, int]] = []
        self.failing = -1

    def run(self, root: Path, name: str, chunk: int, seed: int, quiet: bool) -> tuple[bool, float, str]:
        self.ran.append((chunk, seed))
        return chunk != self.failing, 1.0, "1 passed in 1.00s"


@pytest.fixture
def a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tests").mkdir()
    monkeypatch.setattr(testing, "checkout", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def chunks(a_checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Chunks:
    """A full run called `it` in three chunks."""
    monkeypatch.setattr(full, "FULL_RUNS", {"it": full.FullRun("it holds", ("tests/test_it.py",), repeat=3)})
    made = Chunks()
    monkeypatch.setattr(full, "run_chunk", made.run)
    return made


def test_chunks_run_in_order_each_with_its_own_seed(chunks):
    assert testing.run(asked("it")) == 0
    assert chunks.ran == [(0, 7), (1, 8), (2, 9)]


def test_a_stopped_run_goes_on_with_its_first_seed(chunks):
    chunks.failing = 1
    assert testing.run(asked("all")) == 1
    chunks.failing = -1
    assert testing.run(asked("all", seed=100)) == 0
    assert chunks.ran == [(0, 7), (1, 8), (1, 8), (2, 9)]


def test_a_finished_run_is_not_repeated_unless_asked(chunks):
    testing.run(asked("it"))
    assert testing.run(asked("it")) == 0
    assert len(chunks.ran) == 3
    testing.run(asked("it", again=True))
    assert len(chunks.ran) == 6


def test_a_change_of_the_source_starts_afresh(chunks, a_checkout):
    testing.run(asked("it"))
    (a_checkout / "tests" / "other.py").write_text("changed = True\n")
    testing.run(asked("it"))
    assert len(chunks.ran) == 6


def test_a_state_file_that_was_torn_starts_afresh(chunks, a_checkout):
    testing.run(asked("it"))
    (a_checkout / "var" / "full" / "it.json").write_text('{"source": ')
    assert testing.run(asked("it")) == 0
    assert len(chunks.ran) == 6


def test_no_chunk_begins_when_the_minutes_are_over(chunks, capsys):
    assert testing.run(asked("it", minutes=0.0)) == 3
    assert chunks.ran == []
    assert "0 of 3 chunks done" in capsys.readouterr().err


def test_an_unknown_full_run_is_answered_with_the_known_ones(chunks):
    with pytest.raises(full.NoSuchFullRun, match="all, it"):
        testing.run(asked("that"))


def test_a_chunk_s_tests_are_told_their_share_and_seed(a_checkout, monkeypatch):
    monkeypatch.setattr(full, "FULL_RUNS", {"it": full.FullRun("it holds", ("tests/test_it.py",))})
    monkeypatch.setattr(pytest_run, "workers", lambda: 0)
    names = ("TONGBAN_FULL", "TONGBAN_CHUNK", "TONGBAN_SEED")
    told = f"import os\ndef test_it():\n    assert [os.environ[n] for n in {names}] == ['it', '0/1', '7']\n"
    (a_checkout / "tests" / "test_it.py").write_text(told)
    assert testing.run(asked("it")) == 0


def test_a_test_s_count_is_its_share_of_the_full_one(monkeypatch):
    monkeypatch.delenv("TONGBAN_FULL", raising=False)
    assert counts.count("rules", usual=50, full=1_000_001) == 50
    monkeypatch.setenv("TONGBAN_FULL", "rules")
    monkeypatch.setenv("TONGBAN_CHUNK", "0/10")
    assert counts.count("rules", usual=50, full=1_000_001) == 100_001
    assert counts.count("kills", usual=5, full=100) == 5


def test_every_full_run_of_the_table_has_its_tests_and_modules():
    for name, run in full.FULL_RUNS.items():
        assert run.chunks > 0, name
        paths = [*run.tests, *(path for each in run.mutated for path in each.tests)]
        paths += [f"src/tongban/{each.module}.py" for each in run.mutated]
        assert [path for path in paths if not (ROOT / path.partition("::")[0]).exists()] == [], name


@pytest.fixture
def a_small_project(tmp_path: Path) -> Path:
    """One module with one function, and a test that sees one of its two sides."""
    for folder in ("docs", "solutions", "src/tongban/kit", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    for package in ("", "kit/"):
        (tmp_path / "src" / "tongban" / package / "__init__.py").write_text("")
    (tmp_path / "src" / "tongban" / "kit" / "limit.py").write_text("def over(n):\n    return n > 5\n")
    (tmp_path / "tests" / "test_limit.py").write_text(
        "from tongban.kit.limit import over\n\ndef test_six_is_over():\n    assert over(6)\n"
    )
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\npythonpath = ["src"]\naddopts = "--import-mode=importlib"\n'
    )
    return tmp_path


def test_a_change_that_no_test_notices_fails_the_mutation_run(a_small_project):
    passed, _, closing = full.mutate(a_small_project, full.Mutated("kit/limit", ("tests",), survivors=0))
    assert not passed, closing
    assert "1 not noticed (0 allowed)" in closing
    assert "tongban.kit.limit.x_over__mutmut_1" in closing


def test_a_module_whose_changes_are_all_noticed_passes(a_small_project):
    with open(a_small_project / "tests" / "test_limit.py", "a") as file:
        file.write("\ndef test_five_is_not():\n    assert not over(5)\n")
    passed, _, closing = full.mutate(a_small_project, full.Mutated("kit/limit", ("tests",), survivors=0))
    assert passed, closing


def test_a_mutation_run_whose_tests_fail_already_does_not_pass(a_small_project):
    (a_small_project / "tests" / "test_limit.py").write_text("def test_it():\n    assert False\n")
    passed, _, closing = full.mutate(a_small_project, full.Mutated("kit/limit", ("tests",), survivors=9))
    assert not passed
    assert "did not finish" in closing
