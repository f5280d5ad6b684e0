"""A second, slow reader of the registers, written from docs/reference/car_lottery.md alone: sections 3 to 5.

It shares no code with the software: plain loops over texts, one row after the other. `judge` goes on
from here; what it finds in a generated city is held against the truth that the generator drew.
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
    if len(text) == 18:
        alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
        if not re.fullmatch(f"[{alphabet}]{{2}}[0-9]{{6}}[{alphabet}]{{10}}", text):
            return None
        # Horner's scheme from the right: the whole code is a multiple of 31.
        whole = 0
        for one in reversed(text[:17]):
            whole = whole * 3 + alphabet.index(one)
        if (whole + alphabet.index(text[17])) % 31:
            return None
        text = text[8:17]
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
    "统一社会信用代码": ("organisation_code", organisation),
}
OF_UNITS = {"组织机构代码": ("2011-01-01", "2017-12-31"), "统一社会信用代码": ("2015-10-01", "9999-12-31")}
FOREIGN = frozenset(DOMAINS) - {"身份证", *OF_UNITS}
FITTING = {
    **dict.fromkeys(("resident", "work_permit", "residence_permit"), frozenset({"身份证"})),
    "foreign": FOREIGN,
    **dict.fromkeys(("enterprise", "social_body"), frozenset(OF_UNITS)),
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
    ("credit_code", "status"): "存续 吊销 注销 迁出",
    ("taxpayer", "industry"): "制造业 信息传输、软件和信息技术服务业 批发和零售业 建筑业 租赁和商务服务业 其他",
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
    "taxpayer": "registered_on state industry",
    "fixed_investment": "amount invested_on",
    "business_licence": "status registered_division",
    "credit_code": "status registered_division",
    "organisation_code": "status valid_until",
    "social_body": "status valid_until",
}
DAYS = {
    *("valid_from", "valid_until", "scrap_due_on", "document_valid_until", "lodging_since"),
    *("treasury_date", "registered_on", "invested_on"),
}
NUMBERS = ("id_number", "owner_number", "document_number", "organisation_code", "credit_code")


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
        return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) and abs(int(text)) <= 10**13 else None
    codes = CODES.get((register, column))
    return text if codes is None or text in codes.split() else None


def facts_of(register: str, raw: Iterator[Row]) -> Facts:
    facts = Facts()
    for row in raw:
        number = next(row[column] for column in NUMBERS if column in row)
        values, holds = read_values(register, row)
        kinds = kinds_of(register, row)
        if len(kinds) == 1 and holds:
            domain, reading = DOMAINS[kinds[0]]
            if key := reading(number):
                facts.rows[domain, key].append(values)
                continue
        facts.rejected += 1
        for kind in kinds:
            facts.doubtful |= meant_by(kind, number)
    return facts


def kinds_of(register: str, row: Row) -> list[str]:
    """The document types that the row's number may be of; one, unless the row does not say."""
    if "organisation_code" in row or "credit_code" in row:
        return ["组织机构代码"]
    if "document_type" not in row:
        return ["身份证"]
    kind = other(row["document_type"])
    if kind in DOMAINS:
        return [kind]
    return sorted(FOREIGN) if register == "exit_entry" else ["身份证", *sorted(FOREIGN)]


def meant_by(kind: str, number: str | None) -> set[tuple[str, str]]:
    """Keys that a rejected row puts in doubt."""
    domain, reading = DOMAINS[kind]
    if key := reading(number):
        return {(domain, key)}
    bad = stripped(number or "").upper()
    return {(domain, meant) for meant in neighbours(bad)} if domain == "citizen" and 17 <= len(bad) <= 19 else set()


def read_values(register: str, row: Row) -> tuple[dict[str, Any], bool]:
    values: dict[str, Any] = {"plate": stripped(row.get("plate") or "").upper()}
    holds = True
    for column in USED[register].split():
        if column not in row:  # no `industry` before 2021
            continue
        text = name_of(row[column]) if column == "name" else other(row[column])
        values[column] = None if text is None else well_formed(register, column, text)
        if text is None:
            holds = holds and register not in ("social_insurance", "income_tax", "vat", "fixed_investment")
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
