"""From patient rows to a cost model: one frozen object that holds parameters and figures, and no row.

Rows are read, cleaned and reported (`fitting.rows`), each segment gets its law (`fitting.choose`), and what may be shown
of the fit is worked out once (`fitting.goodness`). The rows are let go before the object is made.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base import SCHEMA_VERSION, SimulatorError
from ..ledger import write_whole
from .fitting import goodness as shown
from .fitting import model_file, parameter_sets
from .fitting.bands import fit_bands_of, read_bands
from .fitting.choose import CHOICES, Options, SegmentFit, fit_segments
from .fitting.disclosure import SMALLEST_COUNT, check_smallest, figures, kept_count, round_amount
from .fitting.model_file import model_population as model_population
from .fitting.parameter_sets import Drawn, VarianceParts
from .fitting.rows import NegativePolicy, Reading, Rows, clean, reading
from .fitting.sample import MOST_ROWS, Sample, sample_of, together
from .fitting.segments import SegmentRule
from .model import Population, Segment

if TYPE_CHECKING:
    from ..scenario import Scenario

_PERCENTILES = (0.95, 0.99, 0.999)
SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)


@dataclass(frozen=True, repr=False)
class FittedModel:
    """A cost model fitted to rows. It may be kept, shown and sent, unless it resamples (`family="resample"`)."""

    population: Population
    """What scenarios and the engine take."""
    goodness: xr.Dataset
    """Figures fitted and observed: dims ``segment``, ``measure``."""
    curves: xr.Dataset
    """Exceedance, limited means, concentration and quantile cells: dims ``segment``, ``amount``, ``people_share``."""
    diagnostics: xr.Dataset
    """Of the tails: dims ``segment``, ``splice``."""
    segments: tuple[dict[str, Any], ...]
    """What each segment got: family, splice, standard errors, and how the candidates did."""
    report: dict[str, Any]
    """What was read, dropped and changed."""
    provenance: dict[str, Any]
    """How it was fitted, as a model file keeps it."""
    sets: dict[str, Drawn] = field(default_factory=dict)
    """Parameter sets by segment."""

    def __repr__(self) -> str:
        families = sorted({str(row["family"]) for row in self.segments})
        return f"FittedModel({len(self.segments)} segments: {', '.join(families)}; {self.n_sets} parameter sets)"

    @property
    def n_sets(self) -> int:
        """How many parameter sets there are."""
        return parameter_sets.count(self.sets)

    @property
    def currency(self) -> str:
        """ISO 4217 code."""
        return str(self.provenance["currency"])

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Money per year: where limited means were judged."""
        return tuple(self.provenance["thresholds"])

    @property
    def infinite_variance(self) -> bool:
        """Whether a segment's variance is infinite, so that only finite thresholds can be run."""
        return any(segment.users_severity.tail_index <= 2 for segment in self.population.segments)

    def population_of_set(self, b: int) -> Population:
        """The population under parameter set `b`, from 0."""
        return parameter_sets.population_of_set(self.population, self.sets, b)

    def variance_parts(self, size: int, threshold: float = math.inf, shocks: tuple[Any, ...] = ()) -> VarianceParts:
        """Variance of what `size` people cost, by its cause: luck, doubt about parameters, common shocks."""
        return parameter_sets.variance_parts(self.population, self.sets, size, threshold, shocks)

    def model_text(self) -> str:
        """The model file as text."""
        return model_file.model_text(self.population, self.provenance, self.sets, _HEAD)

    def to_toml(self, path: str | os.PathLike[str]) -> None:
        """Write the model file, whole or not at all.

        Raises
        ------
        SimulatorError
            Where the model resamples rows, or the file cannot be written.
        """
        text = self.model_text()
        write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))

    def scenario_table(
        self,
        sizes: Sequence[int] = SIZES,
        thresholds: Sequence[float] | None = None,
        replicates: int = 10_000,
        seed: int = 1,
        title: str = "Fitted to our own patients",
    ) -> dict[str, Any]:
        """A scenario's parts but for the population.

        Parameters
        ----------
        sizes : sequence of int
            People.
        thresholds : sequence of float, optional
            Money per year; those of the fit, and none at all where the variance is finite, by default.
        replicates, seed : int
        title : str
        """
        if thresholds is None:
            thresholds = self.thresholds if self.infinite_variance else (*self.thresholds, math.inf)
        return {
            "schema_version": SCHEMA_VERSION,
            "title": title,
            "currency": self.currency,
            "simulation": {
                "replicates": replicates, "population_sizes": [int(n) for n in sizes],
                "thresholds": [float(d) for d in thresholds], "seed": seed,
            },
        }  # fmt: skip

    def scenario(self, **parts: Any) -> Scenario:
        """A scenario of this population; `parts` as in `scenario_table`."""
        from ..scenario import scenario_from

        return scenario_from({**self.scenario_table(**parts), "population": self.population}, "scenario")

    def scenario_text(self, **parts: Any) -> str:
        """A scenario file that runs by itself, as text; `parts` as in `scenario_table`."""
        table = self.scenario_table(**parts)
        top = [f"{name} = {model_file._value(value)}" for name, value in table.items() if name != "simulation"]
        inner = [f"{name} = {model_file._value(value)}" for name, value in table["simulation"].items()]
        lines = [_HEAD.rstrip(), "", *top, "", "[simulation]", *inner, *model_file.population_lines(self.population)]
        return "\n".join(lines) + "\n"

    def to_scenario_toml(self, path: str | os.PathLike[str], **parts: Any) -> None:
        """Write a scenario file that runs by itself; `parts` as in `scenario_table`."""
        text = self.scenario_text(**parts)
        write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


