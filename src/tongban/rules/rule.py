"""A rule: one question to one register, dated, with its article, in a text that a lawyer can read.

Stands as `rules/<name>@<first day in force>.yaml` in a solution's folder. This file reads the form;
what the expressions mean is `language`'s matter.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from tongban.kit.canonical import SAFE
from tongban.rules import places as yaml_places
from tongban.rules.facts import SCALARS, Column, Type, Value, from_plain, read_column, to_plain
from tongban.rules.fields import Fields
from tongban.rules.places import Places
from tongban.rules.verdict import COMMON, OWN_REASONS, Reason, Verdict, pack, unknown

LONGEST_LIST = 1_000  #: values in a list parameter
STATES = ("at", "latest", "history")
THROUGH = ("last_month", "last_year")
_FILE = re.compile(r"([a-z0-9_]{1,60})@(\d{4}-\d\d-\d\d)\.yaml")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")

Given = Value | tuple[Value, ...]  #: value of a parameter


@dataclass(frozen=True, slots=True)
class Article:
    """The norm that the rule applies, word for word, and where it stands."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class RuleReason:
    """A fixed text for a verdict; `when` is None for the texts that need no condition."""

    code: str
    say: str
    say_en: str
    when: str | None = None


@dataclass(frozen=True, slots=True)
class NoRecord:
    """What it means that the register holds nobody who matches.

    Other than UNKNOWN only with an article and while the owner's statement of completeness stands.
    """

    verdict: Verdict = Verdict.UNKNOWN
    reason: RuleReason | None = None
    article: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """What a missing value of one column means in law."""

    column: str  #: a fact column, or `asked.<name>`
    meaning: str
    article: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named number, text, date or list of the rule. `value` is a tuple for a list."""

    name: str
    type: Type
    value: Given

    def to_json(self) -> dict[str, Any]:
        many = isinstance(self.value, tuple)
        plain = [to_plain(item) for item in self.value] if isinstance(self.value, tuple) else to_plain(self.value)
        return {"type": self.type.value, "values" if many else "value": plain}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as written. `valid_until` is the last day in force, None while it is in force."""

    name: str
    valid_from: date
    valid_until: date | None
    title: str
    title_en: str
    resource: str
    article: Article
    applies: str | None
    subject: str
    asks: tuple[Column, ...]
    parameters: Mapping[str, Parameter]
    state_on: str
    max_snapshot_days: int
    history_through: str | None  #: one of THROUGH: what the register must have seen to its end
    matched_by: str | None
    met: str
    no_record: NoRecord
    reasons: tuple[RuleReason, ...]
    default_reason: RuleReason | None  #: None: `met` can only be TRUE or NULL, so the rule never says no
    unknown_reason: RuleReason | None
    missing_means: tuple[Silence, ...]
    usual: Mapping[str, Any]
    situations: tuple[Mapping[str, Any], ...]
    places: Places = field(compare=False, repr=False)

    @property
    def id(self) -> str:
        return f"{self.name}@{self.valid_from}"

    def in_force(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)

    def own_reasons(self) -> tuple[Reason, ...]:
        """The rule's reasons with their numbers: those with a condition, that for no record, that for unknown, the
        default one last."""
        extra = (self.no_record.reason, self.unknown_reason, self.default_reason)
        texts = [*self.reasons, *(reason for reason in extra if reason)]
        return tuple(Reason(n, text.code, text.say, text.say_en) for n, text in enumerate(texts, 1))

    def reason(self, number: int) -> Reason | None:
        """The reason behind a number from the wire, the common ones included; None for 0 and numbers not in use."""
        every = {reason.number: reason for reason in (*self.own_reasons(), *COMMON.values())}
        return every.get(number)

    def number(self, code: str) -> int:
        """Number of the rule's own or a common reason. KeyError if there is none."""
        own = {reason.code: reason.number for reason in self.own_reasons()}
        return own[code] if code in own else COMMON[code].number

    def silence(self, *, complete: bool) -> int:
        """The byte for a person whom the register does not hold.

        complete: the owner's dated statement of completeness covers the evaluation date.
        """
        policy = self.no_record
        if policy.verdict is not Verdict.UNKNOWN and not complete:
            return unknown("no_record")
        if policy.reason is None:
            return unknown("no_record")
        return pack(policy.verdict, self.number(policy.reason.code))


