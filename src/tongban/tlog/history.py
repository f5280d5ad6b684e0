"""Every checkpoint a log has signed, in order, and the newest by itself."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from tongban.kit.durable import write_durably
from tongban.kit.errors import Corrupt
from tongban.kit.keys import PublicKey
from tongban.tlog.checkpoint import LARGEST, Checkpoint, CheckpointInvalid, verify

_NEWEST = "checkpoint"
_ALL = "checkpoints.log"
COSIGNED, COSIGNED_ALL = "cosigned", "cosigned.log"


class CheckpointUnreadable(Corrupt):
    """What stands in the place of a checkpoint is none of ours."""

    code = "tlog.checkpoint_unreadable"
    message = "The newest checkpoint in {directory} does not hold: {what}."
    remedy = (
        "If the node's key was changed, give the former public key too; else bring the folder back from the backup."
    )


class History:
    """The checkpoint files of a log that this process owns."""

    def __init__(self, directory: Path, newest: str = _NEWEST, every: str = _ALL) -> None:
        self._directory, self._newest = directory, newest
        self._path = directory / every

    def newest(self, origin: str, keys: Iterable[PublicKey]) -> tuple[Checkpoint, bytes] | None:
        """The newest checkpoint and its note; None for a log that has signed none. Raises CheckpointUnreadable."""
        keys = list(keys)
        notes = [note for note in (self._published(), *self._tail()[0][-1:]) if note]
        try:
            found = [(verify(note, origin, keys), note) for note in notes]
        except CheckpointInvalid as error:
            raise CheckpointUnreadable(directory=self._directory, what=error.facts["what"]) from None
        return max(found, key=lambda held: held[0].size, default=None)

    def mend(self, note: bytes | None) -> None:
        """After a crash: cut a torn end of checkpoints.log, and publish `note` if the crash came before it."""
        self._cut(self._tail()[1])
        if note and note != self._published():
            write_durably(self._directory / self._newest, note)

    def add(self, note: bytes) -> None:
        """Keep `note`, then publish it. Raises OSError; it may be kept then, and may be added again."""
        notes, torn = self._tail()
        self._cut(torn)
        if notes[-1:] != [note]:
            self._keep(note)
        write_durably(self._directory / self._newest, note)

    def _keep(self, note: bytes) -> None:
        data = note + b"\n"
        with open(self._path, "ab", buffering=0) as file:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, "no room for a checkpoint")
            os.fsync(file.fileno())

    def _cut(self, torn: int) -> None:
        """Remove `torn` bytes of a note that was not kept as a whole."""
        if torn:
            with open(self._path, "r+b") as file:
                file.truncate(self._path.stat().st_size - torn)
                os.fsync(file.fileno())

    def _published(self) -> bytes:
        try:
            return (self._directory / self._newest).read_bytes()
        except FileNotFoundError:
            return b""

    def _tail(self) -> tuple[list[bytes], int]:
        """The last notes kept and the bytes of a torn one behind them."""
        if not self._path.exists():
            return [], 0
        with open(self._path, "rb") as file:
            start = max(file.seek(0, os.SEEK_END) - 2 * LARGEST, 0)
            file.seek(start)
            return split(file.read(), from_start=start == 0)


def split(data: bytes, *, from_start: bool = True) -> tuple[list[bytes], int]:
    """The whole notes of checkpoints.log, and how many bytes of a torn one stand behind them."""
    parts = data.split(b"\n\n")
    if not from_start:
        # The first part began before `data`; if it was a text, its signatures come next.
        parts = parts[2:] if parts[1:] and parts[1].startswith("— ".encode()) else parts[1:]
    notes = [b"%s\n\n%s\n" % (parts[at], parts[at + 1]) for at in range(0, len(parts) - 2, 2)]
    return notes, len(b"\n\n".join(parts[2 * len(notes) :]))


def read_cosigned(directory: Path) -> list[bytes]:
    """The heads that enough witnesses had seen, one for every ten minutes, and the newest such."""
    kept, newest = directory / COSIGNED_ALL, directory / COSIGNED
    notes = split(kept.read_bytes())[0] if kept.exists() else []
    return [*notes, newest.read_bytes()] if newest.exists() else notes


def read_all(directory: Path) -> tuple[list[bytes], bytes | None]:
    """All notes kept, and the one published (None: there is no such file), of a log that may be running."""
    kept, published = directory / _ALL, directory / _NEWEST
    # In this order: what is published was kept before.
    newest = published.read_bytes() if published.exists() else None
    return split(kept.read_bytes())[0] if kept.exists() else [], newest
