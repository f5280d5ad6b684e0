"""A consumer of our own: signs what it likes, sends it as it likes, and judges what comes back.

Nothing here is polite: a request is bytes until somebody checks it.
"""

import base64
import dataclasses
import hashlib
import http.client
import json
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tests.node.place import AT, CONSUMER, MARRIAGE, MARRIED, PROVIDER, PURPOSE, Place, grant_id
from tests.world import APPLICANT, HUSBAND
from tongban.exchange import ask, bulk, client, ticket
from tongban.exchange.client import Answer, Prepared
from tongban.exchange.envelope import Call, sign_request
from tongban.identity.identifiers import pack
from tongban.kit.errors import Refused
from tongban.kit.keys import PublicKey, SigningKey

CASE, ROUND = "KC-2014-000001", "2014-06"
Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Request:
    """What goes over the wire, and what it was signed as."""

    prepared: Prepared
    headers: list[Header]
    body: bytes
    method: str = "POST"
    target: str = ""

    @property
    def path(self) -> str:
        return self.target or self.prepared.path

    def but(self, **change: Any) -> "Request":
        return dataclasses.replace(self, **change)

    def header(self, name: str, value: str | bytes | None) -> "Request":
        """The same message with one header changed after signing; None leaves it out."""
        raw = value.encode() if isinstance(value, str) else value
        kept = [(one, raw if one == name.encode() else held) for one, held in self.headers]
        return self.but(headers=[(one, held) for one, held in kept if held is not None])

    def also(self, name: str, value: str) -> "Request":
        return self.but(headers=[*self.headers, (name.encode(), value.encode())])

    def value(self, name: str) -> str:
        return next(held.decode() for one, held in self.headers if one == name.encode())


@dataclass(frozen=True)
class Got:
    """What came back."""

    status: int
    headers: list[Header]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return "" if self.status == 200 else str(self.said["code"])

    def header(self, name: str) -> str | None:
        return next((held.decode() for one, held in self.headers if one == name.encode()), None)

    @property
    def entry(self) -> int | None:
        found = self.header("tongban-entry")
        return None if found is None else int(found)


