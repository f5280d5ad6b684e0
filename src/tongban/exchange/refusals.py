"""Refusals on the wire: the HTTP status of each code, and the body that carries it.

What each code means and what to do about it stands in docs/reference/errors.md; a test holds the two together.
"""

from collections.abc import Mapping
from typing import Any, Final

from tongban.kit import canonical
from tongban.kit.clock import stamp
from tongban.kit.errors import Refused

_BY_STATUS: Final[Mapping[int, str]] = {
    400: """header_missing header_doubled header_malformed signature_malformed bad_lifetime ticket_missing
            ticket_malformed digest_mismatch bad_request bad_subject wrong_domain wrong_asks gone
            keys_unsorted keys_doubled keys_mixed key_malformed wrong_schema truncated""",
    401: "unknown_key bad_signature revoked_key key_out_of_time clock_skew envelope_expired",
    403: """no_grant grant_expired grant_not_yet wrong_purpose field_not_granted rule_not_granted
            ticket_forged ticket_foreign ticket_expired ticket_not_yet ticket_wrong_kind ticket_wrong_round
            ticket_wrong_purpose ticket_wrong_case subject_outside_ticket keys_outside_ticket
            second_date""",
    404: "unknown_path resource_not_served rule_not_served",
    405: "wrong_method",
    408: "slow_sender",
    409: "replay idempotency_conflict",
    410: "snapshot_gone answer_gone",
    413: "body_too_long too_large",
    415: "wrong_content_type",
    421: "wrong_node",
    422: "too_many_records",
    429: "rate_limited quota_spent repeated_too_often",
    502: """no_answer answer_unsigned answer_malformed answer_foreign answer_forged answer_altered
            answer_too_large""",
    503: """before_start no_directory directory_expired directory_too_old log_unavailable
            register_unavailable register_changed register_unclear fault""",
    504: "register_slow",
}

#: HTTP status by code. Codes that never travel (a directory that was not adopted) have none.
STATUS: Final[Mapping[str, int]] = {
    f"exchange.{word}": status for status, words in _BY_STATUS.items() for word in words.split()
}


def status_of(code: str) -> int:
    """HTTP status of a refusal; 400 for the codes of other rooms."""
    return STATUS.get(code, 400)


def write(refused: Refused, now: float, retry_after: int | None = None) -> bytes:
    """The body of a refusal, with the node's time, so that a caller whose clock is wrong can see it."""
    body: dict[str, Any] = {"code": refused.code, "reason": refused.reason, "node_time": stamp(now)}
    if retry_after is not None:
        body["retry_after"] = retry_after
    return canonical.encode(body)
