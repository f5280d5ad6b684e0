"""The draw: a seed that nobody could know before the freeze, and the winners that follow from it.

Every ball has a number, SHA-256(seed ":" code ":" ball); a code's number is the least of its balls; the `quota`
least numbers win. Drawing without replacement where a code with three balls has three chances at each draw gives
the same odds, and nothing here is rounded, so anybody's computer finds the same winners.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tongban.kit import canonical
from tongban.kit.errors import Refused
from tongban.kit.statement import Statement, from_json
from tongban.rounds import parquet, verify_draw
from tongban.rounds.folder import RoundFolder, Stage, file_digest
from tongban.rounds.pool import read_pool
from tongban.rounds.round import log_body, read_round
from tongban.tlog import entry
from tongban.tlog.tree import leaf_hash

REVEAL_BYTES = 32


def commitment(party: str, reveal: bytes) -> str:
    """What `party` publishes before the freeze: it fixes `reveal` and says nothing about it."""
    return sha256(b"tongban/seed/1\n%b\n%b" % (party.encode(), reveal)).hexdigest()


def new_reveal(random: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """A party's secret share of the seed; with fewer bytes the commitment could be tried out."""
    return random(REVEAL_BYTES)


@dataclass(frozen=True, slots=True)
class Reveals:
    """Every party's share, and whose copy of it was opened."""

    shares: Mapping[str, bytes]
    opened_by: Mapping[str, str]  #: "party", or "notary" where the sealed copy had to be opened


def opened(
    commitments: Mapping[str, str], reveals: Mapping[str, bytes], sealed: Mapping[str, bytes] | None = None
) -> Reveals | Refused:
    """Every party's share, from itself or else from its notary's sealed copy; or why there is no draw yet.

    A share that does not match its commitment counts as none: a party could otherwise choose its share last.
    """
    sealed = sealed or {}
    if strangers := sorted({*reveals, *sealed} - set(commitments)):
        return Refused("rounds.reveal_foreign", f"not a seed party of this round: {', '.join(strangers)}")
    shares, by, wrong = {}, {}, []
    for party in sorted(commitments):
        for source, held in (("party", reveals), ("notary", sealed)):
            if party in held and _matches(party, held[party], commitments[party]):
                shares[party], by[party] = held[party], source
                break
        else:
            wrong.append(party)
    if not wrong:
        return Reveals(shares, by)
    if differing := sorted(set(wrong) & {*reveals, *sealed}):
        return Refused(
            "rounds.reveal_differs", f"not what was committed, the draw is postponed: {', '.join(differing)}"
        )
    return Refused("rounds.reveal_missing", f"not revealed, draw postponed: {', '.join(wrong)}")


def _matches(party: str, share: bytes, committed: str) -> bool:
    return len(share) == REVEAL_BYTES and commitment(party, share) == committed


def seed(pool_root: bytes, shares: Mapping[str, bytes]) -> bytes:
    """32 bytes that nobody knew while one of the parties kept its share to itself."""
    joined = b"".join(shares[party] for party in sorted(shares))
    return sha256(b"tongban/draw/1\n" + pool_root + joined).digest()


def winners(pool: Any, seed: bytes, quota: int) -> Any:
    """The first `quota` codes in the order of their numbers.

    Shape
        pool: code utf8 (16 hexadecimal digits), balls int32 of at least 1.
        returns: rank int64 from 1, code utf8; every code if the quota is not smaller than the pool.
    """
    with duckdb.connect() as engine:
        engine.register("pool", pool.select(["code", "balls"]))
        # Lower-case hexadecimal of one length sorts as the bytes it stands for.
        drawn = engine.sql(
            """
            SELECT code FROM (
                SELECT code, list_min(list_transform(
                    range(1, balls + 1), lambda ball: sha256($seed || encode(':' || code || ':' || ball)))) AS number
                FROM pool)
            ORDER BY number, code LIMIT $quota
            """,
            params={"seed": seed, "quota": quota},
        ).to_arrow_table()
    return pa.table({"rank": pa.array(range(1, drawn.num_rows + 1), pa.int64()), "code": drawn["code"]})


def winners_file(table: Any) -> bytes:
    lines = zip(table["rank"].to_pylist(), table["code"].to_pylist(), strict=True)
    return "".join(f"{rank},{code}\n" for rank, code in lines).encode()


