"""A repeat at the gate alone: its ticket must cover whom it asks about, as the first one's did; and there is an end."""

import asyncio

import pytest

from tests.exchange.city import adopted, the_entries
from tests.node.counter import ANSWER, BATCH, BODY, LIMITS, Counter, code, is_signed, refused
from tests.world import APPLICANT, RULE, RULE_DIGEST, STRANGER, a_grant_statement, a_request, a_round_ticket, a_ticket
from tongban.exchange.ask import write_query, write_verify
from tongban.node.gate import Answered

VERIFY = "V" * 22
STRANGERS = a_ticket(subjects=[("citizen", STRANGER)])


@pytest.fixture
def verifying(counter: Counter) -> Counter:
    """A gate that also answers one question about single persons."""
    rule = {"fields": [], "rule": RULE, "rule_digest": RULE_DIGEST}
    grants = [a_grant_statement(id=VERIFY, call="verify", **rule), a_grant_statement(id=BATCH, call="match", **rule)]
    counter.source.current = adopted([*the_entries(), *grants])
    counter.gate._desks["verify"] = counter.query
    counter.query.says = Answered(b'{"verdict":"met"}', "verdict", 1, {})
    return counter


def test_a_repeat_under_a_ticket_that_does_not_name_its_subject_is_refused(counter):
    assert counter.ask().status == 200
    counter.clock.forward(5)
    # As every refusal of a caller: in the log first, then signed, at this instant.
    refused(counter, "subject_outside_ticket", 403, "the ticket does not name this subject", ticket=STRANGERS)
    assert counter.ask().body == ANSWER
    assert len(counter.query.asked) == 1


def test_a_repeat_under_another_ticket_that_names_its_subject_is_answered(counter):
    counter.ask()
    assert counter.ask(ticket=a_ticket(id="D" * 22, subjects=[("citizen", APPLICANT)])).body == ANSWER
    assert [fields["kind"] for fields, *_ in counter.log.appended] == ["call", "repeat"]


def test_a_repeat_whose_body_is_not_the_signed_one_is_refused(counter):
    counter.ask()
    other = write_query("citizen", STRANGER, ["status"])
    assert code(counter.ask(other, signed_for=BODY)) == "exchange.digest_mismatch"
    assert code(counter.ask(b" " * 101, signed_for=BODY)) == "exchange.body_too_long"


def test_a_body_that_is_no_question_is_refused_when_it_is_repeated_though_a_desk_once_took_it(counter):
    assert counter.ask(b"{}").status == 200
    refused(counter, "bad_request", 400, body=b"{}")


def test_a_repeated_verdict_is_read_as_a_question_about_one_person(verifying):
    body = write_verify("citizen", APPLICANT, {})
    asked = {"call": "verify", "resource": RULE, "grant": VERIFY}
    first = verifying.ask(body, **asked)
    again = verifying.ask(body, **asked)
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert code(verifying.ask(body, ticket=STRANGERS, **asked)) == "exchange.subject_outside_ticket"
    assert len(verifying.query.asked) == 1


def test_a_repeated_batch_is_compared_by_its_ticket_alone_and_its_body_is_not_read_again(verifying):
    verifying.match.says = Answered(b"arrow", "counts", 3, {}, "batch")
    first = verifying.batch(b"keys")
    again = verifying.batch(b"other", signed_for=b"keys")
    assert (first.status, again.status, again.body) == (200, 200, b"arrow")
    assert len(verifying.match.asked) == 1


def test_a_batch_of_another_day_is_another_question(verifying):
    verifying.match.says = Answered(b"arrow", "counts", 3, {}, "batch")
    assert verifying.batch().status == 200
    assert code(verifying.batch(ticket=a_round_ticket(at="2014-06-10"))) == "exchange.idempotency_conflict"


# How often


def kinds(counter: Counter) -> list[str]:
    return [fields["kind"] for fields, *_ in counter.log.appended]


def spent(counter: Counter) -> None:
    """The answer was given, and given again as often as it may be."""
    for _ in range(1 + LIMITS.repeats_a_key):
        assert counter.ask().body == ANSWER


def test_a_repeat_beyond_the_limit_hands_out_nothing_and_is_counted_without_an_entry(counter):
    spent(counter)
    again = counter.ask()
    assert (code(again), again.status) == ("exchange.repeated_too_often", 429)
    assert not is_signed(again)
    assert ANSWER not in again.body
    assert kinds(counter) == ["call", *["repeat"] * LIMITS.repeats_a_key]
    assert counter.counts == {"exchange.repeated_too_often": 1}
    assert len(counter.query.asked) == 1


def test_repeats_beyond_the_limit_take_no_room_from_other_refusals(counter):
    spent(counter)
    for _ in range(LIMITS.refused_an_hour + 1):
        assert code(counter.ask()) == "exchange.repeated_too_often"
    assert is_signed(counter.ask(purpose="statistics"))


def test_another_question_under_a_key_without_repeats_is_still_a_conflict(counter):
    spent(counter)
    assert code(counter.ask(write_query("citizen", APPLICANT, ["district"]))) == "exchange.idempotency_conflict"


def test_each_key_has_its_own_number_of_repeats(counter):
    spent(counter)
    assert [counter.ask(idempotency="another-key").status for _ in range(2)] == [200, 200]


def test_a_repeat_that_was_not_given_does_not_count(counter):
    counter.ask()
    counter.log.full = True
    assert [code(counter.ask()) for _ in range(3)] == ["exchange.log_unavailable"] * 3
    counter.log.full = False
    assert code(counter.ask(ticket=STRANGERS)) == "exchange.subject_outside_ticket"
    assert [counter.ask().status for _ in range(LIMITS.repeats_a_key + 1)] == [200] * LIMITS.repeats_a_key + [429]


def test_repeats_sent_at_once_are_counted_one_by_one(counter):
    counter.ask()

    async def all_at_once() -> list[int]:
        nonce = iter(range(100, 200))
        one = {"created": int(counter.clock.now)}
        asked = [a_request(BODY, nonce=f"{next(nonce):022d}", **one) for _ in range(LIMITS.repeats_a_key + 5)]
        return [reply.status for reply in await asyncio.gather(*(counter.take(request) for request in asked))]

    assert sorted(asyncio.run(all_at_once())) == [200] * LIMITS.repeats_a_key + [429] * 5
