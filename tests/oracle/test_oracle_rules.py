"""The independent checker: each rule of the table on both sides of each of its boundaries."""

from typing import Any

import pytest

from tests.oracle.mini import ME, UNIT, World, assert_found, insured

NOT_CONFIRMED = "unknown identity_not_confirmed"
MISSING = "unknown missing_value"

# (rule, kind that is asked it, register) → changes of its rows and the verdict they make
ONE_CHANGE: dict[tuple[str, str, str], list[tuple[dict[str, Any], str]]] = {
    ("identity", "resident", "population"): [
        ({}, "met"),
        ({"name": "李四"}, NOT_CONFIRMED),
        ({"name": None}, NOT_CONFIRMED),
        ({"status": None}, MISSING),
        ({"status": None, "name": "李四"}, NOT_CONFIRMED),
        ({"status": None, "name": None}, NOT_CONFIRMED),
        ({"status": "死亡"}, "not_met deceased"),
        ({"status": "注销"}, "not_met household_cancelled"),
        ({"status": "死亡", "name": "李四"}, NOT_CONFIRMED),
        ({"status": "注销", "name": None}, NOT_CONFIRMED),
    ],
    ("household_here", "resident", "population"): [
        ({"household_division": "11"}, "met"),
        ({"household_division": "110101"}, "met"),
        ({"household_division": "110229"}, "met"),
        ({"household_division": "120101"}, "not_met household_elsewhere"),
        ({"household_division": "1"}, "not_met household_elsewhere"),
        ({"household_division": "130105"}, "not_met household_elsewhere"),
        ({"household_division": None}, MISSING),
    ],
    ("lodging_registration", "foreign", "exit_entry"): [
        ({}, "met"),
        ({"name": "李四"}, NOT_CONFIRMED),
        ({"name": ""}, NOT_CONFIRMED),
        ({"document_valid_until": "2014-06-08"}, "met"),
        ({"document_valid_until": "2014-06-07"}, "not_met document_expired"),
        ({"document_valid_until": None}, MISSING),
        ({"document_valid_until": "2014-06-07", "name": "李四"}, NOT_CONFIRMED),
        ({"document_valid_until": None, "lodging_since": "2013-06-09"}, "not_met lodging_too_short"),
        ({"lodging_since": "2013-06-08"}, "met"),
        ({"lodging_since": "2013-06-09"}, "not_met lodging_too_short"),
        ({"lodging_since": None}, MISSING),
    ],
    ("driving_licence", "resident", "driving_licence"): [
        ({"valid_until": "2014-06-08"}, "met"),
        ({"valid_until": "2014-06-07"}, "not_met licence_expired"),
        ({"valid_until": None}, MISSING),
        ({"status": None}, MISSING),
        ({"licence_class": None}, MISSING),
    ],
    ("foreign_driving_licence", "foreign", "driving_licence"): [
        ({"valid_until": "2014-06-08"}, "met"),
        ({"valid_until": "2014-06-07"}, "not_met licence_expired"),
        ({"valid_until": None}, MISSING),
        ({"status": "注销", "valid_until": "2014-06-07"}, "not_met licence_status"),
        ({"licence_class": "D"}, "not_met licence_class"),
    ],
    ("residence_permit", "residence_permit", "residence_permit"): [
        ({"valid_until": "2014-06-08"}, "met"),
        ({"valid_from": "2014-06-08"}, "met"),
        ({"valid_until": "2014-06-07"}, "not_met residence_permit_expired"),
        ({"valid_from": "2014-06-09"}, "not_met residence_permit_expired"),
        ({"status": "注销", "valid_until": "2014-06-07"}, "not_met residence_permit_cancelled"),
        ({"status": None}, MISSING),
        ({"valid_from": None}, MISSING),
        ({"valid_until": None}, MISSING),
        ({"status": None, "valid_until": "2014-06-07"}, "not_met residence_permit_expired"),
    ],
    ("work_residence_permit", "work_permit", "work_residence_permit"): [
        ({"valid_from": "2014-06-08"}, "met"),
        ({"valid_until": "2014-06-08"}, "met"),
        ({"valid_from": "2014-06-09"}, "not_met work_permit_expired"),
        ({"valid_until": "2014-06-07"}, "not_met work_permit_expired"),
        ({"status": "注销", "valid_until": "2014-06-07"}, "not_met work_permit_cancelled"),
        ({"holder": "随员", "status": "注销"}, "not_met accompanying_person"),
        ({"holder": None}, MISSING),
        ({"status": None}, MISSING),
    ],
    ("handler_identity", "enterprise", "population"): [
        ({"name": "李四"}, NOT_CONFIRMED),
        ({"status": "死亡"}, "not_met deceased"),
        ({"status": None}, MISSING),
        ({"household_division": "130105"}, "met"),
    ],
    ("business_licence", "enterprise", "business_licence"): [
        ({"status": "吊销"}, "not_met licence_revoked"),
        ({"status": "注销"}, "not_met licence_cancelled"),
        ({"status": "迁出"}, "not_met registered_elsewhere"),
        ({"status": None}, MISSING),
        ({"registered_division": "110229"}, "met"),
        ({"registered_division": "130105"}, "not_met registered_elsewhere"),
        ({"registered_division": None}, MISSING),
        ({"registered_division": "310101", "status": None}, "not_met registered_elsewhere"),
    ],
    ("organisation_code", "enterprise", "organisation_code"): [
        ({"valid_until": "2014-06-08"}, "met"),
        ({"valid_until": "2014-06-07"}, "not_met code_expired"),
        ({"valid_until": None}, MISSING),
    ],
    ("organisation_code", "social_body", "organisation_code"): [
        ({"status": "注销"}, "not_met code_cancelled"),
        ({"status": None}, MISSING),
    ],
    ("vat_of_the_year", "enterprise", "vat"): [
        ({"amount": "5000000"}, "met"),
        ({"amount": "4999999"}, "not_met vat_too_low"),
        ({"treasury_date": "2013-01-01"}, "met"),
        ({"treasury_date": "2012-12-31"}, "not_met vat_too_low"),
        ({"treasury_date": "2014-01-01"}, "not_met vat_too_low"),
    ],
    ("vat_of_the_year", "enterprise", "taxpayer"): [
        ({"state": "非正常"}, "not_met taxpayer_state"),
        ({"state": None}, MISSING),
        ({"registered_on": None}, "met"),
    ],
    ("tax_registration", "enterprise", "taxpayer"): [
        ({"state": "注销"}, "not_met tax_registration_cancelled"),
        ({"state": None}, MISSING),
    ],
    ("social_body_registration", "social_body", "social_body"): [
        ({"valid_until": "2014-06-08"}, "met"),
        ({"valid_until": "2014-06-07"}, "not_met body_expired"),
        ({"valid_until": None}, MISSING),
        ({"status": "注销"}, "not_met body_cancelled"),
        ({"status": "撤销"}, "not_met body_cancelled"),
        ({"status": None}, MISSING),
    ],
}


