"""Everybody of the city: who they are and in which situation towards each register.

People and bodies stand in one row of subjects, told apart by their place in it:

    residents · work permits · residence permits      citizens who apply, one lot after the other
    handlers                                          citizens who apply for a unit
    others                                            citizens who do not apply
    military                                          citizens on the application list and in no register
    foreigners                                        those who apply first
    organisations                                     enterprises that apply, social bodies that apply, others
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tongban.demo import names, numbers, situations
from tongban.demo.columns import Bytes, Flags, Ints, day
from tongban.demo.situations import Codes, Lot, Table
from tongban.demo.sizes import SHARES, UNIT_KINDS, Size, World

Dice = Callable[[str], np.random.Generator]  #: one stream a name, so that one register's draws never move another's

CITIZEN_KINDS = ("resident", "work_permit", "residence_permit")
PERSON_TABLES = (
    situations.POPULATION,
    situations.PERMIT,
    situations.WORK_PERMIT,
    situations.INSURANCE,
    situations.TAX,
    situations.LICENCE,
    situations.VEHICLE,
)
UNIT_TABLES = (situations.BUSINESS, situations.CODE, situations.BODY, situations.INVESTMENT)  #: and that of tax
NOT_HELD = -1  #: code of those whom a register has no reason to hold

_SHARE_HERE = 0.65  #: of those who do not apply, how many have their household here
_SHARE_OF_ENTERPRISES = 0.9
_SHARE_RENEWED = 0.5  #: of bodies in the years of both, how many have their credit code already


@dataclass(frozen=True, slots=True)
class Held:
    """Codes of one table for the subjects from `start` on."""

    start: int
    codes: Codes


@dataclass
class City:
    world: World
    lots: dict[str, tuple[int, Lot]]  #: by kind: subject of the first applicant, and the lot
    handlers: int  #: subject of the first handler; those of enterprises, then those of social bodies
    military: Ints  #: subjects
    keys: Ints  #: citizens only: number without check character
    born: Ints  #: citizens only: day
    here: Flags  #: citizens only: household in this city
    texts: Any  #: number or code of every subject, well written
    names: Any  #: name of every subject
    documents: Bytes  #: of every subject: index into numbers.DOCUMENTS
    organisation_codes: Any = None  #: of the organisations alone: the old number, which a new one holds
    code_numbers: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  #: of the organisations, from 1
    held: dict[str, Held] = field(default_factory=dict)

    @property
    def citizens(self) -> int:
        return self.keys.size

    @property
    def organisations(self) -> Ints:
        """Subjects that are enterprises or social bodies."""
        held = self.held[situations.BUSINESS.name]
        return held.start + np.arange(held.codes.size)

    @property
    def vat(self) -> Table:
        return situations.vat_table(self.world)

    def came_of_age(self, subjects: Ints) -> Ints:
        """The day of the eighteenth birthday, about; for foreigners, whose birth no register here holds, long ago."""
        return np.append(self.born, 0)[np.minimum(subjects, self.citizens)] + 6_575

    def who(self, table: Table, *wanted: str) -> Ints:
        """Subjects in one of the situations."""
        held = self.held[table.name]
        flags = np.isin(held.codes, [table.code(name) for name in wanted])
        return held.start + np.flatnonzero(flags)

    def whoever(self, table: Table, *unwanted: str) -> Ints:
        """Subjects that the register has reason to hold, in none of the situations."""
        held = self.held[table.name]
        flags = ~np.isin(held.codes, [NOT_HELD, *(table.code(name) for name in unwanted)])
        return held.start + np.flatnonzero(flags)

    def code_of(self, table: Table, subjects: Ints) -> Codes:
        held = self.held[table.name]
        return held.codes[subjects - held.start]


@cache
def divisions(at: date) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Codes of this city's districts and counties, and of elsewhere: real ones, some of those in force on a day."""
    text = resources.files("tongban.demo").joinpath("divisions.csv").read_text("utf-8")
    there = [
        row["code"]
        for row in csv.DictReader(text.splitlines())
        if (row["since"] or "0") <= at.isoformat() and (not row["until"] or at.isoformat() < row["until"])
    ]
    return tuple(code for code in there if code[:2] == "11"), tuple(code for code in there if code[:2] != "11")


