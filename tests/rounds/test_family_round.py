"""A round with families, from the two tables to the draw: asked once, drawn with their points, looked up by each."""

import subprocess
import sys
from datetime import date

import numpy as np
import pytest

from tests.rounds.family_world import AT, POLICY, QUESTIONS, SOLUTION, a_list, head, line, member, said
from tests.rounds.world import (
    CAME,
    COMMITMENTS,
    KEY,
    MET,
    REVEALS,
    SOFTWARE,
    a_line,
    a_round,
    citizen,
    code,
    kept,
    receipts,
)
from tongban.calendar.workdays import shipped_calendar
from tongban.exchange.bulk import About, write_answer
from tongban.rounds import draw, parquet, recheck, steps
from tongban.rounds.account import Names, account
from tongban.rounds.answers import answer_of, keep_answer
from tongban.rounds.figures import Words
from tongban.rounds.folder import Stage
from tongban.rounds.freeze import freeze
from tongban.rounds.lookup import NOT_FOUND, ResultBook
from tongban.rounds.recheck import Found, Official
from tongban.rounds.report import report
from tongban.rounds.round import open_folder, read_round
from tongban.rules.verdict import Verdict, unknown

CAR = said("no_vehicle", Verdict.NOT_MET, "has_vehicle")
LINES = [head(1, failed_draws=900), a_line(7, failed_draws=3), head(10), head(20)]
MEMBERS = [
    member(1, 2, "spouse", 2, failed_draws=400), member(1, 3, "child", 3), member(1, 4, "parent", 4),
    member(10, 2, "child", 11), member(10, 3, "outside_spouse", 12, spouse=1),
    member(20, 2, "child", 21),
]  # fmt: skip
#: What departments hold, by rule and the number that they are asked with.
HELD = {("no_vehicle", 12): CAR, ("kinship", 21): unknown("no_record")}


def opened(place):
    rules = {question.rule: question.digest for question in QUESTIONS}
    round = a_round(id="2026-2", at=AT, received_on=date(2026, 10, 9), policy=POLICY, rules=rules)
    return open_folder(place, round, a_list(LINES, MEMBERS).to_bytes(), lambda size: b"s" * size)


def answer(folder, wanted, seen):
    round = read_round(folder)
    for rule, parts in wanted.items():
        for part in parts:
            name = rule.partition("@")[0]
            numbers = part.keys["k"].to_pylist()
            seen.setdefault(name, []).append((numbers, part.keys.column_names[1:]))
            held = {int(citizen(person)[:17]): byte for (own, person), byte in HELD.items() if own == name}
            verdicts = np.array([held.get(number, MET) for number in numbers], np.uint8)
            about = About(rule, round.rules[rule], f"{name}-1", "2026-10-09", len(verdicts), part.digest(), "1")
            assert keep_answer(folder, round, part, write_answer(verdicts, about), CAME) is True


def decided(place):
    folder, seen = opened(place), {}
    asked = steps.asking(folder, QUESTIONS)
    answer(folder, asked.first_parts(), seen)
    first = asked.first_columns(lambda part: answer_of(folder, read_round(folder), part))
    answer(folder, asked.further_parts(first), seen)
    assert steps.verify(folder, asked) is True
    assert steps.decide(folder, asked, SOLUTION.decisions, KEY, SOFTWARE) is True
    return folder, seen


@pytest.fixture(scope="module")
def round_of_families(tmp_path_factory):
    folder, seen = decided(tmp_path_factory.mktemp("families") / "r")
    done = freeze(folder, steps.asking(folder, QUESTIONS), SOLUTION.decisions, COMMITMENTS, KEY, SOFTWARE)
    assert done is True
    assert draw.draw(folder, REVEALS, receipts(folder)) is True
    return folder, seen


def keys_of(*persons):
    return sorted(int(citizen(person)[:17]) for person in persons)


def results_of(folder):
    table = parquet.read(folder.directory(Stage.DECIDED) / "decisions.parquet")
    return {row["application"]: (row["status"], row["reason"], row["role"]) for row in table.to_pylist()}


def test_each_family_has_one_finding(round_of_families):
    assert results_of(round_of_families[0]) == {
        code(1): ("eligible", None, None),
        code(7): ("eligible", None, None),
        code(10): ("not_eligible", "has_vehicle", "outside_spouse"),
        code(20): ("needs_person", "no_record", "child"),
    }


def test_everybody_is_asked_about_once_a_rule_in_sorted_keys(round_of_families):
    for name, parts in round_of_families[1].items():
        numbers = [number for keys, _ in parts for number in keys]
        assert len(numbers) == len(set(numbers)), name
        assert all(keys == sorted(keys) for keys, _ in parts), name
    asked = {name: sorted(n for keys, _ in parts for n in keys) for name, parts in round_of_families[1].items()}
    assert asked["identity"] == keys_of(1, 2, 3, 4, 7, 10, 11, 12, 20, 21)
    assert asked["driving_licence"] == keys_of(1, 7, 10, 20)
    # With the number of the child, two of whose parents or children are in two lines.
    assert asked["kinship"] == keys_of(1, 3, 11, 21)
    # The marriage of 10 stands in two lines, and is asked once.
    assert asked["marriage"] == keys_of(1, 2, 10)


def test_a_stranger_in_a_family_is_asked_nothing_about_a_car(round_of_families):
    asked = [number for keys, _ in round_of_families[1]["no_vehicle"] for number in keys]
    assert set(keys_of(21)).isdisjoint(asked)


