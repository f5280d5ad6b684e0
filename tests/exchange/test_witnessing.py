"""Who watches the city's logs: one entry, which only the root can write and nothing older can replace."""

import base64

import pytest

from tests.exchange.city import (
    LOG_KEY,
    MEMBER_ROOTS,
    ORIGIN,
    OTHER_WITNESS,
    OUTSIDE_WITNESS,
    OWN_WITNESS,
    PIN,
    ROOT_KEYS,
    TIMESTAMP_KEY,
    Hub,
    a_key_entry,
    a_member,
    a_node,
    a_witness,
    a_witnessing,
    adopted,
    code,
    first,
    ignored,
    the_entries,
    the_witnesses,
    without,
)
from tests.world import (
    ANSWERING_KEY,
    APPROVAL_KEY,
    CALLING_KEY,
    CIVIL_AFFAIRS,
    CONSUMER_NODE,
    HUB_KEY,
    NOON,
    PROVIDER_NODE,
    TAX,
    TAX_KEY,
    TRANSPORT,
    a_key,
)
from tongban.exchange.directory import adopt
from tongban.exchange.listing import EntryInvalid, Witnessing, compose
from tongban.kit.clock import stamp
from tongban.kit.errors import Refused
from tongban.tlog.cosignature import Cosigned

PROVIDER_LOG = f"{CIVIL_AFFAIRS}/{PROVIDER_NODE}"
CONSUMER_LOG = f"{TRANSPORT}/{CONSUMER_NODE}"
OWN, OTHER, OUTSIDE = OWN_WITNESS.id, OTHER_WITNESS.id, OUTSIDE_WITNESS.id


def witnessed(**change):
    found = adopted([*the_entries(), a_witnessing(**change)])
    assert isinstance(found.witnessing, Witnessing), found.ignored
    return found.witnessing


def names(witnesses):
    return [one.name for one in witnesses]


# What it says


def test_a_directory_names_the_witnesses_in_the_entry_s_own_order():
    found = witnessed()
    assert (found.version, found.k) == (2, 2)
    assert names(found.witnesses) == [OWN, OTHER, OUTSIDE]
    assert [one.outside for one in found.witnesses] == [False, False, True]
    listed = the_witnesses()[1]
    other = found.witnesses[1]
    assert (other.member, other.address, other.certificate) == (TRANSPORT, listed["address"], None)
    assert base64.b64encode(other.public.public).decode() == listed["public"]


def test_a_directory_without_the_entry_asks_for_no_witness():
    assert adopted().witnessing is None


def test_nobody_witnesses_the_log_of_their_own_member():
    found = witnessed()
    assert names(found.of(PROVIDER_LOG)) == [OTHER, OUTSIDE]
    assert names(found.of(CONSUMER_LOG)) == [OWN, OUTSIDE]
    assert names(found.of(ORIGIN)) == [OWN, OTHER, OUTSIDE]


def test_a_witness_is_left_out_by_the_whole_code_of_its_member_and_not_by_how_it_begins():
    found = witnessed()
    assert names(found.of(f"{CIVIL_AFFAIRS}9/node")) == names(found.witnesses)


def test_the_own_member_s_witness_does_not_count_towards_the_quorum():
    quorum = witnessed().quorum(PROVIDER_LOG)
    own, other, outside = (Cosigned(name, NOON) for name in names(witnessed().witnesses))
    assert quorum.k == 2
    assert quorum.reached([other, outside])
    assert not quorum.reached([own, outside])
    assert not quorum.reached([own, own, other])


def test_who_is_outside_is_told_and_the_own_member_s_is_not():
    quorum = witnessed().quorum(PROVIDER_LOG)
    inside, outside = Cosigned(OTHER, NOON), Cosigned(OUTSIDE, NOON)
    assert quorum.outside_seen([inside, outside])
    assert not quorum.outside_seen([inside])
    own = [a_witness(OWN_WITNESS, CIVIL_AFFAIRS, 8001, outside=True), the_witnesses()[1]]
    assert not witnessed(witnesses=own).quorum(PROVIDER_LOG).outside_seen([Cosigned(OWN, NOON)])


def test_no_witness_at_all_may_be_asked_for_while_some_are_named():
    assert witnessed(k=0).quorum(PROVIDER_LOG).reached([])


