"""The city's root: who may sign heads, grants and checkpoints, and the offline keys that say so.

After TUF (The Update Framework): a root names its successor's signers, so the keys can change
without anybody visiting a node. The first root is pinned by digest in each node's own file; a later
one counts only if enough keys of the root before it, and enough of its own, have signed it.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tongban.exchange import names, shape
from tongban.kit.errors import Refused
from tongban.kit.keys import PublicKey
from tongban.kit.statement import Statement

ROLES: Final = ("hub", "timestamp", "log")


@dataclass(frozen=True, slots=True)
class Root:
    city: str
    version: int
    threshold: int
    keys: tuple[PublicKey, ...]  #: kept off line
    roles: Mapping[str, tuple[PublicKey, ...]]  #: hub, timestamp, log
    log_origin: str  #: name of the hub's log
    issued_at: int
    expires_at: int  #: seconds since 1970
    digest: str
    statement: Statement = field(repr=False, compare=False)

    def holds(self, statement: Statement) -> bool:
        """Whether enough of the offline keys signed `statement`."""
        return len(statement.signed_by(self.keys)) >= self.threshold

    def publics(self) -> set[bytes]:
        return {key.public for key in (*self.keys, *(key for keys in self.roles.values() for key in keys))}


_key_ids: Final = shape.distinct(shape.is_key, 1, 20)
SHAPE: Final[shape.Shape] = {
    "kind": shape.exactly("root"),
    "city": shape.is_text(80),
    "version": shape.integer(1, 10**6),
    # One stolen key must never be enough.
    "threshold": shape.integer(2, 20),
    "keys": shape.table(shape.is_key, shape.is_public, 2, 20),
    "roles": shape.fields(dict.fromkeys(ROLES, _key_ids)),
    "role_keys": shape.table(shape.is_key, shape.is_public, len(ROLES), 60),
    "log_origin": shape.text(f"{names.MEMBER}/{names.NODE}"),
    "issued_at": shape.is_stamp,
    "expires_at": shape.is_stamp,
}


def from_statement(statement: Statement) -> Root | Refused:
    """The root that `statement` states; its signatures are judged by `successor`."""
    body = dict(statement.body)
    if refused := shape.malformed(body, SHAPE, "exchange.root_malformed", "a root", _contradiction):
        return refused
    role_keys = _public_keys(body["role_keys"])
    return Root(
        body["city"],
        body["version"],
        body["threshold"],
        tuple(_public_keys(body["keys"]).values()),
        {role: tuple(role_keys[id] for id in ids) for role, ids in body["roles"].items()},
        body["log_origin"],
        shape.seconds(body["issued_at"]),
        shape.seconds(body["expires_at"]),
        statement.digest(),
        statement,
    )


def _public_keys(table: Mapping[str, str]) -> dict[str, PublicKey]:
    return {id: PublicKey(id, base64.b64decode(public)) for id, public in table.items()}


def _contradiction(body: Mapping[str, Any]) -> str | None:
    publics = [*body["keys"].values(), *body["role_keys"].values()]
    if len(set(publics)) < len(publics):
        return "one key stands twice"  # under two names it would count twice towards the threshold
    if len(body["keys"]) < body["threshold"]:
        return "fewer keys than the threshold"
    given = [id for ids in body["roles"].values() for id in ids]
    if sorted(given) != sorted(body["role_keys"]):
        return "roles and role_keys differ, or a key has two roles"
    return "it ends before it begins" if shape.seconds(body["issued_at"]) >= shape.seconds(body["expires_at"]) else None


def newest(statements: Sequence[Statement], trusted: str, now: float) -> Root | Refused:
    """The last of `statements`, reached step by step from the one whose digest is `trusted`."""
    digests = [statement.digest() for statement in statements]
    if trusted not in digests:
        return Refused("exchange.root_unknown", "none of the directory's roots is the one this node trusts")
    held = from_statement(statements[digests.index(trusted)])
    for statement in statements[digests.index(trusted) + 1 :]:
        if isinstance(held, Refused):
            return held
        held = _successor(held, statement)
    if isinstance(held, Root) and not held.holds(held.statement):
        return Refused("exchange.root_unsigned", "too few of the root's own keys have signed it")
    if isinstance(held, Root) and now >= held.expires_at:
        return Refused("exchange.root_expired", "the root's time is over")
    return held


def _successor(before: Root, statement: Statement) -> Root | Refused:
    after = from_statement(statement)
    if isinstance(after, Refused):
        return after
    if (after.city, after.version) != (before.city, before.version + 1):
        return Refused("exchange.root_unknown", "a root does not follow the one before it")
    if not (before.holds(statement) and after.holds(statement)):
        return Refused("exchange.root_unsigned", "too few keys of the root before, or of its own, have signed a root")
    return after
