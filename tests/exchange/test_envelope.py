"""Requests: what is refused, and that nothing can be changed on the way."""

import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.full import count
from tests.world import CALLING_KEY, NOON, a_call, a_request
from tongban.exchange.envelope import (
    COMPONENTS,
    LONGEST_ANSWER,
    LONGEST_TICKET,
    Call,
    Envelope,
    NotSendable,
    fresh,
    read_request,
    sign_request,
)
from tongban.kit.errors import Refused

POST, PATH = b"POST", b"/v1/query"
HEADERS = a_request(b"body").headers
NAMES = [name for name, _ in HEADERS]


def changed(name: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
    return [(one, value if one == name else old) for one, old in HEADERS]


def value_of(name: bytes) -> bytes:
    return dict(HEADERS)[name]


def an_envelope(headers=HEADERS) -> Envelope:
    read = read_request(POST, PATH, headers)
    assert isinstance(read, Envelope), read
    return read


def code(headers, method=POST, path=PATH) -> str:
    read = read_request(method, path, headers)
    assert isinstance(read, Refused)
    return read.code


def believed(method: bytes, path: bytes, headers) -> bool:
    """Whether somebody would take the message for the caller's."""
    read = read_request(method, path, headers)
    return isinstance(read, Envelope) and CALLING_KEY.public.verifies(read.base, read.signature)


# What is read


def test_a_good_request_says_what_the_caller_asked():
    read, call = an_envelope(), a_call()
    assert {name: getattr(read, name) for name in Call.__slots__} == {
        name: getattr(call, name) for name in Call.__slots__
    }
    assert (read.created, read.expires, read.nonce, read.key_id) == (NOON, NOON + 60, "n" * 22, CALLING_KEY.id)
    assert read.content_digest == hashlib.sha256(b"body").digest()
    assert CALLING_KEY.public.verifies(read.base, read.signature)


def test_reader_and_signer_agree_on_the_three_digests():
    signed, read = a_request(b"body"), an_envelope()
    assert (read.base, read.signature) == (signed.base, signed.signature)
    assert read.request_digest == signed.request_digest == hashlib.sha256(signed.base).hexdigest()
    assert read.intent == signed.intent


def test_the_intent_is_the_protocol_s_ten_lines():
    kept = ("@method", "@path", "content-digest", "tongban-consumer", "tongban-provider", "tongban-node",
            "tongban-resource", "tongban-grant", "tongban-purpose", "tongban-case")  # fmt: skip
    lines = [line for line in an_envelope().base.decode().split("\n") if line[1:].partition('"')[0] in kept]
    assert len(lines) == 10
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == an_envelope().intent


@pytest.mark.parametrize(
    "change",
    [{"nonce": "m" * 22}, {"created": NOON + 1}, {"operator": "T-0001"}, {"idempotency": "another-key"}],
)
def test_the_intent_does_not_depend_on_who_carries_the_call_or_when(change):
    assert a_request(b"body", **change).intent == a_request(b"body").intent


@pytest.mark.parametrize("change", [{"purpose": "statistics"}, {"case": "KC-2014-000002"}, {"grant": "B" * 22}])
def test_another_purpose_case_or_grant_is_another_intent(change):
    assert a_request(b"body", **change).intent != a_request(b"body").intent
    assert a_request(b"other").intent != a_request(b"body").intent


def test_headers_that_are_not_covered_are_nobody_s_business():
    more = [(b"host", b"gateway"), (b"x-forwarded-for", b"10.0.0.1"), (b"x-forwarded-for", b"10.0.0.2")]
    assert believed(POST, PATH, [*more, *reversed(HEADERS)])


# Where it is sent


@pytest.mark.parametrize("path", [b"/v1/queries", b"/v1/query/", b"/v1/query?x", b"/v2/query", b"/", b"", b"/v1/Query"])
def test_only_the_three_paths_are_answered(path):
    assert code(HEADERS, path=path) == "exchange.unknown_path"


def test_only_post_is_a_call():
    assert code(HEADERS, method=b"GET") == "exchange.wrong_method"
    assert code(HEADERS, method=b"post") == "exchange.wrong_method"


def test_a_request_for_one_path_is_nobody_s_at_another():
    assert not believed(POST, b"/v1/verify", HEADERS)


def test_a_batch_must_be_arrow_and_a_query_json():
    assert code(HEADERS, path=b"/v1/match") == "exchange.wrong_content_type"
    assert code(changed(b"content-type", b"application/vnd.apache.arrow.stream")) == "exchange.wrong_content_type"


# Missing, doubled, malformed


@pytest.mark.parametrize("name", NAMES)
def test_every_header_is_mandatory(name):
    expected = "exchange.ticket_missing" if name == b"tongban-ticket" else "exchange.header_missing"
    assert code([pair for pair in HEADERS if pair[0] != name]) == expected


@pytest.mark.parametrize("name", NAMES)
def test_no_header_may_stand_twice_even_with_the_same_value(name):
    assert code([*HEADERS, (name, value_of(name))]) == "exchange.header_doubled"
    assert code([(name, b"other"), *HEADERS]) == "exchange.header_doubled"


@pytest.mark.parametrize("name", NAMES[:12])
@pytest.mark.parametrize("value", [b"", b" x", b"x ", b"a\nb", b"a\tb", b"\x7f", "é".encode(), b"\xff", b"a\x00b"])
def test_a_value_outside_its_form_is_refused_by_name(name, value):
    read = read_request(POST, PATH, changed(name, value))
    assert isinstance(read, Refused)
    assert read.code == "exchange.header_malformed"
    assert name.decode() in read.reason


def test_a_line_feed_cannot_make_two_headers_of_one():
    moved = value_of(b"tongban-purpose") + b"\n" + value_of(b"tongban-ticket")
    assert code(changed(b"tongban-purpose", moved)) == "exchange.header_malformed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"content-digest", b"sha-512=:" + b"A" * 86 + b"==:"),
        (b"content-digest", b"sha-256=:" + b"A" * 42 + b"B=:"),  # spare bits set: another spelling
        (b"content-digest", value_of(b"content-digest") + b", " + value_of(b"content-digest")),
        (b"tongban-consumer", b"11990100tb0000028b"),
        (b"tongban-node", b"Civil-Affairs"),
        (b"tongban-node", b"n" * 41),
        (b"tongban-resource", b"marriage"),
        (b"tongban-grant", b"A" * 21),
        (b"tongban-ticket", b"A" * (LONGEST_TICKET + 1)),
        (b"tongban-ticket", b"AA=="),
        (b"tongban-case", b"x" * 129),
        (b"tongban-idempotency", b"short"),
        (b"tongban-idempotency", b"x" * 65),
    ],
)
def test_forms_are_exact(name, value):
    assert code(changed(name, value)) == "exchange.header_malformed"


