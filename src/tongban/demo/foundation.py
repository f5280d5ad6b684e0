"""The demonstration city's departments: their folders, keys, approvals and grants, and the directory over them.

    DIR/hub/                 the bureau: keys, entries, log, public/directory.json
    DIR/offices/<node>/      a department's offline root and approval key
    DIR/nodes/<node>/        a node: node.toml, keys, log, facts
    DIR/registers/<node>/    its registers (made by `city.generate`)
    DIR/departments/         members.csv and <node>.toml of a city that brings its own matter and registers

In earnest each department does its own part of this at its own place; here one process plays them all,
which is why everything it makes is marked 演示.
"""

import base64
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from tongban.demo.parties import Member, members_on
from tongban.demo.sizes import world_on
from tongban.exchange import listing
from tongban.exchange.bureau import Bureau, Office, id_of
from tongban.kit import canonical, statement
from tongban.kit.clock import Clock, stamp
from tongban.kit.keys import SigningKey, read_key
from tongban.kit.statement import Statement
from tongban.node import config as configs
from tongban.node import setup
from tongban.node.backup import settle
from tongban.node.config import NodeConfig
from tongban.rules.compile import CompiledRule
from tongban.rules.vocabulary import VOCABULARY_VERSION
from tongban.solution.package import Solution

CITY = "示例市（演示）"
BUREAU = "11110199YYYY00119M"
CONSUMER = "transport"  #: node of the department in charge of the lottery
PURPOSE = "car-lottery"
BASIS = "《北京市小客车数量调控暂行规定》第四条（演示）"
#: Grants of the demonstration: a day's quota in calls and persons, and how old a directory they bear.
QUOTA = {"calls": 100_000, "persons": 60_000_000, "window_seconds": 86_400}
DIRECTORY_AGE = 72 * 3600
KEY_YEARS = 2
#: Witnesses that must have seen a head of a log.
WITNESSES = 2


@dataclass(frozen=True, slots=True)
class Foundation:
    """Where everything is, and what for."""

    folder: Path
    world: date
    consumer: str = CONSUMER  #: node of the department in charge
    purpose: str = PURPOSE
    basis: str = BASIS

    @property
    def hub(self) -> Path:
        return self.folder / "hub"

    def office(self, node: str) -> Path:
        return self.folder / "offices" / node

    def node(self, node: str) -> Path:
        return self.folder / "nodes" / node

    @property
    def registers(self) -> Path:
        return self.folder / "registers"

    def members(self) -> tuple[Member, ...]:
        """Departments of the day that have a node here."""
        own = self.folder / "departments" / "members.csv"
        on_the_day = members_on(self.world, own if own.exists() else None)
        return tuple(one for one in on_the_day if (self.registers / one.node).is_dir())

    def node_text(self, node: str) -> str:
        """The node's file as its department wrote it, with places for what each start decides."""
        own = self.folder / "departments" / f"{node}.toml"
        return own.read_text("utf-8") if own.exists() else _node_text(node, self.world)


def lay(place: Foundation, solution: Solution, ports: Mapping[str, int], clock: Clock) -> Bureau:
    """Make what is missing, sign what each department answers for, and publish the first directory.

    ports: the port of each node. A second call with the same folder makes nothing anew and publishes again.
    """
    fresh = not (place.hub / "root.json").exists()
    bureau = Bureau.create(place.hub, CITY, BUREAU, clock) if fresh else Bureau(place.hub, clock)
    for member in place.members():
        _lay_node(place, member, bureau, ports)
    bureau.put(*(entry for entry in _entries(place, solution, bureau, ports, clock) if _wanted(bureau, entry)))
    bureau.publish()
    return bureau


def _wanted(bureau: Bureau, entry: Statement) -> bool:
    """What was withdrawn or revoked since the first start stays so; addresses and changed rules are listed anew."""
    id = id_of(entry)
    if bureau.was_struck(entry.kind, id):
        return False
    before = bureau.listed(entry.kind, id)
    if before is None or entry.kind not in ("key", "member", "grant"):
        return True
    return any(before.body.get(name) != entry.body.get(name) for name in ("rule_digest", "fields", "node"))


def _lay_node(place: Foundation, member: Member, bureau: Bureau, ports: Mapping[str, int]) -> None:
    folder = place.node(member.node)
    folder.mkdir(parents=True, exist_ok=True)
    # The port is this start's; the file is written anew each time, the keys and the log stay.
    (folder / "node.toml").write_text(_node_file(place, member, bureau, ports))
    if bureau.listed("node", member.node) is None:
        # New, or laid by a start that was cut off before anybody knew the node.
        setup.complete(folder)
    # A demonstration city that was copied has its witnesses with it.
    settle(folder / "log")
    # A city laid before there were witnesses.
    setup.add_key(folder, member.code, "witness")


def _node_file(place: Foundation, member: Member, bureau: Bureau, ports: Mapping[str, int]) -> str:
    text = place.node_text(member.node)
    given = {
        "member": member.code,
        "port": str(ports[member.node]),
        "directory": os.path.relpath(bureau.public, place.node(member.node)),
        "root": bureau.root.digest,
        "pull_seconds": "20",
        "uid": str(os.getuid()),
        "registers": os.path.relpath(place.registers, place.node(member.node)),
    }
    for name, value in given.items():
        text = text.replace("{" + name + "}", value)
    return text


