"""A short answer leaves in one piece; everything else as uvicorn would send it. Nothing of ours splits a header."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tongban.node.server import listening, server

App = Callable[[Any, Any, Any], Awaitable[None]]
ASKED = b"POST /v1/query HTTP/1.1\r\nhost: node\r\ncontent-length: 2\r\n\r\n{}"


def answering(*messages: dict[str, Any]) -> App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def begun(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [*headers]}


def body(text: bytes, **more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text, **more}


def length(text: bytes) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % len(text)


def said(app: App, *requests: bytes) -> list[bytes]:
    """What comes back on one connection, answer by answer."""

    async def talk() -> list[bytes]:
        bound = listening("127.0.0.1", 0)
        serving = server(app)
        running = asyncio.create_task(serving.serve(sockets=[bound]))
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        heard = []
        try:
            for request in requests:
                writer.write(request)
                heard.append(await whole(reader))
            return heard
        finally:
            writer.close()
            serving.should_exit = True
            await running

    return asyncio.run(talk())


async def whole(reader: asyncio.StreamReader) -> bytes:
    """Header and body of one answer; what there is if the connection ends before."""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        if b"chunked" in head:
            return head + await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return head + await asyncio.wait_for(reader.readexactly(size), 5)
    except asyncio.IncompleteReadError as ended:
        return ended.partial


def test_status_headers_and_body_arrive_as_they_were_given() -> None:
    app = answering(
        begun((b"content-type", b"application/json"), (b"signature", b"tb=:AA==:"), length(b"{}")), body(b"{}")
    )
    expected = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nsignature: tb=:AA==:\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert said(app, ASKED) == [expected]


def test_a_connection_is_kept_for_the_next_call() -> None:
    app = answering(begun(length(b"yes"), status=403), body(b"yes"))
    assert said(app, ASKED, ASKED, ASKED) == [b"HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nyes"] * 3


def test_two_calls_in_one_packet_get_two_answers_in_their_order() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        text = scope["path"].encode()
        await asyncio.sleep(0.05 if text == b"/v1/query" else 0)
        await send(begun(length(text)))
        await send(body(text))

    first, second = said(app, ASKED + ASKED.replace(b"query", b"match"), b"")
    assert (first[-9:], second[-9:]) == (b"/v1/query", b"/v1/match")


@pytest.mark.parametrize("evil", [b"a\r\nx: y", b"a\nb", b"a\rb", b"a\x00b", b"\x7f"])
@pytest.mark.parametrize("place", ["value", "name"])
def test_a_header_with_a_control_character_is_never_sent(evil: bytes, place: str) -> None:
    header = (b"x-told", evil) if place == "value" else (evil, b"told")
    (heard,) = said(answering(begun(header, length(b"{}")), body(b"{}")), ASKED)
    assert heard.startswith(b"HTTP/1.1 500 ") or heard == b""
    assert evil not in heard


def test_a_body_in_parts_is_sent_in_parts() -> None:
    app = answering(begun(length(b"{}")), body(b"{", more_body=True), body(b"}"))
    assert said(app, ASKED) == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]


@pytest.mark.parametrize("headers", [[], [(b"x-told", b"1")]])
def test_an_answer_without_a_length_is_chunked(headers: list[tuple[bytes, bytes]]) -> None:
    (heard,) = said(answering(begun(*headers), body(b"{}")), ASKED)
    assert heard.endswith(b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")


@pytest.mark.parametrize("wrong", [b"1", b"3"])
def test_a_body_that_has_not_the_length_it_said_is_not_sent_whole(wrong: bytes) -> None:
    (heard,) = said(answering(begun((b"content-length", wrong)), body(b"{}")), ASKED)
    assert len(heard) < len(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n") + int(wrong)


def test_a_caller_that_will_hang_up_is_told_so() -> None:
    app = answering(begun(length(b"{}")), body(b"{}"))
    (heard,) = said(app, ASKED.replace(b"host", b"connection: close\r\nhost"))
    assert b"connection: close\r\n" in heard


def test_a_question_for_the_header_only_gets_no_body() -> None:
    (heard, _) = said(answering(begun(length(b"")), body(b"")), b"HEAD /healthz HTTP/1.1\r\nhost: node\r\n\r\n", ASKED)
    assert heard == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def test_an_application_that_breaks_off_after_its_header_is_an_error_not_an_empty_answer() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(begun(length(b"{}")))
        raise ValueError("as nobody planned")

    (heard,) = said(app, ASKED)
    assert heard.startswith(b"HTTP/1.1 500 ")
