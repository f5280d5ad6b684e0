"""`./tongban bench call`: what one signed, ticketed, granted, logged look-up costs the server, against a bare one.

A node over a register of a million rows, 200 consumers, 32 callers on kept connections; every request is new, signed
moments before it is sent, and each ticket serves six of them. The register is SQLite, or with `register=postgresql` a
PostgreSQL server beside the node, and the bare look-up then one by asyncpg over kept connections. CPU is the server
process's own (user and system), so neither the callers' cost nor the database's is in it. Cold effects are warmed away
first.
"""

import asyncio
import hashlib
import json
import os
import random
import secrets
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongban.exchange import ask, ticket
from tongban.exchange.bureau import Bureau, Office
from tongban.exchange.envelope import Call, sign_request
from tongban.exchange.listing import compose
from tongban.identity.identifiers import citizen_check, credit_check, organisation_check
from tongban.kit import statement
from tongban.kit.clock import MachineClock, stamp
from tongban.kit.keys import SigningKey, new_key, read_key
from tongban.node import setup

RESOURCE, PURPOSE = "civil_affairs/marriage", "marriage-check"
CONSUMERS, CALLERS, CALLS_A_TICKET = 200, 32, 6
ROWS = {"default": 1_000_000, "quick": 50_000}
FIELDS = ["status", "registered_on"]


@dataclass(frozen=True, slots=True)
class Consumer:
    code: str
    online: SigningKey
    ticket: SigningKey
    grant: str


@dataclass(frozen=True, slots=True)
class Round:
    """One measured stretch."""

    cpu_us: float
    wall_us: float
    p50_ms: float


def run(size: str = "default", rounds: int = 5, seconds: float = 4.0, register: str = "sqlite") -> list[dict[str, Any]]:
    """Figures of the call. `rounds` interleaved pairs of a direct and a signed stretch, medians."""
    place, numbers = Path(tempfile.mkdtemp(prefix="bench-call-")), keys(ROWS[size])
    try:
        with REGISTERS[register](place, numbers) as lines:
            return _run(place, numbers, lines, rounds, seconds, barred=register == "sqlite")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _run(
    place: Path, numbers: list[str], register: str, rounds: int, seconds: float, barred: bool
) -> list[dict[str, Any]]:
    consumers = _world(place, register)
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "_call_server.py"), str(place / "node")],
        stdout=subprocess.PIPE,
    ) as server:
        try:
            assert server.stdout is not None
            port = json.loads(server.stdout.readline())["port"]
            figures = asyncio.run(_measured(place, server.pid, port, consumers, numbers, rounds, seconds))
        finally:
            server.terminate()
    return figures if barred else [{**figure, "bar": None, "holds": None} for figure in figures]


# --- the world ------------------------------------------------------------------------------------


def code(number: int) -> str:
    """A well-formed credit code that belongs to nobody."""
    organ = f"YYYY{number:04d}"
    body = "11110199" + organ + organisation_check(organ)
    return body + credit_check(body)


def keys(rows: int) -> list[str]:
    """Citizen numbers on a division that was never assigned."""
    dice = random.Random(7)
    found = set()
    while len(found) < rows:
        born = f"{dice.randint(1940, 2005)}{dice.randint(1, 12):02d}{dice.randint(1, 28):02d}"
        body = f"1101{dice.randint(80, 99)}{born}{dice.randint(1, 995):03d}"
        found.add(body + citizen_check(body))
    return sorted(found)


def _rows(numbers: list[str]) -> Iterator[tuple[str, ...]]:
    for i, number in enumerate(numbers):
        yield number, "示例", "已婚" if i % 3 else "未婚", "2009-05-20", "110101", f"BJ{i:09d}"


_COLUMNS = "id_number TEXT PRIMARY KEY, spouse TEXT, status TEXT, registered_on TEXT, place TEXT, certificate TEXT"


