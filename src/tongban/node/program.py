"""The node, put together: opens its log first, answers when it has a directory, stops cleanly.

exchange port   other nodes' calls, through the gate
local door      the own department's systems, on a Unix socket and, if asked for, a loopback port
tasks           directory every 20 s, checkpoint every 10 s, persons of batches, days, counts of strangers every hour
"""

import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import os
import signal
import ssl
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from typing import Any

from tongban.calendar.day import day_of
from tongban.exchange.directory import Directory
from tongban.identity.identifiers import IdentifierInvalid
from tongban.kit.clock import Clock, MachineClock, stamp
from tongban.kit.errors import Invalid, TongbanError
from tongban.kit.keys import PublicKey, SigningKey, read_key
from tongban.node import operation
from tongban.node.adapters import connect
from tongban.node.adapters.register import Bounds, Register
from tongban.node.alarms import Alarm, of_directory, of_keys, of_log
from tongban.node.app import ExchangeApp
from tongban.node.asked import Asked
from tongban.node.backup import is_copy, settle
from tongban.node.body import BodyReader
from tongban.node.config import NodeConfig, RegisterConfig
from tongban.node.cosigning import CopyUnconfirmed, Cosigning, LogClosed, LogContradicted, Standing
from tongban.node.days import Days
from tongban.node.door import DoorApp
from tongban.node.gate import Gate
from tongban.node.journal import Journal
from tongban.node.metrics import rendered
from tongban.node.open_log import OpenLog
from tongban.node.outlet import Outlet
from tongban.node.own_keys import OwnKeys, take_over
from tongban.node.persons import Persons
from tongban.node.proving import Proving
from tongban.node.query import QueryDesk
from tongban.node.questions import Questions
from tongban.node.sealed import SealedLog
from tongban.node.server import listening, listening_at, server
from tongban.node.snapshots import erase_abandoned, keep_newest
from tongban.node.source import DirectorySource
from tongban.node.spool import Spool, SpoolDamaged
from tongban.node.store import FactStore
from tongban.node.verify import VerifyDesk
from tongban.tlog.log import Log
from tongban.tlog.witness import Witness, WitnessDamaged, damaged

_log = logging.getLogger("tongban.node")

CHECKPOINT_SECONDS, PERSONS_SECONDS, DAYS_SECONDS, KEYS_SECONDS, HOUR = 5, 2, 5, 1, 3600
PROVE_SECONDS, ALARM_SECONDS, COPY_SECONDS = 10, 15, 20
#: Snapshots of facts that stay beside those that an open round has pinned.
SNAPSHOTS_KEPT = 3
_PR_SET_PDEATHSIG = 1


class FlooredClock:
    """The machine's clock, but never behind what the log or the directory has already seen.

    A clock that was set back would revive expired grants and used nonces.
    """

    def __init__(self, inner: Clock) -> None:
        self._inner = inner
        self.floor = 0.0

    def seconds(self) -> float:
        now = self._inner.seconds()
        return now if now > self.floor else self.floor


class LazyRegister:
    """A register that is opened when it is first read, and tried again when it was down."""

    def __init__(self, config: RegisterConfig, bounds: Bounds) -> None:
        self._config, self._bounds = config, bounds
        self._open: Register | None = None

    def _opened(self) -> Register:
        if self._open is None:
            self._open = connect(self._config, self._bounds)
        return self._open

    def point(self, select: str) -> Any:
        return self._opened().point(select)

    def extract(self, select: str) -> Any:
        return self._opened().extract(select)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()


def origin_of(config: NodeConfig) -> str:
    """Name of the node's log."""
    return f"{config.member}/{config.id}"


def online_key(config: NodeConfig, pass_phrase: str | None) -> SigningKey:
    return read_key(config.folder / "keys" / "online.json", pass_phrase)


def open_registers(config: NodeConfig) -> dict[str, Register]:
    limits = config.limits
    bounds = Bounds(limits.refresh_rows, limits.refresh_seconds, limits.read_seconds)
    return {name: LazyRegister(one, bounds) for name, one in config.registers.items()}


