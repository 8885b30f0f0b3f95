"""Benchmarks: one command, one table of ratios, all measured in this one run.

    python benchmarks/run.py            about two minutes
    python benchmarks/run.py --full     also 2.8 million people × 10,000 replicates
    python benchmarks/run.py --only rivals costs

Kernels are measured in CPU seconds of one core, rivals by turns with ours, medians of nine pairs; only the row on two
threads is by the clock, and means something on an idle machine. Results go to results/benchmarks.json too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import book
import contracts
import measure
import numpy as np
import programs
import rivals

from simulator.costs import sums
from simulator.engine.simulate import Plan, draw, draw_all
from simulator.ledger.parts import Checkpoint

ROOT = Path(__file__).resolve().parents[1]
EAST_SUSSEX = ROOT / "configs" / "east_sussex.toml"
REPLICATES = 200
LARGEST = book.SIZES[-1:]


class Row(NamedTuple):
    """One line of the table."""

    what: str
    measured: float
    unit: str
    wanted: str = ""
    holds: bool | None = None
    remark: str = ""

    def cells(self) -> list[str]:
        verdict = {True: "yes", False: "NO", None: ""}[self.holds]
        return [self.what, f"{self.measured:,.3g} {self.unit}", self.wanted, verdict, self.remark]


def at_least(what: str, measured: float, bound: float, unit: str = "×", remark: str = "") -> Row:
    return Row(what, measured, unit, f"≥ {bound:g}", measured >= bound, remark)


def at_most(what: str, measured: float, bound: float, unit: str = "×", remark: str = "") -> Row:
    return Row(what, measured, unit, f"≤ {bound:g}", measured <= bound, remark)


def ours(plan: Plan, replicates: int = REPLICATES) -> measure.Job:
    return lambda: draw(plan, np.arange(replicates))


def per_patient(seconds: float, plan: Plan, replicates: int = REPLICATES) -> float:
    """Nanoseconds."""
    return seconds / replicates / plan.people * 1e9


# ── against others ───────────────────────────────────────────────────────────────────────────────


def against_rivals() -> Iterator[Row]:
    one = book.plan_of(book.scenario(sizes=LARGEST, thresholds=(50_000.0,)))
    all_sizes = book.plan_of(book.scenario())
    yield from _against_loop("numpy lognormal loop, 1 size × 1 threshold", rivals.numpy_loop, one, 5, 15)
    yield from _against_loop("numpy lognormal loop, 9 sizes × 5 thresholds", rivals.numpy_loop, all_sizes, 5, 15)
    yield from _against_loop("plain jitted loop, 9 sizes × 5 thresholds", rivals.jitted_loop, all_sizes, 3, None)
    yield from against_bound("12 segments", book.single(book.scenario(sizes=LARGEST)), 0.5)


def _against_loop(name: str, loop, plan: Plan, replicates: int, bound: float | None) -> Iterator[Row]:  # type: ignore[no-untyped-def]
    mu, sigma = book.lognormals(plan)
    theirs = lambda: loop(plan.heads, plan.rate, mu, sigma, plan.thresholds[0], replicates)  # noqa: E731
    pair = measure.by_turns(ours(plan), theirs)
    ratio = pair.ratio * REPLICATES / replicates
    ours_speed, speed = (1e3 / per_patient(*x) for x in ((pair.first, plan), (pair.second, plan, replicates)))
    remark = f"{ours_speed:,.0f} against {speed:,.0f} million patients/s/core"
    yield at_least(name, ratio, bound, remark=remark) if bound else Row(name, ratio, "×", remark=remark)


def against_bound(name: str, plan: Plan, bound: float) -> Iterator[Row]:
    """Our speed as a share of the bound's, which draws once for each person with any cost."""
    with tempfile.TemporaryDirectory() as folder:
        variants = rivals.bounds(Path(folder))
        if not variants:
            print("no C compiler: no bound", file=sys.stderr)
            return
        draws = int(book.users(plan) * REPLICATES)
        sums = {compiled(plan.body[0], draws) for compiled in variants.values()}
        assert len(sums) == 1, "the variants of the bound disagree"
        pairs = {v: measure.by_turns(ours(plan), lambda c=c: c(plan.body[0], draws), 5) for v, c in variants.items()}
        best = min(pairs, key=lambda variant: pairs[variant].ratio)
        pair = measure.by_turns(ours(plan), lambda: variants[best](plan.body[0], draws))
    remark = f"{per_patient(pair.first, plan):.3f} against {per_patient(pair.second, plan):.3f} ns/patient ({best})"
    yield at_least(f"share of the C bound, single claims, 1 size, {name}", pair.ratio, bound, remark=remark)
    yield Row(f"the bound, a draw ({best})", pair.second / draws * 1e9, "ns")


