"""Two departments and a bureau, as small as they can be: Transport asks Civil Affairs through its own node's door.

Both nodes are built in the test's process and speak over loopback; all three share one clock, which the test moves.
Between the bureau and each node lies a cable: what was published reaches a node only while it is plugged in.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.exchange.city import BUREAU
from tests.world import APPLICANT, CIVIL_AFFAIRS, DAY, HOUR, HUSBAND, PURPOSE, RESOURCE, TRANSPORT
from tongban.exchange.bureau import Bureau, Office
from tongban.exchange.listing import compose
from tongban.kit import statement
from tongban.kit.clock import Clock, stamp
from tongban.kit.keys import read_key
from tongban.kit.statement import Statement
from tongban.node import config as configs
from tongban.node import setup
from tongban.node.program import Node, build
from tongban.node.server import listening, server

PROVIDER, CONSUMER = "civil-affairs", "transport"
NODES = {PROVIDER: CIVIL_AFFAIRS, CONSUMER: TRANSPORT}
TOKEN = "a system of Transport's own"
FIELDS = ["status", "registered_on"]

_NODE_TOML = """[node]
id = "{id}"
member = "{member}"
port = {port}
directory = "source.json"
directory_root = "{root}"
pull_seconds = 1

[[door.system]]
name = "window"
token_sha256 = "{token}"
grants = ["*"]
operators = ["*"]

[register.marriage]
url = "sqlite:///marriage.db"

[resource."{resource}"]
register = "marriage"
point = "SELECT status, registered_on FROM marriage WHERE id_number = :key"
fields = ["status", "registered_on"]
"""


class Departments:
    """The bureau's folder, the offices' and the nodes', laid out and published once."""

    def __init__(self, folder: Path, clock: Clock, grants: Mapping[str, int], port: int = 0) -> None:
        """`grants`: name of a grant and the greatest age of a directory under which it is answered, in seconds."""
        self.folder, self.clock = folder, clock
        self.bureau = Bureau.create(folder / "hub", "示例市", BUREAU, clock)
        self.offices = {name: Office(folder / f"{name}-office", member) for name, member in NODES.items()}
        for name, member in NODES.items():
            self._lay_node(name, member, port if name == PROVIDER else 0)
        self._fill_register()
        self.bureau.put(*self._entries(port), *(self.grant(name, age) for name, age in grants.items()))
        self.publish()

    def node(self, name: str) -> Path:
        return self.folder / name

    def source(self, name: str) -> Path:
        """Where node `name` pulls from."""
        return self.node(name) / "source.json"

    def publish(self, *reached: str) -> int:
        """Publish; what is published reaches the nodes named, or all. Returns the version."""
        version = self.bureau.publish().version
        for name in reached or NODES:
            self.reach(name)
        return version

    def reach(self, name: str) -> None:
        """Plug the cable in: the newest directory lies where the node looks."""
        beside = self.source(name).with_suffix(".new")
        shutil.copyfile(self.bureau.public, beside)
        beside.replace(self.source(name))

    def withdraw(self, name: str) -> None:
        """Strike a grant; nodes hear of it with the next publication."""
        assert self.bureau.remove("grant", grant_id(name))

    # --- laying out -----------------------------------------------------------------------------------

    def _lay_node(self, name: str, member: str, port: int) -> None:
        folder = self.node(name)
        folder.mkdir()
        token = hashlib.sha256(TOKEN.encode()).hexdigest()
        told = {"id": name, "member": member, "port": port, "root": self.bureau.root.digest, "token": token}
        (folder / "node.toml").write_text(_NODE_TOML.format(**told, resource=RESOURCE))
        setup.init(folder, name, member, self.bureau.root.digest, os.getuid())

    def _fill_register(self) -> None:
        rows = [(APPLICANT, "已婚", "2009-05-20"), (HUSBAND, "已婚", "2009-05-20")]
        with contextlib.closing(sqlite3.connect(self.node(PROVIDER) / "marriage.db")) as register, register:
            register.execute("CREATE TABLE marriage (id_number TEXT PRIMARY KEY, status TEXT, registered_on TEXT)")
            register.executemany("INSERT INTO marriage VALUES (?, ?, ?)", rows)

    def _entries(self, port: int) -> list[Statement]:
        return [*(self._member(name) for name in NODES), *self._keys(), *self.nodes_at(port), self._resource()]

    def _member(self, name: str) -> Statement:
        office = self.offices[name]
        root = {"id": office.root.id, "public": base64.b64encode(office.root.public.public).decode()}
        body = compose(
            "member", code=office.code, name="示例", name_en="Example", root=root, predecessors=[], successors=[],
            since="2000-01-01T00:00:00Z", until=None,
        )  # fmt: skip
        return statement.sign(body, *self.bureau.root_keys())

    def _keys(self) -> list[Statement]:
        return [self.key_entry(name, role) for name in NODES for role in ("online", "ticket", "approval")]

    def key_entry(self, name: str, role: str, **change: str) -> Statement:
        """Key of the node, or of the office, vouched for by its member's root."""
        office, now = self.offices[name], self.clock.seconds()
        key = office.approval if role == "approval" else read_key(self.node(name) / "keys" / f"{role}.json")
        times = {"since": stamp(now - DAY), "until": stamp(now + 100 * DAY)}
        return office.key_entry(key, role, **(times | change))

    def nodes_at(self, port: int) -> list[Statement]:
        """Entries of both nodes; the provider's answers on `port`."""
        bodies = [
            compose(
                "node", id=name, member=member, address=f"http://127.0.0.1:{port or 1}", certificate=None,
                origin=f"{member}/{name}",
            )
            for name, member in NODES.items()
        ]  # fmt: skip
        return [statement.sign(body, self.offices[str(body["id"])].root) for body in bodies]

    def _resource(self) -> Statement:
        fields = [{"name": name, "type": "text", "grade": "general-2", "mask": None} for name in FIELDS]
        body = compose(
            "resource", id=RESOURCE, version=1, member=CIVIL_AFFAIRS, node=PROVIDER, title="婚姻登记",
            domains=["citizen"], fields=fields, sharing="conditional", basis="婚姻登记条例", complete=None,
        )  # fmt: skip
        return self.offices[PROVIDER].approve(body)

    def grant(self, name: str, max_directory_age: int, **change: Any) -> Statement:
        """Transport may ask Civil Affairs for two fields, while the provider's directory is young enough."""
        now = self.clock.seconds()
        given = {
            "id": grant_id(name), "consumer": TRANSPORT, "provider": CIVIL_AFFAIRS, "node": PROVIDER,
            "resource": RESOURCE, "call": "query", "fields": FIELDS, "rule": None, "rule_digest": None, "rows": [],
            "purpose": PURPOSE, "basis": "示例", "max_directory_age": max_directory_age,
            "quota": {"calls": 10**6, "persons": 10**6, "window_seconds": DAY},
            "not_before": stamp(now - HOUR), "expires_at": stamp(now + 30 * DAY), "issued_at": stamp(now),
        }  # fmt: skip
        return self.bureau.countersign(self.offices[PROVIDER].approve(compose("grant", **(given | change))))


