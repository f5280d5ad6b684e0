"""Decisions: verdicts of several rules become one outcome, by published tables.

    all             any not met -> not met; else any unknown -> unknown; else met
    any             any met -> met; else any unknown -> unknown; else not met
    at_least n      n or more met -> met; else fewer than n rules apply -> unknown (no_applicable_rule);
                    else met and unknown together fewer than n -> not met; else unknown

Rules that do not apply are left out; if none is left, the group does not apply. At the top: met is
eligible, not met is not eligible, unknown and not applicable go to a person. The reason is that of the
first rule, in the order written, whose verdict is the group's.

Rules alone may grant and never finally refuse: an outcome that is not eligible is told with its reason
and a way to a person, and becomes a refusal only by an official's hand.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from tongban.rules.verdict import COMMON, Verdict, unknown, unpack

Bytes = npt.NDArray[np.uint8]
NO_RULE = 255  #: position where the outcome has no rule's reason
MOST_RULES = 200
_NOBODY = COMMON["no_applicable_rule"].number
_NO_RECORD = unknown("no_record")


class Outcome(IntEnum):
    NOT_ELIGIBLE = 0
    ELIGIBLE = 1
    NEEDS_PERSON = 2

    @property
    def word(self) -> str:
        return self.name.lower()

    @property
    def may_be_final(self) -> bool:
        """Whether rules alone may end the matter."""
        return self is Outcome.ELIGIBLE


@dataclass(frozen=True, slots=True)
class Group:
    """Parts are names of rules or groups, in order of precedence."""

    kind: str  #: all, any, at_least
    parts: tuple["str | Group", ...]
    count: int = 0  #: for at_least

    def rules(self) -> Iterator[str]:
        for part in self.parts:
            if isinstance(part, Group):
                yield from part.rules()
            else:
                yield part


@dataclass(frozen=True, slots=True)
class Decision:
    """How the verdicts about one kind of applicant become an outcome.

    identity: the rule by which the population register knows the person by number and name. Where it is
        not met, another register's attested silence ("whom we do not hold has none") counts as unknown:
        the number may simply be mistyped.
    silences: for each rule whose register's silence is a verdict, the byte that says so.
    """

    kind: str
    whole: Group
    identity: str | None = None
    silences: Mapping[str, int] = field(default_factory=dict)
    valid_from: date = date.min
    valid_until: date | None = None

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(self.whole.rules())

    def in_force(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)


@dataclass(frozen=True, slots=True)
class Result:
    """One person's outcome; `rule` is None and `reason` 0 where there is none to give."""

    outcome: Outcome
    rule: str | None
    reason: int


@dataclass(frozen=True, slots=True)
class Results:
    """Outcomes of a round, in the order of the applications.

    Shape
        outcome, rule, reason: uint8, one per application. rule: position in `Decision.rules`, NO_RULE if none.
    """

    outcome: Bytes
    rule: Bytes
    reason: Bytes


def decide(decision: Decision, verdicts: Mapping[str, int]) -> Result:
    """The outcome for one person. verdicts: a byte for each rule of the decision. KeyError if one is missing."""
    met = decision.identity is None or unpack(verdicts[decision.identity])[0] is Verdict.MET
    heard = {
        rule: _NO_RECORD if not met and verdicts[rule] == decision.silences.get(rule) else verdicts[rule]
        for rule in decision.rules
    }
    verdict, rule, reason = _judge(decision.whole, heard)
    if verdict is Verdict.NOT_APPLICABLE:
        return Result(Outcome.NEEDS_PERSON, None, _NOBODY)
    return Result(_OUTCOMES[verdict], rule, reason)


_OUTCOMES = {
    Verdict.MET: Outcome.ELIGIBLE,
    Verdict.NOT_MET: Outcome.NOT_ELIGIBLE,
    Verdict.UNKNOWN: Outcome.NEEDS_PERSON,
}
_Judged = tuple[Verdict, str | None, int]


