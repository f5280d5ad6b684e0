"""A family as it is drawn: who applies with whom, and what the registers hold about them."""

from dataclasses import dataclass, field

SPOUSE, CHILD, PARENT, PARENT_IN_LAW = "spouse", "child", "parent", "parent_in_law"
OUTSIDE_SPOUSE, FORMER_SPOUSE = "outside_spouse", "former_spouse"
NOT_APPLYING = (OUTSIDE_SPOUSE, FORMER_SPOUSE)


@dataclass(slots=True)
class Member:
    number: int
    role: str
    subject: int
    spouse: int | None = None
    of_member: int | None = None


@dataclass(slots=True)
class Family:
    main: int  #: subject
    story: str
    members: list[Member] = field(default_factory=list)
    undecided: str = ""  #: reason for which a relation must go to a person
    apart: bool = False  #: of two families with somebody in common

    def add(self, role: str, subject: int, **more: int) -> int:
        number = len(self.members) + 2
        self.members.append(Member(number, role, subject, **more))
        return number

    @property
    def subjects(self) -> list[int]:
        return [self.main, *(member.subject for member in self.members)]


@dataclass(slots=True)
class Marriage:
    """One row of the register of marriages."""

    status: str
    spouse: int | None = None
    divorced_on: int | None = None  #: day
    former: int | None = None


@dataclass
class Families:
    """Every family, and the rows about kinship and marriage by whom they are about."""

    families: list[Family] = field(default_factory=list)
    parents: dict[int, tuple[int | None, int | None, str]] = field(default_factory=dict)
    marriages: dict[int, Marriage] = field(default_factory=dict)
    #: Whoever is in a family and would else have a line of her own.
    taken: set[int] = field(default_factory=set)

    def marry(self, one: int, other: int) -> None:
        self.marriages[one], self.marriages[other] = Marriage("已婚", other), Marriage("已婚", one)
