from datetime import date

import pytest

from tests.world import CIVIL_AFFAIRS
from tongban.catalogue.grading import Grade, Mask, Rank
from tongban.catalogue.reading import EntryInvalid
from tongban.catalogue.resource import (
    Completeness,
    Field,
    FieldType,
    Quality,
    Resource,
    UpdateCycle,
    resource_from_mapping,
)
from tongban.catalogue.sharing import Sharing, SharingClass
from tongban.exchange import listing
from tongban.identity.identifiers import Domain
from tongban.kit import canonical

FULL = {
    "id": "civil_affairs/marriage",
    "member": CIVIL_AFFAIRS,
    "title": "婚姻登记",
    "title_en": "Marriage register",
    "domains": ["citizen", "passport"],
    "fields": [
        {"name": "status", "title": "婚姻状况", "type": "code", "grade": "general-2"},
        {"name": "spouse", "title": "配偶", "type": "text", "grade": "general-3-sensitive", "mask": "name"},
    ],
    "sharing": "conditional",
    "basis": "《婚姻登记条例》",
    "update": "daily",
    "complete": {"as_of": date(2014, 6, 1), "statement": "1950年以来本市全部婚姻登记"},
    "quality": {"measured": 997, "least": 990, "as_of": "2014-06-01"},
}


def a_mapping(**change):
    return {name: value for name, value in (FULL | change).items() if value is not ...}


def a_field(**change):
    field = {"name": "status", "type": "code", "grade": "general-2"} | change
    return [{name: value for name, value in field.items() if value is not ...}]


def test_a_full_description_is_read():
    assert resource_from_mapping(FULL) == Resource(
        id="civil_affairs/marriage",
        member=CIVIL_AFFAIRS,
        title="婚姻登记",
        title_en="Marriage register",
        domains=frozenset({Domain.CITIZEN, Domain.PASSPORT}),
        fields=(
            Field("status", FieldType.CODE, Grade(Rank.GENERAL, 2), None, "婚姻状况"),
            Field("spouse", FieldType.TEXT, Grade(Rank.GENERAL, 3, sensitive=True), Mask.NAME, "配偶"),
        ),
        sharing=Sharing(SharingClass.CONDITIONAL, "《婚姻登记条例》"),
        update=UpdateCycle.DAILY,
        complete=Completeness(date(2014, 6, 1), "1950年以来本市全部婚姻登记"),
        quality=Quality(997, 990, date(2014, 6, 1)),
    )


def test_a_short_description_is_read():
    short = resource_from_mapping(
        a_mapping(title_en=..., basis=..., update=..., complete=..., quality=..., fields=a_field())
    )
    assert (short.title_en, short.sharing.basis, short.fields[0].title) == ("", "", "")
    assert (short.update, short.complete, short.quality) == (None, None, None)
    assert resource_from_mapping(short.to_json()) == short


def test_a_resource_written_and_read_again_is_the_same():
    resource = resource_from_mapping(FULL)
    assert resource_from_mapping(resource.to_json()) == resource
    assert canonical.decode(canonical.encode(resource.to_json())) == resource.to_json()


def test_the_directory_entry_has_the_form_of_the_protocol_and_is_adopted_by_the_exchange():
    entry = resource_from_mapping(FULL).to_entry(version=3, node="civil-affairs")
    assert set(entry) == {
        "kind", "id", "version", "member", "node", "title", "domains", "fields", "sharing", "basis", "complete",
    }  # fmt: skip
    assert entry["fields"] == [
        {"name": "status", "type": "code", "grade": "general-2", "mask": None},
        {"name": "spouse", "type": "text", "grade": "general-3-sensitive", "mask": "name"},
    ]
    assert entry["complete"] == {"as_of": "2014-06-01", "statement": "1950年以来本市全部婚姻登记"}
    kind = entry.pop("kind")
    assert listing.compose(kind, **entry)["version"] == 3


def test_a_resource_without_basis_still_makes_a_directory_entry():
    entry = resource_from_mapping(a_mapping(sharing="unconditional", basis=..., complete=...)).to_entry(1, "n")
    assert listing.compose(**entry)["complete"] is None
    assert resource_from_mapping(entry).sharing == Sharing(SharingClass.UNCONDITIONAL)


