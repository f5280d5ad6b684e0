"""One entry file under audit: do its leaves, records and signatures agree?"""

import base64
import re
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tongban.kit import canonical
from tongban.kit.errors import TongbanError
from tongban.kit.keys import PublicKey
from tongban.tlog.answers import NONE, SIGNATURE, answer_file
from tongban.tlog.entry import KINDS, SALT, VERSION, Framed, keys_digest, record_digest
from tongban.tlog.looks import looks_of
from tongban.tlog.seal import Unsealing
from tongban.tlog.segment import FRAMES, Segment, entry_file, read
from tongban.tlog.tree import leaf_hash

#: Rebuilds the signature base of the answer that named an entry, from index, leaf hash and record.
Rebuild = Callable[[int, bytes, dict[str, Any]], bytes]

#: Whether the plain fields of a record are those of the base that was signed.
Agrees = Callable[[dict[str, Any]], bool]

#: Entries of a provider: the signed request stands in the record, the answer's signature beside the entry.
_ANSWERED = frozenset({"call", "refused", "repeat", "batch"})
#: Problems told one by one for each file; the rest is counted.
_TOLD = 20
_KEY_ID = re.compile(rb'^"@signature-params": [^\n]*;keyid="([^"\\]+)"', re.MULTILINE)


class Problem(NamedTuple):
    """Something that does not hold."""

    code: str  #: stable
    place: str  #: "entry 17", "checkpoint at size 200", "00000003.log"


@dataclass(slots=True)
class Audit:
    """What one entry file showed."""

    segment: Segment
    problems: list[Problem] = field(default_factory=list)
    found: int = 0  #: problems, the untold ones included
    requests: int = 0  #: signatures of requests, or of others' answers, that hold
    answers: int = 0  #: signatures of our own answers that hold
    unsigned: int = 0  #: answered entries without a stored signature
    opaque: int = 0  #: entries of kinds that this version does not know
    without_record: list[int] = field(default_factory=list)  #: private entries whose record is gone
    destructions: list[tuple[int, int, int]] = field(default_factory=list)  #: from, until, count
    looks: "array[int]" = field(default_factory=lambda: array("Q"))  #: looks at persons that each entry is
    days: list[tuple[int, Any]] = field(default_factory=list)  #: index and body of each day-count


@dataclass(frozen=True, slots=True)
class Job:
    """What to check, the same for all files."""

    directory: Path
    keys: Mapping[str, PublicKey]
    rebuild: Rebuild | None  #: None: signatures are not checked
    agrees: Agrees = lambda record: True  #: whether a record says what its signed base says


def audit(job: Job, number: int) -> Audit:
    """Check entry file `number`."""
    check = _Check(job, number * FRAMES, _signatures(job, number))
    segment = read(entry_file(job.directory, number), check.visit)
    if segment.good == segment.size:
        check.behind(segment.count)
    return replace(check.audit, segment=segment)


def _signatures(job: Job, number: int) -> bytes:
    path = answer_file(job.directory, number)
    return path.read_bytes() if job.rebuild and path.exists() else b""


_UNREAD = Segment(array("Q", (0,)), b"", 0, False)


