"""Verify a whole log without changing it: frames, records, tree, checkpoints and, if asked, every signature.

Anybody who may read the folder can do this, also while its node is running. What does not hold is a value in the
report, with the code that the node itself would give; only a folder that is no log raises.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tongban.kit.errors import TongbanError
from tongban.kit.keys import PublicKey
from tongban.tlog import folder, history, looks, recovery
from tongban.tlog.audit import Agrees, Audit, Job, Problem, Rebuild, audit
from tongban.tlog.checkpoint import CheckpointInvalid, key_hash, parse
from tongban.tlog.checkpoint import verify as verify_note
from tongban.tlog.looks import DayCounts
from tongban.tlog.segment import Damaged
from tongban.tlog.tree import Tree


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. `holds` is the answer; the numbers say how much stands behind it."""

    origin: str
    entries: int
    root: str  #: hexadecimal, of all entries
    opaque: int  #: entries of kinds that this version does not know
    destroyed: int  #: records that were destroyed with an entry to say so
    checkpoints: int  #: that hold against the tree
    unchecked: int  #: of these, without a check of the signature: no key was given
    requests: int  #: signatures of requests, or of others' answers, that hold
    answers: int  #: signatures of our own answers that hold
    unsigned: int  #: answered entries whose signature is not stored
    torn: int  #: bytes of an interrupted write at the end; not a fault
    found: int  #: number of problems
    problems: tuple[Problem, ...]  #: the first of them

    @property
    def holds(self) -> bool:
        return self.found == 0


#: Told how many entry files of how many are done.
Progress = Callable[[int, int], None]


def verify(
    directory: Path,
    keys: Mapping[str, PublicKey],
    rebuild: Rebuild | None = None,
    *,
    agrees: Agrees = lambda record: True,
    workers: int = 0,
    progress: Progress | None = None,
) -> Verification:
    """Verify the log in `directory`.

    `keys`: public keys by id, those that signed its checkpoints among them (none: their signatures are counted as
    unchecked). `rebuild`: makes the signature base of an answer from index, leaf hash and record; None leaves the
    signatures of requests and answers alone. `agrees`: whether a record says what was signed in its base.
    `workers`: processes, 0 for one a core.

    Raises
        NotALog
    """
    origin = folder.identity(directory)["origin"]
    # Before the entries: a running node may sign further ones while we read.
    notes = history.read_all(directory)
    try:
        numbers = recovery.present(directory)
    except Damaged as error:
        return _report(origin, [], 0, Tree(), [_fault(error)], (0, 0))
    audits = list(_audits(Job(directory, keys, rebuild, agrees), numbers, workers or os.cpu_count() or 1, progress))
    tree = Tree()
    for file in audits:
        tree.extend(file.segment.leaf_hashes)
    problems, torn = _end(directory, audits, _covered(notes[0]))
    problems += _destroyed(audits) + _miscounted(audits)
    counts = (0, 0)
    if not any(problem.code == Damaged.code for problem in problems):
        faults, counts = _checkpoints(directory, origin, tree, keys, notes)
        problems += faults
    return _report(origin, audits, torn, tree, problems, counts)


def _audits(job: Job, numbers: Sequence[int], workers: int, progress: Progress | None) -> Iterator[Audit]:
    found: Iterable[Audit]
    if min(workers, len(numbers)) < 2:
        found, pool = map(partial(audit, job), numbers), None
    else:
        # Forked, so that `rebuild` may be any function of the caller's.
        pool = ProcessPoolExecutor(workers, get_context("fork"), _take_job, (job,))
        found = pool.map(_audit_job, numbers)
    for done, file in enumerate(found, 1):
        yield file
        if progress:
            progress(done, len(numbers))
    if pool:
        pool.shutdown()


_job: list[Job] = []  #: in a worker process: what it works on


def _take_job(job: Job) -> None:
    _job[:] = [job]


def _audit_job(number: int) -> Audit:
    return audit(_job[0], number)


