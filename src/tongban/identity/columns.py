"""The same normalisation for whole columns: numpy on clean rows, the scalar form on the rest.

A row is *clean* if its bytes already have the length and the characters of an identifier; only
then do the arrays decide. Whatever looks otherwise is asked of `identifiers`, so the two forms
cannot drift apart on the cases that matter.

Columns come and go as Arrow arrays, chunked or not; the answer has the chunks of the question.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tongban.identity.identifiers import (
    EARLIEST_YEAR,
    RESERVED_SEQUENCE,
    Domain,
    IdentifierInvalid,
    normalise,
    normalise_name,
)

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

#: Rows worked on at once: their doubles (18 × 8 bytes a row) stay in the cache.
SLICE = 16_384


def citizen_keys(column: Any) -> Any:
    """Packed keys of citizen numbers.

    Shape
        column: utf8, large_utf8 or a dictionary of them; Array or ChunkedArray.
        returns: int64, null where the text is null or no citizen number.
    """
    return _by_chunk(column, _citizen_chunk, pa.int64())


def citizen_texts(keys: Any) -> Any:
    """The 18-character texts of packed keys; null stays null.

    Raises
        IdentifierInvalid: a key is not one that packing gives.
    """
    return _by_chunk(keys, _unpacked_chunk, pa.string())


def are_citizen_keys(keys: Any) -> bool:
    """Whether every packed key, none of them null, is one that packing gives: `citizen_texts` without the texts."""
    chunks = keys.chunks if isinstance(keys, pa.ChunkedArray) else [keys]
    return keys.null_count == 0 and all(
        _are_packed(chunk.slice(start, SLICE).to_numpy(zero_copy_only=False))
        for chunk in chunks
        for start in range(0, len(chunk), SLICE)
    )


def _are_packed(keys: Ints) -> bool:
    born = (keys // 1_000 % 10**8).astype(np.int32)
    year = born // 10_000
    return bool(((keys >= 0) & (keys < 10**17) & _is_birth(year, born - year * 10_000)).all())


def text_keys(domain: Domain, column: Any) -> Any:
    """Normalised texts of one domain (utf8), null where the text is null or no identifier of it."""
    if domain is Domain.CITIZEN:
        return citizen_texts(citizen_keys(column))

    def texts_of(chunk: Any) -> Any:
        return _text_chunk(chunk, _CLEAN.get(domain, _none_clean), lambda raw: normalise(domain, raw))

    return _by_chunk(column, texts_of, pa.string())


def names(column: Any) -> Any:
    """Normalised names of persons (utf8); null where the text is null or nothing is left of it.

    An empty name is no name: kept as a text it would equal another register's missing one.
    """
    return _by_chunk(column, _name_chunk, pa.string())


# --- Chunks -------------------------------------------------------------------------------------


def _by_chunk(column: Any, work: Callable[[Any], Any], kind: Any) -> Any:
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([work(chunk) for chunk in column.chunks], type=kind)
    return work(column)


def _utf8(chunk: Any) -> Any:
    if pa.types.is_dictionary(chunk.type):
        chunk = chunk.dictionary_decode()
    return chunk if pa.types.is_string(chunk.type) else chunk.cast(pa.string())


def _lengths(texts: Any) -> npt.NDArray[np.int32]:
    """Bytes of each text; -1 for null."""
    lengths: npt.NDArray[np.int32] = pc.fill_null(pc.binary_length(texts), -1).to_numpy(zero_copy_only=False)
    return lengths


def _matrix(texts: Any, rows: Ints, width: int) -> Bytes:
    """The bytes of `rows`, all of which are `width` bytes long: shape (len(rows), width)."""
    if rows.size == 0:
        return np.empty((0, width), np.uint8)
    if rows.size != len(texts):
        texts = texts.take(pa.array(rows))
    _, offsets, data = texts.buffers()
    first = int(np.frombuffer(offsets, np.int32)[texts.offset])
    return np.frombuffer(data, np.uint8, count=rows.size * width, offset=first).reshape(-1, width)


# --- Citizen numbers ----------------------------------------------------------------------------


def _citizen_chunk(chunk: Any) -> Any:
    texts = _utf8(chunk)
    keys, decided = _clean_citizens(texts)
    if not decided.all():
        rest = np.flatnonzero(~decided)
        keys[rest] = _dirty_citizens(texts.take(pa.array(rest)))
    return pa.array(keys, mask=keys < 0)


def _dirty_citizens(texts: Any) -> Ints:
    """Keys, -1 for none. Padding is so common (CHAR columns) that it gets a second go at the arrays."""
    trimmed = pc.ascii_trim_whitespace(texts)
    keys, decided = _clean_citizens(trimmed)
    rest = np.flatnonzero(~decided)
    known = (normalise(Domain.CITIZEN, raw) for raw in trimmed.take(pa.array(rest)).to_pylist())
    keys[rest] = [-1 if text is None else int(text[:17]) for text in known]
    return keys


def _clean_citizens(texts: Any) -> tuple[Ints, Flags]:
    """Keys (-1: none) and which rows are decided: null, or of digits alone with the check character."""
    lengths = _lengths(texts)
    keys = np.full(len(texts), -1, np.int64)
    decided = lengths == -1
    for width, judge in ((18, _judge_citizens), (15, _judge_old_citizens)):
        rows = np.flatnonzero(lengths == width)
        matrix = _matrix(texts, rows, width)
        for start in range(0, rows.size, SLICE):
            part = rows[start : start + SLICE]
            keys[part], decided[part] = judge(matrix[start : start + SLICE])
    return keys, decided


#: Columns: division, year, month and day, sequence, weighted sum (GB 11643).
_PARTS = np.zeros((18, 5))
_PARTS[0:6, 0] = 10.0 ** np.arange(5, -1, -1)
_PARTS[6:10, 1] = 10.0 ** np.arange(3, -1, -1)
_PARTS[10:14, 2] = 10.0 ** np.arange(3, -1, -1)
_PARTS[14:17, 3] = 10.0 ** np.arange(2, -1, -1)
_PARTS[:, 4] = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1)
_OLD_PARTS = np.delete(_PARTS, (6, 7, 17), axis=0)

#: Which numbers MMDD are days, in a common and in a leap year.
_DAYS = np.zeros((2, 10_000), np.bool_)
for _month, _length in enumerate((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), start=1):
    _DAYS[:, _month * 100 + 1 : _month * 100 + _length + 1] = True
_DAYS[1, 229] = True


def _judge_citizens(matrix: Bytes) -> tuple[Ints, Flags]:
    digits = matrix - np.uint8(ord("0"))
    ends_in_x = (matrix[:, 17] | 0x20) == ord("x")
    shaped = (digits[:, :17] <= 9).all(axis=1) & ((digits[:, 17] <= 9) | ends_in_x)
    digits[ends_in_x, 17] = 10
    division, year, day, sequence, total = _read_parts(digits, _PARTS)
    holds = shaped & _is_birth(year, day) & (total % 11 == 1)
    return np.where(holds, _joined(division, year, day, sequence), -1), shaped


def _judge_old_citizens(matrix: Bytes) -> tuple[Ints, Flags]:
    digits = matrix - np.uint8(ord("0"))
    shaped = np.all(digits <= 9, axis=1)
    division, year, day, sequence, _ = _read_parts(digits, _OLD_PARTS)
    holds = shaped & _is_birth(year + 1900, day) & (sequence < RESERVED_SEQUENCE)
    return np.where(holds, _joined(division, year + 1900, day, sequence), -1), shaped


def _read_parts(digits: Bytes, parts: npt.NDArray[np.float64]) -> Ints:
    """One row a part. All sums stay far below 2^53, so doubles are exact and the product is one BLAS call."""
    return (digits.astype(np.float64) @ parts).astype(np.int64).T


def _is_birth(year: npt.NDArray[Any], day: npt.NDArray[Any]) -> Flags:
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    # Rows that are not digits give parts beyond the table; they are refused already and only must not index past it.
    found: Flags = _DAYS[leap.astype(np.intp), np.minimum(day, 9_999)]
    return found & (year >= EARLIEST_YEAR)


def _joined(division: Ints, year: Ints, day: Ints, sequence: Ints) -> Ints:
    return ((division * 10_000 + year) * 10_000 + day) * 1_000 + sequence


_THREE_DIGITS = np.stack([np.arange(1_000) // 100, np.arange(1_000) // 10 % 10, np.arange(1_000) % 10], axis=1)
_THREE_DIGITS = _THREE_DIGITS.astype(np.uint8)


def _unpacked_chunk(chunk: Any) -> Any:
    keys = pc.fill_null(chunk, 0).to_numpy(zero_copy_only=False)
    given = pc.is_valid(chunk).to_numpy(zero_copy_only=False)
    if not _are_packed(keys[given]):
        raise IdentifierInvalid(domain=Domain.CITIZEN, why="a packed key of the column is none that packing gives")
    letters = np.empty((len(keys), 18), np.uint8)
    for start in range(0, len(keys), SLICE):
        _spell(keys[start : start + SLICE], letters[start : start + SLICE])
    offsets = np.arange(0, 18 * (len(keys) + 1), 18, dtype=np.int32)
    texts = pa.Array.from_buffers(pa.string(), len(keys), [None, pa.py_buffer(offsets), pa.py_buffer(letters)])
    return pc.if_else(pa.array(given), texts, pa.scalar(None, pa.string()))


def _spell(keys: Ints, letters: Bytes) -> None:
    """Write the 18 characters of each key into its row of `letters`."""
    left = keys
    for place in range(14, 0, -3):
        left, three = np.divmod(left, 1_000)
        letters[:, place : place + 3] = _THREE_DIGITS[three]
    letters[:, :2] = _THREE_DIGITS[left, 1:]
    total = (letters[:, :17].astype(np.float64) @ _PARTS[:17, 4]).astype(np.int64)
    check = (1 - total) % 11
    letters[:, 17] = check
    letters += np.uint8(ord("0"))
    letters[check == 10, 17] = ord("X")


# --- Text keys and names ------------------------------------------------------------------------


def _text_chunk(chunk: Any, clean: Callable[[Any], tuple[Flags, Flags]], scalar: Callable[[str], str | None]) -> Any:
    """Keep what holds as it is, ask `scalar` about the rows that `clean` did not decide."""
    texts = _utf8(chunk)
    holds, decided = clean(texts)
    kept = pc.if_else(pa.array(holds), texts, pa.scalar(None, pa.string()))
    rest = ~decided & pc.is_valid(texts).to_numpy(zero_copy_only=False)
    if not rest.any():
        return kept
    found = [scalar(raw) for raw in texts.filter(pa.array(rest)).to_pylist()]
    return pc.replace_with_mask(kept, pa.array(rest), pa.array(found, pa.string()))


def _none_clean(texts: Any) -> tuple[Flags, Flags]:
    """Organisation codes, passports, permits and service cards: few rows, all asked one by one."""
    nothing = np.zeros(len(texts), np.bool_)
    return nothing, nothing


def _name_chunk(chunk: Any) -> Any:
    return _text_chunk(chunk, _clean_names, lambda raw: normalise_name(raw) or None)


def _clean_names(texts: Any) -> tuple[Flags, Flags]:
    """Ideographs, "·" and capital letters alone: neither NFKC nor upper case changes them."""
    clean = pc.match_substring_regex(texts, r"^[\x{4E00}-\x{9FFF}·A-Z]+$")
    flags: Flags = pc.fill_null(clean, False).to_numpy(zero_copy_only=False)
    return flags, flags


#: Value of each byte as a character of the code; 255 for none.
_CREDIT_VALUES = np.full(256, 255, np.uint8)
_CREDIT_VALUES[np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRTUWXY", np.uint8)] = np.arange(31)
_CREDIT_WEIGHTS = np.array([pow(3, place, 31) for place in range(17)] + [1], np.float64)


def _clean_credit_codes(texts: Any) -> tuple[Flags, Flags]:
    rows = np.flatnonzero(_lengths(texts) == 18)
    values = _CREDIT_VALUES[_matrix(texts, rows, 18)]
    shaped = (values <= 30).all(axis=1) & (values[:, 2:8] <= 9).all(axis=1)
    total = (values.astype(np.float64) @ _CREDIT_WEIGHTS).astype(np.int64)
    holds, decided = np.zeros((2, len(texts)), np.bool_)
    holds[rows], decided[rows] = shaped & (total % 31 == 0), shaped
    return holds, decided


_CLEAN: dict[Domain, Callable[[Any], tuple[Flags, Flags]]] = {Domain.CREDIT_CODE: _clean_credit_codes}
