"""Each function against a slow one written from its words, and against DuckDB, at its edges and beyond."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rules import generated
from tests.rules.cast import AT, in_batch
from tests.rules.generated import T
from tongban.rules import meaning
from tongban.rules.compile import compile
from tongban.rules.facts import Column, FactTable, month_bits, month_index, year_bits
from tongban.rules.meaning import OutOfDomain
from tongban.rules.rule import NoRecord, Rule, Silence
from tongban.rules.verdict import Verdict, pack, unknown
from tongban.rules.vocabulary import VOCABULARY

days = st.dates(date(1890, 1, 1), date(2110, 12, 31))

# -- slow and obvious


def stepped(since: date, at: date) -> Iterator[date]:
    """The anniversaries of `since` up to `at`, one after another."""
    for year in range(since.year + 1, at.year + 1):
        try:
            day = since.replace(year=year)
        except ValueError:
            day = date(year, 2, 28)
        if day <= at:
            yield day


@given(days, days)
def test_anniversaries_are_the_days_themselves_counted(since, at):
    if since > at:
        with pytest.raises(OutOfDomain):
            meaning.anniversaries(since, at)
    else:
        assert meaning.anniversaries(since, at) == len(list(stepped(since, at)))


@given(days, days)
def test_a_year_of_age_is_complete_on_the_day_after_the_birthday(born, at):
    if born < at:
        assert meaning.full_years(born, at) == len(list(stepped(born, at - timedelta(days=1))))


@pytest.mark.parametrize(
    ("born", "at", "years", "counted"),
    [
        (date(1996, 6, 1), date(2014, 6, 1), 17, 18),
        (date(1996, 6, 1), date(2014, 6, 2), 18, 18),
        (date(1996, 2, 29), date(2014, 2, 28), 17, 18),
        (date(1996, 2, 29), date(2014, 3, 1), 18, 18),
        (date(1996, 2, 29), date(2016, 2, 28), 19, 19),
        (date(1996, 2, 29), date(2016, 2, 29), 19, 20),
        (date(1996, 12, 31), date(2014, 12, 31), 17, 18),
        (date(1996, 12, 31), date(2015, 1, 1), 18, 18),
    ],
)
def test_the_two_conventions_of_age_differ_by_one_day(born, at, years, counted):
    assert (meaning.full_years(born, at), meaning.anniversaries(born, at)) == (years, counted)


@given(days, st.integers(-1500, 1500))
def test_a_month_later_is_the_same_day_or_the_last_of_the_month(day, months):
    found = meaning.add_months(day, months)
    assert month_index(found) == month_index(day) + months
    last = (meaning.month_start(found) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    assert found.day == min(day.day, last.day)


def test_a_date_before_the_year_1_or_after_9999_has_no_answer():
    for day, months in ((date(1, 1, 31), -1), (date(9999, 12, 1), 1), (date(2000, 1, 1), 120_000)):
        with pytest.raises(OutOfDomain):
            meaning.add_months(day, months)


paid_months = st.tuples(st.sets(st.integers(0, 119)), st.integers(-10, 130))
FIRST = date(2008, 3, 1)


def month(n: int) -> date:
    return meaning.add_months(FIRST, n)


@given(paid_months, st.integers(1, 120))
def test_months_in_a_row_are_those_a_clerk_would_tick_off(paid_until, wanted):
    paid, until = paid_until
    low, high = month_bits([month(n) for n in paid], FIRST)
    value = (low | high << 60, month_index(FIRST))
    run = 0
    while until - run in paid:
        run += 1
    known = 0 <= until < 120
    assert meaning.months_unbroken(value, month(until)) == (run if known else None)
    assert meaning.month_paid(value, month(until)) == (until in paid if known else None)
    span = range(until - wanted + 1, until + 1)
    gap = any(n not in paid for n in span if 0 <= n < 120)
    whole = all(0 <= n < 120 for n in span)
    assert meaning.months_all_paid(value, month(until), wanted) == (False if gap else True if whole else None)
    counted = sum(n in paid for n in span) if whole else None
    assert meaning.months_count(value, month(span[0]), month(until)) == counted


@given(st.sets(st.integers(2000, 2062)), st.integers(1990, 2070), st.integers(0, 70))
def test_years_are_covered_if_none_is_missing(years, since, more):
    bits, span = year_bits(sorted(years)), range(since, since + more + 1)
    gap = any(year not in years for year in span if 2000 <= year <= 2062)
    whole = all(2000 <= year <= 2062 for year in span)
    assert meaning.years_covered(bits, span[0], span[-1]) == (False if gap else True if whole else None)
    assert meaning.years_count(bits, span[0], span[-1]) == (len(years & set(span)) if whole else None)


def test_an_unknown_month_before_the_register_begins_is_no_gap():
    six = (0b111111, month_index(FIRST))
    assert meaning.months_all_paid(six, month(5), 6) is True
    assert meaning.months_all_paid(six, month(5), 7) is None
    assert meaning.months_unbroken(six, month(5)) == 6  # less than the truth, perhaps: that is why there are two


def test_an_amount_outside_the_list_is_not_known():
    assert meaning.amount_in_year([5, None], 2000) == 5
    assert [meaning.amount_in_year([5, None], year) for year in (1999, 2001, 2002, 2063)] == [None] * 4
    assert meaning.amount_in_year([0] * 70, 2063) is None


# -- DuckDB must mean the same

EDGES: dict[Any, tuple[Any, ...]] = {
    T.DATE: (
        None, date(1, 1, 1), date(1, 1, 31), date(1899, 12, 31), date(1996, 2, 29), date(2000, 2, 29),
        date(2014, 2, 28), date(2014, 3, 1), date(2014, 5, 31), date(2014, 6, 1), date(2016, 2, 28), date(2016, 2, 29),
        date(2016, 3, 1),
        date(2016, 12, 31), date(2017, 1, 1), date(2020, 2, 28), date(2020, 2, 29), date(2100, 2, 28),
        date(9999, 12, 31),
    ),
    T.INT: (
        None, 0, 1, -1, 2, 11, 12, 59, 60, 61, 119, 120, 121, 1999, 2000, 2001, 2013, 2061, 2062, 2063, -9999, 9999,
        10_000, 119_987, 119_988, 119_989, -119_988, -119_989, 2**31, 2**63 - 1, -(2**63),
    ),
    T.YEARS: (None, 0, 1, 2**62, 2**63 - 1, 0b11111 << 9, -1, *(2**63 - 1 - 2**n for n in (0, 9, 13, 62))),
    T.YEAR_AMOUNTS: (None, [], [None], [7], [0] * 14, [*range(63)], [None] * 63, [3] * 70),
}  # fmt: skip


def months_edges() -> list[tuple[Any, Any, Any]]:
    """Halves and first months."""
    full, rng = 2**60 - 1, random.Random(7)
    halves = [(0, 0), (full, full), (full, 0), (0, full), (1, 0), (0, 1 << 59), (full - 1, full), (full, full - 2**59)]
    halves += [
        (full ^ 1 << n % 60, full) if n < 60 else (full, full ^ 1 << n % 60) for n in (0, 1, 58, 59, 60, 61, 119)
    ]
    halves += [(rng.getrandbits(60), rng.getrandbits(60) | rng.getrandbits(60)) for _ in range(6)]
    firsts = (date(2004, 7, 1), date(2006, 3, 1), date(2009, 6, 1), date(2014, 6, 1), date(2016, 3, 1), date(1, 1, 1))
    rows: list[tuple[Any, Any, Any]] = [(*half, first) for half, first in product(halves, firsts)]
    return [
        *rows,
        (None, 0, FIRST),
        (0, None, FIRST),
        (0, 0, None),
        (-1, 0, FIRST),
        (0, 2**60, FIRST),
        (2**60, None, FIRST),
    ]


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_duckdb_gives_what_the_words_say(name):
    function = VOCABULARY[name]
    rows = combinations(function.args, 6_000)
    compiled = compile(a_rule_about(name), table_for(name))
    asked = [{"expected": expected(function.python, row, function.args)} for row in rows]
    outcomes = [outcome(function.python, row, function.args, function.result is T.BOOL) for row in rows]
    found = in_batch(compiled, rows, asked=asked)
    assert found == outcomes
    assert found == [compiled.single(row, one, AT) for row, one in zip(rows, asked, strict=True)]
    assert (unknown("bad_value") in found) == (
        function.partial or T.MONTHS in function.args or T.YEARS in function.args
    )
    assert {pack(Verdict.MET), unknown("missing_value")} <= set(found)


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_duckdb_gives_nothing_exactly_where_the_words_do(name):
    function = VOCABULARY[name]
    rows = combinations(function.args, 6_000)
    outcomes = [outcome(function.python, row, function.args, False) for row in rows]
    nothing = {unknown("missing_value"): pack(Verdict.NOT_MET, 1)}
    compiled = compile(a_rule_about(name, "CASE WHEN {} = {} THEN TRUE ELSE FALSE END"), table_for(name))
    asked = [{"expected": None}] * len(rows)
    assert in_batch(compiled, rows, asked=asked) == [nothing.get(byte, byte) for byte in outcomes]


def table_for(name: str) -> FactTable:
    columns = (Column(f"x{n}", kind) for n, kind in enumerate(VOCABULARY[name].args))
    return FactTable("edges", ("citizen",), tuple(columns))


def a_rule_about(name: str, form: str = "{} = asked.expected") -> Rule:
    """A rule that is met where the function gives what is asked for."""
    function = VOCABULARY[name]
    call = f"{name}({', '.join(f'x{n}' for n in range(len(function.args)))})"
    rule = generated.a_rule(random.Random(0), AT, ["bool"])
    means = tuple(Silence(f"x{n}", "无", "第一条") for n in range(len(function.args)))
    met = call if function.result is T.BOOL and form.startswith("{} = asked") else form.format(call, call)
    asked = (Column("expected", function.result),)
    change = {"asks": asked, "reasons": (), "matched_by": None, "missing_means": means, "unknown_reason": None}
    return replace(rule, met=met, no_record=NoRecord(), **change)


def combinations(kinds: tuple[Any, ...], most: int) -> list[dict[str, Any]]:
    """Rows for every combination of edges, or a random part of them if there are more than `most`."""
    choices = [months_edges() if kind is T.MONTHS else EDGES[kind] for kind in kinds]
    every = list(product(*choices))
    every = every if len(every) <= most else random.Random(11).sample(every, most)
    return [row_of(kinds, values) for values in every]


def row_of(kinds: tuple[Any, ...], values: tuple[Any, ...]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for n, (kind, value) in enumerate(zip(kinds, values, strict=True)):
        if kind is T.MONTHS:
            row |= {f"x{n}_low": value[0], f"x{n}_high": value[1], f"x{n}_first": value[2]}
        else:
            row[f"x{n}"] = value
    return row


def arguments(row: dict[str, Any], kinds: tuple[Any, ...]) -> list[Any]:
    """Arguments of the reference. Raises OutOfDomain for values that their type forbids."""
    found = []
    for n, kind in enumerate(kinds):
        value = row.get(f"x{n}")
        if kind is T.MONTHS:
            low, high, first = (row[f"x{n}_{part}"] for part in ("low", "high", "first"))
            if None in (low, high, first):
                value = None
            elif not (0 <= low < 2**60 and 0 <= high < 2**60):
                raise OutOfDomain
            else:
                value = (low | high << 60, month_index(first))
        if kind is T.YEARS and value is not None and value < 0:
            raise OutOfDomain
        found.append(value)
    return found


def called(function: Callable[..., Any], row: dict[str, Any], kinds: tuple[Any, ...]) -> Any:
    """What the reference gives; it fails for a forbidden value even where another one is missing."""
    found = arguments(row, kinds)
    return None if any(value is None for value in found) else function(*found)


def expected(function: Callable[..., Any], row: dict[str, Any], kinds: tuple[Any, ...]) -> Any:
    try:
        return called(function, row, kinds)
    except OutOfDomain:
        return None


def outcome(function: Callable[..., Any], row: dict[str, Any], kinds: tuple[Any, ...], truth: bool) -> int:
    try:
        value = called(function, row, kinds)
    except OutOfDomain:
        return unknown("bad_value")
    if value is None:
        return unknown("missing_value")
    return pack(Verdict.NOT_MET, 1) if truth and value is False else pack(Verdict.MET)
