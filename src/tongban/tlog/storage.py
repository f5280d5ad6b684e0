"""The entry files of a log, written: frames become durable together, or are gone together.

One thread at a time appends; others may read what is durable.
"""

import contextlib
import errno
import os
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

from tongban.kit.durable import sync
from tongban.kit.errors import Unavailable
from tongban.tlog.entry import Framed, leaf_at, together, unframe
from tongban.tlog.segment import FRAMES, Damaged, entry_file, mapped

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READERS = 16  #: entry files kept open for those who ask for single entries
#: Bytes of zeros made ahead of the entries: a sync that need not also make the file longer waits a third less.
_ROOM = 1024 * 1024


class AppendFailed(Unavailable):
    """The disk did not take entries; the log stands as it stood before."""

    code = "tlog.append_failed"
    message = "The log in {directory} could not be written ({error}); nothing was acknowledged."
    remedy = "Look at the disk. Calls are refused meanwhile, and go on by themselves when writing works again."


class DiskFull(AppendFailed):
    """There is no room for entries."""

    code = "tlog.disk_full"
    message = "The disk of the log in {directory} is full ({error}); nothing was acknowledged."
    remedy = "Make room. Calls are refused meanwhile, and go on by themselves when there is room again."


class AppendRefused(Unavailable):
    """The log is closed, or a failed write could not be taken back, so nothing more is written behind it."""

    code = "tlog.append_refused"
    message = "The log in {directory} takes no entries: {why}."
    remedy = "Restart the node: it reads the log anew and says what it found."


