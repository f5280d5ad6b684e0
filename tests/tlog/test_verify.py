import base64
import os

import pytest

from tests.tlog.cast import (
    A_ROUND,
    CALL,
    KEYS,
    ORIGIN,
    a_log,
    a_record,
    a_signature_base,
    answer_base,
    answered,
    killed,
    last_file,
    reopened,
    small,
)
from tests.world import ANSWERING_KEY, CALLING_KEY, TAX_KEY
from tongban.kit import canonical
from tongban.tlog.checkpoint import Checkpoint, sign
from tongban.tlog.entry import EntryInvalid, frame, unframe
from tongban.tlog.folder import NotALog
from tongban.tlog.log import Draft
from tongban.tlog.segment import FRAMES
from tongban.tlog.tree import OutsideTree
from tongban.tlog.verify import verify


@pytest.fixture
def folder(tmp_path):
    """Twenty answered calls, a round, a batch, and three checkpoints."""
    log = a_log(tmp_path / "log")
    answered(log, 10)
    log.checkpoint()
    answered(log, 10)
    log.append_many([Draft(A_ROUND), Draft({"kind": "batch", "n": 2}, a_record(21, keys="0" * 64))])
    log.checkpoint()
    log.append_many([Draft({"kind": "answer", "n": 1}, a_record(22)), Draft({"kind": "request", "n": 1}, {"nonce": 1})])
    log.close()
    return tmp_path / "log"


def checked(folder, **change):
    return verify(folder, KEYS, answer_base, **change)


def codes(report):
    return [(problem.code, problem.place) for problem in report.problems]


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_sound_log_holds_and_the_report_says_what_was_looked_at(folder):
    report = checked(folder)
    assert report.holds
    assert (report.entries, report.checkpoints, report.unchecked) == (24, 3, 0)
    assert (report.requests, report.answers, report.unsigned) == (22, 20, 1)  # the batch's answer was never signed
    assert (report.opaque, report.destroyed, report.torn, report.origin) == (0, 0, 0, ORIGIN)
    log = reopened(folder)
    assert report.root == log.tree.root().hex()
    log.close()


def test_verifying_changes_nothing_and_needs_no_ownership(folder):
    last_file(folder).write_bytes(last_file(folder).read_bytes() + b"TBE1 torn")
    before = content(folder)
    assert checked(folder).torn == 9
    assert content(folder) == before
    log = reopened(folder)
    log.append_many([small(1)])
    assert verify(folder, KEYS).entries == 25  # newer than any checkpoint: no fault
    assert verify(folder, KEYS).holds
    log.close()


def test_without_keys_the_report_says_that_checkpoints_were_not_checked(folder):
    report = verify(folder, {})
    assert report.holds
    assert (report.checkpoints, report.unchecked, report.requests, report.answers) == (3, 3, 0, 0)


def test_signatures_are_left_alone_unless_asked_for(folder):
    report = verify(folder, {ANSWERING_KEY.id: ANSWERING_KEY.public})
    assert report.holds
    assert (report.requests, report.answers) == (0, 0)


def test_several_processes_find_what_one_finds(tmp_path):
    log = a_log(tmp_path / "log")
    log.append_many([small(number) for number in range(FRAMES)])
    answered(log, 3)
    log.close()
    seen = []
    alone = checked(log.directory, workers=1)
    together = checked(log.directory, workers=2, progress=lambda done, of: seen.append((done, of)))
    assert alone == together
    assert alone.entries == FRAMES + 3
    assert seen == [(1, 2), (2, 2)]
    assert codes(alone)[0] == ("tlog.record_unreadable", "entry 0")  # the small ones have no signature
    assert (alone.found, len(alone.problems)) == (FRAMES, 20)


def test_a_folder_without_a_log_raises(tmp_path):
    with pytest.raises(NotALog):
        verify(tmp_path, {})


# What does not hold