def _judge(part: str | Group, heard: Mapping[str, int]) -> _Judged:
    if isinstance(part, str):
        verdict, reason = unpack(heard[part])
        return verdict, part, reason
    judged = [_judge(inner, heard) for inner in part.parts]
    verdict = _combine(part, [found for found, _, _ in judged])
    if verdict in (Verdict.MET, Verdict.NOT_APPLICABLE):
        return verdict, None, 0
    first = next(((rule, reason) for found, rule, reason in judged if found is verdict), (None, _NOBODY))
    return verdict, *first


def _combine(group: Group, verdicts: Sequence[Verdict]) -> Verdict:
    met, unmet, silent = (verdicts.count(kind) for kind in (Verdict.MET, Verdict.NOT_MET, Verdict.UNKNOWN))
    applicable = met + unmet + silent
    if not applicable:
        return Verdict.NOT_APPLICABLE
    if group.kind == "all":
        return Verdict.NOT_MET if unmet else Verdict.UNKNOWN if silent else Verdict.MET
    if group.kind == "any":
        return Verdict.MET if met else Verdict.UNKNOWN if silent else Verdict.NOT_MET
    if met >= group.count:
        return Verdict.MET
    return Verdict.UNKNOWN if applicable < group.count or met + silent >= group.count else Verdict.NOT_MET


# -- a whole round


def decide_all(decision: Decision, verdicts: Mapping[str, Bytes]) -> Results:
    """The outcomes of a round. verdicts: for each rule of the decision, bytes in the order of the applications."""
    heard = dict(verdicts)
    if decision.identity is not None:
        stranger = verdicts[decision.identity] >> 6 != Verdict.MET
        for rule, byte in decision.silences.items():
            if rule in heard:
                heard[rule] = np.where(stranger & (heard[rule] == byte), np.uint8(_NO_RECORD), heard[rule])
    position = {rule: number for number, rule in enumerate(decision.rules)}
    found = _judge_all(decision.whole, heard, position)
    lost = found.outcome == Verdict.NOT_APPLICABLE
    return Results(
        outcome=np.where(lost, np.uint8(Outcome.NEEDS_PERSON), found.outcome),
        rule=found.rule,
        reason=np.where(lost, np.uint8(_NOBODY), found.reason),
    )


def _judge_all(part: str | Group, heard: Mapping[str, Bytes], position: Mapping[str, int]) -> Results:
    """Verdicts in place of outcomes: MET, NOT_MET and UNKNOWN have the same numbers."""
    if isinstance(part, str):
        verdict = heard[part] >> np.uint8(6)
        return Results(verdict, np.full_like(verdict, position[part]), heard[part] & np.uint8(63))
    judged = [_judge_all(inner, heard, position) for inner in part.parts]
    verdict = _combine_all(part, [found.outcome for found in judged])
    rule, reason = np.full_like(verdict, NO_RULE), np.full_like(verdict, _NOBODY)
    for found in reversed(judged):
        same = found.outcome == verdict
        rule, reason = np.where(same, found.rule, rule), np.where(same, found.reason, reason)
    quiet = (verdict == Verdict.MET) | (verdict == Verdict.NOT_APPLICABLE)
    return Results(verdict, np.where(quiet, np.uint8(NO_RULE), rule), np.where(quiet, np.uint8(0), reason))


def _combine_all(group: Group, verdicts: Sequence[Bytes]) -> Bytes:
    met, unmet, silent = (
        np.sum([found == kind for found in verdicts], axis=0, dtype=np.uint8)
        for kind in (Verdict.MET, Verdict.NOT_MET, Verdict.UNKNOWN)
    )
    yes, no, perhaps, nobody = (np.uint8(Verdict[name]) for name in ("MET", "NOT_MET", "UNKNOWN", "NOT_APPLICABLE"))
    if group.kind == "all":
        found = np.where(unmet > 0, no, np.where(silent > 0, perhaps, yes))
    elif group.kind == "any":
        found = np.where(met > 0, yes, np.where(silent > 0, perhaps, no))
    else:
        few = met + unmet + silent < group.count
        found = np.where(met >= group.count, yes, np.where(few | (met + silent >= group.count), perhaps, no))
    return np.where(met + unmet + silent == 0, nobody, found)
