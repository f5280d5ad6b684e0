"""The rules of the car lottery, one function a rule, and the three-valued logic they are written in.

Second implementation of section 7 of docs/reference/car_lottery.md, written from that page alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from tests.oracle.registers import Row

CAR_CLASSES = {"A1", "A2", "A3", "B1", "B2", "C1", "C2", "C5"}
VAT_NEEDED = 5_000_000  # fen
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


# Rules: fact row, name given in the application, day of evaluation → verdict ---------------------------------------


def identity(row: Row, name: str | None, at: date) -> Verdict:
    named = same(row["name"], name)
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


def household_here(row: Row, name: str | None, at: date) -> Verdict:
    return judged(in_this_city(row["household_division"]), [], no("household_elsewhere"))


def lodging_registration(row: Row, name: str | None, at: date) -> Verdict:
    named = same(row["name"], name)
    return judged(
        every(named, up_to(at, row["document_valid_until"]), up_to(row["lodging_since"], year_before(at))),
        [
            (not named, unknown("identity_not_confirmed")),
            (before(row["document_valid_until"], at), no("document_expired")),
        ],
        no("lodging_too_short"),
    )


def driving_licence(row: Row, name: str | None, at: date) -> Verdict:
    allows_a_car = None if row["licence_class"] is None else row["licence_class"] in CAR_CLASSES
    return judged(
        every(same(row["status"], "正常"), allows_a_car, up_to(at, row["valid_until"])),
        [
            (differs(row["status"], "正常"), no("licence_status")),
            (before(row["valid_until"], at), no("licence_expired")),
        ],
        no("licence_class"),
    )


def no_vehicle(row: Row, name: str | None, at: date) -> Verdict:
    return judged(same(row["cars"], 0), [], no("has_vehicle"))


def no_scrap_due_vehicle(row: Row, name: str | None, at: date) -> Verdict:
    return judged(before(at, row["scrap_due_first"]), [], no("scrap_due"))


def residence_permit(row: Row, name: str | None, at: date) -> Verdict:
    return judged(
        every(same(row["status"], "有效"), in_force(row, at)),
        [(differs(row["status"], "有效"), no("residence_permit_cancelled"))],
        no("residence_permit_expired"),
    )


def work_residence_permit(row: Row, name: str | None, at: date) -> Verdict:
    return judged(
        every(same(row["holder"], "本人"), same(row["status"], "有效"), in_force(row, at)),
        [
            (differs(row["holder"], "本人"), no("accompanying_person")),
            (differs(row["status"], "有效"), no("work_permit_cancelled")),
        ],
        no("work_permit_expired"),
    )


def social_insurance_60_months(row: Row, name: str | None, at: date) -> Verdict:
    this_month = 12 * at.year + at.month - 1
    return judged(
        all(month in row["months"] for month in range(this_month - 60, this_month)),
        [(this_month - 1 not in row["months"], no("insurance_not_current"))],
        no("insurance_interrupted"),
    )


def income_tax_five_years(row: Row, name: str | None, at: date) -> Verdict:
    return judged(
        all(row["sums"].get(year, 0) > 0 for year in range(at.year - 5, at.year)),
        [(row["sums"].get(at.year - 1, 0) <= 0, no("tax_last_year_missing"))],
        no("tax_year_missing"),
    )


def business_licence(row: Row, name: str | None, at: date) -> Verdict:
    return judged(
        every(same(row["status"], "存续"), in_this_city(row["registered_division"])),
        [
            (same(row["status"], "吊销"), no("licence_revoked")),
            (same(row["status"], "注销"), no("licence_cancelled")),
        ],
        no("registered_elsewhere"),
    )


def organisation_code(row: Row, name: str | None, at: date) -> Verdict:
    return judged(
        every(same(row["status"], "有效"), up_to(at, row["valid_until"])),
        [(differs(row["status"], "有效"), no("code_cancelled"))],
        no("code_expired"),
    )


def vat_of_the_year(row: Row, name: str | None, at: date) -> Verdict:
    def enough(year: int) -> bool:
        return bool(row["sums"].get(year, 0) >= VAT_NEEDED)

    new_this_year = up_to(date(at.year, 1, 1), row["registered_on"])
    return judged(
        every(same(row["state"], "正常"), either(enough(at.year - 1), every(new_this_year, enough(at.year)))),
        [(differs(row["state"], "正常"), no("taxpayer_state"))],
        no("vat_too_low"),
    )


def social_body_registration(row: Row, name: str | None, at: date) -> Verdict:
    return judged(
        every(same(row["status"], "正常"), up_to(at, row["valid_until"])),
        [(differs(row["status"], "正常"), no("body_cancelled"))],
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
    judge: Callable[[Row, str | None, date], Verdict]


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
    "vat_of_the_year": Rule("vat", unknown("no_record"), vat_of_the_year),
    "social_body_registration": Rule("social_body", unknown("no_record"), social_body_registration),
}
