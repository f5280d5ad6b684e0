"""Registers that are a Parquet or CSV file, read through DuckDB.

Point look-ups scan the file: tens of milliseconds. They run in a thread; a department that is asked often
gives its node a database.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import duckdb

from tongban.kit.errors import Unavailable
from tongban.node.adapters.register import (
    LOSSY,
    MOST_ROWS,
    ROWS_AT_ONCE,
    Bounds,
    PointQuery,
    RegisterChanged,
    RegisterEndless,
    RegisterUnavailable,
    SelectRefused,
    gathered,
    key_place,
    reviewed,
)
from tongban.node.config import RegisterConfig


def connect(config: RegisterConfig, bounds: Bounds) -> "FileRegister":
    return FileRegister(config.name, config.kind, Path(config.location), bounds)


class FileRegister:
    """One file, visible to SELECTs as a table with the register's name and only text columns."""

    def __init__(self, name: str, kind: str, path: Path, bounds: Bounds) -> None:
        self.name, self._bounds = name, bounds
        self._lock = threading.Lock()
        if not path.is_file():
            raise RegisterUnavailable(register=name, what="the file is not there")
        self._connection = duckdb.connect()
        place = str(path).replace("'", "''")
        source = self._source = (
            f"read_parquet('{place}')" if kind == "parquet" else f"read_csv('{place}', all_varchar=true)"
        )
        try:
            self._connection.execute("SET threads=2")
            self._connection.execute(f"SET allowed_paths=['{place}']")
            # A SELECT in node.toml must not reach other files of the machine.
            self._connection.execute("SET enable_external_access=false")
            self._connection.execute(f'CREATE VIEW "{name}" AS SELECT CAST(COLUMNS(*) AS VARCHAR) FROM {source}')
            self._connection.execute("SET lock_configuration=true")
        except duckdb.Error as error:
            raise RegisterUnavailable(register=name, what=type(error).__name__) from None

    def point(self, select: str) -> PointQuery:
        columns = reviewed(select, self.name, "duckdb")
        if select.count(":key") != 1:
            raise SelectRefused(register=self.name, what="a point SELECT names :key exactly once")
        prepared = select.replace(":key", "?")
        self.rows(f"EXPLAIN {prepared}", [""])
        place = key_place(select, "duckdb")
        found = FilePoint(self, prepared, columns, place[1] if place else "")
        found.refuse_lossy()
        return found

    def extract(self, select: str) -> Any:
        reviewed(select, self.name, "duckdb")
        with self._lock:
            until = time.monotonic() + self._bounds.seconds
            try:
                with self.ending(self._bounds.seconds):
                    # Whatever the SELECT makes of the register's texts: numbers and dates are understood in one place.
                    texts = self._connection.sql(select).project("CAST(COLUMNS(*) AS VARCHAR)")
                    with texts.to_arrow_reader(ROWS_AT_ONCE) as reader:
                        return gathered(self.name, reader, reader.schema, self._bounds)
            except (duckdb.Error, OSError) as error:  # Arrow's reader makes an OSError of what DuckDB says meanwhile
                if time.monotonic() >= until:
                    raise RegisterEndless.after(self.name, self._bounds, rows=False) from None
                raise _translated(self.name, error) from None

    @contextlib.contextmanager
    def ending(self, seconds: float) -> Iterator[None]:
        """What runs in the block is broken off once the time is over."""
        end = threading.Timer(seconds, self._connection.interrupt)
        end.start()
        try:
            yield
        finally:
            end.cancel()
            # Not a moment later: it would break off the next one.
            end.join()

    def rows(self, select: str, values: list[str]) -> Sequence[Sequence[Any]]:
        # One connection, one statement at a time: an unfinished result makes the next one fail.
        with self._lock:
            try:
                return self._connection.execute(select, values).fetchall()
            except duckdb.Error as error:
                raise _translated(self.name, error) from None

    def kind(self, column: str) -> str:
        """The type that the file itself gives a column; empty where there is no such column, or no row."""
        try:
            name = column.replace('"', '""')
            found = self.rows(f'SELECT typeof("{name}") FROM {self._source} LIMIT 1', [])
        except RegisterChanged:
            return ""
        return str(found[0][0]) if found else ""

    def close(self) -> None:
        self._connection.close()


class FilePoint:
    """A look-up that scans the file."""

    awaited: Literal[False] = False
    quick = False

    def __init__(self, register: FileRegister, select: str, columns: tuple[str, ...], keyed_by: str) -> None:
        self.columns = columns
        self._register, self._select, self._keyed_by = register, select, keyed_by

    def read(self, key: str) -> Sequence[Sequence[Any]]:
        found = self._register.rows(self._select, [key])[:MOST_ROWS]
        if not found:
            # Another file may have come in the place of the first. No number equals one that lost its last digits.
            self.refuse_lossy()
        return found

    def refuse_lossy(self) -> None:
        """Raises RegisterChanged where numbers are kept as floating-point numbers."""
        if self._keyed_by and self._register.kind(self._keyed_by) in ("DOUBLE", "FLOAT"):
            raise RegisterChanged(register=self._register.name, what=LOSSY.format(column=self._keyed_by))

    def slowly(self, key: str, until: float) -> Sequence[Sequence[Any]]:
        if (left := until - time.monotonic()) <= 0:
            raise TimeoutError
        try:
            with self._register.ending(left):
                return self.read(key)
        except RegisterUnavailable:
            if time.monotonic() >= until:
                raise TimeoutError from None
            raise


def _translated(register: str, error: duckdb.Error | OSError) -> Unavailable:
    if isinstance(error, duckdb.BinderException | duckdb.CatalogException):
        return RegisterChanged(register=register, what="a table or column is not there")
    return RegisterUnavailable(register=register, what=type(error).__name__)