@dataclass
class Asker:
    """Transport as its own enemy would play it."""

    place: Place
    node: str = PROVIDER
    now: Callable[[], float] = time.time
    key: SigningKey = field(init=False)
    ticket_key: SigningKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.place.key(CONSUMER, "online")
        self.ticket_key = self.place.key(CONSUMER, "ticket")
        self.member = self.place.member(CONSUMER)
        self.provider = self.place.member(self.node)
        self._tickets: dict[Any, str] = {}

    # --- tickets --------------------------------------------------------------------------------------

    def ticket(self, *subjects: str | tuple[str, str], key: SigningKey | None = None, **change: Any) -> str:
        """A case ticket; subjects without a domain are citizens."""
        pairs = [one if isinstance(one, tuple) else ("citizen", one) for one in subjects or (APPLICANT, HUSBAND)]
        opened: dict[str, Any] = {
            "id": secrets.token_urlsafe(16), "consumer": self.member, "purpose": PURPOSE, "case": CASE,
            "salt": secrets.token_bytes(16), "subjects": pairs, "at": AT,
            "not_before": self.now() - 60, "expires_at": self.now() + 86_400,
        }  # fmt: skip
        return ticket.issue_case(key or self.ticket_key, **(opened | change))

    def round_ticket(self, keys: Any, key: SigningKey | None = None, **change: Any) -> str:
        opened: dict[str, Any] = {
            "id": secrets.token_urlsafe(16), "consumer": self.member, "provider": self.provider, "purpose": PURPOSE,
            "round": ROUND, "part": "0", "rule": MARRIED, "rule_digest": self.place.compiled().digest, "at": AT,
            "domain": "citizen", "keys": bulk.key_digest(keys), "count": len(keys),
            "not_before": self.now() - 60, "expires_at": self.now() + 86_400,
        }  # fmt: skip
        return ticket.issue_round(key or self.ticket_key, **(opened | change))

    def _usual_ticket(self) -> str:
        """One ticket for the usual case, as an office would use it."""
        if "usual" not in self._tickets:
            self._tickets["usual"] = self.ticket()
        return self._tickets["usual"]

    # --- requests -------------------------------------------------------------------------------------

    def query(
        self, *, subject: tuple[str, str] = ("citizen", APPLICANT), fields: Iterable[str] = ("status",), **change: Any
    ) -> Request:
        body = change.pop("body", None)
        asked = {"grant": "marriage", "resource": MARRIAGE} | change
        return self.signed("query", ask.write_query(*subject, fields) if body is None else body, **asked)

    def verify(self, *, subject: tuple[str, str] = ("citizen", APPLICANT), asks: Any = None, **change: Any) -> Request:
        body = change.pop("body", None)
        asked = {"grant": "married", "resource": MARRIED} | change
        written = ask.write_verify(*subject, {"since": 2010} if asks is None else asks)
        return self.signed("verify", written if body is None else body, **asked)

    def match(
        self, *, keys: Sequence[Any] | None = None, body: bytes | None = None, on: Any = None, **change: Any
    ) -> Request:
        """A batch. `keys`: citizen numbers, sorted here; `on` changes the ticket."""
        column = a_column(keys or (APPLICANT, HUSBAND))
        if body is None:
            body = bulk.write_keys(pa.table({"k": column, "since": pa.nulls(len(column), pa.int64())}))
        text = self.round_ticket(column, **(on or {}))
        case = f"{(on or {}).get('round', ROUND)}/{(on or {}).get('part', '0')}"
        asked = {"grant": "batch", "resource": MARRIED, "ticket": text, "case": case} | change
        return self.signed("match", body, **asked)

    def signed(self, call: str, body: bytes, *, grant: str, **change: Any) -> Request:
        """Any call, signed. Everything of the envelope can be changed by name."""
        created = int(change.pop("created", self.now()))
        expires = int(change.pop("expires", created + 60))
        nonce, key = change.pop("nonce", None) or secrets.token_urlsafe(16), change.pop("key", self.key)
        digest = change.pop("digest", hashlib.sha256(body).digest())
        asked = {
            "consumer": self.member, "provider": self.provider, "node": self.node, "purpose": PURPOSE, "case": CASE,
            "operator": "T-0417", "idempotency": secrets.token_urlsafe(12), "call": call,
            "grant": grant if len(grant) == 22 else grant_id(grant),
        }  # fmt: skip
        asked |= change
        if "ticket" not in asked:
            asked["ticket"] = self._usual_ticket()
        made = Call(**asked)
        signed = sign_request(key, made, digest, nonce=nonce, created=created, expires=expires)
        return Request(Prepared(made, f"/v1/{call}", body, signed, created), signed.headers, body)

    # --- answers --------------------------------------------------------------------------------------

    def judged(self, request: Request, got: Got) -> Answer | Refused:
        """What Transport's own node would make of the answer."""
        return client.judge(request.prepared, got.status, got.headers, got.body, self._answer_key, self.now())

    def _answer_key(self, key_id: str, node: str) -> PublicKey | Refused:
        key = self.place.key(node, "online").public
        return key if key.id == key_id else Refused("exchange.unknown_key", "no such key")


def numbers(count: int, start: int = 0) -> list[int]:
    """Packed citizen numbers of nobody: all born on one day."""
    return [990_101_1990_0701_000 + n for n in range(start, start + count)]


def a_column(numbers: Sequence[Any]) -> Any:
    """Citizen numbers as a key column: packed and sorted. Whole numbers are taken as they are."""
    return pa.array(sorted(pack(one) if isinstance(one, str) else one for one in numbers), pa.int64())


def send(port: int, request: Request, *, length: bool = True, timeout: float = 20) -> Got:
    """Over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        return send_on(connection, request, length=length)
    finally:
        connection.close()


def send_on(connection: http.client.HTTPConnection, request: Request, *, length: bool = True) -> Got:
    connection.putrequest(request.method, request.path, skip_accept_encoding=True)
    for name, value in request.headers:
        connection.putheader(name, value)
    if length:
        connection.putheader("content-length", str(len(request.body)))
    connection.endheaders(request.body)
    answer = connection.getresponse()
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.getheaders()]
    return Got(answer.status, headers, answer.read())


def wire(request: Request, length: int | None = None) -> bytes:
    """The whole message as bytes, for those who send it slowly, twice, or half."""
    size = len(request.body) if length is None else length
    lines = [f"{request.method} {request.path} HTTP/1.1".encode(), b"host: node", b"content-length: %d" % size]
    lines += [name + b": " + value for name, value in request.headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + request.body


def changed_base64(text: str) -> str:
    """Other bytes of the same length."""
    raw = bytearray(base64.b64decode(text))
    raw[0] ^= 1
    return base64.b64encode(bytes(raw)).decode()
