"""What a log's owner does before it writes again: read every frame, rebuild the tree, compare with what was signed.

A torn end was never acknowledged and is cut. Everything else that does not hold stops the start: a person must look.
"""

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tongban.kit.durable import sync
from tongban.kit.errors import Corrupt
from tongban.tlog.checkpoint import Checkpoint
from tongban.tlog.segment import FRAMES, Damaged, Segment, entry_file, numbers, read
from tongban.tlog.tree import Tree


class ShorterThanCheckpoint(Corrupt):
    """Entries that a checkpoint covers are gone."""

    code = "tlog.shorter_than_checkpoint"
    message = "The log in {directory} has {size} entries, fewer than the {signed} of a checkpoint it signed."
    remedy = "Bring the newest copy of the folder back; entries that others hold receipts for are missing here."


class RootDiffers(Corrupt):
    """Entries that a checkpoint covers were changed."""

    code = "tlog.root_differs"
    message = "The log in {directory} has another root at size {signed} than the checkpoint it signed."
    remedy = "Bring the folder back from the backup and keep this one as evidence; an entry was changed or exchanged."


@dataclass(frozen=True, slots=True)
class Torn:
    """The end of a log that an interrupted write left behind."""

    number: int  #: entry file
    good: int  #: bytes of it that stay
    bytes: int  #: bytes that are cut, later files included


@dataclass(frozen=True, slots=True)
class Recovered:
    tree: Tree
    stops: list["array[int]"]  #: as Storage takes them
    torn: Torn | None


def recover(directory: Path, covered: int = 0) -> Recovered:
    """Read all entry files; nothing is changed yet. `covered`: entries under the newest checkpoint. Raises Damaged."""
    segments = [read(entry_file(directory, number)) for number in present(directory)]
    torn = judge(directory, segments, covered)
    tree = Tree()
    for segment in segments:
        tree.extend(segment.leaf_hashes)
    stops = [segment.stops for segment in segments]
    return Recovered(tree, stops[: torn.number + 1] if torn else stops, torn)


def present(directory: Path) -> list[int]:
    """Numbers of the entry files. Raises Damaged if one is missing between others."""
    found = numbers(directory)
    if found != list(range(len(found))):
        missing = next(number for number, there in enumerate(found) if number != there)
        raise Damaged(directory=directory, file=entry_file(directory, missing).name, at=0, what="the file is missing")
    return found


def judge(directory: Path, segments: Sequence[Segment], covered: int = 0) -> Torn | None:
    """What the end of the log is: whole (None) or torn. Raises Damaged for what no interrupted write explains.

    Of entries written together a power loss may keep later ones without earlier ones; but what a checkpoint covers,
    `covered` entries, was durable.
    """
    for number, segment in enumerate(segments):
        if segment.good == segment.size and segment.count == FRAMES:
            continue
        later = segments[number + 1 :]
        what = _contradiction(segment, later, FRAMES * number + segment.count < covered)
        if what:
            file = entry_file(directory, number).name
            raise Damaged(directory=directory, file=file, at=segment.good, what=what)
        cut = segment.size - segment.good + sum(other.size for other in later)
        return Torn(number, segment.good, cut) if cut or later else None
    return None


def _contradiction(segment: Segment, later: Sequence[Segment], covered: bool) -> str:
    if segment.count > FRAMES:
        return f"more than {FRAMES} entries in one file"
    if segment.mended or (segment.torn_within and covered):
        return "a bad entry is followed by a good one"
    if any(other.count or other.mended or other.torn_within for other in later):
        return "entries are missing before those of the next file"
    return ""


def compare(directory: Path, tree: Tree, signed: Checkpoint) -> None:
    """Hold the tree against a checkpoint of this log. Raises ShorterThanCheckpoint, RootDiffers."""
    if tree.size < signed.size:
        raise ShorterThanCheckpoint(directory=directory, size=tree.size, signed=signed.size)
    if tree.root_at(signed.size) != signed.root:
        raise RootDiffers(directory=directory, signed=signed.size)


def mend(directory: Path, torn: Torn | None) -> None:
    """Remove a torn end, and drafts of files. Only for the owner, and only after `compare`."""
    for draft in (directory / "entries").glob("*.tmp"):
        draft.unlink()
    if torn is None:
        return
    for number in reversed([number for number in numbers(directory) if number > torn.number]):
        entry_file(directory, number).unlink()
    with open(entry_file(directory, torn.number), "r+b") as file:
        file.truncate(torn.good)
        os.fsync(file.fileno())
    sync(directory / "entries")
