"""Workload `six`: six registers and an application list of a generated city, the same bytes for the same seed and size.

    PLACE/registers/<register>.parquet      rows as offices keep them: doubles, gaps, numbers oddly typed
    PLACE/applicants.parquet                the application list as it was typed

Numbers lie on divisions that were never assigned; the shares of dirt are those of the measured prototype: 1.7 % of
numbers oddly typed, 1.2 % of names, 0.2 to 1 % of values missing, and 1 in 5,000 numbers beyond repair.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tongban.demo import names, numbers
from tongban.demo.columns import constant, day_texts, digits_of, fixed_texts, month_texts, picked, whole_texts

Ints = npt.NDArray[np.int64]
AT = "2026-06-01"  #: evaluation date of the workload's rounds
AS_OF = "2026-06-02"  #: day the registers stand for
_AT_DAY = int(np.datetime64(AT).astype(np.int64))
_AT_MONTH = 2026 * 12 + 5
_AT_YEAR = 2026


@dataclass(frozen=True, slots=True)
class Size:
    people: int
    applicants: int


SIZES = {
    "hamlet": Size(20_000, 3_000),
    "small": Size(220_000, 30_000),
    "city": Size(2_200_000, 300_000),
    "metropolis": Size(22_000_000, 3_000_000),
}
#: Version of what this file writes: another one makes the registers anew.
VERSION = 1


def say(text: str) -> None:
    """Progress, for whoever waits; figures go elsewhere."""
    print(text, file=sys.stderr, flush=True)


def made(place: Path, size: str, seed: int) -> dict[str, Any]:
    """Make the workload unless it is there; what is there, with the seconds that making it took."""
    about = place / "six.json"
    if about.exists():
        held: dict[str, Any] = json.loads(about.read_text())
        if (held["size"], held["seed"], held["version"]) == (size, seed, VERSION):
            return held
    (place / "registers").mkdir(parents=True, exist_ok=True)
    began, cpu = time.perf_counter(), time.process_time()
    rows = {}
    people = _people(np.random.default_rng([seed, 0]), SIZES[size].people)
    for n, (register, make) in enumerate(_REGISTERS.items(), 1):
        at = time.perf_counter()
        table = make(np.random.default_rng([seed, n]), people)
        pq.write_table(table, place / "registers" / f"{register}.parquet", compression="zstd")
        rows[register] = table.num_rows
        say(f"  {register:<10} {table.num_rows:>12,} rows  {time.perf_counter() - at:6.1f} s")
    at = time.perf_counter()
    listed = _applicants(np.random.default_rng([seed, 99]), people, SIZES[size].applicants)
    pq.write_table(listed, place / "applicants.parquet", compression="zstd")
    say(f"  applicants {listed.num_rows:>12,} rows  {time.perf_counter() - at:6.1f} s")
    took = {"seconds": round(time.perf_counter() - began, 1), "cpu": round(time.process_time() - cpu, 1)}
    found = {"size": size, "seed": seed, "version": VERSION, "rows": rows, "applicants": listed.num_rows, **took}
    about.write_text(json.dumps(found))
    return found


def many(place: Path, size: str, seed: int) -> Path:
    """A list of ten applications for every three of the size's own, over the same registers; made once."""
    found, about = place / "many.parquet", place / "many.json"
    wanted = {"size": size, "seed": seed, "version": VERSION}
    if found.exists() and about.exists() and json.loads(about.read_text()) == wanted:
        return found
    at = time.perf_counter()
    people = _people(np.random.default_rng([seed, 0]), SIZES[size].people)
    listed = _applicants(np.random.default_rng([seed, 98]), people, SIZES[size].applicants * 10 // 3)
    pq.write_table(listed, found, compression="zstd")
    about.write_text(json.dumps(wanted))
    say(f"  many       {listed.num_rows:>12,} rows  {time.perf_counter() - at:6.1f} s")
    return found


# --- people ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class People:
    keys: Ints  #: citizen numbers without check character, in no order
    names: Any


def _people(rng: np.random.Generator, count: int) -> People:
    prefixes = rng.choice(np.array((*numbers.PREFIXES_HERE, *numbers.PREFIXES_ELSEWHERE)), count)
    low, high = (int(np.datetime64(day).astype(np.int64)) for day in ("1945-01-01", "2007-12-31"))
    keys = numbers.allot(rng, prefixes, rng.integers(low, high + 1, count))
    return People(keys, names.citizens(rng, numbers.is_male(keys)))


def _missing(rng: np.random.Generator, texts: Any, share: float) -> Any:
    gone = pa.array(rng.random(len(texts)) < share)
    return pc.if_else(gone, pa.scalar(None, pa.string()), texts)


def _typed_numbers(rng: np.random.Generator, keys: Ints, lost: float = 0.0002) -> Any:
    """Numbers as clerks type them: padded, in the old form, with a small x; `lost`: share that nothing repairs."""
    texts = numbers.citizen_texts(keys)
    drawn = rng.random(len(keys))
    rows = np.flatnonzero(drawn < 0.017 + lost)
    odd = [
        _oddly(text, one, lost) for text, one in zip(texts.take(pa.array(rows)).to_pylist(), drawn[rows], strict=True)
    ]
    mask = np.zeros(len(keys), np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(odd, pa.string()))


def _oddly(text: str, drawn: float, lost: float) -> str:
    if drawn < lost:
        return text[:17] + ("0" if text[17] != "0" else "1")
    if drawn < lost + 0.006 and (old := numbers.old_form(text)):
        return old
    if text.endswith("X"):
        return text[:17] + "x"
    return f"{text}  " if drawn < lost + 0.012 else f" {text}"


def _typed_names(rng: np.random.Generator, known: Any, wrong: float) -> Any:
    """Names as people type them: an inner or wide space heals; `wrong`: share with another character."""
    drawn = rng.random(len(known))
    rows = np.flatnonzero(drawn < 0.012 + wrong)
    odd = []
    for text, one in zip(known.take(pa.array(rows)).to_pylist(), drawn[rows], strict=True):
        gap = "\u3000" if one < wrong + 0.006 else " "
        odd.append(f"{text[:-1]}某" if one < wrong else f"{text[:1]}{gap}{text[1:]}")
    mask = np.zeros(len(known), np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(known, pa.array(mask), pa.array(odd, pa.string()))


def _coded(rng: np.random.Generator, words: list[str], shares: list[float], rows: int) -> Any:
    return picked(words, np.searchsorted(np.cumsum(shares), rng.random(rows) * (sum(shares) - 1e-9)))


def _some(rng: np.random.Generator, people: People, share: float) -> Ints:
    """Rows of a share of the people, ascending."""
    return np.flatnonzero(rng.random(len(people.keys)) < share)


# --- registers ------------------------------------------------------------------------------------


def _population(rng: np.random.Generator, people: People) -> Any:
    count = len(people.keys)
    regions = _coded(rng, ["11", "13", "37", "41", "34"], [0.63, 0.15, 0.1, 0.07, 0.05], count)
    until = day_texts(_AT_DAY + rng.integers(-120, 700, count))
    return pa.table(
        {
            "id_number": _typed_numbers(rng, people.keys),
            "name": _missing(rng, _typed_names(rng, people.names, 0.0), 0.002),
            "region": _missing(rng, regions, 0.005),
            "permit_until": _missing(rng, until, 0.01),
            "status": _missing(rng, _coded(rng, ["正常", "死亡", "注销"], [0.975, 0.02, 0.005], count), 0.003),
        }
    )


def _licence(rng: np.random.Generator, people: People) -> Any:
    rows = _some(rng, people, 0.4474)
    rows = rng.permutation(np.concatenate([rows, rng.choice(rows, len(rows) // 50)]))
    classes = _coded(rng, ["C1", "C2", "B2", "A2", "D", "E"], [0.62, 0.12, 0.08, 0.05, 0.08, 0.05], len(rows))
    return pa.table(
        {
            "id_number": _typed_numbers(rng, people.keys[rows]),
            "licence_class": _missing(rng, classes, 0.004),
            "status": _missing(rng, _coded(rng, ["正常", "暂扣", "注销"], [0.955, 0.01, 0.035], len(rows)), 0.002),
            "valid_until": _missing(rng, day_texts(_AT_DAY + rng.integers(-200, 3_600, len(rows))), 0.01),
        }
    )


def _social(rng: np.random.Generator, people: People) -> Any:
    """Spans of paid months; every tenth payer has two with a gap between them."""
    rows = _some(rng, people, 0.8265)
    twice = rng.choice(rows, len(rows) // 10, replace=False)
    first = _AT_MONTH - rng.integers(20, 118, len(rows))
    last = np.where(rng.random(len(rows)) < 0.85, _AT_MONTH - 1, _AT_MONTH - rng.integers(2, 19, len(rows)))
    early = _AT_MONTH - rng.integers(125, 160, len(twice))
    months = (np.concatenate([first, early]), np.concatenate([last, early + 4]))
    order = rng.permutation(len(months[0]))
    return pa.table(
        {
            "id_number": _typed_numbers(rng, people.keys[np.concatenate([rows, twice])[order]]),
            "month_from": _missing(rng, month_texts(months[0][order]), 0.002),
            "month_to": _missing(rng, month_texts(months[1][order]), 0.002),
        }
    )


def _tax(rng: np.random.Generator, people: People) -> Any:
    """One row a person and year, most of them for five years."""
    rows = _some(rng, people, 0.1)
    years = np.tile(np.arange(_AT_YEAR - 5, _AT_YEAR), len(rows))
    owners = np.repeat(rows, 5)
    paid = (rng.random(len(owners)) < 0.9) | (rng.random(len(rows)) < 0.6).repeat(5)
    owners, years = owners[paid], years[paid]
    order = rng.permutation(len(owners))
    starts = (years[order] - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    return pa.table(
        {
            "id_number": _typed_numbers(rng, people.keys[owners[order]]),
            "amount": whole_texts(rng.integers(1_000, 5_000_000, len(order))),
            "treasury_date": day_texts(starts + rng.integers(0, 365, len(order))),
        }
    )


def _vehicle(rng: np.random.Generator, people: People) -> Any:
    """Six cars on 5.2 owners: few have many."""
    owners = _some(rng, people, 0.2364)
    more = owners[(len(owners) * rng.random(int(len(owners) * 0.154)) ** 3).astype(np.int64)]
    rows = rng.permutation(np.concatenate([owners, more]))
    kinds = _coded(rng, ["小型轿车", "小型普通客车", "轻型货车", "摩托车"], [0.7, 0.12, 0.06, 0.12], len(rows))
    return pa.table(
        {
            "id_number": _typed_numbers(rng, people.keys[rows]),
            "kind": _missing(rng, kinds, 0.002),
            "status": _missing(rng, _coded(rng, ["正常", "查封", "注销"], [0.9, 0.01, 0.09], len(rows)), 0.003),
        }
    )


def _business(rng: np.random.Generator, people: People) -> Any:
    """Businesses by the number of whoever represents them."""
    owners = _some(rng, people, 0.082)
    more = owners[(len(owners) * rng.random(int(len(owners) * 0.11)) ** 3).astype(np.int64)]
    rows = rng.permutation(np.concatenate([owners, more]))
    states = _coded(rng, ["存续", "吊销", "注销"], [0.8, 0.06, 0.14], len(rows))
    return pa.table({"id_number": _typed_numbers(rng, people.keys[rows]), "status": _missing(rng, states, 0.003)})


_REGISTERS: dict[str, Callable[[np.random.Generator, People], Any]] = {
    "population": _population,
    "licence": _licence,
    "social": _social,
    "tax": _tax,
    "vehicle": _vehicle,
    "business": _business,
}


# --- the application list -------------------------------------------------------------------------


def _applicants(rng: np.random.Generator, people: People, count: int) -> Any:
    """One line an application: a thousandth apply twice, a hundredth are in no register, some mistype."""
    strangers = count // 100
    rows = rng.choice(len(people.keys), count - strangers, replace=False)
    rows = np.concatenate([rows, rng.choice(rows, count // 1000)])
    unknown = _people(rng, strangers)
    keys = np.concatenate([people.keys[rows], unknown.keys])
    known = pa.concat_arrays([*_chunks(people.names.take(pa.array(rows))), *_chunks(unknown.names)])
    order = rng.permutation(len(keys))
    keys, known = keys[order], known.take(pa.array(order))
    codes = np.sort(rng.choice(10**9, len(keys), replace=False)) + 1_000_000_000_000
    return pa.table(
        {
            "application": fixed_texts(digits_of(rng.permutation(codes), 13) + np.uint8(ord("0"))),
            "kind": constant("resident", len(keys)),
            "submitted_on": day_texts(_AT_DAY - rng.integers(0, 30, len(keys))),
            "name": _missing(rng, _typed_names(rng, known, 0.003), 0.0005),
            "document_type": constant("身份证", len(keys)),
            "document_number": _typed_numbers(rng, keys, lost=0.002),
            "handler_name": pa.nulls(len(keys), pa.string()),
            "handler_number": pa.nulls(len(keys), pa.string()),
            "failed_draws": pa.array(rng.integers(0, 40, len(keys)).astype(np.int32)),
        }
    )


def _chunks(column: Any) -> list[Any]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]
