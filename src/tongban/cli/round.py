"""`./tongban round new|verify|status|decide|recheck|back|look|freeze|draw|publish`: a round, step by step.

Each step can be run again: what is done stays, what is missing is made up for.
"""

import argparse
import asyncio
import getpass
import json
import sys
import time
from pathlib import Path
from typing import Any

from tongban.cli import console
from tongban.cli.today import today
from tongban.cli.verbs import add_verbs
from tongban.kit.errors import Refused

_ID = "id of the round; the newest if left out"
_VERBS = {
    "new": ("open a round over the application list", "./tongban round new 2014-3"),
    "verify": (
        "ask all departments at the same time; ask again those that stayed silent; of a round that is further, check"
        " its folder",
        "./tongban round verify",
    ),
    "status": ("say how far the round is, and which department has answered what", "./tongban round status --json"),
    "decide": ("find what the verdicts come to for every application", "./tongban round decide"),
    "recheck": (
        "open or answer a re-check (复核) of one finding",
        "./tongban round recheck --application CODE --rule no_vehicle --official PS-0012 --because '车辆已于三月过户'",
    ),
    "back": (
        "set a round back before the freeze: departments are then asked on about those whom a re-check confirmed",
        "./tongban round back --because '复核后身份已确认'",
    ),
    "look": ("one applicant's own reasons", "./tongban round look --application CODE"),
    "freeze": ("fix the pools and commit to them in the log", "./tongban round freeze"),
    "draw": ("open the seed and draw", "./tongban round draw"),
    "publish": (
        "put report and bundles together after a second person's review",
        "./tongban round publish --reviewer T-0002",
    ),
}


def add(parser: argparse.ArgumentParser) -> None:
    made = add_verbs(parser, _VERBS)
    for one in made.values():
        one.add_argument("round", nargs="?", metavar="ROUND", help=_ID)
        one.add_argument("--city", type=Path, metavar="DIR", help="folder of the city; var/small if left out")
        one.add_argument("--operator", default="T-0001", help="staff number of the person who acts")
    made["verify"].add_argument("--department", action="append", default=[], help="ask only this one (repeatable)")
    made["verify"].add_argument("--accept-silence", metavar="STAFF", default="", help="go on without the silent ones")
    for verb in ("recheck", "look"):
        made[verb].add_argument("--application", required=True, help="application code")
        made[verb].add_argument(
            "--document", metavar="FILE", default="-", help="file with the document number; asked for if left out"
        )
    recheck = made["recheck"]
    recheck.add_argument("--rule", required=True, help="rule that is disputed")
    recheck.add_argument("--official", required=True, help="staff number of the named official at the source")
    recheck.add_argument("--because", default="", help="what the applicant says")
    recheck.add_argument("--answer", choices=("met", "not_met", "unknown"), help="the official's answer")
    recheck.add_argument("--reason", default="", help="reason code of the answer")
    recheck.add_argument("--explained", default="", help="what the official found")
    made["back"].add_argument("--because", required=True, help="why; kept beside what is set aside")
    made["freeze"].add_argument("--leave-open", action="store_true", help="freeze although re-checks are still open")
    made["publish"].add_argument("--reviewer", default="T-0002", help="staff number of the second person")


def run(args: argparse.Namespace) -> int:
    from tongban.cli import round_steps
    from tongban.cli.city import default_folder, open_city

    city = open_city(args.city or default_folder())
    if args.verb in ("look", "recheck"):
        args.document = _document(args.document)
    steps = round_steps.Steps(city, args.operator)
    began = time.monotonic()
    said = getattr(_Verbs(steps, args), args.verb)()
    if isinstance(said, Refused):
        return _no(said, args.json)
    said.setdefault("seconds", round(time.monotonic() - began, 3))
    status = int(said.pop("exit", 0))
    if args.json:
        console.emit(said)
    else:
        _show(said)
    return status


def _document(place: str) -> str:
    """A person's number never stands on a command line, which every user of the machine can read."""
    if place != "-":
        return Path(place).read_text(encoding="utf-8").strip()
    if sys.stdin.isatty():
        return getpass.getpass("document number (not shown): ").strip()
    return sys.stdin.readline().strip()


class _Verbs:
    """One method a verb: what is to be said, or why not."""

    def __init__(self, steps: Any, args: argparse.Namespace) -> None:
        self.steps, self.args = steps, args

    def new(self) -> Any:
        return asyncio.run(self.steps.new(self.args.round))

    def verify(self) -> Any:
        from tongban.cli.board import Board

        with Board(self.args.json) as board:
            only = frozenset(self.args.department)
            work = self.steps.verify(self.args.round, board.tell, only, self.args.accept_silence)
            return asyncio.run(work)

    def status(self) -> Any:
        return self.steps.status(self.args.round)

    def decide(self) -> Any:
        return self.steps.decide(self.args.round)

    def recheck(self) -> Any:
        a = self.args
        who = (a.application, a.document, a.rule, a.official)
        if a.answer:
            answer = (a.answer, a.reason, a.explained)
            return asyncio.run(self.steps.answer_recheck(a.round, *who, *answer, today()))
        return asyncio.run(self.steps.open_recheck(a.round, *who, a.because, today()))

    def back(self) -> Any:
        return self.steps.back(self.args.round, self.args.because, today())

    def look(self) -> Any:
        return self.steps.look(self.args.round, self.args.application, self.args.document)

    def freeze(self) -> Any:
        return asyncio.run(self.steps.freeze(self.args.round, self.args.leave_open))

    def draw(self) -> Any:
        return asyncio.run(self.steps.draw(self.args.round))

    def publish(self) -> Any:
        return self.steps.publish(self.args.round, self.args.reviewer, today())


def _no(refused: Refused, as_json: bool) -> int:
    if as_json:
        console.emit({"code": refused.code, "said": refused.reason})
    else:
        console.note(f"{refused.reason} ({refused.code})")
    return 1


def _show(said: dict[str, Any]) -> None:
    tables = said.pop("tables", [])
    for name, value in said.items():
        shown = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
        console.say(f"{name.replace('_', ' '):>18}  {shown}")
    for columns, rows in tables:
        console.say()
        console.table(columns, rows, right=range(1, len(columns)))
