"""What can be wrong with a solution although each of its files can be read.

Every check says what is wrong and what to do, and goes on: an author mends a folder in one round, not
one mistake at a time.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Protocol, TypeVar

from tongban.rules import boundaries, situations
from tongban.rules.compile import CompiledRule, compile, compile_applies
from tongban.rules.facts import Column, Type
from tongban.rules.places import Problem, RuleInvalid
from tongban.rules.rule import Rule
from tongban.rules.verdict import Verdict
from tongban.solution.folder import DecisionText, Folder, SolutionResource, kinds_of, problem_of

_DAY = timedelta(days=1)
_OF_THE_PAST = frozenset({Type.MONTHS, Type.YEARS, Type.YEAR_AMOUNTS})


class Dated(Protocol):
    @property
    def valid_from(self) -> date: ...

    @property
    def valid_until(self) -> date | None: ...


Version = TypeVar("Version", bound=Dated)


def problems(folder: Folder) -> list[Problem]:
    """All problems of a folder that was read."""
    found = [*_heads(folder), *_decisions(folder), *_unused(folder)]
    for versions in folder.rules.values():
        found += _dates(versions)
        for rule in versions:
            found += _rule(folder, rule)
    return found


def in_force(versions: Sequence[Version], day: date) -> Version | None:
    """The version in force: the last to begin, unless it has ended. A version ends where the next begins."""
    begun = [version for version in versions if version.valid_from <= day]
    newest = max(begun, key=lambda version: version.valid_from, default=None)
    return newest if newest and (newest.valid_until is None or day <= newest.valid_until) else None


# -- the matter itself


def _heads(folder: Folder) -> Iterator[Problem]:
    kinds = [kind.code for kind in folder.kinds]
    if not kinds or len(set(kinds)) != len(kinds):
        yield folder.places.problem("`kinds` is empty or names one twice", "Name each kind of applicant once.", "kinds")
    names = [column.name for column in folder.columns]
    if len(set(names)) != len(names):
        yield folder.places.problem("a column of the application stands twice", "Name each once.", "application")
    own = next((column for column in folder.columns if column.name == "kind"), None)
    if set(kinds_of(own)) != set(kinds):
        what = "the application needs a column `kind` of type code whose codes are the kinds"
        yield folder.places.problem(what, f"Write codes: [{', '.join(kinds)}].", "application")
    if not folder.subjects:
        yield folder.places.problem("`subjects` is empty", "Say whom an application is about.", "subjects")


# -- rules


def _rule(folder: Folder, rule: Rule) -> Iterator[Problem]:
    resource = folder.resources.get(rule.resource)
    if resource is None:
        known = ", ".join(sorted(folder.resources)) or "none"
        remedy = f"The resources are: {known}. Add a file under resources/."
        yield rule.places.problem(f"there is no resource {rule.resource}", remedy, "resource")
        return
    yield from _subject(folder, rule, resource)
    if rule.no_record.verdict is not Verdict.UNKNOWN and resource.complete is None:
        what = f"`no_record` gives a verdict, but {resource.id} has no statement of completeness"
        yield rule.places.problem(what, "Ask its owner for one, or write `no_record: unknown`.", "no_record")
    try:
        compiled = compile(rule, resource.facts, complete=resource.complete)
        applies = compile_applies(rule, folder.columns)
    except RuleInvalid as error:
        yield problem_of(error)
        return
    yield from _history(compiled)
    yield from _situations(compiled)
    yield from situations.check(compiled, applies, folder.columns)
    yield from boundaries.unguarded(compiled)


def _subject(folder: Folder, rule: Rule, resource: SolutionResource) -> Iterator[Problem]:
    subject = folder.subjects.get(rule.subject)
    if subject is None:
        what = f"there is no subject {rule.subject}"
        yield rule.places.problem(what, f"The subjects are: {', '.join(sorted(folder.subjects))}.", "subject")
        return
    if not set(subject.domains) & set(resource.facts.domains):
        what = f"{resource.id} is asked by {', '.join(resource.facts.domains)}, and {subject.name} has no such key"
        yield rule.places.problem(what, f"{subject.name} has {', '.join(subject.domains)}.", "resource")
    columns = {column.name: column for column in folder.columns}
    for number, asked in enumerate(rule.asks):
        yield from _asked(rule, asked, columns.get(subject.prefix + asked.name), subject.prefix + asked.name, number)


def _asked(rule: Rule, asked: Column, column: Column | None, name: str, number: int) -> Iterator[Problem]:
    if column is None:
        what = f"the rule asks for {asked.name}, but the application has no column {name}"
        yield rule.places.problem(what, "Add the column to solution.yaml.", "asks", number)
    elif column.type is not asked.type:
        what = f"the rule asks for {asked.name} as {asked.type.value}; the application has it as {column.type.value}"
        yield rule.places.problem(what, "Write the same type in both.", "asks", number)


def _history(compiled: CompiledRule) -> Iterator[Problem]:
    """A count of days alone does not say whether the last month or year was over when the register was read."""
    rule = compiled.rule
    past = next((column.name for column in compiled.reads() if column.type in _OF_THE_PAST), None)
    if past and rule.state_on == "history" and rule.history_through is None:
        what = f"the rule reads the history {past}, and nothing says through when the register must have seen it"
        remedy = "Add `history_through: last_month` or `last_year`; or `state_on: at` if the present month counts."
        yield rule.places.problem(what, remedy, "state_on")


def _situations(compiled: CompiledRule) -> Iterator[Problem]:
    """Both sides of the boundary, the silence, and every reason must have been thought of."""
    rule = compiled.rule
    told = {str(item.get("then")) for item in rule.situations}
    for verdict in (Verdict.MET, Verdict.NOT_MET, Verdict.UNKNOWN):
        # Without a default reason it never says no: `compile` has seen to that.
        if verdict.word not in told and (rule.default_reason or verdict is not Verdict.NOT_MET):
            what = f"no situation ends with {verdict.word}"
            remedy = "Write situations on both sides of each boundary, and one in which the register does not know."
            yield rule.places.problem(what, remedy, "situations")
    reasons = {str(item.get("reason")) for item in rule.situations}
    for reason in rule.own_reasons():
        if reason.code not in reasons:
            what = f"no situation ends with the reason {reason.code}"
            yield rule.places.problem(what, "Write one, or remove the reason.", "situations")


def _dates(versions: Sequence[Rule]) -> Iterator[Problem]:
    """Gaps and overlaps between the versions of one rule."""
    for before, after in pairwise(versions):
        end = before.valid_until
        if end is not None and end >= after.valid_from:
            what = f"{before.id} is in force until {end}, and {after.id} begins before that"
            yield before.places.problem(what, "End the earlier version the day before.", "valid_until")
        if end is not None and end + _DAY < after.valid_from:
            what = f"from {end + _DAY} to {after.valid_from - _DAY} no version of {before.name} is in force"
            yield before.places.problem(what, "Close the gap, or give the rule another name.", "valid_until")


# -- decisions


def _decisions(folder: Folder) -> Iterator[Problem]:
    kinds = {kind.code for kind in folder.kinds}
    for kind in folder.kinds:
        if not any(text.kind == kind.code for text in folder.decisions):
            what = f"no decision says what a {kind.code} needs"
            yield folder.places.problem(what, f"Add {{kind: {kind.code}, all: [rule, …]}}.", "decisions")
    for text in folder.decisions:
        if text.kind not in kinds:
            what = f"there is no kind {text.kind}"
            yield folder.places.problem(what, f"The kinds are: {', '.join(sorted(kinds))}.", "decisions", text.number)
        yield from _decision(folder, text)
        yield from _meetings(folder, text)


def _decision(folder: Folder, text: DecisionText) -> Iterator[Problem]:
    place = ("decisions", text.number)
    names = list(text.whole.rules())
    for name in names:
        if name not in folder.rules:
            known = ", ".join(sorted(folder.rules)) or "none"
            yield folder.places.problem(f"there is no rule {name}", f"The rules are: {known}.", *place)
        elif missing := _day_without(folder.rules[name], text):
            what = f"the decision for {text.kind} needs rule {name}, which is not in force on {missing}"
            yield folder.places.problem(what, "Add a version of the rule, or end the decision.", *place)
    for name in (*text.first, *([text.identity] if text.identity else [])):
        if name not in names:
            what = f"{name} stands under `first` or `identity`, but not among the decision's rules"
            yield folder.places.problem(what, "Add it to the rules.", *place)
    yield from _silent(folder, text, names)


def _silent(folder: Folder, text: DecisionText, names: list[str]) -> Iterator[Problem]:
    """A register's silence may speak only about somebody whom the population register knows."""
    versions = [rule for name in names for rule in folder.rules.get(name, ())]
    attested = sorted({rule.name for rule in versions if rule.no_record.verdict is not Verdict.UNKNOWN})
    place = ("decisions", text.number)
    if attested and text.identity is None:
        what = f"{attested[0]} gives a verdict for persons without a record, and nothing says who was identified"
        remedy = "Name under `identity` the rule by which number and name were compared."
        yield folder.places.problem(what, remedy, *place)
    if text.identity in attested:
        what = f"{text.identity} is the rule of identity, and must leave persons without a record unknown"
        yield folder.places.problem(what, "Write `no_record: unknown` there.", *place)


