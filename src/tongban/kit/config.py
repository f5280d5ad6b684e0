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


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML without anchors, aliases, tags or doubled keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not allowed", problem_mark=event.start_mark)
        if getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(problem="tags are not allowed", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key_node.value!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The document's value; dates as datetime.date. Raises FileInvalid."""
    text = read_text(path)
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506  a SafeLoader, narrowed
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise FileInvalid(path=path, line=mark.line + 1 if mark else 1, what=error.problem) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FileInvalid(path=path, line=1, what=f"not YAML ({type(error).__name__})") from None


def line_of(text: str, needle: str) -> int:
    """Line on which `needle` first stands, 1 if nowhere: good enough to send a person to the place."""
    position = text.find(needle)
    return text.count("\n", 0, position) + 1 if position >= 0 else 1
