"""The figures by which findings are held against the truth the registers were made from."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.oracle.car_lottery import Finding, compare, evidence
from tests.oracle.mini import ME, OTHER, World

NAMES = ("eligible", "clean", "cause")
TRUTH = {  # application → eligible, clean, cause
    "a": (True, True, "none"),
    "b": (True, True, "none"),
    "c": (True, False, "name"),
    "d": (False, True, "car"),
}


def bar(folder: Path, truth: dict[str, tuple[bool, bool, str]], **status: str) -> dict[str, Any]:
    columns = {"application": list(truth), **{n: [t[i] for t in truth.values()] for i, n in enumerate(NAMES)}}
    pq.write_table(pa.table(columns), folder / "truth.parquet")
    return compare({code: Finding(code, s, None, {}) for code, s in status.items()}, folder / "truth.parquet")


def test_the_figures_of_the_bar(tmp_path: Path) -> None:
    figures = bar(tmp_path, TRUTH, a="eligible", b="needs_person", c="not_eligible", d="eligible")
    assert figures == {
        "holds": False,
        "applications": 4,
        "truly_eligible": 3,
        "truly_eligible_refused": 1,
        "refused_wrongly": ["c"],
        "clean_eligible": 2,
        "clean_eligible_found_share": 0.5,
        "sent_to_a_person_share": 0.25,
        "eligible_wrongly": 1,
        "by_cause": {
            "car": {"eligible": 1},
            "name": {"not_eligible": 1},
            "none": {"eligible": 1, "needs_person": 1},
        },
        "without_truth": 0,
        "without_finding": 0,
    }


@pytest.mark.parametrize(
    ("found", "to_a_person", "refused", "holds"),
    [(97, 3, 0, True), (96, 4, 0, False), (99, 0, 1, False), (100, 0, 0, True)],
)
def test_the_bar_holds_at_97_of_100_and_never_with_one_refused(
    tmp_path: Path, found: int, to_a_person: int, refused: int, holds: bool
) -> None:
    statuses = ["eligible"] * found + ["needs_person"] * to_a_person + ["not_eligible"] * refused
    truth = {f"a{i}": (True, True, "none") for i in range(100)}
    assert bar(tmp_path, truth, **dict(zip(truth, statuses, strict=True)))["holds"] is holds


@pytest.mark.parametrize(("to_a_person", "holds"), [(5, True), (6, False)])
def test_the_bar_holds_with_5_of_100_sent_to_a_person(tmp_path: Path, to_a_person: int, holds: bool) -> None:
    truth = {f"a{i}": (i >= 50, i >= 50, "none") for i in range(100)}
    status = {code: "needs_person" if i < to_a_person else "eligible" for i, code in enumerate(truth)}
    assert bar(tmp_path, truth, **status)["holds"] is holds


def test_a_lost_application_counts_as_not_found(tmp_path: Path) -> None:
    figures = bar(tmp_path, TRUTH, a="eligible", d="not_eligible")
    assert (figures["clean_eligible_found_share"], figures["without_finding"], figures["holds"]) == (0.5, 2, False)


def test_a_finding_the_truth_does_not_know_fails_the_bar(tmp_path: Path) -> None:
    figures = bar(tmp_path, TRUTH, a="eligible", b="eligible", c="eligible", d="not_eligible", e="eligible")
    assert (figures["without_truth"], figures["holds"]) == (1, False)


def test_an_empty_truth_does_not_pass(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"application": pa.array([], pa.string()), **{n: pa.array([], pa.bool_()) for n in NAMES}}),
        tmp_path / "truth.parquet",
    )
    assert compare({}, tmp_path / "truth.parquet")["holds"] is False


def test_the_evidence_of_one_finding_is_its_line_its_verdicts_and_the_raw_rows_about_it(town: World) -> None:
    town.settle(OTHER)
    town.apply("resident")
    for slip, document_type in ((ME[:-1], "身份证"), (ME, None), (OTHER, "身份证")):
        town.put("vehicle", owner_number=slip, document_type=document_type)
    shown = evidence(town.finding(), town.folder, town.at)
    assert shown["line"] == town.applications[0]
    assert (shown["reason"], shown["verdicts"]["no_vehicle"]) == ("doubtful_record", "doubtful_record")
    assert [row["owner_number"] for register, row in shown["rows"] if register == "vehicle"] == [ME[:-1], ME]
    assert [register for register, _ in shown["rows"]].count("population") == 1
