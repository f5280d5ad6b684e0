"""Talking to the person or the machine that called.

Results go to stdout, everything else (progress, notes, errors) to stderr, so that `--json` can be
piped. Colours, tables and moving bars appear only when a person watches; a log file gets plain lines.
rich is imported when first needed: `./tongban doctor` works before there is an environment.
"""

import json
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

#: In a file, one line at most this often while long work goes on.
PLAIN_LINE_EVERY = 10.0


def watched() -> bool:
    """True if a person looks at the terminal: stderr is one, and it can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" and "CI" not in os.environ


def say(text: str = "") -> None:
    """A line of the result, for a person."""
    print(text, flush=True)


def note(text: str) -> None:
    """A line beside the result: what is going on, what was found on the way."""
    print(text, file=sys.stderr, flush=True)


def emit(value: Any) -> None:
    """One JSON object on one line of stdout, for a machine."""
    print(json.dumps(value, ensure_ascii=False, default=_plain), flush=True)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> None:
    """Columns side by side on stdout; `right` lists the columns set flush right.

    Plain text on purpose: it can be copied into a letter, and Chinese characters count as two.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max([_width(name), *(_width(row[i]) for row in cells)]) for i, name in enumerate(columns)]
    for row in [list(columns), ["─" * width for width in widths], *cells]:
        padded = [_padded(cell, widths[i], i in right) for i, cell in enumerate(row)]
        print("  ".join(padded).rstrip(), flush=True)


def _width(text: str) -> int:
    """Terminal columns that `text` takes (Unicode Standard Annex 11: wide and full-width count two)."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _padded(text: str, width: int, right: bool) -> str:
    gap = " " * (width - _width(text))
    return gap + text if right else text + gap


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show how far long work has come; call the yielded function with the number of steps just done.

    With `total` a bar and the time left, without it the time gone.
    """
    began = time.monotonic()
    with _moving(title, total) if watched() else _plain_lines(title, total, began) as advance:
        yield advance
    note(f"{title}: {time.monotonic() - began:.1f} s")


@contextmanager
def _moving(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Remaining

    text = TextColumn("{task.description}", markup=False)
    if total is None:
        bar = Progress(text, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
    else:
        columns = (text, BarColumn(), MofNCompleteColumn(), Remaining())
        bar = Progress(*columns, console=Console(stderr=True), transient=True)
    with bar:
        task = bar.add_task(title, total=total)
        yield lambda steps: bar.advance(task, steps)


@contextmanager
def _plain_lines(title: str, total: int | None, began: float) -> Iterator[Callable[[int], None]]:
    done, told = 0, began

    def advance(steps: int) -> None:
        nonlocal done, told
        done += steps
        now = time.monotonic()
        if now - told >= PLAIN_LINE_EVERY:
            told = now
            note(f"{title}: {done:,}{f' of {total:,}' if total else ''} after {now - began:.0f} s")

    yield advance
