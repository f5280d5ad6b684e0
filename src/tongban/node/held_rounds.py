"""The rounds that the own department holds: one evaluation date each, and each stage or act once in the log.

All of it is read from the log again after a restart.
"""

import asyncio
from typing import Any, NamedTuple

import orjson

from tongban.kit.errors import Refused
from tongban.tlog.entry import Stored
from tongban.tlog.log import Draft, Entry, Log
from tongban.tlog.tree import leaf_hash

#: Stages that everybody may see in the log.
OPEN_STAGES = frozenset({"opened", "frozen", "seed-committed", "drawn"})
#: Acts about one application: who did it stands in the log's records, and nothing of it in the open.
PERSON_ACTS = frozenset({"recheck-opened", "recheck-answered"})

_NOT_OPENED = Refused("node.round_not_opened", "no such round was opened at this node")
_SECOND_DATE = Refused("node.second_date", "this round was evaluated for another date; a round has one")
_OVER = Refused("node.round_over", "the record of this round's opening was destroyed; nothing is asked in it any more")


class Said(NamedTuple):
    """A stage or act, without who said it."""

    round: str
    stage: str
    digest: str


class HeldRounds:
    """What the log says of them. A second date is refused: by many, verdicts about a person would become her dates."""

    def __init__(self) -> None:
        self._dates: dict[str, str] = {}  #: evaluation date by round; "" where its record was destroyed
        self._said: dict[Said, Entry] = {}
        self._turn = asyncio.Lock()

    def recall(self, stored: Stored) -> None:
        """Remember what a logged `act` or `round` says; the first of several counts."""
        if b'"kind":"round"' in stored.leaf:
            said = Said(**orjson.loads(stored.leaf)["body"])
            if said.stage == "opened":
                # Its act comes before it. Where that is gone, the date is too, and must not be chosen again.
                self._dates.setdefault(said.round, "")
        elif b'"kind":"act"' in stored.leaf and stored.record is not None:
            record = orjson.loads(stored.record)
            said = Said(record["round"], record["stage"], record["digest"])
            if "evaluated" in record:
                self._dates.setdefault(said.round, record["evaluated"])
            if said.stage not in PERSON_ACTS:
                return
        else:
            return
        self._said.setdefault(said, Entry(stored.index, leaf_hash(stored.leaf)))

    def open(self, round: str, at: str) -> Refused | None:
        """Fix the round's date; why not, if it has another."""
        return _judged(self._dates.setdefault(round, at), at)

    def refusal(self, round: str, at: str) -> Refused | None:
        """Why nothing is asked in this round for this date; None if it may be."""
        return _judged(self._dates[round], at) if round in self._dates else _NOT_OPENED

    async def put(self, log: Log, said: Said, record: dict[str, Any]) -> Entry:
        """Where `said` stands in the log: it is put there with its act unless it was before. Raises as `Log.append`.

        Whoever was killed between the entry and what he would have kept of it asks again, and is told the same.
        """
        async with self._turn:
            if (known := self._said.get(said)) is not None:
                return known
            act = Draft({"kind": "act", "n": int(said.stage in PERSON_ACTS)}, {**record, **said._asdict()})
            stage = [Draft({"kind": "round", "body": said._asdict()})] if said.stage in OPEN_STAGES else []
            # Together, and whose act it is first, so that no stage stands there that nobody answers for.
            entry = log.append_many([act, *stage])[-1]
            self._said[said] = entry
            return entry


def _judged(held: str, at: str) -> Refused | None:
    if not held:
        return _OVER
    return None if held == at else _SECOND_DATE
