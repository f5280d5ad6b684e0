"""uvicorn, one worker, on a port and on a Unix socket; slow beginners are cut off, peers on the socket are known."""

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Seconds a connection may take to bring its first whole header.
HEADER_SECONDS = 10
_UCRED = struct.Struct("3i")


class PatientProtocol(HttpToolsProtocol):
    """httptools with a limit on how long a header may take, and the peer's uid on Unix sockets."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._patience = self.loop.call_later(HEADER_SECONDS, self._header_late)
        peer = transport.get_extra_info("socket")
        if peer is not None and peer.family == socket.AF_UNIX:
            _, uid, _ = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
            # The kernel's word, not the caller's: this is what the local door trusts.
            self.client = (f"uid:{uid}", 0)

    def on_headers_complete(self) -> None:
        self._patience.cancel()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._patience.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.cancel()
        super().connection_lost(exc)

    def _header_late(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def server(app: Any, *, backlog: int = 2048, **where: Any) -> uvicorn.Server:
    """A server for `app` at `fd=`, `host=`/`port=` or `uds=`; TLS by `ssl_certfile=` and `ssl_keyfile=`."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="none",
            http=PatientProtocol,
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            backlog=backlog,
            limit_concurrency=4000,
            h11_max_incomplete_event_size=64 * 1024,
            **where,
        )
    )


def listening(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
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
