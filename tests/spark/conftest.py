"""Tests that ask Spark itself. They run where PySpark is: in `./tongban test --full rules` and `--full spark`."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tongban.node import spark
from tongban.rules.spark import Session

#: The ordinary run has no PySpark, and a test that cannot run there is none of its.
collect_ignore_glob = [] if find_spec("pyspark") else ["test_*.py"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """One Spark for all tests of a file: it takes some ten seconds to start."""
    started = spark.session(spark.Settings(tmp_path_factory.mktemp("spark")))
    yield started
    started.stop()


def write_partitioned(rows: list[dict[str, Any]], schema: pa.Schema, folder: Path, by: str) -> None:
    """A table as a warehouse keeps it: a folder for each value of one column."""
    for value in sorted({row[by] for row in rows}):
        part = pa.Table.from_pylist([row for row in rows if row[by] == value], schema).drop_columns(by)
        (folder / f"{by}={value}").mkdir(parents=True)
        # Arrow's own writer of such folders would write a name in %-encoded UTF-8, which Spark reads as another one.
        pq.write_table(part, folder / f"{by}={value}" / "part-0.parquet")
