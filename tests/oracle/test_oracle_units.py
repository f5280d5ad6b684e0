"""The independent checker: units under each version of the rules, and the two switches, each on its own day."""

from datetime import date
from pathlib import Path

import pytest

from tests.oracle.car_lottery import Asks, application_of, kinds_on
from tests.oracle.draw import balls
from tests.oracle.mini import (
    IN_2011,
    IN_2014,
    IN_2016,
    IN_2026,
    NEW_UNIT,
    OTHER_UNIT,
    UNIT,
    World,
    assert_found,
    citizen,
    credit_code,
    spoken,
)
from tests.oracle.registers import REGISTERS, node_of, registers_on

MISSING = "unknown missing_value"


# Which rules, of which departments ---------------------------------------------------------------------------------


def enterprise(at: date) -> Asks:
    return kinds_on(at)["enterprise"]


def test_three_certificates_become_one_on_the_first_of_october_2015() -> None:
    three = ("business_licence", "organisation_code", "tax_registration")
    assert enterprise(date(2011, 1, 1))[1] == enterprise(date(2015, 9, 30))[1] == (*three, "vat_of_the_year")
    assert enterprise(date(2015, 10, 1))[1] == enterprise(date(2020, 12, 31))[1] == ("credit_code", "vat_of_the_year")


def test_from_2021_on_tax_or_investment_will_do() -> None:
    assert enterprise(date(2021, 1, 1))[1] == ("credit_code", ("vat_of_the_year", "fixed_investment"))


@pytest.mark.parametrize(
    ("at", "register", "node"),
    [
        (IN_2014, "business_licence", "industry-commerce"),
        (IN_2014, "organisation_code", "quality-supervision"),
        (IN_2014, "taxpayer", "state-tax"),
        (IN_2016, "credit_code", "industry-commerce"),
        (date(2018, 11, 15), "credit_code", "industry-commerce"),
        (date(2018, 11, 16), "credit_code", "market-regulation"),
        (IN_2026, "credit_code", "market-regulation"),
        (date(2018, 6, 14), "vat", "state-tax"),
        (date(2018, 6, 14), "income_tax", "local-tax"),
        (date(2018, 6, 15), "vat", "tax"),
        (date(2018, 6, 15), "income_tax", "tax"),
        (IN_2026, "fixed_investment", "tax"),
    ],
)
def test_a_department_hands_its_registers_to_its_successor_on_its_own_day(at: date, register: str, node: str) -> None:
    (found,) = [one for one in registers_on(at) if one.name == register]
    assert node_of(found, at) == node


def test_the_registers_of_three_certificates_are_gone_when_there_is_one() -> None:
    before, after = ({one.name for one in registers_on(at)} for at in (date(2015, 9, 30), date(2015, 10, 1)))
    assert (before - after, after - before) == ({"business_licence", "organisation_code"}, {"credit_code"})
    assert {one.name for one in REGISTERS} == before | after | {"fixed_investment"}


# One unit under two numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [("组织机构代码", UNIT), ("统一社会信用代码", NEW_UNIT)])
@pytest.mark.parametrize("held", [UNIT, NEW_UNIT, NEW_UNIT.lower(), f" {NEW_UNIT[:8]}-{NEW_UNIT[8:]}"])
def test_a_unit_is_found_under_either_number_wherever_the_other_stands(
    town_of_2016: World, document: tuple[str, str], held: str
) -> None:
    town_of_2016.apply("enterprise", document_type=document[0], document_number=document[1])
    town_of_2016.change("credit_code", credit_code=held)
    for register in ("vat", "taxpayer"):
        town_of_2016.change(register, organisation_code=held)
    assert town_of_2016.finding().status == "eligible"


@pytest.mark.parametrize(
    "number",
    [
        NEW_UNIT[:17] + ("0" if NEW_UNIT[17] != "0" else "1"),
        NEW_UNIT[:10] + ("7" if NEW_UNIT[10] != "7" else "8") + NEW_UNIT[11:],
        credit_code("D21435690"),
        NEW_UNIT[:17],
    ],
)
def test_a_credit_code_that_does_not_hold_is_bad(town_of_2016: World, number: str) -> None:
    town_of_2016.apply("enterprise", document_number=number)
    finding = town_of_2016.finding()
    assert (finding.status, finding.reason) == ("needs_person", "bad_identifier")


