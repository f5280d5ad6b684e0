"""Workload `six`: its departments, each with one register, one fact table and one rule over it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from tongban.rules.facts import Column, FactTable, Type
from tongban.rules.places import Places
from tongban.rules.rule import Article, NoRecord, Rule, RuleReason, parameter_of
from tongban.rules.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Department:
    """One of the six. `rows`, `columns` and `merge` are what node.toml says of its facts."""

    node: str
    register: str
    facts: FactTable
    rule: Rule
    rows: str
    columns: tuple[str, ...]
    merge: str

    @property
    def resource(self) -> str:
        return self.rule.resource

    @property
    def fields(self) -> tuple[str, ...]:
        """Columns of the register that a point look-up would give."""
        return tuple(column.split(" ", 1)[0] for column in self.columns)


def _rule(
    name: str,
    met: str,
    reasons: Mapping[str, str],
    otherwise: str,
    silence: NoRecord,
    *,
    parameters: Mapping[str, Any] | None = None,
    asks: tuple[Column, ...] = (),
    matched_by: str | None = None,
    state_on: str = "at",
) -> Rule:
    texts = tuple(RuleReason(code, code, code, when) for code, when in reasons.items())
    return Rule(
        name=name, valid_from=date(2014, 1, 1), valid_until=None, title=name, title_en=name, resource=f"six/{name}",
        article=Article("bench", "bench"), applies="kind = 'resident'", subject="subject", asks=asks,
        parameters={one: parameter_of(one, value) for one, value in (parameters or {}).items()}, state_on=state_on,
        max_snapshot_days=40, history_through=None, matched_by=matched_by, met=met, no_record=silence, reasons=texts,
        default_reason=RuleReason(otherwise, otherwise, otherwise), unknown_reason=None, missing_means=(), usual={},
        situations=(), places=Places("bench.yaml"),
    )  # fmt: skip


def _silence(verdict: Verdict, code: str) -> NoRecord:
    return NoRecord(verdict, RuleReason(code, code, code), "" if verdict is Verdict.UNKNOWN else "bench")


def _codes(name: str, *codes: str) -> Column:
    return Column(name, Type.CODE, codes=codes)


_POPULATION = Department(
    "public-security", "population",
    FactTable(
        "six/population", ("citizen",),
        (
            Column("name", Type.TEXT), Column("region", Type.TEXT), Column("permit_until", Type.DATE),
            _codes("status", "正常", "死亡", "注销"),
        ),
    ),
    _rule(
        "population", "status = '正常' AND (region = '11' OR permit_until >= {at})", {"deceased": "status = '死亡'"},
        "not_resident", _silence(Verdict.UNKNOWN, "not_confirmed"),
        asks=(Column("name", Type.TEXT),), matched_by="name = asked.name",
    ),
    "SELECT id_number, name, region, permit_until, status FROM population",
    ("name name", "region text", "permit_until date", "status code 正常|死亡|注销"), "one_row",
)  # fmt: skip

_LICENCE = Department(
    "traffic-police", "licence",
    FactTable(
        "six/licence", ("citizen",),
        (
            _codes("licence_class", "A2", "B2", "C1", "C2", "D", "E"), _codes("status", "正常", "暂扣", "注销"),
            Column("valid_until", Type.DATE),
        ),
    ),
    _rule(
        "licence", "status = '正常' AND licence_class IN ({classes}) AND valid_until >= {at}",
        {"licence_status": "status <> '正常'", "licence_expired": "valid_until < {at}"}, "licence_class",
        _silence(Verdict.NOT_MET, "no_licence"), parameters={"classes": ["A2", "B2", "C1", "C2"]},
    ),
    "SELECT id_number, licence_class, status, valid_until FROM licence",
    ("licence_class code A2|B2|C1|C2|D|E", "status code 正常|暂扣|注销", "valid_until date"), "one_row",
)  # fmt: skip

_FIRST = "date_trunc('month', {snapshot}) - INTERVAL 119 MONTH"
_SOCIAL = Department(
    "human-resources", "social",
    FactTable("six/social", ("citizen",), (Column("paid", Type.MONTHS),)),
    _rule(
        "social", "months_all_paid(paid, add_months({at}, -1), {months})",
        {"not_current": "NOT month_paid(paid, add_months({at}, -1))"}, "interrupted",
        _silence(Verdict.NOT_MET, "no_insurance"), parameters={"months": 60}, state_on="history",
    ),
    "SELECT id_number, month_from, month_to FROM social", ("month_from month", "month_to month"),
    f"""WITH spans AS (
    SELECT k, greatest(date_diff('month', {_FIRST}, month_from), 0) AS a,
        least(date_diff('month', {_FIRST}, month_to), 119) AS b FROM social
), whole AS (
    SELECT k, coalesce(bit_or(CASE WHEN a <= b
        THEN (1::HUGEINT << (b + 1)::INTEGER) - (1::HUGEINT << a::INTEGER) ELSE 0::HUGEINT END), 0) AS bits
    FROM spans GROUP BY k
)
SELECT k, (bits & ((1::HUGEINT << 60) - 1))::BIGINT AS paid_low, (bits >> 60)::BIGINT AS paid_high,
    CAST({_FIRST} AS DATE) AS paid_first FROM whole""",
)  # fmt: skip

_TAX = Department(
    "tax", "tax",
    FactTable("six/tax", ("citizen",), (Column("years", Type.YEARS),)),
    _rule(
        "tax", "years_covered(years, year_of({at}) - {span}, year_of({at}) - 1)",
        {"last_year_missing": "NOT years_covered(years, year_of({at}) - 1, year_of({at}) - 1)"}, "year_missing",
        _silence(Verdict.NOT_MET, "no_tax_record"), parameters={"span": 5}, state_on="history",
    ),
    "SELECT id_number, amount, treasury_date FROM tax", ("amount amount", "treasury_date date"),
    """WITH sums AS (SELECT k, year(treasury_date) AS y, sum(amount) AS total FROM tax GROUP BY k, year(treasury_date))
