"""The tree of a day's looks: one leaf a person, sorted, with sums at the inner nodes, under one root in the log.

It is a search tree: a node names the first person of its right half, so for any person there is one way from the root,
and it ends either at her leaf or between two others. Nobody can be shown to be in it and not to be in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

#: Root of the day on which nobody was looked at.
EMPTY = sha256(b"").digest()
#: Stands for whoever a look is about of whom the log does not know whom it concerns.
NOBODY = bytes(16)
NAME = 16
#: Largest count that JSON carries exactly.
_MOST = 2**53 - 1
_DEEPEST = 64


class Person(NamedTuple):
    """A person under the day's own salt: to all who do not know her pseudonym another stranger every day."""

    name: bytes  #: 16 bytes, by which the leaves are sorted
    blind: bytes  #: 16 bytes that hide which entries her leaf commits to


class Look(NamedTuple):
    """An entry that counts for a person."""

    leaf_hash: bytes
    times: int = 1


class Leaf(NamedTuple):
    name: bytes
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks of a leaf
    head: bytes  #: commits to the entries, in their order

    def hashed(self) -> bytes:
        return sha256(b"\x00" + self.name + self.count.to_bytes(8, "big") + self.head).digest()


class Step(NamedTuple):
    """What stands beside the way up: the other half, and the first name of the right one."""

    hashed: bytes
    sum: int
    split: bytes


@dataclass(frozen=True, slots=True)
class Way:
    """A leaf and its way to the root."""

    leaf: Leaf
    index: int
    steps: tuple[Step, ...]


def person(salt: bytes, pseudonym: bytes) -> Person:
    """`salt`: the day's, 32 bytes; `pseudonym`: its 16 bytes, or NOBODY."""
    found = sha256(b"tongban/day-name/1\n" + salt + pseudonym).digest()
    return Person(found[:NAME], found[NAME:])


def chained(before: bytes, look: Look) -> bytes:
    """One link more; `before` the first there are 32 zero bytes."""
    return sha256(b"tongban/day-chain/1\n" + before + look.leaf_hash + look.times.to_bytes(8, "big")).digest()


def head_of(blind: bytes, chain: bytes) -> bytes:
    return sha256(b"tongban/day-head/1\n" + blind + chain).digest()


def leaf_of(someone: Person, looks: Iterable[Look]) -> Leaf:
    """The leaf that commits to `looks`, in the order of the log, and to no others."""
    chain, count = bytes(32), 0
    for look in looks:
        chain, count = chained(chain, look), count + look.times
    return Leaf(someone.name, count, head_of(someone.blind, chain))


def joined(left: bytes, left_sum: int, split: bytes, right: bytes, right_sum: int) -> bytes:
    halves = left + left_sum.to_bytes(8, "big") + split + right + right_sum.to_bytes(8, "big")
    return sha256(b"\x01" + halves).digest()


def leads_to(path: Way, size: int, sought: bytes) -> tuple[bytes, int] | None:
    """Root and sum that `path` leads to in a tree of `size` leaves; None: it is no way, or not the one to `sought`."""
    if not 0 <= path.index < size or len(path.steps) > _DEEPEST:
        return None
    node, last = path.index, size - 1
    hashed, total = path.leaf.hashed(), path.leaf.count
    for step in path.steps:
        if last == 0:
            return None
        if node & 1 or node == last:
            # The other half is the left one, so all that is sought here must not lie before the right one's first.
            if not step.split <= min(sought, path.leaf.name):
                return None
            hashed = joined(step.hashed, step.sum, step.split, hashed, total)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            if not max(sought, path.leaf.name) < step.split:
                return None
            hashed = joined(hashed, total, step.split, step.hashed, step.sum)
        node, last, total = node >> 1, last >> 1, total + step.sum
    return (hashed, total) if last == 0 and total <= _MOST else None


def holds(paths: Sequence[Way], size: int, root: bytes, total: int, sought: bytes) -> int | None:
    """How often the person `sought` was looked at by a tree of `size` leaves; None: `paths` do not prove it.

    One path, to her own leaf; or, if she was not looked at, one to each leaf beside the place where she would stand.
    """
    if size == 0:
        return 0 if not paths and root == EMPTY and total == 0 else None
    if not paths or any(leads_to(path, size, path.leaf.name) != (root, total) for path in paths):
        return None
    if len(paths) == 1 and paths[0].leaf.name == sought:
        return paths[0].leaf.count
    return 0 if _between(paths, size, sought) else None


def _between(paths: Sequence[Way], size: int, sought: bytes) -> bool:
    """Whether nobody stands between the leaves of `paths`, and `sought` would."""
    first, last = paths[0], paths[-1]
    if not any(leads_to(path, size, sought) for path in paths):
        return False
    if len(paths) == 1:
        before_all = first.index == 0 and sought < first.leaf.name
        return before_all or (first.index == size - 1 and first.leaf.name < sought)
    return len(paths) == 2 and last.index == first.index + 1 and first.leaf.name < sought < last.leaf.name


def to_json(path: Way) -> dict[str, Any]:
    leaf = {"name": path.leaf.name.hex(), "count": path.leaf.count, "head": path.leaf.head.hex()}
    steps = [{"hash": one.hashed.hex(), "sum": one.sum, "split": one.split.hex()} for one in path.steps]
    return {"leaf": leaf, "index": path.index, "path": steps}


def from_json(held: Mapping[str, Any]) -> Way:
    """Raises KeyError, TypeError, ValueError: it is none."""
    leaf = held["leaf"]
    steps = tuple(Step(_bytes(one["hash"], 32), _count(one["sum"]), _bytes(one["split"], NAME)) for one in held["path"])
    return Way(
        Leaf(_bytes(leaf["name"], NAME), _count(leaf["count"]), _bytes(leaf["head"], 32)), _count(held["index"]), steps
    )


def _bytes(text: Any, length: int) -> bytes:
    raw = bytes.fromhex(text)
    if len(raw) != length:
        raise ValueError("of another length")
    return raw


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MOST:
        raise ValueError("not a count")
    return int(value)
