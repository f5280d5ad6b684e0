"""Families in the car lottery: an independent checker.

Second implementation of sections 11 to 15 of docs/reference/car_lottery.md, written from that page alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.oracle.rules import Verdict
from tests.oracle.texts import DOMAINS, Key, key, name, text

SINCE = date(2021, 1, 1)
APPLY = ("spouse", "child", "parent", "parent_in_law")
ROLES = (*APPLY, "outside_spouse", "former_spouse")
RELATIONS = ("kinship", "marriage", "no_spouse", "divorce", "no_recent_divorce")
ORDER = (
    *("identity", "lodging_registration", "household_here", "kinship", "marriage", "divorce", "residence_permit"),
    *("work_residence_permit", "social_insurance_60_months", "income_tax_five_years", "driving_licence"),
    *("foreign_driving_licence", "no_vehicle", "no_scrap_due_vehicle", "no_spouse", "no_recent_divorce"),
    "former_spouse_vehicle",
)


@dataclass
class Person:
    number: int  # 1: the main applicant
    role: str
    kind: str
    name: str | None
    domain: str | None
    subject: Key | None
    spouse: int | None
    of_member: int | None
    failed_draws: int
    to_2020: int

    @property
    def applies(self) -> bool:
        return self.role == "main" or self.role in APPLY

    @property
    def number_as_asked(self) -> str | None:
        return self.subject[1] if self.subject else None


@dataclass
class Family:
    application: str
    submitted_on: date | None
    persons: list[Person]  # by number

    def role(self, role: str) -> list[Person]:
        return [p for p in self.persons if p.role == role]

    def numbered(self, number: int | None) -> Person | None:
        return next((p for p in self.persons if p.number == number), None)

    def spouses_of(self, person: Person) -> list[Person]:
        return [p for p in self.persons if p is not person and married(p, person)]


def married(one: Person, other: Person) -> bool:
    """Declared spouses."""
    implied = {one.number == 1 and other.role == "spouse", other.number == 1 and one.role == "spouse"}
    return True in implied or one.spouse == other.number or other.spouse == one.number


def read_families(folder: Path, lines: Sequence[Mapping[str, Any]]) -> dict[str, Family]:
    """By application code; those with a military person are among them."""
    path = folder / "members.parquet"
    rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in pq.read_table(path).to_pylist() if path.exists() else []:
        rows[row["application"]].append(row)
    families = {}
    for line in lines:
        if text(line.get("family")):
            own = [person_of(row, row["member"], text(row["role"]) or "") for row in rows[line["application"]]]
            members = sorted(own, key=number_of)
            families[line["application"]] = Family(
                line["application"], None, [person_of(line | {"spouse": None, "of_member": None}, 1, "main"), *members]
            )
    return families


def number_of(person: Person) -> int:
    return person.number


def person_of(row: Mapping[str, Any], number: int, role: str) -> Person:
    domain = DOMAINS.get(text(row["document_type"]) or "")
    return Person(
        number,
        role,
        text(row["kind"]) or "",
        name(row["name"]),
        domain,
        key(domain, row["document_number"]),
        row["spouse"],
        row["of_member"],
        row["failed_draws"],
        row.get("failed_draws_to_2020") or 0,
    )


def line_code(family: Family, person: Person) -> str:
    return family.application if person.number == 1 else f"{family.application}-{person.number:02}"


# Whole ---------------------------------------------------------------------------------------------------------


def whole(family: Family, personal: Sequence[str]) -> bool:
    appliers = [p for p in family.persons if p.applies]
    subjects = [p.subject for p in family.persons if p.subject]
    return (
        len(appliers) >= 2
        and all(p.role in ("main", *ROLES) for p in family.persons)
        and len(family.role("spouse")) <= 1
        and len(family.role("parent")) <= 2
        and len(family.role("parent_in_law")) <= (2 if family.role("spouse") else 0)
        and all(p.kind in personal for p in appliers)
        and len(subjects) == len(set(subjects))
        and all(consistent(family, p) for p in family.persons)
    )


def consistent(family: Family, person: Person) -> bool:
    named = family.numbered(person.spouse)
    if person.spouse is not None and (named is None or named is person or named.role == "former_spouse"):
        return False
    spouses = family.spouses_of(person)
    if len(spouses) > 1 or (spouses and person.role == "former_spouse"):
        return False
    if person.role == "outside_spouse":
        return bool(spouses) and spouses[0].applies
    of = family.numbered(person.of_member)
    if person.role == "former_spouse":
        return of is not None and of.applies
    if person.role == "child" and person.of_member is not None:
        return of is not None and of.role in ("main", "spouse")
    return True


# Who is asked what ------------------------------------------------------------------------------------------------


def asked(
    family: Family, person: Person, kinds: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
) -> tuple[list[str], list[str]]:
    """What a person of a family is asked first, and then."""
    if person.role == "outside_spouse":
        return ["identity", "marriage"], ["no_vehicle"]
    if person.role == "former_spouse":
        return ["identity", "divorce"], ["former_spouse_vehicle"]
    first, then = (list(rules) for rules in kinds.get(person.kind, ((), ())))
    if person.role != "main":
        then = [rule for rule in then if not rule.endswith("driving_licence")]
    if person.role not in ("main", "spouse"):
        first.append("kinship")
    if family.spouses_of(person):
        first.append("marriage")
    else:
        then.append("no_spouse")
    if not any(p.role == "former_spouse" and p.of_member == person.number for p in family.persons):
        then.append("no_recent_divorce")
    return first, then


def question(rule: str, family: Family, person: Person) -> tuple[Key | None, str | None]:
    """The key with which a relation is asked, and the number that it asks for."""
    key: Key | None = person.subject
    about = person.number_as_asked
    if rule == "kinship":
        if person.role in ("parent", "parent_in_law"):
            child = family.persons[0] if person.role == "parent" else next(iter(family.role("spouse")), None)
            key = child.subject if child else None
        else:
            parent = family.numbered(person.of_member or 1)
            about = parent.number_as_asked if parent else None
    elif rule == "divorce":
        of = family.numbered(person.of_member)
        key = of.subject if of else None
    elif rule == "marriage":
        other = next(iter(family.spouses_of(person)), None)
        if person.role == "outside_spouse":
            key = other.subject if other else None
        else:
            about = other.number_as_asked if other else None
    return (key if key and key[0] == "citizen" else None), about


# Together ------------------------------------------------------------------------------------------------------


def together(lines: Sequence[Mapping[str, Verdict]]) -> dict[str, tuple[Verdict, int]]:
    """By rule in the page's order, the family's verdict and the place of the line that gave it."""
    found = {}
    for rule in ORDER:
        concerned = [(lines[place][rule], place) for place in range(len(lines)) if rule in lines[place]]
        if concerned:
            found[rule] = min(concerned, key=lambda one: (weight(one[0]), one[1]))
    return found


def weight(verdict: Verdict) -> int:
    if verdict.verdict == "unknown":
        return 2 if verdict.reason == "not_asked" else 1
    return {"not_met": 0, "met": 3}[verdict.verdict]


# Doubles -------------------------------------------------------------------------------------------------------


@dataclass
class Claim:
    application: str
    submitted_on: date | None
    alone: bool
    applicants: set[Key]
    spouses: set[Key]


def excluded(claims: Sequence[Claim]) -> dict[str, str]:
    """Applications that an earlier standing one excludes, with the reason."""
    standing: list[Claim] = []
    out = {}
    for claim in sorted(claims, key=lambda c: (c.submitted_on is None, c.submitted_on or date.max, c.application)):
        reasons = {reason for other in standing for reason in between(claim, other)}
        for reason in ("individual_and_family", "person_in_two_families", "spouses_in_two_families"):
            if reason in reasons:
                out[claim.application] = reason
                break
        else:
            standing.append(claim)
    return out


def between(one: Claim, other: Claim) -> Iterator[str]:
    if one.applicants & other.applicants and not (one.alone and other.alone):
        yield "individual_and_family" if one.alone or other.alone else "person_in_two_families"
    if not one.alone and not other.alone and (one.applicants & other.spouses or one.spouses & other.applicants):
        yield "spouses_in_two_families"


# Points --------------------------------------------------------------------------------------------------------


def personal(person: Person) -> int:
    late = person.failed_draws - person.to_2020
    return (2 if person.role == "main" else 1) + person.to_2020 // 6 + late // 2


def points(family: Family) -> int:
    appliers = [p for p in family.persons if p.applies]
    couple = [p for p in appliers if p.role in ("main", "spouse")]
    others = sum(personal(p) for p in appliers if p not in couple)
    pair = sum(map(personal, couple))
    roles = {p.role for p in appliers}
    generations = 1 + ("child" in roles) + bool({"parent", "parent_in_law"} & roles)
    return ((pair * 2 if "spouse" in roles else pair) + others) * generations
