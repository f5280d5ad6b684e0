"""Verdicts: what a register says to one question about one person, in one byte.

The top two bits hold the verdict, the low six its reason. Reason 0 is none; 1 to 47 belong to the
rule and are numbered by the order in its text; 48 to 63 are common to all rules and stand below.
Silence has its own verdict: UNKNOWN goes to a person and is never a no.
"""

from dataclasses import dataclass
from enum import IntEnum


class Verdict(IntEnum):
    """The two bits on the wire. The numbers are fixed for ever."""

    NOT_MET = 0
    MET = 1
    UNKNOWN = 2
    NOT_APPLICABLE = 3

    @property
    def word(self) -> str:
        """How the verdict stands in JSON and in rule files: "not_met"."""
        return self.name.lower()


WORDS = {verdict.word: verdict for verdict in Verdict}

#: Greatest number of reasons that a rule may have of its own.
OWN_REASONS = 47


@dataclass(frozen=True, slots=True)
class Reason:
    """A fixed text. Never a value from the register: a reason travels further than the record may."""

    number: int
    code: str
    say: str
    say_en: str


_COMMON = (
    ("no_record", "未查到登记记录，需人工核实", "No record was found; a person will check"),
    ("no_answer", "部门尚未答复", "The department has not answered yet"),
    ("bad_identifier", "证件号码有误，需人工核实", "The document number does not hold; a person will check"),
    (
        "stale_snapshot",
        "登记数据的日期不合规定，需人工核实",
        "The register was not read within the prescribed days; a person will check",
    ),
    ("bad_value", "登记数据有误，需人工核实", "A registered value does not hold; a person will check"),
    (
        "doubtful_record",
        "登记库中有疑似本人的不规范记录，需人工核实",
        "The register holds a malformed record that may be this person's",
    ),
    ("missing_value", "登记记录有缺项，需人工核实", "A needed value is missing in the record"),
    (
        "not_asked",
        "未继续查询：身份未确认，或同一证件号码另有申请",
        "Not asked: identity was not confirmed first, or another application gives the same number",
    ),
    (
        "snapshot_gone",
        "本期所用的登记数据已不存在，需重新核验",
        "The data that this round uses are gone; the question must be asked again",
    ),
    ("register_unavailable", "部门登记系统暂不可用", "The department's register is out of service at present"),
    ("no_applicable_rule", "申请类别无对应规则，需人工处理", "No rule applies to this kind of application"),
)

#: Reasons common to all rules, by code. `no_applicable_rule` is for decisions only.
COMMON = {code: Reason(48 + n, code, say, say_en) for n, (code, say, say_en) in enumerate(_COMMON)}
COMMON_BY_NUMBER = {reason.number: reason for reason in COMMON.values()}


def pack(verdict: Verdict, reason: int = 0) -> int:
    """The byte on the wire. ValueError for a reason beyond six bits."""
    if not 0 <= reason <= 63:
        raise ValueError(f"a reason is a number from 0 to 63, got {reason}")
    return verdict << 6 | reason


def unpack(byte: int) -> tuple[Verdict, int]:
    """Verdict and number of the reason. ValueError if `byte` is not one byte."""
    if not 0 <= byte <= 255:
        raise ValueError(f"a verdict is one byte, got {byte}")
    return Verdict(byte >> 6), byte & 63


def unknown(code: str) -> int:
    """The byte for UNKNOWN with a common reason."""
    return pack(Verdict.UNKNOWN, COMMON[code].number)
