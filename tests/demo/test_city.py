"""Whole cities: the same seed the same city, the truth told, and dirt that misleads nobody."""

import hashlib
import json
import sqlite3
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tests.demo import judge, reader
from tongban.demo import sizes
from tongban.demo.city import DirectoryTaken, generate
from tongban.demo.registers import registers
from tongban.demo.sizes import SIZES, WORLDS, SizeUnknown, WorldUnknown

IN_2011, IN_2014, IN_2016, IN_2026 = date(2011, 6, 9), date(2014, 6, 9), date(2016, 6, 9), date(2026, 10, 9)


@pytest.fixture(scope="module")
def hamlet(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("hamlet")
    generate(directory, "hamlet")
    return directory


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("small")
    generate(directory)
    return directory


@pytest.fixture(scope="module")
def found(hamlet) -> judge.Judge:
    return judge.read_city(hamlet, date(2014, 6, 8))


def truth_of(directory: Path) -> dict[str, dict]:
    return {row["application"]: row for row in pq.read_table(directory / "truth" / "truth.parquet").to_pylist()}


def list_of(directory: Path) -> list[dict]:
    return pq.read_table(directory / "registers" / "transport" / "applications.parquet").to_pylist()


def contents(directory: Path) -> dict[str, str]:
    """Digest of every file; of SQLite the rows, for its pages also hold what differs between versions."""
    found = {}
    for path in sorted(one for one in directory.rglob("*") if one.is_file()):
        data = path.read_bytes()
        if path.suffix == ".db":
            database = sqlite3.connect(path)
            data = "\n".join(database.iterdump()).encode()
            database.close()
        found[str(path.relative_to(directory))] = hashlib.sha256(data).hexdigest()
    return found


# --- The same seed ------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_city(hamlet, tmp_path):
    generate(tmp_path, "hamlet")
    assert contents(tmp_path) == contents(hamlet)


def test_another_seed_makes_another_city(hamlet, tmp_path):
    generate(tmp_path, "hamlet", seed=1)
    same = contents(tmp_path).items() & contents(hamlet).items()
    assert not same


# --- Layout -------------------------------------------------------------------------------------


def test_every_register_lies_in_its_store_with_its_columns(hamlet):
    for register in registers(WORLDS[IN_2014]).values():
        node = hamlet / "registers" / register.node
        wanted = [column.name for column in register.columns]
        if register.store.name == "SQLITE":
            database = sqlite3.connect(node / "register.db")
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({register.name})")]
            indexed = [row[1] for row in database.execute(f"PRAGMA index_list({register.name})")]
            database.close()
            assert indexed == [f"{register.name}_{register.number}"]
        elif register.store.name == "PARQUET":
            table = pq.read_table(node / f"{register.name}.parquet")
            columns = table.column_names
            assert {str(kind) for kind in table.schema.types} == {"string"}
        else:
            columns = (node / f"{register.name}.csv").read_text("utf-8").splitlines()[0].replace('"', "").split(",")
        assert columns == wanted


@pytest.mark.parametrize("world", WORLDS.values(), ids=lambda world: str(world.day))
def test_the_page_names_every_register_with_these_columns(world):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "car_lottery.md").read_text("utf-8")
    section = page.split("## 4.")[1].split("## 5.")[0]
    for register in registers(world).values():
        (line,) = [row for row in section.splitlines() if row.startswith("|") and f"| `{register.name}` |" in row]
        written = line.split("|")[4].strip().split(" (")[0].strip("`").split(", ")
        columns = [column.name for column in register.columns]
        if register.name in ("driving_licence", "vehicle"):
            columns.remove("document_type")
        if register.name == "taxpayer" and world.investment_counts:
            assert columns.pop() == "industry"
        assert columns == written
        assert f"| {register.store.value} |" in line


def test_the_list_has_the_columns_of_the_page(hamlet):
    schema = pq.read_schema(hamlet / "registers" / "transport" / "applications.parquet")
    assert schema.names == [
        *("application", "kind", "submitted_on", "name", "document_type", "document_number"),
        *("handler_name", "handler_number", "code_number", "ordinary_number", "failed_draws"),
    ]
    assert str(schema.field("failed_draws").type) == "int32"


