"""A leaf is found under a head from a few tiles, at every place of trees of every shape, and no other leaf is."""

import random
from hashlib import sha256

import pytest

from tests.full import seed
from tongban.tlog.checkpoint import Checkpoint
from tongban.tlog.tile import Tile, hashes
from tongban.tlog.tiled import leaf_under, needed
from tongban.tlog.tree import Tree

SIZES = [1, 2, 3, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 65_536 + 256 + 1]


@pytest.fixture(scope="module")
def tree() -> Tree:
    tree = Tree()
    tree.extend(b"".join(sha256(b"%d" % at).digest() for at in range(SIZES[-1])))
    return tree


def fetched(tree: Tree, index: int, size: int) -> dict[Tile, bytes]:
    return {tile: hashes(tree, tile) for tile in needed(index, size)}


def head(tree: Tree, size: int) -> Checkpoint:
    return Checkpoint("a/log", size, tree.root_at(size))


@pytest.mark.parametrize("size", SIZES)
def test_each_leaf_is_found_under_the_head(tree: Tree, size: int) -> None:
    drawn = random.Random(seed() + size)
    for index in {0, size - 1, *(drawn.randrange(size) for _ in range(20))}:
        tiles = fetched(tree, index, size)
        assert leaf_under(head(tree, size), index, tiles) == tree.leaf(index)
        assert len(tiles) <= 6


@pytest.mark.parametrize("size", [3, 257, 65_537])
def test_no_leaf_is_found_when_any_byte_that_leads_to_the_head_was_changed(tree: Tree, size: int) -> None:
    drawn = random.Random(seed() + size)
    index = drawn.randrange(size)
    tiles = fetched(tree, index, size)
    other = Checkpoint("a/log", size, bytes(32))
    assert leaf_under(other, index, tiles) is None
    own = Tile(0, index // 256, next(tile.width for tile in tiles if tile.level == 0 and tile.index == index // 256))
    data = bytearray(tiles[own])
    # Any leaf of the bundle, not only the one that is asked for: whoever proves one has proven all of them.
    data[drawn.randrange(len(data))] ^= 1
    assert leaf_under(head(tree, size), index, tiles | {own: bytes(data)}) is None
    assert leaf_under(head(tree, size), index, tiles | {own: b"short"}) is None


def test_a_tile_that_is_missing_is_not_guessed(tree: Tree) -> None:
    tiles = fetched(tree, 5, 65_537)
    for tile in tiles:
        with pytest.raises(KeyError):
            leaf_under(head(tree, 65_537), 5, {one: data for one, data in tiles.items() if one != tile})
