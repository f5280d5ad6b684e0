"""Tiles: the log as a finite set of files that anybody may fetch, cache and check.

C2SP tlog-tiles (https://c2sp.org/tlog-tiles): 256 hashes a tile, every eighth level of the tree, and bundles of 256
leaves. What is behind a leaf (its record) is in none of them.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tongban.kit.errors import Invalid
from tongban.tlog.tree import OutsideTree, Tree

#: Levels of the tree that one tile spans.
HEIGHT = 8
WIDTH = 1 << HEIGHT
#: Stands for a level where the path says `entries`.
ENTRIES = -1
_LENGTH = struct.Struct(">H")
_PATH = re.compile(r"tile/(entries|0|[1-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class TileInvalid(Invalid):
    """Bytes that are not the tile they were fetched as."""

    code = "tlog.tile_invalid"
    message = "Not the tile {path}: {what}."
    remedy = "Fetch it again; if it stays so, ask the log's owner and show what you hold."


class Tile(NamedTuple):
    level: int  #: of tiles, 8 levels of the tree each; ENTRIES for a bundle of leaves
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a tile
    width: int = WIDTH  #: hashes or leaves in it

    @property
    def path(self) -> str:
        digits = f"{self.index:0{-(-len(str(self.index)) // 3) * 3}d}"
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        place = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level == ENTRIES else self.level}/{place}{partial}"

    @property
    def first(self) -> int:
        """Index of its first leaf or hash at its own level."""
        return self.index * WIDTH


def read_path(path: str) -> Tile | None:
    """The tile that `path` (without a leading slash) names in its one spelling; None for anything else."""
    found = _PATH.fullmatch(path)
    if not found:
        return None
    level = ENTRIES if found[1] == "entries" else int(found[1])
    tile = Tile(level, int(found[2].replace("x", "").replace("/", "")), int(found[3]) if found[3] else WIDTH)
    return tile if tile.width <= WIDTH and tile.path == path else None


def of_size(size: int, *, since: int = 0) -> Iterator[Tile]:
    """The tiles of hashes of a tree of `size` leaves, lowest level first; only those that changed since `since`."""
    level = 0
    while nodes := size >> HEIGHT * level:
        first = since >> HEIGHT * (level + 1)
        yield from (Tile(level, index) for index in range(first, nodes >> HEIGHT))
        if nodes % WIDTH and nodes > since >> HEIGHT * level:
            yield Tile(level, nodes >> HEIGHT, nodes % WIDTH)
        level += 1


def bundles(size: int, *, since: int = 0) -> Iterator[Tile]:
    """The bundles of the first `size` leaves, from the one that holds leaf `since`."""
    yield from (Tile(ENTRIES, index) for index in range(since >> HEIGHT, size >> HEIGHT))
    if size % WIDTH and size > since:
        yield Tile(ENTRIES, size >> HEIGHT, size % WIDTH)


def hashes(tree: Tree, tile: Tile) -> bytes:
    """Bytes of a tile of hashes, 32 each. Raises OutsideTree."""
    if tile.level == ENTRIES:
        raise OutsideTree(size=tree.size, asked="a bundle of leaves")
    return tree.subtrees(HEIGHT * tile.level, tile.first, tile.width)


def bundle(leaves: Iterable[bytes]) -> bytes:
    """Bytes of a bundle. A leaf is at most LONGEST_LEAF bytes."""
    return b"".join(part for leaf in leaves for part in (_LENGTH.pack(len(leaf)), leaf))


def leaves_of(tile: Tile, data: bytes) -> list[bytes]:
    """The leaves in a bundle. Raises TileInvalid."""
    found, at = [], 0
    while at < len(data):
        stop = at + 2
        if stop <= len(data):
            stop += _LENGTH.unpack_from(data, at)[0]
        if stop > len(data):
            raise TileInvalid(path=tile.path, what="a leaf is cut off")
        found.append(data[at + 2 : stop])
        at = stop
    if len(found) != tile.width:
        raise TileInvalid(path=tile.path, what=f"{len(found)} leaves instead of {tile.width}")
    return found
