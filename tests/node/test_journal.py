"""What a node remembers is made again from its log; and what strangers do is counted, not attributed."""

import json
from collections.abc import Iterator

import pytest

from tests.node.asking import Asker, numbers
from tests.node.place import PROVIDER, Place, grant_id
from tests.node.running import Inside, inside, leaf_of, opened, verified
from tongban.kit.clock import stamp
from tongban.node import program
from tongban.node.config import Limits
from tongban.node.journal import Journal, Refusals, Strangers

HOUR = 3600


@pytest.fixture(scope="module")
def grants(place: Place) -> Place:
    quota = {"calls": 50, "persons": 50, "window_seconds": HOUR}
    asked = {"call": "match", "fields": [], "rule": "married@2014-01-01", "rule_digest": place.compiled().digest}
    place.put(place.grant("hourly", quota=quota), place.grant("hourly_batch", quota=quota, **asked))
    return place


def spent(journal: Journal) -> dict[str, tuple[int, int]]:
    return {scope: (one.calls, one.persons) for scope, one in journal.quotas._windows.items()}


def test_the_memory_made_from_the_log_is_the_memory_there_was(grants: Place) -> None:
    start = grants.clock.seconds() // HOUR * HOUR + HOUR + 60
    with inside(grants, "twin-memory", PROVIDER, start=start) as found:
        asker = Asker(grants, now=found.clock.seconds)
        for n in range(7):
            found.clock.forward(5)
            assert found.send(asker.query(grant="hourly", idempotency=f"number-{n}")).status == 200
        assert found.send(asker.query(grant="hourly", idempotency="number-3")).status == 200
        assert found.send(asker.query(grant="hourly", fields=["children"])).status == 403
        assert found.send(asker.query(grant="hourly", idempotency="number-4", fields=["name"])).status == 409
        assert found.send(asker.match(grant="hourly_batch", keys=numbers(9))).status == 200
        before = found.node.journal
        after = Journal(found.node.log, Limits(), found.clock.now)
        assert after._answers == before._answers
        assert len(after._answers) == 8
        assert after.nonces._older == before.nonces._newer | before.nonces._older
        for grant, directory in ((one, found.node.source.current) for one in ("hourly", "hourly_batch")):
            assert directory is not None
            granted = next(one for one in directory.grants.values() if one.id == grant_id(grant))
            after.reserve(granted, found.node.gate._tickets[next(iter(found.node.gate._tickets))][0], found.clock.now)
        held = {scope: (calls - 1, persons - 1) for scope, (calls, persons) in spent(after).items()}
        assert held == spent(before)
        assert after.latest <= found.clock.now < after.latest + 2


def test_a_window_that_is_over_is_not_charged_again(grants: Place) -> None:
    start = grants.clock.seconds() // HOUR * HOUR + HOUR + 60
    with inside(grants, "twin-window", PROVIDER, start=start) as found:
        asker = Asker(grants, now=found.clock.seconds)
        for _ in range(50):
            assert found.send(asker.query(grant="hourly")).status == 200
        assert found.send(asker.query(grant="hourly")).code == "exchange.quota_spent"
    with opened(grants.node("twin-window"), start + HOUR) as again:
        asker = Asker(grants, now=again.clock.seconds)
        assert again.send(asker.query(grant="hourly")).status == 200
        assert spent(again.node.journal)[grant_id("hourly")] == (1, 1)


def test_a_log_s_failure_costs_no_quota(grants: Place) -> None:
    with inside(grants, "twin-free", PROVIDER) as found:
        asker = Asker(grants, now=found.clock.seconds)
        for bad in ({"body": b"{"}, {"fields": ["children"]}, {"digest": b"x" * 32}):
            assert found.send(asker.query(grant="hourly", **bad)).status in (400, 403)
        assert spent(found.node.journal).get(grant_id("hourly"), (0, 0)) == (0, 0)


# Refusals beyond what is logged, and strangers


@pytest.fixture
def strict(place: Place) -> Iterator[Inside]:
    def few(text: str) -> str:
        return text.replace("refused_an_hour = 100000", "refused_an_hour = 3")

    start = place.clock.seconds() // HOUR * HOUR + HOUR + 60
    with inside(place, "twin-strict", PROVIDER, start=start, toml=few) as found:
        yield found