@contextmanager
def _sqlite(place: Path, numbers: list[str]) -> Iterator[str]:
    with closing(sqlite3.connect(place / "register.db")) as office, office:
        office.execute(f"CREATE TABLE marriage ({_COLUMNS}) WITHOUT ROWID")
        office.executemany("INSERT INTO marriage VALUES (?,?,?,?,?,?)", _rows(numbers))
    yield f'url = "sqlite:///{place}/register.db"\n'


@contextmanager
def _postgresql(_: Path, numbers: list[str]) -> Iterator[str]:
    from tests.postgres import PASSWORD, serving

    with serving() as server:
        database = server.database("bench", f"CREATE TABLE marriage ({_COLUMNS})")
        server.fill(database, "marriage", list(_rows(numbers)))
        server.run("VACUUM ANALYZE marriage", database)
        os.environ["BENCH_REGISTER_PASSWORD"] = PASSWORD
        yield f'url = "{server.url(database)}"\npassword_env = "BENCH_REGISTER_PASSWORD"\n'


#: By kind: fills a register, and gives the lines of node.toml that say where it is.
REGISTERS = {"sqlite": _sqlite, "postgresql": _postgresql}


def _world(place: Path, register: str) -> list[Consumer]:
    clock = MachineClock()
    bureau = Bureau.create(place / "hub", "bench", code(0), clock)
    provider = Office(place / "provider", code(1))
    folder = place / "node"
    folder.mkdir()
    (folder / "node.toml").write_text(
        f'[node]\nid = "civil-affairs"\nmember = "{code(1)}"\nport = 0\ndirectory = "{bureau.public}"\n'
        f'directory_root = "{bureau.root.digest}"\n[limits]\ncalls_per_second = 1000000\nburst = 1000000\n'
        f'[register.marriage]\n{register}[resource."{RESOURCE}"]\nregister = "marriage"\n'
        'point = "SELECT status, registered_on, place, certificate FROM marriage WHERE id_number = :key"\n'
        'fields = ["status", "registered_on", "place", "certificate"]\n'
    )
    setup.init(folder, "civil-affairs", code(1), bureau.root.digest, os.getuid())
    now = clock.seconds()
    since, until = stamp(now - 60), stamp(now + 86_400)
    entries = [_member(bureau, provider), provider.key_entry(provider.approval, "approval", since, until)]
    for role in ("online", "ticket"):
        entries += [provider.key_entry(read_key(folder / "keys" / f"{role}.json"), role, since, until)]
    entries += [statement.sign(_node(), provider.root), provider.approve(_resource())]
    consumers = []
    for n in range(2, 2 + CONSUMERS):
        office = Office(place / f"consumer-{n}", code(n))
        online, of_tickets = new_key(f"{code(n)}.online.1"), new_key(f"{code(n)}.ticket.1")
        entries += [_member(bureau, office), office.key_entry(online, "online", since, until)]
        entries.append(office.key_entry(of_tickets, "ticket", since, until))
        grant = bureau.countersign(provider.approve(_grant(code(n), code(1), now)))
        entries.append(grant)
        consumers.append(Consumer(code(n), online, of_tickets, str(grant.body["id"])))
    bureau.put(*entries)
    bureau.publish()
    return consumers


def _member(bureau: Bureau, office: Office) -> statement.Statement:
    import base64

    root = {"id": office.root.id, "public": base64.b64encode(office.root.public.public).decode()}
    body = compose(
        "member", code=office.code, name="示例", name_en="Example", root=root, predecessors=[], successors=[],
        since="2000-01-01T00:00:00Z", until=None,
    )  # fmt: skip
    return statement.sign(body, *bureau.root_keys())


def _node() -> dict[str, Any]:
    origin = f"{code(1)}/civil-affairs"
    address = "http://127.0.0.1:1"
    return compose("node", id="civil-affairs", member=code(1), address=address, certificate=None, origin=origin)


