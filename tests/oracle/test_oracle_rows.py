"""The independent checker: raw rows that do not hold, keys in doubt, and the rows of one key made one."""

from typing import Any

import pytest

from tests.oracle.mini import ME, OTHER, OTHER_UNIT, PASSPORT, UNIT, World, assert_found, reasons, spoken

FIFTEEN = ME[:6] + ME[8:17]
DOUBT = "unknown doubtful_record"
MISSING = "unknown missing_value"

# Rows that do not hold --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("register", "change", "rule"),
    [
        ("population", {"status": "迁出"}, "identity"),
        ("driving_licence", {"licence_class": "C1D"}, "driving_licence"),
        ("driving_licence", {"licence_class": "c1"}, "driving_licence"),
        ("driving_licence", {"status": "正 常"}, "driving_licence"),
        ("driving_licence", {"valid_until": "2099-02-29"}, "driving_licence"),
        ("driving_licence", {"valid_until": "2020-1-1"}, "driving_licence"),
        ("driving_licence", {"valid_until": "20200101"}, "driving_licence"),
        ("driving_licence", {"valid_until": "2020-01-01 00:00"}, "driving_licence"),
        ("driving_licence", {"valid_until": "1899-12-31"}, "driving_licence"),
        ("driving_licence", {"valid_until": "2101-01-01"}, "driving_licence"),
        ("residence_permit", {"status": "正常"}, "residence_permit"),
        ("residence_permit", {"valid_from": "2014-00-01"}, "residence_permit"),
        ("social_insurance", {"month_from": "2009-13"}, "social_insurance_60_months"),
        ("social_insurance", {"month_from": "2003-12"}, "social_insurance_60_months"),
        ("social_insurance", {"month_to": "2100-01"}, "social_insurance_60_months"),
        ("social_insurance", {"month_from": "2014-06"}, "social_insurance_60_months"),
        ("social_insurance", {"month_from": None}, "social_insurance_60_months"),
        ("social_insurance", {"month_to": ""}, "social_insurance_60_months"),
        ("social_insurance", {"month_to": "2014-05-01"}, "social_insurance_60_months"),
        ("income_tax", {"amount": "1.00"}, "income_tax_five_years"),
        ("income_tax", {"amount": "1,000"}, "income_tax_five_years"),
        ("income_tax", {"amount": "10000000000001"}, "income_tax_five_years"),
        ("income_tax", {"amount": "-10000000000001"}, "income_tax_five_years"),
        ("income_tax", {"amount": "9" * 5000}, "income_tax_five_years"),
        ("income_tax", {"amount": "+"}, "income_tax_five_years"),
        ("income_tax", {"amount": None}, "income_tax_five_years"),
        ("income_tax", {"treasury_date": None}, "income_tax_five_years"),
        ("income_tax", {"treasury_date": "2013"}, "income_tax_five_years"),
    ],
)
def test_a_row_with_an_ill_formed_value_puts_its_person_in_doubt(
    town: World, register: str, change: dict[str, Any], rule: str
) -> None:
    town.apply("residence_permit")
    town.change(register, **change)
    assert town.verdict(rule) == DOUBT


@pytest.mark.parametrize(
    ("register", "change"),
    [
        ("population", {"birth_date": "1980-13-01", "sex": "?"}),
        ("driving_licence", {"issued_on": "yesterday"}),
        ("driving_licence", {"valid_until": "2100-12-31", "status": " 正常\u3000", "licence_class": "Ｃ１"}),
        ("driving_licence", {"valid_until": "２０２０－０１－０１"}),
        ("residence_permit", {"valid_from": "1900-01-01"}),
        ("social_insurance", {"paid_on": "?", "kind": None}),
        ("income_tax", {"tax_year": "?"}),
        ("income_tax", {"amount": "10000000000000"}),
        ("income_tax", {"amount": "０００１"}),
        ("income_tax", {"amount": "+1"}),
        ("income_tax", {"amount": "0" * 5000 + "1"}),
    ],
)
def test_values_no_fact_uses_and_values_that_hold_after_normalising_do_no_harm(
    town: World, register: str, change: dict[str, Any]
) -> None:
    town.apply("residence_permit")
    town.change(register, **change)
    assert town.finding().status == "eligible"


