"""A copy of a running node holds whatever was acknowledged before it; and an old one is not taken for the newest."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.node.asking import Asker, send
from tests.node.conftest import NODES, free_ports
from tests.node.place import CONSUMER, POLICE, PROVIDER, Place, lay_out
from tests.node.running import NodeProcess, entries, until
from tongban.cli.main import main
from tongban.tlog.checkpoint import parse


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = lay_out(tmp_path_factory.mktemp("backed-up"), free_ports(NODES), witnessed=True)
    place.refresh(PROVIDER)
    return place


@pytest.fixture
def nodes(city: Place) -> Iterator[dict[str, NodeProcess]]:
    nodes = {name: NodeProcess(city.node(name)).start() for name in (PROVIDER, CONSUMER, POLICE)}
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


@contextmanager
def asking(city: Place, node: NodeProcess) -> Iterator[list[int]]:
    """Calls without a pause; the entries that were acknowledged, as they come."""
    acknowledged: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        asker = Asker(city)
        while not stop.is_set():
            got = node.send(asker.query())
            assert got.status == 200
            acknowledged.append(got.entry or 0)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for one in threads:
        one.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        for one in threads:
            one.join()


def cosigned(node: NodeProcess) -> int:
    kept = node.log / "cosigned"
    return parse(kept.read_bytes())[0].size if kept.exists() else 0


def test_a_copy_of_a_busy_node_holds_all_that_was_acknowledged_before(
    city: Place, nodes: dict[str, NodeProcess], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    provider = nodes[PROVIDER]
    with asking(city, provider) as acknowledged:
        for turn in range(4):
            until(lambda turn=turn: len(acknowledged) > 20 * (turn + 1), "calls go on")
            before = list(acknowledged)
            status, told = said(capsys, "node", "backup", provider.folder, tmp_path / str(turn))
            assert status == 0, told
            assert told["entries"] > max(before)
    kept = entries(provider.log)
    for turn in range(4):
        copy = entries(tmp_path / str(turn) / "log")
        assert [one.leaf for one in copy] == [one.leaf for one in kept[: len(copy)]]
        assert not (tmp_path / str(turn) / "facts").exists()
        status, told = said(capsys, "log", "verify", tmp_path / str(turn), "--signatures")
        assert (status, told["holds"]) == (0, True)


def test_nothing_is_copied_over_a_folder_that_holds_something(
    city: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("whose?")
    status, told = said(capsys, "node", "backup", city.node(POLICE), tmp_path / "taken")
    assert (status, (tmp_path / "taken" / "file").read_text()) == (2, "whose?")
    assert told["code"] == "node.backup_taken"


def test_a_changed_copy_is_not_brought_back(city: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert said(capsys, "node", "backup", city.node(PROVIDER), tmp_path / "copy")[0] == 0
    file = tmp_path / "copy" / "log" / "entries" / "00000000.log"
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    status, _ = said(capsys, "node", "restore", tmp_path / "copy", tmp_path / "back")
    assert (status, (tmp_path / "back").exists()) == (3, False)


def brought_back(capsys: pytest.CaptureFixture[str], copy: Path, node: NodeProcess) -> Path:
    """The copy in the node's place; where the newest folder lies now."""
    aside = node.folder.with_name(f"{node.folder.name}-newest-{copy.name}")
    node.folder.rename(aside)
    status, told = said(capsys, "node", "restore", copy, node.folder)
    assert status == 0, told
    shutil.copytree(aside / "facts", node.folder / "facts")
    return aside


def test_a_node_brought_back_asks_two_witnesses_what_they_saw_last(
    city: Place, nodes: dict[str, NodeProcess], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    provider, asker = nodes[PROVIDER], Asker(city)
    assert said(capsys, "node", "backup", provider.folder, tmp_path / "old")[0] == 0
    assert provider.send(asker.query()).status == 200
    until(lambda: cosigned(provider) == provider.size(), "the newest entry is cosigned")
    provider.stop()
    assert said(capsys, "node", "backup", provider.folder, tmp_path / "newest")[0] == 0
    # One that lacks what witnesses have seen is not continued.
    aside = brought_back(capsys, tmp_path / "old", provider)
    assert provider.start().ended_with("signed by this node's own key; here it is another") == 3
    shutil.rmtree(provider.folder)
    aside.rename(provider.folder)
    # With nobody who can say, nobody knows: it does not start either.
    aside = brought_back(capsys, tmp_path / "newest", provider)
    for name in (CONSUMER, POLICE):
        nodes[name].stop()
    assert provider.start().ended_with("0 witnesses say what they saw of it last, 2 must") == 3
    nodes[POLICE].start().ready()
    assert provider.start().ended_with("1 witnesses say what they saw of it last, 2 must") == 3
    # With both it goes on, and the next start asks nobody.
    nodes[CONSUMER].start().ready()
    assert provider.start().ready().send(asker.query()).status == 200
    provider.stop()
    for name in (CONSUMER, POLICE):
        nodes[name].stop()
    assert provider.start().ready().send(asker.query()).status == 200
    shutil.rmtree(aside)


def test_a_city_brought_back_as_a_whole_starts_for_its_nodes_are_each_others_witnesses(
    city: Place, nodes: dict[str, NodeProcess], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asker, provider = Asker(city), nodes[PROVIDER]
    assert provider.send(asker.query()).status == 200
    until(lambda: cosigned(provider) == provider.size(), "the newest entry is cosigned")
    for name, node in nodes.items():
        node.stop()
        assert said(capsys, "node", "backup", node.folder, tmp_path / name)[0] == 0
        node.folder.rename(tmp_path / f"{name}-lost")
        assert said(capsys, "node", "restore", tmp_path / name, node.folder)[0] == 0
    shutil.copytree(tmp_path / f"{PROVIDER}-lost" / "facts", provider.folder / "facts")
    # One alone is a witness to others, and takes no call.
    provider.start()
    until(lambda: refused_alone(city, provider), "it refuses calls")
    for name in (CONSUMER, POLICE):
        nodes[name].start()
    for node in nodes.values():
        node.ready()
    assert provider.send(asker.query()).status == 200


def refused_alone(city: Place, node: NodeProcess) -> bool:
    port = city.config(PROVIDER).port
    try:
        got = send(port, Asker(city).query())
    except OSError:
        return False
    return (got.status, got.code) == (503, "exchange.log_unavailable")
