"""Records about enterprises and social bodies, written from what is true of them."""

from datetime import date

import numpy as np
import pyarrow as pa

from tongban.demo import situations
from tongban.demo.columns import Ints, between, day, day_texts, first_day_of_year, picked, whole_texts
from tongban.demo.people import City, divisions
from tongban.demo.person_records import Written
from tongban.demo.situations import Table

#: Situations of a business licence and what then stands as its status.
_ENDED = (("revoked", "吊销"), ("cancelled", "注销"), ("moved_away", "迁出"))

#: Years before the evaluation date in which bodies were founded, at most.
_OLDEST = 20


def business_licence(city: City, rng: np.random.Generator) -> Written:
    table = situations.BUSINESS
    who = city.whoever(table, "not_held")
    code = city.code_of(table, who)
    inside, outside = divisions(city.world.at)
    division = between(rng, 0, len(inside) - 1, who.size)
    away = code == table.code("of_another_city")
    division[away] = len(inside) + between(rng, 0, len(outside) - 1, int(away.sum()))
    columns = {
        "organisation_code": city.texts.take(pa.array(who)),
        "licence_number": whole_texts(110_000_000_000_000 + who * 7919 % 10**9),
        "name": city.names.take(pa.array(who)),
        "status": _status(table, who, city, *_ENDED, usual="存续"),
        "registered_division": picked((*inside, *outside), division),
        "registered_on": day_texts(_founded(city, rng, who)),
    }
    return columns, who


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
        "organisation_code": city.texts.take(pa.array(who)),
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


# --- Value added tax ----------------------------------------------------------------------------

ENOUGH = 5_000_000  #: fen; the situations stand on both sides of it

_NEW = ("new_and_enough", "new_on_first_day_exactly_enough", "new_and_one_fen_short")


def taxpayer(city: City, rng: np.random.Generator) -> Written:
    table = situations.VAT
    who = city.whoever(table, "not_held")
    code = city.code_of(table, who)
    this_year = day(date(city.world.at.year, 1, 1))
    registered = _founded(city, rng, who)
    new = np.isin(code, [table.code(name) for name in _NEW])
    registered[new] = this_year + between(rng, 1, 60, int(new.sum()))
    registered[code == table.code("new_on_first_day_exactly_enough")] = this_year
    registered[code == table.code("a_day_too_old_to_be_new")] = this_year - 1
    columns = {
        "organisation_code": city.texts.take(pa.array(who)),
        "name": city.names.take(pa.array(who)),
        "registered_on": day_texts(registered),
        "state": _status(table, who, city, ("not_in_normal_state", "非正常"), ("deregistered", "注销"), usual="正常"),
    }
    return columns, who


def vat(city: City, rng: np.random.Generator) -> Written:
    """Several payments a year that add up to what the situation says."""
    this, before = city.world.at.year, city.world.at.year - 1
    table = situations.VAT
    ample = city.who(table, "enough", "not_in_normal_state", "deregistered")
    parts = [
        _paid_in(rng, ample, before, between(rng, ENOUGH, 40 * ENOUGH, ample.size)),
        _paid_in(rng, ample, this, between(rng, 100_000, 10 * ENOUGH, ample.size)),
        _exactly_in(rng, city.who(table, "exactly_enough"), before, ENOUGH),
        _exactly_in(rng, city.who(table, "one_fen_short"), before, ENOUGH - 1),
        _below(rng, city.who(table, "low"), before),
        _exactly_in(rng, city.who(table, "new_and_one_fen_short"), this, ENOUGH - 1),
        _exactly_in(rng, city.who(table, "new_on_first_day_exactly_enough"), this, ENOUGH),
        _exactly_in(rng, city.who(table, "new_and_enough"), this, 2 * ENOUGH),
        _exactly_in(rng, city.who(table, "a_day_too_old_to_be_new"), this, 3 * ENOUGH),
        _exactly_in(rng, city.who(table, "paid_the_year_before_only"), before - 1, 3 * ENOUGH),
    ]
    who, days, amounts = (np.concatenate([part[place] for part in parts]) for place in range(3))
    columns = {
        "organisation_code": city.texts.take(pa.array(who)),
        "amount": whole_texts(amounts),
        "treasury_date": day_texts(days),
    }
    return columns, who


def _below(rng: np.random.Generator, who: Ints, year: int) -> tuple[Ints, Ints, Ints]:
    return _paid_in(rng, who, year, between(rng, 1_000, ENOUGH - 2, who.size))


def _exactly_in(rng: np.random.Generator, who: Ints, year: int, total: int) -> tuple[Ints, Ints, Ints]:
    return _paid_in(rng, who, year, np.full(who.size, total))


def _paid_in(rng: np.random.Generator, who: Ints, year: int, totals: Ints) -> tuple[Ints, Ints, Ints]:
    """Two payments a body, on days before June so that they lie before the evaluation date in its own year too."""
    january = int(first_day_of_year(np.array([year]))[0])
    first = totals * between(rng, 20, 80, who.size) // 100
    days = january + between(rng, 60, 150, 2 * who.size)
    return np.concatenate([who, who]), days, np.concatenate([first, totals - first])
