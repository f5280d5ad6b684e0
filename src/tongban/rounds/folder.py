"""A round's folder: each stage is one directory that is there whole or not at all.

    ROUND/
      round.json                     the round as it was opened; never changes
      round.key                      the round's secret, 32 bytes, mode 0600: draw codes are made with it
      applications.parquet           the application list, normalised
      answers/<rule>.<part>.arrow    what departments answered, as it came; beside each a .json: how it came
      verdicts/                      stage "verified": every rule's verdicts by position
      decisions/                     stage "decided": the findings, and their signed manifest
      rechecks/                      re-checks, one file an event
      frozen/  drawn/  published/    stages of the same names
      superseded/                    what an earlier stage was before it was set back; nothing is deleted

A stage is built in a temporary directory, made durable, and takes its name by one rename. A process killed
at any instant leaves the stage before or the stage after; run again, it writes the same bytes.
"""

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

from tongban.kit import canonical
from tongban.kit.durable import sync, write_durably
from tongban.kit.errors import Corrupt, Invalid, Unavailable

STEP = "step.json"


class Stage(StrEnum):
    """How far a round is. Each value but the first has a directory."""

    NEW = "new"
    VERIFIED = "verified"
    DECIDED = "decided"
    FROZEN = "frozen"
    DRAWN = "drawn"
    PUBLISHED = "published"


STAGES = tuple(Stage)
DIRECTORIES = {
    Stage.VERIFIED: "verdicts",
    Stage.DECIDED: "decisions",
    Stage.FROZEN: "frozen",
    Stage.DRAWN: "drawn",
    Stage.PUBLISHED: "published",
}


class Contradicted(Invalid):
    """A finished step is asked for again, with something else in hand."""

    code = "rounds.contradicted"
    message = "Round {round}: {what} is already there, made from other input ({differs})."
    remedy = (
        "A finished step is never made anew in silence: set the round back first; that is possible until the freeze."
    )


class OutOfOrder(Invalid):
    """A step is asked for before the one that it stands on, or after the point of no return."""

    code = "rounds.out_of_order"
    message = "Round {round} is {stage}; {wanted} cannot be done now."
    remedy = "The order is new, verified, decided, frozen, drawn, published."


class NoRound(Invalid):
    """The folder holds no round."""

    code = "rounds.no_round"
    message = "There is no round in {path}."
    remedy = "Open one with `./tongban round new`."


class Busy(Unavailable):
    """Another process works on the same round."""

    code = "rounds.busy"
    message = "Another process is working on round {round}."
    remedy = "Wait until it is done and run the command again."


class Damaged(Corrupt):
    """A file of a finished step is not what the step wrote."""

    code = "rounds.damaged"
    message = "Round {round}: {file} is not what was written when the step was finished."
    remedy = "Do not go on. Restore the folder from a copy and compare with the digests in the log."


