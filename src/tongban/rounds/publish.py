"""Publishing: what leaves the house, put together only after a second person has looked at it.

`published/public/` holds the report and the bundles of the draw, and nothing else: that folder may be copied out.
"""

import shutil
from datetime import date
from hashlib import sha256
from pathlib import Path

from tongban.kit import canonical
from tongban.kit.errors import Refused
from tongban.rounds.folder import RoundFolder, Stage


def publish(
    folder: RoundFolder, report: str, *, prepared_by: str, reviewed_by: str, reviewed_on: date
) -> bool | Refused:
    """Publish a drawn round: True if it was done now, False if the same was published before.

    `prepared_by`, `reviewed_by`: staff numbers of two persons. Published again on a later day, the day of the first
    review stands. Raises OutOfOrder, Contradicted.
    """
    if not prepared_by or not reviewed_by or prepared_by == reviewed_by:
        return Refused("rounds.reviewer_needed", "a second person must review what is published")
    folder.need(Stage.DRAWN)
    review = {
        "prepared_by": prepared_by,
        "reviewed_by": reviewed_by,
        "reviewed_on": _reviewed_on(folder) or reviewed_on.isoformat(),
        "report": sha256(report.encode()).hexdigest(),
    }
    inputs = {"drawn": folder.digest_of(Stage.DRAWN), "review": canonical.digest(review)}

    def write(place: Path) -> None:
        (place / "review.json").write_bytes(canonical.encode(review) + b"\n")
        public = place / "public"
        public.mkdir()
        (public / "report.html").write_text(report, encoding="utf-8")
        for bundle in sorted(folder.directory(Stage.DRAWN).iterdir()):
            if bundle.is_dir():
                shutil.copytree(bundle, public / bundle.name)

    return folder.step(Stage.PUBLISHED, inputs, write)


def _reviewed_on(folder: RoundFolder) -> str | None:
    """Day of the review with which the round was published; None before."""
    if folder.stage is not Stage.PUBLISHED:
        return None
    held = (folder.directory(Stage.PUBLISHED) / "review.json").read_bytes()
    return str(canonical.decode(held.removesuffix(b"\n"))["reviewed_on"])
