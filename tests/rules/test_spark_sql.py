"""A rule's words for Spark give every person the byte that a single call gives.

Whether Spark itself understands them so is asked of Spark, in `./tongban test --full rules`.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules import cast, generated
from tests.rules.batches import a_batch, mixed
from tests.rules.spark_words import in_words_of_spark
from tongban.rules import spark_sql


@settings(max_examples=10)
@given(st.integers(0, 2**63))
def test_the_words_for_spark_give_each_person_the_byte_that_a_single_call_gives(chosen):
    batch = a_batch(random.Random(chosen), mixed(random.Random(chosen), 4), rows=60)
    found = in_words_of_spark(batch, batch.rules)
    for rule, bytes_ in zip(batch.rules, found, strict=True):
        assert bytes_ == batch.one_by_one(rule), rule.text


def test_every_part_of_the_language_has_its_words_for_spark():
    batch = a_batch(random.Random(0), [[feature] for feature in generated.FEATURES], rows=60)
    found = in_words_of_spark(batch, batch.rules)
    for feature, rule, bytes_ in zip(generated.FEATURES, batch.rules, found, strict=True):
        assert bytes_ == batch.one_by_one(rule), feature


@pytest.mark.parametrize("text", ["it's", "a\\b", "${spark.driver.host}", '"', "第一\n行", "\\u0041"])
def test_a_text_that_spark_would_read_otherwise_is_written_as_bytes(tmp_path, text):
    compiled = cast.a_compiled(tmp_path, parameters={"who": text}, met="name = {who}")
    query = spark_sql.statement([(compiled, cast.AT)], keys="asked", facts="held")
    assert text not in query
    assert f"X'{text.encode().hex()}'" in query


def test_rules_of_one_table_share_a_statement_and_what_they_compute(tmp_path):
    old, new = (cast.a_compiled(tmp_path, met=f"full_years(valid_until, {{at}}) >= {n}") for n in (18, 20))
    query = spark_sql.statement([(old, cast.AT), (new, cast.AT)], keys="asked", facts="held")
    assert query.count("year(") == spark_sql.statement([(old, cast.AT)], keys="asked", facts="held").count("year(")
