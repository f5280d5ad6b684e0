"""The pool: who is in the draw, under which code, with how many balls.

A pool file has one line a code, `draw code,balls` and a line feed, ascending by code; its root (RFC 9162, one
leaf a line) is what is committed to before anybody can know the seed.
"""

from bisect import bisect_left
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from tongban.kit.errors import Invalid
from tongban.rounds.policy import Policy, Step
from tongban.tlog.tree import Tree, leaf_hash, verify_inclusion

Balls = npt.NDArray[np.int32]
_BLOCK = 64  #: bytes in a block of SHA-256, to which HMAC pads its key


class CodesCollide(Invalid):
    """Two applications got the same draw code: once in millions of rounds."""

    code = "rounds.codes_collide"
    message = "Two applications have the same draw code."
    remedy = "Remove round.key before anything is frozen, so that the round gets a fresh secret."


class NoStep(Invalid):
    """The ladder says nothing about a pool that is to be drawn."""

    code = "rounds.no_ladder"
    message = "The ladder has no line for pool {pool}."
    remedy = "Add one to ladder.csv and open the round again."


def draw_codes(applications: Any, secret: bytes) -> Any:
    """Draw code of each application: the first 8 bytes of HMAC-SHA-256(secret, application), in hexadecimal.

    Fresh with every round's secret, so that nobody is recognised from one list to the next.
    """
    key = secret.ljust(_BLOCK, b"\0")
    pads = {"inner": bytes(byte ^ 0x36 for byte in key), "outer": bytes(byte ^ 0x5C for byte in key)}
    hmac = "sha256($outer || unhex(sha256($inner || encode(application))))"
    with duckdb.connect() as engine:
        engine.register("listed", pa.table({"application": applications}))
        table = engine.sql(f"SELECT substr({hmac}, 1, 16) AS code FROM listed", params=pads).to_arrow_table()
    return table["code"].combine_chunks()


def balls(failed_draws: npt.NDArray[np.int32], ladder: tuple[Step, ...], pool: str) -> Balls:
    """Balls of each application in `pool` (基数序号). Raises NoStep."""
    steps = [step for step in ladder if step.pool == pool]
    if not steps or steps[0].failed_from > 0:
        raise NoStep(pool=pool)
    found = np.zeros(len(failed_draws), np.int32)
    for step in steps:
        above = failed_draws - step.failed_from
        more = above // step.then_every if step.then_every else 0
        found = np.where(above >= 0, step.balls + more, found).astype(np.int32)
    return found


def pool_table(entered: Any, secret: bytes, policy: Policy, pool: str) -> Any:
    """One pool.

    Shape
        entered: application utf8, pool utf8, failed_draws int32; other pools' rows are left out. A column `balls`
            int32 stands for the ladder where points were worked out already.
        returns: code utf8 ascending, balls int32, application utf8 (this column never leaves the department).
    Raises
        CodesCollide, NoStep.
    """
    own = entered.filter(pc.equal(entered["pool"], pool)).combine_chunks()
    codes = draw_codes(own["application"], secret)
    if "balls" in own.column_names:
        numbers = own["balls"].to_numpy()
    else:
        numbers = balls(own["failed_draws"].combine_chunks().to_numpy(), policy.ladder, pool)
    table = pa.table({"code": codes, "balls": pa.array(numbers, pa.int32()), "application": own["application"]})
    table = table.sort_by("code").combine_chunks()
    if pc.any(pc.equal(table["code"][1:], table["code"][:-1])).as_py():
        raise CodesCollide()
    return table


def pool_file(table: Any) -> bytes:
    """The lines that are published and committed to."""
    lines = pc.binary_join_element_wise(table["code"], table["balls"].cast(pa.string()), ",")
    return "".join(f"{line}\n" for line in lines.to_pylist()).encode()


def read_pool(file: bytes) -> Any:
    """The table of a pool file: code utf8, balls int32."""
    types = {"code": pa.string(), "balls": pa.int32()}
    if not file:
        return pa.table({name: pa.array([], kind) for name, kind in types.items()})
    return csv.read_csv(
        pa.BufferReader(file), csv.ReadOptions(column_names=list(types)), None, csv.ConvertOptions(column_types=types)
    )


def pool_lines(file: bytes) -> list[bytes]:
    """The leaves: lines without their line feed."""
    return file.split(b"\n")[:-1]


def pool_tree(file: bytes) -> Tree:
    tree = Tree()
    tree.extend(b"".join([sha256(b"\x00" + line).digest() for line in pool_lines(file)]))
    return tree


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Proof for one applicant that her code stood in the frozen pool, and with how many balls."""

    line: str  #: "0123456789abcdef,3"
    index: int
    size: int
    path: tuple[str, ...]  #: RFC 9162 section 2.1.3, hexadecimal

    def holds(self, pool_root: str) -> bool:
        """Whether the proof leads to the root that the freeze statement names."""
        path = [bytes.fromhex(node) for node in self.path]
        return verify_inclusion(leaf_hash(self.line.encode()), self.index, self.size, path, bytes.fromhex(pool_root))


def inclusion(file: bytes, code: str) -> Inclusion | None:
    """The proof for `code`; None if it is not in the pool."""
    lines = pool_lines(file)
    index = bisect_left(lines, code.encode())
    if index == len(lines) or lines[index][:16] != code.encode():
        return None
    path = pool_tree(file).inclusion_proof(index)
    return Inclusion(lines[index].decode(), index, len(lines), tuple(node.hex() for node in path))
