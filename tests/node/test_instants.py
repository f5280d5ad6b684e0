"""What ends, ends at its very instant, on the node's own clock; and that clock never goes back."""

from collections.abc import Iterator

import pytest

from tests.node.asking import Asker
from tests.node.place import PROVIDER, Place
from tests.node.running import Inside, inside, opened
from tongban.kit import canonical
from tongban.kit.clock import stamp

HOUR = 3600


@pytest.fixture(scope="module")
def instant(place: Place) -> int:
    """When things end, two hours from now."""
    now = int(place.clock.seconds()) + 2 * HOUR
    place.put(
        place.grant("to_the_second", expires_at=now),
        place.grant("from_the_second", not_before=now),
        place.grant("an_hour_old", max_directory_age=HOUR),
        place.online_key(910_001, revoked_at=stamp(now))[1],
    )
    return now


@pytest.fixture
def twin(place: Place, instant: int, request: pytest.FixtureRequest) -> Iterator[Inside]:
    """A node that has seen nothing yet, a little more than an hour before the instant."""
    name = f"twin-{canonical.digest(request.node.name)[:12]}"
    with inside(place, name, PROVIDER, start=instant - HOUR - 10) as found:
        found.instant = instant  # type: ignore[attr-defined]
        yield found


@pytest.fixture
def asker(place: Place, twin: Inside) -> Asker:
    return Asker(place, now=twin.clock.seconds)


def at(twin: Inside, seconds: float) -> None:
    """Set the node's clock `seconds` from the instant."""
    twin.clock.now = twin.instant + seconds  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("grant", "before", "then"),
    [("to_the_second", "", "exchange.grant_expired"), ("from_the_second", "exchange.grant_not_yet", "")],
)
def test_a_grant_begins_and_ends_at_its_very_instant(twin: Inside, asker: Asker, grant: str, before: str, then: str):
    codes = []
    for seconds in (-0.001, 0):
        at(twin, seconds)
        codes.append(twin.send(asker.query(grant=grant)).code)
    assert codes == [before, then]


def test_a_ticket_is_dead_at_the_very_instant_it_expires(twin: Inside, asker: Asker) -> None:
    at(twin, -HOUR)
    text = asker.ticket(expires_at=twin.clock.now + 60)
    codes = []
    for seconds in (59.999, 60):
        at(twin, -HOUR + seconds)
        codes.append(twin.send(asker.query(ticket=text)).code)
    assert codes == ["", "exchange.ticket_expired"]


def test_a_key_is_dead_at_the_very_instant_it_was_revoked(twin: Inside, asker: Asker, place: Place) -> None:
    key = place.online_key(910_001)[0]
    codes = []
    for seconds in (-0.001, 0):
        at(twin, seconds)
        codes.append(twin.send(asker.query(key=key)).code)
    assert codes == ["", "exchange.revoked_key"]


@pytest.mark.parametrize(("off", "code"), [(-30, ""), (30, ""), (-31, "clock_skew"), (31, "clock_skew")])
def test_a_clock_may_be_thirty_seconds_off(twin: Inside, asker: Asker, off: int, code: str) -> None:
    at(twin, 0)
    got = twin.send(asker.query(created=twin.clock.now + off, expires=twin.clock.now + off + 60))
    assert got.code == (code and f"exchange.{code}")
    if code:
        assert got.said["node_time"] == stamp(twin.clock.now)


def test_a_message_is_dead_at_the_very_instant_it_expires(twin: Inside, asker: Asker) -> None:
    at(twin, 0)
    codes = [twin.send(asker.query(created=twin.clock.now - 20, expires=twin.clock.now + left)).code for left in (1, 0)]
    assert codes == ["", "exchange.envelope_expired"]


def test_a_grant_bears_a_directory_of_exactly_its_age(twin: Inside, asker: Asker) -> None:
    directory = twin.node.source.current
    assert directory is not None
    codes = []
    for seconds in (HOUR, HOUR + 1):
        twin.clock.now = directory.head.issued_at + seconds
        codes.append(twin.send(asker.query(grant="an_hour_old")).code)
    assert codes == ["", "exchange.directory_too_old"]


def test_a_directory_is_dead_at_the_very_instant_it_expires(twin: Inside, asker: Asker) -> None:
    directory = twin.node.source.current
    assert directory is not None
    codes = []
    for seconds in (-1, 0):
        twin.clock.now = directory.head.expires_at + seconds
        got = twin.send(asker.query())
        codes.append((got.code, got.entry is None))
    assert codes == [("", False), ("exchange.directory_expired", True)]
    assert twin.node.health()["answers"] is False


def test_a_clock_set_back_revives_no_grant(place: Place) -> None:
    now = place.clock.seconds()
    place.put(place.grant("soon_over", expires_at=now + 60))
    with inside(place, "twin-set-back", PROVIDER) as found:
        asker = Asker(place, now=found.clock.seconds)
        assert found.send(asker.query(grant="soon_over")).status == 200
        found.clock.forward(120)
        assert found.send(asker.query()).status == 200
        found.run(the_floor_rises(found))
        found.clock.now -= HOUR
        true = Asker(place, now=lambda: found.node.clock.seconds())
        assert found.send(true.query(grant="soon_over")).code == "exchange.grant_expired"
    # Nor does a restart: the log says how late it was.
    with opened(place.node("twin-set-back"), now - HOUR) as again:
        true = Asker(place, now=lambda: again.node.clock.seconds())
        assert again.send(true.query(grant="soon_over")).code == "exchange.grant_expired"


async def the_floor_rises(found: Inside) -> None:
    from tongban.node import program

    await program._checkpoint(found.node)


def test_answers_and_nonces_are_remembered_through_a_restart_with_a_wrong_clock(place: Place) -> None:
    """Started with a clock that runs ahead, a node does not know what was said just before; it must not guess."""
    now = place.clock.seconds()
    with inside(place, "twin-ahead", PROVIDER, start=now) as found:
        asked = Asker(place, now=found.clock.seconds).query()
        assert found.send(asked).status == 200
    with opened(place.node("twin-ahead"), now + HOUR) as ahead:
        ahead.clock.now = now + 1
        assert ahead.send(asked).code in ("exchange.replay", "exchange.before_start")


def test_no_directory_is_an_answer_of_its_own(place: Place) -> None:
    with inside(place, "twin-bare", PROVIDER, pull=False) as found:
        got = found.send(Asker(place, now=found.clock.seconds).query())
        assert (got.code, got.status, got.entry) == ("exchange.no_directory", 503, None)
        assert found.node.health()["answers"] is False
