"""An entry file is read while its writer is at work: what it adds and cuts meanwhile is no damage."""

import threading

from tests.tlog.cast import a_log, a_record, last_file, small
from tongban.tlog import segment
from tongban.tlog.entry import frame
from tongban.tlog.log import Draft
from tongban.tlog.verify import verify


def test_a_log_that_grows_while_it_is_verified_holds(tmp_path):
    log = a_log(tmp_path / "log")
    log.append_many([small(0)])
    done = threading.Event()

    def write():
        number = 1
        while not done.is_set():
            log.append_many([Draft({"kind": "call", "n": 1}, a_record(number), b"answer" * 50) for _ in range(7)])
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = [verify(tmp_path / "log", {}, workers=1) for _ in range(30)]
    finally:
        done.set()
        writer.join()
    assert [one.problems for one in found] == [()] * 30
    assert found[-1].entries > found[0].entries


def test_what_looked_bad_is_looked_at_again(tmp_path, monkeypatch):
    log = a_log(tmp_path / "log")
    log.append_many([small(number) for number in range(3)])
    works, looks = segment._bytes, []

    def half_seen(file, at, count=-1):
        """The first look at the rest falls into a write: a page that was not there yet, then one that was."""
        seen = works(file, at, count)
        if count < 0 and not looks:
            looks.append(at)
            log.append_many([small(number) for number in range(3, 6)])
            whole = works(file, at)
            return bytes(20) + whole[20:]
        return seen

    monkeypatch.setattr(segment, "_bytes", half_seen)
    found = segment.read(last_file(tmp_path / "log"))
    assert (found.count, found.mended, looks) == (6, False, [looks[0]])


def test_room_that_is_cut_away_while_it_is_read_ends_nobody(tmp_path):
    log = a_log(tmp_path / "log")
    # The entry ends where a page does, so that whoever looks behind it would look at a page that is gone.
    empty = len(frame(b"{}", b"", b""))
    log._storage.append([frame(b"{}", b"", bytes(4096 - empty))])
    assert last_file(tmp_path / "log").stat().st_size > 4096
    found = segment.read(last_file(tmp_path / "log"), lambda place, framed: log._storage.close())
    assert (found.count, found.size, found.mended) == (1, 4096, False)


def test_an_entry_longer_than_a_window_is_read_whole(tmp_path):
    log = a_log(tmp_path / "log")
    log.append_many([small(0), Draft({"kind": "call", "n": 1}, a_record(1), bytes(3 * segment.WINDOW)), small(2)])
    assert segment.read(last_file(tmp_path / "log")).count == 3
