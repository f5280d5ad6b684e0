"""Refusals: the page, the table and the code name the same codes."""

import re
from pathlib import Path

import orjson
import pytest

from tests.world import NOON
from tongban.exchange.refusals import STATUS, status_of, write
from tongban.kit.errors import Refused
from tongban.rules.verdict import COMMON

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text()
ROWS = dict(re.findall(r"^\| `(exchange\.[a-z_]+)` \| ([0-9–]+) \| .+ \| .+ \|$", PAGE, re.MULTILINE))


def refused_in(room: str) -> set[str]:
    """Codes that the room's code can give in a Refused."""
    found = set()
    for path in sorted((ROOT / "src" / "tongban" / room).rglob("*.py")):
        text = path.read_text()
        found |= set(re.findall(r'Refused\(\s*"(exchange\.[a-z_]+)"', text))
        found |= {f"exchange.{word}" for word in re.findall(r'_Malformed\("([a-z_]+)"', text)}
    return found


def test_every_code_of_the_page_has_the_table_s_status():
    assert {code: int(status) for code, status in ROWS.items() if status != "–"} == dict(STATUS)


@pytest.mark.parametrize("room", ["exchange", "node"])
def test_every_refusal_that_the_code_can_give_stands_on_the_page(room):
    assert refused_in(room) - ROWS.keys() == set()


def test_a_code_stands_once_and_is_told_in_both_languages():
    codes = re.findall(r"^\| `(exchange\.[a-z_]+)`", PAGE, re.MULTILINE)
    assert len(codes) == len(set(codes))
    for line in PAGE.splitlines():
        if line.startswith("| `exchange."):
            *_, happened, do, _ = line.split("|")
            for told in (happened, do):
                assert re.search("[\u4e00-\u9fff]", told), line
                assert re.search("[a-z]{2}", told), line


def test_the_common_reasons_are_those_of_the_rules():
    rows = re.findall(r"^\| (\d\d) \| `([a-z_]+)` \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert [(int(number), code, say, say_en) for number, code, say, say_en in rows] == [
        (reason.number, reason.code, reason.say, reason.say_en) for reason in COMMON.values()
    ]


def test_a_refusal_s_body_tells_the_node_s_time():
    body = write(Refused("exchange.clock_skew", "too far"), NOON + 0.9, retry_after=3)
    assert orjson.loads(body) == {
        "code": "exchange.clock_skew", "reason": "too far", "node_time": "2014-06-09T04:00:00Z", "retry_after": 3,
    }  # fmt: skip
    assert b"retry_after" not in write(Refused("exchange.no_grant", ""), NOON)


def test_statuses_are_http_s_and_a_foreign_code_is_a_bad_request():
    assert all(400 <= status <= 599 for status in STATUS.values())
    assert (status_of("exchange.replay"), status_of("identity.wrong_length")) == (409, 400)
