"""What test_gate_unit and test_gate_limits stand on."""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from tests.exchange.city import ANSWERING_KEY, PIN, Hub, adopted, the_entries, without
from tests.world import (
    APPLICANT,
    CIVIL_AFFAIRS,
    NOON,
    PROVIDER_NODE,
    RULE,
    RULE_DIGEST,
    a_call,
    a_grant_statement,
    a_request,
    a_round_ticket,
)
from tongban.exchange import client
from tongban.exchange.ask import write_query
from tongban.exchange.client import Answer, Prepared
from tongban.exchange.directory import Directory, adopt
from tongban.exchange.envelope import SignedRequest
from tongban.kit.clock import MovedClock, stamp
from tongban.kit.errors import Refused, Unavailable
from tongban.node.body import BodyReader
from tongban.node.config import Limits, NodeConfig
from tongban.node.gate import Admitted, Answered, Gate, Reply
from tongban.node.journal import Journal

ORIGIN = f"{CIVIL_AFFAIRS}/{PROVIDER_NODE}"


BODY = write_query("citizen", APPLICANT, ["status"])


ANSWER = b'{"records":[]}'


#: A grant for batches, which the cast's directory does not have.
BATCH = "M" * 22


LIMITS = Limits(json_body=100, batch_body=2_000_000, calls_per_second=1, burst=50, refused_an_hour=5)


FLOODED = Limits(burst=2, calls_per_second=1)


class Full(Unavailable):
    code = "test.full"
    message = "No room."


@dataclass
class Entry:
    index: int
    leaf_hash: bytes


class MemoryLog:
    """A log as far as the gate sees it; `full`: it takes nothing."""

    origin = ORIGIN

    def __init__(self) -> None:
        self.appended: list[tuple[Any, Any, bytes]] = []
        self.signatures: dict[int, bytes] = {}
        self.full = False
        self.gone: set[int] = set()

    def entries(self) -> Iterator[Any]:
        return iter(())

    async def append(self, fields: Any, record: Any = None, answer: bytes = b"") -> Entry:
        await asyncio.sleep(0)
        if self.full:
            raise Full()
        self.appended.append((fields, record, answer))
        return Entry(len(self.appended) - 1, bytes([len(self.appended)]) * 32)

    def keep_signature(self, index: int, signature: bytes) -> None:
        self.signatures[index] = signature

    def entry(self, index: int) -> int:
        return index

    def unseal(self, index: int) -> bytes | None:
        return None if index in self.gone else self.appended[index][2]


class TestDesk:
    """Says what it is told to say, and keeps what it was asked."""

    __test__ = False

    def __init__(self) -> None:
        self.asked: list[tuple[Admitted, bytes]] = []
        self.says: Any = Answered(ANSWER, "records", 1, {"rows": 0})
        self.wait: asyncio.Event | None = None

    async def answer(self, admitted: Admitted, body: bytes) -> Answered | Refused:
        self.asked.append((admitted, body))
        if self.wait:
            await self.wait.wait()
        if isinstance(self.says, BaseException):
            self._break(self.says)
        return self.says  # type: ignore[no-any-return]

    def _break(self, error: BaseException) -> None:
        raise error


async def _nothing_newer(known: Directory) -> bool:
    return False


@dataclass
class Counter:
    """A gate on its own, at noon."""

    limits: Limits = LIMITS
    clock: MovedClock = field(default_factory=lambda: MovedClock(NOON))

    def __post_init__(self) -> None:
        entries = [*the_entries(), a_grant_statement(**_of_batches())]
        self.source = SimpleNamespace(current=adopted(entries), look_again=_nothing_newer)
        self.log, self.query, self.match = MemoryLog(), TestDesk(), TestDesk()
        config = NodeConfig(
            Path(), PROVIDER_NODE, CIVIL_AFFAIRS, "127.0.0.1", 0, "demonstration", "", "", "", "", 20, 0, "", 0, (),
            {}, {}, self.limits,
        )  # fmt: skip
        self.journal = Journal(self.log, self.limits, NOON)  # type: ignore[arg-type]
        desks = {"query": self.query, "match": self.match}
        self.gate = Gate(
            config, lambda: ANSWERING_KEY, self.source, self.log, self.journal, desks, BodyReader(30), self.clock,  # type: ignore[arg-type]
        )  # fmt: skip

    @property
    def directory(self) -> Directory:
        return self.source.current  # type: ignore[no-any-return]

    @property
    def counts(self) -> dict[str, int]:
        """What strangers are counted for."""
        return self.journal.strangers._counts

    @property
    def spent(self) -> dict[str, tuple[int, int]]:
        """Calls and persons a grant."""
        return {scope: (one.calls, one.persons) for scope, one in self.journal.quotas._windows.items()}

    async def take(
        self, request: SignedRequest, body: bytes = BODY, *, call: str = "query", peer: str = "10.0.0.1", **extra: str
    ) -> Reply:
        headers = [
            *request.headers,
            *((name.replace("_", "-").encode(), value.encode()) for name, value in extra.items()),
        ]
        held = [body]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": held.pop(), "more_body": False}

        return await self.gate.call(b"POST", f"/v1/{call}".encode(), headers, peer, receive)

    def ask(
        self, body: bytes = BODY, peer: str = "10.0.0.1", extra: dict[str, str] | None = None, **change: Any
    ) -> Reply:
        """One query, signed for `body`, at the clock's own time; everything of it can be changed by name."""
        change = {"created": int(self.clock.now), "nonce": fresh_nonce()} | change
        signed_for = change.pop("signed_for", body)
        call = change.get("call", "query")
        request = a_request(signed_for, **change)
        return asyncio.run(self.take(request, body, call=call, peer=peer, **(extra or {})))

    def batch(self, body: bytes = BODY, **change: Any) -> Reply:
        ticket = a_round_ticket(keys=hashlib.sha256(b"keys").hexdigest())
        asked = {"call": "match", "resource": RULE, "grant": BATCH, "ticket": ticket, "case": "2014-06/civil_affairs-0"}
        return self.ask(body, **(asked | change))


