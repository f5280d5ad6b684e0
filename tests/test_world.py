"""The fixed cast holds together: what it grants, it may ask."""

from tests.world import (
    APPLICANT,
    APPROVAL_KEY,
    CIVIL_AFFAIRS,
    HUB_KEY,
    HUSBAND,
    NOON,
    STRANGER,
    TAX,
    TICKET_KEY,
    TRANSPORT,
    a_call,
    a_grant,
    a_grant_statement,
    a_request,
    a_round_ticket,
    a_rule_grant,
    a_ticket,
    public,
)
from tongban.exchange import envelope, grant, ticket
from tongban.identity.identifiers import Domain, refusal


def test_every_identifier_of_the_cast_has_its_check_character():
    assert [refusal(Domain.CREDIT_CODE, code) for code in (CIVIL_AFFAIRS, TRANSPORT, TAX)] == [None] * 3
    assert [refusal(Domain.CITIZEN, number) for number in (APPLICANT, HUSBAND, STRANGER)] == [None] * 3


def test_the_cast_s_call_is_covered_by_its_grant_and_its_ticket():
    assert grant.refusal(a_grant(), a_call(), NOON, 0) is None
    read = ticket.read(a_ticket())
    assert isinstance(read, ticket.CaseTicket)
    assert ticket.refusal(read, a_call(), NOON) is None
    assert ticket.signature_refusal(read, public(TICKET_KEY)) is None
    assert (read.covers("citizen", HUSBAND), read.covers("citizen", STRANGER)) == (True, False)


def test_the_cast_s_grant_has_both_signatures_and_a_rule_s_grant_has_no_fields():
    assert grant.signature_refusal(a_grant_statement(), public(APPROVAL_KEY), public(HUB_KEY)) is None
    assert a_rule_grant().fields == frozenset()


def test_the_cast_s_requests_and_round_tickets_can_be_read():
    read = envelope.read_request(b"POST", b"/v1/query", a_request().headers)
    assert isinstance(read, envelope.Envelope)
    assert envelope.fresh(read, NOON) is None
    assert isinstance(ticket.read(a_round_ticket()), ticket.RoundTicket)
