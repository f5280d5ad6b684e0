"""The gate alone: real envelopes, keys, tickets and directory; the log and the desks are the test's own.

No socket, no disk: what is judged here is each single step, to the byte.
"""

import asyncio
import base64
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from tests.exchange.city import ANSWERING_KEY, PIN, Hub, a_key_entry, adopted, the_entries, without
from tests.world import (
    APPLICANT,
    CALLING_KEY,
    CASE,
    CIVIL_AFFAIRS,
    HOUR,
    NOON,
    OPERATOR,
    PROVIDER_NODE,
    PURPOSE,
    RESOURCE,
    RULE,
    RULE_DIGEST,
    TAX,
    TAX_KEY,
    TICKET_KEY,
    TODAY,
    TRANSPORT,
    a_call,
    a_grant_statement,
    a_key,
    a_request,
    a_round_ticket,
    a_ticket,
)
from tongban.exchange import client, grant
from tongban.exchange.ask import write_query
from tongban.exchange.client import Answer, Prepared
from tongban.exchange.directory import Directory, adopt
from tongban.exchange.envelope import SignedRequest
from tongban.exchange.nonces import WINDOW
from tongban.kit.clock import MovedClock, stamp
from tongban.kit.errors import Refused, TongbanError, Unavailable
from tongban.node import gate as gates
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


