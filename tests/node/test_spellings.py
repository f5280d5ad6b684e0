"""A register that keeps a number otherwise than it is asked for: its silence is no no, over the real gate."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.asking import Got
from tests.node.place import PASSPORT, PROVIDER, TABLE, WORLD, Place, office
from tests.node.running import Inside, inside, queried
from tests.world import APPLICANT, HUSBAND, STRANGER
from tongban.identity.identifiers import citizen_check
from tongban.node import facts
from tongban.node.program import open_registers
from tongban.node.snapshots import Snapshot

RESOURCE = "civil_affairs/spelled"
UNCLEAR = "exchange.register_unclear"
WIDE = str.maketrans("0123456789", "".join(map(chr, range(0xFF10, 0xFF1A))))


def ending_in_x(first: int) -> str:
    bodies = (f"99010119850101{n:03}" for n in range(first, 999))
    return next(body + "X" for body in bodies if citizen_check(body) == "X")


LOOSE = ending_in_x(700)
LOWER, WIDELY = ending_in_x(100), "99010119900202301" + citizen_check("99010119900202301")
NOBODY = "99010119600303001" + citizen_check("99010119600303001")
GONE = "99010119610404002" + citizen_check("99010119610404002")
SLIPPED = STRANGER[:-1] + ("0" if STRANGER[-1] != "0" else "1")
ROWS = [
    ("身份证", APPLICANT + "\N{IDEOGRAPHIC SPACE}", "已婚"),
    ("身份证", HUSBAND, "已婚"),
    ("身份证", HUSBAND[:6] + HUSBAND[8:17], "离婚"),
    ("身份证", LOWER.lower(), "未婚"),
    ("身份证", WIDELY.translate(WIDE), "离婚"),
    ("身份证", LOOSE, "离婚"),
    ("身份证", LOOSE + " ", "未婚"),
    ("身份证", " " + LOOSE, "已婚"),
    ("身份证", SLIPPED, "已婚"),
    ("身份证", GONE, "已婚"),
    ("护照", f"{PASSPORT[0].lower()}{PASSPORT[1:]} ", "离婚"),
]
TOML = f"""
[register.spelled]
url = "sqlite:///../../registers/civil-affairs/spelled.db"

[resource."{RESOURCE}"]
register = "spelled"
point = "SELECT document_type, status FROM spelled WHERE id_number = :key"
fields = ["status"]

[resource."{RESOURCE}".facts]
number = "id_number"
document = "document_type"

[[resource."{RESOURCE}".facts.source]]
rows = "SELECT document_type, id_number, status FROM spelled"
columns = ["status code 已婚|离婚|未婚"]
"""


@pytest.fixture(scope="module")
def register(place: Place) -> Path:
    path = place.register / "spelled.db"
    with office(path) as register:
        register.execute("CREATE TABLE spelled (document_type TEXT, id_number TEXT COLLATE RTRIM, status TEXT)")
        register.executemany("INSERT INTO spelled VALUES (?, ?, ?)", ROWS)
    return path


@pytest.fixture(scope="module")
def odd(place: Place, register: Path) -> Iterator[Inside]:
    """A node over that register."""
    place.put(
        place.resource(RESOURCE, ["status"]),
        place.grant("spelled", resource=RESOURCE, fields=["status"]),
        place.grant("spelled_none", resource=RESOURCE, fields=["status"], rows=[{"column": "status", "in": ["无"]}]),
    )
    with inside(place, "twin-spelled", PROVIDER, toml=lambda text: text + TOML) as found:
        yield found


def refresh(node: Inside) -> Snapshot:
    config = node.node.config
    resource = config.resources[RESOURCE]
    assert resource.facts is not None
    into = node.node.store.place(RESOURCE)
    return facts.build(RESOURCE, resource.facts, TABLE, open_registers(config), WORLD, into)


def ask(node: Inside, place: Place, key: str, domain: str = "citizen", grant: str = "spelled") -> Got:
    return queried(node, place, RESOURCE, grant, (domain, key))


def statuses(got: Got) -> list[str]:
    return [record["status"] for record in got.said["records"]]


@pytest.fixture
def known(odd: Inside) -> Inside:
    refresh(odd)
    return odd


@pytest.mark.parametrize(
    ("domain", "key", "told"),
    [
        ("citizen", APPLICANT, ["已婚"]),
        ("citizen", LOWER, ["未婚"]),
        ("citizen", WIDELY, ["离婚"]),
        ("passport", PASSPORT, ["离婚"]),
    ],
    ids=["trailing wide blank", "small x", "full width", "passport"],
)
def test_a_record_under_another_spelling_is_told(
    known: Inside, place: Place, domain: str, key: str, told: list[str]
) -> None:
    assert statuses(ask(known, place, key, domain)) == told


def test_records_under_two_spellings_are_told_together(known: Inside, place: Place) -> None:
    assert statuses(ask(known, place, HUSBAND)) == ["已婚", "离婚"]
    assert known.records("call")[-1]["rows"] == 2


def test_a_register_that_compares_loosely_tells_no_record_twice(known: Inside, place: Place) -> None:
    assert statuses(ask(known, place, LOOSE)) == ["离婚", "未婚", "已婚"]


def test_who_resembles_a_mistyped_number_gets_no_empty_answer(known: Inside, place: Place) -> None:
    got = ask(known, place, STRANGER)
    assert (got.code, got.status) == (UNCLEAR, 503)
    assert STRANGER not in got.body.decode()


def test_whom_the_register_does_not_hold_and_nobody_resembles_has_no_record(known: Inside, place: Place) -> None:
    assert statuses(ask(known, place, NOBODY)) == []


def test_a_row_outside_the_grant_under_another_spelling_is_as_if_it_were_not_there(known: Inside, place: Place) -> None:
    assert statuses(ask(known, place, APPLICANT, grant="spelled_none")) == []


def test_a_register_that_contradicts_its_facts_says_nothing_until_they_are_made_anew(
    known: Inside, place: Place, register: Path
) -> None:
    assert statuses(ask(known, place, GONE)) == ["已婚"]
    with office(register) as spelled:
        spelled.execute("DELETE FROM spelled WHERE id_number = ?", (GONE,))
    assert ask(known, place, GONE).code == UNCLEAR
    refresh(known)
    assert statuses(ask(known, place, GONE)) == []


@pytest.mark.parametrize("lost", ["all facts", "the spellings"])
def test_where_nobody_counted_the_spellings_silence_is_refused_and_a_record_is_told(
    known: Inside, place: Place, lost: str
) -> None:
    folder = known.node.store.place(RESOURCE)
    if lost == "all facts":
        shutil.rmtree(folder)
    else:
        snapshot = refresh(known)
        again = snapshot.folder.with_name(snapshot.id + "-before")
        shutil.copytree(snapshot.folder, again)
        (again / "spellings.citizen.arrow").unlink()
        (folder / "current.new").write_text(again.name)
        (folder / "current.new").replace(folder / "current")
    assert ask(known, place, NOBODY).code == UNCLEAR
    assert ask(known, place, APPLICANT).code == UNCLEAR
    assert statuses(ask(known, place, HUSBAND)) == ["已婚"]


def test_spellings_are_open_to_the_owner_only(known: Inside) -> None:
    for file in refresh(known).folder.glob("spellings.*"):
        assert file.stat().st_mode & 0o077 == 0
