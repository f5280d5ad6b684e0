"""What an operator's monitor reads of a node: Prometheus text, at the local door only.

Counts, ages and sizes. No label names a person, a case or a staff number; a label's values come from closed tables
and from the node's own file, never from what a caller sends.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from tongban.exchange.refusals import STATUS

if TYPE_CHECKING:
    from tongban.node.program import Node

TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
#: Upper ends of the classes of latency, seconds.
CLASSES: Final = (0.002, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
_CALLS: Final = {b"/v1/query": "query", b"/v1/verify": "verify", b"/v1/match": "match"}
ANSWERED: Final = "answered"


class Counts:
    """Calls by kind and outcome, and how long they took; one for those that come in and one for those that go out."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, str], int] = {}
        self.classes: dict[str, list[int]] = {}
        self.seconds: dict[str, float] = {}

    def took(self, call: str, outcome: str, began: float) -> None:
        """One call is over; `began` by time.perf_counter."""
        spent = time.perf_counter() - began
        key = call, outcome
        self.outcomes[key] = self.outcomes.get(key, 0) + 1
        classes = self.classes.get(call)
        if classes is None:
            classes = self.classes[call] = [0] * (len(CLASSES) + 1)
            self.seconds[call] = 0.0
        at = 0
        while at < len(CLASSES) and spent > CLASSES[at]:
            at += 1
        classes[at] += 1
        self.seconds[call] += spent


def call_of(path: bytes) -> str:
    return _CALLS.get(path, "other")


def outcome_of(code: str) -> str:
    """A refusal's code where it is one of ours; another's own words are no label."""
    return code if code in STATUS or not code else "other"


Sample = tuple[str, dict[str, str], float]


def rendered(node: "Node") -> bytes:
    """All of it, as text."""
    lines: list[str] = []
    for name, (kind, told), samples in _families(node):
        lines += [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{end}{_labels(labels)} {value:.10g}" for end, labels, value in samples]
    return ("\n".join(lines) + "\n").encode()


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    # What stands here comes from node.toml and from tables; a quote in it would still end the line's meaning.
    quoted = (f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels.items())
    return "{" + ",".join(quoted) + "}"


_ESCAPED: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})

Family = tuple[str, tuple[str, str], Iterable[Sample]]


def _families(node: "Node") -> Iterator[Family]:
    yield from _of_calls(node)
    now = node.clock.seconds()
    yield "tongban_answers", ("gauge", "1 if the node takes calls"), [("", {}, float(node.answers()))]
    yield from _of_log(node, now)
    yield from _of_directory(node, now)
    yield "tongban_quota_used", ("gauge", "part of a grant's quota spent in its window"), _quotas(node)
    yield "tongban_snapshot_age_seconds", ("gauge", "since midnight of the day facts stand for"), _snapshots(node, now)
    alarms = [("", {"code": one.code}, 1.0) for one in {one.code: one for one in node.alarms()}.values()]
    yield "tongban_alarm", ("gauge", "what needs a person; the door's health says more"), alarms


def _of_calls(node: "Node") -> Iterator[Family]:
    sides = {"in": node.exchange.counts, "out": node.door.counts}
    yield (
        "tongban_calls_total",
        ("counter", "calls that came in and went out"),
        [
            ("", {"side": side, "call": call, "outcome": outcome}, number)
            for side, counts in sides.items()
            for (call, outcome), number in sorted(counts.outcomes.items())
        ],
    )
    yield (
        "tongban_call_seconds",
        ("histogram", "how long calls took"),
        [
            sample
            for side, counts in sides.items()
            for call in sorted(counts.classes)
            for sample in _took(counts, side, call)
        ],
    )
    running = node.journal.running
    yield "tongban_calls_running", ("gauge", "calls that are being answered"), [("", {}, running)]


def _took(counts: Counts, side: str, call: str) -> Iterator[Sample]:
    labels, so_far = {"side": side, "call": call}, 0
    for number, end in zip(counts.classes[call], (*map(str, CLASSES), "+Inf"), strict=True):
        so_far += number
        yield "_bucket", {**labels, "le": end}, so_far
    yield "_sum", labels, counts.seconds[call]
    yield "_count", labels, so_far


def _of_log(node: "Node", now: float) -> Iterator[Family]:
    size, standing = node.log.tree.size, node.cosigning.standing
    yield "tongban_log_entries", ("gauge", "entries of the log"), [("", {}, size)]
    yield "tongban_log_stopped", ("gauge", "1 if the log takes no entry any more"), [("", {}, float(node.log.stopped))]
    yield (
        "tongban_log_unwitnessed_entries",
        ("gauge", "entries under no head that enough witnesses have seen"),
        [("", {}, size - (standing.size if standing else 0))],
    )
    if standing and standing.seen:
        age = now - max(one.time for one in standing.seen)
        yield "tongban_cosigned_age_seconds", ("gauge", "since witnesses saw the log's newest head"), [("", {}, age)]
    late = node.proving.open
    yield (
        "tongban_receipts_unproven",
        ("gauge", "answers whose leaf lies under no witnessed head yet"),
        [("", {}, len(late))],
    )
    oldest = max((now - one.at for one in late), default=0.0)
    yield "tongban_receipt_oldest_unproven_seconds", ("gauge", "age of the oldest of them"), [("", {}, oldest)]
    yield (
        "tongban_receipts_broken",
        ("gauge", "answers whose leaf the provider's log contradicts"),
        [("", {}, node.proving.broken)],
    )
    waiting = node.persons.waiting()
    yield "tongban_batches_waiting", ("gauge", "batches whose persons are not committed yet"), [("", {}, waiting)]


def _of_directory(node: "Node", now: float) -> Iterator[Family]:
    directory = node.source.current
    if directory is not None:
        yield "tongban_directory_version", ("gauge", "of the directory in force"), [("", {}, directory.version)]
        yield "tongban_directory_age_seconds", ("gauge", "since it was issued"), [("", {}, directory.age(now))]
        left = directory.head.expires_at - now
        yield "tongban_directory_left_seconds", ("gauge", "until it ends"), [("", {}, left)]
    yield (
        "tongban_key_days_left",
        ("gauge", "days until a key ends"),
        [
            ("", {"role": role, "key": id}, (end - now) / 86_400)
            for role, (id, end) in node.keys.ends().items()
            if end is not None
        ],
    )


def _quotas(node: "Node") -> Iterator[Sample]:
    directory = node.source.current
    for grant, calls, persons in node.journal.quotas.spent():
        held = directory.grants.get(grant) if directory else None
        if held is not None:
            yield "", {"grant": grant, "of": "calls"}, calls / held.quota.calls
            yield "", {"grant": grant, "of": "persons"}, persons / held.quota.persons


def _snapshots(node: "Node", now: float) -> Iterator[Sample]:
    for resource in node.config.resources:
        snapshot = node.store.current(resource)
        if snapshot is not None:
            yield "", {"resource": resource}, now - time.mktime(snapshot.date.timetuple())
