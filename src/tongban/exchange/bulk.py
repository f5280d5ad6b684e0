"""Batches: sorted keys one way, one byte a key back. Position is identity.

Both are one Arrow IPC stream with zstd. What the bytes mean is the rules' business; here they are
columns. Arrow is told to decode nothing before its sizes are known: a few kilobytes of zstd can ask
for terabytes.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tongban.exchange import names, shape
from tongban.kit.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

BATCH_ROWS: Final = 131_072
MOST_ROWS: Final = 5_000_000
LONGEST_KEY: Final = 64  #: bytes of a text key

#: Types an asked column may have: our word, and Arrow's.
TYPES: Final = {"text": "string", "integer": "int64", "date": "date32", "boolean": "bool"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a node is willing to unpack."""

    rows: int = MOST_ROWS
    batch_rows: int = BATCH_ROWS
    batches: int = 1000
    unpacked_bytes: int = 1024 * 1024 * 1024


STANDARD: Final = Limits()


@dataclass(frozen=True, slots=True)
class Keys:
    """A batch that was read.

    Shape
        table: one row a key, in order. `k`: int64 for `citizen`, else string, strictly ascending,
        never null; then the asked columns, which may be null.
    """

    table: "pa.Table"
    digest: str

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)


@dataclass(frozen=True, slots=True)
class About:
    """What an answer says of itself."""

    rule: str
    rule_digest: str
    snapshot: str
    snapshot_date: str  #: YYYY-MM-DD
    rows: int
    keys: str  #: digest of the key column
    compiler: str


class Answer(NamedTuple):
    verdicts: "np.ndarray[Any, Any]"  #: uint8, one a key, in the order of the keys
    about: About


class _Malformed(Exception):
    """Ends the reading of a stream, from however deep."""

    def __init__(self, word: str, reason: str) -> None:
        self.refused = Refused(f"exchange.{word}", reason)


# --- keys ----------------------------------------------------------------------------------------------------


def key_digest(keys: Any) -> str:
    """Digest of a key column: int64 values, little-endian, or each text followed by a line feed; hex.

    Shape
        keys: Arrow Array or ChunkedArray of int64 or string, without nulls.
    """
    found = hashlib.sha256()
    for chunk in getattr(keys, "chunks", [keys]):
        for start in range(0, len(chunk), BATCH_ROWS):
            part = chunk.slice(start, BATCH_ROWS)
            if str(part.type) == "int64":
                found.update(_numbers(part, "<i8").data)
            else:
                found.update("".join(f"{text}\n" for text in part.to_pylist()).encode())
    return found.hexdigest()


def write_keys(table: "pa.Table") -> bytes:
    """A batch's bytes. ValueError for a table that `read_keys` would refuse.

    Shape
        table: `k` first, int64 or string, strictly ascending, no nulls; then the asked columns, of types in TYPES.
    """
    import pyarrow as pa

    listed = [pa.field(one.name, one.type, nullable=one.name != "k") for one in table.schema]
    refused = _keys_schema(pa.schema(listed), None, None) or _form_refusal(table["k"]) or _order_refusal(table["k"])
    if refused:
        raise ValueError(refused.reason)
    # Keys in order are packed as small at the quickest level; texts are not, and they are most of the bytes.
    level = 1 if all(one.type == pa.int64() for one in listed) else _TEXTS_LEVEL
    return _written(pa.schema(listed), table.columns, level)


def read_keys(
    raw: Any, domain: str | None = None, columns: Mapping[str, str] | None = None, limits: Limits = STANDARD
) -> Keys | Refused:
    """Read a batch of keys of `domain`, followed by exactly `columns` (name: word of TYPES), in that order.

    The provider knows both, from ticket and rule. A consumer who only passes a batch on may leave either open.
    `raw` is bytes or a mapped file. Every malformed stream gives Refused, whatever it was made of.
    """
    table = _read(raw, lambda schema: _keys_schema(schema, domain, columns), limits)
    if isinstance(table, Refused):
        return table
    if refused := _form_refusal(table["k"]) or _order_refusal(table["k"]):
        return refused
    return Keys(table, key_digest(table["k"]))


