"""From bands, as commissioners publish them: how many people cost between two amounts, and how much in all.

The body is a quantile function that passes through every edge and keeps every band's total. The tail is a generalized
Pareto law with the mean excess of the rows and the shape most likely for the numbers in the upper bands.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from ...costs.families.base import Severity
from ...costs.families.composite import Empirical
from ...numerals import figures
from ...rows.columns.figures import figures_of
from ...rows.layout import Layout
from ...rows.names import Said
from ...rows.read import read
from ...rows.table import Headers, Pick
from ..choose import SegmentFit, p_user_told
from ..laws.spliced import with_tail
from ..laws.tails import HIGHEST_SHAPE, LOWEST_SHAPE, Tail
from .sample import Array, Sample
from .segments import assign, parse_rule

SAID = Said("the file of costs", "the bands", many=True)
COLUMNS = ("band_low", "band_high", "n", "total")
_TAIL_BANDS = 3  # the tail starts at the highest edge above which there are so many bands
_TAIL_SHARE = 0.25  # but never where more than this share of users lies above


class Bands(NamedTuple):
    """One segment's bands of users, ascending, and the number of people without cost."""

    low: Array  # money per year
    high: Array  # money per year; the last may be infinite
    n: Array
    total: Array  # money
    zero: float

    @property
    def sample(self) -> Sample:
        """Everybody at his band's mean: exact at the edges, and nowhere else."""
        return Sample(self.total / self.n, self.n, self.n, self.n, self.zero, self.zero, self.zero)


def read_bands(
    source: Any, segment: str | None, smallest: int, layout: Layout
) -> tuple[list[str], list[Bands], list[str]]:
    """Names of the segments, the bands of each, and what was done to the rows."""
    rule = parse_rule(segment)

    def choose(headers: Headers) -> list[Pick]:
        numbers = [Pick(name, headers.only(name, SAID), True, name in ("n", "total")) for name in COLUMNS]
        return [*numbers, *([Pick(rule.column, headers.only(rule.column, SAID))] if rule.column else [])]

    table = read(source, choose, layout, SAID)
    columns = figures_of(table, COLUMNS, SAID)
    codes, names = assign(rule, table.columns, table.size)
    return names, [_bands(columns, codes == code, smallest) for code in range(len(names))], table.notes


def _bands(columns: dict[str, NDArray[Any]], here: NDArray[np.bool_], smallest: int) -> Bands:
    low, high, n, total = (np.asarray(columns[name], float)[here] for name in COLUMNS)
    high = np.where(np.isnan(high), np.inf, high)
    sound = np.isfinite(np.stack([low, n, total])).all(axis=0) & (low >= 0) & (n >= 0) & (n == np.floor(n))
    if not sound.all():
        mend = "give amounts and whole counts of 0 or more"
        raise SAID.of_rows("hold something that is no amount or no count", mend)
    if np.any((n > 0) & (n < smallest)):
        raise SAID.of_rows(f"hold fewer than {smallest} people in some band", "merge it with its neighbour")
    order = np.argsort(high, kind="stable")
    low, high, n, total = low[order], high[order], n[order], total[order]
    none = high == 0
    zero = float(n[none].sum())
    low, high, n, total = (part[~none & (n > 0)] for part in (low, high, n, total))
    if n.size < 2:
        raise SAID.of_rows("are fewer than two with anybody in them", "give more bands")
    if np.any(low[1:] < high[:-1]):
        raise SAID.of_rows("overlap", "let each begin where the one below ends")
    mean = total / n
    if np.any((mean <= low) | (mean >= high)):
        raise SAID.of_rows("have a total that its number of people cannot have", "check the units of the totals")
    return Bands(low, high, n, total, zero)


def fit_bands_of(name: str, bands: Bands) -> SegmentFit:
    """The law of one segment."""
    sample, tail = bands.sample, _tail(bands)
    body = _body(bands, tail.at if tail is not None else None)
    severity: Severity = body if tail is None else with_tail(body, tail.at, tail.severity)
    return SegmentFit(name, sample, severity, p_user_told(sample), "bands", None, tail)


def _body(bands: Bands, at: float | None) -> Empirical:
    share = bands.n / bands.n.sum()
    level, table = 0.0, {0.0: figures(float(bands.low[0]))}
    for low, high, part, mean in zip(bands.low, bands.high, share, bands.total / bands.n, strict=True):
        if at is not None and low >= at:
            break
        # two straight pieces through the band's mean have that mean if they meet here
        inside = (high - mean) / (high - low)
        if level > 0 and low > table[max(table)]:
            table[figures(level * (1 + 1e-9), 10)] = figures(low)
        table[figures(level + inside * part, 10)] = figures(mean)
        level += part
        table[1.0 if at is None and level > 1 - 1e-9 else figures(level, 10)] = figures(high)
    if at is not None:
        table[1.0] = 2 * at
    return Empirical(quantiles=table)


def _tail(bands: Bands) -> Tail | None:
    """None where the top band is closed and so is its own end."""
    if math.isfinite(bands.high[-1]):
        return None
    above = np.cumsum(bands.n[::-1])[::-1] / bands.n.sum()
    first = max(bands.n.size - _TAIL_BANDS, int(np.argmax(above <= _TAIL_SHARE)), 1)
    first = min(first, bands.n.size - 1)
    at = float(bands.low[first])
    n, edges = bands.n[first:], bands.low[first:] - at
    mean = float((bands.total[first:] - at * n).sum() / n.sum())
    patients = float(n.sum())
    if n.size == 1:
        # one band tells the mean excess and nothing of the shape
        return Tail(at, 0.0, mean, 1.0, patients, 0.0, True)

    def likelihood(shape: float) -> float:
        survival = stats.genpareto.sf(edges, c=shape, scale=mean * (1 - shape))
        chance = survival - np.append(survival[1:], 0.0)
        return -float(n @ np.log(np.maximum(chance, 1e-300)))

    found = optimize.minimize_scalar(likelihood, bounds=(LOWEST_SHAPE, HIGHEST_SHAPE), method="bounded")
    shape, step = float(found.x), 0.02
    curvature = (likelihood(shape + step) - 2 * likelihood(shape) + likelihood(shape - step)) / step**2
    error = 1 / math.sqrt(curvature) if curvature > 0 else 1.0
    return Tail(at, shape, mean * (1 - shape), error, patients, 0.0, bool(found.success))
