"""`./tongban bench`: measure a published figure again, on this machine.

A benchmark is a file in benchmarks/ with one function, `run(**options)`, that returns figures.
"""

import argparse
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tongban.cli import console
from tongban.cli.root import checkout
from tongban.kit.errors import Invalid

#: What a figure is: its value with unit; what it is compared with; the bar it must hold, and whether it does
#: (None: no bar); whether caches were warm; and what a reader should know.
FIGURE = ("name", "value", "unit", "baseline", "ratio", "bar", "holds", "warm_or_cold", "note")

EXAMPLE = """examples:
  ./tongban bench list                      what can be measured
  ./tongban bench match                     one benchmark, as a table
  ./tongban bench match --size metropolis   the round of the largest city
  ./tongban bench rules persons=300000      with an option of that benchmark
  ./tongban bench call --json               one JSON object a figure
Exit status 1 where a bar does not hold."""


class NoSuchBenchmark(Invalid):
    code = "cli.no_benchmark"
    message = "There is no benchmark called {name!r}."
    remedy = "There are: {names}."


class NoSuchOption(Invalid):
    code = "cli.no_benchmark_option"
    message = "Benchmark {name} has no option {option!r}."
    remedy = "Its options: {options}."


class FigureInvalid(Invalid):
    code = "cli.figure_invalid"
    message = "Benchmark {name} returned a figure {what}."
    remedy = "A figure has the keys " + ", ".join(FIGURE) + "."


def add(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    parser.add_argument("name", help="a file of benchmarks/, or `list`")
    parser.add_argument("options", nargs="*", metavar="OPTION=VALUE", help="options of that benchmark")
    parser.add_argument("--size", help="size of what is measured, for benchmarks that know several")


def run(args: argparse.Namespace) -> int:
    folder = checkout() / "benchmarks"
    if args.name == "list":
        return _list(folder, args.json)
    benchmark = load(folder, args.name)
    options = [*args.options, f"size={args.size}"] if args.size else args.options
    figures = [_checked(args.name, figure) for figure in measure(args.name, benchmark, options)]
    for figure in figures if args.json else ():
        console.emit(figure)
    if not args.json:
        show(figures)
    return 1 if any(figure["holds"] is False for figure in figures) else 0


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def load(folder: Path, name: str) -> ModuleType:
    """The benchmark's module. Raises NoSuchBenchmark."""
    # Only a name from the folder's own list: never a path that the caller composed.
    if name not in names(folder):
        raise NoSuchBenchmark(name=name, names=", ".join(["list", *names(folder)]))
    # Benchmarks share the tests' fixed cast.
    if str(folder.parent) not in sys.path:
        sys.path.append(str(folder.parent))
    spec = importlib.util.spec_from_file_location(f"benchmarks.{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def measure(name: str, benchmark: ModuleType, words: Sequence[str]) -> list[dict[str, Any]]:
    """Run the benchmark with its options. Raises NoSuchOption."""
    function: Callable[..., list[dict[str, Any]]] = benchmark.run
    known = inspect.signature(function).parameters
    options = {}
    for word in words:
        option, given, text = word.partition("=")
        if not given or option not in known:
            told = ", ".join(f"{each.name}={each.default}" for each in known.values()) or "none"
            raise NoSuchOption(name=name, option=option, options=told)
        options[option] = value_of(text)
    return function(**options)


def value_of(text: str) -> int | float | bool | str:
    """The value as people write it: 300000 or 300_000, 0.5, true, else text."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _checked(name: str, figure: Mapping[str, Any]) -> dict[str, Any]:
    if extra := sorted(set(figure) - set(FIGURE)):
        raise FigureInvalid(name=name, what=f"with the unknown key {extra[0]!r}")
    if missing := [key for key in ("name", "value", "unit") if key not in figure]:
        raise FigureInvalid(name=name, what=f"without {missing[0]!r}")
    return {key: figure.get(key) for key in FIGURE}


def show(figures: Sequence[Mapping[str, Any]]) -> None:
    """Figures as a table, their notes below it."""
    columns = ("figure", "value", "unit", "baseline", "ratio", "bar", "holds", "caches")
    rows = [
        [
            figure["name"],
            *(_number(figure[key]) if key != "unit" else figure["unit"] for key in ("value", "unit", "baseline")),
            _number(figure["ratio"]),
            _number(figure["bar"]),
            {True: "yes", False: "NO", None: ""}[figure["holds"]],
            figure["warm_or_cold"] or "",
        ]
        for figure in figures
    ]
    console.table(columns, rows, right=(1, 3, 4))
    for figure in figures:
        if figure["note"]:
            console.say(f"  {figure['name']}: {figure['note']}")


def _number(value: Any) -> str:
    """Three significant figures for measurements, whole numbers with separators."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _list(folder: Path, as_json: bool) -> int:
    for name in names(folder):
        first = (folder / f"{name}.py").read_text(encoding="utf-8").lstrip().partition("\n")[0].strip('" ')
        if as_json:
            console.emit({"name": name, "purpose": first})
        else:
            console.say(f"  {name:<14}{first}")
    return 0
