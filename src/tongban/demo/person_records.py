"""Records about persons, written from what is true of them."""

from typing import Any

import numpy as np
import pyarrow as pa

from tongban.demo import numbers, situations
from tongban.demo.columns import (
    Ints,
    between,
    day,
    day_texts,
    last_day_of_month,
    month_texts,
    picked,
)
from tongban.demo.people import City, divisions
from tongban.demo.registers import CARS, CODES, LORRIES, MOTORCYCLE
from tongban.demo.situations import Table

#: What a writer gives: columns by name, and whom each row is about.
Written = tuple[dict[str, Any], Ints]


def population(city: City, rng: np.random.Generator) -> Written:
    who = city.whoever(situations.POPULATION, "number_of_nobody")
    inside, outside = divisions(city.world.at)
    division = np.where(
        city.here[who],
        between(rng, 0, len(inside) - 1, who.size),
        len(inside) + between(rng, 0, len(outside) - 1, who.size),
    )
    status = city.code_of(situations.POPULATION, who)
    columns = {
        "id_number": city.texts.take(pa.array(who)),
        "name": city.names.take(pa.array(who)),
        "sex": picked(("女", "男"), numbers.is_male(city.keys[who]).astype(np.int8)),
        "birth_date": day_texts(city.born[who]),
        "household_division": picked((*inside, *outside), division),
        "status": picked(("正常", "死亡", "注销"), status),
    }
    return columns, who


# --- Driving licences ---------------------------------------------------------------------------

#: Classes that allow a car, with their shares [assumed], and those that do not.
_WITH_CARS = ("C1", "C2", "B2", "B1", "A1", "A2", "A3", "C5")
_SHARES_WITH_CARS = (0.78, 0.11, 0.05, 0.015, 0.015, 0.01, 0.01, 0.01)
_WITHOUT_CARS = ("C3", "C4", "C6", "D", "E", "F", "M", "N", "P")
_TERM = 3653  #: days; first licences run six years, later ones ten, some without end


def driving_licence(city: City, rng: np.random.Generator) -> Written:
    table = situations.LICENCE
    who = city.whoever(table, "none")
    code = city.code_of(table, who)
    until = _licence_until(city, rng, code)
    classes = np.searchsorted(np.cumsum(_SHARES_WITH_CARS)[:-1], rng.random(who.size))
    unfit = code == table.code("class_without_cars")
    classes[unfit] = len(_WITH_CARS) + between(rng, 0, len(_WITHOUT_CARS) - 1, int(unfit.sum()))
    statuses = CODES["driving_licence", "status"]
    status = np.zeros(who.size, np.int64)
    status[code == table.code("over_points")] = statuses.index("超分")
    other = code == table.code("not_in_normal_state")
    status[other] = between(rng, 2, len(statuses) - 1, int(other.sum()))
    columns = {
        "id_number": city.texts.take(pa.array(who)),
        "document_type": picked(numbers.DOCUMENTS, city.documents[who]),
        "licence_class": picked((*_WITH_CARS, *_WITHOUT_CARS), classes),
        "status": picked(statuses, status),
        "issued_on": day_texts(np.maximum(until - _TERM, city.came_of_age(who))),
        "valid_until": day_texts(until),
    }
    return columns, who


def _licence_until(city: City, rng: np.random.Generator, code: Any) -> Ints:
    at = day(city.world.at)
    until = at + between(rng, 30, _TERM - 400, code.size)
    until[code == situations.LICENCE.code("good_until_today")] = at
    until[code == situations.LICENCE.code("good_until_yesterday")] = at - 1
    expired = code == situations.LICENCE.code("expired")
    until[expired] = at - between(rng, 2, 900, int(expired.sum()))
    return until


# --- Vehicles -----------------------------------------------------------------------------------

#: By situation, each vehicle: its types, its statuses, days from the evaluation date to scrapping.
_VEHICLES: dict[str, tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[int, int]], ...]] = {
    "motorcycle": (((MOTORCYCLE,), ("正常", "逾期未检验"), (2, 3_000)),),
    "lorry": ((LORRIES, ("正常",), (2, 4_000)),),
    "car_deregistered": ((CARS, ("注销",), (2, 4_000)),),
    "car_deregistered_overdue": ((CARS, ("注销",), (-2_000, 0)),),
    "car_transferred": ((CARS, ("转出",), (-200, 4_000)),),
    "motorcycle_due_tomorrow": (((MOTORCYCLE,), ("正常",), (1, 1)),),
    "car": ((CARS, ("正常",), (2, 5_400)),),
    "car_not_inspected": ((CARS, ("逾期未检验",), (2, 5_400)),),
    "car_seized": ((CARS, ("查封",), (2, 5_400)),),
    "several_cars": (
        (CARS, ("正常",), (2, 5_400)),
        (CARS, ("正常", "注销"), (2, 5_400)),
        (CARS, ("正常",), (2, 5_400)),
    ),
    "car_overdue": ((CARS, ("正常", "逾期未检验"), (-2_000, -1)),),
    "motorcycle_due_today": (((MOTORCYCLE,), ("正常",), (0, 0)),),
    "motorcycle_overdue": (((MOTORCYCLE,), ("正常", "逾期未检验"), (-2_000, -1)),),
    "lorry_overdue": ((LORRIES, ("逾期未检验", "查封"), (-2_000, -1)),),
}
_TYPES, _STATUSES = CODES["vehicle", "vehicle_type"], CODES["vehicle", "status"]
_LIFE = 5_478  #: days from registration to scrapping; fifteen years, the longest term of 2006 for a private car
_SHARE_OF_BODIES_WITH_CARS = 0.3


