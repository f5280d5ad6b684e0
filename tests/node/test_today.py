"""Today, where a node needs it, is the day in Beijing: at the door, for one verdict and for a batch."""

from datetime import date

import orjson
import pytest

from tests.node.asking import Asker
from tests.node.place import CONSUMER, PROVIDER, Place
from tests.node.running import inside
from tests.node.test_door import BEARER, HEADERS, WINDOW, WINDOW_SYSTEM, at_door
from tests.world import APPLICANT
from tongban.calendar.day import day_of
from tongban.exchange import ticket
from tongban.exchange.ticket import CaseTicket
from tongban.node import questions
from tongban.rules.rule import Rule

DAY = 86_400


def midnight(place: Place) -> int:
    """The next one in Beijing."""
    return int(place.clock.seconds() // DAY) * DAY + DAY + 16 * 3600


def test_a_ticket_of_the_door_is_dated_by_the_day_in_beijing(place: Place) -> None:
    body = {"purpose": "p", "case": "c", "subjects": [{"domain": "citizen", "key": APPLICANT}]}
    start = midnight(place) - 1
    with inside(place, "twin-midnight-door", CONSUMER, start=start, toml=lambda text: text + WINDOW_SYSTEM) as found:
        days = []
        for _ in range(2):
            got = at_door(found, "/ticket", WINDOW, orjson.dumps(body), **HEADERS, **BEARER)
            issued = ticket.read(got.said["ticket"])
            assert isinstance(issued, CaseTicket)
            days.append(issued.at)
            found.clock.forward(1)
    today = day_of(midnight(place) - 1)
    assert days == [today.isoformat(), date.fromordinal(today.toordinal() + 1).isoformat()]


@pytest.mark.parametrize("call", ["verify", "match"])
def test_the_age_of_a_snapshot_is_counted_to_the_day_in_beijing(
    place: Place, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    todays: list[date] = []
    really = questions.is_stale

    def watched(rule: Rule, snapshot: date, at: date, today: date) -> bool:
        todays.append(today)
        return really(rule, snapshot, at, today)

    monkeypatch.setattr(questions, "is_stale", watched)
    asked = {"call": call, "fields": [], "rule": "married@2014-01-01", "rule_digest": place.compiled().digest}
    place.put(place.grant(f"today_{call}", **asked))
    with inside(place, f"twin-midnight-{call}", PROVIDER, start=midnight(place) - 1) as found:
        for _ in range(2):
            asker = Asker(place, now=found.clock.seconds)
            assert found.send(getattr(asker, call)(grant=f"today_{call}")).status == 200
            found.clock.forward(1)
    assert (todays[1] - todays[0]).days == 1
    assert todays[0] == day_of(midnight(place) - 1)
