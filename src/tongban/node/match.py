"""The desk for `match`: one rule, a sorted column of keys, one byte a key.

The keys are on disk, sealed, before the batch is logged, and erased once the persons are committed.
"""

import asyncio
import base64
from datetime import date
from typing import Any

from tongban.calendar.day import day_of
from tongban.exchange import bulk
from tongban.exchange import ticket as tickets
from tongban.exchange.bulk import About, Keys
from tongban.exchange.dates import Dates
from tongban.exchange.ticket import RoundTicket
from tongban.identity.columns import are_citizen_keys, text_keys
from tongban.identity.identifiers import Domain
from tongban.kit.errors import Refused
from tongban.node.gate import Admitted, Answered
from tongban.node.persons import Persons
from tongban.node.questions import STALE, WORDS, Question, Questions
from tongban.node.store import UNREADABLE, Facts, FactStore
from tongban.rules import engine
from tongban.rules.compile import COMPILER_VERSION

_WRONG_DOMAIN = Refused("exchange.wrong_domain", "the rule is not asked by this kind of key")
_BAD_KEYS = Refused("exchange.key_malformed", "a key is not in the one spelling of its kind")
_NO_FACTS = Refused("exchange.register_unavailable", "the facts of this register were not made yet; nothing is known")
_DAMAGED = Refused("exchange.register_unavailable", "the facts of this register cannot be read; nothing is known")
_GONE = Refused("exchange.snapshot_gone", "the snapshot that this round first saw is gone")


class MatchDesk:
    """Evaluates batches, one at a time: two would only share the same cores and twice the memory."""

    def __init__(
        self, questions: Questions, store: FactStore, persons: Persons, memory_mb: int, threads: int, dates: Dates
    ) -> None:
        self._questions, self._store, self._persons = questions, store, persons
        self._memory_mb, self._threads, self._dates = memory_mb, threads, dates
        self._turn = asyncio.Lock()

    async def answer(self, admitted: Admitted, body: bytes) -> Answered | Refused:
        question = self._questions.question(admitted.grant, admitted.directory)
        if isinstance(question, Refused):
            return question
        ticket = admitted.ticket
        assert isinstance(ticket, RoundTicket)
        async with self._turn:
            at = date.fromisoformat(ticket.at)
            held = self._dates.take(admitted.grant.id, "", at, admitted.now)
            if isinstance(held, Refused):
                return held
            answered: Answered | Refused | None = None
            try:
                answered = await asyncio.to_thread(self._judged, admitted, ticket, question, body)
            finally:
                if not isinstance(answered, Answered):
                    held.settle(False, admitted.now)
            if isinstance(answered, Answered):
                answered.after.append(lambda index: held.settle(index is not None, admitted.now))
            return answered

    def _judged(self, admitted: Admitted, ticket: RoundTicket, question: Question, body: bytes) -> Answered | Refused:
        """The whole of it, in a thread."""
        keys = self._keys(ticket, question, body)
        if isinstance(keys, Refused):
            return keys
        try:
            facts = self._facts(ticket, question)
        except UNREADABLE:
            return _DAMAGED
        if isinstance(facts, Refused):
            return facts
        at = date.fromisoformat(ticket.at)
        today = day_of(admitted.now)
        verdicts = self._verdicts(question, keys, facts, at, today)
        about = About(
            rule=question.id,
            rule_digest=question.compiled.digest,
            snapshot=facts.snapshot.id,
            snapshot_date=facts.snapshot.date.isoformat(),
            rows=keys.rows,
            keys=keys.digest,
            compiler=COMPILER_VERSION,
        )
        name = admitted.envelope.request_digest
        salt = self._persons.spool(name, ticket.domain, keys.table.column("k"), verdicts)
        record = _record(ticket, question.resource, about, salt)
        answered = Answered(bulk.write_answer(verdicts, about), "counts", keys.rows, record, "batch")
        answered.after.append(lambda index: self._persons.logged(name, index))
        return answered

    def _keys(self, ticket: RoundTicket, question: Question, body: bytes) -> Keys | Refused:
        asked = {column.name: WORDS[column.type.value] for column in question.compiled.rule.asks}
        keys = bulk.read_keys(body, ticket.domain, asked)
        if isinstance(keys, Refused):
            return keys
        # Whom a batch was about is committed person by person, so each key must be one.
        if not _spelt(Domain(ticket.domain), keys.table.column("k")):
            return _BAD_KEYS
        return tickets.keys_refusal(ticket, keys.digest, keys.rows, question.compiled.digest) or keys

    def _facts(self, ticket: RoundTicket, question: Question) -> Facts | Refused:
        """The snapshot that the round saw first, else the newest, which it has then seen first."""
        pinned = self._persons.pinned(ticket.consumer, ticket.round, question.resource)
        if pinned is None:
            snapshot = self._store.current(question.resource)
        elif (snapshot := self._store.snapshot(question.resource, pinned)) is None:
            return _GONE
        if snapshot is None:
            return _NO_FACTS
        facts = self._store.facts(snapshot, ticket.domain)
        if facts is None:
            return _WRONG_DOMAIN
        self._persons.pin(ticket.consumer, ticket.round, question.resource, snapshot.id)
        return facts

    def _verdicts(self, question: Question, keys: Keys, facts: Facts, at: date, today: date) -> Any:
        import numpy as np

        if question.stale(facts.snapshot.date, at, today):
            return np.full(keys.rows, STALE, np.uint8)
        return engine.evaluate(
            question.compiled,
            keys.table,
            facts.table,
            at=at,
            doubts=facts.doubts["k"],
            memory_mb=self._memory_mb,
            threads=self._threads,
        )


def _spelt(domain: Domain, keys: Any) -> bool:
    if domain is not Domain.CITIZEN:
        return bool(keys.equals(text_keys(domain, keys)))
    return are_citizen_keys(keys)


def _record(ticket: RoundTicket, register: str, about: About, salt: bytes) -> dict[str, Any]:
    return {
        "register": register,
        "persons_salt": base64.b64encode(salt).decode(),
        "round": ticket.round,
        "part": ticket.part,
        "rule": about.rule,
        "rule_digest": about.rule_digest,
        "snapshot": about.snapshot,
        "rows": about.rows,
        "keys": about.keys,
    }