def test_the_longest_ticket_is_read():
    assert isinstance(read_request(POST, PATH, changed(b"tongban-ticket", b"A" * LONGEST_TICKET)), Envelope)


INPUT = value_of(b"signature-input").decode()


@pytest.mark.parametrize(
    "value",
    [
        INPUT.replace("tb=", "sig="),
        INPUT + ", " + INPUT.replace("tb=", "sig1="),
        INPUT.replace('"@method" "@path"', '"@path" "@method"'),
        INPUT.replace(' "tongban-case"', ""),
        INPUT.replace("(", '("host" '),
        INPUT.replace('"tongban-case"', '"tongban-case";sf'),
        INPUT.replace(';alg="ed25519"', ""),
        INPUT.replace('"ed25519"', '"hmac-sha256"'),
        INPUT.replace('"ed25519"', '"rsa-pss-sha512"'),
        INPUT.replace('"ed25519"', '"ED25519"'),
        INPUT.replace('"tongban-1"', '"tongban-2"'),
        INPUT.replace('"tongban-1"', '"tongban-1-answer"'),
        INPUT.replace(";created=", ";created=0"),
        INPUT.replace(";created=", ";created=-"),
        INPUT.replace(f";expires={NOON + 60}", ""),
        INPUT.replace(f"created={NOON};expires={NOON + 60}", f"expires={NOON + 60};created={NOON}"),
        INPUT.replace('"nnnn', '"nn\\n'),
        INPUT.replace("n" * 22, "n" * 15),
        INPUT.replace("n" * 22, "n" * 45),
        INPUT.replace("; ", ";") + ";x=1",
        INPUT.replace(";nonce", "; nonce"),
        INPUT.replace(") ;", ");") + " ",
        "",
    ],
)
def test_signature_parameters_of_any_other_profile_are_refused(value):
    assert value != INPUT
    assert code(changed(b"signature-input", value.encode())) == "exchange.signature_malformed"


