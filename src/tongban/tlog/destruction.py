"""Records whose time is over are destroyed with their salts; their leaves stay, so the tree stays.

Without the salt nobody can try out what a leaf stood for, not even who knows what to look for.
"""

import os
from array import array
from collections.abc import Set
from pathlib import Path

from tongban.tlog.entry import frame, unframe
from tongban.tlog.segment import entry_file, mapped


def without_records(directory: Path, number: int, places: Set[int]) -> tuple[Path, "array[int]"]:
    """A durable draft of entry file `number` without records and sealed answers at `places`, and where frames end."""
    source = entry_file(directory, number)
    draft = source.with_name(source.name + ".tmp")
    stops, place = array("Q", (0,)), 0
    with mapped(source) as data, open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        at = 0
        while framed := unframe(data, at, len(data)):
            kept = frame(framed.leaf, b"", b"") if place in places else data[at : framed.stop]
            file.write(kept)
            stops.append(stops[-1] + len(kept))
            at, place = framed.stop, place + 1
        file.flush()
        os.fsync(file.fileno())
    return draft, stops
