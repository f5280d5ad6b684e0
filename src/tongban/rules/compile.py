"""Compiling a rule: one text, several engines, the same byte.

Order for every person, in all engines:

    1. the key is in the doubt set            unknown / doubtful_record
    2. no fact row, or `matched_by` not TRUE  what `no_record` says
    3. a step of `met` fails                  unknown / bad_value
    4. `met` is TRUE                          met
    5. `met` is FALSE                         not met / first reason whose `when` is TRUE, else the default one
    6. `met` is NULL                          unknown / first reason whose `when` is TRUE, else `unknown_reason`

A `when` whose steps fail counts as not TRUE.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from tongban.kit import canonical
from tongban.rules import batch, closures, expr, lower
from tongban.rules.approved import canonical_text
from tongban.rules.facts import Column, FactTable, read_table
from tongban.rules.language import LanguageError, Scope
from tongban.rules.meaning import OutOfDomain
from tongban.rules.places import Places, Step
from tongban.rules.program import Program, Programs, fields, prepare
from tongban.rules.reader import read
from tongban.rules.rule import Parameter, Rule, parameter_of, rule_from_json
from tongban.rules.single import Single, single_of
from tongban.rules.vocabulary import VOCABULARY_VERSION

#: Raised whenever a byte might come out differently from the same rule and facts. Answers name it.
COMPILER_VERSION = "1"


@dataclass(frozen=True, slots=True)
class _Expressions:
    """The rule's conditions, read and typed."""

    matched_by: expr.Expr | None
    met: expr.Expr
    whens: tuple[expr.Expr, ...]


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule bound to its parameters and its fact table."""

    rule: Rule
    facts: FactTable
    digest: str  #: what the owner approves
    text: Mapping[str, Any]  #: the rule in canonical form, for directories and archives
    parameters: Mapping[str, Any]  #: values in canonical form
    facts_digest: str
    complete: date | None  #: since when the owner states that the register is complete
    met: expr.Expr = dataclasses.field(compare=False, repr=False)
    single: Single = dataclasses.field(compare=False)
    programs: Programs = dataclasses.field(compare=False, repr=False)

    def silence(self, at: date) -> int:
        """The byte for a person without a record."""
        return self.rule.silence(complete=self.complete is not None and self.complete <= at)

    def reads(self) -> tuple[Column, ...]:
        """The columns of the fact table that decide about the byte, in the table's order."""
        used = {found.column for program in self.programs.all() for found in fields(program) if not found.asked}
        return tuple(column for column in self.facts.columns if column in used)

    def duckdb(self, at: date, *, keys: str = "keys", facts: str = "facts", doubts: str | None = None) -> str:
        """One SQL statement that answers a batch.

        keys: relation with column `p`, the position; `k`, the key; and the asked columns.
        facts: relation with column `k`, one row per key, and the fact table's physical columns.
        doubts: relation with column `k`; None if there is none.
        Yields `p` INTEGER and `v` UTINYINT, in no particular order: the caller puts v at position p.
        """
        return batch.statement(
            self.rule, self.programs, self.reads(), self.silence(at), at, keys=keys, facts=facts, doubts=doubts
        )

    def duckdb_aligned(self, at: date, *, rows: str) -> str:
        """The same over one relation that has key and facts side by side: see `batch.aligned`."""
        return batch.aligned(self.rule, self.programs, self.reads(), self.silence(at), at, rows=rows)

    def reason_text(self, byte: int) -> tuple[str, str]:
        """Chinese and English text of the byte's reason; empty if it has none."""
        found = self.rule.reason(byte & 63)
        return (found.say, found.say_en) if found else ("", "")


@dataclass(frozen=True, slots=True)
class CompiledCondition:
    """A rule's `applies`, over the columns of an application. None: it applies to everyone."""

    program: Program | None
    columns: tuple[Column, ...]

    def single(self, application: Mapping[str, Any], at: date) -> bool | None:
        """Whether the rule applies; None if the application does not say. A failed row does not say either."""
        if self.program is None:
            return True
        try:
            return closures.runner(self.program)(application, {}, closures.constants(self.program, at))
        except OutOfDomain:
            return None

    def duckdb(self, at: date, *, applications: str = "applications") -> str:
        """SQL that yields `p` and `v` (1 applies, 0 does not, 2 unknown) for a relation with `p` and the columns.

        Of a rule that applies to everyone nothing is to be asked: it has no program.
        """
        assert self.program is not None
        stages = lower.Stages()
        found = lower.condition(self.program, at, stages)
        columns = "".join(f", {column.name} AS fact_{column.name}" for column in self.columns)
        source = stages.around(f"(SELECT p{columns} FROM {applications})")
        value = f"CASE WHEN {found.failed} THEN 2 WHEN {found.sql} THEN 1 WHEN NOT {found.sql} THEN 0 ELSE 2 END"
        return f"SELECT CAST(p AS INTEGER) AS p, CAST({value} AS UTINYINT) AS v FROM {source}"


