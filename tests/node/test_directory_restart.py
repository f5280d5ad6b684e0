"""A node that starts again: what it kept, what it remembers, and what it no longer believes."""

import asyncio
import dataclasses
import shutil

import pytest

from tests.exchange.city import (
    Hub,
    a_key_entry,
    a_resource,
    a_root,
    a_witnessing,
    altered,
    the_entries,
    without,
)
from tests.journeys.departments import PROVIDER, Departments, grant_id, running
from tests.node.directories import (
    GRANT,
    _disk_full,
    garbage,
    restarted,
)
from tests.world import CALLING_KEY, DAY, NOON, a_grant_statement
from tongban.kit.clock import MovedClock, stamp
from tongban.node import source as sources
from tongban.node.source import MemoryUnreadable


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


def test_an_older_list_of_witnesses_or_none_is_not_believed_after_a_restart(settled):
    settled.publish([*the_entries(), a_witnessing()], issued=NOON + 20)
    assert settled.pull()
    settled.started()
    for entries in (the_entries(), [*the_entries(), a_witnessing(version=1, k=0)]):
        settled.publish(entries, issued=NOON + 60)
        assert not settled.pull()
        assert settled.refused == "exchange.directory_rolled_back"
        assert settled.directory.witnessing.k == 2


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
    monkeypatch.setattr(sources, "write_durably", _disk_full)
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


def test_a_full_disk_does_not_keep_a_revocation_from_being_heeded(settled):
    with pytest.MonkeyPatch.context() as full:
        full.setattr(sources, "write_durably", _disk_full)
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
        full.setattr(sources, "write_durably", _disk_full)
        settled.publish(issued=NOON + 1)
        assert settled.pull()
    garbage(settled)
    assert not settled.pull()
    restarted(settled)
    assert settled.directory.version == 1


def test_the_node_s_own_word_says_what_was_refused_and_how_many_entries_have_no_effect(tmp_path):
    clock = MovedClock(NOON)
    departments = Departments(tmp_path, clock, {"kept": DAY, "withdrawn": DAY})

    async def story() -> None:
        async with running(departments) as nodes:
            told = await nodes.health()
            assert (told["answers"], told["directory"], told["ignored"]) == (True, 1, 0)
            departments.withdraw("withdrawn")
            departments.publish()
            await nodes.pull()
            # A bureau that has forgotten, or whose key was stolen.
            shutil.rmtree(departments.bureau.folder / "struck")
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