def _resource() -> dict[str, Any]:
    names = ("status", "registered_on", "place", "certificate")
    fields = [{"name": name, "type": "text", "grade": "general-2", "mask": None} for name in names]
    return compose(
        "resource", id=RESOURCE, version=1, member=code(1), node="civil-affairs", title="婚姻登记", domains=["citizen"],
        fields=fields, sharing="conditional", basis="bench", complete=None,
    )  # fmt: skip


def _grant(consumer: str, provider: str, now: float) -> dict[str, Any]:
    return compose(
        "grant", id=secrets.token_urlsafe(16), consumer=consumer, provider=provider, node="civil-affairs",
        resource=RESOURCE, call="query", fields=FIELDS, rule=None, rule_digest=None, rows=[], purpose=PURPOSE,
        basis="bench", quota={"calls": 10**9, "persons": 10**9, "window_seconds": 86_400}, max_directory_age=86_400,
        not_before=stamp(now - 60), expires_at=stamp(now + 86_400), issued_at=stamp(now),
    )  # fmt: skip


# --- requests -------------------------------------------------------------------------------------


def _signed(consumers: list[Consumer], numbers: list[str], count: int, provider: str) -> list[bytes]:
    """Raw HTTP requests, each new, signed now."""
    dice = random.Random()
    now = time.time()
    found = []
    for n in range(count):
        if n % CALLS_A_TICKET == 0:
            who, number = dice.choice(consumers), dice.choice(numbers)
            case = f"case-{n}"
            text = ticket.issue_case(
                who.ticket, id=secrets.token_urlsafe(16), consumer=who.code, purpose=PURPOSE, case=case,
                salt=secrets.token_bytes(16), subjects=[("citizen", number)], at="2014-06-08",
                not_before=now - 60, expires_at=now + 3600,
            )  # fmt: skip
        body = ask.write_query("citizen", number, FIELDS)
        call = Call(
            call="query", consumer=who.code, provider=provider, node="civil-affairs", resource=RESOURCE,
            grant=who.grant, purpose=PURPOSE, ticket=text, case=case, operator="BENCH-1",
            idempotency=secrets.token_urlsafe(12),
        )  # fmt: skip
        signed = sign_request(
            who.online, call, hashlib.sha256(body).digest(), nonce=secrets.token_urlsafe(12),
            created=int(now), expires=int(now) + 60,
        )  # fmt: skip
        found.append(_http(b"/v1/query", signed.headers, body))
    return found


def _direct(numbers: list[str], count: int) -> list[bytes]:
    dice = random.Random()
    bodies = [json.dumps({"key": dice.choice(numbers)}).encode() for _ in range(count)]
    return [_http(b"/direct", [(b"content-type", b"application/json")], body) for body in bodies]


def _http(path: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"host: 127.0.0.1", b"content-length: %d" % len(body)]
    lines += [b"%b: %b" % header for header in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class _Caller(asyncio.Protocol):
    """One kept connection: sends, waits for the whole answer, sends the next."""

    def __init__(self, requests: list[bytes], times: list[float]) -> None:
        self._requests, self._times = requests, times
        self._held = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._next()

    def _next(self) -> None:
        if not self._requests:
            self.done.set_result(None)
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(self._requests.pop())

    def data_received(self, data: bytes) -> None:
        self._held += data
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._held[:end].lower()
        at = head.index(b"content-length: ") + 16
        length = int(head[at:].split(b"\r\n", 1)[0])
        if len(self._held) < end + 4 + length:
            return
        if not head.startswith(b"http/1.1 200"):
            self.done.set_exception(RuntimeError(self._held[: end + 200].decode()))
            return
        self._times.append(time.perf_counter() - self._began)
        self._held = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or RuntimeError("the server hung up"))


async def _stretch(port: int, pid: int, requests: list[bytes], callers: int) -> Round:
    times: list[float] = []
    count = len(requests)
    before, began = _cpu(pid), time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: _Caller(requests, times), "127.0.0.1", port) for _ in range(callers)]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    wall, cpu = time.perf_counter() - began, _cpu(pid) - before
    return Round(cpu / count * 1e6, wall / count * 1e6, statistics.median(times) * 1e3)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- the measurement ------------------------------------------------------------------------------


