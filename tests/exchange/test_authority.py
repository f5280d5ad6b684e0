"""Entries: each has effect only with the signature of who must stand behind it."""

import pytest

from tests.exchange.city import (
    ANSWERING_KEY,
    FIRST_ROOT,
    MEMBER_ROOTS,
    PIN,
    ROOT_KEYS,
    TIMESTAMP_KEY,
    Hub,
    a_key_entry,
    a_member,
    a_node,
    a_resource,
    a_rule,
    adopted,
    first,
    ignored,
    public64,
    the_entries,
    trusted,
    without,
)
from tests.world import (
    APPROVAL_KEY,
    CALLING_KEY,
    CIVIL_AFFAIRS,
    DAY,
    HUB_KEY,
    NOON,
    PROVIDER_NODE,
    RESOURCE,
    TAX,
    TAX_KEY,
    TICKET_KEY,
    TRANSPORT,
    a_grant_body,
    a_grant_statement,
    a_key,
)
from tongban.exchange import directory, publish
from tongban.exchange.directory import Directory, adopt
from tongban.exchange.listing import EntryInvalid, compose
from tongban.kit.clock import stamp
from tongban.kit.statement import sign

# Authority: an entry whose signers have none is as if it were not there.


@pytest.mark.parametrize(
    ("entry", "missing"),
    [
        (a_member(by=[ROOT_KEYS[0]]), "members"),
        (a_member(by=[HUB_KEY, TIMESTAMP_KEY]), "members"),
        (a_key_entry(CALLING_KEY, by=[HUB_KEY]), "keys"),
        (a_key_entry(CALLING_KEY, by=[MEMBER_ROOTS[TAX]]), "keys"),
        (a_key_entry(CALLING_KEY, by=[CALLING_KEY]), "keys"),
        (a_key_entry(CALLING_KEY, by=[TICKET_KEY]), "keys"),
        (a_key_entry(CALLING_KEY, by=ROOT_KEYS), "keys"),
        (a_node(by=[HUB_KEY]), "nodes"),
        (a_node(by=[APPROVAL_KEY]), "nodes"),
        (a_resource(by=[HUB_KEY]), "resources"),
        (a_resource(by=[ANSWERING_KEY]), "resources"),
        (a_resource(by=[MEMBER_ROOTS[CIVIL_AFFAIRS]]), "resources"),
        (a_rule(by=[a_key(TAX, "approval")]), "rules"),
        (sign(a_grant_body(), HUB_KEY), "grants"),
        (sign(a_grant_body(), APPROVAL_KEY), "grants"),
        (sign(a_grant_body(), ANSWERING_KEY, HUB_KEY), "grants"),
        (sign(a_grant_body(), MEMBER_ROOTS[CIVIL_AFFAIRS], HUB_KEY), "grants"),
        (sign(a_grant_body(), APPROVAL_KEY, TIMESTAMP_KEY), "grants"),
    ],
)
def test_what_the_wrong_one_signed_has_no_effect(entry, missing):
    found = adopted([one for one in the_entries() if one.digest() != entry.digest()] + [entry])
    assert ignored(found, entry) is not None
    assert len(getattr(found, missing)) == len(getattr(adopted(), missing)) - 1


def test_the_hub_alone_opens_no_register():
    minted = sign(a_grant_body(id="H" * 22, consumer=TAX, fields=["status"]), HUB_KEY)
    found = adopted([*the_entries(), minted])
    assert ignored(found, minted) == "exchange.grant_unsigned_by_provider"
    assert "H" * 22 not in found.grants


def test_a_swapped_consumer_key_has_no_effect():
    thief = a_key("thief", "online")
    swapped = sign(a_key_entry(CALLING_KEY, public=public64(thief)).body, HUB_KEY, thief)
    found = adopted([*without(the_entries(), "key", CALLING_KEY.id), swapped])
    assert found.caller_key(CALLING_KEY.id, TRANSPORT, NOON).code == "exchange.unknown_key"


