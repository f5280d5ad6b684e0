"""A port before the tests' PostgreSQL server: with TLS, which the wheel's server lacks, or a line that goes dead."""

import contextlib
import socket
import ssl
import threading
import time
from typing import Any

import trustme

from tests.postgres import Postgres

#: What a client sends first that wants TLS (PostgreSQL's manual, "SSL Session Encryption").
_SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


class Front:
    """Passes on what it hears, between a port on 127.0.0.1 and the server's socket; nothing while it is `silent`."""

    def __init__(self, server: Postgres, certificate: trustme.LeafCert | None = None) -> None:
        self._place = str(server.folder / ".s.PGSQL.5432")
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(self._tls)
        self.silent = threading.Event()
        self.heard = b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._open: list[socket.socket] = []

    def __enter__(self) -> "Front":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        for one in (self._listening, *self._open):
            # Closing alone would leave it open for whoever waits at it.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            first = client.recv(8, socket.MSG_PEEK)
            if first == _SSL_REQUEST:
                client.recv(8)
                client.sendall(b"S" if self._tls else b"N")
                if self._tls:
                    client = self._tls.wrap_socket(client, server_side=True)
                    self._open.append(client)
            behind = socket.socket(socket.AF_UNIX)
            behind.connect(self._place)
            self._open.append(behind)
            threading.Thread(target=self._pass, args=(behind, client), daemon=True).start()
            self._pass(client, behind)

    def _pass(self, source: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.heard += data
                while self.silent.is_set():
                    time.sleep(0.02)
                to.sendall(data)
        for one in (source, to):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
