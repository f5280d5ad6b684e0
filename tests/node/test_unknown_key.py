"""A key that the directory does not list: the node looks once whether it is listed by now, and not for everybody."""

import asyncio
from typing import Any

import pytest

from tests.exchange.city import the_entries
from tests.node.counter import Counter
from tests.node.directories import Cell
from tests.world import a_key
from tongban.node import source as sources
from tongban.node.source import DirectorySource


async def looked(source: DirectorySource) -> bool:
    assert source.current is not None
    return await source.look_again(source.current)


def counted(source: DirectorySource, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every look at where the directory lies."""
    looks: list[int] = []
    fetch = source._fetch

    async def noted() -> Any:
        looks.append(1)
        return await fetch()

    monkeypatch.setattr(source, "_fetch", noted)
    return looks


def test_a_newer_directory_is_adopted_at_once(settled: Cell) -> None:
    settled.source._looked = 0
    settled.publish(the_entries())
    before = settled.directory.version
    assert asyncio.run(looked(settled.source))
    assert settled.directory.version == before + 1


def test_who_knows_an_older_one_is_told_so_without_a_look(settled: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    older = settled.directory
    settled.publish(the_entries())
    assert settled.pull()
    looks = counted(settled.source, monkeypatch)
    assert asyncio.run(settled.source.look_again(older))
    assert looks == []


def test_a_thousand_made_up_keys_are_one_look(settled: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = counted(settled.source, monkeypatch)

    async def flood() -> list[bool]:
        settled.source._looked = asyncio.get_running_loop().time() - sources.AGAIN
        together = await asyncio.gather(*(looked(settled.source) for _ in range(500)))
        return [*together, *[await looked(settled.source) for _ in range(500)]]

    assert asyncio.run(flood()) == [False] * 1000
    assert len(looks) == 1


def test_a_source_that_does_not_answer_holds_nobody_up(settled: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "AGAIN", 0.05)
    fetch = settled.source._fetch

    async def slow() -> tuple[bool, bool]:
        let_go = asyncio.Event()

        async def waiting() -> Any:
            await let_go.wait()
            return await fetch()

        monkeypatch.setattr(settled.source, "_fetch", waiting)
        settled.publish(the_entries())
        known = settled.directory
        settled.source._looked = 0
        first = await asyncio.wait_for(settled.source.look_again(known), 20)
        let_go.set()
        assert settled.source._looking is not None
        await settled.source._looking
        return first, await settled.source.look_again(known)

    assert asyncio.run(slow()) == (False, True)


@pytest.mark.parametrize(("consumer", "looks"), [("", 1), ("11990100TB0000999X", 0)])
def test_nobody_looks_for_a_member_that_is_not_listed(counter: Counter, consumer: str, looks: int) -> None:
    asked: list[Any] = []

    async def look_again(known: Any) -> bool:
        asked.append(known)
        return False

    counter.source.look_again = look_again
    change = {"consumer": consumer} if consumer else {}
    assert counter.ask(key=a_key("stranger", "online"), **change).status == 401
    assert len(asked) == looks