@pytest.mark.parametrize(
    ("register", "change", "rule"),
    [
        ("vat", {"amount": "50000.00"}, "vat_of_the_year"),
        ("vat", {"amount": None}, "vat_of_the_year"),
        ("vat", {"treasury_date": None}, "vat_of_the_year"),
        ("taxpayer", {"state": "停业"}, "vat_of_the_year"),
        ("taxpayer", {"registered_on": "2001-02-30"}, "vat_of_the_year"),
        ("business_licence", {"status": "有效"}, "business_licence"),
        ("organisation_code", {"valid_until": "-"}, "organisation_code"),
    ],
)
def test_a_row_with_an_ill_formed_value_puts_its_unit_in_doubt(
    town: World, register: str, change: dict[str, Any], rule: str
) -> None:
    town.apply("enterprise")
    town.change(register, **change)
    assert town.verdict(rule) == DOUBT


def test_one_rejected_row_among_good_ones_puts_the_person_in_doubt(town: World) -> None:
    town.apply("residence_permit")
    town.put("income_tax", id_number=ME, amount="")
    assert town.finding().reason == "doubtful_record"


def test_doubt_about_the_population_comes_before_a_wrong_name(town: World) -> None:
    town.apply("resident")
    town.put("population", id_number=ME, name="李四", status="?")
    assert reasons(town)[:2] == ["doubtful_record", "doubtful_record"]


def test_doubt_in_one_register_is_not_doubt_in_another(town: World) -> None:
    town.apply("resident")
    town.put("residence_permit", id_number=ME, status="?")
    assert town.finding().status == "eligible"


def swapped(number: str) -> str:
    return number[:15] + number[16] + number[15] + number[17]


@pytest.mark.parametrize("slip", [ME[:-1], ME + "0", "O" + ME[1:], swapped(ME), " " + ME[:5] + ME[6:]])
@pytest.mark.parametrize("register", ["population", "vehicle"])
def test_a_bad_number_one_slip_away_puts_its_person_in_doubt(town: World, register: str, slip: str) -> None:
    town.apply("resident")
    column = {"population": "id_number", "vehicle": "owner_number"}[register]
    town.put(register, **{column: slip})
    assert town.finding().reason == "doubtful_record"


def test_a_vehicle_in_doubt_is_in_doubt_for_both_rules(town: World) -> None:
    town.apply("resident")
    town.put("vehicle", owner_number=ME[:-1], vehicle_type="摩托车")
    assert reasons(town)[3:] == ["doubtful_record", "doubtful_record"]


@pytest.mark.parametrize("number", [ME[:-2], ME + "00", FIFTEEN[:-1], FIFTEEN + "0", "", None, OTHER])
def test_numbers_further_away_put_nobody_in_doubt(town: World, number: str | None) -> None:
    town.apply("resident")
    town.put("vehicle", owner_number=number)
    assert town.finding().status == "eligible"


@pytest.mark.parametrize("document_type", ["护照", "组织机构代码"])
def test_a_bad_number_of_another_document_puts_nobody_in_doubt(town: World, document_type: str) -> None:
    town.apply("resident")
    town.put("vehicle", owner_number=ME[:-1] + "-", document_type=document_type)
    assert town.finding().status == "eligible"


UNTYPED = pytest.mark.parametrize("document_type", [None, "", " ", "军官证", "身份證"])


@UNTYPED
@pytest.mark.parametrize("number", [ME, FIFTEEN, ME[:-1], ME[:-1] + "-", ME + "0", swapped(ME)])
@pytest.mark.parametrize(
    ("register", "column", "rule"),
    [("driving_licence", "id_number", "driving_licence"), ("vehicle", "owner_number", "no_vehicle")],
)
def test_a_row_without_its_document_type_may_be_any_citizen_s_within_one_slip(
    town: World, document_type: str | None, number: str, register: str, column: str, rule: str
) -> None:
    town.apply("resident")
    town.put(register, document_type=document_type, **{column: number})
    assert_found(town.finding(), rule, DOUBT)


