"""Fitted beside observed: the table of figures, the curves to look at, and the tail's diagnostics. Safe to be shown.

Nothing here tells fewer than `smallest` patients apart, nor lets them be had by subtraction: between two amounts at
which a segment's patients are told there lie none or `smallest` and more, and where one segment is silent another is
too, so that the sum over all does not give it away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...ledger import MONEY, describe_variable
from ..model import Population
from . import curve_errors, measures
from .choose import Options, SegmentFit
from .disclosure import figures, round_amount
from .measures import People, one_segment
from .sample import Sample, together
from .segments import EVERYBODY
from .tails import stability

Array = NDArray[np.float64]
Told = NDArray[np.bool_]

LEVELS = (
    0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001, 0.00005,
)  # fmt: skip
"""Shares of people, the costliest, at which concentration is told."""
_AMOUNTS = 40


class _Cast:
    """Segments and everybody: samples and what the model implies of them."""

    def __init__(self, fits: Sequence[SegmentFit], population: Population) -> None:
        self.alone = len(fits) == 1
        self.samples: list[Sample] = [fit.sample for fit in fits]
        self.people = [one_segment(fit.severity, fit.p_user) for fit in fits]
        self.names = [fit.name for fit in fits]
        if not self.alone:
            self.samples.append(together(self.samples))
            self.people.append(People(population))
            self.names.append(EVERYBODY if EVERYBODY not in self.names else "all together")


def amounts_for(fits: Sequence[SegmentFit], thresholds: Sequence[float]) -> Array:
    """Round amounts from small bills to the costliest few, thresholds and splices among them."""
    everybody = together([fit.sample for fit in fits])
    low = float(everybody.isf(0.9 * everybody.p_user))
    high = 2 * float(everybody.isf(min(10 / everybody.rows, 0.5)))
    grid = [round_amount(d) for d in np.geomspace(max(low, 1.0), max(high, 2.0), _AMOUNTS)]
    splices = [fit.tail.at for fit in fits if fit.tail is not None]
    return np.array(sorted({*grid, *thresholds, *splices}))


def may_tell_above(samples: Sequence[Sample], amounts: Array, first: Sequence[float], smallest: int) -> Told:
    """Whether the patients above an amount may be told, shape (sample, amount); everybody, if there, stands last.

    Parameters
    ----------
    samples : sequence of Sample
    amounts : ndarray, shape (amount,)
    first : sequence of float
        Amounts that go before the others.
    smallest : int
    """
    told = np.stack([_alone(sample, amounts, first, smallest) for sample in samples])
    if len(samples) < 3:
        return told if len(samples) == 1 else told & told[:1]
    counts = np.stack([sample.n_above(amounts) for sample in samples[:-1]])
    for column in range(amounts.size):
        _hide_one_more(told[:, column], counts[:, column], smallest)
    order = sorted(range(amounts.size), key=lambda p: (amounts[p] not in first, p))
    _hide_small_rests(told, counts, np.array([sample.users for sample in samples[:-1]]), order, smallest)
    return told


def _hide_one_more(told: Told, counts: Array, smallest: int) -> None:
    """Where everybody less the told segments leaves one segment, or too few patients, hide the smallest told one."""
    hidden = ~told[:-1] & (counts > 0)
    if not told[-1] or not hidden.any() or (hidden.sum() > 1 and counts[hidden].sum() >= smallest):
        return
    others = np.where(told[:-1], counts, np.inf)
    told[int(np.argmin(others)) if np.isfinite(others).any() else -1] = False


def _hide_small_rests(told: Told, counts: Array, users: Array, order: Sequence[int], smallest: int) -> None:
    """Hide everybody where, less the told segments, too few patients of the others stand between two amounts.

    Parameters
    ----------
    told : ndarray of bool, shape (sample, amount)
        Changed in its last row, everybody's.
    counts : ndarray, shape (segment, amount)
    users : ndarray, shape (segment,)
    order : sequence of int
        Amounts by place, those that go before the others first.
    smallest : int
    """
    silent = ~told[:-1] & (counts > 0)
    for some in np.unique(silent.T, axis=0):
        if not some.any():
            continue
        # what the rest have in all is known wherever none but they are silent
        within = (~silent | some[:, None]).all(axis=0)
        here = (silent == some[:, None]).all(axis=0)
        rest, given = counts[some].sum(axis=0), [0.0, float(users[some].sum())]
        for column in sorted(order, key=lambda p: bool(here[p])):
            if not (within[column] and told[-1, column]):
                continue
            if here[column] and not _apart(float(rest[column]), given, smallest):
                told[-1, column] = False
            else:
                given.append(float(rest[column]))


def _alone(sample: Sample, amounts: Array, first: Sequence[float], smallest: int) -> NDArray[np.bool_]:
    counts = sample.n_above(amounts)
    given = [0.0, sample.users, *_counts_of_shares(sample, measures.TOP, smallest)]
    told = np.zeros(amounts.size, bool)
    order = sorted(range(amounts.size), key=lambda p: (amounts[p] not in first, p))
    shares = _counts_of_shares(sample, LEVELS, smallest)
    for position in order:
        if amounts[position] not in first and shares:
            given += [share for share in shares if _apart(share, given, smallest)]
            shares = []
        enough = counts[position] >= smallest and _apart(float(counts[position]), given, smallest)
        if enough and not sample.dominated(1, float(amounts[position])):
            told[position] = True
            given.append(float(counts[position]))
    return told


def _apart(count: float, given: Sequence[float], smallest: int) -> bool:
    """Whether between these patients and any others that are told lie none, or enough."""
    gaps = np.abs(np.array(given) - count)
    return bool(np.all((gaps == 0) | (gaps >= smallest)))


def _counts_of_shares(sample: Sample, shares: Sequence[float], smallest: int) -> list[float]:
    """Patients among the costliest shares of people, where they are enough."""
    return [q * sample.rows for q in shares if q * sample.rows >= smallest and not sample.top_dominated(q)]


def told_shares(sample: Sample, amounts: Array, told: NDArray[np.bool_], smallest: int) -> NDArray[np.bool_]:
    """Which of `LEVELS` may be told beside the told amounts: the difference of both is the cost of those in between."""
    may = _counts_of_shares(sample, LEVELS, smallest)
    given = np.unique(sample.n_above(amounts[told])).tolist()
    return np.array([q * sample.rows in may and _apart(q * sample.rows, given, smallest) for q in LEVELS])


def table(
    fits: Sequence[SegmentFit],
    population: Population,
    how: Options,
    told: Told,
    amounts: Array,
    rows_known: bool = True,
) -> xr.Dataset:
    """Figures fitted and observed, by segment and of everybody.

    Returns
    -------
    xarray.Dataset
        Dims ``segment`` and ``measure``; `observed` (nan where too few patients), `observed_se`, `fitted`, and
        `miss`, their difference in standard errors.
    """
    cast = _Cast(fits, population)
    labels = measures.names(how.thresholds)
    at = [int(np.searchsorted(amounts, d)) for d in how.thresholds]
    known = np.stack([measures.may_be_told(sample, how.thresholds, how.smallest) for sample in cast.samples])
    known[:, len(labels) - 4 * len(at) :] &= np.repeat(told[:, at], 4, axis=1)
    spreads = [name.startswith("sd up to") for name in labels]
    known[:, spreads] &= curve_errors.squares_told(cast.samples, amounts, told)[:, at]
    if not rows_known:
        known &= np.array([not name.startswith(_OF_ROWS) for name in labels])
    for column in range(len(labels)):
        # what one segment hides, the sum over all must not give away
        if not labels[column].startswith("share of cost") and (~known[:-1, column]).sum() == 1:
            known[-1, column] = False
    observed, fitted, error = [], [], []
    for row, (sample, people) in enumerate(zip(cast.samples, cast.people, strict=True)):
        seen = measures.observed(sample, how.thresholds)
        spread = measures.difference_error(sample, how.thresholds, how.seed) / 2
        observed.append(np.where(known[row], seen, np.nan))
        error.append(np.where(known[row] & rows_known, spread, np.nan))
        with np.errstate(all="ignore"):
            fitted.append(people.implied(how.thresholds))
    seen_, spread_, fitted_ = _six(observed), _six(error), _six(fitted)
    with np.errstate(all="ignore"):
        miss = (fitted_ - seen_) / spread_
    dims = ("segment", "measure")
    goodness = xr.Dataset(
        {"observed": (dims, seen_), "observed_se": (dims, spread_), "fitted": (dims, fitted_), "miss": (dims, miss)},
        coords={"segment": cast.names, "measure": labels},
    )
    for name, unit, sentence in (
        ("observed", "see measure", "of the rows; nan where it rests on too few patients"),
        ("observed_se", "see measure", "standard error of the observed figure, from random halves"),
        ("fitted", "see measure", "implied by the model, exactly"),
        ("miss", "1", "fitted less observed, in standard errors"),
    ):
        goodness[name].attrs.update(units=unit, long_name=sentence)
    return goodness


_OF_ROWS = ("sd", "cv", "share of cost")
"""Figures that bands do not tell."""


def _six(rows: Sequence[Array]) -> Array:
    return np.array([[figures(float(x)) for x in row] for row in rows])


def curves(
    fits: Sequence[SegmentFit],
    population: Population,
    how: Options,
    told: Told,
    amounts: Array,
    rows_known: bool = True,
    currency: str = "GBP",
) -> xr.Dataset:
    """What the pictures show: exceedance, limited means, concentration and quantile cells, fitted and observed.

    Returns
    -------
    xarray.Dataset
        Dims ``segment``, ``amount`` (money a year) and ``people_share`` (the costliest, fractions). `cell_mean` is the
        mean cost of the people between a share and the next smaller one. Each `observed_` figure has a sibling with
        `_se`, its standard error; what is fitted is exact for the model.
    """
    cast = _Cast(fits, population)
    parts: dict[str, list[Array]] = {name: [] for name in _CURVES}
    squares = curve_errors.squares_told(cast.samples, amounts, told)
    for row, (sample, people) in enumerate(zip(cast.samples, cast.people, strict=True)):
        known = told[row]
        with np.errstate(all="ignore"):
            limited = np.array([people.limited(d)[0] for d in amounts])
            above = np.array([people.p_above(d) for d in amounts])
            top = np.array([people.top_share(q) for q in LEVELS])
        may = rows_known & told_shares(sample, amounts, known, how.smallest)
        seen = np.where(may, [sample.top_share(q) for q in LEVELS], np.nan)
        cells = _cell_means(seen, sample.mean, sample.rows, how.smallest)
        parts["observed_p_above"].append(np.where(known, sample.p_above(amounts), np.nan))
        parts["fitted_p_above"].append(above)
        parts["observed_limited_mean"].append(np.where(known, sample.limited_mean(amounts), np.nan))
        parts["fitted_limited_mean"].append(limited)
        parts["observed_top_share"].append(seen)
        parts["fitted_top_share"].append(top)
        parts["observed_cell_mean"].append(cells)
        parts["fitted_cell_mean"].append(
            _cell_means(np.where(np.isnan(seen), np.nan, top), people.mean, sample.rows, how.smallest)
        )
        for name, error in _errors(sample, amounts, known & rows_known, squares[row] & rows_known, seen, cells).items():
            parts[name].append(error)
    found = xr.Dataset(
        {name: (("segment", _CURVES[name]), _six(rows)) for name, rows in parts.items()},
        coords={"segment": cast.names, "amount": amounts, "people_share": list(LEVELS)},
    )
    money = MONEY.format(currency=currency)
    for name in _CURVES:
        unit = "1" if "share" in name or "p_above" in name else money
        describe_variable(found[name], unit, _sentence(name))
    describe_variable(found["segment"], "1", "people with one cost distribution")
    describe_variable(found["amount"], money, "a person's annual cost")
    describe_variable(found["people_share"], "1", "share of people, the costliest")
    return found


def _errors(
    sample: Sample, amounts: Array, known: Told, squares: Told, shares: Array, cells: Array
) -> dict[str, Array]:
    """Standard errors of a segment's observed figures by variable; nan where the figure or its squares are not told."""
    lower = _next_levels(shares)
    tail = curve_errors.tail_told(sample, amounts, squares)

    def where(told: Told, error: Callable[[int], float]) -> Array:
        return np.array([error(k) if here else np.nan for k, here in enumerate(told)])

    return {
        "observed_p_above_se": where(known, lambda k: curve_errors.p_above_error(sample, amounts[k])),
        "observed_limited_mean_se": where(squares, lambda k: curve_errors.limited_mean_error(sample, amounts[k])),
        "observed_top_share_se": where(
            np.isfinite(shares) & tail, lambda k: curve_errors.top_share_error(sample, LEVELS[k])
        ),
        "observed_cell_mean_se": where(
            np.isfinite(cells) & (tail | (lower > 0)),
            lambda k: curve_errors.cell_mean_error(sample, LEVELS[k], float(lower[k])),
        ),
    }


