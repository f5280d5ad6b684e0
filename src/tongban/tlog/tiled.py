"""Proofs from tiles: whoever holds only a log's head fetches the few tiles that lead from an entry to it."""

from collections.abc import Mapping

from tongban.tlog.checkpoint import Checkpoint
from tongban.tlog.tile import HEIGHT, WIDTH, Tile
from tongban.tlog.tree import Tree, node_hash, verify_inclusion


class _Asked(Tree):
    """A tree without hashes, which notes what a proof asks of it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.nodes: list[tuple[int, int]] = []

    def _node(self, level: int, position: int) -> bytes:
        self.nodes.append((level, position))
        return bytes(32)


class _Held(Tree):
    """A tree of which some tiles are at hand. KeyError: one that is asked for is not."""

    def __init__(self, size: int, tiles: Mapping[Tile, bytes]) -> None:
        super().__init__()
        self.size, self._tiles = size, tiles

    def _node(self, level: int, position: int) -> bytes:
        tile, first, count = _place(self.size, level, position)
        hashes = self._tiles[tile]
        nodes = [hashes[32 * at : 32 * at + 32] for at in range(first, first + count)]
        while len(nodes) > 1:
            nodes = [node_hash(nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]
        return nodes[0]


def _place(size: int, level: int, position: int) -> tuple[Tile, int, int]:
    """The tile in which a node lies, or what it is made of, and where in it."""
    count = 1 << level % HEIGHT
    tiles = level // HEIGHT
    index, at = divmod(position * count, WIDTH)
    return Tile(tiles, index, min(WIDTH, (size >> HEIGHT * tiles) - index * WIDTH)), at, count


def needed(index: int, size: int) -> set[Tile]:
    """The tiles that hold the leaf hash at `index` of a log of `size` entries, and lead from it to the root."""
    asked = _Asked(size)
    asked.inclusion_proof(index, size)
    return {_place(size, *node)[0] for node in [(0, index), *asked.nodes]}


def leaf_under(head: Checkpoint, index: int, tiles: Mapping[Tile, bytes]) -> bytes | None:
    """The leaf hash at `index` under the head; None: the tiles do not lead to it. KeyError: one is not there."""
    tree = _Held(head.size, tiles)
    hashed = tree.leaf(index)
    proof = tree.inclusion_proof(index, head.size)
    return hashed if verify_inclusion(hashed, index, head.size, proof, head.root) else None
