"""`./tongban bench match` at its smallest size: seven nodes as processes, and one DuckDB that must find the same."""

from pathlib import Path

from tongban.cli import bench
from tongban.cli.root import checkout


def test_six_nodes_find_for_everybody_what_one_engine_over_the_same_facts_finds(tmp_path: Path):
    figures = bench.measure(
        "match",
        bench.load(checkout() / "benchmarks", "match"),
        ["size=hamlet", "pairs=1", "few=false", f"place={tmp_path}"],
    )
    found = {figure["name"]: figure for figure in figures}
    assert found["verdicts and reasons the same"]["holds"] is True
