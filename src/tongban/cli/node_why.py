"""`./tongban node why DIR CALL`: at which step of the gate a call ended, why, and what to do.

CALL is an entry's number in this node's log, an idempotency key, a receipt's file, or a refusal's code as it came.
What is told names no person: no case, no staff number, no subject.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tongban.cli import console, log_read
from tongban.cli.log_check import Receipt, ReceiptInvalid
from tongban.cli.root import checkout
from tongban.kit.errors import Invalid, TongbanError
from tongban.tlog.entry import Stored

#: The gate's order (protocol reference, section 7): the step in both languages, and what is refused there.
STEPS: Final = (
    ("大小、时间、频率 size, time, rate", "body_too_long slow_sender rate_limited"),
    ("形式 form of the message", """unknown_path wrong_method wrong_content_type header_missing header_doubled
     header_malformed signature_malformed ticket_missing"""),
    ("目录 the node's directory", "no_directory directory_expired"),
    ("签名 signature", "unknown_key revoked_key key_out_of_time bad_signature"),
    ("时效 freshness", "bad_lifetime clock_skew envelope_expired"),
    ("随机数 nonce", "replay before_start"),
    ("对象 whom it is for", "wrong_node"),
    ("授权 grant", """no_grant grant_expired grant_not_yet wrong_purpose field_not_granted rule_not_granted
     directory_too_old"""),
    ("事由票 ticket", """ticket_malformed ticket_forged ticket_foreign ticket_expired ticket_not_yet ticket_wrong_kind
     ticket_wrong_round ticket_wrong_purpose ticket_wrong_case"""),
    ("重复 idempotency", "idempotency_conflict repeated_too_often answer_gone"),
    ("限额 quota", "quota_spent"),
    ("正文 body", """digest_mismatch bad_request bad_subject wrong_domain wrong_asks gone keys_unsorted keys_doubled
     keys_mixed key_malformed wrong_schema truncated too_large subject_outside_ticket keys_outside_ticket
     second_date"""),
    ("读取 reading the register", """resource_not_served rule_not_served snapshot_gone too_many_records
     register_unavailable register_changed register_unclear register_slow fault"""),
    ("留痕 writing the log", "log_unavailable"),
    ("送达 the answer's way back", """no_answer answer_unsigned answer_malformed answer_foreign answer_forged
     answer_altered answer_too_large"""),
)  # fmt: skip
#: What may be told of a call.
_TOLD: Final = ("at", "call", "consumer", "provider", "node", "resource", "grant", "status", "code")
_CODE: Final = re.compile(r"[a-z]+\.[a-z_]+")
_ROW: Final = re.compile(r"^\| `([a-z]+\.[a-z0-9_]+)` \| [0-9–]+ \| ([^|]+) \| ([^|]+) \|$", re.M)


class NoSuchCall(Invalid):
    code = "cli.no_such_call"
    message = "The log in {folder} has no call {call!r}."
    remedy = "Give an entry's number, an idempotency key, a receipt's file, or the code of a refusal."


@dataclass(frozen=True, slots=True)
class Explained:
    """One call: what is known of it, where it ended (None: it was answered), what that means, what to do."""

    told: dict[str, Any]
    step: int | None
    code: str
    means: str
    remedy: str


def run(args: argparse.Namespace) -> int:
    found = list(explained(args.folder, args.call))
    for one in found:
        if args.json:
            step = None if one.step is None else STEPS[one.step][0]
            console.emit({**asdict(one), "step": step})
        else:
            _tell(one)
    return 1 if found[-1].code else 0


def explained(folder: Path, call: str) -> Iterator[Explained]:
    """What is known of the call; several for a key under which it was asked again. Raises NoSuchCall, NotALog."""
    if _CODE.fullmatch(call):
        yield _of({"code": call})
        return
    place = log_read.place(folder)
    records = list(_records(place, call))
    if not records:
        raise NoSuchCall(folder=folder, call=call)
    for record in records:
        yield _of(record)


def step_of(code: str) -> int | None:
    word = code.removeprefix("exchange.")
    return next((at for at, (_, words) in enumerate(STEPS) if word in words.split()), None)


# --- finding --------------------------------------------------------------------------------------


def _records(place: Path, call: str) -> Iterator[dict[str, Any]]:
    index = int(call) if call.isdigit() else _of_receipt(Path(call))
    if index is not None:
        held = log_read.entry(place, index)
        record = log_read.record_of(held) if held else None
        if held is not None and record is not None and log_read.leaf_of(held).get("kind") != "act":
            yield _whole(place, held, record)
        return
    for one in log_read.entries(place):
        record = log_read.record_of(one)
        if record is not None and record.get("idempotency") == call:
            yield _whole(place, one, record)


def _of_receipt(file: Path) -> int | None:
    """The entry that a receipt names in the asker's own log."""
    try:
        return Receipt.read(file.read_bytes()).own_entry
    except (OSError, ReceiptInvalid, ValueError):
        return None


def _whole(place: Path, one: Stored, record: dict[str, Any]) -> dict[str, Any]:
    """A look of our own and what came back for it stand in two entries."""
    kind = log_read.leaf_of(one).get("kind")
    if kind == "answer":
        asked = log_read.entry(place, int(record["request_entry"]))
        return {**((log_read.record_of(asked) if asked else None) or {}), **_back(record)}
    if kind != "request":
        return record
    for later in log_read.entries(place):
        answer = log_read.record_of(later) if later.index > one.index else None
        if answer is not None and answer.get("request_entry") == one.index:
            return {**record, **_back(answer)}
    return {**record, "code": "exchange.no_answer"}


def _back(answer: dict[str, Any]) -> dict[str, Any]:
    return {"status": answer["status"], "code": answer["code"]}


# --- telling --------------------------------------------------------------------------------------


def _of(record: dict[str, Any]) -> Explained:
    code = str(record.get("code", ""))
    told = {name: record[name] for name in _TOLD if record.get(name) not in (None, "")}
    means, remedy = _page().get(code, ("", "")) if code else ("", "")
    return Explained(told, step_of(code) if code else None, code, means, remedy)


def _page() -> dict[str, tuple[str, str]]:
    """Meaning and remedy by code, from the page that lists them all."""
    try:
        text = (checkout() / "docs" / "reference" / "errors.md").read_text("utf-8")
    except (OSError, TongbanError):
        return {}
    return {code: (means.strip(), remedy.strip()) for code, means, remedy in _ROW.findall(text)}


def _tell(one: Explained) -> None:
    for name, value in one.told.items():
        console.say(f"{name:>10}  {value}")
    if not one.code:
        console.say("已答复 · It was answered.")
        return
    for at, (name, _) in enumerate(STEPS):
        if one.step is None or at > one.step:
            break
        console.say(f"{'✗' if at == one.step else '✓'} {name}")
    console.say(f"{one.code}: {one.means}")
    console.say(f"怎么办 · What to do: {one.remedy}")
    if one.code == "exchange.no_answer":
        console.say("问题已留痕，对方是否看过不得而知。 The question is logged; whether it was looked at is not known.")
