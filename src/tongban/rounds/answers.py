"""Answers: what departments sent, kept as it came, one file a part.

An answer counts for a part if it is about exactly the keys that the part asks about today, under the digest of the
rule that the round was opened with. Whatever else lies there, an answer to an earlier question, counts as none.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tongban.exchange.bulk import About, Answer, read_answer
from tongban.kit import canonical
from tongban.kit.durable import write_durably
from tongban.kit.errors import Refused
from tongban.rounds.folder import OutOfOrder, RoundFolder, Stage
from tongban.rounds.questions import Bytes, Part
from tongban.rounds.round import Round


@dataclass(frozen=True, slots=True)
class Came:
    """How an answer came; never part of a result, for results carry no times and no addresses."""

    asked_at: float  #: seconds since 1970 UTC
    seconds: float  #: from question to answer
    bytes_up: int
    bytes_down: int
    receipt: Mapping[str, Any]  #: as the local door gave it

    def to_json(self) -> dict[str, Any]:
        return {
            "asked_at_ms": round(self.asked_at * 1000),
            "took_ms": round(self.seconds * 1000),
            "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down,
            "receipt": dict(self.receipt),
        }


def read_came(value: Mapping[str, Any]) -> Came:
    asked_at, took = value["asked_at_ms"] / 1000, value["took_ms"] / 1000
    return Came(asked_at, took, value["bytes_up"], value["bytes_down"], value["receipt"])


def judged(round: Round, part: Part, raw: bytes) -> Answer | Refused:
    """Read an answer to `part` and refuse one that is about something else."""
    answer = read_answer(raw, part.keys.num_rows)
    if isinstance(answer, Refused):
        return answer
    if answer.about.rule != part.rule or answer.about.rule_digest != round.rules[part.rule]:
        return Refused("rounds.other_rule", f"the answer is about another text of {part.rule}")
    if answer.about.keys != part.digest():
        return Refused("rounds.other_keys", f"the answer is about other keys than part {part.name} of {part.rule}")
    return answer


def keep_answer(folder: RoundFolder, round: Round, part: Part, raw: bytes, came: Came) -> bool | Refused:
    """Keep an answer: True if it was kept now, False if the same verdicts were there already.

    An answer to earlier keys of the same part is set aside. A second answer to the same keys with other verdicts is
    refused: the department must say which of the two holds, and a re-check is the way to change one.
    Raises OutOfOrder when the round is past answers.
    """
    answer = judged(round, part, raw)
    if isinstance(answer, Refused):
        return answer
    if folder.stage is not Stage.NEW:
        raise OutOfOrder(round=folder.name, stage=folder.stage, wanted="a further answer")
    earlier = _kept(folder, part)
    if earlier is not None and (same := judged(round, part, earlier)) and not isinstance(same, Refused):
        if not _alike(same, answer):
            return Refused(
                "rounds.answer_contradicts", f"part {part.name} of {part.rule} was answered otherwise before"
            )
        return False
    # The receipt first: an answer is there from the moment its own file is.
    (folder.path / "answers").mkdir(exist_ok=True)
    write_durably(folder.path / "answers" / f"{part.file}.json", canonical.encode(came.to_json()) + b"\n")
    folder.replace(f"answers/{part.file}.arrow", raw, {"why": "the keys of the part changed"})
    return True


def _alike(one: Answer, other: Answer) -> bool:
    """Verdicts and all that is said about them; the compiler's version alone may differ."""
    facts = {**asdict(one.about), "compiler": ""} == {**asdict(other.about), "compiler": ""}
    return facts and bool(np.array_equal(one.verdicts, other.verdicts))


def _kept(folder: RoundFolder, part: Part) -> bytes | None:
    place = folder.path / "answers" / f"{part.file}.arrow"
    return place.read_bytes() if place.exists() else None


def answer_of(folder: RoundFolder, round: Round, part: Part) -> tuple[Bytes, About] | None:
    """What counts as the answer to `part`; None while there is none."""
    raw = _kept(folder, part)
    answer = None if raw is None else judged(round, part, raw)
    return None if answer is None or isinstance(answer, Refused) else (answer.verdicts, answer.about)


def came_of(folder: RoundFolder, rule: str, part: str) -> Came | None:
    """How the answer to one part came; None if there is none."""
    place = folder.path / "answers" / f"{rule}.{part}.json"
    return read_came(canonical.decode(place.read_bytes().removesuffix(b"\n"))) if place.exists() else None