def _covered(notes: Sequence[bytes]) -> int:
    """Entries under the newest checkpoint, whoever signed it."""
    try:
        return parse(notes[-1])[0].size if notes else 0
    except CheckpointInvalid:
        return 0


def _end(directory: Path, audits: Sequence[Audit], covered: int) -> tuple[list[Problem], int]:
    try:
        torn = recovery.judge(directory, [file.segment for file in audits], covered)
    except Damaged as error:
        return [_fault(error)], 0
    return [], torn.bytes if torn else 0


def _destroyed(audits: Sequence[Audit]) -> list[Problem]:
    """A record may be gone only where a destruction entry says so, and not more of them than it says."""
    gone = [index for file in audits for index in file.without_record]
    said = sorted(entry for file in audits for entry in file.destructions)
    if len(gone) > sum(count for _, _, count in said):
        return [Problem("tlog.record_missing", f"{len(gone)} entries")]
    at, reach = 0, 0
    for index in gone:
        while at < len(said) and said[at][0] <= index:
            reach = max(reach, said[at][1])
            at += 1
        if index >= reach:
            return [Problem("tlog.record_missing", f"entry {index}")]
    return []


def _miscounted(audits: Sequence[Audit]) -> list[Problem]:
    """Days that count other looks than the entries they speak of."""
    counts, problems = DayCounts(), []
    for file in audits:
        counts.counted(file.looks)
        for index, body in file.days:
            if not counts.fits(index, body):
                problems.append(Problem(looks.DIFFERS, f"entry {index}"))
    return problems


def _checkpoints(
    directory: Path,
    origin: str,
    tree: Tree,
    keys: Mapping[str, PublicKey],
    notes: tuple[list[bytes], bytes | None],
) -> tuple[list[Problem], tuple[int, int]]:
    """Problems, and how many checkpoints hold and how many of these were not checked for their signature."""
    kept, newest = notes
    known = {key_hash(origin, key): key for key in keys.values()}
    problems, good, before = [], 0, 0
    for note in kept:
        size, fault = _checkpoint(directory, origin, tree, known, note)
        if fault is None and size < before:
            fault = Problem("tlog.checkpoints_disordered", f"checkpoint at size {size}")
        if fault:
            problems.append(fault)
        else:
            good, before = good + 1, size
    # A checkpoint is kept before it is published, so a published one that was not kept was taken out.
    if newest is not None and newest not in kept:
        problems.append(Problem("tlog.checkpoint_not_kept", "newest checkpoint"))
    return problems, (good, 0 if known else good)


def _checkpoint(
    directory: Path, origin: str, tree: Tree, known: Mapping[bytes, PublicKey], note: bytes
) -> tuple[int, Problem | None]:
    size = 0
    try:
        checkpoint, _, signatures = parse(note)
        size = checkpoint.size
        if checkpoint.origin != origin:
            raise CheckpointInvalid(what="another origin")
        if known:
            verify_note(note, origin, [known[line.key_hash] for line in signatures if line.key_hash in known])
        recovery.compare(directory, tree, checkpoint)
    except TongbanError as error:
        return size, Problem(error.code, f"checkpoint at size {size}")
    return size, None


def _fault(error: Damaged) -> Problem:
    return Problem(error.code, f"{error.facts['file']}, byte {error.facts['at']}")


def _report(
    origin: str,
    audits: Sequence[Audit],
    torn: int,
    tree: Tree,
    problems: Sequence[Problem],
    counts: tuple[int, int],
) -> Verification:
    told = [*problems, *(problem for file in audits for problem in file.problems)]
    return Verification(
        origin=origin,
        entries=tree.size,
        root=tree.root().hex(),
        opaque=sum(file.opaque for file in audits),
        destroyed=sum(len(file.without_record) for file in audits),
        checkpoints=counts[0],
        unchecked=counts[1],
        requests=sum(file.requests for file in audits),
        answers=sum(file.answers for file in audits),
        unsigned=sum(file.unsigned for file in audits),
        torn=torn,
        found=len(problems) + sum(file.found for file in audits),
        problems=tuple(told[:100]),
    )
