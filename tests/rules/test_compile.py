"""The order of judging, one person against a batch; and what an owner approves."""

from datetime import date

import pytest

from tests.rules.cast import AT, LICENCES, a_compiled, a_row, a_rule, both, in_batch
from tongban.rules.compile import COMPILER_VERSION, compile, compile_applies, from_directory
from tongban.rules.facts import Column, FactTable, Type
from tongban.rules.places import RuleInvalid
from tongban.rules.single import FactsMismatch
from tongban.rules.verdict import Verdict, pack, unknown

EXPIRED, STATUS, CLASS = 2, 1, 3
NOBODY = {
    "verdict": "not_met", "reason": "nobody", "say": "无", "say_en": "none", "article": "第八条", "needs": "complete",
}  # fmt: skip
NAMED = {"asks": [{"name": "name", "type": "text"}], "matched_by": "name = asked.name"}


def not_met(reason: int) -> int:
    return pack(Verdict.NOT_MET, reason)


def test_a_row_that_fulfils_everything_is_met_without_a_reason(tmp_path):
    assert both(a_compiled(tmp_path), a_row()) == pack(Verdict.MET)


def test_the_last_day_of_validity_still_counts(tmp_path):
    compiled = a_compiled(tmp_path)
    assert both(compiled, a_row(valid_until=AT)) == pack(Verdict.MET)
    assert both(compiled, a_row(valid_until=date(2014, 5, 31))) == not_met(EXPIRED)


def test_the_first_reason_that_holds_is_given_and_the_default_one_otherwise(tmp_path):
    compiled = a_compiled(tmp_path)
    assert both(compiled, a_row(status="注销", valid_until=date(2000, 1, 1))) == not_met(STATUS)
    assert both(compiled, a_row(licence_class="D")) == not_met(CLASS)


def test_a_missing_value_is_unknown_unless_another_one_already_says_no(tmp_path):
    compiled = a_compiled(tmp_path)
    assert both(compiled, a_row(valid_until=None)) == unknown("missing_value")
    assert both(compiled, a_row(valid_until=None, status="注销")) == not_met(STATUS)


def test_unknown_has_the_first_reason_that_holds_or_the_rule_s_own(tmp_path):
    own = {"code": "unsaid", "say": "不明", "say_en": "unknown"}
    reasons = [{"when": "valid_until IS NULL", "code": "no_day", "say": "无日期", "say_en": "no day"}]
    compiled = a_compiled(tmp_path, reasons=reasons, unknown_reason=own)
    assert both(compiled, a_row(valid_until=None)) == pack(Verdict.UNKNOWN, 1)
    assert both(compiled, a_row(licence_class=None)) == pack(Verdict.UNKNOWN, 2)


def test_doubt_comes_before_everything_the_record_says(tmp_path):
    compiled = a_compiled(tmp_path)
    rows = [a_row(), None]
    assert in_batch(compiled, rows, doubts=[0, 1]) == [unknown("doubtful_record")] * 2
    assert [compiled.single(row, {}, AT, doubtful=True) for row in rows] == [unknown("doubtful_record")] * 2


def test_a_person_without_a_record_is_unknown(tmp_path):
    assert both(a_compiled(tmp_path), None) == unknown("no_record")


def test_a_register_s_silence_counts_from_the_day_of_its_owner_s_statement(tmp_path):
    compiled = a_compiled(tmp_path, no_record=NOBODY, complete=AT)
    assert both(compiled, None, AT) == not_met(3)
    assert both(compiled, None, date(2014, 5, 31)) == unknown("no_record")
    assert both(a_compiled(tmp_path, no_record=NOBODY), None, AT) == unknown("no_record")


def test_a_wrong_name_and_no_such_person_cannot_be_told_apart(tmp_path):
    for policy, complete in (("unknown", None), (NOBODY, AT)):
        compiled = a_compiled(tmp_path, no_record=policy, complete=complete, **NAMED)
        nobody = both(compiled, None, name="张三")
        assert both(compiled, a_row(), name="张三") == pack(Verdict.MET)
        assert both(compiled, a_row(), name="李四") == nobody
        assert both(compiled, a_row(name=None), name="张三") == nobody
        assert both(compiled, a_row(), name=None) == nobody
        # Nor may a record in bad state shine through under a wrong name.
        assert both(compiled, a_row(status="注销", fines=2**62), name="李四") == nobody


OVERFLOW = {"met": "sure OR fines * 4 > 0", "reasons": []}


