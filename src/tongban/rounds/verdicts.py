"""Verdicts of a round: one byte for each rule and application, put together from the departments' answers.

In this order, the first that holds: the rule is not for this kind · not asked, because another application for the
same subject settles this one · the number is bad · not asked, because identity was not confirmed first · the department
has not answered · what it answered.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tongban.exchange.bulk import About
from tongban.rounds import parquet
from tongban.rounds.applications import SCHEMA, Applications, Flags
from tongban.rounds.key_columns import CHILD, PARTNER, KeyColumns
from tongban.rounds.questions import Bytes, Part, Question, parts, with_bad_key
from tongban.rules.verdict import Verdict, pack, unknown

#: What a department said about one part: a byte a key, in the keys' order; None while it is silent.
AnswerOf = Callable[[Part], tuple[Bytes, About] | None]

NOT_APPLICABLE = pack(Verdict.NOT_APPLICABLE)
BAD_IDENTIFIER, NOT_ASKED, NO_ANSWER = unknown("bad_identifier"), unknown("not_asked"), unknown("no_answer")
DOES_NOT_SAY, NO_RECORD = unknown("missing_value"), unknown("no_record")


@dataclass(frozen=True, slots=True)
class Heard:
    """What one rule's department said in this round."""

    answers: str  #: SHA-256 of the verdict bytes of its parts, in their order, as the department sent them
    snapshots: tuple[tuple[str, str], ...]  #: id and date of each register's snapshot, each once
    parts: tuple[tuple[str, int], ...]  #: name of each part, and how many keys it asks about
    silent: tuple[str, ...]  #: names of the parts without an answer


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """Every rule's column, by rule id in the order of the questions, and what was heard for it."""

    columns: Mapping[str, Bytes]
    heard: Mapping[str, Heard]


