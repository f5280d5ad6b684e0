"""The one place where entries get their order: adaptive group commit over the entry files and the tree.

An entry that waits alone is made durable at once. When several wait, the loop is asked again whether more are coming:
what is asked of the disk, and of the processor's caches, is shared by all of them. The sync is waited for in the loop's
own thread while the disk is quick (a hop to another thread and back costs more); when it is slow a writer thread waits,
and the loop goes on.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

from tongban.kit.errors import TongbanError
from tongban.tlog.storage import Storage
from tongban.tlog.tree import Tree

#: Seconds a sync may take on average and still hold the loop up.
PATIENCE = 0.001
#: Weight of the newest sync in that average: one hiccup of 8 ms sends the next batches to the writer thread.
_NEWEST = 1 / 8
#: Batches that go to the writer thread before one more is tried in the loop's thread, which alone measures the disk:
#: what the writer thread sees is the disk and the loop that it must wait for to be told.
_TRIED_EVERY = 64

#: More entries than this wait for no others, and no entry waits longer than so many seconds for them.
_ENOUGH = 64
_WAIT = 0.01


class _Batch:
    """Entries that share one sync."""

    __slots__ = ("error", "first", "frames", "leaf_hashes", "waiting")

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.leaf_hashes: list[bytes] = []
        self.waiting: list[asyncio.Future[int]] = []
        self.first = 0
        self.error: Exception | None = None


class Sequencer:
    """Belongs to one thread (the event loop's); the writer thread only writes."""

    def __init__(self, storage: Storage, tree: Tree) -> None:
        self._storage = storage
        self._tree = tree
        self._gathered = _Batch()
        self._busy = False  #: a turn is due, or a batch is with the writer thread
        self._loop: asyncio.AbstractEventLoop | None = None
        self._written: deque[_Batch] = deque()  #: durable (or failed), in order, not yet in the tree
        self._lock = threading.Lock()  #: held while the entry files grow
        self._queue: SimpleQueue[tuple[_Batch, asyncio.AbstractEventLoop] | None] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._sync_seconds = 0.0  #: what a sync in the loop's thread took, averaged
        self._handed = 0  #: batches given to the writer thread since one was tried in the loop's
        self._looked = 0  #: how many entries waited when the loop was last asked for more
        self._until = 0.0  #: when those stop waiting for others, in the loop's time

    def submit(self, frame: bytes, leaf_hash: bytes) -> asyncio.Future[int]:
        """The entry's index, once it is durable. Whoever stops waiting may still find the entry in the log.

        Raises (the future)
            AppendFailed, DiskFull, AppendRefused
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        gathered = self._gathered
        gathered.frames.append(frame)
        gathered.leaf_hashes.append(leaf_hash)
        gathered.waiting.append(future)
        if not self._busy or loop is not self._loop:
            # What another loop, now gone, had gathered goes with this batch.
            self._busy, self._loop = True, loop
            # Not now: the callers that are ready in this turn of the loop shall share the sync.
            loop.call_soon(self._turn, loop)
        return future

    def append(self, frames: Sequence[bytes], leaf_hashes: Sequence[bytes]) -> int:
        """Append without a loop; returns the index of the first, once all are durable. Raises as `submit`."""
        batch = _Batch()
        batch.frames.extend(frames)
        batch.leaf_hashes.extend(leaf_hashes)
        self._write(batch)
        self._settle()
        if batch.error:
            raise batch.error
        return batch.first

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While inside, the entry files do not grow."""
        with self._lock:
            yield

    def close(self) -> None:
        """Make durable what still waits, and stop the writer thread."""
        if self._writer:
            self._queue.put(None)
            self._writer.join()
            self._writer = None
        if self._gathered.frames:
            self._write(self._taken())
        self._settle()
        self._busy = False

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send off what gathered while nothing was on its way."""
        waiting = len(self._gathered.frames)
        if self._growing(waiting, loop):
            loop.call_soon(self._turn, loop)
            return
        if waiting > 1 and self._slow():
            self._hand_over(loop)
            return
        if waiting:
            self._write_here()
        self._busy = False
        self._settle()

    def _growing(self, waiting: int, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the last turn of the loop brought more entries, so that the next may too."""
        if waiting > 1 and self._looked == 0:
            self._until = loop.time() + _WAIT
        growing = max(1, self._looked) < waiting < _ENOUGH and loop.time() < self._until
        self._looked = waiting if growing else 0
        return growing

    def _landed(self, loop: asyncio.AbstractEventLoop) -> None:
        """The writer thread is free again."""
        # The next batch first: the disk works on it while those who waited for this one go on.
        if not self._gathered.frames:
            self._busy = False
        elif self._handed < _TRIED_EVERY:
            self._hand_over(loop)
        else:
            loop.call_soon(self._turn, loop)
        self._settle()

    def _slow(self) -> bool:
        return self._sync_seconds > PATIENCE and self._handed < _TRIED_EVERY

    def _write_here(self) -> None:
        began = time.perf_counter()
        self._write(self._taken())
        self._sync_seconds += (time.perf_counter() - began - self._sync_seconds) * _NEWEST
        self._handed = 0

    def _taken(self) -> _Batch:
        batch, self._gathered = self._gathered, _Batch()
        return batch

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._writer is None:
            self._writer = threading.Thread(target=self._work, name="tlog-writer", daemon=True)
            self._writer.start()
        self._handed += 1
        self._queue.put((self._taken(), loop))

    def _work(self) -> None:
        """The writer thread."""
        while (order := self._queue.get()) is not None:
            batch, loop = order
            self._write(batch)
            # The loop may be closed by now; then `close` settles the batch.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._landed, loop)

    def _write(self, batch: _Batch) -> None:
        with self._lock:
            try:
                batch.first = self._storage.append(batch.frames)
            except Exception as error:
                batch.error = error
            self._written.append(batch)

    def _settle(self) -> None:
        """Take written batches into the tree, in their order, and wake those who wait."""
        while self._written:
            batch = self._written.popleft()
            if batch.error is None:
                self._tree.extend(b"".join(batch.leaf_hashes))
            try:
                _wake(batch)
            except RuntimeError:
                # Their loop is closed: nobody waits any more.
                continue


def _wake(batch: _Batch) -> None:
    for index, future in enumerate(batch.waiting, batch.first):
        if future.done():  # cancelled meanwhile
            continue
        if batch.error is None:
            future.set_result(index)
        else:
            future.set_exception(_again(batch.error))


def _again(error: Exception) -> Exception:
    """One error for each who waits: an exception carries the trace of whoever raised it."""
    return type(error)(**error.facts) if isinstance(error, TongbanError) else error