def test_a_product_beyond_64_bits_makes_the_row_unknown_and_no_other(tmp_path):
    compiled = a_compiled(tmp_path, met="fines * 4 > 0", reasons=[])
    rows = [a_row(fines=2**61), a_row(fines=2**61 - 1), a_row(fines=None), a_row(fines=-(2**61)), a_row(fines=-(2**62))]
    bytes_ = [unknown("bad_value"), pack(Verdict.MET), unknown("missing_value"), not_met(1), unknown("bad_value")]
    assert in_batch(compiled, rows) == bytes_
    assert [compiled.single(row, {}, AT) for row in rows] == bytes_


def test_a_row_fails_even_in_a_branch_that_would_not_have_counted(tmp_path):
    compiled = a_compiled(tmp_path, **OVERFLOW)
    assert both(compiled, a_row(fines=2**62)) == unknown("bad_value")
    assert both(compiled, a_row(fines=1)) == pack(Verdict.MET)


def test_a_value_outside_its_column_s_range_fails_where_it_is_computed_with(tmp_path):
    compiled = a_compiled(tmp_path, met="points + 1 < 100", reasons=[])
    assert both(compiled, a_row(points=98)) == pack(Verdict.MET)
    assert both(compiled, a_row(points=99)) == not_met(1)
    assert both(compiled, a_row(points=100)) == unknown("bad_value")
    assert both(compiled, a_row(points=-1)) == unknown("bad_value")
    assert both(a_compiled(tmp_path, met="points < 100", reasons=[]), a_row(points=-1)) == pack(Verdict.MET)


def test_a_function_without_an_answer_fails_its_row(tmp_path):
    compiled = a_compiled(tmp_path, met="full_years(valid_until, {at}) < 1", reasons=[])
    assert both(compiled, a_row(valid_until=AT)) == pack(Verdict.MET)
    assert both(compiled, a_row(valid_until=date(2014, 6, 2))) == unknown("bad_value")


def test_a_constant_that_fails_fails_every_row_that_the_register_holds(tmp_path):
    compiled = a_compiled(tmp_path, met="sure OR valid_until > add_years({at}, 9000)", reasons=[])
    assert both(compiled, a_row()) == unknown("bad_value")
    assert both(compiled, None) == unknown("no_record")
    assert both(compiled, a_row(), date(999, 1, 1)) == pack(Verdict.MET)


def test_a_reason_that_fails_is_passed_over(tmp_path):
    reasons = [
        {"when": "fines * fines > 0", "code": "many", "say": "多", "say_en": "many"},
        {"when": "fines > 0", "code": "some", "say": "有", "say_en": "some"},
    ]
    compiled = a_compiled(tmp_path, met="fines = 0", reasons=reasons)
    assert both(compiled, a_row(fines=3)) == not_met(1)
    assert both(compiled, a_row(fines=2**40)) == not_met(2)


def test_a_row_without_the_columns_is_the_node_s_mistake_and_no_verdict(tmp_path):
    compiled = a_compiled(tmp_path)
    with pytest.raises(FactsMismatch, match="licence@2014-01-01"):
        compiled.single({"status": "正常"}, {}, AT)
    with pytest.raises(FactsMismatch):
        compiled.single(a_row(valid_until="2014-06-08"), {}, AT)


def test_only_the_columns_that_decide_are_read(tmp_path):
    compiled = a_compiled(tmp_path)
    assert [column.name for column in compiled.reads()] == ["status", "licence_class", "valid_until"]
    row = {"status": "正常", "licence_class": "C1", "valid_until": AT}
    assert compiled.single(row, {}, AT) == pack(Verdict.MET)


# -- what is approved


def test_the_digest_is_of_the_meaning_and_not_of_the_spelling(tmp_path):
    one = a_compiled(tmp_path)
    met = "(status='正常')and(licence_class IN({classes}))\n AND valid_until>={at}"
    assert a_compiled(tmp_path, met=met).digest == one.digest
    assert a_compiled(tmp_path, situations=[{"name": "x"}], usual={"status": "正常"}).digest == one.digest
    # A later end changes nothing about what was asked while the rule was in force.
    assert a_compiled(tmp_path, valid_until=date(2020, 12, 31)).digest == one.digest


