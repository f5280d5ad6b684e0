#!/usr/bin/env python3
"""Check a published draw from its own files, with nothing but Python (3.10 or newer): python3 verify_draw.py BUNDLE KEY

pool.csv: draw code, balls, fixed as a tree root before the seed existed. winners.csv: rank, draw code. draw.json: how.
KEY, in base64, is the department's public approval key in the city's directory: who froze the pool. It may be left out.
"""

import base64, collections.abc, heapq, itertools, json, re, sys  # noqa: E401, I001
from hashlib import sha256, sha512
from pathlib import Path

BALLS = [b"%d" % ball for ball in range(1, 10_000)]
Point = tuple[int, int]  # on the curve of RFC 8032, section 5.1
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def tree_root(lines: list[bytes]) -> bytes:  # RFC 9162, section 2.1.1
    level = b"".join([sha256(b"\x00" + line).digest() for line in lines]) or sha256().digest()
    while len(level) > 32:
        pairs = [sha256(b"\x01" + level[at : at + 64]).digest() for at in range(0, len(level) - 32, 64)]
        level = b"".join(pairs) + level[64 * len(pairs) :]  # an odd one goes up as it is
    return level


def number(seed: bytes, code: bytes, balls: int) -> bytes:  # each ball has its number; a code's is the least
    start = b"%b:%b:" % (seed, code)
    return min([sha256(start + ball).digest() for ball in BALLS[:balls]])


def add(one: Point, other: Point) -> Point:
    (a, b), (c, d) = one, other
    both = D * a * b * c * d
    return (a * d + b * c) * pow(1 + both, -1, P) % P, (b * d + a * c) * pow(1 - both, -1, P) % P


def times(factor: int, point: Point) -> Point:
    total = (0, 1)
    for bit in f"{factor:b}":
        total = add(total, total)
        total = add(total, point) if bit == "1" else total
    return total


def read_point(raw: bytes) -> Point:  # RFC 8032, section 5.1.3; raises ValueError
    odd, y = divmod(int.from_bytes(raw, "little"), 2**255)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    first = pow(square, (P + 3) // 8, P)
    roots = [x for x in (first, first * pow(2, (P - 1) // 4, P) % P) if x * x % P == square]
    if len(raw) != 32 or y >= P or not roots or (odd and not square):
        raise ValueError
    return (roots[0] if roots[0] % 2 == odd else P - roots[0]), y


def signed(key: bytes, message: bytes, signature: bytes) -> bool:  # Ed25519, RFC 8032, section 5.1.7
    try:
        base, owner, r = read_point((4 * pow(5, -1, P) % P).to_bytes(32, "little")), read_point(key), signature[:32]
        s, k = int.from_bytes(signature[32:], "little"), int.from_bytes(sha512(r + key + message).digest(), "little")
        well = len(signature) == 64 and s < L and times(8, owner) != (0, 1)  # a key of small order fits every message
        return well and times(s, base) == add(read_point(r), times(k % L, owner))
    except ValueError:
        return False


def checks(bundle: str, key: str = "") -> collections.abc.Iterator[tuple[bool, str]]:
    pool, winners, text = (Path(bundle, name).read_bytes() for name in ("pool.csv", "winners.csv", "draw.json"))
    draw = json.loads(text)
    form = json.dumps(draw, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    yield form.encode() == text, f"draw.json is in its one form; its digest is {sha256(text).hexdigest()}"
    freeze, reveals, files = draw["freeze"]["body"], draw["reveals"], draw["files"]
    same = all(sha256(Path(bundle, name).read_bytes()).hexdigest() == files[name] for name in files)
    yield same, "the files are those of the draw"
    message = b"tongban/1 freeze\n" + compact(freeze)
    yield sha256(message).hexdigest() == draw["freeze_digest"], f"the freeze digest is {draw['freeze_digest']}"
    if key:
        known = [base64.b64decode(each) for each in draw["freeze"]["signatures"].values()]
        yield any(signed(base64.b64decode(key), message, each) for each in known), f"the freeze is signed by {key}"
    body = {"digest": draw["freeze_digest"], "round": f"{freeze['round']}/{freeze['pool']}", "stage": "frozen"}
    leaf = sha256(b"\x00" + compact({"body": body, "kind": "round", "v": 1})).hexdigest()
    yield leaf == draw["log"]["leaf"], f"the receipt in the bundle is the log's for this freeze, with the leaf {leaf}"
    lines = pool.split(b"\n")
    well = lines.pop() == b"" and all(map(re.compile(rb"[0-9a-f]{16},[1-9][0-9]{0,3}").fullmatch, lines))
    yield well and all(a[:16] < b[:16] for a, b in itertools.pairwise(lines)), "each code stands once, in order"
    counted = (len(lines), sum(int(line[17:]) for line in lines))
    yield counted == (freeze["codes"], freeze["balls"]), f"{len(lines)} codes, as frozen"
    root = tree_root(lines)
    yield root.hex() == freeze["pool_root"], f"the pool's root is {root.hex()}, as frozen"
    yield set(reveals) == set(freeze["commitments"]), f"all {len(reveals)} seed parties have revealed, nobody else"
    for party, r in sorted((party, bytes.fromhex(r)) for party, r in reveals.items()):
        same = sha256(b"tongban/seed/1\n%b\n%b" % (party.encode(), r)).hexdigest() == freeze["commitments"].get(party)
        yield same and r.hex() == reveals[party] and len(r) == 32, f"{party} revealed what it had committed"
    opened = b"".join(bytes.fromhex(reveals[party]) for party in sorted(reveals))
    seed = sha256(b"tongban/draw/1\n" + root + opened).digest()
    yield seed.hex() == draw["seed"], f"the seed is {seed.hex()}, from root and reveals"
    drawn = heapq.nsmallest(freeze["quota"], ((number(seed, line[:16], int(line[17:])), line[:16]) for line in lines))
    expected = b"".join(b"%d,%b\n" % (rank, code) for rank, (_, code) in enumerate(drawn, 1))
    yield expected == winners, f"the {len(drawn)} winners, in this order, are exactly those drawn"


if __name__ == "__main__":
    try:
        results = [(print("ok " if good else "BAD", what), good)[1] for good, what in checks(*sys.argv[1:3])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        sys.exit(f"BAD the bundle cannot be read ({type(error).__name__})")
    shown = "" if sys.argv[2:] else " Not checked: who signed the freeze; give the department's key."
    shown += " Compare both digests and the leaf with the log."
    print("The draw holds." + shown if all(results) else "The draw does NOT hold.")
    sys.exit(0 if all(results) else 1)
