"""`./tongban node succeed OLD NEW`: close a log for good, and begin another under a new name and new keys.

For a log that can no longer be continued: a thief of its key has had a head of his own cosigned, or its newest
entries are lost. The member's root says where the honest log ended; what it granted is signed anew for the new node.
"""

import argparse
import base64
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from tongban.cli import console, keyring
from tongban.cli.node_keys import DAY
from tongban.cli.today import today
from tongban.exchange import listing
from tongban.exchange.bureau import Office
from tongban.exchange.directory import Directory
from tongban.kit import statement
from tongban.kit.clock import MachineClock, stamp
from tongban.kit.durable import write_durably
from tongban.kit.errors import Invalid
from tongban.kit.keys import read_key
from tongban.kit.statement import Statement
from tongban.node import config as configs
from tongban.node import setup
from tongban.node.config import NodeConfig
from tongban.node.operation import number
from tongban.node.own_keys import ROLES, place_of
from tongban.node.program import origin_of
from tongban.tlog import recovery

_NAMING = ("resource", "rule", "grant")


class NotSucceeded(Invalid):
    code = "cli.not_succeeded"
    message = "Node {old} cannot be succeeded: {what}."
    remedy = "Stop the node, name the office's folder of its member, and a new --id; see docs/howto/compromised_key.md."


def run(args: argparse.Namespace, pass_phrase: str | None) -> int:
    closing, entries = succeed(args.folder, args.successor, args.id, args.office, pass_phrase)
    if args.json:
        console.emit({"closed": closing, "folder": str(args.successor), "entries": len(entries)})
        return 0
    console.say(f"Log {closing['id']} ends with {closing['size']} entries, root {closing['root']}.")
    console.say(
        f"{len(entries)} signed entries lie in {args.successor / 'entries'}. The bureau lists and publishes them:"
    )
    old = configs.read(args.folder).id
    console.say(f"  ./tongban directory list HUB {args.successor / 'entries'}/*.json --countersign --instead-of {old}")
    console.say("  ./tongban directory publish HUB")
    console.say(f"Then ./tongban node refresh {args.successor} and ./tongban node run {args.successor}")
    return 0


def succeed(
    folder: Path, successor: Path, id: str, office_folder: Path, pass_phrase: str | None
) -> tuple[dict[str, Any], list[Path]]:
    """The closing's body, and the files with all entries. Raises NotSucceeded, FolderTaken, Damaged."""
    old = configs.read(folder)
    if id == old.id or not (office_folder / "root.json").is_file():
        raise NotSucceeded(old=old.id, what="the office's folder has no root.json" if id != old.id else "same name")
    office = Office(office_folder, old.member, pass_phrase)
    found = keyring.read(folder / "directory.json", old.directory_root)
    if found.members[old.member].root.public != office.root.public.public:
        raise NotSucceeded(old=old.id, what="the office's root is not the one that the directory lists")
    # Every entry that was acknowledged: consumers hold receipts for all of them.
    tree = recovery.recover(folder / "log").tree
    closing = listing.compose(
        "closing",
        id=origin_of(old),
        member=old.member,
        size=tree.size,
        root=tree.root().hex(),
        closed_at=stamp(MachineClock().seconds()),
        successor=f"{old.member}/{id}",
    )
    _lay_out(old, successor, id, pass_phrase)
    new, files = configs.read(successor), []
    for entry in [statement.sign(closing, office.root), *_entries(old, new, office, found, pass_phrase)]:
        name = str(entry.body["id"]).replace("/", "_")
        files.append(successor / "entries" / f"{entry.kind}-{name}.json")
        files[-1].parent.mkdir(exist_ok=True)
        write_durably(files[-1], orjson.dumps(entry.to_json()))
    return closing, files


def _lay_out(old: NodeConfig, successor: Path, id: str, pass_phrase: str | None) -> None:
    """The same registers and doors under another name; new keys, an empty log."""
    text = (old.folder / "node.toml").read_text("utf-8")
    changed, times = re.subn(rf'^id = "{old.id}"$', f'id = "{id}"', text, count=1, flags=re.M)
    if not times:
        raise NotSucceeded(old=old.id, what="its node.toml does not say its id on a line of its own")
    if (successor / "keys").exists() or (successor / "log").exists():
        raise setup.FolderTaken(folder=successor)
    successor.mkdir(parents=True, exist_ok=True)
    (successor / "node.toml").write_text(changed, "utf-8")
    setup.init(successor, id, old.member, old.directory_root, 0, pass_phrase)


def _entries(
    old: NodeConfig, new: NodeConfig, office: Office, found: Directory, pass_phrase: str | None
) -> Iterator[Statement]:
    now = MachineClock().seconds()
    until = stamp(now + number("key_days", today()) * DAY)
    for role in ROLES:
        key = read_key(place_of(new.folder, role), pass_phrase)
        yield office.key_entry(key, role, stamp(now), until)
    for listed in found.listed.values():
        body = dict(listed.statement.body)
        if body["kind"] == "node" and body["id"] == old.id:
            yield statement.sign({**body, "id": new.id, "origin": origin_of(new)}, office.root)
        elif body["kind"] in _NAMING and body["node"] == old.id and listed.digest not in found.ignored:
            yield office.approve({**body, **_renewed(body, now), "node": new.id})


def _renewed(body: dict[str, Any], now: float) -> dict[str, Any]:
    """What nodes that remember the former one need to take the new one."""
    if body["kind"] != "grant":
        return {"version": body["version"] + 1}
    # A grant that was withdrawn never returns, so this is another.
    id = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
    return {"id": id, "issued_at": stamp(now)}
