"""`./tongban up`: a whole city on this machine, from nothing to a drawn round, then on until Ctrl-C.

    registers → departments' folders, keys, grants, directory → nodes (a process each) → facts → a round

A second `up` finds what is there and goes on from it. `--once` ends after the round is published.
"""

import argparse
import asyncio
import contextlib
import fcntl
import shutil
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from tongban.cli import console
from tongban.cli.today import today
from tongban.kit.errors import Refused, Unavailable

WORLDS = {str(year): date(year, month, 9) for year, month in ((2011, 6), (2014, 6), (2016, 6), (2026, 10))}


def add(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "examples:\n  ./tongban up\n  ./tongban up --once --size small\n  ./tongban up --world 2026"
    parser.add_argument("--once", action="store_true", help="end when the round is published")
    parser.add_argument("--size", default="small", choices=("hamlet", "small", "city", "metropolis"))
    parser.add_argument(
        "--world", default="2014", choices=tuple(WORLDS), help="year whose round is held; 2014 if left out"
    )
    parser.add_argument("--city", type=Path, metavar="DIR", help="folder of the city; var/SIZE if left out")
    parser.add_argument("--fresh", action="store_true", help="remove the city that is there and begin anew")


def run(args: argparse.Namespace) -> int:
    from tongban.cli.root import checkout

    name = args.size if args.world == "2014" else f"{args.size}-{args.world}"
    folder = (args.city or checkout() / "var" / name).absolute()
    began = time.monotonic()
    with _only_one(folder):
        if args.fresh and (folder / "city.json").exists():
            shutil.rmtree(folder)
        _make(folder, args.size, WORLDS[args.world])
        return asyncio.run(_city(folder, args, began))


class CityRunning(Unavailable):
    code = "cli.city_running"
    message = "The city in {folder} runs already."
    remedy = "Use it as it is, stop that `up` with Ctrl-C, or start another city with --city DIR."


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the city for this process; another `up` must not lay new ports under running nodes. Raises CityRunning."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CityRunning(folder=folder.name) from None
        yield


def _make(folder: Path, size: str, world: date) -> None:
    """Generate the registers unless they are there."""
    if (folder / "city.json").exists():
        console.note(f"城市 · city: {folder.name} is there, resumed")
        return
    from tongban.demo.city import generate

    with console.progress(f"登记库 · registers of a {size} city", None) as advance:
        generate(folder, size, world, progress=lambda what, share: advance(1))


async def _city(folder: Path, args: argparse.Namespace, began: float) -> int:
    from tongban.cli.city import open_city
    from tongban.cli.supervisor import Supervisor

    city = open_city(folder)
    supervisor = Supervisor(city)
    try:
        await supervisor.await_former()
        with console.progress("部门 · departments: keys, grants, signed directory", None):
            supervisor.lay()
        with console.progress(
            f"节点 · {len(supervisor.nodes)} nodes, each a process, and their facts", len(supervisor.nodes)
        ) as advance:
            await supervisor.start(advance)
        said = await _round(city, args.json)
        said["seconds"] = round(time.monotonic() - began, 1)
        said["nodes"] = supervisor.addresses()
        _show(said, args.json, city.consumer)
        held_up = _held_up(said)
        if held_up:
            console.note(f"本期未完成 · the round is not done: {held_up}")
        if not args.once:
            console.note("城市在运行，按 Ctrl-C 停止 · the city runs; Ctrl-C stops it")
            await supervisor.watch()
    finally:
        await supervisor.stop()
    return 1 if held_up else 0


def _held_up(said: dict[str, Any]) -> str:
    """Why the round went no further; empty if it is published."""
    for step, one in said.items():
        if isinstance(one, Refused):
            return f"{step}: {one.reason} ({one.code})"
        if isinstance(one, dict) and one.get("silent"):
            return f"no answer from {'; '.join(one['silent'])}. {one['what_to_do']}"
    return ""


async def _round(city: Any, quiet: bool) -> dict[str, Any]:
    """The world's round, step by step; steps that were done before say what they found then."""
    from tongban.cli.board import Board
    from tongban.cli.round_steps import Steps

    steps = Steps(city, "T-0001")
    opened = await steps.new(None)
    id = opened["round"]
    with Board(quiet) as board:
        verified = await steps.verify(id, board.tell, frozenset(), "")
    said: dict[str, Any] = {"opened": opened, "verified": verified}
    if _held_up(said):
        return {**said, "refused": "verified"}
    said["decided"] = steps.decide(id)
    said |= {"tables": steps.status(id).get("tables", []), "refused": None}
    if not steps.draws(id):
        return said
    said["frozen"] = await steps.freeze(id, False)
    if not _held_up(said):
        said["drawn"] = await steps.draw(id)
    if not _held_up(said):
        said["published"] = steps.publish(id, "T-0002", today())
    said["tables"] = steps.status(id).get("tables", [])
    said["refused"] = next((name for name, one in said.items() if isinstance(one, Refused)), None)
    return said


def _show(said: dict[str, Any], as_json: bool, consumer: str) -> None:
    if as_json:
        tables = said.pop("tables", None)
        console.emit({**said, "verdicts": tables[0][1] if tables else []})
        return
    for columns, rows in said.get("tables", []):
        console.say()
        console.table(columns, rows, right=range(2 if len(columns) > 2 else 1, len(columns)))
    drawn, published = said.get("drawn"), said.get("published")
    console.say()
    if isinstance(published, dict):
        console.say(f"报告 · report       {published['report']}")
    if isinstance(drawn, dict):
        for again in drawn["draw_again"]:
            console.say(f"重摇 · draw again   {again}")
    console.say(f"日志 · audit a log  ./tongban log verify {said['nodes'][consumer]['log']} --signatures")
    console.say(f"用时 · from start   {said['seconds']} s")
