"""The demonstration's members (departments of 示例市) and the parties that give the seed of its draws.

Credit codes (GB 32100) that belong to nobody: 11 (state organ), division 110199, which GB/T 2260 has
never assigned, and a body part YYYY00nn, a series that has never been issued [from knowledge]; both
check characters hold. Those who were there before the demonstration begins are members from
2000-01-01; that claims nothing about when a real office was founded.
"""

import csv
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Member:
    code: str  #: unified social credit code
    node: str
    name: str
    name_en: str
    since: date
    until: date | None  #: the first day on which it no longer exists
    predecessors: tuple[str, ...]  #: codes
    successors: tuple[str, ...]  #: codes


@dataclass(frozen=True, slots=True)
class SeedParty:
    party: str  #: as it stands in commitments; parties are sorted by it
    name: str
    name_en: str


@cache
def members() -> tuple[Member, ...]:
    """All that ever were, in the order of the file."""
    return tuple(_member(row) for row in _rows("members.csv"))


def members_on(day: date, file: Path | None = None) -> tuple[Member, ...]:
    """Those of the day; of `file`, which is written as members.csv is, where one is named."""
    every = members() if file is None else tuple(map(_member, _read(file.read_text("utf-8"))))
    return tuple(one for one in every if one.since <= day and (one.until is None or day < one.until))


@cache
def seed_parties() -> tuple[SeedParty, ...]:
    """Sorted by party."""
    found = (SeedParty(row["party"], row["name"], row["name_en"]) for row in _rows("seed_parties.csv"))
    return tuple(sorted(found, key=lambda one: one.party))


def _rows(file: str) -> list[dict[str, str]]:
    return _read(resources.files("tongban.demo").joinpath(file).read_text("utf-8"))


def _read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def _member(row: dict[str, str]) -> Member:
    return Member(
        code=row["code"],
        node=row["node"],
        name=row["name"],
        name_en=row["name_en"],
        since=date.fromisoformat(row["from"]),
        until=date.fromisoformat(row["until"]) if row["until"] else None,
        predecessors=tuple(row["predecessors"].split()),
        successors=tuple(row["successors"].split()),
    )
