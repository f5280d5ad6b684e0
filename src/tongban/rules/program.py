"""An expression made ready to run: constants taken out, and everything that can fail done first.

Engines differ in when they evaluate the branches of AND, OR and CASE. So that a row fails in all of
them or in none, whatever can fail (arithmetic that may leave 64 bits, a function with a domain, a value
outside its column's range) becomes a step that is taken for every row before the condition is looked
at. A row with a failed step is unknown / bad_value, even where a branch would have hidden it.
"""

from dataclasses import dataclass, field

from tongban.rules import expr
from tongban.rules.expr import Bounds, Expr
from tongban.rules.facts import Type


@dataclass(frozen=True, slots=True)
class _Ready(Expr):
    """A value that was found before the condition is looked at, by its number."""

    index: int
    kind: Type | None
    range: Bounds

    @property
    def type(self) -> Type | None:
        return self.kind

    @property
    def bounds(self) -> Bounds:
        return self.range


@dataclass(frozen=True, slots=True)
class Constant(_Ready):
    """One of the constants, which depend on nothing but the evaluation date."""


@dataclass(frozen=True, slots=True)
class Taken(_Ready):
    """Result of a step."""


@dataclass(frozen=True, slots=True)
class Guarded(Expr):
    """`arg`, which fails if it lies outside the range of `column`."""

    arg: Expr
    column: expr.Field

    @property
    def type(self) -> Type | None:
        return self.arg.type

    def children(self) -> tuple[Expr, ...]:
        return (self.arg,)

    @property
    def bounds(self) -> Bounds:
        return self.column.bounds


@dataclass(frozen=True, slots=True)
class Program:
    """Constants, then steps in order, then the condition."""

    constants: tuple[Expr, ...]
    steps: tuple[Expr, ...]
    condition: Expr


def prepare(condition: Expr) -> Program:
    builder = _Builder()
    result = builder.ready(condition)
    return Program(tuple(builder.constants), tuple(builder.steps), result)


@dataclass
class _Builder:
    constants: dict[Expr, Constant] = field(default_factory=dict)
    steps: dict[Expr, Taken] = field(default_factory=dict)

    def ready(self, node: Expr) -> Expr:
        if isinstance(node, expr.Fixed | expr.IsNull | expr.Field):
            return node
        if not expr.fields(node):
            return self.constants.setdefault(node, Constant(len(self.constants), node.type, node.bounds))
        if isinstance(node, expr.Arithmetic):
            return self._arithmetic(node)
        if isinstance(node, expr.Call):
            return self._call(node)
        return node.rebuilt(tuple(self.ready(child) for child in node.children()))

    def _arithmetic(self, node: expr.Arithmetic) -> Expr:
        ready = expr.Arithmetic(node.op, self._guarded(node.left), self._guarded(node.right))
        return self._step(ready) if ready.may_overflow else ready

    def _call(self, node: expr.Call) -> Expr:
        ready: Expr = expr.Call(node.function, tuple(self._guarded(arg) for arg in node.args))
        if node.function.partial:
            ready = self._step(ready)
        amounts = node.args[0]
        if isinstance(amounts, expr.Field) and amounts.type is Type.YEAR_AMOUNTS and _has_range(amounts):
            ready = self._step(Guarded(ready, amounts))
        return ready

    def _guarded(self, node: Expr) -> Expr:
        """A value on its way into arithmetic or a function; a column's range is checked there."""
        if not isinstance(node, expr.Field):
            return self.ready(node)
        if node.type in (Type.DATE, Type.MONTHS, Type.YEARS) or (node.type is Type.INT and _has_range(node)):
            return self._step(Guarded(node, node))
        return node

    def _step(self, node: Expr) -> Taken:
        return self.steps.setdefault(node, Taken(len(self.steps), node.type, node.bounds))


def _has_range(node: expr.Field) -> bool:
    return node.column.low is not None or node.column.high is not None


@dataclass(frozen=True, slots=True)
class Programs:
    """Those of one rule; `whens` in the order of its reasons."""

    matched_by: Program | None
    met: Program
    whens: tuple[Program, ...]

    def all(self) -> tuple[Program, ...]:
        first = (self.matched_by,) if self.matched_by else ()
        return (*first, self.met, *self.whens)


def fields(program: Program) -> frozenset[expr.Field]:
    """The columns that the program looks at, constants aside."""
    return frozenset(found for part in (*program.steps, program.condition) for found in expr.fields(part))
