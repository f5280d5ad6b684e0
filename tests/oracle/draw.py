"""Pool, balls, seed and winners of the car lottery: an independent checker of the draw.

Second implementation of section 10 of docs/reference/car_lottery.md, written from that page alone with the Python
standard library. The Merkle root is that of RFC 9162, section 2.1.1.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any


class Broken(Exception):
    """Something of a draw that does not hold."""


# Balls and codes ---------------------------------------------------------------------------------------------------


def balls(at: date, pool: str, failed_draws: int) -> int:
    """Balls of one code in the pool `persons` or `units` of the round evaluated on `at`."""
    if failed_draws < 0:
        raise Broken("a count of failed draws below nought")
    if pool == "units":
        return 1
    if at < date(2014, 1, 1):
        return 1
    if at >= date(2021, 1, 1):
        return 1 + failed_draws // 2
    return 1 if failed_draws <= 24 else 2 + (failed_draws - 25) // 12


def draw_code(round_secret: bytes, application: str) -> str:
    return hmac.new(round_secret, application.encode("ascii"), hashlib.sha256).digest()[:8].hex()


# The frozen pool ---------------------------------------------------------------------------------------------------


def pool_file(pool: Mapping[str, int]) -> bytes:
    return "".join(f"{code},{pool[code]}\n" for code in sorted(pool)).encode("ascii")


def read_pool(file: bytes) -> dict[str, int]:
    """Balls by code; anything but the one form a pool has is Broken."""
    pool: dict[str, int] = {}
    for line in lines(file):
        found = re.fullmatch(rb"([0-9a-f]{16}),([1-9][0-9]*)", line)
        if not found:
            raise Broken("a line that is not CODE,BALLS")
        pool[found[1].decode()] = int(found[2])
    if pool_file(pool) != file:
        raise Broken("codes out of order, or a code twice")
    return pool


def lines(file: bytes) -> list[bytes]:
    if file and not file.endswith(b"\n"):
        raise Broken("the last line does not end")
    return file.split(b"\n")[:-1]


def pool_root(file: bytes) -> bytes:
    return merkle_root(lines(file))


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    left = 1
    while 2 * left < len(leaves):
        left *= 2
    return hashlib.sha256(b"\x01" + merkle_root(leaves[:left]) + merkle_root(leaves[left:])).digest()


# Seed --------------------------------------------------------------------------------------------------------------


def commitment(party: str, reveal: bytes) -> bytes:
    return hashlib.sha256(b"tongban/seed/1\n" + party.encode() + b"\n" + reveal).digest()


def seed(root: bytes, commitments: Mapping[str, bytes], reveals: Mapping[str, bytes]) -> bytes:
    """The seed of the draw; Broken unless exactly the committed parties reveal what they committed to."""
    if not commitments or commitments.keys() != reveals.keys():
        raise Broken("not exactly the parties that committed have revealed")
    if len(root) != 32:
        raise Broken("the pool root is not 32 bytes")
    for party, reveal in reveals.items():
        if len(reveal) != 32 or commitment(party, reveal) != commitments[party]:
            raise Broken(f"the reveal of {party} does not open its commitment")
    revealed = b"".join(reveals[party] for party in sorted(reveals))
    return hashlib.sha256(b"tongban/draw/1\n" + root + revealed).digest()


# Draw --------------------------------------------------------------------------------------------------------------


def number(seed: bytes, code: str, count: int) -> bytes:
    """The least of the code's `count` balls; bytes of one length compare as the numbers they are."""
    return min(hashlib.sha256(seed + f":{code}:{ball}".encode("ascii")).digest() for ball in range(1, count + 1))


def winners(seed: bytes, pool: Mapping[str, int], quota: int) -> list[str]:
    """The winning codes, first drawn first."""
    drawn = sorted(pool, key=lambda code: (number(seed, code, pool[code]), code))
    return drawn[:quota]


def check(
    file: bytes, commitments: Mapping[str, bytes], reveals: Mapping[str, bytes], quota: int, claimed: Sequence[str]
) -> bytes:
    """The seed of a draw whose claimed winners hold, in their order; else Broken."""
    drawn_by = seed(pool_root(file), commitments, reveals)
    if winners(drawn_by, read_pool(file), quota) != list(claimed):
        raise Broken("the claimed winners are not those of this pool, seed and quota")
    return drawn_by


