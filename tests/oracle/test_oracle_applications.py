"""The independent checker: numbers and names as typed, applications that are bad or do not fit, doubles."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.mini import ME, OTHER, OTHER_UNIT, PASSPORT, UNIT, World, citizen, reasons
from tests.oracle.texts import citizen as good
from tests.oracle.texts import good_citizen, key, name, near, text

FIFTEEN = ME[:6] + ME[8:17]
DOUBT = "unknown doubtful_record"
MISSING = "unknown missing_value"

# Numbers and names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("11010519491231002X", "11010519491231002X"),  # the example of GB 11643
        ("11010519491231002x", "11010519491231002X"),
        (" 110105 19491231 002x\u3000", "11010519491231002X"),
        ("\ufeff110105\u200b19491231\u200c002\u200dX", "11010519491231002X"),
        ("１１０１０５１９４９１２３１００２Ｘ", "11010519491231002X"),
        ("110105-19491231-002X", None),
        ("110105194912310021", None),
        ("11010519491231003X", None),
        ("1101051949123100X2", None),
        ("11010519491231002", None),
        ("11010519491231002XX", None),
        ("11010519491231OO2X", None),
        (citizen(1, "19000101"), citizen(1, "19000101")),
        (citizen(1, "18991231"), None),
        (citizen(1, "19800229"), citizen(1, "19800229")),
        (citizen(1, "19810229"), None),
        (citizen(1, "19801301"), None),
        ("110105491231002", "11010519491231002X"),
        ("110105491232002", None),
        ("11010549123100X", None),
        ("110105491231995", citizen(995, "19491231")),
        ("110105491231996", None),
        ("110105491231999", None),
        ("", None),
        (" \u200b", None),
        (None, None),
    ],
)
def test_a_citizen_number_as_typed(typed: str | None, expected: str | None) -> None:
    assert key("citizen", typed) == (None if expected is None else ("citizen", expected))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("D2143569X", "D2143569X"),  # the example of GB 11714
        ("d2143569-x", "D2143569X"),
        ("D214 3569-X", "D2143569X"),
        ("Ｄ２１４３５６９－Ｘ", "D2143569X"),
        ("400001002", "400001002"),
        ("400001003", None),
        ("000000000", "000000000"),  # the check that would be 11 is written 0
        ("000000001", None),
        ("D21435691", None),
        ("D2143569", None),
        ("D2143569XX", None),
        ("-", None),
    ],
)
def test_an_organisation_code_as_typed(typed: str, expected: str | None) -> None:
    assert key("organisation_code", typed) == (None if expected is None else ("organisation_code", expected))


@pytest.mark.parametrize("domain", ["passport", "hmt_permit", "foreign_permit"])
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (" e 1234", "E1234"),
        ("E123", None),
        ("E" * 18, "E" * 18),
        ("E" * 19, None),
        ("E-12345", None),
        ("Е12345", None),  # a Cyrillic letter
    ],
)
def test_a_passport_or_permit_as_typed(domain: str, typed: str, expected: str | None) -> None:
    assert key(domain, typed) == (None if expected is None else (domain, expected))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("张三", "张三"),
        (" 张\u3000三\u200b", "张三"),
        ("阿卜杜•热合曼", "阿卜杜·热合曼"),
        ("阿卜杜‧热合曼", "阿卜杜·热合曼"),
        ("阿卜杜・热合曼", "阿卜杜·热合曼"),
        ("阿卜杜･热合曼", "阿卜杜·热合曼"),
        ("阿卜杜·热合曼", "阿卜杜·热合曼"),
        ("阿卜杜.热合曼", "阿卜杜.热合曼"),
        ("John  Smith", "JOHNSMITH"),
        ("Ｊｏｈｎ", "JOHN"),
        ("\u3000", None),
        (None, None),
    ],
)
def test_a_name_as_typed(typed: str | None, expected: str | None) -> None:
    assert name(typed) == expected


def test_other_texts_keep_their_inner_space() -> None:
    assert (text(" 正 常\u3000"), text(" "), text(None)) == ("正 常", None, None)


@settings(max_examples=60)
@given(st.sampled_from([citizen(n) for n in range(1, 40)]), st.data())
def test_each_slip_is_found_back(number: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, 17))
    character = data.draw(st.sampled_from("0123456789XAO"))
    changed = number[:place] + character + number[place + 1 :]
    swapped = number[:place] + number[place : place + 2][::-1] + number[place + 2 :]
    for slip in (
        changed,
        swapped,
        number[:place] + number[place + 1 :],
        number[:place] + character + number[place:],
    ):
        assert good(slip) or number in set(near(slip))


def test_two_slips_are_not_found_back() -> None:
    for slips in (ME[:-2], ME + "00", "99" + ME[2:], ME[:2] + ME[3] + ME[2] + "9" + ME[5:]):
        assert ME not in set(near(slips))


def test_good_numbers_near_a_bad_one_are_few() -> None:
    bad = ME[:17] + ("0" if ME[17] != "0" else "1")
    assert 1 <= len({number for number in near(bad) if good_citizen(number)}) <= 30


@pytest.mark.parametrize("typed", [f" {ME.lower()} ", FIFTEEN, "\ufeff" + ME])
def test_the_number_in_the_application_may_be_typed_otherwise(town: World, typed: str) -> None:
    town.apply("resident", document_number=typed)
    assert town.finding().status == "eligible"


@pytest.mark.parametrize("register", ["population", "driving_licence"])
@pytest.mark.parametrize("typed", [f" {ME.lower()} ", FIFTEEN])
def test_the_number_in_a_register_may_be_typed_otherwise(town: World, register: str, typed: str) -> None:
    town.apply("resident")
    town.rows[register][0]["id_number"] = typed
    assert town.finding().status == "eligible"


def test_names_are_compared_after_normalising(town: World) -> None:
    town.apply("foreign", name="john smith")
    town.change("exit_entry", name="JOHN SMITH\u3000")
    assert town.finding().status == "eligible"


# Bad and ill-fitting applications ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"document_number": ME[:-1]}, {"document_number": ""}, {"document_type": "军官证"}, {"document_type": None}],
)
def test_a_bad_subject_concerns_all_rules_about_it(town: World, change: dict[str, Any]) -> None:
    town.apply("resident", **change)
    assert set(reasons(town)) == {"bad_identifier"}


@pytest.mark.parametrize(
    ("kind", "document_type", "number"),
    [
        ("resident", "护照", PASSPORT),
        ("work_permit", "港澳通行证", PASSPORT),
        ("residence_permit", "台胞证", PASSPORT),
        ("foreign", "身份证", ME),
        ("foreign", "组织机构代码", UNIT),
        ("resident", "组织机构代码", UNIT),
    ],
)
def test_a_document_that_does_not_fit_the_kind_is_bad_for_what_is_first_asked(
    town: World, kind: str, document_type: str, number: str
) -> None:
    town.apply(kind, document_type=document_type, document_number=number)
    finding = town.finding()
    first, *_, last = finding.verdicts.values()
    assert (finding.reason, first.reason, last.reason) == ("bad_identifier", "bad_identifier", "not_asked")


@pytest.mark.parametrize("document_type", ["护照", "港澳通行证", "台胞证", "外国人永久居留身份证"])
def test_foreigners_have_four_documents(town: World, document_type: str) -> None:
    town.apply("foreign", document_type=document_type)
    town.rows["exit_entry"][0]["document_type"] = document_type
    town.rows["driving_licence"][1]["document_type"] = document_type
    assert town.finding().status == "eligible"


def test_the_two_permits_of_hong_kong_macao_and_taiwan_are_one_domain(town: World) -> None:
    town.apply("foreign", document_type="台胞证")
    town.rows["exit_entry"][0]["document_type"] = "港澳通行证"
    town.rows["driving_licence"][1]["document_type"] = "港澳通行证"
    assert town.finding().status == "eligible"


def test_a_passport_and_a_permit_with_one_number_are_two_people(town: World) -> None:
    town.apply("foreign", document_type="台胞证")
    assert town.finding().reason == "identity_not_confirmed"


def test_a_bad_handler_leaves_the_unit_unasked(town: World) -> None:
    town.apply("enterprise", handler_number=ME[:-1])
    assert reasons(town) == ["bad_identifier", "not_asked", "not_asked", "not_asked"]


def test_a_bad_organisation_code_leaves_the_handler_answered(town: World) -> None:
    town.apply("enterprise", document_number="400001003")
    assert reasons(town) == [None, "bad_identifier", "bad_identifier", "bad_identifier"]


def test_a_unit_with_a_person_s_document_is_bad_from_the_first(town: World) -> None:
    town.apply("enterprise", document_type="身份证")
    assert reasons(town) == ["bad_identifier", "not_asked", "not_asked", "not_asked"]


# Doubles ----------------------------------------------------------------------------------------------------------


def doubles(town: World) -> list[str]:
    findings = town.findings()
    return [code for code, finding in findings.items() if finding.reason == "duplicate_application"]


def test_the_earliest_of_two_counts(town: World) -> None:
    late = town.apply("resident", submitted_on="2014-05-02")
    town.apply("resident", submitted_on="2014-05-01", document_number=FIFTEEN)
    assert doubles(town) == [late]


def test_on_one_day_the_smallest_application_counts(town: World) -> None:
    town.apply("resident", application="0000000000009")
    town.apply("resident", application="0000000000003")
    town.apply("resident", application="0000000000005")
    assert doubles(town) == ["0000000000009", "0000000000005"]


def test_an_application_without_a_day_comes_last(town: World) -> None:
    undated = town.apply("resident", submitted_on="")
    town.apply("resident")
    assert doubles(town) == [undated]


def test_doubles_are_found_across_kinds_even_unknown_ones(town: World) -> None:
    town.apply("work_permit")
    later = [town.apply("resident", submitted_on="2014-05-02"), town.apply("officer", submitted_on="2014-05-03")]
    assert doubles(town) == later


def test_a_document_that_does_not_fit_still_makes_doubles(town: World) -> None:
    town.apply("resident", document_type="护照", document_number=PASSPORT)
    right = town.apply("foreign", submitted_on="2014-05-02")
    assert doubles(town) == [right]


def test_bad_subjects_are_never_doubles(town: World) -> None:
    for _ in range(2):
        town.apply("resident", document_number=ME[:-1])
        town.apply("enterprise", document_number="400001003")
    assert doubles(town) == []


def test_units_are_doubles_by_organisation_code_whoever_handles(town: World) -> None:
    town.settle(OTHER)
    town.apply("enterprise")
    second = town.apply("social_body", document_number="d2143569-x", handler_number=OTHER, submitted_on="2014-05-02")
    assert doubles(town) == [second]


def test_one_handler_may_handle_two_units_and_apply_too(town: World) -> None:
    town.found(OTHER_UNIT)
    town.apply("enterprise")
    town.apply("enterprise", document_number=OTHER_UNIT)
    town.apply("resident")
    assert {finding.status for finding in town.findings().values()} == {"eligible"}


def test_the_same_number_of_two_documents_is_two_subjects(town: World) -> None:
    town.apply("foreign")
    town.apply("foreign", document_type="台胞证")
    assert doubles(town) == []


def test_an_application_code_twice_is_an_error_of_the_list(town: World) -> None:
    town.apply("resident", application="0000000000001")
    town.apply("resident", application="0000000000001")
    with pytest.raises(ValueError, match="twice"):
        town.findings()