def test_both_numbers_of_one_unit_are_doubles(town_of_2016: World) -> None:
    town_of_2016.apply("enterprise", document_type="组织机构代码", document_number=UNIT)
    second = town_of_2016.apply("enterprise")
    found = town_of_2016.findings()[second]
    assert (found.status, found.reason) == ("not_eligible", "duplicate_application")


@pytest.mark.parametrize(
    ("at", "old", "new"),
    [
        (date(2015, 9, 30), True, False),
        (date(2015, 10, 1), True, True),
        (date(2017, 12, 31), True, True),
        (date(2018, 1, 1), False, True),
    ],
)
def test_each_document_is_accepted_in_its_own_time(tmp_path: Path, at: date, old: bool, new: bool) -> None:
    line = {
        "application": "1", "kind": "enterprise", "submitted_on": None, "name": "某公司", "handler_name": None,
        "handler_number": None,
    }  # fmt: skip
    documents = ({"document_type": "组织机构代码", "document_number": UNIT},)
    documents += ({"document_type": "统一社会信用代码", "document_number": NEW_UNIT},)
    assert [application_of(line | document, at).fits for document in documents] == [old, new]


# Quantities --------------------------------------------------------------------------------------------------------


def fen(n: int) -> int:
    return 5_000_000 + 50_000_000 * (n - 1)


def invested(n: int) -> int:
    return 1_000_000_000 + 2_000_000_000 * (n - 1)


def judged(town: World, number: str | None, last: int, this: int = 0, ordinary: str | None = None) -> str:
    """Of tax alone, with so much of it last year and this year."""
    town.apply("enterprise", code_number=number, ordinary_number=ordinary)
    town.change("vat", amount=str(last), treasury_date=f"{town.at.year - 1}-12-31")
    town.put("vat", organisation_code=UNIT, amount=str(this), treasury_date=f"{town.at.year}-01-01")
    return town.verdict("vat_of_the_year")


