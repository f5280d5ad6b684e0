"""A log audited from anywhere: what a server names or leaves out misleads and exhausts nobody."""

from collections.abc import Iterable, Iterator

import pytest

from tests.tlog.cast import ORIGIN
from tests.world import ANSWERING_KEY, CALLING_KEY, HUB_KEY, NOON
from tongban.kit.keys import PublicKey
from tongban.tlog.checkpoint import Checkpoint, parse, sign
from tongban.tlog.cosignature import Quorum, cosign
from tongban.tlog.remote import Remote, audit, head_of, tiles
from tongban.tlog.tile import bundle, bundles, hashes, of_size
from tongban.tlog.tree import Tree, leaf_hash

#: More files than any machine could list.
HUGE = 2**62
QUORUM = Quorum({"witness.1": HUB_KEY.public}, frozenset(), 1)


class Away(Exception):
    """A file that is not to be had."""


def leaf(number: int) -> bytes:
    return b'{"kind":"call","n":%d}' % number


class Served:
    """A log's files, and how often any was asked for."""

    def __init__(self, size: int) -> None:
        self.tree, self.asked = Tree(), 0
        self.tree.extend(b"".join(leaf_hash(leaf(number)) for number in range(size)))
        note = sign(Checkpoint(ORIGIN, size, self.tree.root()), ANSWERING_KEY)
        self.note = note + cosign(parse(note)[1], "witness.1", HUB_KEY, NOON)
        self.files = {one.path: hashes(self.tree, one) for one in of_size(size)}
        for one in bundles(size):
            self.files[one.path] = bundle(leaf(number) for number in range(one.first, one.first + one.width))

    def fetch(self, paths: Iterable[str]) -> Iterator[bytes]:
        for path in paths:
            self.asked += 1
            if path not in self.files:
                raise Away(path)
            yield self.files[path]


def head(note: bytes) -> Remote:
    keys: list[PublicKey] = [ANSWERING_KEY.public]
    return head_of(note, lambda origin: keys, lambda origin: QUORUM)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700, 70_000])
def test_a_log_that_holds_holds_with_as_many_files_as_were_announced(size: int) -> None:
    served, told = Served(size), list[int]()
    found = head(served.note)
    audit(found, served.fetch, None, told.append)
    assert (found.holds, found.problems) == (True, [])
    assert tiles(size) == sum(told) == served.asked


def test_under_a_head_that_the_log_did_not_sign_nothing_is_fetched() -> None:
    served = Served(3)
    found = head(sign(Checkpoint(ORIGIN, HUGE, bytes(32)), CALLING_KEY))
    audit(found, served.fetch, None, lambda count: None)
    assert (found.holds, found.signed, served.asked) == (False, False, 0)
    assert [one.code for one in found.problems] == ["tlog.checkpoint_invalid"]


def test_a_signed_head_of_any_size_is_held_against_the_files_one_after_another() -> None:
    served = Served(256)
    found = head(sign(Checkpoint(ORIGIN, HUGE, bytes(32)), ANSWERING_KEY))
    assert tiles(HUGE) == 2**54 + 2**54 + sum(2**bits for bits in range(46, -1, -8)) + 1
    with pytest.raises(Away):
        audit(found, served.fetch, None, lambda count: None)
    assert served.asked == 2


@pytest.mark.parametrize("size", [3, 700])
def test_every_changed_file_is_found(size: int) -> None:
    for path in Served(size).files:
        served = Served(size)
        served.files[path] = served.files[path][:-1] + bytes([served.files[path][-1] ^ 1])
        found = head(served.note)
        audit(found, served.fetch, None, lambda count: None)
        assert not found.holds


def test_a_log_that_does_not_continue_what_was_remembered_does_not_hold() -> None:
    served, other = Served(5), Tree()
    other.extend(4 * leaf_hash(b"{}"))
    for size, root in ((4, other.root()), (6, bytes(32))):
        found = head(served.note)
        audit(found, served.fetch, sign(Checkpoint(ORIGIN, size, root), ANSWERING_KEY), lambda count: None)
        assert not found.holds
