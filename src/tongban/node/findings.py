"""What a look over a node finds: what keeps it from answering, and what its owner should know of its registers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tongban.exchange.listing import Resource
from tongban.identity.identifiers import Domain
from tongban.kit.errors import TongbanError
from tongban.node.adapters.register import Register, key_place, key_place_as_written
from tongban.node.config import RegisterConfig, ResourceConfig
from tongban.node.snapshots import Snapshot


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `what` is empty when it holds, unless something should be known all the same."""

    where: str
    holds: bool
    what: str
    remedy: str = ""


def of_facts(resource: str, snapshot: Snapshot | None, listed: Resource | None) -> Iterator[Finding]:
    """Rows that name nobody: whoever they belong to, the register is silent about them."""
    if snapshot is None or not snapshot.nameless:
        return
    what, remedy = nameless(snapshot.nameless), NAMELESS
    if listed is not None and listed.complete is not None:
        day = listed.complete.as_of
        what += (
            f" 但目录载明本登记库自{day}起完整，查无记录可被答为“否”。"
            f" Yet the directory calls the register complete as of {day}, so that silence may be answered as a no."
        )
        remedy += " 补正之前，应撤回完整性声明。 Until then, take the statement of completeness back."
    yield Finding(f"facts {resource}", True, what, remedy)


def nameless(count: int) -> str:
    return f"{count:,}行认不出是谁的。 {count:,} rows name nobody."


#: What to do about rows that name nobody.
NAMELESS = (
    "这些行在快照文件夹的 rejects.*.parquet 内：补正号码后再刷新。"
    " rejects.*.parquet in the snapshot's folder holds these rows: give them their numbers and refresh."
)


def of_spelling(
    resource: ResourceConfig, place: RegisterConfig, register: Register, listed: Resource | None
) -> Iterator[Finding]:
    """A register that is asked without facts: how many of its numbers a look by number does not find."""
    where = f"spelling {resource.id}"
    counted = _counted(resource, place, register, listed)
    if counted is None:
        if not resource.exact:
            yield Finding(where, True, f"{_SILENCE} {_UNCOUNTED}", _GIVE_FACTS)
        return
    rows, odd = counted
    what = (
        f"{rows:,}行中有{odd:,}行的号码缺失或不是唯一写法，按号码查询查不到。"
        f" {odd:,} of {rows:,} rows have no number in its one spelling; no query finds them."
    )
    if not resource.exact:
        yield Finding(where, True, f"{_SILENCE} {what}", _GIVE_FACTS)
    elif odd:
        yield Finding(where, False, f"{_NOT_EXACT} {what}", _GIVE_FACTS)


_SILENCE = (
    "没有事实表，查无记录只说明“此写法查不到”，一律以 register_unclear 拒绝。 Without facts an empty reading only means"
    ' "not under this spelling", and is refused as register_unclear.'
)
_NOT_EXACT = 'spelling = "exact" 与登记库不符。 The register is not as spelling = "exact" in node.toml says.'
_UNCOUNTED = "有多少号码不是唯一写法，无法得知。 How many numbers are not in their one spelling cannot be told."
_GIVE_FACTS = (
    '为该资源配置 facts；或把号码统一为唯一写法，再写 spelling = "exact"。 Give the resource facts, or bring its'
    ' numbers into their one spelling and then say spelling = "exact".'
)


def _counted(
    resource: ResourceConfig, place: RegisterConfig, register: Register, listed: Resource | None
) -> tuple[int, int] | None:
    """Rows, and those that a look by number does not find; None where column or kind of number cannot be told."""
    import pyarrow.compute as pc

    from tongban.identity import columns

    if listed is None:
        return None
    try:
        numbers = _numbers(resource.point, place, register)
    except TongbanError:
        return None  # said of the resource itself
    if numbers is None:
        return None
    exact: Any = pc.equal(numbers, None)
    for domain in listed.domains:
        same = pc.fill_null(pc.equal(columns.text_keys(Domain(domain), numbers), numbers), False)
        exact = pc.or_(pc.fill_null(exact, False), same)
    return len(numbers), len(numbers) - (pc.sum(exact).as_py() or 0)


def _numbers(point: str, place: RegisterConfig, register: Register) -> Any:
    """The column in which a point SELECT looks its key up; None where it cannot be told, or is a view's.

    A view may take for ever, and a check is not to wait until a refresh would be broken off.
    """
    if place.kind == "postgresql":
        written = key_place_as_written(point, "postgres")
        if written is None:
            return None
        table, column = written
        named = table.replace("'", "''")
        kinds = register.extract(f"SELECT relkind::text AS kind FROM pg_class WHERE oid = to_regclass('{named}')")
        if kinds["kind"].to_pylist()[:1] not in (["r"], ["p"]):
            return None
    else:
        found = key_place(point, "sqlite" if place.kind == "url" else "duckdb")
        if found is None:
            return None
        table, column = ('"' + name.replace('"', '""') + '"' for name in found)
        kept = "SELECT name FROM sqlite_master WHERE type = 'table'"
        if place.kind == "url" and found[0] not in register.extract(kept)["name"].to_pylist():
            return None
    return register.extract(f"SELECT {column} AS number FROM {table}")["number"].combine_chunks()
