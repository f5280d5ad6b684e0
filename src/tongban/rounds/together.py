"""Verdicts of a family: those of its persons about one rule become one.

In this order, over the persons whom the rule concerns: one not met · one unknown · one not asked · one met. With it
goes the reason of the first such person. So whoever is unknown sends the family to a person, unless another one is
plainly not met.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tongban.rounds.applications import Applications
from tongban.rounds.questions import Bytes, Question
from tongban.rules.verdict import Verdict, unknown

Rows = npt.NDArray[np.int64]

_NOT_ASKED = unknown("not_asked")
#: Place in the order above, by verdict; NOT_APPLICABLE is last.
_ORDER = {Verdict.NOT_MET: 0, Verdict.UNKNOWN: 1, Verdict.MET: 3, Verdict.NOT_APPLICABLE: 4}
_OF_NOT_ASKED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """By rule, one entry an application, in the order of the list."""

    columns: Mapping[str, Bytes]
    givers: Mapping[str, Rows]  #: line that gave the verdict; empty where every application is one line


def together(questions: Sequence[Question], applications: Applications, columns: Mapping[str, Bytes]) -> Together:
    """One verdict for each rule and application."""
    if not applications.families:
        return Together(columns, {})
    heads = np.flatnonzero(applications.heads())
    made = {question.rule: _first(columns[question.rule], heads) for question in questions}
    return Together({rule: columns[rule][rows] for rule, rows in made.items()}, made)


def _first(column: Bytes, heads: Rows) -> Rows:
    """For each application the first of its lines whose verdict counts."""
    if not len(heads):
        return heads
    order = np.empty(256, np.int64)
    for verdict, place in _ORDER.items():
        order[verdict << 6 : (verdict << 6) + 64] = place
    order[_NOT_ASKED] = _OF_NOT_ASKED
    lines = len(column)
    found: Rows = np.minimum.reduceat(order[column] * lines + np.arange(lines), heads) % lines
    return found


def claiming(questions: Sequence[Question], columns: Mapping[str, Bytes]) -> npt.NDArray[np.bool_]:
    """Lines whose own first questions are all met, and there were some."""
    first = np.array([columns[question.rule] >> 6 for question in questions if question.first])
    if not len(first):
        return np.zeros(len(next(iter(columns.values()), ())), np.bool_)
    met = first == Verdict.MET
    found: npt.NDArray[np.bool_] = met.any(axis=0) & (met | (first == Verdict.NOT_APPLICABLE)).all(axis=0)
    return found