def on_east_sussex() -> Iterator[Row]:
    if not EAST_SUSSEX.exists():
        return
    import simulator as sim

    scenario = sim.load(EAST_SUSSEX)
    plan = book.plan_of(scenario)
    seconds = measure.median_seconds(ours(plan))
    segments = len(scenario.population.segments)
    yield Row(
        "East Sussex, all sizes and thresholds", per_patient(seconds, plan), "ns/patient", remark=f"{segments} segments"
    )
    one = scenario.with_simulation(population_sizes=scenario.population_sizes[-1:])
    yield from against_bound(f"East Sussex, {segments} segments", book.single(one), 0.4)


# ── sums against single claims ───────────────────────────────────────────────────────────────────

ENGLAND = (
    1_000,
    5_000,
    20_000,
    50_000,
    100_000,
    250_000,
    540_000,
    1_000_000,
    5_000_000,
    10_000_000,
    30_000_000,
    57_000_000,
)
SHOCK = ({"name": "prices", "cv": 0.015},)


def sums_against_single() -> Iterator[Row]:
    if not EAST_SUSSEX.exists():
        return
    import simulator as sim

    east = sim.load(EAST_SUSSEX)
    pair = measure.by_turns(lambda: _drawn(east, "single", 10_000), lambda: _drawn(east, "body", 10_000), turns=3)
    remark = f"{pair.second:.2f} against {pair.first:.2f} CPU s; 10,000 replicates, tables included"
    yield at_most("East Sussex, 9 × 5, sums against single claims", pair.ratio, 0.3, remark=remark)
    everybody = east.with_simulation(population_sizes=ENGLAND, thresholds=(*book.EIGHT[:-1], float("inf")))
    for name, shocks in (("England", ()), ("England with a 1.5% shock", SHOCK)):
        england = everybody.with_("shocks", shocks)
        plans = [book.plan_of(england.with_simulation(sums=how)) for how in ("single", "body")]
        pair = measure.by_turns(*(ours(plan, 10) for plan in plans), turns=5)
        remark = f"{pair.second * 100:,.1f} against {pair.first * 100:,.1f} CPU ms a replicate; 12 sizes × 8 thresholds"
        yield at_most(f"{name}, 57 million, sums against single claims", pair.ratio, 0.1, remark=remark)


def _drawn(scenario, how: str, replicates: int) -> None:  # type: ignore[no-untyped-def]
    sums._built.cache_clear()
    draw_all((book.plan_of(scenario.with_simulation(sums=how)),), np.arange(replicates))


# ── what costs what ──────────────────────────────────────────────────────────────────────────────


def costs() -> Iterator[Row]:
    nine, one = book.single(book.scenario()), book.single(book.scenario(sizes=LARGEST))
    yield _ratio("9 sizes against 1, single claims", one, nine, 1.25)
    first = book.single(book.scenario(sizes=LARGEST, thresholds=book.EIGHT[:1]))
    eight = book.single(book.scenario(sizes=LARGEST, thresholds=book.EIGHT))
    yield _ratio("8 thresholds against 1, single claims", first, eight, 1.3)
    yield _ratio(
        "sampled against fixed membership, 9 sizes", nine, book.single(book.scenario(membership="sampled")), None
    )
    yield from threads(nine)


