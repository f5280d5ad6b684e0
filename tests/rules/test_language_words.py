"""What whoever writes a rule is told when it cannot be: each sentence to the letter, and the place it points to."""

import pytest

from tests.rules.test_language import SCOPE, refused
from tongban.rules import expr, language
from tongban.rules.facts import Type
from tongban.rules.language import Scope, scan
from tongban.rules.reader import read
from tongban.rules.vocabulary import VOCABULARY

#: Told of several mistakes: what is wrong and what to do, or what to do alone.
NESTED = ("nested too deeply", "Split the expression into several rules.")
UNREADABLE = ("not an expression that can be read", "Look for a missing parenthesis, comma, AND or OR near this place.")
LONG_LIST = ("IN needs a written list of at most 200 values", "Write x IN ('a', 'b') or x IN ({parameter}).")
UNLIKE = ("its results are of different types", "Let all be of one type.")
SIGNS = "A rule has names, whole numbers, 'texts', {parameters} and the signs = <> < <= > >= + - * ( ) ,"
SILENCE = "Say under missing_means what a missing points means, with the article; or leave it unknown."

TOLD = [
    ("sure AND '", '"\'" cannot stand in a rule', SIGNS, 9),
    (
        "sure AND name LIKE 'x'",
        "LIKE has no place in a rule",
        "Compare with = or IN; texts are normalised when the register's data are taken in.",
        14,
    ),
    (
        "sure AND (SELECT 1) = 1",
        "SELECT has no place in a rule",
        "A rule sees one fact row; put what it needs into the fact table.",
        10,
    ),
    (
        "sure and CAST(points AS TEXT) = '1'",
        "CAST has no place in a rule",
        "Give the fact table's column the type that the rule needs.",
        9,
    ),
    ("valid_until > current_date", "current_date has no place in a rule", "Write {at}, the evaluation date.", 14),
    ("valid_until > now()", "now has no place in a rule", "Write {at}, the evaluation date.", 14),
    (
        "sure AND name = 'a\u200b'",
        "a text with invisible characters or not in Unicode form NFC",
        "Type the text anew; facts are kept in form NFC.",
        16,
    ),
    ("sure AND name = 'a' 'b'", "two texts side by side", "Put AND, OR or a comma between them.", 20),
    ("points = 1 --1", "-- cannot stand in a rule", "Write = once; write a - (-b) with parentheses.", 11),
    ("sure AND points == 1", "== cannot stand in a rule", "Write = once; write a - (-b) with parentheses.", 16),
    ("sure AND " + "(" * 25 + "sure" + ")" * 25, *NESTED, 33),
    ("sure AND NOT NOT NOT NOT sure", *NESTED, 21),
    ("sure AND - - - - points = 1", *NESTED, 15),
    ("sure AND + + + + points = 1", *NESTED, 15),
    ("name = '" + "x" * 4_100 + "'", "longer than 4096 bytes", "Split the rule, or move lists into parameters.", 0),
    ("points 5", *UNREADABLE, 7),
    ("(points = 1", *UNREADABLE, 10),
    ("", "not one expression", "Write exactly one condition.", 0),
    ("points =", *UNREADABLE, 7),
    ("sure AND points 5", *UNREADABLE, 16),
    ("points", "not a condition", "Write something that is true or false, such as a = b.", 0),
    ("sure AND points", "a condition is expected here", "Compare the value with something.", 9),
    ("NOT points", "a condition is expected here", "Compare the value with something.", 4),
    ("points" + " + 1" * 200 + " = 1", "nested too deeply", "Split the rule.", 0),
    ("sure AND points = NULL", "NULL has no place here", "Write x IS NULL to ask for a missing x.", 0),
    (
        "sure AND points IS DISTINCT FROM 1",
        "NullSafeNEQ has no place in a rule",
        "Use comparison, AND OR NOT, IN, BETWEEN, IS NULL, CASE, COALESCE, + - * and the vocabulary.",
        9,
    ),
    (
        "sure AND paid = 1",
        "a single value is expected here",
        "Such a column is looked at through the vocabulary's functions.",
        9,
    ),
    ("sure AND {classes} = 'A1'", "classes is a list", "Lists stand only in x IN ({name}).", 0),
    ("sure AND points + valid_until > 1", "int is expected here", "This is date.", 18),
    ("sure AND name BETWEEN 'a' AND 'b'", "int or date is expected here", "This is text.", 9),
    ("sure AND a.b.points = 1", "a name has at most one dot", "Write a column, or asked.<column>.", 9),
    ("sure AND facts.points = 1", "facts.points is not a column", "Only asked.<column> has a dot.", 9),
    (
        "sure AND pionts = 1",
        "there is no column pionts",
        "The columns are: fines, licence_class, name, paid, points, status, sure, valid_until.",
        9,
    ),
    ("sure AND asked.status = 'x'", "there is no column asked.status", "The columns are: name.", 9),
    ("sure AND points = {most}", "there is no parameter most", "The parameters are: at, classes, least, wrong.", 0),
    ("sure AND points = 9223372036854775808", "not a whole number of 64 bits", "Write amounts in fen.", 18),
    ("sure AND valid_until > DATE '2014-02-30'", "not a date", "Write DATE '2014-06-08'.", 28),
    ("sure AND TIMESTAMP '2014-06-08' > {at}", "not a date", "Write DATE '2014-06-08'.", 19),
    ("sure AND name < 'b'", "< compares whole numbers and dates only", "Compare texts with = <> IN.", 9),
    ("sure AND points = '1'", "int cannot be compared with text", "Compare values of one type.", 9),
    ("sure AND status = '失效'", "status has no code '失效'", "Its codes: 正常, 注销, 暂扣.", 9),
    ("sure AND licence_class IN ('A1', 'X9')", "licence_class has no code 'X9'", "Its codes: A1, B1, C1, D.", 9),
    ("sure AND '失效' = status", "status has no code '失效'", "Its codes: 正常, 注销, 暂扣.", 9),
    ("sure AND points IN (" + ", ".join(map(str, range(201))) + ")", *LONG_LIST, 9),
    ("sure AND points IN (points)", "a list holds only values and parameters", "Use OR for more.", 20),
    ("sure AND points IN ('1')", "int cannot be compared with text", "Compare values of one type.", 9),
    ("sure AND points IS TRUE", "IS is followed by NULL only", "Write a condition itself, or NOT.", 9),
    ("sure AND (points + 1) IS NULL", "IS NULL asks about a column", "Ask about each column by itself.", 10),
    ("sure AND points IS NULL", "IS NULL would turn silence about points into an answer", SILENCE, 9),
    ("sure AND COALESCE(points, 0) >= 60", "COALESCE would turn silence about points into an answer", SILENCE, 9),
    (
        "sure AND CASE WHEN points > 60 THEN TRUE ELSE FALSE END",
        "CASE with a further branch would turn silence about points into an answer",
        SILENCE,
        19,
    ),
    ("sure AND CASE points WHEN 1 THEN TRUE END", "CASE is followed by WHEN", "Write CASE WHEN a = b THEN ….", 14),
    ("sure AND CASE WHEN sure THEN 1 ELSE 'a' END = 1", *UNLIKE, 19),
    ("sure AND CASE WHEN sure THEN NULL END", *UNLIKE, 19),
    (
        "sure AND months_between({at}, {at}) = 1",
        "there is no function months_between",
        "The vocabulary: " + ", ".join(sorted(VOCABULARY)) + ".",
        9,
    ),
    ("sure AND year_of() = 1", "year_of takes 1 values, not 0", "year_of(day): its year.", 9),
    ("sure AND month_paid(points, {at})", "a column of type months is expected here", "Name it.", 20),
    ("sure AND month_paid(paid, points)", "date is expected here", "This is int.", 26),
    ("sure AND COALESCE(points) = 1", "COALESCE takes 2 to 8 values", "Write COALESCE(a, b).", 9),
    ("sure AND COALESCE(" + "points, " * 8 + "points) = 1", "COALESCE takes 2 to 8 values", "Write COALESCE(a, b).", 9),
    ("sure AND COALESCE(points, name) = 1", "COALESCE would turn silence about points into an answer", SILENCE, 9),
    ("points; points", "';' cannot stand in a rule", SIGNS, 6),
    ("sure AND points BETWEEN SYMMETRIC 1 AND 2", "BETWEEN knows no such form", "Write x BETWEEN a AND b.", 9),
    ("sure AND points BETWEEN {at} AND 1", "int cannot be compared with date", "Compare values of one type.", 9),
    ("sure AND points BETWEEN 1 AND {at}", "int cannot be compared with date", "Compare values of one type.", 9),
    ("sure AND {at} BETWEEN 1 AND {at}", "date cannot be compared with int", "Compare values of one type.", 22),
    ("sure AND COALESCE(1, name) = 1", *UNLIKE, 9),
    *((text, *LONG_LIST, 9) for text in ("sure AND points IN points", "sure AND points IN ()")),
    ("sure AND COALESCE(1, points, 0) = 1", "COALESCE would turn silence about points into an answer", SILENCE, 9),
]


