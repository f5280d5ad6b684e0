"""A day's tree against one written down from the page: who is in it is proved with her count, and who is not, too."""

import json
import random
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tongban.tlog import day_file
from tongban.tlog.day_file import DayDamaged, DayFile, Rows
from tongban.tlog.day_tree import EMPTY, Leaf, Step, Way, from_json, holds, joined, leads_to, to_json

DAY, SALT = "2014-06-09", bytes(32)


def by_the_page(leaves: list[Leaf]) -> tuple[bytes, int]:
    """Hash and sum of a tree, halves as RFC 9162 has them."""
    if len(leaves) == 1:
        leaf = leaves[0]
        return sha256(b"\x00" + leaf.name + leaf.count.to_bytes(8, "big") + leaf.head).digest(), leaf.count
    half = 1
    while 2 * half < len(leaves):
        half *= 2
    (left, before), (right, after) = by_the_page(leaves[:half]), by_the_page(leaves[half:])
    halves = left + before.to_bytes(8, "big") + leaves[half].name + right + after.to_bytes(8, "big")
    return sha256(b"\x01" + halves).digest(), before + after


def some(count: int, seed: int = 1) -> list[Leaf]:
    drawn = random.Random(seed)
    leaves = [Leaf(drawn.randbytes(16), drawn.randrange(1, 9), drawn.randbytes(32)) for _ in range(count)]
    return sorted(leaves)


def written(log: Path, leaves: list[Leaf]) -> DayFile:
    rows = Rows(
        np.frombuffer(b"".join(leaf.name for leaf in leaves), np.uint8).reshape(-1, 16),
        np.array([leaf.count for leaf in leaves], np.uint64),
        np.frombuffer(b"".join(leaf.head for leaf in leaves), np.uint8).reshape(-1, 32),
    )
    count = day_file.write(log, DAY, 0, 9, SALT, rows)
    return DayFile(log, DAY, count.root.hex())


@pytest.mark.parametrize("size", [*range(1, 18), 31, 32, 33, 64, 100])
def test_everybody_is_proved_with_her_count_and_everybody_else_with_none(tmp_path: Path, size: int) -> None:
    leaves = some(size)
    tree = written(tmp_path, leaves)
    root, total = by_the_page(leaves)
    assert (tree.count.root, tree.count.sum, tree.count.persons) == (root, total, size)
    for leaf in leaves:
        ways = [from_json(json.loads(json.dumps(to_json(one)))) for one in tree.paths(leaf.name)]
        assert ways[0].leaf == leaf
        assert holds(ways, size, root, total, leaf.name) == leaf.count
        beside = (int.from_bytes(leaf.name, "big") + 1).to_bytes(16, "big")
        assert holds(tree.paths(beside), size, root, total, beside) == 0
        # Her own way proves nothing of another.
        assert holds(ways, size, root, total, beside) is (0 if size == leaves.index(leaf) + 1 else None)
    for other in (bytes(16), b"\xff" * 16):
        assert holds(tree.paths(other), size, root, total, other) == 0


def test_a_day_without_looks_proves_that_of_everybody(tmp_path: Path) -> None:
    tree = written(tmp_path, [])
    assert (tree.count.root, tree.count.sum) == (EMPTY, 0)
    assert holds(tree.paths(bytes(16)), 0, EMPTY, 0, bytes(16)) == 0
    assert holds([], 0, bytes(32), 0, bytes(16)) is None
    assert holds([], 1, EMPTY, 0, bytes(16)) is None


def ways_of(size: int = 21, at: int = 9) -> tuple[list[Leaf], list[Way], bytes, int]:
    leaves = some(size)
    root, total = by_the_page(leaves)
    return leaves, [naive(leaves, at)], root, total


def naive(leaves: list[Leaf], index: int) -> Way:
    steps: list[Step] = []
    part, at = leaves, index
    while len(part) > 1:
        half = 1
        while 2 * half < len(part):
            half *= 2
        other, mine = (part[half:], part[:half]) if at < half else (part[:half], part[half:])
        steps.append(Step(*by_the_page(other), part[half].name))
        part, at = mine, at if at < half else at - half
    return Way(leaves[index], index, tuple(steps[::-1]))


