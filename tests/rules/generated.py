"""Rules and fact rows made at random: every part of the language, with values on both sides of each boundary."""

import random
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from tongban.rules.facts import Column, FactTable, Type, month_columns
from tongban.rules.places import Places
from tongban.rules.rule import Article, NoRecord, Rule, RuleReason, Silence, parameter_of
from tongban.rules.verdict import Verdict
from tongban.rules.vocabulary import VOCABULARY

T = Type
CODES = ("正常", "停用", "it's")
LIKELY_AT = (date(2014, 6, 1), date(2016, 2, 29), date(2017, 2, 28), date(2020, 12, 31), date(2021, 3, 1))

TABLE = FactTable(
    "invented/facts",
    ("citizen",),
    (
        Column("name", T.TEXT),
        Column("state", T.CODE, codes=CODES),
        Column("order", T.CODE, nullable=False, codes=CODES),  # a word of SQL
        Column("small", T.INT, low=-50, high=200),
        Column("wide", T.INT),
        Column("born", T.DATE, low=date(1900, 1, 1), high=date(2099, 12, 31)),
        Column("until", T.DATE),
        Column("good", T.BOOL),
        Column("sure", T.BOOL, nullable=False),
        Column("paid", T.MONTHS),
        Column("worked", T.MONTHS, nullable=False),
        Column("years", T.YEARS),
        Column("tax", T.YEAR_AMOUNTS),
        Column("fees", T.YEAR_AMOUNTS, low=0, high=1_000),
    ),
)
ASKED = (
    Column("name", T.TEXT),
    Column("count", T.INT, low=0, high=99),
    Column("amount", T.INT),
    Column("day", T.DATE),
    Column("yes", T.BOOL),
    Column("state", T.CODE, codes=CODES),
)
PARAMETERS = {
    "states": ["正常", "it's"],
    "days": [date(2014, 6, 1), date(2016, 2, 29)],
    "least": 60,
    "numbers": [1, 60],
}
NUMBERS = (-1, 0, 1, 2, 11, 12, 59, 60, 61, 99, 100, 119, 120, 121, 200, 1_999, 2_000, 2_013, 2_062, 2_063)
EXTREMES = (2**63 - 1, -(2**63), 2**62, -(2**62), 3_037_000_500, 10**15)
WRITTEN = (2**63 - 1, -(2**63 - 1), 2**62, 3_037_000_500)  #: the least of all has no literal


