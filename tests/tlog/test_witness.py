"""Witnesses: two heads that contradict each other never both carry one witness's cosignature."""

import base64
import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import proofbundle
import pytest
import tlog_scales.signing
import tlog_scales.tlog
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tlog.cast import ORIGIN
from tests.world import ANSWERING_KEY, CALLING_KEY, NOON
from tongban.kit.keys import PublicKey, SigningKey
from tongban.tlog.checkpoint import Checkpoint, CheckpointInvalid, key_hash, parse, sign, verifier_key, verify
from tongban.tlog.cosignature import Cosigned, Quorum, cosign, cosigners
from tongban.tlog.cosignature import verifier_key as witness_key
from tongban.tlog.tree import EMPTY, Tree, leaf_hash
from tongban.tlog.witness import MOST_BYTES, Reply, Witness, WitnessDamaged, request

KEY = SigningKey("witness.1", bytes(range(32)))
NAME = "witness.example/one"
WITNESSES = {NAME: KEY.public}


def a_tree(size: int, seed: str = "") -> Tree:
    tree = Tree()
    tree.extend(b"".join(leaf_hash(f"{seed}{number}".encode()) for number in range(size)))
    return tree


def note_of(tree: Tree, size: int | None = None, key: SigningKey = ANSWERING_KEY, origin: str = ORIGIN) -> bytes:
    size = tree.size if size is None else size
    return sign(Checkpoint(origin, size, tree.root_at(size)), key)


def keys(origin: str) -> Iterable[PublicKey] | None:
    return [ANSWERING_KEY.public] if origin == ORIGIN else None


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path / "witness", NAME, KEY, keys, lambda: NOON)


def shown(witness: Witness, tree: Tree, old: int, size: int | None = None, note: bytes | None = None) -> Reply:
    size = tree.size if size is None else size
    proof = tree.consistency_proof(old, size) if old <= size else []
    return witness.add_checkpoint(request(old, proof, note or note_of(tree, size)))


# --- cosignatures ----------------------------------------------------------------------------------------


def test_a_cosignature_is_the_documented_line():
    note = note_of(a_tree(3))
    line = cosign(parse(note)[1], NAME, KEY, NOON)
    name, text = line.decode().removeprefix("— ").rstrip("\n").split(" ")
    raw = base64.b64decode(text)
    assert (name, len(raw), int.from_bytes(raw[4:12])) == (NAME, 76, NOON)
    signed = b"cosignature/v1\ntime %d\n" % NOON + parse(note)[1]
    assert KEY.public.verifies(signed, raw[12:])


def test_two_other_implementations_verify_it():
    note = note_of(a_tree(3))
    cosigned = note + cosign(parse(note)[1], NAME, KEY, NOON)
    told = proofbundle.verify_cosignature(cosigned.decode(), witness_key(NAME, KEY.public))
    assert (told["ok"], told["timestamp"]) == (True, NOON)
    log_key = verifier_key(ORIGIN, ANSWERING_KEY.public)
    both = proofbundle.verify_witnessed_checkpoint(cosigned.decode(), log_key, [witness_key(NAME, KEY.public)])
    assert both["ok"] is True
    tlog_scales.tlog.Checkpoint.from_text(cosigned.decode()).verify(
        tlog_scales.signing.Vkey.from_string(witness_key(NAME, KEY.public))
    )


def test_who_cosigned_is_told_with_the_latest_time():
    note = note_of(a_tree(3))
    text = parse(note)[1]
    twice = note + cosign(text, NAME, KEY, NOON) + cosign(text, NAME, KEY, NOON + 9)
    unknown = cosign(text, "witness.example/two", CALLING_KEY, NOON)
    assert cosigners(twice + unknown, WITNESSES) == [Cosigned(NAME, NOON + 9)]
    assert cosigners(note, WITNESSES) == []


@pytest.mark.parametrize("at", [4, 11, 12, 75])
def test_a_changed_cosignature_spoils_the_note(at: int):
    note = note_of(a_tree(3))
    line = cosign(parse(note)[1], NAME, KEY, NOON)
    raw = bytearray(base64.b64decode(line.split(b" ")[2]))
    raw[at] ^= 1
    bad = b" ".join([*line.split(b" ")[:2], base64.b64encode(raw)]) + b"\n"
    with pytest.raises(CheckpointInvalid):
        cosigners(note + bad, WITNESSES)


def test_a_cosignature_of_another_head_does_not_hold():
    old, new = note_of(a_tree(3)), note_of(a_tree(4))
    with pytest.raises(CheckpointInvalid):
        cosigners(new + cosign(parse(old)[1], NAME, KEY, NOON), WITNESSES)


def test_a_cosignature_of_another_length_or_of_a_time_that_no_clock_has_does_not_hold():
    note = note_of(a_tree(3))
    text = parse(note)[1]
    line = cosign(text, NAME, KEY, NOON)
    longer = base64.b64encode(base64.b64decode(line.split(b" ")[2]) + b"\x00")
    late = cosign(text, NAME, KEY, 2**63)
    for bad in (b" ".join([*line.split(b" ")[:2], longer]) + b"\n", late):
        with pytest.raises(CheckpointInvalid):
            cosigners(note + bad, WITNESSES)


