"""One text, two engines, the same byte: rules and rows at random, every part of the language among them."""

import random
from collections.abc import Iterable
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.full import count, seed
from tests.rules import generated
from tests.rules.cast import in_both_ways
from tongban.rules import closures, engine, expr
from tongban.rules.compile import CompiledRule, compile, from_directory
from tongban.rules.facts import Column, Type
from tongban.rules.language import Scope
from tongban.rules.program import prepare
from tongban.rules.reader import read
from tongban.rules.rule import parameter_of
from tongban.rules.verdict import Verdict, unknown, unpack
from tongban.rules.vocabulary import VOCABULARY

RULES = count("rules", 25, 600)
ROWS = 60 if RULES == 25 else 220
#: Rules around one feature after which each of its answers must have been seen.
TRIES = 60

ANSWERS = {Verdict.MET, Verdict.NOT_MET, Verdict.UNKNOWN}
BAD = unknown("bad_value")


@settings(max_examples=RULES)
@given(st.integers(0, 2**63))
def test_a_batch_and_a_person_get_the_same_byte(chosen):
    rng = random.Random(chosen)
    features = rng.sample(generated.FEATURES, rng.randint(2, 5))
    compare(rng, rng.choice(generated.LIKELY_AT), features)


def test_every_part_of_the_language_agrees_on_both_sides_and_when_the_register_is_silent():
    chosen = seed() or random.randrange(2**63)
    print(f"seed {chosen}")
    rng = random.Random(chosen)
    stood: set[str] = set()
    for feature in generated.FEATURES:
        seen: set[Any] = set()
        wanted = ANSWERS - ({Verdict.UNKNOWN} if feature in generated.NEVER_SILENT else set())
        wanted = wanted | ({BAD} if feature in generated.FAILING else set())
        for _ in range(TRIES):
            compiled, answers = compare(rng, rng.choice(generated.LIKELY_AT), [feature])
            seen |= {unpack(byte)[0] for byte in answers if byte != BAD} | ({BAD} & set(answers))
            stood |= parts(compiled)
            if seen >= wanted:
                break
        assert seen >= wanted, feature
    assert everything() - stood == set()


def compare(rng: random.Random, at: date, features: list[str]) -> tuple[CompiledRule, Iterable[int]]:
    """Make a rule around `features` and rows, ask both engines; the answers about persons whom the register holds."""
    compiled = a_compiled_rule(rng, at, features)
    facts = {k: generated.a_fact(rng, at) for k in range(ROWS) if rng.random() > 0.1}
    asked = [generated.an_asked(rng, at) for _ in range(ROWS)]
    doubts = [k for k in range(ROWS) if rng.random() < 0.05]
    batch = in_batch(compiled, facts, asked, doubts, at)
    single = [compiled.single(facts.get(k), asked[k], at, k in doubts) for k in range(ROWS)]
    assert batch == single, compiled.text
    return compiled, [byte for k, byte in enumerate(single) if k in facts and k not in doubts]


def a_compiled_rule(rng: random.Random, at: date, features: list[str]) -> CompiledRule:
    rule = generated.a_rule(rng, at, features)
    compiled = compile(rule, generated.TABLE, complete=rng.choice((None, date(2014, 1, 1), date(2018, 1, 1))))
    again = from_directory(compiled.text, compiled.parameters, compiled.facts.to_json(), complete=compiled.complete)
    assert again.digest == compiled.digest
    return again if rng.random() < 0.5 else compiled


def in_batch(compiled: CompiledRule, facts: Any, asked: Any, doubts: Any, at: date) -> list[int]:
    keys = pa.Table.from_pylist([{"k": k} | row for k, row in enumerate(asked)], schema=engine.keys_schema(compiled))
    rows = [{"k": k} | row for k, row in facts.items()]
    table = pa.Table.from_pylist(rows, schema=engine.facts_schema(compiled))
    return in_both_ways(compiled, keys, table, pa.array(doubts, pa.int64()), at)


