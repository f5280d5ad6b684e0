"""What the bureau's commands do: look into a directory, strike, revoke, publish."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongban.cli import keyring
from tongban.cli.node_keys import EntryUnreadable, read_entry
from tongban.exchange import listing
from tongban.exchange.bureau import Bureau, BureauInvalid, Publication, id_of
from tongban.exchange.directory import Directory
from tongban.exchange.listing import Key, Resource, Rule
from tongban.identity.identifiers import Domain, judge
from tongban.kit import statement
from tongban.kit.clock import MachineClock, stamp, unstamp
from tongban.kit.errors import Invalid, Refused
from tongban.kit.keys import read_key
from tongban.kit.statement import Statement


class NoBureau(Invalid):
    code = "cli.no_bureau"
    message = "There is no bureau's folder in {folder}."
    remedy = "Name the folder that holds root.json and keys/, or make one with `./tongban directory init`."


class NotPublished(Invalid):
    code = "cli.not_published"
    message = "The bureau in {folder} has published no directory yet."
    remedy = "List its entries, then `./tongban directory publish {folder}`."


class NoSuchEntry(Invalid):
    code = "cli.no_such_entry"
    message = "The directory in {folder} lists no {kind} {id}."
    remedy = "See `./tongban directory {verb} {folder}` for what it lists."


class OfficeForeign(Invalid):
    code = "cli.office_foreign"
    message = "The office in {folder} cannot revoke keys of {member}: {what}."
    remedy = "Name with --office the folder that holds the member's own root.json."


class TimeUnreadable(Invalid):
    code = "cli.time_unreadable"
    message = "{given!r} is no instant in UTC with whole seconds that has come."
    remedy = "Write it as 2026-11-24T08:00:00Z."


class NotACreditCode(Invalid):
    code = "cli.not_a_credit_code"
    message = "{given!r} is no unified social credit code: {why}."
    remedy = "Give the 18 characters of GB 32100 as the bureau's certificate shows them."


# --- opening --------------------------------------------------------------------------------------


def init(folder: Path, city: str, member: str, pass_phrase: str | None) -> Bureau:
    """Make a bureau's folder. Raises NotACreditCode, BureauExists."""
    # Before any key is written: a folder with keys and no root could neither be used nor made again.
    if isinstance(why := judge(Domain.CREDIT_CODE, member), Refused) or why != member:
        raise NotACreditCode(given=member, why=why.reason if isinstance(why, Refused) else "it is spelled otherwise")
    return Bureau.create(folder, city, member, MachineClock(), pass_phrase)


def opened(folder: Path, pass_phrase: str | None) -> Bureau:
    """Raises NoBureau, BureauInvalid, KeyFileInvalid."""
    if not (folder / "root.json").is_file():
        raise NoBureau(folder=folder)
    return Bureau(folder, MachineClock(), pass_phrase)


# --- looking --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """A published directory, and beside it what the bureau's own folder holds, where it is at hand."""

    directory: Directory
    now: float
    without_effect: dict[str, Refused]
    unpublished: int | None  #: entries that differ between the folder and what was published; None: not known


def shown(place: Path, root: str, pass_phrase: str | None) -> Shown:
    """From a bureau's folder, or from a directory.json. Raises NoBureau, NotPublished, DirectoryUnusable."""
    now = MachineClock().seconds()
    if place.is_file():
        found = keyring.read(place, root)
        named = {_name(found.listed[digest].statement): why for digest, why in found.ignored.items()}
        return Shown(found, now, named, None)
    bureau = opened(place, pass_phrase)
    if not bureau.public.is_file():
        raise NotPublished(folder=place)
    found = keyring.read(bureau.public, root or bureau.root.digest)
    held = {entry.digest() for entry in bureau.entries()}
    return Shown(found, now, bureau.without_effect(), len(held ^ set(found.listed)))


