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
from tongban.rounds.applications import CODE_LENGTH
from tongban.rounds.families import ASKED_ABOUT
from tongban.rounds.folder import RoundFolder, Stage

NOT_FOUND = Refused("rounds.not_found", "no application has this code together with this document number")


@dataclass(frozen=True, slots=True)
class Reasons:
    """What the round found about one application."""

    application: str
    line: str  #: the person's own code in a family, else the application's; re-checks are about it
    status: str  #: empty for whoever does not apply with the family
    rule: str | None  #: whose reason it is
    reason: str | None
    role: str | None  #: of the person of a family whose reason it is
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
        members = place / "members.parquet"
        self._members = parquet.read(members) if members.exists() else None
        listed = parquet.read(folder.path / "applications.parquet", ["application", "document", "subject"])
        self._lines = listed["application"]
        self._numbers = pc.utf8_slice_codeunits(self._lines, 0, CODE_LENGTH).combine_chunks().cast("int64").to_numpy()
        self._documents, self._subjects = listed["document"], listed["subject"]
        #: Lines of the largest application: so many are compared, whichever was typed.
        self._most = int(np.unique(self._numbers, return_counts=True)[1].max(initial=1)) if members.exists() else 1
        self._codes = _table(frozen / "codes.parquet", ["application", "code", "balls"])
        self._ranks = _table(folder.directory(Stage.DRAWN) / "winners.parquet", ["application", "rank"])

    def reasons(self, application: str, document: str) -> Reasons | Refused:
        """The reasons of one application for the person or body whose document it was handed in with.

        A family's opens to each of its persons, with the verdicts about that person and nobody else; to whoever does
        not apply (a spouse, a former one) with these alone, for a re-check is hers to ask for.
        """
        if not len(self._numbers):
            return NOT_FOUND
        code = stripped(application)
        number = int(code) if code.isascii() and code.isdigit() and len(code) == CODE_LENGTH else -1
        first = min(int(np.searchsorted(self._numbers, number)), len(self._numbers) - 1)
        # Whatever was typed, as many rows are read and compared: neither answer nor work tells which of the two was
        # wrong, nor how large a family is.
        rows = [min(first + further, len(self._numbers) - 1) for further in range(self._most)]
        theirs = [(self._documents[row].as_py(), self._subjects[row].as_py()) for row in rows]
        same = [
            _matches(document, own) & (int(self._numbers[row]) == number) for row, own in zip(rows, theirs, strict=True)
        ]
        found = self._read(rows[same.index(True) if True in same else 0])
        return found if any(same) else NOT_FOUND

    def _read(self, row: int) -> Reasons:
        line = str(self._lines[row].as_py())
        application = line[:CODE_LENGTH]
        # Without families every line has a result of its own.
        place = row if self._members is None else _place(self._results["application"], application)
        own = told = self._results.slice(place, 1).to_pylist()[0]
        if self._members is not None and (place := _place(self._members["line"], line)) >= 0:
            own = self._members.slice(place, 1).to_pylist()[0]
        rules = [name for name in told if f"{name}_reason" in told]
        verdicts = {r: (own[r], own[f"{r}_reason"]) for r in rules if own[r] != "not_applicable"}
        if own.get("role") in ASKED_ABOUT and own is not told:
            return Reasons(application, line, "", None, None, None, verdicts, None, None, None)
        return Reasons(
            application=application,
            line=line,
            status=told["status"],
            rule=told["rule"],
            reason=told["reason"],
            role=told.get("role"),
            verdicts=verdicts,
            code=_value(self._codes, application, "code"),
            balls=_value(self._codes, application, "balls"),
            rank=_value(self._ranks, application, "rank"),
        )


def _place(column: Any, value: str) -> int:
    """Row of a value, -1 if there is none."""
    return int(pc.index(column, value).as_py())


def _table(place: Path, columns: list[str]) -> Any:
    """Some columns of a private table; None before its stage."""
    return parquet.read(place, columns) if place.exists() else None


def _value(table: Any, application: str, column: str) -> Any:
    """The application's value, None if it has none. The whole column is read, whoever is looked for."""
    if table is None:
        return None
    row = _place(table["application"], application)
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