def test_what_the_directory_says_is_read_back():
    read = resource_from_mapping(resource_from_mapping(FULL).to_entry(3, "civil-affairs"))
    assert read.fields[1] == Field("spouse", FieldType.TEXT, Grade(Rank.GENERAL, 3, sensitive=True), Mask.NAME)
    assert (read.title_en, read.quality) == ("", None)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"id": ...}, "department/thing"),
        ({"id": "marriage"}, "department/thing"),
        ({"id": "Civil/marriage"}, "department/thing"),
        ({"id": "a/" + "b" * 41}, "department/thing"),
        ({"id": 7}, "department/thing"),
        ({"member": CIVIL_AFFAIRS[:17]}, "member"),
        ({"member": CIVIL_AFFAIRS.lower()}, "member"),
        ({"member": ...}, "member"),
        ({"title": ...}, "title"),
        ({"title": ""}, "title"),
        ({"title": " 婚姻"}, "title"),
        ({"title": "婚\n姻"}, "title"),
        ({"title": "婚" * 501}, "title"),
        ({"title": 7}, "title"),
        ({"domains": []}, "domains"),
        ({"domains": "citizen"}, "domains"),
        ({"domains": ["resident"]}, "domains"),
        ({"domains": ["citizen", 7]}, "domains"),
        ({"fields": []}, "field"),
        ({"fields": ...}, "field"),
        ({"fields": ["status"]}, "field"),
        ({"fields": a_field() + a_field()}, "one name"),
        ({"fields": a_field(name="1st")}, "name"),
        ({"fields": a_field(name="a" * 61)}, "name"),
        ({"fields": a_field(type="varchar")}, "type"),
        ({"fields": a_field(type=["text"])}, "type"),
        ({"fields": a_field(grade="secret")}, "core"),
        ({"fields": a_field(grade=...)}, "grade"),
        ({"fields": a_field(mask="half")}, "mask"),
        ({"fields": a_field(length=8)}, "length"),
        ({"sharing": "perhaps"}, "sharing"),
        ({"sharing": ...}, "sharing"),
        ({"sharing": "none", "basis": ...}, "basis"),
        ({"sharing": "none", "basis": ""}, "basis"),
        ({"sharing": "none", "basis": "-"}, "basis"),
        ({"update": "sometimes"}, "update"),
        ({"complete": {"as_of": "2014-06-01"}}, "statement"),
        ({"complete": {"as_of": "2014-6-1", "statement": "x"}}, "as_of"),
        ({"complete": {"as_of": "2014-06-31", "statement": "x"}}, "as_of"),
        ({"complete": {"as_of": "20140601", "statement": "x"}}, "as_of"),
        ({"complete": {"as_of": 20140601, "statement": "x"}}, "as_of"),
        ({"complete": "yes"}, "complete"),
        ({"quality": {"measured": 1001, "least": 990, "as_of": "2014-06-01"}}, "measured"),
        ({"quality": {"measured": 997, "least": -1, "as_of": "2014-06-01"}}, "least"),
        ({"quality": {"measured": True, "least": 990, "as_of": "2014-06-01"}}, "measured"),
        ({"quality": {"measured": 99.7, "least": 990, "as_of": "2014-06-01"}}, "measured"),
        ({"quality": {"least": 990, "as_of": "2014-06-01"}}, "measured"),
        ({"owner": "x"}, "owner"),
    ],
)
def test_a_description_that_does_not_hold_is_refused_by_name(change, word):
    with pytest.raises(EntryInvalid) as caught:
        resource_from_mapping(a_mapping(**change))
    assert word in str(caught.value)


@pytest.mark.parametrize("held", [None, [], "civil_affairs/marriage", 7])
def test_what_is_no_table_is_no_resource(held):
    with pytest.raises(EntryInvalid):
        resource_from_mapping(held)


@pytest.mark.parametrize("held", [0, 1000])
def test_the_ends_of_a_quality_mark_are_marks(held):
    mark = {"measured": held, "least": held, "as_of": "2014-06-01"}
    assert resource_from_mapping(a_mapping(quality=mark)).quality == Quality(held, held, date(2014, 6, 1))


@pytest.mark.parametrize(("measured", "decides"), [(989, False), (990, True), (991, True)])
def test_a_register_below_its_mark_may_not_decide(measured, decides):
    assert Quality(measured, 990, date(2014, 6, 1)).may_decide is decides


def test_a_field_is_found_by_its_name():
    resource = resource_from_mapping(FULL)
    assert resource.field("spouse") == resource.fields[1]
    assert resource.field("child") is None


@pytest.mark.parametrize(("kind", "granted"), [("unconditional", True), ("conditional", True), ("none", False)])
def test_only_what_is_not_shared_at_all_cannot_be_granted(kind, granted):
    assert Sharing(SharingClass(kind), "《保守国家秘密法》").may_be_granted is granted


def test_what_is_not_shared_names_its_law():
    with pytest.raises(EntryInvalid):
        Sharing(SharingClass.NONE, "  ")
