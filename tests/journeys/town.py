"""A whole city in processes of its own, as `./tongban up` starts it, and its rounds as an outsider finds them.

What is right is told by tests/oracle, which shares nothing with the product.
"""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.oracle.car_lottery import Finding, decide, read_applications
from tests.oracle.rules import Verdict
from tongban.cli import log_check, log_read
from tongban.cli.city import open_city
from tongban.cli.keyring import Keyring
from tongban.cli.keyring import read as read_directory
from tongban.cli.round_steps import Steps
from tongban.demo.city import generate
from tongban.rounds.folder import RoundFolder
from tongban.rounds.runner import Told
from tongban.tlog.entry import Stored
from tongban.tlog.verify import Verification

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
OPERATOR, REVIEWER = "T-0001", "T-0002"
#: By world: evaluation date, the day the data was handed over, the round that `up` holds.
WORLDS = {
    "2011": (date(2011, 6, 8), date(2011, 6, 9), "2011-6"),
    "2014": (date(2014, 6, 8), date(2014, 6, 9), "2014-3"),
    "2016": (date(2016, 6, 8), date(2016, 6, 9), "2016-3"),
    "2026": (date(2026, 10, 8), date(2026, 10, 9), "2026-2"),
}
PATIENCE = 60.0


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "tongban.cli.main", *map(str, words), "--json"]


def until(met: Callable[[], bool], what: str) -> None:
    """Look again and again until it is so; a minute is far longer than any of it takes."""
    ends = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < ends, f"after {PATIENCE:.0f} s still not: {what}"
        time.sleep(0.02)


class Town:
    """`./tongban up` in a process of its own: the supervisor, the nodes below it, and the first round it held."""

    def __init__(self, folder: Path, world: str = "2014", size: str = "hamlet", *, once: bool = False) -> None:
        self.folder = folder
        self.at, self.day, self.first_round = WORLDS[world]
        self._size = size
        self._words = ("up", "--city", folder, "--size", size, "--world", world, *(("--once",) if once else ()))
        self.process: Any = None
        self.said: dict[str, Any] = {}

    def generated(self, seed: int) -> "Town":
        """Another city than the one that everybody sees: other persons, other dirt."""
        generate(self.folder, self._size, self.day, seed)
        return self

    def start(self) -> "Town":
        """Done when the round is published; the nodes go on."""
        errors = self.folder.with_name(f"{self.folder.name}.err")
        with errors.open("ab") as file:
            self.process = subprocess.Popen(
                command(*self._words), cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=file, text=True
            )
        told = self.process.stdout.readline()
        assert told, f"`up` ended with nothing to say:\n{errors.read_text(errors='replace')[-3000:]}"
        self.said = json.loads(told)
        assert "published" in self.said, told
        assert self.said["refused"] is None, told
        return self

    def stop(self) -> int:
        """As Ctrl-C does; its exit status."""
        self.process.terminate()
        status = int(self.process.wait(PATIENCE))
        self.process.stdout.close()
        return status

    # --- nodes ----------------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[str]:
        return sorted(place.name for place in (self.folder / "nodes").iterdir())

    def pid(self, node: str) -> int | None:
        """Process of a node that answers; None while it is starting."""
        try:
            return int(json.loads((self.folder / "nodes" / node / "address.json").read_bytes())["pid"])
        except FileNotFoundError:
            return None

    def children(self) -> dict[str, int]:
        """Processes that the supervisor keeps by node, those that are only starting included."""
        supervisor, found = self.process.pid, {}
        for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0") if alive(int(pid)) else []
            found |= {node: int(pid) for node in self.nodes if str(self.folder / "nodes" / node) in words}
        return found

    @contextmanager
    def unattended(self) -> Iterator[None]:
        """The supervisor sleeps meanwhile: who falls stays down until the end of the block, then is started again."""
        before = {node: self.pid(node) for node in self.nodes}
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)
        fallen = [node for node in self.nodes if not alive(before[node])]
        until(lambda: all(self.pid(node) not in (None, before[node]) for node in fallen), f"{fallen} answer again")

    def strike(self, node: str) -> None:
        pid = self.pid(node)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid), f"{node} is down")

    # --- logs -----------------------------------------------------------------------------------------

    def logs(self) -> dict[str, Path]:
        """Every log of the city by node, the bureau's own included."""
        return {"hub": self.folder / "hub" / "log"} | {
            node: self.folder / "nodes" / node / "log" for node in self.nodes
        }

    def entries(self, node: str) -> list[Stored]:
        return list(log_read.entries(self.logs()[node]))

    def persons_committed(self) -> bool:
        """Every batch has its batch-persons entry, and no keys are kept any more."""
        for node in self.nodes:
            leaves = [log_read.leaf_of(one) | {"index": one.index} for one in self.entries(node)]
            batches = {leaf["index"] for leaf in leaves if leaf["kind"] == "batch"}
            done = {leaf["batch"] for leaf in leaves if leaf["kind"] == "batch-persons"}
            if batches != done or list((self.folder / "nodes" / node / "spool").glob("*.sealed")):
                return False
        return True

    def verified(self, node: str) -> Verification:
        """The node's log, every signature checked with the keys of the published directory."""
        ring = Keyring((read_directory(self.folder / "hub" / "public" / "directory.json"),), "")
        return log_check.checked(self.logs()[node], ring, True, lambda done, total: None)

    # --- rounds ---------------------------------------------------------------------------------------

    def round(self, id: str) -> Path:
        return self.folder / "rounds" / id

    def found(self, id: str, stage: str = "decisions") -> dict[str, Finding]:
        """The product's results as the oracle writes its own: by application, the rules that concern it."""
        rows = pq.read_table(self.round(id) / stage / "decisions.parquet").to_pylist()
        return {row["application"]: finding_of(row) for row in rows}

    def expected(self, registers: Path | None = None) -> dict[str, Finding]:
        """What the oracle finds in the city's registers, or in a copy of them."""
        return decide(registers or self.folder / "registers", self.at, self.day)


