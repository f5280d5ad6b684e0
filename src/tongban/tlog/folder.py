"""The log's folder: what is fixed for life, and who owns it now."""

import fcntl
import os
from pathlib import Path
from typing import Any

from tongban.kit import canonical
from tongban.kit.durable import write_durably
from tongban.kit.errors import Corrupt, Invalid, Unavailable

VERSION = 1
ALGORITHM = "ed25519-sha256"
_IDENTITY = "log.json"
_SUBJECT_KEY = "subject.key"


class NotALog(Invalid):
    """A folder without a readable log.json."""

    code = "tlog.not_a_log"
    message = "There is no log in {directory}: {what}."
    remedy = "Name the folder that holds log.json, or create a log there."


class LogExists(Invalid):
    """A log would be created over another."""

    code = "tlog.exists"
    message = "There is already a log, or a part of one, in {directory}."
    remedy = "Open it, or choose an empty folder; a log is never begun again."


class OriginDiffers(Invalid):
    """The folder holds the log of another node."""

    code = "tlog.origin_differs"
    message = "The log in {directory} belongs to {found}, not to {asked}."
    remedy = "Check the data folder in node.toml; one node's log is never continued by another."


class LogInUse(Unavailable):
    """Another process owns the log."""

    code = "tlog.in_use"
    message = "The log in {directory} is in use by another process."
    remedy = "Stop the other node first: two writers would give one index to two entries."


class SubjectKeyMissing(Corrupt):
    """Without its subject key a log cannot find a person's entries any more."""

    code = "tlog.subject_key"
    message = "The subject key in {directory} is missing or is not 32 bytes."
    remedy = "Bring {directory}/subject.key back from the backup; a new key would hide every earlier entry."


def make(directory: Path, origin: str, created: str, subject_key: bytes) -> None:
    """Lay out a new log's folder. log.json comes last: without it there is no log. Raises LogExists."""
    for part in (directory, *(directory / name for name in ("entries", "answers", "seal", "persons", "days"))):
        part.mkdir(parents=True, exist_ok=True)
    if (directory / _IDENTITY).exists() or any((directory / "entries").iterdir()):
        raise LogExists(directory=directory)
    for name in ("seal", "persons", "days"):
        (directory / name).chmod(0o700)
    identity = {"v": VERSION, "origin": origin, "algorithm": ALGORITHM, "created": created}
    try:
        write_durably(directory / _SUBJECT_KEY, subject_key, mode=0o600)
        write_durably(directory / _IDENTITY, canonical.encode(identity) + b"\n", replace=False)
    except FileExistsError:
        raise LogExists(directory=directory) from None


def identity(directory: Path) -> dict[str, Any]:
    """What log.json says. Raises NotALog."""
    try:
        found = canonical.decode((directory / _IDENTITY).read_bytes().rstrip(b"\n"))
    except OSError as error:
        raise NotALog(directory=directory, what=f"log.json cannot be read ({error.strerror})") from None
    except canonical.NotCanonical:
        raise NotALog(directory=directory, what="log.json is not what this program writes") from None
    if not isinstance(found, dict) or not isinstance(found.get("origin"), str):
        raise NotALog(directory=directory, what="log.json names no origin")
    if found.get("v") != VERSION or found.get("algorithm") != ALGORITHM:
        raise NotALog(directory=directory, what="it has a version or an algorithm that this program does not know")
    return found


def subject_key(directory: Path) -> bytes:
    """Raises SubjectKeyMissing."""
    try:
        key = (directory / _SUBJECT_KEY).read_bytes()
    except OSError:
        raise SubjectKeyMissing(directory=directory) from None
    if len(key) != 32:
        raise SubjectKeyMissing(directory=directory)
    return key


def own(directory: Path, origin: str) -> int:
    """Take the log for this process. Returns the handle that holds the lock; closing it gives the log up.

    Raises
        NotALog, OriginDiffers, LogInUse
    """
    found = identity(directory)
    if found["origin"] != origin:
        raise OriginDiffers(directory=directory, found=found["origin"], asked=origin)
    handle = os.open(directory / _IDENTITY, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise LogInUse(directory=directory) from None
    return handle


def owned(directory: Path) -> bool:
    """Whether some process owns the log at this moment; not if there is none."""
    try:
        handle = os.open(directory / _IDENTITY, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared: two who only ask do not take each other for the owner.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
