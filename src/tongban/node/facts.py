"""Fact tables: from a register's rows, as typed by generations of clerks, to one canonical row a key.

    extract → normalise identifiers and texts → reject what does not hold → merge rows of one key → sort → publish

A rejected row leaves its key in doubt, and, where a citizen number was mistyped, every good number one slip
away: whoever resembles a rejected row gets unknown, never no. Publishing is a rename, so calls never stop.
"""

import collections
import contextlib
import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tongban.identity import columns as identity
from tongban.identity.identifiers import Domain, nearby, normalise, pack
from tongban.kit.errors import Invalid
from tongban.node.adapters.register import LOSSY, Register, RegisterChanged
from tongban.node.config import DOCUMENTS, FactsConfig, RawColumn
from tongban.node.snapshots import MAKING, Snapshot, current, making, opened
from tongban.node.store import SPELLING, spellings_file
from tongban.rules.facts import KEY, Column, FactTable, Type

#: Rows of a register that are understood at once, and the memory that merging them may take before it goes to disk.
PART = 500_000
ENGINE_MEMORY = "1500MB"

_WHITE = r"[\s\x{3000}\x{200B}-\x{200D}\x{FEFF}]"
_EARLIEST, _LATEST = "DATE '1900-01-01'", "DATE '2100-12-31'"
#: A whole number of at most 18 digits, however many noughts stand before them.
_WHOLE = (
    "CASE WHEN regexp_full_match({c}, '[+-]?0*[0-9]{{1,18}}')"
    r" THEN TRY_CAST(regexp_replace({c}, '^([+-]?)0*([0-9])', '\1\2') AS BIGINT) END"
)
#: Raw kind → SQL that gives the typed value, NULL where the text does not hold. {c} is the cleaned text.
_TYPED = {
    "name": "{c}",
    "text": "{c}",
    "mark": "{c}",
    "document": "{c}",
    "date": "CASE WHEN regexp_full_match({c}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') AND TRY_CAST({c} AS DATE)"
    f" BETWEEN {_EARLIEST} AND {_LATEST} THEN TRY_CAST({{c}} AS DATE) END",
    "month": "CASE WHEN regexp_full_match({c}, '[0-9]{{4}}-[0-9]{{2}}') AND TRY_CAST({c} || '-01' AS DATE)"
    " BETWEEN DATE '2004-01-01' AND DATE '2099-12-31' THEN TRY_CAST({c} || '-01' AS DATE) END",
    "amount": f"CASE WHEN {_WHOLE} BETWEEN -10000000000000 AND 10000000000000 THEN {_WHOLE} END",
    "integer": _WHOLE,
}


class FactsInvalid(Invalid):
    """The facts block of a resource does not give the canonical row."""

    code = "node.facts_invalid"
    message = "Facts of {resource} cannot be made: {what}."
    remedy = "Compare the facts block in node.toml with the resource's columns; the old facts stay in use."


def build(
    resource: str,
    facts: FactsConfig,
    table: FactTable,
    registers: Mapping[str, Register],
    day: date,
    into: Path,
    fewer: bool = False,
) -> Snapshot:
    """Read the registers and publish a snapshot below `into`; the newest becomes current.

    fewer: the owner has looked and says that the register really holds so few.
    Raises RegisterUnavailable, RegisterChanged, RegisterEndless, FactsInvalid, RegisterShrunk; nothing is published
    then.
    """
    with making(into):
        workshop = Path(tempfile.mkdtemp(prefix=MAKING, dir=into))
        try:
            counts = _make(resource, facts, table, registers, day, workshop)
            if not fewer:
                _check_size(resource, sum(counts["rows"].values()), current(resource, into))
            return _publish(resource, workshop, day, into, counts)
        except duckdb.Error as error:
            raise FactsInvalid(resource=resource, what=_told(error)) from None
        finally:
            shutil.rmtree(workshop, ignore_errors=True)


class RegisterShrunk(Invalid):
    """A register that lost most of its people over night: rather a failed export than a fact."""

    code = "node.register_shrunk"
    message = "The register of {resource} gives {rows} keys, where {before} are expected; no facts were published."
    remedy = "Look at the export. If it is right, run `./tongban node refresh DIR --accept-fewer`."


def _check_size(resource: str, rows: int, before: Snapshot | None) -> None:
    """An empty register would say no to everybody whose absence counts as one. Raises RegisterShrunk."""
    known = sum(before.rows.values()) if before else 0
    if rows == 0 or rows * 2 < known:
        raise RegisterShrunk(resource=resource, rows=rows, before=f"about {known}" if known else "some")


