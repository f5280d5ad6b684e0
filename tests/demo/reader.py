"""A second, slow reader of the registers, written from docs/reference/car_lottery.md alone.

It shares no code with the software: plain loops over texts, one person after the other. What it
finds in a generated city is held against the truth that the generator drew.
"""

import csv
import re
import sqlite3
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Row = dict[str, str | None]
Verdict = tuple[str, str]  #: met, not_met or unknown; the reason

# --- Section 3: spellings -----------------------------------------------------------------------


def stripped(text: str) -> str:
    text = unicodedata.normalize("NFKC", text)
    return "".join(one for one in text if not one.isspace() and ord(one) not in (0x200B, 0x200C, 0x200D, 0xFEFF))


def name_of(raw: str | None) -> str | None:
    if raw is None:
        return None
    return "".join("·" if one in "·•‧・･" else one for one in stripped(raw)).upper() or None


def other(raw: str | None) -> str | None:
    return unicodedata.normalize("NFKC", raw).strip() or None if raw else None


def check_of(seventeen: str) -> str:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(seventeen, weights, strict=True))
    return "10X98765432"[total % 11]


def real_day(text: str) -> date | None:
    """YYYY-MM-DD from 1900 to 2100."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1900 <= found.year <= 2100 else None


def citizen(raw: str | None) -> str | None:
    text = stripped(raw or "").upper()
    if re.fullmatch(r"[0-9]{15}", text) and text[12:] < "996":
        body = text[:6] + "19" + text[6:]
        text = body + check_of(body)
    if not re.fullmatch(r"[0-9]{17}[0-9X]", text) or check_of(text[:17]) != text[17]:
        return None
    return text if real_day(f"{text[6:10]}-{text[10:12]}-{text[12:14]}") else None


def document(raw: str | None) -> str | None:
    text = stripped(raw or "").upper()
    return text if re.fullmatch(r"[0-9A-Z]{5,18}", text) else None


def organisation(raw: str | None) -> str | None:
    text = stripped(raw or "").upper().replace("-", "")
    if not re.fullmatch(r"[0-9A-Z]{8}[0-9X]", text):
        return None
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(one, 36) * weight for one, weight in zip(text, weights, strict=False))
    check = 11 - total % 11
    return text if text[8] == {10: "X", 11: "0"}.get(check, str(check)) else None


DOMAINS = {
    "身份证": ("citizen", citizen),
    "港澳通行证": ("hmt_permit", document),
    "台胞证": ("hmt_permit", document),
    "护照": ("passport", document),
    "外国人永久居留身份证": ("foreign_permit", document),
    "组织机构代码": ("organisation_code", organisation),
}

# --- Section 5: raw rows to keys ----------------------------------------------------------------

CODES = {
    ("population", "status"): "正常 死亡 注销",
    ("driving_licence", "status"): "正常 超分 逾期未换证 逾期未体检 停止使用 暂扣 扣留 撤销 吊销 注销",
    ("driving_licence", "licence_class"): "A1 A2 A3 B1 B2 C1 C2 C3 C4 C5 C6 D E F M N P",
    ("vehicle", "vehicle_type"): "小型轿车 小型普通客车 微型轿车 轻型货车 重型货车 摩托车",
    ("vehicle", "status"): "正常 逾期未检验 查封 注销 转出",
    ("residence_permit", "status"): "有效 注销",
    ("work_residence_permit", "status"): "有效 注销",
    ("work_residence_permit", "holder"): "本人 随员",
    ("business_licence", "status"): "存续 吊销 注销 迁出",
    ("organisation_code", "status"): "有效 注销",
    ("social_body", "status"): "正常 注销 撤销",
    ("taxpayer", "state"): "正常 非正常 注销",
}
USED = {
    "population": "name household_division status",
    "driving_licence": "licence_class status valid_until",
    "vehicle": "vehicle_type status scrap_due_on",
    "residence_permit": "valid_from valid_until status",
    "exit_entry": "name document_valid_until lodging_since",
    "social_insurance": "month_from month_to",
    "work_residence_permit": "holder valid_from valid_until status",
    "income_tax": "amount treasury_date",
    "vat": "amount treasury_date",
    "taxpayer": "registered_on state",
    "business_licence": "status registered_division",
    "organisation_code": "status valid_until",
    "social_body": "status valid_until",
}
DAYS = {
    *("valid_from", "valid_until", "scrap_due_on", "document_valid_until", "lodging_since"),
    *("treasury_date", "registered_on"),
}
NUMBERS = ("id_number", "owner_number", "document_number", "organisation_code")


@dataclass
class Facts:
    rows: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    doubtful: set[tuple[str, str]] = field(default_factory=set)
    rejected: int = 0


def neighbours(bad: str) -> Iterator[str]:
    """Good numbers one slip away from a bad one."""
    tries = {bad[:i] + one + bad[i + 1 :] for i in range(len(bad)) for one in "0123456789X"}
    tries |= {bad[:i] + bad[i + 1] + bad[i] + bad[i + 2 :] for i in range(len(bad) - 1)}
    tries |= {bad[:i] + bad[i + 1 :] for i in range(len(bad))}
    tries |= {bad[:i] + one + bad[i:] for i in range(len(bad) + 1) for one in "0123456789X"}
    return (one for one in tries if len(one) == 18 and citizen(one))


def well_formed(register: str, column: str, text: str) -> Any:
    """The value, None if it does not hold."""
    if column in DAYS:
        return real_day(text)
    if column.startswith("month"):
        good = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text)
        return text if good and 2004 <= int(good[1]) <= 2099 else None
    if column == "amount":
        return int(text) if re.fullmatch(r"-?[0-9]+", text) and abs(int(text)) <= 10**13 else None
    codes = CODES.get((register, column))
    return text if codes is None or text in codes.split() else None


def facts_of(register: str, raw: Iterator[Row]) -> Facts:
    facts = Facts()
    for row in raw:
        number = next(row[column] for column in NUMBERS if column in row)
        kind = other(row["document_type"]) if "document_type" in row else None
        kind = kind or ("组织机构代码" if "organisation_code" in row else "身份证")
        domain, reading = DOMAINS[kind]
        key = reading(number)
        values, holds = read_values(register, row)
        if key is None or not holds:
            facts.rejected += 1
        if key is not None and not holds:
            facts.doubtful.add((domain, key))
        elif key is None:
            bad = stripped(number or "").upper()
            if domain == "citizen" and 16 <= len(bad) <= 20:
                facts.doubtful |= {(domain, meant) for meant in neighbours(bad)}
        else:
            facts.rows[domain, key].append(values)
    return facts


def read_values(register: str, row: Row) -> tuple[dict[str, Any], bool]:
    values: dict[str, Any] = {"plate": stripped(row.get("plate") or "").upper()}
    holds = True
    for column in USED[register].split():
        text = name_of(row[column]) if column == "name" else other(row[column])
        values[column] = None if text is None else well_formed(register, column, text)
        if text is None:
            holds = holds and register not in ("social_insurance", "income_tax", "vat")
        else:
            holds = holds and values[column] is not None
    if register == "social_insurance" and holds:
        holds = values["month_from"] <= values["month_to"]
    return values, holds


def merged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One-row registers: contradictions cancel each other."""
    found: dict[str, Any] = {}
    for column in rows[0]:
        values = {row[column] for row in rows} - {None}
        found[column] = values.pop() if len(values) == 1 else None
    return found


