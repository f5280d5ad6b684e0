"""The hub away: departments go on asking each other, as long as each grant bears, and not an instant longer."""

import asyncio
import http.client
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.departments import CONSUMER, FIELDS, PROVIDER, Departments, free_port, grant_id, running
from tests.world import APPLICANT, CIVIL_AFFAIRS, HOUR, MINUTE, PURPOSE, RESOURCE, TRANSPORT
from tongban.exchange import ask, client, ticket
from tongban.exchange.envelope import Call
from tongban.kit.clock import MachineClock, MovedClock
from tongban.kit.keys import PublicKey, read_key

pytestmark = pytest.mark.journey

#: Greatest age of the directory under which each grant is answered.
GRANTS = {"patient": 72 * HOUR, "a day and an hour": 25 * HOUR, "strict": HOUR}
TOO_OLD, EXPIRED = "exchange.directory_too_old", "exchange.directory_expired"
STEP = 20 * MINUTE


def a_city(folder: Path) -> tuple[Departments, MovedClock]:
    clock = MovedClock(float(int(time.time())))
    return Departments(folder, clock, GRANTS, free_port()), clock


def test_a_day_without_the_hub_fails_nobody_whose_grant_bears_it_and_refuses_all_others(tmp_path):
    departments, clock = a_city(tmp_path)
    answers: list[tuple[str, float, str]] = []

    async def a_day() -> None:
        async with running(departments) as nodes:
            for name in (PROVIDER, CONSUMER):
                departments.source(name).unlink()
            began = clock.now
            while clock.now < began + 26 * HOUR:
                clock.forward(STEP)
                assert await nodes.pull() == (False, False)
                answers.extend([(name, clock.now - began, await nodes.ask(name)) for name in GRANTS])
            assert (await nodes.health())["answers"] is True
            assert (await nodes.health())["directory_age"] == 26 * HOUR

    asyncio.run(a_day())
    assert len(answers) == 26 * 3 * 3
    expected = [(name, age, "" if age <= GRANTS[name] else TOO_OLD) for name, age, _ in answers]
    assert answers == expected
    assert sum(code == "" for _, _, code in answers) == 26 * 3 + 25 * 3 + 3


def test_after_three_days_nothing_is_answered_until_the_hub_is_back(tmp_path):
    departments, clock = a_city(tmp_path)

    async def days() -> None:
        async with running(departments) as nodes:
            clock.forward(72 * HOUR - 1)
            assert [await nodes.ask(name) for name in GRANTS] == ["", TOO_OLD, TOO_OLD]
            clock.forward(1)
            assert [await nodes.ask(name) for name in GRANTS] == [EXPIRED] * 3
            assert (await nodes.health())["answers"] is False
            departments.publish()
            assert await nodes.pull() == (True, True)
            assert [await nodes.ask(name) for name in GRANTS] == ["", "", ""]

    asyncio.run(days())


def test_a_provider_whose_directory_expired_refuses_whoever_still_asks(tmp_path):
    departments, clock = a_city(tmp_path)

    async def days() -> None:
        async with running(departments) as nodes:
            clock.forward(60 * HOUR)
            departments.publish(CONSUMER)
            assert await nodes.pull() == (False, True)
            assert await nodes.ask("patient") == ""
            clock.forward(12 * HOUR)
            # The refusal is nobody's: a node without a directory in force cannot tell who asks.
            assert await nodes.ask("patient") == "exchange.answer_unsigned"
            assert nodes.provider.journal.strangers._counts == {EXPIRED: 1}

    asyncio.run(days())


def test_a_node_that_starts_again_while_the_hub_is_away_goes_on_from_the_directory_it_kept(tmp_path):
    departments, clock = a_city(tmp_path)

    async def before() -> None:
        async with running(departments) as nodes:
            assert await nodes.ask("strict") == ""

    async def after() -> None:
        async with running(departments) as nodes:
            assert [await nodes.ask(name) for name in GRANTS] == ["", "", TOO_OLD]

    asyncio.run(before())
    for name in (PROVIDER, CONSUMER):
        departments.source(name).unlink()
    clock.forward(3 * HOUR)
    asyncio.run(after())


