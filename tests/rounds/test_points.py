"""Points of a family, by the published formula."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle import families as oracle
from tests.rounds.family_world import POLICY, a_list, head, member
from tests.rounds.world import a_line, code
from tongban.rounds.points import points
from tongban.rounds.pool import balls

FIVE = {"failed_draws": 10, "failed_draws_to_2020": 0}  # five ladder points
ROLES = ("spouse", "child", "parent", "parent_in_law")


def of(main=None, *members):
    listed = a_list(
        [head(1, **(main or {}))], [member(1, n, *rest, **own) for n, (*rest, own) in enumerate(members, 2)]
    )
    assert listed.heads().sum() == 1
    return int(points(listed, POLICY)[0])


def test_the_published_example_has_126_points():
    """Main applicant, spouse, two children and four parents, four of the eight with five ladder points each."""
    members = [
        ("spouse", 2, FIVE), ("child", 3, {}), ("child", 4, {}), ("parent", 5, FIVE), ("parent", 6, FIVE),
        ("parent_in_law", 7, {}), ("parent_in_law", 8, {}),
    ]  # fmt: skip
    assert of(FIVE, *members) == 126


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([("spouse", 2, {})], (2 + 1) * 2),
        ([("child", 2, {})], (2 + 1) * 2),
        ([("parent", 2, {})], (2 + 1) * 2),
        ([("spouse", 2, {}), ("child", 3, {})], ((2 + 1) * 2 + 1) * 2),
        ([("child", 2, {}), ("parent", 3, {})], (2 + 1 + 1) * 3),
        ([("spouse", 2, {}), ("parent_in_law", 3, {})], ((2 + 1) * 2 + 1) * 2),
        ([("spouse", 2, {}), ("parent", 3, {}), ("parent_in_law", 4, {})], ((2 + 1) * 2 + 2) * 2),
        ([("child", 2, {}), ("outside_spouse", 3, {"spouse": 1, "failed_draws": 90})], (2 + 1) * 2),
        ([("child", 2, {}), ("former_spouse", 3, {"of_member": 1, "failed_draws": 90})], (2 + 1) * 2),
    ],
)
def test_generations_and_the_couple_multiply_and_only_who_applies_counts(members, expected):
    assert of(None, *members) == expected


@pytest.mark.parametrize(
    ("draws", "early", "expected"), [(0, 0, 1), (1, 0, 1), (2, 0, 2), (6, 6, 2), (5, 5, 1), (8, 6, 3)]
)
def test_draws_up_to_2020_count_by_six_and_later_ones_by_two(draws, early, expected):
    listed = a_list([a_line(1, failed_draws=draws, failed_draws_to_2020=early)])
    assert points(listed, POLICY).tolist() == [expected]


@given(st.integers(0, 400))
def test_who_applies_alone_and_says_nothing_of_2020_has_the_ladder_s_balls(draws):
    listed = a_list([a_line(1, failed_draws=draws)])
    assert (
        points(listed, POLICY).tolist()
        == balls(listed.column("failed_draws").to_numpy(), POLICY.ladder, "persons").tolist()
    )


PERSON = st.tuples(st.sampled_from(ROLES), st.integers(0, 120), st.integers(0, 120))
FAMILY = st.tuples(st.integers(0, 120), st.integers(0, 120), st.lists(PERSON, min_size=1, max_size=8))


def draws(count, early):
    return {"failed_draws": count, "failed_draws_to_2020": min(count, early)}


def both(family):
    """The product's points, and the oracle's."""
    count, early, persons = family
    members = [(role, n, draws(*own)) for n, (role, *own) in enumerate(persons, 2)]
    people = [oracle.Person(1, "main", "resident", None, None, None, None, None, count, min(count, early))]
    people += [
        oracle.Person(n, role, "resident", None, None, None, None, None, *draws(*own).values())
        for n, (role, *own) in enumerate(persons, 2)
    ]
    return of(draws(count, early), *members), oracle.points(oracle.Family(code(1), None, people))


@settings(max_examples=80, deadline=None)
@given(FAMILY)
def test_the_oracle_counts_the_same(family):
    ours, theirs = both(family)
    assert ours == theirs


@settings(max_examples=40, deadline=None)
@given(FAMILY, PERSON)
def test_a_further_person_or_draw_never_takes_points_away(family, further):
    count, early, persons = family
    before = both(family)[0]
    assert both((count, early, [*persons, further]))[0] > before
    assert both((count + 1, early, persons))[0] >= before


@settings(max_examples=40, deadline=None)
@given(FAMILY, st.randoms(use_true_random=False))
def test_the_order_of_the_members_is_nothing(family, random):
    count, early, persons = family
    shuffled = list(persons)
    random.shuffle(shuffled)
    assert both(family)[0] == both((count, early, shuffled))[0]


@settings(max_examples=40, deadline=None)
@given(FAMILY)
def test_a_family_has_more_points_than_its_main_applicant_alone(family):
    count, early, _ = family
    alone = points(a_list([a_line(1, **draws(count, early))]), POLICY)[0]
    assert both(family)[0] > alone
