"""Policy: the numbers a round goes by, each dated and with its source, read from a folder an office can correct.

`quota.csv` how many win, `ladder.csv` how many balls, `limits.csv` working days and the like, `kinds.csv` who may
apply with which document, `remedies.csv` what happens when a re-check comes too late, `reasons.csv` what the public
reads for reasons that belong to no single rule, `doubles.csv` which of several applications counts, `points.csv` what a
family's balls are made of. A row is in force from `valid_from` to `valid_until`, both days included; without
`valid_until` it has no end. A folder without `quota.csv` and `ladder.csv` is of a matter in which nothing is drawn.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from tongban.kit import canonical
from tongban.kit.config import FileInvalid, read_text

#: Scale of the quotas that are the city's own; others are a demonstration's.
CITY = "city"
ORDERS, OUTCOMES = ("earliest", "none"), ("not_eligible", "needs_person")
_DATED = ("valid_from", "valid_until", "source")


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the ladder: from `failed_from` failed draws on, `balls`, and one more for each further `then_every`."""

    pool: str
    failed_from: int
    balls: int
    then_every: int  #: 0: no more


@dataclass(frozen=True, slots=True)
class Kind:
    """One document with which one kind of applicant may apply."""

    kind: str
    pool: str  #: empty: checked by others; such lines are set aside on reading and counted nowhere
    document_type: str
    domain: str  #: of the document's number as a subject key


@dataclass(frozen=True, slots=True)
class Remedy:
    """What an applicant is owed whose re-check changed the finding after the freeze."""

    remedy: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Double:
    """What becomes of applications that exclude each other for one reason."""

    reason: str
    order: str  #: "earliest": the earliest counts and the others get the outcome; "none": all of them get it
    outcome: str  #: not_eligible, needs_person


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything in force on one day."""

    at: date
    scale: str
    quotas: Mapping[str, int]  #: winners a pool
    ladder: tuple[Step, ...]
    limits: Mapping[str, int]
    kinds: tuple[Kind, ...]
    remedies: tuple[Remedy, ...]
    reasons: Mapping[str, tuple[str, str]]  #: Chinese and English text by code
    doubles: tuple[Double, ...] = ()
    points: Mapping[str, int] = field(default_factory=dict)  #: empty where no family may apply

    def to_json(self) -> dict[str, Any]:
        families = {"doubles": [asdict(double) for double in self.doubles], "points": dict(self.points)}
        return {
            "at": self.at.isoformat(),
            "scale": self.scale,
            "quotas": dict(self.quotas),
            "ladder": [asdict(step) for step in self.ladder],
            "limits": dict(self.limits),
            "kinds": [asdict(kind) for kind in self.kinds],
            "remedies": [asdict(remedy) for remedy in self.remedies],
            "reasons": {code: list(texts) for code, texts in self.reasons.items()},
            # A policy that says nothing of them has the digest that it always had.
            **{name: value for name, value in families.items() if value},
        }

    def digest(self) -> str:
        """What the freeze statement commits: a ladder changed afterwards has another digest."""
        return canonical.digest(self.to_json())

    @property
    def pools(self) -> tuple[str, ...]:
        """Pools that have a quota, sorted."""
        return tuple(sorted(self.quotas))

    @property
    def draws(self) -> bool:
        """Whether there is something to win. Where there is not, the findings are the round's result."""
        return bool(self.quotas or self.ladder)

    def pool_of(self) -> dict[str, str]:
        """Pool of each kind of applicant; kinds set aside are not in it."""
        return {kind.kind: kind.pool for kind in self.kinds if kind.pool}

    def set_aside(self) -> frozenset[str]:
        return frozenset(kind.kind for kind in self.kinds if not kind.pool)


def from_json(value: Mapping[str, Any]) -> Policy:
    """The policy that `to_json` wrote."""
    return Policy(
        date.fromisoformat(value["at"]),
        value["scale"],
        dict(value["quotas"]),
        tuple(Step(**step) for step in value["ladder"]),
        dict(value["limits"]),
        tuple(Kind(**kind) for kind in value["kinds"]),
        tuple(Remedy(**remedy) for remedy in value["remedies"]),
        {code: (zh, en) for code, (zh, en) in value["reasons"].items()},
        tuple(Double(**double) for double in value.get("doubles", ())),
        dict(value.get("points", {})),
    )


