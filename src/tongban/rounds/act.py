"""Acts: what an official does in a round about one application, once and for good.

An act is prepared, the log is told whose it is, and then it is kept: so nothing takes effect that nobody answers for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tongban.kit import canonical
from tongban.kit.errors import Refused
from tongban.rounds.folder import Contradicted, RoundFolder

LONGEST_REASON = 2_000  #: characters of what somebody may write


@dataclass(frozen=True, slots=True)
class Act:
    """An act that holds, before it is kept."""

    id: str
    file: str  #: in the round's folder
    stage: str  #: what the log calls it
    value: Mapping[str, Any]

    def digest(self) -> str:
        """What the log names it by."""
        return canonical.digest(dict(self.value))

    def keep(self, folder: RoundFolder, entry: Mapping[str, Any] | None) -> None:
        """Write it down, with its place in the log. Raises Contradicted if another stands there."""
        value = {**self.value, **({"log": dict(entry)} if entry else {})}
        folder.keep(self.file, canonical.encode(value) + b"\n", mode=0o600)


def read_act(folder: RoundFolder, file: str) -> dict[str, Any] | None:
    """What was kept; None if nothing was."""
    place = folder.path / file
    return dict(canonical.decode(place.read_bytes().removesuffix(b"\n"))) if place.exists() else None


def done_before(folder: RoundFolder, file: str, value: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    """Whether the act stands there already with the same `names`; days are not compared. Raises Contradicted."""
    kept = read_act(folder, file)
    if kept is None:
        return False
    if differs := [one for one in names if _undated(kept[one]) != _undated(value[one])]:
        raise Contradicted(round=folder.name, what=file, differs=", ".join(differs))
    return True


def _undated(value: Any) -> Any:
    """An act repeated on another day is the same act: its snapshot is that day's only by name."""
    return {**value, "snapshot_date": ""} if isinstance(value, dict) else value


def nobody(staff: str) -> Refused | None:
    """Refused if no official is named."""
    return None if staff.strip() else Refused("rounds.official_missing", "name the official by staff number")
