"""One entry file of a log, read: where its whole frames stand, and what comes after the last of them."""

import mmap
import os
import sys
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongban.kit.errors import Corrupt
from tongban.tlog.entry import MAGIC, Framed, promised, unframe
from tongban.tlog.tree import leaf_hash

FRAMES = 65_536  #: entries a file
WINDOW = 1024 * 1024  #: bytes read at a time

#: Called for every whole frame with its position in the file.
Visit = Callable[[int, Framed], None]


class Damaged(Corrupt):
    """Entries that were whole are not any more."""

    code = "tlog.damaged"
    message = "The log in {directory} is damaged: {file}, byte {at}: {what}."
    remedy = (
        "Nothing was cut. Keep a copy of the folder, see what ./tongban log verify {directory} says,"
        " and compare with the backup and with the consumers' receipts before going on."
    )


@dataclass(frozen=True, slots=True)
class Segment:
    """What was found in one entry file."""

    stops: "array[int]"  #: 0, then where each whole frame ends
    leaf_hashes: bytes  #: 32 bytes a frame
    size: int  #: bytes of the file, without the zeros made ahead of its entries
    mended: bool  #: after the first bad place a later write begins: nothing that a torn write leaves behind
    torn_within: bool = False  #: after it stand whole frames, all written together with what is bad there

    @property
    def count(self) -> int:
        return len(self.stops) - 1

    @property
    def good(self) -> int:
        """Bytes before the first bad place."""
        return self.stops[-1]


def entry_file(directory: Path, number: int) -> Path:
    return directory / "entries" / f"{number:08d}.log"


def numbers(directory: Path) -> list[int]:
    """Numbers of the entry files that are there, ascending."""
    return sorted(int(path.stem) for path in (directory / "entries").glob("????????.log") if path.stem.isdecimal())


@contextmanager
def mapped(path: Path) -> Iterator[Any]:
    """The file's bytes, mapped; empty bytes for an empty file."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def read(path: Path, visit: Visit | None = None) -> Segment:
    """Walk through one file up to its first bad place.

    Its writer may be at work: it adds frames, and cuts away room, while we look. So nothing is mapped, and what looks
    bad is looked at again.
    """
    stops, hashes = array("Q", (0,)), []
    with open(path, "rb", buffering=0) as file:
        while True:
            start, place = stops[-1], 0
            window = _window(file.fileno(), start)
            while framed := unframe(window, place, len(window)):
                place = framed.stop
                hashes.append(leaf_hash(framed.leaf))
                if visit:
                    visit(len(stops) - 1, framed._replace(stop=start + place))
                stops.append(start + place)
            if place:
                continue
            rest = _bytes(file.fileno(), start)
            good, begun = mended(rest)
            if not unframe(rest, 0, len(rest)) and _bytes(file.fileno(), start, good) == rest[:good]:
                size = start + len(rest.rstrip(b"\0"))
                return Segment(stops, b"".join(hashes), size, begun, good > 0 and not begun)


def _window(file: int, at: int) -> bytes:
    """Many frames from `at` on, or the one that is longer than a window."""
    window = _bytes(file, at, WINDOW)
    wanted = promised(window)
    return _bytes(file, at, wanted) if wanted > len(window) else window


def _bytes(file: int, at: int, count: int = -1) -> bytes:
    """What stands there now: `count` bytes, or fewer at the end; all that follows without `count`."""
    parts, wanted = [], count if count >= 0 else sys.maxsize
    while wanted > 0 and (part := os.pread(file, min(wanted, WINDOW), at)):
        parts.append(part)
        at, wanted = at + len(part), wanted - len(part)
    return b"".join(parts)


def mended(rest: bytes) -> tuple[int, bool]:
    """Where a whole frame stands behind the bad place that `rest` begins with (0 if none does); whether it, or one
    behind it, begins a write of its own.
    """
    # No part of a sound frame looks like one: leaf and record are JSON text, whose bytes read as a length are too
    # large, and what is sealed cannot be chosen by whoever asks.
    at = first = 0
    while (at := rest.find(MAGIC[:-1], at + 1)) >= 0:
        framed = unframe(rest, at, len(rest))
        if framed is None:
            continue
        if rest.startswith(MAGIC, at):
            return at, True
        first = first or at
        at = framed.stop - 1
    return first, False
