"""The desk for `query`: records of one person, granted fields only, masked where the owner says so."""

import asyncio
import time
import unicodedata
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson

from tongban.catalogue.grading import apply_mask
from tongban.exchange import ask
from tongban.exchange import grant as grants
from tongban.exchange import ticket as tickets
from tongban.exchange.envelope import LONGEST_ANSWER
from tongban.exchange.grant import Grant
from tongban.exchange.listing import Resource
from tongban.exchange.ticket import Ticket
from tongban.identity.identifiers import Domain, judge
from tongban.kit.errors import Refused, Unavailable
from tongban.node.adapters.register import (
    MOST_ROWS,
    AwaitedQuery,
    PointQuery,
    Register,
    RegisterBusy,
    RegisterChanged,
    SelectRefused,
)
from tongban.node.config import DOCUMENTS, ResourceConfig
from tongban.node.gate import Admitted, Answered
from tongban.node.store import UNREADABLE, Facts, FactStore
from tongban.tlog.pseudonym import pseudonym

_MOST_PEOPLE = 20_000
_NOT_SERVED = Refused("exchange.resource_not_served", "this node does not answer queries on that resource")
_BAD_SUBJECT = Refused("exchange.bad_subject", "the subject's key is not in its one spelling")
_WRONG_DOMAIN = Refused("exchange.wrong_domain", "the resource is not asked by this kind of key")
_DOWN = Refused("exchange.register_unavailable", "the department's register does not answer; nothing is known")
_CHANGED = Refused("exchange.register_changed", "the department's register has changed its shape; nothing is known")
_SLOW = Refused("exchange.register_slow", "the department's register did not answer in time; nothing is known")
_UNCLEAR = Refused(
    "exchange.register_unclear", "the register may keep this number under another spelling; nothing is known"
)
_TOO_MANY = Refused("exchange.too_many_records", "more records, or longer ones, carry this key than an answer may hold")


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one grant's rows become records: worked out once a grant and list of fields."""

    listed: Resource  #: the catalogue entry it was worked out with
    places: tuple[int, ...]
    names: tuple[str, ...]
    masks: tuple[str | None, ...]
    masked: tuple[str, ...]


