"""Rounds in a hamlet while nodes, and the commands that run the rounds, are killed by SIGKILL at random instants.

The round that `up` held before is the undisturbed one. The others have its secret and its parties' shares, so that
everything down to the winners must come out as the same bytes. SIGKILL is no power cut.
"""

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pytest

from tests.full import count, seed
from tests.journeys.town import ENVIRONMENT, REVIEWER, ROOT, Town, alive, command, until
from tongban.cli import log_check, log_read
from tongban.cli.keyring import read as read_directory
from tongban.exchange.grant import Quota
from tongban.kit.errors import Refused
from tongban.node import config as configs
from tongban.node.program import build
from tongban.tlog.tree import leaf_hash

pytestmark = [pytest.mark.crash, pytest.mark.timeout(580)]

KILLS_A_ROUND = 4
ROUNDS = -(-count("kills", KILLS_A_ROUND, 60) // KILLS_A_ROUND)
#: Verbs of a round, and how likely a kill falls into each.
STEPS = {"new": 1, "verify": 8, "decide": 1, "freeze": 3, "draw": 3, "publish": 1}
RUNNER = "runner"
SAME = ("verdicts/verdicts.parquet", "decisions/decisions.parquet", "frozen/decisions.parquet", "frozen/codes.parquet",
        "frozen/persons/pool.csv", "frozen/units/pool.csv", "drawn/persons/winners.csv", "drawn/units/winners.csv",
        "drawn/winners.parquet")  # fmt: skip


@dataclass
class Kill:
    """One SIGKILL: in which step, whom, and how long after the victim was first seen to write something."""

    step: str
    victim: str
    delay: float
    done: bool = False


def planned(chance: random.Random, nodes: list[str]) -> list[Kill]:
    """Most kills fall while departments are asked; later only the asking node and the runner have work."""
    steps = chance.choices(list(STEPS), list(STEPS.values()), k=KILLS_A_ROUND)
    asked = [*nodes, RUNNER, RUNNER, "transport", "public-security"]
    victims = {"verify": asked, "decide": [RUNNER], "publish": [RUNNER]}
    return [
        Kill(
            step,
            chance.choice(victims.get(step, [RUNNER, "transport"])),
            chance.choice((0.0, 0.002, chance.random() / 4)),
        )
        for step in steps
    ]


class Disturbed:
    """One round, step by step as commands, each taken again until it is done, and what is killed meanwhile."""

    def __init__(self, town: Town, id: str, kills: list[Kill]) -> None:
        self.town, self.id, self.kills = town, id, kills
        self.runner: subprocess.Popen | None = None
        self.statuses: Counter = Counter()
        town.round(id).mkdir()
        shutil.copy(town.round(town.first_round) / "round.key", town.round(id) / "round.key")
        shutil.copytree(town.folder / "parties" / town.first_round, town.folder / "parties" / id)

    def carry_through(self) -> "Disturbed":
        for step in STEPS:
            mine = [kill for kill in self.kills if kill.step == step]
            killer = threading.Thread(target=lambda mine=mine: [self._strike(kill) for kill in mine])
            self.runner = None
            killer.start()
            self._take(step)
            killer.join()
        return self

    def _take(self, step: str) -> None:
        words = ("round", step, self.id, "--city", self.town.folder)
        more = ("--reviewer", REVIEWER) if step == "publish" else ()
        ends = time.monotonic() + 120
        status = None
        while status != 0:
            assert time.monotonic() < ends, f"{step} is not done after 120 s: {self.statuses}"
            with subprocess.Popen(
                command(*words, *more), cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as self.runner:
                said = self.runner.stdout.read()
            status = self.runner.returncode
            self.statuses[step, status] += 1
            # 1: a department is silent; 3: the own node's door is shut. Anything else no repetition would heal.
            assert status in (0, 1, 3, -signal.SIGKILL), (step, status, said.decode()[-2000:])

    # --- killing --------------------------------------------------------------------------------------

    def _strike(self, kill: Kill) -> None:
        """Wait until the victim writes something, or the runner is done without that; a little more; then kill."""
        size = self._written(kill.victim)
        while self._written(kill.victim) == size and (self.runner is None or self.runner.poll() is None):
            time.sleep(0.001)
        time.sleep(kill.delay)
        ends = time.monotonic() + 60
        while not kill.done and time.monotonic() < ends:
            if (pid := self._pid(kill.victim)) is not None:
                os.kill(pid, signal.SIGKILL)
                kill.done = True
            else:
                time.sleep(0.001)

    def _pid(self, victim: str) -> int | None:
        """Its process. Where the runner has nothing left to do, its own node falls instead."""
        if victim == RUNNER and self.runner is not None and self.runner.poll() is None:
            return self.runner.pid
        return self.town.children().get("transport" if victim == RUNNER else victim)

    def _written(self, victim: str) -> int:
        """Grows with everything that the victim writes."""
        if victim == RUNNER:
            return sum(len(names) + len(folders) for _, folders, names in os.walk(self.town.round(self.id)))
        return (self.town.logs()[victim] / "entries" / "00000000.log").stat().st_size


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    running = Town(tmp_path_factory.mktemp("kills") / "hamlet").start()
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture(scope="module")
def rounds(town):
    """Every disturbed round, carried through; then all nodes answer again and nothing is left to be committed."""
    chance = random.Random(seed())
    made = []
    for number in range(ROUNDS):
        one = Disturbed(town, f"kills-{number}", planned(chance, town.nodes)).carry_through()
        made.append(one)
    until(lambda: all(alive(town.pid(node)) for node in town.nodes), "every node answers again")
    until(town.persons_committed, "the persons of every batch are committed")
    return made


def test_every_kill_fell_on_a_living_process(rounds):
    kills = [kill for one in rounds for kill in one.kills]
    assert len(kills) == ROUNDS * KILLS_A_ROUND
    assert all(kill.done for kill in kills)


def test_a_round_in_which_everything_is_killed_ends_in_the_bytes_of_one_in_which_nothing_is(town, rounds):
    for one in rounds:
        for name in SAME:
            undisturbed = (town.round(town.first_round) / name).read_bytes()
            assert (town.round(one.id) / name).read_bytes() == undisturbed, (one.id, name, one.kills)


def test_every_acknowledged_entry_is_in_the_logs_of_both_sides(town, rounds):
    logs = logs_by_origin(town)
    for one in rounds:
        receipts = sorted((town.round(one.id) / "answers").glob("*.json"))
        assert len(receipts) == len(list((town.round(town.first_round) / "answers").glob("*.json")))
        for place in receipts:
            receipt = log_check.Receipt.read(place.read_bytes())
            checks = log_check.provider_side(receipt, logs[receipt.origin])
            checks += log_check.consumer_side(receipt, town.logs()["transport"])
            assert [what for good, what in checks if not good] == [], place.name


def test_every_answer_that_the_asker_logged_is_in_the_log_it_came_from(town, rounds):
    leaves = {
        origin: [leaf_hash(entry.leaf).hex() for entry in log_read.entries(place)]
        for origin, place in logs_by_origin(town).items()
    }
    answers = [log_read.record_of(one) for one in town.entries("transport") if kind(one) == "answer"]
    assert len(answers) > 20 * ROUNDS
    for answer in answers:
        assert leaves[answer["origin"]][answer["entry"]] == answer["leaf"]


def test_every_log_holds_with_all_its_signatures(town, rounds):
    for node in town.logs():
        verified = town.verified(node)
        assert verified.holds, (node, verified.problems)


def test_every_question_was_answered_once_and_its_persons_committed_once(town, rounds):
    for node in set(town.nodes) - {"transport"}:
        entries = town.entries(node)
        committed = Counter(log_read.leaf_of(one)["batch"] for one in entries if kind(one) == "batch-persons")
        asked = {one.index: log_read.record_of(one) for one in entries if kind(one) == "batch"}
        assert committed == Counter(asked.keys())
        parts = Counter((record["round"], record["rule"], record["part"]) for record in asked.values())
        assert set(parts.values()) == {1}
        keys = Counter((record["grant"], record["idempotency"]) for record in asked.values())
        assert set(keys.values()) == {1}


def test_a_stage_that_was_logged_again_is_the_same_stage(town, rounds):
    digests = defaultdict(set)
    for one in town.entries("transport"):
        if kind(one) == "round":
            body = log_read.leaf_of(one)["body"]
            digests[body["round"], body["stage"]].add(body["digest"])
    assert len(digests) == 5 * (ROUNDS + 1)
    assert {len(found) for found in digests.values()} == {1}


def test_anybody_finds_that_every_draw_holds_and_was_frozen_before_it(town, rounds):
    directory, log = town.folder / "hub" / "public" / "directory.json", town.logs()["transport"]
    for one in rounds:
        for pool in ("persons", "units"):
            bundle = town.round(one.id) / "published" / "public" / pool
            words = command("draw", "verify", bundle, "--directory", directory, "--log", log)
            done = subprocess.run(words, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (one.kills, done.stdout)


def test_a_city_whose_supervisor_is_killed_goes_down_with_it(town, rounds):
    pids = [town.pid(node) for node in town.nodes]
    assert all(map(alive, pids))
    town.process.kill()
    town.process.wait()
    town.process.stdout.close()
    until(lambda: not any(map(alive, pids)), "the nodes follow their supervisor")


def test_what_was_asked_again_was_charged_once(town, rounds):
    """A node that starts from this log has spent what its distinct questions cost, and not one person more."""
    if town.process.poll() is None:
        assert town.stop() == 0
    grants = read_directory(town.folder / "hub" / "public" / "directory.json").grants
    for name in set(town.nodes) - {"transport"}:
        cost = defaultdict(dict)
        for one in town.entries(name):
            if kind(one) == "batch":
                record = log_read.record_of(one)
                cost[record["grant"]][record["idempotency"]] = log_read.leaf_of(one)["n"]
        assert cost
        node = build(configs.read(town.folder / "nodes" / name))
        for grant, persons in cost.items():
            spent = Quota(len(persons), sum(persons.values()), 10**10)
            assert room(node, grants[grant], calls=spent.calls, persons=spent.persons + 1) is False
            assert room(node, grants[grant], calls=spent.calls + 1, persons=spent.persons) is False
            assert room(node, grants[grant], calls=spent.calls + 1, persons=spent.persons + 1) is True
        node.log.close()


def room(node, grant, *, calls: int, persons: int) -> bool:
    """Whether one more call about one person would find room in a window that holds every call ever made."""
    with_quota = replace(grant, quota=Quota(calls, persons, 10**10))
    return not isinstance(node.journal.reserve(with_quota, None, node.clock.seconds()), Refused)


def kind(entry) -> str:
    return str(log_read.leaf_of(entry)["kind"])


def logs_by_origin(town: Town) -> dict[str, Path]:
    return {orjson.loads((log / "log.json").read_bytes())["origin"]: log for log in town.logs().values()}
