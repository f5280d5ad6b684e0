"""Columns bounded on one side only: what lies beyond the bound fails, what lies beyond the other end does not."""

from datetime import date

import pytest

from tests.rules.cast import a_compiled, a_row, both
from tongban.rules.facts import HALF, Column, FactTable, Type
from tongban.rules.verdict import Verdict, pack, unknown

MET, BAD, MISSING = pack(Verdict.MET), unknown("bad_value"), unknown("missing_value")
TABLE = FactTable(
    "public_security/driving_licence",
    ("citizen",),
    (
        Column("floored", Type.INT, low=10),
        Column("capped", Type.INT, high=20),
        Column("born", Type.DATE, low=date(1990, 1, 1)),
        Column("ended", Type.DATE, high=date(2010, 12, 31)),
        Column("free", Type.INT),
    ),
)


@pytest.mark.parametrize(
    ("met", "column", "value", "expected"),
    [
        ("floored + 1 > 0", "floored", 10, MET),
        ("floored + 1 > 0", "floored", 9, BAD),
        ("floored + 1 > 0", "floored", 2**40, MET),
        ("floored + 1 > 0", "floored", None, MISSING),
        ("capped + 1 < 100", "capped", 20, MET),
        ("capped + 1 < 100", "capped", 21, BAD),
        ("capped + 1 < 100", "capped", -(2**40), MET),
        ("capped + 1 < 100", "capped", None, MISSING),
        ("year_of(born) > 0", "born", date(1990, 1, 1), MET),
        ("year_of(born) > 0", "born", date(1989, 12, 31), BAD),
        ("year_of(born) > 0", "born", date(2400, 1, 1), MET),
        ("year_of(ended) > 0", "ended", date(2010, 12, 31), MET),
        ("year_of(ended) > 0", "ended", date(2011, 1, 1), BAD),
        ("year_of(ended) > 0", "ended", date(1, 1, 1), MET),
        ("free + 1 > -9", "free", -10, pack(Verdict.NOT_MET, 1)),
        ("free + 1 > 0", "free", 2**63 - 2, MET),
        ("free + 1 > 0", "free", 2**63 - 1, BAD),
        ("free - 1 < 0", "free", 1 - 2**63, MET),
        ("free - 1 < 0", "free", -(2**63), BAD),
    ],
)
def test_a_value_fails_beyond_its_one_bound_and_nowhere_else(tmp_path, met, column, value, expected):
    compiled = a_compiled(tmp_path, facts=TABLE, met=met, reasons=[])
    row = {"floored": 10, "capped": 20, "born": date(2000, 1, 1), "ended": date(2000, 1, 1), "free": 0}
    assert both(compiled, {**row, column: value}) == expected


@pytest.mark.parametrize("part", ["paid_low", "paid_high", "paid_first"])
def test_months_paid_are_missing_when_any_part_of_them_is(tmp_path, part):
    means = [{"column": "paid", "meaning": "没有记录即未缴", "article": "第九条"}]
    compiled = a_compiled(tmp_path, met="paid IS NULL", missing_means=means, reasons=[])
    assert both(compiled, a_row()) == pack(Verdict.NOT_MET, 1)
    assert both(compiled, a_row(**{part: None})) == MET


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, MET),
        ({"paid_low": 2**HALF - 1}, MET),
        ({"paid_low": 2**HALF}, BAD),
        ({"paid_low": -1}, BAD),
        ({"paid_high": 2**HALF}, BAD),
        ({"paid_high": -1}, BAD),
        ({"paid_low": None}, MISSING),
        ({"paid_high": None}, MISSING),
        ({"paid_first": None}, MISSING),
    ],
)
def test_months_paid_fail_when_a_half_of_them_holds_more_than_its_months(tmp_path, change, expected):
    compiled = a_compiled(tmp_path, met="month_paid(paid, {at})", reasons=[])
    assert both(compiled, a_row(**change)) == expected
