"""Reading a rule's file: every key known, every mistake shown with its line."""

from datetime import date, timedelta

import pytest

from tests.rules.cast import WRITTEN, a_file, a_rule
from tongban.kit.config import FileInvalid
from tongban.rules.places import RuleInvalid
from tongban.rules.rule import is_stale, parameter_of, read_rule
from tongban.rules.verdict import Verdict, pack, unknown

NOBODY = {
    "verdict": "not_met", "reason": "nobody", "say": "无", "say_en": "none", "article": "第八条", "needs": "complete",
}  # fmt: skip


def test_a_rule_takes_its_first_day_from_its_file(tmp_path):
    rule = a_rule(tmp_path)
    assert (rule.id, rule.valid_from, rule.valid_until) == ("licence@2014-01-01", date(2014, 1, 1), None)
    assert rule.parameters["classes"].value == ("A1", "B1", "C1")


def test_reasons_are_numbered_in_their_order_and_the_default_one_is_last(tmp_path):
    unsaid = {"code": "unsaid", "say": "不明", "say_en": "unknown"}
    rule = a_rule(tmp_path, no_record=NOBODY, unknown_reason=unsaid)
    codes = [(reason.number, reason.code) for reason in rule.own_reasons()]
    assert codes == [(1, "licence_status"), (2, "licence_expired"), (3, "nobody"), (4, "unsaid"), (5, "licence_class")]
    assert rule.number("no_answer") == 49
    assert rule.reason(49).code == "no_answer"
    assert rule.reason(5).say_en == "Another class"
    assert rule.reason(0) is None


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"rule": "other"}, "the file's name differ"),
        ({"title_en": None}, "`title_en` is missing"),
        ({"met": None}, "`met` is missing"),
        ({"met": True}, "`met` must be a text"),
        ({"default_reason": "其余"}, "`default_reason` must be a mapping"),
        ({"default_reason": {"code": "x", "say": "无"}}, "`say_en` is missing"),
        ({"article": "第七条"}, "`article` must be a mapping"),
        ({"article": {"text": "文"}}, "`source` is missing"),
        ({"mett": "a = 1"}, "key 'mett' is not known here"),
        ({"state_on": "now"}, "must be one of at, latest, history"),
        ({"max_snapshot_days": 0}, "whole number from 1"),
        ({"max_snapshot_days": 4.5}, "whole number from 1"),
        ({"max_snapshot_days": True}, "whole number from 1"),
        ({"history_through": "last_week", "state_on": "history"}, "must be one of last_month, last_year"),
        ({"history_through": True, "state_on": "history"}, "must be one of last_month, last_year"),
        ({"history_through": "last_year", "state_on": "latest"}, "counted from the evaluation date"),
        ({"valid_until": date(2013, 12, 31)}, "ends before it begins"),
        ({"valid_until": "soon"}, "must be a day"),
        ({"no_record": "met"}, "must be one of unknown"),
        ({"no_record": {**NOBODY, "article": None}}, "only by an article"),
        ({"no_record": {**NOBODY, "needs": None}}, "only by an article"),
        ({"no_record": {**NOBODY, "verdict": "not_applicable"}}, "must be one of met"),
        ({"no_record": {**NOBODY, "reason": "no_record"}}, "one of the common ones"),
        ({"reasons": {"when": "a"}}, "must be a list"),
        ({"reasons": ["a"]}, "must be a mapping"),
        ({"reasons": [WRITTEN["reasons"][0]] * 2}, "stands twice"),
        ({"reasons": [{**WRITTEN["reasons"][0], "code": "licence_class"}]}, "stands twice"),
        ({"reasons": [{**WRITTEN["reasons"][0], "code": "No!"}]}, "code cannot be"),
        ({"reasons": [{**WRITTEN["reasons"][0], "code": f"r{n}"} for n in range(47)]}, "more than 47"),
        ({"parameters": {"at": 1}}, "cannot be called 'at'"),
        ({"parameters": {"x": 1.5}}, "text, a whole number"),
        ({"parameters": {"x": []}}, "text, a whole number"),
        ({"parameters": {"x": [1, "a"]}}, "expected int"),
        ({"parameters": {"x": [1, True]}}, "expected int"),
        ({"parameters": {"x": [1, 1]}}, "different values"),
        ({"parameters": {"x": 2**53}}, "beyond 2\\^53"),
        ({"asks": [{"name": "name", "type": "months"}]}, "no column of type months"),
        ({"asks": [{"name": "name", "type": "text"}] * 2}, "asked for twice"),
        ({"asks": [{"name": "name"}]}, "type must be one of"),
        ({"missing_means": [{"column": "a", "meaning": "无"}]}, "`article` is missing"),
    ],
)
def test_a_rule_that_does_not_hold_is_refused_in_words(tmp_path, change, what):
    with pytest.raises(RuleInvalid, match=what):
        a_rule(tmp_path, **change)


def test_a_mistake_is_shown_with_its_line(tmp_path):
    path = a_file(tmp_path)
    lines = path.read_text().splitlines()
    place = next(n for n, line in enumerate(lines, 1) if line.startswith("  say_en: Expired"))
    path.write_text(path.read_text().replace("  say_en: Expired", "  say_em: Expired"))
    with pytest.raises(RuleInvalid) as caught:
        read_rule(path)
    assert caught.value.facts["path"] == str(path)
    assert place - 3 <= int(str(caught.value.facts["line"])) <= place


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("rule: &a licence\n", "anchors"),
        ("rule: licence\nrule: licence\n", "stands twice"),
        ("rule: !!python/object:os.system x\n", "tags"),
        ('title: "\\ud800"\n', "half a character"),
        ("- a\n", "not a mapping"),
        ("", "not a mapping"),
        ("a: [" * 2_000, "not YAML"),
        ("a: " + "x" * 300_000, "larger than"),
    ],
    ids=["anchor", "doubled key", "tag", "surrogate", "list", "empty", "deep", "huge"],
)
def test_hostile_yaml_is_refused_before_anything_is_made_of_it(tmp_path, text, what):
    with pytest.raises((FileInvalid, RuleInvalid), match=what):
        read_rule(a_file(tmp_path, text))


