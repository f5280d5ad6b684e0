"""The gate alone: real envelopes, keys, tickets and directory; the log and the desks are the test's own, continued."""

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.exchange.city import a_key_entry, adopted, the_entries, without
from tests.node.counter import (
    ANSWER,
    BATCH,
    BODY,
    LIMITS,
    Broken,
    code,
    fresh_nonce,
    is_signed,
    judged,
    nothing_read,
    refused,
    renewed,
    with_quota,
)
from tests.world import (
    CALLING_KEY,
    HOUR,
    NOON,
    TAX,
    TAX_KEY,
    TICKET_KEY,
    TRANSPORT,
    a_grant_statement,
    a_key,
    a_request,
    a_ticket,
)
from tongban.kit.clock import stamp
from tongban.kit.errors import Refused, TongbanError
from tongban.node import gate as gates
from tongban.node.gate import Answered, Reply


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


def test_an_error_that_nobody_planned_is_a_fault_and_its_message_goes_nowhere(counter, caplog):
    counter.query.says = Broken("990101198002299016")
    with caplog.at_level(logging.ERROR, "tongban.node"):
        refused(counter, "fault", 503, "this node met an error that nobody planned; nothing is known")
    [line] = [one.getMessage() for one in caplog.records]
    # Where it happened: in the file of the fakes, at the line that raised it.
    raised = next(
        n
        for n, text in enumerate(Path(__file__).with_name("counter.py").read_text().splitlines(), 1)
        if text.strip() == "raise error"
    )
    assert line == f"Broken in counter.py, line {raised}"


def test_an_error_that_was_planned_is_not_hidden(counter):
    class Planned(TongbanError):
        code = "test.planned"
        message = "It was to be expected."

    counter.query.says = Planned()
    with pytest.raises(Planned):
        counter.ask()
    assert counter.spent == {"A" * 22: (0, 0)}
    assert counter.journal._running == {}


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


@pytest.mark.parametrize(
    "ends",
    [
        lambda at: [*without(the_entries(), "key", TICKET_KEY.id), a_key_entry(TICKET_KEY, until=stamp(at))],
        lambda at: [*without(the_entries(), "key", TICKET_KEY.id), a_key_entry(TICKET_KEY, revoked_at=stamp(at))],
    ],
)
def test_a_ticket_that_was_verified_before_is_forged_at_the_very_instant_its_key_ends(counter, ends):
    counter.source.current = adopted(ends(NOON + 60))
    ticket = a_ticket()
    for after, status in ((0, 200), (59.5, 200), (60, 403)):
        counter.clock.now = NOON + after
        reply = counter.ask(ticket=ticket, idempotency=fresh_nonce())
        assert (after, reply.status) == (after, status)
    refused(counter, "ticket_forged", 403, ticket=ticket, idempotency=fresh_nonce())


def test_a_ticket_is_verified_again_under_the_one_key_that_signed_it_not_under_another(counter):
    second = a_key(TRANSPORT, "ticket", 2)
    entries = [*without(the_entries(), "key", TICKET_KEY.id), a_key_entry(TICKET_KEY, until=stamp(NOON + 60))]
    counter.source.current = adopted([*entries, a_key_entry(second)])
    first, later = a_ticket(), a_ticket(key=second)
    for ticket in (first, later):
        assert counter.ask(ticket=ticket, idempotency=fresh_nonce()).status == 200
    counter.clock.forward(60)
    refused(counter, "ticket_forged", 403, ticket=first, idempotency=fresh_nonce())
    assert counter.ask(ticket=later, idempotency=fresh_nonce()).status == 200


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
