"""`./tongban directory VERB DIR`: the city's signed directory, for its data bureau. `_VERBS` tells what there is.

DIR is the bureau's folder; `show` and `grants` also read a published directory.json, for everybody else.
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tongban.cli import console
from tongban.cli.verbs import add_verbs

if TYPE_CHECKING:
    from tongban.cli.directory_steps import Shown
    from tongban.exchange.bureau import Publication

_VERBS = {
    "init": (
        "make a bureau's folder: keys, the city's first root, an empty log",
        "./tongban directory init hub --city 示例市 --member 11110199YYYY00119M",
    ),
    "show": (
        "say what the directory lists, how old it is, and what has no effect and why",
        "./tongban directory show var/small/hub",
    ),
    "grants": ("list who may ask what of whom, until when", "./tongban directory grants var/small/hub --json"),
    "list": (
        "list signed entries from files; nodes learn of them when they are published",
        "./tongban directory list hub water/keys/online.entry.json",
    ),
    "witnesses": (
        "name all who witness the city's logs, and how many must have seen a head; signed by the city's root",
        "./tongban directory witnesses hub water/keys/witness.line.json market/keys/witness.line.json --k 2",
    ),
    "publish": ("sign a new head over the entries and put it where nodes pull it", "./tongban directory publish hub"),
    "withdraw": (
        "strike a grant and publish; nodes refuse it within their next pull",
        "./tongban directory withdraw hub GRANT",
    ),
    "revoke": (
        "revoke a key: its member's root signs it anew with the instant, then publish",
        "./tongban directory revoke hub 11110199YYYY00100Q.online.300160 --office offices/transport",
    ),
}


def add(parser: argparse.ArgumentParser) -> None:
    made = add_verbs(parser, _VERBS)
    for verb, one in made.items():
        or_file = ", or a directory.json" if verb in ("show", "grants") else ""
        one.add_argument("folder", type=Path, metavar="DIR", help=f"the bureau's folder{or_file}")
    made["init"].add_argument("--city", required=True, help="the city's name")
    made["init"].add_argument("--member", required=True, metavar="CODE", help="the bureau's unified social credit code")
    for verb in ("show", "grants"):
        told = "digest of the city's first root, for a directory.json"
        made[verb].add_argument("--root", default="", metavar="DIGEST", help=told)
    made["list"].add_argument("entries", type=Path, nargs="+", metavar="FILE", help="one signed entry a file")
    made["list"].add_argument(
        "--countersign", action="store_true", help="put the hub's signature under grants among them"
    )
    told = "strike this node and all grants that name it: the entries listed take their place"
    made["list"].add_argument("--instead-of", default="", metavar="NODE", help=told)
    named = made["witnesses"]
    named.add_argument("lines", type=Path, nargs="+", metavar="FILE", help="what `node witness` wrote, one a witness")
    named.add_argument("--k", type=int, required=True, help="how many of them must have seen a head")
    told = "this one does not belong to the administration (repeatable)"
    named.add_argument("--outside", action="append", default=[], metavar="NAME", help=told)
    made["withdraw"].add_argument("grant", metavar="GRANT", help="the grant's id")
    revoke = made["revoke"]
    revoke.add_argument("key", metavar="KEY", help="the key's id")
    revoke.add_argument("--office", type=Path, required=True, metavar="DIR", help="folder with the member's root.json")
    revoke.add_argument("--at", metavar="TIME", help="dead from this instant, 2026-11-24T08:00:00Z; now if left out")


def run(args: argparse.Namespace) -> int:
    verbs = {
        "init": _init, "show": _show, "grants": _grants, "list": _list, "witnesses": _witnesses,
        "publish": _publish, "withdraw": _withdraw, "revoke": _revoke,
    }  # fmt: skip
    return verbs[args.verb](args)


def pass_phrase() -> str | None:
    """Pass phrase of sealed keys, from the environment: never from the command line, which others can see."""
    return os.environ.get("TONGBAN_PASS_PHRASE")


# --- looking --------------------------------------------------------------------------------------


def _shown(args: argparse.Namespace) -> "Shown":
    from tongban.cli import directory_steps

    return directory_steps.shown(args.folder, args.root, pass_phrase())


def _show(args: argparse.Namespace) -> int:
    from tongban.cli import directory_steps

    told = directory_steps.told(_shown(args))
    if args.json:
        console.emit(told)
        return 0
    tables = [(name, told.pop(name)) for name in ("members", "keys", "resources", "rules")]
    grants, ignored = told.pop("grants"), told.pop("without_effect")
    for name, value in told.items():
        console.say(f"{name.replace('_', ' '):>16}  {_spelled(value)}")
    for name, rows in tables:
        _table(name, rows)
    live = sum(one["state"] == "in force" for one in grants)
    console.say(f"\ngrants: {len(grants)}, {live} in force; ./tongban directory grants {args.folder} lists them")
    _table("entries without effect", ignored)
    return 0


def _grants(args: argparse.Namespace) -> int:
    from tongban.cli import directory_steps

    rows = directory_steps.told(_shown(args))["grants"]
    if args.json:
        for row in rows:
            console.emit(row)
        return 0
    _table("grants", [{name: value for name, value in row.items() if name not in _ONLY_JSON} for row in rows])
    return 0


#: Of a grant, what would make its line too long to read.
_ONLY_JSON = frozenset({"basis", "quota", "not_before", "rule_digest", "max_directory_age"})


def _table(title: str, rows: list[dict[str, Any]]) -> None:
    console.say(f"\n{title}:{'' if rows else ' none'}")
    if rows:
        console.table(list(rows[0]), [[_spelled(value) for value in row.values()] for row in rows])


def _spelled(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


# --- changing -------------------------------------------------------------------------------------


def _init(args: argparse.Namespace) -> int:
    from tongban.cli import directory_steps

    bureau = directory_steps.init(args.folder, args.city, args.member, pass_phrase())
    if args.json:
        console.emit({"folder": str(args.folder), "root": bureau.root.digest, "log": bureau.root.log_origin})
        return 0
    console.say(f"The bureau of {args.city} is laid out in {args.folder}.")
    console.say(f"Root {bureau.root.digest}: announce it; every node writes it into node.toml as directory_root.")
    console.say("Take keys/root-1.json, -2 and -3 off this machine, to three persons. Then list entries and publish.")
    return 0


def _list(args: argparse.Namespace) -> int:
    from tongban.cli import directory_steps

    names = directory_steps.list_entries(
        args.folder, args.entries, pass_phrase(), countersign=args.countersign, instead_of=args.instead_of
    )
    if args.json:
        console.emit({"listed": names})
        return 0
    for name in names:
        console.say(f"listed: {name}")
    console.say(f"Nothing is public before ./tongban directory publish {args.folder}")
    return 0


def _witnesses(args: argparse.Namespace) -> int:
    from tongban.cli import directory_steps, witnesses

    bureau = directory_steps.opened(args.folder, pass_phrase())
    body = witnesses.name_all(bureau, args.lines, args.k, args.outside, pass_phrase())
    if args.json:
        console.emit(
            {"version": body["version"], "k": body["k"], "witnesses": [one["name"] for one in body["witnesses"]]}
        )
        return 0
    for one in body["witnesses"]:
        console.say(f"{one['name']}  {one['address']}{'  外部 outside' if one['outside'] else ''}")
    if not any(one["outside"] for one in body["witnesses"]):
        console.say("仅内部见证 · internal witnesses only: against whoever governs them all this shows nothing")
    console.say(f"{args.k} must have seen a head. Nothing is public before ./tongban directory publish {args.folder}")
    return 0


def _publish(args: argparse.Namespace) -> int:
    from tongban.cli import directory_steps

    return _published(directory_steps.opened(args.folder, pass_phrase()).publish(), {}, args.json)


def _withdraw(args: argparse.Namespace) -> int:
    from tongban.cli import directory_steps

    publication = directory_steps.withdraw(args.folder, args.grant, pass_phrase())
    return _published(publication, {"withdrawn": args.grant}, args.json)


def _revoke(args: argparse.Namespace) -> int:
    from tongban.cli import directory_steps

    done = directory_steps.revoke(args.folder, args.key, args.office, args.at, pass_phrase())
    about = {"revoked": args.key, "revoked_at": done.revoked_at, "struck": list(done.struck)}
    if done.struck and not args.json:
        console.say(f"{len(done.struck)} entries have no effect any more, most of them signed with this key. They were")
        console.say("struck, copies are in the folder struck/; their owner must sign them anew with another key:")
        for one in done.struck:
            console.say(f"  {one}")
    return _published(done.publication, about, args.json)


def _published(publication: "Publication", about: dict[str, Any], as_json: bool) -> int:
    if as_json:
        held = {name: getattr(publication, name) for name in ("version", "digest", "entry", "entries")}
        console.emit({**about, **held})
        return 0
    if "withdrawn" in about:
        console.say(f"Grant {about['withdrawn']} is withdrawn.")
    if "revoked" in about:
        console.say(f"Key {about['revoked']} is revoked as of {about['revoked_at']}.")
    where = f"{publication.entries} entries, entry {publication.entry} of the hub's log"
    console.say(f"Directory version {publication.version} is published: {where}. Nodes take it at their next pull.")
    return 0
