"""The batch engine: what comes in is checked, what goes wrong stays in its row, nothing else is reachable."""

import random
from datetime import date

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.rules.cast import AT, a_compiled, a_row, in_batch
from tongban.rules import engine
from tongban.rules.compile import compile_applies
from tongban.rules.engine import KeysInvalid, TooSlow
from tongban.rules.facts import Column, Type
from tongban.rules.single import FactsMismatch
from tongban.rules.verdict import Verdict, pack, unknown

MET = pack(Verdict.MET)


def facts_of(compiled, rows, *, text_keys=False):
    return pa.Table.from_pylist(rows, engine.facts_schema(compiled, text_keys=text_keys))


def keys_of(*keys, kind=None):
    return pa.table({"k": pa.array(keys, kind or pa.int64())})


def ask(compiled, keys, facts, doubts=None, **limits):
    return engine.evaluate(compiled, keys, facts, doubts, AT, **limits).tolist()


def test_answers_come_in_the_order_of_the_keys_however_the_facts_lie(tmp_path):
    compiled = a_compiled(tmp_path, met="points = 0", reasons=[])
    keys = sorted(random.Random(5).sample(range(10**6), 5_000))
    rows = [a_row(k=k, points=k % 2) for k in keys if k % 3]
    random.Random(6).shuffle(rows)
    found = ask(compiled, keys_of(*keys), facts_of(compiled, rows), threads=2)
    silent = unknown("no_record")
    assert found == [silent if k % 3 == 0 else pack(Verdict.NOT_MET, 1) if k % 2 else MET for k in keys]


def test_an_empty_batch_and_an_empty_register_are_answered(tmp_path):
    compiled = a_compiled(tmp_path)
    assert ask(compiled, keys_of(), facts_of(compiled, [a_row(k=1)])) == []
    assert ask(compiled, keys_of(1, 2), facts_of(compiled, [])) == [unknown("no_record")] * 2


@pytest.mark.parametrize("keys", [(2, 1), (1, 1), (1, None)])
def test_keys_that_do_not_ascend_strictly_are_refused(tmp_path, keys):
    compiled = a_compiled(tmp_path)
    with pytest.raises(KeysInvalid, match="strictly ascending"):
        ask(compiled, keys_of(*keys), facts_of(compiled, []))


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        (pa.table({"k": pa.array([1], pa.int32())}), "int64 or text"),
        (pa.table({"k": pa.array([1.0])}), "int64 or text"),
        (pa.table({"key": pa.array([1])}), "the columns must be k"),
        (pa.table({"k": pa.array([1]), "name": ["张三"]}), "the columns must be k"),
    ],
)
def test_keys_of_another_form_are_refused(tmp_path, keys, what):
    compiled = a_compiled(tmp_path)
    with pytest.raises(KeysInvalid, match=what):
        ask(compiled, keys, facts_of(compiled, []))


def test_asked_columns_stand_in_the_rule_s_order_with_the_rule_s_types(tmp_path):
    asks = [{"name": "name", "type": "text"}, {"name": "wanted", "type": "int"}]
    compiled = a_compiled(tmp_path, met="name = asked.name AND asked.wanted <> 2", asks=asks, reasons=[])
    facts = facts_of(compiled, [a_row(k=1)])
    good = pa.table({"k": [1], "name": pa.array(["张三"]).dictionary_encode(), "wanted": [1]})
    assert ask(compiled, good, facts) == [MET]
    with pytest.raises(KeysInvalid, match="k, name, wanted"):
        ask(compiled, good.select(["k", "wanted", "name"]), facts)
    with pytest.raises(KeysInvalid, match="wanted must be int64"):
        ask(compiled, good.set_column(2, "wanted", pa.array(["1"])), facts)