def vehicle(city: City, rng: np.random.Generator) -> Written:
    parts = [
        _vehicles_of(rng, city.who(situations.VEHICLE, situation), *one)
        for situation, several in _VEHICLES.items()
        for one in several
    ]
    bodies = city.organisations[rng.random(city.organisations.size) < _SHARE_OF_BODIES_WITH_CARS]
    parts.append(_vehicles_of(rng, bodies, (*CARS, *LORRIES), ("正常",), (2, 5_400)))
    who, types, statuses, due = (np.concatenate(column) for column in zip(*parts, strict=True))
    due = due + day(city.world.at)
    columns = {
        "plate": numbers.plates(who.size),
        "owner_number": city.texts.take(pa.array(who)),
        "document_type": picked(numbers.DOCUMENTS, city.documents[who]),
        "vehicle_type": picked(_TYPES, types),
        "status": picked(_STATUSES, statuses),
        "registered_on": day_texts(np.minimum(due - _LIFE, day(city.world.at))),
        "scrap_due_on": day_texts(due),
    }
    return columns, who


def _vehicles_of(
    rng: np.random.Generator, who: Ints, types: tuple[str, ...], statuses: tuple[str, ...], due: tuple[int, int]
) -> tuple[Ints, Ints, Ints, Ints]:
    """One vehicle an owner: owners, types, statuses, days to scrapping."""
    type_codes = np.array([_TYPES.index(name) for name in types])
    status_codes = np.array([_STATUSES.index(name) for name in statuses])
    return (
        who,
        type_codes[between(rng, 0, len(types) - 1, who.size)],
        status_codes[between(rng, 0, len(statuses) - 1, who.size)],
        between(rng, *due, who.size),
    )


# --- Permits ------------------------------------------------------------------------------------


def residence_permit(city: City, rng: np.random.Generator) -> Written:
    columns, who = _permits(city, rng, situations.PERMIT)
    columns["permit_number"] = pa.compute.binary_join_element_wise(
        pa.scalar("JZ"), pa.array(who + 10**8).cast(pa.string()), ""
    )
    return columns, who


def work_residence_permit(city: City, rng: np.random.Generator) -> Written:
    columns, who = _permits(city, rng, situations.WORK_PERMIT)
    accompanying = city.code_of(situations.WORK_PERMIT, who) == situations.WORK_PERMIT.code("accompanying")
    columns["holder"] = picked(("本人", "随员"), accompanying.astype(np.int8))
    return columns, who


def _permits(city: City, rng: np.random.Generator, table: Table) -> Written:
    at = day(city.world.at)
    who = city.whoever(table, "none")
    code = city.code_of(table, who)
    start, end = at - between(rng, 1, 350, who.size), at + between(rng, 1, 700, who.size)
    start[code == table.code("from_today")] = at
    start[code == table.code("from_tomorrow")] = at + 1
    end[code == table.code("until_today")] = at
    end[code == table.code("until_yesterday")] = at - 1
    expired = code == table.code("expired")
    end[expired] = start[expired] - 1
    start[expired] -= 365
    columns = {
        "id_number": city.texts.take(pa.array(who)),
        "valid_from": day_texts(start),
        "valid_until": day_texts(np.maximum(end, start)),
        "status": picked(("有效", "注销"), (code == table.code("cancelled")).astype(np.int8)),
    }
    return columns, who


def exit_entry(city: City, rng: np.random.Generator) -> Written:
    at, table = city.world.at, situations.LODGING
    today, year_ago = day(at), day(at.replace(year=at.year - 1))
    who = city.whoever(table)
    code = city.code_of(table, who)
    until = today + between(rng, 1, 3_000, who.size)
    until[code == table.code("document_until_today")] = today
    until[code == table.code("document_until_yesterday")] = today - 1
    expired = code == table.code("document_expired")
    until[expired] = today - between(rng, 2, 700, int(expired.sum()))
    since = year_ago - between(rng, 1, 2_500, who.size)
    since[code == table.code("exactly_one_year")] = year_ago
    since[code == table.code("one_day_short")] = year_ago + 1
    new = code == table.code("newly_arrived")
    since[new] = year_ago + between(rng, 2, 360, int(new.sum()))
    columns = {
        "document_type": picked(numbers.DOCUMENTS, city.documents[who]),
        "document_number": city.texts.take(pa.array(who)),
        "name": city.names.take(pa.array(who)),
        "document_valid_until": day_texts(until),
        "lodging_since": day_texts(since),
    }
    return columns, who


