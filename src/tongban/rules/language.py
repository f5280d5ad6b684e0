"""Reading the text of an expression: an SQL boolean expression with everything else kept out.

Three gates, in this order: our own scan refuses every character and word that has no place in a rule,
and nesting beyond the limits, before any parser runs; SQLGlot parses; each node of its tree is turned
into one of ours by an allow-list and typed. Nothing is passed through as text.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

from sqlglot import exp, parse
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError

from tongban.rules.facts import Column
from tongban.rules.rule import Parameter

LONGEST_TEXT = 4_096  #: bytes of UTF-8
MOST_TOKENS = 1_000
DEEPEST = 24  #: parentheses and CASE inside each other
LONGEST_PREFIX = 3  #: NOT or - one after another


class LanguageError(Exception):
    """What is wrong with an expression, where, and what to write instead."""

    def __init__(self, what: str, remedy: str, position: int = 0) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.position = position


@dataclass(frozen=True)
class Scope:
    """The names that an expression may use.

    missing_means: columns for which the rule says, with an article, what a missing value means.
    choosing: the expression only chooses a reason, so a look at what is missing changes no verdict.
    """

    columns: Mapping[str, Column]
    asked: Mapping[str, Column] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    missing_means: frozenset[str] = frozenset()
    choosing: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  #: text, number, word, given, sign
    text: str
    position: int


_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<text>'(?:[^'\\]|'')*')
    | (?P<number>\d+(?![\w.]))
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<given>\{[a-z][a-z0-9_]*\})
    | (?P<sign><=|>=|<>|!=|[<>=+\-*(),.])
    """,
    re.VERBOSE | re.ASCII,
)
_NEVER = {
    "LIKE": "Compare with = or IN; texts are normalised when the register's data are taken in.",
    "SELECT": "A rule sees one fact row; put what it needs into the fact table.",
    "CURRENT_DATE": "Write {at}, the evaluation date.",
    "NOW": "Write {at}, the evaluation date.",
    "CAST": "Give the fact table's column the type that the rule needs.",
}


def scan(text: str) -> list[Token]:
    """The tokens of an expression. Raises LanguageError for whatever cannot stand in one."""
    if len(text.encode()) > LONGEST_TEXT:
        raise LanguageError(f"longer than {LONGEST_TEXT} bytes", "Split the rule, or move lists into parameters.")
    tokens = list(_tokens(text))
    if len(tokens) > MOST_TOKENS:
        raise LanguageError(f"more than {MOST_TOKENS} words and signs", "Split the rule.", tokens[MOST_TOKENS].position)
    _check_neighbours(tokens)
    _check_nesting(tokens)
    return tokens


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            what = f"{text[position]!r} cannot stand in a rule"
            remedy = "A rule has names, whole numbers, 'texts', {parameters} and the signs = <> < <= > >= + - * ( ) ,"
            raise LanguageError(what, remedy, position)
        kind = str(found.lastgroup)
        if kind == "text":
            _check_text(found[0], position)
        if kind == "word" and found[0].upper() in _NEVER:
            raise LanguageError(f"{found[0]} has no place in a rule", _NEVER[found[0].upper()], position)
        if kind != "space":
            yield Token(kind, found[0], position)
        position = found.end()


def _check_text(literal: str, position: int) -> None:
    if unicodedata.normalize("NFC", literal) != literal or not literal.isprintable():
        what = "a text with invisible characters or not in Unicode form NFC"
        raise LanguageError(what, "Type the text anew; facts are kept in form NFC.", position)


def _check_neighbours(tokens: list[Token]) -> None:
    for before, after in pairwise(tokens):
        if before.kind == after.kind == "text":
            raise LanguageError("two texts side by side", "Put AND, OR or a comma between them.", after.position)
        touching = before.position + len(before.text) == after.position
        if touching and (before.text, after.text) in (("-", "-"), ("=", "=")):
            what = f"{before.text}{after.text} cannot stand in a rule"
            raise LanguageError(what, "Write = once; write a - (-b) with parentheses.", before.position)


def _check_nesting(tokens: list[Token]) -> None:
    depth = run = 0
    for token in tokens:
        word = token.text.upper()
        depth += (word in ("(", "CASE")) - (word in (")", "END"))
        run = run + 1 if word in ("NOT", "-", "+") else 0
        if depth > DEEPEST or run > LONGEST_PREFIX:
            raise LanguageError("nested too deeply", "Split the expression into several rules.", token.position)


class _Dialect(DuckDB):
    """DuckDB's grammar with no function known to it: every call arrives as a bare name and is judged by us."""

    class Parser(DuckDB.Parser):  # type: ignore[misc,valid-type]
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {}
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CASE": DuckDB.Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]}


def tree(text: str) -> exp.Expr:
    """SQLGlot's tree of one expression. Positions in it are those of `text`. Raises LanguageError."""
    tokens = scan(text)
    plain = list(text)
    for token in tokens:
        if token.kind == "given":
            # Same length, so that every later position stays what the writer sees.
            end = token.position + len(token.text) - 1
            plain[token.position], plain[end] = "$", " "
    try:
        statements = parse("".join(plain), dialect=_Dialect)
    except (SqlglotError, RecursionError) as error:
        remedy = "Look for a missing parenthesis, comma, AND or OR near this place."
        raise LanguageError("not an expression that can be read", remedy, _position(error)) from None
    if len(statements) != 1 or statements[0] is None:
        raise LanguageError("not one expression", "Write exactly one condition.")
    return statements[0]


def _position(error: Exception) -> int:
    details = getattr(error, "errors", None) or [{}]
    return max(0, int(details[0].get("col") or 1) - 1)
