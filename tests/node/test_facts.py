"""From raw rows to one fact row a key: every rule of docs/reference/car_lottery.md, section 5.

The independent checker of `tests/oracle`, written from that page alone, says what should come out.
"""

import itertools
import json
import string
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.full import count
from tests.node.asking import numbers
from tests.node.place import Place
from tests.oracle import registers as oracle
from tests.oracle.texts import Key, key, near
from tongban.cli.root import checkout
from tongban.identity.identifiers import citizen_check, organisation_check, pack
from tongban.node import config as configs
from tongban.node import facts
from tongban.node.adapters.register import RegisterChanged
from tongban.node.config import FactsConfig, RawColumn
from tongban.node.snapshots import Snapshot, opened
from tongban.node.store import FactStore
from tongban.rules.facts import Column, FactTable, Type
from tongban.solution.package import load

DAY = date(2014, 6, 9)
EXAMPLES = count("oracle", 6, 2000)
ORACLE = {register.name: register for register in oracle.REGISTERS if register.since <= DAY <= register.until}
#: Resource → the registers that its facts are made of.
RESOURCES = {
    "public_security/population": ("population",),
    "public_security/driving_licence": ("driving_licence",),
    "public_security/vehicle": ("vehicle",),
    "public_security/residence_permit": ("residence_permit",),
    "public_security/exit_entry": ("exit_entry",),
    "human_resources/social_insurance": ("social_insurance",),
    "human_resources/work_residence_permit": ("work_residence_permit",),
    "local_tax/income_tax": ("income_tax",),
    "state_tax/vat": ("vat", "taxpayer"),
    "industry_commerce/business_licence": ("business_licence",),
    "quality_supervision/organisation_code": ("organisation_code",),
    "civil_affairs/social_body": ("social_body",),
}


# Numbers as clerks type them


def citizen(body: str) -> str:
    return body + citizen_check(body)


PEOPLE = [citizen(body) for body in ("11010119800229901", "99010119790815902", "99010119850101903")]
OLD = "110101800229901"  #: the first of them, in 15 digits
UNITS = [body + organisation_check(body) for body in ("00000000", "1234567A", "MA00TEST")]
PASSPORTS = ["E12345678", "H1234567", "AB123"]


def as_typed(number: str) -> list[str]:
    """One number in the spellings of careless but honest clerks."""
    wide = number.translate({ord(c): ord(c) + 0xFEE0 for c in string.digits + "X"})
    return [number, number.lower(), f" {number}\u3000", f"{number[:6]} {number[6:]}", wide, f"\u200b{number}\ufeff"]


def slips(number: str) -> list[str]:
    """One number with one slip, and with two."""
    other = "1" if number[9] != "1" else "2"
    return [
        number[:9] + other + number[10:],
        number[:3] + number[4] + number[3] + number[5:],
        number[:7] + number[8:],
        number[:7] + "0" + number[7:],
        number[:9] + other + number[10:12] + number[13:],
    ]


NUMBERS = {
    "citizen": [
        *(text for one in PEOPLE for text in [*as_typed(one), *slips(one)]),
        OLD,
        OLD[:-1] + "0",
        OLD[:12] + "997",
    ],
    "organisation_code": [
        *(text for one in UNITS for text in as_typed(one)),
        "00000000-0",
        "1234567-A8",
        UNITS[0][:-1],
    ],
    "passport": [*PASSPORTS, "e12345678", "E1 2345678", "E123", "护照1"],
}
NUMBERS = {domain: [*numbers, "", "  ", "不详"] for domain, numbers in NUMBERS.items()}


def near_good(bad: str) -> list[str]:
    found = (key("citizen", text) for text in near(bad))
    return [one[1] for one in found if one]


