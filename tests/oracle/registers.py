"""From the raw rows of a register to one fact row a key, and the keys in doubt.

Second implementation of sections 4 and 5 of docs/reference/car_lottery.md, written from that page alone.
"""

import csv
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.oracle.texts import (
    DOMAINS,
    IllFormed,
    Key,
    Parse,
    amount,
    as_typed,
    code,
    day,
    dense,
    identifier,
    key,
    month,
    name,
    near,
    text,
)

Row = dict[str, Any]  # column → value, None when missing
NEVER = date(9999, 12, 31)
DAY = timedelta(days=1)
CARS = {"小型轿车", "小型普通客车", "微型轿车"}
GONE = {"注销", "转出"}


@dataclass(frozen=True)
class Register:
    """Where a register lies and which of its columns the facts use.

    `domain` None: a column `document_type` stands beside the number, and the register is asked by the domains
    `asked_by`. `needed`: a row in which one of these is missing is rejected.
    """

    node: str
    name: str
    store: str
    number: str
    domain: str | None
    values: Mapping[str, Parse]
    needed: tuple[str, ...] = ()
    asked_by: tuple[str, ...] = ()
    since: date = date.min
    until: date = date.max


@dataclass
class Facts:
    rows: dict[Key, Row] = field(default_factory=dict)
    doubtful: set[Key] = field(default_factory=set)


FOREIGN = ("hmt_permit", "passport", "foreign_permit")
LICENCE_STATES = ["正常", "超分", "逾期未换证", "逾期未体检", "停止使用", "暂扣", "扣留", "撤销", "吊销", "注销"]
LICENCE_CLASSES = ["A1", "A2", "A3", "B1", "B2", "C1", "C2", "C3", "C4", "C5", "C6", "D", "E", "F", "M", "N", "P"]
VEHICLE_TYPES = ["小型轿车", "小型普通客车", "微型轿车", "轻型货车", "重型货车", "摩托车"]
ONE_CERTIFICATE, INVESTMENT_COUNTS = date(2015, 10, 1), date(2021, 1, 1)
SUCCESSORS = {  # node → from when on which node keeps its registers
    "local-tax": (date(2018, 6, 15), "tax"),
    "state-tax": (date(2018, 6, 15), "tax"),
    "industry-commerce": (date(2018, 11, 16), "market-regulation"),
}
INDUSTRIES = [
    "制造业", "信息传输、软件和信息技术服务业", "批发和零售业", "建筑业", "租赁和商务服务业", "其他"
]  # fmt: skip
VEHICLE_STATES = ["正常", "逾期未检验", "查封", "注销", "转出"]

REGISTERS = [
    Register(
        "public-security", "population", "sqlite", "id_number", "citizen",
        {"name": as_typed, "household_division": as_typed, "status": code("正常", "死亡", "注销")},
    ),
    Register(
        "public-security", "driving_licence", "parquet", "id_number", None,
        {"licence_class": code(*LICENCE_CLASSES), "status": code(*LICENCE_STATES), "valid_until": day},
        asked_by=("citizen", *FOREIGN),
    ),
    Register(
        "public-security", "vehicle", "sqlite", "owner_number", None,
        {"plate": as_typed, "vehicle_type": code(*VEHICLE_TYPES), "status": code(*VEHICLE_STATES), "scrap_due_on": day},
        asked_by=("citizen", *FOREIGN),
    ),
    Register(
        "public-security", "residence_permit", "sqlite", "id_number", "citizen",
        {"valid_from": day, "valid_until": day, "status": code("有效", "注销")},
    ),
    Register(
        "public-security", "exit_entry", "csv", "document_number", None,
        {"name": as_typed, "document_valid_until": day, "lodging_since": day},
        asked_by=FOREIGN,
    ),
    Register(
        "human-resources", "social_insurance", "parquet", "id_number", "citizen",
        {"month_from": month, "month_to": month}, ("month_from", "month_to"),
    ),
    Register(
        "human-resources", "work_residence_permit", "csv", "id_number", "citizen",
        {"holder": code("本人", "随员"), "valid_from": day, "valid_until": day, "status": code("有效", "注销")},
    ),
    Register(
        "local-tax", "income_tax", "csv", "id_number", "citizen",
        {"amount": amount, "treasury_date": day}, ("amount", "treasury_date"),
    ),
    Register(
        "state-tax", "vat", "sqlite", "organisation_code", "organisation_code",
        {"amount": amount, "treasury_date": day}, ("amount", "treasury_date"),
    ),
    Register(
        "state-tax", "taxpayer", "sqlite", "organisation_code", "organisation_code",
        {"registered_on": day, "state": code("正常", "非正常", "注销")}, until=INVESTMENT_COUNTS - DAY,
    ),
    Register(
        "state-tax", "taxpayer", "sqlite", "organisation_code", "organisation_code",
        {"registered_on": day, "state": code("正常", "非正常", "注销"), "industry": code(*INDUSTRIES)},
        since=INVESTMENT_COUNTS,
    ),
    Register(
        "state-tax", "fixed_investment", "sqlite", "organisation_code", "organisation_code",
        {"amount": amount, "invested_on": day}, ("amount", "invested_on"), since=INVESTMENT_COUNTS,
    ),
    Register(
        "industry-commerce", "business_licence", "parquet", "organisation_code", "organisation_code",
        {"status": code("存续", "吊销", "注销", "迁出"), "registered_division": as_typed}, until=ONE_CERTIFICATE - DAY,
    ),
    Register(
        "industry-commerce", "credit_code", "parquet", "credit_code", "organisation_code",
        {"status": code("存续", "吊销", "注销", "迁出"), "registered_division": as_typed}, since=ONE_CERTIFICATE,
    ),
    Register(
        "quality-supervision", "organisation_code", "csv", "organisation_code", "organisation_code",
        {"status": code("有效", "注销"), "valid_until": day}, until=ONE_CERTIFICATE - DAY,
    ),
    Register(
        "civil-affairs", "social_body", "sqlite", "organisation_code", "organisation_code",
        {"status": code("正常", "注销", "撤销"), "valid_until": day},
    ),
]  # fmt: skip


