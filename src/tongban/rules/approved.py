"""The canonical text of a rule: what its owner approves, what directories carry and archives keep."""

from typing import Any

from tongban.rules import expr
from tongban.rules.language import LanguageError, scan
from tongban.rules.rule import NoRecord, Rule, RuleReason
from tongban.rules.verdict import Verdict


def canonical_text(
    rule: Rule, *, matched_by: expr.Expr | None, met: expr.Expr, whens: tuple[expr.Expr, ...]
) -> dict[str, Any]:
    """The rule's meaning as JSON, readable by `rule_from_json`.

    Not in it: situations, which illustrate; and `valid_until`, so that the end of a rule, a later fact,
    does not change what was approved and asked while it was in force.
    """
    return {
        "rule": rule.name,
        "valid_from": rule.valid_from.isoformat(),
        "title": rule.title,
        "title_en": rule.title_en,
        "resource": rule.resource,
        "article": {"text": rule.article.text, "source": rule.article.source},
        "applies": _spaced(rule),
        "subject": rule.subject,
        "asks": [column.to_json() for column in rule.asks],
        "parameters": {name: parameter.to_json() for name, parameter in sorted(rule.parameters.items())},
        "state_on": rule.state_on,
        "max_snapshot_days": rule.max_snapshot_days,
        "history_through": rule.history_through,
        "matched_by": None if matched_by is None else expr.text(matched_by),
        "met": expr.text(met),
        "no_record": _no_record(rule.no_record),
        "reasons": [
            {"when": when} | _reason(reason) for when, reason in zip(map(expr.text, whens), rule.reasons, strict=True)
        ],
        "default_reason": _reason(rule.default_reason) if rule.default_reason else None,
        "unknown_reason": _reason(rule.unknown_reason) if rule.unknown_reason else None,
        "missing_means": [
            {"column": silence.column, "meaning": silence.meaning, "article": silence.article}
            for silence in rule.missing_means
        ],
    }


def _reason(reason: RuleReason) -> dict[str, Any]:
    return {"code": reason.code, "say": reason.say, "say_en": reason.say_en}


def _no_record(policy: NoRecord) -> str | dict[str, Any]:
    if policy.reason is None:
        return "unknown"
    reason = policy.reason
    needs = None if policy.verdict is Verdict.UNKNOWN else "complete"
    said = {"verdict": policy.verdict.word, "reason": reason.code, "say": reason.say, "say_en": reason.say_en}
    return said | {"article": policy.article or None, "needs": needs}


def _spaced(rule: Rule) -> str | None:
    """`applies` with single spaces: a canonical text that a node, which knows no application, can make too."""
    if rule.applies is None:
        return None
    try:
        return " ".join(token.text for token in scan(rule.applies))
    except LanguageError as error:
        raise rule.places.invalid(f"`applies`: {error.what}", error.remedy, "applies") from None