def test_one_bad_entry_does_not_keep_the_others_out():
    bad = a_key_entry(TAX_KEY, by=[HUB_KEY])
    found = adopted([*without(the_entries(), "key", TAX_KEY.id), bad])
    assert ignored(found, bad) == "exchange.entry_unsigned"
    assert len(found.grants) == 1


def test_an_entry_of_a_later_version_s_kind_is_passed_over():
    later = sign({"kind": "feed", "id": "x"}, HUB_KEY)
    assert ignored(adopted([*the_entries(), later]), later) == "exchange.entry_unknown"


@pytest.mark.parametrize(
    "entry",
    [
        a_member(root={"id": f"{TAX}.root.1", "public": public64(MEMBER_ROOTS[TAX])}),
        a_key_entry(CALLING_KEY, id=f"{TRANSPORT}.ticket.9"),
        a_key_entry(CALLING_KEY, role="root"),
        a_key_entry(CALLING_KEY, algorithm="sm2"),
        a_key_entry(CALLING_KEY, until=stamp(NOON - 400 * DAY)),
        a_node(address="http://10.0.0.1:80", certificate=None),
        a_node(address="http://10.0.0.1:80", certificate="ab" * 32),
        a_node(address="https://10.0.0.1", certificate=None),
        a_node(address="https://10.0.0.1/path", certificate="ab" * 32),
        a_node(origin=f"{TAX}/{PROVIDER_NODE}"),
        a_resource(domains=["email"]),
        a_resource(fields=[{"name": "status", "type": "text", "grade": 1, "mask": None}] * 2),
        a_resource(complete={"as_of": "2014-02-30", "statement": "x"}),
        a_rule(text=""),
    ],
)
def test_an_entry_that_contradicts_itself_has_no_effect(entry):
    kept = [one for one in the_entries() if (one.kind, one.body.get("id")) != (entry.kind, entry.body.get("id"))]
    if entry.kind == "member":
        kept = [one for one in the_entries() if one.body.get("code") != CIVIL_AFFAIRS]
    assert ignored(adopted([*kept, entry]), entry) == "exchange.entry_malformed"


# What entries say of each other


@pytest.mark.parametrize(("kind", "id"), [("node", PROVIDER_NODE), ("resource", RESOURCE), ("key", APPROVAL_KEY.id)])
def test_a_grant_stands_only_with_what_it_names(kind, id):
    assert not adopted(without(the_entries(), kind, id)).grants


@pytest.mark.parametrize(
    "change", [{"provider": TAX}, {"node": "transport"}, {"fields": ["status", "spouse"]}, {"resource": "a/b"}]
)
def test_a_grant_cannot_reach_into_another_s_register(change):
    strange = a_grant_statement(**change)
    found = adopted([*without(the_entries(), "grant"), strange])
    assert ignored(found, strange) in ("exchange.entry_dangling", "exchange.grant_unsigned_by_provider")


def test_a_member_cannot_describe_another_s_node():
    rule = a_rule(node="transport")
    assert ignored(adopted([*without(the_entries(), "rule"), rule]), rule) == "exchange.entry_dangling"


# Keys


def test_a_caller_s_key_is_its_online_key():
    found = adopted()
    assert found.caller_key(CALLING_KEY.id, TRANSPORT, NOON) == CALLING_KEY.public
    assert found.answer_key(ANSWERING_KEY.id, PROVIDER_NODE, NOON) == ANSWERING_KEY.public


@pytest.mark.parametrize(
    ("id", "consumer"),
    [
        (TAX_KEY.id, TRANSPORT),
        (CALLING_KEY.id, TAX),
        (TICKET_KEY.id, TRANSPORT),
        (APPROVAL_KEY.id, CIVIL_AFFAIRS),
        (MEMBER_ROOTS[TRANSPORT].id, TRANSPORT),
        ("nobody.online.1", TRANSPORT),
        (CALLING_KEY.id, "11990100TB00000999"),
    ],
)
def test_every_other_key_is_unknown(id, consumer):
    assert adopted().caller_key(id, consumer, NOON).code == "exchange.unknown_key"


def test_an_answer_is_signed_by_the_node_s_own_member():
    assert adopted().answer_key(CALLING_KEY.id, PROVIDER_NODE, NOON).code == "exchange.unknown_key"
    assert adopted().answer_key(ANSWERING_KEY.id, "nowhere", NOON).code == "exchange.unknown_key"


