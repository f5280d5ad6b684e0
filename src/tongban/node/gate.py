"""The gate: the one order in which a call is judged, answered, logged, signed and sent.

    size, time, rate → header signature → freshness → nonce → member, grant, ticket → idempotency → quota →
    body and its digest → read → project and mask → append durably → sign → send

Whoever fails before the nonce is a stranger: counted, never attributed, for anybody can replay or garble a
message of somebody else. From then on a refusal is an answer like any other: logged first, then signed.
"""

import asyncio
import hashlib
import logging
import traceback
from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from tongban.exchange import ask
from tongban.exchange import grant as grants
from tongban.exchange import ticket as tickets
from tongban.exchange.directory import UNKNOWN_KEY, Directory
from tongban.exchange.envelope import JSON, Envelope, Headers, answer_type, fresh, read_request, sign_answer
from tongban.exchange.grant import Grant
from tongban.exchange.rate import Buckets
from tongban.exchange.refusals import status_of
from tongban.exchange.ticket import Ticket
from tongban.kit.clock import Clock, stamp
from tongban.kit.errors import Refused, TongbanError, Unavailable
from tongban.kit.keys import SigningKey
from tongban.node.body import BodyReader, Receive
from tongban.node.config import NodeConfig
from tongban.node.journal import Journal, Remembered, occasion_of
from tongban.node.source import DirectorySource
from tongban.tlog.log import Log

_told = logging.getLogger("tongban.node")

#: Verified tickets that are remembered; a case asks several departments several times within minutes.
MOST_TICKETS = 50_000

_TOO_LONG = Refused("exchange.body_too_long", "the body is longer than this node takes for this kind of call")
_BAD_SIGNATURE = Refused("exchange.bad_signature", "the signature does not hold over the covered headers")
_WRONG_NODE = Refused("exchange.wrong_node", "the call is for another node or member")
_CONFLICT = Refused("exchange.idempotency_conflict", "this idempotency key belongs to another request")
_REPEATED = Refused("exchange.repeated_too_often", "this answer was given again as often as a node gives one")
_MISMATCH = Refused("exchange.digest_mismatch", "the body is not the one that was signed")
_NO_DIRECTORY = Refused("exchange.no_directory", "this node has no directory in force")
_FAULT = Refused("exchange.fault", "this node met an error that nobody planned; nothing is known")
_NO_LOG = Refused("exchange.log_unavailable", "this node cannot write its log; nothing was read or sent")


