"""Reading what a department wrote about itself: every mapping is checked whole before a value is taken."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from tongban.kit.clock import stamp, unstamp
from tongban.kit.errors import Invalid

Choice = TypeVar("Choice", bound=StrEnum)

#: A day begins at midnight in Beijing, eight hours before it begins in UTC.
_BEIJING = timedelta(hours=8)
_EPOCH = date(1970, 1, 1)
LONGEST = 500  #: characters of a text


class EntryInvalid(Invalid):
    """A catalogue entry does not hold."""

    code = "catalogue.entry_invalid"
    message = "{entry}: {what}."
    remedy = "Correct the entry and publish it again; until then the published one stays in force."


class Entry:
    """A mapping that is being read, and what it is called in an error."""

    def __init__(self, called: str, held: Any, fields: Iterable[str]) -> None:
        """Raises EntryInvalid if `held` is no mapping or has other keys than `fields`."""
        self.called = called
        if not isinstance(held, Mapping):
            raise self.wrong("it must be a table of names and values")
        self._held = held
        if foreign := sorted(map(str, set(held) - set(fields))):
            raise self.wrong(f"{foreign[0]} is no field of it")

    def wrong(self, what: str) -> EntryInvalid:
        return EntryInvalid(entry=self.called, what=what)

    def get(self, name: str) -> Any:
        """The value, None if it is missing or null."""
        return self._held.get(name)

    def text(self, name: str, otherwise: str | None = None) -> str:
        """One line without blanks around it; `otherwise` if it is missing, an error if that is None."""
        value = self.get(name)
        if value is None and otherwise is not None:
            return otherwise
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST:
            raise self.wrong(f"{name} must be a text of 1 to {LONGEST} characters")
        if not value.isprintable() or value != value.strip():
            raise self.wrong(f"{name} must be one line, without blanks around it")
        return value

    def choice(self, name: str, among: type[Choice]) -> Choice:
        value = self.get(name)
        if not isinstance(value, str) or value not in among.__members__.values():
            raise self.wrong(f"{name} must be one of {', '.join(among)}")
        return among(value)

    def parts(self, name: str) -> list[Any]:
        value = self.get(name)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise self.wrong(f"{name} must be a list")
        return list(value)

    def day(self, name: str) -> date:
        """A day, written YYYY-MM-DD or as the instant at which it begins in Beijing."""
        value = self.get(name)
        if type(value) is date:
            return value
        found = _day_of(value) if isinstance(value, str) else None
        if found is None:
            raise self.wrong(f"{name} must be a day, YYYY-MM-DD")
        return found


def _day_of(text: str) -> date | None:
    try:
        if "T" not in text:
            day = date.fromisoformat(text)
            return day if day.isoformat() == text else None
        begins, rest = divmod(unstamp(text) + int(_BEIJING.total_seconds()), 86_400)
        return _EPOCH + timedelta(days=begins) if rest == 0 else None
    except (ValueError, OverflowError):
        return None


def first_instant(day: date) -> str:
    """RFC 3339 in UTC of the instant at which `day` begins in Beijing."""
    return stamp((timedelta(days=(day - _EPOCH).days) - _BEIJING).total_seconds())