def grant_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:22]


# --- running --------------------------------------------------------------------------------------


@dataclass
class Running:
    """Both nodes, answering; and the window of Transport, which asks through its own node's door."""

    provider: Node
    consumer: Node
    port: int  #: the provider's, for other nodes
    door: int  #: the consumer's, for its own systems
    session: aiohttp.ClientSession

    async def pull(self) -> tuple[bool, bool]:
        """Both nodes look for a newer directory: whether each adopted one."""
        return await self.provider.source.pull(), await self.consumer.source.pull()

    async def ask(self, name: str, number: str = APPLICANT) -> str:
        """Ask under a grant: "" if the person's record came back, else the code of the refusal."""
        headers = {
            "authorization": f"Bearer {TOKEN}", "tongban-operator": "T-0417", "tongban-grant": grant_id(name),
            "tongban-case": "KC-2014-000001",
        }  # fmt: skip
        asked = {"subject": {"domain": "citizen", "key": number}, "fields": FIELDS}
        address = f"http://127.0.0.1:{self.door}/door/v1/call/query"
        async with self.session.post(address, data=json.dumps(asked), headers=headers) as got:
            said = await got.json()
        if got.status != 200:
            return str(said["code"])
        assert said["records"] == [{"status": "已婚", "registered_on": "2009-05-20"}]
        return ""

    async def health(self) -> dict[str, Any]:
        """What the provider says at its door; strangers are told the first of it."""
        told = self.provider.health()
        async with self.session.get(f"http://127.0.0.1:{self.port}/healthz") as got:
            assert await got.json() == {"answers": told["answers"]}
            assert got.status == (200 if told["answers"] else 503)
        return told


@contextlib.asynccontextmanager
async def running(departments: Departments) -> AsyncIterator[Running]:
    """Serve both nodes. The provider's port must be the one its entry names."""
    nodes = [build(configs.read(departments.node(name)), departments.clock) for name in NODES]
    provider, consumer = nodes
    exchange = listening("127.0.0.1", provider.config.port)
    door = listening("127.0.0.1", 0)
    served = [(server(provider.exchange), exchange), (server(consumer.door), door)]
    tasks = [asyncio.create_task(_served(one, bound)) for one, bound in served]
    try:
        async with aiohttp.ClientSession() as session:
            for node in nodes:
                await node.source.pull()
            yield Running(provider, consumer, exchange.getsockname()[1], door.getsockname()[1], session)
    finally:
        for one, _ in served:
            one.should_exit = True
        await asyncio.gather(*tasks)
        for node in nodes:
            await node.outlet.close()
            for register in node.registers.values():
                register.close()
            node.log.close()


async def _served(one: Any, bound: Any) -> None:
    one.capture_signals = contextlib.nullcontext
    await one.serve(sockets=[bound])


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    bound = listening("127.0.0.1", 0)
    try:
        return int(bound.getsockname()[1])
    finally:
        bound.close()