def read_policy(folder: Path, at: date, scale: str = CITY) -> Policy:
    """What the folder's files say for the day `at`. Raises FileInvalid, with file and line.

    `scale` chooses among the quotas: the city's own, or those of a demonstration with fewer people.
    """
    quotas, ladder = _draw_rows(folder, at)
    limits = _rows(folder / "limits.csv", ("limit", "value"), ("limit",), at)
    kinds = _rows(folder / "kinds.csv", ("kind", "pool", "document_type", "domain"), ("kind", "document_type"), at)
    remedies = _rows(folder / "remedies.csv", ("remedy", "zh", "en"), ("remedy",), at)
    reasons = _rows(folder / "reasons.csv", ("reason", "zh", "en"), ("reason",), at)
    doubles = _rows_if_any(folder / "doubles.csv", ("reason", "order", "outcome"), ("reason",), at)
    points = _rows_if_any(folder / "points.csv", ("point", "value"), ("point",), at)
    return Policy(
        at,
        scale,
        {row.text("pool"): row.number("quota") for row in quotas if row.text("scale") == scale},
        tuple(sorted(map(_step, ladder), key=lambda step: (step.pool, step.failed_from))),
        {row.text("limit"): row.number("value") for row in limits},
        tuple(Kind(*(row.text(name) for name in ("kind", "pool", "document_type", "domain"))) for row in kinds),
        tuple(Remedy(*(row.text(name) for name in ("remedy", "zh", "en"))) for row in remedies),
        {row.text("reason"): (row.text("zh"), row.text("en")) for row in reasons},
        tuple(_double(row) for row in doubles),
        {row.text("point"): row.number("value") for row in points},
    )


def _draw_rows(folder: Path, at: date) -> tuple[list["_Row"], list["_Row"]]:
    """Quotas and ladder, both or neither: a matter that forgot one of them must not pass for one without a draw."""
    quota, ladder = folder / "quota.csv", folder / "ladder.csv"
    if not quota.exists() and not ladder.exists():
        return [], []
    return (
        _rows(quota, ("scale", "pool", "quota"), ("scale", "pool"), at),
        _rows(ladder, ("pool", "failed_from", "balls", "then_every"), ("pool", "failed_from"), at),
    )


def _double(row: "_Row") -> Double:
    order, outcome = row.text("order"), row.text("outcome")
    if order not in ORDERS or outcome not in OUTCOMES:
        raise row.wrong(f"order is one of {', '.join(ORDERS)}, outcome one of {', '.join(OUTCOMES)}")
    return Double(row.text("reason"), order, outcome)


def _step(row: "_Row") -> Step:
    return Step(
        row.text("pool"), row.number("failed_from"), row.number("balls", least=1), row.number("then_every", empty="0")
    )


@dataclass(frozen=True, slots=True)
class _Row:
    path: Path
    line: int
    cells: Mapping[str, str]

    def wrong(self, what: str) -> FileInvalid:
        return FileInvalid(path=self.path, line=self.line, what=what)

    def text(self, name: str) -> str:
        return self.cells[name]

    def number(self, name: str, least: int = 0, empty: str = "") -> int:
        """Whole number of at least `least`; an empty cell is read as `empty`."""
        text = self.cells[name] or empty
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
            raise self.wrong(f"{name} is not a whole number of at least {least}")
        return int(text)

    def day(self, name: str, empty: date) -> date:
        try:
            return date.fromisoformat(self.cells[name]) if self.cells[name] else empty
        except ValueError:
            raise self.wrong(f"{name} is not a date like 2014-01-01") from None

    def in_force(self, at: date) -> bool:
        return self.day("valid_from", date.min) <= at <= self.day("valid_until", date.max)


def _rows(path: Path, columns: tuple[str, ...], key: tuple[str, ...], at: date) -> list[_Row]:
    """Rows in force at `at`, every row of the file checked; two in force with the same `key` are a mistake."""
    found = [row for row in _read(path, (*columns, *_DATED)) if _checked(row).in_force(at)]
    _no_doubles(found, lambda row: tuple(row.cells[name] for name in key), at)
    return found


def _rows_if_any(path: Path, columns: tuple[str, ...], key: tuple[str, ...], at: date) -> list[_Row]:
    """The same of a file that a matter may do without."""
    return _rows(path, columns, key, at) if path.exists() else []


def _read(path: Path, columns: tuple[str, ...]) -> Iterable[_Row]:
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    header = next(reader, [])
    if tuple(header) != columns:
        raise FileInvalid(path=path, line=1, what=f"columns are not {','.join(columns)}")
    for cells in reader:
        if len(cells) != len(columns):
            raise FileInvalid(path=path, line=reader.line_num, what=f"{len(cells)} cells, not {len(columns)}")
        yield _Row(path, reader.line_num, dict(zip(columns, cells, strict=True)))


def _checked(row: _Row) -> _Row:
    if not row.cells["valid_from"] or not row.cells["source"]:
        raise row.wrong("valid_from and source must not be empty")
    if row.day("valid_from", date.min) > row.day("valid_until", date.max):
        raise row.wrong("valid_until lies before valid_from")
    return row


def _no_doubles(rows: Iterable[_Row], key: Callable[[_Row], tuple[str, ...]], at: date) -> None:
    seen = set()
    for row in rows:
        if key(row) in seen:
            raise row.wrong(f"a second row in force on {at} for {', '.join(key(row))}")
        seen.add(key(row))
