"""Grants: who may read which fields, of which resource, for what, until when.

A grant counts only with two signatures: the provider's approval key and a hub key. Either alone
is nothing, so that neither the hub nor a thief of its key can open a register.

The provider's node judges every call, on its own clock and its own directory: `refusal` with what
the headers say, `fields_refusal` and `rule_refusal` once the body is read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tongban.exchange import shape
from tongban.exchange.envelope import Asked
from tongban.kit.errors import Refused
from tongban.kit.keys import PublicKey
from tongban.kit.statement import Statement

LONGEST_DIRECTORY_AGE: Final = 72 * 3600  #: seconds; no directory is valid for longer
#: Seconds. A node remembers what was spent for as long; of a longer window it would forget calls, and answer too many.
LONGEST_WINDOW: Final = 366 * 86_400


@dataclass(frozen=True, slots=True)
class Row:
    """A condition on register rows: one whose `column` holds none of `values` is as if it were not there."""

    column: str
    values: frozenset[str | int]


@dataclass(frozen=True, slots=True)
class Quota:
    calls: int
    persons: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class Grant:
    id: str
    consumer: str  #: member that may call
    provider: str  #: member whose register it is
    node: str  #: the provider's
    resource: str
    call: str  #: query, verify or match
    fields: frozenset[str]  #: the only columns that may leave the provider; empty unless `query`
    rule: str | None  #: the only question that may be asked; None for `query`
    rule_digest: str | None
    rows: tuple[Row, ...]
    purpose: str  #: service item the data is for; compared exactly
    basis: str  #: law or agreement
    quota: Quota
    max_directory_age: int  #: seconds a cut-off node may go on answering
    not_before: int  #: seconds since 1970
    expires_at: int  #: refused AT this instant, not after
    issued_at: int
    digest: str  #: of the statement


_SCALAR: Final = shape.is_text(200)
_IN_LONG: Final = shape.integer(-(2**53) + 1, 2**53 - 1)
_ROW: Final = {
    "column": shape.is_field,
    "in": shape.list_of(lambda value: _SCALAR(value) or _IN_LONG(value), 1, 1000),
}
_QUOTA: Final = {
    "calls": shape.integer(1, 10**12),
    "persons": shape.integer(1, 10**12),
    "window_seconds": shape.integer(1, LONGEST_WINDOW),
}
SHAPE: Final[shape.Shape] = {
    "kind": shape.exactly("grant"),
    "id": shape.is_random,
    "consumer": shape.is_member,
    "provider": shape.is_member,
    "node": shape.is_node,
    "resource": shape.is_resource,
    "call": shape.exactly("query", "verify", "match"),
    "fields": shape.distinct(shape.is_field, 0, 500),
    "rule": shape.nullable(shape.is_rule),
    "rule_digest": shape.nullable(shape.is_digest),
    "rows": shape.list_of(shape.fields(_ROW), 0, 20),
    "purpose": shape.is_printable,
    "basis": shape.is_text(500),
    "quota": shape.fields(_QUOTA),
    "max_directory_age": shape.integer(1, LONGEST_DIRECTORY_AGE),
    "not_before": shape.is_stamp,
    "expires_at": shape.is_stamp,
    "issued_at": shape.is_stamp,
}


def from_statement(statement: Statement) -> Grant | Refused:
    """The grant that `statement` states. Its signatures are judged by `signature_refusal`."""
    body = dict(statement.body)
    if refused := shape.malformed(body, SHAPE, "exchange.grant_malformed", "a grant", _contradiction):
        return refused
    times = {name: shape.seconds(body[name]) for name in ("not_before", "expires_at", "issued_at")}
    rows = tuple(Row(row["column"], frozenset(row["in"])) for row in body["rows"])
    taken = {name: body[name] for name in SHAPE if name != "kind"}
    taken |= {"fields": frozenset(body["fields"]), "rows": rows, "quota": Quota(**body["quota"]), **times}
    return Grant(**taken, digest=statement.digest())


def _contradiction(body: Mapping[str, Any]) -> str | None:
    if body["call"] == "query":
        if not body["fields"] or body["rule"] is not None or body["rule_digest"] is not None:
            return "a query has fields and no rule"
    elif body["fields"] or body["rule"] is None or body["rule_digest"] is None:
        return f"a {body['call']} has a rule and its digest, and no fields"
    ended = shape.seconds(body["not_before"]) >= shape.seconds(body["expires_at"])
    return "it ends before it begins" if ended else None


def signature_refusal(
    statement: Statement, provider_keys: Iterable[PublicKey], hub_keys: Iterable[PublicKey]
) -> Refused | None:
    """Say which of the two signatures a grant lacks.

    `provider_keys` are the approval keys in force of the member the grant names as provider;
    `hub_keys` those the city's root gives the role `hub`.
    """
    if not statement.signed_by(provider_keys):
        return Refused("exchange.grant_unsigned_by_provider", "the provider's approval key has not signed this grant")
    if not statement.signed_by(hub_keys):
        return Refused("exchange.grant_unsigned_by_hub", "no hub key has signed this grant")
    return None


def refusal(grant: Grant, call: Asked, now: float, directory_age: float) -> Refused | None:
    """Say why `grant` does not cover what the headers of `call` say; None if it does.

    Unit
        now: seconds since 1970 on the provider's clock; directory_age: seconds since the adopted
        directory's head was issued.
    """
    # Identity first: a stranger must learn nothing about the grant's contents.
    asked = grant.resource if grant.call == "query" else grant.rule
    if (
        grant.id != call.grant
        or grant.consumer != call.consumer
        or grant.provider != call.provider
        or grant.node != call.node
        or grant.call != call.call
        or asked != call.resource
    ):
        return NO_GRANT
    # The provider's clock. The caller's own time could revive a dead grant.
    if now >= grant.expires_at:
        return Refused("exchange.grant_expired", "the grant's time is over")
    if now < grant.not_before:
        return Refused("exchange.grant_not_yet", "the grant's time has not begun")
    if directory_age > grant.max_directory_age:
        return Refused("exchange.directory_too_old", "this node's directory is older than the grant allows")
    if call.purpose != grant.purpose:
        return Refused("exchange.wrong_purpose", "the grant is for another purpose")
    return None


#: One answer for every stranger, whether the grant exists or not.
NO_GRANT: Final = Refused("exchange.no_grant", "no grant for this member, resource and kind of call")


def fields_refusal(grant: Grant, asked: Iterable[str]) -> Refused | None:
    """Say which of the fields that the body asks for `grant` does not give."""
    if extra := set(asked) - grant.fields:
        # Whatever else a caller wrote in place of a field's name is not repeated: it may be about a person.
        named = ", ".join(sorted(name for name in extra if shape.is_field(name))) or "a name that is no field's"
        return Refused("exchange.field_not_granted", f"not granted: {named[:200]}")
    return None


def rule_refusal(grant: Grant, rule_digest: str) -> Refused | None:
    """Refuse to run a rule whose digest is not the approved one; `rule_digest` is of the rule the node would run."""
    if grant.rule_digest != rule_digest:
        return Refused("exchange.rule_not_granted", "the rule in force here is not the one that was approved")
    return None


def admits(grant: Grant, row: Mapping[str, Any]) -> bool:
    """Whether a register row lies within every row condition. A column that is missing or empty does not."""
    return all(_holds(row.get(condition.column), condition.values) for condition in grant.rows)


def _holds(value: Any, values: frozenset[str | int]) -> bool:
    # True equals 1 in Python; a truth value is never one of a grant's integers.
    return isinstance(value, str | int) and not isinstance(value, bool) and value in values
