"""The synthetic city: generated persons, registers as offices keep them, and the truth beside them.

    DIR/registers/<node>/register.db · <register>.parquet · <register>.csv
    DIR/registers/transport/applications.parquet
    DIR/truth/truth.parquet      read by tests and by nobody else
    DIR/city.json                seed, size, world, numbers of rows; written last

What is true is drawn first, records are written from it, and dirt is put on them last. The same
seed gives the same city, byte for byte with the same versions of numpy and pyarrow.
"""

import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from tongban.demo import applications, person_records, stores, tax_records, unit_records
from tongban.demo.dirt import Care, soiled
from tongban.demo.people import City, Dice, draw_city
from tongban.demo.person_records import Written
from tongban.demo.registers import Frame, registers
from tongban.demo.sizes import Size, World, size_named, world_on
from tongban.kit.errors import Invalid

Progress = Callable[[str, float], None]  #: what is being done, and the share that is done already

_WRITERS: dict[str, Callable[[City, np.random.Generator], Written]] = {
    "population": person_records.population,
    "driving_licence": person_records.driving_licence,
    "vehicle": person_records.vehicle,
    "residence_permit": person_records.residence_permit,
    "exit_entry": person_records.exit_entry,
    "social_insurance": person_records.social_insurance,
    "work_residence_permit": person_records.work_residence_permit,
    "income_tax": tax_records.income_tax,
    "vat": unit_records.vat,
    "taxpayer": unit_records.taxpayer,
    "fixed_investment": unit_records.fixed_investment,
    "business_licence": unit_records.business_licence,
    "credit_code": unit_records.credit_code,
    "organisation_code": unit_records.organisation_code,
    "social_body": unit_records.social_body,
}


class DirectoryTaken(Invalid):
    code = "demo.directory_taken"
    message = "There is something of a city in {path} already ({what})."
    remedy = "Use it as it is, or name a directory without one."


@dataclass(frozen=True, slots=True)
class CitySummary:
    directory: Path
    size: str
    world: date
    at: date  #: evaluation date, the day before `world`
    seed: int
    nodes: tuple[str, ...]  #: folders under `registers`
    counts: dict[str, int]  #: rows by register; `applications` without those of military persons


def generate(
    directory: Path,
    size: str = "small",
    world: date = date(2014, 6, 9),
    seed: int = 20140609,
    progress: Progress | None = None,
) -> CitySummary:
    """Make a city in `directory`.

    Raises SizeUnknown, WorldUnknown; DirectoryTaken if the directory holds a city already.
    """
    measures, where = size_named(size), world_on(world)
    report = progress or _silent
    building = _cleared(directory)
    report("people", 0.0)
    counts = _build(building, measures, where, seed, report)
    nodes = tuple(sorted(path.name for path in (building / "registers").iterdir()))
    summary = CitySummary(directory, size, world, where.at, seed, nodes, counts)
    (building / "city.json").write_text(_described(summary), "utf-8")
    # city.json last: where it stands, the rest is whole.
    for name in ("registers", "truth", "city.json"):
        (building / name).rename(directory / name)
    building.rmdir()
    report("done", 1.0)
    return summary


def _silent(what: str, done: float) -> None:
    """Nobody watches."""


def _cleared(directory: Path) -> Path:
    """An empty folder to build in. What an interrupted run left in it is thrown away."""
    building = directory / ".building"
    if (building / "city.json").exists() and not (directory / "city.json").exists():
        # Cut off while it moved what it had built: those two are its own.
        for name in ("registers", "truth"):
            shutil.rmtree(directory / name, ignore_errors=True)
    for name in ("city.json", "registers", "truth"):
        if (directory / name).exists():
            raise DirectoryTaken(path=directory, what=name)
    if building.exists():
        shutil.rmtree(building)
    building.mkdir(parents=True)
    return building


def _dice(seed: int) -> Dice:
    return lambda name: np.random.default_rng([seed, zlib.crc32(name.encode())])


def _build(building: Path, size: Size, world: World, seed: int, report: Progress) -> dict[str, int]:
    dice = _dice(seed)
    city = draw_city(dice, world, size, size.applications - sum(applications.lines_twice(size)))
    care = Care(city, *applications.concerned(city))
    counts, doubted = {}, {}
    wanted = list(registers(world).values())
    for place, register in enumerate(wanted):
        report(register.name, 0.1 + 0.8 * place / len(wanted))
        columns, subjects = _WRITERS[register.name](city, dice(register.name))
        frame, doubted[register.name] = soiled(
            Frame(register, columns, subjects), care, size, dice(f"dirt {register.name}")
        )
        stores.write(building / "registers", frame)
        counts[register.name] = int(frame.subjects.size)
    report("applications", 0.9)
    lines = applications.draw_lines(city, size, dice("lines"))
    table = applications.write_lines(city, lines, size, dice("dirt applications"))
    stores.write_parquet(building / "registers" / "transport" / "applications.parquet", table)
    stores.write_parquet(building / "truth" / "truth.parquet", applications.truth(city, lines, doubted))
    # Military lines are counted nowhere: their number would tell how many troops apply.
    return {**counts, "applications": lines.size}


def _described(summary: CitySummary) -> str:
    """No times, no machine: the same seed gives the same bytes."""
    told = {
        "at": summary.at.isoformat(),
        "counts": summary.counts,
        "nodes": list(summary.nodes),
        "note": "Generated persons and bodies only. 演示数据，均为虚构。",
        "seed": summary.seed,
        "size": summary.size,
        "world": summary.world.isoformat(),
    }
    return json.dumps(told, ensure_ascii=False, indent=1) + "\n"
