"""The round of 2014 in a hamlet, as a person takes it: eight departments' nodes in processes of their own, one round
from the registers to the published draw, then the stories that do not go as planned, each in a round of its own."""

import re
import shutil
import subprocess
from collections import Counter
from datetime import date, timedelta

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.journeys.town import (
    OPERATOR,
    REVIEWER,
    Desk,
    Town,
    assert_agreed,
    contents,
    finding_of,
    persons_asked,
    until,
)
from tests.oracle import draw as oracle_draw
from tests.oracle.car_lottery import compare
from tongban.cli import log_read
from tongban.kit.errors import Refused
from tongban.rounds.folder import OutOfOrder
from tongban.tlog.persons import persons_root
from tongban.tlog.pseudonym import pseudonym

pytestmark = pytest.mark.journey

ROUND = "2014-3"
DEPARTMENT = "human-resources"
RULES_OF_DEPARTMENT = {"social_insurance_60_months", "work_residence_permit"}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    running = Town(tmp_path_factory.mktemp("round") / "hamlet").start()
    yield running
    pids = [running.pid(node) for node in running.nodes]
    assert running.stop() == 0
    # Ctrl-C at the terminal leaves nobody behind.
    from tests.journeys.town import alive

    assert not any(map(alive, pids))


@pytest.fixture(scope="module")
def desk(town):
    return Desk(town)


@pytest.fixture(scope="module")
def expected(town):
    return town.expected()


@pytest.fixture(scope="module")
def listed(town):
    """The application list as it was typed."""
    return pq.read_table(town.folder / "registers" / "transport" / "applications.parquet").to_pylist()


def documents(listed):
    return {line["application"]: line["document_number"] for line in listed}


# What was found


def test_product_and_oracle_find_the_same_of_every_application(town, expected):
    assert len(expected) == town.said["opened"]["applications"] == 400
    assert_agreed(town.found(ROUND), expected)


def test_nobody_truly_eligible_is_found_not_to_be(town):
    figures = compare(town.found(ROUND), town.folder / "truth" / "truth.parquet")
    assert figures["holds"], figures
    assert figures["truly_eligible"] > 200
    assert figures["eligible_wrongly"] == 0


def test_results_carry_no_times_no_hosts_and_no_indices(town, desk):
    results = pq.read_table(town.round(ROUND) / "decisions" / "decisions.parquet")
    rules = results.column_names[4::2]
    assert results.column_names[:4] == ["application", "status", "rule", "reason"]
    assert results.column_names[4:] == [name for rule in rules for name in (rule, f"{rule}_reason")]
    assert len(rules) == 16
    cells = {cell for name in results.column_names[1:] for cell in results[name].to_pylist()} - {None}
    assert all(re.fullmatch("[a-z][a-z0-9_]*", cell) for cell in cells)
    # Another hour, other log entries, another secret: the same bytes.
    desk.decided("again")
    for name in ("verdicts/verdicts.parquet", "decisions/decisions.parquet"):
        assert (town.round("again") / name).read_bytes() == (town.round(ROUND) / name).read_bytes()


# What is nobody's business


def test_military_lines_appear_nowhere(town, listed):
    military = [line for line in listed if line["kind"].strip() == "military"]
    others = [line for line in listed if line["kind"].strip() != "military"]
    assert len(military) == 4
    hidden = {line["application"] for line in military}
    seen = codes_in(town, hidden | {others[0]["application"]})
    # The search finds what is there: another line's code, in the round's own files.
    assert {code for code, _ in seen} == {others[0]["application"]}
    numbers = {line["document_number"] for line in military}
    kept_by_rounds = [place for place in files(town) if "facts" not in place.parts]
    assert not [place for place in kept_by_rounds if any(map(holds(place), numbers | packed(numbers)))]
    told = town.said["opened"]["applications"], sum(town.said["decided"][word] for word in STATUSES)
    assert told == (len(others), len(others))


STATUSES = ("eligible", "not_eligible", "needs_person")


def files(town):
    """Every file of the city but the registers and the truth, which are the departments' own and the tests'."""
    every = (path for path in sorted(town.folder.rglob("*")) if path.is_file())
    return [path for path in every if path.relative_to(town.folder).parts[0] not in ("registers", "truth")]


def packed(numbers):
    """Citizen numbers as they travel: their first 17 digits as a number."""
    return {number[:17] for number in numbers}


def holds(place):
    """Asks whether a text stands in the file: in its bytes, or in a cell of the table that they are."""
    raw, cells = place.read_bytes(), frozenset()
    if place.suffix in (".parquet", ".arrow"):
        cells = frozenset(str(cell) for column in table(place, raw).columns for cell in column.to_pylist())
    return lambda text: text.encode() in raw or text in cells


