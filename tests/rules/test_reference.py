"""The reference page says what the code does: its tables are the code's, its example compiles."""

import re
from datetime import date
from pathlib import Path

from tests.rules.cast import LICENCES
from tongban.rules import situations
from tongban.rules.compile import compile
from tongban.rules.facts import Column, FactTable, Type
from tongban.rules.rule import read_rule
from tongban.rules.verdict import COMMON
from tongban.rules.vocabulary import VOCABULARY, VOCABULARY_VERSION

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "rules.md").read_text("utf-8")


def test_the_common_reasons_of_the_page_are_the_code_s():
    for reason in COMMON.values():
        assert f"| {reason.number} | `{reason.code}` | {reason.say} | {reason.say_en} |" in PAGE


def test_the_vocabulary_of_the_page_is_the_code_s():
    assert f"Vocabulary, version {VOCABULARY_VERSION}" in PAGE
    for function in VOCABULARY.values():
        args = ", ".join(kind.value for kind in function.args)
        said = function.say_en.split("): ", 1)[-1]
        assert f"| `{function.name}({args})` | {function.result.value} | {function.say} | {said} |" in PAGE


def test_the_example_of_the_page_is_a_rule_whose_situations_hold(tmp_path):
    text = re.search(r"```yaml\n(rule: .*?)```", PAGE, re.DOTALL)[1]
    path = tmp_path / "valid_driving_licence@2021-01-01.yaml"
    path.write_text(text, "utf-8")
    classes = Column("licence_class", Type.CODE, codes=("A1", "A2", "B1", "B2", "C1", "C2", "D"))
    columns = tuple(classes if column.name == "licence_class" else column for column in LICENCES.columns)
    compiled = compile(read_rule(path), FactTable(LICENCES.name, LICENCES.domains, columns))
    assert situations.check(compiled) == []
    assert compiled.rule.valid_from == date(2021, 1, 1)
