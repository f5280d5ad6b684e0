"""What `./tongban bench match` compares: the six rules as nodes evaluate them, and the same written by hand.

The benchmark itself, with its processes, runs for half a minute at its smallest size; here is only what makes its
comparison worth something.
"""

from datetime import date
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import _match_baseline, _match_runner, _match_world, _six
from benchmarks._six_rules import SIX
from tongban.identity.columns import citizen_keys
from tongban.node.config import read
from tongban.node.facts import build
from tongban.node.program import open_registers
from tongban.node.store import FactStore
from tongban.rounds.applications import read_raw
from tongban.rules import engine
from tongban.rules.compile import compile

AT = date.fromisoformat(_six.AT)


@pytest.fixture(scope="module")
def a_world(tmp_path_factory: pytest.TempPathFactory) -> _match_world.World:
    """The smallest workload with its facts made and its list normalised."""
    folder = tmp_path_factory.mktemp("six")
    _six.made(folder, "hamlet", 1)
    world = _match_world.laid(folder)
    for one in SIX:
        config = read(world.node(one.node))
        place = FactStore(config.folder / "facts").place(one.resource)
        served = config.resources[one.resource].facts
        assert served is not None
        build(one.resource, served, one.facts, open_registers(config), date.fromisoformat(_six.AS_OF), place)
    listed = read_raw(folder / "applicants.parquet", _match_runner.POLICY)
    (folder / "list.parquet").write_bytes(listed.to_bytes())
    return world


def by_hand(world: _match_world.World) -> Any:
    place, results = _match_baseline.prepared(world), world.folder / "results.parquet"
    query = _match_baseline.statement(world, place, str(world.folder / "list.parquet"), str(results), words=False)
    with duckdb.connect() as connection:
        connection.execute(query).fetchall()
    return pq.read_table(results)


def as_nodes_do(world: _match_world.World, department: Any, listed: Any) -> Any:
    """The department's byte for each asked row of the list."""
    keys = citizen_keys(listed["subject"].combine_chunks())
    order = np.argsort(keys.to_numpy(), kind="stable")
    asked = {column.name: listed[column.name].take(pa.array(order)) for column in department.rule.asks}
    store = FactStore(world.node(department.node) / "facts")
    snapshot = store.current(department.resource)
    assert snapshot is not None
    facts = store.facts(snapshot, "citizen")
    assert facts is not None
    compiled = compile(department.rule, department.facts, complete=date(2014, 1, 1))
    table = pa.table({"k": keys.take(pa.array(order)), **asked})
    found = np.empty(len(order), np.uint8)
    found[order] = engine.evaluate(compiled, table, facts.table, facts.doubts["k"], AT)
    return found


@pytest.mark.parametrize("department", SIX, ids=lambda one: one.register)
def test_the_baseline_written_by_hand_finds_for_everybody_what_the_node_finds(a_world, department):
    listed = pq.read_table(a_world.folder / "list.parquet")
    asked = listed["settled"].is_null().to_numpy() & listed["subject"].is_valid().to_numpy()
    rows = pa.array(np.flatnonzero(asked))
    hand = by_hand(a_world)[department.register].take(rows).to_numpy()
    assert (hand == as_nodes_do(a_world, department, listed.take(rows))).all()
    assert len({*hand}) > 3  # met, not met and unknown, each with some reason


def test_the_same_seed_gives_the_same_workload_and_another_seed_another(tmp_path):
    made = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        _six.made(tmp_path / name, "hamlet", seed)
        files = sorted((tmp_path / name).rglob("*.parquet"))
        made[name] = [path.read_bytes() for path in files]
    assert made["one"] == made["again"]
    assert all(one != other for one, other in zip(made["one"], made["other"], strict=True))
