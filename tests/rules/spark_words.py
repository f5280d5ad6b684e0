"""What rules say in Spark's SQL, without Spark: its text, read as Spark's by SQLGlot and computed by DuckDB."""

import duckdb
import pyarrow as pa
from sqlglot import exp, parse_one

from tests.rules.batches import Batch
from tongban.rules import engine, spark_sql
from tongban.rules.compile import CompiledRule

#: What Spark's functions do, as far as rules use them, by Spark's manual; under the names that SQLGlot writes.
MEANT = (
    "safe_add(a, b) AS TRY(a + b)",
    "safe_subtract(a, b) AS TRY(a - b)",
    "safe_multiply(a, b) AS TRY(a * b)",
    "add_months(day, n) AS CAST(day + to_months(n) AS DATE)",
    "get(list, n) AS list_extract(list, n + 1)",
)


def in_words_of_spark(batch: Batch, rules: list[CompiledRule]) -> list[list[int]]:
    """The bytes of each rule by its words for Spark, computed by DuckDB."""
    query = spark_sql.statement([(rule, batch.at) for rule in rules], keys="asked", facts="held", doubts="doubtful")
    written = parse_one(query, read="spark").transform(_plain).sql("duckdb")
    with duckdb.connect() as connection:
        for macro in MEANT:
            connection.execute(f"CREATE MACRO {macro}")
        connection.register("asked", engine.with_positions(batch.keys))
        connection.register("held", batch.facts)
        connection.register("doubtful", pa.table({"k": batch.doubts}))
        answer = connection.sql(written).to_arrow_table()
    columns = [answer.select(["p", f"v{n}"]).rename_columns(["p", "v"]) for n in range(len(rules))]
    found = [engine.scattered(column, len(batch.keys), rule) for column, rule in zip(columns, rules, strict=True)]
    return [byte.tolist() for byte in found]


def _plain(node: exp.Expression) -> exp.Expression:
    """Bytes cast to a text are UTF-8 in Spark; DuckDB would write some of them as \\x27."""
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.HexString):
        return exp.Literal.string(bytes.fromhex(node.this.this).decode())
    return node
