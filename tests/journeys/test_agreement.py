"""A round from the registers to the draw, against the oracle, in a city that is another one in every run: usually a
hamlet of 2026 and of 2016 (2014's is in test_round.py), in `./tongban test --full oracle` 30,000 applications in each
world: under each version of the rules, and with certificates and departments before and after they became one."""

import json
import sys

import pytest

from tests.full import count, seed
from tests.journeys.town import Town, assert_agreed, contents
from tests.oracle.car_lottery import compare

pytestmark = [pytest.mark.journey, pytest.mark.timeout(580)]

FULL = count("oracle", 0, 1) == 1
ALL = ("2011", "2014", "2016", "2026")
SIZE, APPLICATIONS, WORLDS = ("small", 30_000, ALL) if FULL else ("hamlet", 400, ("2016", "2026"))
NODES = {"2011": 8, "2014": 8, "2016": 7, "2026": 6}


@pytest.fixture(scope="module", params=WORLDS)
def town(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("agreement") / request.param
    return ended(Town(place, request.param, SIZE, once=True).generated(seed()))


def ended(town):
    """The city after `up --once`."""
    town.start()
    assert town.process.wait(60) == 0
    town.process.stdout.close()
    return town


@pytest.fixture(scope="module")
def found(town):
    return town.found(town.first_round)


@pytest.fixture(scope="module")
def expected(town):
    return town.expected()


def test_product_and_oracle_find_the_same_of_every_application(town, found, expected):
    assert len(town.nodes) == NODES[town.first_round[:4]]
    assert len(found) == town.said["opened"]["applications"] == APPLICATIONS
    assert_agreed(found, expected)


def test_nobody_truly_eligible_is_refused_and_few_are_sent_to_a_person(town, found, capsys):
    figures = compare(found, town.folder / "truth" / "truth.parquet")
    if FULL:
        told = {name: figure for name, figure in figures.items() if isinstance(figure, bool | int | float)}
        with capsys.disabled():
            print(f"round {town.first_round}, seed {seed()}: {json.dumps(told)}", file=sys.stderr)
    assert figures["truly_eligible"] > figures["applications"] / 3
    assert figures["truly_eligible_refused"] == 0, figures["refused_wrongly"]
    assert figures["clean_eligible_found_share"] >= 0.97
    # In a hamlet the situations planted on purpose are a tenth of all.
    assert figures["sent_to_a_person_share"] <= (0.05 if FULL else 0.1)
    assert figures["without_truth"] == figures["without_finding"] == 0


def test_every_log_of_the_city_holds_with_all_its_signatures(town):
    for node in town.logs():
        verified = town.verified(node)
        assert verified.holds, (node, verified.problems)
        assert verified.entries > 0
        assert verified.unchecked == verified.unsigned == verified.torn == 0


def test_a_second_up_finds_the_round_as_it_is(town):
    said, before = town.said, contents(town.folder / "rounds")
    again = ended(Town(town.folder, town.first_round[:4], SIZE, once=True)).said
    assert [again[step] for step in ("opened", "published")] == [said[step] for step in ("opened", "published")]
    assert again["refused"] is None
    assert contents(town.folder / "rounds") == before
