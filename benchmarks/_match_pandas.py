"""The same comparison as `./tongban bench match`'s baseline, by pandas merges; beside the figures, no part of a bar.

Runs in an environment of its own that holds pandas and pyarrow, and nothing of ours: one line of JSON in with the
list, the six fact files and the words for verdicts and reasons; one line out.
"""

import json
import os
import resource
import sys
import time
from datetime import date
from pathlib import Path

import pandas as pd

AT = date(2026, 6, 1)
MET, NOT_MET, UNKNOWN = 1, 0, 2
_SIXTY = (1 << 59) - 1


def _population(facts, reasons):
    resident = facts["region"].eq("11") | facts["permit_until"].ge(AT)
    code = pd.Series(reasons["not_resident"], facts.index).mask(_so(facts["status"].eq("死亡")), reasons["deceased"])
    return facts["status"].eq("正常") & resident, code


def _licence(facts, reasons):
    fit = facts["licence_class"].isin(["A2", "B2", "C1", "C2"]).astype("boolean[pyarrow]")
    met = facts["status"].eq("正常") & fit.mask(facts["licence_class"].isna()) & facts["valid_until"].ge(AT)
    code = pd.Series(reasons["licence_class"], facts.index)
    code = code.mask(_so(facts["valid_until"].lt(AT)), reasons["licence_expired"])
    return met, code.mask(_so(facts["status"].ne("正常")), reasons["licence_status"])


def _social(facts, reasons):
    low, high = (facts[name].fillna(0).to_numpy("int64") for name in ("paid_low", "paid_high"))
    met = ((low >> 59) & 1 == 1) & (high & _SIXTY == _SIXTY)
    code = pd.Series(reasons["interrupted"], facts.index).mask((high >> 58) & 1 == 0, reasons["not_current"])
    return _known(met, facts["paid_low"]), code


def _tax(facts, reasons):
    years = facts["years"].fillna(0).to_numpy("int64")
    code = pd.Series(reasons["year_missing"], facts.index).mask((years >> 25) & 1 == 0, reasons["last_year_missing"])
    return _known(years & 65011712 == 65011712, facts["years"]), code


def _vehicle(facts, reasons):
    return facts["cars"].eq(0), pd.Series(reasons["has_vehicle"], facts.index)


def _business(facts, reasons):
    return facts["revoked"].eq(0), pd.Series(reasons["licence_revoked"], facts.index)


def _so(condition):
    """True where it is known to hold: `mask` itself takes what is unknown for true."""
    return condition.fillna(False).astype(bool)


def _known(met, column):
    return pd.Series(met, column.index).astype("boolean[pyarrow]").mask(column.isna())


BY_REGISTER = {
    "population": _population, "licence": _licence, "social": _social,
    "tax": _tax, "vehicle": _vehicle, "business": _business,
}  # fmt: skip


def verdicts(asked, register, people):
    """One byte a line: two bits of verdict, six of reason, as departments answer."""
    about, place = asked["registers"][register], Path(asked["place"])
    facts = pd.read_parquet(place / f"{register}.parquet", dtype_backend="pyarrow").assign(there=True)
    doubts = pd.read_parquet(place / f"{register}.doubts.parquet", dtype_backend="pyarrow")
    merged = people.merge(facts, on="k", how="left", suffixes=("_said", ""))
    met, code = BY_REGISTER[register](merged, about["reasons"])
    none = merged["there"].isna()
    if register == "population":
        none |= ~_so(merged["name"].eq(merged["name_said"]))
    met = met.astype("boolean[pyarrow]")
    found = pd.Series(about["missing"], merged.index)
    found = found.mask(_so(met), MET << 6)
    found = found.mask(_so(~met), code)
    found = found.mask(none.astype(bool), about["silence"])
    found = found.mask(merged["k"].isin(doubts["k"]), about["doubtful"])
    found = found.mask(people["k"].isna().astype(bool), about["bad"])
    return found.mask(people["settled"].notna(), about["unasked"]).astype("uint8")


def merged(asked):
    """Every line's status, verdicts and reasons, in words, to one Parquet file."""
    listed = pd.read_parquet(
        asked["list"], columns=["application", "name", "subject", "settled"], dtype_backend="pyarrow"
    )
    people = listed.assign(k=listed["subject"].str.slice(0, 17).astype("int64[pyarrow]"))
    found = {register: verdicts(asked, register, people[["k", "name", "settled"]]) for register in asked["registers"]}
    bits = pd.DataFrame({register: column.to_numpy() >> 6 for register, column in found.items()})
    status = pd.Series("eligible", listed.index)
    status = status.mask(bits.eq(UNKNOWN).any(axis=1), "needs_person")
    status = status.mask(bits.eq(NOT_MET).any(axis=1), "not_eligible")
    status = status.mask(listed["settled"].notna(), "needs_person")
    status = status.mask(_so(listed["settled"].eq("duplicate_application")), "not_eligible")
    table = {"application": listed["application"], "status": status}
    for register, column in found.items():
        table[register] = column.floordiv(64).map(dict(enumerate(asked["words"])))
        said = {int(number): code for number, code in asked["registers"][register]["said"].items()}
        table[f"{register}_reason"] = column.mod(64).map(said)
    target = str(Path(asked["place"]) / "pandas.parquet")
    pd.DataFrame(table).to_parquet(target, compression="zstd", index=False)
    return target


def main():
    for line in sys.stdin:
        began, cpu = time.perf_counter(), time.process_time()
        results = merged(json.loads(line))
        told = {
            "results": results, "version": pd.__version__, "pid": os.getpid(), "seconds": time.perf_counter() - began,
            "cpu": time.process_time() - cpu, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }  # fmt: skip
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