def test_a_flood_of_signed_nonsense_fills_no_log(strict: Inside, place: Place) -> None:
    asker = Asker(place, now=strict.clock.seconds)
    got = [strict.send(asker.query(grant="ended")) for _ in range(6)]
    assert {one.code for one in got} == {"exchange.grant_expired"}
    assert [one.entry is not None for one in got] == [True] * 3 + [False] * 3
    # A good call is still answered, signed and logged.
    assert strict.send(asker.query()).entry is not None
    strict.clock.forward(HOUR)
    strict.run(program._hourly(strict.node))
    told = [leaf_of(one) for one in strict.node.log.entries() if leaf_of(one)["kind"] == "refused-aggregate"]
    assert [one["body"]["counts"] for one in told] == [{"exchange.grant_expired": 3}]
    # Another hour, another three.
    assert strict.send(Asker(place, now=strict.clock.seconds).query(grant="ended")).entry is not None


def test_strangers_are_counted_by_the_hour_and_named_nowhere(place: Place) -> None:
    with inside(place, "twin-strangers", PROVIDER) as found:
        asker = Asker(place, now=found.clock.seconds)
        for n in range(4):
            found.send(asker.query().header("signature", None), peer=f"192.0.2.{n}")
        found.send(asker.query().but(method="GET"), peer="192.0.2.1")
        assert found.node.log.tree.size == 0
        found.clock.forward(HOUR)
        found.run(program._hourly(found.node))
        found.run(program._hourly(found.node))
        entries = [*found.node.log.entries()]
        assert len(entries) == 1
        body = leaf_of(entries[0])["body"]
        assert body["counts"] == {"exchange.header_missing": 4, "exchange.wrong_method": 1}
        assert body["peers"] == 4
        assert "192.0.2" not in entries[0].leaf.decode()
        found.node.log.checkpoint()
        assert verified(found.node.log.directory, {}).problems == ()


def test_counts_begin_anew_after_they_were_told() -> None:
    counts = Strangers(0)
    counts.count("exchange.replay", "a")
    first = counts.told(100)
    assert first is not None
    assert (first["peers"], first["counts"]) == (1, {"exchange.replay": 1})
    assert (first["from"], first["until"]) == ("1970-01-01T00:00:00Z", "1970-01-01T00:01:40Z")
    assert counts.told(200) is None
    counts.count("exchange.replay", "b")
    again = counts.told(300)
    assert again is not None
    assert again["from"] == "1970-01-01T00:03:20Z"


def test_the_first_counts_after_a_start_begin_with_the_start_and_the_next_where_those_ended(place: Place) -> None:
    with inside(place, "twin-started", PROVIDER) as found:
        asker, start = Asker(place, now=found.clock.seconds), stamp(found.clock.now)
        spans = []
        for _ in range(2):
            found.clock.forward(HOUR)
            found.send(asker.query().header("signature", None))
            found.run(program._hourly(found.node))
            body = leaf_of([*found.node.log.entries()][-1])["body"]
            spans += [body["from"], body["until"]]
        assert spans == [start, stamp(found.clock.now - HOUR), stamp(found.clock.now - HOUR), stamp(found.clock.now)]


def test_a_start_under_a_clock_that_was_set_back_begins_where_the_log_ends(place: Place) -> None:
    with inside(place, "twin-strangers-set-back", PROVIDER) as found:
        assert found.send(Asker(place, now=found.clock.seconds).query()).status == 200
        end, folder = found.clock.now, found.node.config.folder
    with opened(folder, end - HOUR) as again:
        again.send(Asker(place, now=again.clock.seconds).query().header("signature", None))
        again.run(program._hourly(again.node))
        body = leaf_of([*again.node.log.entries()][-1])["body"]
        assert (body["from"], body["until"]) == (stamp(end), stamp(end))


def test_a_flood_from_many_addresses_fills_no_memory() -> None:
    counts = Strangers(0)
    for n in range(20_000):
        counts.count("exchange.bad_signature", str(n))
    told = counts.told(0)
    assert told is not None
    assert (told["peers"], told["counts"]) == (10_000, {"exchange.bad_signature": 20_000})


def test_one_consumer_s_refusals_take_no_room_from_another_s() -> None:
    refusals = Refusals(2)
    assert [refusals.room("a", 0) for _ in range(3)] == [True, True, False]
    assert refusals.room("b", 0)
    assert refusals.room("a", HOUR)


def test_old_answers_are_forgotten_in_time(place: Place) -> None:
    with inside(place, "twin-forget", PROVIDER) as found:
        asker = Asker(place, now=found.clock.seconds)
        assert found.send(asker.query()).status == 200
        found.node.journal.forget(found.clock.now + 86_399)
        assert len(found.node.journal._answers) == 1
        found.node.journal.forget(found.clock.now + 86_401)
        assert found.node.journal._answers == {}
        assert json.loads(next(found.node.log.entries()).record or b"")["status"] == 200
