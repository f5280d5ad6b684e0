"""The published report of a round: one HTML file that needs nothing else, in Chinese with English beside it.

It speaks of counts, dates and digests only. A count below the published threshold is never shown.
"""

from collections.abc import Iterator, Sequence
from html import escape

from tongban.rounds import report_text as text
from tongban.rounds.charts import Slice, bar, share
from tongban.rounds.figures import (
    BallFigures,
    DepartmentFigures,
    PoolFigures,
    ReasonCount,
    RoundFigures,
    RuleFigures,
    Words,
    is_shown,
    published,
    published_table,
)
from tongban.rounds.html import count, percent, said, seconds, section, table, zh
from tongban.rounds.report_style import STYLE


def report(figures: RoundFigures) -> str:
    """The whole page."""
    title = escape(zh(text.TITLE, matter=figures.matter, round=figures.round))
    draws = "".join(_draw(pool, figures) for pool in figures.pools)
    return (
        f'<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f'<body><a class="skip" href="#main">跳到正文</a>{_head(figures)}<main class="page" id="main">'
        f"{_facts(figures)}{_contents(figures)}"
        f"{_funnel(figures)}{_verdicts(figures)}{_times(figures)}{draws}{_rights(figures)}</main>{_foot(figures)}"
        "</body></html>\n"
    )


# --- Head ---------------------------------------------------------------------------------------


def _head(figures: RoundFigures) -> str:
    mark = f'<span class="demo">{said(text.DEMONSTRATION)}</span>' if figures.demonstration else ""
    subtitle = said(text.SUBTITLE, matter=figures.matter, round=figures.round)
    title = f"{escape(figures.matter.zh)} <span>{escape(figures.round)} 期</span>"
    return (
        f'<div class="top"><div class="page"><span>{said(figures.city)}</span>{mark}</div></div>'
        f'<header class="hero"><div class="page"><h1>{title}</h1>'
        f'<p>{subtitle}</p><ul class="dates">{_dates(figures)}</ul></div></header>'
    )


def _dates(figures: RoundFigures) -> str:
    mark = text.PROVISIONAL if figures.provisional else ""
    dates = (
        (text.AT, str(figures.at)),
        (text.RECEIVED, str(figures.received_on)),
        (text.ANSWER_DUE, f"{figures.answer_due}{mark}"),
        (text.RECHECK_DUE, f"{figures.recheck_due}{mark}"),
    )
    return "".join(
        f'<li>{escape(words.zh)} <b>{day}</b> <span lang="en">{escape(words.en)}</span></li>' for words, day in dates
    )


def _facts(figures: RoundFigures) -> str:
    won = sum(pool.winners for pool in figures.pools)
    facts = (
        ("fast", f"{seconds(figures.seconds)} <small>秒</small>", said(text.TOOK, days=figures.answer_days)),
        ("", count(figures.applications), said(text.APPLICATIONS)),
        ("", count(figures.eligible), said(text.IN_THE_DRAW)),
        ("", count(won) if won else "—", said(text.DRAWN)),
    )
    cells = (f'<div class="fact {look}"><dt>{words}</dt><dd>{value}</dd></div>' for look, value, words in facts)
    return f'<dl class="facts">{"".join(cells)}</dl>'


def _contents(figures: RoundFigures) -> str:
    """Links to the sections: the page is long on a phone."""
    sections = [("funnel", text.FUNNEL.zh), ("verdicts", text.VERDICTS.zh), ("times", text.TIMES.zh)]
    sections += [(f"draw-{pool.pool}", zh(text.DRAW, pool=pool.words)) for pool in figures.pools]
    sections.append(("rights", text.RIGHTS.zh))
    links = "".join(f'<li><a href="#{id}">{escape(name)}</a></li>' for id, name in sections)
    return f'<nav aria-label="{text.CONTENTS.zh}"><ul>{links}</ul></nav>'


# --- Funnel and findings ------------------------------------------------------------------------


def _funnel(figures: RoundFigures) -> str:
    steps = [
        (text.APPLIED, figures.applications),
        (text.IDENTITY_MET, figures.identity_met),
        (text.ALL_MET, figures.eligible),
    ]
    if figures.pools:
        steps.append((text.POOLED, sum(pool.codes for pool in figures.pools)))
        steps.append((text.WON, sum(pool.winners for pool in figures.pools)))
    drawn = "".join(_step(words, number, figures.applications) for words, number in steps)
    return section("funnel", text.FUNNEL, [f'<ol class="funnel">{drawn}</ol>', _findings(figures)])


def _step(words: Words, number: int, whole: int) -> str:
    part = percent(share(number, whole))
    look = "won" if words is text.WON else "met"
    drawn = bar([Slice(share(number, whole), look)], zh(text.SHARE, what=words, count=count(number), share=part))
    return (
        f'<li><div class="row"><span>{said(words)}</span><b>{count(number)} <span class="of">{part}</span></b></div>'
        f"{drawn}</li>"
    )