# --- Reading a city -----------------------------------------------------------------------------


def raw_rows(directory: Path, register: str) -> Iterator[Row] | None:
    for node in sorted((directory / "registers").iterdir()):
        if (node / f"{register}.parquet").exists():
            return iter(pq.read_table(node / f"{register}.parquet").to_pylist())
        if (node / f"{register}.csv").exists():
            return csv.DictReader((node / f"{register}.csv").read_text("utf-8").splitlines())
        if (node / "register.db").exists():
            database = sqlite3.connect(node / "register.db")
            database.row_factory = sqlite3.Row
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if register in tables:
                return (dict(row) for row in database.execute(f"SELECT * FROM {register}"))
    return None


def read_city(directory: Path, at: date) -> "Reader":
    rows = {register: raw_rows(directory, register) for register in USED}
    facts = {register: facts_of(register, found) for register, found in rows.items() if found is not None}
    lines = pq.read_table(directory / "registers" / "transport" / "applications.parquet").to_pylist()
    return Reader(at, facts, [line for line in lines if line["kind"] != "military"])


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
class Reader:
    at: date
    facts: dict[str, Facts]
    lines: list[dict[str, Any]]

    def ask(self, rule: str, key: tuple[str, str] | None, name: str | None) -> Verdict:
        if key is None:
            return "unknown", "bad_identifier"
        register, judge, silence = RULES[rule]
        facts = self.facts[register]
        if key in facts.doubtful or (register == "vat" and key in self.facts["taxpayer"].doubtful):
            return "unknown", "doubtful_record"
        if register == "vat":
            return vat(self, key)
        if key not in facts.rows:
            return silence
        return judge(self, facts.rows[key], name)

    def decide(self) -> dict[str, Verdict]:
        """Decision and reason of each application."""
        counting: dict[Any, list[Any]] = defaultdict(list)
        for line in self.lines:
            subject = self.subject(line)
            if subject:
                counting[subject].append((line["submitted_on"], line["application"]))
        found = {}
        for line in self.lines:
            same = counting.get(self.subject(line), [])
            if same and min(same)[1] != line["application"]:
                found[line["application"]] = ("not_eligible", "duplicate_application")
            else:
                found[line["application"]] = self.decide_line(line)
        return found

    def subject(self, line: dict[str, Any]) -> tuple[str, str] | None:
        if line["document_type"] not in DOMAINS:
            return None
        domain, reading = DOMAINS[line["document_type"]]
        key = reading(line["document_number"])
        return (domain, key) if key else None

    def decide_line(self, line: dict[str, Any]) -> Verdict:
        if line["kind"] not in KINDS:
            return "needs_person", "no_applicable_rule"
        first, others = KINDS[line["kind"]]
        unit = line["kind"] in ("enterprise", "social_body")
        subject = self.subject(line)
        if not unit and (line["document_type"] == "身份证") == (line["kind"] == "foreign"):
            subject = None
        verdicts = []
        for rule in first:
            who, name = (subject, line["name"])
            if unit:
                number = citizen(line["handler_number"])
                who, name = (("citizen", number) if number else None), line["handler_name"]
            verdicts.append(self.ask(rule, who, name_of(name)))
        if all(verdict == "met" for verdict, _ in verdicts):
            verdicts += [self.ask(rule, subject, name_of(line["name"])) for rule in others]
        for wanted, decision in (("not_met", "not_eligible"), ("unknown", "needs_person")):
            for verdict, reason in verdicts:
                if verdict == wanted:
                    return decision, reason
        return "eligible", ""


