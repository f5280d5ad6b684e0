"""Who may take part in the car lottery: an independent checker.

Second implementation of docs/reference/car_lottery.md (sections 1, 2, 3, 6 and 8 here), written from that page alone,
for clarity and not for speed, with the Python standard library and pyarrow as a reader of Parquet. It imports nothing
of the product, so that a slip in one of the two shows as a disagreement.

    python -m tests.oracle.car_lottery REGISTERS AT SNAPSHOT [TRUTH]
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.oracle.registers import FOREIGN, Facts, raw_rows_of, read_all
from tests.oracle.rules import RULES, Asked, Verdict, unknown
from tests.oracle.texts import DOMAINS, Key, code_number, identifier, key, name, real_day, text

NO_VEHICLES = ("no_vehicle", "no_scrap_due_vehicle")
CAR_RULES = ("driving_licence", *NO_VEHICLES)
FIVE_YEARS = ("residence_permit", "social_insurance_60_months", "income_tax_five_years")
Asks = tuple[
    tuple[str, ...], tuple[str | tuple[str, ...], ...]
]  # first asked, then asked; of an inner tuple any will do
PERSONS: dict[str, Asks] = {
    "resident": (("identity", "household_here"), CAR_RULES),
    "foreign": (("lodging_registration",), ("foreign_driving_licence", *NO_VEHICLES)),
    "work_permit": (("identity",), ("work_residence_permit", *CAR_RULES)),
    "residence_permit": (("identity",), (*FIVE_YEARS, *CAR_RULES)),
}
THREE_CERTIFICATES = ("business_licence", "organisation_code", "tax_registration")
UNITS_FROM: dict[date, dict[str, Asks]] = {
    date(2011, 1, 1): {
        "enterprise": (("handler_identity",), (*THREE_CERTIFICATES, "vat_of_the_year")),
        "social_body": (("handler_identity",), ("social_body_registration", "organisation_code")),
    },
    date(2015, 10, 1): {
        "enterprise": (("handler_identity",), ("credit_code", "vat_of_the_year")),
        "social_body": (("handler_identity",), ("social_body_registration",)),
    },
    date(2021, 1, 1): {
        "enterprise": (("handler_identity",), ("credit_code", ("vat_of_the_year", "fixed_investment"))),
        "social_body": (("handler_identity",), ("social_body_registration",)),
    },
}
UNITS = ("enterprise", "social_body")
UNIT_DOCUMENTS = {  # from when until when
    "组织机构代码": (date(2011, 1, 1), date(2017, 12, 31)),
    "统一社会信用代码": (date(2015, 10, 1), date.max),
}
OWN_DOMAINS = {  # kind → domains of the documents that are its own
    "resident": ("citizen",),
    "work_permit": ("citizen",),
    "residence_permit": ("citizen",),
    "foreign": FOREIGN,
    "enterprise": ("organisation_code",),
    "social_body": ("organisation_code",),
}
DAYS_FROM_AT = 40  # a snapshot may lie so many days before or after `at`
OF_THE_TAX_OFFICE = ("vat_of_the_year", "tax_registration", "fixed_investment")
OF_THE_PAST = ("social_insurance_60_months", "income_tax_five_years")  # except that to these two the days say nothing
DOUBLE = ("not_eligible", "duplicate_application")
CONFLICT = ("needs_person", "conflicting_applications")
CLEAN_FOUND_AT_LEAST = 0.97
TO_A_PERSON_AT_MOST = 0.05


@dataclass(frozen=True)
class Application:
    application: str
    kind: str
    submitted_on: date | None
    name: str | None
    subject: Key | None  # None: bad
    fits: bool  # the document is one of the kind's own; False also for an unknown kind
    handler_name: str | None
    handler: Key | None
    code_number: str | None  # which code of the year, of a unit
    ordinary_number: str | None
    applicant: tuple[str | None, ...]  # whom it names: the name, of a unit also the handler's number, good or bad


@dataclass(frozen=True)
class Finding:
    application: str
    status: str  # eligible, not_eligible, needs_person
    reason: str | None  # None when eligible
    verdicts: Mapping[str, Verdict]  # only the rules the kind is asked, in their order


def decide(registers: Path, at: date, snapshot: date) -> dict[str, Finding]:
    """A finding for each application but the military ones.

    `registers` holds one folder a department and `transport/applications.parquet`; `snapshot` is the day all registers
    were read.
    """
    applications = read_applications(registers / "transport" / "applications.parquet", at)
    subjects = {k for a in applications for k in (a.subject, a.handler) if k is not None}
    facts = read_all(registers, at, subjects)
    stale = {rule for rule in RULES if is_stale(rule, at, snapshot)}
    settled = doubles_and_conflicts([a for a in applications if a.kind in kinds_on(at)])
    findings = {}
    for a in applications:
        if a.application in settled:
            first, then = kinds_on(at)[a.kind]
            not_asked = {rule: unknown("not_asked") for rule in (*first, *every_rule(then))}
            findings[a.application] = Finding(a.application, *settled[a.application], not_asked)
        else:
            groups = kinds_on(at).get(a.kind, ((), ()))[1]
            findings[a.application] = decided(a.application, answers(a, facts, stale, at), groups)
    return findings


def kinds_on(at: date) -> dict[str, Asks]:
    """The kinds with what they are asked first and then."""
    return PERSONS | UNITS_FROM[max(since for since in UNITS_FROM if since <= at)]


def every_rule(rules: tuple[str | tuple[str, ...], ...]) -> tuple[str, ...]:
    """Those of the groups too."""
    return tuple(rule for one in rules for rule in ((one,) if isinstance(one, str) else one))


# Applications --------------------------------------------------------------------------------------------------


def read_applications(path: Path, at: date) -> list[Application]:
    lines = [line for line in pq.read_table(path).to_pylist() if text(line["kind"]) != "military"]
    applications = [application_of(line, at) for line in lines]
    if len({a.application for a in applications}) != len(applications):
        raise ValueError("an application code stands twice in the list")
    return applications


def application_of(line: Mapping[str, Any], at: date) -> Application:
    kind = text(line["kind"]) or ""
    document = text(line["document_type"]) or ""
    first, ordinary = text(line.get("code_number")) or "1", text(line.get("ordinary_number"))
    domain = DOMAINS.get(document)
    since, until = UNIT_DOCUMENTS.get(document, (date.min, date.max))
    handler = key("citizen", line["handler_number"])
    handler_number = handler[1] if handler else identifier("citizen", line["handler_number"])
    return Application(
        application=line["application"],
        kind=kind,
        submitted_on=real_day(text(line["submitted_on"]) or ""),
        name=name(line["name"]),
        subject=key("organisation_code" if kind in UNITS else domain, line["document_number"]),
        fits=domain in OWN_DOMAINS.get(kind, ()) and since <= at <= until,
        handler_name=name(line["handler_name"]),
        handler=handler,
        code_number=code_number(first) if kind in UNITS else None,
        ordinary_number=code_number(ordinary or first) if kind in UNITS else None,
        applicant=(name(line["name"]), handler_number if kind in UNITS else None),
    )


def doubles_and_conflicts(applications: list[Application]) -> dict[str, tuple[str, str]]:
    """Status and reason of the applications that another one for the same subject settles."""
    by_subject: dict[Key, list[Application]] = defaultdict(list)
    for a in applications:
        if a.subject is not None and a.fits:
            by_subject[a.subject].append(a)
    settled: dict[str, tuple[str, str]] = {}
    for same in by_subject.values():
        if len({a.applicant for a in same}) > 1:
            settled |= {a.application: CONFLICT for a in same}
        else:
            for number in {a.code_number for a in same}:
                for_one_code = [a for a in same if a.code_number == number]
                settled |= {a.application: DOUBLE for a in sorted(for_one_code, key=submission)[1:]}
    return settled


def submission(application: Application) -> tuple[bool, date, str]:
    """In the order in which the first of one applicant's doubles counts: undated ones last."""
    undated = application.submitted_on is None
    return undated, application.submitted_on or date.max, application.application


