"""What a look over a node finds: what keeps it from answering, and what its owner should know of its registers."""

from collections.abc import Iterator
from dataclasses import dataclass

from tongban.exchange.listing import Resource
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
