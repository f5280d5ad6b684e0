"""The data bureau's folder: its keys, the entries it lists, and the directory it publishes.

    keys/       root-1…3 (off line in earnest), hub, timestamp, log
    root.json   the signed root;  entries/  one signed statement a file
    log/        the hub's log;    public/directory.json  what nodes pull

An entry comes here already signed by whoever is responsible for it; a grant gets the hub's signature beside the
provider's. Publishing changes one file by renaming: a node pulls the old directory or the new one.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tongban.exchange import directory, listing, publish, root
from tongban.exchange.root import Root
from tongban.kit import statement
from tongban.kit.clock import Clock, stamp
from tongban.kit.durable import write_durably
from tongban.kit.errors import Corrupt, Invalid, Refused
from tongban.kit.keys import SigningKey, new_key, read_key
from tongban.kit.statement import Statement
from tongban.tlog.log import Draft, Log

_ROLES = ("hub", "timestamp", "log")
ROOT_KEYS, THRESHOLD = 3, 2
ROOT_YEARS = 5


class BureauExists(Invalid):
    """A folder that already holds a bureau."""

    code = "exchange.bureau_exists"
    message = "{folder} already holds a city's directory."
    remedy = "Take another folder; keys are never overwritten."


class BureauInvalid(Corrupt):
    """A bureau's folder that cannot be read."""

    code = "exchange.bureau_invalid"
    message = "The directory folder {folder} cannot be used: {what}."
    remedy = "Restore the file from the bureau's copy; nodes go on with the directory they have."