_nonces = iter(range(10**9))


def fresh_nonce() -> str:
    return f"{next(_nonces):022d}"


def _of_batches() -> dict[str, Any]:
    return {"id": BATCH, "call": "match", "fields": [], "rule": RULE, "rule_digest": RULE_DIGEST}


@pytest.fixture
def counter() -> Counter:
    return Counter()


def code(reply: Reply) -> str:
    return str(orjson.loads(reply.body)["code"]) if reply.status != 200 else ""


def header(reply: Reply, name: bytes) -> bytes | None:
    return dict(reply.headers).get(name)


def is_signed(reply: Reply) -> bool:
    return header(reply, b"signature") is not None


def judged(request: SignedRequest, reply: Reply, body: bytes = BODY, now: float = NOON) -> Answer:
    """What Transport's node makes of the reply."""
    prepared = Prepared(a_call(), "/v1/query", body, request, NOON)
    found = client.judge(prepared, reply.status, reply.headers, reply.body, lambda *_: ANSWERING_KEY.public, now)
    assert isinstance(found, Answer), found
    return found


def turned_away(counter: Counter, reply: Reply, expected: str, status: int) -> None:
    assert (code(reply), reply.status) == (f"exchange.{expected}", status)
    assert reply.headers == [(b"content-type", b"application/json")]
    assert counter.counts == {f"exchange.{expected}": 1}
    assert counter.journal.strangers._peers == {"10.0.0.1"}
    assert counter.log.appended == []
    assert counter.query.asked == []


def refused(counter: Counter, expected: str, status: int, reason: str = "", **change: Any) -> None:
    """The call is refused with a signed answer whose entry says so; nothing was read, nothing spent."""
    change = {"created": int(counter.clock.now), "nonce": fresh_nonce()} | change
    body = change.pop("body", BODY)
    request = a_request(change.pop("signed_for", body), **change)
    before = len(counter.log.appended)
    spent = {scope: held for scope, held in counter.spent.items() if held != (0, 0)}
    reply = asyncio.run(counter.take(request, body))
    answer = judged(request, reply, body, counter.clock.now)
    assert (answer.code, reply.status) == (f"exchange.{expected}", status)
    assert orjson.loads(reply.body)["node_time"] == stamp(counter.clock.now)
    assert reason in ("", orjson.loads(reply.body)["reason"])
    [(fields, record, sealed)] = counter.log.appended[before:]
    assert (fields, sealed) == ({"kind": "refused", "n": 1}, b"")
    assert (record["code"], record["status"], record["at"]) == (answer.code, status, stamp(counter.clock.now))
    assert record["body"] == hashlib.sha256(reply.body).hexdigest()
    assert counter.log.signatures[before] == answer.envelope.signature
    assert (answer.envelope.entry, answer.envelope.created) == (before, int(counter.clock.now))
    assert {scope: held for scope, held in counter.spent.items() if held != (0, 0)} == spent
    assert counter.counts == {}


def nothing_read(counter: Counter) -> None:
    assert counter.query.asked == []


class Broken(Exception):
    """An error whose message quotes a person's data, as drivers' messages do."""


def renewed(counter: Counter) -> Directory:
    found = adopt(None, Hub().publish(the_entries(), issued=int(counter.clock.now)), PIN, counter.clock.now)
    assert isinstance(found, Directory)
    return found


def with_quota(counter: Counter, calls: int, persons: int) -> None:
    quota = {"calls": calls, "persons": persons, "window_seconds": 86_400}
    entries = [*without(the_entries(), "grant"), a_grant_statement(quota=quota)]
    counter.source.current = adopted([*entries, a_grant_statement(**_of_batches(), quota=quota)])
