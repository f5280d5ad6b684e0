"""One address does not take everybody's places: who only connects gives way, who has asked stays."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.node.asking import Asker, wire
from tests.node.place import Place
from tests.node.running import NodeProcess, serving, spare
from tests.node.test_tls import certificate
from tongban.node.connections import Connections, address_of
from tongban.node.server import listening_at, server

PATIENCE = 20.0
MOST = 5
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: node\r\n\r\n"


def few(text: str) -> str:
    """Messages may take their time here: only the number of connections closes one."""
    limits = f"[limits]\nconnections_per_address = {MOST}"
    return text.replace("[limits]", limits).replace("header_seconds = 1\n", "header_seconds = 60\n")


@pytest.fixture(scope="module")
def node(place: Place) -> Iterator[NodeProcess]:
    with serving(spare(place, "crowded", toml=few)) as one:
        yield one


_hosts = count(2)


class Peer:
    """An address that nobody else has, and its connections."""

    def __init__(self, node: NodeProcess) -> None:
        self._to, self._from = ("127.0.0.1", node.port), (f"127.0.0.{next(_hosts)}", 0)
        self.held: list[socket.socket] = []

    def connected(self) -> socket.socket:
        self.held.append(socket.create_connection(self._to, timeout=PATIENCE, source_address=self._from))
        return self.held[-1]

    def crowd(self) -> list[socket.socket]:
        return [self.connected() for _ in range(MOST)]


def peers(node: NodeProcess) -> Iterator[Peer]:
    found = Peer(node)
    yield found
    for one in found.held:
        one.close()


@pytest.fixture
def peer(node: NodeProcess) -> Iterator[Peer]:
    yield from peers(node)


@pytest.fixture
def other(node: NodeProcess) -> Iterator[Peer]:
    yield from peers(node)


def asks(sock: socket.socket, text: bytes = HEALTH) -> bytes:
    """What comes back; nothing if the node closed instead."""
    try:
        sock.sendall(text)
        return sock.recv(65_536)
    except (ConnectionError, ssl.SSLError):
        return b""


def is_closed(sock: socket.socket) -> bool:
    """The node ends it, whatever it says before."""
    try:
        while sock.recv(65_536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def stays_open(*socks: socket.socket) -> bool:
    return all(asks(one).startswith(b"HTTP/1.1 200") for one in socks)


def test_a_newcomer_displaces_the_oldest_of_its_address_that_said_nothing(peer: Peer, asker: Asker) -> None:
    silent = peer.crowd()
    new = peer.connected()
    assert asks(new, wire(asker.query())).startswith(b"HTTP/1.1 200")
    assert is_closed(silent[0])
    assert stays_open(*silent[1:], new)


def test_a_part_of_a_message_is_no_message(peer: Peer, asker: Asker) -> None:
    held = peer.crowd()
    assert stays_open(*held[1:])
    held[0].sendall(wire(asker.query())[:-1])
    new = peer.connected()
    assert stays_open(new)
    assert is_closed(held[0])


def test_a_second_message_that_is_not_whole_costs_no_place(peer: Peer) -> None:
    held = peer.crowd()
    assert stays_open(*held)
    held[0].sendall(HEALTH[:-2])
    assert asks(peer.connected()) == b""
    assert asks(held[0], HEALTH[-2:]).startswith(b"HTTP/1.1 200")


def test_where_all_have_asked_the_newcomer_is_closed(peer: Peer) -> None:
    held = peer.crowd()
    assert stays_open(*held)
    assert asks(peer.connected()) == b""
    assert stays_open(*held)


def test_a_place_that_is_given_up_can_be_taken(peer: Peer) -> None:
    held = peer.crowd()
    assert stays_open(*held)
    last = asks(held[0], HEALTH.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    assert last.startswith(b"HTTP/1.1 200")
    assert is_closed(held[0])
    assert stays_open(peer.connected(), *held[1:])


def test_another_address_is_not_touched(peer: Peer, other: Peer) -> None:
    silent, others = peer.crowd(), other.crowd()
    assert stays_open(*others)
    assert asks(other.connected()) == b""
    assert stays_open(*silent)


def test_behind_tls_places_are_given_and_refused_alike(place: Place) -> None:
    tls = '[node]\ncertificate = "tls.pem"\ncertificate_key = "tls.key"'
    one = spare(place, "crowded-tls", toml=lambda text: few(text).replace("[node]", tls), start=False)
    certificate(one.folder)
    with serving(one.start()):
        peer = Peer(one)
        held = [shaken(peer.connected()) for _ in range(MOST)]
        assert stays_open(*held[1:])
        new = shaken(peer.connected())
        assert stays_open(new, *held[1:])
        assert asks(held[0]) == b""
        assert asks(shaken(peer.connected())) == b""
        assert stays_open(new, *held[1:])


def shaken(sock: socket.socket) -> socket.socket:
    """After the TLS handshake, with whatever certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(sock)


def test_the_unix_socket_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "door.sock"

    async def app(scope: object, receive: object, send: object) -> None:
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"ok"})  # type: ignore[operator]

    async def told() -> list[bytes]:
        serving = server(app, connections_per_address=1)
        running = asyncio.create_task(serving.serve(sockets=[listening_at(path)]))
        held = [await asyncio.open_unix_connection(path) for _ in range(3)]
        for _, writer in held:
            writer.write(HEALTH)
        found = [await asyncio.wait_for(reader.readuntil(b"ok"), PATIENCE) for reader, _ in held]
        for _, writer in held:
            writer.close()
        serving.should_exit = True
        await running
        return found

    assert len(asyncio.run(told())) == 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("no address", "another", False),
    ],
)
def test_a_whole_network_of_ipv6_is_one_address(one: str, other: str, same: bool) -> None:
    assert (address_of(one) == address_of(other)) is same


def test_nothing_is_kept_of_addresses_that_left() -> None:
    places = Connections(2)

    class One:
        closed = False

        def displaced(self) -> None:
            self.closed = True

    held = [One() for _ in range(4)]
    assert [places.take("a", one) for one in held[:2]] == [True, True]
    places.heard("a", held[1])
    assert places.take("a", held[2])
    assert [one.closed for one in held] == [True, False, False, False]
    places.heard("a", held[2])
    places.heard("a", held[0])
    assert not places.take("a", held[3])
    for one in held:
        places.leave("a", one)
    assert places._open == {}