def test_nothing_in_a_proof_can_be_changed() -> None:
    leaves, [way], root, total = ways_of()
    name = way.leaf.name
    assert holds([way], len(leaves), root, total, name) == way.leaf.count
    lies: list[Way] = [
        replace(way, index=way.index + 1), replace(way, index=-1), replace(way, steps=way.steps[:-1]),
        replace(way, steps=way.steps[::-1]), replace(way, steps=(*way.steps, way.steps[0])),
        replace(way, leaf=way.leaf._replace(count=0)), replace(way, leaf=way.leaf._replace(head=bytes(32))),
    ]  # fmt: skip
    for at, step in enumerate(way.steps):
        for change in ({"hashed": bytes(32)}, {"sum": step.sum + 1}, {"split": bytes(16)}, {"split": b"\xff" * 16}):
            other: Any = step._replace(**change)
            lies.append(replace(way, steps=(*way.steps[:at], other, *way.steps[at + 1 :])))
    for number, lie in enumerate(lies):
        assert holds([lie], len(leaves), root, total, name) is None, number
    assert holds([way], len(leaves), root, total + 1, name) is None
    assert holds([way], len(leaves) + 40, root, total, name) is None


def test_leaves_that_are_not_adjacent_prove_no_absence() -> None:
    leaves, _, root, total = ways_of()
    hidden = leaves[9].name
    for pair in ((8, 10), (10, 8), (0, 20), (8, 9), (9, 9), (8,), (10,), (0,), (20,)):
        ways = [naive(leaves, at) for at in pair]
        assert holds(ways, len(leaves), root, total, hidden) is None, pair


def test_a_leaf_in_a_wrong_place_is_proved_to_nobody_while_her_absence_is() -> None:
    """The operator's tree is not sorted: she stands at its end, and the gap where she belongs is shown to her."""
    leaves, hers = some(8), some(1, seed=2)[0]._replace(name=b"\x01" + bytes(15))
    odd = [*leaves[:7], hers]
    root, total = by_the_page(odd)
    present, absent = naive(odd, 7), naive(odd, 0)
    assert leads_to(present, 8, hers.name) is None
    assert holds([present], 8, root, total, hers.name) is None
    shown = holds([absent], 8, root, total, hers.name)
    assert shown == (0 if hers.name < odd[0].name else None)
    # The splits in the nodes may lie as well: then nobody behind them is found any more, and the samples are.
    lying = joined(odd[0].hashed(), odd[0].count, hers.name, hers.hashed(), hers.count)
    one = Way(hers, 1, (Step(odd[0].hashed(), odd[0].count, hers.name),))
    other = Way(odd[0], 0, (Step(hers.hashed(), hers.count, hers.name),))
    assert leads_to(one, 2, hers.name) == (lying, odd[0].count + hers.count)
    assert leads_to(other, 2, odd[0].name) is None


def test_a_file_that_is_not_the_one_committed_to_proves_nothing(tmp_path: Path) -> None:
    leaves = some(5)
    tree = written(tmp_path, leaves)
    root = tree.count.root.hex()
    path = day_file.place(tmp_path, DAY, root)
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            found = DayFile(tmp_path, DAY, root)
            ways = [found.paths(leaf.name) for leaf in leaves]
        except DayDamaged:
            refused += 1
            continue
        # Salt and range are not under the root; all that a proof is made of is.
        for leaf, way in zip(leaves, ways, strict=True):
            assert holds(way, 5, tree.count.root, tree.count.sum, leaf.name) == leaf.count
    assert refused > len(whole) // 14
    path.unlink()
    with pytest.raises(DayDamaged):
        DayFile(tmp_path, DAY, root)


@pytest.mark.parametrize(
    "held",
    [
        {}, {"leaf": {}}, {"leaf": {"name": "00", "count": 1, "head": "00" * 32}, "index": 0, "path": []},
        {"leaf": {"name": "00" * 16, "count": -1, "head": "00" * 32}, "index": 0, "path": []},
        {"leaf": {"name": "00" * 16, "count": True, "head": "00" * 32}, "index": 0, "path": []},
        {"leaf": {"name": "00" * 16, "count": 1, "head": "00" * 32}, "index": "0", "path": []},
        {"leaf": {"name": "00" * 16, "count": 1, "head": "00" * 32}, "index": 0, "path": [{"hash": "00"}]},
    ],
)  # fmt: skip
def test_what_is_no_proof_is_not_read_as_one(held: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_json(held)
