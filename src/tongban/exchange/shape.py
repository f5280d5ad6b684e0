"""The shape of statements: exactly which fields a body has, and what each may hold.

Bodies come from outside, so every reader checks the whole shape before it takes a value: no field
may be missing, none may be added, none may be of another kind.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final

from tongban.exchange import names
from tongban.kit.clock import unstamp
from tongban.kit.errors import Refused

Test = Callable[[Any], bool]
Shape = Mapping[str, Test]
#: What fields that each have their form say against each other, in words; None if nothing.
Contradiction = Callable[[Mapping[str, Any]], str | None]


def mismatch(body: Any, shape: Shape) -> str | None:
    """Name what is wrong with `body`; None if it has the shape. Field names of ours only, never a value."""
    if not isinstance(body, dict):
        return "not an object"
    if missing := sorted(shape.keys() - body.keys()):
        return f"{missing[0]} is missing"
    if len(body) > len(shape):
        return "a field that is not the protocol's"
    return next((name for name, holds in shape.items() if not holds(body[name])), None)


def malformed(
    body: Any, shape: Shape, code: str, what: str, contradiction: Contradiction | None = None
) -> Refused | None:
    """Refuse a body without its shape; of one that has it, what `contradiction` finds."""
    if wrong := mismatch(body, shape):
        return Refused(code, f"{what} has not its form: {wrong}")
    if contradiction and (found := contradiction(body)):
        return Refused(code, f"{what} contradicts itself: {found}")
    return None


def text(pattern: str) -> Test:
    matches = re.compile(pattern).fullmatch
    return lambda value: isinstance(value, str) and matches(value) is not None


def is_text(longest: int) -> Test:
    """Any text, Chinese included, without control characters."""
    return lambda value: isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def integer(least: int, most: int) -> Test:
    # bool is an int to Python and never one to us.
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def exactly(*values: str | None) -> Test:
    return lambda value: (value is None or isinstance(value, str)) and value in values


def nullable(holds: Test) -> Test:
    return lambda value: value is None or holds(value)


def list_of(holds: Test, least: int, most: int) -> Test:
    return lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(holds, value))


def distinct(holds: Test, least: int, most: int) -> Test:
    """A list of texts none of which stands twice."""
    a_list = list_of(holds, least, most)
    return lambda value: a_list(value) and len(set(value)) == len(value)


def table(key: Test, holds: Test, least: int, most: int) -> Test:
    return lambda value: (
        isinstance(value, dict)
        and least <= len(value) <= most
        and all(key(name) and holds(held) for name, held in value.items())
    )


def fields(shape: Shape) -> Test:
    return lambda value: mismatch(value, shape) is None


def is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


#: Seconds of a stamp. Ten thousand grants say the same few instants again and again.
seconds: Final = lru_cache(maxsize=16_384)(unstamp)


def is_stamp(value: Any) -> bool:
    """RFC 3339 in UTC with whole seconds."""
    try:
        return isinstance(value, str) and seconds(value) is not None
    except (ValueError, OverflowError):
        return False


def is_date(value: Any) -> bool:
    """YYYY-MM-DD, a day that exists."""
    try:
        return _dated(value) and date.fromisoformat(value) is not None
    except ValueError:
        return False


_dated: Final = text(names.DATE)
is_member: Final = text(names.MEMBER)
is_node: Final = text(names.NODE)
is_resource: Final = text(names.RESOURCE)
is_random: Final = text(names.RANDOM)
is_key: Final = text(names.KEY)
is_digest: Final = text(names.DIGEST)
is_field: Final = text(names.FIELD)
is_printable: Final = text(names.PRINTABLE)
is_plain: Final = text(names.PLAIN)
is_public: Final = text("[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")  #: 32 bytes in base64


def is_rule(value: Any) -> bool:
    """A rule's id, whose date exists."""
    return _rule_formed(value) and is_date(value[-10:])


_rule_formed: Final = text(names.RULE)