@dataclass
class Counter:
    """A gate on its own, at noon."""

    limits: Limits = LIMITS
    clock: MovedClock = field(default_factory=lambda: MovedClock(NOON))

    def __post_init__(self) -> None:
        entries = [*the_entries(), a_grant_statement(**_of_batches())]
        self.source = SimpleNamespace(current=adopted(entries))
        self.log, self.query, self.match = MemoryLog(), TestDesk(), TestDesk()
        config = NodeConfig(
            Path(), PROVIDER_NODE, CIVIL_AFFAIRS, "127.0.0.1", 0, "demonstration", "", "", "", "", 20, "", 0, (),
            {}, {}, self.limits,
        )  # fmt: skip
        self.journal = Journal(self.log, self.limits.refused_an_hour, NOON)  # type: ignore[arg-type]
        desks = {"query": self.query, "match": self.match}
        self.gate = Gate(
            config, ANSWERING_KEY, self.source, self.log, self.journal, desks, BodyReader(30), self.clock,  # type: ignore[arg-type]
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


# A call that is in order


def test_a_call_in_order_is_answered_with_the_desk_s_body_signed_and_logged(counter):
    request = a_request(BODY)
    reply = asyncio.run(counter.take(request))
    answer = judged(request, reply)
    assert (reply.status, reply.body, answer.code) == (200, ANSWER, "")
    assert (answer.envelope.entry, answer.envelope.leaf) == (0, "01" * 32)
    assert answer.envelope.created == NOON
    assert counter.log.signatures == {0: answer.envelope.signature}
    assert counter.counts == {}


def test_the_entry_of_a_call_says_everything_and_the_leaf_only_how_many(counter):
    request = a_request(BODY, nonce="n" * 22)
    asyncio.run(counter.take(request))
    [(fields, record, sealed)] = counter.log.appended
    assert fields == {"kind": "call", "n": 1}
    assert sealed == ANSWER
    assert record == {
        "at": "2014-06-09T04:00:00Z", "consumer": TRANSPORT, "provider": CIVIL_AFFAIRS, "node": PROVIDER_NODE,
        "resource": RESOURCE, "call": "query", "grant": "A" * 22, "purpose": PURPOSE, "case": CASE,
        "operator": OPERATOR, "key": CALLING_KEY.id, "nonce": "n" * 22, "created": NOON, "idempotency": "first-asking",
        "intent": request.intent, "request": request.request_digest, "base": request.base.decode(),
        "signature": base64.b64encode(request.signature).decode(), "status": 200, "code": "",
        "body": hashlib.sha256(ANSWER).hexdigest(), "answer_key": ANSWERING_KEY.id,
        "outcome": "records", "directory": counter.directory.version, "rows": 0, "evaluated": TODAY,
    }  # fmt: skip


def test_the_desk_is_given_the_call_its_grant_ticket_directory_and_instant(counter):
    counter.clock.now = NOON + 0.75
    counter.ask(nonce="n" * 22)
    [(admitted, body)] = counter.query.asked
    assert body == BODY
    assert admitted.envelope.nonce == "n" * 22
    assert admitted.grant is counter.directory.grants["A" * 22]
    assert admitted.ticket.id == "B" * 22
    assert admitted.directory is counter.directory
    assert (admitted.now, admitted.at) == (NOON + 0.75, stamp(NOON))


def test_a_batch_goes_to_its_own_desk_and_is_logged_as_the_desk_says(counter):
    counter.match.says = Answered(b"arrow", "counts", 3, {"rows": 3}, "batch")
    reply = counter.batch()
    assert (reply.status, reply.body) == (200, b"arrow")
    assert header(reply, b"content-type") == b"application/vnd.apache.arrow.stream"
    [(fields, record, _)] = counter.log.appended
    assert fields == {"kind": "batch", "n": 3}
    assert (record["call"], record["outcome"]) == ("match", "counts")
    assert counter.query.asked == []


def test_what_a_desk_left_to_do_is_done_once_the_entry_is_durable(counter):
    done: list[Any] = []
    acts = [lambda index: done.append(("first", index)), lambda index: done.append(("second", index))]
    counter.query.says = Answered(ANSWER, "records", 1, {}, after=acts)
    counter.ask()
    assert done == [("first", 0), ("second", 0)]


def test_what_a_desk_left_to_do_is_told_that_the_entry_never_will_be_durable(counter):
    done: list[Any] = []
    counter.query.says = Answered(ANSWER, "records", 1, {}, after=[done.append])
    counter.log.full = True
    counter.ask()
    assert done == [None]


def test_the_node_s_time_never_goes_behind_a_call_it_has_taken(counter):
    counter.journal.latest = NOON - 5.0
    counter.ask()
    assert counter.journal.latest == NOON
    counter.journal.latest = NOON + 5.0
    counter.ask(idempotency="second-asking")
    assert counter.journal.latest == NOON + 5


# Strangers: counted by code and peer, answered without a signature, nothing logged


def turned_away(counter: Counter, reply: Reply, expected: str, status: int) -> None:
    assert (code(reply), reply.status) == (f"exchange.{expected}", status)
    assert reply.headers == [(b"content-type", b"application/json")]
    assert counter.counts == {f"exchange.{expected}": 1}
    assert counter.journal.strangers._peers == {"10.0.0.1"}
    assert counter.log.appended == []
    assert counter.query.asked == []


def test_a_stranger_s_answer_says_code_reason_and_the_node_s_time(counter):
    reply = counter.ask(key=a_key(TRANSPORT, "online", 2))
    assert orjson.loads(reply.body) == {
        "code": "exchange.unknown_key", "reason": "the directory has no such key for this member",
        "node_time": "2014-06-09T04:00:00Z",
    }  # fmt: skip
    assert counter.journal.strangers._peers == {"10.0.0.1"}


def test_a_flood_from_one_peer_is_stopped_before_anything_is_read():
    counter = Counter(FLOODED)
    for n in range(2):
        assert counter.ask(idempotency=f"question-{n}").status == 200
    before = len(counter.log.appended)
    reply = asyncio.run(counter.gate.call(b"GET", b"/nowhere", [], "10.0.0.1", None))  # type: ignore[arg-type]
    assert (code(reply), reply.status) == ("exchange.rate_limited", 429)
    assert counter.counts == {"exchange.rate_limited": 1}
    assert counter.journal.strangers._peers == {"10.0.0.1"}
    assert len(counter.log.appended) == before
    assert counter.ask(peer="10.0.0.2", idempotency="question-3").status == 200
    counter.clock.forward(1)
    assert counter.ask(idempotency="question-4").status == 200


def test_a_path_that_is_no_call_is_turned_away(counter):
    reply = asyncio.run(counter.gate.call(b"POST", b"/v1/feed", [], "10.0.0.1", None))  # type: ignore[arg-type]
    turned_away(counter, reply, "unknown_path", 404)


def test_a_get_is_turned_away(counter):
    reply = asyncio.run(counter.gate.call(b"GET", b"/v1/query", [], "10.0.0.1", None))  # type: ignore[arg-type]
    turned_away(counter, reply, "wrong_method", 405)


def test_a_message_without_its_headers_is_turned_away(counter):
    reply = asyncio.run(counter.gate.call(b"POST", b"/v1/query", [], "10.0.0.1", None))  # type: ignore[arg-type]
    turned_away(counter, reply, "header_missing", 400)


def test_a_node_without_a_directory_answers_nobody(counter):
    counter.source.current = None
    reply = counter.ask()
    turned_away(counter, reply, "no_directory", 503)
    assert orjson.loads(reply.body)["reason"] == "this node has no directory in force"


def test_a_node_whose_directory_expired_answers_nobody(counter):
    counter.clock.forward(72 * HOUR)
    turned_away(counter, counter.ask(), "directory_expired", 503)


@pytest.mark.parametrize(
    ("length", "turned"),
    [
        ("100", False), ("101", True), ("0", False), ("-1", True), ("1e2", True), ("+5", True), ("", True),
        ("000000000021", False), ("0000000000021", True), ("9" * 4301, True),
    ],
)  # fmt: skip
def test_a_body_announced_longer_than_the_node_takes_is_turned_away_unread(counter, length, turned):
    reply = counter.ask(extra={"content_length": length})
    if turned:
        turned_away(counter, reply, "body_too_long", 413)
        assert "longer than this node takes for this kind of call" in orjson.loads(reply.body)["reason"]
    else:
        assert reply.status == 200


def test_a_batch_may_be_longer_than_a_question(counter):
    assert counter.batch(extra={"content_length": "2000000"}).status == 200
    assert code(counter.batch(extra={"content_length": "2000001"})) == "exchange.body_too_long"


def test_other_headers_with_numbers_say_nothing_about_the_length(counter):
    assert counter.ask(extra={"x_content_length": "101"}).status == 200


@pytest.mark.parametrize(
    "change",
    [
        {"key": a_key(TRANSPORT, "online", 2)},
        {"key": TICKET_KEY},
        {"key": TAX_KEY},
        {"consumer": TAX},
    ],
)
def test_a_key_that_is_not_the_consumer_s_own_online_key_is_unknown(counter, change):
    turned_away(counter, counter.ask(**change), "unknown_key", 401)


def test_a_signature_that_does_not_hold_is_nobody_s(counter):
    request = a_request(BODY)
    headers = [(name, value.replace(OPERATOR.encode(), b"T-0001")) for name, value in request.headers]
    reply = asyncio.run(counter.take(request._replace(headers=headers)))
    turned_away(counter, reply, "bad_signature", 401)
    assert orjson.loads(reply.body)["reason"] == "the signature does not hold over the covered headers"


def test_a_key_is_judged_at_this_instant(counter):
    ended = a_key_entry(CALLING_KEY, until=stamp(NOON + 1))
    counter.source.current = adopted([*without(the_entries(), "key", CALLING_KEY.id), ended])
    assert counter.ask().status == 200
    counter.clock.forward(1)
    assert code(counter.ask()) == "exchange.key_out_of_time"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"created": NOON - 31}, "clock_skew"),
        ({"created": NOON + 31}, "clock_skew"),
        ({"created": NOON - 5, "expires": NOON}, "envelope_expired"),
        ({"expires": NOON + 61}, "bad_lifetime"),
    ],
)
def test_a_message_that_is_not_of_this_moment_is_turned_away(counter, change, expected):
    reply = counter.ask(**change)
    turned_away(counter, reply, expected, 400 if expected == "bad_lifetime" else 401)


