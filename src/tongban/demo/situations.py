"""What is true of people and bodies, drawn before any record is written.

A table lists the situations somebody can be in towards one register, each with the reason for which
the rule is then not met (none: it is met). Records are written from the situation (`person_records`,
`unit_records`); the truth of an application follows from its situations alone (`truth`).
The first situation of every table is the ordinary one in which the rule is met.

The shares are [assumed]: chosen so that about two thirds are eligible and every reason occurs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tongban.demo.columns import Flags, Ints, between
from tongban.demo.sizes import World

Codes = npt.NDArray[np.int8]

#: Reasons that leave a rule unknown: no record where silence says nothing. They send a person to a person.
UNDECIDED = frozenset({"identity_not_confirmed", "no_record", "number_beyond_steps"})


@dataclass(frozen=True, slots=True)
class Situation:
    name: str
    reason: str  #: "" if the rule is met
    applicants: float  #: weight among those of whom the rule is asked
    others: float  #: weight among everybody else whom the register could hold


@dataclass(frozen=True)
class Table:
    name: str
    situations: tuple[Situation, ...]

    def code(self, name: str) -> int:
        return self._codes[name]

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {situation.name: code for code, situation in enumerate(self.situations)}

    @cached_property
    def reasons(self) -> npt.NDArray[Any]:
        """Reason of each code."""
        return np.array([situation.reason for situation in self.situations], object)

    def draw(self, rng: np.random.Generator, rows: int, *, applicants: bool) -> Codes:
        weights = [one.applicants if applicants else one.others for one in self.situations]
        edges = np.cumsum(weights) / np.sum(weights)
        codes = np.searchsorted(edges, rng.random(rows), side="right")
        return np.minimum(codes, len(weights) - 1).astype(np.int8)


def _table(name: str, *rows: tuple[str, str, float, float]) -> Table:
    return Table(name, tuple(Situation(*row) for row in rows))


POPULATION = _table(
    "population",
    ("registered", "", 0.991, 0.990),
    ("deceased", "deceased", 0.0015, 0.006),
    ("household_cancelled", "household_cancelled", 0.0025, 0.004),
    ("number_of_nobody", "identity_not_confirmed", 0.005, 0.0),  # right in form, held by no register
)
HOUSEHOLD = _table(
    "household",
    ("here", "", 0.982, 1.0),
    ("elsewhere", "household_elsewhere", 0.018, 0.0),
)
LICENCE = _table(
    "driving_licence",
    ("good", "", 0.842, 0.56),
    ("good_until_today", "", 0.002, 0.0005),
    ("none", "no_licence", 0.075, 0.38),
    ("over_points", "licence_status", 0.010, 0.010),
    ("not_in_normal_state", "licence_status", 0.020, 0.015),
    ("good_until_yesterday", "licence_expired", 0.002, 0.0005),
    ("expired", "licence_expired", 0.028, 0.020),
    ("class_without_cars", "licence_class", 0.021, 0.014),
)
#: Of foreigners silence is no answer: a number without check character may be theirs, mistyped.
FOREIGN_LICENCE = Table(
    LICENCE.name,
    tuple(replace(one, reason="no_record") if one.name == "none" else one for one in LICENCE.situations),
)
VEHICLE = _table(
    "vehicle",
    ("none", "", 0.800, 0.690),
    ("motorcycle", "", 0.015, 0.020),
    ("lorry", "", 0.008, 0.008),
    ("car_deregistered", "", 0.020, 0.020),
    ("car_deregistered_overdue", "", 0.004, 0.004),
    ("car_transferred", "", 0.012, 0.010),
    ("motorcycle_due_tomorrow", "", 0.002, 0.0005),
    ("car", "has_vehicle", 0.095, 0.200),
    ("car_not_inspected", "has_vehicle", 0.008, 0.010),
    ("car_seized", "has_vehicle", 0.002, 0.002),
    ("several_cars", "has_vehicle", 0.010, 0.020),
    ("car_overdue", "has_vehicle", 0.004, 0.004),
    ("motorcycle_due_today", "scrap_due", 0.002, 0.0005),
    ("motorcycle_overdue", "scrap_due", 0.010, 0.006),
    ("lorry_overdue", "scrap_due", 0.008, 0.005),
)
PERMIT = _table(
    "residence_permit",
    ("valid", "", 0.924, 0.68),
    ("from_today", "", 0.003, 0.001),
    ("until_today", "", 0.003, 0.001),
    ("none", "no_residence_permit", 0.022, 0.22),
    ("cancelled", "residence_permit_cancelled", 0.014, 0.03),
    ("until_yesterday", "residence_permit_expired", 0.003, 0.001),
    ("expired", "residence_permit_expired", 0.028, 0.07),
    ("from_tomorrow", "residence_permit_expired", 0.003, 0.001),
)
WORK_PERMIT = _table(
    "work_residence_permit",
    ("valid", "", 0.860, 0.012),
    ("from_today", "", 0.005, 0.0),
    ("until_today", "", 0.005, 0.0),
    ("none", "no_work_permit", 0.030, 0.975),
    ("accompanying", "accompanying_person", 0.040, 0.009),
    ("cancelled", "work_permit_cancelled", 0.020, 0.002),
    ("until_yesterday", "work_permit_expired", 0.005, 0.0),
    ("expired", "work_permit_expired", 0.030, 0.002),
    ("from_tomorrow", "work_permit_expired", 0.005, 0.0),
)
INSURANCE = _table(
    "social_insurance",
    ("unbroken", "", 0.500, 0.340),
    ("exactly_60_months", "", 0.020, 0.001),
    ("several_employers", "", 0.200, 0.190),
    ("gap_healed", "", 0.060, 0.030),
    ("overlapping", "", 0.030, 0.020),
    ("only_59_months", "insurance_interrupted", 0.015, 0.001),
    ("gap", "insurance_interrupted", 0.085, 0.080),
    ("last_month_missing", "insurance_not_current", 0.015, 0.002),
    ("stopped", "insurance_not_current", 0.035, 0.080),
    ("none", "no_insurance", 0.040, 0.256),
)
TAX = _table(
    "income_tax",
    ("every_year", "", 0.680, 0.290),
    ("december_paid_in_january", "", 0.060, 0.015),
    ("only_first_and_last_day", "", 0.010, 0.001),
    ("one_fen", "", 0.010, 0.001),
    ("year_missing", "tax_year_missing", 0.060, 0.030),
    ("year_paid_later", "tax_year_missing", 0.030, 0.005),
    ("year_refunded", "tax_year_missing", 0.012, 0.002),
    ("first_year_a_day_early", "tax_year_missing", 0.008, 0.001),
    ("last_year_missing", "tax_last_year_missing", 0.060, 0.040),
    ("last_year_paid_later", "tax_last_year_missing", 0.025, 0.005),
    ("none", "no_tax_record", 0.045, 0.610),
)
LODGING = _table(
    "exit_entry",
    ("settled", "", 0.840, 0.60),
    ("exactly_one_year", "", 0.015, 0.001),
    ("document_until_today", "", 0.015, 0.001),
    ("document_until_yesterday", "document_expired", 0.010, 0.001),
    ("document_expired", "document_expired", 0.030, 0.05),
    ("one_day_short", "lodging_too_short", 0.010, 0.001),
    ("newly_arrived", "lodging_too_short", 0.080, 0.34),
)
BUSINESS = _table(
    "business_licence",
    ("registered_here", "", 0.905, 0.86),
    ("revoked", "licence_revoked", 0.028, 0.05),
    ("cancelled", "licence_cancelled", 0.030, 0.06),
    ("of_another_city", "registered_elsewhere", 0.018, 0.01),
    ("moved_away", "registered_elsewhere", 0.012, 0.02),
    ("not_held", "no_record", 0.010, 0.0),
)
CODE = _table(
    "organisation_code",
    ("valid", "", 0.918, 0.88),
    ("until_today", "", 0.008, 0.001),
    ("until_yesterday", "code_expired", 0.006, 0.001),
    ("expired", "code_expired", 0.040, 0.07),
    ("cancelled", "code_cancelled", 0.022, 0.05),
    ("not_held", "no_record", 0.010, 0.0),
)
VAT = _table(
    "vat",
    ("enough", "", 0.745, 0.40),
    ("exactly_enough", "", 0.010, 0.001),
    ("new_and_enough", "", 0.030, 0.01),
    ("new_on_first_day_exactly_enough", "", 0.006, 0.001),
    ("one_fen_short", "vat_too_low", 0.010, 0.001),
    ("low", "vat_too_low", 0.070, 0.36),
    ("nothing_paid", "vat_too_low", 0.040, 0.12),
    ("new_and_one_fen_short", "vat_too_low", 0.010, 0.001),
    ("a_day_too_old_to_be_new", "vat_too_low", 0.006, 0.001),
    ("paid_the_year_before_only", "vat_too_low", 0.010, 0.02),
    ("not_in_normal_state", "taxpayer_state", 0.035, 0.05),
    ("deregistered", "taxpayer_state", 0.020, 0.05),
    ("not_held", "no_record", 0.010, 0.0),
    ("more_codes_than_allowed", "too_many_codes", 0.010, 0.0),
)
#: While the tax registration was a certificate of its own, losing it came before all that was paid.
_DEREGISTERED = {"deregistered": "tax_registration_cancelled"}
#: In 2011 only the year before counted, and nothing said how many codes were too many.
_VAT_2011 = dict.fromkeys(("new_and_enough", "new_on_first_day_exactly_enough"), "vat_too_low") | {
    "more_codes_than_allowed": "number_beyond_steps"
}
_ORDINARY = Situation("more_ordinary_codes_than_allowed", "too_many_ordinary_codes", 0.010, 0.0)
#: Only where tax is too low does it matter; the ordinary situation is therefore one that changes nothing.
INVESTMENT = _table(
    "fixed_investment",
    ("other_industry", "other_industry", 0.60, 0.60),
    ("enough", "", 0.15, 0.05),
    ("exactly_enough", "", 0.03, 0.001),
    ("one_fen_short", "investment_too_low", 0.03, 0.001),
    ("nothing_invested", "investment_too_low", 0.19, 0.35),
)
BODY = _table(
    "social_body",
    ("registered", "", 0.890, 0.86),
    ("until_today", "", 0.010, 0.001),
    ("until_yesterday", "body_expired", 0.010, 0.001),
    ("expired", "body_expired", 0.040, 0.06),
    ("cancelled", "body_cancelled", 0.025, 0.05),
    ("revoked", "body_cancelled", 0.020, 0.03),
    ("not_held", "no_record", 0.010, 0.0),
    ("second_code", "too_many_codes", 0.010, 0.0),
)

Groups = tuple[tuple[Table, ...], tuple[Table, ...]]

#: Tables by kind, in the order in which reasons count: those asked first, then the others.
_PERSONS_ASKED: dict[str, Groups] = {
    "resident": ((POPULATION, HOUSEHOLD), (LICENCE, VEHICLE)),
    "work_permit": ((POPULATION,), (WORK_PERMIT, LICENCE, VEHICLE)),
    "residence_permit": ((POPULATION,), (PERMIT, INSURANCE, TAX, LICENCE, VEHICLE)),
    "foreign": ((LODGING,), (FOREIGN_LICENCE, VEHICLE)),
}

#: Where every situation of a table is planted: one kind is enough.
_PERSONS_PLANTED: dict[str, tuple[Table, ...]] = {
    "resident": (POPULATION, HOUSEHOLD, LICENCE, VEHICLE),
    "work_permit": (WORK_PERMIT,),
    "residence_permit": (PERMIT, INSURANCE, TAX),
    "foreign": (LODGING,),
}


def asked(world: World) -> dict[str, Groups]:
    """Tables by kind in the world's version of the rules."""
    codes = () if world.one_certificate else (CODE,)
    investment = (INVESTMENT,) if world.investment_counts else ()
    # POPULATION here is the handler's.
    return _PERSONS_ASKED | {
        "enterprise": ((POPULATION,), (BUSINESS, *codes, vat_table(world), *investment)),
        "social_body": ((POPULATION,), (BODY, *codes)),
    }


