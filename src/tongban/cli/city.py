"""A city on this machine, as the commands see it: its folder, its world's day, its matter and its rounds."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from tongban import __version__
from tongban.cli.door import NodeDoor
from tongban.cli.root import checkout
from tongban.demo.foundation import BASIS, CONSUMER, PURPOSE, Foundation
from tongban.kit import canonical
from tongban.kit.errors import Invalid, Unavailable
from tongban.kit.keys import SigningKey, read_key
from tongban.rounds.account import Names
from tongban.rounds.figures import Words
from tongban.rounds.folder import NoRound, RoundFolder
from tongban.rounds.questions import Question, question_of
from tongban.rules.compile import COMPILER_VERSION
from tongban.solution.package import Solution, load

MATTER = "car_lottery"
#: The world's own round: evaluation year → id.
ROUND_OF = {2011: "2011-6", 2014: "2014-3", 2016: "2016-3", 2026: "2026-2"}
POOLS = {"persons": Words("个人", "Persons"), "units": Words("单位", "Units")}


class NoCity(Unavailable):
    code = "cli.no_city"
    message = "There is no city in {folder}."
    remedy = "Start one with `./tongban up`, or name its folder with --city."


class OtherText(Invalid):
    """The rule here does not read as the one its owner approved."""

    code = "cli.other_rule_text"
    message = "Rule {rule} in {matter} is not the text that its owner approved."
    remedy = "Have the owner approve the new text, or take the approved version of the solution."


@dataclass(frozen=True, slots=True)
class City:
    """One city."""

    folder: Path
    size: str
    world: date  #: the day the data was handed over
    matter: str = MATTER  #: a folder of solutions/
    consumer: str = CONSUMER  #: node of the department in charge
    purpose: str = PURPOSE
    basis: str = BASIS
    own_round: str = ""  #: id of the round that `up` holds

    @property
    def at(self) -> date:
        """Evaluation date of the world's round: the day before the data is handed over."""
        return self.world - timedelta(days=1)

    @property
    def foundation(self) -> Foundation:
        return Foundation(self.folder, self.world, self.consumer, self.purpose, self.basis)

    @property
    def first_round(self) -> str:
        """Id of the round that `up` holds."""
        return self.own_round or ROUND_OF[self.at.year]

    @property
    def rounds(self) -> Path:
        return self.folder / "rounds"

    @property
    def solution_folder(self) -> Path:
        return checkout() / "solutions" / self.matter

    def solution(self, at: date | None = None) -> Solution:
        return load(self.solution_folder, at or self.at)

    def door(self, operator: str) -> NodeDoor:
        """The local door of the department in charge."""
        return NodeDoor(self.foundation.node(self.consumer) / "door.sock", operator)

    def approval_key(self) -> SigningKey:
        """Key with which the department in charge signs its results."""
        return read_key(self.foundation.office(self.consumer) / "approval.json")

    def round(self, id: str | None) -> RoundFolder:
        """A round by id; the newest if none is named. Raises NoRound."""
        found = sorted(self.rounds.glob("*/round.json"), key=lambda path: path.stat().st_mtime)
        if id is None and found:
            return RoundFolder(found[-1].parent)
        folder = RoundFolder(self.rounds / (id or "?"))
        if not (folder.path / "round.json").exists():
            raise NoRound(path=folder.path)
        return folder

    def names(self, solution: Solution) -> Names:
        members = {one.node: Words(one.name, one.name_en) for one in self.foundation.members()}
        matter = Words(solution.title, solution.title_en)
        kinds = {kind.code: Words(kind.title, kind.title_en) for kind in solution.kinds}
        return Names(Words("示例市", "Example City"), matter, members, POOLS, demonstration=True, kinds=kinds)


def open_city(folder: Path) -> City:
    """Raises NoCity."""
    about = folder / "city.json"
    if not about.exists():
        raise NoCity(folder=folder)
    held = json.loads(about.read_text())
    own = {name: held[name] for name in ("matter", "consumer", "purpose", "basis") if name in held}
    day = date.fromisoformat(held["world"])
    return City(folder.resolve(), held["size"], day, own_round=held.get("round", ""), **own)


def default_folder() -> Path:
    """The city that `up` starts when nothing is said."""
    return checkout() / "var" / "small"


def questions(solution: Solution, approved: Mapping[str, tuple[str, str]]) -> list[Question]:
    """The solution's rules as the round asks them, each under the digest that its owner approved.

    approved: rule → digest, digest of the text. Raises OtherText.
    """
    first = {name for names in solution.first.values() for name in names}
    order = list(dict.fromkeys(name for one in solution.decisions.values() for name in one.whole.rules()))
    found = []
    for name in order:
        compiled = solution.compile(name)
        rule = compiled.rule
        digest, text = approved.get(rule.id, ("", ""))
        if hashlib.sha256(canonical.encode(dict(compiled.text))).hexdigest() != text:
            raise OtherText(rule=rule.id, matter=solution.matter)
        department = solution.resources[rule.resource].department or ""
        question = question_of(
            compiled, solution.applies(name), department=department, first=name in first, at=solution.at
        )
        found.append(dataclasses.replace(question, digest=digest))
    return found


def software() -> dict[str, str]:
    """What had a hand in a result."""
    return {"tongban": __version__, "compiler": COMPILER_VERSION}
