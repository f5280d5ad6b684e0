import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from tests.identity.strategies import KNOWN, citizen, citizens, dirty, spelled_otherwise
from tongban.identity.identifiers import (
    Domain,
    IdentifierInvalid,
    citizen_check,
    nearby,
    normalise,
    pack,
    refusal,
    unpack,
)


def code(raw: str) -> str | None:
    refused = refusal(Domain.CITIZEN, raw)
    return refused and refused.code


def holds_by_the_book(text: str) -> bool:
    """GB 11643 once more, with python-stdnum's check digit and birth date."""
    if len(text) != 18 or not text.isascii() or not text[:17].isdigit() or text[17] not in "0123456789X":
        return False
    try:
        born = ric.get_birth_date(text)
    except (ValidationError, ValueError):
        return False
    return born.year >= 1900 and text[17] == ric.calc_check_digit(text)


def test_the_number_printed_in_the_standard_is_valid():
    assert normalise(Domain.CITIZEN, KNOWN) == KNOWN
    assert refusal(Domain.CITIZEN, KNOWN) is None


@given(citizens())
def test_a_number_with_its_check_digit_is_its_own_normal_form(text):
    assert normalise(Domain.CITIZEN, text) == text


@given(dirty)
def test_what_is_accepted_is_valid_by_an_independent_reading_of_the_standard(raw):
    found = normalise(Domain.CITIZEN, raw)
    assert found is None or holds_by_the_book(found)


@given(st.text("0123456789X", min_size=17, max_size=19))
def test_what_is_refused_is_invalid_by_an_independent_reading_of_the_standard(text):
    assert (normalise(Domain.CITIZEN, text) is not None) == holds_by_the_book(text)


@given(st.integers(0, 10**17 - 1))
def test_the_check_digit_is_the_one_of_python_stdnum(body):
    text = f"{body:017d}"
    assert citizen_check(text) == ric.calc_check_digit(text + "0")


@given(citizens(), st.sampled_from("0123456789X"))
def test_exactly_one_eighteenth_character_is_right(text, last):
    wrong = text[:17] + last
    assert code(wrong) == (None if last == text[17] else "identity.wrong_check_character")


@given(citizens().flatmap(lambda text: st.tuples(st.just(text), spelled_otherwise(text))))
def test_blanks_full_width_and_small_letters_do_not_make_another_person(pair):
    text, other = pair
    assert normalise(Domain.CITIZEN, other) == text


@pytest.mark.parametrize(
    "space",
    [
        " ",
        "\t",
        "\n",
        "\r",
        "\x0b",
        "\x0c",
        "\x85",
        "\xa0",
        "\u2003",
        "\u2028",
        "\u3000",
        "\u200b",
        "\u200c",
        "\u200d",
        "\ufeff",
    ],
)
def test_every_kind_of_blank_is_ignored_before_within_and_after(space):
    assert normalise(Domain.CITIZEN, f"{space}{KNOWN[:6]}{space}{KNOWN[6:]}{space}") == KNOWN


@pytest.mark.parametrize("strange", ["\u200a1", "\u200e", "\u2060", "\u00ad", "-", ".", "\u0661"])
def test_other_characters_are_not_ignored(strange):
    assert normalise(Domain.CITIZEN, KNOWN[:6] + strange + KNOWN[6:]) is None


@pytest.mark.parametrize(
    ("raw", "refused"),
    [
        ("", "identity.wrong_length"),
        ("\u3000", "identity.wrong_length"),
        (KNOWN[:14], "identity.wrong_length"),
        (KNOWN[:16], "identity.wrong_length"),
        (KNOWN[:17], "identity.wrong_length"),
        (KNOWN + "0", "identity.wrong_length"),
        ("1101051949123100O" + "X", "identity.wrong_characters"),
        ("X" + KNOWN[1:], "identity.wrong_characters"),
        (KNOWN[:16] + "X" + KNOWN[17], "identity.wrong_characters"),
        (KNOWN[:17] + "A", "identity.wrong_characters"),
        (KNOWN[:17] + "\u0661", "identity.wrong_characters"),
        ("\u0661" * 18, "identity.wrong_characters"),
        (KNOWN[:14] + "x", "identity.wrong_characters"),
        (KNOWN[:17] + "0", "identity.wrong_check_character"),
    ],
)
def test_a_text_that_is_no_number_is_refused_with_its_reason(raw, refused):
    assert code(raw) == refused


