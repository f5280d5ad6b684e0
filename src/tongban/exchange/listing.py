"""What a directory lists: members, their keys, nodes, resources and rules. Grants have their own file.

Each is a signed statement. Here a body becomes a value; who must have signed it is `authority`'s.
"""

import base64
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from tongban.exchange import grant, names, shape
from tongban.exchange.grant import Grant
from tongban.kit import canonical
from tongban.kit.errors import Invalid, Refused
from tongban.kit.keys import ALGORITHMS, PublicKey
from tongban.kit.statement import Statement
from tongban.tlog.cosignature import Quorum

#: What a member's keys are for. A key has one role for life, and no two keys share their public part.
ROLES: Final = ("approval", "online", "ticket")


class EntryInvalid(Invalid):
    """An entry that nobody would adopt."""

    code = "exchange.entry_invalid"
    message = "This cannot stand in a directory: {what}."
    remedy = "See the exchange protocol, section 2."


@dataclass(frozen=True, slots=True)
class Member:
    """A department."""

    code: str
    name: str
    name_en: str
    root: PublicKey  #: kept off line; signs the member's keys and nodes
    predecessors: tuple[str, ...]
    successors: tuple[str, ...]
    since: int  #: seconds since 1970
    until: int | None

    @property
    def id(self) -> str:
        return self.code

    def stands(self, now: float) -> bool:
        return self.since <= now and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    member: str
    role: str
    public: PublicKey
    since: int
    until: int
    revoked_at: int | None  #: dead AT this instant; set, the key vouches for no entry, whatever the instant

    def refusal(self, now: float) -> Refused | None:
        """Say why nothing signed at `now` with this key counts."""
        if self.revoked_at is not None and now >= self.revoked_at:
            return Refused("exchange.revoked_key", "the key was revoked")
        if not self.since <= now < self.until:
            return Refused("exchange.key_out_of_time", "the key's own time has not begun or is over")
        return None


@dataclass(frozen=True, slots=True)
class Node:
    id: str
    member: str
    address: str  #: "https://host:port"
    certificate: str | None  #: SHA-256 of the TLS certificate, hex; None on loopback only
    origin: str  #: name of its log


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    grade: str | int
    mask: str | None


@dataclass(frozen=True, slots=True)
class Complete:
    """The owner's statement that the register holds everybody it should: only then silence may mean no."""

    as_of: str  #: YYYY-MM-DD
    statement: str


@dataclass(frozen=True, slots=True)
class Resource:
    id: str
    version: int
    member: str
    node: str
    title: str
    domains: frozenset[str]  #: kinds of subject keys it can be asked by
    fields: tuple[Field, ...]
    sharing: str
    basis: str
    complete: Complete | None


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    version: int
    member: str
    node: str
    resource: str
    digest: str  #: what the owner approved
    text: str
    parameters: Mapping[str, Any]
    facts: Any
    vocabulary: Any


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody who cosigns the heads of logs, at `address`/add-checkpoint."""

    name: str
    member: str | None  #: whose it is, if a member's
    address: str
    certificate: str | None  #: as a node's
    public: PublicKey
    outside: bool  #: of the administration


@dataclass(frozen=True, slots=True)
class Witnessing:
    """Who witnesses the city's logs, and how many must have seen a head before it is believed."""

    version: int
    k: int
    witnesses: tuple[Witness, ...]

    @property
    def id(self) -> str:
        return "witnessing"

    def of(self, origin: str) -> tuple[Witness, ...]:
        """Those who may witness the log `origin`: nobody is a witness of its own member's."""
        return tuple(one for one in self.witnesses if one.member is None or not origin.startswith(f"{one.member}/"))

    def quorum(self, origin: str) -> Quorum:
        found = self.of(origin)
        outside = frozenset(one.name for one in found if one.outside)
        return Quorum({one.name: one.public for one in found}, outside, self.k)


@dataclass(frozen=True, slots=True)
class Closing:
    """A log that its member ended: what lies beyond `size` under its name is not the member's, whoever signed it."""

    origin: str
    member: str
    size: int
    root: str  #: of the first `size` entries, hex
    closed_at: int
    successor: str | None  #: origin of the log that follows

    @property
    def id(self) -> str:
        return self.origin


Entry = Member | Key | Node | Resource | Rule | Grant | Witnessing | Closing


def _is_json(value: Any) -> bool:
    return len(canonical.encode(value)) <= 64 * 1024


def _is_long_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64 * 1024


