"""A log audited through its tiles, from anywhere: nothing is believed but what hashes and signatures say."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tongban.kit import canonical
from tongban.kit.keys import PublicKey
from tongban.tlog import looks
from tongban.tlog.audit import Problem
from tongban.tlog.checkpoint import Checkpoint, CheckpointInvalid, parse, verify
from tongban.tlog.cosignature import Cosigned, Quorum, cosigners
from tongban.tlog.entry import KINDS, VERSION
from tongban.tlog.looks import DayCounts
from tongban.tlog.tile import HEIGHT, WIDTH, TileInvalid, bundles, hashes, leaves_of, of_size
from tongban.tlog.tree import Tree, leaf_hash

#: Bodies of these paths, in this order, which are asked for as it goes on: a head may claim any size at all.
#: Raises Unavailable for what is not to be had.
Fetch = Callable[[Iterable[str]], Iterator[bytes]]
#: Keys that may sign for an origin.
Keys = Callable[[str], Iterable[PublicKey]]
#: Who may witness an origin.
Witnesses = Callable[[str], Quorum]
#: Problems told one by one; the rest is counted.
_TOLD = 20
#: How leaves are counted whose kind this version does not know. A log could write anything there.
OPAQUE = "opaque"


@dataclass(slots=True)
class Remote:
    """What a log showed to somebody who holds only keys."""

    head: Checkpoint
    note: bytes
    signed: bool = False  #: by a key of the log's own member
    seen: tuple[Cosigned, ...] = ()
    quorum: Quorum = field(default_factory=lambda: Quorum({}))
    kinds: dict[str, int] = field(default_factory=dict)  #: leaves by kind
    days: DayCounts = field(default_factory=DayCounts)
    found: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.found and self.signed and self.quorum.reached(self.seen)

    def problem(self, code: str, place: str) -> None:
        self.found += 1
        if len(self.problems) < _TOLD:
            self.problems.append(Problem(code, place))


def tiles(size: int) -> int:
    """How many files an audit of so many entries fetches, the checkpoint apart."""
    found, nodes = -(-size // WIDTH), size
    while nodes:
        found += -(-nodes // WIDTH)
        nodes >>= HEIGHT
    return found


def head_of(note: bytes, keys: Keys, witnesses: Witnesses) -> Remote:
    """Judge a checkpoint as it was fetched. Raises CheckpointInvalid: it is none."""
    found = Remote(parse(note)[0], note)
    origin = found.head.origin
    found.quorum = witnesses(origin)
    try:
        verify(note, origin, keys(origin))
        found.signed = True
        found.seen = tuple(cosigners(note, found.quorum.witnesses))
    except CheckpointInvalid:
        found.problem("tlog.checkpoint_invalid", "newest checkpoint")
    return found


def audit(found: Remote, fetch: Fetch, former: bytes | None, progress: Callable[[int], None]) -> None:
    """Fetch all leaves and all hashes, and hold them against the head, and the head against a `former` one.

    `progress` is told of each file. What does not hold is a problem of `found`. A head that the log's own member has
    not signed says nothing of the log, so nothing is fetched for it.
    """
    if not found.signed:
        return
    tree = _leaves(found, fetch, progress)
    if tree is None:
        return
    if tree.root() != found.head.root:
        found.problem("tlog.root_differs", f"checkpoint at size {found.head.size}")
    _hashes(found, tree, fetch, progress)
    if former is not None:
        _continued(found, tree, former)


def _leaves(found: Remote, fetch: Fetch, progress: Callable[[int], None]) -> Tree | None:
    tree, size = Tree(), found.head.size
    for tile, data in zip(bundles(size), fetch(one.path for one in bundles(size)), strict=True):
        try:
            leaves = leaves_of(tile, data)
        except TileInvalid:
            # What comes behind has no place that could be told.
            found.problem("tlog.tile_invalid", tile.path)
            return None
        tree.extend(b"".join(map(leaf_hash, leaves)))
        for index, leaf in enumerate(leaves, tile.first):
            _count(found, index, leaf)
        progress(1)
    return tree


def _count(found: Remote, index: int, leaf: bytes) -> None:
    try:
        said = canonical.decode(leaf)
    except canonical.NotCanonical:
        said = None
    if not isinstance(said, dict):
        found.problem("tlog.leaf_not_canonical", f"entry {index}")
        found.days.counted(array("Q", (0,)))
        return
    kind = said.get("kind")
    if not isinstance(kind, str) or kind not in KINDS or said.get("v") != VERSION:
        kind = OPAQUE
    found.kinds[kind] = found.kinds.get(kind, 0) + 1
    found.days.counted(array("Q", (looks.looks_of(said),)))
    if kind == "day-count" and not found.days.fits(index, said.get("body")):
        found.problem(looks.DIFFERS, f"entry {index}")


def _hashes(found: Remote, tree: Tree, fetch: Fetch, progress: Callable[[int], None]) -> None:
    """The tiles of hashes say the same as the leaves, for whoever is proved something by them alone."""
    asked = (one.path for one in of_size(tree.size))
    for tile, data in zip(of_size(tree.size), fetch(asked), strict=True):
        if data != hashes(tree, tile):
            found.problem("tlog.tile_invalid", tile.path)
        progress(1)


def _continued(found: Remote, tree: Tree, former: bytes) -> None:
    """That the log continues what was seen of it before."""
    place = "the checkpoint remembered"
    try:
        before = parse(former)[0]
    except CheckpointInvalid:
        found.problem("tlog.checkpoint_invalid", place)
        return
    if before.origin != found.head.origin:
        found.problem("tlog.checkpoint_invalid", place)
    elif before.size > tree.size:
        found.problem("tlog.shorter_than_checkpoint", place)
    elif tree.root_at(before.size) != before.root:
        found.problem("tlog.root_differs", place)


def unseen(found: Remote) -> Mapping[str, PublicKey]:
    """Witnesses that have not cosigned the head."""
    names = {one.witness for one in found.seen}
    return {name: key for name, key in found.quorum.witnesses.items() if name not in names}
