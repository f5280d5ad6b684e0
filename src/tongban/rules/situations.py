"""Situations: what an official expects of a rule, written beside it, run through every engine.

    situations:
      - {name: 60 unbroken months are enough, at: 2014-06-01, paid: 2009-06..2014-05, then: met}
      - {name: 59 are not, at: 2014-06-01, paid: 2009-07..2014-05, then: not_met, reason: insurance_interrupted}
      - {name: no answer is not a no, at: 2014-06-01, paid: unavailable, then: unknown, reason: no_answer}

Keys that are no column: `no_record`, `doubtful`, `unavailable` (true), `snapshot` (a date), `asked` and
`application` (mappings); columns called like one of these stand under `facts`. `usual` at the rule's head
holds the facts that a situation does not mention.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from tongban.rules import engine, spelling
from tongban.rules.compile import CompiledCondition, CompiledRule
from tongban.rules.facts import Column, from_plain
from tongban.rules.places import Problem
from tongban.rules.rule import Rule, is_stale
from tongban.rules.verdict import WORDS, Verdict, pack, unknown, unpack

_OWN = frozenset(
    {
        "name",
        "at",
        "then",
        "reason",
        "facts",
        "asked",
        "application",
        "no_record",
        "doubtful",
        "unavailable",
        "snapshot",
    }
)
_UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Situation:
    """One expectation. `fact` is a physical row, None without a record; `settled` is a byte that no engine decides."""

    number: int
    name: str
    at: date
    fact: Mapping[str, Any] | None
    asked: Mapping[str, Any]
    doubtful: bool
    settled: int | None
    expected: int


def check(
    compiled: CompiledRule, applies: CompiledCondition | None = None, columns: tuple[Column, ...] = ()
) -> list[Problem]:
    """Run all situations through all engines; what does not come out as expected, in plain words.

    applies, columns: the rule's `applies` and the application's columns, for situations that speak of it.
    """
    problems: list[Problem] = []
    situations = list(_read_all(compiled, applies, columns, problems))
    found = {situation.number: situation.settled for situation in situations if situation.settled is not None}
    open_ones = [situation for situation in situations if situation.settled is None]
    batch = _in_batch(compiled, open_ones)
    for situation in open_ones:
        single = compiled.single(situation.fact, situation.asked, situation.at, situation.doubtful)
        found[situation.number] = single
        if batch[situation.number] != single:
            problems.append(_disagreement(compiled.rule, situation, single, batch[situation.number]))
    wrong = [one for one in situations if found[one.number] != one.expected]
    return problems + [_failure(compiled.rule, one, found[one.number]) for one in wrong]


def settled_alone(compiled: CompiledRule) -> list[tuple[Situation, int]]:
    """The situations that the rule itself decides, each with its byte. Those that cannot be read are left out."""
    told = [one for one in _read_all(compiled, None, (), []) if one.settled is None]
    return [(one, compiled.single(one.fact, one.asked, one.at, one.doubtful)) for one in told]


def rows(compiled: CompiledRule) -> list[tuple[str, str, str]]:
    """Name, verdict and reason of every situation, for the text that approvers read."""
    return [
        (str(item.get("name")), str(item.get("then")), str(item.get("reason") or ""))
        for item in compiled.rule.situations
    ]


def words_of(rule: Rule, byte: int) -> str:
    """A byte in words: "not_met (licence_expired)"."""
    verdict, number = unpack(byte)
    reason = rule.reason(number)
    return f"{verdict.word} ({reason.code})" if reason else verdict.word


# -- reading


def _read_all(
    compiled: CompiledRule,
    applies: CompiledCondition | None,
    columns: tuple[Column, ...],
    problems: list[Problem],
) -> Iterator[Situation]:
    rule = compiled.rule
    for number, item in enumerate(rule.situations):
        try:
            yield _read(compiled, applies, columns, number, item)
        except ValueError as error:
            what = f"situation {str(item.get('name', number + 1))!r}: {error}"
            problems.append(rule.places.problem(what, "Correct the situation.", "situations", number))


def _read(
    compiled: CompiledRule,
    applies: CompiledCondition | None,
    columns: tuple[Column, ...],
    number: int,
    item: Mapping[str, Any],
) -> Situation:
    rule, at = compiled.rule, item.get("at")
    if not isinstance(item.get("name"), str) or at.__class__ is not date:
        raise ValueError("it needs a name, and a day under `at`")
    assert isinstance(at, date)
    written = _facts(item)
    silent = _UNAVAILABLE in written.values() or _flag(item, "unavailable")
    settled = unknown("no_answer") if silent else _settled(rule, applies, columns, item, at)
    held = settled is None and not _flag(item, "no_record")
    return Situation(
        number=number,
        name=str(item["name"]),
        at=at,
        fact=_fact(compiled, written, at) if held else None,
        asked=_asked(rule, item) if settled is None else {},
        doubtful=_flag(item, "doubtful"),
        settled=settled,
        expected=_expected(rule, item),
    )


def _flag(item: Mapping[str, Any], key: str) -> bool:
    found = item.get(key, False)
    if not isinstance(found, bool):
        raise ValueError(f"{key} is true or false")
    return found


def _mapping(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = item.get(key) or {}
    if not isinstance(found, dict):
        raise ValueError(f"{key} is a mapping of columns to values")
    return found


def _facts(item: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in item.items() if key not in _OWN} | dict(_mapping(item, "facts"))


def _fact(compiled: CompiledRule, written: Mapping[str, Any], at: date) -> dict[str, Any]:
    """The physical row. Columns that do not decide about the byte may be left out."""
    known = compiled.facts.by_name()
    usual = _facts(compiled.rule.usual)
    if strange := sorted(set(written) - set(known)):
        raise ValueError(f"the fact table has no column {strange[0]}; it has {', '.join(sorted(known))}")
    row: dict[str, Any] = {}
    for column in compiled.reads():
        if column.name not in written and column.name not in usual:
            raise ValueError(f"it does not say what {column.name} is; write null if the register does not know")
        value = written.get(column.name, usual.get(column.name))
        try:
            row |= spelling.physical(column, value, at)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{column.name}: {error}") from None
    return row


def _asked(rule: Rule, item: Mapping[str, Any]) -> dict[str, Any]:
    given = {**_mapping(rule.usual, "asked"), **_mapping(item, "asked")}
    if strange := sorted(set(given) - {column.name for column in rule.asks}):
        raise ValueError(f"the rule does not ask for {strange[0]}")
    missing = [column.name for column in rule.asks if column.name not in given]
    if missing:
        raise ValueError(f"under `asked` it does not say what {missing[0]} is")
    return {column.name: from_plain(given[column.name], column.type) for column in rule.asks}


def _settled(
    rule: Rule,
    applies: CompiledCondition | None,
    columns: tuple[Column, ...],
    item: Mapping[str, Any],
    at: date,
) -> int | None:
    """The byte that is clear before the register is asked, None if it is not."""
    snapshot = item.get("snapshot", at)
    if snapshot.__class__ is not date:
        raise ValueError("snapshot is a day")
    given = {**_mapping(rule.usual, "application"), **_mapping(item, "application")}
    if given and applies is not None:
        types = {column.name: column.type for column in columns}
        if strange := sorted(set(given) - set(types)):
            raise ValueError(f"the application has no column {strange[0]}")
        row = {name: from_plain(given.get(name), kind) for name, kind in types.items()}
        concerned = applies.single(row, at)
        if concerned is not True:
            return pack(Verdict.NOT_APPLICABLE) if concerned is False else unknown("missing_value")
    return unknown("stale_snapshot") if is_stale(rule, snapshot, at, at) else None


def _expected(rule: Rule, item: Mapping[str, Any]) -> int:
    then, reason = item.get("then"), item.get("reason")
    verdict = WORDS.get(str(then))
    if verdict is None:
        raise ValueError(f"`then` is one of {', '.join(WORDS)}")
    if reason is None:
        if verdict in (Verdict.NOT_MET, Verdict.UNKNOWN):
            raise ValueError(f"`then: {then}` needs the code of a reason")
        return pack(verdict)
    try:
        return pack(verdict, rule.number(str(reason)))
    except KeyError:
        raise ValueError(f"there is no reason {reason!r}") from None


# -- running


def _in_batch(compiled: CompiledRule, situations: list[Situation]) -> dict[int, int]:
    """The batch engine's byte for each situation: one batch a date."""
    found: dict[int, int] = {}
    with engine.connected("", memory_mb=256) as connection:
        for at in sorted({situation.at for situation in situations}):
            same = [situation for situation in situations if situation.at == at]
            keys = [{"k": one.number} | dict(one.asked) for one in same]
            facts = [{"k": one.number} | dict(one.fact) for one in same if one.fact is not None]
            answer = engine.evaluate(
                compiled,
                pa.Table.from_pylist(keys, schema=engine.keys_schema(compiled)),
                pa.Table.from_pylist(facts, schema=engine.facts_schema(compiled)),
                pa.array([one.number for one in same if one.doubtful], pa.int64()),
                at,
                connection=connection,
            )
            found |= {one.number: int(byte) for one, byte in zip(same, answer, strict=True)}
    return found


def _failure(rule: Rule, situation: Situation, byte: int) -> Problem:
    expected = words_of(rule, situation.expected)
    what = f"situation {situation.name!r} expects {expected}, and the rule says {words_of(rule, byte)}"
    return rule.places.problem(what, "Correct the rule, or what is expected of it.", "situations", situation.number)


def _disagreement(rule: Rule, situation: Situation, single: int, batch: int) -> Problem:
    one, many = words_of(rule, single), words_of(rule, batch)
    what = f"situation {situation.name!r}: one person gets {one}, a batch {many}"
    return rule.places.problem(what, "Report this: the engines must never differ.", "situations", situation.number)