_title: Final = shape.is_text(200)
_version: Final = shape.integer(1, 10**9)
_codes: Final = shape.distinct(shape.is_member, 0, 100)
_ROOT: Final = shape.fields({"id": shape.is_key, "public": shape.is_public})
_FIELD: Final = shape.fields(
    {
        "name": shape.is_field,
        "type": shape.text("[a-z_]{1,30}"),
        "grade": lambda value: shape.is_text(40)(value) or shape.integer(0, 9)(value),
        "mask": shape.nullable(shape.is_text(60)),
    }
)
_COMPLETE: Final = shape.fields({"as_of": shape.is_date, "statement": shape.is_text(500)})

_origin: Final = shape.text(f"{names.MEMBER}/{names.NODE}")
_address: Final = shape.text("https?://[0-9A-Za-z.:\\[\\]-]{1,200}")
_WITNESS: Final = shape.fields(
    {
        "name": shape.text("[0-9A-Za-z./_-]{1,100}"),
        "member": shape.nullable(shape.is_member),
        "address": _address,
        "certificate": shape.nullable(shape.is_digest),
        "public": shape.is_public,
        "outside": shape.is_boolean,
    }
)

SHAPES: Final[Mapping[str, shape.Shape]] = {
    "member": {
        "kind": shape.exactly("member"),
        "code": shape.is_member,
        "name": _title,
        "name_en": _title,
        "root": _ROOT,
        "predecessors": _codes,
        "successors": _codes,
        "from": shape.is_stamp,
        "until": shape.nullable(shape.is_stamp),
    },
    "key": {
        "kind": shape.exactly("key"),
        "id": shape.is_key,
        "member": shape.is_member,
        "role": shape.exactly(*ROLES),
        "public": shape.is_public,
        "algorithm": shape.exactly(*ALGORITHMS),
        "from": shape.is_stamp,
        "until": shape.is_stamp,
        "revoked_at": shape.nullable(shape.is_stamp),
    },
    "node": {
        "kind": shape.exactly("node"),
        "id": shape.is_node,
        "member": shape.is_member,
        "address": _address,
        "certificate": shape.nullable(shape.is_digest),
        "origin": _origin,
    },
    "witnessing": {
        "kind": shape.exactly("witnessing"),
        "version": _version,
        "k": shape.integer(0, 32),
        "witnesses": shape.list_of(_WITNESS, 1, 32),
    },
    "closing": {
        "kind": shape.exactly("closing"),
        "id": _origin,
        "member": shape.is_member,
        "size": shape.integer(0, 2**53),
        "root": shape.is_digest,
        "closed_at": shape.is_stamp,
        "successor": shape.nullable(_origin),
    },
    "resource": {
        "kind": shape.exactly("resource"),
        "id": shape.is_resource,
        "version": _version,
        "member": shape.is_member,
        "node": shape.is_node,
        "title": _title,
        "domains": shape.distinct(shape.exactly(*names.DOMAINS), 1, len(names.DOMAINS)),
        "fields": shape.list_of(_FIELD, 1, 500),
        "sharing": shape.is_text(40),
        "basis": shape.is_text(500),
        "complete": shape.nullable(_COMPLETE),
    },
    "rule": {
        "kind": shape.exactly("rule"),
        "id": shape.is_rule,
        "version": _version,
        "member": shape.is_member,
        "node": shape.is_node,
        "resource": shape.is_resource,
        "digest": shape.is_digest,
        "text": _is_long_text,
        "parameters": lambda value: isinstance(value, dict) and _is_json(value),
        "facts": _is_json,
        "vocabulary": _is_json,
    },
    "grant": grant.SHAPE,
}


def compose(kind: str, **fields: Any) -> dict[str, Any]:
    """A body of `kind`, ready to be signed; the field `from` is given as `since`. Raises EntryInvalid."""
    if "since" in fields:
        fields["from"] = fields.pop("since")
    body = {"kind": kind, **fields}
    if isinstance(refused := read(Statement(body, {})), Refused):
        raise EntryInvalid(what=refused.reason)
    return body


def read(statement: Statement) -> Entry | Refused:
    """The value that `statement` states; who signed it is not looked at."""
    kind = statement.kind
    if kind == "grant":
        return grant.from_statement(statement)
    if kind not in SHAPES:
        return Refused("exchange.entry_unknown", "an entry of a kind this version does not know")
    body = dict(statement.body)
    contradiction = _CONTRADICTIONS.get(kind)
    if refused := shape.malformed(body, SHAPES[kind], "exchange.entry_malformed", f"a {kind}", contradiction):
        return refused
    return _READERS[kind](body)


