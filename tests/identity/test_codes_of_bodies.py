"""Credit codes, organisation codes and the identifiers without check characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import uscc

from tests.identity.strategies import CREDIT_ALPHABET, credit_codes, spelled_otherwise
from tongban.identity.identifiers import Domain, credit_check, normalise, organisation_check, refusal

KNOWN = "11100000000013338W"


def code(domain: Domain, raw: str) -> str | None:
    refused = refusal(domain, raw)
    return refused and refused.code


@pytest.mark.parametrize("text", [KNOWN, "91110000600037341L", "91330100799655058B"])
def test_published_credit_codes_are_valid(text):
    assert normalise(Domain.CREDIT_CODE, text) == text


@given(credit_codes())
def test_a_credit_code_of_python_stdnum_is_valid(text):
    assert normalise(Domain.CREDIT_CODE, text) == text


@given(st.text(CREDIT_ALPHABET + "IOSVZ-", min_size=17, max_size=19))
def test_whatever_python_stdnum_accepts_we_accept(text):
    if "-" not in text:
        assert (normalise(Domain.CREDIT_CODE, text) is not None) >= uscc.is_valid(text)


@given(credit_codes(), st.sampled_from(CREDIT_ALPHABET))
def test_exactly_one_last_character_of_a_credit_code_is_right(text, last):
    wrong = text[:17] + last
    assert code(Domain.CREDIT_CODE, wrong) == (None if last == text[17] else "identity.wrong_check_character")


@given(st.text(CREDIT_ALPHABET, min_size=17, max_size=17))
def test_the_check_character_of_a_credit_code_is_the_one_of_python_stdnum(body):
    assert credit_check(body) == uscc.calc_check_digit(body)


@given(credit_codes().flatmap(lambda text: st.tuples(st.just(text), spelled_otherwise(text))))
def test_a_credit_code_spelled_otherwise_is_the_same(pair):
    assert normalise(Domain.CREDIT_CODE, pair[1]) == pair[0]


@pytest.mark.parametrize("first", ["A1", "N1", "N2", "Y1", "5A", "G1"])
def test_registering_bodies_with_letters_are_known(first):
    body = first + "110000" + "600037341"
    assert code(Domain.CREDIT_CODE, body + credit_check(body)) is None


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("", "identity.wrong_length"),
        (KNOWN[:17], "identity.wrong_length"),
        (KNOWN + "0", "identity.wrong_length"),
        (KNOWN.replace("3", "O", 1), "identity.wrong_characters"),
        ("I" + KNOWN[1:], "identity.wrong_characters"),
        ("1Z" + KNOWN[2:], "identity.wrong_characters"),
        (KNOWN[:2] + "A" + KNOWN[3:], "identity.wrong_characters"),
        (KNOWN[:7] + "A" + KNOWN[8:], "identity.wrong_characters"),
        (KNOWN[:8] + "A" + KNOWN[9:], "identity.wrong_check_character"),
        (KNOWN[:17] + "S", "identity.wrong_characters"),
        ("111000000000-13338W", "identity.wrong_length"),
        (KNOWN[:17] + "X", "identity.wrong_check_character"),
    ],
)
def test_what_is_no_credit_code_is_refused_with_its_reason(text, refused):
    assert code(Domain.CREDIT_CODE, text) == refused


#: Sums worked out on paper with the weights 3 7 9 10 5 8 4 2 (GB 11714).
BY_HAND = [
    ("D2143569", "X"),  # 39+14+9+40+15+40+24+18 = 199, rest 1: 10, written X
    ("00001333", "8"),  # 0+0+0+0+5+24+12+6 = 47, rest 3: 8
    ("00000000", "0"),  # 0, rest 0: 11, written 0
    ("10000000", "8"),  # 3: 8
    ("00000001", "9"),  # 2: 9
    ("00000005", "1"),  # 10: 1
    ("A0000000", "3"),  # 30, rest 8: 3
    ("Z0000000", "5"),  # 105, rest 6: 5
    ("79965505", "8"),  # 21+63+81+60+25+40+0+10 = 300, rest 3: 8
]


@pytest.mark.parametrize(("body", "last"), BY_HAND)
def test_the_check_character_of_an_organisation_code_is_the_one_worked_out_by_hand(body, last):
    assert organisation_check(body) == last
    assert normalise(Domain.ORGANISATION_CODE, body + last) == body + last


@pytest.mark.parametrize("place", range(8))
def test_every_place_of_an_organisation_code_has_its_own_weight(place):
    weight = (3, 7, 9, 10, 5, 8, 4, 2)[place]
    body = "0" * place + "1" + "0" * (7 - place)
    assert organisation_check(body) == {10: "X", 11: "0"}.get(11 - weight % 11, str(11 - weight % 11))


@pytest.mark.parametrize("body", ["", "0000000", "000000000"])
def test_a_check_character_is_not_computed_for_another_number_of_characters(body):
    with pytest.raises(ValueError, match="zip"):
        organisation_check(body)
    with pytest.raises(ValueError, match="zip"):
        credit_check(body + "0" * 9)


@pytest.mark.parametrize(
    "raw", ["D2143569-X", "d2143569-x", "D 2143569 X", "Ｄ２１４３５６９－Ｘ", "D-2143569-X", "D2143569X"]
)
def test_an_organisation_code_is_the_same_with_and_without_its_hyphen(raw):
    assert normalise(Domain.ORGANISATION_CODE, raw) == "D2143569X"


@pytest.mark.parametrize(
    ("raw", "refused"),
    [
        ("", "identity.wrong_length"),
        ("-", "identity.wrong_length"),
        ("D2143569", "identity.wrong_length"),
        ("D2143569X0", "identity.wrong_length"),
        ("D2143569Y", "identity.wrong_characters"),
        ("D21435_9X", "identity.wrong_characters"),
        ("D214356é9", "identity.wrong_characters"),
        ("D21435690", "identity.wrong_check_character"),
    ],
)
def test_what_is_no_organisation_code_is_refused_with_its_reason(raw, refused):
    assert code(Domain.ORGANISATION_CODE, raw) == refused


def credit_code_of(organisation: str, head: str = "91110199") -> str:
    return head + organisation + credit_check(head + organisation)


@pytest.mark.parametrize("raw", ["{}", " {} ", "{}\u3000"])
@pytest.mark.parametrize("organisation", ["D2143569X", "400001002", "Y0000000" + organisation_check("Y0000000")])
def test_a_credit_code_is_read_as_the_organisation_code_that_it_holds(raw, organisation):
    whole = credit_code_of(organisation)
    assert normalise(Domain.ORGANISATION_CODE, raw.format(whole)) == organisation
    assert normalise(Domain.ORGANISATION_CODE, whole.lower()) == organisation
    assert normalise(Domain.ORGANISATION_CODE, f"{whole[:8]}-{whole[8:]}") == organisation
    assert normalise(Domain.CREDIT_CODE, whole) == whole


@pytest.mark.parametrize("place", range(18))
def test_a_slip_anywhere_in_a_credit_code_leads_to_no_organisation_code(place):
    whole = credit_code_of("D2143569X")
    others = [whole[:place] + digit + whole[place + 1 :] for digit in "0123456789X" if digit != whole[place]]
    assert {normalise(Domain.ORGANISATION_CODE, other) for other in others} == {None}


@pytest.mark.parametrize(
    ("organisation", "refused"),
    [
        ("D21435690", "identity.wrong_check_character"),
        ("D2143569Y", "identity.wrong_characters"),
        ("Z00000005", "identity.wrong_characters"),
    ],
)
def test_a_credit_code_around_no_organisation_code_is_refused(organisation, refused):
    body = "91110199" + organisation
    whole = body + (credit_check(body) if "Z" not in body else "0")
    assert code(Domain.ORGANISATION_CODE, whole) == refused


@pytest.mark.parametrize(
    ("domain", "raw", "normal"),
    [
        (Domain.PASSPORT, "g 1234567", "G1234567"),
        (Domain.PASSPORT, "E1234", "E1234"),
        (Domain.PASSPORT, "1" * 18, "1" * 18),
        (Domain.PASSPORT, "E123", None),
        (Domain.PASSPORT, "1" * 19, None),
        (Domain.PASSPORT, "E1234-5", None),
        (Domain.PASSPORT, "E1234É", None),
        (Domain.PASSPORT, "", None),
        (Domain.HMT_PERMIT, "h12345678", "H12345678"),
        (Domain.HMT_PERMIT, "12345678", "12345678"),
        (Domain.HMT_PERMIT, "1234", None),
        (Domain.HMT_PERMIT, "12345678(B)", None),
        (Domain.FOREIGN_PERMIT, "usa110000000000", "USA110000000000"),
        (Domain.FOREIGN_PERMIT, "USA1100000000000000", None),
        (Domain.FOREIGN_PERMIT, "", None),
        (Domain.MILITARY_ID, "军字第 2001988 号", "军字第2001988号"),
        (Domain.MILITARY_ID, "武字第一二三号", None),
        (Domain.MILITARY_ID, "字12", None),
        (Domain.MILITARY_ID, "字123", "字123"),
        (Domain.MILITARY_ID, "1" * 30, "1" * 30),
        (Domain.MILITARY_ID, "1" * 31, None),
        (Domain.MILITARY_ID, "军字第(2001988)号", None),
    ],
)
def test_identifiers_without_a_check_character_are_held_to_their_form(domain, raw, normal):
    assert normalise(domain, raw) == normal
    assert (refusal(domain, raw) is None) == (normal is not None)


@given(st.sampled_from(Domain), st.text(max_size=40))
def test_normalising_twice_changes_nothing(domain, raw):
    once = normalise(domain, raw)
    assert once is None or normalise(domain, once) == once


def test_the_domains_are_those_of_the_protocol():
    assert [str(domain) for domain in Domain] == [
        "citizen",
        "credit_code",
        "organisation_code",
        "passport",
        "hmt_permit",
        "foreign_permit",
        "military_id",
    ]
