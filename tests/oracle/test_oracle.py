"""The independent checker: the kinds and what they are asked, rounds, the order of answers, the decision."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.oracle.car_lottery import is_stale
from tests.oracle.mini import IN_2014, IN_2026, ME, OTHER, OTHER_UNIT, PASSPORT, World, assert_found, insured

# Kinds ------------------------------------------------------------------------------------------------------------

CAR = ["driving_licence", "no_vehicle", "no_scrap_due_vehicle"]
ASKED = {
    "resident": ["identity", "household_here", *CAR],
    "foreign": ["lodging_registration", "foreign_driving_licence", *CAR[1:]],
    "work_permit": ["identity", "work_residence_permit", *CAR],
    "residence_permit": [
        "identity",
        "residence_permit",
        "social_insurance_60_months",
        "income_tax_five_years",
        *CAR,
    ],
    "enterprise": [
        *("handler_identity", "business_licence", "organisation_code"),
        *("tax_registration", "vat_of_the_year"),
    ],
    "social_body": ["handler_identity", "social_body_registration", "organisation_code"],
}


@pytest.mark.parametrize("kind", ASKED)
def test_each_kind_is_asked_its_rules_in_order_and_with_clean_records_is_eligible(town: World, kind: str) -> None:
    town.apply(kind)
    finding = town.finding()
    assert (list(finding.verdicts), finding.status, finding.reason) == (ASKED[kind], "eligible", None)


@pytest.mark.parametrize("kind", ["", None, "officer", "Resident", "family"])
def test_an_unknown_kind_goes_to_a_person(town: World, kind: str | None) -> None:
    town.apply(kind)
    finding = town.finding()
    assert (finding.status, finding.reason, finding.verdicts) == ("needs_person", "no_applicable_rule", {})


@pytest.mark.parametrize("typed", [" resident", "\u3000resident ", "ｒｅｓｉｄｅｎｔ"])
def test_a_kind_is_read_after_nfkc_and_trimming(town: World, typed: str) -> None:
    town.apply(typed)
    assert town.finding().status == "eligible"


def test_a_military_line_is_set_aside_however_it_is_typed(town: World) -> None:
    town.apply("\u3000ｍｉｌｉｔａｒｙ")
    assert town.findings() == {}


def test_military_applications_are_set_aside_and_do_not_count_as_doubles(town: World) -> None:
    town.apply("military", submitted_on="2014-01-01")
    mine = town.apply("resident")
    findings = town.findings()
    assert list(findings) == [mine]
    assert findings[mine].status == "eligible"


@pytest.mark.parametrize("kind", ["resident", "foreign", "work_permit", "residence_permit"])
def test_the_round_of_2026_asks_persons_and_the_new_tax_office(town_of_2026: World, kind: str) -> None:
    town_of_2026.apply(kind)
    finding = town_of_2026.finding()
    assert (list(finding.verdicts), finding.status) == (ASKED[kind], "eligible")


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2021-10", "2026-09", "met"),
        ("2021-11", "2026-09", "not_met insurance_interrupted"),
        ("2021-10", "2026-08", "not_met insurance_not_current"),
    ],
)
def test_the_months_of_2026(town_of_2026: World, first: str, last: str, expected: str) -> None:
    assert_found(insured(town_of_2026, (first, last)), "social_insurance_60_months", expected)


@pytest.mark.parametrize(("index", "reason"), [(0, "tax_year_missing"), (4, "tax_last_year_missing")])
def test_the_tax_years_of_2026(town_of_2026: World, index: int, reason: str) -> None:
    town_of_2026.apply("residence_permit")
    del town_of_2026.rows["income_tax"][index]
    assert_found(town_of_2026.finding(), "income_tax_five_years", f"not_met {reason}")


def test_a_year_before_the_29_of_february_is_the_28(tmp_path: Path) -> None:
    town = World(tmp_path)
    town.at, town.read_on = date(2012, 2, 29), date(2012, 3, 1)
    town.settle(PASSPORT, "护照")
    town.apply("foreign")
    town.change("exit_entry", lodging_since="2011-02-28")
    assert town.finding().status == "eligible"


# Order of answers -------------------------------------------------------------------------------------------------


def test_a_population_that_is_not_confirmed_is_asked_nothing_further(town: World) -> None:
    town.apply("resident")
    town.change("population", household_division="130105")
    town.rows["driving_licence"].clear()
    finding = town.finding()
    assert finding.reason == "household_elsewhere"
    assert {finding.verdicts[rule] for rule in CAR} == {("unknown", "not_asked")}


def test_an_unknown_identity_keeps_a_person_without_licence_from_being_refused(town: World) -> None:
    town.apply("resident", name="李四")
    town.rows["driving_licence"].clear()
    assert town.finding().status == "needs_person"


@pytest.mark.parametrize(
    ("kind", "silent", "rule"),
    [
        ("resident", "population", "identity"),
        ("resident", "driving_licence", "driving_licence"),
        ("resident", "vehicle", "no_vehicle"),
        ("residence_permit", "income_tax", "income_tax_five_years"),
        ("enterprise", "vat", "vat_of_the_year"),
        ("enterprise", "taxpayer", "vat_of_the_year"),
    ],
)
def test_a_department_that_did_not_answer_refuses_nobody(town: World, kind: str, silent: str, rule: str) -> None:
    town.apply(kind)
    town.silent.add(silent)
    assert_found(town.finding(), rule, "unknown no_answer")


FOREVER = 10_000
DAY = timedelta(days=1)


@pytest.mark.parametrize("rule", ["identity", "no_vehicle", "organisation_code", "vat_of_the_year"])
@pytest.mark.parametrize("at", [IN_2014, IN_2026])
def test_a_snapshot_is_stale_one_day_beyond_forty_on_either_side(at: date, rule: str) -> None:
    for side in (-1, 1):
        assert not is_stale(rule, at, at + side * 40 * DAY)
        assert is_stale(rule, at, at + side * 41 * DAY)


@pytest.mark.parametrize(
    ("rule", "at", "first"),
    [
        ("social_insurance_60_months", IN_2014, date(2014, 6, 1)),
        ("social_insurance_60_months", IN_2026, date(2026, 10, 1)),
        ("social_insurance_60_months", date(2014, 5, 31), date(2014, 5, 1)),
        ("social_insurance_60_months", date(2014, 6, 1), date(2014, 6, 1)),
        ("social_insurance_60_months", date(2014, 1, 1), date(2014, 1, 1)),
        ("income_tax_five_years", IN_2014, date(2014, 1, 1)),
        ("income_tax_five_years", IN_2026, date(2026, 1, 1)),
        ("income_tax_five_years", date(2014, 12, 31), date(2014, 1, 1)),
        ("income_tax_five_years", date(2014, 1, 1), date(2014, 1, 1)),
    ],
)
def test_a_rule_of_the_past_takes_no_snapshot_of_an_unfinished_month_or_year(rule: str, at: date, first: date) -> None:
    assert not is_stale(rule, at, first)
    assert is_stale(rule, at, first - DAY)
    assert not is_stale(rule, at, at + FOREVER * DAY)


@pytest.mark.parametrize("at", [date(2014, 1, 1), date(2014, 1, 8), date(2014, 2, 10)])
def test_the_vat_needs_the_whole_year_before_and_the_days_around_at(at: date) -> None:
    assert not is_stale("vat_of_the_year", at, date(2014, 1, 1))
    assert is_stale("vat_of_the_year", at, date(2013, 12, 31))
    assert not is_stale("vat_of_the_year", at, at + 40 * DAY)
    assert is_stale("vat_of_the_year", at, at + 41 * DAY)


def test_other_rules_do_not_look_at_the_turn_of_the_year() -> None:
    assert not is_stale("identity", date(2014, 1, 8), date(2013, 12, 31))


@pytest.mark.parametrize(
    ("read_on", "rule", "expected"),
    [
        (date(2014, 6, 1), "social_insurance_60_months", "met"),
        (date(2014, 5, 31), "social_insurance_60_months", "unknown stale_snapshot"),
        (date(2014, 5, 31), "identity", "met"),
        (date(2014, 4, 29), "identity", "met"),
        (date(2014, 4, 28), "identity", "unknown stale_snapshot"),
        (date(2014, 4, 28), "residence_permit", "unknown not_asked"),
        (date(2014, 7, 18), "identity", "met"),
        (date(2014, 7, 19), "identity", "unknown stale_snapshot"),
    ],
)
def test_the_day_the_registers_were_read_on_decides_what_is_stale(
    town: World, read_on: date, rule: str, expected: str
) -> None:
    town.apply("residence_permit")
    town.read_on = read_on
    assert town.verdict(rule) == expected


def test_stale_comes_before_doubtful_and_before_no_record(town: World) -> None:
    town.read_on = town.at - timedelta(days=9)
    assert_found(insured(town, ("?", "?")), "social_insurance_60_months", "unknown stale_snapshot")
    assert_found(insured(town), "social_insurance_60_months", "unknown stale_snapshot")


def test_no_answer_comes_before_stale(town: World) -> None:
    town.read_on = town.at - timedelta(days=9)
    town.silent.add("social_insurance")
    assert_found(insured(town), "social_insurance_60_months", "unknown no_answer")


# Decision ---------------------------------------------------------------------------------------------------------


def test_a_no_decides_before_an_earlier_unknown(town: World) -> None:
    town.apply("resident")
    town.change("driving_licence", status=None)
    town.put("vehicle", owner_number=ME)
    assert town.finding().reason == "has_vehicle"


def test_the_first_no_in_the_order_of_the_kind_gives_the_reason(town: World) -> None:
    town.apply("residence_permit")
    town.rows["income_tax"].clear()
    town.rows["social_insurance"].clear()
    town.rows["driving_licence"].clear()
    assert town.finding().reason == "no_insurance"


def test_the_first_unknown_in_the_order_of_the_kind_gives_the_reason(town: World) -> None:
    town.apply("residence_permit")
    town.change("income_tax", amount="much")
    town.silent.add("vehicle")
    assert town.finding().reason == "doubtful_record"


def test_a_double_is_refused_as_a_double_whatever_the_registers_say(town: World) -> None:
    first, second = town.apply("resident"), town.apply("resident")
    town.rows["driving_licence"].clear()
    findings = town.findings()
    assert findings[first].reason == "no_licence"
    assert (findings[second].status, findings[second].reason) == ("not_eligible", "duplicate_application")


def test_other_people_s_records_do_not_matter(town: World) -> None:
    town.apply("resident")
    town.apply("enterprise")
    town.put("vehicle", owner_number=OTHER)
    town.put("population", id_number=OTHER, name="李四", status="死亡")
    town.put("business_licence", organisation_code=OTHER_UNIT, status="吊销")
    assert {finding.status for finding in town.findings().values()} == {"eligible"}
