"""Grades of data, and the masks under which a field may leave.

Source
    Data Security Law, article 21: core, important and other data. GB/T 43697-2024 names the last
    general and lets them be split in levels; we count from 1, the least, to 4. Personal Information
    Protection Law, article 28: sensitive personal information, whatever its grade.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tongban.catalogue.reading import EntryInvalid


class Rank(StrEnum):
    CORE = "core"
    IMPORTANT = "important"
    GENERAL = "general"


_GRADE = re.compile(r"(core|important|general(?:-([1-4]))?)(-sensitive)?")


@dataclass(frozen=True, slots=True)
class Grade:
    """Written "core", "important", "general" or "general-1" to "general-4", with "-sensitive" behind it if it is."""

    rank: Rank
    level: int | None = None  #: of general data, 1 to 4; None if the owner did not split them
    sensitive: bool = False  #: sensitive personal information

    def __str__(self) -> str:
        level = "" if self.level is None else f"-{self.level}"
        return f"{self.rank}{level}{'-sensitive' if self.sensitive else ''}"


def read_grade(text: str) -> Grade:
    """Raises EntryInvalid."""
    found = _GRADE.fullmatch(text)
    if not found:
        raise EntryInvalid(
            entry="grade", what="it must be core, important, general or general-1 to -4, then -sensitive"
        )
    rank = Rank(found[1].partition("-")[0])
    return Grade(rank, int(found[2]) if found[2] else None, found[3] is not None)


class Mask(StrEnum):
    """Closed table: what is left of a value. A field without a mask leaves whole."""

    NAME = "name"  #: 张* : the first character, and one star whatever the length
    ID = "id"  #: 110105********002X : the first 6 and last 4 of an identifier of 15 or 18 characters
    PHONE = "phone"  #: 138****8000 : the first 3 and last 4 of eleven
    WHOLE = "whole"  #: *** : that there is a value, and nothing of it


HIDDEN = "***"


def apply_mask(mask: str, value: Any) -> Any:
    """What of `value` may leave. None stays None.

    A mask that does not fit the value, or that this version does not know, hides all of it: a
    register with a phone number in the name column must not show more than was granted.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        return HIDDEN
    if mask == Mask.NAME:
        return f"{value[0]}*" if len(value) > 1 else HIDDEN
    if mask == Mask.ID and len(value) in (15, 18):
        return _between(value, 6, 4)
    if mask == Mask.PHONE and len(value) == 11:
        return _between(value, 3, 4)
    return HIDDEN


def _between(value: str, first: int, last: int) -> str:
    """One star for each hidden character: the length of these values is no secret."""
    return value[:first] + "*" * (len(value) - first - last) + value[-last:]
