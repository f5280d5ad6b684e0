"""The account of a round: its figures, computed from its folder."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tongban.rounds import parquet
from tongban.rounds.answers import Came, came_of
from tongban.rounds.draw import drawn_digest, frozen_statements
from tongban.rounds.figures import (
    BallFigures,
    DepartmentFigures,
    KindFigures,
    PoolFigures,
    ReasonCount,
    RoundFigures,
    RuleFigures,
    Words,
)
from tongban.rounds.folder import STAGES, RoundFolder, Stage
from tongban.rounds.questions import Bytes, Question
from tongban.rounds.recheck import effective, rechecks
from tongban.rounds.results import counts, read_results
from tongban.rounds.round import read_round
from tongban.rounds.steps import corrections, read_heard, read_verdicts
from tongban.rounds.together import claiming
from tongban.rounds.verdicts import NOT_ASKED, Asking, Heard, corrected
from tongban.rules.decision import Outcome
from tongban.rules.verdict import Reason, unpack

#: Stands for every kind that nobody named.
OTHER = ""


@dataclass(frozen=True, slots=True)
class Names:
    """What things are called in front of the public."""

    city: Words
    matter: Words
    departments: Mapping[str, Words]
    pools: Mapping[str, Words]
    demonstration: bool
    kinds: Mapping[str, Words] = field(default_factory=dict)


def account(folder: RoundFolder, asked: Asking, names: Names) -> RoundFigures:
    """The figures of a round that has been decided, or is further. Raises OutOfOrder."""
    folder.need(Stage.DECIDED)
    round, every = read_round(folder), rechecks(folder)
    columns = corrected(read_verdicts(folder), corrections(asked.applications, effective(every)))
    table = read_results(_latest(folder) / "decisions.parquet", ["application", "status", "rule", "reason"])
    by_status, heard, texts = counts(table), read_heard(folder), round.policy.reasons
    came = {rule: list(_came(folder, rule, one)) for rule, one in heard.items()}
    return RoundFigures(
        round=round.id,
        matter=names.matter,
        city=names.city,
        demonstration=names.demonstration,
        stage=folder.stage.value,
        at=round.at,
        received_on=round.received_on,
        answer_due=round.answer_due,
        recheck_due=round.recheck_due,
        answer_days=round.policy.limits["answer_working_days"],
        recheck_days=round.policy.limits["recheck_working_days"],
        provisional=round.provisional,
        seconds=_span([one for some in came.values() for one in some]),
        applications=table.num_rows,
        identity_met=_identity_met(asked, columns),
        eligible=by_status["eligible"],
        not_eligible=by_status["not_eligible"],
        needs_person=by_status["needs_person"],
        decided_by=_without_rule(table, texts),
        rules=tuple(_rule(question, columns[question.rule], texts) for question in asked.questions),
        departments=tuple(_departments(asked.questions, heard, came, names)),
        pools=tuple(_pools(folder, names)),
        parties=round.parties,
        rechecks=len(every),
        rechecks_changed=sum(one.changed for one in every),
        remedies=tuple(Words(one.zh, one.en) for one in round.policy.remedies),
        smallest=round.policy.limits["smallest_published_count"],
        kinds=tuple(_kinds(asked, table, names)),
    )


def _latest(folder: RoundFolder) -> Any:
    """Directory of the findings that count now."""
    frozen = folder.directory(Stage.FROZEN)
    return frozen if frozen.exists() else folder.directory(Stage.DECIDED)


def _identity_met(asked: Asking, columns: Mapping[str, Bytes]) -> int:
    """Applications with all first questions met, at least one; a family's with all of every person's."""
    heads = np.flatnonzero(asked.applications.heads())
    met = claiming(asked.questions, columns)
    return int(np.logical_and.reduceat(met, heads).sum()) if len(heads) else 0


def _kinds(asked: Asking, table: Any, names: Names) -> Iterator[KindFigures]:
    """By kind in the order in which they are named; kinds that nobody named are one."""
    both = pa.table({"kind": asked.applications.kinds(), "status": table["status"].cast(pa.string())})
    found: dict[str, Counter[str]] = {kind: Counter() for kind in (*names.kinds, OTHER)}
    for line in both.group_by(["kind", "status"]).aggregate([([], "count_all")]).to_pylist():
        found[line["kind"] if line["kind"] in names.kinds else OTHER][line["status"]] += line["count_all"]
    for kind, by_status in found.items():
        if by_status:
            counted = {outcome.word: by_status[outcome.word] for outcome in Outcome}
            yield KindFigures(kind, names.kinds.get(kind, Words("其他", "Other")), **counted)


def _without_rule(table: Any, texts: Mapping[str, tuple[str, str]]) -> tuple[ReasonCount, ...]:
    """Findings that no rule gave: doubles, conflicts, kinds without a rule."""
    alone = table.filter(pc.and_(table["rule"].is_null(), table["reason"].is_valid()))
    found = Counter(zip(alone["reason"].to_pylist(), alone["status"].to_pylist(), strict=True))
    return tuple(
        ReasonCount(code, _words(code, texts), "not_met" if status == "not_eligible" else "unknown", number)
        for (code, status), number in sorted(found.items())
    )


def _words(code: str, texts: Mapping[str, tuple[str, str]], own: Reason | None = None) -> Words:
    """The policy's text for a reason, else the rule's own, else its code."""
    if code in texts:
        return Words(*texts[code])
    return Words(own.say, own.say_en) if own else Words(code, code)


def _rule(question: Question, column: Bytes, texts: Mapping[str, tuple[str, str]]) -> RuleFigures:
    by_byte = {byte: int(number) for byte, number in enumerate(np.bincount(column, minlength=256)) if number}
    sums: Counter[str] = Counter()
    reasons = []
    for byte, number in by_byte.items():
        verdict, reason_number = unpack(byte)
        word = "not_asked" if byte == NOT_ASKED else verdict.word
        sums[word] += number
        reason = question.reason(reason_number)
        if word in ("not_met", "unknown") and reason:
            reasons.append(ReasonCount(reason.code, _words(reason.code, texts, reason), word, number))
    return RuleFigures(
        rule=question.rule,
        words=Words(question.title, question.title_en),
        department=question.department,
        met=sums["met"],
        not_met=sums["not_met"],
        unknown=sums["unknown"],
        not_asked=sums["not_asked"],
        reasons=tuple(reasons),
    )


# --- Departments --------------------------------------------------------------------------------


def _came(folder: RoundFolder, rule: str, heard: Heard) -> Iterator[Came]:
    for name, _ in heard.parts:
        if name not in heard.silent and (came := came_of(folder, rule, name)):
            yield came


def _span(came: Sequence[Came]) -> float | None:
    """Seconds from the first question to the last answer."""
    if not came:
        return None
    return max(one.asked_at + one.seconds for one in came) - min(one.asked_at for one in came)


def _departments(
    questions: Sequence[Question], heard: Mapping[str, Heard], came: Mapping[str, list[Came]], names: Names
) -> Iterator[DepartmentFigures]:
    for department in dict.fromkeys(question.department for question in questions):
        own = [question.rule for question in questions if question.department == department]
        yield DepartmentFigures(
            department=department,
            words=names.departments.get(department, Words(department, department)),
            rules=len(own),
            keys=sum(keys for rule in own for _, keys in heard[rule].parts),
            seconds=_span([one for rule in own for one in came[rule]]),
            snapshots=tuple(sorted({day for rule in own for _, day in heard[rule].snapshots})),
            silent=sum(len(heard[rule].silent) for rule in own),
        )


# --- Pools --------------------------------------------------------------------------------------


def _pools(folder: RoundFolder, names: Names) -> Iterator[PoolFigures]:
    if STAGES.index(folder.stage) < STAGES.index(Stage.FROZEN):
        return
    codes = parquet.read(folder.directory(Stage.FROZEN) / "codes.parquet", ["pool", "code", "balls"])
    for pool, statement in frozen_statements(folder).items():
        body, bundle = statement.body, folder.directory(Stage.DRAWN) / pool
        drawn = json.loads((bundle / "draw.json").read_bytes()) if bundle.exists() else {}
        won = _winning_codes(bundle)
        own = codes.filter(pc.equal(codes["pool"], pool))
        yield PoolFigures(
            pool=pool,
            words=names.pools.get(pool, Words(pool, pool)),
            codes=body["codes"],
            balls=body["balls"],
            quota=body["quota"],
            winners=len(won),
            pool_root=body["pool_root"],
            freeze_digest=statement.digest(),
            seed=drawn.get("seed", ""),
            draw_digest=drawn_digest(bundle) if drawn else "",
            log=f"{drawn['log']['origin']} #{drawn['log']['entry']}" if drawn else "",
            opened_by=drawn.get("opened_by", {}),
            by_balls=tuple(_by_balls(own, won)),
        )


def _winning_codes(bundle: Any) -> list[str]:
    if not bundle.exists():
        return []
    return [line.partition(",")[2] for line in (bundle / "winners.csv").read_text().splitlines()]


def _by_balls(codes: Any, won: list[str]) -> Iterator[BallFigures]:
    everybody = Counter(codes["balls"].to_pylist())
    balls_of = dict(zip(codes["code"].to_pylist(), codes["balls"].to_pylist(), strict=True))
    winners = Counter(balls_of[code] for code in won)
    for balls, number in sorted(everybody.items()):
        yield BallFigures(balls, number, winners[balls])
