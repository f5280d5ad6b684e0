"""Directories: a node adopts only what the city's root, the members and the log stand behind."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchange.city import (
    ANSWERING_KEY,
    CITY,
    FIRST_ROOT,
    LOG_KEY,
    MEMBER_ROOTS,
    ORIGIN,
    PIN,
    ROOT_KEYS,
    TIMESTAMP_KEY,
    Hub,
    a_key_entry,
    a_member,
    a_node,
    a_resource,
    a_root,
    a_rule,
    adopted,
    ignored,
    nonsense,
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
    HOUR,
    HUB_KEY,
    NOON,
    PROVIDER_NODE,
    RESOURCE,
    RULE,
    TAX,
    TAX_KEY,
    TICKET_KEY,
    TRANSPORT,
    a_grant_body,
    a_grant_statement,
    a_key,
    public,
)
from tongban.exchange import directory, publish
from tongban.exchange.directory import Directory, adopt
from tongban.exchange.listing import EntryInvalid, compose
from tongban.kit.clock import stamp
from tongban.kit.errors import Refused
from tongban.kit.statement import sign


def code(found: Directory | Refused) -> str:
    assert isinstance(found, Refused), found
    return found.code


def first(raw: bytes, now: float = NOON) -> Directory | Refused:
    return adopt(None, raw, PIN, now)


def altered(raw: bytes, *path: str | int, to: object) -> bytes:
    whole = orjson.loads(raw)
    place = whole
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return orjson.dumps(whole)


# Adoption


def test_a_directory_with_everything_in_order_is_adopted_whole():
    found = adopted()
    assert not found.ignored
    assert (len(found.members), len(found.keys), len(found.nodes)) == (3, 5, 2)
    assert list(found.grants) == ["A" * 22]
    assert found.resources[RESOURCE].complete.as_of == "2014-01-01"
    assert found.rules[RULE].resource == RESOURCE
    assert (found.version, found.age(NOON + 90)) == (1, 90)


def test_a_node_s_directory_grows_old_and_dies():
    found = adopted()
    assert found.refusal(NOON + 72 * HOUR - 1) is None
    assert found.refusal(NOON + 72 * HOUR).code == "exchange.directory_expired"


def test_a_directory_is_not_adopted_at_the_instant_it_expires():
    raw = Hub().publish(the_entries())
    assert isinstance(first(raw, NOON + 72 * HOUR - 1), Directory)
    assert code(first(raw, NOON + 72 * HOUR)) == "exchange.directory_expired"


def test_a_head_from_the_future_would_never_grow_old():
    raw = Hub().publish(the_entries(), issued=NOON + 301)
    assert code(first(raw)) == "exchange.directory_ahead"
    assert isinstance(first(raw, NOON + 1), Directory)


def test_a_head_may_not_promise_more_than_72_hours():
    raw = Hub().publish(the_entries(), expires_at=stamp(NOON + 72 * HOUR + 1))
    assert code(first(raw)) == "exchange.directory_malformed"


# The root


def test_the_first_root_is_the_pinned_one():
    assert code(adopt(None, Hub().publish(the_entries()), nonsense("other"), NOON)) == "exchange.root_unknown"


def test_a_root_the_hub_made_itself_is_unknown():
    own = a_root(*(a_key("mine", "root", n) for n in (1, 2)), keys=public(*(a_key("mine", "root", n) for n in (1, 2))))
    assert code(first(Hub(roots=[own]).publish(the_entries()))) == "exchange.root_unknown"


def test_even_the_pinned_root_needs_its_own_threshold():
    alone = a_root(ROOT_KEYS[0])
    assert alone.digest() == PIN
    assert code(first(Hub(roots=[alone]).publish(the_entries()))) == "exchange.root_unsigned"


def test_one_key_under_two_names_does_not_count_twice():
    twin = a_key("city", "root", 1)
    twice = [*public(*ROOT_KEYS[:1]), type(twin.public)("city.root.9", twin.public.public)]
    with pytest.raises(EntryInvalid):
        publish.compose_root(
            city=CITY, version=1, threshold=2, keys=twice,
            roles={"hub": public(HUB_KEY), "timestamp": public(TIMESTAMP_KEY), "log": public(LOG_KEY)},
            log_origin="11990100TB00000446/hub", issued_at=NOON, expires_at=NOON + DAY,
        )  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 1},
        {"threshold": 4},
        {"roles": {"hub": public(HUB_KEY), "timestamp": public(HUB_KEY), "log": public(LOG_KEY)}},
        {"roles": {"hub": public(HUB_KEY), "timestamp": public(TIMESTAMP_KEY)}},
        {"keys": public(*ROOT_KEYS[:2], HUB_KEY)},
        {"expires_at": NOON - 400 * DAY},
        {"version": 0},
    ],
)
def test_a_root_that_gives_one_key_too_much_is_none(change):
    with pytest.raises(EntryInvalid):
        a_root(**change)


SECOND_KEYS = [*ROOT_KEYS[1:], a_key("city", "root", 4)]


def second_root(*signers, **change):
    given = {"version": 2, "keys": public(*SECOND_KEYS), "issued_at": NOON - DAY}
    return a_root(*(signers or ROOT_KEYS[1:]), **(given | change))


def test_a_root_is_followed_by_one_that_enough_of_its_keys_signed():
    raw = Hub(roots=[FIRST_ROOT, second_root()]).publish(the_entries())
    found = first(raw)
    assert isinstance(found, Directory)
    assert found.root.version == 2


def test_a_node_that_was_away_for_several_roots_walks_them_all():
    third = a_root(*SECOND_KEYS[:2], version=3, keys=public(*SECOND_KEYS))
    assert isinstance(first(Hub(roots=[FIRST_ROOT, second_root(), third]).publish(the_entries())), Directory)
    skipped = Hub(roots=[FIRST_ROOT, third]).publish(the_entries())
    assert code(first(skipped)) == "exchange.root_unknown"


@pytest.mark.parametrize(
    ("signers", "expected"),
    [
        ([ROOT_KEYS[1]], "exchange.root_unsigned"),  # one old key, one new
        ([SECOND_KEYS[2], a_key("city", "root", 5)], "exchange.root_unsigned"),  # none of the old
        ([ROOT_KEYS[0], ROOT_KEYS[1]], "exchange.root_unsigned"),  # enough of the old, one of its own
        ([ROOT_KEYS[1], SECOND_KEYS[2]], "exchange.root_unsigned"),  # one of the old, enough of its own
    ],
)
def test_a_new_root_needs_enough_keys_of_both(signers, expected):
    raw = Hub(roots=[FIRST_ROOT, second_root(*signers)]).publish(the_entries())
    assert code(first(raw)) == expected


def test_a_root_on_the_way_needs_its_own_keys_too():
    unwilling = second_root(ROOT_KEYS[0], ROOT_KEYS[1])
    third = a_root(*SECOND_KEYS[:2], version=3, keys=public(*SECOND_KEYS))
    raw = Hub(roots=[FIRST_ROOT, unwilling, third]).publish(the_entries())
    assert code(first(raw)) == "exchange.root_unsigned"


def test_a_root_does_not_go_back():
    hub = Hub(roots=[FIRST_ROOT, second_root()])
    current = first(hub.publish(the_entries()))
    hub.roots = [FIRST_ROOT]
    assert code(adopt(current, hub.publish(the_entries()), PIN, NOON)) == "exchange.root_unknown"


def test_an_expired_root_carries_nothing():
    short = a_root(expires_at=NOON)
    raw = Hub(roots=[short]).publish(the_entries())
    assert code(adopt(None, raw, short.digest(), NOON)) == "exchange.root_expired"
    found = adopt(None, Hub(roots=[short]).publish(the_entries(), issued=NOON - 60), short.digest(), NOON - 60)
    assert found.refusal(NOON).code == "exchange.directory_expired"


# The head


@pytest.mark.parametrize("key", [HUB_KEY, ROOT_KEYS[0], LOG_KEY, a_key("thief", "timestamp")])
def test_only_the_timestamp_key_signs_heads(key):
    assert code(first(Hub().publish(the_entries(), by=key))) == "exchange.head_unsigned"


def test_a_head_for_another_root_or_city_is_foreign():
    assert code(first(Hub().publish(the_entries(), root=nonsense("x")))) == "exchange.directory_foreign"
    assert code(first(Hub().publish(the_entries(), city="别市"))) == "exchange.directory_foreign"


def test_entries_are_those_the_head_names():
    raw = Hub().publish(the_entries())
    whole = orjson.loads(raw)
    for entries in (whole["entries"][1:], [*whole["entries"], whole["entries"][0]], [*whole["entries"][1:], a_node(
        by=[MEMBER_ROOTS[TAX]], id="other").to_json()]):  # fmt: skip
        assert code(first(altered(raw, "entries", to=entries))) == "exchange.directory_altered"
    assert code(first(Hub().publish(the_entries(), count=3))) == "exchange.directory_altered"
    changed = altered(raw, "entries", 0, "body", "until", to="2099-01-01T00:00:00Z")
    assert code(first(changed)) == "exchange.directory_altered"


def test_two_entries_of_one_name_would_let_each_reader_choose():
    entries = [*the_entries(), a_resource(title="另一份")]
    assert code(first(Hub().publish(entries))) == "exchange.directory_malformed"


# Order in time


def test_a_newer_directory_replaces_the_one_in_force():
    hub = Hub()
    current = first(hub.publish(the_entries()))
    found = adopt(current, hub.publish(without(the_entries(), "grant"), issued=NOON + 20), PIN, NOON + 20)
    assert isinstance(found, Directory)
    assert (found.version, dict(found.grants)) == (2, {})


def test_the_same_directory_again_is_nothing_new():
    raw = Hub().publish(the_entries())
    assert code(adopt(first(raw), raw, PIN, NOON)) == "exchange.directory_unchanged"


def test_an_older_directory_is_not_adopted():
    hub = Hub()
    old = hub.publish(the_entries())
    current = adopt(first(old), hub.publish(the_entries(), issued=NOON + 1), PIN, NOON + 1)
    assert code(adopt(current, old, PIN, NOON + 1)) == "exchange.directory_rolled_back"


def test_two_directories_of_one_version_are_a_fork():
    current = first(Hub().publish(the_entries()))
    other = Hub().publish(without(the_entries(), "grant"))
    assert code(adopt(current, other, PIN, NOON)) == "exchange.directory_forked"
    later = Hub().publish(the_entries(), issued=NOON + 1)
    assert code(adopt(current, later, PIN, NOON + 1)) == "exchange.directory_forked"


def test_a_directory_that_does_not_follow_is_a_fork():
    hub = Hub()
    current = first(hub.publish(the_entries()))
    hub.previous = nonsense("other history")
    assert code(adopt(current, hub.publish(the_entries()), PIN, NOON)) == "exchange.directory_forked"


def test_a_node_that_missed_versions_catches_up():
    hub = Hub()
    current = first(hub.publish(the_entries()))
    for _ in range(3):
        raw = hub.publish(the_entries())
    assert adopt(current, raw, PIN, NOON).version == 4


def test_a_higher_version_issued_earlier_is_a_roll_back():
    hub = Hub()
    current = first(hub.publish(the_entries()))
    raw = hub.publish(the_entries(), issued=NOON - 1)
    assert code(adopt(current, raw, PIN, NOON)) == "exchange.directory_rolled_back"


# The log


def published(entries, head=None, log=None, hub=None):
    hub = hub or Hub()
    head = head or hub.head(entries)
    return publish.published([], FIRST_ROOT, head, log or hub.log(head), entries)


def test_a_head_that_is_not_in_the_log_is_not_adopted():
    hub = Hub()
    other = hub.log(hub.head(without(the_entries(), "grant")))
    assert code(first(published(the_entries(), log=other))) == "exchange.directory_unlogged"


@pytest.mark.parametrize("key", [HUB_KEY, TIMESTAMP_KEY, a_key("thief", "log")])
def test_a_log_of_one_s_own_is_not_the_hub_s(key):
    hub = Hub()
    head = hub.head(the_entries())
    assert code(first(published(the_entries(), head, hub.log(head, by=key)))) == "exchange.directory_unlogged"


def test_a_log_of_another_name_is_not_the_hub_s():
    hub = Hub()
    head = hub.head(the_entries())
    log = hub.log(head, origin=f"{TAX}/hub")
    assert code(first(published(the_entries(), head, log))) == "exchange.directory_unlogged"
    log["origin"] = ORIGIN
    assert code(first(published(the_entries(), head, log))) == "exchange.directory_unlogged"
    good = hub.log(head)
    assert isinstance(first(published(the_entries(), head, good)), Directory)
    assert (
        code(first(published(the_entries(), head, {**good, "origin": f"{TAX}/hub"}))) == "exchange.directory_unlogged"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("index", 0),
        ("size", 4),
        ("proof", []),
        ("proof", [base64.b64encode(bytes(32)).decode()] * 2),
        ("checkpoint", "nonsense"),
        ("checkpoint", "\ud800"),
        ("checkpoint", ""),
    ],
)
def test_a_proof_that_does_not_hold_is_none(field, value):
    hub = Hub()
    for _ in range(2):
        raw = hub.publish(the_entries())
    assert isinstance(first(raw), Directory)
    whole = orjson.loads(raw)
    whole["log"][field] = value
    raw = orjson.dumps(whole) if value != "\ud800" else raw.replace(b'"checkpoint":"', b'"checkpoint":"\\ud800')
    assert code(first(raw)) in ("exchange.directory_unlogged", "exchange.directory_malformed")


def test_the_hub_s_log_does_not_become_shorter():
    hub = Hub()
    for _ in range(3):
        current = first(hub.publish(the_entries()))
    hub.tree = Hub().tree
    assert code(adopt(current, hub.publish(the_entries()), PIN, NOON)) == "exchange.directory_rolled_back"


# Malformed


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"null", b"\xff", b'{"root":{}}', b"[" * 100_000])
def test_what_is_no_directory_is_refused(raw):
    assert code(first(raw)) == "exchange.directory_malformed"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("more",), 1),
        (("roots",), None),
        (("roots",), [1]),
        (("root",), None),
        (("root", "signatures"), []),
        (("root", "body", "threshold"), "2"),
        (("head",), "x"),
        (("head", "body", "version"), -1),
        (("head", "body", "version"), True),
        (("head", "body", "expires_at"), "soon"),
        (("head", "signatures"), {"city.timestamp.1": "!"}),
        (("log",), {}),
        (("log", "index"), -1),
        (("log", "proof"), ["x"]),
        (("entries",), {}),
        (("entries", 0), None),
        (("entries", 0, "body"), []),
        (("entries", 0, "body", "kind"), 3),
        (("entries", 0, "signatures"), None),
        (("entries", 0, "body", "from"), 1.5),
    ],
)
def test_a_directory_of_another_shape_is_refused_and_never_breaks_the_reader(path, value):
    assert isinstance(first(altered(Hub().publish(the_entries()), *path, to=value)), Refused)


@given(st.data())
def test_a_single_changed_byte_never_changes_what_is_in_force(data):
    raw = Hub().publish(the_entries())
    at = data.draw(st.integers(0, len(raw) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one != raw[at]))
    found = first(raw[:at] + bytes([byte]) + raw[at + 1 :])
    if isinstance(found, Directory):  # a byte of a signature that is not needed, or of an entry's only one
        assert found.head.digest == adopted().head.digest
        for name in ("members", "keys", "nodes", "resources", "rules", "grants"):
            assert getattr(found, name).items() <= getattr(adopted(), name).items()


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
