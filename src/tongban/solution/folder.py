"""A solution's folder as it is written: one matter, its applicants, registers, rules and decisions.

    solution.yaml              matter, kinds of applicant, columns of the application, subjects, decisions
    resources/*.yaml           what each register can be asked: the catalogue's entry and its fact table
    rules/<name>@<date>.yaml   the questions, each dated

Reading stops at nothing: every file that does not hold becomes a problem, and the rest is read on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tongban.catalogue.reading import EntryInvalid
from tongban.catalogue.resource import Resource, resource_from_mapping
from tongban.kit.config import FileInvalid
from tongban.rules import places as yaml_places
from tongban.rules.decision import MOST_RULES, Decision, Group
from tongban.rules.facts import Column, FactTable, Type
from tongban.rules.fields import Fields
from tongban.rules.places import Places, Problem, RuleInvalid
from tongban.rules.rule import Rule, application_column, column_of, read_rule

SUBJECT = "subject"  #: the applicant; a solution may name further ones, such as the person who handles a unit's case

#: Stands for the department's credit code, which belongs to a city and not to the solution.
_ANY_MEMBER = "11990100TB000001XB"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of applicant."""

    code: str
    title: str
    title_en: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody an application is about, and whose key a register can be asked with.

    `domains` are the kinds of key; `kinds` the applicants that have such a subject; `prefix` stands before the
    application's columns about this subject: a rule that asks for `name` of the handler gets `handler_name`.
    """

    name: str
    title: str
    title_en: str
    domains: tuple[str, ...]
    kinds: tuple[str, ...]
    prefix: str


@dataclass(frozen=True, slots=True)
class SolutionResource:
    """A register that the solution asks. `written` is the catalogue's entry, without a member where none is named."""

    id: str
    department: str | None  #: the node that answers, where the solution names one
    facts: FactTable
    complete: date | None
    written: Mapping[str, Any]
    places: Places = field(compare=False, repr=False)

    def catalogue(self, member: str | None = None) -> Resource:
        """The catalogue's entry, published by `member`. Raises EntryInvalid."""
        return resource_from_mapping({**self.written, **({"member": member} if member else {})})


@dataclass(frozen=True, slots=True)
class DecisionText:
    """A decision as written."""

    kind: str
    whole: Group
    identity: str | None
    first: tuple[str, ...]
    valid_from: date
    valid_until: date | None
    number: int  #: position in the file

    def decision(self, silences: Mapping[str, int]) -> Decision:
        return Decision(self.kind, self.whole, self.identity, silences, self.valid_from, self.valid_until)

    def in_force(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)


@dataclass(frozen=True, slots=True)
class Folder:
    """Everything that could be read, all versions of it, and what could not."""

    path: Path
    matter: str
    title: str
    title_en: str
    kinds: tuple[Kind, ...]
    columns: tuple[Column, ...]
    subjects: Mapping[str, Subject]
    resources: Mapping[str, SolutionResource]
    rules: Mapping[str, tuple[Rule, ...]]  #: by name, oldest version first
    decisions: tuple[DecisionText, ...]
    places: Places
    problems: tuple[Problem, ...]


def read_folder(path: Path) -> Folder:
    """Read a folder. Raises FileInvalid or RuleInvalid only if solution.yaml itself does not hold."""
    value, places = yaml_places.read(path / "solution.yaml")
    fields = Fields(value, places)
    problems: list[Problem] = []
    kinds = tuple(_kind(item) for item in fields.mappings("kinds"))
    resources = {found.id: found for found in _each(path / "resources", _resource, problems)}
    folder = Folder(
        path=path,
        matter=fields.text("matter"),
        title=fields.text("title"),
        title_en=fields.text("title_en"),
        kinds=kinds,
        columns=tuple(application_column(item) for item in fields.mapping("application").mappings("columns")),
        subjects={item.name: item for item in (_subject(found, kinds) for found in fields.mappings("subjects"))},
        resources=resources,
        rules=_versions(_each(path / "rules", read_rule, problems)),
        decisions=_ended([_decision(item, number) for number, item in enumerate(fields.mappings("decisions"))]),
        places=places,
        problems=tuple(problems),
    )
    fields.refuse_others()
    return folder


def problem_of(error: RuleInvalid | FileInvalid) -> Problem:
    facts = error.facts
    return Problem(str(facts["path"]), int(str(facts["line"])), str(facts["what"]), error.advice())


