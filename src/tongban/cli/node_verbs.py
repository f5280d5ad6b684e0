"""The verbs of `./tongban node` for its operation over the years: keys, succession, diagnosis."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = "backup|restore|rotate-key|succeed|why|witness"
_OFFICE = "folder with the member's root.json"


def add_to(verbs: Any) -> None:
    """Add their parsers to the noun's."""
    backup = _verb(
        verbs, "backup", "copy a node, running or not, without its facts, and verify the copy",
        "./tongban node backup water /mnt/backup/water-2026-11-24",
    )  # fmt: skip
    backup.add_argument("folder", type=Path, metavar="DIR")
    backup.add_argument("to", type=Path, metavar="TO", help="a folder that is not there yet")
    restore = _verb(
        verbs, "restore", "bring a backup back into a folder that is not there yet",
        "./tongban node restore /mnt/backup/water-2026-11-24 water",
    )  # fmt: skip
    restore.add_argument("backup", type=Path, metavar="FROM")
    restore.add_argument("folder", type=Path, metavar="DIR")
    rotate = _verb(
        verbs, "rotate-key", "make a key that takes the present one's place once it is listed, while calls go on",
        "./tongban node rotate-key water --role online",
    )  # fmt: skip
    rotate.add_argument("folder", type=Path, metavar="DIR")
    which = "online signs calls, answers and heads"
    rotate.add_argument("--role", choices=("online", "ticket"), required=True, help=f"which key: {which}")
    rotate.add_argument("--days", type=int, help="how long the key is to hold; the dated policy if left out")
    rotate.add_argument("--office", type=Path, metavar="DIR", help=f"{_OFFICE}: it vouches, not the present key")
    succeed = _verb(
        verbs, "succeed", "close a log that cannot be continued, and lay out a node that begins another",
        "./tongban node succeed water water-2 --id water-2 --office office-water",
    )  # fmt: skip
    succeed.add_argument("folder", type=Path, metavar="OLD", help="the stopped node's folder; nothing in it is changed")
    succeed.add_argument("successor", type=Path, metavar="NEW", help="a folder that is not there yet, beside OLD")
    succeed.add_argument("--id", required=True, help="the new node's name in the directory")
    succeed.add_argument("--office", type=Path, required=True, metavar="DIR", help=f"{_OFFICE} and approval.json")
    why = _verb(
        verbs, "why", "say step by step why a call was refused, and what to do",
        "./tongban node why var/small/nodes/transport 17",
    )  # fmt: skip
    why.add_argument("folder", type=Path, metavar="DIR", help="a node's folder, at either side of the call")
    told = "entry number, idempotency key, receipt's file, or refusal's code"
    why.add_argument("call", metavar="CALL", help=told)

    witness = _verb(
        verbs, "witness", "write the node's line as a witness, for the bureau; with a key for it where there is none",
        "./tongban node witness water",
    )  # fmt: skip
    witness.add_argument("folder", type=Path, metavar="DIR")


def _verb(verbs: Any, name: str, purpose: str, example: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = verbs.add_parser(
        name, help=purpose, description=purpose, epilog=f"example:\n  {example}"
    )
    return made


def of(pass_phrase: Callable[[], str | None]) -> dict[str, Callable[[argparse.Namespace], int]]:
    """What each verb does. Their modules are loaded when they are asked for: help needs no engine and no server."""

    def backup(args: argparse.Namespace) -> int:
        from tongban.cli import node_backup

        return node_backup.backup(args)

    def restore(args: argparse.Namespace) -> int:
        from tongban.cli import node_backup

        return node_backup.restore(args)

    def rotate(args: argparse.Namespace) -> int:
        from tongban.cli import node_keys

        return node_keys.run(args, pass_phrase())

    def succeed(args: argparse.Namespace) -> int:
        from tongban.cli import node_succession

        return node_succession.run(args, pass_phrase())

    def why(args: argparse.Namespace) -> int:
        from tongban.cli import node_why

        return node_why.run(args)

    def witness(args: argparse.Namespace) -> int:
        from tongban.cli import console, witnesses

        line, place = witnesses.line_of(args.folder, pass_phrase())
        if args.json:
            console.emit({**line, "file": str(place)})
            return 0
        console.say(f"{line['name']} at {line['address']}: {place}. The bureau names it:")
        console.say("  ./tongban directory witnesses HUB FILE … --k N && ./tongban directory publish HUB")
        return 0

    return {
        "witness": witness,
        "backup": backup,
        "restore": restore,
        "rotate-key": rotate,
        "succeed": succeed,
        "why": why,
    }
