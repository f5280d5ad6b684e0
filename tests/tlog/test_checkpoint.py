"""Checkpoints, held against three implementations not written here."""

import base64

import metamorphic_log
import proofbundle.checkpoint
import pytest
import tlog_scales.signing
import tlog_scales.tlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.tlog.cast import ORIGIN
from tests.world import ANSWERING_KEY, CALLING_KEY
from tongban.kit.keys import SigningKey
from tongban.tlog.checkpoint import Checkpoint, CheckpointInvalid, key_hash, parse, sign, verifier_key, verify
from tongban.tlog.tree import EMPTY, Tree, leaf_hash

HEAD = Checkpoint(ORIGIN, 7, bytes(range(32)))
NOTE = sign(HEAD, ANSWERING_KEY)
PUBLIC = ANSWERING_KEY.public
DASH = "— ".encode()


def test_a_checkpoint_is_the_documented_text():
    root = base64.b64encode(HEAD.root).decode()
    signature = base64.b64encode(
        key_hash(ORIGIN, PUBLIC) + ANSWERING_KEY.sign(f"{ORIGIN}\n7\n{root}\n".encode())
    ).decode()
    assert NOTE.decode() == f"{ORIGIN}\n7\n{root}\n\n— {ORIGIN} {signature}\n"


def test_what_was_signed_is_verified():
    assert verify(NOTE, ORIGIN, [PUBLIC]) == HEAD


def test_three_other_implementations_verify_it():
    name = verifier_key(ORIGIN, PUBLIC)
    head = metamorphic_log.checkpoint_verify(NOTE.decode(), [name])
    assert (head.origin, head.size, head.root) == HEAD
    verdict = proofbundle.checkpoint.verify_checkpoint(NOTE.decode(), name)
    assert verdict["ok"] is True, verdict
    read = tlog_scales.tlog.Checkpoint.from_text(NOTE.decode())
    read.verify(tlog_scales.signing.Vkey.from_string(name))
    assert (read.origin, read.size, read.root_hash) == HEAD


def test_another_implementation_follows_a_log_from_checkpoint_to_checkpoint():
    tree = Tree()
    notes = []
    for number in range(12):
        tree.append(leaf_hash(str(number).encode()))
        notes.append(sign(Checkpoint(ORIGIN, tree.size, tree.root()), ANSWERING_KEY).decode())
    keys = [verifier_key(ORIGIN, PUBLIC)]
    metamorphic_log.checkpoint_verify_consistency(notes[4], notes[11], keys, tree.consistency_proof(5))
    metamorphic_log.checkpoint_verify_inclusion(notes[11], keys, 3, leaf_hash(b"3"), tree.inclusion_proof(3))


def test_a_checkpoint_that_another_implementation_signed_is_verified():
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    note = proofbundle.checkpoint.sign_checkpoint(ORIGIN, 0, EMPTY, private, ORIGIN).encode()
    assert verify(note, ORIGIN, [SigningKey("other", bytes(32)).public]) == Checkpoint(ORIGIN, 0, EMPTY)


def test_the_empty_log_has_a_checkpoint():
    head = Checkpoint(ORIGIN, 0, EMPTY)
    assert verify(sign(head, ANSWERING_KEY), ORIGIN, [PUBLIC]) == head


def test_signatures_of_witnesses_are_passed_over():
    witness = DASH + b"witness.example " + base64.b64encode(bytes(76)) + b"\n"
    assert verify(NOTE + witness, ORIGIN, [PUBLIC]) == HEAD
    text, _, line = NOTE.partition(b"\n\n")
    assert verify(text + b"\n\n" + witness + line, ORIGIN, [PUBLIC]) == HEAD


def test_extension_lines_are_signed_and_passed_over():
    text = HEAD.text() + b"something new\n"
    line = base64.b64encode(key_hash(ORIGIN, PUBLIC) + ANSWERING_KEY.sign(text))
    note = text + b"\n" + DASH + ORIGIN.encode() + b" " + line + b"\n"
    assert verify(note, ORIGIN, [PUBLIC]) == HEAD
    with pytest.raises(CheckpointInvalid):
        verify(note.replace(b"new", b"old"), ORIGIN, [PUBLIC])


def test_another_s_key_another_s_log_and_a_changed_line_are_refused():
    for note, origin, keys in (
        (NOTE, ORIGIN, [CALLING_KEY.public]),
        (NOTE, ORIGIN, []),
        (NOTE, "other/log", [PUBLIC]),
        (NOTE.replace(b"\n7\n", b"\n8\n"), ORIGIN, [PUBLIC]),
    ):
        with pytest.raises(CheckpointInvalid):
            verify(note, origin, keys)


def test_one_bad_signature_of_a_known_key_spoils_the_note():
    bad = DASH + ORIGIN.encode() + b" " + base64.b64encode(key_hash(ORIGIN, PUBLIC) + bytes(64)) + b"\n"
    with pytest.raises(CheckpointInvalid):
        verify(NOTE + bad, ORIGIN, [PUBLIC])


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace(b"\n7\n", b"\n07\n"),
        lambda note: note.replace(b"\n7\n", b"\n+7\n"),
        lambda note: note.replace(b"\n7\n", b"\n-7\n"),
        lambda note: note.replace(b"\n7\n", b"\n9223372036854775808\n"),
        lambda note: note.replace(b"\n7\n", "\n７\n".encode()),
        lambda note: note.replace(b"\n7\n", b"\n7\r\n"),
        lambda note: note.replace(b"\n7\n", b"\n\n7\n"),
        lambda note: note.replace(b"=\n\n", b"\n\n"),
        lambda note: note.replace(b"8=\n", b"9=\n"),  # the same bytes in another spelling
        lambda note: note[:-1],
        lambda note: note + b"\n",
        lambda note: note + b"signed, the mayor\n",
        lambda note: note.partition(b"\n\n")[0],
        lambda note: note.partition(b"\n\n")[2],
        lambda note: b"\n" + note,
        lambda note: note.replace(DASH, b"- "),
        lambda note: note + DASH + b"a b c\n",
        lambda note: note + DASH + b"short AAAA\n",
        lambda note: note + b"\xff\n",
        lambda note: note + (DASH + b"w " + b"A" * 400 + b"\n") * 200,
        lambda note: b"",
    ],
)
def test_what_is_no_checkpoint_is_refused_before_any_signature_is_looked_at(change):
    changed = change(NOTE)
    assert changed != NOTE
    with pytest.raises(CheckpointInvalid):
        parse(changed)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\nb", "a\u3000b"])
def test_an_origin_that_cannot_name_a_key_signs_nothing(origin):
    with pytest.raises(CheckpointInvalid):
        sign(Checkpoint(origin, 0, EMPTY), ANSWERING_KEY)
