"""One person's reasons. They need the application code and the document number together: a code is printed on papers
and lists, and a number is known to many, so neither alone may open anything.

A wrong pair costs the same work and gives the same answer, whether the code exists or not.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from tongban.identity.identifiers import Domain, normalise, stripped
from tongban.kit.errors import Refused
from tongban.rounds import parquet
from tongban.rounds.folder import RoundFolder, Stage

NOT_FOUND = Refused("rounds.not_found", "no application has this code together with this document number")


@dataclass(frozen=True, slots=True)
class Reasons:
    """What the round found about one application."""

    application: str
    status: str
    rule: str | None  #: whose reason it is
    reason: str | None
    verdicts: Mapping[str, tuple[str, str | None]]  #: by rule: verdict and reason, rules that do not apply left out
    code: str | None  #: draw code, once frozen and if in the pool
    balls: int | None
    rank: int | None  #: once drawn, if it won


class ResultBook:
    """The results of one round, opened once for many look-ups."""

    def __init__(self, folder: RoundFolder) -> None:
        """Raises OutOfOrder before the findings are there."""
        folder.need(Stage.DECIDED)
        frozen = folder.directory(Stage.FROZEN)
        place = frozen if frozen.exists() else folder.directory(Stage.DECIDED)
        self._results = parquet.read(place / "decisions.parquet")
        listed = parquet.read(folder.path / "applications.parquet", ["application", "document", "subject"])
        self._numbers = listed["application"].combine_chunks().cast("int64").to_numpy()
        self._documents, self._subjects = listed["document"], listed["subject"]
        self._codes = _table(frozen / "codes.parquet", ["application", "code", "balls"])
        self._ranks = _table(folder.directory(Stage.DRAWN) / "winners.parquet", ["application", "rank"])

    def reasons(self, application: str, document: str) -> Reasons | Refused:
        """The reasons of one application for the person or body whose document it was handed in with."""
        if not len(self._numbers):
            return NOT_FOUND
        code = stripped(application)
        number = int(code) if code.isascii() and code.isdigit() and len(code) == 13 else -1
        row = min(int(np.searchsorted(self._numbers, number)), len(self._numbers) - 1)
        # Whatever was typed, a row is read and compared: neither answer nor work tells which of the two was wrong.
        theirs = self._documents[row].as_py(), self._subjects[row].as_py()
        known = _matches(document, theirs) & (int(self._numbers[row]) == number)
        found = self._read(row)
        return found if known else NOT_FOUND

    def _read(self, row: int) -> Reasons:
        line = self._results.slice(row, 1).to_pylist()[0]
        rules = [name for name in line if f"{name}_reason" in line]
        application = line["application"]
        return Reasons(
            application=application,
            status=line["status"],
            rule=line["rule"],
            reason=line["reason"],
            verdicts={r: (line[r], line[f"{r}_reason"]) for r in rules if line[r] != "not_applicable"},
            code=_value(self._codes, application, "code"),
            balls=_value(self._codes, application, "balls"),
            rank=_value(self._ranks, application, "rank"),
        )


def _table(place: Path, columns: list[str]) -> Any:
    """Some columns of a private table; None before its stage."""
    return parquet.read(place, columns) if place.exists() else None


def _value(table: Any, application: str, column: str) -> Any:
    """The application's value, None if it has none. The whole column is read, whoever is looked for."""
    if table is None:
        return None
    row = pc.index(table["application"], application).as_py()
    return None if row < 0 else table[column][row].as_py()


def _matches(typed: str, theirs: tuple[str | None, str | None]) -> bool:
    """Whether `typed` is one of the spellings of a document; every comparison is made, in constant time."""
    bare = stripped(typed).upper()
    spellings = (bare, normalise(Domain.CITIZEN, typed) or bare, normalise(Domain.ORGANISATION_CODE, typed) or bare)
    same = [_equal(spelling, own) for spelling in spellings for own in theirs]
    return any(same)


def _equal(typed: str, own: str | None) -> bool:
    # A document that was never given matches nothing, not even the empty text.
    given = sha256((own or "").encode()).digest()
    return hmac.compare_digest(sha256(typed.encode()).digest(), given) and bool(own)