@pytest.mark.parametrize(
    ("born", "refused"),
    [
        ("19000101", None),
        ("18991231", "identity.born_before_1900"),
        ("00010101", "identity.born_before_1900"),
        ("00000101", "identity.no_such_date"),
        ("99991231", None),
        ("20000229", None),
        ("19000229", "identity.no_such_date"),
        ("21000229", "identity.no_such_date"),
        ("20040229", None),
        ("20050229", "identity.no_such_date"),
        ("20050228", None),
        ("20050131", None),
        ("20050132", "identity.no_such_date"),
        ("20050100", "identity.no_such_date"),
        ("20050101", None),
        ("20050001", "identity.no_such_date"),
        ("20051201", None),
        ("20051301", "identity.no_such_date"),
        ("20050430", None),
        ("20050431", "identity.no_such_date"),
        ("20051231", None),
    ],
)
def test_the_birth_date_is_a_day_of_the_calendar_from_1900_on(born, refused):
    assert code(citizen("110105", born, "002")) == refused


@given(citizens().filter(lambda text: text[6:8] == "19" and int(text[14:17]) < 996))
def test_an_old_number_of_15_digits_is_the_same_person_as_the_long_one(text):
    assert normalise(Domain.CITIZEN, text[:6] + text[8:17]) == text


@pytest.mark.parametrize("sequence", ["000", "001", "995"])
def test_an_old_number_below_the_reserved_sequences_is_valid(sequence):
    assert normalise(Domain.CITIZEN, "110105491231" + sequence) == citizen("110105", "19491231", sequence)


@pytest.mark.parametrize("sequence", ["996", "997", "998", "999"])
def test_an_old_number_with_a_reserved_sequence_is_refused_but_a_long_one_is_not(sequence):
    assert code("110105491231" + sequence) == "identity.reserved_sequence"
    assert code(citizen("110105", "19491231", sequence)) is None


@pytest.mark.parametrize(("born", "refused"), [("000101", None), ("000229", "identity.no_such_date"), ("991231", None)])
def test_an_old_number_is_of_the_twentieth_century(born, refused):
    assert code(f"110105{born}002") == refused


def test_a_refusal_does_not_repeat_the_number():
    for raw in (KNOWN[:17], KNOWN[:17] + "0", KNOWN + "1", "110105491231999"):
        refused = refusal(Domain.CITIZEN, raw)
        assert refused is not None
        assert raw not in refused.reason


@given(citizens())
def test_packing_keeps_17_digits_and_unpacking_gives_the_number_back(text):
    assert pack(text) == int(text[:17])
    assert unpack(pack(text)) == text


def test_a_division_that_begins_with_zero_survives_packing():
    text = citizen("000001", "19491231", "002")
    assert unpack(pack(text)) == text


