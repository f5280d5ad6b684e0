import numpy as np
import pytest

from tests.rounds.world import (
    CAME,
    DECISIONS,
    KEY,
    NOT_MET,
    QUESTIONS,
    SOFTWARE,
    a_line,
    an_answer,
    answer_all,
    asked,
    citizen,
    opened,
)
from tongban.exchange.bulk import About, write_answer
from tongban.kit.errors import Refused
from tongban.rounds import steps
from tongban.rounds.answers import answer_of, came_of, keep_answer
from tongban.rounds.folder import Contradicted, OutOfOrder, Stage
from tongban.rounds.round import read_round
from tongban.rounds.steps import OtherRules

RULE = "identity@2014-01-01"


@pytest.fixture
def folder(tmp_path):
    return opened(tmp_path / "r", [a_line(1), a_line(2)])


@pytest.fixture
def part(folder):
    return asked(folder).first_parts()[RULE][0]


def keep(folder, part, raw):
    return keep_answer(folder, read_round(folder), part, raw, CAME)


def digest(folder):
    return read_round(folder).rules[RULE]


def test_an_answer_is_kept_and_found_again(folder, part):
    assert answer_of(folder, read_round(folder), part) is None
    assert keep(folder, part, an_answer(part, {}, digest(folder))) is True
    verdicts, about = answer_of(folder, read_round(folder), part)
    assert (verdicts.tolist(), about.snapshot) == ([64, 64], "identity-1")


def test_the_same_answer_again_changes_nothing(folder, part):
    raw = an_answer(part, {}, digest(folder))
    keep(folder, part, raw)
    assert keep(folder, part, raw) is False


def test_a_second_answer_with_another_verdict_is_refused(folder, part):
    keep(folder, part, an_answer(part, {}, digest(folder)))
    other = an_answer(part, {("identity", int(citizen(1)[:17])): NOT_MET | 1}, digest(folder))
    assert keep(folder, part, other).code == "rounds.answer_contradicts"
    assert answer_of(folder, read_round(folder), part)[0].tolist() == [64, 64]


def test_an_answer_under_another_text_of_the_rule_is_refused(folder, part):
    assert keep(folder, part, an_answer(part, {}, "b" * 64)).code == "rounds.other_rule"


def test_an_answer_about_other_keys_is_refused(folder, part):
    about = About(RULE, digest(folder), "s", "2014-06-08", 2, "c" * 64, "1")
    raw = write_answer(np.array([64, 64], np.uint8), about)
    assert keep(folder, part, raw).code == "rounds.other_keys"


@pytest.mark.parametrize("raw", [b"", b"nonsense"])
def test_bytes_that_are_no_answer_are_refused(folder, part, raw):
    assert isinstance(keep(folder, part, raw), Refused)
    assert answer_of(folder, read_round(folder), part) is None


def test_an_answer_to_earlier_keys_counts_as_none_and_is_set_aside(folder, part, tmp_path):
    other = opened(tmp_path / "other", [a_line(1), a_line(3)])
    stale = an_answer(asked(other).first_parts()[RULE][0], {}, digest(folder))
    (folder.path / "answers").mkdir()
    (folder.path / "answers" / f"{part.file}.arrow").write_bytes(stale)
    assert answer_of(folder, read_round(folder), part) is None
    assert keep(folder, part, an_answer(part, {}, digest(folder))) is True
    assert len(list((folder.path / "superseded").glob("*.arrow"))) == 1


def test_how_an_answer_came_is_kept_beside_it(folder, part):
    keep(folder, part, an_answer(part, {}, digest(folder)))
    assert came_of(folder, RULE, part.name) == CAME
    assert came_of(folder, RULE, "citizen-9") is None


# --- Verified and decided -----------------------------------------------------------------------


def test_a_round_is_not_verified_while_a_department_is_silent(folder):
    asking = answer_all(folder, silent=frozenset({"licence"}))
    refused = steps.verify(folder, asking)
    assert refused.code == "rounds.departments_silent"
    assert "licence@2014-01-01" in refused.reason
    assert folder.stage is Stage.NEW


def test_somebody_can_accept_the_silence_by_name(folder):
    asking = answer_all(folder, silent=frozenset({"licence"}))
    assert steps.verify(folder, asking, silence_accepted_by="T-0417") is True
    assert b"T-0417" in (folder.path / "verdicts" / "heard.json").read_bytes()


def test_a_verified_round_takes_no_further_answer(folder, part):
    steps.verify(folder, answer_all(folder))
    with pytest.raises(OutOfOrder):
        keep(folder, part, an_answer(part, {("identity", int(citizen(1)[:17])): NOT_MET | 1}, digest(folder)))


def test_verifying_and_deciding_again_do_nothing(folder):
    asking = answer_all(folder)
    assert steps.verify(folder, asking) is True
    assert steps.verify(folder, asking) is False
    assert steps.decide(folder, asking, DECISIONS, KEY, SOFTWARE) is True
    assert steps.decide(folder, asking, DECISIONS, KEY, {"tongban": "9.9"}) is False


def test_a_decided_round_is_not_decided_otherwise(folder):
    asking = answer_all(folder)
    steps.verify(folder, asking)
    steps.decide(folder, asking, DECISIONS, KEY, SOFTWARE)
    with pytest.raises(Contradicted, match="decisions"):
        steps.decide(folder, asking, {}, KEY, SOFTWARE)


def test_a_silent_department_can_be_asked_again_after_the_round_is_set_back(folder):
    steps.verify(folder, answer_all(folder, silent=frozenset({"licence"})), silence_accepted_by="T-0417")
    folder.set_back(Stage.NEW, {"why": "the traffic police answered"})
    assert steps.verify(folder, answer_all(folder)) is True
    assert steps.read_heard(folder)["licence@2014-01-01"].silent == ()


def test_other_rules_than_those_of_the_opening_are_refused(folder):
    with pytest.raises(OtherRules, match="business@2014-01-01"):
        steps.asking(folder, QUESTIONS[:-1])


def test_what_was_heard_can_be_read_again(folder):
    asking = answer_all(folder)
    steps.verify(folder, asking)
    found = asking.assemble(lambda part: answer_of(folder, read_round(folder), part))
    assert steps.read_heard(folder) == dict(found.heard)
    assert {r: c.tolist() for r, c in steps.read_verdicts(folder).items()} == {
        r: c.tolist() for r, c in found.columns.items()
    }
