"""Records about enterprises and social bodies, written from what is true of them."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tongban.demo import situations
from tongban.demo.columns import Ints, between, day, day_texts, first_day_of_year, picked, whole_texts
from tongban.demo.people import City, divisions
from tongban.demo.person_records import Written
from tongban.demo.registers import INVESTORS, OTHER_INDUSTRIES
from tongban.demo.situations import Table

#: Situations of a business licence and what then stands as its status.
_ENDED = (("revoked", "吊销"), ("cancelled", "注销"), ("moved_away", "迁出"))

#: Years before the evaluation date in which bodies were founded, at most.
_OLDEST = 20


def business_licence(city: City, rng: np.random.Generator) -> Written:
    columns, who = _registration(city, rng)
    licences = whole_texts(110_000_000_000_000 + who * 7919 % 10**9)
    return {"organisation_code": columns.pop("number"), "licence_number": licences, **columns}, who


def credit_code(city: City, rng: np.random.Generator) -> Written:
    """The register that took the place of three: the same businesses, most of them under their new number."""
    columns, who = _registration(city, rng)
    return {"credit_code": columns.pop("number"), **columns}, who


def _registration(city: City, rng: np.random.Generator) -> Written:
    table = situations.BUSINESS
    who = city.whoever(table, "not_held")
    code = city.code_of(table, who)
    inside, outside = divisions(city.world.at)
    division = between(rng, 0, len(inside) - 1, who.size)
    away = code == table.code("of_another_city")
    division[away] = len(inside) + between(rng, 0, len(outside) - 1, int(away.sum()))
    columns = {
        "number": _number(city, rng, who),
        "name": city.names.take(pa.array(who)),
        "status": _status(table, who, city, *_ENDED, usual="存续"),
        "registered_division": picked((*inside, *outside), division),
        "registered_on": day_texts(_founded(city, rng, who)),
    }
    return columns, who


def _number(city: City, rng: np.random.Generator, who: Ints) -> pa.Array:
    """The body's number as the office has it: some have not taken over the new one yet."""
    texts = city.texts.take(pa.array(who))
    if not city.world.one_certificate:
        return texts
    behind = rng.random(who.size) < (0.3 if city.world.old_codes else 0.05)
    old = city.organisation_codes.take(pa.array(who - city.organisations[0]))
    return pc.if_else(pa.array(behind), old, texts)


def organisation_code(city: City, rng: np.random.Generator) -> Written:
    table = situations.CODE
    who = city.whoever(table, "not_held")
    columns = {
        "organisation_code": city.texts.take(pa.array(who)),
        "name": city.names.take(pa.array(who)),
        "status": _status(table, who, city, ("cancelled", "注销"), usual="有效"),
        "valid_until": day_texts(_until(city, rng, table, who)),
    }
    return columns, who


def social_body(city: City, rng: np.random.Generator) -> Written:
    table = situations.BODY
    who = city.whoever(table, "not_held")
    columns = {
        "organisation_code": _number(city, rng, who),
        "name": city.names.take(pa.array(who)),
        "body_kind": picked(("社会团体", "基金会", "民办非企业单位"), between(rng, 0, 2, who.size)),
        "status": _status(table, who, city, ("cancelled", "注销"), ("revoked", "撤销"), usual="正常"),
        "valid_until": day_texts(_until(city, rng, table, who)),
    }
    return columns, who


def _status(table: Table, who: Ints, city: City, *unusual: tuple[str, str], usual: str) -> pa.Array:
    """A status for each situation named; the usual one for all others."""
    names = {situation: number for number, (situation, _) in enumerate(unusual, start=1)}
    index = np.array([names.get(situation.name, 0) for situation in table.situations], np.int8)
    return picked((usual, *(status for _, status in unusual)), index[city.code_of(table, who)])


def _until(city: City, rng: np.random.Generator, table: Table, who: Ints) -> Ints:
    at, code = day(city.world.at), city.code_of(table, who)
    until = at + between(rng, 1, 1_400, who.size)
    until[code == table.code("until_today")] = at
    until[code == table.code("until_yesterday")] = at - 1
    expired = code == table.code("expired")
    until[expired] = at - between(rng, 2, 900, int(expired.sum()))
    return until


def _founded(city: City, rng: np.random.Generator, who: Ints) -> Ints:
    """Some day before the year that the tax rule calls new."""
    this_year = day(date(city.world.at.year, 1, 1))
    return this_year - between(rng, 366, _OLDEST * 365, who.size)


# --- Tax and investment -------------------------------------------------------------------------

#: Fen for the first code of a year, and for each further one; the situations stand on both sides of every step.
ENOUGH, FURTHER = 5_000_000, 50_000_000
INVESTED, INVESTED_FURTHER = 1_000_000_000, 2_000_000_000
_FAR_BEYOND = 100  #: steps

_NEW = ("new_and_enough", "new_on_first_day_exactly_enough", "new_and_one_fen_short")


