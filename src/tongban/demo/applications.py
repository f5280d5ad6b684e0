"""The list of applications, raw as typed, and the truth about each.

Lines
    One for each applicant; some apply twice or three times (perhaps as another kind); of some a stranger
    has typed the number under another name; some lines are spoiled: a slip in the number, a wrong name,
    a document that does not fit the kind, no known kind. Spoiled lines are others than those whose
    number stands there twice: whether a line is a duplicate must follow from the list alone.
Truth
    `eligible` and `cause` say what is so, whatever was typed or recorded: the decision of somebody who
    knows everything. `clean` says that nothing unhealable lies between the truth and a careful reader,
    who must then find exactly `cause`. Of the others such a reader may only find the truth, or nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tongban.demo import dirt, numbers, situations, spoiling
from tongban.demo.columns import Flags, Ints, between, constant, day, day_texts, picked
from tongban.demo.people import City
from tongban.demo.registers import consulted
from tongban.demo.sizes import UNIT_KINDS, Size

_KINDS = ("resident", "work_permit", "residence_permit", "foreign", "enterprise", "social_body")

#: Shares of lines [assumed].
_TWICE, _STRANGERS, _FURTHER = 0.003, 0.0005, 0.001
_WRONG_NUMBER, _WRONG_NAME, _FORMER_NAME, _MISFIT, _NO_KIND = 0.002, 0.003, 0.003, 0.002, 0.0004
_OTHER_KIND = 0.1  #: of residents who apply twice, how many as another kind


def lines_twice(size: Size) -> tuple[int, int, int]:
    """Lines that are somebody's second or third, with somebody else's number, for an enterprise's further code."""
    twice, strangers = max(2, round(size.applications * _TWICE)), max(1, round(size.applications * _STRANGERS))
    return twice, strangers, max(1, round(size.applications * _FURTHER))


@dataclass(slots=True)
class Lines:
    """One row a line that is not a military person's."""

    kind: npt.NDArray[Any]  #: text
    true_kind: npt.NDArray[Any]  #: text; what the line would say if it were filled in rightly
    subject: Ints
    handler: Ints  #: -1 for persons
    code_number: Ints  #: which of a unit's codes of the year; 1 for persons
    ordinary_number: Ints  #: the same among those for ordinary cars
    submitted: Ints  #: day
    code: Ints  #: application code
    military: Ints  #: application codes of military persons' lines
    cause: npt.NDArray[Any]  #: text
    planted: Flags
    duplicate: Flags
    stranger: Flags  #: the number is the subject's, whoever typed it is not
    spoiled: Flags  #: this line has unhealable dirt

    @property
    def size(self) -> int:
        return self.subject.size


def concerned(city: City) -> tuple[Flags, Flags]:
    """Which subjects apply or handle an application, and which of them are planted."""
    flags, planted = np.zeros((2, len(city.texts)), np.bool_)
    handler = city.handlers
    for kind, (start, lot) in city.lots.items():
        flags[start : start + lot.size] = True
        planted[start : start + lot.size] = lot.planted
        if kind in UNIT_KINDS:
            flags[handler : handler + lot.size] = True
            planted[handler : handler + lot.size] = lot.planted
            handler += lot.size
    return flags, planted


def draw_lines(city: City, size: Size, rng: np.random.Generator) -> Lines:
    lines = _one_each(city)
    times, strangers, further = lines_twice(size)
    several = _who_further(city, lines, further, rng)
    twice, used = _who_again(lines, times, strangers, rng)
    rows = np.concatenate([np.arange(lines.size), twice, several, used])
    again = lines.size + np.arange(twice.size)
    first_of_several = lines.size + twice.size
    lines.stranger = np.arange(rows.size) >= first_of_several + several.size
    for name in (
        *("kind", "true_kind", "subject", "handler", "code_number", "ordinary_number"),
        *("cause", "planted", "spoiled"),
    ):
        setattr(lines, name, getattr(lines, name)[rows])
    # What is enough for a later code is enough for the one before it.
    lines.code_number[first_of_several : first_of_several + several.size] -= 1
    lines.ordinary_number = np.minimum(lines.ordinary_number, lines.code_number)
    lines.submitted = between(rng, day(city.world.window_from), day(city.world.at), rows.size)
    lines.code, lines.military = np.split(_codes(rng, rows.size + city.military.size), [rows.size])
    _as_other_kind(lines, again, rng)
    conflicting = np.isin(lines.subject, lines.subject[lines.stranger])
    lines.duplicate = _later_ones(lines) & ~conflicting
    lines.cause = np.where(lines.duplicate, "duplicate_application", lines.cause)
    lines.cause = np.where(lines.stranger, "conflicting_applications", lines.cause)
    # The true holder's line is as good as ever, but the list does not say which of them it is.
    lines.spoiled = conflicting
    return lines


