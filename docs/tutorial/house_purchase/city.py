#!/usr/bin/env python3
"""The departments and registers of the tutorial: a small city in which people want to buy homes.

    PYTHONPATH=src .venv/bin/python docs/tutorial/house_purchase/city.py DIR [HOUSEHOLDS]

Writes DIR/city.json, DIR/departments/ (members.csv, a node.toml each) and DIR/registers/, for
`./tongban up --city DIR`; and DIR/expected.csv, what each application should come to by the way it was made. Persons
are generated; their divisions were never assigned.
"""

import csv
import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tongban.identity.identifiers import citizen_check

HERE = Path(__file__).parent
CITY = {
    "size": "tutorial",
    "world": "2026-10-09",  # the day the data was handed over; the evaluation date is the day before
    "matter": "house_purchase",
    "consumer": "housing",
    "purpose": "house-purchase",
    "basis": "《住房限购购房资格核验办法》（演示）",
    "round": "2026-10",
}
FULL, GAP = (("2019-01", "2026-09"),), (("2019-01", "2024-04"), ("2024-06", "2026-09"))
FIVE, FOUR = (2021, 2022, 2023, 2024, 2025), (2021, 2022, 2024, 2025)


@dataclass(frozen=True)
class Case:
    """How a household is made, and what its application should come to."""

    kind: str
    status: str
    reason: str = ""
    homes: tuple[str, ...] = ()  #: owner and state of each home: "own 现势", "spouse 现势", "both 现势"
    paid: tuple[tuple[str, str], ...] = ()  #: months of social insurance, from and to
    taxed: tuple[int, ...] = ()  #: years in which income tax reached the treasury
    marriage: str = ""  #: state of the newest registration; empty: none
    region: str = ""  #: first two digits of the household registration; empty: as the kind says
    typed: str = ""  #: what is wrong with the application: "name", "number"
    slip: bool = False  #: somebody's home stands under a number one slip away from the applicant's

    @property
    def here(self) -> bool:
        return self.region == "11" if self.region else self.kind.startswith("resident")

    @property
    def family(self) -> bool:
        return self.kind.endswith("family")


CASES = (
    Case("resident_family", "eligible", marriage="已婚"),
    Case("resident_family", "eligible", homes=("own 现势",), marriage="已婚"),
    Case("resident_family", "eligible", homes=("spouse 查封",), marriage="已婚"),
    Case("resident_family", "eligible", homes=("both 现势",), marriage="已婚"),
    Case("resident_family", "eligible", homes=("own 现势", "spouse 注销", "own 转移"), marriage="已婚"),
    Case("resident_family", "not_eligible", "two_homes", homes=("own 现势", "spouse 现势"), marriage="已婚"),
    Case("resident_family", "not_eligible", "two_homes", homes=("both 现势", "own 查封", "own 现势"), marriage="已婚"),
    Case("resident_family", "needs_person", "missing_value", homes=("spouse ",), marriage="已婚"),
    Case("resident_family", "needs_person", "doubtful_record", slip=True, marriage="已婚"),
    Case("resident_family", "not_eligible", "household_elsewhere", region="13", marriage="已婚"),
    Case("resident_family", "needs_person", "identity_not_confirmed", typed="name", marriage="已婚"),
    Case("resident_family", "needs_person", "bad_identifier", typed="number", marriage="已婚"),
    Case("resident_single", "eligible"),
    Case("resident_single", "eligible", marriage="离异"),
    Case("resident_single", "eligible", marriage="丧偶", homes=("own 注销",)),
    Case("resident_single", "not_eligible", "married", marriage="已婚"),
    Case("resident_single", "not_eligible", "has_home", homes=("own 现势",)),
    Case("outside_family", "eligible", paid=FULL, marriage="已婚"),
    Case("outside_family", "eligible", paid=GAP, taxed=FIVE, marriage="已婚"),
    Case("outside_family", "eligible", taxed=FIVE, marriage="已婚"),
    Case("outside_family", "not_eligible", "insurance_interrupted", paid=GAP, taxed=FOUR, marriage="已婚"),
    Case("outside_family", "not_eligible", "no_insurance", marriage="已婚"),
    Case("outside_family", "not_eligible", "has_home", paid=FULL, homes=("spouse 现势",), marriage="已婚"),
    Case("outside_single", "eligible", paid=FULL),
    Case("outside_single", "not_eligible", "married", paid=FULL, marriage="已婚"),
    Case("outside_single", "not_eligible", "has_home", taxed=FIVE, homes=("own 现势",)),
)

Rows = dict[str, list[Mapping[str, Any]]]


