"""`./tongban test --full`: the counts that take too long for every run.

A full run is a list of chunks, each well under ten minutes on two cores. What passed is kept under
var/full, so that a stopped run goes on where it was; another source starts afresh.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongban.cli import console
from tongban.cli.pytest_run import run_pytest
from tongban.cli.spark_part import spark_python
from tongban.kit.errors import Invalid


@dataclass(frozen=True, slots=True)
class Mutated:
    """A module whose every small change must be noticed by its room's tests."""

    module: str  #: "identity/identifiers"
    tests: tuple[str, ...]
    survivors: int  #: changes known to make no difference (docs/reference/mutation.md); one more fails


@dataclass(frozen=True, slots=True)
class FullRun:
    """Tests with larger counts, which they read from tests/full.py; or modules to be mutated, one a chunk."""

    purpose: str
    tests: tuple[str, ...] = ()
    repeat: int = 1  #: chunks, each with its own seed
    mutated: tuple[Mutated, ...] = ()
    spark: bool = False  #: run where PySpark is, which is fetched for it

    @property
    def chunks(self) -> int:
        return len(self.mutated) or self.repeat


#: Tests that notice a change at the gate, in the rules' language, in what binds a rule, in a verdict.
_AT_THE_GATE = tuple(f"tests/node/test_gate_{part}.py" for part in ("unit", "limits", "repeats"))
_READING = ("tests/rules/test_language.py", "tests/rules/test_language_words.py")
_BINDING = ("tests/rules/test_compile.py", "tests/rules/test_binding.py", "tests/rules/test_bounds.py")
_EVALUATING = ("tests/rules/test_logic.py", "tests/rules/test_program.py", "tests/rules/test_vocabulary.py")

#: The closed table of names.
FULL_RUNS: dict[str, FullRun] = {
    "rules": FullRun(
        "one text, three engines, the same byte",
        ("tests/rules/test_agreement.py", "tests/spark/test_agreement.py"),
        repeat=4,
        spark=True,
    ),
    "spark": FullRun(
        "what engines read differently is refused or read alike; a node answers from a register in Spark",
        tuple(f"tests/spark/test_{part}.py" for part in ("divergent", "engine", "register", "node")),
        spark=True,
    ),
    "log": FullRun("no acknowledged entry is lost by kill -9", ("tests/tlog/test_crash.py",), repeat=2),
    # One chunk: their cases come from a fixed seed, which a second chunk would only repeat.
    "exchange": FullRun(
        "mixed and damaged messages are never believed",
        ("tests/exchange/test_envelope.py", "tests/exchange/test_bulk.py"),
    ),
    "oracle": FullRun(
        "30,000 applications in each world: product and independent checker agree on every one, and the bar holds",
        ("tests/journeys/test_agreement.py",),
        repeat=3,
    ),
    "kills": FullRun(
        "200 kills of nodes, runners, supervisors and witnesses: every round ends as one in which nothing is killed",
        ("tests/crash/test_round_kills.py",),
        repeat=10,
    ),
    "tamper": FullRun(
        "1,000 bytes changed in logs, tiles, heads, witnesses' memory, rounds, draws and directories: all found",
        ("tests/crash/test_tamper.py",),
        repeat=4,
    ),
    "rotations": FullRun(
        "1,000 keys changed under calls of every kind, and no call failed", ("tests/node/test_rotations.py",), repeat=5
    ),
    "mutation": FullRun(
        "every small change of what decides about people is noticed by a test",
        mutated=(
            Mutated("identity/identifiers", ("tests/identity",), survivors=6),
            Mutated("exchange/grant", ("tests/exchange/test_grant.py",), survivors=0),
            Mutated("node/gate", _AT_THE_GATE, survivors=2),
            Mutated("rules/language", (*_READING, "tests/rules/test_compile.py"), survivors=1),
            Mutated("rules/reader", (*_READING, "tests/rules/test_compile.py"), survivors=26),
            Mutated(
                "rules/compile", (*_BINDING, "tests/rules/test_rule.py", "tests/rules/test_engine.py"), survivors=6
            ),
            Mutated("rules/closures", (*_BINDING, *_EVALUATING), survivors=3),
            Mutated("rules/lower", (*_BINDING, *_EVALUATING, "tests/rules/test_engine.py"), survivors=34),
        ),
    ),
}


class NoSuchFullRun(Invalid):
    code = "cli.no_full_run"
    message = "There is no full run called {name!r}."
    remedy = "There are: {names}."


def names() -> list[str]:
    return ["all", *FULL_RUNS]