# Answers -------------------------------------------------------------------------------------------------------


def answers(
    application: Application, facts: Mapping[str, Facts | None], stale: set[str], at: date
) -> dict[str, Verdict]:
    first, then = kinds_on(at).get(application.kind, ((), ()))
    verdicts = {rule: answer(rule, application, facts, stale, at) for rule in first}
    confirmed = all(verdict.verdict == "met" for verdict in verdicts.values())
    bad = application.fits and application.subject is None  # comes before "not asked"; a misfit does not
    for rule in every_rule(then):
        verdicts[rule] = answer(rule, application, facts, stale, at) if confirmed or bad else unknown("not_asked")
    return verdicts


def answer(
    rule: str, application: Application, facts: Mapping[str, Facts | None], stale: set[str], at: date
) -> Verdict:
    handlers = rule == "handler_identity"
    subject = application.handler if handlers else application.subject
    if subject is None or not application.fits:
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
    named = application.handler_name if handlers else application.name
    asked = Asked(named, application.code_number, application.ordinary_number)
    return RULES[rule].judge(register.rows[subject], asked, at)


def is_stale(rule: str, at: date, snapshot: date) -> bool:
    too_far = rule not in OF_THE_PAST and abs((at - snapshot).days) > DAYS_FROM_AT
    return too_far or snapshot < first_good_day(rule, at)


