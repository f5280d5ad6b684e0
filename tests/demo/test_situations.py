"""The tables of what can be true, and the reason that follows."""

import re
from pathlib import Path

import numpy as np
import pytest

from tongban.demo import situations
from tongban.demo.situations import Lot

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "car_lottery.md"
TABLES = {table for groups in situations.ASKED.values() for group in groups for table in group}
#: Reasons of section 9 that are no fact about anybody: they come of dirt, silence or the list itself.
OF_NO_FACT = {
    "register_unavailable",
    "snapshot_gone",
    *("no_answer", "bad_identifier", "stale_snapshot", "bad_value", "doubtful_record", "missing_value"),
    *("not_asked", "no_applicable_rule", "duplicate_application"),
    *("conflicting_applications", "no_vehicle_record"),
}


def a_lot(kind: str, **names: str) -> Lot:
    """One applicant in the named situations, otherwise in order."""
    codes = {
        table.name: np.array([table.code(names[table.name]) if table.name in names else 0], np.int8)
        for group in situations.ASKED[kind]
        for table in group
    }
    return Lot(kind, codes, np.zeros(1, np.bool_))


def test_every_reason_of_the_rules_can_be_true_of_somebody():
    section = PAGE.read_text("utf-8").split("## 9.")[1].split("## 10.")[0]
    written = set(re.findall(r"^\| `(\w+)`", section, re.M))
    drawn = {situation.reason for table in TABLES for situation in table.situations} - {""}
    assert written - OF_NO_FACT == drawn


@pytest.mark.parametrize("table", sorted(TABLES, key=lambda table: table.name), ids=lambda table: table.name)
def test_the_first_situation_is_the_one_in_order(table):
    assert table.situations[0].reason == ""
    assert len({situation.name for situation in table.situations}) == len(table.situations)


@pytest.mark.parametrize(
    ("kind", "names", "cause"),
    [
        ("resident", {}, ""),
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
    lot = situations.draw_lot(np.random.default_rng(3), "resident", 20_000, 1)
    nobody = lot.codes["population"] == situations.POPULATION.code("number_of_nobody")
    assert nobody.any()
    assert set(situations.causes(lot)[nobody]) == {"identity_not_confirmed"}


@pytest.mark.parametrize("kind", situations.PLANTED)
def test_every_situation_is_planted_with_all_else_in_order(kind):
    lot = situations.draw_lot(np.random.default_rng(2), kind, situations.least(kind, 2), 2)
    for table in situations.PLANTED[kind]:
        for code in range(len(table.situations)):
            here = lot.planted & (lot.codes[table.name] == code)
            others = [codes[here] for name, codes in lot.codes.items() if name != table.name]
            assert sum(np.all([codes == 0 for codes in others], axis=0)) >= 2
