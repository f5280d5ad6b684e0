"""A witness: remembers the largest head of each log it was shown, and cosigns only what continues it.

C2SP tlog-witness (https://c2sp.org/tlog-witness): `add-checkpoint`. Two heads of one log that contradict each other
can never both carry the cosignature of one witness, for what was cosigned is on disk before the line leaves.
"""

import base64
import re
import threading
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from tongban.kit.durable import write_durably
from tongban.kit.errors import Corrupt
from tongban.kit.keys import PublicKey, SigningKey
from tongban.tlog import cosignature
from tongban.tlog.checkpoint import LARGEST, Checkpoint, CheckpointInvalid, parse, verified
from tongban.tlog.tree import EMPTY, verify_consistency

#: Lines of a consistency proof that the protocol allows.
_MOST_PROOF = 63
#: Bytes of a request: size line, proof, checkpoint.
MOST_BYTES = LARGEST + 64 * 64
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_HASH = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")

#: The keys that a witness trusts to sign for an origin; None for a log that it does not know.
Keys = Callable[[str], Iterable[PublicKey] | None]


class WitnessDamaged(Corrupt):
    """What a witness remembered of a log cannot be read: it may have cosigned more than it would find now."""

    code = "tlog.witness_damaged"
    message = "What this witness remembers of a log cannot be read: {path}."
    remedy = (
        "Bring the file back from the backup; without it, ask the log and the other witnesses for the largest head."
    )


class Reply(NamedTuple):
    """What goes back: status of HTTP, content type, body."""

    status: int
    content_type: str
    body: bytes


class _Asked(NamedTuple):
    old: int
    proof: list[bytes]
    note: bytes


class Witness:
    """State in a folder of its own, one file a log. `now` gives the witness's own time."""

    def __init__(
        self,
        directory: Path,
        name: str,
        key: SigningKey,
        keys: Keys,
        now: Callable[[], float],
        *,
        former: Keys | None = None,
    ) -> None:
        """`former`: keys that ever signed for an origin, by which what is remembered is checked; `keys` if left out."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.name = name
        self._directory, self._key, self._keys, self._now = directory, key, keys, now
        self._former = former or keys
        # Between looking and writing nobody else may write: a smaller head would roll back a larger one.
        self._turn = threading.Lock()

    def add_checkpoint(self, body: bytes) -> Reply:
        """Answer one `add-checkpoint`. Raises WitnessDamaged, OSError: nothing was cosigned."""
        asked = _read(body)
        if asked is None:
            return _said(400, "not an old size, a consistency proof and a checkpoint")
        try:
            origin = parse(asked.note)[0].origin
        except CheckpointInvalid:
            return _said(400, "not a checkpoint")
        keys = self._keys(origin)
        if keys is None:
            return _said(404, "this log is not known here")
        try:
            head, note = verified(asked.note, origin, keys)
        except CheckpointInvalid:
            return _said(403, "no known key of this log has signed the checkpoint")
        if asked.old > head.size:
            return _said(400, "the old size is larger than the checkpoint's")
        with self._turn:
            # Without the lines of strangers: one that names a former key of the log would spoil the note for its owner,
            # who then could not see from it that his log was set back.
            return self._judged(asked._replace(note=note), head)

    def newest(self, origin: str) -> bytes | None:
        """The note that was cosigned last, with the log's signatures; None if there is none. Raises WitnessDamaged."""
        return remembered(self._directory, origin, self._former(origin) or ())

    def _judged(self, asked: _Asked, head: Checkpoint) -> Reply:
        note = self.newest(head.origin)
        seen = parse(note)[0] if note else Checkpoint(head.origin, 0, EMPTY)
        if asked.old != seen.size:
            return Reply(409, "text/x.tlog.size", b"%d\n" % seen.size)
        if seen.size == head.size and seen.root != head.root:
            return Reply(409, "text/x.tlog.size", b"%d\n" % seen.size)
        if not verify_consistency(seen.size, head.size, asked.proof, seen.root, head.root):
            return _said(422, "the consistency proof does not hold")
        write_durably(_path(self._directory, head.origin), asked.note)
        return Reply(200, "text/plain; charset=utf-8", self._line(asked.note))

    def _line(self, note: bytes) -> bytes:
        return cosignature.cosign(parse(note)[1], self.name, self._key, int(self._now()))


def remembered(directory: Path, origin: str, keys: Iterable[PublicKey]) -> bytes | None:
    """The note of `origin` that a witness keeps in `directory`; `keys`: all that ever signed for it.

    Raises WitnessDamaged: whoever remembers less than it cosigned can be made to cosign another history from there.
    """
    path = _path(directory, origin)
    try:
        note = path.read_bytes()
        if verified(note, origin, keys)[1] == note:
            return note
    except FileNotFoundError:
        return None
    except CheckpointInvalid:
        pass
    raise WitnessDamaged(path=path.name)


def damaged(
    directory: Path, origins: Iterable[str], keys: Callable[[str], Iterable[PublicKey]]
) -> list[WitnessDamaged]:
    """What cannot be believed of what a witness keeps of these logs."""
    found = []
    for origin in origins:
        try:
            remembered(directory, origin, keys(origin))
        except WitnessDamaged as error:
            found.append(error)
    return found


def _path(directory: Path, origin: str) -> Path:
    return directory / f"{sha256(origin.encode()).hexdigest()}.note"


def request(old: int, proof: Iterable[bytes], note: bytes) -> bytes:
    """Body of an `add-checkpoint`."""
    lines = [f"old {old}", *(base64.b64encode(one).decode() for one in proof), "", ""]
    return "\n".join(lines).encode() + note


def _read(body: bytes) -> _Asked | None:
    head, gap, note = body.partition(b"\n\n")
    if not gap or len(body) > MOST_BYTES:
        return None
    try:
        first, *proof = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        return None
    old = _OLD.fullmatch(first)
    if old is None or len(proof) > _MOST_PROOF or not all(_HASH.fullmatch(line) for line in proof):
        return None
    return _Asked(int(old[1]), [base64.b64decode(line) for line in proof], note)


def _said(status: int, why: str) -> Reply:
    return Reply(status, "text/plain; charset=utf-8", f"{why}\n".encode())
