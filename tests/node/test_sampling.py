"""Sampling by a witness: a look that both sides hide before the day is committed to is met by chance, or surely."""

import base64
import json
import math
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.node.asking import Asker, Header, numbers
from tests.node.conftest import NODES, free_ports
from tests.node.place import CONSUMER, POLICE, PROVIDER, Place, lay_out
from tests.node.running import Inside, entries, inside, leaf_of, serving, spare, until
from tests.node.test_days import DAY, published
from tests.node.test_person_proof import both, codes, dropped, in_process
from tests.node.test_person_proof import judged as judged_proof
from tongban.cli.main import main
from tongban.kit.clock import MovedClock, stamp
from tongban.kit.keys import SigningKey, read_key
from tongban.node import tally
from tongban.node.config import read as read_config
from tongban.node.program import online_key, origin_of
from tongban.tlog import sample
from tongban.tlog.log import Draft, Log
from tongban.tlog.looks import looks_of
from tongban.tlog.pseudonym import spelt
from tongban.tlog.sample import PICKS, chance, picks, places
from tongban.tlog.verify import verify


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = lay_out(tmp_path_factory.mktemp("sampled"), free_ports(NODES), witnessed=True)
    place.refresh(PROVIDER)
    return place


@dataclass
class Post:
    """What a witness sends."""

    body: bytes
    path: str = "/sample"
    method: str = "POST"
    headers: list[Header] = field(default_factory=list)


def witness(city: Place, name: str = POLICE) -> SigningKey:
    return read_key(city.node(name) / "keys" / "witness.json")


def day_of(found: Inside) -> int:
    return [one.index for one in found.node.log.entries() if leaf_of(one)["kind"] == "day-count"][-1]


def asked(found: Inside, key: SigningKey, entry: int, name: str = "", over: int | None = None) -> tuple[Any, bytes]:
    """The node's answer, and the signature that asked for it."""
    leaf = found.node.log.entry(entry if over is None else over).leaf
    signature = key.sign(sample.message(found.node.log.origin, entry if over is None else over, leaf))
    said = {"witness": name or key.id, "entry": entry, "signature": base64.b64encode(signature).decode()}
    return found.send(Post(orjson.dumps(said))), signature  # type: ignore[arg-type]


def judged(found: Inside, city: Place) -> list[Any]:
    entry = day_of(found)
    got, signature = asked(found, witness(city), entry)
    assert got.status == 200, got.body
    leaves = [one.leaf for one in found.node.log.entries()]
    return sample.check(leaves, entry, signature, json.loads(got.body))


def looked(found: Inside, city: Place) -> None:
    """A call, its answer again, a refusal, and a batch; the sample of so few looks meets all."""
    asker = Asker(city, now=found.clock.seconds)
    once = asker.query()
    assert found.send(once).status == 200
    assert found.send(asker.query(idempotency=once.prepared.call.idempotency)).status == 200
    assert found.send(asker.query(fields=("spouse_number",))).status != 200
    assert found.send(asker.match(keys=numbers(4))).status == 200


def test_every_kind_of_look_is_opened_to_a_witness(city: Place) -> None:
    with inside(city, "twin-sample-whole", PROVIDER) as found:
        looked(found, city)
        [body] = published(found)
        assert body["sum"] == 7
        assert judged(found, city) == []