def subjects() -> set[Key]:
    """Everybody whom a row may be about, or may be mistaken for."""
    people = {*PEOPLE, *(text for bad in NUMBERS["citizen"] for text in near_good(bad.strip()))}
    found = {("citizen", one) for one in people} | {("organisation_code", one) for one in UNITS}
    good = {one[1] for one in (key("passport", number) for number in NUMBERS["passport"]) if one}
    return found | {(domain, one) for domain in oracle.FOREIGN for one in good}


EVERYBODY = subjects()

DATES = [
    "2014-06-08",
    "1980-02-29",
    "2012-02-30",
    "2014-6-8",
    "1899-12-31",
    "1900-01-01",
    "2100-12-31",
    "2101-01-01",
    "2014/06/08",
    "20140608",
]
MONTHS = ["2009-06", "2014-05", "2003-12", "2004-01", "2014-13", "2014-1", "2099-12", "2100-01", "2014-05-01"]
AMOUNTS = [
    "100",
    "-100",
    "+5",
    "0",
    "007",
    "10000000000000",
    "10000000000001",
    "-10000000000000",
    "1e3",
    "1.5",
    "1,000",
    "٣",
    "9" * 30,
    "0" * 30 + "7",
]
VALUES: dict[str, list[str]] = {
    "name": ["张三", " 张 三 ", "古力·娜扎", "古力•娜扎", "ａｂｃ", "abc"],
    "household_division": ["110105", "120101", "１１０１０５", "11"],
    "registered_division": ["110105", "120101", " 110105 "],
    "plate": ["京A12345", "京a12345", "京A 12345", "京Ａ１２３４５", "京B00001"],
    "licence_class": ["C1", "c1", "Ｃ１", "A1", "C7"],
    "vehicle_type": ["小型轿车", "重型货车", "摩托车", "轿车"],
    "holder": ["本人", "随员", "其他"],
}  # fmt: skip
CODES = {
    "population": ["正常", "死亡", "注销", "迁出"], "driving_licence": ["正常", "超分", "吊销", "正 常"],
    "vehicle": ["正常", "注销", "转出", "查封", "报废"], "business_licence": ["存续", "吊销", "开业"],
}  # fmt: skip
ELSE = ["有效", "注销", "正常", "非正常", "撤销", "失效"]
DOCUMENTS = [
    "身份证",
    " 身份证 ",
    "护照",
    "港澳通行证",
    "台胞证",
    "外国人永久居留身份证",
    "组织机构代码",
    "驾驶证",
    "",
    None,
]


def values(register: str, column: str) -> list[str]:
    if column in ("status", "state"):
        return CODES.get(register, ELSE)
    if column.startswith("month"):
        return MONTHS
    return AMOUNTS if column == "amount" else VALUES.get(column, DATES)


