"""The root: nobody changes who may sign but those who were trusted before."""

import pytest

from tests.exchange.city import (
    CITY,
    FIRST_ROOT,
    LOG_KEY,
    PIN,
    ROOT_KEYS,
    TIMESTAMP_KEY,
    Hub,
    a_root,
    code,
    first,
    nonsense,
    the_entries,
)
from tests.world import (
    DAY,
    HUB_KEY,
    NOON,
    a_key,
    public,
)
from tongban.exchange import publish
from tongban.exchange.directory import Directory, adopt
from tongban.exchange.listing import EntryInvalid

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
