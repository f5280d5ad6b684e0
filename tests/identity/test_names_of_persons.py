import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongban.identity.identifiers import normalise_name

ONE = "阿卜杜拉·买买提"


@pytest.mark.parametrize("dot", "·•‧・･．.")
def test_every_middle_dot_is_one_dot(dot):
    assert normalise_name(f"阿卜杜拉{dot}买买提") == ONE


@pytest.mark.parametrize("other", [",", "-", "。", "、", "*"])
def test_other_marks_are_no_middle_dots(other):
    assert normalise_name(f"阿卜杜拉{other}买买提") != ONE


@pytest.mark.parametrize(
    "raw", ["张 三", "张\u3000三", "\ufeff张三", "张\u200b三", "张\u200c三", "张\u200d三 ", "\t张三\n"]
)
def test_blanks_in_a_name_do_not_count(raw):
    assert normalise_name(raw) == "张三"


def test_latin_letters_are_written_large_and_full_width_ones_plain():
    assert normalise_name("Ｌｉ ming.Ö") == "LIMING·Ö"


def test_a_compatibility_ideograph_is_the_plain_one():
    assert normalise_name("\uf9e1明") == "\u674e明"  # 李, once more, for round trips with KS X 1001


def test_letters_that_meet_when_a_blank_goes_are_composed():
    assert normalise_name("e\u200b\u0301") == "É"


def test_two_different_names_stay_different():
    assert normalise_name("张三") != normalise_name("张叁")


def test_of_a_name_of_blanks_nothing_is_left():
    assert normalise_name(" \u3000\u200b") == ""


@given(st.text(max_size=20))
def test_a_normalised_name_is_its_own_normal_form(raw):
    once = normalise_name(raw)
    assert normalise_name(once) == once


def test_no_single_character_needs_a_second_pass():
    characters = [chr(point) for point in range(0x20000) if not 0xD800 <= point <= 0xDFFF]
    assert [one for one in characters if normalise_name(once := normalise_name(one)) != once] == []