def test_a_withdrawn_grant_stops_with_the_next_pull_and_at_a_node_cut_off_with_its_greatest_age(tmp_path):
    departments, clock = a_city(tmp_path)

    async def story() -> None:
        async with running(departments) as nodes:
            departments.withdraw("patient")
            departments.withdraw("a day and an hour")
            # Nobody hears of it: both are cut off, and go on in good faith.
            departments.bureau.publish()
            began = clock.now
            for _ in range(25):
                clock.forward(HOUR)
                assert await nodes.pull() == (False, False)
                assert await nodes.ask("a day and an hour") == ""
            clock.forward(1)
            assert await nodes.ask("a day and an hour") == TOO_OLD
            assert await nodes.ask("patient") == ""
            # The provider hears first; the asker still believes in the grant.
            departments.reach(PROVIDER)
            assert await nodes.pull() == (True, False)
            assert clock.now == began + 25 * HOUR + 1
            assert await nodes.ask("patient") == "exchange.no_grant"
            departments.reach(CONSUMER)
            assert await nodes.pull() == (False, True)
            assert await nodes.ask("patient") == "node.grant_not_mapped"

    asyncio.run(story())


def test_a_revoked_key_of_a_caller_stops_with_the_next_pull(tmp_path):
    departments, clock = a_city(tmp_path)

    async def story() -> None:
        async with running(departments) as nodes:
            revoked_at = departments.key_entry(CONSUMER, "online", revoked_at="2014-01-01T00:00:00Z")
            departments.bureau.put(revoked_at)
            departments.publish(PROVIDER)
            clock.forward(20)
            assert await nodes.pull() == (True, False)
            assert await nodes.ask("patient") == "exchange.answer_unsigned"
            assert nodes.provider.journal.strangers._counts == {"exchange.revoked_key": 1}

    asyncio.run(story())


# In real time


class Asker:
    """Transport's node, as far as one call needs it: a new question each time, over a socket of its own."""

    def __init__(self, departments: Departments) -> None:
        keys = departments.node(CONSUMER) / "keys"
        self._online, self._ticket = read_key(keys / "online.json"), read_key(keys / "ticket.json")
        self._answering = read_key(departments.node(PROVIDER) / "keys" / "online.json").public

    def ask(self, port: int, name: str) -> str:
        """Code of the provider's signed answer; "" is a record."""
        now = time.time()
        text = ticket.issue_case(
            self._ticket, id=secrets.token_urlsafe(16), consumer=TRANSPORT, purpose=PURPOSE, case="K-1",
            salt=secrets.token_bytes(16), subjects=[("citizen", APPLICANT)], at="2014-06-08",
            not_before=now - 60, expires_at=now + 600,
        )  # fmt: skip
        call = Call(
            call="query", consumer=TRANSPORT, provider=CIVIL_AFFAIRS, node=PROVIDER, resource=RESOURCE,
            grant=grant_id(name), purpose=PURPOSE, ticket=text, case="K-1", operator="T-0417",
            idempotency=secrets.token_urlsafe(12),
        )  # fmt: skip
        body = ask.write_query("citizen", APPLICANT, FIELDS)
        prepared = client.prepare(self._online, call, body, nonce=secrets.token_urlsafe(16), now=now)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            headers = {key.decode(): value.decode() for key, value in prepared.signed.headers}
            connection.request("POST", prepared.path, body, headers)
            got = connection.getresponse()
            raw = [(key.lower().encode(), value.encode()) for key, value in got.getheaders()]
            answer = client.judge(prepared, got.status, raw, got.read(), self._key, time.time())
        finally:
            connection.close()
        assert isinstance(answer, client.Answer), answer
        return answer.code

    def _key(self, key_id: str, node: str) -> PublicKey:
        return self._answering


def until(holds: Callable[[], bool], seconds: float) -> float:
    """Ask ten times a second until it holds; seconds that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it does not come to hold"
        time.sleep(0.1)
    return time.monotonic() - began


def test_a_withdrawn_grant_is_refused_by_a_running_node_within_a_minute(tmp_path):
    departments = Departments(tmp_path, MachineClock(), GRANTS)
    folder, asker = departments.node(PROVIDER), Asker(departments)
    command = [sys.executable, "-m", "tongban.cli.main", "node", "run", str(folder), "--with-parent"]
    with (tmp_path / "said").open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as node:
        try:
            until((folder / "address.json").exists, 60)
            port = json.loads((folder / "address.json").read_text())["port"]
            assert asker.ask(port, "patient") == ""
            departments.withdraw("patient")
            departments.publish()
            took = until(lambda: asker.ask(port, "patient") == "exchange.no_grant", 60)
            assert asker.ask(port, "strict") == ""
        finally:
            node.terminate()
            node.wait(30)
    assert took <= 60
