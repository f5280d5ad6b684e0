"""Rules, rows and batches for the tests of this room; a test says by keyword what is different in its story."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from tongban.rules import engine
from tongban.rules.compile import CompiledRule, compile
from tongban.rules.facts import Column, FactTable, Type
from tongban.rules.rule import Rule, read_rule

AT = date(2014, 6, 1)
LICENCES = FactTable(
    "public_security/driving_licence",
    ("citizen",),
    (
        Column("name", Type.TEXT),
        Column("status", Type.CODE, codes=("正常", "注销", "暂扣")),
        Column("licence_class", Type.CODE, codes=("A1", "B1", "C1", "D")),
        Column("valid_until", Type.DATE),
        Column("points", Type.INT, low=0, high=99),
        Column("fines", Type.INT),
        Column("paid", Type.MONTHS),
        Column("sure", Type.BOOL, nullable=False),
    ),
)
WRITTEN: Mapping[str, Any] = {
    "rule": "licence",
    "title": "有效驾驶证",
    "title_en": "A valid driving licence",
    "resource": "public_security/driving_licence",
    "article": {"text": "申请人应当持有有效的机动车驾驶证", "source": "示例办法第七条"},
    "parameters": {"classes": ["A1", "B1", "C1"]},
    "state_on": "at",
    "max_snapshot_days": 40,
    "met": "status = '正常' AND licence_class IN ({classes}) AND valid_until >= {at}",
    "no_record": "unknown",
    "reasons": [
        {"when": "status <> '正常'", "code": "licence_status", "say": "状态不正常", "say_en": "Not in force"},
        {"when": "valid_until < {at}", "code": "licence_expired", "say": "已过期", "say_en": "Expired"},
    ],
    "default_reason": {"code": "licence_class", "say": "车型不符", "say_en": "Another class"},
    "situations": [],
}
ROW: Mapping[str, Any] = {
    "name": "张三",
    "status": "正常",
    "licence_class": "C1",
    "valid_until": date(2020, 1, 1),
    "points": 0,
    "fines": 0,
    "paid_low": 0,
    "paid_high": 2**60 - 1,
    "paid_first": date(2004, 7, 1),
    "sure": True,
}
ASKED: Mapping[str, Any] = {}


class _Plain(yaml.SafeDumper):
    """Writes a value that stands twice in full, twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def a_file(folder: Path, text: str | None = None, *, name: str = "licence@2014-01-01.yaml", **change: Any) -> Path:
    """A rule's file with `text`, or with the usual rule changed; None takes a key out."""
    written = {key: value for key, value in {**WRITTEN, **change}.items() if value is not None}
    path = folder / name
    path.write_text(
        text if text is not None else yaml.dump(written, Dumper=_Plain, allow_unicode=True, sort_keys=False)
    )
    return path


def a_rule(folder: Path, **change: Any) -> Rule:
    return read_rule(a_file(folder, **change))


def a_compiled(
    folder: Path, *, facts: FactTable = LICENCES, complete: date | None = None, **change: Any
) -> CompiledRule:
    return compile(a_rule(folder, **change), facts, complete=complete)


def a_row(**change: Any) -> dict[str, Any]:
    return {**ROW, **change}


def in_batch(
    compiled: CompiledRule,
    rows: Sequence[Mapping[str, Any] | None],
    *,
    asked: Sequence[Mapping[str, Any]] | None = None,
    doubts: Sequence[int] = (),
    at: date = AT,
) -> list[int]:
    """Bytes of a batch whose keys are 0, 1, …; None is a person whom the register does not hold."""
    asked = asked or [{}] * len(rows)
    keys = pa.Table.from_pylist([{"k": k} | dict(row) for k, row in enumerate(asked)], engine.keys_schema(compiled))
    held = [{"k": k} | dict(row) for k, row in enumerate(rows) if row is not None]
    facts = pa.Table.from_pylist(held, engine.facts_schema(compiled))
    return in_both_ways(compiled, keys, facts, pa.array(doubts, pa.int64()), at)


def in_both_ways(compiled: CompiledRule, keys: pa.Table, facts: pa.Table, doubts: pa.Array, at: date) -> list[int]:
    """Looked up in sorted facts, and joined with the same out of order: the bytes must be the same."""
    looked_up = engine.evaluate(compiled, keys, facts, doubts, at, memory_mb=256).tolist()
    backwards = facts.take(pa.array(range(len(facts) - 1, -1, -1), pa.int64()))
    assert engine.evaluate(compiled, keys, backwards, doubts, at, memory_mb=256).tolist() == looked_up
    return looked_up


def both(compiled: CompiledRule, row: Mapping[str, Any] | None, at: date = AT, **asked: Any) -> int:
    """The byte for one person, asked alone and in a batch of one: they must be the same."""
    single = compiled.single(row, asked, at)
    assert in_batch(compiled, [row], asked=[asked], at=at) == [single]
    return single
