"""Tiles: an implementation not written here reads our log through them and finds the same."""

import pytest
import tlog_scales.reader
from hypothesis import given
from hypothesis import strategies as st

from tests.tlog.cast import ORIGIN
from tests.world import ANSWERING_KEY
from tongban.tlog.checkpoint import Checkpoint, sign
from tongban.tlog.entry import LONGEST_LEAF
from tongban.tlog.tile import ENTRIES, Tile, TileInvalid, bundle, bundles, hashes, leaves_of, of_size, read_path
from tongban.tlog.tree import OutsideTree, Tree, leaf_hash


def leaf(number: int) -> bytes:
    return b'{"number":%d}' % number


def a_tree(size: int) -> Tree:
    tree = Tree()
    tree.extend(b"".join(leaf_hash(leaf(number)) for number in range(size)))
    return tree


class Served:
    """A log's files by path, as a web server would give them."""

    def __init__(self, size: int) -> None:
        self.tree = a_tree(size)
        note = sign(Checkpoint(ORIGIN, size, self.tree.root()), ANSWERING_KEY)
        self.files = {"checkpoint": note}
        self.files |= {one.path: hashes(self.tree, one) for one in of_size(size)}
        for one in bundles(size):
            self.files[one.path] = bundle(leaf(number) for number in range(one.first, one.first + one.width))

    def get(self, *path: str) -> bytes | None:
        return self.files.get("/".join(path))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 700, 65_536, 70_000])
def test_another_implementation_reads_the_log_through_its_tiles(size: int):
    served = Served(size)
    reader = tlog_scales.reader.TilesReader(served)
    head = reader.get_checkpoint()
    assert reader.calculate_root_hash() == head.root_hash == served.tree.root()
    for index in {0, size // 2, size - 1}:
        assert reader.get_entry(index) == leaf(index)
        assert reader.get_inclusion_proof(index, size).node_hashes == served.tree.inclusion_proof(index)
    old = size // 3 or 1
    assert reader.get_consistency_proof(old, size).node_hashes == served.tree.consistency_proof(old)


def test_a_tree_of_seventy_thousand_has_the_tiles_of_the_standard_s_example():
    found = list(of_size(70_000))
    widths = {level: [one.width for one in found if one.level == level] for level in range(4)}
    assert widths == {0: [256] * 273 + [112], 1: [256, 17], 2: [1], 3: []}
    assert [one.width for one in of_size(256)] == [256, 1]
    assert list(of_size(0)) == list(bundles(0)) == []


def test_a_tile_that_was_whole_before_is_not_needed_again():
    before, after = set(of_size(70_000)), set(of_size(70_300))
    assert set(of_size(70_300, since=70_000)) == after - before
    assert set(bundles(70_300, since=70_000)) == set(bundles(70_300)) - set(bundles(70_000))


def test_paths_are_those_of_the_standard():
    assert Tile(0, 1_234_067).path == "tile/0/x001/x234/067"
    assert Tile(1, 5, 17).path == "tile/1/005.p/17"
    assert Tile(ENTRIES, 999).path == "tile/entries/999"
    assert Tile(ENTRIES, 1000, 1).path == "tile/entries/x001/000.p/1"


@given(st.integers(-1, 63), st.integers(0, 10**12), st.integers(1, 256))
def test_a_path_names_its_tile_and_no_other(level: int, index: int, width: int):
    tile = Tile(level, index, width)
    assert read_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/", "tile/0/1", "tile/0/01", "tile/00/001", "tile/64/001", "tile/-1/001",
        "tile/0/x000/001", "tile/0/001.p/0", "tile/0/001.p/256", "tile/0/001.p/01", "tile/0/001.p/999",
        "tile/0/001.p", "tile/0/001/002", "tile/0/x001", "/tile/0/001", "tile/0/001/", "tile/0/001?x",
        "tile/entries/../000", "tile/Entries/000", "tile/0/００１", "tile/0/001\n", "tile/0/" + "x001/" * 7 + "000",
    ],
)  # fmt: skip
def test_what_is_not_the_one_spelling_of_a_path_names_nothing(path: str):
    assert read_path(path) is None


def test_tiles_beyond_the_tree_are_not_there():
    tree = a_tree(300)
    for one in (Tile(0, 1), Tile(0, 1, 45), Tile(0, 2, 1), Tile(1, 0, 2), Tile(1, 1, 1), Tile(5, 0, 1), Tile(63, 0, 1)):
        with pytest.raises(OutsideTree):
            hashes(tree, one)
    with pytest.raises(OutsideTree):
        hashes(tree, Tile(ENTRIES, 0, 1))
    assert hashes(tree, Tile(0, 1, 44))[-32:] == tree.leaf(299)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_gives_back_its_leaves(leaves: list[bytes]):
    tile = Tile(ENTRIES, 0, len(leaves))
    assert leaves_of(tile, bundle(leaves)) == leaves


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=20), st.integers(1, 50))
def test_a_bundle_that_was_cut_or_lengthened_is_refused(leaves: list[bytes], cut: int):
    tile, whole = Tile(ENTRIES, 7, len(leaves)), bundle(leaves)
    with pytest.raises(TileInvalid):
        leaves_of(tile, whole[:-cut])
    with pytest.raises(TileInvalid):
        leaves_of(tile, whole + bundle([b"one more"]))
    with pytest.raises(TileInvalid):
        leaves_of(tile, whole + b"\x00")


def test_the_longest_leaf_fits():
    longest = b"x" * LONGEST_LEAF
    assert leaves_of(Tile(ENTRIES, 0, 1), bundle([longest])) == [longest]
