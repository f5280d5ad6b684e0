"""`./tongban log verify|show|person|receipt DIR`: check a node's log, read in it, find who looked at a person's data.

DIR is a log's folder, or a node's folder with the log in it. Nothing is ever changed; the node may be running.
`verify` takes an address too: then anybody audits the log from anywhere, through its tiles.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tongban.cli import console
from tongban.cli.verbs import add_verbs
from tongban.identity.identifiers import Domain
from tongban.kit.errors import Invalid, Refused

if TYPE_CHECKING:
    from tongban.cli.keyring import Keyring
    from tongban.cli.log_check import Check
    from tongban.cli.log_person import Found
    from tongban.identity.subject import Subject
    from tongban.tlog.verify import Verification

_PROBLEMS_TOLD = 20
_AMONG = {True: "是 among them", False: "否 not", None: "?"}
_FOLDER = "folder of a log, or of a node"
_VERBS = {
    "verify": (
        "check that nothing in a log was changed, taken out or exchanged",
        "./tongban log verify var/small/nodes/transport/log --signatures",
    ),
    "show": (
        "show the newest entries: leaves, and to the log's owner who asked what",
        "./tongban log show var/small/nodes/transport --last 5 --kind request",
    ),
    "person": (
        "find who looked at one person's data; for the log's owner",
        "./tongban log person var/small/nodes/public-security --domain citizen --key-file number.txt",
    ),
    "proof": (
        "check what log person --proof wrote: every look at one person, and that there were no others",
        "./tongban log proof own.json theirs.json --directory var/small/public/directory.json",
    ),
    "sample": (
        "as a witness, have looks of a day opened that nobody could foresee (抽查)",
        "./tongban log sample http://127.0.0.1:7101 --key var/small/nodes/tax/keys/witness.json --directory FILE",
    ),
    "destroy": (
        "destroy records whose time is over, with their salts (销毁); says first what it would do",
        "./tongban log destroy var/small/nodes/transport --class call --now --officer T-0001 --officer T-0002",
    ),
    "receipt": (
        "check that a log holds what a receipt (回执) says",
        "./tongban log receipt var/small/nodes/public-security receipt.json --own var/small/nodes/transport",
    ),
}


class NotAPerson(Invalid):
    code = "cli.not_a_person"
    message = "What was given is no identifier of the domain {domain}: {why}."
    remedy = "Write it alone into a file, or type it when asked with --key-file -; see --help for the domains."


class OptionElsewhere(Invalid):
    code = "cli.usage"
    message = "{option} does nothing here: {why}."
    remedy = "Leave it out, so that nobody believes it was done."


def add(parser: argparse.ArgumentParser) -> None:
    made = add_verbs(parser, _VERBS)
    for verb, one in made.items():
        if verb == "proof":
            one.add_argument(
                "log", type=Path, nargs="+", metavar="FILE", help="proofs of one person, a department each"
            )
            continue
        if verb == "sample":
            one.add_argument("log", metavar="URL", help="address of the node whose log is sampled")
            continue
        where = ("DIR|URL", f"{_FOLDER}, or a node's address") if verb == "verify" else ("DIR", _FOLDER)
        one.add_argument("log", type=_place, metavar=where[0], help=where[1])
    keys = made["verify"]
    told = "file with the head seen last (of an address): the log must continue it; then the new one is put there"
    keys.add_argument("--remember", type=Path, metavar="FILE", help=told)
    keys.add_argument("--signatures", action="store_true", help="check the signature of every request and answer too")
    for verb in ("verify", "person", "proof", "sample"):
        told = "published directory.json with the keys; the one beside the log if left out (repeatable)"
        made[verb].add_argument("--directory", type=Path, action="append", default=[], metavar="FILE", help=told)
        made[verb].add_argument("--root", default="", metavar="DIGEST", help="digest of the city's first root")
    show = made["show"]
    show.add_argument("--last", type=int, default=20, metavar="N", help="how many entries; 20 if left out")
    show.add_argument("--kind", help="only entries of this kind: call, refused, request, round, …")
    show.add_argument("--entry", type=int, metavar="N", help="this entry alone")
    person = made["person"]
    person.add_argument("--domain", required=True, choices=list(Domain), help="kind of identifier")
    told = "file that holds the number and nothing else, - to type or pipe it: a command line can be seen by others"
    person.add_argument("--key-file", required=True, metavar="FILE|-", help=told)
    told = "also write every look with its proof, and proofs for the days without one, to this file"
    person.add_argument("--proof", type=Path, metavar="FILE", help=told)
    sampled = made["sample"]
    sampled.add_argument("--key", type=Path, required=True, metavar="FILE", help="the witness's own key")
    sampled.add_argument("--day", metavar="YYYY-MM-DD", help="the newest with a look if left out")
    gone = made["destroy"]
    gone.add_argument(
        "--class", dest="of", required=True, choices=("call", "batch", "act"), help="class of the records"
    )
    told = "terms of the department's own, in the form of the ones that come with the program"
    gone.add_argument("--terms", type=Path, metavar="FILE", help=told)
    gone.add_argument("--now", action="store_true", help="do it; the node must not be running")
    told = "staff number of an officer who does it; two different ones"
    gone.add_argument("--officer", action="append", default=[], metavar="NUMBER", help=told)
    receipt = made["receipt"]
    receipt.add_argument("receipt", metavar="FILE|-", help="the JSON of the header tongban-receipt")
    receipt.add_argument("--own", type=Path, metavar="DIR", help="the asker's log, to be checked too")


def _place(text: str) -> Path | str:
    return text if "://" in text else Path(text)


def run(args: argparse.Namespace) -> int:
    verbs = {
        "verify": _verify,
        "show": _show,
        "person": _person,
        "proof": _proof,
        "sample": _sample,
        "destroy": _destroy,
        "receipt": _receipt,
    }
    return verbs[args.verb](args)


# --- verify ---------------------------------------------------------------------------------------


def _verify(args: argparse.Namespace) -> int:
    if isinstance(args.log, str):
        from tongban.cli import log_remote

        if args.signatures:
            raise OptionElsewhere(option="--signatures", why="records, where signatures stand, leave no node")
        return log_remote.verify(args)
    if args.remember:
        raise OptionElsewhere(option="--remember", why="a folder keeps every checkpoint; give an address")
    return _verify_folder(args)


def _verify_folder(args: argparse.Namespace) -> int:
    from tongban.cli import log_check, log_read, log_revoked, log_witnessed
    from tongban.cli.keyring import NoDirectory, keyring
    from tongban.tlog import segment

    place = log_read.place(args.log)
    ring = keyring(args.directory, place, args.root)
    if args.signatures and ring is None:
        raise NoDirectory(place=place)
    with console.progress("日志 · entry files", len(segment.numbers(place))) as advance:
        found = log_check.checked(place, ring, args.signatures, lambda done, total: advance(1))
    foreign = log_check.foreign_checkpoints(place, found.origin, ring.of_log(found.origin)) if ring else []
    foreign += log_check.cosigned_head(place, found.origin, ring) if ring else []
    # A node signs a checkpoint within seconds of an entry: a log without one has lost what it was bound to.
    unbound = [log_check.UNBOUND] if found.entries and not found.checkpoints and not found.found else []
    beyond = log_revoked.closed_elsewhere(log_revoked.closing_of(ring, found.origin), found.entries, found.root)
    void = log_revoked.void(place, found.origin, ring) if ring and args.signatures and not found.found else []
    problems = [log_check.told(place, one) for one in (*found.problems, *foreign, *unbound, *beyond)]
    count = found.found + len(foreign) + len(unbound) + len(beyond)
    if args.json:
        told = {**asdict(found), "found": count, "problems": [{**asdict(one)} for one in problems]}
        told["witnessed"] = (seen := log_witnessed.witnessed(place, found.origin, ring)) and asdict(seen)
        told["void"] = [asdict(one) for one in void]
        console.emit({"holds": not count, "keys": ring.to_json() if ring else None, **told})
    else:
        _tell(place, found, ring, args.signatures)
        for one in problems[:_PROBLEMS_TOLD]:
            console.say(f"✗ {one.sentence()}")
        seen = log_witnessed.witnessed(place, found.origin, ring)
        for line in seen.sentences() if seen else ():
            console.say(line)
        for uncounted in void:
            console.say(f"! 吊销 · {uncounted.sentence()}")
        first, covered = problems[0].sentence() if problems else "", log_check.covered(place)
        console.say(_verdict(found, count, first, covered if ring else None))
    return 1 if count else 0


def _tell(place: Path, found: "Verification", ring: "Keyring | None", signatures: bool) -> None:
    console.say(f"日志 · log    {found.origin}  in {place}")
    for line in ring.told() if ring else ["none: nobody vouches for this log's checkpoints"]:
        console.say(f"密钥 · keys   {line}")
    console.say()
    by = "signed by this log's own key" if ring else "their signatures NOT checked: no directory was given"
    later = "" if signatures else "not asked for; --signatures checks them"
    rows = [
        ("条目 entries", found.entries, f"read, frame by frame; root {found.root}"),
        ("记录 records", "", "each that is there is the one that was hashed into its leaf"),
        ("检查点 checkpoints", found.checkpoints, f"agree with the tree of entries; {by}"),
        ("请求 requests", found.requests, later or "signatures of questions, and of others' answers, hold"),
        ("答复 answers", found.answers, later or "signatures of this node's own answers hold"),
        ("未存 unsigned", found.unsigned, later or "answers whose signature is not kept here; who got them holds it"),
        ("已销毁 destroyed", found.destroyed, "records destroyed by procedure, each with an entry that says so"),
        ("未识 opaque", found.opaque, "entries of kinds that this version does not know; in the tree like all others"),
        ("残尾 torn", found.torn, "bytes of an interrupted write at the end; never acknowledged, no fault"),
    ]
    console.table(("what", "found", "in words"), rows, right=(1,))
    console.say()


def _verdict(found: "Verification", count: int, first: str, covered: int | None) -> str:
    """The one sentence. `covered`: entries under the newest signed checkpoint, None where no key was at hand."""
    if count:
        also = f" There are {count} problems in all." if count > 1 else ""
        return f"日志不成立 · The log does NOT hold: {first}.{also}"
    if covered is None:
        return f"The log agrees with itself in {found.entries:,} entries; without a key nothing shows who wrote it."
    if not found.checkpoints:
        return "The log is empty: it has no entry, and nothing is committed to."
    said = f"all {covered:,} entries under {found.checkpoints:,} signed checkpoints are as they were written"
    later = found.entries - covered
    return f"日志成立 · The log holds: {said}{f'; {later:,} later ones are not signed for yet' if later > 0 else ''}."


# --- show -----------------------------------------------------------------------------------------


def _show(args: argparse.Namespace) -> int:
    from tongban.cli import log_read

    place = log_read.place(args.log)
    owner = log_read.is_owner(place)
    if args.entry is None:
        found = log_read.newest(place, max(args.last, 0), args.kind)
    else:
        one = log_read.entry(place, args.entry)
        found = [one] if one else []
    for one in found:
        told = log_read.shown(one, owner)
        if args.json:
            console.emit(told)
        else:
            _tell_entry(told)
    if not found:
        console.note("No such entry in this log.")
    if not owner:
        console.note("Leaves only: records are shown to the log's owner, who holds its subject key.")
    return 0 if found or args.entry is None else 1


def _tell_entry(told: dict[str, Any]) -> None:
    kept = {name: value for name, value in told.items() if name not in ("entry", "kind", "leaf", "record", "body")}
    console.say(f"#{told['entry']}  {told['kind']}  {_line(kept)}".rstrip())
    console.say(f"    leaf    {told['leaf']}")
    for name in ("body", "record"):
        if name in told:
            console.say(f"    {name:<7} {_line(told[name])}")


def _line(held: Any) -> str:
    if not isinstance(held, dict):
        return str(held)
    return "  ".join(f"{name} {_text(value)}" for name, value in held.items())


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# --- person ---------------------------------------------------------------------------------------


def _person(args: argparse.Namespace) -> int:
    from tongban.cli import log_person, log_read
    from tongban.cli.keyring import keyring
    from tongban.identity.subject import read_subject
    from tongban.tlog import segment

    place = log_read.place(args.log)
    ring = keyring(args.directory, place, args.root)
    subject = read_subject(args.domain, _secret(args.key_file))
    if isinstance(subject, Refused):
        raise NotAPerson(domain=args.domain, why=subject.reason)
    with console.progress("日志 · entry files", len(segment.numbers(place))) as advance:
        found = log_person.find(place, subject, advance)
    if args.proof:
        _write_proof(place, subject, args.proof)
    if args.json:
        console.emit(
            {name: [asdict(one) for one in getattr(found, name)] for name in ("looks", "batches", "destroyed")}
        )
    else:
        _tell_person(found, ring)
    return 0


def _write_proof(place: Path, subject: "Subject", file: Path) -> None:
    from tongban.cli import log_proof
    from tongban.tlog import segment

    with console.progress("证明 · entry files", len(segment.numbers(place))) as advance:
        log_proof.write(file, log_proof.make(place, subject, advance))


def _proof(args: argparse.Namespace) -> int:
    from tongban.cli import log_proof

    return log_proof.verify(args)


def _sample(args: argparse.Namespace) -> int:
    from tongban.cli import log_sample

    return log_sample.run(args)


def _destroy(args: argparse.Namespace) -> int:
    from tongban.cli import log_destroy

    return log_destroy.run(args)


def _secret(source: str) -> str:
    """The number, from a file or from standard input; typed unseen where a person watches."""
    if source != "-":
        try:
            return Path(source).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NotAPerson(domain="given", why=f"the file cannot be read ({type(error).__name__})") from None
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass("identifier (not shown): ")
    return sys.stdin.read()


def _tell_person(found: "Found", ring: "Keyring | None") -> None:
    from tongban.cli import log_person

    def named(member: str) -> str:
        return ring.name(member) if ring else member

    console.say("查询本人数据的记录 · looks at this person's data")
    rows = [
        (one.entry, one.at, named(one.who), one.operator, named(one.asked), one.what, f"{one.purpose} {one.case}",
         one.result if one.sure else f"{one.result} *")
        for one in found.looks
    ]  # fmt: skip
    columns = ("entry", "when", "who asked", "staff", "whom", "what", "what for, case", "result")
    console.table(columns, rows, right=(0,)) if rows else console.say("  none in this log")
    if not all(one.sure for one in found.looks):
        console.say("* refused before the question was read; the case names this person and others")
    if found.batches:
        _tell_batches(found, named)
    for gone in found.destroyed:
        where = f"entries {gone.first} to {gone.until - 1}"
        console.say(f"已销毁 · destroyed under {gone.basis}: {gone.count} records of class {gone.of} among {where}")
    console.say(log_person.SECRECY)


def _tell_batches(found: "Found", named: Any) -> None:
    console.say("\n批量比对 · batches over identifiers of this kind")
    rows = [
        (one.entry, one.at, named(one.who), one.rule, f"{one.purpose} {one.case}", one.persons, one.result,
         "" if one.committed is None else f"#{one.committed}", _AMONG[one.among])
        for one in found.batches
    ]  # fmt: skip
    columns = (
        "entry",
        "when",
        "who asked",
        "rule",
        "what for, part",
        "persons",
        "result",
        "persons committed",
        "this person",
    )
    console.table(columns, rows, right=(0, 5))
    if any(one.among is None for one in found.batches):
        console.say(
            "? Whether this person was among them is NOT shown here: no table of its persons lies beside this log, or\n"
            "none yet. The department that asked tells it from its round."
        )


# --- receipt --------------------------------------------------------------------------------------


def _receipt(args: argparse.Namespace) -> int:
    from tongban.cli import log_check, log_read, log_witnessed
    from tongban.cli.keyring import keyring

    receipt = log_check.Receipt.read(_bytes(args.receipt))
    checks = log_check.provider_side(receipt, log_read.place(args.log))
    if args.own:
        checks += log_check.consumer_side(receipt, log_read.place(args.own))
    holds = all(good for good, _ in checks)
    place = log_read.place(args.log)
    seen = log_witnessed.witnessed(place, receipt.origin, keyring([], place))
    under = seen is not None and receipt.entry < seen.entries
    if args.json:
        told = [{"holds": good, "what": what} for good, what in checks]
        console.emit(
            {"holds": holds, "checks": told, "witnessed": under, "outside": under and bool(seen and seen.outside)}
        )
        return 0 if holds else 1
    _tell_checks(checks)
    for line in seen.sentences() if seen and under else ("见证 · under no head that enough witnesses have seen",):
        console.say(line)
    if holds:
        console.say("The receipt holds. That the log itself was not changed: ./tongban log verify DIR")
    else:
        console.say("The receipt does NOT hold: keep it, it shows that a log was changed or that it is of another log.")
    return 0 if holds else 1


def _bytes(source: str) -> bytes:
    from tongban.cli.log_check import ReceiptInvalid

    try:
        return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise ReceiptInvalid(what=f"the file cannot be read ({error.strerror})") from None


def _tell_checks(checks: "Sequence[Check]") -> None:
    for good, what in checks:
        console.say(f"{'✓' if good else '✗'} {what}")
