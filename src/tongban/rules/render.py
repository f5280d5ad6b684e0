"""The text that an approver reads and signs: Chinese first, English beside it.

Everything that the digest covers stands in it, and the situations, so that nobody approves a formula
without seeing what it says about a person.
"""

from collections.abc import Iterator

from tongban.rules import expr, situations
from tongban.rules.compile import COMPILER_VERSION, CompiledRule
from tongban.rules.facts import Column
from tongban.rules.verdict import Verdict
from tongban.rules.vocabulary import VOCABULARY, VOCABULARY_VERSION

_VERDICTS = {
    Verdict.MET.word: "符合 met",
    Verdict.NOT_MET.word: "不符合 not met",
    Verdict.UNKNOWN.word: "不确定，转人工 unknown, a person decides",
    Verdict.NOT_APPLICABLE.word: "不适用 not applicable",
}
_STATES = {
    "at": "以判定日的状态为准 the state on the evaluation date",
    "latest": "以最新状态为准 the newest state",
    "history": "以历史记录为准 the recorded past",
}
_AGES = {
    "at": "数据日期距判定日前后不超过 {days} 天 read at most {days} days before or after it",
    "latest": "数据日期距查询当日不超过 {days} 天 read at most {days} days before today",
    "history": "数据日期早于判定日不超过 {days} 天 read at most {days} days before the evaluation date",
}
_THROUGH = {
    "last_month": "上一个月（不早于判定日所在月1日）"
    " last month (not read before the first of the evaluation date's month)",
    "last_year": "上一年（不早于判定日所在年1月1日）"
    " last year (not read before 1 January of the evaluation date's year)",
}


def approval_text(compiled: CompiledRule) -> str:
    """Plain text in Markdown, to be read on paper as well."""
    # One line of ours stays one line, whatever a text of the rule holds: nobody writes a heading into it.
    return "\n".join(" ".join(line.split()) for line in _lines(compiled)) + "\n"


def _cell(text: str) -> str:
    """A text of the rule inside a table."""
    return text.replace("|", "｜")


def _lines(compiled: CompiledRule) -> Iterator[str]:
    rule = compiled.rule
    yield f"# {rule.title} {rule.title_en}"
    yield ""
    yield f"- 规则 rule: {rule.id}"
    yield f"- 信息资源 resource: {rule.resource}"
    yield f"- 依据 article: {rule.article.text}（{rule.article.source}）"
    yield f"- 生效 in force from: {rule.valid_from}" + (f"，至 until {rule.valid_until}" if rule.valid_until else "")
    yield f"- 询问对象 asked about: {rule.subject}" + (f"，仅当 only if `{rule.applies}`" if rule.applies else "")
    if rule.asks:
        yield f"- 随同传送 travels with the key: {', '.join(_column(column) for column in rule.asks)}"
    yield f"- 状态 state: {_STATES[rule.state_on]}；{_AGES[rule.state_on].format(days=rule.max_snapshot_days)}"
    if rule.history_through:
        yield f"- 数据须含完整的 the data must cover the whole of: {_THROUGH[rule.history_through]}"
    yield from _conditions(compiled)
    yield from _reasons(compiled)
    yield from _facts(compiled)
    yield from _situations(compiled)
    yield ""
    versions = f"规则词汇 vocabulary {VOCABULARY_VERSION}，编译器 compiler {COMPILER_VERSION}"
    yield f"摘要 digest: `{compiled.digest}`（{versions}）"


def _conditions(compiled: CompiledRule) -> Iterator[str]:
    rule, text = compiled.rule, compiled.text
    yield ""
    yield "## 条件 What must hold"
    yield ""
    if text["matched_by"]:
        yield f"记录视为本人的条件 The record counts as this person's if: `{text['matched_by']}`"
        yield ""
    yield f"符合 Met if: `{text['met']}`"
    for name, value in sorted(compiled.parameters.items()):
        yield f"- 参数 parameter {{{name}}} = {_parameter(value)}"
    yield "- {at} 判定日 the evaluation date"
    for name in _functions(compiled):
        yield f"- {name}: {VOCABULARY[name].say} / {VOCABULARY[name].say_en}"
    for silence in rule.missing_means:
        yield f"- {silence.column} 缺失时 when missing: {silence.meaning}（{silence.article}）"


def _parameter(value: dict[str, object]) -> str:
    values = value.get("values")
    return "、".join(map(str, values)) if isinstance(values, list) else str(value["value"])


def _functions(compiled: CompiledRule) -> list[str]:
    programs = compiled.programs.all()
    nodes = (node for program in programs for part in (*program.constants, *program.steps, program.condition)
             for node in expr.walk(part))  # fmt: skip
    return sorted({node.function.name for node in nodes if isinstance(node, expr.Call)})


def _reasons(compiled: CompiledRule) -> Iterator[str]:
    rule = compiled.rule
    yield ""
    yield "## 原因 Reasons"
    yield ""
    yield "| 号 no. | 代码 code | 文字 text | 何时 when |"
    yield "| --- | --- | --- | --- |"
    for reason in rule.own_reasons():
        said = _cell(f"{reason.say} / {reason.say_en}")
        yield f"| {reason.number} | {reason.code} | {said} | {_cell(_when(compiled, reason.code))} |"
    yield ""
    verdict = _VERDICTS[rule.no_record.verdict.word]
    yield f"登记机关无此人记录时 When the register holds no such person: {verdict}"
    if rule.no_record.verdict is not Verdict.UNKNOWN:
        stated = compiled.complete.isoformat() if compiled.complete else "无 none"
        yield f"（{rule.no_record.article}；完整性声明 statement of completeness: {stated}）"


def _when(compiled: CompiledRule, code: str) -> str:
    rule = compiled.rule
    for reason in compiled.text["reasons"]:
        if reason["code"] == code:
            return f"`{reason['when']}`"
    if rule.no_record.reason and rule.no_record.reason.code == code:
        return "无记录 no record"
    if rule.unknown_reason and rule.unknown_reason.code == code:
        return "不确定 unknown"
    return "其余 otherwise"


def _facts(compiled: CompiledRule) -> Iterator[str]:
    yield ""
    yield f"## 所看的数据 What is looked at: {compiled.facts.name}"
    yield ""
    for column in compiled.reads():
        yield f"- {_column(column)}"


def _column(column: Column) -> str:
    titles = " ".join(title for title in (column.title, column.title_en) if title)
    ends = [str(end) if end is not None else "" for end in (column.low, column.high)]
    bounds = f"，{ends[0]} … {ends[1]}" if any(ends) else ""
    codes = f"：{'、'.join(column.codes)}" if column.codes else ""
    silent = "" if column.nullable else "，必有 never missing"
    return f"{column.name}（{column.type.value}{bounds}{silent}{codes}）{titles}"


def _situations(compiled: CompiledRule) -> Iterator[str]:
    yield ""
    yield "## 情形 Situations"
    yield ""
    yield "| 情形 situation | 结论 verdict | 原因 reason |"
    yield "| --- | --- | --- |"
    for name, then, reason in situations.rows(compiled):
        yield f"| {_cell(name)} | {_cell(_VERDICTS.get(then, then))} | {_cell(reason)} |"
