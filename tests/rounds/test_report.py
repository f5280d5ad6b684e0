import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rounds.sample_figures import FIGURES, POOLS, RULES, figures
from tongban.rounds.charts import Slice, bar
from tongban.rounds.figures import BallFigures, ReasonCount, Words, is_shown, published_table
from tongban.rounds.html import percent, said, seconds
from tongban.rounds.report import report
from tongban.rounds.report_style import STYLE

PAGE = report(FIGURES)
VOID = {"meta", "rect", "br"}


class Tree(HTMLParser):
    """Checks that every element is closed in its place, and collects what the tests ask about."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def tree(page=PAGE):
    found = Tree()
    found.feed(page)
    assert found.open == []
    return found


def elements(tag, page=PAGE):
    return [attrs for name, attrs in tree(page).seen if name == tag]


def text(page=PAGE):
    return " ".join(" ".join(tree(page).text).split())


def test_the_page_fetches_nothing_and_runs_nothing():
    for tag in ("script", "link", "img", "iframe", "object", "form"):
        assert elements(tag) == []
    assert not re.search(r"https?:|//[a-z]|url\(|@import|src=|href=\"(?!#)", PAGE)
    assert not any(name.startswith("on") for _, attrs in tree().seen for name in attrs)


def test_the_page_says_its_language_and_marks_its_english():
    assert elements("html") == [{"lang": "zh-CN"}]
    assert {attrs["lang"] for _, attrs in tree().seen if "lang" in attrs} == {"zh-CN", "en"}


def test_there_is_one_title_and_headings_go_down_step_by_step():
    levels = [int(tag[1]) for tag, _ in tree().seen if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_table_has_a_caption_and_every_heading_cell_a_scope():
    assert len(elements("caption")) == len(elements("table")) > 0
    assert {attrs.get("scope") for attrs in elements("th")} == {"col", "row"}


def test_every_drawing_is_described():
    drawings = elements("svg")
    assert len(drawings) == len(elements("desc")) > 10
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawings)


def test_no_id_stands_twice_and_every_reference_has_its_target():
    ids = [attrs["id"] for _, attrs in tree().seen if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {attrs["aria-labelledby"] for attrs in elements("section")}
    links = {attrs["href"].removeprefix("#") for attrs in elements("a")}
    assert links == targets | {"main"} <= set(ids)


def test_the_limit_of_the_rule_stands_beside_the_real_seconds():
    assert "规定期限是 8 个工作日，到 2014-06-19 止；各部门同时比对，全部答复共用 2.5 秒" in text()


def test_the_page_says_that_a_finding_is_not_a_refusal_and_how_to_ask_again():
    assert "“不符合”只是核验结论，还不是拒绝" in text()
    assert "16 个工作日内答复" in text()
    assert "a finding, not a refusal" in text()


def test_the_draw_can_be_repeated_from_what_the_page_says():
    assert "python3 verify_draw.py persons" in text()
    for fact in (POOLS[0].pool_root, POOLS[0].seed, POOLS[0].freeze_digest, POOLS[0].draw_digest, POOLS[0].log):
        assert fact in text()


def test_a_small_count_is_not_on_the_page_in_any_form():
    secret = ReasonCount("rare", Words("罕见", "rare"), "not_met", 3)
    others = tuple(replace(one, count=4_000) for one in RULES[1].reasons if one.verdict == "not_met")
    rule = replace(RULES[1], not_met=3, reasons=(secret,), met=77_777, unknown=0, not_asked=66_666)
    page = report(figures(rules=(rule,), departments=FIGURES.departments[:1]))
    assert len(others) > 1
    assert "<b>3</b>" not in page
    assert "&lt;5" in page
    assert 'class="not-met" x=' not in page  # nor as the length of a bar


def test_families_stand_among_the_kinds():
    assert re.search(r"<tr><t[dh][^>]*>家庭.*?978.*?620.*?304.*?54", report(FIGURES))
    assert "按申请类别" not in report(figures(kinds=()))


def test_many_different_numbers_of_balls_are_put_together_by_doubling():
    many = tuple(BallFigures(balls, 10, balls % 2) for balls in range(1, 31))
    page = report(figures(pools=(replace(POOLS[0], by_balls=many),)))
    told = re.findall(r"<t[hd][^>]*>(\d+(?:–\d+)?)<svg", page)
    assert told == ["1", "2", "3–4", "5–8", "9–16", "17–32"]
    few = report(figures(pools=(replace(POOLS[0], by_balls=many[:24]),)))
    assert re.findall(r"<t[hd][^>]*>(\d+)<svg", few) == [str(balls) for balls in range(1, 25)]


COUNTS = st.lists(st.tuples(*[st.integers(0, 12)] * 3), min_size=1, max_size=5)


@given(COUNTS)
def test_no_count_of_a_table_can_be_worked_out_from_the_sums_beside_it(parts):
    rows = [(sum(own), *own) for own in parts]
    shown = published_table(rows, 5)
    cells = [one for row, told in zip(rows, shown, strict=True) for one in zip(row, told, strict=True)]
    assert all(count == 0 or count >= 5 for count, told in cells if is_shown(told))
    for line, told in [
        *zip(rows, shown, strict=True),
        *zip(zip(*rows, strict=True), zip(*shown, strict=True), strict=True),
    ]:
        hidden = [not is_shown(one) for one in told]
        # One hidden alone is hidden only if there is nothing else that could be hidden with it.
        assert sum(hidden) != 1 or not any(count for count, gone in zip(line, hidden, strict=True) if not gone)


def test_a_round_before_its_draw_has_a_page_without_winners():
    undrawn = replace(POOLS[0], winners=0, seed="", draw_digest="", log="", opened_by={})
    page = report(figures(pools=(undrawn,)))
    assert "verify_draw.py" not in page
    assert "摇号：个人" in text(page)


def test_a_round_before_its_freeze_has_a_page_without_a_pool():
    assert "摇号池" not in text(report(figures(pools=())))


def test_a_real_round_is_not_marked_as_a_demonstration():
    assert "演示" in text()
    assert "演示" not in text(report(figures(demonstration=False, parties={})))


def test_what_comes_from_outside_is_text_and_not_markup():
    page = report(figures(round="<b>1</b>", matter=Words("<script>", "<i>"), parties={"citizens": "<u>"}))
    assert "<script>" not in page
    assert "&lt;u&gt;" in page
    tree(page)


def test_a_date_that_may_still_move_is_marked():
    assert "（暂定）" not in PAGE
    assert "2014-06-19（暂定）" in report(figures(provisional=True))


# --- Pieces -------------------------------------------------------------------------------------


def test_a_bar_never_goes_beyond_its_place():
    widths = re.findall(r'x="([\d.]+)" width="([\d.]+)"', bar([Slice(0.7, "met"), Slice(0.9, "unknown")], "x"))
    assert [(float(x), float(width)) for x, width in widths] == [(0, 70), (70, 30)]


def test_a_description_is_escaped():
    assert "<x>" not in bar([], "<x>")


@pytest.mark.parametrize(("value", "shown"), [(None, "—"), (0.04, "0.0"), (9.94, "9.9"), (1234.5, "1,234")])
def test_seconds_are_written_for_people(value, shown):
    assert seconds(value) == shown


def test_shares_are_written_for_people():
    assert percent(0.12345) == "12.3%"


def test_words_are_filled_in_both_languages():
    assert said(Words("{a}个", "{a} of them"), a=Words("三", "three")) == '三个 <span lang="en">three of them</span>'


def _luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _variable(name):
    return re.search(rf"--{name}: (#[0-9a-f]{{6}})", STYLE)[1]


@pytest.mark.parametrize(
    ("text_colour", "ground"),
    [("ink", "ground"), ("soft", "wash"), ("soft", "ground"), ("deep", "wash"), ("red", "wash")],
)
def test_text_stands_out_from_its_ground(text_colour, ground):
    assert contrast(_variable(text_colour), _variable(ground)) >= 4.5


@pytest.mark.parametrize("look", ["met", "not-met", "unknown", "not-asked"])
def test_bars_stand_out_from_white(look):
    assert contrast(_variable(look), "#ffffff") >= 3
