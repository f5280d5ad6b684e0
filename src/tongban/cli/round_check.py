"""`./tongban round verify` of a round that is further: is its folder what was written, heard and logged?"""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tongban.cli import keyring, log_read
from tongban.cli.city import City
from tongban.demo.foundation import CONSUMER
from tongban.kit import canonical
from tongban.kit.errors import TongbanError
from tongban.rounds import audit
from tongban.rounds.folder import Damaged, RoundFolder, Stage
from tongban.rounds.steps import decision_json
from tongban.tlog import folder as log_folder
from tongban.tlog.entry import Stored
from tongban.tlog.tree import leaf_hash

_UNREADABLE = (TongbanError, OSError, ValueError, KeyError, TypeError, AttributeError)
_CONTENT = re.compile(r'^"content-digest": sha-256=:([A-Za-z0-9+/=]+):$', re.MULTILINE)


def check(city: City, folder: RoundFolder, decisions: Any) -> dict[str, Any]:
    """What was looked at; what is missing to finish the step that came last. Raises Damaged."""
    ring = keyring.read(city.foundation.hub / "public" / "directory.json")
    log = city.foundation.node(CONSUMER) / "log"
    member = next(one.code for one in city.foundation.members() if one.node == CONSUMER)
    differing = dict.fromkeys(audit.differing(folder, keyring.Keyring((ring,), "").approvals(member)))
    missing = [name for name in differing if name.startswith("receipts/") and not (folder.path / name).exists()]
    differing |= dict.fromkeys([*_decided(folder, decisions), *_receipts(folder, log)])
    if changed := [name for name in differing if name not in missing]:
        raise Damaged(round=folder.name, file=", ".join(changed[:5]) + (" and others" if changed[5:] else ""))
    if not missing:
        return {"checked": "every file is what was written, heard and logged"}
    # Cut off between a stage and its receipt: its entry is in the log, or will be.
    step = {"opened": "new", "frozen": "freeze", "drawn": "draw"}[Path(missing[0]).name.partition(".")[0]]
    return {"unfinished": missing, "what_to_do": f"run ./tongban round {step} {folder.name} again", "exit": 1}


def _decided(folder: RoundFolder, decisions: Any) -> Iterator[str]:
    """Whether the decisions were those of the solution, as the step wrote down."""
    if not folder.directory(Stage.DECIDED).exists():
        return
    expected = canonical.digest({kind: decision_json(one) for kind, one in decisions.items()})
    try:
        same = folder.done(Stage.DECIDED)["inputs"]["decisions"] == expected
    except _UNREADABLE:
        same = False
    if not same:
        yield "decisions/step.json"


def _receipts(folder: RoundFolder, log: Path) -> Iterator[str]:
    """Receipts that the department's own log does not bear out, and answers other than the one it committed to."""
    told = {place: _receipt(place) for place in sorted(folder.path.glob("receipts/*.json"))}
    heard = {place: _receipt(place) for place in sorted(folder.path.glob("answers/*.json"))}
    wanted = {one.get("entry") for one in told.values()} | {one.get("own_entry") for one in heard.values()}
    kept = {one.index: one for one in log_read.entries(log) if one.index in wanted}
    origin = log_folder.identity(log)["origin"]
    for place, one in told.items():
        entry = kept.get(one.get("entry", -1))
        if entry is None or (one.get("origin"), one.get("leaf")) != (origin, leaf_hash(entry.leaf).hex()):
            yield f"receipts/{place.name}"
    for place, one in heard.items():
        yield from _answer(place, one, kept.get(one.get("own_entry", -1)))
    for place in folder.path.glob("answers/*.arrow"):
        if place.with_suffix(".json") not in heard:
            yield f"answers/{place.name}"


def _answer(place: Path, receipt: dict[str, Any], entry: Stored | None) -> Iterator[str]:
    if entry is not None and entry.record is None and log_read.leaf_of(entry).get("kind") == "answer":
        # Its time was over, and what it said went with it.
        return
    record = (log_read.record_of(entry) if entry else None) or {}
    if any(record.get(name) != receipt.get(name, "") for name in ("origin", "entry", "leaf")):
        yield f"answers/{place.name}"
        return
    # What the provider signed names the answer's bytes.
    signed = _CONTENT.search(str(record.get("base")))
    answer = place.with_suffix(".arrow")
    digest = base64.b64encode(hashlib.sha256(answer.read_bytes()).digest()).decode() if answer.exists() else ""
    if signed is None or signed[1] != digest:
        yield f"answers/{answer.name}"


def _receipt(place: Path) -> dict[str, Any]:
    try:
        raw = place.read_bytes()
        held = canonical.decode(raw.removesuffix(b"\n"))
        if not raw.endswith(b"\n"):
            return {}
        return dict(held.get("receipt", held))
    except _UNREADABLE:
        return {}
