"""A node's directory through good days and bad: whatever the source offers, the last good one stays in force."""

import asyncio
import dataclasses
from pathlib import Path

import pytest

from tests.exchange.city import (
    the_entries,
    without,
)
from tests.node.directories import (
    GRANT,
    Site,
    a_dangling_link,
    a_folder,
    comes,
    deep,
    empty,
    expired,
    forged,
    forked,
    future_dated,
    garbage,
    gone,
    half,
    issued_earlier,
    not_following,
    of_another_root,
    over_the_network,
    rolled_back,
    unlogged,
    with_a_grant_slipped_in,
)
from tests.world import HOUR, NOON, a_grant_statement
from tongban.node import source as sources
from tongban.node.server import listening


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


def test_a_node_that_starts_again_while_the_source_is_gone_goes_on_from_what_it_kept(settled):
    settled.place.unlink()
    settled.started()
    assert (settled.directory.version, settled.refused) == (1, None)
    assert not settled.pull()


def test_a_kept_directory_that_expired_meanwhile_is_not_in_force(settled):
    settled.clock.forward(72 * HOUR)
    settled.started()
    assert (settled.source.current, settled.refused) == (None, "exchange.directory_expired")
