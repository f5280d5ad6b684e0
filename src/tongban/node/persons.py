"""The persons of a batch: committed in the log within ten minutes, then their keys are erased.

Which snapshot a round saw first is remembered here too, and found again in the log after a restart.
"""

import asyncio
import os
import time
from typing import Any

import orjson
import pyarrow as pa

from tongban.identity.columns import citizen_texts
from tongban.identity.identifiers import IdentifierInvalid
from tongban.kit.errors import TongbanError
from tongban.node.spool import Spool, SpoolDamaged
from tongban.tlog.log import Log
from tongban.tlog.persons import persons_root
from tongban.tlog.pseudonym import pseudonym

#: Keys that make a batch wait a second longer, and seconds that none waits longer than.
KEYS_A_SECOND, LATEST = 300_000, 300


class Persons:
    """Spooled batches and pinned snapshots of one node."""

    def __init__(self, log: Log, spool: Spool) -> None:
        self._log, self._spool = log, spool
        self._waiting: dict[str, int] = {}  #: spool name → index of the batch's entry
        #: Keys of batches that wait, and when the first and the last of them were logged (monotonic seconds).
        self._keys, self._first, self._last = 0, 0.0, 0.0
        self._pins: dict[tuple[str, str, str], str] = {}  #: consumer, round, resource → snapshot
        self._recall()

    def _recall(self) -> None:
        """Read pins and unfinished batches from the log; what was spooled but never logged is erased."""
        batches: dict[str, int] = {}
        done: set[int] = set()
        for stored in self._log.entries():
            leaf = orjson.loads(stored.leaf)
            if leaf["kind"] == "batch" and stored.record is not None:
                record = orjson.loads(stored.record)
                batches[record["request"]] = stored.index
                self.pin(record["consumer"], record["round"], record["register"], record["snapshot"])
            elif leaf["kind"] == "batch-persons":
                done.add(leaf["batch"])
        for name in list(self._spool.names()):
            index = batches.get(name)
            if index is None or index in done:
                self._spool.erase(name)
            else:
                self._waiting[name] = index

    # --- pins -----------------------------------------------------------------------------------------

    def pinned(self, consumer: str, round: str, resource: str) -> str | None:
        return self._pins.get((consumer, round, resource))

    def pin(self, consumer: str, round: str, resource: str, snapshot: str) -> None:
        # Rounds are named by whoever holds them: two consumers may choose the same name.
        self._pins.setdefault((consumer, round, resource), snapshot)

    def pins(self, resource: str) -> frozenset[str]:
        """Snapshots that some round has seen."""
        return frozenset(id for (_, _, of), id in list(self._pins.items()) if of == resource)

    # --- persons --------------------------------------------------------------------------------------

    def spool(self, name: str, domain: str, keys: Any, verdicts: Any) -> bytes:
        """Keep keys and verdicts of a batch, durably, until `commit`; the salt of its persons, for the record."""
        sink, salt = pa.BufferOutputStream(), os.urandom(32)
        about = {b"domain": domain.encode(), b"salt": salt}
        table = pa.table({"k": keys, "v": pa.array(verdicts)}).replace_schema_metadata(about)
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        self._spool.put(name, bytes(sink.getvalue()))
        self._keys += len(keys)
        return salt

    def logged(self, name: str, index: int | None) -> None:
        """The batch stands in the log at `index`; None: it could not be logged, and its keys are not kept."""
        if index is None:
            self._spool.erase(name)
        else:
            now = time.monotonic()
            self._first, self._last = self._first if self._waiting else now, now
            self._waiting[name] = index

    def due(self) -> bool:
        """Whether the persons of the batches that wait are to be committed now.

        A large batch is seldom alone: the round that sent it asks further departments, and they may share this machine.
        So the more keys wait, the longer nothing may have come, up to a minute; and none waits for five.
        """
        if not self._waiting:
            return False
        now = time.monotonic()
        return now - self._last >= min(self._keys / KEYS_A_SECOND, 60) or now - self._first >= LATEST

    def waiting(self) -> int:
        return len(self._waiting)

    async def commit(self) -> int:
        """Write the batch-persons entries that are due and erase the keys; how many were written.

        Raises SpoolDamaged, IdentifierInvalid, after the others are done; AppendFailed, DiskFull: to be tried again.
        """
        done = 0
        damaged: TongbanError | None = None
        for name in list(self._waiting):
            try:
                count, root = await asyncio.to_thread(self._root, name)
            except (SpoolDamaged, IdentifierInvalid) as error:
                damaged = error
                continue
            await self._commit_one(name, count, root)
            done += 1
        self._keys = 0
        if damaged:
            raise damaged
        return done

    async def _commit_one(self, name: str, count: int, root: bytes) -> None:
        # Taken out first: cancelled half way, the entry may be in the log, and a second one would be one too many.
        index = self._waiting.pop(name)
        try:
            await self._log.append({"kind": "batch-persons", "batch": index, "n": count, "root": root.hex()})
        except TongbanError:
            self._waiting[name] = index
            raise
        self._spool.erase(name)

    def _root(self, name: str) -> tuple[int, bytes]:
        table = pa.ipc.open_stream(self._spool.get(name)).read_all()
        domain, salt = table.schema.metadata[b"domain"].decode(), table.schema.metadata[b"salt"]
        column = table.column("k").combine_chunks()
        texts = citizen_texts(column) if domain == "citizen" else column
        key = self._log.subject_key
        people = (
            (pseudonym(key, domain, text), verdict)
            for text, verdict in zip(texts.to_pylist(), table.column("v").to_pylist(), strict=True)
        )
        return table.num_rows, persons_root(salt, people)
