"""The one script: makes the environment once, notices when it no longer fits, and gets out of the way.

The uv here is a stand-in that writes down what it is asked, so no test reaches a registry.
"""

import ast
import importlib.machinery
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tongban"

UV = """#!{python}
import os, pathlib, sys, time
here = pathlib.Path(__file__).parents[3]
words = sys.argv[1:]
what = "venv" if words[0] == "venv" else pathlib.Path(words[-1]).stem
with open(here / "asked", "a") as asked:
    print(what, file=asked)
if what == "venv":
    folder = pathlib.Path(words[-1])
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / "python{{}}.{{}}".format(*sys.version_info) / "site-packages").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text("home = " + os.path.dirname({python!r}))
    os.symlink({python!r}, folder / "bin" / "python")
else:
    (here / "began").touch()
    time.sleep(float(os.environ.get("UV_TAKES", "0")))
    if "UV_FAILS" in os.environ:
        sys.exit("no such host")
    print("Prepared 31 packages in 1m 02.5s")
"""

#: The interpreter itself, outside any virtual environment.
PYTHON = sys._base_executable

#: Instead of the command line: tells how it was called.
MAIN = """import json, os, sys
print(json.dumps({"words": sys.argv[1:], "path": os.environ.get("PYTHONPATH"), "here": __file__,
                  "safe": sys.flags.safe_path, "python": sys.executable}))
"""


