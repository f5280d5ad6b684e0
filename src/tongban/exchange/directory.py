"""The directory: what a node decides from, without asking anybody.

One signed head over sorted entry digests, itself in a public log. `adopt` judges a newer one against
the one in force and changes nothing by itself; a node that refuses keeps what it has and says why.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tongban.exchange import listing, root, shape
from tongban.exchange.authority import Listed, Memory, Tables, has_doubles, judge
from tongban.exchange.grant import Grant
from tongban.exchange.listing import Closing, Key, Member, Node, Resource, Rule, Witnessing
from tongban.exchange.root import Root
from tongban.kit import canonical, statement
from tongban.kit.errors import Refused
from tongban.kit.keys import PublicKey
from tongban.kit.statement import Statement
from tongban.tlog import checkpoint, entry, tree

LONGEST_LIFE: Final = 72 * 3600  #: seconds between a head's issue and its end
AHEAD: Final = 300  #: seconds a head's issue may lie before this node's clock: a head of tomorrow would never grow old
FIRST: Final = "0" * 64  #: `previous` of the first head


@dataclass(frozen=True, slots=True)
class Head:
    version: int
    previous: str
    entries: str
    count: int
    issued_at: int
    expires_at: int
    digest: str


@dataclass(frozen=True, slots=True)
class Directory:
    """An adopted directory. Look-ups give only what has effect."""

    root: Root
    head: Head
    members: Mapping[str, Member] = field(repr=False)
    keys: Mapping[str, Key] = field(repr=False)
    nodes: Mapping[str, Node] = field(repr=False)
    resources: Mapping[str, Resource] = field(repr=False)
    rules: Mapping[str, Rule] = field(repr=False)
    grants: Mapping[str, Grant] = field(repr=False)
    witnessing: Witnessing | None = field(repr=False)
    ignored: Mapping[str, Refused] = field(repr=False)  #: entries without effect, by digest
    memory: Memory = field(repr=False)
    listed: Mapping[str, Listed] = field(repr=False)  #: every entry, by digest
    by_role: Mapping[tuple[str, str], tuple[Key, ...]] = field(repr=False)  #: keys of (member, role)
    closings: Mapping[str, Closing] = field(repr=False)  #: logs that have ended, by origin

    @property
    def version(self) -> int:
        return self.head.version

    def age(self, now: float) -> float:
        """Seconds since the head was issued: how old news can be that this node has not heard."""
        return max(0.0, now - self.head.issued_at)

    def refusal(self, now: float) -> Refused | None:
        """Say why nothing can be decided from this directory any more."""
        if now >= self.head.expires_at or now >= self.root.expires_at:
            return Refused("exchange.directory_expired", "this node's directory has expired")
        return None

    def caller_key(self, key_id: str, consumer: str, now: float) -> PublicKey | Refused:
        """The key that a call of `consumer` must be signed with. Strangers learn nothing of who exists."""
        return self._online_key(key_id, consumer, now)

    def answer_key(self, key_id: str, node: str, now: float) -> PublicKey | Refused:
        """The key that an answer of `node` must be signed with."""
        listed = self.nodes.get(node)
        return UNKNOWN_KEY if listed is None else self._online_key(key_id, listed.member, now)

    def _online_key(self, key_id: str, code: str, now: float) -> PublicKey | Refused:
        key, member = self.keys.get(key_id), self.members.get(code)
        if key is None or member is None or key.member != code or key.role != "online" or not member.stands(now):
            return UNKNOWN_KEY
        return key.refusal(now) or key.public

    def keys_in_force(self, member: str, role: str, now: float) -> tuple[PublicKey, ...]:
        """A member's keys of one role that count at `now`: `ticket` for tickets, `approval` for approvals."""
        holder = self.members.get(member)
        if holder is None or not holder.stands(now):
            return ()
        return tuple(key.public for key in self.by_role.get((member, role), ()) if not key.refusal(now))

    def origins(self) -> list[str]:
        """Names of the city's logs: the nodes' and the hub's."""
        return [self.root.log_origin, *(node.origin for node in self.nodes.values())]

    def log_keys(self, origin: str, now: float) -> tuple[PublicKey, ...] | None:
        """Keys that may sign a head of the log `origin` at `now`; None: no log of this city, or one that has ended."""
        if origin == self.root.log_origin:
            return self.root.roles["log"]
        if origin in self.closings or all(node.origin != origin for node in self.nodes.values()):
            return None
        return self.keys_in_force(origin.partition("/")[0], "online", now)

    def every_log_key(self, origin: str) -> tuple[PublicKey, ...]:
        """Keys that may sign a head of the log `origin`, or ever might: the ended and the revoked too."""
        hub = self.root.roles["log"] if origin == self.root.log_origin else ()
        return (*hub, *(key.public for key in self.by_role.get((origin.partition("/")[0], "online"), ())))

    def key_ends_at(self, key_id: str) -> float:
        """Seconds since 1970 at which a listed key stops counting: its own end, its revocation or its member's end."""
        key = self.keys[key_id]
        ends = (key.until, key.revoked_at, self.members[key.member].until)
        return min(end for end in ends if end is not None)


