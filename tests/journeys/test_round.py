"""The round of 2014 in a hamlet, as a person takes it: eight departments' nodes in processes of their own, one round
from the registers to the published draw, then the stories that do not go as planned, each in a round of its own."""

import asyncio
import base64
import re
import shutil
import subprocess
from collections import Counter
from datetime import timedelta

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.journeys.town import (
    OPERATOR,
    REVIEWER,
    Desk,
    Town,
    alive,
    assert_agreed,
    contents,
    finding_of,
    persons_asked,
    until,
)
from tests.oracle import draw as oracle_draw
from tests.oracle.car_lottery import compare
from tongban.cli import log_read
from tongban.cli.today import today
from tongban.kit import canonical
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
        assert verified.unchecked == verified.torn == 0
        assert verified.entries > 0
        assert node == "hub" or verified.requests > 0


def test_departments_are_asked_about_exactly_those_whom_their_rules_concern(town, expected):
    """Each batch's persons stand in the log under a root that only the right persons with the right verdicts give."""
    until(town.persons_committed, "the persons of every batch are committed")
    asked = persons_asked(town.folder / "registers", town.at, expected)
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
                own = {"key": (town.logs()[node] / "subject.key").read_bytes()}
                own["salt"] = base64.b64decode(record["persons_salt"])
                yield node, record["rule"], record["part"].rpartition("-")[0], committed[one.index] | own


def test_a_department_s_log_holds_nothing_but_the_batches_it_was_asked_for(town):
    until(town.persons_committed, "the persons of every batch are committed")
    for node in town.nodes:
        kinds = {log_read.leaf_of(one)["kind"] for one in town.entries(node)}
        assert kinds == ({"request", "answer", "round", "act"} if node == "transport" else {"batch", "batch-persons"})


# Again


def test_every_step_taken_again_changes_nothing(town, desk):
    until(town.persons_committed, "the persons of every batch are committed")
    round, entries = contents(town.round(ROUND)), {node: len(town.entries(node)) for node in town.nodes}
    assert desk.open(ROUND).stage == "published"
    said, news = desk.verify(ROUND)
    assert (said["stage"], said["asked"], "unfinished" in said, news) == ("published", 0, False, [])
    assert desk.steps.decide(ROUND)["eligible"] == town.said["decided"]["eligible"]
    assert desk.freeze(ROUND)["pool_root"] == town.said["frozen"]["pool_root"]
    assert desk.draw(ROUND)["bundles"] == town.said["drawn"]["bundles"]
    assert desk.steps.publish(ROUND, REVIEWER, today()) == town.said["published"]
    assert contents(town.round(ROUND)) == round
    assert {node: len(town.entries(node)) for node in town.nodes} == entries


def test_a_round_published_again_on_a_later_day_stays_as_it_was_reviewed(town, desk):
    before = contents(town.round(ROUND))
    later = today() + timedelta(days=1)
    assert desk.steps.publish(ROUND, REVIEWER, later) == town.said["published"]
    assert contents(town.round(ROUND)) == before


# A department that does not answer


@pytest.fixture(scope="module")
def silence(town, desk):
    """Human Resources is down while one round is asked and another accepts its silence; then it comes back.

    In a third round Public Security is down too, which leaves nobody's identity confirmed.
    """
    told = {}
    with town.unattended():
        town.strike(DEPARTMENT)
        desk.open("silent")
        told["silent"] = desk.verify("silent")
        desk.open("accepted")
        told["accepted"] = desk.verify("accepted", accept_silence="T-0009")
        desk.steps.decide("accepted")
        town.strike("public-security")
        desk.open("nobody")
        told["nobody"] = desk.verify("nobody", accept_silence="T-0009")
        desk.steps.decide("nobody")
    told["again"] = desk.verify("silent")
    desk.steps.decide("silent")
    return told


def test_a_silent_department_holds_the_round_up_and_the_others_are_heard(town, silence):
    said, news = silence["silent"]
    assert (said["stage"], said["exit"]) == ("new", 1)
    assert {one.split()[1].partition("@")[0] for one in said["silent"]} == RULES_OF_DEPARTMENT
    assert all(one.endswith("(exchange.no_answer)") for one in said["silent"])
    states = {(one.department == DEPARTMENT, one.state) for one in news}
    assert states == {(True, "silent"), (False, "answered")}


def test_after_its_return_the_silent_department_alone_is_asked(town, silence):
    said, news = silence["again"]
    assert said["stage"] == "verified"
    assert {(one.department == DEPARTMENT, one.state) for one in news} == {(True, "answered"), (False, "kept")}
    # The late answers are the answers: nothing in the results shows that they were late.
    results = "decisions/decisions.parquet"
    assert (town.round("silent") / results).read_bytes() == (town.round(ROUND) / results).read_bytes()
    for node in town.nodes:
        records = [log_read.record_of(one) or {} for one in town.entries(node) if node != "transport"]
        parts = Counter((one["rule"], one["part"]) for one in records if one.get("round") == "silent")
        assert set(parts.values()) <= {1}


