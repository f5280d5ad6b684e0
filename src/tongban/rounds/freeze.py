"""The freeze: from here on nobody comes into a pool, leaves it, or gets another ball.

What is committed to, before anybody can know the seed: each pool by its root, the policy, what every department
answered, the re-checks that counted, and each seed party's commitment.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tongban.kit import canonical
from tongban.kit.errors import Refused
from tongban.kit.keys import SigningKey
from tongban.kit.statement import sign
from tongban.rounds import parquet
from tongban.rounds.folder import RoundFolder, Stage, file_digest
from tongban.rounds.points import points
from tongban.rounds.policy import Policy
from tongban.rounds.pool import pool_file, pool_table, pool_tree
from tongban.rounds.recheck import Recheck, digest_of, effective, rechecks
from tongban.rounds.round import Round, read_round, read_secret, salted
from tongban.rounds.steps import corrections, read_heard, read_verdicts, write_findings
from tongban.rounds.verdicts import NOT_ASKED, Asking, corrected
from tongban.rules.decision import Decision

_COMMITMENT = re.compile(r"[0-9a-f]{64}")


def freeze(
    folder: RoundFolder,
    asked: Asking,
    decisions: Mapping[str, Decision],
    commitments: Mapping[str, str],
    key: SigningKey,
    software: Mapping[str, str],
    *,
    leave_open: bool = False,
) -> bool | Refused:
    """Freeze every pool that has a quota: True if it was done now, False if it was done before from the same input.

    `commitments`: seed party to its commitment (`draw.commitment`), from every party of the round and nobody else.
    `leave_open`: freeze although re-checks are still open; they can then only lead to the published remedy.
    Raises OutOfOrder, Contradicted, CodesCollide.
    """
    folder.need(Stage.DECIDED)
    round = read_round(folder)
    if not round.policy.draws:
        return Refused("rounds.no_draw", "nothing is drawn in this matter: the findings are its result")
    if set(commitments) != set(round.parties) or not all(map(_COMMITMENT.fullmatch, commitments.values())):
        return Refused("rounds.commitments_incomplete", f"needed from exactly: {', '.join(sorted(round.parties))}")
    every = rechecks(folder)
    counted = effective(every)
    if not leave_open and folder.stage is Stage.DECIDED and (refused := _open_refusal(folder, asked, every, counted)):
        return refused
    secret = read_secret(folder)
    heard = read_heard(folder)
    common = {
        "policy": round.policy.digest(),
        "verdicts": {rule: salted(secret, f"verdicts {rule}", one.answers) for rule, one in heard.items()},
        "rechecks": salted(secret, "rechecks", digest_of(counted)),
        "commitments": dict(commitments),
    }
    inputs = {
        "decided": folder.digest_of(Stage.DECIDED),
        "committed": canonical.digest(common),
        "secret": file_digest(folder.path / "round.key"),
    }

    def write(place: Path) -> None:
        columns = corrected(read_verdicts(folder), corrections(asked.applications, counted))
        table = write_findings(folder, place, asked, decisions, columns, key, software)
        _write_pools(folder, place, _entered(asked, table, round.policy), common, key)

    return folder.step(Stage.FROZEN, inputs, write)


def _open_refusal(
    folder: RoundFolder, asked: Asking, every: Sequence[Recheck], counted: Sequence[Recheck]
) -> Refused | None:
    """Re-checks that could still change who is in the pool."""
    waiting = sum(one.second is None for one in every)
    if waiting:
        return Refused("rounds.rechecks_open", f"{waiting} re-checks are not answered yet")
    columns = corrected(read_verdicts(folder), corrections(asked.applications, counted))
    known = asked.confirmed(columns)
    unasked = np.zeros(len(known), np.bool_)
    for question in asked.questions:
        unasked |= known & (columns[question.rule] == NOT_ASKED) & ~asked.applications.settled()
    if unasked.any():
        return Refused(
            "rounds.rechecks_unasked",
            f"{unasked.sum()} re-checks confirmed an identity and the further rules were not asked;"
            " `./tongban round back --because TEXT`, then `round verify`, asks them",
        )
    return None


def _entered(asked: Asking, table: Any, policy: Policy) -> Any:
    """Who is in a pool: eligible applications, with what decides about their balls."""
    applications = asked.applications
    found = applications.only(["application", "pool", "failed_draws"])
    if applications.families:
        found = found.filter(pa.array(applications.heads()))
        found = found.append_column("balls", pa.array(points(applications, policy)))
    return found.filter(pc.equal(table["status"], "eligible"))


def _write_pools(folder: RoundFolder, place: Path, entered: Any, common: Mapping[str, Any], key: SigningKey) -> None:
    round, secret = read_round(folder), read_secret(folder)
    tables = []
    for pool in round.policy.pools:
        table = pool_table(entered, secret, round.policy, pool)
        lines = pool_file(table)
        (place / pool).mkdir()
        (place / pool / "pool.csv").write_bytes(lines)
        statement = sign(statement_body(round, pool, lines, table, common), key)
        (place / pool / "freeze.json").write_bytes(canonical.encode(statement.to_json()) + b"\n")
        tables.append(table.append_column("pool", pa.array([pool] * table.num_rows, pa.string())))
    codes = pa.concat_tables(tables).select(["pool", "code", "balls", "application"])
    (place / "codes.parquet").write_bytes(parquet.to_bytes(codes))


def statement_body(round: Round, pool: str, lines: bytes, table: Any, common: Mapping[str, Any]) -> dict[str, Any]:
    """The freeze statement of one pool. It holds no time: the log's checkpoint says when it was there.

    `common` is what all pools of the round commit to: policy, verdicts, rechecks, commitments.
    """
    return {
        "kind": "freeze",
        "v": 1,
        "round": round.id,
        "matter": round.matter,
        "at": round.at.isoformat(),
        "pool": pool,
        "pool_root": pool_tree(lines).root().hex(),
        "codes": int(table.num_rows),
        "balls": int(pc.sum(table["balls"]).as_py() or 0),
        "quota": round.policy.quotas[pool],
        **common,
    }
