"""The world of `./tongban bench match`: six nodes, a consumer's, one directory over them; real processes, real keys."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._six import AS_OF, say
from benchmarks._six_rules import SIX, Department
from tongban.exchange import listing
from tongban.exchange.bureau import Bureau, Office
from tongban.identity.identifiers import credit_check, organisation_check
from tongban.kit import canonical, statement
from tongban.kit.clock import MachineClock, stamp
from tongban.kit.keys import read_key
from tongban.node import config as configs
from tongban.node import setup
from tongban.node.snapshots import current
from tongban.node.store import FactStore
from tongban.rules.compile import CompiledRule, compile
from tongban.rules.vocabulary import VOCABULARY_VERSION

CONSUMER, PURPOSE, OPERATOR = "transport", "bench-six", "BENCH-1"
CHECKOUT = Path(__file__).parent.parent
_START_SECONDS = 60


def code(number: int) -> str:
    """A well-formed credit code that belongs to nobody."""
    organ = f"YYYY{number:04d}"
    body = "11110199" + organ + organisation_check(organ)
    return body + credit_check(body)


@dataclass(frozen=True, slots=True)
class World:
    folder: Path

    @property
    def nodes(self) -> tuple[str, ...]:
        return (CONSUMER, *(one.node for one in SIX))

    def node(self, id: str) -> Path:
        return self.folder / "nodes" / id

    def member(self, id: str) -> str:
        return code(1 + self.nodes.index(id))

    def facts(self, department: Department) -> Path:
        """Folder of the department's newest snapshot."""
        place = FactStore(self.node(department.node) / "facts").place(department.resource)
        found = current(department.resource, place)
        assert found is not None
        return found.folder

    def compiled(self, department: Department) -> CompiledRule:
        """The rule as its owner approves it: over the facts that its node makes."""
        served = configs.read(self.node(department.node)).resources[department.resource]
        assert served.facts is not None
        return compile(department.rule, department.facts, facts_digest=served.facts.digest())


# --- laying it out --------------------------------------------------------------------------------


def laid(folder: Path) -> World:
    """Folders, keys, grants and a fresh directory; keys and logs of an earlier run stay."""
    if (folder / "registers.away").exists():
        (folder / "registers.away").rename(folder / "registers")
    world, clock = World(folder), MachineClock()
    hub = folder / "hub"
    bureau = Bureau(hub, clock) if (hub / "root.json").exists() else Bureau.create(hub, "bench", code(0), clock)
    ports = _ports(len(world.nodes))
    for id, port in zip(world.nodes, ports, strict=True):
        _lay_node(world, bureau, id, port)
    now = clock.seconds()
    for id, port in zip(world.nodes, ports, strict=True):
        _list_member(world, bureau, id, port, now)
    for department in SIX:
        _list_rule(world, bureau, department, now)
    bureau.publish()
    return world


def _ports(count: int) -> list[int]:
    with ExitStack() as held:
        bound = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in bound:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in bound]


def _lay_node(world: World, bureau: Bureau, id: str, port: int) -> None:
    folder = world.node(id)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "[node]", f'id = "{id}"', f'member = "{world.member(id)}"', f"port = {port}",
        f'directory = "{bureau.public}"', f'directory_root = "{bureau.root.digest}"',
    ]  # fmt: skip
    if id == CONSUMER:
        lines += [
            "[door]", 'socket = "door.sock"', "[[door.system]]", 'name = "bench"', f"uid = {os.getuid()}",
            'grants = ["*"]', 'operators = ["*"]', "rounds = true",
        ]  # fmt: skip
    else:
        lines += _served(world, next(one for one in SIX if one.node == id))
    (folder / "node.toml").write_text("\n".join(lines) + "\n")
    if not (folder / "keys").exists():
        setup.init(folder, id, world.member(id), bureau.root.digest, os.getuid())


def _served(world: World, one: Department) -> Iterator[str]:
    yield f"[register.{one.register}]"
    yield f'parquet = "{world.folder / "registers" / one.register}.parquet"'
    yield f'[resource."{one.resource}"]'
    yield f'register = "{one.register}"'
    yield f'[resource."{one.resource}".facts]'
    yield 'number = "id_number"\ndomain = "citizen"'
    yield f"merge = '''{one.merge}'''"
    yield f'[[resource."{one.resource}".facts.source]]'
    yield f'rows = "{one.rows}"'
    yield f"columns = {json.dumps(list(one.columns), ensure_ascii=False)}"


