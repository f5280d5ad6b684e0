"""What a node must remember of past calls. All of it is derived from the log, so that one durable write is enough.

After a restart the log is read once: nonces of the last window, quotas of the running windows, and the answers
of the last day that a repeat may ask for, with how often each was repeated.
"""

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec
import orjson

from tongban.exchange.dates import Dates
from tongban.exchange.envelope import Envelope
from tongban.exchange.grant import LONGEST_WINDOW, Grant
from tongban.exchange.nonces import WINDOW, Nonces
from tongban.exchange.quota import Quotas, Reservation
from tongban.exchange.ticket import RoundTicket, Ticket
from tongban.kit.clock import stamp, unstamp
from tongban.kit.errors import Refused
from tongban.node.config import Limits
from tongban.node.held_rounds import HeldRounds
from tongban.node.questions import STALE
from tongban.tlog.entry import Stored
from tongban.tlog.log import Log

#: Stored answers are personal data: a day, then only their digests.
ANSWER_SECONDS = 24 * 3600

_Key = tuple[str, str, str]  #: consumer, grant, idempotency key


class Remembered(msgspec.Struct, frozen=True, gc=False):
    """An answer that was given: what was asked, where it stands in the log, when."""

    intent: str
    index: int
    at: int
    occasion: str = ""  #: evaluation date, and for a batch its key column: `occasion_of` the ticket it was given under


def occasion_of(ticket: Ticket) -> str:
    """What a repeat must share with the first: another day or another key column is another question."""
    return f"{ticket.at} {ticket.keys}" if isinstance(ticket, RoundTicket) else ticket.at


class _Running:
    """A key while its first answer is made. Nearly always nobody waits for it."""

    __slots__ = ("_answers", "_end", "_key", "_others", "_remembered")

    def __init__(self, key: _Key, answers: dict[_Key, Remembered], others: dict[_Key, "_Running"]) -> None:
        self._key, self._answers, self._others = key, answers, others
        self._end: asyncio.Future[Remembered | None] | None = None
        self._remembered: Remembered | None = None

    def end(self) -> "asyncio.Future[Remembered | None]":
        """For whoever sent the same key meanwhile: the answer once it is made, None if none could be remembered."""
        if self._end is None:
            self._end = asyncio.get_running_loop().create_future()
        return self._end

    def __enter__(self) -> Callable[[Remembered | None], None]:
        return self._settled

    def _settled(self, remembered: Remembered | None) -> None:
        if remembered is not None:
            self._answers[self._key] = self._remembered = remembered

    def __exit__(self, *_: object) -> None:
        del self._others[self._key]
        if self._end is not None:
            self._end.set_result(self._remembered)


class Strangers:
    """Counts of refusals that are nobody's: told hourly, as one entry."""

    def __init__(self, now: float) -> None:
        self._since = stamp(now)
        self._counts: dict[str, int] = {}
        self._peers: set[str] = set()

    def count(self, code: str, peer: str) -> None:
        self._counts[code] = self._counts.get(code, 0) + 1
        # Bounded: a flood from many addresses must not fill the memory that it could not fill on disk.
        if len(self._peers) < 10_000:
            self._peers.add(peer)

    def told(self, now: float) -> dict[str, Any] | None:
        """Body of the aggregate entry since the last one; None if there was nothing."""
        since, self._since = self._since, stamp(now)
        if not self._counts:
            return None
        body = {"from": since, "until": stamp(now), "peers": len(self._peers), "counts": self._counts}
        self._counts, self._peers = {}, set()
        return body


