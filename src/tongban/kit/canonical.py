"""Canonical bytes: the one way a value is written before it is hashed or signed.

RFC 8785 (JSON Canonicalization Scheme), narrowed so that every language agrees: object keys are
ASCII, numbers are integers within ±(2^53 − 1), no floats. Under this narrowing, sorting keys by
code point (what orjson does) and by UTF-16 unit (what the RFC says) is the same order.
"""

import hashlib
from typing import Any

import orjson

from tongban.kit.errors import Invalid

SAFE = 2**53 - 1
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATACLASS


class NotCanonical(Invalid):
    """A value that has no canonical bytes, or bytes that are not canonical."""

    code = "kit.not_canonical"
    message = "Not canonical JSON: {what}."
    remedy = "Write RFC 8785 JSON with ASCII keys and integers only."


def encode(value: Any) -> bytes:
    """Canonical bytes of `value`, which our own code built. For foreign values: `check` first."""
    return orjson.dumps(value, option=_OPTIONS)


def check(value: Any, depth: int = 32) -> None:
    """Raise NotCanonical unless `value` lies within the narrowed JSON, at most `depth` levels deep."""
    if depth == 0:
        raise NotCanonical(what="nested too deeply")
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if not -SAFE <= value <= SAFE:
            raise NotCanonical(what="an integer beyond 2^53")
        return
    if isinstance(value, list):
        for item in value:
            check(item, depth - 1)
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise NotCanonical(what="a key that is not ASCII text")
            check(item, depth - 1)
        return
    raise NotCanonical(what=f"a {type(value).__name__}")


def decode(data: bytes) -> Any:
    """The value of canonical `data`; NotCanonical if the same value would be written otherwise.

    Refusing other spellings keeps one value from having two digests, and catches doubled keys.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise NotCanonical(what="not JSON") from None
    check(value)
    if encode(value) != data:
        raise NotCanonical(what="other spacing, order, escapes or doubled keys")
    return value


def digest(value: Any) -> str:
    """SHA-256 of the canonical bytes, lower-case hexadecimal."""
    return hashlib.sha256(encode(value)).hexdigest()
