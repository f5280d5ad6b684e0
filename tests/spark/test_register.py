"""A register in Spark is read as any other is: the same texts, the same refusals, and nothing left behind."""

import os
import socket
import struct
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.spark.conftest import write_partitioned
from tongban.node import spark
from tongban.node.adapters import connect
from tongban.node.adapters.register import (
    Bounds,
    RegisterChanged,
    RegisterEndless,
    RegisterUnavailable,
    SelectRefused,
)
from tongban.node.config import RegisterConfig

SCHEMA = pa.schema(
    [
        ("number", pa.string()),
        ("ward", pa.string()),
        ("since", pa.date32()),
        ("amount", pa.int64()),
        ("fee", pa.decimal128(12, 2)),
        ("open", pa.bool_()),
    ]
)
ROWS: list[dict[str, Any]] = [
    {"number": "990101199001013017", "ward": "0101", "since": date(2014, 6, 1), "amount": 2**53 + 1, "fee": None},
    {"number": " 99010119900101302x", "ward": "0101", "since": date(1582, 10, 10), "amount": -1, "open": True},
    {"number": "990101900101303", "ward": "0202", "since": None, "amount": 0, "fee": Decimal("12.50"), "open": False},
    {"number": None, "ward": "0202", "since": date(1, 1, 1), "amount": None},
]
WHOLE = "SELECT number, ward, since, amount, fee, open FROM permits"
BOUNDS = Bounds(1_000, 300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("registers")
    write_partitioned(ROWS, SCHEMA, place / "permits", "ward")
    pq.write_table(pa.Table.from_pylist(ROWS, SCHEMA), place / "permits.parquet")
    return place


@pytest.fixture(scope="module")
def register(folder: Path) -> Iterator[Any]:
    found = opened(folder)
    yield found
    found.close()


def opened(folder: Path, bounds: Bounds = BOUNDS, name: str = "permits") -> Any:
    settings = spark.Settings(folder / "spark")
    return connect(RegisterConfig(name, "spark", str(folder / name), settings), bounds)


def rows(table: Any) -> list[tuple[Any, ...]]:
    return sorted((tuple(row.values()) for row in table.to_pylist()), key=str)


def test_every_kind_of_value_is_the_text_that_a_parquet_file_gives(register, folder):
    alone = connect(RegisterConfig("permits", "parquet", str(folder / "permits.parquet")), BOUNDS)
    assert rows(register.extract(WHOLE)) == rows(alone.extract(WHOLE))
    alone.close()


def test_a_select_sums_up_in_spark(register):
    found = register.extract("SELECT ward, count(*) AS rows, max(since) AS last FROM permits GROUP BY ward")
    assert rows(found) == [("0101", "2", "2014-06-01"), ("0202", "2", "0001-01-01")]


@pytest.mark.parametrize(
    ("select", "refused"),
    [
        ("SELECT * FROM permits", SelectRefused),
        ("SELECT number FROM permits; SELECT ward FROM permits", SelectRefused),
        ("DROP TABLE permits", SelectRefused),
        ("SELECT col FROM explode(array(1))", SelectRefused),
        ("SELECT numbre FROM permits", RegisterChanged),
        ("SELECT number FROM licences", RegisterChanged),
        ("SELECT number FROM parquet.`{folder}/permits.parquet`", RegisterChanged),
        ("SELECT raise_error(number) AS number FROM permits", RegisterUnavailable),
    ],
)
def test_another_select_than_a_plain_one_over_the_register_is_refused(register, folder, select, refused, capfd):
    with pytest.raises(refused) as raised:
        register.extract(select.replace("{folder}", str(folder)))
    said = str(raised.value) + "".join(capfd.readouterr())
    assert not any(row["number"] in said for row in ROWS if row["number"])


def test_a_register_in_spark_answers_no_look_at_one_person(register):
    with pytest.raises(SelectRefused, match="no query of one person"):
        register.point("SELECT ward FROM permits WHERE number = :key")


def test_part_of_a_register_is_no_register(register, folder):
    with pytest.raises(RegisterEndless, match="3 rows"):
        opened(folder, Bounds(3, 300)).extract(WHOLE)


def test_a_folder_that_is_not_there_is_said_before_spark_is_started(folder):
    with pytest.raises(RegisterUnavailable, match="not there"):
        opened(folder, name="licences")


def test_rows_of_a_register_are_on_the_disk_only_while_they_are_read(register, folder):
    register.extract(WHOLE)
    held = folder / "spark"
    assert held.stat().st_mode & 0o77 == 0
    assert [*held.rglob("*.parquet")] == []
    left = held / "999999999" / "rows"
    left.mkdir(parents=True)
    other = opened(folder)
    other.extract(WHOLE)
    assert not left.exists()
    other.close()
    assert [*held.iterdir()] == []


def test_spark_can_be_reached_from_its_own_machine_only(folder):
    found = opened(folder)
    found.extract(WHOLE)
    try:
        reached = listening(found._session.sparkContext._gateway.proc.pid)
        assert reached
        assert {socket.inet_ntoa(address) for address in reached} == {"127.0.0.1"}
    finally:
        found.close()


def listening(process: int) -> set[bytes]:
    """IPv4 addresses at which a process listens, as the kernel tells them."""
    sockets = set()
    for held in Path(f"/proc/{process}/fd").iterdir():
        try:
            sockets.add(os.readlink(held))
        except FileNotFoundError:  # closed meanwhile
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
                # The last 32 bits, in this machine's order: of an IPv6 address those of the IPv4 one inside it.
                found.add(struct.pack("=I", int(words[1].partition(":")[0][-8:], 16)))
    return found
