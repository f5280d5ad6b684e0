"""Sealed looks: nothing that anybody is shown differs between a node with them and one without, or between persons."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import orjson

from tests.node.asking import Asker
from tests.node.place import PROVIDER, Place
from tests.node.running import Inside, inside, leaf_of, opened
from tests.node.test_sampling import Post
from tests.world import APPLICANT, HUSBAND
from tongban.kit.clock import unstamp
from tongban.node.program import _checkpoint
from tongban.tlog import folder
from tongban.tlog.checkpoint import parse
from tongban.tlog.verify import verify

HOURLY, HOUR, TICK = 6, 3600, 5
PATHS = [
    "/checkpoint", "/tile/0/000", "/tile/0/000.p/1", "/tile/0/000.p/6", "/tile/entries/000", "/tile/entries/000.p/1",
    "/tile/entries/000.p/6", "/tile/1/000", "/healthz", "/nothing",
]  # fmt: skip


def sealed(text: str) -> str:
    return text.replace("[node]\n", f"[node]\nsealed = {HOURLY}\n", 1)


@contextmanager
def pair(place: Place, name: str) -> Iterator[tuple[Inside, Inside]]:
    """Two sealed nodes of one age, each with a clock that stands."""
    with ExitStack() as stack:
        found = [stack.enter_context(inside(place, f"{name}-{n}", PROVIDER, toml=sealed)) for n in range(2)]
        for one in found:
            created = unstamp(folder.identity(one.node.log.directory)["created"])
            one.node.log._since = created - created % HOUR + HOUR  # type: ignore[attr-defined]
            one.clock.now = created - created % HOUR + 1.5 * HOUR
        yield found[0], found[1]


def public(found: Inside) -> list[Any]:
    """All that a stranger gets, but what is random in every log: root, signature and key hash."""
    shown: list[Any] = []
    for path in PATHS:
        got = found.send(Post(b"", path, "GET"))  # type: ignore[arg-type]
        body = parse(got.body)[0]._replace(root=b"") if path == "/checkpoint" and got.status == 200 else got.body
        shown.append((path, got.status, got.headers, body))
    got = found.send(Post(orjson.dumps({"witness": "x", "entry": 0, "signature": ""})))  # type: ignore[arg-type]
    shown.append((got.status, got.headers, got.body))
    return shown


def tick(*nodes: Inside) -> None:
    for one in nodes:
        one.clock.forward(TICK)
        one.run(_checkpoint(one.node))


def test_hours_with_sealed_looks_and_hours_without_look_the_same_to_everybody(place: Place) -> None:
    with pair(place, "twin-sealed-same") as (busy, idle):
        askers = Asker(place, now=busy.clock.seconds)
        sizes = []
        for hour in range(4):
            for turn in range(3):
                if hour in (0, 2):
                    number = APPLICANT if turn else HUSBAND
                    assert busy.send(askers.query(subject=("citizen", number))).status == 200
                assert public(busy) == public(idle)
                tick(busy, idle)
                assert public(busy) == public(idle)
            # Into the next hour: the look comes before the node's own turn.
            for one in (busy, idle):
                one.clock.forward(HOUR)
            assert busy.send(Asker(place, now=busy.clock.seconds).query()).status == 200
            assert public(busy) == public(idle)
            tick(busy, idle)
            assert public(busy) == public(idle)
            sizes.append(parse(busy.send(Post(b"", "/checkpoint", "GET")).body)[0].size)  # type: ignore[arg-type]
        assert sizes == [HOURLY * hours for hours in range(1, 5)]
        # Each log holds what it says: looks and padding in one, padding alone in the other.
        kinds = [[leaf_of(one)["kind"] for one in node.node.log.entries()] for node in (busy, idle)]
        assert kinds[0].count("call") == 10
        assert {*kinds[1]} == {"suppression"}
        assert [verify(node.node.log.directory, {}, workers=1).problems for node in (busy, idle)] == [(), ()]


def test_an_hour_that_is_full_takes_no_look_and_tells_nobody(place: Place) -> None:
    with pair(place, "twin-sealed-full") as (busy, idle):
        asker = Asker(place, now=busy.clock.seconds)

        async def together() -> list[Any]:
            return await asyncio.gather(*(busy.answer(asker.query()) for _ in range(HOURLY + 3)))

        got = busy.run(together())
        assert sorted(one.code for one in got) == [""] * HOURLY + ["exchange.log_unavailable"] * 3
        assert public(busy) == public(idle)
        for one in (busy, idle):
            one.clock.forward(HOUR)
        tick(busy, idle)
        assert public(busy) == public(idle)
        assert busy.node.log.tree.size == idle.node.log.tree.size == HOURLY
        assert busy.send(Asker(place, now=busy.clock.seconds).query()).status == 200


def test_a_sealed_node_that_starts_again_shows_the_head_that_it_showed(place: Place) -> None:
    with pair(place, "twin-sealed-again") as (busy, _):
        busy.clock.forward(HOUR)
        tick(busy)
        assert busy.send(Asker(place, now=busy.clock.seconds).query()).status == 200
        tick(busy)
        head, now, name = busy.node.log.head, busy.clock.now, busy.node.config.folder  # type: ignore[attr-defined]
        assert busy.node.log.tree.size == HOURLY + 1
        since = busy.node.log._since  # type: ignore[attr-defined]
    with opened(name, now) as again:
        log: Any = again.node.log
        log._since = since
        log.head = log._signed = log._kept()
        assert log.head == head
        again.run(log.show())
        assert (log.head, log.tree.size) == (head, HOURLY + 1)


def test_the_open_log_of_a_department_does_not_know_its_sealed_looks(place: Place) -> None:
    with pair(place, "twin-sealed-open") as (busy, _), inside(place, "twin-sealed-beside", PROVIDER) as open_node:
        before = public(open_node)
        assert busy.send(Asker(place, now=busy.clock.seconds).query()).status == 200
        tick(busy)
        assert public(open_node) == before
