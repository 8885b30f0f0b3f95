"""Fitted and observed: the table of figures, the curves, and the tail's diagnostics. Safe to disclose.

What is observed is observed of made-up people who stand for groups of ten patients or more (`groups`), so that no
figure here, and no sum or difference of figures, rests on fewer. At an amount a segment is told where its groups meet.

Every observed figure of a curve is a smooth function of the rows' distribution. Its error is the root of Σ w² ψ² over
(Σ w)², with ψ the figure's influence function and w the rows' weights (member-years), rows taken as independent. For a
share above an amount and equal weights this is √(p (1 − p) / n). Quantiles are plugged in: at the quantile itself ψ has
no slope in it.

The rows are the made-up people of `groups`. Errors of 0 are nan: rows without spread do not prove that there is none.
All are told to two figures, which is all that an error needs.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..costs.model import Population
from ..ledger import declared
from ..numerals import figures
from . import measures
from .choose import Options, SegmentFit
from .disclose.disclosure import dominated, round_amounts, rounded_count
from .disclose.groups import groups_of
from .laws.tails import fit_tail, splices
from .measures import People, one_segment
from .read.sample import Array, Sample, together
from .read.segments import EVERYBODY

LEVELS = (
    0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001, 0.00005,
)  # fmt: skip
"""Shares of people, the costliest, at which concentration is told."""
_FIGURES = 2  # significant figures of an error
_NO_SPREAD = 1e-10
_MOSTLY = 0.9  # everybody is told at an amount where the groups meet of segments with so many of the patients above


class Told(NamedTuple):
    """What may be told of the rows, by segment; everybody, if there are several, stands last."""

    names: list[str]
    people: list[People]  # what the model implies
    samples: list[Sample]  # made-up people, or bands
    amounts: Array  # money per year
    at: NDArray[np.bool_]  # where those above an amount are told, shape (sample, amount)
    whole: list[bool]  # whether the mean is the rows': not where one patient outweighs all others
    rows_known: bool  # False where only bands are known


def amounts_for(samples: Sequence[Sample]) -> Array:
    """Round amounts from small bills to the costliest few."""
    everybody = together(samples)
    low = float(everybody.isf(0.9 * everybody.p_user))
    high = 2 * float(everybody.isf(min(10 / everybody.rows, 0.5)))
    return np.array(round_amounts(max(low, 1.0), max(high, 2.0)))


def told_of(fits: Sequence[SegmentFit], population: Population, how: Options, edges: Array | None = None) -> Told:
    """What may be told of the rows, or of bands with these edges."""
    names, people = [fit.name for fit in fits], [one_segment(fit.severity, fit.p_user) for fit in fits]
    if edges is not None:
        samples, cuts = [fit.sample for fit in fits], [edges.tolist()] * len(fits)
        whole = [True] * len(fits)
    else:
        groups = [groups_of(fit.sample.tempered(), how.smallest) for fit in fits]
        samples, cuts = [one.sample for one in groups], [list(one.cuts) for one in groups]
        whole = [not dominated(fit.sample.spent()) for fit in fits]
    amounts = np.unique([d for fit, met in zip(fits, cuts, strict=True) for d in (*fit.sample.cuts, *met)])
    above = np.array([sample.n_above(amounts) for sample in samples])
    at = np.array([np.isin(amounts, met) for met in cuts]) & (above >= how.smallest)
    if len(samples) > 1:
        many = above.sum(axis=0)
        at = np.vstack([at, (many >= how.smallest) & ((above * at).sum(axis=0) >= _MOSTLY * many)])
        samples.append(together(samples))
        whole.append(all(whole))
        people.append(People(population))
        names.append(EVERYBODY if EVERYBODY not in names else "all together")
    return Told(names, people, samples, amounts, at, whole, edges is None)


def table(told: Told, how: Options) -> xr.Dataset:
    """Figures fitted and observed (nan where too few patients), by segment and of everybody, and their difference."""
    labels = measures.names(how.thresholds)
    at = [int(np.searchsorted(told.amounts, d)) for d in how.thresholds]
    known = np.stack([measures.may_be_told(sample, how.thresholds, how.smallest) for sample in told.samples])
    known[:, len(labels) - 4 * len(at) :] &= np.repeat(told.at[:, at], 4, axis=1)
    known &= np.array(told.whole)[:, None]
    if not told.rows_known:
        known &= np.array([not name.startswith(_OF_ROWS) for name in labels])
    spreads = [measures.difference_error(sample, how.thresholds, how.seed) / 2 for sample in told.samples]
    spread = _six(np.where(known & told.rows_known, spreads, np.nan))
    seen = _six(np.where(known, [measures.observed(sample, how.thresholds) for sample in told.samples], np.nan))
    with np.errstate(all="ignore"):
        fitted = _six([people.implied(how.thresholds) for people in told.people])
        miss = (fitted - seen) / spread
    dims = ("segment", "measure")
    goodness = xr.Dataset(
        {"observed": (dims, seen), "observed_se": (dims, spread), "fitted": (dims, fitted), "miss": (dims, miss)},
        coords={
            "segment": told.names,
            "measure": labels,
            "measure_unit": ("measure", measures.units(how.thresholds)),
            "measure_threshold": ("measure", measures.places(how.thresholds)),
        },
    )
    return declared(goodness, "goodness")


_OF_ROWS = ("sd", "cv", "share of cost")  # figures that bands do not tell


def _six(rows: Iterable[Array]) -> Array:
    return np.array([[figures(float(x)) for x in row] for row in rows])


def curves(told: Told, how: Options, currency: str = "GBP") -> xr.Dataset:
    """What the pictures show: exceedance, limited means, concentration and quantile cells, fitted and observed."""
    each = zip(told.samples, told.people, told.at, told.whole, strict=True)
    rows = [_curves_of(*one, told, how) for one in each]
    found = xr.Dataset(
        {name: (("segment", dim), _six([row[name] for row in rows])) for name, dim in _CURVES.items()},
        coords={"segment": told.names, "amount": told.amounts, "people_share": list(LEVELS)},
    )
    return declared(found, "fitted_curves", currency=currency)


_AGAINST = {"p_above": "amount", "limited_mean": "amount", "top_share": "people_share", "cell_mean": "people_share"}
_CURVES = {f"{kind}_{what}": dim for what, dim in _AGAINST.items() for kind in ("observed", "fitted")} | {
    f"observed_{what}_se": dim for what, dim in _AGAINST.items()
}


def _curves_of(
    sample: Sample, people: People, at: NDArray[np.bool_], whole: bool, told: Told, how: Options
) -> dict[str, Array]:
    """A segment's figures by variable, with the standard errors of those observed; nan where they are suppressed."""
    amounts, known = told.amounts, at & whole
    with np.errstate(all="ignore"):
        top = np.array([people.top_share(q) for q in LEVELS])
        fitted = {
            "fitted_limited_mean": np.array([people.limited(d)[0] for d in amounts]),
            "fitted_p_above": np.array([people.p_above(d) for d in amounts]),
        }
    may = told.rows_known & whole & (np.array(LEVELS) * sample.rows >= how.smallest)
    seen = np.where(may, [sample.top_share(q) for q in LEVELS], np.nan)
    cells = _cell_means(seen, sample.mean, sample.rows, how.smallest)
    lower = _next_levels(seen)

    def errors(where: NDArray[np.bool_], of: Callable[[int], float]) -> Array:
        return np.array([of(k) if here else np.nan for k, here in enumerate(where)])

    return fitted | {
        "observed_p_above": np.where(known, sample.p_above(amounts), np.nan),
        "observed_limited_mean": np.where(known, sample.limited_mean(amounts), np.nan),
        "observed_top_share": seen,
        "fitted_top_share": top,
        "observed_cell_mean": cells,
        "fitted_cell_mean": _cell_means(np.where(np.isnan(seen), np.nan, top), people.mean, sample.rows, how.smallest),
        "observed_p_above_se": errors(known & told.rows_known, lambda k: p_above_error(sample, amounts[k])),
        "observed_limited_mean_se": errors(known & told.rows_known, lambda k: limited_mean_error(sample, amounts[k])),
        "observed_top_share_se": errors(np.isfinite(seen), lambda k: top_share_error(sample, LEVELS[k])),
        "observed_cell_mean_se": errors(np.isfinite(cells), lambda k: cell_mean_error(sample, LEVELS[k], lower[k])),
    }


