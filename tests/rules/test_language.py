"""What may stand in a rule, what may not, and what it means that a value is missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rules import generated
from tests.rules.cast import LICENCES
from tongban.rules import expr
from tongban.rules.facts import Column, Type
from tongban.rules.language import LanguageError, Scope
from tongban.rules.reader import read
from tongban.rules.rule import parameter_of

ASKED = {"name": Column("name", Type.TEXT)}
PARAMETERS = {
    "classes": parameter_of("classes", ["A1", "C1"]),
    "least": parameter_of("least", 60),
    "wrong": parameter_of("wrong", ["A1", "X9"]),
}
SCOPE = Scope(LICENCES.by_name(), ASKED, PARAMETERS)


def refused(text: str, scope: Scope = SCOPE) -> LanguageError:
    with pytest.raises(LanguageError) as caught:
        read(text, scope)
    return caught.value


def canonical(text: str, scope: Scope = SCOPE) -> str:
    return expr.text(read(text, scope))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("status='正常'and points<12", "status = '正常' AND points < 12"),
        ("((points)) != 3", "points <> 3"),
        ("not (sure) or sure", "NOT sure OR sure"),
        ("NOT (sure OR sure)", "NOT (sure OR sure)"),
        ("sure AND (sure AND (sure OR sure))", "sure AND sure AND (sure OR sure)"),
        ("points - (1 - 2) > -1", "points - (1 - 2) > -1"),
        ("(points - 1) - 2 > - points", "points - 1 - 2 > 0 - points"),
        ("points * (points + 1) = 0", "points * (points + 1) = 0"),
        ("licence_class not in ({classes})", "NOT licence_class IN ({classes})"),
        ("valid_until BETWEEN {at} AND DATE '2014-06-08'", "valid_until BETWEEN {at} AND DATE '2014-06-08'"),
        ("name = 'it''s'", "name = 'it''s'"),
        ("CASE WHEN sure THEN TRUE END", "CASE WHEN sure THEN TRUE END"),
        (
            "CASE WHEN sure THEN points WHEN NOT sure THEN 2 END = 1",
            "CASE WHEN sure THEN points WHEN NOT sure THEN 2 END = 1",
        ),
        (
            "CASE WHEN sure THEN valid_until else {at} END < {at}",
            "CASE WHEN sure THEN valid_until ELSE {at} END < {at}",
        ),
        ("points in (1,2)", "points IN (1, 2)"),
        ("- ( - points) = +1", "0 - (0 - points) = 1"),
        ("year_of(\n  {at} ) = 2014", "year_of({at}) = 2014"),
        ("month_paid(paid, {at})", "month_paid(paid, {at})"),
        ("asked.name = name", "asked.name = name"),
    ],
)
def test_one_meaning_has_one_spelling(text, written):
    assert canonical(text) == written
    assert canonical(written) == written


@given(st.randoms(use_true_random=False), st.sampled_from(generated.FEATURES), st.sampled_from(generated.FEATURES))
def test_the_canonical_text_reads_back_as_the_same_tree(rng, one, other):
    named = [column.name for column in generated.TABLE.columns] + [f"asked.{c.name}" for c in generated.ASKED]
    scope = Scope(
        generated.TABLE.by_name(),
        {column.name: column for column in generated.ASKED},
        {name: parameter_of(name, value) for name, value in generated.PARAMETERS.items()},
        frozenset(named),
    )
    found = read(generated.Maker(rng, generated.LIKELY_AT[0]).condition([one, other]), scope)
    assert read(expr.text(found), scope) == found


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("sure; DROP TABLE facts", "';' cannot stand"),
        ("sure -- AND points = 0", "-- cannot stand"),
        ("sure /* */", "'/' cannot stand"),
        ('"sure"', "'\"' cannot stand"),
        ("`sure`", "'`' cannot stand"),
        ("points = $1", "'\\$' cannot stand"),
        ("points = ?", "cannot stand"),
        ("points::text = '1'", "':' cannot stand"),
        ("points[1] = 1", "'\\[' cannot stand"),
        ("points % 2 = 0", "'%' cannot stand"),
        ("points / 2 = 0", "'/' cannot stand"),
        ("name || name = 'a'", "'|' cannot stand"),
        ("name = E'x'", "read|place|column"),
        ("points = 1.5", "'1' cannot stand"),
        ("points = 1e5", "'1' cannot stand"),
        ("points = 0x10", "'0' cannot stand"),
        ("points = 1_000", "'1' cannot stand"),
        ("points = １", "cannot stand"),
        ("points\u3000= 1", "cannot stand"),
        ("name = 'a\\'", "cannot stand"),
        ("name = 'a\u200b'", "invisible"),
        ("name = 'e\u0301'", "NFC"),
        ("name = 'a\nb'", "invisible"),
        ("name = 'a' 'b'", "side by side"),
        ("name LIKE '张%'", "LIKE has no place"),
        ("points = (SELECT 1)", "SELECT has no place"),
        ("EXISTS (SELECT 1)", "SELECT has no place"),
        ("points IN (SELECT points FROM facts)", "SELECT has no place"),
        ("CAST(points AS TEXT) = '1'", "CAST has no place"),
        ("valid_until > current_date", "CURRENT_DATE has no place|current_date has no place"),
        ("valid_until > now()", "now has no place"),
        ("valid_until > today()", "no function today"),
        ("read_csv('/etc/passwd')", "no function read_csv"),
        ("read_text('/etc/passwd') = ''", "no function read_text"),
        ("getenv('HOME') = ''", "no function getenv"),
        ("random() > 0", "no function random"),
        ("regexp_matches(name, '.*')", "no function regexp_matches"),
        ("COUNT(points) > 1", "no function COUNT"),
        ("TIMESTAMP '2014-06-08' > {at}", "not a date"),
        ("points IS TRUE", "IS is followed by NULL"),
        ("points IS DISTINCT FROM 1", "has no place"),
        ("points = NULL", "NULL has no place"),
        ("NULL", "NULL has no place"),
        ("points IN (1, NULL)", "NULL has no place"),
        ("points IN (points)", "only values and parameters"),
        ("points = ANY (1)", "no function ANY|has no place"),
        ("points 5", "can be read|has no place"),
        ("points = 1 AS x", "has no place"),
        ("points AS x", "has no place|can be read"),
        ("*", "has no place|can be read"),
        ("facts.points = 1", "facts.points is not a column"),
        ("a.b.points = 1", "at most one dot"),
        ("asked.status = 'x'", "no column asked.status"),
        ("pionts = 1", "no column pionts"),
        ("POINTS = 1", "no column POINTS"),
        ("points = {most}", "no parameter most"),
        ("{classes} = 'A1'", "classes is a list"),
        ("months_between({at}, {at}) = 1", "no function months_between"),
        ("Year_Of({at}) = 1", "no function Year_Of"),
        ("year_of() = 1", "takes 1 values, not 0"),
        ("add_months({at}) = {at}", "takes 2 values, not 1"),
        ("CASE points WHEN 1 THEN TRUE END", "CASE is followed by WHEN"),
        ("COALESCE(points) = 1", "2 to 8"),
        ("points", "not a condition"),
        ("'x'", "not a condition"),
        ("", "not one expression"),
        ("points =", "can be read"),
        ("(points = 1", "can be read"),
        ("points = 9223372036854775808", "64 bits"),
        ("valid_until > DATE '2014-02-30'", "not a date"),
        ("valid_until > DATE '8 June 2014'", "not a date"),
    ],
)
def test_what_has_no_place_in_a_rule_is_refused_by_name(text, what):
    with pytest.raises(LanguageError, match=what):
        read(text, SCOPE)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("points = '1'", "int cannot be compared with text"),
        ("status = 1", "code cannot be compared with int"),
        ("valid_until > '2014-06-08'", "date cannot be compared with text"),
        ("sure = 1", "bool cannot be compared with int"),
        ("1 < points < 3", "int is|bool|compared"),
        ("name < 'b'", "< compares whole numbers and dates"),
        ("sure > FALSE", "> compares whole numbers and dates"),
        ("name BETWEEN 'a' AND 'b'", "int or date is expected"),
        ("points IN ('1')", "int cannot be compared with text"),
        ("points + valid_until > 1", "int is expected"),
        ("valid_until - {at} > 1", "int is expected"),
        ("-name = 1", "int is expected"),
        ("NOT points", "condition is expected"),
        ("sure AND points", "condition is expected"),
        ("paid = 1", "single value is expected"),
        ("paid IN (1)", "single value is expected"),
        ("month_paid(points, {at})", "column of type months"),
        ("month_paid(CASE WHEN sure THEN paid END, {at})", "single value is expected"),
        ("month_paid(paid, points)", "date is expected"),
        ("CASE WHEN sure THEN 1 ELSE 'a' END = 1", "different types"),
        ("CASE WHEN sure THEN NULL END", "different types"),
        ("status = '失效'", "no code '失效'"),
        ("licence_class IN ('A1', 'X9')", "no code 'X9'"),
        ("licence_class IN ({wrong})", "no code 'X9'"),
    ],
)
def test_types_are_checked_before_anything_runs(text, what):
    with pytest.raises(LanguageError, match=what):
        read(text, SCOPE)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 25 + "sure" + ")" * 25,
        "NOT " * 4 + "sure",
        "- " * 4 + "points = 1",
        "CASE WHEN " * 30 + "sure" + " THEN TRUE END" * 30,
        "sure AND " * 600 + "sure",
        "points" + " + 1" * 200 + " = 1",
        "points IN (" + ", ".join(map(str, range(201))) + ")",
        "name = '" + "x" * 4_100 + "'",
        "name = '" + "字" * 1_400 + "'",
        "year_of(" * 400 + "{at}" + ")" * 400,
    ],
    ids=["parentheses", "not", "minus", "case", "and", "sum", "in", "long", "long in bytes", "calls"],
)
def test_a_rule_too_large_or_too_deep_is_refused_at_once(text):
    assert any(word in refused(text).what for word in ("deeply", "more than", "longer", "at most"))


def test_limits_leave_room_for_real_rules():
    assert read("sure AND " * 200 + "sure", SCOPE)
    assert read("points IN (" + ", ".join(map(str, range(200))) + ")", SCOPE)
    assert read("(" * 24 + "sure" + ")" * 24, SCOPE)


@given(st.text(alphabet="(){}'\"=<>+-*,.;ab1 \n张ANDORNOTCASEWHEN", max_size=60))
def test_whatever_is_written_is_read_or_refused_in_words(text):
    error = None
    try:
        read(text, SCOPE)
    except LanguageError as caught:
        error = caught
    assert error is None or (error.what and error.remedy and 0 <= error.position <= len(text))


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("COALESCE(points, 0) >= 60", "points"),
        ("points IS NULL", "points"),
        ("points IS NOT NULL", "points"),
        ("asked.name IS NULL", "asked.name"),
        ("CASE WHEN points > 60 THEN TRUE ELSE FALSE END", "points"),
        ("CASE WHEN points > 60 THEN TRUE WHEN TRUE THEN FALSE END", "points"),
        ("CASE WHEN points > 60 OR TRUE THEN sure WHEN sure THEN sure END", "points"),
        ("COALESCE(month_paid(paid, {at}), FALSE)", "paid"),
        ("COALESCE(CASE WHEN points > 1 THEN 1 END, 0) = 1", "points"),
    ],
)
def test_silence_becomes_an_answer_only_by_an_article(text, column):
    error = refused(text)
    assert "silence" in error.what
    assert column in error.what
    assert read(text, Scope(LICENCES.by_name(), ASKED, PARAMETERS, frozenset([column])))


@pytest.mark.parametrize(
    "text",
    [
        "CASE WHEN points > 60 THEN TRUE END",
        "CASE WHEN sure THEN points > 60 ELSE valid_until > {at} END",
        "COALESCE(CASE WHEN sure THEN 1 END, points) = 1",
        "sure IS NULL",
    ],
)
def test_a_column_that_is_never_missing_may_be_asked_about_freely(text):
    assert read(text, SCOPE)


def test_a_reason_may_look_for_what_is_missing_because_it_changes_no_verdict():
    choosing = Scope(LICENCES.by_name(), ASKED, PARAMETERS, choosing=True)
    assert read("valid_until IS NULL", choosing)
    assert "silence" in refused("COALESCE(points, 0) > 1", choosing).what


def test_a_mistake_is_shown_where_it_stands():
    assert refused("sure AND pionts = 1").position == len("sure AND ")
    assert refused("sure AND status = '失效'").position == len("sure AND ")
    assert refused("points = 1 AND\n  name ~ 'x'").position == len("points = 1 AND\n  name ")


CHOSEN = Scope(
    LICENCES.by_name(),
    {
        "name": Column("name", Type.TEXT),
        "least": Column("least", Type.INT),
        "day": Column("day", Type.DATE),
        "step": Column("step", Type.CODE, codes=("a", "b")),
    },
    PARAMETERS,
    frozenset(["points", "asked.least", "asked.step"]),
)


@pytest.mark.parametrize(
    ("text", "word", "column"),
    [
        ("points >= asked.least", ">=", "asked.least"),
        ("asked.least > points", ">", "asked.least"),
        ("points < asked.least", "<", "asked.least"),
        ("points <= asked.least", "<=", "asked.least"),
        ("NOT (sure AND points < asked.least)", "<", "asked.least"),
        ("valid_until > asked.day", ">", "asked.day"),
        ("asked.day <= {at}", "<=", "asked.day"),
        ("points BETWEEN asked.least AND 60", "BETWEEN", "asked.least"),
        ("points BETWEEN 0 AND asked.least", "BETWEEN", "asked.least"),
        ("asked.least BETWEEN points AND 60", "BETWEEN", "asked.least"),
        ("points - asked.least = 0", "-", "asked.least"),
        ("points = asked.least + 1", "+", "asked.least"),
        ("points * asked.least = 0", "*", "asked.least"),
        ("points = -asked.least", "-", "asked.least"),
        ("month_paid(paid, asked.day)", "month_paid", "asked.day"),
        ("year_of(asked.day) = 2014", "year_of", "asked.day"),
        ("months_all_paid(paid, {at}, asked.least)", "months_all_paid", "asked.least"),
        ("points >= COALESCE(points, asked.least)", ">=", "asked.least"),
        ("points >= CASE WHEN sure THEN asked.least END", ">=", "asked.least"),
        ("points >= CASE WHEN sure THEN 1 ELSE asked.least END", ">=", "asked.least"),
        ("points >= CASE WHEN sure THEN COALESCE(asked.least, 1) ELSE 2 END", ">=", "asked.least"),
    ],
)
def test_a_value_that_the_asker_chooses_is_never_weighed_against_a_register(text, word, column):
    for scope in (CHOSEN, Scope(CHOSEN.columns, CHOSEN.asked, PARAMETERS, CHOSEN.missing_means, choosing=True)):
        error = refused(f"sure AND {text}", scope)
        assert error.what == f"{word} would weigh {column}, which the asker chooses"
        remedy = f"Use {column} with = <> IN only, and write the steps out: {column} = 'a' AND amount >= 100 OR …"
        assert error.remedy == remedy
        assert error.position >= len("sure AND ")


@pytest.mark.parametrize(
    "text",
    [
        "asked.step = 'a' AND points >= 60 OR asked.step = 'b' AND points >= 2 * {least}",
        "points >= CASE WHEN asked.step = 'a' THEN 60 ELSE 120 END",
        "points = asked.least",
        "asked.least IN (1, 2)",
        "valid_until <> asked.day",
        "COALESCE(asked.least, 1) = 1",
    ],
)
def test_an_asked_value_chooses_among_steps_that_stand_in_the_rule(text):
    assert read(text, CHOSEN)
