"""`./tongban test`: one summary, pytest's line last, nothing skipped in silence, long counts that go on."""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tongban.cli import pytest_run, testing

ROOT = Path(__file__).resolve().parents[2]

PASSING = "def test_it():\n    assert True\n"


@pytest.fixture
def a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one passing test, whose other checks all hold."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(PASSING)
    (tmp_path / "tests" / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -q --import-mode=importlib\n")
    monkeypatch.setattr(testing, "checks", lambda root: [testing.Step("mypy", True, 1.0, "")])
    monkeypatch.setattr(testing, "checkout", lambda: tmp_path)
    monkeypatch.setattr(pytest_run, "workers", lambda: 0)
    monkeypatch.delenv("TONGBAN_ALLOW_SKIPS", raising=False)
    return tmp_path


def asked(**change: object) -> argparse.Namespace:
    words = {"seed": 7, "pytest": [], "full": None, "minutes": None, "again": False, "json": False}
    return argparse.Namespace(**(words | change))


def test_the_last_line_is_pytest_s_own(a_checkout, capsys):
    assert testing.run(asked()) == 0
    lines = capsys.readouterr().out.rstrip().splitlines()
    assert re.fullmatch(r"1 passed in [\d.]+s", lines[-1])
    assert [line.split()[:2] for line in lines[-5:-2]] == [["mypy", "ok"], ["pytest", "ok"], ["together", "ok"]]


def test_the_seed_is_told_and_reaches_the_tests(a_checkout, capsys):
    test = "import os\ndef test_it(): assert os.environ['TONGBAN_SEED'] == '7'\n"
    (a_checkout / "tests" / "test_it.py").write_text(test)
    assert testing.run(asked()) == 0
    assert "./tongban test --seed 7" in capsys.readouterr().err


def test_a_failed_check_fails_the_run_though_every_test_passes(a_checkout, monkeypatch, capsys):
    monkeypatch.setattr(testing, "checks", lambda root: [testing.Step("mypy", False, 1.0, "error: no such type")])
    assert testing.run(asked()) == 1
    said = capsys.readouterr()
    assert "error: no such type" in said.err
    assert re.search(r"mypy +FAILED", said.out)
    assert said.out.rstrip().splitlines()[-1].startswith("1 passed")


def test_a_machine_gets_one_object_and_nothing_else(a_checkout, capsys):
    assert testing.run(asked(json=True)) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["seed"], [step["name"] for step in told["steps"]]) == (True, 7, ["mypy", "pytest"])


SKIPPING = {
    "skipped": "import pytest\ndef test_ran(): pass\n@pytest.mark.skip\ndef test_it(): pass\n",
    "skipped inside": "import pytest\ndef test_ran(): pass\ndef test_it(): pytest.skip('today')\n",
    "expected to fail": "import pytest\ndef test_ran(): pass\n@pytest.mark.xfail\ndef test_it(): assert False\n",
    "failed to fail": "import pytest\ndef test_ran(): pass\n@pytest.mark.xfail\ndef test_it(): assert True\n",
    "a whole file": "import pytest\npytest.importorskip('no_such_package_anywhere')\ndef test_it(): pass\n",
}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_test_that_does_not_count_fails_the_session(a_checkout, workers):
    for number, text in enumerate(SKIPPING.values()):
        (a_checkout / "tests" / f"test_away_{number}.py").write_text(text)
    done = pytest_of(a_checkout, "-n", workers)
    assert done.returncode == 1
    told = done.stdout.partition("not run, which fails the session")[2]
    assert re.findall(r"^tests/test_away_(\d)\.py", told, re.M) == ["0", "1", "2", "3", "4"]


def test_skipping_can_be_allowed_by_hand(a_checkout):
    (a_checkout / "tests" / "test_away.py").write_text(SKIPPING["skipped"])
    assert pytest_of(a_checkout).returncode == 1
    assert pytest_of(a_checkout, TONGBAN_ALLOW_SKIPS="1").returncode == 0


def pytest_of(root: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", *words]
    environment = {**os.environ, **settings}
    return subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment, check=False)


def test_no_test_at_all_is_not_a_success(a_checkout):
    assert testing.run(asked(pytest=["-k", "nothing_is_called_so"])) == 1


# What only root can install


def test_a_missing_system_part_names_the_command_where_it_cannot_be_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(testing, "SYSTEM_PARTS", (testing.SystemPart("git", lambda root: True, ("git",)),))
    with pytest.raises(testing.PartMissing, match="sudo apt-get install -y git"):
        testing.install_system_parts(tmp_path)


def test_a_missing_system_part_is_installed_by_root(monkeypatch, tmp_path):
    ran: list[list[str]] = []
    part = testing.SystemPart("git", lambda root: not ran, ("git",))
    monkeypatch.setattr(testing, "SYSTEM_PARTS", (part,))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(testing.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(testing.subprocess, "run", lambda command, **options: ran.append(command))
    testing.install_system_parts(tmp_path)
    assert ran == [
        ["apt-get", "-q", "update"],
        ["apt-get", "-q", "install", "-y", "--no-install-recommends", "git"],
    ]