@pytest.mark.parametrize(
    "name", ["licence.yaml", "licence@2014-13-01.yaml", "licence@2014-1-1.yaml", "Li@2014-01-01.yaml"]
)
def test_a_file_without_a_name_and_a_day_is_no_rule(tmp_path, name):
    with pytest.raises(RuleInvalid, match="named <name>@"):
        read_rule(a_file(tmp_path, name=name))


def test_a_parameter_keeps_its_type_through_json():
    for value in ("x", 5, True, date(2014, 6, 8), ["a", "b"], [date(2014, 6, 8)]):
        parameter = parameter_of("x", value)
        assert parameter_of("x", parameter.to_json()) == parameter


def test_silence_is_a_verdict_only_while_the_owner_states_completeness(tmp_path):
    rule = a_rule(tmp_path, no_record=NOBODY)
    assert rule.silence(complete=True) == pack(Verdict.NOT_MET, 3)
    assert rule.silence(complete=False) == unknown("no_record")
    plain = a_rule(tmp_path)
    assert plain.silence(complete=True) == unknown("no_record")


def test_an_unknown_silence_may_have_a_reason_of_its_own(tmp_path):
    own = {"verdict": "unknown", "reason": "not_found", "say": "未查到", "say_en": "not found"}
    rule = a_rule(tmp_path, no_record=own)
    assert rule.silence(complete=False) == rule.silence(complete=True) == pack(Verdict.UNKNOWN, 3)


@pytest.mark.parametrize(
    ("state_on", "snapshot", "at", "today", "stale"),
    [
        ("at", date(2014, 4, 22), date(2014, 6, 1), date(2015, 1, 1), False),
        ("at", date(2014, 4, 21), date(2014, 6, 1), date(2014, 6, 1), True),
        ("at", date(2014, 7, 11), date(2014, 6, 1), date(2015, 1, 1), False),
        ("at", date(2014, 7, 12), date(2014, 6, 1), date(2015, 1, 1), True),
        ("latest", date(2014, 4, 22), date(2000, 1, 1), date(2014, 6, 1), False),
        ("latest", date(2014, 4, 21), date(2014, 6, 1), date(2014, 6, 1), True),
        ("history", date(2014, 4, 22), date(2014, 6, 1), date(2020, 1, 1), False),
        ("history", date(2014, 4, 21), date(2014, 6, 1), date(2014, 6, 1), True),
        ("history", date(2019, 1, 1), date(2014, 6, 1), date(2020, 1, 1), False),
    ],
)
def test_a_snapshot_is_stale_one_day_after_its_limit(tmp_path, state_on, snapshot, at, today, stale):
    assert is_stale(a_rule(tmp_path, state_on=state_on), snapshot, at, today) is stale


@pytest.mark.parametrize(
    ("through", "at", "last_unfinished"),
    [
        ("last_month", date(2014, 6, 8), date(2014, 5, 31)),
        ("last_month", date(2014, 6, 30), date(2014, 5, 31)),
        ("last_month", date(2014, 6, 1), date(2014, 5, 31)),
        ("last_month", date(2012, 3, 31), date(2012, 2, 29)),
        ("last_month", date(2014, 1, 1), date(2013, 12, 31)),
        ("last_year", date(2014, 6, 8), date(2013, 12, 31)),
        ("last_year", date(2014, 3, 8), date(2013, 12, 31)),
        ("last_year", date(2014, 12, 31), date(2013, 12, 31)),
        ("last_year", date(2014, 1, 1), date(2013, 12, 31)),
    ],
)
def test_a_register_read_before_the_last_month_or_year_was_over_is_stale(tmp_path, through, at, last_unfinished):
    rule = a_rule(tmp_path, state_on="history", max_snapshot_days=400, history_through=through)
    assert is_stale(rule, last_unfinished, at, at)
    assert not is_stale(rule, last_unfinished + timedelta(days=1), at, at)
    assert not is_stale(rule, at + timedelta(days=3_000), at, at)


def test_the_greatest_age_and_the_end_of_the_year_both_bind(tmp_path):
    rule = a_rule(tmp_path, max_snapshot_days=40, history_through="last_year")
    january, june = date(2014, 1, 8), date(2014, 6, 8)
    stale = [is_stale(rule, snapshot, january, january) for snapshot in (date(2013, 12, 31), date(2014, 1, 1))]
    assert stale == [True, False]
    stale = [is_stale(rule, snapshot, june, june) for snapshot in (date(2014, 4, 28), date(2014, 4, 29))]
    assert stale == [True, False]
    assert is_stale(rule, date(2014, 7, 19), june, june)


def test_a_rule_is_in_force_on_its_first_and_its_last_day(tmp_path):
    rule = a_rule(tmp_path, valid_until=date(2020, 12, 31))
    days = (date(2013, 12, 31), date(2014, 1, 1), date(2020, 12, 31), date(2021, 1, 1))
    assert [rule.in_force(day) for day in days] == [False, True, True, False]