def test_codes_of_applications_are_thirteen_digits_and_different(hamlet):
    codes = [line["application"] for line in list_of(hamlet)]
    assert len(set(codes)) == len(codes) == SIZES["hamlet"].applications + SIZES["hamlet"].military
    assert all(len(code) == 13 and code.isdigit() for code in codes)


DEPARTMENTS = {
    IN_2011: {"industry-commerce", "local-tax", "quality-supervision", "state-tax"},
    IN_2014: {"industry-commerce", "local-tax", "quality-supervision", "state-tax"},
    IN_2016: {"industry-commerce", "local-tax", "state-tax"},
    IN_2026: {"market-regulation", "tax"},
}


@pytest.mark.parametrize("day", WORLDS)
def test_each_world_has_the_departments_and_documents_of_its_day(tmp_path, day):
    summary = generate(tmp_path, "hamlet", day)
    everywhere = {"civil-affairs", "human-resources", "public-security", "transport"}
    assert set(summary.nodes) == everywhere | DEPARTMENTS[day]
    units = [line for line in list_of(tmp_path) if line["kind"] in ("enterprise", "social_body")]
    documents = {line["document_type"] for line in units} - {"身份证"}
    old, new = "组织机构代码", "统一社会信用代码"
    assert documents == {IN_2016: {old, new}, IN_2026: {new}}.get(day, {old})
    first = WORLDS[day].window_from.isoformat()
    assert all(first <= line["submitted_on"] <= WORLDS[day].at.isoformat() for line in list_of(tmp_path))


@pytest.mark.parametrize("day", WORLDS)
def test_somebody_applies_for_two_codes_and_is_no_double(tmp_path, day):
    generate(tmp_path, "hamlet", day)
    truth, several = truth_of(tmp_path), Counter()
    for line in list_of(tmp_path):
        if line["kind"] == "enterprise" and truth[line["application"]]["cause"] != "duplicate_application":
            several[line["handler_number"]] += 1
    assert max(several.values()) == 2


def test_military_lines_are_on_the_list_and_counted_nowhere(hamlet):
    lines = list_of(hamlet)
    military = {line["application"] for line in lines if line["kind"] == "military"}
    assert len(military) == SIZES["hamlet"].military
    assert not military & truth_of(hamlet).keys()
    told = json.loads((hamlet / "city.json").read_text("utf-8"))
    assert told["counts"]["applications"] == len(lines) - len(military) == SIZES["hamlet"].applications
    assert "military" not in (hamlet / "city.json").read_text("utf-8")


def test_the_file_beside_the_city_tells_its_seed_and_size_and_no_time(hamlet):
    told = json.loads((hamlet / "city.json").read_text("utf-8"))
    assert (told["seed"], told["size"], told["world"], told["at"]) == (20140609, "hamlet", "2014-06-09", "2014-06-08")
    assert set(told) == {"at", "counts", "nodes", "note", "seed", "size", "world"}


def test_progress_rises_to_one(tmp_path):
    told: list[tuple[str, float]] = []
    generate(tmp_path, "hamlet", progress=lambda what, done: told.append((what, done)))
    shares = [done for _, done in told]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert told[-1] == ("done", 1.0)
    assert {"population", "applications"} <= {what for what, _ in told}


# --- Refusals -----------------------------------------------------------------------------------


def test_a_city_is_never_built_over_another(hamlet):
    before = contents(hamlet)
    with pytest.raises(DirectoryTaken) as caught:
        generate(hamlet, "hamlet", seed=2)
    assert caught.value.code == "demo.directory_taken"
    assert contents(hamlet) == before


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_run_that_was_cut_off_while_it_moved_what_it_had_built_is_begun_anew(hamlet, tmp_path, monkeypatch, moved):
    works, names = Path.rename, []

    def cut_off(path, target):
        if len(names) == moved:
            raise KeyboardInterrupt
        names.append(path.name)
        return works(path, target)

    with monkeypatch.context() as cut:
        cut.setattr(Path, "rename", cut_off)
        with pytest.raises(KeyboardInterrupt):
            generate(tmp_path / "city", "hamlet")
    assert not (tmp_path / "city" / "city.json").exists()
    generate(tmp_path / "city", "hamlet")
    assert contents(tmp_path / "city") == contents(hamlet)


