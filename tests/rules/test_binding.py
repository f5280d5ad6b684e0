"""A rule bound to a directory's text, a round's parameters, an application's columns; and why it cannot be."""

import hashlib
from datetime import date

import pyarrow as pa
import pytest

from tests.rules.cast import AT, LICENCES, a_compiled, a_row, a_rule, both, in_batch
from tongban.kit import canonical
from tongban.rules import engine, expr
from tongban.rules.compile import compile, compile_applies, from_directory
from tongban.rules.facts import Column, Type
from tongban.rules.places import RuleInvalid
from tongban.rules.verdict import COMMON, Verdict, pack, unknown
from tongban.rules.vocabulary import VOCABULARY_VERSION

NOBODY = {
    "verdict": "not_met", "reason": "nobody", "say": "无", "say_en": "none", "article": "第八条", "needs": "complete",
}  # fmt: skip


# Reasons in words


def test_a_byte_s_reason_is_told_in_both_languages(tmp_path):
    compiled = a_compiled(tmp_path)
    assert compiled.reason_text(pack(Verdict.NOT_MET, 1)) == ("状态不正常", "Not in force")
    assert compiled.reason_text(pack(Verdict.UNKNOWN, 3)) == ("车型不符", "Another class")
    common = COMMON["no_record"]
    assert compiled.reason_text(unknown("no_record")) == (common.say, common.say_en)


@pytest.mark.parametrize("byte", [pack(Verdict.MET), pack(Verdict.NOT_APPLICABLE), pack(Verdict.NOT_MET, 40)])
def test_a_byte_without_a_reason_is_told_without_one(tmp_path, byte):
    assert a_compiled(tmp_path).reason_text(byte) == ("", "")


# What is approved, to the byte: the same digest must come out of any other compiler


def test_the_digest_is_of_rule_parameters_facts_their_making_and_the_vocabulary(tmp_path):
    compiled = compile(a_rule(tmp_path), LICENCES, facts_digest="made so")
    approved = {
        "rule": compiled.text, "parameters": {"classes": {"type": "text", "values": ["A1", "B1", "C1"]}},
        "facts": LICENCES.to_json(), "facts_digest": "made so", "vocabulary": VOCABULARY_VERSION,
    }  # fmt: skip
    assert compiled.digest == hashlib.sha256(canonical.encode(approved)).hexdigest()
    assert expr.text(compiled.met) == compiled.text["met"]


def test_a_batch_s_relations_have_usual_names(tmp_path):
    compiled = a_compiled(tmp_path)
    assert compiled.duckdb(AT) == compiled.duckdb(AT, keys="keys", facts="facts")
    condition = compile_applies(a_rule(tmp_path, applies="kind = 'unit'"), (KIND,))
    assert condition.duckdb(AT) == condition.duckdb(AT, applications="applications")


def test_a_reason_sees_asked_columns_parameters_and_what_is_missing(tmp_path):
    reasons = [
        {"when": "name <> asked.name", "code": "name", "say": "姓名不符", "say_en": "Another name"},
        {"when": "points > {most}", "code": "points", "say": "超过", "say_en": "Too many"},
        {"when": "COALESCE(fines, 0) = 0", "code": "fines", "say": "无", "say_en": "None"},
    ]
    means = [{"column": "fines", "meaning": "零", "article": "第九条"}]
    change = {"met": "status = '正常' AND {most} > 0", "parameters": {"most": 5}, "missing_means": means}
    compiled = a_compiled(tmp_path, reasons=reasons, asks=[{"name": "name", "type": "text"}], **change)
    told = [
        both(compiled, a_row(status="注销", points=points, fines=fines), name=name)
        for name, points, fines in (("李四", 9, 1), ("张三", 6, 1), ("张三", 5, None), ("张三", 5, 1))
    ]
    assert told == [pack(Verdict.NOT_MET, number) for number in (1, 2, 3, 4)]


# From the directory


def test_a_node_runs_the_directory_s_parameters_and_not_the_text_s_own(tmp_path):
    mine = compile(a_rule(tmp_path), LICENCES, {"classes": ["A1"]})
    theirs = from_directory(mine.text, {"classes": ["A1"]}, LICENCES.to_json())
    assert theirs.digest == mine.digest
    assert theirs.parameters == {"classes": {"type": "text", "values": ["A1"]}}
    assert theirs.single(a_row(), {}, AT) == pack(Verdict.NOT_MET, 3)


