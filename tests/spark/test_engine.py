"""A batch by Spark: from wherever its facts lie, refused where DuckDB refuses it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.rules import cast
from tongban.rules import engine, spark
from tongban.rules.engine import KeysInvalid
from tongban.rules.single import FactsMismatch

STATES = ("正常", "注销", None, "暂扣", "正常")


@pytest.fixture(scope="module")
def rule(tmp_path_factory: pytest.TempPathFactory):
    return cast.a_compiled(tmp_path_factory.mktemp("rule"))


def facts(rule, rows: int = len(STATES)) -> pa.Table:
    held = [{"k": 10 * k} | cast.a_row(status=STATES[k]) for k in range(rows)]
    return pa.Table.from_pylist(held, engine.facts_schema(rule))


def keys(*wanted: int) -> pa.Table:
    return pa.table({"k": pa.array(wanted, pa.int64())})


ASKED = keys(0, 5, 10, 20, 30, 40, 99)


@pytest.mark.parametrize("lies", ["in memory", "in a folder", "in a table"])
def test_facts_are_read_where_they_lie(session, rule, tmp_path, lies):
    table = facts(rule)
    doubts = pa.array([30], pa.int64())
    place: engine.Facts = table
    if lies != "in memory":
        # As a warehouse has it: in several files, in no order.
        for name, part in {"b": table[:3], "a": table[3:]}.items():
            pq.write_table(part, tmp_path / f"{name}.parquet")
        place = tmp_path
    if lies == "in a table":
        session.read.parquet(str(tmp_path)).createOrReplaceTempView("the_facts")
        place = "the_facts"
    found = spark.evaluate(session, rule, ASKED, place, doubts, cast.AT)
    assert found.tolist() == engine.evaluate(rule, ASKED, table, doubts, cast.AT).tolist()


def test_organisations_are_asked_by_their_text_keys(session, rule):
    held = facts(rule).set_column(0, "k", pa.array(["A", "B", "C", "D", "乙"]))
    asked = pa.table({"k": pa.array(["A", "B", "Z", "乙"])})
    found = spark.evaluate(session, rule, asked, held, None, cast.AT)
    assert found.tolist() == engine.evaluate(rule, asked, held, None, cast.AT).tolist()


def test_keys_out_of_order_are_refused(session, rule):
    with pytest.raises(KeysInvalid, match="ascending"):
        spark.evaluate(session, rule, keys(2, 1), facts(rule), None, cast.AT)


def test_a_key_with_two_fact_rows_is_refused(session, rule):
    twice = pa.concat_tables([facts(rule), facts(rule, 1)])
    with pytest.raises(FactsMismatch, match="more than one fact row"):
        spark.evaluate(session, rule, ASKED, twice, None, cast.AT)


def test_a_column_of_another_type_is_refused_and_not_cast(session, rule):
    table = facts(rule)
    place = table.column_names.index("valid_until")
    changed = table.set_column(place, "valid_until", table["valid_until"].cast(pa.timestamp("us")))
    with pytest.raises(FactsMismatch, match="valid_until must be DATE, and is timestamp"):
        spark.evaluate(session, rule, ASKED, changed, None, cast.AT)


def test_facts_that_are_not_there_are_told_without_their_place(session, rule):
    with pytest.raises(FactsMismatch, match="cannot be read") as raised:
        spark.evaluate(session, rule, ASKED, Path("/nowhere/facts"), None, cast.AT)
    assert "nowhere" not in str(raised.value)
