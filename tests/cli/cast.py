"""Two nodes' folders and a published directory, as the commands meet them; the persons are those of `tests.world`."""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.city import Hub, a_key_entry, the_entries
from tests.world import (
    ANSWERING_KEY,
    APPLICANT,
    CALLING_KEY,
    CIVIL_AFFAIRS,
    CONSUMER_NODE,
    HUSBAND,
    NOON,
    PROVIDER_NODE,
    ROUND,
    RULE,
    TRANSPORT,
    a_key,
    a_request,
    a_round_ticket,
    a_ticket,
)
from tongban.cli import main
from tongban.exchange import envelope
from tongban.kit.clock import MovedClock, stamp
from tongban.kit.statement import Statement
from tongban.tlog.log import Draft, Entry, Log
from tongban.tlog.pseudonym import pseudonym

#: With which Transport signs a freeze.
TRANSPORT_APPROVAL = a_key(TRANSPORT, "approval")


def told(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Run one command: its exit status and what it said, on both streams."""
    capsys.readouterr()
    status = main.main([str(word) for word in words])
    said = capsys.readouterr()
    return status, said.out + said.err


def machine(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, list[dict[str, Any]]]:
    """Run one command for a machine: its exit status and its objects."""
    capsys.readouterr()
    status = main.main([*(str(word) for word in words), "--json"])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def a_directory(place: Path, entries: Sequence[Statement] | None = None) -> Path:
    """The city's published directory; Transport's approval key is in it too."""
    listed = [*the_entries(), a_key_entry(TRANSPORT_APPROVAL)] if entries is None else entries
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(Hub().publish(listed))
    return place


# Civil Affairs, who is asked


class Provider:
    """The log of Civil Affairs' node, with answers signed as its gate signs them."""

    def __init__(self, node: Path) -> None:
        origin = f"{CIVIL_AFFAIRS}/{PROVIDER_NODE}"
        self.log = Log.create(node / "log", origin, ANSWERING_KEY, MovedClock(NOON))
        self._asked = 0

    def name(self, person: str) -> str:
        return pseudonym(self.log.subject_key, "citizen", person)

    def enter(self, kind: str, n: int, about: dict[str, Any], **change: Any) -> Entry:
        """One answered call; `about` is what its record says beyond the call, `change` what the caller asked."""
        self._asked += 1
        request = a_request(nonce=f"{self._asked:022d}", **change)
        base = request.base.decode()
        record = {
            "at": stamp(NOON), "node": PROVIDER_NODE, "key": CALLING_KEY.id, "request": request.request_digest,
            "base": base, "signature": base64.b64encode(request.signature).decode(), "status": 200, "code": "",
            "body": hashlib.sha256(b"{}").hexdigest(), "answer_key": ANSWERING_KEY.id, "nonce": "secret nonce",
            "call": change.get("call", "query"), **_headers(base), **about,
        }  # fmt: skip
        entry = self.log.append_many([Draft({"kind": kind, "n": n}, record)])[0]
        rebuilt = envelope.answer_base(record, entry=entry.index, leaf=entry.leaf_hash.hex(), origin=self.log.origin)
        self.log.keep_signature(entry.index, ANSWERING_KEY.sign(rebuilt))
        return entry

    def fill(self) -> None:
        """Everything that can be asked about the applicant, and something about another."""
        one = {"subjects": [self.name(APPLICANT)], "fields": ["status"], "rows": 1, "outcome": "records"}
        self.enter("call", 1, one)
        self.enter("refused", 1, {"status": 403, "code": "exchange.field_not_granted"})
        alone = a_ticket(subjects=[("citizen", APPLICANT)])
        self.enter("refused", 1, {"status": 429, "code": "exchange.quota_spent"}, ticket=alone)
        other = {"subjects": [self.name(HUSBAND)], "fields": [], "outcome": "verdict", "verdict": 0x40}
        self.enter("call", 1, other, call="verify", resource=RULE)
        self.enter("repeat", 0, {"repeat_of": 0})
        self.enter("repeat", 0, {"repeat_of": 3})
        self.enter("call", 1, other | {"subjects": [self.name(APPLICANT)]}, call="verify", resource=RULE)
        match = {"call": "match", "resource": RULE, "ticket": a_round_ticket(), "case": f"{ROUND}/civil_affairs-0"}
        batch = {"round": ROUND, "part": "p", "rule": RULE, "rows": 3, "keys": "0" * 64, "persons_salt": "c2FsdA=="}
        self.enter("batch", 3, batch | {"outcome": "counts"}, **match)
        self.log.append_many([Draft({"kind": "batch-persons", "batch": 7, "n": 3, "root": "1" * 64})])


def _headers(base: str) -> dict[str, str]:
    """What the record says of the call, taken from what was signed."""
    lines = dict(line.split(": ", 1) for line in base.splitlines())
    names = ("consumer", "provider", "resource", "grant", "purpose", "case", "operator", "idempotency")
    return {name: lines[f'"tongban-{name}"'] for name in names}


def a_provider(node: Path) -> Path:
    """Civil Affairs' node: nine entries, a directory beside the log."""
    made = Provider(node)
    made.fill()
    made.log.close()
    a_directory(node / "directory.json")
    return node


# Transport, who asks


def a_consumer(node: Path, provider: Path) -> Path:
    """Transport's node: it asked what stands in entry 0 of `provider`; one question got no answer."""
    log = Log.create(node / "log", f"{TRANSPORT}/{CONSUMER_NODE}", CALLING_KEY, MovedClock(NOON))
    request = a_request()
    base = request.base.decode()
    asked = {
        "at": stamp(NOON), "base": base, "signature": base64.b64encode(request.signature).decode(), "call": "query",
        "request": request.request_digest, "key": CALLING_KEY.id, "node": PROVIDER_NODE, **_headers(base),
        "subjects": [pseudonym(log.subject_key, "citizen", APPLICANT)], "fields": ["status"],
    }  # fmt: skip
    leaf = hashlib.sha256(b"\x00" + leaf_of(provider, 0)).hexdigest()
    got = {"request_entry": 0, "origin": f"{CIVIL_AFFAIRS}/{PROVIDER_NODE}", "entry": 0, "leaf": leaf, "status": 200}
    said = b'"@signature-params": ("@status");keyid="%b"' % ANSWERING_KEY.id.encode()
    signed = {"base": said.decode(), "signature": base64.b64encode(ANSWERING_KEY.sign(said)).decode()}
    one = {"kind": "request", "n": 1}
    log.append_many([Draft(one, asked), Draft({"kind": "answer", "n": 1}, got | signed), Draft(one, asked)])
    log.close()
    a_directory(node / "directory.json")
    return node


def leaf_of(node: Path, index: int) -> bytes:
    from tongban.cli import log_read

    held = log_read.entry(node / "log", index)
    assert held is not None
    return held.leaf


def the_receipt(node: Path, own_entry: int = 1) -> dict[str, Any]:
    """What Transport was handed for its question."""
    leaf = hashlib.sha256(b"\x00" + leaf_of(node, 0)).hexdigest()
    return {"origin": f"{CIVIL_AFFAIRS}/{PROVIDER_NODE}", "entry": 0, "leaf": leaf, "own_entry": own_entry}


def flipped(path: Path, at: int) -> None:
    """Change one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
