"""The server that `bench log url=true` reads from: a log's tiles, served as a node serves them, and nothing else."""

import json
import sys
from pathlib import Path
from typing import Any

import uvloop

from tongban.kit.clock import MachineClock
from tongban.kit.keys import SigningKey
from tongban.node.app import send_reply
from tongban.node.body import BodyReader
from tongban.node.open_log import OpenLog
from tongban.node.program import die_with_parent
from tongban.node.server import listening, server
from tongban.tlog.log import Log


def main(place: Path, seed: str) -> None:
    die_with_parent()
    origin = json.loads((place / "log.json").read_text())["origin"]
    log = Log.open(
        place, origin, SigningKey(f"{origin.partition('/')[0]}.online.1", bytes.fromhex(seed)), MachineClock()
    )
    opened = OpenLog(log, lambda: log.note, None, list, BodyReader(30), MachineClock())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reply = await opened.answer(scope["method"], scope["raw_path"], "", receive)
        assert reply is not None
        await send_reply(send, reply)

    bound = listening("127.0.0.1", 0)
    print(json.dumps({"port": bound.getsockname()[1]}), flush=True)
    uvloop.run(server(app).serve(sockets=[bound]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