def test_text_keys_are_compared_by_their_bytes(tmp_path):
    compiled = a_compiled(tmp_path)
    keys = keys_of("E12345678", "e12345678", "Ｅ", kind=pa.string())
    facts = facts_of(compiled, [a_row(k="e12345678")], text_keys=True)
    assert ask(compiled, keys, facts, pa.array(["Ｅ"])) == [unknown("no_record"), MET, unknown("doubtful_record")]


def test_facts_may_lie_in_a_parquet_file_and_nothing_else_can_be_read(tmp_path):
    compiled = a_compiled(tmp_path)
    path, other = tmp_path / "it's facts.parquet", tmp_path / "other.parquet"
    for place in (path, other):
        pq.write_table(facts_of(compiled, [a_row(k=1)]), place)
    assert ask(compiled, keys_of(1, 2), path) == [MET, unknown("no_record")]
    hostile = (f"FROM read_parquet('{other}')", "FROM read_text('/etc/hostname')", f"COPY (SELECT 1) TO '{other}'")
    with engine.connected(path) as connection:
        for query in hostile:
            with pytest.raises(duckdb.PermissionException):
                connection.sql(query).fetchall()
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            connection.execute("SET enable_external_access = true")


def test_facts_may_be_a_table_of_the_node_s_own_connection(tmp_path):
    compiled = a_compiled(tmp_path)
    rows = facts_of(compiled, [a_row(k=1)])
    with duckdb.connect() as connection:
        connection.register("arriving", rows)
        connection.execute('CREATE TABLE "the facts" AS SELECT * FROM arriving')
        for _ in range(2):
            assert ask(compiled, keys_of(1), "the facts", connection=connection) == [MET]
        with pytest.raises(FactsMismatch, match="cannot be read"):
            ask(compiled, keys_of(1), "no such table", connection=connection)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"status": pa.array([1])}, "status must be VARCHAR"),
        ({"valid_until": pa.array(["2014-06-08"])}, "valid_until must be DATE"),
        ({"valid_until": pa.array([date(2014, 6, 8)]).cast(pa.timestamp("us"))}, "valid_until must be DATE"),
        ({"k": pa.array(["1"])}, "k must be BIGINT"),
        ({"licence_class": None}, "licence_class must be VARCHAR, and is missing"),
    ],
)
def test_facts_of_another_form_stop_the_batch_before_any_row(tmp_path, change, what):
    compiled = a_compiled(tmp_path)
    facts = facts_of(compiled, [a_row(k=1)])
    for name, column in change.items():
        place = facts.schema.get_field_index(name)
        facts = facts.remove_column(place) if column is None else facts.set_column(place, name, column)
    with pytest.raises(FactsMismatch, match=what):
        ask(compiled, keys_of(1), facts)


def test_columns_that_the_rule_does_not_read_may_be_missing(tmp_path):
    compiled = a_compiled(tmp_path)
    facts = facts_of(compiled, [a_row(k=1)]).select(["k", "status", "licence_class", "valid_until"])
    assert ask(compiled, keys_of(1), facts) == [MET]


def test_a_register_with_two_rows_for_a_key_gives_no_verdicts_at_all(tmp_path):
    compiled = a_compiled(tmp_path)
    with pytest.raises(FactsMismatch, match="more than one fact row"):
        ask(compiled, keys_of(1), facts_of(compiled, [a_row(k=1), a_row(k=1, status="注销")]))


def test_one_bad_row_among_many_stays_alone(tmp_path):
    compiled = a_compiled(tmp_path, met="fines * 3 + fines * fines > 0", reasons=[])
    rows = [a_row(fines=2**62 if n == 700 else n + 1) for n in range(2_000)]
    found = in_batch(compiled, rows)
    assert found[700] == unknown("bad_value")
    assert set(found[:700] + found[701:]) == {MET}


