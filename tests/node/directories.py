"""What test_directory_life and test_directory_restart stand on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.exchange.city import (
    PIN,
    Hub,
    a_root,
    altered,
    nonsense,
    the_entries,
)
from tests.world import HOUR, NOON, a_grant_statement, a_key
from tongban.exchange.directory import Directory
from tongban.kit.clock import MovedClock
from tongban.kit.statement import Statement
from tongban.node.server import listening
from tongban.node.source import DirectorySource

GRANT = a_grant_statement().body["id"]


class Cell:
    """One node's corner of the world: where it pulls from, what it keeps, its clock, and a hub that may lie."""

    def __init__(self, folder: Path) -> None:
        self.place, self.kept = folder / "source.json", folder / "directory.json"
        self.clock, self.hub = MovedClock(NOON), Hub()
        self.source = self.started()

    def started(self, place: str = "", pin: str = PIN) -> DirectorySource:
        """The node starts, or starts again."""
        self.source = DirectorySource(place or str(self.place), self.kept, pin, self.clock)
        self.source.load_kept()
        return self.source

    def offer(self, raw: bytes) -> None:
        beside = self.place.with_suffix(".new")
        beside.write_bytes(raw)
        beside.replace(self.place)

    def publish(self, entries: list[Statement] | None = None, **change: Any) -> bytes:
        """The hub publishes where the node looks."""
        raw = self.hub.publish(the_entries() if entries is None else entries, **change)
        self.offer(raw)
        return raw

    def pull(self) -> bool:
        return asyncio.run(self.source.pull())

    @property
    def directory(self) -> Directory:
        assert self.source.current is not None
        return self.source.current

    @property
    def refused(self) -> str | None:
        return self.source.refused.code if self.source.refused else None


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path)


@pytest.fixture
def settled(cell: Cell) -> Cell:
    """A node with the first directory adopted and kept."""
    cell.publish()
    assert cell.pull()
    return cell


async def comes(holds: Callable[[], bool]) -> None:
    for _ in range(20_000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come to hold")


def rolled_back(cell: Cell) -> None:
    old = cell.place.read_bytes()
    cell.publish(issued=NOON + 1)
    assert cell.pull()
    cell.offer(old)


def issued_earlier(cell: Cell) -> None:
    cell.publish(issued=NOON - HOUR)


def forged(cell: Cell) -> None:
    cell.publish(by=a_key("thief", "timestamp"))


def of_another_root(cell: Cell) -> None:
    cell.hub.roots = [a_root(version=1, city="别市")]
    cell.publish()


def expired(cell: Cell) -> None:
    cell.publish(issued=NOON + 1)
    cell.clock.forward(72 * HOUR + 1)


def forked(cell: Cell) -> None:
    cell.offer(Hub().publish(the_entries(), issued=NOON + 1))


def not_following(cell: Cell) -> None:
    cell.publish(previous=nonsense("another history"))


def future_dated(cell: Cell) -> None:
    cell.publish(issued=NOON + HOUR)


def with_a_grant_slipped_in(cell: Cell) -> None:
    raw = cell.hub.publish(the_entries(), issued=NOON + 1)
    entries = [one.to_json() for one in [*the_entries(), a_grant_statement(id="E" * 22)]]
    cell.offer(altered(raw, "entries", to=entries))


def unlogged(cell: Cell) -> None:
    cell.offer(altered(cell.hub.publish(the_entries(), issued=NOON + 1), "log", "index", to=7))


def garbage(cell: Cell) -> None:
    cell.offer(b"\x00\xff" * 500)


def empty(cell: Cell) -> None:
    cell.offer(b"")


def half(cell: Cell) -> None:
    raw = cell.hub.publish(the_entries(), issued=NOON + 1)
    cell.offer(raw[: len(raw) // 2])


def deep(cell: Cell) -> None:
    cell.offer(b'{"roots":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def gone(cell: Cell) -> None:
    cell.place.unlink()


def a_folder(cell: Cell) -> None:
    cell.place.unlink()
    cell.place.mkdir()


def a_dangling_link(cell: Cell) -> None:
    cell.place.unlink()
    cell.place.symlink_to("nowhere")


class Site:
    """Where the bureau publishes: what it says to each request, and what it was asked."""

    def __init__(self) -> None:
        self.raw, self.etag, self.answer = b"", "", ""
        self.conditions: list[str | None] = []

    async def get(self, request: web.Request) -> web.StreamResponse:
        condition = request.headers.get("If-None-Match")
        self.conditions.append(condition)
        headers = {"ETag": self.etag} if self.etag else {}
        if self.answer == "hang up":
            request.transport.close()  # type: ignore[union-attr]
        if self.answer == "half":
            halting = web.StreamResponse(headers={"content-length": str(len(self.raw))})
            await halting.prepare(request)
            await halting.write(self.raw[:1000])
            request.transport.close()  # type: ignore[union-attr]
            return halting
        if self.answer:
            return web.Response(status=int(self.answer), body=self.raw, headers=headers)
        if self.etag and condition == self.etag:
            return web.Response(status=304)
        return web.Response(body=self.raw, headers=headers)


@contextlib.asynccontextmanager
async def served(site: Site) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/directory.json", site.get)
    runner = web.AppRunner(app)
    await runner.setup()
    bound = listening("127.0.0.1", 0)
    try:
        await web.SockSite(runner, bound).start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/directory.json"
    finally:
        await runner.cleanup()


def over_the_network(cell: Cell, story: Callable[[Site], Any]) -> Site:
    """Run `story` with the node pulling from a site; the first directory is adopted already."""
    site = Site()

    async def told() -> None:
        async with served(site) as address:
            cell.started(address)
            site.raw, site.etag = cell.hub.publish(the_entries()), '"one"'
            assert await cell.source.pull()
            await story(site)

    asyncio.run(told())
    return site


def restarted(cell: Cell) -> None:
    cell.started()
    assert cell.source.current is not None


def _disk_full(path: Path, data: bytes) -> None:
    raise OSError(28, "No space left on device")
