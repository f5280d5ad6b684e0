"""What engines of SQL read differently and the language accepts: Spark reads it as a single call does."""

import pytest

from tests.rules.divergent import examples
from tongban.rules import spark


@pytest.mark.timeout(600)
@pytest.mark.parametrize("strict", [True, False])
def test_spark_reads_every_accepted_expression_as_a_single_call_does(session, strict):
    session.conf.set("spark.sql.ansi.enabled", str(strict).lower())
    persons = examples()
    asked = [(rule, persons.at) for rule in persons.rules]
    found = spark.evaluate_all(session, asked, persons.keys, persons.facts, persons.doubts)
    for rule, bytes_ in zip(persons.rules, found, strict=True):
        assert bytes_.tolist() == persons.one_by_one(rule), rule.text["met"]
