"""What test_refusals and test_refused_batches stand on."""

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from tests.node.asking import Asker, Request, a_column, changed_base64
from tests.node.place import BINARY, CONSUMER, CROWDED, PASSPORT, POLICE
from tests.world import APPLICANT, HUSBAND, STRANGER
from tongban.exchange import bulk, ticket
from tongban.exchange.envelope import ARROW
from tongban.identity.identifiers import organisation_check, pack
from tongban.kit.errors import Refused
from tongban.kit.keys import SigningKey

Make = Callable[[Asker], Request]


@dataclass(frozen=True)
class Bad:
    """One bad input."""

    what: str
    make: Make
    code: str
    status: int
    signed: bool  #: signed by the node and in its log


def unsigned(code: str, status: int, cases: dict[str, Make]) -> list[Bad]:
    return [Bad(what, make, f"exchange.{code}", status, False) for what, make in cases.items()]


def signed(code: str, status: int, cases: dict[str, Make]) -> list[Bad]:
    return [Bad(what, make, f"exchange.{code}", status, True) for what, make in cases.items()]


def altered(name: str, value: Callable[[str], str]) -> Make:
    def make(a: Asker) -> Request:
        asked = a.query()
        return asked.header(name, value(asked.value(name)))

    return make


def by_method(method: str) -> Make:
    return lambda a: a.query().but(method=method)


def without(name: str) -> Make:
    return lambda a: a.query().header(name, None)


def twice(name: str) -> Make:
    def make(a: Asker) -> Request:
        asked = a.query()
        return asked.also(name, asked.value(name))

    return make


def respelt(before: str, after: str) -> Make:
    """The parameters of the signature, changed after signing."""
    return altered("signature-input", lambda text: text.replace(before, after))


COVERED = (
    "content-type", "content-digest", "tongban-consumer", "tongban-provider", "tongban-node", "tongban-resource",
    "tongban-grant", "tongban-purpose", "tongban-ticket", "tongban-case", "tongban-operator", "tongban-idempotency",
    "signature-input", "signature",
)  # fmt: skip


ORGANISATION = "00000000" + organisation_check("00000000")


OTHER_DIGEST = "sha-256=:" + "A" * 43 + "=:"


def foreign_alg(name: str) -> Make:
    return respelt('alg="ed25519"', f'alg="{name}"')


def stolen_key(a: Asker) -> SigningKey:
    """Another member's good key."""
    return a.place.key(POLICE, "online")


def numbered(a: Asker, number: int) -> SigningKey:
    return a.place.online_key(number)[0]


def made_up_key(a: Asker) -> SigningKey:
    return SigningKey(f"{a.member}.online.77", hashlib.sha256(b"made up").digest())


def their_ticket_key_as_online(a: Asker) -> SigningKey:
    return a.ticket_key


NOT_A_MEMBER = "11990100TB00000366"


