"""Tests that ask Spark itself. They run where PySpark is: in `./tongban test --full rules` and `--full spark`."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tongban.node import spark
from tongban.rules.spark import Session

#: The ordinary run has no PySpark, and a test that cannot run there is none of its.
collect_ignore_glob = [] if find_spec("pyspark") else ["test_*.py"]


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """One Spark for all tests of a process: it takes some ten seconds to start."""
    started = spark.session(spark.Settings(tmp_path_factory.mktemp("spark")))
    yield started
    started.stop()
