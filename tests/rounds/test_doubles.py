"""Doubles among families: settled once, by the earliest, whatever the order; a stranger keeps nobody out."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle import families as oracle
from tests.rounds.family_world import POLICY, QUESTIONS, a_list, found, head, line, member, verdicts
from tests.rounds.world import a_line, again, code
from tongban.rounds.doubles import REASONS, excluded
from tongban.rounds.together import claiming
from tongban.rules.verdict import unknown

EARLY, LATE = "2026-08-02", "2026-09-02"
NOT_SURE = unknown("doubtful_record")
INDIVIDUAL = ("not_eligible", "individual_and_family", None)
IN_TWO = ("not_eligible", "person_in_two_families", None)
APART = ("not_eligible", "spouses_in_two_families", None)
ELIGIBLE = ("eligible", None, None)


def alone(number, person, day):
    return again(number, person, submitted_on=day) if number != person else a_line(number, submitted_on=day)


@pytest.mark.parametrize(("family_on", "alone_on", "out"), [(EARLY, LATE, 3), (LATE, EARLY, 1)])
def test_who_is_in_a_family_does_not_apply_alone_too(family_on, alone_on, out):
    listed = a_list([head(1, submitted_on=family_on), alone(3, 2, alone_on)], [member(1, 2, "spouse", 2)])
    assert found(listed)[code(out)] == INDIVIDUAL
    assert found(listed)[code(4 - out)] == ELIGIBLE


def test_the_main_applicant_is_excluded_like_everybody_else():
    listed = a_list([head(1, submitted_on=LATE), alone(3, 1, EARLY)], [member(1, 2, "spouse", 2)])
    assert found(listed) == {code(1): INDIVIDUAL, code(3): ELIGIBLE}


def test_one_person_is_in_one_family_only():
    members = [member(1, 2, "parent", 5), member(3, 2, "parent", 5)]
    listed = a_list([head(1, submitted_on=EARLY), head(3, submitted_on=LATE)], members)
    assert found(listed) == {code(1): ELIGIBLE, code(3): IN_TWO}


def test_on_one_day_the_smaller_code_counts_and_no_day_comes_last():
    members = [member(1, 2, "parent", 5), member(3, 2, "parent", 5)]
    assert found(a_list([head(3), head(1)], members))[code(3)] == IN_TWO
    assert found(a_list([head(1, submitted_on="soon"), head(3)], members))[code(1)] == IN_TWO


def test_husband_and_wife_are_not_in_two_families():
    members = [
        member(1, 2, "parent", 5), member(1, 3, "outside_spouse", 3, spouse=1),
        member(3, 2, "parent", 6), member(3, 3, "outside_spouse", 1, spouse=1),
    ]  # fmt: skip
    listed = a_list([head(1, submitted_on=EARLY), head(3, submitted_on=LATE)], members)
    assert found(listed) == {code(1): ELIGIBLE, code(3): APART}


def test_a_spouse_who_does_not_apply_with_the_family_may_apply_alone():
    members = [member(1, 2, "child", 2), member(1, 3, "outside_spouse", 3, spouse=1)]
    assert set(found(a_list([head(1), a_line(3)], members)).values()) == {ELIGIBLE}


@pytest.mark.parametrize("rule", ["identity", "kinship"])
def test_a_stranger_who_names_somebody_first_keeps_her_out_of_nothing(rule):
    """The stranger's own family goes to a person; whom he named neither waits nor loses."""
    listed = a_list([head(1, submitted_on=EARLY), alone(3, 2, LATE)], [member(1, 2, "child", 2)])
    assert found(listed, {(line(1, 2), rule): NOT_SURE}) == {
        code(1): ("needs_person", "doubtful_record", "child"),
        code(3): ELIGIBLE,
    }


def test_a_stranger_who_names_somebody_under_another_name_does_not_even_make_a_conflict():
    listed = a_list([head(1), alone(3, 2, LATE)], [member(1, 2, "child", 2, name="别人")])
    assert found(listed, {(line(1, 2), "identity"): NOT_SURE})[code(3)] == ELIGIBLE


