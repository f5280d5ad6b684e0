"""The node's way out: a call of the own department to another node, committed before it is sent.

    commit `request` → sign → send → judge the answer → commit `answer` → hand it on

An answer without an entry, a leaf and a good signature of the provider is no answer.
"""

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tongban.exchange import client
from tongban.exchange.client import Answer, Prepared
from tongban.exchange.directory import UNKNOWN_KEY, Directory
from tongban.exchange.envelope import LONGEST_ANSWER, Call
from tongban.exchange.grant import Grant
from tongban.exchange.receipt import Receipt
from tongban.kit.clock import Clock, stamp
from tongban.kit.errors import Refused
from tongban.kit.keys import SigningKey
from tongban.node.asked import Asked, Column
from tongban.node.source import DirectorySource, TooLarge, whole
from tongban.tlog.log import Log

if TYPE_CHECKING:
    import aiohttp

#: Seconds to wait for an answer, by kind of call. A batch of millions takes its time.
PATIENCE: Mapping[str, int] = {"query": 20, "verify": 20, "match": 600}

_TOO_LARGE = Refused("exchange.answer_too_large", "the provider's node sent more than an answer of this kind can have")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One call as the own department wants it made."""

    grant: Grant
    ticket: str
    case: str
    operator: str
    idempotency: str
    body: bytes
    about: Mapping[str, Any]  #: what the request's record says of persons: subjects and fields, or rows and keys
    persons: int
    keys: Column | None = None  #: of a batch


@dataclass(frozen=True, slots=True)
class Incoming:
    """A believed answer: status and body are the provider's, proved by its signature and its log."""

    status: int
    content_type: str
    body: bytes
    receipt: Receipt