def test_codes_kept_as_a_dictionary_are_texts(tmp_path):
    compiled = a_compiled(tmp_path)
    facts = facts_of(compiled, [a_row(k=1), a_row(k=2, status="注销")])
    place = facts.schema.get_field_index("status")
    facts = facts.set_column(place, "status", facts["status"].combine_chunks().dictionary_encode())
    assert ask(compiled, keys_of(1, 2), facts) == [MET, pack(Verdict.NOT_MET, 1)]


def test_an_infinite_date_is_a_bad_value_and_no_error(tmp_path):
    compiled = a_compiled(tmp_path, met="year_of(valid_until) > 2000", reasons=[])
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE facts AS SELECT 1::BIGINT AS k, 'infinity'::DATE AS valid_until")
        connection.execute("INSERT INTO facts VALUES (2, '-infinity'), (3, '10000-01-01'), (4, '0001-01-01 (BC)')")
        found = ask(compiled, keys_of(1, 2, 3, 4), "facts", connection=connection)
    assert found == [unknown("bad_value")] * 4


def test_a_batch_beyond_its_time_is_stopped(tmp_path):
    compiled = a_compiled(tmp_path, met="points * 3 + 1 > 0", reasons=[])
    numbers = pa.array(np.arange(2_000_000))
    facts = pa.table({"k": numbers, "points": numbers})
    with pytest.raises(TooSlow, match="seconds"):
        ask(compiled, pa.table({"k": numbers}), facts, seconds=0.001)


def test_a_batch_beyond_its_memory_is_stopped(tmp_path):
    compiled = a_compiled(tmp_path, met="points * 3 + 1 > 0", reasons=[])
    numbers = pa.array(np.arange(2_000_000))
    # Out of order, so that they must be joined.
    held = pa.array(np.arange(2_000_000)[::-1].copy())
    with pytest.raises(TooSlow, match="memory"):
        ask(compiled, pa.table({"k": numbers}), pa.table({"k": held, "points": held}), memory_mb=16)


def test_applies_answers_for_every_application_in_order(tmp_path):
    from tests.rules.cast import a_rule

    columns = (Column("kind", Type.CODE, codes=("person", "unit")), Column("wanted", Type.INT, low=0, high=9))
    condition = compile_applies(a_rule(tmp_path, applies="kind <> 'unit' AND wanted + 1 > 1"), columns)
    kinds, wanted = ["person", "unit", "person", None, "person", "person"], [1, None, None, 1, 10, 0]
    found = engine.applies(condition, pa.table({"kind": kinds, "wanted": wanted, "other": [0] * 6}), at=AT)
    assert found.tolist() == [1, 0, 2, 2, 2, 0]
    single = [condition.single({"kind": k, "wanted": w}, AT) for k, w in zip(kinds, wanted, strict=True)]
    assert [{1: True, 0: False, 2: None}[byte] for byte in found.tolist()] == single
    everyone = compile_applies(a_rule(tmp_path), columns)
    assert engine.applies(everyone, pa.table({"kind": kinds}), at=AT).tolist() == [1] * 6


def test_few_keys_of_a_large_register_are_looked_up_with_the_same_answers(tmp_path):
    compiled = a_compiled(tmp_path, met="points = 0", reasons=[])
    rng = random.Random(8)
    held = sorted(rng.sample(range(10**6), 4_000))
    facts = facts_of(compiled, [a_row(k=k, points=k % 2) for k in held])
    keys = sorted({*rng.sample(held, 60), *rng.sample(range(-10, 10**6 + 10), 60), held[0], held[-1], -1, 10**7})
    doubts = pa.array(keys[::7])
    looked_up = ask(compiled, keys_of(*keys), facts, doubts)
    assert len(set(looked_up)) == 4
    doubled = pa.concat_tables([facts, facts.slice(5, 1)])
    shuffled = facts.take(pa.array(rng.sample(range(4_000), 4_000)))
    assert ask(compiled, keys_of(*keys), shuffled, doubts) == looked_up
    with pytest.raises(FactsMismatch, match="more than one fact row"):
        ask(compiled, keys_of(held[5]), doubled)
