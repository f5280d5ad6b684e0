from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.world import CIVIL_AFFAIRS, TAX, TRANSPORT, a_key
from tongban.catalogue.member import Member, member_from_mapping, successor_at
from tongban.catalogue.reading import EntryInvalid, first_instant
from tongban.catalogue.succession import Level, Mark, read_successions
from tongban.exchange import listing
from tongban.identity.identifiers import credit_check
from tongban.kit.clock import unstamp
from tongban.kit.config import FileInvalid
from tongban.kit.errors import Refused

MERGED = date(2018, 6, 15)


def a_code(number: int) -> str:
    body = f"11990100TB{number:07d}"
    return body + credit_check(body)


STATE_TAX, LOCAL_TAX = a_code(901), a_code(902)


def a_member(
    code: str, begins: date = date(1994, 1, 1), ends: date | None = None, after: tuple[str, ...] = ()
) -> Member:
    return Member(code, "税务", "Tax", begins, ends, (), after)


CITY = [
    a_member(STATE_TAX, ends=MERGED, after=(TAX,)),
    a_member(LOCAL_TAX, ends=MERGED, after=(TAX,)),
    Member(TAX, "税务局", "Tax Bureau", MERGED, None, (STATE_TAX, LOCAL_TAX), ()),
    a_member(CIVIL_AFFAIRS),
]


def bearer(code: str, day: date, members: list[Member] = CITY) -> str:
    found = successor_at(members, code, day)
    return found.code


@pytest.mark.parametrize("code", [STATE_TAX, LOCAL_TAX])
def test_each_tax_office_carries_its_own_duty_to_the_day_before_the_merger(code):
    assert bearer(code, date(1994, 1, 1)) == code
    assert bearer(code, MERGED - timedelta(1)) == code
    assert bearer(code, MERGED) == TAX
    assert bearer(code, date(2030, 1, 1)) == TAX


def test_a_member_that_stands_carries_its_own_duty():
    assert bearer(CIVIL_AFFAIRS, date(2014, 6, 9)) == CIVIL_AFFAIRS


@pytest.mark.parametrize(
    ("members", "code", "day", "refused"),
    [
        (CITY, TRANSPORT, MERGED, "catalogue.member_unknown"),
        (CITY, TAX, MERGED - timedelta(1), "catalogue.member_not_yet"),
        (CITY, STATE_TAX, date(1993, 12, 31), "catalogue.member_not_yet"),
        (CITY[:2], STATE_TAX, MERGED, "catalogue.member_unknown"),
        ([a_member(STATE_TAX, ends=MERGED)], STATE_TAX, MERGED, "catalogue.duty_ended"),
        (
            [a_member(STATE_TAX, ends=MERGED, after=(TAX,)), a_member(TAX, MERGED + timedelta(2))],
            STATE_TAX, MERGED + timedelta(1), "catalogue.duty_ended",
        ),
        (
            [a_member(STATE_TAX, ends=MERGED, after=(TAX, LOCAL_TAX)), a_member(TAX), a_member(LOCAL_TAX)],
            STATE_TAX, MERGED, "catalogue.duty_divided",
        ),
        (
            [
                a_member(STATE_TAX, ends=MERGED, after=(LOCAL_TAX,)),
                a_member(LOCAL_TAX, ends=MERGED, after=(STATE_TAX,)),
            ],
            STATE_TAX, MERGED, "catalogue.duty_ended",
        ),
    ],
)  # fmt: skip
def test_a_duty_that_nobody_or_more_than_one_carries_is_refused(members, code, day, refused):
    found = successor_at(members, code, day)
    assert isinstance(found, Refused)
    assert found.code == refused


def test_a_duty_that_was_divided_and_united_again_has_one_bearer():
    first, left, right, last = (a_code(n) for n in (1, 2, 3, 4))
    members = [
        a_member(first, ends=date(2000, 1, 1), after=(left, right)),
        a_member(left, date(2000, 1, 1), date(2010, 1, 1), (last,)),
        a_member(right, date(2000, 1, 1), date(2010, 1, 1), (last,)),
        a_member(last, date(2010, 1, 1)),
    ]
    assert bearer(first, date(2010, 1, 1), members) == last
    assert successor_at(members, first, date(2009, 12, 31)).code == "catalogue.duty_divided"


@given(st.lists(st.integers(1, 4000), min_size=2, max_size=12, unique=True), st.integers(0, 5000))
def test_along_a_line_of_successors_somebody_carries_the_duty_every_day(steps, offset):
    begins = [date(1994, 1, 1) + timedelta(step) for step in sorted(steps)]
    codes = [a_code(n) for n in range(len(begins))]
    members = [
        a_member(code, begin, end, after)
        for code, begin, end, after in zip(
            codes, begins, [*begins[1:], None], [*((code,) for code in codes[1:]), ()], strict=True
        )
    ]
    day = begins[0] + timedelta(offset)
    assert bearer(codes[0], day, members) == codes[sum(begin <= day for begin in begins) - 1]


