"""A thief has a node's online key: what he signs stops counting, and the department goes on under another name."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.node.asking import Asker
from tests.node.conftest import NODES, free_ports
from tests.node.place import CONSUMER, POLICE, PROVIDER, Place, lay_out
from tests.node.running import NodeProcess, entries, records, until
from tests.node.test_door import asked
from tongban.cli.main import main
from tongban.kit.clock import stamp
from tongban.tlog.checkpoint import Checkpoint, parse, sign
from tongban.tlog.cosignature import cosigners
from tongban.tlog.tree import Tree, leaf_hash
from tongban.tlog.witness import request

NEW = "civil-affairs-2"
RUNNING = (PROVIDER, CONSUMER, POLICE)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = lay_out(tmp_path_factory.mktemp("stolen"), free_ports(NODES), witnessed=True)
    place.refresh(PROVIDER)
    file = place.node(CONSUMER) / "node.toml"
    file.write_text(f"{file.read_text()}\n[limits]\nkey_settle_seconds = 3\n")
    return place


@pytest.fixture(scope="module")
def nodes(city: Place) -> Iterator[dict[str, NodeProcess]]:
    nodes = {name: NodeProcess(city.node(name)).start() for name in RUNNING}
    try:
        yield {name: one.ready() for name, one in nodes.items()}
    finally:
        for one in nodes.values():
            if one.alive:
                one.stop()


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any]:
    capsys.readouterr()
    status = main([*map(str, words), "--json"])
    told = capsys.readouterr()
    return status, json.loads(told.out) if told.out else told.err


def shown(node: NodeProcess, old: int, proof: list[bytes], note: bytes) -> int:
    """Status of a witness's answer to a head that the thief shows it."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
    try:
        connection.request("POST", "/add-checkpoint", request(old, proof, note))
        return connection.getresponse().status
    finally:
        connection.close()


def remembered(city: Place, node: NodeProcess) -> int:
    """Entries under the newest head that enough witnesses of the provider have seen."""
    kept = node.log / "cosigned"
    return parse(kept.read_bytes())[0].size if kept.exists() else 0


def the_thiefs(city: Place, node: NodeProcess, key: Any) -> tuple[Tree, bytes]:
    """The log's public leaves and one more, under a head that the stolen key signs."""
    tree = Tree()
    for one in entries(node.log):
        tree.extend(leaf_hash(one.leaf))
    tree.extend(leaf_hash(b"a leaf that nobody at the department wrote"))
    origin = json.loads((node.log / "log.json").read_text())["origin"]
    return tree, sign(Checkpoint(origin, tree.size, tree.root()), key)


