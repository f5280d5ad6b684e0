"""Receipts: where an answer lies in two logs, so that it can be found again by either side."""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from tongban.exchange import names, shape
from tongban.kit.errors import Refused


@dataclass(frozen=True, slots=True)
class Receipt:
    origin: str  #: the provider's log
    entry: int  #: index there
    leaf: str  #: leaf hash there, hex
    own_entry: int  #: index of the consumer's own `answer` entry

    def to_json(self) -> dict[str, Any]:
        """Value of the header `tongban-receipt`."""
        return {"origin": self.origin, "entry": self.entry, "leaf": self.leaf, "own_entry": self.own_entry}


_SHAPE: Final[shape.Shape] = {
    "origin": shape.text(f"{names.MEMBER}/{names.NODE}"),
    "entry": shape.integer(0, 2**53),
    "leaf": shape.is_digest,
    "own_entry": shape.integer(0, 2**53),
}


def read(header: str) -> Receipt | Refused:
    try:
        held = orjson.loads(header)
    except orjson.JSONDecodeError:
        held = None
    if refused := shape.malformed(held, _SHAPE, "exchange.receipt_malformed", "the receipt"):
        return refused
    return Receipt(**held)
