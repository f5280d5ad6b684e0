"""Situations: convenient to write, run through every engine, and plain about what went wrong."""

from datetime import date

import pytest

from tests.rules.cast import LICENCES, a_compiled, a_rule
from tongban.rules import situations, spelling
from tongban.rules.compile import compile, compile_applies
from tongban.rules.facts import Column, Type, month_bits

AT = date(2014, 6, 1)
USUAL = {"status": "正常", "licence_class": "C1", "valid_until": date(2020, 1, 1)}


def problems(tmp_path, *told, usual=USUAL, **change):
    compiled = a_compiled(tmp_path, situations=[{"name": "a", "at": AT, **one} for one in told], usual=usual, **change)
    return [problem.what for problem in situations.check(compiled)]


@pytest.mark.parametrize(
    "told",
    [
        {"then": "met"},
        {"valid_until": AT, "then": "met"},
        {"valid_until": date(2014, 5, 31), "then": "not_met", "reason": "licence_expired"},
        {"valid_until": None, "then": "unknown", "reason": "missing_value"},
        {"status": "注销", "then": "not_met", "reason": "licence_status"},
        {"facts": {"status": "注销"}, "then": "not_met", "reason": "licence_status"},
        {"no_record": True, "then": "unknown", "reason": "no_record"},
        {"doubtful": True, "then": "unknown", "reason": "doubtful_record"},
        {"unavailable": True, "then": "unknown", "reason": "no_answer"},
        {"status": "unavailable", "then": "unknown", "reason": "no_answer"},
        {"snapshot": date(2014, 4, 21), "then": "unknown", "reason": "stale_snapshot"},
        {"snapshot": date(2014, 4, 22), "then": "met"},
    ],
)
def test_a_situation_that_comes_out_as_told_is_no_problem(tmp_path, told):
    assert problems(tmp_path, told) == []


@pytest.mark.parametrize(
    ("told", "what"),
    [
        (
            {"valid_until": AT, "then": "not_met", "reason": "licence_expired"},
            "expects not_met .licence_expired., and the rule says met",
        ),
        ({"no_record": True, "then": "not_met", "reason": "licence_status"}, "and the rule says unknown .no_record."),
        ({"then": "not_met"}, "needs the code of a reason"),
        ({"then": "yes"}, "`then` is one of"),
        ({"then": "unknown", "reason": "lost"}, "there is no reason 'lost'"),
        ({"stauts": "正常", "then": "met"}, "no column stauts"),
        ({"status": "失效", "then": "met"}, "not one of its codes"),
        ({"valid_until": "tomorrow", "then": "met"}, "valid_until: "),
        ({"valid_until": 20140601, "then": "met"}, "valid_until: expected str"),
        ({"no_record": "yes", "then": "met"}, "no_record is true or false"),
        ({"asked": {"name": "张三"}, "then": "met"}, "does not ask for name"),
        ({"at": "2014-06", "then": "met"}, "needs a name, and a day"),
    ],
)
def test_a_situation_that_does_not_hold_says_why(tmp_path, told, what):
    found = problems(tmp_path, told)
    assert len(found) == 1
    import re

    assert re.search(what, found[0]), found[0]


def test_a_column_that_decides_must_be_told(tmp_path):
    assert (
        "does not say what valid_until is"
        in problems(tmp_path, {"then": "met"}, usual={"status": "正常", "licence_class": "C1"})[0]
    )


def test_the_place_of_a_failing_situation_is_its_line(tmp_path):
    wrong = {"name": "b", "at": AT, "then": "unknown", "reason": "missing_value"}
    compiled = a_compiled(tmp_path, situations=[{"name": "a", "at": AT, "then": "met"}, wrong], usual=USUAL)
    problem = situations.check(compiled)[0]
    lines = (tmp_path / "licence@2014-01-01.yaml").read_text().splitlines()
    assert lines[problem.line - 1].strip() == "- name: b"
    assert str(problem).startswith(f"{problem.file}:{problem.line}: situation 'b' expects unknown")


