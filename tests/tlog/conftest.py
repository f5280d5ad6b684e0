"""A new log in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tlog.cast import a_log
from tongban.tlog.log import Log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def log(folder: Path) -> Iterator[Log]:
    log = a_log(folder)
    yield log
    log.close()
