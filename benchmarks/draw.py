"""`./tongban bench draw`: draw a pool of the largest city, and check it as a stranger would, with Python alone.

Each part is a process of its own: one makes the pool, one makes `pool.csv` into a bundle (drawn, written, digests), and
the bundle's own verify_draw.py runs in an empty folder with `python3 -I`, the freeze's signature included.
Baseline: as many bare SHA-256 of 51 bytes, in one thread, as there are balls; for the check, leaves and nodes too.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

#: Codes, and how many of them win (a round of 2014, `policy/quota.csv`).
SIZES = {"hamlet": (3_000, 20), "small": (30_000, 200), "city": (300_000, 2_000), "metropolis": (3_000_000, 19_067)}
#: Balls of a code: one each; the ladder of 2021 after four failed draws on average; the same with families among them.
POOLS = ("one", "ladder", "families")
BARS = {"draw": 5.0, "verify": 15.0, "peak": 1024.0}  #: seconds, seconds, MiB, at `metropolis`
PARTIES = ("citizens", "notary-office", "transport")
SECRET = hashlib.sha256(b"benchmark").digest()


def run(size: str = "metropolis", pools: str = "one,ladder") -> list[dict[str, Any]]:
    """Figures of each kind of pool in `pools`, of one, ladder, families."""
    figures = []
    for kind in pools.split(","):
        with tempfile.TemporaryDirectory(prefix="tongban-draw-") as folder:
            figures += _measured(Path(folder), size, kind)
    return figures


def _measured(folder: Path, size: str, kind: str) -> list[dict[str, Any]]:
    bundle, empty = folder / "bundle", folder / "empty"
    empty.mkdir()
    own = [sys.executable, __file__]
    made = json.loads(_process([*own, "make", str(folder), size, kind], empty)[0])
    drawn, _, draw_peak = _process([*own, "draw", str(folder)], empty)
    told = json.loads(drawn)
    checking = [sys.executable, "-I", str(bundle / "verify_draw.py"), str(bundle), told["key"]]
    hashing = _bare(made["balls"])
    said, verify, verify_peak = _process(checking, empty)
    both = hashing + _bare(2 * made["codes"])
    same = "BAD" not in said and "The draw holds" in said and said.count("ok ") == 14
    whole, name = size == "metropolis", f"draw.{kind}"
    last = said.strip().rpartition("\n")[2]
    pool = f"{made['codes']:,} codes with {made['balls']:,} balls, {made['quota']:,} win"
    return [
        _figure(f"{name}.draw", told["seconds"], "s", hashing, BARS["draw"] if whole else None, pool),
        _figure(f"{name}.draw_peak", draw_peak, "MiB", None, None, "the process that draws, its libraries included"),
        _figure(f"{name}.verify", verify, "s", both, BARS["verify"] if whole else None, "python3 -I verify_draw.py"),
        _figure(f"{name}.verify_peak", verify_peak, "MiB", None, BARS["peak"] if whole else None, "the same process"),
        {"name": f"{name}.winners_equal", "value": same, "unit": "", "bar": True, "holds": same, "note": last},
    ]  # fmt: skip


def _process(command: list[str], place: Path) -> tuple[str, float, float]:
    """What it said, its seconds, its greatest resident MiB: a child counts its parent's too, so this stays small."""
    begun = time.perf_counter()
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode and "does NOT hold" not in said:
        raise RuntimeError(f"{command[2]} ended with {child.returncode}")
    return said, time.perf_counter() - begun, usage.ru_maxrss / 1024


def _bare(count: int) -> float:
    """Seconds of `count` SHA-256 of what a ball's number is made from."""
    text, sha256 = bytes(51), hashlib.sha256
    begun = time.perf_counter()
    for _ in range(count):
        sha256(text).digest()
    return time.perf_counter() - begun


def _figure(name: str, value: float, unit: str, baseline: float | None, bar: float | None, note: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "baseline": baseline and round(baseline, 4),
        "ratio": baseline and round(value / baseline, 2),
        "bar": bar,
        "holds": value <= bar if bar else None,
        "warm_or_cold": "warm",
        "note": note,
    }


# The processes -----------------------------------------------------------------------------------------------------


def make(folder: Path, size: str, kind: str) -> dict[str, int]:
    """Write the frozen pool, its freeze statement and the parties' shares."""
    import numpy as np
    import pyarrow as pa

    from tongban.kit import canonical
    from tongban.kit.statement import sign
    from tongban.rounds import draw, pool
    from tongban.rounds.policy import Step

    codes, quota = SIZES[size]
    random = np.random.default_rng(1)
    failed = random.poisson(0 if kind == "one" else 4, codes).astype(np.int32)
    balls = pool.balls(failed, (Step("persons", 0, 1, 0 if kind == "one" else 2),), "persons")
    if kind == "families":
        family = random.random(codes) < 0.02
        balls = np.where(family, random.integers(20, 400, codes), balls).astype(np.int32)
    applications = pa.array([f"{9_000_000_000_000 + n}" for n in range(codes)])
    table = pa.table({"code": pool.draw_codes(pa.chunked_array([applications]), SECRET), "balls": balls})
    lines = pool.pool_file(table.sort_by("code"))
    shares = {party: hashlib.sha256(party.encode()).digest() for party in PARTIES}
    body = {
        "kind": "freeze",
        "v": 1,
        "round": "bench-1",
        "matter": "car_lottery",
        "at": "2026-10-08",
        "pool": "persons",
        "pool_root": pool.pool_tree(lines).root().hex(),
        "codes": codes,
        "quota": quota,
        "balls": int(balls.sum()),
        "policy": "0" * 64,
        "verdicts": {},
        "rechecks": "0" * 64,
        "commitments": {party: draw.commitment(party, share) for party, share in shares.items()},
    }
    (folder / "bundle").mkdir()
    (folder / "pool.csv").write_bytes(lines)
    (folder / "freeze.json").write_bytes(canonical.encode(sign(body, _key()).to_json()))
    return {"codes": codes, "balls": int(balls.sum()), "quota": quota}


def drawn(folder: Path) -> dict[str, Any]:
    """From the frozen pool on disk to the bundle on disk."""
    from tongban.kit import canonical
    from tongban.kit.statement import from_json
    from tongban.rounds import draw

    freeze = from_json(canonical.decode((folder / "freeze.json").read_bytes()))
    shares = {party: hashlib.sha256(party.encode()).digest() for party in PARTIES}
    reveals = draw.Reveals(shares, dict.fromkeys(PARTIES, "party"))
    receipt = {"origin": "transport", "entry": 1, "leaf": draw.freeze_leaf("bench-1", freeze)}
    begun = time.perf_counter()
    draw.write_bundle(folder / "bundle", (folder / "pool.csv").read_bytes(), freeze, reveals, receipt)
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "key": base64.b64encode(_key().public.public).decode()}


def _key() -> Any:
    from tongban.kit.keys import SigningKey

    return SigningKey("transport.approval.1", SECRET)


if __name__ == "__main__":
    verb, place, *words = sys.argv[1:]
    print(json.dumps(make(Path(place), *words) if verb == "make" else drawn(Path(place))))
