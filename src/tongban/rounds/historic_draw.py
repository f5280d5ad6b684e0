#!/usr/bin/env python3
"""Draw a round of the past again, as the published program did: python3 historic_draw.py POOL QUOTA SEED [CODE]

POOL: a text file with a 13-digit application code a line, in the published order. A code that has several balls
(基数序号) stands in several lines. SEED: the six digits that were drawn in public.

It only re-checks history and never draws: a million seeds can be tried out beforehand, so a list could be made to fit
one. Draws of today have a seed that nobody can know (verify_draw.py).
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

WON, LOST, NOT_THERE = "中签", "未中签", "编码不存在"
_BIG = 2**31 - 1
_TRIES_PER_LINE = 10  #: the program gave up after so many numbers for each line of the pool


class NotAPool(ValueError):
    """Says what is wrong with a pool, a quota or a seed."""


class Generator:
    """The numbers of .NET's classic `System.Random(seed)`, Knuth's subtractive generator as that library has it."""

    def __init__(self, seed: int) -> None:
        state = [0] * 56
        state[55] = last = 161_803_398 - seed
        value = 1
        for step in range(1, 55):
            at = 21 * step % 55
            state[at], value, last = value, (last - value) % _BIG, value
        for _ in range(4):
            for at in range(1, 56):
                state[at] = (state[at] - state[1 + (at + 30) % 55]) % _BIG
        self._state, self._one, self._other = state, 0, 21

    def next(self) -> int:
        self._one, self._other = self._one % 55 + 1, self._other % 55 + 1
        value = self._state[self._one] - self._state[self._other]
        if value < 0:
            value += _BIG
        self._state[self._one] = value
        return value

    def below(self, most: int) -> int:
        """Next(most): by way of a double, as the library computes it; a whole-number formula differs now and then."""
        return int(self.next() * (1.0 / _BIG) * most)


@dataclass(frozen=True)
class Draw:
    """What came of a draw. `numbers`: lines of the pool from 1, in the order drawn; empty where nothing was drawn."""

    codes: Sequence[str]
    numbers: Sequence[int]
    winners: Sequence[str]
    gave_up: bool  #: fewer winners than the quota, after ten numbers for each line

    def status(self, code: str) -> str:
        if code not in self.codes:
            return NOT_THERE
        return WON if code in self.winners else LOST


def read_pool(path: Path) -> list[str]:
    """Raises NotAPool."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    for number, line in enumerate(lines, 1):
        if not re.fullmatch(r"[0-9]{13}", line):
            raise NotAPool(f"line {number} of the pool is not a code of 13 digits")
    return lines


def read_seed(text: str) -> int:
    """Raises NotAPool."""
    if not re.fullmatch(r"[0-9]{6}", text):
        raise NotAPool("the seed is not six digits")
    return int(text)


def draw(codes: Sequence[str], quota: int, seed: int) -> Draw:
    """The draw of that time. Where the quota is no smaller than the number of codes, everybody wins undrawn."""
    if quota < 0:
        raise NotAPool("the quota is below nought")
    if quota >= len(set(codes)):
        return Draw(codes, (), tuple(dict.fromkeys(codes)), False)
    won: dict[str, int] = {}
    for number in _numbers(len(codes), seed):
        if len(won) == quota:
            break
        # A further ball of a code that has won is passed over, as is the same ball drawn twice.
        won.setdefault(codes[number], number + 1)
    return Draw(codes, tuple(won.values()), tuple(won), len(won) < quota)


def _numbers(total: int, seed: int) -> Iterator[int]:
    generator = Generator(seed)
    return (generator.below(total) for _ in range(total * _TRIES_PER_LINE))


if __name__ == "__main__":
    try:
        drawn = draw(read_pool(Path(sys.argv[1])), int(sys.argv[2]), read_seed(sys.argv[3]))
    except (OSError, ValueError, IndexError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    if asked := sys.argv[4:]:
        print("\n".join(f"{code} {drawn.status(code)}" for code in asked))
    else:
        print("\n".join(f"{rank},{code}" for rank, code in enumerate(drawn.winners, 1)))