def is_stale(rule: Rule, snapshot: date, at: date, today: date) -> bool:
    """Whether a snapshot of that date is too old to answer `rule` for the evaluation date `at`.

    at       the state on `at` is asked: the snapshot lies at most `max_snapshot_days` before or after it
    latest   the newest state is asked: the snapshot is at most that many days older than today
    history  the facts tell of the past: the snapshot is at most that many days older than `at`; later is no harm

    `history_through` sets a first day besides: a register read before last month or last year was over would turn
    what was still to come into a gap.
    """
    if rule.history_through and snapshot < _day_after(rule.history_through, at):
        return True
    limit = rule.max_snapshot_days
    if rule.state_on == "latest":
        return (today - snapshot).days > limit
    age = (at - snapshot).days
    return age > limit or (rule.state_on == "at" and -age > limit)


def _day_after(through: str, at: date) -> date:
    """The first day on which the month or the year before that of `at` is over."""
    return at.replace(day=1) if through == "last_month" else at.replace(month=1, day=1)


def read_rule(path: Path) -> Rule:
    """The rule in a file `<name>@<date>.yaml`. Raises FileInvalid, RuleInvalid."""
    found = _FILE.fullmatch(path.name)
    value, places = yaml_places.read(path)
    try:
        valid_from = date.fromisoformat(found[2] if found else "")
    except ValueError:
        what = "a rule's file is named <name>@<first day in force>.yaml"
        raise places.invalid(what, "Rename it, for instance to licence_valid@2021-01-01.yaml.") from None
    fields = Fields(value, places)
    if fields.text("rule") != (found[1] if found else ""):
        raise places.invalid("`rule` and the file's name differ", "Write the same name in both.", "rule")
    return _build(fields, valid_from)


def rule_from_json(value: Mapping[str, Any], origin: str = "rule text") -> Rule:
    """The rule whose canonical text (`CompiledRule.text`) is `value`. Raises RuleInvalid."""
    fields = Fields(dict(value), Places(origin))
    if not re.fullmatch(r"[a-z0-9_]{1,60}", fields.text("rule")):
        raise fields.wrong("rule", "the name is not small letters, digits and _", "Write such a name.")
    valid_from = fields.day("valid_from")
    if valid_from is None:
        raise fields.wrong("valid_from", "`valid_from` is missing", "Write the first day in force.")
    return _build(fields, valid_from)


def _build(fields: Fields, valid_from: date) -> Rule:
    rule = Rule(
        name=fields.text("rule"),
        valid_from=valid_from,
        valid_until=fields.day("valid_until"),
        title=fields.text("title"),
        title_en=fields.text("title_en"),
        resource=fields.text("resource"),
        article=_article(fields.mapping("article")),
        applies=fields.text_or_none("applies"),
        subject=fields.text_or_none("subject") or "subject",
        asks=tuple(application_column(item) for item in fields.mappings("asks")),
        parameters=_parameters(fields),
        state_on=fields.one_of("state_on", STATES),
        max_snapshot_days=fields.number("max_snapshot_days", 1, 3_660),
        history_through=fields.one_of("history_through", THROUGH) if fields.has("history_through") else None,
        matched_by=fields.text_or_none("matched_by"),
        met=fields.text("met"),
        no_record=_no_record(fields),
        reasons=tuple(_reason(item, conditional=True) for item in fields.mappings("reasons")),
        default_reason=_reason(fields.mapping("default_reason")) if fields.has("default_reason") else None,
        unknown_reason=_reason(fields.mapping("unknown_reason")) if fields.has("unknown_reason") else None,
        missing_means=tuple(_silence(item) for item in fields.mappings("missing_means")),
        usual=fields.plain_mapping("usual"),
        situations=tuple(item.value for item in fields.mappings("situations")),
        places=fields.places,
    )
    fields.refuse_others()
    _check_whole(rule, fields)
    return rule


def _check_whole(rule: Rule, fields: Fields) -> None:
    """What only the whole rule can violate."""
    codes = [reason.code for reason in rule.own_reasons()]
    if twice := sorted({code for code in codes if codes.count(code) > 1} | set(codes) & set(COMMON)):
        what = f"reason code {twice[0]!r} stands twice, or is one of the common ones"
        raise fields.wrong("reasons", what, "Give each reason a code of its own.")
    if len(codes) > OWN_REASONS:
        raise fields.wrong("reasons", f"more than {OWN_REASONS} reasons", "Join those that one text can say.")
    if rule.valid_until and rule.valid_until < rule.valid_from:
        raise fields.wrong("valid_until", "the rule ends before it begins", "Correct one of the two dates.")
    if rule.history_through and rule.state_on == "latest":
        what = "`history_through` is counted from the evaluation date, and `state_on: latest` from today"
        raise fields.wrong("history_through", what, "Write `state_on: history` or `at`, or remove the key.")
    names = [column.name for column in rule.asks]
    if len(set(names)) != len(names):
        raise fields.wrong("asks", "a column is asked for twice", "Name each column once.")