FULL = {
    "code": STATE_TAX,
    "name": "国家税务局",
    "name_en": "State Tax Bureau",
    "from": date(1994, 8, 15),
    "until": "2018-06-15",
    "predecessors": [],
    "successors": [TAX],
}


def a_mapping(**change):
    return {name: value for name, value in (FULL | change).items() if value is not ...}


def test_a_member_written_and_read_again_is_the_same():
    member = member_from_mapping(FULL)
    assert member == Member(STATE_TAX, "国家税务局", "State Tax Bureau", date(1994, 8, 15), MERGED, (), (TAX,))
    assert member.to_json() == FULL | {"from": "1994-08-15"}
    assert member_from_mapping(member.to_json()) == member


@pytest.mark.parametrize("change", [{}, {"until": ..., "successors": ...}])
def test_the_directory_entry_has_the_form_of_the_protocol_and_reads_back(change):
    member = member_from_mapping(a_mapping(**change))
    root = {"id": f"{STATE_TAX}.root.1", "public": "A" * 43 + "="}
    entry = member.to_entry(root["id"], root["public"])
    assert entry["root"] == root
    assert listing.compose(**entry)["from"] == "1994-08-14T16:00:00Z"
    assert member_from_mapping(entry) == member


def test_the_entry_of_a_member_begins_and_ends_at_midnight_in_beijing():
    entry = member_from_mapping(FULL).to_entry(f"{STATE_TAX}.root.1", a_key(STATE_TAX, "root").public.public.hex())
    assert entry["until"] == "2018-06-14T16:00:00Z"
    assert unstamp(first_instant(date(1970, 1, 2))) == 16 * 3600


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"code": ...}, "code"),
        ({"code": STATE_TAX[:17]}, "code"),
        ({"code": STATE_TAX.lower()}, "code"),
        ({"name": ...}, "name"),
        ({"name_en": ...}, "name_en"),
        ({"from": ...}, "from"),
        ({"from": "1994-8-15"}, "from"),
        ({"from": "1994-08-15T00:00:00Z"}, "from"),
        ({"from": "1994-08-14T16:00:01Z"}, "from"),
        ({"from": "1994-08-14T24:00:00Z"}, "from"),
        ({"from": 1994}, "from"),
        ({"until": "1994-08-15"}, "until"),
        ({"until": "1994-08-14"}, "until"),
        ({"until": ...}, "until"),
        ({"successors": [TAX, TAX]}, "twice"),
        ({"successors": ["TAX"]}, "successors"),
        ({"successors": [7]}, "successors"),
        ({"predecessors": TAX}, "predecessors"),
        ({"level": "city"}, "level"),
    ],
)
def test_a_member_that_does_not_hold_is_refused_by_name(change, word):
    with pytest.raises(EntryInvalid) as caught:
        member_from_mapping(a_mapping(**change))
    assert word in str(caught.value)


def test_a_member_may_stand_for_a_single_day():
    assert member_from_mapping(a_mapping(until="1994-08-16")).valid_until == date(1994, 8, 16)


def test_the_tax_offices_merged_level_by_level_in_2018():
    days = {one.level: one.day for one in read_successions() if one.successor == "税务局"}
    assert days == {Level.PROVINCE: MERGED, Level.CITY: date(2018, 7, 5), Level.COUNTY: date(2018, 7, 20)}


def test_a_day_that_nobody_has_checked_says_so():
    marks = {one.predecessor: one.mark for one in read_successions()}
    assert marks["地方税务局"] is Mark.REPORTED
    assert marks["工商行政管理局"] is marks["质量技术监督局"] is Mark.UNVERIFIED


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("predecessor,successor\n", 1),
        ("predecessor,successor,level,day,mark,source\n甲,乙,village,2018-06-15,reported,丙\n", 2),
        ("predecessor,successor,level,day,mark,source\n甲,乙,city,2018-06-31,reported,丙\n", 2),
        ("predecessor,successor,level,day,mark,source\n甲,乙,city,2018-06-15,sure,丙\n", 2),
        ("predecessor,successor,level,day,mark,source\n甲,乙,city,2018-06-15,reported,\n", 2),
        ("predecessor,successor,level,day,mark,source\n甲,乙,city,2018-06-15,reported\n", 2),
    ],
)
def test_a_table_of_successions_that_does_not_hold_is_refused_with_its_line(tmp_path, text, line):
    path = tmp_path / "successions.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileInvalid) as caught:
        read_successions(path)
    assert caught.value.facts["line"] == line
