"""Texts, numbers and dates of the car lottery as an office types them, brought to one form.

Second implementation of section 3 and of the first two steps of section 5 of docs/reference/car_lottery.md,
written from that page alone. Imports nothing of the product.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import date

ZERO_WIDTH = re.compile("[\u200b-\u200d\ufeff]")
DOTS = re.compile("[•‧・･]")
DOMAINS = {
    "身份证": "citizen",
    "港澳通行证": "hmt_permit",
    "台胞证": "hmt_permit",
    "护照": "passport",
    "外国人永久居留身份证": "foreign_permit",
    "组织机构代码": "organisation_code",
    "统一社会信用代码": "organisation_code",
}
CITIZEN_WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]  # GB 11643
CITIZEN_CHECKS = "10X98765432"
ORGANISATION_WEIGHTS = [3, 7, 9, 10, 5, 8, 4, 2]  # GB 11714
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100: without I, O, S, V, Z
GREATEST_AMOUNT = 10**13
Key = tuple[str, str]
Parse = Callable[[str], object]


class IllFormed(Exception):
    """A value of a register that is neither missing nor well formed."""


# Texts ---------------------------------------------------------------------------------------------------------


def text(raw: object) -> str | None:
    """A text that is neither a name nor an identifier; None when missing."""
    return None if raw is None else unicodedata.normalize("NFKC", str(raw)).strip() or None


def dense(raw: object) -> str | None:
    """NFKC, without any white space or zero-width character, upper case; None when missing."""
    if raw is None:
        return None
    without_space = "".join(unicodedata.normalize("NFKC", str(raw)).split())
    return ZERO_WIDTH.sub("", without_space).upper() or None


def name(raw: object) -> str | None:
    normal = dense(raw)
    return None if normal is None else DOTS.sub("·", normal)


# Identifiers ---------------------------------------------------------------------------------------------------


def identifier(domain: str, raw: object) -> str | None:
    """The normal form of a number, good or bad; None when missing."""
    number = dense(raw)
    if number is not None and domain == "organisation_code":
        number = number.replace("-", "") or None
    return number


def key(domain: str | None, raw: object) -> Key | None:
    """Domain and number of a good identifier; None for a bad or missing one."""
    number = None if domain is None else identifier(domain, raw)
    if domain is None or number is None:
        return None
    good: str | None = number
    if domain == "citizen":
        good = citizen(number)
    elif domain == "organisation_code":
        good = organisation(number)
    elif not re.fullmatch("[0-9A-Z]{5,18}", number):
        good = None
    return None if good is None else (domain, good)


def citizen(number: str) -> str | None:
    """The 18-character number of a good citizen number of 18 or 15 characters, else None."""
    if re.fullmatch("[0-9]{15}", number):
        if "996" <= number[12:] <= "999":
            return None
        body = number[:6] + "19" + number[6:]
        number = body + citizen_check(body)
    return number if good_citizen(number) else None


def good_citizen(number: str) -> bool:
    if not re.fullmatch("[0-9]{17}[0-9X]", number) or number[17] != citizen_check(number[:17]):
        return False
    return number[6:10] >= "1900" and is_day(int(number[6:10]), int(number[10:12]), int(number[12:14]))


def citizen_check(body: str) -> str:
    return CITIZEN_CHECKS[sum(w * int(c) for w, c in zip(CITIZEN_WEIGHTS, body, strict=True)) % 11]


def organisation(number: str) -> str | None:
    """The organisation code itself, or the one within a good credit code."""
    if len(number) == 18:
        number = number[8:17] if good_credit_code(number) else ""
    return number if good_organisation_code(number) else None


def good_credit_code(number: str) -> bool:
    letters = f"[{CREDIT_ALPHABET}]"
    if not re.fullmatch(letters + "{2}[0-9]{6}" + letters + "{10}", number):
        return False
    values = [CREDIT_ALPHABET.index(c) for c in number]
    return (sum(value * 3**place for place, value in enumerate(values[:17])) + values[17]) % 31 == 0


def code_number(raw: object) -> str | None:
    """Which code of the year: 1 to 12, `more`; None for what does not hold. What is missing is not asked here."""
    number = text(raw) or ""
    if not re.fullmatch("[1-9][0-9]*", number):
        return None
    return number if len(number) <= 2 and int(number) <= 12 else "more"


def good_organisation_code(number: str) -> bool:
    if not re.fullmatch("[0-9A-Z]{8}[0-9X]", number):
        return False
    total = sum(w * ALPHABET.index(c) for w, c in zip(ORGANISATION_WEIGHTS, number[:8], strict=True))
    return number[8] == "0123456789X0"[11 - total % 11]


def is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def near(bad: str) -> Iterator[str]:
    """All texts of 18 characters one slip away from a bad citizen number; most of them are no good numbers either.

    A slip is one substitution, one swap of two neighbours, one missing or one extra character.
    """
    digits = "0123456789X"
    if len(bad) == 18:
        yield from (bad[:i] + digit + bad[i + 1 :] for i in range(18) for digit in digits)
        yield from (bad[:i] + bad[i + 1] + bad[i] + bad[i + 2 :] for i in range(17))
    if len(bad) == 17:
        yield from (bad[:i] + digit + bad[i:] for i in range(18) for digit in digits)
    if len(bad) == 19:
        yield from (bad[:i] + bad[i + 1 :] for i in range(19))


# Values the facts use: each takes a text that is not missing --------------------------------------------------------


def day(value: str) -> date:
    real = real_day(value)
    if real is None or not 1900 <= real.year <= 2100:
        raise IllFormed
    return real


def real_day(value: str) -> date | None:
    """The day of YYYY-MM-DD in whatever century; None if there is no such day."""
    found = re.fullmatch("([0-9]{4})-([0-9]{2})-([0-9]{2})", value)
    year, month, day_of_month = map(int, found.groups()) if found else (0, 0, 0)
    return date(year, month, day_of_month) if is_day(year, month, day_of_month) else None


def month(value: str) -> int:
    """The month as a count of months: 12 times the year plus 0 to 11."""
    found = re.fullmatch("([0-9]{4})-([0-9]{2})", value)
    year, month_of_year = map(int, found.groups()) if found else (0, 0)
    if not (2004 <= year <= 2099 and 1 <= month_of_year <= 12):
        raise IllFormed
    return 12 * year + month_of_year - 1


def amount(value: str) -> int:
    """Fen."""
    found = re.fullmatch("([+-]?)0*([0-9]{1,14})", value)  # 14 digits hold the greatest; int() refuses very long texts
    if not found or int(found[2]) > GREATEST_AMOUNT:
        raise IllFormed
    return int(found[1] + found[2])


def code(*table: str) -> Parse:
    def in_table(value: str) -> str:
        if value not in table:
            raise IllFormed
        return value

    return in_table


def as_typed(value: str) -> str:
    return value