def test_relations_carry_the_one_number_that_is_asked_for_and_no_name(round_of_families):
    columns = {name: {tuple(own) for _, own in parts} for name, parts in round_of_families[1].items()}
    assert columns["kinship"] == {("parent_number",)}
    assert columns["marriage"] == {("spouse_number",)}
    assert columns["no_spouse"] == columns["no_recent_divorce"] == {()}


def test_a_family_has_as_many_balls_as_points_and_anybody_draws_the_same(round_of_families):
    folder, _ = round_of_families
    codes = parquet.read(folder.directory(Stage.FROZEN) / "codes.parquet").to_pylist()
    assert {row["application"]: row["balls"] for row in codes} == {
        code(1): ((2 + 450 + 1 + 200) * 2 + 2) * 3,
        code(7): 2,
    }
    bundle = folder.directory(Stage.DRAWN) / "persons"
    command = [sys.executable, "-I", bundle / "verify_draw.py", bundle]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_results_name_roles_and_no_numbers_and_come_out_the_same_again(round_of_families, tmp_path):
    folder, _ = round_of_families
    again, _ = decided(tmp_path / "r")
    persons = {citizen(number) for number in range(30)} | {f"张{number}" for number in range(30)}
    for name in ("decisions.parquet", "members.parquet"):
        table = parquet.read(folder.directory(Stage.DECIDED) / name)
        assert not persons & {str(cell) for column in table.columns for cell in column.to_pylist()}
        same = again.directory(Stage.DECIDED) / name
        assert same.read_bytes() == (folder.directory(Stage.DECIDED) / name).read_bytes()


# --- Looking up, re-checks ----------------------------------------------------------------------


def test_each_who_applies_finds_the_family_s_finding_and_her_own_verdicts(round_of_families):
    book = ResultBook(round_of_families[0])
    child = book.reasons(code(10), citizen(11))
    assert (child.status, child.reason, child.role) == ("not_eligible", "has_vehicle", "outside_spouse")
    assert (child.line, child.verdicts["no_vehicle"]) == (line(10, 2), ("met", None))
    assert "driving_licence" not in child.verdicts
    main = book.reasons(code(1), citizen(1))
    assert (main.line, main.balls, main.rank) == (code(1), 3924, main.rank)
    assert "driving_licence" in main.verdicts


def test_a_spouse_who_does_not_apply_finds_what_is_said_of_her_and_nothing_of_the_family(round_of_families):
    found = ResultBook(round_of_families[0]).reasons(code(10), citizen(12))
    assert found.verdicts == {
        "identity": ("met", None),
        "marriage": ("met", None),
        "no_vehicle": ("not_met", "has_vehicle"),
    }
    assert (found.line, found.status, found.reason, found.code) == (line(10, 3), "", None, None)


@pytest.mark.parametrize("person", [1, 20, 99])
def test_whoever_is_not_in_the_family_finds_nothing(round_of_families, person):
    assert ResultBook(round_of_families[0]).reasons(code(10), citizen(person)) == NOT_FOUND


def test_a_recheck_of_one_person_s_kinship_makes_the_family_eligible(tmp_path):
    folder, seen = decided(tmp_path / "r")
    rule = next(question.rule for question in QUESTIONS if question.name == "kinship")
    officer = Official("P-2041", "public-security")
    opened_one = kept(
        folder,
        recheck.prepare_opening(
            folder, read_round(folder), application=line(20, 2), rule=rule, said="是我的孩子",
            first=Found(unknown("no_record"), "kinship-1", "2026-10-09"), official=officer, source="public-security",
            received_on=date(2026, 10, 12), days=shipped_calendar(),
        ),
    )  # fmt: skip
    kept(
        folder,
        recheck.prepare_answer(
            folder, read_round(folder), opened_one.id, second=Found(MET, "by hand", "2026-10-13"), by=officer,
            explained="已补录", answered_on=date(2026, 10, 13),
        ),
    )  # fmt: skip
    folder.set_back(Stage.NEW, {"by": "T-0001", "why": "复核", "on": "2026-10-13"})
    asked = steps.asking(folder, QUESTIONS)
    first = asked.first_columns(lambda part: answer_of(folder, read_round(folder), part))
    further = asked.further_parts(first)
    late = {rule: [part for part in parts if part.name.startswith("late-")] for rule, parts in further.items()}
    answer(folder, late, seen)
    assert steps.verify(folder, asked) is True
    assert steps.decide(folder, asked, SOLUTION.decisions, KEY, SOFTWARE) is True
    done = freeze(folder, steps.asking(folder, QUESTIONS), SOLUTION.decisions, COMMITMENTS, KEY, SOFTWARE)
    assert done is True
    found = parquet.read(folder.directory(Stage.FROZEN) / "decisions.parquet").to_pylist()
    assert {row["application"]: row["status"] for row in found}[code(20)] == "eligible"


# --- The report ---------------------------------------------------------------------------------


def test_the_report_counts_families_as_a_kind(round_of_families):
    folder, _ = round_of_families
    kinds = {kind.code: Words(kind.title, kind.title_en) for kind in SOLUTION.kinds}
    names = Names(Words("市", "City"), Words("事项", "Matter"), {}, {}, True, kinds)
    figures = account(folder, steps.asking(folder, QUESTIONS), names)
    assert figures.applications == 4
    counted = {one.kind: (one.applications, one.eligible) for one in figures.kinds}
    assert counted == {
        "family": (3, 1),
        "resident": (1, 1),
    }
    assert "家庭" in report(figures)
