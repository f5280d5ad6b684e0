"""`./tongban bench days`: a day on which a round was asked about millions, counted a person at a time.

At the asked side one batch, at the asking side six questions about the same persons; each log counts in a process of
its own, as its node does it. Told beside: what it takes to prove one person's absence from that day.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from tongban.kit.clock import MovedClock, stamp, unstamp
from tongban.kit.keys import SigningKey
from tongban.tlog import day_tree, person_table
from tongban.tlog.day_file import DayFile
from tongban.tlog.log import Draft, Log

NOON = float(unstamp("2014-06-09T04:00:00Z"))
DAY = date(2014, 6, 9)


def run(persons: int = 3_000_000) -> list[dict[str, Any]]:
    """Figures of a day with `persons` persons."""
    with tempfile.TemporaryDirectory() as folder:
        names = os.urandom(16 * persons)
        return [
            *counted(Path(folder) / "asked", names, ["batch-persons"]),
            *counted(Path(folder) / "asking", names, ["request"] * 6),
        ]


def counted(folder: Path, names: bytes, kinds: list[str]) -> list[dict[str, Any]]:
    persons, side = len(names) // 16, folder.name
    log = Log.create(folder, f"bench/{side}", SigningKey("bench", bytes(32)), MovedClock(NOON))
    fill(log, persons, kinds)
    for index in range(len(kinds)):
        if not index:
            person_table.write(folder, index, names)
        else:
            person_table.same(folder, index, 0)
    asked = {"log": str(folder), "first": 0, "size": log.tree.size, "since": str(DAY), "through": str(DAY)}
    log.close()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "tongban.node.tally"]
    said = subprocess.run(command, input=json.dumps(asked).encode(), stdout=subprocess.PIPE, check=True).stdout
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    body = json.loads(said)
    assert (body["persons"], body["sum"]) == (persons, persons * len(kinds))
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    note = f"{persons:,} persons, {body['sum']:,} looks"
    return [
        figure(f"days.{side}.wall", wall, "s", note),
        figure(f"days.{side}.cpu", spent, "s", note),
        figure(f"days.{side}.peak", after.ru_maxrss / 1024, "MiB", "of the counting process", bar=1024.0),
        figure(f"days.{side}.absence", absence(folder, body), "s", "one person's absence, read and proved"),
    ]


def fill(log: Log, persons: int, kinds: list[str]) -> None:
    for kind in kinds:
        if kind == "request":
            record = {"at": stamp(NOON), "call": "match"}
            log.append_many([Draft({"kind": "request", "n": persons}, record)])
        else:
            log.append_many([Draft({"kind": "batch-persons", "batch": 0, "n": persons, "root": "0" * 64})])


def absence(folder: Path, body: dict[str, Any]) -> float:
    began = time.perf_counter()
    tree, sought = DayFile(folder, body["day"], body["root"]), os.urandom(16)
    ways = tree.paths(sought)
    taken = time.perf_counter() - began
    assert day_tree.holds(ways, body["persons"], bytes.fromhex(body["root"]), body["sum"], sought) == 0
    return taken


def figure(name: str, value: float, unit: str, note: str, bar: float | None = None) -> dict[str, Any]:
    return {
        "name": name, "value": round(value, 2), "unit": unit, "baseline": None, "ratio": None,
        "bar": None if bar is None else f"≤ {bar:g} {unit}",
        "holds": None if bar is None else value <= bar, "warm_or_cold": "cold", "note": note,
    }  # fmt: skip
