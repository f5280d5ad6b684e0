"""The keys of an application list, packed and sorted once, whoever is asked with them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tongban.identity.columns import citizen_keys
from tongban.identity.identifiers import Domain
from tongban.rounds.applications import Applications, Flags

#: Rows of an application list, or of a key column. Half of what int64 would take; a list has at most millions.
Rows = npt.NDArray[np.int32]

#: Whose key a question is asked with: the applicant's, person or unit, or that of who handles a unit's application.
SUBJECT, HANDLER = "subject", "handler"
#: Choices of applications that are kept at a time: the first questions', the further ones', and those of re-checks.
_KEPT = 4


class Cut(NamedTuple):
    """A run of strictly ascending keys, and whom it is about."""

    keys: Any  #: int64, or bytes of ASCII text
    first: Rows  #: for each key the application that its asked columns are taken from
    applications: Rows  #: ascending
    rows: Rows  #: for each of them the row of `keys` that is about it


@dataclass(frozen=True, eq=False)
class Chosen:
    """The wanted applications of one domain, in the order of their keys.

    Shape
        keys: int64, or bytes of ASCII text; ascending.
        rows: for each key the application.
    """

    keys: Any
    rows: Rows
    count: int  #: applications in the whole list
    _cuts: dict[int, list[Cut]] = field(default_factory=dict)  #: by greatest length

    @cached_property
    def doubled(self) -> bool:
        """Whether a key stands twice: a handler of several units, two persons under one number."""
        return bool((self.keys[1:] == self.keys[:-1]).any())

    def cut(self, own: npt.NDArray[Any], at: npt.NDArray[Any]) -> Cut:
        """The positions `own`, each with its row `at` in the part's key column, which ascends with them."""
        first = own[np.flatnonzero(np.append(True, at[1:] != at[:-1]))]
        return Cut(self.keys[first], self.rows[first], *self._about(self.rows[own], at))

    def cuts(self, largest: int) -> list[Cut]:
        """All of them, where no key is doubled: the same for every question that wants the same applications."""
        held = self._cuts.get(largest)
        if held is None:
            runs = [slice(start, start + largest) for start in range(0, len(self.keys), largest)]
            held = self._cuts[largest] = [self._run(self.keys[run], self.rows[run]) for run in runs]
        return held

    def _run(self, keys: Any, rows: Rows) -> Cut:
        return Cut(keys, rows, *self._about(rows, np.arange(len(rows), dtype=np.int32)))

    def _about(self, applications: Rows, at: npt.NDArray[Any]) -> tuple[Rows, Rows]:
        """The applications ascending, each with its row of the key column."""
        place = np.full(self.count, -1, np.int32)
        place[applications] = at
        ascending = np.flatnonzero(place >= 0).astype(np.int32)
        return ascending, place[ascending]


class KeyColumns:
    """Keys of one list by whose they are and domain."""

    def __init__(self, applications: Applications) -> None:
        self.applications = applications
        self._sorted: dict[tuple[str, str], tuple[Any, Rows]] = {}
        self._chosen: dict[tuple[str, str, bytes], Chosen] = {}

    def by_domain(self, about: str, wanted: Flags) -> Iterator[tuple[str, Chosen]]:
        """Each domain with the applications in `wanted`, all of which have a good key."""
        digest = hashlib.blake2b(np.packbits(wanted).tobytes()).digest()
        for domain in self._domains(about):
            chosen = self._choose(about, domain, wanted, digest)
            if len(chosen.rows):
                yield domain, chosen

    def _domains(self, about: str) -> list[str]:
        if about == HANDLER:
            return [Domain.CITIZEN.value]
        return sorted(pc.unique(self.applications.column("domain").drop_null()).to_pylist())

    def _choose(self, about: str, domain: str, wanted: Flags, digest: bytes) -> Chosen:
        named = (about, domain, digest)
        held = self._chosen.pop(named, None)
        if held is None:
            keys, rows = self._in_order(about, domain)
            here = wanted[rows]
            held = Chosen(keys[here], rows[here], len(self.applications))
        # Used last, so kept longest.
        self._chosen[named] = held
        while len(self._chosen) > _KEPT * max(1, len(self._domains(about))):
            del self._chosen[next(iter(self._chosen))]
        return held

    def _in_order(self, about: str, domain: str) -> tuple[Any, Rows]:
        """All keys of a domain, ascending as the wire orders them, each with its application."""
        held = self._sorted.get((about, domain))
        if held is None:
            texts = self.applications.column(about)
            good = self.applications.given(about)
            if about == SUBJECT:
                same = pc.fill_null(pc.equal(self.applications.column("domain"), domain), False)
                good = good & same.to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(good).astype(np.int32)
            keys = _keys(texts, rows, domain)
            order = np.argsort(keys, kind="stable")
            held = self._sorted[about, domain] = (keys[order], rows[order])
        return held


def _keys(texts: Any, rows: Rows, domain: str) -> Any:
    """Keys of some rows as an array that sorts in the order of the wire: int64, or bytes of ASCII text."""
    if domain == Domain.CITIZEN:
        # The whole column: nearly all of it is wanted, and texts are dear to copy.
        return pc.fill_null(citizen_keys(texts), -1).to_numpy()[rows]
    return np.asarray(texts.take(pa.array(rows)).to_pylist(), dtype=np.bytes_)