def test_what_an_interrupted_run_left_is_thrown_away(hamlet, tmp_path):
    class Interrupted(Exception):
        pass

    def stop(what: str, done: float) -> None:
        if what == "vehicle":
            raise Interrupted

    with pytest.raises(Interrupted):
        generate(tmp_path, "hamlet", progress=stop)
    assert not (tmp_path / "city.json").exists()
    generate(tmp_path, "hamlet")
    assert contents(tmp_path) == contents(hamlet)


def test_an_unknown_size_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(SizeUnknown, match="hamlet, small, city, metropolis"):
        generate(tmp_path / "city", "village")
    assert not (tmp_path / "city").exists()


def test_an_unknown_world_is_refused(tmp_path):
    with pytest.raises(WorldUnknown, match="2011-06-09, 2014-06-09, 2016-06-09, 2026-10-09"):
        generate(tmp_path, "hamlet", date(2020, 1, 1))


# --- Truth and dirt -----------------------------------------------------------------------------


def contradictions(directory: Path, at: date) -> list[tuple]:
    """Where a careful reader finds something else than the truth allows."""
    decisions, wrong = judge.read_city(directory, at).decide(), []
    truth = truth_of(directory)
    assert decisions.keys() == truth.keys()
    for application, (decision, reason) in decisions.items():
        true = truth[application]
        if true["clean"]:
            expected = ("eligible", "") if true["eligible"] else ("not_eligible", true["cause"])
            if (decision, reason) != expected:
                wrong.append((expected, decision, reason))
        elif decision != "needs_person" and (decision == "eligible") != true["eligible"]:
            wrong.append((true["cause"], decision, reason))
    return wrong


@pytest.mark.parametrize("day", WORLDS)
@pytest.mark.parametrize("seed", [20140609, 7])
def test_a_careful_reader_finds_the_truth_or_leaves_it_to_a_person(tmp_path, seed, day):
    generate(tmp_path, "hamlet", day, seed)
    assert contradictions(tmp_path, WORLDS[day].at) == []


@pytest.mark.parametrize("day", WORLDS)
def test_no_dirt_misleads_a_careful_reader_even_where_every_tenth_row_is_dirty(tmp_path, monkeypatch, day):
    filthy = replace(SIZES["hamlet"], people=1_500, healable=0.3, unhealable=0.1)
    monkeypatch.setitem(sizes.SIZES, "filthy", filthy)
    generate(tmp_path, "filthy", day, seed=11)
    assert contradictions(tmp_path, WORLDS[day].at) == []
    clean = Counter(row["clean"] for row in truth_of(tmp_path).values())
    assert clean[False] > 60  # otherwise this test would show little


def test_a_second_line_of_a_subject_is_a_duplicate_whatever_else_is_true(hamlet):
    duplicates = [row for row in truth_of(hamlet).values() if row["cause"] == "duplicate_application"]
    assert len(duplicates) == 2
    assert all(row["clean"] and not row["eligible"] for row in duplicates)


def test_a_stranger_with_somebody_elses_number_leaves_both_to_a_person(hamlet, found):
    truth, decisions = truth_of(hamlet), found.decide()
    strangers = [row for row in truth.values() if row["cause"] == "conflicting_applications"]
    assert len(strangers) == 1
    settled = [one for one, (_, reason) in decisions.items() if reason == "conflicting_applications"]
    assert len(settled) == 2
    assert not any(truth[one]["clean"] for one in settled)


