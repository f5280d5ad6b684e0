"""`./tongban test`: every check of the project as one run.

Formatting, types and the ladder of rooms first, then all tests with a fresh seed. With `--full` the
counts that are too long for every run: in chunks of some minutes, so that a stopped run goes on
where it was.
"""

import argparse
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongban.cli import console
from tongban.cli.root import checkout
from tongban.kit.errors import Invalid, Unavailable


@dataclass(frozen=True, slots=True)
class SystemPart:
    """What only the system's package manager brings."""

    name: str
    missing: Callable[[Path], bool]  #: asked with the root of the checkout
    packages: tuple[str, ...]  #: of Debian and Ubuntu


SYSTEM_PARTS = (
    # A checkout copied into a bare container has .git but no git; the tests of the house ask it what is tracked.
    SystemPart("git", lambda root: (root / ".git").exists() and not shutil.which("git"), ("git",)),
)


@dataclass(frozen=True, slots=True)
class FullRun:
    """Tests whose full count takes long. They read TONGBAN_FULL and TONGBAN_CHUNK (tests/full.py)."""

    tests: tuple[str, ...]
    chunks: int  #: each well under ten minutes on two cores
    purpose: str


#: The closed table of `--full` names.
FULL_RUNS: dict[str, FullRun] = {}

EXAMPLE = """examples:
  ./tongban test                        everything, as the project's own checks run it
  ./tongban test -- tests/kit -k clock  arguments after -- go to pytest
  ./tongban test --seed 1234            the same random cases as a run that printed this seed
  ./tongban test --full rules           the long counts of one name; again to go on after a stop"""


class PartMissing(Unavailable):
    code = "cli.system_part"
    message = "The tests need {name}, which is not installed."
    remedy = "Run: sudo apt-get install -y {packages}"


class NoSuchFullRun(Invalid):
    code = "cli.no_full_run"
    message = "There is no full run called {name!r}."
    remedy = "There are: {names}."


def add(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    parser.add_argument("pytest", nargs="*", metavar="-- ARGUMENT", help="passed to pytest")
    parser.add_argument("--seed", type=int, help="seed of the random cases; a fresh one if not given")
    parser.add_argument("--full", nargs="?", const="all", metavar="NAME", help=f"one of: all, {', '.join(FULL_RUNS)}")
    parser.add_argument("--minutes", type=float, help="with --full: begin no further chunk after this time")
    parser.add_argument("--again", action="store_true", help="with --full: forget finished chunks")


def run(args: argparse.Namespace) -> int:
    root = checkout()
    install_system_parts(root)
    seed = args.seed if args.seed is not None else secrets.randbelow(2**32)
    if args.full:
        return run_full(root, args.full, seed, args.minutes, args.again, args.json)
    return run_everything(root, seed, args.pytest, args.json)


def install_system_parts(root: Path) -> None:
    """Install what is missing if this is root and Debian's tools are here. Raises PartMissing."""
    for part in SYSTEM_PARTS:
        if not part.missing(root):
            continue
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise PartMissing(name=part.name, packages=" ".join(part.packages))
        console.note(f"installing {part.name}")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "-y", "--no-install-recommends", *part.packages]):
            subprocess.run(["apt-get", "-q", *words], env=environment, check=False, stdout=sys.stderr)
        if part.missing(root):
            raise PartMissing(name=part.name, packages=" ".join(part.packages))


# One run


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    ok: bool
    seconds: float
    said: str


def run_everything(root: Path, seed: int, extra: list[str], as_json: bool) -> int:
    began = time.monotonic()
    console.note(f"seed {seed} (the same random cases again: ./tongban test --seed {seed})")
    steps = checks(root)
    for step in steps:
        if not step.ok:
            console.note(f"\n── {step.name}\n{step.said.rstrip()}")
    ok, seconds, closing = run_pytest(root, seed, extra, {}, quiet=as_json)
    steps.append(Step("pytest", ok, seconds, closing))
    passed = all(step.ok for step in steps)
    if as_json:
        told = [{"name": step.name, "ok": step.ok, "seconds": round(step.seconds, 1)} for step in steps]
        console.emit({"ok": passed, "seed": seed, "steps": told, "closing": closing})
        return 0 if passed else 1
    console.say()
    for step in steps:
        console.say(f"  {step.name:<14}{'ok' if step.ok else 'FAILED':<8}{step.seconds:6.1f} s")
    console.say(f"  {'together':<14}{'ok' if passed else 'FAILED':<8}{time.monotonic() - began:6.1f} s   seed {seed}\n")
    # Last of all pytest's own words: this line is what machines count by.
    console.say(closing)
    return 0 if passed else 1