def identity(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    same = equal(row["name"], name)
    if same and row["status"] in ("死亡", "注销"):
        return "not_met", {"死亡": "deceased", "注销": "household_cancelled"}[row["status"]]
    return ("met", "") if same and row["status"] == "正常" else ("unknown", "identity_not_confirmed")


def household(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    return judged(starts(merged(rows)["household_division"], "1101"), default="household_elsewhere")


def lodging(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row, year_ago = merged(rows), reader.at.replace(year=reader.at.year - 1)
    same = equal(row["name"], name)
    if not same:
        return "unknown", "identity_not_confirmed"
    valid = least(row["document_valid_until"], reader.at)
    met = and3(same, valid, least(year_ago, row["lodging_since"]))
    return judged(met, (valid is False, "document_expired"), default="lodging_too_short")


def licence(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    good = equal(row["status"], "正常")
    fits = None if row["licence_class"] is None else row["licence_class"] in ["A1", "A2", "A3", "B1", "B2", "C1", "C2", "C5"]
    valid = least(row["valid_until"], reader.at)
    reasons = (good is False, "licence_status"), (valid is False, "licence_expired")
    return judged(and3(good, fits, valid), *reasons, default="licence_class")


def vehicles(rows: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """One row a plate; None where rows of a plate contradict each other."""
    by_plate: dict[str, dict[str, Any]] = {}
    for row in rows:
        if by_plate.setdefault(row["plate"], row) != row:
            return None
    return list(by_plate.values())


def no_vehicle(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    found = vehicles(rows)
    if found is None or any(row["vehicle_type"] is None or row["status"] is None for row in found):
        return "unknown", "missing_value"
    cars = [
        row
        for row in found
        if row["vehicle_type"] in ("小型轿车", "小型普通客车", "微型轿车") and row["status"] not in ("注销", "转出")
    ]
    return judged(not cars, default="has_vehicle")


def no_scrap(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    found = vehicles(rows)
    if found is None or any(row["status"] is None for row in found):
        return "unknown", "missing_value"
    due = [row["scrap_due_on"] for row in found if row["status"] not in ("注销", "转出")]
    if None in due:
        return "unknown", "missing_value"
    return judged(all(one > reader.at for one in due), default="scrap_due")


def permit(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    good = equal(row["status"], "有效")
    met = and3(good, least(reader.at, row["valid_from"]), least(row["valid_until"], reader.at))
    return judged(met, (good is False, "residence_permit_cancelled"), default="residence_permit_expired")


def work_permit(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    own, good = equal(row["holder"], "本人"), equal(row["status"], "有效")
    met = and3(own, good, least(reader.at, row["valid_from"]), least(row["valid_until"], reader.at))
    reasons = (own is False, "accompanying_person"), (good is False, "work_permit_cancelled")
    return judged(met, *reasons, default="work_permit_expired")


def insurance(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    last = reader.at.year * 12 + reader.at.month - 2
    wanted = {f"{month // 12}-{month % 12 + 1:02d}" for month in range(last - 59, last + 1)}
    missing = {month for month in wanted if not any(row["month_from"] <= month <= row["month_to"] for row in rows)}
    return judged(not missing, (max(wanted) in missing, "insurance_not_current"), default="insurance_interrupted")


def tax(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    sums: dict[int, int] = defaultdict(int)
    for row in rows:
        sums[row["treasury_date"].year] += row["amount"]
    paid = [sums[year] > 0 for year in range(reader.at.year - 5, reader.at.year)]
    return judged(all(paid), (not paid[-1], "tax_last_year_missing"), default="tax_year_missing")


def business(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    met = and3(equal(row["status"], "存续"), starts(row["registered_division"], "1101"))
    reasons = (row["status"] == "吊销", "licence_revoked"), (row["status"] == "注销", "licence_cancelled")
    return judged(met, *reasons, default="registered_elsewhere")


def code(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    good = equal(row["status"], "有效")
    met = and3(good, least(row["valid_until"], reader.at))
    return judged(met, (good is False, "code_cancelled"), default="code_expired")


def body(reader: Reader, rows: list[dict[str, Any]], name: str | None) -> Verdict:
    row = merged(rows)
    good = equal(row["status"], "正常")
    met = and3(good, least(row["valid_until"], reader.at))
    return judged(met, (good is False, "body_cancelled"), default="body_expired")


def vat(reader: Reader, key: tuple[str, str]) -> Verdict:
    payments, taxpayers = reader.facts["vat"].rows.get(key), reader.facts["taxpayer"].rows.get(key)
    if not payments and not taxpayers:
        return "unknown", "no_record"
    row = merged(taxpayers) if taxpayers else {"state": None, "registered_on": None}
    sums: dict[int, int] = defaultdict(int)
    for payment in payments or []:
        sums[payment["treasury_date"].year] += payment["amount"]
    good = equal(row["state"], "正常")
    new = least(row["registered_on"], date(reader.at.year, 1, 1))
    enough = or3(sums[reader.at.year - 1] >= 5_000_000, and3(new, sums[reader.at.year] >= 5_000_000))
    return judged(and3(good, enough), (good is False, "taxpayer_state"), default="vat_too_low")


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
    "vat": ("vat", vat, ("unknown", "no_record")),
    "body": ("social_body", body, ("unknown", "no_record")),
}
_CAR = ("driving_licence", "no_vehicle", "no_scrap")
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "resident": (("identity", "household_here"), _CAR),
    "foreign": (("lodging",), _CAR),
    "work_permit": (("identity",), ("work_permit", *_CAR)),
    "residence_permit": (("identity",), ("residence_permit", "insurance", "tax", *_CAR)),
    "enterprise": (("identity",), ("business", "code", "vat")),
    "social_body": (("identity",), ("body", "code")),
}
