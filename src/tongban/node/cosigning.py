"""The node shows its heads to the city's witnesses, and believes them when they remember more than it does.

Calls never wait for a witness. A witness that holds a head which this node's own key signed, and which the log here
does not contain, proves that the log was set back or continued elsewhere: nothing is added to it any more.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from tongban.exchange.directory import Directory
from tongban.exchange.listing import Witness, Witnessing
from tongban.kit.durable import write_durably
from tongban.kit.errors import Corrupt, Unavailable
from tongban.kit.keys import PublicKey
from tongban.node.source import DirectorySource, whole
from tongban.tlog.checkpoint import LARGEST, Checkpoint, CheckpointInvalid, parse, verify
from tongban.tlog.cosignature import Cosigned, Quorum, cosigners, key_hash
from tongban.tlog.history import COSIGNED, COSIGNED_ALL, History
from tongban.tlog.log import Log
from tongban.tlog.witness import request

if TYPE_CHECKING:
    import aiohttp

_told = logging.getLogger("tongban.node")

#: Seconds for one witness to answer.
PATIENCE = 5
#: Seconds between two cosigned heads that are kept for ever: what a stolen key signed is told from what it signed
#: before by the last of them.
KEPT_EVERY = 600
#: Seconds after which a head that has not changed is shown again: whoever reads it sees that nothing newer is hidden.
AGAIN = 60


class LogContradicted(Corrupt):
    """A witness holds a head of this log that the log does not contain."""

    code = "node.log_contradicted"
    message = "Witness {witness} saw this log with {size} entries, signed by this node's own key; here it is another."
    remedy = "Stop. If the folder came from a backup, bring back the newest one; else find out who else holds the key."


class LogClosed(Corrupt):
    """The member's root has ended this log."""

    code = "node.log_closed"
    message = "The member of this node closed its log with {size} entries; nothing is added to it any more."
    remedy = "Run the node that follows it; see docs/howto/compromised_key.md."


class CopyUnconfirmed(Unavailable):
    """A log that was brought back, and too few who can say whether it is the newest."""

    code = "node.copy_unconfirmed"
    message = "This log was brought here from elsewhere; {said} witnesses say what they saw of it last, {wanted} must."
    remedy = "Start again when the directory and the witnesses can be reached; until then nobody knows what is missing."


#: Witnesses that must say what they saw of a log that was brought back.
PEERS = 2


class Standing(NamedTuple):
    """How far the log is witnessed."""

    size: int  #: entries under the newest head that was shown to enough
    seen: tuple[Cosigned, ...]
    k: int
    outside: bool  #: somebody outside the administration is among them


