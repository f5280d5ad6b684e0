"""Bodies of `query` and `verify`: about whom, and what.

Canonical JSON (RFC 8785), so that no two readers can find two questions in one body.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec
import orjson

from tongban.kit import canonical
from tongban.kit.errors import Refused

Value = str | int | bool | None
_NOT_CANONICAL: Final = Refused("exchange.bad_request", "the body is not canonical JSON of this kind of call")


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    domain: str
    key: str


class _About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """About whom. Whether the key is one of its domain is the node's to judge; here both are texts."""

    subject: Asked

    @property
    def domain(self) -> str:
        return self.subject.domain

    @property
    def key(self) -> str:
        return self.subject.key


class Query(_About, frozen=True, forbid_unknown_fields=True):
    fields: list[str]


class Verify(_About, frozen=True, forbid_unknown_fields=True):
    asks: dict[str, Value]


_Body = TypeVar("_Body", Query, Verify)
_query: Final = msgspec.json.Decoder(Query)
_verify: Final = msgspec.json.Decoder(Verify)


def write_query(domain: str, key: str, fields: Iterable[str]) -> bytes:
    return canonical.encode({"subject": {"domain": domain, "key": key}, "fields": [*fields]})


def write_verify(domain: str, key: str, asks: Mapping[str, Any]) -> bytes:
    return canonical.encode({"subject": {"domain": domain, "key": key}, "asks": dict(asks)})


def read_query(body: bytes) -> Query | Refused:
    """The query in `body`: at least one field, none twice."""
    found = _read(body, _query)
    if isinstance(found, Query) and (not found.fields or len(set(found.fields)) != len(found.fields)):
        return Refused("exchange.bad_request", "a query asks for at least one field and for none twice")
    return found


def read_verify(body: bytes) -> Verify | Refused:
    return _read(body, _verify)


def _read(body: bytes, decoder: msgspec.json.Decoder[_Body]) -> _Body | Refused:
    try:
        found = decoder.decode(body)
        # A key that stands twice means one thing to one reader and another to the next.
        return found if canonical.encode(orjson.loads(body)) == body else _NOT_CANONICAL
    except (msgspec.MsgspecError, UnicodeDecodeError, orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        return _NOT_CANONICAL