@dataclass
class Node:
    """A node's parts. `build` makes them; `run` serves until told to stop."""

    config: NodeConfig
    clock: FlooredClock
    log: Log
    source: DirectorySource
    journal: Journal
    persons: Persons
    asked: Asked
    days: Days
    store: FactStore
    gate: Gate
    outlet: Outlet
    exchange: ExchangeApp
    door: DoorApp
    bodies: BodyReader
    registers: Mapping[str, Register]
    cosigning: Cosigning
    keys: OwnKeys
    proving: Proving
    started: float

    def answers(self) -> bool:
        """Whether it takes calls: all that a stranger is told."""
        directory = self.source.current
        return directory is not None and directory.refusal(self.clock.seconds()) is None and not self.log.stopped

    def alarms(self) -> list[Alarm]:
        """What needs a person now."""
        now, directory = self.clock.seconds(), self.source.current
        standing, today = self.cosigning.standing, day_of(now)
        seen = max((one.time for one in standing.seen), default=self.started) if standing else self.started
        wanted = directory.witnessing.k if directory and directory.witnessing else 0
        late = len(self.proving.late(operation.number("unproven_seconds", today)))
        return [
            *of_keys(self.keys.ends(), now),
            *of_directory(directory, now),
            *of_log(late, self.proving.broken, now - seen, wanted, today),
        ]

    def health(self) -> dict[str, Any]:
        """What the own department may know, at the door: whether it answers, from which directory, how full its log."""
        directory = self.source.current
        now = self.clock.seconds()
        return {
            "node": self.config.id,
            "answers": self.answers(),
            "directory": directory.version if directory else 0,
            "directory_age": int(directory.age(now)) if directory else None,
            "directory_refused": self.source.refused.code if self.source.refused else None,
            "ignored": len(directory.ignored) if directory else 0,
            "entries": self.log.tree.size,
            "witnessed": _standing(self.cosigning.standing),
            "keys": {role: {"key": id, "until": end and stamp(end)} for role, (id, end) in self.keys.ends().items()},
            "unproven": len(self.proving.open),
            "alarms": [{"code": one.code, "what": one.what, "remedy": one.remedy} for one in self.alarms()],
            "mode": self.config.mode,
        }


def _standing(standing: Standing | None) -> dict[str, Any] | None:
    if standing is None:
        return None
    seen = [one.witness for one in standing.seen]
    return {"entries": standing.size, "by": seen, "wanted": standing.k, "outside": standing.outside}


def build(config: NodeConfig, clock: Clock | None = None, pass_phrase: str | None = None) -> Node:
    """Open everything. Raises FileInvalid, KeyFileInvalid, and the log's own errors when it must not start."""
    floored = FlooredClock(clock or MachineClock())
    source = DirectorySource(config.directory, config.folder / "directory.json", config.directory_root, floored)
    keys = OwnKeys(config.folder, source, floored, config.limits.key_settle_seconds, pass_phrase)
    log = _opened(config, keys.online(), floored, source)
    journal = Journal(log, config.limits, floored.seconds())
    floored.floor = journal.latest
    persons = Persons(log, Spool(config.folder / "spool"))
    registers = open_registers(config)
    store = FactStore(config.folder / "facts")
    desks = _desks(config, log, journal, persons, registers, store)
    bodies = BodyReader(config.limits.body_seconds)
    gate = Gate(config, keys.online, source, log, journal, desks, bodies, floored)
    asked = Asked(log, Spool(config.folder / "asked"))
    days = Days(log, floored, lambda: _settled(persons, asked))
    proving = Proving(log, config.folder, source, floored)
    outlet = Outlet(config.member, keys.online, source, log, asked, floored, proving.promised)
    node = Node(
        config, floored, log, source, journal, persons, asked, days, store, gate, outlet,
        None, None, bodies, registers, Cosigning(log, source, _head_of(log)), keys, proving, floored.seconds(),  # type: ignore[arg-type]
    )  # fmt: skip
    witness, origins = _witness(config, source, floored, pass_phrase)
    for error in damaged_memory(config, source.current):
        # Calls never wait for a witness, so the node goes on; of this log it cosigns nothing until somebody has looked.
        _log.error("%s: %s", error.code, error.said())
    open_log = OpenLog(
        log, lambda: node.cosigning.head, witness, origins, bodies, floored,
        lambda: _witnesses(source, log.origin), sealed=config.sealed > 0,
    )  # fmt: skip
    node.exchange = ExchangeApp(gate, node.answers, open_log)
    told = node.health, lambda: rendered(node)
    node.door = DoorApp(config, keys.ticket, source, outlet, log, bodies, floored, journal.rounds, *told)
    return node