def _each(folder: Path, read: Any, problems: list[Problem]) -> list[Any]:
    """What could be read of the YAML files in a folder, in the order of their names."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix == ".yml":
            problems.append(Problem(str(path), 1, "this file is not read", "Name it .yaml."))
        if path.suffix != ".yaml":
            continue
        try:
            found.append(read(path))
        except (RuleInvalid, FileInvalid) as error:
            problems.append(problem_of(error))
    return found


def _versions(rules: list[Rule]) -> dict[str, tuple[Rule, ...]]:
    names = sorted({rule.name for rule in rules})
    ordered = sorted(rules, key=lambda rule: rule.valid_from)
    return {name: tuple(rule for rule in ordered if rule.name == name) for name in names}


def _kind(fields: Fields) -> Kind:
    kind = Kind(fields.text("kind"), fields.text("title"), fields.text("title_en"))
    fields.refuse_others()
    return kind


def _subject(fields: Fields, kinds: tuple[Kind, ...]) -> Subject:
    name = fields.text("name")
    known = tuple(kind.code for kind in kinds)
    subject = Subject(
        name=name,
        title=fields.text("title"),
        title_en=fields.text("title_en"),
        domains=tuple(fields.texts("domains")),
        kinds=tuple(fields.texts("kinds")) or known,
        prefix=fields.text_or_none("prefix") or ("" if name == SUBJECT else f"{name}_"),
    )
    if strange := sorted(set(subject.kinds) - set(known)):
        raise fields.wrong("kinds", f"there is no kind {strange[0]}", f"The kinds are: {', '.join(known)}.")
    if not subject.domains:
        raise fields.wrong("domains", "`domains` is missing", "Name the kinds of key, such as [citizen].")
    fields.refuse_others()
    return subject


def _resource(path: Path) -> SolutionResource:
    """One register. Raises RuleInvalid."""
    value, places = yaml_places.read(path)
    fields = Fields(value, places)
    id, department = fields.text("id"), fields.text_or_none("department")
    written = {key: part for key, part in value.items() if key not in ("facts", "department")}
    try:
        entry = resource_from_mapping({"member": _ANY_MEMBER, **written})
    except EntryInvalid as error:
        what = f"{error.facts['entry']}: {error.facts['what']}"
        raise fields.wrong(_named(what, written), what, "The reference of the catalogue shows the form.") from None
    fields.text("title_en")
    facts = fields.mapping("facts")
    columns = tuple(column_of(item) for item in facts.mappings("columns"))
    facts.refuse_others()
    table = FactTable(id, tuple(sorted(map(str, entry.domains))), columns)
    if wrong := table.wrong():
        raise facts.wrong("columns", wrong, "Correct the fact table.")
    complete = entry.complete.as_of if entry.complete else None
    return SolutionResource(id, department, table, complete, written, places)


def _named(what: str, written: Mapping[str, Any]) -> str:
    """The key that an error of the catalogue speaks of, if it names one."""
    return next((key for key in written if key in what.split()), "")


def _decision(fields: Fields, number: int) -> DecisionText:
    kind, valid_from = fields.text("kind"), fields.day("valid_from")
    whole = _group(fields, 0)
    decision = DecisionText(
        kind=kind,
        whole=whole,
        identity=fields.text_or_none("identity"),
        first=tuple(fields.texts("first")),
        valid_from=valid_from or date.min,
        valid_until=fields.day("valid_until"),
        number=number,
    )
    fields.refuse_others()
    rules = list(whole.rules())
    if len(set(rules)) != len(rules) or len(rules) > MOST_RULES:
        what = f"a rule stands twice in the decision, or there are more than {MOST_RULES}"
        raise fields.wrong("", what, "Name each rule once.")
    return decision


def _ended(decisions: list[DecisionText]) -> tuple[DecisionText, ...]:
    """A decision without an end of its own ends the day before the next one for its kind begins."""
    found = []
    for text in decisions:
        later = [other.valid_from for other in decisions if other.kind == text.kind]
        begin = min((day for day in later if day > text.valid_from), default=None)
        end = text.valid_until if text.valid_until or begin is None else begin - timedelta(days=1)
        found.append(replace(text, valid_until=end))
    return tuple(found)


def _group(fields: Fields, depth: int) -> Group:
    """The one of `all`, `any`, `at_least` that is written."""
    written = [kind for kind in ("all", "any", "at_least") if fields.has(kind)]
    if len(written) != 1 or depth > 4:
        what = "a decision is exactly one of all, any, at_least, at most four levels deep"
        raise fields.wrong("", what, "Write all: [rule, …].")
    if written[0] != "at_least":
        return Group(written[0], _parts(fields, written[0], depth))
    inner = fields.mapping("at_least")
    parts = _parts(inner, "of", depth)
    count = inner.number("count", 1, len(parts))
    inner.refuse_others()
    return Group("at_least", parts, count)


def _parts(fields: Fields, key: str, depth: int) -> tuple[str | Group, ...]:
    found = fields.value.get(key) if fields.has(key) else None
    if not isinstance(found, list) or not found:
        raise fields.wrong(key, f"`{key}` must be a list of rules", "Write [rule, rule].")
    return tuple(_part(fields, key, index, item, depth) for index, item in enumerate(found))


def _part(fields: Fields, key: str, index: int, item: Any, depth: int) -> str | Group:
    if isinstance(item, str):
        return item
    if not isinstance(item, dict):
        raise fields.wrong(key, "a part is the name of a rule, or {all: …}", "Write the name.", index)
    inner = Fields(item, fields.places, *fields.steps, key, index)
    group = _group(inner, depth + 1)
    inner.refuse_others()
    return group


def kinds_of(column: Column | None) -> tuple[str, ...]:
    """Codes of a code column; none for another one."""
    return column.codes if column is not None and column.type is Type.CODE else ()
