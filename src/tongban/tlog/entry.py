"""Entries: the leaf that everybody may see, the salted record behind it, and the frame that holds both on disk.

What we write is the closed table KINDS. What we read may come from a later version: a leaf of another
kind is opaque, it has its place in the tree and says nothing else.
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from tongban.kit import canonical
from tongban.kit.errors import Invalid

VERSION = 1
MAGIC = b"TBE1"
#: Of an entry written together with the one before it: a power loss may keep its page and lose the one before.
TOGETHER = b"TBE2"
#: Most bytes of a frame after its CRC. Keeps a damaged length from swallowing the rest of a file.
LARGEST = 64 * 1024 * 1024
SALT = 32
#: Bytes of the longest leaf that a bundle can carry (C2SP tlog-tiles).
LONGEST_LEAF = 0xFFFF

_HEAD = struct.Struct("<4sII")
_LENGTH = struct.Struct("<I")
_OTHER = 0xFFFFFFFF
HEAD = _HEAD.size


class EntryInvalid(Invalid):
    """An entry that does not have the shape of its kind."""

    code = "tlog.entry_invalid"
    message = "Not an entry of this log: {what}."
    remedy = "Write the fields that docs/reference/log.md, section 3, gives for the kind."


@dataclass(frozen=True, slots=True)
class Kind:
    """What the writer of one kind of entry gives."""

    record: bool = True  #: private: a record, and `n` persons
    persons: int | None = None  #: the only `n` allowed
    fields: frozenset[str] = frozenset({"kind", "n"})  #: of the leaf, without those that are made with it
    body: frozenset[str] = frozenset()  #: fields of a public kind's body


def _public(*body: str) -> Kind:
    return Kind(record=False, fields=frozenset({"kind", "body"}), body=frozenset(body))


KINDS: Mapping[str, Kind] = {
    "request": Kind(),
    "answer": Kind(),
    "call": Kind(),
    "refused": Kind(),
    "repeat": Kind(persons=0),
    "batch": Kind(),
    "act": Kind(),
    "suppression": Kind(persons=0),
    "batch-persons": Kind(record=False, fields=frozenset({"kind", "batch", "n", "root"})),
    "refused-aggregate": _public("from", "until", "peers", "counts"),
    "grant": _public("grant", "digest", "signed_by"),
    "directory": _public("version", "digest"),
    "key": _public("key", "member", "role", "change", "at"),
    "round": _public("round", "stage", "digest"),
    "day-count": _public("day", "from", "until", "persons", "sum", "root"),
    "destruction": _public("from", "until", "class", "count", "basis"),
}


class Stored(NamedTuple):
    """An entry as it is read back. `record` is None for a public kind and after its destruction."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of an entry
    leaf: bytes
    salt: bytes
    record: bytes | None
    sealed: bytes


def record_digest(salted: bytes) -> str:
    """What a leaf says of its record; `salted` is the salt and the record."""
    return sha256(b"tongban/record/1\n" + salted).hexdigest()


def keys_digest(salt: bytes, column: str) -> str:
    """What a batch's leaf says of its key column, whose digest is `column` (hexadecimal). Raises EntryInvalid."""
    try:
        return sha256(b"tongban/keys/1\n" + salt + bytes.fromhex(column)).hexdigest()
    except (TypeError, ValueError):
        raise EntryInvalid(what="a batch's record needs the digest of its key column in `keys`") from None


def make(fields: Mapping[str, Any], record: dict[str, Any] | None, salt: bytes) -> tuple[bytes, bytes]:
    """Leaf and salted record (empty for a public kind), ready for `frame`. Raises EntryInvalid.

    `fields` is the leaf without what is made here: {"kind": "call", "n": 1}, {"kind": "directory", "body": {…}}.
    """
    if record is None:
        return _public_leaf(fields), b""
    if len(fields) != 2:
        raise _shape(fields)
    before, after = _around(fields.get("kind"), fields.get("n"))
    salted = salt + canonical.encode(record)
    # Every call of the node comes through here; joining ready pieces costs a third of writing JSON.
    leaf = b"".join((before, record_digest(salted).encode(), after))
    if fields["kind"] == "batch":
        leaf = b'{"keys":"%s",%s' % (keys_digest(salt, record.get("keys", "?")).encode(), leaf[1:])
    return leaf, salted


