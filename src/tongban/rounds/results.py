"""Results: what a round finds about each application, and the signed manifest that says from what.

The result file carries no time, no host and no index: whoever has the same verdicts gets the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tongban.kit.errors import Invalid
from tongban.rounds import doubles, parquet
from tongban.rounds.applications import CONFLICT, DUPLICATE, FAMILY, Applications
from tongban.rounds.families import ALONE, NOT_WHOLE
from tongban.rounds.policy import Policy
from tongban.rounds.questions import Bytes, Question
from tongban.rounds.together import Together, claiming, together
from tongban.rules.decision import NO_RULE, Decision, Outcome, decide_all
from tongban.rules.verdict import COMMON, Verdict

NO_APPLICABLE_RULE = "no_applicable_rule"
#: Reasons that come from comparing applications, or the persons of one, with each other.
SETTLED = (DUPLICATE, CONFLICT, NOT_WHOLE, *doubles.REASONS)
#: Outcomes where the policy names none. Whoever says twice the same is no riddle; the others go to a person.
_NOT_ELIGIBLE = frozenset({DUPLICATE})
_NOBODY = COMMON[NO_APPLICABLE_RULE].number


class DecisionUnknown(Invalid):
    """A decision speaks of a rule that the round does not ask."""

    code = "rounds.decision_unknown"
    message = "The decision for {kind} needs the rule {rule}, which this round does not ask."
    remedy = "Ask the rule, or correct the decision, before the round is opened."


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """One finding an application, in the order of the list; a family's persons have one together.

    Shape
        outcome: uint8, `rules.decision.Outcome`.
        rule: uint8, position of the question whose reason it is, NO_RULE if no single rule gave it.
        reason: uint8, number of that reason; of a common one, or 0, where no rule gave it.
        settled: uint8, 0, or for those that no rule's verdict settles 1 + the place of the reason in SETTLED.
        columns: by rule, one verdict byte.
        role: of the person who gave a family its reason; None in a list without families.
    """

    outcome: Bytes
    rule: Bytes
    reason: Bytes
    settled: Bytes
    columns: Mapping[str, Bytes]
    role: Any = None


def decide(
    questions: Sequence[Question],
    decisions: Mapping[str, Decision],
    applications: Applications,
    columns: Mapping[str, Bytes],
    policy: Policy | None = None,
) -> Findings:
    """What the verdicts come to, by each kind's decision; what doubles come to, by the policy.

    `decisions`: by kind of applicant; a kind without one goes to a person. Raises DecisionUnknown.
    """
    place = {question.name: number for number, question in enumerate(questions)}
    made = together(questions, applications, columns)
    kinds = applications.kinds().dictionary_encode()
    count = len(kinds)
    found = Findings(
        outcome=np.full(count, Outcome.NEEDS_PERSON, np.uint8),
        rule=np.full(count, NO_RULE, np.uint8),
        reason=np.full(count, _NOBODY, np.uint8),
        settled=_settled(questions, applications, columns, policy),
        columns=made.columns,
    )
    codes = np.asarray(kinds.indices)
    for code, kind in enumerate(kinds.dictionary.to_pylist()):
        if kind in decisions:
            decision = _of_family(decisions[kind]) if kind == FAMILY else decisions[kind]
            _check(decision, kind, place)
            _decide_kind(decision, np.flatnonzero(codes == code), questions, place, made.columns, found)
    for number, outcome in enumerate(_outcomes(policy), 1):
        rows = found.settled == number
        found.outcome[rows], found.rule[rows], found.reason[rows] = outcome, NO_RULE, 0
    return replace(found, role=_roles(questions, applications, made, found.rule)) if applications.families else found


def _of_family(decision: Decision) -> Decision:
    """Each person was asked further only once identified: no one's silence waits for another one's identity."""
    return replace(decision, identity=None, silences={})


def _outcomes(policy: Policy | None) -> list[Outcome]:
    """Of each reason in SETTLED."""
    named = {double.reason: double.outcome for double in policy.doubles} if policy else {}
    words = [named.get(reason, "not_eligible" if reason in _NOT_ELIGIBLE else "needs_person") for reason in SETTLED]
    return [Outcome[word.upper()] for word in words]


def _settled(
    questions: Sequence[Question], applications: Applications, columns: Mapping[str, Bytes], policy: Policy | None
) -> Bytes:
    """What no rule decides: doubles found in the list, and those that only the answers show."""
    place = pc.fill_null(pc.index_in(applications.column("settled"), pa.array(SETTLED)), -1)
    found: Bytes = (place.to_numpy(zero_copy_only=False) + 1).astype(np.uint8)
    if not applications.families:
        return found
    found = found[applications.heads()]
    if policy:
        out = doubles.excluded(applications, claiming(questions, columns), policy)
        rows = pc.index_in(pa.array(list(out), pa.string()), applications.codes()).to_numpy(zero_copy_only=False)
        found[rows.astype(np.int64)] = [SETTLED.index(reason) + 1 for reason in out.values()]
    return found


def _roles(questions: Sequence[Question], applications: Applications, made: Together, rule: Bytes) -> Any:
    """Of each family's reason, the role of the person who gave it."""
    roles = applications.column("role")
    lines = np.zeros(len(rule), np.int64)
    for number, question in enumerate(questions):
        own = rule == number
        lines[own] = made.givers[question.rule][own]
    heads = np.flatnonzero(applications.heads())
    family = pc.not_equal(roles.take(pa.array(heads)), ALONE).to_numpy(zero_copy_only=False)
    given = pa.array((rule != NO_RULE) & family)
    return pc.if_else(given, roles.take(pa.array(lines)), pa.scalar(None, pa.string()))


