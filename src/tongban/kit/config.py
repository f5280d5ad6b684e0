"""Reading what people write in TOML and YAML: sizes capped, places named.

A mistake is reported with file and line, in words for somebody who did nothing foolish.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from tongban.kit.errors import Invalid

LARGEST = 256 * 1024


class FileInvalid(Invalid):
    """A file that a person wrote does not hold."""

    code = "kit.file_invalid"
    message = "{path}:{line}: {what}."
    remedy = "Correct the line and run the command again."


def read_text(path: Path) -> str:
    """UTF-8 text of at most LARGEST bytes. Raises FileInvalid."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileInvalid(path=path, line=1, what=f"cannot be read ({error.strerror})") from None
    if len(data) > LARGEST:
        raise FileInvalid(path=path, line=1, what=f"larger than {LARGEST // 1024} KiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FileInvalid(path=path, line=line, what="not UTF-8 text") from None


def read_toml(path: Path) -> dict[str, Any]:
    """Raises FileInvalid."""
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        what = re.sub(r" \(at .*\)$", "", str(error))
        raise FileInvalid(path=path, line=int(found[1]) if found else 1, what=what) from None


class _Doubled(yaml.SafeLoader):
    """Safe YAML without doubled keys, or keys that are lists or mappings."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a key must be a single text or number", problem_mark=key_node.start_mark
                )
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key_node.value!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


class _StrictLoader(_Doubled):
    """Safe YAML without anchors, aliases, tags or doubled keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not allowed", problem_mark=event.start_mark)
        if getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(problem="tags are not allowed", problem_mark=event.start_mark)
        return super().compose_node(parent, index)


#: What the two parsers read differently, wherever it stands; a file must not say one thing here and another there.
_AMBIGUITIES = {
    "\t": "a tab stands here; write blanks, or \\t in double quotes",
    "\ufeff": "a byte order mark stands here, which is only allowed as the very first character",
}
_AMBIGUOUS = re.compile("\t|(?!\\A)\ufeff")
#: A comment right behind the mark of a block of text, and some a question mark: libyaml lets them pass where Python's
#: own parser does not, which therefore decides.
_LENIENT = re.compile(r"[|>][-+0-9]*#|\?")


def read_yaml(path: Path) -> Any:
    """The document's value; dates as datetime.date. Raises FileInvalid."""
    return read_yaml_node(path)[0]


def read_yaml_node(path: Path) -> tuple[Any, Any]:
    """The document's value, and the node that says where each part of it stands. Raises FileInvalid."""
    text = read_text(path)
    if ambiguous := _AMBIGUOUS.search(text):
        line, what = text.count("\n", 0, ambiguous.start()) + 1, _AMBIGUITIES[ambiguous[0]]
        raise FileInvalid(path=path, line=line, what=what)
    try:
        return _read_fast(text) or _read_slow(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise FileInvalid(path=path, line=mark.line + 1 if mark else 1, what=error.problem) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FileInvalid(path=path, line=1, what=f"not YAML ({type(error).__name__})") from None


def _read_slow(text: str) -> tuple[Any, Any]:
    loader = _StrictLoader(text)
    node = loader.get_single_node()
    return loader.construct_document(node) if node is not None else None, node


#: libyaml's parser where PyYAML was built with it: it takes a tenth of the time.
_PARSER: Any = getattr(yaml, "CSafeLoader", None)
#: Deeper than anything a person writes; libyaml's composer calls itself for each level.
_DEEPEST = 100


def _read_fast(text: str) -> tuple[Any, Any] | None:
    """The same by libyaml; None where it finds anything amiss, so that a mistake is told in one set of words."""
    if _PARSER is None or not _is_plain(text):
        return None
    try:
        node = yaml.compose(text, Loader=_PARSER)
        # What is no mapping is hardly ever meant, and an empty document ends on another line here than there.
        return (_Doubled("").construct_document(node), node) if isinstance(node, yaml.MappingNode) else None
    except (yaml.YAMLError, ValueError):
        return None


def _is_plain(text: str) -> bool:
    """Whether libyaml reads it, and finds no anchor, alias or tag, nor anything too deep."""
    if yaml.reader.Reader.NON_PRINTABLE.search(text) or _LENIENT.search(text):
        return False
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_PARSER):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
                return False
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                return False
    except yaml.YAMLError:
        return False
    return True


def line_of(text: str, needle: str, start: int = 0) -> int:
    """Line on which `needle` first stands from `start` on, else at all; 1 if nowhere. Good enough to send a person."""
    position = text.find(needle, start)
    if position < 0:
        position = text.find(needle)
    return text.count("\n", 0, position) + 1 if position >= 0 else 1


class Section:
    """One table of a TOML or YAML file, read key by key; what nobody read is refused by `done`.

    Every mistake becomes FileInvalid with the line on which the key first stands in the section.
    """

    def __init__(self, values: Any, path: Path, text: str, name: str = "", start: int = 0) -> None:
        self.path, self._text, self._name, self._start = path, text, name, max(start, 0)
        if not isinstance(values, dict):
            raise self.wrong(name, f"[{name}] must be a table")
        self._values: dict[str, Any] = values
        self._read: set[str] = set()

    def wrong(self, key: str, what: str) -> FileInvalid:
        """The error to raise about `key`."""
        return FileInvalid(path=self.path, line=line_of(self._text, key.rsplit(".", 1)[-1], self._start), what=what)

    def _get(self, key: str, kind: type, default: Any) -> Any:
        self._read.add(key)
        where = f"{self._name}.{key}" if self._name else key
        if key not in self._values:
            if default is ...:
                raise self.wrong(self._name or key, f"{where} is missing")
            return default
        value = self._values[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.wrong(key, f"{where} must be a {_KINDS[kind]}")
        return value

    def text(self, key: str, default: Any = ...) -> Any:
        return self._get(key, str, default)

    def flag(self, key: str, default: Any = ...) -> Any:
        return self._get(key, bool, default)

    def integer(self, key: str, default: Any = ..., low: int = 0, high: int = 2**53) -> Any:
        value = self._get(key, int, default)
        if value is not None and not low <= value <= high:
            raise self.wrong(key, f"{key} must lie between {low} and {high}")
        return value

    def texts(self, key: str, default: Any = ...) -> tuple[str, ...]:
        values = self._get(key, list, default)
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(key, f"{key} must be a list of texts")
        return tuple(values)

    def section(self, key: str, default: Any = ...) -> "Section":
        values, name = self._get(key, dict, default), f"{self._name}.{key}".lstrip(".")
        return Section(values, self.path, self._text, name, self._text.find(key, self._start))

    def sections(self, key: str) -> list["Section"]:
        """The tables of an array of tables; none if the key is missing."""
        found, start = [], self._start
        for item in self._get(key, list, []):
            start = self._text.find(f"{key}]]", start) + 1
            found.append(Section(item, self.path, self._text, key, start - 1))
        return found

    def named(self, key: str) -> dict[str, "Section"]:
        """Tables by their names, `[register.population]`; none if the key is missing."""
        return {
            name: Section(item, self.path, self._text, name, self._text.find(name, self._text.find(f"[{key}.")))
            for name, item in self._get(key, dict, {}).items()
        }

    def has(self, key: str) -> bool:
        return key in self._values

    def done(self) -> None:
        """Refuse keys that nobody asked for: a misspelt limit must not be a missing limit."""
        for key in self._values:
            if key not in self._read:
                raise self.wrong(key, f"unknown key {key!r}")


_KINDS = {str: "text", int: "whole number", bool: "true or false", list: "list", dict: "table"}


def open_toml(path: Path) -> Section:
    """The whole file as one Section. Raises FileInvalid."""
    return Section(read_toml(path), path, read_text(path))
