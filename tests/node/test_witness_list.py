"""The bureau names who witnesses: from the nodes' own lines, under as many root keys as the root wants."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.node.conftest import NODES, free_ports
from tests.node.place import CONSUMER, POLICE, PROVIDER, Place, lay_out
from tongban.cli.main import main
from tongban.node.config import read as read_config


@pytest.fixture
def city(tmp_path: Path) -> Place:
    return lay_out(tmp_path / "naming", free_ports(NODES), witnessed=True)


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any]:
    capsys.readouterr()
    status = main([*map(str, words), "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_witnesses_are_named_from_their_own_lines_and_one_is_outside(
    city: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    # A folder of before there were witnesses.
    (city.node(POLICE) / "keys" / "witness.json").unlink()
    lines = {}
    for name in (CONSUMER, POLICE):
        (city.node(name) / "directory.json").write_bytes(city.published.read_bytes())
        status, lines[name] = said(capsys, "node", "witness", city.node(name))
        assert status == 0
    assert (city.node(POLICE) / "keys" / "witness.json").exists()
    hub, files = city.bureau.folder, [lines[name]["file"] for name in (CONSUMER, POLICE)]
    outside = lines[POLICE]["name"]
    before = city.directory(read_config(city.node(PROVIDER))).witnessing
    told = said(capsys, "directory", "witnesses", hub, *files, "--k", 2, "--outside", outside)
    assert (told[0], told[1]["version"]) == (0, before.version + 1 if before else 1)
    assert said(capsys, "directory", "publish", hub)[0] == 0
    found = city.directory(read_config(city.node(PROVIDER))).witnessing
    assert found is not None
    assert (found.k, {one.name: one.outside for one in found.witnesses}) == (
        2, {lines[CONSUMER]["name"]: False, outside: True},
    )  # fmt: skip


def test_without_enough_root_keys_nobody_is_named(city: Place, capsys: pytest.CaptureFixture[str]) -> None:
    (city.node(POLICE) / "directory.json").write_bytes(city.published.read_bytes())
    line = said(capsys, "node", "witness", city.node(POLICE))[1]["file"]
    hub = city.bureau.folder
    for number in (2, 3):
        (hub / "keys" / f"root-{number}.json").unlink()
    status, told = said(capsys, "directory", "witnesses", hub, line, "--k", 1)
    assert (status, told["code"]) == (2, "cli.witnesses_invalid")
    status, told = said(capsys, "directory", "witnesses", hub, line, "--k", 1, "--outside", "nobody")
    assert (status, told["code"]) == (2, "cli.witnesses_invalid")


def test_a_node_that_is_not_listed_is_no_witness_yet(city: Place, capsys: pytest.CaptureFixture[str]) -> None:
    folder = city.node(POLICE)
    (folder / "directory.json").write_bytes(city.published.read_bytes())
    file = folder / "node.toml"
    file.write_text(file.read_text().replace(f'id = "{POLICE}"', 'id = "unlisted"', 1))
    status, told = said(capsys, "node", "witness", folder)
    assert (status, told["code"]) == (2, "cli.node_not_listed")
