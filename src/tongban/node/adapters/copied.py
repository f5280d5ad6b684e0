"""Rows as PostgreSQL's COPY sends them (CSV, every value quoted but a missing one), read part by part."""

from typing import Any

import pyarrow as pa
from pyarrow import csv

from tongban.node.adapters.register import Bounds, Gathering

#: Bytes of the stream that are read at once.
PART = 4 * 1024 * 1024


class Copied:
    """Takes the stream as it comes; never more of it than one part lies here as text."""

    def __init__(self, register: str, columns: tuple[str, ...], bounds: Bounds) -> None:
        self.columns = columns
        self._schema = pa.schema([(name, pa.string()) for name in columns])
        self._gathering = Gathering(register, self._schema, bounds)
        self._held = bytearray()

    async def take(self, data: bytes) -> None:
        """Raises RegisterEndless."""
        self._held += data
        # Quotes inside a value are doubled: while their number is odd, a line's end stands within a value.
        if len(self._held) >= PART and self._held.endswith(b"\n") and self._held.count(b'"') % 2 == 0:
            self.finish()

    def finish(self) -> None:
        """Read what is held: the last part, or one that ends with a row. Raises RegisterEndless."""
        if not self._held:
            return
        names = [f"c{n}" for n in range(len(self._schema))]
        found = csv.read_csv(
            pa.py_buffer(self._held),
            csv.ReadOptions(use_threads=False, block_size=len(self._held) + 1, column_names=names),
            csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        self._held = bytearray()
        for batch in found.to_batches():
            self._gathering.add(pa.record_batch(batch.columns, schema=self._schema))

    def table(self) -> Any:
        return self._gathering.table()
