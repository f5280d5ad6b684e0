"""How often a random test repeats: a small count in every run, a large one in `./tongban test --full NAME`."""

import os


def count(name: str, usual: int, full: int) -> int:
    """`usual`, or in the full run of `name` this chunk's share of `full`.

    The names are those of cli/full.py. Each chunk has its own `seed`: only a test that draws from it (or from
    Hypothesis) sees `full` different cases over all chunks.
    """
    if os.environ.get("TONGBAN_FULL") not in (name, "all"):
        return usual
    chunks = int(os.environ.get("TONGBAN_CHUNK", "0/1").partition("/")[2])
    return -(-full // chunks)


def seed() -> int:
    """Seed for random choices that are not Hypothesis's own: the run's, which `./tongban test` prints."""
    return int(os.environ.get("TONGBAN_SEED", "0"))