@pytest.mark.parametrize(
    ("asked", "change", "expected"),
    [(asked, change, expected) for asked, cases in ONE_CHANGE.items() for change, expected in cases],
)
def test_one_changed_record_changes_the_verdict_and_the_finding(
    town: World, asked: tuple[str, str, str], change: dict[str, Any], expected: str
) -> None:
    rule, kind, register = asked
    town.apply(kind)
    town.change(register, **change)
    assert_found(town.finding(), rule, expected)


@pytest.mark.parametrize(
    ("rule", "kind", "register", "expected"),
    [
        ("identity", "resident", "population", NOT_CONFIRMED),
        ("lodging_registration", "foreign", "exit_entry", NOT_CONFIRMED),
        ("driving_licence", "resident", "driving_licence", "not_met no_licence"),
        ("foreign_driving_licence", "foreign", "driving_licence", "unknown no_record"),
        ("no_vehicle", "resident", "vehicle", "met"),
        ("no_scrap_due_vehicle", "resident", "vehicle", "met"),
        ("residence_permit", "residence_permit", "residence_permit", "not_met no_residence_permit"),
        ("work_residence_permit", "work_permit", "work_residence_permit", "not_met no_work_permit"),
        ("social_insurance_60_months", "residence_permit", "social_insurance", "not_met no_insurance"),
        ("income_tax_five_years", "residence_permit", "income_tax", "not_met no_tax_record"),
        ("handler_identity", "enterprise", "population", NOT_CONFIRMED),
        ("business_licence", "enterprise", "business_licence", "unknown no_record"),
        ("organisation_code", "enterprise", "organisation_code", "unknown no_record"),
        ("social_body_registration", "social_body", "social_body", "unknown no_record"),
    ],
)
def test_no_record_says_what_the_rule_says_of_it(
    town: World, rule: str, kind: str, register: str, expected: str
) -> None:
    town.apply(kind)
    town.rows[register].clear()
    assert_found(town.finding(), rule, expected)


@pytest.mark.parametrize("rule", ["no_vehicle", "no_scrap_due_vehicle"])
def test_met_by_absence_says_so_and_met_by_a_record_does_not(town: World, rule: str) -> None:
    town.apply("resident")
    assert town.finding().verdicts[rule] == ("met", "no_vehicle_record")
    town.put("vehicle", owner_number=ME, vehicle_type="摩托车")
    assert town.finding().verdicts[rule] == ("met", None)


def test_household_without_a_record_is_unknown_too(town: World) -> None:
    town.apply("resident")
    town.rows["population"].clear()
    assert town.verdict("household_here") == NOT_CONFIRMED