def applicants(world: World, size: Size, lines: int) -> dict[str, int]:
    """How many of each kind make `lines` applications of different subjects; what is left over is residents'."""
    total = sum(SHARES.values())
    counts = {
        kind: max(round(lines * share / total), situations.least(world, kind, size.planted))
        for kind, share in SHARES.items()
    }
    counts["resident"] += lines - sum(counts.values())
    return counts


def draw_city(dice: Dice, world: World, size: Size, lines: int) -> City:
    lots = {
        kind: situations.draw_lot(dice(f"lot {kind}"), world, kind, count, size.planted)
        for kind, count in applicants(world, size, lines).items()
    }
    city = _citizens(dice, world, size, lots)
    _foreigners(dice("foreigners"), city, lots["foreign"], size)
    _organisations(dice("organisations"), city, lots, size)
    return city


# --- Citizens -----------------------------------------------------------------------------------


def _citizens(dice: Dice, world: World, size: Size, lots: dict[str, Lot]) -> City:
    rng = dice("citizens")
    placed: dict[str, tuple[int, Lot]] = {}
    start = 0
    for kind in CITIZEN_KINDS:
        placed[kind] = (start, lots[kind])
        start += lots[kind].size
    handlers = sum(lots[kind].size for kind in UNIT_KINDS if kind in lots)
    registered = max(size.people, start + handlers)
    total = registered + size.military
    born = _births(rng, dice("spread"), world, start + handlers, total)
    here = _at_home(rng, placed, total)
    keys = numbers.allot(rng, _prefixes(rng, here), born)
    city = City(
        world=world,
        lots=placed,
        handlers=start,
        military=np.arange(registered, total),
        keys=keys,
        born=born,
        here=here,
        texts=numbers.citizen_texts(keys),
        names=names.citizens(rng, numbers.is_male(keys)),
        documents=np.full(total, numbers.CITIZEN_CARD, np.uint8),
    )
    for table in PERSON_TABLES:
        city.held[table.name] = Held(0, _codes_of_citizens(dice(f"held {table.name}"), city, table, lots))
    return city


def _births(rng: np.random.Generator, spread: np.random.Generator, world: World, applying: int, total: int) -> Ints:
    """Birth days: those who apply (or handle an application) are 24 to 69, the others 0 to 94 years old."""
    years = np.concatenate([rng.normal(35, 9.5, applying), rng.beta(1.5, 2.0, total - applying) * 95])
    least, most = (
        np.repeat([24, 0.01], [applying, total - applying]),
        np.repeat([69, 94.9], [applying, total - applying]),
    )
    # Not all on one birthday: a day and a division have 995 numbers.
    young, old = years < least, years > most
    years[young] = least[young] + spread.random(young.sum()) * 3
    years[old] = most[old] - spread.random(old.sum())
    return np.floor(day(world.at) - years * 365.25).astype(np.int64)


def _at_home(rng: np.random.Generator, placed: dict[str, tuple[int, Lot]], total: int) -> Flags:
    here = rng.random(total) < _SHARE_HERE
    for kind, (start, lot) in placed.items():
        here[start : start + lot.size] = (
            lot.codes[situations.HOUSEHOLD.name] == 0 if kind == "resident" else np.zeros(lot.size, np.bool_)
        )
    return here


def _prefixes(rng: np.random.Generator, here: Flags) -> Ints:
    """Division parts of the numbers: where somebody was first registered, which a fifth of the city has left."""
    native = here & (rng.random(here.size) < 0.8)
    inside = np.array(numbers.PREFIXES_HERE)[rng.integers(0, len(numbers.PREFIXES_HERE), here.size)]
    outside = np.array(numbers.PREFIXES_ELSEWHERE)[rng.integers(0, len(numbers.PREFIXES_ELSEWHERE), here.size)]
    return np.where(native, inside, outside)


def _codes_of_citizens(rng: np.random.Generator, city: City, table: Table, lots: dict[str, Lot]) -> Codes:
    codes = table.draw(rng, city.citizens, applicants=False)
    codes[~_could_hold(city, table)] = NOT_HELD
    codes[city.military] = NOT_HELD
    for start, lot in city.lots.values():
        if table.name in lot.codes:
            codes[start : start + lot.size] = lot.codes[table.name]
    if table is situations.POPULATION:
        handling = [lots[kind].codes[table.name] for kind in UNIT_KINDS if kind in lots]
        if handling:
            found = np.concatenate(handling)
            codes[city.handlers : city.handlers + found.size] = found
    return codes


