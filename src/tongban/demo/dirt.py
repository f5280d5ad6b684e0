"""Dirt as real registers have it, of two kinds, and why neither misleads a careful reader.

Healable: what normalising undoes, and identical rows twice. The fact is the same as before.
    In registers whose amounts are added up there are no rows twice: a sum would change.

Unhealable: the fact is lost. A careful reader must then be in doubt about exactly the person it was
about, and must never take the loss for an answer. Of each kind of dirt:

SLIP    A citizen number of 18 characters with one slip is never a good number (ISO 7064), so the row is
        rejected; the true number is one slip away from it, so that person's key comes into doubt in this
        register. For other identifiers nothing leads back to the body: the row is simply gone. That is
        harmless where silence leaves the rule unknown; elsewhere only rows of those who do not apply get it.
LOST    No identifier at all: nothing leads back, so the same condition as for other identifiers.
MISSING A value that a rule reads is empty. In a register of one row a key, and for a vehicle, the fact
        is NULL and the comparison unknown; a row of months or of tax is rejected and its good key comes
        into doubt.
UNTYPED The document's type is missing or unknown: the row is rejected, and its number comes into doubt as
        whichever document it may be.
MALFORMED  The row is rejected, its key is good and comes into doubt. A division code has no table to be
        outside of, and a shorter one would read as "elsewhere", so those are never malformed.
CONTRADICTED  A second row with another value: in a register of one row a key, and for a vehicle by its
        plate, the value becomes NULL. Never in the others: a further month or amount is a fact.
MISWRITTEN  A name that is not the person's: a different name is unknown, never no.

A row gets at most one kind, so that a lost value and its contradiction never meet in one fact.
The rows of planted applicants get no unhealable dirt.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any

import numpy as np
import pyarrow as pa

from tongban.demo import numbers, spoiling
from tongban.demo.columns import Flags, Ints
from tongban.demo.people import City, divisions
from tongban.demo.registers import DOCUMENT_TYPE, Column, Frame, Holds, Register, Rows
from tongban.demo.sizes import Size
from tongban.identity.identifiers import nearby


class Kind(Enum):
    SLIP = "slip"
    LOST = "lost"
    MISSING = "missing"
    UNTYPED = "untyped"
    MALFORMED = "malformed"
    CONTRADICTED = "contradicted"
    MISWRITTEN = "miswritten"


#: A day before every world: divisions that were there then are there in all of them.
_ANY_WORLD = date(2000, 1, 1)

#: How often each kind occurs where a row can get them all [assumed].
_OFTEN = {
    Kind.SLIP: 0.30,
    Kind.LOST: 0.06,
    Kind.MISSING: 0.20,
    Kind.UNTYPED: 0.04,
    Kind.MALFORMED: 0.22,
    Kind.CONTRADICTED: 0.12,
    Kind.MISWRITTEN: 0.08,
}


@dataclass(frozen=True, slots=True)
class Care:
    """Who must not be misled."""

    city: City
    concerned: Flags  #: subjects that apply or handle an application
    spared: Flags  #: subjects whose rows get no unhealable dirt


@dataclass(slots=True)
class Edits:
    """Changes to a frame: rows copied to its end, and texts put in places."""

    rows: int
    copies: list[int] = field(default_factory=list)
    texts: dict[str, list[tuple[int, str | None]]] = field(default_factory=lambda: defaultdict(list))

    def put(self, column: str, row: int, text: str | None) -> None:
        self.texts[column].append((row, text))

    def copy(self, row: int) -> int:
        """The place of a copy of `row`."""
        self.copies.append(row)
        return self.rows + len(self.copies) - 1

    def apply(self, columns: dict[str, Any], order: Ints) -> dict[str, Any]:
        """The changed columns, their rows (copies included) in `order`; empties `columns`."""
        # One column after the other is let go: both versions of a register of 22 million rows would not fit.
        return {name: self._changed(columns.pop(name), self.texts.get(name, []), order) for name in list(columns)}

    def _changed(self, column: Any, puts: list[tuple[int, str | None]], order: Ints) -> Any:
        source = np.concatenate([np.arange(self.rows), np.array(self.copies, np.int64)])
        if puts:
            source[[row for row, _ in puts]] = self.rows + np.arange(len(puts))
            column = pa.concat_arrays([column, pa.array([text for _, text in puts], pa.string())])
        return column.take(pa.array(source[order]))


def soiled(frame: Frame, care: Care, size: Size, rng: np.random.Generator) -> tuple[Frame, Ints]:
    """The frame with dirt, its rows in no order, and the subjects about whom a reader must now be in doubt."""
    rows = frame.subjects.size
    edits = Edits(rows)
    chosen = rng.permutation(rows)
    healable = round(rows * size.healable)
    unhealable = round(rows * size.unhealable)
    _heal(frame, care, edits, chosen[:healable], rng)
    victims = chosen[healable : healable + unhealable]
    victims = victims[~care.spared[frame.subjects[victims]]]
    doubted = _harm(frame, care, edits, victims, rng)
    order = rng.permutation(rows + len(edits.copies))
    subjects = np.concatenate([frame.subjects, frame.subjects[edits.copies]]) if edits.copies else frame.subjects
    return Frame(frame.register, edits.apply(frame.columns, order), subjects[order]), doubted


# --- Healable -----------------------------------------------------------------------------------

_VARIED = {
    numbers.CITIZEN_CARD: spoiling.varied_citizen_number,
    numbers.ORGANISATION_DOCUMENT: spoiling.varied_organisation_code,
    numbers.CREDIT_DOCUMENT: spoiling.varied_organisation_code,
}
_MISTYPED = {
    numbers.CITIZEN_CARD: spoiling.mistyped_citizen_number,
    numbers.ORGANISATION_DOCUMENT: spoiling.mistyped_organisation_code,
    numbers.CREDIT_DOCUMENT: spoiling.mistyped_credit_code,
}


def vary_number(document: int, text: str, luck: int) -> str:
    """Another spelling of the same identifier; `document` as in numbers.DOCUMENTS."""
    return _VARIED.get(document, spoiling.varied_document)(text, luck)


def mistype_number(document: int, text: str, luck: int) -> str:
    """No identifier, though nearly this one."""
    return _MISTYPED.get(document, spoiling.mistyped_document)(text, luck)


def _heal(frame: Frame, care: Care, edits: Edits, rows: Ints, rng: np.random.Generator) -> None:
    register = frame.register
    others = [column for column in register.read() if column.holds is not Holds.NAME]
    names = [column for column in register.columns if column.holds is Holds.NAME]
    texts = {name: column.take(pa.array(rows)).to_pylist() for name, column in frame.columns.items()}
    for place, row in enumerate(rows.tolist()):
        choice, luck = divmod(int(rng.integers(1 << 60)), 1 << 50)
        if choice < 550 or (choice < 700 and not names):
            document = int(care.city.documents[frame.subjects[row]])
            edits.put(register.number, row, vary_number(document, texts[register.number][place], luck))
        elif choice < 700:
            edits.put(names[0].name, row, spoiling.varied_name(texts[names[0].name][place], luck))
        elif choice < 850 or register.rows is Rows.SUM:
            column = others[luck % len(others)].name
            edits.put(column, row, spoiling.varied_text(texts[column][place], luck // 16))
        else:
            edits.copy(row)


# --- Unhealable ---------------------------------------------------------------------------------

_MALFORMED = {
    Holds.DAY: spoiling.malformed_day,
    Holds.MONTH: spoiling.malformed_month,
    Holds.AMOUNT: spoiling.malformed_amount,
    Holds.CODE: spoiling.unlisted_code,
}


def _harm(frame: Frame, care: Care, edits: Edits, rows: Ints, rng: np.random.Generator) -> Ints:
    doubted = set(frame.subjects[rows].tolist())
    texts = {name: column.take(pa.array(rows)).to_pylist() for name, column in frame.columns.items()}
    slips: list[str] = []
    for place, row in enumerate(rows.tolist()):
        subject = int(frame.subjects[row])
        document = int(care.city.documents[subject])
        kinds = _fitting(frame.register, document == numbers.CITIZEN_CARD, bool(care.concerned[subject]))
        kind = kinds[int(np.searchsorted(_edges(kinds), rng.random()))]
        text = {name: column[place] for name, column in texts.items()}
        wrong = _spoil(frame.register, edits, kind, row, text, document, int(rng.integers(1 << 60)))
        if kind is Kind.SLIP and document == numbers.CITIZEN_CARD:
            slips.append(wrong)
    doubted.update(_near(care, slips).tolist())
    return np.array(sorted(doubted), np.int64)


def _fitting(register: Register, citizen: bool, concerned: bool) -> tuple[Kind, ...]:
    """The kinds that a row can get; the reasons stand at the head of this file."""
    harmless = not concerned or not register.silence_decides
    reads = {column.holds for column in register.read()}
    allowed = {
        Kind.SLIP: citizen or harmless,
        Kind.LOST: harmless,
        Kind.MISSING: True,
        Kind.UNTYPED: any(column.name == DOCUMENT_TYPE for column in register.columns),
        Kind.MALFORMED: bool(reads & _MALFORMED.keys()),
        Kind.CONTRADICTED: register.rows in (Rows.ONE, Rows.THINGS),
        Kind.MISWRITTEN: Holds.NAME in reads,
    }
    return tuple(kind for kind, fits in allowed.items() if fits)


def _edges(kinds: tuple[Kind, ...]) -> Any:
    weights = np.cumsum([_OFTEN[kind] for kind in kinds])
    return weights / weights[-1]


def _spoil(
    register: Register, edits: Edits, kind: Kind, row: int, text: dict[str, str], document: int, luck: int
) -> str:
    """Put the dirt into one row; returns the wrong text, "" if there is none."""
    luck, choice = divmod(luck, 60)
    if kind in (Kind.SLIP, Kind.LOST):
        wrong = mistype_number(document, text[register.number], luck) if kind is Kind.SLIP else ""
        edits.put(register.number, row, wrong or _nothing(luck))
        return wrong
    if kind is Kind.UNTYPED:
        edits.put(DOCUMENT_TYPE, row, (None, "", "其他", "身份証")[choice % 4])
        return ""
    column = _pick(register, kind, choice)
    if kind is Kind.MISSING:
        edits.put(column.name, row, _nothing(luck))
        return ""
    if kind is Kind.CONTRADICTED:
        row = edits.copy(row)
        wrong = _contradicting(column, text[column.name], luck)
    elif kind is Kind.MISWRITTEN:
        wrong = spoiling.miswritten_name(text[column.name], luck)
    elif column.holds is Holds.MONTH and choice % 3 == 0:
        return _reversed(edits, row, text)
    else:
        wrong = _MALFORMED[column.holds](text[column.name], luck)
    edits.put(column.name, row, wrong)
    return wrong


def _pick(register: Register, kind: Kind, choice: int) -> Column:
    """A column that can get this kind of dirt."""
    if kind is Kind.MALFORMED:
        fitting = [column for column in register.read() if column.holds in _MALFORMED]
    elif kind is Kind.MISWRITTEN:
        fitting = [column for column in register.read() if column.holds is Holds.NAME]
    else:
        fitting = list(register.read())
    return fitting[choice % len(fitting)]


def _nothing(luck: int) -> str | None:
    return "" if luck % 2 else None


def _contradicting(column: Column, text: str, luck: int) -> str:
    if column.holds is Holds.DAY:
        return spoiling.another_day(text, luck)
    if column.holds is Holds.NAME:
        return spoiling.miswritten_name(text, luck)
    inside, outside = divisions(_ANY_WORLD)
    choices = column.codes if column.holds is Holds.CODE else (*inside, *outside)
    rest = [choice for choice in choices if choice != text]
    return rest[luck % len(rest)]


def _reversed(edits: Edits, row: int, text: dict[str, str]) -> str:
    """The last month before the first."""
    first, last = text["month_from"], text["month_to"]
    if first == last:
        first = f"{int(last[:4]) + 1}{last[4:]}"
    edits.put("month_from", row, max(first, last))
    edits.put("month_to", row, min(first, last))
    return ""


def _near(care: Care, slips: list[str]) -> Ints:
    """Subjects concerned whose own numbers lie one slip away from somebody's mistyped ones."""
    keys = np.array(sorted({key for slip in slips for key in nearby(slip)}), np.int64)
    concerned = np.flatnonzero(care.concerned[: care.city.citizens])
    return concerned[np.isin(care.city.keys[concerned], keys)]
