"""Hand-made registers of a few rows, in the stores an office has them in, for the tests of the independent checker."""

import csv
import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.oracle.car_lottery import Finding, decide
from tests.oracle.rules import Verdict

IN_2011, IN_2014, IN_2016, IN_2026 = date(2011, 6, 8), date(2014, 6, 8), date(2016, 6, 8), date(2026, 10, 8)
READ_ON = {at: at + timedelta(days=1) for at in (IN_2011, IN_2014, IN_2016, IN_2026)}
MERGED = {"local-tax": "tax", "state-tax": "tax", "industry-commerce": "market-regulation"}
PLACES = {  # register → node before 2018, store, columns
    "population": ("public-security", "sqlite", "id_number name sex birth_date household_division status"),
    "driving_licence": (
        "public-security",
        "parquet",
        "id_number document_type licence_class status issued_on valid_until",
    ),
    "vehicle": (
        "public-security",
        "sqlite",
        "plate owner_number document_type vehicle_type status registered_on scrap_due_on",
    ),
    "residence_permit": ("public-security", "sqlite", "id_number permit_number valid_from valid_until status"),
    "exit_entry": (
        "public-security",
        "csv",
        "document_type document_number name document_valid_until lodging_since",
    ),
    "social_insurance": ("human-resources", "parquet", "id_number month_from month_to paid_on kind"),
    "work_residence_permit": ("human-resources", "csv", "id_number holder valid_from valid_until status"),
    "income_tax": ("local-tax", "csv", "id_number tax_year amount treasury_date"),
    "vat": ("state-tax", "sqlite", "organisation_code amount treasury_date"),
    "taxpayer": ("state-tax", "sqlite", "organisation_code name registered_on state industry"),
    "fixed_investment": ("state-tax", "sqlite", "organisation_code amount invested_on"),
    "credit_code": ("industry-commerce", "parquet", "credit_code name status registered_division registered_on"),
    "business_licence": (
        "industry-commerce",
        "parquet",
        "organisation_code licence_number name status registered_division registered_on",
    ),
    "organisation_code": ("quality-supervision", "csv", "organisation_code name status valid_until"),
    "social_body": ("civil-affairs", "sqlite", "organisation_code name body_kind status valid_until"),
}
APPLICATION = """
    application kind submitted_on name document_type document_number handler_name handler_number
    code_number ordinary_number
"""


CLEAN: dict[str, dict[str, Any]] = {  # without the number, and without what depends on the round
    "population": {
        "name": "张三",
        "sex": "男",
        "birth_date": "1980-01-01",
        "household_division": "110105",
        "status": "正常",
    },
    "driving_licence": {
        "document_type": "身份证",
        "licence_class": "C1",
        "status": "正常",
        "issued_on": "2008-01-01",
        "valid_until": "2099-01-01",
    },
    "vehicle": {
        "plate": "京A12345",
        "document_type": "身份证",
        "vehicle_type": "小型轿车",
        "status": "正常",
        "registered_on": "2010-01-01",
        "scrap_due_on": "2099-01-01",
    },
    "residence_permit": {
        "permit_number": "1",
        "valid_from": "2008-01-01",
        "valid_until": "2099-01-01",
        "status": "有效",
    },
    "exit_entry": {"name": "张三", "document_valid_until": "2099-01-01", "lodging_since": "2008-01-01"},
    "social_insurance": {"paid_on": "2014-01-01", "kind": "正常"},
    "work_residence_permit": {
        "holder": "本人",
        "valid_from": "2008-01-01",
        "valid_until": "2099-01-01",
        "status": "有效",
    },
    "income_tax": {"tax_year": "2009", "amount": "1", "treasury_date": "2009-07-01"},
    "vat": {"amount": "5000000"},
    "taxpayer": {"name": "某公司", "registered_on": "2001-01-01", "state": "正常", "industry": "其他"},
    "fixed_investment": {"amount": "1000000000"},
    "credit_code": {
        "name": "某公司",
        "status": "存续",
        "registered_division": "110105",
        "registered_on": "2001-01-01",
    },
    "business_licence": {
        "licence_number": "1",
        "name": "某公司",
        "status": "存续",
        "registered_division": "110105",
        "registered_on": "2001-01-01",
    },
    "organisation_code": {"name": "某公司", "status": "有效", "valid_until": "2099-01-01"},
    "social_body": {"name": "某公司", "body_kind": "基金会", "status": "正常", "valid_until": "2099-01-01"},
}


def citizen(order: int, born: str = "19800101") -> str:
    """A good citizen number; its check character by the recursion of ISO 7064 MOD 11-2."""
    body = f"110105{born}{order:03}"
    rest = 0
    for digit in body:
        rest = (rest + int(digit)) * 2 % 11
    return body + "0123456789X"[(12 - rest) % 11]


ME, OTHER = citizen(1), citizen(2)
PASSPORT = "E12345678"
UNIT = "D2143569X"  # the example of GB 11714
OTHER_UNIT = "400001002"


def credit_code(organisation: str, head: str = "91110105") -> str:
    """A good credit code around an organisation code; its check character by trying all of them."""
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    weights = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28]  # GB 32100, table of weights
    total = sum(w * alphabet.index(c) for w, c in zip(weights, head + organisation, strict=True))
    return head + organisation + next(c for n, c in enumerate(alphabet) if (total + n) % 31 == 0)


NEW_UNIT = credit_code(UNIT)


