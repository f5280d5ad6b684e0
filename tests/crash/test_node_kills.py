"""kill -9 of a real node, at bad moments. It tests what is written before what; it is no power cut."""

import base64
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from tests.full import count, seed
from tests.node.asking import Asker, Got, Request, a_column, numbers
from tests.node.place import PROVIDER, Place
from tests.node.running import NodeProcess, entries, leaf_of, opened, record_of, records, spare, until, verified
from tests.world import APPLICANT, HUSBAND
from tongban.exchange import bulk
from tongban.exchange.client import Answer
from tongban.identity.columns import citizen_texts
from tongban.kit.clock import MachineClock
from tongban.node.spool import Spool
from tongban.tlog.persons import persons_root
from tongban.tlog.pseudonym import pseudonym

pytestmark = pytest.mark.crash
ROUNDS = count("kills", 2, 40)


@pytest.fixture(scope="module")
def node(place: Place) -> Iterator[NodeProcess]:
    """One node, killed again and again; its log goes on."""
    few = {"calls": 3, "persons": 7, "window_seconds": 366 * 86_400}
    asked = {"call": "match", "fields": [], "rule": "married@2014-01-01", "rule_digest": place.compiled().digest}
    place.put(place.grant("three", quota=few), place.grant("twice", quota={**few, "calls": 2}))
    place.put(place.grant("seven", quota=few, **asked))
    one = spare(place, "crash")
    try:
        yield one.ready()
    finally:
        if one.alive:
            one.stop()


def killed_and_back(node: NodeProcess) -> None:
    node.kill()
    node.start().ready()


def test_nonces_answers_and_quotas_outlive_the_node(node: NodeProcess, asker: Asker) -> None:
    answered, refused = asker.query(), asker.query(grant="ended")
    assert (node.send(answered).status, node.send(refused).status) == (200, 403)
    first = node.send(asked_once(asker))
    assert [node.send(asker.query(grant="three")).status for _ in range(2)] == [200, 200]
    assert node.send(asker.match(grant="seven", keys=numbers(5), on={"part": "a"})).status == 200
    killed_and_back(node)
    # A message counts once, answered or refused.
    assert [node.send(one).code for one in (answered, refused)] == ["exchange.replay"] * 2
    # A repeat gets the same bytes, signed anew, logged as what it is, and is charged once.
    for _ in range(3):
        again = asked_once(asker)
        got = node.send(again)
        assert (got.status, got.body) == (200, first.body)
        assert isinstance(asker.judged(again, got), Answer)
        assert got.header("signature") != first.header("signature")
    assert [one["repeat_of"] for one in records(node.log, "repeat")] == [first.entry] * 3
    assert [node.send(asker.query(grant="twice")).code for _ in range(2)] == ["", "exchange.quota_spent"]
    # So are calls and persons.
    assert [node.send(asker.query(grant="three")).code for _ in range(2)] == ["", "exchange.quota_spent"]
    assert node.send(asker.match(grant="seven", keys=numbers(3, 5), on={"part": "b"})).code == "exchange.quota_spent"
    assert node.send(asker.match(grant="seven", keys=numbers(2, 5), on={"part": "c"})).status == 200


def asked_once(asker: Asker) -> Request:
    return asker.query(grant="twice", fields=["name", "status"], idempotency="asked-once-only")


def test_the_persons_of_a_batch_are_committed_after_a_kill_and_their_keys_erased(
    node: NodeProcess, asker: Asker
) -> None:
    until(lambda: not spooled(node), "earlier batches are committed")
    got = node.send(asker.match(keys=[APPLICANT, HUSBAND], on={"round": "killed", "part": "0"}))
    assert got.status == 200
    node.kill()
    kept = {path: path.read_bytes() for path in spooled(node)}
    assert len(kept) == 1
    assert commitments(node, got) == []
    assert not any(APPLICANT.encode() in raw for raw in kept.values())
    node.start().ready()
    committed = until(lambda: commitments(node, got), "persons are committed")
    until(lambda: not spooled(node), "keys are erased")
    salt = base64.b64decode(record_of(entries(node.log)[got.entry or 0])["persons_salt"])
    verdicts = bulk.read_answer(got.body, 2)
    assert isinstance(verdicts, bulk.Answer)
    told = {"kind": "batch-persons", "batch": got.entry, "n": 2, "v": 1}
    assert committed == [told | {"root": root(node, salt, (APPLICANT, HUSBAND), verdicts)}]
    # Killed between the commitment and the erasing: nobody is committed twice.
    node.kill()
    for path, raw in kept.items():
        path.write_bytes(raw)
    with opened(node.folder, MachineClock().seconds()) as again:
        assert again.node.persons.waiting() == 0
        assert spooled(node) == []
    node.start().ready()


def spooled(node: NodeProcess) -> list[Path]:
    return [*(node.folder / "spool").glob("*.sealed")]


def commitments(node: NodeProcess, got: Got) -> list[dict[str, Any]]:
    leaves = [leaf_of(one) for one in entries(node.log)]
    return [leaf for leaf in leaves if leaf["kind"] == "batch-persons" and leaf["batch"] == got.entry]


def root(node: NodeProcess, salt: bytes, numbers: tuple[str, ...], answer: bulk.Answer) -> str:
    """What an auditor computes from the answer and the owner's key."""
    key = (node.log / "subject.key").read_bytes()
    texts = citizen_texts(pa.chunked_array([a_column(numbers)])).to_pylist()
    people = [(pseudonym(key, "citizen", text), int(byte)) for text, byte in zip(texts, answer.verdicts, strict=True)]
    return persons_root(salt, people).hex()


def test_what_was_spooled_and_never_logged_is_erased_at_the_next_start(node: NodeProcess) -> None:
    node.kill()
    spool = node.folder / "spool"
    Spool(spool).put("f" * 64, b"keys of a batch that was never answered")
    (spool / "half.new").write_bytes(b"cut off")
    node.start().ready()
    assert [path.name for path in spool.iterdir()] == ["spool.key"]


def test_whatever_was_answered_is_in_the_log_when_the_node_is_killed_under_load(
    node: NodeProcess, asker: Asker, place: Place
) -> None:
    chance, answered, lock = random.Random(seed()), [], threading.Lock()
    for _ in range(ROUNDS):
        stop = threading.Event()

        def ask(stop: threading.Event = stop) -> None:
            while not stop.is_set():
                request = asker.query(fields=["status"])
                try:
                    got = node.send(request, timeout=10)
                except (OSError, ValueError):
                    return
                with lock:
                    answered.append((request, got))

        enough = len(answered) + chance.randrange(30, 120)
        with ThreadPoolExecutor(6) as pool:
            for _ in range(6):
                pool.submit(ask)
            until(lambda enough=enough: len(answered) >= enough, "calls are answered")
            node.kill()
            stop.set()
        node.start().ready()
    check(node, asker, answered)
    keys = (asker.key, place.key(PROVIDER, "online"))
    found = verified(node.log, {key.id: key.public for key in keys})
    assert found.problems == ()


def check(node: NodeProcess, asker: Asker, answered: list[tuple[Request, Got]]) -> None:
    """Every answer that came back was believed, has its own entry, and is not taken a second time."""
    stored = entries(node.log)
    assert {got.status for _, got in answered} == {200}
    assert len({got.entry for _, got in answered}) == len(answered)
    for request, got in answered:
        assert isinstance(asker.judged(request, got), Answer)
        record = orjson.loads(stored[got.entry or 0].record or b"{}")
        assert record["request"] == request.prepared.signed.request_digest
    for request, _ in answered[-5:]:
        assert node.send(request).code == "exchange.replay"
