import hashlib
import hmac
import itertools
import zlib
from base64 import urlsafe_b64encode

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tests.tlog.cast import A_ROUND, CALL, a_record
from tongban.kit import canonical
from tongban.tlog.entry import KINDS, LARGEST, EntryInvalid, frame, make, stored, together, unframe
from tongban.tlog.persons import person_leaf, persons_root
from tongban.tlog.pseudonym import pseudonym
from tongban.tlog.tree import leaf_hash, node_hash

SALT = bytes(range(32))


def test_a_leaf_is_canonical_json_and_holds_nothing_but_the_salted_digest_of_its_record():
    record = a_record()
    leaf, salted = make(CALL, record, SALT)
    digest = hashlib.sha256(b"tongban/record/1\n" + SALT + rfc8785.dumps(record)).hexdigest()
    assert leaf == rfc8785.dumps({"v": 1, "kind": "call", "n": 1, "record": digest})
    assert salted == SALT + rfc8785.dumps(record)


def test_a_batch_s_leaf_also_holds_the_salted_digest_of_its_keys():
    column = hashlib.sha256(b"keys").hexdigest()
    leaf, _ = make({"kind": "batch", "n": 3}, a_record(keys=column), SALT)
    said = canonical.decode(leaf)
    assert said["keys"] == hashlib.sha256(b"tongban/keys/1\n" + SALT + bytes.fromhex(column)).hexdigest()
    assert leaf == rfc8785.dumps(said)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_we_write_has_a_canonical_leaf(kind):
    shape = KINDS[kind]
    if shape.record:
        fields = {"kind": kind, "n": shape.persons if shape.persons is not None else 2}
        leaf, _ = make(fields, a_record(keys="0" * 64), SALT)
    else:
        fields = dict.fromkeys(shape.fields, 7) | {"kind": kind}
        leaf, salted = make(fields | ({"body": dict.fromkeys(shape.body, "x")} if shape.body else {}), None, SALT)
        assert salted == b""
    assert canonical.decode(leaf)["kind"] == kind
    assert canonical.decode(leaf)["v"] == 1


@pytest.mark.parametrize(
    ("fields", "record"),
    [
        ({"kind": "visit", "n": 1}, a_record()),  # no such kind
        ({"kind": "day-count", "body": {}}, None),  # reserved: read, not written
        ({"kind": "suppression", "n": 0}, a_record()),
        ({"kind": "call"}, a_record()),
        ({"kind": "call", "n": 1, "who": "me"}, a_record()),
        ({"kind": "call", "n": -1}, a_record()),
        ({"kind": "call", "n": True}, a_record()),
        ({"kind": "call", "n": "1"}, a_record()),
        ({"kind": "call", "n": 2**53}, a_record()),
        ({"kind": "repeat", "n": 1}, a_record()),  # nobody is looked at again
        ({"kind": "batch", "n": 1}, a_record()),  # without its keys
        ({"kind": "batch", "n": 1}, a_record(keys="not hexadecimal")),
        (CALL, None),
        (A_ROUND, a_record()),
        ({"kind": "round", "body": {"round": "2014-06"}}, None),
        ({"kind": "batch-persons", "n": 1}, None),
    ],
)
def test_an_entry_that_does_not_have_its_kind_s_shape_is_not_written(fields, record):
    with pytest.raises(EntryInvalid):
        make(fields, record, SALT)


def test_an_error_about_an_entry_repeats_no_value_of_it():
    with pytest.raises(EntryInvalid) as raised:
        make({"kind": "call", "n": 1, "name": "somebody"}, a_record(), SALT)
    assert "somebody" not in str(raised.value)


def test_a_public_body_that_another_language_would_write_differently_is_not_written():
    with pytest.raises(canonical.NotCanonical):
        make({"kind": "directory", "body": {"version": 1.5, "digest": "x"}}, None, SALT)


