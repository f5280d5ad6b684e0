"""Taking values out of a mapping that a person wrote: each key asked for once, none left over."""

from datetime import date
from typing import Any

from tongban.rules.places import Places, RuleInvalid, Step

LONGEST_TEXT = 4_000
LONGEST_SEQUENCE = 500


class Fields:
    """A mapping with the place where it stands. Every taking checks the kind of value it finds."""

    def __init__(self, value: dict[Any, Any], places: Places, *steps: Step) -> None:
        self.value = value
        self.places = places
        self.steps = steps
        self._taken: set[str] = set()

    def wrong(self, key: str, what: str, remedy: str, *more: Step) -> RuleInvalid:
        return self.places.invalid(what, remedy, *self.steps, key, *more)

    def has(self, key: str) -> bool:
        self._taken.add(key)
        return self.value.get(key) is not None

    def is_mapping(self, key: str) -> bool:
        return isinstance(self.value.get(key), dict)

    def text(self, key: str) -> str:
        """A text that is not empty."""
        found = self.text_or_none(key)
        if found is None:
            raise self.wrong(key, f"`{key}` is missing", f"Add a line `{key}: …`.")
        return found

    def text_or_none(self, key: str) -> str | None:
        self._taken.add(key)
        found = self.value.get(key)
        if found is None:
            return None
        if not isinstance(found, str) or not found.strip() or len(found) > LONGEST_TEXT:
            raise self.wrong(key, f"`{key}` must be a text", "Write it between quotes.")
        return found.strip()

    def one_of(self, key: str, words: tuple[str, ...], default: str | None = None) -> str:
        self._taken.add(key)
        found = self.value.get(key, default)
        if found not in words:
            raise self.wrong(key, f"`{key}` must be one of {', '.join(words)}", "Write one of these words.")
        return str(found)

    def number(self, key: str, low: int, high: int) -> int:
        self._taken.add(key)
        found = self.value.get(key)
        if type(found) is not int or not low <= found <= high:
            raise self.wrong(key, f"`{key}` must be a whole number from {low} to {high}", "Write such a number.")
        return found

    def day(self, key: str) -> date | None:
        self._taken.add(key)
        found = self.value.get(key)
        try:
            day = date.fromisoformat(found) if isinstance(found, str) else found
        except ValueError:
            day = 0
        if day is not None and day.__class__ is not date:
            raise self.wrong(key, f"`{key}` must be a day", "Write it as 2014-06-08.")
        return day

    def mapping(self, key: str) -> "Fields":
        self._taken.add(key)
        found = self.value.get(key)
        if not isinstance(found, dict):
            raise self.wrong(
                key, f"`{key}` must be a mapping", "Write {key: value, …}; the reference shows which keys."
            )
        return Fields(found, self.places, *self.steps, key)

    def plain_mapping(self, key: str) -> dict[str, Any]:
        """A mapping with keys of the writer's own choice; empty if there is none."""
        return dict(self.mapping(key).value) if self.has(key) else {}

    def mappings(self, key: str) -> list["Fields"]:
        """The mappings of a list; empty if there is none."""
        found = self.value.get(key) if self.has(key) else []
        if not isinstance(found, list) or len(found) > LONGEST_SEQUENCE:
            raise self.wrong(key, f"`{key}` must be a list of at most {LONGEST_SEQUENCE}", "Begin each item with `- `.")
        for index, item in enumerate(found):
            if not isinstance(item, dict):
                raise self.wrong(key, f"each item of `{key}` must be a mapping", "Write - {key: value, …}.", index)
        return [Fields(item, self.places, *self.steps, key, index) for index, item in enumerate(found)]

    def texts(self, key: str) -> list[str]:
        """A list of texts; empty if there is none."""
        found = self.value.get(key) if self.has(key) else []
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise self.wrong(key, f"`{key}` must be a list of texts", "Write [a, b, c].")
        return list(found)

    def refuse_others(self) -> None:
        """Raise RuleInvalid for a key that nobody asked for: a typing mistake must not pass in silence."""
        for key in self.value:
            if key not in self._taken:
                known = ", ".join(sorted(self._taken))
                raise self.wrong(str(key), f"key {key!r} is not known here", f"The keys are: {known}.")
