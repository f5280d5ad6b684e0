"""A register is read to its end or not at all: an endless one is broken off by rows or by time, and nothing is kept."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tongban.node.adapters import connect, files, sql
from tongban.node.adapters.register import Bounds, Register, RegisterEndless, RegisterUnavailable
from tongban.node.config import RegisterConfig

COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
KEPT = "SELECT id_number FROM people"
#: No row ever comes of it.
SILENT = COUNT + "SELECT CAST(max(i) AS TEXT) AS id_number FROM n"
AMPLE = Bounds(1_000_000, 600)
PEOPLE = 1_000

Opened = Callable[[Bounds], Register]


@pytest.fixture(params=["url", "csv"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """Opens a register of some people, kept in a database or in a file, whose extracts come in many parts."""
    for adapter in (sql, files):
        monkeypatch.setattr(adapter, "ROWS_AT_ONCE", 7)
    numbers = [f"a{n}" for n in range(PEOPLE)]
    if request.param == "csv":
        location = str(tmp_path / "people.csv")
        Path(location).write_text("\n".join(["id_number", *numbers, ""]), encoding="utf-8")
    else:
        location = f"sqlite:///{tmp_path}/people.db"
        with sqlite3.connect(tmp_path / "people.db") as office:
            office.execute("CREATE TABLE people (id_number TEXT)")
            office.executemany("INSERT INTO people VALUES (?)", [(number,) for number in numbers])
        office.close()
    registers: list[Register] = []

    def open_(bounds: Bounds) -> Register:
        registers.append(connect(RegisterConfig("people", request.param, location), bounds))
        return registers[-1]

    yield open_
    for register in registers:
        register.close()


def test_a_register_of_many_parts_is_one_table_in_its_order(opened: Opened) -> None:
    assert opened(AMPLE).extract(KEPT)["id_number"].to_pylist() == [f"a{n}" for n in range(PEOPLE)]


def test_a_register_without_rows_has_its_columns(opened: Opened) -> None:
    found = opened(AMPLE).extract(f"{KEPT} WHERE id_number = 'nobody'")
    assert (found.num_rows, found.column_names) == (0, ["id_number"])
    assert found["id_number"].combine_chunks().to_pylist() == []


def test_a_register_of_exactly_so_many_rows_is_read_and_one_of_a_row_more_is_not(opened: Opened) -> None:
    assert opened(Bounds(PEOPLE, 600)).extract(KEPT).num_rows == PEOPLE
    with pytest.raises(RegisterEndless, match=r"after 999 rows.*refresh_rows"):
        opened(Bounds(PEOPLE - 1, 600)).extract(KEPT)


def test_rows_without_end_are_broken_off_by_their_number(opened: Opened) -> None:
    register = opened(Bounds(PEOPLE, 600))
    with pytest.raises(RegisterEndless, match="refresh_rows"):
        register.extract(f"{COUNT}SELECT CAST(i AS TEXT) AS id_number FROM n")
    assert register.extract(KEPT).num_rows == PEOPLE


def test_a_select_that_never_gives_a_row_is_broken_off_by_time(opened: Opened) -> None:
    register, began = opened(Bounds(1_000_000, 1)), time.monotonic()
    with pytest.raises(RegisterEndless, match=r"after 1 seconds.*refresh_seconds"):
        register.extract(SILENT)
    assert 1 <= time.monotonic() - began < 30
    assert register.extract(KEPT).num_rows == PEOPLE


def test_rows_without_end_are_broken_off_by_time_too(opened: Opened) -> None:
    register = opened(Bounds(2**53, 1))
    with pytest.raises(RegisterEndless, match="refresh_seconds"):
        register.extract(f"{COUNT}SELECT id_number FROM n CROSS JOIN people WHERE i % 1000 = 0")
    assert register.extract(KEPT).num_rows == PEOPLE


def test_a_file_that_goes_wrong_in_the_middle_is_a_register_that_cannot_be_read_and_not_an_endless_one(
    tmp_path: Path,
) -> None:
    place = tmp_path / "people.csv"
    # Beyond what is looked at when the file is opened.
    place.write_text("id_number,name\n" + "a,b\n" * 300_000 + "secret,c,d,e\n", encoding="utf-8")
    register = connect(RegisterConfig("people", "csv", str(place)), AMPLE)
    with pytest.raises(RegisterUnavailable) as raised:
        register.extract("SELECT id_number, name FROM people")
    assert "secret" not in str(raised.value)
    register.close()
