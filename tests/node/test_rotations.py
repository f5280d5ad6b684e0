"""Keys are changed while calls of every kind go on, and not one call fails."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiohttp
import pyarrow as pa
import pytest

from tests.full import count
from tests.node.asking import a_column
from tests.node.conftest import NODES, free_ports
from tests.node.place import AT, CONSUMER, POLICE, PROVIDER, Place, grant_id, lay_out
from tests.node.running import NodeProcess, records, until
from tests.world import APPLICANT, HUSBAND
from tongban.cli.main import main
from tongban.exchange import bulk

#: Whose keys are changed together: those that sign the calls, their tickets and the answers.
CHANGED = [(CONSUMER, "online"), (CONSUMER, "ticket"), (PROVIDER, "online"), (POLICE, "online"), (POLICE, "ticket")]
ROUND = "2014-6"


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A city of its own: its directories list more keys with every test."""
    place = lay_out(tmp_path_factory.mktemp("rotating"), free_ports(NODES))
    place.refresh(PROVIDER)
    for name in (PROVIDER, CONSUMER, POLICE):
        file, limit = place.node(name) / "node.toml", "[limits]\nkey_settle_seconds = 3\n"
        text = file.read_text()
        file.write_text(text.replace("[limits]\n", limit) if "[limits]\n" in text else f"{text}\n{limit}")
    return place


@pytest.fixture(scope="module")
def nodes(city: Place) -> Iterator[dict[str, NodeProcess]]:
    nodes = {name: NodeProcess(city.node(name)).start() for name in (PROVIDER, CONSUMER, POLICE)}
    try:
        yield {name: one.ready() for name, one in nodes.items()}
    finally:
        for one in nodes.values():
            one.stop()


class Load:
    """Calls of all kinds through the doors of two departments, one after the other in each, without a pause."""

    def __init__(self, city: Place, nodes: dict[str, NodeProcess]) -> None:
        self._city, self._nodes = city, nodes
        self.done: Counter[str] = Counter()
        self.failed: list[str] = []
        self._stop = False
        self._part = 0

    async def __aenter__(self) -> "Load":
        await self._open_round()
        subject = {"domain": "citizen", "key": APPLICANT}
        query, verify = {"subject": subject, "fields": ["status"]}, {"subject": subject, "asks": {"since": 2010}}
        self._tasks = [
            asyncio.create_task(self._call_on(CONSUMER, "query", "marriage", query)),
            asyncio.create_task(self._call_on(CONSUMER, "verify", "married", verify)),
            asyncio.create_task(self._call_on(CONSUMER, "match", "batch", None)),
            asyncio.create_task(self._call_on(POLICE, "query", "of_police", query)),
        ]
        return self

    async def __aexit__(self, *_: Any) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)

    def _door(self, name: str) -> aiohttp.ClientSession:
        connector = aiohttp.UnixConnector(str(self._nodes[name].folder / "door.sock"))
        return aiohttp.ClientSession(connector=connector, headers={"tongban-operator": "T-0417"})

    async def _open_round(self) -> None:
        asked = {"round": ROUND, "stage": "opened", "digest": "0" * 64, "at": AT}
        async with self._door(CONSUMER) as door, door.post("http://door/door/v1/round", json=asked) as got:
            assert got.status == 200, await got.text()

    async def _call_on(self, name: str, call: str, grant: str, asked: Any) -> None:
        async with self._door(name) as door:
            while not self._stop:
                await self._call(door, name, call, grant, asked)

    async def _call(self, door: aiohttp.ClientSession, name: str, call: str, grant: str, asked: Any) -> None:
        headers = {"tongban-grant": grant_id(grant), "tongban-case": "KC-2014-000001"}
        data = json.dumps(asked).encode()
        if call == "match":
            self._part += 1
            headers |= {"tongban-round": ROUND, "tongban-part": str(self._part), "tongban-domain": "citizen"}
            headers["tongban-at"] = AT
            column = a_column((APPLICANT, HUSBAND))
            data = bulk.write_keys(pa.table({"k": column, "since": pa.nulls(len(column), pa.int64())}))
        async with door.post(f"http://door/door/v1/call/{call}", data=data, headers=headers) as got:
            said = await got.read()
            if got.status == 200 and "tongban-receipt" in got.headers:
                self.done[f"{name} {call}"] += 1
            else:
                self.failed.append(f"{name} {call}: {got.status} {said[:200]!r}")


def rotated(city: Place, capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, str], str]:
    """New keys for all of CHANGED, listed and published, as operator and bureau do it; the id of each."""
    made, entries = {}, []
    for name, role in CHANGED:
        told = said(capsys, "node", "rotate-key", city.node(name), "--role", role)
        made[name, role] = told["key"]
        entries.append(told["entry"])
    assert len(said(capsys, "directory", "list", city.bureau.folder, *entries)["listed"]) == len(CHANGED)
    said(capsys, "directory", "publish", city.bureau.folder)
    return made


def said(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    capsys.readouterr()
    status = main([*map(str, words), "--json"])
    told = capsys.readouterr()
    assert status == 0, told
    return json.loads(told.out)


def signing(nodes: dict[str, NodeProcess]) -> dict[tuple[str, str], str]:
    """Which key signs now, as each node's own health tells."""
    health = {name: node.health()["keys"] for name, node in nodes.items()}
    return {(name, role): health[name][role]["key"] for name, role in CHANGED}


def test_no_call_fails_while_keys_are_changed(
    city: Place, nodes: dict[str, NodeProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    changes = -(-count("rotations", 10, 1_000) // len(CHANGED))

    async def changed() -> Load:
        async with Load(city, nodes) as load:
            for _ in range(changes):
                before = load.done.copy()
                made = await asyncio.to_thread(rotated, city, capsys)
                await asyncio.to_thread(until, lambda made=made: signing(nodes) == made, "all new keys sign")
                # Each kind of call was made under these keys too.
                await asyncio.to_thread(until, lambda before=before: all_more(load, before), "calls go on")
                assert load.failed == []
        return load

    load = asyncio.run(changed())
    assert load.failed == []
    assert set(load.done) == {f"{CONSUMER} query", f"{CONSUMER} verify", f"{CONSUMER} match", f"{POLICE} query"}
    answered = records(nodes[PROVIDER].log, "call") + records(nodes[PROVIDER].log, "batch")
    assert len({one["answer_key"] for one in answered}) >= changes
    assert len({one["key"] for one in answered}) >= 2 * changes
    with capsys.disabled():
        print(f"{changes * len(CHANGED)} keys changed, {sum(load.done.values())} calls, none failed ", end="")
    for name in (PROVIDER, CONSUMER, POLICE):
        until(lambda name=name: proven(capsys, city, name), f"the log of {name} holds under all its keys")


def all_more(load: Load, before: Counter[str]) -> bool:
    return len(load.done) == 4 and all(load.done[kind] > before[kind] for kind in load.done)


def proven(capsys: pytest.CaptureFixture[str], city: Place, name: str) -> bool:
    """`log verify --signatures` with nothing but the published directory: what former keys signed still holds."""
    told = said(capsys, "log", "verify", city.node(name), "--signatures", "--directory", city.published)
    assert told["holds"], told
    return bool(told["unchecked"] == 0)
