"""The envelope: what a signed call costs beyond the signature itself, for who signs and for who reads."""

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from tongban.exchange import ticket
from tongban.exchange.envelope import Call, Envelope, answer_type, read_answer, read_request, sign_answer, sign_request
from tongban.kit.keys import SigningKey

CONSUMER, PROVIDER = "11990100TB0000028B", "11990100TB000001XB"
KEY = SigningKey(f"{CONSUMER}.online.1", hashlib.sha256(b"consumer").digest())
TICKET_KEY = SigningKey(f"{CONSUMER}.ticket.1", hashlib.sha256(b"ticket").digest())
NOW = 1_402_286_400
BODY = b'{"fields":["status"],"subject":{"domain":"citizen","key":"990101198002299016"}}'
DIGEST = hashlib.sha256(BODY).digest()
#: What a server and a gateway add to every request.
AROUND = [
    (b"host", b"127.0.0.1:8001"),
    (b"user-agent", b"tongban"),
    (b"accept", b"*/*"),
    (b"content-length", b"79"),
    (b"connection", b"keep-alive"),
]


class NoSignature:
    """A key that signs nothing, in no time: what is left is ours."""

    id = KEY.id

    def sign(self, message: bytes) -> bytes:
        return bytes(64)


def run(rounds: int = 300) -> list[dict[str, Any]]:
    """Least time of many short rounds, ours and bare Ed25519 in turns, so that a busy neighbour meets both alike."""
    call = _call()
    times: dict[str, Any] = {"nonce": "n" * 22, "created": NOW, "expires": NOW + 60}
    signed = sign_request(KEY, call, DIGEST, **times)
    headers = [*AROUND, *signed.headers]
    read = read_request(b"POST", b"/v1/query", headers)
    assert isinstance(read, Envelope)
    said: dict[str, Any] = {
        "status": 200, "content_type": answer_type("query", 200), "content_digest": DIGEST, "node": "civil-affairs",
        "request_digest": read.request_digest, "entry": 123_456, "leaf": "ab" * 32,
        "origin": f"{PROVIDER}/civil-affairs", "created": NOW,
    }  # fmt: skip
    answer = sign_answer(KEY, **said)
    bare: Any = NoSignature()
    verify, sign, own_read, own_sign, own_answer, own_judge, digests, building = least(
        [
            lambda: KEY.public.verifies(read.base, read.signature),
            lambda: KEY.sign(read.base),
            lambda: read_request(b"POST", b"/v1/query", headers),
            lambda: sign_request(bare, call, DIGEST, **times),
            lambda: sign_answer(bare, **said),
            lambda: read_answer(200, answer.headers),
            lambda: (hashlib.sha256(read.base).hexdigest(), hashlib.sha256(read.base[:500]).hexdigest()),
            _call,
        ],
        rounds,
    )
    size = f"base of {len(read.base)} bytes, {len(headers)} headers"
    return [
        figure("envelope.read", own_read - digests, verify, 8, f"reading a request, beside its two digests; {size}"),
        figure("envelope.sign", own_sign - digests, sign, 5, f"signing a request, beside its two digests; {size}"),
        figure("envelope.digests", digests, verify, 4, "request digest and intent, SHA-256"),
        figure("envelope.call", building, sign, 10, "checking a call's forms before it is signed, ticket included"),
        figure("envelope.answer", own_answer, sign, 5, "signing an answer"),
        figure("envelope.judge", own_judge, verify, 8, "reading an answer"),
        figure("envelope.read_and_verify", own_read + verify, verify, 90, "the whole, with Ed25519"),
        figure("envelope.sign_whole", own_sign + sign, sign, 45, "the whole, with Ed25519"),
    ]


_TICKET = ticket.issue_case(
    TICKET_KEY, id=secrets.token_urlsafe(16), consumer=CONSUMER, purpose="car-quota-lottery", case="KC-2014-000001",
    salt=bytes(16), subjects=[("citizen", "990101198002299016"), ("citizen", "990101197908159023")], at="2014-06-09",
    not_before=NOW, expires_at=NOW + 86_400,
)  # fmt: skip


def _call() -> Call:
    return Call(
        consumer=CONSUMER, provider=PROVIDER, node="civil-affairs", resource="civil_affairs/marriage",
        grant="A" * 22, purpose="car-quota-lottery", ticket=_TICKET, case="KC-2014-000001", operator="T-0417",
        idempotency="0123456789abcdef", call="query",
    )  # fmt: skip


def least(works: Sequence[Callable[[], object]], rounds: int, times: int = 50) -> list[float]:
    """Microseconds of each work, the least of `rounds` rounds in turns."""
    found = [float("inf")] * len(works)
    for _ in range(rounds):
        for n, work in enumerate(works):
            begun = time.perf_counter()
            for _ in range(times):
                work()
            found[n] = min(found[n], (time.perf_counter() - begun) / times * 1e6)
    return found


def figure(name: str, value: float, baseline: float, bar: float, note: str) -> dict[str, Any]:
    """`baseline` is bare Ed25519 of the same message in the same rounds; at most `bar` microseconds hold."""
    return {
        "name": name,
        "value": round(value, 2),
        "unit": "µs",
        "baseline": round(baseline, 2),
        "ratio": round(value / baseline, 3),
        "bar": bar,
        "holds": value <= bar,
        "warm_or_cold": "warm",
        "note": f"{note}; baseline: bare Ed25519; least of many rounds",
    }
