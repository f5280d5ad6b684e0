"""`./tongban log destroy DIR`: records whose time is over are destroyed with their salts, by two officers together.

The log says first who did it (two `act` records) and what (a `destruction` entry); then the files are written anew.
After a crash in between the same command finishes it. Leaves, tree, checkpoints and the days' trees stay.
"""

import argparse
import hashlib
from itertools import groupby
from typing import Any

from tongban.cli import console, log_read
from tongban.cli.directory import pass_phrase
from tongban.cli.keyring import keyring
from tongban.cli.today import today
from tongban.kit import canonical
from tongban.kit.clock import MachineClock, stamp
from tongban.kit.errors import Invalid
from tongban.node import config as configs
from tongban.node.program import online_key, origin_of
from tongban.tlog import person_table, retention
from tongban.tlog.log import Draft, Log
from tongban.tlog.retention import Due, Term


class OfficersMissing(Invalid):
    code = "cli.two_officers"
    message = "Records are destroyed by two officers together; {given} were named."
    remedy = "Name two different ones by their staff numbers: --officer A --officer B."


def run(args: argparse.Namespace) -> int:
    """Raises OfficersMissing, FileInvalid, LogInUse while the node runs, and what opening the log raises."""
    # The longest counts: a file of the department's own cannot shorten what the law says.
    terms = [*retention.read_terms(), *(retention.read_terms(args.terms) if args.terms else ())]
    if not args.now:
        found = [*retention.due(log_read.entries(log_read.place(args.log)), terms, args.of, today())]
        return _told(args, found, False)
    officers = sorted(set(args.officer))
    if len(officers) != 2 or len(args.officer) != 2:
        raise OfficersMissing(given=len(officers))
    config = configs.read(args.log)
    place = config.folder / "log"
    ring = keyring([], place)
    former = ring.of_log(origin_of(config)).values() if ring else ()
    log = Log.open(place, origin_of(config), online_key(config, pass_phrase()), MachineClock(), former=former)
    try:
        found = [*retention.due(log.entries(), terms, args.of, today())]
        for term, group in _by_term(found):
            _destroy(log, term, [one.index for one in group], officers)
        _without_tables(log)
    finally:
        log.close()
    return _told(args, found, True)


def _by_term(found: list[Due]) -> Any:
    held = sorted(found, key=lambda one: (one.term.years, one.term.source, one.index))
    return groupby(held, key=lambda one: one.term)


def _destroy(log: Log, term: Term, indices: list[int], officers: list[str]) -> None:
    basis = f"{term.source}（{term.years}年）"
    order = {"class": term.of, "basis": basis, "records": indices}
    digest = hashlib.sha256(canonical.encode(order)).hexdigest()
    at = stamp(MachineClock().seconds())
    # Who did it is a person too: in the records, and not in the open.
    log.append_many(Draft({"kind": "act", "n": 0}, _act(at, officer, digest)) for officer in officers)
    log.destroy(indices, retention=term.of, basis=basis)


def _act(at: str, officer: str, digest: str) -> dict[str, Any]:
    about = {"at": at, "operator": officer, "system": "log destroy"}
    return {**about, "round": "", "stage": "destruction", "digest": digest}


def _without_tables(log: Log) -> None:
    """The persons of a batch go with its record."""
    for path in (log.directory / person_table.FOLDER).glob("*.names"):
        index = int(path.name.partition(".")[0])
        if index >= log.tree.size or log.entry(index).record is None:
            path.unlink()


def _told(args: argparse.Namespace, found: list[Due], done: bool) -> int:
    if args.json:
        said = [{"entry": one.index, "years": one.term.years, "source": one.term.source} for one in found]
        console.emit({"class": args.of, "count": len(found), "destroyed": done, "records": said})
        return 0
    for term, group in _by_term(found):
        count = len(list(group))
        console.say(f"{count:,} 条 records of class {term.of}: {term.years} 年 years, {term.source}")
    if not found:
        console.say("没有到期的记录 · No record of this class is over its time.")
    elif done:
        console.say("已销毁，摘要保留 · Destroyed with their salts; the leaves stay, and the log verifies as before.")
    else:
        console.say(
            "未作任何更改 · Nothing was changed. To destroy them, stop the node and give --now and two --officer."
        )
    return 0