class Cosigning:
    """`shown` is the head for everybody: the newest that enough witnesses have seen."""

    def __init__(self, log: Log, source: DirectorySource, newest: Callable[[], bytes | None] | None = None) -> None:
        """`newest`: the head to be shown; the log's newest if left out."""
        self._log, self._source = log, source
        self._newest = newest or (lambda: log.note)
        self._path = log.directory / COSIGNED
        self._history = History(log.directory, COSIGNED, COSIGNED_ALL)
        self._kept_at = 0.0  #: by the witnesses' clocks
        self._sizes: dict[str, int] = {}  #: what each witness is known to have seen last
        self._session: aiohttp.ClientSession | None = None
        self._shown: tuple[bytes, Witnessing] | None = None  #: what enough have seen last, and of whom enough
        self._shown_at = 0.0
        self.shown = self._kept()
        self.standing: Standing | None = None
        self._contradicted: LogContradicted | None = None

    @property
    def head(self) -> bytes | None:
        """None too once a second history is proven: a reader is shown neither."""
        return None if self._contradicted else self.shown or self._newest()

    async def confirm(self, copied: bool = False) -> None:
        """Ask every witness that answers what it saw last. Raises LogContradicted, LogClosed.

        copied: the log was brought here from elsewhere. Then PEERS witnesses must say what they saw: whoever keeps
        silent may be the one who saw more. Raises CopyUnconfirmed.
        """
        directory = self._source.current
        self._check_closed(directory)
        if directory is None:
            if copied:
                raise CopyUnconfirmed(said=0, wanted=PEERS)
            return
        witnesses = directory.witnessing.of(self._log.origin) if directory.witnessing else ()
        said = 0
        for witness, (status, note) in zip(witnesses, await self._all(map(self._asked, witnesses)), strict=True):
            if status == 200 and _own_head(directory, self._log.origin, note) is not None:
                self._compare(directory, witness, note)
                said += 1
            elif status == 404 and witness.name not in self._known_to():
                said += 1
            elif status == 404:
                # Its cosignature stands in our own folder: it has forgotten, and says nothing of what came since.
                _told.warning("witness %s has forgotten this log", witness.name)
        wanted = min(PEERS, len(witnesses))
        if copied and said < wanted:
            raise CopyUnconfirmed(said=said, wanted=wanted)

    async def show(self) -> None:
        """Show the newest head to all witnesses, and keep what enough of them have cosigned.

        Raises LogContradicted, LogClosed, after the log was stopped.
        """
        self._check_closed(self._source.current)
        directory, note, now = self._source.current, self._newest(), asyncio.get_running_loop().time()
        if self._contradicted is not None:
            # It does not pass; once a minute is enough to say so.
            if now < self._shown_at + AGAIN:
                return
            self._shown_at = now
            raise self._contradicted
        if directory is None or directory.witnessing is None or note is None:
            return
        if self._shown == (note, directory.witnessing) and now < self._shown_at + AGAIN:
            return
        quorum = directory.witnessing.quorum(self._log.origin)
        head = parse(note)[0]
        witnesses = directory.witnessing.of(self._log.origin)
        lines = await self._all(self._cosigned(directory, one, head, note) for one in witnesses)
        if self._keep(note + b"".join(line for line in lines if line), head, quorum):
            self._shown, self._shown_at = (note, directory.witnessing), now

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _check_closed(self, directory: Directory | None) -> None:
        if directory is not None and (closing := directory.closings.get(self._log.origin)) is not None:
            self._log.stop(LogClosed.code)
            raise LogClosed(size=closing.size)

    # --- one witness ----------------------------------------------------------------------------------

    async def _cosigned(self, directory: Directory, witness: Witness, head: Checkpoint, note: bytes) -> bytes | None:
        """The witness's line below `note`; None: it did not answer, or not as a witness does."""
        for _ in range(2):
            old = self._sizes.get(witness.name, 0)
            if old > head.size:
                break
            body = request(old, self._log.tree.consistency_proof(old, head.size), note)
            status, said = await self._ask(witness, "POST", "/add-checkpoint", body)
            if status == 200:
                return self._line(witness, head, note, said)
            if status != 409 or (size := _size(said)) is None or size == old:
                break
            self._sizes[witness.name] = size
        # Anybody can say a number; only a head with our own signature proves that there was more.
        if (seen := await self._remembered(witness)) is not None:
            self._compare(directory, witness, seen)
        # What it said may have been wrong: begin again.
        self._sizes.pop(witness.name, None)
        return None

    def _line(self, witness: Witness, head: Checkpoint, note: bytes, said: bytes) -> bytes | None:
        try:
            seen = cosigners(note + said, {witness.name: witness.public})
        except CheckpointInvalid:
            seen = []
        if not seen:
            _told.warning("witness %s answered without its cosignature", witness.name)
            return None
        self._sizes[witness.name] = head.size
        # No other line of it: what one witness adds must leave room for the others' below the same head.
        its = witness.name, key_hash(witness.name, witness.public)
        return [line.written() for line in parse(note + said)[2] if line[:2] == its][-1]

    async def _remembered(self, witness: Witness) -> bytes | None:
        status, said = await self._asked(witness)
        return said if status == 200 else None

    async def _asked(self, witness: Witness) -> tuple[int, bytes]:
        digest = sha256(self._log.origin.encode()).hexdigest()
        return await self._ask(witness, "GET", f"/witnessed/{digest}", b"")

    def _known_to(self) -> set[str]:
        """Witnesses whose line stands below the head that was shown last."""
        try:
            return {line.name for line in parse(self.shown)[2]} if self.shown else set()
        except CheckpointInvalid:
            return set()

    def _compare(self, directory: Directory, witness: Witness, note: bytes) -> None:
        """Raises LogContradicted: `note` carries our own signature, and is no head of the log here."""
        head = _own_head(directory, self._log.origin, note)
        if head is None:
            return
        if head.size <= self._log.tree.size and self._log.tree.root_at(head.size) == head.root:
            return
        self._contradicted = LogContradicted(witness=witness.name, size=head.size)
        self._log.stop(self._contradicted.code)
        raise self._contradicted

    # --- keeping --------------------------------------------------------------------------------------

    def _keep(self, cosigned: bytes, head: Checkpoint, quorum: Quorum) -> bool:
        """Whether enough have seen it."""
        seen = cosigners(cosigned, quorum.witnesses)
        if not quorum.reached(seen):
            _told.warning("%s of %s witnesses have seen the newest head", len(seen), quorum.k)
            return False
        self.standing = Standing(head.size, tuple(seen), quorum.k, quorum.outside_seen(seen))
        if cosigned != self.shown:
            self._write(cosigned, max((one.time for one in seen), default=0))
            self.shown = cosigned
        return True

    def _write(self, cosigned: bytes, time: int) -> None:
        if time < self._kept_at + KEPT_EVERY:
            write_durably(self._path, cosigned)
            return
        self._history.add(cosigned)
        self._kept_at = time

    def _kept(self) -> bytes | None:
        """The head shown before this start; one that is no head of this log is not shown again."""
        try:
            note = self._path.read_bytes()
            head = parse(note)[0]
        except (OSError, CheckpointInvalid):
            return None
        tree = self._log.tree
        fits = head.origin == self._log.origin and head.size <= tree.size and tree.root_at(head.size) == head.root
        return note if fits else None

    # --- over the network -----------------------------------------------------------------------------

    async def _all(self, asked: Iterable[Any]) -> list[Any]:
        """The results in order; the first contradiction is raised once all are there."""
        found = await asyncio.gather(*asked, return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return found

    async def _ask(self, witness: Witness, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body; status 0: no answer."""
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE, connect=2))
        pin: Any = aiohttp.Fingerprint(bytes.fromhex(witness.certificate)) if witness.certificate else True
        try:
            async with self._session.request(
                method, f"{witness.address}{path}", data=body or None, allow_redirects=False, ssl=pin
            ) as got:
                return got.status, await whole(got.content, LARGEST)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, b""


def _own_head(directory: Directory, origin: str, note: bytes) -> Checkpoint | None:
    """The head in `note`, if any of our keys signed it: what others wrote below it must not hide that."""
    for key in _own_keys(directory, origin):
        with contextlib.suppress(CheckpointInvalid):
            return verify(note, origin, [key])
    return None


def _own_keys(directory: Directory, origin: str) -> list[PublicKey]:
    """All keys, the ended and the revoked too, that may have signed heads of the log."""
    return [key.public for key in directory.by_role.get((origin.partition("/")[0], "online"), ())]


def _size(said: bytes) -> int | None:
    text = said.strip()
    return int(text) if text.isdigit() and len(text) < 20 else None
