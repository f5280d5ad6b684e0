"""What every register adapter can do, and which SELECTs it will run."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tongban.kit.errors import Invalid, Unavailable

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows a point query may return; a key that has more is a wrong key or a wrong SELECT.
MOST_ROWS = 200
#: Rows of an extract that are taken at once: as Python objects, all of a large register would not fit.
ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where an extract is broken off, for a view can be endless, by design or by mistake; and a server's look-up."""

    rows: int
    seconds: int
    look_seconds: int = 10


class RegisterUnavailable(Unavailable):
    """The department's store does not answer."""

    code = "node.register_unavailable"
    message = "Register {register} cannot be read: {what}."
    remedy = "Check that its store runs and that the read-only account may read it; then `./tongban node check DIR`."


class RegisterBusy(RegisterUnavailable):
    """A quick look-up would have to wait; `slowly` may still answer."""


class RegisterChanged(Unavailable):
    """The store answers, but a column or table that the reviewed SELECT names is gone."""

    code = "node.register_changed"
    message = "Register {register} no longer fits its reviewed SELECT: {what}."
    remedy = "Review the SELECT in node.toml against the store; callers get unknown until then."


class RegisterEndless(Unavailable):
    """An extract that went on beyond its bound. Part of a register is no register: nothing of it is used."""

    code = "node.register_endless"
    message = "Register {register} had not come to its end after {bound}, and was read no further."
    remedy = "Look at its view and SELECT; if it holds so much, raise {limit} in node.toml. The old facts stay in use."

    @classmethod
    def after(cls, register: str, bounds: Bounds, *, rows: bool) -> "RegisterEndless":
        bound = f"{bounds.rows:,} rows" if rows else f"{bounds.seconds:,} seconds"
        return cls(register=register, bound=bound, limit="refresh_rows" if rows else "refresh_seconds")


class SelectRefused(Invalid):
    """A SELECT in node.toml that we will not run."""

    code = "node.select_refused"
    message = "The SELECT of {register} is refused: {what}."
    remedy = "Write one plain SELECT with named columns over the register's own tables."


#: What is said of a column of floating-point numbers: whole numbers beyond 2^53 have no place in it.
LOSSY = "column {column} holds floating-point numbers, whose last digits are lost: it must be kept as text"


#: Reads the rows of one key: values in the order of `columns`.
Reader = Callable[[str], Sequence[Sequence[Any]]]


class PointQuery(Protocol):
    """A prepared look-up by key."""

    columns: tuple[str, ...]
    awaited: Literal[False]
    #: True: a call takes microseconds and may run on the event loop; False: it needs a thread.
    quick: bool

    def read(self, key: str) -> Sequence[Sequence[Any]]:
        """Raises RegisterUnavailable, RegisterChanged; RegisterBusy from a quick one that would have to wait."""
        ...

    def slowly(self, key: str, until: float) -> Sequence[Sequence[Any]]:
        """The same from a thread of its own, up to the time `until` (monotonic): then nobody waits for it any more.

        Raises RegisterUnavailable, RegisterChanged, TimeoutError.
        """
        ...


class AwaitedQuery(Protocol):
    """A look-up by key at a server, for which the event loop itself waits."""

    columns: tuple[str, ...]
    awaited: Literal[True]

    async def look(self, key: str, until: float) -> Sequence[Sequence[Any]]:
        """The rows, as a PointQuery reads them, up to the time `until` (monotonic).

        Raises RegisterUnavailable, RegisterChanged, SelectRefused, TimeoutError.
        """
        ...

    def prove(self) -> None:
        """Look once under a key that nobody has, where no event loop runs. Raises as `look`, but no TimeoutError."""
        ...


class Register(Protocol):
    """A department's store, opened read-only."""

    def point(self, select: str) -> PointQuery | AwaitedQuery:
        """Prepare a SELECT with `:key`. Raises RegisterUnavailable, RegisterChanged, SelectRefused.

        Of a server only the text is looked at; what it says of it is known from the first look.
        """
        ...

    def extract(self, select: str) -> "pa.Table":
        """All rows, every column as text. Raises as `point`, and RegisterEndless."""
        ...

    def close(self) -> None: ...


class Gathering:
    """The rows of an extract, part by part."""

    def __init__(self, register: str, schema: "pa.Schema", bounds: Bounds) -> None:
        self._register, self._schema, self._bounds = register, schema, bounds
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, batch: "pa.RecordBatch") -> None:
        """Raises RegisterEndless as soon as they are too many."""
        self._rows += batch.num_rows
        if self._rows > self._bounds.rows:
            raise RegisterEndless.after(self._register, self._bounds, rows=True)
        self._held.append(batch)

    def table(self) -> "pa.Table":
        import pyarrow as pa

        return pa.Table.from_batches(self._held, self._schema)


def gathered(register: str, batches: "Iterable[pa.RecordBatch]", schema: "pa.Schema", bounds: Bounds) -> "pa.Table":
    """The rows of an extract as one table. Raises RegisterEndless as soon as they are too many."""
    gathering = Gathering(register, schema, bounds)
    for batch in batches:
        gathering.add(batch)
    return gathering.table()


def reviewed(select: str, register: str, dialect: str) -> tuple[str, ...]:
    """Names of the columns of a plain SELECT. Raises SelectRefused.

    A node's file is written by the department's own staff; this catches slips (a star, a second
    statement, a file-reading function), not enemies: the account is read-only all the same.
    """
    import sqlglot
    from sqlglot import exp

    try:
        found = [tree for tree in sqlglot.parse(select, dialect=dialect) if tree is not None]
    except sqlglot.errors.SqlglotError:
        raise SelectRefused(register=register, what="it cannot be parsed") from None
    if len(found) != 1 or not isinstance(found[0], exp.Select):
        raise SelectRefused(register=register, what="it is not exactly one SELECT")
    tree = found[0]
    if tree.find(exp.Star) is not None and not isinstance(tree.find(exp.Star).parent, exp.Count):  # type: ignore[union-attr]
        raise SelectRefused(register=register, what="columns must be named, not *")
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise SelectRefused(register=register, what="it reads something that is not a table")
    return tuple(column.alias_or_name for column in tree.selects)


def key_place(select: str, dialect: str) -> tuple[str, str] | None:
    """Table and column in which a point SELECT looks its `:key` up; None where that cannot be told."""
    found = _key_place(select, dialect)
    return (found[0].name, found[1].name) if found else None


def key_place_as_written(select: str, dialect: str) -> tuple[str, str] | None:
    """The same as SQL: with the table's schema, and quoted where they are quoted."""
    found = _key_place(select, dialect)
    if found is None:
        return None
    table = found[0].copy()
    table.set("alias", None)
    return table.sql(dialect=dialect), found[1].this.sql(dialect=dialect)


def _key_place(select: str, dialect: str) -> Any:
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(select, dialect=dialect)
    tables = list(tree.find_all(exp.Table))
    sides = [pair for one in tree.find_all(exp.EQ) for pair in ((one.left, one.right), (one.right, one.left))]
    columns = [one for one, other in sides if isinstance(one, exp.Column) and isinstance(other, exp.Placeholder)]
    return (tables[0], columns[0]) if len(tables) == len(columns) == 1 else None
