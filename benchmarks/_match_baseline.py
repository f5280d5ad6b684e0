"""The baseline of `./tongban bench match`: one warm DuckDB process that holds all six fact tables itself.

The same facts as sorted Parquet, the same list, the same verdicts and reasons, written by hand for these six rules:
no keys, no signatures, no logs, no tickets, and nobody asked.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks._match_world import World
from benchmarks._six_rules import SIX
from tongban.rules.verdict import COMMON_BY_NUMBER, Verdict, pack, unknown

THREADS = 2
_DOUBTFUL, _MISSING = unknown("doubtful_record"), unknown("missing_value")
_MET = pack(Verdict.MET)

#: By register: when the row counts as none, TRUE where met, and the byte where not. `f` the fact, `a` the applicant.
_BY_HAND = {
    "population": (
        "f.name IS NULL OR a.name IS NULL OR f.name <> a.name",
        "f.status = '正常' AND (f.region = '11' OR f.permit_until >= DATE '2026-06-01')",
        "CASE WHEN f.status = '死亡' THEN {deceased} ELSE {not_resident} END",
    ),
    "licence": (
        "FALSE",
        "f.status = '正常' AND f.licence_class IN ('A2', 'B2', 'C1', 'C2') AND f.valid_until >= DATE '2026-06-01'",
        "CASE WHEN f.status <> '正常' THEN {licence_status}"
        " WHEN f.valid_until < DATE '2026-06-01' THEN {licence_expired} ELSE {licence_class} END",
    ),
    # The register's 120 months end with June 2026: May is the 59th of the upper half, and 60 months begin one below it.
    "social": (
        "FALSE",
        "(f.paid_low >> 59) & 1 = 1 AND f.paid_high & 576460752303423487 = 576460752303423487",
        "CASE WHEN (f.paid_high >> 58) & 1 = 0 THEN {not_current} ELSE {interrupted} END",
    ),
    "tax": (
        "FALSE",
        "f.years & 65011712 = 65011712",
        "CASE WHEN (f.years >> 25) & 1 = 0 THEN {last_year_missing} ELSE {year_missing} END",
    ),
    "vehicle": ("FALSE", "f.cars = 0", "{has_vehicle}"),
    "business": ("FALSE", "f.revoked = 0", "{licence_revoked}"),
}  # fmt: skip


def prepared(world: World) -> Path:
    """The nodes' facts as Parquet, once a snapshot."""
    place = world.folder / "baseline"
    place.mkdir(exist_ok=True)
    for one in SIX:
        folder = world.facts(one)
        for name, file in ((one.register, "facts.citizen.arrow"), (f"{one.register}.doubts", "doubts.citizen.arrow")):
            target, about = place / f"{name}.parquet", place / f"{name}.of"
            if about.exists() and about.read_text() == folder.name:
                continue
            table = pa.ipc.open_file(pa.memory_map(str(folder / file))).read_all()
            pq.write_table(table, target, compression="zstd", row_group_size=122_880)
            about.write_text(folder.name)
    return place


def statement(world: World, place: Path, listed: str, results: str, *, words: bool) -> str:
    """One COPY: the list joined with six verdict tables. `words`: the file says words, as the round's does."""
    tables = [f"{one.register}_v AS MATERIALIZED ({_verdicts(world, place, one)})" for one in SIX]
    joins = " ".join(f"JOIN {one.register}_v ON a.p = {one.register}_v.p" for one in SIX)
    unasked = f"CASE WHEN a.settled THEN {unknown('not_asked')} WHEN a.k IS NULL THEN {unknown('bad_identifier')} ELSE"
    finals = ", ".join(f"CAST({unasked} {one.register}_v.v END AS UTINYINT) AS {one.register}" for one in SIX)
    said = ", ".join(_said(one) if words else f"{one.register}" for one in SIX)
    return (
        f"COPY (WITH a AS MATERIALIZED (SELECT file_row_number AS p, application, name, settled IS NOT NULL AS settled,"
        f" settled AS how, CAST(substr(subject, 1, 17) AS BIGINT) AS k FROM read_parquet('{listed}')),"
        f" {', '.join(tables)},"
        f" bytes AS (SELECT a.p, a.application, a.how, {finals} FROM a {joins})"
        f" SELECT application, {_status()} AS status, {said} FROM bytes ORDER BY p)"
        f" TO '{results}' (FORMAT PARQUET, COMPRESSION ZSTD)"
    )


