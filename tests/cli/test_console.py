"""What stands on stdout is for the caller alone; what moves is for a person who watches."""

import json
from dataclasses import dataclass

from tongban.cli import console


@dataclass
class Verdicts:
    met: int
    reasons: frozenset[str]


def test_an_object_is_one_line_of_json_with_readable_chinese(capsys):
    console.emit({"name": "摇号", "verdicts": Verdicts(3, frozenset({"b", "a"}))})
    told = capsys.readouterr().out
    assert told.count("\n") == 1
    assert "摇号" in told
    assert json.loads(told)["verdicts"] == {"met": 3, "reasons": ["a", "b"]}


def test_columns_stay_aligned_when_chinese_stands_in_them(capsys):
    console.table(("who", "n"), [("民政局", 5), ("tax", 12)], right=(1,))
    assert capsys.readouterr().out == "who      n\n──────  ──\n民政局   5\ntax     12\n"


def test_an_empty_table_still_names_its_columns(capsys):
    console.table(("who", "n"), [])
    assert capsys.readouterr().out == "who  n\n───  ─\n"


def test_progress_says_nothing_on_stdout(capsys):
    with console.progress("matching", total=3) as advance:
        advance(3)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("matching: ")


def test_long_work_in_a_file_gets_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(console, "PLAIN_LINE_EVERY", 0.0)
    with console.progress("matching", total=3_000_000) as advance:
        advance(1_000_000)
    assert "matching: 1,000,000 of 3,000,000 after 0 s" in capsys.readouterr().err


def test_a_bar_moves_when_a_person_watches(capsys, monkeypatch):
    monkeypatch.setattr(console, "watched", lambda: True)
    for total in (3, None):
        with console.progress("matching", total=total) as advance:
            advance(1)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("matching: ") == 2


def test_nobody_watches_a_pipe():
    assert console.watched() is False
