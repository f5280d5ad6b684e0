"""One city for the whole session: three nodes that run, and a consumer that knows how to lie."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.asking import Asker
from tests.node.counter import counter  # noqa: F401  fixtures of the files that stand on it
from tests.node.databases import VARIABLE
from tests.node.directories import cell, settled  # noqa: F401  fixtures of the files that stand on it
from tests.node.place import CONSUMER, POLICE, PROVIDER, Place, lay_out
from tests.node.running import Inside, NodeProcess, inside
from tests.postgres import PASSWORD, Postgres, serving


def free_ports(names: list[str]) -> dict[str, int]:
    held = {name: socket.socket() for name in names}
    for one in held.values():
        one.bind(("127.0.0.1", 0))
    ports = {name: one.getsockname()[1] for name, one in held.items()}
    for one in held.values():
        one.close()
    return ports


NODES = [
    "civil-affairs", "human-resources", "industry-commerce", "local-tax", "public-security", "quality-supervision",
    "state-tax", "transport",
]  # fmt: skip


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The city, laid out, with facts; nothing runs yet."""
    folder: Path = tmp_path_factory.mktemp("city")
    place = lay_out(folder, free_ports(NODES))
    place.refresh(PROVIDER)
    place.refresh(POLICE, only="public_security/population")
    return place


@pytest.fixture(scope="session")
def running(place: Place) -> Iterator[dict[str, NodeProcess]]:
    nodes = {name: NodeProcess(place.node(name)).start() for name in (PROVIDER, CONSUMER, POLICE)}
    try:
        for one in nodes.values():
            one.ready()
        yield nodes
    finally:
        statuses = {name: one.stop() for name, one in nodes.items() if one.alive}
    assert statuses == dict.fromkeys(nodes, 0)


@pytest.fixture
def provider(running: dict[str, NodeProcess]) -> NodeProcess:
    return running[PROVIDER]


@pytest.fixture
def consumer(running: dict[str, NodeProcess]) -> NodeProcess:
    return running[CONSUMER]


@pytest.fixture(scope="session")
def asker(place: Place) -> Asker:
    return Asker(place)


@pytest.fixture(scope="module")
def twin(place: Place, request: pytest.FixtureRequest) -> Iterator[Inside]:
    """Civil Affairs again, in this process, with a log of its own for each file of tests."""
    with inside(place, f"twin-{request.module.__name__.rpartition('.')[2]}", PROVIDER) as found:
        yield found


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; each file of tests makes databases of its own in it."""
    with serving() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, PASSWORD)
        yield server
