"""Identifiers of persons and bodies: one spelling each, their check characters, and packing to an integer.

An identifier that does not hold is refused with a reason and never corrected: a repaired number
would be somebody else's. What it may have been meant to be is `nearby`, which only ever makes an
answer less sure.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import date
from enum import StrEnum

from tongban.kit.errors import Invalid, Refused


class Domain(StrEnum):
    """What kind of identifier a key is. Keys of two domains are never compared."""

    CITIZEN = "citizen"  #: GB 11643, 18 characters; old numbers of 15 digits are written in the long form
    CREDIT_CODE = "credit_code"  #: GB 32100, 18 characters
    ORGANISATION_CODE = (
        "organisation_code"  #: GB 11714, 9 characters, no hyphen; a credit code is cut to the one it holds
    )
    PASSPORT = "passport"  #: of any state
    HMT_PERMIT = "hmt_permit"  #: travel permits of residents of Hong Kong and Macao, and of Taiwan
    FOREIGN_PERMIT = "foreign_permit"  #: permanent residence card of a foreigner
    MILITARY_ID = "military_id"  #: service cards, with their Chinese prefix


class IdentifierInvalid(Invalid):
    """Somebody handed over as checked what is not. Never says the identifier itself."""

    code = "identity.identifier_invalid"
    message = "This is not an identifier of the domain {domain}: {why}."
    remedy = "Normalise it first and keep what was refused out."


EARLIEST_YEAR = 1900  #: GB 11643-1989 kept those born earlier apart by sequence; none is alive to apply
RESERVED_SEQUENCE = 996  #: 996–999 in a 15-digit number: born before 1900 (GB 11643-1989)

LENGTH = Refused("identity.wrong_length", "the identifier has another number of characters")
CHARACTERS = Refused("identity.wrong_characters", "the identifier holds characters that it cannot have")
DATE = Refused("identity.no_such_date", "the birth date in the number is not a day of the calendar")
TOO_EARLY = Refused("identity.born_before_1900", "the birth date in the number lies before 1900")
RESERVED = Refused(
    "identity.reserved_sequence", "a 15-digit number of a person born before 1900 does not say the century"
)
CHECK = Refused("identity.wrong_check_character", "the check character does not agree with the rest")

# --- Text ---------------------------------------------------------------------------------------

_ZERO_WIDTH = dict.fromkeys((0x200B, 0x200C, 0x200D, 0xFEFF))
# ･ and ． are among them too: NFKC has already turned them into ・ and the full stop.
_DOTS = dict.fromkeys(map(ord, "•‧・."), "·")


def stripped(raw: str) -> str:
    """NFKC, then no white space of any kind and no zero-width characters."""
    text = raw if raw.isascii() else unicodedata.normalize("NFKC", raw)
    return "".join(text.split()).translate(_ZERO_WIDTH)


def normalise_name(raw: str) -> str:
    """The one spelling of a person's name: `stripped`, every middle dot "·", Latin letters upper case.

    The full stop counts as a middle dot: NFKC cannot tell ． from it, and registers write both.
    """
    upper = stripped(raw).translate(_DOTS).upper()
    # Letters that stood apart may have met, or been split by upper(): without this a name had two spellings.
    return upper if upper.isascii() else unicodedata.normalize("NFKC", upper)


# --- Check characters ---------------------------------------------------------------------------

_CITIZEN_CHECK = "10X98765432"
_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_VALUE = {character: value for value, character in enumerate(_CREDIT_ALPHABET)}
_CREDIT_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_ORGANISATION_CHECK = "0X987654321"


def citizen_check(body: str) -> str:
    """Check character of 17 digits (ISO 7064 MOD 11-2, GB 11643).

    The weights are powers of two modulo 11, and 13 is 2 modulo 11: reading the digits in base 13
    gives half of the weighted sum.
    """
    return _CITIZEN_CHECK[2 * int(body, 13) % 11]


def credit_check(body: str) -> str:
    """Check character of the first 17 characters of a credit code (GB 32100)."""
    total = sum(_CREDIT_VALUE[character] * weight for character, weight in zip(body, _CREDIT_WEIGHTS, strict=True))
    return _CREDIT_ALPHABET[-total % 31]


def organisation_check(body: str) -> str:
    """Check character of the first 8 characters of an organisation code (GB 11714); letters count from A = 10."""
    total = sum(int(character, 36) * weight for character, weight in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    return _ORGANISATION_CHECK[total % 11]


# --- One identifier -----------------------------------------------------------------------------

_CITIZEN = re.compile(r"[0-9]{17}[0-9X]")
_OLD_CITIZEN = re.compile(r"[0-9]{15}")
_CREDIT_CODE = re.compile(rf"[{_CREDIT_ALPHABET}]{{2}}[0-9]{{6}}[{_CREDIT_ALPHABET}]{{10}}")
_ORGANISATION_CODE = re.compile(r"[0-9A-Z]{8}[0-9X]")
#: Passports and permits: the issuing states' own forms differ and change, so only characters and length are held to.
_DOCUMENT = re.compile(r"[0-9A-Z]{5,18}")
_MILITARY_ID = re.compile(r"(?=.*[0-9])[A-Z0-9\u4e00-\u9fff]{4,30}")


def judge(domain: Domain, raw: str) -> str | Refused:
    """The one spelling of `raw`, or why there is none."""
    return _JUDGES[domain](stripped(raw).upper())


def normalise(domain: Domain, raw: str) -> str | None:
    """The one spelling of `raw`; None if it is not an identifier of the domain."""
    judged = judge(domain, raw)
    return judged if isinstance(judged, str) else None


def refusal(domain: Domain, raw: str) -> Refused | None:
    """Say why `raw` is not an identifier of the domain; None if it is."""
    judged = judge(domain, raw)
    return judged if isinstance(judged, Refused) else None


def _judge_citizen(text: str) -> str | Refused:
    if len(text) == 15:
        return _judge_old_citizen(text)
    if len(text) != 18:
        return LENGTH
    if not _CITIZEN.fullmatch(text):
        return CHARACTERS
    if refused := _refused_birth(text[6:14]):
        return refused
    return text if text[17] == citizen_check(text[:17]) else CHECK


def _judge_old_citizen(text: str) -> str | Refused:
    """15 digits lack the century and the check digit (GB 11643-1989): nothing guards them against a slip."""
    if not _OLD_CITIZEN.fullmatch(text):
        return CHARACTERS
    body = f"{text[:6]}19{text[6:]}"
    if refused := _refused_birth(body[6:14]):
        return refused
    return RESERVED if int(body[14:]) >= RESERVED_SEQUENCE else body + citizen_check(body)


def _refused_birth(digits: str) -> Refused | None:
    """Say why eight digits YYYYMMDD are nobody's birth date. A date to come is not refused: rooms have no clock."""
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return DATE
    return TOO_EARLY if born.year < EARLIEST_YEAR else None


