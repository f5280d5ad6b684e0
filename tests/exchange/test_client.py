"""A consumer believes an answer only with signature, entry and leaf, and only the answer to its own request."""

import hashlib
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchange.city import ANSWERING_KEY, adopted
from tests.world import CALLING_KEY, CIVIL_AFFAIRS, NOON, PROVIDER_NODE, TAX_KEY, a_call
from tongban.exchange import receipt, refusals
from tongban.exchange.ask import write_query
from tongban.exchange.client import Answer, judge, prepare
from tongban.exchange.envelope import ARROW, JSON, read_request, sign_answer
from tongban.exchange.receipt import Receipt
from tongban.kit.errors import Refused

BODY = b'{"directory":1,"masked":[],"records":[]}'
REFUSED = refusals.write(Refused("exchange.no_grant", "no grant"), NOON)
PREPARED = prepare(
    CALLING_KEY, a_call(), write_query("citizen", "990101198002299016", ["status"]), nonce="n" * 22, now=NOON + 0.5
)
DIRECTORY = adopted()


def find_key(key_id, node):
    return DIRECTORY.answer_key(key_id, node, NOON)


def an_answer(key=ANSWERING_KEY, body=BODY, **change):
    said = {
        "status": 200, "content_type": JSON, "content_digest": hashlib.sha256(body).digest(), "node": PROVIDER_NODE,
        "request_digest": PREPARED.signed.request_digest, "entry": 41, "leaf": "cd" * 32,
        "origin": f"{CIVIL_AFFAIRS}/{PROVIDER_NODE}", "created": NOON,
    }  # fmt: skip
    return sign_answer(key, **(said | change)).headers


def judged(headers=None, status=200, body=BODY, now=NOON):
    return judge(PREPARED, status, an_answer() if headers is None else headers, body, find_key, now)


def code(found):
    assert isinstance(found, Refused), found
    return found.code


def test_what_is_prepared_is_what_the_gate_reads():
    read = read_request(b"POST", PREPARED.path.encode(), PREPARED.signed.headers)
    assert not isinstance(read, Refused)
    assert read.content_digest == hashlib.sha256(PREPARED.body).digest()
    assert (read.created, read.expires) == (NOON, NOON + 60)


def test_a_good_answer_is_believed_and_leaves_a_receipt():
    found = judged()
    assert isinstance(found, Answer)
    assert (found.status, found.code, found.body) == (200, "", BODY)
    assert found.receipt(7) == Receipt(f"{CIVIL_AFFAIRS}/{PROVIDER_NODE}", 41, "cd" * 32, 7)


def test_a_signed_refusal_is_an_answer_too():
    found = judged(an_answer(status=403, body=REFUSED), 403, REFUSED)
    assert isinstance(found, Answer)
    assert found.code == "exchange.no_grant"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"request_digest": "00" * 32}, "exchange.answer_foreign"),
        ({"node": "transport"}, "exchange.answer_foreign"),
        ({"origin": f"{CIVIL_AFFAIRS}/other"}, "exchange.answer_foreign"),
        ({"origin": "11990100TB00000366/civil-affairs"}, "exchange.answer_foreign"),
        ({"key": TAX_KEY}, "exchange.unknown_key"),
        ({"key": CALLING_KEY}, "exchange.unknown_key"),
        ({"content_type": ARROW}, "exchange.answer_malformed"),
        ({"created": NOON - 31}, "exchange.answer_malformed"),
        ({"created": NOON + 31}, "exchange.answer_malformed"),
    ],
)
def test_an_answer_that_is_somebody_else_s_or_of_another_time_is_none(change, expected):
    assert code(judged(an_answer(**change))) == expected


def test_an_answer_under_the_right_name_by_another_key_is_forged():
    thief = type(ANSWERING_KEY)(ANSWERING_KEY.id, bytes(32))
    assert code(judged(an_answer(key=thief))) == "exchange.answer_forged"


def test_a_body_changed_on_the_way_is_noticed():
    assert code(judged(body=BODY.replace(b"[]", b"[1]"))) == "exchange.answer_altered"


def test_a_status_changed_on_the_way_is_noticed():
    assert code(judged(status=503)) == "exchange.answer_forged"


def test_an_unsigned_answer_is_no_answer_and_its_code_is_hearsay():
    found = judged(
        [(b"content-type", b"application/json")], 401, refusals.write(Refused("exchange.clock_skew", ""), NOON)
    )
    assert code(found) == "exchange.answer_unsigned"
    assert found.reason.endswith("it says exchange.clock_skew")
    made_up = judged([], 401, b'{"code":"990101198002299016"}')
    assert "990101" not in made_up.reason


def test_a_refusal_without_a_code_says_nothing():
    for body in (b"{}", b"no", b'{"code":1}', b"[]"):
        assert code(judged(an_answer(status=403, body=body), 403, body)) == "exchange.answer_malformed"


def test_a_revoked_key_answers_nothing():
    revoked = {**DIRECTORY.keys, ANSWERING_KEY.id: replace(DIRECTORY.keys[ANSWERING_KEY.id], revoked_at=NOON)}
    changed = replace(DIRECTORY, keys=revoked)
    found = judge(PREPARED, 200, an_answer(), BODY, lambda id, node: changed.answer_key(id, node, NOON), NOON)
    assert code(found) == "exchange.revoked_key"


@given(st.integers(0, 999), st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20))), st.binary(max_size=50))
def test_no_answer_whatever_breaks_the_judge(status, headers, body):
    assert isinstance(judge(PREPARED, status, headers, body, find_key, NOON), Refused)


# Receipts


def test_a_receipt_is_read_as_it_was_written():
    one = Receipt(f"{CIVIL_AFFAIRS}/{PROVIDER_NODE}", 41, "cd" * 32, 7)
    assert receipt.read(orjson.dumps(one.to_json()).decode()) == one
    assert one.to_json() == {"origin": one.origin, "entry": 41, "leaf": "cd" * 32, "own_entry": 7}


@pytest.mark.parametrize("text", ["", "{}", "[]", "证", '{"entry":-1,"leaf":"x","origin":"y","own_entry":true}'])
def test_anything_else_is_no_receipt(text):
    assert code(receipt.read(text)) == "exchange.receipt_malformed"
