"""The gate alone: real envelopes, keys, tickets and directory; the log and the desks are the test's own.

No socket, no disk: what is judged here is each single step, to the byte.
"""

import asyncio
import base64
import hashlib
from typing import Any

import orjson
import pytest

from tests.exchange.city import ANSWERING_KEY, a_key_entry, adopted, the_entries, without
from tests.node.counter import (
    ANSWER,
    BODY,
    FLOODED,
    Counter,
    code,
    header,
    is_signed,
    judged,
    nothing_read,
    refused,
    turned_away,
)
from tests.world import (
    CALLING_KEY,
    CASE,
    CIVIL_AFFAIRS,
    HOUR,
    NOON,
    OPERATOR,
    PROVIDER_NODE,
    PURPOSE,
    RESOURCE,
    TAX,
    TAX_KEY,
    TICKET_KEY,
    TODAY,
    TRANSPORT,
    a_grant_statement,
    a_key,
    a_request,
)
from tongban.exchange import grant
from tongban.exchange.nonces import WINDOW
from tongban.kit.clock import stamp
from tongban.node.gate import Answered


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
