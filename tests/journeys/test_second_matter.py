"""The tutorial of a second matter, command by command as the page writes them, in a city of its own."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.journeys.town import PATIENCE
from tongban.cli.city import open_city

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / "tutorial" / name for name in ("second_matter.md", "second_matter.zh-CN.md")]
PLACE = "var/house_purchase"
STARTS = ("./tongban ", ".venv/bin/python ")
pytestmark = pytest.mark.journey


def fenced(page):
    return "".join(re.findall(r"^```\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S))


def commands(page):
    return [line for line in fenced(page).splitlines() if line.startswith(STARTS)]


def words(line, place):
    """The command as this environment runs it, answering for machines."""
    given = [str(place) + word.removeprefix(PLACE) if word.startswith(PLACE) else word for word in shlex.split(line)]
    if given[0] == "./tongban":
        return [sys.executable, "-m", "tongban.cli.main", *given[1:], "--json"]
    return [sys.executable, *given[1:]]


class Reader:
    """Somebody who follows the page: `up` goes on in one terminal, everything else is typed in another."""

    def __init__(self, place):
        self.place, self.said, self.up = place, {}, None
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}

    def follow(self, page):
        for line in commands(page):
            if " up " in line:
                self.said[line] = self._start(line)
            else:
                self.said[line] = self._run(line)
        return self

    def _start(self, line):
        self.up = subprocess.Popen(
            words(line, self.place), cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        told = self.up.stdout.readline()
        assert '"decided"' in told, told
        return told

    def _run(self, line):
        number = self.number_of(line.partition("--application ")[2][:13]) if "--application" in line else ""
        done = subprocess.run(
            words(line, self.place), cwd=ROOT, env=self.environment, input=number, text=True, capture_output=True,
            timeout=5 * PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def number_of(self, application):
        listed = pq.read_table(self.place / "registers" / "housing" / "applications.parquet").to_pylist()
        return next(line["document_number"] for line in listed if line["application"] == application)

    def heard(self, words):
        """What the one command with these words said, as an object."""
        told = [said for line, said in self.said.items() if words in line]
        assert len(told) == 1, words
        return json.loads(told[0].splitlines()[-1])

    def found(self, round):
        rows = pq.read_table(self.place / "rounds" / round / "decisions" / "decisions.parquet").to_pylist()
        return {row["application"]: (row["status"], row["reason"] or "") for row in rows}

    def expected(self):
        with (self.place / "expected.csv").open(encoding="utf-8", newline="") as file:
            return {row["application"]: (row["status"], row["reason"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    # A door is a Unix socket: its path must stay short.
    reader = Reader(tmp_path_factory.mktemp("home") / "city")
    began = time.monotonic()
    try:
        yield reader.follow(PAGES[0])
    finally:
        print(f"the page took {time.monotonic() - began:.0f} s")
        if reader.up:
            reader.up.terminate()
            reader.up.wait(PATIENCE)
            reader.up.stdout.close()


def test_both_languages_give_the_same_commands():
    assert commands(PAGES[0]) == commands(PAGES[1]) != []
    assert len(commands(PAGES[0])) == 10


def test_every_application_comes_to_what_its_household_was_made_for(reader):
    assert reader.found("2026-10") == reader.expected()
    assert len({reason for _, reason in reader.expected().values()}) > 10


def test_the_round_by_hand_comes_to_the_same(reader):
    assert reader.found("2026-11") == reader.expected()
    assert reader.heard("round verify 2026-11")["stage"] == "verified"


def test_the_page_s_figures_are_the_round_s(reader):
    counts = Counter(status for status, _ in reader.expected().values())
    for page in PAGES:
        told = dict(re.findall(r"(eligible|not eligible|needs a person) +(\d+)$", fenced(page), re.M))
        assert {word.replace(" ", "_").replace("_a_", "_"): int(count) for word, count in told.items()} == counts


def test_the_applicant_of_the_page_sees_the_reason_of_the_page(reader):
    told = reader.heard("round look")
    assert (told["status"], told["rule"], told["reason"]) == ("not_eligible", "at_most_one_home", "two_homes")


def test_the_log_of_the_land_registry_holds(reader):
    assert reader.heard("log verify")["holds"] is True


def test_a_freeze_is_refused_because_nothing_is_drawn(reader):
    line = f"./tongban round freeze 2026-11 --city {PLACE}"
    done = subprocess.run(words(line, reader.place), capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "rounds.no_draw")


def test_the_core_names_the_matter_nowhere(reader):
    assert open_city(reader.place).matter == "house_purchase"
    sources = [path for path in (ROOT / "src").rglob("*") if path.suffix in (".py", ".toml", ".csv")]
    assert [path for path in sources if "house_purchase" in path.read_text("utf-8")] == []
