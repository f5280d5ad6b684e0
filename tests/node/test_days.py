"""Days of a log: each commits to how often every person was looked at, whatever interrupts the counting."""

import json
import os
import shutil
from datetime import datetime, time, timedelta
from pathlib import Path
from time import time as time_now
from typing import Any

import orjson
import pyarrow as pa
import pytest

from tests.node.asking import Asker, a_column, numbers
from tests.node.place import AT, CONSUMER, PROVIDER, Place, grant_id
from tests.node.running import Inside, entries, inside, leaf_of, opened, record_of, serving, spare, until
from tests.node.test_door import HEADERS, at_door
from tests.world import APPLICANT, HUSBAND
from tongban.calendar.day import BEIJING, day_of
from tongban.exchange import bulk
from tongban.kit.clock import MovedClock, stamp
from tongban.kit.keys import SigningKey
from tongban.node.config import read as read_config
from tongban.node.days import SETTLED
from tongban.node.program import online_key, origin_of
from tongban.tlog import day_file, day_tree, person_table
from tongban.tlog.day_file import DayFile
from tongban.tlog.day_tree import NOBODY, Look, person
from tongban.tlog.day_tree import leaf_of as day_leaf
from tongban.tlog.log import Draft, Log
from tongban.tlog.looks import looks_of
from tongban.tlog.pseudonym import spelt, unspelt
from tongban.tlog.tree import leaf_hash
from tongban.tlog.verify import verify

DAY = 86_400


def published(found: Inside, days: int = 1) -> list[dict[str, Any]]:
    """The bodies of the day-counts that come into the log half an hour after so many midnights."""
    if days:
        midnight = datetime.combine(day_of(found.clock.seconds()) + timedelta(days=days), time(0, 30), BEIJING)
        found.clock.now = midnight.timestamp()
    before = found.node.log.tree.size
    found.run(found.node.days.publish())
    return [leaf_of(one)["body"] for one in found.node.log.entries(before) if leaf_of(one)["kind"] == "day-count"]


def pseudonym(found: Inside, number: str) -> bytes:
    return unspelt(found.node.log.subject_key, "citizen", number)


def proved(found: Inside, body: dict[str, Any], name: bytes) -> int | None:
    """How often the person `name` (a pseudonym's bytes) was looked at, as the day's tree proves to anybody."""
    tree = DayFile(found.node.log.directory, body["day"], body["root"])
    sought = person(tree.count.salt, name).name
    paths = [day_tree.from_json(json.loads(json.dumps(day_tree.to_json(one)))) for one in tree.paths(sought)]
    return day_tree.holds(paths, body["persons"], bytes.fromhex(body["root"]), body["sum"], sought)


def test_a_day_counts_calls_refusals_repeats_and_the_persons_of_batches(place: Place) -> None:
    with inside(place, "twin-days-all", PROVIDER) as found:
        asker = Asker(place, now=found.clock.seconds)
        once = asker.query()
        assert found.send(once).status == 200
        again = asker.query(idempotency=once.prepared.call.idempotency)
        assert found.send(again).status == 200
        assert found.send(asker.verify(subject=("citizen", HUSBAND))).status == 200
        assert found.send(asker.query(fields=("spouse_number",))).status != 200
        assert found.send(asker.match()).status == 200
        [body] = published(found)
        counted = [looks_of(leaf_of(one)) for one in found.node.log.entries()]
        assert body["sum"] == sum(counted) == 6
        assert proved(found, body, pseudonym(found, APPLICANT)) == 3
        assert proved(found, body, pseudonym(found, HUSBAND)) == 2
        # A refusal is logged before anybody is read, so it is about nobody the log could name.
        assert proved(found, body, NOBODY) == 1
        assert proved(found, body, bytes(range(16))) == 0


