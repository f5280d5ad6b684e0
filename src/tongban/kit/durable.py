"""Small files that survive a power cut."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


def write_durably(path: Path, data: bytes, *, mode: int = 0o644, replace: bool = True) -> None:
    """Write a small file so that after a power cut it is there as a whole or not at all.

    It is drafted beside its place, under its name and `.new`. A draft that a crash left behind counts for nothing.

    Raises
        FileExistsError: not `replace`, and there is one already.
        OSError: the disk did not take it; there may be the file as it was, or the new one.
    """
    # Whoever shared the draft would give his own half of it the other's name.
    with _alone(path.parent):
        draft = path.with_name(path.name + ".new")
        # A draft left behind may have another mode, which opening it would keep.
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                draft.rename(path)
            else:
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        sync(path.parent)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process or thread writes durably in `folder` meanwhile."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        # Said aloud: a process that was forked meanwhile has the handle too, and would hold the lock on.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def sync(path: Path) -> None:
    """Make a file durable; of a folder, the names that were created, renamed or removed in it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