STRANGERS = [
    *unsigned("unknown_path", 404, {
        "a path that is none": lambda a: a.query().but(target="/v1/dump"),
        "a version to come": lambda a: a.query().but(target="/v2/query"),
        "a query string": lambda a: a.query().but(target=f"/v1/query?key={APPLICANT}"),
        "a path spelt with percent signs": lambda a: a.query().but(target="/v1/%71uery"),
        "the local door at the wrong port": lambda a: a.query().but(target="/door/v1/call/query"),
    }),
    *unsigned("wrong_method", 405, {
        method: by_method(method) for method in ("GET", "PUT", "DELETE", "OPTIONS")
    }),
    *unsigned("header_missing", 400, {
        f"no {name}": without(name) for name in COVERED if name != "tongban-ticket"
    }),
    *unsigned("ticket_missing", 400, {"no ticket": without("tongban-ticket")}),
    *unsigned("header_doubled", 400, {f"{name} twice": twice(name) for name in COVERED}),
    *unsigned("header_malformed", 400, {
        "a digest of another kind": altered("content-digest", lambda text: text.replace("sha-256", "sha-512")),
        "a digest in a second spelling": altered("content-digest", lambda text: text.replace("=:", ":")),
        "a member code too short": altered("tongban-consumer", lambda text: text[:-1]),
        "a node with capitals": altered("tongban-node", str.upper),
        "a purpose of nothing": altered("tongban-purpose", lambda text: "\u00a0".encode().decode("latin-1")),
        "a case that is too long": altered("tongban-case", lambda text: "K" * 129),
        "an operator beyond ASCII": altered("tongban-operator", lambda text: "\u00e9\u00e9"),
        "an idempotency key that is too short": altered("tongban-idempotency", lambda text: "short"),
        "a ticket that is too long": altered("tongban-ticket", lambda text: "A" * 6001),
        "a ticket with padding": altered("tongban-ticket", lambda text: text + "="),
        "a type nobody knows": altered("content-type", lambda text: "text/plain"),
    }),
    *unsigned("wrong_content_type", 415, {
        "JSON for Arrow": altered("content-type", lambda text: ARROW),
        "Arrow for JSON": lambda a: a.match().header("content-type", "application/json"),
    }),
    *unsigned("signature_malformed", 400, {
        "another label": altered("signature-input", lambda text: text.replace("tb=", "sig1=", 1)),
        "two labels": altered("signature-input", lambda text: f"{text}, {text.replace('tb=', 'tc=', 1)}"),
        "a component less": respelt(' "tongban-operator"', ""),
        "a component more": respelt('"tongban-idempotency")', '"tongban-idempotency" "host")'),
        "components in another order": respelt('"@method" "@path"', '"@path" "@method"'),
        "parameters in another order": respelt(';alg="ed25519";tag="tongban-1"', ';tag="tongban-1";alg="ed25519"'),
        "no algorithm": respelt(';alg="ed25519"', ""),
        "no tag": respelt(';tag="tongban-1"', ""),
        "another tag": respelt('tag="tongban-1"', 'tag="tongban-1-answer"'),
        "no nonce": respelt(";nonce=", ";nonse="),
        "a parameter twice": respelt(';tag="tongban-1"', ';tag="tongban-1";tag="tongban-1"'),
        "a signature that is cut off": altered("signature", lambda text: text[:-8] + ":"),
        "a signature in a second spelling": altered("signature", lambda text: text.replace("==:", "=:")),
        "two signatures": altered("signature", lambda text: f"{text}, tc={text.removeprefix('tb=')}"),
        "a signature of nothing": altered("signature", lambda text: "tb=::"),
        **{f"algorithm {name}": foreign_alg(name) for name in ("rsa-v1_5-sha256", "hmac-sha256", "none", "ED25519")},
    }),
    *unsigned("bad_signature", 401, {
        "another digest": altered("content-digest", lambda text: OTHER_DIGEST),
        "another provider": lambda a: a.query().header("tongban-provider", a.place.member(POLICE)),
        "another node": altered("tongban-node", lambda text: "public-security"),
        "another resource": altered("tongban-resource", lambda text: "civil_affairs/moving"),
        "another grant": altered("tongban-grant", lambda text: "A" * 22),
        "another purpose": altered("tongban-purpose", lambda text: "statistics"),
        "another ticket": lambda a: a.query().header("tongban-ticket", a.ticket()),
        "another case": altered("tongban-case", lambda text: text + "1"),
        "another operator": altered("tongban-operator", lambda text: "T-0001"),
        "another idempotency key": altered("tongban-idempotency", lambda text: text[::-1]),
        "another path": lambda a: a.query().but(target="/v1/verify"),
        "another nonce": respelt('nonce="', 'nonce="AA'),
        "another time": altered("signature-input", lambda text: text.replace("created=1", "created=2", 1)),
        "a changed signature": altered("signature", lambda text: f"tb=:{changed_base64(text[4:-1])}:"),
        "another's signature": lambda a: a.query().header("signature", a.query().value("signature")),
        "a key that borrows a good one's name": lambda a: a.query(key=SigningKey(a.key.id, bytes(32))),
    }),
    *unsigned("unknown_key", 401, {
        "another consumer": lambda a: a.query().header("tongban-consumer", a.place.member(POLICE)),
        "a member that is none": lambda a: a.query(consumer=NOT_A_MEMBER),
        "a key that is not listed": lambda a: a.query(key=made_up_key(a)),
        "another member's key": lambda a: a.query(key=stolen_key(a)),
        "the ticket key": lambda a: a.query(key=their_ticket_key_as_online(a)),
        "the approval key": lambda a: a.query(key=a.place.office(CONSUMER).approval),
    }),
    *unsigned("revoked_key", 401, {"a revoked key": lambda a: a.query(key=numbered(a, 900_001))}),
    *unsigned("key_out_of_time", 401, {
        "a key whose time is over": lambda a: a.query(key=numbered(a, 900_002)),
        "a key whose time has not begun": lambda a: a.query(key=numbered(a, 900_003)),
    }),
    *unsigned("clock_skew", 401, {
        "a clock that is slow": lambda a: a.query(created=a.now() - 40, expires=a.now() + 10),
        "a clock that is fast": lambda a: a.query(created=a.now() + 40),
    }),
    *unsigned("bad_lifetime", 400, {
        "a life of more than a minute": lambda a: a.query(expires=a.now() + 90),
        "an end before the beginning": lambda a: a.query(expires=a.now() - 5),
    }),
    *unsigned("envelope_expired", 401, {
        "a message that waited": lambda a: a.query(created=a.now() - 20, expires=a.now() - 10),
    }),
    *unsigned("body_too_long", 413, {
        "a body that says it is long": lambda a: a.query(body=b" " * 70_000),
        "a short batch that says it is long": lambda a: a.match().but(body=b"").also("content-length", str(10**11)),
    }),
]  # fmt: skip


def forged(a: Asker) -> str:
    """A ticket that the key which signs calls has signed: what a thief of that key alone can make."""
    return a.ticket(key=a.key)


def tampered(a: Asker) -> str:
    """A good ticket with one more person in it."""
    mine = ticket.read(a.ticket(APPLICANT))
    yours = ticket.read(a.ticket(APPLICANT, STRANGER))
    assert not isinstance(mine, Refused)
    assert not isinstance(yours, Refused)
    return ticket.wire(type(mine.statement)(yours.statement.body, mine.statement.signatures))


def foreign(a: Asker) -> str:
    """Another member's good ticket."""
    return a.ticket(key=a.place.key(POLICE, "ticket"), consumer=a.place.member(POLICE))


def a_batch(**change: object) -> bytes:
    """A batch as Arrow writes it, whatever it holds."""
    column = a_column((APPLICANT, HUSBAND))
    given = {"k": column, "since": pa.nulls(2, pa.int64())} | change
    names = [name for name, value in given.items() if value is not None]
    schema = pa.schema([pa.field(name, given[name].type, nullable=name != "k") for name in names])
    return stream(pa.Table.from_arrays([given[name] for name in names], schema=schema))


def stream(table: pa.Table, compression: str | None = "zstd") -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def a_bomb() -> bytes:
    """A few kilobytes that unpack to a terabyte: the announced size of a buffer is forged."""
    raw = bytearray(
        bulk.write_keys(pa.table({"k": a_column(range(1, 100_000)), "since": pa.nulls(99_999, pa.int64())}))
    )
    announced = struct.pack("<q", 99_999 * 8)
    place = raw.index(announced, raw.index(b"\x28\xb5\x2f\xfd") - 8)
    raw[place : place + 8] = struct.pack("<q", 2**40)
    return bytes(raw)


NUMBERS = sorted(map(pack, (APPLICANT, HUSBAND)))


DEEP = b'{"fields":["status"],"subject":' + b"[" * 5000 + b"]" * 5000 + b"}"


