"""Questions: which rule is asked about which applications, and the key columns that go to the departments.

A part is one sorted key column of one kind of key, with the columns that the rule asks for; position is identity
on the way out and on the way back, so no application code ever reaches a department.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tongban.exchange.bulk import MOST_ROWS, key_digest, write_keys
from tongban.rounds.applications import Applications, Flags
from tongban.rounds.key_columns import CITIZENS, SUBJECT, Chosen, Cut, KeyColumns, Rows
from tongban.rules.compile import CompiledCondition, CompiledRule
from tongban.rules.engine import applies
from tongban.rules.verdict import COMMON_BY_NUMBER, Reason

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Question:
    """One rule as the round asks it. What the rule says is the rules room's; this is whom it is asked about."""

    rule: str  #: "driving_licence@2013-01-01"
    digest: str  #: what its owner approved
    title: str
    title_en: str
    department: str  #: node that answers, "public-security"
    first: bool  #: asked before the others, which are asked only about those for whom all first ones are met
    about: str  #: SUBJECT, HANDLER, CHILD or PARTNER: whose key it is asked with
    asks: tuple[str, ...]  #: columns that travel with the key, in the rule's order
    reasons: tuple[Reason, ...]  #: the rule's own
    applies: Callable[[Any], Bytes] = field(repr=False, compare=False)
    """For each row of the application list: 1 the rule applies, 0 it does not, 2 the application does not say."""
    needs: tuple[str, ...] = ()  #: columns of the list that `applies` looks at; empty: all

    @property
    def name(self) -> str:
        """The rule without its date."""
        return self.rule.partition("@")[0]

    def reason(self, number: int) -> Reason | None:
        """The rule's own or a common reason; None for a number that nobody uses."""
        own = {reason.number: reason for reason in self.reasons}
        return own.get(number) or COMMON_BY_NUMBER.get(number)

    def column_of(self, asked: str) -> str:
        """The application's column behind an asked one: a handler's name is `handler_name`."""
        return asked if self.about == SUBJECT else f"{self.about}_{asked}"


def question_of(
    compiled: CompiledRule, condition: CompiledCondition, *, department: str, first: bool, at: date
) -> Question:
    """The question that a compiled rule is in a round with the evaluation date `at`."""
    rule = compiled.rule
    return Question(
        rule=rule.id,
        digest=compiled.digest,
        title=rule.title,
        title_en=rule.title_en,
        department=department,
        first=first,
        about=rule.subject if rule.subject in CITIZENS else SUBJECT,
        asks=tuple(column.name for column in rule.asks),
        reasons=rule.own_reasons(),
        applies=lambda table: applies(condition, table, at=at),
        # Whether it is for everybody is known without the list, but for how many lines there are.
        needs=tuple(column.name for column in condition.columns) or ("fits",),
    )


@dataclass(frozen=True, eq=False)
class Part:
    """One request to one department.

    Shape
        keys: `k` int64 or utf8, strictly ascending, then the asked columns.
        applications: rows of the application list that the part answers, ascending.
        rows: for each of them the row of `keys` that is about it.
    """

    rule: str
    name: str  #: unique within the rule, "citizen-0"
    domain: str
    keys: Any
    applications: Rows
    rows: Rows

    @property
    def file(self) -> str:
        """Stem of its answer's file."""
        return f"{self.rule}.{self.name}"

    def digest(self) -> str:
        """Digest of the key column, as ticket and answer name it."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return key_digest(self.keys["k"])

    def body(self) -> bytes:
        """What is sent."""
        return write_keys(self.keys)


def with_bad_key(question: Question, applications: Applications) -> Flags:
    """Applications that cannot be asked about: unknown / bad_identifier.

    A misfit is that for its first questions only; the others are not asked then.
    """
    bad = ~applications.given(question.about)
    misfit = ~applications.flags("fits")
    return bad | misfit if question.first else bad & ~misfit


def parts(
    question: Question, columns: KeyColumns, asked: Flags, prefix: str = "", largest: int = MOST_ROWS
) -> Sequence[Part]:
    """The parts that ask `question` about the applications in `asked` which have a good key and are not settled.

    One part a domain, unless there are more than `largest` keys, or one key comes with different values in the
    asked columns (two spellings of a name): then each further spelling stands in a further part, for keys in a
    part are strictly ascending.
    """
    applications = columns.applications
    wanted = asked & applications.given(question.about) & applications.flags("fits") & ~applications.settled()
    found = []
    for domain, chosen in columns.by_domain(question.about, wanted):
        cuts = _layered(question, applications, chosen, largest) if chosen.doubled else chosen.cuts(largest)
        for number, cut in enumerate(cuts):
            table = _key_table(question, applications, cut)
            found.append(Part(question.rule, f"{prefix}{domain}-{number}", domain, table, cut.applications, cut.rows))
    return found


def _layered(question: Question, applications: Applications, chosen: Chosen, largest: int) -> list[Cut]:
    shapes = _shapes(question, applications, chosen.rows)
    return [chosen.cut(own, at) for own, at in _layers(chosen.keys, shapes, largest)]


def _shapes(question: Question, applications: Applications, rows: Rows) -> Ints:
    """A number for each row, the same for rows whose asked columns are all the same."""
    found = np.zeros(len(rows), np.int64)
    for asked in question.asks:
        column = applications.column(question.column_of(asked)).take(pa.array(rows))
        codes = np.asarray(pc.fill_null(column.dictionary_encode(null_encoding="encode").indices, -1))
        found = np.unique(found * (int(codes.max(initial=0)) + 2) + codes + 1, return_inverse=True)[1]
    return found


def _layers(keys: Any, shapes: Ints, largest: int) -> Iterator[tuple[Ints, Ints]]:
    """Positions that go into one part, and for each its row in the part's key column.

    Layer 0 holds each key's first shape, layer 1 its second; each layer is cut after `largest` keys.
    """
    order = np.lexsort((shapes, keys))
    keys, shapes = keys[order], shapes[order]
    other_key = np.append(True, keys[1:] != keys[:-1])
    other_pair = other_key | np.append(True, shapes[1:] != shapes[:-1])
    pair = np.cumsum(other_pair) - 1
    first_pair = pair[other_key][np.cumsum(other_key) - 1]
    layer = pair - first_pair
    for depth in range(int(layer.max(initial=-1)) + 1):
        here = np.flatnonzero(layer == depth)
        row = np.cumsum(np.append(True, keys[here][1:] != keys[here][:-1])) - 1
        for start in range(0, int(row[-1]) + 1, largest):
            cut = (row >= start) & (row < start + largest)
            yield order[here[cut]], row[cut] - start


def _key_table(question: Question, applications: Applications, cut: Cut) -> Any:
    """The key column of one part, with the asked columns; each key's values come from its first application."""
    k = pa.array(cut.keys) if cut.keys.dtype == np.int64 else pa.array(cut.keys.astype(str), pa.string())
    columns: Mapping[str, Any] = {
        asked: applications.column(question.column_of(asked)).take(pa.array(cut.first)) for asked in question.asks
    }
    return pa.table({"k": k, **columns})
