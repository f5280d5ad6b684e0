"""A small round, from the list to the draw, with departments that answer from a table.

Persons and units are generated; division 990100 is no division of GB/T 2260. Seeds, secrets and reveals are digests
of their names, so that two runs write the same bytes.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tongban.calendar.workdays import shipped_calendar
from tongban.exchange.bulk import About, write_answer
from tongban.identity.identifiers import citizen_check, organisation_check
from tongban.kit.errors import Refused
from tongban.kit.keys import SigningKey
from tongban.rounds import applications, draw, recheck, steps
from tongban.rounds.answers import Came, keep_answer
from tongban.rounds.folder import RoundFolder, Stage
from tongban.rounds.freeze import freeze
from tongban.rounds.key_columns import HANDLER, SUBJECT
from tongban.rounds.policy import Policy, read_policy
from tongban.rounds.questions import Part, Question
from tongban.rounds.round import Round, new_round, open_folder, read_round
from tongban.rounds.verdicts import Asking
from tongban.rules.decision import Decision, Group
from tongban.rules.verdict import Reason, Verdict, pack

POLICY = Path(__file__).parents[2] / "solutions" / "car_lottery" / "policy"
AT = date(2014, 6, 8)
RECEIVED = date(2014, 6, 9)
KEY = SigningKey("transport.online.1", hashlib.sha256(b"transport.online.1").digest())
SOFTWARE = {"tongban": "0.1.0"}
PARTIES = {"citizens": "市民代表", "notary-office": "公证处", "transport": "指标办"}
REVEALS = {party: hashlib.sha256(f"reveal of {party}".encode()).digest() for party in PARTIES}
COMMITMENTS = {party: draw.commitment(party, reveal) for party, reveal in REVEALS.items()}

MET, NOT_MET, UNKNOWN = (int(pack(verdict, 0)) for verdict in (Verdict.MET, Verdict.NOT_MET, Verdict.UNKNOWN))


def citizen(number: int) -> str:
    """A generated citizen number, another one for each `number` below a thousand times a thousand."""
    born = f"{1950 + number // 1000 % 50:04d}0101"
    body = f"9901{number // 50_000:02d}{born}{number % 1000:03d}"
    return body + citizen_check(body)


def organisation(number: int) -> str:
    body = f"{number:08d}"
    return body + organisation_check(body)


def code(number: int) -> str:
    """Application code."""
    return f"{9_000_000_000_000 + number}"


def a_line(number: int, **change: Any) -> dict[str, Any]:
    """One line of the raw list: a resident who applies in time, for the first time."""
    line: dict[str, Any] = {
        "application": code(number), "kind": "resident", "submitted_on": "2014-05-10", "name": f"张{number}",
        "document_type": "身份证", "document_number": citizen(number), "handler_name": None, "handler_number": None,
        "failed_draws": 0,
    }  # fmt: skip
    return line | change


def again(number: int, of: int, **change: Any) -> dict[str, Any]:
    """A further application of the person who hands in `a_line(of)`."""
    return a_line(number, **({"document_number": citizen(of), "name": f"张{of}"} | change))


def a_unit(number: int, **change: Any) -> dict[str, Any]:
    """An enterprise, whose application somebody handles."""
    own = {
        "kind": "enterprise", "document_type": "组织机构代码", "document_number": organisation(number),
        "handler_name": f"李{number}", "handler_number": citizen(500_000 + number),
    }  # fmt: skip
    return a_line(number, **(own | change))


_RAW = pa.schema([(name, pa.string()) for name in applications.RAW[:-1]] + [("failed_draws", pa.int32())])


def a_raw_list(lines: Sequence[Mapping[str, Any]]) -> Any:
    """Optional columns stand in it where a line has one."""
    given = [name for name in applications.OPTIONAL if any(name in line for line in lines)]
    schema = pa.schema([*_RAW, *((name, pa.string()) for name in given)])
    return pa.Table.from_pylist([dict(line) for line in lines], schema=schema)


def the_policy(**change: Any) -> Policy:
    """The shipped policy of 2014, with quotas for a small round."""
    policy = read_policy(POLICY, AT)
    return replace(policy, **({"quotas": {"persons": 5, "units": 2}} | change))


def a_list(lines: Sequence[Mapping[str, Any]]) -> applications.Applications:
    return applications.normalised(a_raw_list(lines), the_policy())


# --- Questions ----------------------------------------------------------------------------------

PERSONS, UNITS = ("resident", "foreign", "work_permit", "residence_permit"), ("enterprise", "social_body")


def for_kinds(*kinds: str) -> Callable[[Any], Any]:
    return lambda table: pc.is_in(table["kind"].combine_chunks(), pa.array(kinds)).to_numpy(False).astype(np.uint8)


def a_question(name: str, kinds: Sequence[str], **change: Any) -> Question:
    one = Question(
        rule=f"{name}@2014-01-01",
        digest=hashlib.sha256(name.encode()).hexdigest(),
        title=f"规则{name}",
        title_en=f"Rule {name}",
        department="public-security",
        first=False,
        about=SUBJECT,
        asks=(),
        reasons=(Reason(1, f"{name}_no", "不符合", "Not met"),),
        applies=for_kinds(*kinds),
    )
    return replace(one, **change)


QUESTIONS = (
    a_question("identity", PERSONS, first=True, asks=("name",)),
    a_question("handler_identity", UNITS, first=True, asks=("name",), about=HANDLER),
    a_question("licence", PERSONS),
    a_question("insurance", ("residence_permit",), department="human-resources"),
    a_question("business", UNITS, department="industry-commerce"),
)
_ALL = {
    "resident": ("identity", "licence"),
    "foreign": ("identity", "licence"),
    "work_permit": ("identity", "licence"),
    "residence_permit": ("identity", "insurance", "licence"),
    "enterprise": ("handler_identity", "business"),
    "social_body": ("handler_identity", "business"),
}
DECISIONS = {kind: Decision(kind, Group("all", rules)) for kind, rules in _ALL.items()}

#: What departments hold against somebody: (rule name, key as in the batch) to a byte. Everybody else meets everything.
Held = Mapping[tuple[str, Any], int]


def an_answer(part: Part, held: Held, rule_digest: str, snapshot: str = "2014-06-08") -> bytes:
    """What the department sends back for one part."""
    name = part.rule.partition("@")[0]
    verdicts = [held.get((name, key), MET) for key in part.keys["k"].to_pylist()]
    about = About(part.rule, rule_digest, f"{name}-1", snapshot, len(verdicts), part.digest(), "1")
    return write_answer(np.array(verdicts, np.uint8), about)


CAME = Came(asked_at=1_402_286_400.0, seconds=0.5, bytes_up=10, bytes_down=5, receipt={"entry": 7})


# --- The whole way ------------------------------------------------------------------------------


def a_round(**change: Any) -> Round:
    own: dict[str, Any] = {
        "id": "2014-3", "matter": "car_lottery", "at": AT, "received_on": RECEIVED, "policy": the_policy(),
        "rules": {question.rule: question.digest for question in QUESTIONS}, "parties": PARTIES,
        "days": shipped_calendar(),
    }  # fmt: skip
    return new_round(**(own | change))


def opened(path: Path, lines: Sequence[Mapping[str, Any]], **change: Any) -> RoundFolder:
    round = a_round(**change)
    listed = applications.normalised(a_raw_list(lines), round.policy)
    return open_folder(path, round, listed.to_bytes(), lambda size: hashlib.sha256(b"secret").digest()[:size])


def asked(folder: RoundFolder) -> Asking:
    return steps.asking(folder, QUESTIONS)


def answer_all(folder: RoundFolder, held: Held | None = None, silent: frozenset[str] = frozenset()) -> Asking:
    """Every department but those of the `silent` rules (names) answers whatever it is asked."""
    round, asking = read_round(folder), asked(folder)
    _answer(folder, round, asking.first_parts(), held or {}, silent)
    from tongban.rounds.answers import answer_of

    first = asking.first_columns(lambda part: answer_of(folder, round, part))
    _answer(folder, round, asking.further_parts(first), held or {}, silent)
    return asking


def _answer(
    folder: RoundFolder, round: Round, wanted: Mapping[str, Sequence[Part]], held: Held, silent: frozenset[str]
) -> None:
    for rule, parts in wanted.items():
        for part in parts if rule.partition("@")[0] not in silent else ():
            kept = keep_answer(folder, round, part, an_answer(part, held, round.rules[rule]), CAME)
            assert not isinstance(kept, Refused), kept


def decided(path: Path, lines: Sequence[Mapping[str, Any]], held: Held | None = None, **change: Any) -> RoundFolder:
    folder = opened(path, lines, **change)
    asking = answer_all(folder, held)
    assert steps.verify(folder, asking) is True
    assert steps.decide(folder, asking, DECISIONS, KEY, SOFTWARE) is True
    return folder


def frozen(path: Path, lines: Sequence[Mapping[str, Any]], held: Held | None = None, **change: Any) -> RoundFolder:
    folder = decided(path, lines, held, **change)
    assert freeze_it(folder) is True
    return folder


def freeze_it(folder: RoundFolder, **change: Any) -> bool | Refused:
    commitments = change.pop("commitments", COMMITMENTS)
    return freeze(folder, asked(folder), DECISIONS, commitments, KEY, SOFTWARE, **change)


def receipts(folder: RoundFolder) -> dict[str, dict[str, Any]]:
    """What the log answers to the freeze of each pool."""
    round = read_round(folder)
    return {
        pool: {"origin": "transport", "entry": number, "leaf": draw.freeze_leaf(round.id, freeze)}
        for number, (pool, freeze) in enumerate(draw.frozen_statements(folder).items())
    }


def drawn(path: Path, lines: Sequence[Mapping[str, Any]], held: Held | None = None, **change: Any) -> RoundFolder:
    folder = frozen(path, lines, held, **change)
    assert draw.draw(folder, REVEALS, receipts(folder)) is True
    assert folder.stage is Stage.DRAWN
    return folder


def raw_file(path: Path, lines: Sequence[Mapping[str, Any]]) -> Path:
    pq.write_table(a_raw_list(lines), path)
    return path


def kept(folder, prepared):
    """What the command does once the log has heard of a re-check or its answer; anything else comes back."""
    return recheck.keep(folder, prepared) if isinstance(prepared, recheck.Prepared) else prepared
