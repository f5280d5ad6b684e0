"""Tickets: the occasion of a call, signed when a case or a part of a round was opened.

Without a ticket an invented case number could read anybody. A case ticket names its subjects by
salted digests; a round ticket names, by digest, exactly the key column that may be asked. The
ticket's key is not the key that signs calls.

A ticket travels as text and is the same for many calls: callers keep the read and verified value
under the text itself.
"""

import base64
import hashlib
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter, lt
from typing import Any, Final

import orjson

from tongban.exchange import names, shape
from tongban.exchange.envelope import LONGEST_TICKET, Asked
from tongban.kit import canonical, statement
from tongban.kit.clock import stamp
from tongban.kit.errors import Invalid, Refused
from tongban.kit.keys import PublicKey, SigningKey
from tongban.kit.statement import Statement

MOST_SUBJECTS: Final = 64


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
        raw = _unwired(text)
        whole = orjson.loads(raw)
        body, signatures = whole["body"], whole["signatures"]
        [(id, spelled)] = signatures.items()
        signature = a2b_base64(spelled)
        again = {"body": body, "signatures": {id: b2a_base64(signature, newline=False).decode()}}
        # One ticket has one text: whoever keeps read tickets keeps one of each.
        if canonical.encode(again) != raw or not id.isascii():
            return _malformed("not in its one form")
    except (ValueError, KeyError, TypeError, AttributeError):
        return _malformed("not one signed statement in canonical form")
    if not _formed(body) and (refused := _misshapen(body)):
        return refused
    return _ticket(body, Statement(body, {id: signature}))


_FROM_WIRE: Final = bytes.maketrans(b"-_+/=", b"+/\n\n\n")


def _unwired(text: str) -> bytes:
    """The bytes that `text` is base64url of. Raises ValueError for any but the one spelling."""
    letters = text.encode("ascii").translate(_FROM_WIRE)
    raw = a2b_base64(letters + b"=" * (-len(letters) % 4))
    if b2a_base64(raw, newline=False).rstrip(b"=") != letters:
        raise ValueError
    return raw


# Every call of a new case comes through here: one pattern over all texts of a body costs a fifth of a test for each.
# It only says yes; whoever it does not know is looked at field by field.
_CASE_TEXTS: Final = {
    "kind": "ticket", "scope": "case", "id": names.RANDOM, "consumer": names.MEMBER, "purpose": names.PRINTABLE,
    "case": names.PRINTABLE, "salt": names.RANDOM, "at": names.DATE,
}  # fmt: skip
_case_fields: Final = _CASE.keys()
_texts: Final = itemgetter(*_CASE_TEXTS)
_texts_match: Final = re.compile("\n".join(_CASE_TEXTS.values())).fullmatch
_subjects_match: Final = re.compile(f"{names.RANDOM}(?:\n{names.RANDOM}){{0,{MOST_SUBJECTS - 1}}}").fullmatch


def _formed(body: Any) -> bool:
    """Whether `body` is a case's: False may also mean that it has to be looked at more closely. Raises nothing."""
    if not isinstance(body, dict) or body.keys() != _case_fields:
        return False
    subjects = body["subjects"]
    try:
        return (
            _texts_match("\n".join(_texts(body))) is not None
            and isinstance(subjects, list)
            and _subjects_match("\n".join(subjects)) is not None
            and all(map(lt, subjects, subjects[1:]))
            and shape.is_date(body["at"]) and shape.is_stamp(body["not_before"]) and shape.is_stamp(body["expires_at"])
        )  # fmt: skip
    except TypeError:
        return False


def _misshapen(body: Any) -> Refused | None:
    expected = _ROUND if isinstance(body, dict) and body.get("scope") == "round" else _CASE
    return shape.malformed(body, expected, "exchange.ticket_malformed", "the ticket")


def _ticket(body: Mapping[str, Any], signed: Statement) -> Ticket | Refused:
    not_before, expires_at = shape.seconds(body["not_before"]), shape.seconds(body["expires_at"])
    if not_before >= expires_at:
        return _malformed("it ends before it begins")
    if body["scope"] == "round":
        return RoundTicket(
            body["id"], body["consumer"], body["provider"], body["purpose"], body["round"], body["part"], body["rule"],
            body["rule_digest"], body["at"], body["domain"], body["keys"], body["count"],
            not_before, expires_at, signed,
        )  # fmt: skip
    return CaseTicket(
        body["id"], body["consumer"], body["purpose"], body["case"], base64.urlsafe_b64decode(body["salt"] + "=="),
        frozenset(body["subjects"]), body["at"], not_before, expires_at, signed,
    )  # fmt: skip


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
