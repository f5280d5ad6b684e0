"""Why a call was refused: the step at which it ended, in order, and nothing of the person it was about."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tongban.cli import node_why
from tongban.cli.main import main
from tongban.exchange.refusals import STATUS
from tongban.kit.clock import MachineClock
from tongban.kit.keys import SigningKey
from tongban.tlog.log import Draft, Log

SECRET = ("KC-2014-77", "T-0417", "GGf6pL8JhikcLyJ5L6jDuQ")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A consumer's log: a call refused, one answered, one that nobody answered."""
    made = Log.create(
        tmp_path / "log", "11990100TB0000028B/transport", SigningKey("k.online.1", b"k" * 32), MachineClock()
    )
    request = {
        "at": "2026-11-24T08:00:00Z", "consumer": "C", "provider": "P", "node": "p", "resource": "a/b", "call": "query",
        "grant": "G", "case": SECRET[0], "operator": SECRET[1], "subjects": [SECRET[2]], "idempotency": "first-key",
    }  # fmt: skip
    answer = {"at": "2026-11-24T08:00:01Z", "status": 403, "code": "exchange.grant_expired", "request_entry": 0}
    entries = [
        Draft({"kind": "request", "n": 1}, request),
        Draft({"kind": "answer", "n": 1}, answer),
        Draft({"kind": "request", "n": 1}, {**request, "idempotency": "second-key"}),
        Draft({"kind": "answer", "n": 1}, {**answer, "status": 200, "code": "", "request_entry": 2}),
        Draft({"kind": "request", "n": 1}, {**request, "idempotency": "third-key"}),
    ]
    made.append_many(entries)
    made.close()
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any]:
    capsys.readouterr()
    status = main(["node", "why", *map(str, words), "--json"])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_refusal_on_the_wire_has_its_one_step() -> None:
    words = [f"exchange.{word}" for _, held in node_why.STEPS for word in held.split()]
    assert len(words) == len(set(words))
    assert set(words) == set(STATUS)


@pytest.mark.parametrize("call", ["0", "1", "first-key"])
def test_a_refused_call_is_found_by_either_of_its_entries_and_by_its_key(log, capsys, call) -> None:
    status, [found] = said(capsys, log, call)
    assert (status, found["code"], found["step"]) == (1, "exchange.grant_expired", "授权 grant")
    assert found["means"]
    assert found["remedy"]


def test_an_answered_call_was_not_refused(log, capsys) -> None:
    status, [found] = said(capsys, log, "second-key")
    assert (status, found["code"], found["step"]) == (0, "", None)


def test_a_call_that_was_never_answered_is_unknown_and_no_refusal_of_the_gate(log, capsys) -> None:
    _, [found] = said(capsys, log, "4")
    assert (found["code"], found["step"]) == ("exchange.no_answer", "送达 the answer's way back")


def test_a_receipt_leads_to_its_call(log, capsys) -> None:
    receipt = log / "receipt.json"
    receipt.write_text(json.dumps({"origin": "o", "entry": 7, "leaf": "0" * 64, "own_entry": 1}))
    assert said(capsys, log, receipt)[1][0]["code"] == "exchange.grant_expired"


def test_a_code_alone_is_explained_too(log, capsys) -> None:
    assert said(capsys, log, "exchange.clock_skew")[1][0]["step"] == "时效 freshness"


def test_nothing_of_the_person_is_told(log, capsys) -> None:
    for call in ("0", "1", "4"):
        main(["node", "why", str(log), call])
        told = capsys.readouterr().out
        assert [word for word in SECRET if word in told] == []
        assert "✗" in told


def test_the_steps_before_are_told_as_passed(log, capsys) -> None:
    main(["node", "why", str(log), "0"])
    lines = capsys.readouterr().out.splitlines()
    assert [line[0] for line in lines if line[:1] in "✓✗"] == ["✓"] * 7 + ["✗"]


def test_a_call_that_the_log_does_not_have_is_said_so(log, capsys) -> None:
    assert main(["node", "why", str(log), "no-such-key"]) == 2
    assert os.fspath(log) in capsys.readouterr().err
