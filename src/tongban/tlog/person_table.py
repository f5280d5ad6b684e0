"""The persons of a batch by pseudonym, beside the log: with it, each can be shown her look for as long as it is kept.

persons/<index of the entry>.names    16 bytes a person, in key order; then, at the provider, a verdict byte each
"""

import contextlib
import os
from pathlib import Path
from typing import Any

from tongban.kit.durable import sync, write_durably
from tongban.tlog.segment import mapped

NAME = 16
FOLDER = "persons"


def place(log: Path, index: int) -> Path:
    return log / FOLDER / f"{index:08d}.names"


def write(log: Path, index: int, names: bytes, verdicts: bytes = b"") -> None:
    """Durable when it returns. Raises OSError."""
    path = place(log, index)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_durably(path, names + verdicts, mode=0o600)


def same(log: Path, index: int, like: int) -> bool:
    """Give entry `index` the persons of entry `like`, on the same room of the disk; False if there are none."""
    with contextlib.suppress(FileExistsError):
        try:
            os.link(place(log, like), place(log, index))
        except FileNotFoundError:
            return False
    sync(log / FOLDER)
    return True


def names(log: Path, index: int, count: int) -> Any:
    """Names of the persons of entry `index`: uint8, (count, 16); None if they were not kept, or not as many."""
    import numpy as np

    raw = _raw(log, index, count)
    return None if raw is None else np.frombuffer(raw, np.uint8, NAME * count).reshape(count, NAME)


def verdicts(log: Path, index: int, count: int) -> bytes:
    """Verdict bytes of the persons of a batch; none at the asker's side."""
    return (_raw(log, index, count) or b"")[NAME * count :]


def _raw(log: Path, index: int, count: int) -> bytes | None:
    try:
        with mapped(place(log, index)) as data:
            raw = bytes(data)
    except OSError:
        return None
    return raw if len(raw) in (NAME * count, (NAME + 1) * count) else None