def planted_tables(world: World) -> dict[str, tuple[Table, ...]]:
    first, others = asked(world)["enterprise"]
    return _PERSONS_PLANTED | {"enterprise": (*first, *others), "social_body": (BODY,)}


@cache
def vat_table(world: World) -> Table:
    """Tax paid, as the world's version of the rules looks at it."""
    changed = {} if world.one_certificate else _DEREGISTERED
    if world.at < date(2014, 1, 1):
        changed = changed | _VAT_2011
    more = (_ORDINARY,) if world.investment_counts else ()
    return Table(VAT.name, (*_with_reasons(VAT, changed), *more))


def _with_reasons(table: Table, reasons: Mapping[str, str]) -> tuple[Situation, ...]:
    return tuple(replace(one, reason=reasons.get(one.name, one.reason)) for one in table.situations)


def most_codes(world: World) -> int:
    """Codes that an enterprise may have in a year; in 2011 as many as the rule has steps."""
    return 8 if date(2014, 1, 1) <= world.at < date(2021, 1, 1) else 12


MOST_ORDINARY = 6
_OFTEN_FIRST = 0.7  #: of enterprises, how many apply for their first code of the year [assumed]


@dataclass(frozen=True, slots=True)
class Lot:
    """The applicants of one kind."""

    kind: str
    tables: Groups  #: asked of the kind, first and then
    codes: dict[str, Codes]  #: by table
    planted: Flags  #: set on one situation with all else in order
    code_numbers: Ints  #: which of its codes of the year each applies for; 1 for persons
    ordinary_numbers: Ints  #: the same among those for ordinary cars

    @property
    def size(self) -> int:
        return self.planted.size


