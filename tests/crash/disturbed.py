"""A city whose processes are killed, and rounds that are carried through while they are."""

import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.crash.strikes import POINTS, STRIKING, Kill, Orders
from tests.journeys.town import ENVIRONMENT, REVIEWER, ROOT, Town, alive, command
from tongban.tlog.checkpoint import parse

#: Verbs of a round. Most of the work, and so most of the kills, falls to the second.
STEPS = ("new", "verify", "decide", "freeze", "draw", "publish")
_SHARE = {"new": 1, "verify": 8, "decide": 1, "freeze": 3, "draw": 3, "publish": 1}
#: Seconds in which a step must be done, however often it was hit.
PATIENCE = 240.0


class Struck(Town):
    """A town whose processes fall where an order says so, and whose supervisor is started again when it falls."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.orders = Orders(folder.with_name("strikes"))
        paths = os.pathsep.join((str(STRIKING), ENVIRONMENT["PYTHONPATH"]))
        self.environment = {**ENVIRONMENT, "PYTHONPATH": paths, **self.orders.environment}
        self.starts = 0
        self.left: list[str] = []  #: children that were alive when their supervisor's successor was ready
        #: By witness and log, every head that was found remembered, in the order of finding.
        self.witnessed: dict[tuple[str, str], list[tuple[int, bytes]]] = {}

    def start(self) -> "Struck":
        """Until it is ready; whoever falls on the way is started again, at once."""
        while not (told := self._begun()):
            assert self.process.wait() == -signal.SIGKILL, self._errors()
            self.process.stdout.close()
        self.said = json.loads(told)
        assert "published" in self.said, told
        assert self.said["refused"] is None, told
        return self

    def _begun(self) -> str:
        self.starts += 1
        with self.folder.with_name("up.err").open("ab") as file:
            self.process = subprocess.Popen(
                command(*self._words), cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=file, text=True
            )
        return str(self.process.stdout.readline())

    def _errors(self) -> str:
        return self.folder.with_name("up.err").read_text(errors="replace")[-3000:]

    def look_at_witnesses(self) -> None:
        for node in self.nodes:
            for place in (self.folder / "nodes" / node / "witness").glob("*.note"):
                head = parse(place.read_bytes())[0]
                heads = self.witnessed.setdefault((node, head.origin), [])
                if (head.size, head.root) not in heads[-1:]:
                    heads.append((head.size, head.root))

    def fall(self) -> None:
        """SIGKILL for the supervisor, and at once another one. Nothing of the former may outlive the start."""
        former = [*map(named, self.children().values())]
        self.process.kill()
        self._follow(former)

    def fall_while_stopping(self) -> None:
        """Asked to stop; the supervisor falls while it tells its children."""
        former = [*map(named, self.children().values())]
        self.process.terminate()
        self._follow(former)

    def _follow(self, former: list[str]) -> None:
        assert self.process.wait(60) == -signal.SIGKILL, self._errors()
        self.process.stdout.close()
        self.start()
        self.left += [one for one in former if one and one in map(named, pids())]


def named(pid: int) -> str:
    """A process by number and birth, since numbers come again; empty if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in "ZX" else f"{pid}@{fields[19]}"


def pids() -> list[int]:
    return [int(one) for one in os.listdir("/proc") if one.isdigit()]


def of_city(folder: Path) -> set[int]:
    """Every living process that was started for a node of the city, whoever is its parent."""
    found = set()
    for pid in pids():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if alive(pid) and any(word.startswith(f"{folder}/nodes/") for word in words):
            found.add(pid)
    return found


