"""One entry file of a log, read: where its whole frames stand, and what comes after the last of them."""

import mmap
import os
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongban.kit.errors import Corrupt
from tongban.tlog.entry import MAGIC, Framed, unframe
from tongban.tlog.tree import leaf_hash

FRAMES = 65_536  #: entries a file

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
    mended: bool  #: after the first bad place a whole frame stands again: nothing that a torn write leaves behind

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
    """Walk through one file up to its first bad place."""
    stops, hashes, at = array("Q", (0,)), [], 0
    with mapped(path) as data:
        while framed := unframe(data, at, len(data)):
            hashes.append(leaf_hash(framed.leaf))
            if visit:
                visit(len(stops) - 1, framed)
            at = framed.stop
            stops.append(at)
    with open(path, "rb") as file:
        # Not by the map: the room that stands here may be cut away while we look.
        file.seek(at)
        rest = file.read()
    return Segment(stops, b"".join(hashes), at + len(rest.rstrip(b"\0")), mended(rest))


def mended(rest: bytes) -> bool:
    """Whether a whole frame stands anywhere behind the bad place that `rest` begins with."""
    # No part of a sound frame looks like one: leaf and record are JSON text, whose bytes read as a length are too
    # large, and what is sealed cannot be chosen by whoever asks.
    at = 0
    while (at := rest.find(MAGIC, at + 1)) >= 0:
        if unframe(rest, at, len(rest)):
            return True
    return False
