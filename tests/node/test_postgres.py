"""A PostgreSQL register, read against a real server: what it holds is told as it stands, and what is away is no no."""

import asyncio
import time
import tracemalloc
from typing import Any

import pytest

from tests.node.databases import POINT, ROWS, VARIABLE, looked, opened
from tests.postgres import PASSWORD, Postgres, installed, serving
from tongban.node.adapters import copied
from tongban.node.adapters.register import (
    MOST_ROWS,
    RegisterChanged,
    SelectRefused,
)


@pytest.fixture(scope="module")
def people(postgres: Postgres) -> str:
    """A database of a few persons."""
    return postgres.database(
        "people",
        "CREATE TABLE persons (id_number text PRIMARY KEY, status text)",
        "INSERT INTO persons VALUES ('a', '已婚'), ('b', ''), ('c', NULL)",
    )


# --- what is told ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", installed())
def test_a_register_is_told_as_it_stands_by_every_server_of_this_machine(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)
    with serving(installed()[name]) as server:
        database = server.database(
            "people", "CREATE TABLE persons (id_number text, status text)", "INSERT INTO persons VALUES ('a', '已婚')"
        )
        assert looked(opened(server, database), "a") == [("a", "已婚")]
        assert opened(server, database).extract(ROWS).to_pylist() == [{"id_number": "a", "status": "已婚"}]


def test_an_empty_text_is_none_that_is_missing(postgres: Postgres, people: str) -> None:
    assert opened(postgres, people).extract(ROWS)["status"].to_pylist() == ["已婚", "", None]
    assert [looked(opened(postgres, people), key) for key in "bcd"] == [[("b", "")], [("c", None)], []]