def _keys_schema(schema: "pa.Schema", domain: str | None, columns: Mapping[str, str] | None) -> Refused | None:
    import pyarrow as pa

    known = {pa.type_for_alias(alias) for alias in TYPES.values()}
    if schema.names[:1] != ["k"] or schema.field(0).nullable or schema.field(0).type not in (pa.int64(), pa.string()):
        return Refused("exchange.wrong_schema", "the first column is not a key column")
    if domain is not None and (schema.field(0).type == pa.int64()) != (domain == "citizen"):
        return Refused("exchange.keys_mixed", "the keys are not of the kind that the ticket names")
    asked = [schema.field(n) for n in range(1, len(schema.names))]
    expected = None if columns is None else [(name, pa.type_for_alias(TYPES[word])) for name, word in columns.items()]
    if expected is not None and [(one.name, one.type) for one in asked] != expected:
        return Refused(
            "exchange.wrong_schema", "the columns are not exactly those that the rule asks for, in its order"
        )
    # An extension type or a note in the schema could carry what no column may.
    noted = schema.metadata or any(one.metadata for one in schema)
    if noted or not all(one.type in known for one in asked) or len(set(schema.names)) != len(schema.names):
        return Refused("exchange.wrong_schema", "a column has a type, a note or a name that the protocol does not know")
    return None


def _form_refusal(keys: "pa.ChunkedArray") -> Refused | None:
    """Text keys: not empty, not long, no line feed, for the digest sets keys apart by it."""
    import pyarrow.compute as pc

    if keys.null_count:
        return Refused("exchange.wrong_schema", "a key is null")
    if str(keys.type) == "int64" or not len(keys):
        return None
    lengths = pc.min_max(pc.binary_length(keys)).as_py()
    if not 0 < lengths["min"] <= lengths["max"] <= LONGEST_KEY or pc.any(pc.match_substring(keys, "\n")).as_py():
        return Refused("exchange.key_malformed", "a key is empty, too long or holds a line feed")
    return None


def _order_refusal(keys: Any) -> Refused | None:
    """Strictly ascending; texts by their bytes. A doubled key would be one person with two answers."""
    import pyarrow.compute as pc

    if len(keys) < 2:
        return None
    before, after = keys.slice(0, len(keys) - 1), keys.slice(1)
    if pc.all(pc.less(before, after)).as_py():
        return None
    if pc.any(pc.greater(before, after)).as_py():
        return Refused("exchange.keys_unsorted", "the keys are not in ascending order")
    return Refused("exchange.keys_doubled", "a key stands twice")


# --- answers -------------------------------------------------------------------------------------------------


def write_answer(verdicts: Any, about: About) -> bytes:
    """An answer's bytes. ValueError if there is not one verdict a key.

    Shape
        verdicts: uint8, numpy array or Arrow Array, one a key, in the order of the keys.
    """
    import pyarrow as pa

    column = verdicts if isinstance(verdicts, pa.Array) else pa.array(verdicts, pa.uint8())
    if len(column) != about.rows or column.null_count or column.type != pa.uint8():
        raise ValueError("an answer needs one verdict a key")
    metadata = {name: str(value) for name, value in asdict(about).items()}
    return _written(pa.schema([pa.field("v", pa.uint8(), nullable=False)], metadata), [column], _ANSWER_LEVEL)


