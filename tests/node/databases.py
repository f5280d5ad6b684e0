"""Registers in the PostgreSQL server of the tests, opened as the node opens them."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.postgres import Postgres
from tongban.node.adapters import connect
from tongban.node.adapters.postgres import PostgresRegister
from tongban.node.adapters.register import Bounds
from tongban.node.address import read_address
from tongban.node.config import RegisterConfig

AMPLE = Bounds(1_000_000, 60, 10)
POINT = "SELECT id_number, status FROM persons WHERE id_number = :key"
ROWS = "SELECT id_number, status FROM persons"
#: Where the node is told to find the password.
VARIABLE = "TONGBAN_TEST_REGISTER_PASSWORD"


def opened(server: Postgres, database: str, bounds: Bounds = AMPLE, **change: Any) -> PostgresRegister:
    """A register of the kind, as node.toml would name it; `change` is of its address."""
    address = replace(read_address(server.url(database), Path()), password_env=VARIABLE)
    found = connect(RegisterConfig("people", "postgresql", "", replace(address, **change)), bounds)
    assert isinstance(found, PostgresRegister)
    return found


async def look(register: PostgresRegister, key: str, select: str = POINT, seconds: float = 10) -> list[Any]:
    """One look, as the node looks."""
    return [*await register.point(select).look(key, time.monotonic() + seconds)]


def looked(register: PostgresRegister, key: str, select: str = POINT, seconds: float = 10) -> list[Any]:
    """One look where no event loop runs; the register is closed then."""

    async def done() -> list[Any]:
        try:
            return await look(register, key, select, seconds)
        finally:
            register.close()

    return asyncio.run(done())
