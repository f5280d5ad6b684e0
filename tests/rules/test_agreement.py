"""One text, two engines, the same byte: rules and rows at random, every part of the language among them."""

import random
from collections import defaultdict
from datetime import date
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.full import count
from tests.rules import generated
from tongban.rules import closures, engine, expr
from tongban.rules.compile import CompiledRule, compile, from_directory
from tongban.rules.language import Scope
from tongban.rules.meaning import OutOfDomain
from tongban.rules.program import prepare
from tongban.rules.reader import read
from tongban.rules.rule import parameter_of
from tongban.rules.vocabulary import VOCABULARY

RULES = count("rules", 30, 520)
ROWS = count("rules", 60, 220) if RULES <= 30 else 220

SCOPE = Scope(
    generated.TABLE.by_name(),
    {column.name: column for column in generated.ASKED},
    {name: parameter_of(name, value) for name, value in generated.PARAMETERS.items()},
    frozenset([column.name for column in generated.TABLE.columns] + [f"asked.{c.name}" for c in generated.ASKED]),
)

#: feature → the truth values that its own condition was seen to take; "failed" for a row that fails
seen: dict[str, set[Any]] = defaultdict(set)
#: node of our tree, or function, or type of column → how often it stood in a rule
stood: dict[str, int] = defaultdict(int)
turn = iter(range(10**9))


@settings(max_examples=RULES)
@given(st.integers(0, 2**63))
def test_a_batch_and_a_person_get_the_same_byte(seed):
    rng = random.Random(seed)
    at = rng.choice(generated.LIKELY_AT)
    compiled = a_compiled_rule(rng, at)
    facts = {k: generated.a_fact(rng, at) for k in range(ROWS) if rng.random() > 0.1}
    asked = [generated.an_asked(rng, at) for _ in range(ROWS)]
    doubts = [k for k in range(ROWS) if rng.random() < 0.05]
    batch = in_batch(compiled, facts, asked, doubts, at)
    single = [compiled.single(facts.get(k), asked[k], at, k in doubts) for k in range(ROWS)]
    assert batch == single, compiled.text["met"]
    watch(compiled, list(facts.values()), asked, at, rng)


def a_compiled_rule(rng: random.Random, at: date) -> CompiledRule:
    """A rule around the next few features, so that a small run meets them all."""
    start = next(turn) * 3
    features = [generated.FEATURES[(start + n) % len(generated.FEATURES)] for n in range(3)]
    features += rng.sample(generated.FEATURES, rng.randint(0, 2))
    rule = generated.a_rule(rng, at, features)
    compiled = compile(rule, generated.TABLE, complete=rng.choice((None, date(2014, 1, 1), date(2018, 1, 1))))
    again = from_directory(compiled.text, compiled.parameters, compiled.facts.to_json(), complete=compiled.complete)
    assert again.digest == compiled.digest
    return again if rng.random() < 0.5 else compiled


def in_batch(compiled: CompiledRule, facts: Any, asked: Any, doubts: Any, at: date) -> list[int]:
    keys = pa.Table.from_pylist([{"k": k} | row for k, row in enumerate(asked)], schema=engine.keys_schema(compiled))
    rows = [{"k": k} | row for k, row in facts.items()]
    table = pa.Table.from_pylist(rows, schema=engine.facts_schema(compiled))
    return engine.evaluate(compiled, keys, table, pa.array(doubts, pa.int64()), at, memory_mb=256).tolist()


def watch(compiled: CompiledRule, facts: list[Any], asked: list[Any], at: date, rng: random.Random) -> None:
    """Note what stood in the rule, and how fresh conditions around each feature come out over these rows."""
    met = read(compiled.text["met"], SCOPE)
    for node in expr.walk(met):
        stood[type(node).__name__] += 1
        if isinstance(node, expr.Call):
            stood[node.function.name] += 1
        if isinstance(node, expr.Field):
            stood[f"column {node.column.type}"] += 1
        if isinstance(node, expr.Literal):
            stood["NULL" if node.value is None else f"literal {node.kind}"] += 1
    maker = generated.Maker(rng, at)
    for feature in generated.FEATURES:
        note(feature, maker.atom(feature), facts, asked, at)


def note(feature: str, text: str, facts: list[Any], asked: list[Any], at: date) -> None:
    program = prepare(read(text, SCOPE))
    run = closures.runner(program)
    for fact, row in zip(facts, asked, strict=False):
        try:
            seen[feature].add(run(fact, row, closures.constants(program, at)))
        except OutOfDomain:
            seen[feature].add("failed")


def test_the_run_before_this_one_met_every_part_of_the_language_on_both_sides_and_silent():
    nodes = {kind.__name__ for kind in expr.Expr.__subclasses__()} - {"Constant", "Taken", "Guarded"}
    types = {f"column {column.type}" for column in generated.TABLE.columns}
    literals = {"NULL", "literal int", "literal text", "literal date", "literal bool"}
    assert (nodes | types | literals | set(VOCABULARY)) - set(stood) == set()
    three = {feature: values & {True, False, None} for feature, values in seen.items()}
    # IS NULL has two answers by its nature, and COALESCE with a literal at its end too.
    two = {"is null", "coalesce"}
    assert {feature for feature, values in three.items() if len(values) < (2 if feature in two else 3)} == set()
    partial = {name for name, function in VOCABULARY.items() if function.partial}
    assert {name for name in partial | {"sum", "product", "minus"} if "failed" not in seen[name]} == set()
