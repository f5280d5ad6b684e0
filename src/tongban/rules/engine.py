"""The one file that talks to DuckDB.

Written for its second major version: relations have no `fetchone`, results are taken whole so that a
connection is free again, and nothing is loaded from outside.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tongban.kit.errors import Invalid, Unavailable
from tongban.rules.compile import CompiledCondition, CompiledRule
from tongban.rules.facts import KEY, Column
from tongban.rules.single import FactsMismatch

Bytes = npt.NDArray[np.uint8]
Facts: TypeAlias = "Path | str | Any"  #: a Parquet file, the name of a table, or an Arrow table
_ARROW = {
    "BIGINT": pa.int64(),
    "DATE": pa.date32(),
    "VARCHAR": pa.string(),
    "BOOLEAN": pa.bool_(),
    "BIGINT[]": pa.list_(pa.int64()),
}


class KeysInvalid(Invalid):
    """The keys of a batch are not what the wire format says."""

    code = "rules.keys_invalid"
    message = "The keys of this part cannot be answered: {what}."
    remedy = "Send int64 or text keys, strictly ascending, with exactly the columns that the rule asks for."


class TooSlow(Unavailable):
    """A batch went beyond the time or the memory that the node grants."""

    code = "rules.too_slow"
    message = "The batch went beyond its limits: {what}."
    remedy = "Ask for smaller parts, or grant more memory or time in the node's settings."


class BatchFailed(Unavailable):
    """DuckDB could not compute a batch, for a reason that is none of its rows'."""

    code = "rules.batch_failed"
    message = "The batch could not be computed ({what})."
    remedy = "Check the node's disk and the snapshot's files, and ask again."


def arrow_fields(columns: tuple[Column, ...]) -> list[tuple[str, pa.DataType]]:
    """Physical columns as Arrow fields."""
    return [(name, _ARROW[kind]) for column in columns for name, kind in column.physical()]


def facts_schema(compiled: CompiledRule, *, text_keys: bool = False) -> pa.Schema:
    """Schema of the rule's whole fact table."""
    key = pa.string() if text_keys else pa.int64()
    return pa.schema([(KEY, key), *arrow_fields(compiled.facts.columns)])


def keys_schema(compiled: CompiledRule, *, text_keys: bool = False) -> pa.Schema:
    """Schema of a batch for this rule: the key, then the asked columns in the rule's order."""
    key = pa.string() if text_keys else pa.int64()
    return pa.schema([(KEY, key), *arrow_fields(compiled.rule.asks)])