@pytest.mark.parametrize(("text", "what", "remedy", "position"), TOLD)
def test_a_mistake_is_told_in_these_words_at_this_place(text, what, remedy, position):
    error = refused(text)
    assert (error.what, error.remedy, error.position) == (what, remedy, position)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("points = 1", "The columns are: none."),
        ("asked.points = 1", "The columns are: none."),
        ("{most} = 1", "The parameters are: at, none."),
    ],
)
def test_where_there_are_no_names_to_choose_from_that_is_said(text, remedy):
    assert refused(text, Scope({})).remedy == remedy


def test_more_words_than_a_rule_may_have_are_refused_at_the_first_too_many():
    error = refused("1 " * 1_001, SCOPE)
    assert (error.what, error.remedy, error.position) == ("more than 1000 words and signs", "Split the rule.", 2_000)


def test_coalesce_takes_as_many_as_eight_and_only_the_last_may_be_silent():
    assert read("COALESCE(1, 2, 3, 4, 5, 6, 7, points) = 1", SCOPE)


def test_a_place_is_told_where_the_text_does_not_begin_with_it():
    assert refused("  points").position == 2
    assert refused("sure AND points" + " + 1" * 99 + " = 1").position == len("sure AND ")


# Limits, on both sides of each


def test_a_text_of_4096_bytes_is_read_and_one_more_is_too_long():
    assert read("sure" + " " * 4_092, SCOPE)
    assert "longer" in refused("sure" + " " * 4_093).what