def _ratio(name: str, first: Plan, second: Plan, bound: float | None) -> Row:
    pair = measure.by_turns(ours(first), ours(second))
    remark = f"{per_patient(pair.second, second):.3f} against {per_patient(pair.first, first):.3f} ns/patient"
    return at_most(name, pair.ratio, bound, remark=remark) if bound else Row(name, pair.ratio, "×", remark=remark)


def threads(plan: Plan) -> Iterator[Row]:
    load = measure.load()
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(2) as two:
        jobs = [
            lambda executor=executor: draw_all((plan,), np.arange(4 * REPLICATES), executor) for executor in (two, one)
        ]
        pair = measure.by_turns(*jobs, clock=time.perf_counter)
        work = measure.by_turns(*reversed(jobs), turns=5)
    remark = f"by the clock; the nine pairs lie from {pair.lowest:.2f} to {pair.highest:.2f}"
    row = at_least("2 threads against 1", pair.ratio, 1.7, remark=remark)
    # this program alone makes a load of 1
    if load > 1.3 and not row.holds:
        row = row._replace(holds=None, remark=f"{remark}; not judged: others use the machine (load {load:.1f})")
    yield row
    yield Row("CPU seconds of 2 threads against 1", work.ratio, "×")


def small_populations() -> Iterator[Row]:
    for membership in ("fixed", "sampled"):
        for segments in (1, 18, 54):
            plan = book.plan_of(book.scenario(segments, (1_000,), membership=membership))
            replicates = 10_000 if segments == 1 else 3_000
            each = per_patient(measure.median_seconds(ours(plan, replicates)), plan, replicates)
            remark = f"{each * 1_000 / segments:,.0f} ns a segment"
            yield Row(f"1,000 people, {segments} segments, {membership}", each, "ns/patient", remark=remark)


# ── settling against drawing ─────────────────────────────────────────────────────────────────────


def settling() -> Iterator[Row]:
    import simulator as sim

    scenario = book.scenario(replicates=10_000)
    ledgers: list[object] = []

    def drawn() -> None:
        ledgers[:] = [sim.simulate(scenario, progress=False)]

    for name, threshold in (("at one threshold", 50_000.0), ("swept over 5 thresholds", None)):
        designs = contracts.twenty(threshold)
        pair = measure.by_turns(drawn, lambda designs=designs: sim.settle(ledgers[0], designs), turns=3)
        remark = f"{pair.second:.2f} against {pair.first:.2f} CPU s; 10,000 replicates × 9 sizes"
        yield at_most(f"settling 20 designs {name} against drawing", pair.ratio, 1.0, remark=remark)


def services() -> Iterator[Row]:
    """Six services: drawing with and without them, and designs settled by service against drawing."""
    import simulator as sim

    divided = sim.load(ROOT / "configs" / "services.toml").with_simulation(replicates=5_000)
    whole = sim.Scenario.model_validate(
        {k: v for k, v in divided.model_dump().items() if k not in ("services", "service_split", "designs", "stresses")}
        | {"simulation": divided.simulation.model_dump() | {"cut": float(divided.cuts.min())}}
    )
    alike = divided.with_simulation(cut=float(divided.cuts.min()))
    ledgers: list[object] = []

    def drawn() -> None:
        ledgers[:] = [sim.simulate(alike, progress=False)]

    remark = "{:.2f} against {:.2f} CPU s; 5,000 replicates × 2 sizes"
    pair = measure.by_turns(lambda: sim.simulate(whole, progress=False), drawn, turns=3)
    told = remark.format(pair.second, pair.first)
    yield at_most("drawing with six services against without", pair.ratio, 1.5, remark=told)
    designs = [
        design.model_copy(update={"name": f"{design.name} {k}"}) for k in range(10) for design in divided.designs[:2]
    ]
    pair = measure.by_turns(drawn, lambda: sim.settle(ledgers[0], designs), turns=3)
    told = remark.format(pair.second, pair.first)
    yield at_most("settling 20 designs by service against drawing", pair.ratio, 1.0, remark=told)


