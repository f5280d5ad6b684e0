"""The closed table of functions that a rule may use.

Closed and versioned: owners approve a rule together with the vocabulary's version, so a meaning never
changes under a signature. A changed or added function raises VOCABULARY_VERSION; a changed meaning
also takes a new name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tongban.rules import meaning, words
from tongban.rules.facts import INT_HIGH, INT_LOW, MONTHS, Type

VOCABULARY_VERSION = 1

_LONGEST_SPAN = 3_652_058  #: days between the first and the last date


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function with its meaning, its lowerings and its words for lawyers.

    Every function of NULL is NULL. One that is `partial` has arguments without an answer: such a row
    is unknown / bad_value.
    """

    name: str
    args: tuple[Type, ...]
    result: Type
    python: Callable[..., Any]
    duckdb: Callable[..., words.Lowered]
    say: str
    say_en: str
    partial: bool = False
    bounds: tuple[int, int] = (INT_LOW, INT_HIGH)


_D, _I, _B = Type.DATE, Type.INT, Type.BOOL
_M, _Y, _A = Type.MONTHS, Type.YEARS, Type.YEAR_AMOUNTS

_TABLE = (
    Function(
        "full_years",
        (_D, _D),
        _I,
        meaning.full_years,
        words.full_years,
        "周岁：自出生日至给定日的周岁数，从周岁生日的第二天起算（法释〔2006〕1号第二条）；2月29日出生的，平年以2月28日为生日；"
        "出生日晚于给定日的，该行不可判定",
        "full_years(born, at): completed years of age, counted from the day AFTER the birthday (convention of Judicial "
        "Interpretation [2006] No. 1, article 2). 29 February falls on 28 February in common years. born > at: "
        "no answer.",
        partial=True,
        bounds=(-1, 9_998),
    ),
    Function(
        "anniversaries",
        (_D, _D),
        _I,
        meaning.anniversaries,
        words.anniversaries,
        "满年数：周年当日即算满一年；2月29日起算的，平年以2月28日为周年日；起算日晚于给定日的，该行不可判定",
        "anniversaries(since, at): years completed where the anniversary itself already counts. 29 February falls "
        "on 28 February in common years (Civil Code, article 202). since > at: no answer.",
        partial=True,
        bounds=(0, 9_998),
    ),
    Function(
        "year_of", (_D,), _I, meaning.year_of, words.year_of, "日期的年份", "year_of(day): its year.", bounds=(1, 9_999)
    ),
    Function(
        "first_day_of_year",
        (_D,),
        _D,
        meaning.first_day_of_year,
        words.first_day_of_year,
        "该年1月1日",
        "first_day_of_year(day): 1 January of its year.",
    ),
    Function(
        "month_start",
        (_D,),
        _D,
        meaning.month_start,
        words.month_start,
        "该月1日",
        "month_start(day): the first day of its month.",
    ),
    Function(
        "add_months",
        (_D, _I),
        _D,
        meaning.add_months,
        words.add_months,
        "加（减）若干月；没有对应日的，取月末日（民法典第二百零二条）；结果超出公元1年至9999年的，该行不可判定",
        "add_months(day, n): n months later, earlier if n < 0; the month's last day where there is no such day "
        "(Civil Code, article 202). Outside the years 1 to 9999: no answer.",
        partial=True,
    ),
    Function(
        "add_years",
        (_D, _I),
        _D,
        meaning.add_years,
        words.add_years,
        "加（减）若干年，规则同 add_months",
        "add_years(day, n): add_months(day, 12 × n).",
        partial=True,
    ),
    Function(
        "days_between",
        (_D, _D),
        _I,
        meaning.days_between,
        words.days_between,
        "前一日期至后一日期的天数，始日不计入；后者较早时为负",
        "days_between(a, b): days from a to b, the first day not counted; negative if b comes first.",
        bounds=(-_LONGEST_SPAN, _LONGEST_SPAN),
    ),
    Function(
        "month_paid",
        (_M, _D),
        _B,
        meaning.month_paid,
        words.month_paid,
        "给定日所在月是否已缴；超出登记所及月份的，不可知",
        "month_paid(months, day): whether the day's month is paid; unknown outside the register's 120 months.",
    ),
    Function(
        "months_unbroken",
        (_M, _D),
        _I,
        meaning.months_unbroken,
        words.months_unbroken,
        "截至给定日所在月（含）连续已缴的月数，至多数到登记所及的首月为止；给定月超出登记所及月份的，不可知。"
        "与定数比较时用 months_all_paid",
        "months_unbroken(months, until): months paid without a gap, ending with until's month inclusive. It counts "
        "back to the register's first month at most, so it may be less than the truth there: compare with a number "
        "by months_all_paid. Unknown if until lies outside the register's 120 months.",
        bounds=(0, MONTHS),
    ),
    Function(
        "months_all_paid",
        (_M, _D, _I),
        _B,
        meaning.months_all_paid,
        words.months_all_paid,
        "截至给定日所在月（含）的若干个月是否月月已缴；登记所及月份内有一月未缴即为否，全部已缴但部分月份登记未及的，不可知；"
        "月数须为1至120",
        "months_all_paid(months, until, n): whether each of the n months ending with until's is paid. One gap that "
        "the register shows is a no; months that it cannot speak of leave it unknown. n is 1 to 120.",
        partial=True,
    ),
    Function(
        "months_count",
        (_M, _D, _D),
        _I,
        meaning.months_count,
        words.months_count,
        "两日所在月之间（含两端）已缴的月数；部分月份登记未及的，不可知",
        "months_count(months, from, to): months paid from from's month to to's, both included; unknown if some lie "
        "outside the register's 120 months.",
        partial=True,
        bounds=(0, MONTHS),
    ),
    Function(
        "years_covered",
        (_Y, _I, _I),
        _B,
        meaning.years_covered,
        words.years_covered,
        "起止年份之间（含两端）是否年年具备；有一年不具备即为否，涉及2000至2062年以外的，其余年份均具备时不可知",
        "years_covered(years, from, to): whether every year from from to to, both included, is set. One missing "
        "year is a no; years outside 2000 to 2062 leave it unknown.",
        partial=True,
    ),
    Function(
        "years_count",
        (_Y, _I, _I),
        _I,
        meaning.years_count,
        words.years_count,
        "起止年份之间（含两端）具备的年数；涉及2000至2062年以外的，不可知",
        "years_count(years, from, to): how many of the years are set; unknown outside 2000 to 2062.",
        partial=True,
        bounds=(0, 63),
    ),
    Function(
        "amount_in_year",
        (_A, _I),
        _I,
        meaning.amount_in_year,
        words.amount_in_year,
        "某年度的金额（分）；登记未载明的，不可知",
        "amount_in_year(amounts, year): that year's amount in fen; unknown where the register does not say.",
    ),
)

VOCABULARY = {function.name: function for function in _TABLE}
