"""What proves to one person every look at her that a log commits to, made from its folder; and what is told of it.

Only the log's owner can make it, for it takes the subject key. Whoever gets the file checks it with keys alone.
"""

import argparse
import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from tongban.cli import console, log_read
from tongban.cli.keyring import Keyring, NoDirectory, keyring
from tongban.cli.log_person import SECRECY, place_of, ticket_of
from tongban.exchange.ticket import CaseTicket
from tongban.identity.subject import Subject
from tongban.kit.durable import write_durably
from tongban.kit.errors import Invalid
from tongban.tlog import folder, history, person_table, segment
from tongban.tlog.checkpoint import CheckpointInvalid, parse
from tongban.tlog.cosignature import Quorum
from tongban.tlog.day_file import DayFile
from tongban.tlog.day_tree import person, to_json
from tongban.tlog.entry import Stored
from tongban.tlog.person_proof import VERSION, Checked, check, compare
from tongban.tlog.persons import person_leaf
from tongban.tlog.pseudonym import unspelt
from tongban.tlog.segment import entry_file
from tongban.tlog.tree import Tree, leaf_hash

#: Of a record, what is shown of a look.
_SHOWN = ("at", "call", "case", "code", "consumer", "fields", "node", "operator", "outcome", "provider", "purpose",
          "request", "resource", "rule", "status")  # fmt: skip


class ProofUnreadable(Invalid):
    code = "cli.proof_unreadable"
    message = "{file} cannot be read as a proof ({what})."
    remedy = "Give files as `./tongban log person … --proof FILE` writes them."


class NoHead(Invalid):
    code = "cli.no_head"
    message = "The log in {place} has no signed checkpoint yet, so nothing can be proved from it."
    remedy = "A running node signs one within seconds of an entry; start it, or wait, and try again."


# --- made -----------------------------------------------------------------------------------------------------


def make(place: Path, subject: Subject, advance: Callable[[int], None]) -> dict[str, Any]:
    """The proof for `subject`. Raises NotALog, SubjectKeyMissing, DayDamaged, NoHead."""
    note = _head(place)
    size = parse(note)[0].size
    search = _Search(place, subject, size)
    for one in log_read.entries(place, advance):
        if one.index < size:
            search.take(one)
    tree = Tree()
    for number in segment.numbers(place):
        tree.extend(segment.read(entry_file(place, number)).leaf_hashes)

    def stands(one: Stored) -> dict[str, Any]:
        proof = [node.hex() for node in tree.inclusion_proof(one.index, size)]
        return {"entry": one.index, "leaf": one.leaf.decode(), "proof": proof}

    return {
        "v": VERSION,
        "origin": folder.identity(place)["origin"],
        "pseudonym": search.name,
        "checkpoint": note.decode(),
        "days": [stands(one) | _day(place, one, search.raw) for one in search.days],
        "looks": [stands(one) | search.told(one) for one in search.looks],
        "destroyed": [stands(one) for one in search.destroyed],
    }


def _head(place: Path) -> bytes:
    """The newest head that enough witnesses have seen; else the newest."""
    note: bytes | None
    try:
        note = (place / "cosigned").read_bytes()
        parse(note)
    except (OSError, CheckpointInvalid):
        note = history.read_all(place)[1]
    if not note:
        raise NoHead(place=place)
    return note


def _day(place: Path, one: Stored, raw: bytes) -> dict[str, Any]:
    body = log_read.leaf_of(one)["body"]
    tree = DayFile(place, body["day"], body["root"])
    ways = tree.paths(person(tree.count.salt, raw).name)
    return {"salt": tree.count.salt.hex(), "ways": [to_json(way) for way in ways]}