class GrantWithdrawn(Invalid):
    """A grant that was struck is to be listed again."""

    code = "exchange.grant_listed_again"
    message = "Grant {id} was withdrawn before; nodes that have seen that would not give it effect again."
    remedy = "Have the provider sign a new grant, under a new id."


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published: the head's version and digest, and where it stands in the hub's log."""

    version: int
    digest: str
    entry: int
    entries: int


class Bureau:
    """One city's directory, as its bureau keeps it."""

    def __init__(self, folder: Path, clock: Clock, pass_phrase: str | None = None) -> None:
        """Open an existing folder. Raises BureauInvalid, KeyFileInvalid."""
        self.folder, self._clock = folder, clock
        self._keys = {role: read_key(folder / "keys" / f"{role}.json", pass_phrase) for role in _ROLES}
        self.root_statement = self._statement(folder / "root.json")
        read = root.from_statement(self.root_statement)
        if isinstance(read, Refused):
            raise BureauInvalid(folder=folder.name, what=read.reason)
        self.root: Root = read

    @classmethod
    def create(cls, folder: Path, city: str, code: str, clock: Clock, pass_phrase: str | None = None) -> "Bureau":
        """Make keys and the first root for the member `code`, the bureau itself. Raises BureauExists.

        root.json comes last: without it there is no bureau, and what a call that was cut off has made is taken up.
        """
        if (folder / "root.json").exists():
            raise BureauExists(folder=folder)
        keys = folder / "keys"
        roots = [_kept(keys / f"root-{n}.json", f"{code}.root.{n}", pass_phrase) for n in range(1, ROOT_KEYS + 1)]
        roles = {role: _kept(keys / f"{role}.json", f"{code}.{role}.1", pass_phrase) for role in _ROLES}
        origin, now = f"{code}/hub", clock.seconds()
        body = publish.compose_root(
            city=city,
            version=1,
            threshold=THRESHOLD,
            keys=[key.public for key in roots],
            roles={role: [key.public] for role, key in roles.items()},
            log_origin=origin,
            issued_at=now,
            expires_at=now + ROOT_YEARS * 365 * 86_400,
        )
        if not (folder / "log" / "log.json").exists():
            Log.create(folder / "log", origin, roles["log"], clock).close()
        _write(folder / "root.json", orjson.dumps(statement.sign(body, *roots).to_json()))
        return cls(folder, clock, pass_phrase)

    @property
    def public(self) -> Path:
        """The published directory."""
        return self.folder / "public" / "directory.json"

    def root_keys(self, pass_phrase: str | None = None) -> list[SigningKey]:
        """Offline keys that are here: in the demonstration all three, in earnest none."""
        found = sorted((self.folder / "keys").glob("root-*.json"))
        return [read_key(path, pass_phrase) for path in found]

    def countersign(self, grant: Statement) -> Statement:
        """A grant that the provider signed, with the hub's signature beside it."""
        return grant.also_by(self._keys["hub"])

    # --- entries --------------------------------------------------------------------------------------

    def put(self, *entries: Statement) -> None:
        """List entries; one with the same kind and id is replaced. Nothing is public before `publish`.

        Raises GrantWithdrawn; then none of them is listed.
        """
        self._check_withdrawn(entries)
        for entry in entries:
            _write(self._place(entry.kind, id_of(entry)), orjson.dumps(entry.to_json()))

    def remove(self, kind: str, id: str) -> bool:
        """Strike an entry, keeping a copy in `struck/`; False if there was none.

        A grant that is struck is withdrawn at the next publication.
        """
        place = self._place(kind, id)
        if not place.exists():
            return False
        aside = self.folder / "struck" / place.name
        aside.parent.mkdir(exist_ok=True)
        # What a department signed is not ours to throw away.
        place.replace(aside)
        return True

    def _check_withdrawn(self, entries: Iterable[Statement]) -> None:
        """A node would ignore it, so it would be a grant to some nodes only. Raises GrantWithdrawn."""
        for entry in entries:
            if entry.kind == "grant" and (self.folder / "struck" / self._place("grant", id_of(entry)).name).exists():
                raise GrantWithdrawn(id=id_of(entry))

    def listed(self, kind: str, id: str) -> Statement | None:
        """The entry with that kind and id, None if there is none."""
        place = self._place(kind, id)
        return self._statement(place) if place.exists() else None

    def was_struck(self, kind: str, id: str) -> bool:
        """Whether such an entry was taken out and not listed again."""
        place = self._place(kind, id)
        return not place.exists() and (self.folder / "struck" / place.name).exists()

    def entries(self) -> Iterator[Statement]:
        for path in sorted((self.folder / "entries").glob("*.json")):
            yield self._statement(path)

    def without_effect(self) -> dict[str, Refused]:
        """Listed entries that no node would give effect, by "kind id", with the reason."""
        entries = {entry.digest(): entry for entry in self.entries()}
        ignored = publish.without_effect(self.root, entries.values())
        return {f"{entries[digest].kind} {id_of(entries[digest])}": why for digest, why in ignored.items()}

    # --- publication ----------------------------------------------------------------------------------

    def publish(self) -> Publication:
        """Sign a head over the entries, log it, and put the whole in the nodes' place.

        Raises
            EntryInvalid: an entry would have no effect at any node; nothing is published.
            GrantWithdrawn: a grant that was struck lies among the entries again; nothing is published.
            LogInUse: another publication is under way.
            BureauInvalid: a file of the folder cannot be read.
        """
        # Whoever holds the log is alone: two that publish at once would make two heads of one version.
        log = Log.open(self.folder / "log", self.root.log_origin, self._keys["log"], self._clock)
        try:
            entries = list(self.entries())
            self._check_withdrawn(entries)
            head = self._head(entries)
            proof, index = self._logged(log, entries, head)
        finally:
            log.close()
        _write(self.public, publish.published([], self.root_statement, head, proof, entries))
        return Publication(int(head.body["version"]), head.digest(), index, len(entries))

    def _head(self, entries: list[Statement]) -> Statement:
        before = self._published_head()
        published = int(before.body["version"]) if before else 0
        # A publication that was cut off after its head was logged has used its version up.
        drafted = self._json("drafted.json", {"version": 0})["version"]
        head = publish.draft(
            self.root,
            entries,
            version=max(published, drafted) + 1,
            previous=before.digest() if before else directory.FIRST,
            issued_at=self._clock.seconds(),
            key=self._keys["timestamp"],
        )
        _write(self.folder / "drafted.json", orjson.dumps({"version": head.body["version"]}))
        return head

    def _logged(self, log: Log, entries: list[Statement], head: Statement) -> tuple[dict[str, Any], int]:
        body = {"digest": head.digest(), "version": head.body["version"]}
        granted = {entry.digest(): entry for entry in entries if entry.kind == "grant"}
        keys = {id_of(entry): entry.body for entry in entries if entry.kind == "key"}
        drafts = [*self._changes(granted), *self._key_changes(keys), Draft({"kind": "directory", "body": body})]
        index = log.append_many(drafts)[-1].index
        # Only now: a grant counts as logged when it is.
        _write(self.folder / "granted.json", orjson.dumps(sorted(granted)))
        _write(self.folder / "keyed.json", orjson.dumps({id: body["revoked_at"] for id, body in keys.items()}))
        size, origin, checkpoint = log.tree.size, self.root.log_origin, log.checkpoint()
        proof = log.tree.inclusion_proof(index, size)
        return publish.log_proof(origin=origin, index=index, size=size, proof=proof, checkpoint=checkpoint), index

    def _changes(self, granted: dict[str, Statement]) -> list[Draft]:
        """One entry of the log for each grant that was not published before, or no longer is."""
        known = set(self._json("granted.json", []))
        new = [
            {"grant": one.body["id"], "digest": digest, "signed_by": sorted(one.signatures)}
            for digest, one in granted.items()
            if digest not in known
        ]
        withdrawn = [{"grant": "", "digest": digest, "signed_by": []} for digest in sorted(known - set(granted))]
        return [Draft({"kind": "grant", "body": body}) for body in [*new, *withdrawn]]

    def _key_changes(self, keys: Mapping[str, Mapping[str, Any]]) -> list[Draft]:
        """One entry of the log for each key that began, was revoked or is no longer listed: a key's history."""
        known: dict[str, str | None] = self._json("keyed.json", {})
        told = [(id, body["from"], "begun") for id, body in keys.items() if id not in known]
        for id, body in keys.items():
            if body["revoked_at"] is not None and known.get(id) != body["revoked_at"]:
                told.append((id, body["revoked_at"], "revoked"))
        now = stamp(self._clock.seconds())
        told += [(id, now, "ended") for id in known if id not in keys]
        return [Draft({"kind": "key", "body": _key_change(id, at, change)}) for id, at, change in sorted(told)]

    def _published_head(self) -> Statement | None:
        if not self.public.exists():
            return None
        try:
            return statement.from_json(orjson.loads(self.public.read_bytes())["head"])
        except (OSError, ValueError, KeyError, Invalid) as error:
            raise BureauInvalid(folder=self.folder.name, what=f"{self.public.name}: {type(error).__name__}") from None

    def _json(self, name: str, missing: Any) -> Any:
        path = self.folder / name
        try:
            return orjson.loads(path.read_bytes()) if path.exists() else missing
        except (OSError, ValueError) as error:
            raise BureauInvalid(folder=self.folder.name, what=f"{name}: {type(error).__name__}") from None

    def _place(self, kind: str, id: str) -> Path:
        # Names of entries hold slashes; a digest of the name makes a file name of it.
        return self.folder / "entries" / f"{kind}-{hashlib.sha256(id.encode()).hexdigest()[:24]}.json"

    def _statement(self, path: Path) -> Statement:
        try:
            return statement.from_json(orjson.loads(path.read_bytes()))
        except (OSError, ValueError, Invalid) as error:
            raise BureauInvalid(folder=self.folder.name, what=f"{path.name}: {type(error).__name__}") from None


