"""Identifiers of nobody: right in form and check character, on ranges that no office has issued.

The check characters are computed here anew, and not by the identity room, so that a slip of one
shows against the other.

Citizen numbers (GB 11643)
    Division codes whose county part no revision of GB/T 2260 has assigned: 110180–110199 for people
    from here, xx0195–xx0199 of other provinces for the rest (districts go up to about 20, counties
    up to about 60, statistical zones 71–79, county-level cities 81 up to about 90).
    A first digit of 9 or 8 would not do: permits of foreigners and of Hong Kong, Macao and Taiwan
    residents have numbers of the same form there.
Organisation codes (GB 11714)
    "Z" and seven digits: GB 32100 has no letter Z, so that no credit code can hold such a body.
Credit codes (GB 32100)
    The division 110199, which nobody has assigned, around an organisation code of "Y" and seven digits.
Passports, permits
    Passports ZZ… (a state code that ISO 3166 keeps for users); travel permits above 97 millions,
    more than Hong Kong, Macao and Taiwan together have people; residence cards ZZZ….
Plates
    The form of a plate with 示 (for 示例, "example") for the province.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongban.demo.columns import Bytes, Flags, Ints, digits_of, fixed_texts

PREFIXES_HERE = tuple(range(110180, 110200))
PREFIXES_ELSEWHERE = tuple(
    province * 10_000 + 100 + county
    for province in (13, 14, 15, 21, 23, 32, 34, 37, 41, 42, 51, 61)
    for county in range(95, 100)
)
LAST_SEQUENCE = 995  #: 996–999 stand for people born before 1900 in 15-digit numbers

_CITIZEN_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2], np.int32)
_CITIZEN_CHECK = np.frombuffer(b"10X98765432", np.uint8)
_ORGANISATION_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2], np.int32)
_FIRST_WEIGHT = 3
_ORGANISATION_CHECK = np.frombuffer(b"0X987654321", np.uint8)
_SLICE = 1_000_000


def allot(rng: np.random.Generator, prefixes: npt.NDArray[Any], born: npt.NDArray[Any]) -> Ints:
    """Citizen numbers without check character: one for each division part and birth day, all different.

    Raises ValueError where more are wanted of one day in one division than it has numbers.
    """
    base: Ints = (prefixes.astype(np.int64) * 10**8 + _calendar_digits(born)) * 1_000
    if np.unique(base, return_counts=True)[1].max(initial=0) > LAST_SEQUENCE:
        raise ValueError("more people than numbers on one day in one division")
    keys = base + rng.integers(1, LAST_SEQUENCE + 1, base.size)
    while (again := _repeated(keys)).size:
        keys[again] = base[again] + rng.integers(1, LAST_SEQUENCE + 1, again.size)
    return keys


def _repeated(keys: Ints) -> Ints:
    """Rows whose key an earlier row has."""
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    again: Ints = order[1:][same]
    return again


def _calendar_digits(days: npt.NDArray[Any]) -> Ints:
    """YYYYMMDD as a number."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    year = months.astype("datetime64[Y]").astype(np.int64) + 1970
    month = months.astype(np.int64) % 12 + 1
    digits: Ints = year * 10_000 + month * 100 + (dates - months).astype(np.int64) + 1
    return digits


def is_male(keys: Ints) -> Flags:
    odd: Flags = keys % 2 == 1
    return odd


def citizen_texts(keys: Ints) -> Any:
    """The 18 characters. In slices: the matrices of 22 million people at once would not fit."""
    parts = [_citizen_slice(keys[start : start + _SLICE]) for start in range(0, max(keys.size, 1), _SLICE)]
    return pa.concat_arrays(parts)


def _citizen_slice(keys: Ints) -> Any:
    digits = digits_of(keys, 17)
    characters = np.empty((keys.size, 18), np.uint8)
    characters[:, :17] = digits + ord("0")
    characters[:, 17] = _CITIZEN_CHECK[(digits @ _CITIZEN_WEIGHTS) % 11]
    return fixed_texts(characters)


def old_form(text: str) -> str | None:
    """The 15-digit number that becomes `text` again, None where there is none."""
    if text[6:8] != "19" or int(text[14:17]) > LAST_SEQUENCE:
        return None
    return text[:6] + text[8:17]


def organisation_codes(count: int, letter: str = "Z") -> Any:
    """Nine characters each, all different, without hyphen; at most ten million."""
    # 7919 is prime to ten: the codes do not stand in a row, and none comes twice.
    digits = digits_of(np.arange(count) * 7919 % 10**7, 7)
    characters = np.empty((count, 9), np.uint8)
    characters[:, 0] = ord(letter)
    characters[:, 1:8] = digits + ord("0")
    first = (ord(letter) - ord("A") + 10) * _FIRST_WEIGHT
    characters[:, 8] = _ORGANISATION_CHECK[(first + digits @ _ORGANISATION_WEIGHTS) % 11]
    return fixed_texts(characters)


_CREDIT_ALPHABET = np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRTUWXY", np.uint8)
_CREDIT_VALUE = np.zeros(256, np.int64)
_CREDIT_VALUE[_CREDIT_ALPHABET] = np.arange(31)
_CREDIT_WEIGHTS = np.array([pow(3, place, 31) for place in range(17)])


def credit_codes(organisations: Any) -> Any:
    """The credit code around each organisation code: a body of industry and commerce (91), of nowhere (110199)."""
    nine = np.array(organisations.to_pylist(), dtype="S9").view(np.uint8).reshape(-1, 9)
    characters = np.empty((len(organisations), 18), np.uint8)
    characters[:, :8] = np.frombuffer(b"91110199", np.uint8)
    characters[:, 8:17] = nine
    characters[:, 17] = _CREDIT_ALPHABET[-(_CREDIT_VALUE[characters[:, :17]] @ _CREDIT_WEIGHTS) % 31]
    return fixed_texts(characters)


#: Identity documents; the index is how a document stands in arrays.
DOCUMENTS = ("身份证", "港澳通行证", "台胞证", "护照", "外国人永久居留身份证", "组织机构代码", "统一社会信用代码")
CITIZEN_CARD, ORGANISATION_DOCUMENT, CREDIT_DOCUMENT = 0, 5, 6
_FORMS = {1: (b"H97", 6), 2: (b"99", 6), 3: (b"ZZ", 7), 4: (b"ZZZ", 12)}


def document_texts(kinds: Bytes) -> Any:
    """Numbers for documents of foreigners (indices 1–4 into DOCUMENTS), all different."""
    texts = np.empty(kinds.size, object)
    for kind, (head, width) in _FORMS.items():
        rows = np.flatnonzero(kinds == kind)
        serial = np.arange(rows.size) * 7919 % 10**6
        characters = np.empty((rows.size, len(head) + width), np.uint8)
        characters[:, : len(head)] = np.frombuffer(head, np.uint8)
        characters[:, len(head) :] = digits_of(serial, width) + ord("0")
        texts[rows] = fixed_texts(characters).to_pylist()
    return pa.array(texts, pa.string())


_PLATE_CHARACTERS = np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ", np.uint8)


def plates(count: int) -> Any:
    """Different plates: 示, a letter, five digits or letters without I and O."""
    values = np.arange(count) * 1_000_003 % 34**5
    characters = np.empty((count, 6), np.uint8)
    characters[:, 0] = _PLATE_CHARACTERS[10 + np.arange(count) % 24]
    for place in range(5, 0, -1):
        values, digit = np.divmod(values, 34)
        characters[:, place] = _PLATE_CHARACTERS[digit]
    return pa.compute.binary_join_element_wise(pa.scalar("示"), fixed_texts(characters), "")
