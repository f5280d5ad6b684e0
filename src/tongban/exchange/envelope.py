"""The envelope of a call: who asks whom, for what, and the signature over exactly that.

A strict profile of RFC 9421 (HTTP Message Signatures) with RFC 9530 digests: one label, one list
of covered components, one order of parameters, one algorithm. What the profile does not name is
refused, so that two readers can never see two messages in the same bytes.

Nothing here looks up a key: the caller finds it by `key_id` and asks `key.verifies(base, signature)`.
"""

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from tongban.exchange import names
from tongban.kit.clock import unstamp
from tongban.kit.errors import Invalid, Refused
from tongban.kit.keys import SigningKey

Headers = Sequence[tuple[bytes, bytes]]  #: as ASGI gives them: names in lower case, in the order of arrival

JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"
CONTENT_TYPE: Final = {"query": JSON, "verify": JSON, "match": ARROW}  #: of a request's body, by kind of call

SKEW: Final = 30  #: seconds a caller's clock may be off, either way
LONGEST_LIFE: Final = 60  #: seconds between `created` and `expires`
LONGEST_TICKET: Final = 6000  #: characters
#: Bytes of an answer's body, by kind of call: records of one person, or 5 million verdicts, with room to spare. No
#: consumer takes a longer one, so no provider may give it: the look would be logged, and nobody would have looked.
LONGEST_ANSWER: Final[Mapping[str, int]] = {
    "query": 4 * 1024 * 1024,
    "verify": 4 * 1024 * 1024,
    "match": 64 * 1024 * 1024,
}

# Base64 has several spellings of the same bytes: the last character of 32 or 64 bytes carries spare bits.
# Only the spelling that encoding gives is taken, so that no byte of a message can change unnoticed.
_DIGEST: Final = "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="
_SIGNATURE: Final = "tb=:([A-Za-z0-9+/]{85}[AQgw]==):"
_CONTENT_TYPE: Final = f"({re.escape(JSON)}|{re.escape(ARROW)})"

#: Covered headers in the order of the protocol, each with the pattern of its value.
_FORMS: Final = {
    "content-type": _CONTENT_TYPE,
    "content-digest": f"sha-256=:({_DIGEST}):",
    "tongban-consumer": f"({names.MEMBER})",
    "tongban-provider": f"({names.MEMBER})",
    "tongban-node": f"({names.NODE})",
    "tongban-resource": f"({names.RESOURCE}|{names.RULE})",
    "tongban-grant": f"({names.RANDOM})",
    "tongban-purpose": f"({names.PRINTABLE})",
    "tongban-ticket": f"([A-Za-z0-9_-]{{1,{LONGEST_TICKET}}})",
    "tongban-case": f"({names.PRINTABLE})",
    "tongban-operator": f"({names.PRINTABLE})",
    "tongban-idempotency": f"({names.IDEMPOTENCY})",
}
COMPONENTS: Final = ("@method", "@path", *_FORMS)
_INTENDED: Final = (
    "content-digest", "tongban-consumer", "tongban-provider", "tongban-node", "tongban-resource",
    "tongban-grant", "tongban-purpose", "tongban-case",
)  # fmt: skip

_OPENING: Final = b"tb=(%b)" % " ".join(f'"{name}"' for name in COMPONENTS).encode()
_PARAMETERS: Final = (
    f';created=([1-9][0-9]{{0,11}});expires=([1-9][0-9]{{0,11}});nonce="({names.NONCE})";keyid="({names.KEY})"'
    ';alg="ed25519";tag="tongban-1"'
)
_SIGNED: Final = (*(name.encode() for name in _FORMS), b"signature-input", b"signature")
_take: Final = itemgetter(*_SIGNED)
_CALLS: Final = {f"/v1/{call}".encode(): call for call in names.CALLS}

# The ticket, by far the longest value, is checked apart: one pass over its letters costs less than a pattern.
_TICKET_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_matches: Final = re.compile(
    "\n".join((*(form for name, form in _FORMS.items() if name != "tongban-ticket"), _PARAMETERS, _SIGNATURE))
).fullmatch
_parameters: Final = re.compile(_PARAMETERS).fullmatch
_call_matches: Final = re.compile("\n".join([*_FORMS.values()][2:])).fullmatch


def _lines(first: str, *components: str) -> bytes:
    """A signature base with a hole for each value."""
    return "\n".join((first, *(f'"{component}": %b' for component in components))).encode()


_POST: Final = '"@method": POST\n"@path": %b'
_BASE: Final = _lines(_POST, *_FORMS, "@signature-params")
_INTENT: Final = _lines(_POST, *_INTENDED)


class NotSendable(Invalid):
    """A value that no envelope can carry."""

    code = "exchange.not_sendable"
    message = "The call cannot be signed: {what} has not its form."
    remedy = "See the table of headers in the exchange protocol, section 3."