def _day_without(versions: Sequence[Rule], text: DecisionText) -> date | None:
    """A day of the decision on which no version of the rule is in force."""
    starts = [text.valid_from] if text.valid_from > date.min else [versions[0].valid_from]
    days = starts + [rule.valid_until + _DAY for rule in versions if rule.valid_until]
    return next((day for day in days if text.in_force(day) and not in_force(versions, day)), None)


def _meetings(folder: Folder, text: DecisionText) -> Iterator[Problem]:
    """Another decision for the same kind on the same day, and days between two on which there is none."""
    same = [other for other in folder.decisions if other.kind == text.kind]
    for other in same:
        if other.number > text.number and _overlap(text, other):
            what = f"two decisions for {text.kind} are in force on {max(text.valid_from, other.valid_from)}"
            yield folder.places.problem(what, "End the earlier one with `valid_until`.", "decisions", other.number)
    next_day = text.valid_until + _DAY if text.valid_until else date.max
    later = [other.valid_from for other in same if other.valid_from >= next_day]
    if later and min(later) > next_day:
        what = f"from {next_day} to {min(later) - _DAY} no decision for {text.kind} is in force"
        yield folder.places.problem(what, "Close the gap.", "decisions", text.number)


def _overlap(one: Dated, other: Dated) -> bool:
    last = date.max
    return one.valid_from <= (other.valid_until or last) and other.valid_from <= (one.valid_until or last)


def _unused(folder: Folder) -> Iterator[Problem]:
    used = {name for text in folder.decisions for name in text.whole.rules()}
    for name, versions in folder.rules.items():
        if name not in used:
            yield versions[-1].places.problem(f"no decision uses rule {name}", "Name it in one, or remove it.", "rule")
    asked = {rule.resource for versions in folder.rules.values() for rule in versions}
    for id, resource in folder.resources.items():
        if id not in asked:
            yield resource.places.problem(f"no rule asks {id}", "Remove the file, or write the rule.", "id")