class Maker:
    """Draws texts of expressions. `used` says which features the last condition was made around."""

    def __init__(self, rng: random.Random, at: date) -> None:
        self.rng = rng
        self.at = at

    # -- values

    def number(self, depth: int = 0) -> str:
        kinds = ["literal", "small", "wide", "wide", "{least}", "year_of({at})"]
        if depth < 2:
            kinds += ["sum", "sum", "product", "minus", "function", "case", "coalesce"]
        kind = self.rng.choice(kinds)
        if kind == "literal":
            return str(self.rng.choice(NUMBERS if self.rng.random() < 0.9 else WRITTEN))
        if kind == "sum":
            return f"({self.number(depth + 1)} {self.rng.choice('+-')} ({self.number(depth + 1)}))"
        if kind == "product":
            return f"({self.number(depth + 1)} * ({self.number(depth + 1)}))"
        if kind == "minus":
            return f"-({self.number(depth + 1)})"
        if kind == "function":
            return self.call(self.rng.choice(NUMERIC), depth + 1)
        if kind == "case":
            return f"CASE WHEN {self.small_condition()} THEN {self.number(depth + 1)} ELSE NULL END"
        if kind == "coalesce":
            return f"COALESCE({self.number(depth + 1)}, {self.number(depth + 1)})"
        return kind

    def day(self, depth: int = 0) -> str:
        kinds = ["literal", "born", "until", "{at}", "{at}"]
        if depth < 2:
            kinds += ["add_months", "add_years", "month_start", "first_day_of_year"]
        kind = self.rng.choice(kinds)
        if kind == "literal":
            return f"DATE '{self.near_day().isoformat()}'"
        return self.call(kind, depth + 1) if kind in DATED else kind

    def call(self, name: str, depth: int = 0) -> str:
        args = {
            "full_years": lambda: f"{self.day(depth)}, {{at}}",
            "anniversaries": lambda: f"{self.day(depth)}, {self.day(depth)}",
            "year_of": lambda: self.day(depth),
            "first_day_of_year": lambda: self.day(depth),
            "month_start": lambda: self.day(depth),
            "add_months": lambda: f"{self.day(depth)}, {self.count(depth)}",
            "add_years": lambda: f"{self.day(depth)}, {self.count(depth)}",
            "days_between": lambda: f"{self.day(depth)}, {self.day(depth)}",
            "month_paid": lambda: f"{self.months()}, {self.day(depth)}",
            "months_unbroken": lambda: f"{self.months()}, {self.day(depth)}",
            "months_all_paid": lambda: f"{self.months()}, {self.day(depth)}, {self.count(depth)}",
            "months_count": lambda: (
                f"{self.months()}, add_months({{at}}, {self.rng.choice((-70, -3, 0))}), {self.day()}"
            ),
            "years_covered": lambda: f"years, {self.year(depth)}, {self.year(depth)}",
            "years_count": lambda: f"years, {self.year(depth)}, {self.year(depth)}",
            "amount_in_year": lambda: f"{self.rng.choice(('tax', 'fees'))}, {self.year(depth)}",
        }
        return f"{name}({args[name]()})"

    def count(self, depth: int) -> str:
        return (
            str(self.rng.choice((-3, -1, 0, 1, 2, 12, 59, 60, 120, 121)))
            if self.rng.random() < 0.8
            else self.number(depth)
        )

    def year(self, depth: int) -> str:
        choices = [
            "year_of({at})",
            "year_of({at}) - 1",
            "year_of({at}) - 3",
            "2013",
            "2015",
            "1999",
            "2000",
            "2062",
            "2063",
        ]
        return self.rng.choice(choices) if self.rng.random() < 0.85 else self.number(depth)

    def months(self) -> str:
        return self.rng.choice(("paid", "worked"))

    def near_day(self) -> date:
        if self.rng.random() < 0.1:
            return self.rng.choice((date(1, 1, 1), date(9999, 12, 31), date(1900, 2, 28), date(2000, 2, 29)))
        years = self.rng.choice((0, 0, 1, 18, 60))
        near = self.at.replace(year=self.at.year - years, day=min(self.at.day, 28))
        return near + timedelta(days=self.rng.choice((-366, -31, -1, 0, 1, 2, 30, 365)))

    # -- conditions

    def atom(self, feature: str) -> str:
        """A condition built around one feature of the language."""
        rng, op = self.rng, self.rng.choice(("=", "<>", "<", "<=", ">", ">="))
        if feature in NUMERIC:
            return f"{self.call(feature)} {op} {rng.choice(('0', '1', '12', '60', '2014', '18', self.number(1)))}"
        if feature in DATED:
            return f"{self.call(feature)} {op} {self.day(1)}"
        if feature in TRUTHS:
            return self.call(feature)
        made = {
            "text": lambda: f"name {rng.choice(('=', '<>'))} {rng.choice(('asked.name', chr(39) + '张三' + chr(39)))}",
            "code": lambda: f"{rng.choice(('state', chr(111) + 'rder', 'asked.state'))} = {rng.choice(CODE_TEXTS)}",
            "compare numbers": lambda: f"{self.number()} {op} {self.number()}",
            "compare dates": lambda: f"{self.day()} {op} {self.day()}",
            "compare truth": lambda: f"good {rng.choice(('=', '<>'))} {rng.choice(('TRUE', 'FALSE', 'asked.yes'))}",
            "literal truth": lambda: f"good {rng.choice(('=', '<>'))} TRUE",
            "not": lambda: f"NOT {rng.choice(('good', 'asked.yes'))}",
            "null": lambda: f"CASE WHEN {self.small_condition()} THEN NULL ELSE small END {op} 59",
            "junction": lambda: f"{self.small_condition()} AND good OR {self.small_condition()} AND asked.yes",
            "bool": lambda: rng.choice(("good", "sure", "asked.yes")),
            "in numbers": lambda: f"{self.number(1)} IN ({{numbers}}, -1, 0)",
            "in texts": lambda: f"state {rng.choice(('IN', 'NOT IN'))} ({rng.choice(('{states}', CODE_TEXTS[1]))})",
            "in dates": lambda: f"{self.day(1)} IN ({{days}}, DATE '2020-12-31')",
            "between": lambda: (
                f"{self.number(1)} {rng.choice(('', 'NOT '))}BETWEEN {self.number(1)} AND {self.number(1)}"
            ),
            "between dates": lambda: f"{self.day(1)} BETWEEN {self.day(1)} AND {self.day(1)}",
            "is null": lambda: f"{rng.choice(NULLABLE)} IS {rng.choice(('', 'NOT '))}NULL",
            "coalesce": lambda: f"COALESCE({self.number(1)}, small, 60) >= {rng.choice(('60', '{least}'))}",
            "case": lambda: f"CASE WHEN {self.small_condition()} THEN good WHEN sure THEN {self.small_condition()} END",
            "case else": lambda: f"CASE WHEN {self.small_condition()} THEN small ELSE wide END > 59",
            "sum": lambda: f"wide {rng.choice('+-')} {rng.choice(('wide', 'small'))} {op} {rng.choice(('60', '0'))}",
            "product": lambda: f"{rng.choice(('small', 'wide'))} * wide {op} {rng.choice(('60', '0'))}",
            # By size an asked value is never compared.
            "asked number": lambda: f"{rng.choice(('wide', 'small', '60'))} {rng.choice(('=', '<>'))} asked.amount",
            "asked one of": lambda: f"asked.count {rng.choice(('IN', 'NOT IN'))} ({{numbers}}, 11)",
            "asked day": lambda: f"{self.day(1)} {rng.choice(('=', '<>'))} asked.day",
            "asked chosen": lambda: f"CASE WHEN {self.small_condition()} THEN asked.amount ELSE small END = 60",
            "asked coalesced": lambda: f"COALESCE(asked.count, small) <> {rng.choice(('60', 'wide'))}",
            "minus": lambda: f"-wide {op} {rng.choice(('60', '-1'))}",
        }
        return made[feature]()

    def small_condition(self) -> str:
        return self.rng.choice(
            (
                "small > 59",
                "until >= {at}",
                "good",
                "sure",
                "state = '正常'",
                "asked.count = 60",
                "born < DATE '1996-06-01'",
            )
        )

    def condition(self, features: list[str], depth: int = 0) -> str:
        """A condition over all `features`."""
        if len(features) == 1:
            text = self.atom(features[0])
            return f"NOT ({text})" if self.rng.random() < 0.2 else f"({text})"
        cut = self.rng.randint(1, len(features) - 1)
        left, right = self.condition(features[:cut], depth + 1), self.condition(features[cut:], depth + 1)
        kind = self.rng.random()
        if kind < 0.45:
            return f"({left} AND {right})"
        if kind < 0.9:
            return f"({left} OR {right})"
        return f"CASE WHEN {left} THEN {right} ELSE {self.small_condition()} END"