def _member(body: Mapping[str, Any]) -> Member:
    root = PublicKey(body["root"]["id"], base64.b64decode(body["root"]["public"]))
    until = None if body["until"] is None else shape.seconds(body["until"])
    return Member(
        body["code"], body["name"], body["name_en"], root,
        tuple(body["predecessors"]), tuple(body["successors"]), shape.seconds(body["from"]), until,
    )  # fmt: skip


def _key(body: Mapping[str, Any]) -> Key:
    public = PublicKey(body["id"], base64.b64decode(body["public"]), body["algorithm"])
    revoked_at = None if body["revoked_at"] is None else shape.seconds(body["revoked_at"])
    since, until = shape.seconds(body["from"]), shape.seconds(body["until"])
    return Key(body["id"], body["member"], body["role"], public, since, until, revoked_at)


def _node(body: Mapping[str, Any]) -> Node:
    return Node(body["id"], body["member"], body["address"], body["certificate"], body["origin"])


def _resource(body: Mapping[str, Any]) -> Resource:
    complete = None if body["complete"] is None else Complete(**body["complete"])
    taken = {name: value for name, value in body.items() if name != "kind"}
    taken |= {"domains": frozenset(body["domains"]), "complete": complete}
    return Resource(**{**taken, "fields": tuple(Field(**one) for one in body["fields"])})


def _rule(body: Mapping[str, Any]) -> Rule:
    return Rule(**{name: value for name, value in body.items() if name != "kind"})


def _witnessing(body: Mapping[str, Any]) -> Witnessing:
    witnesses = [
        Witness(**{**one, "public": PublicKey(one["name"], base64.b64decode(one["public"]))})
        for one in body["witnesses"]
    ]
    return Witnessing(body["version"], body["k"], tuple(witnesses))


def _closing(body: Mapping[str, Any]) -> Closing:
    closed_at = shape.seconds(body["closed_at"])
    return Closing(body["id"], body["member"], body["size"], body["root"], closed_at, body["successor"])


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Entry]]] = {
    "member": _member,
    "key": _key,
    "node": _node,
    "witnessing": _witnessing,
    "closing": _closing,
    "resource": _resource,
    "rule": _rule,
}


def _member_contradicts(body: Mapping[str, Any]) -> str | None:
    return None if body["root"]["id"].startswith(f"{body['code']}.root.") else "its root key is named for another"


def _key_contradicts(body: Mapping[str, Any]) -> str | None:
    if not body["id"].startswith(f"{body['member']}.{body['role']}."):
        return "its id names another member or role"
    return "it ends before it begins" if shape.seconds(body["from"]) >= shape.seconds(body["until"]) else None


def _node_contradicts(body: Mapping[str, Any]) -> str | None:
    if body["origin"] != f"{body['member']}/{body['id']}":
        return "its log is named for another"
    # A name and number in clear on a network is a leak that no log can take back.
    return None if _is_shielded(body) else "TLS and its certificate are mandatory off loopback"


def _is_shielded(body: Mapping[str, Any]) -> bool:
    return (body["certificate"] is not None and body["address"].startswith("https://")) or _is_loopback(body["address"])


def _witnessing_contradicts(body: Mapping[str, Any]) -> str | None:
    witnesses = body["witnesses"]
    for word in ("name", "public"):
        if len({one[word] for one in witnesses}) < len(witnesses):
            return f"two witnesses have the same {word}"
    if body["k"] > len(witnesses):
        return "it wants more witnesses than it names"
    return None if all(map(_is_shielded, witnesses)) else "TLS and its certificate are mandatory off loopback"


def _closing_contradicts(body: Mapping[str, Any]) -> str | None:
    logs = [body["id"], body["successor"] or body["id"]]
    if not all(one.startswith(f"{body['member']}/") for one in logs):
        return "the log, or the one that follows, is another member's"
    return "a log does not follow itself" if body["successor"] == body["id"] else None


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(urlsplit(address).hostname or "").is_loopback
    except ValueError:
        return False


def _resource_contradicts(body: Mapping[str, Any]) -> str | None:
    listed = [one["name"] for one in body["fields"]]
    return None if len(set(listed)) == len(listed) else "a field stands twice"


_CONTRADICTIONS: Final[Mapping[str, shape.Contradiction]] = {
    "member": _member_contradicts,
    "key": _key_contradicts,
    "node": _node_contradicts,
    "witnessing": _witnessing_contradicts,
    "closing": _closing_contradicts,
    "resource": _resource_contradicts,
}