def test_a_wrong_name_leaves_the_household_answered(town: World) -> None:
    town.apply("resident", name="李四")
    assert town.verdict("household_here") == "met"


# Driving licence and vehicles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("licence_class", ["A1", "A2", "A3", "B1", "B2", "C1", "C2", "C5"])
def test_these_classes_allow_a_car(town: World, licence_class: str) -> None:
    town.apply("resident")
    town.change("driving_licence", licence_class=licence_class)
    assert town.finding().status == "eligible"


@pytest.mark.parametrize("licence_class", ["C3", "C4", "C6", "D", "E", "F", "M", "N", "P"])
def test_these_classes_do_not(town: World, licence_class: str) -> None:
    town.apply("resident")
    town.change("driving_licence", licence_class=licence_class)
    assert_found(town.finding(), "driving_licence", "not_met licence_class")


@pytest.mark.parametrize(
    "status", ["超分", "逾期未换证", "逾期未体检", "停止使用", "暂扣", "扣留", "撤销", "吊销", "注销"]
)
def test_a_licence_in_any_other_state_is_refused_before_its_date_and_class(town: World, status: str) -> None:
    town.apply("resident")
    town.change("driving_licence", status=status, valid_until="2014-06-07", licence_class="D")
    assert_found(town.finding(), "driving_licence", "not_met licence_status")


def test_an_expired_licence_is_named_before_its_class(town: World) -> None:
    town.apply("resident")
    town.change("driving_licence", valid_until="2014-06-07", licence_class="D")
    assert town.verdict("driving_licence") == "not_met licence_expired"


def test_a_wrong_class_is_a_no_though_the_status_is_missing(town: World) -> None:
    town.apply("resident")
    town.change("driving_licence", status=None, licence_class="D")
    assert town.verdict("driving_licence") == "not_met licence_class"


@pytest.mark.parametrize("vehicle_type", ["小型轿车", "小型普通客车", "微型轿车"])
@pytest.mark.parametrize("status", ["正常", "逾期未检验", "查封"])
def test_a_registered_car_is_a_car(town: World, vehicle_type: str, status: str) -> None:
    town.apply("resident")
    town.put("vehicle", owner_number=ME, vehicle_type=vehicle_type, status=status)
    assert_found(town.finding(), "no_vehicle", "not_met has_vehicle")


@pytest.mark.parametrize("vehicle_type", ["轻型货车", "重型货车", "摩托车"])
def test_a_lorry_or_motorcycle_is_no_car(town: World, vehicle_type: str) -> None:
    town.apply("resident")
    town.put("vehicle", owner_number=ME, vehicle_type=vehicle_type)
    assert town.finding().status == "eligible"


@pytest.mark.parametrize("status", ["注销", "转出"])
def test_a_car_that_is_gone_is_no_car_and_not_due_for_scrapping(town: World, status: str) -> None:
    town.apply("resident")
    town.put("vehicle", owner_number=ME, status=status, scrap_due_on="2010-01-01")
    assert town.finding().status == "eligible"


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        ("2014-06-09", "met"),
        ("2014-06-08", "not_met scrap_due"),
        ("2014-06-07", "not_met scrap_due"),
        (None, MISSING),
    ],
)
def test_a_lorry_is_due_for_scrapping_on_the_day_itself(town: World, due: str | None, expected: str) -> None:
    town.apply("resident")
    town.put("vehicle", owner_number=ME, vehicle_type="重型货车", scrap_due_on=due)
    assert_found(town.finding(), "no_scrap_due_vehicle", expected)


def test_a_unit_s_vehicle_is_nobody_s(town: World) -> None:
    town.apply("foreign", document_number=UNIT)
    town.change("exit_entry", document_number=UNIT)
    town.change("driving_licence", id_number=UNIT)
    town.put("vehicle", owner_number=UNIT, document_type="组织机构代码", scrap_due_on="2010-01-01")
    assert town.finding().status == "eligible"


# Histories --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([("2009-06", "2014-05")], "met"),
        ([("2004-01", "2099-12")], "met"),
        ([("2009-07", "2014-05")], "not_met insurance_interrupted"),
        ([("2009-06", "2014-04")], "not_met insurance_not_current"),
        ([("2014-05", "2014-05")], "not_met insurance_interrupted"),
        ([("2014-06", "2014-06")], "not_met insurance_not_current"),
        ([("2009-06", "2011-12"), ("2012-01", "2014-05")], "met"),
        ([("2009-06", "2011-12"), ("2012-02", "2014-05")], "not_met insurance_interrupted"),
        ([("2012-01", "2014-05"), ("2009-06", "2012-06")], "met"),
    ],
)
def test_sixty_months_without_a_gap(town: World, spans: list[tuple[str, str]], expected: str) -> None:
    assert_found(insured(town, *spans), "social_insurance_60_months", expected)


