"""Do the situations stand on both sides of each boundary?

A rule is changed a little, in one place: `>=` becomes `>`, 60 becomes 59 or 61. If no situation comes
out otherwise, nobody has said what happens there, and the mistake would pass as easily as the rule.
"""

from collections.abc import Iterator
from dataclasses import replace

from tongban.rules import expr, situations
from tongban.rules.compile import CompiledRule, compile
from tongban.rules.expr import Expr
from tongban.rules.places import Problem, RuleInvalid
from tongban.rules.rule import Parameter

_NEIGHBOUR = {">=": ">", ">": ">=", "<=": "<", "<": "<="}


def unguarded(compiled: CompiledRule) -> list[Problem]:
    """Small changes of `met` and of its numbers that no situation notices, in plain words."""
    told = situations.settled_alone(compiled)
    return [
        _problem(compiled, what)
        for what, changed in _changes(compiled)
        if all(changed.single(one.fact, one.asked, one.at, one.doubtful) == byte for one, byte in told)
    ]


def _problem(compiled: CompiledRule, what: str) -> Problem:
    remedy = "Write a situation exactly on the boundary and one just beside it."
    return compiled.rule.places.problem(f"no situation notices if {what}", remedy, "situations")


def _changes(compiled: CompiledRule) -> Iterator[tuple[str, CompiledRule]]:
    """What is changed, in words, and the rule compiled with it."""
    for before, after in _neighbours(compiled.met):
        met = expr.text(_replaced(compiled.met, before, after))
        if (changed := _compiled(compiled, met=met)) is not None:
            yield f"{expr.text(before)} becomes {expr.text(after)}", changed
    for name, parameter in compiled.rule.parameters.items():
        for value in _beside(parameter):
            parameters = {**compiled.rule.parameters, name: replace(parameter, value=value)}
            if (changed := _compiled(compiled, parameters=parameters)) is not None:
                yield f"{name} becomes {value}", changed


def _compiled(compiled: CompiledRule, **change: object) -> CompiledRule | None:
    try:
        rule = replace(compiled.rule, **change)  # type: ignore[arg-type]
        return compile(rule, compiled.facts, facts_digest=compiled.facts_digest, complete=compiled.complete)
    except RuleInvalid:
        return None


def _beside(parameter: Parameter) -> list[int]:
    value = parameter.value
    return [value - 1, value + 1] if type(value) is int else []


def _neighbours(met: Expr) -> Iterator[tuple[Expr, Expr]]:
    """Every comparison with its neighbour, every written number with the numbers beside it."""
    seen: set[Expr] = set()
    for node in expr.walk(met):
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, expr.Compare) and node.op in _NEIGHBOUR:
            yield node, replace(node, op=_NEIGHBOUR[node.op])
        if isinstance(node, expr.Literal) and type(node.value) is int:
            yield node, replace(node, value=node.value - 1)
            yield node, replace(node, value=node.value + 1)


def _replaced(node: Expr, before: Expr, after: Expr) -> Expr:
    if node == before:
        return after
    return node.rebuilt(tuple(_replaced(child, before, after) for child in node.children()))