def test_the_head_of_a_persons_leaf_binds_exactly_her_entries(place: Place) -> None:
    with inside(place, "twin-days-head", PROVIDER) as found:
        asker = Asker(place, now=found.clock.seconds)
        for _ in range(2):
            assert found.send(asker.query()).status == 200
        assert found.send(asker.query(subject=("citizen", HUSBAND))).status == 200
        [body] = published(found)
        tree = DayFile(found.node.log.directory, body["day"], body["root"])
        who = person(tree.count.salt, pseudonym(found, APPLICANT))
        hers = [Look(leaf_hash(found.node.log.entry(index).leaf)) for index in (0, 1)]
        [way] = tree.paths(who.name)
        assert way.leaf == day_leaf(who, hers)
        assert way.leaf != day_leaf(who, hers[::-1])
        assert way.leaf != day_leaf(who, hers[:1])


def test_a_day_without_a_look_is_committed_to_as_well(place: Place) -> None:
    with inside(place, "twin-days-none", PROVIDER) as found:
        assert published(found, 0) == []
        bodies = published(found, 3)
        first = day_of(found.clock.seconds()) - timedelta(days=3)
        assert [one["day"] for one in bodies] == [(first + timedelta(days=n)).isoformat() for n in range(3)]
        assert {(one["persons"], one["sum"], one["root"]) for one in bodies} == {(0, 0, day_tree.EMPTY.hex())}
        assert proved(found, bodies[1], pseudonym(found, APPLICANT)) == 0
        assert published(found, 0) == []


def test_what_comes_in_late_counts_for_the_next_day_and_nothing_twice(place: Place) -> None:
    with inside(place, "twin-days-late", PROVIDER) as found:
        assert found.send(Asker(place, now=found.clock.seconds).query()).status == 200
        [first] = published(found)
        # Made on the day that was counted, in the log after the count.
        found.node.log.append_many([Draft({"kind": "call", "n": 1}, record_of(found.node.log.entry(0)))])
        [second] = published(found)
        assert (first["from"], first["until"], first["sum"]) == (0, 1, 1)
        assert (second["from"], second["sum"]) == (1, 1)
        assert proved(found, second, pseudonym(found, APPLICANT)) == 1
        assert verify(found.node.log.directory, {}).problems == ()


def test_a_look_after_midnight_belongs_to_the_new_day_though_the_old_was_not_counted_yet(place: Place) -> None:
    with inside(place, "twin-days-midnight", PROVIDER) as found:
        asker = Asker(place, now=found.clock.seconds)
        assert found.send(asker.query()).status == 200
        found.clock.forward(DAY)
        later = Asker(place, now=found.clock.seconds)
        assert found.send(later.query(subject=("citizen", HUSBAND))).status == 200
        bodies = published(found)
        assert [(one["from"], one["until"], one["sum"]) for one in bodies] == [(0, 1, 1), (1, 2, 1)]
        assert proved(found, bodies[0], pseudonym(found, HUSBAND)) == 0
        assert proved(found, bodies[1], pseudonym(found, HUSBAND)) == 1


def test_both_sides_count_a_batch_a_person_at_a_time(place: Place) -> None:
    keys = numbers(700)
    with inside(place, "twin-days-batch", PROVIDER) as found:
        asker = Asker(place, now=found.clock.seconds)
        assert found.send(asker.match(keys=keys)).status == 200
        assert found.send(asker.match(keys=keys[:300], on={"part": "1"})).status == 200
        [body] = published(found)
        assert (body["persons"], body["sum"]) == (700, 1000)
        table = person_table.names(found.node.log.directory, 0, 700)
        assert [proved(found, body, table[at].tobytes()) for at in (0, 299, 300, 699)] == [2, 2, 1, 1]
        assert [*found.node.persons._spool.names()] == []