def _opened(config: NodeConfig, key: SigningKey, clock: Clock, source: DirectorySource) -> Log:
    """The node's log; a sealed node's is padded."""
    kind = SealedLog if config.sealed else Log
    log = kind.open(config.folder / "log", origin_of(config), key, clock, former=_former(source, config.member))
    if isinstance(log, SealedLog):
        log.pad(config.sealed, clock)
    return log


def _head_of(log: Log) -> Callable[[], bytes | None]:
    """The newest head that anybody may be shown."""
    return (lambda: log.head) if isinstance(log, SealedLog) else (lambda: log.note)


def _former(source: DirectorySource, member: str) -> Iterator[PublicKey]:
    """The keys that may have signed the log's newest checkpoint, from the directory kept on disk, which this loads.

    Asked for once the log is this process's own. A revoked key is among them: what it signed before still stands.
    """
    source.load_kept()
    if source.current is not None:
        yield from (key.public for key in source.current.by_role.get((member, "online"), ()))


def _desks(
    config: NodeConfig,
    log: Log,
    journal: Journal,
    persons: Persons,
    registers: Mapping[str, Register],
    store: FactStore,
) -> dict[str, Any]:
    limits, questions = config.limits, Questions(dict(config.resources))
    return {
        "query": QueryDesk(config.resources, registers, log.subject_key, limits.read_seconds, store),
        "verify": VerifyDesk(questions, store, log.subject_key, journal.dates),
        "match": _LazyMatch(questions, store, persons, limits.memory_mb, limits.threads, journal.dates),
    }


def damaged_memory(config: NodeConfig, directory: Directory | None) -> list[WitnessDamaged]:
    """What this node, as a witness, cannot believe any more of what it remembers of others' logs."""
    place = config.folder / "witness"
    return damaged(place, directory.origins(), directory.every_log_key) if directory and place.is_dir() else []


def _witness(
    config: NodeConfig, source: DirectorySource, clock: Clock, pass_phrase: str | None
) -> tuple[Witness | None, Callable[[], list[str]]]:
    """The witness of other logs, if this node has a key for it, and the names of the logs it may know."""
    path = config.folder / "keys" / "witness.json"

    def keys(origin: str) -> Sequence[PublicKey] | None:
        return source.current.log_keys(origin, clock.seconds()) if source.current else None

    def former(origin: str) -> Sequence[PublicKey] | None:
        return source.current.every_log_key(origin) if source.current else None

    def origins() -> list[str]:
        return source.current.origins() if source.current else []

    if not path.exists():
        return None, origins
    key = read_key(path, pass_phrase)
    return Witness(config.folder / "witness", key.id, key, keys, clock.seconds, former=former), origins


def _witnesses(source: DirectorySource, origin: str) -> dict[str, PublicKey]:
    """Who may witness the log here, by name."""
    listed = source.current.witnessing if source.current else None
    return dict(listed.quorum(origin).witnesses) if listed else {}


class _LazyMatch:
    """The batch desk brings the engine with it; a node that only answers single calls never loads it."""

    def __init__(self, *parts: Any) -> None:
        self._parts = parts
        self._desk: Any = None

    async def answer(self, admitted: Any, body: bytes) -> Any:
        if self._desk is None:
            from tongban.node.match import MatchDesk

            self._desk = MatchDesk(*self._parts)
        return await self._desk.answer(admitted, body)


class UnsafeInProduction(Invalid):
    """Something that is good enough to show, and not to serve."""

    code = "node.unsafe_in_production"
    message = "This node does not start in production mode: {what}."
    remedy = "Seal the keys and give their pass phrase in TONGBAN_PASS_PHRASE, or set mode to demonstration."


def refuse_unsafe(config: NodeConfig, pass_phrase: str | None) -> None:
    """Raises UnsafeInProduction."""
    if config.mode == "production" and pass_phrase is None:
        raise UnsafeInProduction(what="no pass phrase was given, so its keys would have to lie open in a file")


