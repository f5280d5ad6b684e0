"""What `log verify` found, in words; and whether a receipt is kept by the logs it names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tongban.cli import log_read
from tongban.cli.keyring import Keyring, LogKeyUnlisted
from tongban.exchange import envelope
from tongban.kit.errors import Invalid
from tongban.kit.keys import PublicKey
from tongban.tlog import folder, history, segment
from tongban.tlog.audit import Problem
from tongban.tlog.checkpoint import CheckpointInvalid, key_hash, parse
from tongban.tlog.checkpoint import verify as verify_note
from tongban.tlog.cosignature import cosigners
from tongban.tlog.cosignature import key_hash as witness_hash
from tongban.tlog.segment import FRAMES, entry_file
from tongban.tlog.tree import leaf_hash
from tongban.tlog.verify import Progress, Verification, verify

#: Problem codes (log reference, section 8) in the words of somebody who has to act on them.
MEANING = {
    "tlog.damaged": "bytes were changed or are missing: entries that were whole are not any more",
    "tlog.shorter_than_checkpoint": "entries that this checkpoint covers are gone or unreadable",
    "tlog.root_differs": "entries that this checkpoint covers were changed, exchanged or removed",
    "tlog.leaf_not_canonical": "the leaf is not in its one form",
    "tlog.record_differs": "the record is not the one that was hashed into the leaf",
    "tlog.keys_differ": "the batch's key column is not the one in its leaf",
    "tlog.answer_differs": "the stored answer is not the one that was given",
    "tlog.record_unexpected": "a public entry has something hidden behind it",
    "tlog.record_missing": "a record is gone and no destruction entry says so",
    "tlog.destruction_unreadable": "a destruction speaks of entries that it cannot speak of",
    "tlog.record_unreadable": "the record does not say what its kind must say",
    "tlog.request_differs": "the signed request is not the one whose digest was logged",
    "tlog.signature_differs": "a signature does not hold",
    "tlog.key_unknown": "signed with a key that the directory does not list, or with another than the record names",
    "tlog.checkpoint_invalid": "not signed by this log's key, or not a checkpoint",
    "tlog.checkpoints_disordered": "smaller than the checkpoint before it",
    "tlog.checkpoint_not_kept": "it was published, but is missing among those kept",
    "tlog.day_count_differs": "the day counts other looks at persons than the entries it speaks of",
    "tlog.tile_invalid": "what was fetched is not this tile of the log under the signed head",
    "cli.no_checkpoint": "there are entries and not one signed checkpoint: nothing binds this log to what it was",
    "cli.other_log": "the directory lists another log at this address",
    "cli.head_old": "the witnesses saw this head long ago: newer entries may be kept from you",
    "cli.closing_differs": "its member closed this log at another head: what goes beyond is not the member's",
    "cli.foreign_checkpoint": "signed, but not by a key of this log's own member",
    "cli.cosignature_unknown": "cosigned by nobody whom the directory lists as a witness of this log",
}


#: What is wrong with a log whose checkpoints are gone.
UNBOUND = Problem("cli.no_checkpoint", "newest checkpoint")
_COSIGNED = "cosigned head"


@dataclass(frozen=True, slots=True)
class Told:
    """A problem, placed for a person."""

    code: str
    file: str
    place: str  #: within the file: "entry 17"
    meaning: str

    def sentence(self) -> str:
        return f"{self.file}, {self.place}: {self.meaning} ({self.code})"


def checked(directory: Path, ring: Keyring | None, signatures: bool, progress: Progress) -> Verification:
    """Verify the log; with `signatures` those of every request and answer too. Raises NotALog, LogKeyUnlisted."""
    origin = folder.identity(directory)["origin"]
    own = ring.of_log(origin) if ring else {}
    if ring and not own:
        raise LogKeyUnlisted(origin=origin)
    if not ring or not signatures:
        return verify(directory, own, progress=progress)
    keys = {**ring.calling, **own}
    return verify(directory, keys, _rebuild(origin), agrees=envelope.record_agrees, progress=progress)


def _rebuild(origin: str) -> Any:
    """Makes the bytes that were signed for the answer to a logged call."""
    return lambda index, leaf, record: envelope.answer_base(record, entry=index, leaf=leaf.hex(), origin=origin)


def foreign_checkpoints(directory: Path, origin: str, own: dict[str, PublicKey]) -> list[Problem]:
    """Checkpoints on which no signature is by the log's own member.

    With the keys of all members in hand, `verify` is content with a signature of any of them.
    """
    ours = {key_hash(origin, key) for key in own.values()}
    found = []
    for note in history.read_all(directory)[0]:
        try:
            checkpoint, _, lines = parse(note)
        except CheckpointInvalid:
            continue
        if not any(line.name == origin and line.key_hash in ours for line in lines):
            found.append(Problem("cli.foreign_checkpoint", f"checkpoint at size {checkpoint.size}"))
    return found


def cosigned_head(directory: Path, origin: str, ring: Keyring) -> list[Problem]:
    """What does not hold of the head that witnesses have seen last; it is one of the checkpoints that were kept."""
    place = directory / "cosigned"
    if not place.exists():
        return []
    note, quorum = place.read_bytes(), ring.quorum(origin)
    try:
        _, text, lines = parse(note)
        verify_note(note, origin, ring.of_log(origin).values())
        cosigners(note, quorum.witnesses)
    except CheckpointInvalid:
        return [Problem("tlog.checkpoint_invalid", _COSIGNED)]
    kept = [text_of for one in history.read_all(directory)[0] if (text_of := one.partition(b"\n\n")[0] + b"\n") == text]
    known = {(name, witness_hash(name, key)) for name, key in quorum.witnesses.items()}
    known |= {(origin, key_hash(origin, key)) for key in ring.of_log(origin).values()}
    found = [] if kept else [Problem("tlog.root_differs", _COSIGNED)]
    strangers = any((line.name, line.key_hash) not in known for line in lines)
    return [*found, *([Problem("cli.cosignature_unknown", _COSIGNED)] if strangers else [])]


def covered(directory: Path) -> int:
    """Entries under the newest checkpoint that was kept."""
    notes = history.read_all(directory)[0]
    try:
        return parse(notes[-1])[0].size if notes else 0
    except CheckpointInvalid:
        return 0


def told(directory: Path, problem: Problem) -> Told:
    """Name file and entry of a problem."""
    code, place = problem
    meaning = MEANING.get(code, "it does not hold")
    if place.startswith("entry ") and place[6:].isdigit():
        path = entry_file(directory, int(place[6:]) // FRAMES)
        # The signature of our own answer stands beside the entries, outside the tree.
        beside = f" or answers/{path.stem}.sig" if code == "tlog.signature_differs" else ""
        return Told(code, f"entries/{path.name}{beside}", place, meaning)
    file, comma, where = place.partition(", ")
    if comma and file.endswith(".log"):
        return Told(code, f"entries/{file}", f"entry {_first_bad(directory, file)} ({where})", meaning)
    if place in ("newest checkpoint", _COSIGNED):
        return Told(code, "cosigned" if place == _COSIGNED else "checkpoint", place, meaning)
    return Told(code, "checkpoints.log" if place.startswith("checkpoint") else "entries", place, meaning)


def _first_bad(directory: Path, file: str) -> int:
    """Index of the first entry of the file that is not whole."""
    number, path = int(file.partition(".")[0]), directory / "entries" / file
    return number * FRAMES + (segment.read(path).count if path.exists() else 0)


# Receipts


class ReceiptInvalid(Invalid):
    code = "cli.receipt_invalid"
    message = "This is no receipt: {what}."
    remedy = "Give the JSON of the header tongban-receipt as it came: origin, entry, leaf, perhaps own_entry."


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an answer, or the stage of a round, lies in a log; and in the asker's own log, if it is an answer's."""

    origin: str
    entry: int
    leaf: str
    own_entry: int | None

    @classmethod
    def read(cls, raw: bytes) -> "Receipt":
        """Raises ReceiptInvalid."""
        try:
            held = orjson.loads(raw)
            held = held.get("receipt", held)  # a round keeps it inside the story of the part
            read = cls(held["origin"], held["entry"], held["leaf"], held.get("own_entry"))
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            raise ReceiptInvalid(what="origin, entry and leaf are not there") from None
        texts = isinstance(read.origin, str) and isinstance(read.leaf, str)
        numbers = type(read.entry) is int and (read.own_entry is None or type(read.own_entry) is int)
        if not texts or not numbers:
            raise ReceiptInvalid(what="origin, entry or leaf is of another kind")
        return read


