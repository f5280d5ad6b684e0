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
    ("no_record", "登记机关没有与所填信息相符的记录", "the register holds no record that matches what was given"),
    ("no_answer", "登记机关未在期限内答复", "the register did not answer in time"),
    ("bad_identifier", "证件号码无法规范化，未能查询", "the identifier could not be normalised, so nothing was asked"),
    ("stale_snapshot", "登记数据过旧，不能作为依据", "the register's data are too old to decide on"),
    ("bad_value", "登记数据存在错误值", "the record holds a value that cannot be right"),
    (
        "doubtful_record",
        "存在相近的问题记录，需人工核对",
        "a rejected record resembles this person; a person must look",
    ),
    ("missing_value", "登记数据缺少所需内容", "the record lacks a value that the question needs"),
    ("not_asked", "尚未查询", "not asked yet"),
    ("snapshot_gone", "本批次所用的数据版本已不存在", "the version of the data that the round uses is gone"),
    ("register_unavailable", "登记机关的系统不可用", "the register is out of service"),
    ("no_applicable_rule", "没有可适用的规则", "no rule applies to this application"),
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
