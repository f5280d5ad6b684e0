"""Random rules over one fact table with the rows that they are asked about."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from tests.rules import generated
from tongban.rules import engine
from tongban.rules.compile import CompiledRule, compile


@dataclass(frozen=True)
class Batch:
    """Rules with one evaluation date, and the persons they are asked about: keys 0, 1, …"""

    at: date
    rules: list[CompiledRule]
    asked: list[Mapping[str, Any]]
    held: Mapping[int, Mapping[str, Any]]
    doubtful: frozenset[int]

    @property
    def keys(self) -> pa.Table:
        rows = [{"k": k} | dict(row) for k, row in enumerate(self.asked)]
        return pa.Table.from_pylist(rows, schema=engine.keys_schema(self.rules[0]))

    @property
    def facts(self) -> pa.Table:
        rows = [{"k": k} | dict(row) for k, row in self.held.items()]
        return pa.Table.from_pylist(rows, schema=engine.facts_schema(self.rules[0]))

    @property
    def doubts(self) -> pa.Array:
        return pa.array(sorted(self.doubtful), pa.int64())

    def one_by_one(self, rule: CompiledRule) -> list[int]:
        """The bytes of persons who are asked about alone."""
        return [rule.single(self.held.get(k), row, self.at, k in self.doubtful) for k, row in enumerate(self.asked)]


def a_batch(rng: random.Random, features: list[list[str]], *, rows: int) -> Batch:
    """A rule around each list of features."""
    at = rng.choice(generated.LIKELY_AT)
    complete = (None, date(2014, 1, 1), date(2018, 1, 1))
    return Batch(
        at,
        [compile(generated.a_rule(rng, at, made), generated.TABLE, complete=rng.choice(complete)) for made in features],
        [generated.an_asked(rng, at) for _ in range(rows)],
        {k: generated.a_fact(rng, at) for k in range(rows) if rng.random() > 0.1},
        frozenset(k for k in range(rows) if rng.random() < 0.05),
    )


def mixed(rng: random.Random, rules: int) -> list[list[str]]:
    """Features of each of so many rules, by chance."""
    return [rng.sample(generated.FEATURES, rng.randint(2, 5)) for _ in range(rules)]
