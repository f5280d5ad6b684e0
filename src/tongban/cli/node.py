"""`./tongban node init|check|refresh|run|… DIR`: a department's own node. `node_verbs` has its further verbs."""

import argparse
import asyncio
import logging
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from tongban.cli import console, node_verbs
from tongban.cli.root import checkout
from tongban.cli.today import today
from tongban.kit.errors import TongbanError, Unavailable


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(
        dest="verb", required=True, metavar=f"init|check|refresh|run|spark|{node_verbs.NAMES}"
    )
    init = verbs.add_parser(
        "init", help="lay out a node's folder", epilog="example:\n  ./tongban node init DIR --id tax-1 --member CODE"
    )
    init.add_argument("folder", type=Path, metavar="DIR")
    init.add_argument("--id", required=True, help="the node's name in the directory")
    init.add_argument("--member", required=True, help="the department's unified social credit code")
    init.add_argument("--root", default="", help="digest of the city's first root")
    check = verbs.add_parser(
        "check", help="say what would keep a node from answering", epilog="example:\n  ./tongban node check DIR"
    )
    check.add_argument("folder", type=Path, metavar="DIR")
    refresh = verbs.add_parser(
        "refresh",
        help="read the registers into facts, while calls go on",
        epilog="example:\n  ./tongban node refresh DIR --as-of 2014-06-09",
    )
    refresh.add_argument("folder", type=Path, metavar="DIR")
    refresh.add_argument("--as-of", type=date.fromisoformat, help="day the registers stand for; today if left out")
    refresh.add_argument("--resource", help="only this one")
    refresh.add_argument("--accept-fewer", action="store_true", help="publish a register that lost most of its rows")
    run_ = verbs.add_parser("run", help="answer calls until stopped", epilog="example:\n  ./tongban node run DIR")
    run_.add_argument("folder", type=Path, metavar="DIR")
    run_.add_argument(
        "--facts-as-of", type=date.fromisoformat, metavar="DAY", help="make facts first if there are none"
    )
    run_.add_argument("--with-parent", action="store_true", help="end when the process that started it ends")
    verbs.add_parser(
        "spark",
        help="fetch what registers in Spark need, and try it",
        epilog="example:\n  ./tongban node spark     some 460 MB, once; then how long Spark takes to start here",
    )
    node_verbs.add_to(verbs)


def run(args: argparse.Namespace) -> int:
    verbs = {"init": _init, "check": _check, "refresh": _refresh, "run": _run, "spark": _spark}
    verbs |= node_verbs.of(pass_phrase)
    return verbs[args.verb](args)


def pass_phrase() -> str | None:
    """Pass phrase of sealed keys, from the environment: never from the command line, which others can see."""
    return os.environ.get("TONGBAN_PASS_PHRASE")


def _init(args: argparse.Namespace) -> int:
    from tongban.node import setup

    setup.init(args.folder, args.id, args.member, args.root, os.getuid(), pass_phrase())
    if args.json:
        console.emit({"folder": str(args.folder), "node": args.id})
    else:
        console.say(f"Node {args.id} is laid out in {args.folder}. Next: fill in node.toml, then ./tongban node check.")
    return 0


def _check(args: argparse.Namespace) -> int:
    from tongban.node import setup

    found = list(setup.check(args.folder, pass_phrase()))
    for one in found:
        if args.json:
            console.emit({"where": one.where, "holds": one.holds, "what": one.what, "remedy": one.remedy})
        else:
            mark = ("!" if one.what else "✓") if one.holds else "✗"
            console.say(f"{mark} {one.where}{': ' + one.what if one.what else ''}")
            if one.remedy and one.what:
                console.say(f"  {one.remedy}")
    return 0 if all(one.holds for one in found) else 1


def _refresh(args: argparse.Namespace) -> int:
    from tongban.node import config as configs
    from tongban.node.findings import NAMELESS, nameless

    config, day = configs.read(args.folder), args.as_of or today()
    for snapshot in _read_registers(config, day, args.resource, args.accept_fewer):
        said = {"resource": snapshot.resource, "snapshot": snapshot.id, "rows": dict(snapshot.rows)}
        if args.json:
            counts = {"rejected": snapshot.rejected, "doubts": snapshot.doubts, "nameless": snapshot.nameless}
            console.emit({**said, **counts})
        else:
            rows = sum(snapshot.rows.values())
            console.say(
                f"{snapshot.resource}: {rows:,} keys, {snapshot.rejected:,} rows rejected, snapshot {snapshot.id}"
            )
            if snapshot.nameless:
                console.say(f"! {nameless(snapshot.nameless)}\n  {NAMELESS}")
    return 0


def _read_registers(config: Any, day: date, only: str | None, fewer: bool = False) -> Iterator[Any]:
    """New facts, resource by resource, for the tables that the directory defines."""
    from tongban.kit.clock import MachineClock
    from tongban.node import setup
    from tongban.node.door import NoDirectory
    from tongban.node.source import DirectorySource

    source = DirectorySource(config.directory, config.folder / "directory.json", config.directory_root, MachineClock())
    source.load_kept()
    asyncio.run(source.pull())
    if source.current is None:
        raise NoDirectory()
    yield from setup.refresh(config, source.current, day, only, fewer=fewer)


def _first_facts(config: Any, day: date) -> None:
    """Make facts in a child that shares what is already loaded; its memory goes with it. Raises FactsFailed."""
    from tongban.node import program

    node = os.getpid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            # What ends a parent with its own parent is not handed down.
            program.die_with_parent(node)
            for _ in _read_registers(config, day, None):
                pass
            status = 0
        except TongbanError as error:
            console.note(str(error))
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1] != 0:
        raise FactsFailed(node=config.id)


def _lacks_facts(config: Any) -> bool:
    """Whether some resource that has facts has none yet: a start may have been cut off between two of them."""
    from tongban.node.store import FactStore

    store = FactStore(config.folder / "facts")
    return any(one.facts is not None and store.current(id) is None for id, one in config.resources.items())


class FactsFailed(Unavailable):
    code = "cli.facts_failed"
    message = "The registers of {node} could not be read into facts."
    remedy = "See what was said before this line; then ./tongban node check DIR."


def _run(args: argparse.Namespace) -> int:
    from tongban.node import config as configs
    from tongban.node import program

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    if args.with_parent:
        program.die_with_parent()
    config = configs.read(args.folder)
    program.refuse_unsafe(config, pass_phrase())
    if args.facts_as_of and _lacks_facts(config):
        _first_facts(config, args.facts_as_of)

    def ready(port: int) -> None:
        program.write_address(args.folder, port)
        console.say(f"node {config.id} answers on {config.host}:{port}")

    program.run(config, ready=ready, pass_phrase=pass_phrase())
    return 0


def _spark(args: argparse.Namespace) -> int:
    """Try Spark in the environment that has it."""
    from tongban.cli import spark_part

    told = spark_part.tried(spark_part.spark_python(checkout()))
    if args.json:
        console.emit(told)
    else:
        console.say(
            f"Spark {told['spark']} works here: {told['start']:.1f} s to start, {told['query']:.1f} s for its first"
            f" query, {told['memory_mb']} MB of memory."
        )
    return 0