_HEAD = "# Fitted by `simulator fit`. Parameters only: no patient's cost, and no count of fewer than ten patients."


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
    seed: int = 1,
) -> FittedModel:
    """Fit a cost model to rows, one a patient-year.

    Parameters
    ----------
    frame : path-like or DataFrame
        CSV, Parquet, Excel; or anything that has `columns` and gives one by its name.
    cost : str or sequence of str
        Columns of cost, added up; money a year. A text may list them with commas.
    segment : str, optional
        A column ("band"), or cuts of a number ("age:0,18,40,65,75,85"). Everybody is one segment without it.
    weight : str, optional
        Column of weights.
    exposure : str, optional
        Column of the part of the year that a person was covered. His cost is brought to a year and weighs that part.
    exposure_unit : {"years", "months"}
    minimum_exposure : float
        Rows with less than this fraction of a year are dropped.
    person : str, optional
        Column of ids, which keep a person's years in the same half; they are dropped at once.
    where : str, optional
        Filter: "months == 12 and died == 0".
    exclude_service : str or sequence of str
        Columns of services taken out of the cost.
    negative : {"refuse", "zero", "net"}
        Of negative amounts: refuse the file; set each to 0; or net them within the row's person, no lower than 0.
    family : str
        "auto"; "lognormal", "gamma", "weibull" or "burr" for every segment; "empirical", a smoothed quantile table; or
        "resample", the rows themselves, which stays in memory and cannot be written. All but the last get a tail.
    tail_above : float, optional
        Money a year at which the tail starts, the same for all segments; infinity for no tail.
    thresholds : sequence of float, optional
        Money a year: where limited means are judged; near the 95th, 99th and 99.9th percentiles by default.
    membership : {"fixed", "sampled"}
        Of the population.
    currency : str
        ISO 4217 code.
    sets : int
        Parameter sets drawn to tell doubt from luck; 0 for none.
    smallest_count : int
        Fewer patients are never told apart: 10, or more.
    seed : int
        Of the halves and parameter sets.

    Returns
    -------
    FittedModel

    Raises
    ------
    SimulatorError
        One sentence for whatever is wrong; it never repeats a cell, an id or a path.

    Examples
    --------
    >>> model = fit(frame, cost="total", segment="band")  # doctest: +SKIP
    >>> model.to_toml("model.toml")  # doctest: +SKIP
    """
    how = reading(
        cost=cost, segment=segment, weight=weight, exposure=exposure, exposure_unit=exposure_unit,  # type: ignore[arg-type]
        minimum_exposure=minimum_exposure, person=person, where=where, exclude_service=exclude_service,  # type: ignore[arg-type]
        negative=negative, smallest_count=smallest_count,
    )  # fmt: skip
    _check(family, tail_above, thresholds, sets, currency)
    rows = clean(frame, how, seed)
    names, samples, halves = _samples(rows, smallest_count)
    judged = tuple(sorted(float(d) for d in thresholds)) if thresholds is not None else default_thresholds(samples)
    options = Options(family, tail_above, judged, smallest_count, seed)
    report = {**rows.report, "binned_segments": [n for n, s in zip(names, samples, strict=True) if s.binned]}
    del rows
    fits = fit_segments(names, samples, halves, options)
    return assemble(fits, options, report, _provenance(how, options, report, currency, sets), membership, sets)