class _Search:
    """Her entries, as the count of a day attributes them."""

    def __init__(self, place: Path, subject: Subject, size: int) -> None:
        key = folder.subject_key(place)
        self.raw = unspelt(key, subject.domain, subject.key)
        self.name = subject.pseudonym(key)
        self.looks: list[Stored] = []
        self.days: list[Stored] = []
        self.destroyed: list[Stored] = []
        self._place, self._size = place, size
        self._hers: dict[int, Mapping[str, Any]] = {}  #: records of her looks, and of batches with her
        self._places: dict[int, int] = {}  #: batch → her place in it
        self._answers: dict[int, Mapping[str, Any]] = {}  #: of a request

    def take(self, one: Stored) -> None:
        leaf, record = log_read.leaf_of(one), log_read.record_of(one) or {}
        kind = leaf.get("kind")
        if kind == "day-count":
            self.days.append(one)
        elif kind == "destruction":
            self.destroyed.append(one)
        elif kind == "batch-persons":
            if leaf["batch"] in self._hers:
                self._look(one, self._hers[leaf["batch"]])
        elif kind == "batch":
            self._batch(one.index, leaf, record)
        elif kind == "answer":
            self._answers[record.get("request_entry", -1)] = record
        elif self._about(str(kind), one.index, leaf, record):
            self._look(one, record)

    def _about(self, kind: str, index: int, leaf: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
        if kind == "repeat":
            return record.get("repeat_of") in self._hers and "persons_salt" not in self._hers[record["repeat_of"]]
        if kind == "request" and record.get("call") == "match":
            return self._batch(index, leaf, record)
        return kind in ("request", "call", "refused") and self.name in record.get("subjects", ())

    def _batch(self, index: int, leaf: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
        at = place_of(self._place, index, int(leaf["n"]), self.raw)
        if at is None or at < 0:
            return False
        self._hers[index], self._places[index] = record, at
        return True

    def _look(self, one: Stored, record: Mapping[str, Any]) -> None:
        self._hers.setdefault(one.index, record)
        self.looks.append(one)

    def told(self, one: Stored) -> dict[str, Any]:
        """What the file says of a look beyond its place."""
        leaf, record = log_read.leaf_of(one), self._hers[one.index]
        said: dict[str, Any] = {"shown": {name: record[name] for name in _SHOWN if name in record}}
        if leaf["kind"] == "batch-persons":
            return said | {"batch": leaf["batch"], "among": self._among(leaf, record)}
        if _alone(record):
            said["opening"] = {"salt": one.salt.hex(), "record": (one.record or b"").decode()}
        answer = self._answers.get(one.index)
        if leaf["kind"] == "request" and answer is not None and answer.get("status") == 200:
            said["answer"] = {name: answer[name] for name in ("origin", "entry", "leaf", "base", "signature")}
        return said

    def _among(self, leaf: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """Her leaf among those of the batch, and its way to their root."""
        batch, count, at = leaf["batch"], leaf["n"], self._places[leaf["batch"]]
        table = person_table.names(self._place, batch, count)
        verdicts, salt = person_table.verdicts(self._place, batch, count), base64.b64decode(record["persons_salt"])
        tree = Tree()
        tree.extend(b"".join(leaf_hash(person_leaf(salt, *each)) for each in _spelt(table, verdicts)))
        proof = [node.hex() for node in tree.inclusion_proof(at)]
        return {"place": at, "verdict": verdicts[at], "salt": record["persons_salt"], "proof": proof}


def _spelt(table: Any, verdicts: bytes) -> Iterator[tuple[str, int]]:
    for row, verdict in zip(table, verdicts, strict=True):
        yield base64.urlsafe_b64encode(row.tobytes()).rstrip(b"=").decode(), verdict


def _alone(record: Mapping[str, Any]) -> bool:
    """Whether the record tells of nobody else: a ticket names all persons of its case under a salt that it holds."""
    held = ticket_of(record)
    return held is None or (isinstance(held, CaseTicket) and len(held.subjects) == 1)


def write(file: Path, held: Mapping[str, Any]) -> None:
    """Raises ProofUnreadable."""
    try:
        write_durably(file, orjson.dumps(held), mode=0o600)
    except OSError as error:
        raise ProofUnreadable(file=file, what=str(error.strerror)) from None


# --- checked --------------------------------------------------------------------------------------------------


def verify(args: argparse.Namespace) -> int:
    """`./tongban log proof FILE …`: 0 if everything holds and nothing is missing at the other side."""
    ring = keyring(args.directory, Path("/"), args.root)
    if ring is None:
        raise NoDirectory(place="the files")
    files = [check(_read(file), lambda origin: ring.of_log(origin).values(), _quorum(ring)) for file in args.log]
    missing = compare(files)
    holds = not missing and not any(one.problems for one in files)
    if args.json:
        console.emit({"holds": holds, "files": [_json(one) for one in files], "hidden": _listed(missing)})
        return 0 if holds else 1
    for one in files:
        _tell(one, ring)
    _tell_both(files, missing, ring)
    return 0 if holds else 1


def _read(file: Path) -> Any:
    try:
        return orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ProofUnreadable(file=file, what=type(error).__name__) from None


def _quorum(ring: Keyring) -> Callable[[str], Quorum]:
    witnessing = ring.directories[0].witnessing
    return lambda origin: witnessing.quorum(origin) if witnessing else Quorum({})


def _json(one: Checked) -> dict[str, Any]:
    return {
        "origin": one.origin,
        "entries": one.size,
        "witnesses": len(one.seen),
        "wanted": one.quorum.k,
        "outside": one.quorum.outside_seen(one.seen),
        "looks": [{"entry": look["entry"], "opened": _proved(look), **look["shown"]} for look in one.looks],
        "days": [asdict(day) for day in one.days],
        "problems": [{"code": problem.code, "place": problem.place} for problem in one.problems],
    }


def _proved(look: Mapping[str, Any]) -> bool:
    return "opening" in look or "among" in look


def _listed(missing: Iterable[tuple[str, Any]]) -> list[dict[str, str]]:
    return [{"at": origin, "code": problem.code, "place": problem.place} for origin, problem in missing]


def _tell(one: Checked, ring: Keyring) -> None:
    member = one.origin.partition("/")[0]
    console.say(f"\n{ring.name(member)} · {one.origin}: {one.size:,} entries, seen by {len(one.seen)} witnesses")
    rows = [
        (look["entry"], look["shown"].get("at", ""), ring.name(look["shown"].get("consumer", "")),
         look["shown"].get("operator", ""), look["shown"].get("resource", ""), look["shown"].get("purpose", ""),
         "✓" if _proved(look) else "·")
        for look in one.looks
    ]  # fmt: skip
    console.table(("entry", "when", "who asked", "staff", "what", "what for", "opened"), rows, right=(0,))
    looked = [day for day in one.days if day.count]
    for day in looked:
        console.say(f"{day.day}: {day.count} looks counted, {day.listed} listed")
    if one.days:
        without = len(one.days) - len(looked)
        console.say(
            f"自 {one.days[0].day} 至 {one.days[-1].day}：{len(looked)} 天有查询，其余 {without} 天证明未被查询。"
            f" · {len(looked)} days with looks; on the other {without} nobody looked, by proof."
        )
    if one.seen and not one.quorum.outside_seen(one.seen):
        console.say("仅内部见证 · internal witnesses only: nobody outside the administration has seen this head")
    for body in one.destroyed:
        where = f"entries {body['from']} to {body['until'] - 1}"
        console.say(f"已销毁 · destroyed under {body['basis']}: {body['count']} records among {where}")
    for problem in one.problems:
        console.say(f"✗ {problem.place} ({problem.code})")


_PROVEN = (
    "已证明：各部门日志所承诺的对此人的查询就是以上这些；无查询的日子确无查询。未证明：要隐瞒一次查询，须双方部门一起隐瞒，且只能瞒到抽查抽中为止；"
    "假名属于此人，只有各部门自己说了算，双方比对可见出入。"
    "\nProven: these are the looks at this person that the departments' logs commit to, and on days without one there"
    " was none. Not proven: to hide a look takes both departments, and lasts until a sample hits; that the pseudonym is"
    " this person's is each department's word, which comparing both sides tests."
)


def _tell_both(files: Sequence[Checked], missing: Sequence[tuple[str, Any]], ring: Keyring) -> None:
    console.say()
    for origin, problem in missing:
        name = ring.name(origin.partition("/")[0])
        console.say(f"✗ 一方有而另一方无 · {problem.place}: not in what {name} gave ({problem.code})")
    if len(files) == 1:
        console.say("仅一方的文件，未作比对 · one side's file only: nothing was compared")
    elif not missing:
        console.say("双方一致 · what both sides gave agrees")
    if missing or any(one.problems for one in files):
        console.say("证明不成立 · The proof does NOT hold.")
    else:
        console.say(_PROVEN)
    console.say(SECRECY)