def test_a_message_received_twice_counts_once(counter):
    assert counter.ask(nonce="n" * 22).status == 200
    reply = counter.ask(nonce="n" * 22)
    assert (code(reply), reply.status, is_signed(reply)) == ("exchange.replay", 409, False)
    assert counter.counts == {"exchange.replay": 1}
    assert len(counter.log.appended) == 1


def test_a_message_from_before_the_node_s_memory_is_turned_away(counter):
    counter.journal.nonces._certain_since = NOON
    turned_away(counter, counter.ask(), "before_start", 503)
    counter.clock.forward(WINDOW)
    assert counter.ask().status == 200


def test_a_message_that_is_not_of_this_moment_leaves_its_nonce_unused(counter):
    counter.ask(nonce="n" * 22, created=NOON - 31)
    assert counter.ask(nonce="n" * 22).status == 200


# The log cannot be written


def test_without_a_log_nothing_leaves_and_nobody_is_charged(counter):
    counter.log.full = True
    reply = counter.ask()
    assert (code(reply), reply.status, is_signed(reply)) == ("exchange.log_unavailable", 503, False)
    assert "cannot write its log; nothing was read or sent" in orjson.loads(reply.body)["reason"]
    assert counter.counts == {"exchange.log_unavailable": 1}
    assert counter.journal.strangers._peers == {"10.0.0.1"}
    assert counter.spent == {"A" * 22: (0, 0)}
    counter.log.full = False
    assert counter.ask().status == 200