def reframed(folder, index, change):
    """Forge entry `index` as somebody would who knows the format: the frame is whole again."""
    data, at, out = last_file(folder).read_bytes(), 0, b""
    place = 0
    while framed := unframe(data, at, len(data)):
        parts = (framed.leaf, framed.salted, framed.sealed)
        out += frame(*(change(*parts) if place == index else parts))
        at, place = framed.stop, place + 1
    last_file(folder).write_bytes(out)


def test_a_record_that_was_rewritten_does_not_match_its_leaf(folder):
    reframed(folder, 3, lambda leaf, salted, sealed: (leaf, salted.replace(b"status", b"spouse"), sealed))
    report = checked(folder)
    assert codes(report) == [("tlog.record_differs", "entry 3")]
    assert not report.holds


def test_a_leaf_rewritten_together_with_its_record_does_not_match_the_checkpoints(folder):
    with_other = a_log(folder.parent / "other")
    with_other.append_many([Draft(CALL, a_record(3))])
    with_other.close()
    data = last_file(folder.parent / "other").read_bytes()
    forged = unframe(data, 0, len(data))
    reframed(folder, 3, lambda *_: (forged.leaf, forged.salted, b""))
    found = codes(verify(folder, KEYS))
    assert found == [("tlog.root_differs", f"checkpoint at size {size}") for size in (10, 22, 24)]


def test_a_record_removed_without_an_entry_that_says_so_is_missing(folder):
    reframed(folder, 3, lambda leaf, salted, sealed: (leaf, b"", b""))
    report = checked(folder)
    assert codes(report) == [("tlog.record_missing", "1 entries")]


def test_a_damaged_frame_is_told_with_its_place(folder):
    data = bytearray(last_file(folder).read_bytes())
    data[100] ^= 1
    last_file(folder).write_bytes(data)
    report = checked(folder)
    assert codes(report) == [("tlog.damaged", "00000000.log, byte 0")]


def test_a_missing_entry_file_is_damage(tmp_path):
    log = a_log(tmp_path / "log")
    log.append_many([small(number) for number in range(FRAMES + 1)])
    log.close()
    (tmp_path / "log" / "entries" / "00000000.log").unlink()
    assert codes(verify(log.directory, KEYS)) == [("tlog.damaged", "00000000.log, byte 0")]


def test_missing_last_entries_are_told_by_the_checkpoints_that_cover_them(folder):
    data = last_file(folder).read_bytes()
    last_file(folder).write_bytes(data[: data.rindex(b"TBE")])
    assert codes(checked(folder)) == [("tlog.shorter_than_checkpoint", "checkpoint at size 24")]


def test_a_checkpoint_of_another_key_or_another_log_does_not_hold(folder):
    kept = (folder / "checkpoints.log").read_bytes()
    log = reopened(folder)
    forged = Checkpoint(ORIGIN, 10, log.tree.root_at(10)), Checkpoint("other/log", 10, log.tree.root_at(10))
    log.close()
    for head, key in ((forged[0], CALLING_KEY), (forged[0], TAX_KEY), (forged[1], ANSWERING_KEY)):
        note = sign(head, key)
        (folder / "checkpoints.log").write_bytes(note + b"\n" + kept)
        keys = KEYS if key is not CALLING_KEY else {ANSWERING_KEY.id: ANSWERING_KEY.public}
        assert codes(verify(folder, keys)) == [("tlog.checkpoint_invalid", "checkpoint at size 10")]


def test_two_checkpoints_of_one_size_with_different_roots_do_not_both_hold(folder):
    kept = (folder / "checkpoints.log").read_bytes()
    second_story = sign(Checkpoint(ORIGIN, 24, bytes(32)), ANSWERING_KEY)
    (folder / "checkpoints.log").write_bytes(kept + second_story + b"\n")
    assert codes(checked(folder)) == [("tlog.root_differs", "checkpoint at size 24")]


