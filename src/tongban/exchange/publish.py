"""Making a directory: the hub's side of `directory.adopt`.

body = compose_root(…);  root = sign(body, three offline keys)
head = draft(root, entries, version=…, previous=…, issued_at=…, key=timestamp key)
append `directory.leaf(head)` to the hub's log, take a checkpoint and a proof
published([], root, head, log_proof(…), entries)
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tongban.exchange import listing, root
from tongban.exchange.authority import Listed, Memory, has_doubles, judge
from tongban.exchange.directory import LONGEST_LIFE, entries_root
from tongban.exchange.listing import EntryInvalid
from tongban.exchange.root import Root
from tongban.kit import canonical, statement
from tongban.kit.clock import stamp
from tongban.kit.errors import Refused
from tongban.kit.keys import PublicKey, SigningKey
from tongban.kit.statement import Statement


def compose_root(
    *,
    city: str,
    version: int,
    threshold: int,
    keys: Iterable[PublicKey],
    roles: Mapping[str, Sequence[PublicKey]],
    log_origin: str,
    issued_at: float,
    expires_at: float,
) -> dict[str, Any]:
    """A root's body, to be signed by the keys it names and, from version 2 on, by those before. Raises EntryInvalid."""
    body = {
        "kind": "root",
        "city": city,
        "version": version,
        "threshold": threshold,
        "keys": _table(keys),
        "roles": {role: [key.id for key in given] for role, given in roles.items()},
        "role_keys": _table(key for given in roles.values() for key in given),
        "log_origin": log_origin,
        "issued_at": stamp(issued_at),
        "expires_at": stamp(expires_at),
    }
    if isinstance(refused := root.from_statement(Statement(body, {})), Refused):
        raise EntryInvalid(what=refused.reason)
    return body


def _table(keys: Iterable[PublicKey]) -> dict[str, str]:
    return {key.id: base64.b64encode(key.public).decode() for key in keys}


def without_effect(trusted: Root, entries: Iterable[Statement]) -> dict[str, Refused]:
    """Entries that no node would give effect, by digest, each with the reason. The hub leaves them out."""
    return judge(trusted, _listed(entries), Memory()).ignored


def _listed(entries: Iterable[Statement]) -> list[Listed]:
    return [Listed(one.digest(), one, listing.read(one)) for one in entries]


def draft(
    trusted: Root,
    entries: Sequence[Statement],
    *,
    version: int,
    previous: str,
    issued_at: float,
    key: SigningKey,
    lifetime: int = LONGEST_LIFE,
) -> Statement:
    """The signed head over `entries`; `previous` is the digest of the head before (directory.FIRST for the first).

    Raises
        EntryInvalid: an entry stands twice, or would have no effect at any node.
    """
    listed = _listed(entries)
    digests = [one.digest for one in listed]
    if has_doubles(listed):
        raise EntryInvalid(what="an entry stands twice")
    ignored = judge(trusted, listed, Memory()).ignored
    if useless := next((one for one in listed if one.digest in ignored), None):
        body = useless.statement.body
        named = f"{body['kind']} {body.get('id', body.get('code', ''))}"
        raise EntryInvalid(what=f"{named}: {ignored[useless.digest].reason}")
    body = {
        "kind": "head",
        "city": trusted.city,
        "version": version,
        "previous": previous,
        "root": trusted.digest,
        "entries": entries_root(digests),
        "count": len(digests),
        "issued_at": stamp(issued_at),
        "expires_at": stamp(int(issued_at) + lifetime),
    }
    return statement.sign(body, key)


def log_proof(*, origin: str, index: int, size: int, proof: Sequence[bytes], checkpoint: bytes) -> dict[str, Any]:
    """The directory's field `log`: `proof` leads from the head's leaf at `index` to the root in `checkpoint`."""
    return {
        "origin": origin,
        "index": index,
        "size": size,
        "proof": [base64.b64encode(one).decode() for one in proof],
        "checkpoint": checkpoint.decode(),
        "cosignatures": [],
    }


def published(
    earlier_roots: Sequence[Statement],
    newest_root: Statement,
    head: Statement,
    log: Mapping[str, Any],
    entries: Iterable[Statement],
) -> bytes:
    """The directory as nodes pull it. `earlier_roots` are all roots before the newest, oldest first."""
    return canonical.encode(
        {
            "roots": [one.to_json() for one in earlier_roots],
            "root": newest_root.to_json(),
            "head": head.to_json(),
            "log": dict(log),
            "entries": [one.to_json() for one in sorted(entries, key=lambda one: one.digest())],
        }
    )
