"""Records of income tax: what each person paid for which year, and on which day it reached the treasury.

The rule counts the year in which money reached the treasury. The situations differ only in a few
payments, so everybody starts from an ordinary history, which is then bent.
"""

import numpy as np
import pyarrow as pa

from tongban.demo import situations
from tongban.demo.columns import Ints, between, day_texts, first_day_of_year, whole_texts
from tongban.demo.people import City
from tongban.demo.person_records import Written

#: Payments: subjects, tax years, days, amounts in fen.
Payments = tuple[Ints, Ints, Ints, Ints]

_MOST = 3_000_000  #: fen a year


def income_tax(city: City, rng: np.random.Generator) -> Written:
    parts = [part for bent in _BENT for part in bent(city, rng)]
    who, years, days, amounts = (np.concatenate([part[place] for part in parts]) for place in range(4))
    columns = {
        "id_number": city.texts.take(pa.array(who)),
        "tax_year": whole_texts(years),
        "amount": whole_texts(amounts),
        "treasury_date": day_texts(days),
    }
    return columns, who


def _paid(rng: np.random.Generator, who: Ints, years: Ints, days: Ints) -> Payments:
    return who, years, days, between(rng, 100, _MOST, who.size)


def _in_year(rng: np.random.Generator, who: Ints, years: Ints) -> Payments:
    """One payment a subject, on some day of the same year."""
    return _paid(rng, who, years, first_day_of_year(years) + between(rng, 1, 363, who.size))


def _on(rng: np.random.Generator, who: Ints, tax_year: int, day_number: int) -> Payments:
    return _paid(rng, who, np.full(who.size, tax_year), np.full(who.size, day_number))


def _in(rng: np.random.Generator, who: Ints, year: int) -> Payments:
    return _in_year(rng, who, np.full(who.size, year))


def _first_day(year: int) -> int:
    return int(first_day_of_year(np.array([year]))[0])


def _every_year(city: City, rng: np.random.Generator) -> list[Payments]:
    """Those with an ordinary history, some with more payments a year or years before."""
    who = city.who(situations.TAX, "every_year")
    parts = [_in(rng, who, year) for year in city.world.years]
    parts.append(_in(rng, who[rng.random(who.size) < 0.3], city.world.years[-1]))
    parts.append(_in(rng, who[rng.random(who.size) < 0.5], city.world.years[0] - 1))
    return parts


def _but_one_year(city: City, rng: np.random.Generator) -> list[Payments]:
    """A year without payment; some paid for it, but too late to reach the treasury in it."""
    parts: list[Payments] = []
    first, last = city.world.years[0], city.world.years[-1]
    for situation in ("year_missing", "year_paid_later", "last_year_missing", "last_year_paid_later"):
        who = city.who(situations.TAX, situation)
        is_last = situation.startswith("last")
        missing = np.full(who.size, last) if is_last else between(rng, first, last - 1, who.size)
        parts.extend(_in(rng, who[missing != year], year) for year in city.world.years)
        if situation.endswith("later"):
            # By the end of May of the next year at the latest, which is before every evaluation date.
            days = first_day_of_year(missing + 1) + between(rng, 10, 140, who.size)
            parts.append(_paid(rng, who, missing, days))
    return parts


def _refunded(city: City, rng: np.random.Generator) -> list[Payments]:
    """In one year all that was paid is paid back: the year's sum is 0, and 0 is not tax paid."""
    who = city.who(situations.TAX, "year_refunded")
    refunded = between(rng, city.world.years[0], city.world.years[-1] - 1, who.size)
    parts = [_in(rng, who, year) for year in city.world.years]
    amounts = np.zeros(who.size, np.int64)
    for year, part in zip(city.world.years, parts, strict=True):
        amounts = np.where(refunded == year, part[3], amounts)
    parts.append((who, refunded, first_day_of_year(refunded) + 364, -amounts))
    return parts


def _at_the_edges(city: City, rng: np.random.Generator) -> list[Payments]:
    """The first and the last day of the five years, the day before them, and the least amount."""
    first, last = city.world.years[0], city.world.years[-1]
    edges = city.who(situations.TAX, "only_first_and_last_day")
    early = city.who(situations.TAX, "first_year_a_day_early")
    january = city.who(situations.TAX, "december_paid_in_january")
    fen = city.who(situations.TAX, "one_fen")
    least = _in(rng, fen, first)
    return [
        *(_in(rng, np.concatenate([edges, early, january, fen]), year) for year in range(first + 1, last)),
        _on(rng, edges, first, _first_day(first)),
        _on(rng, edges, last, _first_day(last + 1) - 1),
        _on(rng, early, first, _first_day(first) - 1),
        _on(rng, january, first - 1, _first_day(first) + 14),
        (least[0], least[1], least[2], np.ones_like(least[3])),
        _in(rng, np.concatenate([early, january, fen]), last),
    ]


_BENT = (_every_year, _but_one_year, _refunded, _at_the_edges)
