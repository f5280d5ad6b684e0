import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rounds.world import (
    DECISIONS,
    KEY,
    MET,
    NOT_MET,
    QUESTIONS,
    SOFTWARE,
    UNKNOWN,
    a_line,
    a_list,
    a_unit,
    again,
    answer_all,
    asked,
    citizen,
    decided,
    opened,
)
from tongban.kit.statement import from_json
from tongban.rounds import results, steps
from tongban.rounds.folder import Stage, file_digest
from tongban.rounds.results import DecisionUnknown, result_table
from tongban.rounds.verdicts import NOT_APPLICABLE, NOT_ASKED
from tongban.rules.decision import Decision, Group
from tongban.rules.verdict import COMMON

LICENCE_NO = NOT_MET | 1
NO_ANSWER = UNKNOWN | COMMON["no_answer"].number


def table_of(lines, verdicts, decisions=DECISIONS):
    """The result table for verdict bytes given by rule name; the rest does not apply."""
    listed = a_list(lines)
    columns = {
        question.rule: np.array(verdicts.get(question.name, [NOT_APPLICABLE] * len(listed)), np.uint8)
        for question in QUESTIONS
    }
    findings = results.decide(QUESTIONS, decisions, listed, columns)
    return result_table(QUESTIONS, listed, findings)


def found(lines, verdicts, **more):
    keep = ("status", "rule", "reason")
    return [tuple(row[name] for name in keep) for row in table_of(lines, verdicts, **more).to_pylist()]


def test_who_meets_every_rule_is_eligible():
    assert found([a_line(1)], {"identity": [MET], "licence": [MET]}) == [("eligible", None, None)]


def test_one_rule_not_met_is_not_eligible_with_its_reason():
    verdicts = {"identity": [MET], "licence": [LICENCE_NO]}
    assert found([a_line(1)], verdicts) == [("not_eligible", "licence", "licence_no")]


def test_an_unknown_goes_to_a_person_and_never_refuses():
    verdicts = {"identity": [MET], "licence": [NO_ANSWER]}
    assert found([a_line(1)], verdicts) == [("needs_person", "licence", "no_answer")]


def test_a_no_weighs_more_than_an_unknown_before_it():
    verdicts = {"identity": [MET], "insurance": [NO_ANSWER], "licence": [LICENCE_NO]}
    lines = [a_line(1, kind="residence_permit")]
    assert found(lines, verdicts) == [("not_eligible", "licence", "licence_no")]


def test_the_first_reason_is_that_of_the_decisions_order_not_of_the_questions():
    verdicts = {"identity": [MET], "insurance": [LICENCE_NO], "licence": [LICENCE_NO]}
    lines = [a_line(1, kind="residence_permit")]
    assert found(lines, verdicts) == [("not_eligible", "insurance", "insurance_no")]


def test_an_unconfirmed_identity_is_the_reason_and_not_that_the_rest_was_not_asked():
    verdicts = {"identity": [NO_ANSWER], "licence": [NOT_ASKED]}
    assert found([a_line(1)], verdicts) == [("needs_person", "identity", "no_answer")]


@pytest.mark.parametrize("kind", ["", "resident2"])
def test_a_kind_without_rules_goes_to_a_person(kind):
    assert found([a_line(1, kind=kind)], {}) == [("needs_person", None, "no_applicable_rule")]


def test_a_decision_over_nothing_but_rules_that_do_not_apply_grants_nothing():
    assert found([a_line(1)], {}) == [("needs_person", None, "no_applicable_rule")]


def test_a_double_is_one_whatever_the_registers_say():
    lines = [a_line(1), again(2, 1), again(3, 1, kind="work_permit")]
    verdicts = {"identity": [MET] * 3, "licence": [MET] * 3}
    double = ("not_eligible", None, "duplicate_application")
    assert found(lines, verdicts) == [("eligible", None, None), double, double]


def test_a_conflict_goes_to_a_person_whatever_the_registers_say():
    lines = [a_line(1), again(2, 1, name="王五")]
    verdicts = {"identity": [MET, LICENCE_NO], "licence": [MET] * 2}
    assert found(lines, verdicts) == [("needs_person", None, "conflicting_applications")] * 2


def test_a_decision_about_a_rule_that_is_not_asked_is_a_mistake():
    strange = {"resident": Decision("resident", Group("all", ("identity", "horoscope")))}
    with pytest.raises(DecisionUnknown, match="horoscope"):
        found([a_line(1)], {"identity": [MET]}, decisions=strange)


