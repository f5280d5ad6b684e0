"""Whom a question is about: a key in its domain, which no message, log line or trace ever shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tongban.identity.identifiers import Domain, IdentifierInvalid, judge, pack
from tongban.kit.errors import Refused
from tongban.tlog.pseudonym import pseudonym

NOT_A_SUBJECT = Refused("identity.not_a_subject", "a subject is an object of exactly two texts, domain and key")
UNKNOWN_DOMAIN = Refused("identity.unknown_domain", f"the domain is not one of {', '.join(Domain)}")


@dataclass(frozen=True, slots=True, repr=False)
class Subject:
    """A person or body. `key` is normalised; making one of anything else raises IdentifierInvalid."""

    domain: Domain
    key: str

    def __post_init__(self) -> None:
        judged = judge(self.domain, self.key)
        if isinstance(judged, Refused):
            raise IdentifierInvalid(domain=self.domain, why=judged.reason)
        if judged != self.key:
            raise IdentifierInvalid(domain=self.domain, why="it is not in its one spelling")

    def __repr__(self) -> str:
        return f"Subject({self.domain})"

    def packed(self) -> int:
        """The key as it stands in a batch. Raises IdentifierInvalid for any domain but `citizen`."""
        if self.domain is not Domain.CITIZEN:
            raise IdentifierInvalid(domain=Domain.CITIZEN, why=f"a key of the domain {self.domain} stays text")
        return pack(self.key)

    def pseudonym(self, subject_key: bytes) -> str:
        """The person's name in one log: 22 characters, meaningless without that log's 32-byte subject key."""
        return pseudonym(subject_key, self.domain, self.key)

    def to_json(self) -> dict[str, str]:
        return {"domain": str(self.domain), "key": self.key}


def read_subject(domain: str, raw: str) -> Subject | Refused:
    """The subject that `raw` names in `domain`, or why it names nobody."""
    if domain not in Domain.__members__.values():
        return UNKNOWN_DOMAIN
    known = Domain(domain)
    judged = judge(known, raw)
    return judged if isinstance(judged, Refused) else Subject(known, judged)


def subject_from_json(value: Any) -> Subject | Refused:
    """Read {"domain": …, "key": …} as it stands in a call; the key need not be normalised yet."""
    if not isinstance(value, Mapping) or set(value) != {"domain", "key"}:
        return NOT_A_SUBJECT
    domain, key = value["domain"], value["key"]
    if not isinstance(domain, str) or not isinstance(key, str):
        return NOT_A_SUBJECT
    return read_subject(domain, key)
