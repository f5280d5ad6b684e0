"""The doctor: good on a good machine, plain words on a bad one, and able to run on nothing but Python."""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from tongban.cli import doctor

ROOT = Path(__file__).resolve().parents[2]
Usage = namedtuple("Usage", "total used free")


def test_every_check_names_itself_and_advises_only_where_something_is_wrong():
    findings = list(doctor.examine(ROOT))
    assert len({finding.name for finding in findings}) == len(findings) == 13
    assert all(finding.said for finding in findings)
    assert all(finding.state == "good" or finding.advice for finding in findings)


def test_a_bad_finding_is_status_1_and_a_warning_is_not(monkeypatch, capsys):
    told = [doctor.Finding("disk", "warning", "in memory", "use a disk")]
    monkeypatch.setattr(doctor, "examine", lambda root: iter(told))
    assert doctor.run(argparse.Namespace(json=False)) == 0
    told.append(doctor.Finding("space", "bad", "full", "empty it"))
    assert doctor.run(argparse.Namespace(json=True)) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["advice"] == "empty it"


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        ("/dev/a / ext4 rw 0 0\n", "ext4"),
        ("/dev/a / ext4 rw 0 0\nt /srv tmpfs rw 0 0\n", "tmpfs"),
        ("/dev/a / ext4 rw 0 0\nt /sr tmpfs rw 0 0\n", "ext4"),
        ("o / overlay rw 0 0\nn /srv/city nfs4 rw 0 0\nt /srv tmpfs rw 0 0\n", "nfs4"),
        ("a / ext4 rw 0 0\nb / xfs rw 0 0\n", "xfs"),
        ("", ""),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(monkeypatch, mounts, kind):
    monkeypatch.setattr(doctor, "_text", lambda path: mounts)
    assert doctor.filesystem_of(Path("/srv/city")) == kind


@pytest.mark.parametrize(("kind", "state"), [("ext4", "good"), ("tmpfs", "warning"), ("fuse.sshfs", "warning")])
def test_a_log_in_memory_or_across_a_network_is_warned_of(monkeypatch, kind, state):
    monkeypatch.setattr(doctor, "filesystem_of", lambda path: kind)
    assert doctor.disk_kind(ROOT).state == state


@pytest.mark.parametrize(("gib", "state"), [(0.5, "bad"), (1, "warning"), (4.9, "warning"), (5, "good")])
def test_space_is_judged_by_what_a_city_needs(monkeypatch, gib, state):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, int(gib * doctor.GIB)))
    assert doctor.space(ROOT).state == state


def test_a_container_s_limit_counts_and_not_the_machine_s_cores(monkeypatch):
    monkeypatch.setattr(doctor, "_text", lambda path: "50000 100000\n" if path.endswith("cpu.max") else "")
    assert doctor.cores(ROOT) == doctor.Finding(
        "cores", "warning", "0.5 usable", "A city of one machine wants two; it will be slow."
    )


def test_a_container_s_memory_limit_counts(monkeypatch):
    said = {"/proc/meminfo": "MemAvailable: 9999999 kB\n", "memory.max": str(3 * doctor.GIB), "memory.current": "0"}
    monkeypatch.setattr(doctor, "_text", lambda path: next(text for end, text in said.items() if path.endswith(end)))
    assert (doctor.memory(ROOT).state, doctor.memory(ROOT).said) == ("good", "3.0 GiB free")


def test_a_clock_before_the_files_were_written_is_bad(monkeypatch, tmp_path):
    (tmp_path / "requirements").mkdir()
    for name in ("pyproject.toml", "requirements/run.txt"):
        (tmp_path / name).touch()
    two_days_ago = time.time() - 2 * 86400
    monkeypatch.setattr(time, "time", lambda: two_days_ago)
    assert doctor.clock(tmp_path).state == "bad"


def test_a_folder_that_cannot_be_written_is_bad(monkeypatch, tmp_path):
    assert doctor.disk_speed(tmp_path / "nowhere").state == "bad"


def test_a_path_too_long_for_a_node_s_door_is_warned_of():
    assert doctor.socket_path(Path("/srv/" + "x" * 59)).state == "good"
    assert doctor.socket_path(Path("/srv/" + "x" * 60)).state == "warning"


class Stamped:
    """A checkout whose environment was made two days ago."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / ".venv").mkdir()
        (root / "requirements").mkdir()
        (root / "requirements" / "run.txt").write_text("a==1\n")
        self.write(root=str(root))

    def write(self, **change: object) -> None:
        pinned = hashlib.sha256(b"a==1\n").hexdigest()
        stamp = {"root": str(self.root), "made": time.time() - 2 * 86400, "seconds": 9.0, "run": pinned} | change
        (self.root / ".venv" / "tongban.json").write_text(json.dumps(stamp))


def test_a_root_without_an_account_for_the_tests_database_is_warned_of(monkeypatch):
    def nobody(name):
        raise KeyError(name)

    assert doctor.database(ROOT).state == "good"
    monkeypatch.setattr(doctor.pwd, "getpwnam", nobody)
    states = []
    for uid in (0, 1000):
        monkeypatch.setattr(doctor.os, "geteuid", lambda uid=uid: uid)
        states.append(doctor.database(ROOT).state)
    assert states == ["warning", "good"]


def test_the_environment_s_age_is_told(tmp_path):
    Stamped(tmp_path)
    assert doctor.environment(tmp_path) == doctor.Finding("environment", "good", "run packages, made 2 days ago in 9 s")


def test_an_environment_that_no_longer_fits_is_told(tmp_path):
    stamped = Stamped(tmp_path)
    stamped.write(root="/elsewhere")
    assert "another path" in doctor.environment(tmp_path).said
    stamped.write(run="0" * 64)
    assert "other packages" in doctor.environment(tmp_path).said
    (tmp_path / ".venv" / "tongban.json").unlink()
    assert "not made yet" in doctor.environment(tmp_path).said


def test_the_doctor_needs_no_package_at_all():
    ask = "import sys; from tongban.cli.main import main; sys.exit(main(['doctor', '--json']))"
    # -S: no site-packages, as on a machine where no environment could be made.
    command = [sys.executable, "-S", "-c", ask]
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": os.environ["PATH"]}
    told = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert told.returncode in (0, 1), told.stderr
    assert len(told.stdout.splitlines()) == 13
