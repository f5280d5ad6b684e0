"""The independent checker on families: who is asked what, relations, one finding for all, doubles, points."""

from pathlib import Path

import pytest

from tests.oracle.families import Family, Person, points
from tests.oracle.mini import OTHER, PASSPORT, World, citizen

MAIN, WIFE, CHILD, FATHER, STRANGER, FORMER = (citizen(n, f"19{80 + n}0101") for n in range(10, 16))


@pytest.fixture
def town(town_of_2026: World) -> World:
    for number in (MAIN, WIFE, CHILD, FATHER, STRANGER, FORMER):
        town_of_2026.settle(number)
    return town_of_2026


def apply(town: World, **changes: object) -> str:
    return town.apply("resident", **({"document_number": MAIN, "family": "家庭"} | changes))


def couple(town: World) -> str:
    code = apply(town)
    town.join(code, "spouse", WIFE)
    town.marry(MAIN, WIFE)
    return code


def found(town: World, code: str) -> tuple[str, str | None, str | None]:
    finding = town.findings()[code]
    return finding.status, finding.reason, finding.role


ELIGIBLE = ("eligible", None, None)


def test_a_couple_whose_marriage_is_registered_is_eligible(town: World) -> None:
    code = couple(town)
    assert found(town, code) == ELIGIBLE
    lines = town.findings()[code].persons
    assert [role for role, _ in lines.values()] == ["main", "spouse"]
    assert "driving_licence" not in lines[f"{code}-02"][1]


def test_only_the_main_applicant_needs_a_licence(town: World) -> None:
    code = couple(town)
    town.rows["driving_licence"] = [row for row in town.rows["driving_licence"] if row["id_number"] != WIFE]
    assert found(town, code) == ELIGIBLE
    town.rows["driving_licence"] = [row for row in town.rows["driving_licence"] if row["id_number"] != MAIN]
    assert found(town, code) == ("not_eligible", "no_licence", "main")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"spouse_number": STRANGER}, "marriage_not_confirmed"),
        ({"spouse_number": None}, "marriage_not_confirmed"),
        ({"status": "离婚"}, "marriage_ended"),
        ({"status": None}, "missing_value"),
    ],
)
def test_a_marriage_that_is_not_confirmed_goes_to_a_person(town: World, change: dict[str, str], reason: str) -> None:
    code = couple(town)
    town.change("marriage", **change)
    assert found(town, code) == ("needs_person", reason, "main")


@pytest.mark.parametrize(("father", "mother"), [(MAIN, None), (None, MAIN), (MAIN, WIFE)])
def test_a_registered_child_belongs_to_the_family(town: World, father: str, mother: str) -> None:
    code = apply(town)
    town.join(code, "child", CHILD)
    town.put("kinship", id_number=CHILD, father_number=father, mother_number=mother)
    assert found(town, code) == ELIGIBLE


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (None, "kinship_not_confirmed"),
        ({"father_number": STRANGER}, "kinship_not_confirmed"),
        ({"father_number": MAIN, "status": "解除"}, "kinship_ended"),
        ({"father_number": MAIN, "status": None}, "missing_value"),
    ],
)
def test_a_child_that_is_not_confirmed_goes_to_a_person(town: World, row: dict[str, str] | None, reason: str) -> None:
    code = apply(town)
    town.join(code, "child", CHILD)
    if row is not None:
        town.put("kinship", id_number=CHILD, **row)
    assert found(town, code) == ("needs_person", reason, "child")


def test_a_parent_is_found_in_the_entry_of_the_child(town: World) -> None:
    code = apply(town)
    town.join(code, "parent", FATHER)
    town.put("kinship", id_number=MAIN, father_number=FATHER)
    assert found(town, code) == ELIGIBLE


def test_a_spouse_who_does_not_apply_must_have_no_car_but_needs_nothing_else(town: World) -> None:
    code = apply(town)
    town.join(code, "child", CHILD)
    town.put("kinship", id_number=CHILD, father_number=MAIN)
    town.join(code, "outside_spouse", WIFE, kind=None, spouse=1)
    town.marry(MAIN, WIFE)
    town.rows["driving_licence"] = [row for row in town.rows["driving_licence"] if row["id_number"] != WIFE]
    assert found(town, code) == ELIGIBLE
    town.put("vehicle", owner_number=WIFE)
    assert found(town, code) == ("not_eligible", "has_vehicle", "outside_spouse")


def test_nobody_is_asked_about_the_car_of_a_stranger_who_was_declared_a_spouse(town: World) -> None:
    code = apply(town)
    town.join(code, "child", CHILD)
    town.put("kinship", id_number=CHILD, father_number=MAIN)
    town.join(code, "outside_spouse", STRANGER, kind=None, spouse=1)
    town.put("vehicle", owner_number=STRANGER)
    assert found(town, code) == ("needs_person", "marriage_not_confirmed", "main")
    assert town.findings()[code].persons[f"{code}-03"][1]["no_vehicle"].reason == "not_asked"