def _list_member(world: World, bureau: Bureau, id: str, port: int, now: float) -> None:
    member = world.member(id)
    office = Office(world.folder / "offices" / id, member)
    root = {"id": office.root.id, "public": base64.b64encode(office.root.public.public).decode()}
    body = listing.compose(
        "member", code=member, name="示例", name_en="Example", root=root, predecessors=[], successors=[],
        since="2000-01-01T00:00:00Z", until=None,
    )  # fmt: skip
    node = listing.compose(
        "node", id=id, member=member, address=f"http://127.0.0.1:{port}", certificate=None, origin=f"{member}/{id}"
    )
    entries = [statement.sign(body, *bureau.root_keys()), statement.sign(node, office.root)]
    keys = {role: read_key(world.node(id) / "keys" / f"{role}.json") for role in ("online", "ticket")}
    for role, key in {**keys, "approval": office.approval}.items():
        if bureau.listed("key", key.id) is None:
            since, until = stamp(now - 3_600), stamp(now + 365 * 86_400)
            entries.append(office.key_entry(key, role, since, until))
    bureau.put(*entries)


def _list_rule(world: World, bureau: Bureau, one: Department, now: float) -> None:
    office = Office(world.folder / "offices" / one.node, world.member(one.node))
    compiled = world.compiled(one)
    fields = [{"name": name, "type": "text", "grade": "general-2", "mask": None} for name in one.fields]
    resource = listing.compose(
        "resource", id=one.resource, version=1, member=office.code, node=one.node, title=one.register,
        domains=["citizen"], fields=fields, sharing="conditional", basis="bench",
        complete={"as_of": "2014-01-01", "statement": "bench"},
    )  # fmt: skip
    rule = listing.compose(
        "rule", id=compiled.rule.id, version=1, member=office.code, node=one.node, resource=one.resource,
        digest=compiled.digest, text=canonical.encode(dict(compiled.text)).decode(),
        parameters=dict(compiled.parameters), facts=compiled.facts.to_json(), vocabulary=VOCABULARY_VERSION,
    )  # fmt: skip
    bureau.put(office.approve(resource), office.approve(rule))
    granted = {call: canonical.digest([one.node, compiled.digest, call])[:22] for call in ("match", "verify")}
    for entry in [*bureau.entries()]:
        if entry.kind == "grant" and entry.body["rule"] == compiled.rule.id:
            if entry.body["id"] in granted.values():
                del granted[entry.body["call"]]
            else:
                # Of an earlier text of the rule: the door would take either.
                bureau.remove("grant", entry.body["id"])
    for call, id in granted.items():
        grant = listing.compose(
            "grant", id=id, consumer=world.member(CONSUMER), provider=office.code, node=one.node,
            resource=one.resource, call=call, fields=[], rule=compiled.rule.id, rule_digest=compiled.digest, rows=[],
            purpose=PURPOSE, basis="bench", quota={"calls": 10**9, "persons": 10**9, "window_seconds": 86_400},
            max_directory_age=72 * 3600, not_before=stamp(now - 60), expires_at=stamp(now + 365 * 86_400),
            issued_at=stamp(now),
        )  # fmt: skip
        bureau.put(bureau.countersign(office.approve(grant)))


# --- facts ----------------------------------------------------------------------------------------


def refreshed(world: World) -> Mapping[str, Any]:
    """Facts made by `node refresh`, one department after the other; kept while register and rule are the same."""
    about = world.folder / "facts.json"
    wanted = {one.node: world.compiled(one).digest for one in SIX}
    made = json.loads((world.folder / "six.json").read_text())
    held: dict[str, Any] = json.loads(about.read_text()) if about.exists() else {}
    if held.get("of") == wanted and held.get("registers") == made:
        return held
    # One at a time where a register fills the machine's memory; else as many as there are processors.
    alone = sum(made["rows"].values()) > 10_000_000
    with ThreadPoolExecutor(1 if alone else os.cpu_count()) as pool:
        said = dict(zip(wanted, pool.map(lambda one: _refresh(world, one), SIX), strict=True))
    took = {id: seconds for id, (seconds, _) in said.items()}
    told = {id: one for id, (_, one) in said.items()}
    held = {"of": wanted, "registers": made, "seconds": took, "said": told}
    about.write_text(json.dumps(held))
    return held