class World:
    """One round: clean rows for whoever `settles`, then changed by the test."""

    def __init__(self, folder: Path, at: date = IN_2014) -> None:
        self.folder, self.at, self.read_on = folder, at, READ_ON[at]
        self.rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.silent: set[str] = set()
        self.applications: list[dict[str, Any]] = []

    def apply(self, kind: str | None, **changes: Any) -> str:
        """Apply as the person or unit that `settle` made rows for; the code of the application."""
        unit = kind in {"enterprise", "social_body"}
        line = {
            "application": f"{len(self.applications) + 1:013}",
            "kind": kind,
            "submitted_on": "2014-05-01",
            "name": "某公司" if unit else "张三",
            "document_type": self.unit_document[0] if unit else "护照" if kind == "foreign" else "身份证",
            "document_number": self.unit_document[1] if unit else PASSPORT if kind == "foreign" else ME,
            "handler_name": "张三" if unit else None,
            "handler_number": ME if unit else None,
            "code_number": None,
            "ordinary_number": None,
            "failed_draws": 0,
        }
        self.applications.append(line | changes)
        return str(self.applications[-1]["application"])

    def settle(self, number: str = ME, document_type: str = "身份证") -> None:
        """A person with every clean record a person can have, and no vehicle."""
        year = self.at.year
        self.put("driving_licence", id_number=number, document_type=document_type)
        if document_type != "身份证":
            self.put("exit_entry", document_type=document_type, document_number=number)
            return
        for register in ("population", "residence_permit", "work_residence_permit"):
            self.put(register, id_number=number)
        last_month = f"{year}-{self.at.month - 1:02}"
        self.put("social_insurance", id_number=number, month_from=f"{year - 5}-{self.at.month:02}", month_to=last_month)
        for tax_year in range(year - 5, year):
            self.put("income_tax", id_number=number, treasury_date=f"{tax_year}-07-01")

    def found(self, code: str = UNIT) -> None:
        """A unit with every clean record a unit can have; it has invested nothing."""
        for register in ("vat", "taxpayer", "business_licence", "organisation_code", "social_body"):
            self.put(register, organisation_code=code)
        self.put("credit_code", credit_code=code)

    @property
    def unit_document(self) -> tuple[str, str]:
        """As which document, and with which number, a unit applies."""
        return ("组织机构代码", UNIT) if self.at < date(2015, 10, 1) else ("统一社会信用代码", NEW_UNIT)

    def put(self, register: str, **values: Any) -> None:
        """One more row, clean but for `values`."""
        row = CLEAN[register] | values
        if register == "vat":
            row.setdefault("treasury_date", f"{self.at.year - 1}-07-01")
        if register == "fixed_investment":
            row.setdefault("invested_on", f"{self.at.year - 1}-07-01")
        self.rows[register].append(row)

    def change(self, register: str, **values: Any) -> None:
        """Change all rows of a register."""
        for row in self.rows[register]:
            row.update(values)

    def findings(self) -> dict[str, Finding]:
        self.write()
        return decide(self.folder, self.at, self.read_on)

    def finding(self) -> Finding:
        """That of the first application."""
        return next(iter(self.findings().values()))

    def verdict(self, rule: str) -> str:
        return spoken(self.finding().verdicts[rule])

    def write(self) -> None:
        for register, (node, store, columns) in PLACES.items():
            if register not in self.silent:
                home = MERGED.get(node, node) if self.at == IN_2026 else node
                write_register(self.folder / home, register, store, columns.split(), self.rows[register])
        table: dict[str, Any] = {
            name: pa.array([line[name] for line in self.applications], pa.string()) for name in APPLICATION.split()
        }
        table["failed_draws"] = pa.array([line["failed_draws"] for line in self.applications], pa.int32())
        (self.folder / "transport").mkdir(exist_ok=True)
        pq.write_table(pa.table(table), self.folder / "transport" / "applications.parquet")


def write_register(folder: Path, register: str, store: str, columns: list[str], rows: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    if store == "sqlite":
        with closing(sqlite3.connect(folder / "register.db")) as db, db:
            db.execute(f"DROP TABLE IF EXISTS {register}")
            db.execute(f"CREATE TABLE {register} ({', '.join(f'{column} TEXT' for column in columns)})")
            marks = ", ".join("?" * len(columns))
            db.executemany(f"INSERT INTO {register} VALUES ({marks})", [[row[c] for c in columns] for row in rows])
    elif store == "parquet":
        table = pa.table({column: pa.array([row[column] for row in rows], pa.string()) for column in columns})
        pq.write_table(table, folder / f"{register}.parquet")
    else:
        with (folder / f"{register}.csv").open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerows([columns, *([row[c] for c in columns] for row in rows)])


def spoken(verdict: Verdict) -> str:
    """ "met", or the verdict and its reason; why a rule is met makes no difference to anybody."""
    return "met" if verdict.verdict == "met" else f"{verdict.verdict} {verdict.reason}"


def assert_found(finding: Finding, rule: str, expected: str) -> None:
    """The rule has that verdict, and alone decides the finding."""
    verdict, _, reason = expected.partition(" ")
    assert spoken(finding.verdicts[rule]) == expected
    status = {"met": "eligible", "not_met": "not_eligible", "unknown": "needs_person"}[verdict]
    assert (finding.status, finding.reason) == (status, reason or None)


def insured(town: World, *spans: tuple[str, str], kind: str = "正常") -> Finding:
    town.apply("residence_permit")
    town.rows["social_insurance"].clear()
    for first, last in spans:
        town.put("social_insurance", id_number=ME, month_from=first, month_to=last, kind=kind)
    return town.finding()


def reasons(town: World) -> list[str | None]:
    return [verdict.reason for verdict in town.finding().verdicts.values()]
