import random
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.identity.strategies import KNOWN, citizen, citizens, credit_codes, dirty, spelled_otherwise
from tongban.identity.columns import are_citizen_keys, citizen_keys, citizen_texts, names, text_keys
from tongban.identity.identifiers import Domain, IdentifierInvalid, normalise, normalise_name, unpack

KINDS = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]


def packed(raw: str | None) -> int | None:
    text = None if raw is None else normalise(Domain.CITIZEN, raw)
    return None if text is None else int(text[:17])


def tampered(count: int) -> list[str | None]:
    """Numbers as a real register holds them, each kind of dirt in it; the same ones at every run."""
    chance = random.Random(11643)
    made: list[str | None] = []
    for _ in range(count):
        born = f"{chance.randint(1895, 2030):04d}{chance.randint(0, 13):02d}{chance.randint(0, 32):02d}"
        text = citizen(f"{chance.randint(0, 999_999):06d}", born, f"{chance.randint(0, 999):03d}")
        way = chance.randint(0, 19)
        if way == 0:
            text = text[:6] + text[8:17]
        elif way == 1:
            text = chance.choice(["", " ", "无", text[:17], text + "0", text[:9] + "*" + text[10:]])
        elif way == 2:
            text = text.lower() + "  "
        elif way == 3:
            text = "".join(chr(ord(one) + 0xFEE0) for one in text)
        elif way == 4:
            text = text[:17] + chance.choice("0123456789Xx:/")
        made.append(None if way == 5 else text)
    return made


@given(st.lists(st.none() | dirty), st.sampled_from(KINDS))
@settings(max_examples=200)
def test_a_column_gets_the_keys_that_its_texts_get_one_by_one(texts, kind):
    keys = citizen_keys(pa.array(texts, pa.string()).cast(kind))
    assert keys.type == pa.int64()
    assert keys.to_pylist() == [packed(text) for text in texts]


@given(st.lists(st.none() | citizens() | st.text("0123456789", min_size=15, max_size=15)))
def test_a_clean_column_gets_the_keys_that_its_texts_get_one_by_one(texts):
    assert citizen_keys(pa.array(texts, pa.string())).to_pylist() == [packed(text) for text in texts]


def test_a_hundred_thousand_rows_of_a_dirty_register_agree_with_the_scalar_form():
    texts = tampered(100_000)
    keys = citizen_keys(pa.array(texts, pa.string()))
    assert keys.to_pylist() == [packed(text) for text in texts]
    assert 0.3 < keys.null_count / len(texts) < 0.7


def test_every_day_of_the_calendar_agrees_with_the_scalar_form():
    texts = [
        citizen("110105", f"{year:04d}{month:02d}{day:02d}", "002")
        for year in (0, 1, 1899, 1900, 1999, 2000, 2004, 2023, 2024, 2100, 9999)
        for month in (*range(14), 20, 99)
        for day in (*range(33), 40, 99)
    ]
    old = [f"{text[:6]}{text[8:17]}" for text in texts]
    for column in (texts, old):
        assert citizen_keys(pa.array(column)).to_pylist() == [packed(text) for text in column]


def test_every_last_character_agrees_with_the_scalar_form():
    texts = [KNOWN[:17] + chr(point) for point in range(1, 0x250)]
    assert citizen_keys(pa.array(texts)).to_pylist() == [packed(text) for text in texts]
    assert [text[17] for text in texts if packed(text)] == ["X", "x"]


def test_every_character_at_every_place_agrees_with_the_scalar_form():
    texts = [KNOWN[:place] + chr(point) + KNOWN[place + 1 :] for place in range(18) for point in range(1, 128)]
    old = [text[:6] + text[8:17] for text in texts]
    for column in (texts, old):
        assert citizen_keys(pa.array(column)).to_pylist() == [packed(text) for text in column]


def test_the_reserved_sequences_of_old_numbers_have_no_key():
    keys = citizen_keys(pa.array([f"110105491231{sequence}" for sequence in (995, 996, 999)]))
    assert keys.to_pylist() == [11010519491231995, None, None]


@pytest.mark.parametrize("start", [0, 1, 7])
def test_a_slice_of_a_column_gets_the_keys_of_its_own_rows(start):
    texts = tampered(60)
    part = pa.array(texts, pa.string()).slice(start, 40)
    assert citizen_keys(part).to_pylist() == [packed(text) for text in texts[start : start + 40]]
    clean = pa.array([citizen("110105", "19491231", f"{n:03d}") for n in range(50)])
    assert citizen_keys(clean.slice(start, 30)).to_pylist() == [
        packed(text) for text in clean.to_pylist()[start : start + 30]
    ]


def test_more_rows_than_one_slice_of_work_keep_their_order():
    texts = [citizen("110105", "19491231", f"{n % 1000:03d}") for n in range(40_000)]
    keys = citizen_keys(pa.array(texts)).to_numpy()
    assert np.array_equal(keys, 11010519491231000 + np.arange(40_000) % 1000)


def test_a_chunked_column_keeps_its_chunks():
    column = pa.chunked_array([pa.array([KNOWN, None]), pa.array([], pa.string()), pa.array(["x"])])
    keys = citizen_keys(column)
    assert isinstance(keys, pa.ChunkedArray)
    assert [len(chunk) for chunk in keys.chunks] == [2, 0, 1]
    assert keys.to_pylist() == [11010519491231002, None, None]


