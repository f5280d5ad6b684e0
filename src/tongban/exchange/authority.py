"""Who must have signed what, for an entry of a directory to have any effect.

An entry can only give: a member, a key, a grant. So one whose signers have no authority is treated
as if it were not there, and the rest of the directory is adopted. Refusing the whole directory
instead would let one department's revoked key keep forty others from hearing of a revocation.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tongban.exchange.grant import Grant
from tongban.exchange.listing import Closing, Entry, Key, Member, Node, Resource, Rule, Witnessing
from tongban.exchange.root import Root
from tongban.kit.errors import Refused
from tongban.kit.keys import PublicKey
from tongban.kit.statement import Statement

_UNSIGNED: Final = Refused("exchange.entry_unsigned", "whoever must sign the entry has not, or with a revoked key")
_DANGLING: Final = Refused("exchange.entry_dangling", "the entry names a member, node or resource that is not listed")
_SHARED: Final = Refused("exchange.key_shared", "another key has the same public part")
_ROLLED_BACK: Final = Refused("exchange.entry_rolled_back", "an older version than the one adopted before")
_UNREVOKED: Final = Refused("exchange.key_unrevoked", "the key was revoked before and cannot come back")
_WITHDRAWN: Final = Refused("exchange.grant_withdrawn", "the grant was withdrawn before and cannot come back")


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry as it stands in the directory."""

    digest: str
    statement: Statement = field(repr=False)
    value: Entry | Refused  #: Refused: no entry that this version can read
    #: Keys whose signature was found good. True for ever, so the next directory need not check again.
    proven: set[PublicKey] = field(default_factory=set, repr=False)

    def signed_by(self, keys: Iterable[PublicKey]) -> list[PublicKey]:
        fresh = [key for key in keys if key not in self.proven and key.id in self.statement.signatures]
        if fresh:
            good = self.statement.signed_by(fresh)
            self.proven.update(key for key in fresh if key.id in good)
        return [key for key in keys if key in self.proven]


@dataclass(slots=True)
class Tables:
    """What has effect, by id, and what has none and why."""

    members: dict[str, Member] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    witnessing: dict[str, Witnessing] = field(default_factory=dict)  #: one, or none
    closings: dict[str, Closing] = field(default_factory=dict)
    ignored: dict[str, Refused] = field(default_factory=dict)  #: by entry digest


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier directories said that no later one can take back."""

    revoked: Mapping[str, int] = field(default_factory=dict)  #: key id: since when
    versions: Mapping[str, int] = field(default_factory=dict)  #: resource, rule or witnessing: greatest version
    withdrawn: Mapping[str, int] = field(default_factory=dict)  #: grant id: when it would have expired anyway
    version: int = 0  #: of the newest head adopted; 0: none was
    head: str = ""  #: its digest
    issued_at: int = 0
    root: str = ""  #: digest of the root it stood under
    log_size: int = 0  #: of the hub's log then


def has_doubles(listed: Iterable[Listed]) -> bool:
    """Whether two entries have the same kind and id: which of them counts would depend on the reader."""
    named = [(type(one.value), one.value.id) for one in listed if not isinstance(one.value, Refused)]
    return len(set(named)) != len(named)


def judge(root: Root, listed: Sequence[Listed], memory: Memory) -> Tables:
    """Sort entries into those that have effect and those that have none."""
    tables = Tables(ignored={one.digest: one.value for one in listed if isinstance(one.value, Refused)})
    _of_root(root, listed, Member, tables.members, tables, memory)
    _of_root(root, listed, Witnessing, tables.witnessing, tables, memory)
    _keys(root, listed, tables, memory)
    approval = _approval_keys(tables)
    _of_member_root(listed, Node, tables.nodes, tables)
    _of_member_root(listed, Closing, tables.closings, tables)
    for kind, table in ((Resource, tables.resources), (Rule, tables.rules)):
        for one in listed:
            if isinstance(one.value, kind):
                _put(tables, table, one, _described(one, tables, approval, memory))
    for one in listed:
        if isinstance(one.value, Grant):
            withdrawn = _WITHDRAWN if one.value.id in memory.withdrawn else None
            _put(tables, tables.grants, one, withdrawn or _granted(one, one.value, root, tables, approval))
    return tables


def _put(tables: Tables, table: dict[str, Any], one: Listed, refused: Refused | None) -> None:
    if refused:
        tables.ignored[one.digest] = refused
    elif not isinstance(one.value, Refused):
        table[one.value.id] = one.value


def _signed(one: Listed, keys: Iterable[PublicKey]) -> Refused | None:
    return None if one.signed_by(list(keys)) else _UNSIGNED


def _of_root(
    root: Root, listed: Sequence[Listed], kind: type[Entry], table: dict[str, Any], tables: Tables, memory: Memory
) -> None:
    """Entries that as many root keys must sign as a new root: who is a member, and who watches them all."""
    for one in listed:
        if isinstance(one.value, kind):
            enough = len(one.signed_by(root.keys)) >= root.threshold
            _put(tables, table, one, _older(one.value, memory) if enough else _UNSIGNED)


def _of_member_root(
    listed: Sequence[Listed], kind: type[Node | Closing], table: dict[str, Any], tables: Tables
) -> None:
    """Where a member's node is, and that a log of its has ended: no key that lies at a node may say so."""
    for one in listed:
        if isinstance(one.value, kind):
            member = tables.members.get(one.value.member)
            _put(tables, table, one, _signed(one, (member.root,) if member else ()))