def test_without_a_log_not_even_a_refusal_leaves(counter):
    counter.log.full = True
    assert code(counter.ask(grant="Z" * 22)) == "exchange.log_unavailable"


# Refusals of callers: logged, then signed


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


def test_a_call_for_another_member_s_register_is_refused(counter):
    refused(counter, "wrong_node", 421, "the call is for another node or member", node="tax")
    nothing_read(counter)


def test_a_call_for_another_member_is_refused_even_at_a_node_of_that_name(counter):
    request = a_request(BODY, provider=TAX)
    reply = asyncio.run(counter.take(request))
    assert code(reply) == "exchange.wrong_node"
    nothing_read(counter)


def test_a_grant_that_is_not_listed_is_none(counter):
    refused(counter, "no_grant", 403, grant.NO_GRANT.reason, grant="Z" * 22)
    nothing_read(counter)


def test_a_grant_is_judged_by_this_call_and_this_instant(counter):
    refused(counter, "wrong_purpose", 403, purpose="statistics")
    counter.source.current = adopted([*without(the_entries(), "grant"), a_grant_statement(expires_at=NOON + 1)])
    counter.clock.now = NOON + 1.0
    refused(counter, "grant_expired", 403)
    nothing_read(counter)


def test_a_grant_is_judged_by_the_directory_s_age(counter):
    counter.clock.forward(HOUR)
    assert counter.ask().status == 200
    counter.clock.forward(1)
    refused(counter, "directory_too_old", 503)


def test_a_ticket_without_its_form_is_refused(counter):
    refused(counter, "ticket_malformed", 400, ticket="AAAA")
    nothing_read(counter)


def test_a_ticket_that_the_consumer_s_ticket_key_did_not_sign_is_forged(counter):
    refused(counter, "ticket_forged", 403, ticket=a_ticket(key=CALLING_KEY))
    refused(counter, "ticket_forged", 403, ticket=a_ticket(consumer=TAX))
    nothing_read(counter)


def test_a_ticket_of_another_case_or_time_is_refused(counter):
    refused(counter, "ticket_wrong_case", 403, case="KC-2014-000002")
    refused(counter, "ticket_expired", 403, ticket=a_ticket(expires_at=NOON))
    nothing_read(counter)


def test_the_body_s_own_digest_is_compared_before_anything_is_read(counter):
    refused(counter, "digest_mismatch", 400, "the body is not the one that was signed", signed_for=b"{}")
    nothing_read(counter)


def test_a_body_longer_than_announced_is_refused(counter):
    refused(counter, "body_too_long", 413, body=b" " * 101)
    nothing_read(counter)
    assert counter.ask(b" " * 100).status == 200


def test_a_desk_s_refusal_is_the_answer(counter):
    counter.query.says = Refused("exchange.register_slow", "the register did not answer in time")
    refused(counter, "register_slow", 504, "the register did not answer in time")


def test_a_large_batch_is_digested_whole(counter):
    body = b"x" * 1_500_000
    assert counter.batch(body).status == 200
    assert counter.match.asked[0][1] == body
    assert code(counter.batch(body, signed_for=b"y", idempotency="second-asking")) == "exchange.digest_mismatch"
    assert code(counter.batch(b"x" * 2_000_001, idempotency="third-asking")) == "exchange.body_too_long"


@pytest.mark.parametrize(("size", "apart"), [(999_999, 0), (1_000_000, 1)])
def test_a_large_body_is_digested_beside_the_loop(counter, monkeypatch, size, apart):
    threads: list[Any] = []
    to_thread = asyncio.to_thread

    async def counted(act: Any, *parts: Any) -> Any:
        threads.append(act)
        return await to_thread(act, *parts)

    monkeypatch.setattr(gates.asyncio, "to_thread", counted)
    assert counter.batch(b"x" * size).status == 200
    assert len(threads) == apart


# What a desk did not plan


class Broken(Exception):
    """An error whose message quotes a person's data, as drivers' messages do."""


def test_an_error_that_nobody_planned_is_an_unreadable_register_and_its_message_goes_nowhere(counter, caplog):
    counter.query.says = Broken("990101198002299016")
    with caplog.at_level(logging.ERROR, "tongban.node"):
        refused(counter, "register_unavailable", 503, "the department's data cannot be read; nothing is known")
    [line] = [one.getMessage() for one in caplog.records]
    # Where it happened: in this very file, at the line that raised it.
    raised = next(
        n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if text.strip() == "raise error"
    )
    assert line == f"Broken in test_gate_unit.py, line {raised}"