CODE_TEXTS = ("'正常'", "'it''s'", "'停用'")
NUMERIC = (
    "full_years", "anniversaries", "year_of", "days_between", "months_unbroken", "months_count", "years_count",
    "amount_in_year",
)  # fmt: skip
DATED = ("add_months", "add_years", "month_start", "first_day_of_year")
TRUTHS = ("month_paid", "months_all_paid", "years_covered")
NULLABLE = ("small", "wide", "until", "name", "state", "good", "paid", "years", "tax", "asked.day", "asked.count")
FEATURES = (
    *NUMERIC, *DATED, *TRUTHS, "text", "code", "compare numbers", "compare dates", "compare truth", "bool",
    "literal truth", "not", "null", "junction", "in numbers", "in texts", "in dates", "between", "between dates",
    "is null", "coalesce", "case", "case else", "sum", "product", "minus",
    "asked number", "asked one of", "asked day", "asked chosen", "asked coalesced",
)  # fmt: skip

#: IS NULL has two answers by its nature.
NEVER_SILENT = {"is null"}
#: What can fail: functions with a domain, and arithmetic.
FAILING = {name for name, function in VOCABULARY.items() if function.partial} | {"sum", "product", "minus"}


def a_rule(rng: random.Random, at: date, features: list[str]) -> Rule:
    """A rule whose condition uses all `features`, its reasons some more."""
    maker = Maker(rng, at)
    whens = [maker.condition([rng.choice(FEATURES)]) for _ in range(rng.randint(0, 3))]
    silent = [column.name for column in TABLE.columns] + [f"asked.{column.name}" for column in ASKED]
    policy = NoRecord()
    if rng.random() < 0.5:
        verdict = rng.choice((Verdict.MET, Verdict.NOT_MET, Verdict.UNKNOWN))
        policy = NoRecord(verdict, RuleReason("nobody", "无", "none"), "第一条")
    return Rule(
        name="made",
        valid_from=date(2014, 1, 1),
        valid_until=None,
        title="题",
        title_en="Title",
        resource="invented/facts",
        article=Article("文", "源"),
        applies=None,
        subject="subject",
        asks=ASKED,
        parameters={name: parameter_of(name, value) for name, value in PARAMETERS.items()},
        state_on="at",
        max_snapshot_days=40,
        history_through=None,
        matched_by="name = asked.name" if rng.random() < 0.3 else None,
        met=maker.condition(features),
        no_record=policy,
        reasons=tuple(RuleReason(f"r{n}", "由", "why", when) for n, when in enumerate(whens)),
        default_reason=RuleReason("otherwise", "其余", "otherwise"),
        unknown_reason=RuleReason("unsaid", "未知", "unsaid") if rng.random() < 0.5 else None,
        missing_means=tuple(Silence(name, "无", "第一条") for name in silent),
        usual={},
        situations=(),
        places=Places("made.yaml"),
    )


