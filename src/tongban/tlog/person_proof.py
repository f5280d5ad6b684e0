"""All looks at one person that a log commits to, day by day, in one file that anybody can check who trusts only keys.

    {"v", "origin", "pseudonym", "checkpoint", "days": […], "looks": […], "destroyed": […]}

Every entry it speaks of comes with its place under the checkpoint. A look's record is opened where that tells of nobody
else; what is shown of one that is not is the log owner's word.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tongban.calendar.day import day_of
from tongban.kit.clock import unstamp
from tongban.kit.keys import PublicKey
from tongban.tlog import day_tree
from tongban.tlog.audit import Problem
from tongban.tlog.checkpoint import Checkpoint, CheckpointInvalid, parse, verify
from tongban.tlog.cosignature import Cosigned, Quorum, cosigners
from tongban.tlog.day_tree import Look, person
from tongban.tlog.entry import SALT, record_digest
from tongban.tlog.persons import person_leaf
from tongban.tlog.tree import leaf_hash, verify_inclusion

VERSION = 1
#: What a file that is none raises while it is read.
_SHAPE = (KeyError, TypeError, ValueError, AttributeError, IndexError)

UNPROVED, MISCOUNTED, HIDDEN = "tlog.proof_invalid", "tlog.person_miscounted", "tlog.look_hidden"
SHORT, UNSEEN = "tlog.days_missing", "tlog.head_unwitnessed"


@dataclass(frozen=True, slots=True)
class Day:
    day: str
    first: int
    until: int
    count: int  #: looks at the person that its tree proves
    listed: int  #: of these, looks of the file


@dataclass
class Checked:
    """What a file proves of one person in one log."""

    origin: str = ""
    size: int = 0
    signed: bool = False
    seen: tuple[Cosigned, ...] = ()
    quorum: Quorum = field(default_factory=lambda: Quorum({}))
    days: list[Day] = field(default_factory=list)
    looks: list[Mapping[str, Any]] = field(default_factory=list)  #: as they stand in the file
    destroyed: list[Mapping[str, Any]] = field(default_factory=list)  #: bodies of destructions
    problems: list[Problem] = field(default_factory=list)

    def problem(self, code: str, place: str) -> None:
        self.problems.append(Problem(code, place))

    @property
    def counted(self) -> int:
        """Entries of the log that its days speak of."""
        return self.days[-1].until if self.days else 0

    def sought(self, index: int) -> bool:
        """Whether a look at this entry would have to be in the file."""
        return index < self.counted and not any(body["from"] <= index < body["until"] for body in self.destroyed)


def check(held: Any, keys: Callable[[str], Iterable[PublicKey]], witnesses: Callable[[str], Quorum]) -> Checked:
    """Judge one file; `keys` may sign for an origin, `witnesses` may witness it."""
    found = Checked()
    try:
        _Check(held, found, keys, witnesses).judge()
    except _SHAPE:
        found.problem(UNPROVED, "file")
    return found


class _Check:
    def __init__(
        self,
        held: Mapping[str, Any],
        found: Checked,
        keys: Callable[[str], Iterable[PublicKey]],
        witnesses: Callable[[str], Quorum],
    ) -> None:
        self._held, self._found, self._keys, self._witnesses = held, found, keys, witnesses
        self._pseudonym = str(held["pseudonym"])
        self._head = Checkpoint("", 0, b"")

    def judge(self) -> None:
        held, found = self._held, self._found
        if held["v"] != VERSION:
            raise ValueError("another version")
        found.origin = str(held["origin"])
        self._judge_head(held["checkpoint"].encode())
        for one in held["destroyed"]:
            found.destroyed.append(self._leaf(one, "destruction")["body"])
        looks: dict[int, Look] = {}
        for one in held["looks"]:
            self._judge_look(one)
            looks[int(one["entry"])] = Look(leaf_hash(one["leaf"].encode()))
            found.looks.append(one)
        for one in held["days"]:
            self._judge_day(one, looks)

    def _judge_head(self, note: bytes) -> None:
        found = self._found
        try:
            self._head = parse(note)[0]
            found.size, found.quorum = self._head.size, self._witnesses(found.origin)
            verify(note, found.origin, self._keys(found.origin))
            found.signed = True
            found.seen = tuple(cosigners(note, found.quorum.witnesses))
        except CheckpointInvalid:
            found.problem("tlog.checkpoint_invalid", "checkpoint")
            return
        if not found.quorum.reached(found.seen):
            # Somebody may be shown another head, with another day in it.
            found.problem(UNSEEN, "checkpoint")

    def _leaf(self, one: Mapping[str, Any], *kinds: str) -> dict[str, Any]:
        """The leaf, once it is known to stand in the log."""
        raw, index = one["leaf"].encode(), int(one["entry"])
        proof = [bytes.fromhex(text) for text in one["proof"]]
        leaf: dict[str, Any] = orjson.loads(raw)
        inside = verify_inclusion(leaf_hash(raw), index, self._head.size, proof, self._head.root)
        if not inside or leaf["kind"] not in kinds:
            self._found.problem(UNPROVED, f"entry {index}")
        return leaf

    # --- looks ----------------------------------------------------------------------------------------

    def _judge_look(self, one: Mapping[str, Any]) -> None:
        leaf = self._leaf(one, "call", "request", "repeat", "batch-persons", "refused")
        holds = True
        if "opening" in one:
            holds = self._opened(leaf, one)
        elif leaf["kind"] == "batch-persons":
            holds = self._among(leaf, one["among"])
        if not holds or ("answer" in one and not self._answered(one["answer"])):
            self._found.problem(UNPROVED, f"entry {one['entry']}")

    def _answered(self, answer: Mapping[str, Any]) -> bool:
        """Whether the department that was asked signed that the look stands in its log."""
        base, signature = answer["base"].encode(), base64.b64decode(answer["signature"], validate=True)
        said = {f'"tongban-entry": {answer["entry"]}', f'"tongban-origin": {answer["origin"]}'}
        signed = any(key.verifies(base, signature) for key in self._keys(answer["origin"]))
        return signed and said <= {*answer["base"].split("\n")}

    def _opened(self, leaf: Mapping[str, Any], one: Mapping[str, Any]) -> bool:
        salted = bytes.fromhex(one["opening"]["salt"]) + one["opening"]["record"].encode()
        record = orjson.loads(salted[SALT:])
        shown = all(record.get(name) == value for name, value in one["shown"].items())
        named = leaf["kind"] == "repeat" or record.get("subjects") == [self._pseudonym]
        return shown and named and record_digest(salted) == leaf["record"]

    def _among(self, leaf: Mapping[str, Any], among: Mapping[str, Any]) -> bool:
        mine = person_leaf(base64.b64decode(among["salt"]), self._pseudonym, int(among["verdict"]))
        proof = [bytes.fromhex(text) for text in among["proof"]]
        root = bytes.fromhex(leaf["root"])
        return verify_inclusion(leaf_hash(mine), int(among["place"]), int(leaf["n"]), proof, root)

    # --- days -----------------------------------------------------------------------------------------

    def _judge_day(self, one: Mapping[str, Any], looks: Mapping[int, Look]) -> None:
        found = self._found
        body = self._leaf(one, "day-count")["body"]
        before = found.days[-1].until if found.days else 0
        if body["from"] != before:
            found.problem(MISCOUNTED, f"day {body['day']}")
        salt, raw = bytes.fromhex(one["salt"]), base64.urlsafe_b64decode(self._pseudonym + "==")
        who = person(salt, raw)
        ways = [day_tree.from_json(way) for way in one["ways"]]
        count = day_tree.holds(ways, body["persons"], bytes.fromhex(body["root"]), body["sum"], who.name)
        hers = [looks[index] for index in sorted(looks) if body["from"] <= index < body["until"]]
        if count is None:
            found.problem(UNPROVED, f"day {body['day']}")
        elif not self._same(count, ways, day_tree.leaf_of(who, hers), body):
            found.problem(MISCOUNTED, f"day {body['day']}")
        found.days.append(Day(body["day"], body["from"], body["until"], count or 0, len(hers)))

    def _same(self, count: int, ways: Sequence[day_tree.Way], hers: day_tree.Leaf, body: Mapping[str, Any]) -> bool:
        """Whether the day's tree counts exactly the looks of the file, or more of which the records are destroyed."""
        same = ways[0].leaf == hers if count and hers.count else count == hers.count
        gone = any(one["from"] < body["until"] and body["from"] < one["until"] for one in self._found.destroyed)
        return same or (gone and hers.count < count)