def first_good_day(rule: str, at: date) -> date:
    """The day after the last month or year that the rule needs; a register read before had not seen all of it."""
    if rule == "social_insurance_60_months":
        return date(at.year, at.month, 1)
    if rule in ("income_tax_five_years", *OF_THE_TAX_OFFICE):
        return date(at.year, 1, 1)
    return date.min


# Decision ------------------------------------------------------------------------------------------------------


def decided(application: str, verdicts: dict[str, Verdict], groups: tuple[str | tuple[str, ...], ...] = ()) -> Finding:
    counted = [verdict for _, verdict in each_counted(verdicts, groups)]
    refused = [v.reason for v in counted if v.verdict == "not_met"]
    open_questions = [v.reason for v in counted if v.verdict == "unknown" and v.reason != "not_asked"]
    status = "eligible"
    reason: str | None = None
    if refused:
        status, reason = "not_eligible", refused[0]
    elif open_questions:
        status, reason = "needs_person", open_questions[0]
    elif not verdicts:
        status, reason = "needs_person", "no_applicable_rule"
    return Finding(application, status, reason, verdicts)


def each_counted(
    verdicts: dict[str, Verdict], groups: tuple[str | tuple[str, ...], ...]
) -> Iterator[tuple[str, Verdict]]:
    """Each rule that counts for itself, and each group of which any will do as one verdict in its place."""
    member_of = {rule: group for group in groups if not isinstance(group, str) for rule in group}
    for rule, verdict in verdicts.items():
        group = member_of.get(rule)
        if group is None:
            yield rule, verdict
        elif rule == group[0]:
            found = [verdicts[one] for one in group]
            wanted = next(word for word in ("met", "unknown", "not_met") if word in {v.verdict for v in found})
            yield rule, next(v for v in found if v.verdict == wanted)


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
        figures = compare(findings, Path(path))
        print(json.dumps(figures, ensure_ascii=False, indent=1))
        for code in figures["refused_wrongly"]:
            print(json.dumps(evidence(findings[code], Path(registers), date.fromisoformat(at)), ensure_ascii=False))


def evidence(finding: Finding, registers: Path, at: date) -> dict[str, Any]:
    """What a reader needs to see whether the registers, the page or this checker is wrong about one application."""
    lines = pq.read_table(registers / "transport" / "applications.parquet").to_pylist()
    line = next(line for line in lines if line["application"] == finding.application)
    found = application_of(line, at)
    about = {k for k in (found.subject, found.handler) if k is not None}
    return {
        "line": line,
        "reason": finding.reason,
        "verdicts": {rule: verdict.reason or verdict.verdict for rule, verdict in finding.verdicts.items()},
        "rows": [[register, row] for register, row in raw_rows_of(registers, at, about)],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