def test_an_error_that_was_planned_is_not_hidden(counter):
    class Planned(TongbanError):
        code = "test.planned"
        message = "It was to be expected."

    counter.query.says = Planned()
    with pytest.raises(Planned):
        counter.ask()
    assert counter.spent == {"A" * 22: (0, 0)}
    assert counter.journal._running == {}


# Many refusals of one consumer


def test_beyond_the_first_of_an_hour_a_consumer_s_refusals_are_counted_not_logged(counter):
    for _ in range(LIMITS.refused_an_hour):
        assert is_signed(counter.ask(grant="Z" * 22))
    reply = counter.ask(grant="Z" * 22)
    assert (reply.status, code(reply)) == (403, "exchange.no_grant")
    assert reply.headers == [(b"content-type", b"application/json")]
    assert len(counter.log.appended) == LIMITS.refused_an_hour
    assert counter.counts == {"exchange.no_grant": 1}
    assert counter.journal.strangers._peers == {TRANSPORT}
    assert orjson.loads(reply.body)["node_time"] == stamp(NOON)
    # Another consumer has an hour of its own.
    assert is_signed(counter.ask(consumer=TAX, key=TAX_KEY))
    counter.clock.forward(HOUR)
    counter.source.current = renewed(counter)
    assert is_signed(counter.ask(grant="Z" * 22))


def renewed(counter: Counter) -> Directory:
    found = adopt(None, Hub().publish(the_entries(), issued=int(counter.clock.now)), PIN, counter.clock.now)
    assert isinstance(found, Directory)
    return found


# Asked again


def test_a_question_asked_again_gets_the_stored_body_freshly_signed_and_no_new_look(counter):
    first = counter.ask()
    counter.query.says = Answered(b'{"records":[1]}', "records", 1, {})
    counter.clock.forward(10)
    request = a_request(BODY, created=NOON + 10, nonce=fresh_nonce())
    again = asyncio.run(counter.take(request))
    answer = judged(request, again, now=NOON + 10)
    assert again.body == first.body
    assert (answer.envelope.entry, answer.envelope.created) == (1, NOON + 10)
    assert len(counter.query.asked) == 1
    assert counter.spent == {"A" * 22: (1, 1)}
    fields, record, sealed = counter.log.appended[1]
    assert (fields, sealed) == ({"kind": "repeat", "n": 0}, b"")
    assert (record["repeat_of"], record["at"], record["status"]) == (0, stamp(NOON + 10), 200)
    assert record["body"] == hashlib.sha256(first.body).hexdigest()
    assert record["request"] == request.request_digest
    assert counter.log.signatures[1] == answer.envelope.signature


def test_another_question_under_the_same_key_is_a_conflict(counter):
    counter.ask()
    refused(counter, "idempotency_conflict", 409, "this idempotency key belongs to another request", body=b"{}")
    assert len(counter.query.asked) == 1


def test_an_answer_whose_day_is_over_is_asked_for_anew(counter):
    counter.source.current = adopted([*without(the_entries(), "grant"), a_grant_statement(max_directory_age=48 * HOUR)])
    counter.ask()
    counter.clock.forward(24 * HOUR)
    assert counter.ask().status == 200
    assert len(counter.query.asked) == 2


def test_a_stored_answer_that_is_gone_is_refused_not_read_again(counter):
    counter.ask()
    counter.log.gone.add(0)
    refused(counter, "answer_gone", 410, "the stored answer is gone")
    assert len(counter.query.asked) == 1


def test_an_answer_that_is_not_definitive_is_neither_stored_nor_repeated(counter):
    counter.query.says = Answered(ANSWER, "verdict", 1, {}, definitive=False)
    assert counter.ask().status == 200
    assert counter.log.appended[0][2] == b""
    counter.query.says = Answered(b'{"records":[1]}', "records", 1, {})
    assert counter.ask().body == b'{"records":[1]}'
    assert counter.log.appended[1][2] == b'{"records":[1]}'


def test_a_refusal_is_not_remembered(counter):
    counter.query.says = Refused("exchange.register_slow", "slow")
    counter.ask()
    counter.query.says = Answered(ANSWER, "records", 1, {})
    assert counter.ask().status == 200


def test_a_grant_is_judged_again_when_its_question_is_asked_again(counter):
    counter.ask()
    counter.source.current = adopted([*without(the_entries(), "grant"), a_grant_statement(id="N" * 22)])
    assert code(counter.ask()) == "exchange.no_grant"