# --- both sides -----------------------------------------------------------------------------------------------


def compare(files: Sequence[Checked]) -> list[tuple[str, Problem]]:
    """Looks that one department's file has and the other's should have: origin of the latter, and what is missing."""
    by_origin = {one.origin: one for one in files}
    newest = max((one.days[-1].day for one in files if one.days), default="")
    missing = []
    for one in files:
        # A file that ends earlier could leave out what the other side's has on the days after.
        last = one.days[-1].day if one.days else ""
        if last < newest:
            missing.append((one.origin, Problem(SHORT, f"days after {last}" if last else "days")))
        for look in one.looks:
            missing += _missing(one.origin, look, by_origin)
    return missing


def _missing(origin: str, look: Mapping[str, Any], by_origin: Mapping[str, Checked]) -> list[tuple[str, Problem]]:
    shown, problem = look["shown"], Problem(HIDDEN, f"entry {look['entry']} of {origin}")
    if "answer" in look:
        # The asker holds the answer: it names the entry under which the look stands at the one who was asked.
        entry, other = look["answer"]["entry"], by_origin.get(look["answer"]["origin"])
        if other is None or not other.sought(entry):
            return []
        named = {one.get("batch", one["entry"]) for one in other.looks}
        return [] if entry in named else [(other.origin, problem)]
    if shown["consumer"] == origin.partition("/")[0]:
        return []
    asking = [one for name, one in by_origin.items() if name.startswith(f"{shown['consumer']}/")]
    asked = {one["shown"]["request"] for file in asking for one in file.looks}
    if shown["request"] in asked or not any(_counted(file, shown["at"]) for file in asking):
        return []
    return [(asking[0].origin, problem)]


def _counted(file: Checked, at: str) -> bool:
    """Whether what was made at this time would have to be in the file, and its record is not destroyed."""
    # The asker's clock may be a little behind, and its question is the earlier of the two.
    day = day_of(unstamp(at) + 3600).isoformat()
    mine = [one for one in file.days if one.day >= day][:1]
    gone = any(body["from"] < one.until and one.first < body["until"] for body in file.destroyed for one in mine)
    return bool(mine) and not gone