def run(root: Path, name: str, seed: int, minutes: float | None, again: bool, as_json: bool) -> int:
    """Run the chunks not yet done at this very source. 0 all done, 1 one failed, 3 stopped by --minutes."""
    if name not in names():
        raise NoSuchFullRun(name=name, names=", ".join(names()))
    ends = time.monotonic() + minutes * 60 if minutes is not None else float("inf")
    source = source_digest(root)
    for each in FULL_RUNS if name == "all" else [name]:
        state = State.read(root, each, source, seed, again)
        status = _run_chunks(root, each, state, ends, as_json)
        if as_json:
            console.emit({"name": each, "status": status, "seed": state.seed, "done": len(state.done)})
        if status:
            return status
    return 0


def _run_chunks(root: Path, name: str, state: "State", ends: float, quiet: bool) -> int:
    full = FULL_RUNS[name]
    for chunk in range(full.chunks):
        if chunk in state.done:
            continue
        if time.monotonic() >= ends:
            console.note(f"{name}: {len(state.done)} of {full.chunks} chunks done; the same command goes on from here")
            return 3
        console.note(f"{name}: chunk {chunk + 1} of {full.chunks}, seed {state.seed + chunk}")
        ok, seconds, closing = run_chunk(root, name, chunk, state.seed + chunk, quiet)
        console.note(closing)
        if not ok:
            console.note(f"{name}: chunk {chunk + 1} failed with seed {state.seed + chunk}; make it a fixed case")
            return 1
        state.finish(chunk, seconds, closing)
    spent = sum(float(told["seconds"]) for told in state.done.values())
    console.note(f"{name}: all {full.chunks} chunks passed in {spent:.0f} s, first seed {state.seed}: {full.purpose}")
    return 0


def run_chunk(root: Path, name: str, chunk: int, seed: int, quiet: bool) -> tuple[bool, float, str]:
    """(passed, seconds, closing line)."""
    full = FULL_RUNS[name]
    if full.mutated:
        return mutate(root, full.mutated[chunk])
    settings = {"TONGBAN_FULL": name, "TONGBAN_CHUNK": f"{chunk}/{full.chunks}"}
    python = spark_python(root) if full.spark else sys.executable
    return run_pytest(root, seed, list(full.tests), settings, quiet, python)


# What is done already


@dataclass(slots=True)
class State:
    """Which chunks passed, and the seed of the first one."""

    path: Path
    source: str
    seed: int
    done: dict[int, dict[str, Any]]

    @classmethod
    def read(cls, root: Path, name: str, source: str, seed: int, again: bool) -> "State":
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


# Mutation


def mutate(root: Path, mutated: Mutated) -> tuple[bool, float, str]:
    """Change one module in every small way, on a copy, and run its room's tests for each change."""
    began = time.monotonic()
    copy = root / "var" / "full" / "mutation"
    shutil.rmtree(copy, ignore_errors=True)
    for folder in ("docs", "solutions", "src", "tests"):
        shutil.copytree(root / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    settings = (
        (root / "pyproject.toml").read_text(encoding="utf-8")
        + f"""
[tool.mutmut]
source_paths = ["src/tongban/{mutated.module}.py"]
pytest_add_cli_args_test_selection = {json.dumps(mutated.tests)}
also_copy = ["docs", "solutions", "src", "tests", "pyproject.toml", "conftest.py"]
"""
    )
    # Each call goes through two of mutmut's own: a test of deep nesting would fail before anything was changed.
    # And the random cases are the same for every change and every run: luck shall notice nothing.
    (copy / "conftest.py").write_text(
        'import os\nimport sys\n\nsys.setrecursionlimit(5_000)\nos.environ["TONGBAN_SAME_CASES"] = "1"\n',
        encoding="utf-8",
    )
    (copy / "pyproject.toml").write_text(settings, encoding="utf-8")
    done = _mutmut(copy, "run", "--max-children", "2")
    told = _mutmut(copy, "results").stdout
    counts = re.findall(r"(\d+)/(\d+)  ", done.stdout)
    survived = re.findall(r"^ +(\S+): (?:survived|no tests|suspicious|timeout|segfault)$", told, re.M)
    seconds = time.monotonic() - began
    if done.returncode or not counts or counts[-1][0] != counts[-1][1]:
        return False, seconds, f"{mutated.module}: mutmut did not finish:\n{(done.stdout + done.stderr)[-2000:]}"
    closing = f"{mutated.module}: {counts[-1][1]} changes, {len(survived)} not noticed ({mutated.survivors} allowed)"
    return len(survived) <= mutated.survivors, seconds, "\n  ".join([closing, *survived])


def _mutmut(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mutmut", *words]
    return subprocess.run(command, cwd=copy, capture_output=True, encoding="utf-8", errors="replace", check=False)
