"""Answers: signed over what they answer, and rebuilt from the log."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.world import ANSWERING_KEY, CIVIL_AFFAIRS, NOON, PROVIDER_NODE
from tongban.exchange.envelope import (
    ARROW,
    JSON,
    AnswerEnvelope,
    answer_base,
    answer_type,
    read_answer,
    sign_answer,
)
from tongban.kit.clock import stamp
from tongban.kit.errors import Refused

BODY = b'{"directory":1,"masked":[],"records":[]}'
ORIGIN = f"{CIVIL_AFFAIRS}/{PROVIDER_NODE}"


def an_answer(**change):
    said = {
        "status": 200, "content_type": JSON, "content_digest": hashlib.sha256(BODY).digest(), "node": PROVIDER_NODE,
        "request_digest": "ab" * 32, "entry": 0, "leaf": "cd" * 32, "origin": ORIGIN, "created": NOON,
    }  # fmt: skip
    return sign_answer(ANSWERING_KEY, **(said | change))


HEADERS = an_answer().headers
NAMES = [name for name, _ in HEADERS]


def believed(status, headers) -> bool:
    read = read_answer(status, headers)
    return isinstance(read, AnswerEnvelope) and ANSWERING_KEY.public.verifies(read.base, read.signature)


def test_an_answer_says_what_it_answers_and_where_it_is_logged():
    read = read_answer(200, HEADERS)
    assert isinstance(read, AnswerEnvelope)
    assert (read.request_digest, read.entry, read.leaf, read.origin) == ("ab" * 32, 0, "cd" * 32, ORIGIN)
    assert (read.status, read.node, read.created, read.key_id) == (200, PROVIDER_NODE, NOON, ANSWERING_KEY.id)
    assert read.content_digest == hashlib.sha256(BODY).digest()
    assert believed(200, HEADERS)


def test_a_refusal_cannot_be_turned_into_an_answer_by_its_status():
    refusal = an_answer(status=403)
    assert believed(403, refusal.headers)
    assert not believed(200, refusal.headers)


@pytest.mark.parametrize("name", NAMES)
def test_without_one_of_its_headers_an_answer_is_none(name):
    read = read_answer(200, [pair for pair in HEADERS if pair[0] != name])
    assert isinstance(read, Refused)
    assert read.code == "exchange.answer_unsigned"


@pytest.mark.parametrize("name", NAMES)
def test_a_header_that_stands_twice_spoils_the_answer(name):
    read = read_answer(200, [*HEADERS, (name, dict(HEADERS)[name])])
    assert isinstance(read, Refused)
    assert read.code == "exchange.answer_malformed"


@given(st.data())
def test_a_single_changed_byte_anywhere_is_noticed(data):
    name = data.draw(st.sampled_from(NAMES))
    value = dict(HEADERS)[name]
    at = data.draw(st.integers(0, len(value) - 1))
    other = bytes([data.draw(st.integers(0, 255).filter(lambda byte: byte != value[at]))])
    changed = [(one, value[:at] + other + value[at + 1 :] if one == name else old) for one, old in HEADERS]
    assert not believed(200, changed)


@given(st.integers(-5, 1000), st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=40)), max_size=12))
def test_no_answer_whatever_breaks_the_reader(status, headers):
    assert isinstance(read_answer(status, headers), Refused)


@pytest.mark.parametrize(
    ("call", "status", "expected"),
    [("query", 200, JSON), ("verify", 200, JSON), ("match", 200, ARROW), ("match", 403, JSON), ("query", 503, JSON)],
)
def test_only_an_answered_batch_is_arrow(call, status, expected):
    assert answer_type(call, status) == expected


@given(
    st.sampled_from(["query", "verify", "match"]), st.sampled_from([200, 400, 403, 503]), st.integers(0, 10**9),
    st.integers(1, 2**31), st.binary(min_size=32, max_size=32),
)  # fmt: skip
def test_the_signed_bytes_are_found_again_from_the_record(call, status, entry, created, digest):
    record = {
        "call": call, "status": status, "body": digest.hex(), "node": PROVIDER_NODE, "request": "12" * 32,
        "at": stamp(created), "answer_key": ANSWERING_KEY.id, "operator": "T-0417",
    }  # fmt: skip
    signed = an_answer(
        status=status, content_type=answer_type(call, status), content_digest=digest, request_digest="12" * 32,
        entry=entry, created=created,
    )  # fmt: skip
    assert answer_base(record, entry=entry, leaf="cd" * 32, origin=ORIGIN) == signed.base
    read = read_answer(status, signed.headers)
    assert isinstance(read, AnswerEnvelope)
    assert read.base == signed.base