VALUES = {
    "smallint": ("7", 7, "7"),
    "bigint": ("9007199254740993", 9007199254740993, "9007199254740993"),
    "numeric(20,2)": ("12345678901234567.5", "12345678901234567.50", "12345678901234567.50"),
    "numeric": ("110101199001011237", "110101199001011237", "110101199001011237"),
    "date": ("2014-06-09", "2014-06-09", "2014-06-09"),
    "date ": ("infinity", "infinity", "infinity"),
    "date  ": ("0044-03-15 BC", "0044-03-15 BC", "0044-03-15 BC"),
    "timestamp": ("2014-06-09 08:30", "2014-06-09 08:30:00", "2014-06-09 08:30:00"),
    "timestamptz": ("2014-06-08 16:00+00", "2014-06-09 00:00:00+08", "2014-06-09 00:00:00+08"),
    "boolean": ("yes", "true", "true"),
    "char(8)": ("ab", "ab", "ab"),
    "varchar(8)": ("ab ", "ab ", "ab "),
    "text": ('a,"b"\r\n\\.\tc', 'a,"b"\r\n\\.\tc', 'a,"b"\r\n\\.\tc'),
    "text ": ("e\N{COMBINING ACUTE ACCENT} ｅ", "e\N{COMBINING ACUTE ACCENT} ｅ", "e\N{COMBINING ACUTE ACCENT} ｅ"),
    "double precision": ("0.1", "0.1", "0.1"),
    "interval": ("1 day", "P1D", "P1D"),
    "text[]": ("{a,b}", "{a,b}", "{a,b}"),
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_is_told_as_the_page_says_and_alike_to_calls_and_facts(postgres: Postgres, kind: str) -> None:
    written, told, text = VALUES[kind]
    quoted = written.replace("'", "''")
    name = f"kinds_{list(VALUES).index(kind)}"
    # The server's own settings must not change what is told.
    database = postgres.database(
        name,
        f"CREATE TABLE persons (id_number text, status {kind})",
        f"INSERT INTO persons VALUES ('a', '{quoted}')",
        f"ALTER DATABASE {name} SET DateStyle = 'SQL, DMY'",
        f"ALTER DATABASE {name} SET TimeZone = 'America/New_York'",
        f"ALTER DATABASE {name} SET IntervalStyle = 'postgres'",
    )
    assert looked(opened(postgres, database), "a") == [("a", told)]
    assert opened(postgres, database).extract(ROWS)["status"].to_pylist() == [text]


def test_bytes_are_no_text_and_are_refused(postgres: Postgres) -> None:
    database = postgres.database("of_bytes", "CREATE TABLE persons (id_number text, status bytea)")
    for act in (lambda one: one.extract(ROWS), lambda one: looked(one, "a"), lambda one: one.point(POINT).prove()):
        with pytest.raises(RegisterChanged, match=r"column status holds bytes"):
            act(opened(postgres, database))


def test_a_database_of_another_encoding_is_told_in_the_same_texts(postgres: Postgres) -> None:
    database = postgres.database("old", "CREATE TABLE persons (id_number text, status text)", encoding="EUC_CN")
    postgres.fill(database, "persons", [("a", "已婚"), ("b", "离婚")])
    assert postgres.run("SELECT octet_length(status) AS n FROM persons", database)[0]["n"] == 4
    assert opened(postgres, database).extract(ROWS)["status"].to_pylist() == ["已婚", "离婚"]
    assert looked(opened(postgres, database), "b") == [("b", "离婚")]


def test_texts_whose_encoding_nobody_knows_are_refused_and_not_repeated(postgres: Postgres) -> None:
    database = postgres.database("unknown", "CREATE TABLE persons (id_number text, status text)", encoding="SQL_ASCII")
    postgres.run("INSERT INTO persons VALUES ('a', convert_from('\\xd2d1bbe9', 'SQL_ASCII')), ('b', 'ok');", database)
    assert looked(opened(postgres, database), "b") == [("b", "ok")]
    for act in (lambda one: one.extract(ROWS), lambda one: looked(one, "a")):
        with pytest.raises(RegisterChanged, match="not of the database's encoding") as raised:
            act(opened(postgres, database))
        assert "d2" not in str(raised.value)


def test_a_key_that_more_rows_carry_than_an_answer_holds_is_read_no_further(postgres: Postgres) -> None:
    database = postgres.database(
        "crowded",
        "CREATE TABLE persons (id_number text, status int)",
        "INSERT INTO persons SELECT 'a', n FROM generate_series(1, 1000) n",
    )
    assert len(looked(opened(postgres, database), "a")) == MOST_ROWS


# --- the column of numbers ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text", "varchar(30)", "char(30)", "bigint", "numeric", "numeric(18)"])
def test_a_number_is_found_however_its_column_is_declared(postgres: Postgres, kind: str) -> None:
    name = f"numbers_{sum(map(ord, kind))}"
    database = postgres.database(
        name, f"CREATE TABLE persons (id_number {kind}, status text)", "INSERT INTO persons VALUES ('5101', 'found')"
    )
    register = opened(postgres, database)
    assert [looked(register, key, POINT.replace("id_number, ", "")) for key in ("5101", "5102")] == [[("found",)], []]
    assert opened(postgres, database).extract(ROWS)["id_number"].to_pylist() == ["5101"]


@pytest.mark.parametrize("key", ["05101", "510X", "+5101", "5101 ", "５１０１", "", "5101.0", "9" * 25, "51\x0001"])
@pytest.mark.parametrize("kind", ["bigint", "numeric", "text"])
def test_what_no_number_is_written_as_has_no_record(postgres: Postgres, key: str, kind: str) -> None:
    name = f"strict_{kind}"
    if not postgres.run(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
        made = f"CREATE TABLE persons (id_number {kind}, status text)"
        postgres.database(name, made, "INSERT INTO persons VALUES ('5101', 'found')")
    assert looked(opened(postgres, name), key) == []


def test_numbers_that_lost_their_last_digits_are_refused(postgres: Postgres) -> None:
    database = postgres.database("lossy", "CREATE TABLE persons (id_number float8, status text)")
    with pytest.raises(RegisterChanged, match="id_number holds floating-point numbers"):
        looked(opened(postgres, database), "1")


@pytest.mark.parametrize("kind", ["uuid", "date", "boolean"])
def test_a_key_that_is_compared_with_no_number_is_refused(postgres: Postgres, kind: str) -> None:
    database = postgres.database(f"odd_{kind}", f"CREATE TABLE persons (id_number {kind}, status text)")
    with pytest.raises(RegisterChanged, match="kept as text or as whole numbers"):
        looked(opened(postgres, database), "1")


def test_a_register_whose_columns_were_changed_while_it_was_open_is_read_as_it_is_now(postgres: Postgres) -> None:
    database = postgres.database(
        "altered", "CREATE TABLE persons (id_number text, status text)", "INSERT INTO persons VALUES ('51', '7')"
    )
    register = opened(postgres, database)

    async def looks() -> None:
        point = register.point(POINT)

        async def told() -> Any:
            return await point.look("51", time.monotonic() + 10)

        async def office(text: str) -> None:
            connection = await postgres.connected(database)
            await connection.execute(text)
            await connection.close()

        assert await told() == [("51", "7")]
        await office("ALTER TABLE persons ALTER id_number TYPE bigint USING id_number::bigint")
        assert await told() == [(51, "7")]
        await office("ALTER TABLE persons ALTER id_number TYPE float8")
        with pytest.raises(RegisterChanged, match="floating-point"):
            await told()
        await office("ALTER TABLE persons DROP COLUMN status")
        with pytest.raises(RegisterChanged, match='"status" does not exist'):
            await told()
        await office("ALTER TABLE persons ADD COLUMN status text, ALTER id_number TYPE text")
        assert await told() == [("51", None)]
        register.close()

    asyncio.run(looks())


# --- names ----------------------------------------------------------------------------------------


def test_tables_of_a_schema_views_and_names_of_every_spelling_are_read(postgres: Postgres) -> None:
    name = '"Persons; DROP TABLE odd; --"'
    database = postgres.database(
        "names",
        "CREATE SCHEMA office",
        f'CREATE TABLE office.{name} ("编号" text, "Sta\'tus""" text)',
        f"INSERT INTO office.{name} VALUES ('a', 'x')",
        f'CREATE VIEW Persons AS SELECT "编号" AS ID_Number, "Sta\'tus""" AS status FROM office.{name}',
        "CREATE TABLE odd (n int)",
        "GRANT USAGE ON SCHEMA office TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA office TO reader",
    )
    for select in (
        f'SELECT "编号" AS n, "Sta\'tus""" AS s FROM office.{name} WHERE "编号" = :key',
        "SELECT Id_number AS n, STATUS AS s FROM PERSONS WHERE ID_NUMBER = :key -- and nobody else's",
        "SELECT p.id_number::text AS n, p.status AS s FROM public.persons AS p WHERE p.id_number::text = :key ;",
        "WITH p AS (SELECT id_number, status FROM persons) SELECT id_number AS n, status AS s FROM p"
        " WHERE id_number = :key ORDER BY 2",
    ):
        register = opened(postgres, database)
        assert register.point(select).columns == ("n", "s")
        assert looked(register, "a", select) == [("a", "x")]
        assert looked(register, "' OR 'a'='a", select) == []
    assert postgres.run("SELECT count(*) FROM odd", database)[0][0] == 0


WRITING = [
    "WITH gone AS (DELETE FROM persons RETURNING status) SELECT status FROM gone WHERE status = :key",
    "SELECT status INTO taken FROM persons WHERE id_number = :key",
    "SELECT status FROM persons WHERE id_number = :key FOR UPDATE",
    "SELECT nextval('counted') AS status FROM persons WHERE id_number = :key",
]
NOT_ONE_SELECT = [
    "SELECT status FROM persons WHERE id_number = :key; DELETE FROM persons",
    "SELECT * FROM persons WHERE id_number = :key",
    "SELECT status FROM pg_ls_dir('.') AS status WHERE status = :key",
    "DELETE FROM persons WHERE id_number = :key RETURNING status",
    "SELECT status FROM persons WHERE id_number = :key) AS q(c0) TO PROGRAM 'true' --",
    "SELECT status FROM persons WHERE id_number = :key /*",
    "SELECT status FROM persons WHERE id_number = :key '",
]


@pytest.mark.parametrize("select", [*WRITING, *NOT_ONE_SELECT])
def test_whatever_is_no_plain_select_is_refused_and_changes_nothing(
    postgres: Postgres, people: str, select: str
) -> None:
    """Even where the office gave the account more than it should have."""
    granted = "GRANT ALL ON persons TO reader; CREATE SEQUENCE IF NOT EXISTS counted; GRANT ALL ON counted TO reader;"
    postgres.run(granted, people)
    with pytest.raises((SelectRefused, RegisterChanged)):
        looked(opened(postgres, people), "a", select)
    if "nextval" not in select:  # which nobody calls while there is no row
        with pytest.raises((SelectRefused, RegisterChanged)):
            opened(postgres, people).point(select).prove()
    with pytest.raises((SelectRefused, RegisterChanged)):
        opened(postgres, people).extract(select.replace(":key", "'a'"))
    assert postgres.run("SELECT count(*) FROM persons", people)[0][0] == 3


@pytest.mark.parametrize(
    "select",
    ["SELECT status FROM persons", f"{POINT} OR status = :key", "SELECT ':key' AS status FROM persons"],
)
def test_a_look_up_names_its_key_once_and_as_a_value(postgres: Postgres, people: str, select: str) -> None:
    with pytest.raises(SelectRefused, match=":key"):
        looked(opened(postgres, people), "a", select)


# --- extracts -------------------------------------------------------------------------------------


def test_an_extract_in_many_parts_is_one_table_in_its_order(
    postgres: Postgres, people: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copied, "PART", 50)
    postgres.run(
        "CREATE TABLE counted_up AS SELECT n FROM generate_series(1, 2000) AS n; GRANT SELECT ON counted_up TO reader;",
        people,
    )
    told = opened(postgres, people).extract(
        "SELECT n, repeat('\"\n,', n % 7) AS odd, CASE WHEN n % 3 = 0 THEN '' END AS empty FROM counted_up ORDER BY n"
    )
    assert told.to_pylist() == [
        {"n": str(n), "odd": '"\n,' * (n % 7), "empty": None if n % 3 else ""} for n in range(1, 2001)
    ]


def test_an_extract_without_rows_has_its_columns(postgres: Postgres, people: str) -> None:
    found = opened(postgres, people).extract(f"{ROWS} WHERE id_number = 'nobody'")
    assert (found.num_rows, found.column_names) == (0, ["id_number", "status"])


def test_no_more_of_an_extract_lies_here_as_text_than_a_part_of_it(postgres: Postgres, people: str) -> None:
    long = "CREATE TABLE long AS SELECT n, repeat('x', 300) AS t FROM generate_series(1, 100000) AS n"
    postgres.run(f"{long}; GRANT SELECT ON long TO reader;", people)
    tracemalloc.start()
    try:
        found = opened(postgres, people).extract("SELECT n, t FROM long")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.nbytes > 30_000_000
    assert peak < 3 * copied.PART
