"""The steps of a round, as commands take them: each opens what it needs, does one step and says what came of it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from tongban.calendar.workdays import shipped_calendar
from tongban.cli import round_check
from tongban.cli.city import City, questions, software
from tongban.demo.parties import seed_parties
from tongban.kit.durable import write_durably
from tongban.kit.errors import Refused
from tongban.rounds import draw as draws
from tongban.rounds import freeze as freezes
from tongban.rounds import publish as publishing
from tongban.rounds import runner, steps
from tongban.rounds.account import account
from tongban.rounds.applications import read_raw
from tongban.rounds.folder import RoundFolder, Stage
from tongban.rounds.lookup import ResultBook
from tongban.rounds.policy import read_policy
from tongban.rounds.questions import Question
from tongban.rounds.recheck import (
    Found,
    Official,
    Prepared,
    Recheck,
    keep,
    prepare_answer,
    prepare_opening,
    recheck_id,
)
from tongban.rounds.report import report
from tongban.rounds.results import counts, read_results
from tongban.rounds.round import Round, log_body, new_round, open_folder, read_round
from tongban.rounds.verdicts import Asking
from tongban.rules.verdict import WORDS, pack

Said = dict[str, Any]


@dataclass
class Steps:
    """Works on the rounds of one city, for one person who acts."""

    city: City
    operator: str

    @cached_property
    def solution(self) -> Any:
        return self.city.solution()

    # --- new ------------------------------------------------------------------------------------------

    async def new(self, id: str | None) -> Said:
        """Open a round; opening it again says the same."""
        named = id or self.city.first_round
        asked = await self._approved_questions()
        policy = read_policy(self.city.solution_folder / "policy", self.city.at, f"demonstration-{self.city.size}")
        round = new_round(
            id=named,
            matter=self.solution.matter,
            at=self.city.at,
            received_on=self.city.world,
            rules={question.rule: question.digest for question in asked},
            policy=policy,
            parties={party.party: party.name for party in seed_parties()} if policy.draws else {},
            days=shipped_calendar(),
        )
        listed = read_raw(self.city.foundation.registers / self.city.consumer / "applications.parquet", policy)
        folder = open_folder(self.city.rounds / named, round, listed.to_bytes())
        entry = await self._kept_entry(
            folder, "receipts/opened.json", {**log_body(named, "opened", round.digest()), "at": round.at.isoformat()}
        )
        return {
            "round": named,
            "at": round.at.isoformat(),
            "applications": int(listed.heads().sum()),
            "rules": len(asked),
            "departments": len({question.department for question in asked}),
            "answer_due": round.answer_due.isoformat(),
            "recheck_due": round.recheck_due.isoformat(),
            "folder": str(folder.path),
            "log": _place(entry),
        }

    async def _approved_questions(self) -> list[Question]:
        async with self.city.door(self.operator) as door:
            return questions(self.solution, door.rules)

    async def _entry(self, body: dict[str, str]) -> dict[str, Any]:
        async with self.city.door(self.operator) as door:
            return await door.round_entry(body)

    # --- verify, decide -------------------------------------------------------------------------------

    async def verify(
        self, id: str | None, watch: Callable[[runner.Told], None], only: frozenset[str], accept_silence: str
    ) -> Said | Refused:
        """Ask all departments at once, then put the answers together; of a round that is further, check its folder."""
        folder = self.city.round(id)
        with folder.locked():
            if folder.stage is not Stage.NEW:
                said = round_check.check(self.city, folder, self.solution.decisions)
                return {"round": folder.name, "stage": folder.stage.value, "asked": 0, **said}
            async with self.city.door(self.operator) as door:
                asked = steps.asking(folder, questions(self.solution, door.rules))
                silent = await runner.ask(folder, asked, door, watch, only=only)
            done = steps.verify(folder, asked, silence_accepted_by=accept_silence)
            if isinstance(done, Refused):
                return {
                    "round": folder.name,
                    "stage": folder.stage.value,
                    "silent": sorted({f"{one.department} {one.rule} ({one.code})" for one in silent}),
                    "what_to_do": "run verify again: only the silent are asked; or --accept-silence STAFF",
                    "exit": 1,
                }
        return {"round": folder.name, "stage": folder.stage.value}

    def _asking(self, folder: RoundFolder) -> Asking:
        """The questions of an opened round: its own digests stand, whatever is approved today."""
        round = read_round(folder)
        approved = {rule: (digest, _text_of(self.solution, rule)) for rule, digest in round.rules.items()}
        return steps.asking(folder, questions(self.solution, approved))

    def decide(self, id: str | None) -> Said:
        folder = self.city.round(id)
        with folder.locked():
            asked = self._asking(folder)
            steps.decide(folder, asked, self.solution.decisions, self.city.approval_key(), software())
        found = counts(read_results(folder.directory(Stage.DECIDED) / "decisions.parquet"))
        return {"round": folder.name, "stage": folder.stage.value, **found}

    def draws(self, id: str | None) -> bool:
        """Whether the matter has a quota to draw for; otherwise the round ends with its findings."""
        return read_round(self.city.round(id)).policy.draws

    def status(self, id: str | None) -> Said:
        """How far it is; from the findings on, every rule's verdicts."""
        folder = self.city.round(id)
        round, stage = read_round(folder), folder.stage
        said: Said = {
            "round": folder.name,
            "stage": stage.value,
            "at": round.at.isoformat(),
            "received_on": round.received_on.isoformat(),
            "answer_due": round.answer_due.isoformat(),
            "recheck_due": round.recheck_due.isoformat(),
        }
        if stage in (Stage.NEW, Stage.VERIFIED):
            answered = sorted(path.stem for path in (folder.path / "answers").glob("*.arrow"))
            return {**said, "answered": answered}
        return {**said, "tables": _tables(account(folder, self._asking(folder), self.city.names(self.solution)))}

    def look(self, id: str | None, application: str, document: str) -> Said | Refused:
        """One person's reasons: for whoever has code and document, and nobody else."""
        found = ResultBook(self.city.round(id)).reasons(application, document)
        if isinstance(found, Refused):
            return found
        rows = [[rule, verdict, reason or ""] for rule, (verdict, reason) in found.verdicts.items()]
        return {
            "application": found.application,
            "status": found.status,
            "rule": found.rule,
            "reason": found.reason,
            **({"role": found.role} if found.role else {}),
            "draw_code": found.code,
            "balls": found.balls,
            "rank": found.rank,
            "not_final": "a finding, not a refusal: ask for a re-check with ./tongban round recheck",
            "tables": [(("rule", "verdict", "reason"), rows)],
        }

    # --- re-checks ------------------------------------------------------------------------------------

    async def open_recheck(
        self, id: str | None, application: str, document: str, rule: str, official: str, because: str, today: date
    ) -> Said | Refused:
        folder = self.city.round(id)
        reasons = ResultBook(folder).reasons(application, document)
        if isinstance(reasons, Refused):
            return reasons
        with folder.locked():
            asked = self._asking(folder)
            question = _question(asked, rule)
            if isinstance(question, Refused):
                return question
            row = asked.applications.row_of(reasons.line)
            assert row is not None
            heard = steps.read_heard(folder)[question.rule]
            snapshot = heard.snapshots[0] if heard.snapshots else ("", read_round(folder).at.isoformat())
            first = Found(int(steps.read_verdicts(folder)[question.rule][row]), *snapshot)
            prepared = prepare_opening(
                folder,
                read_round(folder),
                application=reasons.line,
                rule=question.rule,
                said=because,
                first=first,
                official=Official(official, question.department),
                source=question.department,
                received_on=today,
                days=shipped_calendar(),
                vouched_by=self.operator,
            )
            opened = await self._vouched(folder, prepared)
        if isinstance(opened, Refused):
            return opened
        said = {"recheck": opened.id, "rule": opened.rule, "official": official, "due": opened.due.isoformat()}
        return {**said, "received_on": opened.received_on.isoformat(), "again": opened.again}

    async def _vouched(self, folder: RoundFolder, prepared: Prepared | Recheck | Refused) -> Recheck | Refused:
        """Keep it once the log says who named this official: there is no register of officials to ask."""
        if not isinstance(prepared, Prepared):
            return prepared
        body = log_body(folder.name, prepared.stage, prepared.digest())
        return keep(folder, prepared, await self._entry(body))

    async def answer_recheck(
        self,
        id: str | None,
        application: str,
        document: str,
        rule: str,
        official: str,
        answer: str,
        reason: str,
        explained: str,
        today: date,
    ) -> Said | Refused:
        folder = self.city.round(id)
        known = ResultBook(folder).reasons(application, document)
        if isinstance(known, Refused):
            return known
        with folder.locked():
            round = read_round(folder)
            question = _question(self._asking(folder), rule)
            if isinstance(question, Refused):
                return question
            numbers = {one.code: one.number for one in question.reasons}
            byte = pack(WORDS[answer], numbers.get(reason, 0))
            prepared = prepare_answer(
                folder,
                round,
                recheck_id(round.id, known.line, question.rule),
                second=Found(byte, "by hand", today.isoformat()),
                by=Official(official, question.department),
                explained=explained,
                answered_on=today,
                vouched_by=self.operator,
            )
            recheck = await self._vouched(folder, prepared)
        if isinstance(recheck, Refused):
            return recheck
        said = {"recheck": recheck.id, "changed": recheck.changed, "in_time": recheck.in_time, "remedy": recheck.remedy}
        day = recheck.answered_on.isoformat() if recheck.answered_on else ""
        return {**said, "answered_on": day, "again": recheck.again}

    def back(self, id: str | None, because: str, today: date) -> Said:
        """To before the findings: `verify` then asks what re-checks have opened, and nothing that was answered."""
        folder = self.city.round(id)
        with folder.locked():
            note = {"by": self.operator, "why": because, "on": today.isoformat()}
            folder.set_back(Stage.NEW, note)
        return {"round": folder.name, "stage": folder.stage.value, "next": "./tongban round verify"}

    # --- freeze, draw, publish ------------------------------------------------------------------------

    async def freeze(self, id: str | None, leave_open: bool) -> Said | Refused:
        folder = self.city.round(id)
        with folder.locked():
            round = read_round(folder)
            shares = self._shares(round)
            commitments = {party: draws.commitment(party, share) for party, share in shares.items()}
            done = freezes.freeze(
                folder,
                self._asking(folder),
                self.solution.decisions,
                commitments,
                self.city.approval_key(),
                software(),
                leave_open=leave_open,
            )
            if isinstance(done, Refused):
                return done
            receipts = await self._freeze_receipts(folder, round)
        statements = draws.frozen_statements(folder)
        pools = [[pool, one.body["codes"], one.body["balls"], one.body["quota"]] for pool, one in statements.items()]
        roots = {pool: one.body["pool_root"] for pool, one in statements.items()}
        said = {"round": folder.name, "stage": folder.stage.value, "pool_root": roots}
        said["log"] = {pool: _place(receipt) for pool, receipt in receipts.items()}
        return {**said, "tables": [(("pool", "codes", "balls", "quota"), pools)]}

    async def _freeze_receipts(self, folder: RoundFolder, round: Round) -> dict[str, dict[str, Any]]:
        """The log's entries of the freezes; made once, remembered beside the round."""
        found = {}
        for pool, statement in draws.frozen_statements(folder).items():
            found[pool] = await self._kept_entry(
                folder, f"receipts/frozen.{pool}.json", log_body(round.id, "frozen", statement.digest(), pool)
            )
        return found

    async def _kept_entry(self, folder: RoundFolder, name: str, body: dict[str, str]) -> dict[str, Any]:
        from tongban.kit import canonical

        place = folder.path / name
        if not place.exists():
            entry = await self._entry(body)
            folder.keep(name, canonical.encode(entry) + b"\n")
        return dict(canonical.decode(place.read_bytes().removesuffix(b"\n")))

    def _shares(self, round: Round) -> dict[str, bytes]:
        """The simulated parties' shares of the seed (演示): in earnest each party keeps its own."""
        folder = self.city.folder / "parties" / round.id
        folder.mkdir(parents=True, exist_ok=True)
        return {party: _share(folder / f"{party}.share") for party in round.parties}

    async def draw(self, id: str | None) -> Said | Refused:
        folder = self.city.round(id)
        with folder.locked():
            round = read_round(folder)
            receipts = await self._freeze_receipts(folder, round)
            done = draws.draw(folder, self._shares(round), receipts)
            if isinstance(done, Refused):
                return done
            drawn = folder.directory(Stage.DRAWN)
            for pool in draws.frozen_statements(folder):
                digest = draws.drawn_digest(drawn / pool)
                await self._kept_entry(folder, f"receipts/drawn.{pool}.json", log_body(round.id, "drawn", digest, pool))
        bundles = {pool: str(drawn / pool) for pool in draws.frozen_statements(folder)}
        again = [f"python3 {place}/verify_draw.py {place}" for place in bundles.values()]
        return {"round": folder.name, "stage": folder.stage.value, "bundles": bundles, "draw_again": again}

    def publish(self, id: str | None, reviewer: str, today: date) -> Said | Refused:
        folder = self.city.round(id)
        with folder.locked():
            page = report(account(folder, self._asking(folder), self.city.names(self.solution)))
            done = publishing.publish(folder, page, prepared_by=self.operator, reviewed_by=reviewer, reviewed_on=today)
        if isinstance(done, Refused):
            return done
        place = folder.directory(Stage.PUBLISHED) / "public" / "report.html"
        return {"round": folder.name, "stage": folder.stage.value, "report": str(place)}