def test_one_key_under_two_names_is_one_witness():
    two = {NAME: KEY.public, "witness.example/again": KEY.public}
    note = note_of(a_tree(3))
    text = parse(note)[1]
    seen = cosigners(note + b"".join(cosign(text, name, KEY, NOON) for name in two), two)
    assert len(seen) == 2
    assert Quorum(two, k=1).reached(seen)
    assert not Quorum(two, k=2).reached(seen)


def test_a_quorum_counts_its_own_witnesses_only_and_knows_who_is_outside():
    quorum = Quorum(WITNESSES, frozenset({NAME}), k=1)
    assert Quorum({}, k=0).reached([])
    assert not quorum.reached([])
    assert not quorum.reached([Cosigned("witness.example/two", NOON)])
    assert quorum.reached([Cosigned(NAME, NOON)])
    assert quorum.outside_seen([Cosigned(NAME, NOON)])
    assert not Quorum(WITNESSES, k=1).outside_seen([Cosigned(NAME, NOON)])


# --- the witness -----------------------------------------------------------------------------------------


def test_a_log_that_grows_is_cosigned_step_by_step(witness: Witness):
    tree = a_tree(1000)
    old = 0
    for size in (0, 1, 7, 7, 256, 1000):
        reply = shown(witness, tree, old, size)
        assert reply.status == 200
        assert cosigners(note_of(tree, size) + reply.body, WITNESSES) == [Cosigned(NAME, NOON)]
        old = size
    kept = witness.newest(ORIGIN)
    assert kept is not None
    assert parse(kept)[0].size == 1000


def test_a_log_that_does_not_know_is_told_the_size(witness: Witness):
    tree = a_tree(9)
    assert shown(witness, tree, 0, 5).status == 200
    told = shown(witness, tree, 0, 9)
    assert told == (409, "text/x.tlog.size", b"5\n")
    assert shown(witness, tree, int(told.body)).status == 200


def test_a_split_view_is_never_cosigned(witness: Witness):
    ours, theirs = a_tree(9), a_tree(9, "another ")
    assert shown(witness, ours, 0, 5).status == 200
    assert shown(witness, theirs, 5, 5) == (409, "text/x.tlog.size", b"5\n")
    assert shown(witness, theirs, 5, 9).status == 422
    assert shown(witness, theirs, 0, 9).status == 409
    kept = witness.newest(ORIGIN)
    assert kept is not None
    assert parse(kept)[0].root == ours.root_at(5)


def test_two_views_to_two_witnesses_are_found_by_whoever_sees_both(tmp_path: Path):
    first, second = (Witness(tmp_path / name, name, KEY, keys, lambda: NOON) for name in ("one", "two"))
    ours, theirs = a_tree(9), a_tree(9, "another ")
    assert (shown(first, ours, 0).status, shown(second, theirs, 0).status) == (200, 200)
    kept = second.newest(ORIGIN)
    assert kept is not None
    assert shown(first, theirs, 9, note=kept).status == 409


def test_a_log_that_was_set_back_is_not_cosigned(witness: Witness):
    tree = a_tree(9)
    assert shown(witness, tree, 0, 9).status == 200
    assert shown(witness, tree, 5, 5).status == 409
    assert shown(witness, tree, 9, 5).status == 400


def test_after_a_restart_the_witness_remembers(witness: Witness, tmp_path: Path):
    tree = a_tree(9)
    assert shown(witness, tree, 0, 5).status == 200
    again = Witness(tmp_path / "witness", NAME, KEY, keys, lambda: NOON)
    assert shown(again, a_tree(9, "another "), 0, 9).status == 409
    assert shown(again, tree, 5, 9).status == 200


def test_a_memory_that_cannot_be_read_cosigns_nothing(witness: Witness, tmp_path: Path):
    tree = a_tree(9)
    assert shown(witness, tree, 0, 5).status == 200
    [path] = (tmp_path / "witness").glob("*.note")
    for damage in (b"", path.read_bytes()[:-5], note_of(tree, origin="another/log")):
        path.write_bytes(damage)
        with pytest.raises(WitnessDamaged):
            shown(witness, tree, 5, 9)


def test_a_disk_that_fails_cosigns_nothing(witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tree = a_tree(9)
    assert shown(witness, tree, 0, 5).status == 200

    def fails(handle: int) -> None:
        raise OSError(28, "no room")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="no room"):
        shown(witness, tree, 5, 9)
    monkeypatch.undo()
    kept = witness.newest(ORIGIN)
    assert kept is not None
    assert parse(kept)[0].size == 5


def test_strangers_logs_and_strangers_keys_are_refused(witness: Witness):
    tree = a_tree(9)
    assert shown(witness, tree, 0, note=note_of(tree, origin="another/log")).status == 404
    assert shown(witness, tree, 0, note=note_of(tree, key=CALLING_KEY)).status == 403
    assert witness.newest(ORIGIN) is None


