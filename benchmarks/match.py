"""`./tongban bench match`: a round of the largest city, six departments' nodes, against one DuckDB that holds it all.

Workload `six`: every applicant is asked of six departments. Their nodes and the consumer's run as processes of their
own, as the product runs them: tickets, grants, signatures, logs at both ends. Measured from the round's application
list (Parquet) to the signed results with reasons (Parquet); opening a round from the raw list is printed beside.
"""

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import _match_world as worlds
from benchmarks._match_baseline import asked_of_pandas
from benchmarks._match_runner import door
from benchmarks._match_staged import within
from benchmarks._match_world import CONSUMER, Worker, World
from benchmarks._pandas_environment import pandas_python
from benchmarks._six import AT, SIZES, made, many, say
from benchmarks._six_rules import SIX, Department

FEW = 30_000
SAMPLE, CALLERS = 1_000, 32
_SETTLE_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Stretch:
    """One measured stretch; `held` is what its worker said."""

    wall: float
    cpu: Mapping[str, float]  #: by process
    held: Mapping[str, Any]

    @property
    def all_cpu(self) -> float:
        return sum(self.cpu.values())


def run(
    size: str = "small",
    pairs: int = 5,
    seed: int = 1,
    place: str = "",
    staged: bool = False,
    few: bool = True,
    more: bool = True,
    pandas: bool = True,
) -> list[dict[str, Any]]:
    """Figures of one size.

    place: where the workload is kept. staged: say what each stage took. few: ask few keys, and one call a person, too.
    more: ask ten for every three applicants, too. pandas: merge in pandas, in an environment of its own, too.
    """
    folder = Path(place or _cache()) / f"{size}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    say(f"workload six, {size}: {SIZES[size].people:,} people, in {folder}")
    six = made(folder, size, seed)
    listed = many(folder, size, seed) if more else None
    world = worlds.laid(folder)
    facts = worlds.refreshed(world)
    shutil.rmtree(folder / "rounds", ignore_errors=True)
    with worlds.running(world, staged=staged) as nodes:
        measured = _Measured(world, {id: child.pid for id, child in nodes.items()}, staged=staged)
        try:
            with worlds.registers_away(world), worlds.own_memory(measured.processes) as own:
                found = measured.figures(six, facts, pairs, few=few, more=listed, pandas=pandas)
        finally:
            measured.close()
    if staged:
        _tell_stages(world, *measured.last)
        say("own memory, MiB, without mapped files: " + ", ".join(f"{id} {mib:,.0f}" for id, mib in own.items()))
    return [_judged(figure, size) for figure in found]


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tongban" / "bench-match"


