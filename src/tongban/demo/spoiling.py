"""One text made dirty. Each function takes the text and `luck`, a random whole number that decides the details.

The first group is undone by normalising (NFKC, white space, upper case, hyphens, dots). The second is
not: what it gives is never a good value, and of a number never another good number.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from tongban.demo.names import GIVEN
from tongban.demo.numbers import old_form

Spoil = Callable[[str, int], str]

# --- Healed by normalising ----------------------------------------------------------------------

_SPACES = (" ", "\u3000", "  ", "\u00a0")
_ZERO_WIDTH = ("\u200b", "\ufeff")
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_DOTS = "•‧・･"


def spaced(text: str, luck: int) -> str:
    """White space in front, inside or behind; sometimes a character without width."""
    luck, place = divmod(luck, len(text) + 1)
    space = (*_SPACES * 3, *_ZERO_WIDTH)[luck % 14]
    # Half of all stray spaces stand at the end, where nobody sees them.
    place = len(text) if luck // 14 % 2 else place
    return text[:place] + space + text[place:]


def padded(text: str, luck: int) -> str:
    """White space at either end: all that is healed in texts other than numbers and names."""
    space = _SPACES[luck % len(_SPACES)]
    return text + space if luck // 4 % 3 else space + text


def wide(text: str, luck: int) -> str:
    """Full-width characters, as an input method gives them."""
    return text.translate(_WIDE)


def varied_citizen_number(text: str, luck: int) -> str:
    luck, choice = divmod(luck, 10)
    if choice < 3 and (old := old_form(text)):
        # Never spoiled further: a 15-digit number has no check digit, and a slip in it is somebody else.
        return old
    if text.endswith("X") and choice < 9:
        return text.lower()
    return wide(text, luck) if choice == 9 else spaced(text, luck)


def varied_document(text: str, luck: int) -> str:
    luck, choice = divmod(luck, 4)
    if choice == 0 and text.upper() != text.lower():
        return text.lower()
    return wide(text, luck) if choice == 1 else spaced(text, luck)


def varied_organisation_code(text: str, luck: int) -> str:
    luck, choice = divmod(luck, 4)
    return f"{text[:8]}-{text[8:]}" if choice < 2 else varied_document(text, luck)


def varied_name(text: str, luck: int) -> str:
    luck, choice = divmod(luck, 4)
    if "·" in text and choice:
        return text.replace("·", _DOTS[luck % len(_DOTS)])
    if text.isascii() and choice == 0:
        return text.title()
    if choice < 3:
        return text[:1] + _SPACES[luck % len(_SPACES)] + text[1:]
    return spaced(text, luck)


def varied_text(text: str, luck: int) -> str:
    luck, choice = divmod(luck, 2)
    return wide(text, luck) if choice and text.isascii() else padded(text, luck)


# --- Not healed ---------------------------------------------------------------------------------


def _other(choices: Sequence[str], old: str, luck: int) -> str:
    """One of the choices that is not `old`."""
    rest = [choice for choice in choices if choice != old]
    return rest[luck % len(rest)]


def mistyped_citizen_number(text: str, luck: int) -> str:
    """One slip in 18 characters; MOD 11-2 notices each one (ISO 7064), and 17 or 19 characters are no number."""
    luck, choice = divmod(luck, 6)
    luck, place = divmod(luck, 17)
    if choice == 0:
        return text[:17] + _other("0123456789X", text[17], luck)
    if choice == 1:
        return text[:place] + text[place + 1 :]
    if choice == 2:
        return text[:place] + str(luck % 10) + text[place:]
    if choice == 3 and text[place] != text[place + 1]:
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    return text[:place] + _other("0123456789", text[place], luck) + text[place + 1 :]


def mistyped_document(text: str, luck: int) -> str:
    """A stray sign, or too few characters. One wrong character would be a good number, perhaps somebody's."""
    luck, choice = divmod(luck, 2)
    place = 1 + luck % (len(text) - 1)
    return text[:place] + "-*/"[luck % 3] + text[place:] if choice else text[:4]


def mistyped_organisation_code(text: str, luck: int) -> str:
    """One digit for another: their values differ by less than 11, so the check notices. Letters could differ by 11."""
    luck, place = divmod(luck, 8)
    if place == 0:
        return text[:8] + _other("0123456789X", text[8], luck)
    return text[:place] + _other("0123456789", text[place], luck) + text[place + 1 :]


def mistyped_credit_code(text: str, luck: int) -> str:
    """One digit for another, which its check notices; registers hold the old code of nine characters too."""
    if len(text) == 9:
        return mistyped_organisation_code(text, luck)
    places = [place for place, character in enumerate(text) if character.isdigit()]
    luck, place = divmod(luck, len(places))
    return text[: places[place]] + _other("0123456789", text[places[place]], luck) + text[places[place] + 1 :]


def miswritten_name(text: str, luck: int) -> str:
    """One character for another, or one that could not be shown: a question mark, a private-use code point."""
    places = [place for place, character in enumerate(text) if character not in "· "]
    luck, place = divmod(luck, len(places))
    luck, choice = divmod(luck, 4)
    shown = _other(("Q", "X", "Z") if text.isascii() else GIVEN, text[places[place]], luck)
    unshown = ("?", chr(0xE000 + luck % 0x1000))
    new = unshown[choice] if choice < 2 else shown
    return text[: places[place]] + new + text[places[place] + 1 :]


def renamed(text: str, luck: int) -> str:
    """The same family name with given names that nobody bears in the lists of `names`."""
    if text.isascii():
        return f"{text.split()[0]} {('ALBERTA', 'OTTO')[luck % 2]}"
    return f"{text[:1]}小{'毛明红强'[luck % 4]}"


def malformed_day(text: str, luck: int) -> str:
    """No date. What a lenient reader could still understand is the true date, so that it cannot be misled."""
    year, month, day = text.split("-")
    understood = (f"{year}/{int(month)}/{int(day)}", f"{year}年{int(month)}月{int(day)}日")
    forms = (*understood, f"{year}-02-30", "00000000", f"{year}-13-{day}")
    return forms[luck % len(forms)]


def malformed_month(text: str, luck: int) -> str:
    year, month = text.split("-")
    forms = (f"{year}/{int(month)}", f"{year}-13", "000000", f"{year}-00", f"{year}年{int(month)}月")
    return forms[luck % len(forms)]


def malformed_amount(text: str, luck: int) -> str:
    """No whole number of fen: decimals, thousands separators, a currency sign, or beyond every sum."""
    forms = (f"{text}.00", f"¥{text}", f"{text}元", "1" + "0" * 14, f"{text}-")
    return forms[luck % len(forms)]


def unlisted_code(text: str, luck: int) -> str:
    """A value outside every table."""
    return ("其他", "0", f"{text[:1]} {text[1:]}?", "未知")[luck % 4]


def another_day(text: str, luck: int) -> str:
    moved = date.fromisoformat(text) + timedelta(days=(1, -1, 365, -365)[luck % 4])
    return moved.isoformat()