def _refresh(world: World, one: Department) -> tuple[float, Any]:
    """Seconds, and what the command says."""
    shutil.rmtree(world.node(one.node) / "facts", ignore_errors=True)
    began = time.perf_counter()
    words = ["nice", "-n", "19", *_words(), "node", "refresh", str(world.node(one.node)), "--as-of", AS_OF, "--json"]
    told = subprocess.run(words, stdout=subprocess.PIPE, env=_environment(), check=True).stdout
    took = round(time.perf_counter() - began, 1)
    say(f"  facts of {one.register:<10} {took:6.1f} s  {told.decode().strip()}")
    return took, json.loads(told)


# --- processes ------------------------------------------------------------------------------------


def _words() -> list[str]:
    return [sys.executable, "-m", "tongban.cli.main"]


def _environment() -> dict[str, str]:
    paths = [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "TONGBAN_PARENT": str(os.getpid()), "PYTHONPATH": os.pathsep.join(filter(None, paths))}


@contextmanager
def running(world: World, *, staged: bool = False) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """The seven nodes. `staged`: each tells at its end how long its stages took."""
    words = [sys.executable, "-m", "benchmarks._match_staged"] if staged else _words()
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for id in world.nodes:
            folder = world.node(id)
            (folder / "address.json").unlink(missing_ok=True)
            with (folder / "node.out").open("ab") as out:
                started[id] = subprocess.Popen(
                    [*words, "node", "run", str(folder), "--with-parent"],
                    stdout=out, stderr=out, env=_environment(), start_new_session=True,
                )  # fmt: skip
        for id in world.nodes:
            _answering(world.node(id), started[id])
        yield started
    finally:
        for child in started.values():
            child.send_signal(signal.SIGTERM)
        for child in started.values():
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()


@contextmanager
def registers_away(world: World) -> Iterator[None]:
    """Without its registers: a node that opened one for a round would fail, and the round with it."""
    here, away = world.folder / "registers", world.folder / "registers.away"
    here.rename(away)
    try:
        yield
    finally:
        away.rename(here)


def _answering(folder: Path, child: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_SECONDS
    while not (folder / "address.json").exists():
        if child.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{folder.name} does not answer; see {folder / 'node.out'}")
        time.sleep(0.02)


class Worker:
    """A process of the benchmark that takes one line and gives one line of JSON back."""

    def __init__(self, module: str, *words: str, staged: bool = False, python: str = sys.executable) -> None:
        self._child = subprocess.Popen(
            [python, "-m", f"benchmarks.{module}", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**_environment(), **({"TONGBAN_BENCH_STAGED": "1"} if staged else {})},
        )  # fmt: skip
        self.pid = self._child.pid

    def ask(self, line: str = "") -> dict[str, Any]:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()
        said = self._child.stdout.readline()
        if not said:
            raise RuntimeError(f"a worker of the benchmark ended with {self._child.wait()}")
        found: dict[str, Any] = json.loads(said)
        return found

    def close(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(60)


def cpu_of(pid: int) -> float:
    """Seconds of user and system time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_of(pid: int) -> float:
    """VmHWM in MiB: mapped files that were read count too."""
    return _status(pid, "VmHWM")


@contextmanager
def own_memory(processes: Mapping[str, int]) -> Iterator[dict[str, float]]:
    """Greatest MiB that each process held for itself, mapped files left out; looked at five times a second."""
    found, done = dict.fromkeys(processes, 0.0), threading.Event()

    def look() -> None:
        while not done.wait(0.2):
            for name, pid in processes.items():
                found[name] = max(found[name], _status(pid, "RssAnon"))

    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    try:
        yield found
    finally:
        done.set()
        looker.join()


def forget_peak(pid: int) -> None:
    """Begin a new VmHWM at what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int, word: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{word}:")).split()[1]) / 1024