def test_how_the_node_makes_its_facts_is_in_the_digest(tmp_path):
    mine = compile(a_rule(tmp_path), LICENCES, facts_digest="made so")
    theirs = from_directory(mine.text, mine.parameters, LICENCES.to_json(), facts_digest="made so")
    assert (theirs.digest, theirs.facts_digest) == (mine.digest, "made so")
    assert from_directory(mine.text, mine.parameters, LICENCES.to_json()).digest != mine.digest


def test_the_owner_s_statement_of_completeness_counts_at_the_node(tmp_path):
    mine = a_compiled(tmp_path, no_record=NOBODY, complete=AT)
    theirs = from_directory(mine.text, mine.parameters, LICENCES.to_json(), complete=AT)
    assert both(theirs, None) == pack(Verdict.NOT_MET, 3)
    assert theirs.complete == AT


def test_a_fact_table_in_the_directory_that_is_none_is_told(tmp_path):
    mine = a_compiled(tmp_path)
    with pytest.raises(RuleInvalid) as caught:
        from_directory(mine.text, mine.parameters, {**LICENCES.to_json(), "rows": 1})
    what = "a fact table has no rows; it has name, domains, columns"
    assert caught.value.facts == {"path": "rule text", "line": 1, "what": what, "remedy": "Publish the rule again."}


# Whom a rule concerns

BORN = Column("born", Type.DATE)
KIND = Column("kind", Type.CODE, codes=("person", "unit"))
OTHER = Column("other", Type.INT)


def in_both(condition, rows: list[dict[str, object]], at: date = AT) -> list[bool | None]:
    """What one by one and a batch answer alike."""
    single = [condition.single(row, at) for row in rows]
    batch = engine.applies(condition, pa.Table.from_pylist(rows), at=at, memory_mb=256).tolist()
    assert batch == [{True: 1, False: 0, None: 2}[one] for one in single]
    return single


def test_applies_is_asked_at_the_evaluation_date(tmp_path):
    condition = compile_applies(a_rule(tmp_path, applies="born <= add_years({at}, -18)"), (KIND, BORN, OTHER))
    assert condition.columns == (BORN,)
    rows = [{"born": date(1996, 6, 1)}, {"born": date(1996, 6, 2)}, {"born": None}]
    assert in_both(condition, rows) == [True, False, None]
    assert in_both(condition, rows, date(2014, 6, 2)) == [True, True, None]
    # There is no day 18 years before the year 2.
    assert in_both(condition, rows, date(2, 1, 1)) == [None, None, None]


def test_applies_may_look_at_several_columns(tmp_path):
    condition = compile_applies(a_rule(tmp_path, applies="kind = 'unit' OR born < {at}"), (KIND, OTHER, BORN))
    assert condition.columns == (KIND, BORN)
    rows = [{"kind": "unit", "born": None}, {"kind": "person", "born": AT}, {"kind": "person", "born": None}]
    assert in_both(condition, rows) == [True, False, None]


def test_a_rule_for_everyone_asks_nothing_of_the_application(tmp_path):
    condition = compile_applies(a_rule(tmp_path), (KIND, BORN))
    assert condition.columns == ()
    assert in_both(condition, [{"born": None}, {"born": AT}]) == [True, True]


def test_a_rule_that_applies_by_no_column_is_asked_all_the_same(tmp_path):
    condition = compile_applies(a_rule(tmp_path, applies="{at} >= DATE '2014-06-01'"), (KIND,))
    assert condition.columns == ()
    assert in_both(condition, [{"kind": None}]) == [True]
    assert in_both(condition, [{"kind": None}], date(2014, 5, 31)) == [False]


def test_applies_sees_the_rule_s_parameters_and_a_round_s_in_their_place(tmp_path):
    change = {"applies": "kind IN ({kinds})", "parameters": {"classes": ["A1"], "kinds": ["unit"]}}
    rule = a_rule(tmp_path, **change)
    rows = [{"kind": "unit"}, {"kind": "person"}]
    assert in_both(compile_applies(rule, (KIND,)), rows) == [True, False]
    assert in_both(compile_applies(rule, (KIND,), {"kinds": ["person"]}), rows) == [False, True]


