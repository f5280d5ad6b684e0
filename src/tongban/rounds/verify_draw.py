#!/usr/bin/env python3
"""Check a published draw from its own files, with nothing but Python (3.10 or newer): python3 verify_draw.py BUNDLE

pool.csv: draw code, balls, fixed as a tree root before the seed existed. winners.csv: rank, draw code. draw.json: how.
"""

import collections.abc, hashlib, heapq, itertools, json, re, sys  # noqa: E401, I001
from pathlib import Path


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def tree_root(leaves: list[bytes]) -> bytes:  # RFC 9162, section 2.1.1
    level = [sha(b"\x00", leaf) for leaf in leaves] or [sha()]
    while len(level) > 1:
        pairs = [sha(b"\x01", *pair) for pair in zip(level[::2], level[1::2])]  # noqa: B905
        level = pairs + level[2 * len(pairs) :]  # an odd one goes up as it is
    return level[0]


def number(seed: bytes, code: bytes, balls: int) -> bytes:  # each ball has its number; a code's is the least
    return min(sha(seed, b":%b:%d" % (code, ball)) for ball in range(1, balls + 1))


def checks(bundle: str) -> collections.abc.Iterator[tuple[bool, str]]:
    pool, winners, text = (Path(bundle, name).read_bytes() for name in ("pool.csv", "winners.csv", "draw.json"))
    draw = json.loads(text)
    form = json.dumps(draw, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    yield form.encode() == text, f"draw.json is in its one form; its digest is {sha(text).hex()}"
    freeze, reveals, files = draw["freeze"]["body"], draw["reveals"], draw["files"]
    yield all(sha(Path(bundle, f).read_bytes()).hex() == files[f] for f in files), "the files are those of the draw"
    signed = "tongban/1 freeze\n" + json.dumps(freeze, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    yield sha(signed.encode()).hex() == draw["freeze_digest"], f"the freeze digest is {draw['freeze_digest']}"
    lines = pool.split(b"\n")
    well = lines.pop() == b"" and all(re.fullmatch(rb"[0-9a-f]{16},[1-9][0-9]{0,3}", line) for line in lines)
    codes = [(line[:16], int(line[17:])) for line in lines]
    yield well and all(a < b for (a, _), (b, _) in itertools.pairwise(codes)), "each code stands once, in order"
    yield (len(codes), sum(b for _, b in codes)) == (freeze["codes"], freeze["balls"]), f"{len(codes)} codes, as frozen"
    root = tree_root(lines)
    yield root.hex() == freeze["pool_root"], f"the pool's root is {root.hex()}, as frozen"
    yield set(reveals) == set(freeze["commitments"]), f"all {len(reveals)} seed parties have revealed, nobody else"
    for party, r in sorted((party, bytes.fromhex(r)) for party, r in reveals.items()):
        same = sha(b"tongban/seed/1\n%b\n" % party.encode(), r).hex() == freeze["commitments"].get(party)
        yield same and r.hex() == reveals[party] and len(r) == 32, f"{party} revealed what it had committed"
    seed = sha(b"tongban/draw/1\n", root, *(bytes.fromhex(reveals[party]) for party in sorted(reveals)))
    yield seed.hex() == draw["seed"], f"the seed is {seed.hex()}, from root and reveals"
    drawn = heapq.nsmallest(freeze["quota"], ((number(seed, *line), line[0]) for line in codes))
    expected = b"".join(b"%d,%b\n" % (rank, code) for rank, (_, code) in enumerate(drawn, 1))
    yield expected == winners, f"the {len(drawn)} winners, in this order, are exactly those drawn"


if __name__ == "__main__":
    try:
        results = [(print("ok " if good else "BAD", what), good)[1] for good, what in checks(sys.argv[1])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        sys.exit(f"BAD the bundle cannot be read ({type(error).__name__})")
    print("The draw holds; compare both digests with the log." if all(results) else "The draw does NOT hold.")
    sys.exit(0 if all(results) else 1)
