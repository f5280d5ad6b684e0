"""A look-up that takes long ends when nobody waits for it any more, and holds nothing up after that."""

import sqlite3
import time
from pathlib import Path

import pytest

from tests.node.place import office
from tongban.node.adapters import files, sql
from tongban.node.adapters.register import Bounds, PointQuery, RegisterBusy
from tongban.node.config import RegisterConfig

ENDLESS = (
    "SELECT id_number FROM person WHERE id_number = :key AND (WITH RECURSIVE n(i) AS"
    " (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n) > 0"
)
#: Of an extract; a look-up has its own.
BOUNDS = Bounds(1, 1)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "register.db"
    with office(path) as register:
        register.execute("CREATE TABLE person (id_number TEXT)")
        register.execute("INSERT INTO person VALUES ('a')")
    return path


def point(path: Path, select: str) -> PointQuery:
    register = sql.SqliteRegister("people", str(path), BOUNDS)
    return sql.SqlitePoint(register, select.replace(":key", "?"), ("id_number",), None)


def test_it_ends_at_its_time_and_lets_writers_in(database):
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        point(database, ENDLESS).slowly("a", began + 0.2)
    assert 0.2 <= time.monotonic() - began < 5
    with sqlite3.connect(database, timeout=0, isolation_level=None) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("ROLLBACK")
    writer.close()


def test_one_whose_turn_comes_too_late_does_not_begin(database):
    look_up = point(database, "SELECT id_number FROM person WHERE id_number = :key")
    database.unlink()  # whoever began would be told that the register is gone
    with pytest.raises(TimeoutError):
        look_up.slowly("a", time.monotonic())


def test_it_waits_for_a_writer_no_longer_than_its_time(database):
    look_up = point(database, "SELECT id_number FROM person WHERE id_number = :key")
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    with pytest.raises((TimeoutError, RegisterBusy)):
        look_up.slowly("a", began + 0.3)
    assert time.monotonic() - began < sql.PATIENCE
    writer.execute("ROLLBACK")
    writer.close()
    assert look_up.slowly("a", time.monotonic() + 5) == [("a",)]


def test_a_scan_of_a_file_ends_at_its_time_and_the_next_one_is_whole(tmp_path):
    (tmp_path / "person.csv").write_text("id_number\na\n", encoding="utf-8")
    register = files.connect(RegisterConfig("people", "csv", str(tmp_path / "person.csv")), BOUNDS)
    forever = (
        "SELECT id_number FROM people WHERE id_number = ? AND (SELECT sum(a.range * b.range) FROM"
        " range(1000000) a, range(1000000) b) > 0"
    )
    with pytest.raises(TimeoutError):
        files.FilePoint(register, forever, ("id_number",), "id_number").slowly("a", time.monotonic() + 0.2)
    look_up = files.FilePoint(register, "SELECT id_number FROM people WHERE id_number = ?", ("id_number",), "id_number")
    assert look_up.slowly("a", time.monotonic() + 30) == [("a",)]
    with pytest.raises(TimeoutError):
        look_up.slowly("a", time.monotonic())
    register.close()