def test_a_back_payment_heals_a_gap(town: World) -> None:
    town.put("social_insurance", id_number=ME, month_from="2012-01", month_to="2012-01", kind="补缴")
    town.apply("residence_permit")
    town.rows["social_insurance"][0]["month_to"] = "2011-12"
    town.put("social_insurance", id_number=ME, month_from="2012-02", month_to="2014-05")
    assert town.finding().status == "eligible"


@pytest.mark.parametrize(
    ("payments", "expected"),
    [
        ({2013: "1", 2012: "1", 2011: "1", 2010: "1", 2009: "1"}, "met"),
        ({2013: "0", 2012: "1", 2011: "1", 2010: "1", 2009: "1"}, "not_met tax_last_year_missing"),
        ({2013: "-1", 2012: "1", 2011: "1", 2010: "1", 2009: "1"}, "not_met tax_last_year_missing"),
        ({2014: "1", 2012: "1", 2011: "1", 2010: "1", 2009: "1"}, "not_met tax_last_year_missing"),
        ({2013: "1", 2012: "1", 2011: "1", 2010: "1", 2008: "1"}, "not_met tax_year_missing"),
        ({2013: "1", 2012: "1", 2011: "0", 2010: "1", 2009: "1"}, "not_met tax_year_missing"),
        ({2001: "0"}, "not_met tax_last_year_missing"),
    ],
)
def test_five_years_with_tax_in_each(town: World, payments: dict[int, str], expected: str) -> None:
    town.apply("residence_permit")
    town.rows["income_tax"].clear()
    for year, amount in payments.items():
        town.put("income_tax", id_number=ME, treasury_date=f"{year}-12-31", amount=amount)
    assert_found(town.finding(), "income_tax_five_years", expected)


def test_a_refund_of_the_whole_tax_of_a_year_leaves_none(town: World) -> None:
    town.apply("residence_permit")
    town.put("income_tax", id_number=ME, treasury_date="2011-12-31", amount="-1")
    assert_found(town.finding(), "income_tax_five_years", "not_met tax_year_missing")


def test_a_refund_of_a_part_leaves_the_year(town: World) -> None:
    town.apply("residence_permit")
    town.put("income_tax", id_number=ME, treasury_date="2011-01-01", amount="1")
    town.put("income_tax", id_number=ME, treasury_date="2011-12-31", amount="-1")
    assert town.finding().status == "eligible"


def test_tax_paid_late_counts_in_the_year_it_reached_the_treasury_whatever_year_it_was_for(town: World) -> None:
    town.apply("residence_permit")
    town.rows["income_tax"][2].update(tax_year="2011", treasury_date="2012-01-04")
    assert_found(town.finding(), "income_tax_five_years", "not_met tax_year_missing")


# VAT --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("registered_on", "paid_on", "amount", "expected"),
    [
        ("2014-01-01", "2014-06-01", "5000000", "met"),
        ("2013-12-31", "2014-06-01", "5000000", "not_met vat_too_low"),
        ("2014-01-01", "2014-06-01", "4999999", "not_met vat_too_low"),
        (None, "2014-06-01", "5000000", MISSING),
        (None, "2014-06-01", "4999999", "not_met vat_too_low"),
    ],
)
def test_a_unit_registered_this_year_shows_the_vat_of_this_year(
    town: World, registered_on: str | None, paid_on: str, amount: str, expected: str
) -> None:
    town.apply("enterprise")
    town.change("taxpayer", registered_on=registered_on)
    town.change("vat", treasury_date=paid_on, amount=amount)
    assert_found(town.finding(), "vat_of_the_year", expected)


def test_payments_of_one_year_add_up_and_refunds_count(town: World) -> None:
    town.apply("enterprise")
    town.change("vat", amount="5000001", treasury_date="2013-12-31")
    town.put("vat", organisation_code=UNIT, treasury_date="2013-01-01", amount="-2")
    assert_found(town.finding(), "vat_of_the_year", "not_met vat_too_low")


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (["vat"], "not_met vat_too_low"),
        (["taxpayer"], MISSING),
        (["vat", "taxpayer"], "unknown no_record"),
    ],
)
def test_a_unit_in_one_of_the_two_registers_of_vat_has_a_record(town: World, missing: list[str], expected: str) -> None:
    town.apply("enterprise")
    for register in missing:
        town.rows[register].clear()
    assert_found(town.finding(), "vat_of_the_year", expected)


def test_too_little_vat_is_a_no_though_the_taxpayer_is_not_known(town: World) -> None:
    town.apply("enterprise")
    town.rows["taxpayer"].clear()
    town.change("vat", amount="1")
    assert_found(town.finding(), "vat_of_the_year", "not_met vat_too_low")
