"""Batches: what cannot be trusted is refused before it is unpacked, and never by an exception."""

import hashlib
import random
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.full import count
from tongban.exchange.bulk import (
    BATCH_ROWS,
    About,
    Answer,
    Keys,
    Limits,
    key_digest,
    read_answer,
    read_keys,
    write_answer,
    write_keys,
)
from tongban.kit.errors import Refused

NUMBERS = [99010119800229901, 99010119800229902, 99010119850101903]
ASKS = {"name": "text", "since": "date", "level": "integer", "local": "boolean"}
DIGEST = "ab" * 32


def a_table(keys=NUMBERS, **columns) -> pa.Table:
    key_type = pa.int64() if all(isinstance(key, int) for key in keys) else pa.string()
    held = {name: pa.array(column) for name, column in columns.items()}
    return pa.table({"k": pa.array(keys, key_type), **held})


def asked_table() -> pa.Table:
    return pa.table(
        {
            "k": pa.array(NUMBERS),
            "name": ["张三", None, "李四"],
            "since": pa.array([1, 2, None], pa.date32()),
            "level": pa.array([1, None, 3], pa.int64()),
            "local": [True, None, False],
        }
    )


def code(found) -> str:
    assert isinstance(found, Refused), found
    return found.code.removeprefix("exchange.")