class Storage:
    """The frames of a log by index."""

    def __init__(self, directory: Path, stops: list["array[int]"]) -> None:
        """`stops`: for each entry file 0, then where each of its frames ends."""
        self._directory = directory
        self._stops = stops
        self._tail = -1  #: handle of the last file, for the thread that appends
        self._room = 0  #: bytes of the last file, those made ahead included
        self._readers: dict[int, int] = {}
        self._stopped = ""  #: why nothing more is written

    @property
    def count(self) -> int:
        """Number of durable entries."""
        return FRAMES * (len(self._stops) - 1) + len(self._stops[-1]) - 1 if self._stops else 0

    @property
    def stopped(self) -> bool:
        return bool(self._stopped)

    def append(self, frames: Sequence[bytes]) -> int:
        """Write `frames` and return the index of the first, once all are durable.

        Raises
            AppendFailed, DiskFull: none of them was kept.
            AppendRefused: an earlier failure could not be taken back.
        """
        if self._stopped:
            raise AppendRefused(directory=self._directory, why=self._stopped)
        first, done = self.count, 0
        try:
            while done < len(frames):
                room = FRAMES - self.count % FRAMES
                # A file is durable before the next one begins, so that only the last file can have a torn end.
                self._write((first + done) // FRAMES, frames[done : done + room])
                done += room
        except BaseException as error:
            self._take_back(first)
            if isinstance(error, OSError):
                raise failure(self._directory, error) from None
            raise
        return first

    def frame(self, index: int) -> Framed:
        """The entry at `index`, below `count`. Raises Damaged."""
        number, place = divmod(index, FRAMES)
        stops = self._stops[number]
        start, stop = stops[place], stops[place + 1]
        data = os.pread(self._reader(number), stop - start, start)
        return self._whole(unframe(data, 0, len(data)), number, start)

    def frames(self, start: int, stop: int) -> Iterator[Framed]:
        """The entries from index `start` up to `stop`, at most `count`. Raises Damaged."""
        for number in range(start // FRAMES, -(-stop // FRAMES)):
            stops = self._stops[number]
            first, last = max(start - number * FRAMES, 0), min(FRAMES, stop - number * FRAMES)
            with mapped(entry_file(self._directory, number)) as data:
                for at in range(first, last):
                    yield self._whole(unframe(data, stops[at], stops[at + 1]), number, stops[at])

    def leaves(self, start: int, stop: int) -> Iterator[bytes]:
        """The leaves from index `start` up to `stop`, at most `count`, as they stand on disk: nothing is checked.

        What stands beside a leaf is not read: a batch's answer has millions of bytes.
        """
        for number in range(start // FRAMES, -(-stop // FRAMES)):
            stops = self._stops[number]
            first, last = max(start - number * FRAMES, 0), min(FRAMES, stop - number * FRAMES)
            with mapped(entry_file(self._directory, number)) as data:
                for at in range(first, last):
                    yield leaf_at(data, stops[at], stops[at + 1])

    def damaged(self, index: int) -> Damaged:
        """What to raise for an entry that was whole."""
        number, place = divmod(index, FRAMES)
        return self._damaged(number, self._stops[number][place])

    def replace(self, number: int, draft: Path, stops: "array[int]") -> None:
        """Put `draft`, which holds the same leaves, in the place of entry file `number`."""
        if number == len(self._stops) - 1:
            self._close_tail()
        os.rename(draft, entry_file(self._directory, number))
        sync(draft.parent)
        self._stops[number] = stops
        if number in self._readers:
            os.close(self._readers.pop(number))

    def stop(self, why: str) -> None:
        """Take nothing any more."""
        self._stopped = self._stopped or why

    def close(self) -> None:
        self._stopped = self._stopped or "it is closed"
        self._close_tail()
        while self._readers:
            os.close(self._readers.popitem()[1])

    def _whole(self, framed: Framed | None, number: int, at: int) -> Framed:
        if framed is None:
            raise self._damaged(number, at)
        return framed

    def _damaged(self, number: int, at: int) -> Damaged:
        file = entry_file(self._directory, number).name
        return Damaged(directory=self._directory, file=file, at=at, what="an entry that was whole is not any more")

    def _write(self, number: int, frames: Sequence[bytes]) -> None:
        if number == len(self._stops):
            self._begin(number)
        elif self._tail < 0:
            self._open_tail(number)
        stops = self._stops[number]
        data, at = memoryview(_joined(frames)), stops[-1]
        if at + len(data) > self._room:
            self._make_room(at + len(data))
        while data:
            written = os.pwrite(self._tail, data, at)
            data, at = data[written:], at + written
        os.fdatasync(self._tail)
        at = stops[-1]
        for frame in frames:
            at += len(frame)
            stops.append(at)

    def _begin(self, number: int) -> None:
        self._close_tail()
        path = entry_file(self._directory, number)
        self._tail, self._room = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), 0
        self._stops.append(array("Q", (0,)))
        sync(path.parent)

    def _open_tail(self, number: int) -> None:
        self._tail = os.open(entry_file(self._directory, number), os.O_RDWR)
        self._room = os.fstat(self._tail).st_size

    def _make_room(self, wanted: int) -> None:
        wanted += _ROOM
        # The last of the disk is for entries: without room the file grows with each of them.
        with contextlib.suppress(OSError):
            os.posix_fallocate(self._tail, self._room, wanted - self._room)
            self._room = wanted

    def _close_tail(self) -> None:
        if self._tail >= 0:
            # Only what was made ahead is cut: a disk that does not do it takes nothing from anybody.
            with contextlib.suppress(OSError):
                os.ftruncate(self._tail, self._stops[-1][-1])
            os.close(self._tail)
            self._tail = -1

    def _reader(self, number: int) -> int:
        if number not in self._readers:
            if len(self._readers) == _READERS:
                os.close(self._readers.pop(next(iter(self._readers))))
            self._readers[number] = os.open(entry_file(self._directory, number), os.O_RDONLY)
        return self._readers[number]

    def _take_back(self, count: int) -> None:
        """Bring files and offsets back to `count` entries; what cannot be brought back stops the log."""
        try:
            while len(self._stops) > -(-count // FRAMES):
                self._close_tail()
                self._stops.pop()
                entry_file(self._directory, len(self._stops)).unlink(missing_ok=True)
                sync(self._directory / "entries")
            if self._stops:
                stops = self._stops[-1]
                del stops[count - FRAMES * (len(self._stops) - 1) + 1 :]
                if self._tail < 0:
                    self._open_tail(len(self._stops) - 1)
                os.ftruncate(self._tail, stops[-1])
                self._room = stops[-1]
                os.fdatasync(self._tail)
        except OSError:
            self._stopped = "a failed write could not be taken back"


def _joined(frames: Sequence[bytes]) -> bytes:
    """What one write puts down: all entries but its first are marked as written together with the one before."""
    return b"".join((frames[0], *(part for one in frames[1:] for part in together(one))))


def failure(directory: Path, error: OSError) -> AppendFailed:
    """What to tell of a disk that did not take what was written."""
    name = errno.errorcode.get(error.errno or 0, "unknown error")
    return (DiskFull if error.errno in _FULL else AppendFailed)(directory=directory, error=name)
