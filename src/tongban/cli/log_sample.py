"""`./tongban log sample URL`: a witness has looks of a day opened that nobody could foresee; what is missing alarms."""

import argparse
import base64
import os
from pathlib import Path
from typing import Any

import orjson

from tongban.cli import console
from tongban.cli.keyring import Keyring, LogKeyUnlisted, NoDirectory, keyring
from tongban.cli.log_remote import LogUnreachable, Web
from tongban.kit.keys import read_key
from tongban.tlog import sample
from tongban.tlog.audit import Problem
from tongban.tlog.checkpoint import Checkpoint, CheckpointInvalid, verify
from tongban.tlog.tile import bundles, leaves_of
from tongban.tlog.tree import root_of


def run(args: argparse.Namespace) -> int:
    """0: every look that was picked is opened and counted; 1: an alarm. Raises NoDirectory, LogUnreachable."""
    ring = keyring(args.directory, Path("/"), args.root)
    if ring is None:
        raise NoDirectory(place=args.log)
    key = read_key(args.key, os.environ.get("TONGBAN_PASS_PHRASE"))
    web = Web(args.log.rstrip("/"), None)
    try:
        head, leaves = _log(web, ring)
        entry = _day(leaves, args.day)
        if entry is None:
            raise LogUnreachable(address=args.log, path="checkpoint", what="there is no such day in the log yet")
        signature = key.sign(sample.message(head.origin, entry, leaves[entry]))
        asked = {"witness": key.id, "entry": entry, "signature": base64.b64encode(signature).decode()}
        openings = web.post("sample", orjson.dumps(asked))
    finally:
        web.close()
    problems = sample.check(leaves, entry, signature, _read(openings))
    _tell(args, head, orjson.loads(leaves[entry])["body"], problems)
    return 1 if problems else 0


def _log(web: Web, ring: Keyring) -> tuple[Checkpoint, list[bytes]]:
    """The head, signed, and all leaves below it."""
    [note] = web.fetch(["checkpoint"])
    origin = note.partition(b"\n")[0].decode("utf-8", "replace")
    keys = list(ring.of_log(origin).values())
    if not keys:
        raise LogKeyUnlisted(origin=origin)
    try:
        head = verify(note, origin, keys)
    except CheckpointInvalid as error:
        raise LogUnreachable(address=web.address, path="checkpoint", what=error.facts["what"]) from None
    tiles = list(bundles(head.size))
    leaves = [
        leaf
        for tile, data in zip(tiles, web.fetch(tile.path for tile in tiles), strict=True)
        for leaf in leaves_of(tile, data)
    ]
    if root_of(leaves) != head.root:
        raise LogUnreachable(address=web.address, path="tile/entries", what="the leaves are not those under the head")
    return head, leaves


def _day(leaves: list[bytes], day: str | None) -> int | None:
    """Entry of the day; without one, of the newest that has a look."""
    for index in range(len(leaves) - 1, -1, -1):
        if b'"kind":"day-count"' in leaves[index]:
            body = orjson.loads(leaves[index]).get("body", {})
            if body.get("day") == day or (day is None and body.get("sum")):
                return index
    return None


def _read(openings: bytes) -> Any:
    try:
        return orjson.loads(openings)
    except orjson.JSONDecodeError:
        return None


def _tell(args: argparse.Namespace, head: Checkpoint, body: dict[str, Any], problems: list[Problem]) -> None:
    total = body["sum"]
    met = min(sample.PICKS, total)
    chance = sample.chance(total, 1)
    if args.json:
        found = [{"code": one.code, "place": one.place} for one in problems]
        console.emit({
            "origin": head.origin, "day": body["day"], "looks": total, "sampled": met, "chance_of_one": chance,
            "holds": not problems, "problems": found,
        })  # fmt: skip
        return
    console.say(f"{head.origin}, {body['day']}: {met} of {total:,} looks opened")
    for one in problems:
        console.say(f"✗ {one.place}: not opened, or not counted for the person it is about ({one.code})")
    console.say(
        f"警报 · ALARM: {len(problems)} looks" if problems
        else f"抽查相符 · All hold. One hidden look among these would have been met with a chance of {chance:.2%},"
        f" ten with {sample.chance(total, 10):.2%}."
    )  # fmt: skip
