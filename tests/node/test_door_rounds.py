"""The local door and rounds: who may open one, for which date, and what of it stands in the open."""

import os
import time
from typing import Any

import orjson
import pyarrow as pa
import pytest

from tests.node.asking import Got, a_column, numbers
from tests.node.place import AT, CONSUMER, Place
from tests.node.running import NodeProcess, entries, inside, leaf_of, record_of, records
from tests.node.running import opened as opened_again
from tests.node.test_door import HEADERS, asked, at_door, knock
from tests.world import APPLICANT, HUSBAND
from tongban.exchange import bulk
from tongban.tlog.tree import leaf_hash


def test_a_batch_goes_through_the_door(consumer: NodeProcess) -> None:
    column = a_column([APPLICANT, HUSBAND, *numbers(3)])
    body = bulk.write_keys(pa.table({"k": column, "since": pa.nulls(5, pa.int64())}))
    headers = {"tongban-round": "door", "tongban-part": "0", "tongban-domain": "citizen"}
    assert asked(consumer, "batch", body, "match", **headers).code == "node.round_not_opened"
    assert opened(consumer, "door").status == 200
    got = asked(consumer, "batch", body, "match", **headers)
    answer = bulk.read_answer(got.body, 5)
    assert isinstance(answer, bulk.Answer)
    assert [byte >> 6 for byte in answer.verdicts] == [1, 1, 2, 2, 2]
    assert records(consumer.log, "request")[-1]["rows"] == 5


def test_a_stage_of_a_round_stands_in_the_open(consumer: NodeProcess) -> None:
    stage = {"round": "2014-06", "stage": "opened", "digest": "0" * 64}
    told = knock(consumer, "/round", {**stage, "at": AT}, **HEADERS).said
    kept = entries(consumer.log)
    assert leaf_of(kept[told["entry"]])["body"] == stage
    act = kept[told["entry"] - 1]
    assert (leaf_of(act)["kind"], leaf_of(act)["n"]) == ("act", 0)
    said = {name: text for name, text in record_of(act).items() if name not in ("at", "system")}
    assert said == {**stage, "operator": "T-0417", "evaluated": AT}
    assert knock(consumer, "/round", {**stage, "stage": "guessed"}, **HEADERS).code == "node.bad_request"


def test_an_act_about_one_application_is_in_the_records_and_not_in_the_open(consumer: NodeProcess) -> None:
    act = {"round": "2014-06", "stage": "recheck-opened", "digest": "1" * 64}
    told = knock(consumer, "/round", act, **HEADERS).said
    kept = entries(consumer.log)[told["entry"]]
    assert set(leaf_of(kept)) == {"kind", "n", "record", "v"}
    assert (record_of(kept)["operator"], record_of(kept)["digest"]) == ("T-0417", "1" * 64)
    assert leaf_hash(kept.leaf).hex() == told["leaf"]


def test_a_round_has_one_evaluation_date(consumer: NodeProcess) -> None:
    assert opened(consumer, "one-date").status == 200
    assert opened(consumer, "one-date").status == 200
    size = len(entries(consumer.log))
    assert opened(consumer, "one-date", "2014-06-10").code == "node.second_date"
    assert opened(consumer, "one-date", "soon").code == "node.bad_request"
    assert asked_on(consumer, "one-date", "2014-06-10").code == "node.second_date"
    assert len(entries(consumer.log)) == size
    assert asked_on(consumer, "one-date", AT).status == 200


def test_a_question_opens_no_round_and_sets_no_date(consumer: NodeProcess) -> None:
    assert asked_on(consumer, "asked-first", "2014-06-10").code == "node.round_not_opened"
    assert opened(consumer, "asked-first").status == 200
    assert asked_on(consumer, "asked-first", AT).status == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"round": "张三"},
        {"round": "x" * 65},
        {"round": ""},
        {"round": 7},
        {"digest": "0" * 63},
        {"digest": "A" * 64},
        {"digest": {"a": 1}},
        {"at": None},
    ],
)
def test_nothing_but_a_name_and_a_digest_goes_into_a_stage(consumer: NodeProcess, wrong: dict[str, Any]) -> None:
    size = len(entries(consumer.log))
    stage = {"round": "formed", "stage": "opened", "digest": "0" * 64, "at": AT}
    assert knock(consumer, "/round", {**stage, **wrong}, **HEADERS).code == "node.bad_request"
    assert len(entries(consumer.log)) == size


