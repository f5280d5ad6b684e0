"""What engines of SQL read differently is refused, or read in one way by all of ours.

Spark itself is asked in tests/spark.
"""

import pytest

from tests.rules.cast import in_both_ways
from tests.rules.divergent import ALIKE, REFUSED, compiled, examples
from tests.rules.spark_words import in_words_of_spark
from tongban.rules.places import RuleInvalid
from tongban.rules.verdict import Verdict, unknown, unpack

PERSONS = examples()


@pytest.mark.parametrize("kind", REFUSED)
def test_an_expression_that_engines_read_differently_is_refused(kind):
    with pytest.raises(RuleInvalid):
        compiled(REFUSED[kind])


@pytest.mark.parametrize("kind", ALIKE)
def test_an_expression_that_is_accepted_means_the_same_in_every_engine(kind):
    place = list(ALIKE).index(kind)
    rule = PERSONS.rules[place]
    alone = PERSONS.one_by_one(rule)
    assert said(alone[place]) == ALIKE[kind].found
    assert in_both_ways(rule, PERSONS.keys, PERSONS.facts, PERSONS.doubts, PERSONS.at) == alone
    assert in_words_of_spark(PERSONS, [rule]) == [alone]


def said(byte: int) -> bool | str | None:
    """What the condition was for the person."""
    if byte == unknown("bad_value"):
        return "fails"
    return {Verdict.MET: True, Verdict.NOT_MET: False}.get(unpack(byte)[0])
