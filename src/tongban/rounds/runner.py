"""Asking the departments: all at the same time, identity first, each part kept as it comes.

What was answered is never asked again; what was not is asked when the round is verified again, alone. The way to
the departments is an argument: the local door of the node of the department in charge.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from tongban.kit.errors import Refused
from tongban.rounds.answers import Came, answer_of, keep_answer
from tongban.rounds.folder import RoundFolder
from tongban.rounds.questions import Part, Question
from tongban.rounds.round import Round, read_round
from tongban.rounds.verdicts import Asking


@dataclass(frozen=True, slots=True)
class Reply:
    """What came through the door: the answer's bytes and the receipt of its log entries."""

    body: bytes
    receipt: Mapping[str, Any]


class Door(Protocol):
    """Puts one part to the department that answers its rule."""

    def match(
        self, *, rule: str, round: str, part: str, at: str, domain: str, idempotency: str, body: bytes
    ) -> Awaitable[Reply | Refused]: ...


@dataclass(frozen=True, slots=True)
class Told:
    """News of one part, for whoever watches."""

    department: str
    rule: str
    part: str
    keys: int
    state: str  #: "asked", "answered", "kept" (was there before), "silent"
    seconds: float = 0.0
    code: str = ""  #: why it is silent


Watch = Callable[[Told], None]


async def ask(
    folder: RoundFolder,
    asked: Asking,
    door: Door,
    watch: Watch,
    *,
    only: frozenset[str] = frozenset(),
    clock: Callable[[], float] = time.time,
) -> list[Told]:
    """Ask what has no answer yet, of all departments or of those in `only`; the parts that stay silent.

    Further questions wait until every first question has come back: only those whose identity is confirmed are
    asked about. A department that does not answer is left aside, the others are heard.
    """
    round = read_round(folder)
    runner = _Runner(folder, round, asked, door, watch, only, clock)
    silent = await runner.wave(asked.first_parts())
    first = asked.first_columns(lambda part: answer_of(folder, round, part))
    return [*silent, *await runner.wave(asked.further_parts(first))]


class _Runner:
    def __init__(
        self,
        folder: RoundFolder,
        round: Round,
        asked: Asking,
        door: Door,
        watch: Watch,
        only: frozenset[str],
        clock: Callable[[], float],
    ) -> None:
        self._folder, self._round, self._door, self._watch = folder, round, door, watch
        self._questions = {question.rule: question for question in asked.questions}
        self._only, self._clock = only, clock

    async def wave(self, parts: Mapping[str, Sequence[Part]]) -> list[Told]:
        """All parts at the same time; the silent ones."""
        told = await asyncio.gather(*(self._part(self._questions[rule], part) for rule, part in _flat(parts)))
        return [one for one in told if one.state == "silent"]

    async def _part(self, question: Question, part: Part) -> Told:
        department, keys = question.department, part.keys.num_rows
        if answer_of(self._folder, self._round, part) is not None:
            return self._tell(Told(department, part.rule, part.name, keys, "kept"))
        if self._only and department not in self._only:
            return self._tell(Told(department, part.rule, part.name, keys, "silent", code="rounds.left_out"))
        self._watch(Told(department, part.rule, part.name, keys, "asked"))
        began, at = self._clock(), time.monotonic()
        body = part.body()
        reply = await self._door.match(
            rule=part.rule,
            round=self._round.id,
            part=part.name,
            at=self._round.at.isoformat(),
            domain=part.domain,
            idempotency=idempotency(self._round, part),
            body=body,
        )
        took = time.monotonic() - at
        if not isinstance(reply, Refused):
            came = Came(began, took, len(body), len(reply.body), reply.receipt)
            kept = keep_answer(self._folder, self._round, part, reply.body, came)
            if not isinstance(kept, Refused):
                return self._tell(Told(department, part.rule, part.name, keys, "answered", took))
            reply = kept
        return self._tell(Told(department, part.rule, part.name, keys, "silent", took, reply.code))

    def _tell(self, told: Told) -> Told:
        self._watch(told)
        return told


def _flat(parts: Mapping[str, Sequence[Part]]) -> Iterable[tuple[str, Part]]:
    return [(rule, part) for rule, several in parts.items() for part in several]


def idempotency(round: Round, part: Part, attempt: int = 0) -> str:
    """Key under which a part is asked, the same however often it is sent (exchange protocol, section 6)."""
    named = f"{round.id}\n{part.name}\n{round.rules[part.rule]}\n{part.digest()}\n{attempt}"
    return sha256(named.encode()).hexdigest()[:32]
