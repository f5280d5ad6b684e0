"""A batch: expressions as DuckDB's SQL. Written from our own tree; nothing of a rule's text passes through.

An expression used more than once gets a name in a stage, a projection that is computed once below the
ones that use it. No expression raises, whatever the rows hold: what may fail is computed under TRY or
after clamping, and leaves a flag.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tongban.rules import closures, expr
from tongban.rules.expr import EARLIEST, LATEST, Expr
from tongban.rules.facts import HALF, INT_HIGH, Type, Value, month_columns
from tongban.rules.meaning import OutOfDomain
from tongban.rules.program import Constant, Guarded, Program, Taken
from tongban.rules.vocabulary import Function
from tongban.rules.words import Lowered

_NAMES = {Type.TEXT: "VARCHAR", Type.CODE: "VARCHAR", Type.INT: "BIGINT", Type.DATE: "DATE", Type.BOOL: "BOOLEAN"}
_ATOM = re.compile(r"[a-z_][a-z0-9_]*|-?\d+|CAST\(-?\d+ AS BIGINT\)|DATE '\d{4}-\d\d-\d\d'")
_STAGED = re.compile(r"\bstage(\d+)_\d+\b")


@dataclass
class Stages:
    """Named expressions, sorted into projections that build on each other."""

    levels: list[dict[str, str]] = field(default_factory=list)  #: for each level: text -> name

    def name(self, text: str) -> str:
        """A name for `text`; the text itself if it is already short enough to repeat."""
        if _ATOM.fullmatch(text):
            return text
        level = max((int(found) + 1 for found in _STAGED.findall(text)), default=0)
        while len(self.levels) <= level:
            self.levels.append({})
        names = self.levels[level]
        return names.setdefault(text, f"stage{level}_{len(names)}")

    def around(self, source: str) -> str:
        """The stages over `source`, a table expression."""
        for names in self.levels:
            if names:
                columns = ", ".join(f"{text} AS {name}" for text, name in names.items())
                source = f"(SELECT *, {columns} FROM {source})"
        return source


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition in SQL, and the one under which its row has failed ("FALSE" if it cannot)."""

    sql: str
    failed: str


def condition(program: Program, at: date, stages: Stages, dialect: "type[Writer] | None" = None) -> Condition:
    """`program` at an evaluation date, over columns named fact_… and asked_…; in DuckDB's SQL unless told otherwise."""
    try:
        fixed = closures.constants(program, at)
    except OutOfDomain:
        return Condition("CAST(NULL AS BOOLEAN)", "TRUE")
    writer = (dialect or Writer)(stages, fixed)
    for step in program.steps:
        writer.take(step)
    # Named, because reasons and verdict look at it more than once.
    sql = stages.name(writer.sql(program.condition))
    return Condition(sql, " OR ".join(writer.flags) or "FALSE")


