"""One person, one evaluation date: a system with a grant must not find out somebody's dates by asking for many."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from tests.node.asking import Asker, Got, numbers
from tests.node.place import AT, MARRIAGE, PROVIDER, Place
from tests.node.running import Inside, inside, leaf_of, opened, record_of
from tests.node.test_today import midnight
from tests.world import APPLICANT, HUSBAND
from tongban.calendar.day import day_of
from tongban.kit.errors import Refused

#: As near the registers' day as the rule wants it: for others there is no answer about anybody.
OTHER, THIRD, FOURTH = "2014-06-10", "2014-06-11", "2014-05-30"


def about(found: Inside, place: Place, at: str, subject: str = APPLICANT, **change: Any) -> Got:
    asker = Asker(place, now=found.clock.seconds)
    text = asker.ticket(subject, at=at, case="opened-again")
    return found.send(asker.verify(subject=("citizen", subject), ticket=text, case="opened-again", **change))


def batch(found: Inside, place: Place, at: str) -> Got:
    asker = Asker(place, now=found.clock.seconds)
    return found.send(asker.match(keys=numbers(3), on={"at": at, "round": f"round-{at}"}))


def test_a_person_s_dates_cannot_be_found_by_asking_for_many(place: Place) -> None:
    with inside(place, "twin-second-date", PROVIDER) as found:
        assert about(found, place, AT).status == 200
        asked = about(found, place, OTHER)
        assert (asked.status, asked.code) == (403, "exchange.second_date")
        assert about(found, place, AT).status == 200
        assert about(found, place, OTHER, subject=HUSBAND).status == 200
        kept = [one for one in found.node.log.entries() if one.index == asked.entry]
        assert [(leaf_of(one)["kind"], record_of(one)["code"]) for one in kept] == [("refused", "exchange.second_date")]


def test_a_refused_date_is_a_signed_answer_and_no_verdict(place: Place) -> None:
    with inside(place, "twin-second-date-signed", PROVIDER) as found:
        asker = Asker(place, now=found.clock.seconds)
        assert about(found, place, AT).status == 200
        request = asker.verify(ticket=asker.ticket(at=OTHER))
        got = found.send(request)
        judged = asker.judged(request, got)
        assert not isinstance(judged, Refused)
        assert (judged.status, set(got.said)) == (403, {"code", "reason", "node_time"})


def test_the_day_of_asking_is_always_answered(place: Place) -> None:
    with inside(place, "twin-second-date-today", PROVIDER, start=midnight(place) - 1) as found:
        today = day_of(found.clock.now)
        place.refresh("twin-second-date-today", today, MARRIAGE)
        assert about(found, place, (today - timedelta(2)).isoformat()).status == 200
        assert about(found, place, today.isoformat()).status == 200
        found.clock.forward(1)
        assert about(found, place, (today + timedelta(1)).isoformat()).status == 200
        assert about(found, place, today.isoformat()).code == "exchange.second_date"


@pytest.mark.parametrize("ask", [about, batch])
def test_a_restart_does_not_make_a_second_date_possible(place: Place, ask: Callable[..., Got]) -> None:
    name = f"twin-second-date-{ask.__name__}"
    allowed = [AT] if ask is about else [AT, OTHER, THIRD]
    with inside(place, name, PROVIDER) as found:
        for at in allowed:
            assert ask(found, place, at).status == 200
        assert ask(found, place, FOURTH).code == "exchange.second_date"
        start = found.clock.now
    with opened(place.node(name), start + 60) as again:
        assert ask(again, place, FOURTH).code == "exchange.second_date"
        for at in allowed:
            assert ask(again, place, at).status == 200


def test_how_many_dates_is_the_node_s_policy(place: Place) -> None:
    toml = place.node(PROVIDER) / "node.toml"
    text = toml.read_text()
    toml.write_text(text.replace("[limits]\n", "[limits]\ndates_a_person = 2\ndates_of_batches = 1\n"))
    try:
        with inside(place, "twin-second-date-policy", PROVIDER) as found:
            assert [about(found, place, at).status for at in (AT, OTHER, THIRD)] == [200, 200, 403]
            assert [batch(found, place, at).status for at in (AT, OTHER)] == [200, 403]
    finally:
        toml.write_text(text)


def test_a_person_asked_about_in_a_batch_may_be_asked_about_alone(place: Place) -> None:
    with inside(place, "twin-second-date-both", PROVIDER) as found:
        assert batch(found, place, AT).status == 200
        assert about(found, place, OTHER).status == 200


def test_a_mistyped_year_holds_no_date_for_its_answer_is_not_about_the_person(place: Place) -> None:
    with inside(place, "twin-second-date-mistyped", PROVIDER) as found:
        for mistyped in ("2041-06-08", "1914-06-08"):
            got = about(found, place, mistyped)
            assert (got.said["verdict"], got.said["reason"]) == ("unknown", "stale_snapshot")
        start = found.clock.now
    with opened(place.node("twin-second-date-mistyped"), start + 60) as again:
        assert about(again, place, AT).said["verdict"] == "met"
        assert about(again, place, OTHER).code == "exchange.second_date"
        assert about(again, place, "2041-06-08").said["reason"] == "stale_snapshot"


def test_what_could_not_be_answered_holds_no_date(place: Place) -> None:
    yesterday = (date.fromisoformat(AT) - timedelta(1)).isoformat()
    with inside(place, "twin-second-date-failed", PROVIDER) as found:
        assert about(found, place, yesterday, asks={}).code == "exchange.wrong_asks"
        assert about(found, place, AT).status == 200
