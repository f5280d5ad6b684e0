"""Bundles of leaves, as a log that runs gives them to anybody."""

import asyncio
import os

import pytest

from tests.tlog.cast import CALL, a_record, last_file
from tongban.tlog.segment import Damaged
from tongban.tlog.tile import ENTRIES, Tile, leaves_of
from tongban.tlog.tree import OutsideTree, leaf_hash


def test_a_bundle_of_leaves_is_read_without_what_stands_beside_them(log, monkeypatch):
    entries = [asyncio.run(log.append(CALL, a_record(number), b"a" * 100_000)) for number in range(3)]
    with monkeypatch.context() as reading:
        reading.setattr("tongban.tlog.storage.unframe", None)
        leaves = leaves_of(Tile(ENTRIES, 0, 3), log.tile(Tile(ENTRIES, 0, 3)))
    assert [leaf_hash(leaf) for leaf in leaves] == [entry.leaf_hash for entry in entries]
    with pytest.raises(OutsideTree):
        log.tile(Tile(ENTRIES, 0, 4))


@pytest.mark.parametrize("at", [12, 15, 20])
def test_a_leaf_that_was_changed_on_disk_is_in_no_bundle(log, folder, at):
    asyncio.run(log.append(CALL, a_record()))
    with last_file(folder).open("r+b") as file:
        byte = os.pread(file.fileno(), 1, at)
        os.pwrite(file.fileno(), bytes([byte[0] ^ 0xFF]), at)
    with pytest.raises(Damaged):
        log.tile(Tile(ENTRIES, 0, 1))
    last_file(folder).write_bytes(b"")
    with pytest.raises(Damaged):
        log.tile(Tile(ENTRIES, 0, 1))
