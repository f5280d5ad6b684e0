"""A witness samples a day: looks that nobody could foresee, each opened and found in the day's tree, or an alarm.

The witness signs the day's entry, which says one thing only, and the signature is the seed: the log has committed to
its day before anybody could know it, and the witness cannot choose.
"""

import base64
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import orjson

from tongban.tlog import day_tree
from tongban.tlog.audit import Problem
from tongban.tlog.day_tree import NOBODY, Look, person
from tongban.tlog.entry import SALT, record_digest
from tongban.tlog.looks import looks_of
from tongban.tlog.persons import person_leaf
from tongban.tlog.pseudonym import spelt
from tongban.tlog.tree import leaf_hash, verify_inclusion

#: Looks that one witness sees of one day.
PICKS = 20
#: What an opening that is none raises while it is read.
_SHAPE = (KeyError, TypeError, ValueError, AttributeError, IndexError)
FAILED = "tlog.sample_failed"


def message(origin: str, entry: int, leaf: bytes) -> bytes:
    """What a witness signs to sample the day whose `day-count` leaf stands at `entry`."""
    return f"tongban/sample/1\n{origin}\n{entry}\n{leaf_hash(leaf).hex()}\n".encode()


def picks(signature: bytes, total: int) -> list[int]:
    """Numbers of the looks to be opened, of `total`, ascending; all if there are not more than PICKS."""
    if total <= PICKS:
        return list(range(total))
    chosen: set[int] = set()
    for turn in range(2**32):
        if len(chosen) == PICKS:
            break
        # 64 bits more than the largest number: which look is met does not depend on the remainder.
        drawn = sha256(b"tongban/pick/1\n" + signature + turn.to_bytes(4, "big")).digest()
        chosen.add(int.from_bytes(drawn, "big") % total)
    return sorted(chosen)


def places(first: int, looks: Sequence[int], chosen: Sequence[int]) -> list[tuple[int, int]]:
    """Entry and place in it of each chosen look; `looks`: how many each entry from index `first` is."""
    found, passed, at = [], 0, 0
    for number in chosen:
        while passed + looks[at] <= number:
            passed, at = passed + looks[at], at + 1
        found.append((first + at, number - passed))
    return found


def chance(looks: int, hidden: int) -> float:
    """How likely a sample meets one of `hidden` looks among `looks`."""
    if hidden <= 0:
        return 0.0
    missed = 1.0
    for turn in range(min(PICKS, looks)):
        missed *= max(looks - hidden - turn, 0) / (looks - turn)
    return 1 - missed


def check(leaves: Sequence[bytes], entry: int, signature: bytes, openings: Any) -> list[Problem]:
    """What is wrong with the `openings` of the day at `entry`; `leaves` are those of the log, from its head."""
    body = orjson.loads(leaves[entry])["body"]
    wanted = _wanted(leaves, body, signature)
    given = openings if isinstance(openings, list) else []
    problems = []
    for number, (index, place) in enumerate(wanted):
        try:
            holds = _Opening(leaves, body, given[number], index, place).holds()
        except _SHAPE:
            holds = False
        if not holds:
            problems.append(Problem(FAILED, f"entry {index}, person {place}" if place else f"entry {index}"))
    return problems


def _wanted(leaves: Sequence[bytes], body: Mapping[str, Any], signature: bytes) -> list[tuple[int, int]]:
    looks = [looks_of(orjson.loads(leaf)) for leaf in leaves[body["from"] : body["until"]]]
    return places(body["from"], looks, picks(signature, sum(looks)))


class _Opening:
    def __init__(
        self, leaves: Sequence[bytes], body: Mapping[str, Any], held: Mapping[str, Any], index: int, place: int
    ) -> None:
        self._leaves, self._body, self._held, self._index, self._place = leaves, body, held, index, place
        self._leaf = orjson.loads(leaves[index])

    def holds(self) -> bool:
        name = base64.urlsafe_b64decode(self._held["pseudonym"] + "==")
        return self._names(name) and self._counted(name)

    def _names(self, name: bytes) -> bool:
        """Whether the entry is about the person it is counted for."""
        kind = self._leaf["kind"]
        if kind == "batch-persons":
            return self._among(name)
        record = self._record(self._held, self._leaf)
        if kind == "repeat":
            # Whose answer was given again, the first entry says.
            first = int(record["repeat_of"])
            if not 0 <= first < self._index:
                return False
            record = self._record(self._held["first"], orjson.loads(self._leaves[first]))
        if "subjects" in record:
            return bool(record["subjects"][0 if kind == "repeat" else self._place] == spelt(name))
        if kind == "request":
            # The asker's batch names its persons by their keys alone; the asked side commits to each of them.
            return record["call"] == "match" and name != NOBODY
        return name == NOBODY and (kind == "refused" or (kind == "repeat" and record["call"] == "match"))

    def _record(self, held: Mapping[str, Any], leaf: Mapping[str, Any]) -> dict[str, Any]:
        salted = base64.b64decode(held["record"], validate=True)
        if record_digest(salted) != leaf["record"]:
            raise ValueError("another record")
        return dict(orjson.loads(salted[SALT:]))

    def _among(self, name: bytes) -> bool:
        among, leaf = self._held["among"], self._leaf
        mine = person_leaf(base64.b64decode(among["salt"]), spelt(name), int(among["verdict"]))
        proof = [bytes.fromhex(text) for text in among["proof"]]
        return verify_inclusion(leaf_hash(mine), self._place, leaf["n"], proof, bytes.fromhex(leaf["root"]))

    def _counted(self, name: bytes) -> bool:
        """Whether the day's tree counts the look for her."""
        body, held = self._body, self._held
        who = person(bytes.fromhex(held["day"]["salt"]), name)
        looks = [Look(leaf_hash(self._leaves[index]), times) for index, times in held["day"]["looks"]]
        indices = [index for index, _ in held["day"]["looks"]]
        ordered = indices == sorted(set(indices)) and all(body["from"] <= index < body["until"] for index in indices)
        ways = [day_tree.from_json(way) for way in held["day"]["ways"]]
        count = day_tree.holds(ways, body["persons"], bytes.fromhex(body["root"]), body["sum"], who.name)
        return ordered and self._index in indices and bool(count) and ways[0].leaf == day_tree.leaf_of(who, looks)
