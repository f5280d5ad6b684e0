"""Families in the round of 2026: a list with members, the lottery's own rules, and verdicts as a story needs them."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.rounds.world import a_line, a_raw_list, citizen, code
from tongban.rounds import results
from tongban.rounds.applications import Applications, normalised
from tongban.rounds.families import RAW_MEMBERS, line_code
from tongban.rounds.policy import Policy, read_policy
from tongban.rounds.questions import Question, question_of
from tongban.rounds.verdicts import NOT_APPLICABLE, Asking
from tongban.rules.verdict import Verdict, pack
from tongban.solution.package import load

FOLDER = Path(__file__).parents[2] / "solutions" / "car_lottery"
AT = date(2026, 10, 8)
POLICY: Policy = read_policy(FOLDER / "policy", AT, "demonstration-hamlet")
SOLUTION = load(FOLDER, AT)
MET = int(pack(Verdict.MET, 0))


def the_questions() -> tuple[Question, ...]:
    first = {name for names in SOLUTION.first.values() for name in names}
    order = dict.fromkeys(name for one in SOLUTION.decisions.values() for name in one.whole.rules())
    return tuple(
        question_of(
            SOLUTION.compile(name),
            SOLUTION.applies(name),
            department=SOLUTION.resources[SOLUTION.rules[name].resource].department or "",
            first=name in first,
            at=AT,
        )
        for name in order
    )


QUESTIONS = the_questions()


def head(number: int, **change: Any) -> dict[str, Any]:
    """The row of a family's main applicant, who is person `number`."""
    return a_line(number, **({"family": "家庭"} | change))


def member(of: int, number: int, role: str, person: int, **change: Any) -> dict[str, Any]:
    """Person `person` in the family of application `of`."""
    row = {
        "application": code(of), "member": number, "role": role, "kind": "resident", "name": f"张{person}",
        "document_type": "身份证", "document_number": citizen(person), "spouse": None, "of_member": None,
        "failed_draws": 0, "failed_draws_to_2020": 0,
    }  # fmt: skip
    return row | change


def raw_members(members: Sequence[Mapping[str, Any]]) -> Any:
    kinds = RAW_MEMBERS | {"failed_draws_to_2020": pa.int32()}
    return pa.Table.from_pylist([dict(one) for one in members], pa.schema(list(kinds.items())))


def a_list(lines: Sequence[Mapping[str, Any]], members: Sequence[Mapping[str, Any]] = ()) -> Applications:
    raw = a_raw_list([{name: line[name] for name in a_line(1)} for line in lines])
    raw = raw.append_column("family", pa.array([line.get("family") for line in lines], pa.string()))
    early = [line.get("failed_draws_to_2020") for line in lines]
    raw = raw.append_column("failed_draws_to_2020", pa.array(early, pa.int32()))
    return normalised(raw, POLICY, "applications.parquet", raw_members(members))


def asked_of(listed: Applications, line: str) -> dict[str, list[str]]:
    """What a line is asked first, and then."""
    row = listed.row_of(line)
    concerned = Asking(QUESTIONS, listed).concerned
    own = [question for question in QUESTIONS if concerned[question.rule][row] == 1]
    return {
        "first": [question.name for question in own if question.first],
        "then": [question.name for question in own if not question.first],
    }


def verdicts(listed: Applications, held: Mapping[tuple[str, str], int] | None = None) -> dict[str, Any]:
    """Everything that is asked is met, but for what is `held`, by line and rule."""
    concerned = Asking(QUESTIONS, listed).concerned
    columns = {rule: np.where(flags == 1, np.uint8(MET), np.uint8(NOT_APPLICABLE)) for rule, flags in concerned.items()}
    for (line, name), byte in (held or {}).items():
        rule = next(question.rule for question in QUESTIONS if question.name == name)
        assert columns[rule][listed.row_of(line)] != NOT_APPLICABLE, f"{line} is not asked {name}"
        columns[rule][listed.row_of(line)] = byte
    return columns


def found(listed: Applications, held: Mapping[tuple[str, str], int] | None = None) -> dict[str, tuple[str, Any, Any]]:
    """Status, reason and role by application."""
    columns = verdicts(listed, held)
    findings = results.decide(QUESTIONS, SOLUTION.decisions, listed, columns, POLICY)
    table = results.result_table(QUESTIONS, listed, findings).to_pylist()
    return {row["application"]: (row["status"], row["reason"], row["role"]) for row in table}


def said(name: str, verdict: Verdict, reason: str) -> int:
    """A verdict of the rule `name` with a reason."""
    question = next(one for one in QUESTIONS if one.name == name)
    number = next(n for n in range(1, 64) if (one := question.reason(n)) and one.code == reason)
    return int(pack(verdict, number))


def line(of: int, number: int) -> str:
    return line_code(code(of), number)
