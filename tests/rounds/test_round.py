from datetime import date

import pytest

from tests.rounds.world import AT, a_line, a_round, opened, the_policy
from tongban.rounds.folder import Contradicted, Stage
from tongban.rounds.round import NotARound, SecondDate, log_body, read_round, read_secret, round_from_json, salted


def test_departments_have_eight_working_days_and_a_recheck_has_sixteen():
    round = a_round()
    assert (round.answer_due, round.recheck_due) == (date(2014, 6, 19), date(2014, 7, 1))
    assert not round.provisional


def test_a_due_date_in_a_year_that_is_not_announced_is_provisional():
    assert a_round(received_on=date(2026, 12, 24)).provisional


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"id": "2014/3"}, "id"),
        ({"parties": {"transport": "指标办"}}, "two seed parties"),
        ({"parties": {"transport": "指标办", "公证处": "公证处"}}, "ids"),
        ({"received_on": date(2014, 6, 7)}, "still open"),
        ({"policy": the_policy(quotas={})}, "no quota"),
        ({"policy": the_policy(limits={"answer_working_days": 8})}, "no limit"),
    ],
)
def test_a_round_whose_particulars_do_not_hold_is_not_opened(change, what):
    with pytest.raises(NotARound, match=what):
        a_round(**change)


def test_a_round_survives_the_way_through_json():
    assert round_from_json(a_round().to_json()) == a_round()


def test_an_opened_round_is_new_and_can_be_read_again(tmp_path):
    folder = opened(tmp_path / "r", [a_line(1)])
    assert folder.stage is Stage.NEW
    assert read_round(folder) == a_round()


def test_opening_the_same_round_again_does_nothing(tmp_path):
    secret = read_secret(opened(tmp_path / "r", [a_line(1)]))
    assert read_secret(opened(tmp_path / "r", [a_line(1)])) == secret


def test_a_folder_does_not_take_a_second_list(tmp_path):
    opened(tmp_path / "r", [a_line(1)])
    with pytest.raises(Contradicted, match=r"applications\.parquet"):
        opened(tmp_path / "r", [a_line(1), a_line(2)])


def test_a_folder_does_not_take_a_second_round(tmp_path):
    opened(tmp_path / "r", [a_line(1)])
    with pytest.raises(Contradicted, match=r"round\.json"):
        opened(tmp_path / "r", [a_line(1)], id="2014-4")


def test_the_secret_is_for_its_owner_only(tmp_path):
    folder = opened(tmp_path / "r", [a_line(1)])
    assert (folder.path / "round.key").stat().st_mode & 0o777 == 0o600


def test_a_log_entry_names_the_pool_it_is_about():
    assert log_body("2014-3", "frozen", "d" * 64, "persons")["round"] == "2014-3/persons"
    assert log_body("2014-3", "opened", "d" * 64)["round"] == "2014-3"


def test_a_salted_digest_depends_on_secret_subject_and_digest():
    made = {salted(s, what, d) for s in (b"1", b"2") for what in ("a", "b") for d in ("x", "y")}
    assert len(made) == 8


def test_the_evaluation_date_stands_in_the_round():
    assert a_round().at == AT


def test_a_round_that_was_opened_is_not_opened_for_a_second_date(tmp_path):
    opened(tmp_path / "r", [a_line(1)])
    before = (tmp_path / "r" / "round.json").read_bytes()
    with pytest.raises(SecondDate) as raised:
        opened(tmp_path / "r", [a_line(1)], at=date(2014, 6, 7))
    assert (raised.value.code, (tmp_path / "r" / "round.json").read_bytes()) == ("rounds.second_date", before)


def test_the_same_list_under_another_name_is_not_asked_about_for_a_second_date(tmp_path):
    opened(tmp_path / "r", [a_line(1)])
    opened(tmp_path / "exercise", [a_line(1)], id="exercise")
    with pytest.raises(SecondDate):
        opened(tmp_path / "s", [a_line(1)], id="s", at=date(2014, 6, 7))
    assert not (tmp_path / "s" / "round.json").exists()
    # Another list is another round.
    opened(tmp_path / "t", [a_line(2)], id="t", at=date(2014, 6, 7))
