"""The list of applications, raw as typed, and the truth about each.

Lines
    One for each applicant; some apply twice or three times (perhaps as another kind); some lines are
    spoiled: a slip in the number, a wrong name, a document that does not fit the kind, no known kind.
    Spoiled lines are others than those of people who apply more than once: whether a line with a good
    number is a duplicate must follow from the list alone.
Truth
    `eligible` and `cause` say what is so, whatever was typed or recorded: the decision of somebody who
    knows everything. `clean` says that nothing unhealable lies between the truth and a careful reader,
    who must then find exactly `cause`. Of the others such a reader may only find the truth, or nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongban.demo import dirt, numbers, situations, spoiling
from tongban.demo.columns import Flags, Ints, between, day, day_texts, picked
from tongban.demo.people import City
from tongban.demo.registers import CONSULTED
from tongban.demo.sizes import UNIT_KINDS, Size

_KINDS = ("resident", "work_permit", "residence_permit", "foreign", "enterprise", "social_body")

#: Shares of lines [assumed].
_TWICE = 0.003
_WRONG_NUMBER, _WRONG_NAME, _FORMER_NAME, _MISFIT, _NO_KIND = 0.002, 0.003, 0.003, 0.002, 0.0004
_OTHER_KIND = 0.1  #: of residents who apply twice, how many as another kind


def lines_twice(size: Size) -> int:
    """Lines that are somebody's second or third."""
    return max(2, round(size.applications * _TWICE))


@dataclass(slots=True)
class Lines:
    """One row a line that is not a military person's."""

    kind: npt.NDArray[Any]  #: text
    true_kind: npt.NDArray[Any]  #: text; what the line would say if it were filled in rightly
    subject: Ints
    handler: Ints  #: -1 for persons
    submitted: Ints  #: day
    code: Ints  #: application code
    military: Ints  #: application codes of military persons' lines
    cause: npt.NDArray[Any]  #: text
    planted: Flags
    duplicate: Flags
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
    twice = _who_twice(lines, lines_twice(size), rng)
    rows = np.concatenate([np.arange(lines.size), twice])
    again = np.arange(rows.size) >= lines.size
    for name in ("kind", "true_kind", "subject", "handler", "cause", "planted", "spoiled"):
        setattr(lines, name, getattr(lines, name)[rows])
    lines.submitted = between(rng, day(city.world.window_from), day(city.world.at), rows.size)
    lines.code, lines.military = np.split(_codes(rng, rows.size + city.military.size), [rows.size])
    _as_other_kind(lines, np.flatnonzero(again), rng)
    lines.duplicate = _later_ones(lines)
    lines.cause = np.where(lines.duplicate, "duplicate_application", lines.cause)
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
        submitted=none,
        code=none,
        military=none,
        cause=np.concatenate([situations.causes(lot) for _, _, lot in lots]),
        planted=np.concatenate([lot.planted for _, _, lot in lots]),
        duplicate=no,
        spoiled=no.copy(),
    )


def _who_twice(lines: Lines, count: int, rng: np.random.Generator) -> Ints:
    """Rows whose applicants apply again; the first of them once more."""
    free = np.flatnonzero(~lines.planted)
    others = rng.choice(free, count - 1, replace=False)
    return np.append(others, others[0])


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
    """Lines of a subject after the earliest one (by day, then by application code)."""
    rows = lines.subject.size
    order = np.lexsort((lines.code, lines.submitted, lines.subject))
    later = np.zeros(rows, np.bool_)
    same = lines.subject[order[1:]] == lines.subject[order[:-1]]
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
    columns = _columns(city, lines, rng)
    victims = _spoil_lines(city, lines, edits, columns, size, rng)
    _vary_lines(city, lines, edits, columns, np.setdiff1d(np.arange(lines.size), victims), size, rng)
    columns = edits.apply(columns, np.arange(lines.size))
    military = _military(city, lines, rng)
    together = {name: pa.concat_arrays([column, military[name]]) for name, column in columns.items()}
    order = pa.array(rng.permutation(lines.size + city.military.size))
    return pa.table({name: column.take(order) for name, column in together.items()})


def _columns(city: City, lines: Lines, rng: np.random.Generator) -> dict[str, Any]:
    units = lines.handler >= 0
    handler = pa.array(lines.handler, mask=~units)
    subject = pa.array(lines.subject)
    return {
        "application": pa.array(lines.code).cast(pa.string()),
        "kind": pa.array(lines.kind, pa.string()),
        "submitted_on": day_texts(lines.submitted),
        "name": city.names.take(subject),
        "document_type": picked(numbers.DOCUMENTS, city.documents[lines.subject]),
        "document_number": city.texts.take(subject),
        "handler_name": city.names.take(handler),
        "handler_number": city.texts.take(handler),
        "failed_draws": _failed_draws(city, rng, lines.size),
    }


def _failed_draws(city: City, rng: np.random.Generator, rows: int) -> pa.Array:
    """A draw each month in 2011 to 2013, then one every two months; many are new, some were there from the first."""
    most = 36 + 6 * (city.world.at.year - 2014) + city.world.at.month // 2 - 1
    return pa.array(np.floor(rng.beta(0.8, 1.6, rows) * (most + 1)).astype(np.int32))