@pytest.mark.parametrize("work", [citizen_keys, names, lambda column: text_keys(Domain.CREDIT_CODE, column)])
def test_a_column_of_nothing_gets_nothing(work):
    assert work(pa.chunked_array([], pa.string())).to_pylist() == []
    assert work(pa.array([], pa.string())).to_pylist() == []
    assert work(pa.array([None, None], pa.string())).to_pylist() == [None, None]
    assert work(pa.nulls(2)).to_pylist() == [None, None]
    assert work(pa.array(["", None])).to_pylist() == [None, None]


@given(st.lists(st.none() | citizens()))
def test_unpacking_a_column_is_unpacking_its_keys(texts):
    keys = citizen_keys(pa.array(texts, pa.string()))
    assert (
        citizen_texts(keys).to_pylist() == texts == [None if key is None else unpack(key) for key in keys.to_pylist()]
    )


def test_unpacking_more_rows_than_one_slice_of_work_keeps_their_order():
    keys = 11010519491231000 + np.arange(40_000) % 1000
    texts = citizen_texts(pa.array(keys)).to_pylist()
    assert texts == [unpack(key) for key in keys.tolist()]


@pytest.mark.parametrize("key", [-1, 0, 10**17, 11010518991231002, 11010519000229002, 2**63 - 1, -(2**63)])
def test_a_column_with_a_key_that_packing_never_gives_does_not_unpack(key):
    with pytest.raises(IdentifierInvalid) as caught:
        citizen_texts(pa.array([11010519491231002, key]))
    assert str(key) not in str(caught.value)


@given(
    st.sampled_from(Domain), st.lists(st.none() | dirty | credit_codes() | credit_codes().flatmap(spelled_otherwise))
)
@settings(max_examples=200)
def test_a_column_gets_the_texts_that_it_gets_one_by_one(domain, texts):
    found = text_keys(domain, pa.array(texts, pa.string()))
    assert found.type == pa.string()
    assert found.to_pylist() == [None if text is None else normalise(domain, text) for text in texts]


def test_every_character_at_every_place_of_a_credit_code_agrees_with_the_scalar_form():
    known = "11100000000013338W"
    texts = [known[:place] + chr(point) + known[place + 1 :] for place in range(18) for point in range(1, 128)]
    expected = [normalise(Domain.CREDIT_CODE, text) for text in texts]
    assert text_keys(Domain.CREDIT_CODE, pa.array(texts)).to_pylist() == expected


def test_clean_and_dirty_codes_of_one_column_stay_in_their_rows():
    column = pa.array(["D2143569-X", None, "D2143569X", "D21435690", "d2143569x"])
    assert text_keys(Domain.ORGANISATION_CODE, column).to_pylist() == [
        "D2143569X",
        None,
        "D2143569X",
        None,
        "D2143569X",
    ]
    codes = pa.array(["11100000000013338w", "91110000600037341L", None, "91110000600037341M"])
    expected = ["11100000000013338W", "91110000600037341L", None, None]
    assert text_keys(Domain.CREDIT_CODE, codes).to_pylist() == expected


@given(
    st.lists(st.none() | st.text(max_size=8) | st.text("张三·.A a\u3000\u200b欧阳", max_size=6)), st.sampled_from(KINDS)
)
def test_a_column_gets_the_names_that_it_gets_one_by_one(texts, kind):
    found = names(pa.array(texts, pa.string()).cast(kind))
    assert found.to_pylist() == [None if text is None else normalise_name(text) or None for text in texts]


def test_every_character_of_the_basic_plane_agrees_with_the_scalar_form_of_names():
    texts = [chr(point) for point in range(1, 0x10000) if not 0xD800 <= point <= 0xDFFF]
    assert names(pa.array(texts)).to_pylist() == [normalise_name(text) or None for text in texts]


def test_a_name_of_blanks_is_no_name():
    assert names(pa.array(["", " ", "\u200b", "张三"])).to_pylist() == [None, None, None, "张三"]


born = st.dates(date(1850, 1, 1), date(2090, 12, 31)).map(lambda day: int(day.strftime("%Y%m%d")))
packed_keys = st.builds(lambda d, b, s: (d * 10**8 + b) * 1000 + s, st.integers(0, 10**6), born, st.integers(0, 999))


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | packed_keys, max_size=40), st.booleans())
def test_a_column_of_packed_keys_is_known_without_its_texts(keys, chunked):
    column = pa.array(keys, pa.int64())
    if chunked:
        half = len(keys) // 2
        column = pa.chunked_array([column.slice(0, half), column.slice(half)], pa.int64())
    assert are_citizen_keys(column) == all(key is not None and is_packed(key) for key in keys)


def is_packed(key):
    try:
        unpack(key)
    except IdentifierInvalid:
        return False
    return True


def test_one_bad_key_behind_many_good_ones_is_found():
    keys = 11010519491231000 + np.arange(40_000) % 1000
    assert are_citizen_keys(pa.array(keys))
    keys[-1] = 11010519491331000
    assert not are_citizen_keys(pa.array(keys))
