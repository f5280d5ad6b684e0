"""Cosignatures: a witness says that, at this time, this was the largest head of the log that it had seen.

C2SP tlog-cosignature, version 1 with Ed25519 (https://c2sp.org/tlog-cosignature), as a line below a checkpoint.
"""

import base64
import struct
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple

from tongban.kit.keys import PublicKey, SigningKey
from tongban.tlog.checkpoint import CheckpointInvalid, Signature, parse

_COSIGNATURE = b"\x04"
_TIME = struct.Struct(">Q")
_LATEST = 2**63 - 1


class Cosigned(NamedTuple):
    """A cosignature that holds."""

    witness: str
    time: int  #: seconds since 1970, by the witness's clock


def key_hash(name: str, key: PublicKey) -> bytes:
    return sha256(name.encode() + b"\n" + _COSIGNATURE + key.public).digest()[:4]


def verifier_key(name: str, key: PublicKey) -> str:
    """A witness's public key as other tools take it: name+hash+key."""
    return f"{name}+{key_hash(name, key).hex()}+{base64.b64encode(_COSIGNATURE + key.public).decode()}"


def cosign(text: bytes, name: str, key: SigningKey, now: int) -> bytes:
    """The line that witness `name` puts below a checkpoint whose signed text is `text`."""
    signature = key_hash(name, key.public) + _TIME.pack(now) + key.sign(_message(text, now))
    return f"— {name} {base64.b64encode(signature).decode()}\n".encode()


def cosigners(note: bytes, witnesses: Mapping[str, PublicKey]) -> list[Cosigned]:
    """Whose cosignatures below `note` hold, each witness once, with its latest time.

    The log's own signature is not looked at. Lines of unknown witnesses are passed over; one that names a known key
    and does not hold spoils the note.

    Raises
        CheckpointInvalid
    """
    _, text, signatures = parse(note)
    known = {(name, key_hash(name, key)): key for name, key in witnesses.items()}
    found: dict[str, int] = {}
    for line in signatures:
        key = known.get((line.name, line.key_hash))
        if key is not None:
            found[line.name] = max(found.get(line.name, 0), _time(text, line, key))
    return [Cosigned(name, time) for name, time in sorted(found.items())]


def _time(text: bytes, line: Signature, key: PublicKey) -> int:
    if len(line.signature) != _TIME.size + 64:
        raise CheckpointInvalid(what=f"the cosignature of {line.name} has another length")
    now = int(_TIME.unpack_from(line.signature)[0])
    if now > _LATEST or not key.verifies(_message(text, now), line.signature[_TIME.size :]):
        raise CheckpointInvalid(what=f"the cosignature of {line.name} does not hold")
    return now


def _message(text: bytes, now: int) -> bytes:
    return b"cosignature/v1\ntime %d\n%b" % (now, text)


class Quorum(NamedTuple):
    """How many witnesses must have seen a head before it is believed."""

    witnesses: Mapping[str, PublicKey]  #: by name
    outside: frozenset[str] = frozenset()  #: names of those who do not belong to the administration
    k: int = 0

    def reached(self, seen: Iterable[Cosigned]) -> bool:
        """One key counts once, under however many names it stands: the signed text names no witness."""
        return len({self.witnesses[one.witness].public for one in seen if one.witness in self.witnesses}) >= self.k

    def outside_seen(self, seen: Iterable[Cosigned]) -> bool:
        """Whether anybody outside is among them; if not, a reader must be told: internal witnesses only."""
        return any(one.witness in self.outside for one in seen)
