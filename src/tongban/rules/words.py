"""The vocabulary's functions in DuckDB's SQL. `meaning` says what each of these must compute.

A lowering gets its arguments as names or literals that may be repeated freely, and `let`, which gives
a longer expression such a name. It returns the value and, where the function has a domain, the
condition under which the row lies outside; the caller sees to it that NULL gives NULL, which
`least` and `greatest` alone would not. No expression here may ever raise, whatever the row holds:
one bad row must not stop five million, so every shift and cast is clamped first.
"""

from collections.abc import Callable

from tongban.rules.facts import FIRST_YEAR, LAST_YEAR, MONTHS
from tongban.rules.meaning import LONGEST_STEP

Let = Callable[[str], str]
Lowered = tuple[str, str | None]
_WIDE = "HUGEINT"  # 120 months do not fit into 64 bits


def anniversaries(let: Let, since: str, at: str) -> Lowered:
    return f"year({at}) - year({since}) - CAST({_anniversary(let, since, at)} > {_in_year(at)} AS BIGINT)", (
        f"{since} > {at}"
    )


def full_years(let: Let, born: str, at: str) -> Lowered:
    return f"year({at}) - year({born}) - CAST({_anniversary(let, born, at)} >= {_in_year(at)} AS BIGINT)", (
        f"{born} > {at}"
    )


def _in_year(day: str) -> str:
    """Month and day as one number, 229 for 29 February."""
    return f"(month({day}) * 100 + day({day}))"


def _anniversary(let: Let, since: str, at: str) -> str:
    common = f"NOT (year({at}) % 4 = 0 AND (year({at}) % 100 <> 0 OR year({at}) % 400 = 0))"
    return let(f"CASE WHEN {_in_year(since)} = 229 AND {common} THEN 228 ELSE {_in_year(since)} END")


def year_of(_let: Let, day: str) -> Lowered:
    return f"CAST(year({day}) AS BIGINT)", None


def first_day_of_year(_let: Let, day: str) -> Lowered:
    return f"CAST(date_trunc('year', {day}) AS DATE)", None


def month_start(_let: Let, day: str) -> Lowered:
    return f"CAST(date_trunc('month', {day}) AS DATE)", None


def add_months(let: Let, day: str, months: str) -> Lowered:
    return _moved(let, day, months, LONGEST_STEP, 1)


def add_years(let: Let, day: str, years: str) -> Lowered:
    return _moved(let, day, years, LONGEST_STEP // 12, 12)


def _moved(let: Let, day: str, steps: str, most: int, months: int) -> Lowered:
    clamped = f"CAST(least(greatest({steps}, -{most}), {most}) AS INTEGER) * {months}"
    # An interval of months keeps the day, or takes the month's last: Civil Code article 202.
    moved = let(f"CAST({day} + to_months({clamped}) AS DATE)")
    outside = f"{steps} NOT BETWEEN -{most} AND {most} OR {moved} NOT BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'"
    return moved, outside


def days_between(_let: Let, earlier: str, later: str) -> Lowered:
    return f"CAST({later} - {earlier} AS BIGINT)", None


def month_paid(let: Let, bits: str, first: str, month: str) -> Lowered:
    n = _nth(let, first, month)
    inside = f"{n} BETWEEN 0 AND {MONTHS - 1}"
    return f"CASE WHEN {inside} THEN ({bits} >> {_clamped(n)}) & 1 = 1 END", None


def months_unbroken(let: Let, bits: str, first: str, until: str) -> Lowered:
    n = _nth(let, first, until)
    smeared = let(f"~{bits} & (({_one()} << ({_clamped(n)} + 1)) - 1)")
    # Fill every bit below the highest gap; how many are then set tells where it stands.
    for step in (1, 2, 4, 8, 16, 32, 64):
        smeared = let(f"{smeared} | ({smeared} >> {step})")
    return f"CASE WHEN {n} BETWEEN 0 AND {MONTHS - 1} THEN {n} + 1 - CAST(bit_count({smeared}) AS BIGINT) END", None


def months_all_paid(let: Let, bits: str, first: str, until: str, count: str) -> Lowered:
    n = _nth(let, first, until)
    low = let(f"{n} - least(greatest({count}, 1), {MONTHS}) + 1")
    return _all_set(let, bits, low, n, MONTHS), f"{count} NOT BETWEEN 1 AND {MONTHS}"


def months_count(let: Let, bits: str, first: str, since: str, until: str) -> Lowered:
    low, high = _nth(let, first, since), _nth(let, first, until)
    return _count(let, bits, low, high, MONTHS), f"{low} > {high}"


def years_covered(let: Let, years: str, since: str, until: str) -> Lowered:
    return _all_set(let, _wide(years), *_years(let, since, until), _YEARS), f"{since} > {until}"


def years_count(let: Let, years: str, since: str, until: str) -> Lowered:
    return _count(let, _wide(years), *_years(let, since, until), _YEARS), f"{since} > {until}"


def amount_in_year(_let: Let, amounts: str, year: str) -> Lowered:
    # Without the CASE a position of 0 or less would count from the end of the list.
    inside = f"{year} BETWEEN {FIRST_YEAR} AND {LAST_YEAR}"
    position = f"least(greatest({year}, {FIRST_YEAR}), {LAST_YEAR}) - {FIRST_YEAR - 1}"
    return f"CASE WHEN {inside} THEN list_extract({amounts}, {position}) END", None


_YEARS = LAST_YEAR - FIRST_YEAR + 1


def _years(let: Let, since: str, until: str) -> tuple[str, str]:
    """Bit numbers of two years; everything before 2000 becomes -1, everything after 2062 one too many."""
    return tuple(  # type: ignore[return-value]
        let(f"least(greatest({year}, {FIRST_YEAR - 1}), {LAST_YEAR + 1}) - {FIRST_YEAR}") for year in (since, until)
    )


def _nth(let: Let, first: str, month: str) -> str:
    return let(f"year({month}) * 12 + month({month}) - 1 - {first}")


def _clamped(n: str, size: int = MONTHS) -> str:
    return f"CAST(least(greatest({n}, 0), {size - 1}) AS INTEGER)"


def _all_set(let: Let, bits: str, low: str, high: str, size: int) -> str:
    known = let(_mask(low, high, size))
    whole = f"CASE WHEN {low} >= 0 AND {high} < {size} THEN TRUE END"
    return f"CASE WHEN {bits} & {known} <> {known} THEN FALSE ELSE {whole} END"


def _count(let: Let, bits: str, low: str, high: str, size: int) -> str:
    known = let(_mask(low, high, size))
    return f"CASE WHEN {low} >= 0 AND {high} < {size} THEN CAST(bit_count({bits} & {known}) AS BIGINT) END"


def _mask(low: str, high: str, size: int) -> str:
    """Bits low..high as far as they lie within 0..size-1; 0 if none does."""
    width = f"CAST(greatest(least({high}, {size - 1}) - greatest({low}, 0) + 1, 0) AS INTEGER)"
    return f"(({_one()} << {width}) - 1) << {_clamped(low, size)}"


def _one() -> str:
    return f"CAST(1 AS {_WIDE})"


def _wide(bits: str) -> str:
    return f"CAST({bits} AS {_WIDE})"
