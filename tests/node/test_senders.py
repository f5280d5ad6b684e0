"""Slow, endless, broken and hurried senders: each is ended in time, and nobody else waits for them."""

import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.node.asking import Asker, Request, wire
from tests.node.place import Place
from tests.node.running import NodeProcess, entries, leaf_of, record_of, records, serving, spare, until
from tongban.exchange.client import Answer

#: The node of these tests gives a header one second, looked after every second, and a body two.
HEADER, BODY = 3.0, 4.5
#: What a machine with neighbours may add.
PATIENCE = 10.0


@pytest.fixture(scope="module")
def node(place: Place) -> Iterator[NodeProcess]:
    with serving(spare(place, "senders")) as one:
        yield one


def connected(node: NodeProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", node.port), timeout=PATIENCE + BODY)


def heard(sock: socket.socket) -> tuple[bytes, float]:
    """Everything until the node closes, and how long that took."""
    began, parts = time.monotonic(), []
    try:
        while part := sock.recv(65_536):
            parts.append(part)
    except ConnectionError:
        pass
    sock.close()
    return b"".join(parts), time.monotonic() - began


def dribbled(sock: socket.socket, text: bytes, every: float = 0.3) -> tuple[bytes, float]:
    """`text` byte by byte, until the node has enough of it."""
    began = time.monotonic()
    sock.settimeout(every)
    told = b""
    for place in range(len(text)):
        try:
            sock.sendall(text[place : place + 1])
            part = sock.recv(65_536)
        except TimeoutError:
            continue
        except ConnectionError:
            break
        if not part:
            break
        told += part
    else:
        raise AssertionError("the node took it all")
    sock.close()
    return told, time.monotonic() - began


def poured(sock: socket.socket, text: bytes, most: int) -> tuple[bytes, float]:
    """`text` again and again, as fast as it goes."""
    began, sent = time.monotonic(), 0
    try:
        while sent < most:
            sock.sendall(text)
            sent += len(text)
    except ConnectionError:
        return b"", time.monotonic() - began
    raise AssertionError(f"the node took {sent} bytes")


def head(text: str) -> bytes:
    return f"POST /v1/query HTTP/1.1\r\nhost: node\r\n{text}".encode()


def whole(a: Asker) -> bytes:
    return wire(a.query())


CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)
CHUNKED = head("transfer-encoding: chunked\r\n\r\n")

#: What a stranger does, how long the node may bear it, and what the answer begins with.
STRANGERS: dict[str, tuple[Callable[[NodeProcess, Asker], tuple[bytes, float]], float, bytes]] = {
    "says nothing": (lambda n, a: heard(connected(n)), HEADER, b""),
    "stops within the header": (lambda n, a: heard(after(n, head("x: y"))), HEADER, b""),
    "dribbles a header": (lambda n, a: dribbled(connected(n), head("x: y\r\n" * 100)), HEADER, b""),
    "dribbles a second header": (
        lambda n, a: dribbled(answered(n, b"GET /healthz HTTP/1.1\r\nhost: node\r\n\r\n"), head("x: y\r\n" * 100)),
        HEADER,
        b"",
    ),
    "dribbles empty lines after a message": (
        lambda n, a: dribbled(answered(n, b"GET /healthz HTTP/1.1\r\nhost: node\r\n\r\n"), b"\r\n" * 100),
        HEADER,
        b"",
    ),
    "sends a header without end": (lambda n, a: poured(after(n, head("x: ")), b"y" * 4096, 8_000_000), 5, b""),
    "sends headers without end": (lambda n, a: poured(after(n, head("")), b"x: y\r\n" * 500, 8_000_000), 5, b""),
    "sends trailers without end": (
        lambda n, a: poured(after(n, CHUNKED + b"0\r\n"), b"x: y\r\n" * 500, 8_000_000),
        5,
        b"",
    ),
    "goes on with a body after its refusal": (
        lambda n, a: dribbled(after(n, head("content-length: 60000\r\n\r\n")), b"x" * 100),
        HEADER + 1,
        b"HTTP/1.1 400 ",
    ),
    "sends thousands of messages and reads no answer": (
        lambda n, a: poured(connected(n), b"GET /healthz HTTP/1.1\r\n\r\n" * 5000, 80_000_000),
        5,
        b"",
    ),
    "speaks TLS": (lambda n, a: heard(after(n, CLIENT_HELLO)), 5, b"HTTP/1.1 400 "),
    "speaks nonsense": (lambda n, a: heard(after(n, os.urandom(400) + b"\r\n\r\n")), 5, b"HTTP/1.1 400 "),
    "says two lengths": (
        lambda n, a: heard(after(n, head("content-length: 3\r\ncontent-length: 4\r\n\r\nabcd"))),
        5,
        b"HTTP/1.1 400 ",
    ),
    "says a length and chunks": (
        lambda n, a: heard(after(n, head("content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"))),
        5,
        b"HTTP/1.1 400 ",
    ),
}  # fmt: skip


def after(node: NodeProcess, text: bytes) -> socket.socket:
    sock = connected(node)
    sock.sendall(text)
    return sock


def answered(node: NodeProcess, text: bytes) -> socket.socket:
    """A connection on which one message was answered already."""
    sock = after(node, text)
    assert sock.recv(65_536).startswith(b"HTTP/1.1 200")
    return sock


@pytest.fixture(scope="module")
def outcomes(node: NodeProcess, place: Place) -> dict[str, tuple[bytes, float] | BaseException]:
    """All of them at once, while honest calls go on."""
    asker = Asker(place)
    with ThreadPoolExecutor(len(STRANGERS)) as pool:
        running = {what: pool.submit(act, node, asker) for what, (act, _, _) in STRANGERS.items()}
        while not all(one.done() for one in running.values()):
            assert node.send(asker.query()).status == 200
        return {what: one.exception() or one.result() for what, one in running.items()}


