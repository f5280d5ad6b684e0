"""Re-checks (复核): an applicant disputes what one rule found, and a named official at the source looks again.

The first answer is never overwritten: both stand side by side. A second answer that comes before the freeze takes
the first one's place in the decision; one that comes later opens the published remedy, never a second draw.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from tongban.calendar.workdays import WorkingDays
from tongban.kit import canonical
from tongban.kit.errors import Refused
from tongban.rounds.folder import STAGES, Contradicted, RoundFolder, Stage
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
    opened_by: str = ""  #: who said that this official looks; the log says it too. Empty in rounds of before
    recorded_by: str = ""  #: who said that this is the official's answer
    again: bool = field(default=False, compare=False)  #: it was said before: what was said first stands, with its day

    @property
    def changed(self) -> bool:
        """The second answer has another verdict than the first."""
        return self.second is not None and unpack(self.second.byte)[0] is not unpack(self.first.byte)[0]

    def is_late(self, today: date) -> bool:
        return self.second is None and today > self.due


def recheck_id(round: str, application: str, rule: str) -> str:
    """There is one re-check for each application and rule; asked for twice, it is the same one."""
    return hashlib.sha256(f"tongban/recheck/1\n{round}\n{application}\n{rule}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A re-check's opening or answer that holds, before it is kept: the log is to name first who vouches for it."""

    id: str
    event: str  #: "opened", "answered"
    value: Mapping[str, Any]

    @property
    def stage(self) -> str:
        """What the log calls it."""
        return f"recheck-{self.event}"

    def digest(self) -> str:
        return canonical.digest(dict(self.value))


def prepare_opening(
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
    vouched_by: str = "",
) -> Prepared | Recheck | Refused:
    """Check a re-check of an applicant who has shown application code and document number (`lookup`).

    `first` is what the source found, `source` the department that found it. A re-check that stands there already
    comes back as it is, with its first day. Raises OutOfOrder before the findings are there, Contradicted if the
    same re-check was opened otherwise.
    """
    folder.need(Stage.DECIDED)
    if not said.strip() or len(said) > LONGEST_REASON:
        return Refused("rounds.recheck_reason", f"say why, in at most {LONGEST_REASON} characters")
    if refused := _official_refusal(official, source):
        return refused
    id = recheck_id(round.id, application, rule)
    value = {
        "id": id,
        "application": application,
        "rule": rule,
        "said": said,
        "staff": official.staff,
        "department": official.department,
        "received_on": received_on.isoformat(),
    }
    if _said_before(folder, id, "opened", value, ("said", "staff", "department")):
        return _again(folder, id)
    if unpack(first.byte)[0] in (Verdict.MET, Verdict.NOT_APPLICABLE):
        return Refused("rounds.recheck_nothing", "this rule is met or does not concern the application")
    due = days.add_working_days(received_on, round.policy.limits["recheck_working_days"]).day
    more = {"due": due.isoformat(), "first": first.to_json(), "vouched_by": vouched_by}
    return Prepared(id, "opened", {**value, **more})


def prepare_answer(
    folder: RoundFolder,
    round: Round,
    id: str,
    *,
    second: Found,
    by: Official,
    explained: str,
    answered_on: date,
    vouched_by: str = "",
) -> Prepared | Recheck | Refused:
    """Check the official's answer, which will stand beside the first one.

    Whoever answers must belong to the same department; another official than the one named is recorded as such.
    An answer given before comes back as it is, with its first day. Raises Contradicted if it was another one.
    """
    recheck = read_recheck(folder, id)
    if recheck is None:
        return Refused("rounds.no_recheck", "there is no such re-check")
    if refused := _official_refusal(by, recheck.official.department):
        return refused
    if unpack(second.byte)[0] is Verdict.NOT_APPLICABLE:
        return Refused("rounds.recheck_answer", "a re-check ends met, not met or unknown")
    value = {
        "second": second.to_json(),
        "staff": by.staff,
        "department": by.department,
        "explained": explained,
        "answered_on": answered_on.isoformat(),
    }
    if _said_before(folder, id, "answered", value, ("second", "staff", "department", "explained")):
        return _again(folder, id)
    in_time = STAGES.index(folder.stage) < STAGES.index(Stage.FROZEN)
    changed = unpack(second.byte)[0] is not unpack(recheck.first.byte)[0]
    remedy = "" if in_time or not changed else remedy_of(round)
    return Prepared(id, "answered", {**value, "in_time": in_time, "remedy": remedy, "vouched_by": vouched_by})


def _official_refusal(official: Official, source: str) -> Refused | None:
    """Only whoever answers for the source may look again: there the record can be corrected."""
    if not official.staff.strip():
        return Refused("rounds.official_missing", "name the official by staff number")
    if official.department != source:
        return Refused("rounds.recheck_wrong_department", f"an official of {source} must look")
    return None


def _said_before(folder: RoundFolder, id: str, event: str, value: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    """Whether the event stands there already with the same `names`; days are not compared. Raises Contradicted."""
    name = f"rechecks/{id}.{event}.json"
    kept = _read(folder, name)
    if kept is None:
        return False
    if differs := [one for one in names if _undated(kept[one]) != _undated(value[one])]:
        raise Contradicted(round=folder.name, what=name, differs=", ".join(differs))
    return True


def _undated(value: Any) -> Any:
    """An act repeated on another day is the same act: its snapshot is that day's only by name."""
    return {**value, "snapshot_date": ""} if isinstance(value, dict) else value


def _again(folder: RoundFolder, id: str) -> Recheck | Refused:
    found = read_recheck(folder, id)
    return replace(found, again=True) if found else Refused("rounds.no_recheck", "there is no such re-check")


def keep(folder: RoundFolder, prepared: Prepared, entry: Mapping[str, Any] | None = None) -> Recheck | Refused:
    """Keep what was prepared, with the place in the log that names who vouched for it."""
    value = {**prepared.value, **({"log": dict(entry)} if entry else {})}
    name = f"rechecks/{prepared.id}.{prepared.event}.json"
    folder.keep(name, canonical.encode(value) + b"\n", mode=0o600)
    return read_recheck(folder, prepared.id) or Refused("rounds.no_recheck", "there is no such re-check")


def remedy_of(round: Round) -> str:
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
        opened_by=opened.get("vouched_by", ""),
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
        "recorded_by": answered.get("vouched_by", ""),
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
