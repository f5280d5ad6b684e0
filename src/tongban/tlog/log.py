"""A node's log: append durably, sign checkpoints, prove, and start again after a crash.

Durable means that fdatasync returned. An append hands out its index only then: sign and send afterwards.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from tongban.kit.clock import Clock, stamp
from tongban.kit.keys import PublicKey, SigningKey
from tongban.tlog import folder, recovery
from tongban.tlog.answers import Answers
from tongban.tlog.checkpoint import Checkpoint, CheckpointInvalid, sign, verify
from tongban.tlog.destruction import without_records
from tongban.tlog.entry import SALT, EntryInvalid, Stored, frame, make, stored
from tongban.tlog.history import History
from tongban.tlog.recovery import Recovered
from tongban.tlog.seal import Seal
from tongban.tlog.segment import FRAMES
from tongban.tlog.sequencer import Sequencer
from tongban.tlog.storage import Storage, failure
from tongban.tlog.tile import ENTRIES, Tile, bundle, hashes
from tongban.tlog.tree import EMPTY, leaf_hash

#: Bytes that nobody can guess, so many at a time.
Random = Callable[[int], bytes]
_BLOCK = 8192


class Entry(NamedTuple):
    """What an answer names: the entry's place and its leaf hash."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of an entry
    leaf_hash: bytes


class Draft(NamedTuple):
    """An entry to be appended."""

    fields: dict[str, Any]  #: of the leaf, without what the log adds: {"kind": "call", "n": 1}
    record: dict[str, Any] | None = None
    answer: bytes = b""  #: body of the answer to be sealed beside the entry; empty: none


