"""Expressions that engines of SQL read differently, by kind: those that the language refuses, and those that every
engine must read as the example beside them says.

Collected from the manuals of DuckDB, SQLite, PostgreSQL and Spark, and from trying them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tests.rules.batches import Batch
from tongban.rules.compile import CompiledRule, compile
from tongban.rules.facts import Column, FactTable, Type
from tongban.rules.rule import rule_from_json

AT = date(2026, 6, 1)
TABLE = FactTable(
    "invented/divergent",
    ("citizen",),
    (
        Column("name", Type.TEXT),
        Column("born", Type.DATE),
        Column("until", Type.DATE),
        Column("n", Type.INT),
        Column("m", Type.INT),
        Column("good", Type.BOOL),
        Column("sure", Type.BOOL),
        Column("paid", Type.MONTHS),
        Column("years", Type.YEARS),
        Column("tax", Type.YEAR_AMOUNTS),
    ),
)

#: Kind → an expression of it. The comment says who differs.
REFUSED: Mapping[str, str] = {
    "years between by boundaries": "date_diff('year', born, until) >= 26",  # Spark counts whole years
    "years between, whole": "date_sub('year', born, until) >= 26",  # DuckDB's alone; elsewhere it takes days away
    "day of the week": "dayofweek(until) = 1",  # Sunday is 0 or 1
    "date less date": "until - born = 31",  # days, an interval, or in SQLite the years' difference
    "date and interval": "born + INTERVAL 1 MONTH <= until",
    "date and number": "born + 1 = until",
    "part of a date": "EXTRACT(year FROM born) = 2000",
    "start of a month": "date_trunc('month', born) = born",  # a date, or a timestamp in the session's time zone
    "end of a month": "last_day(born) = born",
    "today": "born <= CURRENT_DATE",
    "now": "born <= now()",
    "date from a text": "strptime(name, '%Y-%m-%d') = born",
    "date as a text": "born = '2000-01-01'",  # cast in silence, or compared as texts
    "cast to a number": "TRY_CAST(name AS INTEGER) = 12",  # SQLite reads 12a as 12
    "cast by colons": "name::INTEGER = 12",
    "cast to a decimal": "CAST(n AS DECIMAL(10, 2)) = 1",
    "cast to a truth": "CAST(name AS BOOLEAN)",  # 't', 'yes', 'on'
    "number and text": "n = '12'",
    "number and truth": "good = 1",
    "order of truths": "good < TRUE",
    "order of texts": "name < '李'",  # by bytes, or by a locale's collation
    "texts between": "name BETWEEN 'a' AND 'b'",
    "pattern": "name LIKE 'abc%'",  # SQLite and MySQL take ABC too
    "pattern without case": "name ILIKE 'abc%'",
    "pattern of SQL:1999": "name SIMILAR TO 'a.*'",
    "regular expression": "regexp_matches(name, '^a')",
    "regular expression by sign": "name ~ 'a'",  # a whole match in DuckDB, a part in PostgreSQL
    "beginning of a text": "starts_with(name, '张')",
    "trimming": "trim(name) = '张三'",  # U+3000 is trimmed by DuckDB alone
    "filling up": "lpad(name, 5, '0') = '00012'",
    "joining texts": "name || 'a' = '张三a'",  # NULL, or in some the other text
    "joining by function": "concat(name, 'a') = '张三a'",  # NULL counts as an empty text in DuckDB
    "capitals": "upper(name) = 'ABC'",  # ß, ı
    "length": "length(name) = 2",  # characters, bytes, or UTF-16 units
    "part of a text": "substr(name, 0, 2) = '张'",  # position 0
    "division": "n / m = 2",  # whole or not; by nought NULL, infinity or an error
    "remainder": "n % m = 1",  # its sign
    "power": "n ^ m = 4",  # power or exclusive or
    "shift": "n << 1 = 2",
    "bits": "n & 1 = 1",
    "decimal literal": "n = 1.005",  # binary or decimal
    "literal with exponent": "n = 1e3",
    "hexadecimal literal": "n = 0x10",
    "literal beyond 64 bits": "n < 9223372036854775808",
    "rounding": "round(n) = 2",  # half to even or away from nought
    "greatest": "greatest(n, m) = 3",  # NULL is passed over, or makes it NULL
    "least": "least(n, m) = 3",
    "null if": "nullif(n, 0) = 1",
    "null compared": "n = NULL",
    "null in a list": "n NOT IN (1, NULL)",
    "distinct from": "n IS DISTINCT FROM m",
    "truth test": "(n = m) IS TRUE",
    "position in a list": "tax[1] = 5",  # from 0 or from 1
    "list searched": "list_contains(tax, 5)",
    "rows of others": "n > (SELECT 1)",
    "chance": "random() < 1",
    "counting": "count(*) > 0",
    "text in double quotes": 'name = "张三"',  # a column, or in SQLite and Spark a text
    "name in backquotes": "`name` = '张三'",
    "texts side by side": "name = '张' '三'",  # joined, in Spark and where a line lies between them in PostgreSQL
    "backslash": r"name = 'a\'",  # escapes in Spark and MySQL
    "text with escapes": r"name = E'a\n'",
    "number before a word": "n = 1OR good",
    "comment": "n = 1 -- good",
    "two statements": "n = 1; DROP TABLE facts",
    "two minus signs": "n = --1",  # a comment
    "equal twice": "n == 1",
    "text not in form NFC": "name = 'e\u0301'",
}


@dataclass(frozen=True)
class Alike:
    """An expression, and what it is for a row: TRUE, FALSE, NULL as None, or "fails"."""

    text: str
    found: bool | str | None
    row: Mapping[str, Any] = field(default_factory=dict)


_BIG, _LOW = 2**63 - 1, -(2**63)
_OLD = date(1582, 10, 10)  # between the Julian and the Gregorian calendar: in a mixed one there is no such day

ALIKE: Mapping[str, Alike] = {
    "years until the day before": Alike("anniversaries(born, until) = 25", True, {"born": date(2000, 6, 2)}),
    "years on the day": Alike("anniversaries(born, until) = 26", True, {"born": date(2000, 6, 1)}),
    "age on the birthday": Alike("full_years(born, until) = 25", True, {"born": date(2000, 6, 1)}),
    "age of a leap day's child": Alike(
        "full_years(born, until) = 1", True, {"born": date(2000, 2, 29), "until": date(2002, 2, 28)}
    ),
    "years in the wrong order": Alike("anniversaries(born, until) = 25", "fails", {"born": date(2027, 1, 1)}),
    "days": Alike("days_between(born, until) = 31", True, {"born": date(2026, 5, 1)}),
    "days backwards": Alike("days_between(until, born) = -31", True, {"born": date(2026, 5, 1)}),
    "days over the calendars' change": Alike(
        "days_between(born, until) = 11", True, {"born": date(1582, 10, 4), "until": date(1582, 10, 15)}
    ),
    "a day that a mixed calendar has not": Alike("born = DATE '1582-10-10'", True, {"born": _OLD}),
    "the first of all days": Alike("year_of(born) = 1", True, {"born": date(1, 1, 1)}),
    "the last of all days": Alike("born <= DATE '9999-12-31'", True, {"born": date(9999, 12, 31)}),
    "a month from the month's last": Alike(
        "add_months(born, 1) = until", True, {"born": date(2001, 2, 28), "until": date(2001, 3, 28)}
    ),
    "a month from the 31st": Alike(
        "add_months(born, 1) = until", True, {"born": date(2001, 1, 31), "until": date(2001, 2, 28)}
    ),
    "a month beyond the calendar": Alike("add_months(born, 1) > until", "fails", {"born": date(9999, 12, 1)}),
    "months without end": Alike("add_months(born, n) > until", "fails", {"n": _BIG}),
    "a year from a leap day": Alike(
        "add_years(born, 1) = until", True, {"born": date(2000, 2, 29), "until": date(2001, 2, 28)}
    ),
    "the month's first day": Alike("month_start(born) = until", True, {"born": _OLD, "until": date(1582, 10, 1)}),
    "the year's first day": Alike("first_day_of_year(born) = until", True, {"born": _OLD, "until": date(1582, 1, 1)}),
    "capital letters": Alike("name = 'abc'", False, {"name": "ABC"}),
    "a space at the end": Alike("name = 'abc'", False, {"name": "abc "}),
    "a wide space": Alike("name = '张三'", False, {"name": "\u3000张三"}),
    "an accent typed otherwise": Alike("name = 'é'", False, {"name": "e\u0301"}),
    "a character beyond 16 bits": Alike("name IN ('𠮷野', '吉野')", True, {"name": "𠮷野"}),
    "a quotation mark": Alike("name = 'it''s'", True, {"name": "it's"}),
    "a variable's name": Alike("name = '${spark.driver.host}'", True, {"name": "${spark.driver.host}"}),
    "a percent sign": Alike("name = '%张_'", False, {"name": "张三"}),
    "another text": Alike("name <> 'abc'", None, {"name": None}),
    "not one of, silent": Alike("n NOT IN (1, 2)", None, {"n": None}),
    "between the wrong way round": Alike("n BETWEEN 5 AND 1", False, {"n": 3}),
    "between and silence": Alike("n BETWEEN m AND 1", False, {"n": 3, "m": None}),
    "a truth and silence": Alike("good AND sure", False, {"good": False, "sure": None}),
    "a truth or silence": Alike("good OR sure", True, {"good": None, "sure": True}),
    "not of silence": Alike("NOT good", None, {"good": None}),
    "truths compared": Alike("good = sure", None, {"good": True, "sure": None}),
    "a case without else": Alike("CASE WHEN good THEN n = 1 END", None, {"good": False}),
    "a case that is silent": Alike("CASE WHEN good THEN n = 1 ELSE n = 2 END", True, {"good": None, "n": 2}),
    "the first that is there": Alike("COALESCE(n, m, 7) = 7", True, {"n": None, "m": None}),
    "is it there": Alike("paid IS NULL", True, {"paid_first": None}),
    "beyond 32 bits": Alike("n + 1 = 2147483648", True, {"n": 2**31 - 1}),
    "a product beyond 32 bits": Alike("n * m = 4294967296", True, {"n": 65_536, "m": 65_536}),
    "a sum beyond 64 bits": Alike("n + m > 0", "fails", {"n": _BIG, "m": 1}),
    "a difference beyond 64 bits": Alike("n - m > 0", "fails", {"n": _LOW, "m": 1}),
    "a product beyond 64 bits": Alike("n * m > 0", "fails", {"n": 2**62, "m": 2}),
    "the least of all, negated": Alike("-n > 0", "fails", {"n": _LOW}),
    "a failure in a branch that does not count": Alike("good OR n * m > 0", "fails", {"n": 2**62, "m": 2}),
    "a sum with silence": Alike("n + m > 0", None, {"n": _BIG, "m": None}),
    "the amount of the first year": Alike("amount_in_year(tax, 2000) = 5", True, {"tax": [5, 6]}),
    "the amount of the year before": Alike("amount_in_year(tax, n) = 6", None, {"tax": [5, 6], "n": 1999}),
    "the amount of a year not told": Alike("amount_in_year(tax, 2002) = 5", None, {"tax": [5, 6]}),
    "the highest bit of the years": Alike("years_covered(years, 2000, 2062)", True, {"years": _BIG}),
    "years beyond the bits": Alike("years_covered(years, 2000, 2063)", None, {"years": _BIG}),
    "all bits of the months": Alike("months_unbroken(paid, until) = 120", True),
    "the last bit of the lower half": Alike(
        "month_paid(paid, until)", False, {"paid_low": 2**59 - 1, "until": date(2021, 6, 1)}
    ),
    "months on both halves": Alike(
        "months_count(paid, born, until) = 2", True, {"born": date(2021, 6, 1), "until": date(2021, 7, 1)}
    ),
    "a gap below the halves' border": Alike("months_unbroken(paid, until) = 60", True, {"paid_low": 2**59 - 1}),
    "a half that is none": Alike("month_paid(paid, until)", "fails", {"paid_low": -1}),
}

#: What each example's row has where the example says nothing else.
USUAL: Mapping[str, Any] = {
    "name": "张三",
    "born": date(2000, 6, 1),
    "until": date(2026, 6, 1),
    "n": 1,
    "m": 1,
    "good": True,
    "sure": True,
    "paid_low": 2**60 - 1,
    "paid_high": 2**60 - 1,
    "paid_first": date(2016, 7, 1),
    "years": 0,
    "tax": [],
}


def compiled(text: str) -> CompiledRule:
    """A rule whose condition is `text`, and which explains every silence. Raises RuleInvalid."""
    words = {"say": "由", "say_en": "why"}
    silences = [{"column": column.name, "meaning": "无", "article": "第一条"} for column in TABLE.columns]
    rule = rule_from_json(
        {
            "rule": "made",
            "valid_from": "2014-01-01",
            "title": "题",
            "title_en": "Title",
            "resource": "invented/divergent",
            "article": {"text": "文", "source": "源"},
            "state_on": "at",
            "max_snapshot_days": 40,
            "met": text,
            "no_record": "unknown",
            "reasons": [],
            "default_reason": {"code": "otherwise", **words},
            "missing_means": silences,
        }
    )
    return compile(rule, TABLE)


def examples() -> Batch:
    """Every rule of ALIKE asked about every row of ALIKE: person k is the example of the k-th."""
    rows = {k: {**USUAL, **alike.row} for k, alike in enumerate(ALIKE.values())}
    rules = [compiled(alike.text) for alike in ALIKE.values()]
    return Batch(AT, rules, [{} for _ in rows], rows, frozenset())
