"""`./tongban node rotate-key DIR`: a new key for a node, and the entry by which the city learns of it."""

import argparse
import base64
from collections.abc import Collection
from pathlib import Path

import orjson

from tongban.cli import console
from tongban.cli.today import today
from tongban.exchange import listing
from tongban.kit import statement
from tongban.kit.clock import MachineClock, stamp
from tongban.kit.durable import write_durably
from tongban.kit.errors import Invalid
from tongban.kit.keys import SigningKey, new_key, read_key
from tongban.kit.statement import Statement
from tongban.node import config as configs
from tongban.node.operation import number
from tongban.node.own_keys import next_place, place_of

DAY = 86_400


class EntryUnreadable(Invalid):
    code = "cli.entry_unreadable"
    message = "{path} holds no entry that a directory could list: {what}."
    remedy = "Have whoever answers for the entry write and sign it again."


def run(args: argparse.Namespace, pass_phrase: str | None) -> int:
    key, entry = rotate(args.folder, args.role, args.days, args.office, pass_phrase)
    if args.json:
        console.emit({"role": args.role, "key": key.id, "entry": str(entry)})
        return 0
    console.say(f"Key {key.id} waits in {next_place(args.folder, args.role)}.")
    console.say(f"Its entry is {entry}. The bureau lists and publishes it:")
    console.say("  ./tongban directory list HUB ENTRY && ./tongban directory publish HUB")
    console.say("The running node takes it up once the others can know it; its health tells which key signs.")
    return 0


def rotate(
    folder: Path, role: str, days: int | None, office: Path | None, pass_phrase: str | None
) -> tuple[SigningKey, Path]:
    """The key that is to follow, and the file of its entry. Asked again, the same ones: nothing is made twice.

    Raises FileInvalid, KeyFileInvalid.
    """
    config, waiting = configs.read(folder), next_place(folder, role)
    present = read_key(place_of(folder, role), pass_phrase)
    if not waiting.exists():
        new_key(_free_id(present.id, _listed(folder))).write(waiting, pass_phrase)
    key, place = read_key(waiting, pass_phrase), folder / "keys" / f"{role}.entry.json"
    if not _is_of(place, key) or office is not None:
        voucher = present if office is None else read_key(office / "root.json", pass_phrase)
        held = days or number("key_days", today())
        write_durably(place, orjson.dumps(_entry(key, role, config.member, held, voucher).to_json()))
    return key, place


def _entry(key: SigningKey, role: str, member: str, days: int, voucher: SigningKey) -> Statement:
    now = MachineClock().seconds()
    body = listing.compose(
        "key",
        id=key.id,
        member=member,
        role=role,
        public=base64.b64encode(key.public.public).decode(),
        algorithm=key.algorithm,
        since=stamp(now),
        until=stamp(now + days * DAY),
        revoked_at=None,
    )
    return statement.sign(body, voucher)


def _free_id(present: str, listed: Collection[str]) -> str:
    """The next number that no key of this name has: under one id a directory lists one key."""
    stem, _, last = present.rpartition(".")
    at = int(last)
    while (id := f"{stem}.{at % 999_999 + 1}") in listed:
        at += 1
    return id


def _listed(folder: Path) -> set[str]:
    """Ids of all keys in the node's kept directory."""
    try:
        entries = orjson.loads((folder / "directory.json").read_bytes())["entries"]
        return {one["body"]["id"] for one in entries if one["body"]["kind"] == "key"}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _is_of(place: Path, key: SigningKey) -> bool:
    return place.exists() and read_entry(place).body.get("id") == key.id


def read_entry(path: Path) -> Statement:
    """A signed entry from a file. Raises EntryUnreadable."""
    try:
        found = statement.from_json(orjson.loads(path.read_bytes()))
    except (OSError, ValueError, Invalid) as error:
        raise EntryUnreadable(path=path, what=type(error).__name__) from None
    return found
