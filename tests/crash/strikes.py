"""Whom a kill hits, and where: at a chosen call of the victim's own (tests/crash/striking), or at a random instant."""

import json
import os
import random
from dataclasses import dataclass, field
from pathlib import Path

ROLES = ("node", "runner", "supervisor", "witness")
STRIKING = Path(__file__).with_name("striking")


@dataclass(frozen=True)
class Point:
    """A place between two system calls of the victim; `path` is a pattern of what the call works on."""

    call: str  #: "rename", "fsync", "fdatasync", "pwrite"; "spawn" or "signal" of a child
    when: str  #: "before" or "after" it; "half": with half of the bytes written
    path: str


#: The places that must bear a kill, by role: what is written before what is promised there.
POINTS = {
    "node": (
        Point("pwrite", "half", r"/nodes/[^/]+/log/entries/"),  # entries torn in the middle
        Point("fdatasync", "before", r"/nodes/[^/]+/log/entries/"),
        Point("fdatasync", "after", r"/nodes/[^/]+/log/entries/"),  # logged, and not answered
        Point("fsync", "before", r"/spool/[0-9a-f]+\.sealed\.new$"),  # a part while it is spooled
        Point("rename", "before", r"/spool/[0-9a-f]+\.sealed$"),
        Point("rename", "after", r"/spool/[0-9a-f]+\.sealed$"),
        Point("fsync", "after", r"/nodes/[^/]+/log/checkpoints\.log$"),  # a head kept and not published
        Point("rename", "before", r"/nodes/[^/]+/log/cosigned$"),  # cosigned, and not kept by the log's owner
    ),
    "runner": (
        Point("rename", "before", r"/rounds/ROUND/answers/"),
        Point("rename", "after", r"/rounds/ROUND/answers/"),
        Point("rename", "before", r"/rounds/ROUND/(verdicts|decisions|frozen|drawn|published)$"),
        Point("rename", "after", r"/rounds/ROUND/(verdicts|decisions|frozen|drawn|published)$"),
        Point("rename", "before", r"/rounds/ROUND/receipts/"),  # in the log, and its receipt not kept
        Point("fsync", "before", r"/rounds/ROUND/\.new-"),
    ),
    "supervisor": (
        Point("spawn", "after", r"node run"),
        Point("signal", "after", r"node run"),
    ),
    "witness": (
        Point("fsync", "before", r"/witness/[0-9a-f]+\.note\.new$"),
        Point("rename", "before", r"/witness/[0-9a-f]+\.note$"),
        Point("rename", "after", r"/witness/[0-9a-f]+\.note$"),  # remembered, and its line not sent
    ),
}


@dataclass
class Kill:
    """One SIGKILL."""

    role: str
    point: Point | None  #: None: a random instant
    skip: int  #: times that a process passes the point unharmed
    delay: float  #: of a random one: seconds after the victim was first seen to write
    struck: str = ""  #: how it was done in the end: "chosen" or "random"
    order: str = field(default="", repr=False)


def planned(chance: random.Random, kills: int) -> list[Kill]:
    """As many of each role; of each role every second one at a chosen point, each point in its turn."""
    turns = {role: chance.randrange(100) for role in ROLES}
    found = []
    for number in range(kills):
        role = ROLES[number % len(ROLES)]
        points, turns[role] = POINTS[role], turns[role] + 1
        chosen = number // len(ROLES) % 2 == 0
        point = points[turns[role] // 2 % len(points)] if chosen else None
        delay = chance.choice((0.0, 0.002, chance.random() / 4))
        found.append(Kill(role, point, chance.choice((0, 0, 1, 3)), delay))
    chance.shuffle(found)
    return found


class Orders:
    """The folder in which the processes find where they are to fall."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self._given = folder, 0

    @property
    def environment(self) -> dict[str, str]:
        """For the processes that are to obey."""
        return {"TONGBAN_STRIKES": str(self.folder)}

    def give(self, kill: Kill, round: str = "") -> None:
        assert kill.point is not None
        self._given += 1
        kill.order = f"{self._given:04d}.order"
        told = {
            "call": kill.point.call,
            "when": kill.point.when,
            "path": kill.point.path.replace("ROUND", round),
            "skip": kill.skip,
        }
        draft = self.folder / "draft"
        draft.write_text(json.dumps(told))
        draft.rename(self.folder / kill.order)

    def obeyed(self, kill: Kill) -> bool:
        """Whether somebody fell by it."""
        if not kill.struck and any(self.folder.glob(f"{kill.order}.*.done")):
            kill.struck = "chosen"
        return kill.struck == "chosen"

    def withdraw(self, kill: Kill) -> bool:
        """Whether nobody falls by it any more; False if somebody has."""
        try:
            os.unlink(self.folder / kill.order)
        except FileNotFoundError:
            return not self.obeyed(kill)
        return True
