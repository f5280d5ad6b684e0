"""A process that appends without end and tells every acknowledged entry on its standard output. Run by test_crash.

python -m tests.tlog.writer FOLDER SEED
"""

import asyncio
import hashlib
import sys
from pathlib import Path

from tests.tlog.cast import CALL, a_record, reopened


async def acknowledge(folder: Path, seed: str) -> None:
    log = reopened(folder)
    print("ready", log.tree.size, log.torn.bytes if log.torn else 0, flush=True)

    async def write(writer: int) -> None:
        for number in range(1_000_000):
            record = a_record(outcome=f"{seed}-{writer}-{number}", signature="", base="x" * (number * 7 % 900))
            entry = await log.append(CALL, record, b"answer" * (number % 5))
            # One line, one system call: what the parent reads was acknowledged, what it does not read was not.
            print(entry.index, entry.leaf_hash.hex(), record["outcome"], flush=True)
            if writer == 0 and number % 50 == 49:
                print("checkpoint", hashlib.sha256(log.checkpoint()).hexdigest(), flush=True)

    await asyncio.gather(*(write(writer) for writer in range(16)))


if __name__ == "__main__":
    asyncio.run(acknowledge(Path(sys.argv[1]), sys.argv[2]))
