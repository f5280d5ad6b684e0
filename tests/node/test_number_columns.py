"""Registers whose column of numbers is no text: real files of every kind, their facts, and queries over the gate."""

import csv
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.node.asking import Got
from tests.node.place import PROVIDER, TABLE, WORLD, Place, office
from tests.node.running import Inside, inside, queried
from tests.world import APPLICANT, HUSBAND, STRANGER
from tongban.identity.identifiers import citizen_check, pack
from tongban.node import facts
from tongban.node.adapters.register import RegisterChanged
from tongban.node.program import open_registers
from tongban.node.setup import check

UNCLEAR = "exchange.register_unclear"
NOBODY = "99010119600303001" + citizen_check("99010119600303001")
#: A number that a floating-point column happens to hold whole: a look would find it, and others with it.
EVEN = next(
    number
    for number in (f"9901011985{n:07}" + citizen_check(f"9901011985{n:07}") for n in range(101_001, 131_000))
    if number.isdigit() and int(float(number)) == int(number)
)
PEOPLE = {APPLICANT: "已婚", HUSBAND: "离婚", EVEN: "未婚"}
assert all(number.isdigit() for number in PEOPLE)
STATUS = list(PEOPLE.values())


def old(number: str) -> str:
    """The form of 15 digits."""
    return number[:6] + number[8:17]