@pytest.mark.parametrize(("round", "silent"), [("accepted", [DEPARTMENT]), ("nobody", [DEPARTMENT, "public-security"])])
def test_silence_that_somebody_accepts_sends_to_a_person_and_refuses_nobody(town, silence, tmp_path, round, silent):
    said, _ = silence[round]
    assert said["stage"] == "verified"
    heard = orjson.loads((town.round(round) / "verdicts" / "heard.json").read_bytes())
    assert heard["silence_accepted_by"] == "T-0009"
    # For the oracle an office that does not answer is one whose registers are not there.
    shutil.copytree(town.folder / "registers", tmp_path / "registers")
    for department in silent:
        shutil.rmtree(tmp_path / "registers" / department)
    found = town.found(round)
    assert_agreed(found, town.expected(tmp_path / "registers"))
    unheard = [one for one in found.values() if one.reason == "no_answer"]
    assert {one.status for one in unheard} == {"needs_person"}
    assert len(unheard) > 40


# Re-checks


@pytest.fixture(scope="module")
def recheck(town, desk, listed):
    """One applicant's car was sold, and the official finds so before the freeze; another's answer comes after it."""
    folder = desk.decided("recheck")
    owners = sorted(one.application for one in town.found("recheck").values() if one.reason == "has_vehicle")
    story = {"folder": folder, "before": contents(folder.path)}
    for name, application in (("in_time", owners[0]), ("late", owners[1])):
        who = (application, documents(listed)[application], "no_vehicle", "PS-0012")
        story[name] = who
        story[f"{name}_opened"] = asyncio.run(desk.steps.open_recheck("recheck", *who, "车辆已于三月过户", today()))
    answer = ("met", "", "已过户，车管所档案已更正", today())
    story["in_time_answered"] = asyncio.run(desk.steps.answer_recheck("recheck", *story["in_time"], *answer))
    story["looked"] = desk.steps.look("recheck", *story["in_time"][:2])
    story["refused"] = desk.freeze("recheck")
    story["frozen"] = desk.freeze("recheck", leave_open=True)
    story["late_answered"] = asyncio.run(desk.steps.answer_recheck("recheck", *story["late"], *answer))
    story["again"] = desk.freeze("recheck")
    story["drawn"] = desk.draw("recheck")
    return story


def test_a_re_check_names_its_official_and_keeps_the_first_answer(town, recheck):
    opened = recheck["in_time_opened"]
    assert opened["official"] == "PS-0012"
    assert opened["due"] > today().isoformat()
    place = recheck["folder"].path / "rechecks"
    first, second = (orjson.loads((place / f"{opened['recheck']}.{name}.json").read_bytes()) for name in FILES)
    assert (first["staff"], first["department"], first["first"]["byte"] >> 6) == ("PS-0012", "public-security", 0)
    assert (second["staff"], second["department"], second["second"]["byte"] >> 6) == ("PS-0012", "public-security", 1)
    # Who named this official, and whose answer this is said to be, stands in the log before it took effect.
    kept = town.entries("transport")
    for event in (first, second):
        act = log_read.record_of(kept[event["log"]["entry"]])
        assert (act["operator"], act["digest"]) == (
            OPERATOR,
            canonical.digest({name: part for name, part in event.items() if name != "log"}),
        )
    # What was found first, and what departments answered, stands as it was.
    now = contents(recheck["folder"].path)
    assert {name: now[name] for name in recheck["before"]} == recheck["before"]


FILES = ("opened", "answered")


def test_a_re_check_answered_before_the_freeze_changes_the_decision_and_the_pool(town, recheck):
    assert recheck["in_time_answered"]["in_time"]
    assert recheck["in_time_answered"]["changed"]
    assert not recheck["in_time_answered"]["remedy"]
    first, frozen = town.found("recheck"), town.found("recheck", "frozen")
    assert [code for code in first if first[code] != frozen[code]] == [recheck["in_time"][0]]
    assert (first[recheck["in_time"][0]].status, frozen[recheck["in_time"][0]].status) == ("not_eligible", "eligible")
    codes = pq.read_table(recheck["folder"].path / "frozen" / "codes.parquet")["application"].to_pylist()
    assert recheck["in_time"][0] in codes
    assert recheck["late"][0] not in codes


def test_every_stage_in_the_open_has_an_act_before_it_that_names_an_operator(town, recheck):
    acts = set()
    for one in town.entries("transport"):
        leaf, record = log_read.leaf_of(one), log_read.record_of(one)
        if leaf["kind"] == "act":
            acts.add((record["round"], record["stage"], record["digest"], record["operator"]))
        if leaf["kind"] == "round":
            body = leaf["body"]
            assert (body["round"], body["stage"], body["digest"], OPERATOR) in acts


def test_an_open_re_check_holds_the_freeze_until_somebody_leaves_it_open(recheck):
    assert isinstance(recheck["refused"], Refused)
    assert recheck["refused"].code == "rounds.rechecks_open"
    assert recheck["frozen"]["stage"] == "frozen"