UNKNOWN_KEY: Final = Refused("exchange.unknown_key", "the directory has no such key for this member")

_HEAD: Final[shape.Shape] = {
    "kind": shape.exactly("head"),
    "city": shape.is_text(80),
    "version": shape.integer(1, 10**12),
    "previous": shape.is_digest,
    "root": shape.is_digest,
    "entries": shape.is_digest,
    "count": shape.integer(0, 10**7),
    "issued_at": shape.is_stamp,
    "expires_at": shape.is_stamp,
}
_base64_of_32: Final = shape.is_public
_LOG: Final[shape.Shape] = {
    "origin": shape.is_text(200),
    "index": shape.integer(0, 2**53),
    "size": shape.integer(1, 2**53),
    "proof": shape.list_of(_base64_of_32, 0, 64),
    "checkpoint": lambda value: isinstance(value, str),
    "cosignatures": shape.list_of(lambda value: isinstance(value, str), 0, 64),
}
_is_any: Final = lambda value: True  # noqa: E731
_WHOLE: Final[shape.Shape] = {
    "roots": shape.list_of(_is_any, 0, 1000),
    "root": _is_any,
    "head": _is_any,
    "log": shape.fields(_LOG),
    "entries": shape.list_of(_is_any, 0, 10**7),
}


def adopt(current: Directory | Memory | None, raw: bytes, pinned_root: str, now: float) -> Directory | Refused:
    """Judge the published directory `raw` against the one in force; `pinned_root` is from the node's own file.

    A node that starts again has none in force: `current` is then what it remembers of the last one, if anything.
    Entries that stood in `current` are not verified again.
    """
    before = current if isinstance(current, Directory) else None
    memory = current.memory if isinstance(current, Directory) else current or Memory()
    try:
        whole = orjson.loads(raw)
        if refused := shape.malformed(whole, _WHOLE, "exchange.directory_malformed", "the directory"):
            return refused
        roots = [statement.from_json(one) for one in (*whole["roots"], whole["root"])]
        head = statement.from_json(whole["head"])
    except (orjson.JSONDecodeError, canonical.NotCanonical):
        return Refused("exchange.directory_malformed", "the directory is not JSON of signed statements")
    trusted = root.newest(roots, memory.root or pinned_root, now)
    if isinstance(trusted, Refused):
        return trusted
    found = _head(trusted, head, now)
    if isinstance(found, Refused):
        return found
    if refused := _order(found, memory, before) or _logged(trusted, found, whole["log"], memory):
        return refused
    listed = _listed(whole["entries"], found, before)
    if isinstance(listed, Refused):
        return listed
    built = _built(trusted, found, whole["log"]["size"], listed, before, memory)
    return _unwitnessed(built, memory) or built


def _unwitnessed(built: Directory, last: Memory) -> Refused | None:
    """Only the root says who watches the logs. A hub that leaves the entry out would watch itself."""
    if "witnessing" in last.versions and built.witnessing is None:
        return Refused(
            "exchange.directory_rolled_back", "the directory names no witnesses any more; the root may name 0"
        )
    return None


def _head(trusted: Root, signed: Statement, now: float) -> Head | Refused:
    body = dict(signed.body)
    if refused := shape.malformed(body, _HEAD, "exchange.directory_malformed", "the head"):
        return refused
    if (body["city"], body["root"]) != (trusted.city, trusted.digest):
        return Refused("exchange.directory_foreign", "the head was signed for another root")
    if not signed.signed_by(trusted.roles["timestamp"]):
        return Refused("exchange.head_unsigned", "no timestamp key has signed the head")
    issued_at, expires_at = shape.seconds(body["issued_at"]), shape.seconds(body["expires_at"])
    if not 0 < expires_at - issued_at <= LONGEST_LIFE:
        return Refused("exchange.directory_malformed", "the head is valid for longer than 72 hours")
    if now >= expires_at:
        return Refused("exchange.directory_expired", "the directory has expired")
    if issued_at > now + AHEAD:
        return Refused("exchange.directory_ahead", "the head was issued after this node's present time")
    return Head(
        body["version"], body["previous"], body["entries"], body["count"], issued_at, expires_at, signed.digest()
    )


