"""The persons whom the own department asked about in batches: by pseudonym beside the log, as the asked side has them.

The keys are on disk, sealed, before the question is committed, and erased once the table of persons is there.
"""

import asyncio
import re

import orjson

from tongban.exchange import bulk, ticket
from tongban.exchange.ticket import RoundTicket
from tongban.kit.errors import Refused
from tongban.node.persons import Lull, keep_names, people
from tongban.node.spool import Spool, SpoolDamaged
from tongban.tlog import person_table
from tongban.tlog.log import Log

#: Kind of the keys, and digest of their column.
Column = tuple[str, str]
_TICKET = re.compile(r'^"tongban-ticket": ([A-Za-z0-9_-]+)$', re.MULTILINE)


class Asked:
    """Batches of the own department whose persons are not in a table yet."""

    def __init__(self, log: Log, spool: Spool) -> None:
        self._log, self._spool = log, spool
        self._waiting: dict[Column, list[int]] = {}  #: entries that ask about these keys
        self._known: dict[Column, int] = {}  #: an entry that has the table already: one round asks many departments
        self._keeping: dict[Column, asyncio.Task[None]] = {}
        self._lull = Lull()
        if spooled := set(spool.names()):
            self._recall(spooled)

    def _recall(self, spooled: set[str]) -> None:
        """Find again what was asked about these keys; what was spooled and never asked is erased."""
        for stored in self._log.entries():
            if stored.record is None or b'"call":"match"' not in stored.record:
                continue
            column = column_of(orjson.loads(stored.record))
            if orjson.loads(stored.leaf)["kind"] == "request" and column and _name(column) in spooled:
                self._waiting.setdefault(column, []).append(stored.index)
        for name in spooled - {_name(column) for column in self._waiting}:
            self._spool.erase(name)

    async def keep(self, column: Column, body: bytes) -> None:
        """Keep the keys of a batch that is about to be asked, durably. Raises SpoolFull."""
        if column in self._known or column in self._waiting:
            return
        keeping = self._keeping.get(column)
        if keeping is None:
            # A round asks many departments about the same keys at once.
            keeping = asyncio.create_task(asyncio.to_thread(self._spool.put, _name(column), body))
            self._keeping[column] = keeping
            keeping.add_done_callback(lambda _: self._keeping.pop(column, None))
        await asyncio.shield(keeping)

    def logged(self, column: Column, index: int | None, count: int) -> None:
        """The question about these keys stands in the log at `index`; None: it was not asked."""
        if index is None:
            if column not in self._waiting:
                self._spool.erase(_name(column))
            return
        if column in self._known and person_table.same(self._log.directory, index, self._known[column]):
            return
        if column not in self._waiting:
            self._lull.keys += count
        self._lull.came(first=not self._waiting)
        self._waiting.setdefault(column, []).append(index)

    def due(self) -> bool:
        return bool(self._waiting) and self._lull.over()

    def waiting(self) -> int:
        return len(self._waiting)

    async def commit(self) -> None:
        """Make the tables that wait and erase the keys.

        Raises SpoolDamaged, after the others are done; AppendFailed, DiskFull: to be tried again.
        """
        damaged: SpoolDamaged | None = None
        for column in list(self._waiting):
            try:
                await asyncio.to_thread(self._table, column, self._waiting[column][0])
            except SpoolDamaged as error:
                damaged = error
                continue
            first, *others = self._waiting.pop(column)
            self._known[column] = first
            for index in others:
                person_table.same(self._log.directory, index, first)
            self._spool.erase(_name(column))
        self._lull.keys = 0
        if damaged:
            raise damaged

    def _table(self, column: Column, index: int) -> None:
        keys = bulk.read_keys(self._spool.get(_name(column)), column[0])
        if isinstance(keys, Refused):
            raise SpoolDamaged(name=_name(column)[:16])
        names = bytearray()
        for name in people(self._log.subject_key, column[0], keys.table.column("k")):
            names += name
        keep_names(self._log, index, bytes(names))


def column_of(record: dict[str, object]) -> Column | None:
    """The keys that the record of a batch is about; the ticket says of what kind they are."""
    found = _TICKET.search(str(record.get("base", "")))
    held = ticket.read(found[1]) if found else None
    return (held.domain, held.keys) if isinstance(held, RoundTicket) else None


def _name(column: Column) -> str:
    return "-".join(column[::-1])
