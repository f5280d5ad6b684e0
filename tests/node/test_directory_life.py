"""A node's directory through good days and bad: whatever the source offers, the last good one stays in force."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.exchange.city import (
    PIN,
    Hub,
    a_key_entry,
    a_resource,
    a_root,
    altered,
    nonsense,
    the_entries,
    without,
)
from tests.journeys.departments import PROVIDER, Departments, grant_id, running
from tests.world import CALLING_KEY, DAY, HOUR, NOON, a_grant_statement, a_key
from tongban.exchange.directory import Directory
from tongban.kit.clock import MovedClock, stamp
from tongban.kit.statement import Statement
from tongban.node import source as sources
from tongban.node.server import listening
from tongban.node.source import DirectorySource, MemoryUnreadable

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


# Good days


def test_what_is_pulled_is_adopted_and_kept_as_it_came(cell):
    raw = cell.publish()
    assert cell.pull()
    assert (cell.directory.version, cell.kept.read_bytes(), cell.refused) == (1, raw, None)


def test_a_newer_directory_takes_the_place_of_the_older(settled):
    raw = settled.publish(without(the_entries(), "grant"), issued=NOON + 20)
    assert settled.pull()
    assert (settled.directory.version, settled.kept.read_bytes()) == (2, raw)
    assert GRANT not in settled.directory.grants


def test_a_file_that_did_not_change_is_not_read_again(settled, monkeypatch):
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("read"))
    assert not settled.pull()


def test_the_same_directory_in_a_new_file_is_nothing_new(settled):
    settled.offer(settled.place.read_bytes())
    before = settled.directory
    assert not settled.pull()
    assert settled.directory is before
    assert settled.refused is None


async def comes(holds: Callable[[], bool]) -> None:
    for _ in range(20_000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come to hold")


def test_a_node_looks_again_and_again_whatever_it_meets(settled):
    settled.place.unlink()

    async def story() -> None:
        watching = asyncio.create_task(settled.source.run(0.001))
        await asyncio.sleep(0.02)
        settled.offer(b"garbage")
        await comes(lambda: settled.refused is not None)
        settled.publish(issued=NOON + 20)
        await comes(lambda: settled.directory.version == 2)
        assert not watching.done()
        watching.cancel()

    asyncio.run(story())
    assert settled.refused is None


def test_nodes_do_not_pull_in_step(settled, monkeypatch):
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 200:
            raise asyncio.CancelledError

    monkeypatch.setattr(sources.asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(settled.source.run(20))
    assert all(18 <= wait <= 22 for wait in waits)
    assert len(set(waits)) > 100


# Bad days: what is offered is no directory, or not the next one


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


@pytest.mark.parametrize(
    ("offered", "code"),
    [
        (rolled_back, "directory_rolled_back"),
        (issued_earlier, "directory_rolled_back"),
        (forged, "head_unsigned"),
        (of_another_root, "root_unknown"),
        (expired, "directory_expired"),
        (forked, "directory_forked"),
        (not_following, "directory_forked"),
        (future_dated, "directory_ahead"),
        (with_a_grant_slipped_in, "directory_altered"),
        (unlogged, "directory_unlogged"),
        (garbage, "directory_malformed"),
        (empty, "directory_malformed"),
        (half, "directory_malformed"),
        (deep, "directory_malformed"),
    ],
)
def test_a_bad_directory_is_not_adopted_the_good_one_stays_and_the_node_says_why(settled, offered, code):
    offered(settled)
    before, kept = settled.directory, settled.kept.read_bytes()
    assert not settled.pull()
    assert settled.directory is before
    assert settled.kept.read_bytes() == kept
    assert settled.refused == f"exchange.{code}"


@pytest.mark.parametrize("offered", [forged, forked, future_dated, garbage, half, with_a_grant_slipped_in])
def test_after_a_bad_directory_the_next_good_one_is_adopted(cell, offered):
    cell.publish()
    cell.pull()
    hub = dataclasses.replace(cell.hub, tree=cell.hub.tree)
    offered(cell)
    assert not cell.pull()
    hub.version += 1
    cell.offer(hub.publish(the_entries(), issued=NOON + 40))
    assert cell.pull()
    assert (cell.directory.version, cell.refused) == (3, None)


def gone(cell: Cell) -> None:
    cell.place.unlink()


def a_folder(cell: Cell) -> None:
    cell.place.unlink()
    cell.place.mkdir()


def a_dangling_link(cell: Cell) -> None:
    cell.place.unlink()
    cell.place.symlink_to("nowhere")


@pytest.mark.parametrize("happened", [gone, a_folder, a_dangling_link])
def test_a_source_that_cannot_be_read_changes_nothing(settled, happened):
    happened(settled)
    before = settled.directory
    assert not settled.pull()
    assert settled.directory is before
    assert settled.refused is None


def test_a_file_larger_than_any_directory_is_not_read(settled, monkeypatch):
    monkeypatch.setattr(sources, "LARGEST", 100)
    settled.publish(issued=NOON + 20)
    assert not settled.pull()
    assert settled.directory.version == 1


def test_a_directory_ahead_of_the_node_s_clock_is_adopted_from_the_same_file_once_its_time_has_come(settled):
    settled.publish(issued=NOON + HOUR)
    assert not settled.pull()
    settled.clock.forward(HOUR)
    assert settled.pull()
    assert (settled.directory.version, settled.refused) == (2, None)


def test_a_directory_refused_for_good_is_not_read_again_and_again(settled, monkeypatch):
    garbage(settled)
    settled.pull()
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("read"))
    assert not settled.pull()
    assert settled.refused == "exchange.directory_malformed"


# Over the network


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


def test_a_directory_is_asked_for_once_and_then_only_if_it_changed(cell):
    async def story(site: Site) -> None:
        assert not await cell.source.pull()
        site.raw, site.etag = cell.hub.publish(the_entries(), issued=NOON + 20), '"two"'
        assert await cell.source.pull()
        assert not await cell.source.pull()

    assert over_the_network(cell, story).conditions == [None, '"one"', '"one"', '"two"']
    assert cell.directory.version == 2


def test_a_site_without_etags_is_read_each_time(cell):
    async def story(site: Site) -> None:
        site.etag = ""
        site.raw = cell.hub.publish(the_entries(), issued=NOON + 20)
        assert await cell.source.pull()
        assert not await cell.source.pull()

    assert over_the_network(cell, story).conditions == [None, '"one"', None]
    assert cell.refused is None


@pytest.mark.parametrize("answer", ["500", "404", "403", "206", "hang up", "half"])
def test_a_site_that_fails_changes_nothing(cell, answer):
    async def story(site: Site) -> None:
        site.raw, site.etag, site.answer = cell.hub.publish(the_entries(), issued=NOON + 20), '"two"', answer
        assert not await cell.source.pull()
        assert (cell.directory.version, cell.refused) == (1, None)
        site.answer = ""
        assert await cell.source.pull()

    over_the_network(cell, story)
    assert cell.directory.version == 2


def test_what_a_failing_site_calls_it_is_forgotten(cell):
    async def story(site: Site) -> None:
        site.etag, site.answer = '"error page"', "500"
        await cell.source.pull()
        site.answer = ""
        await cell.source.pull()

    assert over_the_network(cell, story).conditions == [None, '"one"', '"one"']


def test_a_site_that_serves_an_error_page_as_good_is_seen_through(cell):
    async def story(site: Site) -> None:
        site.raw, site.etag = b"<html>under maintenance</html>", '"page"'
        assert not await cell.source.pull()
        assert cell.refused == "exchange.directory_malformed"

    over_the_network(cell, story)
    assert cell.directory.version == 1


def test_a_directory_of_many_pieces_arrives_whole(cell):
    async def story(site: Site) -> None:
        grants = [a_grant_statement(id=f"{n:022d}", basis="示" * 400) for n in range(400)]
        site.raw, site.etag = cell.hub.publish([*the_entries(), *grants], issued=NOON + 20), '"large"'
        assert len(site.raw) > 500_000
        assert await cell.source.pull()

    over_the_network(cell, story)
    assert len(cell.directory.grants) == 401


def test_a_site_that_never_ends_is_given_up(cell, monkeypatch):
    async def story(site: Site) -> None:
        monkeypatch.setattr(sources, "LARGEST", 1000)
        site.raw, site.etag = b" " * 2_000_000, '"flood"'
        assert not await cell.source.pull()

    over_the_network(cell, story)
    assert (cell.directory.version, cell.refused) == (1, None)


def test_a_site_that_is_not_there_changes_nothing(settled):
    bound = listening("127.0.0.1", 0)
    port = bound.getsockname()[1]
    bound.close()
    settled.source.place = f"http://127.0.0.1:{port}/directory.json"
    assert not settled.pull()
    assert settled.directory.version == 1


def test_a_directory_ahead_of_time_is_fetched_again_whatever_it_is_called(cell):
    async def story(site: Site) -> None:
        site.raw, site.etag = cell.hub.publish(the_entries(), issued=NOON + HOUR), '"ahead"'
        assert not await cell.source.pull()
        cell.clock.forward(HOUR)
        assert await cell.source.pull()

    assert over_the_network(cell, story).conditions == [None, '"one"', None]


# Starting again


def test_a_node_that_starts_again_while_the_source_is_gone_goes_on_from_what_it_kept(settled):
    settled.place.unlink()
    settled.started()
    assert (settled.directory.version, settled.refused) == (1, None)
    assert not settled.pull()


def test_a_kept_directory_that_expired_meanwhile_is_not_in_force(settled):
    settled.clock.forward(72 * HOUR)
    settled.started()
    assert (settled.source.current, settled.refused) == (None, "exchange.directory_expired")


def test_a_kept_directory_that_was_tampered_with_is_not_in_force(settled):
    settled.kept.write_bytes(altered(settled.kept.read_bytes(), "entries", to=[]))
    settled.started()
    assert (settled.source.current, settled.refused) == (None, "exchange.directory_altered")
    # The source's own good copy of the very same directory heals it.
    assert settled.pull()


def test_a_kept_directory_that_cannot_be_read_is_said_and_the_source_heals_it(settled):
    settled.kept.unlink()
    settled.kept.mkdir()
    settled.started()
    assert (settled.source.current, settled.refused) == (None, "node.directory_unreadable")
    settled.kept.rmdir()
    assert settled.pull()
    assert settled.refused is None


def test_an_old_copy_in_the_place_of_the_kept_directory_is_rolled_back(settled):
    old = settled.kept.read_bytes()
    settled.publish(without(the_entries(), "grant"), issued=NOON + 20)
    assert settled.pull()
    settled.kept.write_bytes(old)
    settled.started()
    assert (settled.source.current, settled.refused) == (None, "exchange.directory_rolled_back")
    settled.offer(old)
    assert not settled.pull()
    assert settled.source.current is None


def test_a_fork_in_the_place_of_the_kept_directory_is_seen(settled):
    settled.kept.write_bytes(Hub().publish([*the_entries(), a_grant_statement(id="E" * 22)]))
    settled.started()
    assert (settled.source.current, settled.refused) == (None, "exchange.directory_forked")


def test_a_root_that_was_followed_is_not_left_again(settled):
    stolen = dataclasses.replace(settled.hub)
    second = a_root(version=2)
    settled.hub.roots.append(second)
    settled.publish(issued=NOON + 20)
    assert settled.pull()
    # Whoever holds the first root's keys can still sign heads under it, with a version as high as he likes.
    stolen.roots, stolen.version = stolen.roots[:1], 7
    settled.kept.write_bytes(stolen.publish(the_entries(), issued=NOON + 40))
    settled.started()
    assert (settled.source.current, settled.refused) == (None, "exchange.root_unknown")


def test_a_log_that_was_cut_is_seen_after_a_restart(settled):
    for n in range(3):
        settled.publish(issued=NOON + 20 + n)
        assert settled.pull()
    shorter = Hub(version=settled.hub.version, previous=settled.hub.previous)
    settled.offer(shorter.publish(the_entries(), issued=NOON + 60))
    settled.started()
    assert not settled.pull()
    assert settled.refused == "exchange.directory_rolled_back"


def test_a_crash_between_the_two_files_leaves_a_directory_that_is_adopted_and_remembered(settled):
    memory = settled.source.memory_place.read_bytes()
    settled.publish(issued=NOON + 20)
    assert settled.pull()
    newer = settled.source.memory_place.read_bytes()
    settled.source.memory_place.write_bytes(memory)
    settled.started()
    assert (settled.directory.version, settled.refused) == (2, None)
    assert settled.source.memory_place.read_bytes() == newer


def test_a_node_whose_disk_is_read_only_starts_all_the_same(settled, monkeypatch):
    settled.source.memory_place.unlink()
    monkeypatch.setattr(sources, "_write_durably", _disk_full)
    settled.started()
    assert settled.directory.version == 1


def test_a_node_that_trusts_another_root_by_its_own_file_begins_anew(settled):
    second = Hub(roots=[a_root(city="别市")])
    raw = second.publish(the_entries(), city="别市")
    settled.started(pin=second.roots[0].digest())
    assert (settled.source.current, settled.refused) == (None, "exchange.root_unknown")
    settled.offer(raw)
    assert settled.pull()


@pytest.mark.parametrize("held", [b"", b"{", b"\xff", b"[]", b'{"pin": 1, "memory": {}}', b'{"memory": {}}'])
def test_a_memory_that_cannot_be_read_stops_the_node_for_it_could_not_tell_old_from_new(settled, held):
    settled.source.memory_place.write_bytes(held)
    with pytest.raises(MemoryUnreadable, match="compared the city's newest version"):
        settled.started()


# What no later directory can take back, through a restart


def restarted(cell: Cell) -> None:
    cell.started()
    assert cell.source.current is not None


def test_a_revoked_key_does_not_come_back_after_a_restart(settled):
    revoked = a_key_entry(CALLING_KEY, revoked_at=stamp(NOON))
    settled.publish([*without(the_entries(), "key", CALLING_KEY.id), revoked], issued=NOON + 1)
    assert settled.pull()
    settled.publish(without(the_entries(), "key", CALLING_KEY.id), issued=NOON + 2)
    assert settled.pull()
    restarted(settled)
    settled.publish(issued=NOON + 3)
    assert settled.pull()
    assert CALLING_KEY.id not in settled.directory.keys
    assert "exchange.key_unrevoked" in {one.code for one in settled.directory.ignored.values()}


def test_a_withdrawn_grant_does_not_come_back_after_a_restart(settled):
    settled.publish(without(the_entries(), "grant"), issued=NOON + 1)
    assert settled.pull()
    restarted(settled)
    settled.publish([*the_entries(), a_grant_statement(id="N" * 22)], issued=NOON + 2)
    assert settled.pull()
    assert [*settled.directory.grants] == ["N" * 22]
    assert [one.code for one in settled.directory.ignored.values()] == ["exchange.grant_withdrawn"]


def test_a_grant_that_was_signed_anew_under_its_name_was_not_withdrawn(settled):
    changed = a_grant_statement(fields=["status"])
    settled.publish([*without(the_entries(), "grant"), changed], issued=NOON + 1)
    assert settled.pull()
    assert settled.directory.grants[GRANT].fields == {"status"}


def test_a_grant_that_stood_without_effect_was_not_withdrawn(settled):
    settled.publish(without(the_entries(), "resource"), issued=NOON + 1)
    assert settled.pull()
    assert GRANT not in settled.directory.grants
    settled.publish(issued=NOON + 2)
    assert settled.pull()
    assert GRANT in settled.directory.grants


def test_a_withdrawn_grant_is_remembered_until_it_would_have_ended_by_itself(cell):
    brief = a_grant_statement(id="F" * 22, expires_at=NOON + DAY)
    cell.publish([*the_entries(), brief])
    cell.pull()
    cell.publish(issued=NOON + 1)
    cell.pull()
    assert cell.directory.memory.withdrawn == {"F" * 22: NOON + DAY}
    cell.clock.forward(DAY)
    cell.publish(issued=NOON + DAY)
    cell.pull()
    assert cell.directory.memory.withdrawn == {}


def test_an_older_version_of_a_resource_does_not_come_back_after_a_restart(settled):
    newer = a_resource(version=4)
    settled.publish([*without(the_entries(), "resource"), newer], issued=NOON + 1)
    assert settled.pull()
    restarted(settled)
    settled.publish(issued=NOON + 2)
    assert settled.pull()
    assert settled.directory.resources == {}


# A disk that takes nothing


def _disk_full(path: Path, data: bytes) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_does_not_keep_a_revocation_from_being_heeded(settled):
    with pytest.MonkeyPatch.context() as full:
        full.setattr(sources, "_write_durably", _disk_full)
        settled.publish(without(the_entries(), "grant"), issued=NOON + 1)
        assert settled.pull()
        assert GRANT not in settled.directory.grants
        assert not settled.pull()
    # There is room again: the directory in force is written though it is not new.
    assert not settled.pull()
    restarted(settled)
    assert settled.directory.version == 2


def test_what_a_full_disk_missed_is_not_made_up_with_something_else(settled):
    with pytest.MonkeyPatch.context() as full:
        full.setattr(sources, "_write_durably", _disk_full)
        settled.publish(issued=NOON + 1)
        assert settled.pull()
    garbage(settled)
    assert not settled.pull()
    restarted(settled)
    assert settled.directory.version == 1


# What the node says of it


def test_the_health_page_says_what_was_refused_and_how_many_entries_have_no_effect(tmp_path):
    clock = MovedClock(NOON)
    departments = Departments(tmp_path, clock, {"kept": DAY, "withdrawn": DAY})

    async def story() -> None:
        async with running(departments) as nodes:
            told = await nodes.health()
            assert (told["answers"], told["directory"], told["ignored"]) == (True, 1, 0)
            departments.withdraw("withdrawn")
            departments.publish()
            await nodes.pull()
            departments.bureau.put(departments.grant("withdrawn", DAY))
            departments.publish()
            await nodes.pull()
            told = await nodes.health()
            assert (told["directory"], told["directory_refused"], told["ignored"]) == (3, None, 1)
            assert grant_id("withdrawn") not in nodes.provider.source.current.grants  # type: ignore[union-attr]
            departments.source(PROVIDER).write_bytes(b"garbage")
            await nodes.pull()
            told = await nodes.health()
            assert (told["directory"], told["directory_refused"]) == (3, "exchange.directory_malformed")

    asyncio.run(story())