def with_key(**change):
    return adopted([*without(the_entries(), "key", CALLING_KEY.id), a_key_entry(CALLING_KEY, **change)])


def test_a_key_is_dead_at_the_very_instant_of_its_revocation():
    found = with_key(revoked_at=stamp(NOON))
    assert found.caller_key(CALLING_KEY.id, TRANSPORT, NOON - 1) == CALLING_KEY.public
    assert found.caller_key(CALLING_KEY.id, TRANSPORT, NOON).code == "exchange.revoked_key"


def test_a_key_lives_in_its_own_time():
    found = with_key(**{"from": stamp(NOON), "until": stamp(NOON + 60)})
    assert found.caller_key(CALLING_KEY.id, TRANSPORT, NOON - 1).code == "exchange.key_out_of_time"
    assert found.caller_key(CALLING_KEY.id, TRANSPORT, NOON) == CALLING_KEY.public
    assert found.caller_key(CALLING_KEY.id, TRANSPORT, NOON + 60).code == "exchange.key_out_of_time"


def test_a_department_that_was_dissolved_asks_nothing_any_more():
    entries = [one for one in the_entries() if one.body.get("code") != TRANSPORT]
    found = adopted([*entries, a_member(TRANSPORT, until=stamp(NOON))])
    assert found.caller_key(CALLING_KEY.id, TRANSPORT, NOON - 1) == CALLING_KEY.public
    assert found.caller_key(CALLING_KEY.id, TRANSPORT, NOON).code == "exchange.unknown_key"
    assert found.keys_in_force(TRANSPORT, "ticket", NOON) == ()


def test_tickets_are_judged_by_ticket_keys_in_force():
    found = adopted()
    assert found.keys_in_force(TRANSPORT, "ticket", NOON) == (TICKET_KEY.public,)
    assert found.keys_in_force(TRANSPORT, "approval", NOON) == ()
    assert found.keys_in_force(TAX, "ticket", NOON) == ()
    revoked = a_key_entry(TICKET_KEY, revoked_at=stamp(NOON))
    found = adopted([*without(the_entries(), "key", TICKET_KEY.id), revoked])
    assert found.keys_in_force(TRANSPORT, "ticket", NOON) == ()


@pytest.mark.parametrize(
    ("key", "member", "ends"),
    [
        ({"until": stamp(NOON + 60)}, {}, NOON + 60),
        ({"until": stamp(NOON + 60), "revoked_at": stamp(NOON + 30)}, {}, NOON + 30),
        ({"until": stamp(NOON + 30), "revoked_at": stamp(NOON + 60)}, {}, NOON + 30),
        ({"until": stamp(NOON + 60)}, {"until": stamp(NOON + 45)}, NOON + 45),
        ({"until": stamp(NOON + 60)}, {"until": stamp(NOON + 75)}, NOON + 60),
    ],
)
def test_a_key_ends_at_the_earliest_of_its_own_end_its_revocation_and_its_member_s_end(key, member, ends):
    entries = [one for one in without(the_entries(), "key", TICKET_KEY.id) if one.body.get("code") != TRANSPORT]
    found = adopted([*entries, a_key_entry(TICKET_KEY, **key), a_member(TRANSPORT, **member)])
    assert found.key_ends_at(TICKET_KEY.id) == ends


def test_what_a_revoked_approval_key_signed_is_signed_by_nobody():
    revoked = a_key_entry(APPROVAL_KEY, revoked_at=stamp(NOON + DAY))
    found = adopted([*without(the_entries(), "key", APPROVAL_KEY.id), revoked])
    assert (dict(found.resources), dict(found.rules), dict(found.grants)) == ({}, {}, {})


def test_an_approval_key_that_ended_in_its_time_still_vouches_for_what_it_signed_then():
    ended = a_key_entry(APPROVAL_KEY, until=stamp(NOON - DAY))
    assert adopted([*without(the_entries(), "key", APPROVAL_KEY.id), ended]).grants
    too_early = a_key_entry(APPROVAL_KEY, until=stamp(NOON - 31 * DAY))
    assert not adopted([*without(the_entries(), "key", APPROVAL_KEY.id), too_early]).grants