def _findings(figures: RoundFigures) -> str:
    shown = published([figures.eligible, figures.not_eligible, figures.needs_person], figures.smallest)
    words = (text.ELIGIBLE, text.NOT_ELIGIBLE, text.NEEDS_PERSON)
    cards = "".join(
        f'<div class="card {look}"><dt>{said(one)}</dt><dd>{escape(number)}</dd></div>'
        for look, one, number in zip("abc", words, shown, strict=True)
    )
    drawn = f'<dl class="cards">{cards}</dl>{_kinds(figures)}'
    if not figures.decided_by:
        return drawn
    return f"{drawn}{_reasons(figures.decided_by, figures.smallest, text.NO_SINGLE_RULE)}"


def _kinds(figures: RoundFigures) -> str:
    """Findings by kind of applicant, families among them."""
    if not figures.kinds:
        return ""
    counts = [[one.applications, one.eligible, one.not_eligible, one.needs_person] for one in figures.kinds]
    shown = published_table(counts, figures.smallest)
    words = (text.APPLIED, text.ELIGIBLE, text.NOT_ELIGIBLE, text.NEEDS_PERSON)
    columns = ((text.KIND, False), *((one, True) for one in words))
    rows = ((said(one.words), *map(escape, told)) for one, told in zip(figures.kinds, shown, strict=True))
    return table(text.KINDS, columns, rows)


# --- Verdicts -----------------------------------------------------------------------------------


def _verdicts(figures: RoundFigures) -> str:
    return section("verdicts", text.VERDICTS, _verdict_blocks(figures))


def _verdict_blocks(figures: RoundFigures) -> Iterator[str]:
    marks = (f'<li><i class="{_look(verdict)}"></i>{said(words)}</li>' for verdict, words in text.VERDICT.items())
    yield f'<ul class="legend">{"".join(marks)}</ul>'
    for department in figures.departments:
        rules = [_rule(rule, figures.smallest) for rule in figures.rules if rule.department == department.department]
        if rules:
            yield f'<h3 class="department">{said(department.words)}</h3><div class="rules">{"".join(rules)}</div>'
    yield f'<p class="note">{said(text.SMALL, n=figures.smallest)}</p>'


def _look(verdict: str) -> str:
    return verdict.replace("_", "-")


def _rule(rule: RuleFigures, smallest: int) -> str:
    counts = (rule.met, rule.not_met, rule.unknown, rule.not_asked)
    shown = published(counts, smallest)
    # What may not be told in figures may not be told by a length either.
    slices = [
        Slice(share(number, sum(counts)) if is_shown(told) else 0.0, _look(verdict))
        for number, told, verdict in zip(counts, shown, text.VERDICT, strict=True)
    ]
    texts = [f"{words.zh} {told}" for words, told in zip(text.VERDICT.values(), shown, strict=True)]
    items = "".join(f"<li>{escape(words)} <b>{escape(told)}</b></li>" for words, told in (t.split(" ") for t in texts))
    reasons = _reasons(rule.reasons, smallest, text.REASONS, rule.words.zh) if rule.reasons else ""
    return (
        f'<div class="rule"><div><h4>{said(rule.words)}</h4>{bar(slices, rule.words.zh + "：" + "，".join(texts))}'
        f'<ul class="counts">{items}</ul></div>{reasons}</div>'
    )


def _reasons(reasons: tuple[ReasonCount, ...], smallest: int, caption: Words, about: str = "") -> str:
    listed = sorted(reasons, key=lambda reason: (reason.verdict, -reason.count, reason.code))
    shown: list[str] = []
    for verdict in dict.fromkeys(reason.verdict for reason in listed):
        shown += published([reason.count for reason in listed if reason.verdict == verdict], smallest)
    columns = ((text.REASON, False), (text.COUNT, True))
    rows = (
        (f'<span class="tag t-{one.verdict}">{said(text.VERDICT[one.verdict])}</span> {said(one.words)}', escape(told))
        for one, told in zip(listed, shown, strict=True)
    )
    return table(caption, columns, rows, about)


# --- Times --------------------------------------------------------------------------------------


def _times(figures: RoundFigures) -> str:
    longest = max((one.seconds or 0.0 for one in figures.departments), default=0.0)
    columns = ((text.DEPARTMENT, False), (text.SECONDS, True), (text.KEYS, True))
    took = seconds(figures.seconds)
    limit = said(text.LIMIT, days=figures.answer_days, due=figures.answer_due, seconds=took)
    rows = (_time_row(one, longest) for one in figures.departments)
    return section("times", text.TIMES, [f'<p class="lead">{limit}</p>', table(text.TIMES, columns, rows)])


def _time_row(one: DepartmentFigures, longest: float) -> tuple[str, ...]:
    took = seconds(one.seconds)
    described = zh(text.TOOK_SECONDS, department=one.words, seconds=took)
    drawn = bar([Slice(share(one.seconds or 0.0, longest), "met")], described)
    silent = f'<span class="tag t-unknown">{said(text.SILENT)}</span>' if one.silent else ""
    less = said(text.SNAPSHOTS, rules=one.rules, days=", ".join(one.snapshots) or "—")
    return f'{said(one.words)}{drawn}<span class="less">{less}</span>{silent}', took, count(one.keys)


