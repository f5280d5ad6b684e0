"""Who may take part in the car lottery: an independent checker.

Second implementation of docs/reference/car_lottery.md (sections 1, 2, 3, 6 and 8 here), written from that page alone,
for clarity and not for speed, with the Python standard library and pyarrow as a reader of Parquet. It imports nothing
of the product, so that a slip in one of the two shows as a disagreement.

    python -m tests.oracle.car_lottery REGISTERS AT SNAPSHOT [TRUTH]
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.oracle.registers import Facts, read_all
from tests.oracle.rules import RULES, Verdict, unknown
from tests.oracle.texts import DOMAINS, IllFormed, Key, day, key, name, text

CAR_RULES = ("driving_licence", "no_vehicle", "no_scrap_due_vehicle")
FIVE_YEARS = ("residence_permit", "social_insurance_60_months", "income_tax_five_years")
PERSONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # kind → first asked, then asked
    "resident": (("identity", "household_here"), CAR_RULES),
    "foreign": (("lodging_registration",), CAR_RULES),
    "work_permit": (("identity",), ("work_residence_permit", *CAR_RULES)),
    "residence_permit": (("identity",), (*FIVE_YEARS, *CAR_RULES)),
}
UNITS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "enterprise": (("handler_identity",), ("business_licence", "organisation_code", "vat_of_the_year")),
    "social_body": (("handler_identity",), ("social_body_registration", "organisation_code")),
}
CLEAN_FOUND_AT_LEAST = 0.97
TO_A_PERSON_AT_MOST = 0.05


@dataclass(frozen=True)
class Application:
    application: str
    kind: str
    submitted_on: date | None
    name: str | None
    subject: Key | None  # None: bad
    fits: bool  # kind and document belong together
    handler_name: str | None
    handler: Key | None


@dataclass(frozen=True)
class Finding:
    application: str
    status: str  # eligible, not_eligible, needs_person
    reason: str | None  # None when eligible
    verdicts: Mapping[str, Verdict]  # only the rules the kind is asked, in their order


def decide(
    registers: Path, at: date, snapshot: date, limits: Mapping[str, timedelta] | None = None
) -> dict[str, Finding]:
    """A finding for each application but the military ones.

    `registers` holds one folder a department and `transport/applications.parquet`; `snapshot` is the day all registers
    were read. `limits` gives, by rule, how long before `at` that day may lie; the page names no such figure, so
    without it only reading before the end of the months and years of a history rule is stale.
    """
    applications = read_applications(registers / "transport" / "applications.parquet")
    subjects = {k for a in applications for k in (a.subject, a.handler) if k is not None}
    facts = read_all(registers, at, subjects)
    stale = {rule for rule in RULES if is_stale(rule, at, snapshot, limits or {})}
    doubles = later_doubles(applications)
    findings = {}
    for application in applications:
        verdicts = answers(application, facts, stale, at)
        double = application.application in doubles
        findings[application.application] = decided(application.application, double, verdicts)
    return findings


# Applications --------------------------------------------------------------------------------------------------


def read_applications(path: Path) -> list[Application]:
    lines = [line for line in pq.read_table(path).to_pylist() if text(line["kind"]) != "military"]
    applications = [application_of(line) for line in lines]
    if len({a.application for a in applications}) != len(applications):
        raise ValueError("an application code stands twice in the list")
    return applications


def application_of(line: Mapping[str, Any]) -> Application:
    kind = text(line["kind"]) or ""
    domain = DOMAINS.get(text(line["document_type"]) or "")
    return Application(
        application=line["application"],
        kind=kind,
        submitted_on=day_or_none(line["submitted_on"]),
        name=name(line["name"]),
        subject=key("organisation_code" if kind in UNITS else domain, line["document_number"]),
        fits=fits(kind, domain),
        handler_name=name(line["handler_name"]),
        handler=key("citizen", line["handler_number"]),
    )


def day_or_none(raw: object) -> date | None:
    value = text(raw)
    try:
        return None if value is None else day(value)
    except IllFormed:
        return None


def fits(kind: str, domain: str | None) -> bool:
    if kind in UNITS:
        return domain == "organisation_code"
    if kind == "foreign":
        return domain in {"hmt_permit", "passport", "foreign_permit"}
    return domain == "citizen"


def later_doubles(applications: list[Application]) -> set[str]:
    """All but the first application of each subject; an application without a day of submission comes last."""
    by_subject: dict[Key, list[tuple[date, str]]] = defaultdict(list)
    for a in applications:
        if a.subject is not None:
            by_subject[a.subject].append((a.submitted_on or date.max, a.application))
    return {code for same in by_subject.values() for _, code in sorted(same)[1:]}


# Answers -------------------------------------------------------------------------------------------------------


def answers(
    application: Application, facts: Mapping[str, Facts | None], stale: set[str], at: date
) -> dict[str, Verdict]:
    first, then = rules_of(application.kind, at)
    verdicts = {rule: answer(rule, application, facts, stale, at) for rule in first}
    confirmed = all(verdict.verdict == "met" for verdict in verdicts.values())
    for rule in then:
        if confirmed or application.subject is None:  # a bad identifier comes before "not asked"
            verdicts[rule] = answer(rule, application, facts, stale, at)
        else:
            verdicts[rule] = unknown("not_asked")
    return verdicts


def rules_of(kind: str, at: date) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """First asked and then asked; nothing for an unknown kind, and from 2021 on nothing for units."""
    units = UNITS if at < date(2021, 1, 1) else {}
    return (PERSONS | units).get(kind, ((), ()))


def answer(
    rule: str, application: Application, facts: Mapping[str, Facts | None], stale: set[str], at: date
) -> Verdict:
    handlers = rule == "handler_identity"
    subject = application.handler if handlers else application.subject
    if subject is None or not application.fits:  # one that does not fit is never asked more than the first rules
        return unknown("bad_identifier")
    register = facts[RULES[rule].register]
    if register is None:
        return unknown("no_answer")
    if rule in stale:
        return unknown("stale_snapshot")
    if subject in register.doubtful:
        return unknown("doubtful_record")
    if subject not in register.rows:
        return RULES[rule].no_record
    return RULES[rule].judge(register.rows[subject], application.handler_name if handlers else application.name, at)


def is_stale(rule: str, at: date, snapshot: date, limits: Mapping[str, timedelta]) -> bool:
    history_ends = {
        "social_insurance_60_months": date(at.year, at.month, 1) - timedelta(days=1),
        "income_tax_five_years": date(at.year - 1, 12, 31),
    }
    too_early = rule in history_ends and snapshot < history_ends[rule]
    too_old = rule in limits and snapshot < at - limits[rule]
    return too_early or too_old


# Decision ------------------------------------------------------------------------------------------------------


def decided(application: str, double: bool, verdicts: dict[str, Verdict]) -> Finding:
    refused = [v.reason for v in verdicts.values() if v.verdict == "not_met"]
    open_questions = [v.reason for v in verdicts.values() if v.verdict == "unknown" and v.reason != "not_asked"]
    status = "eligible"
    reason: str | None = None
    if double:
        status, reason = "not_eligible", "duplicate_application"
    elif refused:
        status, reason = "not_eligible", refused[0]
    elif open_questions:
        status, reason = "needs_person", open_questions[0]
    elif not verdicts:
        status, reason = "needs_person", "no_applicable_rule"
    return Finding(application, status, reason, verdicts)


# The bar -------------------------------------------------------------------------------------------------------


def compare(findings: Mapping[str, Finding], truth_parquet: Path) -> dict[str, Any]:
    """Figures of the findings against the truth the registers were made from, and whether the bar `holds`.

    The bar: nobody truly eligible is refused; of the truly eligible with clean records at least 97 % are found
    eligible; at most 5 % of all are sent to a person. An application of the truth without a finding counts as not
    found; a finding the truth does not know fails the bar, since it cannot be judged.
    """
    truth = {line["application"]: line for line in pq.read_table(truth_parquet).to_pylist()}
    status = {code: finding.status for code, finding in findings.items()}
    eligible = [code for code, line in truth.items() if line["eligible"]]
    clean = [code for code in eligible if truth[code]["clean"]]
    refused = sorted(code for code in eligible if status.get(code) == "not_eligible")
    clean_share = share(sum(status.get(code) == "eligible" for code in clean), len(clean))
    person_share = share(sum(s == "needs_person" for s in status.values()), len(status))
    unjudged = len(status.keys() - truth.keys())
    return {
        "holds": not refused
        and not unjudged
        and clean_share is not None
        and clean_share >= CLEAN_FOUND_AT_LEAST
        and person_share is not None
        and person_share <= TO_A_PERSON_AT_MOST,
        "applications": len(status),
        "truly_eligible": len(eligible),
        "truly_eligible_refused": len(refused),
        "refused_wrongly": refused[:20],
        "clean_eligible": len(clean),
        "clean_eligible_found_share": clean_share,
        "sent_to_a_person_share": person_share,
        "eligible_wrongly": sum(s == "eligible" and c in truth and not truth[c]["eligible"] for c, s in status.items()),
        "by_cause": by_cause(truth, status),
        "without_truth": unjudged,
        "without_finding": len(truth.keys() - status.keys()),
    }


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def by_cause(truth: Mapping[str, Any], status: Mapping[str, str]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for code, line in truth.items():
        counts[str(line["cause"])][status.get(code, "none")] += 1
    return {cause: dict(counts[cause]) for cause in sorted(counts)}


def main(arguments: list[str]) -> None:
    registers, at, snapshot, *truth = arguments
    findings = decide(Path(registers), date.fromisoformat(at), date.fromisoformat(snapshot))
    counts = Counter(f"{finding.status}/{finding.reason or ''}" for finding in findings.values())
    print(json.dumps(dict(counts.most_common()), ensure_ascii=False, indent=1))
    for path in truth:
        print(json.dumps(compare(findings, Path(path)), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
