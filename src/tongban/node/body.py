"""Reading a request's body under limits: bytes, seconds, and nobody waits for ever."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tongban.kit.errors import Refused

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

TOO_LONG = Refused("exchange.body_too_long", "the body is longer than this node takes for this kind of call")
TOO_SLOW = Refused("exchange.slow_sender", "the body did not arrive in time")
GONE = Refused("exchange.gone", "the caller hung up before its body was complete")


class BodyReader:
    """Reads bodies; one sweep a second ends those whose time is over.

    A timer for each call would cost more than the whole gate's bookkeeping, and nearly every body is
    already there when it is asked for.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()

    async def read(self, receive: Receive, limit: int) -> bytes | Refused:
        """The whole body, at most `limit` bytes."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._waiting[task] = loop.time() + self._seconds
        try:
            return await _collect(receive, limit)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            self._late.discard(task)
            task.uncancel()
            return TOO_SLOW
        finally:
            del self._waiting[task]

    async def sweep(self) -> None:
        """Run for as long as the node runs."""
        while True:
            await asyncio.sleep(1)
            now = asyncio.get_running_loop().time()
            for task, until in list(self._waiting.items()):
                if now > until:
                    self._late.add(task)
                    task.cancel()


async def _collect(receive: Receive, limit: int) -> bytes | Refused:
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.disconnect":
        return GONE
    if not message.get("more_body", False):
        return body if len(body) <= limit else TOO_LONG
    parts, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            return GONE
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit:
            return TOO_LONG
    return b"".join(parts)