def _military(city: City, lines: Lines, rng: np.random.Generator) -> dict[str, Any]:
    rows = city.military.size
    subject = pa.array(city.military)
    nothing = pa.nulls(rows, pa.string())
    days = between(rng, day(city.world.window_from), day(city.world.at), rows)
    return {
        "application": pa.array(lines.military).cast(pa.string()),
        "kind": pa.array(["military"] * rows, pa.string()),
        "submitted_on": day_texts(days),
        "name": city.names.take(subject),
        "document_type": picked(numbers.DOCUMENTS, np.zeros(rows, np.int8)),
        "document_number": city.texts.take(subject),
        "handler_name": nothing,
        "handler_number": nothing,
        "failed_draws": _failed_draws(city, rng, rows),
    }


# --- Spoiled lines ------------------------------------------------------------------------------


def _spoil_lines(
    city: City, lines: Lines, edits: dirt.Edits, columns: dict[str, Any], size: Size, rng: np.random.Generator
) -> Ints:
    """Spoil some lines beyond healing; returns their rows."""
    shares = (_WRONG_NUMBER, _WRONG_NAME, _FORMER_NAME, _MISFIT, _NO_KIND)
    counts = [max(1, round(size.applications * share)) for share in shares]
    several = np.isin(lines.subject, lines.subject[lines.duplicate])
    free = rng.permutation(np.flatnonzero(~lines.planted & ~several))
    wrong_number, wrong_name, former_name, misfit, no_kind = np.split(free[: sum(counts)], np.cumsum(counts)[:-1])
    _mistype(city, lines, edits, columns, wrong_number, rng)
    _miswrite(lines, edits, columns, wrong_name, rng)
    _rename(lines, edits, columns, former_name, rng)
    _misfit(lines, edits, misfit[lines.handler[misfit] < 0], rng)
    for row in no_kind.tolist():
        edits.put("kind", row, (None, "", "个人", "other")[int(rng.integers(4))])
    lines.spoiled[free[: sum(counts)]] = True
    return free[: sum(counts)]


def _mistype(
    city: City, lines: Lines, edits: dirt.Edits, columns: dict[str, Any], rows: Ints, rng: np.random.Generator
) -> None:
    for row, luck in _with_luck(rows, rng):
        subject, column = int(lines.subject[row]), "document_number"
        if lines.handler[row] >= 0 and luck % 2:
            subject, column = int(lines.handler[row]), "handler_number"
        text = columns[column][row].as_py()
        edits.put(column, row, dirt.mistype_number(int(city.documents[subject]), text, luck // 2))


def _miswrite(lines: Lines, edits: dirt.Edits, columns: dict[str, Any], rows: Ints, rng: np.random.Generator) -> None:
    """Another name than the person's, or none; a unit's own name is not compared, its handler's is."""
    for row, luck in _with_luck(rows, rng):
        column = "handler_name" if lines.handler[row] >= 0 else "name"
        text = columns[column][row].as_py()
        edits.put(column, row, spoiling.miswritten_name(text, luck // 8) if luck % 8 else None)


def _rename(lines: Lines, edits: dirt.Edits, columns: dict[str, Any], rows: Ints, rng: np.random.Generator) -> None:
    """The name that somebody bore before."""
    for row, luck in _with_luck(rows, rng):
        column = "handler_name" if lines.handler[row] >= 0 else "name"
        edits.put(column, row, spoiling.renamed(columns[column][row].as_py(), luck))


def _misfit(lines: Lines, edits: dirt.Edits, rows: Ints, rng: np.random.Generator) -> None:
    """A kind and a document that do not go together: citizens as foreigners, residents with a passport, the reverse."""
    for row, luck in _with_luck(rows, rng):
        if lines.kind[row] == "foreign":
            edits.put("kind", row, "resident")
        elif luck % 2:
            edits.put("kind", row, "foreign")
        else:
            edits.put("document_type", row, "护照")
            edits.put("document_number", row, f"ZZ9{row:06d}")


def _vary_lines(
    city: City,
    lines: Lines,
    edits: dirt.Edits,
    columns: dict[str, Any],
    rows: Ints,
    size: Size,
    rng: np.random.Generator,
) -> None:
    """Spell numbers and names of some lines in another way that normalising undoes."""
    chosen = rng.permutation(rows)[: round(lines.size * size.healable)]
    # People who apply twice often write their number in two ways.
    chosen = np.union1d(chosen, np.flatnonzero(lines.duplicate)[::2])
    for row, luck in _with_luck(chosen, rng):
        luck, choice = divmod(luck, 4)
        if choice == 0:
            column = "handler_name" if lines.handler[row] >= 0 else "name"
            edits.put(column, row, spoiling.varied_name(columns[column][row].as_py(), luck))
        else:
            document = int(city.documents[lines.subject[row]])
            number = columns["document_number"][row].as_py()
            edits.put("document_number", row, dirt.vary_number(document, number, luck))


def _with_luck(rows: Ints, rng: np.random.Generator) -> Iterable[tuple[int, int]]:
    return zip(rows.tolist(), rng.integers(1 << 60, size=rows.size).tolist(), strict=True)


# --- The truth ----------------------------------------------------------------------------------


def truth(city: City, lines: Lines, doubted: dict[str, Ints]) -> pa.Table:
    """One row a line, military lines not among them.

    Shape
        doubted: by register, the subjects about whom a reader of it must be in doubt.
    """
    clean = ~lines.spoiled & ~np.isin(lines.cause, list(situations.UNDECIDED))
    for kind, names in CONSULTED.items():
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
