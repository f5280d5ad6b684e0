"""From verdicts to an outcome: the published tables, one person against a whole round, and who may say no."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongban.rules.decision import NO_RULE, Decision, Group, Outcome, Result, decide, decide_all
from tongban.rules.verdict import COMMON, Verdict, pack, unknown

N, M, U, X = Verdict.NOT_MET, Verdict.MET, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE
NO, YES, PERSON = Outcome.NOT_ELIGIBLE, Outcome.ELIGIBLE, Outcome.NEEDS_PERSON
NAMES = ("a", "b", "c", "d")


def outcome(kind: str, verdicts: tuple[Verdict, ...], count: int = 0) -> Outcome:
    names = NAMES[: len(verdicts)]
    decision = Decision("person", Group(kind, names, count))
    return decide(
        decision, {name: pack(v, 1 if v in (N, U) else 0) for name, v in zip(names, verdicts, strict=True)}
    ).outcome


@pytest.mark.parametrize(
    ("verdicts", "together", "one", "two"),
    [
        # all, any, at_least 2
        ((M, M), YES, YES, YES),
        ((M, N), NO, YES, NO),
        ((M, U), PERSON, YES, PERSON),
        ((M, X), YES, YES, PERSON),
        ((N, N), NO, NO, NO),
        ((N, U), NO, PERSON, NO),
        ((N, X), NO, NO, PERSON),
        ((U, U), PERSON, PERSON, PERSON),
        ((U, X), PERSON, PERSON, PERSON),
        ((X, X), PERSON, PERSON, PERSON),
    ],
)
def test_the_published_tables(verdicts, together, one, two):
    for order in (verdicts, verdicts[::-1]):
        assert outcome("all", order) is together
        assert outcome("any", order) is one
        assert outcome("at_least", order, 2) is two


def test_nobody_is_eligible_because_no_rule_concerned_them():
    decision = Decision("person", Group("all", ("a", "b")))
    expected = Result(PERSON, None, COMMON["no_applicable_rule"].number)
    assert decide(decision, {"a": pack(X), "b": pack(X)}) == expected


def test_the_first_rule_in_the_order_written_gives_the_reason():
    decision = Decision("person", Group("all", ("a", "b", "c")))
    verdicts = {"a": pack(U, 54), "b": pack(N, 3), "c": pack(N, 4)}
    assert decide(decision, verdicts) == Result(NO, "b", 3)
    assert decide(decision, {**verdicts, "b": pack(M), "c": pack(M)}) == Result(PERSON, "a", 54)
    assert decide(decision, dict.fromkeys("abc", pack(M))) == Result(YES, None, 0)


def test_the_reason_of_a_group_is_that_of_its_first_part():
    inner = Group("any", ("b", "c"))
    decision = Decision("person", Group("all", ("a", inner, "d")))
    verdicts = {"a": pack(M), "b": pack(N, 2), "c": pack(N, 3), "d": pack(N, 4)}
    assert decide(decision, verdicts) == Result(NO, "b", 2)
    assert decide(decision, {**verdicts, "c": pack(U, 54)}) == Result(NO, "d", 4)
    assert decide(decision, {**verdicts, "c": pack(M)}) == Result(NO, "d", 4)


def test_too_few_applicable_rules_go_to_a_person():
    decision = Decision("person", Group("at_least", ("a", "b", "c"), 2))
    verdicts = {"a": pack(M), "b": pack(X), "c": pack(X)}
    assert decide(decision, verdicts) == Result(PERSON, None, COMMON["no_applicable_rule"].number)


def test_only_a_grant_may_end_the_matter():
    assert [found for found in Outcome if found.may_be_final] == [Outcome.ELIGIBLE]


def test_a_verdict_is_missing_is_a_mistake_and_no_verdict():
    with pytest.raises(KeyError):
        decide(Decision("person", Group("all", ("a", "b"))), {"a": pack(M)})


# -- silence counts only about persons who were identified

ATTESTED = Decision("person", Group("all", ("who", "car")), identity="who", silences={"car": pack(M, 2)})


@pytest.mark.parametrize(
    ("who", "car", "expected"),
    [
        (pack(M), pack(M, 2), Result(YES, None, 0)),
        (unknown("no_record"), pack(M, 2), Result(PERSON, "who", 48)),
        (unknown("no_record"), pack(M), Result(PERSON, "who", 48)),
        (unknown("no_record"), pack(N, 1), Result(NO, "car", 1)),
        (pack(X), pack(M, 2), Result(PERSON, "car", 48)),
        (pack(X), pack(M), Result(YES, None, 0)),
    ],
)
def test_a_mistyped_number_has_no_car_either(who, car, expected):
    assert decide(ATTESTED, {"who": who, "car": car}) == expected


def test_attested_silence_that_says_no_needs_an_identified_person_too():
    decision = Decision("person", Group("all", ("who", "paid")), identity="who", silences={"paid": pack(N, 2)})
    assert decide(decision, {"who": pack(M), "paid": pack(N, 2)}) == Result(NO, "paid", 2)
    assert decide(decision, {"who": unknown("no_answer"), "paid": pack(N, 2)}) == Result(PERSON, "who", 49)


# -- a whole round

groups = st.recursive(
    st.sampled_from(NAMES),
    lambda parts: st.builds(
        lambda kind, inner, count: Group(kind, tuple(inner), min(count, len(inner))),
        st.sampled_from(["all", "any", "at_least"]),
        st.lists(parts, min_size=1, max_size=3),
        st.integers(1, 3),
    ),
    max_leaves=5,
).filter(lambda found: isinstance(found, Group) and len(set(found.rules())) == len(list(found.rules())))

bytes_ = st.sampled_from([pack(M), pack(M, 2), pack(N, 1), pack(N, 2), pack(U, 54), unknown("no_record"), pack(X)])


@given(groups, st.data())
def test_a_round_decides_as_each_person_alone(group, data):
    rules = list(group.rules())
    identity = data.draw(st.sampled_from([None, *rules]))
    silences = {rule: data.draw(bytes_) for rule in rules if rule != identity and data.draw(st.booleans())}
    decision = Decision("person", group, identity, silences)
    rows = data.draw(st.lists(st.tuples(*(bytes_ for _ in rules)), min_size=1, max_size=30))
    columns = {rule: np.array([row[n] for row in rows], np.uint8) for n, rule in enumerate(rules)}
    found = decide_all(decision, columns)
    names = (*decision.rules, *[None] * (NO_RULE - len(rules) + 1))
    together = [
        Result(Outcome(int(o)), names[int(r)], int(why))
        for o, r, why in zip(found.outcome, found.rule, found.reason, strict=True)
    ]
    assert together == [decide(decision, dict(zip(rules, row, strict=True))) for row in rows]
    assert {found.outcome.dtype, found.rule.dtype, found.reason.dtype} == {np.dtype(np.uint8)}


@pytest.mark.parametrize("kind", ["all", "any", "at_least"])
def test_more_met_never_turns_a_yes_into_a_no(kind):
    better = {N: (N, U, M), U: (U, M), M: (M,), X: (X,)}
    rank = {NO: 0, PERSON: 1, YES: 2}
    for verdicts in product(Verdict, repeat=3):
        before = rank[outcome(kind, verdicts, 2)]
        for improved in product(*(better[verdict] for verdict in verdicts)):
            assert rank[outcome(kind, improved, 2)] >= before


def test_more_rules_than_a_small_number_still_count_right():
    names = tuple(f"r{n}" for n in range(200))
    columns = {name: np.array([pack(M), pack(N, 1)], np.uint8) for name in names}
    decision = Decision("person", Group("at_least", names, 200))
    assert decide_all(decision, columns).outcome.tolist() == [YES, NO]
