"""Families on the list: lines, what each person is asked, what makes a family whole, one finding for all."""

from itertools import product

import pyarrow as pa
import pytest

from tests.rounds.family_world import POLICY, a_list, asked_of, found, head, line, member, said, verdicts
from tests.rounds.world import a_line, a_raw_list, citizen, code, the_policy
from tongban.rounds import results
from tongban.rounds.applications import ListInvalid, normalised
from tongban.rounds.verdicts import NOT_ASKED
from tongban.rules.verdict import Verdict, unknown

NO_CAR = ["no_vehicle", "no_scrap_due_vehicle"]
CAR = said("no_vehicle", Verdict.NOT_MET, "has_vehicle")
ELIGIBLE = ("eligible", None, None)
NOT_WHOLE = ("needs_person", "family_not_whole", None)


def rows(lines, members):
    return {one["application"]: one for one in a_list(lines, members).table.to_pylist()}


def a_couple(*more, **change):
    return a_list([head(1, **change)], [member(1, 2, "spouse", 2), *more])


# --- Lines --------------------------------------------------------------------------------------


def test_every_person_of_a_family_is_a_line_after_the_main_applicant_s():
    listed = a_list([a_line(3), head(1)], [member(1, 3, "child", 5), member(1, 2, "spouse", 2)])
    assert listed.column("application").to_pylist() == [code(1), f"{code(1)}-02", f"{code(1)}-03", code(3)]
    assert listed.heads().tolist() == [True, False, False, True]
    assert listed.kinds().to_pylist() == ["family", "resident"]


def test_a_list_without_families_is_the_same_with_and_without_their_columns():
    lines = [a_line(1), a_line(2)]
    assert set(found(a_list(lines)).values()) == {ELIGIBLE}
    assert a_list(lines).only(["role", "child"]).to_pylist() == [{"role": "alone", "child": None}] * 2


def test_the_order_of_both_tables_changes_nothing():
    lines, members = [head(1), a_line(3), head(4)], [member(1, 2, "spouse", 2), member(4, 2, "child", 5)]
    assert a_list(lines, members).to_bytes() == a_list(lines[::-1], members[::-1]).to_bytes()


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ([member(1, 1, "spouse", 2)], "not within 2 to 99"),
        ([member(1, 100, "spouse", 2)], "not within 2 to 99"),
        ([member(1, None, "spouse", 2)], "not within 2 to 99"),
        ([member(1, 2, "spouse", 2), member(1, 2, "child", 3)], "stands twice"),
        ([member(7, 2, "spouse", 2)], "belongs to no family"),
        ([member(1, 2, "spouse", 2, failed_draws=3, failed_draws_to_2020=4)], "more than failed_draws"),
        ([member(1, 2, "spouse", 2, failed_draws=None)], "failed_draws"),
    ],
)
def test_a_members_table_that_could_lose_somebody_opens_no_round(members, what):
    with pytest.raises(ListInvalid, match=what):
        a_list([head(1)], members)


def test_members_of_an_application_that_is_no_family_s_open_no_round():
    with pytest.raises(ListInvalid, match="belongs to no family"):
        a_list([a_line(1)], [member(1, 2, "spouse", 2)])


def test_before_there_was_a_policy_for_families_a_list_with_them_opens_no_round():
    raw = a_raw_list([a_line(1)]).append_column("family", pa.array(["家庭"]))
    with pytest.raises(ListInvalid, match="holds families, and on 2014-06-08 none may apply"):
        normalised(raw, the_policy())
    nobody = raw.set_column(raw.column_names.index("family"), "family", pa.array([" "]))
    assert len(normalised(nobody, the_policy())) == 1


@pytest.mark.parametrize("who", ["main", "member"])
def test_a_family_with_a_military_person_leaves_no_trace(who):
    own = {"kind": "ｍｉｌｉｔａｒｙ "}
    family = (
        [head(1, **(own if who == "main" else {}))],
        [member(1, 2, "spouse", 2, **(own if who == "member" else {}))],
    )
    assert a_list([*family[0], a_line(3)], family[1]).to_bytes() == a_list([a_line(3)]).to_bytes()


# --- Asked --------------------------------------------------------------------------------------


def test_the_main_applicant_is_asked_like_one_who_applies_alone_and_about_the_marriage():
    asked = asked_of(a_couple(), code(1))
    assert asked["first"] == ["identity", "household_here", "marriage"]
    assert asked["then"] == ["driving_licence", *NO_CAR, "no_recent_divorce"]


