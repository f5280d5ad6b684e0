"""A command that is told no day acts on the day in Beijing, whatever zone its machine is set to."""

import asyncio
import time
from argparse import Namespace
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tongban.cli import node, round_steps, solution, up
from tongban.cli import round as rounds
from tongban.kit.clock import MachineClock, unstamp
from tongban.node import config
from tongban.solution import package

#: One o'clock in the night in Beijing; in the machine's zone, and by UTC, the day before.
NIGHT = unstamp("2014-06-08T17:00:00Z")
IN_BEIJING = date(2014, 6, 9)


@pytest.fixture(autouse=True, params=["UTC", "America/New_York"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine set to a zone west of Beijing, in the night."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    monkeypatch.setattr(MachineClock, "seconds", lambda _: float(NIGHT))
    yield
    monkeypatch.undo()
    time.tzset()


class Days:
    """The steps of a round as far as they are told a day: what each was told last."""

    def __init__(self, *_: Any) -> None:
        self.told: dict[str, Any] = {}

    async def open_recheck(self, *told: Any) -> None:
        self.told["open_recheck"] = told[-1]

    async def answer_recheck(self, *told: Any) -> None:
        self.told["answer_recheck"] = told[-1]

    def back(self, *told: Any) -> None:
        self.told["back"] = told[-1]

    def publish(self, *told: Any) -> dict[str, Any]:
        self.told["publish"] = told[-1]
        return {"reviewed_on": told[-1]}

    def draws(self, *_: Any) -> bool:
        return True

    async def new(self, *_: Any) -> Any:
        return {"round": "2014-3"}

    async def verify(self, *_: Any) -> Any:
        return {}

    freeze = draw = verify

    def decide(self, *_: Any) -> Any:
        return {}

    status = decide


@pytest.mark.parametrize(
    ("verb", "answer", "step"),
    [
        ("recheck", "", "open_recheck"),
        ("recheck", "met", "answer_recheck"),
        ("back", "", "back"),
        ("publish", "", "publish"),
    ],
)
def test_a_step_of_a_round_is_dated_by_the_day_in_beijing(verb: str, answer: str, step: str) -> None:
    words = ("round", "application", "document", "rule", "official", "because", "reason", "explained", "reviewer")
    steps = Days()
    getattr(rounds._Verbs(steps, Namespace(**dict.fromkeys(words, ""), answer=answer)), verb)()
    assert steps.told == {step: IN_BEIJING}


def test_the_round_of_up_is_reviewed_on_the_day_in_beijing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(round_steps, "Steps", Days)
    assert asyncio.run(up._round(None, True))["published"] == {"reviewed_on": IN_BEIJING}


def test_the_rules_shown_are_those_in_force_on_the_day_in_beijing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[date] = []

    class Stop(Exception):
        """Nothing is shown here."""

    def load(_: Path, at: date) -> None:
        asked.append(at)
        raise Stop

    monkeypatch.setattr(package, "load", load)
    with pytest.raises(Stop):
        solution._show(Namespace(folder=Path(), at=None))
    assert asked == [IN_BEIJING]


def test_facts_are_made_as_of_the_day_in_beijing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[date] = []

    def read(_: object, day: date, *__: object) -> list[Any]:
        asked.append(day)
        return []

    monkeypatch.setattr(config, "read", lambda _: None)
    monkeypatch.setattr(node, "_read_registers", read)
    node._refresh(Namespace(folder=Path(), as_of=None, resource=None, accept_fewer=False))
    assert asked == [IN_BEIJING]
