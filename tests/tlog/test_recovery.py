"""What an interrupted write leaves is cut; what no interrupted write leaves stops the start, and nothing is cut."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tlog.cast import CALL, KEYS, a_log, a_record, end_of, killed, last_file, reopened, small
from tongban.tlog.log import Draft
from tongban.tlog.recovery import Torn
from tongban.tlog.segment import FRAMES, Damaged
from tongban.tlog.verify import verify


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def stops(folder):
    """A log of six entries of which a checkpoint covers two; where each of the six ends in the file."""
    log = a_log(folder)
    stops = []
    for number in range(6):
        record = a_record(number) if number < 3 else {"nonce": number}
        log.append_many([Draft(CALL, record, b"answer")])
        stops.append(end_of(folder))
        if number == 1:
            log.checkpoint()
    killed(log)
    return stops


@pytest.mark.parametrize("ahead", [0, 5000])
def test_a_log_cut_at_any_byte_of_its_last_three_entries_comes_back_with_the_whole_ones(
    folder, stops, ahead, monkeypatch
):
    # Hundreds of openings: the disk's part in them is tested elsewhere.
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(os, "fdatasync", lambda handle: None)
    whole = last_file(folder).read_bytes()
    for cut in range(stops[2], stops[5]):
        last_file(folder).write_bytes(whole[:cut] + bytes(ahead))
        log = reopened(folder)
        good = max(stop for stop in stops if stop <= cut)
        assert log.tree.size == stops.index(good) + 1
        assert log.torn == (None if cut == good else Torn(0, good, len(whole[good:cut].rstrip(b"\0"))))
        assert last_file(folder).read_bytes() == whole[:good] + bytes(ahead if cut == good else 0)
        assert log.append_many([small(9)])[0].index == stops.index(good) + 1
        killed(log)


@pytest.mark.parametrize("tail", [b"T", b"TBE1", b"TBE1\xff\xff\xff\xff\0\0\0\1", b"\0\0?", b"TBE1" * 1000])
def test_rubbish_behind_the_last_entry_is_cut_and_said(folder, stops, tail):
    whole = last_file(folder).read_bytes()[: stops[-1]]
    last_file(folder).write_bytes(whole + tail)
    log = reopened(folder)
    assert (log.tree.size, log.torn) == (6, Torn(0, len(whole), len(tail)))
    log.close()
    assert last_file(folder).read_bytes() == whole
    assert reopened(folder).torn is None


def test_zeros_behind_the_last_entry_are_room_for_the_next_and_no_fault(folder, stops):
    assert last_file(folder).stat().st_size > stops[-1]  # a killed process leaves them
    log = reopened(folder)
    assert (log.tree.size, log.torn) == (6, None)
    size = last_file(folder).stat().st_size
    assert log.append_many([small(6)])[0].index == 6
    assert last_file(folder).stat().st_size == size
    log.close()
    assert last_file(folder).stat().st_size == end_of(folder) > stops[-1]
    assert reopened(folder).tree.size == 7


def test_a_disk_without_room_to_make_ahead_still_takes_entries(folder, stops, monkeypatch):
    log = reopened(folder)
    monkeypatch.setattr(os, "posix_fallocate", _no_room)
    os.truncate(last_file(folder), stops[-1])
    assert [entry.index for entry in log.append_many([small(6), small(7)])] == [6, 7]
    assert last_file(folder).stat().st_size == end_of(folder)


def _no_room(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The folder of a log of four entries, closed, and its entry file's bytes."""
    folder = tmp_path_factory.mktemp("sound") / "log"
    log = a_log(folder)
    log.append_many([Draft(CALL, a_record(number), b"answer") for number in range(4)])
    log.close()
    return folder, last_file(folder).read_bytes()


@given(st.data())
def test_a_flipped_bit_before_a_good_entry_stops_the_start(sound, data):
    folder, whole = sound
    last = whole.rindex(b"TBE")
    flipped = bytearray(whole)
    flipped[data.draw(st.integers(0, last - 1))] ^= 1 << data.draw(st.integers(0, 7))
    last_file(folder).write_bytes(flipped)
    with pytest.raises(Damaged) as raised:
        reopened(folder)
    assert raised.value.code == "tlog.damaged"
    assert last_file(folder).read_bytes() == flipped


def test_a_flipped_bit_in_the_last_entry_is_seen_by_the_checkpoint_that_covers_it(folder, stops):
    reopened(folder).close()  # which signs all six
    whole = bytearray(last_file(folder).read_bytes())
    whole[stops[-1] - 1] ^= 1
    last_file(folder).write_bytes(whole)
    with pytest.raises(Exception, match="fewer than the 6") as raised:
        reopened(folder)
    assert raised.value.code == "tlog.shorter_than_checkpoint"
    assert last_file(folder).read_bytes() == whole


