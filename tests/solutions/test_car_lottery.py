"""The car lottery's folder says what its reference page says, and its situations notice every shifted boundary."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from tongban.rules import situations
from tongban.rules.compile import compile, compile_applies
from tongban.rules.rule import Given, Rule, is_stale
from tongban.rules.verdict import COMMON, Verdict
from tongban.solution.folder import Folder, read_folder
from tongban.solution.package import Solution, check, load

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "solutions" / "car_lottery"
PAGE = (ROOT / "docs" / "reference" / "car_lottery.md").read_text(encoding="utf-8")
AT_2011, AT_2014, AT_2016, AT_2026 = date(2011, 6, 8), date(2014, 6, 8), date(2016, 6, 8), date(2026, 10, 8)
#: A day in each stretch of time in which nothing changes, and the first and last days of each.
DAYS = [
    *(date(2011, 1, 1), AT_2011, date(2013, 12, 31), date(2014, 1, 1), AT_2014, date(2015, 9, 30)),
    *(date(2015, 10, 1), AT_2016, date(2017, 12, 31), date(2018, 6, 14), date(2018, 6, 15), date(2018, 11, 15)),
    *(date(2018, 11, 16), date(2020, 12, 31), date(2021, 1, 1), AT_2026),
]
UNITS = {"enterprise", "social_body"}

#: Reasons that no register gives: they come from comparing applications with one another.
OF_THE_DECISION = {"conflicting_applications", "duplicate_application"}


# -- reading the page


def table(section: int) -> list[list[str]]:
    """Cells of the rows of the section's table, without its head."""
    text = re.split(r"^## ", PAGE, flags=re.M)[section]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


TEXTS = {quoted(code)[0]: (zh, en) for code, zh, en in table(9)}
OWN = set(TEXTS) - set(COMMON) - OF_THE_DECISION


def stretch(cell: str) -> tuple[date, date]:
    """The days for which a cell's row holds: `from` and `until`, both included."""
    found = {word: date.fromisoformat(day) for word, day in re.findall(r"\b(from|until) (\d{4}-\d\d-\d\d)", cell)}
    return found.get("from", date.min), found.get("until", date.max)


ROWS = {(quoted(row[0])[0], stretch(row[0])): row for row in table(7)}
NAMES = {name for name, _ in ROWS}


def row_of(name: str, day: date) -> list[str]:
    """The row of a rule on a day: the last to begin of those that hold."""
    held = [(since, row) for (one, (since, until)), row in ROWS.items() if one == name and since <= day <= until]
    return max(held)[1]


def page_rule(name: str, day: date) -> tuple[str, str, list[str]]:
    """Register, verdict for no record, and the codes of the row in its order (that for no record among them)."""
    row = row_of(name, day)
    register, silence, reasons = quoted(row[1])[0], row[3], " ".join(row[3:])
    codes = [code for code in quoted(reasons) if code in OWN]
    if same := re.fullmatch(r"as `(\w+)`", row[-1]):
        # The reasons of the other rule, without its reason for no record, which each row says for itself.
        other = min(since for one, (since, _) in ROWS if one == same[1])
        codes += [code for code in page_rule(same[1], other)[2] if code != silence_code(row_of(same[1], other))]
    verdict = next(word for word in ("unknown", "not met", "met") if silence.startswith(word))
    return register, verdict.replace(" ", "_"), list(dict.fromkeys(codes))


def silence_code(row: list[str]) -> str | None:
    return next((code for code in quoted(row[3]) if code in OWN), None)


# -- the folder


@pytest.fixture(scope="module")
def folder() -> Folder:
    return read_folder(FOLDER)


@pytest.fixture(scope="module")
def in_2014() -> Solution:
    return load(FOLDER, AT_2014)


@pytest.fixture(scope="module")
def in_2026() -> Solution:
    return load(FOLDER, AT_2026)


@pytest.fixture(scope="module")
def on() -> dict[date, Solution]:
    """The solution on each of the days."""
    return {day: load(FOLDER, day) for day in DAYS}


def every_rule(folder: Folder) -> Iterator[Rule]:
    for versions in folder.rules.values():
        yield from versions


def test_nothing_is_wrong_with_the_folder():
    assert [str(problem) for problem in check(FOLDER)] == []


def test_the_page_was_read_whole():
    assert len(OWN) == 41
    assert all(zh and en for zh, en in TEXTS.values())
    assert (len(ROWS), len(NAMES)) == (21, 19)


# -- reasons


