"""Grants: nothing outside them leaves the provider."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.world import (
    APPROVAL_KEY,
    CIVIL_AFFAIRS,
    DAY,
    HOUR,
    HUB_KEY,
    NOON,
    RULE_DIGEST,
    TAX,
    a_call,
    a_grant,
    a_grant_body,
    a_grant_statement,
    a_key,
    a_rule_grant,
    public,
)
from tongban.exchange import grant
from tongban.exchange.grant import NO_GRANT, Grant, admits, fields_refusal, refusal, rule_refusal, signature_refusal
from tongban.kit.errors import Refused
from tongban.kit.statement import Statement, sign

RULE = "married@2014-01-01"


def code(refused: Refused | None) -> str | None:
    return refused.code if refused else None


def test_a_call_inside_its_grant_is_not_refused():
    assert refusal(a_grant(), a_call(), NOON, 0) is None


@pytest.mark.parametrize(
    "change",
    [
        {"consumer": TAX},
        {"provider": TAX},
        {"node": "tax"},
        {"resource": "civil_affairs/divorce"},
        {"resource": RULE},
        {"grant": "B" * 22},
        {"call": "verify"},
        {"call": "match"},
    ],
)
def test_a_stranger_gets_one_answer_whatever_is_wrong(change):
    assert refusal(a_grant(), a_call(**change), NOON, 0) is NO_GRANT


def test_a_stranger_learns_nothing_even_of_a_dead_grant():
    dead = a_grant(expires_at=NOON)
    assert refusal(dead, a_call(consumer=TAX, purpose="other"), NOON, 10**6) is NO_GRANT


def test_a_rule_s_grant_answers_its_rule_and_not_the_resource():
    allowed = a_rule_grant()
    assert refusal(allowed, a_call(call="verify", resource=RULE), NOON, 0) is None
    assert refusal(allowed, a_call(call="verify"), NOON, 0) is NO_GRANT
    assert refusal(allowed, a_call(call="match", resource=RULE), NOON, 0) is NO_GRANT
    assert refusal(allowed, a_call(call="query"), NOON, 0) is NO_GRANT


def test_a_grant_is_dead_at_the_very_instant_it_expires():
    dying = a_grant(expires_at=NOON)
    assert refusal(dying, a_call(), NOON - 0.001, 0) is None
    assert code(refusal(dying, a_call(), NOON, 0)) == "exchange.grant_expired"


def test_a_grant_lives_from_the_very_instant_it_begins():
    young = a_grant(not_before=NOON)
    assert code(refusal(young, a_call(), NOON - 0.001, 0)) == "exchange.grant_not_yet"
    assert refusal(young, a_call(), NOON, 0) is None


def test_a_node_that_is_cut_off_answers_as_long_as_the_grant_bears():
    assert refusal(a_grant(max_directory_age=HOUR), a_call(), NOON, HOUR) is None
    assert code(refusal(a_grant(max_directory_age=HOUR), a_call(), NOON, HOUR + 1)) == "exchange.directory_too_old"


@pytest.mark.parametrize("purpose", ["car-quota-lottery2", "Car-quota-lottery", "car-quota-lotter", "*"])
def test_purposes_are_compared_exactly(purpose):
    assert code(refusal(a_grant(), a_call(purpose=purpose), NOON, 0)) == "exchange.wrong_purpose"


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (("identity", "expired", "early", "old", "purpose"), "exchange.no_grant"),
        (("expired", "early", "old", "purpose"), "exchange.grant_expired"),
        (("early", "old", "purpose"), "exchange.grant_not_yet"),
        (("old", "purpose"), "exchange.directory_too_old"),
        (("purpose",), "exchange.wrong_purpose"),
    ],
)
def test_each_question_comes_after_the_one_before_it(broken, expected):
    one = a_grant()
    if "expired" in broken:
        one = replace(one, expires_at=NOON)
    if "early" in broken:
        one = replace(one, not_before=NOON + 1)
    call = a_call(
        consumer=TAX if "identity" in broken else a_call().consumer,
        purpose="other" if "purpose" in broken else a_call().purpose,
    )
    assert code(refusal(one, call, NOON, 10**7 if "old" in broken else 0)) == expected


# What a caller is told: the sentences are in no caller's program, but people read them in their logs.


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (lambda: refusal(a_grant(), a_call(), NOON + 200 * 24 * HOUR, 0), "the grant's time is over"),
        (lambda: refusal(a_grant(), a_call(), NOON - 31 * 24 * HOUR, 0), "the grant's time has not begun"),
        (lambda: refusal(a_grant(), a_call(), NOON, HOUR + 1), "this node's directory is older than the grant allows"),
        (lambda: refusal(a_grant(), a_call(purpose="other"), NOON, 0), "the grant is for another purpose"),
        (lambda: rule_refusal(a_rule_grant(), "0" * 64), "the rule in force here is not the one that was approved"),
        (
            lambda: signature_refusal(a_grant_statement(), [], public(HUB_KEY)),
            "the provider's approval key has not signed this grant",
        ),
        (lambda: signature_refusal(a_grant_statement(), public(APPROVAL_KEY), []), "no hub key has signed this grant"),
        (lambda: fields_refusal(a_grant(), ["spouse", "address"]), "not granted: address, spouse"),
        (lambda: fields_refusal(a_grant(), ["張三"]), "not granted: a name that is no field's"),
    ],
)
def test_a_refusal_says_in_words_what_stands_against_the_call(asked, reason):
    assert asked().reason == reason


def test_however_many_fields_are_asked_for_the_answer_stays_short():
    refused = fields_refusal(a_grant(), [f"f{n:058d}" for n in range(50)])
    assert refused is not None
    assert len(refused.reason) == len("not granted: ") + 200


# Fields and rules


def test_only_granted_fields_may_be_asked():
    assert fields_refusal(a_grant(), ["status"]) is None
    refused = fields_refusal(a_grant(), ["status", "spouse"])
    assert refused == Refused("exchange.field_not_granted", "not granted: spouse")


@pytest.mark.parametrize("field", ["990101198002299016", "张三", "a b", "", "x" * 61, "Status"])
def test_what_is_no_field_s_name_is_not_repeated_for_it_may_be_a_person_s_number(field):
    refused = fields_refusal(a_grant(), [field])
    assert code(refused) == "exchange.field_not_granted"
    assert not field or field not in refused.reason


@given(st.sets(st.sampled_from(["status", "registered_on", "spouse", "address"])))
def test_fields_are_refused_exactly_when_one_lies_outside(asked):
    assert (fields_refusal(a_grant(), asked) is None) == (asked <= {"status", "registered_on"})


def test_another_text_of_the_rule_is_not_run():
    assert rule_refusal(a_rule_grant(), RULE_DIGEST) is None
    assert code(rule_refusal(a_rule_grant(), "0" * 64)) == "exchange.rule_not_granted"


# Row conditions

ONE_DISTRICT = [{"column": "district", "in": ["990101", "990102"]}, {"column": "level", "in": [1]}]


@pytest.mark.parametrize(
    ("row", "inside"),
    [
        ({"district": "990101", "level": 1, "x": 0}, True),
        ({"district": "990103", "level": 1}, False),
        ({"district": "990101", "level": 2}, False),
        ({"district": "990101"}, False),
        ({"district": None, "level": 1}, False),
        ({"district": "990101", "level": True}, False),
        ({"district": "990101", "level": "1"}, False),
        ({"district": 990101, "level": 1}, False),
        ({"district": ["990101"], "level": 1}, False),
        ({}, False),
    ],
)
def test_a_row_outside_the_condition_is_as_if_it_were_not_there(row, inside):
    assert admits(a_grant(rows=ONE_DISTRICT), row) is inside


def test_without_a_condition_every_row_is_inside():
    assert admits(a_grant(), {})


# Signatures


def test_a_grant_needs_the_provider_s_signature_and_the_hub_s():
    both = a_grant_statement()
    keys, hubs = public(APPROVAL_KEY), public(HUB_KEY)
    assert signature_refusal(both, keys, hubs) is None
    hub_alone = sign(both.body, HUB_KEY)
    assert code(signature_refusal(hub_alone, keys, hubs)) == "exchange.grant_unsigned_by_provider"
    provider_alone = sign(both.body, APPROVAL_KEY)
    assert code(signature_refusal(provider_alone, keys, hubs)) == "exchange.grant_unsigned_by_hub"


def test_a_provider_s_other_key_is_not_its_approval():
    online = sign(a_grant_body(), a_key(CIVIL_AFFAIRS, "online"), HUB_KEY)
    assert signature_refusal(online, public(APPROVAL_KEY), public(HUB_KEY)) is not None


def test_a_signature_under_the_right_name_by_another_key_is_none():
    thief = a_key("thief", "approval")
    forged = Statement(a_grant_body(), {APPROVAL_KEY.id: sign(a_grant_body(), thief).signatures[thief.id]})
    assert signature_refusal(forged.also_by(HUB_KEY), public(APPROVAL_KEY), public(HUB_KEY)) is not None


def test_a_body_changed_after_signing_has_no_signatures():
    widened = Statement({**a_grant_body(), "fields": ["spouse"]}, a_grant_statement().signatures)
    assert signature_refusal(widened, public(APPROVAL_KEY), public(HUB_KEY)) is not None


# Reading


def test_a_grant_is_read_as_it_was_written():
    read = a_grant(rows=ONE_DISTRICT)
    assert read.fields == {"status", "registered_on"}
    assert (read.expires_at - NOON, read.quota.persons) == (200 * 24 * HOUR, 100_000)
    assert read.digest == a_grant_statement(rows=ONE_DISTRICT).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"fields": []},
        {"fields": ["status", "status"]},
        {"fields": ["Status"]},
        {"rule": RULE},
        {"rule_digest": RULE_DIGEST},
        {"call": "verify"},
        {"call": "feed"},
        {"call": "verify", "fields": [], "rule": RULE},
        {"call": "verify", "fields": [], "rule_digest": RULE_DIGEST},
        {"call": "verify", "rule": RULE, "rule_digest": RULE_DIGEST},
        {"call": "verify", "fields": [], "rule": "married@2014-02-30", "rule_digest": RULE_DIGEST},
        {"id": "short"},
        {"consumer": "transport"},
        {"quota": {"calls": 1, "persons": 1}},
        {"quota": {"calls": 0, "persons": 1, "window_seconds": 1}},
        {"quota": {"calls": True, "persons": 1, "window_seconds": 1}},
        {"quota": {"calls": 1, "persons": 1, "window_seconds": 0}},
        {"quota": {"calls": 1, "persons": 1, "window_seconds": 366 * DAY + 1}},
        {"quota": {"calls": 10**12 + 1, "persons": 1, "window_seconds": 1}},
        {"quota": {"calls": 1, "persons": 10**12 + 1, "window_seconds": 1}},
        {"max_directory_age": 0},
        {"max_directory_age": 72 * HOUR + 1},
        {"not_before": NOON, "expires_at": NOON},
        {"expires_at": "2014-06-09"},
        {"expires_at": "2014-06-09T04:00:00+00:00"},
        {"rows": [{"column": "district", "in": []}]},
        {"rows": [{"column": "district", "in": [True]}]},
        {"rows": [{"column": "district", "in": [None]}]},
        {"rows": [{"column": "district", "in": ["1"], "or": 1}]},
        {"rows": {"column": "district", "in": ["1"]}},
        {"note": "new field"},
    ],
)
def test_a_grant_that_contradicts_itself_or_the_protocol_is_none(change):
    body = a_grant_body(**{name: value for name, value in change.items() if name != "fields"})
    body |= {"fields": change["fields"]} if "fields" in change else {}
    read = grant.from_statement(Statement(body, {}))
    assert isinstance(read, Refused)
    assert read.code == "exchange.grant_malformed"


def test_a_quota_s_window_lasts_366_days_at_most_and_its_numbers_have_room():
    quota = {"calls": 10**12, "persons": 10**12, "window_seconds": 366 * DAY}
    read = grant.from_statement(Statement(a_grant_body(quota=quota), {}))
    assert isinstance(read, Grant)
    assert read.quota == grant.Quota(**quota)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rule": RULE}, "a grant contradicts itself: a query has fields and no rule"),
        ({"call": "match"}, "a grant contradicts itself: a match has a rule and its digest, and no fields"),
        ({"not_before": NOON, "expires_at": NOON}, "a grant contradicts itself: it ends before it begins"),
    ],
)
def test_whoever_drafts_a_grant_is_told_what_is_wrong_with_it(change, reason):
    assert grant.from_statement(Statement(a_grant_body(**change), {})) == Refused("exchange.grant_malformed", reason)


def test_a_grant_without_its_form_is_called_a_grant():
    read = grant.from_statement(Statement({**a_grant_body(), "basis": 1}, {}))
    assert isinstance(read, Refused)
    assert read.reason.startswith("a grant ")


@pytest.mark.parametrize("name", [name for name in a_grant_body() if name != "kind"])
def test_no_field_of_a_grant_may_be_missing(name):
    body = {key: value for key, value in a_grant_body().items() if key != name}
    assert isinstance(grant.from_statement(Statement(body, {})), Refused)


@given(st.sampled_from([*a_grant_body()]), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.none()))
def test_no_value_whatever_breaks_the_reader(name, value):
    read = grant.from_statement(Statement({**a_grant_body(), name: value}, {}))
    assert isinstance(read, Grant | Refused)
