"""The files of a log as anybody may fetch them, true or not."""

from collections.abc import Iterable, Iterator, Sequence

from tests.tlog.cast import ORIGIN
from tests.world import ANSWERING_KEY, NOON, a_key
from tongban.kit.errors import Unavailable
from tongban.kit.keys import SigningKey
from tongban.tlog.checkpoint import Checkpoint, parse, sign
from tongban.tlog.cosignature import cosign
from tongban.tlog.tile import bundle, bundles, hashes, of_size
from tongban.tlog.tree import Tree, leaf_hash

ONE, TWO = (a_key(name, "witness") for name in ("one", "two"))


class Gone(Unavailable):
    """A file that a log does not give."""


class Site:
    """The files of one log, and what was asked of them."""

    def __init__(
        self,
        leaves: Sequence[bytes],
        key: SigningKey = ANSWERING_KEY,
        by: Iterable[SigningKey] = (ONE, TWO),
        origin: str = ORIGIN,
    ) -> None:
        self.asked: list[str] = []
        tree = Tree()
        tree.extend(b"".join(map(leaf_hash, leaves)))
        self.files = {one.path: hashes(tree, one) for one in of_size(tree.size)}
        for one in bundles(tree.size):
            self.files[one.path] = bundle(leaves[one.first : one.first + one.width])
        self.files["checkpoint"] = a_note(Checkpoint(origin, tree.size, tree.root()), key, by)

    @property
    def note(self) -> bytes:
        return self.files["checkpoint"]

    def fetch(self, paths: Iterable[str]) -> Iterator[bytes]:
        for path in paths:
            self.asked.append(path)
            if path not in self.files:
                raise Gone(what=path)
            yield self.files[path]


def a_note(
    head: Checkpoint, key: SigningKey = ANSWERING_KEY, by: Iterable[SigningKey] = (ONE, TWO), at: int = NOON
) -> bytes:
    """A signed head with the cosignatures of witnesses, each named as its key."""
    note = sign(head, key)
    text = parse(note)[1]
    return note + b"".join(cosign(text, witness.id, witness, at) for witness in by)


def leaves(size: int) -> list[bytes]:
    """Leaves of a kind that nobody knows."""
    return [b'{"number":%d}' % number for number in range(size)]
