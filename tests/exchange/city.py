"""A city's directory, small and whole: three offline root keys, the cast of `tests.world`, one log."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.world import (
    APPROVAL_KEY,
    CALLING_KEY,
    CIVIL_AFFAIRS,
    CONSUMER_NODE,
    DAY,
    HUB_KEY,
    NOON,
    PROVIDER_NODE,
    RESOURCE,
    RULE,
    RULE_DIGEST,
    TAX,
    TAX_KEY,
    TICKET_KEY,
    TRANSPORT,
    a_grant_statement,
    a_key,
)
from tongban.exchange import directory, publish, root
from tongban.exchange.directory import Directory, adopt
from tongban.exchange.root import Root
from tongban.kit.clock import stamp
from tongban.kit.errors import Refused
from tongban.kit.keys import SigningKey
from tongban.kit.statement import Statement, sign
from tongban.tlog import checkpoint
from tongban.tlog.tree import Tree, leaf_hash

CITY = "示例市"
BUREAU = "11990100TB00000446"
ORIGIN = f"{BUREAU}/hub"
ROOT_KEYS = [a_key("city", "root", n) for n in (1, 2, 3)]
TIMESTAMP_KEY = a_key("city", "timestamp")
LOG_KEY = a_key("city", "log")
ANSWERING_KEY = a_key(CIVIL_AFFAIRS, "online")
OWN_WITNESS, OTHER_WITNESS, OUTSIDE_WITNESS = (
    a_key(owner, "witness") for owner in (CIVIL_AFFAIRS, TRANSPORT, "university.example")
)
MEMBER_ROOTS = {code: a_key(code, "root") for code in (CIVIL_AFFAIRS, TRANSPORT, TAX)}

LONG_AGO, FAR = NOON - 400 * DAY, NOON + 400 * DAY


def public64(key: SigningKey) -> str:
    return base64.b64encode(key.public.public).decode()


def root_body(**change: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "city": CITY, "version": 1, "threshold": 2, "keys": [key.public for key in ROOT_KEYS],
        "roles": {"hub": [HUB_KEY.public], "timestamp": [TIMESTAMP_KEY.public], "log": [LOG_KEY.public]},
        "log_origin": ORIGIN, "issued_at": LONG_AGO, "expires_at": FAR,
    }  # fmt: skip
    return publish.compose_root(**(given | change))


def a_root(*signers: SigningKey, **change: Any) -> Statement:
    return sign(root_body(**change), *(signers or ROOT_KEYS[:2]))


FIRST_ROOT = a_root()
PIN = FIRST_ROOT.digest()


# Entries; `by` says who signs instead of the one who must.


def a_member(code: str = CIVIL_AFFAIRS, by: Sequence[SigningKey] = (), **change: Any) -> Statement:
    key = MEMBER_ROOTS[code]
    body = {
        "kind": "member", "code": code, "name": "民政局", "name_en": "Civil Affairs",
        "root": {"id": key.id, "public": public64(key)}, "predecessors": [], "successors": [],
        "from": stamp(LONG_AGO), "until": None,
    }  # fmt: skip
    return sign(body | change, *(by or ROOT_KEYS[:2]))


def a_key_entry(key: SigningKey, by: Sequence[SigningKey] = (), **change: Any) -> Statement:
    member, role, _ = key.id.split(".")
    body = {
        "kind": "key", "id": key.id, "member": member, "role": role, "public": public64(key), "algorithm": "ed25519",
        "from": stamp(LONG_AGO), "until": stamp(FAR), "revoked_at": None,
    }  # fmt: skip
    return sign(body | change, *(by or [MEMBER_ROOTS[member]]))


def a_node(
    code: str = CIVIL_AFFAIRS, id: str = PROVIDER_NODE, by: Sequence[SigningKey] = (), **change: Any
) -> Statement:
    body = {
        "kind": "node", "id": id, "member": code, "address": "http://127.0.0.1:8001", "certificate": None,
        "origin": f"{code}/{id}",
    }  # fmt: skip
    return sign(body | change, *(by or [MEMBER_ROOTS[code]]))


def a_resource(by: Sequence[SigningKey] = (APPROVAL_KEY,), **change: Any) -> Statement:
    fields = [{"name": name, "type": "text", "grade": 2, "mask": None} for name in ("status", "registered_on")]
    body = {
        "kind": "resource", "id": RESOURCE, "version": 3, "member": CIVIL_AFFAIRS, "node": PROVIDER_NODE,
        "title": "婚姻登记", "domains": ["citizen"], "fields": fields, "sharing": "conditional",
        "basis": "婚姻登记条例",
        "complete": {"as_of": "2014-01-01", "statement": "1986 年以来全部登记"},
    }  # fmt: skip
    return sign(body | change, *by)


def a_rule(by: Sequence[SigningKey] = (APPROVAL_KEY,), **change: Any) -> Statement:
    body = {
        "kind": "rule", "id": RULE, "version": 1, "member": CIVIL_AFFAIRS, "node": PROVIDER_NODE, "resource": RESOURCE,
        "digest": RULE_DIGEST, "text": "status = '已婚'", "parameters": {}, "facts": {}, "vocabulary": 1,
    }  # fmt: skip
    return sign(body | change, *by)


def a_witness(key: SigningKey, member: str | None, port: int, **change: Any) -> dict[str, Any]:
    """One of those whom the entry `witnessing` names; on this machine, inside the administration."""
    body = {
        "name": key.id, "member": member, "address": f"http://127.0.0.1:{port}", "certificate": None,
        "public": public64(key), "outside": False,
    }  # fmt: skip
    return body | change


def the_witnesses() -> list[dict[str, Any]]:
    """A department's, another's, and one that belongs to nobody in the city."""
    return [
        a_witness(OWN_WITNESS, CIVIL_AFFAIRS, 8001),
        a_witness(OTHER_WITNESS, TRANSPORT, 8002),
        a_witness(OUTSIDE_WITNESS, None, 8003, outside=True),
    ]


def a_witnessing(by: Sequence[SigningKey] = (), **change: Any) -> Statement:
    body = {"kind": "witnessing", "version": 2, "k": 2, "witnesses": the_witnesses()}
    return sign(body | change, *(by or ROOT_KEYS[:2]))


def the_entries() -> list[Statement]:
    keys = (APPROVAL_KEY, ANSWERING_KEY, CALLING_KEY, TICKET_KEY, TAX_KEY)
    return [
        *(a_member(code) for code in MEMBER_ROOTS),
        *(a_key_entry(key) for key in keys),
        a_node(),
        a_node(TRANSPORT, CONSUMER_NODE),
        a_resource(),
        a_rule(),
        a_grant_statement(),
    ]


def without(entries: Sequence[Statement], kind: str, id: str = "") -> list[Statement]:
    return [one for one in entries if not (one.kind == kind and (not id or one.body.get("id") == id))]


# Publishing


@dataclass
class Hub:
    """Publishes whatever it is told to, lawful or not: it is the attacker in half of the tests."""

    roots: list[Statement] = field(default_factory=lambda: [FIRST_ROOT])
    tree: Tree = field(default_factory=Tree)
    version: int = 0
    previous: str = directory.FIRST

    def head(self, entries: Sequence[Statement], by: SigningKey = TIMESTAMP_KEY, **change: Any) -> Statement:
        digests = [one.digest() for one in entries]
        issued_at = change.pop("issued", NOON)
        body = {
            "kind": "head", "city": CITY, "version": self.version + 1, "previous": self.previous,
            "root": self.roots[-1].digest(), "entries": directory.entries_root(digests), "count": len(digests),
            "issued_at": stamp(issued_at), "expires_at": stamp(issued_at + directory.LONGEST_LIFE),
        }  # fmt: skip
        return sign(body | change, by)

    def log(self, head: Statement, by: SigningKey = LOG_KEY, origin: str = ORIGIN) -> dict[str, Any]:
        index = self.tree.size
        self.tree.append(leaf_hash(directory.leaf(head.digest(), head.body["version"])))
        signed = checkpoint.sign(checkpoint.Checkpoint(origin, self.tree.size, self.tree.root()), by)
        proof = self.tree.inclusion_proof(index)
        return publish.log_proof(origin=origin, index=index, size=self.tree.size, proof=proof, checkpoint=signed)

    def publish(self, entries: Sequence[Statement], by: SigningKey = TIMESTAMP_KEY, **change: Any) -> bytes:
        head = self.head(entries, by, **change)
        raw = publish.published(self.roots[:-1], self.roots[-1], head, self.log(head), entries)
        self.version, self.previous = head.body["version"], head.digest()
        return raw


def trusted(statement: Statement = FIRST_ROOT) -> Root:
    found = root.from_statement(statement)
    assert isinstance(found, Root), found
    return found


def adopted(entries: Sequence[Statement] | None = None) -> Directory:
    found = adopt(None, Hub().publish(the_entries() if entries is None else entries), PIN, NOON)
    assert isinstance(found, Directory), found
    return found


def ignored(found: Directory, one: Statement) -> str | None:
    refused: Refused | None = found.ignored.get(one.digest())
    return refused.code if refused else None


def nonsense(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def code(found: Directory | Refused) -> str:
    assert isinstance(found, Refused), found
    return found.code


def first(raw: bytes, now: float = NOON) -> Any:
    """What a node that has no directory makes of `raw`."""
    return adopt(None, raw, PIN, now)


def altered(raw: bytes, *path: str | int, to: object) -> bytes:
    whole = orjson.loads(raw)
    place = whole
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return orjson.dumps(whole)
