import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rounds.world import (
    MET,
    NOT_MET,
    QUESTIONS,
    UNKNOWN,
    a_line,
    a_list,
    a_question,
    a_unit,
    again,
    an_answer,
    citizen,
    organisation,
)
from tongban.exchange.bulk import read_answer
from tongban.rounds.verdicts import (
    BAD_IDENTIFIER,
    DOES_NOT_SAY,
    NO_ANSWER,
    NOT_APPLICABLE,
    NOT_ASKED,
    Asking,
    corrected,
    read_columns,
    write,
)

LICENCE_NO = NOT_MET | 1


def key(number):
    return int(citizen(number)[:17])


def answers(held=None, silent=()):
    def answer_of(part):
        if part.rule.partition("@")[0] in silent:
            return None
        raw = an_answer(part, held or {}, "a" * 64)
        return tuple(read_answer(raw, part.keys.num_rows))

    return answer_of


def columns(lines, held=None, silent=(), questions=QUESTIONS, correct=None):
    found = Asking(questions, a_list(lines), correct).assemble(answers(held, silent))
    return {rule.partition("@")[0]: column.tolist() for rule, column in found.columns.items()}


def test_what_a_department_answers_stands_at_the_application():
    found = columns([a_line(2), a_line(1), a_line(3)], {("licence", key(1)): LICENCE_NO})
    assert found["licence"] == [LICENCE_NO, MET, MET]


def test_a_rule_of_another_kind_does_not_apply():
    found = columns([a_line(1), a_unit(2)])
    assert found["business"] == [NOT_APPLICABLE, MET]
    assert found["licence"] == [MET, NOT_APPLICABLE]


@pytest.mark.parametrize("byte", [NOT_MET | 1, UNKNOWN | 48])
def test_who_is_not_confirmed_is_not_asked_about_further(byte):
    found = columns([a_line(1), a_line(2)], {("identity", key(1)): byte})
    assert (found["identity"], found["licence"]) == ([byte, MET], [NOT_ASKED, MET])


def test_a_silent_population_register_confirms_nobody():
    found = columns([a_line(1)], silent=("identity",))
    assert (found["identity"], found["licence"]) == ([NO_ANSWER], [NOT_ASKED])


def test_a_silent_department_leaves_unknown_and_never_no():
    found = columns([a_line(1), a_line(2, document_number="1")], silent=("licence",))
    assert found["licence"] == [NO_ANSWER, BAD_IDENTIFIER]


def test_a_bad_number_comes_before_not_asked():
    found = columns([a_line(1, document_number="123")])
    assert (found["identity"], found["licence"]) == ([BAD_IDENTIFIER], [BAD_IDENTIFIER])


def test_a_document_that_does_not_fit_is_bad_for_the_first_question_and_then_not_asked():
    found = columns([a_line(1, document_type="护照", document_number="E1234567")])
    assert (found["identity"], found["licence"]) == ([BAD_IDENTIFIER], [NOT_ASKED])


def test_a_misfit_with_a_bad_number_is_not_asked_further_either():
    found = columns([a_line(1, kind="foreign", document_number="1")])
    assert (found["identity"], found["licence"]) == ([BAD_IDENTIFIER], [NOT_ASKED])


@pytest.mark.parametrize("name", ["张1", "王五"])
def test_nothing_is_asked_about_doubles_and_conflicts(name):
    held = {("identity", key(1)): MET, ("licence", key(1)): LICENCE_NO}
    found = columns([a_line(1), again(2, 1, name=name)], held)
    assert (found["identity"][1], found["licence"][1], found["business"][1]) == (NOT_ASKED, NOT_ASKED, NOT_APPLICABLE)
    assert (found["licence"][0] == NOT_ASKED) == (name == "王五")


def test_a_units_bad_handler_and_bad_code_concern_different_rules():
    bad_handler = columns([a_unit(1, handler_number="123")])
    bad_code = columns([a_unit(1, document_number="123")])
    assert (bad_handler["handler_identity"], bad_handler["business"]) == ([BAD_IDENTIFIER], [NOT_ASKED])
    assert (bad_code["handler_identity"], bad_code["business"]) == ([MET], [BAD_IDENTIFIER])


def test_an_application_that_does_not_say_whether_a_rule_is_for_it_is_unknown():
    vague = a_question("vague", (), applies=lambda table: np.full(table.num_rows, 2, np.uint8))
    found = columns([a_line(1)], questions=[*QUESTIONS, vague])
    assert found["vague"] == [DOES_NOT_SAY]


