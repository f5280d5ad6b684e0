"""A PostgreSQL server that is gone, locked, full or strange: it is said in time, and it is found again."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.node.databases import AMPLE, POINT, ROWS, VARIABLE, look, looked, opened
from tests.node.front import Front
from tests.node.running import until
from tests.postgres import PASSWORD, READER, Postgres
from tongban.node.adapters import postgres as adapter
from tongban.node.adapters.account import PasswordMissing
from tongban.node.adapters.postgres import PostgresRegister
from tongban.node.adapters.register import Bounds, RegisterChanged, RegisterEndless, RegisterUnavailable

SHORT = Bounds(1_000_000, 60, 1)
SLEEPING = f"{POINT} AND pg_sleep(600) IS NOT NULL"
#: A row each some milliseconds, for minutes.
TRICKLING = "SELECT id_number, status FROM persons CROSS JOIN numbers WHERE pg_sleep(0.002) IS NOT NULL"


@pytest.fixture(scope="module")
def people(postgres: Postgres) -> str:
    return postgres.database(
        "away",
        "CREATE TABLE persons (id_number text, status text)",
        "INSERT INTO persons VALUES ('a', '已婚')",
        "CREATE TABLE numbers AS SELECT n FROM generate_series(1, 300000) AS n",
    )


@pytest.fixture(autouse=True)
def _running(postgres: Postgres) -> Iterator[None]:
    """Whatever a test did to the server, the next one finds it running."""
    yield
    if not postgres.alive:
        postgres.start()


@asynccontextmanager
async def office(server: Postgres, database: str, *statements: str) -> AsyncIterator[None]:
    """Somebody else's transaction, open meanwhile."""
    connection = await server.connected(database)
    try:
        await connection.execute("BEGIN")
        for one in statements:
            await connection.execute(one)
        yield
    finally:
        await connection.close()


def busy(server: Postgres, words: str) -> int:
    """How many statements of the node that hold these words are at work."""
    asked = (
        "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'tongban-node' AND state = 'active'"
        f" AND position('{words}' IN query) > 0"
    )
    return int(server.run(asked)[0]["n"])


@contextmanager
def at_work(act: Any) -> Iterator[list[BaseException]]:
    """Does it beside the test; what it raised, when it is over."""
    raised: list[BaseException] = []

    def done() -> None:
        try:
            act()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=done)
    thread.start()
    yield raised
    thread.join(60)
    assert not thread.is_alive()


# --- time -----------------------------------------------------------------------------------------


def test_a_table_that_is_locked_is_waited_for_no_longer_than_a_look_may_take(postgres: Postgres, people: str) -> None:
    register = opened(postgres, people, SHORT)

    async def looks() -> None:
        async with office(postgres, people, "LOCK TABLE persons IN ACCESS EXCLUSIVE MODE"):
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                await look(register, "a", seconds=1)
            assert 1 <= time.monotonic() - began < 20
        assert await look(register, "a") == [("a", "已婚")]
        register.close()

    asyncio.run(looks())


def test_a_table_that_is_locked_keeps_facts_from_being_made_and_is_no_endless_one(
    postgres: Postgres, people: str
) -> None:
    async def extracts() -> None:
        async with office(postgres, people, "LOCK TABLE persons IN ACCESS EXCLUSIVE MODE"):
            with pytest.raises(RegisterUnavailable, match="locked its table"):
                await asyncio.to_thread(opened(postgres, people, SHORT).extract, ROWS)

    asyncio.run(extracts())
    assert opened(postgres, people, SHORT).extract(ROWS).num_rows == 1


def test_a_look_that_takes_long_ends_at_the_server_too(postgres: Postgres, people: str) -> None:
    with pytest.raises(TimeoutError):
        looked(opened(postgres, people, SHORT), "a", SLEEPING, seconds=1)
    until(lambda: not busy(postgres, "pg_sleep"), "the server gives it up")


def test_a_server_that_says_nothing_any_more_is_given_up_and_found_again(postgres: Postgres, people: str) -> None:
    with Front(postgres) as front:
        register = opened(postgres, people, SHORT, host="127.0.0.1", port=front.port)

        async def looks() -> None:
            assert await look(register, "a") == [("a", "已婚")]
            front.silent.set()
            for _ in range(2):
                began = time.monotonic()
                with pytest.raises(TimeoutError):
                    await look(register, "a", seconds=0.3)
                assert time.monotonic() - began < 0.3 + adapter.GRACE + 5
            front.silent.clear()
            assert await look(register, "a") == [("a", "已婚")]
            register.close()

        asyncio.run(looks())


def test_an_extract_without_end_is_broken_off_by_rows_and_by_time(postgres: Postgres, people: str) -> None:
    with pytest.raises(RegisterEndless, match=r"1,000 rows.*refresh_rows"):
        opened(postgres, people, Bounds(1_000, 60)).extract("SELECT n FROM numbers")
    began = time.monotonic()
    with pytest.raises(RegisterEndless, match=r"1 seconds.*refresh_seconds"):
        opened(postgres, people, Bounds(1_000_000, 1)).extract(TRICKLING)
    assert 1 <= time.monotonic() - began < 30
    until(lambda: not busy(postgres, "pg_sleep"), "the server gives it up")