def compile(
    rule: Rule,
    facts: FactTable,
    parameters: Mapping[str, Any] | None = None,
    *,
    facts_digest: str = "",
    complete: date | None = None,
) -> CompiledRule:
    """Compile `rule` over `facts`.

    parameters: other values for the rule's parameters, of the same types.
    facts_digest: digest of how the facts are made from the register; part of what is approved.
    complete: day from which the owner states that the register is complete; until then, and without
        it, a person without a record is unknown.
    Raises RuleInvalid.
    """
    bound = _bound(rule, parameters or {})
    read_all = _read_all(rule, facts, bound)
    programs = _programs(read_all)
    text = canonical_text(rule, matched_by=read_all.matched_by, met=read_all.met, whens=read_all.whens)
    values = {name: parameter.to_json() for name, parameter in sorted(bound.items())}
    meaning = {
        "rule": text,
        "parameters": values,
        "facts": facts.to_json(),
        "facts_digest": facts_digest,
        "vocabulary": VOCABULARY_VERSION,
    }
    return CompiledRule(
        rule=rule,
        facts=facts,
        digest=canonical.digest(meaning),
        text=text,
        parameters=values,
        facts_digest=facts_digest,
        complete=complete,
        met=read_all.met,
        single=single_of(rule, programs, complete),
        programs=programs,
    )


def from_directory(
    text: Mapping[str, Any],
    parameters: Mapping[str, Any],
    facts: Mapping[str, Any],
    *,
    facts_digest: str = "",
    complete: date | None = None,
) -> CompiledRule:
    """Compile what a directory entry holds. Raises RuleInvalid.

    Nothing is trusted yet: compare the digest with the one that the owner approved.
    """
    rule = rule_from_json(text)
    try:
        table = read_table(facts)
    except ValueError as error:
        raise Places("rule text").invalid(str(error), "Publish the rule again.", "facts") from None
    return compile(rule, table, parameters, facts_digest=facts_digest, complete=complete)


def compile_applies(
    rule: Rule, columns: tuple[Column, ...], parameters: Mapping[str, Any] | None = None
) -> CompiledCondition:
    """`applies` over the application's columns. Raises RuleInvalid."""
    found = _read_applies(rule, columns, _bound(rule, parameters or {}))
    used = {part.column for part in expr.fields(found)} if found else set()
    return CompiledCondition(prepare(found) if found else None, tuple(c for c in columns if c in used))


def _bound(rule: Rule, given: Mapping[str, Any]) -> dict[str, Parameter]:
    """The rule's parameters, with the `given` values in their place."""
    bound = dict(rule.parameters)
    for name, value in given.items():
        try:
            new = parameter_of(name, value)
        except ValueError as error:
            raise rule.places.invalid(f"parameter {name}: {error}", "Correct its value.", "parameters") from None
        old = bound.get(name)
        if old is None or old.type is not new.type or isinstance(old.value, tuple) != isinstance(new.value, tuple):
            what = f"parameter {name} is not one of the rule's, or of another type"
            raise rule.places.invalid(what, f"The parameters are: {', '.join(sorted(bound)) or 'none'}.", "parameters")
        bound[name] = new
    return bound


def _read_all(rule: Rule, facts: FactTable, parameters: Mapping[str, Parameter]) -> _Expressions:
    meant = _missing_means(rule, facts)
    asked = {column.name: column for column in rule.asks}
    scope = Scope(facts.by_name(), asked, parameters, meant)
    choosing = Scope(scope.columns, scope.asked, parameters, meant, choosing=True)
    whens = tuple(
        _read(rule, str(reason.when), choosing, "reasons", number, "when") for number, reason in enumerate(rule.reasons)
    )
    matched = None if rule.matched_by is None else _read(rule, rule.matched_by, scope, "matched_by")
    met = _read(rule, rule.met, scope, "met")
    if rule.default_reason is None and not never_no(met):
        what = "`default_reason` is missing, and `met` can be FALSE"
        remedy = "Write one, or write `met` as CASE WHEN … THEN TRUE END, which is met or unknown and never no."
        raise rule.places.invalid(what, remedy, "met")
    return _Expressions(matched, met, whens)


def never_no(met: expr.Expr) -> bool:
    """Whether a condition is written so that it can only be TRUE or NULL."""
    if not isinstance(met, expr.Case) or met.otherwise is not None:
        return False
    return all(isinstance(then, expr.Literal) and then.value is True for _, then in met.whens)


def _missing_means(rule: Rule, facts: FactTable) -> frozenset[str]:
    """Columns whose silence the rule explains. Names must exist: a misspelt one would explain nothing."""
    known = set(facts.by_name())
    for number, silence in enumerate(rule.missing_means):
        if silence.column not in known and not silence.column.startswith("asked."):
            what = f"missing_means names {silence.column}, which is no column"
            raise rule.places.invalid(what, f"The columns are: {', '.join(sorted(known))}.", "missing_means", number)
    return frozenset(silence.column for silence in rule.missing_means)


def _read(rule: Rule, text: str, scope: Scope, *steps: Step) -> expr.Expr:
    try:
        return read(text, scope)
    except LanguageError as error:
        near = text[error.position : error.position + 24].split("\n")[0]
        what = f"`{steps[-1]}`: {error.what} (character {error.position + 1}, at {near!r})"
        raise rule.places.invalid(what, error.remedy, *steps) from None


def _read_applies(rule: Rule, columns: tuple[Column, ...], parameters: Mapping[str, Parameter]) -> expr.Expr | None:
    if rule.applies is None:
        return None
    meant = frozenset(silence.column.removeprefix("asked.") for silence in rule.missing_means)
    scope = Scope({column.name: column for column in columns}, {}, parameters, meant)
    return _read(rule, rule.applies, scope, "applies")


def _programs(read_all: _Expressions) -> Programs:
    matched = read_all.matched_by
    whens = tuple(map(prepare, read_all.whens))
    return Programs(None if matched is None else prepare(matched), prepare(read_all.met), whens)
