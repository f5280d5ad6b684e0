import shutil
from datetime import date

import numpy as np
import pytest

from tests.rounds.world import AT, POLICY
from tongban.kit.config import FileInvalid
from tongban.rounds.policy import from_json, read_policy
from tongban.rounds.pool import NoStep, balls


@pytest.fixture
def own_policy(tmp_path):
    return shutil.copytree(POLICY, tmp_path / "policy")


def balls_of(failed, at=AT, pool="persons"):
    return int(balls(np.array([failed], np.int32), read_policy(POLICY, at).ladder, pool)[0])


@pytest.mark.parametrize(
    ("failed", "expected"), [(0, 1), (24, 1), (25, 2), (36, 2), (37, 3), (48, 3), (49, 4), (60, 4), (61, 5), (120, 9)]
)
def test_the_ladder_of_2014_gives_one_more_ball_at_25_and_at_each_further_twelve(failed, expected):
    assert balls_of(failed) == expected


@pytest.mark.parametrize(("failed", "expected"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (60, 31)])
def test_the_ladder_of_2021_gives_one_more_ball_at_each_second_failed_draw(failed, expected):
    assert balls_of(failed, at=date(2026, 10, 8)) == expected


def test_a_unit_has_one_ball_however_often_it_failed():
    assert balls_of(99, pool="units") == 1


def test_a_pool_without_a_ladder_is_not_drawn_by_guess():
    with pytest.raises(NoStep):
        balls_of(0, pool="families")


@pytest.mark.parametrize("day", [date(2011, 6, 8), AT, date(2016, 6, 8), date(2026, 10, 8)])
def test_persons_and_units_have_a_pool_under_every_version(day):
    assert read_policy(POLICY, day).pools == ("persons", "units")


@pytest.mark.parametrize("failed", [0, 24, 25, 99])
def test_before_2014_there_was_no_ladder(failed):
    assert balls_of(failed, at=date(2013, 12, 31)) == 1


@pytest.mark.parametrize(
    ("day", "documents"),
    [
        (date(2015, 9, 30), {"组织机构代码"}),
        (date(2015, 10, 1), {"组织机构代码", "统一社会信用代码"}),
        (date(2017, 12, 31), {"组织机构代码", "统一社会信用代码"}),
        (date(2018, 1, 1), {"统一社会信用代码"}),
    ],
)
def test_a_unit_s_documents_are_each_accepted_in_their_own_time(day, documents):
    of_units = {(kind.document_type, kind.domain) for kind in read_policy(POLICY, day).kinds if kind.pool == "units"}
    assert of_units == {(document, "organisation_code") for document in documents}


@pytest.mark.parametrize("scale", ["demonstration-small", "demonstration-city", "demonstration-metropolis"])
@pytest.mark.parametrize("at", [date(2011, 6, 8), AT, date(2016, 6, 8), date(2026, 10, 8)])
def test_each_demonstration_has_quotas_in_every_round(scale, at):
    quotas = read_policy(POLICY, at, scale).quotas
    assert min(quotas["persons"], quotas["units"]) > 0


def test_a_scale_that_nobody_wrote_has_no_quota():
    assert read_policy(POLICY, AT, "moon").quotas == {}


def test_the_departments_limits_are_eight_and_sixteen_working_days():
    limits = read_policy(POLICY, AT).limits
    assert (limits["answer_working_days"], limits["recheck_working_days"]) == (8, 16)


def test_military_applicants_have_no_pool_and_are_set_aside():
    policy = read_policy(POLICY, AT)
    assert policy.set_aside() == {"military"}
    assert "military" not in policy.pool_of()


def test_a_policy_survives_the_way_through_json():
    policy = read_policy(POLICY, AT)
    assert from_json(policy.to_json()) == policy


def test_another_ladder_is_another_policy(own_policy):
    before = read_policy(own_policy, AT).digest()
    path = own_policy / "ladder.csv"
    path.write_text(path.read_text().replace("persons,25,2,12", "persons,24,2,12"))
    assert read_policy(own_policy, AT).digest() != before


def test_a_number_is_in_force_on_its_first_and_on_its_last_day(own_policy):
    path = own_policy / "limits.csv"
    path.write_text(
        path.read_text().replace("answer_working_days,8,2011-01-01,", "answer_working_days,8,2014-06-08,2014-06-08")
    )
    assert "answer_working_days" in read_policy(own_policy, AT).limits
    for day in (date(2014, 6, 7), date(2014, 6, 9)):
        assert "answer_working_days" not in read_policy(own_policy, day).limits


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("persons,19067,2014-01-01", "persons,many,2014-01-01", "quota is not a whole number"),
        ("persons,19067,2014-01-01", "persons,19067,1.1.2014", "valid_from is not a date"),
        ("persons,19067,2014-01-01", "persons,19067,2019-01-01", "valid_until lies before valid_from"),
        ("persons,19067,2014-01-01", "units,19067,2014-01-01", "a second row in force"),
        ("persons,19067,2014-01-01", "persons,,19067,2014-01-01", "7 cells, not 6"),
        ("scale,pool,quota", "pool,scale,quota", "columns are not"),
    ],
)
def test_a_mistake_in_the_quotas_is_shown_with_its_line(own_policy, old, new, what):
    path = own_policy / "quota.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(FileInvalid, match=what) as caught:
        read_policy(own_policy, AT)
    assert int(str(caught.value.facts["line"])) in (1, 4, 5)


def test_a_number_without_a_source_is_refused(own_policy):
    path = own_policy / "limits.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "answer_working_days,8,2011-01-01,,", *lines[2:]]) + "\n")
    with pytest.raises(FileInvalid, match="source must not be empty"):
        read_policy(own_policy, AT)
