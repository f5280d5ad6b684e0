"""Tickets: the occasion of a call, signed when a case or a part of a round was opened.

Without a ticket an invented case number could read anybody. A case ticket names its subjects by
salted digests; a round ticket names, by digest, exactly the key column that may be asked. The
ticket's key is not the key that signs calls.

A ticket travels as text and is the same for many calls: callers keep the read and verified value
under the text itself.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from tongban.exchange import names, shape
from tongban.exchange.envelope import LONGEST_TICKET
from tongban.kit import canonical, statement
from tongban.kit.clock import stamp, unstamp
from tongban.kit.errors import Invalid, Refused
from tongban.kit.keys import PublicKey, SigningKey
from tongban.kit.statement import Statement

MOST_SUBJECTS: Final = 64


class Asked(Protocol):
    """What a ticket must know of a call: an `Envelope` or a `Call`."""

    @property
    def call(self) -> str: ...
    @property
    def consumer(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def resource(self) -> str: ...
    @property
    def purpose(self) -> str: ...
    @property
    def case(self) -> str: ...


class NotIssuable(Invalid):
    """A ticket that could never be read again."""

    code = "exchange.ticket_not_issuable"
    message = "The ticket cannot be issued: {what}."
    remedy = "See the exchange protocol, section 2, Ticket."


@dataclass(frozen=True, slots=True)
class CaseTicket:
    """For `query` and `verify`: the subjects of one case."""

    id: str
    consumer: str
    purpose: str
    case: str
    salt: bytes  #: 16 bytes
    subjects: frozenset[str]  #: `subject_digest` of each
    at: str  #: evaluation date, YYYY-MM-DD
    not_before: int  #: seconds since 1970
    expires_at: int  #: dead AT this instant
    statement: Statement = field(repr=False, compare=False)

    @property
    def occasion(self) -> str:
        """What the header `tongban-case` must say."""
        return self.case

    def covers(self, domain: str, key: str) -> bool:
        """Whether the person or body with the normalised `key` is a subject of the case."""
        return subject_digest(self.salt, domain, key) in self.subjects


@dataclass(frozen=True, slots=True)
class RoundTicket:
    """For `match`: one part of a round, one rule, one key column."""

    id: str
    consumer: str
    provider: str
    purpose: str
    round: str
    part: str
    rule: str
    rule_digest: str
    at: str
    domain: str  #: kind of the keys: a batch carries one
    keys: str  #: digest of the key column (bulk.key_digest)
    count: int
    not_before: int
    expires_at: int
    statement: Statement = field(repr=False, compare=False)

    @property
    def occasion(self) -> str:
        return f"{self.round}/{self.part}"


Ticket = CaseTicket | RoundTicket

_some_subjects: Final = shape.list_of(shape.is_random, 1, MOST_SUBJECTS)
_COMMON: Final[shape.Shape] = {
    "kind": shape.exactly("ticket"),
    "id": shape.is_random,
    "consumer": shape.is_member,
    "purpose": shape.is_printable,
    "at": shape.is_date,
    "not_before": shape.is_stamp,
    "expires_at": shape.is_stamp,
}
_CASE: Final[shape.Shape] = {
    **_COMMON,
    "scope": shape.exactly("case"),
    "case": shape.is_printable,
    "salt": shape.is_random,
    "subjects": lambda value: _some_subjects(value) and value == sorted(set(value)),
}
_ROUND: Final[shape.Shape] = {
    **_COMMON,
    "scope": shape.exactly("round"),
    "provider": shape.is_member,
    "round": shape.is_plain,
    "part": shape.is_plain,
    "rule": shape.is_rule,
    "rule_digest": shape.is_digest,
    "domain": shape.exactly(*names.DOMAINS),
    "keys": shape.is_digest,
    "count": shape.integer(1, 5_000_000),
}


def subject_digest(salt: bytes, domain: str, key: str) -> str:
    """How a ticket names a subject: base64url of the first 16 bytes of a salted SHA-256."""
    text = b"tongban/ticket/1\n%b%b\n%b" % (salt, domain.encode(), key.encode())
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()[:16])[:22].decode()


def issue_case(
    key: SigningKey,
    *,
    id: str,
    consumer: str,
    purpose: str,
    case: str,
    salt: bytes,
    subjects: Iterable[tuple[str, str]],
    at: str,
    not_before: float,
    expires_at: float,
) -> str:
    """A case ticket's text. `subjects` are pairs of domain and normalised key; `salt` 16 random bytes.

    Raises
        NotIssuable: no subject, more than 64, an unknown domain, or a value without its form.
    """
    pairs = list(subjects)
    if any(domain not in names.DOMAINS for domain, _ in pairs):
        raise NotIssuable(what="a subject's domain is unknown")
    body = {
        "kind": "ticket", "scope": "case", "id": id, "consumer": consumer, "purpose": purpose, "case": case,
        "salt": base64.urlsafe_b64encode(salt).rstrip(b"=").decode(),
        "subjects": sorted({subject_digest(salt, domain, one) for domain, one in pairs}),
        "at": at, "not_before": stamp(not_before), "expires_at": stamp(expires_at),
    }  # fmt: skip
    return _issued(key, body)


def issue_round(
    key: SigningKey,
    *,
    id: str,
    consumer: str,
    provider: str,
    purpose: str,
    round: str,
    part: str,
    rule: str,
    rule_digest: str,
    at: str,
    domain: str,
    keys: str,
    count: int,
    not_before: float,
    expires_at: float,
) -> str:
    """A round ticket's text; `keys` is the digest of exactly the key column that will be sent. Raises NotIssuable."""
    body = {
        "kind": "ticket", "scope": "round", "id": id, "consumer": consumer, "provider": provider,
        "purpose": purpose, "round": round, "part": part, "rule": rule, "rule_digest": rule_digest, "at": at,
        "domain": domain, "keys": keys, "count": count,
        "not_before": stamp(not_before), "expires_at": stamp(expires_at),
    }  # fmt: skip
    return _issued(key, body)


