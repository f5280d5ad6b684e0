"""What the operator of a node must be told before it hurts: keys and directory that end, heads nobody has seen.

The days and seconds are dated policy (`operation`). Told in the log of operation, at the door, in the metrics and by
`node check`. Nothing here names a person.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from tongban.calendar.day import day_of
from tongban.exchange.directory import Directory
from tongban.kit.clock import stamp
from tongban.node.operation import number

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that needs a person. `code` is stable, for whoever watches many nodes."""

    code: str
    what: str
    remedy: str


#: What keeps a node from answering, and not only will.
ENDED = frozenset({"node.key_ended", "node.key_unlisted"})
#: By role of a key, id and end in seconds since 1970; None: no directory here lists it.
Ends = dict[str, tuple[str, float | None]]


def of_keys(ends: Ends, now: float) -> Iterator[Alarm]:
    days = number("key_warning_days", day_of(now))
    for role, (id, end) in ends.items():
        if end is None:
            yield Alarm("node.key_unlisted", f"key {id} ({role}) is not listed", "Have the bureau list its entry.")
        elif end <= now:
            yield Alarm("node.key_ended", f"key {id} ({role}) ended {stamp(end)}", _CHANGE.format(role=role))
        elif end - now < days * DAY:
            left = int((end - now) // DAY)
            what = f"key {id} ({role}) ends {stamp(end)}, in {left} days"
            yield Alarm("node.key_ends", what, _CHANGE.format(role=role))


_CHANGE = "Make the next one now: ./tongban node rotate-key DIR --role {role}"


def of_directory(directory: Directory | None, now: float) -> Iterator[Alarm]:
    if directory is None:
        return
    today = day_of(now)
    left = directory.head.expires_at - now
    remedy = "Look whether the bureau publishes, and whether this node reaches it."
    if left < number("directory_ends_seconds", today):
        until = stamp(directory.head.expires_at)
        yield Alarm("node.directory_ends", f"the directory ends {until}; from then on no call is answered", remedy)
    if directory.root.expires_at - now < number("key_warning_days", today) * DAY:
        until = stamp(directory.root.expires_at)
        yield Alarm("node.root_ends", f"the city's root ends {until}", "Ask the bureau for its next root.")


def of_log(unproven: int, broken: int, cosigned_age: float | None, wanted: int, today: date) -> Iterator[Alarm]:
    """`cosigned_age`: seconds since the newest head that enough witnesses have seen; None: there is none."""
    if broken:
        what = f"{broken} receipts name a leaf that the provider's log does not hold"
        yield Alarm("node.receipt_broken", what, "Keep both logs' entries, and show them to the bureau.")
    if unproven:
        seconds = number("unproven_seconds", today)
        what = f"{unproven} receipts lie under no witnessed head after {seconds} s"
        yield Alarm("node.receipt_unproven", what, "Ask the provider's operator; the answers themselves are kept.")
    if wanted and (cosigned_age is None or cosigned_age > number("cosigned_seconds", today)):
        what = "no head of this log" if cosigned_age is None else f"for {int(cosigned_age)} s no head of this log"
        remedy = "Look at the way to the witnesses; calls do not wait for them."
        yield Alarm("node.log_unwitnessed", f"{what} was seen by enough witnesses", remedy)
