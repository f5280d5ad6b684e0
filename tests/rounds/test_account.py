from datetime import date

import pytest

from tests.rounds.world import (
    AT,
    KEY,
    NOT_MET,
    QUESTIONS,
    UNKNOWN,
    a_line,
    a_unit,
    again,
    answer_all,
    asked,
    citizen,
    decided,
    drawn,
    frozen,
    opened,
)
from tongban.rounds import steps
from tongban.rounds.account import Names, account
from tongban.rounds.figures import Words, is_shown, published
from tongban.rounds.folder import Contradicted, OutOfOrder, Stage
from tongban.rounds.publish import publish
from tongban.rounds.report import report

NAMES = Names(
    city=Words("示例市", "Example City"),
    matter=Words("小客车指标摇号", "Car lottery"),
    departments={"public-security": Words("公安局", "Public security")},
    pools={"persons": Words("个人", "persons"), "units": Words("单位", "units")},
    demonstration=True,
)
LICENCE_NO = NOT_MET | 1
HELD = {
    ("licence", int(citizen(1)[:17])): LICENCE_NO,
    ("licence", int(citizen(2)[:17])): LICENCE_NO,
    ("identity", int(citizen(3)[:17])): UNKNOWN | 48,
}
LINES = [
    *(a_line(n, failed_draws=n) for n in range(30)),
    a_unit(50),
    a_line(60, kind=""),
    a_line(61, document_number=citizen(5)),
    a_line(62, document_number="123"),
    again(63, 6),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("round") / "r", LINES, HELD)


@pytest.fixture(scope="module")
def figures(folder):
    return account(folder, asked(folder), NAMES)


def rule(figures, name):
    return next(one for one in figures.rules if one.rule.startswith(name))


def test_the_funnel_counts_applications(figures):
    assert (figures.applications, figures.identity_met, figures.eligible) == (35, 29, 27)
    assert (figures.not_eligible, figures.needs_person) == (3, 5)


def test_each_application_a_rule_concerns_stands_in_exactly_one_count(figures):
    licence = rule(figures, "licence")
    assert (licence.met, licence.not_met, licence.unknown, licence.not_asked) == (26, 2, 1, 4)
    assert [(reason.code, reason.count) for reason in licence.reasons] == [("licence_no", 2), ("bad_identifier", 1)]


def test_findings_without_a_rule_are_counted_by_themselves(figures):
    assert {(one.code, one.verdict): one.count for one in figures.decided_by} == {
        ("duplicate_application", "not_met"): 1,
        ("conflicting_applications", "unknown"): 2,
        ("no_applicable_rule", "unknown"): 1,
    }


def test_a_department_is_measured_by_what_it_was_asked(figures):
    police = figures.departments[0]
    assert (police.words.zh, police.rules, police.seconds, police.snapshots) == ("公安局", 3, 0.5, ("2014-06-08",))
    assert police.keys == 29 + 1 + 28  # identities, the handler, licences of the confirmed


def test_a_department_that_was_not_asked_has_no_time(figures):
    assert [one.seconds for one in figures.departments if one.department == "human-resources"] == [None]


def test_pools_show_the_draw(figures):
    persons, units = figures.pools
    assert (persons.codes, persons.winners, persons.quota) == (26, 5, 5)
    assert sum(one.codes for one in persons.by_balls) == 26
    assert sum(one.winners for one in persons.by_balls) == 5
    assert (units.codes, units.winners) == (1, 1)
    assert len(persons.seed) == len(persons.draw_digest) == 64


def test_before_the_draw_the_pools_have_no_seed(tmp_path):
    made = frozen(tmp_path / "r", LINES, HELD)
    persons = account(made, asked(made), NAMES).pools[0]
    assert (persons.seed, persons.winners, persons.log) == ("", 0, "")


def test_before_the_freeze_there_is_no_pool(tmp_path):
    made = decided(tmp_path / "r", LINES, HELD)
    assert account(made, asked(made), NAMES).pools == ()


def test_there_is_no_account_before_there_are_findings(tmp_path):
    made = opened(tmp_path / "r", LINES)
    with pytest.raises(OutOfOrder):
        account(made, asked(made), NAMES)


def test_a_silent_department_is_shown_as_silent(tmp_path):
    made = opened(tmp_path / "r", LINES)
    asking = answer_all(made, HELD, silent=frozenset({"business"}))
    steps.verify(made, asking, silence_accepted_by="T-0417")
    steps.decide(made, asking, {}, KEY, {})
    silent = {one.department: one.silent for one in account(made, asking, NAMES).departments}
    assert silent == {"public-security": 0, "human-resources": 0, "industry-commerce": 1}


def test_military_applicants_appear_in_no_figure(tmp_path, figures):
    made = drawn(tmp_path / "r", [*LINES, a_line(70, kind="military"), a_line(71, kind="military")], HELD)
    assert account(made, asked(made), NAMES) == figures


# --- Small counts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([], []),
        ([0, 7], ["0", "7"]),
        ([5, 1234], ["5", "1,234"]),
        ([4, 3], ["<5", "<5"]),
        ([4, 30, 9], ["<5", "30", "*"]),
        ([1], ["<5"]),
        ([1, 0], ["<5", "0"]),
    ],
)
def test_a_small_count_is_hidden_and_never_alone(counts, shown):
    assert published(counts, 5) == shown


def test_a_hidden_count_is_known_to_be_hidden():
    assert [is_shown(told) for told in ("<5", "*", "0", "1,234")] == [False, False, True, True]


# --- Publishing ---------------------------------------------------------------------------------


def release(folder, **change):
    own = {"prepared_by": "T-0417", "reviewed_by": "T-0033", "reviewed_on": date(2014, 6, 26)}
    page = report(account(folder, asked(folder), NAMES))
    return publish(folder, change.pop("page", page), **(own | change))


def test_what_is_published_is_the_report_and_the_bundles_and_nothing_else(tmp_path):
    made = drawn(tmp_path / "r", LINES, HELD)
    assert release(made) is True
    public = made.directory(Stage.PUBLISHED) / "public"
    found = {path.relative_to(public).as_posix() for path in public.rglob("*") if path.is_file()}
    bundle = ("pool.csv", "winners.csv", "draw.json", "verify_draw.py")
    assert found == {"report.html", *(f"{pool}/{file}" for pool in ("persons", "units") for file in bundle)}
    for path in public.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert "90000000000" not in text
            assert citizen(1) not in text
            assert "T-0417" not in text


@pytest.mark.parametrize("change", [{"reviewed_by": "T-0417"}, {"reviewed_by": ""}, {"prepared_by": ""}])
def test_nothing_is_published_without_a_second_person(folder, change):
    assert release(folder, **change).code == "rounds.reviewer_needed"


def test_publishing_again_does_nothing_and_otherwise_is_refused(tmp_path):
    made = drawn(tmp_path / "r", LINES, HELD)
    release(made)
    assert release(made) is False
    with pytest.raises(Contradicted):
        release(made, page="<html></html>")


def test_nothing_is_published_before_the_draw(tmp_path):
    with pytest.raises(OutOfOrder):
        release(frozen(tmp_path / "r", LINES, HELD))


def test_the_dates_of_the_round_stand_in_the_account(figures):
    assert (figures.at, figures.answer_due, figures.answer_days) == (AT, date(2014, 6, 19), 8)
    assert len(figures.rules) == len(QUESTIONS)