class RoundFolder:
    """The files of one round. Only `step`, `keep` and `set_back` write; callers hold `locked` meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name

    @property
    def stage(self) -> Stage:
        """The last stage whose directory is there. Raises NoRound."""
        if not (self.path / "round.json").exists():
            raise NoRound(path=self.path)
        done = [stage for stage in STAGES[1:] if self.directory(stage).exists()]
        return done[-1] if done else Stage.NEW

    def directory(self, stage: Stage) -> Path:
        return self.path / DIRECTORIES[stage]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from writing. Raises Busy at once if one does."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(round=self.name) from None
            yield

    def step(self, stage: Stage, inputs: Mapping[str, str], write: Callable[[Path], None]) -> bool:
        """Make `stage` from `inputs` (name to digest) by `write`, which fills an empty directory.

        Returns True if it was made, False if it was there already from the same inputs.
        Raises Contradicted, OutOfOrder, and whatever `write` raises (then nothing is left behind that counts).
        """
        before = STAGES[STAGES.index(stage) - 1]
        now = self.stage
        if STAGES.index(now) >= STAGES.index(stage):
            self._same(stage, inputs)
            return False
        if now is not before:
            raise OutOfOrder(round=self.name, stage=now, wanted=stage)
        fresh = self.path / f".new-{DIRECTORIES[stage]}"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        write(fresh)
        done = {"inputs": dict(inputs), "outputs": digests(fresh)}
        (fresh / STEP).write_bytes(canonical.encode(done) + b"\n")
        sync_tree(fresh)
        fresh.rename(self.directory(stage))
        sync(self.path)
        return True

    def _same(self, stage: Stage, inputs: Mapping[str, str]) -> None:
        made = self.done(stage)["inputs"]
        if made != dict(inputs):
            differs = sorted(name for name in {*made, *inputs} if made.get(name) != inputs.get(name))
            raise Contradicted(round=self.name, what=stage, differs=", ".join(differs))

    def need(self, stage: Stage) -> None:
        """Raise OutOfOrder unless the round has come at least as far as `stage`."""
        now = self.stage
        if STAGES.index(now) < STAGES.index(stage):
            raise OutOfOrder(round=self.name, stage=now, wanted=f"what needs {stage}")

    def done(self, stage: Stage) -> dict[str, Any]:
        """`inputs` and `outputs` of a finished stage, each a name (or path inside it) and a digest."""
        value = canonical.decode((self.directory(stage) / STEP).read_bytes().removesuffix(b"\n"))
        return dict(value)

    def digest_of(self, stage: Stage) -> str:
        """One digest over everything that a finished stage wrote."""
        return canonical.digest(self.done(stage)["outputs"])

    def set_back(self, to: Stage, note: Mapping[str, Any]) -> None:
        """Undo every stage after `to`, keeping what it was; `note` says who and why.

        Possible until the freeze: after it a change would be a change of the pool.
        Raises OutOfOrder.
        """
        now = self.stage
        if STAGES.index(now) >= STAGES.index(Stage.FROZEN):
            raise OutOfOrder(round=self.name, stage=now, wanted=f"going back to {to}")
        aside = self.path / "superseded"
        aside.mkdir(exist_ok=True)
        # Newest first: a crash in between leaves a round that is merely less far.
        for stage in reversed(STAGES[STAGES.index(to) + 1 :]):
            if self.directory(stage).exists():
                self._aside(self.directory(stage), note)

    def _aside(self, thing: Path, note: Mapping[str, Any]) -> None:
        aside = self.path / "superseded"
        aside.mkdir(exist_ok=True)
        place = aside / f"{len(list(aside.iterdir())):04d}-{thing.name}"
        write_durably(place.with_name(place.name + ".why.json"), canonical.encode(dict(note)) + b"\n")
        thing.rename(place)
        sync(aside)
        sync(self.path)

    def keep(self, name: str, data: bytes, mode: int = 0o644) -> bool:
        """Write one file once. The same bytes again do nothing (False); others raise Contradicted."""
        place = self.path / name
        if place.exists():
            if place.read_bytes() != data:
                raise Contradicted(round=self.name, what=name, differs="its bytes")
            return False
        place.parent.mkdir(exist_ok=True)
        write_durably(place, data, mode=mode)
        return True

    def replace(self, name: str, data: bytes, note: Mapping[str, Any]) -> None:
        """Write one file in the place of another, which is set aside first."""
        if (self.path / name).exists():
            self._aside(self.path / name, note)
        self.keep(name, data)

    def verify(self) -> None:
        """Compare every finished stage with what it wrote down. Raises Damaged."""
        for stage in STAGES[1 : STAGES.index(self.stage) + 1]:
            written = self.done(stage)["outputs"]
            found = digests(self.directory(stage))
            for file in sorted({*written, *found}):
                if written.get(file) != found.get(file):
                    raise Damaged(round=self.name, file=f"{DIRECTORIES[stage]}/{file}")


def digests(directory: Path) -> dict[str, str]:
    """SHA-256 of every file below `directory` but its step.json, by path."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path != directory / STEP)
    return {path.relative_to(directory).as_posix(): file_digest(path) for path in files}


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_tree(directory: Path) -> None:
    """Make every file below `directory`, and every name, durable."""
    for path in directory.rglob("*"):
        sync(path)
    sync(directory)