def told(one: Shown) -> dict[str, Any]:
    """What `show` says, ready for JSON."""
    found, now = one.directory, one.now
    refused = found.refusal(now)
    waiting = {} if one.unpublished is None else {"not_yet_published": one.unpublished}
    return {
        "city": found.root.city,
        "root": found.root.digest,
        "version": found.version,
        "issued": stamp(found.head.issued_at),
        "expires": stamp(found.head.expires_at),
        "age_seconds": int(found.age(now)),
        "in_force": refused is None,
        "log": found.root.log_origin,
        **waiting,
        "members": _members(found, now),
        "keys": [_key(key, now) for key in sorted(found.keys.values(), key=lambda key: key.id)],
        "resources": [_resource(each) for each in _sorted(found.resources)],
        "rules": [_rule(rule) for rule in _sorted(found.rules)],
        "grants": [_grant(found, grant, now) for grant in _sorted(found.grants)],
        "without_effect": [
            {"entry": name, "code": why.code, "why": why.reason} for name, why in sorted(one.without_effect.items())
        ],
    }  # fmt: skip


def _sorted(table: Any) -> list[Any]:
    return [table[id] for id in sorted(table)]


def _members(found: Directory, now: float) -> list[dict[str, Any]]:
    nodes: dict[str, list[str]] = {}
    for node in _sorted(found.nodes):
        nodes.setdefault(node.member, []).append(f"{node.id} {node.address}")
    said = {True: "yes", False: "no"}
    return [
        {"member": one.code, "name": one.name, "stands": said[one.stands(now)], "nodes": nodes.get(one.code, [])}
        for one in _sorted(found.members)
    ]


def _key(key: Key, now: float) -> dict[str, Any]:
    if key.revoked_at is not None:
        state = f"revoked as of {stamp(key.revoked_at)}"
    else:
        state = "out of its time" if key.refusal(now) else "in force"
    return {"key": key.id, "from": stamp(key.since), "until": stamp(key.until), "state": state}


def _resource(one: Resource) -> dict[str, Any]:
    return {"resource": one.id, "version": one.version, "node": one.node, "title": one.title}


def _rule(rule: Rule) -> dict[str, Any]:
    return {"rule": rule.id, "version": rule.version, "resource": rule.resource, "digest": rule.digest[:16]}


def _grant(found: Directory, grant: Any, now: float) -> dict[str, Any]:
    state = "in force" if now >= grant.not_before else "not yet"
    state = "expired" if now >= grant.expires_at else state
    names = {code: member.name for code, member in found.members.items()}
    quota = f"{grant.quota.calls} calls, {grant.quota.persons} persons in {grant.quota.window_seconds} s"
    return {
        "grant": grant.id,
        "consumer": names.get(grant.consumer, grant.consumer),
        "provider": names.get(grant.provider, grant.provider),
        "call": grant.call,
        "of": grant.rule or grant.resource,
        "fields": sorted(grant.fields),
        "purpose": grant.purpose,
        "until": stamp(grant.expires_at),
        "state": state,
        "not_before": stamp(grant.not_before),
        "basis": grant.basis,
        "quota": quota,
        "rule_digest": grant.rule_digest,
        "max_directory_age": grant.max_directory_age,
    }


def _name(entry: Statement) -> str:
    return f"{entry.body.get('kind')} {entry.body.get('id', entry.body.get('code', ''))}"


# --- changing -------------------------------------------------------------------------------------


def list_entries(
    folder: Path, files: Sequence[Path], pass_phrase: str | None, *, countersign: bool = False, instead_of: str = ""
) -> list[str]:
    """List signed entries; the name of each. Raises NoBureau, EntryUnreadable, GrantWithdrawn: then none is listed.

    countersign: put the hub's signature under grants. instead_of: a node that is struck, with the grants that name it.
    """
    bureau, entries = opened(folder, pass_phrase), [read_entry(file) for file in files]
    for file, entry in zip(files, entries, strict=True):
        if isinstance(refused := listing.read(entry), Refused):
            raise EntryUnreadable(path=file, what=refused.reason)
    bureau.put(*(bureau.countersign(one) if countersign and one.kind == "grant" else one for one in entries))
    if instead_of:
        _strike(bureau, [one for one in bureau.entries() if _stands_on(one, instead_of)])
    return [_name(entry) for entry in entries]