class Log:
    """An open log. One process owns it; one thread (the event loop's) uses it.

    For reading: `directory`; `origin`; `tree`, which holds the durable entries and is asked for proofs; `torn`, what
    was cut when the log was opened; `subject_key`, for `pseudonym`.
    """

    @classmethod
    def create(
        cls, directory: Path, origin: str, key: SigningKey, clock: Clock, *, random: Random = os.urandom
    ) -> "Log":
        """Begin a log in a new or empty folder. Raises LogExists, CheckpointInvalid."""
        # An origin that could never be signed is refused before anything is laid out.
        sign(Checkpoint(origin, 0, EMPTY), key)
        folder.make(directory, origin, stamp(clock.seconds()), random(32))
        return cls.open(directory, origin, key, clock, random=random)

    @classmethod
    def open(
        cls,
        directory: Path,
        origin: str,
        key: SigningKey,
        clock: Clock,
        *,
        former: Iterable[PublicKey] = (),
        random: Random = os.urandom,
    ) -> "Log":
        """Own the log, read every frame, compare with the newest checkpoint, cut a torn end.

        `former`: public keys that signed its checkpoints before `key` did.

        Raises
            NotALog, OriginDiffers, LogInUse, SubjectKeyMissing, CheckpointUnreadable
            Damaged, ShorterThanCheckpoint, RootDiffers: nothing was changed.
        """
        lock = folder.own(directory, origin)
        try:
            subject_key = folder.subject_key(directory)
            history = History(directory)
            newest = history.newest(origin, [key.public, *former])
            recovered = recovery.recover(directory, newest[0].size if newest else 0)
            if newest:
                recovery.compare(directory, recovered.tree, newest[0])
            recovery.mend(directory, recovered.torn)
            history.mend(newest[1] if newest else None)
            return cls(directory, origin, key, clock, random, lock, subject_key, history, newest, recovered)
        except BaseException:
            os.close(lock)
            raise

    def __init__(
        self,
        directory: Path,
        origin: str,
        key: SigningKey,
        clock: Clock,
        random: Random,
        lock: int,
        subject_key: bytes,
        history: History,
        newest: tuple[Checkpoint, bytes] | None,
        recovered: Recovered,
    ) -> None:
        """Only for `open`."""
        self.directory = directory
        self.origin = origin
        self.subject_key = subject_key
        self.tree = recovered.tree
        self.torn = recovered.torn
        self._key = key
        self._lock = lock
        self._history = history
        # One that a former key signed is signed again by this one, even if nothing is new.
        self._newest = newest if newest and _signed(newest[1], origin, key) else None
        self._random = _Blocks(random)
        self._storage = Storage(directory, recovered.stops)
        self._sequencer = Sequencer(self._storage, self.tree)
        self._answers = Answers(directory)
        self._seal = Seal(directory, clock, self._random.take)

    async def append(self, fields: dict[str, Any], record: dict[str, Any] | None = None, answer: bytes = b"") -> Entry:
        """Append one entry and return once it is durable; entries that wait together share one sync.

        `fields` is the leaf without what the log adds: {"kind": "call", "n": 1}, {"kind": "directory", "body": {…}}.
        `answer`, if any, is sealed beside the entry. A caller that is cancelled may still find its entry in the log.

        Raises
            EntryInvalid; AppendFailed, DiskFull, AppendRefused: the entry was not kept.
        """
        frame, hashed = self._framed(fields, record, answer)
        return Entry(await self._sequencer.submit(frame, hashed), hashed)

    def append_many(self, drafts: Iterable[Draft]) -> list[Entry]:
        """Append entries together, without an event loop: all are kept, or none. Raises as `append`."""
        framed = [self._framed(*draft) for draft in drafts]
        hashes = [hashed for _, hashed in framed]
        first = self._sequencer.append([frame for frame, _ in framed], hashes)
        return [Entry(index, hashed) for index, hashed in enumerate(hashes, first)]

    def checkpoint(self) -> bytes:
        """The signed note over all durable entries. The owner calls this at least every 10 seconds.

        Raises
            AppendFailed, DiskFull: it could not be kept, so it must not be shown to anybody.
        """
        self._answers.flush()
        self._seal.forget()
        if self._newest is None or self._newest[0].size != self.tree.size:
            newest = Checkpoint(self.origin, self.tree.size, self.tree.root())
            note = sign(newest, self._key)
            try:
                self._history.add(note)
            except OSError as error:
                raise failure(self.directory, error) from None
            self._newest = newest, note
        return self._newest[1]

    def sign_with(self, key: SigningKey) -> None:
        """Sign heads with `key` from now on, the present one first. Raises as `checkpoint`; it is tried again then."""
        self._key, self._newest = key, None
        self.checkpoint()

    def entries(self, start: int = 0) -> Iterator[Stored]:
        """The entries from index `start` to the newest durable one. Raises Damaged."""
        for index, framed in enumerate(self._storage.frames(start, self.tree.size), start):
            yield stored(index, framed)

    def entry(self, index: int) -> Stored:
        """Raises OutsideTree, Damaged."""
        self.tree.leaf(index)
        return stored(index, self._storage.frame(index))

    def tile(self, tile: Tile) -> bytes:
        """Bytes of a tile of hashes or a bundle of leaves. Raises OutsideTree, Damaged."""
        if tile.level != ENTRIES:
            return hashes(self.tree, tile)
        known = self.tree.subtrees(0, tile.first, tile.width)
        leaves = list(self._storage.leaves(tile.first, tile.first + tile.width))
        for place, hashed in enumerate(map(leaf_hash, leaves)):
            if hashed != known[32 * place : 32 * place + 32]:
                raise self._storage.damaged(tile.first + place)
        return bundle(leaves)

    @property
    def note(self) -> bytes | None:
        """The newest checkpoint that was signed and kept."""
        return self._newest[1] if self._newest else None

    @property
    def stopped(self) -> bool:
        """Whether it takes no entry until it is opened again."""
        return self._storage.stopped

    def stop(self, why: str) -> None:
        """Take no entry any more: whoever adds to a history that others know otherwise makes it worse."""
        self._storage.stop(why)

    def unseal(self, entry: Stored) -> bytes | None:
        """The answer sealed beside `entry`; None if there is none or its day's key was deleted."""
        return self._seal.unseal(entry.leaf, entry.sealed) if entry.sealed else None

    def keep_signature(self, index: int, signature: bytes) -> None:
        """Keep the signature of the answer that named entry `index`; never waits for the disk."""
        self._answers.put(index, signature)

    def signature(self, index: int) -> bytes | None:
        """Signature of the answer that named entry `index`; None if there was none, or it was lost with the machine."""
        return self._answers.get(index)

    def destroy(self, indices: Collection[int], *, retention: str, basis: str) -> Entry:
        """Destroy the records at `indices`, whose `retention` class is over, on a legal `basis`; their leaves stay.

        The entry that says so comes first: after a crash between the two, destroy them again. Appends wait meanwhile.

        Raises
            OutsideTree; EntryInvalid: no indices.
            AppendFailed, DiskFull: some files may be done, others not; destroy them again.
        """
        chosen = sorted(set(indices))
        if not chosen:
            raise EntryInvalid(what="a destruction of no records")
        for index in (chosen[0], chosen[-1]):
            self.tree.leaf(index)
        body = {"from": chosen[0], "until": chosen[-1] + 1, "class": retention, "count": len(chosen), "basis": basis}
        said = self.append_many([Draft({"kind": "destruction", "body": body})])[0]
        try:
            with self._sequencer.alone():
                for number, group in groupby(chosen, lambda index: index // FRAMES):
                    places = {index % FRAMES for index in group}
                    self._storage.replace(number, *without_records(self.directory, number, places))
        except OSError as error:
            raise failure(self.directory, error) from None
        return said

    def close(self) -> None:
        """Make everything durable, sign a last checkpoint, give the log up; the last also when it raises."""
        if self._lock < 0:
            return
        try:
            self._sequencer.close()
            self.checkpoint()
        finally:
            self._storage.close()
            os.close(self._lock)
            self._lock = -1

    def _framed(self, fields: dict[str, Any], record: dict[str, Any] | None, answer: bytes) -> tuple[bytes, bytes]:
        leaf, salted = make(fields, record, self._random.take(SALT))
        sealed = b""
        if answer:
            try:
                sealed = self._seal.seal(leaf, answer)
            except OSError as error:
                raise failure(self.directory, error) from None
        return frame(leaf, salted, sealed), leaf_hash(leaf)


class _Blocks:
    """Random bytes, drawn from the machine a block at a time: one system call for 256 salts."""

    def __init__(self, draw: Random) -> None:
        self._draw = draw
        self._block = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        at = self._at
        if at + count > len(self._block):
            self._block, at = self._draw(_BLOCK), 0
        self._at = at + count
        return self._block[at : at + count]


def _signed(note: bytes, origin: str, key: SigningKey) -> bool:
    try:
        verify(note, origin, [key.public])
    except CheckpointInvalid:
        return False
    return True