# ── the exact engine against drawing ─────────────────────────────────────────────────────────────


def exact_grids() -> Iterator[Row]:
    import simulator as sim

    for name in ("east_sussex", "east_sussex_systematic"):
        path = EAST_SUSSEX.with_name(f"{name}.toml")
        if not path.exists():
            continue
        scenario = sim.load(path)
        drawn = lambda scenario=scenario: sim.simulate(scenario, progress=False)  # noqa: E731
        pair = measure.by_turns(drawn, lambda scenario=scenario: sim.exact(scenario), turns=3)
        remark = f"{pair.second:.2f} against {pair.first:.2f} CPU s; {scenario.simulation.replicates:,} replicates"
        yield Row(f"exact grid, {path.name}", pair.second, "CPU s", remark=_cells_of(scenario))
        yield Row(f"exact grid against drawing it, {path.name}", pair.ratio, "×", remark=remark)


def _cells_of(scenario) -> str:  # type: ignore[no-untyped-def]
    return f"{len(scenario.population_sizes)} sizes × {scenario.threshold_labels.size} thresholds"


# ── several years, and terms ─────────────────────────────────────────────────────────────────────


def over_years(full: bool) -> Iterator[Row]:
    import simulator as sim

    file = EAST_SUSSEX.with_name("east_sussex_years.toml")
    scenario = sim.load(file)
    few, alone = scenario.with_simulation(replicates=500), scenario.first_year.with_simulation(replicates=500)
    apart = alone.with_simulation(sums="single")
    draw_years = lambda: sim.simulate(few, progress=False)  # noqa: E731
    draw_years()
    pair = measure.by_turns(lambda: sim.simulate(apart, progress=False), draw_years, turns=3)
    years = len(scenario.years.years)
    yield at_most(f"{years} years against {years} single years drawn singly", pair.ratio / years, 2.5)
    replicates = 10_000 if full else 1_000
    peak, cpu = programs.years_memory(str(file), replicates)
    remark = f"{cpu:,.0f} CPU s with start-up and tables" + ("" if full else "; --full draws 10,000")
    what = f"peak memory, {years} years × {_cells_of(scenario)} × {replicates:,} replicates"
    yield at_most(what, peak / 1e3, 1.0, "GB", remark)
    pooled = measure.seconds(lambda: sim.exact(scenario, pool_years={1: 1, 2: 1, 3: 1}))
    yield at_most("exact law of three pooled years", pooled, 5.0, "CPU s", _cells_of(scenario))


def terms() -> Iterator[Row]:
    import simulator as sim
    from simulator.analysis.designs.bench import Bench
    from simulator.settlement.populations import Populations

    scenario = sim.load(EAST_SUSSEX.with_name("search.toml")).with_simulation(replicates=3_000)
    search = scenario.search
    design = next(one for one in scenario.designs if search.design in (None, one.name))
    bench = Bench(Populations(sim.simulate(scenario, progress=False)), design, search)
    places = np.random.default_rng(1).random((6_400, len(search.figures)))

    def settle() -> None:
        for place in places:
            one = bench.at(place)
            if one is not None:
                one.slacks(), one.cost

    yield at_most("6,400 designs on 3,000 draws", measure.seconds(settle), 5.0, "CPU s")


# ── checkpoints ──────────────────────────────────────────────────────────────────────────────────