@contextmanager
def connected(
    facts: Facts, *, memory_mb: int = 1_024, threads: int = 1, spill: Path | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that can read `facts` and nothing else outside itself.

    spill: folder for what does not fit into memory; without it such a batch fails.
    """
    settings: dict[str, Any] = {
        "memory_limit": f"{memory_mb}MB",
        "threads": threads,
        "temp_directory": str(spill) if spill else "",
        "autoload_known_extensions": False,
        "autoinstall_known_extensions": False,
        "python_enable_replacements": False,
    }
    connection = duckdb.connect(":memory:", config=settings)
    try:
        allowed = [str(facts.resolve())] if isinstance(facts, Path) else []
        connection.execute("SET allowed_paths = $paths", {"paths": allowed})
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def evaluate(
    compiled: CompiledRule,
    keys: pa.Table,
    facts: Facts,
    doubts: pa.Array | pa.ChunkedArray | None,
    at: date,
    *,
    memory_mb: int = 1_024,
    threads: int = 1,
    seconds: float = 600.0,
    connection: duckdb.DuckDBPyConnection | None = None,
    let_go: Callable[[], None] = lambda: None,
) -> Bytes:
    """One byte per key, in the order of `keys`.

    keys: `keys_schema` (dictionary-coded texts allowed), strictly ascending.
    facts: a Parquet file, an Arrow table, or the name of a table of `connection`; one row per key.
    doubts: keys whose record was rejected or resembles a rejected one; None for none.
    connection: the node's own, with its own limits; else one is made for this batch.
    let_go: called when a column of `facts` was read and is not needed for a while.
    Raises KeysInvalid, FactsMismatch, TooSlow, BatchFailed. A row that fails is unknown / bad_value, never an error.
    """
    check_keys(compiled, keys)
    if connection is not None:
        return _evaluate(connection.cursor(), compiled, keys, facts, doubts, at, seconds, let_go)
    with connected(facts, memory_mb=memory_mb, threads=threads) as own:
        return _evaluate(own, compiled, keys, facts, doubts, at, seconds, let_go)


def _evaluate(
    connection: duckdb.DuckDBPyConnection,
    compiled: CompiledRule,
    keys: pa.Table,
    facts: Facts,
    doubts: pa.Array | None,
    at: date,
    seconds: float,
    let_go: Callable[[], None],
) -> Bytes:
    relation = _relation(connection, facts)
    _check_facts(connection, compiled, relation, keys.schema.field(KEY).type)
    try:
        rows = _side_by_side(compiled, keys, facts, doubts, let_go) if isinstance(facts, pa.Table) else None
        if rows is not None:
            connection.register("batch_rows", rows)
            query = compiled.duckdb_aligned(at, rows="batch_rows")
        else:
            query = _joined(connection, compiled, keys, relation, doubts, at)
        return scattered(_answer(connection, query, seconds), len(keys), compiled)
    finally:
        for name in ("batch_rows", "batch_keys", "batch_doubts", "batch_facts"):
            connection.unregister(name)


def _joined(
    connection: duckdb.DuckDBPyConnection,
    compiled: CompiledRule,
    keys: pa.Table,
    relation: str,
    doubts: pa.Array | None,
    at: date,
) -> str:
    connection.register("batch_keys", with_positions(keys))
    doubtful = None
    if doubts is not None and len(doubts):
        connection.register("batch_doubts", pa.table({KEY: doubts}))
        doubtful = "batch_doubts"
    return compiled.duckdb(at, keys="batch_keys", facts=relation, doubts=doubtful)


def _side_by_side(
    compiled: CompiledRule,
    keys: pa.Table,
    facts: pa.Table,
    doubts: pa.Array | pa.ChunkedArray | None,
    let_go: Callable[[], None],
) -> pa.Table | None:
    """Each key with its fact row, found by binary search; None where only a join can tell.

    Both sides lie sorted, so the search walks through the register once: for three million keys in 22 million rows it
    takes a third of the work of a hash join, and for few keys next to nothing. Texts are joined: Arrow has no search in
    them. So are facts with doubles or out of order, for the join finds the doubles.
    """
    if not pa.types.is_int64(facts.schema.field(KEY).type) or not pa.types.is_int64(keys.schema.field(KEY).type):
        return None
    held, asked = _numbers(facts, KEY), _numbers(keys, KEY)
    if not len(held) or not (held[1:] > held[:-1]).all():
        return None
    place = np.minimum(np.searchsorted(held, asked), len(held) - 1)
    absent = held[place] != asked
    where = pa.array(place, mask=absent)
    columns = {
        "p": pa.array(np.arange(len(keys), dtype=np.int32)),
        "absent": pa.array(absent),
        "doubtful": pa.array(_among(asked, doubts)),
    }
    let_go()
    for name, _ in arrow_fields(compiled.reads()):
        columns[f"fact_{name}"] = facts.column(name).take(where)
        let_go()
    columns |= {f"asked_{name}": keys.column(name) for name, _ in arrow_fields(compiled.rule.asks)}
    return pa.table(columns)


def _among(asked: npt.NDArray[Any], doubts: pa.Array | pa.ChunkedArray | None) -> npt.NDArray[np.bool_]:
    """Which of the ascending keys are doubtful."""
    found = np.zeros(len(asked), np.bool_)
    if doubts is not None and len(doubts) and len(asked):
        doubtful = _numbers(pa.table({KEY: doubts}), KEY)
        place = np.minimum(np.searchsorted(asked, doubtful), len(asked) - 1)
        found[place[asked[place] == doubtful]] = True
    return found


def applies(
    condition: CompiledCondition, applications: pa.Table, *, at: date, memory_mb: int = 1_024, threads: int = 1
) -> Bytes:
    """For each application, in order: 1 the rule applies, 0 it does not, 2 the application does not say."""
    if condition.program is None:
        return np.ones(len(applications), np.uint8)
    with connected("", memory_mb=memory_mb, threads=threads) as connection:
        connection.register("batch_applications", with_positions(applications))
        answer = _answer(connection, condition.duckdb(at, applications="batch_applications"), 600.0)
        found = np.empty(len(applications), np.uint8)
        found[_numbers(answer, "p")] = _numbers(answer, "v")
        return found


def with_positions(rows: pa.Table) -> pa.Table:
    return rows.append_column("p", pa.array(np.arange(len(rows), dtype=np.int32)))


def _answer(connection: duckdb.DuckDBPyConnection, query: str, seconds: float) -> pa.Table:
    done = threading.Event()
    threading.Thread(target=_stop_after, args=(connection, seconds, done), daemon=True).start()
    try:
        return connection.sql(query).to_arrow_table()
    except duckdb.InterruptException:
        raise TooSlow(what=f"more than {seconds:g} seconds") from None
    except duckdb.OutOfMemoryException:
        raise TooSlow(what="more memory than allowed") from None
    except duckdb.Error as error:
        # Only the kind of error: DuckDB's own words may quote a value.
        raise BatchFailed(what=type(error).__name__) from None
    finally:
        done.set()


def _stop_after(connection: duckdb.DuckDBPyConnection, seconds: float, done: threading.Event) -> None:
    """Interrupt until it is done: an interruption between two steps of a query is lost."""
    if done.wait(seconds):
        return
    while not done.wait(0.01):
        connection.interrupt()


def scattered(answer: pa.Table, count: int, compiled: CompiledRule) -> Bytes:
    """Each byte at its position. A hash join keeps no order, and sorting again would cost more than this."""
    if len(answer) != count:
        raise FactsMismatch(rule=compiled.rule.id, what="some key has more than one fact row")
    found = np.empty(count, np.uint8)
    found[_numbers(answer, "p")] = _numbers(answer, "v")
    return found


def _numbers(answer: pa.Table, column: str) -> npt.NDArray[Any]:
    # Chunk by chunk: to_numpy() of a chunked column imports pandas where it is installed.
    chunks = [chunk.to_numpy(zero_copy_only=False) for chunk in answer.column(column).chunks]
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks) if chunks else np.empty(0, np.uint8)


def _relation(connection: duckdb.DuckDBPyConnection, facts: Facts) -> str:
    if isinstance(facts, str):
        return '"' + facts.replace('"', '""') + '"'
    if isinstance(facts, Path):
        return "read_parquet('" + str(facts.resolve()).replace("'", "''") + "')"
    connection.register("batch_facts", facts)
    return "batch_facts"


def check_keys(compiled: CompiledRule, keys: pa.Table) -> None:
    wanted = [KEY, *(name for name, _ in arrow_fields(compiled.rule.asks))]
    if keys.column_names != wanted:
        raise KeysInvalid(what=f"the columns must be {', '.join(wanted)}")
    for (name, kind), given in zip(arrow_fields(compiled.rule.asks), list(keys.schema)[1:], strict=True):
        if undictionaried(given.type) != kind:
            raise KeysInvalid(what=f"column {name} must be {kind}")
    key = keys.column(KEY)
    if key.type not in (pa.int64(), pa.string()):
        raise KeysInvalid(what="the key must be int64 or text")
    # is_less over shifted views: texts compare by their bytes, as the wire format orders them.
    ascending = key.null_count == 0 and (len(key) < 2 or pc.all(pc.less(key[:-1], key[1:])).as_py())
    if not ascending:
        raise KeysInvalid(what="the keys are not strictly ascending, or one is missing")


def undictionaried(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _check_facts(
    connection: duckdb.DuckDBPyConnection, compiled: CompiledRule, relation: str, key: pa.DataType
) -> None:
    """Columns and types before any row: a wrong type would be cast in silence."""
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    except duckdb.Error as error:
        raise FactsMismatch(rule=compiled.rule.id, what=f"they cannot be read ({type(error).__name__})") from None
    found = {row[0]: "VARCHAR" if str(row[1]).startswith("ENUM") else str(row[1]) for row in described}
    wanted = {KEY: "BIGINT" if key == pa.int64() else "VARCHAR"}
    wanted |= {name: kind for column in compiled.reads() for name, kind in column.physical()}
    for name, kind in wanted.items():
        if found.get(name) != kind:
            what = f"column {name} must be {kind}, and is {found.get(name, 'missing')}"
            raise FactsMismatch(rule=compiled.rule.id, what=what)
