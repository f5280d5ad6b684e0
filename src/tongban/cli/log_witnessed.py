"""How far a log was seen by witnesses, for whoever reads its folder or holds a receipt of it."""

from dataclasses import dataclass
from pathlib import Path

from tongban.cli.keyring import Keyring
from tongban.kit.clock import stamp
from tongban.tlog import history
from tongban.tlog.checkpoint import CheckpointInvalid, parse
from tongban.tlog.cosignature import Cosigned, cosigners

INTERNAL = "仅内部见证 · internal witnesses only: nobody outside the administration has seen this"


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest head of the folder that enough witnesses have cosigned."""

    entries: int
    seen: tuple[Cosigned, ...]
    wanted: int
    outside: bool  #: somebody outside the administration is among them

    def sentences(self) -> list[str]:
        by = ", ".join(f"{one.witness} at {_when(one.time)}" for one in self.seen)
        said = [f"见证 · the first {self.entries:,} entries were seen by {by}"]
        return said if self.outside else [*said, INTERNAL]


def witnessed(directory: Path, origin: str, ring: Keyring | None) -> Witnessed | None:
    """None: no head that enough have seen lies here, or the city names no witnesses."""
    quorum = ring.quorum(origin) if ring else None
    if quorum is None or not quorum.k:
        return None
    best: Witnessed | None = None
    for note in history.read_cosigned(directory):
        try:
            size, seen = parse(note)[0].size, cosigners(note, quorum.witnesses)
        except CheckpointInvalid:
            continue
        if quorum.reached(seen) and (best is None or size >= best.entries):
            best = Witnessed(size, tuple(seen), quorum.k, quorum.outside_seen(seen))
    return best


def _when(time: int) -> str:
    try:
        return stamp(time)
    except (ValueError, OverflowError, OSError):
        return f"second {time}"