def table(place, raw):
    if place.suffix == ".parquet":
        return pq.read_table(pa.BufferReader(raw))
    return (pa.ipc.open_file if raw.startswith(b"ARROW1") else pa.ipc.open_stream)(raw).read_all()


def codes_in(town, codes):
    return [(code, place) for place in files(town) for code in filter(holds(place), codes)]


# The draw


def test_anybody_s_python_draws_the_same_winners_from_each_bundle(town):
    for pool in ("persons", "units"):
        bundle = town.round(ROUND) / "published" / "public" / pool
        done = subprocess.run(
            ["python3", "-I", bundle / "verify_draw.py", bundle], capture_output=True, text=True, cwd="/", check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_oracle_draws_the_same_winners(town, listed):
    for pool in ("persons", "units"):
        bundle = town.round(ROUND) / "published" / "public" / pool
        drawn = orjson.loads((bundle / "draw.json").read_bytes())
        freeze = drawn["freeze"]["body"]
        claimed = [line.split(",")[1] for line in (bundle / "winners.csv").read_text().splitlines()]
        commitments = {party: bytes.fromhex(text) for party, text in freeze["commitments"].items()}
        reveals = {party: bytes.fromhex(text) for party, text in drawn["reveals"].items()}
        assert 0 < len(claimed) == freeze["quota"] < freeze["codes"]
        seed = oracle_draw.check((bundle / "pool.csv").read_bytes(), commitments, reveals, freeze["quota"], claimed)
        assert seed.hex() == drawn["seed"]


def test_the_pools_hold_exactly_the_eligible_with_the_balls_that_their_failed_draws_earn(town, expected, listed):
    secret = (town.round(ROUND) / "round.key").read_bytes()
    due = {"persons": {}, "units": {}}
    for line in listed:
        if (found := expected.get(line["application"])) and found.status == "eligible":
            pool = "units" if line["kind"].strip() in ("enterprise", "social_body") else "persons"
            code = oracle_draw.draw_code(secret, line["application"])
            due[pool][code] = oracle_draw.balls(town.at, pool, line["failed_draws"])
    for pool, codes in due.items():
        assert oracle_draw.read_pool((town.round(ROUND) / "frozen" / pool / "pool.csv").read_bytes()) == codes


# The logs


def test_every_log_holds_with_all_its_signatures(town):
    for node in town.logs():
        verified = town.verified(node)
        assert verified.holds, (node, verified.problems)
        assert verified.unchecked == verified.unsigned == verified.torn == 0
        assert verified.entries > 0
        assert node == "hub" or verified.requests > 0


def test_departments_are_asked_about_exactly_those_whom_their_rules_concern(town, expected):
    """Each batch's persons stand in the log under a root that only the right persons with the right verdicts give."""
    until(town.persons_committed, "the persons of every batch are committed")
    asked = persons_asked(town.folder / "registers", expected)
    verdicts = pq.read_table(town.round(ROUND) / "verdicts" / "verdicts.parquet").to_pydict()
    row = {code: number for number, code in enumerate(verdicts["application"])}
    seen = Counter()
    for node, rule, domain, batch in batches(town, ROUND):
        persons = asked[rule.partition("@")[0], domain]
        assert batch["n"] == len(persons), (node, rule, domain)
        bytes_of = {key: {verdicts[rule][row[code]] for code in codes} for key, codes in persons.items()}
        people = [(pseudonym(batch["key"], domain, key), *bytes_of[key]) for key in sorted(persons)]
        assert batch["root"] == persons_root(batch["salt"], people).hex(), (node, rule, domain)
        seen[rule.partition("@")[0], domain] += 1
    # Every question once, in one part, and no question that nobody had to be asked.
    assert seen == Counter(asked.keys())


def batches(town, round):
    """Node, rule, kind of key of each batch of the round, and what the node's log says of it."""
    for node in town.nodes:
        entries = town.entries(node)
        committed = {leaf["batch"]: leaf for leaf in map(log_read.leaf_of, entries) if leaf["kind"] == "batch-persons"}
        for one in entries:
            record = log_read.record_of(one)
            if log_read.leaf_of(one)["kind"] == "batch" and record["round"] == round:
                own = {"salt": pa.py_buffer(b"").to_pybytes(), "key": (town.logs()[node] / "subject.key").read_bytes()}
                own["salt"] = __import__("base64").b64decode(record["persons_salt"])
                yield node, record["rule"], record["part"].rpartition("-")[0], committed[one.index] | own


def test_a_department_s_log_holds_nothing_but_the_batches_it_was_asked_for(town):
    until(town.persons_committed, "the persons of every batch are committed")
    for node in town.nodes:
        kinds = {log_read.leaf_of(one)["kind"] for one in town.entries(node)}
        assert kinds == ({"request", "answer", "round"} if node == "transport" else {"batch", "batch-persons"})