def test_the_asking_side_counts_its_batches_too_and_keeps_no_key(place: Place) -> None:
    body = bulk.write_keys(pa.table({"k": a_column([APPLICANT, *numbers(3)]), "since": pa.nulls(4, pa.int64())}))
    who = (f"uid:{os.getuid()}", 0)
    about = {"tongban-round": "days", "tongban-domain": "citizen", "tongban-grant": grant_id("batch"), **HEADERS}
    stage = {"round": "days", "stage": "opened", "digest": "0" * 64, "at": AT}
    with inside(place, "twin-days-asking", CONSUMER) as found:
        assert at_door(found, "/round", who, orjson.dumps(stage), **HEADERS).status == 200
        # Nobody answers: that the department asked is a look all the same.
        for part in ("0", "1"):
            at_door(found, "/call/match", who, body, **about, **{"tongban-part": part})
    with opened(place.node("twin-days-asking"), found.clock.seconds()) as found:
        assert found.node.asked.waiting() == 1
        at_door(found, "/call/match", who, body, **about, **{"tongban-part": "2"})
        [counted] = published(found)
        assert (counted["persons"], counted["sum"]) == (4, 12)
        assert proved(found, counted, pseudonym(found, APPLICANT)) == 3
        assert [*found.node.asked._spool.names()] == []
        assert not any(
            APPLICANT.encode() in path.read_bytes() for path in (found.node.config.folder / "log").rglob("*.names")
        )


def test_a_batch_whose_keys_are_lost_counts_for_nobody_and_stops_no_day(place: Place) -> None:
    with inside(place, "twin-days-lost", PROVIDER) as found:
        asker = Asker(place, now=found.clock.seconds)
        assert found.send(asker.match(keys=numbers(3))).status == 200
        assert found.send(asker.match(keys=numbers(2), on={"part": "1"})).status == 200
        assert found.run(found.node.persons.commit()) == 2
        person_table.place(found.node.log.directory, 0).unlink()
        [body] = published(found)
        assert body["sum"] == 5
        assert proved(found, body, NOBODY) == 3


def test_a_node_that_was_off_and_is_killed_while_it_counts_commits_to_each_day_once(place: Place) -> None:
    node = spare(place, "spare-days", start=False)
    config = read_config(node.folder)
    shutil.rmtree(node.log)
    then = MovedClock(time_now() - 3 * DAY)
    log = Log.create(node.log, origin_of(config), online_key(config, None), then)
    record = {"at": stamp(then.now), "subjects": [spelt(bytes(16 * [7]))]}
    log.append_many([Draft({"kind": "call", "n": 1}, record)] * 5)
    log.close()
    for _ in range(3):
        known = {*(node.log / "days").glob("*.day")}
        node.start().ready()
        until(lambda known=known: {*(node.log / "days").glob("*.day")} - known or day_counts(node.log), "a tree")
        node.kill()
    with serving(node.start()):
        over = (day_of(time_now() - SETTLED) - day_of(then.now)).days
        until(lambda: len(day_counts(node.log)) >= over, "all days are in the log")
    bodies = day_counts(node.log)
    days = [day_of(then.now) + timedelta(days=n) for n in range(len(bodies))]
    assert [one["day"] for one in bodies] == [day.isoformat() for day in days]
    assert [one["sum"] for one in bodies] == [5, *(0 for _ in bodies[1:])]
    assert {path.name for path in (node.log / "days").iterdir()} == {
        day_file.place(node.log, one["day"], one["root"]).name for one in bodies
    }
    assert verify(node.log, {}).problems == ()


def day_counts(log: Path) -> list[dict[str, Any]]:
    return [leaf_of(one)["body"] for one in entries(log) if leaf_of(one)["kind"] == "day-count"]


@pytest.mark.parametrize(
    "lie",
    [
        {"sum": 0},
        {"sum": 2},
        {"from": 1},
        {"until": 0},
        {"until": 9},
        {"day": "2014-02-30"},
        {"root": "00"},
        {"persons": -1},
    ],
)
def test_a_day_that_counts_other_looks_than_the_log_holds_is_found_from_its_leaves(
    tmp_path: Path, lie: dict[str, Any]
) -> None:
    log = Log.create(tmp_path / "log", "member/node", SigningKey("key", bytes(32)), MovedClock(1.0))
    body = {"day": "2014-06-09", "from": 0, "until": 1, "persons": 1, "sum": 1, "root": "0" * 64}
    log.append_many([Draft({"kind": "call", "n": 1}, {"at": "x"}), Draft({"kind": "day-count", "body": body | lie})])
    log.close()
    assert [one.code for one in verify(tmp_path / "log", {}, workers=1).problems] == ["tlog.day_count_differs"]
