"""Nodes that run: real processes with real sockets, and one inside the test whose clock the test moves."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

import orjson

from tests.node.asking import Asker, Got, Request, send
from tests.node.place import PROVIDER, Place, copied
from tongban.exchange.client import Answer
from tongban.exchange.envelope import answer_base
from tongban.kit.clock import MovedClock
from tongban.kit.keys import PublicKey
from tongban.node import config as configs
from tongban.node.program import Node, build, online_key, origin_of
from tongban.tlog import segment
from tongban.tlog.entry import Stored
from tongban.tlog.entry import stored as as_stored
from tongban.tlog.log import Log
from tongban.tlog.verify import Verification, verify

Found = TypeVar("Found")
SECONDS = 60  #: a machine with neighbours may be slow; nobody waits this long on a quiet one


def until(look: Callable[[], Found | None], what: str, seconds: float = SECONDS) -> Found:
    """Look again and again until there is something; say what was waited for if there never is."""
    end = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


class UnixConnection(http.client.HTTPConnection):
    """To a node's door, as the uid that runs the tests."""

    def __init__(self, path: Path) -> None:
        super().__init__("door")
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self._path)


class NodeProcess:
    """`./tongban node run DIR` as a child."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> "NodeProcess":
        (self.folder / "address.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "tongban.cli.main", "node", "run", str(self.folder), "--with-parent"]
        with (self.folder / "node.out").open("ab") as out:
            self._child = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | {"PYTHONPATH": "src"})
        return self

    def ready(self) -> "NodeProcess":
        until(self._answers, f"{self.folder.name} answers: {self.said()[-500:]}")
        return self

    def _answers(self) -> bool:
        assert self.alive, f"{self.folder.name} died: {self.said()[-2000:]}"
        return (self.folder / "address.json").exists()

    @property
    def port(self) -> int:
        return int(json.loads((self.folder / "address.json").read_text())["port"])

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def ended(self) -> list[int]:
        """Its exit status; nothing while it runs."""
        assert self._child is not None
        status = self._child.poll()
        return [] if status is None else [status]

    def health(self) -> Any:
        """What the node says of itself at its door, to its owner."""
        connection = UnixConnection(self.folder / "door.sock")
        try:
            connection.request("GET", "/door/v1/health")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def strangers_health(self) -> tuple[int, Any]:
        """Status, and what the node says of itself to anybody."""
        with urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=20) as told:
            return told.status, json.loads(told.read())

    def strangers_answers(self) -> bool:
        """Whether it tells a stranger that it takes calls."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", "/healthz")
            return bool(json.loads(connection.getresponse().read())["answers"])
        finally:
            connection.close()

    def ended_with(self, words: str) -> int:
        """Its exit status, once it ended by itself and said `words`."""
        [status] = until(self.ended, f"{self.folder.name} ends")
        assert words in self.said(), self.said()[-500:]
        return status

    def said(self) -> str:
        """What the process has printed: what an operator would photograph."""
        out = self.folder / "node.out"
        return out.read_text(errors="replace") if out.exists() else ""

    def send(self, request: Request, **how: Any) -> Got:
        return send(self.port, request, **how)

    def kill(self) -> None:
        """kill -9."""
        assert self._child is not None
        self._child.kill()
        self._child.wait()

    def stop(self) -> int:
        """SIGTERM, as a supervisor stops it; its exit status."""
        assert self._child is not None
        if self.alive:
            self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(30)
        except subprocess.TimeoutExpired:
            self._child.kill()
            raise

    # --- its log --------------------------------------------------------------------------------------

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def size(self) -> int:
        return len(entries(self.log))


def entries(log: Path) -> list[Stored]:
    """All entries, read without owning the log, while the node writes."""
    found: list[Stored] = []
    for number in segment.numbers(log):
        segment.read(segment.entry_file(log, number), lambda place, framed: found.append(as_stored(place, framed)))
    return found


def leaf_of(one: Stored) -> dict[str, Any]:
    return dict(orjson.loads(one.leaf))


def record_of(one: Stored) -> dict[str, Any]:
    return dict(orjson.loads(one.record or b"{}"))


def records(log: Path, kind: str) -> list[dict[str, Any]]:
    """Records of one kind of entry, oldest first."""
    return [record_of(one) for one in entries(log) if leaf_of(one)["kind"] == kind]


def verified(log: Path, keys: dict[str, PublicKey]) -> Verification:
    """As `./tongban log verify DIR --signatures`."""
    origin = json.loads((log / "log.json").read_text())["origin"]
    return verify(
        log,
        keys,
        lambda index, leaf, record: answer_base(record, entry=index, leaf=leaf.hex(), origin=origin),
        workers=1,
    )


