"""The persons of a batch: one salted leaf each, under one root that the log commits to.

A person can be shown her own leaf and its path; the others stay hidden behind the batch's salt.
"""

from collections.abc import Iterable
from hashlib import sha256

from tongban.tlog.tree import root_of


def person_leaf(batch_salt: bytes, pseudonym: str, verdict: int) -> bytes:
    """Leaf of one person, 32 bytes; `verdict` is the byte of the answer's column, verdict << 6 | reason."""
    return sha256(b"tongban/person/1\n" + batch_salt + pseudonym.encode() + bytes((verdict,))).digest()


def persons_root(batch_salt: bytes, people: Iterable[tuple[str, int]]) -> bytes:
    """Root over (pseudonym, verdict byte) of everybody asked about, in key order, those unknown to the register too."""
    return root_of(person_leaf(batch_salt, pseudonym, verdict) for pseudonym, verdict in people)
