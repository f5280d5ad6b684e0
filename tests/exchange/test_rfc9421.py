"""The profile is RFC 9421: its vectors hold, and a library that we did not write agrees both ways."""

import base64
import dataclasses
import datetime
import hmac
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureComponentResolver,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)

from tests.exchange import rfc9421
from tests.world import ANSWERING_KEY, CALLING_KEY, NOON, PROVIDER_NODE, a_request
from tongban.exchange import envelope
from tongban.exchange.envelope import Envelope, read_request
from tongban.kit.keys import PublicKey, SigningKey

REQUEST = {
    "host": "example.com",
    "date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "content-type": "application/json",
    "content-length": "18",
}
ANSWER = {
    "date": "Tue, 20 Apr 2021 02:07:56 GMT",
    "content-type": "application/json",
    "content-digest": "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWd"
    "XymyU0rjJuahq4l5aGgfLQ==:",
    "content-length": "23",
}
ED25519 = PublicKey("test-key-ed25519", base64.b64decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="))
ED25519_SEED = base64.b64decode("n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU=")
P256 = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----
"""
SHARED = base64.b64decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")

B24 = "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw=="
B25 = "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="
B26 = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="


def test_vector_b_2_4_verifies_over_the_base_we_build():
    covered = ("@status", "content-type", "content-digest", "content-length")
    built = rfc9421.of_answer(200, ANSWER, covered, ';created=1618884473;keyid="test-key-ecc-p256"')
    raw = base64.b64decode(B24)
    signature = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = load_pem_public_key(P256)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, built, ec.ECDSA(SHA256()))


def test_vector_b_2_5_comes_out_byte_for_byte():
    covered = ("date", "@authority", "content-type")
    built = rfc9421.of_request("POST", "/foo", REQUEST, covered, ';created=1618884473;keyid="test-shared-secret"')
    assert base64.b64encode(hmac.digest(SHARED, built, "sha256")).decode() == B25


def test_vector_b_2_6_comes_out_byte_for_byte_and_verifies_with_our_keys():
    covered = ("date", "@method", "@path", "@authority", "content-type", "content-length")
    built = rfc9421.of_request("POST", "/foo", REQUEST, covered, ';created=1618884473;keyid="test-key-ed25519"')
    assert base64.b64encode(SigningKey("test-key-ed25519", ED25519_SEED).sign(built)).decode() == B26
    assert ED25519.verifies(built, base64.b64decode(B26))
    assert not ED25519.verifies(built + b" ", base64.b64decode(B26))


def test_the_profile_s_request_base_is_the_general_base():
    request = a_request()
    headers = {name.decode(): value.decode() for name, value in request.headers}
    parameters = headers["signature-input"].partition(")")[2]
    assert rfc9421.of_request("POST", "/v1/query", headers, envelope.COMPONENTS, parameters) == request.base


def test_the_profile_s_answer_base_is_the_general_base():
    signed = an_answer()
    headers = {name.decode(): value.decode() for name, value in signed.headers}
    covered = [part.strip('"') for part in headers["signature-input"].partition("(")[2].partition(")")[0].split()]
    parameters = headers["signature-input"].partition(")")[2]
    assert rfc9421.of_answer(200, headers, covered, parameters) == signed.base


# The library http-message-signatures, which knows nothing of us.


class Keys(HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id):
        key = {one.id: one for one in (CALLING_KEY, ANSWERING_KEY)}[key_id]
        return ed25519.Ed25519PublicKey.from_public_bytes(key.public.public)

    def resolve_private_key(self, key_id):
        assert key_id == CALLING_KEY.id
        return ed25519.Ed25519PrivateKey.from_private_bytes(CALLING_KEY._secret[:32])


class Verifier(HTTPMessageVerifier):
    """Its clock stands at the world's noon."""

    def validate_created_and_expires(self, sig_input, max_age=None):
        assert sig_input.params["created"] == NOON


@dataclass
class Request:
    method: str = "POST"
    url: str = "http://127.0.0.1:8000/v1/query"
    headers: dict[str, str] = field(default_factory=dict)


def an_answer():
    return envelope.sign_answer(
        ANSWERING_KEY,
        status=200,
        content_type=envelope.JSON,
        content_digest=bytes(range(32)),
        node=PROVIDER_NODE,
        request_digest="ab" * 32,
        entry=7,
        leaf="cd" * 32,
        origin="11990100TB000001XB/civil-affairs",
        created=NOON,
    )


def verifier():
    return Verifier(
        signature_algorithm=algorithms.ED25519,
        key_resolver=Keys(),
        component_resolver_class=HTTPSignatureComponentResolver,
    )


def test_the_library_verifies_a_request_that_we_sign():
    headers = {name.decode(): value.decode() for name, value in a_request().headers}
    [result] = verifier().verify(Request(headers=headers), max_age=None, expect_tag="tongban-1")
    assert result.label == "tb"
    assert [name.strip('"') for name in result.covered_components][:-1] == list(envelope.COMPONENTS)


def test_the_library_refuses_what_was_changed_on_the_way():
    headers = {name.decode(): value.decode() for name, value in a_request().headers}
    headers["tongban-purpose"] = "statistics"
    with pytest.raises(InvalidSignature):
        verifier().verify(Request(headers=headers), max_age=None, expect_tag="tongban-1")


def test_the_library_verifies_an_answer_that_we_sign():
    headers = {name.decode(): value.decode() for name, value in an_answer().headers}
    answer = SimpleNamespace(status_code=200, headers=headers, request=None, url="")
    [result] = verifier().verify(answer, max_age=None, expect_tag="tongban-1-answer")
    assert result.label == "tb"


def test_we_verify_a_request_that_the_library_builds_in_our_profile():
    headers = {name.decode(): value.decode() for name, value in a_request().headers[:-2]}
    request = Request(headers=headers)
    signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=Keys())
    prepared = signer.prepare(
        request,
        key_id=CALLING_KEY.id,
        created=datetime.datetime.fromtimestamp(NOON, datetime.UTC),
        expires=datetime.datetime.fromtimestamp(NOON + 60, datetime.UTC),
        nonce="n" * 22,
        label="tb",
        tag="tongban-1",
        covered_component_ids=envelope.COMPONENTS,
        use_existing_digest=True,
    )
    # The library writes parameters in its own order; `apply` builds the base again and compares.
    opening, *parameters = prepared.signature_params.split(";")
    order = ("created", "expires", "nonce", "keyid", "alg", "tag")
    ours = ";".join([opening, *sorted(parameters, key=lambda one: order.index(one.partition("=")[0]))])
    base = prepared.signature_base.decode().replace(prepared.signature_params, ours).encode()
    signature = Keys().resolve_private_key(CALLING_KEY.id).sign(base)
    signer.apply(request, dataclasses.replace(prepared, signature_params=ours, signature_base=base), signature)
    raw = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    read = read_request(b"POST", b"/v1/query", raw)
    assert isinstance(read, Envelope), read
    assert CALLING_KEY.public.verifies(read.base, read.signature)
    assert (read.base, read.signature) == (a_request().base, a_request().signature)
