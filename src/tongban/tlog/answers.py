"""The signatures of answers that were sent, beside the entries: 64 bytes an entry at a fixed place.

They are written after the answer left and never wait for the disk: whoever got the answer holds its signature too.
"""

import os
from pathlib import Path

from tongban.tlog.segment import FRAMES

SIGNATURE = 64
NONE = bytes(SIGNATURE)
_WAITING = 256  #: signatures gathered before they are written


def answer_file(directory: Path, number: int) -> Path:
    return directory / "answers" / f"{number:08d}.sig"


class Answers:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._waiting: dict[int, bytes] = {}

    def put(self, index: int, signature: bytes) -> None:
        """Keep the signature of the answer that names entry `index`; a failing disk delays it."""
        self._waiting[index] = signature
        if len(self._waiting) % _WAITING == 0:
            self.flush()

    def get(self, index: int) -> bytes | None:
        """None: no answer was signed, or its signature was lost with the machine."""
        held = self._waiting.get(index) or self._stored(index)
        return held if held and held != NONE else None

    def flush(self) -> None:
        """Hand what is gathered to the operating system. If the disk does not take it, it stays gathered."""
        try:
            for number in sorted({index // FRAMES for index in self._waiting}):
                self._write(number)
        except OSError:
            # Appends fail for the same reason and say so; nothing new can be signed meanwhile.
            return

    def _write(self, number: int) -> None:
        ours = sorted(index for index in self._waiting if index // FRAMES == number)
        handle = os.open(answer_file(self._directory, number), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            for first, count in _runs(ours):
                data = b"".join(self._waiting[index] for index in range(first, first + count))
                if os.pwrite(handle, data, first % FRAMES * SIGNATURE) != len(data):
                    return
                for index in range(first, first + count):
                    del self._waiting[index]
        finally:
            os.close(handle)

    def _stored(self, index: int) -> bytes:
        try:
            with open(answer_file(self._directory, index // FRAMES), "rb") as file:
                return os.pread(file.fileno(), SIGNATURE, index % FRAMES * SIGNATURE)
        except FileNotFoundError:
            return b""


def _runs(indices: list[int]) -> list[tuple[int, int]]:
    """Neighbouring indices as (first, count)."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and sum(runs[-1]) == index:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((index, 1))
    return runs
