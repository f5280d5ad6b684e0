"""Persons of batches: committed once nobody asks any more, and none waits for long."""

import pytest

from tests.node.asking import Asker, numbers
from tests.node.place import PROVIDER, Place
from tests.node.running import inside
from tongban.node import persons


class Watch:
    """Monotonic time that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(persons, "time", watch)
    return watch


def test_a_small_batch_is_committed_at_once(place: Place, watch: Watch) -> None:
    with inside(place, "twin-persons-small", PROVIDER) as found:
        assert not found.node.persons.due()
        assert found.send(Asker(place, now=found.clock.seconds).match(keys=numbers(3))).status == 200
        watch.now += 0.001
        assert found.node.persons.due()
        assert found.run(found.node.persons.commit()) == 1
        assert not found.node.persons.due()


def test_large_batches_wait_until_no_more_come_but_never_for_five_minutes(
    place: Place, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persons, "KEYS_A_SECOND", 0.1)
    with inside(place, "twin-persons-large", PROVIDER) as found:
        asker = Asker(place, now=found.clock.seconds)
        for part in range(2):
            assert found.send(asker.match(keys=numbers(3, 10 * part), on={"part": str(part)})).status == 200
            watch.now += 59
        assert not found.node.persons.due()
        watch.now += 1
        assert found.node.persons.due()
        for part in range(2, 8):
            assert found.send(asker.match(keys=numbers(3, 10 * part), on={"part": str(part)})).status == 200
            if part < 6:
                assert not found.node.persons.due()
            watch.now += 40
        assert found.node.persons.due()
        assert found.run(found.node.persons.commit()) == 8


def test_what_waited_over_a_restart_is_committed_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persons, "KEYS_A_SECOND", 0.1)
    with inside(place, "twin-persons-restart", PROVIDER) as found:
        assert found.send(Asker(place, now=found.clock.seconds).match(keys=numbers(3))).status == 200
        assert not found.node.persons.due()
        again = persons.Persons(found.node.log, found.node.persons._spool)
        assert again.due()
