"""kill -9 of a real writer: it tests the order of writing and acknowledging.

It is no power cut; the machine's cache outlives the process.
"""

import hashlib
import os
import random
import subprocess
import sys

import orjson
import pytest

from tests.full import count, seed
from tests.tlog.cast import KEYS, a_log, killed, reopened
from tongban.tlog.history import split
from tongban.tlog.verify import verify

ROUNDS = count("log", 3, 200)


@pytest.mark.crash
def test_no_acknowledged_entry_is_lost_when_the_writer_is_killed(tmp_path):
    folder, chance = tmp_path / "log", random.Random(seed())
    a_log(folder).close()
    acknowledged: dict[int, tuple[str, str]] = {}
    checkpoints: set[str] = set()
    for turn in range(ROUNDS):
        lines = killed_after(folder, str(turn), chance.randrange(300, 2_500))
        assert int(lines[0].split()[1]) >= len(acknowledged)
        for line in lines[1:]:
            if line.startswith("checkpoint"):
                checkpoints.add(line.split()[1])
            else:
                index, leaf_hash, outcome = line.split()
                assert int(index) not in acknowledged, "one index for two entries"
                acknowledged[int(index)] = leaf_hash, outcome
    log = reopened(folder)
    stored = {entry.index: entry for entry in log.entries()}
    for index, (leaf_hash, outcome) in acknowledged.items():
        assert log.tree.leaf(index).hex() == leaf_hash
        assert orjson.loads(stored[index].record)["outcome"] == outcome
    kept, torn = split((folder / "checkpoints.log").read_bytes())
    assert torn == 0
    assert checkpoints <= {hashlib.sha256(note).hexdigest() for note in kept}
    assert len(acknowledged) > 200 * ROUNDS
    killed(log)
    assert verify(folder, KEYS).holds


def killed_after(folder, name, lines):
    """Lines that a writer printed until it was killed, at least `lines` of them; a torn last one is left out."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.tlog.writer", folder, name],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": "src:."},
    )
    assert process.stdout is not None
    heard = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    heard += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    return [line.decode().strip() for line in heard if line.endswith(b"\n")]