def test_an_entry_taken_out_of_the_middle_is_seen_by_the_checkpoint(folder, stops):
    whole = last_file(folder).read_bytes()[: stops[-1]]
    last_file(folder).write_bytes(whole[: stops[0]] + whole[stops[1] :])
    with pytest.raises(Exception, match="another root") as raised:
        reopened(folder)
    assert raised.value.code == "tlog.root_differs"


@pytest.fixture
def appended_together(folder):
    """A log of three single entries and, beyond its checkpoint, four in one append; where each ends in the file."""
    log, stops = a_log(folder), [0]
    for number in range(3):
        log.append_many([Draft(CALL, a_record(number), b"answer")])
        stops.append(end_of(folder))
    log.checkpoint()
    log.append_many([Draft(CALL, a_record(number), b"answer" * 900) for number in range(3, 7)])
    killed(log)
    whole = last_file(folder).read_bytes()
    while len(stops) < 8:
        stops.append(whole.find(b"TBE2", stops[-1] + 1) if len(stops) < 7 else end_of(folder))
    return stops


@pytest.mark.parametrize("lost", [3, 4, 5])
def test_what_a_power_loss_keeps_of_one_append_behind_what_it_loses_is_cut(folder, appended_together, lost):
    stops = appended_together
    whole = bytearray(last_file(folder).read_bytes())
    whole[stops[lost] : stops[lost + 1]] = bytes(stops[lost + 1] - stops[lost])
    last_file(folder).write_bytes(whole)
    assert verify(folder, KEYS).holds
    log = reopened(folder)
    assert (log.tree.size, log.torn.good) == (lost, stops[lost])
    assert log.append_many([small(9)])[0].index == lost
    log.close()
    assert reopened(folder).torn is None


def test_a_write_that_was_begun_behind_the_bad_place_shows_that_it_was_durable(folder, appended_together):
    stops = appended_together
    log = reopened(folder)
    log.append_many([small(9)])
    killed(log)
    whole = bytearray(last_file(folder).read_bytes())
    whole[stops[4] + 20] ^= 1
    last_file(folder).write_bytes(whole)
    with pytest.raises(Damaged):
        reopened(folder)
    assert [one.code for one in verify(folder, KEYS).problems] == ["tlog.damaged"]


def test_what_a_checkpoint_covers_was_durable_however_it_was_written(folder, appended_together):
    stops = appended_together
    log = reopened(folder)
    log.checkpoint()
    killed(log)
    whole = bytearray(last_file(folder).read_bytes())
    whole[stops[4] + 20] ^= 1
    last_file(folder).write_bytes(whole)
    with pytest.raises(Damaged):
        reopened(folder)
    assert last_file(folder).read_bytes() == whole


@pytest.fixture
def two_files(folder):
    log = a_log(folder)
    log.append_many([small(number) for number in range(FRAMES + 1)])
    killed(log)
    return folder / "entries" / "00000000.log", folder / "entries" / "00000001.log"


def test_between_files_the_same_holds(folder, two_files):
    first, second = two_files
    wholes = first.read_bytes(), second.read_bytes()[: end_of(folder)]
    contradictions = [
        (wholes[0][:-1], wholes[1]),  # the first file is torn, yet the second is good
        (wholes[0][: wholes[0].rindex(b"TBE1")], wholes[1]),  # or lacks an entry
        (wholes[0] + wholes[1], b""),  # more entries than a file may hold
        (wholes[0] + b"T", wholes[1]),
        (None, wholes[1]),
    ]
    for changed in contradictions:
        for path, content in zip(two_files, changed, strict=True):
            path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(Damaged):
            reopened(folder)
        assert [path.read_bytes() if path.exists() else None for path in two_files] == list(changed)
    first.write_bytes(wholes[0][:-1])
    second.write_bytes(wholes[1][:-1])
    log = reopened(folder)
    assert log.torn is not None
    assert (log.tree.size, log.torn.number, second.exists()) == (FRAMES - 1, 0, False)
    assert log.append_many([small(1), small(2)])[-1].index == FRAMES
    log.close()
    assert reopened(folder).tree.size == FRAMES + 1


def test_a_file_begun_but_empty_is_no_fault(folder, two_files):
    two_files[1].write_bytes(b"")
    log = reopened(folder)
    assert (log.tree.size, log.append_many([small(1)])[0].index) == (FRAMES, FRAMES)
    log.close()
    assert reopened(folder).tree.size == FRAMES + 1


def test_a_draft_of_a_file_left_by_a_crash_is_removed(folder, stops):
    draft = folder / "entries" / "00000000.log.tmp"
    draft.write_bytes(b"half")
    reopened(folder).close()
    assert not draft.exists()


def test_damage_that_comes_while_the_log_is_open_is_told_when_the_entry_is_asked_for(folder, stops):
    log = reopened(folder)
    whole = bytearray(last_file(folder).read_bytes())
    whole[stops[1] + 40] ^= 1
    last_file(folder).write_bytes(whole)
    assert log.entry(1).index == 1
    with pytest.raises(Damaged):
        log.entry(2)
    with pytest.raises(Damaged):
        list(log.entries())
    log.close()
