"""Resources: what there is to ask, described by the department that answers for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from tongban.catalogue.grading import Grade, Mask, read_grade
from tongban.catalogue.reading import Entry
from tongban.catalogue.sharing import Sharing, SharingClass
from tongban.identity.identifiers import Domain, normalise

_ID = re.compile(r"[a-z0-9_]{1,40}/[a-z0-9_]{1,40}")
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


class FieldType(StrEnum):
    """As a consumer reads it; the last three are bitmaps and lists of canonical fact rows."""

    TEXT = "text"
    CODE = "code"
    INT = "int"
    BOOL = "bool"
    DATE = "date"
    MONTH = "month"
    TIME = "time"
    MONTHS = "months"
    YEARS = "years"
    YEAR_AMOUNTS = "year_amounts"


class UpdateCycle(StrEnum):
    """Guide of 2017, 更新周期."""

    REALTIME = "realtime"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"
    IRREGULAR = "irregular"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: FieldType
    grade: Grade
    mask: Mask | None = None  #: None: the value leaves whole
    title: str = ""

    def to_json(self) -> dict[str, Any]:
        titled = {"title": self.title} if self.title else {}
        return self.to_entry() | titled

    def to_entry(self) -> dict[str, Any]:
        """As it stands in the directory."""
        mask = None if self.mask is None else str(self.mask)
        return {"name": self.name, "type": str(self.type), "grade": str(self.grade), "mask": mask}


@dataclass(frozen=True, slots=True)
class Completeness:
    """The owner's word that on `as_of` the register held everybody it should: only then may silence mean no."""

    as_of: date
    statement: str

    def to_json(self) -> dict[str, str]:
        return {"as_of": self.as_of.isoformat(), "statement": self.statement}


@dataclass(frozen=True, slots=True)
class Quality:
    """Rows in a thousand without a known defect, and how many the owner holds to be enough for deciding."""

    measured: int
    least: int
    as_of: date

    @property
    def may_decide(self) -> bool:
        """Below its mark a register gives unknown, never no."""
        return self.measured >= self.least

    def to_json(self) -> dict[str, Any]:
        return {"measured": self.measured, "least": self.least, "as_of": self.as_of.isoformat()}


@dataclass(frozen=True, slots=True)
class Resource:
    id: str  #: "department/thing"
    member: str  #: credit code of the department that answers for it
    title: str
    title_en: str
    domains: frozenset[Domain]  #: kinds of keys it can be asked by
    fields: tuple[Field, ...]
    sharing: Sharing
    update: UpdateCycle | None = None
    complete: Completeness | None = None
    quality: Quality | None = None

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """All of it, as `resource_from_mapping` reads it."""
        held = self._described() | {"fields": [field.to_json() for field in self.fields]}
        extras = {
            "title_en": self.title_en or None,
            "update": self.update and str(self.update),
            "quality": self.quality and self.quality.to_json(),
        }
        return held | {name: value for name, value in extras.items() if value is not None}

    def to_entry(self, version: int, node: str) -> dict[str, Any]:
        """The body of the directory's entry of kind `resource` (exchange protocol, section 2), ready to be signed."""
        fields = [field.to_entry() for field in self.fields]
        # The protocol has no empty text: what is shared without a written basis says so.
        basis = self.sharing.basis or "-"
        return self._described() | {
            "kind": "resource", "version": version, "node": node, "fields": fields, "basis": basis,
        }  # fmt: skip

    def _described(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "member": self.member,
            "title": self.title,
            "domains": sorted(map(str, self.domains)),
            "sharing": str(self.sharing.kind),
            "basis": self.sharing.basis,
            "complete": self.complete and self.complete.to_json(),
        }


_OWN = frozenset(
    {"id", "member", "title", "title_en", "domains", "fields", "sharing", "basis", "update", "complete", "quality"}
)
#: What the directory's entry says beside it; the node and the version are no properties of the resource.
_OF_ENTRY = frozenset({"kind", "version", "node"})


def resource_from_mapping(held: Any) -> Resource:
    """Read a catalogue file's table or the body of a directory entry. Raises EntryInvalid."""
    id = held.get("id") if isinstance(held, Mapping) else None
    entry = Entry(f"resource {id}" if isinstance(id, str) else "resource", held, _OWN | _OF_ENTRY)
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise entry.wrong("its id must be department/thing, each of a-z 0-9 _")
    return Resource(
        id=id,
        member=_member(entry),
        title=entry.text("title"),
        title_en=entry.text("title_en", ""),
        domains=_domains(entry),
        fields=_fields(entry),
        sharing=_sharing(entry),
        update=entry.choice("update", UpdateCycle) if entry.get("update") is not None else None,
        complete=_complete(entry),
        quality=_quality(entry),
    )


def _member(entry: Entry) -> str:
    code = entry.text("member")
    if normalise(Domain.CREDIT_CODE, code) != code:
        raise entry.wrong("its member must be a unified social credit code")
    return code


def _domains(entry: Entry) -> frozenset[Domain]:
    names = entry.parts("domains")
    if not names or not all(isinstance(name, str) and name in Domain.__members__.values() for name in names):
        raise entry.wrong(f"its domains must be some of {', '.join(Domain)}")
    return frozenset(map(Domain, names))


def _fields(entry: Entry) -> tuple[Field, ...]:
    fields = tuple(_field(entry, part) for part in entry.parts("fields"))
    names = [field.name for field in fields]
    if not names:
        raise entry.wrong("it has no field")
    if len(set(names)) < len(names):
        raise entry.wrong("two of its fields have one name")
    return fields


def _field(of: Entry, held: Any) -> Field:
    entry = Entry(f"{of.called}, a field", held, ("name", "title", "type", "grade", "mask"))
    name = entry.text("name")
    if not _FIELD_NAME.fullmatch(name):
        raise entry.wrong("its name must begin with a letter and hold a-z 0-9 _")
    mask = None if entry.get("mask") is None else entry.choice("mask", Mask)
    grade = read_grade(entry.text("grade"))
    return Field(name, entry.choice("type", FieldType), grade, mask, entry.text("title", ""))


def _sharing(entry: Entry) -> Sharing:
    basis = "" if entry.get("basis") in ("", "-") else entry.text("basis", "")
    return Sharing(entry.choice("sharing", SharingClass), basis)


def _complete(of: Entry) -> Completeness | None:
    if of.get("complete") is None:
        return None
    entry = Entry(f"{of.called}, complete", of.get("complete"), ("as_of", "statement"))
    return Completeness(entry.day("as_of"), entry.text("statement"))


def _quality(of: Entry) -> Quality | None:
    if of.get("quality") is None:
        return None
    entry = Entry(f"{of.called}, quality", of.get("quality"), ("measured", "least", "as_of"))
    for name in ("measured", "least"):
        value = entry.get(name)
        if type(value) is not int or not 0 <= value <= 1000:
            raise entry.wrong(f"{name} must be rows in a thousand, 0 to 1000")
    return Quality(entry.get("measured"), entry.get("least"), entry.day("as_of"))
