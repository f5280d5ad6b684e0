"""Registers written into the kinds of store in which offices keep them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tongban.demo.registers import Frame, Store

_ROWS_AT_ONCE = 50_000  #: as Python objects; a whole register of 22 million rows would not fit


def write(registers: Path, frame: Frame) -> None:
    """Write one register under `registers`/<node>/, which holds none of that name yet."""
    register = frame.register
    table = pa.table({column.name: frame.columns[column.name] for column in register.columns})
    folder = registers / register.node
    folder.mkdir(parents=True, exist_ok=True)
    if register.store is Store.SQLITE:
        _write_sqlite(folder / "register.db", register.name, register.number, table)
    elif register.store is Store.PARQUET:
        write_parquet(folder / f"{register.name}.parquet", table)
    else:
        options = pa.csv.WriteOptions(quoting_style="needed")
        pa.csv.write_csv(table, folder / f"{register.name}.csv", options)


def write_parquet(path: Path, table: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(table, path, compression="zstd")


def _write_sqlite(path: Path, name: str, number: str, table: Any) -> None:
    columns = ", ".join(f"{column} TEXT" for column in table.column_names)
    places = ", ".join("?" * table.num_columns)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        # Without a journal: a broken city is thrown away, not repaired.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"CREATE TABLE {name} ({columns})")
        database.execute("BEGIN")
        database.executemany(f"INSERT INTO {name} VALUES ({places})", _rows(table))
        # After the rows: an index that grows with every row takes several times as long.
        database.execute(f"CREATE INDEX {name}_{number} ON {name} ({number})")
        database.execute("COMMIT")


def _rows(table: Any) -> Iterator[tuple[str | None, ...]]:
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
