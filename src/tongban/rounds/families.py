"""Families: one application of several persons, and what each of them is asked because of the others.

The members lie in a table of their own beside the list. In the normalised list each of them is a line of its own,
right after that of the main applicant, with a code of its own: the application's, a hyphen and the member's number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pyarrow as pa

from tongban.identity.identifiers import Domain

ALONE, MAIN = "alone", "main"
SPOUSE, CHILD, PARENT, PARENT_IN_LAW = "spouse", "child", "parent", "parent_in_law"
OUTSIDE_SPOUSE, FORMER_SPOUSE = "outside_spouse", "former_spouse"
#: Who applies; of the others of a family something is asked, but they apply for nothing.
APPLYING = (MAIN, SPOUSE, CHILD, PARENT, PARENT_IN_LAW)
ASKED_ABOUT = (OUTSIDE_SPOUSE, FORMER_SPOUSE)
ROLES = (*APPLYING[1:], *ASKED_ABOUT)

NOT_ASKED, DECLARED, NONE = "not_asked", "declared", "none"
NOT_WHOLE = "family_not_whole"
#: Of each role at most so many.
_MOST = {SPOUSE: 1, PARENT: 2, PARENT_IN_LAW: 2}
_LARGEST_NUMBER = 99

#: Columns of the raw table of members.
RAW_MEMBERS = {
    "application": pa.string(),
    "member": pa.int32(),
    "role": pa.string(),
    "kind": pa.string(),
    "name": pa.string(),
    "document_type": pa.string(),
    "document_number": pa.string(),
    "spouse": pa.int32(),
    "of_member": pa.int32(),
    "failed_draws": pa.int32(),
}
#: Columns that a list with families has besides, and what stands in them for one who applies alone.
COLUMNS: Mapping[str, tuple[Any, str | int | None]] = {
    "role": (pa.string(), ALONE),
    "spouse_said": (pa.string(), NOT_ASKED),  #: whether a spouse was declared
    "divorce_said": (pa.string(), NOT_ASKED),  #: whether a former spouse was declared
    "child": (pa.string(), None),  #: citizen number with which kinship is asked for
    "child_parent_number": (pa.string(), None),
    "partner": (pa.string(), None),  #: citizen number with which the register of marriages is asked
    "partner_spouse_number": (pa.string(), None),
    "partner_former_spouse_number": (pa.string(), None),
    "failed_draws_to_2020": (pa.int32(), 0),
}


def line_code(application: str, member: int) -> str:
    """The code of one person's line; a main applicant has the application's own."""
    return application if member <= 1 else f"{application}-{member:02}"


def good_number(member: int | None) -> bool:
    return member is not None and 2 <= member <= _LARGEST_NUMBER


@dataclass(slots=True)
class Person:
    """One person of a family, read and normalised."""

    row: int  #: of the normalised list
    application: str
    member: int
    role: str
    kind: str
    domain: str | None
    subject: str | None
    married_to: int | None
    of_member: int | None
    spouses: list["Person"] = field(default_factory=list)

    @property
    def applies(self) -> bool:
        return self.role in APPLYING

    @property
    def citizen(self) -> str | None:
        """The key with which registers of kinship and marriage are asked."""
        return self.subject if self.domain == Domain.CITIZEN else None


def related(persons: Sequence[Person], kinds: frozenset[str]) -> dict[int, dict[str, str | None]]:
    """By row, the columns that follow from the family, and `settled`, for the persons of all families.

    persons: in the order of the list. kinds: those of persons.
    """
    found = {}
    for _, several in groupby(persons, lambda one: one.application):
        family = list(several)
        _marry(family)
        settled = None if _is_whole(family, kinds) else NOT_WHOLE
        for person in family:
            found[person.row] = {**_asked(person, family), "settled": settled}
    return found


def _marry(family: Sequence[Person]) -> None:
    """Note for each who her declared spouses are."""
    by_number = {person.member: person for person in family}
    pairs = {frozenset((one.member, one.married_to)) for one in family if one.married_to in by_number}
    pairs |= {frozenset((1, one.member)) for one in family if one.role == SPOUSE}
    for pair in sorted(map(sorted, pairs)):
        if len(pair) == 2:
            one, other = (by_number[number] for number in pair)
            one.spouses.append(other)
            other.spouses.append(one)


# --- Whole --------------------------------------------------------------------------------------


def _is_whole(family: Sequence[Person], kinds: frozenset[str]) -> bool:
    roles = [person.role for person in family]
    subjects = [(person.domain, person.subject) for person in family if person.subject]
    return (
        sum(person.applies for person in family) >= 2
        and all(roles.count(role) <= most for role, most in _MOST.items())
        and (PARENT_IN_LAW not in roles or SPOUSE in roles)
        and len(set(subjects)) == len(subjects)
        and all(person.kind in kinds for person in family if person.applies)
        and all(_fits(person, family) for person in family)
    )


def _fits(person: Person, family: Sequence[Person]) -> bool:
    """Whether what one person's row says of others holds."""
    by_number = {one.member: one for one in family}
    if person.role != MAIN and person.role not in ROLES:
        return False
    if len(person.spouses) > 1 or any(one.role == FORMER_SPOUSE for one in (person, *person.spouses) if person.spouses):
        return False
    if person.married_to is not None and (person.married_to not in by_number or person.married_to == person.member):
        return False
    if person.role == OUTSIDE_SPOUSE:
        return any(one.applies for one in person.spouses)
    of = by_number.get(person.of_member or 0)
    if person.role == FORMER_SPOUSE:
        return of is not None and of.applies
    return person.role != CHILD or person.of_member is None or (of is not None and of.role in (MAIN, SPOUSE))