def _one_each(city: City) -> Lines:
    lots = [(kind, *city.lots[kind]) for kind in _KINDS if kind in city.lots]
    kinds = np.concatenate([np.full(lot.size, kind, object) for kind, _, lot in lots])
    subjects = np.concatenate([start + np.arange(lot.size) for _, start, lot in lots])
    units = np.isin(kinds, UNIT_KINDS)
    handlers = np.full(subjects.size, -1, np.int64)
    handlers[units] = city.handlers + np.arange(int(units.sum()))
    none = np.zeros(subjects.size, np.int64)
    no = np.zeros(subjects.size, np.bool_)
    return Lines(
        kind=kinds,
        true_kind=kinds.copy(),
        subject=subjects,
        handler=handlers,
        code_number=np.concatenate([lot.code_numbers for _, _, lot in lots]),
        ordinary_number=np.concatenate([lot.ordinary_numbers for _, _, lot in lots]),
        submitted=none,
        code=none,
        military=none,
        cause=np.concatenate([situations.causes(lot) for _, _, lot in lots]),
        planted=np.concatenate([lot.planted for _, _, lot in lots]),
        duplicate=no,
        stranger=no.copy(),
        spoiled=no.copy(),
    )


def _who_again(lines: Lines, twice: int, strangers: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Rows whose applicants apply again, the first of them once more; and rows of persons whose number others use."""
    free = rng.permutation(np.flatnonzero(~lines.planted))
    again, rest = np.split(free, [twice - 1])
    return np.append(again, again[0]), rest[lines.handler[rest] < 0][:strangers]


def _who_further(city: City, lines: Lines, count: int, rng: np.random.Generator) -> Ints:
    """Rows of enterprises that pay enough for a later code than their first, and apply for the one before it too."""
    paying = np.isin(lines.subject, city.who(city.vat, "enough"))
    found = np.flatnonzero(paying & (lines.code_number > 1) & ~lines.planted)
    return rng.permutation(found)[:count]


def _as_other_kind(lines: Lines, again: Ints, rng: np.random.Generator) -> None:
    """Some residents apply again as holders of a residence permit, later, so that the first line still counts."""
    different = again[1:-1][(lines.kind[again[1:-1]] == "resident") & (rng.random(again.size - 2) < _OTHER_KIND)]
    for row in different.tolist():
        first = int(np.flatnonzero(lines.subject == lines.subject[row])[0])
        # Codes decide on the same day: the greater one must be the later line's.
        lines.kind[row] = "residence_permit"
        lines.submitted[row] = max(lines.submitted[row], lines.submitted[first])
        low, high = sorted((lines.code[first], lines.code[row]))
        lines.code[first], lines.code[row] = low, high


def _later_ones(lines: Lines) -> Flags:
    """Lines of a subject, for one code of a unit, after the earliest one (by day, then by application code)."""
    rows = lines.subject.size
    order = np.lexsort((lines.code, lines.submitted, lines.code_number, lines.subject))
    later = np.zeros(rows, np.bool_)
    same = lines.subject[order[1:]] == lines.subject[order[:-1]]
    same &= lines.code_number[order[1:]] == lines.code_number[order[:-1]]
    later[order[1:][same]] = True
    return later


def _codes(rng: np.random.Generator, count: int) -> Ints:
    """Different application codes of 13 digits, in no order."""
    codes = np.unique(rng.integers(10**12, 10**13, count + count // 100 + 10))
    return rng.permutation(codes)[:count]


# --- The list -----------------------------------------------------------------------------------


def write_lines(city: City, lines: Lines, size: Size, rng: np.random.Generator) -> pa.Table:
    """The list as it lies at the Transport department, military lines included; spoils lines and says so in them."""
    edits = dirt.Edits(lines.size)
    typist = _Typist(city, lines, _columns(city, lines, rng), edits, rng)
    victims = typist.spoil(size)
    typist.vary(np.setdiff1d(np.arange(lines.size), victims), round(lines.size * size.healable))
    columns = edits.apply(typist.columns, np.arange(lines.size))
    military = _military(city, lines, rng)
    together = {name: pa.concat_arrays([column, military[name]]) for name, column in columns.items()}
    order = pa.array(rng.permutation(lines.size + city.military.size))
    return pa.table({name: column.take(order) for name, column in together.items()})


def _columns(city: City, lines: Lines, rng: np.random.Generator) -> dict[str, Any]:
    handler = pa.array(lines.handler, mask=lines.handler < 0)
    subject = pa.array(lines.subject)
    return {
        "application": pa.array(lines.code).cast(pa.string()),
        "kind": pa.array(lines.kind, pa.string()),
        "submitted_on": day_texts(lines.submitted),
        "name": city.names.take(subject),
        **_documents(city, lines),
        "handler_name": city.names.take(handler),
        "handler_number": city.texts.take(handler),
        **_code_numbers(city, lines),
        "failed_draws": _failed_draws(city, rng, lines.size),
    }


def _documents(city: City, lines: Lines) -> dict[str, Any]:
    """What each applied with. While both are good, some bodies apply under the old number though they have a new."""
    texts, documents = city.texts.take(pa.array(lines.subject)), city.documents[lines.subject]
    old = (documents == numbers.CREDIT_DOCUMENT) & (lines.code % 3 == 0) & city.world.old_codes
    place = np.where(old, lines.subject - city.organisations[0], 0)
    return {
        "document_type": picked(numbers.DOCUMENTS, np.where(old, numbers.ORGANISATION_DOCUMENT, documents)),
        "document_number": pc.if_else(pa.array(old), city.organisation_codes.take(pa.array(place)), texts),
    }


def _code_numbers(city: City, lines: Lines) -> dict[str, Any]:
    """As the office counted them on receipt; the first of a unit is often left empty, and so are those of persons."""
    numbers, ordinary = lines.code_number, lines.ordinary_number
    said = (lines.handler >= 0) & ((numbers > 1) | (lines.code % 2 == 0))
    told = said & (ordinary != numbers)
    return {
        "code_number": pa.array(numbers, mask=~said).cast(pa.string()),
        "ordinary_number": pa.array(ordinary, mask=~told).cast(pa.string()),
    }


def _failed_draws(city: City, rng: np.random.Generator, rows: int) -> pa.Array:
    """A draw each month in 2011 to 2013, then one every two months; many are new, some were there from the first."""
    at = city.world.at
    most = 12 * (at.year - 2011) + at.month - 1 if at.year < 2014 else 36 + 6 * (at.year - 2014) + at.month // 2 - 1
    return pa.array(np.floor(rng.beta(0.8, 1.6, rows) * (most + 1)).astype(np.int32))


def _military(city: City, lines: Lines, rng: np.random.Generator) -> dict[str, Any]:
    rows = city.military.size
    subject = pa.array(city.military)
    days = between(rng, day(city.world.window_from), day(city.world.at), rows)
    return {
        "application": pa.array(lines.military).cast(pa.string()),
        "kind": constant("military", rows),
        "submitted_on": day_texts(days),
        "name": city.names.take(subject),
        "document_type": constant(numbers.DOCUMENTS[numbers.CITIZEN_CARD], rows),
        "document_number": city.texts.take(subject),
        "handler_name": pa.nulls(rows, pa.string()),
        "handler_number": pa.nulls(rows, pa.string()),
        "code_number": pa.nulls(rows, pa.string()),
        "ordinary_number": pa.nulls(rows, pa.string()),
        "failed_draws": _failed_draws(city, rng, rows),
    }


@dataclass(slots=True)
class _Typist:
    """Who typed the lines, with all that went wrong."""

    city: City
    lines: Lines
    columns: dict[str, Any]
    edits: dirt.Edits
    rng: np.random.Generator

    def spoil(self, size: Size) -> Ints:
        """Spoil some lines beyond healing; returns their rows."""
        lines = self.lines
        for row, luck in self._with_luck(np.flatnonzero(lines.stranger)):
            self._rename(row, luck)
        _, place, times = np.unique(lines.subject, return_inverse=True, return_counts=True)
        several = times[place] > 1
        free = self.rng.permutation(np.flatnonzero(~lines.planted & ~several))
        victims = []
        for share, spoil in (
            (_WRONG_NUMBER, self._mistype),
            (_WRONG_NAME, self._miswrite),
            (_FORMER_NAME, self._rename),
            (_MISFIT, self._misfit),
            (_NO_KIND, self._forget_kind),
        ):
            rows, free = np.split(free, [max(1, round(size.applications * share))])
            for row, luck in self._with_luck(rows):
                spoil(row, luck)
            victims.append(rows)
        lines.spoiled[np.concatenate(victims)] = True
        return np.flatnonzero(lines.spoiled)

    def vary(self, rows: Ints, count: int) -> None:
        """Spell numbers and names of some lines in another way that normalising undoes."""
        chosen = self.rng.permutation(rows)[:count]
        # People who apply twice often write their number in two ways.
        chosen = np.union1d(chosen, np.flatnonzero(self.lines.duplicate)[::2])
        for row, luck in self._with_luck(chosen):
            luck, choice = divmod(luck, 16)
            if choice == 0:
                column = ("kind", "document_type")[luck % 2]
                self._put(row, column, partial(spoiling.varied_text, luck=luck // 2))
            elif choice < 5:
                self._put(row, self._name_column(row), partial(spoiling.varied_name, luck=luck))
            else:
                document = int(self.city.documents[self.lines.subject[row]])
                self._put(row, "document_number", partial(dirt.vary_number, document, luck=luck))

    def _with_luck(self, rows: Ints) -> Iterable[tuple[int, int]]:
        return zip(rows.tolist(), self.rng.integers(1 << 60, size=rows.size).tolist(), strict=True)

    def _put(self, row: int, column: str, change: Callable[[str], str | None]) -> None:
        self.edits.put(column, row, change(self.columns[column][row].as_py()))

    def _is_unit(self, row: int) -> bool:
        return bool(self.lines.handler[row] >= 0)

    def _name_column(self, row: int) -> str:
        """A unit's own name is not compared, its handler's is."""
        return "handler_name" if self._is_unit(row) else "name"

    def _mistype(self, row: int, luck: int) -> None:
        luck, choice = divmod(luck, 2)
        of_handler = self._is_unit(row) and choice == 1
        subject = self.lines.handler[row] if of_handler else self.lines.subject[row]
        document = int(self.city.documents[subject])
        column = "handler_number" if of_handler else "document_number"
        self._put(row, column, lambda text: dirt.mistype_number(document, text, luck))

    def _miswrite(self, row: int, luck: int) -> None:
        luck, choice = divmod(luck, 8)
        self._put(row, self._name_column(row), lambda text: spoiling.miswritten_name(text, luck) if choice else None)

    def _rename(self, row: int, luck: int) -> None:
        self._put(row, self._name_column(row), lambda text: spoiling.renamed(text, luck))

    def _misfit(self, row: int, luck: int) -> None:
        """A kind and a document that do not go together, whatever the number."""
        if self._is_unit(row):
            self.edits.put("document_type", row, "身份证")
        elif self.lines.kind[row] == "foreign":
            self.edits.put("kind", row, "resident")
        elif luck % 2:
            self.edits.put("kind", row, "foreign")
        else:
            self.edits.put("document_type", row, "护照")
            self.edits.put("document_number", row, f"ZZ9{row:06d}")

    def _forget_kind(self, row: int, luck: int) -> None:
        self.edits.put("kind", row, (None, "", "个人", "other")[luck % 4])


# --- The truth ----------------------------------------------------------------------------------


def truth(city: City, lines: Lines, doubted: dict[str, Ints]) -> pa.Table:
    """One row a line, military lines not among them.

    Shape
        doubted: by register, the subjects about whom a reader of it must be in doubt.
    """
    clean = ~lines.spoiled & ~np.isin(lines.cause, list(situations.UNDECIDED))
    for kind, names in consulted(city.world).items():
        rows = np.flatnonzero(lines.true_kind == kind)
        for name in names:
            clean[rows] &= ~np.isin(lines.subject[rows], doubted.get(name, np.array([], np.int64)))
    clean &= ~np.isin(lines.handler, doubted["population"])
    # That somebody applied before stands in the list itself: no register is asked.
    clean |= lines.duplicate
    order = np.argsort(lines.code)
    return pa.table(
        {
            "application": pa.array(lines.code[order]).cast(pa.string()),
            "eligible": pa.array(lines.cause[order] == ""),
            "clean": pa.array(clean[order]),
            "cause": pa.array(lines.cause[order], pa.string()),
        }
    )