@dataclass(frozen=True, slots=True)
class Call:
    """What a consumer asks, as far as headers say it. Raises NotSendable for a value without its form."""

    consumer: str
    provider: str
    node: str  #: the provider's
    resource: str  #: resource of a query, rule of a verify or match
    grant: str
    purpose: str
    ticket: str  #: as on the wire
    case: str  #: the ticket's case, or "round/part"
    operator: str
    idempotency: str
    call: str  #: query, verify or match

    def __post_init__(self) -> None:
        if self.call not in CONTENT_TYPE:
            raise NotSendable(what="the kind of call")
        values = (
            self.consumer, self.provider, self.node, self.resource, self.grant, self.purpose, self.ticket, self.case,
            self.operator, self.idempotency,
        )  # fmt: skip
        if not _call_matches("\n".join(values)):
            forms = zip([*_FORMS.items()][2:], values, strict=True)
            raise NotSendable(what=next(name for (name, form), value in forms if not re.fullmatch(form, value)))


class Envelope(msgspec.Struct, eq=False, gc=False):
    """A request as it came: well formed, not yet believed. Its signature is still to be checked."""

    call: str  #: query, verify or match
    content_type: str
    content_digest: bytes  #: 32 bytes, what the body must hash to
    consumer: str
    provider: str
    node: str
    resource: str
    grant: str
    purpose: str
    ticket: str
    case: str
    operator: str
    idempotency: str
    created: int  #: seconds since 1970
    expires: int
    nonce: str
    key_id: str
    base: bytes  #: the signed bytes
    signature: bytes  #: 64 bytes
    request_digest: str  #: hex; this very message
    intent: str  #: hex; what is asked, whoever carries it, whenever
    length: bytes  #: of the body, as an uncovered header says it; b"0" if none does


#: A call as grants and tickets judge it: as its asker makes it, or as it came.
Asked = Call | Envelope


class SignedRequest(NamedTuple):
    """A request ready to be sent, and what the consumer commits to before sending it."""

    headers: list[tuple[bytes, bytes]]
    base: bytes
    signature: bytes
    request_digest: str
    intent: str


def read_request(method: bytes, path: bytes, headers: Headers) -> Envelope | Refused:
    """Read a request's envelope; `path` is the raw path, and a query string must be refused before.

    Only form is judged: signature, freshness and permission come after, in that order.
    """
    call = _CALLS.get(path)
    if call is None:
        return Refused("exchange.unknown_path", "this node answers /v1/query, /v1/verify and /v1/match")
    if method != b"POST":
        return Refused("exchange.wrong_method", "a call is a POST")
    held = dict(headers)
    if len(held) != len(headers) and (name := _doubled(headers, _SIGNED)):
        return Refused("exchange.header_doubled", f"header {name} stands more than once")
    try:
        values = _take(held)
    except KeyError as missing:
        return _missing(missing.args[0].decode())
    return _read(call, path, values, held.get(b"content-length", b"0"))


def _read(call: str, path: bytes, values: tuple[bytes, ...], length: bytes) -> Envelope | Refused:
    ticket, signature_input = values[8], values[12]
    parameters = signature_input[len(_OPENING) :]
    # Thirteen lines of known forms: a value with a line feed inside would make fourteen, which never match.
    try:
        found = _matches(b"\n".join((*values[:8], *values[9:12], parameters, values[13])).decode("ascii"))
    except UnicodeDecodeError:
        found = None
    if found is None or not signature_input.startswith(_OPENING) or not _ticket_formed(ticket):
        return _malformed(values)
    (
        content_type, digest, consumer, provider, node, resource, grant, purpose, case, operator, idempotency,
        created, expires, nonce, key_id, signature,
    ) = found.groups()  # fmt: skip
    if content_type != CONTENT_TYPE[call]:
        return Refused("exchange.wrong_content_type", f"a {call} carries {CONTENT_TYPE[call]}")
    base = _BASE % (path, *values[:12], signature_input[3:])
    intent = _INTENT % (path, *values[1:8], values[9])
    return Envelope(
        call, content_type, a2b_base64(digest), consumer, provider, node, resource, grant, purpose,
        ticket.decode(), case, operator, idempotency, int(created), int(expires), nonce, key_id,
        base, a2b_base64(signature),
        sha256(base).hexdigest(), sha256(intent).hexdigest(), length,
    )  # fmt: skip


def fresh(envelope: Envelope, now: float) -> Refused | None:
    """Say why `envelope` is not of this moment, `now` being the node's own clock in seconds; None if it is."""
    if not 0 < envelope.expires - envelope.created <= LONGEST_LIFE:
        return Refused("exchange.bad_lifetime", f"expires must lie 1 to {LONGEST_LIFE} seconds after created")
    if not -SKEW <= now - envelope.created <= SKEW:
        return Refused("exchange.clock_skew", f"created is more than {SKEW} seconds from this node's clock")
    if now >= envelope.expires:
        return Refused("exchange.envelope_expired", "the signature's own time is over")
    return None


