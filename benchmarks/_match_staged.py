"""Where the time goes in `./tongban bench match staged=true`: functions of the product, timed from outside.

    python -m benchmarks._match_staged node run DIR      a node that leaves its stages in DIR/stages.json at its end

Stages nest: what a part of it took is inside what the whole took. CPU is the whole process's while the stage ran, so
work in other threads at the same time is in it; of what waits for others, only the wall time means anything.
"""

import atexit
import functools
import importlib
import inspect
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Name of the stage → module, class or "", function.
NODE = {
    "gate: whole call": ("tongban.node.gate", "Gate", "call"),
    "gate: body received": ("tongban.node.body", "BodyReader", "read"),
    "match: whole": ("tongban.node.match", "MatchDesk", "_judged"),
    "match: keys read, checked": ("tongban.node.match", "MatchDesk", "_keys"),
    "match: keys read": ("tongban.exchange.bulk", "", "read_keys"),
    "match: keys' form": ("tongban.node.match", "", "_spelt"),
    "match: facts opened": ("tongban.node.match", "MatchDesk", "_facts"),
    "match: evaluated": ("tongban.rules.engine", "", "evaluate"),
    "match: duckdb alone": ("tongban.rules.engine", "", "_answer"),
    "match: keys spooled": ("tongban.node.persons", "Persons", "spool"),
    "match: answer written": ("tongban.exchange.bulk", "", "write_answer"),
    "log: append": ("tongban.tlog.log", "Log", "append"),
    "persons: root (later)": ("tongban.node.persons", "Persons", "_root"),
    "consumer: door's ticket": ("tongban.node.door", "DoorApp", "_outgoing_batch"),
    "consumer: signed": ("tongban.exchange.client", "", "prepare"),
    "consumer: sent, answered": ("tongban.node.outlet", "Outlet", "_send"),
    "consumer: answer judged": ("tongban.exchange.client", "", "judge"),
}
RUNNER = {
    "list: read": ("tongban.rounds.steps", "", "read_applications"),
    "list: whom rules concern": ("tongban.rounds.verdicts", "Asking", "__init__"),
    "ask: parts made": ("tongban.rounds.verdicts", "Asking", "_parts"),
    "ask: parts made: keys": ("tongban.rounds.questions", "", "_keys"),
    "ask: parts made: shapes": ("tongban.rounds.questions", "", "_shapes"),
    "ask: parts made: layers": ("tongban.rounds.questions", "", "_layers_list"),
    "ask: parts made: key table": ("tongban.rounds.questions", "", "_key_table"),
    "ask: part's digest": ("tongban.rounds.questions", "Part", "digest"),
    "ask: part's body": ("tongban.rounds.questions", "Part", "body"),
    "ask: at the door": ("tongban.cli.door", "NodeDoor", "match"),
    "ask: answer kept": ("tongban.rounds.runner", "", "keep_answer"),
    "verify: answer read, judged": ("tongban.rounds.answers", "", "judged"),
    "verify: assembled": ("tongban.rounds.verdicts", "Asking", "assemble"),
    "verify: list's digest": ("tongban.rounds.steps", "", "file_digest"),
    "verify: written": ("tongban.rounds.steps", "", "_write_verdicts"),
    "decide: findings": ("tongban.rounds.results", "", "decide"),
    "decide: table": ("tongban.rounds.results", "", "result_table"),
    "decide: Parquet": ("tongban.rounds.parquet", "", "write"),
    "decide: manifest": ("tongban.rounds.steps", "", "_manifest"),
    "decide: whole": ("tongban.rounds.steps", "", "write_findings"),
}
Event = tuple[str, float, float, float]  #: stage, began (monotonic), wall, CPU
EVENTS: list[Event] = []


def install(stages: dict[str, tuple[str, str, str]]) -> None:
    """Time each function wherever it is called by that name."""
    for stage, (module, owner, name) in stages.items():
        place: Any = importlib.import_module(module)
        place = getattr(place, owner) if owner else place
        if hasattr(place, name):
            setattr(place, name, _timed(stage, getattr(place, name)))


def _timed(stage: str, act: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(act):

        @functools.wraps(act)
        async def waited(*args: Any, **kwargs: Any) -> Any:
            began, cpu = time.perf_counter(), time.process_time()
            try:
                return await act(*args, **kwargs)
            finally:
                EVENTS.append((stage, began, time.perf_counter() - began, time.process_time() - cpu))

        return waited

    @functools.wraps(act)
    def called(*args: Any, **kwargs: Any) -> Any:
        began, cpu = time.perf_counter(), time.process_time()
        try:
            return act(*args, **kwargs)
        finally:
            EVENTS.append((stage, began, time.perf_counter() - began, time.process_time() - cpu))

    return called


def within(events: list[Event], since: float, until: float) -> dict[str, tuple[int, float, float]]:
    """Count, wall and CPU by stage, of what began between two instants."""
    found: dict[str, tuple[int, float, float]] = {}
    for stage, began, wall, cpu in events:
        if since <= began <= until:
            count, walls, cpus = found.get(stage, (0, 0.0, 0.0))
            found[stage] = (count + 1, walls + wall, cpus + cpu)
    return found


def main() -> None:
    from tongban.cli.main import main as tongban

    install(NODE)
    place = Path(sys.argv[3]) / "stages.json"
    atexit.register(lambda: place.write_text(json.dumps(EVENTS)))
    sys.exit(tongban(sys.argv[1:]))


if __name__ == "__main__":
    main()