def opened(node: NodeProcess, round: str, at: str = AT) -> Got:
    return knock(node, "/round", {"round": round, "stage": "opened", "digest": "0" * 64, "at": at}, **HEADERS)


def asked_on(node: NodeProcess, round: str, at: str) -> Got:
    body = bulk.write_keys(pa.table({"k": a_column([APPLICANT]), "since": pa.nulls(1, pa.int64())}))
    headers = {"tongban-round": round, "tongban-part": "0", "tongban-domain": "citizen", "tongban-at": at}
    return asked(node, "batch", body, "match", **headers)


def test_the_date_is_remembered_from_the_log(place: Place) -> None:
    stage = {"round": "kept", "stage": "opened", "digest": "0" * 64, "at": AT}
    who = (f"uid:{os.getuid()}", 0)
    with inside(place, "twin-dates", CONSUMER):
        pass
    for at, code in ((AT, ""), ("2014-06-10", "node.second_date"), (AT, "")):
        with opened_again(place.node("twin-dates"), time.time()) as found:
            got = at_door(found, "/round", who, orjson.dumps({**stage, "at": at}), **HEADERS)
            assert got.code == code


def test_what_the_log_holds_already_is_told_again_and_not_logged_again(place: Place) -> None:
    who = (f"uid:{os.getuid()}", 0)
    opening = {"round": "once", "stage": "opened", "digest": "0" * 64, "at": AT}
    recheck = {"round": "once", "stage": "recheck-opened", "digest": "1" * 64}
    with inside(place, "twin-once", CONSUMER):
        pass
    for said in (opening, recheck):
        told = []
        # As after a kill between the entry and whatever was to be kept of it.
        for _ in range(2):
            with opened_again(place.node("twin-once"), time.time()) as found:
                told += [at_door(found, "/round", who, orjson.dumps(said), **HEADERS).said for _ in range(2)]
        assert told == [told[0]] * 4
        assert told[0]["leaf"] == leaf_hash(entries(place.node("twin-once") / "log")[told[0]["entry"]].leaf).hex()
    kinds = [leaf_of(one)["kind"] for one in entries(place.node("twin-once") / "log")]
    assert kinds == ["act", "round", "act"]


def test_another_digest_of_a_stage_is_another_entry(place: Place) -> None:
    who, stage = (f"uid:{os.getuid()}", 0), {"round": "twice", "stage": "frozen"}
    with inside(place, "twin-twice", CONSUMER):
        pass
    with opened_again(place.node("twin-twice"), time.time()) as found:
        said = [orjson.dumps({**stage, "digest": digit * 64}) for digit in "01"]
        assert len({at_door(found, "/round", who, one, **HEADERS).said["entry"] for one in said}) == 2


def test_a_round_whose_opening_was_destroyed_gets_no_second_date(place: Place) -> None:
    stage, who = {"round": "gone", "stage": "opened", "digest": "0" * 64}, (f"uid:{os.getuid()}", 0)
    with inside(place, "twin-gone", CONSUMER):
        pass
    with opened_again(place.node("twin-gone"), time.time()) as found:
        told = at_door(found, "/round", who, orjson.dumps({**stage, "at": AT}), **HEADERS).said
        found.node.log.destroy([told["entry"] - 1], retention="acts", basis="a test")
    with opened_again(place.node("twin-gone"), time.time()) as found:
        for at in (AT, "2014-06-10"):
            assert at_door(found, "/round", who, orjson.dumps({**stage, "at": at}), **HEADERS).code == "node.round_over"
