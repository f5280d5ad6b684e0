"""Tickets: no call without an occasion, and only about whom the occasion names."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.world import (
    APPLICANT,
    CALLING_KEY,
    CASE,
    CIVIL_AFFAIRS,
    HUSBAND,
    NOON,
    PART,
    ROUND,
    RULE,
    RULE_DIGEST,
    STRANGER,
    TAX,
    TICKET_KEY,
    a_call,
    a_key,
    a_round_ticket,
    a_ticket,
    public,
)
from tongban.exchange import shape, ticket
from tongban.exchange.envelope import LONGEST_TICKET
from tongban.exchange.ticket import (
    CaseTicket,
    NotIssuable,
    RoundTicket,
    keys_refusal,
    read,
    refusal,
    signature_refusal,
    subject_digest,
    subject_refusal,
    wire,
)
from tongban.kit import canonical, statement
from tongban.kit.errors import Refused

KEYS = hashlib.sha256(b"keys").hexdigest()


def a_case(**change) -> CaseTicket:
    found = read(a_ticket(**change))
    assert isinstance(found, CaseTicket), found
    return found


def a_part(**change) -> RoundTicket:
    found = read(a_round_ticket(domain="citizen", **change))
    assert isinstance(found, RoundTicket), found
    return found


def a_batch_call(**change):
    return a_call(**({"call": "match", "resource": RULE, "case": f"{ROUND}/{PART}"} | change))


def code(refused: Refused | None) -> str | None:
    return refused.code if refused else None


# The occasion


def test_a_call_on_its_occasion_is_not_refused():
    assert refusal(a_case(), a_call(), NOON) is None
    assert refusal(a_case(), a_call(call="verify", resource=RULE), NOON) is None
    assert refusal(a_part(), a_batch_call(), NOON) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"consumer": TAX}, "exchange.ticket_foreign"),
        ({"call": "match", "resource": RULE}, "exchange.ticket_wrong_kind"),
        ({"purpose": "statistics"}, "exchange.ticket_wrong_purpose"),
        ({"case": "KC-2014-000002"}, "exchange.ticket_wrong_case"),
    ],
)
def test_a_case_s_ticket_is_for_that_case_only(change, expected):
    assert code(refusal(a_case(), a_call(**change), NOON)) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"consumer": TAX}, "exchange.ticket_foreign"),
        ({"call": "query"}, "exchange.ticket_wrong_kind"),
        ({"call": "verify"}, "exchange.ticket_wrong_kind"),
        ({"provider": TAX}, "exchange.ticket_wrong_round"),
        ({"resource": "divorced@2014-01-01"}, "exchange.ticket_wrong_round"),
        ({"purpose": "statistics"}, "exchange.ticket_wrong_purpose"),
        ({"case": f"{ROUND}/other-0"}, "exchange.ticket_wrong_case"),
        ({"case": ROUND}, "exchange.ticket_wrong_case"),
    ],
)
def test_a_round_s_ticket_is_for_that_part_only(change, expected):
    assert code(refusal(a_part(), a_batch_call(**change), NOON)) == expected


def test_a_ticket_lives_from_its_first_instant_and_is_dead_at_its_last():
    one = a_case(not_before=NOON, expires_at=NOON + 60)
    assert code(refusal(one, a_call(), NOON - 0.001)) == "exchange.ticket_not_yet"
    assert refusal(one, a_call(), NOON) is None
    assert refusal(one, a_call(), NOON + 59.999) is None
    assert code(refusal(one, a_call(), NOON + 60)) == "exchange.ticket_expired"


def test_whose_ticket_it_is_comes_before_everything_else():
    dead = a_case(expires_at=NOON)
    assert code(refusal(dead, a_call(consumer=TAX, purpose="x", case="y"), NOON)) == "exchange.ticket_foreign"


# Subjects


def test_only_the_case_s_subjects_may_be_asked_about():
    assert subject_refusal(a_case(), "citizen", APPLICANT) is None
    assert subject_refusal(a_case(), "citizen", HUSBAND) is None
    assert code(subject_refusal(a_case(), "citizen", STRANGER)) == "exchange.subject_outside_ticket"


@pytest.mark.parametrize("key", [APPLICANT.lower() + " ", APPLICANT[:17], "", APPLICANT + "\n"])
def test_another_spelling_is_another_subject(key):
    assert subject_refusal(a_case(), "citizen", key) is not None


def test_the_same_number_in_another_domain_is_another_subject():
    assert subject_refusal(a_case(), "passport", APPLICANT) is not None


def test_a_domain_is_one_of_the_table_so_no_key_can_be_shifted_into_it():
    with pytest.raises(NotIssuable):
        a_ticket(subjects=[("citizen\n9901", "01198002299016")])


def test_a_ticket_does_not_say_whom_it_names():
    raw = base64.urlsafe_b64decode(a_ticket() + "==")
    assert APPLICANT.encode() not in raw
    assert a_case().subjects != a_case(salt=b"x" * 16).subjects


def test_a_round_s_ticket_names_no_single_subject():
    assert subject_refusal(a_part(), "citizen", APPLICANT) is not None


def test_subject_digests_are_the_protocol_s():
    salt = bytes(range(16))
    text = b"tongban/ticket/1\n" + salt + b"citizen\n" + APPLICANT.encode()
    expected = base64.urlsafe_b64encode(hashlib.sha256(text).digest()[:16]).rstrip(b"=").decode()
    assert subject_digest(salt, "citizen", APPLICANT) == expected


# Batches


@pytest.mark.parametrize(
    ("keys", "count", "rule_digest", "expected"),
    [
        (KEYS, 3, RULE_DIGEST, None),
        ("0" * 64, 3, RULE_DIGEST, "exchange.keys_outside_ticket"),
        (KEYS, 4, RULE_DIGEST, "exchange.keys_outside_ticket"),
        (KEYS, 3, "0" * 64, "exchange.ticket_wrong_round"),
    ],
)
def test_a_batch_is_exactly_the_column_its_ticket_was_issued_for(keys, count, rule_digest, expected):
    assert code(keys_refusal(a_part(), keys, count, rule_digest)) == expected


def test_a_case_s_ticket_opens_no_batch():
    assert code(keys_refusal(a_case(), KEYS, 3, RULE_DIGEST)) == "exchange.keys_outside_ticket"


# Signatures


def test_only_the_consumer_s_ticket_key_counts():
    assert signature_refusal(a_case(), public(TICKET_KEY)) is None
    assert code(signature_refusal(a_case(), public(CALLING_KEY))) == "exchange.ticket_forged"
    assert code(signature_refusal(a_case(), [])) == "exchange.ticket_forged"
    forged = a_case(key=a_key(TAX, "ticket"))
    assert code(signature_refusal(forged, public(TICKET_KEY))) == "exchange.ticket_forged"


def test_a_ticket_signed_under_another_s_name_is_forged():
    thief = a_key("thief", "ticket")
    body = a_case().statement.body
    stolen = statement.Statement(body, {TICKET_KEY.id: statement.sign(body, thief).signatures[thief.id]})
    found = read(wire(stolen))
    assert isinstance(found, CaseTicket)
    assert signature_refusal(found, public(TICKET_KEY)) is not None


# Reading


def test_a_ticket_is_read_as_it_was_issued():
    one = a_case()
    assert (one.case, one.at, one.occasion, one.expires_at) == (CASE, "2014-06-09", CASE, NOON + 30 * 86400)
    part = a_part()
    assert (part.keys, part.count, part.domain, part.occasion) == (KEYS, 3, "citizen", f"{ROUND}/{PART}")


def test_a_ticket_for_64_subjects_fits_on_the_wire():
    many = a_ticket(subjects=[("citizen", str(n)) for n in range(64)], case="x" * 128, purpose="y" * 128)
    assert len(many) <= LONGEST_TICKET
    with pytest.raises(NotIssuable):
        a_ticket(subjects=[("citizen", str(n)) for n in range(65)])


def rewired(change: dict, remove: tuple[str, ...] = (), of: str | None = None) -> str:
    found = read(of or a_ticket())
    assert not isinstance(found, Refused)
    body = {**found.statement.body, **change}
    return wire(statement.sign({name: value for name, value in body.items() if name not in remove}, TICKET_KEY))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "AAAA",
        "not base64!",
        a_ticket() + "=",
        a_ticket() + "A",
        a_ticket()[:-1],
        "+" + a_ticket()[1:],
        " " + a_ticket(),
        "证",
        "A" * (LONGEST_TICKET + 1),
        base64.urlsafe_b64encode(b'{"body":{},"signatures":{}}').decode().rstrip("="),
        base64.urlsafe_b64encode(b"[" * 3000).decode().rstrip("="),
        rewired({"scope": "town"}),
        rewired({"kind": "grant"}),
        rewired({"id": "short"}),
        rewired({"subjects": []}),
        rewired({"subjects": ["B" * 22, "A" * 22]}),
        rewired({"subjects": ["A" * 22, "A" * 22]}),
        rewired({"subjects": ["A" * 21]}),
        rewired({"salt": "A" * 21}),
        rewired({"at": "2014-02-30"}),
        rewired({"at": "20140609"}),
        rewired({"expires_at": "2014-06-09T03:00:00Z"}),
        rewired({"consumer": "transport"}),
        rewired({"more": 1}),
        rewired({}, remove=("case",)),
        rewired({"domain": "email"}, of=a_round_ticket(domain="citizen")),
        rewired({"count": 0}, of=a_round_ticket(domain="citizen")),
        rewired({"count": 5_000_001}, of=a_round_ticket(domain="citizen")),
        rewired({"part": "a/b"}, of=a_round_ticket(domain="citizen")),
        rewired({"keys": KEYS.upper()}, of=a_round_ticket(domain="citizen")),
    ],
)
def test_anything_else_is_no_ticket(text):
    found = read(text)
    assert isinstance(found, Refused)
    assert found.code == "exchange.ticket_malformed"


def test_the_same_bytes_in_another_spelling_are_no_ticket():
    text = a_ticket()
    assert len(text) % 4 in (2, 3)  # so the last letter has spare bits
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same = [text[:-1] + letter for letter in letters if letter != text[-1]]
    spellings = [*same, text + "\n", text[:8] + "\n" + text[8:], text[:8] + "=" + text[8:], text + "==", text + "!"]
    assert all(isinstance(read(one), Refused) for one in spellings)


def test_one_ticket_has_one_text():
    signed = a_case().statement
    spaced = canonical.encode(signed.to_json()).replace(b'":', b'": ', 1)
    assert isinstance(read(base64.urlsafe_b64encode(spaced).rstrip(b"=").decode()), Refused)
    twice = statement.sign(signed.body, TICKET_KEY, a_key(TAX, "ticket"))
    assert isinstance(read(wire(twice)), Refused)


@given(st.data())
def test_a_changed_letter_is_never_the_same_ticket(data):
    text = a_ticket()
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("ABCXYZabcxyz0189-_").filter(lambda one: one != text[at]))
    found = read(text[:at] + letter + text[at + 1 :])
    assert isinstance(found, Refused) or signature_refusal(found, public(TICKET_KEY)) is not None


_ODD = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(max_size=30), st.lists(st.text(max_size=25), max_size=3),
    st.sampled_from([CASE + "\n", "A" * 22 + "\n", "A" * 22, "2014-02-30", "2014-06-09T04:00:00Z", "round", "ticket"]),
)  # fmt: skip


@given(st.data())
def test_the_quick_look_at_a_ticket_finds_what_the_look_at_each_field_finds(data):
    body = dict(a_case().statement.body)
    for name in data.draw(st.lists(st.sampled_from([*body]), max_size=2)):
        body[name] = data.draw(_ODD)
    if data.draw(st.booleans()):
        body["subjects"] = data.draw(st.permutations(["A" * 22, "B" * 22, "C" * 22, "D" * 21])).copy()[:3]
    assert ticket._formed(body) == (shape.mismatch(body, ticket._CASE) is None)
    del body[data.draw(st.sampled_from([*body]))]
    assert not ticket._formed(body)


@given(st.text(max_size=300))
def test_no_text_whatever_breaks_the_reader(text):
    assert isinstance(read(text), Refused)


@pytest.mark.parametrize(
    "change", [{"case": ""}, {"id": "x"}, {"at": "today"}, {"subjects": []}, {"salt": b"short"}, {"purpose": "\n"}]
)
def test_what_could_not_be_read_is_not_issued(change):
    with pytest.raises(NotIssuable):
        a_ticket(**change)


def test_the_ticket_s_provider_is_part_of_it():
    assert a_part().provider == CIVIL_AFFAIRS
    assert ticket.MOST_SUBJECTS == 64
