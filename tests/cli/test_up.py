"""What `up --json` says of the round that it held, however far that came."""

import asyncio
from typing import Any

import pytest

from tongban.cli import round_steps, up
from tongban.kit.errors import Refused

SILENT = {"round": "2014-3", "stage": "new", "silent": ["police licence (exchange.no_answer)"], "exit": 1}


def a_round_that_comes_to(monkeypatch: pytest.MonkeyPatch, **outcomes: Any) -> dict[str, Any]:
    """The round of `up` over steps that end as told; every other step does what it should."""

    class Steps:
        def __init__(self, *_: Any) -> None:
            """Nothing is opened."""

        async def new(self, _: Any) -> Any:
            return {"round": "2014-3"}

        async def verify(self, *_: Any) -> Any:
            return outcomes.get("verified", {"stage": "verified"})

        def decide(self, _: Any) -> Any:
            return {"stage": "decided"}

        def draws(self, _: Any) -> bool:
            return True

        async def freeze(self, *_: Any) -> Any:
            return outcomes.get("frozen", {"stage": "frozen"})

        async def draw(self, _: Any) -> Any:
            return {"stage": "drawn"}

        def publish(self, *_: Any) -> Any:
            return {"stage": "published"}

        def status(self, _: Any) -> Any:
            return {"stage": "published"}

    monkeypatch.setattr(round_steps, "Steps", Steps)
    return asyncio.run(up._round(None, True))


def test_a_finished_round_was_refused_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert a_round_that_comes_to(monkeypatch)["refused"] is None


def test_a_silent_department_is_told_as_the_step_that_it_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    said = a_round_that_comes_to(monkeypatch, verified={**SILENT, "what_to_do": "ask again"})
    assert said["refused"] == "verified"
    assert "decided" not in said


def test_a_step_that_was_refused_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    said = a_round_that_comes_to(monkeypatch, frozen=Refused("rounds.rechecks_open", "1 re-checks are open"))
    assert said["refused"] == "frozen"
    assert "drawn" not in said