class QueryDesk:
    """Reads the register itself, through the reviewed SELECT of the resource."""

    def __init__(
        self,
        resources: Mapping[str, ResourceConfig],
        registers: Mapping[str, Register],
        subject_key: bytes,
        read_seconds: float,
        store: FactStore,
    ) -> None:
        self._resources, self._registers, self._store = resources, registers, store
        self._subject_key, self._seconds = subject_key, read_seconds
        self._queries: dict[str, PointQuery | AwaitedQuery] = {}
        self._plans: dict[tuple[str, tuple[str, ...]], _Plan] = {}
        #: By register: a thread of its own, so that a register that hangs takes no other's calls with it.
        self._threads: dict[str, ThreadPoolExecutor] = {}
        #: (ticket, domain, key) → the ticket itself, pseudonym: one case asks several times within minutes.
        self._people: dict[tuple[str, str, str], tuple[Ticket, str]] = {}

    async def answer(self, admitted: Admitted, body: bytes) -> Answered | Refused:
        asked = ask.read_query(body)
        if isinstance(asked, Refused):
            return asked
        subject = asked.subject
        person = self._person(admitted.ticket, subject)
        if isinstance(person, Refused):
            return person
        if subject.domain not in admitted.directory.resources[admitted.grant.resource].domains:
            return _WRONG_DOMAIN
        if refused := grants.fields_refusal(admitted.grant, asked.fields):
            return refused
        rows = await self._read(admitted.grant, subject)
        if isinstance(rows, Refused):
            return rows
        return self._answered(admitted, person, tuple(asked.fields), rows)

    def _person(self, ticket: Ticket, subject: ask.Asked) -> str | Refused:
        """Pseudonym of the subject, once it is known to be the ticket's and in its one spelling."""
        named = (ticket.id, subject.domain, subject.key)
        known = self._people.get(named)
        # Ids are chosen by whoever issues a ticket: another ticket may have the same and not name this subject.
        if known is not None and known[0] is ticket:
            return known[1]
        if refused := tickets.subject_refusal(ticket, subject.domain, subject.key):
            return refused
        # A ticket may name a key in another spelling; a register that does not care would answer, and the look
        # would stand in the log under a person who does not exist.
        # So would one by a citizen number that calls itself a passport's.
        domain = Domain(subject.domain)
        if judge(domain, subject.key) != subject.key or (
            domain is not Domain.CITIZEN and judge(Domain.CITIZEN, subject.key) == subject.key
        ):
            return _BAD_SUBJECT
        if len(self._people) >= _MOST_PEOPLE:
            self._people.clear()
        person = pseudonym(self._subject_key, subject.domain, subject.key)
        self._people[named] = ticket, person
        return person

    def _answered(
        self, admitted: Admitted, person: str, fields: tuple[str, ...], rows: Sequence[Sequence[Any]]
    ) -> Answered | Refused:
        plan = self._plan(admitted.grant, admitted.directory.resources[admitted.grant.resource], fields)
        if plan is None:
            return _CHANGED
        records = [_record(plan, row) for row in rows]
        said = {"records": records, "masked": plan.masked, "directory": admitted.directory.version}
        about = {"subjects": [person], "fields": list(fields), "rows": len(records)}
        try:
            body = orjson.dumps(said)
        except TypeError:
            # A value that is no text and no number: the register was not always so.
            return _CHANGED
        return _TOO_MANY if len(body) > LONGEST_ANSWER["query"] else Answered(body, "records", 1, about)

    # --- reading --------------------------------------------------------------------------------------

    async def _read(self, grant: Grant, subject: ask.Asked) -> Sequence[Sequence[Any]] | Refused:
        """Rows of the subject that lie within the grant's row condition, all columns of the SELECT."""
        try:
            query = self._query(grant.resource)
            if query is None:
                return _NOT_SERVED
            config = self._resources[grant.resource]
            key, facts = self._facts(config, subject)
            rows = await self._rows(query, config.register, subject.key)
            if facts and (spellings := facts.spellings(key)):
                readings = [rows]
                for spelling in spellings:
                    found = await self._rows(query, config.register, spelling)
                    # A register that compares loosely finds the same rows under several spellings.
                    if found not in readings:
                        readings.append(found)
                rows = [row for found in readings for row in found]
        except (RegisterChanged, SelectRefused):
            return _CHANGED
        except Unavailable:
            return _DOWN
        except TimeoutError:
            return _SLOW
        # Before any row is left out: of more than were read, nobody knows what the others say.
        if len(rows) >= MOST_ROWS:
            return _TOO_MANY
        rows = self._of_kind(rows, query, grant.resource, subject.domain)
        # Before the grant's condition: a row outside it is there, and known.
        if not rows and _unclear(config, facts, key):
            return _UNCLEAR
        if not grant.rows:
            return rows
        return [row for row in rows if grants.admits(grant, dict(zip(query.columns, row, strict=True)))]

    def _facts(self, config: ResourceConfig, subject: ask.Asked) -> tuple[int | str, Facts | None]:
        """The subject's key as fact tables have it, and what the newest one knows of the register's spellings."""
        if config.facts is None:
            return subject.key, None
        # As `pack` gives it, of a number that was judged already.
        key = int(subject.key[:17]) if subject.domain == Domain.CITIZEN else subject.key
        try:
            snapshot = self._store.current(config.id)
            return key, self._store.facts(snapshot, subject.domain) if snapshot else None
        except UNREADABLE:
            # Facts that cannot be read take nothing from what the register says; only its silence says nothing then.
            return key, None

    async def _rows(self, query: PointQuery | AwaitedQuery, register: str, key: str) -> Sequence[Sequence[Any]]:
        if query.awaited:
            return await query.look(key, time.monotonic() + self._seconds)
        if query.quick:
            try:
                return query.read(key)
            except RegisterBusy:
                pass  # a writer has it: wait for it in the register's own thread
        thread = self._threads.get(register)
        if thread is None:
            thread = self._threads[register] = ThreadPoolExecutor(1, f"register-{register}")
        until = time.monotonic() + self._seconds
        async with asyncio.timeout(self._seconds):
            return await asyncio.get_running_loop().run_in_executor(thread, query.slowly, key, until)

    def _of_kind(
        self, rows: Sequence[Sequence[Any]], query: PointQuery | AwaitedQuery, resource: str, domain: str
    ) -> Sequence[Sequence[Any]]:
        """Of a register with several kinds of document, the rows of the subject's: numbers of two may be equal."""
        facts = self._resources[resource].facts
        if facts is None or not facts.document:
            return rows
        place = query.columns.index(facts.document)
        return [row for row in rows if _document_domain(row[place]) == domain]

    def _query(self, resource: str) -> PointQuery | AwaitedQuery | None:
        query = self._queries.get(resource)
        if query is None:
            config = self._resources.get(resource)
            if config is None or not config.point:
                return None
            query = self._registers[config.register].point(config.point)
            document = config.facts.document if config.facts else ""
            if document and document not in query.columns:
                # Numbers of two kinds of document may be equal: these rows may be somebody else's.
                raise RegisterChanged(register=config.register, what=f"point gives no {document}")
            self._queries[resource] = query
        return query

    def _plan(self, grant: Grant, listed: Resource, fields: tuple[str, ...]) -> _Plan | None:
        """None: the SELECT does not give a field that the directory lists."""
        plan = self._plans.get((grant.digest, fields))
        if plan is None or plan.listed is not listed:
            config, columns = self._resources[grant.resource], self._queries[grant.resource].columns
            if not set(fields) <= set(columns):
                return None
            # What the owner published as masked stays so, even if node.toml forgets it.
            published = {field.name: field.mask for field in listed.fields}
            masks = tuple(config.masks.get(name) or published.get(name) for name in fields)
            plan = _Plan(
                listed=listed,
                places=tuple(columns.index(name) for name in fields),
                names=fields,
                masks=masks,
                masked=tuple(name for name, mask in zip(fields, masks, strict=True) if mask),
            )
            if len(self._plans) > 10_000:
                self._plans.clear()
            self._plans[grant.digest, fields] = plan
        return plan


def _unclear(config: ResourceConfig, facts: Facts | None, key: int | str) -> bool:
    """Whether no row may mean that the register has one which a look by number does not find: unknown is never no."""
    if config.facts is None:
        return not config.exact
    if facts is None or not facts.counted or facts.doubtful(key):
        return True
    # Of facts made from several registers, nobody can tell which of them has the key.
    return list(config.facts.rows) == [config.register] and facts.holds(key)


def _document_domain(kind: Any) -> str | None:
    """Domain of the numbers that a register keeps under this kind of document."""
    return DOCUMENTS.get(unicodedata.normalize("NFKC", str(kind)).strip())


def _record(plan: _Plan, row: Sequence[Any]) -> dict[str, Any]:
    if not plan.masked:
        return {name: row[place] for name, place in zip(plan.names, plan.places, strict=True)}
    return {
        name: apply_mask(mask, row[place]) if mask else row[place]
        for name, place, mask in zip(plan.names, plan.places, plan.masks, strict=True)
    }
