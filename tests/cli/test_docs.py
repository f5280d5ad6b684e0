"""Documents and help are held to the program: every command they show is one that it understands."""

import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.cli.cast import machine
from tongban.cli import main
from tongban.exchange.bureau import Bureau
from tongban.kit.clock import MachineClock
from tongban.node import config, setup

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NODE_PAGE = (ROOT / "docs" / "howto" / "node.md").read_text("utf-8")
BUREAU, WATER, MARKET = "11110199YYYY00119M", "11110199YYYY001902", "11110199YYYY001915"


def blocks(text: str) -> str:
    """What stands between fences, in lists too."""
    return "\n".join(re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.M | re.S))


def whole_lines(text: str) -> Iterator[str]:
    """Command lines, continued ones joined, without a comment or an explanation behind them."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip().startswith("./tongban"):
            yield re.split(r" {2,}[^ -]|\s#\s", re.sub(r" +--", " --", line.strip()))[0]


def mentioned(text: str) -> set[str]:
    """Commands in running text, between backticks."""
    outside = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    return {found for found in re.findall(r"`(\./tongban[^`]*)`", outside) if "COMMAND" not in found}


@cache
def parser(noun: str):
    return main.parser(noun, main.load(noun))


@cache
def names() -> frozenset[str]:
    """The program itself, every noun, and every noun with a verb."""
    all_of_them = (each for noun in main.offered() for each in (parser(noun), *main.verbs(parser(noun))))
    return frozenset({"./tongban", *(each.prog for each in all_of_them)})


def understood(line: str) -> bool:
    words = shlex.split(line)[1:]
    try:
        parser(words[0]).parse_args(words[1:])
    except main.Usage:
        return False
    except SystemExit as leaving:  # --help
        return leaving.code == 0
    return True


def shown() -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(ROOT)), line)
        for path in DOCUMENTS
        for line in whole_lines(blocks(path.read_text("utf-8")))
    ]


def test_the_documents_show_commands_of_every_noun_that_an_office_uses():
    told = {shlex.split(line)[1] for _, line in shown()}
    assert told >= {"up", "node", "directory", "round", "draw", "log", "test"}


@pytest.mark.parametrize(("page", "line"), shown())
def test_every_command_line_in_a_document_is_understood(page, line, capsys):
    assert understood(line), f"{page}: {line}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_a_text_mentions_exists(path, capsys):
    lost = [found for found in sorted(mentioned(path.read_text("utf-8"))) if not exists(found)]
    assert lost == []


def exists(line: str) -> bool:
    """A text may name a command without what must follow it."""
    return line in names() or understood(line)


def test_what_is_not_a_command_is_found_out():
    assert not understood("./tongban log verify")
    assert not understood("./tongban log verify DIR --signature-of-everybody")
    assert not exists("./tongban log verifi")
    assert list(whole_lines("./tongban up   # start\n  ./tongban draw verify X \\\n     --log Y")) == [
        "./tongban up",
        "./tongban draw verify X --log Y",
    ]


@pytest.mark.parametrize("noun", main.offered())
def test_every_example_in_a_help_text_is_understood(noun, capsys):
    told = {line for each in (parser(noun), *main.verbs(parser(noun))) for line in whole_lines(each.epilog or "")}
    assert told
    assert [line for line in told if not understood(line)] == []


# What the page on nodes says of node.toml


def test_the_page_on_nodes_names_every_key_that_node_toml_may_have():
    keys = set(re.findall(r'\.(?:text|texts|integer|flag|has)\("([a-z_0-9]+)"', inspect.getsource(config)))
    assert len(keys) > 25
    said = set(re.findall(r"[a-z_0-9]+", NODE_PAGE))
    assert keys | set(config.Limits.__dataclass_fields__) <= said


def test_the_page_on_nodes_gives_each_limit_as_it_is():
    said = dict(re.findall(r"`(\w+)` \| (\d+)", NODE_PAGE))
    standard = config.Limits()
    assert said == {name: str(getattr(standard, name)) for name in config.Limits.__dataclass_fields__}


def test_the_example_of_a_node_toml_is_accepted(tmp_path):
    example = re.search(r"```toml\n(.*?)```", NODE_PAGE, re.S)
    assert example
    (tmp_path / "node.toml").write_text(example[1], "utf-8")
    read = config.read(tmp_path)
    assert (read.mode, set(read.resources), read.systems[0].operators) == (
        "production",
        {"water/permits"},
        frozenset({"W-0007"}),
    )


# The program beside the page


def enrol(place: Path, *words: str) -> None:
    command = [sys.executable, str(ROOT / "docs" / "howto" / "enrol.py"), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)


def test_the_program_beside_the_page_lists_a_department_so_that_its_grant_has_effect(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TONGBAN_PASS_PHRASE", raising=False)
    root = Bureau.create(tmp_path / "hub", "示例市", BUREAU, MachineClock()).root.digest
    for name, code in (("water", WATER), ("market", MARKET)):
        setup.init(tmp_path / name, name, code, root, os.getuid())
        about = ("--name", f"示例市{name}", "--name-en", name, "--port", "8443")
        enrol(tmp_path, "member", "hub", name, f"office-{name}", *about)
    with (tmp_path / "water" / "node.toml").open("a") as file:
        file.write('[register.p]\ncsv = "p.csv"\n[resource."water/permits"]\nregister = "p"\nfields = ["status"]\n')
    about = ("--resource", "water/permits", "--consumer", MARKET, "--title", "取水许可")
    enrol(tmp_path, "grant", "hub", "water", "office-water", *about, "--purpose", "opening", "--basis", "第四条")
    assert machine(capsys, "directory", "publish", tmp_path / "hub")[0] == 0
    _, found = machine(capsys, "directory", "show", tmp_path / "hub")
    assert (found[0]["without_effect"], len(found[0]["keys"])) == ([], 6)
    assert [(one["of"], one["state"]) for one in found[0]["grants"]] == [("water/permits", "in force")]
