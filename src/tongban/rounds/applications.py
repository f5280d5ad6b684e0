"""The application list: read raw, normalised once, doubles found; what departments are asked is made from it.

Lines of kinds that are checked outside the platform are dropped on reading, before anything is counted: no
number of this room, not even a difference of two others, says how many there were.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tongban.identity import columns
from tongban.identity.identifiers import Domain, stripped
from tongban.kit.errors import Invalid
from tongban.rounds import parquet
from tongban.rounds.policy import Policy

Flags = npt.NDArray[np.bool_]

#: Columns of the raw list, all but the last as text.
RAW = (
    "application",
    "kind",
    "submitted_on",
    "name",
    "document_type",
    "document_number",
    "handler_name",
    "handler_number",
    "failed_draws",
)
#: Columns that a list may leave out.
OPTIONAL = ("code_number", "ordinary_number")

#: Columns of the normalised list. One row an application, ascending by code: position is identity from here on.
SCHEMA = pa.schema(
    [
        ("application", pa.string()),
        ("kind", pa.string()),  #: empty if missing
        ("pool", pa.string()),  #: empty for an unknown kind
        ("submitted_on", pa.string()),  #: null if missing or no date
        ("name", pa.string()),
        ("document_type", pa.string()),
        ("document", pa.string()),  #: the number without white space, in capitals, good or bad: asked for at a look-up
        ("domain", pa.string()),  #: of the subject; null if kind and document give none
        ("subject", pa.string()),  #: normalised key; null if the number is bad
        ("fits", pa.bool_()),  #: this kind may apply with this document
        ("handler_name", pa.string()),
        ("handler", pa.string()),  #: normalised citizen number; null if bad or missing
        ("code_number", pa.string()),  #: which of a unit's codes of the year; null for persons, or if it does not hold
        ("ordinary_number", pa.string()),  #: the same among its codes for ordinary cars
        ("failed_draws", pa.int32()),
        ("settled", pa.string()),  #: DUPLICATE or CONFLICT: another application for the same subject decides; else null
    ]
)


#: The same applicant applied more than once, and another of these applications counts.
DUPLICATE = "duplicate_application"
#: Different applicants gave the same document number: none of them may displace another.
CONFLICT = "conflicting_applications"


class ListInvalid(Invalid):
    """The application list is not one."""

    code = "rounds.list_invalid"
    message = "Application list {path}: {what}."
    remedy = "Export the list again; the round was not opened."


class Applications:
    """The normalised list; see SCHEMA.

    One that lies in a file is read column by column, when a column is asked for, and only flags are kept: as texts in
    memory, three million lines take more than all that is worked out from them.
    """

    def __init__(self, table: Any, path: Path | None = None) -> None:
        """`table`: the whole list; None: it lies at `path`."""
        self._table, self._path = table, path
        self._flags: dict[str, Flags] = {}
        self._rows = int(table.num_rows if path is None else pq.read_metadata(path).num_rows)

    def __len__(self) -> int:
        return self._rows

    @property
    def table(self) -> Any:
        """The whole list."""
        return self.only(SCHEMA.names)

    def only(self, columns: Sequence[str]) -> Any:
        """Some columns of it, in this order."""
        if self._path is None:
            return self._table.select(list(columns))
        return parquet.read(self._path, list(columns)).select(list(columns))

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Some columns, some hundred thousand lines at a time, in order."""
        if self._path is None:
            yield from self._table.select(list(columns)).to_batches(max_chunksize=parquet.ROW_GROUP)
        else:
            yield from parquet.batches(self._path, list(columns))

    def column(self, name: str) -> Any:
        """One column as one array."""
        return _whole(self.only([name])[name])

    def flags(self, column: str) -> Flags:
        """A boolean column as an array."""
        return self._kept(column, lambda: self.column(column))

    def given(self, column: str) -> Flags:
        """Which lines have a value in the column."""
        return self._kept(f"{column} given", lambda: self._given(column))

    def _given(self, column: str) -> Any:
        flags = [batch.column(0).is_valid() for batch in self.batches([column])]
        return pa.chunked_array(flags, pa.bool_())

    def settled(self) -> Flags:
        """Applications that another one for the same subject settles; departments are not asked about them."""
        return self.given("settled")

    def _kept(self, what: str, make: Callable[[], Any]) -> Flags:
        if what not in self._flags:
            self._flags[what] = _whole(make()).to_numpy(zero_copy_only=False)
        return self._flags[what]

    def row_of(self, application: str) -> int | None:
        """Row of an application code; None if it is not in the list."""
        found = int(pc.index(self.column("application"), application).as_py())
        return None if found < 0 else found

    def to_bytes(self) -> bytes:
        return parquet.to_bytes(self.table)


