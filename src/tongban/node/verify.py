"""The desk for `verify`: one rule, one person, one verdict."""

from datetime import date
from typing import Any

import orjson

from tongban.calendar.day import day_of
from tongban.exchange import ask
from tongban.exchange import ticket as tickets
from tongban.exchange.dates import Dates
from tongban.identity.identifiers import Domain
from tongban.identity.subject import Subject, read_subject
from tongban.kit.errors import Refused
from tongban.node.gate import Admitted, Answered
from tongban.node.questions import STALE, Question, Questions
from tongban.node.snapshots import Snapshot
from tongban.node.store import UNREADABLE, Facts, FactStore
from tongban.rules.compile import COMPILER_VERSION
from tongban.rules.facts import from_plain
from tongban.rules.verdict import unpack

_BAD_SUBJECT = Refused("exchange.bad_subject", "the subject's key is not in its one spelling")
_WRONG_DOMAIN = Refused("exchange.wrong_domain", "the rule is not asked by this kind of key")
_BAD_ASKS = Refused("exchange.wrong_asks", "the asked values are not exactly those that the rule needs")
_NO_FACTS = Refused("exchange.register_unavailable", "the facts of this register were not made yet; nothing is known")
_DAMAGED = Refused("exchange.register_unavailable", "the facts of this register cannot be read; nothing is known")


class VerifyDesk:
    """Looks up one fact row and runs the compiled rule on it."""

    def __init__(self, questions: Questions, store: FactStore, subject_key: bytes, dates: Dates) -> None:
        self._questions, self._store, self._subject_key, self._dates = questions, store, subject_key, dates

    async def answer(self, admitted: Admitted, body: bytes) -> Answered | Refused:
        asked = ask.read_verify(body)
        if isinstance(asked, Refused):
            return asked
        subject = read_subject(asked.domain, asked.key)
        if isinstance(subject, Refused) or subject.key != asked.key:
            return _BAD_SUBJECT
        if refused := tickets.subject_refusal(admitted.ticket, asked.domain, asked.key):
            return refused
        question = self._questions.question(admitted.grant, admitted.directory)
        if isinstance(question, Refused):
            return question
        values = _asked(question, dict(asked.asks))
        if isinstance(values, Refused):
            return values
        return self._judged(admitted, question, subject, values)

    def _judged(
        self, admitted: Admitted, question: Question, subject: Subject, values: dict[str, Any]
    ) -> Answered | Refused:
        try:
            snapshot = self._store.current(question.resource)
            facts = self._store.facts(snapshot, str(subject.domain)) if snapshot else None
        except UNREADABLE:
            return _DAMAGED
        if snapshot is None:
            return _NO_FACTS
        if facts is None:
            return _WRONG_DOMAIN
        at, person = date.fromisoformat(admitted.ticket.at), subject.pseudonym(self._subject_key)
        byte = _verdict(question, facts, subject, values, at, admitted.now)
        answered = _answered(question, snapshot, byte, person)
        if byte == STALE:
            # Said of the register, whoever is asked about: a mistyped year must not cost a person the right one.
            return answered
        held = self._dates.take(admitted.grant.id, person, at, admitted.now)
        if isinstance(held, Refused):
            return held
        answered.after.append(lambda index: held.settle(index is not None, admitted.now))
        return answered


def _verdict(question: Question, facts: Facts, subject: Subject, values: dict[str, Any], at: date, now: float) -> int:
    if question.stale(facts.snapshot.date, at, day_of(now)):
        return STALE
    key = subject.packed() if subject.domain is Domain.CITIZEN else subject.key
    return question.compiled.single(facts.row(key), values, at, facts.doubtful(key))


def _answered(question: Question, snapshot: Snapshot, byte: int, person: str) -> Answered:
    verdict, number = unpack(byte)
    reason = question.compiled.rule.reason(number)
    said = {
        "verdict": verdict.word,
        "reason": reason.code if reason else "",
        "snapshot": {"id": snapshot.id, "date": snapshot.date.isoformat()},
        "rule_digest": question.compiled.digest,
        "compiler": COMPILER_VERSION,
    }
    about = {
        "subjects": [person],
        "fields": [],
        "verdict": byte,
        "snapshot": snapshot.id,
        "rule_digest": question.compiled.digest,
    }
    return Answered(orjson.dumps(said), "verdict", 1, about)


def _asked(question: Question, given: dict[str, Any]) -> dict[str, Any] | Refused:
    """The asked values in the rule's types."""
    columns = {column.name: column for column in question.compiled.rule.asks}
    if given.keys() != columns.keys():
        return _BAD_ASKS
    try:
        return {name: from_plain(value, columns[name].type) for name, value in given.items()}
    except ValueError:
        return _BAD_ASKS
