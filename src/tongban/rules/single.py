"""One person: a rule as a function from fact row to byte, in microseconds."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Protocol

from tongban.kit.errors import Corrupt
from tongban.rules import closures
from tongban.rules.meaning import OutOfDomain
from tongban.rules.program import Program, Programs
from tongban.rules.rule import Rule
from tongban.rules.verdict import COMMON, Verdict, pack, unknown

DOUBTFUL, BAD = unknown("doubtful_record"), unknown("bad_value")
MET, UNKNOWN = pack(Verdict.MET), pack(Verdict.UNKNOWN)
FAILED = object()  #: what a program gives for a row in which a step fails


class Single(Protocol):
    """(fact row with its physical columns or None, asked row, evaluation date, key in the doubt set) -> byte."""

    def __call__(
        self, fact: Mapping[str, Any] | None, asked: Mapping[str, Any], at: date, doubtful: bool = False
    ) -> int: ...


Fixed = tuple[Any, ...] | None  #: a program's constants; None where computing them failed


class FactsMismatch(Corrupt):
    """A fact row or table is not what the rule was compiled for."""

    code = "rules.facts_mismatch"
    message = "The facts do not have the form that rule {rule} was compiled for: {what}."
    remedy = "Make the facts anew from the register by the definition that was approved."


def single_of(rule: Rule, programs: Programs, complete: date | None) -> Single:
    whens = [_guarded(program) for program in programs.whens]
    numbered = list(zip(whens, range(1, len(whens) + 1), strict=True))
    met, matched = _guarded(programs.met), _guarded(programs.matched_by) if programs.matched_by else None
    default, unsaid = last_resorts(rule)
    fixed_at = _remembered(programs)
    silence = {known: rule.silence(complete=known) for known in (True, False)}

    def reason(fact: Mapping[str, Any], asked: Mapping[str, Any], fixed: tuple[Fixed, ...], otherwise: int) -> int:
        for when, number in numbered:
            if when(fact, asked, fixed[number + 1]) is True:
                return number
        return otherwise

    def judge(fact: Mapping[str, Any], asked: Mapping[str, Any], at: date) -> int:
        fixed = fixed_at(at)
        if matched is not None and matched(fact, asked, fixed[0]) is not True:
            return silence[complete is not None and complete <= at]
        found = met(fact, asked, fixed[1])
        if found is True:
            return MET
        if found is False:
            return reason(fact, asked, fixed, default)  # the verdict's bits are 0
        return BAD if found is FAILED else UNKNOWN | reason(fact, asked, fixed, unsaid)

    def single(fact: Mapping[str, Any] | None, asked: Mapping[str, Any], at: date, doubtful: bool = False) -> int:
        if doubtful:
            return DOUBTFUL
        if fact is None:
            return silence[complete is not None and complete <= at]
        try:
            return judge(fact, asked, at)
        except (KeyError, TypeError, AttributeError) as error:
            raise FactsMismatch(rule=rule.id, what=type(error).__name__) from None

    return single


def _guarded(program: Program) -> Callable[[Mapping[str, Any], Mapping[str, Any], Fixed], object]:
    run = closures.runner(program)

    def guarded(fact: Mapping[str, Any], asked: Mapping[str, Any], fixed: Fixed) -> object:
        if fixed is None:
            return FAILED
        try:
            return run(fact, asked, fixed)
        except OutOfDomain:
            return FAILED

    return guarded


def last_resorts(rule: Rule) -> tuple[int, int]:
    """Numbers of the reasons for not met and for unknown when no `when` is TRUE; 0 in a rule that never says no."""
    unsaid = rule.number(rule.unknown_reason.code) if rule.unknown_reason else COMMON["missing_value"].number
    return rule.number(rule.default_reason.code) if rule.default_reason else 0, unsaid


def _remembered(programs: Programs) -> Callable[[date], tuple[Fixed, ...]]:
    """Constants of `matched_by`, `met` and each `when`; those of the last date are kept."""
    last: list[tuple[date, tuple[Fixed, ...]] | None] = [None]

    def fixed_at(at: date) -> tuple[Fixed, ...]:
        kept = last[0]
        if kept is None or kept[0] != at:
            every = (programs.matched_by, programs.met, *programs.whens)
            kept = last[0] = (at, tuple(_fixed(program, at) for program in every))
        return kept[1]

    return fixed_at


def _fixed(program: Program | None, at: date) -> Fixed:
    try:
        return closures.constants(program, at) if program else ()
    except OutOfDomain:
        return None
