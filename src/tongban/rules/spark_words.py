"""The vocabulary's functions in Spark's SQL; `words` has them in DuckDB's, under the same terms.

Spark has no integer wider than 64 bits, so a bitmap of months stays in its two halves. Nothing here depends on a
setting of the session: no timestamp, no time zone, and nothing that raises where Spark is told to be strict (ANSI).
"""

from collections.abc import Callable, Mapping

from tongban.rules import words
from tongban.rules.facts import FIRST_YEAR, HALF, INT_HIGH, LAST_YEAR, MONTHS
from tongban.rules.meaning import LONGEST_STEP
from tongban.rules.words import Let, Lowered

_YEARS = LAST_YEAR - FIRST_YEAR + 1


def first_day_of_year(_let: Let, day: str) -> Lowered:
    # Not date_trunc: its result is a timestamp, and which date that is depends on the session's time zone.
    return f"trunc({day}, 'YEAR')", None


def month_start(_let: Let, day: str) -> Lowered:
    return f"trunc({day}, 'MONTH')", None


def add_months(let: Let, day: str, months: str) -> Lowered:
    return _moved(let, day, months, LONGEST_STEP, 1)


def add_years(let: Let, day: str, years: str) -> Lowered:
    return _moved(let, day, years, LONGEST_STEP // 12, 12)


def _moved(let: Let, day: str, steps: str, most: int, months: int) -> Lowered:
    clamped = f"CAST(least(greatest({steps}, -{most}), {most}) AS INT) * {months}"
    moved = let(f"add_months({day}, {clamped})")
    outside = f"{steps} NOT BETWEEN -{most} AND {most} OR {moved} NOT BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'"
    return moved, outside


def days_between(_let: Let, earlier: str, later: str) -> Lowered:
    return f"CAST(datediff({later}, {earlier}) AS BIGINT)", None


def month_paid(let: Let, low: str, high: str, first: str, month: str) -> Lowered:
    n = _nth(let, first, month)
    return (
        f"CASE WHEN {n} BETWEEN 0 AND {HALF - 1} THEN shiftright({low}, {n}) & 1 = 1"
        f" WHEN {n} BETWEEN {HALF} AND {MONTHS - 1} THEN shiftright({high}, {n} - {HALF}) & 1 = 1 END"
    ), None


def months_unbroken(let: Let, low: str, high: str, first: str, until: str) -> Lowered:
    n = _nth(let, first, until)
    below, above = (let(f"~{bits} & {mask}") for bits, mask in zip((low, high), _masks(let, "0", n), strict=True))
    # How many digits the gaps have in base 2 tells where the last one stands.
    last = (
        f"CASE WHEN {above} > 0 THEN {HALF} + length(bin({above}))"
        f" WHEN {below} > 0 THEN length(bin({below})) ELSE 0 END"
    )
    return f"CASE WHEN {n} BETWEEN 0 AND {MONTHS - 1} THEN CAST({n} + 1 - {let(last)} AS BIGINT) END", None


def months_all_paid(let: Let, low: str, high: str, first: str, until: str, count: str) -> Lowered:
    n = _nth(let, first, until)
    since = let(f"{n} - least(greatest({count}, 1), {MONTHS}) + 1")
    masks = _masks(let, since, n)
    gap = " OR ".join(f"{bits} & {mask} <> {mask}" for bits, mask in zip((low, high), masks, strict=True))
    return _all_set(gap, since, n, MONTHS), f"{count} NOT BETWEEN 1 AND {MONTHS}"


def months_count(let: Let, low: str, high: str, first: str, since: str, until: str) -> Lowered:
    begin, end = _nth(let, first, since), _nth(let, first, until)
    masks = _masks(let, begin, end)
    set_ = " + ".join(f"bit_count({bits} & {mask})" for bits, mask in zip((low, high), masks, strict=True))
    return _count(set_, begin, end, MONTHS), f"{begin} > {end}"


def years_covered(let: Let, years: str, since: str, until: str) -> Lowered:
    begin, end = _years(let, since, until)
    mask = let(_mask(begin, end, _YEARS))
    return _all_set(f"{years} & {mask} <> {mask}", begin, end, _YEARS), f"{since} > {until}"


def years_count(let: Let, years: str, since: str, until: str) -> Lowered:
    begin, end = _years(let, since, until)
    return _count(f"bit_count({years} & {let(_mask(begin, end, _YEARS))})", begin, end, _YEARS), f"{since} > {until}"


def amount_in_year(_let: Let, amounts: str, year: str) -> Lowered:
    inside = f"{year} BETWEEN {FIRST_YEAR} AND {LAST_YEAR}"
    position = f"CAST(least(greatest({year}, {FIRST_YEAR}), {LAST_YEAR}) - {FIRST_YEAR} AS INT)"
    return f"CASE WHEN {inside} THEN get({amounts}, {position}) END", None


def _years(let: Let, since: str, until: str) -> tuple[str, str]:
    """Bit numbers of two years; everything before 2000 becomes -1, everything after 2062 one too many."""
    low, high = FIRST_YEAR - 1, LAST_YEAR + 1
    begin, end = (let(f"least(greatest({year}, {low}), {high}) - {FIRST_YEAR}") for year in (since, until))
    return begin, end


def _nth(let: Let, first: str, month: str) -> str:
    return let(f"year({month}) * 12 + month({month}) - 1 - {first}")


def _all_set(gap: str, low: str, high: str, size: int) -> str:
    return f"CASE WHEN {gap} THEN FALSE WHEN {low} >= 0 AND {high} < {size} THEN TRUE END"


def _count(set_: str, low: str, high: str, size: int) -> str:
    return f"CASE WHEN {low} >= 0 AND {high} < {size} THEN CAST({set_} AS BIGINT) END"


def _masks(let: Let, low: str, high: str) -> tuple[str, str]:
    """Bits low..high of a bitmap of months, in its two halves."""
    return let(_mask(low, high, HALF)), let(_mask(f"({low} - {HALF})", f"({high} - {HALF})", HALF))


def _mask(low: str, high: str, size: int) -> str:
    """Bits low..high as far as they lie within 0..size-1; 0 if none does. `size` is at most 63."""
    begin = f"CAST(least(greatest({low}, 0), {size - 1}) AS INT)"
    width = f"CAST(greatest(least({high}, {size - 1}) - greatest({low}, 0) + 1, 0) AS INT)"
    # Shifted down from 63 ones: a single one shifted up would meet the sign.
    return f"shiftleft(shiftright(CAST({INT_HIGH} AS BIGINT), 63 - {width}), {begin})"


#: By the function's name. What is not Spark's own is said in the words of both.
LOWERED: Mapping[str, Callable[..., Lowered]] = {
    "full_years": words.full_years,
    "anniversaries": words.anniversaries,
    "year_of": words.year_of,
    "first_day_of_year": first_day_of_year,
    "month_start": month_start,
    "add_months": add_months,
    "add_years": add_years,
    "days_between": days_between,
    "month_paid": month_paid,
    "months_unbroken": months_unbroken,
    "months_all_paid": months_all_paid,
    "months_count": months_count,
    "years_covered": years_covered,
    "years_count": years_count,
    "amount_in_year": amount_in_year,
}
