"""The command line: exit statuses, the two ways of saying an error, and that only one noun is loaded."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tongban.cli import main
from tongban.kit.errors import Corrupt, Invalid

ROOT = Path(__file__).resolve().parents[2]


class RuleUnknown(Invalid):
    code = "rules.unknown"
    message = "There is no rule {rule!r}."
    remedy = "Did you mean {nearest!r}?"


class LogTorn(Corrupt):
    code = "tlog.damaged"
    message = "Entry {index} is damaged."
    remedy = "Compare with a witness."


class _Noun:
    """A noun's file as `main` sees it, with one verb; `run` is what the test says."""

    def __init__(self, action: Callable[[argparse.Namespace], int]) -> None:
        self.run = action

    def add(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb")
        verb = verbs.add_parser("verify", epilog="example:\n  ./tongban log verify DIR")
        verb.add_argument("place")


@pytest.fixture
def a_noun(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[argparse.Namespace], int]], None]:
    def place(action: Callable[[argparse.Namespace], int]) -> None:
        monkeypatch.setattr(main, "load", lambda noun: _Noun(action))
        monkeypatch.setattr(main, "offered", lambda: main.NOUNS)

    return place


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def action(args: argparse.Namespace) -> int:
        raise error

    return action


def test_the_noun_s_own_status_is_the_exit_status(a_noun):
    a_noun(lambda args: 1)
    assert main.main(["log", "verify", "here"]) == 1


@pytest.mark.parametrize(
    ("error", "status"), [(RuleUnknown(rule="no_hous", nearest="no_house"), 2), (LogTorn(index=7), 3)]
)
def test_an_error_s_kind_decides_the_exit_status(a_noun, error, status):
    a_noun(raising(error))
    assert main.main(["log", "verify", "here"]) == status


def test_an_error_says_what_happened_and_what_to_do(a_noun, capsys):
    a_noun(raising(RuleUnknown(rule="no_hous", nearest="no_house")))
    main.main(["log", "verify", "here"])
    assert capsys.readouterr().err == "There is no rule 'no_hous'.\nDid you mean 'no_house'?\n"


def test_a_machine_gets_the_error_as_one_object_on_stdout(a_noun, capsys):
    a_noun(raising(LogTorn(index=7)))
    main.main(["log", "verify", "here", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told == {"code": "tlog.damaged", "said": "Entry 7 is damaged.", "advice": "Compare with a witness."}


@pytest.mark.parametrize(
    "words", [["log", "--json", "verify", "x"], ["log", "verify", "x", "--json"], ["--json", "log", "verify", "x"]]
)
def test_json_may_stand_before_and_after_the_verb(a_noun, words):
    seen: list[Any] = []
    a_noun(lambda args: seen.append(args.json) or 0)
    assert main.main(words) == 0
    assert seen == [True]


def test_a_person_s_data_in_an_unplanned_exception_is_not_repeated(a_noun, capsys):
    a_noun(raising(ValueError("王小明 990101198002299016")))
    assert main.main(["log", "verify", "here"]) == 3
    said = capsys.readouterr()
    assert "990101198002299016" not in said.err + said.out
    assert "ValueError" in said.err


def test_the_traceback_is_shown_only_when_asked_for(a_noun, capsys, monkeypatch):
    monkeypatch.delenv("TONGBAN_TRACE", raising=False)
    a_noun(raising(ZeroDivisionError()))
    main.main(["log", "verify", "here"])
    assert "Traceback" not in capsys.readouterr().err
    main.main(["log", "verify", "here", "--trace"])
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("TONGBAN_TRACE", "1")
    main.main(["log", "verify", "here"])
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_quiet(a_noun, capsys):
    a_noun(raising(KeyboardInterrupt()))
    assert main.main(["log", "verify", "here"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("words", [["log", "verify"], ["log", "verify", "a", "b"], ["log", "nonsense"]])
def test_wrong_words_are_a_usage_error(a_noun, words, capsys):
    a_noun(lambda args: 0)
    assert main.main([*words, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["code"] == "cli.usage"


def test_a_slip_in_the_noun_is_answered_with_the_nearest_one(capsys):
    assert main.main(["docter"]) == 2
    assert "Did you mean doctor?" in capsys.readouterr().err


def test_no_words_at_all_explain_the_whole(capsys):
    assert main.main([]) == 0
    told = capsys.readouterr().out
    assert all(noun in told for noun in main.offered())


@pytest.mark.parametrize("noun", main.offered())
def test_every_noun_explains_itself_with_an_example(noun):
    parser = main.parser(noun, main.load(noun))
    for each in [parser, *main.verbs(parser)]:
        assert "./tongban" in (each.epilog or ""), f"{each.prog} has no example"
        assert "--json" in each.format_help()


def test_every_file_of_the_command_line_is_a_noun_or_known_machinery():
    files = {path.stem for path in (ROOT / "src" / "tongban" / "cli").glob("*.py")}
    nouns = {noun.file for noun in main.NOUNS.values()}
    for file in files - nouns:
        text = (ROOT / "src" / "tongban" / "cli" / f"{file}.py").read_text(encoding="utf-8")
        assert "def add(parser" not in text, f"cli/{file}.py is a noun that the table does not name"


@pytest.mark.parametrize("noun", main.offered())
def test_help_loads_neither_engine_nor_server_nor_another_noun(noun):
    heavy = ["duckdb", "pyarrow", "uvicorn", "aiohttp", "sqlalchemy", "pytest", "tongban.demo"]
    others = [f"tongban.cli.{each.file}" for name, each in main.offered().items() if name != noun]
    ask = f"""
import sys
from tongban.cli import main
assert main.main([{noun!r}, "--help"]) == 0
print("loaded:", sorted(set({heavy + others!r}) & set(sys.modules)))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, env=environment, check=True)
    assert told.stdout.splitlines()[-1] == "loaded: []"


def test_a_reader_that_goes_away_leaves_no_traceback():
    command = f"{sys.executable} -P -m tongban.cli.main doctor | true"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, check=False)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