# Reading -------------------------------------------------------------------------------------------------------


def read_all(directory: Path, at: date, subjects: set[Key]) -> dict[str, Facts | None]:
    """Facts about the subjects by register name, what the tax office knows joined under `vat`; None: no answer."""
    facts = {r.name: read(directory / node_of(r, at), r, subjects) for r in registers_on(at)}
    facts["vat"] = joined([facts.pop(name) for name in TAX_OFFICE if name in facts])
    return facts


def registers_on(at: date) -> list[Register]:
    return [r for r in REGISTERS if r.since <= at <= r.until]


def node_of(register: Register, at: date) -> str:
    since, successor = SUCCESSORS.get(register.node, (NEVER, ""))
    return successor if at >= since else register.node


def read(folder: Path, register: Register, subjects: set[Key]) -> Facts | None:
    raw_rows = open_rows(folder, register)
    if raw_rows is None:
        return None
    facts = Facts()
    kept: dict[Key, list[Row]] = defaultdict(list)
    for raw in raw_rows:
        facts.doubtful |= mislabelled(raw, register, subjects)
        owner = key(domain_of(raw, register), raw[register.number])
        if owner is None:
            facts.doubtful |= meant(raw, register, subjects)
        elif owner in subjects:
            row = parsed(raw, register)
            if row is None:
                facts.doubtful.add(owner)
            else:
                kept[owner].append(row)
    merge = MERGES.get(register.name, one_row)
    facts.rows = {owner: merge(rows) for owner, rows in kept.items()}
    return facts


def raw_rows_of(directory: Path, at: date, subjects: set[Key]) -> Iterator[tuple[str, dict[str, object]]]:
    """Every raw row that is, or may be meant to be, about one of the subjects, with the name of its register."""
    for register in registers_on(at):
        for raw in open_rows(directory / node_of(register, at), register) or ():
            if meant(raw, register, subjects):
                yield register.name, raw


def domain_of(raw: Mapping[str, object], register: Register) -> str | None:
    """None: the row's document type is missing or unknown."""
    return register.domain or DOMAINS.get(text(raw["document_type"]) or "")


def meant(raw: Mapping[str, object], register: Register, subjects: set[Key]) -> set[Key]:
    """The subjects a row may be about; by any document the register is asked by when the row does not say which."""
    domain, number = domain_of(raw, register), raw[register.number]
    possible = register.asked_by if domain is None else (domain,)
    return {subject for one in possible for subject in possible_keys(one, number)} & subjects


def mislabelled(raw: Mapping[str, object], register: Register, subjects: set[Key]) -> set[Key]:
    """A good citizen number under another kind of document: whose row it is, nobody can be sure."""
    if domain_of(raw, register) in (None, "citizen") or "citizen" not in register.asked_by:
        return set()
    found = key("citizen", raw[register.number])
    return set() if found is None else {found} & subjects


