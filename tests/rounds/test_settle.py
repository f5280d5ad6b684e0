"""What no rule can decide, an official decides: once, with a reason, and before the freeze for this round."""

from datetime import date

import pytest

from tests.rounds.test_recheck import pool_of
from tests.rounds.world import NOT_MET, UNKNOWN, a_line, again, asked, citizen, code, decided, freeze_it, opened
from tongban.rounds import parquet, settle
from tongban.rounds.folder import Contradicted, OutOfOrder, Stage
from tongban.rounds.recheck import Official
from tongban.rounds.round import read_round
from tongban.rules.decision import Outcome

CLERK = Official("T-0003", "transport")
#: Two name themselves under one number; one's kind has no rule; one's licence is unknown; one has none.
LINES = [
    a_line(1),
    again(2, 1, name="王五"),
    a_line(3, kind="guest"),
    a_line(4),
    a_line(5),
    a_line(6),
]
HELD = {("licence", int(citizen(4)[:17])): UNKNOWN | 48, ("licence", int(citizen(5)[:17])): NOT_MET | 1}


@pytest.fixture
def folder(tmp_path):
    return decided(tmp_path / "r", LINES, HELD)


def prepared(folder, **change):
    own = {
        "application": code(1), "outcome": Outcome.ELIGIBLE, "official": CLERK, "because": "经核对原件，本人申请",
        "decided_on": date(2014, 6, 12), "vouched_by": "T-0001",
    }  # fmt: skip
    return settle.prepare_settlement(folder, read_round(folder), asked(folder).applications, **(own | change))


def settled(folder, **change):
    found = prepared(folder, **change)
    return settle.keep(folder, found) if isinstance(found, settle.Act) else found


def frozen_rows(folder):
    found = parquet.read(folder.directory(Stage.FROZEN) / "decisions.parquet").to_pylist()
    return {row["application"]: (row["status"], row["rule"], row["reason"]) for row in found}


def test_whoever_is_found_to_be_the_true_applicant_comes_into_the_pool_and_the_other_does_not(folder):
    settled(folder)
    settled(folder, application=code(2), outcome=Outcome.NOT_ELIGIBLE, because="并非本人")
    assert freeze_it(folder) is True
    assert sorted(pool_of(folder)) == [code(1), code(6)]
    rows = frozen_rows(folder)
    assert rows[code(1)] == ("eligible", None, None)
    assert rows[code(2)] == ("not_eligible", None, "decided_by_person")


def test_whoever_nobody_has_decided_about_still_needs_a_person(folder):
    settled(folder)
    freeze_it(folder)
    assert frozen_rows(folder)[code(2)] == ("needs_person", None, "conflicting_applications")
    assert frozen_rows(folder)[code(3)] == ("needs_person", None, "no_applicable_rule")


def test_the_first_finding_stays_as_it_was(folder):
    before = (folder.directory(Stage.DECIDED) / "decisions.parquet").read_bytes()
    settled(folder)
    freeze_it(folder)
    assert (folder.directory(Stage.DECIDED) / "decisions.parquet").read_bytes() == before


def test_a_decision_says_who_decided_why_and_who_recorded_it(folder):
    found = settled(folder)
    assert (found.official, found.because, found.found) == (CLERK, "经核对原件，本人申请", "conflicting_applications")
    assert (found.recorded_by, found.decided_on, found.in_time) == ("T-0001", date(2014, 6, 12), True)
    assert (folder.path / "settled" / f"{found.id}.json").stat().st_mode & 0o777 == 0o600


def test_nothing_is_kept_before_the_log_has_heard_of_it(folder):
    act = prepared(folder)
    assert (act.stage, settle.settlements(folder)) == ("settled", [])
    kept = settle.keep(folder, act, {"origin": "transport", "entry": 7, "leaf": "0" * 64})
    assert [kept] == settle.settlements(folder)


def test_decided_again_on_a_later_day_the_first_day_stands(folder):
    settled(folder)
    again_ = settled(folder, decided_on=date(2014, 6, 20))
    assert (again_.decided_on, again_.again) == (date(2014, 6, 12), True)


@pytest.mark.parametrize("change", [{"outcome": Outcome.NOT_ELIGIBLE}, {"because": "另有原因"}])
def test_a_decision_is_not_replaced_by_another(folder, change):
    settled(folder)
    with pytest.raises(Contradicted):
        settled(folder, **change)
    assert [one.outcome for one in settle.settlements(folder)] == [Outcome.ELIGIBLE]


@pytest.mark.parametrize(
    ("change", "code_"),
    [
        ({"because": " "}, "rounds.settle_reason"),
        ({"because": "x" * 2_001}, "rounds.settle_reason"),
        ({"official": Official(" ", "transport")}, "rounds.official_missing"),
        ({"application": code(9)}, "rounds.no_application"),
        ({"application": code(6)}, "rounds.settle_nothing"),
        ({"application": code(5)}, "rounds.settle_nothing"),  # a rule that is not met is disputed, not settled
        ({"application": code(4)}, "rounds.settle_by_recheck"),
        ({"application": code(3)}, "rounds.settle_no_pool"),
    ],
)
def test_a_decision_that_does_not_hold_is_not_kept(folder, change, code_):
    assert settled(folder, **change).code == code_
    assert settle.settlements(folder) == []


def test_one_number_comes_into_the_pool_once(folder):
    settled(folder)
    assert settled(folder, application=code(2)).code == "rounds.settle_double"
    assert [one.application for one in settle.settlements(folder)] == [code(1)]


def test_a_kind_without_a_rule_can_be_decided_against(folder):
    settled(folder, application=code(3), outcome=Outcome.NOT_ELIGIBLE, because="不属于规定的申请类别")
    freeze_it(folder)
    assert frozen_rows(folder)[code(3)] == ("not_eligible", None, "decided_by_person")


def test_a_decision_after_the_freeze_is_owed_a_remedy_and_changes_no_pool(folder):
    freeze_it(folder)
    pool = pool_of(folder)
    found = settled(folder)
    assert (found.in_time, found.remedy) == (False, "next_round")
    assert freeze_it(folder) is False
    assert pool_of(folder) == pool


def test_a_decision_after_the_freeze_against_the_application_is_owed_nothing(folder):
    freeze_it(folder)
    assert settled(folder, outcome=Outcome.NOT_ELIGIBLE).remedy == ""


def test_nothing_is_decided_before_there_are_findings(tmp_path):
    with pytest.raises(OutOfOrder):
        settled(opened(tmp_path / "r", [a_line(1)]))
