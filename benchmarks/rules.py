"""`./tongban bench rules`: one rule for one person and for a round, against the same written by hand.

The hand's versions know the rule, check nothing, carry no reasons for unknown and guard no arithmetic: they are the
floor, not a rival. CPU is this process's own, user and system, medians of interleaved rounds.
"""

import statistics
import time
import timeit
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from tongban.rules import engine
from tongban.rules.compile import CompiledRule, compile
from tongban.rules.facts import Column, FactTable, Type
from tongban.rules.places import Places
from tongban.rules.rule import Article, NoRecord, Rule, RuleReason, parameter_of

AT = date(2014, 6, 1)
LICENCE = FactTable(
    "bench/licence",
    ("citizen",),
    (
        Column("status", Type.CODE, codes=("正常", "注销")),
        Column("licence_class", Type.CODE, codes=("A1", "B1", "C1", "D")),
        Column("valid_until", Type.DATE),
    ),
)
INSURANCE = FactTable("bench/insurance", ("citizen",), (Column("paid", Type.MONTHS),))

#: The same question as somebody would write it for this round alone.
BY_HAND = """
SELECT keys.p, CAST(CASE
    WHEN facts.k IS NULL THEN 176
    WHEN status = '正常' AND licence_class IN ('A1', 'B1', 'C1') AND valid_until >= DATE '2014-06-01' THEN 64
    WHEN NOT (status = '正常' AND licence_class IN ('A1', 'B1', 'C1') AND valid_until >= DATE '2014-06-01') THEN
        CASE WHEN status <> '正常' THEN 1 WHEN valid_until < DATE '2014-06-01' THEN 2 ELSE 3 END
    ELSE 182 END AS UTINYINT) AS v
FROM keys LEFT JOIN facts ON keys.k = facts.k
"""


def run(persons: int = 1_000_000, rounds: int = 5) -> list[dict[str, Any]]:
    """Figures of one person and of `persons` against a register of twice as many."""
    licence, insurance = licence_rule(), insurance_rule()
    return [
        *single(licence, insurance),
        *batch(licence, persons, rounds),
        *few(licence, persons, rounds),
        figure("rules.compile", statistics.median(milliseconds(licence_rule) for _ in range(20)), "ms", bar=20.0),
    ]


def a_rule(met: str, reasons: list[tuple[str, str]], parameters: Mapping[str, Any]) -> Rule:
    texts = tuple(RuleReason(code, code, code, when) for when, code in reasons)
    return Rule(
        name="bench", valid_from=date(2014, 1, 1), valid_until=None, title="题", title_en="Title", resource="bench/x",
        article=Article("文", "源"), applies=None, subject="subject", asks=(),
        parameters={name: parameter_of(name, value) for name, value in parameters.items()}, state_on="at",
        max_snapshot_days=40, history_through=None, matched_by=None, met=met, no_record=NoRecord(), reasons=texts,
        default_reason=RuleReason("otherwise", "otherwise", "otherwise"), unknown_reason=None, missing_means=(),
        usual={}, situations=(), places=Places("bench.yaml"),
    )  # fmt: skip


def licence_rule() -> CompiledRule:
    met = "status = '正常' AND licence_class IN ({classes}) AND valid_until >= {at}"
    reasons = [("status <> '正常'", "status"), ("valid_until < {at}", "expired")]
    return compile(a_rule(met, reasons, {"classes": ["A1", "B1", "C1"]}), LICENCE)


def insurance_rule() -> CompiledRule:
    met = "months_all_paid(paid, add_months({at}, -1), {months})"
    return compile(a_rule(met, [("NOT month_paid(paid, add_months({at}, -1))", "stale")], {"months": 60}), INSURANCE)


# -- one person


def single(licence: CompiledRule, insurance: CompiledRule) -> list[dict[str, Any]]:
    good = {"status": "正常", "licence_class": "C1", "valid_until": date(2020, 1, 1)}
    bad = {**good, "valid_until": date(2010, 1, 1)}
    paid = {"paid_low": 2**60 - 1, "paid_high": 2**60 - 1, "paid_first": date(2004, 7, 1)}
    floor = microseconds(lambda: licence_by_hand(good))
    return [
        figure("rules.single.licence", microseconds(lambda: licence.single(good, {}, AT)), "µs", floor, bar=5.0),
        figure("rules.single.licence_refused", microseconds(lambda: licence.single(bad, {}, AT)), "µs", bar=5.0),
        figure("rules.single.insurance", microseconds(lambda: insurance.single(paid, {}, AT)), "µs", bar=5.0),
    ]


