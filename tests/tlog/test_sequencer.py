"""Who waits for the disk, and how many share one sync."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tongban.tlog import sequencer
from tongban.tlog.sequencer import PATIENCE, Sequencer
from tongban.tlog.tree import Tree, leaf_hash

HASH = leaf_hash(b"leaf")


class Disk:
    """Stands for the storage: takes everything, and as long as it is told to by a clock of its own."""

    def __init__(self) -> None:
        self.batches: list[int] = []  #: sizes, in order
        self.here: list[bool] = []  #: whether the loop's own thread waited for it
        self.seconds = 0.0  #: what a sync takes
        self.now = 0.0

    def append(self, frames: list[bytes]) -> int:
        first = sum(self.batches)
        self.batches.append(len(frames))
        self.here.append(threading.current_thread() is threading.main_thread())
        self.now += self.seconds
        return first

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    found = Disk()
    monkeypatch.setattr(sequencer.time, "perf_counter", found.perf_counter)
    return found


@pytest.fixture
def line(disk: Disk) -> Iterator[Sequencer]:
    found = Sequencer(disk, Tree())  # type: ignore[arg-type]
    yield found
    found.close()


async def together(line: Sequencer, count: int) -> list[int]:
    return await asyncio.gather(*(line.submit(b"frame", HASH) for _ in range(count)))


def test_an_entry_alone_is_written_in_the_turn_after_it_came(disk, line):
    async def alone():
        waiting = line.submit(b"frame", HASH)
        await asyncio.sleep(0)
        return waiting.done()

    assert asyncio.run(alone())
    assert disk.batches == [1]


def test_entries_that_come_turn_after_turn_share_one_sync(disk, line):
    async def trickling():
        waiting = []
        for _ in range(5):
            waiting += [line.submit(b"frame", HASH), line.submit(b"frame", HASH)]
            await asyncio.sleep(0)
        return await asyncio.gather(*waiting)

    assert asyncio.run(trickling()) == list(range(10))
    assert disk.batches == [10]


def test_when_no_more_come_those_that_wait_are_written(disk, line):
    assert asyncio.run(together(line, 2)) == [0, 1]
    assert disk.batches == [2]


@pytest.mark.parametrize("each", [1, 40, 100])
def test_an_endless_stream_does_not_keep_the_first_entry_waiting(disk, line, each):
    async def streaming():
        first = line.submit(b"frame", HASH)
        line.submit(b"frame", HASH)
        while not first.done():
            await asyncio.sleep(0)
            for _ in range(each):
                line.submit(b"frame", HASH)

    asyncio.run(streaming())
    assert disk.batches[0] < 64 + each


def test_no_entry_waits_longer_for_others_than_it_may(disk, line, monkeypatch):
    async def streaming():
        loop = asyncio.get_running_loop()
        began = loop.time()
        monkeypatch.setattr(loop, "time", lambda: began + len(sent) * sequencer._WAIT / 4)
        sent = [line.submit(b"frame", HASH), line.submit(b"frame", HASH)]
        while not sent[0].done():
            await asyncio.sleep(0)
            sent.append(line.submit(b"frame", HASH))

    asyncio.run(streaming())
    assert 2 < disk.batches[0] < 10


def test_a_quick_disk_is_waited_for_where_the_entries_are(disk, line):
    disk.seconds = PATIENCE / 2
    for _ in range(200):
        asyncio.run(together(line, 3))
    assert disk.here == [True] * 200
    assert line._writer is None


def test_a_slow_disk_is_left_to_the_writer_thread(disk, line):
    disk.seconds = PATIENCE * 100
    for _ in range(20):
        asyncio.run(together(line, 3))
    # The first was not known to be slow.
    assert disk.here == [True, *[False] * 19]


def test_one_slow_sync_of_a_quick_disk_changes_little(disk, line):
    for n in range(60):
        disk.seconds = PATIENCE * 3 if n == 10 else PATIENCE / 2
        asyncio.run(together(line, 3))
    assert disk.here == [True] * 60


def test_an_entry_alone_is_never_handed_over(disk, line):
    disk.seconds = PATIENCE * 100
    for _ in range(5):
        asyncio.run(together(line, 1))
    assert disk.here == [True] * 5


def test_a_slow_disk_is_tried_again_now_and_then(disk, line):
    disk.seconds = PATIENCE * 100
    for _ in range(2 * sequencer._TRIED_EVERY + 3):
        asyncio.run(together(line, 2))
    tried = [n for n, here in enumerate(disk.here) if here]
    assert tried == [0, sequencer._TRIED_EVERY + 1, 2 * (sequencer._TRIED_EVERY + 1)]


def test_a_disk_that_became_quick_is_found_out(disk, line):
    disk.seconds = PATIENCE * 8.5
    asyncio.run(together(line, 2))
    disk.seconds = 0
    for _ in range(3 * sequencer._TRIED_EVERY):
        asyncio.run(together(line, 2))
    assert disk.here[-sequencer._TRIED_EVERY :] == [True] * sequencer._TRIED_EVERY


def test_under_load_too_a_slow_disk_is_tried_again(disk, line):
    """Then the writer thread always finds a next batch, and the loop never a turn of its own."""

    async def loaded():
        async def write():
            for _ in range(600):
                await line.submit(b"frame", HASH)

        await asyncio.gather(*(write() for _ in range(8)))

    disk.seconds = PATIENCE * 100
    asyncio.run(loaded())
    assert sum(disk.batches) == 4800
    assert 2 <= sum(disk.here) < len(disk.here) / 20