def _told(error: duckdb.Error) -> str:
    """What went wrong, without what stands in the register: only an error about the SQL itself quotes nothing else."""
    of_text = duckdb.ParserException | duckdb.BinderException | duckdb.CatalogException
    return str(error).split("\n", 1)[0][:200] if isinstance(error, of_text) else type(error).__name__


# --- Making ---------------------------------------------------------------------------------------


def _make(
    resource: str, facts: FactsConfig, table: FactTable, registers: Mapping[str, Register], day: date, folder: Path
) -> dict[str, Any]:
    with _engine(folder) as engine:
        for register, select in facts.rows.items():
            _type_rows(engine, register, facts, registers[register].extract(select), table)
        slips = _Slips()
        doubts = {domain: _doubts(engine, facts, Domain(domain), slips) for domain in table.domains}
        nameless = _nameless(engine, facts, table, slips)
        rejected = _write_rejects(engine, facts, folder)
        rows = {}
        for domain in table.domains:
            found = _merged(engine, resource, facts, table, domain, day)
            found, outside = _within(found, table)
            doubts[domain] = np.union1d(doubts[domain], outside)
            _write(found, folder / f"facts.{domain}.arrow")
            _write(pa.table({KEY: pa.array(doubts[domain], found.schema.field(KEY).type)}), folder / _doubt(domain))
            _write(_spellings(engine, facts, domain), folder / spellings_file(domain))
            rows[domain] = found.num_rows
    in_doubt = sum(len(keys) for keys in doubts.values())
    return {"rows": rows, "rejected": rejected, "doubts": in_doubt, "nameless": nameless}


@contextlib.contextmanager
def _engine(folder: Path) -> Iterator[Any]:
    """Its tables lie in a file, and what does not fit into its memory beside it; both go once the facts are made."""
    place = folder / "making.duckdb"
    try:
        with contextlib.closing(duckdb.connect(str(place))) as engine:
            engine.execute(f"SET threads=2; SET memory_limit='{ENGINE_MEMORY}'; SET temp_directory='{folder}'")
            yield engine
    finally:
        # Not waiting for the folder's end: what is published is what lies here then.
        for left in (place, *folder.glob("*.wal"), *folder.glob("*.tmp")):
            left.unlink(missing_ok=True)


def _type_rows(engine: Any, register: str, facts: FactsConfig, raw: Any, table: FactTable) -> None:
    """Make table `typed_<register>`: domain, ki, kt (key as int or text), number, typed columns, rejected."""
    wanted = facts.columns[register]
    missing = {facts.number, facts.document, *(c.name for c in wanted)} - {""} - set(raw.column_names)
    if missing:
        raise RegisterChanged(register=register, what=f"the SELECT gives no {', '.join(sorted(missing))}")
    typed = ", ".join(f"{_typed(c)} AS {c.name}" for c in wanted)
    wrong = " OR ".join(f"(c_{c.name} IS NOT NULL AND {c.name} IS NULL)" for c in wanted) or "FALSE"
    required = f"NOT coalesce(({facts.require[register]}), FALSE)" if register in facts.require else "FALSE"
    into = f"CREATE TABLE typed_{register} AS"
    floating = keyed = 0
    for part in _in_parts(raw):
        held = {"number": part[facts.number], **_keys(facts, part, table)}
        floating, keyed = floating + _floating(held), keyed + _keyed(held)
        held |= {f"c_{c.name}": _cleaned(c, part[c.name]) for c in wanted}
        engine.register("cleaned", pa.table(held))
        engine.execute(
            f"{into} SELECT *, (domain IS NULL OR (ki IS NULL AND kt IS NULL)) AS keyless,"
            f" keyless OR {wrong} OR {required} AS rejected FROM (SELECT *, {typed} FROM cleaned)"
        )
        engine.unregister("cleaned")
        into = f"INSERT INTO typed_{register}"
    _refuse_lossy(register, facts.number, floating, keyed)
    if facts.document:
        # A row under another kind of document may still hold a citizen's number: whose, nobody can be sure.
        _note_mislabelled(engine, register)
        # Rows of other kinds of subject are not this table's business otherwise.
        known = ", ".join(f"'{domain}'" for domain in table.domains)
        engine.execute(f"DELETE FROM typed_{register} WHERE domain IS NOT NULL AND domain NOT IN ({known})")