def _node_text(node: str, day: date) -> str:
    """The node's file on a day: `<node>.toml`, or the newest `<node>@<first day>.toml` that has begun."""
    nodes = resources.files("tongban.demo").joinpath("nodes")
    dated = sorted(one.name for one in nodes.iterdir() if one.name.startswith(f"{node}@"))
    begun = [name for name in dated if name.removesuffix(".toml").partition("@")[2] <= day.isoformat()]
    text = nodes.joinpath(begun[-1] if begun else f"{node}.toml").read_text("utf-8")
    more = nodes.joinpath(f"{node}.families.toml")
    return text + more.read_text("utf-8") if world_on(day).families and more.is_file() else text


# --- entries --------------------------------------------------------------------------------------


def _entries(
    place: Foundation, solution: Solution, bureau: Bureau, ports: Mapping[str, int], clock: Clock
) -> Iterator[Statement]:
    now = clock.seconds()
    since, until = stamp(now - 86_400), stamp(now + KEY_YEARS * 365 * 86_400)
    consumer = next(one for one in place.members() if one.node == place.consumer)
    for member in place.members():
        office = Office(place.office(member.node), member.code)
        config = configs.read(place.node(member.node))
        yield _member(member, office, bureau)
        yield _key(office, office.approval, "approval", since, until)
        for role in ("online", "ticket"):
            yield _key(office, read_key(config.folder / "keys" / f"{role}.json"), role, since, until)
        yield _node(office, config, ports)
        yield from _answers(place, solution, office, config, consumer, bureau, now)
    yield _witnessing(place, bureau, ports)


def _member(member: Member, office: Office, bureau: Bureau) -> Statement:
    public = base64.b64encode(office.root.public.public).decode()
    body = listing.compose(
        "member",
        code=member.code,
        name=member.name,
        name_en=member.name_en,
        root={"id": office.root.id, "public": public},
        predecessors=list(member.predecessors),
        # What the city of that day could not know yet is not in its directory.
        successors=[],
        since=f"{member.since.isoformat()}T00:00:00Z",
        until=None,
    )
    return statement.sign(body, *bureau.root_keys())


def _key(office: Office, key: SigningKey, role: str, since: str, until: str) -> Statement:
    return office.key_entry(key, role, since, until)


def _node(office: Office, config: NodeConfig, ports: Mapping[str, int]) -> Statement:
    body = listing.compose(
        "node",
        id=config.id,
        member=config.member,
        address=f"http://127.0.0.1:{ports[config.id]}",
        certificate=None,
        origin=f"{config.member}/{config.id}",
    )
    return statement.sign(body, office.root)


def _witnessing(place: Foundation, bureau: Bureau, ports: Mapping[str, int]) -> Statement:
    """Each node's log is cosigned by two others; nobody outside the administration is among them (演示)."""
    witnesses = []
    for member in place.members():
        key = read_key(place.node(member.node) / "keys" / "witness.json").public
        witnesses.append(
            {
                "name": key.id,
                "member": member.code,
                "address": f"http://127.0.0.1:{ports[member.node]}",
                "certificate": None,
                "public": base64.b64encode(key.public).decode(),
                "outside": False,
            }
        )
    return statement.sign(
        listing.compose("witnessing", version=1, k=WITNESSES, witnesses=witnesses), *bureau.root_keys()
    )


def _answers(
    place: Foundation,
    solution: Solution,
    office: Office,
    config: NodeConfig,
    consumer: Member,
    bureau: Bureau,
    now: float,
) -> Iterator[Statement]:
    """Resources, rules and grants of one department."""
    for id, resource in solution.resources.items():
        if id in config.resources:
            yield office.approve(resource.catalogue(config.member).to_entry(1, config.id))
            for call in ("query",):
                fields = list(config.resources[id].fields)
                yield _grant(place, office, bureau, config, consumer, now, id, call, fields, None)
    for name, rule in solution.rules.items():
        served = config.resources.get(rule.resource)
        if served is None or served.facts is None:
            continue
        compiled = solution.compile(name, facts_digest=served.facts.digest())
        yield office.approve(_rule(config, compiled))
        for call in ("verify", "match"):
            yield _grant(place, office, bureau, config, consumer, now, rule.resource, call, [], compiled)


def _rule(config: NodeConfig, compiled: CompiledRule) -> dict[str, Any]:
    return listing.compose(
        "rule",
        id=compiled.rule.id,
        version=1,
        member=config.member,
        node=config.id,
        resource=compiled.rule.resource,
        digest=compiled.digest,
        text=canonical.encode(dict(compiled.text)).decode(),
        parameters=dict(compiled.parameters),
        facts=compiled.facts.to_json(),
        vocabulary=VOCABULARY_VERSION,
    )


def _grant(
    place: Foundation,
    office: Office,
    bureau: Bureau,
    config: NodeConfig,
    consumer: Member,
    now: float,
    resource: str,
    call: str,
    fields: list[str],
    compiled: CompiledRule | None,
) -> Statement:
    """Signed by the provider's approval key and by the hub: each alone is nothing."""
    body = listing.compose(
        "grant",
        id=_grant_id(config.id, resource, call, compiled),
        consumer=consumer.code,
        provider=config.member,
        node=config.id,
        resource=resource,
        call=call,
        fields=fields,
        rule=compiled.rule.id if compiled else None,
        rule_digest=compiled.digest if compiled else None,
        rows=[],
        purpose=place.purpose,
        basis=place.basis,
        quota=QUOTA,
        max_directory_age=DIRECTORY_AGE,
        not_before=stamp(now - 60),
        expires_at=stamp(now + 365 * 86_400),
        issued_at=stamp(now),
    )
    return bureau.countersign(office.approve(body))


def _grant_id(node: str, resource: str, call: str, compiled: CompiledRule | None) -> str:
    """The same grant has the same id at every start, so that a second start lists none twice."""
    named = f"{node}\n{resource}\n{call}\n{compiled.rule.id if compiled else ''}"
    return canonical.digest(named)[:22]