def test_checkpoints_out_of_order_and_one_taken_out_are_told(folder):
    kept = (folder / "checkpoints.log").read_bytes()
    parts = kept.split(b"\n\n")
    turned = b"\n\n".join([*parts[2:4], *parts[:2], *parts[4:]])
    (folder / "checkpoints.log").write_bytes(turned)
    assert codes(checked(folder)) == [("tlog.checkpoints_disordered", "checkpoint at size 10")]
    (folder / "checkpoints.log").write_bytes(b"\n\n".join([*parts[:4], b""]))
    assert codes(checked(folder)) == [("tlog.checkpoint_not_kept", "newest checkpoint")]


def test_an_answer_s_signature_must_be_of_this_entry(folder):
    path = folder / "answers" / "00000000.sig"
    data = path.read_bytes()
    path.write_bytes(data[64:128] + data[64:])
    assert codes(checked(folder)) == [("tlog.signature_differs", "entry 0")]
    path.write_bytes(bytes(64) + data[64:])
    report = checked(folder)
    assert report.holds
    assert (report.answers, report.unsigned) == (19, 2)
    path.unlink()
    assert checked(folder).unsigned == 21


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"signature": "A" * 86 + "=="}, "tlog.signature_differs"),
        ({"key": TAX_KEY.id}, "tlog.key_unknown"),
        ({"base": "nothing"}, "tlog.request_differs"),
        ({"request": "0" * 64}, "tlog.request_differs"),
        ({"base": 7}, "tlog.record_unreadable"),
        ({"signature": 7}, "tlog.record_unreadable"),
    ],
)
def test_a_call_that_cannot_be_proved_to_a_third_party_is_told(tmp_path, change, code):
    log = a_log(tmp_path / "log")
    log.append_many([Draft(CALL, a_record() | change)])
    log.close()
    assert codes(checked(log.directory))[0] == (code, "entry 0")


def test_a_request_signed_with_a_key_that_is_not_known_is_told(tmp_path):
    log = a_log(tmp_path / "log")
    base = a_signature_base(0, TAX_KEY)
    log.append_many(
        [
            Draft(
                CALL,
                a_record(base=base.decode(), signature=base64.b64encode(TAX_KEY.sign(base)).decode(), key=TAX_KEY.id),
            )
        ]
    )
    log.close()
    assert ("tlog.key_unknown", "entry 0") in codes(checked(log.directory))


def test_a_batch_s_leaf_must_agree_with_the_keys_in_its_record(folder):
    reframed(folder, 21, lambda leaf, salted, sealed: (b'{"keys":"' + b"1" * 64 + leaf[73:], salted, sealed))
    assert ("tlog.keys_differ", "entry 21") in codes(verify(folder, KEYS))


def test_kinds_of_a_later_version_are_opaque_and_no_fault(folder):
    leaf = canonical.encode({"kind": "moon-phase", "v": 9, "phase": 3})
    with open(last_file(folder), "ab") as file:
        file.write(frame(leaf, b"", b"") + frame(canonical.encode({"kind": "call", "v": 2}), b"", b""))
    report = checked(folder)
    assert report.holds
    assert (report.opaque, report.entries) == (2, 26)
    reopened(folder).close()
    assert checked(folder).checkpoints == 4


@pytest.mark.parametrize(
    "leaf", [b"no JSON", b'{"v":1, "kind":"call"}', b'{"kind":"call","kind":"call"}', b"[]", b'{"a":1.0}']
)
def test_a_leaf_that_is_not_canonical_is_told(folder, leaf):
    with open(last_file(folder), "ab") as file:
        file.write(frame(leaf, b"", b""))
    assert ("tlog.leaf_not_canonical", "entry 24") in codes(checked(folder))


def test_a_public_entry_with_something_hidden_behind_it_is_told(folder):
    reframed(folder, 20, lambda leaf, salted, sealed: (leaf, b"s" * 32 + b"{}", b""))
    assert codes(checked(folder)) == [("tlog.record_unexpected", "entry 20")]