def _judge_credit_code(text: str) -> str | Refused:
    if len(text) != 18:
        return LENGTH
    if not _CREDIT_CODE.fullmatch(text):
        return CHARACTERS
    return text if text[17] == credit_check(text[:17]) else CHECK


def _judge_organisation_code(text: str) -> str | Refused:
    code = text.replace("-", "")
    if len(code) == 18:
        return _organisation_code_within(code)
    if len(code) != 9:
        return LENGTH
    if not _ORGANISATION_CODE.fullmatch(code):
        return CHARACTERS
    return code if code[8] == organisation_check(code[:8]) else CHECK


def _organisation_code_within(credit_code: str) -> str | Refused:
    """Characters 9 to 17 of a credit code are the body's organisation code (GB 32100): the same body, numbered anew."""
    judged = _judge_credit_code(credit_code)
    return _judge_organisation_code(judged[8:17]) if isinstance(judged, str) else judged


def _judge_document(text: str) -> str | Refused:
    return text if _DOCUMENT.fullmatch(text) else CHARACTERS


def _judge_military_id(text: str) -> str | Refused:
    return text if _MILITARY_ID.fullmatch(text) else CHARACTERS


_JUDGES: dict[Domain, Callable[[str], str | Refused]] = {
    Domain.CITIZEN: _judge_citizen,
    Domain.CREDIT_CODE: _judge_credit_code,
    Domain.ORGANISATION_CODE: _judge_organisation_code,
    Domain.PASSPORT: _judge_document,
    Domain.HMT_PERMIT: _judge_document,
    Domain.FOREIGN_PERMIT: _judge_document,
    Domain.MILITARY_ID: _judge_military_id,
}

# --- Packing ------------------------------------------------------------------------------------


def pack(text: str) -> int:
    """The first 17 digits of a normalised citizen number. Raises IdentifierInvalid for any other text.

    The check digit is verified before it is dropped: a wrong 18th digit would otherwise be another person.
    """
    judged = _judge_citizen(text)
    if isinstance(judged, Refused):
        raise IdentifierInvalid(domain=Domain.CITIZEN, why=judged.reason)
    if judged != text:
        raise IdentifierInvalid(domain=Domain.CITIZEN, why="it is not in the form of 18 characters")
    return int(text[:17])


def unpack(key: int) -> str:
    """The 18 characters of a packed citizen number. Raises IdentifierInvalid for what `pack` never gives."""
    body = f"{key:017d}"
    if not 0 <= key < 10**17:
        raise IdentifierInvalid(domain=Domain.CITIZEN, why="the packed key has another number of digits")
    if refused := _refused_birth(body[6:14]):
        raise IdentifierInvalid(domain=Domain.CITIZEN, why=refused.reason)
    return body + citizen_check(body)


# --- Slips of the pen ---------------------------------------------------------------------------


def nearby(raw: str) -> set[int]:
    """Packed keys that an invalid citizen number may have been meant to be.

    Every valid 18-character number one slip away from the normalised text: one character replaced,
    left out or added, or two neighbours exchanged (Damerau 1964). Empty for a valid number, and for
    any other length than 17 to 19: one slip does not reach 18 characters from there.
    """
    text = stripped(raw).upper()
    if isinstance(_judge_citizen(text), str):
        return set()
    return {int(meant[:17]) for meant in _one_slip_away(text) if _holds(meant)}


def _holds(text: str) -> bool:
    """Whether 18 characters are a valid number; the check digit first, for ten slips in eleven break it."""
    if not _CITIZEN.fullmatch(text) or text[17] != citizen_check(text[:17]):
        return False
    return _refused_birth(text[6:14]) is None


def _one_slip_away(text: str) -> Iterator[str]:
    """Texts of 18 characters one slip away; most are no identifiers."""
    if len(text) == 17:
        return _one_more(text)
    if len(text) == 18:
        return _one_other(text)
    return _one_less(text) if len(text) == 19 else iter(())


def _one_more(text: str) -> Iterator[str]:
    for place in range(18):
        for character in _CITIZEN_CHECK:
            yield text[:place] + character + text[place:]


def _one_other(text: str) -> Iterator[str]:
    for place in range(18):
        for character in _CITIZEN_CHECK:
            yield text[:place] + character + text[place + 1 :]
    for place in range(17):
        yield text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def _one_less(text: str) -> Iterator[str]:
    for place in range(19):
        yield text[:place] + text[place + 1 :]
