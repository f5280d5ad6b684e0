import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rounds.world import (
    a_line,
    a_list,
    a_raw_list,
    a_unit,
    again,
    citizen,
    code,
    organisation,
    raw_file,
    the_policy,
)
from tongban.rounds.applications import CONFLICT, DUPLICATE, ListInvalid, normalised, read_raw


def rows(*lines):
    return a_list(lines).table.to_pylist()


def row(line):
    return rows(line)[0]


def test_the_list_is_sorted_by_application_code():
    assert [one["application"] for one in rows(a_line(3), a_line(1), a_line(2))] == [code(1), code(2), code(3)]


def test_names_and_numbers_are_normalised():
    found = row(a_line(1, name=" 张　伟 ", document_number=f"{citizen(1)[:6]} {citizen(1)[6:].lower()}"))
    assert (found["name"], found["subject"], found["document"]) == ("张伟", citizen(1), citizen(1))


def test_an_old_number_of_fifteen_digits_is_the_same_person():
    old = citizen(1)[:6] + citizen(1)[8:17]
    found = row(a_line(1, document_number=old))
    assert (found["subject"], found["document"]) == (citizen(1), old)


def test_a_wrong_check_character_is_nobody():
    wrong = citizen(1)[:17] + ("0" if citizen(1)[17] != "0" else "1")
    assert row(a_line(1, document_number=wrong))["subject"] is None


@pytest.mark.parametrize("number", [None, "", " "])
def test_a_missing_number_is_nobody(number):
    assert row(a_line(1, document_number=number))["subject"] is None


def test_a_unit_is_known_by_its_organisation_code_and_its_handler_by_his_number():
    found = row(a_unit(7))
    assert (found["domain"], found["subject"], found["pool"]) == ("organisation_code", organisation(7), "units")
    assert (found["handler"], found["handler_name"]) == (citizen(500_007), "李7")


@pytest.mark.parametrize(
    ("kind", "document", "domain", "fits"),
    [
        ("resident", "身份证", "citizen", True),
        ("resident", "护照", "passport", False),
        ("foreign", "护照", "passport", True),
        ("foreign", "台胞证", "hmt_permit", True),
        ("foreign", "身份证", "citizen", False),
        ("enterprise", "身份证", "organisation_code", False),
        ("resident", "驾驶证", None, False),
        ("resident", "组织机构代码", "organisation_code", False),
        ("", "身份证", "citizen", False),
    ],
)
def test_kind_and_document_give_the_kind_of_key(kind, document, domain, fits):
    found = row(a_line(1, kind=kind, document_type=document))
    assert (found["domain"], found["fits"]) == (domain, fits)


def test_an_unknown_kind_has_no_pool():
    assert [row(a_line(1, kind=kind))["pool"] for kind in ("", None, "resident2")] == ["", "", ""]


# --- Codes of a unit ----------------------------------------------------------------------------


def numbers(**change):
    found = row(a_unit(1, **change))
    return found["code_number"], found["ordinary_number"]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("1", "1"), ("12", "12"), ("13", "more"), ("9" * 30, "more"), (" ７ ", "7"), ("", "1"), (None, "1"),
        ("0", None), ("01", None), ("-1", None), ("+1", None), ("1.0", None), ("二", None), ("٣", None), ("x", None),
    ],
)  # fmt: skip
def test_a_code_number_is_one_to_twelve_or_more_or_does_not_hold(typed, read):
    assert numbers(code_number=typed) == (read, read)
    assert numbers(code_number="12", ordinary_number=typed)[1] == ("12" if read == "1" and typed != "1" else read)


def test_a_list_without_code_numbers_asks_for_first_codes():
    assert numbers() == ("1", "1")


def test_a_person_has_no_code_numbers():
    found = row(a_line(1, code_number="2", ordinary_number="x"))
    assert (found["code_number"], found["ordinary_number"]) == (None, None)


def test_a_unit_s_further_codes_are_no_doubles_and_the_same_one_is():
    lines = [a_unit(1), a_unit(2, **same_unit(1), code_number="2"), a_unit(3, **same_unit(1), code_number="2")]
    assert settled(*lines) == {code(3): DUPLICATE}


def test_numbers_that_do_not_hold_are_one_number():
    lines = [a_unit(1, code_number="x"), a_unit(2, **same_unit(1), code_number="0")]
    assert settled(*lines) == {code(2): DUPLICATE}


def test_a_stranger_may_take_no_further_code_of_a_unit_either():
    stranger = same_unit(1) | {"handler_number": citizen(9)}
    lines = [a_unit(1), a_unit(2, **stranger, code_number="2")]
    assert settled(*lines) == {code(1): CONFLICT, code(2): CONFLICT}


def same_unit(number):
    one = a_unit(number)
    return {name: one[name] for name in ("name", "document_number", "handler_name", "handler_number")}


# --- Lines that are checked elsewhere -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["military", " military", "ｍｉｌｉｔａｒｙ"])
def test_a_military_line_leaves_no_trace(kind):
    with_it = a_list([a_line(1), a_line(2, kind=kind), a_line(3)])
    without = a_list([a_line(1), a_line(3)])
    assert with_it.to_bytes() == without.to_bytes()


def test_a_military_line_makes_nobody_a_double():
    assert settled(again(1, 9, kind="military"), again(2, 9)) == {}


# --- Doubles and conflicts ----------------------------------------------------------------------


def settled(*lines):
    return {one["application"]: one["settled"] for one in rows(*lines) if one["settled"]}