# --- Social insurance ---------------------------------------------------------------------------

_PAID, _PAID_LATER = 0, 1
#: Spans of one situation: subjects, first months, last months, kind of payment.
Spans = tuple[Ints, Ints, Ints, int]


def social_insurance(city: City, rng: np.random.Generator) -> Written:
    spans = [span for situation, write in _SPANS.items() for span in write(city, rng, situation)]
    who, first, last = (np.concatenate([span[place] for span in spans]) for place in range(3))
    later = np.concatenate([np.full(span[0].size, span[3], np.int8) for span in spans])
    at = day(city.world.at)
    paid = np.minimum(last_day_of_month(last), at)
    # A back-payment comes a while after the months it is for, and before the evaluation date.
    paid = np.where(later == _PAID_LATER, np.minimum(paid + between(rng, 20, 200, who.size), at), paid)
    columns = {
        "id_number": city.texts.take(pa.array(who)),
        "month_from": month_texts(first),
        "month_to": month_texts(last),
        "paid_on": day_texts(paid),
        "kind": picked(("正常", "补缴"), later),
    }
    return columns, who


#: No register holds earlier months.
_FIRST_MONTH = 2004 * 12


def _insured(city: City, rng: np.random.Generator, situation: str) -> tuple[Ints, Ints, Ints]:
    """Subjects, and for each a span that covers the 60 months and perhaps more on both sides."""
    who = city.who(situations.INSURANCE, situation)
    first, last = city.world.months
    of_age = city.came_of_age(who) // 30 + 1970 * 12
    start = np.minimum(first, np.maximum(first - between(rng, 0, 60, who.size), np.maximum(of_age, _FIRST_MONTH)))
    # Some employers have paid for the month of the evaluation date already.
    return who, start, last + between(rng, 0, 1, who.size)


def _inside(city: City, rng: np.random.Generator, who: Ints, length: int) -> Ints:
    """First month of a stretch of `length` months with at least one of the 60 before it and one after."""
    first, last = city.world.months
    return between(rng, first + 1, last - length, who.size)


def _unbroken(city: City, rng: np.random.Generator, situation: str) -> list[Spans]:
    who, start, end = _insured(city, rng, situation)
    return [(who, start, end, _PAID)]


def _exactly(city: City, rng: np.random.Generator, situation: str) -> list[Spans]:
    who, start, end = _insured(city, rng, situation)
    first, last = city.world.months
    short = int(situation == "only_59_months")
    return [(who, np.full_like(start, first + short), np.full_like(end, last), _PAID)]


def _employers(city: City, rng: np.random.Generator, situation: str) -> list[Spans]:
    who, start, end = _insured(city, rng, situation)
    change = _inside(city, rng, who, 12)
    more = np.minimum(change + between(rng, 3, 11, who.size), end - 1)
    return [
        (who, start, change - 1, _PAID),
        (who, change, more, _PAID),
        (who, more + 1, end, _PAID),
    ]


def _healed(city: City, rng: np.random.Generator, situation: str) -> list[Spans]:
    who, start, end = _insured(city, rng, situation)
    gap, back = _inside(city, rng, who, 6), between(rng, 0, 5, who.size)
    return [
        (who, start, gap - 1, _PAID),
        (who, gap, gap + back, _PAID_LATER),
        (who, gap + back + 1, end, _PAID),
    ]


def _overlapping(city: City, rng: np.random.Generator, situation: str) -> list[Spans]:
    who, start, end = _insured(city, rng, situation)
    change = _inside(city, rng, who, 4)
    return [(who, start, change + 3, _PAID), (who, change, end, _PAID)]


def _broken(city: City, rng: np.random.Generator, situation: str) -> list[Spans]:
    who, start, end = _insured(city, rng, situation)
    gap, length = _inside(city, rng, who, 8), between(rng, 1, 8, who.size)
    return [(who, start, gap - 1, _PAID), (who, gap + length, end, _PAID)]


def _stopped(city: City, rng: np.random.Generator, situation: str) -> list[Spans]:
    who, start, _ = _insured(city, rng, situation)
    _, last = city.world.months
    ago = np.ones_like(start) if situation == "last_month_missing" else between(rng, 2, 40, who.size)
    return [(who, start, last - ago, _PAID)]


_SPANS = {
    "unbroken": _unbroken,
    "exactly_60_months": _exactly,
    "several_employers": _employers,
    "gap_healed": _healed,
    "overlapping": _overlapping,
    "only_59_months": _exactly,
    "gap": _broken,
    "last_month_missing": _stopped,
    "stopped": _stopped,
}
