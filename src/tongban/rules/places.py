"""Where a value stands in a YAML file, so that a mistake can be shown to the person who made it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tongban.kit import config
from tongban.kit.errors import Invalid

Step = str | int


class RuleInvalid(Invalid):
    """A rule, a fact table or a solution that a person wrote does not hold."""

    code = "rules.invalid"
    message = "{path}:{line}: {what}."
    remedy = "{remedy}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that its writer should change, in words for somebody who did nothing foolish."""

    file: str
    line: int
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}. {self.remedy}"


class Places:
    """Lines of the values in one YAML file, found by the keys and indexes that lead to them."""

    def __init__(self, path: str, lines: dict[tuple[Step, ...], int] | None = None) -> None:
        self.path = path
        self._lines = lines or {}

    def line(self, *steps: Step) -> int:
        """Line of the value at `steps`, or of the nearest thing around it that has one."""
        while steps and steps not in self._lines:
            steps = steps[:-1]
        return self._lines.get(steps, 1)

    def invalid(self, what: str, remedy: str, *steps: Step) -> RuleInvalid:
        return RuleInvalid(path=self.path, line=self.line(*steps), what=what, remedy=remedy)

    def problem(self, what: str, remedy: str, *steps: Step) -> Problem:
        return Problem(self.path, self.line(*steps), what, remedy)


def read(path: Path) -> tuple[dict[Any, Any], Places]:
    """The mapping in a YAML file and the places of its values. Raises FileInvalid, RuleInvalid."""
    value, root = config.read_yaml_node(path)
    places = Places(str(path), dict(_walk(root, ())))
    for steps, text in _texts(root, ()):
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise places.invalid("half a character, which cannot be signed", "Write the character itself.", *steps)
    if not isinstance(value, dict):
        raise places.invalid("is not a mapping of keys to values", "Begin with lines like `title: …`.")
    return value, places


def _texts(node: yaml.Node | None, steps: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], str]]:
    if isinstance(node, yaml.ScalarNode):
        yield steps, str(node.value)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield steps, str(key.value)
            yield from _texts(value, (*steps, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _texts(item, (*steps, index))


def _walk(node: yaml.Node | None, steps: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], int]]:
    if node is None:
        return
    yield steps, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _walk(value, (*steps, str(key.value)))
            # The line of the key: what a person looks for, and above a value that fills several lines.
            yield (*steps, str(key.value)), key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*steps, index))
