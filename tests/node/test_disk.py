"""A disk that is full: nothing is read or sent that cannot be logged, and the node goes on when there is room again."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.node.asking import Asker
from tests.node.place import PROVIDER, Place
from tests.node.running import Inside, NodeProcess, inside, spare, until, verified
from tongban.node.spool import SpoolDamaged, SpoolFull
from tongban.tlog import segment


@contextmanager
def full(node: NodeProcess) -> Iterator[None]:
    """The process may write no byte beyond what the log has by now, not even where room was made ahead."""
    size = max(segment.read(path).good for path in (node.log / "entries").iterdir())
    before = resource.prlimit(node.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(node.pid, resource.RLIMIT_FSIZE, before)


def test_a_full_disk_lets_nothing_out_and_goes_on_when_there_is_room(place: Place) -> None:
    node = spare(place, "full-disk").ready()
    asker = Asker(place)
    place.put(place.grant("withdrawn_on_a_full_disk"))
    gone = asker.query(grant="withdrawn_on_a_full_disk").value("tongban-grant")
    until(lambda: node.send(asker.query(grant=gone)).status == 200, "the grant is pulled")
    size = node.size()
    with full(node):
        key = "asked-on-a-full-disk"
        for asked in (asker.query(idempotency=key), asker.verify(), asker.match(), asker.query(grant="ended")):
            got = node.send(asked)
            assert (got.code, got.status, got.entry) == ("exchange.log_unavailable", 503, None)
            assert b"records" not in got.body
        assert node.size() == size
        assert [*(node.folder / "spool").glob("*.sealed"), *(node.folder / "spool").glob("*.new")] == []
        # A directory that cannot be kept is heeded all the same: it may take something back.
        place.withdraw("grant", gone)
        version = place.directory(place.config(PROVIDER)).version
        until(lambda: node.health()["directory"] == version, "the new directory is heeded")
    assert node.send(asker.query(grant=gone)).code == "exchange.no_grant"
    assert node.send(asker.query(idempotency=key)).status == 200
    assert node.stop() == 0
    keys = {one.id: one.public for one in (asker.key, place.key(PROVIDER, "online"))}
    assert verified(node.log, keys).problems == ()
    assert "Traceback" not in node.said()


# The spool of batches


@pytest.fixture(scope="module")
def twin(place: Place) -> Iterator[Inside]:
    with inside(place, "twin-spool", PROVIDER) as found:
        # The round has seen its snapshot, and its first batch is committed.
        assert found.send(Asker(place, now=found.clock.seconds).match()).status == 200
        assert found.run(found.node.persons.commit()) == 1
        yield found


@pytest.fixture
def asker(place: Place, twin: Inside) -> Asker:
    return Asker(place, now=twin.clock.seconds)


def test_a_batch_that_cannot_be_spooled_is_not_answered(
    twin: Inside, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise SpoolFull(error="ENOSPC")

    state = twin.state()
    monkeypatch.setattr(twin.node.persons._spool, "put", refuse)
    assert twin.send(asker.match(on={"part": "1"})).code == "exchange.log_unavailable"
    assert twin.state() == state


def test_the_keys_of_a_batch_that_cannot_be_logged_are_not_kept(
    twin: Inside, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tongban.tlog.storage import DiskFull

    async def refuse(*_: object) -> None:
        raise DiskFull(directory="log", error="ENOSPC")

    state = twin.state()
    monkeypatch.setattr(twin.node.log, "append", refuse)
    assert twin.send(asker.match(on={"part": "1"})).code == "exchange.log_unavailable"
    assert twin.state() == state


def test_one_damaged_spool_keeps_no_other_batch_from_being_committed(twin: Inside, asker: Asker) -> None:
    got = [twin.send(asker.match(on={"round": "spool", "part": str(n)})) for n in range(3)]
    assert [one.status for one in got] == [200] * 3
    names = [*twin.node.persons._waiting]
    (twin.node.config.folder / "spool" / f"{names[0]}.sealed").write_bytes(b"x" * 50)
    (twin.node.config.folder / "spool" / f"{names[1]}.sealed").unlink()
    with pytest.raises(SpoolDamaged):
        twin.run(twin.node.persons.commit())
    leaves = [twin.node.log.entry(n).leaf for n in range(twin.node.log.tree.size)]
    assert sum(b'"batch-persons"' in leaf for leaf in leaves) == 2
    assert twin.node.persons.waiting() == 2
