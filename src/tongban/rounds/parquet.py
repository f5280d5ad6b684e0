"""Parquet with the same bytes for the same table, so that a digest can stand for it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

#: DuckDB's own; smaller groups made single look-ups slower, for every query reads the footer.
ROW_GROUP = 122_880


def to_bytes(table: Any) -> bytes:
    """The table as Parquet: one writer thread, fixed row groups, no schema of a particular library inside."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.combine_chunks().replace_schema_metadata(None),
        sink,
        row_group_size=ROW_GROUP,
        compression="zstd",
        compression_level=3,
        version="2.6",
        data_page_version="1.0",
        store_schema=False,
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data


def read(path: Path, columns: list[str] | None = None) -> Any:
    """The table, or the named columns of it, in one chunk a column."""
    return pq.read_table(path, columns=columns).combine_chunks()