class Outlet:
    """Makes calls for the own department's systems."""

    def __init__(
        self,
        member: str,
        key: Callable[[], SigningKey],
        source: DirectorySource,
        log: Log,
        asked: Asked,
        clock: Clock,
        promised: Callable[[int, str, int, str, int], None],
    ) -> None:
        """`key` gives the key that signs calls now; `promised` is told of each receipt (`Proving.promised`)."""
        self._promised = promised
        self._member, self._key, self._source, self._log, self._clock = member, key, source, log, clock
        self._asked = asked
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, outgoing: Outgoing) -> Incoming | Refused:
        """Make the call. Refused: it was not made, or no answer that could be believed came back.

        Raises Unavailable when the own log cannot be written: nothing is sent then.
        """
        directory, now = self._source.current, self._clock.seconds()
        node = directory.nodes.get(outgoing.grant.node) if directory else None
        if directory is None or node is None:
            return Refused("exchange.no_directory", "this node's directory does not know the provider's node")
        # Keys of an expired directory may have been revoked long ago: no answer could be believed.
        if refused := directory.refusal(now):
            return refused
        key = self._key()
        prepared = self._prepared(outgoing, key, now)
        own = await self._committed(outgoing, prepared, key.id, now)
        sent = await self._send(node.address, node.certificate, prepared)
        if isinstance(sent, Refused):
            return sent
        answer = self._judged(directory, prepared, *sent)
        if answer is UNKNOWN_KEY and await self._source.look_again(directory):
            # The provider's new key may be listed by now.
            answer = self._judged(self._source.current or directory, prepared, *sent)
        if isinstance(answer, Refused):
            return answer
        answer_entry = await self._commit_answer(own, answer, outgoing.persons)
        envelope = answer.envelope
        return Incoming(envelope.status, envelope.content_type, answer.body, answer.receipt(answer_entry))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    # --- out ------------------------------------------------------------------------------------------

    def _prepared(self, outgoing: Outgoing, key: SigningKey, now: float) -> Prepared:
        grant = outgoing.grant
        call = Call(
            call=grant.call,
            consumer=self._member,
            provider=grant.provider,
            node=grant.node,
            resource=grant.resource if grant.rule is None else grant.rule,
            grant=grant.id,
            purpose=grant.purpose,
            ticket=outgoing.ticket,
            case=outgoing.case,
            operator=outgoing.operator,
            idempotency=outgoing.idempotency,
        )
        return client.prepare(key, call, outgoing.body, nonce=secrets.token_urlsafe(18), now=now)

    async def _committed(self, outgoing: Outgoing, prepared: Prepared, key: str, now: float) -> int:
        """The question is in our own log, and of a batch the keys are kept until its persons are."""
        if outgoing.keys is None:
            return await self._commit_request(outgoing, prepared, key, now)
        await self._asked.keep(outgoing.keys, outgoing.body)
        own: int | None = None
        try:
            own = await self._commit_request(outgoing, prepared, key, now)
        finally:
            self._asked.logged(outgoing.keys, own, outgoing.persons)
        return own

    async def _commit_request(self, outgoing: Outgoing, prepared: Prepared, key: str, now: float) -> int:
        """The look is in our own log before anybody else hears of it: index of its entry."""
        call, signed = prepared.call, prepared.signed
        record = {
            "at": stamp(now),
            "consumer": self._member,
            "provider": call.provider,
            "node": call.node,
            "resource": call.resource,
            "call": call.call,
            "grant": call.grant,
            "purpose": call.purpose,
            "case": outgoing.case,
            "operator": outgoing.operator,
            "key": key,
            "idempotency": outgoing.idempotency,
            "intent": signed.intent,
            "request": signed.request_digest,
            "base": signed.base.decode(),
            "signature": base64.b64encode(signed.signature).decode(),
            **outgoing.about,
        }
        entry = await self._log.append({"kind": "request", "n": outgoing.persons}, record)
        return entry.index

    async def _send(
        self, address: str, certificate: str | None, prepared: Prepared
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes] | Refused:
        # A node that only answers never loads a client.
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200), auto_decompress=False)
        headers = {name.decode(): value.decode() for name, value in prepared.signed.headers}
        # The directory names the certificate itself; no authority is asked.
        pin: Any = aiohttp.Fingerprint(bytes.fromhex(certificate)) if certificate else True
        timeout = aiohttp.ClientTimeout(total=PATIENCE[prepared.call.call], connect=5)
        try:
            async with self._session.post(
                f"{address}{prepared.path}",
                data=prepared.body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                ssl=pin,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            ) as got:
                most = LONGEST_ANSWER[prepared.call.call]
                # What is announced too long is not begun; a length may also be left out, or be a lie.
                if (got.content_length or 0) > most:
                    return _TOO_LARGE
                body = await whole(got.content, most)
                raw = [(name.lower(), value) for name, value in got.raw_headers]
                return got.status, raw, body
        except TooLarge:
            return _TOO_LARGE
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Refused("exchange.no_answer", f"the provider's node did not answer ({type(error).__name__})")

    # --- back -----------------------------------------------------------------------------------------

    def _judged(
        self, directory: Directory, prepared: Prepared, status: int, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> Answer | Refused:
        now = self._clock.seconds()
        return client.judge(
            prepared, status, headers, body, lambda key_id, node: directory.answer_key(key_id, node, now), now
        )

    async def _commit_answer(self, own: int, answer: Answer, persons: int) -> int:
        envelope, now = answer.envelope, self._clock.seconds()
        record = {
            "at": stamp(now),
            "request_entry": own,
            "entry": envelope.entry,
            "leaf": envelope.leaf,
            "origin": envelope.origin,
            "status": envelope.status,
            "code": answer.code,
            "answer_key": envelope.key_id,
            "base": envelope.base.decode(),
            "signature": base64.b64encode(envelope.signature).decode(),
        }
        entry = await self._log.append({"kind": "answer", "n": persons}, record)
        self._promised(entry.index, envelope.origin, envelope.entry, envelope.leaf, int(now))
        return entry.index