def citizen(number: int, here: bool) -> str:
    """A generated citizen number on a division that was never assigned.

    Scattered: a number that is typed wrongly puts everybody in doubt who is one slip away, as it must, and in a row of
    numbers that would be the neighbours.
    """
    # A prime without a factor of the modulus: no two numbers meet.
    left, sequence = divmod(number * 15_485_863 % (900 * 28 * 12 * 40 * 5), 900)
    born = ""
    for count, first in ((28, 1), (12, 1), (40, 1960)):
        left, part = divmod(left, count)
        born = f"{first + part:02d}{born}"
    body = f"{'1101' if here else '1301'}{95 + left}{born}{sequence + 50:03d}"
    return body + citizen_check(body)


def household(number: int, case: Case, rows: Rows) -> dict[str, str]:
    """Put one household into the registers; returns its line of the application list."""
    own, spouse = citizen(2 * number, case.here), citizen(2 * number + 1, case.here)
    name = f"申请{number}"
    people = [(own, name), (spouse, f"配偶{number}")] if case.family else [(own, name)]
    for id_number, called in people:
        division = ("11" if case.here else "13") + id_number[2:6]
        person = {"id_number": id_number, "name": called, "household_division": division, "status": "正常"}
        rows["population"].append({**person, "sex": "男", "birth_date": _born(id_number)})
        if case.family:
            rows["household"].append({"household": f"H{number}", "id_number": id_number})
        if case.marriage:
            registered = {"status": case.marriage, "registered_on": "2015-05-20"}
            rows["marriage"].append({"id_number": id_number, **registered})
    for count, home in enumerate(case.homes):
        owner, _, status = home.partition(" ")
        for id_number in {"own": [own], "spouse": [spouse], "both": [own, spouse]}[owner]:
            rows["home"].append({"owner_number": id_number, "home": f"{number:06d}F{count}", "status": status})
    if case.slip:
        rows["home"].append({"owner_number": _slipped(own), "home": f"{number:06d}F9", "status": "现势"})
    for month_from, month_to in case.paid:
        span = {"month_from": month_from, "month_to": month_to, "paid_on": f"{month_to}-20", "kind": "正常"}
        rows["social_insurance"].append({"id_number": own, **span})
    for year in case.taxed:
        paid = {"tax_year": year, "amount": 120_000, "treasury_date": f"{year}-06-15"}
        rows["income_tax"].append({"id_number": own, **paid})
    return {
        "application": f"{7_000_000_000_000 + number}",
        "kind": case.kind,
        "submitted_on": "2026-10-08",
        "name": "另名" if case.typed == "name" else name,
        "document_type": "身份证",
        "document_number": _slipped(own) if case.typed == "number" else own,
    }


def _born(id_number: str) -> str:
    return f"{id_number[6:10]}-{id_number[10:12]}-{id_number[12:14]}"


def _slipped(id_number: str) -> str:
    """The number with its last character typed wrongly."""
    return id_number[:-1] + ("1" if id_number[-1] != "1" else "2")


#: Register → the department that keeps it, and its columns.
REGISTERS = {
    "population": ("public-security", "id_number,name,sex,birth_date,household_division,status"),
    "marriage": ("civil-affairs", "id_number,status,registered_on"),
    "home": ("natural-resources", "owner_number,home,status"),
    "household": ("natural-resources", "household,id_number"),
    "social_insurance": ("human-resources", "id_number,month_from,month_to,paid_on,kind"),
    "income_tax": ("tax", "id_number,tax_year,amount,treasury_date"),
}


def write(place: Path, households: int) -> None:
    """The whole city; the cases follow one another in turns."""
    rows: Rows = {name: [] for name in REGISTERS}
    made = [(number, CASES[number % len(CASES)]) for number in range(households)]
    listed = [household(number, case, rows) for number, case in made]
    for name, (department, columns) in REGISTERS.items():
        _csv(place / "registers" / department / f"{name}.csv", columns.split(","), rows[name])
    (place / "registers" / "housing").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(listed), place / "registers" / "housing" / "applications.parquet")
    expected = [
        {"application": line["application"], "status": case.status, "reason": case.reason}
        for line, (_, case) in zip(listed, made, strict=True)
    ]
    _csv(place / "expected.csv", ["application", "status", "reason"], expected)
    (place / "departments").mkdir(exist_ok=True)
    for file in (HERE / "members.csv", *sorted(HERE.glob("*.toml"))):
        shutil.copy(file, place / "departments" / file.name)
    # Last: a folder is a city from here on.
    (place / "city.json").write_text(json.dumps(CITY, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _csv(path: Path, columns: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 20 * len(CASES))
    print(f"{sys.argv[1]}: {len(REGISTERS)} registers; next: ./tongban up --once --city {sys.argv[1]}")