CALLERS = [
    *signed("digest_mismatch", 400, {
        "an altered body": lambda a: a.query().but(body=a.query().body.replace(b"status", b"phonee")),
        "a body that is cut short": lambda a: a.query().but(body=a.query().body[:-1]),
        "no body": lambda a: a.query().but(body=b""),
        "an altered batch": lambda a: a.match().but(body=a_batch().replace(b"since", b"until")),
    }),
    *signed("wrong_node", 421, {
        "a call for another department": lambda a: a.query(provider=a.place.member(POLICE)),
        "a call for another node": lambda a: a.query(node="civil-affairs-2"),
    }),
    *signed("no_grant", 403, {
        "a grant that is none": lambda a: a.query(grant="A" * 22),
        "another member's grant": lambda a: a.query(grant="of_police"),
        "a grant for another resource": lambda a: a.query(resource="civil_affairs/moving"),
        "a grant for another kind of call": lambda a: a.verify(grant="batch"),
        "a grant for another rule": lambda a: a.verify(resource="unserved@2014-01-01"),
    }),
    *signed("grant_expired", 403, {"a grant whose time is over": lambda a: a.query(grant="ended")}),
    *signed("grant_not_yet", 403, {"a grant whose time has not begun": lambda a: a.query(grant="to_come")}),
    *signed("directory_too_old", 503, {"a grant that wants a young directory": lambda a: a.query(grant="young")}),
    *signed("wrong_purpose", 403, {
        "another purpose than the grant's": lambda a: a.query(purpose="statistics"),
        "the ticket's purpose, not the grant's": lambda a: a.query(grant="statistics"),
    }),
    *signed("ticket_malformed", 400, {
        "a ticket that is no statement": lambda a: a.query(ticket="AAAA"),
        "a ticket with an end that was cut off": lambda a: a.query(ticket=a.ticket()[:-6]),
        "a ticket with two signatures": lambda a: a.query(ticket=signed_twice(a)),
    }),
    *signed("ticket_forged", 403, {
        "a ticket by the key that signs calls": lambda a: a.query(ticket=forged(a)),
        "a ticket with one person more": lambda a: a.query(ticket=tampered(a)),
        "a ticket by another member's key": lambda a: a.query(ticket=a.ticket(key=a.place.key(POLICE, "ticket"))),
        "a round's ticket by the wrong key": lambda a: a.match(on={"key": a.key}),
    }),
    *signed("ticket_foreign", 403, {"another member's ticket": lambda a: a.query(ticket=foreign(a))}),
    *signed("ticket_wrong_kind", 403, {
        "a round's ticket for one person": lambda a: a.query(ticket=a.match().value("tongban-ticket")),
        "a case's ticket for a batch": lambda a: a.match(ticket=a.ticket()),
    }),
    *signed("ticket_wrong_round", 403, {
        "a ticket for another provider": lambda a: a.match(on={"provider": a.place.member(POLICE)}),
        "a ticket for another rule": lambda a: a.match(on={"rule": "unserved@2014-01-01"}),
        "a ticket for another text of the rule": lambda a: a.match(on={"rule_digest": "0" * 64}),
    }),
    *signed("ticket_wrong_purpose", 403, {
        "a ticket for another purpose": lambda a: a.query(ticket=a.ticket(purpose="statistics")),
    }),
    *signed("ticket_wrong_case", 403, {
        "an invented case number": lambda a: a.query(case="KC-2014-999999"),
        "another part of the round": lambda a: a.match(case="2014-06/1"),
    }),
    *signed("ticket_expired", 403, {
        "a ticket whose time is over": lambda a: a.query(ticket=a.ticket(expires_at=a.now() - 1)),
    }),
    *signed("ticket_not_yet", 403, {
        "a ticket whose time has not begun": lambda a: a.query(ticket=a.ticket(not_before=a.now() + 60)),
    }),
    *signed("subject_outside_ticket", 403, {
        "somebody else": lambda a: a.query(subject=("citizen", STRANGER)),
        "somebody else, by a rule": lambda a: a.verify(subject=("citizen", STRANGER)),
        "the same number, said to be a passport's": lambda a: a.query(subject=("passport", APPLICANT)),
    }),
    *signed("keys_outside_ticket", 403, {
        "one key more": lambda a: a.match(body=bulk.write_keys(batch_of(APPLICANT, HUSBAND, STRANGER))),
        "other keys": lambda a: a.match(body=bulk.write_keys(batch_of(APPLICANT, STRANGER))),
        "no keys": lambda a: a.match(body=a_batch(k=pa.array([], pa.int64()), since=pa.nulls(0, pa.int64()))),
    }),
    *signed("bad_subject", 400, {
        "a number in another spelling": lambda a: spelt(a, "citizen", f" {APPLICANT}"),
        "a number that is none": lambda a: spelt(a, "citizen", APPLICANT[:-1] + "X"),
        "a citizen number that calls itself a passport's": lambda a: spelt(a, "passport", APPLICANT),
        "a number in another spelling, by a rule": lambda a: spelt(a, "passport", PASSPORT.lower(), call="verify"),
        "a kind of number that is none, by a rule": lambda a: a.verify(subject=("driver", "1")),
    }),
    *signed("wrong_domain", 400, {
        "a kind of number the resource is not asked by": lambda a: spelt(a, "organisation_code", ORGANISATION),
        "a kind of number the rule is not asked by, in a batch": lambda a: passports(
            a, [ORGANISATION], "organisation_code"
        ),
        "a kind of number the rule is not asked by": lambda a: spelt(
            a, "organisation_code", ORGANISATION, call="verify"
        ),
    }),
    *signed("field_not_granted", 403, {
        "a field that is not granted": lambda a: a.query(fields=["status", "children"]),
        "a field that is none": lambda a: a.query(fields=["name; DROP TABLE persons"]),
        "a field of the register that nobody lists": lambda a: a.query(fields=["id_number"]),
    }),
    *signed("rule_not_granted", 403, {"another text of the rule": lambda a: a.verify(grant="other_rule")}),
    *signed("rule_not_served", 404, {
        "a rule over nothing": lambda a: a.verify(grant="rule_unserved", resource="unserved@2014-01-01"),
        "a rule under a condition on rows": lambda a: a.verify(grant="married_east"),
    }),
    *signed("resource_not_served", 404, {
        "a resource that node.toml does not know": lambda a: a.query(
            grant="unserved", resource="civil_affairs/unserved"
        ),
    }),
    *signed("wrong_asks", 400, {
        "a value too few": lambda a: a.verify(asks={}),
        "a value too many": lambda a: a.verify(asks={"since": 1, "name": "x"}),
        "a value of another type": lambda a: a.verify(asks={"since": "2010"}),
        "a truth for a number": lambda a: a.verify(asks={"since": True}),
    }),
    *signed("bad_request", 400, {
        "no JSON": lambda a: a.query(body=b"{"),
        "not UTF-8": lambda a: a.query(body=b'{"fields":["\xff"],"subject":{"domain":"citizen","key":"x"}}'),
        "no object": lambda a: a.query(body=b"[]"),
        "nothing at all": lambda a: a.query(body=b""),
        "spaces": lambda a: a.query(body=a.query().body.replace(b":", b": ")),
        "a key twice": lambda a: a.query(body=a.query().body.replace(b'{"fields"', b'{"fields":["name"],"fields"')),
        "another order": lambda a: a.query(body=reordered(a)),
        "no fields": lambda a: a.query(fields=[]),
        "a field twice": lambda a: a.query(fields=["status", "status"]),
        "something more": lambda a: a.query(body=with_more(a.query().body)),
        "a subject that is a list": lambda a: a.query(body=b'{"fields":["status"],"subject":["citizen"]}'),
        "a number for a text": lambda a: a.query(body=b'{"fields":["status"],"subject":{"domain":"citizen","key":1}}'),
        "five thousand brackets": lambda a: a.query(body=DEEP),
        "a fraction, by a rule": lambda a: a.verify(asks={"since": 0.5}),
        "a list for a value, by a rule": lambda a: a.verify(asks={"since": [1]}),
        "a query's body for a rule": lambda a: a.verify(body=a.query().body),
    }),
    *signed("keys_unsorted", 400, {"keys out of order": lambda a: a.match(body=a_batch(k=pa.array(NUMBERS[::-1])))}),
    *signed("keys_doubled", 400, {"a key twice": lambda a: a.match(body=a_batch(k=pa.array(NUMBERS[:1] * 2)))}),
    *signed("keys_mixed", 400, {
        "texts for numbers": lambda a: a.match(body=a_batch(k=pa.array(["E1", "E2"]))),
        "numbers for texts": lambda a: a.match(on={"domain": "passport"}),
    }),
    *signed("key_malformed", 400, {
        "an empty key": lambda a: passports(a, ["", "E2"]),
        "a key with a line feed": lambda a: passports(a, ["E1\nE2", "E3"]),
        "a key that is too long": lambda a: passports(a, ["E" * 65]),
        "a key in another spelling": lambda a: passports(a, ["e12345678"]),
        "a number of nobody's": lambda a: a.match(keys=[12345]),
    }),
    *signed("wrong_schema", 400, {
        "no stream": lambda a: a.match(body=b"k\n12345678\n23456789\n"),
        "a file, not a stream": lambda a: a.match(body=b"ARROW1\0\0" + a_batch()),
        "a key column with holes": lambda a: a.match(body=with_holes()),
        "no asked column": lambda a: a.match(body=a_batch(since=None)),
        "an asked column of another type": lambda a: a.match(body=a_batch(since=pa.nulls(2, pa.string()))),
        "an asked column of another name": lambda a: a.match(body=a_batch(since=None, until=pa.nulls(2, pa.int64()))),
        "a column more": lambda a: a.match(body=a_batch(note=pa.nulls(2, pa.string()))),
        "columns in another order": lambda a: a.match(
            body=stream(pa.table({"since": pa.nulls(2, pa.int64()), "k": pa.array(NUMBERS)}))
        ),
        "not packed": lambda a: a.match(body=not_packed()),
        "something behind the end": lambda a: a.match(body=a_batch() + b"\0" * 8),
        "a note in the schema": lambda a: a.match(body=noted()),
        "keys as fractions": lambda a: a.match(body=a_batch(k=pa.array([1.0, 2.0]))),
    }),
    *signed("truncated", 400, {
        "no end mark": lambda a: a.match(body=a_batch()[:-8]),
        "half a batch": lambda a: a.match(body=a_batch()[: len(a_batch()) // 2]),
        "an empty batch": lambda a: a.match(body=b""),
    }),
    *signed("too_large", 413, {
        "a bomb": lambda a: a.match(body=a_bomb()),
        "rows beyond the limit of one block": lambda a: a.match(body=one_block(131_073)),
    }),
    *signed("register_changed", 503, {
        "a field the register does not give": lambda a: a.query(
            grant="odd", resource="civil_affairs/odd", fields=["ward"]
        ),
        "a value that no text can hold": lambda a: binary(a),
    }),
    *signed("too_many_records", 422, {
        "more records than an answer holds": lambda a: crowded(a, "marriage"),
        "more records than are read, most of them outside the grant": lambda a: crowded(a, "one_child"),
    }),
]  # fmt: skip


def signed_twice(a: Asker) -> str:
    read = ticket.read(a.ticket())
    assert not isinstance(read, Refused)
    return ticket.wire(read.statement.also_by(a.key))


def batch_of(*numbers: str) -> pa.Table:
    column = a_column(numbers)
    return pa.table({"k": column, "since": pa.nulls(len(column), pa.int64())})


def spelt(a: Asker, domain: str, key: str, call: str = "query") -> Request:
    """A subject that its ticket names in just this spelling."""
    named = {"subject": (domain, key), "ticket": a.ticket((domain, key))}
    return a.query(**named) if call == "query" else a.verify(**named)


def passports(a: Asker, keys: list[str], domain: str = "passport") -> Request:
    column = pa.array(sorted(keys))
    body = a_batch(k=column, since=pa.nulls(len(column), pa.int64()))
    return a.match(body=body, ticket=a.round_ticket(column, domain=domain))


def reordered(a: Asker) -> bytes:
    said = json.loads(a.query().body)
    return json.dumps({"subject": said["subject"], "fields": said["fields"]}, separators=(",", ":")).encode()


def with_more(body: bytes) -> bytes:
    return json.dumps({**json.loads(body), "where": "1=1"}, sort_keys=True, separators=(",", ":")).encode()


def with_holes() -> bytes:
    return stream(pa.table({"k": pa.array([None, NUMBERS[0]], pa.int64()), "since": pa.nulls(2, pa.int64())}))


def noted() -> bytes:
    table = batch_of(APPLICANT, HUSBAND)
    fields = [pa.field("k", pa.int64(), nullable=False), table.schema.field("since")]
    return stream(table.cast(pa.schema(fields, {"note": "x"})))


def not_packed() -> bytes:
    table = batch_of(APPLICANT, HUSBAND)
    fields = [pa.field("k", pa.int64(), nullable=False), table.schema.field("since")]
    return stream(table.cast(pa.schema(fields)), compression=None)


def one_block(rows: int) -> bytes:
    fields = [pa.field("k", pa.int64(), nullable=False), pa.field("since", pa.int64())]
    columns = [pa.array(range(1, rows + 1), pa.int64()), pa.nulls(rows, pa.int64())]
    return stream(pa.Table.from_arrays(columns, schema=pa.schema(fields)))


def binary(a: Asker) -> Request:
    return a.query(subject=("citizen", BINARY), ticket=a.ticket(BINARY), fields=["district"])


def crowded(a: Asker, grant: str) -> Request:
    return a.query(grant=grant, subject=("citizen", CROWDED), ticket=a.ticket(CROWDED))


def named(bad: Bad) -> str:
    return f"{bad.code.partition('.')[2]}: {bad.what}"


def said_nothing_personal(text: str) -> bool:
    return not any(word in text for word in (APPLICANT, HUSBAND, STRANGER, PASSPORT, "张三", "已婚"))