_SENTENCES = {
    "p_above": ("amount", "share of people who cost more than the amount"),
    "limited_mean": ("amount", "mean cost a head up to the amount"),
    "top_share": ("people_share", "share of cost of the costliest share of people"),
    "cell_mean": ("people_share", "mean cost of the people between this share and the next smaller one"),
}
_KINDS = {
    "observed_{}": "{}, in the rows; nan where it rests on too few patients",
    "observed_{}_se": "standard error, rows taken as independent: {}; nan where it is not known or not told",
    "fitted_{}": "{}, exact for the model",
}
_CURVES = {kind.format(what): dim for what, (dim, _) in _SENTENCES.items() for kind in _KINDS}


def _sentence(name: str) -> str:
    found = {
        kind.format(what): told.format(said) for what, (_, said) in _SENTENCES.items() for kind, told in _KINDS.items()
    }
    return found[name]


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


def patients_above(fits: Sequence[SegmentFit], amounts: Array, told: Told) -> list[float]:
    """Patients above each segment's splice: their number where it may be told, else to the nearest ten; nan without."""
    found = []
    for fit, row in zip(fits, told, strict=False):
        count = float(fit.sample.n_above(fit.tail.at)) if fit.tail is not None else np.nan
        exact = fit.tail is not None and bool(row[amounts == fit.tail.at].any())
        found.append(count if exact else round(count, -1))
    return found