def _order(new: Head, last: Memory, in_force: Directory | None) -> Refused | None:
    if not last.version:
        return None
    if new.digest == last.head:
        # To a node that starts again, the directory it had is news.
        return Refused("exchange.directory_unchanged", "this directory is in force already") if in_force else None
    if new.version < last.version:
        return Refused("exchange.directory_rolled_back", "the directory is older than the one in force")
    if new.version == last.version:
        return Refused("exchange.directory_forked", "two different directories have the same version")
    if new.version == last.version + 1 and new.previous != last.head:
        return Refused("exchange.directory_forked", "the directory does not follow the one in force")
    if new.issued_at < last.issued_at:
        return Refused("exchange.directory_rolled_back", "the directory was issued before the one in force")
    return None


def leaf(head_digest: str, version: int) -> bytes:
    """What must lie in the hub's log for a head to be adopted."""
    return entry.make({"kind": "directory", "body": {"digest": head_digest, "version": version}}, None, b"")[0]


def _logged(trusted: Root, head: Head, log: Mapping[str, Any], last: Memory) -> Refused | None:
    if log["origin"] != trusted.log_origin:
        return Refused("exchange.directory_unlogged", "the proof is from another log than the root names")
    try:
        noted = checkpoint.verify(log["checkpoint"].encode(), trusted.log_origin, trusted.roles["log"])
    except (checkpoint.CheckpointInvalid, UnicodeEncodeError):
        return Refused("exchange.directory_unlogged", "the hub's log has not signed the checkpoint")
    proof = [base64.b64decode(text) for text in log["proof"]]
    held = tree.leaf_hash(leaf(head.digest, head.version))
    if noted.size != log["size"] or not tree.verify_inclusion(held, log["index"], noted.size, proof, noted.root):
        return Refused("exchange.directory_unlogged", "the head does not lie in the hub's log")
    if noted.size < last.log_size:
        return Refused("exchange.directory_rolled_back", "the hub's log is shorter than it was")
    return None


def _listed(entries: list[Any], head: Head, current: Directory | None) -> dict[str, Listed] | Refused:
    before = current.listed if current else {}
    found: dict[str, Listed] = {}
    for one in entries:
        try:
            signed = statement.from_json(one)
        except canonical.NotCanonical:
            return Refused("exchange.directory_malformed", "an entry is not a signed statement")
        digest = signed.digest()
        known = before.get(digest)
        value, proven = (known.value, known.proven) if known else (listing.read(signed), set())
        found[digest] = Listed(digest, signed, value, proven)
    if len(found) != len(entries) or len(entries) != head.count or entries_root(found) != head.entries:
        return Refused("exchange.directory_altered", "the entries are not those that the head names")
    if has_doubles(found.values()):
        return Refused("exchange.directory_malformed", "two entries have the same kind and id")
    return found


def entries_root(digests: Any) -> str:
    """RFC 9162 root over the sorted entry digests, 32 bytes each; hex."""
    return tree.root_of(bytes.fromhex(digest) for digest in sorted(digests)).hex()


def _built(
    trusted: Root, head: Head, log_size: int, listed: Mapping[str, Listed], before: Directory | None, last: Memory
) -> Directory:
    tables = judge(trusted, [*listed.values()], last)
    by_role: dict[tuple[str, str], tuple[Key, ...]] = {}
    for key in tables.keys.values():
        by_role[key.member, key.role] = (*by_role.get((key.member, key.role), ()), key)
    memory = _remembered(tables, last, _withdrawn(before, listed, last, head.issued_at), head, trusted, log_size)
    return Directory(
        trusted, head, tables.members, tables.keys, tables.nodes, tables.resources, tables.rules,
        tables.grants, tables.witnessing.get("witnessing"), tables.ignored, memory, listed, by_role, tables.closings,
    )  # fmt: skip


def _remembered(
    tables: Tables, last: Memory, withdrawn: Mapping[str, int], head: Head, trusted: Root, log_size: int
) -> Memory:
    revoked = {key.id: key.revoked_at for key in tables.keys.values() if key.revoked_at is not None}
    resources = {one.id: one.version for one in tables.resources.values()}
    rules = {one.id: one.version for one in tables.rules.values()}
    witnessing = {one.id: one.version for one in tables.witnessing.values()}
    return Memory(
        {**last.revoked, **revoked}, {**last.versions, **resources, **rules, **witnessing}, withdrawn,
        head.version, head.digest, head.issued_at, trusted.digest, log_size,
    )  # fmt: skip


def _withdrawn(
    before: Directory | None, listed: Mapping[str, Listed], last: Memory, issued_at: int
) -> Mapping[str, int]:
    """Grants that were in force and are not listed any more, each until it would have ended by itself."""
    still = {one.value.id for one in listed.values() if isinstance(one.value, Grant)}
    gone = {id: grant.expires_at for id, grant in before.grants.items() if id not in still} if before else {}
    return {id: until for id, until in {**last.withdrawn, **gone}.items() if until > issued_at}