def stream(table: pa.Table, compression="zstd", schema=None, rows=BATCH_ROWS, end=True) -> bytes:
    """Any Arrow stream at all, lawful or not."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, schema or table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)
    raw = bytes(sink.getvalue())
    return raw if end else raw[:-8]


def required(table: pa.Table) -> pa.Table:
    """The same with a key column that cannot be null, as the protocol wants it."""
    fields = [pa.field(one.name, one.type, nullable=one.name != "k") for one in table.schema]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


# Keys there and back


def test_keys_come_back_as_they_were_sent():
    found = read_keys(write_keys(asked_table()), "citizen", ASKS)
    assert isinstance(found, Keys)
    assert found.table.to_pydict() == asked_table().to_pydict()
    assert (found.rows, found.digest) == (3, hashlib.sha256(struct.pack("<3q", *NUMBERS)).hexdigest())


def test_text_keys_come_back_in_the_order_of_their_bytes():
    keys = ["A1", "B", "a", "军字第1号"]
    found = read_keys(write_keys(a_table(keys)), "passport", {})
    assert isinstance(found, Keys)
    assert found.table["k"].to_pylist() == keys
    assert found.digest == hashlib.sha256("A1\nB\na\n军字第1号\n".encode()).hexdigest()


@given(st.sets(st.integers(0, 10**17 - 1), min_size=1, max_size=50))
def test_any_set_of_numbers_makes_one_batch_with_one_digest(numbers):
    keys = sorted(numbers)
    found = read_keys(write_keys(a_table(keys)), "citizen", {})
    assert isinstance(found, Keys)
    assert found.digest == key_digest(pa.array(keys)) == hashlib.sha256(np.array(keys, "<i8").tobytes()).hexdigest()


@given(st.sets(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1, max_size=16)))
def test_any_set_of_texts_makes_one_batch_with_one_digest(texts):
    keys = sorted(texts, key=str.encode)
    if keys and max(len(key.encode()) for key in keys) <= 64:
        found = read_keys(write_keys(pa.table({"k": pa.array(keys, pa.string())})), "passport", {})
        assert isinstance(found, Keys)
        assert found.digest == hashlib.sha256("".join(f"{key}\n" for key in keys).encode()).hexdigest()


def test_the_digest_does_not_depend_on_how_rows_lie_in_record_batches():
    table = required(a_table(list(range(1000))))
    whole, pieces = read_keys(stream(table), "citizen", {}), read_keys(stream(table, rows=7), "citizen", {})
    assert isinstance(whole, Keys)
    assert isinstance(pieces, Keys)
    assert whole.digest == pieces.digest == key_digest(pa.chunked_array([list(range(400)), list(range(400, 1000))]))


def test_a_large_batch_is_cut_into_record_batches_of_the_protocol():
    raw = write_keys(a_table(range(BATCH_ROWS + 1)))
    with pa.ipc.open_stream(raw) as reader:
        assert [batch.num_rows for batch in reader] == [BATCH_ROWS, 1]
    assert isinstance(read_keys(raw, "citizen", {}), Keys)


def test_a_batch_may_be_read_from_a_mapped_file(tmp_path):
    (tmp_path / "batch").write_bytes(write_keys(a_table()))
    with pa.memory_map(str(tmp_path / "batch")) as file:
        assert isinstance(read_keys(file.read_buffer(), "citizen", {}), Keys)


# Order


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([2, 1], "keys_unsorted"),
        ([1, 3, 2], "keys_unsorted"),
        ([1, 1], "keys_doubled"),
        ([1, 2, 2, 3], "keys_doubled"),
        ([2, 2, 1], "keys_unsorted"),
        (["b", "a"], "keys_unsorted"),
        (["a", "a"], "keys_doubled"),
        (["a", "B"], "keys_unsorted"),
    ],
)
def test_keys_ascend_strictly(keys, expected):
    domain = "citizen" if isinstance(keys[0], int) else "passport"
    assert code(read_keys(stream(required(a_table(keys))), domain, {})) == expected
    with pytest.raises(ValueError, match="key"):
        write_keys(a_table(keys))


def test_keys_ascend_across_record_batches_too():
    assert code(read_keys(stream(required(a_table([1, 3, 2, 4])), rows=2), "citizen", {})) == "keys_unsorted"
    assert code(read_keys(stream(required(a_table([1, 2, 2, 4])), rows=2), "citizen", {})) == "keys_doubled"


# Kind and columns


def test_a_batch_carries_the_kind_of_key_its_ticket_names():
    assert code(read_keys(write_keys(a_table()), "passport", {})) == "keys_mixed"
    assert code(read_keys(write_keys(a_table(["A1"])), "citizen", {})) == "keys_mixed"


def test_a_consumer_may_leave_open_what_only_the_provider_knows():
    found = read_keys(write_keys(asked_table()))
    assert isinstance(found, Keys)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"name": "text"},
        {**ASKS, "more": "text"},
        {"since": "date", "name": "text", "level": "integer", "local": "boolean"},
        {**ASKS, "level": "text"},
    ],
)
def test_columns_are_exactly_those_the_rule_asks_for_in_its_order(columns):
    assert code(read_keys(write_keys(asked_table()), "citizen", columns)) == "wrong_schema"


@pytest.mark.parametrize(
    "table",
    [
        a_table(),  # nullable key column
        required(a_table()).rename_columns(["key"]),
        pa.table({"k": pa.array([1.5])}),
        pa.table({"k": pa.array([1], pa.int32())}),
        pa.table({"k": pa.array(["a"], pa.large_string())}),
        pa.table({"k": pa.array(["a"]).dictionary_encode()}),
        pa.table({"k": pa.array([b"a"])}),
        pa.table({"k": pa.array([[1]])}),
        required(pa.table({"k": [1], "x": pa.array(["a"]).dictionary_encode()})),
        required(pa.table({"k": [1], "x": pa.array([1.5])})),
        required(pa.table({"k": [1], "x": pa.array([[1]])})),
        required(pa.table({"k": [1]})).replace_schema_metadata({"note": "x"}),
        pa.Table.from_arrays(
            [pa.array([1])], schema=pa.schema([pa.field("k", pa.int64(), nullable=False, metadata={"note": "x"})])
        ),
        pa.Table.from_arrays([pa.array([1])] * 2, schema=pa.schema([pa.field("k", pa.int64(), nullable=False)] * 2)),
        pa.table({}),
    ],
)
def test_other_columns_types_and_notes_are_refused(table):
    assert code(read_keys(stream(table))) == "wrong_schema"


def test_a_null_key_is_refused_even_under_a_schema_that_forbids_it():
    schema = pa.schema([pa.field("k", pa.int64(), nullable=False)])
    batch = pa.RecordBatch.from_arrays([pa.array([1, None])], schema=schema)
    assert code(read_keys(stream(pa.Table.from_batches([batch])), "citizen", {})) == "wrong_schema"


@pytest.mark.parametrize("key", ["", "a\nb", "x" * 65, "证" * 22])
def test_a_text_key_is_short_and_has_no_line_feed(key):
    assert code(read_keys(stream(required(a_table([key]))), "passport", {})) == "key_malformed"


def test_a_text_that_is_not_utf_8_is_refused():
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(struct.pack("<2i", 0, 2)), pa.py_buffer(b"\xff\xfe"))
    assert code(read_keys(stream(required(pa.table({"k": broken}))), "passport", {})) == "wrong_schema"


def test_offsets_that_point_outside_are_refused():
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(struct.pack("<3i", 0, 900, 2)), pa.py_buffer(b"ab"))
    raw = stream(required(pa.table({"k": broken})))
    assert code(read_keys(raw, "passport", {})) in ("wrong_schema", "truncated")


@pytest.mark.parametrize("compression", [None, "lz4"])
def test_a_stream_is_packed_with_zstd(compression):
    assert code(read_keys(stream(required(a_table()), compression), "citizen", {})) == "wrong_schema"


# Sizes before trust


def test_rows_are_counted_before_they_are_unpacked():
    raw = stream(required(a_table(range(100))), rows=10)
    assert isinstance(read_keys(raw, "citizen", {}, Limits(rows=100, batch_rows=10)), Keys)
    assert code(read_keys(raw, "citizen", {}, Limits(rows=99))) == "too_large"
    assert code(read_keys(raw, "citizen", {}, Limits(batch_rows=9))) == "too_large"
    assert code(read_keys(raw, "citizen", {}, Limits(batches=9))) == "too_large"
    assert code(read_keys(raw, "citizen", {}, Limits(unpacked_bytes=799))) == "too_large"


def test_a_record_batch_over_the_protocol_s_rows_is_refused():
    raw = stream(required(a_table(range(BATCH_ROWS + 1))), rows=BATCH_ROWS + 1)
    assert code(read_keys(raw, "citizen", {})) == "too_large"


def test_a_bomb_is_refused_without_being_unpacked(monkeypatch):
    """64 MiB of one letter pack into a few kilobytes."""
    text = pa.array(["a" * (64 * 1024 * 1024)])
    raw = stream(required(pa.table({"k": [1], "name": text})))
    assert len(raw) < 64 * 1024
    monkeypatch.setattr(pa.ipc, "read_record_batch", lambda *_: pytest.fail("it was unpacked"))
    assert code(read_keys(raw, "citizen", {"name": "text"}, Limits(unpacked_bytes=1024 * 1024))) == "too_large"


def test_a_negative_size_does_not_pay_for_a_bomb(monkeypatch):
    text = pa.array(["a" * (64 * 1024 * 1024)])
    raw = stream(required(pa.table({"k": [1], "name": text})))
    monkeypatch.setattr(pa.ipc, "read_record_batch", lambda *_: pytest.fail("it was unpacked"))
    zstd = b"\x28\xb5\x2f\xfd"
    lied = raw.replace(struct.pack("<q", 8) + zstd, struct.pack("<q", -(2**40)) + zstd)
    assert lied != raw
    assert isinstance(read_keys(lied, "citizen", {"name": "text"}, Limits(unpacked_bytes=1024 * 1024)), Refused)


def test_a_lie_about_the_unpacked_size_is_found():
    raw = write_keys(a_table(range(1000)))
    at = raw.index(struct.pack("<q", 8000))
    for said in (-2, 0, 7999, 8001, 2**40, 2**62, 2**63 - 1):
        lied = raw[:at] + struct.pack("<q", said) + raw[at + 8 :]
        assert isinstance(read_keys(lied, "citizen", {}), Refused)


# Damage


def test_a_stream_cut_anywhere_is_refused():
    raw = write_keys(asked_table())
    for length in range(len(raw)):
        assert code(read_keys(raw[:length], "citizen", ASKS)) in ("truncated", "wrong_schema")


def test_a_stream_without_its_end_mark_is_truncated():
    assert code(read_keys(stream(required(a_table()), end=False), "citizen", {})) == "truncated"


def test_nothing_follows_the_end():
    assert code(read_keys(write_keys(a_table()) + b"\x00", "citizen", {})) == "wrong_schema"
    assert code(read_keys(write_keys(a_table()) * 2, "citizen", {})) == "wrong_schema"


def test_a_dictionary_batch_in_the_stream_is_refused():
    raw = stream(required(pa.table({"k": [1], "x": pa.array(["a", ]).dictionary_encode()})))  # fmt: skip
    plain = stream(required(pa.table({"k": [1], "x": ["a"]})))
    first = 8 + struct.unpack_from("<i", plain, 4)[0]
    start = 8 + struct.unpack_from("<i", raw, 4)[0]
    assert code(read_keys(plain[:first] + raw[start:], "citizen", {"x": "text"})) == "wrong_schema"


def test_damage_is_refused_or_changes_the_digest_and_never_breaks_the_reader():
    raw = write_keys(asked_table())
    good = read_keys(raw, "citizen", ASKS)
    assert isinstance(good, Keys)
    chance = random.Random(5)
    for _ in range(count("exchange", 1500, 300_000)):
        at, length = chance.randrange(len(raw)), chance.choice((1, 1, 2, 8))
        damaged = raw[:at] + chance.randbytes(length) + raw[at + length :]
        found = read_keys(damaged, "citizen", ASKS)
        assert isinstance(found, Refused | Keys)
        if isinstance(found, Keys) and found.digest == good.digest:
            assert found.table["k"].equals(good.table["k"])


@given(st.binary(max_size=300))
def test_no_bytes_whatever_break_the_reader(raw):
    assert isinstance(read_keys(raw, "citizen", {}), Refused)
    assert isinstance(read_keys(b"\xff\xff\xff\xff" + raw, "citizen", {}), Refused)
    assert isinstance(read_answer(raw, 3), Refused)


# Answers


def about(**change) -> About:
    said = {
        "rule": "married@2014-01-01", "rule_digest": DIGEST, "snapshot": "2014-06-01-1", "snapshot_date": "2014-06-01",
        "rows": 3, "keys": "cd" * 32, "compiler": "1",
    }  # fmt: skip
    return About(**(said | change))


def test_an_answer_comes_back_as_it_was_given():
    found = read_answer(write_answer(np.array([64, 128 + 48, 0], np.uint8), about()), 3)
    assert isinstance(found, Answer)
    assert (found.verdicts.tolist(), found.about) == ([64, 176, 0], about())


@given(st.lists(st.integers(0, 255), min_size=1, max_size=300))
def test_every_byte_is_a_verdict(bytes_):
    raw = write_answer(np.array(bytes_, np.uint8), about(rows=len(bytes_)))
    found = read_answer(raw, len(bytes_))
    assert isinstance(found, Answer)
    assert found.verdicts.tolist() == bytes_


def test_a_large_answer_is_read_whole():
    rows = 3 * BATCH_ROWS + 5
    verdicts = np.random.default_rng(1).integers(0, 256, rows, np.uint8)
    found = read_answer(write_answer(verdicts, about(rows=rows)), rows)
    assert isinstance(found, Answer)
    assert (found.verdicts == verdicts).all()


@pytest.mark.parametrize("rows", [2, 4])
def test_an_answer_has_one_verdict_a_key(rows):
    raw = write_answer(np.zeros(3, np.uint8), about())
    assert isinstance(read_answer(raw, rows), Refused)
    with pytest.raises(ValueError, match="one verdict"):
        write_answer(np.zeros(3, np.uint8), about(rows=rows))


@pytest.mark.parametrize(
    "change",
    [{"rule": "married"}, {"rule_digest": "x"}, {"snapshot_date": "2014-02-30"}, {"keys": ""}, {"compiler": ""}],
)
def test_an_answer_s_facts_about_itself_have_their_forms(change):
    raw = write_answer(np.zeros(3, np.uint8), about(**change))
    assert code(read_answer(raw, 3)) == "wrong_schema"


def test_an_answer_of_other_columns_is_none():
    metadata = {name: str(getattr(about(), name)) for name in About.__slots__}
    good = pa.schema([pa.field("v", pa.uint8(), nullable=False)], metadata)
    bytes_ = pa.array([1, 2, 3], pa.uint8())
    assert isinstance(read_answer(stream(pa.Table.from_arrays([bytes_], schema=good)), 3), Answer)
    for schema, columns in (
        (good.with_metadata({**metadata, "more": "1"}), [bytes_]),
        (good.with_metadata({}), [bytes_]),
        (pa.schema([pa.field("v", pa.uint8())], metadata), [bytes_]),
        (pa.schema([pa.field("w", pa.uint8(), nullable=False)], metadata), [bytes_]),
        (pa.schema([pa.field("v", pa.int8(), nullable=False)], metadata), [bytes_.cast(pa.int8())]),
        (pa.schema([*good, pa.field("x", pa.uint8())], metadata), [bytes_, bytes_]),
    ):
        assert code(read_answer(stream(pa.Table.from_arrays(columns, schema=schema)), 3)) == "wrong_schema"


def test_an_answer_that_unpacks_to_more_than_its_rows_is_refused():
    raw = write_answer(np.zeros(100_000, np.uint8), about(rows=100_000))
    assert code(read_answer(raw, 3)) == "too_large"