#: Boundary: register, what the rows of somebody on it look like, and the cause ("" for eligible).
BOUNDARIES = [
    ("driving_licence", lambda rows: rows[0]["valid_until"] == date(2014, 6, 8), ""),
    ("driving_licence", lambda rows: rows[0]["valid_until"] == date(2014, 6, 7), "licence_expired"),
    ("vehicle", lambda rows: rows[0]["scrap_due_on"] == date(2014, 6, 9), ""),
    ("vehicle", lambda rows: rows[0]["scrap_due_on"] == date(2014, 6, 8), "scrap_due"),
    ("vehicle", lambda rows: {row["vehicle_type"] for row in rows} == {"摩托车"}, ""),
    ("vehicle", lambda rows: {row["status"] for row in rows} == {"注销"}, ""),
    ("vehicle", lambda rows: {row["status"] for row in rows} == {"转出"}, ""),
    ("residence_permit", lambda rows: rows[0]["valid_from"] == date(2014, 6, 8), ""),
    ("residence_permit", lambda rows: rows[0]["valid_from"] == date(2014, 6, 9), "residence_permit_expired"),
    ("residence_permit", lambda rows: rows[0]["valid_until"] == date(2014, 6, 8), ""),
    ("residence_permit", lambda rows: rows[0]["valid_until"] == date(2014, 6, 7), "residence_permit_expired"),
    ("social_insurance", lambda rows: spans(rows) == [("2009-06", "2014-05")], ""),
    ("social_insurance", lambda rows: spans(rows) == [("2009-07", "2014-05")], "insurance_interrupted"),
    ("social_insurance", lambda rows: max(row["month_to"] for row in rows) == "2014-04", "insurance_not_current"),
    ("income_tax", lambda rows: date(2009, 1, 1) in paid(rows), ""),
    ("income_tax", lambda rows: date(2013, 12, 31) in paid(rows), ""),
    ("income_tax", lambda rows: date(2008, 12, 31) in paid(rows), "tax_year_missing"),
    ("income_tax", lambda rows: min(row["amount"] for row in rows) < 0, "tax_year_missing"),
    ("income_tax", lambda rows: min(row["amount"] for row in rows) == 1, ""),
    ("exit_entry", lambda rows: rows[0]["lodging_since"] == date(2013, 6, 8), ""),
    ("exit_entry", lambda rows: rows[0]["lodging_since"] == date(2013, 6, 9), "lodging_too_short"),
    ("exit_entry", lambda rows: rows[0]["document_valid_until"] == date(2014, 6, 8), ""),
    ("exit_entry", lambda rows: rows[0]["document_valid_until"] == date(2014, 6, 7), "document_expired"),
    ("organisation_code", lambda rows: rows[0]["valid_until"] == date(2014, 6, 8), ""),
    ("organisation_code", lambda rows: rows[0]["valid_until"] == date(2014, 6, 7), "code_expired"),
    ("social_body", lambda rows: rows[0]["valid_until"] == date(2014, 6, 8), ""),
    ("social_body", lambda rows: rows[0]["valid_until"] == date(2014, 6, 7), "body_expired"),
    ("vat", lambda rows: total(rows, 2013) == 5_000_000, ""),
    ("vat", lambda rows: total(rows, 2013) == 4_999_999, "vat_too_low"),
    ("vat", lambda rows: total(rows, 2013) == 0 and total(rows, 2014) == 5_000_000, ""),
    ("vat", lambda rows: total(rows, 2013) == 0 and total(rows, 2014) == 4_999_999, "vat_too_low"),
    ("taxpayer", lambda rows: rows[0]["registered_on"] == date(2014, 1, 1), ""),
    ("taxpayer", lambda rows: rows[0]["registered_on"] == date(2013, 12, 31), "vat_too_low"),
]


def spans(rows: list[dict]) -> list[tuple[str, str]]:
    return sorted({(row["month_from"], row["month_to"]) for row in rows})


def paid(rows: list[dict]) -> set[date]:
    return {row["treasury_date"] for row in rows}


def total(rows: list[dict], year: int) -> int:
    return sum(row["amount"] for row in rows if row["treasury_date"].year == year)


@pytest.mark.parametrize(
    ("register", "is_on_it", "cause"), BOUNDARIES, ids=[f"{one[0]}-{number}" for number, one in enumerate(BOUNDARIES)]
)
def test_somebody_stands_on_each_side_of_every_boundary(hamlet, found, register, is_on_it, cause):
    truth, facts = truth_of(hamlet), found.facts[register]
    on_it = {key for key, rows in facts.rows.items() if is_on_it(rows) and key not in facts.doubtful}
    causes = {
        truth[line["application"]]["cause"]
        for line in found.lines
        if found.subject(line) in on_it and truth[line["application"]]["clean"]
    }
    assert cause in causes