class Refusals:
    """How many refusals of one consumer became entries in this hour."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._hour = -1
        self._made: dict[str, int] = {}

    def room(self, consumer: str, now: float) -> bool:
        if (hour := int(now // 3600)) != self._hour:
            self._hour, self._made = hour, {}
        made = self._made.get(consumer, 0)
        if made >= self._most:
            return False
        self._made[consumer] = made + 1
        return True


class Journal:
    """Nonces, quotas, stored answers and counts of one node."""

    def __init__(self, log: Log, limits: Limits, now: float) -> None:
        """Read the log once and remember what still matters at `now`."""
        self._log = log
        self.quotas = Quotas()
        self.dates = Dates(limits.dates_a_person, limits.dates_of_batches, limits.date_days)
        self.refusals = Refusals(limits.refused_an_hour)
        self.latest = 0.0  #: time of the newest entry: the node's time never goes behind it
        self.rounds = HeldRounds()
        self._answers: dict[_Key, Remembered] = {}
        self._repeats: dict[_Key, int] = {}  #: times that one of these answers was given again; no zeros
        self._most_repeats = limits.repeats_a_key
        self._running: dict[_Key, _Running] = {}
        #: Calls of a grant that the log holds, until the grant's quota is first needed: [(time, persons)].
        self._charges: dict[str, list[tuple[int, int]]] = {}
        seen: list[tuple[str, str]] = []
        for stored in log.entries():
            self.rounds.recall(stored)
            if stored.record is not None:
                self._recall(stored, now, seen)
        # The node's time begins where its log ends, should the machine's lie behind that.
        self.strangers = Strangers(max(now, self.latest))
        # Whatever had an effect is in the log, so this memory is whole for as long as messages are looked for in it.
        self.nonces = Nonces(now, now - 2 * WINDOW, seen)

    def _recall(self, stored: Stored, now: float, seen: list[tuple[str, str]]) -> None:
        record = orjson.loads(stored.record or b"{}")
        at = unstamp(record["at"]) if "at" in record else 0
        self.latest = max(self.latest, at)
        if "nonce" not in record or "answer_key" not in record:
            return
        if record["created"] > now - 2 * WINDOW:
            seen.append((record["key"], record["nonce"]))
        if record["status"] != 200:
            return
        key = (record["consumer"], record["grant"], record["idempotency"])
        if "repeat_of" in record:
            known = self._answers.get(key)
            if known is not None and known.index == record["repeat_of"]:
                self._repeats[key] = self._repeats.get(key, 0) + 1
            return
        if stored.sealed and at > now - ANSWER_SECONDS:
            self._repeats.pop(key, None)
            occasion = " ".join((record.get("evaluated", ""), record.get("keys", ""))).strip()
            self._answers[key] = Remembered(record["intent"], stored.index, at, occasion)
        self._recall_date(record, at)
        if at > now - LONGEST_WINDOW:
            persons = orjson.loads(stored.leaf)["n"]
            self._charges.setdefault(record["grant"], []).append((at, persons))

    def _recall_date(self, record: dict[str, Any], at: int) -> None:
        if record["call"] == "query" or not (evaluated := record.get("evaluated")):
            return
        if record.get("verdict") == STALE:
            return
        person = record["subjects"][0] if record["call"] == "verify" else ""
        self.dates.recall(record["grant"], person, date.fromisoformat(evaluated), at)

    # --- idempotency ----------------------------------------------------------------------------------

    async def known(self, envelope: Envelope, now: float) -> Remembered | None:
        """The answer given before under this key; waits for one that is being made at this moment."""
        key = (envelope.consumer, envelope.grant, envelope.idempotency)
        while (running := self._running.get(key)) is not None:
            if (made := await asyncio.shield(running.end())) is not None:
                return made
        known = self._answers.get(key)
        if known is not None and known.at <= now - ANSWER_SECONDS:
            self._drop(key)
            return None
        return known

    def may_repeat(self, envelope: Envelope) -> bool:
        """Count one more repeat of a known answer; False if its key has had all it may have.

        Each is an entry for ever that costs the caller no quota.
        """
        key = (envelope.consumer, envelope.grant, envelope.idempotency)
        made = self._repeats.get(key, 0)
        if made >= self._most_repeats:
            return False
        self._repeats[key] = made + 1
        return True

    def not_repeated(self, envelope: Envelope) -> None:
        """The repeat counted last was not given: what fails in passing may be tried again."""
        key = (envelope.consumer, envelope.grant, envelope.idempotency)
        if (made := self._repeats.pop(key, 0)) > 1:
            self._repeats[key] = made - 1

    def _drop(self, key: _Key) -> None:
        del self._answers[key]
        self._repeats.pop(key, None)

    def begun(self, envelope: Envelope) -> "_Running":
        """Hold the key while its first answer is made; the block calls what it is given once that is durable."""
        key = (envelope.consumer, envelope.grant, envelope.idempotency)
        running = self._running[key] = _Running(key, self._answers, self._running)
        return running

    def stored_answer(self, known: Remembered) -> bytes | None:
        """Body of an answer given before; None if its day's key is gone."""
        return self._log.unseal(self._log.entry(known.index))

    def forget(self, now: float) -> None:
        """Drop what is older than a day, and counters of windows long over."""
        old = [key for key, known in self._answers.items() if known.at <= now - ANSWER_SECONDS]
        for key in old:
            self._drop(key)
        self.quotas.forget(now - LONGEST_WINDOW)
        self.dates.forget(now)

    @property
    def running(self) -> int:
        """First answers that are being made."""
        return len(self._running)

    # --- quota ----------------------------------------------------------------------------------------

    def reserve(self, grant: Grant, ticket: Ticket, now: float) -> Reservation | Refused:
        """Hold one call and its persons before the body is read."""
        if (charges := self._charges.pop(grant.id, None)) is not None:
            for at, persons in charges:
                self.quotas.charge(grant.id, grant.quota, persons, at)
        persons = ticket.count if isinstance(ticket, RoundTicket) else 1
        return self.quotas.reserve(grant.id, grant.quota, persons, now)