def test_every_reason_of_the_page_is_given_by_exactly_the_rules_of_its_row(folder):
    given = {rule.id: {reason.code for reason in rule.own_reasons()} for rule in every_rule(folder)}
    assert given == {rule.id: set(page_rule(rule.name, rule.valid_from)[2]) for rule in every_rule(folder)}
    assert set().union(*given.values()) == OWN


def test_every_reason_has_the_page_s_chinese_and_english_text_to_the_letter(folder):
    told = {
        (rule.id, reason.code): (reason.say, reason.say_en)
        for rule in every_rule(folder)
        for reason in rule.own_reasons()
    }
    assert told == {key: TEXTS[key[1]] for key in told}


def test_reasons_are_looked_at_in_the_page_s_order(folder):
    for rule in every_rule(folder):
        silent = rule.no_record.reason.code if rule.no_record.reason else None
        looked_at = [reason.code for reason in (*rule.reasons, rule.default_reason)]
        assert looked_at == [code for code in page_rule(rule.name, rule.valid_from)[2] if code != silent], rule.id


def test_no_record_means_what_the_page_says(folder):
    for rule in every_rule(folder):
        assert rule.no_record.verdict.word == page_rule(rule.name, rule.valid_from)[1], rule.id


def test_only_a_register_whose_owner_called_it_complete_turns_silence_into_a_verdict(folder):
    speaking = [rule for rule in every_rule(folder) if rule.no_record.verdict is not Verdict.UNKNOWN]
    assert speaking
    for rule in speaking:
        complete = folder.resources[rule.resource].complete
        assert complete is not None, rule.id
        assert complete <= rule.valid_from, rule.id


# -- versions and registers


@pytest.mark.parametrize("day", DAYS)
def test_the_rules_in_force_are_those_of_the_page_s_rows(on, day):
    held = {name for name, (since, until) in ROWS if since <= day <= until}
    asked = {name for found in on[day].decisions.values() for name in found.rules}
    assert set(on[day].rules) == held
    assert asked == held


@pytest.mark.parametrize("day", DAYS)
def test_the_version_is_that_of_the_day(on, day):
    began = [start for start in (date(2011, 1, 1), date(2014, 1, 1), date(2021, 1, 1)) if start <= day][-1]
    assert {rule.valid_from >= began for rule in on[day].rules.values()} == {True}
    assert {rule.valid_from > day for rule in on[day].rules.values()} == {False}


@pytest.mark.parametrize("day", DAYS)
def test_each_rule_asks_the_page_s_register_and_finds_there_the_columns_it_reads(on, day):
    for name, rule in on[day].rules.items():
        resource = on[day].resources[rule.resource]
        assert resource.id.partition("/")[2] == page_rule(name, day)[0]
        read = {column.name for column in on[day].compile(name).reads()}
        assert read
        assert read <= {column.name for column in resource.facts.columns}


@pytest.mark.parametrize(
    ("day", "enterprise"),
    [
        (date(2014, 6, 8), ["industry-commerce", "quality-supervision", "state-tax", "state-tax"]),
        (date(2015, 9, 30), ["industry-commerce", "quality-supervision", "state-tax", "state-tax"]),
        (date(2015, 10, 1), ["industry-commerce", "state-tax"]),
        (date(2018, 6, 14), ["industry-commerce", "state-tax"]),
        (date(2018, 6, 15), ["industry-commerce", "tax"]),
        (date(2018, 11, 15), ["industry-commerce", "tax"]),
        (date(2018, 11, 16), ["market-regulation", "tax"]),
        (date(2026, 10, 8), ["market-regulation", "tax", "tax"]),
    ],
)
def test_certificates_and_departments_became_one_on_days_of_their_own(day, enterprise):
    found = load(FOLDER, day)
    then = found.decisions["enterprise"].rules[1:]
    assert [found.resources[found.rules[name].resource].department for name in then] == enterprise


def test_income_tax_is_asked_of_the_successor_from_the_merger_on():
    days = (date(2014, 6, 8), date(2018, 6, 14), date(2018, 6, 15), date(2021, 1, 1))
    asked = [load(FOLDER, day).rules["income_tax_five_years"].resource for day in days]
    assert asked == [*["local_tax/income_tax"] * 2, *["tax/income_tax"] * 2]


def test_all_versions_of_a_rule_ask_the_same_but_for_how_much_tax_is_enough(folder):
    changed = ("resource", "article", "title", "title_en", "valid_from", "valid_until", "usual", "situations", "places")
    for versions in folder.rules.values():
        plain = [replace(rule, **dict.fromkeys(changed)) for rule in versions]
        if versions[0].name == "vat_of_the_year":
            del plain[0], plain[-1]
        assert plain.count(plain[0]) == len(plain), versions[0].name