def test_the_same_answers_give_the_same_column_whatever_else_was_asked():
    lines, held = [a_line(n) for n in range(6)], {("licence", key(4)): LICENCE_NO}
    assert columns(lines, held)["licence"] == columns([*lines, a_unit(9)], held)["licence"][:6]


def test_what_was_heard_names_snapshots_parts_and_silence():
    found = Asking(QUESTIONS, a_list([a_line(1), a_unit(2)])).assemble(answers(silent=("business",))).heard
    assert found["identity@2014-01-01"].snapshots == (("identity-1", "2014-06-08"),)
    assert found["identity@2014-01-01"].parts == (("citizen-0", 1),)
    assert found["business@2014-01-01"].silent == ("organisation_code-0",)


def test_another_verdict_is_another_digest_of_what_was_heard():
    one, other = (
        Asking(QUESTIONS, a_list([a_line(1)])).assemble(answers(held)).heard["licence@2014-01-01"].answers
        for held in ({}, {("licence", key(1)): LICENCE_NO})
    )
    assert one != other


# --- Corrected by a re-check --------------------------------------------------------------------


def test_a_recheck_that_confirms_an_identity_has_the_rest_asked_in_parts_of_their_own():
    unconfirmed = {("identity", key(2)): UNKNOWN | 48}
    asking = Asking(QUESTIONS, a_list([a_line(1), a_line(2)]), {"identity@2014-01-01": {1: MET}})
    first = asking.first_columns(answers(unconfirmed))
    usual, late = asking.further_parts(first)["licence@2014-01-01"]
    assert (usual.name, usual.applications.tolist()) == ("citizen-0", [0])
    assert (late.name, late.applications.tolist()) == ("late-citizen-0", [1])


def test_the_column_keeps_the_first_answer_beside_the_late_ones():
    held = {("identity", key(2)): UNKNOWN | 48, ("licence", key(2)): LICENCE_NO}
    found = columns([a_line(1), a_line(2)], held, correct={"identity@2014-01-01": {1: MET}})
    assert (found["identity"], found["licence"]) == ([MET, UNKNOWN | 48], [MET, LICENCE_NO])


def test_correcting_leaves_the_first_columns_as_they_were():
    first = {"a": np.array([1, 2, 3], np.uint8)}
    assert corrected(first, {"a": {1: 64}, "b": {0: 1}})["a"].tolist() == [1, 64, 3]
    assert first["a"].tolist() == [1, 2, 3]


# --- Against a slow reading ---------------------------------------------------------------------

_PERSON = st.tuples(
    st.sampled_from(["resident", "foreign", "enterprise", "", "residence_permit"]),
    st.sampled_from(["good", "bad", "passport"]),
    st.sampled_from([MET, NOT_MET | 1, UNKNOWN | 48]),
    st.sampled_from([MET, NOT_MET | 1]),
)


def line_of(number, kind, document):
    numbers = {"good": ("身份证", citizen(number)), "bad": ("身份证", "1"), "passport": ("护照", f"E{number:06d}")}
    if kind == "enterprise":
        change = {} if document == "good" else {"document_number": "1"}
        return a_unit(number, **change)
    document_type, value = numbers[document]
    return a_line(number, kind=kind, document_type=document_type, document_number=value)


def slow_licence(kind, document, identity, licence):
    """Section by section: the byte for the rule `licence`, asked of persons after `identity`."""
    if kind not in ("resident", "foreign", "residence_permit"):
        return NOT_APPLICABLE
    misfit = (document == "passport") != (kind == "foreign")
    if not misfit and document == "bad":
        return BAD_IDENTIFIER
    if misfit or identity != MET:
        return NOT_ASKED
    return licence


@given(st.lists(_PERSON, max_size=10))
@settings(max_examples=40)
def test_the_order_of_reasons_is_that_of_a_slow_reading(people):
    lines, held = [], {}
    for number, (kind, document, identity, licence) in enumerate(people):
        lines.append(line_of(number, kind, document))
        for own in (key(number), f"E{number:06d}"):
            held |= {("identity", own): identity, ("licence", own): licence}
    expected = [slow_licence(*person) for person in people]
    assert columns(lines, held)["licence"] == expected


def test_columns_survive_the_way_through_a_file(tmp_path):
    listed = a_list([a_line(1), a_unit(2)])
    found = Asking(QUESTIONS, listed).assemble(answers()).columns
    write(found, listed, tmp_path / "v.parquet")
    read = read_columns(tmp_path / "v.parquet")
    assert {rule: column.tolist() for rule, column in read.items()} == {
        rule: column.tolist() for rule, column in found.items()
    }
    assert organisation(2) not in str(read)
