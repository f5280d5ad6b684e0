"""Invented figures of one round, as large as a demonstration's, for the report's tests."""

from dataclasses import replace
from datetime import date

from tongban.rounds.figures import (
    BallFigures,
    DepartmentFigures,
    KindFigures,
    PoolFigures,
    ReasonCount,
    RoundFigures,
    RuleFigures,
    Words,
)


def _reason(code: str, zh: str, en: str, verdict: str, count: int) -> ReasonCount:
    return ReasonCount(code, Words(zh, en), verdict, count)


NOT_CONFIRMED = (
    "identity_not_confirmed",
    "姓名与证件号码未能核对一致，需人工核实",
    "Name and number could not be confirmed",
)

RULES = (
    RuleFigures(
        "identity@2013-01-01", Words("姓名与公民身份号码一致", "Name and number agree"), "public-security",
        27_411, 23, 1_214, 0,
        (
            _reason("deceased", "人口库登记状态为死亡", "The person has died", "not_met", 19),
            _reason("household_cancelled", "户口已注销", "The household registration was cancelled", "not_met", 4),
            _reason(*NOT_CONFIRMED, "unknown", 961),
            _reason("bad_identifier", "证件号码有误，需人工核实", "The document number does not hold", "unknown", 188),
            _reason("doubtful_record", "登记库中有疑似本人的不规范记录", "A malformed record", "unknown", 65),
        ),
    ),
    RuleFigures(
        "driving_licence@2013-01-01", Words("持有准驾小客车的有效驾驶证", "A valid licence"), "public-security",
        21_877, 5_102, 432, 1_237,
        (
            _reason("no_licence", "没有驾驶证登记", "No driving licence is registered", "not_met", 3_240),
            _reason("licence_expired", "驾驶证已过有效期", "The driving licence has expired", "not_met", 1_002),
            _reason("licence_class", "准驾车型不含小客车", "The class does not allow a passenger car", "not_met", 857),
            _reason("licence_status", "驾驶证状态不正常", "The licence is not in normal state", "not_met", 3),
            _reason("missing_value", "登记记录有缺项，需人工核实", "A needed value is missing", "unknown", 432),
        ),
    ),
    RuleFigures(
        "social_insurance_60_months@2013-01-01", Words("连续缴纳社会保险六十个月", "Sixty months of insurance"),
        "human-resources", 4_105, 2_310, 97, 488,
        (
            _reason("insurance_interrupted", "社会保险连续缴纳不足60个月", "A gap in sixty months", "not_met", 1_761),
            _reason("no_insurance", "没有社会保险缴纳记录", "No social insurance payment is recorded", "not_met", 549),
            _reason("no_answer", "部门尚未答复", "The department has not answered yet", "unknown", 97),
        ),
    ),
    RuleFigures(
        "income_tax_five_years@2013-01-01", Words("近五年每年缴纳个人所得税", "Five years of income tax"), "local-tax",
        3_900, 2_588, 24, 488,
        (
            _reason("tax_year_missing", "近五年中有年度没有个人所得税入库", "A year has none", "not_met", 2_588),
            _reason("missing_value", "登记记录有缺项，需人工核实", "A needed value is missing", "unknown", 24),
        ),
    ),
)  # fmt: skip

DEPARTMENTS = (
    DepartmentFigures(
        "public-security", Words("公安局", "Public security"), 6, 112_480, 1.84, ("2014-06-05", "2014-06-08"), 0
    ),
    DepartmentFigures("human-resources", Words("人力社保局", "Human resources"), 2, 9_120, 1.12, ("2014-06-08",), 1),
    DepartmentFigures("local-tax", Words("地税局", "Local tax"), 1, 7_000, 0.63, ("2014-06-07",), 0),
)

POOLS = (
    PoolFigures(
        pool="persons",
        words=Words("个人", "persons"),
        codes=18_230,
        balls=24_512,
        quota=200,
        winners=200,
        pool_root="9f2c" * 16,
        freeze_digest="07ab" * 16,
        seed="c0de" * 16,
        draw_digest="51ed" * 16,
        log="11110000MB0000001X/transport #48213",
        opened_by={"citizens": "party", "notary-office": "notary", "transport": "party"},
        by_balls=(
            BallFigures(1, 13_480, 138),
            BallFigures(2, 3_222, 42),
            BallFigures(3, 1_525, 17),
            BallFigures(4, 3, 3),
        ),
    ),
)

FIGURES = RoundFigures(
    round="2014-3",
    matter=Words("小客车指标摇号", "Passenger-car quota draw"),
    city=Words("示例市", "Example City"),
    demonstration=True,
    stage="drawn",
    at=date(2014, 6, 8),
    received_on=date(2014, 6, 9),
    answer_due=date(2014, 6, 19),
    recheck_due=date(2014, 7, 1),
    answer_days=8,
    recheck_days=16,
    provisional=False,
    seconds=2.46,
    applications=28_648,
    identity_met=27_411,
    eligible=18_230,
    not_eligible=9_004,
    needs_person=1_414,
    decided_by=(
        _reason(
            "duplicate_application",
            "同一申请人重复申请，以最早一份为准",
            "The earliest application counts",
            "not_met",
            212,
        ),
    ),
    rules=RULES,
    departments=DEPARTMENTS,
    pools=POOLS,
    parties={"citizens": "市民代表（演示）", "notary-office": "公证处（演示）", "transport": "指标办（演示）"},
    rechecks=31,
    rechecks_changed=6,
    remedies=(
        Words(
            "复核改变了结论，但本期已经封池：本期不再重摇。申请自下一期起有效，本期按一次未中签累计。",
            "The re-check changed the finding after the freeze: the application is valid from the next round on.",
        ),
    ),
    smallest=5,
    kinds=(
        KindFigures("resident", Words("本市户籍人员", "Resident"), 17_610, 8_700, 1_360),
        KindFigures("family", Words("家庭", "Family"), 620, 304, 54),
    ),
)


def figures(**changes: object) -> RoundFigures:
    """The invented round with some of its figures changed."""
    return replace(FIGURES, **changes)  # type: ignore[arg-type]
