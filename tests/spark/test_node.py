"""A department whose register lies in Spark: its node answers as one whose register is a file, to the last byte."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.node.asking import Asker, numbers
from tests.node.conftest import NODES, free_ports
from tests.node.place import _COLUMNS, BINARY, CROWDED, PERSONS, WORLD, Place, lay_out
from tests.node.running import NodeProcess, serving, spare, until
from tests.spark.conftest import write_partitioned
from tests.world import APPLICANT, HUSBAND
from tongban.exchange.client import Answer

KEYS = (APPLICANT, HUSBAND, CROWDED, BINARY, *numbers(50))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    found = lay_out(tmp_path_factory.mktemp("city"), free_ports(NODES))
    schema = pa.schema([(name, pa.int64() if name == "children" else pa.string()) for name in _COLUMNS])
    rows = [dict(zip(_COLUMNS, map(plain, person), strict=True)) for person in PERSONS]
    write_partitioned(rows, schema, found.register / "persons", "document_type")
    return found


def plain(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def in_spark(text: str) -> str:
    """The same node.toml over the same register in Spark, which answers no query."""
    moved = text.replace(
        'url = "sqlite:///../../registers/civil-affairs/persons.db"', 'spark = "../../registers/civil-affairs/persons"'
    )
    without_odd = re.sub(r'\[resource\."civil_affairs/odd"\].*', "", moved, flags=re.DOTALL)
    return re.sub(r'point = "SELECT document_type.*\n', "", without_odd)


def commanded(*words: object, **settings: str) -> subprocess.CompletedProcess[str]:
    """`./tongban node …`, as an operator types it."""
    command = [sys.executable, "-m", "tongban.cli.main", "node", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": "src"} | settings
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def refreshed(node: NodeProcess) -> str:
    done = commanded("refresh", node.folder, "--as-of", WORLD)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def nodes(place: Place) -> Iterator[tuple[NodeProcess, NodeProcess]]:
    """The node over SQLite and the node over Spark, with facts that each made of its own register."""
    filed, sparked = spare(place, "filed", start=False), spare(place, "sparked", toml=in_spark, start=False)
    said = refreshed(filed), refreshed(sparked)
    assert said[0].strip() in said[1]
    with serving(filed.start()), serving(sparked.start()):
        for node in (filed, sparked):
            until(lambda node=node: node.health()["answers"], "it has a directory")
        yield filed, sparked


def test_a_batch_gets_the_same_bytes_of_the_same_snapshot(nodes, place):
    asker = Asker(place)
    asked = [asker.match(keys=KEYS) for _ in nodes]
    got = [node.send(request) for node, request in zip(nodes, asked, strict=True)]
    assert [one.status for one in got] == [200, 200]
    assert got[0].body == got[1].body
    assert all(isinstance(asker.judged(request, one), Answer) for request, one in zip(asked, got, strict=True))


def test_one_person_gets_the_same_verdict_from_the_facts(nodes, place):
    said = [node.send(Asker(place).verify()).said for node in nodes]
    assert said[0] == said[1]
    assert said[0]["verdict"] == "met"


def test_a_query_is_refused_and_never_answered_from_facts(nodes, place):
    filed, sparked = (node.send(Asker(place).query()).code for node in nodes)
    assert (filed, sparked) == ("", "exchange.resource_not_served")


def test_a_node_that_answers_runs_no_spark(nodes):
    assert Path(f"/proc/{nodes[1].pid}/task/{nodes[1].pid}/children").read_text() == ""
    assert not (nodes[1].folder / "spark").exists() or [*(nodes[1].folder / "spark").iterdir()] == []


def test_a_refresh_without_java_says_what_is_missing_and_keeps_the_old_facts(nodes, place):
    pointer = nodes[1].folder / "facts" / "civil_affairs.marriage" / "current"
    before = pointer.read_text()
    done = commanded("refresh", nodes[1].folder, JAVA_HOME=str(place.folder))
    assert done.returncode == 3
    assert "openjdk-17-jre-headless" in done.stderr
    assert pointer.read_text() == before


def test_a_check_says_that_a_register_in_spark_could_be_read(nodes):
    assert "✓ register persons" in commanded("check", nodes[1].folder).stdout


def test_an_extract_without_end_is_broken_off_and_nothing_of_it_stays(place):
    ever = ", ".join(f"persons AS p{n}" for n in range(12))
    select = (
        f"SELECT p0.document_type, p0.id_number, max(concat(p1.status, p2.status)) AS status FROM {ever} GROUP BY 1, 2"
    )

    def endless(text: str) -> str:
        rows = 'rows = "SELECT document_type, id_number, status FROM persons"'
        assert rows in text
        return (
            in_spark(text).replace(rows, f'rows = "{select}"').replace("[limits]\n", "[limits]\nrefresh_seconds = 3\n")
        )

    node = spare(place, "endless", toml=endless, start=False)
    done = commanded("refresh", node.folder, "--as-of", WORLD)
    assert (done.returncode, "refresh_seconds" in done.stderr) == (3, True)
    assert [*(node.folder / "spark").iterdir()] == []
    running = [Path(place).read_bytes() for place in glob("/proc/[0-9]*/cmdline")]
    assert not any(b"java" in words and bytes(node.folder / "spark") in words for words in running)