def test_a_department_whose_key_was_stolen_goes_on_and_loses_nothing(
    city: Place, nodes: dict[str, NodeProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    provider, asker, key = nodes[PROVIDER], Asker(city), city.key(PROVIDER, "online")
    for _ in range(3):
        assert provider.send(asker.query()).status == 200
    size = provider.size()
    until(lambda: remembered(city, provider) == size, "the honest head is cosigned")
    tree, note = the_thiefs(city, provider, key)
    cosigned = [shown(nodes[name], size, tree.consistency_proof(size, tree.size), note) for name in (CONSUMER, POLICE)]
    assert 200 in cosigned
    # The node finds it out and stops: what it adds would be a second history.
    assert provider.send(asker.query()).status in (200, 503)
    until(lambda: not provider.strangers_answers(), "the node stops")
    # Neither history is shown any more, and it is said once, not at every look.
    with pytest.raises(HTTPError) as none:
        urlopen(f"http://127.0.0.1:{provider.port}/checkpoint", timeout=20)
    assert (none.value.code, provider.said().count("node.log_contradicted")) == (404, 1)
    size = provider.size()
    provider.stop()
    # 1: revoke, as of an instant at which the key was still the department's alone.
    safe = stamp(time.time())
    hub, office = city.bureau.folder, city.foundation.office(PROVIDER)
    for role in ("online", "ticket"):
        id = city.key(PROVIDER, role).id
        assert said(capsys, "directory", "revoke", hub, id, "--office", office, "--at", safe)[0] == 0
    # 2: the office closes the log and signs everything anew; the bureau lists it.
    told = said(capsys, "node", "succeed", city.node(PROVIDER), city.node(NEW), "--id", NEW, "--office", office)
    assert (told[0], told[1]["closed"]["size"]) == (0, size), told
    files = sorted((city.node(NEW) / "entries").glob("*.json"))
    listed = said(capsys, "directory", "list", hub, *files, "--countersign", "--instead-of", PROVIDER)
    assert listed[0] == 0, listed
    assert said(capsys, "directory", "publish", hub)[0] == 0
    # 3: the successor answers, and is witnessed from its first entry on.
    city.refresh(NEW)
    after = NodeProcess(city.node(NEW)).start().ready()
    nodes[NEW] = after
    grant = next(one for one in city.directory(city.config(NEW)).grants.values() if _is_like(one, city))
    got = after.send(asker.query(grant=grant.id, node=NEW))
    assert got.status == 200, got.said
    until(lambda: remembered(city, after) >= after.size(), "the successor is cosigned")
    # The old log holds to its end, under the directory of today; the thief's further heads are nobody's.
    status, found = said(capsys, "log", "verify", provider.folder, "--signatures", "--directory", city.published)
    assert (status, found["holds"], found["entries"], found["problems"]) == (0, True, size, [])
    assert (found["witnessed"]["entries"] <= size, found["witnessed"]["outside"]) == (True, False)
    receipt = city.folder / "receipt.json"
    first = entries(provider.log)[0]
    origin = told[1]["closed"]["id"]
    receipt.write_text(json.dumps({"origin": origin, "entry": 0, "leaf": leaf_hash(first.leaf).hex()}))
    status, found = said(capsys, "log", "receipt", provider.folder, receipt)
    assert (status, found["witnessed"], found["outside"]) == (0, True, False)
    assert main(["log", "receipt", str(provider.folder), str(receipt)]) == 0
    assert "仅内部见证 · internal witnesses only" in capsys.readouterr().out
    further, note = the_thiefs(city, provider, key)
    proof = further.consistency_proof(size, further.size)
    for name in (CONSUMER, POLICE):
        until(lambda name=name: shown(nodes[name], size, proof, note) == 404, f"{name} cosigns it no more")
    # Nobody starts the closed log again by mistake.
    assert NodeProcess(provider.folder).start().ended_with("closed its log with") == 3


def _is_like(grant: Any, city: Place) -> bool:
    """The successor of the usual grant."""
    usual = city.grant("marriage").body
    same = (grant.consumer, grant.call, grant.resource, grant.purpose, sorted(grant.fields), grant.max_directory_age)
    whole = not grant.rows and grant.not_before < time.time() < grant.expires_at and grant.quota.calls > 9
    like = tuple(usual[name] for name in ("consumer", "call", "resource", "purpose", "fields", "max_directory_age"))
    return bool(grant.node == NEW and same == (*like[:4], sorted(like[4]), like[5]) and whole)


def test_what_a_revoked_key_signed_counts_only_under_a_head_cosigned_before(
    city: Place, nodes: dict[str, NodeProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    consumer, office, hub = nodes[CONSUMER], city.foundation.office(CONSUMER), city.bureau.folder
    key = city.key(CONSUMER, "online")
    log = nodes[PROVIDER].log
    signed = [at for at, one in enumerate(entries(log)) if json.loads(one.record or b"{}").get("key") == key.id]
    assert len(signed) >= 3
    newest = parse((log / "cosigned").read_bytes())[0].size
    assert cosigners((log / "cosigned").read_bytes(), {}) == []
    status, _ = said(capsys, "directory", "revoke", hub, key.id, "--office", office)
    assert status == 0
    status, found = said(capsys, "log", "verify", log, "--signatures", "--directory", city.published)
    [void] = [one for one in found["void"] if one["key"] == key.id] or [None]
    late = [at for at in signed if at >= newest]
    assert (status, found["holds"]) == (0, True)
    assert (void["entries"] if void else []) == late
    # Dead from an instant before the log was witnessed at all: none of them counts any more.
    at = stamp(time.time() - 86_400)
    assert said(capsys, "directory", "revoke", hub, key.id, "--office", office, "--at", at)[0] == 0
    _, found = said(capsys, "log", "verify", log, "--signatures", "--directory", city.published)
    [void] = [one for one in found["void"] if one["key"] == key.id]
    assert (void["counted"], void["count"], void["entries"]) == (0, len(signed), signed)
    # The root vouches for the next key, for a thief holds the present one; the node that runs takes it up.
    made = said(capsys, "node", "rotate-key", consumer.folder, "--role", "online", "--office", office)[1]
    assert said(capsys, "directory", "list", hub, made["entry"])[0] == 0
    assert said(capsys, "directory", "publish", hub)[0] == 0
    until(lambda: consumer.health()["keys"]["online"]["key"] == made["key"], "the next key signs")
    usual = next(one for one in city.directory(city.config(NEW)).grants.values() if _is_like(one, city))
    grant = {"tongban-grant": usual.id}
    until(lambda: asked(consumer, **grant).status == 200, "the department asks again")
    assert records(nodes[NEW].log, "call")[-1]["key"] == made["key"]
