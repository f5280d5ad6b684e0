"""A bundle that the product publishes holds for a checker that was written from the lottery's page alone."""

import hashlib
import json
import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from tests.oracle import draw as oracle
from tests.rounds.world import MET, NOT_MET, REVEALS, a_line, a_unit, citizen, decided, drawn, freeze_it, kept
from tongban.calendar.workdays import shipped_calendar
from tongban.rounds.draw import drawn_digest, frozen_statements
from tongban.rounds.folder import RoundFolder, Stage
from tongban.rounds.recheck import Found, Official, prepare_answer, prepare_opening
from tongban.rounds.round import log_body, read_round

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "car_lottery.md").read_text(encoding="utf-8")
SECTION = PAGE.split("\n## 10. ")[1]
LINES = [a_line(n, failed_draws=n) for n in range(1, 31)] + [a_unit(n) for n in range(31, 36)]
RULE = "licence@2014-01-01"


@pytest.fixture(scope="module")
def round_drawn(tmp_path_factory) -> RoundFolder:
    return drawn(tmp_path_factory.mktemp("round") / "2014-3", LINES)


@pytest.fixture
def bundle(round_drawn, tmp_path) -> Path:
    """A copy of the persons' bundle that a test may spoil."""
    return Path(shutil.copytree(round_drawn.directory(Stage.DRAWN) / "persons", tmp_path / "persons"))


@pytest.mark.parametrize("pool", ["persons", "units"])
def test_a_published_bundle_holds_for_the_second_implementation(round_drawn, pool):
    told = oracle.check_bundle(round_drawn.directory(Stage.DRAWN) / pool)
    assert (told["freeze"]["body"]["pool"], told["opened_by"]) == (pool, dict.fromkeys(REVEALS, "party"))


def test_the_bundle_of_an_empty_pool_holds_too(tmp_path):
    folder = drawn(tmp_path / "2014-3", LINES[:30])
    assert oracle.check_bundle(folder.directory(Stage.DRAWN) / "units")["freeze"]["body"]["codes"] == 0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda draw: draw["freeze"]["body"].update(quota=6), "another digest"),
        (lambda draw: draw["freeze"]["body"].update(at="2014-06-09"), "another digest"),
        (lambda draw: draw["freeze"]["body"].update(time="12:00"), "other fields"),
        (lambda draw: draw["log"].update(leaf="0" * 64), "another leaf"),
        (lambda draw: draw.update(seed="0" * 64), "the seed is not"),
        (lambda draw: draw["reveals"].pop("transport"), "exactly the parties"),
        (lambda draw: draw["opened_by"].update(transport="mallory"), "who opened"),
        (lambda draw: draw.update(note="x"), "its one form"),
    ],
)
def test_a_bundle_changed_in_one_place_does_not_hold(bundle, change, why):
    draw = json.loads((bundle / "draw.json").read_text())
    change(draw)
    text = json.dumps(draw, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (bundle / "draw.json").write_text(text)
    with pytest.raises(oracle.Broken, match=why):
        oracle.check_bundle(bundle)


def test_a_changed_winner_does_not_hold(bundle):
    lines = (bundle / "winners.csv").read_bytes()
    (bundle / "winners.csv").write_bytes(lines.replace(b"1,", b"2,", 1))
    with pytest.raises(oracle.Broken, match=r"winners\.csv is not"):
        oracle.check_bundle(bundle)


def test_the_log_s_entries_are_those_of_the_page(round_drawn):
    for pool, freeze in frozen_statements(round_drawn).items():
        place = round_drawn.directory(Stage.DRAWN) / pool
        assert oracle.statement_digest(freeze.body) == freeze.digest()
        assert log_body("2014-3", "frozen", freeze.digest(), pool)["round"] == f"2014-3/{pool}"
        assert drawn_digest(place) == hashlib.sha256((place / "draw.json").read_bytes()).hexdigest()
    round = read_round(round_drawn)
    assert round.digest() == hashlib.sha256(oracle.canonical(round.to_json())).hexdigest()
    told = re.search(r"of the round's canonical JSON: ([^|]+) \|", SECTION)[1]
    assert set(round.to_json()) == set(re.findall(r"`(\w+)`", told))


def test_the_committed_digests_are_the_page_s_salted_ones(tmp_path):
    held = {("licence", int(citizen(1)[:17])): NOT_MET | 1}
    folder = decided(tmp_path / "2014-3", [a_line(1), a_line(2)], held)
    round, official = read_round(folder), Official("P-2041", "public-security")
    received = date(2014, 6, 12)
    asked = prepare_opening(
        folder,
        round,
        application=LINES[0]["application"],
        rule=RULE,
        said="已换证",
        first=Found(NOT_MET | 1, "licence-1", "2014-06-08"),
        official=official,
        source="public-security",
        received_on=received,
        days=shipped_calendar(),
    )
    opened = kept(folder, asked)
    second = Found(MET, "licence-2", "2014-06-12")
    particulars = {"second": second, "by": official, "explained": "已换", "answered_on": received}
    kept(folder, prepare_answer(folder, round, opened.id, **particulars))
    freeze_it(folder)
    secret = (folder.path / "round.key").read_bytes()
    body = frozen_statements(folder)["persons"].body
    # Rows are asked in the order of their keys; the first answer of the re-checked one stays what was committed.
    order = sorted([(int(citizen(1)[:17]), NOT_MET | 1), (int(citizen(2)[:17]), MET)])
    answers = hashlib.sha256(bytes(byte for _, byte in order)).hexdigest()
    assert body["verdicts"][RULE] == oracle.salted(secret, f"verdicts {RULE}", answers)
    id = oracle.recheck_id("2014-3", LINES[0]["application"], RULE)
    assert opened.id == id
    counted = hashlib.sha256(oracle.canonical([[id, MET]])).hexdigest()
    assert body["rechecks"] == oracle.salted(secret, "rechecks", counted)


def test_the_page_names_every_field_of_the_freeze_and_of_the_draw(round_drawn):
    freeze = frozen_statements(round_drawn)["persons"].body
    draw = json.loads((round_drawn.directory(Stage.DRAWN) / "persons" / "draw.json").read_text())
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", SECTION, re.M)
    named = {word for row in rows for word in re.findall(r"`(\w+)`", row)}
    assert set(freeze) <= named
    assert set(draw) <= named