def test_two_that_ask_the_same_at_once_get_one_look(counter):
    async def both() -> list[Reply]:
        counter.query.wait = asyncio.Event()
        asked = [asyncio.create_task(counter.take(a_request(BODY, nonce=fresh_nonce()))) for _ in range(2)]
        for _ in range(10):
            await asyncio.sleep(0)
        counter.query.wait.set()
        return await asyncio.gather(*asked)

    first, second = asyncio.run(both())
    assert first.body == second.body == ANSWER
    assert len(counter.query.asked) == 1
    assert [fields["kind"] for fields, *_ in counter.log.appended] == ["call", "repeat"]
    assert counter.spent == {"A" * 22: (1, 1)}


# Quota


def with_quota(counter: Counter, calls: int, persons: int) -> None:
    quota = {"calls": calls, "persons": persons, "window_seconds": 86_400}
    entries = [*without(the_entries(), "grant"), a_grant_statement(quota=quota)]
    counter.source.current = adopted([*entries, a_grant_statement(**_of_batches(), quota=quota)])


def test_a_spent_quota_is_refused_before_the_body_is_read(counter):
    with_quota(counter, 1, 10)
    counter.ask()
    refused(counter, "quota_spent", 429, idempotency="second-asking", signed_for=b"{}")
    assert len(counter.query.asked) == 1


@pytest.mark.parametrize(
    "says",
    [Refused("exchange.register_slow", "slow"), Broken("x"), Answered(ANSWER, "records", 0, {})],
)
def test_what_was_not_answered_about_anybody_costs_nothing(counter, says):
    with_quota(counter, 1, 1)
    counter.query.says = says
    counter.ask()
    assert counter.spent == {"A" * 22: (0, 0)}


def test_a_call_costs_the_persons_it_was_answered_about(counter):
    counter.match.says = Answered(b"arrow", "counts", 2, {}, "batch")
    counter.batch()
    assert counter.spent == {BATCH: (1, 2)}


def test_a_batch_reserves_all_the_persons_of_its_ticket(counter):
    with_quota(counter, 10, 2)
    assert code(counter.batch()) == "exchange.quota_spent"


# Tickets are verified once


def test_a_ticket_is_verified_once_for_each_directory(counter, monkeypatch):
    seen: list[bytes] = []
    signature_refusal = gates.tickets.signature_refusal

    def counted(ticket: Any, keys: Any) -> Any:
        seen.append(ticket.salt)
        return signature_refusal(ticket, keys)

    monkeypatch.setattr(gates.tickets, "signature_refusal", counted)
    ticket, other = a_ticket(), a_ticket(salt=bytes(range(16)))
    for _ in range(3):
        assert counter.ask(ticket=ticket, idempotency=fresh_nonce()).status == 200
    assert counter.ask(ticket=other, idempotency=fresh_nonce()).status == 200
    assert seen == [bytes(16), bytes(range(16))]
    counter.source.current = adopted()
    assert counter.ask(ticket=ticket, idempotency=fresh_nonce()).status == 200
    assert seen == [bytes(16), bytes(range(16)), bytes(16)]


def test_a_ticket_key_that_a_newer_directory_does_not_list_forges(counter):
    ticket = a_ticket()
    assert counter.ask(ticket=ticket).status == 200
    counter.source.current = adopted(without(the_entries(), "key", TICKET_KEY.id))
    refused(counter, "ticket_forged", 403, ticket=ticket, idempotency="second-asking")


def test_a_ticket_key_is_judged_at_this_instant(counter):
    ended = a_key_entry(TICKET_KEY, until=stamp(NOON + 1))
    counter.source.current = adopted([*without(the_entries(), "key", TICKET_KEY.id), ended])
    counter.clock.forward(1)
    refused(counter, "ticket_forged", 403)


def test_a_forged_ticket_is_not_remembered(counter):
    counter.ask(ticket=a_ticket(key=CALLING_KEY))
    counter.ask(ticket="AAAA")
    assert counter.gate._tickets == {}


def test_remembered_tickets_are_bounded(counter, monkeypatch):
    monkeypatch.setattr(gates, "MOST_TICKETS", 2)
    tickets = [a_ticket(salt=bytes([n]) * 16) for n in range(3)]
    for n, ticket in enumerate(tickets):
        counter.ask(ticket=ticket, idempotency=f"question-{n}")
        assert [*counter.gate._tickets] == [tickets[:1], tickets[:2], tickets[2:]][n]
