"""The same register in every kind of store that a department has."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.node.databases import VARIABLE
from tests.postgres import Postgres

Rows = Sequence[tuple[str | None, ...]]
KINDS = ("sqlite", "parquet", "csv", "postgresql")


def keep(kind: str, folder: Path, table: str, columns: Sequence[str], rows: Rows, server: Postgres) -> str:
    """Write a register of texts; the lines of node.toml that say where it is. An empty CSV field is missing."""
    writers = {"sqlite": _sqlite, "parquet": _parquet, "csv": _csv}
    if kind in writers:
        return writers[kind](folder / f"{table}.{kind}", table, columns, rows)
    database = f"kept_{table}"
    if not server.run(f"SELECT 1 FROM pg_database WHERE datname = '{database}'"):
        server.database(database, f"CREATE TABLE {table} ({', '.join(f'{name} text' for name in columns)})")
    server.run(f"TRUNCATE {table};", database)
    server.fill(database, table, list(rows))
    return f'url = "{server.url(database)}"\npassword_env = "{VARIABLE}"'


def _sqlite(path: Path, table: str, columns: Sequence[str], rows: Rows) -> str:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as office, office:
        office.execute(f"CREATE TABLE {table} ({', '.join(f'{name} TEXT' for name in columns)})")
        office.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)
    return f'url = "sqlite:///{path}"'


def _parquet(path: Path, _: str, columns: Sequence[str], rows: Rows) -> str:
    arrays = [pa.array([row[place] for row in rows], pa.string()) for place in range(len(columns))]
    pq.write_table(pa.table(dict(zip(columns, arrays, strict=True))), path)
    return f'parquet = "{path}"'


def _csv(path: Path, _: str, columns: Sequence[str], rows: Rows) -> str:
    def quoted(value: str | None) -> str:
        return "" if value is None else '"' + value.replace('"', '""') + '"'

    lines = [",".join(map(quoted, row)) for row in [tuple(columns), *rows]]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8", newline="")
    return f'csv = "{path}"'