SIGNATURE = value_of(b"signature").decode()


@pytest.mark.parametrize(
    "value",
    [
        SIGNATURE.replace("tb=", "sig="),
        SIGNATURE[:-1],
        SIGNATURE + " ",
        SIGNATURE.replace("==:", ":"),
        SIGNATURE.replace("tb=:", "tb=:A"),
        "tb=:" + "A" * 85 + "B==:",
        "tb=:" + "A" * 84 + "-A==:",
        SIGNATURE + ", " + SIGNATURE.replace("tb=", "sig1="),
        "",
    ],
)
def test_a_signature_has_one_spelling(value):
    assert code(changed(b"signature", value.encode())) == "exchange.signature_malformed"


# Nothing can be changed on the way


@given(st.data())
def test_a_single_changed_byte_anywhere_is_noticed(data):
    name = data.draw(st.sampled_from(NAMES))
    value = value_of(name)
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != value[at]))
    assert not believed(POST, PATH, changed(name, value[:at] + bytes([other]) + value[at + 1 :]))


@given(st.data())
def test_a_byte_more_or_less_anywhere_is_noticed(data):
    name = data.draw(st.sampled_from(NAMES))
    value = value_of(name)
    at = data.draw(st.integers(0, len(value)))
    more = data.draw(st.binary(min_size=1, max_size=3))
    assert not believed(POST, PATH, changed(name, value[:at] + more + value[at:]))
    if at < len(value):
        assert not believed(POST, PATH, changed(name, value[:at] + value[at + 1 :]))