@pytest.mark.parametrize(
    "change",
    [
        {"met": "status = '正常' AND licence_class IN ({classes}) AND valid_until > {at}"},
        {"parameters": {"classes": ["A1", "B1"]}},
        {"title": "驾驶证"},
        {"article": {"text": "另一条", "source": "示例办法第七条"}},
        {"applies": "kind = 'unit'"},
        {"subject": "handler"},
        {"asks": [{"name": "name", "type": "text"}]},
        {"matched_by": "sure"},
        {"state_on": "latest"},
        {"max_snapshot_days": 41},
        {"history_through": "last_month"},
        {"no_record": {"verdict": "unknown", "reason": "not_found", "say": "未查到", "say_en": "not found"}},
        {"reasons": []},
        {"default_reason": {"code": "licence_class", "say": "车型不合", "say_en": "Another class"}},
        {"unknown_reason": {"code": "unsaid", "say": "不明", "say_en": "unknown"}},
        {"missing_means": [{"column": "points", "meaning": "零分", "article": "第九条"}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_the_meaning_changes_the_digest(tmp_path, change):
    assert a_compiled(tmp_path, **change).digest != a_compiled(tmp_path).digest


def test_the_facts_and_how_they_are_made_belong_to_what_is_approved(tmp_path):
    rule = a_rule(tmp_path)
    one = compile(rule, LICENCES)
    assert compile(rule, LICENCES, facts_digest="made otherwise").digest != one.digest
    wider = FactTable(LICENCES.name, LICENCES.domains, (*LICENCES.columns, Column("new", Type.INT)))
    assert compile(rule, wider).digest != one.digest
    # That the register is complete is the owner's statement, signed by itself.
    assert compile(rule, LICENCES, complete=AT).digest == one.digest


def test_a_round_s_parameters_are_part_of_what_is_approved(tmp_path):
    rule = a_rule(tmp_path)
    narrow = compile(rule, LICENCES, {"classes": ["A1"]})
    assert narrow.digest != compile(rule, LICENCES).digest
    assert narrow.single(a_row(), {}, AT) == not_met(CLASS)


@pytest.mark.parametrize("given", [{"classes": "A1"}, {"classes": [1]}, {"other": 1}, {"classes": [1.5]}])
def test_a_parameter_of_another_name_or_type_is_refused(tmp_path, given):
    with pytest.raises(RuleInvalid, match="parameter"):
        compile(a_rule(tmp_path), LICENCES, given)


def test_a_node_compiles_the_directory_s_text_to_the_approved_digest(tmp_path):
    change = {"no_record": NOBODY, "applies": "kind   <> 'unit'", "history_through": "last_year", **NAMED}
    mine = a_compiled(tmp_path, complete=AT, **change)
    theirs = from_directory(mine.text, mine.parameters, LICENCES.to_json(), complete=AT)
    assert theirs.digest == mine.digest
    assert theirs.text["applies"] == "kind <> 'unit'"
    assert both(theirs, a_row(), name="张三") == pack(Verdict.MET)


def test_a_changed_text_in_the_directory_compiles_to_another_digest(tmp_path):
    mine = a_compiled(tmp_path)
    forged = {**mine.text, "met": "TRUE"}
    assert from_directory(forged, mine.parameters, LICENCES.to_json()).digest != mine.digest


@pytest.mark.parametrize(
    "forged", [{"met": "read_csv('x')"}, {"met": None}, {"valid_from": None}, {"rule": "../x"}, {"extra": 1}]
)
def test_a_hostile_text_in_the_directory_is_refused(tmp_path, forged):
    mine = a_compiled(tmp_path)
    with pytest.raises(RuleInvalid):
        from_directory({**mine.text, **forged}, mine.parameters, LICENCES.to_json())


def test_a_mistake_in_an_expression_is_shown_with_file_line_and_place(tmp_path):
    with pytest.raises(RuleInvalid, match=r"no column statuss.*at \"statuss|no column statuss.*at 'statuss") as caught:
        a_compiled(tmp_path, met="sure AND statuss = '正常'")
    text = (tmp_path / "licence@2014-01-01.yaml").read_text().splitlines()
    assert text[int(str(caught.value.facts["line"])) - 1].startswith("met:")


def test_missing_means_must_name_a_column(tmp_path):
    with pytest.raises(RuleInvalid, match="pionts, which is no column"):
        a_compiled(tmp_path, missing_means=[{"column": "pionts", "meaning": "零", "article": "第九条"}])


def test_missing_means_lets_silence_be_an_answer(tmp_path):
    means = [{"column": "points", "meaning": "没有记分即为零分", "article": "第九条"}]
    compiled = a_compiled(tmp_path, met="COALESCE(points, 0) < 12", missing_means=means, reasons=[])
    assert both(compiled, a_row(points=None)) == pack(Verdict.MET)
    assert both(compiled, a_row(points=12)) == not_met(1)


NEVER_NO = {"met": "CASE WHEN status = '正常' THEN TRUE END", "default_reason": None}


def test_a_rule_may_be_written_so_that_it_is_met_or_unknown_and_never_no(tmp_path):
    rule = a_compiled(tmp_path, **NEVER_NO)
    found = [both(rule, a_row(status=status)) for status in ("正常", "注销", None)]
    assert [byte >> 6 for byte in found] == [Verdict.MET, Verdict.UNKNOWN, Verdict.UNKNOWN]
    assert rule.reason_text(found[1])[1] == "Not in force"


@pytest.mark.parametrize(
    "met",
    [
        "status = '正常'",
        "CASE WHEN sure THEN TRUE ELSE FALSE END",
        "CASE WHEN sure THEN FALSE END",
        "CASE WHEN sure THEN sure END",
        "sure AND CASE WHEN status = '正常' THEN TRUE END",
    ],
)
def test_a_rule_that_may_say_no_needs_words_for_it(tmp_path, met):
    with pytest.raises(RuleInvalid, match="`default_reason` is missing"):
        a_compiled(tmp_path, met=met, default_reason=None)


def test_a_rule_that_never_says_no_compiles_from_the_directory_to_the_same_digest(tmp_path):
    compiled = a_compiled(tmp_path, **NEVER_NO)
    again = from_directory(compiled.text, compiled.parameters, compiled.facts.to_json())
    assert again.digest == compiled.digest


def test_versions_are_stated():
    assert COMPILER_VERSION == "1"


# -- whom a rule concerns

COLUMNS = (Column("kind", Type.CODE, codes=("person", "unit")), Column("wanted", Type.INT, low=0, high=9))


def test_a_rule_without_applies_concerns_everyone(tmp_path):
    assert compile_applies(a_rule(tmp_path), COLUMNS).single({}, AT) is True


def test_applies_is_asked_of_the_application_and_may_be_unknown(tmp_path):
    condition = compile_applies(a_rule(tmp_path, applies="kind <> 'unit' AND wanted + 1 > 1"), COLUMNS)
    answers = [
        condition.single({"kind": kind, "wanted": wanted}, AT)
        for kind, wanted in (("person", 1), ("unit", None), ("person", None), (None, 1), ("person", 10))
    ]
    assert answers == [True, False, None, None, None]


def test_applies_knows_only_the_application(tmp_path):
    with pytest.raises(RuleInvalid, match="`applies`: there is no column status"):
        compile_applies(a_rule(tmp_path, applies="status = '正常'"), COLUMNS)
    with pytest.raises(RuleInvalid, match="no code 'units'"):
        compile_applies(a_rule(tmp_path, applies="kind = 'units'"), COLUMNS)
    with pytest.raises(RuleInvalid, match="silence about kind"):
        compile_applies(a_rule(tmp_path, applies="kind IS NULL"), COLUMNS)
    means = [{"column": "asked.kind", "meaning": "未填即个人", "article": "第二条"}]
    assert compile_applies(a_rule(tmp_path, applies="kind IS NULL", missing_means=means), COLUMNS)


@pytest.mark.parametrize(
    ("met", "change"),
    [
        ("sure", {"sure": 1}),
        ("points = 5", {"points": "5"}),
        ("name = '张三'", {"name": b"x"}),
        ("points = 1", {"points": True}),
    ],
)
def test_a_store_s_own_idea_of_a_type_is_no_fact(tmp_path, met, change):
    with pytest.raises(FactsMismatch):
        a_compiled(tmp_path, met=met, reasons=[]).single(a_row(**change), {}, AT)


STEPS = {"asks": [{"name": "step", "type": "code", "codes": ["1", "2", "3"]}, {"name": "least", "type": "int"}]}
WEIGHING = "which the asker chooses"


@pytest.mark.parametrize(
    "change",
    [
        {"met": "points >= asked.least"},
        {"met": "sure", "matched_by": "points < asked.least"},
        {"met": "sure", "reasons": [{"when": "points < asked.least", "code": "few", "say": "少", "say_en": "few"}]},
    ],
)
def test_nowhere_in_a_rule_is_an_asked_value_weighed(tmp_path, change):
    """A reason too would tell: it is given where the verdict is no."""
    with pytest.raises(RuleInvalid, match=WEIGHING):
        a_compiled(tmp_path, **{"reasons": []} | STEPS | change)


def test_of_steps_that_stand_in_the_rule_an_asker_learns_which_are_reached_and_nothing_between_them(tmp_path):
    steps = (
        "asked.step = '1' AND points >= 10 OR asked.step = '2' AND points >= 20 OR asked.step = '3' AND points >= 30"
    )
    compiled = a_compiled(tmp_path, met=steps, reasons=[], **STEPS)

    def told(points: int) -> tuple[int, ...]:
        asked = [{"step": step, "least": least} for step in ("1", "2", "3", "4") for least in (0, points, 99)]
        return tuple(compiled.single(a_row(points=points), one, AT) for one in asked)

    assert len({told(points) for points in range(40)}) == 4
    assert [told(points) for points in (9, 19, 29)] == [told(points) for points in (0, 10, 20)]