#: A number that went through a floating-point one: 1.10101E+17, 123456789.0.
_FLOATING = r"^\s*[+-]?[0-9]+(\.[0-9]*([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)\s*$"


def _in_parts(raw: Any) -> Iterator[Any]:
    """The rows, so many at a time, at least once; what was given is let go."""
    schema, batches = raw.schema, collections.deque(raw.to_batches(max_chunksize=PART))
    del raw
    while True:
        part, rows = [], 0
        while batches and rows < PART:
            rows += batches[0].num_rows
            part.append(batches.popleft())
        yield pa.Table.from_batches(part, schema)
        if not batches:
            return


def _keyed(held: Mapping[str, Any]) -> int:
    """How many rows have a key."""
    return pc.sum(_have_key(held)).as_py() or 0


def _floating(held: Mapping[str, Any]) -> int:
    """How many rows have none, but what a floating-point number leaves of one."""
    lossy = pc.fill_null(pc.match_substring_regex(held["number"], _FLOATING), False)
    return pc.sum(pc.and_not(lossy, _have_key(held))).as_py() or 0


def _have_key(held: Mapping[str, Any]) -> Any:
    return pc.or_(pc.is_valid(held["ki"]), pc.is_valid(held["kt"]))


def _refuse_lossy(register: str, column: str, floating: int, keyed: int) -> None:
    """Raises RegisterChanged where most numbers lost their last digits: nobody can tell whose those rows are.

    Not where any one did: then a slip of one clerk would keep everybody's facts from being made. Nor all: a number
    that ends in X stays a text among the others.
    """
    if floating > keyed:
        raise RegisterChanged(register=register, what=LOSSY.format(column=column))


def _note_mislabelled(engine: Any, register: str) -> None:
    """Make table `mislabelled_<register>`: citizens' keys that stand under another kind of document."""
    others = engine.sql(
        f"SELECT number FROM typed_{register} WHERE domain IS NOT NULL AND domain <> 'citizen' AND number IS NOT NULL"
    ).to_arrow_table()
    keys = _flat(identity.citizen_keys(others["number"])).drop_null()
    engine.register("found", pa.table({"ki": keys}))
    engine.execute(f"CREATE TABLE mislabelled_{register} AS SELECT DISTINCT ki FROM found")
    engine.unregister("found")


def _keys(facts: FactsConfig, raw: Any, table: FactTable) -> dict[str, Any]:
    """Domain and normalised key of each row; nulls where there is none."""
    number = raw[facts.number]
    if not facts.document:
        only = Domain(facts.domain)
        domains: Any = pa.array([str(only)]).take(pa.array(np.zeros(raw.num_rows, np.int64)))
        present = [only]
    else:
        kinds = _texts(raw[facts.document]).combine_chunks()
        names = list(DOCUMENTS)
        place = pc.index_in(kinds, pa.array(names))
        domains = pa.array([str(DOCUMENTS[name]) for name in names]).take(place)
        present = [Domain(domain) for domain in table.domains]
    ki, kt = pa.nulls(raw.num_rows, pa.int64()), pa.nulls(raw.num_rows, pa.string())
    for domain in present:
        here = pc.fill_null(pc.equal(domains, str(domain)), False)
        if domain is Domain.CITIZEN:
            ki = pc.if_else(here, _flat(identity.citizen_keys(number)), ki)
        else:
            kt = pc.if_else(here, _flat(identity.text_keys(domain, number)), kt)
    return {"domain": domains, "ki": ki, "kt": kt}


