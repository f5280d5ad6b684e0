"""Families of the synthetic city: who applies with whom, and what the registers of kinship and marriage hold.

Main applicants and spouses are residents who would else apply alone; children and parents come from those who do not
apply. What is true is drawn first, here too: each family has one story, most of them the ordinary one.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tongban.demo import numbers, situations
from tongban.demo.columns import Ints, day
from tongban.demo.households import (
    CHILD,
    FORMER_SPOUSE,
    OUTSIDE_SPOUSE,
    PARENT,
    PARENT_IN_LAW,
    SPOUSE,
    Families,
    Family,
    Marriage,
)
from tongban.demo.people import City
from tongban.demo.sizes import UNIT_KINDS, Size

#: Share of applications that are families' [assumed].
_SHARE = 0.04
#: Stories and how often each is told [assumed]; the first is the ordinary one. Each is told once at least.
STORIES = {
    "ordinary": 0.70,
    "spouse_outside": 0.05,
    "spouse_outside_with_car": 0.02,
    "spouse_outside_is_another": 0.01,
    "spouse_hidden": 0.01,
    "married_to_another": 0.01,
    "already_divorced": 0.01,
    "kinship_not_registered": 0.015,
    "parents_are_others": 0.01,
    "kinship_dissolved": 0.005,
    "divorced_from_one_without_car": 0.03,
    "divorced_from_one_with_car": 0.03,
    "divorce_hidden": 0.01,
    "divorced_before_2021": 0.02,
    "divorced_ten_years_ago": 0.01,
    "divorce_declared_in_vain": 0.005,
    "a_stranger_as_child": 0.01,
    "nobody_else_applies": 0.005,
    "spouse_applies_alone_too": 0.02,
    "shares_a_parent": 0.01,
    "couple_apart": 0.01,
}
#: Stories that fill two families.
_OF_TWO = ("shares_a_parent", "couple_apart")
#: Of children and parents, how many are chosen without looking whether they own a car or live here.
_UNCHOSEN = 0.02
_YEAR = 365.25


def how_many(size: Size) -> int:
    """Families; at most so many of those who would apply alone are in somebody else's."""
    return max(len(STORIES) + len(_OF_TWO) + 1, round(size.applications * _SHARE))


def draw_families(city: City, size: Size, rng: np.random.Generator) -> Families:
    return _Matchmaker(city, rng).match(how_many(size))


