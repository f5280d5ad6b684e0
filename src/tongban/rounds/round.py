"""A round: one matter, one evaluation date, one list of applications, one draw where there is something to draw.

Everything that could be argued about later is fixed when the round is opened: the rules by digest, the policy
by value, the seed parties by name, and the two dates by which departments must have answered.
"""

import hmac
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tongban.calendar.workdays import WorkingDays
from tongban.kit import canonical
from tongban.kit.errors import Invalid
from tongban.rounds.folder import NoRound, RoundFolder
from tongban.rounds.policy import Policy, from_json

SECRET_BYTES = 32
_ROUND_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PARTY = re.compile(r"[a-z0-9-]{1,40}")


class NotARound(Invalid):
    """The particulars of a round do not hold."""

    code = "rounds.not_a_round"
    message = "The round cannot be opened: {what}."
    remedy = "Correct the particulars and open it again; nothing was written."


class SecondDate(Invalid):
    """The same list is to be evaluated for another day."""

    code = "rounds.second_date"
    message = "Round {round} holds the same applications for the evaluation date {at}; a second date is refused."
    remedy = "Go on with that round. By asking for many days, verdicts about a person would become the person's dates."


@dataclass(frozen=True, slots=True)
class Round:
    """One round as it was opened."""

    id: str  #: "2014-3"
    matter: str  #: "car_lottery"
    at: date  #: evaluation date: every rule is asked for this day
    received_on: date  #: the day on which departments were handed the list
    answer_due: date  #: served to the departments with the list, so kept as a fact, not derived again
    recheck_due: date  #: for a re-check received on the same day as the list
    provisional: bool  #: a notice of holidays that is still to come may move one of the two
    rules: Mapping[str, str]  #: rule id to the digest that its owner approved
    policy: Policy
    parties: Mapping[str, str]  #: seed parties, id to name

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "matter": self.matter,
            "at": self.at.isoformat(),
            "received_on": self.received_on.isoformat(),
            "answer_due": self.answer_due.isoformat(),
            "recheck_due": self.recheck_due.isoformat(),
            "provisional": self.provisional,
            "rules": dict(self.rules),
            "policy": self.policy.to_json(),
            "parties": dict(self.parties),
        }

    def digest(self) -> str:
        return canonical.digest(self.to_json())


def new_round(
    *,
    id: str,
    matter: str,
    at: date,
    received_on: date,
    rules: Mapping[str, str],
    policy: Policy,
    parties: Mapping[str, str],
    days: WorkingDays,
) -> Round:
    """A round with its dates worked out by the calendar `days`. Raises NotARound."""
    if not _ROUND_ID.fullmatch(id):
        raise NotARound(what="its id must be 1 to 64 characters of A-Z a-z 0-9 . _ -")
    if policy.draws and not policy.quotas:
        raise NotARound(what=f"no quota is in force for the scale {policy.scale!r}")
    if missing := {"answer_working_days", "recheck_working_days", "smallest_published_count"} - set(policy.limits):
        raise NotARound(what=f"the policy has no limit {', '.join(sorted(missing))}")
    if (policy.draws and len(parties) < 2) or not all(map(_PARTY.fullmatch, parties)):
        # One party alone would know the seed, and so the winners, before the freeze.
        raise NotARound(what="at least two seed parties are needed, their ids of a-z 0-9 -")
    if received_on < at:
        raise NotARound(what="departments cannot have been handed a list that is still open")
    answer, recheck = (
        days.add_working_days(received_on, policy.limits[limit])
        for limit in ("answer_working_days", "recheck_working_days")
    )
    return Round(
        id=id,
        matter=matter,
        at=at,
        received_on=received_on,
        answer_due=answer.day,
        recheck_due=recheck.day,
        provisional=answer.provisional or recheck.provisional,
        rules=dict(rules),
        policy=policy,
        parties=dict(parties),
    )


def round_from_json(value: Mapping[str, Any]) -> Round:
    """The round that `to_json` wrote."""
    dates = {name: date.fromisoformat(value[name]) for name in ("at", "received_on", "answer_due", "recheck_due")}
    return Round(
        id=value["id"],
        matter=value["matter"],
        provisional=value["provisional"],
        rules=dict(value["rules"]),
        policy=from_json(value["policy"]),
        parties=dict(value["parties"]),
        **dates,
    )


def open_folder(
    path: Path, round: Round, applications: bytes, make_secret: Callable[[int], bytes] = os.urandom
) -> RoundFolder:
    """Put a new round into the folder `path`: its normalised list (Parquet bytes), its secret, itself.

    Opening the same round with the same list again does nothing, at whatever point it was interrupted.
    Raises Contradicted if the folder holds another round, or this one with another list; SecondDate if this round,
    or another one beside it over the same list, has another evaluation date.
    """
    folder = RoundFolder(path)
    with folder.locked():
        _check_date(path, round, applications)
        folder.keep("applications.parquet", applications)
        if not (path / "round.key").exists():
            folder.keep("round.key", make_secret(SECRET_BYTES), mode=0o600)
        # Last: a folder is a round from this rename on.
        folder.keep("round.json", canonical.encode(round.to_json()) + b"\n")
    return folder


def _check_date(path: Path, round: Round, applications: bytes) -> None:
    """Raises SecondDate."""
    for held in sorted(path.parent.glob("*/round.json")):
        other = read_round(RoundFolder(held.parent))
        if other.at == round.at or other.matter != round.matter:
            continue
        if held.parent == path or (held.parent / "applications.parquet").read_bytes() == applications:
            raise SecondDate(round=other.id, at=other.at.isoformat())


def read_round(folder: RoundFolder) -> Round:
    """Raises NoRound."""
    place = folder.path / "round.json"
    if not place.exists():
        raise NoRound(path=folder.path)
    return round_from_json(canonical.decode(place.read_bytes().removesuffix(b"\n")))


def read_secret(folder: RoundFolder) -> bytes:
    """The key of this round's draw codes; it never leaves the department that runs the round."""
    return (folder.path / "round.key").read_bytes()


def salted(secret: bytes, what: str, digest: str) -> str:
    """A digest that may be published although what it stands for could be guessed: a few verdicts, a few re-checks.

    Whoever must check it (a department, a court) is told the salt, HMAC-SHA-256(secret, "tongban/salt/1\n" what).
    """
    salt = hmac.digest(secret, f"tongban/salt/1\n{what}".encode(), "sha256")
    return hmac.digest(salt, digest.encode(), "sha256").hex()


def log_body(round: str, stage: str, digest: str, pool: str = "") -> dict[str, str]:
    """Body of the `round` entry for the transparency log.

    A stage that happens once a pool names it, `2014-3/persons`: two freezes of one pool are then seen to be two.
    """
    return {"round": f"{round}/{pool}" if pool else round, "stage": stage, "digest": digest}
