"""What is healable heals; what is not never becomes a good value, nor somebody else's."""

import unicodedata
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.demo import reader
from tests.demo.test_numbers import BODIES
from tongban.demo import numbers, spoiling
from tongban.identity.identifiers import Domain, nearby, normalise, normalise_name

LUCK = st.integers(0, (1 << 60) - 1)
CITIZENS = BODIES.map(lambda body: numbers.citizen_texts(np.array([body]))[0].as_py())
ORGANISATIONS = st.sampled_from(numbers.organisation_codes(500).to_pylist())
DOCUMENTS = st.sampled_from(
    [text for kind in (1, 2, 3, 4) for text in numbers.document_texts(np.full(50, kind, np.uint8)).to_pylist()]
)
NAMES = st.sampled_from(["王伟", "李秀英", "欧阳娜", "买买提·吐尔逊", "MUSTER ANNA"])
DAYS = st.dates(min_value=date(1950, 1, 1), max_value=date(2090, 1, 1)).map(lambda day: day.isoformat())
FEW = settings(max_examples=150)


@FEW
@given(CITIZENS, LUCK)
def test_another_spelling_of_a_citizen_number_is_the_same_number(text, luck):
    varied = spoiling.varied_citizen_number(text, luck)
    assert varied != text
    assert normalise(Domain.CITIZEN, varied) == text == reader.citizen(varied)


@FEW
@given(ORGANISATIONS, LUCK)
def test_another_spelling_of_an_organisation_code_is_the_same_code(text, luck):
    varied = spoiling.varied_organisation_code(text, luck)
    assert varied != text
    assert normalise(Domain.ORGANISATION_CODE, varied) == text == reader.organisation(varied)


@FEW
@given(DOCUMENTS, LUCK)
def test_another_spelling_of_a_document_is_the_same_document(text, luck):
    assert reader.document(spoiling.varied_document(text, luck)) == text


@FEW
@given(NAMES, LUCK)
def test_another_spelling_of_a_name_is_the_same_name(text, luck):
    varied = spoiling.varied_name(text, luck)
    assert varied != text
    assert normalise_name(varied) == normalise_name(text)
    assert reader.name_of(varied) == reader.name_of(text)


@FEW
@given(st.sampled_from(["正常", "C1", "2014-06-08", "-500", "2009-06", "110105"]), LUCK)
def test_another_spelling_of_a_value_is_the_same_value(text, luck):
    varied = spoiling.varied_text(text, luck)
    assert varied != text
    assert unicodedata.normalize("NFKC", varied).strip() == text


@settings(max_examples=400)
@given(CITIZENS, LUCK)
def test_a_mistyped_citizen_number_is_never_a_number_and_leads_back_to_its_own(text, luck):
    wrong = spoiling.mistyped_citizen_number(text, luck)
    assert normalise(Domain.CITIZEN, wrong) is None
    assert reader.citizen(wrong) is None
    assert int(text[:17]) in nearby(wrong)
    assert text in set(reader.neighbours(wrong))


@settings(max_examples=300)
@given(ORGANISATIONS, LUCK)
def test_a_mistyped_organisation_code_is_never_a_code(text, luck):
    wrong = spoiling.mistyped_organisation_code(text, luck)
    assert normalise(Domain.ORGANISATION_CODE, wrong) is None
    assert reader.organisation(wrong) is None


@FEW
@given(DOCUMENTS, LUCK)
def test_a_mistyped_document_is_a_document_of_no_kind(text, luck):
    wrong = spoiling.mistyped_document(text, luck)
    assert reader.document(wrong) is None
    assert all(normalise(domain, wrong) is None for domain in (Domain.PASSPORT, Domain.HMT_PERMIT))


@FEW
@given(NAMES, LUCK)
def test_a_miswritten_or_former_name_is_another_name(text, luck):
    for wrong in (spoiling.miswritten_name(text, luck), spoiling.renamed(text, luck)):
        assert normalise_name(wrong) != normalise_name(text)
        assert reader.name_of(wrong) != reader.name_of(text)


@FEW
@given(DAYS, LUCK)
def test_a_malformed_date_is_no_date_and_a_contradicting_one_is_another(text, luck):
    assert reader.real_day(unicodedata.normalize("NFKC", spoiling.malformed_day(text, luck)).strip()) is None
    assert reader.real_day("2014-06-08") is not None
    assert spoiling.another_day("2014-06-08", luck) != "2014-06-08"
    assert reader.real_day(spoiling.another_day("2014-06-08", luck)) is not None


@pytest.mark.parametrize(
    ("spoil", "column", "good"),
    [
        (spoiling.malformed_month, "month_from", "2014-05"),
        (spoiling.malformed_amount, "amount", "5000000"),
        (spoiling.malformed_amount, "amount", "-3"),
        (spoiling.unlisted_code, "status", "有效"),
    ],
)
def test_a_malformed_value_is_none(spoil, column, good):
    register = {"month_from": "social_insurance", "amount": "income_tax", "status": "residence_permit"}[column]
    assert reader.well_formed(register, column, good) is not None
    for luck in range(60):
        text = unicodedata.normalize("NFKC", spoil(good, luck)).strip()
        assert reader.well_formed(register, column, text) is None
