"""A register without facts: nobody counted its spellings, so that its silence says nothing but for the owner's word."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.asking import Got
from tests.node.place import PROVIDER, Place, office
from tests.node.running import Inside, inside, queried
from tests.world import APPLICANT, HUSBAND, STRANGER
from tongban.node.findings import Finding
from tongban.node.setup import check

UNCLEAR = "exchange.register_unclear"
NAMES = ("bare", "exact", "view")
TOML = """
[register.bare]
url = "sqlite:///../../registers/civil-affairs/bare.db"

[resource."civil_affairs/bare"]
register = "bare"
point = "SELECT status FROM people WHERE id_number = :key"
fields = ["status"]

[resource."civil_affairs/exact"]
register = "bare"
point = "SELECT status FROM people WHERE id_number = :key"
fields = ["status"]
spelling = "exact"

[resource."civil_affairs/view"]
register = "bare"
point = "SELECT status FROM seen WHERE id_number = :key"
fields = ["status"]
"""


@pytest.fixture(scope="module")
def register(place: Place) -> Path:
    path = place.register / "bare.db"
    with office(path) as people:
        people.execute("CREATE TABLE people (id_number TEXT, status TEXT)")
        people.execute("CREATE VIEW seen AS SELECT id_number, status FROM people")
        people.execute("INSERT INTO people VALUES (?, '在')", (APPLICANT,))
    return path


@pytest.fixture(scope="module")
def node(place: Place, register: Path) -> Iterator[Inside]:
    resources = [f"civil_affairs/{name}" for name in NAMES]
    place.put(
        *(place.resource(id, ["status"], domains=["citizen"]) for id in resources),
        *(place.grant(f"{name}_own", resource=f"civil_affairs/{name}", fields=["status"]) for name in NAMES),
        place.grant(
            "bare_none", resource=resources[0], fields=["status"], rows=[{"column": "status", "in": ["无"]}]
        ),
    )  # fmt: skip
    with inside(place, "twin-uncounted", PROVIDER, toml=lambda text: text + TOML) as found:
        (found.node.config.folder / "directory.json").write_bytes(place.published.read_bytes())
        yield found


def ask(node: Inside, place: Place, name: str, key: str, grant: str = "") -> Got:
    return queried(node, place, f"civil_affairs/{name}", grant or f"{name}_own", ("citizen", key))


def found(node: Inside, name: str) -> Finding | None:
    where = f"spelling civil_affairs/{name}"
    return next((one for one in check(node.node.config.folder) if one.where == where), None)


def test_silence_is_refused_where_nobody_says_that_the_numbers_are_exact(node: Inside, place: Place) -> None:
    got = ask(node, place, "bare", STRANGER)
    assert (got.code, got.status) == (UNCLEAR, 503)
    assert STRANGER not in got.body.decode()


def test_silence_is_an_empty_list_where_the_owner_says_so(node: Inside, place: Place) -> None:
    assert ask(node, place, "exact", STRANGER).said["records"] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_record_is_told_whatever_the_owner_says(node: Inside, place: Place, name: str) -> None:
    assert ask(node, place, name, APPLICANT).said["records"] == [{"status": "在"}]


def test_a_row_outside_the_grant_is_there_and_known(node: Inside, place: Place) -> None:
    assert ask(node, place, "bare", APPLICANT, "bare_none").said["records"] == []


def test_a_check_counts_what_no_query_finds_and_contradicts_an_owner_who_is_wrong(node: Inside, register: Path) -> None:
    bare, view = found(node, "bare"), found(node, "view")
    assert bare is not None and view is not None  # noqa: PT018
    assert (bare.holds, view.holds, found(node, "exact")) == (True, True, None)
    assert "0 of 1 rows" in bare.what
    assert "cannot be told" in view.what
    with office(register) as people:
        people.executemany("INSERT INTO people VALUES (?, '在')", [(HUSBAND + " ",), (None,)])
    wrong = found(node, "exact")
    assert wrong is not None
    assert not wrong.holds
    assert "2 of 3 rows" in wrong.what
    assert HUSBAND not in wrong.what
