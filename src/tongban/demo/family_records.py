"""The registers of kinship and marriage, the members' table beside the list, and the truth about each family."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from tongban.demo import numbers, situations, spoiling
from tongban.demo.columns import Ints, day, day_texts
from tongban.demo.dirt import mistype_number, vary_number
from tongban.demo.households import FORMER_SPOUSE, NOT_APPLYING, OUTSIDE_SPOUSE, Family, Marriage
from tongban.demo.people import City
from tongban.demo.person_records import Written
from tongban.demo.registers import CARS

#: Rows about persons who are in no family, for each that is about one who is [assumed].
_OTHER_ROWS = 3
#: Of the members' rows, how many are typed wrongly, and how many only otherwise [assumed].
_MISTYPED, _VARIED = 0.006, 0.04
_FROM = date(2021, 1, 1)  #: divorces before do not count
#: Registers in which the persons of families must be found clean.
CONSULTED = ("population", "driving_licence", "vehicle", "kinship", "marriage")
#: Reasons in the order in which a family's are looked at.
_ORDER = (
    *("deceased", "household_cancelled", "household_elsewhere", "no_licence", "licence_status", "licence_expired"),
    *("licence_class", "has_vehicle", "scrap_due", "former_spouse_had_vehicle"),
)


def kinship(city: City, rng: np.random.Generator) -> Written:
    rows = [(child, *parents) for child, parents in city.families.parents.items()]
    known = set(city.families.parents)
    born = np.argsort(city.born, kind="stable")
    for child in rng.permutation(city.citizens - city.military.size)[: _OTHER_ROWS * len(rows)].tolist():
        if child not in known:
            father, mother = (int(one) for one in born[rng.integers(0, max(1, city.citizens // 2), 2)])
            rows.append((child, father, mother, "有效"))
    who = np.array([row[0] for row in rows], np.int64)
    columns = {
        "id_number": city.texts.take(pa.array(who)),
        "father_number": _numbers(city, [row[1] for row in rows]),
        "mother_number": _numbers(city, [row[2] for row in rows]),
        "status": pa.array([row[3] for row in rows], pa.string()),
    }
    return columns, who


def marriage(city: City, rng: np.random.Generator) -> Written:
    held = dict(city.families.marriages)
    others = rng.permutation(city.citizens - city.military.size)[: _OTHER_ROWS * len(held) // 2 * 2]
    in_families = {subject for family in city.families.families for subject in family.subjects} | set(held)
    for one, other in others.reshape(-1, 2).tolist():
        # Whoever is in a family and not yet held never married.
        if one not in in_families and other not in in_families:
            held[one], held[other] = Marriage("已婚", other), Marriage("已婚", one)
    who = np.array(list(held), np.int64)
    days = pa.array([one.divorced_on or 0 for one in held.values()])
    divorced = pa.array([one.divorced_on is not None for one in held.values()])
    columns = {
        "id_number": city.texts.take(pa.array(who)),
        "status": pa.array([one.status for one in held.values()], pa.string()),
        "spouse_number": _numbers(city, [one.spouse for one in held.values()]),
        "divorced": pa.compute.if_else(divorced, "是", "否"),
        "divorced_on": pa.compute.if_else(divorced, day_texts(np.array(days)), pa.scalar(None, pa.string())),
        "former_spouse_number": _numbers(city, [one.former for one in held.values()]),
    }
    return columns, who


def _numbers(city: City, subjects: list[int | None]) -> Any:
    return city.texts.take(pa.array(subjects, pa.int64()))


# --- The members' table -------------------------------------------------------------------------


def member_table(city: City, code_of: dict[int, str], rng: np.random.Generator) -> tuple[pa.Table, set[int]]:
    """The raw table of members, in no order, and the mains of families in which a number or name is typed wrongly.

    Shape
        code_of: application code by main applicant.
    """
    rows, spoiled = [], set()
    for family in city.families.families:
        for member in family.members:
            number, name, wrong = _typed(city, member.subject, rng)
            if wrong:
                spoiled.add(family.main)
            applies = member.role not in NOT_APPLYING
            failed = int(rng.integers(0, 40)) if applies else 0
            rows.append(
                {
                    "application": code_of[family.main],
                    "member": member.number,
                    "role": member.role,
                    "kind": "resident" if applies else None,
                    "name": name,
                    "document_type": numbers.DOCUMENTS[numbers.CITIZEN_CARD],
                    "document_number": number,
                    "spouse": member.spouse,
                    "of_member": member.of_member,
                    "failed_draws": failed,
                    "failed_draws_to_2020": int(rng.integers(0, failed + 1)),
                }
            )
    ints = ("member", "spouse", "of_member", "failed_draws", "failed_draws_to_2020")
    schema = pa.schema([(name, pa.int32() if name in ints else pa.string()) for name in rows[0]])
    table = pa.Table.from_pylist(rows, schema)
    return table.take(pa.array(rng.permutation(len(rows)))), spoiled


def _typed(city: City, subject: int, rng: np.random.Generator) -> tuple[str, str, bool]:
    """Number and name as typed, and whether they are wrong."""
    number, name = city.texts[subject].as_py(), city.names[subject].as_py()
    chance, luck = rng.random(), int(rng.integers(1 << 50))
    document = int(city.documents[subject])
    if chance < _MISTYPED / 2:
        return mistype_number(document, number, luck), name, True
    if chance < _MISTYPED:
        return number, spoiling.miswritten_name(name, luck) or "", True
    if chance < _MISTYPED + _VARIED:
        return vary_number(document, number, luck), spoiling.varied_name(name, luck), False
    return number, name, False


# --- The truth ----------------------------------------------------------------------------------


def causes(city: City, held_since: dict[int, int]) -> dict[int, str]:
    """By main applicant, why the family is truly not eligible, or undecided; "" if it is eligible. Doubles apart.

    Shape
        held_since: by owner, the first day of a car that is still there.
    """
    return {family.main: _cause(city, family, held_since) for family in city.families.families}


def _cause(city: City, family: Family, held_since: dict[int, int]) -> str:
    if family.undecided == "family_not_whole":
        return family.undecided
    lines = [("main", family.main), *((member.role, member.subject) for member in family.members)]
    found = [reason for line in lines for reason in _reasons(city, *line, held_since)]
    plain = [reason for reason in _ORDER if reason in found]
    undecided = [reason for reason in found if reason not in _ORDER]
    return plain[0] if plain else family.undecided or (undecided[0] if undecided else "")


def _reasons(city: City, role: str, subject: int, held_since: dict[int, int]) -> Iterator[str]:
    """Of one person: the first questions', and if these are met the others'."""
    one = np.array([subject])
    first = [str(_reason(city, situations.POPULATION, one))]
    if role not in NOT_APPLYING and first == [""] and not city.here[subject]:
        first.append("household_elsewhere")
    if any(first):
        yield from filter(None, first)
        return
    vehicle = str(_reason(city, situations.VEHICLE, one))
    if role == FORMER_SPOUSE:
        code = int(city.code_of(situations.VEHICLE, one)[0])
        yield from _of_former(subject, situations.VEHICLE.situations[code].name if code >= 0 else "none", held_since)
    elif role == OUTSIDE_SPOUSE:
        yield from (reason for reason in (vehicle,) if reason == "has_vehicle")
    else:
        yield from filter(None, (vehicle, str(_reason(city, situations.LICENCE, one)) if role == "main" else ""))


def _reason(city: City, table: situations.Table, one: Ints) -> str:
    code = int(city.code_of(table, one)[0])
    if code < 0:
        # Nobody whom the register has no reason to hold is looked for in it, but for a licence.
        return "no_licence" if table is situations.LICENCE else ""
    return str(table.reasons[code])


def _of_former(subject: int, situation: str, held_since: dict[int, int]) -> Iterator[str]:
    if situation.startswith(("car", "several")):
        since = held_since.get(subject)
        early = since is not None and since < day(_FROM)
        yield "former_spouse_had_vehicle" if early else "former_spouse_vehicle_unclear"


def cars_held_since(city: City, columns: dict[str, Any], owners: Ints) -> dict[int, int]:
    """By owner, the first day on which a car was registered that is still there; of former spouses only."""
    former = {m.subject for family in city.families.families for m in family.members if m.role == FORMER_SPOUSE}
    rows = np.flatnonzero(np.isin(owners, list(former)))
    found: dict[int, int] = {}
    for row in rows.tolist():
        kind, status = columns["vehicle_type"][row].as_py(), columns["status"][row].as_py()
        since = day(date.fromisoformat(columns["registered_on"][row].as_py()))
        if kind in CARS and status not in ("注销", "转出"):
            found[int(owners[row])] = min(since, found.get(int(owners[row]), since))
    return found


def sharing(city: City, subjects: Ints, row_of: dict[int, int]) -> Iterator[tuple[int, int, str]]:
    """Rows of two applications that exclude each other, and why: those in whose stories somebody stands twice."""
    apart = [family for family in city.families.families if family.apart]
    for one, other in zip(apart[::2], apart[1::2], strict=True):
        couple = one.story == "couple_apart"
        shared = [one.main, other.main] if couple else [member.subject for member in one.members]
        if not any(reason for subject in shared for reason in _first(city, subject)):
            reason = "spouses_in_two_families" if couple else "person_in_two_families"
            yield row_of[one.main], row_of[other.main], reason
    for family in city.families.families:
        spouse = family.members[0].subject if family.members else -1
        if family.story == "spouse_applies_alone_too" and not any(_first(city, spouse)):
            alone = np.flatnonzero(subjects == spouse)
            yield row_of[family.main], int(alone[0]), "individual_and_family"


def _first(city: City, subject: int) -> Iterator[str]:
    """Reasons of the questions that are asked first about an applicant."""
    yield str(_reason(city, situations.POPULATION, np.array([subject])))
    yield "" if city.here[subject] else "household_elsewhere"
