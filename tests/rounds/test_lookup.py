import time

import pytest

from tests.rounds.world import (
    NOT_MET,
    REVEALS,
    a_line,
    a_unit,
    citizen,
    code,
    decided,
    freeze_it,
    opened,
    organisation,
    receipts,
)
from tongban.rounds.draw import draw
from tongban.rounds.folder import OutOfOrder
from tongban.rounds.lookup import NOT_FOUND, ResultBook

LICENCE_NO = NOT_MET | 1
HELD = {("licence", int(citizen(1)[:17])): LICENCE_NO}
LINES = [a_line(1), a_line(2), a_line(3, document_number="123"), a_line(4, document_number=None), a_unit(5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return decided(tmp_path_factory.mktemp("round") / "r", LINES, HELD)


@pytest.fixture(scope="module")
def book(folder):
    return ResultBook(folder)


def test_code_and_number_together_show_the_reasons(book):
    found = book.reasons(code(1), citizen(1))
    assert (found.status, found.rule, found.reason) == ("not_eligible", "licence", "licence_no")
    assert found.verdicts == {"identity": ("met", None), "licence": ("not_met", "licence_no")}


@pytest.mark.parametrize(
    ("application", "document"),
    [
        (code(1), citizen(2)),  # both exist, but not together
        (code(2), citizen(1)),
        (code(1), ""),
        (code(1), "123"),
        ("", citizen(1)),
        ("9", citizen(1)),
        (code(99), citizen(1)),  # beyond the last code
        ("0000000000000", citizen(1)),  # before the first
        ("９", citizen(1)),
        (citizen(1), citizen(1)),
        (code(4), ""),  # who gave no number is not found without one
        (code(4), "None"),
        ("", ""),
    ],
)
def test_anything_else_gets_one_and_the_same_answer(book, application, document):
    assert book.reasons(application, document) is NOT_FOUND


def test_the_answer_to_a_wrong_pair_names_nothing(book):
    assert citizen(2) not in NOT_FOUND.reason
    assert book.reasons(code(1), citizen(2)) is book.reasons(code(77), "x")


@pytest.mark.parametrize("spelling", [citizen(1), f" {citizen(1)} ", citizen(1)[:6] + citizen(1)[8:17]])
def test_a_number_may_be_spelled_as_people_do(book, spelling):
    assert book.reasons(code(1), spelling).status == "not_eligible"


def test_somebody_whose_number_is_bad_finds_her_application_by_what_she_typed(book):
    assert book.reasons(code(3), "123").reason == "bad_identifier"


def test_a_unit_is_found_by_its_organisation_code_with_or_without_hyphen(book):
    own = organisation(5)
    assert book.reasons(code(5), f"{own[:8]}-{own[8]}").status == "eligible"


def test_a_wrong_pair_costs_the_same_work_as_a_right_one(book, monkeypatch):
    steps = []
    read = ResultBook._read
    monkeypatch.setattr(ResultBook, "_read", lambda self, row: steps.append(row) or read(self, row))
    for pair in ((code(1), citizen(1)), (code(1), citizen(2)), (code(99), citizen(1)), ("", "")):
        book.reasons(*pair)
    assert len(steps) == 4


def test_a_book_cannot_be_opened_before_there_are_findings(tmp_path):
    with pytest.raises(OutOfOrder):
        ResultBook(opened(tmp_path / "r", [a_line(1)]))


def test_the_book_of_an_empty_round_finds_nobody(tmp_path):
    assert ResultBook(decided(tmp_path / "r", [])).reasons(code(1), citizen(1)) is NOT_FOUND


def test_an_applicant_is_told_her_draw_code_and_her_rank_and_nobody_elses(tmp_path):
    drawn = decided(tmp_path / "r", [a_line(1), a_line(2, failed_draws=30)], HELD)
    assert ResultBook(drawn).reasons(code(2), citizen(2)).code is None
    freeze_it(drawn)
    assert ResultBook(drawn).reasons(code(2), citizen(2)).balls == 2
    draw(drawn, REVEALS, receipts(drawn))
    book = ResultBook(drawn)
    winner, other = book.reasons(code(2), citizen(2)), book.reasons(code(1), citizen(1))
    assert (len(winner.code), winner.rank) == (16, 1)
    assert (other.code, other.balls, other.rank) == (None, None, None)


def test_looking_up_takes_no_noticeable_time(book):
    begun = time.process_time()
    for _ in range(50):
        book.reasons(code(1), citizen(1))
    assert (time.process_time() - begun) / 50 < 0.05
