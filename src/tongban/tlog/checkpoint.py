"""Checkpoints: what the log says of itself, signed, so that it cannot say something else tomorrow.

C2SP tlog-checkpoint in a C2SP signed note (https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note).
"""

import base64
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from tongban.kit.errors import Invalid
from tongban.kit.keys import PublicKey, SigningKey

#: Room for the log's own line and for witnesses; the standard wants at least 16 accepted.
LARGEST = 64 * 1024
_ED25519 = b"\x01"
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class CheckpointInvalid(Invalid):
    """A note that is no checkpoint, or not one of this log."""

    code = "tlog.checkpoint_invalid"
    message = "Not a checkpoint of this log: {what}."
    remedy = "Fetch it again; if it stays so, ask the log's owner and show what you hold."


class Checkpoint(NamedTuple):
    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        """The bytes that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()


class Signature(NamedTuple):
    name: str
    key_hash: bytes
    signature: bytes

    def written(self) -> bytes:
        """The line, as it stands below a text."""
        return f"— {self.name} {base64.b64encode(self.key_hash + self.signature).decode()}\n".encode()


def key_hash(name: str, key: PublicKey) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + key.public).digest()[:4]


def verifier_key(name: str, key: PublicKey) -> str:
    """The public key as other tools take it: name+hash+key."""
    return f"{name}+{key_hash(name, key).hex()}+{base64.b64encode(_ED25519 + key.public).decode()}"


def sign(checkpoint: Checkpoint, key: SigningKey) -> bytes:
    """The signed note. Raises CheckpointInvalid if the origin cannot name a key."""
    origin, text = checkpoint.origin, checkpoint.text()
    if not origin or re.search(r"[\s+\x00-\x1f]", origin):
        raise CheckpointInvalid(what="an origin is not empty and has neither spaces nor +")
    signature = base64.b64encode(key_hash(origin, key.public) + key.sign(text)).decode()
    return text + f"\n— {origin} {signature}\n".encode()


def parse(note: bytes) -> tuple[Checkpoint, bytes, list[Signature]]:
    """Checkpoint, signed text (extension lines included) and signatures, nothing verified. Raises CheckpointInvalid."""
    if len(note) > LARGEST:
        raise CheckpointInvalid(what="longer than 64 KiB")
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise CheckpointInvalid(what="not UTF-8") from None
    if re.search(r"[\x00-\x09\x0b-\x1f]", whole):
        raise CheckpointInvalid(what="control characters")
    text, gap, signatures = whole.rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise CheckpointInvalid(what="no signature")
    return _checkpoint(text), f"{text}\n".encode(), [_signature(line) for line in signatures[:-1].split("\n")]


def verify(note: bytes, origin: str, keys: Iterable[PublicKey]) -> Checkpoint:
    """The checkpoint, if one of `keys` signed it for `origin`.

    Signatures of unknown keys (witnesses, keys to come) are passed over; a bad one of a known key spoils the note.

    Raises
        CheckpointInvalid
    """
    return verified(note, origin, keys)[0]


def verified(note: bytes, origin: str, keys: Iterable[PublicKey]) -> tuple[Checkpoint, bytes]:
    """As `verify`; beside the checkpoint the note without any line below its text that was not verified."""
    checkpoint, text, signatures = parse(note)
    if checkpoint.origin != origin:
        raise CheckpointInvalid(what="another origin")
    known = {key_hash(origin, key): key for key in keys}
    # Each once: hundreds of copies of a line that anybody may fetch would be as much work as hundreds of signatures.
    ours = dict.fromkeys(line for line in signatures if line.name == origin and line.key_hash in known)
    if not ours:
        raise CheckpointInvalid(what="not signed by a known key")
    if not all(known[line.key_hash].verifies(text, line.signature) for line in ours):
        raise CheckpointInvalid(what="the signature does not hold")
    return checkpoint, text + b"\n" + b"".join(line.written() for line in ours)


def _checkpoint(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) < 3 or "" in lines:
        raise CheckpointInvalid(what="fewer than three lines, or an empty one")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size) or int(size) >= 2**63:
        raise CheckpointInvalid(what="the size is not a plain number")
    return Checkpoint(origin, int(size), _bytes(root, 32, "root"))


def _signature(line: str) -> Signature:
    found = _SIGNATURE_LINE.fullmatch(line)
    if not found:
        raise CheckpointInvalid(what="a line after the text is not a signature")
    raw = _bytes(found[2], None, "signature")
    if len(raw) < 5:
        raise CheckpointInvalid(what="a signature is too short")
    return Signature(found[1], raw[:4], raw[4:])


def _bytes(text: str, length: int | None, what: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise CheckpointInvalid(what=f"the {what} is not base64") from None
    # base64 has several spellings of the same bytes; a note has one.
    if base64.b64encode(raw).decode() != text or length not in (None, len(raw)):
        raise CheckpointInvalid(what=f"the {what} is not plain base64 of its length")
    return raw