def parts(compiled: CompiledRule) -> set[str]:
    """Kinds of node, functions, types of column and of literal in a rule's condition."""
    named = {column.name for column in generated.TABLE.columns} | {f"asked.{c.name}" for c in generated.ASKED}
    parameters = {name: parameter_of(name, value) for name, value in generated.PARAMETERS.items()}
    asked = {column.name: column for column in generated.ASKED}
    scope = Scope(generated.TABLE.by_name(), asked, parameters, frozenset(named))
    found = set()
    for node in expr.walk(read(compiled.text["met"], scope)):
        found.add(type(node).__name__)
        if isinstance(node, expr.Call):
            found.add(node.function.name)
        if isinstance(node, expr.Field):
            found.add(f"column {node.column.type}")
        if isinstance(node, expr.Literal):
            found.add(f"literal {node.kind}")
    return found


def everything() -> set[str]:
    kinds = [kind for kind in vars(expr).values() if isinstance(kind, type) and issubclass(kind, expr.Expr)]
    nodes = {kind.__name__ for kind in kinds if not kind.__subclasses__()}
    types = {f"column {column.type}" for column in generated.TABLE.columns}
    literals = {f"literal {kind}" for kind in (None, "int", "text", "date", "bool")}
    return nodes | types | literals | set(VOCABULARY)


# -- a third opinion: DuckDB reading the very text

PLAIN = (
    "points", "wide", "points + 1", "wide - points - 1", "-points", "2 - -points", "points * 2 - wide * 3", "7", "-1",
)  # fmt: skip


def flat_condition(rng: random.Random) -> str:
    """A condition without a single parenthesis of ours, so that the order of binding decides what it means."""
    words = []
    for _ in range(rng.randint(1, 6)):
        left, right = rng.choice(PLAIN), rng.choice(PLAIN)
        term = rng.choice(
            (
                f"{left} {rng.choice(('=', '<>', '<', '<=', '>', '>=', '!='))} {right}",
                f"{left} {rng.choice(('', 'NOT '))}BETWEEN {right} AND {rng.choice(PLAIN)}",
                f"{left} {rng.choice(('', 'NOT '))}IN ({rng.choice(('0, 7', '-1'))})",
                f"CASE WHEN good AND points > 1 OR sure THEN {left} = {right} END",
                "points IS NOT NULL", "good", "sure", "good = sure", "until >= DATE '2014-06-08'",
                "state IN ('正常', 'it''s')", "COALESCE(points, wide, 7) > 6",
            )
        )  # fmt: skip
        words += [rng.choice(("", "NOT ", "NOT NOT ")) + term, rng.choice((" AND ", " OR "))]
    return "".join(words[:-1])


PLAIN_COLUMNS = (
    Column("points", Type.INT, low=-9, high=9),
    Column("wide", Type.INT, low=-9, high=9),
    Column("good", Type.BOOL),
    Column("sure", Type.BOOL),
    Column("until", Type.DATE),
    Column("state", Type.CODE, codes=generated.CODES),
)
PLAIN_VALUES = {
    "points": (None, *range(-3, 9)),
    "wide": (None, *range(-3, 9)),
    "good": (None, True, False),
    "sure": (None, True, False),
    "until": (None, date(2014, 6, 7), date(2014, 6, 8)),
    "state": (None, *generated.CODES),
}


@settings(max_examples=count("rules", 40, 1_000))
@given(st.integers(0, 2**63))
def test_a_text_means_what_duckdb_itself_makes_of_it(chosen):
    rng = random.Random(chosen)
    text = flat_condition(rng)
    scope = Scope({column.name: column for column in PLAIN_COLUMNS}, missing_means=frozenset(PLAIN_VALUES))
    program = prepare(read(text, scope))
    run, fixed = closures.runner(program), closures.constants(program, date(2014, 6, 1))
    rows = [{name: rng.choice(values) for name, values in PLAIN_VALUES.items()} for _ in range(40)]
    with duckdb.connect() as connection:
        connection.register("rows", pa.Table.from_pylist(rows, pa.schema(engine.arrow_fields(PLAIN_COLUMNS))))
        theirs = [row[0] for row in connection.sql(f"SELECT {text} FROM rows").fetchall()]
    assert [run(row, {}, fixed) for row in rows] == theirs, text