def test_every_bit_of_the_signature_counts():
    """All 93 bytes in turn, each with every other character base64 has."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=:"
    value = value_of(b"signature")
    picked = [*random.Random(8).sample(range(len(value)), 12), len(value) - 4]
    for at in picked:
        for letter in letters:
            if letter != value[at]:
                assert not believed(POST, PATH, changed(b"signature", value[:at] + bytes([letter]) + value[at + 1 :]))


@given(st.lists(st.tuples(st.sampled_from([*NAMES, b"host"]), st.binary(max_size=40)), max_size=20))
def test_no_headers_whatever_break_the_reader(headers):
    assert isinstance(read_request(POST, PATH, headers), Refused)


@given(st.binary(max_size=400))
def test_no_signature_input_whatever_breaks_the_reader(value):
    assert code(changed(b"signature-input", value)) == "exchange.signature_malformed"


# The reader takes what the signer makes, whatever it says.

printable = st.from_regex(r"[!-~]([ -~]{0,30}[!-~])?", fullmatch=True)


@given(printable, printable, printable, st.from_regex(r"[A-Za-z0-9_-]{8,64}", fullmatch=True))
def test_what_is_signed_is_read_back(purpose, case, operator, idempotency):
    signed = a_request(purpose=purpose, case=case, operator=operator, idempotency=idempotency, ticket="t")
    read = read_request(POST, PATH, signed.headers)
    assert isinstance(read, Envelope)
    assert (read.purpose, read.case, read.operator, read.idempotency) == (purpose, case, operator, idempotency)
    assert believed(POST, PATH, signed.headers)


def test_a_small_fuzz_of_mixed_messages_never_passes_for_another():
    """Headers of two good messages mixed at random: only the two themselves are believed."""
    other = a_request(b"other", nonce="m" * 22, purpose="statistics", case="KC-2014-000009", idempotency="second-one")
    mixes = random.Random(1)
    for _ in range(count("exchange", 300, 200_000)):
        mixed = [mixes.choice(pair) for pair in zip(HEADERS, other.headers, strict=True)]
        differs = {
            name for name, value in mixed if value_of(name) != value and name not in (b"signature", b"signature-input")
        }
        believed_whole = mixed in (HEADERS, other.headers)
        assert believed(POST, PATH, mixed) == believed_whole, differs


# Freshness


def lived(created: int, expires: int) -> Envelope:
    return an_envelope(a_request(created=created, expires=expires).headers)


@pytest.mark.parametrize(
    ("created", "expires", "now", "expected"),
    [
        (NOON, NOON + 60, NOON, None),
        (NOON, NOON + 60, NOON + 30, None),
        (NOON, NOON + 60, NOON + 30.5, "exchange.clock_skew"),
        (NOON, NOON + 60, NOON - 30, None),
        (NOON, NOON + 60, NOON - 30.5, "exchange.clock_skew"),
        (NOON, NOON + 60, NOON + 60, "exchange.clock_skew"),
        (NOON, NOON + 5, NOON + 4.9, None),
        (NOON, NOON + 5, NOON + 5, "exchange.envelope_expired"),
        (NOON, NOON + 61, NOON, "exchange.bad_lifetime"),
        (NOON, NOON, NOON, "exchange.bad_lifetime"),
        (NOON, NOON - 1, NOON, "exchange.bad_lifetime"),
    ],
)
def test_a_message_is_of_its_moment(created, expires, now, expected):
    refused = fresh(lived(created, expires), now)
    assert (refused.code if refused else None) == expected


# Signing


@pytest.mark.parametrize(
    "change",
    [
        {"call": "table"},
        {"consumer": "transport"},
        {"purpose": "两个字"},
        {"case": "a\nb"},
        {"case": " a"},
        {"operator": ""},
        {"ticket": "A" * (LONGEST_TICKET + 1)},
        {"resource": "civil_affairs"},
        {"idempotency": "short"},
    ],
)
def test_what_no_reader_would_take_cannot_be_asked(change):
    with pytest.raises(NotSendable):
        a_call(**change)


@pytest.mark.parametrize("change", [{"nonce": "short"}, {"created": -1}, {"nonce": 'n"' * 11}])
def test_what_no_reader_would_take_cannot_be_signed(change):
    times = {"nonce": "n" * 22, "created": NOON, "expires": NOON + 60} | change
    with pytest.raises(NotSendable):
        sign_request(CALLING_KEY, a_call(), bytes(32), **times)


def test_a_digest_has_32_bytes():
    with pytest.raises(NotSendable):
        sign_request(CALLING_KEY, a_call(), b"short", nonce="n" * 22, created=NOON, expires=NOON + 60)


def test_components_are_the_protocol_s():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "protocol.md").read_text()
    assert " ".join(f'"{name}"' for name in COMPONENTS) in page


def test_the_longest_answers_are_those_of_the_page():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "protocol.md").read_text()
    one, batch = (LONGEST_ANSWER[call] // 1024**2 for call in ("query", "match"))
    assert (
        f"{one} MiB ({LONGEST_ANSWER['verify']:,} bytes) for `query` and `verify`, and {batch} MiB for `match`" in page
    )