def checkpoints() -> Iterator[Row]:
    """What it costs to keep finished draws, against drawing them; both on one core."""
    import simulator as sim

    east_sussex = sim.load(EAST_SUSSEX).with_simulation(replicates=6_000)
    for name, scenario, bound in (
        ("East Sussex", east_sussex, 0.03),
        ("50,000 people, 6 sizes × 5 thresholds", book.scenario(sizes=book.SIZES[:6], replicates=25_000), 0.03),
        ("1,000 people, 1 size × 5 thresholds", book.scenario(sizes=(1_000,), replicates=300_000), 0.03),
    ):
        plan, numbers = book.plan_of(scenario), np.arange(scenario.simulation.replicates)
        drawn = draw(plan, numbers)
        pair = measure.by_turns(lambda p=plan, n=numbers: draw(p, n), lambda n=numbers, d=drawn: _keep(n, d), turns=3)
        mb = sum(values.nbytes for values in drawn.values()) / 1e6
        remark = f"{pair.second:.3f} against {pair.first:.2f} CPU s; {mb:,.1f} MB, written and sealed"
        what = f"keeping draws against drawing, {name}"
        yield at_most(what, pair.ratio, bound, remark=remark) if bound else Row(what, pair.ratio, "×", remark=remark)


def _keep(numbers, drawn) -> None:  # type: ignore[no-untyped-def]
    with tempfile.TemporaryDirectory() as folder, Checkpoint(Path(folder) / "r.nc") as kept:
        kept.begin({"scenario": "benchmark"})
        kept.add(numbers, drawn)


# ── whole programs ───────────────────────────────────────────────────────────────────────────────


def whole_programs(full: bool) -> Iterator[Row]:
    for what, cpu in programs.start_up().items():
        yield Row(what, cpu, "CPU s")
    job = programs.peers_job()
    remark = "after start-up"
    yield at_most("100,000 people × 1,000 replicates × one cap", job["cpu_seconds"], 0.2, "CPU s", remark)
    yield at_most(
        "the same, memory beyond start-up", job["more_mb"] / 1e3, 0.3, "GB", f"{job['peak_mb']:,.0f} MB in all"
    )
    people = 2_800_000 if full else 28_000
    peak, wall = programs.memory(people)
    remark = f"{wall:,.1f} s by the clock" if full else "memory does not depend on people; --full draws 2.8 million"
    yield at_most(f"peak memory, {people:,} people × 10,000 replicates", peak / 1e3, 1.0, "GB", remark)


def shell(against: Path | None) -> Iterator[Row]:
    for name, seconds in programs.verbs([str(ROOT), *([str(against)] if against else [])]):
        yield Row(f"simulator {name}", seconds[0], "CPU s")
        if against:
            remark = f"{seconds[0]:.2f} against {seconds[1]:.2f} CPU s"
            yield at_most(f"simulator {name}, against {against}", seconds[0] / seconds[1], 0.65, remark=remark)


# ── the command ──────────────────────────────────────────────────────────────────────────────────


def main() -> None:
    groups = {
        "rivals": against_rivals,
        "sums": sums_against_single,
        "costs": costs,
        "small": small_populations,
        "east-sussex": on_east_sussex,
        "settling": settling,
        "services": services,
        "exact": exact_grids,
        "years": lambda: over_years(options.full),
        "terms": terms,
        "checkpoints": checkpoints,
        "programs": lambda: whole_programs(options.full),
        "shell": lambda: shell(options.against),
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="draw the largest job whole")
    parser.add_argument("--against", type=Path, help="folder of another version, run by turns with this one")
    parser.add_argument("--only", nargs="+", choices=groups, default=list(groups), help="groups to measure")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "benchmarks.json")
    options = parser.parse_args()
    machine = measure.machine()
    print("\n".join(f"{name:<10}{value}" for name, value in machine.items()), flush=True)
    rows = [row for name in options.only for row in _told(name, groups[name]())]
    print("\n" + measure.table([["", "measured", "wanted", "holds", ""], *(row.cells() for row in rows)]))
    options.out.parent.mkdir(exist_ok=True)
    kept = {"machine": machine, "rows": [row._asdict() for row in rows]}
    options.out.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten to {options.out}")


def _told(name: str, rows: Iterator[Row]) -> list[Row]:
    print(f"measuring {name} …", file=sys.stderr, flush=True)
    return list(rows)


if __name__ == "__main__":
    main()
