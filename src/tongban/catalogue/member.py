"""Members: departments, which are founded, merged and dissolved while duties go on.

A duty never falls between two departments: whoever asks for one that is gone is told who carries
its duty today. The days are the city's own and stand in its members' entries; what the national
reforms say about them is data in `succession`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from tongban.catalogue.reading import Entry, first_instant
from tongban.identity.identifiers import Domain, normalise
from tongban.kit.errors import Refused


@dataclass(frozen=True, slots=True)
class Member:
    code: str  #: unified social credit code
    name: str
    name_en: str
    valid_from: date
    valid_until: date | None = None  #: first day on which it is no more; None: it stands
    predecessors: tuple[str, ...] = ()  #: codes
    successors: tuple[str, ...] = ()

    def stands_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_until is None or day < self.valid_until)

    def to_json(self) -> dict[str, Any]:
        """As `member_from_mapping` reads it; days as YYYY-MM-DD."""
        until = None if self.valid_until is None else self.valid_until.isoformat()
        return self._named() | {"from": self.valid_from.isoformat(), "until": until}

    def to_entry(self, root_id: str, root_public: str) -> dict[str, Any]:
        """The body of the directory's entry of kind `member` (exchange protocol, section 2), ready to be signed.

        `root_public` is the member's root key in base64. Days become the instants at which they begin in Beijing.
        """
        return self._named() | {
            "kind": "member",
            "root": {"id": root_id, "public": root_public},
            "from": first_instant(self.valid_from),
            "until": None if self.valid_until is None else first_instant(self.valid_until),
        }

    def _named(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "name": self.name,
            "name_en": self.name_en,
            "predecessors": list(self.predecessors),
            "successors": list(self.successors),
        }


_FIELDS = ("code", "name", "name_en", "from", "until", "predecessors", "successors", "kind", "root")


def member_from_mapping(held: Any) -> Member:
    """Read a table of the city's members or the body of a directory entry. Raises EntryInvalid."""
    entry = Entry("member", held, _FIELDS)
    code = entry.text("code")
    if normalise(Domain.CREDIT_CODE, code) != code:
        raise entry.wrong("its code must be a unified social credit code")
    entry.called = f"member {code}"
    begins = entry.day("from")
    ends = None if entry.get("until") is None else entry.day("until")
    if ends is not None and ends <= begins:
        raise entry.wrong("it must stand for a day at least: until lies after from")
    before, after = _codes(entry, "predecessors"), _codes(entry, "successors")
    if after and ends is None:
        raise entry.wrong("a member with successors needs the day on which they took over, as until")
    return Member(code, entry.text("name"), entry.text("name_en"), begins, ends, before, after)


def _codes(entry: Entry, name: str) -> tuple[str, ...]:
    codes = entry.parts(name)
    if not all(isinstance(code, str) and normalise(Domain.CREDIT_CODE, code) == code for code in codes):
        raise entry.wrong(f"its {name} must be unified social credit codes")
    if len(set(codes)) < len(codes):
        raise entry.wrong(f"one of its {name} stands twice")
    return tuple(codes)


UNKNOWN = Refused("catalogue.member_unknown", "no member of this code, or of a successor's, is listed")
NOT_YET = Refused("catalogue.member_not_yet", "the member did not stand yet on that day; ask its predecessors")
ENDED = Refused("catalogue.duty_ended", "the member stands no more, and on that day no successor of it stands")
DIVIDED = Refused(
    "catalogue.duty_divided", "the member's duties went to several; a person must say to whom this one did"
)


def successor_at(members: Iterable[Member], code: str, day: date) -> Member | Refused:
    """Who carries on `day` the duty that was `code`'s: itself while it stands, else who came after it."""
    by_code = {member.code: member for member in members}
    if code not in by_code:
        return UNKNOWN
    if day < by_code[code].valid_from:
        return NOT_YET
    bearers, missing = _bearers(by_code, code, day)
    if missing:
        return UNKNOWN
    if not bearers:
        return ENDED
    return bearers[0] if len(bearers) == 1 else DIVIDED


def _bearers(by_code: Mapping[str, Member], code: str, day: date) -> tuple[list[Member], bool]:
    """All who stand on `day` at the ends of the line from `code`, and whether a link of it is not listed."""
    found: list[Member] = []
    seen, waiting = set(), [code]
    while waiting:
        next_code = waiting.pop()
        if next_code in seen:
            continue
        seen.add(next_code)
        member = by_code.get(next_code)
        if member is None:
            return [], True
        if member.stands_on(day):
            found.append(member)
        elif member.valid_from <= day:
            waiting.extend(member.successors)
    return found, False
