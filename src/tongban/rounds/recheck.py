"""Re-checks (复核): an applicant disputes what one rule found, and a named official at the source looks again.

The first answer is never overwritten: both stand side by side. A second answer that comes before the freeze takes
the first one's place in the decision; one that comes later opens the published remedy, never a second draw.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from tongban.calendar.workdays import WorkingDays
from tongban.kit import canonical
from tongban.kit.errors import Refused
from tongban.rounds.folder import STAGES, RoundFolder, Stage
from tongban.rounds.round import Round
from tongban.rules.verdict import Verdict, unpack

LONGEST_REASON = 2_000  #: characters of what an applicant may write


@dataclass(frozen=True, slots=True)
class Official:
    """Who answers for the source."""

    staff: str  #: staff number, shown to the applicant
    department: str  #: node of the department that answered first


@dataclass(frozen=True, slots=True)
class Found:
    """One answer: a verdict byte, and the snapshot or the act that it rests on."""

    byte: int
    snapshot: str
    snapshot_date: str

    def to_json(self) -> dict[str, Any]:
        return {"byte": self.byte, "snapshot": self.snapshot, "snapshot_date": self.snapshot_date}


@dataclass(frozen=True, slots=True)
class Recheck:
    """One re-check of one application and rule."""

    id: str
    application: str
    rule: str
    said: str  #: the applicant's own words: personal, never published
    official: Official
    received_on: date
    due: date  #: served to the applicant, so kept
    first: Found
    second: Found | None = None
    answered_by: Official | None = None
    answered_on: date | None = None
    explained: str = ""
    in_time: bool = False  #: answered before the freeze
    remedy: str = ""  #: what is owed instead, if it was not and the answer changed

    @property
    def changed(self) -> bool:
        """The second answer has another verdict than the first."""
        return self.second is not None and unpack(self.second.byte)[0] is not unpack(self.first.byte)[0]

    def is_late(self, today: date) -> bool:
        return self.second is None and today > self.due


def recheck_id(round: str, application: str, rule: str) -> str:
    """There is one re-check for each application and rule; asked for twice, it is the same one."""
    return hashlib.sha256(f"tongban/recheck/1\n{round}\n{application}\n{rule}".encode()).hexdigest()[:16]


def open_recheck(
    folder: RoundFolder,
    round: Round,
    *,
    application: str,
    rule: str,
    said: str,
    first: Found,
    official: Official,
    source: str,
    received_on: date,
    days: WorkingDays,
) -> Recheck | Refused:
    """Open a re-check for an applicant who has shown application code and document number (`lookup`).

    `first` is what the source found, `source` the department that found it. Raises OutOfOrder before the findings
    are there, Contradicted if the same re-check was opened otherwise.
    """
    folder.need(Stage.DECIDED)
    if not said.strip() or len(said) > LONGEST_REASON:
        return Refused("rounds.recheck_reason", f"say why, in at most {LONGEST_REASON} characters")
    if unpack(first.byte)[0] in (Verdict.MET, Verdict.NOT_APPLICABLE):
        return Refused("rounds.recheck_nothing", "this rule is met or does not concern the application")
    if official.department != source:
        return Refused("rounds.recheck_wrong_department", f"an official of {source} must look")
    due = days.add_working_days(received_on, round.policy.limits["recheck_working_days"]).day
    id = recheck_id(round.id, application, rule)
    value = {
        "id": id,
        "application": application,
        "rule": rule,
        "said": said,
        "staff": official.staff,
        "department": official.department,
        "received_on": received_on.isoformat(),
        "due": due.isoformat(),
        "first": first.to_json(),
    }
    folder.keep(f"rechecks/{id}.opened.json", canonical.encode(value) + b"\n", mode=0o600)
    return read_recheck(folder, id) or Refused("rounds.no_recheck", "there is no such re-check")


def answer_recheck(
    folder: RoundFolder, round: Round, id: str, *, second: Found, by: Official, explained: str, answered_on: date
) -> Recheck | Refused:
    """Put the official's answer beside the first one.

    Whoever answers must belong to the same department; another official than the one named is recorded as such.
    Raises Contradicted if it was answered otherwise before.
    """
    recheck = read_recheck(folder, id)
    if recheck is None:
        return Refused("rounds.no_recheck", "there is no such re-check")
    if by.department != recheck.official.department:
        return Refused("rounds.recheck_wrong_department", f"an official of {recheck.official.department} must answer")
    if unpack(second.byte)[0] is Verdict.NOT_APPLICABLE:
        return Refused("rounds.recheck_answer", "a re-check ends met, not met or unknown")
    in_time = STAGES.index(folder.stage) < STAGES.index(Stage.FROZEN)
    if recheck.second is not None:
        in_time = recheck.in_time  # an answer repeated after the freeze is still the answer of before
    changed = unpack(second.byte)[0] is not unpack(recheck.first.byte)[0]
    value = {
        "second": second.to_json(),
        "staff": by.staff,
        "department": by.department,
        "explained": explained,
        "answered_on": answered_on.isoformat(),
        "in_time": in_time,
        "remedy": "" if in_time or not changed else _remedy(round),
    }
    folder.keep(f"rechecks/{id}.answered.json", canonical.encode(value) + b"\n", mode=0o600)
    return read_recheck(folder, id) or Refused("rounds.no_recheck", "there is no such re-check")


def _remedy(round: Round) -> str:
    """The remedy in force; a round whose policy names none leaves it to a person."""
    return round.policy.remedies[0].remedy if round.policy.remedies else "person"


def read_recheck(folder: RoundFolder, id: str) -> Recheck | None:
    """Both answers of one re-check; None if it was never opened."""
    opened = _read(folder, f"rechecks/{id}.opened.json")
    if opened is None:
        return None
    answered = _read(folder, f"rechecks/{id}.answered.json") or {}
    return Recheck(
        id=id,
        application=opened["application"],
        rule=opened["rule"],
        said=opened["said"],
        official=Official(opened["staff"], opened["department"]),
        received_on=date.fromisoformat(opened["received_on"]),
        due=date.fromisoformat(opened["due"]),
        first=Found(**opened["first"]),
        **_second(answered),
    )


def _second(answered: Mapping[str, Any]) -> dict[str, Any]:
    if not answered:
        return {}
    return {
        "second": Found(**answered["second"]),
        "answered_by": Official(answered["staff"], answered["department"]),
        "answered_on": date.fromisoformat(answered["answered_on"]),
        "explained": answered["explained"],
        "in_time": answered["in_time"],
        "remedy": answered["remedy"],
    }


def _read(folder: RoundFolder, name: str) -> dict[str, Any] | None:
    place = folder.path / name
    return dict(canonical.decode(place.read_bytes().removesuffix(b"\n"))) if place.exists() else None


def rechecks(folder: RoundFolder) -> list[Recheck]:
    """Every re-check of the round, by id."""
    ids = sorted(place.name.removesuffix(".opened.json") for place in folder.path.glob("rechecks/*.opened.json"))
    return [found for id in ids if (found := read_recheck(folder, id))]


def effective(every: Iterable[Recheck]) -> list[Recheck]:
    """Those whose second answer takes the first one's place in this round."""
    return [one for one in every if one.second is not None and one.in_time]


def bytes_by_row(some: Iterable[Recheck], rows: Mapping[str, int]) -> dict[str, dict[int, int]]:
    """Their second answers by rule and row; `rows` gives each application's row."""
    found: dict[str, dict[int, int]] = {}
    for one in some:
        if one.second is not None:
            found.setdefault(one.rule, {})[rows[one.application]] = one.second.byte
    return found


def digest_of(some: Iterable[Recheck]) -> str:
    """What the freeze commits about them: which application and rule, and the byte that counts."""
    return canonical.digest([[one.id, one.second.byte] for one in some if one.second])
