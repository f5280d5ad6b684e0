"""What a witness is shown of a day: the looks that its signature picks, opened, each with its place in the day's tree.

Nobody else can ask, and no witness can choose: a signature over the day's entry picks the same looks every time.
"""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tongban.kit.errors import Refused
from tongban.kit.keys import PublicKey
from tongban.node import tally
from tongban.tlog import person_table, segment
from tongban.tlog.day_file import SLICE, DayFile
from tongban.tlog.day_tree import NAME, NOBODY, person, to_json
from tongban.tlog.entry import Framed, Stored, stored, unframe
from tongban.tlog.log import Log
from tongban.tlog.looks import looks_of
from tongban.tlog.persons import person_leaf
from tongban.tlog.pseudonym import spelt
from tongban.tlog.sample import message, picks, places
from tongban.tlog.segment import FRAMES, Damaged, Segment, entry_file
from tongban.tlog.tree import Tree, leaf_hash

NO_DAY = Refused("node.no_such_day", "no day of this log stands there")
NO_WITNESS = Refused("node.not_a_witness", "no witness of this log has signed that")

#: The keys of those who may witness this log, by name.
Witnesses = Callable[[], dict[str, PublicKey]]


def opened(log: Log, witnesses: Witnesses, asked: bytes) -> list[dict[str, Any]] | Refused:
    """The openings that `asked`, `{witness, entry, signature}`, picks. Takes its time: not for the event loop.

    Raises DayDamaged, Damaged, OSError.
    """
    try:
        held = orjson.loads(asked)
        key, entry = witnesses().get(held["witness"]), int(held["entry"])
        signature = base64.b64decode(held["signature"], validate=True)
    except (KeyError, TypeError, ValueError):
        return NO_WITNESS
    entries = _Entries(log.directory)
    if not 0 <= entry < log.tree.size:
        return NO_DAY
    leaf = entries.entry(entry).leaf
    if key is None or not key.verifies(message(log.origin, entry, leaf), signature):
        return NO_WITNESS
    said = orjson.loads(leaf)
    return _Openings(entries, said["body"]).picked(signature) if said["kind"] == "day-count" else NO_DAY


class _Entries:
    """The log's entries, read from its folder: the log itself belongs to the event loop's thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[int, Segment] = {}

    def entry(self, index: int) -> Stored:
        number, place = divmod(index, FRAMES)
        path = entry_file(self.folder, number)
        if number not in self._files or place >= self._files[number].count:
            self._files = {number: segment.read(path)}
        stops = self._files[number].stops
        with segment.mapped(path) as data:
            framed = unframe(data, stops[place], stops[place + 1])
        if framed is None:
            raise Damaged(directory=self.folder, file=path.name, at=stops[place], what="an entry is not whole any more")
        return stored(index, framed)

    def leaves(self, first: int, until: int) -> list[bytes]:
        found: list[bytes] = []
        for number in range(first // FRAMES, -(-until // FRAMES)):
            start = number * FRAMES

            def visit(place: int, framed: Framed, start: int = start) -> None:
                if first <= start + place < until:
                    found.append(framed.leaf)

            segment.read(entry_file(self.folder, number), visit)
        return found


class _Openings:
    def __init__(self, entries: _Entries, body: dict[str, Any]) -> None:
        self._log, self._body = entries, body
        self._folder = entries.folder
        self._tree = DayFile(self._folder, body["day"], body["root"])
        self._looks = tally.between(self._folder, body["from"], body["until"])
        self._trees: dict[int, Tree] = {}  #: a batch's persons, for all who are picked from it
        self._ordinals = {index: at for at, index in enumerate(self._looks.indices)}

    def picked(self, signature: bytes) -> list[dict[str, Any]]:
        first, until = self._body["from"], self._body["until"]
        looks = [looks_of(orjson.loads(leaf)) for leaf in self._log.leaves(first, until)]
        return [self._opening(*place) for place in places(first, looks, picks(signature, sum(looks)))]

    def _opening(self, index: int, place: int) -> dict[str, Any]:
        stored = self._log.entry(index)
        leaf, name = orjson.loads(stored.leaf), self._name(index, place)
        said: dict[str, Any] = {"pseudonym": spelt(name), "day": self._day(name)}
        if leaf["kind"] == "batch-persons":
            return said | {"among": self._among(leaf, place)}
        said["record"] = _record(stored)
        if leaf["kind"] == "repeat":
            said["first"] = {"record": _record(self._log.entry(orjson.loads(stored.record or b"{}")["repeat_of"]))}
        return said

    def _name(self, index: int, place: int) -> bytes:
        """Whom the look is counted for."""
        ordinal, looks = self._ordinals.get(index), self._looks
        if ordinal is None:
            return NOBODY
        for batch, table, count in looks.batches:
            if batch == ordinal:
                return bytes(person_table.names(self._folder, table, count)[place].tobytes())
        at = looks.ordinals.index(ordinal) + place
        return bytes(looks.names[NAME * at : NAME * (at + 1)])

    def _day(self, name: bytes) -> dict[str, Any]:
        salt = self._tree.count.salt
        ways = [to_json(way) for way in self._tree.paths(person(salt, name).name)]
        return {"salt": salt.hex(), "looks": self._of(name), "ways": ways}

    def _of(self, name: bytes) -> list[tuple[int, int]]:
        """Entries that count for a person, and how often each."""
        looks = self._looks
        if name == NOBODY:
            return [(index, look.times) for index, look in looks.nobody]
        single = np.frombuffer(bytes(looks.names), np.uint8).reshape(-1, NAME)
        found = [looks.ordinals[at] for at in (single == bytearray(name)).all(axis=1).nonzero()[0].tolist()]
        for ordinal, table, count in looks.batches:
            held = person_table.names(self._folder, table, count)
            if held is not None and (held == bytearray(name)).all(axis=1).any():
                found.append(ordinal)
        return [(looks.indices[ordinal], 1) for ordinal in sorted(found)]

    def _among(self, leaf: dict[str, Any], place: int) -> dict[str, Any]:
        batch, count = leaf["batch"], leaf["n"]
        salt = orjson.loads(self._log.entry(batch).record or b"{}").get("persons_salt", "")
        verdicts = person_table.verdicts(self._folder, batch, count)
        if batch not in self._trees:
            self._trees[batch] = self._tree_of(batch, count, base64.b64decode(salt), verdicts)
        if not salt or self._trees[batch].size <= place:
            return {}
        proof = [node.hex() for node in self._trees[batch].inclusion_proof(place)]
        return {"salt": salt, "verdict": verdicts[place], "proof": proof}

    def _tree_of(self, batch: int, count: int, salt: bytes, verdicts: bytes) -> Tree:
        """The persons of a batch; empty without their table."""
        tree, table = Tree(), person_table.names(self._folder, batch, count)
        for start in range(0, 0 if table is None else count, SLICE):
            rows = zip(table[start : start + SLICE], verdicts[start : start + SLICE], strict=True)
            tree.extend(b"".join(leaf_hash(person_leaf(salt, spelt(row.tobytes()), verdict)) for row, verdict in rows))
        return tree


def _record(stored: Stored) -> str:
    return base64.b64encode(stored.salt + (stored.record or b"")).decode()