@lru_cache(maxsize=1024, typed=True)
def _around(name: Any, n: Any) -> tuple[bytes, bytes]:
    """The bytes of a private kind's leaf before and after its record's digest."""
    kind = KINDS.get(name)
    if kind is None or not kind.record or type(n) is not int or not 0 <= n <= canonical.SAFE:
        raise _shape({"kind": name, "n": n})
    if kind.persons not in (None, n):
        raise EntryInvalid(what=f"kind {name} is about {kind.persons} persons")
    before, after = canonical.encode({"kind": name, "n": n, "record": "?", "v": VERSION}).split(b"?")
    return before, after


def _public_leaf(fields: Mapping[str, Any]) -> bytes:
    kind = KINDS.get(fields.get("kind", ""))
    if kind is None or kind.record or fields.keys() != kind.fields:
        raise _shape(fields)
    if kind.body and fields["body"].keys() != kind.body:
        raise EntryInvalid(what=f"body of {fields['kind']} with fields {', '.join(sorted(fields['body']))}")
    leaf = {**fields, "v": VERSION}
    # A public body may quote what others wrote; nobody may write a leaf that a second implementation refuses.
    canonical.check(leaf)
    written = canonical.encode(leaf)
    if len(written) > LONGEST_LEAF:
        raise EntryInvalid(what=f"a leaf of {len(written)} bytes, more than {LONGEST_LEAF}")
    return written


def _shape(fields: Mapping[str, Any]) -> EntryInvalid:
    return EntryInvalid(what=f"kind {fields.get('kind')!r} with fields {', '.join(sorted(fields))}")


def frame(leaf: bytes, salted: bytes, sealed: bytes) -> bytes:
    """Bytes of an entry on disk. Raises EntryInvalid."""
    length = _LENGTH.pack
    rest = b"".join((length(len(leaf)), leaf, length(len(salted)), salted, length(len(sealed)), sealed))
    if len(rest) > LARGEST:
        raise EntryInvalid(what=f"{len(rest)} bytes, more than {LARGEST}")
    return _HEAD.pack(MAGIC, len(rest), zlib.crc32(rest)) + rest


def together(frame: bytes) -> tuple[bytes, memoryview]:
    """Head and rest of a `frame` that is written in one append with the one before it."""
    _, length, crc = _HEAD.unpack_from(frame)
    # The other checksum: one magic changed into the other is seen to be a change.
    return _HEAD.pack(TOGETHER, length, crc ^ _OTHER), memoryview(frame)[HEAD:]


class Framed(NamedTuple):
    """A whole frame found in a file."""

    stop: int  #: where the next one begins
    leaf: bytes
    salted: bytes  #: salt and record, or empty
    sealed: bytes


def promised(data: bytes) -> int:
    """Bytes of the frame that `data` begins with, as its head says; 0 if it begins with none."""
    if len(data) < HEAD:
        return 0
    magic, length, _ = _HEAD.unpack_from(data)
    return HEAD + length if magic in (MAGIC, TOGETHER) and length <= LARGEST else 0


def unframe(data: Any, at: int, end: int) -> Framed | None:
    """The frame at `at` in `data` (bytes or a mapped file), None unless all of it stands before `end` and is whole."""
    if end - at < HEAD:
        return None
    magic, length, crc = _HEAD.unpack_from(data, at)
    stop = at + HEAD + length
    if magic not in (MAGIC, TOGETHER) or stop > end or length > LARGEST:
        return None
    rest = data[at + HEAD : stop]
    if zlib.crc32(rest) != (crc if magic == MAGIC else crc ^ _OTHER):
        return None
    try:
        leaf_stop = 4 + _LENGTH.unpack_from(rest, 0)[0]
        salted_stop = leaf_stop + 4 + _LENGTH.unpack_from(rest, leaf_stop)[0]
        sealed_stop = salted_stop + 4 + _LENGTH.unpack_from(rest, salted_stop)[0]
    except struct.error:
        return None
    if sealed_stop != length:
        return None
    return Framed(stop, rest[4:leaf_stop], rest[leaf_stop + 4 : salted_stop], rest[salted_stop + 4 :])


def leaf_at(data: Any, at: int, end: int) -> bytes:
    """The leaf of the frame that stands in `data` from `at` to `end`, not checked; empty if there is none."""
    first = at + HEAD + _LENGTH.size
    if first > min(end, len(data)):
        return b""
    leaf: bytes = data[first : min(first + _LENGTH.unpack_from(data, at + HEAD)[0], end)]
    return leaf


def stored(index: int, framed: Framed) -> Stored:
    salted = framed.salted
    return Stored(index, framed.leaf, salted[:SALT], salted[SALT:] or None, framed.sealed)
