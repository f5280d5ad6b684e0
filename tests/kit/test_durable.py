"""A small file is there as a whole or not at all, whatever happens while it is written."""

import errno
import os
import stat
from concurrent.futures import ProcessPoolExecutor

import pytest

from tongban.kit.durable import write_durably


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "memory.json"
    write_durably(path, b"old")
    return path


def _refuse(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, "no room")


def test_a_file_takes_the_place_of_another(place):
    write_durably(place, b"new")
    assert place.read_bytes() == b"new"
    assert [*place.parent.iterdir()] == [place]


@pytest.mark.parametrize("act", ["fsync", "rename"])
def test_what_the_disk_does_not_take_leaves_the_file_as_it_was(place, monkeypatch, act):
    with monkeypatch.context() as full:
        full.setattr(os, act, _refuse)
        with pytest.raises(OSError, match="no room"):
            write_durably(place, b"new")
    assert place.read_bytes() == b"old"
    assert [*place.parent.iterdir()] == [place]


def test_the_file_is_durable_before_it_has_its_name_and_the_name_before_it_is_told(tmp_path, monkeypatch):
    path, seen = tmp_path / "memory.json", []
    fsync = os.fsync

    def watched(handle):
        seen.append((stat.S_ISDIR(os.fstat(handle).st_mode), path.exists()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    write_durably(path, b"new")
    assert seen == [(False, False), (True, True)]


def _write_often(path, byte):
    for _ in range(50):
        write_durably(path, byte * 100_000)


def test_two_processes_that_write_one_file_never_leave_half_of_it(place):
    place.write_bytes(b"a" * 100_000)
    with ProcessPoolExecutor(2) as both:
        work = [both.submit(_write_often, place, byte) for byte in (b"a", b"b")]
        while not all(one.done() for one in work):
            assert place.read_bytes() in (b"a" * 100_000, b"b" * 100_000)
        for one in work:
            one.result()
    assert [*place.parent.iterdir()] == [place]


def test_a_file_that_may_not_be_replaced_is_not(place):
    with pytest.raises(FileExistsError):
        write_durably(place, b"new", replace=False)
    assert place.read_bytes() == b"old"
    assert [*place.parent.iterdir()] == [place]


def test_a_secret_is_nobody_else_s_even_where_a_draft_was_left_behind(tmp_path):
    draft = tmp_path / "day.key.new"
    draft.write_bytes(b"cut off, and longer than the key")
    draft.chmod(0o644)
    write_durably(tmp_path / "day.key", b"key", mode=0o600)
    assert stat.S_IMODE((tmp_path / "day.key").stat().st_mode) == 0o600
    assert (tmp_path / "day.key").read_bytes() == b"key"
    assert not draft.exists()
