"""The gate's order: whoever fails at two steps hears of the earlier one, and nothing later has happened."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from tests.node.asking import Asker, Request, changed_base64
from tests.node.place import PROVIDER, Place
from tests.node.running import Inside, inside
from tests.world import STRANGER
from tongban.exchange.rate import Buckets
from tongban.kit.keys import SigningKey
from tongban.tlog.storage import DiskFull

GRANT = "order"


@dataclass
class Story:
    """One request in the making: what is signed, what is done to it afterwards, what is done to the node."""

    asker: Asker
    asked: dict[str, Any] = field(default_factory=lambda: {"grant": GRANT})
    after: list[Callable[[Request], Request]] = field(default_factory=list)
    node: list[Callable[[Inside], contextlib.AbstractContextManager[None]]] = field(default_factory=list)


@contextlib.contextmanager
def put(holder: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(holder, name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)


def spent_bucket(now: float) -> Buckets:
    bucket = Buckets(1, 1)
    bucket.refusal("127.0.0.1", now)
    return bucket


def too_many_calls(story: Story) -> None:
    story.node.append(lambda twin: put(twin.node.gate, "_rate", spent_bucket(twin.clock.now)))


def a_header_missing(story: Story) -> None:
    story.after.append(lambda asked: asked.header("tongban-operator", None))


def no_directory(story: Story) -> None:
    story.node.append(lambda twin: put(twin.node.source, "current", None))


def a_long_body(story: Story) -> None:
    story.after.append(lambda asked: asked.also("content-length", "99999999"))


def an_unknown_key(story: Story) -> None:
    story.asked["key"] = SigningKey(f"{story.asker.member}.online.77", bytes(32))


def a_changed_signature(story: Story) -> None:
    story.after.append(
        lambda asked: asked.header("signature", f"tb=:{changed_base64(asked.value('signature')[4:-1])}:")
    )


def an_old_message(story: Story) -> None:
    story.asked |= {"created": story.asker.now() - 40, "expires": story.asker.now() + 15}


def a_used_nonce(story: Story) -> None:
    story.asked["nonce"] = "u" * 22


def another_node(story: Story) -> None:
    story.asked["node"] = "civil-affairs-2"


def a_grant_that_is_none(story: Story) -> None:
    story.asked["grant"] = "A" * 22


def a_ticket_that_ended(story: Story) -> None:
    story.asked["ticket"] = story.asker.ticket(expires_at=story.asker.now() - 1)


def a_used_idempotency_key(story: Story) -> None:
    """Known with another intent: the one of an honest first call."""
    story.asked |= {"idempotency": "used-before", "fields": ["phone"]}


def a_spent_quota(story: Story) -> None:
    """The honest first calls took what the grant has."""


def another_body(story: Story) -> None:
    story.after.append(lambda asked: asked.but(body=asked.body.replace(b"}", b" }")))


def an_ungranted_question(story: Story) -> None:
    story.asked["subject"] = ("citizen", STRANGER)


#: Every step at which a call can fail, in the protocol's order, and how to fail there.
STEPS = [
    ("rate_limited", too_many_calls),
    ("header_missing", a_header_missing),
    ("no_directory", no_directory),
    ("body_too_long", a_long_body),
    ("unknown_key", an_unknown_key),
    ("bad_signature", a_changed_signature),
    ("clock_skew", an_old_message),
    ("replay", a_used_nonce),
    ("wrong_node", another_node),
    ("no_grant", a_grant_that_is_none),
    ("ticket_expired", a_ticket_that_ended),
    ("idempotency_conflict", a_used_idempotency_key),
    ("quota_spent", a_spent_quota),
    ("digest_mismatch", another_body),
    ("subject_outside_ticket", an_ungranted_question),
]
NAMES = [name for name, _ in STEPS]
#: From the nonce on, somebody stands behind the message.
FIRST_SIGNED = NAMES.index("wrong_node")


@pytest.fixture(scope="module")
def asker(place: Place, twin: Inside) -> Asker:
    return Asker(place, now=twin.clock.seconds)


@pytest.fixture(scope="module")
def twin(place: Place) -> Iterator[Inside]:
    """A node at which a nonce, an idempotency key and a whole quota were used before."""
    quota = {"calls": 1, "persons": 9, "window_seconds": 366 * 86_400}
    place.put(place.grant(GRANT, quota=quota, fields=["phone", "status"]), place.grant("roomy", fields=["status"]))
    with inside(place, "twin-order", PROVIDER) as found:
        first = Asker(place, now=found.clock.seconds).query(grant=GRANT, idempotency="used-before", nonce="u" * 22)
        assert found.send(first).status == 200
        yield found


class Watched:
    """A desk that counts who comes to it."""

    def __init__(self, desk: Any) -> None:
        self.desk, self.asked = desk, 0

    async def answer(self, admitted: Any, body: bytes) -> Any:
        self.asked += 1
        return await self.desk.answer(admitted, body)


def made(asker: Asker, twin: Inside, first: int, last: int) -> tuple[Any, int]:
    """The answer to a call that fails at every step from `first` to `last`; how often the register was asked."""
    story = Story(asker)
    if NAMES.index("quota_spent") not in range(first, last + 1):
        story.asked["grant"] = "roomy"
    for _, fail in STEPS[first : last + 1]:
        fail(story)
    asked = asker.query(**story.asked)
    for change in story.after:
        asked = change(asked)
    watched = Watched(twin.node.gate._desks["query"])
    with contextlib.ExitStack() as stack:
        stack.enter_context(put(twin.node.gate, "_desks", {"query": watched}))
        for change in story.node:
            stack.enter_context(change(twin))
        return twin.send(asked), watched.asked


@pytest.mark.parametrize("step", range(len(STEPS) - 1), ids=[f"{a}_before_{b}" for a, b in pairwise(NAMES)])
def test_the_earlier_of_two_steps_answers(step: int, asker: Asker, twin: Inside) -> None:
    if "idempotency_conflict" in NAMES[step : step + 2] and "quota_spent" not in NAMES[step : step + 2]:
        # An idempotency key belongs to a grant: the one whose quota is spent is the one where it was used.
        return check(step, NAMES.index("quota_spent"), asker, twin)
    return check(step, step + 1, asker, twin)


@pytest.mark.parametrize("step", range(len(STEPS)), ids=NAMES)
def test_whoever_fails_everywhere_hears_of_the_first_step_only(step: int, asker: Asker, twin: Inside) -> None:
    check(step, len(STEPS) - 1, asker, twin)


def check(first: int, last: int, asker: Asker, twin: Inside) -> None:
    size, state = twin.node.log.tree.size, twin.state()
    got, reads = made(asker, twin, first, last)
    assert got.code == f"exchange.{NAMES[first]}"
    assert (got.entry is not None) == (first >= FIRST_SIGNED)
    assert twin.node.log.tree.size - size == (first >= FIRST_SIGNED)
    assert reads == (NAMES[first] == "subject_outside_ticket")
    assert twin.state() == state


# Read → append → sign → send


class Broken:
    """A log whose disk is full."""

    def __init__(self, log: Any) -> None:
        self._log, self.tried = log, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, *_: Any) -> Any:
        self.tried += 1
        raise DiskFull(directory="log", error="ENOSPC")


class Unsigning:
    """A key that cannot sign."""

    def __init__(self, id: str) -> None:
        self.id, self.asked = id, 0

    def sign(self, _: bytes) -> bytes:
        self.asked += 1
        raise AssertionError("nobody signs here")


def test_what_is_not_logged_is_neither_signed_nor_sent(asker: Asker, twin: Inside) -> None:
    state, broken, key = twin.state(), Broken(twin.node.log), Unsigning(twin.node.gate._key().id)
    asked = asker.query(grant="roomy")
    with put(twin.node.gate, "_log", broken), put(twin.node.gate, "_key", lambda: key):
        got = twin.send(asked)
    assert (got.code, got.status, got.entry) == ("exchange.log_unavailable", 503, None)
    assert (broken.tried, key.asked) == (1, 0)
    assert b"records" not in got.body
    assert twin.state() == state
    again = asker.query(grant="roomy", idempotency=asked.value("tongban-idempotency"))
    assert twin.send(again).status == 200


def test_a_refusal_that_is_not_logged_is_not_signed_either(asker: Asker, twin: Inside) -> None:
    broken, key = Broken(twin.node.log), Unsigning(twin.node.gate._key().id)
    with put(twin.node.gate, "_log", broken), put(twin.node.gate, "_key", lambda: key):
        got = twin.send(asker.query(grant="A" * 22))
    assert (got.code, got.entry, key.asked) == ("exchange.log_unavailable", None, 0)


def test_the_entry_is_durable_before_anything_is_signed(asker: Asker, twin: Inside) -> None:
    size, key = twin.node.log.tree.size, Unsigning(twin.node.gate._key().id)
    with put(twin.node.gate, "_key", lambda: key), pytest.raises(AssertionError, match="nobody signs here"):
        twin.send(asker.query(grant="roomy"))
    assert (key.asked, twin.node.log.tree.size) == (1, size + 1)
    assert [*twin.node.log.entries()][-1].record is not None


def test_the_register_is_not_read_for_a_body_that_nobody_signed(asker: Asker, twin: Inside) -> None:
    _, reads = made(asker, twin, NAMES.index("digest_mismatch"), NAMES.index("digest_mismatch"))
    assert reads == 0
