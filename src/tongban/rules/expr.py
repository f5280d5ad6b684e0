"""Expressions as a tree of our own: what `language` reads, and every engine lowers.

Each node knows its type, its children and its canonical text. Nothing here can fail: whatever
could not be typed was refused while reading.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from tongban.rules.facts import INT_HIGH, INT_LOW, Column, Type, Value
from tongban.rules.vocabulary import Function

EARLIEST, LATEST = date(1, 1, 1), date(9999, 12, 31)

Bounds = tuple[int, int]
EVERY_INT: Bounds = (INT_LOW, INT_HIGH)


@dataclass(frozen=True, slots=True)
class Expr:
    """Base of all nodes. `type` is None for NULL alone."""

    @property
    def type(self) -> Type | None:
        return Type.BOOL

    def children(self) -> tuple["Expr", ...]:
        return ()

    def rebuilt(self, children: tuple["Expr", ...]) -> "Expr":
        """The same node over other children."""
        return self

    @property
    def bounds(self) -> Bounds:
        """Least and greatest value of an int expression, as far as types and ranges tell."""
        return EVERY_INT


@dataclass(frozen=True, slots=True)
class Fixed(Expr):
    """A value that neither a row nor the evaluation date changes."""

    value: Value | tuple[Value, ...] | None
    kind: Type | None

    @property
    def type(self) -> Type | None:
        return self.kind

    @property
    def bounds(self) -> Bounds:
        return (self.value, self.value) if type(self.value) is int else EVERY_INT


@dataclass(frozen=True, slots=True)
class Literal(Fixed):
    """A value as it stands in the text."""

    value: Value | None


@dataclass(frozen=True, slots=True)
class Given(Fixed):
    """A parameter with its value bound; a list stands only on the right of IN."""

    value: Value | tuple[Value, ...]
    kind: Type
    name: str


@dataclass(frozen=True, slots=True)
class At(Expr):
    """The evaluation date."""

    @property
    def type(self) -> Type | None:
        return Type.DATE


@dataclass(frozen=True, slots=True)
class Field(Expr):
    """A column of the fact row, or one of the application that travels with the key."""

    column: Column
    asked: bool

    @property
    def type(self) -> Type | None:
        return self.column.type

    @property
    def bounds(self) -> Bounds:
        low, high = self.column.low, self.column.high
        return (low if type(low) is int else INT_LOW, high if type(high) is int else INT_HIGH)

    @property
    def name(self) -> str:
        return f"asked.{self.column.name}" if self.asked else self.column.name


@dataclass(frozen=True, slots=True)
class Compare(Expr):
    op: str  #: = <> < <= > >=
    left: Expr
    right: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.left, self.right)

    def rebuilt(self, children: tuple[Expr, ...]) -> Expr:
        return Compare(self.op, *children)


@dataclass(frozen=True, slots=True)
class Junction(Expr):
    """AND or OR over two and more."""

    op: str  #: AND OR
    args: tuple[Expr, ...]

    def children(self) -> tuple[Expr, ...]:
        return self.args

    def rebuilt(self, children: tuple[Expr, ...]) -> Expr:
        return Junction(self.op, children)


@dataclass(frozen=True, slots=True)
class Not(Expr):
    arg: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.arg,)

    def rebuilt(self, children: tuple[Expr, ...]) -> Expr:
        return Not(*children)


@dataclass(frozen=True, slots=True)
class OneOf(Expr):
    """IN over literals and parameters."""

    arg: Expr
    items: tuple[Fixed, ...]

    def children(self) -> tuple[Expr, ...]:
        return (self.arg,)

    def rebuilt(self, children: tuple[Expr, ...]) -> Expr:
        return OneOf(children[0], self.items)

    def values(self) -> frozenset[Value]:
        """Every value of the list, list parameters spread out."""
        found: set[Value] = set()
        for item in self.items:
            if isinstance(item.value, tuple):
                found.update(item.value)
            elif item.value is not None:
                found.add(item.value)
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Between(Expr):
    arg: Expr
    low: Expr
    high: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.arg, self.low, self.high)

    def rebuilt(self, children: tuple[Expr, ...]) -> Expr:
        return Between(*children)


@dataclass(frozen=True, slots=True)
class IsNull(Expr):
    arg: Field

    def children(self) -> tuple[Expr, ...]:
        return (self.arg,)


@dataclass(frozen=True, slots=True)
class Case(Expr):
    """CASE WHEN … THEN … [ELSE …] END; `otherwise` is None without ELSE, which gives NULL."""

    whens: tuple[tuple[Expr, Expr], ...]
    otherwise: Expr | None
    kind: Type | None

    @property
    def type(self) -> Type | None:
        return self.kind

    def children(self) -> tuple[Expr, ...]:
        flat = tuple(part for when in self.whens for part in when)
        return flat if self.otherwise is None else (*flat, self.otherwise)

    def rebuilt(self, children: tuple[Expr, ...]) -> Expr:
        pairs = tuple(zip(children[: 2 * len(self.whens) : 2], children[1 : 2 * len(self.whens) : 2], strict=True))
        return replace(self, whens=pairs, otherwise=None if self.otherwise is None else children[-1])

    @property
    def bounds(self) -> Bounds:
        results = [result for _, result in self.whens] + ([self.otherwise] if self.otherwise else [])
        return _widest(results)


@dataclass(frozen=True, slots=True)
class Coalesce(Expr):
    args: tuple[Expr, ...]
    kind: Type | None

    @property
    def type(self) -> Type | None:
        return self.kind

    def children(self) -> tuple[Expr, ...]:
        return self.args

    def rebuilt(self, children: tuple[Expr, ...]) -> Expr:
        return replace(self, args=children)

    @property
    def bounds(self) -> Bounds:
        return _widest(list(self.args))


@dataclass(frozen=True, slots=True)
class Arithmetic(Expr):
    """+ - * over int64. Unary minus is 0 - x."""

    op: str
    left: Expr
    right: Expr

    @property
    def type(self) -> Type | None:
        return Type.INT

    def children(self) -> tuple[Expr, ...]:
        return (self.left, self.right)

    def rebuilt(self, children: tuple[Expr, ...]) -> Expr:
        return Arithmetic(self.op, *children)

    def exact_bounds(self) -> Bounds:
        """Bounds of the true result, which may lie beyond 64 bits."""
        (a, b), (c, d) = self.left.bounds, self.right.bounds
        if self.op == "+":
            return a + c, b + d
        if self.op == "-":
            return a - d, b - c
        corners = (a * c, a * d, b * c, b * d)
        return min(corners), max(corners)

    @property
    def bounds(self) -> Bounds:
        low, high = self.exact_bounds()
        return max(low, INT_LOW), min(high, INT_HIGH)

    @property
    def may_overflow(self) -> bool:
        low, high = self.exact_bounds()
        return low < INT_LOW or high > INT_HIGH


@dataclass(frozen=True, slots=True)
class Call(Expr):
    function: Function
    args: tuple[Expr, ...]

    @property
    def type(self) -> Type | None:
        return self.function.result

    def children(self) -> tuple[Expr, ...]:
        return self.args

    def rebuilt(self, children: tuple[Expr, ...]) -> Expr:
        return Call(self.function, children)

    @property
    def bounds(self) -> Bounds:
        return self.function.bounds


def _widest(parts: list[Expr]) -> Bounds:
    numbers = [part.bounds for part in parts if part.type is Type.INT]
    return (min(low for low, _ in numbers), max(high for _, high in numbers)) if numbers else EVERY_INT


def walk(expr: Expr) -> Iterator[Expr]:
    """The node and everything below it."""
    yield expr
    for child in expr.children():
        yield from walk(child)


def fields(expr: Expr) -> frozenset[Field]:
    return frozenset(node for node in walk(expr) if isinstance(node, Field))


def text(expr: Expr) -> str:
    """The canonical text: the one spelling that is digested, shown to approvers and read again."""
    return _text(expr, 0)


#: Binding strengths; a child that binds less than its place asks for stands in parentheses.
_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _ATOM = range(1, 8)


def _text(expr: Expr, place: int) -> str:
    written, strength = _written(expr)
    return f"({written})" if strength < place else written


def _written(expr: Expr) -> tuple[str, int]:
    match expr:
        case Literal():
            return _literal(expr.value), _ATOM
        case Given():
            return "{" + expr.name + "}", _ATOM
        case At():
            return "{at}", _ATOM
        case Field():
            return expr.name, _ATOM
        case Compare():
            return f"{_text(expr.left, _SUM)} {expr.op} {_text(expr.right, _SUM)}", _COMPARE
        case Junction():
            strength = _AND if expr.op == "AND" else _OR
            return f" {expr.op} ".join(_text(arg, strength + 1) for arg in expr.args), strength
        case Not():
            return f"NOT {_text(expr.arg, _NOT)}", _NOT
        case OneOf():
            items = ", ".join(_text(item, 0) for item in expr.items)
            return f"{_text(expr.arg, _SUM)} IN ({items})", _COMPARE
        case Between():
            low, high = _text(expr.low, _SUM), _text(expr.high, _SUM)
            return f"{_text(expr.arg, _SUM)} BETWEEN {low} AND {high}", _COMPARE
        case IsNull():
            return f"{expr.arg.name} IS NULL", _COMPARE
        case Case():
            whens = " ".join(f"WHEN {_text(when, 0)} THEN {_text(then, 0)}" for when, then in expr.whens)
            rest = "" if expr.otherwise is None else f" ELSE {_text(expr.otherwise, 0)}"
            return f"CASE {whens}{rest} END", _ATOM
        case Coalesce():
            return f"COALESCE({', '.join(_text(arg, 0) for arg in expr.args)})", _ATOM
        case Arithmetic():
            strength = _PRODUCT if expr.op == "*" else _SUM
            return f"{_text(expr.left, strength)} {expr.op} {_text(expr.right, strength + 1)}", strength
        case Call():
            return f"{expr.function.name}({', '.join(_text(arg, 0) for arg in expr.args)})", _ATOM
    raise AssertionError(type(expr))


def _literal(value: Value | None) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return str(value)
