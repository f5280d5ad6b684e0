"""What a running node makes of what lies where it pulls its directory from."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.asking import Asker
from tests.node.place import Place, grant_id
from tests.node.running import NodeProcess, serving, spare, until


@pytest.fixture(scope="module")
def source(place: Place) -> Path:
    return place.folder / "offered.json"


@pytest.fixture(scope="module")
def node(place: Place, source: Path) -> Iterator[NodeProcess]:
    """A node that pulls from a place of its own, where a test may put what it likes."""
    source.write_bytes(place.published.read_bytes())
    one = spare(place, "pulling", toml=lambda text: text.replace("../../hub/public/directory.json", str(source)))
    with serving(one):
        yield one


def offer(source: Path, raw: bytes) -> None:
    beside = source.with_suffix(".next")
    beside.write_bytes(raw)
    beside.replace(source)


def without_expiry(whole: dict[str, Any]) -> None:
    """A grant that lives for ever, in the words of whoever holds neither key."""
    grant = next(one for one in whole["entries"] if one["body"]["kind"] == "grant")
    grant["body"]["expires_at"] = "2999-01-01T00:00:00Z"


def without_signature(whole: dict[str, Any]) -> None:
    whole["head"]["signatures"] = {}


def newer(whole: dict[str, Any]) -> None:
    whole["head"]["body"]["version"] += 1


def with_a_grant_more(whole: dict[str, Any]) -> None:
    whole["entries"].append(whole["entries"][0])


def unlogged(whole: dict[str, Any]) -> None:
    whole["log"]["proof"] = []


@pytest.mark.parametrize(
    ("forge", "code"),
    [
        (without_expiry, "exchange.directory_altered"),
        (with_a_grant_more, "exchange.directory_altered"),
        (without_signature, "exchange.head_unsigned"),
        (newer, "exchange.head_unsigned"),
        (unlogged, "exchange.directory_unlogged"),
        (None, "exchange.directory_malformed"),
    ],
    ids=["a changed grant", "a doubled entry", "no signature", "a changed head", "not in the log", "no directory"],
)
def test_a_forged_directory_is_not_adopted_and_calls_go_on(
    node: NodeProcess, source: Path, place: Place, forge: Callable[[dict[str, Any]], None] | None, code: str
) -> None:
    asker = Asker(place)
    before = node.health()["directory"]
    whole = json.loads(place.published.read_bytes()) if forge is None else fresh(place)
    if forge:
        forge(whole)
    offer(source, b"{" if forge is None else json.dumps(whole).encode())
    until(lambda: node.health()["directory_refused"] == code, f"{code} is told")
    assert node.send(asker.query()).status == 200
    assert node.health()["directory"] == before
    offer(source, place.published.read_bytes())
    until(lambda: node.health()["directory"] > before or node.health()["directory_refused"] is None, "the good one")
    assert node.send(asker.query()).status == 200


def fresh(place: Place) -> dict[str, Any]:
    """A newer good directory, so that only the forgery can be what is wrong with it."""
    place.put()
    return dict(json.loads(place.published.read_bytes()))


def test_an_older_directory_is_not_adopted(node: NodeProcess, source: Path, place: Place) -> None:
    old = place.published.read_bytes()
    offer(source, json.dumps(fresh(place)).encode())
    version = json.loads(place.published.read_bytes())["head"]["body"]["version"]
    until(lambda: node.health()["directory"] == version, "the newer one is adopted")
    offer(source, old)
    until(lambda: node.health()["directory_refused"] == "exchange.directory_rolled_back", "the older one is refused")
    assert node.health()["directory"] == version


def test_a_withdrawn_grant_stops_after_the_next_pull(node: NodeProcess, source: Path, place: Place) -> None:
    asker = Asker(place)
    place.put(place.grant("short-lived"))
    offer(source, place.published.read_bytes())
    until(lambda: node.send(asker.query(grant="short-lived")).status == 200, "the grant is there")
    place.withdraw("grant", grant_id("short-lived"))
    offer(source, place.published.read_bytes())
    until(lambda: node.send(asker.query(grant="short-lived")).code == "exchange.no_grant", "the grant is gone")
    assert node.send(asker.query()).status == 200


def test_a_hub_that_is_gone_stops_nobody(node: NodeProcess, source: Path, place: Place) -> None:
    asker = Asker(place)
    source.unlink()
    said = len(node.said())
    until(lambda: "does not answer" in node.said()[said:], "two pulls in vain")
    assert node.send(asker.query()).status == 200
    node.kill()
    node.start().ready()
    assert node.send(asker.query()).status == 200
    offer(source, place.published.read_bytes())
