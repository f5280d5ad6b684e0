import asyncio
import errno
import json
import os
import stat
import subprocess
import sys

import pytest

from tests.tlog.cast import A_ROUND, CALL, ORIGIN, a_log, a_record, end_of, last_file, reopened, small
from tests.world import ANSWERING_KEY, CALLING_KEY, NOON
from tongban.kit import canonical
from tongban.kit.clock import MovedClock
from tongban.tlog.checkpoint import CheckpointInvalid, parse, verify
from tongban.tlog.entry import EntryInvalid, record_digest
from tongban.tlog.folder import LogExists, LogInUse, NotALog, OriginDiffers, SubjectKeyMissing
from tongban.tlog.history import CheckpointUnreadable, split
from tongban.tlog.log import Draft, Log
from tongban.tlog.recovery import RootDiffers, ShorterThanCheckpoint
from tongban.tlog.segment import FRAMES
from tongban.tlog.storage import AppendFailed, AppendRefused, DiskFull
from tongban.tlog.tree import EMPTY, OutsideTree, leaf_hash, verify_consistency, verify_inclusion

# Appending


def test_an_entry_is_read_back_as_it_was_written(log):
    record = a_record()
    entry = asyncio.run(log.append(CALL, record, b'{"records":[]}'))
    stored = log.entry(entry.index)
    assert (entry.index, entry.leaf_hash) == (0, leaf_hash(stored.leaf))
    assert stored.record == canonical.encode(record)
    assert canonical.decode(stored.leaf) == CALL | {"record": record_digest(stored.salt + stored.record), "v": 1}
    assert log.unseal(stored) == b'{"records":[]}'


def test_a_public_entry_has_no_record_and_no_salt(log):
    asyncio.run(log.append(A_ROUND))
    stored = log.entry(0)
    assert canonical.decode(stored.leaf) == A_ROUND | {"v": 1}
    assert (stored.record, stored.salt, stored.sealed, log.unseal(stored)) == (None, b"", b"", None)


def test_entries_appended_at_once_get_different_indices_without_a_gap(log):
    async def many():
        return await asyncio.gather(*(log.append(CALL, {"nonce": number}) for number in range(200)))

    entries = asyncio.run(many()) + asyncio.run(many())
    assert [entry.index for entry in entries] == list(range(400))
    for entry in entries:
        assert log.tree.leaf(entry.index) == entry.leaf_hash == leaf_hash(log.entry(entry.index).leaf)


def test_equal_records_have_different_leaves(log):
    drafts = [Draft(CALL, {"nonce": 1})] * 600
    assert len({entry.leaf_hash for entry in log.append_many(drafts)}) == 600


