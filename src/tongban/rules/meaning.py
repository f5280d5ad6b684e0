"""What the vocabulary's functions mean, in Python: the reference for every other engine.

Arguments are never None here: a function of NULL is NULL. None as a result means that the fact does
not say; OutOfDomain means that the question itself makes no sense for this row, which then goes to
a person.

A months value is (bits, index of the first month); bit n of `bits` is month first + n.
"""

from datetime import date

from tongban.rules.facts import FIRST_YEAR, LAST_YEAR, MONTHS, month_index

Months = tuple[int, int]
LONGEST_STEP = 12 * 9_999  #: months that `add_months` may go


class OutOfDomain(ArithmeticError):
    """A value for which a function has no answer, or a result beyond 64 bits."""


def anniversaries(since: date, at: date) -> int:
    if since > at:
        raise OutOfDomain
    return _years_reached(since, at, at)


def full_years(born: date, at: date) -> int:
    if born > at:
        raise OutOfDomain
    # "On or before the day before `at`" without stepping below the first date there is.
    return at.year - born.year - (_anniversary(born, at.year) >= (at.month, at.day))


def _years_reached(since: date, at: date, last: date) -> int:
    return at.year - since.year - (_anniversary(since, at.year) > (last.month, last.day))


def _anniversary(since: date, year: int) -> tuple[int, int]:
    """Month and day of the anniversary: 28 February in a common year for 29 February."""
    if since.month == 2 and since.day == 29 and not _is_leap(year):
        return 2, 28
    return since.month, since.day


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def year_of(day: date) -> int:
    return day.year


def first_day_of_year(day: date) -> date:
    return date(day.year, 1, 1)


def month_start(day: date) -> date:
    return day.replace(day=1)


def add_months(day: date, months: int) -> date:
    if not -LONGEST_STEP <= months <= LONGEST_STEP:
        raise OutOfDomain
    year, month = divmod(month_index(day) + months, 12)
    if not 1 <= year <= 9_999:
        raise OutOfDomain
    return date(year, month + 1, min(day.day, _days_in(year, month + 1)))


def _days_in(year: int, month: int) -> int:
    if month == 2:
        return 29 if _is_leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def add_years(day: date, years: int) -> date:
    if not -9_999 <= years <= 9_999:
        raise OutOfDomain
    return add_months(day, 12 * years)


def days_between(earlier: date, later: date) -> int:
    return later.toordinal() - earlier.toordinal()


def month_paid(months: Months, month: date) -> bool | None:
    bits, first = months
    n = month_index(month) - first
    return bool(bits >> n & 1) if 0 <= n < MONTHS else None


def months_unbroken(months: Months, until: date) -> int | None:
    bits, first = months
    n = month_index(until) - first
    if not 0 <= n < MONTHS:
        return None
    gaps = ~bits & ((1 << (n + 1)) - 1)
    return n + 1 - gaps.bit_length()


def months_all_paid(months: Months, until: date, count: int) -> bool | None:
    if not 1 <= count <= MONTHS:
        raise OutOfDomain
    bits, first = months
    n = month_index(until) - first
    return _all_set(bits, n - count + 1, n, MONTHS)


def months_count(months: Months, since: date, until: date) -> int | None:
    bits, first = months
    low, high = month_index(since) - first, month_index(until) - first
    if low > high:
        raise OutOfDomain
    return (bits & _mask(low, high)).bit_count() if low >= 0 and high < MONTHS else None


def years_covered(years: int, since: int, until: int) -> bool | None:
    if since > until:
        raise OutOfDomain
    return _all_set(years, since - FIRST_YEAR, until - FIRST_YEAR, LAST_YEAR - FIRST_YEAR + 1)


def years_count(years: int, since: int, until: int) -> int | None:
    if since > until:
        raise OutOfDomain
    if since < FIRST_YEAR or until > LAST_YEAR:
        return None
    return (years & _mask(since - FIRST_YEAR, until - FIRST_YEAR)).bit_count()


def amount_in_year(amounts: list[int | None], year: int) -> int | None:
    n = year - FIRST_YEAR
    return amounts[n] if 0 <= n < len(amounts) and year <= LAST_YEAR else None


def _all_set(bits: int, low: int, high: int, size: int) -> bool | None:
    """Whether bits low..high are all set: one gap is enough for no, a part that the bitmap does not hold is unknown."""
    known = _mask(max(low, 0), min(high, size - 1))
    if bits & known != known:
        return False
    return True if low >= 0 and high < size else None


def _mask(low: int, high: int) -> int:
    return ((1 << (high - low + 1)) - 1) << low if low <= high else 0