def _flat(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _cleaned(column: RawColumn, raw: Any) -> Any:
    if column.kind == "name":
        return identity.names(raw)
    texts = _texts(raw)
    # Plates and the like are compared as identifiers are: however they were spaced, and in capitals.
    return pc.utf8_upper(pc.replace_substring_regex(texts, _WHITE, "")) if column.kind == "mark" else texts


def _texts(raw: Any) -> Any:
    """NFKC, white space trimmed at both ends, empty is missing."""
    trimmed = pc.utf8_trim_whitespace(pc.utf8_normalize(raw.cast(pa.string()), form="NFKC"))
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def _typed(column: RawColumn) -> str:
    place = f"c_{column.name}"
    if column.kind == "code":
        codes = ", ".join("'" + code.replace("'", "''") + "'" for code in column.codes)
        return f"CASE WHEN {place} IN ({codes}) THEN {place} END"
    return _TYPED[column.kind].format(c=place)


class _Slips(dict[str, set[int]]):
    """By bad citizen number, the good ones that it may have been meant to be; each is looked for once."""

    def __missing__(self, number: str) -> set[int]:
        found = self[number] = nearby(number)
        return found


def _doubts(engine: Any, facts: FactsConfig, domain: Domain, slips: _Slips) -> Any:
    """Keys in doubt: those of rejected rows, and the good citizen numbers one slip from a rejected bad one."""
    key = "ki" if domain is Domain.CITIZEN else "kt"
    known: list[Any] = []
    for register in facts.rows:
        known += _without_type(engine, register, domain, slips)
        of_domain = f"FROM typed_{register} WHERE rejected AND domain = '{domain}'"
        known += [row[0] for row in engine.execute(f"SELECT {key} {of_domain} AND {key} IS NOT NULL").fetchall()]
        if domain is Domain.CITIZEN:
            if facts.document:
                known += [row[0] for row in engine.execute(f"SELECT ki FROM mislabelled_{register}").fetchall()]
            for (number,) in engine.execute(
                f"SELECT number {of_domain} AND ki IS NULL AND number IS NOT NULL"
            ).fetchall():
                known += slips[number]
    kind = np.int64 if domain is Domain.CITIZEN else np.object_
    return np.unique(np.array(known, kind)) if known else np.array([], kind)


def _without_type(engine: Any, register: str, domain: Domain, slips: _Slips) -> list[Any]:
    """Keys of rows that do not say what kind of number theirs is: it may be any of the register's kinds."""
    untyped = f"SELECT number FROM typed_{register} WHERE domain IS NULL AND number IS NOT NULL"
    found: list[Any] = []
    for (number,) in engine.execute(untyped).fetchall():
        text = normalise(domain, number)
        if domain is Domain.CITIZEN:
            found += [pack(text)] if text else slips[number]
        elif text:
            found.append(text)
    return found


def _nameless(engine: Any, facts: FactsConfig, table: FactTable, slips: _Slips) -> int:
    """How many rows lead back to nobody: their number is missing, or beyond any repair.

    Whoever they belong to has no key that could be put into doubt: to a rule, there is no such row.
    """
    total = 0
    for register in facts.rows:
        rows = f"SELECT domain, number, count(*) FROM typed_{register} WHERE keyless GROUP BY ALL"
        for domain, number, count in engine.execute(rows).fetchall():
            may_be = {Domain(domain)} if domain else {Domain(one) for one in table.domains}
            # What stands under another kind of document may be a citizen's all the same, and he is in doubt then.
            may_be |= {Domain.CITIZEN} if domain and facts.document and Domain.CITIZEN in table.domains else set()
            if number is None or not any(_leads(one, number, domain, slips) for one in may_be):
                total += count
    return total


def _leads(domain: Domain, number: str, said: str | None, slips: _Slips) -> bool:
    """Whether a row without a key puts somebody of this kind into doubt; `said`: the kind that the row gives."""
    if normalise(domain, number) is not None:
        return True
    return domain is Domain.CITIZEN and said in (None, domain) and bool(slips[number])


def _spellings(engine: Any, facts: FactsConfig, domain: str) -> Any:
    """Where a register keeps a key under another text than its one spelling: key and that text, sorted.

    Rows that are rejected for their values are among them: a query reads the register itself and tells what it says.
    """
    citizen = domain == Domain.CITIZEN
    # What has the form of a normalised number, and normalises at all, is in its one spelling.
    key, odd = ("ki", "NOT regexp_full_match(number, '[0-9]{17}[0-9X]')") if citizen else ("kt", "number <> kt")
    every = " UNION ".join(
        f"SELECT {key} AS {KEY}, number AS {SPELLING} FROM typed_{register}"
        f" WHERE domain = '{domain}' AND {key} IS NOT NULL AND {odd}"
        for register in facts.rows
    )
    return engine.sql(f"SELECT * FROM ({every}) ORDER BY {KEY}, {SPELLING}").to_arrow_table()


def _write_rejects(engine: Any, facts: FactsConfig, folder: Path) -> int:
    """One Parquet file a register with the rows its owner should mend. It never leaves the node."""
    total = 0
    for register in facts.rows:
        place = folder / f"rejects.{register}.parquet"
        engine.execute(f"COPY (SELECT * FROM typed_{register} WHERE rejected) TO '{place}' (FORMAT PARQUET)")
        place.chmod(0o600)
        total += engine.execute(f"SELECT count(*) FROM typed_{register} WHERE rejected").fetchall()[0][0]
    return total


def _merged(engine: Any, resource: str, facts: FactsConfig, table: FactTable, domain: str, day: date) -> Any:
    """One row a key in the physical columns of `table`, sorted by key."""
    key = "ki" if domain == Domain.CITIZEN else "kt"
    for register, columns in facts.columns.items():
        names = "".join(f", {c.name}" for c in columns)
        engine.execute(
            f"CREATE OR REPLACE VIEW {register} AS SELECT {key} AS {KEY}{names} FROM typed_{register}"
            f" WHERE NOT rejected AND domain = '{domain}'"
        )
    merge = _one_row(next(iter(facts.rows)), table) if facts.merge == "one_row" else facts.merge
    merge = merge.replace("{snapshot}", f"DATE '{day.isoformat()}'")
    wanted = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in table.physical())
    found = engine.sql(f"SELECT {KEY}, {wanted} FROM ({merge}) ORDER BY {KEY}").to_arrow_table()
    if not _ascending(found[KEY]):
        raise FactsInvalid(resource=resource, what="the merge gives more than one row a key, or a row without one")
    return found


