"""Identifiers to draw from. Check characters come from python-stdnum, not from the code under test."""

from datetime import date

from hypothesis import strategies as st
from stdnum.cn import ric, uscc

KNOWN = "11010519491231002X"
CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"

births = st.dates(min_value=date(1900, 1, 1), max_value=date(2199, 12, 31))
divisions = st.integers(0, 999_999).map("{:06d}".format)
sequences = st.integers(0, 999).map("{:03d}".format)


def citizen(division: str, born: str, sequence: str) -> str:
    body = division + born + sequence
    return body + ric.calc_check_digit(body + "0")


def citizens() -> st.SearchStrategy[str]:
    return st.builds(
        lambda division, born, sequence: citizen(division, f"{born:%Y%m%d}", sequence), divisions, births, sequences
    )


def credit_codes() -> st.SearchStrategy[str]:
    code = st.text(CREDIT_ALPHABET, min_size=9, max_size=9)
    body = st.builds(
        lambda kind, place, rest: kind + place + rest, st.sampled_from(["11", "91", "92"]), divisions, code
    )
    return body.map(lambda text: text + uscc.calc_check_digit(text))


#: What registers put around and between the characters; all of it is to be ignored.
unseen = st.sampled_from(["", " ", "\t", "\u3000", "\u00a0", "\u2009", "\u200b", "\u200c", "\u200d", "\ufeff", "\n"])


def spelled_otherwise(text: str) -> st.SearchStrategy[str]:
    """The same identifier with blanks, in full-width characters, in small letters."""

    def character(one: str) -> st.SearchStrategy[str]:
        wide = chr(ord(one) + 0xFEE0)
        return st.tuples(unseen, st.sampled_from([one, one.lower(), wide, wide.lower()])).map("".join)

    return st.tuples(*map(character, text), unseen).map("".join)


#: Texts near the border between valid and not, and some far from it.
dirty = st.one_of(
    citizens(),
    citizens().flatmap(spelled_otherwise),
    citizens().map(lambda text: text[:6] + text[8:17]),
    citizens().map(lambda text: text[:-1] + "0"),
    citizens().map(lambda text: text[:6] + "1900" + text[10:]),
    st.text("0123456789xX ", min_size=14, max_size=20),
    st.text(max_size=20),
)