class Disturbed:
    """One round, step by step as commands, each taken again until it is done, and what is killed meanwhile."""

    def __init__(self, town: Struck, id: str, kills: list[Kill], chance: random.Random) -> None:
        self.town, self.id, self.kills, self.chance = town, id, kills, chance
        self.runner: Any = None
        self.statuses: Counter = Counter()
        self._failed: BaseException | None = None
        town.round(id).mkdir()
        shutil.copy(town.round(town.first_round) / "round.key", town.round(id) / "round.key")
        shutil.copytree(town.folder / "parties" / town.first_round, town.folder / "parties" / id)

    def carry_through(self) -> "Disturbed":
        plan: dict[str, list[Kill]] = {step: [] for step in STEPS}
        for kill in self.kills:
            plan[self.chance.choices(STEPS, [_SHARE[step] for step in STEPS])[0]].append(kill)
        for step in STEPS:
            for kill in plan[step]:
                if kill.point and kill.role != "supervisor":
                    self.town.orders.give(kill, self.id)
            killer = threading.Thread(
                target=self._guarded, args=([kill for kill in plan[step] if self._outside(kill)],)
            )
            killer.start()
            self._take(step, [kill for kill in plan[step] if kill.role == "runner" and not kill.point])
            killer.join()
            assert self._failed is None, self._failed
            self.town.look_at_witnesses()
        for kill in self.kills:
            if not kill.struck and not self.town.orders.obeyed(kill):
                self._after_all(kill)
        return self

    def _guarded(self, kills: list[Kill]) -> None:
        """What fails in the killing thread fails the test."""
        try:
            for kill in kills:
                self._supervisor(kill) if kill.role == "supervisor" else self._strike(kill, self._victim())
        except BaseException as error:
            self._failed = error

    @staticmethod
    def _outside(kill: Kill) -> bool:
        """Whether it comes from outside while the step runs."""
        return kill.role == "supervisor" or (kill.role in ("node", "witness") and kill.point is None)

    # --- the runner -----------------------------------------------------------------------------------

    def _take(self, step: str, kills: list[Kill]) -> None:
        """Run the step until it is done, and as often as somebody is to be killed while running it."""
        ends = time.monotonic() + PATIENCE
        status = None
        while status != 0 or kills:
            assert time.monotonic() < ends, f"{step} is not done after {PATIENCE:.0f} s: {self.statuses}"
            kill = kills.pop() if kills else None
            status, said = self._run(step, kill)
            self.town.look_at_witnesses()
            if kill and not kill.struck:
                kill.delay = self.chance.random() / 10 if kill.delay else 0.0
                kills.append(kill)
            self.statuses[step, status] += 1
            # 1: a department is silent; 3: the own node's door is shut. Anything else no repetition would heal.
            assert status in (0, 1, 3, -signal.SIGKILL), (step, status, said[-2000:])

    def _run(self, step: str, kill: Kill | None, idle: bool = False) -> tuple[int, str]:
        words = ("round", step, self.id, "--city", self.town.folder)
        more = ("--reviewer", REVIEWER) if step == "publish" else ()
        with subprocess.Popen(
            command(*words, *more), cwd=ROOT, env=self.town.environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
        ) as runner:  # fmt: skip
            if kill:
                self._strike(
                    kill, lambda: runner.pid if runner.poll() is None else None, lambda: runner.poll() is None, idle
                )
            said = runner.stdout.read() if runner.stdout else ""
        return runner.returncode, said

    # --- everybody else -------------------------------------------------------------------------------

    def _victim(self) -> Callable[[], int | None]:
        node = self.chance.choice(self.town.nodes)
        return lambda: self.town.children().get(node)

    def _strike(
        self,
        kill: Kill,
        pid: Callable[[], int | None],
        working: Callable[[], bool] = lambda: True,
        idle: bool = False,
    ) -> None:
        """Wait until something is written, or the victim is done; a little more; then kill.

        idle: nothing will be written, for everything is done already.
        """
        if idle:
            time.sleep(kill.delay)
        else:
            self._wait_for_work(kill.delay, working)
        ends = time.monotonic() + 60
        while not kill.struck and time.monotonic() < ends and working():
            if (victim := pid()) is not None:
                os.kill(victim, signal.SIGKILL)
                kill.struck = "random"
            else:
                time.sleep(0.001)

    def _written(self) -> int:
        """Grows with everything that the round, and the node of the department in charge, write."""
        log = self.town.logs()["transport"] / "entries" / "00000000.log"
        # By its time: the file's room is made ahead of what is written into it.
        return log.stat().st_mtime_ns + sum(len(files) for _, _, files in os.walk(self.town.round(self.id)))

    def _supervisor(self, kill: Kill) -> None:
        if kill.point is None:
            self._wait_for_work(kill.delay)
            self.town.fall()
            kill.struck = "random"
            return
        self.town.orders.give(kill)
        if kill.point == POINTS["supervisor"][1]:
            self.town.fall_while_stopping()
        else:
            # A node falls, and its supervisor in starting it again.
            former = [*map(named, self.town.children().values())]
            for node in self.chance.sample(self.town.nodes, kill.skip + 1):
                if (pid := self.town.children().get(node)) is not None:
                    os.kill(pid, signal.SIGKILL)
            self.town._follow(former)
        assert self.town.orders.obeyed(kill)

    def _wait_for_work(self, delay: float, working: Callable[[], bool] = lambda: True) -> None:
        size, ends = self._written(), time.monotonic() + 5
        while self._written() == size and time.monotonic() < ends and working():
            time.sleep(0.001)
        time.sleep(delay)

    def _after_all(self, kill: Kill) -> None:
        """Nobody came to the chosen point while the round lasted: the kill falls at random after all."""
        if not self.town.orders.withdraw(kill):
            return
        if kill.role == "runner":
            # Before Python has read the program: a command with nothing to do is over in half a second.
            kill.delay = self.chance.random() / 20
            while not kill.struck:
                self._run("publish", kill, idle=True)
        else:
            self._strike(kill, self._victim())