_BYTE = st.sampled_from([MET, LICENCE_NO, NO_ANSWER, NOT_APPLICABLE])
_CODES = {LICENCE_NO: "{}_no", NO_ANSWER: "no_answer"}


def slow(identity, insurance, licence, double):
    """The five steps of the decision, one after another, for a holder of a residence permit."""
    verdicts = {"identity": identity, "insurance": insurance, "licence": licence}
    if double:
        return "not_eligible", None, "duplicate_application"
    for byte, status in ((LICENCE_NO, "not_eligible"), (NO_ANSWER, "needs_person")):
        for rule, own in verdicts.items():
            if own == byte:
                return status, rule, _CODES[byte].format(rule)
    if set(verdicts.values()) == {NOT_APPLICABLE}:
        return "needs_person", None, "no_applicable_rule"
    return "eligible", None, None


@given(st.lists(st.tuples(_BYTE, _BYTE, _BYTE, st.booleans()), max_size=12))
@settings(max_examples=60)
def test_findings_are_those_of_a_slow_reading(people):
    lines = []
    for number, (*_, double) in enumerate(people):
        make = partial(again, number + 1, 900) if double else partial(a_line, number + 1)
        lines.append(make(kind="residence_permit"))
    first = again(0, 900, submitted_on="2014-01-01")
    names = ("identity", "insurance", "licence")
    verdicts = {name: [MET, *(person[at] for person in people)] for at, name in enumerate(names)}
    assert found([first, *lines], verdicts)[1:] == [slow(*person) for person in people]


def test_each_rule_has_its_verdict_and_its_reason_in_words():
    (row,) = table_of([a_line(1)], {"identity": [MET], "licence": [LICENCE_NO]}).to_pylist()
    assert (row["identity"], row["identity_reason"]) == ("met", None)
    assert (row["licence"], row["licence_reason"]) == ("not_met", "licence_no")
    assert (row["business"], row["business_reason"]) == ("not_applicable", None)


# --- The file -----------------------------------------------------------------------------------


def result_bytes(folder):
    return (folder.directory(Stage.DECIDED) / "decisions.parquet").read_bytes()


def test_the_same_verdicts_give_the_same_bytes_wherever_and_whenever(tmp_path):
    lines = [a_line(n) for n in range(20)] + [a_unit(30)]
    one = decided(tmp_path / "one", lines)
    other = opened(tmp_path / "other", lines[::-1], id="2014-4", received_on=one_day_later())
    asking = answer_all(other)
    steps.verify(other, asking)
    steps.decide(other, asking, DECISIONS, KEY, {"tongban": "9.9"})
    assert result_bytes(one) == result_bytes(other)


def one_day_later():
    from datetime import timedelta

    from tests.rounds.world import RECEIVED

    return RECEIVED + timedelta(days=1)


def test_one_other_verdict_gives_other_bytes(tmp_path):
    lines = [a_line(n) for n in range(20)]
    one = decided(tmp_path / "one", lines)
    other = decided(tmp_path / "other", lines, {("licence", int(citizen(7)[:17])): LICENCE_NO})
    assert result_bytes(one) != result_bytes(other)


def test_the_manifest_stands_for_exactly_this_file_and_is_signed(tmp_path):
    folder = decided(tmp_path / "r", [a_line(1), a_unit(2)], {("licence", int(citizen(1)[:17])): LICENCE_NO})
    place = folder.directory(Stage.DECIDED)
    manifest = from_json(json.loads((place / "manifest.json").read_bytes()))
    assert manifest.signed_by([KEY.public]) == {KEY.id}
    assert manifest.body["results"] == file_digest(place / "decisions.parquet")
    assert manifest.body["counts"] == {"not_eligible": 1, "eligible": 1, "needs_person": 0}
    assert manifest.body["rules"] == {question.rule: question.digest for question in QUESTIONS}
    assert manifest.body["snapshots"]["licence@2014-01-01"] == [{"id": "licence-1", "date": "2014-06-08"}]
    assert manifest.body["software"] == SOFTWARE


def test_results_of_nobody_are_results(tmp_path):
    folder = decided(tmp_path / "r", [])
    assert len(asked(folder).applications) == 0
    assert folder.stage is Stage.DECIDED
