"""Facts are refreshed while calls go on; a round keeps the snapshot it saw first, or is told that it is gone."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.node.asking import Asker, Got
from tests.node.place import CONSUMER, MARRIAGE, PROVIDER, WORLD, Place
from tests.node.running import Inside, NodeProcess, inside, opened, spare, until
from tongban.exchange import bulk
from tongban.exchange.client import Answer
from tongban.node import config as configs
from tongban.node import setup
from tongban.node.snapshots import MAKING, current, erase_abandoned, keep_newest, making


def refreshed(place: Place, name: str, day: date) -> str:
    """Read the registers of node `name` as of `day`: the new snapshot's id."""
    config = configs.read(place.node(name))
    [snapshot] = setup.refresh(config, place.directory(config), day, MARRIAGE)
    return snapshot.id


def seen(got: Got) -> str:
    """The snapshot that a batch was answered from."""
    answer = bulk.read_answer(got.body, 2)
    assert isinstance(answer, bulk.Answer), answer
    return answer.about.snapshot


@pytest.fixture(scope="module")
def twin(place: Place) -> Iterator[Inside]:
    with inside(place, "twin-rounds", PROVIDER) as found:
        yield found


@pytest.fixture
def asker(place: Place, twin: Inside) -> Asker:
    return Asker(place, now=twin.clock.seconds)


def part(twin: Inside, asker: Asker, round: str, number: int = 0) -> Got:
    return twin.send(asker.match(on={"round": round, "part": str(number)}))


def test_a_round_keeps_the_snapshot_it_saw_first_and_another_sees_the_newest(
    twin: Inside, asker: Asker, place: Place
) -> None:
    first = seen(part(twin, asker, "kept", 0))
    second = refreshed(place, "twin-rounds", WORLD + timedelta(days=1))
    assert first != second
    assert [seen(part(twin, asker, "kept", n)) for n in (1, 2)] == [first, first]
    assert seen(part(twin, asker, "later")) == second
    said = twin.send(asker.verify()).said
    assert said["snapshot"]["id"] == second


def test_two_consumers_may_call_their_rounds_alike(twin: Inside, asker: Asker, place: Place) -> None:
    snapshot = seen(part(twin, asker, "named-alike"))
    persons = twin.node.persons
    assert persons.pinned(place.member(CONSUMER), "named-alike", MARRIAGE) == snapshot
    assert persons.pinned(place.member("public-security"), "named-alike", MARRIAGE) is None


def test_a_round_keeps_its_snapshot_through_a_restart(place: Place) -> None:
    with inside(place, "twin-pinned", PROVIDER) as found:
        asker = Asker(place, now=found.clock.seconds)
        first = seen(part(found, asker, "restarted", 0))
        now = found.clock.now
    refreshed(place, "twin-pinned", WORLD + timedelta(days=2))
    with opened(place.node("twin-pinned"), now) as again:
        asker = Asker(place, now=again.clock.seconds)
        assert seen(part(again, asker, "restarted", 1)) == first


def test_a_snapshot_that_is_gone_is_said_and_never_quietly_replaced(twin: Inside, asker: Asker, place: Place) -> None:
    first = seen(part(twin, asker, "gone", 0))
    refreshed(place, "twin-rounds", WORLD + timedelta(days=3))
    shutil.rmtree(twin.node.store.place(MARRIAGE) / first)
    asked = asker.match(on={"round": "gone", "part": "1"})
    got = twin.send(asked)
    assert (got.code, got.status) == ("exchange.snapshot_gone", 410)
    assert isinstance(asker.judged(asked, got), Answer)
    assert part(twin, asker, "gone-not").status == 200


def test_removing_old_snapshots_spares_the_pinned_the_newest_and_the_current(
    twin: Inside, asker: Asker, place: Place
) -> None:
    pinned = refreshed(place, "twin-rounds", WORLD + timedelta(days=4))
    assert seen(part(twin, asker, "spared", 0)) == pinned
    ids = [refreshed(place, "twin-rounds", WORLD + timedelta(days=5 + n)) for n in range(3)]
    # The same data on the same day are published once: the pointer goes back to an old folder.
    assert refreshed(place, "twin-rounds", WORLD + timedelta(days=5)) == ids[0]
    folder = twin.node.store.place(MARRIAGE)
    removed = keep_newest(folder, 1, twin.node.persons.pins(MARRIAGE))
    left = {path.parent.name for path in folder.glob("*/snapshot.json")}
    assert {pinned, ids[0], ids[2]} <= left
    assert ids[1] in removed
    found = current(MARRIAGE, folder)
    assert found is not None
    assert found.id == ids[0]
    assert seen(part(twin, asker, "spared", 1)) == pinned


