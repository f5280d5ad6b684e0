"""Keys of a batch, kept encrypted only until the persons they name are committed in the log.

A node that dies between a batch and its batch-persons entry must still be able to write that entry;
so the keys are on disk before the batch is logged, and gone once the persons are.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tongban.kit.errors import Corrupt

_SUFFIX = ".sealed"


class SpoolDamaged(Corrupt):
    """A spooled file that its key does not open."""

    code = "node.spool_damaged"
    message = "Spooled keys {name} cannot be opened."
    remedy = "Tell the data bureau: the persons of one batch cannot be committed; its entry in the log stands."


class Spool:
    """Sealed files in one folder, named by the digest of the request they belong to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._cipher = AESGCM(_own_key(folder / "spool.key"))

    def put(self, name: str, data: bytes) -> None:
        """Durable when it returns."""
        nonce = os.urandom(12)
        beside = self._folder / f"{name}.new"
        with beside.open("wb") as file:
            file.write(nonce + self._cipher.encrypt(nonce, data, name.encode()))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._folder / (name + _SUFFIX))
        _sync(self._folder)

    def get(self, name: str) -> bytes:
        """Raises SpoolDamaged."""
        raw = (self._folder / (name + _SUFFIX)).read_bytes()
        try:
            return self._cipher.decrypt(raw[:12], raw[12:], name.encode())
        except InvalidTag:
            raise SpoolDamaged(name=name[:16]) from None

    def names(self) -> Iterator[str]:
        """What is still waiting, after a restart too."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            yield path.name.removesuffix(_SUFFIX)

    def erase(self, name: str) -> None:
        (self._folder / (name + _SUFFIX)).unlink(missing_ok=True)


def _own_key(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    key = os.urandom(32)
    with os.fdopen(handle, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