# --- connections ----------------------------------------------------------------------------------


def test_more_looks_than_connections_wait_for_each_other(postgres: Postgres, people: str) -> None:
    register = opened(postgres, people, connections=2)

    async def looks() -> None:
        found = await asyncio.gather(
            *(look(register, "a", f"{POINT} AND pg_sleep(0.01) IS NOT NULL") for _ in range(40))
        )
        assert found == [[("a", "已婚")]] * 40
        register.close()

    asyncio.run(looks())
    most = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'tongban-node'"
    until(lambda: postgres.run(most)[0]["n"] == 0, "closed connections are gone")


def test_a_server_that_has_no_connection_left_is_said_to_have_none_and_is_found_again(
    postgres: Postgres, people: str
) -> None:
    register = opened(postgres, people)
    postgres.run(f"ALTER ROLE {READER} CONNECTION LIMIT 0;")
    try:
        with pytest.raises(RegisterUnavailable, match="no connection left"):
            looked(register, "a")
        with pytest.raises(RegisterUnavailable, match="no connection left"):
            register.extract(ROWS)
    finally:
        postgres.run(f"ALTER ROLE {READER} CONNECTION LIMIT -1;")
    assert looked(register, "a") == [("a", "已婚")]


def test_a_server_that_was_started_anew_is_found_by_the_next_look(postgres: Postgres, people: str) -> None:
    register = opened(postgres, people)

    async def several() -> list[Any]:
        return await asyncio.gather(*(look(register, "a") for _ in range(5)))

    with asyncio.Runner() as runner:
        for leave in (postgres.kill, postgres.stop):
            assert runner.run(several()) == [[("a", "已婚")]] * 5
            leave()
            with pytest.raises(RegisterUnavailable, match="does not answer"):
                runner.run(look(register, "a"))
            postgres.start()
            assert runner.run(look(register, "a")) == [("a", "已婚")]
        runner.run(several())
        postgres.kill()
        postgres.start()
        # Nobody looked while it was away: every connection that is kept is of yesterday.
        assert runner.run(several()) == [[("a", "已婚")]] * 5
        register.close()


def test_a_server_that_is_killed_during_a_look_gives_no_empty_answer(postgres: Postgres, people: str) -> None:
    with at_work(lambda: looked(opened(postgres, people), "a", SLEEPING)) as raised:
        until(lambda: busy(postgres, "pg_sleep"), "it is being looked up")
        postgres.kill()
    postgres.start()
    assert [type(error) for error in raised] == [RegisterUnavailable]


def test_a_server_that_is_killed_during_an_extract_gives_no_part_of_it(postgres: Postgres, people: str) -> None:
    with at_work(lambda: opened(postgres, people).extract(TRICKLING)) as raised:
        going = "SELECT tuples_processed AS n FROM pg_stat_progress_copy WHERE tuples_processed > 10"
        until(lambda: postgres.run(going), "rows are on their way")
        postgres.kill()
    postgres.start()
    assert [type(error) for error in raised] == [RegisterUnavailable]


def test_an_extract_is_of_one_moment_whatever_is_written_meanwhile(postgres: Postgres) -> None:
    database = postgres.database(
        "moment",
        "CREATE TABLE persons (id_number text, status text)",
        "INSERT INTO persons SELECT n, 'before' FROM generate_series(1, 200) AS n",
        "CREATE TABLE moved (done boolean)",
    )
    slowly = f"{ROWS} WHERE pg_sleep(0.01) IS NOT NULL"
    found: list[Any] = []
    with at_work(lambda: found.append(opened(postgres, database).extract(slowly))) as raised:
        until(lambda: busy(postgres, "COPY"), "it is being read")
        postgres.run("DELETE FROM persons WHERE id_number::int > 100; UPDATE persons SET status = 'after';", database)
        assert busy(postgres, "COPY"), "it was over before anything was written"
    assert not raised
    assert set(found[0]["status"].to_pylist()) == {"before"}
    assert found[0].num_rows == 200


# --- the account ----------------------------------------------------------------------------------


def test_a_wrong_password_is_refused_and_not_repeated(
    postgres: Postgres, people: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "another secret")
    for act in (lambda one: looked(one, "a"), lambda one: one.extract(ROWS), lambda one: one.point(POINT).prove()):
        with pytest.raises(RegisterUnavailable, match="refuses the account or its password") as raised:
            act(opened(postgres, people))
        assert "secret" not in str(raised.value)


