"""The keys of an application list, packed and sorted once, whoever is asked with them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from tongban.exchange.bulk import LONGEST_KEY
from tongban.identity.columns import citizen_keys
from tongban.identity.identifiers import Domain
from tongban.rounds.applications import Applications, Flags

#: Rows of an application list, or of a key column. Half of what int64 would take; a list has at most millions.
Rows = npt.NDArray[np.int32]

#: Whose key a question is asked with: the applicant's, person or unit; that of who handles a unit's application; in a
#: family that of the child in a kinship, and that of the one who applies in a marriage.
SUBJECT, HANDLER, CHILD, PARTNER = "subject", "handler", "child", "partner"
#: Those whose key is a citizen number and stands in a column of their own.
CITIZENS = (HANDLER, CHILD, PARTNER)
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
        if about in CITIZENS:
            return [Domain.CITIZEN.value]
        return sorted(pc.unique(self.applications.column("domain").drop_null()).to_pylist())

    def _choose(self, about: str, domain: str, wanted: Flags, digest: bytes) -> Chosen:
        named = (about, domain, digest)
        held = self._chosen.pop(named, None)
        if held is None:
            keys, rows = self._in_order(about, domain)
            here = wanted[rows]
            everybody = bool(here.all())
            held = Chosen(keys if everybody else keys[here], rows if everybody else rows[here], len(self.applications))
        # Used last, so kept longest.
        self._chosen[named] = held
        while len(self._chosen) > _KEPT * max(1, len(self._domains(about))):
            del self._chosen[next(iter(self._chosen))]
        return held

    def _in_order(self, about: str, domain: str) -> tuple[Any, Rows]:
        """All keys of a domain, ascending as the wire orders them, each with its application."""
        held = self._sorted.get((about, domain))
        if held is None:
            parts = [_keys(batch, about, domain) for batch in self.applications.batches([about, "domain"])]
            good = np.concatenate([here for _, here in parts]) if parts else np.zeros(0, np.bool_)
            keys = np.concatenate([keys for keys, _ in parts]) if parts else np.zeros(0, np.int64)
            rows = np.flatnonzero(good).astype(np.int32)
            order = np.argsort(keys, kind="stable")
            held = self._sorted[about, domain] = (keys[order], rows[order])
        return held


def _keys(batch: Any, about: str, domain: str) -> tuple[Any, Flags]:
    """Keys of some lines that have one of the domain, and which lines these are.

    Shape
        returns: an array that sorts in the order of the wire, int64 or bytes of ASCII text; one flag a line.
    """
    texts, good = batch.column(about), batch.column(about).is_valid()
    if about == SUBJECT:
        good = pc.and_(good, pc.fill_null(pc.equal(batch.column("domain"), domain), False))
    chosen = texts.filter(good)
    if domain == Domain.CITIZEN:
        keys = citizen_keys(chosen).to_numpy()
    else:
        # One width for all: batches are put together, and shorter ones would cut longer ones.
        keys = np.asarray(chosen.to_pylist(), dtype=f"S{LONGEST_KEY}")
    return keys, good.to_numpy(zero_copy_only=False)