def in_parquet(kind: Any, spelt: Callable[[str], Any] = str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        numbers = pa.array([spelt(number) for number in PEOPLE]).cast(kind)
        parquet.write_table(pa.table({"id_number": numbers, "status": STATUS}), path)

    return write


def in_sqlite(declared: str, spelt: Callable[[str], Any] = int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with office(path) as register:
            register.execute(f"CREATE TABLE {path.stem} (id_number {declared}, status TEXT)")
            rows = [(spelt(number), status) for number, status in PEOPLE.items()]
            register.executemany(f"INSERT INTO {path.stem} VALUES (?, ?)", rows)

    return write


def in_csv(spelt: Callable[[str], str]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("w", newline="") as file:
            rows = [(spelt(number), status) for number, status in PEOPLE.items()]
            csv.writer(file).writerows([("id_number", "status"), *rows])

    return write


READABLE = {
    "whole.parquet": in_parquet(pa.int64(), int),
    "unsigned.parquet": in_parquet(pa.uint64(), int),
    "decimal.parquet": in_parquet(pa.decimal128(18, 0), Decimal),
    "old_whole.parquet": in_parquet(pa.int64(), lambda number: int(old(number))),
    "dictionary.parquet": in_parquet(pa.dictionary(pa.int32(), pa.string())),
    "large.parquet": in_parquet(pa.large_string()),
    "binary.parquet": in_parquet(pa.binary(), str.encode),
    "padded.parquet": in_parquet(pa.string(), lambda number: number.ljust(20)),
    "whole.db": in_sqlite("INTEGER"),
    "old_whole.db": in_sqlite("INTEGER", lambda number: int(old(number))),
    "numeric.db": in_sqlite("NUMERIC(18)"),
    "untyped.db": in_sqlite(""),
    "old_untyped.db": in_sqlite("", lambda number: int(old(number))),
    "padded.db": in_sqlite("CHAR(20)", lambda number: number.ljust(20)),
    "plain.csv": in_csv(str),
}
#: Where the last digits are lost.
LOSSY = {
    "double.parquet": in_parquet(pa.float64(), float),
    "real.db": in_sqlite("REAL"),
    "untyped_real.db": in_sqlite("", float),
    "spreadsheet.csv": in_csv(lambda number: f"{float(number):.5E}"),
}
#: Found by the facts, and not by a look for a text.
DIM = {"blob.db": in_sqlite("BLOB", str.encode)}
ALL = READABLE | LOSSY | DIM


def called(file: str) -> str:
    return file.replace(".", "_")


def toml(file: str) -> str:
    name, path = called(file), f"../../registers/civil-affairs/{file}"
    table = Path(file).stem if file.endswith(".db") else name
    where = f'url = "sqlite:///{path}"' if file.endswith(".db") else f'{Path(file).suffix[1:]} = "{path}"'
    resource = f'[resource."civil_affairs/{name}"'
    return f"""
[register.{name}]
{where}

{resource}]
register = "{name}"
point = "SELECT status FROM {table} WHERE id_number = :key"
fields = ["status"]

{resource}.facts]
number = "id_number"
domain = "citizen"

[{resource}.facts.source]]
rows = "SELECT id_number, status FROM {table}"
columns = ["status code 已婚|离婚|未婚"]
"""


@pytest.fixture(scope="module")
def node(place: Place) -> Iterator[Inside]:
    for file, write in ALL.items():
        write(place.register / file)
    names = [f"civil_affairs/{called(file)}" for file in ALL]
    place.put(
        *(place.resource(name, ["status"], domains=["citizen"]) for name in names),
        *(place.grant(called(file), resource=f"civil_affairs/{called(file)}", fields=["status"]) for file in ALL),
    )
    with inside(place, "twin-columns", PROVIDER, toml=lambda text: text + "".join(map(toml, ALL))) as found:
        yield found


def refresh(node: Inside, file: str) -> facts.Snapshot:
    config, name = node.node.config, f"civil_affairs/{called(file)}"
    given = config.resources[name].facts
    assert given is not None
    table = facts.FactTable(name, ("citizen",), TABLE.columns)
    return facts.build(name, given, table, open_registers(config), WORLD, node.node.store.place(name))


def ask(node: Inside, place: Place, file: str, key: str) -> Got:
    return queried(node, place, f"civil_affairs/{called(file)}", called(file), ("citizen", key))


def told(got: Got) -> list[str]:
    return [record["status"] for record in got.said["records"]]


@pytest.mark.parametrize("file", READABLE | DIM)
def test_every_person_of_a_readable_column_has_a_fact_and_nobody_is_in_doubt(node: Inside, file: str) -> None:
    snapshot = refresh(node, file)
    held = node.node.store.facts(snapshot, "citizen")
    assert held is not None
    assert {number: (held.row(pack(number)) or {}).get("status") for number in PEOPLE} == PEOPLE
    assert (snapshot.rejected, snapshot.doubts, held.row(pack(STRANGER))) == (0, 0, None)


@pytest.mark.parametrize("file", READABLE)
def test_a_query_finds_every_person_of_a_readable_column(node: Inside, place: Place, file: str) -> None:
    refresh(node, file)
    assert {number: told(ask(node, place, file, number)) for number in PEOPLE} == {
        number: [status] for number, status in PEOPLE.items()
    }
    assert told(ask(node, place, file, NOBODY)) == []


@pytest.mark.parametrize("file", DIM)
def test_whom_the_facts_know_and_a_look_does_not_find_is_unclear(node: Inside, place: Place, file: str) -> None:
    refresh(node, file)
    assert {ask(node, place, file, number).code for number in PEOPLE} == {UNCLEAR}


@pytest.mark.parametrize("file", LOSSY)
def test_numbers_that_lost_their_last_digits_make_no_facts(node: Inside, file: str) -> None:
    with pytest.raises(RegisterChanged, match="id_number holds floating-point numbers") as raised:
        refresh(node, file)
    assert not [number for number in PEOPLE if number[:5] in str(raised.value)]
    assert node.node.store.current(f"civil_affairs/{called(file)}") is None


@pytest.mark.parametrize("number", [APPLICANT, EVEN, NOBODY])
@pytest.mark.parametrize("file", LOSSY)
def test_numbers_that_lost_their_last_digits_are_neither_found_nor_denied(
    node: Inside, place: Place, file: str, number: str
) -> None:
    got = ask(node, place, file, number)
    assert (got.code, got.status) in [("exchange.register_changed", 503), (UNCLEAR, 503)]


@pytest.mark.parametrize("file", ["double.parquet", "real.db"])
def test_a_check_names_a_column_that_lost_its_last_digits(node: Inside, file: str) -> None:
    found = {one.where: one for one in check(node.node.config.folder)}
    assert "id_number holds floating-point" in found[f"resource civil_affairs/{called(file)}"].what


def test_one_damaged_number_leaves_everybody_else_s_facts(node: Inside, place: Place) -> None:
    file = place.register / "plain.csv"
    before = file.read_text()
    file.write_text(before + "9.90102E+17,已婚\n")
    try:
        snapshot = refresh(node, "plain.csv")
    finally:
        file.write_text(before)
    assert (snapshot.rows["citizen"], snapshot.rejected) == (len(PEOPLE), 1)


def test_a_file_of_floating_point_numbers_in_the_place_of_the_first_denies_nobody(node: Inside, place: Place) -> None:
    refresh(node, "whole.parquet")
    assert told(ask(node, place, "whole.parquet", NOBODY)) == []
    LOSSY["double.parquet"](place.register / "whole.parquet")
    try:
        assert ask(node, place, "whole.parquet", NOBODY).code == "exchange.register_changed"
    finally:
        READABLE["whole.parquet"](place.register / "whole.parquet")


def test_a_column_without_a_type_is_read_for_texts_and_whole_numbers_and_no_row_twice(
    node: Inside, place: Place
) -> None:
    file = place.register / "untyped.db"
    with office(file) as untyped:
        untyped.execute("INSERT INTO untyped VALUES (?, '未婚')", (APPLICANT,))
    assert told(ask(node, place, "untyped.db", APPLICANT)) == ["未婚", "已婚"]
    assert told(ask(node, place, "untyped.db", HUSBAND)) == ["离婚"]


def test_what_a_select_makes_of_the_texts_comes_as_text(place: Place, node: Inside) -> None:
    [register] = [one for name, one in open_registers(node.node.config).items() if name == "plain_csv"]
    found = register.extract("SELECT CAST(id_number AS BIGINT) AS id_number, count(*) AS n FROM plain_csv GROUP BY 1")
    assert found.schema.types == [pa.string(), pa.string()]
    assert sorted(found["id_number"].to_pylist()) == sorted(PEOPLE)
