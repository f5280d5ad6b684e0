"""A log audited from outside: it holds as it is, and whatever is changed, left out or shown otherwise is found."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tlog.cast import ORIGIN
from tests.tlog.site import ONE, TWO, Gone, Site, a_note, leaves
from tests.world import ANSWERING_KEY, CALLING_KEY, NOON
from tongban.kit.keys import PublicKey, SigningKey
from tongban.tlog.audit import Problem
from tongban.tlog.checkpoint import Checkpoint, CheckpointInvalid, parse
from tongban.tlog.cosignature import Quorum, cosign
from tongban.tlog.remote import OPAQUE, Remote, audit, head_of, tiles, unseen
from tongban.tlog.tile import ENTRIES, Tile, bundle, bundles, of_size

BOTH = Quorum({key.id: key.public for key in (ONE, TWO)}, k=2)
#: A leaf that no log here holds.
ANOTHER = b'{"number":-1}'
REMEMBERED = "the checkpoint remembered"


def judged(
    site: Site,
    former: bytes | None = None,
    quorum: Quorum = BOTH,
    key: PublicKey = ANSWERING_KEY.public,
    progress: Callable[[int], None] = lambda done: None,
) -> Remote:
    found = head_of(site.note, lambda origin: [key] if origin == ORIGIN else [], lambda origin: quorum)
    audit(found, site.fetch, former, progress)
    return found


def problems(found: Remote) -> list[Problem]:
    assert not found.holds
    return found.problems


# What holds


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 513, 70_000])
def test_a_log_that_is_shown_as_it_is_holds(size: int):
    site, done = Site(leaves(size)), list[int]()
    found = judged(site, progress=done.append)
    assert (found.holds, found.found, found.head.size) == (True, 0, size)
    assert sum(found.kinds.values()) == size
    assert [one.witness for one in found.seen] == [ONE.id, TWO.id]
    assert sum(done) == len(site.asked) == tiles(size)


def test_every_file_of_the_log_is_fetched_once_and_no_other():
    site = Site(leaves(700))
    judged(site)
    assert sorted(site.asked) == sorted(set(site.files) - {"checkpoint"})


@pytest.mark.parametrize("size", [0, 1, 256, 257, 65_536, 65_537, 70_000, 256**3 + 1])
def test_how_many_files_there_are_is_known_without_naming_them(size: int):
    assert tiles(size) == sum(1 for _ in bundles(size)) + sum(1 for _ in of_size(size))


@pytest.mark.parametrize("size", [0, 1, 256, 300])
def test_a_log_that_continues_what_was_seen_before_holds(size: int):
    assert judged(Site(leaves(300)), former=Site(leaves(size)).note).holds


def test_leaves_are_counted_by_kind_and_what_is_unknown_is_never_repeated():
    known = b'{"kind":"call","n":1,"record":"%b","v":1}' % (b"0" * 64)
    odd = [
        b'{"kind":"call","v":2}', b'{"kind":"feed","v":1}', b'{"kind":["call"],"v":1}', b'{"kind":null,"v":1}',
        b'{"v":1}', b"{}", b'{"kind":"\\u001b[2J","v":1}',
    ]  # fmt: skip
    found = judged(Site([known, known, *odd]))
    assert found.holds
    assert found.kinds == {"call": 2, OPAQUE: len(odd)}


# What was changed


@pytest.fixture(scope="module")
def small() -> Site:
    return Site(leaves(300))


def changed(site: Site, path: str, data: bytes) -> Site:
    other = Site([])
    other.files = {**site.files, path: data}
    return other


def holds(site: Site, former: bytes | None = None) -> bool:
    """False too where nothing was found because something was not to be had."""
    try:
        return judged(site, former).holds
    except (Gone, CheckpointInvalid):
        return False


@given(st.data())
def test_one_changed_byte_in_any_file_is_found(small: Site, data: st.DataObject):
    path = data.draw(st.sampled_from(sorted(small.files)))
    at = data.draw(st.integers(0, len(small.files[path]) - 1))
    other = bytearray(small.files[path])
    other[at] ^= data.draw(st.integers(1, 255))
    assert holds(small)
    assert not holds(changed(small, path, bytes(other)))


@given(st.data())
def test_a_file_that_is_cut_lengthened_or_another_s_is_found(small: Site, data: st.DataObject):
    path = data.draw(st.sampled_from(sorted(small.files)))
    whole = small.files[path]
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    longer = whole + data.draw(st.binary(min_size=1, max_size=40))
    another = small.files[data.draw(st.sampled_from(sorted(set(small.files) - {path})))]
    for bad in (cut, longer, another):
        assert not holds(changed(small, path, bad))


@given(st.data())
def test_two_leaves_in_each_other_s_place_are_found(small: Site, data: st.DataObject):
    first, second = data.draw(st.lists(st.integers(0, 299), min_size=2, max_size=2, unique=True))
    swapped = leaves(300)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    # The hashes are made to fit; only the head is the true one.
    other = changed(Site(swapped), "checkpoint", small.note)
    assert Problem("tlog.root_differs", "checkpoint at size 300") in problems(judged(other))


def test_a_leaf_that_was_exchanged_is_found_though_all_hashes_are_the_true_ones(small: Site):
    exchanged = leaves(300)
    exchanged[7] = ANOTHER
    other = changed(small, Tile(ENTRIES, 0).path, Site(exchanged).files[Tile(ENTRIES, 0).path])
    assert {one.code for one in problems(judged(other))} == {"tlog.root_differs", "tlog.tile_invalid"}


def test_a_tile_of_hashes_that_fits_no_leaves_is_named_though_all_leaves_are_the_true_ones(small: Site):
    path = Tile(1, 0, 1).path
    assert problems(judged(changed(small, path, bytes(32)))) == [Problem("tlog.tile_invalid", path)]


@pytest.mark.parametrize("less", [0, 255])
def test_a_bundle_with_a_leaf_less_is_named_and_what_comes_behind_it_is_given_no_place(small: Site, less: int):
    path = Tile(ENTRIES, 0).path
    short = bundle(one for number, one in enumerate(leaves(256)) if number != less)
    found = judged(changed(small, path, short))
    assert problems(found) == [Problem("tlog.tile_invalid", path)]
    assert found.kinds == {}


def test_entries_that_the_head_covers_and_the_log_does_not_give_are_no_yes(small: Site):
    other = Site([])
    other.files = {path: data for path, data in small.files.items() if path != Tile(ENTRIES, 1, 44).path}
    with pytest.raises(Gone):
        judged(other)


@pytest.mark.parametrize(
    "bad", [b"[]", b"3", b'"text"', b"", b"no JSON", b'{"kind": "call"}', b'{"a":1,"a":1}', b'{"a":1.5}', b"\xff"]
)
def test_a_leaf_in_another_form_is_named_by_its_index(bad: bytes):
    found = judged(Site([*leaves(260), bad]))
    assert problems(found) == [Problem("tlog.leaf_not_canonical", "entry 260")]


def test_no_more_than_twenty_problems_are_told_and_all_are_counted():
    found = judged(Site([b"x"] * 100))
    assert (found.found, len(problems(found))) == (100, 20)


# Who signed


def test_a_head_that_another_member_signed_says_nothing_and_nothing_is_fetched_for_it():
    site = Site(leaves(300), key=CALLING_KEY)
    found = judged(site)
    assert (found.signed, problems(found)) == (False, [Problem("tlog.checkpoint_invalid", "newest checkpoint")])
    assert site.asked == []


def test_a_head_of_another_log_by_the_same_key_is_not_signed_for_it():
    assert judged(Site(leaves(3), origin=f"{ORIGIN}-2")).signed is False


def test_cosignatures_of_a_head_that_the_log_did_not_sign_do_not_count():
    assert judged(Site(leaves(3), key=CALLING_KEY), quorum=Quorum(BOTH.witnesses, k=1)).seen == ()


@pytest.mark.parametrize(("by", "k", "enough"), [([], 0, True), ([], 1, False), ([ONE], 1, True), ([ONE], 2, False)])
def test_a_head_that_too_few_witnesses_have_seen_does_not_hold(by: list[SigningKey], k: int, enough: bool):
    found = judged(Site(leaves(3), by=by), quorum=Quorum(BOTH.witnesses, k=k))
    assert (found.found, found.holds) == (0, enough)
    assert set(unseen(found)) == {ONE.id, TWO.id} - {key.id for key in by}


def test_a_witness_that_the_directory_does_not_name_for_this_log_does_not_count():
    found = judged(Site(leaves(3)), quorum=Quorum({ONE.id: ONE.public}, k=2))
    assert [one.witness for one in found.seen] == [ONE.id]
    assert not found.holds


def test_one_cosignature_twice_is_one_witness():
    assert not judged(Site(leaves(3), by=[ONE, ONE])).holds


def test_a_cosignature_that_does_not_hold_spoils_the_head_though_enough_others_do():
    head = Site(leaves(3), by=[ONE])
    of_another = parse(Site(leaves(4)).note)[1]
    head.files["checkpoint"] += cosign(of_another, TWO.id, TWO, NOON)
    found = judged(head, quorum=Quorum(BOTH.witnesses, k=1))
    assert Problem("tlog.checkpoint_invalid", "newest checkpoint") in problems(found)


# What was seen before


def test_a_log_that_was_set_back_is_found_by_whoever_remembers_more():
    found = judged(Site(leaves(299)), former=Site(leaves(300)).note)
    assert problems(found) == [Problem("tlog.shorter_than_checkpoint", REMEMBERED)]


@pytest.mark.parametrize("size", [299, 300, 301, 600])
def test_another_history_is_found_by_whoever_remembers_the_first(size: int):
    other = leaves(size)
    other[0] = ANOTHER
    found = judged(Site(other), former=Site(leaves(299)).note)
    assert problems(found) == [Problem("tlog.root_differs", REMEMBERED)]


@pytest.mark.parametrize("former", [b"", b"x", Site(leaves(3), origin="another/log").note, Site(leaves(3)).note[:-9]])
def test_a_remembered_head_that_is_none_of_this_log_proves_no_continuity(former: bytes):
    found = judged(Site(leaves(3)), former=former)
    assert problems(found) == [Problem("tlog.checkpoint_invalid", REMEMBERED)]


@given(st.integers(0, 600), st.integers(0, 600), st.integers(0, 599))
def test_two_heads_hold_together_only_if_one_history_begins_the_other(old: int, new: int, at: int):
    other = leaves(new)
    if at < new:
        other[at] = ANOTHER
    continues = old <= new and not at < old
    assert holds(Site(other), Site(leaves(old)).note) == continues


# Nonsense


@pytest.mark.parametrize("note", [b"", b"\n", b"\x00", b"\xff", b"<html></html>\n", b"a\n1\nb\n\nc\n", b"x" * 100_000])
def test_what_is_no_checkpoint_is_said_to_be_none(note: bytes):
    with pytest.raises(CheckpointInvalid):
        head_of(note, lambda origin: [ANSWERING_KEY.public], lambda origin: BOTH)


@pytest.mark.parametrize("data", [b"", b"\n", b"\xff" * 1000, b"\x00" * 1000, b"<html>not found</html>"])
def test_a_log_that_answers_everything_with_nonsense_is_found_at_its_first_bundle(small: Site, data: bytes):
    other = Site([])
    other.files = dict.fromkeys(small.files, data) | {"checkpoint": small.note}
    assert problems(judged(other)) == [Problem("tlog.tile_invalid", Tile(ENTRIES, 0).path)]


def test_a_head_of_a_size_that_no_log_has_ends_at_the_first_file_that_is_not_there():
    site = Site(leaves(3))
    site.files["checkpoint"] = a_note(Checkpoint(ORIGIN, 2**63 - 1, bytes(32)))
    with pytest.raises(Gone):
        judged(site)
    assert site.asked == [Tile(ENTRIES, 0).path]