def least(world: World, kind: str, planted: int) -> int:
    """Applicants of a kind without whom its planted situations do not find room."""
    return planted * sum(len(table.situations) for table in planted_tables(world)[kind]) + 2


def draw_lot(rng: np.random.Generator, world: World, kind: str, size: int, planted: int) -> Lot:
    tables = asked(world)[kind]
    codes = {table.name: table.draw(rng, size, applicants=True) for group in tables for table in group}
    flags = np.zeros(size, np.bool_)
    start = 0
    for table in planted_tables(world)[kind]:
        for code in range(len(table.situations)):
            rows = slice(start, start + planted)
            for name in codes:
                codes[name][rows] = 0
            codes[table.name][rows] = code
            if table is INVESTMENT:
                codes[VAT.name][rows] = VAT.code("low")
            flags[rows] = True
            start += planted
    if HOUSEHOLD.name in codes:
        # Who is in no register has no household in it either.
        codes[HOUSEHOLD.name][codes[POPULATION.name] == POPULATION.code("number_of_nobody")] = 0
    return Lot(kind, tables, codes, flags, *_code_numbers(rng, world, kind, size, codes))


def _code_numbers(
    rng: np.random.Generator, world: World, kind: str, size: int, codes: Mapping[str, Codes]
) -> tuple[Ints, Ints]:
    """Which code of the year, and which of those for ordinary cars, each applicant applies for."""
    numbers = np.ones(size, np.int64)
    if kind == "social_body":
        numbers[codes[BODY.name] == BODY.code("second_code")] = 2
    if kind != "enterprise":
        return numbers, numbers.copy()
    table, most = vat_table(world), most_codes(world)
    # Somebody at least pays enough for a second code.
    codes[VAT.name][-1] = table.code("enough")
    numbers = np.where(rng.random(size) < _OFTEN_FIRST, 1, between(rng, 1, most, size))
    numbers[-1] = 2
    beyond = codes[VAT.name] == table.code("more_codes_than_allowed")
    numbers[beyond] = between(rng, most + 1, 14, int(beyond.sum()))
    ordinary = np.minimum(numbers, between(rng, 1, MOST_ORDINARY, size))
    if world.investment_counts:
        several = codes[VAT.name] == table.code(_ORDINARY.name)
        numbers[several] = between(rng, MOST_ORDINARY + 1, most, int(several.sum()))
        ordinary[several] = rng.integers(MOST_ORDINARY + 1, numbers[several] + 1)
    return numbers, ordinary if world.investment_counts else numbers.copy()


def causes(lot: Lot) -> npt.NDArray[Any]:
    """The true reason of each applicant; "" for those who are eligible.

    First asked come first, and where they leave somebody undecided nothing further is asked; within
    each group what is not met comes before what is unknown, as in the order of decisions.
    """
    first, others = (_group(lot, tables) for tables in lot.tables)
    return np.where(first != "", first, others)


def _reasons(lot: Lot, table: Table) -> npt.NDArray[Any]:
    found = table.reasons[lot.codes[table.name]]
    if table.name == VAT.name and INVESTMENT.name in lot.codes:
        # Either is enough.
        invested = INVESTMENT.reasons[lot.codes[INVESTMENT.name]] == ""
        return np.where((found == "vat_too_low") & invested, "", found)
    return found


def _group(lot: Lot, tables: tuple[Table, ...]) -> npt.NDArray[Any]:
    found = np.full(lot.size, "", object)
    for undecided in (False, True):
        for table in tables:
            if table is INVESTMENT:
                continue
            reasons = _reasons(lot, table)
            wanted = (reasons != "") & (np.isin(reasons, list(UNDECIDED)) == undecided)
            found = np.where((found == "") & wanted, reasons, found)
    return found
