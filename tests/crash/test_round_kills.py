"""Rounds in a hamlet while nodes, witnesses, the supervisor and the commands that run the rounds are killed by SIGKILL.

Half of the kills fall at random instants, half at chosen calls of the victim's own. The round that `up` held before is
the undisturbed one. The others have its secret and its parties' shares, so that everything down to the winners must
come out as the same bytes. SIGKILL is no power cut.
"""

import random
import subprocess
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from tests.crash.disturbed import Disturbed, Struck, of_city
from tests.crash.strikes import ROLES, planned
from tests.full import count, seed
from tests.journeys.town import ENVIRONMENT, ROOT, Town, alive, command, until
from tongban.cli import log_check, log_read
from tongban.cli.keyring import read as read_directory
from tongban.exchange.grant import Quota
from tongban.kit.errors import Refused
from tongban.node import config as configs
from tongban.node.program import build
from tongban.tlog.checkpoint import parse
from tongban.tlog.tree import Tree, leaf_hash

pytestmark = [pytest.mark.crash, pytest.mark.timeout(580)]

KILLS_A_ROUND = 8
KILLS = count("kills", KILLS_A_ROUND, 200)
ROUNDS = -(-KILLS // KILLS_A_ROUND)
SAME = ("verdicts/verdicts.parquet", "decisions/decisions.parquet", "frozen/decisions.parquet", "frozen/codes.parquet",
        "frozen/persons/pool.csv", "frozen/units/pool.csv", "drawn/persons/winners.csv", "drawn/units/winners.csv",
        "drawn/winners.parquet")  # fmt: skip


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    running = Struck(tmp_path_factory.mktemp("kills") / "hamlet").start()
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture(scope="module")
def rounds(town):
    """Every disturbed round, carried through; then all nodes answer again and nothing is left to be committed."""
    chance = random.Random(seed())
    kills, made = planned(chance, KILLS), []
    for number in range(ROUNDS):
        mine = kills[number::ROUNDS]
        made.append(Disturbed(town, f"kills-{number}", mine, chance).carry_through())
    until(lambda: all(alive(town.pid(node)) for node in town.nodes), "every node answers again")
    until(town.persons_committed, "the persons of every batch are committed")
    return made


def test_every_role_was_killed_as_often_as_the_others_and_mostly_where_it_was_to_be(rounds):
    kills = [kill for one in rounds for kill in one.kills]
    assert len(kills) == KILLS
    assert Counter(kill.role for kill in kills) == dict.fromkeys(ROLES, KILLS // len(ROLES))
    assert all(kill.struck for kill in kills)
    chosen = [kill.struck for kill in kills if kill.point]
    # A point that a short step does not come to is the exception.
    assert chosen.count("chosen") * 2 >= len(chosen)


def test_no_child_of_a_killed_supervisor_outlives_the_start_of_the_next(town, rounds):
    assert town.starts > 1
    assert town.left == []
    assert of_city(town.folder) == set(town.children().values())


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


def test_every_stage_of_every_round_stands_in_the_log_once_however_often_it_was_asked_for(town, rounds):
    stages = Counter()
    for one in town.entries("transport"):
        if kind(one) == "round":
            body = log_read.leaf_of(one)["body"]
            stages[body["round"], body["stage"]] += 1
    assert len(stages) == 5 * (ROUNDS + 1)
    assert set(stages.values()) == {1}


def test_whatever_a_witness_remembers_is_a_head_of_the_log_as_it_is(town, rounds):
    trees = {}
    for origin, place in logs_by_origin(town).items():
        trees[origin] = Tree()
        for one in log_read.entries(place):
            trees[origin].extend(leaf_hash(one.leaf))
    remembered = [note for node in town.nodes for note in (town.folder / "nodes" / node / "witness").glob("*.note")]
    assert len(remembered) >= len(town.nodes) * (len(town.nodes) - 1)
    for place in remembered:
        head = parse(place.read_bytes())[0]
        assert trees[head.origin].root_at(head.size) == head.root, place


def test_no_witness_cosigned_two_heads_of_one_size_nor_a_smaller_one_after_a_larger(town, rounds):
    assert len(town.witnessed) > len(town.nodes)
    for who, heads in town.witnessed.items():
        assert heads == sorted(heads), who
        assert len(dict(heads)) == len(set(heads)), who


def test_a_head_that_enough_have_seen_carries_each_cosignature_once(town, rounds):
    for node in town.nodes:
        lines = parse((town.logs()[node] / "cosigned").read_bytes())[2]
        assert len({line.name for line in lines}) == len(lines) > 2


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