# Freeze, log and bundle --------------------------------------------------------------------------------------------

FREEZE = {
    *("kind", "v", "round", "matter", "at", "pool", "pool_root", "codes", "balls", "quota"),
    *("policy", "verdicts", "rechecks", "commitments"),
}
DRAW = {"freeze", "freeze_digest", "log", "reveals", "opened_by", "seed", "files"}


def canonical(value: Any) -> bytes:
    """RFC 8785 for what stands in these files: ASCII keys, integers, texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def statement_digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"tongban/1 {body['kind']}\n".encode() + canonical(body)).hexdigest()


def round_leaf(round: str, stage: str, digest: str) -> str:
    """Hash of the log's leaf for a stage of a round (or of one pool of it)."""
    leaf = {"v": 1, "kind": "round", "body": {"round": round, "stage": stage, "digest": digest}}
    return hashlib.sha256(b"\x00" + canonical(leaf)).hexdigest()


def salted(round_secret: bytes, name: str, digest: str) -> str:
    salt = hmac.digest(round_secret, b"tongban/salt/1\n" + name.encode(), "sha256")
    return hmac.digest(salt, digest.encode("ascii"), "sha256").hex()


def recheck_id(round: str, application: str, rule: str) -> str:
    return hashlib.sha256("\n".join(["tongban/recheck/1", round, application, rule]).encode()).hexdigest()[:16]


def check_bundle(folder: Path) -> dict[str, Any]:
    """What draw.json says, once everything in the bundle agrees with it; else Broken. Signatures are not looked at."""
    text = (folder / "draw.json").read_text(encoding="utf-8")
    draw: dict[str, Any] = json.loads(text)
    if json.dumps(draw, ensure_ascii=False, indent=1, sort_keys=True) + "\n" != text or draw.keys() != DRAW:
        raise Broken("draw.json is not in its one form")
    if draw["files"].keys() != {"pool.csv", "winners.csv", "verify_draw.py"}:
        raise Broken("other files than a bundle has")
    for file, digest in draw["files"].items():
        if hashlib.sha256((folder / file).read_bytes()).hexdigest() != digest:
            raise Broken(f"{file} is not the draw's")
    check_freeze(draw)
    pool, freeze = (folder / "pool.csv").read_bytes(), draw["freeze"]["body"]
    counted = read_pool(pool)
    if (len(counted), sum(counted.values()), pool_root(pool).hex()) != (
        freeze["codes"],
        freeze["balls"],
        freeze["pool_root"],
    ):
        raise Broken("the pool is not the frozen one")
    told = [line.decode("ascii").split(",") for line in lines((folder / "winners.csv").read_bytes())]
    if [rank for rank, _ in told] != [str(rank) for rank in range(1, len(told) + 1)]:
        raise Broken("ranks do not run from 1 without gaps")
    commitments = {party: bytes.fromhex(text) for party, text in freeze["commitments"].items()}
    reveals = {party: bytes.fromhex(text) for party, text in draw["reveals"].items()}
    if check(pool, commitments, reveals, freeze["quota"], [code for _, code in told]).hex() != draw["seed"]:
        raise Broken("the seed is not that of the reveals")
    return draw


def check_freeze(draw: Mapping[str, Any]) -> None:
    """The freeze statement has its form, its digest, and is the one of the log's receipt; else Broken."""
    freeze = draw["freeze"]["body"]
    if draw["freeze"].keys() != {"body", "signatures"} or freeze.keys() != FREEZE:
        raise Broken("the freeze statement has other fields")
    if statement_digest(freeze) != draw["freeze_digest"]:
        raise Broken("the freeze has another digest")
    if draw["log"]["leaf"] != round_leaf(f"{freeze['round']}/{freeze['pool']}", "frozen", draw["freeze_digest"]):
        raise Broken("the receipt is for another leaf")
    if draw["opened_by"].keys() != freeze["commitments"].keys() or set(draw["opened_by"].values()) - {
        "party",
        "notary",
    }:
        raise Broken("it does not say who opened each share")
