"""Decisions by hand (人工认定): an official of the department in charge decides what no rule could.

Only what no rule gave is decided here: applications that displace each other, kinds for which there is no rule. Where
one rule stayed unknown, its source looks again (`recheck`). The first finding is never overwritten. A decision before
the freeze counts there; one that comes later opens the published remedy, never a second draw.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from tongban.kit import canonical
from tongban.kit.errors import Refused
from tongban.rounds.act import LONGEST_REASON, Act, done_before, nobody, read_act
from tongban.rounds.applications import Applications
from tongban.rounds.folder import STAGES, RoundFolder, Stage
from tongban.rounds.recheck import Official, remedy_of
from tongban.rounds.results import read_results
from tongban.rounds.round import Round
from tongban.rules.decision import Outcome

#: What a person may decide, by its word.
DECIDED = {one.word: one for one in (Outcome.ELIGIBLE, Outcome.NOT_ELIGIBLE)}


@dataclass(frozen=True, slots=True)
class Settlement:
    """One decision by hand about one application."""

    id: str
    application: str
    outcome: Outcome
    official: Official
    because: str  #: shown to the applicant, never published
    found: str  #: reason of the finding that it settles
    decided_on: date
    in_time: bool  #: before the freeze
    remedy: str  #: what is owed instead, if it was not
    recorded_by: str  #: who said that this is the official's decision; the log says it too
    again: bool = field(default=False, compare=False)  #: it was said before, and that stands, with its day


def settlement_id(round: str, application: str) -> str:
    """An application is decided by hand once."""
    return hashlib.sha256(f"tongban/settled/1\n{round}\n{application}".encode()).hexdigest()[:16]


def prepare_settlement(
    folder: RoundFolder,
    round: Round,
    applications: Applications,
    *,
    application: str,
    outcome: Outcome,
    official: Official,
    because: str,
    decided_on: date,
    vouched_by: str = "",
) -> Act | Settlement | Refused:
    """Check a decision; one that stands there already comes back as it is.

    Raises OutOfOrder before the findings are there, Contradicted if it was decided otherwise.
    """
    folder.need(Stage.DECIDED)
    if not because.strip() or len(because) > LONGEST_REASON:
        return Refused("rounds.settle_reason", f"say why, in at most {LONGEST_REASON} characters")
    row = applications.row_of(application)
    if refused := nobody(official.staff):
        return refused
    if row is None:
        return Refused("rounds.no_application", "the round's list has no such application")
    id = settlement_id(round.id, application)
    value = {
        "id": id,
        "application": application,
        "outcome": outcome.word,
        "staff": official.staff,
        "department": official.department,
        "because": because,
        "decided_on": decided_on.isoformat(),
    }
    if done_before(folder, _file(id), value, ("outcome", "staff", "department", "because")):
        found = read_settlement(folder, id)
        return replace(found, again=True) if found else Refused("rounds.no_application", "nothing was decided")
    reason = _open_finding(folder, row)
    if not isinstance(reason, str):
        return reason
    if outcome is Outcome.ELIGIBLE and (refused := _eligible_refusal(folder, round, applications, row)):
        return refused
    in_time = STAGES.index(folder.stage) < STAGES.index(Stage.FROZEN)
    remedy = "" if in_time or outcome is not Outcome.ELIGIBLE else remedy_of(round)
    more = {"found": reason, "in_time": in_time, "remedy": remedy, "vouched_by": vouched_by}
    return Act(id, _file(id), "settled", {**value, **more})


def _open_finding(folder: RoundFolder, row: int) -> str | Refused:
    """Reason for which the application needs a person, if no rule gave it."""
    place = folder.directory(Stage.DECIDED) / "decisions.parquet"
    found = read_results(place, ["status", "rule", "reason"]).slice(row, 1).to_pylist()[0]
    if found["status"] != Outcome.NEEDS_PERSON.word:
        return Refused("rounds.settle_nothing", f"the finding is {found['status']}; nothing waits for a person")
    if found["rule"] is not None:
        return Refused("rounds.settle_by_recheck", f"the rule {found['rule']} is unknown; its source must look again")
    return str(found["reason"])


def _eligible_refusal(folder: RoundFolder, round: Round, applications: Applications, row: int) -> Refused | None:
    """Nobody comes into a pool that is not there, and nobody twice."""
    if applications.column("pool")[row].as_py() not in round.policy.pools:
        return Refused("rounds.settle_no_pool", "the application's kind belongs to no pool")
    subject = applications.column("subject")[row].as_py()
    if subject is None:
        return Refused("rounds.settle_no_pool", "the application has no document that could be in a pool")
    subjects = applications.column("subject").to_pylist()
    same = {place for place, one in enumerate(subjects) if one == subject} - {row}
    statuses = read_results(folder.directory(Stage.DECIDED) / "decisions.parquet", ["status"])["status"].to_pylist()
    by_hand = {place: what.word for place, what in outcomes(applications, settlements(folder)).items()}
    if any(by_hand.get(one, statuses[one]) == Outcome.ELIGIBLE.word for one in same):
        return Refused("rounds.settle_double", "another application under the same number is eligible")
    return None


def keep(folder: RoundFolder, act: Act, entry: Mapping[str, Any] | None = None) -> Settlement | Refused:
    """Keep what was prepared, with the place in the log that names who vouched for it."""
    act.keep(folder, entry)
    return read_settlement(folder, act.id) or Refused("rounds.no_application", "nothing was decided")


def read_settlement(folder: RoundFolder, id: str) -> Settlement | None:
    """None if nothing was decided."""
    held = read_act(folder, _file(id))
    if held is None:
        return None
    return Settlement(
        id=id,
        application=held["application"],
        outcome=DECIDED[held["outcome"]],
        official=Official(held["staff"], held["department"]),
        because=held["because"],
        found=held["found"],
        decided_on=date.fromisoformat(held["decided_on"]),
        in_time=held["in_time"],
        remedy=held["remedy"],
        recorded_by=held["vouched_by"],
    )


def settlements(folder: RoundFolder) -> list[Settlement]:
    """Every decision by hand of the round, by id."""
    ids = sorted(place.stem for place in folder.path.glob("settled/*.json"))
    return [found for id in ids if (found := read_settlement(folder, id))]


def outcomes(applications: Applications, some: Iterable[Settlement]) -> dict[int, Outcome]:
    """The decisions that count at the freeze, by row of the list."""
    counted = {one.application: one.outcome for one in some if one.in_time}
    return {row: what for code, what in counted.items() if (row := applications.row_of(code)) is not None}


def digest_of(some: Iterable[Settlement]) -> str:
    """What the freeze was made from."""
    return canonical.digest([[one.id, one.outcome.word] for one in some if one.in_time])


def _file(id: str) -> str:
    return f"settled/{id}.json"