@pytest.mark.parametrize("what", STRANGERS)
def test_a_stranger_is_ended_in_time_who(what: str, outcomes: dict[str, tuple[bytes, float]], node: NodeProcess):
    outcome = outcomes[what]
    assert not isinstance(outcome, BaseException), outcome
    told, seconds = outcome
    assert told.startswith(STRANGERS[what][2])
    assert seconds < STRANGERS[what][1] + PATIENCE
    assert b"signature" not in told
    assert node.alive


def test_nothing_of_that_grew_the_node(outcomes: object, node: NodeProcess) -> None:
    assert outcomes
    status = Path(f"/proc/{node.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    assert int(found[1]) < 400_000
    assert "Invalid HTTP" not in node.said()
    assert not [one for one in entries(node.log) if leaf_of(one)["kind"] == "refused"]


# Callers


def test_a_slow_body_is_ended_with_a_signed_refusal(node: NodeProcess, asker: Asker, place: Place) -> None:
    asked = asker.query()
    body, before = asked.body, len(records(node.log, "refused"))
    sock = after(node, wire(asked)[: -len(body)] + body[:5])
    told, seconds = heard(sock)
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b"exchange.slow_sender" in told
    assert b"tongban-entry" in told
    assert seconds < BODY + HEADER + PATIENCE
    assert [one["code"] for one in records(node.log, "refused")][before:] == ["exchange.slow_sender"]
    again = asker.query(idempotency=asked.value("tongban-idempotency"))
    assert isinstance(asker.judged(again, node.send(again)), Answer)


def test_a_caller_that_hangs_up_within_its_body_is_logged_and_costs_nothing(node: NodeProcess, asker: Asker) -> None:
    asked = asker.query()
    before = len(records(node.log, "refused"))
    sock = after(node, wire(asked)[:-3])
    sock.close()
    told = until(lambda: records(node.log, "refused")[before:], "the refusal is logged")
    assert [one["code"] for one in told] == ["exchange.gone"]
    assert node.send(asker.query(idempotency=asked.value("tongban-idempotency"))).status == 200


def chunks(asked: Request, *parts: bytes) -> bytes:
    raw = re.sub(rb"content-length: \d+", b"transfer-encoding: chunked", wire(asked))
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return raw[: len(raw) - len(asked.body)] + framed + b"0\r\n\r\n"


def test_a_body_in_chunks_is_a_body(node: NodeProcess, asker: Asker) -> None:
    asked = asker.query()
    for parts in ([asked.body], [asked.body[n : n + 1] for n in range(len(asked.body))]):
        asked = asker.query()
        sock = after(node, chunks(asked, *parts))
        assert sock.recv(65_536).startswith(b"HTTP/1.1 200 ")
        sock.close()


def test_a_body_in_chunks_has_a_limit_too(node: NodeProcess, asker: Asker) -> None:
    asked = asker.query(body=b" " * 70_000)
    sock = after(node, chunks(asked, *[b" " * 10_000] * 7))
    told = sock.recv(65_536)
    sock.close()
    assert told.startswith(b"HTTP/1.1 413 ")
    assert b"tongban-entry" in told
    assert record_of(entries(node.log)[-1])["code"] == "exchange.body_too_long"


def test_two_messages_sent_at_once_are_answered_in_their_order(node: NodeProcess, asker: Asker) -> None:
    first, second = asker.query(fields=["status"]), asker.query(fields=["district"])
    sock = after(node, wire(first) + wire(second))
    told = b""
    while told.count(b"HTTP/1.1 200 ") < 2 or not told.endswith(b"}"):
        told += sock.recv(65_536)
    sock.close()
    places = [told.index(one.prepared.signed.request_digest.encode()) for one in (first, second)]
    assert places == sorted(places)


def test_a_request_to_speak_otherwise_is_answered_as_if_it_were_not_there(node: NodeProcess, asker: Asker) -> None:
    for protocol in ("websocket", "h2c"):
        asked = asker.query().also("connection", "upgrade").also("upgrade", protocol)
        sock = after(node, wire(asked))
        sock.settimeout(PATIENCE)
        told = sock.recv(65_536)
        sock.close()
        assert told.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 ")), told[:60]
    assert node.send(asker.query()).status == 200


def test_a_thousand_who_only_connect_keep_nobody_out(node: NodeProcess, asker: Asker) -> None:
    idle = [connected(node) for _ in range(1000)]
    try:
        assert node.send(asker.query()).status == 200
        assert Path(f"/proc/{node.pid}/limits").read_text().count("Max open files")
    finally:
        for one in idle:
            one.close()


def test_a_peer_that_calls_too_often_is_told_so_before_anything_is_verified(place: Place) -> None:
    one = spare(
        place, "hurried", toml=lambda text: text.replace("[limits]", "[limits]\ncalls_per_second = 1\nburst = 5")
    )
    with serving(one):
        asker = Asker(place)
        codes = [one.send(asker.query()).code for _ in range(8)]
        assert codes[:5] == [""] * 5
        assert "exchange.rate_limited" in codes[5:]
        until(lambda: one.send(asker.query()).status == 200, "a second has passed")
    told = [leaf_of(entry) for entry in entries(one.log) if leaf_of(entry)["kind"] == "refused-aggregate"]
    assert [*told[0]["body"]["counts"]] == ["exchange.rate_limited"]