def tail_diagnostics(fits: Sequence[SegmentFit], smallest: int, patients: Sequence[float]) -> xr.Dataset:
    """Shape and mean excess by splice, to be looked at for stability; the last, ``chosen``, is the one taken.

    Returns
    -------
    xarray.Dataset
        Dims ``segment`` and ``splice`` (a number); `at` and `mean_excess` are money a year; `patients` is to the
        nearest ten.
    """
    names = ("at", "patients", "shape", "shape_se", "modified_scale", "mean_excess", "misfit")
    rows = [stability(fit.sample, smallest) if fit.tail is not None and fit.family != "bands" else [] for fit in fits]
    most = max([len(row) for row in rows], default=0)
    values = {name: np.full((len(fits), most), np.nan) for name in names}
    for segment, row in enumerate(rows):
        for position, splice in enumerate(row):
            for name in names:
                number = splice[name]
                values[name][segment, position] = round(number, -1) if name == "patients" else figures(number, 3)
    # `shape` is an attribute of every Dataset
    renamed = {"shape": "xi", "shape_se": "xi_se"}
    found = xr.Dataset(
        {renamed.get(name, name): (("segment", "splice"), v) for name, v in values.items()},
        coords={"segment": [fit.name for fit in fits], "splice": np.arange(most)},
    )
    own = [(f.tail.at, f.tail.shape, f.tail.shape_se, f.tail.credibility) if f.tail else (np.nan,) * 4 for f in fits]
    for position, name in enumerate(("chosen_at", "chosen_xi", "chosen_xi_se", "chosen_credibility")):
        found[name] = ("segment", np.array([figures(float(row[position]), 3) for row in own]))
    found["chosen_patients"] = ("segment", np.array(patients))
    return found