def test_asked_columns_stand_under_asked(tmp_path):
    change = {"asks": [{"name": "name", "type": "text"}], "matched_by": "name = asked.name"}
    told = [
        {"facts": {"name": "张三"}, "asked": {"name": "张三"}, "then": "met"},
        {"facts": {"name": "张三"}, "asked": {"name": "李四"}, "then": "unknown", "reason": "no_record"},
    ]
    assert problems(tmp_path, *told, **change) == []
    assert "does not say what name is" in problems(tmp_path, {"facts": {"name": "张三"}, "then": "met"}, **change)[0]


def test_an_application_says_whom_the_rule_concerns(tmp_path):
    told = [
        {"application": {"kind": "unit"}, "then": "not_applicable"},
        {"application": {"kind": "person"}, "then": "met"},
        {"application": {"kind": None}, "then": "unknown", "reason": "missing_value"},
        {"application": {"knd": "unit"}, "then": "met"},
    ]
    columns = (Column("kind", Type.CODE, codes=("person", "unit")),)
    rule = a_rule(
        tmp_path, applies="kind <> 'unit'", situations=[{"name": "a", "at": AT, **one} for one in told], usual=USUAL
    )
    found = situations.check(compile(rule, LICENCES), compile_applies(rule, columns), columns)
    assert [problem.what for problem in found] == ["situation 'a': the application has no column knd"]


PAID = Column("paid", Type.MONTHS)


def months(written, at=AT):
    return spelling.physical(PAID, written, at)


def test_months_are_written_as_spans_and_the_bitmap_ends_with_the_evaluation_month():
    expected = month_bits([date(2014, month, 1) for month in (3, 4, 5)], date(2004, 7, 1))
    row = {"paid_low": expected[0], "paid_high": expected[1], "paid_first": date(2004, 7, 1)}
    assert (
        months("2014-03..2014-05")
        == months(["2014-03", "2014-04..2014-05"])
        == months("2014-03, 2014-04,2014-05")
        == row
    )
    assert months("none") == {**row, "paid_low": 0, "paid_high": 0}
    assert months(None) == {"paid_low": None, "paid_high": None, "paid_first": None}
    assert months({"first": "2014-03", "paid": "2014-03..2014-05"})["paid_low"] == 0b111


@pytest.mark.parametrize(
    "written", ["2014", "2014-13", "2014-05..2014-03", "2014-07", "2004-06", {"first": "2014-03"}, 5, "0000-01"]
)
def test_months_that_do_not_hold_are_refused(written):
    with pytest.raises(ValueError, match=r"month|bitmap|ends before|write"):
        months(written)


def test_years_and_amounts_are_written_by_year():
    years, amounts = Column("years", Type.YEARS), Column("tax", Type.YEAR_AMOUNTS)
    assert spelling.physical(years, "2009..2011, 2013", AT) == {"years": 0b10111 << 9}
    assert spelling.physical(years, 2000, AT) == {"years": 1}
    assert spelling.physical(years, "none", AT) == {"years": 0}
    assert spelling.physical(amounts, {"2001..2002": 5, 2003: None, "rest": 0}, AT) == {"tax": [0, 5, 5, None]}
    assert spelling.physical(amounts, {2001: 7}, AT) == {"tax": [None, 7]}
    for wrong in ("1999", "x", "2063"):
        with pytest.raises(ValueError, match="year"):
            spelling.physical(years, wrong, AT)
    for wrong in (5, {}, {1999: 1}, {2001: "x"}):
        with pytest.raises(ValueError, match=r"write|begin|expected"):
            spelling.physical(amounts, wrong, AT)


def test_a_column_that_is_never_missing_cannot_be_null():
    with pytest.raises(ValueError, match="never missing"):
        spelling.physical(Column("sure", Type.BOOL, nullable=False), None, AT)