class Copy:
    """A copy of the script in a folder of its own, with a stand-in for uv and for the command line."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "requirements").mkdir(parents=True)
        (root / "src" / "tongban" / "cli").mkdir(parents=True)
        shutil.copy(SCRIPT, root / "tongban")
        (root / "src" / "tongban" / "cli" / "main.py").write_text(MAIN)
        for name, text in {"run": "a==1\n", "test": "a==1\nb==1\n", "uv": "uv==9.9.9 \\\n"}.items():
            (root / "requirements" / f"{name}.txt").write_text(text)
        uv = root / ".bootstrap" / "uv" / "bin" / "uv"
        uv.parent.mkdir(parents=True)
        uv.write_text(UV.format(python=PYTHON))
        uv.chmod(0o755)
        (root / ".bootstrap" / "uv" / "uv-9.9.9.dist-info").mkdir()

    def start(self, *words: str, script: Path | None = None, **settings: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(script or self.root / "tongban"), *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=settings.pop("cwd", None),
            env=self.environment(**settings),
        )

    def environment(self, **settings: str) -> dict[str, str]:
        # The same Python under every name, so that no test depends on which the machine calls python3.
        folder = self.root / "path"
        if not folder.exists():
            folder.mkdir()
            os.symlink(PYTHON, folder / "python3")
        return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **settings}

    def asked(self) -> list[str]:
        notes = self.root / "asked"
        return notes.read_text().split() if notes.exists() else []

    @property
    def stamp(self) -> Path:
        return self.root / ".venv" / "tongban.json"


@pytest.fixture
def a_copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "somewhere")


def test_the_first_start_makes_the_environment_and_the_second_only_looks(a_copy):
    first = a_copy.start("up")
    assert (first.returncode, a_copy.asked()) == (0, ["venv", "run"])
    assert "62.5 s of it fetching" in first.stderr
    second = a_copy.start("up")
    assert (second.returncode, second.stderr, a_copy.asked()) == (0, "", ["venv", "run"])


def test_up_fetches_no_test_tools_and_test_adds_them(a_copy):
    a_copy.start("up")
    a_copy.start("test")
    assert a_copy.asked() == ["venv", "run", "test"]


def test_up_after_test_takes_nothing_away(a_copy):
    a_copy.start("test")
    a_copy.start("up")
    assert a_copy.asked() == ["venv", "test"]
    (a_copy.root / "requirements" / "run.txt").write_text("a==2\n")
    a_copy.start("up")
    assert a_copy.asked() == ["venv", "test", "test"]


def test_other_pins_are_installed_into_the_environment_that_is_there(a_copy):
    a_copy.start("up")
    (a_copy.root / "requirements" / "run.txt").write_text("a==2\n")
    a_copy.start("up")
    assert a_copy.asked() == ["venv", "run", "run"]


def test_an_environment_that_was_moved_is_made_anew(a_copy, tmp_path):
    a_copy.start("test")
    moved = tmp_path / "elsewhere"
    shutil.copytree(a_copy.root, moved, symlinks=True)
    told = a_copy.start("up", script=moved / "tongban")
    assert (moved / "asked").read_text().split() == ["venv", "test", "venv", "run"]
    assert json.loads(told.stdout)["python"] == str(moved / ".venv" / "bin" / "python")


def test_an_environment_whose_python_is_gone_is_made_anew(a_copy):
    a_copy.start("up")
    (a_copy.root / ".venv" / "bin" / "python").unlink()
    assert a_copy.start("up").returncode == 0
    assert a_copy.asked() == ["venv", "run"] * 2


def test_an_environment_by_another_hand_is_made_anew(a_copy):
    (a_copy.root / ".venv" / "bin").mkdir(parents=True)
    assert a_copy.start("up").returncode == 0
    assert a_copy.asked() == ["venv", "run"]


def test_an_installation_that_was_killed_is_not_taken_for_finished(a_copy):
    a_copy.start("up")
    (a_copy.root / "requirements" / "run.txt").write_text("a==2\n")
    (a_copy.root / "began").unlink()
    with subprocess.Popen(
        [str(a_copy.root / "tongban"), "up"],
        env=a_copy.environment(UV_TAKES="60"),
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_for(a_copy.root / "began", process)
        os.killpg(process.pid, signal.SIGKILL)
    assert not a_copy.stamp.exists()
    assert a_copy.start("up").returncode == 0
    assert a_copy.asked() == ["venv", "run", "run", "venv", "run"]


def test_ctrl_c_while_installing_is_quiet(a_copy):
    with subprocess.Popen(
        [str(a_copy.root / "tongban"), "up"],
        env=a_copy.environment(UV_TAKES="60"),
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(a_copy.root / "began", process)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in said


def wait_for(path: Path, process: subprocess.Popen[Any]) -> None:
    """Until the stand-in says that it began; a process that ended first fails the test."""
    while not path.exists():
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)


def test_two_starts_at_once_make_one_environment(a_copy):
    settings = a_copy.environment(UV_TAKES="0.5")
    command = [str(a_copy.root / "tongban"), "up"]
    first = subprocess.Popen(command, env=settings, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait_for(a_copy.root / "began", first)
    second = a_copy.start("up")
    first.communicate(timeout=20)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "another ./tongban is making the environment" in second.stderr
    assert a_copy.asked() == ["venv", "run"]


def test_every_word_reaches_the_command_line_unchanged(a_copy):
    words = ["round", "new", "--json", "--", "-k", "a b", "通办", ""]
    assert json.loads(a_copy.start(*words).stdout)["words"] == words


def test_it_works_from_another_folder_and_through_a_link(a_copy, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(a_copy.root / "tongban")
    told = json.loads(a_copy.start("up", script=link, cwd=tmp_path).stdout)
    assert told["here"] == str(a_copy.root / "src" / "tongban" / "cli" / "main.py")


def test_a_folder_of_the_same_name_where_the_person_stands_is_not_taken_for_ours(a_copy, tmp_path):
    (tmp_path / "tongban" / "cli").mkdir(parents=True)
    (tmp_path / "tongban" / "cli" / "main.py").write_text("raise SystemExit('the wrong one')\n")
    a_copy.start("up")
    assert a_copy.start("up", cwd=tmp_path).returncode == 0


def test_a_shell_s_own_python_path_does_not_reach_the_program(a_copy):
    told = json.loads(a_copy.start("up", PYTHONPATH="/opt/others").stdout)
    assert (told["path"], told["safe"]) == (None, True)


@pytest.mark.parametrize("words", [["doctor"], ["--help"], [], ["--version"]])
def test_help_and_the_doctor_need_no_environment(a_copy, words):
    assert a_copy.start(*words).returncode == 0
    assert a_copy.asked() == []


def test_a_registry_that_cannot_be_reached_is_status_3_with_advice(a_copy):
    # pip, to which the script turns when uv fails, finds nothing either: it is told to look nowhere.
    nowhere = {"UV_FAILS": "1", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}
    done = a_copy.start("up", **nowhere)
    assert done.returncode == 3
    assert "uv did not work (no such host)" in done.stderr
    assert "check the network" in done.stderr
    assert not a_copy.stamp.exists()


# Single functions


@pytest.fixture
def script(tmp_path: Path) -> ModuleType:
    """The script as a module, whose folder is an empty one."""
    loader = importlib.machinery.SourceFileLoader("tongban_script", str(SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_a_mirror_and_a_certificate_given_to_pip_count_for_uv_too(script, monkeypatch):
    config = "global.index-url='https://mirror.example/'\n:env:.cert='/etc/city.pem'"
    monkeypatch.setattr(script, "pip", lambda: [sys.executable, "-c", f"print({config!r})"])
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    settings = script.uv_settings()
    assert (settings["UV_DEFAULT_INDEX"], settings["SSL_CERT_FILE"]) == ("https://mirror.example/", "/etc/city.pem")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://other.example/")
    assert "UV_DEFAULT_INDEX" not in script.uv_settings()


@pytest.fixture
def without_ensurepip(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """As on a fresh Debian: no ensurepip until apt-get has brought it. The commands that were run."""
    ran: list[list[str]] = []
    found = importlib.util.find_spec
    hidden = lambda name: None if name == "ensurepip" and not ran else found(name)  # noqa: E731
    monkeypatch.setattr(script.importlib.util, "find_spec", hidden)
    monkeypatch.setattr(script.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(script, "step", lambda command, what, environment=None: ran.append(command))
    return ran


def test_root_fetches_the_missing_venv_package(script, without_ensurepip, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    script.need_ensurepip()
    package = f"python3.{sys.version_info[1]}-venv"
    assert without_ensurepip == [
        ["apt-get", "update"],
        ["apt-get", "install", "-y", "--no-install-recommends", package],
    ]


def test_anybody_else_is_told_the_exact_command(script, without_ensurepip, monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as stopped:
        script.need_ensurepip()
    assert stopped.value.code == 3
    assert (
        f"sudo apt-get install -y --no-install-recommends python3.{sys.version_info[1]}-venv" in capsys.readouterr().err
    )
    assert without_ensurepip == []


def test_the_pinned_test_packages_contain_the_run_time_ones():
    pins = {name: pinned(name) for name in ("run", "test")}
    assert pins["run"] - pins["test"] == set()
    assert len(pins["test"]) > len(pins["run"]) > 20


def pinned(name: str) -> set[str]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return {line.rstrip(" \\") for line in lines if "==" in line and not line.startswith((" ", "#"))}


def test_an_old_python_can_read_the_script_far_enough_to_find_a_newer_one():
    text = SCRIPT.read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 6))
    search = next(node.lineno for node in tree.body if isinstance(node, ast.If))
    early = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) and node.lineno < search]
    assert {name.name for node in early for name in node.names} == {"os", "subprocess", "sys"}


def test_the_script_needs_the_standard_library_alone():
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names == set()
