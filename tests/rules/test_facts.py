"""Definitions of fact tables, and the one physical form of each type."""

from datetime import date

import pytest

from tongban.kit import canonical
from tongban.rules.facts import (
    Column,
    FactTable,
    Type,
    from_plain,
    month_bits,
    read_column,
    read_table,
    to_plain,
    year_bits,
)

FIRST = date(2004, 7, 1)


def test_a_months_column_lies_in_two_halves_and_a_first_month():
    assert Column("paid", Type.MONTHS).physical() == (
        ("paid_low", "BIGINT"), ("paid_high", "BIGINT"), ("paid_first", "DATE"),
    )  # fmt: skip


def test_bit_59_is_the_last_of_the_low_half_and_bit_60_the_first_of_the_high_one():
    assert month_bits([date(2004, 7, 1)], FIRST) == (1, 0)
    assert month_bits([date(2009, 6, 1)], FIRST) == (1 << 59, 0)
    assert month_bits([date(2009, 7, 1)], FIRST) == (0, 1)
    assert month_bits([date(2014, 6, 1)], FIRST) == (0, 1 << 59)


@pytest.mark.parametrize("month", [date(2004, 6, 1), date(2014, 7, 1)])
def test_a_month_outside_the_120_is_not_held(month):
    with pytest.raises(ValueError, match="outside the bitmap"):
        month_bits([month], FIRST)


def test_years_are_bits_from_2000_to_2062():
    assert year_bits([2000, 2062]) == 1 | 1 << 62
    for year in (1999, 2063):
        with pytest.raises(ValueError, match="2000 to 2062"):
            year_bits([year])


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ({"name": "k", "type": "int"}, "cannot be called 'k'"),
        ({"name": "Größe", "type": "int"}, "cannot be called"),
        ({"name": "end", "type": "int"}, "no word of the language"),
        ({"name": "asked", "type": "int"}, "no word of the language"),
        ({"name": "a", "type": "float"}, "type must be one of"),
        ({"name": "a", "type": "code"}, "needs a list of codes"),
        ({"name": "a", "type": "text", "codes": ["x"]}, "only code has one"),
        ({"name": "a", "type": "code", "codes": ["x", "x"]}, "must differ"),
        ({"name": "a", "type": "int", "low": 5, "high": 4}, "low above high"),
        ({"name": "a", "type": "text", "low": 5}, "cannot be bounded"),
        ({"name": "a", "type": "int", "low": "5"}, "expected int"),
        ({"name": "a", "type": "int", "low": True}, "expected int"),
        ({"name": "a", "type": "int", "high": 2**53}, "beyond 2\\^53"),
        ({"name": "a", "type": "date", "low": 5}, "expected str"),
        ({"name": "a", "type": "int", "width": 5}, "a column has no width"),
        ({"name": "a", "type": "int", "nullable": "no"}, "true or false"),
    ],
)
def test_a_column_that_does_not_hold_is_refused(written, what):
    with pytest.raises(ValueError, match=what):
        read_column(written)


def test_two_columns_may_not_meet_in_one_physical_name():
    columns = (Column("paid", Type.MONTHS), Column("paid_low", Type.INT))
    assert "paid_low twice" in str(FactTable("a", ("citizen",), columns).wrong())


def test_a_definition_comes_back_from_its_canonical_form_and_order_does_not_matter():
    columns = (
        Column("b", Type.CODE, False, codes=("x", "正常"), title="状态", title_en="State"),
        Column("a", Type.DATE, low=date(1900, 1, 1)),
    )
    table = FactTable("dept/thing", ("passport", "citizen"), columns)
    again = read_table(table.to_json())
    assert canonical.digest(again.to_json()) == canonical.digest(table.to_json())
    assert set(again.columns) == set(columns)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(date(2014, 6, 8), Type.DATE), (5, Type.INT), (True, Type.BOOL), ("x", Type.TEXT), (None, Type.INT)],
)
def test_a_value_comes_back_from_json(value, kind):
    assert from_plain(to_plain(value), kind) == value


@pytest.mark.parametrize(
    ("value", "kind"),
    [(1, Type.BOOL), (True, Type.INT), ("1", Type.INT), (2**63, Type.INT), ("2014-6-8", Type.DATE), (5, Type.TEXT)],
)
def test_a_value_of_another_type_is_not_bent_into_shape(value, kind):
    with pytest.raises(ValueError):
        from_plain(value, kind)