def _article(fields: Fields) -> Article:
    article = Article(fields.text("text"), fields.text("source"))
    fields.refuse_others()
    return article


def column_of(fields: Fields) -> Column:
    """Raises RuleInvalid."""
    try:
        return read_column(fields.value)
    except ValueError as error:
        raise fields.wrong("", str(error), "Write {name: …, type: …}.") from None


def application_column(fields: Fields) -> Column:
    """A column of the application, which has no bitmaps. Raises RuleInvalid."""
    column = column_of(fields)
    if column.type not in SCALARS:
        what = f"an application has no column of type {column.type.value}"
        raise fields.wrong("type", what, f"Use one of {', '.join(sorted(SCALARS))}.")
    return column


def _parameters(fields: Fields) -> dict[str, Parameter]:
    written = fields.plain_mapping("parameters")
    return {name: _parameter(fields, str(name), value) for name, value in written.items()}


def _parameter(fields: Fields, name: str, value: Any) -> Parameter:
    if not _WORD.fullmatch(name) or name == "at":
        what = f"a parameter cannot be called {name!r}"
        raise fields.wrong("parameters", what, "Use small letters, digits and _; `at` is the evaluation date.", name)
    try:
        return parameter_of(name, value)
    except ValueError as error:
        raise fields.wrong("parameters", f"parameter {name}: {error}", "Correct its value.", name) from None


def parameter_of(name: str, value: Any) -> Parameter:
    """A parameter from a plain value, a list, or its JSON form with its type. ValueError in words."""
    if isinstance(value, dict):
        if "type" not in value or len(value) != 2 or not {"value", "values"} & set(value):
            raise ValueError("write the value itself, or {type: …, value: …}")
        kind = Type(value["type"])
        value = value["values"] if "values" in value else value["value"]
    else:
        kind = _type_of(value[0] if isinstance(value, list | tuple) and value else value)
    if not isinstance(value, list | tuple):
        return Parameter(name, kind, _one(value, kind))
    items = tuple(_one(item, kind) for item in value)
    if not 1 <= len(items) <= LONGEST_LIST or len(set(items)) != len(items):
        raise ValueError(f"a list has 1 to {LONGEST_LIST} different values")
    return Parameter(name, kind, items)


def _one(value: Any, kind: Type) -> Value:
    found = from_plain(value, kind)
    if found is None or kind not in (Type.TEXT, Type.INT, Type.DATE, Type.BOOL):
        raise ValueError("a parameter is a text, a whole number, a date, or true or false")
    if type(found) is int and abs(found) > SAFE:
        raise ValueError("a number beyond 2^53")
    return found


def _type_of(value: Any) -> Type:
    kinds = {str: Type.TEXT, int: Type.INT, date: Type.DATE, bool: Type.BOOL}
    if type(value) not in kinds:
        raise ValueError("it must be a text, a whole number, a date, true or false, or a list of one of these")
    return kinds[type(value)]


def _reason(fields: Fields, *, conditional: bool = False) -> RuleReason:
    when = fields.text("when") if conditional else None
    reason = RuleReason(_code(fields, "code"), fields.text("say"), fields.text("say_en"), when)
    fields.refuse_others()
    return reason


def _code(fields: Fields, key: str) -> str:
    code = fields.text(key)
    if not _WORD.fullmatch(code):
        raise fields.wrong(key, f"a reason's code cannot be {code!r}", "Use small letters, digits and _.")
    return code


def _no_record(fields: Fields) -> NoRecord:
    """`unknown`, or {verdict, reason, say, say_en, article, needs: complete}."""
    if not fields.is_mapping("no_record"):
        fields.one_of("no_record", ("unknown",), "unknown")
        return NoRecord()
    inner = fields.mapping("no_record")
    verdict = Verdict[inner.one_of("verdict", ("met", "not_met", "unknown")).upper()]
    reason = RuleReason(_code(inner, "reason"), inner.text("say"), inner.text("say_en"))
    article = inner.text_or_none("article") or ""
    needs = inner.text_or_none("needs")
    if verdict is not Verdict.UNKNOWN and (not article or needs != "complete"):
        what = "a person whom the register does not hold can be met or not met only by an article"
        raise inner.wrong("verdict", what, "Add `article:` and `needs: complete`, or write `no_record: unknown`.")
    inner.refuse_others()
    return NoRecord(verdict, reason, article)


def _silence(fields: Fields) -> Silence:
    silence = Silence(fields.text("column"), fields.text("meaning"), fields.text("article"))
    fields.refuse_others()
    return silence
