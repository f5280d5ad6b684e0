"""The node's front to other nodes: bare ASGI, three kinds of path, nothing else answers.

`/v1/…` goes through the gate; `/healthz` says whether the node takes calls, and nothing else of it; what is open of the
log, and the witness of others', answer for themselves.
"""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from tongban.exchange.refusals import status_of
from tongban.kit.errors import Refused
from tongban.node.body import Receive
from tongban.node.gate import Gate, Reply
from tongban.node.metrics import ANSWERED, Counts, call_of, outcome_of
from tongban.node.open_log import OpenLog

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ExchangeApp:
    """ASGI application of a node's exchange port."""

    def __init__(self, gate: Gate, answers: Callable[[], bool], open_log: OpenLog) -> None:
        self._call, self._answers, self._open = gate.call, answers, open_log.answer
        self.counts = Counts()
        #: It is a witness, and nothing else yet: its own log may not be the newest.
        self.waiting = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        if path == b"/healthz":
            reply = _health_reply(self._answers() and not self.waiting)
        else:
            if query := scope["query_string"]:
                # No call has one, so no identifier can stand in an address: the gate knows no such path.
                path += b"?" + query
            client = scope.get("client")
            peer = client[0] if client else ""
            reply = await self._reply(scope, path, peer, receive)
        await send_reply(send, reply)

    async def _reply(self, scope: Scope, path: bytes, peer: str, receive: Receive) -> Reply:
        if self.waiting and not path.startswith((b"/add-checkpoint", b"/witnessed/")):
            return refused_reply(_WAITING)
        opened = None if path.startswith(b"/v1/") else await self._open(scope["method"], path, peer, receive)
        return opened or await self._counted(scope, path, peer, receive)

    async def _counted(self, scope: Scope, path: bytes, peer: str, receive: Receive) -> Reply:
        began = time.perf_counter()
        reply = await self._call(scope["method"].encode(), path, scope["headers"], peer, receive)
        self.counts.took(call_of(path), ANSWERED if reply.status == 200 else code_in(reply.body), began)
        return reply


def code_in(body: bytes) -> str:
    """The code of a refusal, as far as it may be a label."""
    try:
        return outcome_of(str(orjson.loads(body)["code"]))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return outcome_of("other")


_WAITING = Refused("exchange.log_unavailable", "this node does not know yet whether its log is the newest")


async def send_reply(send: Send, reply: Reply) -> None:
    """Send status, headers with the length, and body."""
    headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def refused_reply(refused: Refused) -> Reply:
    """An unsigned refusal."""
    body = orjson.dumps({"code": refused.code, "reason": refused.reason})
    return Reply(status_of(refused.code), [(b"content-type", b"application/json")], body)


def _health_reply(answers: bool) -> Reply:
    """Anybody may ask: how much a department is asked, or how old its directory is, would tell whom to attack when."""
    body = orjson.dumps({"answers": answers})
    return Reply(200 if answers else 503, [(b"content-type", b"application/json")], body)