@UNTYPED
@pytest.mark.parametrize("own", ["护照", "港澳通行证", "台胞证", "外国人永久居留身份证"])
@pytest.mark.parametrize(
    ("register", "column", "rule"),
    [
        ("exit_entry", "document_number", "lodging_registration"),
        ("driving_licence", "id_number", "foreign_driving_licence"),
        ("vehicle", "owner_number", "no_vehicle"),
    ],
)
def test_a_row_without_its_document_type_may_be_any_foreigner_s_with_that_very_number(
    town: World, document_type: str | None, own: str, register: str, column: str, rule: str
) -> None:
    town.apply("foreign", document_type=own)
    for one in ("exit_entry", "driving_licence"):
        town.rows[one][-1]["document_type"] = own
    town.put(register, document_type=document_type, **{column: f" {PASSPORT.lower()}"})
    assert_found(town.finding(), rule, DOUBT)


@pytest.mark.parametrize("number", [PASSPORT[:-1], PASSPORT + "-", "", None, FIFTEEN[:-1]])
def test_a_row_without_its_document_type_puts_nobody_else_in_doubt(town: World, number: str | None) -> None:
    town.apply("foreign")
    town.apply("resident")
    town.put("vehicle", document_type=None, owner_number=number)
    assert {finding.status for finding in town.findings().values()} == {"eligible"}


def test_an_untyped_number_of_a_unit_concerns_no_unit(town: World) -> None:
    town.apply("enterprise")
    town.put("vehicle", document_type=None, owner_number=UNIT)
    assert town.finding().status == "eligible"


def test_a_citizen_number_under_another_document_puts_the_citizen_in_doubt(town: World) -> None:
    town.apply("resident")
    town.put("vehicle", document_type="护照", owner_number=ME)
    assert town.finding().status == "needs_person"


def test_a_passport_number_under_its_own_document_puts_no_citizen_in_doubt(town: World) -> None:
    town.apply("resident")
    town.put("vehicle", document_type="护照", owner_number=PASSPORT)
    assert town.finding().status == "eligible"


def test_exit_and_entry_put_no_citizen_in_doubt(town: World) -> None:
    town.apply("resident")
    town.put("exit_entry", document_type=None, document_number=ME)
    assert town.finding().status == "eligible"


def test_the_document_type_of_a_row_is_read_after_nfkc_and_trimming(town: World) -> None:
    town.apply("resident")
    town.change("driving_licence", document_type="\u3000身份证 ")
    assert town.finding().status == "eligible"


def test_bad_passports_and_organisation_codes_put_nobody_in_doubt(town: World) -> None:
    town.apply("foreign")
    town.apply("enterprise")
    town.put("exit_entry", document_type="护照", document_number=PASSPORT + "-")
    town.put("business_licence", organisation_code=UNIT[:-1], status="吊销")
    assert {finding.status for finding in town.findings().values()} == {"eligible"}


def test_doubt_about_a_handler(town: World) -> None:
    town.apply("enterprise")
    town.put("population", id_number=ME[1:])
    assert reasons(town)[:2] == ["doubtful_record", "not_asked"]


# Merging ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("register", "second", "rule", "expected"),
    [
        ("population", {}, "identity", "met"),
        ("population", {"name": " 张 三"}, "identity", "met"),
        ("population", {"name": None, "status": ""}, "identity", "met"),
        ("population", {"name": "李四"}, "identity", "unknown identity_not_confirmed"),
        ("population", {"status": "死亡"}, "identity", MISSING),
        ("population", {"household_division": "130105"}, "identity", "met"),
        ("driving_licence", {"licence_class": None}, "driving_licence", "met"),
        ("driving_licence", {"licence_class": "C2"}, "driving_licence", MISSING),
        ("driving_licence", {"issued_on": "2009-01-01"}, "driving_licence", "met"),
        ("driving_licence", {"valid_until": "2013-01-01"}, "driving_licence", MISSING),
        ("residence_permit", {"permit_number": "2"}, "residence_permit", "met"),
        ("residence_permit", {"status": "注销"}, "residence_permit", MISSING),
    ],
)
def test_two_rows_of_one_person_are_one_and_contradictions_are_missing(
    town: World, register: str, second: dict[str, Any], rule: str, expected: str
) -> None:
    town.apply("residence_permit")
    town.put(register, id_number=FIFTEEN, **second)
    assert town.verdict(rule) == expected