def taxpayer(city: City, rng: np.random.Generator) -> Written:
    table = city.vat
    who = city.whoever(table, "not_held")
    code = city.code_of(table, who)
    this_year = day(date(city.world.at.year, 1, 1))
    registered = _founded(city, rng, who)
    new = np.isin(code, [table.code(name) for name in _NEW])
    registered[new] = this_year + between(rng, 1, 60, int(new.sum()))
    registered[code == table.code("new_on_first_day_exactly_enough")] = this_year
    registered[code == table.code("a_day_too_old_to_be_new")] = this_year - 1
    columns = {
        "organisation_code": _number(city, rng, who),
        "name": city.names.take(pa.array(who)),
        "registered_on": day_texts(registered),
        "state": _status(table, who, city, ("not_in_normal_state", "非正常"), ("deregistered", "注销"), usual="正常"),
    }
    if city.world.investment_counts:
        columns["industry"] = _industry(city, rng, who)
    return columns, who


def _industry(city: City, rng: np.random.Generator, who: Ints) -> pa.Array:
    table = situations.INVESTMENT
    index = between(rng, 0, len(INVESTORS) - 1, who.size)
    other = city.code_of(table, who) == table.code("other_industry")
    index[other] = len(INVESTORS) + between(rng, 0, len(OTHER_INDUSTRIES) - 1, int(other.sum()))
    return picked((*INVESTORS, *OTHER_INDUSTRIES), index)


def vat(city: City, rng: np.random.Generator) -> Written:
    """Several payments a year that add up to what the situation says of the code that is applied for."""
    this, before = city.world.at.year, city.world.at.year - 1
    table = city.vat

    def step(*names: str, margin: int = 0) -> tuple[Ints, Ints]:
        who = city.who(table, *names)
        return who, _step(city, who, ENOUGH, FURTHER) + margin

    far = _FAR_BEYOND * FURTHER
    beyond = [name for name in _BEYOND if name in {one.name for one in table.situations}]
    ample, least = step("enough", "not_in_normal_state", "deregistered", *beyond)
    parts = [
        _paid_in(
            rng, ample, before, least + between(rng, 0, 40 * ENOUGH, ample.size) + _extra(city, ample, beyond, far)
        ),
        _paid_in(rng, ample, this, between(rng, 100_000, 10 * ENOUGH, ample.size)),
        _paid_in(rng, *_in_year(step("exactly_enough"), before)),
        _paid_in(rng, *_in_year(step("one_fen_short", margin=-1), before)),
        _below(rng, *step("low"), before),
        _paid_in(rng, *_in_year(step("new_and_one_fen_short", margin=-1), this)),
        _paid_in(rng, *_in_year(step("new_on_first_day_exactly_enough"), this)),
        _paid_in(rng, *_in_year(step("new_and_enough", margin=ENOUGH), this)),
        _paid_in(rng, *_in_year(step("a_day_too_old_to_be_new", margin=2 * ENOUGH), this)),
        _paid_in(rng, *_in_year(step("paid_the_year_before_only", margin=2 * ENOUGH), before - 1)),
    ]
    return _sums(city, rng, parts, "treasury_date")


_BEYOND = ("more_codes_than_allowed", "more_ordinary_codes_than_allowed")


def fixed_investment(city: City, rng: np.random.Generator) -> Written:
    """Investment of the year before, the code that is applied for on either side of it."""
    before, table = city.world.at.year - 1, situations.INVESTMENT
    known = city.whoever(city.vat, "not_held")
    parts = []
    for name, margin in (("enough", INVESTED), ("exactly_enough", 0), ("one_fen_short", -1), ("other_industry", 0)):
        who = np.intersect1d(city.who(table, name), known)
        parts.append(_paid_in(rng, who, before, _step(city, who, INVESTED, INVESTED_FURTHER) + margin))
    return _sums(city, rng, parts, "invested_on")


def _step(city: City, who: Ints, first: int, further: int) -> Ints:
    """Fen that each body needs for the code that it applies for."""
    numbers: Ints = first + (city.code_numbers[who - city.organisations[0]] - 1) * further
    return numbers


def _extra(city: City, who: Ints, names: list[str], fen: int) -> Ints:
    """Much more for those of whom no amount is enough."""
    return np.where(np.isin(who, city.who(city.vat, *names)), fen, 0)


def _in_year(step: tuple[Ints, Ints], year: int) -> tuple[Ints, int, Ints]:
    who, totals = step
    return who, year, totals


def _below(rng: np.random.Generator, who: Ints, least: Ints, year: int) -> tuple[Ints, Ints, Ints]:
    return _paid_in(rng, who, year, rng.integers(1_000, least - 1))


def _paid_in(rng: np.random.Generator, who: Ints, year: int, totals: Ints) -> tuple[Ints, Ints, Ints]:
    """Two payments a body, on days before June so that they lie before the evaluation date in its own year too."""
    january = int(first_day_of_year(np.array([year]))[0])
    first = totals * between(rng, 20, 80, who.size) // 100
    days = january + between(rng, 60, 150, 2 * who.size)
    return np.concatenate([who, who]), days, np.concatenate([first, totals - first])


def _sums(city: City, rng: np.random.Generator, parts: list[tuple[Ints, Ints, Ints]], dated: str) -> Written:
    who, days, amounts = (np.concatenate([part[place] for part in parts]) for place in range(3))
    columns = {
        "organisation_code": _number(city, rng, who),
        "amount": whole_texts(amounts),
        dated: day_texts(days),
    }
    return columns, who
