"""How a person stands in a log's records: a name that only the log's owner can compute again."""

import hmac
from base64 import urlsafe_b64encode


def pseudonym(key: bytes, domain: str, normalised: str) -> str:
    """The person's name in one log.

    Shape
        key: the log's subject key, 32 bytes; domain: kind of identifier ("citizen", "passport", …);
        normalised: the identifier as the room `identity` normalises it.
        returns: 22 characters of base64url.
    """
    return spelt(unspelt(key, domain, normalised))


def unspelt(key: bytes, domain: str, normalised: str) -> bytes:
    """The 16 bytes that a pseudonym spells."""
    return hmac.digest(key, f"tongban/subject/1\n{domain}\n{normalised}".encode(), "sha256")[:16]


def spelt(name: bytes) -> str:
    return urlsafe_b64encode(name).rstrip(b"=").decode()
