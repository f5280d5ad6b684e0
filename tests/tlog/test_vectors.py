from tests.tlog.vectors import HEADING, PAGE, section


def test_the_page_s_vectors_are_what_the_code_writes():
    assert HEADING in PAGE.read_text(encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8").partition(HEADING)[2] == section().partition(HEADING)[2]
