"""Registers in Spark: a folder of Parquet files, as its warehouses keep a table, however many machines it fills.

The SELECT of the facts runs in Spark: what it leaves out or sums up never comes to the node. What is left is written to
the node's disk and taken from there part by part. Nothing but the making of facts asks Spark: verdicts come from them.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tongban.kit.errors import Unavailable
from tongban.node import spark
from tongban.node.adapters.register import (
    ROWS_AT_ONCE,
    Bounds,
    PointQuery,
    RegisterChanged,
    RegisterEndless,
    RegisterUnavailable,
    SelectRefused,
    gathered,
    reviewed,
)
from tongban.node.config import RegisterConfig
from tongban.rules.spark import ending


def connect(config: RegisterConfig, bounds: Bounds) -> "SparkRegister":
    assert config.spark is not None
    return SparkRegister(config.name, config.location, config.spark, bounds)


class SparkRegister:
    """A folder of Parquet files, visible to SELECTs as a table with the register's name.

    location: a path, or an address such as hdfs://…, which only Spark can look at.
    """

    def __init__(self, name: str, location: str, settings: spark.Settings, bounds: Bounds) -> None:
        self.name, self._location, self._bounds = name, location, bounds
        if "://" not in location:
            _look(name, Path(location))
        if what := spark.missing():
            raise spark.SparkMissing(what=what)
        self._all, self._place = settings.folder, settings.folder / str(os.getpid())
        self._settings = replace(settings, folder=self._place)
        self._session: spark.Session = None

    def point(self, select: str) -> PointQuery:
        raise SelectRefused(register=self.name, what="a register in Spark answers no query of one person")

    def extract(self, select: str) -> Any:
        import pyarrow as pa

        columns = reviewed(select, self.name, "spark")
        session, into = self._opened(), self._place / "rows"
        try:
            with ending(session, self._bounds.seconds) as ended:
                session.read.parquet(self._location).createOrReplaceTempView(self.name)
                # Whatever the SELECT makes of the register's texts: numbers and dates are understood in one place.
                texts = [f"CAST(`{name}` AS STRING) AS `{name}`" for name in columns]
                session.sql(select).selectExpr(*texts).write.parquet(str(into), mode="overwrite", compression="zstd")
            schema = pa.schema([(name, pa.string()) for name in columns])
            return gathered(self.name, _batches(into, schema), schema, self._bounds)
        except Unavailable:
            raise
        except Exception as error:
            if ended.is_set():
                spark.kill(session)
                self._session = None
                raise RegisterEndless.after(self.name, self._bounds, rows=False) from None
            raise self._translated(error) from None
        finally:
            shutil.rmtree(into, ignore_errors=True)

    def _opened(self) -> spark.Session:
        if self._session is None:
            self._all.mkdir(mode=0o700, exist_ok=True)
            self._erase_abandoned()
            self._session = spark.session(self._settings)
        return self._session

    def _erase_abandoned(self) -> None:
        """Erase what processes that were killed left of registers' rows."""
        for left in self._all.glob("[0-9]*"):
            if not Path("/proc", left.name).exists():
                shutil.rmtree(left, ignore_errors=True)

    def _translated(self, error: Exception) -> Unavailable:
        if type(error).__name__ in ("AnalysisException", "ParseException"):
            return RegisterChanged(register=self.name, what="a table or column is not there")
        # Only the kind of error: Spark's own words may quote a value.
        return RegisterUnavailable(register=self.name, what=type(error).__name__)

    def close(self) -> None:
        if self._session is not None:
            self._session.stop()
            self._session = None
        shutil.rmtree(self._place, ignore_errors=True)


def _look(register: str, folder: Path) -> None:
    """Raises RegisterUnavailable, RegisterChanged."""
    if not folder.is_dir():
        raise RegisterUnavailable(register=register, what="the folder is not there")
    # Spark takes each %E8 for a character of its own: kinds of document would come out as ones that nobody knows.
    if any(re.search(r"=.*%[89A-Fa-f]", part.name) for part in folder.rglob("*=*") if part.is_dir()):
        raise RegisterChanged(register=register, what="folders of its parts are named in %-encoded UTF-8")


def _batches(folder: Path, schema: Any) -> Iterator[Any]:
    import pyarrow.parquet as pq

    for file in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(ROWS_AT_ONCE):
                yield batch.cast(schema)