def test_a_re_check_answered_after_the_freeze_earns_the_remedy_and_no_second_draw(town, recheck):
    late = recheck["late_answered"]
    assert (late["in_time"], late["changed"]) == (False, True)
    assert late["remedy"]
    assert recheck["again"]["pool_root"] == recheck["frozen"]["pool_root"]
    assert recheck["drawn"]["stage"] == "drawn"
    assert town.found("recheck", "frozen")[recheck["late"][0]].status == "not_eligible"


def test_whoever_a_re_check_confirms_is_asked_about_after_all_and_nobody_else_again(town, desk, listed):
    desk.decided("confirmed")
    truth = pq.read_table(town.folder / "truth" / "truth.parquet").to_pylist()
    eligible = {line["application"] for line in truth if line["eligible"]}
    first = town.found("confirmed")
    somebody = sorted(code for code in eligible if first[code].reason == "identity_not_confirmed")[0]
    who = (somebody, documents(listed)[somebody], "identity", "PS-0012")
    asyncio.run(desk.steps.open_recheck("confirmed", *who, "姓名中有生僻字", today()))
    said = desk.steps.answer_recheck("confirmed", *who, "met", "", "核对户口簿原件", today())
    answered = asyncio.run(said)
    assert (answered["in_time"], answered["changed"]) == (True, True)
    refused = desk.freeze("confirmed")
    assert isinstance(refused, Refused)
    assert refused.code == "rounds.rechecks_unasked"
    assert desk.steps.back("confirmed", "复核后身份已确认", today())["stage"] == "new"
    said, news = desk.verify("confirmed")
    assert said["stage"] == "verified"
    asked = [one for one in news if one.state != "kept"]
    assert {(one.state, one.keys, one.part) for one in asked} == {("answered", 1, "late-citizen-0")}
    assert {one.rule.partition("@")[0] for one in asked} == set(first[somebody].verdicts) - {
        "identity",
        "household_here",
    }
    desk.steps.decide("confirmed")
    assert desk.freeze("confirmed")["stage"] == "frozen"
    frozen = town.found("confirmed", "frozen")
    assert [code for code in first if first[code].status != frozen[code].status] == [somebody]
    assert frozen[somebody].status == "eligible"


# Looking, publishing


def test_only_whoever_has_code_and_document_sees_the_reasons(desk, town, listed, expected):
    mine, other = (line for line in listed[:2])
    seen = desk.steps.look(ROUND, mine["application"], mine["document_number"])
    ((_, rows),) = seen["tables"]
    shown = {"application": seen["application"], "status": seen["status"], "reason": seen["reason"]}
    shown |= {
        name: value for rule, verdict, why in rows for name, value in ((rule, verdict), (f"{rule}_reason", why or None))
    }
    assert finding_of(shown) == expected[mine["application"]]
    nothing = [
        desk.steps.look(ROUND, mine["application"], other["document_number"]),
        desk.steps.look(ROUND, other["application"], mine["document_number"]),
        desk.steps.look(ROUND, mine["application"], ""),
        desk.steps.look(ROUND, "0000000000000", mine["document_number"]),
        *(
            desk.steps.look(ROUND, line["application"], line["document_number"])
            for line in listed
            if line["kind"] == "military"
        ),
    ]
    assert {one.code for one in nothing} == {"rounds.not_found"}
    assert len(nothing) == 8


def test_a_round_is_published_by_a_second_person_and_not_before_the_draw(town, desk, silence, recheck):
    review = orjson.loads((town.round(ROUND) / "published" / "review.json").read_bytes())
    assert (review["prepared_by"], review["reviewed_by"]) == (OPERATOR, REVIEWER)
    alone = desk.steps.publish("recheck", OPERATOR, today())
    assert isinstance(alone, Refused)
    assert alone.code == "rounds.reviewer_needed"
    with pytest.raises(OutOfOrder):
        desk.steps.publish("accepted", REVIEWER, today())
    assert desk.steps.publish("recheck", REVIEWER, today())["stage"] == "published"


# What is nobody's business


def test_military_lines_appear_nowhere(town, listed, silence, recheck):
    until(town.persons_committed, "nothing waits in a spool any more")
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
    raw, cells = bytes_of(place), frozenset()
    if raw and place.suffix in (".parquet", ".arrow"):
        cells = frozenset(str(cell) for column in table(place, raw).columns for cell in column.to_pylist())
    return lambda text: text.encode() in raw or text in cells


def bytes_of(place):
    """Nothing for a file that a node had begun and has renamed meanwhile."""
    try:
        return place.read_bytes()
    except FileNotFoundError:
        return b""


def table(place, raw):
    if place.suffix == ".parquet":
        return pq.read_table(pa.BufferReader(raw))
    return (pa.ipc.open_file if raw.startswith(b"ARROW1") else pa.ipc.open_stream)(raw).read_all()


def codes_in(town, codes):
    return [(code, place) for place in files(town) for code in filter(holds(place), codes)]
