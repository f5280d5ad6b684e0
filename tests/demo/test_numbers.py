"""Identifiers of nobody: good in form and check, on ranges that nobody has issued."""

import csv
from datetime import date
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import ric

from tests.demo import reader
from tongban.demo import numbers
from tongban.demo.columns import EPOCH
from tongban.demo.people import _births
from tongban.demo.sizes import SIZES, world_on
from tongban.identity.identifiers import Domain, normalise

RNG = np.random.default_rng(1)
BODIES = st.builds(
    lambda prefix, year, day, sequence: int(f"{prefix}{year}{day}{sequence:03d}"),
    st.sampled_from(numbers.PREFIXES_HERE + numbers.PREFIXES_ELSEWHERE),
    st.integers(1920, 2013),
    st.sampled_from(["0101", "0228", "0630", "1231"]),
    st.integers(1, numbers.LAST_SEQUENCE),
)


def some_keys(count: int) -> np.ndarray:
    born = RNG.integers(-15_000, 15_000, count)
    prefixes = RNG.choice(np.array(numbers.PREFIXES_HERE + numbers.PREFIXES_ELSEWHERE), count)
    return numbers.allot(RNG, prefixes, born)


def test_the_example_of_the_standard_comes_out():
    assert numbers.citizen_texts(np.array([11010519491231002])).to_pylist() == ["11010519491231002X"]


@settings(max_examples=200)
@given(BODIES)
def test_a_check_character_is_the_one_two_other_implementations_compute(body):
    (text,) = numbers.citizen_texts(np.array([body])).to_pylist()
    assert text == str(body) + ric.calc_check_digit(text)
    assert normalise(Domain.CITIZEN, text) == text == reader.citizen(text)


def test_numbers_are_all_different_even_where_days_are_crowded():
    keys = numbers.allot(RNG, np.full(900, numbers.PREFIXES_HERE[0]), np.zeros(900, np.int64))
    assert np.unique(keys).size == 900
    assert set(keys // 1_000 % 10**8) == {19700101}


def test_more_people_than_a_day_has_numbers_are_refused_rather_than_looked_for_for_ever():
    with pytest.raises(ValueError, match="more people than numbers"):
        numbers.allot(RNG, np.full(996, numbers.PREFIXES_HERE[0]), np.zeros(996, np.int64))


@pytest.mark.parametrize("size", SIZES)
def test_in_no_size_of_city_are_a_day_s_births_more_than_its_numbers(size: str):
    measures, world = SIZES[size], world_on(date(2014, 6, 9))
    born = _births(RNG, RNG, world, measures.applications, measures.people)
    assert np.unique(born, return_counts=True)[1].max() < numbers.LAST_SEQUENCE * len(numbers.PREFIXES_HERE) / 2


def test_a_number_says_the_day_of_birth():
    days = np.array([-25_567, -1, 0, 11_016, 16_229])
    keys = numbers.allot(RNG, np.full(5, numbers.PREFIXES_HERE[0]), days)
    assert [str(key)[6:14] for key in keys] == ["19000101", "19691231", "19700101", "20000229", "20140608"]
    assert EPOCH == 719_163


def test_no_number_stands_on_a_division_that_was_ever_assigned():
    """Districts, counties, zones and county-level cities of GB/T 2260 lie below 95, those of 1101 below 80."""
    for prefix in numbers.PREFIXES_HERE:
        assert prefix // 100 == 1101
        assert prefix % 100 >= 80
    for prefix in numbers.PREFIXES_ELSEWHERE:
        assert prefix % 10_000 >= 195
        assert prefix % 10_000 <= 199


def test_no_number_stands_on_a_division_that_the_city_itself_uses():
    text = resources.files("tongban.demo").joinpath("divisions.csv").read_text("utf-8")
    used = {int(row["code"]) for row in csv.DictReader(text.splitlines())}
    assert not used & set(numbers.PREFIXES_HERE + numbers.PREFIXES_ELSEWHERE)


@settings(max_examples=100)
@given(BODIES)
def test_an_old_number_becomes_the_same_number_again(body):
    (text,) = numbers.citizen_texts(np.array([body])).to_pylist()
    old = numbers.old_form(text)
    assert (old is None) == (text[6:8] == "20")
    if old:
        assert len(old) == 15
        assert normalise(Domain.CITIZEN, old) == text == reader.citizen(old)


@pytest.mark.parametrize("number", ["110180201405170017", "110180194912319968"])
def test_an_old_number_does_not_exist_for_the_young_and_for_reserved_sequences(number):
    assert numbers.old_form(number) is None


def test_organisation_codes_are_good_and_all_different():
    codes = numbers.organisation_codes(5_000).to_pylist()
    assert len(set(codes)) == 5_000
    assert all(normalise(Domain.ORGANISATION_CODE, code) == code == reader.organisation(code) for code in codes)


def test_an_organisation_code_can_be_in_no_credit_code():
    (code,) = numbers.organisation_codes(1).to_pylist()
    assert code[0] not in "0123456789ABCDEFGHJKLMNPQRTUWXY"  # the alphabet of GB 32100


@pytest.mark.parametrize(
    ("kind", "domain"),
    [(1, Domain.HMT_PERMIT), (2, Domain.HMT_PERMIT), (3, Domain.PASSPORT), (4, Domain.FOREIGN_PERMIT)],
)
def test_documents_of_foreigners_are_good_and_all_different(kind, domain):
    texts = numbers.document_texts(np.full(2_000, kind, np.uint8)).to_pylist()
    assert len(set(texts)) == 2_000
    assert all(normalise(domain, text) == text == reader.document(text) for text in texts)


def test_plates_have_the_form_and_no_province():
    plates = numbers.plates(3_000).to_pylist()
    assert len(set(plates)) == 3_000
    assert all(len(plate) == 7 and plate[0] == "示" and not set("IO") & set(plate) for plate in plates)


def test_the_last_digit_of_the_sequence_tells_men_from_women():
    keys = some_keys(1_000)
    texts = numbers.citizen_texts(keys).to_pylist()
    assert [int(text[16]) % 2 == 1 for text in texts] == numbers.is_male(keys).tolist()
