"""The independent checker: numbers and names as typed, applications that are bad or do not fit, doubles."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.car_lottery import kinds_on
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


@pytest.mark.parametrize("number", [ME[:-1], "", None])
def test_a_bad_subject_concerns_all_rules_about_it(town: World, number: str | None) -> None:
    town.apply("resident", document_number=number)
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
        ("resident", "护照", "?"),
        ("resident", "军官证", ME),
        ("foreign", "军官证", PASSPORT),
        ("resident", None, ME),
        ("enterprise", "身份证", UNIT),
        ("social_body", "护照", UNIT),
        ("enterprise", None, UNIT),
    ],
)
def test_a_misfit_is_bad_for_what_is_first_asked_and_not_asked_the_rest(
    town: World, kind: str, document_type: str | None, number: str
) -> None:
    town.apply(kind, document_type=document_type, document_number=number)
    finding = town.finding()
    first, then = kinds_on(town.at)[kind]
    verdicts = {rule: verdict.reason for rule, verdict in finding.verdicts.items()}
    assert verdicts == dict.fromkeys(first, "bad_identifier") | dict.fromkeys(then, "not_asked")
    assert (finding.status, finding.reason) == ("needs_person", "bad_identifier")


@pytest.mark.parametrize("typed", [" 身份证", "身份证\u3000"])
def test_a_document_type_is_read_after_trimming(town: World, typed: str) -> None:
    town.apply("resident", document_type=typed)
    assert town.finding().status == "eligible"


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
    assert reasons(town) == ["bad_identifier", *["not_asked"] * 4]


def test_a_bad_organisation_code_leaves_the_handler_answered(town: World) -> None:
    town.apply("enterprise", document_number="400001003")
    assert reasons(town) == [None, *["bad_identifier"] * 4]


def test_a_unit_bad_in_both_numbers_is_bad_throughout(town: World) -> None:
    town.apply("enterprise", document_number="400001003", handler_number=ME[:-1])
    assert set(reasons(town)) == {"bad_identifier"}


# Doubles ----------------------------------------------------------------------------------------------------------


def doubles(town: World) -> list[str]:
    """The later ones; fails if anybody is in conflict."""
    findings = town.findings()
    assert "conflicting_applications" not in {finding.reason for finding in findings.values()}
    return [code for code, finding in findings.items() if finding.reason == "duplicate_application"]


def conflicting(town: World) -> list[str]:
    """Fails if anybody is refused as a double."""
    findings = town.findings()
    assert "duplicate_application" not in {finding.reason for finding in findings.values()}
    return [code for code, finding in findings.items() if finding.reason == "conflicting_applications"]


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


def test_a_real_day_of_another_century_comes_before_none(town: World) -> None:
    undated = town.apply("resident", submitted_on="2014-02-29")
    town.apply("resident", submitted_on="9999-12-31")
    assert doubles(town) == [undated]


def test_doubles_are_found_across_kinds(town: World) -> None:
    town.apply("work_permit")
    later = town.apply("resident", submitted_on="2014-05-02")
    assert doubles(town) == [later]


NO_PART: list[tuple[str, dict[str, Any]]] = [
    ("officer", {}),
    ("", {}),
    ("foreign", {"document_type": "身份证", "document_number": ME}),
    ("resident", {"document_number": ME[:-1]}),
    ("military", {}),
]


@pytest.mark.parametrize(("kind", "change"), NO_PART)
@pytest.mark.parametrize("applicant", ["张三", "李四"])
def test_unknown_kinds_misfits_and_bad_subjects_take_no_part(
    town: World, kind: str, change: dict[str, Any], applicant: str
) -> None:
    town.apply(kind, submitted_on="2014-04-01", name=applicant, **change)
    town.apply(kind, submitted_on="2014-05-02", name=applicant, **change)
    mine = town.apply("resident")
    assert doubles(town) == []
    assert town.findings()[mine].status == "eligible"


def test_a_misfit_unit_takes_no_part(town: World) -> None:
    town.apply("enterprise", document_type="身份证", submitted_on="2014-04-01")
    mine = town.apply("enterprise")
    assert town.findings()[mine].status == "eligible"


def test_units_of_the_round_of_2026_are_doubles_too(town_of_2026: World) -> None:
    town_of_2026.apply("enterprise")
    second = town_of_2026.apply("enterprise")
    assert doubles(town_of_2026) == [second]


def test_units_are_doubles_by_organisation_code_name_and_handler(town: World) -> None:
    town.apply("enterprise", name="某 公司")
    second = town.apply("social_body", document_number="d2143569-x", handler_number=FIFTEEN, submitted_on="2014-05-02")
    assert doubles(town) == [second]


@pytest.mark.parametrize("kind", ["resident", "enterprise"])
def test_the_later_of_two_is_refused_and_no_department_is_asked(town: World, kind: str) -> None:
    town.apply(kind)
    second = town.apply(kind, submitted_on="2014-05-02")
    finding = town.findings()[second]
    assert (finding.status, finding.reason) == ("not_eligible", "duplicate_application")
    assert set(finding.verdicts.values()) == {("unknown", "not_asked")}
    assert len(finding.verdicts) > 3


def test_names_typed_otherwise_are_one_applicant(town: World) -> None:
    town.apply("resident")
    second = town.apply("resident", name=" 张\u3000三", submitted_on="2014-05-02")
    assert doubles(town) == [second]


def test_a_person_s_handler_columns_make_no_other_applicant(town: World) -> None:
    town.apply("resident")
    second = town.apply("resident", handler_number=OTHER, submitted_on="2014-05-02")
    assert doubles(town) == [second]


@pytest.mark.parametrize("number", [OTHER, ME[:-1], None])
def test_two_handlers_of_one_unit_conflict_even_when_bad(town: World, number: str | None) -> None:
    town.settle(OTHER)
    both = [town.apply("enterprise"), town.apply("enterprise", handler_number=number, submitted_on="2014-05-02")]
    assert conflicting(town) == both


def test_a_handler_s_name_makes_no_other_applicant(town: World) -> None:
    town.apply("enterprise")
    second = town.apply("enterprise", handler_name="李四", submitted_on="2014-05-02")
    assert doubles(town) == [second]


@pytest.mark.parametrize("kind", ["resident", "foreign", "enterprise"])
@pytest.mark.parametrize("stranger", ["李四", "", None])
@pytest.mark.parametrize("submitted_on", ["2014-04-01", "2014-05-02", ""])
def test_a_stranger_displaces_nobody(town: World, kind: str, stranger: str | None, submitted_on: str) -> None:
    both = [town.apply(kind), town.apply(kind, name=stranger, submitted_on=submitted_on)]
    findings = town.findings()
    assert {(f.status, f.reason) for f in findings.values()} == {("needs_person", "conflicting_applications")}
    assert list(findings) == both
    assert {v for f in findings.values() for v in f.verdicts.values()} == {("unknown", "not_asked")}


def test_one_stranger_among_doubles_puts_all_in_conflict(town: World) -> None:
    all_three = [town.apply("resident"), town.apply("resident"), town.apply("work_permit", name="李四")]
    assert conflicting(town) == all_three


def test_a_conflict_is_decided_before_a_no(town: World) -> None:
    both = [town.apply("resident"), town.apply("resident", name="李四")]
    town.put("vehicle", owner_number=ME)
    assert conflicting(town) == both


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