def test_a_spouse_who_was_not_declared_is_a_question_and_no_refusal(town: World) -> None:
    code = apply(town)
    town.join(code, "child", CHILD)
    town.put("kinship", id_number=CHILD, father_number=MAIN)
    town.marry(MAIN, STRANGER)
    assert found(town, code) == ("needs_person", "spouse_not_declared", "main")


@pytest.mark.parametrize(
    ("divorced_on", "reason"),
    [("2020-12-31", None), ("2021-01-01", "divorce_not_declared"), ("2016-10-08", None)],
)
def test_a_divorce_that_counts_must_be_declared(town: World, divorced_on: str, reason: str | None) -> None:
    code = apply(town)
    town.join(code, "child", CHILD)
    town.put("kinship", id_number=CHILD, father_number=MAIN)
    town.put("marriage", id_number=MAIN, status="离婚", divorced="是", divorced_on=divorced_on)
    assert found(town, code) == (ELIGIBLE if reason is None else ("needs_person", reason, "main"))


@pytest.mark.parametrize(
    ("cars", "expected"),
    [
        ([], ELIGIBLE),
        ([{"vehicle_type": "摩托车"}], ELIGIBLE),
        ([{"registered_on": "2020-12-31"}], ("not_eligible", "former_spouse_had_vehicle", "former_spouse")),
        ([{"registered_on": "2021-01-01"}], ("needs_person", "former_spouse_vehicle_unclear", "former_spouse")),
        ([{"status": "注销"}], ("needs_person", "former_spouse_vehicle_unclear", "former_spouse")),
        ([{"registered_on": None}], ("needs_person", "former_spouse_vehicle_unclear", "former_spouse")),
        ([{"registered_on": "soon"}], ("needs_person", "doubtful_record", "former_spouse")),
    ],
)
def test_a_former_spouse_s_car_says_no_only_where_it_was_there_all_the_time(
    town: World, cars: list[dict[str, str]], expected: tuple[str, str | None, str | None]
) -> None:
    code = apply(town)
    town.join(code, "child", CHILD)
    town.put("kinship", id_number=CHILD, father_number=MAIN)
    town.join(code, "former_spouse", FORMER, kind=None, of_member=1)
    ended = {"status": "离婚", "divorced": "是", "divorced_on": "2023-05-20"}
    town.put("marriage", id_number=MAIN, former_spouse_number=FORMER, **ended)
    for car in cars:
        town.put("vehicle", owner_number=FORMER, **car)
    assert found(town, code) == expected


def test_a_member_from_abroad_sends_the_family_to_a_person_for_no_register_knows_the_kinship(town: World) -> None:
    code = apply(town)
    town.join(code, "child", PASSPORT, kind="foreign", document_type="护照")
    assert found(town, code) == ("needs_person", "no_record", "child")


def test_a_family_of_one_is_not_whole(town: World) -> None:
    code = apply(town)
    town.join(code, "outside_spouse", WIFE, kind=None, spouse=1)
    assert found(town, code) == ("needs_person", "family_not_whole", None)


def test_a_military_member_takes_the_whole_family_off_the_list(town: World) -> None:
    code = apply(town)
    town.join(code, "spouse", WIFE, kind="military")
    mine = town.apply("resident")
    assert list(town.findings()) == [mine]
    assert code != mine


@pytest.mark.parametrize(("alone_on", "out"), [("2026-08-01", 0), ("2026-10-01", 1)])
def test_alone_and_in_a_family_the_earlier_counts(town: World, alone_on: str, out: int) -> None:
    both = [couple(town), town.apply("resident", document_number=WIFE, submitted_on=alone_on)]
    town.applications[0]["submitted_on"] = "2026-09-01"
    assert found(town, both[out]) == ("not_eligible", "individual_and_family", None)
    assert found(town, both[1 - out]) == ELIGIBLE


def test_a_stranger_who_names_somebody_as_his_child_keeps_her_out_of_nothing(town: World) -> None:
    code = apply(town)
    town.join(code, "child", STRANGER)
    town.applications[0]["submitted_on"] = "2026-08-01"
    hers = town.apply("resident", document_number=STRANGER, submitted_on="2026-10-01")
    assert found(town, code) == ("needs_person", "kinship_not_confirmed", "child")
    assert found(town, hers) == ELIGIBLE


def test_before_2021_a_list_with_families_is_none(tmp_path: Path) -> None:
    old = World(tmp_path)
    old.settle(OTHER)
    code = old.apply("resident", document_number=OTHER, family="家庭")
    old.join(code, "child", CHILD)
    with pytest.raises(ValueError, match="no families before 2021"):
        old.findings()


def test_the_worked_example_has_126_points() -> None:
    roles = ("main", "spouse", "child", "child", "parent", "parent", "parent_in_law", "parent_in_law")
    draws = (10, 10, 0, 0, 10, 10, 0, 0)
    people = [
        Person(n, role, "resident", None, None, None, None, None, failed, 0)
        for n, (role, failed) in enumerate(zip(roles, draws, strict=True), 1)
    ]
    assert points(Family("0000000000001", None, people)) == 126