def possible_keys(domain: str, raw: object) -> Iterator[Key]:
    """The number itself if good; all texts within one slip of a bad citizen number, most of them not good either."""
    good, number = key(domain, raw), identifier(domain, raw)
    if good is not None:
        yield good
    elif domain == "citizen" and number is not None:
        yield from ((domain, one) for one in near(number))


def parsed(raw: Mapping[str, object], register: Register) -> Row | None:
    """The columns the facts use; None when the row has to be rejected."""
    row: Row = {}
    for column, parse in register.values.items():
        value = {"name": name, "plate": dense}.get(column, text)(raw[column])
        try:
            row[column] = None if value is None else parse(value)
        except IllFormed:
            return None
    if any(row[column] is None for column in register.needed):
        return None
    if "month_from" in row and row["month_from"] > row["month_to"]:
        return None
    return row


def open_rows(folder: Path, register: Register) -> Iterator[dict[str, object]] | None:
    """The raw rows by column name; None when the department has no such register."""
    if register.store == "sqlite":
        path = folder / "register.db"
        return sqlite_rows(path, register.name) if path.exists() and has_table(path, register.name) else None
    path = folder / f"{register.name}.{register.store}"
    if not path.exists():
        return None
    return parquet_rows(path) if register.store == "parquet" else csv_rows(path)


def has_table(path: Path, table: str) -> bool:
    with closing(sqlite3.connect(path)) as db:
        return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone())


def sqlite_rows(path: Path, table: str) -> Iterator[dict[str, object]]:
    with closing(sqlite3.connect(path)) as db:
        cursor = db.execute(f'SELECT * FROM "{table}"')
        columns = [column[0] for column in cursor.description]
        for values in cursor:
            yield dict(zip(columns, values, strict=True))


def parquet_rows(path: Path) -> Iterator[dict[str, object]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from batch.to_pylist()


def csv_rows(path: Path) -> Iterator[dict[str, object]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        yield from csv.DictReader(lines)


# Merging the rows of one key --------------------------------------------------------------------------------------


def one_row(rows: list[Row]) -> Row:
    merged: Row = {}
    for column in rows[0]:
        given = {row[column] for row in rows} - {None}
        merged[column] = given.pop() if len(given) == 1 else None
    return merged


def vehicles(rows: list[Row]) -> Row:
    by_plate: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
    without_plate: list[tuple[Any, ...]] = []
    for row in rows:
        vehicle = (row["vehicle_type"], row["status"], row["scrap_due_on"])
        if row["plate"] is None:
            without_plate.append(vehicle)
        else:
            by_plate[row["plate"]].add(vehicle)
    if any(len(versions) > 1 for versions in by_plate.values()):
        return {"cars": None, "scrap_due_first": None}
    each = without_plate + [version for versions in by_plate.values() for version in versions]
    return {"cars": cars(each), "scrap_due_first": scrap_due_first(each)}


def cars(each: list[tuple[Any, ...]]) -> int | None:
    if any(kind is None or status is None for kind, status, _ in each):
        return None
    return sum(kind in CARS and status not in GONE for kind, status, _ in each)


def scrap_due_first(each: list[tuple[Any, ...]]) -> date | None:
    if any(status is None for _, status, _ in each):
        return None
    days = [due for _, status, due in each if status not in GONE]
    return None if None in days else min(days, default=NEVER)


def insured_months(rows: list[Row]) -> Row:
    return {"months": {month for row in rows for month in range(row["month_from"], row["month_to"] + 1)}}


def sums_by_year(rows: list[Row]) -> Row:
    """Fen that reached the treasury, by calendar year."""
    sums: dict[int, int] = defaultdict(int)
    for row in rows:
        sums[row["treasury_date"].year] += row["amount"]
    return {"sums": dict(sums)}


def investment_by_year(rows: list[Row]) -> Row:
    return {"invested": sums_by_year([row | {"treasury_date": row["invested_on"]} for row in rows])["sums"]}


TAX_OFFICE = ("vat", "taxpayer", "fixed_investment")


def joined(parts: list[Facts | None]) -> Facts | None:
    """One fact row per organisation of any of the registers; no answer if one of them gives none."""
    facts = Facts()
    for part in parts:
        if part is None:
            return None
        facts.doubtful |= part.doubtful
        for owner, row in part.rows.items():
            unknown: Row = {"sums": {}, "invested": {}, "registered_on": None, "state": None, "industry": None}
            facts.rows[owner] = facts.rows.get(owner, unknown) | row
    return facts


MERGES: dict[str, Callable[[list[Row]], Row]] = {
    "vehicle": vehicles,
    "social_insurance": insured_months,
    "income_tax": sums_by_year,
    "vat": sums_by_year,
    "fixed_investment": investment_by_year,
}
