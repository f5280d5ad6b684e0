"""The log: durable appends by 64 writers, an inclusion proof at 10 million leaves, verifying a million entries."""

import asyncio
import base64
import hashlib
import itertools
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from tongban.cli.log_remote import Web
from tongban.kit.clock import MachineClock
from tongban.kit.errors import Unavailable
from tongban.kit.keys import SigningKey
from tongban.tlog.cosignature import Quorum
from tongban.tlog.entry import frame, make
from tongban.tlog.log import Draft, Log
from tongban.tlog.remote import audit, head_of, tiles
from tongban.tlog.tree import Tree
from tongban.tlog.verify import Verification, verify

WRITERS = 64
CALL = {"kind": "call", "n": 1}
SEED = hashlib.sha256(b"provider").digest()
KEY = SigningKey("11990100TB000001XB.online.1", SEED)
CALLER = SigningKey("11990100TB0000028B.online.1", hashlib.sha256(b"consumer").digest())
KEYS = {key.id: key.public for key in (KEY, CALLER)}
#: Divides the numbers below, and the bars of what grows with them.
SIZES = {"default": 1, "small": 10}


class NoDisk(Unavailable):
    code = "bench.no_disk"
    message = "{places} keep their files in memory; a sync there measures nothing."
    remedy = "Name a folder on a disk: ./tongban bench log place=/somewhere"