@pytest.mark.parametrize("k", [2, 3])
def test_as_many_as_are_named_may_be_asked_for(k):
    assert witnessed(k=k).k == k


# Which logs, and whose keys


def test_the_city_s_logs_are_the_hub_s_and_those_of_its_nodes():
    assert sorted(adopted().origins()) == sorted([ORIGIN, PROVIDER_LOG, CONSUMER_LOG])
    assert sorted(adopted(without(the_entries(), "node", CONSUMER_NODE)).origins()) == sorted([ORIGIN, PROVIDER_LOG])


def test_a_log_s_head_is_signed_by_its_member_s_online_keys_and_the_hub_s_by_the_log_key():
    found = adopted()
    assert found.log_keys(PROVIDER_LOG, NOON) == (ANSWERING_KEY.public,)
    assert found.log_keys(CONSUMER_LOG, NOON) == (CALLING_KEY.public,)
    assert found.log_keys(ORIGIN, NOON) == (LOG_KEY.public,)


@pytest.mark.parametrize(
    "origin", ["", "x", f"{TAX}/tax", f"{CIVIL_AFFAIRS}/other", CIVIL_AFFAIRS, f"{CIVIL_AFFAIRS}/", f"{PROVIDER_LOG}/"]
)
def test_a_log_that_no_listed_node_keeps_is_unknown_though_its_member_is_listed(origin):
    assert adopted().log_keys(origin, NOON) is None


def test_a_known_log_whose_keys_are_revoked_or_out_of_time_has_nobody_to_sign_for_it():
    for change in ({"revoked_at": stamp(NOON)}, {"until": stamp(NOON)}):
        entries = [*without(the_entries(), "key", ANSWERING_KEY.id), a_key_entry(ANSWERING_KEY, **change)]
        assert adopted(entries).log_keys(PROVIDER_LOG, NOON - 1) == (ANSWERING_KEY.public,)
        assert adopted(entries).log_keys(PROVIDER_LOG, NOON) == ()


def test_the_log_of_a_department_that_was_dissolved_has_nobody_to_sign_for_it():
    entries = [one for one in the_entries() if one.body.get("code") != CIVIL_AFFAIRS]
    found = adopted([*entries, a_member(until=stamp(NOON))])
    assert found.log_keys(PROVIDER_LOG, NOON) == ()


def test_a_node_that_has_no_effect_keeps_no_log_of_the_city():
    entries = [*without(the_entries(), "node", PROVIDER_NODE), a_node(by=[HUB_KEY])]
    assert adopted(entries).log_keys(PROVIDER_LOG, NOON) is None


# Who must sign it


@pytest.mark.parametrize(
    "by",
    [
        [ROOT_KEYS[0]],
        [ROOT_KEYS[2]],
        [HUB_KEY, TIMESTAMP_KEY],
        [ROOT_KEYS[0], HUB_KEY],
        [ROOT_KEYS[0], TIMESTAMP_KEY, LOG_KEY],
        [*MEMBER_ROOTS.values()],
        [APPROVAL_KEY, HUB_KEY],
        [ANSWERING_KEY, CALLING_KEY, TAX_KEY],
    ],
)
def test_fewer_root_keys_than_a_new_root_needs_name_no_witness(by):
    entry = a_witnessing(by=by)
    found = adopted([*the_entries(), entry])
    assert (ignored(found, entry), found.witnessing) == ("exchange.entry_unsigned", None)


def test_any_two_of_the_three_root_keys_name_the_witnesses():
    for by in (ROOT_KEYS[:2], ROOT_KEYS[1:], ROOT_KEYS):
        assert adopted([*the_entries(), a_witnessing(by=by)]).witnessing is not None


def test_an_entry_without_authority_does_not_keep_the_rest_of_the_directory_out():
    found = adopted([*the_entries(), a_witnessing(by=[HUB_KEY])])
    assert len(found.grants) == 1


# Its form


def changed(at, **change):
    witnesses = the_witnesses()
    witnesses[at] |= change
    return {"witnesses": witnesses}


