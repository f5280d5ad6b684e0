"""One text, three engines, the same byte: random rules in DuckDB, in Spark, and for each person alone."""

import random

import pytest

from tests.full import count, seed
from tests.rules import generated
from tests.rules.batches import a_batch, mixed
from tests.rules.cast import in_both_ways
from tongban.rules import spark

#: Rules of one query: it takes seconds however few they are, and longer than its rules are worth beyond some fifty.
AT_ONCE = 50
ROWS = 220
QUERIES = -(-count("rules", AT_ONCE, 600) // AT_ONCE)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(QUERIES))
def test_duckdb_spark_and_a_single_call_give_each_person_the_same_byte(session, number):
    drawn = f"{seed()} {number}"
    rng = random.Random(drawn)
    parts = [[feature] for feature in generated.FEATURES] if number == 0 else []
    batch = a_batch(rng, parts + mixed(rng, AT_ONCE - len(parts)), rows=ROWS)
    # A department's cluster has settings of its own; whether Spark raises or wraps must make no difference.
    session.conf.set("spark.sql.ansi.enabled", str(number % 2 == 0).lower())
    asked = [(rule, batch.at) for rule in batch.rules]
    in_spark = spark.evaluate_all(session, asked, batch.keys, batch.facts, batch.doubts)
    for rule, bytes_ in zip(batch.rules, in_spark, strict=True):
        in_duckdb = in_both_ways(rule, batch.keys, batch.facts, batch.doubts, batch.at)
        assert bytes_.tolist() == in_duckdb == batch.one_by_one(rule), (drawn, rule.text)
