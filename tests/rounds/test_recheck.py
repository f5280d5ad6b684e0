from datetime import date

import pytest

from tests.rounds.world import (
    DECISIONS,
    KEY,
    MET,
    NOT_MET,
    SOFTWARE,
    UNKNOWN,
    a_line,
    answer_all,
    asked,
    citizen,
    code,
    decided,
    freeze_it,
    kept,
    opened,
)
from tongban.calendar.workdays import shipped_calendar
from tongban.rounds import parquet, recheck, steps
from tongban.rounds.folder import Contradicted, OutOfOrder, Stage
from tongban.rounds.recheck import Found, Official
from tongban.rounds.round import read_round

LICENCE, IDENTITY = "licence@2014-01-01", "identity@2014-01-01"
LICENCE_NO = NOT_MET | 1
FIRST = Found(LICENCE_NO, "licence-1", "2014-06-08")
SECOND = Found(MET, "licence-2", "2014-06-12")
OFFICER = Official("P-2041", "public-security")
HELD = {("licence", int(citizen(1)[:17])): LICENCE_NO}


@pytest.fixture
def folder(tmp_path):
    return decided(tmp_path / "r", [a_line(1), a_line(2)], HELD)


def open_one(folder, **change):
    own = {
        "application": code(1), "rule": LICENCE, "said": "我的驾驶证是有效的", "first": FIRST, "official": OFFICER,
        "source": "public-security", "received_on": date(2014, 6, 10), "days": shipped_calendar(),
    }  # fmt: skip
    return kept(folder, recheck.prepare_opening(folder, read_round(folder), **(own | change)))


def answer_one(folder, id, **change):
    own = {"second": SECOND, "by": OFFICER, "explained": "已补录", "answered_on": date(2014, 6, 12)}
    return kept(folder, recheck.prepare_answer(folder, read_round(folder), id, **(own | change)))


def pool_of(folder):
    return parquet.read(folder.directory(Stage.FROZEN) / "codes.parquet")["application"].to_pylist()


def test_a_recheck_names_an_official_at_the_source_and_has_sixteen_working_days(folder):
    opened_one = open_one(folder)
    assert opened_one.official == OFFICER
    assert opened_one.due == date(2014, 7, 2)
    assert not opened_one.is_late(date(2014, 7, 2))
    assert opened_one.is_late(date(2014, 7, 3))


def test_both_answers_stand_side_by_side(folder):
    answered = answer_one(folder, open_one(folder).id)
    assert (answered.first, answered.second, answered.changed) == (FIRST, SECOND, True)
    assert not answered.is_late(date(2015, 1, 1))


def test_an_answer_before_the_freeze_counts_in_this_round(folder):
    answer_one(folder, open_one(folder).id)
    freeze_it(folder)
    assert sorted(pool_of(folder)) == [code(1), code(2)]


def test_the_first_findings_stay_as_they_were(folder):
    before = (folder.directory(Stage.DECIDED) / "decisions.parquet").read_bytes()
    answer_one(folder, open_one(folder).id)
    freeze_it(folder)
    assert (folder.directory(Stage.DECIDED) / "decisions.parquet").read_bytes() == before
    now = parquet.read(folder.directory(Stage.FROZEN) / "decisions.parquet")["status"].to_pylist()
    assert now == ["eligible", "eligible"]


def test_an_answer_after_the_freeze_is_owed_a_remedy_and_changes_no_pool(folder):
    waiting = open_one(folder)
    assert freeze_it(folder, leave_open=True) is True
    pool = pool_of(folder)
    answered = answer_one(folder, waiting.id)
    assert (answered.in_time, answered.remedy) == (False, "next_round")
    assert pool_of(folder) == pool == [code(2)]
    assert freeze_it(folder, leave_open=True) is False


def test_a_late_answer_that_changes_nothing_is_owed_nothing(folder):
    waiting = open_one(folder)
    freeze_it(folder, leave_open=True)
    assert answer_one(folder, waiting.id, second=FIRST).remedy == ""


def test_an_answer_of_before_the_freeze_repeated_after_it_is_still_that_of_before(folder):
    id = open_one(folder).id
    answer_one(folder, id)
    freeze_it(folder)
    assert answer_one(folder, id).in_time is True


def test_a_round_with_open_rechecks_is_not_frozen_by_oversight(folder):
    open_one(folder)
    refused = freeze_it(folder)
    assert refused.code == "rounds.rechecks_open"
    assert folder.stage is Stage.DECIDED


def test_a_recheck_can_be_opened_after_the_freeze_too(folder):
    freeze_it(folder)
    assert answer_one(folder, open_one(folder).id).remedy == "next_round"


@pytest.mark.parametrize(
    ("change", "code_"),
    [
        ({"said": "  "}, "rounds.recheck_reason"),
        ({"said": "x" * 2_001}, "rounds.recheck_reason"),
        ({"first": Found(MET, "s", "2014-06-08")}, "rounds.recheck_nothing"),
        ({"official": Official("H-1", "human-resources")}, "rounds.recheck_wrong_department"),
        ({"official": Official(" ", "public-security")}, "rounds.official_missing"),
    ],
)
def test_a_recheck_that_does_not_hold_is_not_opened(folder, change, code_):
    assert open_one(folder, **change).code == code_
    assert recheck.rechecks(folder) == []