def sign_request(
    key: SigningKey, call: Call, content_digest: bytes, *, nonce: str, created: int, expires: int
) -> SignedRequest:
    """Sign `call` with the consumer's online key; `content_digest` is the body's SHA-256, 32 bytes.

    Raises
        NotSendable: nonce, times or key id have not their form.
    """
    parameters = f';created={created};expires={expires};nonce="{nonce}";keyid="{key.id}";alg="ed25519";tag="tongban-1"'
    if len(content_digest) != 32 or not _parameters(parameters):
        raise NotSendable(what="the digest or a parameter of the signature")
    path, signature_input = b"/v1/" + call.call.encode(), _OPENING + parameters.encode()
    values = (
        CONTENT_TYPE[call.call].encode(), _digest_value(content_digest),
        call.consumer.encode(), call.provider.encode(), call.node.encode(), call.resource.encode(),
        call.grant.encode(), call.purpose.encode(), call.ticket.encode(), call.case.encode(),
        call.operator.encode(), call.idempotency.encode(),
    )  # fmt: skip
    base = _BASE % (path, *values, signature_input[3:])
    signature = key.sign(base)
    headers = [*zip(_SIGNED, (*values, signature_input, _signature_value(signature)), strict=True)]
    digest = sha256(base).hexdigest()
    intent = sha256(_INTENT % (path, *values[1:8], values[9])).hexdigest()
    return SignedRequest(headers, base, signature, digest, intent)


def _ticket_formed(ticket: bytes) -> bool:
    return 0 < len(ticket) <= LONGEST_TICKET and not ticket.translate(None, _TICKET_LETTERS)


def _missing(name: str) -> Refused:
    code = "exchange.ticket_missing" if name == "tongban-ticket" else "exchange.header_missing"
    return Refused(code, f"header {name} is missing")


def _malformed(values: tuple[bytes, ...]) -> Refused:
    """Name the first header that has not its form. Off the path of a good call."""
    for (name, form), value in zip(_FORMS.items(), values, strict=False):
        if not re.fullmatch(form, value.decode("latin-1")):
            return Refused("exchange.header_malformed", f"header {name} has not its form")
    return Refused("exchange.signature_malformed", "signature-input or signature is not in the profile tongban-1")


def _doubled(headers: Iterable[tuple[bytes, bytes]], signed: tuple[bytes, ...]) -> str | None:
    """The first of `signed` that stands more than once; other headers may (gateways add such)."""
    seen = set()
    for name, _ in headers:
        if name in seen and name in signed:
            return name.decode()
        seen.add(name)
    return None


def _digest_value(content_digest: bytes) -> bytes:
    return b"sha-256=:%b:" % b2a_base64(content_digest, newline=False)


def _signature_value(signature: bytes) -> bytes:
    return b"tb=:%b:" % b2a_base64(signature, newline=False)


# --- answers -------------------------------------------------------------------------------------------------

_ANSWER_FORMS: Final = {
    "content-type": _CONTENT_TYPE,
    "content-digest": f"sha-256=:({_DIGEST}):",
    "tongban-node": f"({names.NODE})",
    "tongban-request": f"({names.DIGEST})",
    "tongban-entry": "(0|[1-9][0-9]{0,14})",
    "tongban-leaf": f"({names.DIGEST})",
    "tongban-origin": f"({names.MEMBER}/{names.NODE})",
}
_ANSWER_OPENING: Final = b"tb=(%b)" % " ".join(f'"{name}"' for name in ("@status", *_ANSWER_FORMS)).encode()
_ANSWER_PARAMETERS: Final = f';created=([1-9][0-9]{{0,11}});keyid="({names.KEY})";alg="ed25519";tag="tongban-1-answer"'
_ANSWER_SIGNED: Final = (*(name.encode() for name in _ANSWER_FORMS), b"signature-input", b"signature")
_ANSWER_BASE: Final = _lines('"@status": %d', *_ANSWER_FORMS, "@signature-params")
_take_answer: Final = itemgetter(*_ANSWER_SIGNED)
_answer_matches: Final = re.compile("\n".join((*_ANSWER_FORMS.values(), _ANSWER_PARAMETERS, _SIGNATURE))).fullmatch


@dataclass(slots=True, eq=False)
class AnswerEnvelope:
    """An answer as it came: well formed, not yet believed."""

    status: int
    content_type: str
    content_digest: bytes  #: 32 bytes
    node: str
    request_digest: str
    entry: int  #: index in the provider's log
    leaf: str  #: leaf hash, hex
    origin: str  #: the provider's log
    created: int
    key_id: str
    base: bytes
    signature: bytes


