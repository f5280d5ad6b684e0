"""Retention: what is over time is destroyed with its salts by two officers, and what is left is proved as before."""

import base64
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.node.place import Place
from tests.node.running import entries, leaf_of, record_of, spare
from tests.world import APPLICANT, HUSBAND
from tongban.cli.main import main
from tongban.kit.clock import MachineClock, stamp
from tongban.kit.config import FileInvalid
from tongban.node.config import NodeConfig
from tongban.node.config import read as read_config
from tongban.node.program import online_key, origin_of
from tongban.tlog import person_table, retention
from tongban.tlog.log import Draft, Log
from tongban.tlog.pseudonym import spelt, unspelt
from tongban.tlog.retention import Term, read_terms, term_of
from tongban.tlog.storage import Storage
from tongban.tlog.verify import verify

YEAR = 365 * 86_400
OFFICERS = ["--officer", "T-0001", "--officer", "T-0002"]


@pytest.fixture
def node(place: Place, tmp_path: Path) -> NodeConfig:
    """A stopped node whose log has an old and a young call about each of two persons, and an old batch."""
    folder = spare(place, f"spare-{tmp_path.name}", start=False).folder
    config = read_config(folder)
    log = opened(config)
    now = MachineClock().seconds()
    for years in (4, 1):
        for number in (APPLICANT, HUSBAND):
            log.append_many([Draft({"kind": "call", "n": 1}, record(log, number, now - years * YEAR), b"an answer")])
    batch = {"at": stamp(now - 4 * YEAR), "call": "match", "keys": "0" * 64, "persons_salt": salt().decode()}
    log.append_many([Draft({"kind": "batch", "n": 1}, batch)])
    person_table.write(log.directory, 4, unspelt(log.subject_key, "citizen", APPLICANT), b"@")
    log.close()
    return config


def salt() -> bytes:
    return base64.b64encode(bytes(32))


def record(log: Log, number: str, at: float) -> dict[str, Any]:
    person = spelt(unspelt(log.subject_key, "citizen", number))
    about = {"consumer": "somebody", "provider": "us", "operator": "T-0417", "purpose": f"purpose of {int(at)}"}
    return {"at": stamp(at), "subjects": [person], "call": "query", "status": 200, **about}


def opened(config: NodeConfig) -> Log:
    return Log.open(config.folder / "log", origin_of(config), online_key(config, None), MachineClock())


def destroyed(config: NodeConfig, of: str, *words: str) -> int:
    return main(["log", "destroy", str(config.folder), "--class", of, *words])


def whole(config: NodeConfig) -> dict[str, bytes]:
    folder = config.folder / "log"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_no_byte_of_record_salt_or_answer_stays_and_the_log_still_verifies(node: NodeConfig) -> None:
    before = entries(node.folder / "log")
    assert destroyed(node, "call", "--now", *OFFICERS) == 0
    held = b"".join(whole(node).values())
    for one in before[:2]:
        assert not any(part in held for part in (one.salt, one.record, one.sealed[12:44]) if part)
        assert one.leaf in held
    for one in before[2:4]:
        assert one.record is not None
        assert one.record in held
    report = verify(node.folder / "log", {}, workers=1)
    assert (report.problems, report.destroyed) == ((), 2)


def test_the_log_says_who_destroyed_what_and_why(node: NodeConfig) -> None:
    assert destroyed(node, "call", "--now", *OFFICERS) == 0
    first, second, said = entries(node.folder / "log")[5:]
    assert [record_of(one)["operator"] for one in (first, second)] == ["T-0001", "T-0002"]
    assert {record_of(one)["stage"] for one in (first, second)} == {"destruction"}
    body = leaf_of(said)["body"]
    assert (body["from"], body["until"], body["count"], body["class"]) == (0, 2, 2, "call")
    assert body["basis"] == "《中华人民共和国个人信息保护法》第五十六条（3年）"
    # Officers are persons too: nothing of them is in the open.
    assert not any(b"T-000" in one.leaf for one in entries(node.folder / "log"))


def test_the_persons_of_a_batch_go_with_its_record_and_only_then(node: NodeConfig) -> None:
    table = person_table.place(node.folder / "log", 4)
    assert destroyed(node, "call", "--now", *OFFICERS) == 0
    assert table.exists()
    assert destroyed(node, "batch", "--now", *OFFICERS) == 0
    assert not table.exists()


def test_without_now_nothing_changes(node: NodeConfig, capsys: pytest.CaptureFixture[str]) -> None:
    before = whole(node)
    capsys.readouterr()
    assert destroyed(node, "call", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["count"], told["destroyed"], [one["entry"] for one in told["records"]]) == (2, False, [0, 1])
    assert whole(node) == before