SUCCESSOR = a_key(TRANSPORT, "online", 2)


def rotated(by, first_key=None, **change):
    second = a_key_entry(SUCCESSOR, by=by, **({"from": stamp(NOON - DAY)} | change))
    entries = [*without(the_entries(), "key", CALLING_KEY.id), first_key or a_key_entry(CALLING_KEY), second]
    return adopted(entries).caller_key(SUCCESSOR.id, TRANSPORT, NOON)


def test_a_key_is_followed_by_one_that_the_old_key_or_the_member_s_root_signed():
    assert rotated([CALLING_KEY]) == SUCCESSOR.public
    assert rotated([MEMBER_ROOTS[TRANSPORT]]) == SUCCESSOR.public


@pytest.mark.parametrize("by", [[SUCCESSOR], [TICKET_KEY], [TAX_KEY], [HUB_KEY], [a_key("thief", "online")]])
def test_nobody_else_may_follow_a_key(by):
    assert rotated(by).code == "exchange.unknown_key"


def test_a_revoked_key_vouches_for_no_successor():
    assert rotated([CALLING_KEY], a_key_entry(CALLING_KEY, revoked_at=stamp(NOON + DAY))).code == "exchange.unknown_key"


def test_a_key_vouches_only_within_its_own_time_and_for_younger_ones():
    ended = a_key_entry(CALLING_KEY, until=stamp(NOON - DAY))
    assert rotated([CALLING_KEY], ended).code == "exchange.unknown_key"
    older = {"from": stamp(NOON - 400 * DAY)}
    assert rotated([CALLING_KEY], **older).code == "exchange.unknown_key"


def test_two_roles_cannot_share_one_key():
    same = a_key_entry(TICKET_KEY, public=public64(CALLING_KEY), by=[MEMBER_ROOTS[TRANSPORT]])
    found = adopted([*without(the_entries(), "key", TICKET_KEY.id), same])
    assert ignored(found, same) == "exchange.key_shared"


@pytest.mark.parametrize("key", [HUB_KEY, ROOT_KEYS[0], MEMBER_ROOTS[CIVIL_AFFAIRS]])
def test_an_approval_key_that_is_the_hub_s_would_make_two_signatures_one(key):
    same = a_key_entry(APPROVAL_KEY, public=public64(key))
    found = adopted([*without(the_entries(), "key", APPROVAL_KEY.id), same])
    assert ignored(found, same) == "exchange.key_shared"


def test_a_member_cannot_silence_another_by_listing_its_public_key():
    copied = a_key_entry(a_key(TAX, "online", 2), public=public64(CALLING_KEY), **{"from": stamp(NOON - 500 * DAY)})
    found = adopted([*the_entries(), copied])
    assert found.caller_key(CALLING_KEY.id, TRANSPORT, NOON) == CALLING_KEY.public


# What no later directory can take back


def after(entries_before, entries_now):
    hub = Hub()
    current = first(hub.publish(entries_before))
    return adopt(current, hub.publish(entries_now), PIN, NOON)


def test_a_revoked_key_does_not_come_back():
    revoked = [*without(the_entries(), "key", CALLING_KEY.id), a_key_entry(CALLING_KEY, revoked_at=stamp(NOON - 1))]
    assert after(revoked, the_entries()).caller_key(CALLING_KEY.id, TRANSPORT, NOON).code == "exchange.unknown_key"
    later = [*without(the_entries(), "key", CALLING_KEY.id), a_key_entry(CALLING_KEY, revoked_at=stamp(NOON + DAY))]
    assert after(revoked, later).caller_key(CALLING_KEY.id, TRANSPORT, NOON).code == "exchange.unknown_key"


