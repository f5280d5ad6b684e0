"""Three answers, yes, no and not known: each word of the language as a table, alone and in a batch."""

from datetime import date

import pytest

from tests.rules.cast import a_compiled, both
from tongban.rules.facts import Column, FactTable, Type
from tongban.rules.verdict import Verdict, pack, unknown

TABLE = FactTable(
    "public_security/driving_licence",
    ("citizen",),
    (
        Column("a", Type.BOOL),
        Column("b", Type.BOOL),
        Column("n", Type.INT),
        Column("low", Type.INT),
        Column("high", Type.INT),
        Column("word", Type.TEXT),
        Column("day", Type.DATE),
    ),
)
NOTHING = dict.fromkeys(column.name for column in TABLE.columns)
SAID = {True: pack(Verdict.MET), False: pack(Verdict.NOT_MET, 1), None: unknown("missing_value")}
MEANT = [{"column": name, "meaning": "没有", "article": "第九条"} for name in NOTHING]


def said(folder, met: str, **row: object) -> bool | None:
    compiled = a_compiled(folder, facts=TABLE, met=met, reasons=[], missing_means=MEANT)
    byte = both(compiled, {**NOTHING, **row})
    return next(answer for answer, expected in SAID.items() if expected == byte)


@pytest.mark.parametrize(("a", "expected"), [(True, False), (False, True), (None, None)])
def test_not(tmp_path, a, expected):
    assert said(tmp_path, "NOT a", a=a) is expected


BOTH_AND = {
    (True, True): True, (True, False): False, (True, None): None, (False, True): False, (False, False): False,
    (False, None): False, (None, True): None, (None, False): False, (None, None): None,
}  # fmt: skip
BOTH_OR = {
    (True, True): True, (True, False): True, (True, None): True, (False, True): True, (False, False): False,
    (False, None): None, (None, True): True, (None, False): None, (None, None): None,
}  # fmt: skip


@pytest.mark.parametrize(("sides", "expected"), BOTH_AND.items())
def test_and(tmp_path, sides, expected):
    assert said(tmp_path, "a AND b", a=sides[0], b=sides[1]) is expected


@pytest.mark.parametrize(("sides", "expected"), BOTH_OR.items())
def test_or(tmp_path, sides, expected):
    assert said(tmp_path, "a OR b", a=sides[0], b=sides[1]) is expected


@pytest.mark.parametrize(
    ("op", "less", "same", "more"),
    [
        ("=", False, True, False),
        ("<>", True, False, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_comparisons(tmp_path, op, less, same, more):
    assert [said(tmp_path, f"n {op} 5", n=n) for n in (4, 5, 6, None)] == [less, same, more, None]
    assert [said(tmp_path, f"n {op} high", n=n, high=5) for n in (4, 5, 6, None)] == [less, same, more, None]
    assert said(tmp_path, f"n {op} high", n=5) is None


@pytest.mark.parametrize(
    ("n", "low", "high", "expected"),
    [
        (5, 5, 5, True),
        (5, 4, 6, True),
        (4, 5, 6, False),
        (7, 5, 6, False),
        (5, 6, 4, False),
        (None, 5, 6, None),
        (5, None, 6, None),
        (5, 4, None, None),
        # What is known may be enough to say no.
        (7, None, 6, False),
        (4, 5, None, False),
        (5, None, None, None),
    ],
)
def test_between(tmp_path, n, low, high, expected):
    assert said(tmp_path, "n BETWEEN low AND high", n=n, low=low, high=high) is expected


@pytest.mark.parametrize(("word", "expected"), [("甲", True), ("乙", True), ("丙", False), (None, None)])
def test_in(tmp_path, word, expected):
    assert said(tmp_path, "word IN ('甲', '乙')", word=word) is expected


def test_a_quotation_mark_in_a_text_is_a_letter_like_any_other(tmp_path):
    assert said(tmp_path, "word = 'it''s'", word="it's") is True
    assert said(tmp_path, "word IN ('it''s', '''')", word="'") is True
    assert said(tmp_path, "word = 'it''s'", word="it''s") is False


@pytest.mark.parametrize(("a", "expected"), [(True, False), (False, False), (None, True)])
def test_is_null(tmp_path, a, expected):
    assert said(tmp_path, "a IS NULL", a=a) is expected
    assert said(tmp_path, "a IS NOT NULL", a=a) is not expected


@pytest.mark.parametrize(
    ("row", "with_else", "without"),
    [
        ({"a": True, "b": True, "n": 1, "low": 0, "high": 0}, True, True),
        ({"a": True, "b": True, "n": 0, "low": 1, "high": 1}, False, False),
        ({"a": False, "b": True, "n": 0, "low": 1, "high": 0}, True, True),
        ({"a": None, "b": True, "n": 0, "low": 1, "high": 0}, True, True),
        ({"a": False, "b": False, "n": 0, "low": 0, "high": 1}, True, None),
        ({"a": None, "b": None, "n": 1, "low": 1, "high": 0}, False, None),
        ({"a": True, "b": None, "low": 1, "high": 1}, None, None),
    ],
)
def test_case(tmp_path, row, with_else, without):
    whens = "CASE WHEN a THEN n = 1 WHEN b THEN low = 1"
    assert said(tmp_path, f"{whens} ELSE high = 1 END", **row) is with_else
    assert said(tmp_path, f"{whens} END", **row) is without


@pytest.mark.parametrize(("a", "expected"), [(True, None), (False, True), (None, True)])
def test_case_may_say_that_nothing_is_known(tmp_path, a, expected):
    assert said(tmp_path, "CASE WHEN a THEN NULL ELSE TRUE END", a=a) is expected
    assert said(tmp_path, "CASE WHEN NOT COALESCE(a, TRUE) THEN TRUE ELSE NULL END", a=a) is (
        True if a is False else None
    )


@pytest.mark.parametrize(
    ("n", "low", "high", "expected"),
    [(5, 1, 1, True), (None, 5, 1, True), (None, None, 5, True), (1, 5, 5, False), (None, None, None, None)],
)
def test_coalesce(tmp_path, n, low, high, expected):
    assert said(tmp_path, "COALESCE(n, low, high) = 5", n=n, low=low, high=high) is expected


@pytest.mark.parametrize(
    ("met", "expected"),
    [("n + low = 8", True), ("n - low = 2", True), ("n * low = 15", True), ("- n = -5", True), ("n + high > 0", None)],
)
def test_arithmetic(tmp_path, met, expected):
    assert said(tmp_path, met, n=5, low=3) is expected


@pytest.mark.parametrize(
    ("met", "expected"),
    [
        ("days_between(day, {at}) = 1", True),
        ("day < DATE '2014-06-01'", True),
        ("add_months(day, n) = DATE '2014-07-31'", True),
        ("add_months(day, low) = day", None),
        ("year_of(day) = 2014", True),
    ],
)
def test_functions_answer_only_when_they_are_told_everything(tmp_path, met, expected):
    assert said(tmp_path, met, day=date(2014, 5, 31), n=2) is expected
    assert said(tmp_path, met, n=2) is None