def test_a_contradiction_about_the_household_is_missing(town: World) -> None:
    town.apply("resident")
    town.put("population", id_number=ME, household_division="130105")
    assert town.verdict("household_here") == MISSING


def test_a_third_row_does_not_settle_a_contradiction(town: World) -> None:
    town.apply("resident")
    town.put("driving_licence", id_number=ME, licence_class="C2")
    town.put("driving_licence", id_number=ME)
    assert town.verdict("driving_licence") == MISSING


CAR_RULES = ["no_vehicle", "no_scrap_due_vehicle"]


@pytest.mark.parametrize(
    ("vehicles", "cars", "scrap"),
    [
        ([{"status": "注销"}, {"status": "注销"}], "met", "met"),
        ([{"status": "注销"}, {"status": "正常"}], MISSING, MISSING),
        ([{"status": "注销"}, {"status": "正常", "plate": "京A2"}], "not_met has_vehicle", "met"),
        ([{}, {"plate": " 京a12345"}], "not_met has_vehicle", "met"),
        ([{}, {"plate": "京Ａ１２\u3000３４５\u200b", "status": "注销"}], MISSING, MISSING),
        ([{"plate": " \u200b"}, {"plate": "", "status": "注销"}], "not_met has_vehicle", "met"),
        ([{}, {"plate": " 京a12345", "scrap_due_on": None}], MISSING, MISSING),
        ([{}, {"registered_on": "?"}], "not_met has_vehicle", "met"),
        ([{"plate": None}, {"plate": None, "status": "注销"}], "not_met has_vehicle", "met"),
        ([{}, {"plate": "京A2", "vehicle_type": None}], MISSING, "met"),
        ([{}, {"plate": "京A2", "vehicle_type": None, "status": "注销"}], MISSING, "met"),
        ([{}, {"plate": "京A2", "status": None}], MISSING, MISSING),
        ([{}, {"plate": "京A2", "scrap_due_on": None}], "not_met has_vehicle", MISSING),
        ([{"status": "注销", "scrap_due_on": None}], "met", "met"),
        (
            [{"scrap_due_on": "2014-06-08"}, {"plate": "京A2", "scrap_due_on": "2014-06-09"}],
            "not_met has_vehicle",
            "not_met scrap_due",
        ),
        (
            [{"scrap_due_on": "2014-06-08"}, {"plate": "京A2", "scrap_due_on": None}],
            "not_met has_vehicle",
            MISSING,
        ),
    ],
)
def test_the_vehicles_of_one_person(town: World, vehicles: list[dict[str, Any]], cars: str, scrap: str) -> None:
    town.apply("resident")
    for vehicle in vehicles:
        town.put("vehicle", owner_number=ME, **vehicle)
    verdicts = town.finding().verdicts
    assert [spoken(verdicts[rule]) for rule in CAR_RULES] == [cars, scrap]


def test_one_plate_of_two_owners_is_a_car_of_each(town: World) -> None:
    town.settle(OTHER)
    town.apply("resident")
    town.apply("resident", document_number=OTHER)
    town.put("vehicle", owner_number=ME)
    town.put("vehicle", owner_number=OTHER, vehicle_type="摩托车")
    assert [finding.reason for finding in town.findings().values()] == ["has_vehicle", None]


def test_doubt_counts_from_either_register_of_vat(town: World) -> None:
    town.apply("enterprise")
    town.apply("enterprise", document_number=OTHER_UNIT)
    town.found(OTHER_UNIT)
    town.put("vat", organisation_code=UNIT, amount="?")
    town.put("taxpayer", organisation_code=OTHER_UNIT, state="?")
    assert {finding.reason for finding in town.findings().values()} == {"doubtful_record"}
