"""Sharing classes of a resource.

Source
    Guide to compiling the catalogue of government information resources (trial, 2017): resources
    are shared unconditionally, on conditions, or not at all; the last needs its legal basis quoted.
"""

from dataclasses import dataclass
from enum import StrEnum

from tongban.catalogue.reading import EntryInvalid


class SharingClass(StrEnum):
    UNCONDITIONAL = "unconditional"  #: 无条件共享
    CONDITIONAL = "conditional"  #: 有条件共享
    NONE = "none"  #: 不予共享


@dataclass(frozen=True, slots=True)
class Sharing:
    """`basis`: the conditions and what they rest on, or the law that forbids. Raises EntryInvalid."""

    kind: SharingClass
    basis: str = ""

    def __post_init__(self) -> None:
        if self.kind is SharingClass.NONE and not self.basis.strip():
            raise EntryInvalid(
                entry="sharing", what="a resource that is not shared needs the law that forbids it, as basis"
            )

    @property
    def may_be_granted(self) -> bool:
        return self.kind is not SharingClass.NONE