def test_a_password_comes_from_the_named_place_and_from_nowhere_else(
    postgres: Postgres, people: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "pgpass"
    file.write_text(f"*:*:*:*:{PASSWORD}".replace("\\", "\\\\"))
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with pytest.raises(RegisterUnavailable, match="refuses the account or its password"):
        looked(opened(postgres, people, password_env=""), "a")
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(PasswordMissing, match=VARIABLE):
        looked(opened(postgres, people), "a")


def test_a_password_is_read_from_its_file_for_each_connection(postgres: Postgres, people: str, tmp_path: Path) -> None:
    file = tmp_path / "register.password"
    register = opened(postgres, people, password_env="", password_file=str(file))
    with pytest.raises(PasswordMissing, match=r"register\.password cannot be read"):
        looked(register, "a")
    for text, match in (("\n", "not one line"), (f"{PASSWORD}\nsecond", "not one line"), ("x" * 2000, "not one line")):
        file.write_text(text)
        file.chmod(0o600)
        with pytest.raises(PasswordMissing, match=match):
            looked(register, "a")
    file.write_text(f"{PASSWORD}\n")
    assert looked(register, "a") == [("a", "已婚")]
    file.chmod(0o640)
    with pytest.raises(PasswordMissing, match="open to other accounts") as raised:
        looked(register, "a")
    assert PASSWORD not in str(raised.value)


def test_what_the_account_may_not_read_is_no_empty_register(postgres: Postgres) -> None:
    database = postgres.database("closed", "CREATE TABLE persons (id_number text, status text)")
    postgres.run(f"REVOKE ALL ON persons FROM {READER};", database)
    with pytest.raises(RegisterUnavailable, match="may not read it"):
        looked(opened(postgres, database), "a")
    with pytest.raises(RegisterUnavailable, match="may not read it"):
        opened(postgres, database).extract(ROWS)


def test_rows_that_a_policy_hides_are_no_rows_that_are_not_there(postgres: Postgres) -> None:
    database = postgres.database(
        "hidden",
        "CREATE TABLE persons (id_number text, status text)",
        "INSERT INTO persons VALUES ('a', '已婚')",
        "ALTER TABLE persons ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY none ON persons USING (false)",
    )
    with pytest.raises(RegisterUnavailable, match="policy hides rows"):
        looked(opened(postgres, database), "a")
    with pytest.raises(RegisterUnavailable, match="policy hides rows"):
        opened(postgres, database).extract(ROWS)


@pytest.mark.parametrize(
    ("select", "match"),
    [
        ("SELECT state FROM persons WHERE id_number = :key", 'column "state" does not exist'),
        ("SELECT status FROM people WHERE id_number = :key", 'relation "people" does not exist'),
        ("SELECT status FROM office.persons WHERE id_number = :key", 'relation "office.persons" does not exist'),
        ("SELECT status FROM persons WHERE clean(id_number) = :key", "function clean"),
    ],
)
def test_what_is_not_there_is_named(postgres: Postgres, people: str, select: str, match: str) -> None:
    with pytest.raises(RegisterChanged, match=match):
        looked(opened(postgres, people), "a", select)


def test_a_database_that_is_not_there_is_said_to_be_missing(postgres: Postgres) -> None:
    with pytest.raises(RegisterUnavailable, match="no such database"):
        looked(opened(postgres, "nowhere"), "a")


# --- TLS ------------------------------------------------------------------------------------------


def test_a_server_is_believed_only_under_a_certificate_that_was_asked_for(
    postgres: Postgres, people: str, tmp_path: Path
) -> None:
    ours, others = trustme.CA(), trustme.CA()
    for name, authority in (("ours", ours), ("others", others)):
        authority.cert_pem.write_to_path(str(tmp_path / name))
    with Front(postgres, ours.issue_cert("db.example")) as front:

        def asked(**change: Any) -> PostgresRegister:
            at = {"host": "127.0.0.1", "port": front.port, "authority": str(tmp_path / "ours")}
            return opened(postgres, people, AMPLE, **(at | change))

        assert looked(asked(sslmode="verify-ca"), "a") == [("a", "已婚")]
        for change in ({"sslmode": "verify-full"}, {"sslmode": "verify-ca", "authority": str(tmp_path / "others")}):
            with pytest.raises(RegisterUnavailable, match="does not answer"):
                looked(asked(**change), "a")
        with pytest.raises(RegisterUnavailable, match="sslrootcert cannot be used"):
            looked(asked(sslmode="verify-ca", authority=str(tmp_path / "none")), "a")
    with Front(postgres, ours.issue_cert("127.0.0.1")) as front:
        whole = {"host": "127.0.0.1", "port": front.port, "authority": str(tmp_path / "ours")}
        assert looked(opened(postgres, people, AMPLE, sslmode="verify-full", **whole), "a") == [("a", "已婚")]


def test_a_server_without_tls_is_not_spoken_to_in_clear_where_tls_was_asked_for(
    postgres: Postgres, people: str
) -> None:
    with Front(postgres) as front:
        register = opened(postgres, people, host="127.0.0.1", port=front.port, sslmode="verify-full")
        with pytest.raises(RegisterUnavailable, match="does not answer"):
            looked(register, "a")
        assert PASSWORD.encode() not in front.heard
        assert READER.encode() not in front.heard
