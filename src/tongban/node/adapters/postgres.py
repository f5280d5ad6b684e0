"""Registers in a PostgreSQL database: look-ups over kept connections, extracts by COPY, and nothing is ever written.

Texts are told as the server writes them under the settings below, whole numbers as numbers. A server that is gone is
looked for again at the next look-up.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Literal

import asyncpg

from tongban.node.adapters.account import FAILURES, failed, password, trusted
from tongban.node.adapters.copied import Copied
from tongban.node.adapters.register import (
    LOSSY,
    MOST_ROWS,
    Bounds,
    RegisterChanged,
    RegisterEndless,
    SelectRefused,
    key_place,
    reviewed,
)
from tongban.node.address import Server
from tongban.node.config import RegisterConfig

#: Seconds after the server's own time limit until it is given up: its word that the time is over must come back.
GRACE = 0.5
#: Before every statement, whatever the server's own settings are.
_SETTINGS = {
    "application_name": "tongban-node",
    "default_transaction_read_only": "on",
    # A policy that hides rows would make an empty answer of what the account may not see: it is an error instead.
    "row_security": "off",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Shanghai",
}
#: `:key`, and not the end of a cast such as `::keyword`.
_KEY = re.compile(r"(?<!:):key\b")
_WHOLE = {"int2": 2**15, "int4": 2**31, "int8": 2**63, "numeric": 10**38}
_INTEGERS = frozenset({"int2", "int4", "int8"})
_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "citext"})
_FLOATING = frozenset({"float4", "float8"})
#: A kept connection may have ended since it was last used,
_LOST = (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError)
#: and what was known of the table when it was last read may not hold any more.
_OUTDATED = (
    asyncpg.SyntaxOrAccessError,
    asyncpg.FeatureNotSupportedError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


def connect(config: RegisterConfig, bounds: Bounds) -> "PostgresRegister":
    assert config.server is not None
    return PostgresRegister(config.name, config.server, bounds)


class PostgresRegister:
    """One database under one account; nobody is called before the first look-up or extract."""

    def __init__(self, name: str, server: Server, bounds: Bounds) -> None:
        self.name, self._server, self._bounds = name, server, bounds
        self._pool: Any = None

    def point(self, select: str) -> "PostgresPoint":
        columns = reviewed(select, self.name, "postgres")
        statement, places = _KEY.subn("$1", select)
        if places != 1:
            raise SelectRefused(register=self.name, what="a point SELECT names :key exactly once")
        place = key_place(select, "postgres")
        return PostgresPoint(self, statement, columns, place[1] if place else "of its key")

    def extract(self, select: str) -> Any:
        return asyncio.run(self._extracted(select, reviewed(select, self.name, "postgres")))

    def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """One of the kept connections; it is kept on only if what was done with it came to its end."""
        if self._pool is None:
            size = self._server.connections
            made = asyncpg.create_pool(min_size=0, max_size=size, connect=self.connected, reset=_as_it_is)
            await made
            # Of two that came at once, the second one's is empty and is left.
            self._pool = self._pool or made
        pool = self._pool
        connection = await pool.acquire()
        try:
            yield connection
        except asyncpg.PostgresError:
            raise
        except BaseException:
            connection.terminate()
            raise
        finally:
            await pool.release(connection)

    async def renew(self) -> None:
        """Use no connection again that was made before: its statements are of the table as it was."""
        if self._pool is not None:
            await self._pool.expire_connections()

    async def connected(self, *_: Any, **also: Any) -> Any:
        server, seconds = self._server, self._bounds.look_seconds
        return await asyncpg.connect(
            host=server.host, port=server.port, user=server.user, database=server.database,
            # An empty one rather than none: else asyncpg would look for one of its own in the environment.
            password=password(self.name, server), ssl=trusted(self.name, server), timeout=seconds,
            server_settings={**_SETTINGS, "statement_timeout": str(_milliseconds(seconds))}, **also,
        )  # fmt: skip

    # --- extracts -------------------------------------------------------------------------------------

    async def _extracted(self, select: str, columns: tuple[str, ...]) -> Any:
        """All rows as of one moment, by a connection of its own."""
        until = time.monotonic() + self._bounds.seconds
        copied = Copied(self.name, columns, self._bounds)
        try:
            async with asyncio.timeout(self._bounds.seconds + GRACE):
                connection = await self.connected()
                try:
                    await self._copy(connection, select, copied)
                finally:
                    connection.terminate()
        except (TimeoutError, asyncpg.QueryCanceledError) as error:
            if time.monotonic() >= until:
                raise RegisterEndless.after(self.name, self._bounds, rows=False) from None
            raise failed(self.name, error) from None
        except FAILURES as error:
            raise failed(self.name, error) from None
        return copied.table()

    async def _copy(self, connection: Any, select: str, copied: Copied) -> None:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        await connection.execute(f"SET LOCAL statement_timeout = {_milliseconds(self._bounds.seconds)}")
        # A writer who locks the table is no endless register: not waited for longer than by a look-up.
        await connection.execute(f"SET LOCAL lock_timeout = {_milliseconds(self._bounds.look_seconds)}")
        if connection.get_server_version() >= (14,):
            # Else a server would read on, to the end of its table, for a refresh that was killed.
            await connection.execute("SET LOCAL client_connection_check_interval = 1000")
        # Alone first: only what is one whole statement to the server itself is put into another one.
        _, kinds = await self.prepared(connection, select, copied.columns)
        told = ", ".join(f"c{n}::text" for n in range(len(kinds)))
        await connection.copy_from_query(
            _within(select, told, len(kinds)), output=copied.take, format="csv", force_quote=True
        )
        copied.finish()
        await connection.execute("COMMIT")

    async def prepared(self, connection: Any, select: str, columns: tuple[str, ...]) -> tuple[Any, list[str]]:
        """The statement and the type of each of its columns. Raises RegisterChanged where one is no text to anybody."""
        statement = await connection.prepare(select)
        found = [(one.name, one.type.name) for one in statement.get_attributes()]
        if len(found) != len(columns):
            raise SelectRefused(register=self.name, what="the server reads other columns in it than were reviewed")
        if binary := [name for name, kind in found if kind == "bytea"]:
            raise RegisterChanged(register=self.name, what=f"column {binary[0]} holds bytes (bytea), which are no text")
        return statement, [kind for _, kind in found]


class PostgresPoint:
    """A look-up whose statement is made once the types of its columns are known, and anew when they have changed."""

    awaited: Literal[True] = True

    def __init__(self, register: PostgresRegister, select: str, columns: tuple[str, ...], keyed_by: str) -> None:
        self.columns = columns
        self._register, self._select, self._keyed_by = register, select, keyed_by
        self._plan: Plan | None = None
        #: Whether it was ever answered: what failed since then may have changed.
        self._answered = False

    async def look(self, key: str, until: float) -> Sequence[Sequence[Any]]:
        async with asyncio.timeout(until - time.monotonic() + GRACE):
            try:
                try:
                    return await self._found(key)
                except (*_LOST, *_OUTDATED) as error:
                    self._plan = None
                    if not (self._answered or isinstance(error, _LOST)):
                        raise
                    # Once more, by what is true now.
                    await self._register.renew()
                    return await self._found(key)
            except (TimeoutError, asyncpg.QueryCanceledError):
                raise TimeoutError from None
            except FAILURES as error:
                self._plan = None
                raise failed(self._register.name, error) from None

    async def _found(self, key: str) -> Sequence[Sequence[Any]]:
        async with self._register.connection() as connection:
            statement, given = self._plan or await self._planned(connection)
            # A column of whole numbers that was made one of floating-point numbers would still be compared, and
            # loosely: of such a one the types are asked for each time.
            if given is _text:
                self._plan = statement, given
            value = given(key)
            found = [] if value is None else [tuple(row) for row in await connection.fetch(statement, value)]
            self._answered = True
            return found

    async def _planned(self, connection: Any) -> "Plan":
        """Raises RegisterChanged, SelectRefused."""
        statement, kinds = await self._register.prepared(connection, self._select, self.columns)
        asked = [one.name for one in statement.get_parameters()]
        if len(asked) != 1:
            raise SelectRefused(register=self._register.name, what=":key must stand where a value is compared")
        if asked[0] in _FLOATING:
            raise RegisterChanged(register=self._register.name, what=LOSSY.format(column=self._keyed_by))
        if asked[0] not in _TEXTS and asked[0] not in _WHOLE:
            what = f"column {self._keyed_by} is {asked[0]}: numbers of persons are kept as text or as whole numbers"
            raise RegisterChanged(register=self._register.name, what=what)
        given = _text if asked[0] in _TEXTS else partial(_whole, asked[0])
        told = ", ".join(f"c{n}" if kind in _INTEGERS else f"c{n}::text" for n, kind in enumerate(kinds))
        return f"{_within(self._select, told, len(kinds))} LIMIT {MOST_ROWS}", given

    def prove(self) -> None:
        asyncio.run(self._proven())

    async def _proven(self) -> None:
        try:
            connection = await self._register.connected()
            try:
                statement, given = await self._planned(connection)
                await connection.fetch(statement, given("1"))
            finally:
                connection.terminate()
        except FAILURES as error:
            raise failed(self._register.name, error) from None


#: A statement, and what it takes for a key: None where no value of the column's type is written so.
Plan = tuple[str, Callable[[str], str | int | Decimal | None]]


def _text(key: str) -> str | None:
    return None if "\0" in key else key


def _whole(kind: str, key: str) -> int | Decimal | None:
    """A number that loses nothing: none that begins with a nought, or has an X."""
    if not (key.isascii() and key.isdigit()) or key[0] == "0" or int(key) >= _WHOLE[kind]:
        return None
    return Decimal(key) if kind == "numeric" else int(key)


def _within(select: str, told: str, count: int) -> str:
    """The SELECT as part of another. On a line of its own ends what may be a comment."""
    names = ", ".join(f"c{n}" for n in range(count))
    return f"SELECT {told} FROM ({select.strip().removesuffix(';')}\n) AS reviewed({names})"


def _milliseconds(seconds: int) -> int:
    """As much of it as a setting of the server holds."""
    return min(seconds * 1000, 2**31 - 1)


async def _as_it_is(_: Any) -> None:
    """A kept connection is not reset: every statement is a transaction of its own, and nothing of it stays."""