def read_answer(raw: Any, rows: int) -> Answer | Refused:
    """Read an answer to a batch of `rows` keys."""
    limits = Limits(rows=rows, unpacked_bytes=2 * rows + 4096)
    table = _read(raw, _answer_refusal, limits)
    if isinstance(table, Refused):
        return table
    about = _about(table.schema)
    if isinstance(about, Refused):
        return about
    if table.num_rows != rows or about.rows != rows or table["v"].null_count:
        return Refused("exchange.wrong_schema", "the answer has not one verdict a key")
    return Answer(_numbers(table["v"].combine_chunks(), "u1"), about)


def _answer_refusal(schema: "pa.Schema") -> Refused | None:
    about = _about(schema)
    return about if isinstance(about, Refused) else None


def _about(schema: "pa.Schema") -> About | Refused:
    import pyarrow as pa

    expected = pa.schema([pa.field("v", pa.uint8(), nullable=False)])
    metadata = {key.decode("latin-1"): value.decode("latin-1") for key, value in (schema.metadata or {}).items()}
    if not schema.equals(expected) or schema.field(0).metadata or shape.mismatch(metadata, _ABOUT):
        return Refused("exchange.wrong_schema", "an answer is one column of verdicts, with seven facts about itself")
    return About(**{**metadata, "rows": int(metadata["rows"])})


_ABOUT: Final[shape.Shape] = {
    "rule": shape.is_rule,
    "rule_digest": shape.is_digest,
    "snapshot": shape.text(names.PRINTABLE),
    "snapshot_date": shape.is_date,
    "rows": shape.text("0|[1-9][0-9]{0,9}"),
    "keys": shape.is_digest,
    "compiler": shape.text(names.PRINTABLE),
}
assert [*_ABOUT] == [one.name for one in fields(About)]


# --- Arrow IPC streams ---------------------------------------------------------------------------------------
# https://arrow.apache.org/docs/format/Columnar.html, "Encapsulated message format" and "Recordbatch message".
# The few numbers that must be known before anything is unpacked are read here by hand; each access is
# bounds-checked by struct, and all the rest is left to Arrow.

_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_SCHEMA, _RECORDS, _ZSTD = 1, 3, 1
#: Levels of zstd: for three million names 5 saves a quarter of level 1's bytes in 0.3 s, for as many verdicts 9 saves a
#: tenth for 0.1 s.
_TEXTS_LEVEL, _ANSWER_LEVEL = 5, 9
_LARGEST_METADATA: Final = 1024 * 1024


def _written(schema: "pa.Schema", columns: list[Any], level: int) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    table = pa.Table.from_arrays(columns, schema=schema)
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=level))
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)
    return bytes(sink.getvalue())


def _read(raw: Any, judge_schema: "Callable[[pa.Schema], Refused | None]", limits: Limits) -> "pa.Table | Refused":
    """The table of a stream whose schema and sizes were judged before a column was unpacked."""
    import pyarrow as pa

    try:
        messages = _messages(memoryview(raw).cast("B"))
        first = next(messages, None)
        if first is None or first.kind != _SCHEMA:
            raise _Malformed("wrong_schema", "the stream does not begin with its schema")
        schema = pa.ipc.read_schema(pa.ipc.read_message(pa.py_buffer(first.whole)))
        if refused := judge_schema(schema):
            return refused
        return pa.Table.from_batches([*_batches(messages, schema, limits)], schema)
    except _Malformed as malformed:
        return malformed.refused
    except (pa.ArrowException, ValueError, TypeError, KeyError, IndexError, OSError, MemoryError, struct.error):
        return Refused("exchange.wrong_schema", "the body is not an Arrow stream of this protocol")


def _batches(messages: "Iterator[_Message]", schema: "pa.Schema", limits: Limits) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    rows = size = 0
    for n, message in enumerate(messages, 1):
        more_rows, more_size = _announced(message)
        rows, size = rows + more_rows, size + more_size
        if more_rows > limits.batch_rows or rows > limits.rows or size > limits.unpacked_bytes or n > limits.batches:
            raise _Malformed("too_large", "the batch has more rows or bytes than this node takes")
        batch = pa.ipc.read_record_batch(pa.ipc.read_message(pa.py_buffer(message.whole)), schema)
        batch.validate(full=True)
        yield batch