# --- Draw ---------------------------------------------------------------------------------------


def _draw(pool: PoolFigures, figures: RoundFigures) -> str:
    numbers = {"codes": count(pool.codes), "balls": count(pool.balls), "quota": count(pool.quota)}
    digests = (
        (text.POOL_ROOT, pool.pool_root),
        (text.FREEZE_DIGEST, pool.freeze_digest),
        (text.LOGGED, pool.log),
        (text.SEED, pool.seed),
        (text.DRAW_DIGEST, pool.draw_digest),
    )
    facts = "".join(f'<dt>{said(words)}</dt><dd class="hash">{escape(value)}</dd>' for words, value in digests if value)
    content = (
        f'<p class="lead">{said(text.POOL, **numbers)}</p><div class="two"><dl class="what">{facts}</dl>',
        f"<div>{_ladder(pool, figures.smallest)}{_parties(pool, figures)}</div></div>",
        _again(pool),
    )
    return section(f"draw-{pool.pool}", text.DRAW, content, pool=pool.words)


#: Different numbers of balls that a table shows one by one; more are put together.
_STEPS_SHOWN = 24


def _ladder(pool: PoolFigures, smallest: int) -> str:
    if len(pool.by_balls) < 2:
        return ""
    steps = _steps(pool.by_balls)
    codes = published([one for _, one, _ in steps], smallest)
    won = published([one for _, _, one in steps], smallest) if pool.winners else ["—"] * len(codes)
    most = max(one for _, one, _ in steps)
    rows = (
        (f"{balls}{_ladder_bar(balls, told, share(number, most))}", escape(told), escape(winners))
        for (balls, number, _), told, winners in zip(steps, codes, won, strict=True)
    )
    return table(text.LADDER, ((text.BALLS, False), (text.CODES, True), (text.WON, True)), rows)


def _steps(by_balls: Sequence[BallFigures]) -> list[tuple[str, int, int]]:
    """Balls in words, codes and winners; many different numbers by doubling: a rare one names its holder."""
    if len(by_balls) <= _STEPS_SHOWN:
        return [(str(one.balls), one.codes, one.winners) for one in by_balls]
    found: dict[int, list[BallFigures]] = {}
    for one in by_balls:
        found.setdefault((one.balls - 1).bit_length(), []).append(one)
    return [
        (
            f"{2 ** (power - 1) + 1}–{2**power}" if power > 1 else str(power + 1),
            sum(one.codes for one in own),
            sum(one.winners for one in own),
        )
        for power, own in sorted(found.items())
    ]


def _ladder_bar(balls: str, told: str, length: float) -> str:
    return bar([Slice(length if is_shown(told) else 0.0, "met")], zh(text.WITH_BALLS, balls=balls, codes=told))


def _parties(pool: PoolFigures, figures: RoundFigures) -> str:
    if not pool.opened_by:
        return ""
    rows = (
        (escape(figures.parties.get(party, party)), said(text.OPENED[how])) for party, how in pool.opened_by.items()
    )
    return table(text.TOGETHER, ((text.PARTY, False), (text.HOW_REVEALED, False)), rows)


def _again(pool: PoolFigures) -> str:
    if not pool.seed:
        return ""
    command = f'<pre tabindex="0"><code>python3 verify_draw.py {escape(pool.pool)}</code></pre>'
    return f'<h3>{said(text.AGAIN)}</h3><p class="lead">{said(text.HOW)}</p>{command}'


# --- Rights and foot ----------------------------------------------------------------------------


def _rights(figures: RoundFigures) -> str:
    steps = "".join(f"<li>{said(words, days=figures.recheck_days)}</li>" for words in text.STEPS)
    remedies = "".join(f'<p class="note">{said(words)}</p>' for words in figures.remedies)
    content = f'<p class="note strong">{said(text.FINDING)}</p>', f'<ol class="steps">{steps}</ol>', remedies
    return section("rights", text.RIGHTS, [*content, _rechecks(figures)])


def _rechecks(figures: RoundFigures) -> str:
    if not figures.rechecks:
        return ""
    split = [figures.rechecks_changed, figures.rechecks - figures.rechecks_changed]
    changed = published(split, figures.smallest)[0]
    return f"<p>{said(text.RECHECKS, count=count(figures.rechecks), changed=changed)}</p>"


def _foot(figures: RoundFigures) -> str:
    invented = f"<p>{said(text.INVENTED)}</p>" if figures.demonstration else ""
    name = f"{said(figures.city)} · {said(figures.matter)} {escape(figures.round)}"
    return f'<footer><div class="page"><p>{name}</p>{invented}<p>{said(text.ANONYMOUS)}</p></div></footer>'