def rows_of(name: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """A register's raw rows, mostly about the same few people, mostly well typed."""
    register = ORACLE[name]
    cells: dict[str, st.SearchStrategy[Any]] = {}
    for column in register.values:
        spellings = values(name, column)
        usual = st.sampled_from(spellings[:2])
        cells[column] = st.one_of(usual, usual, st.sampled_from([*spellings, "", "  ", None]))
    if register.domain is None:
        cells["document_type"] = st.one_of(st.sampled_from(["身份证", "护照"]), st.sampled_from(DOCUMENTS))
        numbers = NUMBERS["citizen"] + NUMBERS["passport"]
    else:
        numbers = NUMBERS[register.domain]
    cells[register.number] = st.one_of(
        st.sampled_from(PEOPLE[:2] + PASSPORTS[:1] + UNITS[:1]), st.sampled_from([*numbers, None])
    )
    return st.lists(st.fixed_dictionaries(cells), max_size=30)


# What comes out


class Rows:
    """A register that holds what the test says, every column as text."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        self._rows, self._columns = rows, columns

    def extract(self, select: str) -> pa.Table:
        return pa.table({name: pa.array([row[name] for row in self._rows], pa.string()) for name in self._columns})


def made(
    place: Place, resource: str, rows: Mapping[str, list[dict[str, Any]]], folder: Path
) -> tuple[dict[Key, Any], set[Key]]:
    """Our facts: rows by key, and keys in doubt."""
    given, table = definition(place, resource)
    registers = {name: Rows(held, columns_of(ORACLE[name])) for name, held in rows.items()}
    store = FactStore(folder)
    snapshot = facts.build(resource, given, table, registers, DAY, store.place(resource), True)  # type: ignore[arg-type]
    found: dict[Key, Any] = {}
    doubtful: set[Key] = set()
    for domain, number in EVERYBODY:
        if domain not in table.domains:
            continue
        held = store.facts(snapshot, domain)
        assert held is not None
        packed = pack(number) if domain == "citizen" else number
        if (row := held.row(packed)) is not None:
            found[domain, number] = row
        if held.doubtful(packed):
            doubtful.add((domain, number))
    return found, doubtful


def columns_of(register: oracle.Register) -> list[str]:
    typed = [] if register.domain else ["document_type"]
    return [register.number, *typed, *register.values]


_definitions: dict[str, tuple[FactsConfig, FactTable]] = {}


def definition(place: Place, resource: str) -> tuple[FactsConfig, FactTable]:
    """How the demonstration's node makes the facts, and what the rules expect of them."""
    if not _definitions:
        solution = load(checkout() / "solutions" / "car_lottery", date(2014, 6, 8))
        for member in place.foundation.members():
            for id, served in configs.read(place.node(member.node)).resources.items():
                if served.facts is not None and id in solution.resources:
                    _definitions[id] = served.facts, solution.resources[id].facts
    return _definitions[resource]


def expected(rows: Mapping[str, list[dict[str, Any]]]) -> oracle.Facts:
    """The independent checker's facts."""
    by_register = {name: checked(ORACLE[name], held) for name, held in rows.items()}
    if "vat" in by_register:
        joined = oracle.joined([by_register["vat"], by_register["taxpayer"]])
        assert joined is not None
        return joined
    return next(iter(by_register.values()))


def checked(register: oracle.Register, rows: list[dict[str, Any]]) -> oracle.Facts:
    found, kept = oracle.Facts(), defaultdict(list)
    for raw in rows:
        found.doubtful |= oracle.mislabelled(raw, register, EVERYBODY)
        owner = key(oracle.domain_of(raw, register), raw[register.number])
        if owner is None:
            found.doubtful |= oracle.meant(raw, register, EVERYBODY)
        elif (row := oracle.parsed(raw, register)) is None:
            found.doubtful.add(owner)
        else:
            kept[owner].append(row)
    merge = oracle.MERGES.get(register.name, oracle.one_row)
    found.rows = {owner: merge(held) for owner, held in kept.items()}
    return found


def in_our_form(resource: str, row: dict[str, Any]) -> dict[str, Any]:
    """The checker's row as a fact table holds it."""
    match resource.partition("/")[2]:
        case "population":
            division = row["household_division"]
            region = None if division is None else division[:2]
            return {"name": row["name"], "household_region": region, "status": row["status"]}
        case "business_licence":
            division = row["registered_division"]
            return {"status": row["status"], "registered_region": None if division is None else division[:2]}
        case "social_insurance":
            first = DAY.year * 12 + DAY.month - 1 - 119
            bits = sum(1 << month - first for month in row["months"] if 0 <= month - first < 120)
            return {"paid_low": bits & (1 << 60) - 1, "paid_high": bits >> 60, "paid_first": date(2004, 7, 1)}
        case "income_tax":
            paid = [year for year, total in row["sums"].items() if total > 0]
            return {"years": sum(1 << year - 2000 for year in paid if 2000 <= year <= 2062)}
        case "vat":
            sums = [row["sums"].get(year, 0) for year in range(2000, DAY.year + 1)]
            return {"registered_on": row["registered_on"], "state": row["state"], "vat": sums}
    return row


@pytest.mark.parametrize("resource", RESOURCES)
def test_facts_and_doubts_are_those_of_the_independent_checker(
    resource: str, place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = RESOURCES[resource]
    folder, numbered = tmp_path_factory.mktemp("facts"), itertools.count()

    @settings(max_examples=EXAMPLES)
    @given(st.fixed_dictionaries({name: rows_of(name) for name in names}))
    def agrees(rows: dict[str, list[dict[str, Any]]]) -> None:
        found, doubtful = made(place, resource, rows, folder / str(next(numbered)))
        wanted = expected(rows)
        table = definition(place, resource)[1]
        asked = {owner for owner in EVERYBODY if owner[0] in table.domains}
        assert found == {owner: in_our_form(resource, row) for owner, row in wanted.rows.items() if owner in asked}
        assert doubtful == wanted.doubtful & asked

    agrees()


# Said one by one

WARDS = FactTable(
    "civil_affairs/ward",
    ("citizen",),
    (
        Column("status", Type.CODE, codes=("在", "迁出")),
        Column("rooms", Type.INT, low=1, high=20),
        Column("since", Type.DATE, nullable=False),
    ),
)
COLUMNS = ("id_number", "status", "rooms", "since")
GOOD = {"id_number": PEOPLE[0], "status": "在", "rooms": "3", "since": "2010-01-01"}


def wards(merge: str = "one_row", require: str = "") -> FactsConfig:
    columns = (RawColumn("status", "code", ("在", "迁出")), RawColumn("rooms", "integer"), RawColumn("since", "date"))
    return FactsConfig(
        {"ward": "SELECT"}, "id_number", "citizen", "", {"ward": columns}, merge, {"ward": require} if require else {}
    )


def ward_facts(folder: Path, *rows: dict[str, Any], **how: str) -> Snapshot:
    held = [GOOD | row for row in rows]
    return facts.build("civil_affairs/ward", wards(**how), WARDS, {"ward": Rows(held, COLUMNS)}, DAY, folder, True)  # type: ignore[dict-item]


def outcome(folder: Path, snapshot: Snapshot, number: str = PEOPLE[0]) -> tuple[Any, bool]:
    held = FactStore(folder).facts(snapshot, "citizen")
    assert held is not None
    return held.row(pack(number)), held.doubtful(pack(number))


def test_a_good_row_becomes_a_fact_and_puts_nobody_in_doubt(tmp_path: Path) -> None:
    found, doubtful = outcome(tmp_path, ward_facts(tmp_path, {}))
    assert (found, doubtful) == ({"status": "在", "rooms": 3, "since": date(2010, 1, 1)}, False)


@pytest.mark.parametrize(
    "bad",
    [
        {"status": "不在"},  # a code outside its table
        {"rooms": "3.0"},  # no whole number
        {"rooms": "0"},  # below what the column may hold
        {"rooms": "21"},  # and above
        {"since": "2010-02-30"},  # no day
        {"since": "2101-01-01"},  # a day beyond belief
        {"since": None},  # missing where nothing may be missing
    ],
)
def test_a_row_with_a_value_that_does_not_hold_leaves_its_person_in_doubt(tmp_path: Path, bad: dict[str, Any]) -> None:
    assert outcome(tmp_path, ward_facts(tmp_path, bad)) == (None, True)


def test_a_mistyped_number_leaves_everybody_in_doubt_whom_it_may_mean_and_nobody_else(tmp_path: Path) -> None:
    for wrong in slips(PEOPLE[0])[:4]:
        snapshot = ward_facts(tmp_path, {"id_number": wrong})
        assert outcome(tmp_path, snapshot) == (None, True)
        assert outcome(tmp_path, snapshot, PEOPLE[1]) == (None, False)
    assert outcome(tmp_path, ward_facts(tmp_path, {"id_number": slips(PEOPLE[0])[4]})) == (None, False)


def test_rows_that_contradict_each_other_leave_the_value_missing(tmp_path: Path) -> None:
    found, doubtful = outcome(tmp_path, ward_facts(tmp_path, {}, {"rooms": "4"}, {"status": None}))
    assert (found, doubtful) == ({"status": "在", "rooms": None, "since": date(2010, 1, 1)}, False)


def test_a_row_that_the_owner_s_own_condition_refuses_is_rejected(tmp_path: Path) -> None:
    snapshot = ward_facts(tmp_path, {"rooms": "3"}, {"id_number": PEOPLE[1], "rooms": "9"}, require="rooms < 5")
    assert (snapshot.rows["citizen"], snapshot.rejected, snapshot.doubts) == (1, 1, 1)
    missing = ward_facts(tmp_path, {"rooms": None}, require="rooms < 5")
    assert outcome(tmp_path, missing) == (None, True)


def test_equal_data_of_one_day_are_one_snapshot(tmp_path: Path) -> None:
    first, second = ward_facts(tmp_path, {}), ward_facts(tmp_path, {})
    other = ward_facts(tmp_path, {"rooms": "4"})
    assert first.id == second.id != other.id
    assert first.id.startswith("2014-06-09-")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([first.id, other.id, "current"])


@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_register_understood_in_parts_gives_what_it_gives_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    rows = [
        {},
        {"rooms": "4"},
        {"id_number": PEOPLE[1]},
        {"id_number": "nobody's"},
        {"id_number": PEOPLE[2], "rooms": "x"},
    ]
    whole = ward_facts(tmp_path, *rows)
    monkeypatch.setattr(facts, "PART", part)
    assert ward_facts(tmp_path, *rows).id == whole.id
    monkeypatch.undo()
    kept = {"facts.citizen.arrow", "doubts.citizen.arrow", "spellings.citizen.arrow", "rejects.ward.parquet"}
    assert {path.name for path in whole.folder.iterdir()} == {*kept, "snapshot.json"}


@pytest.mark.parametrize("part", [1, 2, 1000])
def test_numbers_that_lost_their_digits_are_counted_over_all_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(facts, "PART", part)
    ward_facts(tmp_path, {"id_number": "1.10101E+17"}, {}, {"id_number": PEOPLE[1]})
    with pytest.raises(RegisterChanged):
        ward_facts(tmp_path, {"id_number": "1.10101E+17"}, {"id_number": "1.10101E+17"}, {"id_number": PEOPLE[1]})


@pytest.mark.parametrize(
    "merge",
    [
        "SELECT k, status, rooms, since FROM ward",  # a key twice
        "SELECT NULL::BIGINT AS k, 'x' AS status, 1 AS rooms, DATE '2010-01-01' AS since",
        "SELECT k, status, rooms FROM ward",
        "SELECT k, status, rooms, since FROM wards",
        "SELECT k, status, CAST(status AS BIGINT) AS rooms, since FROM ward",
        "no SQL",
    ],
)
def test_a_merge_that_does_not_give_one_row_a_key_publishes_nothing(tmp_path: Path, merge: str) -> None:
    before = ward_facts(tmp_path, {})
    with pytest.raises(facts.FactsInvalid) as raised:
        ward_facts(tmp_path, {}, {"rooms": "4"}, merge=merge)
    assert "在" not in str(raised.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([before.id, "current"])


def test_a_register_that_lacks_a_column_publishes_nothing(tmp_path: Path) -> None:
    short = {"ward": Rows([GOOD], COLUMNS[:-1])}
    with pytest.raises(RegisterChanged, match="since"):
        facts.build("civil_affairs/ward", wards(), WARDS, short, DAY, tmp_path)  # type: ignore[arg-type]
    assert [*tmp_path.iterdir()] == []


def test_a_register_that_lost_more_than_half_over_night_is_not_believed_until_its_owner_says_so(tmp_path: Path) -> None:
    people = [{"id_number": f"{number}{citizen_check(str(number))}"} for number in numbers(4)]

    def published(count: int, fewer: bool = False) -> int:
        held = {"ward": Rows([GOOD | row for row in people[:count]], COLUMNS)}
        snapshot = facts.build("civil_affairs/ward", wards(), WARDS, held, DAY, tmp_path, fewer)  # type: ignore[arg-type]
        return snapshot.rows["citizen"]

    assert published(4) == 4
    for too_few in (1, 0):
        with pytest.raises(facts.RegisterShrunk):
            published(too_few)
    assert [published(2), published(1), published(0, fewer=True)] == [2, 1, 0]


@pytest.mark.parametrize(
    ("number", "nameless"),
    [
        *((None, 1), ("", 1), ("不详", 1), (PEOPLE[1][:6], 1), (UNITS[0], 1), (PEOPLE[1], 0)),
        *((wrong, 0) for wrong in slips(PEOPLE[1])[:4]),
    ],
)
def test_a_row_that_leads_back_to_nobody_is_counted_and_one_that_resembles_somebody_is_not(
    tmp_path: Path, number: str | None, nameless: int
) -> None:
    assert ward_facts(tmp_path, {}, {"id_number": number}).nameless == nameless


@pytest.mark.parametrize(
    ("kind", "number", "nameless"),
    [
        ("身份证", None, 1),
        ("身份证", PASSPORTS[0], 1),
        ("护照", None, 1),
        ("护照", "E1", 1),
        ("护照", PEOPLE[1], 0),
        (None, "不详", 1),
        (None, PASSPORTS[0], 0),
        (None, slips(PEOPLE[1])[0], 0),
        ("组织机构代码", "不详", 0),  # whoever asks by such a code is not answered from these facts at all
    ],
)
def test_of_several_kinds_of_document_a_row_names_nobody_if_none_of_them_can_be_meant(
    tmp_path: Path, kind: str | None, number: str | None, nameless: int
) -> None:
    several = replace(wards(), domain="", document="document_type")
    rows = [{"document_type": "身份证", **GOOD}, {"document_type": kind, **GOOD, "id_number": number}]
    table = FactTable("civil_affairs/ward", ("citizen", "passport"), WARDS.columns)
    held = {"ward": Rows(rows, ("document_type", *COLUMNS))}
    assert facts.build("civil_affairs/ward", several, table, held, DAY, tmp_path).nameless == nameless  # type: ignore[arg-type]


def test_a_further_row_that_names_nobody_makes_a_further_snapshot(tmp_path: Path) -> None:
    lost: dict[str, Any] = {"id_number": None}
    first, second = ward_facts(tmp_path, {}, lost), ward_facts(tmp_path, {}, lost, lost)
    assert (first.nameless, second.nameless, first.id != second.id) == (1, 2, True)


def test_a_snapshot_of_before_they_were_counted_does_not_say_that_no_row_is_nameless(tmp_path: Path) -> None:
    snapshot = ward_facts(tmp_path, {})
    about = snapshot.folder / "snapshot.json"
    about.write_text(
        json.dumps({name: held for name, held in json.loads(about.read_text()).items() if name != "nameless"})
    )
    again = opened(snapshot.resource, tmp_path, snapshot.id)
    assert again is not None
    assert again.nameless is None


def test_rejected_rows_are_kept_for_their_owner_only(tmp_path: Path) -> None:
    snapshot = ward_facts(tmp_path, {"rooms": "many"}, {})
    kept = pyarrow.parquet.read_table(snapshot.folder / "rejects.ward.parquet")
    assert kept.column("number").to_pylist() == [PEOPLE[0]]
    assert (snapshot.folder / "rejects.ward.parquet").stat().st_mode & 0o077 == 0
    assert snapshot.folder.stat().st_mode & 0o077 == 0