@pytest.mark.parametrize("damage", ["missing", "cut", "no facts", "no place"])
def test_facts_that_cannot_be_read_are_no_no(place: Place, damage: str) -> None:
    name = f"twin-{damage.replace(' ', '-')}"
    with inside(place, name, PROVIDER) as found:
        folder = found.node.store.place(MARRIAGE)
        if damage == "no facts":
            shutil.rmtree(folder)
        elif damage == "no place":
            [about] = folder.glob("*/snapshot.json")
            about.write_text("{}")
        else:
            [file] = folder.glob("*/facts.citizen.arrow")
            file.write_bytes(b"ARROW1\0\0") if damage == "cut" else file.unlink()
        asker = Asker(place, now=found.clock.seconds)
        for asked in (asker.verify(), asker.match()):
            got = found.send(asked)
            assert (got.code, got.status) == ("exchange.register_unavailable", 503)
            assert "the facts of this register" in got.said["reason"]
            assert isinstance(asker.judged(asked, got), Answer)
        assert found.send(asker.query()).status == 200


def test_a_refresh_fails_no_call(place: Place) -> None:
    """Real processes: one answers, one refreshes, many ask."""
    node = spare(place, "refreshing").ready()
    asker, stop = Asker(place), threading.Event()
    verdicts: list[dict[str, object]] = []
    failed: list[Got] = []

    def ask(n: int) -> None:
        while not stop.is_set():
            for asked in (asker.verify(), asker.match(on={"round": f"round-{n}", "part": str(len(verdicts))})):
                got = node.send(asked)
                if got.status != 200:
                    failed.append(got)
                elif asked.path == "/v1/verify":
                    verdicts.append(got.said)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(3)]
    for one in threads:
        one.start()
    try:
        new = refresh_apart(node, WORLD + timedelta(days=1))
        until(lambda: any(one["snapshot"]["id"] == new for one in verdicts), "the new facts are seen")  # type: ignore[index]
    finally:
        stop.set()
        for one in threads:
            one.join()
        assert node.stop() == 0
    assert failed == []
    assert {one["verdict"] for one in verdicts} == {"met"}
    assert len({one["snapshot"]["id"] for one in verdicts}) == 2  # type: ignore[index]


def refresh_apart(node: NodeProcess, day: date) -> str:
    command = [sys.executable, "-m", "tongban.cli.main", "node", "refresh", str(node.folder), "--json"]
    told = subprocess.run(
        [*command, "--as-of", day.isoformat(), "--resource", MARRIAGE],
        capture_output=True, check=True, env={"PYTHONPATH": "src"},
    )  # fmt: skip
    return str(json.loads(told.stdout)["snapshot"])


# What a killed refresh leaves

KILLED = """
import sys, pathlib
from tongban.node.snapshots import MAKING, making
into = pathlib.Path(sys.argv[1])
with making(into):
    (into / (MAKING + "x")).mkdir()
    print("making", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_refresh_left_is_erased_and_what_a_running_one_makes_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": "src"}, **pipes) as other:  # type: ignore[call-overload]
        assert other.stdout.readline() == b"making\n"
        assert (erase_abandoned(tmp_path), len([*tmp_path.glob(f"{MAKING}*")])) == (0, 1)
        other.kill()
        other.wait()
    assert (erase_abandoned(tmp_path), [*tmp_path.glob(f"{MAKING}*")]) == (1, [])


def test_the_next_refresh_erases_what_a_killed_one_left(tmp_path: Path) -> None:
    (tmp_path / f"{MAKING}x").mkdir()
    with making(tmp_path):
        assert not [*tmp_path.glob(f"{MAKING}*")]


def test_what_is_being_made_is_neither_removed_as_old_nor_kept_in_place_of_a_published_one(tmp_path: Path) -> None:
    for age, name in enumerate((f"{MAKING}first", "2014-06-08-a", "2014-06-09-b", f"{MAKING}last")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "snapshot.json").write_text("{}")
        os.utime(tmp_path / name / "snapshot.json", (age, age))
    assert keep_newest(tmp_path, 1, frozenset()) == ["2014-06-08-a"]
    left = {f"{MAKING}first", "2014-06-09-b", f"{MAKING}last"}
    assert {path.name for path in tmp_path.iterdir()} == left
