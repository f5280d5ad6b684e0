"""The Merkle tree of RFC 9162: roots, inclusion and consistency proofs, and how anybody checks them.

A tree keeps the hash of every complete subtree, level by level, 64 bytes a leaf in all. What is
ragged at its right edge is computed when asked, so every earlier size can be asked too.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from tongban.kit.errors import Invalid

#: Root of the tree without leaves.
EMPTY = sha256(b"").digest()


class OutsideTree(Invalid):
    """A proof was asked for a place that the tree does not have."""

    code = "tlog.outside_tree"
    message = "The tree has {size} leaves; {asked} lies outside."
    remedy = "Ask for an index below the size, and for a size that the log has reached."


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """Append-only. Belongs to one thread."""

    __slots__ = ("_levels", "size")

    def __init__(self) -> None:
        self.size = 0  #: number of leaves
        #: Level n holds, end to end, the hashes of the complete subtrees of 2**n leaves.
        self._levels = [bytearray()]

    def append(self, leaf_hash: bytes) -> None:
        self.extend(leaf_hash)

    def extend(self, leaf_hashes: bytes) -> None:
        """Append leaves; `leaf_hashes` holds 32 bytes a leaf, end to end."""
        self._levels[0] += leaf_hashes
        self.size = len(self._levels[0]) // 32
        for level, nodes in enumerate(self._levels):
            if level + 1 == len(self._levels):
                if len(nodes) < 64:
                    return
                self._levels.append(bytearray())
            parents = self._levels[level + 1]
            pairs = bytes(nodes[2 * len(parents) : len(nodes) // 64 * 64])
            if not pairs:
                return
            parents += b"".join([sha256(b"\x01" + pairs[at : at + 64]).digest() for at in range(0, len(pairs), 64)])

    def leaf(self, index: int) -> bytes:
        """Leaf hash at `index`. Raises OutsideTree."""
        if not 0 <= index < self.size:
            raise OutsideTree(size=self.size, asked=f"index {index}")
        return self._node(0, index)

    def root(self) -> bytes:
        return self.root_at(self.size)

    def root_at(self, size: int) -> bytes:
        """Root when the tree had `size` leaves. Raises OutsideTree."""
        self._inside(0, size)
        return self._range(0, size) if size else EMPTY

    def subtrees(self, level: int, first: int, count: int) -> bytes:
        """Roots of `count` complete subtrees of 2**level leaves from number `first`, end to end. Raises OutsideTree."""
        nodes = self._levels[level] if level < len(self._levels) else b""
        if not (first >= 0 and count > 0 and (first + count) * 32 <= len(nodes)):
            raise OutsideTree(size=self.size, asked=f"{count} subtrees from {first} at level {level}")
        return bytes(nodes[32 * first : 32 * (first + count)])

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Path from the leaf at `index` to the root at `size` (now), RFC 9162 section 2.1.3.1. Raises OutsideTree."""
        size = self.size if size is None else size
        self._inside(index + 1, size)
        if index < 0:
            raise OutsideTree(size=self.size, asked=f"index {index}")
        proof = []
        level, node, last = 0, index, size - 1
        while last:
            if node & 1:
                proof.append(self._node(level, node - 1))
            elif node < last:
                start = (node + 1) << level
                proof.append(self._range(start, min(1 << level, size - start)))
            level, node, last = level + 1, node >> 1, last >> 1
        return proof

    def consistency_proof(self, old: int, new: int | None = None) -> list[bytes]:
        """Proof that the tree of `old` leaves begins that of `new` (now), RFC 9162 section 2.1.4.1.

        Raises
            OutsideTree
        """
        new = self.size if new is None else new
        self._inside(old, new)
        if old in (0, new):
            return []
        proof = []
        start, stop, known = 0, new, True
        while old != stop:
            middle = start + (1 << (stop - start - 1).bit_length() - 1)
            if old <= middle:
                proof.append(self._range(middle, stop - middle))
                stop = middle
            else:
                proof.append(self._range(start, middle - start))
                start, known = middle, False
        if not known:
            proof.append(self._range(start, stop - start))
        return proof[::-1]

    def _inside(self, part: int, size: int) -> None:
        if not 0 <= part <= size <= self.size:
            raise OutsideTree(size=self.size, asked=f"{part} of {size}")

    def _node(self, level: int, position: int) -> bytes:
        return bytes(self._levels[level][32 * position : 32 * position + 32])

    def _range(self, start: int, width: int) -> bytes:
        """Root over `width` > 0 leaves from `start`, which is a multiple of a power of two not below `width`."""
        root = b""
        while width:
            level = (width & -width).bit_length() - 1
            node = self._node(level, ((start + width) >> level) - 1)
            root = node_hash(node, root) if root else node
            width &= width - 1
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Root over `leaves`, of which only a handful of hashes is held at a time."""
    size, edge = 0, list[bytes]()
    for leaf in leaves:
        node, size = leaf_hash(leaf), size + 1
        for _ in range((size & -size).bit_length() - 1):
            node = node_hash(edge.pop(), node)
        edge.append(node)
    if not edge:
        return EMPTY
    root = edge.pop()
    while edge:
        root = node_hash(edge.pop(), root)
    return root


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` leads from the leaf at `index` to `root`.

    `size` and `root` must come from one checkpoint that was verified: a proof alone says nothing about the size.

    Source
        RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    node, last, value = index, size - 1, leaf_hash
    for other in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = node_hash(other, value)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(value, other)
        node, last = node >> 1, last >> 1
    return last == 0 and value == root


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether the tree with `new_root` begins with the one with `old_root`.

    Source
        RFC 9162, section 2.1.4.2; the cases that it leaves out (nothing before, nothing new) need an empty proof.
    """
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    return _leads_to_both(node, last, path, old_root, new_root)


def _leads_to_both(node: int, last: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    before = after = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            before, after = node_hash(other, before), node_hash(other, after)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            after = node_hash(after, other)
        node, last = node >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root
