"""Benchmarks: found by name, given options, and failing the command where a bar does not hold."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from tongban.cli import bench

BENCHMARK = '''"""How fast nothing happens."""

def run(persons=10, quick=False):
    figure = {"name": "nothing", "value": persons / 4, "unit": "ms", "bar": 5, "holds": persons <= 20}
    return [figure, {"name": "quick", "value": quick, "unit": ""}]
'''


@pytest.fixture
def a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one benchmark called `nothing`."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "nothing.py").write_text(BENCHMARK, encoding="utf-8")
    (folder / "_shared.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(bench, "checkout", lambda: tmp_path)
    return folder


def asked(name: str, *options: str, json: bool = False) -> argparse.Namespace:
    return argparse.Namespace(name=name, options=list(options), size=None, json=json)


def test_a_bar_that_holds_is_status_0_and_one_that_does_not_is_1(a_folder):
    assert bench.run(asked("nothing")) == 0
    assert bench.run(asked("nothing", "persons=21")) == 1


def test_each_figure_is_one_object_with_every_key(a_folder, capsys):
    bench.run(asked("nothing", "persons=1_6", "quick=true", json=True))
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert set(first) == set(bench.FIGURE)
    assert (first["value"], first["holds"], first["baseline"]) == (4.0, True, None)
    assert (second["value"], second["holds"]) == (True, None)


def test_a_table_shows_which_bar_does_not_hold(a_folder, capsys):
    bench.run(asked("nothing", "persons=40"))
    assert "NO" in capsys.readouterr().out


def test_the_list_gives_every_benchmark_s_first_line(a_folder, capsys):
    assert bench.run(asked("list")) == 0
    assert capsys.readouterr().out == "  nothing       How fast nothing happens.\n"


@pytest.mark.parametrize("name", ["something", "_shared", "../benchmarks/nothing", ""])
def test_only_a_name_of_the_list_is_run(a_folder, name):
    with pytest.raises(bench.NoSuchBenchmark):
        bench.run(asked(name))


@pytest.mark.parametrize("option", ["person=5", "persons", "=5"])
def test_an_unknown_option_is_answered_with_the_known_ones(a_folder, option):
    with pytest.raises(bench.NoSuchOption, match="persons=10, quick=False"):
        bench.run(asked("nothing", option))


@pytest.mark.parametrize(
    ("figure", "what"),
    [({"name": "x", "value": 1}, "without 'unit'"), ({"name": "x", "value": 1, "unit": "s", "speed": 2}, "'speed'")],
)
def test_a_figure_without_its_form_is_refused(a_folder, figure, what):
    (a_folder / "wrong.py").write_text(f"def run():\n    return [{figure!r}]\n", encoding="utf-8")
    with pytest.raises(bench.FigureInvalid, match=what):
        bench.run(asked("wrong"))


@pytest.mark.parametrize(
    ("text", "value"), [("300_000", 300_000), ("0.5", 0.5), ("true", True), ("false", False), ("cold", "cold")]
)
def test_option_values_are_read_as_people_write_them(text: str, value: Any):
    read = bench.value_of(text)
    assert (read, type(read)) == (value, type(value))