class _Message(NamedTuple):
    kind: int
    header: int  #: where the header table stands in `metadata`
    metadata: memoryview
    body: memoryview
    whole: memoryview


def _messages(raw: memoryview) -> Iterator[_Message]:
    at = 0
    while bytes(raw[at : at + 8]) != _END:
        if at + 8 > len(raw):
            raise _Malformed("truncated", "the stream ends before its end mark")
        mark, length = struct.unpack_from("<Ii", raw, at)
        if mark != 0xFFFFFFFF or not 0 < length <= _LARGEST_METADATA:
            raise _Malformed("wrong_schema", "the stream is not made of Arrow messages")
        metadata = raw[at + 8 : at + 8 + length]
        if len(metadata) < length:
            raise _Malformed("truncated", "the stream ends within a message")
        table = _u32(metadata, 0)
        size = _field(metadata, table, 3, "<q", 0)
        stop = at + 8 + length + size
        if size < 0 or stop > len(raw):
            raise _Malformed("truncated", "the stream ends within a message")
        kind, header = _field(metadata, table, 1, "<B", 0), _reference(metadata, table, 2)
        yield _Message(kind, header, metadata, raw[at + 8 + length : stop], raw[at:stop])
        at = stop
    if at + 8 != len(raw):
        raise _Malformed("wrong_schema", "something follows the end of the stream")


def _announced(message: _Message) -> tuple[int, int]:
    """Rows and unpacked bytes that a record batch says it has; nothing is unpacked."""
    metadata, table = message.metadata, message.header
    if message.kind != _RECORDS:
        raise _Malformed("wrong_schema", "the stream holds something that is not rows")
    compression = _reference(metadata, table, 3)
    if not compression or _field(metadata, compression, 0, "<b", 0) != _ZSTD:
        raise _Malformed("wrong_schema", "the stream is not packed with zstd")
    rows = _field(metadata, table, 0, "<q", 0)
    if rows < 0:
        raise _Malformed("wrong_schema", "a number of rows is negative")
    vector = _reference(metadata, table, 2)
    size = 0
    for n in range(_u32(metadata, vector) if vector else 0):
        offset, length = struct.unpack_from("<qq", metadata, vector + 4 + 16 * n)
        if length:
            # A negative place would count from the end, where Arrow would not look.
            unpacked = struct.unpack_from("<q", message.body, offset)[0] if offset >= 0 else -2
            if unpacked < -1:
                raise _Malformed("wrong_schema", "a column says a size that cannot be")
            size += length if unpacked == -1 else unpacked
    return rows, size


# FlatBuffers (https://flatbuffers.dev/internals/): a table begins with the distance back to its vtable.


def _u32(data: memoryview, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


def _slot(data: memoryview, table: int, n: int) -> int:
    """Where field `n` of `table` stands; 0 if it is left out."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0:
        raise _Malformed("wrong_schema", "a message points outside itself")
    (size,) = struct.unpack_from("<H", data, vtable)
    (offset,) = struct.unpack_from("<H", data, vtable + 4 + 2 * n) if 4 + 2 * n < size else (0,)
    return table + offset if offset else 0


def _field(data: memoryview, table: int, n: int, form: str, default: int) -> int:
    at = _slot(data, table, n)
    return int(struct.unpack_from(form, data, at)[0]) if at else default


def _reference(data: memoryview, table: int, n: int) -> int:
    at = _slot(data, table, n)
    return at + _u32(data, at) if at else 0


def _numbers(array: Any, form: str) -> "np.ndarray[Any, Any]":
    """The values of an Arrow Array without nulls, not copied."""
    import numpy as np

    if not len(array):
        return np.empty(0, form)
    return np.frombuffer(array.buffers()[1], form)[array.offset : array.offset + len(array)]