@dataclass(slots=True)
class Reply:
    """What goes back over the wire."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(slots=True)
class Admitted:
    """A call that may be answered: everything the desks need to know of it."""

    envelope: Envelope
    grant: Grant
    ticket: Ticket
    directory: Directory
    now: float
    at: str  #: `now` as a stamp: time of the entry and of the answer


@dataclass(slots=True)
class Answered:
    """What a desk read: the body that leaves, and what the record says of it."""

    body: bytes
    outcome: str  #: "records", "verdict" or "counts"
    persons: int
    about: dict[str, Any]  #: further fields of the record
    kind: str = "call"
    definitive: bool = True  #: only definitive answers are stored for a repeat
    #: Called with the entry's index once it is durable, with None if it never will be.
    after: list[Callable[[int | None], None]] = field(default_factory=list)


class Desk(Protocol):
    """Answers one kind of call."""

    async def answer(self, admitted: Admitted, body: bytes) -> Answered | Refused: ...


class Gate:
    """Judges and answers the calls of other members."""

    def __init__(
        self,
        config: NodeConfig,
        key: Callable[[], SigningKey],
        source: DirectorySource,
        log: Log,
        journal: Journal,
        desks: dict[str, Desk],
        bodies: BodyReader,
        clock: Clock,
    ) -> None:
        """`key` gives the key that signs answers now."""
        self._config, self._key, self._source, self._log = config, key, source, log
        self._journal, self._desks, self._bodies, self._clock = journal, desks, bodies, clock
        self._rate = Buckets(config.limits.calls_per_second, config.limits.burst)
        self._tickets: dict[str, tuple[Ticket, Directory, float]] = {}

    async def call(self, method: bytes, path: bytes, headers: Headers, peer: str, receive: Receive) -> Reply:
        """Answer one request. Never raises for anything a caller can send."""
        now = self._clock.seconds()
        if refused := self._rate.refusal(peer, now):
            return self._turned_away(refused, peer, now)
        envelope = read_request(method, path, headers)
        if isinstance(envelope, Refused):
            return self._turned_away(envelope, peer, now)
        directory = self._source.current
        refused = self._stranger(envelope, directory, now)
        if refused is UNKNOWN_KEY and directory is not None and await self._newer(envelope, directory):
            directory = self._source.current
            refused = self._stranger(envelope, directory, now)
        if refused:
            return self._turned_away(refused, peer, now)
        assert directory is not None
        try:
            return await self._admitted(envelope, directory, now, receive)
        except Unavailable:
            # The log could not take the entry. Without it nothing may leave, not even a signed no.
            return self._turned_away(_NO_LOG, peer, now)

    async def _admitted(self, envelope: Envelope, directory: Directory, now: float, receive: Receive) -> Reply:
        # Two clocks agree on this instant: the node's time never goes behind it again.
        self._journal.latest = max(self._journal.latest, now)
        admitted = self._permitted(envelope, directory, now)
        if isinstance(admitted, Refused):
            return await self._refuse(envelope, admitted, now)
        known = await self._journal.known(envelope, now)
        if known is not None:
            if (known.intent, known.occasion) != (envelope.intent, occasion_of(admitted.ticket)):
                return await self._refuse(envelope, _CONFLICT, now)
            return await self._once_more(admitted, known, receive)
        with self._journal.begun(envelope) as settled:
            reserved = self._journal.reserve(admitted.grant, admitted.ticket, now)
            if isinstance(reserved, Refused):
                return await self._refuse(envelope, reserved, now)
            spent = 0
            try:
                answered = await self._answered(admitted, receive)
                if isinstance(answered, Refused):
                    return await self._refuse(envelope, answered, now)
                reply, remembered = await self._settle(admitted, answered)
                spent = answered.persons
                settled(remembered)
                return reply
            finally:
                # What is not answered durably costs nothing.
                self._journal.quotas.commit(reserved, spent) if spent else self._journal.quotas.release(reserved)

    # --- strangers ------------------------------------------------------------------------------------

    def _stranger(self, envelope: Envelope, directory: Directory | None, now: float) -> Refused | None:
        """Why nobody stands behind this message: signature, freshness, nonce."""
        if directory is None:
            return _NO_DIRECTORY
        if refused := directory.refusal(now):
            return refused
        limit = self._config.limits.batch_body if envelope.call == "match" else self._config.limits.json_body
        length = envelope.length
        if not length.isdigit() or len(length) > 12 or int(length) > limit:
            return _TOO_LONG
        key = directory.caller_key(envelope.key_id, envelope.consumer, now)
        if isinstance(key, Refused):
            return key
        if not key.verifies(envelope.base, envelope.signature):
            return _BAD_SIGNATURE
        if refused := fresh(envelope, now):
            return refused
        return self._journal.nonces.refusal(envelope.key_id, envelope.nonce, envelope.created, now)

    async def _newer(self, envelope: Envelope, directory: Directory) -> bool:
        """Whether there is a newer directory: it may list a member's new key. Nobody looks for a stranger's sake."""
        return envelope.consumer in directory.members and await self._source.look_again(directory)

    def _turned_away(self, refused: Refused, peer: str, now: float) -> Reply:
        self._journal.strangers.count(refused.code, peer)
        return Reply(status_of(refused.code), [(b"content-type", b"application/json")], _said(refused, now))

    # --- callers --------------------------------------------------------------------------------------

    def _permitted(self, envelope: Envelope, directory: Directory, now: float) -> Admitted | Refused:
        """Node, grant, ticket."""
        if envelope.provider != self._config.member or envelope.node != self._config.id:
            return _WRONG_NODE
        grant = directory.grants.get(envelope.grant)
        if grant is None:
            return grants.NO_GRANT
        if refused := grants.refusal(grant, envelope, now, directory.age(now)):
            return refused
        ticket = self._ticket(envelope, directory, now)
        if isinstance(ticket, Refused):
            return ticket
        if refused := tickets.refusal(ticket, envelope, now):
            return refused
        return Admitted(envelope, grant, ticket, directory, now, stamp(now))

    def _ticket(self, envelope: Envelope, directory: Directory, now: float) -> Ticket | Refused:
        """The ticket, verified once for each directory, and again once the key that signed it has ended."""
        held = self._tickets.get(envelope.ticket)
        if held is not None and held[1] is directory and now < held[2]:
            return held[0]
        ticket = tickets.read(envelope.ticket)
        if isinstance(ticket, Refused):
            return ticket
        if refused := tickets.signature_refusal(ticket, directory.keys_in_force(ticket.consumer, "ticket", now)):
            return refused
        [signer] = ticket.statement.signatures
        if len(self._tickets) >= MOST_TICKETS:
            self._tickets.clear()
        self._tickets[envelope.ticket] = (ticket, directory, directory.key_ends_at(signer))
        return ticket

    async def _answered(self, admitted: Admitted, receive: Receive) -> Answered | Refused:
        """Body, its digest, and what the desk reads."""
        envelope, limits = admitted.envelope, self._config.limits
        body = await self._bodies.read(receive, limits.batch_body if envelope.call == "match" else limits.json_body)
        if isinstance(body, Refused):
            return body
        digest = hashlib.sha256(body) if len(body) < 1_000_000 else await asyncio.to_thread(hashlib.sha256, body)
        if digest.digest() != envelope.content_digest:
            return _MISMATCH
        try:
            return await self._desks[envelope.call].answer(admitted, body)
        except TongbanError:
            raise
        except Exception as error:
            # Our own mistake, or a register as nobody planned it. Its message may quote a person's data.
            place = traceback.extract_tb(error.__traceback__)[-1]
            _told.error("%s in %s, line %s", type(error).__name__, Path(place.filename).name, place.lineno)
            return _FAULT

    # --- answers --------------------------------------------------------------------------------------

    async def _settle(self, admitted: Admitted, answered: Answered) -> tuple[Reply, Remembered | None]:
        envelope = admitted.envelope
        digest = hashlib.sha256(answered.body).digest()
        key = self._key()
        record = self._record(envelope, admitted.at, 200, digest, key)
        record["outcome"] = answered.outcome
        record["directory"] = admitted.directory.version
        record["evaluated"] = admitted.ticket.at
        record.update(answered.about)
        stored = answered.body if answered.definitive else b""
        try:
            entry = await self._log.append({"kind": answered.kind, "n": answered.persons}, record, stored)
        except Unavailable:
            for act in answered.after:
                act(None)
            raise
        for act in answered.after:
            act(entry.index)
        remembered = None
        if answered.definitive:
            occasion = occasion_of(admitted.ticket)
            remembered = Remembered(envelope.intent, entry.index, int(admitted.now), occasion)
        return self._signed(key, envelope, 200, answered.body, digest, entry, admitted.now), remembered

    async def _once_more(self, admitted: Admitted, known: Remembered, receive: Receive) -> Reply:
        """A repeat, if its key has one left. Only those that are given count, as only they are logged as one."""
        envelope = admitted.envelope
        if not self._journal.may_repeat(envelope):
            return self._counted(envelope, _REPEATED, admitted.now)
        given = False
        try:
            reply = await self._repeat(admitted, known, receive)
            given = reply.status == 200
            return reply
        finally:
            if not given:
                self._journal.not_repeated(envelope)

    async def _repeat(self, admitted: Admitted, known: Remembered, receive: Receive) -> Reply:
        """The stored body again, freshly signed, under an entry that names the first.

        Under whatever ticket it is asked for again, that ticket must name the subject too.
        """
        envelope, now = admitted.envelope, admitted.now
        if refused := await self._uncovered(admitted, receive):
            return await self._refuse(envelope, refused, now)
        body = self._journal.stored_answer(known)
        if body is None:
            return await self._refuse(envelope, Refused("exchange.answer_gone", "the stored answer is gone"), now)
        digest = hashlib.sha256(body).digest()
        key = self._key()
        record = self._record(envelope, stamp(now), 200, digest, key)
        record["repeat_of"] = known.index
        entry = await self._log.append({"kind": "repeat", "n": 0}, record)
        return self._signed(key, envelope, 200, body, digest, entry, now)

    async def _uncovered(self, admitted: Admitted, receive: Receive) -> Refused | None:
        """Why the ticket does not cover a repeat. A batch's key column was compared already."""
        envelope = admitted.envelope
        if envelope.call == "match":
            return None
        body = await self._bodies.read(receive, self._config.limits.json_body)
        if isinstance(body, Refused):
            return body
        if hashlib.sha256(body).digest() != envelope.content_digest:
            return _MISMATCH
        asked = ask.read_query(body) if envelope.call == "query" else ask.read_verify(body)
        if isinstance(asked, Refused):
            return asked
        return tickets.subject_refusal(admitted.ticket, asked.subject.domain, asked.subject.key)

    async def _refuse(self, envelope: Envelope, refused: Refused, now: float) -> Reply:
        """Log and sign a refusal. Beyond the first of an hour a consumer's refusals are counted together."""
        if not self._journal.refusals.room(envelope.consumer, now):
            return self._counted(envelope, refused, now)
        body, status = _said(refused, now), status_of(refused.code)
        digest = hashlib.sha256(body).digest()
        key = self._key()
        record = self._record(envelope, stamp(now), status, digest, key)
        record["code"] = refused.code
        entry = await self._log.append({"kind": "refused", "n": 1}, record)
        return self._signed(key, envelope, status, body, digest, entry, now)

    def _counted(self, envelope: Envelope, refused: Refused, now: float) -> Reply:
        """A refusal that becomes no entry of its own, and so carries no signature."""
        self._journal.strangers.count(refused.code, envelope.consumer)
        return Reply(status_of(refused.code), [(b"content-type", JSON.encode())], _said(refused, now))

    def _record(self, envelope: Envelope, at: str, status: int, digest: bytes, key: SigningKey) -> dict[str, Any]:
        """What every entry about a call holds, whatever came of it; in the order in which it will be written."""
        return {
            "answer_key": key.id,
            "at": at,
            "base": envelope.base.decode(),
            "body": digest.hex(),
            "call": envelope.call,
            "case": envelope.case,
            "code": "",
            "consumer": envelope.consumer,
            "created": envelope.created,
            "grant": envelope.grant,
            "idempotency": envelope.idempotency,
            "intent": envelope.intent,
            "key": envelope.key_id,
            "node": envelope.node,
            "nonce": envelope.nonce,
            "operator": envelope.operator,
            "provider": envelope.provider,
            "purpose": envelope.purpose,
            "request": envelope.request_digest,
            "resource": envelope.resource,
            "signature": b2a_base64(envelope.signature, newline=False).decode(),
            "status": status,
        }

    def _signed(
        self, key: SigningKey, envelope: Envelope, status: int, body: bytes, digest: bytes, entry: Any, now: float
    ) -> Reply:
        """`key`: the one that the entry's record names."""
        signed = sign_answer(
            key,
            status=status,
            content_type=answer_type(envelope.call, status),
            content_digest=digest,
            node=self._config.id,
            request_digest=envelope.request_digest,
            entry=entry.index,
            leaf=entry.leaf_hash.hex(),
            origin=self._log.origin,
            created=int(now),
        )
        self._log.keep_signature(entry.index, signed.signature)
        return Reply(status, signed.headers, body)


def _said(refused: Refused, now: float) -> bytes:
    """The body of a refusal."""
    return orjson.dumps({"code": refused.code, "reason": refused.reason, "node_time": stamp(now)})
