"""The rules of the car lottery, one function a rule, and the three-valued logic they are written in.

Second implementation of section 7 of docs/reference/car_lottery.md, written from that page alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from tests.oracle.registers import Row

CAR_CLASSES = {"A1", "A2", "A3", "B1", "B2", "C1", "C2", "C5"}
VAT_STEPS, INVESTMENT_STEPS = (5_000_000, 50_000_000), (1_000_000_000, 2_000_000_000)  # fen: first code, each further
INVESTORS = {"制造业", "信息传输、软件和信息技术服务业"}
Truth = bool | None  # None: unknown


class Verdict(NamedTuple):
    verdict: str  # met, not_met, unknown
    reason: str | None = None


MET = Verdict("met")
NO_VEHICLE_RECORD = Verdict("met", "no_vehicle_record")


def no(reason: str) -> Verdict:
    return Verdict("not_met", reason)


def unknown(reason: str) -> Verdict:
    return Verdict("unknown", reason)


# Three-valued logic ---------------------------------------------------------------------------------------------


def every(*parts: Truth) -> Truth:
    return False if False in parts else None if None in parts else True


def either(*parts: Truth) -> Truth:
    return True if True in parts else None if None in parts else False


def same(a: Any, b: Any) -> Truth:
    return None if a is None or b is None else a == b


def differs(a: Any, b: Any) -> Truth:
    return None if a is None or b is None else a != b


def up_to(a: Any, b: Any) -> Truth:
    """a ≤ b."""
    return None if a is None or b is None else a <= b


def before(a: Any, b: Any) -> Truth:
    """a < b."""
    return None if a is None or b is None else a < b


def judged(met: Truth, reasons: list[tuple[Truth, Verdict]], default: Verdict) -> Verdict:
    if met:
        return MET
    for applies, verdict in reasons:
        if applies:
            return verdict
    return default if met is False else unknown("missing_value")


class Asked(NamedTuple):
    """What the application says of itself to the department that is asked."""

    name: str | None = None  # of the applicant, or of a unit's handler
    code_number: str | None = "1"  # 1 to 12, `more`; None: does not hold
    ordinary_number: str | None = "1"


# Rules: fact row, what is asked, day of evaluation → verdict ---------------------------------------


def identity(row: Row, asked: Asked, at: date) -> Verdict:
    named = same(row["name"], asked.name)
    return judged(
        every(named, same(row["status"], "正常")),
        [
            (every(named, same(row["status"], "死亡")), no("deceased")),
            (every(named, same(row["status"], "注销")), no("household_cancelled")),
            (every(named, row["status"] is None), unknown("missing_value")),
            (True, unknown("identity_not_confirmed")),
        ],
        unknown("identity_not_confirmed"),
    )


def household_here(row: Row, asked: Asked, at: date) -> Verdict:
    return judged(in_this_city(row["household_division"]), [], no("household_elsewhere"))


def lodging_registration(row: Row, asked: Asked, at: date) -> Verdict:
    named = same(row["name"], asked.name)
    return judged(
        every(named, up_to(at, row["document_valid_until"]), up_to(row["lodging_since"], year_before(at))),
        [
            (not named, unknown("identity_not_confirmed")),
            (before(row["document_valid_until"], at), no("document_expired")),
        ],
        no("lodging_too_short"),
    )


def driving_licence(row: Row, asked: Asked, at: date) -> Verdict:
    allows_a_car = None if row["licence_class"] is None else row["licence_class"] in CAR_CLASSES
    return judged(
        every(same(row["status"], "正常"), allows_a_car, up_to(at, row["valid_until"])),
        [
            (differs(row["status"], "正常"), no("licence_status")),
            (before(row["valid_until"], at), no("licence_expired")),
        ],
        no("licence_class"),
    )


def no_vehicle(row: Row, asked: Asked, at: date) -> Verdict:
    return judged(same(row["cars"], 0), [], no("has_vehicle"))


def no_scrap_due_vehicle(row: Row, asked: Asked, at: date) -> Verdict:
    return judged(before(at, row["scrap_due_first"]), [], no("scrap_due"))


def residence_permit(row: Row, asked: Asked, at: date) -> Verdict:
    return judged(
        every(same(row["status"], "有效"), in_force(row, at)),
        [(differs(row["status"], "有效"), no("residence_permit_cancelled"))],
        no("residence_permit_expired"),
    )


def work_residence_permit(row: Row, asked: Asked, at: date) -> Verdict:
    return judged(
        every(same(row["holder"], "本人"), same(row["status"], "有效"), in_force(row, at)),
        [
            (differs(row["holder"], "本人"), no("accompanying_person")),
            (differs(row["status"], "有效"), no("work_permit_cancelled")),
        ],
        no("work_permit_expired"),
    )


def social_insurance_60_months(row: Row, asked: Asked, at: date) -> Verdict:
    this_month = 12 * at.year + at.month - 1
    return judged(
        all(month in row["months"] for month in range(this_month - 60, this_month)),
        [(this_month - 1 not in row["months"], no("insurance_not_current"))],
        no("insurance_interrupted"),
    )


def income_tax_five_years(row: Row, asked: Asked, at: date) -> Verdict:
    return judged(
        all(row["sums"].get(year, 0) > 0 for year in range(at.year - 5, at.year)),
        [(row["sums"].get(at.year - 1, 0) <= 0, no("tax_last_year_missing"))],
        no("tax_year_missing"),
    )


def business_licence(row: Row, asked: Asked, at: date) -> Verdict:
    return judged(
        every(same(row["status"], "存续"), in_this_city(row["registered_division"])),
        [
            (same(row["status"], "吊销"), no("licence_revoked")),
            (same(row["status"], "注销"), no("licence_cancelled")),
        ],
        no("registered_elsewhere"),
    )


def organisation_code(row: Row, asked: Asked, at: date) -> Verdict:
    return judged(
        every(same(row["status"], "有效"), up_to(at, row["valid_until"])),
        [(differs(row["status"], "有效"), no("code_cancelled"))],
        no("code_expired"),
    )


def tax_registration(row: Row, asked: Asked, at: date) -> Verdict:
    return judged(differs(row["state"], "注销"), [], no("tax_registration_cancelled"))


def vat_of_the_year(row: Row, asked: Asked, at: date) -> Verdict:
    if at < date(2014, 1, 1):
        return vat_of_2011(row, asked, at)
    this_year, last_year = (row["sums"].get(year, 0) for year in (at.year, at.year - 1))
    new = up_to(date(at.year, 1, 1), row["registered_on"])
    most = 8 if at < date(2021, 1, 1) else 12
    met: Truth = False
    for n in range(1, most + 1):
        needed = step(n, *VAT_STEPS)
        met = either(
            met, every(same(asked.code_number, str(n)), either(last_year >= needed, every(new, this_year >= needed)))
        )
    beyond = asked.code_number is not None and asked.code_number not in {str(n) for n in range(1, most + 1)}
    reasons = [(differs(row["state"], "正常"), no("taxpayer_state")), (beyond, no("too_many_codes"))]
    if at < date(2021, 1, 1):
        return judged(every(same(row["state"], "正常"), met), reasons, no("vat_too_low"))
    few = ordinary(asked)
    reasons.append((few is False, no("too_many_ordinary_codes")))
    return judged(every(same(row["state"], "正常"), few, met), reasons, no("vat_too_low"))


def vat_of_2011(row: Row, asked: Asked, at: date) -> Verdict:
    last_year = row["sums"].get(at.year - 1, 0)
    met: Truth = False
    for n in range(1, 13):
        met = either(met, every(same(asked.code_number, str(n)), last_year >= step(n, *VAT_STEPS)))
    beyond = last_year >= step(13, *VAT_STEPS)
    if asked.code_number in ("more", None):
        met = either(met, every(beyond, None))
    return judged(
        every(same(row["state"], "正常"), met),
        [
            (differs(row["state"], "正常"), no("taxpayer_state")),
            (asked.code_number == "more" and beyond, unknown("number_beyond_steps")),
        ],
        no("vat_too_low"),
    )


def fixed_investment(row: Row, asked: Asked, at: date) -> Verdict:
    last_year = row["invested"].get(at.year - 1, 0)
    met: Truth = False
    for n in range(1, 13):
        met = either(met, every(same(asked.code_number, str(n)), last_year >= step(n, *INVESTMENT_STEPS)))
    invests = None if row["industry"] is None else row["industry"] in INVESTORS
    return judged(
        every(same(row["state"], "正常"), invests, ordinary(asked), met),
        [
            (differs(row["state"], "正常"), no("taxpayer_state")),
            (invests is False, no("other_industry")),
            (asked.code_number == "more", no("too_many_codes")),
            (ordinary(asked) is False, no("too_many_ordinary_codes")),
        ],
        no("investment_too_low"),
    )


def step(n: int, first: int, further: int) -> int:
    """Fen that the n-th code of a year takes."""
    return first + (n - 1) * further


def ordinary(asked: Asked) -> Truth:
    return None if asked.ordinary_number is None else asked.ordinary_number in {"1", "2", "3", "4", "5", "6"}


def social_body_registration(row: Row, asked: Asked, at: date) -> Verdict:
    return judged(
        every(same(row["status"], "正常"), up_to(at, row["valid_until"]), same(asked.code_number, "1")),
        [
            (differs(row["status"], "正常"), no("body_cancelled")),
            (differs(asked.code_number, "1"), no("too_many_codes")),
        ],
        no("body_expired"),
    )


def in_this_city(division: str | None) -> Truth:
    return None if division is None else division.startswith("11")


def in_force(row: Row, at: date) -> Truth:
    return every(up_to(row["valid_from"], at), up_to(at, row["valid_until"]))


def year_before(at: date) -> date:
    return date(at.year - 1, at.month, 28 if (at.month, at.day) == (2, 29) else at.day)


@dataclass(frozen=True)
class Rule:
    register: str
    no_record: Verdict
    judge: Callable[[Row, Asked, date], Verdict]


RULES = {
    "identity": Rule("population", unknown("identity_not_confirmed"), identity),
    "household_here": Rule("population", unknown("identity_not_confirmed"), household_here),
    "lodging_registration": Rule("exit_entry", unknown("identity_not_confirmed"), lodging_registration),
    "driving_licence": Rule("driving_licence", no("no_licence"), driving_licence),
    "foreign_driving_licence": Rule("driving_licence", unknown("no_record"), driving_licence),
    "no_vehicle": Rule("vehicle", NO_VEHICLE_RECORD, no_vehicle),
    "no_scrap_due_vehicle": Rule("vehicle", NO_VEHICLE_RECORD, no_scrap_due_vehicle),
    "residence_permit": Rule("residence_permit", no("no_residence_permit"), residence_permit),
    "work_residence_permit": Rule("work_residence_permit", no("no_work_permit"), work_residence_permit),
    "social_insurance_60_months": Rule("social_insurance", no("no_insurance"), social_insurance_60_months),
    "income_tax_five_years": Rule("income_tax", no("no_tax_record"), income_tax_five_years),
    "handler_identity": Rule("population", unknown("identity_not_confirmed"), identity),
    "business_licence": Rule("business_licence", unknown("no_record"), business_licence),
    "organisation_code": Rule("organisation_code", unknown("no_record"), organisation_code),
    "tax_registration": Rule("vat", unknown("no_record"), tax_registration),
    "credit_code": Rule("credit_code", unknown("no_record"), business_licence),
    "vat_of_the_year": Rule("vat", unknown("no_record"), vat_of_the_year),
    "fixed_investment": Rule("vat", unknown("no_record"), fixed_investment),
    "social_body_registration": Rule("social_body", unknown("no_record"), social_body_registration),
}