def test_a_stranger_who_declares_somebody_his_wife_does_not_part_her_family():
    members = [member(1, 2, "child", 5), member(1, 3, "outside_spouse", 3, spouse=1), member(3, 2, "child", 6)]
    listed = a_list([head(1, submitted_on=EARLY), head(3, submitted_on=LATE)], members)
    assert found(listed, {(line(1, 3), "marriage"): NOT_SURE})[code(3)] == ELIGIBLE


def test_an_application_that_is_out_excludes_nobody():
    """The second family loses its parent to the first, so the third keeps its child."""
    members = [
        member(1, 2, "parent", 5), member(2, 2, "parent", 5), member(2, 3, "child", 6), member(3, 2, "child", 6),
    ]  # fmt: skip
    days = [head(n, submitted_on=f"2026-08-0{n}") for n in (1, 2, 3)]
    assert found(a_list(days, members)) == {code(1): ELIGIBLE, code(2): IN_TWO, code(3): ELIGIBLE}


def test_a_family_that_does_not_hold_together_claims_nobody():
    listed = a_list([head(1, submitted_on=EARLY), alone(3, 2, LATE)], [member(1, 2, "uncle", 2)])
    assert found(listed)[code(3)] == ELIGIBLE


def test_a_policy_may_send_both_away():
    doubles = tuple(replace(one, order="none") for one in POLICY.doubles)
    listed = a_list([head(1, submitted_on=EARLY), alone(3, 2, LATE)], [member(1, 2, "spouse", 2)])
    sure = claiming(QUESTIONS, verdicts(listed))
    assert excluded(listed, sure, replace(POLICY, doubles=doubles)) == dict.fromkeys((code(1), code(3)), REASONS[0])


# --- Any list -----------------------------------------------------------------------------------

APPLICATION = st.tuples(
    st.integers(0, 3),  # day
    st.booleans(),  # a family
    st.lists(st.tuples(st.integers(20, 26), st.sampled_from(["child", "outside_spouse"])), min_size=1, max_size=3),
    st.booleans(),  # whether its last person's identity is confirmed
)


def a_story(applications):
    lines, members, unsure = [], [], {}
    for number, (day, family, persons, sure) in enumerate(applications, 1):
        on = str(date(2026, 8, 1) + timedelta(days=day))
        if not family:
            lines.append(alone(number, persons[0][0], on))
            continue
        lines.append(head(number, submitted_on=on))
        seen = {number}
        for place, (person, role) in enumerate(persons, 2):
            if person not in seen and not (role == "outside_spouse" and place > 2):
                spouse = 1 if role == "outside_spouse" else None
                members.append(member(number, place, role, person, spouse=spouse))
                seen.add(person)
        members.append(member(number, 9, "child", 100 + number))
        if not sure:
            unsure[line(number, 2), "identity"] = NOT_SURE
    return lines, members, unsure


def claims(listed, sure):
    """As the oracle counts them."""
    found = {}
    for row, flag, gone in zip(listed.table.to_pylist(), sure.tolist(), listed.settled().tolist(), strict=True):
        if gone or not flag:
            continue
        own = row["application"][:13]
        claim = found.setdefault(
            own, oracle.Claim(own, date.fromisoformat(row["submitted_on"]), row["role"] == "alone", set(), set())
        )
        (claim.spouses if row["role"] == "outside_spouse" else claim.applicants).add((row["domain"], row["subject"]))
    return list(found.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(APPLICATION, min_size=2, max_size=7), st.randoms(use_true_random=False))
def test_whatever_the_order_the_same_are_out_and_the_oracle_says_the_same(applications, random):
    lines, members, unsure = a_story(applications)
    listed = a_list(lines, members)
    sure = claiming(QUESTIONS, verdicts(listed, {key: byte for key, byte in unsure.items() if key[0] in set(
        listed.column("application").to_pylist())}))  # fmt: skip
    out = excluded(listed, sure, POLICY)
    assert out == oracle.excluded(claims(listed, sure))
    random.shuffle(lines)
    random.shuffle(members)
    assert excluded(a_list(lines, members), sure, POLICY) == out
    standing = [claim for claim in claims(listed, sure) if claim.application not in out]
    applicants = [person for claim in standing for person in claim.applicants]
    assert len(applicants) == len(set(applicants))
