"""What is proved harmless is harmless: bounds of arithmetic hold every result."""

from hypothesis import given
from hypothesis import strategies as st

from tongban.rules.expr import Arithmetic, Field, Literal
from tongban.rules.facts import INT_HIGH, INT_LOW, Column, Type
from tongban.rules.language import Scope
from tongban.rules.program import prepare
from tongban.rules.reader import read

numbers = st.integers(INT_LOW, INT_HIGH) | st.integers(-5, 5)


def between(name: str, ends: tuple[int, int]) -> Field:
    return Field(Column(name, Type.INT, low=min(ends), high=max(ends)), asked=False)


@given(st.sampled_from("+-*"), st.tuples(numbers, numbers), st.tuples(numbers, numbers), st.data())
def test_every_result_lies_within_the_bounds(op, left, right, data):
    node = Arithmetic(op, between("a", left), between("b", right))
    a, b = (data.draw(st.integers(min(ends), max(ends)) | st.sampled_from(ends)) for ends in (left, right))
    low, high = node.exact_bounds()
    exact = {"+": a + b, "-": a - b, "*": a * b}[op]
    assert low <= exact <= high
    assert node.may_overflow or INT_LOW <= exact <= INT_HIGH


def test_what_the_ranges_prove_harmless_takes_no_step():
    columns = {"a": Column("a", Type.INT, low=0, high=10**6), "b": Column("b", Type.INT)}
    steps = [
        len(prepare(read(text, Scope(columns))).steps) for text in ("a * 12 > 5", "b > 5", "b * 2 > 5", "a * b > 5")
    ]
    assert steps == [1, 0, 1, 2]  # the range check of a; nothing; the product; both


def test_bounds_of_a_literal_are_the_literal():
    assert Arithmetic("*", Literal(-3, Type.INT), between("a", (-2, 5))).exact_bounds() == (-15, 6)
