"""Fact tables: one canonical row per key, the only thing that a rule may look at.

A column has one logical type. How it lies in a table or in a row mapping:

    logical       physical columns                                          SQL type
    text, code    name                                                      VARCHAR, NFC, never ''
    int           name                                                      BIGINT
    date          name                                                      DATE, years 1 to 9999
    bool          name                                                      BOOLEAN
    months        name_low, name_high, name_first                           BIGINT, BIGINT, DATE
                  bit n of low is month first + n (n = 0..59), bit n of high is month first + 60 + n; first is the
                  first day of the first month for which the register can speak
    years         name          bit n is year 2000 + n (n = 0..62)          BIGINT
    year_amounts  name          element n is year 2000 + n, in fen; NULL    BIGINT[]
                                where the register cannot say

Two halves of 60 bits instead of one wide integer: every store and file format holds BIGINT exactly,
while DuckDB writes its 128-bit integers to Parquet as floating point.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from tongban.kit.canonical import SAFE

KEY = "k"  #: name of the key column of every fact table
HALF = 60  #: months in each half of a bitmap
MONTHS = 2 * HALF
FIRST_YEAR, LAST_YEAR = 2000, 2062
INT_LOW, INT_HIGH = -(2**63), 2**63 - 1
LARGEST_CODES = 500

#: Words that an expression reads otherwise.
RESERVED = frozenset(
    "and or not in between is null true false case when then else end date coalesce asked".split()  # noqa: SIM905
) | {"like", "select", "cast", "now", "current_date"}

Value = str | int | bool | date


class Type(StrEnum):
    TEXT = "text"
    CODE = "code"
    INT = "int"
    DATE = "date"
    BOOL = "bool"
    MONTHS = "months"
    YEARS = "years"
    YEAR_AMOUNTS = "year_amounts"


SQL_TYPES = {
    Type.TEXT: "VARCHAR",
    Type.CODE: "VARCHAR",
    Type.INT: "BIGINT",
    Type.DATE: "DATE",
    Type.BOOL: "BOOLEAN",
    Type.YEARS: "BIGINT",
    Type.YEAR_AMOUNTS: "BIGINT[]",
}
#: Types that an application's column may have.
SCALARS = frozenset({Type.TEXT, Type.CODE, Type.INT, Type.DATE, Type.BOOL})
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TABLE = re.compile(r"[a-z0-9_/]{1,81}")
_RANGED = {Type.INT: int, Type.DATE: date, Type.YEAR_AMOUNTS: int}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a fact row, or of an application.

    `low` and `high` bound int, date and each element of year_amounts; a value outside makes the row
    unknown where it takes part in arithmetic or in a function, and is refused at ingest.
    """

    name: str
    type: Type
    nullable: bool = True
    low: int | date | None = None
    high: int | date | None = None
    codes: tuple[str, ...] = ()
    title: str = ""
    title_en: str = ""

    def wrong(self) -> str | None:
        """What does not hold about this definition, in words; None if it holds."""
        if not _NAME.fullmatch(self.name) or self.name == KEY or self.name in RESERVED:
            return f"a column cannot be called {self.name!r}: small letters, digits and _, no word of the language"
        kind = _RANGED.get(self.type)
        for bound in (self.low, self.high):
            if bound is not None and (kind is None or type(bound) is not kind):
                return f"column {self.name} of type {self.type.value} cannot be bounded by {bound}"
            if isinstance(bound, int) and abs(bound) > SAFE:
                return f"column {self.name} is bounded by a number beyond 2^53; leave the bound out"
        if self.low is not None and self.high is not None and self.low > self.high:  # type: ignore[operator]
            return f"column {self.name} has low above high"
        if (self.type is Type.CODE) != bool(self.codes):
            return f"column {self.name}: type code needs a list of codes, and only code has one"
        if len(set(self.codes)) != len(self.codes) or len(self.codes) > LARGEST_CODES:
            return f"column {self.name}: its codes must differ, and be at most {LARGEST_CODES}"
        return None

    @property
    def may_be_silent(self) -> bool:
        """Whether an expression over this column can be NULL because the register does not know."""
        return self.nullable or self.type in (Type.MONTHS, Type.YEARS, Type.YEAR_AMOUNTS)

    def physical(self) -> tuple[tuple[str, str], ...]:
        """Physical columns with their SQL types, in order."""
        if self.type is Type.MONTHS:
            low, high, first = month_columns(self.name)
            return (low, "BIGINT"), (high, "BIGINT"), (first, "DATE")
        return ((self.name, SQL_TYPES[self.type]),)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type.value,
            "nullable": self.nullable,
            "low": to_plain(self.low),
            "high": to_plain(self.high),
            "codes": list(self.codes),
            "title": self.title,
            "title_en": self.title_en,
        }