def run(
    size: str = "default", signatures: bool = False, url: bool = False, place: str = "", seconds: float = 3.0
) -> list[dict[str, Any]]:
    """`signatures`: verify a log whose requests and answers are signed too (two minutes more, for signing them).
    `url`: audit one by its address, through its tiles.
    """
    scale = SIZES[size]
    with folder(place) as directory:
        figures = [appends(directory, seconds), *proofs(10_000_000 // scale), verified(directory, scale, False)]
        if signatures:
            figures.append(verified(directory, scale, True))
        if url:
            figures.append(audited(directory, scale))
    return figures


# Appends


def appends(directory: Path, seconds: float) -> dict[str, Any]:
    """In turns, so that a neighbour on the disk meets both sides alike; the middle of five rounds."""
    log = Log.create(directory / "appends", "11990100TB000001XB/bench", KEY, MachineClock())
    bare = BareGroupCommit(directory / "bare")
    warm_up = seconds / 10
    uvloop.run(rate(log, warm_up))
    uvloop.run(rate(bare, warm_up))
    rounds = [(uvloop.run(rate(bare, seconds / 10)), uvloop.run(rate(log, seconds / 5))) for _ in range(5)]
    sync = middle([bare.alone() for _ in range(100)])
    log.close()
    bare.close()
    baseline, value = (sorted(side)[2] for side in zip(*rounds, strict=True))
    slowest, fastest = min(side for _, side in rounds), max(side for _, side in rounds)
    note = (
        f"{WRITERS} writers in one loop, {len(FRAME)} bytes an entry, rounds {slowest:,.0f} to {fastest:,.0f}; "
        f"baseline: the same bytes, group commit and nothing else; one sync of one entry took {sync * 1000:.2f} ms "
        "(a busy disk shows here first)"
    )
    return figure("log.appends_durable", value, "entries/s", 50_000, note, baseline=baseline, at_least=True)


async def rate(log: "Log | BareGroupCommit", seconds: float) -> float:
    """Entries a second that WRITERS writers get acknowledged, each waiting for its last before it writes the next."""
    numbers, begun = itertools.count(), time.perf_counter()
    stop = begun + seconds

    async def write() -> None:
        while time.perf_counter() < stop:
            await log.append(CALL, record(next(numbers)))

    await asyncio.gather(*(write() for _ in range(WRITERS)))
    return next(numbers) / (time.perf_counter() - begun)


def record(number: int) -> dict[str, Any]:
    """What a provider keeps of a call, of usual size."""
    return RECORD | {"nonce": number}


RECORD: dict[str, Any] = {
    "at": "2014-06-09T04:00:00Z", "consumer": "11990100TB0000028B", "provider": "11990100TB000001XB",
    "node": "civil-affairs", "resource": "civil_affairs/marriage", "call": "query", "grant": "A" * 22,
    "purpose": "car-quota-lottery", "case": "KC-2014-000001", "operator": "T-0417", "key": CALLER.id,
    "created": 1_402_286_400, "idempotency": "i" * 32, "intent": "1" * 64, "request": "2" * 64,
    "signature": "s" * 88, "subjects": ["p" * 22], "fields": ["registered_on", "status"], "status": 200,
    "code": "", "outcome": "records", "body": "3" * 64, "directory": 17,
}  # fmt: skip


#: The bytes of one such entry on disk.
FRAME = frame(*make(CALL, RECORD, bytes(32)), b"")


class BareGroupCommit:
    """What the disk and the loop allow: ready bytes, one write and one sync for all that wait, nothing else."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._busy = False
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    async def append(self, fields: dict[str, Any], record: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append((FRAME, future))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._turn, loop)
        await future

    def alone(self) -> float:
        """Seconds for one entry, written and synced without loop or thread."""
        os.write(self._handle, FRAME)
        return timed(lambda: os.fdatasync(self._handle))

    def close(self) -> None:
        self._queue.put(None)
        os.close(self._handle)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._waiting = self._waiting, []
        self._queue.put((batch, loop))

    def _work(self) -> None:
        while (order := self._queue.get()) is not None:
            batch, loop = order
            os.write(self._handle, b"".join(frame for frame, _ in batch))
            os.fdatasync(self._handle)
            loop.call_soon_threadsafe(self._landed, batch, loop)

    def _landed(self, batch: list[tuple[bytes, asyncio.Future[None]]], loop: asyncio.AbstractEventLoop) -> None:
        self._busy = bool(self._waiting)
        if self._waiting:
            self._turn(loop)
        for _, future in batch:
            future.set_result(None)


# Proofs


def proofs(leaves: int) -> list[dict[str, Any]]:
    """Proofs at random places of a tree of random leaves: none is in the processor's caches."""
    tree = Tree()
    for _ in range(0, leaves, 50_000):
        tree.extend(os.urandom(32 * 50_000))
    places = random.Random(1)
    indices = [places.randrange(leaves) for _ in range(2_000)]
    inclusion = middle([timed(lambda index=index: tree.inclusion_proof(index)) for index in indices])
    consistency = middle([timed(lambda index=index: tree.consistency_proof(index + 1)) for index in indices])
    note = f"middle of {len(indices):,} at {leaves:,} leaves"
    return [
        figure("log.inclusion_proof", inclusion * 1000, "ms", 0.1, note, caches="cold"),
        figure("log.consistency_proof", consistency * 1000, "ms", None, note, caches="cold"),
    ]


# Verifying


def verified(directory: Path, scale: int, signed: bool) -> dict[str, Any]:
    entries, place = 1_000_000 // scale, directory / ("signed" if signed else "verified")
    fill(place, entries, signed)
    begun = time.perf_counter()
    report = verify(place, KEYS, answer_base if signed else None)
    seconds = time.perf_counter() - begun
    shutil.rmtree(place)
    sound(report, entries, signed)
    name = "log.verify_with_signatures" if signed else "log.verify"
    note = f"{entries:,} entries on {os.cpu_count()} processors"
    return figure(name, seconds, "s", (180 if signed else 60) / scale, note)


def audited(directory: Path, scale: int) -> dict[str, Any]:
    """By its address: leaves, hashes, head; what is behind the leaves stays with the node."""
    entries, place = 1_000_000 // scale, directory / "served"
    fill(place, entries, False)
    command = [sys.executable, str(Path(__file__).parent / "_log_server.py"), str(place), SEED.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as served:
        assert served.stdout is not None
        address = f"http://127.0.0.1:{json.loads(served.stdout.readline())['port']}"
        web = Web(address, None)
        try:
            begun = time.perf_counter()
            [note] = web.fetch(["checkpoint"])
            found = head_of(note, lambda origin: [KEY.public], lambda origin: Quorum({}))
            audit(found, web.fetch, None, lambda files: None)
            seconds = time.perf_counter() - begun
        finally:
            web.close()
            served.terminate()
    shutil.rmtree(place)
    assert found.holds, found.problems
    assert found.kinds == {"call": entries}
    return figure("log.audit_by_url", seconds, "s", 60 / scale, f"{entries:,} entries, {tiles(entries):,} files")


def fill(place: Path, entries: int, signed: bool) -> None:
    log = Log.create(place, "11990100TB000001XB/bench", KEY, MachineClock())
    for first in range(0, entries, 5_000):
        records = [signed_record(number) if signed else record(number) for number in range(first, first + 5_000)]
        appended = log.append_many(Draft(CALL, each) for each in records)
        for entry, each in zip(appended, records, strict=True) if signed else ():
            log.keep_signature(entry.index, KEY.sign(answer_base(entry.index, entry.leaf_hash, each)))
        log.checkpoint()
    log.close()


def signed_record(number: int) -> dict[str, Any]:
    base = f'{LINES}"@signature-params": ();created=1402286400;nonce="{number:022d}";keyid="{CALLER.id}"'
    return record(number) | {
        "base": base,
        "request": hashlib.sha256(base.encode()).hexdigest(),
        "signature": base64.b64encode(CALLER.sign(base.encode())).decode(),
    }


#: As long as the covered headers of a call.
LINES = "".join(f'"tongban-header-{number}": {"x" * 40}\n' for number in range(13))


def answer_base(index: int, leaf_hash: bytes, record: dict[str, Any]) -> bytes:
    """As long as what an answer's signature covers."""
    said = f'"tongban-entry": {index}\n"tongban-leaf": {leaf_hash.hex()}\n"tongban-request": {record["request"]}\n'
    return f'{said}{LINES[:300]}\n"@signature-params": ();keyid="{KEY.id}"'.encode()


def sound(report: Verification, entries: int, signed: bool) -> None:
    """A figure for a log that does not hold would be worth nothing."""
    checked = (entries, entries) if signed else (0, 0)
    assert report.holds, report.problems
    assert (report.entries, report.requests, report.answers) == (entries, *checked), report


# The rest


@contextmanager
def folder(place: str) -> Iterator[Path]:
    """A folder on a disk that is removed afterwards. Raises NoDisk."""
    tried = [Path(place)] if place else [Path(tempfile.gettempdir()), Path.cwd()]
    on_disk = [each for each in tried if filesystem(each) not in ("tmpfs", "ramfs")]
    if not on_disk:
        raise NoDisk(places=" and ".join(str(each) for each in tried))
    with tempfile.TemporaryDirectory(dir=on_disk[0], prefix="tongban-bench-") as made:
        yield Path(made)


def filesystem(place: Path) -> str:
    """Type of the file system that holds `place`, as the kernel names it."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(point, kind) for point, kind in mounts if place.resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1]


def timed(call: Any) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def figure(
    name: str,
    value: float,
    unit: str,
    bar: float | None,
    note: str,
    *,
    baseline: float | None = None,
    at_least: bool = False,
    caches: str = "warm",
) -> dict[str, Any]:
    holds = None if bar is None else value >= bar if at_least else value <= bar
    ratio = value / baseline if baseline else None
    return {
        "name": name, "value": value, "unit": unit, "baseline": baseline, "ratio": ratio, "bar": bar, "holds": holds,
        "warm_or_cold": caches, "note": note,
    }  # fmt: skip