@pytest.mark.parametrize(
    "change",
    [
        {"witnesses": []},
        {"witnesses": [a_witness(a_key(f"w{n}", "witness"), None, 9000 + n) for n in range(33)]},
        {"witnesses": {}},
        {"witnesses": [None]},
        {"k": 4},
        {"k": -1},
        {"k": "2"},
        {"k": True},
        {"version": 0},
        {"version": None},
        {"more": 1},
        changed(0, name=OTHER),
        changed(0, public=the_witnesses()[1]["public"]),
        changed(0, name=""),
        changed(0, name="two words"),
        changed(0, name="a+b"),
        changed(0, name="line\n"),
        changed(0, name="见证"),
        changed(0, name="n" * 101),
        changed(0, member="nobody"),
        changed(0, public="x"),
        changed(0, outside=None),
        changed(0, outside=0),
        changed(0, more=1),
        changed(0, address="127.0.0.1:8001"),
        changed(0, address="ftp://127.0.0.1"),
        changed(0, address="http://127.0.0.1:8001/path"),
        changed(0, address="http://10.0.0.1:80"),
        changed(0, address="http://10.0.0.1:80", certificate="ab" * 32),
        changed(0, address="http://localhost.example:80"),
        changed(0, address="https://10.0.0.1"),
        changed(0, address="https://10.0.0.1", certificate="AB" * 32),
    ],
)
def test_an_entry_that_is_malformed_or_contradicts_itself_names_no_witness(change):
    entry = a_witnessing(**change)
    found = adopted([*the_entries(), entry])
    assert (ignored(found, entry), found.witnessing) == ("exchange.entry_malformed", None)


def test_a_witness_elsewhere_is_known_by_its_certificate():
    found = witnessed(**changed(2, address="https://witness.example:8443", certificate="ab" * 32))
    assert found.witnesses[2].certificate == "ab" * 32


@pytest.mark.parametrize("missing", ["version", "k", "witnesses"])
def test_no_field_of_the_entry_may_be_missing(missing):
    body = {name: value for name, value in a_witnessing().body.items() if name not in ("kind", missing)}
    with pytest.raises(EntryInvalid):
        compose("witnessing", **body)


@pytest.mark.parametrize("missing", [*the_witnesses()[0]])
def test_no_field_of_a_witness_may_be_missing(missing):
    one = {name: value for name, value in the_witnesses()[0].items() if name != missing}
    entry = a_witnessing(k=1, witnesses=[one])
    assert ignored(adopted([*the_entries(), entry]), entry) == "exchange.entry_malformed"


def test_two_lists_of_witnesses_would_let_each_reader_choose():
    entries = [*the_entries(), a_witnessing(), a_witnessing(version=3)]
    assert code(first(Hub().publish(entries))) == "exchange.directory_malformed"


# What no later directory can take back


def after(*lists):
    """What a node has in force that is offered one directory after the other."""
    return offered(*lists)[0]


def offered(*lists):
    """What it has in force at the end, and why it did not adopt the last one, if it did not."""
    hub, current, refused = Hub(), None, None
    for entries in lists:
        found = adopt(current, hub.publish([*the_entries(), *entries]), PIN, NOON)
        current, refused = (current, found) if isinstance(found, Refused) else (found, None)
    return current, refused


def test_a_hub_that_names_an_older_list_or_none_is_not_believed():
    for offer in ([a_witnessing(version=1, k=0)], []):
        current, refused = offered([a_witnessing()], offer)
        assert refused.code == "exchange.directory_rolled_back"
        assert (current.version, current.witnessing.k) == (1, 2)


def test_that_nobody_witnesses_any_more_is_for_the_root_to_say():
    assert after([a_witnessing()], [a_witnessing(version=3, k=0)]).witnessing.k == 0


def test_a_newer_list_and_the_same_one_again_count():
    assert after([a_witnessing()], [a_witnessing(version=3, k=1)]).witnessing.k == 1
    assert after([a_witnessing()], [a_witnessing()]).witnessing.k == 2


def test_what_was_never_signed_by_the_root_makes_nothing_older():
    found = after([a_witnessing(version=9, by=[HUB_KEY])], [a_witnessing()])
    assert found.witnessing.version == 2


def test_a_node_that_starts_again_remembers_the_list_it_had():
    hub = Hub()
    before = first(hub.publish([*the_entries(), a_witnessing()]))
    found = adopt(before.memory, hub.publish([*the_entries(), a_witnessing(version=1)]), PIN, NOON)
    assert found.code == "exchange.directory_rolled_back"
    newer = adopt(before.memory, hub.publish([*the_entries(), a_witnessing(version=3)]), PIN, NOON)
    assert newer.memory.versions["witnessing"] == 3
