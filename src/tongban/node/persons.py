"""The persons of a batch: committed in the log within ten minutes, then their keys are erased.

What stays is a table of their pseudonyms beside the log, so that each can be shown her look.

Which snapshot a round saw first is remembered here too, and found again in the log after a restart.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa

from tongban.identity.columns import SLICE, citizen_texts
from tongban.identity.identifiers import IdentifierInvalid
from tongban.kit.errors import TongbanError
from tongban.node.spool import Spool, SpoolDamaged
from tongban.tlog import person_table
from tongban.tlog.log import Log
from tongban.tlog.persons import persons_root
from tongban.tlog.pseudonym import spelt, unspelt
from tongban.tlog.storage import failure

#: Keys that make a batch wait a second longer, and seconds that none waits longer than.
KEYS_A_SECOND, LATEST = 300_000, 300


class Lull:
    """Whether what waits is to be worked on now.

    A large batch is seldom alone: the round that sent it asks further departments, and they may share this machine.
    So the more keys wait, the longer nothing may have come, up to a minute; and none waits for five.
    """

    def __init__(self) -> None:
        #: Keys of batches that wait, and when the first and the last of them were logged (monotonic seconds).
        self.keys, self._first, self._last = 0, 0.0, 0.0

    def came(self, first: bool) -> None:
        now = time.monotonic()
        self._first, self._last = now if first else self._first, now

    def over(self) -> bool:
        now = time.monotonic()
        return now - self._last >= min(self.keys / KEYS_A_SECOND, 60) or now - self._first >= LATEST


class Persons:
    """Spooled batches and pinned snapshots of one node."""

    def __init__(self, log: Log, spool: Spool) -> None:
        self._log, self._spool = log, spool
        self._waiting: dict[str, int] = {}  #: spool name → index of the batch's entry
        self._lull = Lull()
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
        self._spool.put(name, memoryview(sink.getvalue()).cast("B"))
        self._lull.keys += len(keys)
        return salt

    def logged(self, name: str, index: int | None) -> None:
        """The batch stands in the log at `index`; None: it could not be logged, and its keys are not kept."""
        if index is None:
            self._spool.erase(name)
        else:
            self._lull.came(first=not self._waiting)
            self._waiting[name] = index

    def due(self) -> bool:
        """Whether the persons of the batches that wait are to be committed now."""
        return bool(self._waiting) and self._lull.over()

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
                count, root = await asyncio.to_thread(self._root, name, self._waiting[name])
            except (SpoolDamaged, IdentifierInvalid) as error:
                damaged = error
                continue
            await self._commit_one(name, count, root)
            done += 1
        self._lull.keys = 0
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

    def _root(self, name: str, index: int) -> tuple[int, bytes]:
        table = pa.ipc.open_stream(self._spool.get(name)).read_all()
        domain, salt = table.schema.metadata[b"domain"].decode(), table.schema.metadata[b"salt"]
        names, verdicts = bytearray(), table.column("v").combine_chunks().to_numpy().tobytes()
        root = persons_root(salt, self._people(table, domain, verdicts, names))
        keep_names(self._log, index, bytes(names), verdicts)
        return table.num_rows, root

    def _people(self, table: Any, domain: str, verdicts: bytes, names: bytearray) -> Iterator[tuple[str, int]]:
        """Pseudonym and verdict byte of each."""
        for name, verdict in zip(people(self._log.subject_key, domain, table.column("k")), verdicts, strict=True):
            names += name
            yield spelt(name), verdict


def people(subject_key: bytes, domain: str, keys: Any) -> Iterator[bytes]:
    """The 16 bytes of each pseudonym, a slice at a time: millions of texts at once would fill the memory."""
    for chunk in keys.chunks:
        for start in range(0, len(chunk), SLICE):
            part = chunk.slice(start, SLICE)
            for text in (citizen_texts(part) if domain == "citizen" else part).to_pylist():
                yield unspelt(subject_key, domain, text)


def keep_names(log: Log, index: int, names: bytes, verdicts: bytes = b"") -> None:
    """Raises AppendFailed, DiskFull."""
    try:
        person_table.write(log.directory, index, names, verdicts)
    except OSError as error:
        raise failure(log.directory, error) from None
