"""The server that `bench call` measures: a real node, and beside it, in the same process, an unsigned look-up."""

import json
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson
import uvloop

from tongban.node import config as configs
from tongban.node import program
from tongban.node.address import Server
from tongban.node.app import send_reply
from tongban.node.gate import Reply

RESOURCE = "civil_affairs/marriage"


class WithDirect:
    """Passes calls on to the node; `/direct` answers from the same register without asking who asks."""

    def __init__(self, node: program.Node) -> None:
        config = node.config.resources[RESOURCE]
        self._app = node.exchange
        place = node.config.registers[config.register]
        if place.server is not None:
            self._found = _Bare(place.server, config.point).found
        else:
            self._found = _at_once(node.registers[config.register].point(config.point))
        self._columns = config.fields

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/direct":
            message = await receive()
            rows = await self._found(orjson.loads(message["body"])["key"])
            body = orjson.dumps({"records": [dict(zip(self._columns, row, strict=True)) for row in rows]})
            await send_reply(send, Reply(200, [(b"content-type", b"application/json")], body))
            return
        await self._app(scope, receive, send)


Found = Callable[[str], Coroutine[Any, Any, Any]]


def _at_once(point: Any) -> Found:
    async def found(key: str) -> Any:
        return point.read(key)

    return found


class _Bare:
    """What a department's own program would do: the SELECT, by asyncpg, over as many kept connections."""

    def __init__(self, server: Server, select: str) -> None:
        self._server, self._select = server, select.replace(":key", "$1")
        self._pool: Any = None

    async def found(self, key: str) -> Any:
        if self._pool is None:
            import asyncpg

            server = self._server
            pool = asyncpg.create_pool(
                host=server.host, user=server.user, database=server.database, reset=_as_it_is,
                password=os.environ[server.password_env], min_size=0, max_size=server.connections,
            )  # fmt: skip
            await pool
            self._pool = self._pool or pool
        return await self._pool.fetch(self._select, key)


async def _as_it_is(_: Any) -> None:
    """Saves the round trip that asyncpg makes after each use."""


def main(folder: Path) -> None:
    os.sched_setaffinity(0, {0})
    program.die_with_parent()
    node = program.build(configs.read(folder))
    node.exchange = WithDirect(node)  # type: ignore[assignment]

    def ready(port: int) -> None:
        print(json.dumps({"port": port}), flush=True)

    uvloop.run(program.serve(node, ready))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