@dataclass
class Inside:
    """A node in this process. It answers through its gate; its clock stands still until the test moves it."""

    node: Node
    clock: MovedClock
    runner: asyncio.Runner

    def send(self, request: Request, *more: bytes, peer: str = "127.0.0.1") -> Got:
        return self.run(self.answer(request, *more, peer=peer))

    async def answer(self, request: Request, *more: bytes, peer: str = "127.0.0.1") -> Got:
        """The ASGI application's answer; a body in several parts is the request's body followed by `more`."""
        parts = [request.body, *more]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def collect(message: Any) -> None:
            sent.append(dict(message))

        path, _, query = request.path.partition("?")
        scope = {
            "type": "http", "method": request.method, "path": path, "raw_path": path.encode(),
            "query_string": query.encode(), "headers": request.headers, "client": (peer, 1),
        }  # fmt: skip
        await self.node.exchange(scope, receive, collect)
        return Got(sent[0]["status"], sent[0]["headers"], sent[1]["body"])

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def records(self, kind: str) -> list[dict[str, Any]]:
        return [record_of(one) for one in self.node.log.entries() if leaf_of(one)["kind"] == kind]

    def state(self) -> dict[str, Any]:
        """What a refused call must leave as it was."""
        quotas = {scope: (one.calls, one.persons) for scope, one in self.node.journal.quotas._windows.items()}
        return {
            "quotas": {scope: spent for scope, spent in quotas.items() if spent != (0, 0)},
            "answers": len(self.node.journal._answers),
            "running": len(self.node.journal._running),
            "waiting": self.node.persons.waiting(),
            "pins": dict(self.node.persons._pins),
            "snapshots": {id: self.node.store.current(id) for id in self.node.config.resources},
            "spooled": [*self.node.persons._spool.names()],
            "bodies": len(self.node.bodies._waiting),
        }


@contextmanager
def inside(
    place: Place,
    name: str,
    of: str,
    *,
    start: float | None = None,
    pull: bool = True,
    toml: Callable[[str], str] = str,
) -> Iterator[Inside]:
    """A twin of node `of` in a folder of its own beside it, with an empty log; `toml` changes its node.toml."""
    folder = place.node(name)
    assert not folder.exists(), f"{name} is another test's, with entries of its own; `opened` goes on with a folder"
    copied(place.node(of), folder)
    file = folder / "node.toml"
    file.write_text(toml(file.read_text()))
    config = configs.read(folder)
    Log.create(folder / "log", origin_of(config), online_key(config, None), place.clock).close()
    with opened(folder, time.time() if start is None else start, pull=pull) as twin:
        yield twin


@contextmanager
def opened(folder: Path, start: float, *, pull: bool = True) -> Iterator[Inside]:
    """A node in this process on the folder as it is."""
    clock = MovedClock(start)
    node = build(configs.read(folder), clock)
    with asyncio.Runner() as runner:
        if pull:
            runner.run(node.source.pull())
        try:
            yield Inside(node, clock, runner)
        finally:
            runner.run(node.outlet.close())
            for register in node.registers.values():
                register.close()
            if node.log._lock >= 0:
                node.log.close()


def queried(node: Inside, place: Place, resource: str, grant: str, subject: tuple[str, str]) -> Got:
    """What a node says of one person for a ticket of its own, signed so that Transport's node believes it."""
    asker = Asker(place, now=node.clock.seconds)
    asked = asker.query(grant=grant, resource=resource, subject=subject, ticket=asker.ticket(subject))
    got = node.send(asked)
    assert isinstance(asker.judged(asked, got), Answer)
    return got


def spare(
    place: Place, name: str, of: str = PROVIDER, toml: Callable[[str], str] = str, start: bool = True
) -> NodeProcess:
    """A twin of node `of` as a process of its own: same keys, empty log, a free port; `toml` changes its node.toml."""
    folder = place.node(name)
    copied(place.node(of), folder)
    file = folder / "node.toml"
    file.write_text(toml(re.sub(r"^port = \d+$", "port = 0", file.read_text(), flags=re.MULTILINE)))
    config = configs.read(folder)
    Log.create(folder / "log", origin_of(config), online_key(config, None), place.clock).close()
    node = NodeProcess(folder)
    return node.start() if start else node


@contextmanager
def serving(node: NodeProcess) -> Iterator[NodeProcess]:
    """A node that was started: ready at first, alive to the end, and then stopped in order."""
    try:
        yield node.ready()
        assert node.alive
    finally:
        assert node.stop() == 0