def fit_bands(
    frame: Any,
    segment: str | None = None,
    *,
    membership: Literal["fixed", "sampled"] = "fixed",
    currency: str = "GBP",
    sets: int = 100,
    smallest_count: int = SMALLEST_COUNT,
    seed: int = 1,
) -> FittedModel:
    """Fit a cost model to banded counts and totals, where rows are not to be had.

    Parameters
    ----------
    frame : path-like or DataFrame
        Columns `band_low`, `band_high` (inf or empty where open), `n` (people) and `total` (money); people without cost
        stand in a band from 0 to 0.
    segment : str, optional
        Column of segments.
    membership, currency, sets, smallest_count, seed
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
    names, bands = read_bands(frame, segment, check_smallest(smallest_count))
    fits = [fit_bands_of(name, part, smallest_count) for name, part in zip(names, bands, strict=True)]
    edges = np.unique(np.concatenate([part.low for part in bands]))
    edges = np.array([d for d in edges if d > 0 and all(d in part.low or d > part.low[-1] for part in bands)])
    options = Options("bands", None, tuple(edges.tolist()), smallest_count, seed)
    people = int(sum(fit.sample.rows for fit in fits))
    report = {
        "rows_read": people, "rows_kept": people, "dropped": [], "smallest_count": smallest_count, "binned_segments": [],
        "negative": {"policy": "refuse", "rows": 0, "change_of_cost": 0.0}, "excluded_service_share_of_cost": None,
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
    amounts = shown.amounts_for(fits, options.thresholds) if edges is None else edges
    first = [*options.thresholds, *(fit.tail.at for fit in fits if fit.tail is not None)]
    people = [fit.sample for fit in fits]
    everybody = [*people, together(people)] if len(people) > 1 else people
    told = shown.may_tell_above(everybody, amounts, first, options.smallest)
    return FittedModel(
        population=population,
        goodness=shown.table(fits, population, options, told, amounts, rows_known=edges is None),
        curves=shown.curves(fits, population, options, told, amounts, rows_known=edges is None),
        diagnostics=shown.tail_diagnostics(fits, options.smallest),
        segments=tuple(_segment_row(fit, options.smallest) for fit in fits),
        report=report,
        provenance=provenance,
        sets=parameter_sets.draw(fits, sets, options.seed),
    )


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
        if here.size == 0:
            continue
        cost, weight, fold = rows.cost[here], rows.weight[here], rows.fold[here]
        if int((cost > 0).sum()) < smallest:
            small += 1
            continue
        names.append(name)
        samples.append(sample_of(cost, weight))
        halves.append(_halves(cost, weight, fold, samples[-1]))
    if small:
        many = "a segment" if small == 1 else f"{small} segments"
        raise SimulatorError(
            "segment",
            None,
            f"leaves {many} with fewer than {smallest} patients who cost anything",
            "merge segments, or use wider cuts",
        )
    return names, samples, halves


def _halves(cost: Any, weight: Any, fold: Any, whole: Sample) -> tuple[Sample, Sample]:
    first, second = (sample_of(cost[fold == half], weight[fold == half], MOST_ROWS) for half in (0, 1))
    # where a few people fall into one half, rows are split without regard to persons
    return (first, second) if min(first.users, second.users) >= 3 else whole.thinned(np.random.default_rng(1))


def default_thresholds(samples: Sequence[Sample]) -> tuple[float, ...]:
    """Round amounts near the 95th, 99th and 99.9th percentiles of everybody's cost."""
    everybody = together(samples)
    amounts = (round_amount(float(everybody.isf(1 - p))) for p in _PERCENTILES if (1 - p) * everybody.rows >= 10)
    found = tuple(sorted({amount for amount in amounts if amount > 0}))
    return found or (round_amount(2 * everybody.mean / everybody.p_user),)


def _segments(fits: Sequence[SegmentFit]) -> tuple[Segment, ...]:
    weights = np.array([fit.sample.weight for fit in fits])
    shares = np.round(weights / weights.sum(), 6)
    shares = np.maximum(shares, 1e-6)
    shares[np.argmax(shares)] += 1 - shares.sum()
    return tuple(
        Segment(name=fit.name, share=float(round(share, 6)), p_user=fit.p_user, severity=fit.severity)  # type: ignore[arg-type]
        for fit, share in zip(fits, shares, strict=True)
    )


def _segment_row(fit: SegmentFit, smallest: int) -> dict[str, Any]:
    tail = fit.tail if fit.family != "resample" else None
    counted = kept_count(fit.sample.rows, smallest)
    row: dict[str, Any] = {
        "name": fit.name,
        "rows": float(counted) if fit.sample.zero_count == 0 or fit.sample.zero_count >= smallest else round(float(counted), -1),
        "zero_share": figures(1 - fit.p_user),
        "zero_share_se": figures(fit.zero_share_se, 3),
        "family": fit.family,
        "credibility": fit.credibility,
        "binned": fit.sample.binned,
        "candidates": [
            {
                "family": c.family, "converged": c.converged, "log_score": figures(c.log_score, 5),
                "worst_miss": figures(c.worst, 3), "worst_figure": c.worst_figure,
            }
            for c in fit.candidates
        ],
    }  # fmt: skip
    if fit.body is not None:
        errors = np.sqrt(np.diag(fit.body.covariance))
        row["body_se"] = [figures(float(error), 3) for error in errors]
    if tail is not None:
        row |= {
            "tail_at": tail.at, "tail_patients": float(fit.sample.n_above(tail.at)), "xi": figures(tail.shape, 4),
            "xi_se": figures(tail.shape_se, 3), "tail_credibility": figures(tail.credibility, 3),
            "infinite_variance": tail.shape >= 0.5, "infinite_variance_possible": tail.infinite_variance_possible,
        }  # fmt: skip
    return row


def _provenance(how: Reading, options: Options, report: dict[str, Any], currency: str, sets: int) -> dict[str, Any]:
    negative = report["negative"]
    return {
        "simulator_version": _version(),
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


def _version() -> str:
    from .. import __version__

    return __version__
