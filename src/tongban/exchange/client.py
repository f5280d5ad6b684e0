"""A consumer's side of a call, without its socket: make the request, believe the answer or not."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from tongban.exchange.envelope import (
    LONGEST_LIFE,
    SKEW,
    AnswerEnvelope,
    Call,
    Headers,
    SignedRequest,
    answer_type,
    read_answer,
    sign_request,
)
from tongban.exchange.receipt import Receipt
from tongban.exchange.refusals import STATUS
from tongban.kit.errors import Refused
from tongban.kit.keys import PublicKey, SigningKey

#: Finds the key an answer must be signed with, by key id and node; `Directory.answer_key` at one instant.
FindKey = Callable[[str, str], PublicKey | Refused]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is committed to the own log first and then sent as it is."""

    call: Call
    path: str
    body: bytes
    signed: SignedRequest
    created: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that can be believed. It may be a refusal: then `code` is its code."""

    envelope: AnswerEnvelope
    body: bytes
    code: str  #: empty for a status of 200

    @property
    def status(self) -> int:
        return self.envelope.status

    def receipt(self, own_entry: int) -> Receipt:
        return Receipt(self.envelope.origin, self.envelope.entry, self.envelope.leaf, own_entry)


def prepare(key: SigningKey, call: Call, body: bytes, *, nonce: str, now: float) -> Prepared:
    """Sign `call` with `body`; `nonce` is 16 to 44 random characters of base64url. Raises NotSendable."""
    created = int(now)
    digest = hashlib.sha256(body).digest()
    signed = sign_request(key, call, digest, nonce=nonce, created=created, expires=created + LONGEST_LIFE)
    return Prepared(call, f"/v1/{call.call}", body, signed, created)


def judge(
    prepared: Prepared, status: int, headers: Headers, body: bytes, find_key: FindKey, now: float
) -> Answer | Refused:
    """Believe an answer, or say why it is no answer. Header names in lower case.

    An answer without entry, leaf and good signature is no answer, whatever its status says.
    """
    envelope = read_answer(status, headers)
    if isinstance(envelope, Refused):
        return _hinted(envelope, body)
    call = prepared.call
    if envelope.request_digest != prepared.signed.request_digest:
        return Refused("exchange.answer_foreign", "the answer belongs to another request")
    if (envelope.node, envelope.origin) != (call.node, f"{call.provider}/{call.node}"):
        return Refused("exchange.answer_foreign", "the answer comes from another node or log")
    key = find_key(envelope.key_id, call.node)
    if isinstance(key, Refused):
        return key
    if not key.verifies(envelope.base, envelope.signature):
        return Refused("exchange.answer_forged", "the answer's signature does not hold")
    if hashlib.sha256(body).digest() != envelope.content_digest:
        return Refused("exchange.answer_altered", "the answer's body is not the one that was signed")
    if envelope.content_type != answer_type(call.call, status):
        return Refused("exchange.answer_malformed", "the answer is of another kind than the call")
    if not prepared.created - SKEW <= envelope.created <= now + SKEW:
        return Refused("exchange.answer_malformed", "the answer's time lies before the request or after now")
    return _read(envelope, body)


def _read(envelope: AnswerEnvelope, body: bytes) -> Answer | Refused:
    if envelope.status == 200:
        return Answer(envelope, body, "")
    code = _code(body)
    if code is None:
        return Refused("exchange.answer_malformed", "a refusal without a code")
    return Answer(envelope, body, code)


def _hinted(refused: Refused, body: bytes) -> Refused:
    """Nobody stands behind what an unsigned answer says; one of the known codes may still help a person."""
    code = _code(body)
    return Refused(refused.code, f"{refused.reason}; it says {code}") if code in STATUS else refused


def _code(body: bytes) -> str | None:
    try:
        held = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    code = held.get("code") if isinstance(held, dict) else None
    return code if isinstance(code, str) else None
