"""A node's folder, copied while the node runs, and brought back; and how a copy is told from the folder itself.

Whatever a checkpoint covers was durable before it was signed. So checkpoints are copied before entries: the copy then
never lacks what its checkpoint covers. What an append had begun meanwhile is left out at the end of the copy.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tongban.kit.durable import sync, write_durably
from tongban.kit.errors import Corrupt, Invalid
from tongban.kit.keys import PublicKey
from tongban.tlog import person_table, segment
from tongban.tlog.answers import SIGNATURE, answer_file
from tongban.tlog.verify import Verification, verify

#: Of a log in this order, and then of the node. Facts are made again from the registers.
_LOG: Final = (
    "checkpoint", "checkpoints.log", "cosigned", "cosigned.log", "log.json", "subject.key", "seal", "entries",
    "answers", "persons", "days",
)  # fmt: skip
_NODE: Final = (
    "keys", "spool", "asked", "witness", "node.toml", "directory.json", "directory-memory.json", "proven.json",
)  # fmt: skip
_HERE: Final = "here.json"


class BackupTaken(Invalid):
    code = "node.backup_taken"
    message = "{folder} is not empty."
    remedy = "Name a folder that is not there yet: nothing is ever copied over a backup or over a node."


class BackupBroken(Corrupt):
    code = "node.backup_broken"
    message = "The copy in {folder} does not hold: {what}."
    remedy = "Keep the former backup, look at the disk, and verify the node's own log before the next try."


@dataclass(frozen=True, slots=True)
class Copied:
    """What lies in the copy."""

    entries: int
    checked: int  #: checkpoints that hold against them
    bytes: int


def backup(folder: Path, to: Path, keys: Mapping[str, PublicKey]) -> Copied:
    """Copy a node's folder, running or not, and verify the copy. `keys`: those that signed its checkpoints.

    Raises BackupTaken, BackupBroken, OSError.
    """
    if to.exists() and any(to.iterdir()):
        raise BackupTaken(folder=to)
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    (to / "log").mkdir(mode=0o700, exist_ok=True)
    numbers = None
    for name in _LOG:
        if name == "entries":
            numbers = segment.numbers(folder / "log")
        _copy(folder / "log" / name, to / "log" / name)
    for name in _NODE:
        _copy(folder / name, to / name)
    _cut(to / "log", numbers or [])
    here = folder / "log" / _HERE
    if here.exists():
        # The place of the folder that was copied: a copy is known by lying elsewhere.
        _copy(here, to / "log" / _HERE)
    return _checked(to, keys)


def restore(backup: Path, folder: Path, keys: Mapping[str, PublicKey]) -> Copied:
    """Bring a backup back into an empty folder, verified before and after. Raises as `backup`."""
    _checked(backup, keys)
    if folder.exists() and any(folder.iterdir()):
        raise BackupTaken(folder=folder)
    shutil.copytree(backup, folder, dirs_exist_ok=True)
    # It lies nowhere yet: whoever starts it must ask others first.
    write_durably(folder / "log" / _HERE, b"{}")
    _made_durable(folder)
    return _checked(folder, keys)


def _copy(source: Path, to: Path) -> None:
    """A file, or a folder with its files; one that goes meanwhile (a sealed key, a spooled batch) was due to go."""
    if source.is_dir():
        to.mkdir(mode=0o700, exist_ok=True)
        for one in sorted(source.iterdir()):
            if one.suffix not in (".new", ".tmp"):
                _copy(one, to / one.name)
        return
    try:
        shutil.copy2(source, to)
    except FileNotFoundError:
        return
    sync(to)


def _cut(log: Path, numbers: list[int]) -> None:
    """Leave out what an append had begun: a later page may be there without an earlier one, which looks like damage."""
    for late in set(segment.numbers(log)) - set(numbers):
        segment.entry_file(log, late).unlink()
    if numbers:
        path = segment.entry_file(log, numbers[-1])
        with path.open("r+b") as file:
            whole = segment.read(path)
            file.truncate(whole.good)
            os.fsync(file.fileno())
        # The same place must not keep the signature of an entry that the copy does not have.
        if (signed := answer_file(log, numbers[-1])).exists():
            os.truncate(signed, min(signed.stat().st_size, whole.count * SIGNATURE))
        size = numbers[-1] * segment.FRAMES + whole.count
        for table in (log / person_table.FOLDER).glob("*.names"):
            if int(table.stem) >= size:
                table.unlink()


def _checked(folder: Path, keys: Mapping[str, PublicKey]) -> Copied:
    found: Verification = verify(folder / "log", keys)
    if not found.holds:
        first = found.problems[0]
        raise BackupBroken(folder=folder, what=f"{first.place} ({first.code})")
    size = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
    return Copied(found.entries, found.checkpoints, size)


def _made_durable(folder: Path) -> None:
    for one in folder.rglob("*"):
        sync(one)
    sync(folder)


# --- a copy ---------------------------------------------------------------------------------------


def is_copy(log: Path) -> bool:
    """Whether this log lies elsewhere than when it was last run: it may be older than what others have seen of it.

    A machine set back as a whole (an image of its disk) is not found out by this.
    """
    try:
        held = json.loads((log / _HERE).read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    return bool(held != _here(log))


def settle(log: Path) -> None:
    """Note where the log lies, once it is known to be the newest."""
    if is_copy(log) or not (log / _HERE).exists():
        write_durably(log / _HERE, json.dumps(_here(log)).encode())


def _here(log: Path) -> dict[str, int]:
    state = (log / "log.json").stat()
    # The file that is made with the log and never again. A number may be given to another file; its time is not.
    return {"device": state.st_dev, "inode": state.st_ino, "changed": state.st_ctime_ns}
