"""Directories: a node adopts only what the city's root, the members and the log stand behind."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchange.city import (
    FIRST_ROOT,
    LOG_KEY,
    MEMBER_ROOTS,
    ORIGIN,
    PIN,
    ROOT_KEYS,
    TIMESTAMP_KEY,
    Hub,
    a_node,
    a_resource,
    adopted,
    altered,
    code,
    first,
    nonsense,
    the_entries,
    without,
)
from tests.world import (
    HOUR,
    HUB_KEY,
    NOON,
    RESOURCE,
    RULE,
    TAX,
    a_key,
)
from tongban.exchange import publish
from tongban.exchange.directory import Directory, adopt
from tongban.kit.clock import stamp
from tongban.kit.errors import Refused

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
