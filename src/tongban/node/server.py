"""uvicorn, one worker, on a port and on a Unix socket: cuts off slow and endless senders, knows its peers."""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from tongban.node.connections import Connections, address_of

Send = Callable[[Any], Awaitable[None]]

#: Messages that a connection may send ahead of their answers.
MOST_AT_ONCE = 16
#: Connections of all peers together; whoever comes then is told 503.
MOST_CONNECTIONS = 4000
_UCRED = struct.Struct("3i")
_CONTROLS = bytes({*range(32), 127} - {9})


def _whole(cycle: RequestResponseCycle, piecemeal: Send) -> Send:
    """`send` for a short answer: status, headers and body leave as one write, and the headers are looked at together.

    uvicorn holds each name and each value against a pattern; for the ten headers of a signed answer that costs more
    than the whole gate's bookkeeping. Whatever is not so simple goes uvicorn's own way.
    """
    head: Any = None  #: begun; nothing of it is sent yet

    async def send(message: Any) -> None:
        nonlocal head
        if head is None and not cycle.response_started and message["type"] == "http.response.start":
            head = message
            return
        begun, head = head, None
        if begun is not None:
            if written := _written(cycle, begun, message):
                cycle.response_started = cycle.response_complete = True
                cycle.waiting_for_100_continue = False
                cycle.transport.write(written)
                cycle.message_event.set()
                cycle.on_response()
                return
            await piecemeal(begun)
        await piecemeal(message)

    return send


def _written(cycle: RequestResponseCycle, begun: Any, message: Any) -> bytes | None:
    """The bytes of a whole answer on a connection that is kept; None for anything else."""
    headers, body = begun.get("headers"), message.get("body", b"")
    if (
        not headers
        or headers[-1] != (b"content-length", b"%d" % len(body))
        or message.get("more_body")
        or not cycle.keep_alive
        or cycle.disconnected
        or cycle.flow.write_paused
        or cycle.scope["method"] == "HEAD"
    ):
        return None
    lines = b"\r\n".join(map(b": ".join, headers))
    # As many control characters as stand between the lines: none is inside one.
    if len(lines) - len(lines.translate(None, _CONTROLS)) != 2 * (len(headers) - 1):
        return None
    return b"%b%b\r\n\r\n%b" % (STATUS_LINE[begun["status"]], lines, body)


class PatientProtocol(HttpToolsProtocol):
    """httptools with limits on how long a header may be and take, and the peer's uid on Unix sockets.

    Every so often each connection is looked at: one that still owes the header it owed at the look before, or the
    rest of a message that was answered already, is closed.
    """

    def __init__(
        self, *args: Any, header_seconds: float, header_bytes: int, places: Connections, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._places = places
        self._address = ""  #: of the peer; empty on a Unix socket, which strangers cannot open
        self._header_seconds, self._header_bytes = header_seconds, header_bytes
        self._messages = 0  #: begun on this connection
        self._in_header, self._in_message = True, True
        self._framing = 0  #: bytes of this message that are not its body
        self._owing = -1  #: the message whose end was awaited at the last look

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._next_look = self.loop.call_later(self._header_seconds, self._look)
        peer = transport.get_extra_info("socket")
        if peer is not None and peer.family == socket.AF_UNIX:
            _, uid, _ = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
            # The kernel's word, not the caller's: this is what the local door trusts.
            self.client = (f"uid:{uid}", 0)
        elif self.client is not None:
            self._address = address_of(self.client[0])
            if not self._places.take(self._address, self):
                transport.abort()

    def displaced(self) -> None:
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._next_look.cancel()
        if self._address:
            self._places.leave(self._address, self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._framing += len(data)
        super().data_received(data)
        # Header, chunk sizes and trailers: the parser would gather them for as long as somebody sends.
        if self._framing > self._header_bytes:
            self.transport.close()

    def on_message_begin(self) -> None:
        self._messages += 1
        self._in_header = self._in_message = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_header = False
        # Thousands of messages fit into one read, and each costs a hundred times its bytes. Ends in uvicorn's 400.
        if len(self.pipeline) >= MOST_AT_ONCE:
            raise ConnectionRefusedError
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, lambda scope, receive, send: app(scope, receive, _whole(cycle, send)))

    def on_body(self, body: bytes) -> None:
        # A body that comes in chunks may spend a little on their sizes.
        self._framing -= len(body) + len(body) // 64
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        self._framing = 0
        if self._messages == 1 and self._address:
            self._places.heard(self._address, self)
        super().on_message_complete()

    def _look(self) -> None:
        answered = self.cycle is not None and self.cycle.response_complete
        # The last: a few stray bytes after a message would otherwise stop the keep-alive's clock for ever.
        owes = self._in_header or (answered if self._in_message else self._framing > 0)
        if owes and self._owing == self._messages:
            self.transport.close()
            return
        self._owing = self._messages if owes else -1
        self._next_look = self.loop.call_later(self._header_seconds, self._look)


def server(
    app: Any,
    *,
    header_seconds: float = 10,
    header_bytes: int = 16 * 1024,
    connections_per_address: int = 1000,
    backlog: int = 2048,
    **where: Any,
) -> uvicorn.Server:
    """A server for `app` at `fd=`, `host=`/`port=` or `uds=`; TLS by `ssl_certfile=` and `ssl_keyfile=`."""
    places = Connections(connections_per_address)
    patience = {"header_seconds": header_seconds, "header_bytes": header_bytes, "places": places}
    # One warning for each garbled message: a disk that strangers can fill.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="none",
            http=partial(PatientProtocol, **patience),  # type: ignore[arg-type]
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            backlog=backlog,
            limit_concurrency=MOST_CONNECTIONS,
            **where,
        )
    )


def listening(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, or asyncio leaves Nagle on: the body would wait 40 ms for the headers to be acknowledged.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    bound.listen(2048)
    bound.setblocking(False)
    return bound


def listening_at(path: Path) -> socket.socket:
    """A bound Unix socket that only its owner may open; an abandoned one is replaced."""
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound.bind(str(path))
    path.chmod(0o600)
    bound.listen(256)
    bound.setblocking(False)
    return bound
