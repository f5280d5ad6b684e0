"""A second, slow judge of applications, written from docs/reference/car_lottery.md alone: sections 6 to 8."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.demo.reader import (
    DOMAINS,
    FITTING,
    OF_UNITS,
    USED,
    Facts,
    citizen,
    facts_of,
    merged,
    name_of,
    other,
    raw_rows,
)

Verdict = tuple[str, str]  #: met, not_met or unknown (of a line: the decision); the reason


def read_city(directory: Path, at: date) -> "Judge":
    rows = {register: raw_rows(directory, register) for register in USED}
    facts = {register: facts_of(register, found) for register, found in rows.items() if found is not None}
    lines = pq.read_table(directory / "registers" / "transport" / "applications.parquet").to_pylist()
    return Judge(at, facts, [line for line in lines if other(line["kind"]) != "military"])


# --- Section 7: rules ---------------------------------------------------------------------------


def and3(*parts: bool | None) -> bool | None:
    if False in parts:
        return False
    return None if None in parts else True


def or3(*parts: bool | None) -> bool | None:
    if True in parts:
        return True
    return None if None in parts else False


def equal(left: Any, right: Any) -> bool | None:
    return None if left is None or right is None else left == right


def least(left: Any, right: Any) -> bool | None:
    """left >= right"""
    return None if left is None or right is None else left >= right


def starts(text: str | None, head: str) -> bool | None:
    return None if text is None else text.startswith(head)


def judged(met: bool | None, *reasons: tuple[bool | None, str], default: str) -> Verdict:
    if met:
        return "met", ""
    for applies, reason in reasons:
        if applies:
            return ("not_met" if met is False else "unknown"), reason
    return ("not_met", default) if met is False else ("unknown", "missing_value")


@dataclass
class Judge:
    at: date
    facts: dict[str, Facts]
    lines: list[dict[str, Any]]

    def ask(
        self, rule: str, key: tuple[str, str] | None, name: str | None, numbers: tuple[str | None, ...] = ()
    ) -> Verdict:
        if key is None:
            return "unknown", "bad_identifier"
        register, judge, silence = RULES[rule]
        facts = self.facts[register]
        offices = [self.facts[one] for one in ("vat", "taxpayer", "fixed_investment") if one in self.facts]
        if key in facts.doubtful or (register == "vat" and any(key in office.doubtful for office in offices)):
            return "unknown", "doubtful_record"
        if register == "vat":
            if not any(key in office.rows for office in offices):
                return silence
            return judge(self, key, numbers)
        if rule == "body" and key in facts.rows:
            return one_code(numbers, judge(self, facts.rows[key], name))
        if key not in facts.rows:
            # A passport number has no check character, so that of foreigners silence says nothing of a licence.
            return ("unknown", "no_record") if rule == "driving_licence" and key[0] != "citizen" else silence
        return judge(self, facts.rows[key], name)

    def decide(self) -> dict[str, Verdict]:
        """Decision and reason of each application."""
        several: dict[Any, list[Any]] = defaultdict(list)
        for line in self.lines:
            if subject := self.subject(line):
                several[subject].append(line)
        found = {line["application"]: self.decide_line(line) for line in self.lines}
        for same in several.values():
            if len({(name_of(line["name"]), citizen(line["handler_number"])) for line in same}) > 1:
                found |= {line["application"]: ("needs_person", "conflicting_applications") for line in same}
                continue
            seen = set()
            for line in sorted(same, key=lambda line: (line["submitted_on"], line["application"])):
                number = code_numbers(line)[0] if line["handler_number"] else ""
                if number in seen:
                    found[line["application"]] = ("not_eligible", "duplicate_application")
                seen.add(number)
        return found

    def subject(self, line: dict[str, Any]) -> tuple[str, str] | None:
        """Of a line whose kind is known and whose document fits it."""
        kind, document_type = other(line["kind"]), other(line["document_type"])
        if kind not in FITTING or document_type not in FITTING[kind] or not self.in_time(document_type):
            return None
        domain, reading = DOMAINS[document_type]
        key = reading(line["document_number"])
        return (domain, key) if key else None

    def in_time(self, document_type: str) -> bool:
        since, until = OF_UNITS.get(document_type, ("0", "9"))
        return since <= self.at.isoformat() <= until

    def decide_line(self, line: dict[str, Any]) -> Verdict:
        kind, document_type = other(line["kind"]), other(line["document_type"])
        if kind not in FITTING:
            return "needs_person", "no_applicable_rule"
        if document_type not in FITTING[kind] or not self.in_time(document_type):
            return "needs_person", "bad_identifier"
        first, others = (KINDS | units_on(self.at))[kind]
        subject = self.subject(line)
        verdicts = []
        for rule in first:
            who, name = (subject, line["name"])
            if kind in ("enterprise", "social_body"):
                number = citizen(line["handler_number"])
                who, name = (("citizen", number) if number else None), line["handler_name"]
            verdicts.append(self.ask(rule, who, name_of(name)))
        if all(verdict == "met" for verdict, _ in verdicts):
            numbers = code_numbers(line)
            verdicts += [self.ask_all(rule, subject, name_of(line["name"]), numbers) for rule in others]
        for wanted, decision in (("not_met", "not_eligible"), ("unknown", "needs_person")):
            for verdict, reason in verdicts:
                if verdict == wanted:
                    return decision, reason
        return "eligible", ""

    def ask_all(
        self, rules: str, key: tuple[str, str] | None, name: str | None, numbers: tuple[str | None, ...]
    ) -> Verdict:
        """Rules with | between them: one met is enough, all not met is none, and anything else is open."""
        found = [self.ask(rule, key, name, numbers) for rule in rules.split("|")]
        return min(found, key=lambda verdict: ("met", "unknown", "not_met").index(verdict[0]))


def code_numbers(line: dict[str, Any]) -> tuple[str | None, str | None]:
    """Of a unit: which code of the year, and which of those for ordinary cars."""
    first = other(line["code_number"]) or "1"
    return tuple(  # type: ignore[return-value]
        (one if int(one) < 13 else "more") if one.isascii() and one.isdigit() and one[0] != "0" else None
        for one in (first, other(line["ordinary_number"]) or first)
    )


def identity(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    same = equal(row["name"], name)
    if same and row["status"] in ("死亡", "注销"):
        return "not_met", {"死亡": "deceased", "注销": "household_cancelled"}[row["status"]]
    if same:
        return ("met", "") if row["status"] == "正常" else ("unknown", "missing_value")
    return "unknown", "identity_not_confirmed"


def household(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    return judged(starts(merged(rows)["household_division"], "11"), default="household_elsewhere")


def lodging(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row, year_ago = merged(rows), asked.at.replace(year=asked.at.year - 1)
    same = equal(row["name"], name)
    if not same:
        return "unknown", "identity_not_confirmed"
    valid = least(row["document_valid_until"], asked.at)
    met = and3(same, valid, least(year_ago, row["lodging_since"]))
    return judged(met, (valid is False, "document_expired"), default="lodging_too_short")


def licence(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    good = equal(row["status"], "正常")
    fits = (
        None
        if row["licence_class"] is None
        else row["licence_class"] in ["A1", "A2", "A3", "B1", "B2", "C1", "C2", "C5"]
    )
    valid = least(row["valid_until"], asked.at)
    reasons = (good is False, "licence_status"), (valid is False, "licence_expired")
    return judged(and3(good, fits, valid), *reasons, default="licence_class")


def vehicles(rows: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """One row a plate; None where rows of a plate contradict each other."""
    by_plate: dict[Any, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        if by_plate.setdefault(row["plate"] or number, row) != row:
            return None
    return list(by_plate.values())


def no_vehicle(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    found = vehicles(rows)
    if found is None or any(row["vehicle_type"] is None or row["status"] is None for row in found):
        return "unknown", "missing_value"
    cars = [
        row
        for row in found
        if row["vehicle_type"] in ("小型轿车", "小型普通客车", "微型轿车") and row["status"] not in ("注销", "转出")
    ]
    return judged(not cars, default="has_vehicle")


def no_scrap(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    found = vehicles(rows)
    if found is None or any(row["status"] is None for row in found):
        return "unknown", "missing_value"
    due = [row["scrap_due_on"] for row in found if row["status"] not in ("注销", "转出")]
    if None in due:
        return "unknown", "missing_value"
    return judged(all(one > asked.at for one in due), default="scrap_due")


def permit(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    good = equal(row["status"], "有效")
    met = and3(good, least(asked.at, row["valid_from"]), least(row["valid_until"], asked.at))
    return judged(met, (good is False, "residence_permit_cancelled"), default="residence_permit_expired")


def work_permit(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    own, good = equal(row["holder"], "本人"), equal(row["status"], "有效")
    met = and3(own, good, least(asked.at, row["valid_from"]), least(row["valid_until"], asked.at))
    reasons = (own is False, "accompanying_person"), (good is False, "work_permit_cancelled")
    return judged(met, *reasons, default="work_permit_expired")


def insurance(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    last = asked.at.year * 12 + asked.at.month - 2
    wanted = {f"{month // 12}-{month % 12 + 1:02d}" for month in range(last - 59, last + 1)}
    missing = {month for month in wanted if not any(row["month_from"] <= month <= row["month_to"] for row in rows)}
    return judged(not missing, (max(wanted) in missing, "insurance_not_current"), default="insurance_interrupted")


def tax(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    sums: dict[int, int] = defaultdict(int)
    for row in rows:
        sums[row["treasury_date"].year] += row["amount"]
    paid = [sums[year] > 0 for year in range(asked.at.year - 5, asked.at.year)]
    return judged(all(paid), (not paid[-1], "tax_last_year_missing"), default="tax_year_missing")


def business(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    met = and3(equal(row["status"], "存续"), starts(row["registered_division"], "11"))
    reasons = (row["status"] == "吊销", "licence_revoked"), (row["status"] == "注销", "licence_cancelled")
    return judged(met, *reasons, default="registered_elsewhere")


def code(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    good = equal(row["status"], "有效")
    met = and3(good, least(row["valid_until"], asked.at))
    return judged(met, (good is False, "code_cancelled"), default="code_expired")


def body(asked: Judge, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    good = equal(row["status"], "正常")
    met = and3(good, least(row["valid_until"], asked.at))
    return judged(met, (good is False, "body_cancelled"), default="body_expired")


def one_code(numbers: tuple[str | None, ...], found: Verdict) -> Verdict:
    """A social body has one code a year; what is cancelled comes before that."""
    if numbers[0] == "1" or found[1] == "body_cancelled":
        return found
    if numbers[0] is not None:
        return "not_met", "too_many_codes"
    return found if found[0] == "not_met" else ("unknown", "missing_value")


def taxpayer(asked: Judge, key: tuple[str, str]) -> dict[str, Any]:
    rows = asked.facts["taxpayer"].rows.get(key)
    return {"state": None, "registered_on": None, "industry": None} | (merged(rows) if rows else {})


def in_year(asked: Judge, register: str, key: tuple[str, str], year: int) -> int:
    rows = asked.facts[register].rows.get(key, [])
    return sum(row["amount"] for row in rows if (row.get("treasury_date") or row["invested_on"]).year == year)


def steps(amount: int, first: int, further: int) -> int:
    """How many codes an amount is enough for."""
    return 0 if amount < first else 1 + (amount - first) // further


def reached(number: str | None, codes: int, most: int) -> bool | None:
    """Whether so many codes are enough for the one of the number; a number beyond the most never is."""
    if number is None:
        return None if codes else False
    return number != "more" and int(number) <= min(codes, most)


def registration(asked: Judge, key: tuple[str, str], numbers: tuple[str | None, ...]) -> Verdict:
    state = taxpayer(asked, key)["state"]
    return judged(None if state is None else state != "注销", default="tax_registration_cancelled")


def vat(asked: Judge, key: tuple[str, str], numbers: tuple[str | None, ...]) -> Verdict:
    year, payer = asked.at.year, taxpayer(asked, key)
    last, this = (steps(in_year(asked, "vat", key, one), 5_000_000, 50_000_000) for one in (year - 1, year))
    good = equal(payer["state"], "正常")
    number, ordinary = numbers
    if year < 2014:
        more = number == "more"
        enough = reached(number, last, 12) if not more else (None if last > 12 else False)
        reasons = (good is False, "taxpayer_state"), (more and last > 12, "number_beyond_steps")
        return judged(and3(good, enough), *reasons, default="vat_too_low")
    most = 8 if year < 2021 else 12
    new = least(payer["registered_on"], date(year, 1, 1))
    enough = or3(reached(number, last, most), and3(new, reached(number, this, most)))
    beyond = number is not None and (number == "more" or int(number) > most)
    reasons = [(good is False, "taxpayer_state"), (beyond, "too_many_codes")]
    few = reached(ordinary, 6, 6) if year >= 2021 else True
    return judged(and3(good, enough, few), *reasons, (few is False, "too_many_ordinary_codes"), default="vat_too_low")


def investment(asked: Judge, key: tuple[str, str], numbers: tuple[str | None, ...]) -> Verdict:
    payer = taxpayer(asked, key)
    last = in_year(asked, "fixed_investment", key, asked.at.year - 1)
    good, industry, few = equal(payer["state"], "正常"), payer["industry"], reached(numbers[1], 6, 6)
    invests = None if industry is None else industry in ("制造业", "信息传输、软件和信息技术服务业")
    enough = reached(numbers[0], steps(last, 1_000_000_000, 2_000_000_000), 12)
    reasons = (good is False, "taxpayer_state"), (invests is False, "other_industry")
    further = (numbers[0] == "more", "too_many_codes"), (few is False, "too_many_ordinary_codes")
    return judged(and3(good, invests, few, enough), *reasons, *further, default="investment_too_low")


RULES: dict[str, Any] = {
    "identity": ("population", identity, ("unknown", "identity_not_confirmed")),
    "household_here": ("population", household, ("unknown", "identity_not_confirmed")),
    "lodging": ("exit_entry", lodging, ("unknown", "identity_not_confirmed")),
    "driving_licence": ("driving_licence", licence, ("not_met", "no_licence")),
    "no_vehicle": ("vehicle", no_vehicle, ("met", "")),
    "no_scrap": ("vehicle", no_scrap, ("met", "")),
    "residence_permit": ("residence_permit", permit, ("not_met", "no_residence_permit")),
    "work_permit": ("work_residence_permit", work_permit, ("not_met", "no_work_permit")),
    "insurance": ("social_insurance", insurance, ("not_met", "no_insurance")),
    "tax": ("income_tax", tax, ("not_met", "no_tax_record")),
    "business": ("business_licence", business, ("unknown", "no_record")),
    "code": ("organisation_code", code, ("unknown", "no_record")),
    "credit_code": ("credit_code", business, ("unknown", "no_record")),
    "registration": ("vat", registration, ("unknown", "no_record")),
    "vat": ("vat", vat, ("unknown", "no_record")),
    "investment": ("vat", investment, ("unknown", "no_record")),
    "body": ("social_body", body, ("unknown", "no_record")),
}
_CAR = ("driving_licence", "no_vehicle", "no_scrap")
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "resident": (("identity", "household_here"), _CAR),
    "foreign": (("lodging",), _CAR),
    "work_permit": (("identity",), ("work_permit", *_CAR)),
    "residence_permit": (("identity",), ("residence_permit", "insurance", "tax", *_CAR)),
}


def units_on(at: date) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    if at < date(2015, 10, 1):
        enterprise: tuple[str, ...] = ("business", "code", "registration", "vat")
        return {"enterprise": (("identity",), enterprise), "social_body": (("identity",), ("body", "code"))}
    tax = "vat" if at < date(2021, 1, 1) else "vat|investment"
    return {"enterprise": (("identity",), ("credit_code", tax)), "social_body": (("identity",), ("body",))}
