"""Reading YAML with its places: libyaml's parser and Python's own say the same of every file, right or wrong."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongban.kit import config
from tongban.kit.config import FileInvalid
from tongban.rules import places

BOM = "\ufeff"
#: What YAML gives a meaning to, and what its readers have disagreed about.
PIECES = [
    ": ",
    ":",
    "- ",
    "\n",
    "\n  ",
    " ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "'",
    '"',
    " # ",
    "#",
    "? ",
    "?",
    "|",
    ">",
    "|-\n",
]
PIECES += ["\t", ":\t", BOM, "\r\n", "\x85", "\u2028", "---\n", "<<: ", "&a ", "*a", "!!str ", "\\", "%", "\x7f"]
WORDS = [
    "a",
    "b",
    "title",
    "1",
    "1_0",
    "0x1",
    "1:30",
    "2014-06-09",
    "2014-02-30",
    "null",
    "~",
    "true",
    "中",
    "{[a]: 1}",
]
TEXTS = st.builds(
    "{}{}".format,
    st.sampled_from(["", "a: ", BOM]),
    st.lists(st.sampled_from(PIECES + WORDS), max_size=12).map("".join),
)

SHIPPED = sorted((Path(__file__).parents[2] / "solutions").rglob("*.yaml"))


def both(monkeypatch: pytest.MonkeyPatch, path: Path) -> tuple[object, object]:
    """What is read with libyaml, and what without."""
    fast = outcome(path)
    with monkeypatch.context() as without:
        without.setattr(config, "_PARSER", None)
        return fast, outcome(path)


def outcome(path: Path) -> object:
    try:
        value, found = places.read(path)
    except (FileInvalid, places.RuleInvalid) as error:
        return error.code, str(error)
    return value, found._lines


def test_there_are_files_to_compare_and_a_parser_to_compare_with() -> None:
    assert len(SHIPPED) > 20
    assert config._PARSER is not None


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_file_is_the_same_value_on_the_same_lines(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    fast, slow = both(monkeypatch, path)
    assert fast == slow
    assert isinstance(fast, tuple)
    # Python's own parser was not needed.
    assert config._read_fast(config.read_text(path)) is not None


@pytest.mark.parametrize("path", SHIPPED[:5], ids=lambda path: path.name)
def test_a_mistake_in_any_line_is_told_in_the_same_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: Path
) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    broken = tmp_path / path.name
    for number in range(0, len(lines), 7):
        for wrong in ("  : [", "\ttab: 1", "a: *b", "'", "title: x", "- x: {y: 1"):
            broken.write_text("\n".join([*lines[:number], wrong, *lines[number:]]) + "\n", encoding="utf-8")
            fast, slow = both(monkeypatch, broken)
            assert fast == slow, (number, wrong)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\nb: &x 2\n", 2, "anchors and aliases are not allowed"),
        ("a: 1\nb: *x\n", 2, "anchors and aliases are not allowed"),
        ("a: 1\nb: !!str 2\n", 2, "tags are not allowed"),
        ("a: 1\n\na: 2\n", 3, "key 'a' stands twice"),
        ("a: 1\nb: [\n", 3, None),
        ("a: 1\n---\nb: 2\n", 2, None),
        ("a: 2014-02-30\n", 1, None),
        ("a: \x7f\n", 1, None),
        ("a: 1\nb:\t2\n", 2, "a tab stands here"),
        ("a: 1\nb: [2,\t3]\n", 2, "a tab stands here"),
        ("a: 1\nb: '\t'\n", 2, "a tab stands here"),
        ("a: 1\n\ufeffb: 2\n", 2, "a byte order mark stands here"),
        ("\ufeff\ufeffa: 1\n", 1, "a byte order mark stands here"),
        ("# a\n\ufeff", 2, "a byte order mark stands here"),
        ("a: 1\nb: {[c]: 1}\n", 2, "a key must be a single text or number"),
        ("a: 1\n? {c: 1}\n: 2\n", 2, "a key must be a single text or number"),
        ("a: 1\nb: |# c\n  d\n", 2, None),
        ("a: 1\nb: [c ?]\n", 2, None),
        ("[" * 50_000, 1, None),
    ],
)
def test_what_is_not_allowed_is_told_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, line: int, what: str | None
) -> None:
    path = tmp_path / "rule.yaml"
    path.write_text(text, encoding="utf-8")
    fast, slow = both(monkeypatch, path)
    assert fast == slow
    assert f"rule.yaml:{line}: {what or ''}" in str(fast)


@pytest.mark.parametrize(
    "text", ["", "a:\n  - b: 1\n    c: |\n      two\n      lines\n  - {d: 2014-06-09, e: [1, x]}\n"]
)
def test_values_and_lines_do_not_depend_on_the_parser(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "rule.yaml"
    path.write_text(text, encoding="utf-8")
    fast, slow = both(monkeypatch, path)
    assert fast == slow
    if text:
        value, found = places.read(path)
        assert value["a"][1] == {"d": date(2014, 6, 9), "e": [1, "x"]}
        assert (found.line("a", 0, "c"), found.line("a", 1, "e", 1)) == (3, 6)


def test_a_byte_order_mark_at_the_very_start_is_no_part_of_the_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "rule.yaml"
    path.write_text(BOM + "a: 1\nb: 2\n", encoding="utf-8")
    fast, slow = both(monkeypatch, path)
    assert fast == slow
    assert places.read(path)[0] == {"a": 1, "b": 2}


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_both_parsers_give_a_text_the_same_value_on_the_same_lines_or_refuse_it_in_the_same_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "rule.yaml"
    path.write_bytes(text.encode())
    fast, slow = both(monkeypatch, path)
    assert fast == slow