def test_every_article_names_its_source_and_says_that_it_is_no_quotation(folder):
    for rule in every_rule(folder):
        assert "《北京市小客车数量调控暂行规定》" in rule.article.source
        assert "非原文" in rule.article.source
        assert str(rule.valid_from) in rule.article.source


STALE = {
    "social_insurance_60_months": ("history", "last_month"),
    "income_tax_five_years": ("history", "last_year"),
    "vat_of_the_year": ("at", "last_year"),
    "tax_registration": ("at", "last_year"),
    "fixed_investment": ("at", "last_year"),
}


def test_a_rule_about_the_past_waits_for_the_end_of_the_month_or_year_that_the_page_names(folder):
    assert {name for name in STALE if f"`{name}`" in section_5_point_5()} == set(STALE)
    for rule in every_rule(folder):
        assert (rule.state_on, rule.history_through) == STALE.get(rule.name, ("at", None)), rule.id


def section_5_point_5() -> str:
    return next(line for line in PAGE.splitlines() if line.startswith("5. The snapshot"))


@pytest.mark.parametrize("rule", sorted(STALE.keys() - {"fixed_investment"}))
def test_no_day_of_the_year_accepts_a_snapshot_of_an_unfinished_month_or_year(in_2014, rule):
    rule = in_2014.rules[rule]
    day = timedelta(days=1)
    for at in (date(2014, 1, 1) + n * day for n in range(365)):
        first = at.replace(day=1) if rule.history_through == "last_month" else date(2014, 1, 1)
        assert is_stale(rule, first - day, at, at), at
        assert not is_stale(rule, max(first, at - 40 * day) if rule.state_on == "at" else first, at, at), at


# -- kinds and decisions


def kinds(day: date) -> Iterator[tuple[str, list[str], list[str]]]:
    """Kind, rules asked first, rules asked then; of the page's second section on a day."""
    for kind, _, first, then in table(2):
        since, until = stretch(kind)
        names = ([name for name in quoted(cell) if name in NAMES] for cell in (first, then))
        if since <= day <= until:
            yield quoted(kind)[0], *names


@pytest.mark.parametrize("day", DAYS)
def test_decisions_ask_in_the_page_s_order(on, day):
    asked = {kind: (list(on[day].first[kind]), list(found.rules)) for kind, found in on[day].decisions.items()}
    assert asked == {kind: (first, first + then) for kind, first, then in kinds(day) if kind != "military"}


@pytest.mark.parametrize("day", DAYS)
def test_every_rule_of_a_decision_must_be_met_but_that_investment_may_stand_for_tax(on, day):
    for kind, found in on[day].decisions.items():
        assert found.whole.kind == "all"
        groups = [part for part in found.whole.parts if not isinstance(part, str)]
        either = [("any", ("vat_of_the_year", "fixed_investment"))]
        expected = either if kind == "enterprise" and day >= date(2021, 1, 1) else []
        assert [(group.kind, group.parts) for group in groups] == expected


def test_the_rule_of_identity_is_the_first_one_asked(in_2014):
    for kind, decision in in_2014.decisions.items():
        assert decision.identity == in_2014.first[kind][0] == decision.rules[0]


@pytest.mark.parametrize("day", DAYS)
def test_a_rule_applies_to_exactly_the_kinds_that_the_page_asks_it_of(on, day):
    asked = {kind: {*first, *then} for kind, first, then in kinds(day) if kind != "military"}
    for name in on[day].rules:
        applies = on[day].applies(name)
        concerned = {kind for kind in asked if applies.single({"kind": kind}, day)}
        # Whom a rule applies to is a kind's matter; whether it is asked, that of the day's decision.
        assert {kind for kind, names in asked.items() if name in names} == concerned, name


@pytest.mark.parametrize("day", DAYS)
def test_every_kind_has_a_decision_under_every_version(on, day):
    assert set(on[day].decisions) == {kind.code for kind in on[day].kinds}


def test_military_is_no_kind(folder):
    assert "military" in {kind for kind, _, _ in kinds(AT_2014)}
    assert "military" not in {kind.code for kind in folder.kinds}
    assert [path.name for path in FOLDER.rglob("*.yaml") if "military" in path.read_text(encoding="utf-8")] == []


# -- situations


