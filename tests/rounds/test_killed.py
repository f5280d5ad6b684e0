"""A round whose process is killed at any instant goes on to the very bytes of one that was not.

Every durable act of the room is an fsync or a rename. The run is stopped at each of them in turn: in this process,
by an error that nothing catches, and in processes of their own by SIGKILL.
"""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rounds.world import (
    AT,
    DECISIONS,
    KEY,
    NOT_MET,
    QUESTIONS,
    REVEALS,
    SOFTWARE,
    a_line,
    a_unit,
    again,
    answer_all,
    citizen,
    freeze_it,
    opened,
    receipts,
)
from tongban.rounds import draw, steps
from tongban.rounds.folder import STEP, Stage
from tongban.rounds.publish import publish

LINES = [a_line(n, failed_draws=n) for n in range(12)] + [a_unit(50), again(60, 3)]
HELD = {("licence", int(citizen(1)[:17])): NOT_MET | 1}


class Stopped(BaseException):
    """Nothing in the room catches it, as nothing catches SIGKILL."""


def run(path):
    """The whole round, or what is left of it."""
    folder = opened(path, LINES)
    with folder.locked():
        if folder.stage is Stage.NEW:
            answer_all(folder, HELD)
        asking = steps.asking(folder, QUESTIONS)
        assert steps.verify(folder, asking) in (True, False)
        assert steps.decide(folder, asking, DECISIONS, KEY, SOFTWARE) in (True, False)
        assert freeze_it(folder) in (True, False)
        assert draw.draw(folder, REVEALS, receipts(folder)) in (True, False)
        assert publish(folder, "<html></html>", prepared_by="a", reviewed_by="b", reviewed_on=AT) in (True, False)
    folder.verify()
    return folder


def contents(folder):
    """Digest of every file that counts; what was begun and not finished does not."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(begun(part) for part in path.relative_to(folder).parts)
    }


def begun(name):
    """A stage or a file that was being made."""
    return name.startswith(".new-") or name.endswith(".new")


def stop_at(number, action):
    """Count the durable acts and do `action` instead of the `number`-th."""
    done = 0
    fsync, rename = os.fsync, Path.rename

    def counted():
        nonlocal done
        done += 1
        if done == number:
            action()

    def own_fsync(handle):
        counted()
        fsync(handle)

    def own_rename(path, target):
        counted()
        return rename(path, target)

    os.fsync, Path.rename = own_fsync, own_rename
    return lambda: (setattr(os, "fsync", fsync), setattr(Path, "rename", rename), done)[-1]


def stop():
    raise Stopped


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return contents(run(tmp_path_factory.mktemp("whole") / "2014-3").path)


def acts(tmp_path):
    undo = stop_at(0, stop)
    try:
        run(tmp_path / "counted")
    finally:
        count = undo()
    return count


def test_a_round_stopped_at_any_durable_act_goes_on_to_the_same_bytes(tmp_path, whole):
    count = acts(tmp_path)
    assert count > 80
    stages = set()
    # Every seventh in each run, beginning elsewhere with each version of the room's code; the ends always.
    for number in sorted({1, 2, *range(1 + count % 7, count, 7), count - 1, count}):
        place = tmp_path / f"stopped-{number}"
        undo = stop_at(number, stop)
        try:
            with pytest.raises(Stopped):
                run(place)
        finally:
            undo()
        stages.add(len(list(place.glob(f"*/{STEP}"))) if (place / "round.json").exists() else -1)
        assert contents(run(place).path) == whole
    # The stops fell before the round was one, and within most of its stages.
    assert -1 in stages
    assert len(stages) >= 4


@pytest.mark.crash
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_process_killed_outright_leaves_a_round_that_goes_on(tmp_path, whole, share):
    place, number = tmp_path / "2014-3", int(acts(tmp_path) * share)
    program = (
        "from tests.rounds.test_killed import *\n"
        f"stop_at({number}, lambda: os.kill(os.getpid(), signal.SIGKILL))\n"
        f"run(Path({str(place)!r}))"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, cwd=root, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert contents(run(place).path) == whole