# --- Asked --------------------------------------------------------------------------------------


def _asked(person: Person, family: Sequence[Person]) -> dict[str, str | None]:
    """What the person's line is asked because of the others; `said` columns choose the rules, the others are keys."""
    spouse = person.spouses[0] if person.spouses else None
    child, parent = _kinship(person, family)
    found = {
        "role": person.role if person.role in (MAIN, *ROLES) else CHILD,
        "spouse_said": NOT_ASKED,
        "divorce_said": NOT_ASKED,
        "child": child,
        "child_parent_number": parent,
        "partner": person.citizen,
        "partner_spouse_number": spouse.subject if spouse else None,
        "partner_former_spouse_number": None,
    }
    if person.role == FORMER_SPOUSE:
        theirs = next((one for one in family if one.member == person.of_member), None)
        own = {"partner": theirs.citizen if theirs else None, "partner_former_spouse_number": person.subject}
        return {**found, **own, "partner_spouse_number": None}
    if person.role == OUTSIDE_SPOUSE:
        partner = spouse.citizen if spouse else None
        return {**found, "spouse_said": DECLARED, "partner": partner, "partner_spouse_number": person.subject}
    former = any(one.role == FORMER_SPOUSE and one.of_member == person.member for one in family)
    return {**found, "spouse_said": DECLARED if spouse else NONE, "divorce_said": DECLARED if former else NONE}


def _kinship(person: Person, family: Sequence[Person]) -> tuple[str | None, str | None]:
    """The number of the child, and that of the parent, whose kinship the person's place in the family rests on."""
    main = family[0]
    spouse = next((one for one in family if one.role == SPOUSE), None)
    if person.role == PARENT:
        return main.citizen, person.subject
    if person.role == PARENT_IN_LAW:
        return (spouse.citizen if spouse else None), person.subject
    if person.role in (MAIN, SPOUSE, *ASKED_ABOUT):
        return None, None
    parent = main if person.of_member in (None, 1) else next((m for m in family if m.member == person.of_member), None)
    return person.citizen, parent.subject if parent else None


def persons_of(lines: Any, rows: Sequence[int]) -> Iterator[Person]:
    """The persons of all families from the lines `rows` of the list.

    lines: columns application (that of the family), member, role, kind, domain, subject, spouse, of_member.
    """
    for row, line in zip(rows, lines.take(pa.array(rows, pa.int64())).to_pylist(), strict=True):
        yield Person(
            row,
            line["application"],
            line["member"],
            line["role"],
            line["kind"],
            line["domain"],
            line["subject"],
            line["spouse"],
            line["of_member"],
        )


def constant(name: str, rows: int) -> Any:
    """A column of COLUMNS for so many who apply alone."""
    kind, value = COLUMNS[name]
    return pa.nulls(rows, kind) if value is None else pa.repeat(pa.scalar(value, kind), rows)