class CertificateInvalid(Invalid):
    """A certificate that no caller could be shown."""

    code = "node.certificate_invalid"
    message = "The certificate and key of this node cannot be used ({what})."
    remedy = "Check certificate and certificate_key in node.toml: PEM files that belong together and can be read."


def tls_files(config: NodeConfig) -> dict[str, Any]:
    """Where the server finds certificate and key; nothing without TLS. Raises CertificateInvalid."""
    if not config.certificate:
        return {}
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(config.certificate, config.certificate_key)
    except (OSError, ssl.SSLError) as error:
        # Found out now: a server that fails later looks as if it answered.
        raise CertificateInvalid(what=type(error).__name__) from None
    return {"ssl_certfile": config.certificate, "ssl_keyfile": config.certificate_key}


#: Bytes of a Unix socket's path that the kernel takes, without the zero that ends it.
SOCKET_PATH_BYTES = 107


class SocketPathTooLong(Invalid):
    """A path at which the kernel binds no socket."""

    code = "node.socket_path_too_long"
    message = "The path of the door's socket has {length} bytes; a Unix socket takes at most {most}."
    remedy = "Put the node's folder at a shorter path, or name a shorter one as [door] socket in node.toml."


def door_socket(config: NodeConfig) -> Path | None:
    """Where the door's Unix socket goes, if there is to be one. Raises SocketPathTooLong."""
    length = len(os.fsencode(config.door_socket))
    if length > SOCKET_PATH_BYTES:
        raise SocketPathTooLong(length=length, most=SOCKET_PATH_BYTES)
    return Path(config.door_socket) if config.door_socket else None


# --- running --------------------------------------------------------------------------------------


def run(config: NodeConfig, *, ready: Callable[[int], None], pass_phrase: str | None = None) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is told the port once calls are answered."""
    import uvloop

    _take_files()
    uvloop.run(serve(build(config, pass_phrase=pass_phrase), ready))


def _take_files() -> None:
    """As many open files as the system allows: strangers who only connect must not keep the log from its own."""
    allowed = getrlimit(RLIMIT_NOFILE)[1]
    setrlimit(RLIMIT_NOFILE, (allowed, allowed))


def die_with_parent(parent: int | None = None) -> None:
    """Let the kernel end this process when the one that started it dies, however it dies.

    `parent`: its number; left out, the one in TONGBAN_PARENT.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    named = os.environ.get("TONGBAN_PARENT") if parent is None else parent
    # It may have died before the line above: then no signal ever comes.
    if named is not None and os.getppid() != int(named):
        raise SystemExit(0)


async def serve(node: Node, ready: Callable[[int], None]) -> None:
    """Serve and look after the node until a signal comes."""
    config = node.config
    for resource in config.resources:
        erase_abandoned(node.store.place(resource))
    await node.source.pull()
    words = ("header_seconds", "header_bytes", "connections_per_address")
    patience: dict[str, Any] = {word: getattr(config.limits, word) for word in words}
    tls, at_door = tls_files(config), door_socket(config)
    at_exchange, tasks = server(node.exchange, **patience, **tls), list[asyncio.Task[Any]]()
    # A copy is a witness to others while it asks them; any other node is not there before it may be.
    bound = listening(config.host, config.port) if is_copy(node.log.directory) else None
    if bound is not None:
        tasks.append(asyncio.create_task(_served(at_exchange, bound)))
    try:
        await _confirmed(node)
    except (LogContradicted, LogClosed, CopyUnconfirmed):
        await node.cosigning.close()
        raise
    exchange = bound or listening(config.host, config.port)
    servers = [(at_exchange, exchange)]
    settle(node.log.directory)
    node.exchange.waiting = False
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if at_door:
        servers.append((server(node.door, **patience), listening_at(at_door)))
    if config.door_port:
        servers.append((server(node.door, **patience), listening("127.0.0.1", config.door_port)))
    tasks += [asyncio.create_task(_served(one, bound)) for one, bound in servers[len(tasks) :]]
    tasks += [asyncio.create_task(job) for job in _jobs(node)]
    _settle_garbage()
    ready(exchange.getsockname()[1])
    await stop.wait()
    for one, _ in servers:
        one.should_exit = True
    await asyncio.wait(tasks[: len(servers)], timeout=10)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    gc.unfreeze()
    await node.outlet.close()
    await node.cosigning.close()
    await node.proving.close()
    for last in (_persons, _hourly):
        with contextlib.suppress(TongbanError, OSError):
            await last(node)
    node.log.close()


