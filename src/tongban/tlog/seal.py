"""Stored answers are sealed under a key of their day; when the key goes, they are unreadable everywhere at once."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tongban.kit.clock import Clock
from tongban.kit.durable import sync, write_durably

NONCE, TAG = 12, 16
#: A day's key lives from the beginning of its day: an answer stays readable for 24 hours at least, 48 at most.
LIFE = timedelta(hours=48)
_DAY = timedelta(days=1)


class Seal:
    """The day keys of one log."""

    def __init__(self, directory: Path, clock: Clock, random: Callable[[int], bytes]) -> None:
        self._directory = directory / "seal"
        self._clock = clock
        self._random = random
        self._today: tuple[int, AESGCM] | None = None  #: days since 1970, and that day's key
        self.forget()

    def seal(self, leaf: bytes, answer: bytes) -> bytes:
        """`answer` under today's key, bound to `leaf`. Raises OSError if a new day's key cannot be kept."""
        day = int(self._clock.seconds()) // 86_400
        if self._today is None or self._today[0] != day:
            self._today = day, self._begun(day)
        nonce = self._random(NONCE)
        return nonce + self._today[1].encrypt(nonce, answer, leaf)

    def unseal(self, leaf: bytes, sealed: bytes) -> bytes | None:
        """The answer; None when its day's key was deleted, or these bytes were sealed for another leaf."""
        if len(sealed) < NONCE + TAG:
            return None
        # Which day it was is not written anywhere: at most two keys are alive, newest first.
        for path in sorted(self._paths(), reverse=True):
            with contextlib.suppress(InvalidTag, FileNotFoundError):
                return AESGCM(path.read_bytes()).decrypt(sealed[:NONCE], sealed[NONCE:], leaf)
        return None

    def forget(self) -> None:
        """Delete the keys whose time is over."""
        now = datetime.fromtimestamp(self._clock.seconds(), UTC)
        gone = [path for path in self._paths() if datetime.fromisoformat(path.stem).replace(tzinfo=UTC) + LIFE <= now]
        for path in gone:
            path.unlink(missing_ok=True)
        if gone:
            sync(self._directory)

    def _begun(self, day: int) -> AESGCM:
        path = self._directory / f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}.key"
        if not path.exists():
            write_durably(path, self._random(32), mode=0o600)
        return AESGCM(path.read_bytes())

    def _paths(self) -> list[Path]:
        return list(self._directory.glob("????-??-??.key"))


class Unsealing:
    """Opens what was sealed, for whoever may read the day keys that are still there; changes nothing."""

    def __init__(self, directory: Path) -> None:
        self._keys: dict[str, AESGCM] = {}
        for path in (directory / "seal").glob("????-??-??.key"):
            # Deleted meanwhile, or not for this reader's eyes: as if it were gone.
            with contextlib.suppress(OSError, ValueError):
                self._keys[path.stem] = AESGCM(path.read_bytes())

    def knows(self, day: str) -> bool:
        """Whether the key of `day` (2026-11-24) is still there."""
        return day in self._keys

    def opened(self, day: str, leaf: bytes, sealed: bytes) -> bytes | None:
        """The answer given on `day`, or just after its midnight; None: these are not the bytes that were sealed."""
        for name in (day, f"{datetime.fromisoformat(day) + _DAY:%Y-%m-%d}"):
            if name in self._keys:
                with contextlib.suppress(InvalidTag, ValueError):
                    return self._keys[name].decrypt(sealed[:NONCE], sealed[NONCE:], leaf)
        return None