def test_a_thousand_words_and_signs_are_not_too_many():
    assert len(scan("1 " * 1_000)) == 1_000


def test_what_stands_side_by_side_is_not_nested():
    assert read(" AND ".join(["(sure)"] * 30), SCOPE)
    assert read(" AND ".join(["CASE WHEN sure THEN TRUE END"] * 30), SCOPE)
    assert read(" and ".join(["case when sure then true end"] * 30), SCOPE)


def test_a_hundred_steps_down_are_read_and_one_more_is_nested_too_deeply():
    # The comparison is one step, each addition another, and the column at the bottom the last.
    assert read("points" + " + 1" * 99 + " = 1", SCOPE)
    assert refused("points" + " + 1" * 100 + " = 1").what == "nested too deeply"


def test_the_greatest_whole_number_is_one():
    assert read("points = 9223372036854775807", SCOPE)
    assert read("points = -9223372036854775807", SCOPE)


def test_a_parser_that_gives_up_is_a_refusal_without_a_place(monkeypatch):
    def gives_up(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr(language, "parse", gives_up)
    error = refused("sure")
    assert (error.what, error.position) == ("not an expression that can be read", 0)


def test_a_minus_before_anything_but_a_number_takes_it_from_a_whole_zero():
    (found,) = (part for part in expr.walk(read("-points = -5", SCOPE)) if isinstance(part, expr.Arithmetic))
    assert (found.op, found.left) == ("-", expr.Literal(0, Type.INT))