def _ascending(keys: Any) -> bool:
    """Whether no key is missing and none stands twice, where they are sorted."""
    if keys.null_count:
        return False
    lasts = [chunk for chunk in keys.chunks if len(chunk)]
    inside = all(pc.all(pc.less(chunk[:-1], chunk[1:]), min_count=0).as_py() for chunk in lasts)
    return inside and all(one[-1].as_py() < next[0].as_py() for one, next in itertools.pairwise(lasts))


def _one_row(register: str, table: FactTable) -> str:
    """Missing values are ignored; what contradicts itself is missing."""
    merged = ", ".join(
        f"CASE WHEN min({name}) = max({name}) THEN min({name}) END AS {name}" for name, _ in table.physical()
    )
    return f"SELECT {KEY}, {merged} FROM {register} GROUP BY {KEY}"


def _within(found: Any, table: FactTable) -> tuple[Any, Any]:
    """Rows that hold every column's bounds, and the keys of those that do not."""
    holds = np.ones(found.num_rows, np.bool_)
    for column in table.columns:
        for test in _tests(column, found):
            holds &= pc.fill_null(test, True).to_numpy(zero_copy_only=False)
        if not column.nullable:
            for name, _ in column.physical():
                holds &= pc.is_valid(found[name]).to_numpy()
    if holds.all():
        return found, np.array([], np.object_ if pa.types.is_string(found.schema.field(KEY).type) else np.int64)
    outside = found[KEY].filter(pa.array(~holds)).to_numpy(zero_copy_only=False)
    return found.filter(pa.array(holds)), outside


def _tests(column: Column, found: Any) -> Iterator[Any]:
    if column.type is Type.CODE:
        yield pc.is_in(found[column.name], pa.array([*column.codes, None], pa.string()))
    if column.type in (Type.INT, Type.DATE):
        kind = found.schema.field(column.name).type
        if column.low is not None:
            yield pc.greater_equal(found[column.name], pa.scalar(column.low, kind))
        if column.high is not None:
            yield pc.less_equal(found[column.name], pa.scalar(column.high, kind))


# --- Publishing -----------------------------------------------------------------------------------


def _doubt(domain: str) -> str:
    return f"doubts.{domain}.arrow"


def _write(table: Any, path: Path) -> None:
    """Uncompressed Arrow IPC in one batch: mapped into memory, a key is found by binary search."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=max(1, table.num_rows))
    path.chmod(0o600)


def _publish(resource: str, workshop: Path, day: date, into: Path, counts: dict[str, Any]) -> Snapshot:
    content = hashlib.sha256()
    for path in sorted(workshop.glob("*.arrow")):
        content.update(path.name.encode())
        with path.open("rb") as file:
            content.update(hashlib.file_digest(file, "sha256").digest())
    # Rows that change no fact and put nobody into doubt are in none of these files, and their count is told.
    content.update(json.dumps(counts).encode())
    id = f"{day.isoformat()}-{content.hexdigest()[:16]}"
    (workshop / "snapshot.json").write_text(json.dumps({"resource": resource, "date": day.isoformat(), **counts}))
    final = into / id
    if not final.exists():
        workshop.rename(final)
    pointer = into / "current.new"
    pointer.write_text(id)
    pointer.replace(into / "current")
    found = opened(resource, into, id)
    assert found is not None
    return found
