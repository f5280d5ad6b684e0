#!/usr/bin/env python3
"""Enrol a department with its node, or grant a query, where bureau and offices share one machine.

Written for the how-to of a node. In earnest each signature is made where its key is: the department's office signs
its keys, its node and what may be asked of it; three persons of the bureau hold the city's root keys; and only
signed statements travel between them. Nothing is public before `./tongban directory publish`.

    PYTHONPATH=src .venv/bin/python docs/howto/enrol.py member HUB NODE OFFICE --name 水务局 --name-en Water --port 8443
    PYTHONPATH=src .venv/bin/python docs/howto/enrol.py grant HUB NODE OFFICE --resource water/permits --consumer CODE …
"""

import argparse
import base64
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from tongban.exchange import listing
from tongban.exchange.bureau import Bureau, Office
from tongban.kit import statement
from tongban.kit.clock import MachineClock, stamp
from tongban.kit.keys import read_key
from tongban.kit.statement import Statement
from tongban.node import config

PASS_PHRASE = os.environ.get("TONGBAN_PASS_PHRASE")
NOW = MachineClock().seconds()
DAY = 86_400


def member(args: argparse.Namespace, bureau: Bureau) -> Iterator[Statement]:
    """The member, signed by the city's root; its keys and its node, signed by the member's root."""
    node = config.read(args.node)
    office = Office(args.office, node.member, PASS_PHRASE)
    root = {"id": office.root.id, "public": base64.b64encode(office.root.public.public).decode()}
    since, until = stamp(NOW - DAY), stamp(NOW + 2 * 365 * DAY)
    body = listing.compose(
        "member",
        code=node.member,
        name=args.name,
        name_en=args.name_en,
        root=root,
        predecessors=[],
        successors=[],
        since=since,
        until=None,
    )
    yield statement.sign(body, *bureau.root_keys(PASS_PHRASE))
    yield office.key_entry(office.approval, "approval", since, until)
    for role in ("online", "ticket"):
        yield office.key_entry(read_key(args.node / "keys" / f"{role}.json", PASS_PHRASE), role, since, until)
    body = listing.compose(
        "node",
        id=node.id,
        member=node.member,
        address=f"{'https' if args.certificate else 'http'}://{node.host}:{args.port}",
        certificate=args.certificate,
        origin=f"{node.member}/{node.id}",
    )
    yield statement.sign(body, office.root)


def grant(args: argparse.Namespace, bureau: Bureau) -> Iterator[Statement]:
    """The resource as it stands in node.toml, and one grant to query it, signed by provider and hub."""
    node = config.read(args.node)
    office, fields = Office(args.office, node.member, PASS_PHRASE), node.resources[args.resource].fields
    masks = node.resources[args.resource].masks
    listed = [{"name": name, "type": "text", "grade": "general-2", "mask": masks.get(name)} for name in fields]
    common = {"node": node.id, "basis": args.basis}
    body = listing.compose(
        "resource",
        id=args.resource,
        version=1,
        member=node.member,
        title=args.title,
        domains=[args.domain],
        fields=listed,
        sharing="conditional",
        complete=None,
        **common,
    )
    yield office.approve(body)
    body = listing.compose(
        "grant",
        id=secrets.token_urlsafe(16),
        consumer=args.consumer,
        provider=node.member,
        resource=args.resource,
        call="query",
        fields=list(fields),
        rule=None,
        rule_digest=None,
        rows=[],
        purpose=args.purpose,
        quota={"calls": 1000, "persons": 1000, "window_seconds": DAY},
        max_directory_age=3600,
        not_before=stamp(NOW - 60),
        expires_at=stamp(NOW + 365 * DAY),
        issued_at=stamp(NOW),
        **common,
    )
    yield bureau.countersign(office.approve(body))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("member", "grant"):
        one = verbs.add_parser(verb)
        for name in ("hub", "node", "office"):
            one.add_argument(name, type=Path)
    given = {"member": ("name", "name-en", "port"), "grant": ("resource", "consumer", "title", "purpose", "basis")}
    for verb, names in given.items():
        for name in names:
            verbs.choices[verb].add_argument(f"--{name}", required=True)
    verbs.choices["member"].add_argument("--certificate", help="SHA-256 of the TLS certificate, hex; none on loopback")
    verbs.choices["grant"].add_argument("--domain", default="credit_code", help="kind of identifier it is asked by")
    args = parser.parse_args()
    bureau = Bureau(args.hub, MachineClock(), PASS_PHRASE)
    for entry in {"member": member, "grant": grant}[args.verb](args, bureau):
        bureau.put(entry)
        print(f"listed, not yet published: {entry.kind} {entry.body.get('id', entry.body.get('code'))}")


if __name__ == "__main__":
    main()
