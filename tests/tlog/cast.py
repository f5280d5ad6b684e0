"""A log of Civil Affairs's node, and entries to put into it."""

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

from tests.world import ANSWERING_KEY, CALLING_KEY, CIVIL_AFFAIRS, NOON, TRANSPORT
from tongban.kit.clock import MovedClock, stamp
from tongban.kit.keys import SigningKey
from tongban.tlog import segment
from tongban.tlog.log import Draft, Log

ORIGIN = f"{CIVIL_AFFAIRS}/civil-affairs"
KEYS = {key.public.id: key.public for key in (ANSWERING_KEY, CALLING_KEY)}
CALL = {"kind": "call", "n": 1}
A_ROUND = {"kind": "round", "body": {"round": "2014-06", "stage": "opened", "digest": "0" * 64}}


def a_log(directory: Path, **change: Any) -> Log:
    return Log.create(directory, ORIGIN, ANSWERING_KEY, MovedClock(NOON), **change)


def reopened(directory: Path, key: SigningKey = ANSWERING_KEY, **change: Any) -> Log:
    return Log.open(directory, ORIGIN, key, MovedClock(NOON), **change)


def a_signature_base(number: int, key: SigningKey = CALLING_KEY) -> bytes:
    return (
        f'"@method": POST\n"tongban-consumer": {TRANSPORT}\n'
        f'"@signature-params": ("@method" "tongban-consumer");created={NOON};nonce="{number:022d}";keyid="{key.id}"'
    ).encode()


def a_record(number: int = 0, **change: Any) -> dict[str, Any]:
    """What Civil Affairs keeps of a call by Transport, whose signature holds."""
    base = a_signature_base(number)
    record = {
        "at": stamp(NOON), "consumer": TRANSPORT, "provider": CIVIL_AFFAIRS, "node": "civil-affairs",
        "resource": "civil_affairs/marriage", "call": "query", "nonce": f"{number:022d}", "created": NOON,
        "key": CALLING_KEY.id, "request": hashlib.sha256(base).hexdigest(), "base": base.decode(),
        "signature": base64.b64encode(CALLING_KEY.sign(base)).decode(), "subjects": ["AAAAAAAAAAAAAAAAAAAAAA"],
        "fields": ["status"], "status": 200, "code": "", "outcome": "records",
    }  # fmt: skip
    return record | change


def small(number: int) -> Draft:
    """An entry as small as they get, for tests that need many."""
    return Draft(CALL, {"nonce": number})


def answer_base(index: int, leaf_hash: bytes, record: dict[str, Any]) -> bytes:
    """Stands in for the exchange's own: what an answer's signature covers, made again from the record."""
    return (
        f'"tongban-entry": {index}\n"tongban-leaf": {leaf_hash.hex()}\n"tongban-request": {record["request"]}\n'
        f'"@signature-params": ("tongban-entry" "tongban-leaf" "tongban-request");keyid="{ANSWERING_KEY.id}"'
    ).encode()


def answered(log: Log, count: int) -> None:
    """Calls with their answers, signed as the node signs them."""
    for number in range(log.tree.size, log.tree.size + count):
        record = a_record(number)
        entry = log.append_many([Draft(CALL, record, b'{"records":[]}')])[0]
        log.keep_signature(entry.index, ANSWERING_KEY.sign(answer_base(*entry, record)))


def killed(log: Log) -> None:
    """Leave the folder as a killed process leaves it: no last checkpoint, nothing flushed."""
    storage = log._storage
    for handle in (storage._tail, *storage._readers.values()):
        if handle >= 0:
            os.close(handle)
    storage._tail, storage._readers = -1, {}
    os.close(log._lock)
    log._lock = -1


def last_file(directory: Path) -> Path:
    return sorted((directory / "entries").iterdir())[-1]


def end_of(directory: Path) -> int:
    """Bytes of the last file's entries, without what was made ahead for the next."""
    return segment.read(last_file(directory)).good