def id_of(entry: Statement) -> str:
    """A member's code; of who witnesses there is one entry; else the entry's id."""
    if entry.kind == "witnessing":
        return entry.kind
    return str(entry.body["code"] if entry.kind == "member" else entry.body["id"])


def _key_change(id: str, at: str, change: str) -> dict[str, str]:
    member, role, _ = id.rsplit(".", 2)
    return {"key": id, "member": member, "role": role, "change": change, "at": at}


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, data)


class Office:
    """A member's own keys that are not at its node: the offline root and the approval key."""

    def __init__(self, folder: Path, code: str, pass_phrase: str | None = None) -> None:
        """Open the folder, making the keys that are missing."""
        self.code = code
        self.root = _kept(folder / "root.json", f"{code}.root.1", pass_phrase)
        self.approval = _kept(folder / "approval.json", f"{code}.approval.1", pass_phrase)

    def key_entry(self, key: SigningKey, role: str, since: str, until: str, revoked_at: str | None = None) -> Statement:
        """A key of this member, vouched for by its root."""
        public = base64.b64encode(key.public.public).decode()
        body = listing.compose(
            "key",
            id=key.id,
            member=self.code,
            role=role,
            public=public,
            algorithm=key.algorithm,
            since=since,
            until=until,
            revoked_at=revoked_at,
        )
        return statement.sign(body, self.root)

    def approve(self, body: dict[str, Any]) -> Statement:
        """A resource, rule or grant of this member, signed with the approval key."""
        return statement.sign(body, self.approval)


def _kept(path: Path, id: str, pass_phrase: str | None) -> SigningKey:
    if not path.exists():
        new_key(id).write(path, pass_phrase)
    return read_key(path, pass_phrase)