@pytest.mark.parametrize("officers", [[], OFFICERS[:2], OFFICERS[:2] * 2, [*OFFICERS, "--officer", "T-0003"]])
def test_one_officer_alone_destroys_nothing(node: NodeConfig, officers: list[str]) -> None:
    before = whole(node)
    assert destroyed(node, "call", "--now", *officers) == 2
    assert whole(node) == before


def test_a_log_in_use_is_left_alone(node: NodeConfig) -> None:
    log = opened(node)
    try:
        size = log.tree.size
        assert destroyed(node, "call", "--now", *OFFICERS) == 3
        assert log.tree.size == size
        assert log.entry(0).record is not None
    finally:
        log.close()


def test_what_a_crash_interrupts_the_same_command_finishes(node: NodeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(self: Any, number: int, draft: Path, stops: Any) -> None:
        raise OSError(5, "gone")

    with monkeypatch.context() as patched:
        patched.setattr(Storage, "replace", torn)
        assert destroyed(node, "call", "--now", *OFFICERS) == 3
    assert verify(node.folder / "log", {}, workers=1).problems == ()
    assert destroyed(node, "call", "--now", *OFFICERS) == 0
    report = verify(node.folder / "log", {}, workers=1)
    assert (report.problems, report.destroyed) == ((), 2)
    assert not [*(node.folder / "log" / "entries").glob("*.tmp")]


def test_a_person_is_told_that_records_were_destroyed_and_under_what(
    node: NodeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "number").write_text(APPLICANT)
    words = ["log", "person", str(node.folder), "--domain", "citizen", "--key-file", str(tmp_path / "number")]
    assert main(words) == 0
    before = capsys.readouterr().out
    assert destroyed(node, "call", "--now", *OFFICERS) == 0
    capsys.readouterr()
    assert main(words) == 0
    after = capsys.readouterr().out
    assert "destroyed under" not in before
    assert "已销毁 · destroyed under 《中华人民共和国个人信息保护法》第五十六条（3年）: 2 records" in after
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["entry"] for one in told["looks"]] == [2]


@pytest.mark.parametrize(("years", "kept"), [(10, [True] * 4), (1, [False, False, True, True])])
def test_a_department_may_keep_longer_than_the_law_and_never_shorter(
    node: NodeConfig, tmp_path: Path, years: int, kept: list[bool]
) -> None:
    own = tmp_path / "terms.csv"
    own.write_text(",".join(retention.COLUMNS) + f"\ncall,{years},2000-01-01,,《示例市档案保管期限表》\n")
    assert destroyed(node, "call", "--now", *OFFICERS, "--terms", str(own)) == 0
    assert [one.record is not None for one in entries(node.folder / "log")[:4]] == kept


MADE, TODAY = date(2020, 2, 29), date(2024, 1, 1)


@pytest.mark.parametrize(
    ("terms", "years"),
    [
        ([], None),
        ([Term("act", 3, date(2000, 1, 1), None, "s")], None),
        ([Term("call", 3, date(2025, 1, 1), None, "s")], None),
        ([Term("call", 3, date(2000, 1, 1), date(2020, 2, 29), "s")], None),
        ([Term("call", 3, date(2021, 11, 1), None, "s")], 3),
        ([Term("call", 5, date(2000, 1, 1), date(2020, 3, 1), "s"), Term("call", 3, date(2020, 3, 1), None, "s")], 5),
        ([Term("call", 3, date(2000, 1, 1), date(2022, 1, 1), "s"), Term("call", 5, date(2022, 1, 1), None, "s")], 5),
    ],
)
def test_the_longest_term_since_the_record_was_made_counts(terms: list[Term], years: int | None) -> None:
    found = term_of(terms, "call", MADE, TODAY)
    assert (found.years if found else None) == years


@pytest.mark.parametrize(
    ("today", "over"), [(date(2023, 2, 28), False), (date(2023, 3, 1), True), (date(2023, 3, 2), True)]
)
def test_a_record_is_over_time_on_the_day_and_not_before(today: date, over: bool) -> None:
    assert Term("call", 3, date(2000, 1, 1), None, "s").over(MADE, today) is over


@pytest.mark.parametrize(
    "row",
    ["call,0,2021-11-01,,s", "call,x,2021-11-01,,s", "call,3,soon,,s", "call,3,2021-11-01,,", "other,3,2021-11-01,,s",
     "call,3,2021-11-01", "call,-3,2021-11-01,,s"],
)  # fmt: skip
def test_terms_that_do_not_hold_are_refused(tmp_path: Path, row: str) -> None:
    file = tmp_path / "terms.csv"
    file.write_text(",".join(retention.COLUMNS) + f"\n{row}\n")
    with pytest.raises(FileInvalid):
        read_terms(file)


def test_the_shipped_terms_have_a_source_and_three_years() -> None:
    assert {one.of for one in read_terms()} == set(retention.CLASSES)
    assert all(one.years >= 3 and one.source for one in read_terms())