async def _confirmed(node: Node) -> None:
    """Done when the log here is known to hold what its witnesses have seen.

    One that was brought back waits for them a while, and is a witness itself meanwhile: if all nodes of a city were
    brought back at once, each would wait for the others. Raises LogContradicted, LogClosed, CopyUnconfirmed.
    """
    loop, copied = asyncio.get_running_loop(), is_copy(node.log.directory)
    ends = loop.time() + COPY_SECONDS
    node.exchange.waiting = copied
    while True:
        try:
            return await node.cosigning.confirm(copied)
        except CopyUnconfirmed:
            if loop.time() >= ends:
                raise
        await asyncio.sleep(1)
        await node.source.pull()


def _settle_garbage() -> None:
    """Leave what was loaded at the start out of every later collection: it is never garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _served(one: Any, bound: Any) -> None:
    # The supervisor's signals are ours, not uvicorn's: it would re-raise them before the log is closed.
    one.capture_signals = contextlib.nullcontext
    await one.serve(sockets=[bound])


def _jobs(node: Node) -> list[Coroutine[Any, Any, None]]:
    told: dict[str, float] = {}
    return [
        node.source.run(node.config.pull_seconds),
        node.bodies.sweep(),
        _every(CHECKPOINT_SECONDS, lambda: _checkpoint(node)),
        _every(CHECKPOINT_SECONDS, node.cosigning.show),
        _every(PROVE_SECONDS, node.proving.turn),
        _every(ALARM_SECONDS, lambda: _alarms(node, told)),
        _every(KEYS_SECONDS, lambda: take_over(node.keys, node.log, node.config.member, node.clock)),
        _every(PERSONS_SECONDS, lambda: _due_persons(node)),
        _every(DAYS_SECONDS, node.days.publish),
        _every(HOUR, lambda: _hourly(node)),
    ]


async def _every(seconds: float, act: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Act for ever; a disk that is full now may have room later."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await act()
        except TongbanError as error:
            _log.warning("%s", error.code)
        except Exception as error:
            # Unplanned, but a node that no longer signs checkpoints or erases keys would be worse. Its text may hold
            # cell values, so only its name is told.
            _log.error("%s in a task of the node", type(error).__name__)


async def _checkpoint(node: Node) -> None:
    if isinstance(node.log, SealedLog):
        await node.log.show()
    node.log.checkpoint()
    directory = node.source.current
    issued_at = directory.head.issued_at if directory else 0
    node.clock.floor = max(node.clock.floor, node.journal.latest, issued_at)


async def _alarms(node: Node, told: dict[str, float]) -> None:
    """Tell each alarm when it comes, and again every hour that it lasts."""
    now = node.clock.seconds()
    for one in node.alarms():
        if now >= told.get(one.code, 0.0) + HOUR:
            told[one.code] = now
            _log.warning("%s: %s. %s", one.code, one.what, one.remedy)


async def _due_persons(node: Node) -> None:
    if node.persons.due():
        await node.persons.commit()
    if node.asked.due():
        await node.asked.commit()


async def _persons(node: Node) -> None:
    await _settled(node.persons, node.asked)


async def _settled(persons: Persons, asked: Asked) -> None:
    """Commit to all persons of batches now. One whose keys are lost says so, and keeps no other from its place."""
    for part in (persons, asked):
        try:
            await part.commit()
        except (SpoolDamaged, IdentifierInvalid) as error:
            _log.error("%s", error.code)


async def _hourly(node: Node) -> None:
    now = node.clock.seconds()
    node.journal.forget(now)
    for resource in node.config.resources:
        erase_abandoned(node.store.place(resource))
        keep_newest(node.store.place(resource), SNAPSHOTS_KEPT, node.persons.pins(resource))
    if (told := node.journal.strangers.told(now)) is not None:
        await node.log.append({"kind": "refused-aggregate", "body": told})


def write_address(folder: Path, port: int) -> None:
    """Leave word of the port taken, for the supervisor."""
    beside = folder / "address.new"
    beside.write_text(json.dumps({"port": port, "pid": os.getpid()}))
    beside.replace(folder / "address.json")
