"""A solution's folder: whole and in order, or told in plain words what is not."""

import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from tongban.kit.config import FileInvalid
from tongban.rules.decision import Outcome, decide
from tongban.rules.places import RuleInvalid
from tongban.rules.verdict import Verdict, pack, unknown
from tongban.solution import api
from tongban.solution.package import check, load

PERMIT = Path(__file__).parent / "permit"
DAY = date(2014, 6, 1)


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(PERMIT, tmp_path / "permit"))


def change(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_the_sample_solution_is_in_order():
    assert check(PERMIT) == []


# -- loading


def test_what_is_loaded_is_what_is_in_force_on_the_day():
    assert load(PERMIT, date(2020, 12, 31)).rules["taxed_years"].id == "taxed_years@2012-01-01"
    assert load(PERMIT, date(2021, 1, 1)).rules["taxed_years"].id == "taxed_years@2021-01-01"
    assert load(PERMIT, date(2013, 12, 31)).decisions["tenant"].rules == ("known_person", "no_permit_yet")
    assert len(load(PERMIT, date(2014, 1, 1)).decisions["tenant"].rules) == 4


def test_a_rule_not_yet_in_force_that_a_decision_needs_is_an_error():
    with pytest.raises(RuleInvalid, match="known_person, which is not in force on 2011-12-31"):
        load(PERMIT, date(2011, 12, 31))


def test_a_loaded_rule_compiles_over_its_register_s_facts_and_completeness():
    compiled = load(PERMIT, DAY).compile("no_permit_yet")
    assert compiled.single(None, {}, DAY) == pack(Verdict.MET, 1)
    assert compiled.single(None, {}, date(2011, 12, 31)) == unknown("no_record")
    assert load(PERMIT, DAY).compile("known_person", facts_digest="x").facts_digest == "x"


def test_whom_a_rule_concerns_is_asked_of_the_application():
    solution = load(PERMIT, DAY)
    row = {"kind": "company", "name": "某公司", "handler_name": "张三", "vehicles_wanted": 1}
    assert solution.applies("handler_known").single(row, DAY) is True
    assert solution.applies("known_person").single(row, DAY) is False


def test_a_handler_s_name_is_taken_from_the_handler_s_column():
    solution = load(PERMIT, DAY)
    assert solution.asked_columns("handler_known") == ("handler_name",)
    assert solution.asked_columns("known_person") == ("name",)


def test_rules_of_identity_are_asked_first_unless_the_solution_says_otherwise():
    assert load(PERMIT, DAY).first == {
        "resident": ("known_person",), "tenant": ("known_person",), "company": ("handler_known",),
    }  # fmt: skip


def test_a_decision_knows_which_silence_is_attested():
    decision = load(PERMIT, DAY).decisions["resident"]
    assert decision.silences == {"no_permit_yet": pack(Verdict.MET, 1)}
    silent = {"known_person": unknown("no_record"), "no_permit_yet": pack(Verdict.MET, 1)}
    assert decide(decision, silent).outcome is Outcome.NEEDS_PERSON
    assert decide(decision, {**silent, "known_person": pack(Verdict.MET)}).outcome is Outcome.ELIGIBLE


def test_a_resource_is_published_by_whoever_answers_for_it():
    resource = load(PERMIT, DAY).resources["transport/permit"]
    assert resource.department == "transport"
    assert resource.catalogue("11990100TB0000028B").member == "11990100TB0000028B"


# -- checking


NO_PERMIT = "rules/no_permit_yet@2012-01-01.yaml"
HANDLER = "rules/handler_known@2012-01-01.yaml"
TAXED = "rules/taxed_years@2012-01-01.yaml"
INSURED = "rules/insured_year@2012-01-01.yaml"
REGISTER = "resources/transport.permit.yaml"
SOLUTION = "solution.yaml"
BOTH = "all: [known_person, no_permit_yet]"

#: file, what is written, what is written instead, a word of the line that is named, words of the problem
MISTAKES = [
    (NO_PERMIT, "met: permits = 0", "met: permit = 0", "met:", "no column permit"),
    (NO_PERMIT, "transport/permit", "transport/permits", "resource:", "no resource transport/permits"),
    (NO_PERMIT, "say_en: A permit is already in force", "x: 1", "default_reason", "`say_en` is missing"),
    (NO_PERMIT, "title_en: No permit in this name", "", "", "`title_en` is missing"),
    (NO_PERMIT, "permits: 1, then: not_met", "permits: 0, then: not_met", "已有一张", "expects not_met"),
    (NO_PERMIT, 'applies: "kind IN', 'applies: "knd IN', "applies:", "no column knd"),
    (NO_PERMIT, "'tenant')", "'lodger')", "applies:", "no code 'lodger'"),
    (NO_PERMIT, "code: has_permit", "code: never_had_one", "reasons", "stands twice"),
    (NO_PERMIT, "reasons: []", "subject: owner", "subject:", "no subject owner"),
    (NO_PERMIT, "reasons: []", "asks: [{name: age, type: int}]", "asks:", "no column age"),
    (NO_PERMIT, "reasons: []", "asks: [{name: name, type: int}]", "asks:", "asks for name as int"),
    (HANDLER, "subject: handler", "subject: unit", "subject:", "no subject unit"),
    (
        TAXED,
        "valid_until: 2020-12-31",
        "valid_until: 2020-12-30",
        "valid_until",
        "from 2020-12-31 to 2020-12-31 no version",
    ),
    (TAXED, "valid_until: 2020-12-31", "valid_until: 2021-01-01", "valid_until", "begins before that"),
    (NO_PERMIT, "  - {name: 已有一张", "  # {name: 已有一张", "situations", "no situation ends with not_met"),
    (TAXED, "  - {name: 缺前年", "  # {name: 缺前年", "situations", "no situation notices if 2 becomes 1"),
    (REGISTER, "complete: {as_of", "x: {as_of", "", "x is no field"),
    (REGISTER, "domains: [citizen]", "domains: [citizens]", "domains", "its domains must be"),
    (
        REGISTER,
        "domains: [citizen]",
        "domains: [passport]",
        "resource:",
        "asked by passport, and subject has no such key",
    ),
    (REGISTER, "type: int, low", "type: integer, low", "permits", "type must be one of"),
    (REGISTER, "grade: general-2", "grade: secret", "id:", "a field|grade"),
    (SOLUTION, BOTH, "all: [known_person, no_permit]", "kind: resident", "no rule no_permit"),
    (SOLUTION, "codes: [resident, tenant, company]", "codes: [resident, tenant]", "application", "codes are the kinds"),
    (SOLUTION, "    identity: known_person\n", "", "kind: resident", "nothing says who was identified"),
    (SOLUTION, "identity: known_person", "identity: no_permit_yet", "kind: resident", "without a record unknown"),
    (SOLUTION, "first: [handler_known]", "first: [insured_year]", "kind: company", "not among the decision's rules"),
    (
        SOLUTION,
        "valid_until: 2013-12-31",
        "valid_until: 2014-01-01",
        "kind: tenant",
        "two decisions for tenant .* 2014-01-01",
    ),
    (SOLUTION, "valid_until: 2013-12-31", "valid_until: 2013-12-30", "kind: tenant", "from 2013-12-31 .* no decision"),
]


@pytest.mark.parametrize(("file", "old", "new", "where", "what"), MISTAKES, ids=[mistake[4] for mistake in MISTAKES])
def test_a_mistake_is_told_in_plain_words_with_its_place(folder, file, old, new, where, what):
    change(folder, file, old, new)
    found = check(folder)
    assert found
    told = [problem for problem in found if re.search(what, problem.what)]
    assert told, [str(problem) for problem in found]
    assert all(problem.remedy and Path(problem.file).is_relative_to(folder) for problem in found)
    lines = Path(told[0].file).read_text("utf-8").splitlines()
    assert where in lines[told[0].line - 1]


def test_a_kind_without_a_decision_is_told(folder):
    change(
        folder,
        "solution.yaml",
        "  - kind: company\n    first: [handler_known]\n    all: [handler_known, taxed_years]\n",
        "",
    )
    assert {problem.what for problem in check(folder)} == {
        "no decision says what a company needs", "no decision uses rule handler_known",
    }  # fmt: skip


def test_a_verdict_for_persons_without_a_record_needs_the_owner_s_statement(folder):
    change(
        folder,
        "resources/transport.permit.yaml",
        "complete: {as_of: 2012-01-01, statement: 自该日起全部停车证均登记在库}\n",
        "",
    )
    assert "transport/permit has no statement of completeness" in " ".join(problem.what for problem in check(folder))


def test_every_mistake_is_told_in_one_round(folder):
    change(folder, NO_PERMIT, "met: permits = 0", "met: permit = 0")
    change(folder, INSURED, "state_on: history", "state_on: histories")
    (folder / "rules" / "late.yml").write_text("rule: late\n")
    (folder / "resources" / "unused.yaml").write_text(
        (folder / "resources/tax.record.yaml").read_text("utf-8").replace("tax/record", "tax/other")
    )
    whats = " | ".join(problem.what for problem in check(folder))
    for part in (
        "no column permit",
        "must be one of at, latest, history",
        "this file is not read",
        "no rule asks tax/other",
    ):
        assert part in whats


@pytest.mark.parametrize(
    ("path", "column"),
    [
        ("rules/insured_year@2012-01-01.yaml", "paid"),
        ("rules/taxed_years@2012-01-01.yaml", "years"),
        ("rules/taxed_years@2021-01-01.yaml", "paid"),
    ],
)
def test_a_rule_about_the_past_must_say_through_when_the_register_has_seen_it(folder, path, column):
    through = re.search(r"history_through: \w+\n", (folder / path).read_text("utf-8"))[0]
    change(folder, path, through, "")
    assert [problem.what for problem in check(folder)] == [
        f"the rule reads the history {column}, and nothing says through when the register must have seen it"
    ]
    change(folder, path, "state_on: history", "state_on: at")
    assert check(folder) == []


def test_a_decision_that_outlives_its_rule_is_told(folder):
    change(
        folder, "rules/insured_year@2012-01-01.yaml", "state_on: history", "state_on: history\nvalid_until: 2019-12-31"
    )
    assert [problem.what for problem in check(folder)] == [
        "the decision for tenant needs rule insured_year, which is not in force on 2020-01-01"
    ]


def test_a_folder_without_solution_yaml_is_one_problem(tmp_path):
    found = check(tmp_path)
    assert len(found) == 1
    assert "cannot be read" in found[0].what
    with pytest.raises(FileInvalid):
        load(tmp_path, DAY)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (BOTH, "all: [known_person, known_person]", "stands twice"),
        (BOTH, "all: []", "must be a list of rules"),
        (BOTH, "all: [known_person]\n    any: [no_permit_yet]", "exactly one of"),
        (
            "all: [known_person, no_permit_yet]",
            "at_least: {count: 3, of: [known_person, no_permit_yet]}",
            "from 1 to 2",
        ),
        (BOTH, "all: [{any: [{any: [{any: [{any: [{any: [a]}]}]}]}]}]", "four levels"),
        (BOTH, "all: [1]", "the name of a rule"),
        ("kinds: [company]", "kinds: [companies]", "no kind companies"),
        ("domains: [citizen], kinds", "kinds", "`domains` is missing"),
        ("type: int, low: 1", "type: months, low: 1", "cannot be bounded|no column of type"),
        ("matter: resident_permit", "mater: resident_permit", "`matter` is missing"),
        ("matter: resident_permit", "matter: &x resident_permit", "anchors"),
    ],
)
def test_a_solution_file_that_does_not_hold_stops_the_reading(folder, old, new, what):
    change(folder, SOLUTION, old, new)
    found = check(folder)
    assert len(found) == 1
    assert re.search(what, found[0].what)


def test_a_folder_with_problems_is_not_loaded(folder):
    change(folder, INSURED, "state_on: history", "state_on: histories")
    with pytest.raises(RuleInvalid, match="at, latest, history"):
        load(folder, DAY)


def test_solution_code_finds_the_words_it_may_use():
    assert all(getattr(api, name) is not None for name in api.__all__)