def test_a_gap_is_healed_by_a_payment_made_later_and_before_the_day(hamlet):
    table = pq.read_table(hamlet / "registers" / "human-resources" / "social_insurance.parquet")
    back = [row for row in table.to_pylist() if row["kind"] == "补缴"]
    assert back
    assert all(row["paid_on"] <= "2014-06-08" for row in back)


def test_a_year_paid_in_the_next_one_is_told_by_its_tax_year(hamlet):
    rows = pacsv.read_csv(hamlet / "registers" / "local-tax" / "income_tax.csv").to_pylist()
    late = [row for row in rows if str(row["tax_year"]) + "-" < str(row["treasury_date"])[:5]]
    assert {"2013"} & {str(row["tax_year"]) for row in late}


# --- The small city: shares ---------------------------------------------------------------------


def test_the_small_city_has_the_size_that_was_asked_for(small):
    counts = json.loads((small / "city.json").read_text("utf-8"))["counts"]
    assert counts["applications"] == 30_000
    assert 295_000 <= counts["population"] <= 310_000
    assert 130_000 <= counts["driving_licence"] <= 170_000
    assert 75_000 <= counts["vehicle"] <= 100_000
    assert 200_000 <= counts["social_insurance"] <= 280_000
    assert 350_000 <= counts["income_tax"] <= 450_000


def test_about_two_thirds_are_truly_eligible_and_few_end_with_a_person(small):
    truth = list(truth_of(small).values())
    assert 0.6 <= sum(row["eligible"] for row in truth) / len(truth) <= 0.7
    assert 0.02 <= sum(not row["clean"] for row in truth) / len(truth) <= 0.04
    assert all((row["cause"] == "") == row["eligible"] for row in truth)


def test_kinds_have_their_shares(small):
    kinds = Counter(reader.other(line["kind"]) for line in list_of(small))
    shares = {"resident": 0.62, "residence_permit": 0.24, "work_permit": 0.04, "enterprise": 0.06, "foreign": 0.02}
    for kind, share in shares.items():
        assert kinds[kind] / 30_000 == pytest.approx(share, rel=0.1)
    assert kinds["social_body"] / 30_000 == pytest.approx(0.01, rel=0.1)
    strange = kinds.keys() - shares.keys() - {"social_body", "military"}
    assert sum(kinds[kind] for kind in strange) == 12


def test_every_reason_is_several_times_the_clean_truth(small):
    causes = Counter(row["cause"] for row in truth_of(small).values() if row["clean"])
    assert len(causes) == 37
    assert min(causes.values()) >= 5


def test_dirt_has_its_share_in_a_register(small):
    table = pq.read_table(small / "registers" / "public-security" / "driving_licence.parquet")
    numbers = table["id_number"].filter(pc.equal(table["document_type"], "身份证"))
    spelled = pc.sum(pc.match_substring_regex(numbers, r"^[0-9]{17}[0-9X]$")).as_py()
    old = pc.sum(pc.match_substring_regex(numbers, r"^[0-9]{15}$")).as_py()
    assert 0.005 <= 1 - spelled / len(numbers) <= 0.02
    assert 0 < old < 0.01 * len(numbers)
    dates = pc.drop_null(table["valid_until"])
    malformed = len(dates) - pc.sum(pc.match_substring_regex(dates, r"^\s*[0-9０-９－-]{10}\s*$")).as_py()
    assert 0 < malformed < 0.002 * len(dates)
    assert table.num_rows - table.group_by(table.column_names).aggregate([]).num_rows > 0.002 * table.num_rows


def test_nobody_has_a_number_of_an_assigned_division(small):
    database = sqlite3.connect(small / "registers" / "public-security" / "register.db")
    query = "SELECT DISTINCT substr(id_number, 1, 6) FROM population WHERE length(id_number) = 18"
    heads = Counter(head for (head,) in database.execute(query) if head.isascii() and head.isdigit())
    several = (
        "SELECT count(*) FROM population WHERE substr(id_number, 1, 4) = '1101' AND substr(id_number, 5, 2) < '80'"
    )
    strays = database.execute(several).fetchone()[0]
    database.close()
    good = {head for head in heads if head[4:] >= "80" and head[2:4] == "01"}
    assert len(good) >= 80
    # Slips of the pen in the first six digits are dirt, and no numbers.
    assert strays < 40