def test_applies_knows_no_asked_columns(tmp_path):
    with pytest.raises(RuleInvalid, match=r"there is no column asked\.kind"):
        compile_applies(a_rule(tmp_path, applies="asked.kind = 'unit'"), (KIND,))


# What is said of a rule that cannot be compiled


def told(tmp_path, given: dict[str, object] | None = None, **change: object) -> tuple[str, str, str]:
    """What, remedy, and the line of the file that it points to."""
    with pytest.raises(RuleInvalid) as caught:
        compile(a_rule(tmp_path, **change), LICENCES, given)
    facts = caught.value.facts
    line = (tmp_path / "licence@2014-01-01.yaml").read_text().splitlines()[int(str(facts["line"])) - 1]
    return str(facts["what"]), str(facts["remedy"]), line.strip()


def test_a_parameter_that_is_none_of_the_rule_s_is_told_with_those_it_has(tmp_path):
    what = "parameter most is not one of the rule's, or of another type"
    assert told(tmp_path, {"most": 1}) == (what, "The parameters are: classes.", "parameters:")
    two = {"b": 1, "a": 2}
    assert told(tmp_path, {"c": 1}, parameters=two, met="sure", reasons=[])[1] == "The parameters are: a, b."
    assert told(tmp_path, {"c": 1}, parameters=None, met="sure", reasons=[])[1] == "The parameters are: none."


@pytest.mark.parametrize("value", [["A1", 1], [1], "A1", 1])
def test_a_parameter_of_another_type_is_told(tmp_path, value):
    what, remedy, line = told(tmp_path, {"classes": value})
    assert what.startswith("parameter classes")
    assert line == "parameters:"
    assert remedy in ("Correct its value.", "The parameters are: classes.")


def test_a_value_that_no_parameter_can_have_is_told(tmp_path):
    what, remedy, line = told(tmp_path, {"classes": 1.5})
    assert what.startswith("parameter classes: ")
    assert (remedy, line) == ("Correct its value.", "parameters:")


def test_a_silence_explained_for_no_column_is_told_with_the_columns(tmp_path):
    means = [
        {"column": "points", "meaning": "零", "article": "第九条"},
        {"column": "pionts", "meaning": "零", "article": "第九条"},
    ]
    what, remedy, line = told(tmp_path, missing_means=means)
    assert what == "missing_means names pionts, which is no column"
    names = "fines, licence_class, name, paid, points, status, sure, valid_until"
    assert remedy == f"The columns are: {names}."
    assert line == "- column: pionts"


def test_a_silence_may_be_explained_for_an_asked_column(tmp_path):
    means = [{"column": "asked.name", "meaning": "未填", "article": "第九条"}]
    change = {"asks": [{"name": "name", "type": "text"}], "met": "asked.name IS NULL", "reasons": []}
    compiled = a_compiled(tmp_path, missing_means=means, **change)
    assert in_batch(compiled, [a_row()], asked=[{"name": None}]) == [pack(Verdict.MET)]


@pytest.mark.parametrize(
    ("change", "what", "line"),
    [
        (
            {"met": "sure AND pionts = 1 AND sure AND sure AND sure"},
            "`met`: there is no column pionts (character 10, at 'pionts = 1 AND sure AND ')",
            "met: sure AND pionts = 1 AND sure AND sure AND sure",
        ),
        (
            {"matched_by": "nam = 'x'"},
            "`matched_by`: there is no column nam (character 1, at \"nam = 'x'\")",
            "matched_by: nam = 'x'",
        ),
        (
            {"reasons": [
                {"when": "sure", "code": "a", "say": "甲", "say_en": "a"},
                {"when": "NOT sur", "code": "b", "say": "乙", "say_en": "b"},
            ]},
            "`when`: there is no column sur (character 5, at 'sur')",
            "- when: NOT sur",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_key_its_character_and_its_line(tmp_path, change, what, line):
    assert told(tmp_path, **change)[0::2] == (what, line)


def test_a_mistake_is_told_with_what_to_write_instead(tmp_path):
    assert told(tmp_path, met="points", reasons=[])[1] == "Write something that is true or false, such as a = b."


def test_only_the_first_line_of_what_follows_is_shown(tmp_path):
    what, _, _ = told(tmp_path, met="sure AND\n pionts = 1\n AND sure")
    assert what == "`met`: there is no column pionts (character 11, at 'pionts = 1')"