def test_the_earliest_of_two_applications_counts():
    assert settled(a_line(1, submitted_on="2014-05-11"), again(2, 1)) == {code(1): DUPLICATE}


def test_of_two_on_one_day_the_smaller_code_counts():
    assert settled(again(2, 1), a_line(1)) == {code(2): DUPLICATE}


@pytest.mark.parametrize("day", [None, "", "2014-02-30", "10.5.2014"])
def test_an_application_without_a_real_day_is_later_than_any(day):
    assert settled(a_line(1, submitted_on=day), again(2, 1)) == {code(1): DUPLICATE}


def test_a_person_is_the_same_whatever_kind_she_applies_as():
    assert settled(a_line(1), again(2, 1, kind="work_permit")) == {code(2): DUPLICATE}


def test_a_name_spelled_otherwise_is_the_same_name():
    assert settled(a_line(1), again(2, 1, name=" 张　１")) == {code(2): DUPLICATE}


def test_two_names_under_one_number_are_a_conflict_that_displaces_nobody():
    assert settled(a_line(1), again(2, 1, name="王五")) == {code(1): CONFLICT, code(2): CONFLICT}


def test_one_stranger_among_three_makes_all_of_them_a_conflict():
    found = settled(a_line(1), again(2, 1), again(3, 1, name=None))
    assert found == {code(1): CONFLICT, code(2): CONFLICT, code(3): CONFLICT}


def test_a_unit_that_applies_twice_through_one_handler_is_a_double():
    twice = a_unit(2, document_number=organisation(1), name="张1", handler_number=citizen(500_001))
    assert settled(a_unit(1), twice) == {code(2): DUPLICATE}


@pytest.mark.parametrize("handler", [citizen(500_002), "123", None])
def test_a_unit_that_applies_through_two_handlers_is_a_conflict(handler):
    other = a_unit(2, document_number=organisation(1), name="张1", handler_number=handler)
    assert settled(a_unit(1), other) == {code(1): CONFLICT, code(2): CONFLICT}


def test_a_person_has_no_handler_whatever_stands_in_the_column():
    assert settled(a_line(1), again(2, 1, handler_number=citizen(7))) == {code(2): DUPLICATE}


def test_the_same_digits_in_two_kinds_of_document_are_two_subjects():
    passport = a_line(1, kind="foreign", document_type="护照", document_number="12345678")
    permit = a_line(2, kind="foreign", document_type="台胞证", document_number="12345678")
    assert settled(passport, permit) == {}


def test_bad_numbers_are_never_doubles_of_each_other():
    assert settled(a_line(1, document_number="123"), a_line(2, document_number="123")) == {}


@pytest.mark.parametrize("change", [{"kind": "foreign"}, {"kind": ""}])
def test_misfits_and_unknown_kinds_take_no_part(change):
    assert settled(a_line(1), again(2, 1, **change)) == {}


def test_one_handler_may_handle_two_units():
    assert settled(a_unit(1), a_unit(2, handler_number=citizen(500_001))) == {}


_WHO = st.tuples(st.integers(0, 3), st.sampled_from(["2014-05-01", "2014-05-02", None]), st.sampled_from("甲甲甲乙"))


@given(st.lists(_WHO, max_size=12))
@settings(max_examples=60)
def test_doubles_and_conflicts_are_what_a_slow_reading_of_the_rule_finds(people):
    lines = [
        a_line(n, document_number=citizen(who), submitted_on=day, name=name)
        for n, (who, day, name) in enumerate(people)
    ]
    expected = {}
    for who in range(4):
        own = sorted((day or "9", code(n), name) for n, (whom, day, name) in enumerate(people) if whom == who)
        if len({name for _, _, name in own}) > 1:
            expected |= {application: CONFLICT for _, application, _ in own}
        else:
            expected |= {application: DUPLICATE for _, application, _ in own[1:]}
    assert settled(*lines) == expected


# --- Lists that are refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([a_line(1), a_line(1)], "stands twice"),
        ([a_line(1, application="12345")], "not 13 digits"),
        ([a_line(1, application=None)], "not 13 digits"),
        ([a_line(1, failed_draws=None)], "failed_draws"),
        ([a_line(1, failed_draws=-1)], "failed_draws"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused(lines, what):
    with pytest.raises(ListInvalid, match=what):
        a_list(lines)


def test_a_list_without_a_column_is_refused():
    with pytest.raises(ListInvalid, match="kind"):
        normalised(a_raw_list([a_line(1)]).drop_columns(["kind"]), the_policy())


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "list.parquet").write_text("no")
    with pytest.raises(ListInvalid, match=r"list\.parquet"):
        read_raw(tmp_path / "list.parquet", the_policy())


def test_a_message_about_a_list_names_nobody():
    with pytest.raises(ListInvalid) as caught:
        a_list([a_line(1), a_line(1)])
    assert code(1) not in str(caught.value)


def test_an_empty_list_is_a_list():
    assert len(a_list([])) == 0


def test_the_same_list_gives_the_same_bytes_in_whatever_order_and_form_it_comes(tmp_path):
    lines = [a_line(n) for n in range(5)] + [a_unit(9)]
    file = raw_file(tmp_path / "list.parquet", lines[::-1])
    chunked = pa.concat_tables([a_raw_list([line]) for line in lines])
    assert read_raw(file, the_policy()).to_bytes() == normalised(chunked, the_policy()).to_bytes()
