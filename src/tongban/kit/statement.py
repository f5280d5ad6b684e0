"""Signed statements: a JSON body and the signatures of those who stand behind it.

Grants, tickets, directory entries, manifests and draws are statements. What is signed is

    "tongban/1 " + kind + "\\n" + canonical bytes of the body

so that a signature for one kind can never be shown as one for another.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tongban.kit import canonical
from tongban.kit.keys import PublicKey, SigningKey


@dataclass(frozen=True, slots=True)
class Statement:
    """`body` has a text field `kind`; `signatures` maps key ids to 64 bytes."""

    body: Mapping[str, Any]
    signatures: Mapping[str, bytes]

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    def digest(self) -> str:
        """SHA-256 of the signed message: names the body, whoever signed it."""
        return hashlib.sha256(message(self.body)).hexdigest()

    def signed_by(self, keys: Iterable[PublicKey]) -> frozenset[str]:
        """Ids of those `keys` whose signature is present and good."""
        text = message(self.body)
        return frozenset(
            key.id
            for key in keys
            if (signature := self.signatures.get(key.id)) is not None and key.verifies(text, signature)
        )

    def also_by(self, *keys: SigningKey) -> "Statement":
        """The same body with further signatures."""
        text = message(self.body)
        return Statement(self.body, {**self.signatures, **{key.id: key.sign(text) for key in keys}})

    def to_json(self) -> dict[str, Any]:
        signatures = {id: base64.b64encode(raw).decode() for id, raw in self.signatures.items()}
        return {"body": dict(self.body), "signatures": signatures}


def message(body: Mapping[str, Any]) -> bytes:
    """The bytes that are signed."""
    return b"tongban/1 " + str(body["kind"]).encode() + b"\n" + canonical.encode(body)


def sign(body: Mapping[str, Any], *keys: SigningKey) -> Statement:
    canonical.check(dict(body))
    return Statement(body, {}).also_by(*keys)


def from_json(value: Any) -> Statement:
    """Read a statement; nothing is verified yet. Raises NotCanonical."""
    try:
        body, signatures = value["body"], value["signatures"]
        canonical.check(body)
        if set(value) != {"body", "signatures"} or not isinstance(body["kind"], str):
            raise canonical.NotCanonical(what="not a signed statement")
        return Statement(body, {str(id): base64.b64decode(text, validate=True) for id, text in signatures.items()})
    except (KeyError, TypeError, ValueError, AttributeError):
        raise canonical.NotCanonical(what="not a signed statement") from None