def alive(pid: int | None) -> bool:
    """A process that was killed and not yet mourned by its parent is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def finding_of(row: Mapping[str, Any]) -> Finding:
    rules = [name for name in row if f"{name}_reason" in row and row[name] != "not_applicable"]
    verdicts = {rule: Verdict(row[rule], row[f"{rule}_reason"]) for rule in rules}
    return Finding(row["application"], row["status"], row["reason"], verdicts)


def disagreements(ours: Mapping[str, Finding], theirs: Mapping[str, Finding]) -> list[str]:
    """Where product and oracle differ in status, reason or any rule's verdict; both sides' verdicts beside it."""
    told = [f"{code}: found by the {'product' if code in ours else 'oracle'} only" for code in ours.keys() ^ theirs]
    for code in sorted(ours.keys() & theirs):
        one, other = ours[code], theirs[code]
        if (one.status, one.reason, one.verdicts) != (other.status, other.reason, other.verdicts):
            told.append(f"{code}: product {shown(one, other)}; oracle {shown(other, one)}")
    return told


def shown(one: Finding, other: Finding) -> str:
    """The finding, and the verdicts in which it differs from the other side's."""
    differing = [rule for rule in one.verdicts if one.verdicts[rule] != other.verdicts.get(rule)]
    verdicts = ", ".join(f"{rule} {':'.join(filter(None, one.verdicts[rule]))}" for rule in differing)
    return f"{one.status}/{one.reason} [{verdicts}]"


def assert_agreed(ours: Mapping[str, Finding], theirs: Mapping[str, Finding]) -> None:
    told = disagreements(ours, theirs)
    assert not told, f"{len(told)} of {len(theirs)} applications differ\n" + "\n".join(told[:12])


def persons_asked(
    registers: Path, at: date, findings: Mapping[str, Finding]
) -> dict[tuple[str, str], dict[str, set[str]]]:
    """By rule and kind of key: whom the rule concerns after population first, each with the applications about her.

    Doubles and conflicts, bad numbers and those whose identity is not confirmed are asked about by nobody.
    """
    asked: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for line in read_applications(registers / "transport" / "applications.parquet", at):
        for rule, verdict in findings[line.application].verdicts.items():
            if verdict.reason in ("not_asked", "bad_identifier"):
                continue
            domain, key = (line.handler if rule == "handler_identity" else line.subject) or ("", "")
            asked[rule, domain][key].add(line.application)
    return asked


class Desk:
    """The steps of a round as an official of the department in charge takes them, in this process."""

    def __init__(self, town: Town, operator: str = OPERATOR) -> None:
        self.town = town
        self.steps = Steps(open_city(town.folder), operator)

    def open(self, id: str) -> RoundFolder:
        asyncio.run(self.steps.new(id))
        return RoundFolder(self.town.round(id))

    def verify(self, id: str, accept_silence: str = "") -> tuple[dict[str, Any], list[Told]]:
        """What it came to, and the last news of every part."""
        news: list[Told] = []
        said = asyncio.run(self.steps.verify(id, news.append, frozenset(), accept_silence))
        assert isinstance(said, dict)
        return said, [one for one in news if one.state != "asked"]

    def decided(self, id: str) -> RoundFolder:
        """A round of its own, as far as its findings."""
        folder = self.open(id)
        assert self.verify(id)[0]["stage"] == "verified"
        self.steps.decide(id)
        return folder

    def freeze(self, id: str, *, leave_open: bool = False) -> Any:
        return asyncio.run(self.steps.freeze(id, leave_open))

    def draw(self, id: str) -> Any:
        return asyncio.run(self.steps.draw(id))


def contents(place: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {
        path.relative_to(place).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }
