"""Writes the vectors of the exchange protocol: `python -m tests.exchange.vectors` prints its last section.

Everything comes from fixed keys, salts, nonces and times, so that another implementation gets the same bytes.
"""

import base64
import hashlib
from collections.abc import Iterator

from tests.exchange.city import ANSWERING_KEY, LOG_KEY, ORIGIN, ROOT_KEYS, TIMESTAMP_KEY, Hub, a_witnessing, the_entries
from tests.world import (
    APPLICANT,
    APPROVAL_KEY,
    CALLING_KEY,
    CIVIL_AFFAIRS,
    HUB_KEY,
    HUSBAND,
    NOON,
    PROVIDER_NODE,
    TICKET_KEY,
    a_grant_statement,
    a_request,
    a_round_ticket,
    a_ticket,
)
from tongban.exchange import bulk, directory, ticket
from tongban.exchange.ask import write_query
from tongban.exchange.envelope import JSON, sign_answer
from tongban.kit.statement import Statement, message
from tongban.tlog.tree import leaf_hash

TITLE = "## 9. Vectors"
BODY = write_query("citizen", APPLICANT, ["status"])
ANSWER = b'{"directory":1,"masked":[],"records":[{"status":"\xe5\xb7\xb2\xe5\xa9\x9a"}]}'
LEAF = hashlib.sha256(b"leaf").hexdigest()
KEYS = (
    ROOT_KEYS[0],
    ROOT_KEYS[1],
    HUB_KEY,
    TIMESTAMP_KEY,
    LOG_KEY,
    APPROVAL_KEY,
    ANSWERING_KEY,
    CALLING_KEY,
    TICKET_KEY,
)


def section() -> str:
    parts = [
        TITLE,
        *_keys(),
        *_request(),
        *_answer(),
        *_grant(),
        *_tickets(),
        *_directory(),
        *_witnessing(),
        *_batches(),
    ]
    return "\n\n".join(parts) + "\n"


def block(*lines: str | bytes) -> str:
    texts = [line.decode() if isinstance(line, bytes) else line for line in lines]
    return "\n".join(["```", *texts, "```"])


def table(head: str, rows: Iterator[tuple[str, ...]]) -> str:
    columns = head.split("|")
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _keys() -> Iterator[str]:
    yield "**Keys.** The seed of each Ed25519 key is the SHA-256 of its id. Public keys in base64:"
    yield table("id|public", ((f"`{key.id}`", f"`{b64(key.public.public)}`") for key in KEYS))


def _request() -> Iterator[str]:
    request = a_request(BODY)
    yield f"**Request.** Body, nonce of 22 times `n`, created {NOON}, expires {NOON + 60}; then the signature base:"
    yield block(BODY)
    yield block(request.base)
    yield "Request digest, content digest (both hexadecimal here), intent, and the header `signature`:"
    yield block(
        request.request_digest, hashlib.sha256(BODY).hexdigest(), request.intent, dict(request.headers)[b"signature"]
    )


def _answer() -> Iterator[str]:
    signed = sign_answer(
        ANSWERING_KEY,
        status=200,
        content_type=JSON,
        content_digest=hashlib.sha256(ANSWER).digest(),
        node=PROVIDER_NODE,
        request_digest=a_request(BODY).request_digest,
        entry=7,
        leaf=LEAF,
        origin=f"{CIVIL_AFFAIRS}/{PROVIDER_NODE}",
        created=NOON,
    )
    yield "**Answer** to it, status 200, entry 7, leaf hash SHA-256 of `leaf`: body, base, header `signature`:"
    yield block(ANSWER)
    yield block(signed.base)
    yield block(dict(signed.headers)[b"signature"])


def _signed(name: str, statement: Statement) -> Iterator[str]:
    yield f"{name}: signed bytes, digest, signatures:"
    signatures = (f"{id} {b64(raw)}" for id, raw in statement.signatures.items())
    yield block(message(statement.body), "", statement.digest(), *signatures)


def _grant() -> Iterator[str]:
    yield from _signed("**Grant**", a_grant_statement())


def _tickets() -> Iterator[str]:
    yield (
        f"**Case ticket** for the citizens {APPLICANT} and {HUSBAND}, salt of 16 zero bytes; their digests, unsorted:"
    )
    yield block(*(ticket.subject_digest(bytes(16), "citizen", key) for key in (APPLICANT, HUSBAND)))
    for name, text in (("The ticket", a_ticket()), ("**Round ticket**", a_round_ticket(domain="citizen"))):
        found = ticket.read(text)
        assert isinstance(found, ticket.CaseTicket | ticket.RoundTicket)
        yield from _signed(name, found.statement)
        yield "On the wire:"
        yield block(text)


def _directory() -> Iterator[str]:
    hub = Hub()
    entries = the_entries()
    head = hub.head(entries)
    yield from _signed("**Root**", hub.roots[0])
    yield f"**Entries** of a directory, {len(entries)} of them: digest and kind, sorted by digest, and their root:"
    listed = sorted((one.digest(), one.kind) for one in entries)
    yield block(*(f"{digest} {kind}" for digest, kind in listed), "", directory.entries_root(one for one, _ in listed))
    yield from _signed("**Head**", head)
    held = directory.leaf(head.digest(), head.body["version"])
    yield f"Its leaf in the log `{ORIGIN}`, and the leaf's hash:"
    yield block(held, leaf_hash(held).hex())


def _witnessing() -> Iterator[str]:
    yield from _signed("**Witnessing**, which is not among those entries", a_witnessing())


def _batches() -> Iterator[str]:
    import pyarrow as pa

    numbers, texts = [99010119790815902, 99010119800229901], ["E12345678", "军字第0001号"]
    yield "**Key columns** and their digests:"
    rows = ((", ".join(map(str, keys)), bulk.key_digest(pa.array(keys))) for keys in (numbers, texts))
    yield table("keys|digest", ((told, f"`{digest}`") for told, digest in rows))


if __name__ == "__main__":
    print(section(), end="")
