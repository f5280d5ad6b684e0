"""A batch in Spark's SQL: the same programs that `lower` writes for DuckDB, by the same writer.

Several rules over one fact table may stand in one statement, a column each: a query costs Spark seconds however
little it computes.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

from tongban.rules import batch, lower
from tongban.rules.compile import CompiledRule
from tongban.rules.facts import KEY, SQL_TYPES, Column, Type
from tongban.rules.spark_words import LOWERED
from tongban.rules.vocabulary import Function
from tongban.rules.words import Lowered

#: What a text may hold to be written as it is. A quote or a backslash means what the session's settings say, and
#: Spark replaces ${…} by variables, in the middle of a text too.
_PLAIN = re.compile(r"[^'\"\\$\x00-\x1f\x7f]*")
_CALLED = {"+": "try_add", "-": "try_subtract", "*": "try_multiply"}
_NAMES = {kind: "STRING" if name == "VARCHAR" else name for kind, name in SQL_TYPES.items()}


class SparkWriter(lower.Writer):
    """Writes a program in Spark's SQL."""

    names: Mapping[Type, str] = _NAMES

    def text(self, value: str) -> str:
        if _PLAIN.fullmatch(value):
            return f"'{value}'"
        return f"CAST(X'{value.encode().hex()}' AS STRING)"

    def bits(self, good: str, low: str, high: str) -> tuple[str, ...]:
        return tuple(self.stages.name(f"CASE WHEN {good} THEN {half} END") for half in (low, high))

    def tried(self, left: str, op: str, right: str) -> str:
        return f"{_CALLED[op]}({left}, {right})"

    def function(self, called: Function) -> Callable[..., Lowered]:
        return LOWERED[called.name]


def statement(
    questions: Sequence[tuple[CompiledRule, date]], *, keys: str, facts: str, doubts: str | None = None
) -> str:
    """One statement that answers rules over one fact table, each at its evaluation date.

    keys, facts, doubts: as for `CompiledRule.duckdb`; `keys` has the asked columns of all of them.
    Yields `p`, and `v0`, `v1`, … in the order of `questions`, SMALLINT; the rows in no particular order.
    """
    doubtful = "FALSE" if doubts is None else f"doubts.{KEY} IS NOT NULL"
    columns = ["keys.p AS p", f"facts.{KEY} IS NULL AS absent", f"{doubtful} AS doubtful"]
    read = _together(column for compiled, _ in questions for column in compiled.reads())
    asked = _together(column for compiled, _ in questions for column in compiled.rule.asks)
    columns += [f"facts.`{name}` AS fact_{name}" for column in read for name, _ in column.physical()]
    columns += [f"keys.`{name}` AS asked_{name}" for column in asked for name, _ in column.physical()]
    joined = f"{keys} AS keys LEFT JOIN {facts} AS facts ON keys.{KEY} = facts.{KEY}"
    if doubts is not None:
        joined += f" LEFT JOIN {doubts} AS doubts ON keys.{KEY} = doubts.{KEY}"
    stages, bytes_ = lower.Stages(), []
    for number, (compiled, at) in enumerate(questions):
        silence = compiled.silence(at)
        byte = batch.value(compiled.rule, compiled.programs, silence, at, stages, SparkWriter)
        bytes_.append(f"CAST({byte} AS SMALLINT) AS v{number}")
    source = stages.around(f"(SELECT {', '.join(columns)} FROM {joined})")
    return f"SELECT p, {', '.join(bytes_)} FROM {source}"


def _together(columns: Iterable[Column]) -> list[Column]:
    return list(dict.fromkeys(columns))