class SignedAnswer(NamedTuple):
    """An answer's headers, and the signature that is kept beside its log entry."""

    headers: list[tuple[bytes, bytes]]
    base: bytes
    signature: bytes


def sign_answer(
    key: SigningKey,
    *,
    status: int,
    content_type: str,
    content_digest: bytes,
    node: str,
    request_digest: str,
    entry: int,
    leaf: str,
    origin: str,
    created: int,
) -> SignedAnswer:
    """Sign an answer whose log entry is durable; `created` is the entry's `at`, in seconds."""
    values = (
        content_type.encode(), _digest_value(content_digest), node.encode(), request_digest.encode(),
        b"%d" % entry, leaf.encode(), origin.encode(),
    )  # fmt: skip
    signature_input = _answer_input(created, key.id)
    base = _ANSWER_BASE % (status, *values, signature_input[3:])
    signature = key.sign(base)
    headers = [*zip(_ANSWER_SIGNED, (*values, signature_input, _signature_value(signature)), strict=True)]
    return SignedAnswer(headers, base, signature)


def read_answer(status: int, headers: Headers) -> AnswerEnvelope | Refused:
    """Read an answer's envelope; header names in lower case. Only form is judged."""
    held = dict(headers)
    if len(held) != len(headers) and (name := _doubled(headers, _ANSWER_SIGNED)):
        return Refused("exchange.answer_malformed", f"header {name} stands more than once")
    try:
        values = _take_answer(held)
        signature_input = values[7]
        parameters = signature_input[len(_ANSWER_OPENING) :]
        found = _answer_matches(b"\n".join((*values[:7], parameters, values[8])).decode("ascii"))
    except KeyError as missing:
        return Refused("exchange.answer_unsigned", f"header {missing.args[0].decode()} is missing")
    except UnicodeDecodeError:
        found = None
    if found is None or not signature_input.startswith(_ANSWER_OPENING) or not 100 <= status <= 599:
        return Refused("exchange.answer_malformed", "the answer is not in the profile tongban-1-answer")
    content_type, digest, node, request_digest, entry, leaf, origin, created, key_id, signature = found.groups()
    base = _ANSWER_BASE % (status, *values[:7], signature_input[3:])
    return AnswerEnvelope(
        status, content_type, a2b_base64(digest), node, request_digest, int(entry), leaf, origin,
        int(created), key_id, base, a2b_base64(signature),
    )  # fmt: skip


def answer_type(call: str, status: int) -> str:
    """Content type of every answer: Arrow for a batch that was answered, JSON otherwise."""
    return ARROW if call == "match" and status == 200 else JSON


def answer_base(record: Mapping[str, Any], *, entry: int, leaf: str, origin: str) -> bytes:
    """The bytes that were signed for the answer to a logged call, rebuilt from its record.

    Uses of the record: `call`, `status`, `body` (hex), `request`, `at`, and `answer_key`, the id of the key that
    signed; not its `node`, which is the one that was asked, and may have been another. With the 64 bytes kept
    beside the log, anybody can check what was answered.
    """
    values = (
        answer_type(record["call"], record["status"]).encode(), _digest_value(bytes.fromhex(record["body"])),
        origin.partition("/")[2].encode(), record["request"].encode(), b"%d" % entry, leaf.encode(), origin.encode(),
    )  # fmt: skip
    signature_input = _answer_input(unstamp(record["at"]), record["answer_key"])
    return _ANSWER_BASE % (record["status"], *values, signature_input[3:])


def _answer_input(created: int, key_id: str) -> bytes:
    return _ANSWER_OPENING + f';created={created};keyid="{key_id}";alg="ed25519";tag="tongban-1-answer"'.encode()


#: Fields of a record → the covered header that must say the same.
_RECORDED: Final = {
    "consumer": "tongban-consumer", "provider": "tongban-provider", "node": "tongban-node",
    "resource": "tongban-resource", "grant": "tongban-grant", "purpose": "tongban-purpose", "case": "tongban-case",
    "operator": "tongban-operator", "idempotency": "tongban-idempotency",
}  # fmt: skip


def record_agrees(record: Mapping[str, Any]) -> bool:
    """Whether the plain fields of a logged call are those of the base that was signed.

    Without this an owner could keep the caller's signature and write another purpose beside it.
    """
    if "grant" not in record:
        return True  # an answer's record speaks of entries, not of a call
    lines = dict(line.split(": ", 1) for line in record["base"].split("\n") if ": " in line)
    said = all(lines.get(f'"{header}"') == record.get(name) for name, header in _RECORDED.items())
    return said and lines.get('"@path"') == f"/v1/{record.get('call')}"
