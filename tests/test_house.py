"""The house keeps its own rules: ladder, names, sizes, words, and one version everywhere."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import tongban

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FILE = 600

#: What belongs to a machine, or to the making of the project, and not into it.
FOREIGN = {
    "a package registry's address": r"pypi\.org|pythonhosted|npmjs\.(org|com)|--(extra-)?index-url|--find-links"
    r'|https?://\S+/(simple|-)/|"resolved": *"http',
    "a path of one machine": r"(^|[^A-Za-z0-9_./-])/(work|farm|root|tmp/[a-z]+-[0-9])/",
    "a document that is not the project's": r"\b(DESIGN|THREATS|DOMAIN|MISSION|STYLE)\.md\b"
    r"|\bshared/(evidence|data|hooks)\b",
    "a word about who typed it": r"(?i)\b(claude|anthropic|chatgpt|openai|llms?|language model|sub-?agents?)\b",
}
UNFINISHED = r"\b(TODO|FIXME|XXX|HACK)\b|\bNotImplementedError\b|\b[Ff]or now\b(?! in\b)"


def tracked() -> list[Path]:
    """What git tracks or would add; in a checkout without git, everything but what tools left behind."""
    if (ROOT / ".git").exists():
        command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
        paths = [ROOT / name.decode() for name in told.split(b"\0") if name]
    else:
        made = {"var", "dist", "build", "node_modules", "__pycache__"}
        paths = [path for path in ROOT.rglob("*") if not made & set(path.parts) and not hidden(path)]
    return sorted({path for path in paths if path.is_file()})


def hidden(path: Path) -> bool:
    return any(part.startswith(".") and part != ".ci" for part in path.relative_to(ROOT).parts)


def texts() -> Iterator[tuple[str, str]]:
    """Name and text of every tracked text file but this one, which has to name what it forbids."""
    for path in tracked():
        if path != Path(__file__).resolve() and b"\0" not in (data := path.read_bytes())[:8192]:
            yield str(path.relative_to(ROOT)), data.decode("utf-8", "replace")


def python_files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def imports_of(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def test_every_room_imports_only_what_stands_below_it():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_stands_on_the_ladder():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    ladder = {room for floor in contracts[0]["layers"] for room in floor.split(" | ")}
    rooms = {path.parent.name for path in (ROOT / "src" / "tongban").glob("*/__init__.py")}
    assert ladder == rooms


def test_no_module_is_named_after_nothing():
    empty = re.compile(r"(utils?|helpers?|managers?|services?|common|misc|base)$")
    names = {path.relative_to(ROOT).with_suffix("") for path in python_files()}
    assert [str(name) for name in names if any(empty.fullmatch(part) for part in name.parts)] == []


def test_every_module_says_what_it_is():
    # The names of tests are sentences already.
    told = [path for path in python_files() if not path.name.startswith(("test_", "conftest"))]
    trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in told}
    assert [name for name, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []


def test_no_file_of_code_is_too_long_to_be_read():
    lengths = {str(path.relative_to(ROOT)): len(path.read_bytes().splitlines()) for path in python_files()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_holds(what):
    pattern = re.compile(FOREIGN[what], re.M)
    found = [f"{name}: {match[0]}" for name, text in texts() for match in pattern.finditer(text)]
    assert found == []


def test_nothing_is_left_to_be_done_later():
    written = (".py", ".md", ".toml", ".yaml", ".yml", ".sh", "")
    found = [
        f"{name}: {match[0]}"
        for name, text in texts()
        if Path(name).suffix in written
        for match in re.finditer(UNFINISHED, text)
    ]
    assert found == []


def test_the_oracle_shares_no_code_with_what_it_judges():
    allowed = sys.stdlib_module_names | {"pyarrow", "pytest", "hypothesis"}
    shared = {
        f"{path.name} imports {name}"
        for path in (ROOT / "tests" / "oracle").glob("**/*.py")
        for name in imports_of(path)
        if name.partition(".")[0] not in allowed and not name.startswith("tests.oracle") and name != "."
    }
    assert shared == set()


def test_code_never_imports_its_tests():
    folders = (ROOT / "src", ROOT / "solutions")
    importers = [path for folder in folders for path in folder.rglob("*.py") if any_tests(imports_of(path))]
    assert importers == []


def any_tests(names: set[str]) -> bool:
    return any(name.partition(".")[0] in ("tests", "pytest", "hypothesis") for name in names)


def test_a_solution_s_code_reaches_the_rooms_only_through_its_api():
    reached = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / "solutions").rglob("*.py")
        for name in imports_of(path)
        if name.startswith("tongban") and not name.startswith("tongban.solution.api")
    }
    assert reached == set()


def test_every_link_between_documents_leads_somewhere():
    lost = [
        f"{path.relative_to(ROOT)} → {target}"
        for path in tracked()
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert lost == []


def test_each_decision_has_its_own_number_and_says_it():
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [path.name[:4] for path in records]
    assert len(set(numbers)) == len(numbers) > 0
    untold = [path.name for path in records if not path.read_text(encoding="utf-8").startswith(f"# {path.name[:4]}: ")]
    assert untold == []


def test_there_is_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    public = yaml.safe_load((ROOT / "publiccode.yml").read_text(encoding="utf-8"))
    changes = re.findall(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert project["version"] == tongban.__version__ == public["softwareVersion"] == changes[0]
    assert project["license"] == public["legal"]["license"] == "Apache-2.0"
