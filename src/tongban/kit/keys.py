"""Keys that sign. The algorithm belongs to the key, never to the message.

A key file is JSON, readable by its owner only: {"alg","id","private","public"} with the private
part in base64, or sealed under a pass phrase (scrypt, AES-256-GCM) as {"alg","id","sealed","public"}.
"""

import base64
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import CryptoError

from tongban.kit.durable import write_durably
from tongban.kit.errors import Invalid

#: Closed table of algorithms. A second entry (SM2 with SM3) will stand here, fixed per log at its creation.
ALGORITHMS = frozenset({"ed25519"})


class KeyFileInvalid(Invalid):
    """A key file that cannot be read."""

    code = "kit.key_file"
    message = "Key file {path} cannot be used: {what}."
    remedy = "Check the pass phrase and the file's owner; never copy a key between nodes."


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What others need to check a signature."""

    id: str
    public: bytes = field(repr=False)
    algorithm: str = "ed25519"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `message`; anything that is no signature is none."""
        if len(signature) != 64 or len(self.public) != 32:
            return False
        try:
            crypto_sign_open(signature + message, self.public)
        except (CryptoError, ValueError, TypeError):
            return False
        return True


class SigningKey:
    """A private key that stays where it is."""

    __slots__ = ("_secret", "algorithm", "id", "public")

    def __init__(self, id: str, seed: bytes) -> None:
        self.id = id
        self.algorithm = "ed25519"
        public, self._secret = crypto_sign_seed_keypair(seed)
        self.public = PublicKey(id, public)

    def sign(self, message: bytes) -> bytes:
        return crypto_sign(message, self._secret)[:64]

    def write(self, path: Path, pass_phrase: str | None = None) -> None:
        """Write the key file with mode 0600; never over an existing one."""
        held: dict[str, str] = {
            "alg": self.algorithm,
            "id": self.id,
            "public": base64.b64encode(self.public.public).decode(),
        }
        seed = self._secret[:32]
        if pass_phrase is None:
            held["private"] = base64.b64encode(seed).decode()
        else:
            salt, nonce = os.urandom(16), os.urandom(12)
            sealed = AESGCM(_stretched(pass_phrase, salt)).encrypt(nonce, seed, self.id.encode())
            held["sealed"] = base64.b64encode(salt + nonce + sealed).decode()
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: half a key would be found at the next start, and kept for ever.
        text = json.dumps(held, indent=1, sort_keys=True) + "\n"
        write_durably(path, text.encode(), mode=0o600, replace=False)


def new_key(id: str) -> SigningKey:
    return SigningKey(id, secrets.token_bytes(32))


def read_key(path: Path, pass_phrase: str | None = None) -> SigningKey:
    """Read a key file. Raises KeyFileInvalid."""
    try:
        held = json.loads(path.read_text())
        if held["alg"] not in ALGORITHMS:
            raise KeyFileInvalid(path=path.name, what=f"unknown algorithm {held['alg']!r}")
        if "sealed" in held:
            if pass_phrase is None:
                raise KeyFileInvalid(path=path.name, what="it is sealed and no pass phrase was given")
            raw = base64.b64decode(held["sealed"])
            seed = AESGCM(_stretched(pass_phrase, raw[:16])).decrypt(raw[16:28], raw[28:], held["id"].encode())
        else:
            seed = base64.b64decode(held["private"])
        key = SigningKey(held["id"], seed)
    except InvalidTag:
        raise KeyFileInvalid(path=path.name, what="the pass phrase does not open it") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KeyFileInvalid(path=path.name, what=type(error).__name__) from None
    if base64.b64encode(key.public.public).decode() != held["public"]:
        raise KeyFileInvalid(path=path.name, what="its public and private parts differ")
    return key


def _stretched(pass_phrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(pass_phrase.encode())