class _Measured:
    def __init__(self, world: World, nodes: Mapping[str, int], *, staged: bool) -> None:
        self._world, self._nodes = world, nodes
        self._runner = Worker("_match_runner", str(world.folder), staged=staged)
        self.last: tuple[Mapping[str, Any], float, float] = ({}, 0.0, 0.0)  #: stages, begin and end of the last pair
        self._baseline = Worker("_match_baseline", str(world.folder))
        self._stem = secrets.token_hex(3)

    def close(self) -> None:
        self._runner.close()
        self._baseline.close()

    @property
    def processes(self) -> dict[str, int]:
        return {**self._nodes, "runner": self._runner.pid}

    # --- stretches ------------------------------------------------------------------------------------

    def figures(
        self,
        six: Mapping[str, Any],
        facts: Mapping[str, Any],
        pairs: int,
        *,
        few: bool,
        more: Path | None,
        pandas: bool,
    ) -> list[dict[str, Any]]:
        raw = self._world.folder / "applicants.parquet"
        opening = Worker("_match_runner", str(self._world.folder), str(raw))
        warm = opening.ask(f"{self._stem}-warm")
        self._asked(warm["round"])
        listed = str(self._world.folder / "rounds" / warm["round"] / "applications.parquet")
        self._compared(listed, words=True)
        for pid in (self._runner.pid, *self._nodes.values()):
            worlds.forget_peak(pid)
        opened, ours, theirs, lean, later = [], [], [], [], []
        for n in range(pairs):
            opened.append(opening.ask(f"{self._stem}-{n}"))
            since = time.perf_counter()
            one, after = self._asked(opened[-1]["round"])
            self.last = (one.held["stages"], since, time.perf_counter())
            ours.append(one)
            later.append(after)
            theirs.append(self._compared(listed, words=True))
            lean.append(self._compared(listed, words=False))
            same = _same(one.held["results"], theirs[-1].held["results"] + ".words")
            say(f"  pair {n + 1}: ours {one.wall:.2f} s {one.all_cpu:.2f} CPU s, one DuckDB {theirs[-1].wall:.2f} s"
                f" {theirs[-1].all_cpu:.2f} CPU s (codes {lean[-1].wall:.2f} s), same {same}")  # fmt: skip
            say(f"    {_steps(one)}; persons committed after it in {after.wall:.1f} s, {after.all_cpu:.1f} CPU s")
            if not same:
                raise RuntimeError("verdicts or reasons differ from the baseline's")
            shutil.rmtree(self._world.folder / "rounds" / opened[-1]["round"])
        found = _figures(six, facts, ours, theirs, lean, later, opened, self._peaks())
        opening.close()
        whole = statistics.median(one.wall for one in ours)
        if few:
            found += [asyncio.run(self._one_by_one(listed, whole)), *self._few(raw, whole)]
        if pandas:
            found.append(self._merged(listed, theirs[-1].held["results"], whole))
        if more is not None:
            found += self._more(more, whole)
        return found

    def _peaks(self) -> dict[str, float]:
        return {name: worlds.peak_of(pid) for name, pid in self.processes.items()}

    def _asked(self, round: str) -> tuple[Stretch, Stretch]:
        """The round verified and decided; then what the nodes still did once the results were there."""
        processes = self.processes
        before, began = _cpu(processes), time.perf_counter()
        held = self._runner.ask(round)
        wall = time.perf_counter() - began
        used = _since(processes, before)
        before, began = _cpu(processes), time.perf_counter()
        self._settled()
        return Stretch(wall, used, held), Stretch(time.perf_counter() - began, _since(processes, before), {})

    def _settled(self) -> None:
        """Wait until every node has committed the persons of its batches."""
        until = time.monotonic() + _SETTLE_SECONDS
        while any([*(self._world.node(id) / "spool").glob("*.sealed")] for id in self._nodes):
            if time.monotonic() > until:
                raise RuntimeError("the nodes did not commit their batches' persons in time")
            time.sleep(0.1)

    def _compared(self, listed: str, *, words: bool) -> Stretch:
        processes = {"duckdb": self._baseline.pid}
        before, began = _cpu(processes), time.perf_counter()
        held = self._baseline.ask(json.dumps({"list": listed, "words": words}))
        wall = time.perf_counter() - began
        used = _since(processes, before)
        if words:
            shutil.copyfile(held["results"], held["results"] + ".words")
        return Stretch(wall, used, held)

    async def _one_by_one(self, listed: str, whole: float) -> dict[str, Any]:
        """A signed call for each person and department, of a sample, scaled to the whole list."""
        table = pq.read_table(listed, columns=["subject", "name"]).drop_null()
        every = max(1, table.num_rows // SAMPLE)
        people = table.take(pa.array(range(0, table.num_rows, every))).to_pylist()
        processes = {**self._nodes, "caller": os.getpid()}
        async with door(self._world) as way:
            turn = asyncio.Semaphore(CALLERS)

            async def ask(n: int, person: Mapping[str, str], one: Department) -> int:
                asks = {column.name: person[column.name] for column in one.rule.asks}
                body = {"subject": {"domain": "citizen", "key": person["subject"]}, "asks": asks}
                async with turn:
                    status, _ = await way.ask("verify", one.rule.id, body, case=f"one-{self._stem}-{n}", at=AT)
                return status

            before, began = _cpu(processes), time.perf_counter()
            calls = [ask(n, person, one) for n, person in enumerate(people) for one in SIX]
            answered = await asyncio.gather(*calls)
            wall, cpu = time.perf_counter() - began, sum(_since(processes, before).values())
        assert set(answered) == {200}
        scaled = wall / len(people) * table.num_rows
        each = f"{cpu / len(answered) * 1e6:,.0f} µs CPU a call"
        note = f"scaled from {len(people):,} persons × 6 by {CALLERS} callers; {each}"
        return _figure("one signed call per person, wall", scaled, "s", whole, note=note)

    def _few(self, raw: Path, whole: float) -> list[dict[str, Any]]:
        """So many evenly sampled applications, at the same nodes."""
        table = pq.read_table(raw)
        count = min(FEW, table.num_rows)
        rows = [n * table.num_rows // count for n in range(count)]
        sample = raw.with_name("few.parquet")
        pq.write_table(table.take(pa.array(rows)), sample)
        del table
        opening = Worker("_match_runner", str(self._world.folder), str(sample))
        walls = [self._asked(opening.ask(f"{self._stem}-few-{n}")["round"])[0] for n in range(6)]
        opening.close()
        wall = statistics.median(one.wall for one in walls[1:])
        note = f"{count:,} evenly sampled applications, registers taken away; {_steps(walls[-1])}"
        part = wall / whole
        bar, holds = ("≤ 0.8 s", wall <= 0.8)
        return [
            _figure("few × six, wall", wall, "s", bar=bar, holds=holds, note=note),
            _figure("few against the whole round", part, "×", bar="≤ 0.12 ×", holds=part <= 0.12),
        ]

    def _more(self, listed: Path, whole: float) -> list[dict[str, Any]]:
        """Ten applications for every three, at the same nodes; found the same as by one DuckDB."""
        opening = Worker("_match_runner", str(self._world.folder), str(listed))
        held = opening.ask(f"{self._stem}-more")
        opens = worlds.peak_of(opening.pid)
        opening.close()
        for pid in self.processes.values():
            worlds.forget_peak(pid)
        one, after = self._asked(held["round"])
        peaks = self._peaks()
        theirs = self._compared(one.held["list"], words=True)
        if not _same(one.held["results"], theirs.held["results"] + ".words"):
            raise RuntimeError("verdicts or reasons differ from the baseline's")
        largest = max((mib, id) for id, mib in peaks.items())
        times = one.wall / whole
        note = (
            f"{held['applications']:,} × 6, once, found the same as by one DuckDB ({theirs.wall:.1f} s); {_steps(one)};"
            f" {one.all_cpu:.1f} CPU s, and {after.all_cpu:.1f} for committing persons afterwards;"
            f" opening it from the raw list {held['seconds']:.1f} s, {opens:,.0f} MiB"
        )
        told = ", ".join(f"{id} {mib:,.0f}" for id, mib in sorted(peaks.items()))
        return [
            _figure("ten for three × six, wall", one.wall, "s", whole, bar="≤ 3.6 ×", holds=times <= 3.6, note=note),
            _figure("ten for three, largest process", largest[0], "MiB", bar="≤ 2,048 MiB",
                    holds=largest[0] <= 2048, note=told),
        ]  # fmt: skip

    def _merged(self, listed: str, results: str, whole: float) -> dict[str, Any]:
        """The same by pandas merges, over the same Parquet files."""
        worker = Worker("_match_pandas", str(self._world.folder), python=pandas_python())
        words = json.dumps(asked_of_pandas(listed, Path(results).parent))
        worker.ask(words)
        held = worker.ask(words)
        worker.close()
        if checksum(held["results"]) != checksum(results + ".words"):
            raise RuntimeError("verdicts or reasons of pandas differ from the baseline's")
        note = f"pandas {held['version']}, warm, found the same; {held['cpu']:.1f} CPU s, peak {held['peak']:,.0f} MiB"
        return _figure("pandas merge, wall", held["seconds"], "s", whole, note=note)


def _cpu(processes: Mapping[str, int]) -> dict[str, float]:
    return {name: worlds.cpu_of(pid) for name, pid in processes.items()}


def _since(processes: Mapping[str, int], before: Mapping[str, float]) -> dict[str, float]:
    return {name: used - before[name] for name, used in _cpu(processes).items()}


def _steps(one: Stretch) -> str:
    return ", ".join(f"{name} {wall:.2f} s" for name, (wall, _) in one.held["steps"].items())


def _tell_stages(world: World, runner: Mapping[str, Any], since: float, until: float) -> None:
    """Stages of the last pair: the runner's, the consumer's, and each node's, in seconds of wall and CPU."""
    nodes = {id: within(json.loads((world.node(id) / "stages.json").read_text()), since, until) for id in world.nodes}
    for id, stages in {"runner": runner, **nodes}.items():
        say(f"stages of {id}:")
        for stage, (count, wall, cpu) in stages.items():
            say(f"  {stage:<28}{count:>4} ×  {wall:8.3f} s wall  {cpu:8.3f} s CPU")


# --- comparison -----------------------------------------------------------------------------------


def _columns() -> list[str]:
    said = [name for one in SIX for name in (one.rule.name, f"{one.rule.name}_reason")]
    return ["application", "status", *said]


def _same(ours: str, theirs: str) -> bool:
    return checksum(ours) == checksum(theirs)


def checksum(path: str) -> str:
    """Over application, status, and every rule's verdict and reason, in the file's order."""
    found = hashlib.sha256()
    for name in _columns():
        column = pq.read_table(path, columns=[name])[name].cast(pa.string()).combine_chunks()
        found.update(pa.compute.fill_null(column.dictionary_encode().dictionary_decode(), "-").buffers()[2])
    return found.hexdigest()


# --- figures --------------------------------------------------------------------------------------


def _figures(
    six: Mapping[str, Any],
    facts: Mapping[str, Any],
    ours: list[Stretch],
    theirs: list[Stretch],
    lean: list[Stretch],
    later: list[Stretch],
    opened: list[Mapping[str, Any]],
    peaks: Mapping[str, float],
) -> list[dict[str, Any]]:
    bodies = (ours[-1].held["up"] + ours[-1].held["down"]) / 1e6
    hub = peaks["runner"] + peaks[CONSUMER]
    largest = max((mib, id) for id, mib in peaks.items() if id not in ("runner", CONSUMER))
    about = (
        f"{six['size']}: {six['applicants']:,} applicants × 6, {sum(six['rows'].values()):,} register rows; "
        f"{len(ours)} interleaved pairs, medians; from the round's list to its signed results"
    )
    digest = checksum(theirs[-1].held["results"] + ".words")[:16]
    told = ", ".join(f"{id} {mib:,.0f}" for id, mib in sorted(peaks.items()))
    spent = ", ".join(f"{id} {_median(one.cpu[id] for one in ours):.2f}" for id in ours[0].cpu)
    return [
        _ratio("six nodes, CPU", "CPU s", [(a.all_cpu, b.all_cpu) for a, b in zip(ours, theirs, strict=True)], 1.5,
               f"{about}; {spent}"),
        _ratio("six nodes, wall", "s", [(a.wall, b.wall) for a, b in zip(ours, theirs, strict=True)], 1.6,
               f"last: {_steps(ours[-1])}"),
        _figure("against a baseline that writes codes, wall", _median(a.wall for a in ours), "s",
                _median(b.wall for b in lean), note="the baseline's file without words for verdicts and reasons"),
        _figure("against a baseline that writes codes, CPU", _median(a.all_cpu for a in ours), "CPU s",
                _median(b.all_cpu for b in lean)),
        _figure("bodies both ways", bodies, "MB", bar="≤ 60 MB", holds=bodies <= 60,
                note="between departments, one leg; the door's leg inside the consumer is as long again"),
        _figure("peak, runner + consumer node", hub, "MiB", bar="≤ 1,024 MiB", holds=hub <= 1024, note=told),
        _figure("peak, largest node", largest[0], "MiB", bar="≤ 1,229 MiB", holds=largest[0] <= 1228.8,
                note=f"{largest[1]}; mapped facts that were read count"),
        _figure("verdicts and reasons the same", 1, "", bar="equal", holds=True,
                note=f"status, six verdicts, six reasons; SHA-256 {digest}"),
        _figure("six nodes, CPU until every person is committed",
                _median(a.all_cpu + b.all_cpu for a, b in zip(ours, later, strict=True)), "CPU s",
                note="what nodes committed while the round still ran is in the bar's figure too"),
        _figure("persons committed afterwards", _median(one.all_cpu for one in later), "CPU s",
                note=f"in {_median(one.wall for one in later):.1f} s after the results were there"),
        _figure("opening the round from the raw list", _median(one["seconds"] for one in opened), "s",
                note=f"{_median(one['cpu'] for one in opened):.2f} CPU s, not in the figures above"),
        _figure("making registers", six["seconds"], "s", note=f"{six['cpu']} CPU s, once a seed and size"),
        _figure("node refresh of all six", sum(facts["seconds"].values()), "s", note=json.dumps(facts["seconds"])),
    ]  # fmt: skip


def _ratio(name: str, unit: str, pairs: list[tuple[float, float]], bar: float, note: str) -> dict[str, Any]:
    ratio = _median(a / b for a, b in pairs)
    value, base = (_median(column) for column in zip(*pairs, strict=True))
    return _figure(name, value, unit, base, ratio=ratio, bar=f"≤ {bar:g} ×", holds=ratio <= bar, note=note)


def _figure(
    name: str,
    value: float,
    unit: str,
    baseline: float | None = None,
    *,
    ratio: float | None = None,
    bar: str | None = None,
    holds: bool | None = None,
    note: str = "",
) -> dict[str, Any]:
    """`bar` and `holds` are the largest city's; `_judged` leaves them out of the other sizes' figures."""
    ratio = value / baseline if ratio is None and baseline else ratio
    base, compared = (None if one is None else round(one, 3) for one in (baseline, ratio))
    return {
        "name": name, "value": round(value, 3), "unit": unit,
        "baseline": base, "ratio": compared, "bar": bar, "holds": holds, "warm_or_cold": "warm", "note": note,
    }  # fmt: skip


def _judged(figure: dict[str, Any], size: str) -> dict[str, Any]:
    """The bars are set for the largest city; a smaller one only has to find the same."""
    if size == "metropolis" or figure["bar"] in (None, "equal"):
        return figure
    return figure | {"bar": f"{figure['bar']} at metropolis", "holds": None}


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)
