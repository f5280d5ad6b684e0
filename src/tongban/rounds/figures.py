"""What a round comes to, in figures: values that a report or a table shows, free of anything about one person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple


class Words(NamedTuple):
    """One text in both languages of the report."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How often one rule gave one reason."""

    code: str
    words: Words
    verdict: str  #: "not_met" or "unknown"
    count: int


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """One rule: verdicts of the applications it concerns. Each of them stands in exactly one of the four counts."""

    rule: str
    words: Words
    department: str
    met: int
    not_met: int
    unknown: int
    not_asked: int  #: identity was not confirmed first, or another application for the same subject settles it
    reasons: tuple[ReasonCount, ...]  #: of `not_met` and `unknown`, without `not_asked`


@dataclass(frozen=True, slots=True)
class DepartmentFigures:
    """One department's work: what it was asked and how long its answers took."""

    department: str
    words: Words
    rules: int
    keys: int  #: over all its parts; a key asked about by two rules counts twice
    seconds: float | None  #: from its first question to its last answer; None if it was not measured
    snapshots: tuple[str, ...]  #: dates of the registers' snapshots, each once, ascending
    silent: int  #: parts without an answer


@dataclass(frozen=True, slots=True)
class KindFigures:
    """Applications of one kind; a family is one application, whatever the kinds of its persons."""

    kind: str
    words: Words
    eligible: int
    not_eligible: int
    needs_person: int

    @property
    def applications(self) -> int:
        return self.eligible + self.not_eligible + self.needs_person


@dataclass(frozen=True, slots=True)
class BallFigures:
    """Codes of one pool that have the same number of balls."""

    balls: int
    codes: int
    winners: int


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """One pool and its draw; what comes only with the draw is empty before it."""

    pool: str
    words: Words
    codes: int
    balls: int
    quota: int
    winners: int
    pool_root: str
    freeze_digest: str
    seed: str
    draw_digest: str  #: SHA-256 of draw.json
    log: str  #: "<origin> #<entry>" of the freeze
    opened_by: Mapping[str, str]  #: seed party to "party" or "notary"
    by_balls: tuple[BallFigures, ...]


@dataclass(frozen=True, slots=True)
class RoundFigures:
    """One round."""

    round: str
    matter: Words
    city: Words
    demonstration: bool
    stage: str
    at: date
    received_on: date
    answer_due: date
    recheck_due: date
    answer_days: int  #: working days that the rules give departments
    recheck_days: int
    provisional: bool  #: a notice of holidays still to come may move the two dates
    seconds: float | None  #: from the first question to the last answer, all departments
    applications: int
    identity_met: int  #: all first questions met
    eligible: int
    not_eligible: int
    needs_person: int
    decided_by: tuple[ReasonCount, ...]  #: findings that no rule gave: doubles, kinds without a rule
    rules: tuple[RuleFigures, ...]
    departments: tuple[DepartmentFigures, ...]
    pools: tuple[PoolFigures, ...]
    parties: Mapping[str, str]  #: seed party to its name
    rechecks: int
    rechecks_changed: int
    remedies: tuple[Words, ...]
    smallest: int  #: counts above 0 and below this are not published
    kinds: tuple[KindFigures, ...] = ()


HIDDEN = "*"


def published(counts: Sequence[int], smallest: int) -> list[str]:
    """The counts of one group as they may be published, beside a published total.

    A count from 1 to `smallest` - 1 becomes "<5". If it alone were hidden, the total would give it away, so the
    next smallest becomes "*" with it.
    """
    hidden = {place for place, count in enumerate(counts) if 0 < count < smallest}
    shown = [f"<{smallest}" if place in hidden else f"{count:,}" for place, count in enumerate(counts)]
    rest = [(count, place) for place, count in enumerate(counts) if place not in hidden and count]
    if len(hidden) == 1 and rest:
        shown[min(rest)[1]] = HIDDEN
    return shown


def published_table(rows: Sequence[Sequence[int]], smallest: int) -> list[list[str]]:
    """The counts of a table as they may be published where sums of its rows and columns are published too.

    A row or column in which only one count is hidden would give it away: there the next smallest is hidden with it.
    """
    shown = [[f"<{smallest}" if 0 < count < smallest else f"{count:,}" for count in row] for row in rows]
    width = len(rows[0]) if rows else 0
    lines = [[(r, c) for c in range(width)] for r in range(len(rows))]
    lines += [[(r, c) for r in range(len(rows))] for c in range(width)]
    changed = True
    while changed:
        changed = False
        for line in lines:
            rest = [(rows[r][c], r, c) for r, c in line if is_shown(shown[r][c]) and rows[r][c]]
            if sum(not is_shown(shown[r][c]) for r, c in line) == 1 and rest:
                _, r, c = min(rest)
                shown[r][c], changed = HIDDEN, True
    return shown


def is_shown(told: str) -> bool:
    """Whether `published` gave the count itself."""
    return told[0] not in ("<", HIDDEN)
