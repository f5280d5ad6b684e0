"""The supervisor of `up`: one child process a node, started together, watched, restarted, stopped together.

Children end when this process ends, however it ends (parent-death signal), so a city never outlives its terminal.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tongban.cli import console
from tongban.cli.city import City
from tongban.demo.foundation import lay
from tongban.exchange.bureau import Bureau
from tongban.kit.clock import MachineClock
from tongban.kit.durable import write_durably
from tongban.kit.errors import Unavailable
from tongban.tlog import folder as log_folder

START_SECONDS = 60
#: A child that dies within this many seconds of its start is given a longer pause before the next.
EARLY = 5.0
LONGEST_PAUSE = 30.0
PUBLISH_SECONDS = 12 * 3600


class NodeSilent(Unavailable):
    code = "cli.node_silent"
    message = "Node {node} does not answer; the last it said: {said}."
    remedy = "See {log}; then run ./tongban node check {folder}."


class Supervisor:
    """The nodes of one city."""

    def __init__(self, city: City) -> None:
        self._city = city
        self.nodes = [member.node for member in city.foundation.members()]
        self._children: dict[str, Process] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._stopping = False

    # --- before ---------------------------------------------------------------------------------------

    async def await_former(self) -> None:
        """Until no node of an `up` that was killed owns its log any more: it ends by itself once it is told.

        Raises NodeSilent.
        """
        until = time.monotonic() + START_SECONDS
        for node in self.nodes:
            while log_folder.owned(self._folder(node) / "log"):
                if time.monotonic() > until:
                    raise self._silent(node, self._folder(node) / "node.out")
                await asyncio.sleep(0.02)

    def lay(self) -> None:
        """Folders, keys, grants and a fresh directory; ports that are taken are avoided."""
        lay(self._city.foundation, self._city.solution(), self._ports(), MachineClock())

    def _ports(self) -> dict[str, int]:
        """A port for each node: the one it had, if that is still free."""
        place = self._city.folder / "ports.json"
        before = _ports_before(place)
        held: list[socket.socket] = []
        found = {}
        for node in self.nodes:
            bound = _bound(before.get(node, 0)) or _bound(0)
            assert bound is not None
            held.append(bound)
            found[node] = bound.getsockname()[1]
        for bound in held:
            bound.close()
        write_durably(place, json.dumps(found).encode())
        return found

    # --- running --------------------------------------------------------------------------------------

    async def start(self, advance: Callable[[int], None]) -> None:
        """Make facts where there are none and start every node; done when all answer. Raises NodeSilent."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        gate = asyncio.Semaphore(os.cpu_count() or 2)
        try:
            async with asyncio.TaskGroup() as starts:
                for node in self.nodes:
                    starts.create_task(self._start(node, gate, advance))
        except* NodeSilent as silent:
            # The group has ended the other starts: no child is spawned after `stop`.
            raise silent.exceptions[0] from None
        self._watchers = [asyncio.create_task(self._keep(node)) for node in self.nodes]

    async def _start(self, node: str, gate: asyncio.Semaphore, advance: Callable[[int], None]) -> None:
        async with gate:
            await self._spawn(node)
            await self._answering(node)
        advance(1)

    async def _spawn(self, node: str) -> None:
        folder = self._folder(node)
        (folder / "address.json").unlink(missing_ok=True)
        words = ("node", "run", str(folder), "--with-parent", "--facts-as-of", self._city.world.isoformat())
        self._children[node] = await self._child(words, folder / "node.out")

    async def _child(self, words: tuple[str, ...], out: Path) -> Process:
        with out.open("ab") as file:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tongban.cli.main", *words,
                stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file,
                # Ctrl-C at the terminal is for us: children are stopped in order, not all at once.
                start_new_session=True,
                env={**os.environ, "TONGBAN_PARENT": str(os.getpid())},
            )  # fmt: skip

    async def _answering(self, node: str) -> None:
        """Wait until the node has said on which port it answers."""
        until = time.monotonic() + START_SECONDS
        while not (self._folder(node) / "address.json").exists():
            if self._children[node].returncode is not None or time.monotonic() > until:
                raise self._silent(node, self._folder(node) / "node.out")
            await asyncio.sleep(0.02)

    async def _keep(self, node: str) -> None:
        """Restart a node that died, each time after a longer pause if it dies early."""
        pause = 0.2
        while not self._stopping:
            began = time.monotonic()
            status = await self._children[node].wait()
            if self._stopping:
                return
            pause = 0.2 if time.monotonic() - began > EARLY else min(pause * 2, LONGEST_PAUSE)
            console.note(f"node {node} ended with status {status}; started again in {pause:.1f} s")
            await asyncio.sleep(pause)
            await self._spawn(node)

    async def watch(self) -> None:
        """Until somebody asks to stop; a fresh directory is signed twice a day, long before the old one expires."""
        published = time.monotonic()
        while not self._stopping:
            await asyncio.sleep(0.5)
            if time.monotonic() - published > PUBLISH_SECONDS:
                Bureau(self._city.foundation.hub, MachineClock()).publish()
                published = time.monotonic()

    def _asked_to_stop(self) -> None:
        self._stopping = True

    async def stop(self) -> None:
        """End all children, gently first."""
        self._stopping = True
        for task in self._watchers:
            task.cancel()
        alive = [child for child in self._children.values() if child.returncode is None]
        for child in alive:
            child.terminate()
        if alive:
            await asyncio.wait([asyncio.create_task(child.wait()) for child in alive], timeout=15)
        for child in alive:
            if child.returncode is None:
                child.kill()
                await child.wait()

    # --- what is where --------------------------------------------------------------------------------

    def addresses(self) -> dict[str, dict[str, Any]]:
        """Each node's port, process and log."""
        found = {}
        for node in self.nodes:
            held = json.loads((self._folder(node) / "address.json").read_text())
            found[node] = {**held, "log": str(self._folder(node) / "log")}
        return found

    def _folder(self, node: str) -> Path:
        return self._city.foundation.node(node)

    def _silent(self, node: str, out: Path) -> NodeSilent:
        lines = out.read_text(errors="replace").strip().splitlines() if out.exists() else []
        return NodeSilent(node=node, said=lines[-1] if lines else "nothing", log=out, folder=self._folder(node))


def _ports_before(place: Path) -> dict[str, int]:
    """The ports of the last start; none if they cannot be read: then others are taken."""
    try:
        return dict(json.loads(place.read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def _bound(port: int) -> socket.socket | None:
    """A socket on the loopback port, None if it is taken; port 0 takes any."""
    bound = socket.socket()
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        return None
    return bound
