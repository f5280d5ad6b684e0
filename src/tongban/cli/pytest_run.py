"""One run of pytest: its output passed on as it comes, its closing line kept for the end."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


def run_pytest(
    root: Path,
    seed: int,
    extra: list[str],
    settings: dict[str, str],
    quiet: bool = False,
    python: str = sys.executable,
) -> tuple[bool, float, str]:
    """Run pytest, passing its output on but for the closing line. Returns (ok, seconds, closing line)."""
    command = [python, "-m", "pytest", f"--hypothesis-seed={seed}", "--durations=5", "--durations-min=5"]
    # A file's tests stay together and in order: its servers start once, and some sum up what others have seen.
    command += ["-n", str(workers()), "--dist", "loadfile", *extra]
    environment = {**os.environ, "TONGBAN_SEED": str(seed), **settings}
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        closing = ""
        for line in _all_but_last(iter(process.stdout or ())):
            if line.held:
                closing = line.text
            else:
                print(line.text, end="", flush=True, file=sys.stderr if quiet else sys.stdout)
    return process.returncode == 0, time.monotonic() - began, closing.strip()


def workers() -> int:
    """Test processes: one a core; 0, which is pytest's own process, where there is only one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if cores > 1 else 0


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    held: bool


def _all_but_last(lines: Iterator[str]) -> Iterator[_Line]:
    """Each line as soon as another one follows it; the last one that is not empty is marked as held."""
    waiting = ""
    for line in lines:
        if line.strip() and waiting:
            yield _Line(waiting, held=False)
            waiting = ""
        waiting = line if not waiting else waiting + line
    yield _Line(waiting, held=True)