def _stands_on(entry: Statement, node: str) -> bool:
    body = entry.body
    return (entry.kind == "node" and body["id"] == node) or (entry.kind == "grant" and body["node"] == node)


def withdraw(folder: Path, grant: str, pass_phrase: str | None) -> Publication:
    """Strike a grant and publish. Raises NoSuchEntry, EntryInvalid (then it is struck and not yet published)."""
    bureau = opened(folder, pass_phrase)
    entry = _find(bureau, "grant", grant)
    if entry is None:
        raise NoSuchEntry(folder=folder, kind="grant", id=grant, verb="grants")
    _strike(bureau, [entry])
    return bureau.publish()


@dataclass(frozen=True, slots=True)
class Revoked:
    publication: Publication
    revoked_at: str
    struck: tuple[str, ...]  #: entries without effect


def revoke(folder: Path, key: str, office: Path, at: str | None, pass_phrase: str | None) -> Revoked:
    """Have the member's root say that the key is dead from an instant on, and publish.

    What the key had signed has no effect at any node any more. It is struck, for a directory with such an entry is
    not published, and the revocation must not wait.

    Raises
        NoSuchEntry, OfficeForeign, TimeUnreadable, KeyFileInvalid
    """
    bureau = opened(folder, pass_phrase)
    entry = _find(bureau, "key", key)
    if entry is None:
        raise NoSuchEntry(folder=folder, kind="key", id=key, verb="show")
    revoked_at = _instant(at)
    # Revoking later than before would bring a dead key back for a while; nodes refuse that.
    if entry.body["revoked_at"] is not None:
        revoked_at = min(revoked_at, entry.body["revoked_at"])
    bureau.put(_signed(bureau, entry, {"revoked_at": revoked_at}, office, pass_phrase))
    struck = _strike_useless(bureau)
    return Revoked(bureau.publish(), revoked_at, struck)


def _instant(given: str | None) -> str:
    now = MachineClock().seconds()
    if given is None:
        return stamp(now)
    try:
        if unstamp(given) > now:
            raise ValueError
    except ValueError:
        raise TimeUnreadable(given=given) from None
    return given


def _signed(
    bureau: Bureau, entry: Statement, change: dict[str, Any], office: Path, pass_phrase: str | None
) -> Statement:
    """The entry with another fact in it, signed by the root of the member it belongs to."""
    member = str(entry.body["member"])
    if not (office / "root.json").is_file():
        raise OfficeForeign(folder=office, member=member, what="it holds no root.json")
    root = read_key(office / "root.json", pass_phrase)
    listed = _find(bureau, "member", member)
    value = listing.read(listed) if listed else None
    if not isinstance(value, listing.Member) or value.root.public != root.public.public:
        raise OfficeForeign(folder=office, member=member, what="its root is not the one that the directory lists")
    body = {**entry.body, **change}
    if isinstance(refused := listing.read(Statement(body, {})), Refused):
        raise BureauInvalid(folder=bureau.folder.name, what=refused.reason)
    return statement.sign(body, root)


def _strike_useless(bureau: Bureau) -> tuple[str, ...]:
    """Strike what has no effect, and what then stands on nothing either."""
    struck: list[str] = []
    while lost := sorted(bureau.without_effect()):
        gone = [entry for entry in bureau.entries() if _name(entry) in lost]
        _strike(bureau, gone)
        struck += lost
    return tuple(struck)


def _strike(bureau: Bureau, entries: Iterable[Statement]) -> None:
    """Take entries out; the bureau keeps copies."""
    for entry in entries:
        bureau.remove(entry.kind, id_of(entry))


def _find(bureau: Bureau, kind: str, id: str) -> Statement | None:
    return next((entry for entry in bureau.entries() if _name(entry) == f"{kind} {id}"), None)
