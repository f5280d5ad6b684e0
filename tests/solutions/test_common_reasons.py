"""A reason that belongs to no single rule reads the same wherever an applicant, a clerk or an engineer meets it."""

import csv
import re
from datetime import date
from pathlib import Path

from tongban.rounds.policy import read_policy
from tongban.rules.verdict import COMMON

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
POLICY = ROOT / "solutions" / "car_lottery" / "policy"
CODE = {reason.code: (reason.say, reason.say_en) for reason in COMMON.values()}
NUMBERS = {reason.code: reason.number for reason in COMMON.values()}

Texts = dict[str, tuple[str, str]]


def numbered(page: str) -> tuple[dict[str, int], Texts]:
    """Numbers and texts of a page's table of common reasons."""
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", (REFERENCE / page).read_text("utf-8"), re.M)
    return {code: int(number) for number, code, _, _ in rows}, {code: (zh, en) for _, code, zh, en in rows}


def test_the_pages_of_rules_and_of_errors_list_every_common_reason_with_its_number_and_text():
    assert numbered("rules.md") == (NUMBERS, CODE)
    assert numbered("errors.md") == (NUMBERS, CODE)


def test_the_lottery_s_page_says_the_same():
    section = (REFERENCE / "car_lottery.md").read_text("utf-8").split("\n## 9. ")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", section, re.M)
    assert {code: (zh, en) for code, zh, en in rows if code in CODE} == CODE


def test_the_lottery_s_published_texts_say_the_same_and_beyond_them_only_what_the_page_says():
    with (POLICY / "reasons.csv").open(encoding="utf-8", newline="") as file:
        written = {row["reason"]: (row["zh"], row["en"]) for row in csv.DictReader(file)}
    assert {code: texts for code, texts in written.items() if code in CODE} == CODE
    page = (REFERENCE / "car_lottery.md").read_text("utf-8")
    for code, (zh, en) in written.items():
        assert f"| `{code}` | {zh} | {en} |" in page


def test_every_round_of_the_page_reads_them():
    for at in (date(2014, 6, 8), date(2026, 10, 8)):
        assert set(CODE) <= set(read_policy(POLICY, at).reasons)
