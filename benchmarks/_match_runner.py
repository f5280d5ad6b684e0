"""The round's own process in `./tongban bench match`: opens a round, asks the six, puts the findings together.

python -m benchmarks._match_runner PLACE [LIST]
    one line in, the round's id; one line out, JSON. With LIST it only opens rounds over that list, from the raw
    applications; without it, it verifies and decides opened ones, as `round verify` and `round decide` do.
"""

import asyncio
import dataclasses
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import _match_staged as staged
from benchmarks._match_world import CONSUMER, OPERATOR, World
from benchmarks._six import AS_OF, AT
from benchmarks._six_rules import APPLICATION, SIX
from tongban.calendar.workdays import shipped_calendar
from tongban.cli.city import software
from tongban.cli.door import NodeDoor
from tongban.kit import canonical
from tongban.kit.errors import Refused
from tongban.kit.keys import new_key
from tongban.rounds import runner, steps
from tongban.rounds.applications import read_raw
from tongban.rounds.folder import RoundFolder, Stage
from tongban.rounds.policy import Kind, Policy, Step
from tongban.rounds.questions import Question, question_of
from tongban.rounds.round import log_body, new_round, open_folder
from tongban.rules.compile import compile_applies
from tongban.rules.decision import Decision, Group

KIND = "resident"
POLICY = Policy(
    date.fromisoformat(AT), "bench", {"persons": 1}, (Step("persons", 0, 1, 0),),
    {"answer_working_days": 8, "recheck_working_days": 10, "smallest_published_count": 10},
    (Kind(KIND, "persons", "身份证", "citizen"),), (), {},
)  # fmt: skip
DECISIONS = {KIND: Decision(KIND, Group("all", tuple(one.rule.name for one in SIX)))}


def questions(world: World, approved: dict[str, tuple[str, str]]) -> list[Question]:
    """The six as the round asks them: all at once, every applicant of every department."""
    found = []
    for one in SIX:
        compiled = world.compiled(one)
        digest, text = approved[compiled.rule.id]
        assert hashlib.sha256(canonical.encode(dict(compiled.text))).hexdigest() == text
        condition = compile_applies(compiled.rule, APPLICATION)
        asked = question_of(compiled, condition, department=one.node, first=False, at=date.fromisoformat(AT))
        found.append(dataclasses.replace(asked, digest=digest))
    return found


def door(world: World) -> NodeDoor:
    return NodeDoor(world.node(CONSUMER) / "door.sock", OPERATOR)


async def opened(world: World, id: str, listed: Path) -> dict[str, Any]:
    """Open a round over a raw list."""
    began, cpu = time.perf_counter(), time.process_time()
    async with door(world) as way:
        asked = questions(world, way.rules)
        round = new_round(
            id=id, matter="six", at=date.fromisoformat(AT), received_on=date.fromisoformat(AS_OF),
            rules={one.rule: one.digest for one in asked}, policy=POLICY, parties={"one": "One", "two": "Two"},
            days=shipped_calendar(),
        )  # fmt: skip
        found = read_raw(listed, POLICY)
        open_folder(world.folder / "rounds" / id, round, found.to_bytes())
        await way.round_entry({**log_body(id, "opened", round.digest()), "at": AT})
    took = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    return {"round": id, "applications": len(found), **took}


class Watch:
    """Seconds of wall and of this process's CPU by step."""

    def __init__(self) -> None:
        self.steps: dict[str, tuple[float, float]] = {}
        self.told: list[dict[str, Any]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began, cpu = time.perf_counter(), time.process_time()
        yield
        self.steps[name] = (time.perf_counter() - began, time.process_time() - cpu)

    def tell(self, one: runner.Told) -> None:
        if one.state in ("answered", "silent"):
            self.told.append(dataclasses.asdict(one))


KEY = new_key("bench.approval.1")


async def held(world: World, id: str) -> dict[str, Any]:
    """Verify and decide an opened round."""
    folder, watch, began = RoundFolder(world.folder / "rounds" / id), Watch(), time.perf_counter()
    with folder.locked():
        async with door(world) as way:
            with watch.step("read the list"):
                asked = steps.asking(folder, questions(world, way.rules))
            with watch.step("ask"):
                silent = await runner.ask(folder, asked, way, watch.tell)
        if silent:
            raise RuntimeError(f"silent: {sorted({f'{one.rule} {one.code}' for one in silent})}")
        with watch.step("verify"):
            done = steps.verify(folder, asked)
        assert not isinstance(done, Refused)
        with watch.step("decide"):
            steps.decide(folder, asked, DECISIONS, KEY, software())
    came = [json.loads(path.read_bytes()) for path in sorted((folder.path / "answers").glob("*.json"))]
    return {
        "steps": watch.steps,
        "told": watch.told,
        "up": sum(one["bytes_up"] for one in came),
        "down": sum(one["bytes_down"] for one in came),
        "results": str(folder.directory(Stage.DECIDED) / "decisions.parquet"),
        "list": str(folder.path / "applications.parquet"),
        "stages": staged.within(staged.EVENTS, began, time.perf_counter()),
    }


def main(place: str, *listed: str) -> None:
    world = World(Path(place))
    if os.environ.get("TONGBAN_BENCH_STAGED"):
        staged.install(staged.RUNNER)
    for line in sys.stdin:
        act = opened(world, line.strip(), Path(listed[0])) if listed else held(world, line.strip())
        print(json.dumps(asyncio.run(act)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
