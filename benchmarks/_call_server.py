"""The server that `bench call` measures: a real node, and beside it, in the same process, an unsigned look-up."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import orjson
import uvloop

from tongban.node import config as configs
from tongban.node import program
from tongban.node.app import send_reply
from tongban.node.gate import Reply

RESOURCE = "civil_affairs/marriage"


class WithDirect:
    """Passes calls on to the node; `/direct` answers from the same register without asking who asks."""

    def __init__(self, node: program.Node) -> None:
        config = node.config.resources[RESOURCE]
        self._app = node.exchange
        self._point = node.registers[config.register].point(config.point)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/direct":
            message = await receive()
            rows = self._point.read(orjson.loads(message["body"])["key"])
            columns = self._point.columns
            body = orjson.dumps({"records": [dict(zip(columns, row, strict=True)) for row in rows]})
            await send_reply(send, Reply(200, [(b"content-type", b"application/json")], body))
            return
        await self._app(scope, receive, send)


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