def _older(value: Entry, memory: Memory) -> Refused | None:
    version = getattr(value, "version", None)
    return _ROLLED_BACK if version is not None and version < memory.versions.get(value.id, 0) else None


def _keys(root: Root, listed: Sequence[Listed], tables: Tables, memory: Memory) -> None:
    # A key may be vouched for by an older one, so the older are judged first.
    entries = [(one.value, one) for one in listed if isinstance(one.value, Key)]
    taken = root.publics()
    seen: dict[str, set[bytes]] = {}
    for key, one in sorted(entries, key=lambda entry: (entry[0].since, entry[0].id)):
        # Only among the member's own: else any member could silence another by listing its public key.
        own = seen.setdefault(key.member, set())
        shared = key.public.public in taken | own or _is_member_root(key, tables)
        refused = _SHARED if shared else _unrevoked(key, memory) or _signed(one, _vouchers(key, tables))
        _put(tables, tables.keys, one, refused)
        own.add(key.public.public)


def _is_member_root(key: Key, tables: Tables) -> bool:
    member = tables.members.get(key.member)
    return member is not None and member.root.public == key.public.public


def _vouchers(key: Key, tables: Tables) -> list[PublicKey]:
    """The member's root, or an older key of the same member and role in its own time and never revoked."""
    member = tables.members.get(key.member)
    if member is None:
        return []
    older = [
        other.public
        for other in tables.keys.values()
        if (other.member, other.role, other.revoked_at) == (key.member, key.role, None)
        and other.since < key.since < other.until
    ]
    return [member.root, *older]


def _unrevoked(key: Key, memory: Memory) -> Refused | None:
    since = memory.revoked.get(key.id)
    if since is None or (key.revoked_at is not None and key.revoked_at <= since):
        return None
    return _UNREVOKED


def _approval_keys(tables: Tables) -> dict[str, list[Key]]:
    """Approval keys a member, without the revoked: what a revoked key signed is signed by nobody."""
    found: dict[str, list[Key]] = {}
    for key in tables.keys.values():
        if key.role == "approval" and key.revoked_at is None:
            found.setdefault(key.member, []).append(key)
    return found


def _described(one: Listed, tables: Tables, approval: Mapping[str, Sequence[Key]], memory: Memory) -> Refused | None:
    """A resource or a rule."""
    value = one.value
    assert isinstance(value, Resource | Rule)
    node = tables.nodes.get(value.node)
    resource = tables.resources.get(value.resource) if isinstance(value, Rule) else None
    if node is None or node.member != value.member:
        return _DANGLING
    if isinstance(value, Rule) and (resource is None or resource.member != value.member):
        return _DANGLING
    if refused := _older(value, memory):
        return refused
    return _signed(one, [key.public for key in approval.get(value.member, ())])


def _granted(
    one: Listed, grant: Grant, root: Root, tables: Tables, approval: Mapping[str, Sequence[Key]]
) -> Refused | None:
    """A grant needs the provider's approval key, in its own time, beside a hub key; either alone is nothing."""
    node, resource = tables.nodes.get(grant.node), tables.resources.get(grant.resource)
    if node is None or resource is None or grant.consumer not in tables.members:
        return _DANGLING
    if not (node.member == resource.member == grant.provider and resource.node == grant.node):
        return _DANGLING
    if not grant.fields <= {listed.name for listed in resource.fields}:
        return _DANGLING
    keys = [key.public for key in approval.get(grant.provider, ()) if key.since <= grant.issued_at < key.until]
    if not one.signed_by(keys):
        return Refused("exchange.grant_unsigned_by_provider", "the provider's approval key has not signed this grant")
    if not one.signed_by(root.roles["hub"]):
        return Refused("exchange.grant_unsigned_by_hub", "no hub key has signed this grant")
    return None
