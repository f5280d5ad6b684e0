"""`./tongban node backup DIR TO`, `./tongban node restore FROM DIR`: a verified copy of a node, and back."""

import argparse
from pathlib import Path

from tongban.cli import console
from tongban.cli.keyring import NoDirectory, keyring
from tongban.kit.keys import PublicKey
from tongban.node import backup as copies
from tongban.tlog import folder


def backup(args: argparse.Namespace) -> int:
    return _told(copies.backup(args.folder, args.to, _keys(args.folder)), args.to, args.json)


def restore(args: argparse.Namespace) -> int:
    found = copies.restore(args.backup, args.folder, _keys(args.backup))
    status = _told(found, args.folder, args.json)
    if not args.json:
        console.say("It starts once two witnesses have said what they saw of its log last, and it holds all of that.")
    return status


def _keys(place: Path) -> dict[str, PublicKey]:
    """Keys that signed the log's checkpoints, from the directory kept beside it. Raises NoDirectory."""
    ring = keyring([], place / "log")
    if ring is None:
        raise NoDirectory(place=place)
    return ring.of_log(folder.identity(place / "log")["origin"])


def _told(found: copies.Copied, place: Path, as_json: bool) -> int:
    if as_json:
        said = {"folder": str(place), "entries": found.entries, "checkpoints": found.checked, "bytes": found.bytes}
        console.emit(said)
        return 0
    console.say(f"{place}: {found.entries:,} entries, {found.checked:,} checkpoints hold, {found.bytes:,} bytes.")
    console.say("It holds the node's keys and every record: keep it encrypted, off this machine.")
    return 0