def _check(decision: Decision, kind: str, place: Mapping[str, int]) -> None:
    for rule in decision.rules:
        if rule not in place:
            raise DecisionUnknown(kind=kind, rule=rule)


def _decide_kind(
    decision: Decision,
    rows: npt.NDArray[np.int64],
    questions: Sequence[Question],
    place: Mapping[str, int],
    columns: Mapping[str, Bytes],
    found: Findings,
) -> None:
    """Fill the rows of one kind."""
    verdicts = {rule: columns[questions[place[rule]].rule][rows] for rule in decision.rules}
    results = decide_all(decision, verdicts)
    position = np.full(256, NO_RULE, np.uint8)
    position[: len(decision.rules)] = [place[rule] for rule in decision.rules]
    found.outcome[rows] = results.outcome
    found.rule[rows] = position[results.rule]
    found.reason[rows] = results.reason


# --- The result file ----------------------------------------------------------------------------


def result_table(questions: Sequence[Question], applications: Applications, findings: Findings) -> Any:
    """The results as they are kept, shown and signed.

    Shape
        application; status: eligible, not_eligible, needs_person; rule: name of the rule that gave the reason;
        reason: its code, null when eligible; then for each rule `<name>`: met, not_met, unknown, not_applicable,
        and `<name>_reason`: a code, null when met or not applicable. Ascending by application. All but the first
        column are dictionaries of texts. With families, at the end, role: of the person who gave the reason.
    """
    table = {
        "application": applications.codes(),
        "status": _coded(findings.outcome, [outcome.word for outcome in Outcome]),
        "rule": _rule_names(questions, findings),
        "reason": _final_reasons(questions, findings),
    }
    table |= _verdicts(questions, findings.columns)
    if findings.role is not None:
        table["role"] = findings.role.dictionary_encode()
    return pa.table(table)


def member_table(questions: Sequence[Question], applications: Applications, columns: Mapping[str, Bytes]) -> Any:
    """What each person of each family is found to be.

    Shape
        line: its code; role; then for each rule its verdict and reason as in the results. Ascending by line.
    """
    lines = applications.only(["application", "role"])
    family = pc.not_equal(lines["role"], ALONE).combine_chunks()
    own = {rule: column[family.to_numpy(zero_copy_only=False)] for rule, column in columns.items()}
    found = lines.filter(family).rename_columns(["line", "role"])
    table = {"line": found["line"], "role": found["role"].combine_chunks().dictionary_encode()}
    return pa.table(table | _verdicts(questions, own))


def _verdicts(questions: Sequence[Question], columns: Mapping[str, Bytes]) -> dict[str, Any]:
    found = {}
    for question in questions:
        byte = columns[question.rule]
        found[question.name] = _coded(byte >> 6, [verdict.word for verdict in Verdict])
        found[f"{question.name}_reason"] = _coded(byte & 63, _codes(question))
    return found


def _coded(numbers: npt.NDArray[Any], words: Sequence[str | None]) -> Any:
    """Each number's word, as a column that holds each word once; sorted, so that the file's bytes are fixed."""
    known = sorted({word for word in words if word is not None})
    narrow = np.int8 if len(known) < 128 else np.int16
    of = np.array([-1 if word is None else known.index(word) for word in words], narrow)
    place = _looked_up(of, numbers)
    # Made of its buffers: Arrow would look at every one of millions of places again.
    given = pa.py_buffer(np.packbits(place >= 0, bitorder="little"))
    places = pa.Array.from_buffers(pa.from_numpy_dtype(narrow), len(place), [given, pa.py_buffer(place)])
    return pa.DictionaryArray.from_arrays(places, pa.array(known, pa.string()), safe=False)


def _looked_up(of: npt.NDArray[Any], numbers: npt.NDArray[Any]) -> Any:
    if numbers.dtype != np.uint8 or of.itemsize > 1 or len(of) > 256:
        return of[numbers]
    # Byte for byte, seven times as quick as NumPy's own.
    table = np.full(256, -1, np.int8)
    table[: len(of)] = of
    return np.frombuffer(numbers.tobytes().translate(table.tobytes()), np.int8)


def _codes(question: Question) -> list[str | None]:
    reasons = (question.reason(number) for number in range(64))
    return [reason.code if reason else None for reason in reasons]


def _rule_names(questions: Sequence[Question], findings: Findings) -> Any:
    names: list[str | None] = [question.name for question in questions]
    return _coded(findings.rule, names + [None] * (256 - len(names)))


def _final_reasons(questions: Sequence[Question], findings: Findings) -> Any:
    words: list[str | None] = [None, *SETTLED, NO_APPLICABLE_RULE]
    place = np.zeros(len(findings.outcome), np.int32)
    place[(findings.rule == NO_RULE) & (findings.reason == _NOBODY)] = words.index(NO_APPLICABLE_RULE)
    for number, question in enumerate(questions):
        own = findings.rule == number
        place[own] = len(words) + findings.reason[own].astype(np.int32)
        words += _codes(question)
    place = np.where(findings.settled, findings.settled, place)
    return _coded(place, words)


def read_results(path: Path, columns: list[str] | None = None) -> Any:
    """The result table, or some columns of it."""
    return parquet.read(path, columns)


def counts(table: Any) -> dict[str, int]:
    """Applications by status, every status named."""
    found = {item["values"]: item["counts"] for item in table["status"].value_counts().to_pylist()}
    return {outcome.word: found.get(outcome.word, 0) for outcome in Outcome}