def licence_by_hand(row: Mapping[str, Any]) -> int:
    """The same for one person, without reasons and without unknown."""
    good = row["status"] == "正常" and row["licence_class"] in {"A1", "B1", "C1"} and row["valid_until"] >= AT
    return 64 if good else 3


def microseconds(call: Callable[[], Any]) -> float:
    """Best of ten: a shared machine only ever adds."""
    return min(timeit.repeat(call, number=2_000, repeat=10)) / 2_000 * 1e6


def milliseconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


# -- a round


def batch(licence: CompiledRule, persons: int, rounds: int) -> list[dict[str, Any]]:
    keys, facts = people(persons)
    value, floor = by_turns(licence, keys, facts, rounds)
    agree = (engine.evaluate(licence, keys, facts, None, AT, threads=2, memory_mb=4_096) == by_hand(keys, facts)).all()
    note = f"{persons:,} keys, {len(facts):,} fact rows, some keys without one; the same bytes: {agree}"
    found = figure("rules.batch.licence", value, "CPU s", floor, bar=1.6, of_ratio=True, note=note)
    return [found | {"holds": bool(found["holds"] and agree)}]


def few(licence: CompiledRule, persons: int, rounds: int) -> list[dict[str, Any]]:
    keys, facts = people(persons)
    keys = keys.take(pa.array(np.arange(0, len(keys), 100)))
    value, floor = by_turns(licence, keys, facts, rounds)
    note = f"{len(keys):,} keys of {len(facts):,} fact rows; by hand a join over the whole register"
    return [figure("rules.batch.few", value, "CPU s", floor, bar=1.6, of_ratio=True, note=note)]


def by_turns(licence: CompiledRule, keys: pa.Table, facts: pa.Table, rounds: int) -> tuple[float, float]:
    """Medians of the engine and of the query by hand, measured in turn: what slows the machine slows both."""
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(cpu(lambda: engine.evaluate(licence, keys, facts, None, AT, threads=2, memory_mb=4_096)))
        theirs.append(cpu(lambda: by_hand(keys, facts)))
    return statistics.median(ours), statistics.median(theirs)


def people(persons: int) -> tuple[pa.Table, pa.Table]:
    """Keys and a register of twice as many rows, sorted; generated, of nobody."""
    rng = np.random.default_rng(20140601)
    held = np.sort(rng.choice(6 * persons, 2 * persons, replace=False))
    keys = np.unique(
        np.concatenate([rng.choice(held, 2 * persons // 3, replace=False), rng.choice(6 * persons, persons // 2)])
    )
    size = len(held)
    facts = pa.table(
        {
            "k": held,
            "status": pa.array(["正常", "注销", None]).take(pa.array(rng.choice(3, size, p=[0.96, 0.03, 0.01]))),
            "licence_class": pa.array(["A1", "B1", "C1", "D"]).take(pa.array(rng.integers(0, 4, size))),
            "valid_until": pa.array(rng.integers(15_000, 19_000, size).astype(np.int32)).cast(pa.date32()),
        }
    )
    return pa.table({"k": keys[:persons]}), facts


def by_hand(keys: pa.Table, facts: pa.Table) -> Any:
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.register("keys", keys.append_column("p", pa.array(np.arange(len(keys), dtype=np.int32))))
        connection.register("facts", facts)
        answer = connection.sql(BY_HAND).to_arrow_table()
        found = np.empty(len(keys), np.uint8)
        found[answer["p"].combine_chunks().to_numpy()] = answer["v"].combine_chunks().to_numpy()
        return found


def cpu(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def figure(
    name: str,
    value: float,
    unit: str,
    baseline: float | None = None,
    *,
    bar: float,
    of_ratio: bool = False,
    note: str = "",
) -> dict[str, Any]:
    ratio = value / baseline if baseline else None
    held = (ratio if of_ratio else value) or 0.0
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "baseline": None if baseline is None else round(baseline, 3),
        "ratio": None if ratio is None else round(ratio, 2),
        "bar": f"≤ {bar:g} {'×' if of_ratio else unit}",
        "holds": held <= bar,
        "warm_or_cold": "warm",
        "note": note,
    }