def test_every_situation_lies_in_the_time_of_its_rule(folder):
    for rule in every_rule(folder):
        assert [one["name"] for one in rule.situations if not rule.in_force(one["at"])] == [], rule.id


def test_no_two_situations_of_a_rule_have_one_name(folder):
    for rule in every_rule(folder):
        names = [one["name"] for one in rule.situations]
        assert sorted(set(names)) == sorted(names), rule.id


def test_every_rule_says_what_silence_doubt_age_and_missing_values_come_to(folder):
    needed = {"no_answer", "doubtful_record", "stale_snapshot", "missing_value"}
    for rule in every_rule(folder):
        told = {str(one.get("reason")) for one in rule.situations}
        assert needed - told == set(), rule.id
        assert any(one.get("no_record") for one in rule.situations), rule.id
        assert any(one["then"] == "not_applicable" for one in rule.situations), rule.id


def test_a_doubtful_record_outweighs_silence_in_every_rule(folder):
    for rule in every_rule(folder):
        both = [one for one in rule.situations if one.get("no_record") and one.get("doubtful")]
        assert [one["reason"] for one in both] == ["doubtful_record"], rule.id


SHIFTS = {
    ">=": ">",
    "<=": "<",
    " > ": " >= ",
    " < ": " <= ",
    " = ": " <> ",
    "<>": "=",
    "AND": "OR",
    "OR": "AND",
    "- 1": "- 2",
    "-1": "-2",
}


#: Two values of one column exclude each other, so their order says nothing.
SAME_MEANING = {
    f"{rule}: licence_revoked last"
    for rule in (
        *("business_licence@2011-01-01", "business_licence@2014-01-01", "credit_code@2015-10-01"),
        *("credit_code@2018-11-16", "credit_code@2021-01-01"),
    )
}


def shifted(text: str) -> Iterator[str]:
    """The expression with one boundary shifted, or one word turned."""
    for found in re.finditer("|".join(map(re.escape, SHIFTS)), text):
        yield text[: found.start()] + SHIFTS[found[0]] + text[found.end() :]


def changes(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """What somebody might write by mistake, one mistake at a time."""
    for met in shifted(rule.met):
        yield f"met: {met}", replace(rule, met=met)
    for number, reason in enumerate(rule.reasons):
        others = (*rule.reasons[:number], *rule.reasons[number + 1 :])
        yield f"{reason.code} last", replace(rule, reasons=(*others, reason))
        for when in shifted(str(reason.when)):
            mistaken = (*rule.reasons[:number], replace(reason, when=when), *rule.reasons[number + 1 :])
            yield f"{reason.code} when {when}", replace(rule, reasons=mistaken)
    yield "no matched_by", replace(rule, matched_by=None)
    if not (rule.state_on == "history" and rule.history_through):  # there the month or year ends before the days do
        yield "one day more", replace(rule, max_snapshot_days=rule.max_snapshot_days + 1)
        yield "one day less", replace(rule, max_snapshot_days=rule.max_snapshot_days - 1)
    for through in (None, "last_month", "last_year"):
        if rule.state_on == "history" or rule.history_through:
            yield f"history_through: {through}", replace(rule, history_through=through)
    if rule.state_on != "latest":
        other = "at" if rule.state_on == "history" else "history"
        yield f"state_on: {other}", replace(rule, state_on=other)
    for name, parameter in rule.parameters.items():
        for value in near(parameter.value):
            mistaken = {**rule.parameters, name: replace(parameter, value=value)}
            yield f"{name}: {value}", replace(rule, parameters=mistaken)


def near(value: Given) -> Iterator[Given]:
    """Numbers one beside, lists one shorter, the neighbouring province."""
    if isinstance(value, tuple):
        yield from (value[:n] + value[n + 1 :] for n in range(len(value)))
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    else:
        yield "12"


def test_a_boundary_shifted_by_one_is_noticed_by_the_situations(folder):
    unnoticed = set()
    for rule in every_rule(folder):
        facts, complete = folder.resources[rule.resource].facts, folder.resources[rule.resource].complete
        applies = compile_applies(rule, folder.columns)
        for told, changed in changes(rule):
            compiled = compile(changed, facts, complete=complete)
            if changed != rule and not situations.check(compiled, applies, folder.columns):
                unnoticed.add(f"{rule.id}: {told}")
    assert unnoticed == SAME_MEANING


def test_the_folder_can_be_read_without_scrolling_sideways():
    wide = {
        f"{path.name}:{number}"
        for path in FOLDER.rglob("*.yaml")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 130
    }
    assert wide == set()