def read_applications(path: Path) -> Applications:
    """The list that `Applications.to_bytes` wrote."""
    return Applications(None, path)


def read_raw(path: Path, policy: Policy) -> Applications:
    """Read and normalise the list as it was typed. Raises ListInvalid."""
    return normalised(_raw(path), policy, path.name)


def _raw(path: Path) -> Any:
    try:
        given = [name for name in OPTIONAL if name in pq.read_schema(path).names]
        return pq.read_table(path, columns=[*RAW, *given])
    except (OSError, pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise ListInvalid(path=path.name, what=f"cannot be read ({type(error).__name__})") from None


def normalised(raw: Any, policy: Policy, name: str = "") -> Applications:
    """The normalised list of a raw table with the columns RAW. Raises ListInvalid."""
    if missing := [column for column in RAW if column not in raw.column_names]:
        raise ListInvalid(path=name, what=f"has no column {', '.join(missing)}")
    kinds = _plain(raw["kind"])
    here = pc.invert(pc.is_in(kinds, pa.array(sorted(policy.set_aside()), pa.string())))
    raw, kinds = raw.filter(here), kinds.filter(here)
    order = _order(raw["application"], name)
    table = _table(raw.take(order), kinds.take(order), policy, name)
    table = table.append_column("settled", settled(table)).select(SCHEMA.names)
    return Applications(table.cast(SCHEMA).combine_chunks())


def _order(codes: Any, name: str) -> Any:
    """Row order that makes the application codes ascend."""
    good = pc.fill_null(pc.match_substring_regex(_texts(codes), "^[0-9]{13}$"), False)
    if not pc.all(good, min_count=0).as_py():
        raise ListInvalid(path=name, what="an application code is not 13 digits")
    numbers = _texts(codes).cast(pa.int64()).to_numpy()
    order = np.argsort(numbers, kind="stable")
    if (np.diff(numbers[order]) == 0).any():
        raise ListInvalid(path=name, what="an application code stands twice")
    return pa.array(order)


def _table(raw: Any, kinds: Any, policy: Policy, name: str) -> Any:
    """Every column of SCHEMA but `settled`, and what the handler's document says, good or bad."""
    types, documents = _plain(raw["document_type"]), _texts(raw["document_number"])
    domains, fits = _domains(kinds, types, policy)
    handlers = columns.citizen_texts(columns.citizen_keys(_texts(raw["handler_number"])))
    return pa.table(
        {
            "application": _texts(raw["application"]),
            "kind": kinds,
            "pool": _mapped(kinds, policy.pool_of()),
            "submitted_on": _days(_texts(raw["submitted_on"])),
            "name": columns.names(_texts(raw["name"])),
            "document_type": types,
            "document": _bare(documents),
            "domain": domains,
            "subject": _subjects(documents, domains),
            "fits": pa.array(fits),
            "handler_name": columns.names(_texts(raw["handler_name"])),
            "handler": handlers,
            "handler_document": _bare(_texts(raw["handler_number"])),
            **_code_numbers(raw, kinds, policy),
            "failed_draws": _counts(raw["failed_draws"], name),
        }
    )


#: Numbers of a unit's codes that stand for themselves; greater ones are `more`.
_NUMBERED = tuple(str(number) for number in range(1, 13))
_GREATER = re.compile("[1-9][0-9]*", re.ASCII)


def _code_numbers(raw: Any, kinds: Any, policy: Policy) -> dict[str, Any]:
    """Which of a unit's codes each application is for; one that is not said is the first."""
    own = [row.kind for row in policy.kinds if row.domain == Domain.ORGANISATION_CODE]
    units = pc.is_in(kinds, pa.array(own, pa.string()))
    nothing = pa.nulls(len(kinds), pa.string())
    given = {name: _plain(raw[name] if name in raw.column_names else nothing) for name in OPTIONAL}
    first = _code_number(given["code_number"], pa.scalar("1"))
    found = {"code_number": first, "ordinary_number": _code_number(given["ordinary_number"], first)}
    return {name: pc.if_else(units, column, pa.scalar(None, pa.string())) for name, column in found.items()}


def _code_number(texts: Any, missing: Any) -> Any:
    """1 to 12 as they are, `more` for greater whole numbers, null for anything else; `missing` where nothing stands."""
    known = {
        raw: raw if raw in _NUMBERED else "more" if _GREATER.fullmatch(raw) else None
        for raw in pc.unique(texts).to_pylist()
    }
    return pc.if_else(pc.equal(texts, ""), missing, _mapped(texts, known, None))


def _domains(kinds: Any, types: Any, policy: Policy) -> tuple[Any, Flags]:
    """Domain of each subject (null: none), and whether the kind may apply with the document at all.

    A misfit still has a subject, so that its owner finds it; but it takes no part in doubles and is asked nothing.
    """
    pairs = pc.binary_join_element_wise(kinds, types, "\x1f")
    exact = {f"{kind.kind}\x1f{kind.document_type}": kind.domain for kind in policy.kinds if kind.pool}
    fits = pc.is_in(pairs, pa.array(list(exact), pa.string())).to_numpy(zero_copy_only=False)
    known = {pair: _domain(pair, policy) for pair in pc.unique(pairs).to_pylist()}
    return pc.if_else(pa.array(fits), _mapped(pairs, exact), _mapped(pairs, known, None)), fits


def _domain(pair: str, policy: Policy) -> str | None:
    """Domain of the subject where kind and document do not fit."""
    kind, _, document_type = pair.partition("\x1f")
    pool = policy.pool_of().get(kind)
    own = {row.domain for row in policy.kinds if row.pool and row.pool == pool}
    if len(own) == 1:
        # Units have one kind of document: whatever was ticked, the number is read as that.
        return own.pop()
    by_type = {row.domain for row in policy.kinds if row.pool and row.document_type == document_type}
    return by_type.pop() if len(by_type) == 1 else None


def _subjects(documents: Any, domains: Any) -> Any:
    """Normalised key of each subject, null where the number is bad or there is no domain."""
    found = pa.nulls(len(documents), pa.string())
    for domain in pc.unique(domains.drop_null()).to_pylist():
        rows = pc.fill_null(pc.equal(domains, domain), False)
        keys = columns.text_keys(Domain(domain), documents.filter(rows))
        found = pc.replace_with_mask(found, rows, keys)
    return found


def settled(table: Any) -> Any:
    """Which applications another one for the same subject settles, and how.

    Shape
        table: columns of SCHEMA and `handler_document`. Misfits, unknown kinds and bad subjects take no part.
        returns: DUPLICATE, CONFLICT, or null.
    Source
        Of one applicant's applications the earliest day counts (no real day: last), then the smallest code; of a unit's
        among those for the same code of the year. If name, or a unit's handler, differ among them, somebody has used
        another's number: all go to a person.
    """
    subjects = pc.fill_null(pc.binary_join_element_wise(table["domain"], table["subject"], "\x1f"), "")
    codes = np.asarray(_whole(subjects).dictionary_encode().indices)
    part = _whole(pc.and_(table["fits"], table["subject"].is_valid())).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(part & (np.bincount(codes[part], minlength=len(codes))[codes] > 1))
    some = table.take(pa.array(rows))
    found = np.full(len(codes), None, np.object_)
    numbers = np.asarray(_whole(pc.fill_null(some["code_number"], "")).dictionary_encode().indices)
    found[rows] = _settled_groups(codes[rows], numbers, _applicants(some), some)
    return pa.array(found, pa.string())


def _settled_groups(
    codes: npt.NDArray[np.int32], numbers: npt.NDArray[np.int32], applicants: npt.NDArray[np.int32], some: Any
) -> Any:
    """How each row of the groups `codes` is settled; None for the one that counts of each number in `numbers`."""
    days = pc.fill_null(_whole(some["submitted_on"]), "9999-99-99")
    order = np.lexsort((_objects(_whole(some["application"])), _objects(days), numbers, codes))
    other = np.append(True, codes[order][1:] != codes[order][:-1])[: len(order)]
    first = other | np.append(True, numbers[order][1:] != numbers[order][:-1])[: len(order)]
    group = np.cumsum(other) - 1
    # Whatever the number: a stranger may not take the second code either.
    same = applicants[order] == applicants[order][np.flatnonzero(other)][group]
    in_conflict = np.bincount(group, weights=~same, minlength=1)[group] > 0
    how = np.where(in_conflict, 2, np.where(first, 0, 1))
    found = np.empty(len(order), np.object_)
    found[order] = np.array([None, DUPLICATE, CONFLICT], np.object_)[how]
    return found


def _applicants(some: Any) -> npt.NDArray[np.int32]:
    """A number for each applicant as named: a person by name, a unit by its handler's number too."""
    # A handler's number that does not hold still tells two handlers apart.
    handlers = pc.coalesce(some["handler"], some["handler_document"], pa.scalar(""))
    handlers = pc.if_else(pc.equal(some["domain"], Domain.ORGANISATION_CODE.value), handlers, "")
    named = pc.binary_join_element_wise(pc.fill_null(some["name"], ""), handlers, "\x1f")
    return np.asarray(_whole(named).dictionary_encode().indices)


def _mapped(keys: Any, values: Mapping[str, str | None], missing: str | None = "") -> Any:
    """Each key's value, `missing` for keys without one."""
    found = pc.index_in(keys, pa.array(list(values), pa.string()))
    taken = pa.array(list(values.values()), pa.string()).take(found)
    return taken if missing is None else pc.fill_null(taken, missing)


def _whole(column: Any) -> Any:
    if not isinstance(column, pa.ChunkedArray):
        return column
    # One that is whole already would be copied.
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _texts(column: Any) -> Any:
    """One plain array of texts."""
    return _whole(column.cast(pa.string()))


def _plain(column: Any) -> Any:
    """Texts of a closed list: NFKC, trimmed, empty if missing."""
    texts = pc.fill_null(_texts(column), "")
    known = pc.unique(texts).to_pylist()
    return _mapped(texts, {raw: unicodedata.normalize("NFKC", raw).strip() for raw in known})


def _bare(documents: Any) -> Any:
    """Numbers without white space, in capitals; only those that are not plain already are looked at one by one."""
    plain = pc.fill_null(pc.match_substring_regex(documents, "^[0-9A-Z]*$"), True).to_numpy(zero_copy_only=False)
    rest = pa.array(~plain)
    found = [stripped(raw).upper() for raw in documents.filter(rest).to_pylist()]
    return pc.replace_with_mask(documents, rest, pa.array(found, pa.string()))


def _days(texts: Any) -> Any:
    """Days as typed; null for what is not a day of the calendar."""
    return _mapped(texts, {raw: raw for raw in pc.unique(texts.drop_null()).to_pylist() if _is_day(raw)}, None)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _counts(column: Any, name: str) -> Any:
    """Failed draws; missing ones would silently take balls from somebody, so they are refused."""
    try:
        counts = column.cast(pa.int32())
    except pa.ArrowInvalid:
        raise ListInvalid(path=name, what="failed_draws holds something that is not a whole number") from None
    if counts.null_count or pc.any(pc.less(counts, 0)).as_py():
        raise ListInvalid(path=name, what="failed_draws is missing or negative in a line")
    return _whole(counts)


def _objects(texts: Any) -> npt.NDArray[np.object_]:
    return np.asarray(texts.to_numpy(zero_copy_only=False))
