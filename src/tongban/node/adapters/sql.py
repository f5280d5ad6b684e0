"""Registers behind a SQLAlchemy URL. SQLite is read in place; others follow as they are tried against a server."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import sqlalchemy

from tongban.kit.errors import Unavailable
from tongban.node.adapters.register import (
    MOST_ROWS,
    PointQuery,
    RegisterChanged,
    RegisterUnavailable,
    SelectRefused,
    reviewed,
)
from tongban.node.config import RegisterConfig


def connect(config: RegisterConfig) -> "SqliteRegister":
    url = sqlalchemy.make_url(config.location)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise RegisterUnavailable(register=config.name, what=f"no adapter for {url.get_backend_name()} yet")
    return SqliteRegister(config.name, url.database)


class SqliteRegister:
    """A SQLite file, opened `mode=ro` with `query_only`."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        try:
            self.connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
            self.connection.isolation_level = None
            self.connection.execute("PRAGMA query_only=ON")
            self.connection.execute("PRAGMA mmap_size=1073741824")
            self.connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except sqlite3.Error as error:
            raise RegisterUnavailable(register=name, what=type(error).__name__) from None

    def point(self, select: str) -> PointQuery:
        columns = reviewed(select, self.name, "sqlite")
        if select.count(":key") != 1:
            raise SelectRefused(register=self.name, what="a point SELECT names :key exactly once")
        try:
            self.connection.execute(f"EXPLAIN {select}", {"key": ""}).fetchall()
        except sqlite3.Error as error:
            raise _translated(self.name, error) from None
        return SqlitePoint(self, select.replace(":key", "?"), columns)

    def extract(self, select: str) -> Any:
        import pyarrow as pa

        columns = reviewed(select, self.name, "sqlite")
        try:
            rows = self.connection.execute(select).fetchall()
        except sqlite3.Error as error:
            raise _translated(self.name, error) from None
        by_column: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [[] for _ in columns]
        arrays = [pa.array([None if v is None else str(v) for v in column], pa.string()) for column in by_column]
        return pa.table(dict(zip(columns, arrays, strict=True)))

    def close(self) -> None:
        self.connection.close()


class SqlitePoint:
    """One prepared look-up; some ten microseconds when the page is in memory."""

    quick = True

    def __init__(self, register: SqliteRegister, select: str, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self._name, self._execute, self._select = register.name, register.connection.execute, select

    def read(self, key: str) -> Sequence[Sequence[Any]]:
        try:
            return self._execute(self._select, (key,)).fetchmany(MOST_ROWS)
        except sqlite3.Error as error:
            raise _translated(self._name, error) from None


def _translated(register: str, error: sqlite3.Error) -> Unavailable:
    # SQLite names the missing table or column in its text; names of columns are no personal data.
    text = str(error)
    if "no such" in text:
        return RegisterChanged(register=register, what=text)
    return RegisterUnavailable(register=register, what=type(error).__name__)
