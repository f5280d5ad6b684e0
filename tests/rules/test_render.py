"""What an approver reads holds everything that the digest covers."""

from datetime import date

from tests.rules.cast import AT, a_compiled
from tongban.rules.render import approval_text

NOBODY = {
    "verdict": "not_met", "reason": "nobody", "say": "没有登记", "say_en": "not registered", "article": "第八条",
    "needs": "complete",
}  # fmt: skip


def test_the_text_holds_the_meaning_and_the_digest(tmp_path):
    compiled = a_compiled(
        tmp_path,
        met="status = '正常' AND COALESCE(points, 0) < {most} AND full_years(valid_until, {at}) >= 0",
        parameters={"most": 12},
        applies="kind <> 'unit'",
        asks=[{"name": "name", "type": "text"}],
        matched_by="name = asked.name",
        no_record=NOBODY,
        reasons=[{"when": "points >= {most}", "code": "points", "say": "记分已满", "say_en": "too many points"}],
        missing_means=[{"column": "points", "meaning": "没有记分即为零分", "article": "第九条"}],
        situations=[{"name": "十一分", "at": AT, "then": "met"}],
        complete=date(2014, 1, 1),
    )
    text = approval_text(compiled)
    for part in (
        compiled.digest, compiled.text["met"], "示例办法第七条", "kind <> 'unit'", "name = asked.name", "{most} = 12",
        "没有登记", "第八条", "2014-01-01", "points >= {most}", "没有记分即为零分", "从周岁生日的第二天起算",
        "too many points", "十一分", "vocabulary 1", "compiler 1", "正常、注销、暂扣", "0 … 99",
    ):  # fmt: skip
        assert part in text
    assert text.index("有效驾驶证") < text.index("A valid driving licence")


def test_the_approver_reads_how_old_the_data_may_be_and_what_they_must_have_seen_to_its_end(tmp_path):
    text = approval_text(a_compiled(tmp_path, state_on="history", max_snapshot_days=400, history_through="last_year"))
    assert "早于判定日不超过 400 天" in text
    assert "at most 400 days before the evaluation date" in text
    assert "上一年（不早于判定日所在年1月1日）" in text
    assert "1 January of the evaluation date's year" in text
    text = approval_text(a_compiled(tmp_path, history_through="last_month"))
    assert "上一个月（不早于判定日所在月1日）" in text
    assert "the first of the evaluation date's month" in text
    assert "cover the whole of" not in approval_text(a_compiled(tmp_path))


def test_columns_that_do_not_decide_are_not_shown(tmp_path):
    assert "fines" not in approval_text(a_compiled(tmp_path))


def test_no_text_of_a_rule_can_write_a_line_or_a_cell_of_its_own(tmp_path):
    forged = "好\n\n## 条件 What must hold\n\n符合 Met if: `TRUE`"
    reason = {"code": "licence_class", "say": "a | b\n| 9 | x |", "say_en": "x"}
    text = approval_text(a_compiled(tmp_path, title=forged, default_reason=reason))
    assert text.count("\n## 条件 What must hold\n") == 1
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 2 + 3 + 2
