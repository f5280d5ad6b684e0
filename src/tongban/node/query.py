"""The desk for `query`: records of one person, granted fields only, masked where the owner says so."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tongban.catalogue.grading import apply_mask
from tongban.exchange import ask
from tongban.exchange import grant as grants
from tongban.exchange import ticket as tickets
from tongban.exchange.grant import Grant
from tongban.exchange.ticket import Ticket
from tongban.identity.identifiers import Domain, judge
from tongban.kit.errors import Refused, Unavailable
from tongban.node.adapters.register import MOST_ROWS, PointQuery, Register, RegisterChanged
from tongban.node.config import ResourceConfig
from tongban.node.gate import Admitted, Answered
from tongban.tlog.pseudonym import pseudonym

_MOST_PEOPLE = 20_000
_NOT_SERVED = Refused("exchange.resource_not_served", "this node does not answer queries on that resource")
_BAD_SUBJECT = Refused("exchange.bad_subject", "the subject's key is not in its one spelling")
_DOWN = Refused("exchange.register_unavailable", "the department's register does not answer; nothing is known")
_CHANGED = Refused("exchange.register_changed", "the department's register has changed its shape; nothing is known")
_SLOW = Refused("exchange.register_slow", "the department's register did not answer in time; nothing is known")
_TOO_MANY = Refused("exchange.too_many_records", "more records carry this key than an answer may hold")


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one grant's rows become records: worked out once a grant and list of fields."""

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
    ) -> None:
        self._resources, self._registers = resources, registers
        self._subject_key, self._seconds = subject_key, read_seconds
        self._queries: dict[str, PointQuery] = {}
        self._plans: dict[tuple[str, tuple[str, ...]], _Plan] = {}
        self._threads = asyncio.Semaphore(4)
        #: (ticket, domain, key) → pseudonym: one case asks several times within minutes.
        self._people: dict[tuple[str, str, str], str] = {}

    async def answer(self, admitted: Admitted, body: bytes) -> Answered | Refused:
        asked = ask.read_query(body)
        if isinstance(asked, Refused):
            return asked
        subject = asked.subject
        person = self._person(admitted.ticket, subject)
        if isinstance(person, Refused):
            return person
        if refused := grants.fields_refusal(admitted.grant, asked.fields):
            return refused
        rows = await self._read(admitted.grant, subject.key)
        if isinstance(rows, Refused):
            return rows
        return self._answered(admitted, person, tuple(asked.fields), rows)

    def _person(self, ticket: Ticket, subject: ask.Asked) -> str | Refused:
        """Pseudonym of the subject, once it is known to be the ticket's and in its one spelling."""
        named = (ticket.id, subject.domain, subject.key)
        person = self._people.get(named)
        if person is not None:
            return person
        if refused := tickets.subject_refusal(ticket, subject.domain, subject.key):
            return refused
        # A ticket may name a key in another spelling; a register that does not care would answer, and the look
        # would stand in the log under a person who does not exist.
        if judge(Domain(subject.domain), subject.key) != subject.key:
            return _BAD_SUBJECT
        if len(self._people) >= _MOST_PEOPLE:
            self._people.clear()
        person = self._people[named] = pseudonym(self._subject_key, subject.domain, subject.key)
        return person

    def _answered(
        self, admitted: Admitted, person: str, fields: tuple[str, ...], rows: Sequence[Sequence[Any]]
    ) -> Answered | Refused:
        if len(rows) >= MOST_ROWS:
            return _TOO_MANY
        plan = self._plan(admitted.grant, fields)
        records = [_record(plan, row) for row in rows]
        said = {"records": records, "masked": plan.masked, "directory": admitted.directory.version}
        about = {"subjects": [person], "fields": list(fields), "rows": len(records)}
        return Answered(orjson.dumps(said), "records", 1, about)

    # --- reading --------------------------------------------------------------------------------------

    async def _read(self, grant: Grant, key: str) -> Sequence[Sequence[Any]] | Refused:
        """Rows of the key that lie within the grant's row condition, all columns of the SELECT."""
        try:
            query = self._query(grant.resource)
            if query is None:
                return _NOT_SERVED
            rows = query.read(key) if query.quick else await self._read_apart(query, key)
        except RegisterChanged:
            return _CHANGED
        except Unavailable:
            return _DOWN
        except TimeoutError:
            return _SLOW
        if not grant.rows:
            return rows
        return [row for row in rows if grants.admits(grant, dict(zip(query.columns, row, strict=True)))]

    async def _read_apart(self, query: PointQuery, key: str) -> Sequence[Sequence[Any]]:
        """In a thread, few at a time: a slow register must not take the node's other calls with it."""
        async with asyncio.timeout(self._seconds), self._threads:
            return await asyncio.to_thread(query.read, key)

    def _query(self, resource: str) -> PointQuery | None:
        query = self._queries.get(resource)
        if query is None:
            config = self._resources.get(resource)
            if config is None or not config.point:
                return None
            query = self._queries[resource] = self._registers[config.register].point(config.point)
        return query

    def _plan(self, grant: Grant, fields: tuple[str, ...]) -> _Plan:
        plan = self._plans.get((grant.digest, fields))
        if plan is None:
            config, columns = self._resources[grant.resource], self._queries[grant.resource].columns
            masks = tuple(config.masks.get(name) for name in fields)
            plan = _Plan(
                places=tuple(columns.index(name) for name in fields),
                names=fields,
                masks=masks,
                masked=tuple(name for name, mask in zip(fields, masks, strict=True) if mask),
            )
            if len(self._plans) > 10_000:
                self._plans.clear()
            self._plans[grant.digest, fields] = plan
        return plan


def _record(plan: _Plan, row: Sequence[Any]) -> dict[str, Any]:
    if not plan.masked:
        return {name: row[place] for name, place in zip(plan.names, plan.places, strict=True)}
    return {
        name: apply_mask(mask, row[place]) if mask else row[place]
        for name, place, mask in zip(plan.names, plan.places, plan.masks, strict=True)
    }
