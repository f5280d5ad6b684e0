"""A solution, ready to be used: what is in force on one day, or everything that is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tongban.kit.config import FileInvalid
from tongban.rules.compile import CompiledCondition, CompiledRule, compile, compile_applies
from tongban.rules.decision import Decision
from tongban.rules.facts import Column
from tongban.rules.places import Places, Problem, RuleInvalid
from tongban.rules.rule import Rule
from tongban.rules.verdict import Verdict
from tongban.solution import checks
from tongban.solution.folder import (
    DecisionText,
    Folder,
    Kind,
    SolutionResource,
    Subject,
    problem_of,
    read_folder,
)

__all__ = ["Kind", "Problem", "Solution", "SolutionResource", "Subject", "check", "load"]


@dataclass(frozen=True, slots=True)
class Solution:
    """What is in force on the day `at`. `first` are the rules to be asked before the others, for each kind."""

    matter: str
    title: str
    title_en: str
    at: date
    kinds: tuple[Kind, ...]
    columns: tuple[Column, ...]
    subjects: Mapping[str, Subject]
    resources: Mapping[str, SolutionResource]
    rules: Mapping[str, Rule]
    decisions: Mapping[str, Decision]
    first: Mapping[str, tuple[str, ...]]

    def compile(self, name: str, *, facts_digest: str = "") -> CompiledRule:
        """The rule in force over its register's facts. Raises RuleInvalid, KeyError."""
        rule = self.rules[name]
        resource = self.resources[rule.resource]
        return compile(rule, resource.facts, facts_digest=facts_digest, complete=resource.complete)

    def applies(self, name: str) -> CompiledCondition:
        """Whom the rule concerns, over the application's columns. Raises RuleInvalid, KeyError."""
        return compile_applies(self.rules[name], self.columns)

    def asked_columns(self, name: str) -> tuple[str, ...]:
        """The application's columns that travel with the key, in the rule's order."""
        rule = self.rules[name]
        prefix = self.subjects[rule.subject].prefix
        return tuple(prefix + column.name for column in rule.asks)


def check(folder: Path) -> list[Problem]:
    """Everything that is wrong with the solution in a folder, in plain words; an empty list if nothing is."""
    try:
        found = read_folder(folder)
    except (FileInvalid, RuleInvalid) as error:
        return [problem_of(error)]
    return [*found.problems, *checks.problems(found)]


def load(folder: Path, at: date) -> Solution:
    """The solution as it is in force on the day `at`. Raises FileInvalid, RuleInvalid.

    Situations are not run here: `check` is for whoever writes, `load` for whoever runs.
    """
    found = read_folder(folder)
    if found.problems:
        first = found.problems[0]
        raise RuleInvalid(path=first.file, line=first.line, what=first.what, remedy=first.remedy)
    rules = {name: rule for name, versions in found.rules.items() if (rule := checks.in_force(versions, at))}
    texts = {text.kind: text for text in found.decisions if text.in_force(at)}
    for text in texts.values():
        _check_rules(found, text, rules, at)
    return Solution(
        matter=found.matter,
        title=found.title,
        title_en=found.title_en,
        at=at,
        kinds=found.kinds,
        columns=found.columns,
        subjects=found.subjects,
        resources=found.resources,
        rules=rules,
        decisions={kind: text.decision(_silences(rules, text)) for kind, text in texts.items()},
        first={kind: text.first or _identity(text) for kind, text in texts.items()},
    )


def _identity(text: DecisionText) -> tuple[str, ...]:
    return (text.identity,) if text.identity else ()


def _silences(rules: Mapping[str, Rule], text: DecisionText) -> dict[str, int]:
    """For each rule whose register's silence is a verdict, the byte that says so."""
    named = [rules[name] for name in text.whole.rules()]
    return {rule.name: rule.silence(complete=True) for rule in named if rule.no_record.verdict is not Verdict.UNKNOWN}


def _check_rules(folder: Folder, text: DecisionText, rules: Mapping[str, Rule], at: date) -> None:
    places: Places = folder.places
    for name in text.whole.rules():
        rule = rules.get(name)
        if rule is None:
            what = f"the decision for {text.kind} needs rule {name}, which is not in force on {at}"
            raise places.invalid(what, "Add a version of the rule, or end the decision.", "decisions", text.number)
        if rule.resource not in folder.resources:
            what = f"there is no resource {rule.resource}"
            raise rule.places.invalid(what, "Add its file under resources/.", "resource")