def _question(asked: Asking, rule: str) -> Question | Refused:
    """The question that `rule` names, with its date (`no_vehicle@2013-01-01`) or without."""
    found = next((one for one in asked.questions if rule in (one.rule, one.name)), None)
    return found or Refused("rounds.no_such_rule", f"the round asks no rule {rule}")


def _share(path: Path) -> bytes:
    if not path.exists():
        # Whole or not at all: half a share would be committed to at the freeze, and no draw could ever open it.
        write_durably(path, draws.new_reveal(secrets.token_bytes), mode=0o600)
    return path.read_bytes()


def _text_of(solution: Any, rule: str) -> str:
    import hashlib

    from tongban.kit import canonical

    compiled = solution.compile(rule.partition("@")[0])
    return hashlib.sha256(canonical.encode(dict(compiled.text))).hexdigest()


def _place(entry: dict[str, Any]) -> str:
    return f"{entry['origin']} #{entry['entry']}"


def _tables(figures: Any) -> list[Any]:
    rules = [[one.words.zh, one.department, one.met, one.not_met, one.unknown, one.not_asked] for one in figures.rules]
    found = [["符合条件 eligible", figures.eligible], ["不符合条件 not eligible", figures.not_eligible]]
    found.append(["需人工核实 needs a person", figures.needs_person])
    return [
        (("rule", "department", "met", "not met", "unknown", "not asked"), rules),
        (("finding", "applications"), found),
    ]
