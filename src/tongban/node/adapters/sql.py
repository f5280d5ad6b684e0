"""Registers behind a SQLAlchemy URL. SQLite is read in place; others follow as they are tried against a server.

An office may write to its file while it is read, or put another in its place, by renaming or by copying over it.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import sqlalchemy

from tongban.kit.errors import Unavailable
from tongban.node.adapters.register import (
    LOSSY,
    MOST_ROWS,
    ROWS_AT_ONCE,
    Bounds,
    PointQuery,
    RegisterBusy,
    RegisterChanged,
    RegisterEndless,
    RegisterUnavailable,
    SelectRefused,
    gathered,
    key_place,
    reviewed,
)
from tongban.node.config import RegisterConfig

#: Steps of SQLite's machine that a look-up may take on the event loop: some milliseconds. One by an index takes 30.
QUICK_STEPS = 100_000
#: Steps after which a slow look-up asks whether anybody still waits for it, and an extract whether its time is over.
SLOW_STEPS = 10_000
#: Seconds that a slow look-up waits for a writer.
PATIENCE = 5
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT})


def connect(config: RegisterConfig, bounds: Bounds) -> "SqliteRegister":
    try:
        url = sqlalchemy.make_url(config.location)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        # The address may hold a password: it is not repeated.
        raise RegisterUnavailable(register=config.name, what="its url cannot be read") from None
    if url.get_backend_name() != "sqlite" or not url.database:
        raise RegisterUnavailable(register=config.name, what=f"no adapter for {url.get_backend_name()} yet")
    return SqliteRegister(config.name, url.database, bounds)


class SqliteRegister:
    """A SQLite file, opened `mode=ro` with `query_only`, and opened anew when it is another file than it was."""

    def __init__(self, name: str, path: str, bounds: Bounds) -> None:
        self.name, self._path, self._bounds = name, path, bounds
        self.state: tuple[int, ...] = ()
        self._overdrawn = 0
        self._quick: sqlite3.Connection | None = None
        self.quick()

    def quick(self) -> sqlite3.Connection:
        """The connection for the event loop: it waits for nobody and gives up early. Raises RegisterUnavailable."""
        try:
            found = os.stat(self._path)
        except OSError as error:
            raise RegisterUnavailable(register=self.name, what=type(error).__name__) from None
        # Its own change counter would not tell SQLite that a copy of another file was written over this one.
        state = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
        if self._quick is None or state != self.state:
            self.close()
            self._quick, self.state = self.opened(0), state
            self._quick.set_progress_handler(self._step, QUICK_STEPS)
        self._overdrawn = 0
        return self._quick

    def _step(self) -> bool:
        # The first call comes anywhere within the first QUICK_STEPS: SQLite counts on from the last look-up.
        self._overdrawn += 1
        return self._overdrawn > 1

    def opened(self, patience: float) -> sqlite3.Connection:
        """A connection that waits `patience` seconds for a writer. Raises RegisterUnavailable.

        Not mapped into memory: whoever shortens a mapped file ends the process that reads it.
        """
        try:
            connection = sqlite3.connect(
                f"file:{self._path}?mode=ro", uri=True, check_same_thread=False, timeout=patience
            )
            connection.isolation_level = None
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA cache_size=-65536")
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except sqlite3.Error as error:
            raise _translated(self.name, error) from None
        return connection

    def point(self, select: str) -> PointQuery:
        columns = reviewed(select, self.name, "sqlite")
        if select.count(":key") != 1:
            raise SelectRefused(register=self.name, what="a point SELECT names :key exactly once")
        try:
            connection = self.quick()
            connection.execute(f"EXPLAIN {select}", {"key": ""}).fetchall()
            found = SqlitePoint(self, select.replace(":key", "?"), columns, key_place(select, "sqlite"))
            found.look(connection)
        except sqlite3.Error as error:
            raise _translated(self.name, error) from None
        return found

    def extract(self, select: str) -> Any:
        import pyarrow as pa

        schema = pa.schema([(name, pa.string()) for name in reviewed(select, self.name, "sqlite")])
        until = time.monotonic() + self._bounds.seconds
        try:
            with contextlib.closing(self.opened(PATIENCE)) as connection:
                connection.set_progress_handler(lambda: time.monotonic() >= until, SLOW_STEPS)
                return gathered(self.name, _batches(connection.execute(select), schema), schema, self._bounds)
        except sqlite3.Error as error:
            if time.monotonic() >= until:
                raise RegisterEndless.after(self.name, self._bounds, rows=False) from None
            raise _translated(self.name, error) from None

    def close(self) -> None:
        if self._quick is not None:
            self._quick.close()
            self._quick = None


class SqlitePoint:
    """One prepared look-up; some ten microseconds when the page is in memory."""

    awaited: Literal[False] = False
    quick = True

    def __init__(
        self, register: SqliteRegister, select: str, columns: tuple[str, ...], place: tuple[str, str] | None
    ) -> None:
        self.columns = columns
        self._register, self._select, self._place = register, select, place
        self._looked_at: tuple[int, ...] | None = None
        self._untyped = False

    def read(self, key: str) -> Sequence[Sequence[Any]]:
        try:
            connection = self._register.quick()
            if self._looked_at is not self._register.state:
                self.look(connection)
                self._looked_at = self._register.state
            return self._found(connection, key)
        except sqlite3.Error as error:
            raise _translated(self._register.name, error) from None

    def slowly(self, key: str, until: float) -> Sequence[Sequence[Any]]:
        patience = min(PATIENCE, _left(until))
        try:
            with contextlib.closing(self._register.opened(patience)) as connection:
                connection.set_progress_handler(lambda: time.monotonic() >= until, SLOW_STEPS)
                self.look(connection)
                return self._found(connection, key)
        except sqlite3.Error as error:
            _left(until)
            raise _translated(self._register.name, error) from None

    def look(self, connection: sqlite3.Connection) -> None:
        """How the register compares its numbers. Raises RegisterChanged where they are floating-point numbers."""
        if self._place is None:
            return
        table, column = self._place
        info = "SELECT type FROM pragma_table_info(?) WHERE lower(name) = lower(?)"
        kind = _affinity(*(connection.execute(info, (table, column)).fetchone() or ("TEXT",)))
        if kind == "real":
            raise RegisterChanged(register=self._register.name, what=LOSSY.format(column=column))
        self._untyped = kind == "none"

    def _found(self, connection: sqlite3.Connection, key: str) -> list[Any]:
        rows = connection.execute(self._select, (key,)).fetchmany(MOST_ROWS)
        if not (self._untyped and self._place and key.isascii() and key.isdigit() and key[0] != "0" and len(key) < 19):
            return rows
        # A column without a type keeps numbers as they came: a text never equals an integer there.
        table, column = ('"' + name.replace('"', '""') + '"' for name in self._place)
        lossy = f"SELECT 1 FROM {table} WHERE {column} = ? AND typeof({column}) = 'real'"
        if connection.execute(lossy, (int(key),)).fetchone():
            raise RegisterChanged(register=self._register.name, what=LOSSY.format(column=self._place[1]))
        more = connection.execute(self._select, (int(key),)).fetchmany(MOST_ROWS)
        return rows if more == rows else (rows + more)[:MOST_ROWS]


def _batches(cursor: sqlite3.Cursor, schema: Any) -> Iterator[Any]:
    import pyarrow as pa

    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        columns = [pa.array([_text(value) for value in column], pa.string()) for column in zip(*rows, strict=True)]
        yield pa.record_batch(columns, schema=schema)


def _left(until: float) -> float:
    """Seconds until then. Raises TimeoutError if it is over."""
    if (left := until - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _translated(register: str, error: sqlite3.Error) -> Unavailable:
    # SQLite names the missing table or column in its text; names of columns are no personal data.
    text = str(error)
    if "no such" in text:
        return RegisterChanged(register=register, what=text)
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
        return RegisterBusy(register=register, what="it is being written, or the look-up takes long")
    return RegisterUnavailable(register=register, what=type(error).__name__)


#: The first that stands in the declared type decides.
_AFFINITIES = {"INT": "integer", "CHAR": "text", "CLOB": "text", "TEXT": "text", "BLOB": "none"}
_AFFINITIES |= {"REAL": "real", "FLOA": "real", "DOUB": "real"}


def _affinity(declared: str) -> str:
    """How SQLite compares a column that was declared so (its manual, "Determination Of Column Affinity")."""
    of_name = next((kind for part, kind in _AFFINITIES.items() if part in declared.upper()), "numeric")
    return of_name if declared else "none"


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return None if value is None else str(value)
