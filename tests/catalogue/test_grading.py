import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongban.catalogue.grading import Grade, Mask, Rank, apply_mask, read_grade
from tongban.catalogue.reading import EntryInvalid


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("core", Grade(Rank.CORE)),
        ("important", Grade(Rank.IMPORTANT)),
        ("general", Grade(Rank.GENERAL)),
        ("general-1", Grade(Rank.GENERAL, 1)),
        ("general-4", Grade(Rank.GENERAL, 4)),
        ("general-3-sensitive", Grade(Rank.GENERAL, 3, True)),
        ("important-sensitive", Grade(Rank.IMPORTANT, None, True)),
    ],
)
def test_a_grade_is_read_and_written_alike(text, grade):
    assert read_grade(text) == grade
    assert str(grade) == text


@pytest.mark.parametrize(
    "text", ["", "secret", "general-0", "general-5", "core-1", "general-", "Core", "core ", "sensitive"]
)
def test_what_is_no_grade_is_refused(text):
    with pytest.raises(EntryInvalid):
        read_grade(text)


@pytest.mark.parametrize(
    ("mask", "value", "left"),
    [
        (Mask.NAME, "张三", "张*"),
        (Mask.NAME, "欧阳修远", "欧*"),
        (Mask.NAME, "张", "***"),
        (Mask.NAME, "", "***"),
        (Mask.ID, "11010519491231002X", "110105********002X"),
        (Mask.ID, "110105491231002", "110105*****1002"),
        (Mask.ID, "11010549123100", "***"),
        (Mask.ID, "1101054912310021", "***"),
        (Mask.ID, "11010519491231002", "***"),
        (Mask.ID, "11010519491231002XX", "***"),
        (Mask.ID, "G1234567", "***"),
        (Mask.PHONE, "13800138000", "138****8000"),
        (Mask.PHONE, "1380013800", "***"),
        (Mask.PHONE, "138001380000", "***"),
        (Mask.WHOLE, "未婚", "***"),
        (Mask.WHOLE, "", "***"),
    ],
)
def test_a_mask_leaves_what_the_table_says(mask, value, left):
    assert apply_mask(mask, value) == left


def test_masks_are_known_by_their_names_in_the_directory():
    assert [str(mask) for mask in Mask] == ["name", "id", "phone", "whole"]
    assert apply_mask("name", "张三") == "张*"


@given(st.sampled_from(Mask), st.integers() | st.booleans() | st.floats() | st.binary() | st.lists(st.text()))
def test_what_is_no_text_is_hidden_whole(mask, value):
    assert apply_mask(mask, value) == "***"


@given(st.text(max_size=8).filter(lambda name: name not in set(Mask)), st.text())
def test_a_mask_that_nobody_knows_hides_everything(mask, value):
    assert apply_mask(mask, value) == "***"


@pytest.mark.parametrize("mask", Mask)
def test_that_there_is_no_value_is_not_hidden(mask):
    assert apply_mask(mask, None) is None


@given(st.sampled_from(Mask), st.text(alphabet="0123456789XG张三", min_size=1, max_size=30))
def test_no_mask_leaves_more_than_ten_characters_or_the_whole_value(mask, value):
    left = apply_mask(mask, value)
    assert left != value
    assert len(left.replace("*", "")) <= min(10, len(value) - 1)
