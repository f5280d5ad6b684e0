"""The fixed cast of all tests. It never changes; a test says by keyword what is different in its story.

Civil Affairs (民政局) provides, Transport (交通委) consumes, Tax (税务局) has no grant. It is noon in
Beijing on 9 June 2014. The city, its departments and its persons are invented: division 990100 is
no division of GB/T 2260, and the check characters hold.
"""

import hashlib
from typing import Any

from tongban.exchange import envelope, grant, ticket
from tongban.exchange.envelope import Call, SignedRequest
from tongban.exchange.grant import Grant
from tongban.kit import statement
from tongban.kit.clock import stamp, unstamp
from tongban.kit.errors import Refused
from tongban.kit.keys import PublicKey, SigningKey
from tongban.kit.statement import Statement

NOON = unstamp("2014-06-09T04:00:00Z")
TODAY = "2014-06-09"
MINUTE, HOUR, DAY = 60, 3600, 86400

CIVIL_AFFAIRS = "11990100TB000001XB"
TRANSPORT = "11990100TB0000028B"
TAX = "11990100TB00000366"

PROVIDER_NODE = "civil-affairs"
CONSUMER_NODE = "transport"
RESOURCE = "civil_affairs/marriage"
RULE = "married@2014-01-01"
RULE_DIGEST = hashlib.sha256(b"married").hexdigest()
PURPOSE = "car-quota-lottery"
CASE = "KC-2014-000001"
ROUND, PART = "2014-06", "civil_affairs-0"
OPERATOR = "T-0417"

#: Generated persons: an applicant born on 29 February, her husband, and somebody who is no party to the case.
APPLICANT = "990101198002299016"
HUSBAND = "990101197908159023"
STRANGER = "990101198501019031"


def a_key(owner: str, role: str, number: int = 1) -> SigningKey:
    """The same key for the same name in every run: its seed is the digest of its id."""
    id = f"{owner}.{role}.{number}"
    return SigningKey(id, hashlib.sha256(id.encode()).digest())


HUB_KEY = a_key("hub", "hub")
APPROVAL_KEY = a_key(CIVIL_AFFAIRS, "approval")  #: with which Civil Affairs signs what may be asked of it
ANSWERING_KEY = a_key(CIVIL_AFFAIRS, "online")
CALLING_KEY = a_key(TRANSPORT, "online")
TICKET_KEY = a_key(TRANSPORT, "ticket")
TAX_KEY = a_key(TAX, "online")


def public(*keys: SigningKey) -> list[PublicKey]:
    return [key.public for key in keys]


# Grants

_TIMES = ("not_before", "expires_at", "issued_at")


def a_grant_body(**change: Any) -> dict[str, Any]:
    """Transport may query Civil Affairs for the marital status of applicants, this year.

    Times may be given in seconds, fields as any collection.
    """
    body = {
        "kind": "grant", "id": "AAAAAAAAAAAAAAAAAAAAAA", "consumer": TRANSPORT, "provider": CIVIL_AFFAIRS,
        "node": PROVIDER_NODE, "resource": RESOURCE, "call": "query", "fields": ["registered_on", "status"],
        "rule": None, "rule_digest": None, "rows": [], "purpose": PURPOSE,
        "basis": "《示例市小客车指标摇号办法》第九条",
        "quota": {"calls": 1_000, "persons": 100_000, "window_seconds": DAY}, "max_directory_age": HOUR,
        "not_before": NOON - 30 * DAY, "expires_at": NOON + 200 * DAY, "issued_at": NOON - 30 * DAY,
    }  # fmt: skip
    body |= change
    body["fields"] = sorted(body["fields"])
    return body | {name: stamp(body[name]) for name in _TIMES if isinstance(body[name], int)}


def a_grant_statement(**change: Any) -> Statement:
    """Signed by both who must: the provider's approval key and the hub's."""
    return statement.sign(a_grant_body(**change), APPROVAL_KEY, HUB_KEY)


def a_grant(**change: Any) -> Grant:
    read = grant.from_statement(a_grant_statement(**change))
    assert not isinstance(read, Refused), read
    return read


def a_rule_grant(**change: Any) -> Grant:
    """Transport may ask one question, `married`, for single persons or batches (change `call` to match)."""
    question = {"call": "verify", "fields": [], "rule": RULE, "rule_digest": RULE_DIGEST}
    return a_grant(**(question | change))


# Tickets, calls, requests


def a_ticket(**change: Any) -> str:
    """The case was opened an hour ago for the applicant and her husband."""
    opened: dict[str, Any] = {
        "id": "BBBBBBBBBBBBBBBBBBBBBB", "consumer": TRANSPORT, "purpose": PURPOSE, "case": CASE, "salt": bytes(16),
        "subjects": [("citizen", APPLICANT), ("citizen", HUSBAND)], "at": TODAY,
        "not_before": NOON - HOUR, "expires_at": NOON + 30 * DAY,
    }  # fmt: skip
    key = change.pop("key", TICKET_KEY)
    return ticket.issue_case(key, **(opened | change))


def a_round_ticket(**change: Any) -> str:
    """One part of a round: three keys, whose column has the digest that a test says."""
    opened: dict[str, Any] = {
        "id": "CCCCCCCCCCCCCCCCCCCCCC", "consumer": TRANSPORT, "provider": CIVIL_AFFAIRS, "purpose": PURPOSE,
        "round": ROUND, "part": PART, "rule": RULE, "rule_digest": RULE_DIGEST, "at": TODAY,
        "domain": "citizen", "keys": hashlib.sha256(b"keys").hexdigest(), "count": 3,
        "not_before": NOON - HOUR, "expires_at": NOON + 8 * DAY,
    }  # fmt: skip
    key = change.pop("key", TICKET_KEY)
    return ticket.issue_round(key, **(opened | change))


def a_call(**change: Any) -> Call:
    """Transport asks Civil Affairs under the grant of `a_grant`, for the case of `a_ticket`."""
    asked = {
        "consumer": TRANSPORT, "provider": CIVIL_AFFAIRS, "node": PROVIDER_NODE, "resource": RESOURCE,
        "grant": "AAAAAAAAAAAAAAAAAAAAAA", "purpose": PURPOSE, "case": CASE, "operator": OPERATOR,
        "idempotency": "first-asking", "call": "query",
    }  # fmt: skip
    asked |= change
    return Call(**{"ticket": a_ticket(), **asked})


def a_request(body: bytes = b"{}", **change: Any) -> SignedRequest:
    """The same call, signed for `body` at noon. `key`, `nonce`, `created` and `expires` may be changed too."""
    key = change.pop("key", CALLING_KEY)
    created = change.pop("created", NOON)
    times = {"created": created, "expires": change.pop("expires", created + 60)}
    nonce = change.pop("nonce", "n" * 22)
    return envelope.sign_request(key, a_call(**change), hashlib.sha256(body).digest(), nonce=nonce, **times)
