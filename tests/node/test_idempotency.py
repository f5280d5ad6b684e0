"""The same question under the same key: one reading, one charge, the same bytes; another question: refused."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.node.asking import Asker, Got, Request
from tests.node.place import PROVIDER, Place
from tests.node.running import Inside, NodeProcess, inside, opened, records
from tests.world import HUSBAND
from tongban.exchange.client import Answer
from tongban.node.config import Limits
from tongban.tlog.tree import leaf_hash

DAY = 86_400
KEY = "the-same-key"
CONFLICT = "exchange.idempotency_conflict"


@pytest.fixture(scope="module")
def twin(place: Place) -> Iterator[Inside]:
    few = {"calls": 2, "persons": 9, "window_seconds": 366 * DAY}
    asked = {"call": "verify", "fields": [], "rule": "married@2014-01-01", "rule_digest": place.compiled().digest}
    place.put(
        place.grant("few"), place.grant("pair", quota=few), place.grant("ending"), place.grant("rule", **asked),
        place.grant("parts", **(asked | {"call": "match"})), place.grant("lost"),
    )  # fmt: skip
    with inside(place, "twin-repeat", PROVIDER) as found:
        yield found


@pytest.fixture
def asker(place: Place, twin: Inside) -> Asker:
    return Asker(place, now=twin.clock.seconds)


@pytest.mark.parametrize("call", ["query", "verify", "match"])
def test_a_repeat_gets_the_stored_bytes_signed_anew_and_logged_as_a_repeat(twin: Inside, asker: Asker, call: str):
    def ask() -> Request:
        change = {"query": {"grant": "few"}, "verify": {"grant": "rule"}, "match": {"grant": "parts"}}[call]
        made: Request = getattr(asker, call)(idempotency=f"{KEY}-{call}", **change)
        return made

    first, second = ask(), ask()
    told = twin.send(first)
    before, state = twin.node.log.tree.size, twin.state()["quotas"]
    twin.clock.forward(1)
    got = twin.send(second)
    assert (got.status, got.body) == (told.status, told.body) == (200, told.body)
    assert got.header("signature") != told.header("signature")
    judged = asker.judged(second, got)
    assert isinstance(judged, Answer)
    entry = twin.node.log.entry(before)
    assert (judged.envelope.entry, judged.envelope.leaf) == (before, leaf_hash(entry.leaf).hex())
    assert (json.loads(entry.leaf)["kind"], json.loads(entry.leaf)["n"]) == ("repeat", 0)
    assert json.loads(entry.record or b"")["repeat_of"] == told.entry
    assert twin.state()["quotas"] == state


def test_a_repeat_is_charged_once_however_often_it_is_asked(twin: Inside, asker: Asker) -> None:
    for _ in range(5):
        assert twin.send(asker.query(grant="pair", idempotency=KEY)).status == 200
    assert [twin.send(asker.query(grant="pair")).code for _ in range(2)] == ["", "exchange.quota_spent"]
    # What was answered may still be told when nothing more may be asked.
    assert twin.send(asker.query(grant="pair", idempotency=KEY)).status == 200


@pytest.mark.parametrize(
    "change",
    [
        {"fields": ["name"]},
        {"subject": ("citizen", HUSBAND)},
        {"case": "KC-2014-000002"},
    ],
    ids=["other fields", "another person", "another case"],
)
def test_another_question_under_a_used_key_is_a_conflict(twin: Inside, asker: Asker, change: dict[str, object]):
    assert twin.send(asker.query(grant="few", idempotency="conflicting")).status == 200
    ticket = {"ticket": asker.ticket(case="KC-2014-000002")} if "case" in change else {}
    got = twin.send(asker.query(grant="few", idempotency="conflicting", **change, **ticket))
    assert (got.code, got.status, got.entry is not None) == (CONFLICT, 409, True)


@pytest.mark.parametrize("call", ["query", "verify"])
def test_a_repeat_needs_a_ticket_that_names_its_person(twin: Inside, asker: Asker, call: str) -> None:
    ask = asker.query if call == "query" else asker.verify
    grant = "few" if call == "query" else "rule"
    assert twin.send(ask(grant=grant, idempotency=f"named-{call}")).status == 200
    other = asker.ticket(HUSBAND)
    got = twin.send(ask(grant=grant, idempotency=f"named-{call}", ticket=other))
    assert (got.code, got.entry is not None) == ("exchange.subject_outside_ticket", True)
    assert twin.send(ask(grant=grant, idempotency=f"named-{call}", ticket=asker.ticket())).status == 200


def test_another_evaluation_date_is_another_question(twin: Inside, asker: Asker) -> None:
    """A second date under the same key would turn verdicts into values."""
    assert twin.send(asker.verify(grant="rule", idempotency="of-one-day")).status == 200
    other = asker.ticket(at="2014-06-07")
    assert twin.send(asker.verify(grant="rule", idempotency="of-one-day", ticket=other)).code == CONFLICT


def test_a_key_belongs_to_its_grant(twin: Inside, asker: Asker) -> None:
    assert twin.send(asker.query(grant="few", idempotency="of-one-grant")).status == 200
    assert twin.send(asker.query(grant="status", idempotency="of-one-grant")).status == 200


def test_another_staff_member_may_ask_again(twin: Inside, asker: Asker) -> None:
    """The intent says what is asked, not who carries it; the log says who carried it."""
    assert twin.send(asker.query(grant="few", idempotency="two-operators")).status == 200
    assert twin.send(asker.query(grant="few", idempotency="two-operators", operator="T-0002")).status == 200
    assert [one["operator"] for one in twin.records("repeat")][-1] == "T-0002"


def test_a_repeat_is_refused_once_its_grant_is_gone(twin: Inside, asker: Asker, place: Place) -> None:
    assert twin.send(asker.query(grant="ending", idempotency=KEY)).status == 200
    place.withdraw("grant", asker.query(grant="ending").value("tongban-grant"))
    assert twin.run(twin.node.source.pull())
    assert twin.send(asker.query(grant="ending", idempotency=KEY)).code == "exchange.no_grant"


def test_a_repeat_works_after_a_restart_and_not_once_the_day_s_key_is_gone(place: Place) -> None:
    now = place.clock.seconds()
    with inside(place, "twin-days", PROVIDER, start=now) as found:
        asker = Asker(place, now=found.clock.seconds)
        told = found.send(asker.query(idempotency=KEY))
    folder = place.node("twin-days")
    with opened(folder, now + 60) as again:
        asker = Asker(place, now=again.clock.seconds)
        assert again.send(asker.query(idempotency=KEY)).body == told.body
    for path in (folder / "log" / "seal").iterdir():
        path.unlink()
    with opened(folder, now + 120) as again:
        asker = Asker(place, now=again.clock.seconds)
        got = again.send(asker.query(idempotency=KEY))
        assert (got.code, got.status, got.entry is not None) == ("exchange.answer_gone", 410, True)


def test_how_often_an_answer_was_given_again_is_remembered_over_a_restart(place: Place) -> None:
    now, most = place.clock.seconds(), Limits().repeats_a_key
    with inside(place, "twin-often", PROVIDER, start=now) as found:
        asker = Asker(place, now=found.clock.seconds)
        for key in (KEY, "another-key"):
            assert found.send(asker.query(idempotency=key)).status == 200
        assert [found.send(asker.query(idempotency=KEY)).status for _ in range(most - 1)] == [200] * (most - 1)
        before = found.node.journal._repeats
    with opened(place.node("twin-often"), now + 60) as again:
        asker = Asker(place, now=again.clock.seconds)
        assert again.node.journal._repeats == before
        size = again.node.log.tree.size
        got = [again.send(asker.query(idempotency=KEY)) for _ in range(2)]
        assert [one.code for one in got] == ["", "exchange.repeated_too_often"]
        assert again.node.log.tree.size == size + 1
        assert again.send(asker.query(idempotency="another-key")).status == 200


def test_an_answer_is_remembered_for_a_day(place: Place) -> None:
    now = place.clock.seconds()
    with inside(place, "twin-a-day", PROVIDER, start=now) as found:
        asker = Asker(place, now=found.clock.seconds)
        told = found.send(asker.query(idempotency=KEY))
        found.clock.now = now + DAY - 1
        assert found.send(asker.query(idempotency=KEY, ticket=asker.ticket())).body == told.body
        found.clock.now = now + DAY
        anew = found.send(asker.query(idempotency=KEY, ticket=asker.ticket()))
        assert (anew.status, len(found.records("call")), len(found.records("repeat"))) == (200, 2, 1)


def test_a_day_later_a_key_without_repeats_begins_anew(place: Place) -> None:
    now, most = place.clock.seconds(), Limits().repeats_a_key
    with inside(place, "twin-anew", PROVIDER, start=now) as found:
        asker = Asker(place, now=found.clock.seconds)
        statuses = [found.send(asker.query(idempotency=KEY)).status for _ in range(most + 2)]
        assert statuses == [200] * (most + 1) + [429]
        found.clock.now = now + DAY
        ticket = asker.ticket()
        assert [found.send(asker.query(idempotency=KEY, ticket=ticket)).status for _ in range(2)] == [200, 200]
        before = found.node.journal._repeats
        assert [*before.values()] == [1]
    with opened(place.node("twin-anew"), now + DAY + 60) as again:
        assert again.node.journal._repeats == before


# Twins


def test_twins_in_flight_cost_one_reading(twin: Inside, asker: Asker) -> None:
    reads = 0
    desk = twin.node.gate._desks["query"]

    class Slow:
        async def answer(self, admitted: object, body: bytes) -> object:
            nonlocal reads
            reads += 1
            await asyncio.sleep(0)
            return await desk.answer(admitted, body)

    async def both() -> list[Got]:
        return await asyncio.gather(*(twin.answer(asker.query(idempotency="twins-in-flight")) for _ in range(8)))

    twin.node.gate._desks["query"] = Slow()
    try:
        got = twin.run(both())
    finally:
        twin.node.gate._desks["query"] = desk
    assert reads == 1
    assert {one.status for one in got} == {200}
    assert len({one.body for one in got}) == 1
    assert len({one.entry for one in got}) == 8


def test_a_twin_takes_over_from_one_that_failed(twin: Inside, asker: Asker) -> None:
    """What failed in passing is not remembered, and whoever waited for it is not failed with it."""

    async def both() -> list[Got]:
        garbled = asker.query(idempotency="one-fails").but(body=b"{}")
        good = asker.query(idempotency="one-fails")
        return await asyncio.gather(twin.answer(garbled), twin.answer(good))

    failed, good = twin.run(both())
    assert (failed.code, good.status) == ("exchange.digest_mismatch", 200)
    assert twin.state()["running"] == 0


def test_twins_at_a_real_node_cost_one_entry(provider: NodeProcess, place: Place) -> None:
    asker = Asker(place)
    before = len(records(provider.log, "call"))
    with ThreadPoolExecutor(8) as pool:
        got = [*pool.map(provider.send, [asker.query(idempotency="twins-of-old") for _ in range(16)])]
    assert {one.status for one in got} == {200}
    assert len({one.body for one in got}) == 1
    assert len(records(provider.log, "call")) - before == 1


def test_a_passing_failure_is_not_remembered(twin: Inside, asker: Asker, place: Place) -> None:
    register = place.register / "moving.db"
    away = register.with_suffix(".away")
    ask = {"grant": "moving", "resource": "civil_affairs/moving", "idempotency": "came-back"}
    register.rename(away)
    try:
        assert twin.send(asker.query(**ask)).code == "exchange.register_unavailable"
    finally:
        away.rename(register)
    assert twin.send(asker.query(**ask)).status == 200
