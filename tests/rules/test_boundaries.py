"""Situations must stand on both sides of each boundary, and somebody checks that they do."""

from datetime import date

import pytest

from tests.rules.cast import AT, a_compiled
from tongban.rules.boundaries import unguarded

BEFORE, AFTER = date(2014, 5, 31), date(2014, 6, 2)


def notices(tmp_path, met, usual, *told, **change):
    written = [{"name": f"s{n}", "at": AT, **one} for n, one in enumerate(told)]
    compiled = a_compiled(tmp_path, met=met, usual=usual, situations=written, reasons=[], **change)
    return [problem.what.removeprefix("no situation notices if ") for problem in unguarded(compiled)]


def met(**facts):
    return {**facts, "then": "met"}


def not_met(**facts):
    return {**facts, "then": "not_met", "reason": "licence_class"}


@pytest.mark.parametrize(
    ("told", "noticed"),
    [
        ([met(valid_until=AT), not_met(valid_until=BEFORE)], []),
        ([met(valid_until=AFTER), not_met(valid_until=BEFORE)], ["valid_until >= {at} becomes valid_until > {at}"]),
        ([], ["valid_until >= {at} becomes valid_until > {at}"]),
    ],
)
def test_a_comparison_needs_somebody_exactly_on_it(tmp_path, told, noticed):
    assert notices(tmp_path, "valid_until >= {at}", {}, *told) == noticed


def test_a_number_needs_somebody_on_each_side(tmp_path):
    on, below, far = met(points=11), not_met(points=12), not_met(points=50)
    assert notices(tmp_path, "points < 12", {}, on, below) == []
    assert notices(tmp_path, "points < 12", {}, met(points=0), below) == ["12 becomes 11"]
    assert notices(tmp_path, "points < 12", {}, on, far) == ["points < 12 becomes points <= 12", "12 becomes 13"]


def test_a_parameter_is_a_number_too(tmp_path):
    rule = {"parameters": {"most": 12}}
    assert notices(tmp_path, "points < {most}", {}, met(points=11), not_met(points=12), **rule) == []
    assert notices(tmp_path, "points < {most}", {}, met(points=0), not_met(points=12), **rule) == ["most becomes 11"]


def test_only_situations_that_the_rule_decides_count(tmp_path):
    silent = {"valid_until": "unavailable", "then": "unknown", "reason": "no_answer"}
    assert notices(tmp_path, "valid_until >= {at}", {}, silent) == ["valid_until >= {at} becomes valid_until > {at}"]
