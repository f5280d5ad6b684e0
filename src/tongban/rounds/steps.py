"""The two steps that turn answers into findings: verified, decided.

Each can be run again at any time: with the same input it does nothing, with other input it is refused.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tongban.kit import canonical
from tongban.kit.errors import Invalid, Refused
from tongban.kit.keys import SigningKey
from tongban.kit.statement import Statement, from_json, sign
from tongban.rounds import parquet, results
from tongban.rounds import verdicts as verdicts_room
from tongban.rounds.answers import answer_of
from tongban.rounds.applications import Applications, read_applications
from tongban.rounds.folder import RoundFolder, Stage, file_digest
from tongban.rounds.questions import Bytes, Question
from tongban.rounds.recheck import Recheck, bytes_by_row, effective, rechecks
from tongban.rounds.round import Round, read_round
from tongban.rounds.verdicts import Asking, Heard, Verdicts
from tongban.rules.decision import Decision, Group


class OtherRules(Invalid):
    """The rules in hand are not those that the round was opened with."""

    code = "rounds.other_rules"
    message = "Round {round} was opened with other rules: {rules}."
    remedy = "Install the version of the solution with which it was opened."


def asking(folder: RoundFolder, questions: Sequence[Question]) -> Asking:
    """The round's questions over its list, with what re-checks have corrected. Raises OtherRules.

    Once verified, the corrections are those of that time: later ones wait for the freeze, or for the round to be set
    back to "new" so that departments can be asked about newly confirmed applications.
    """
    check_rules(read_round(folder), questions)
    applications = read_applications(folder.path / "applications.parquet")
    return Asking(questions, applications, corrections(applications, _counted(folder)))


def _counted(folder: RoundFolder) -> list[Recheck]:
    answered = effective(rechecks(folder))
    if folder.stage is Stage.NEW:
        return answered
    then = _held(folder)["rechecks"]
    return [one for one in answered if one.id in then]


def corrections(applications: Applications, some: Sequence[Recheck]) -> dict[str, dict[int, int]]:
    """Second answers by rule and row. Applications that are not in the list have none."""
    rows = {one.application: row for one in some if (row := applications.row_of(one.application)) is not None}
    return bytes_by_row([one for one in some if one.application in rows], rows)


def check_rules(round: Round, questions: Sequence[Question]) -> None:
    given = {question.rule: question.digest for question in questions}
    if given != dict(round.rules):
        differs = sorted(rule for rule in {*given, *round.rules} if given.get(rule) != round.rules.get(rule))
        raise OtherRules(round=round.id, rules=", ".join(differs))


# --- Verified -----------------------------------------------------------------------------------


def verify(folder: RoundFolder, asked: Asking, *, silence_accepted_by: str = "") -> bool | Refused:
    """Close the asking: put all answers together into stage "verified".

    Refused while a department is silent, unless somebody (a staff number) accepts that for this round: those
    applications are then unknown / no_answer and go to a person.
    """
    round = read_round(folder)
    found = asked.assemble(lambda part: answer_of(folder, round, part))
    silent = {rule: list(heard.silent) for rule, heard in found.heard.items() if heard.silent}
    if silent and not silence_accepted_by:
        return Refused("rounds.departments_silent", f"no answer yet to {', '.join(sorted(silent))}")
    inputs = {
        "round": round.digest(),
        "applications": file_digest(folder.path / "applications.parquet"),
        **{f"answers {rule}": canonical.digest(_heard_json(heard)) for rule, heard in found.heard.items()},
    }
    accepted = silence_accepted_by if silent else ""
    counted = [one.id for one in _counted(folder)]
    return folder.step(Stage.VERIFIED, inputs, lambda place: _write_verdicts(place, asked, found, accepted, counted))


def _write_verdicts(place: Path, asked: Asking, found: Verdicts, accepted_by: str, counted: list[str]) -> None:
    verdicts_room.write(found.columns, asked.applications, place / "verdicts.parquet")
    heard = {rule: _heard_json(one) for rule, one in found.heard.items()}
    held = {"heard": heard, "silence_accepted_by": accepted_by, "rechecks": counted}
    (place / "heard.json").write_bytes(canonical.encode(held) + b"\n")


def _heard_json(heard: Heard) -> dict[str, Any]:
    return {
        "answers": heard.answers,
        "snapshots": [{"id": id, "date": day} for id, day in heard.snapshots],
        "parts": [{"name": name, "keys": keys} for name, keys in heard.parts],
        "silent": list(heard.silent),
    }


def read_heard(folder: RoundFolder) -> dict[str, Heard]:
    """What was heard for each rule. Raises OutOfOrder before "verified"."""
    return {rule: _heard_from_json(one) for rule, one in _held(folder)["heard"].items()}


def _heard_from_json(value: Mapping[str, Any]) -> Heard:
    return Heard(
        answers=value["answers"],
        snapshots=tuple((one["id"], one["date"]) for one in value["snapshots"]),
        parts=tuple((one["name"], one["keys"]) for one in value["parts"]),
        silent=tuple(value["silent"]),
    )


def _held(folder: RoundFolder) -> dict[str, Any]:
    folder.need(Stage.VERIFIED)
    return dict(canonical.decode((folder.directory(Stage.VERIFIED) / "heard.json").read_bytes().removesuffix(b"\n")))


def read_verdicts(folder: RoundFolder) -> dict[str, Bytes]:
    """The verdict columns by rule id. Raises OutOfOrder before "verified"."""
    folder.need(Stage.VERIFIED)
    return verdicts_room.read_columns(folder.directory(Stage.VERIFIED) / "verdicts.parquet")


# --- Decided ------------------------------------------------------------------------------------


def decide(
    folder: RoundFolder, asked: Asking, decisions: Mapping[str, Decision], key: SigningKey, software: Mapping[str, str]
) -> bool:
    """Find for every application what the verdicts come to: stage "decided", with its signed manifest.

    `software`: names and versions that had a hand in it, for the manifest. Raises OutOfOrder, Contradicted.
    """
    folder.need(Stage.VERIFIED)
    inputs = {
        "verdicts": folder.digest_of(Stage.VERIFIED),
        "decisions": canonical.digest({kind: decision_json(one) for kind, one in decisions.items()}),
    }

    def write(place: Path) -> None:
        write_findings(folder, place, asked, decisions, read_verdicts(folder), key, software)

    return folder.step(Stage.DECIDED, inputs, write)


def write_findings(
    folder: RoundFolder,
    place: Path,
    asked: Asking,
    decisions: Mapping[str, Decision],
    columns: Mapping[str, Bytes],
    key: SigningKey,
    software: Mapping[str, str],
) -> Any:
    """Write decisions.parquet and manifest.json into `place`; returns the result table."""
    policy = read_round(folder).policy
    findings = results.decide(asked.questions, decisions, asked.applications, columns, policy)
    table = results.result_table(asked.questions, asked.applications, findings)
    parquet.write(table, place / "decisions.parquet")
    if asked.applications.families:
        members = results.member_table(asked.questions, asked.applications, columns)
        parquet.write(members, place / "members.parquet")
    body = _manifest(folder, place, asked.applications, table, software)
    (place / "manifest.json").write_bytes(canonical.encode(sign(body, key).to_json()) + b"\n")
    return table


def _manifest(
    folder: RoundFolder, place: Path, applications: Applications, table: Any, software: Mapping[str, str]
) -> dict[str, Any]:
    """Body of the statement that stands for the results."""
    round = read_round(folder)
    heard = read_heard(folder)
    return {
        "kind": "round-results",
        "v": 1,
        "round": round.id,
        "matter": round.matter,
        "at": round.at.isoformat(),
        "applications": file_digest(folder.path / "applications.parquet"),
        "results": file_digest(place / "decisions.parquet"),
        "rows": table.num_rows,
        "counts": results.counts(table),
        "rules": dict(round.rules),
        "answers": {rule: one.answers for rule, one in heard.items()},
        "snapshots": {rule: _heard_json(one)["snapshots"] for rule, one in heard.items()},
        "software": dict(software),
    }


def decision_json(decision: Decision) -> dict[str, Any]:
    """A decision's meaning, for its digest."""
    return {
        "kind": decision.kind,
        "whole": _group_json(decision.whole),
        "identity": decision.identity,
        "silences": dict(decision.silences),
    }


def _group_json(part: "str | Group") -> Any:
    if isinstance(part, str):
        return part
    return {"kind": part.kind, "count": part.count, "parts": [_group_json(inner) for inner in part.parts]}


def read_manifest(place: Path) -> Statement:
    """The signed manifest in a stage's directory; its signature is still to be checked."""
    return from_json(canonical.decode((place / "manifest.json").read_bytes().removesuffix(b"\n")))