SELECT k, coalesce(bit_or(CASE WHEN total > 0 AND y BETWEEN 2000 AND 2062 THEN 1::BIGINT << (y - 2000)::INTEGER END), 0)
    AS years FROM sums GROUP BY k""",
)  # fmt: skip

_VEHICLE = Department(
    "vehicles", "vehicle",
    FactTable("six/vehicle", ("citizen",), (Column("cars", Type.INT, low=0, high=100_000),)),
    _rule("vehicle", "cars = 0", {}, "has_vehicle", _silence(Verdict.MET, "no_vehicle_record")),
    "SELECT id_number, kind, status FROM vehicle",
    ("kind code 小型轿车|小型普通客车|轻型货车|摩托车", "status code 正常|查封|注销"),
    """SELECT k, CASE WHEN bool_or(kind IS NULL OR status IS NULL) THEN NULL ELSE
    count(*) FILTER (WHERE kind IN ('小型轿车', '小型普通客车') AND status <> '注销') END AS cars
FROM vehicle GROUP BY k""",
)  # fmt: skip

_BUSINESS = Department(
    "industry-commerce", "business",
    FactTable("six/business", ("citizen",), (Column("revoked", Type.INT, low=0, high=100_000),)),
    _rule("business", "revoked = 0", {}, "licence_revoked", _silence(Verdict.MET, "no_business")),
    "SELECT id_number, status FROM business", ("status code 存续|吊销|注销",),
    """SELECT k, CASE WHEN bool_or(status IS NULL) THEN NULL ELSE count(*) FILTER (WHERE status = '吊销') END AS revoked
    FROM business GROUP BY k""",
)  # fmt: skip

SIX = (_POPULATION, _LICENCE, _SOCIAL, _TAX, _VEHICLE, _BUSINESS)
#: What an application says of itself, as far as a rule asks whether it is concerned.
APPLICATION = (Column("kind", Type.TEXT),)
