"""A repeat at the gate alone: its ticket must cover whom it asks about, as the first one's did."""

import pytest

from tests.exchange.city import adopted, the_entries
from tests.node.counter import ANSWER, BATCH, BODY, Counter, code, refused
from tests.world import APPLICANT, RULE, RULE_DIGEST, STRANGER, a_grant_statement, a_round_ticket, a_ticket
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
