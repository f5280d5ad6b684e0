"""The tests' PostgreSQL server ends with whoever started it, and asks nothing of the machine."""

import os
import subprocess
import sys
from pathlib import Path

from tests.node.running import until
from tests.postgres import Postgres

STARTS = """
import sys
from tests.postgres import serving
with serving() as server:
    print(server.pid, server.folder, flush=True)
    sys.stdin.read()
"""


def gone(pid: int) -> bool:
    """Whether no such process is at work; one that nobody waits for stays in the list as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_server_ends_with_the_process_that_started_it_however_that_ends_and_starts_again() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTS], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        number, folder = parent.stdout.readline().decode().split()
        pid = int(number)
        of_server = children(pid)
        assert of_server
        parent.kill()
    until(lambda: all(gone(one) for one in (pid, *of_server)), "server and its processes are gone")
    left = Postgres(folder=Path(folder))
    assert left.start().run("SELECT 1 AS one")[0]["one"] == 1
    left.erase()


def test_a_server_runs_under_an_account_that_is_not_root_and_its_folder_is_closed() -> None:
    server = Postgres()
    try:
        server.start()
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert server.folder.stat().st_mode & 0o077 == 0
        assert os.listdir(server.folder)
        folder = server.folder
    finally:
        server.erase()
    assert not folder.exists()
