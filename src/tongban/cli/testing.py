"""`./tongban test`: every check of the project as one run.

Formatting, types and the ladder of rooms first, then all tests with a fresh seed. With `--full` the
counts that are too long for every run: in chunks of some minutes, so that a stopped run goes on
where it was.
"""

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tongban.cli import console, full
from tongban.cli.pytest_run import run_pytest
from tongban.cli.root import checkout
from tongban.kit.errors import Unavailable


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


EXAMPLE = """examples:
  ./tongban test                        everything, as the project's own checks run it
  ./tongban test -- tests/kit -k clock  arguments after -- go to pytest
  ./tongban test --seed 1234            the same random cases as a run that printed this seed
  ./tongban test --full rules           the long counts of one name; again to go on after a stop"""


class PartMissing(Unavailable):
    code = "cli.system_part"
    message = "{name} is needed, and is not installed."
    remedy = "Run: sudo apt-get install -y {packages}"


def add(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    parser.add_argument("pytest", nargs="*", metavar="-- ARGUMENT", help="passed to pytest")
    parser.add_argument("--seed", type=int, help="seed of the random cases; a fresh one if not given")
    parser.add_argument("--full", nargs="?", const="all", metavar="NAME", help=f"one of: {', '.join(full.names())}")
    parser.add_argument("--minutes", type=float, help="with --full: begin no further chunk after this time")
    parser.add_argument("--again", action="store_true", help="with --full: forget finished chunks")


def run(args: argparse.Namespace) -> int:
    root = checkout()
    install_system_parts(root)
    seed = args.seed if args.seed is not None else secrets.randbelow(2**32)
    if args.full:
        return full.run(root, args.full, seed, args.minutes, args.again, args.json)
    return run_everything(root, seed, args.pytest, args.json)


def install_system_parts(root: Path, parts: tuple[SystemPart, ...] | None = None) -> None:
    """Install what is missing if this is root and Debian's tools are here. Raises PartMissing.

    parts: what the tests need, unless others are named.
    """
    for part in SYSTEM_PARTS if parts is None else parts:
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
    done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", errors="replace", check=False)
    return Step(name, done.returncode == 0, time.monotonic() - began, done.stdout + done.stderr)