def test_only_the_main_applicant_needs_a_licence():
    listed = a_couple(member(1, 3, "child", 3), member(1, 4, "parent", 4), member(1, 5, "parent_in_law", 5))
    for number in range(2, 6):
        assert "driving_licence" not in asked_of(listed, line(1, number))["then"]
        assert set(NO_CAR) <= set(asked_of(listed, line(1, number))["then"])


def test_each_member_is_asked_the_questions_of_her_own_kind():
    listed = a_list([head(1)], [member(1, 2, "spouse", 2, kind="residence_permit")])
    assert {"residence_permit", "social_insurance_60_months"} <= set(asked_of(listed, line(1, 2))["then"])
    assert "household_here" not in asked_of(listed, line(1, 2))["first"]


def test_a_spouse_who_does_not_apply_is_asked_about_no_more_than_identity_marriage_and_car():
    listed = a_list([head(1)], [member(1, 2, "child", 2), member(1, 3, "outside_spouse", 3, spouse=1)])
    assert asked_of(listed, line(1, 3)) == {"first": ["identity", "marriage"], "then": ["no_vehicle"]}
    assert "marriage" in asked_of(listed, code(1))["first"]


def test_a_former_spouse_is_asked_about_no_more_than_identity_divorce_and_car():
    listed = a_list([head(1)], [member(1, 2, "child", 2), member(1, 3, "former_spouse", 3, of_member=1)])
    assert asked_of(listed, line(1, 3)) == {"first": ["identity", "divorce"], "then": ["former_spouse_vehicle"]}
    assert "no_recent_divorce" not in asked_of(listed, code(1))["then"]
    assert "no_recent_divorce" in asked_of(listed, line(1, 2))["then"]


def test_who_declares_no_spouse_is_asked_whether_there_is_none():
    listed = a_list([head(1)], [member(1, 2, "child", 2)])
    for one in (code(1), line(1, 2)):
        assert {"no_spouse", "no_recent_divorce"} <= set(asked_of(listed, one)["then"])


@pytest.mark.parametrize(
    ("more", "child", "parent"),
    [
        (member(1, 3, "child", 3), 3, 1),
        (member(1, 3, "child", 3, of_member=2), 3, 2),
        (member(1, 3, "parent", 3), 1, 3),
        (member(1, 3, "parent_in_law", 3), 2, 3),
    ],
)
def test_kinship_is_asked_with_the_child_s_number_for_the_parent_s(more, child, parent):
    found = rows([head(1)], [member(1, 2, "spouse", 2), more])[line(1, 3)]
    assert (found["child"], found["child_parent_number"]) == (citizen(child), citizen(parent))


def test_a_marriage_is_asked_once_for_both_lines_that_it_is_about():
    found = rows([head(1)], [member(1, 2, "child", 2), member(1, 3, "outside_spouse", 3, spouse=1)])
    keys = ("partner", "partner_spouse_number")
    assert {tuple(found[one][key] for key in keys) for one in (code(1), line(1, 3))} == {(citizen(1), citizen(3))}


def test_parents_who_are_married_to_each_other_need_no_further_spouse():
    listed = a_list([head(1)], [member(1, 2, "parent", 2, spouse=3), member(1, 3, "parent", 3)])
    assert all("marriage" in asked_of(listed, line(1, number))["first"] for number in (2, 3))


# --- Whole --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        [],
        [member(1, 2, "outside_spouse", 2, spouse=1)],
        [member(1, 2, "spouse", 2), member(1, 3, "spouse", 3)],
        [member(1, number, "parent", number) for number in (2, 3, 4)],
        [member(1, 2, "parent_in_law", 2)],
        [member(1, 2, "uncle", 2)],
        [member(1, 2, "child", 2, of_member=3)],
        [member(1, 2, "parent", 2), member(1, 3, "child", 3, of_member=2)],
        [member(1, 2, "child", 2, kind="enterprise")],
        [member(1, 2, "child", 2, kind=None)],
        [member(1, 2, "child", 1)],
        [member(1, 2, "child", 2), member(1, 3, "child", 2)],
        [member(1, 2, "child", 2, spouse=9)],
        [member(1, 2, "child", 2, spouse=2)],
        [member(1, 2, "spouse", 2), member(1, 3, "outside_spouse", 3, spouse=1)],
        [member(1, 2, "child", 2), member(1, 3, "outside_spouse", 3)],
        [member(1, 2, "child", 2), member(1, 3, "former_spouse", 3)],
        [member(1, 2, "child", 2, spouse=3), member(1, 3, "former_spouse", 3, of_member=1)],
    ],
)
def test_a_family_that_does_not_hold_together_goes_to_a_person_and_is_asked_nothing(members):
    listed = a_list([head(1)], members)
    assert found(listed)[code(1)] == NOT_WHOLE
    assert listed.settled().all()