def _bare_syncs(place: Path) -> float:
    """Median milliseconds of a durable append of an entry's size by somebody who, like the server, was idle before."""
    taken = []
    with open(place / "bare", "ab", buffering=0) as file:
        for _ in range(200):
            time.sleep(0.0003)
            began = time.perf_counter()
            file.write(bytes(1_400))
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e3


async def _measured(
    place: Path, pid: int, port: int, consumers: list[Consumer], numbers: list[str], rounds: int, seconds: float
) -> list[dict[str, Any]]:
    os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
    many = max(2_000, int(3_000 * seconds))
    signed: list[Round] = []
    direct: list[Round] = []
    alone: list[tuple[float, float]] = []
    syncs: list[float] = []
    await _stretch(port, pid, _direct(numbers, 4 * many), CALLERS)
    await _stretch(port, pid, _signed(consumers, numbers, many, code(1)), CALLERS)
    for _ in range(rounds):
        direct.append(await _stretch(port, pid, _direct(numbers, many), CALLERS))
        signed.append(await _stretch(port, pid, _signed(consumers, numbers, many, code(1)), CALLERS))
        one = await _stretch(port, pid, _direct(numbers, 1_000), 1)
        two = await _stretch(port, pid, _signed(consumers, numbers, 1_000, code(1)), 1)
        alone.append((one.p50_ms, two.p50_ms))
        syncs.append(_bare_syncs(place))
    return _figures(signed, direct, alone, syncs, len(numbers))


def _figures(
    signed: list[Round], direct: list[Round], alone: list[tuple[float, float]], syncs: list[float], rows: int
) -> list[dict[str, Any]]:
    ours = statistics.median(one.cpu_us for one in signed)
    bare = statistics.median(one.cpu_us for one in direct)
    ratio = statistics.median(a.cpu_us / b.cpu_us for a, b in zip(signed, direct, strict=True))
    added = statistics.median(two - one for one, two in alone)
    note = (
        f"{len(signed)} interleaved pairs, {CALLERS} callers, {CONSUMERS} consumers, {rows:,} rows hot; "
        f"wall {statistics.median(one.wall_us for one in signed):.0f} µs signed, "
        f"{statistics.median(one.wall_us for one in direct):.0f} µs direct"
    )
    adds = statistics.median(a.cpu_us - b.cpu_us for a, b in zip(signed, direct, strict=True))
    sync = statistics.median(syncs)
    shared = {"warm_or_cold": "warm", "note": note}
    return [
        {
            "name": "signed call, server CPU", "value": round(ours, 1), "unit": "µs", "baseline": round(bare, 1),
            "ratio": round(ratio, 2), "bar": "≤ 290 µs", "holds": ours <= 290, **shared,
        },
        {
            "name": "signed call against unsigned look-up", "value": round(ratio, 2), "unit": "×", "baseline": 1,
            "ratio": round(ratio, 2), "bar": "≤ 4.8 ×", "holds": ratio <= 4.8, **shared,
        },
        {
            "name": "CPU added to the unsigned look-up", "value": round(adds, 1), "unit": "µs",
            "baseline": round(bare, 1), "ratio": round(adds / bare, 2), "bar": None, "holds": None, **shared,
        },
        {
            "name": "p50 added at one caller", "value": round(added, 3), "unit": "ms",
            "baseline": round(statistics.median(one for one, _ in alone), 3),
            "ratio": round(statistics.median(two / one for one, two in alone), 2),
            "bar": "≤ 0.7 ms", "holds": added <= 0.7, **shared,
        },
        {
            "name": "bare durable append on the same disk, p50", "value": round(sync, 3), "unit": "ms",
            "baseline": round(added, 3), "ratio": round(sync / added, 2), "bar": None, "holds": None, **shared,
        },
    ]  # fmt: skip
