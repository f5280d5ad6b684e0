"""The local door: where a department's own systems ask others through their own node.

Who knocks is told by the kernel (uid on the Unix socket) or by a bearer token on loopback; each system is mapped to
grants and to the staff numbers it may name. Keys never leave the node; tickets are issued here.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import orjson

from tongban.calendar.day import day_of
from tongban.exchange import bulk, ticket
from tongban.exchange.directory import Directory
from tongban.exchange.envelope import JSON
from tongban.exchange.grant import Grant
from tongban.identity.identifiers import Domain
from tongban.identity.subject import Subject, subject_from_json
from tongban.kit import canonical
from tongban.kit.clock import Clock, stamp
from tongban.kit.errors import Refused, TongbanError, Unavailable
from tongban.kit.keys import SigningKey
from tongban.node.app import Scope, Send, code_in, refused_reply, send_reply
from tongban.node.body import BodyReader, Receive
from tongban.node.config import DoorSystem, NodeConfig
from tongban.node.gate import Reply
from tongban.node.held_rounds import OPEN_STAGES, PERSON_ACTS, HeldRounds, Said
from tongban.node.metrics import ANSWERED, TYPE, Counts, outcome_of
from tongban.node.outlet import Incoming, Outgoing, Outlet
from tongban.node.questions import WORDS
from tongban.node.source import DirectorySource
from tongban.tlog.log import Log

_STRANGER = Refused("node.door_stranger", "this system is not known at the door; see [[door.system]] in node.toml")
_NO_OPERATOR = Refused("node.no_operator", "tongban-operator is missing: every look names a person who answers for it")
_FOREIGN_OPERATOR = Refused("node.foreign_operator", "this system may not act for that staff number")
_NO_GRANT = Refused("node.grant_not_mapped", "this system is not mapped to that grant, or it is not in the directory")
_BAD = Refused("node.bad_request", "the request at the door has not its form")
_UNAVAILABLE = Refused("exchange.log_unavailable", "this node cannot write its log; nothing was asked")
_NO_ROUNDS = Refused("node.rounds_not_held", "this system may not hold rounds; see rounds in node.toml")
_NAME = re.compile("[0-9A-Za-z._-]{1,64}(/[0-9A-Za-z._-]{1,64})?")
_DIGEST = re.compile("[0-9a-f]{64}")
#: Seconds a ticket issued here lives.
CASE_LIFE, ROUND_LIFE = 30 * 24 * 3600, 24 * 3600


class DoorApp:
    """ASGI application of the local door."""

    def __init__(
        self,
        config: NodeConfig,
        ticket_key: Callable[[], SigningKey],
        source: DirectorySource,
        outlet: Outlet,
        log: Log,
        bodies: BodyReader,
        clock: Clock,
        rounds: HeldRounds,
        health: Callable[[], dict[str, Any]],
        metrics: Callable[[], bytes],
    ) -> None:
        self._rounds, self._health, self._metrics = rounds, health, metrics
        self.counts = Counts()
        self._config, self._ticket_key, self._source, self._outlet = config, ticket_key, source, outlet
        self._log, self._bodies, self._clock = log, bodies, clock
        self._tokens = {system.token_sha256: system for system in config.systems if system.token_sha256}
        self._uids = {system.uid: system for system in config.systems if system.uid is not None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                reply = await self._reply(scope, receive)
            except NoDirectory as error:
                reply = refused_reply(Refused("exchange.no_directory", error.said()))
            except Unavailable:
                reply = refused_reply(_UNAVAILABLE)
            except TongbanError as error:
                # A header that no envelope or ticket can carry.
                reply = refused_reply(Refused(_BAD.code, error.said()))
            await send_reply(send, reply)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        system = self._system(scope, headers)
        if system is None:
            return refused_reply(_STRANGER)
        method, path = scope["method"], scope["path"]
        if (method, path) == ("GET", "/door/v1/grants"):
            return self._grants(system)
        if (method, path) == ("GET", "/door/v1/health"):
            return _json(self._health())
        if (method, path) == ("GET", "/metrics"):
            return Reply(200, [(b"content-type", TYPE)], self._metrics())
        operator = headers.get("tongban-operator", "")
        if not operator:
            return refused_reply(_NO_OPERATOR)
        if "*" not in system.operators and operator not in system.operators:
            return refused_reply(_FOREIGN_OPERATOR)
        body = await self._bodies.read(receive, self._config.limits.batch_body)
        if isinstance(body, Refused):
            return refused_reply(body)
        if method == "POST" and path.startswith("/door/v1/call/"):
            return await self._call(system, path.removeprefix("/door/v1/call/"), operator, headers, body)
        if (method, path) == ("POST", "/door/v1/ticket"):
            return self._case_ticket(body)
        if (method, path) == ("POST", "/door/v1/round"):
            return await self._round_entry(system, operator, body)
        return refused_reply(_BAD)

    def _system(self, scope: Scope, headers: Mapping[str, str]) -> DoorSystem | None:
        client = scope.get("client")
        if client and client[0].startswith("uid:"):
            return self._uids.get(int(client[0].removeprefix("uid:")))
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        offered = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for known, system in self._tokens.items():
            # Every entry is compared: how long it takes tells nothing about which came close.
            found = system if hmac.compare_digest(known, offered) else found
        return found

    def _directory(self) -> Directory:
        directory = self._source.current
        if directory is None:
            raise NoDirectory()
        return directory

    # --- calls ----------------------------------------------------------------------------------------

    async def _call(
        self, system: DoorSystem, call: str, operator: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        grant = self._mapped(system, headers.get("tongban-grant", ""))
        if grant is None or grant.call != call:
            return refused_reply(_NO_GRANT)
        outgoing = self._outgoing(grant, operator, headers, body)
        if isinstance(outgoing, Refused):
            return refused_reply(outgoing)
        began = time.perf_counter()
        incoming = await self._outlet.ask(outgoing)
        self.counts.took(call, _outcome(incoming), began)
        if isinstance(incoming, Refused):
            return refused_reply(incoming)
        receipt = orjson.dumps(incoming.receipt.to_json())
        kept = [(b"content-type", incoming.content_type.encode()), (b"tongban-receipt", receipt)]
        return Reply(incoming.status, kept, incoming.body)

    def _outgoing(self, grant: Grant, operator: str, headers: Mapping[str, str], body: bytes) -> Outgoing | Refused:
        idempotency = headers.get("tongban-idempotency") or secrets.token_urlsafe(16)
        if grant.call == "match":
            return self._outgoing_batch(grant, operator, idempotency, headers, body)
        try:
            asked = orjson.loads(body)
            subject = subject_from_json(asked["subject"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return _BAD
        if isinstance(subject, Refused):
            return subject
        case, text = headers.get("tongban-case", ""), headers.get("tongban-ticket", "")
        if not text:
            text = self._open_case(grant.purpose, case, [subject], headers.get("tongban-at", ""))
        # The key travels in its one spelling, so that both logs derive the same person from it.
        try:
            sent = canonical.encode({**asked, "subject": subject.to_json()})
        except (TypeError, ValueError):
            return _BAD
        about = {"subjects": [subject.pseudonym(self._log.subject_key)], "fields": asked.get("fields", [])}
        return Outgoing(grant, text, case, operator, idempotency, sent, about, 1)

    def _outgoing_batch(
        self, grant: Grant, operator: str, idempotency: str, headers: Mapping[str, str], body: bytes
    ) -> Outgoing | Refused:
        domain, columns = headers.get("tongban-domain", ""), self._asked(grant)
        if columns is None or domain not in Domain.__members__.values():
            return _BAD
        keys = bulk.read_keys(body, domain, columns)
        if isinstance(keys, Refused):
            return keys
        round, part = headers.get("tongban-round", ""), headers.get("tongban-part", "")
        assert grant.rule is not None
        assert grant.rule_digest is not None
        now = self._clock.seconds()
        try:
            text = ticket.issue_round(
                self._ticket_key(),
                id=secrets.token_urlsafe(16),
                consumer=self._config.member,
                provider=grant.provider,
                purpose=grant.purpose,
                round=round,
                part=part,
                rule=grant.rule,
                rule_digest=grant.rule_digest,
                at=headers.get("tongban-at", ""),
                domain=domain,
                keys=keys.digest,
                count=keys.rows,
                not_before=now - 60,
                expires_at=now + ROUND_LIFE,
            )
        except TongbanError:
            return _BAD
        at = headers.get("tongban-at", "")
        # Whoever could name rounds at will could ask about one person for as many dates.
        if refused := self._rounds.refusal(round, at):
            return refused
        about = {"round": round, "part": part, "evaluated": at, "rows": keys.rows, "keys": keys.digest}
        column = domain, keys.digest
        return Outgoing(grant, text, f"{round}/{part}", operator, idempotency, body, about, keys.rows, column)

    def _asked(self, grant: Grant) -> dict[str, str] | None:
        """Columns that the grant's rule asks for, with their words on the wire; None if the rule is not listed."""
        rule = self._directory().rules.get(grant.rule or "")
        if rule is None:
            return None
        return {column["name"]: WORDS[column["type"]] for column in orjson.loads(rule.text)["asks"]}

    def _mapped(self, system: DoorSystem, id: str) -> Grant | None:
        grant = self._directory().grants.get(id)
        if grant is None or grant.consumer != self._config.member:
            return None
        return grant if "*" in system.grants or id in system.grants else None

    # --- tickets, rounds, grants ----------------------------------------------------------------------

    def _open_case(self, purpose: str, case: str, subjects: list[Subject], at: str) -> str:
        now = self._clock.seconds()
        return ticket.issue_case(
            self._ticket_key(),
            id=secrets.token_urlsafe(16),
            consumer=self._config.member,
            purpose=purpose,
            case=case,
            salt=secrets.token_bytes(16),
            subjects=[(str(subject.domain), subject.key) for subject in subjects],
            at=at or day_of(now).isoformat(),
            not_before=now - 60,
            expires_at=now + CASE_LIFE,
        )

    def _case_ticket(self, body: bytes) -> Reply:
        """One ticket for all the calls of a case: `{purpose, case, subjects: [{domain, key}], at}`."""
        try:
            asked = orjson.loads(body)
            subjects = [subject_from_json(one) for one in asked["subjects"]]
            if refused := next((one for one in subjects if isinstance(one, Refused)), None):
                return refused_reply(refused)
            known = [one for one in subjects if isinstance(one, Subject)]
            text = self._open_case(asked["purpose"], asked["case"], known, asked.get("at", ""))
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ticket.NotIssuable):
            return refused_reply(_BAD)
        return _json({"ticket": text})

    async def _round_entry(self, system: DoorSystem, operator: str, body: bytes) -> Reply:
        """Put a stage of a round, or an act about one application, into the log: `{round, stage, digest, at?}`."""
        if not system.rounds:
            return refused_reply(_NO_ROUNDS)
        try:
            asked = orjson.loads(body)
            said = Said(asked["round"], asked["stage"], asked["digest"])
            # The leaf is there for ever and for everybody: nothing goes into it but a name and a digest.
            formed = _NAME.fullmatch(said.round) and _DIGEST.fullmatch(said.digest)
            at = str(date.fromisoformat(asked["at"])) if said.stage == "opened" else ""
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return refused_reply(_BAD)
        if not formed or said.stage not in OPEN_STAGES | PERSON_ACTS:
            return refused_reply(_BAD)
        if at and (refused := self._rounds.open(said.round, at)):
            return refused_reply(refused)
        record = {"at": stamp(self._clock.seconds()), "operator": operator, "system": system.name}
        entry = await self._rounds.put(self._log, said, {**record, **({"evaluated": at} if at else {})})
        return _json({"origin": self._log.origin, "entry": entry.index, "leaf": entry.leaf_hash.hex()})

    def _grants(self, system: DoorSystem) -> Reply:
        """The grants this system may use, for programs that plan by rule."""
        directory = self._directory()
        usable = [one for id, one in directory.grants.items() if self._mapped(system, id) is not None]
        listed = [
            {
                "id": one.id,
                "provider": one.provider,
                "node": one.node,
                "call": one.call,
                "resource": one.resource,
                "rule": one.rule,
                "rule_digest": one.rule_digest,
                "rule_text": _text_digest(directory, one),
                "purpose": one.purpose,
                "fields": sorted(one.fields),
                "expires_at": one.expires_at,
            }
            for one in usable
        ]
        return _json({"member": self._config.member, "directory": directory.version, "grants": listed})


def _outcome(incoming: Incoming | Refused) -> str:
    if isinstance(incoming, Refused):
        return outcome_of(incoming.code)
    return ANSWERED if incoming.status == 200 else code_in(incoming.body)


def _text_digest(directory: Directory, grant: Grant) -> str | None:
    """SHA-256 of the approved rule's text, so that a system can tell whether it means the same rule."""
    rule = directory.rules.get(grant.rule or "")
    return hashlib.sha256(rule.text.encode()).hexdigest() if rule else None


class NoDirectory(TongbanError):
    """No directory was adopted yet."""

    code = "node.no_directory"
    message = "This node has no directory in force."
    remedy = "Check directory and directory_root in node.toml, then `./tongban node check DIR`."


def _json(value: Any) -> Reply:
    return Reply(200, [(b"content-type", JSON.encode())], orjson.dumps(value))
