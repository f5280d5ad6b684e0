"""A batch: a rule as one SQL statement over keys, facts and doubts."""

from datetime import date

from tongban.rules import lower
from tongban.rules.facts import KEY, Column
from tongban.rules.program import Programs
from tongban.rules.rule import Rule
from tongban.rules.single import BAD, DOUBTFUL, MET, UNKNOWN, last_resorts


def statement(
    rule: Rule,
    programs: Programs,
    reads: tuple[Column, ...],
    silence: int,
    at: date,
    *,
    keys: str,
    facts: str,
    doubts: str | None,
) -> str:
    """The statement; `silence` is the byte for a person without a record."""
    columns = ["keys.p AS p", f"facts.{KEY} IS NULL AS absent"]
    columns.append("FALSE AS doubtful" if doubts is None else f"keys.{KEY} IN (SELECT {KEY} FROM {doubts}) AS doubtful")
    for column in reads:
        columns += [f"{_plain('facts', name, kind)} AS fact_{name}" for name, kind in column.physical()]
    for column in rule.asks:
        columns += [f"{_plain('keys', name, kind)} AS asked_{name}" for name, kind in column.physical()]
    joined = f"{keys} AS keys LEFT JOIN {facts} AS facts ON keys.{KEY} = facts.{KEY}"
    return _judged(rule, programs, silence, at, f"(SELECT {', '.join(columns)} FROM {joined})")


def aligned(rule: Rule, programs: Programs, reads: tuple[Column, ...], silence: int, at: date, *, rows: str) -> str:
    """The same for a relation that has all of it in one row a key.

    rows: `p`, `absent`, `doubtful`, and the physical columns of facts and asks as `fact_…` and `asked_…`.
    """
    columns = ["p", "absent", "doubtful"]
    for side, held in (("fact", reads), ("asked", rule.asks)):
        for column in held:
            columns += [
                f"{_plain('rows', f'{side}_{name}', kind)} AS {side}_{name}" for name, kind in column.physical()
            ]
    return _judged(rule, programs, silence, at, f"(SELECT {', '.join(columns)} FROM {rows} AS rows)")


def _judged(rule: Rule, programs: Programs, silence: int, at: date, source: str) -> str:
    stages = lower.Stages()
    byte = value(rule, programs, silence, at, stages)
    return f"SELECT CAST(p AS INTEGER) AS p, CAST({byte} AS UTINYINT) AS v FROM {stages.around(source)}"


def _plain(side: str, name: str, kind: str) -> str:
    # A dictionary-coded column would turn the rule's texts into its own codes, and fail on foreign ones.
    return f'CAST({side}."{name}" AS VARCHAR)' if kind == "VARCHAR" else f'{side}."{name}"'


def value(
    rule: Rule,
    programs: Programs,
    silence: int,
    at: date,
    stages: lower.Stages,
    dialect: type[lower.Writer] = lower.Writer,
) -> str:
    """The byte as an SQL expression over `absent`, `doubtful`, and columns named fact_… and asked_…."""
    met = lower.condition(programs.met, at, stages, dialect)
    default, unsaid = last_resorts(rule)
    whens = _when_clauses([lower.condition(program, at, stages, dialect) for program in programs.whens])
    unheld = "absent"
    if programs.matched_by:
        matched = lower.condition(programs.matched_by, at, stages, dialect)
        unheld = f"absent OR {matched.failed} OR NOT COALESCE({matched.sql}, FALSE)"
    return (
        f"CASE WHEN doubtful THEN {DOUBTFUL} WHEN {unheld} THEN {silence} WHEN {met.failed} THEN {BAD}"
        f" WHEN {met.sql} THEN {MET} WHEN NOT {met.sql} THEN {_chosen(whens, 0, default)}"
        f" ELSE {_chosen(whens, UNKNOWN, unsaid)} END"
    )


def _when_clauses(conditions: list[lower.Condition]) -> list[tuple[str, int]]:
    return [
        (found.sql if found.failed == "FALSE" else f"NOT ({found.failed}) AND {found.sql}", number)
        for number, found in enumerate(conditions, 1)
    ]


def _chosen(whens: list[tuple[str, int]], verdict: int, otherwise: int) -> str:
    if not whens:
        return str(verdict | otherwise)
    clauses = " ".join(f"WHEN {when} THEN {verdict | number}" for when, number in whens)
    return f"CASE {clauses} ELSE {verdict | otherwise} END"