def test_a_revoked_key_does_not_come_back_after_a_directory_that_was_silent_about_it():
    hub = Hub()
    revoked = [*without(the_entries(), "key", CALLING_KEY.id), a_key_entry(CALLING_KEY, revoked_at=stamp(NOON - 1))]
    current = first(hub.publish(revoked))
    current = adopt(current, hub.publish(without(the_entries(), "key", CALLING_KEY.id)), PIN, NOON)
    current = adopt(current, hub.publish(the_entries()), PIN, NOON)
    assert current.caller_key(CALLING_KEY.id, TRANSPORT, NOON).code == "exchange.unknown_key"


def test_an_older_version_of_a_resource_does_not_come_back():
    older = [*without(the_entries(), "resource"), a_resource(version=2)]
    found = after(the_entries(), older)
    assert ignored(found, older[-1]) == "exchange.entry_rolled_back"
    assert not found.grants


def test_a_withdrawn_grant_is_gone_with_the_next_directory():
    assert not after(the_entries(), without(the_entries(), "grant")).grants


# Entries that did not change are not verified again


def test_only_new_entries_are_verified_again(monkeypatch):
    hub = Hub()
    current = first(hub.publish(the_entries()))
    checked = []
    original = type(FIRST_ROOT).signed_by
    monkeypatch.setattr(
        type(FIRST_ROOT), "signed_by", lambda self, keys: checked.append(self.kind) or original(self, keys)
    )
    new = a_grant_statement(id="N" * 22)
    found = adopt(current, hub.publish([*the_entries(), new]), PIN, NOON)
    assert "N" * 22 in found.grants
    assert sorted(set(checked)) == ["grant", "head", "root"]
    assert checked.count("grant") <= 2


def test_an_unchanged_entry_loses_its_effect_when_its_signer_does():
    hub = Hub()
    current = first(hub.publish(the_entries()))
    revoked = a_key_entry(APPROVAL_KEY, revoked_at=stamp(NOON))
    found = adopt(current, hub.publish([*without(the_entries(), "key", APPROVAL_KEY.id), revoked]), PIN, NOON)
    assert not found.grants
    assert not found.resources


def test_a_bad_signature_stays_bad_in_the_next_directory():
    bad = sign(a_grant_body(id="H" * 22), HUB_KEY)
    found = after([*the_entries(), bad], [*the_entries(), bad])
    assert ignored(found, bad) == "exchange.grant_unsigned_by_provider"


# Publishing


def test_the_hub_publishes_nothing_that_would_have_no_effect():
    bad = sign(a_grant_body(id="H" * 22), HUB_KEY)
    given = {"version": 1, "previous": directory.FIRST, "issued_at": NOON, "key": TIMESTAMP_KEY}
    with pytest.raises(EntryInvalid, match="provider"):
        publish.draft(trusted(), [*the_entries(), bad], **given)
    with pytest.raises(EntryInvalid, match="twice"):
        publish.draft(trusted(), [*the_entries(), a_resource(title="另")], **given)
    assert publish.without_effect(trusted(), [*the_entries(), bad]).keys() == {bad.digest()}


def test_what_the_hub_drafts_a_node_adopts():
    hub = Hub()
    head = publish.draft(
        trusted(), the_entries(), version=1, previous=directory.FIRST, issued_at=NOON + 0.7, key=TIMESTAMP_KEY
    )
    raw = publish.published([], FIRST_ROOT, head, hub.log(head), reversed(the_entries()))
    found = first(raw)
    assert isinstance(found, Directory)
    assert found.head.expires_at - found.head.issued_at == directory.LONGEST_LIFE


def test_an_entry_is_composed_only_in_its_form():
    body = {name: value for name, value in a_node().body.items() if name != "kind"}
    assert compose("node", **body) == a_node().body
    with pytest.raises(EntryInvalid):
        compose("node", **{**body, "address": "ftp://x"})
    member = {name: value for name, value in a_member().body.items() if name not in ("kind", "from")}
    assert compose("member", since=stamp(NOON), **member)["from"] == stamp(NOON)


@pytest.mark.parametrize("one", the_entries(), ids=lambda one: f"{one.kind}")
def test_no_field_of_an_entry_may_be_missing(one):
    for name in set(one.body) - {"kind"}:
        with pytest.raises(EntryInvalid):
            compose(one.kind, **{key: value for key, value in one.body.items() if key not in (name, "kind")})