def test_a_look_that_both_sides_hide_is_met(city: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for side in (PROVIDER, CONSUMER):
        with inside(city, f"twin-sample-hidden-{side}", side) as found:
            in_process(found, monkeypatch)
            dropped(found, monkeypatch)
            looks(found, "call" if side == PROVIDER else "request", 5)
            published(found)
            # The sum is right, so the log alone shows nothing.
            assert verify(found.node.log.directory, {}, workers=1).problems == ()
            assert [(one.code, one.place) for one in judged(found, city)] == [("tlog.sample_failed", "entry 0")]


def looks(found: Inside, kind: str, count: int) -> None:
    record = {"at": stamp(found.clock.now), "subjects": [spelt(bytes(16 * [7]))], "call": "query"}
    found.node.log.append_many([Draft({"kind": kind, "n": 1}, record)] * count)


def test_a_wrong_chain_head_is_met(city: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with inside(city, "twin-sample-chain", PROVIDER) as found:
        in_process(found, monkeypatch)
        looks(found, "call", 2)
        monkeypatch.setattr(tally, "chained", lambda before, look: bytes(32))
        published(found)
        assert [one.place for one in judged(found, city)] == ["entry 0", "entry 1"]


def test_a_wrong_count_is_seen_in_the_log_itself(city: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with inside(city, "twin-sample-count", PROVIDER) as found:
        in_process(found, monkeypatch)
        looks(found, "call", 2)
        real = tally._grouped
        monkeypatch.setattr(tally, "_grouped", lambda *held: (rows := real(*held))._replace(counts=rows.counts - 1))
        published(found)
        problems = verify(found.node.log.directory, {}, workers=1).problems
        assert [one.code for one in problems] == ["tlog.day_count_differs"]
        assert len(judged(found, city)) == 2


def changed(openings: list[dict[str, Any]], at: int, **change: Any) -> list[dict[str, Any]]:
    return [one | change if number == at else one for number, one in enumerate(openings)]


def test_no_opening_but_the_right_one_is_taken(city: Place) -> None:
    with inside(city, "twin-sample-lies", PROVIDER) as found:
        looked(found, city)
        published(found)
        entry = day_of(found)
        got, signature = asked(found, witness(city), entry)
        leaves, honest = [one.leaf for one in found.node.log.entries()], json.loads(got.body)
        other = honest[3]["pseudonym"]
        lies: list[Any] = [
            None, {}, [], honest[:-1], honest[::-1],
            changed(honest, 0, pseudonym=other), changed(honest, 0, pseudonym="A" * 22),
            changed(honest, 0, record=honest[1]["record"]), changed(honest, 1, first={"record": honest[1]["record"]}),
            changed(honest, 0, day=honest[3]["day"]), changed(honest, 3, among=honest[4]["among"]),
            changed(honest, 0, day=honest[0]["day"] | {"looks": honest[0]["day"]["looks"][:1]}),
            changed(honest, 0, day=honest[0]["day"] | {"ways": []}),
        ]  # fmt: skip
        for number, lie in enumerate(lies):
            assert sample.check(leaves, entry, signature, lie), number
        assert sample.check(leaves, entry, signature, honest) == []


def test_nobody_but_a_witness_of_the_log_is_shown_anything(city: Place) -> None:
    with inside(city, "twin-sample-strangers", PROVIDER) as found:
        looked(found, city)
        published(found)
        entry, key = day_of(found), witness(city)
        stranger = SigningKey(key.id, bytes(32))
        for got, _ in (
            asked(found, stranger, entry),
            asked(found, key, entry, name="nobody"),
            asked(found, key, entry, over=0),
            asked(found, witness(city, PROVIDER), entry),
        ):
            assert (got.status, b"node.not_a_witness" in got.body) == (403, True)
        assert b"node.no_such_day" in asked(found, key, 0)[0].body
        for body in (b"", b"[]", b"{}", b'{"witness":1,"entry":"x","signature":"?"}'):
            assert found.send(Post(body)).status == 403  # type: ignore[arg-type]


def test_a_proof_under_a_head_that_no_witness_has_seen_is_no_proof(
    city: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with both(city, "twin-sample-unseen", tmp_path) as two:
        two.look()
        two.midnight()
        two.publish()
        status, told, _ = judged_proof(capsys, city, *two.proofs())
        assert (status, codes(told)) == (1, {"tlog.head_unwitnessed"})


def test_the_signature_picks_the_same_looks_every_time_and_other_days_others() -> None:
    chosen = [picks(bytes([turn]) * 64, 1000) for turn in range(200)]
    assert all(one == picks(bytes([turn]) * 64, 1000) for turn, one in enumerate(chosen))
    assert {len({*one}) for one in chosen} == {PICKS}
    assert len({tuple(one) for one in chosen}) == 200
    met = sum(17 in one for one in chosen)
    # 200 days at 2 % each: 4 on average, and 15 or more once in 50,000 times.
    assert 0 < sum(len(one) for one in chosen) / 200 <= 20
    assert met < 15
    assert places(5, [0, 1, 3, 0, 2], [0, 1, 3, 4, 5]) == [(6, 0), (7, 0), (7, 2), (9, 0), (9, 1)]


@pytest.mark.parametrize(("looks", "hidden"), [(20, 1), (21, 1), (1000, 1), (1000, 50), (7, 3), (1000, 0)])
def test_the_chance_that_is_told_is_that_of_drawing_without_return(looks: int, hidden: int) -> None:
    drawn = min(PICKS, looks)
    missed = math.comb(looks - hidden, drawn) / math.comb(looks, drawn)
    assert chance(looks, hidden) == pytest.approx(1 - missed)


def test_a_witness_samples_a_running_node_by_its_address(
    city: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = spare(city, "spare-sampled", start=False)
    config = read_config(node.folder)
    shutil.rmtree(node.log)
    then = MovedClock(time.time() - 2 * DAY)
    log = Log.create(node.log, origin_of(config), online_key(config, None), then)
    for number in range(30):
        record = {"at": stamp(then.now), "subjects": [spelt(bytes(15) + bytes([number % 7 + 1]))], "call": "query"}
        log.append_many([Draft({"kind": "call", "n": 1}, record)])
    log.close()
    with serving(node.start()):
        until(lambda: any(looks_of(leaf_of(one)) == 0 for one in entries(node.log)), "a day is in the log")
        words = [
            "log",
            "sample",
            f"http://127.0.0.1:{node.port}",
            "--key",
            str(city.node(POLICE) / "keys/witness.json"),
        ]
        words += ["--directory", str(city.published)]
        until(lambda: covered(node.log), "the checkpoint covers the day")
        capsys.readouterr()
        assert main([*words, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["looks"], told["sampled"], told["holds"]) == (30, 20, True)
        assert main(words) == 0
        assert "抽查相符" in capsys.readouterr().out
        shutil.rmtree(node.log / "days")
        assert main(words) == 3


def covered(log: Path) -> bool:
    note = (log / "checkpoint").read_bytes() if (log / "checkpoint").exists() else b"\n0\n"
    return int(note.split(b"\n")[1]) > 30