@given(
    st.binary(min_size=1, max_size=60),
    st.one_of(st.just(b""), st.binary(min_size=34, max_size=90)),
    st.binary(max_size=60),
)
def test_a_frame_gives_back_what_was_put_in(leaf, salted, sealed):
    data = b"before" + frame(leaf, salted, sealed) + b"after"
    framed = unframe(data, 6, len(data))
    assert framed is not None
    assert framed == (len(data) - 5, leaf, salted, sealed)
    entry = stored(3, framed)
    assert (entry.index, entry.salt + (entry.record or b""), entry.sealed) == (3, salted, sealed)


def test_a_frame_is_the_documented_bytes():
    rest = b"\x02\0\0\0{}" + b"\0\0\0\0" + b"\x03\0\0\0abc"
    assert (
        frame(b"{}", b"", b"abc")
        == b"TBE1" + len(rest).to_bytes(4, "little") + zlib.crc32(rest).to_bytes(4, "little") + rest
    )


def test_a_frame_written_together_with_the_one_before_is_the_documented_bytes():
    whole = frame(b"{}", b"", b"abc")
    head, rest = together(whole)
    assert head == b"TBE2" + whole[4:8] + (zlib.crc32(rest) ^ 0xFFFFFFFF).to_bytes(4, "little")
    assert rest == whole[12:]
    assert unframe(head + bytes(rest), 0, len(whole)) == unframe(whole, 0, len(whole))


def test_one_magic_in_the_place_of_the_other_is_no_frame():
    whole = frame(b"{}", b"", b"abc")
    other = b"".join(together(whole))
    assert unframe(b"TBE2" + whole[4:], 0, len(whole)) is None
    assert unframe(b"TBE1" + other[4:], 0, len(other)) is None


def test_no_beginning_of_a_frame_and_no_frame_with_a_flipped_bit_is_taken_for_one():
    data = frame(*make(CALL, {"nonce": 1}, SALT), b"sealed")
    assert unframe(data, 0, len(data))
    for cut in range(len(data)):
        assert unframe(data[:cut], 0, cut) is None
        assert unframe(data, 0, cut) is None
    for place, bit in itertools.product(range(len(data)), range(8)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << bit
        assert unframe(bytes(flipped), 0, len(data)) is None


@pytest.mark.parametrize(
    "rest", [b"", b"\0\0\0\0", b"\x09\0\0\0{}" + bytes(8), b"\xff\xff\xff\xff", bytes(13), bytes(11)]
)
def test_a_frame_whose_lengths_contradict_each_other_is_none_however_good_its_sum(rest):
    data = b"TBE1" + len(rest).to_bytes(4, "little") + zlib.crc32(rest).to_bytes(4, "little") + rest
    assert unframe(data, 0, len(data)) is None


def test_an_entry_larger_than_a_frame_may_be_is_not_written():
    with pytest.raises(EntryInvalid):
        frame(b"{}", b"", bytes(LARGEST))


def test_a_pseudonym_is_the_documented_mac():
    key = bytes(32)
    mac = hmac.new(key, b"tongban/subject/1\npassport\nG12345678", "sha256").digest()[:16]
    assert pseudonym(key, "passport", "G12345678") == urlsafe_b64encode(mac).decode().rstrip("=")
    assert len(pseudonym(key, "passport", "G12345678")) == 22


def test_two_logs_and_two_domains_give_one_person_different_names():
    names = {pseudonym(key, domain, "1") for key in (bytes(32), SALT) for domain in ("citizen", "passport")}
    assert len(names) == 4


def test_the_persons_of_a_batch_are_committed_one_by_one():
    salt = bytes(32)
    first, second = (hashlib.sha256(b"tongban/person/1\n" + salt + name + b"\x40").digest() for name in (b"A", b"B"))
    assert person_leaf(salt, "A", 0x40) == first
    assert persons_root(salt, [("A", 0x40), ("B", 0x40)]) == node_hash(leaf_hash(first), leaf_hash(second))
    assert persons_root(salt, [("A", 0x40), ("B", 0x41)]) != persons_root(salt, [("A", 0x40), ("B", 0x40)])