class Writer:
    """Writes one program. What is DuckDB's own in it stands in methods that another dialect replaces."""

    names: Mapping[Type, str] = _NAMES

    def __init__(self, stages: Stages, fixed: Sequence[Any]) -> None:
        self.stages = stages
        self.fixed = fixed
        self.taken: list[str | tuple[str, ...]] = []
        self.flags: list[str] = []

    def literal(self, value: Value | None, kind: Type | None) -> str:
        if value is None:
            return f"CAST(NULL AS {self.names[kind]})" if kind else "NULL"
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, date):
            return f"DATE '{value.isoformat()}'"
        # Without the cast DuckDB would compute small numbers in 32 bits.
        return f"CAST({value} AS BIGINT)"

    def text(self, value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    def take(self, step: Expr) -> None:
        """Write one step: its value gets a name, its failure a flag."""
        value, failed = self._taken(step)
        self.taken.append(value)
        if failed is not None:
            self.flags.append(self.stages.name(f"COALESCE({failed}, FALSE)"))

    def _taken(self, step: Expr) -> tuple[str | tuple[str, ...], str | None]:
        if isinstance(step, Guarded):
            return self._months(step.column) if step.arg.type is Type.MONTHS else self._guarded(step)
        if isinstance(step, expr.Arithmetic):
            return self._checked(step)
        assert isinstance(step, expr.Call)
        return self._called(step)

    def _months(self, column: expr.Field) -> tuple[tuple[str, ...], str]:
        low, high, first = (f"fact_{name}" for name in month_columns(column.column.name))
        whole = f"{low} BETWEEN 0 AND {2**HALF - 1} AND {high} BETWEEN 0 AND {2**HALF - 1}"
        dated = f"{first} BETWEEN {self.literal(EARLIEST, Type.DATE)} AND {self.literal(LATEST, Type.DATE)}"
        known = f"{low} IS NOT NULL AND {high} IS NOT NULL AND {first} IS NOT NULL"
        good = self.stages.name(f"{whole} AND {dated}")
        index = self.stages.name(f"CASE WHEN {good} THEN year({first}) * 12 + month({first}) - 1 END")
        return (*self.bits(good, low, high), index), f"{known} AND NOT {good}"

    def bits(self, good: str, low: str, high: str) -> tuple[str, ...]:
        """The bitmap of a months column whose halves hold; NULL in the other rows."""
        whole = f"CAST({low} AS HUGEINT) | (CAST({high} AS HUGEINT) << {HALF})"
        return (self.stages.name(f"CASE WHEN {good} THEN {whole} END"),)

    def _guarded(self, step: Guarded) -> tuple[str, str]:
        column, arg = step.column.column, self.stages.name(self.sql(step.arg))
        low, high = column.low, column.high
        kind = Type.INT
        if step.arg.type is Type.YEARS:
            low, high = 0, INT_HIGH
        if step.arg.type is Type.DATE:
            low, high, kind = low or EARLIEST, high or LATEST, Type.DATE
        parts = [f"{arg} >= {self.literal(low, kind)}"] if low is not None else []
        parts += [f"{arg} <= {self.literal(high, kind)}"] if high is not None else []
        inside = self.stages.name(" AND ".join(parts))
        return self.stages.name(f"CASE WHEN {inside} THEN {arg} END"), f"NOT {inside}"

    def _checked(self, step: expr.Arithmetic) -> tuple[str, str]:
        left, right = (self.stages.name(self.sql(part)) for part in (step.left, step.right))
        value = self.stages.name(self.tried(left, step.op, right))
        return value, f"{value} IS NULL AND {left} IS NOT NULL AND {right} IS NOT NULL"

    def tried(self, left: str, op: str, right: str) -> str:
        """The result, or NULL beyond 64 bits."""
        return f"TRY({left} {op} {right})"

    def _called(self, step: expr.Call) -> tuple[str, str | None]:
        args = self._args(step)
        value, outside = self.function(step.function)(self.stages.name, *args)
        known = " AND ".join(f"{arg} IS NOT NULL" for arg in args)
        # `least` and `greatest` skip NULL, so a NULL argument must be seen before them.
        named = self.stages.name(f"CASE WHEN {known} THEN {value} END")
        return named, None if outside is None else f"{known} AND ({outside})"

    def function(self, called: Function) -> Callable[..., Lowered]:
        return called.duckdb

    def _args(self, node: expr.Call) -> list[str]:
        found: list[str] = []
        for arg in node.args:
            if isinstance(arg, Taken) and isinstance(months := self.taken[arg.index], tuple):
                found.extend(months)
            else:
                found.append(self.stages.name(self.sql(arg)))
        return found

    def sql(self, node: Expr) -> str:
        """`node` in parentheses wherever it is more than a name."""
        match node:
            case expr.Fixed():
                assert not isinstance(node.value, tuple)
                return self.literal(node.value, node.type)
            case Constant():
                return self.literal(self.fixed[node.index], node.type)
            case Taken():
                return str(self.taken[node.index])
            case expr.Field():
                return f"{'asked' if node.asked else 'fact'}_{node.column.name}"
            case expr.Compare():
                return f"({self.sql(node.left)} {node.op} {self.sql(node.right)})"
            case expr.Junction():
                return "(" + f" {node.op} ".join(map(self.sql, node.args)) + ")"
            case expr.Not():
                return f"(NOT {self.sql(node.arg)})"
            case expr.OneOf():
                values = sorted(node.values(), key=str)
                return (
                    f"({self.sql(node.arg)} IN ({', '.join(self.literal(value, node.arg.type) for value in values)}))"
                )
            case expr.Between():
                return f"({self.sql(node.arg)} BETWEEN {self.sql(node.low)} AND {self.sql(node.high)})"
            case expr.IsNull():
                return self._is_null(node)
            case _:
                return self._composite(node)

    def _is_null(self, node: expr.IsNull) -> str:
        prefix = "asked" if node.arg.asked else "fact"
        return "(" + " OR ".join(f"{prefix}_{name} IS NULL" for name, _ in node.arg.column.physical()) + ")"

    def _composite(self, node: Expr) -> str:
        match node:
            case expr.Case():
                whens = " ".join(f"WHEN {self.sql(when)} THEN {self._result(then, node)}" for when, then in node.whens)
                rest = f" ELSE {self._result(node.otherwise, node)}" if node.otherwise else ""
                return f"(CASE {whens}{rest} END)"
            case expr.Coalesce():
                return f"COALESCE({', '.join(map(self.sql, node.args))})"
            case expr.Arithmetic():
                return f"({self.sql(node.left)} {node.op} {self.sql(node.right)})"
            case expr.Call():
                return self._called(node)[0]
        raise AssertionError(type(node))

    def _result(self, node: Expr, case: expr.Case) -> str:
        return (
            self.literal(None, case.type) if isinstance(node, expr.Literal) and node.value is None else self.sql(node)
        )