def _issued(key: SigningKey, body: dict[str, Any]) -> str:
    text = wire(statement.sign(body, key))
    if isinstance(refused := read(text), Refused):
        raise NotIssuable(what=refused.reason)
    return text


def wire(signed: Statement) -> str:
    """How a ticket travels: base64url, without padding, of the statement's canonical JSON."""
    return base64.urlsafe_b64encode(canonical.encode(signed.to_json())).rstrip(b"=").decode()


def read(text: str) -> Ticket | Refused:
    """Read a ticket; its signature is still to be judged by `signature_refusal`."""
    if len(text) > LONGEST_TICKET:
        return _malformed("too long")
    try:
        raw = binascii.a2b_base64(text.translate(_TO_BASE64) + "=" * (-len(text) % 4))
        signed = statement.from_json(canonical.decode(raw))
    except (binascii.Error, ValueError, canonical.NotCanonical):
        return _malformed("not a signed statement in canonical form")
    # One ticket has one text: whoever keeps read tickets keeps one of each.
    if len(signed.signatures) != 1 or wire(signed) != text:
        return _malformed("not in its one form, or not signed exactly once")
    body = dict(signed.body)
    expected = _ROUND if body.get("scope") == "round" else _CASE
    if refused := shape.malformed(body, expected, "exchange.ticket_malformed", "the ticket"):
        return refused
    return _ticket(body, signed)


_TO_BASE64: Final = str.maketrans("-_", "+/", "+/=\n\r ")


def _ticket(body: Mapping[str, Any], signed: Statement) -> Ticket | Refused:
    not_before, expires_at = unstamp(body["not_before"]), unstamp(body["expires_at"])
    if not_before >= expires_at:
        return _malformed("it ends before it begins")
    taken = {name: value for name, value in body.items() if name not in ("kind", "scope")}
    taken |= {"not_before": not_before, "expires_at": expires_at, "statement": signed}
    if body["scope"] == "round":
        return RoundTicket(**taken)
    taken |= {"salt": base64.urlsafe_b64decode(body["salt"] + "=="), "subjects": frozenset(body["subjects"])}
    return CaseTicket(**taken)


def _malformed(what: str) -> Refused:
    return Refused("exchange.ticket_malformed", f"the ticket has not its form: {what}")


def signature_refusal(ticket: Ticket, keys: Iterable[PublicKey]) -> Refused | None:
    """Refuse a ticket that none of `keys` signed: the ticket keys in force of the member it names as consumer."""
    if ticket.statement.signed_by(keys):
        return None
    return Refused("exchange.ticket_forged", "the consumer's ticket key has not signed this ticket")


def refusal(ticket: Ticket, call: Asked, now: float) -> Refused | None:
    """Say why `ticket` is not the occasion of `call`, `now` being the provider's clock; None if it is."""
    if ticket.consumer != call.consumer:
        return Refused("exchange.ticket_foreign", "the ticket belongs to another member")
    if isinstance(ticket, RoundTicket) != (call.call == "match"):
        return Refused("exchange.ticket_wrong_kind", "a match needs a round's ticket, other calls a case's")
    if isinstance(ticket, RoundTicket) and (ticket.provider, ticket.rule) != (call.provider, call.resource):
        return Refused("exchange.ticket_wrong_round", "the ticket is for another provider or rule")
    if ticket.purpose != call.purpose:
        return Refused("exchange.ticket_wrong_purpose", "the ticket is for another purpose")
    if ticket.occasion != call.case:
        return Refused("exchange.ticket_wrong_case", "the ticket is for another case or part")
    if now >= ticket.expires_at:
        return Refused("exchange.ticket_expired", "the ticket's time is over")
    if now < ticket.not_before:
        return Refused("exchange.ticket_not_yet", "the ticket's time has not begun")
    return None


def subject_refusal(ticket: Ticket, domain: str, key: str) -> Refused | None:
    """Refuse a subject whom the case does not name. The key is normalised, as when the ticket was issued."""
    if isinstance(ticket, CaseTicket) and ticket.covers(domain, key):
        return None
    return Refused("exchange.subject_outside_ticket", "the ticket does not name this subject")


def keys_refusal(ticket: Ticket, keys: str, count: int, rule_digest: str) -> Refused | None:
    """Refuse a batch that is not exactly the one its ticket was issued for."""
    if not isinstance(ticket, RoundTicket) or (ticket.keys, ticket.count) != (keys, count):
        return Refused("exchange.keys_outside_ticket", "the ticket was issued for another key column")
    if ticket.rule_digest != rule_digest:
        return Refused("exchange.ticket_wrong_round", "the ticket is for another text of the rule")
    return None