@pytest.mark.parametrize(
    ("change", "code_"),
    [
        ({"by": Official("H-1", "human-resources")}, "rounds.recheck_wrong_department"),
        ({"by": Official("", "public-security")}, "rounds.official_missing"),
        ({"second": Found(3 << 6, "s", "2014-06-08")}, "rounds.recheck_answer"),
    ],
)
def test_an_answer_that_does_not_hold_is_not_kept(folder, change, code_):
    id = open_one(folder).id
    assert answer_one(folder, id, **change).code == code_
    assert recheck.read_recheck(folder, id).second is None


def test_another_official_of_the_same_department_may_answer_and_is_recorded(folder):
    colleague = Official("P-2042", "public-security")
    assert answer_one(folder, open_one(folder).id, by=colleague).answered_by == colleague


def test_there_is_one_recheck_of_one_rule(folder):
    assert open_one(folder).id == open_one(folder).id
    with pytest.raises(Contradicted):
        open_one(folder, said="another reason")


def test_an_answer_is_not_replaced_by_another(folder):
    id = open_one(folder).id
    answer_one(folder, id)
    with pytest.raises(Contradicted):
        answer_one(folder, id, second=FIRST)


def test_opened_again_on_a_later_day_the_first_day_stands(folder):
    first = open_one(folder)
    second = open_one(folder, received_on=date(2014, 6, 20))
    assert (second.received_on, second.due) == (first.received_on, first.due) == (date(2014, 6, 10), date(2014, 7, 2))
    assert (first.again, second.again) == (False, True)


def test_opened_again_after_it_was_answered_and_asked_on_it_is_still_the_same(folder):
    answer_one(folder, open_one(folder).id)
    again = open_one(folder, received_on=date(2014, 6, 20), first=SECOND)
    assert (again.first, again.second, again.again) == (FIRST, SECOND, True)


def test_answered_again_on_a_later_day_the_first_day_stands(folder):
    id = open_one(folder).id
    answer_one(folder, id)
    later = Found(SECOND.byte, SECOND.snapshot, "2014-06-20")
    again = answer_one(folder, id, second=later, answered_on=date(2014, 6, 20))
    assert (again.answered_on, again.second, again.again) == (date(2014, 6, 12), SECOND, True)


@pytest.mark.parametrize("change", [{"explained": "另有原因"}, {"by": Official("P-2042", "public-security")}])
def test_another_answer_on_a_later_day_is_not_taken_for_the_first(folder, change):
    id = open_one(folder).id
    answer_one(folder, id)
    with pytest.raises(Contradicted):
        answer_one(folder, id, answered_on=date(2014, 6, 20), **change)
    assert recheck.read_recheck(folder, id).explained == "已补录"


def test_a_recheck_that_was_never_opened_is_not_answered(folder):
    assert answer_one(folder, "0" * 16).code == "rounds.no_recheck"


def test_nothing_is_rechecked_before_there_are_findings(tmp_path):
    with pytest.raises(OutOfOrder):
        open_one(opened(tmp_path / "r", [a_line(1)]))


def test_what_an_applicant_says_is_for_its_owner_only(folder):
    id = open_one(folder).id
    assert (folder.path / "rechecks" / f"{id}.opened.json").stat().st_mode & 0o777 == 0o600


# --- An identity confirmed by a re-check --------------------------------------------------------


@pytest.fixture
def confirmed(tmp_path):
    """A decided round in which a re-check has confirmed the identity of the second applicant."""
    made = decided(tmp_path / "r", [a_line(1), a_line(2)], {("identity", int(citizen(2)[:17])): UNKNOWN | 48})
    first = Found(UNKNOWN | 48, "identity-1", "2014-06-08")
    answer_one(made, open_one(made, application=code(2), rule=IDENTITY, first=first).id)
    return made


def test_the_list_is_not_frozen_while_a_confirmed_applicant_has_not_been_asked_about(confirmed):
    assert freeze_it(confirmed).code == "rounds.rechecks_unasked"


def test_set_back_and_asked_further_the_confirmed_applicant_comes_into_the_pool(confirmed):
    confirmed.set_back(Stage.NEW, {"why": "a re-check confirmed an identity"})
    asking = answer_all(confirmed, {("identity", int(citizen(2)[:17])): UNKNOWN | 48})
    assert steps.verify(confirmed, asking) is True
    assert steps.decide(confirmed, asking, DECISIONS, KEY, SOFTWARE) is True
    assert freeze_it(confirmed) is True
    assert sorted(pool_of(confirmed)) == [code(1), code(2)]


def test_only_the_new_part_is_asked_then(confirmed):
    confirmed.set_back(Stage.NEW, {"why": "a re-check confirmed an identity"})
    from tongban.rounds.answers import answer_of

    asking, round = asked(confirmed), read_round(confirmed)
    first = asking.first_columns(lambda part: answer_of(confirmed, round, part))
    wanted = [part for parts in asking.further_parts(first).values() for part in parts]
    assert [part.name for part in wanted if answer_of(confirmed, round, part) is None] == ["late-citizen-0"]


def test_a_verified_round_stays_verified_when_a_recheck_comes_in(confirmed):
    assert steps.verify(confirmed, asked(confirmed)) is False