@pytest.mark.parametrize("n", range(1, 13))
def test_in_2011_each_code_takes_its_step_and_there_is_no_greatest(town_of_2011: World, n: int) -> None:
    assert judged(town_of_2011, str(n), fen(n)) == "met"
    town_of_2011.change("vat", amount=str((fen(n) - 1) // 2))
    assert town_of_2011.verdict("vat_of_the_year") == "not_met vat_too_low"


@pytest.mark.parametrize(
    ("last", "expected"),
    [(fen(13) - 1, "not_met vat_too_low"), (fen(13), "unknown number_beyond_steps")],
)
@pytest.mark.parametrize("number", ["13", "14", "999999999999999999999"])
def test_in_2011_a_code_beyond_the_steps_goes_to_a_person(
    town_of_2011: World, number: str, last: int, expected: str
) -> None:
    assert judged(town_of_2011, number, last) == expected


def test_in_2011_this_year_counts_for_nothing(town_of_2011: World) -> None:
    town_of_2011.change("taxpayer", registered_on="2011-01-01")
    assert judged(town_of_2011, "1", 0, fen(1)) == "not_met vat_too_low"


@pytest.mark.parametrize("n", range(1, 9))
@pytest.mark.parametrize("at", [IN_2014, IN_2016])
def test_from_2014_each_code_takes_its_step_of_last_year(
    tmp_path_factory: pytest.TempPathFactory, at: date, n: int
) -> None:
    for amount, expected in ((fen(n), "met"), (fen(n) - 1, "not_met vat_too_low")):
        town = World(tmp_path_factory.mktemp("town"), at)
        town.settle()
        town.found()
        assert judged(town, str(n), amount) == expected


@pytest.mark.parametrize("n", range(1, 9))
@pytest.mark.parametrize(
    ("registered", "short", "expected"),
    [
        ("2014-01-01", 0, "met"),
        ("2014-01-01", 1, "not_met vat_too_low"),
        ("2013-12-31", 0, "not_met vat_too_low"),
        (None, 0, MISSING),
        (None, 1, "not_met vat_too_low"),
    ],
)
def test_from_2014_a_new_enterprise_reaches_its_step_with_this_year(
    town: World, n: int, registered: str | None, short: int, expected: str
) -> None:
    town.change("taxpayer", registered_on=registered)
    assert judged(town, str(n), 0, fen(n) - short) == expected


@pytest.mark.parametrize("number", ["9", "12", "13", "100"])
def test_from_2014_eight_codes_are_the_most(town: World, number: str) -> None:
    assert judged(town, number, fen(100)) == "not_met too_many_codes"


@pytest.mark.parametrize("number", ["0", "01", "-1", "1.0", "一", "第2个", "12a"])
@pytest.mark.parametrize(("last", "expected"), [(fen(1) - 1, "not_met vat_too_low"), (fen(8), MISSING)])
def test_a_number_that_does_not_hold_is_no_only_where_not_even_the_first_step_is_reached(
    town: World, number: str, last: int, expected: str
) -> None:
    assert judged(town, number, last) == expected


@pytest.mark.parametrize("number", [None, "", " ", "1", " １ "])
def test_a_number_is_read_after_nfkc_and_a_missing_one_is_the_first(town: World, number: str | None) -> None:
    assert judged(town, number, fen(1)) == "met"


@pytest.mark.parametrize("n", range(1, 13))
def test_from_2021_twelve_codes_have_steps(town_of_2026: World, n: int) -> None:
    assert judged(town_of_2026, str(n), fen(n), ordinary="1") == "met"
    town_of_2026.change("vat", amount=str((fen(n) - 1) // 2))
    assert town_of_2026.verdict("vat_of_the_year") == "not_met vat_too_low"


@pytest.mark.parametrize(
    ("number", "ordinary", "expected"),
    [
        ("12", "6", "met"),
        ("12", "7", "not_met too_many_ordinary_codes"),
        ("6", None, "met"),
        ("7", None, "not_met too_many_ordinary_codes"),
        ("13", "1", "not_met too_many_codes"),
        ("13", "7", "not_met too_many_codes"),
        ("12", "x", MISSING),
    ],
)
def test_from_2021_at_most_twelve_and_six_of_them_ordinary(
    town_of_2026: World, number: str, ordinary: str | None, expected: str
) -> None:
    assert judged(town_of_2026, number, fen(100), ordinary=ordinary) == expected


@pytest.mark.parametrize("n", range(1, 13))
@pytest.mark.parametrize("industry", ["制造业", "信息传输、软件和信息技术服务业"])
def test_from_2021_investment_has_steps_of_its_own(town_of_2026: World, industry: str, n: int) -> None:
    town_of_2026.apply("enterprise", code_number=str(n), ordinary_number="1")
    town_of_2026.rows["vat"].clear()
    town_of_2026.change("taxpayer", industry=industry)
    town_of_2026.put("fixed_investment", organisation_code=UNIT, amount=str(invested(n)))
    assert town_of_2026.verdict("fixed_investment") == "met"
    assert town_of_2026.finding().status == "eligible"
    town_of_2026.change("fixed_investment", amount=str(invested(n) - 1))
    assert town_of_2026.verdict("fixed_investment") == "not_met investment_too_low"
    assert town_of_2026.finding().reason == "vat_too_low"


@pytest.mark.parametrize(
    ("change", "year", "expected"),
    [
        ({"industry": "建筑业"}, 2025, "not_met other_industry"),
        ({"industry": None}, 2025, MISSING),
        ({"industry": "制造业", "state": "非正常"}, 2025, "not_met taxpayer_state"),
        ({"industry": "制造业", "state": None}, 2025, MISSING),
        ({"industry": "制造业"}, 2024, "not_met investment_too_low"),
        ({"industry": "制造业"}, 2026, "not_met investment_too_low"),
        ({"industry": "不知道"}, 2025, "unknown doubtful_record"),
    ],
)
def test_whose_investment_counts_and_when(
    town_of_2026: World, change: dict[str, str | None], year: int, expected: str
) -> None:
    town_of_2026.apply("enterprise")
    town_of_2026.change("taxpayer", **change)
    amount, day = str(invested(5)), f"{year}-12-31"
    town_of_2026.put("fixed_investment", organisation_code=UNIT, amount=amount, invested_on=day)
    assert town_of_2026.verdict("fixed_investment") == expected


@pytest.mark.parametrize(
    ("tax", "investment", "status", "reason"),
    [
        (fen(1), "nothing", "eligible", None),
        (fen(1), "silent", "needs_person", "no_answer"),
        (0, "unclear", "needs_person", "missing_value"),
        (0, "nothing", "not_eligible", "vat_too_low"),
        (0, "enough", "eligible", None),
    ],
)
def test_tax_or_investment_is_one_of_them_met_or_none_can_be(
    town_of_2026: World, tax: int, investment: str, status: str, reason: str | None
) -> None:
    town_of_2026.apply("enterprise")
    town_of_2026.change("vat", amount=str(tax))
    town_of_2026.change("taxpayer", industry=None if investment == "unclear" else "制造业")
    if investment in ("enough", "unclear"):
        town_of_2026.put("fixed_investment", organisation_code=UNIT, amount=str(invested(1)))
    if investment == "silent":
        # One office answers for both.
        town_of_2026.silent.add("fixed_investment")
    finding = town_of_2026.finding()
    assert (finding.status, finding.reason) == (status, reason)


@pytest.mark.parametrize(
    ("number", "change", "expected"),
    [
        ("1", {}, "met"),
        ("2", {}, "not_met too_many_codes"),
        ("13", {}, "not_met too_many_codes"),
        ("x", {}, MISSING),
        ("2", {"status": "注销"}, "not_met body_cancelled"),
        ("2", {"valid_until": "2000-01-01"}, "not_met too_many_codes"),
        ("x", {"valid_until": "2000-01-01"}, "not_met body_expired"),
    ],
)
@pytest.mark.parametrize("at", [IN_2011, IN_2014, IN_2016, IN_2026])
def test_a_social_body_has_one_code_under_every_version(
    tmp_path: Path, at: date, number: str, change: dict[str, str], expected: str
) -> None:
    town = World(tmp_path, at)
    town.settle()
    town.found()
    town.apply("social_body", code_number=number)
    town.change("social_body", **change)
    assert town.verdict("social_body_registration") == expected
    assert town.finding().reason == (expected.partition(" ")[2] or None)


# One application, one code -----------------------------------------------------------------------------------------


def test_further_codes_of_a_unit_are_no_doubles_and_each_is_judged_by_its_own_step(town: World) -> None:
    codes = [town.apply("enterprise", code_number=number) for number in ("1", "2", "3")]
    town.change("vat", amount=str(fen(2)))
    found = town.findings()
    assert [found[code].status for code in codes] == ["eligible", "eligible", "not_eligible"]
    assert found[codes[2]].reason == "vat_too_low"


@pytest.mark.parametrize("number", ["2", "x", "13"])
def test_the_same_code_twice_is_a_double(town: World, number: str) -> None:
    town.apply("enterprise", code_number=number)
    second = town.apply("enterprise", code_number=number)
    assert town.findings()[second].reason == "duplicate_application"


def test_the_first_code_said_and_unsaid_is_the_same_one(town: World) -> None:
    town.apply("enterprise")
    second = town.apply("enterprise", code_number="1")
    assert town.findings()[second].reason == "duplicate_application"


def test_a_stranger_who_applies_for_another_code_of_a_unit_displaces_nobody(town: World) -> None:
    town.apply("enterprise")
    town.settle(stranger := citizen(7))
    town.apply("enterprise", code_number="2", handler_number=stranger)
    assert {finding.reason for finding in town.findings().values()} == {"conflicting_applications"}


def test_a_person_has_no_code_numbers(town: World) -> None:
    town.apply("resident", code_number="x", ordinary_number="99")
    assert town.finding().status == "eligible"


@pytest.mark.parametrize("at", [IN_2011, IN_2014, IN_2016, IN_2026])
def test_the_handler_is_identified_under_every_version(tmp_path: Path, at: date) -> None:
    town = World(tmp_path, at)
    town.settle()
    town.found()
    town.apply("enterprise", handler_name="李四")
    finding = town.finding()
    assert spoken(finding.verdicts["handler_identity"]) == "unknown identity_not_confirmed"
    assert {spoken(verdict) for verdict in list(finding.verdicts.values())[1:]} == {"unknown not_asked"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": "吊销"}, "not_met licence_revoked"),
        ({"status": "注销"}, "not_met licence_cancelled"),
        ({"registered_division": "130105"}, "not_met registered_elsewhere"),
        ({"status": None}, MISSING),
        ({}, "met"),
    ],
)
def test_the_credit_code_is_judged_as_the_licence_was(
    town_of_2016: World, change: dict[str, str | None], expected: str
) -> None:
    town_of_2016.apply("enterprise")
    town_of_2016.change("credit_code", **change)
    assert_found(town_of_2016.finding(), "credit_code", expected)


def test_other_units_do_not_matter(town_of_2026: World) -> None:
    town_of_2026.apply("enterprise")
    town_of_2026.put("credit_code", credit_code=credit_code(OTHER_UNIT), status="吊销")
    town_of_2026.put("vat", organisation_code=OTHER_UNIT, amount="-5000000")
    assert town_of_2026.finding().status == "eligible"


@pytest.mark.parametrize("failed", [0, 24, 25, 99])
def test_in_2011_everybody_has_one_ball(failed: int) -> None:
    assert balls(IN_2011, "persons", failed) == balls(IN_2011, "units", failed) == 1