def _cell_means(top: Array, mean: float, rows: float, smallest: int) -> Array:
    """Mean cost between each level and the next smaller one, the last down to 0."""
    levels = np.array(LEVELS)
    known = np.isfinite(top)
    if not known.any():
        return np.full(levels.size, np.nan)
    lower = _next_levels(top)
    share = np.where(lower > 0, np.append(top[1:], 0.0), 0.0)
    with np.errstate(all="ignore"):
        means = mean * (top - share) / (levels - lower)
    return np.where(known & ((levels - lower) * rows >= smallest) & (means > 0), means, np.nan)


def _next_levels(top: Array) -> Array:
    """The next smaller level of each, 0 for the last that is known."""
    lower = np.append(LEVELS[1:], 0.0)
    known = np.flatnonzero(np.isfinite(top))
    if known.size:
        lower[known[-1]] = 0.0
    return lower


def patients_above(fit: SegmentFit) -> float:
    """Rows above a segment's splice, to the nearest five; nan without one."""
    return np.nan if fit.tail is None else float(rounded_count(float(fit.sample.n_above(fit.tail.at))))


_OF_SPLICES = ("at", "patients", "xi", "xi_se", "modified_scale", "mean_excess", "misfit")


def tail_diagnostics(fits: Sequence[SegmentFit], told: Told, smallest: int) -> xr.Dataset:
    """Shape and mean excess by splice, to be looked at for stability; the last, ``chosen``, is the one taken."""
    rows = [_splices_of(fit, sample, smallest) for fit, sample in zip(fits, told.samples, strict=False)]
    most = max(map(len, rows), default=0)
    values = np.full((len(fits), most, len(_OF_SPLICES)), np.nan)
    for segment, row in enumerate(rows):
        values[segment, : len(row)] = np.reshape(row, (-1, len(_OF_SPLICES)))
    found = xr.Dataset(
        {name: (("segment", "splice"), values[..., place]) for place, name in enumerate(_OF_SPLICES)},
        coords={"segment": [fit.name for fit in fits], "splice": np.arange(most)},
    )
    own = [(f.tail.at, f.tail.shape, f.tail.shape_se, f.tail.credibility) if f.tail else (np.nan,) * 4 for f in fits]
    for position, name in enumerate(("chosen_at", "chosen_xi", "chosen_xi_se", "chosen_credibility")):
        found[name] = ("segment", np.array([figures(float(row[position]), 3) for row in own]))
    found["chosen_patients"] = ("segment", np.array([patients_above(fit) for fit in fits]))
    return declared(found, "tails")