def test_a_main_applicant_of_no_known_kind_makes_no_family():
    assert found(a_couple(kind="other"))[code(1)] == NOT_WHOLE


def test_a_bad_number_is_that_person_s_matter_and_leaves_the_family_whole():
    found = rows([head(1)], [member(1, 2, "spouse", 2, document_number="123")])
    assert {one["settled"] for one in found.values()} == {None}
    assert found[code(1)]["partner_spouse_number"] is None


# --- One finding for all ------------------------------------------------------------------------

UNSURE = unknown("doubtful_record")
WORDS = {"met": None, "not_met": CAR, "unknown": UNSURE, "not_asked": NOT_ASKED}
#: The page's table: two persons' verdicts about one rule, in any order.
TOGETHER = {
    ("met", "met"): "eligible",
    ("met", "not_met"): "not_eligible",
    ("met", "unknown"): "needs_person",
    ("met", "not_asked"): "needs_person",
    ("not_met", "not_met"): "not_eligible",
    ("not_met", "unknown"): "not_eligible",
    ("not_asked", "not_met"): "not_eligible",
    ("unknown", "unknown"): "needs_person",
    ("not_asked", "unknown"): "needs_person",
    ("not_asked", "not_asked"): "needs_person",
}


@pytest.mark.parametrize(("one", "other"), list(product(WORDS, repeat=2)))
def test_one_no_is_a_no_and_else_one_unknown_goes_to_a_person(one, other):
    given = {code(1): one, line(1, 2): other}
    held = {(who, "no_vehicle"): WORDS[word] for who, word in given.items() if WORDS[word] is not None}
    assert found(a_couple(), held)[code(1)][0] == TOGETHER[tuple(sorted((one, other)))]


def test_the_reason_names_the_role_of_who_gave_it_and_nothing_else_of_her():
    listed = a_couple(member(1, 3, "child", 3))
    assert found(listed, {(line(1, 3), "no_vehicle"): CAR})[code(1)] == ("not_eligible", "has_vehicle", "child")
    held = {(line(1, 2), "no_vehicle"): CAR, (line(1, 3), "no_vehicle"): CAR}
    assert found(listed, held)[code(1)] == ("not_eligible", "has_vehicle", "spouse")


def test_a_person_is_unknown_and_another_plainly_is_not_then_the_plain_no_counts():
    held = {(line(1, 2), "identity"): unknown("doubtful_record"), (code(1), "no_vehicle"): CAR}
    assert found(a_couple(), held)[code(1)] == ("not_eligible", "has_vehicle", "main")


def test_no_relation_ever_says_no():
    listed = a_couple(member(1, 3, "child", 3), member(1, 4, "former_spouse", 4, of_member=1))
    for rule, who in (("kinship", line(1, 3)), ("marriage", code(1)), ("divorce", line(1, 4))):
        assert found(listed, {(who, rule): unknown("no_record")})[code(1)][0] == "needs_person"


def test_somebody_alone_has_no_role():
    listed = a_list([a_line(1), head(2)], [member(2, 2, "child", 3)])
    assert found(listed, {(code(1), "no_vehicle"): CAR})[code(1)] == ("not_eligible", "has_vehicle", None)


def test_what_is_written_of_the_persons_names_nobody():
    listed = a_couple()
    from tests.rounds.family_world import QUESTIONS

    table = results.member_table(QUESTIONS, listed, verdicts(listed))
    cells = {str(cell) for column in table.columns for cell in column.to_pylist()}
    assert not cells & {citizen(1), citizen(2), "张1", "张2"}
    assert table["line"].to_pylist() == [code(1), line(1, 2)]
    assert table["role"].to_pylist() == ["main", "spouse"]


def test_the_policy_says_what_becomes_of_doubles():
    assert {one.reason for one in POLICY.doubles} == set(results.SETTLED)
