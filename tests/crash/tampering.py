"""What an intruder changes in a city's files, and the commands by which an auditor finds it."""

import contextlib
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.town import Town
from tongban.cli.main import main
from tongban.tlog.entry import HEAD, MAGIC, TOGETHER, unframe

BUREAU = "hub"


@dataclass(frozen=True)
class Found:
    """What an auditor was told: exit status, and the codes (of a draw: the parts) of what does not hold."""

    status: int
    codes: frozenset[str]


HOLDS = Found(0, frozenset())


class Auditor:
    """Gives the commands, and reads what they say."""

    def __init__(self, city: Town, capsys: pytest.CaptureFixture[str]) -> None:
        self.city, self._capsys = city, capsys
        self.directory = city.folder / "hub" / "public" / "directory.json"
        self.said: list[dict[str, Any]] = []  #: by the last command

    def asked(self, *words: object) -> Found:
        self._capsys.readouterr()
        status = main([*map(str, words), "--json"])
        self.said = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        codes = {one["code"] for said in self.said for one in said.get("problems", [])}
        codes |= {one["part"] for said in self.said for one in said.get("checks", []) if not one["holds"]}
        codes |= {said["where"] for said in self.said if "where" in said and not said["holds"]}
        return Found(status, frozenset(codes | {said["code"] for said in self.said if "code" in said}))

    def log(self, path: Path) -> Found:
        """Of the log that the file belongs to."""
        log = next(one for one in (path, *path.parents) if (one / "log.json").exists())
        return self.asked("log", "verify", log, "--signatures", "--directory", self.directory)

    def url(self, url: str, *more: object) -> Found:
        return self.asked("log", "verify", url, "--directory", self.directory, *more)

    def round(self, path: Path | None = None) -> Found:
        return self.asked("round", "verify", self.city.first_round, "--city", self.city.folder)

    def draw(self, path: Path) -> Found:
        log = self.city.logs()["transport"]
        return self.asked("draw", "verify", path.parent, "--directory", self.directory, "--log", log)

    def node(self, path: Path) -> Found:
        """Of the node that the file belongs to."""
        node = next(one for one in path.parents if (one / "node.toml").exists())
        return self.asked("node", "check", node)


# --- What is changed ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A kind of file, how it is checked, and the codes by which a change of it may be told."""

    name: str
    files: Callable[[Town], list[Path]]
    check: Callable[[Auditor, Path], Found]
    codes: frozenset[str]
    weight: int = 1


def of_logs(pattern: str) -> Callable[[Town], list[Path]]:
    return lambda city: [path for log in city.logs().values() for path in sorted(log.glob(pattern))]


def of_nodes(pattern: str) -> Callable[[Town], list[Path]]:
    return lambda city: sorted((city.folder / "nodes").glob(f"*/{pattern}"))


def of_round(*patterns: str) -> Callable[[Town], list[Path]]:
    def found(city: Town) -> list[Path]:
        place = city.round(city.first_round)
        return sorted(path for one in patterns for path in place.glob(one) if path.is_file())

    return found


_ENTRIES = frozenset(
    {
        *("tlog.damaged", "tlog.shorter_than_checkpoint", "tlog.root_differs", "tlog.leaf_not_canonical"),
        *("tlog.record_differs", "tlog.record_unreadable", "tlog.record_missing", "tlog.record_unexpected"),
        *("tlog.keys_differ", "tlog.answer_differs", "tlog.signature_differs", "tlog.destruction_unreadable"),
    }
)
_NOTES = frozenset(
    {
        *("tlog.checkpoint_invalid", "tlog.checkpoints_disordered", "tlog.checkpoint_not_kept", "tlog.root_differs"),
        *("tlog.shorter_than_checkpoint", "cli.foreign_checkpoint", "cli.cosignature_unknown"),
    }
)
_DAMAGED = frozenset({"rounds.damaged"})
_STEPS = ("*/manifest.json", "frozen/*/freeze.json", "*/step.json", "round.json", "receipts/*.json")
_RESULTS = ("*/decisions.parquet", "verdicts/*", "frozen/codes.parquet", "frozen/*/pool.csv")
_REST = ("round.key", "applications.parquet", "drawn/**/*", "published/**/*", "answers/*.arrow")

TARGETS = (
    Target("entries", of_logs("entries/*.log"), Auditor.log, _ENTRIES, 6),
    Target("checkpoint", of_logs("checkpoint"), Auditor.log, _NOTES),
    Target("checkpoints kept", of_logs("checkpoints.log"), Auditor.log, _NOTES),
    Target("cosignatures", of_logs("cosigned"), Auditor.log, _NOTES, 2),
    Target("signatures of answers", of_logs("answers/*.sig"), Auditor.log, frozenset({"tlog.signature_differs"})),
    Target("memory of witnesses", of_nodes("witness/*.note"), Auditor.node, frozenset({"witness"})),
    Target("manifests and steps", of_round(*_STEPS), Auditor.round, _DAMAGED, 2),
    Target("results and pools", of_round(*_RESULTS), Auditor.round, _DAMAGED, 2),
    Target("the rest of the round", of_round(*_REST), Auditor.round, _DAMAGED, 2),
    Target(
        "bundle of the draw",
        of_round("published/public/*/*"),
        Auditor.draw,
        frozenset({"bundle", "signature", "log"}),
        2,
    ),
)
#: Every kind as often as it weighs.
TURNS = tuple(target for target in TARGETS for _ in range(target.weight))


# --- Changes --------------------------------------------------------------------------------------


@contextlib.contextmanager
def undone(*paths: Path) -> Iterator[None]:
    """Whatever happens to the files inside is taken back."""
    before = {path: path.read_bytes() for path in paths}
    try:
        yield
    finally:
        for path, data in before.items():
            path.write_bytes(data)


def change_a_byte(path: Path, chance: random.Random, *, mend: bool) -> int:
    """Its place. `mend`: whoever changes an entry knows how its checksum is made."""
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    data[at] ^= chance.randrange(1, 256)
    mended = bytearray(data)
    _mend(mended, at)
    # Where the checksum itself was changed, mending it would be no change at all.
    path.write_bytes(mended if mend and mended != path.read_bytes() else data)
    return at


def _mend(data: bytearray, at: int) -> None:
    """Make the checksum of the entry around `at` right again, if it still has the head of one."""
    start = data.rfind(MAGIC[:-1], 0, at + 1)
    while start >= 0:
        length = struct.unpack_from("<I", data, start + len(MAGIC))[0]
        stop = start + HEAD + length
        if start <= at < stop <= len(data):
            turned = 0xFFFFFFFF if data.startswith(TOGETHER, start) else 0
            struct.pack_into("<I", data, start + HEAD - 4, zlib.crc32(data[start + HEAD : stop]) ^ turned)
            return
        start = data.rfind(MAGIC[:-1], 0, start)


def frames(path: Path) -> list[bytes]:
    """The entries of a file as they stand there."""
    data, found, at = path.read_bytes(), [], 0
    while framed := unframe(data, at, len(data)):
        found.append(data[at : framed.stop])
        at = framed.stop
    return found
