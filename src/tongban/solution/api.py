"""What the code of a solution may import, and nothing else.

A solution is data first. Where a matter needs more than rules (weights of a draw, an allotment of
codes), a small module beside the data says so, with these words only: values, no files, no network, no
clock. Everything here keeps its meaning within a major version.
"""

from tongban.rules.decision import Decision, Group, Outcome, Result, Results, decide, decide_all
from tongban.rules.verdict import COMMON, Verdict, pack, unknown, unpack

__all__ = [
    "COMMON",
    "Decision",
    "Group",
    "Outcome",
    "Result",
    "Results",
    "Verdict",
    "decide",
    "decide_all",
    "pack",
    "unknown",
    "unpack",
]