Check = tuple[bool, str]


def provider_side(receipt: Receipt, directory: Path) -> list[Check]:
    """Whether the log that the receipt names holds its entry. Raises NotALog."""
    origin = folder.identity(directory)["origin"]
    if origin != receipt.origin:
        return [(False, f"the receipt is of the log {receipt.origin}; this is {origin}")]
    held = log_read.entry(directory, receipt.entry)
    if held is None:
        return [(False, f"the log has no entry {receipt.entry}")]
    same = leaf_hash(held.leaf).hex() == receipt.leaf
    return [(same, f"entry {receipt.entry} of {origin} {'has' if same else 'does NOT have'} the leaf of the receipt")]


def consumer_side(receipt: Receipt, directory: Path) -> list[Check]:
    """Whether the asker's own log committed to the question and to this answer. Raises NotALog."""
    origin = folder.identity(directory)["origin"]
    if receipt.own_entry is None:
        return [(False, "the receipt names no entry of the asker's own log")]
    held = log_read.entry(directory, receipt.own_entry)
    record = log_read.record_of(held) if held else None
    if record is None or (record.get("origin"), record.get("entry"), record.get("leaf")) != (
        receipt.origin,
        receipt.entry,
        receipt.leaf,
    ):
        return [(False, f"entry {receipt.own_entry} of {origin} does not speak of this answer")]
    answer = (True, f"entry {receipt.own_entry} of {origin} holds the answer, and names entry and leaf of the receipt")
    asked = int(record.get("request_entry", -1))
    request = log_read.entry(directory, asked) if asked < receipt.own_entry else None
    committed = request is not None and log_read.leaf_of(request).get("kind") == "request"
    return [answer, (committed, f"entry {asked} of {origin}, before it, commits to the question")]