def draw_file(freeze: Statement, reveals: Reveals, seed: bytes, files: Mapping[str, bytes], log: Any) -> bytes:
    """draw.json: all that is needed, beside the pool, to draw again. One form, so that it has one digest."""
    value = {
        "freeze": freeze.to_json(),
        "freeze_digest": freeze.digest(),
        "log": dict(log),
        "reveals": {party: share.hex() for party, share in reveals.shares.items()},
        "opened_by": dict(reveals.opened_by),
        "seed": seed.hex(),
        "files": {name: sha256(data).hexdigest() for name, data in files.items()},
    }
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def read_file(bundle: Path) -> dict[str, Any]:
    """What draw.json in `bundle` says."""
    return dict(json.loads((bundle / "draw.json").read_bytes()))


def write_bundle(place: Path, pool: bytes, freeze: Statement, reveals: Reveals, log: Mapping[str, Any]) -> Any:
    """Draw one pool and write its bundle into the empty directory `place`; returns the winners."""
    own = seed(bytes.fromhex(freeze.body["pool_root"]), reveals.shares)
    won = winners(read_pool(pool), own, freeze.body["quota"])
    program = Path(verify_draw.__file__).read_bytes()
    files = {"pool.csv": pool, "winners.csv": winners_file(won), "verify_draw.py": program}
    files["draw.json"] = draw_file(freeze, reveals, own, files, log)
    for name, data in files.items():
        (place / name).write_bytes(data)
    return won


def freeze_leaf(round: str, freeze: Statement) -> str:
    """Hash of the leaf by which the log must hold `freeze`, in hexadecimal."""
    body = log_body(round, "frozen", freeze.digest(), str(freeze.body["pool"]))
    return leaf_hash(entry.make({"kind": "round", "body": body}, None, b"")[0]).hex()


def draw(
    folder: RoundFolder,
    reveals: Mapping[str, bytes],
    receipts: Mapping[str, Mapping[str, Any]],
    sealed: Mapping[str, bytes] | None = None,
) -> bool | Refused:
    """Draw every frozen pool: True if it was done now, False if the same draw was there already.

    `receipts`: for each pool the log's answer to its freeze, {"origin", "entry", "leaf"}: a draw whose freeze is not
    in the log proves nothing. Raises Contradicted for another draw of the same round, OutOfOrder before the freeze.
    """
    round = read_round(folder)
    freezes = frozen_statements(folder)
    for pool, freeze in freezes.items():
        if receipts.get(pool, {}).get("leaf") != freeze_leaf(round.id, freeze):
            return Refused("rounds.freeze_not_logged", f"the log's receipt for the freeze of pool {pool} is missing")
    shares = opened(next(iter(freezes.values())).body["commitments"], reveals, sealed)
    if isinstance(shares, Refused):
        return shares
    inputs = {
        "frozen": folder.digest_of(Stage.FROZEN),
        "reveals": canonical.digest({party: share.hex() for party, share in shares.shares.items()}),
        "receipts": canonical.digest({pool: dict(receipts[pool]) for pool in freezes}),
    }
    return folder.step(Stage.DRAWN, inputs, lambda place: _draw_pools(folder, place, freezes, shares, receipts))


def _draw_pools(
    folder: RoundFolder,
    place: Path,
    freezes: Mapping[str, Statement],
    reveals: Reveals,
    receipts: Mapping[str, Mapping[str, Any]],
) -> None:
    codes = parquet.read(folder.directory(Stage.FROZEN) / "codes.parquet")
    won = []
    for pool, freeze in freezes.items():
        bundle = place / pool
        bundle.mkdir()
        lines = (folder.directory(Stage.FROZEN) / pool / "pool.csv").read_bytes()
        table = write_bundle(bundle, lines, freeze, reveals, receipts[pool])
        won.append(table.append_column("pool", pa.array([pool] * table.num_rows, pa.string())))
    table = pa.concat_tables(won).join(codes, ["pool", "code"]).sort_by([("pool", "ascending"), ("rank", "ascending")])
    table = table.select(["pool", "rank", "code", "application"])
    (place / "winners.parquet").write_bytes(parquet.to_bytes(table))


def frozen_statements(folder: RoundFolder) -> dict[str, Statement]:
    """The signed freeze statement of each pool. Raises OutOfOrder before the freeze."""
    folder.need(Stage.FROZEN)
    places = sorted(folder.directory(Stage.FROZEN).glob("*/freeze.json"))
    return {place.parent.name: from_json(canonical.decode(place.read_bytes().removesuffix(b"\n"))) for place in places}


def drawn_digest(bundle: Path) -> str:
    """What the log's `drawn` entry names: SHA-256 of draw.json, which `verify_draw.py` prints too."""
    return file_digest(bundle / "draw.json")
