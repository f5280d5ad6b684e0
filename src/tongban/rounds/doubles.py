"""Doubles among families: one person in two applications, husband and wife in two families.

An application claims whom its own answers confirm: a number typed into somebody's family claims nobody until the
registers know name and relation. So a stranger who is first with her number keeps nobody out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tongban.rounds.applications import CODE_LENGTH, Applications, Flags
from tongban.rounds.families import ALONE, OUTSIDE_SPOUSE
from tongban.rounds.policy import Policy

INDIVIDUAL_AND_FAMILY = "individual_and_family"
PERSON_IN_TWO_FAMILIES = "person_in_two_families"
SPOUSES_IN_TWO_FAMILIES = "spouses_in_two_families"
#: In the order in which they are given when several hold.
REASONS = (INDIVIDUAL_AND_FAMILY, PERSON_IN_TWO_FAMILIES, SPOUSES_IN_TWO_FAMILIES)

_LAST_DAY = "9999-99-99"


@dataclass(frozen=True, slots=True)
class Claim:
    """Whom one application claims."""

    application: str
    day: str  #: of submission; `_LAST_DAY` if it is none
    alone: bool
    applicants: frozenset[str]
    spouses: frozenset[str]  #: of a family's applicants, not applying themselves


def excluded(applications: Applications, confirmed: Flags, policy: Policy) -> dict[str, str]:
    """Which applications another one excludes, each with the reason; the same whatever the order of the list.

    Shape
        confirmed: for each line, whether its own first questions are all met, and there were some.
    """
    if not applications.families:
        return {}
    found: dict[str, str] = {}
    standing: list[Claim] = []
    of_all = {double.reason for double in policy.doubles if double.order == "none"}
    for claim in sorted(_contested(applications, confirmed), key=lambda one: (one.day, one.application)):
        against = [(reason, other) for other in standing if (reason := _reason(claim, other))]
        if not against:
            standing.append(claim)
            continue
        found[claim.application] = min((reason for reason, _ in against), key=REASONS.index)
        found |= {other.application: reason for reason, other in against if reason in of_all}
    return found


def _reason(one: Claim, other: Claim) -> str | None:
    """Why the two exclude each other; None if they do not."""
    if one.alone and other.alone:
        return None
    if one.applicants & other.applicants:
        return INDIVIDUAL_AND_FAMILY if one.alone or other.alone else PERSON_IN_TWO_FAMILIES
    apart = one.applicants & other.spouses or one.spouses & other.applicants
    return SPOUSES_IN_TWO_FAMILIES if apart and not (one.alone or other.alone) else None


def _contested(applications: Applications, confirmed: Flags) -> Iterator[Claim]:
    """The claims of all applications that have somebody in common with another one."""
    lines = applications.only(["application", "submitted_on", "domain", "subject", "role"])
    named = pc.binary_join_element_wise(lines["domain"], lines["subject"], "\x1f").combine_chunks()
    claiming = confirmed & ~applications.settled() & named.is_valid().to_numpy(zero_copy_only=False)
    claiming &= pc.not_equal(lines["role"], "former_spouse").to_numpy(zero_copy_only=False)
    codes = np.asarray(pc.fill_null(named.dictionary_encode().indices, 0)).astype(np.int64)
    several = np.bincount(codes[claiming], minlength=int(codes.max(initial=0)) + 1) > 1
    rows = np.flatnonzero(claiming & several[codes])
    by_application: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines.append_column("who", named).take(pa.array(rows)).to_pylist():
        by_application.setdefault(line["application"][:CODE_LENGTH], []).append(line)
    for application, own in by_application.items():
        yield Claim(
            application,
            own[0]["submitted_on"] or _LAST_DAY,
            own[0]["role"] == ALONE,
            frozenset(line["who"] for line in own if line["role"] != OUTSIDE_SPOUSE),
            frozenset(line["who"] for line in own if line["role"] == OUTSIDE_SPOUSE),
        )
