"""One person: an expression as nested Python closures with three-valued logic. None is unknown.

A closure takes one frame, (fact row, asked row, constants, results of steps), and costs a fraction of
a microsecond; compiling costs a millisecond, once.
"""

import operator
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from tongban.rules import expr, meaning
from tongban.rules.expr import Expr
from tongban.rules.facts import HALF, INT_HIGH, INT_LOW, Type, month_columns, month_index
from tongban.rules.meaning import OutOfDomain
from tongban.rules.program import Constant, Guarded, Program, Taken

Row = Mapping[str, Any]
Frame = tuple[Row, Row, tuple[Any, ...], list[Any]]
Closure = Callable[[Frame], Any]

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_KINDS: dict[Type, type[Any]] = {
    Type.TEXT: str,
    Type.CODE: str,
    Type.INT: int,
    Type.DATE: date,
    Type.BOOL: bool,
    Type.YEARS: int,
    Type.YEAR_AMOUNTS: list,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def constants(program: Program, at: date) -> tuple[Any, ...]:
    """Values of the program's constants at that evaluation date. Raises OutOfDomain."""
    frame: Frame = ({}, {}, (at,), [])
    return tuple(closure(node)(frame) for node in program.constants)


def runner(program: Program) -> Callable[[Row, Row, tuple[Any, ...]], bool | None]:
    """The program as a function of fact row, asked row and constants. It raises OutOfDomain for a row that fails."""
    condition, steps = closure(program.condition), [closure(step) for step in program.steps]
    if not steps:
        return lambda row, asked, fixed: condition((row, asked, fixed, []))

    def run(row: Row, asked: Row, fixed: tuple[Any, ...]) -> bool | None:
        taken: list[Any] = []
        frame = (row, asked, fixed, taken)
        for step in steps:
            taken.append(step(frame))  # noqa: PERF401  a step reads the results of those before it
        found: bool | None = condition(frame)
        return found

    return run


def closure(node: Expr) -> Closure:
    return _BUILDERS[type(node)](node)


def _literal(node: expr.Fixed) -> Closure:
    value = node.value
    return lambda _: value


def _at(_node: expr.At) -> Closure:
    # Only met inside constants, whose frame holds the evaluation date and nothing else.
    return lambda frame: frame[2][0]


def _constant(node: Constant) -> Closure:
    index = node.index
    return lambda frame: frame[2][index]


def _taken(node: Taken) -> Closure:
    index = node.index
    return lambda frame: frame[3][index]


def _field(node: expr.Field) -> Closure:
    side, name, kind = int(node.asked), node.column.name, _KINDS[node.column.type]

    def field(frame: Frame) -> Any:
        found = frame[side][name]  # type: ignore[call-overload]
        # A store that gives 1 for true, or '5' for 5, would compare as unequal in silence.
        if found is not None and found.__class__ is not kind:
            raise TypeError
        return found

    return field


def _compare(node: expr.Compare) -> Closure:
    compare, left = _COMPARE[node.op], closure(node.left)
    if isinstance(node.right, expr.Fixed):
        value = node.right.value

        def with_value(frame: Frame) -> Any:
            found = left(frame)
            return None if found is None else compare(found, value)

        return with_value
    right = closure(node.right)

    def with_both(frame: Frame) -> Any:
        a, b = left(frame), right(frame)
        return None if a is None or b is None else compare(a, b)

    return with_both


def _junction(node: expr.Junction) -> Closure:
    args = tuple(map(closure, node.args))
    decisive = node.op == "OR"

    def junction(frame: Frame) -> Any:
        found: bool | None = not decisive
        for arg in args:
            value = arg(frame)
            if value is decisive:
                return decisive
            if value is None:
                found = None
        return found

    return junction


def _not(node: expr.Not) -> Closure:
    arg = closure(node.arg)

    def negation(frame: Frame) -> Any:
        found = arg(frame)
        return None if found is None else not found

    return negation


def _one_of(node: expr.OneOf) -> Closure:
    arg, values = closure(node.arg), node.values()

    def one_of(frame: Frame) -> Any:
        found = arg(frame)
        return None if found is None else found in values

    return one_of


def _between(node: expr.Between) -> Closure:
    # Spelt out as two comparisons: an unknown bound still lets the other one say no.
    low, high = expr.Compare(">=", node.arg, node.low), expr.Compare("<=", node.arg, node.high)
    return _junction(expr.Junction("AND", (low, high)))


def _is_null(node: expr.IsNull) -> Closure:
    side, names = int(node.arg.asked), [name for name, _ in node.arg.column.physical()]
    return lambda frame: any(frame[side][name] is None for name in names)  # type: ignore[call-overload]


def _case(node: expr.Case) -> Closure:
    whens = tuple((closure(when), closure(then)) for when, then in node.whens)
    otherwise = closure(node.otherwise) if node.otherwise else None

    def case(frame: Frame) -> Any:
        for when, then in whens:
            if when(frame):
                return then(frame)
        return otherwise(frame) if otherwise else None

    return case


def _coalesce(node: expr.Coalesce) -> Closure:
    args = tuple(map(closure, node.args))

    def coalesce(frame: Frame) -> Any:
        for arg in args:
            found = arg(frame)
            if found is not None:
                return found
        return None

    return coalesce


def _arithmetic(node: expr.Arithmetic) -> Closure:
    compute, left, right = _ARITHMETIC[node.op], closure(node.left), closure(node.right)

    def arithmetic(frame: Frame) -> Any:
        a, b = left(frame), right(frame)
        if a is None or b is None:
            return None
        found = compute(a, b)
        if not INT_LOW <= found <= INT_HIGH:
            raise OutOfDomain
        return found

    return arithmetic


def _call(node: expr.Call) -> Closure:
    function, args = node.function.python, tuple(map(closure, node.args))
    if len(args) == 2:
        first, second = args

        def call_of_two(frame: Frame) -> Any:
            a, b = first(frame), second(frame)
            return None if a is None or b is None else function(a, b)

        return call_of_two

    def call(frame: Frame) -> Any:
        values = [arg(frame) for arg in args]
        return None if None in values else function(*values)

    return call


def _guarded(node: Guarded) -> Closure:
    if node.arg.type is Type.MONTHS:
        return _months(node.column)
    low, high = node.column.column.low, node.column.column.high
    if node.arg.type is Type.YEARS:
        low, high = 0, INT_HIGH
    arg = closure(node.arg)
    if low is None and high is None:
        return arg

    def guarded(frame: Frame) -> Any:
        found = arg(frame)
        if found is None:
            return None
        if (low is not None and found < low) or (high is not None and found > high):
            raise OutOfDomain
        return found

    return guarded


def _months(node: expr.Field) -> Closure:
    """The column as a months value; outside its two halves it fails."""
    low_name, high_name, first_name = month_columns(node.column.name)

    def months(frame: Frame) -> meaning.Months | None:
        row = frame[0]
        low, high, first = row[low_name], row[high_name], row[first_name]
        if low is None or high is None or first is None:
            return None
        if low >> HALF or high >> HALF:
            raise OutOfDomain
        return low | high << HALF, month_index(first)

    return months


_BUILDERS: dict[type[Expr], Callable[[Any], Closure]] = {
    expr.Literal: _literal,
    expr.Given: _literal,
    expr.At: _at,
    Constant: _constant,
    Taken: _taken,
    expr.Field: _field,
    expr.Compare: _compare,
    expr.Junction: _junction,
    expr.Not: _not,
    expr.OneOf: _one_of,
    expr.Between: _between,
    expr.IsNull: _is_null,
    expr.Case: _case,
    expr.Coalesce: _coalesce,
    expr.Arithmetic: _arithmetic,
    expr.Call: _call,
    Guarded: _guarded,
}