def _splices_of(fit: SegmentFit, told: Sample, smallest: int) -> list[tuple[float, ...]]:
    """The tails above round amounts, which share their patients: counts to the nearest five, others to two figures."""
    if fit.tail is None or fit.family == "bands":
        return []
    found: list[tuple[float, ...]] = []
    for at in splices(fit.sample, smallest):
        if (tail := fit_tail(fit.sample, at)) is not None:
            rows, above = float(rounded_count(float(fit.sample.n_above(at)))), float(told.p_above(at))
            mean_excess = figures(float(told.excess(at)) / above, 3) if above > 0 else np.nan
            shape, error = figures(tail.shape, 2), figures(tail.shape_se, 2)
            scale = figures(tail.scale - tail.shape * at, 2)
            found.append((at, rows, shape, error, scale, mean_excess, figures(tail.misfit, 2)))
    return found


def p_above_error(sample: Sample, amount: float) -> float:
    """Of the share of people who cost more than an amount."""
    chance = float(sample.p_above(amount))
    return _error(sample, np.where(sample.x > amount, 1.0 - chance, -chance), -chance)


def limited_mean_error(sample: Sample, amount: float) -> float:
    """Of E[min(X, amount)], money a year."""
    mean = float(sample.limited_mean(amount))
    return _error(sample, np.minimum(sample.x, amount) - mean, -mean, amount)


def top_share_error(sample: Sample, q: float) -> float:
    """Of the share of cost of the costliest share `q` of people."""
    share = sample.top_share(q)
    top, top_zero = _top(sample, q)
    return _error(sample, (top - share * sample.x) / sample.mean, top_zero / sample.mean)


def cell_mean_error(sample: Sample, q: float, lower: float) -> float:
    """Of the mean cost of the people between the costliest share `q` and a smaller one or 0; money a year."""
    (top, top_zero), (less, less_zero) = _top(sample, q), _top(sample, lower)
    total = sample.mean * (sample.top_share(q) - (sample.top_share(lower) if lower > 0 else 0.0))
    return _error(sample, (top - less - total) / (q - lower), (top_zero - less_zero - total) / (q - lower), sample.mean)


def _top(sample: Sample, q: float) -> tuple[Array, float]:
    """What users and others add to the cost of the costliest share `q`: (x − c)⁺ + q c, with c its smallest cost."""
    if q == 0:
        return np.zeros(sample.x.size), 0.0
    cost = float(sample.isf(q))
    return np.maximum(sample.x - cost, 0.0) + q * cost, q * cost


def _error(sample: Sample, users: Array, others: float, scale: float = 1.0) -> float:
    """The root of the mean square of what each row does to a figure, over their number; nan for none."""
    squares = np.append(sample.w2 * users**2, sample.zero_w2 * others**2)
    error = math.sqrt(float(squares.sum())) / sample.weight
    return figures(error, _FIGURES) if error > _NO_SPREAD * scale else math.nan
