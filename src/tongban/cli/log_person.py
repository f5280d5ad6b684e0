"""Who looked at a person's data, as the log of one department tells it: by pseudonym, for the log's owner only."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from tongban.cli import log_read
from tongban.exchange import ticket
from tongban.exchange.ticket import CaseTicket, RoundTicket
from tongban.identity.subject import Subject
from tongban.rules.verdict import unpack
from tongban.tlog import folder, person_table
from tongban.tlog.entry import Stored
from tongban.tlog.pseudonym import unspelt

_TICKET = re.compile(r'^"tongban-ticket": ([A-Za-z0-9_-]+)$', re.MULTILINE)
_PERSONAL = frozenset({"request", "call", "refused", "repeat", "answer"})


@dataclass(frozen=True, slots=True)
class Look:
    """One entry about the person."""

    entry: int
    at: str
    who: str  #: member that asked
    operator: str
    asked: str  #: member that was asked
    what: str
    purpose: str
    case: str
    result: str
    sure: bool = True  #: False: the case's ticket names the person beside others; who was asked about is not logged


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch whose keys are of the person's kind."""

    entry: int
    at: str
    who: str
    rule: str
    purpose: str
    case: str
    persons: int
    result: str
    among: bool | None = None  #: whether she is one of its persons; None: their table is not here
    committed: int | None = None  #: entry that commits to the persons; None: not yet, or on the asker's side


@dataclass(frozen=True, slots=True)
class Destroyed:
    """Records that are not there any more; whose they were nobody can say."""

    entry: int
    first: int
    until: int
    of: str  #: their class
    count: int
    basis: str


@dataclass
class Found:
    """What the log says of one person."""

    looks: list[Look]
    batches: list[Batch]
    destroyed: list[Destroyed]


#: The same under every page, whoever it is about: looks that the law keeps secret must show in nothing.
SECRECY = (
    "法律规定应当保密的查询不在此列，任何人的页面上都写着这句话。"
    " · Looks that a statute keeps secret are not listed here; this sentence stands under everybody's page."
)


def find(directory: Path, subject: Subject, advance: Callable[[int], None]) -> Found:
    """Everything in the log about `subject`. Raises NotALog, SubjectKeyMissing."""
    search = _Search(directory, subject)
    return search.through(log_read.entries(directory, advance))


class _Search:
    def __init__(self, directory: Path, subject: Subject) -> None:
        key = folder.subject_key(directory)
        self._directory, self._subject, self._name = directory, subject, subject.pseudonym(key)
        self._raw = unspelt(key, subject.domain, subject.key)
        self._looks: dict[int, Look] = {}
        self._batches: dict[int, Batch] = {}
        self._destroyed: list[Destroyed] = []

    def through(self, entries: Iterable[Stored]) -> Found:
        for one in entries:
            leaf = log_read.leaf_of(one)
            kind = leaf.get("kind")
            if kind == "batch-persons":
                self._committed(leaf, one.index)
            elif kind == "destruction":
                body = leaf["body"]
                about = (body["from"], body["until"], body["class"], body["count"], body["basis"])
                self._destroyed.append(Destroyed(one.index, *about))
            elif kind == "batch":
                self._batch(one, leaf)
            elif kind in _PERSONAL and one.record:
                self._personal(str(kind), one, leaf)
        return Found(list(self._looks.values()), list(self._batches.values()), self._destroyed)

    def _personal(self, kind: str, one: Stored, leaf: Mapping[str, Any]) -> None:
        assert one.record is not None
        record = orjson.loads(one.record)
        if self._name in record.get("subjects", ()):
            self._looks[one.index] = _look(kind, one.index, record)
        elif kind == "answer":
            self._answer(record)
        elif kind == "repeat":
            self._repeat(one.index, record)
        elif record.get("call") == "match":
            self._batch(one, leaf)
        elif kind == "refused":
            self._refused(one.index, record)

    def _answer(self, record: Mapping[str, Any]) -> None:
        """The answer to one of the looks that this log's own department made."""
        index = record["request_entry"]
        if index in self._looks:
            self._looks[index] = replace(self._looks[index], result=_result(record))
        elif index in self._batches:
            self._batches[index] = replace(self._batches[index], result=_result(record))

    def _repeat(self, index: int, record: Mapping[str, Any]) -> None:
        if record.get("repeat_of") in self._looks:
            look = _look("repeat", index, record)
            self._looks[index] = replace(look, result=f"the answer of entry {record['repeat_of']} again")

    def _refused(self, index: int, record: Mapping[str, Any]) -> None:
        """A refusal is logged without a person; the ticket that came with the call says whom the case concerns."""
        held = ticket_of(record)
        if isinstance(held, CaseTicket) and held.covers(str(self._subject.domain), self._subject.key):
            look = _look("refused", index, record)
            self._looks[index] = replace(look, sure=len(held.subjects) == 1)

    def _batch(self, one: Stored, leaf: Mapping[str, Any]) -> None:
        record = log_read.record_of(one) or {}
        held = ticket_of(record)
        if isinstance(held, RoundTicket) and held.domain == str(self._subject.domain):
            who, rule = record.get("consumer", ""), record.get("rule") or record.get("resource", "")
            about = (who, rule, record.get("purpose", ""), record.get("case", ""), held.count, _outcome(leaf, record))
            at = place_of(self._directory, one.index, held.count, self._raw)
            among = None if at is None else at >= 0
            self._batches[one.index] = Batch(one.index, record.get("at", ""), *about, among)

    def _committed(self, leaf: Mapping[str, Any], index: int) -> None:
        batch = self._batches.get(leaf.get("batch", -1))
        if batch is not None:
            self._batches[batch.entry] = replace(batch, committed=index)


def place_of(directory: Path, batch: int, count: int, name: bytes) -> int | None:
    """Place of the person with this pseudonym (16 bytes) in a batch; -1: she is not in it; None: nobody can tell."""
    table = person_table.names(directory, batch, count)
    if table is None:
        return None
    found = (table == bytearray(name)).all(axis=1).nonzero()[0].tolist()
    return int(found[0]) if found else -1


def ticket_of(record: Mapping[str, Any]) -> CaseTicket | RoundTicket | None:
    """The ticket that came with a logged call; its signature was judged when the call came."""
    base = record.get("base")
    text = _TICKET.search(base) if isinstance(base, str) else None
    read = ticket.read(text[1]) if text else None
    return read if isinstance(read, CaseTicket | RoundTicket) else None


def _look(kind: str, index: int, record: Mapping[str, Any]) -> Look:
    said = {name: str(record.get(name, "")) for name in ("at", "operator", "purpose", "case", "resource")}
    fields = ", ".join(record.get("fields", []))
    what = f"{record.get('call', '')} {said['resource']}{f' ({fields})' if fields else ''}"
    result = _outcome({"kind": kind}, record)
    who, asked = str(record.get("consumer", "")), str(record.get("provider", ""))
    return Look(index, said["at"], who, said["operator"], asked, what, said["purpose"], said["case"], result)


def _outcome(leaf: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    return "no answer that counts" if leaf.get("kind") == "request" else _result(record)


def _result(record: Mapping[str, Any]) -> str:
    """What came of it, without what was said: the answer itself is not in the log."""
    if record.get("code") or record.get("status") != 200:
        return f"refused: {record.get('code') or record.get('status')}"
    if record.get("outcome") == "records":
        return f"{record.get('rows', '?')} records"
    if record.get("outcome") == "verdict":
        return f"verdict {unpack(record['verdict'])[0].word}"
    return "answered"