class _Matchmaker:
    """Finds fitting persons, each once."""

    def __init__(self, city: City, rng: np.random.Generator) -> None:
        self.city, self.rng, self.found = city, rng, Families()
        start, lot = city.lots["resident"]
        free = start + np.flatnonzero(~lot.planted)
        by_age = free[np.argsort(city.born[free], kind="stable")]
        male = numbers.is_male(city.keys[by_age])
        self._men, self._women = by_age[male].tolist(), by_age[~male].tolist()
        first = city.handlers + sum(city.lots[kind][1].size for kind in UNIT_KINDS if kind in city.lots)
        others = np.arange(first, city.citizens - city.military.size)
        self._others = others[np.argsort(city.born[others], kind="stable")]
        self._born = city.born[self._others]
        self._used: set[int] = set()
        self._fit = self._without_car(self._others) & city.here[self._others]

    def _without_car(self, who: Ints) -> Any:
        """Registered, and without anything in the register of vehicles."""
        vehicle = self.city.code_of(situations.VEHICLE, who) <= situations.VEHICLE.code("none")
        return vehicle & (self.city.code_of(situations.POPULATION, who) == 0)

    def match(self, count: int) -> Families:
        for story in self._stories(count):
            tell: Callable[[Family], None] = getattr(self, f"_{story}")
            family = Family(self._applicant(), story)
            self.found.families.append(family)
            tell(family)
        for family in self.found.families:
            self._settle(family)
        return self.found

    def _stories(self, count: int) -> Iterator[str]:
        names, weights = list(STORIES), np.array(list(STORIES.values()))
        told = [*names, *self.rng.choice(names, max(0, count - len(names) - len(_OF_TWO)), p=weights / weights.sum())]
        room = count
        for story in told:
            need = 2 if story in _OF_TWO else 1
            if room >= need:
                room -= need
                yield story
        yield from ("ordinary" for _ in range(room))

    # --- Whom ---------------------------------------------------------------------------------------

    def _applicant(self, woman: bool | None = None) -> int:
        """Somebody who would else apply alone, from the middle of the ages."""
        woman = bool(self.rng.random() < 0.5) if woman is None else woman
        side = self._women if woman else self._men
        who = int(side.pop(int(len(side) * (0.2 + 0.6 * self.rng.random()))))
        self.found.taken.add(who)
        return who

    def _partner(self, of: int) -> int:
        """Somebody of about the same age and the other sex."""
        side = self._men if self._is_woman(of) else self._women
        born = self.city.born[np.array(side)]
        who = int(side.pop(min(int(np.searchsorted(born, self.city.born[of])), len(side) - 1)))
        self.found.taken.add(who)
        return who

    def _is_woman(self, who: int) -> bool:
        return not bool(numbers.is_male(self.city.keys[np.array([who])])[0])

    def _other(self, years_from: float, years_to: float, of: int, fit: bool = True, wanted: Any = None) -> int:
        """Somebody who does not apply, born between so many years after `of` and so many."""
        born = self.city.born[of]
        low, high = np.searchsorted(self._born, [born + years_from * _YEAR, born + years_to * _YEAR])
        window = np.arange(max(low, 0), max(high, low + 1)) % len(self._others)
        good = (self._fit if fit else np.ones(len(self._fit), np.bool_)) if wanted is None else wanted
        free = [place for place in window[good[window]].tolist() if place not in self._used]
        if not free:
            free = [place for place in np.flatnonzero(good).tolist() if place not in self._used]
        place = free[int(self.rng.integers(len(free)))]
        self._used.add(place)
        return int(self._others[place])

    def _child(self, of: int) -> int:
        return self._other(22, 34, of, fit=self.rng.random() > _UNCHOSEN)

    def _elder(self, of: int) -> int:
        return self._other(-34, -22, of, fit=self.rng.random() > _UNCHOSEN)

    def _adult(self, of: int, *vehicle: str) -> int:
        """Somebody of about that age in one of the situations towards the register of vehicles."""
        codes = [situations.VEHICLE.code(name) for name in vehicle]
        wanted = np.isin(self.city.code_of(situations.VEHICLE, self._others), codes)
        wanted &= self.city.code_of(situations.POPULATION, self._others) == 0
        return self._other(-6, 6, of, wanted=wanted)

    # --- Stories ------------------------------------------------------------------------------------

    def _couple(self, family: Family) -> int:
        partner = self._partner(family.main)
        family.add(SPOUSE, partner)
        self.found.marry(family.main, partner)
        return partner

    def _children(self, family: Family, least: int = 0) -> None:
        partner = next((m.subject for m in family.members if m.role == SPOUSE), None)
        for _ in range(max(least, int(self.rng.choice(3, p=[0.25, 0.55, 0.2])))):
            child = self._child(family.main)
            father, mother = (partner, family.main) if self._is_woman(family.main) else (family.main, partner)
            self.found.parents[child] = (father, mother, "有效")
            family.add(CHILD, child)

    def _parents(self, family: Family, of: int, role: str, count: int | None = None) -> None:
        wanted = int(self.rng.choice(3, p=[0.5, 0.25, 0.25])) if count is None else count
        known = [self._elder(of) for _ in range(wanted)]
        if not known:
            return
        numbers_of = [family.add(role, parent) for parent in known]
        both = (*known, None)[:2] if len(known) == 1 else tuple(known)
        self.found.parents[of] = (both[0], both[1], "有效")
        if len(known) == 2:
            self.found.marry(*known)
            family.members[-1].spouse = numbers_of[0]

    def _ordinary(self, family: Family) -> None:
        partner = self._couple(family) if self.rng.random() < 0.8 else None
        self._children(family, least=0 if partner else 1)
        self._parents(family, family.main, PARENT)
        if partner is not None:
            self._parents(family, partner, PARENT_IN_LAW)

    def _with_child(self, family: Family) -> None:
        self._children(family, least=1)

    def _spouse_outside(self, family: Family, *vehicle: str) -> None:
        self._with_child(family)
        partner = self._adult(family.main, *(vehicle or ("none",)))
        family.add(OUTSIDE_SPOUSE, partner, spouse=1)
        self.found.marry(family.main, partner)

    def _spouse_outside_with_car(self, family: Family) -> None:
        self._spouse_outside(family, "car")

    def _spouse_outside_is_another(self, family: Family) -> None:
        self._spouse_outside(family)
        self.found.marry(family.main, self._adult(family.main, "none"))
        family.undecided = "marriage_not_confirmed"

    def _spouse_hidden(self, family: Family) -> None:
        self._with_child(family)
        self.found.marry(family.main, self._adult(family.main, "car"))
        family.undecided = "spouse_not_declared"

    def _married_to_another(self, family: Family) -> None:
        self._couple(family)
        self.found.marry(family.main, self._adult(family.main, "none"))
        family.undecided = "marriage_not_confirmed"

    def _already_divorced(self, family: Family) -> None:
        partner = self._couple(family)
        for one, other in ((family.main, partner), (partner, family.main)):
            self.found.marriages[one] = Marriage("离婚", other, self._day(-3), other)
        family.undecided = "marriage_ended"

    def _kinship_not_registered(self, family: Family) -> None:
        self._with_child(family)
        del self.found.parents[family.members[0].subject]
        family.undecided = "kinship_not_confirmed"

    def _parents_are_others(self, family: Family) -> None:
        self._with_child(family)
        child = family.members[0].subject
        self.found.parents[child] = (self._elder(child), None, "有效")
        family.undecided = "kinship_not_confirmed"

    def _kinship_dissolved(self, family: Family) -> None:
        self._with_child(family)
        child = family.members[0].subject
        self.found.parents[child] = (*self.found.parents[child][:2], "解除")
        family.undecided = "kinship_ended"

    def _divorced(self, family: Family, former: int, years_ago: float, *, declared: bool) -> None:
        self._with_child(family)
        when = self._day(-years_ago)
        self.found.marriages[family.main] = Marriage("离婚", None, when, former)
        self.found.marriages[former] = Marriage("离婚", None, when, family.main)
        if declared:
            family.add(FORMER_SPOUSE, former, of_member=1)

    def _divorced_from_one_without_car(self, family: Family) -> None:
        self._divorced(family, self._adult(family.main, "none", "motorcycle"), 2.5, declared=True)

    def _divorced_from_one_with_car(self, family: Family) -> None:
        self._divorced(family, self._adult(family.main, "car", "car_deregistered"), 2.5, declared=True)

    def _divorce_hidden(self, family: Family) -> None:
        self._divorced(family, self._adult(family.main, "car"), 1.5, declared=False)
        family.undecided = "divorce_not_declared"

    def _divorced_before_2021(self, family: Family) -> None:
        self._divorced(family, self._adult(family.main, "car"), 6.2, declared=False)

    def _divorced_ten_years_ago(self, family: Family) -> None:
        self._divorced(family, self._adult(family.main, "car"), 10.5, declared=False)

    def _divorce_declared_in_vain(self, family: Family) -> None:
        self._divorced(family, self._adult(family.main, "none"), 6.2, declared=True)
        family.undecided = "divorce_not_counted"

    def _a_stranger_as_child(self, family: Family) -> None:
        """Somebody who applies alone, and knows nothing of it."""
        self._with_child(family)
        side = self._women if self._women else self._men
        family.add(CHILD, side[-1 - int(self.rng.integers(3))])
        family.undecided = "kinship_not_confirmed"

    def _nobody_else_applies(self, family: Family) -> None:
        partner = self._adult(family.main, "none")
        family.add(OUTSIDE_SPOUSE, partner, spouse=1)
        self.found.marry(family.main, partner)
        family.undecided = "family_not_whole"

    def _spouse_applies_alone_too(self, family: Family) -> None:
        partner = self._couple(family)
        self.found.taken.discard(partner)

    def _shares_a_parent(self, family: Family) -> None:
        """Brother and sister, each with the same mother in the family."""
        mother = self._elder(family.main)
        other = Family(self._partner(family.main), family.story)
        self.found.families.append(other)
        for one in (family, other):
            one.apart = True
            one.add(PARENT, mother)
            self.found.parents[one.main] = (None, mother, "有效")

    def _couple_apart(self, family: Family) -> None:
        """Husband and wife, each the main applicant of a family with a parent."""
        partner = self._partner(family.main)
        other = Family(partner, family.story)
        self.found.families.append(other)
        self.found.marry(family.main, partner)
        for one, spouse in ((family, partner), (other, family.main)):
            one.apart = True
            self._parents(one, one.main, PARENT, 1)
            one.add(OUTSIDE_SPOUSE, spouse, spouse=1)

    def _day(self, years: float) -> int:
        return day(self.city.world.at) + round(years * _YEAR) + int(self.rng.integers(-60, 60))

    def _settle(self, family: Family) -> None:
        """The register knows nothing of those who never married; of some it says so."""
        for subject in family.subjects:
            if subject not in self.found.marriages and self.rng.random() < 0.2:
                self.found.marriages[subject] = Marriage("未婚")
