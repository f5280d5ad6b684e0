"""The tables of what can be true, and the reason that follows."""

import re
from pathlib import Path

import numpy as np
import pytest

from tongban.demo import situations, sizes
from tongban.demo.situations import Lot
from tongban.demo.sizes import WORLDS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "car_lottery.md"
BY_YEAR = {day.year: world for day, world in WORLDS.items()}
TABLES = {
    table
    for world in WORLDS.values()
    for groups in situations.asked(world).values()
    for group in groups
    for table in group
}
#: Reasons of section 9 that are no fact about anybody: they come of dirt, silence or the list itself.
OF_NO_FACT = {
    "register_unavailable",
    "snapshot_gone",
    *("no_answer", "bad_identifier", "stale_snapshot", "bad_value", "doubtful_record", "missing_value"),
    *("not_asked", "no_applicable_rule", "duplicate_application"),
    *("conflicting_applications", "no_vehicle_record"),
}


def a_lot(kind: str, year: int = 2014, **names: str) -> Lot:
    """One applicant in the named situations, otherwise in order."""
    tables = situations.asked(BY_YEAR[year])[kind]
    codes = {
        table.name: np.array([table.code(names[table.name]) if table.name in names else 0], np.int8)
        for group in tables
        for table in group
    }
    return Lot(kind, tables, codes, np.zeros(1, np.bool_), np.ones(1, np.int64), np.ones(1, np.int64))


def test_every_reason_of_the_rules_can_be_true_of_somebody():
    section = PAGE.read_text("utf-8").split("## 9.")[1].split("## 10.")[0]
    written = set(re.findall(r"^\| `(\w+)`", section, re.M))
    drawn = {situation.reason for table in TABLES for situation in table.situations} - {""}
    assert written - OF_NO_FACT == drawn


@pytest.mark.parametrize("table", sorted(TABLES, key=lambda table: table.name), ids=lambda table: table.name)
def test_the_first_situation_is_the_one_in_order(table):
    # Of investment the ordinary situation is that of those whom it does not concern.
    assert table.situations[0].reason == ("other_industry" if table is situations.INVESTMENT else "")
    assert len({situation.name for situation in table.situations}) == len(table.situations)


@pytest.mark.parametrize(
    ("kind", "names", "cause"),
    [
        ("resident", {}, ""),
        ("enterprise", {"vat": "deregistered"}, "tax_registration_cancelled"),
        ("enterprise", {"year": 2016, "vat": "deregistered"}, "taxpayer_state"),
        ("enterprise", {"vat": "new_and_enough"}, ""),
        ("enterprise", {"year": 2011, "vat": "new_and_enough"}, "vat_too_low"),
        ("enterprise", {"year": 2011, "vat": "more_codes_than_allowed"}, "number_beyond_steps"),
        ("enterprise", {"year": 2026, "vat": "more_codes_than_allowed"}, "too_many_codes"),
        ("enterprise", {"year": 2026, "vat": "low", "fixed_investment": "exactly_enough"}, ""),
        ("enterprise", {"year": 2026, "vat": "low", "fixed_investment": "one_fen_short"}, "vat_too_low"),
        ("enterprise", {"year": 2026, "vat": "deregistered", "fixed_investment": "enough"}, "taxpayer_state"),
        ("enterprise", {"year": 2026, "vat": "not_held", "fixed_investment": "enough"}, "no_record"),
        ("social_body", {"social_body": "second_code"}, "too_many_codes"),
        ("resident", {"driving_licence": "none", "vehicle": "car"}, "no_licence"),
        ("resident", {"household": "elsewhere", "population": "deceased"}, "deceased"),
        ("residence_permit", {"income_tax": "none", "social_insurance": "gap"}, "insurance_interrupted"),
        ("enterprise", {"business_licence": "not_held", "vat": "low"}, "vat_too_low"),
        ("enterprise", {"business_licence": "not_held"}, "no_record"),
    ],
)
def test_the_first_reason_in_the_order_of_decisions_is_the_cause(kind, names, cause):
    assert situations.causes(a_lot(kind, **names)).tolist() == [cause]


def test_nothing_further_is_asked_of_somebody_whose_identity_is_not_confirmed():
    lot = a_lot("resident", population="number_of_nobody", driving_licence="none")
    assert situations.causes(lot).tolist() == ["identity_not_confirmed"]


def test_a_number_of_nobody_has_no_household_that_could_decide():
    lot = situations.draw_lot(np.random.default_rng(3), BY_YEAR[2014], "resident", 20_000, 1)
    nobody = lot.codes["population"] == situations.POPULATION.code("number_of_nobody")
    assert nobody.any()
    assert set(situations.causes(lot)[nobody]) == {"identity_not_confirmed"}


@pytest.mark.parametrize("year", BY_YEAR)
@pytest.mark.parametrize("kind", sizes.SHARES)
def test_every_situation_is_planted_with_all_else_in_order(kind, year):
    world = BY_YEAR[year]
    lot = situations.draw_lot(np.random.default_rng(2), world, kind, situations.least(world, kind, 2), 2)
    for table in situations.planted_tables(world)[kind]:
        for code in range(len(table.situations)):
            here = lot.planted & (lot.codes[table.name] == code)
            others = {name: codes[here] for name, codes in lot.codes.items() if name != table.name}
            if table is situations.INVESTMENT:
                # It matters only to those who pay too little.
                others["vat"] = others["vat"] - situations.VAT.code("low")
            assert sum(np.all([codes == 0 for codes in others.values()], axis=0)) >= 2


@pytest.mark.parametrize("year", BY_YEAR)
def test_code_numbers_are_what_the_version_allows_but_for_those_of_whom_the_truth_is_that_they_are_too_many(year):
    world = BY_YEAR[year]
    lot = situations.draw_lot(np.random.default_rng(4), world, "enterprise", 5_000, 1)
    most, table = situations.most_codes(world), situations.vat_table(world)
    beyond = lot.codes["vat"] == table.code("more_codes_than_allowed")
    assert (lot.code_numbers > most).tolist() == beyond.tolist()
    assert set(lot.code_numbers[~beyond].tolist()) == set(range(1, most + 1))
    if year == 2026:
        ordinary = lot.codes["vat"] == table.code("more_ordinary_codes_than_allowed")
        assert (lot.ordinary_numbers > 6).tolist() == ordinary.tolist()
    assert (lot.ordinary_numbers <= lot.code_numbers).all()
