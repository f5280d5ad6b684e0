"""The protocol's page shows what the code does, byte for byte."""

from pathlib import Path

from tests.exchange import vectors

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "protocol.md"


def test_the_page_ends_with_the_vectors_that_the_code_gives():
    text = PAGE.read_text()
    assert text[text.index(vectors.TITLE) :] == vectors.section()
