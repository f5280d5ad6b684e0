import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rounds.world import (
    HANDLER,
    PERSONS,
    QUESTIONS,
    a_line,
    a_list,
    a_question,
    a_unit,
    again,
    citizen,
    organisation,
)
from tongban.exchange.bulk import Keys, read_keys
from tongban.rounds.key_columns import KeyColumns
from tongban.rounds.questions import parts
from tongban.rules.verdict import COMMON

IDENTITY, HANDLER_IDENTITY, _, _, BUSINESS = QUESTIONS


def all_parts(question, *lines, **more):
    listed = a_list(lines)
    return listed, parts(question, KeyColumns(listed), question.applies(listed.table) == 1, **more)


def keys(part):
    return part.keys["k"].to_pylist()


def packed(number):
    return int(citizen(number)[:17])


def test_a_part_holds_each_key_once_in_ascending_order_with_the_asked_columns():
    _, (part,) = all_parts(IDENTITY, a_line(3), a_line(1), a_line(2))
    assert keys(part) == [packed(1), packed(2), packed(3)]
    assert part.keys["name"].to_pylist() == ["张1", "张2", "张3"]


def test_a_part_is_read_by_the_exchange_as_it_is_written():
    _, (part,) = all_parts(IDENTITY, a_line(3), a_line(1))
    read = read_keys(part.body(), "citizen", {"name": "text"})
    assert isinstance(read, Keys)
    assert read.digest == part.digest()


def test_no_application_code_reaches_a_department():
    _, found = all_parts(IDENTITY, a_line(1))
    assert found[0].keys.column_names == ["k", "name"]
    assert b"9000000000001" not in found[0].body()


def test_each_kind_of_key_has_its_own_part():
    _, found = all_parts(
        a_question("identity", PERSONS, first=True),
        a_line(1),
        a_line(2, kind="foreign", document_type="护照", document_number="E1234567"),
        a_line(3, kind="foreign", document_type="护照", document_number="D1234567"),
    )
    assert [(part.name, keys(part)) for part in found] == [
        ("citizen-0", [packed(1)]),
        ("passport-0", ["D1234567", "E1234567"]),
    ]


def test_a_unit_is_asked_about_by_its_code_and_its_handler_by_his_number_and_name():
    _, (business,) = all_parts(BUSINESS, a_unit(7))
    _, (handler,) = all_parts(HANDLER_IDENTITY, a_unit(7))
    assert keys(business) == [organisation(7)]
    assert keys(handler) == [packed(500_007)]
    assert handler.keys["name"].to_pylist() == ["李7"]
    assert HANDLER_IDENTITY.about == HANDLER


def handled(number, by, name):
    """A unit handled by the person `by`, under a name as somebody typed it."""
    return a_unit(number, handler_number=citizen(by), handler_name=name)


def test_two_units_with_one_handler_share_one_key():
    _, (part,) = all_parts(HANDLER_IDENTITY, handled(1, 7, "李"), handled(2, 7, "李"))
    assert keys(part) == [packed(7)]
    assert (part.applications.tolist(), part.rows.tolist()) == ([0, 1], [0, 0])


def test_a_second_spelling_of_a_name_is_asked_in_a_further_part():
    _, found = all_parts(HANDLER_IDENTITY, handled(1, 7, "李"), handled(2, 7, "理"), handled(3, 8, "王"))
    assert [(part.name, part.keys["name"].to_pylist()) for part in found] == [
        ("citizen-0", ["李", "王"]),
        ("citizen-1", ["理"]),
    ]
    assert [part.applications.tolist() for part in found] == [[0, 2], [1]]


def test_a_missing_name_is_a_spelling_too():
    _, found = all_parts(HANDLER_IDENTITY, handled(1, 7, None), handled(2, 7, "李"))
    assert sorted(str(part.keys["name"].to_pylist()) for part in found) == ["['李']", "[None]"]


def test_nobody_is_asked_about_in_a_double_or_a_conflict():
    _, (part,) = all_parts(IDENTITY, a_line(1), again(2, 1), a_line(3), again(4, 3, name="王五"))
    assert (keys(part), part.applications.tolist()) == ([packed(1)], [0])


def test_more_keys_than_a_part_holds_go_into_several():
    _, found = all_parts(IDENTITY, *(a_line(n) for n in range(5)), largest=2)
    assert [part.keys.num_rows for part in found] == [2, 2, 1]
    assert len({part.name for part in found}) == 3


def test_a_bad_number_is_not_asked_about():
    assert all_parts(IDENTITY, a_line(1, document_number="123"))[1] == []


def test_a_document_that_does_not_fit_is_not_asked_about_first():
    passport = a_line(1, document_type="护照", document_number="E1234567")
    assert all_parts(IDENTITY, passport)[1] == []


def test_nobody_to_ask_about_is_no_part():
    assert all_parts(BUSINESS, a_line(1))[1] == []


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["甲", "乙", None])), max_size=15),
    st.integers(1, 4),
)
@settings(max_examples=60)
def test_every_application_finds_its_own_key_and_name_in_exactly_one_part(people, largest):
    lines = [handled(n, who, name) for n, (who, name) in enumerate(people)]
    _, found = all_parts(HANDLER_IDENTITY, *lines, largest=largest)
    seen = np.zeros(len(people), int)
    for part in found:
        assert keys(part) == sorted(set(keys(part)))
        assert 0 < part.keys.num_rows <= largest
        for application, row in zip(part.applications.tolist(), part.rows.tolist(), strict=True):
            seen[application] += 1
            who, name = people[application]
            assert (keys(part)[row], part.keys["name"][row].as_py()) == (packed(who), name)
    assert seen.tolist() == [1] * len(people)


@pytest.mark.parametrize(("number", "code"), [(1, "identity_no"), (COMMON["no_answer"].number, "no_answer")])
def test_a_reason_is_the_rules_own_or_a_common_one(number, code):
    assert IDENTITY.reason(number).code == code


def test_an_unused_number_has_no_reason():
    assert IDENTITY.reason(40) is None
