"""Errors and refusals.

Two kinds, never mixed: a *refusal* is an answer (a value with a stable code, sent and logged);
an *error* is what stops a command (an exception with a stable code, a message and a remedy).
Neither ever carries personal data: both are logged, mailed and photographed.

    TongbanError
    ├── Invalid          something a person wrote (file, rule, option) does not hold     exit 2
    ├── Unavailable      something needed is not there now; trying again may help        exit 3
    └── Corrupt          stored bytes contradict each other; a person must look          exit 3
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer of no. `code` is stable and public; `reason` goes to the caller."""

    code: str
    reason: str


class TongbanError(Exception):
    """Base of all errors we raise on purpose.

    A subclass sets `code`, `message` and `remedy`; the facts that fill their braces are
    passed by keyword and stay readable as `facts`.
    """

    code: ClassVar[str] = "kit.error"
    message: ClassVar[str] = "{what}"
    remedy: ClassVar[str] = ""
    exit_status: ClassVar[int] = 3

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(" ".join(part for part in (self.said(), self.advice()) if part))

    def said(self) -> str:
        """What happened."""
        return self.message.format(**self.facts)

    def advice(self) -> str:
        """What to do."""
        return self.remedy.format(**self.facts)


class Invalid(TongbanError):
    """Something a person wrote does not hold."""

    code = "kit.invalid"
    exit_status = 2


class Unavailable(TongbanError):
    """Something needed is not there now."""

    code = "kit.unavailable"


class Corrupt(TongbanError):
    """Stored bytes contradict each other."""

    code = "kit.corrupt"
