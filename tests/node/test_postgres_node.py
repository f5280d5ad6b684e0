"""A node whose registers are PostgreSQL databases: real processes, and a server that is killed under them."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.asking import Asker
from tests.node.databases import VARIABLE
from tests.node.place import MARRIAGE, PERSONS, Place, copied
from tests.node.running import NodeProcess, records, serving, spare, until
from tests.node.test_postgres_away import busy
from tests.postgres import PASSWORD, Postgres
from tests.world import APPLICANT
from tongban.exchange.client import Answer
from tongban.node.setup import check

MOVING = {"grant": "moving", "resource": "civil_affairs/moving"}
SLOW = {"grant": "slow", "resource": "civil_affairs/slow"}
COLUMNS = "document_type, id_number, name, phone, status, district, children"
SCRIPT = (
    f"CREATE TABLE kept ({', '.join(f'{name} text' for name in COLUMNS.split(', ')[:-1])}, children int)",
    "CREATE INDEX ON kept (id_number)",
    "CREATE TABLE pace (seconds float)",
    # While `pace` has a row, each row of the register takes so long.
    f"CREATE VIEW persons AS SELECT {COLUMNS} FROM kept"
    " WHERE NOT EXISTS (SELECT FROM pace) OR pg_sleep((SELECT seconds FROM pace)) IS NOT NULL",
    "CREATE TABLE moving (id_number text PRIMARY KEY, status text)",
    f"INSERT INTO moving VALUES ('{APPLICANT}', '在')",
    "CREATE VIEW slow AS SELECT id_number, status FROM moving WHERE pg_sleep(600) IS NOT NULL",
)


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    name = postgres.database("office", *SCRIPT)
    postgres.fill(name, "kept", [row for row in PERSONS if not any(isinstance(value, bytes) for value in row)])
    return name


@pytest.fixture(scope="module")
def node(place: Place, postgres: Postgres, database: str) -> Iterator[NodeProcess]:
    def toml(text: str) -> str:
        where = f'url = "{postgres.url(database)}"\npassword_env = "{VARIABLE}"'
        for name in ("persons", "moving"):
            was = f'url = "sqlite:///../../registers/civil-affairs/{name}.db"'
            assert was in text
            text = text.replace(was, where)
        return text.replace("read_seconds = 1", "read_seconds = 2")

    with serving(spare(place, "node-postgres", toml=toml)) as running:
        until(lambda: (running.folder / "directory.json").exists(), "its first directory")
        place.refresh("node-postgres", only=MARRIAGE)
        yield running


@pytest.fixture(autouse=True)
def _running(postgres: Postgres, database: str) -> Iterator[None]:
    yield
    if not postgres.alive:
        postgres.start()
    postgres.run("TRUNCATE pace;", database)


def command(node: NodeProcess, *words: str, **environment: str) -> subprocess.Popen[str]:
    """`./tongban node …` as an operator runs it."""
    return subprocess.Popen(
        [sys.executable, "-m", "tongban.cli.main", "node", words[0], str(node.folder), *words[1:]],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        env=os.environ | {"PYTHONPATH": "src"} | environment,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def snapshot(place: Place, node: NodeProcess) -> str:
    got = node.send(Asker(place).verify())
    assert got.status == 200
    return str(got.said["snapshot"]["id"])


def test_it_answers_fields_and_rules_from_its_database(node: NodeProcess, place: Place) -> None:
    asker = Asker(place)
    got = node.send(asker.query(fields=["name", "phone", "status", "district"]))
    assert got.said["records"] == [{"name": "张*", "phone": "138****8000", "status": "已婚", "district": "东区"}]
    assert node.send(asker.verify()).said["verdict"] == "met"
    assert node.send(asker.match()).status == 200


def test_a_whole_number_of_its_database_fulfils_a_condition_on_whole_numbers(node: NodeProcess, place: Place) -> None:
    asker = Asker(place)
    assert node.send(asker.query(grant="one_child")).said["records"] == [{"status": "已婚"}]


def test_a_server_killed_in_the_middle_of_a_call_makes_it_unknown_and_the_look_stays_in_the_log(
    node: NodeProcess, place: Place, postgres: Postgres
) -> None:
    asker, found = Asker(place), list[Any]()
    asked = asker.query(**SLOW)
    calling = threading.Thread(target=lambda: found.append(node.send(asked)))
    calling.start()
    until(lambda: busy(postgres, "slow"), "the register is being read")
    postgres.kill()
    calling.join(60)
    assert (found[0].code, found[0].status) == ("exchange.register_unavailable", 503)
    assert isinstance(asker.judged(asked, found[0]), Answer)
    assert records(node.log, "refused")[-1]["code"] == "exchange.register_unavailable"
    # What the facts say is answered without the server.
    assert node.send(asker.verify()).status == 200
    assert node.send(asker.query(**MOVING)).code == "exchange.register_unavailable"
    postgres.start()
    assert node.send(asker.query(**MOVING)).said["records"] == [{"status": "在"}]
    assert APPLICANT not in node.said()
    assert PASSWORD not in node.said()


def test_a_slow_table_is_given_up_and_takes_no_other_call_with_it(
    node: NodeProcess, place: Place, postgres: Postgres
) -> None:
    asker, found = Asker(place), list[Any]()
    threads = [threading.Thread(target=lambda: found.append(node.send(asker.query(**SLOW)))) for _ in range(3)]
    for one in threads:
        one.start()
    until(lambda: busy(postgres, "slow") == 3, "all of them are being read")
    assert node.send(asker.query(**MOVING)).status == 200
    assert node.send(asker.query()).status == 200
    for one in threads:
        one.join(60)
    assert [(got.code, got.status) for got in found] == [("exchange.register_slow", 504)] * 3
    until(lambda: not busy(postgres, "slow"), "the server has given it up too")


@pytest.mark.crash
def test_a_server_killed_in_the_middle_of_a_refresh_leaves_the_old_facts_in_force(
    node: NodeProcess, place: Place, postgres: Postgres, database: str
) -> None:
    before, folders = snapshot(place, node), _snapshots(node)
    postgres.run("INSERT INTO pace VALUES (0.05);", database)
    refreshing = command(node, "refresh", "--as-of", "2014-06-10", "--resource", MARRIAGE)
    until(lambda: postgres.run("SELECT 1 FROM pg_stat_progress_copy WHERE tuples_processed > 5"), "rows are read")
    assert node.send(Asker(place).query(**MOVING)).status == 200
    postgres.kill()
    status, said = ended(refreshing)
    assert (status, "Register persons cannot be read" in said) == (3, True), said
    assert PASSWORD not in said
    assert snapshot(place, node) == before
    assert _snapshots(node) == folders
    postgres.start()
    postgres.run("TRUNCATE pace;", database)
    status, said = ended(command(node, "refresh", "--as-of", "2014-06-10", "--resource", MARRIAGE))
    assert status == 0, said
    assert snapshot(place, node).startswith("2014-06-10-")


def _snapshots(node: NodeProcess) -> list[str]:
    return sorted(path.name for path in (node.folder / "facts").rglob("snapshot.json*") for path in [path.parent])


@pytest.mark.crash
def test_a_refresh_that_is_killed_ends_at_the_server_too(
    node: NodeProcess, place: Place, postgres: Postgres, database: str
) -> None:
    before = snapshot(place, node)
    postgres.run("INSERT INTO pace VALUES (0.05);", database)
    refreshing = command(node, "refresh", "--as-of", "2014-06-11", "--resource", MARRIAGE)
    until(lambda: busy(postgres, "COPY"), "rows are read")
    refreshing.send_signal(signal.SIGKILL)
    ended(refreshing)
    until(lambda: not busy(postgres, "COPY"), "nobody reads for it any more")
    assert snapshot(place, node) == before


def test_check_looks_at_the_database_and_says_what_is_wrong_and_not_the_password(
    node: NodeProcess, postgres: Postgres
) -> None:
    _, said = ended(command(node, "check"))
    assert ("✓ resource civil_affairs/moving" in said, "✗ resource" in said) == (True, False), said
    assert "! spelling civil_affairs/moving" in said
    assert "0 of 1 rows have no number in its one spelling" in said
    assert said.count("How many numbers are not in their one spelling cannot be told.") == 2, "of the two views"
    _, said = ended(command(node, "check", **{VARIABLE: ""}))
    assert "✗ resource civil_affairs/moving: The password for register moving cannot be used" in said
    assert f"the environment has no {VARIABLE}" in said
    assert "mode 0600" in said
    _, said = ended(command(node, "check", **{VARIABLE: "geheim"}))
    assert "the server refuses the account or its password" in said
    assert "geheim" not in said
    postgres.stop()
    _, said = ended(command(node, "check"))
    assert "✗ resource civil_affairs/moving: Register moving cannot be read: the server does not answer" in said


def test_check_lets_the_database_look_at_the_select_of_facts_that_nobody_queries(
    node: NodeProcess, tmp_path: Path
) -> None:
    copied(node.folder, tmp_path / "node")
    file = tmp_path / "node" / "node.toml"
    text = file.read_text()
    was = "SELECT document_type, id_number, status FROM persons"
    assert was in text

    def found(select: str) -> str:
        file.write_text(text.replace(was, select))
        return next(one.what for one in check(tmp_path / "node") if one.where == f"resource {MARRIAGE}")

    assert found(f"{was} -- all of them") == ""
    assert 'relation "persns" does not exist' in found(was.replace("persons", "persns"))
    assert 'column "state" does not exist' in found(was.replace("status", "state"))
    assert "columns must be named, not *" in found("SELECT * FROM persons")
