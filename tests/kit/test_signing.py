"""Signatures: RFC 8032's own, another implementation's, and everything that is none."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tongban.kit.keys import PublicKey, SigningKey

#: RFC 8032, section 7.1: secret key, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]
KEY = SigningKey("transport.online.1", bytes(range(32)))
MESSAGE = b"tongban/1 grant\n{}"


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_signatures_are_those_of_the_rfc(secret, public, message, signature):
    key = SigningKey("rfc.online.1", bytes.fromhex(secret))
    assert key.public.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert key.public.verifies(bytes.fromhex(message), bytes.fromhex(signature))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=5000))
def test_another_implementation_signs_the_same(seed, message):
    key, other = SigningKey("some.online.1", seed), Ed25519PrivateKey.from_private_bytes(seed)
    assert key.sign(message) == other.sign(message)
    assert key.public.public == other.public_key().public_bytes_raw()
    other.public_key().verify(key.sign(message), message)


@given(st.integers(0, 64 * 8 - 1))
def test_a_signature_with_any_bit_changed_is_none(bit):
    changed = bytearray(KEY.sign(MESSAGE))
    changed[bit // 8] ^= 1 << bit % 8
    assert not KEY.public.verifies(MESSAGE, bytes(changed))


@given(st.integers(0, len(MESSAGE) * 8 - 1))
def test_a_message_with_any_bit_changed_is_not_signed(bit):
    changed = bytearray(MESSAGE)
    changed[bit // 8] ^= 1 << bit % 8
    assert not KEY.public.verifies(bytes(changed), KEY.sign(MESSAGE))


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_what_has_not_64_bytes_is_no_signature(length):
    assert not KEY.public.verifies(MESSAGE, (KEY.sign(MESSAGE) * 2)[:length])


def test_the_message_s_own_bytes_do_not_complete_a_short_signature():
    signature = KEY.sign(MESSAGE)
    assert not KEY.public.verifies(signature[63:] + MESSAGE, signature[:63])
    assert not KEY.public.verifies(MESSAGE[1:], signature + MESSAGE[:1])


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_public_key_of_another_length_verifies_nothing(length):
    assert not PublicKey("short.online.1", (KEY.public.public * 2)[:length]).verifies(MESSAGE, KEY.sign(MESSAGE))


def test_another_s_key_does_not_verify():
    assert not SigningKey("tax.online.1", bytes(32)).public.verifies(MESSAGE, KEY.sign(MESSAGE))


def test_a_point_of_small_order_verifies_nothing():
    """With such a key (here the neutral element) one signature would hold over every message."""
    neutral = bytes([1, *[0] * 31])
    assert not PublicKey("weak.online.1", neutral).verifies(MESSAGE, neutral + bytes(32))