def checks(root: Path) -> list[Step]:
    """The checks that run no test; two at a time, since mypy alone uses one core."""
    python, scripts = sys.executable, Path(sys.executable).parent
    commands = {
        "mypy": [python, "-m", "mypy", "--strict", "-p", "tongban"],
        "ruff": [python, "-m", "ruff", "check", "."],
        "ruff format": [python, "-m", "ruff", "format", "--check", "."],
        "lint-imports": [str(scripts / "lint-imports")],
    }
    with console.progress("format, types, ladder", len(commands)) as advance, ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(_check, root, name, command) for name, command in commands.items()]
        steps = []
        for future in futures:
            steps.append(future.result())
            advance(1)
    return steps


def _check(root: Path, name: str, command: list[str]) -> Step:
    began = time.monotonic()
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return Step(name, done.returncode == 0, time.monotonic() - began, done.stdout + done.stderr)


def run_pytest(
    root: Path, seed: int, extra: list[str], settings: dict[str, str], quiet: bool = False
) -> tuple[bool, float, str]:
    """Run pytest, passing its output on but for the closing line. Returns (ok, seconds, closing line)."""
    command = [sys.executable, "-m", "pytest", f"--hypothesis-seed={seed}", "--durations=5", "--durations-min=5"]
    # worksteal: neighbours stay on one worker, so a module's servers start once, and nobody idles at the end.
    command += ["-n", str(workers()), "--dist", "worksteal", *extra]
    environment = {**os.environ, "TONGBAN_SEED": str(seed), **settings}
    began = time.monotonic()
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True) as process:
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


# The long counts


def run_full(root: Path, name: str, seed: int, minutes: float | None, again: bool, as_json: bool) -> int:
    """Run the chunks not yet done at this very source. 0 all done, 1 one failed, 3 stopped by --minutes."""
    if name != "all" and name not in FULL_RUNS:
        raise NoSuchFullRun(name=name, names=", ".join(["all", *FULL_RUNS]))
    ends = time.monotonic() + minutes * 60 if minutes is not None else float("inf")
    source = source_digest(root)
    for each in FULL_RUNS if name == "all" else [name]:
        state = FullState.read(root, each, source, seed, again)
        status = _run_chunks(root, each, state, ends, as_json)
        if as_json:
            console.emit({"name": each, "status": status, "seed": state.seed, "done": len(state.done)})
        if status:
            return status
    return 0


def _run_chunks(root: Path, name: str, state: "FullState", ends: float, quiet: bool) -> int:
    full = FULL_RUNS[name]
    for chunk in range(full.chunks):
        if chunk in state.done:
            continue
        if time.monotonic() >= ends:
            console.note(f"{name}: {len(state.done)} of {full.chunks} chunks done; the same command goes on from here")
            return 3
        console.note(f"{name}: chunk {chunk + 1} of {full.chunks}, seed {state.seed + chunk}")
        settings = {"TONGBAN_FULL": name, "TONGBAN_CHUNK": f"{chunk}/{full.chunks}"}
        ok, seconds, closing = run_pytest(root, state.seed + chunk, list(full.tests), settings, quiet)
        console.note(closing)
        if not ok:
            console.note(f"{name}: chunk {chunk + 1} failed with seed {state.seed + chunk}; make it a fixed case")
            return 1
        state.finish(chunk, seconds, closing)
    spent = sum(float(told["seconds"]) for told in state.done.values())
    console.note(f"{name}: all {full.chunks} chunks passed in {spent:.0f} s, first seed {state.seed}: {full.purpose}")
    return 0


@dataclass(slots=True)
class FullState:
    """Which chunks passed, kept under var/full so that a stopped run goes on. Another source starts afresh."""

    path: Path
    source: str
    seed: int
    done: dict[int, dict[str, Any]]

    @classmethod
    def read(cls, root: Path, name: str, source: str, seed: int, again: bool) -> "FullState":
        path = root / "var" / "full" / f"{name}.json"
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            same = held["source"] == source and held["chunks"] == FULL_RUNS[name].chunks and not again
        except (OSError, ValueError, KeyError):
            same = False
        if not same:
            return cls(path, source, seed, {})
        return cls(path, source, held["seed"], {int(chunk): told for chunk, told in held["done"].items()})

    def finish(self, chunk: int, seconds: float, closing: str) -> None:
        self.done[chunk] = {"seconds": round(seconds, 1), "closing": closing}
        chunks = FULL_RUNS[self.path.stem].chunks
        held = {"source": self.source, "seed": self.seed, "chunks": chunks, "done": self.done}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(held, indent=1), encoding="utf-8")
        new.replace(self.path)


def source_digest(root: Path) -> str:
    """SHA-256 over everything the tests run or read."""
    total = hashlib.sha256()
    for folder in ("requirements", "solutions", "src", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