@given(citizens(), citizens())
def test_two_numbers_pack_to_one_key_only_if_they_are_one(one, other):
    assert (pack(one) == pack(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (KNOWN[:17] + "0", "the check character does not agree with the rest"),
        (KNOWN[:17], "the identifier has another number of characters"),
        ("", "the identifier has another number of characters"),
        (" " + KNOWN, "the identifier has another number of characters"),
        (KNOWN.lower(), "the identifier holds characters that it cannot have"),
        ("110105491231002", "it is not in the form of 18 characters"),
    ],
)
def test_only_a_normalised_number_packs(text, why):
    with pytest.raises(IdentifierInvalid) as caught:
        pack(text)
    assert caught.value.code == "identity.identifier_invalid"
    assert caught.value.facts == {"domain": Domain.CITIZEN, "why": why}
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (-1, "the packed key has another number of digits"),
        (-100019491231002, "the packed key has another number of digits"),
        (10**17, "the packed key has another number of digits"),
        (110105194912310021, "the packed key has another number of digits"),
        (0, "the birth date in the number is not a day of the calendar"),
        (11010519000229002, "the birth date in the number is not a day of the calendar"),
        (11010518991231002, "the birth date in the number lies before 1900"),
    ],
)
def test_what_packing_never_gives_does_not_unpack(key, why):
    with pytest.raises(IdentifierInvalid) as caught:
        unpack(key)
    assert caught.value.facts == {"domain": Domain.CITIZEN, "why": why}
    assert len(str(key)) < 3 or str(key) not in str(caught.value)


def test_the_first_and_the_last_key_unpack():
    assert unpack(19000101000)[:17] == "00000019000101000"
    assert unpack(99999999991231999)[:17] == "99999999991231999"


def slips(one: str, other: str) -> int:
    """Optimal string alignment distance (Damerau 1964), by the table."""
    table = [[i + j if i * j == 0 else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            cost = one[i - 1] != other[j - 1]
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + cost)
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


@st.composite
def slipped(draw):
    """A valid number and what became of it after one slip."""
    text = draw(citizens())
    place = draw(st.integers(0, 17))
    character = draw(st.sampled_from("0123456789XOIL*"))
    return text, draw(
        st.sampled_from(
            [
                text[:place] + character + text[place + 1 :],
                text[:place] + character + text[place:],
                text + character,
                text[:place] + text[place + 1 :],
                text[:place] + text[place : place + 2][::-1] + text[place + 2 :],
            ]
        )
    )


@given(slipped())
@settings(max_examples=300)
def test_a_number_with_one_slip_has_the_person_meant_among_those_nearby(pair):
    text, wrong = pair
    if normalise(Domain.CITIZEN, wrong) is None:
        assert pack(text) in nearby(wrong)


@given(slipped())
@settings(max_examples=50)
def test_everybody_nearby_is_valid_and_one_slip_away(pair):
    _, wrong = pair
    found = nearby(wrong)
    assert len(found) <= 300
    assert all(slips(wrong, unpack(key)) == 1 for key in found)


@given(citizens())
def test_nobody_is_near_a_valid_number(text):
    assert nearby(text) == set()
    assert nearby(f" {text.lower()} ") == set()


def test_the_people_near_one_wrong_number_are_these():
    # By hand: the weighted sum of 11010519491231002 is 167, of rest 2; each digit may move it back to agree with "0".
    wrong = "110105194912310020"
    by_hand = {
        int(f"{key:017d}")
        for place in range(17)
        for digit in "0123456789"
        if holds_by_the_book(f"{(key := int(wrong[:place] + digit + wrong[place + 1 : 17])):017d}0")
    }
    exchanged = {
        int(t[:17]) for i in range(17) if holds_by_the_book(t := wrong[:i] + wrong[i + 1] + wrong[i] + wrong[i + 2 :])
    }
    assert nearby(wrong) == by_hand | exchanged | {11010519491231002}


@pytest.mark.parametrize("length", [0, 1, 14, 15, 16, 20, 21, 40])
def test_nobody_is_near_a_text_of_another_length(length):
    assert nearby(("1" + KNOWN * 3)[:length]) == set()


@pytest.mark.parametrize(
    "wrong", [KNOWN[:17], KNOWN[1:], KNOWN + "X", "1" + KNOWN, KNOWN[:17] + "0", KNOWN[:5] + "O" + KNOWN[6:]]
)
def test_a_missing_a_doubled_and_a_misread_character_lead_back_to_the_number(wrong):
    assert pack(KNOWN) in nearby(f" {wrong.lower()}")
