"""The one file that asks Spark: a batch over facts that lie in Spark, or are too many for one machine.

PySpark is no part of a node, so nothing of it is imported here: whoever calls brings the session. A query costs seconds
however little it computes; several rules over one fact table are better asked in one.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from tongban.rules import engine, spark_sql
from tongban.rules.compile import CompiledRule
from tongban.rules.engine import BatchFailed, Bytes, TooSlow
from tongban.rules.facts import KEY
from tongban.rules.single import FactsMismatch

Session: TypeAlias = Any  #: pyspark.sql.SparkSession
_TYPES = {"bigint": "BIGINT", "string": "VARCHAR", "date": "DATE", "boolean": "BOOLEAN", "array<bigint>": "BIGINT[]"}


def evaluate(
    session: Session,
    compiled: CompiledRule,
    keys: pa.Table,
    facts: engine.Facts,
    doubts: pa.Array | pa.ChunkedArray | None,
    at: date,
    *,
    seconds: float = 3_600.0,
) -> Bytes:
    """`engine.evaluate` by Spark: one byte per key, in the order of `keys`.

    facts: a folder or file of Parquet, an Arrow table, or the name of a table that the session knows.
    Raises KeysInvalid, FactsMismatch, TooSlow, BatchFailed.
    """
    engine.check_keys(compiled, keys)
    return evaluate_all(session, [(compiled, at)], keys, facts, doubts, seconds=seconds)[0]


def evaluate_all(
    session: Session,
    questions: Sequence[tuple[CompiledRule, date]],
    keys: pa.Table,
    facts: engine.Facts,
    doubts: pa.Array | pa.ChunkedArray | None,
    *,
    seconds: float = 3_600.0,
) -> list[Bytes]:
    """Several rules over one fact table in one query, each at its date. `keys` has the asked columns of all of them."""
    views = {"batch_keys": engine.with_positions(_undictionaried(keys))}
    if doubts is not None and len(doubts):
        views["batch_doubts"] = pa.table({KEY: doubts})
    if isinstance(facts, pa.Table):
        views["batch_facts"] = facts
    for name, table in views.items():
        session.createDataFrame(table).createOrReplaceTempView(name)
    try:
        relation = _relation(facts)
        for compiled, _ in questions:
            _check_facts(session, compiled, facts, keys.schema.field(KEY).type)
        doubtful = "batch_doubts" if "batch_doubts" in views else None
        query = spark_sql.statement(questions, keys="batch_keys", facts=relation, doubts=doubtful)
        answer = _answer(session, query, seconds)
    finally:
        for name in (*views, "batch_facts"):
            session.catalog.dropTempView(name)
    return [
        engine.scattered(answer.select(["p", f"v{number}"]).rename_columns(["p", "v"]), len(keys), compiled)
        for number, (compiled, _) in enumerate(questions)
    ]


def _undictionaried(keys: pa.Table) -> pa.Table:
    plain = pa.schema([(field.name, engine.undictionaried(field.type)) for field in keys.schema])
    return keys.cast(plain)


def _relation(facts: engine.Facts) -> str:
    return "`" + facts.replace("`", "``") + "`" if isinstance(facts, str) else "batch_facts"


def _check_facts(session: Session, compiled: CompiledRule, facts: engine.Facts, key: pa.DataType) -> None:
    """Columns and types before any row: a wrong type would be cast in silence."""
    try:
        if isinstance(facts, Path):
            session.read.parquet(str(facts.resolve())).createOrReplaceTempView("batch_facts")
        dtypes = session.table(_relation(facts)).dtypes
    except Exception as error:
        what = f"they cannot be read ({type(error).__name__})"
        raise FactsMismatch(rule=compiled.rule.id, what=what) from None
    found = {name: _TYPES.get(kind, kind) for name, kind in dtypes}
    wanted = {KEY: "BIGINT" if key == pa.int64() else "VARCHAR"}
    wanted |= {name: kind for column in compiled.reads() for name, kind in column.physical()}
    for name, kind in wanted.items():
        if found.get(name) != kind:
            what = f"column {name} must be {kind}, and is {found.get(name, 'missing')}"
            raise FactsMismatch(rule=compiled.rule.id, what=what)


def _answer(session: Session, query: str, seconds: float) -> pa.Table:
    with ending(session, seconds) as ended:
        try:
            return session.sql(query).toArrow()
        except Exception as error:
            if ended.is_set():
                raise TooSlow(what=f"more than {seconds:g} seconds") from None
            # Only the kind of error: Spark's own words may quote a value.
            raise BatchFailed(what=type(error).__name__) from None


@contextmanager
def ending(session: Session, seconds: float) -> Iterator[threading.Event]:
    """What Spark computes in the block is broken off once the time is over; the event then says so."""
    ended, done = threading.Event(), threading.Event()

    def end() -> None:
        if done.wait(seconds):
            return
        ended.set()
        # Again and again: between two jobs of a query there is none to break off.
        while not done.wait(0.2):
            session.sparkContext.cancelAllJobs()

    threading.Thread(target=end, daemon=True).start()
    try:
        yield ended
    finally:
        done.set()