@dataclass(frozen=True, slots=True)
class FactTable:
    """Definition of a fact table. `domains` are the kinds of key that it can be asked by."""

    name: str
    domains: tuple[str, ...]
    columns: tuple[Column, ...]

    def wrong(self) -> str | None:
        """What does not hold about this definition, in words; None if it holds."""
        if not _TABLE.fullmatch(self.name):
            return f"a fact table cannot be called {self.name!r}"
        if not self.domains or not self.columns:
            return f"fact table {self.name} needs at least one domain and one column"
        physical = [name for column in self.columns for name, _ in column.physical()]
        if twice := sorted({name for name in physical if physical.count(name) > 1}):
            return f"fact table {self.name} has column {', '.join(twice)} twice"
        return next((wrong for column in self.columns if (wrong := column.wrong())), None)

    def by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def physical(self) -> Iterator[tuple[str, str]]:
        """Physical columns with their SQL types, in order, without the key."""
        for column in self.columns:
            yield from column.physical()

    def to_json(self) -> dict[str, Any]:
        """Canonical form: part of what an owner approves."""
        return {
            "name": self.name,
            "domains": sorted(self.domains),
            "columns": [column.to_json() for column in sorted(self.columns, key=lambda column: column.name)],
        }


def month_columns(name: str) -> tuple[str, str, str]:
    """Physical columns of a months column: low half, high half, first month."""
    return f"{name}_low", f"{name}_high", f"{name}_first"


def month_index(day: date) -> int:
    """Months since the year 0: the one arithmetic of months."""
    return day.year * 12 + day.month - 1


def month_bits(months: Iterator[date] | list[date], first: date) -> tuple[int, int]:
    """Low and high half for the given paid months. ValueError for a month outside the bitmap."""
    bits = 0
    for month in months:
        n = month_index(month) - month_index(first)
        if not 0 <= n < MONTHS:
            raise ValueError(f"month {month:%Y-%m} lies outside the bitmap that begins with {first:%Y-%m}")
        bits |= 1 << n
    return bits & ((1 << HALF) - 1), bits >> HALF


def year_bits(years: Iterator[int] | list[int]) -> int:
    """Bitmap of years. ValueError for a year outside 2000 to 2062."""
    bits = 0
    for year in years:
        if not FIRST_YEAR <= year <= LAST_YEAR:
            raise ValueError(f"year {year} lies outside {FIRST_YEAR} to {LAST_YEAR}")
        bits |= 1 << (year - FIRST_YEAR)
    return bits


def to_plain(value: Value | None) -> str | int | bool | None:
    """JSON form of a value; dates as 2014-06-08."""
    return value.isoformat() if isinstance(value, date) else value


def from_plain(value: Any, type: Type) -> Value | None:
    """The value of `type` that stands in JSON or YAML as `value`. ValueError if it is none."""
    if value is None:
        return None
    if type is Type.DATE:
        day: date = value if value.__class__ is date else date.fromisoformat(_of(value, str))
        return day
    if type is Type.INT:
        number: int = _of(value, int)
        if not INT_LOW <= number <= INT_HIGH:
            raise ValueError("a whole number beyond 64 bits")
        return number
    plain: Value = _of(value, bool if type is Type.BOOL else str)
    return plain


def _of(value: Any, kind: type[Any]) -> Any:
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def read_column(value: Mapping[str, Any]) -> Column:
    """A column from its YAML or JSON form. ValueError in words for whoever wrote it."""
    allowed = {"name", "type", "nullable", "low", "high", "codes", "title", "title_en"}
    if extra := sorted(map(str, set(value) - allowed)):
        raise ValueError(f"a column has no {', '.join(extra)}; it has {', '.join(sorted(allowed))}")
    try:
        kind = Type(str(value.get("type")))
    except ValueError:
        raise ValueError(f"type must be one of {', '.join(Type)}, got {value.get('type')!r}") from None
    bound = Type.DATE if kind is Type.DATE else Type.INT
    codes = value.get("codes") or []
    nullable = value.get("nullable", True)
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes) or type(nullable) is not bool:
        raise ValueError("codes is a list of texts and nullable is true or false")
    column = Column(
        name=str(value.get("name")),
        type=kind,
        nullable=nullable,
        low=from_plain(value.get("low"), bound),  # type: ignore[arg-type]
        high=from_plain(value.get("high"), bound),  # type: ignore[arg-type]
        codes=tuple(codes),
        title=str(value.get("title", "")),
        title_en=str(value.get("title_en", "")),
    )
    if wrong := column.wrong():
        raise ValueError(wrong)
    return column


def read_table(value: Mapping[str, Any]) -> FactTable:
    """A fact table from its YAML or JSON form. ValueError in words for whoever wrote it."""
    if extra := sorted(map(str, set(value) - {"name", "domains", "columns"})):
        raise ValueError(f"a fact table has no {', '.join(extra)}; it has name, domains, columns")
    domains, columns = value.get("domains"), value.get("columns")
    if not isinstance(domains, list) or not isinstance(columns, list) or not all(isinstance(c, dict) for c in columns):
        raise ValueError("a fact table has name, a list of domains and a list of columns")
    table = FactTable(str(value.get("name")), tuple(map(str, domains)), tuple(map(read_column, columns)))
    if wrong := table.wrong():
        raise ValueError(wrong)
    return table
