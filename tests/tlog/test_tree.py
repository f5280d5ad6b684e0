"""The tree against the standard's own words, the reference roots, and three implementations not written here."""

import itertools
from hashlib import sha256

import metamorphic_log
import proofbundle.merkle
import pytest
import tlog_scales.tlog
from hypothesis import given
from hypothesis import strategies as st

from tongban.tlog.tree import (
    EMPTY,
    OutsideTree,
    Tree,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

#: Leaves and roots by which Certificate Transparency's implementations are tested.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def grown(data: list[bytes]) -> Tree:
    tree = Tree()
    for leaf in data:
        tree.append(leaf_hash(leaf))
    return tree


# RFC 9162, sections 2.1.1, 2.1.3.1 and 2.1.4.1, word for word and as slow as they read


def split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def mth(data: list[bytes]) -> bytes:
    if len(data) <= 1:
        return leaf_hash(data[0]) if data else EMPTY
    k = split(len(data))
    return node_hash(mth(data[:k]), mth(data[k:]))


def path(m: int, data: list[bytes]) -> list[bytes]:
    if len(data) == 1:
        return []
    k = split(len(data))
    return [*path(m, data[:k]), mth(data[k:])] if m < k else [*path(m - k, data[k:]), mth(data[:k])]


def subproof(m: int, data: list[bytes], whole: bool) -> list[bytes]:
    if m == len(data):
        return [] if whole else [mth(data)]
    k = split(len(data))
    if m <= k:
        return [*subproof(m, data[:k], whole), mth(data[k:])]
    return [*subproof(m - k, data[k:], False), mth(data[:k])]


def test_the_reference_roots_come_out():
    tree = grown(LEAVES)
    assert [tree.root_at(size).hex() for size in range(9)] == ROOTS


def test_leaves_taken_in_together_make_the_same_tree_as_one_by_one():
    data = leaves(300)
    one_by_one = grown(data)
    roots = [one_by_one.root_at(size) for size in range(301)]
    for cut in (0, 1, 2, 3, 7, 64, 255, 299):
        tree = grown(data[:cut])
        tree.extend(b"".join(leaf_hash(leaf) for leaf in data[cut:]))
        assert [tree.root_at(size) for size in range(301)] == roots


def test_a_root_without_a_tree_is_the_tree_s_root():
    assert [root_of(leaves(size)) for size in range(70)] == [mth(leaves(size)) for size in range(70)]


@given(st.integers(1, 90), st.data())
def test_proofs_are_those_of_the_standard(size, data):
    content = leaves(size)
    tree = grown(content)
    part = data.draw(st.integers(1, size))
    index = data.draw(st.integers(0, part - 1))
    assert tree.root_at(part) == mth(content[:part])
    assert tree.inclusion_proof(index, part) == path(index, content[:part])
    assert tree.consistency_proof(part) == subproof(part, content, True)
    assert tree.leaf(index) == leaf_hash(content[index])


def test_three_other_implementations_accept_every_inclusion_proof_of_small_trees():
    content = leaves(33)
    tree = grown(content)
    for size in range(1, 34):
        root = tree.root_at(size)
        for index in range(size):
            proof, leaf = tree.inclusion_proof(index, size), content[index]
            metamorphic_log.verify_inclusion(index, size, leaf_hash(leaf), proof, root)
            tlog_scales.tlog.InclusionProof(index, size, proof).check(leaf_hash(leaf), root)
            assert proofbundle.merkle.verify_inclusion(leaf, index, size, proof, root)
            assert verify_inclusion(leaf_hash(leaf), index, size, proof, root)


def test_three_other_implementations_accept_every_consistency_proof_of_small_trees():
    tree = grown(leaves(33))
    for old, new in itertools.combinations_with_replacement(range(1, 34), 2):
        proof, roots = tree.consistency_proof(old, new), (tree.root_at(old), tree.root_at(new))
        metamorphic_log.verify_consistency(old, new, proof, *roots)
        tlog_scales.tlog.ConsistencyProof(old, new, proof).check(*roots)
        assert proofbundle.merkle.verify_consistency(old, new, proof, *roots)
        assert verify_consistency(old, new, proof, *roots)


def test_a_large_tree_is_proved_too():
    tree = Tree()
    tree.extend(b"".join(sha256(number.to_bytes(4)).digest() for number in range(70_001)))
    for index, size in ((0, 70_001), (65_535, 65_536), (65_536, 70_000), (70_000, 70_001)):
        metamorphic_log.verify_inclusion(
            index, size, tree.leaf(index), tree.inclusion_proof(index, size), tree.root_at(size)
        )
    proof = tree.consistency_proof(65_537, 70_001)
    metamorphic_log.verify_consistency(65_537, 70_001, proof, tree.root_at(65_537), tree.root())


@given(st.integers(2, 60), st.data())
def test_a_changed_inclusion_proof_is_refused(size, data):
    content = leaves(size)
    tree = grown(content)
    index = data.draw(st.integers(0, size - 1))
    proof, root, leaf = tree.inclusion_proof(index), tree.root(), leaf_hash(content[index])
    place = data.draw(st.integers(0, len(proof) - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index))
    assert not verify_inclusion(leaf, index, size, [*proof[:place], *proof[place + 1 :]], root)
    assert not verify_inclusion(leaf, index, size, [*proof, root], root)
    assert not verify_inclusion(
        leaf, index, size, [*proof[:place], sha256(proof[place]).digest(), *proof[place + 1 :]], root
    )
    assert not verify_inclusion(leaf, other, size, proof, root)
    assert not verify_inclusion(leaf_hash(content[other]), index, size, proof, root)
    assert not verify_inclusion(leaf, index, size, proof, sha256(root).digest())


@given(st.integers(2, 60), st.data())
def test_a_changed_consistency_proof_is_refused(new, data):
    tree = grown(leaves(new))
    old = data.draw(st.integers(1, new - 1))
    proof, before, after = tree.consistency_proof(old), tree.root_at(old), tree.root()
    place = data.draw(st.integers(0, len(proof) - 1))
    assert not verify_consistency(old, new, [*proof[:place], *proof[place + 1 :]], before, after)
    assert not verify_consistency(old, new, [*proof, after], before, after)
    assert not verify_consistency(
        old, new, [*proof[:place], sha256(proof[place]).digest(), *proof[place + 1 :]], before, after
    )
    assert not verify_consistency(old, new, proof, sha256(before).digest(), after)
    assert not verify_consistency(old, new, proof, before, sha256(after).digest())
    assert not verify_consistency(new, old, proof, after, before)


def test_a_tree_that_was_rewritten_is_not_consistent_with_itself():
    honest, forged = leaves(20), leaves(20)
    forged[3] = b"something else"
    tree, other = grown(honest), grown(forged)
    assert not verify_consistency(10, 20, other.consistency_proof(10), tree.root_at(10), other.root())


def test_nothing_is_the_beginning_of_every_tree_and_only_nothing_is():
    tree = grown(leaves(5))
    assert verify_consistency(0, 5, [], EMPTY, tree.root())
    assert not verify_consistency(0, 5, [], tree.root(), tree.root())
    assert not verify_consistency(0, 5, [EMPTY], EMPTY, tree.root())
    assert verify_consistency(5, 5, [], tree.root(), tree.root())
    assert not verify_consistency(5, 5, [], tree.root_at(4), tree.root())
    assert not verify_consistency(4, 5, [], tree.root_at(4), tree.root())


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0), (0, 7), (3, 2)])
def test_a_place_outside_the_tree_has_no_proof(index, size):
    with pytest.raises(OutsideTree):
        grown(leaves(6)).inclusion_proof(index, size)
    assert not verify_inclusion(EMPTY, index, min(size, 5), [], EMPTY)


@pytest.mark.parametrize(("old", "new"), [(-1, 5), (5, 4), (0, 7)])
def test_sizes_that_the_tree_has_not_reached_have_no_proof(old, new):
    with pytest.raises(OutsideTree):
        grown(leaves(6)).consistency_proof(old, new)
    with pytest.raises(OutsideTree):
        grown(leaves(6)).leaf(6)