class Asking:
    """The questions of one round, put to one list of applications.

    `corrected`: bytes that re-checks have put in the place of answers, by rule and row. Where one of them confirms an
    identity, the further questions are asked about that application too, in parts of their own ("late"), so that the
    answers to all other parts stay good.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        applications: Applications,
        corrected: Mapping[str, Mapping[int, int]] | None = None,
    ) -> None:
        self.questions = tuple(questions)
        self.applications = applications
        self.corrected = corrected or {}
        self._keys = KeyColumns(applications)
        self._made: dict[tuple[str, str], tuple[Flags, Sequence[Part]]] = {}
        #: By rule, for each application: 1 the rule is for it, 0 it is not, 2 the application does not say.
        self.concerned = _concerned(self.questions, applications)

    def first_parts(self) -> dict[str, Sequence[Part]]:
        """What is asked first, by rule: identity."""
        return self._parts(first=True, known=np.ones(len(self.applications), np.bool_))

    def further_parts(self, first: Verdicts) -> dict[str, Sequence[Part]]:
        """What is asked once the `first_columns` are known, by rule."""
        known = self.confirmed(first.columns)
        late = self._late(first, known)
        usual = self._parts(first=False, known=known)
        more = self._parts(first=False, known=late, prefix="late-")
        return {rule: [*usual[rule], *more[rule]] for rule in usual}

    def _parts(self, *, first: bool, known: Flags, prefix: str = "") -> dict[str, Sequence[Part]]:
        asked = [question for question in self.questions if question.first == first]
        return {question.rule: self._parts_of(question, known, prefix) for question in asked}

    def _parts_of(self, question: Question, known: Flags, prefix: str) -> Sequence[Part]:
        """Made once: the same parts are asked for when they are sent, when heard and when put together."""
        wanted = known & (self.concerned[question.rule] == 1)
        held = self._made.get((question.rule, prefix))
        if held is None or not np.array_equal(held[0], wanted):
            held = self._made[question.rule, prefix] = (wanted, parts(question, self._keys, wanted, prefix))
        return held[1]

    def first_columns(self, answer_of: AnswerOf) -> Verdicts:
        """The columns of the first questions."""
        everybody = np.ones(len(self.applications), np.bool_)
        return self._columns(self.first_parts(), everybody, answer_of)

    def confirmed(self, first: Mapping[str, Bytes]) -> Flags:
        """Applications for which every first question that concerns them is met."""
        found = np.ones(len(self.applications), np.bool_)
        for question in self.questions:
            if question.first:
                verdict = first[question.rule] >> 6
                found &= (verdict == Verdict.MET) | (verdict == Verdict.NOT_APPLICABLE)
        return found

    def _late(self, first: Verdicts, known: Flags) -> Flags:
        """Applications whose identity a re-check confirmed."""
        return self.confirmed(corrected(first.columns, self.corrected)) & ~known

    def assemble(self, answer_of: AnswerOf) -> Verdicts:
        """All columns from the answers that are there; the same answers give the same bytes, however they came.

        The columns hold what departments answered: `corrected` is applied to them only when the list is frozen.
        """
        first = self.first_columns(answer_of)
        known = self.confirmed(first.columns)
        further = self._columns(self.further_parts(first), known | self._late(first, known), answer_of)
        columns, heard = {**first.columns, **further.columns}, {**first.heard, **further.heard}
        # Nobody is asked any more: what was made for that takes more memory than what came of it.
        self._made.clear()
        self._keys = KeyColumns(self.applications)
        order = [question.rule for question in self.questions]
        return Verdicts({rule: columns[rule] for rule in order}, {rule: heard[rule] for rule in order})

    def _columns(self, asked: Mapping[str, Sequence[Part]], known: Flags, answer_of: AnswerOf) -> Verdicts:
        columns, heard = {}, {}
        for question in self.questions:
            if question.rule in asked:
                column = self._unanswered(question, known)
                heard[question.rule] = _fill(column, asked[question.rule], answer_of)
                columns[question.rule] = column
        return Verdicts(columns, heard)

    def _unanswered(self, question: Question, known: Flags) -> Bytes:
        """The column before any answer; what is written later here comes earlier in the order of reasons."""
        column = np.full(len(self.applications), NO_ANSWER, np.uint8)
        column[~known] = NOT_ASKED
        # A relation of somebody whose number no register of relations knows is simply not on record there.
        missing = NO_RECORD if question.about in (CHILD, PARTNER) else BAD_IDENTIFIER
        column[with_bad_key(question, self.applications)] = missing
        column[self.concerned[question.rule] == 2] = DOES_NOT_SAY
        column[self.applications.settled()] = NOT_ASKED
        column[self.concerned[question.rule] == 0] = NOT_APPLICABLE
        return column


def _concerned(questions: Sequence[Question], applications: Applications) -> dict[str, Bytes]:
    tables = {needs: applications.only(needs or SCHEMA.names) for needs in {question.needs for question in questions}}
    return {question.rule: question.applies(tables[question.needs]) for question in questions}


def _fill(column: Bytes, asked: Sequence[Part], answer_of: AnswerOf) -> Heard:
    said, snapshots, silent = hashlib.sha256(), set(), []
    for part in asked:
        answer = answer_of(part)
        if answer is None:
            silent.append(part.name)
            continue
        verdicts, about = answer
        column[part.applications] = verdicts[part.rows]
        said.update(verdicts.tobytes())
        snapshots.add((about.snapshot, about.snapshot_date))
    sizes = tuple((part.name, part.keys.num_rows) for part in asked)
    return Heard(said.hexdigest(), tuple(sorted(snapshots)), sizes, tuple(silent))


def corrected(columns: Mapping[str, Bytes], by: Mapping[str, Mapping[int, int]]) -> dict[str, Bytes]:
    """The columns with the bytes of re-checks in their places; the given ones stay as they are."""
    changed = dict(columns)
    for rule, bytes_of in by.items():
        if rule in changed and bytes_of:
            changed[rule] = changed[rule].copy()
            changed[rule][list(bytes_of)] = list(bytes_of.values())
    return changed


def write(columns: Mapping[str, Bytes], applications: Applications, path: Path) -> None:
    """Parquet: application, then one uint8 column a rule."""
    arrays = {rule: pa.array(column, pa.uint8()) for rule, column in columns.items()}
    parquet.write(pa.table({"application": applications.column("application"), **arrays}), path)


def read_columns(path: Path) -> dict[str, Bytes]:
    """The columns that `write` wrote; arrays that may be changed."""
    table = parquet.read(path)
    return {
        rule: table[rule].combine_chunks().to_numpy(zero_copy_only=False).astype(np.uint8)
        for rule in table.column_names[1:]
    }