class _Check:
    def __init__(self, job: Job, first: int, signatures: bytes) -> None:
        self.audit = Audit(_UNREAD)
        self._job = job
        self._first = first
        self._signatures = signatures
        self._unsealing = Unsealing(job.directory)

    def visit(self, place: int, framed: Framed) -> None:
        index = self._first + place
        leaf = self._leaf(index, framed)
        self.audit.looks.append(looks_of(leaf))
        kind = KINDS.get(str(leaf.get("kind")))
        if kind is None or leaf.get("v") != VERSION:
            self.audit.opaque += 1
        elif kind.record:
            self._private(index, leaf, framed)
        elif framed.salted:
            self._problem("tlog.record_unexpected", index)
        elif leaf["kind"] == "destruction":
            self._destruction(index, leaf)
        elif leaf["kind"] == "day-count":
            self.audit.days.append((index, leaf.get("body")))
        if leaf.get("kind") not in _ANSWERED and self._signature(place) not in (b"", NONE):
            self._problem("tlog.signature_differs", index)

    def behind(self, count: int) -> None:
        """No signature stands behind those of the `count` entries."""
        if self._signatures[count * SIGNATURE :].strip(b"\0"):
            self._problem("tlog.signature_differs", self._first + count)

    def _signature(self, place: int) -> bytes:
        return self._signatures[place * SIGNATURE : (place + 1) * SIGNATURE]

    def _leaf(self, index: int, framed: Framed) -> dict[str, Any]:
        try:
            leaf = canonical.decode(framed.leaf)
        except canonical.NotCanonical:
            leaf = None
        if not isinstance(leaf, dict):
            self._problem("tlog.leaf_not_canonical", index)
            return {}
        return leaf

    def _private(self, index: int, leaf: dict[str, Any], framed: Framed) -> None:
        if not framed.salted:
            self.audit.without_record.append(index)
            return
        if record_digest(framed.salted) != leaf.get("record"):
            self._problem("tlog.record_differs", index)
            return
        if self._job.rebuild is None and leaf["kind"] != "batch" and not framed.sealed:
            return
        try:
            record = orjson.loads(framed.salted[SALT:])
            self._record(index, leaf, framed, record)
            if framed.sealed:
                self._sealed(index, framed, record)
        except (KeyError, ValueError, TypeError, AttributeError):
            self._problem("tlog.record_unreadable", index)

    def _record(self, index: int, leaf: dict[str, Any], framed: Framed, record: dict[str, Any]) -> None:
        if leaf["kind"] == "batch" and keys_digest(framed.salted[:SALT], record["keys"]) != leaf.get("keys"):
            self._problem("tlog.keys_differ", index)
        # An act comes through the local door, where the kernel vouches, and padding from nobody: nothing is signed.
        if self._job.rebuild is None or leaf["kind"] in ("act", "suppression"):
            return
        # A request of our own is committed to before it is signed, so its record may hold no signature yet.
        if leaf["kind"] != "request" or "signature" in record:
            self._received(index, record)
        if leaf["kind"] in _ANSWERED:
            self._answered(index, framed, record, self._job.rebuild)

    def _sealed(self, index: int, framed: Framed, record: dict[str, Any]) -> None:
        """The stored answer is the one that was given; once its day's key is gone, nobody can read it any more."""
        day = str(record.get("at"))[:10]
        if "body" not in record or not self._unsealing.knows(day):
            return
        answer = self._unsealing.opened(day, framed.leaf, framed.sealed)
        if answer is None or sha256(answer).hexdigest() != record["body"]:
            self._problem("tlog.answer_differs", index)

    def _received(self, index: int, record: dict[str, Any]) -> None:
        """The signature of what came from outside: base and signature stand in the record."""
        base = record["base"].encode()
        signature = base64.b64decode(record["signature"], validate=True)
        digest = sha256(base).hexdigest()
        if record.get("request", digest) != digest or not self._job.agrees(record):
            self._problem("tlog.request_differs", index)
        if self._signed(index, base, signature, record.get("key")):
            self.audit.requests += 1

    def _answered(self, index: int, framed: Framed, record: dict[str, Any], rebuild: Rebuild) -> None:
        signature = self._signature(index - self._first)
        if signature in (b"", NONE):
            self.audit.unsigned += 1
            return
        try:
            base = rebuild(index, leaf_hash(framed.leaf), record)
        except TongbanError:
            self._problem("tlog.record_unreadable", index)
            return
        if self._signed(index, base, signature, None):
            self.audit.answers += 1

    def _signed(self, index: int, base: bytes, signature: bytes, named: str | None) -> bool:
        """Whether the key that `base` names, which must be `named` if given, made `signature`."""
        found = _KEY_ID.search(base)
        name = found[1].decode(errors="replace") if found else ""
        key = self._job.keys.get(name)
        if key is None or named not in (None, name):
            self._problem("tlog.key_unknown", index)
            return False
        if not key.verifies(base, signature):
            self._problem("tlog.signature_differs", index)
            return False
        return True

    def _destruction(self, index: int, leaf: dict[str, Any]) -> None:
        try:
            first, until, count = (int(leaf["body"][name]) for name in ("from", "until", "count"))
        except (KeyError, TypeError, ValueError):
            first, until, count = 0, index + 1, 0
        if until > index:
            self._problem("tlog.destruction_unreadable", index)
        else:
            self.audit.destructions.append((first, until, count))

    def _problem(self, code: str, index: int) -> None:
        self.audit.found += 1
        if len(self.audit.problems) < _TOLD:
            self.audit.problems.append(Problem(code, f"entry {index}"))