def _could_hold(city: City, table: Table) -> Flags:
    age = (day(city.world.at) - city.born) / 365.25
    if table is situations.POPULATION:
        return np.ones(city.citizens, np.bool_)
    if table in (situations.PERMIT, situations.WORK_PERMIT):
        return ~city.here & (age >= 16)
    if table in (situations.INSURANCE, situations.TAX):
        return (age >= 23) & (age < 62)
    adults: Flags = (age >= 18.1) & (age < 80)
    return adults


# --- Foreigners and organisations ---------------------------------------------------------------


def _foreigners(rng: np.random.Generator, city: City, lot: Lot, size: Size) -> None:
    count = max(size.foreigners, lot.size)
    start = len(city.texts)
    city.lots["foreign"] = (start, lot)
    kinds = rng.choice([1, 2, 3, 4], count, p=[0.3, 0.2, 0.45, 0.05]).astype(np.uint8)
    _append(city, numbers.document_texts(kinds), names.foreigners(rng, count), kinds)
    for table in (situations.LICENCE, situations.VEHICLE, situations.LODGING):
        codes = table.draw(rng, count, applicants=False)
        codes[: lot.size] = lot.codes[table.name]
        if table is situations.LODGING:
            city.held[table.name] = Held(start, codes)
        else:
            city.held[table.name] = Held(0, np.concatenate([city.held[table.name].codes, codes]))


def _organisations(rng: np.random.Generator, city: City, lots: dict[str, Lot], size: Size) -> None:
    units = [(kind, lots[kind]) for kind in UNIT_KINDS if kind in lots]
    start = len(city.texts)
    place = start
    for kind, lot in units:
        city.lots[kind] = (place, lot)
        place += lot.size
    count = max(size.organisations, place - start)
    enterprises = _are_enterprises(rng, units, count)
    labels = np.where(
        enterprises, names.enterprises(rng, count).to_pylist(), names.social_bodies(rng, count).to_pylist()
    )
    city.code_numbers = np.ones(count, np.int64)
    applying = np.concatenate([lot.code_numbers for _, lot in units])
    city.code_numbers[: applying.size] = applying
    texts, documents = _numbers_of_organisations(rng, city, count)
    _append(city, texts, pa.array(labels, pa.string()), documents)
    for table in (*UNIT_TABLES, city.vat):
        city.held[table.name] = Held(start, _codes_of_units(rng, table, units, enterprises))


def _codes_of_units(rng: np.random.Generator, table: Table, units: list[tuple[str, Lot]], enterprises: Flags) -> Codes:
    codes = table.draw(rng, enterprises.size, applicants=False)
    if table.name in (situations.BUSINESS.name, situations.VAT.name, situations.INVESTMENT.name):
        codes[~enterprises] = NOT_HELD
    if table is situations.BODY:
        codes[enterprises] = NOT_HELD
    place = 0
    for _, lot in units:
        if table.name in lot.codes:
            codes[place : place + lot.size] = lot.codes[table.name]
        place += lot.size
    return codes


def _numbers_of_organisations(rng: np.random.Generator, city: City, count: int) -> tuple[Any, Bytes]:
    """The number under which each body is known, and as which document: while both are good, half have the new one."""
    old = numbers.organisation_codes(count, "Y" if city.world.one_certificate else "Z")
    city.organisation_codes = old
    if not city.world.one_certificate:
        return old, np.full(count, numbers.ORGANISATION_DOCUMENT, np.uint8)
    renewed = rng.random(count) < _SHARE_RENEWED if city.world.old_codes else np.ones(count, np.bool_)
    texts = pc.if_else(pa.array(renewed), numbers.credit_codes(old), old)
    return texts, np.where(renewed, numbers.CREDIT_DOCUMENT, numbers.ORGANISATION_DOCUMENT).astype(np.uint8)


def _are_enterprises(rng: np.random.Generator, units: list[tuple[str, Lot]], count: int) -> Flags:
    flags = rng.random(count) < _SHARE_OF_ENTERPRISES
    place = 0
    for kind, lot in units:
        flags[place : place + lot.size] = kind == "enterprise"
        place += lot.size
    return flags


def _append(city: City, texts: Any, labels: Any, documents: Bytes) -> None:
    city.texts = pa.concat_arrays([city.texts, texts])
    city.names = pa.concat_arrays([city.names, labels])
    city.documents = np.concatenate([city.documents, documents])