# Destroying records


def test_destroyed_records_and_their_salts_are_gone_while_the_tree_stays(folder):
    log = reopened(folder)
    root, held = log.tree.root_at(24), log.entry(5)
    said = log.destroy([3, 5, 4, 19], retention="query", basis="《示例市政务数据归档办法》第八条")
    assert (log.tree.root_at(24), said.index) == (root, 24)
    assert canonical.decode(log.entry(24).leaf)["body"] == {
        "from": 3, "until": 20, "class": "query", "count": 4, "basis": "《示例市政务数据归档办法》第八条"
    }  # fmt: skip
    assert log.entry(5) == held._replace(salt=b"", record=None, sealed=b"")
    assert log.entry(6).record is not None
    assert log.append_many([small(1)])[0].index == 25
    log.close()
    data = last_file(folder).read_bytes()
    assert held.salt not in data
    assert held.record not in data
    report = verify(folder, KEYS)
    assert report.holds
    assert (report.destroyed, report.entries) == (4, 26)
    again = reopened(folder)
    assert again.tree.root_at(24) == root
    again.close()


def test_records_are_destroyed_across_files(tmp_path):
    log = a_log(tmp_path / "log")
    log.append_many([small(number) for number in range(FRAMES + 10)])
    log.destroy(range(FRAMES - 3, FRAMES + 3), retention="query", basis="test")
    assert [stored.record is None for stored in log.entries(FRAMES - 4)][:8] == [False] + [True] * 6 + [False]
    log.close()
    assert verify(log.directory, KEYS).destroyed == 6
    assert verify(log.directory, KEYS).holds


def test_a_destruction_covers_only_what_it_says(folder):
    log = reopened(folder)
    log.destroy([3, 4], retention="query", basis="test")
    killed(log)
    whole = last_file(folder).read_bytes()
    for beyond in (2, 5):
        last_file(folder).write_bytes(whole)
        reframed(folder, beyond, lambda leaf, salted, sealed: (leaf, b"", b""))
        assert codes(verify(folder, KEYS)) == [("tlog.record_missing", "3 entries")]
    # Not more entries than said, but another one:
    last_file(folder).write_bytes(whole)
    log = reopened(folder)
    log.destroy([3, 9], retention="query", basis="test")  # 3 a second time
    log.close()
    reframed(folder, 12, lambda leaf, salted, sealed: (leaf, b"", b""))
    assert codes(verify(folder, KEYS)) == [("tlog.record_missing", "entry 12")]


def test_a_destruction_may_not_speak_of_entries_to_come(folder):
    body = {"from": 0, "until": 500, "class": "query", "count": 500, "basis": "none"}
    log = reopened(folder)
    log.append_many([Draft({"kind": "destruction", "body": body})])
    log.close()
    assert codes(verify(folder, KEYS)) == [("tlog.destruction_unreadable", "entry 24")]


def test_nothing_and_entries_that_do_not_exist_cannot_be_destroyed(folder):
    log = reopened(folder)
    with pytest.raises(EntryInvalid):
        log.destroy([], retention="query", basis="test")
    for index in (24, -1):
        with pytest.raises(OutsideTree):
            log.destroy([0, index], retention="query", basis="test")
    assert log.tree.size == 24
    log.close()


def test_a_destruction_interrupted_after_it_was_announced_is_done_again(folder, monkeypatch):
    log = reopened(folder)
    with monkeypatch.context() as failing:
        failing.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError(5, "broken")))
        with pytest.raises(Exception, match="EIO"):
            log.destroy([3], retention="query", basis="test")
    assert log.entry(3).record is not None
    log.destroy([3], retention="query", basis="test")
    assert log.entry(3).record is None
    log.close()
    assert verify(folder, KEYS).holds
