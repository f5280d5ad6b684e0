"""Keys of a batch, kept encrypted only until the persons they name are committed in the log.

A node that dies between a batch and its batch-persons entry must still be able to write that entry;
so the keys are on disk before the batch is logged, and gone once the persons are.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tongban.kit.durable import write_durably
from tongban.kit.errors import Corrupt, Unavailable

_SUFFIX = ".sealed"


class SpoolDamaged(Corrupt):
    """A spooled file that its key does not open."""

    code = "node.spool_damaged"
    message = "Spooled keys {name} cannot be opened."
    remedy = "Tell the data bureau: the persons of one batch cannot be committed; its entry in the log stands."


class SpoolFull(Unavailable):
    """The disk did not take the keys of a batch."""

    code = "node.spool_full"
    message = "The keys of a batch cannot be spooled ({error}); the batch was not answered."
    remedy = "Look at the disk. Batches are refused meanwhile, and go on by themselves when writing works again."


class Spool:
    """Sealed files in one folder, named by the digest of the request they belong to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Half-written: never logged, so never answered.
        for path in folder.glob("*.new"):
            path.unlink()
        self._cipher = AESGCM(_own_key(folder / "spool.key"))

    def put(self, name: str, data: bytes | memoryview) -> None:
        """Durable when it returns. Raises SpoolFull: nothing is kept."""
        nonce = os.urandom(12)
        sealed = nonce + self._cipher.encrypt(nonce, data, name.encode())
        try:
            write_durably(self._folder / (name + _SUFFIX), sealed, mode=0o600)
        except OSError as error:
            self.erase(name)
            raise SpoolFull(error=errno.errorcode.get(error.errno or 0, "unknown error")) from None

    def get(self, name: str) -> bytes:
        """Raises SpoolDamaged."""
        try:
            raw = (self._folder / (name + _SUFFIX)).read_bytes()
            return self._cipher.decrypt(raw[:12], raw[12:], name.encode())
        except (InvalidTag, ValueError, OSError):
            raise SpoolDamaged(name=name[:16]) from None

    def names(self) -> Iterator[str]:
        """What is still waiting, after a restart too."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            yield path.name.removesuffix(_SUFFIX)

    def erase(self, name: str) -> None:
        (self._folder / (name + _SUFFIX)).unlink(missing_ok=True)


def _own_key(path: Path) -> bytes:
    """Made once. Whoever owns the node's log owns the spool, so nobody else makes one meanwhile."""
    if not path.exists():
        write_durably(path, os.urandom(32), mode=0o600)
    return path.read_bytes()