def _verdicts(world: World, place: Path, one: Any) -> str:
    none, met, unmet = _BY_HAND[one.register]
    rule = one.rule
    numbers = {reason.code: reason.number for reason in rule.own_reasons()}
    silence = rule.silence(complete=True)
    return (
        f"SELECT a.p, CAST(CASE WHEN a.k IN (SELECT k FROM read_parquet('{place}/{one.register}.doubts.parquet'))"
        f" THEN {_DOUBTFUL} WHEN f.k IS NULL OR {none} THEN {silence} WHEN {met} THEN {_MET}"
        f" WHEN NOT ({met}) THEN {unmet.format(**numbers)} ELSE {_MISSING} END AS UTINYINT) AS v"
        f" FROM a LEFT JOIN read_parquet('{place}/{one.register}.parquet') AS f ON a.k = f.k"
    )


def _status() -> str:
    some = {verdict: " OR ".join(f"{one.register} >> 6 = {verdict}" for one in SIX) for verdict in (0, 2)}
    return (
        "CASE WHEN how = 'duplicate_application' THEN 'not_eligible' WHEN how IS NOT NULL THEN 'needs_person'"
        f" WHEN {some[0]} THEN 'not_eligible' WHEN {some[2]} THEN 'needs_person' ELSE 'eligible' END"
    )


def _said(one: Any) -> str:
    name = one.register
    verdicts = " ".join(f"WHEN {verdict.value} THEN '{verdict.word}'" for verdict in Verdict)
    own = {reason.number: reason.code for reason in one.rule.own_reasons()}
    known = {**own, **{number: reason.code for number, reason in COMMON_BY_NUMBER.items()}}
    reasons = " ".join(f"WHEN {number} THEN '{code}'" for number, code in known.items())
    return f"CASE {name} >> 6 {verdicts} END AS {name}, CASE {name} & 63 {reasons} END AS {name}_reason"


def asked_of_pandas(listed: str, place: Path) -> dict[str, Any]:
    """What a worker without our packages needs to find and say the same."""
    registers = {}
    for one in SIX:
        own = {reason.number: reason.code for reason in one.rule.own_reasons()}
        registers[one.register] = {
            "reasons": {code: number for number, code in own.items()},
            "said": {**{number: reason.code for number, reason in COMMON_BY_NUMBER.items()}, **own},
            "silence": one.rule.silence(complete=True),
            "missing": _MISSING,
            "doubtful": _DOUBTFUL,
            "bad": unknown("bad_identifier"),
            "unasked": unknown("not_asked"),
        }
    words = [verdict.word for verdict in sorted(Verdict)]
    return {"list": listed, "place": str(place), "registers": registers, "words": words}


def main(folder: str) -> None:
    world = World(Path(folder))
    place = prepared(world)
    with duckdb.connect(config={"threads": THREADS, "temp_directory": ""}) as connection:
        # It is drawn on what should be one line of JSON, once a query takes two seconds.
        connection.execute("SET enable_progress_bar = false")
        for line in sys.stdin:
            asked = json.loads(line)
            results = str(place / "results.parquet")
            query = statement(world, place, asked["list"], results, words=asked["words"])
            began, cpu = time.perf_counter(), time.process_time()
            connection.execute(query).fetchall()
            took = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
            print(json.dumps({"results": results, "pid": os.getpid(), **took}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