def test_an_index_is_told_only_after_the_disk_has_it(log, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fdatasync", lambda handle: synced.append(end_of(log.directory)))

    async def several(count):
        await asyncio.gather(*(log.append(CALL, {"nonce": number}) for number in range(count)))

    asyncio.run(several(1))
    assert synced == [end_of(log.directory)]
    asyncio.run(several(50))
    assert synced[1:] == [end_of(log.directory)]  # one sync for all that waited


def test_without_a_loop_and_with_one_entries_keep_one_order(log):
    async def mixed():
        waiting = [asyncio.create_task(log.append(CALL, {"nonce": number})) for number in range(20)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # now they are with the writer thread, or gathered
        together = log.append_many([small(number) for number in range(5)])
        return [await task for task in waiting], together

    alone, together = asyncio.run(mixed())
    entries = sorted([*alone, *together])
    assert [entry.index for entry in entries] == list(range(25))
    assert [log.tree.leaf(entry.index) for entry in entries] == [entry.leaf_hash for entry in entries]
    assert [leaf_hash(stored.leaf) for stored in log.entries()] == [entry.leaf_hash for entry in entries]


def test_a_caller_that_stops_waiting_disturbs_no_other(log):
    async def impatient():
        tasks = [asyncio.create_task(log.append(CALL, {"nonce": number})) for number in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcome = asyncio.run(impatient())
    assert isinstance(outcome.pop(3), asyncio.CancelledError)
    assert [entry.index for entry in outcome] == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_a_loop_that_was_left_in_the_middle_does_not_hold_up_the_next(log):
    async def left():
        task = asyncio.create_task(log.append(CALL, {"nonce": 1}))
        other = asyncio.create_task(log.append(CALL, {"nonce": 2}))
        await asyncio.sleep(0)
        task.cancel()
        other.cancel()

    asyncio.run(left())
    entry = asyncio.run(asyncio.wait_for(log.append(CALL, {"nonce": 3}), 20))
    assert leaf_hash(log.entry(entry.index).leaf) == entry.leaf_hash
    assert log.tree.size == entry.index + 1


def test_closing_makes_durable_what_still_waits(folder):
    log = a_log(folder)

    async def closed_meanwhile():
        tasks = [asyncio.create_task(log.append(CALL, {"nonce": number})) for number in range(30)]
        await asyncio.sleep(0)
        log.close()
        return await asyncio.gather(*tasks)

    assert [entry.index for entry in asyncio.run(closed_meanwhile())] == list(range(30))
    assert reopened(folder).tree.size == 30


def test_a_closed_log_takes_nothing(folder):
    log = a_log(folder)
    log.close()
    log.close()
    with pytest.raises(AppendRefused, match="closed"):
        log.append_many([small(1)])


def test_an_entry_that_is_not_one_is_refused_before_anything_is_written(log):
    with pytest.raises(EntryInvalid):
        log.append_many([small(1), Draft({"kind": "visit", "n": 1}, {})])
    assert log.tree.size == 0
    assert list(log.entries()) == []


def test_entries_are_read_from_any_place_across_files(log):
    # One more than a file holds, twice, so that the second file is begun in the middle of a batch.
    log.append_many([small(number) for number in range(FRAMES - 2)])
    log.append_many([small(number) for number in range(FRAMES - 2, FRAMES + 3)])
    assert sorted(path.name for path in (log.directory / "entries").iterdir()) == ["00000000.log", "00000001.log"]
    assert [stored.index for stored in log.entries(FRAMES - 1)] == list(range(FRAMES - 1, FRAMES + 3))
    assert [stored.record for stored in log.entries(FRAMES)] == [b'{"nonce":%d}' % n for n in range(FRAMES, FRAMES + 3)]
    assert log.entry(FRAMES - 1).record == b'{"nonce":%d}' % (FRAMES - 1)
    log.close()
    again = reopened(log.directory)
    assert (again.tree.size, again.tree.root()) == (FRAMES + 3, log.tree.root())
    assert again.append_many([small(0)])[0].index == FRAMES + 3
    assert last_file(log.directory).name == "00000001.log"
    again.close()


def test_a_place_that_the_log_has_not_reached_is_no_entry(log):
    log.append_many([small(1)])
    for index in (-1, 1, FRAMES):
        with pytest.raises(OutsideTree):
            log.entry(index)
    assert list(log.entries(1)) == []


# Checkpoints


def test_a_checkpoint_covers_what_is_durable_and_is_kept(log):
    log.append_many([small(number) for number in range(5)])
    first = log.checkpoint()
    entries = log.append_many([small(number) for number in range(4)])
    second = log.checkpoint()
    older, newer = (verify(note, ORIGIN, [ANSWERING_KEY.public]) for note in (first, second))
    assert (older.size, newer.size) == (5, 9)
    assert verify_consistency(5, 9, log.tree.consistency_proof(5, 9), older.root, newer.root)
    assert verify_inclusion(entries[0].leaf_hash, 5, 9, log.tree.inclusion_proof(5, 9), newer.root)
    assert (log.directory / "checkpoint").read_bytes() == second
    assert (log.directory / "checkpoints.log").read_bytes() == first + b"\n" + second + b"\n"


def test_nothing_new_means_no_new_checkpoint(log):
    log.append_many([small(1)])
    assert log.checkpoint() == log.checkpoint()
    assert split((log.directory / "checkpoints.log").read_bytes()) == ([log.checkpoint()], 0)


def test_a_new_key_signs_the_old_state_again(folder):
    log = a_log(folder)
    log.append_many([small(1)])
    log.close()
    with pytest.raises(CheckpointUnreadable):
        reopened(folder, key=CALLING_KEY)
    log = reopened(folder, key=CALLING_KEY, former=[ANSWERING_KEY.public])
    assert verify(log.checkpoint(), ORIGIN, [CALLING_KEY.public]).size == 1
    log.close()
    reopened(folder, key=CALLING_KEY).close()


def test_a_crash_between_keeping_and_publishing_a_checkpoint_is_mended(folder):
    log = a_log(folder)
    log.append_many([small(1)])
    first = log.checkpoint()
    log.append_many([small(2)])
    log.close()
    second = (folder / "checkpoint").read_bytes()
    (folder / "checkpoint").write_bytes(first)
    reopened(folder).close()
    assert (folder / "checkpoint").read_bytes() == second
    # and one that was torn while it was kept
    kept = (folder / "checkpoints.log").read_bytes()
    for torn in (1, 40, 120, len(second)):
        (folder / "checkpoints.log").write_bytes(kept + second[:torn])
        reopened(folder).close()
        assert (folder / "checkpoints.log").read_bytes() == kept


def test_a_checkpoint_that_cannot_be_kept_is_not_shown(log, monkeypatch):
    log.append_many([small(1)])
    before = log.checkpoint()
    log.append_many([small(2)])
    for call in ("fsync", "rename"):
        with monkeypatch.context() as broken:
            broken.setattr(os, call, _raises(errno.ENOSPC))
            with pytest.raises(DiskFull):
                log.checkpoint()
        assert (log.directory / "checkpoint").read_bytes() == before
    note = log.checkpoint()
    assert parse(note)[0].size == 2
    assert split((log.directory / "checkpoints.log").read_bytes()) == ([before, note], 0)


def test_half_a_checkpoint_is_cut_before_the_next_is_kept(log):
    log.append_many([small(1)])
    before = log.checkpoint()
    with open(log.directory / "checkpoints.log", "ab") as kept:
        kept.write(before[:50])
    log.append_many([small(2)])
    note = log.checkpoint()
    assert split((log.directory / "checkpoints.log").read_bytes()) == ([before, note], 0)


def test_a_long_history_of_checkpoints_is_read_from_its_end(folder):
    log = a_log(folder)
    log.append_many([small(1)])
    log.close()
    note = (folder / "checkpoint").read_bytes()
    many = (note + b"\n") * 1_200  # longer than what is read of it
    for lead in (b"", b"x" * 70, b"x" * 200):
        (folder / "checkpoints.log").write_bytes(lead + many + note[:60])
        log = reopened(folder)
        assert log.checkpoint() == note
        log.close()
        assert (folder / "checkpoints.log").read_bytes() == lead + many


# Opening


def test_a_new_log_lies_in_its_folder_as_documented(folder):
    log = a_log(folder)
    log.append_many([Draft(CALL, a_record(), b"answer")])
    log.keep_signature(0, bytes(range(64)))
    log.close()
    assert json.loads((folder / "log.json").read_text()) == {
        "v": 1, "origin": ORIGIN, "algorithm": "ed25519-sha256", "created": "2014-06-09T04:00:00Z"
    }  # fmt: skip
    assert (folder / "answers" / "00000000.sig").read_bytes() == bytes(range(64))
    for secret in (folder / "subject.key", folder / "seal" / "2014-06-09.key"):
        assert secret.stat().st_size == 32
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(last_file(folder).stat().st_mode) == 0o600


def test_an_opened_log_goes_on_where_it_stopped(folder):
    log = a_log(folder)
    log.append_many([small(number) for number in range(9)])
    root, key = log.tree.root(), log.subject_key
    log.close()
    again = reopened(folder)
    assert (again.tree.size, again.tree.root(), again.subject_key, again.torn) == (9, root, key, None)
    assert again.append_many([small(9)])[0].index == 9
    again.close()


def test_a_second_opener_is_refused_whether_it_is_this_process_or_another(log):
    with pytest.raises(LogInUse) as raised:
        reopened(log.directory)
    assert str(log.directory) in str(raised.value)
    script = (
        "import sys; from pathlib import Path; from tests.tlog.cast import reopened\n"
        "from tongban.tlog.folder import LogInUse\n"
        "try: reopened(Path(sys.argv[1]))\n"
        "except LogInUse: sys.exit(7)"
    )
    ran = subprocess.run([sys.executable, "-c", script, log.directory], env=os.environ | {"PYTHONPATH": "src:."})
    assert ran.returncode == 7


def test_a_log_given_up_can_be_opened_by_the_next(folder):
    a_log(folder).close()
    reopened(folder).close()
    with pytest.raises(OriginDiffers):
        Log.open(folder, "other/node", ANSWERING_KEY, MovedClock(NOON))
    reopened(folder).close()  # and a failed opening holds nothing


def test_a_log_is_never_begun_again(folder):
    a_log(folder).close()
    with pytest.raises(LogExists):
        a_log(folder)
    (folder / "log.json").unlink()
    (folder / "entries" / "00000000.log").write_bytes(b"")
    with pytest.raises(LogExists):
        a_log(folder)


def test_a_folder_whose_making_was_interrupted_becomes_a_log(folder):
    (folder / "entries").mkdir(parents=True)
    (folder / "subject.key").write_bytes(b"")
    log = a_log(folder)
    assert len(log.subject_key) == 32
    log.close()


def test_an_origin_that_could_never_sign_is_refused_before_a_folder_is_made(folder):
    with pytest.raises(CheckpointInvalid):
        Log.create(folder, "has spaces", ANSWERING_KEY, MovedClock(NOON))
    assert not folder.exists()


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", '{"origin":7}', '{"origin":"a/b","v":2}', '{"v":1, "origin":"a/b"}']
)
def test_a_folder_without_a_readable_identity_is_no_log(folder, text):
    a_log(folder).close()
    (folder / "log.json").unlink()
    if text is not None:
        (folder / "log.json").write_text(text)
    with pytest.raises(NotALog):
        reopened(folder)


@pytest.mark.parametrize("key", [None, b"", bytes(31)])
def test_a_log_without_its_subject_key_does_not_start_with_another(folder, key):
    a_log(folder).close()
    (folder / "subject.key").unlink()
    if key is not None:
        (folder / "subject.key").write_bytes(key)
    with pytest.raises(SubjectKeyMissing):
        reopened(folder)


def test_a_log_shorter_than_its_checkpoint_does_not_start(folder):
    log = a_log(folder)
    log.append_many([small(number) for number in range(9)])
    stop = end_of(folder)
    log.append_many([small(9)])
    log.close()
    os.truncate(last_file(folder), stop)
    before = last_file(folder).read_bytes()
    with pytest.raises(ShorterThanCheckpoint) as raised:
        reopened(folder)
    assert raised.value.code == "tlog.shorter_than_checkpoint"
    # Not even when its end is torn: what was signed is missing, so nothing is cut.
    last_file(folder).write_bytes(before + b"TBE1")
    with pytest.raises(ShorterThanCheckpoint):
        reopened(folder)
    assert last_file(folder).read_bytes() == before + b"TBE1"


def test_a_log_whose_entries_were_exchanged_does_not_start(folder, tmp_path):
    for place in (folder, tmp_path / "other"):
        log = a_log(place)
        log.append_many([small(number) for number in range(9)])
        log.close()
    last_file(folder).write_bytes(last_file(tmp_path / "other").read_bytes())
    with pytest.raises(RootDiffers) as raised:
        reopened(folder)
    assert raised.value.code == "tlog.root_differs"


@pytest.mark.parametrize("name", ["checkpoint", "checkpoints.log"])
def test_a_checkpoint_that_is_not_ours_stops_the_start(folder, name):
    log = a_log(folder)
    log.append_many([small(1)])
    log.close()
    note = (folder / name).read_bytes()
    (folder / name).write_bytes(note.replace(b"\n1\n", b"\n0\n"))
    with pytest.raises(CheckpointUnreadable):
        reopened(folder)


def test_either_checkpoint_file_alone_is_enough_to_see_a_missing_entry(folder):
    log = a_log(folder)
    log.append_many([small(1)])
    log.close()
    last_file(folder).unlink()
    kept = (folder / "checkpoints.log").read_bytes()
    (folder / "checkpoints.log").unlink()
    with pytest.raises(ShorterThanCheckpoint):
        reopened(folder)
    (folder / "checkpoints.log").write_bytes(kept)
    (folder / "checkpoint").unlink()
    with pytest.raises(ShorterThanCheckpoint):
        reopened(folder)


def test_a_log_that_signed_nothing_yet_starts_empty(folder):
    log = a_log(folder)
    assert (log.tree.size, log.tree.root()) == (0, EMPTY)
    log.close()
    assert parse((folder / "checkpoint").read_bytes())[0].size == 0


# Disks that fail


def _raises(number):
    def call(*arguments, **named):
        raise OSError(number, os.strerror(number))

    return call


def _half(number):
    """A disk that takes half of what it is given, then nothing."""
    pwrite = os.pwrite

    def call(handle, data, at):
        if len(data) > 40:
            return pwrite(handle, data[: len(data) // 2], at)
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("writers", [1, 12])
@pytest.mark.parametrize(
    ("call", "fault", "error", "code"),
    [
        ("pwrite", _half(errno.ENOSPC), DiskFull, "tlog.disk_full"),
        ("pwrite", _raises(errno.EDQUOT), DiskFull, "tlog.disk_full"),
        ("pwrite", _raises(errno.EIO), AppendFailed, "tlog.append_failed"),
        ("fdatasync", "after", AppendFailed, "tlog.append_failed"),
    ],
)
def test_a_disk_that_fails_acknowledges_nothing_and_goes_on_when_it_works_again(
    folder, call, fault, error, code, writers, monkeypatch
):
    log = a_log(folder)
    log.append_many([small(number) for number in range(3)])
    before, root = last_file(folder).read_bytes()[: end_of(folder)], log.tree.root()

    async def several():
        appends = (log.append(CALL, a_record(number)) for number in range(writers))
        return await asyncio.gather(*appends, return_exceptions=True)

    with monkeypatch.context() as failing:
        failing.setattr(os, call, _once(errno.EIO) if fault == "after" else fault)
        outcome = asyncio.run(several())
    assert [type(entry) for entry in outcome] == [error] * writers
    assert outcome[0].code == code
    assert (last_file(folder).read_bytes(), log.tree.size, log.tree.root()) == (before, 3, root)
    assert [entry.index for entry in asyncio.run(several())] == list(range(3, 3 + writers))
    root = log.tree.root()
    log.close()
    assert reopened(folder).tree.root() == root


def _once(number):
    """fdatasync that fails the first time; the bytes may be anywhere."""
    works, failed = os.fdatasync, []

    def call(handle):
        if not failed:
            failed.append(handle)
            raise OSError(number, os.strerror(number))
        works(handle)

    return call


def test_a_failed_batch_takes_no_later_one_with_it(log, monkeypatch):
    async def two_batches():
        first = [asyncio.create_task(log.append(CALL, {"nonce": number})) for number in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = [asyncio.create_task(log.append(CALL, {"nonce": number})) for number in range(5)]
        return (await asyncio.gather(*first, return_exceptions=True), await asyncio.gather(*second))

    monkeypatch.setattr(os, "fdatasync", _once(errno.EIO))
    failed, kept = asyncio.run(two_batches())
    assert {type(error) for error in failed} == {AppendFailed}
    assert [entry.index for entry in kept] == list(range(5))


def test_a_full_disk_at_the_beginning_of_a_file_takes_back_the_end_of_the_one_before(folder, monkeypatch):
    log = a_log(folder)
    log.append_many([small(number) for number in range(FRAMES - 2)])
    before, works = last_file(folder).read_bytes()[: end_of(folder)], os.pwrite
    failing = iter([False, True])
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", lambda *given: _raises(errno.ENOSPC)() if next(failing) else works(*given))
        with pytest.raises(DiskFull):
            log.append_many([small(number) for number in range(5)])
    assert last_file(folder).name == "00000000.log"
    assert last_file(folder).read_bytes() == before
    assert log.append_many([small(number) for number in range(5)])[0].index == FRAMES - 2
    log.close()
    assert reopened(folder).tree.size == FRAMES + 3


def test_a_write_that_cannot_be_taken_back_stops_the_log_until_it_is_opened_again(folder, monkeypatch):
    log = a_log(folder)
    log.append_many([small(1)])
    with monkeypatch.context() as failing:
        failing.setattr(os, "fdatasync", _raises(errno.EIO))
        with pytest.raises(AppendFailed):
            log.append_many([small(2)])
    with pytest.raises(AppendRefused):
        log.append_many([small(3)])
    with pytest.raises(AppendRefused):
        asyncio.run(log.append(CALL, {"nonce": 3}))
    log.close()
    again = reopened(folder)
    assert [stored.record for stored in again.entries()] == [b'{"nonce":1}']
    assert again.append_many([small(4)])[0].index == 1
    again.close()


def test_a_file_size_limit_of_the_system_is_a_full_disk(folder):
    """A real limit in a real process, because a patched call only fails where we thought of it."""
    script = """
import resource, signal, sys
from pathlib import Path
from tests.tlog.cast import a_log, a_record, CALL
from tongban.tlog.log import Draft
from tongban.tlog.storage import DiskFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = a_log(Path(sys.argv[1]))
kept = len(log.append_many([Draft(CALL, a_record(number)) for number in range(20)]))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    log.append_many([Draft(CALL, a_record(number)) for number in range(20)])
    sys.exit("written beyond the limit")
except DiskFull:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert log.append_many([Draft(CALL, a_record())])[0].index == kept == 20
log.close()
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, folder], env=os.environ | {"PYTHONPATH": "src:."}, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert reopened(folder).tree.size == 21


# Signatures of answers


def test_the_signature_of_an_answer_is_found_before_and_after_it_is_written(folder):
    log = a_log(folder)
    log.append_many([small(number) for number in range(600)])
    signatures = {index: bytes([index % 250 + 1]) * 64 for index in range(1, 600, 2)}
    for index, signature in signatures.items():
        log.keep_signature(index, signature)
    expected = [signatures.get(index) for index in range(600)]
    assert [log.signature(index) for index in range(600)] == expected
    log.close()
    again = reopened(folder)
    assert [again.signature(index) for index in range(600)] == expected
    assert (folder / "answers" / "00000000.sig").stat().st_size == 600 * 64
    again.close()


def test_signatures_that_the_disk_does_not_take_are_not_lost(log, monkeypatch):
    log.append_many([small(number) for number in range(300)])
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", _raises(errno.ENOSPC))
        for index in range(300):
            log.keep_signature(index, b"s" * 64)
        assert log.signature(17) == b"s" * 64
    log.checkpoint()
    assert (log.directory / "answers" / "00000000.sig").read_bytes() == b"s" * 64 * 300
