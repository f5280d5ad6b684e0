"""The page of errors lists every code that the software can say, and none besides."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import tongban
from tongban.exchange.refusals import STATUS
from tongban.kit.errors import TongbanError

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "tongban"
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
ROOMS = sorted(place.name for place in SOURCE.iterdir() if (place / "__init__.py").exists())
CODE = rf"(?:{'|'.join(ROOMS)})\.[a-z0-9_]+"
ROW = re.compile(r"^\| `([a-z]+\.[a-z0-9_]+)` \| ([0-9–]+) \| ([^|]+) \| ([^|]+) \|$", re.M)
ROWS = ROW.findall(PAGE)
LISTED = [code for code, _, _, _ in ROWS]
#: Written like codes, and names of files.
FILES = {"node.toml", "node.out", "solution.yaml"}
#: The only places that put a code together from a room and a word; STATUS holds all that come out.
COMPOSED = {"exchange/bulk.py", "exchange/refusals.py"}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def written() -> set[str]:
    """Every text constant in the source that has the form of a code."""
    texts = {
        node.value
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in texts if re.fullmatch(CODE, text)}


def errors() -> dict[str, int]:
    """Exit status by code, of every class of errors."""
    for module in pkgutil.walk_packages(tongban.__path__, "tongban."):
        importlib.import_module(module.name)
    return {kind.code: kind.exit_status for kind in (TongbanError, *below(TongbanError))}


def below(kind: type[TongbanError]) -> Iterator[type[TongbanError]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith("tongban."):
            yield child
            yield from below(child)


def sections() -> Iterator[tuple[str, list[str]]]:
    """Heading and codes of each section."""
    for section in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        yield section.splitlines()[0], [code for code, _, _, _ in ROW.findall(section)]


def test_the_page_and_the_code_have_the_same_codes():
    assert (written() | set(STATUS)) - FILES - set(LISTED) == set()
    assert set(LISTED) - (written() | set(STATUS)) == set()


def test_every_file_that_looks_like_a_code_is_still_named_somewhere():
    assert written() >= FILES


def test_a_code_is_put_together_only_where_a_table_holds_all_that_come_out():
    found = {
        place
        for place, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        and isinstance(node.values[0], ast.Constant)
        and re.fullmatch(rf"(?:{'|'.join(ROOMS)})\.", str(node.values[0].value))
    }
    assert found == COMPOSED


def test_every_error_has_a_code_of_its_room_and_stands_on_the_page():
    strange = {code for code in errors() if not re.fullmatch(CODE, code)}
    assert (strange, set(errors()) - set(LISTED)) == (set(), set())


def test_the_page_gives_the_exit_status_of_every_error():
    told = {code: number for code, number, _, _ in ROWS if not code.startswith("exchange.")}
    assert {code: told[code] for code in errors() if code in told} == {
        code: str(status) for code, status in errors().items() if code in told
    }


def test_every_line_that_begins_with_a_code_is_a_row_and_no_code_stands_twice():
    begun = re.findall(r"^\| `([a-z]+\.[a-z0-9_]+)`", PAGE, re.M)
    assert begun == LISTED
    assert sorted(LISTED) == sorted(set(LISTED))


def test_every_row_says_in_both_languages_what_happened_and_what_to_do():
    poor = {
        code
        for code, _, happened, do in ROWS
        if not all(re.search(r"[一-鿿]", said) and re.search(r"[A-Za-z]{2}", said) for said in (happened, do))
    }
    assert poor == set()


def test_codes_are_grouped_by_room():
    for heading, codes in sections():
        room = re.search(r"`([a-z]+)`", heading)
        assert {code.partition(".")[0] for code in codes} <= {room[1] if room else "exchange"}, heading