def test_what_strangers_add_below_a_head_is_not_remembered(witness: Witness):
    note = note_of(a_tree(3))
    former = base64.b64encode(key_hash(ORIGIN, CALLING_KEY.public) + bytes(64)).decode()
    spoilt = note + f"— {ORIGIN} {former}\n".encode() + note.partition(b"\n\n")[2]
    assert shown(witness, a_tree(3), 0, note=spoilt).status == 200
    assert witness.newest(ORIGIN) == note


def test_copies_of_one_signature_are_verified_once(monkeypatch: pytest.MonkeyPatch):
    note, verified = note_of(a_tree(3)), list[bytes]()
    verifies = PublicKey.verifies

    def counted(key: PublicKey, message: bytes, signature: bytes) -> bool:
        verified.append(signature)
        return verifies(key, message, signature)

    monkeypatch.setattr(PublicKey, "verifies", counted)
    assert verify(note + note.partition(b"\n\n")[2] * 400, ORIGIN, [ANSWERING_KEY.public]).size == 3
    assert len(verified) == 1


def test_further_signatures_below_the_note_do_not_matter(witness: Witness):
    tree = a_tree(9)
    note = note_of(tree) + cosign(parse(note_of(tree))[1], "witness.example/two", CALLING_KEY, NOON)
    assert shown(witness, tree, 0, note=note).status == 200


def test_a_proof_that_is_wrong_too_long_or_not_needed_is_refused(witness: Witness):
    tree = a_tree(9)
    assert witness.add_checkpoint(request(0, [bytes(32)], note_of(tree))).status == 422
    assert shown(witness, tree, 0, 5).status == 200
    proof = tree.consistency_proof(5)
    assert witness.add_checkpoint(request(5, [*proof, bytes(32)], note_of(tree))).status == 422
    assert witness.add_checkpoint(request(5, proof[:-1], note_of(tree))).status == 422
    assert witness.add_checkpoint(request(5, [], note_of(tree))).status == 422
    assert witness.add_checkpoint(request(5, [bytes(32)] * 64, note_of(tree))).status == 400


NOTE = note_of(a_tree(9))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\n\n", b"old 0", b"old 0\n", b"old 0\n\n", NOTE, b"\n" + NOTE, b"old 00\n\n" + NOTE,
        b"old -1\n\n" + NOTE, b"old +1\n\n" + NOTE, b"old 1 \n\n" + NOTE, b"Old 0\n\n" + NOTE,
        b"old 0\r\n\r\n" + NOTE, "old ０\n\n".encode() + NOTE,
        b"old 0\nAAAA\n\n" + NOTE, b"old 0\n" + b"A" * 43 + b"!\n\n" + NOTE, b"old 0\n" + b"A" * 42 + b"B=\n\n" + NOTE,
        b"old 0\n\n" + NOTE[:-1], b"old 0\n\n" + NOTE + b"x", b"old 0\n\n\n" + NOTE,
        b"old 0\n\n" + NOTE + b"x" * MOST_BYTES,
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_in_plain_words(witness: Witness, body: bytes):
    reply = witness.add_checkpoint(body)
    assert (reply.status, reply.content_type) == (400, "text/plain; charset=utf-8")
    assert witness.newest(ORIGIN) is None


def test_at_the_same_time_one_of_two_views_is_cosigned(tmp_path: Path):
    for turn in range(20):
        witness = Witness(tmp_path / str(turn), NAME, KEY, keys, lambda: NOON)
        assert sorted(_shown_together(witness, 4)) == [200, 409, 409, 409]


def _shown_together(witness: Witness, views: int) -> list[int]:
    begin = threading.Barrier(views)

    def show(view: int) -> int:
        begin.wait()
        return shown(witness, a_tree(9, f"view {view} "), 0).status

    with ThreadPoolExecutor(views) as pool:
        return list(pool.map(show, range(views)))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 12)), max_size=25))
def test_whatever_is_shown_all_that_was_cosigned_is_one_history(tmp_path_factory: pytest.TempPathFactory, acts):
    witness = Witness(tmp_path_factory.mktemp("w"), NAME, KEY, keys, lambda: NOON)
    # Two logs that share their first four leaves and differ behind them.
    views = {False: a_tree(12), True: Tree()}
    views[True].extend(b"".join(views[False].leaf(n) for n in range(4)))
    views[True].extend(b"".join(leaf_hash(b"other %d" % n) for n in range(8)))
    cosigned: list[tuple[int, bytes]] = [(0, EMPTY)]
    for which, old, size in acts:
        tree = views[which]
        if shown(witness, tree, old, size).status == 200:
            cosigned.append((size, tree.root_at(size)))
    assert cosigned == sorted(cosigned, key=lambda head: head[0])
    fits = [all(tree.root_at(size) == root for size, root in cosigned) for tree in views.values()]
    assert any(fits)