# -- rows


def a_fact(rng: random.Random, at: date) -> dict[str, Any]:
    """A physical row. Now and then a value that ingest should have kept out."""
    row: dict[str, Any] = {}
    for column in TABLE.columns:
        row |= _value(rng, at, column)
    return row


def an_asked(rng: random.Random, at: date) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for column in ASKED:
        row |= _value(rng, at, column)
    return row


def _value(rng: random.Random, at: date, column: Column) -> Mapping[str, Any]:
    maker = Maker(rng, at)
    silent = column.nullable and rng.random() < 0.15
    if column.type is T.MONTHS:
        return _months(rng, at, column.name, silent)
    if silent:
        return {column.name: None}
    if column.type is T.TEXT:
        return {column.name: rng.choice(("张三", "李四", "it's", "阿·买"))}
    if column.type is T.CODE:
        return {column.name: rng.choice(CODES)}
    if column.type is T.BOOL:
        return {column.name: rng.random() < 0.5}
    if column.type is T.DATE:
        return {column.name: maker.near_day()}
    if column.type is T.YEARS:
        return {column.name: _years(rng, at)}
    if column.type is T.YEAR_AMOUNTS:
        length = rng.choice((0, 1, at.year - 2000, at.year - 1999, 63, 70))
        return {column.name: [rng.choice((None, 0, 0, 59, 60, 999, 2_000)) for _ in range(length)]}
    extreme = column.low is None and rng.random() < 0.2
    return {column.name: rng.choice(EXTREMES if extreme else NUMBERS)}


def _years(rng: random.Random, at: date) -> int:
    if rng.random() < 0.05:
        return -1
    full = 2**63 - 1 if rng.random() < 0.2 else rng.getrandbits(63)
    recent = 0b11111 << max(at.year - 2005, 0)
    return full | recent if rng.random() < 0.7 else full & ~(1 << (at.year - 2001))


def _months(rng: random.Random, at: date, name: str, silent: bool) -> dict[str, Any]:
    low, high, first = month_columns(name)
    begin = (at.year * 12 + at.month - 1) - rng.choice((119, 119, 118, 100, 61, 60, 59, 30, 0, -1, 121))
    run = rng.choice((0, 1, 12, 59, 60, 61, 119, 120))
    end = (at.year * 12 + at.month - 1) - begin - rng.choice((0, 1, 1, 2))
    bits = sum(1 << n for n in range(max(0, end - run + 1), min(119, end) + 1)) | (
        rng.getrandbits(120) & rng.getrandbits(120) & rng.getrandbits(120)
    )
    bits = 2**120 - 1 if rng.random() < 0.1 else bits & (2**120 - 1)
    row: dict[str, Any] = {low: bits % 2**60, high: bits >> 60, first: date(begin // 12, begin % 12 + 1, 1)}
    if silent:
        row[rng.choice((low, high, first))] = None
    if rng.random() < 0.04:
        row[rng.choice((low, high))] = rng.choice((-1, 2**60, 2**63 - 1))
    return row
