"""Families that are composed of others, however far apart these lie: against scipy's closed forms, part by part."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import diagonal
from pydantic import TypeAdapter
from scipy import special

import simulator as sim
from simulator.costs import tables
from simulator.costs.families.union import AnySeverity
from simulator.costs.quadrature import Moments, panel_moments

ANY = TypeAdapter(AnySeverity)
ORDERS = np.arange(3)


# ── an oracle that shares no code: a law is a list of (weight, closed form, low, high, shift) ─────


class LognormalForm:
    def __init__(self, mean, cv):
        self.figures = {"family": "lognormal", "mean": mean, "cv": cv}
        self.sigma = math.sqrt(math.log(1 + cv**2))
        self.mu = math.log(mean) - self.sigma**2 / 2

    def above(self, x):
        """E[Xᵏ; X > x], k = 0, 1, 2."""
        score = math.inf if x <= 0 else (self.mu - math.log(x)) / self.sigma
        return np.exp(ORDERS * self.mu + (ORDERS * self.sigma) ** 2 / 2) * special.ndtr(score + ORDERS * self.sigma)


class GammaForm:
    def __init__(self, mean, cv):
        self.figures = {"family": "gamma", "mean": mean, "cv": cv}
        self.shape, self.scale = cv**-2, mean * cv**2

    def above(self, x):
        raw = np.array([1.0, self.shape, self.shape * (self.shape + 1)]) * self.scale**ORDERS
        return raw * special.gammaincc(self.shape + ORDERS, max(x, 0.0) / self.scale)


class ParetoForm:
    def __init__(self, scale, alpha):
        self.figures = {"family": "pareto", "scale": scale, "alpha": alpha}
        self.scale, self.alpha = scale, alpha

    def above(self, x):
        x = max(x, self.scale)
        return self.alpha * self.scale**self.alpha * x ** (ORDERS - self.alpha) / (self.alpha - ORDERS)


class ExponentialForm:
    """A gpd of shape 0."""

    def __init__(self, scale):
        self.figures = {"family": "gpd", "shape": 0.0, "scale": scale}
        self.scale = scale

    def above(self, x):
        y = max(x, 0.0) / self.scale
        return np.exp(-y) * np.array([1.0, y + 1, y**2 + 2 * y + 2]) * self.scale**ORDERS


def above(law, x):
    total = np.zeros(3)
    for weight, form, low, high, shift in law:
        start = max(x - shift, low)
        if start < high:
            m = form.above(start) - (form.above(high) if math.isfinite(high) else 0.0)
            total += weight * np.array([m[0], m[1] + shift * m[0], m[2] + 2 * shift * m[1] + shift**2 * m[0]])
    return total


def simple(rng):
    mean, cv = 10 ** rng.uniform(2, 5.5), math.exp(rng.uniform(math.log(0.01), math.log(3)))
    form = (LognormalForm if rng.random() < 0.6 else GammaForm)(mean, cv)
    return form.figures, [(1.0, form, 0.0, math.inf, 0.0)]


def mixture(rng, parts):
    share = rng.dirichlet(np.full(len(parts), 0.5)) * (1 - 0.001 * len(parts)) + 0.001
    if len(parts) == 2 and rng.random() < 0.5:
        share = np.array([0.99, 0.01])
    figures = {
        "family": "mixture",
        "components": [{"weight": w, "severity": part[0]} for w, part in zip(share.tolist(), parts, strict=True)],
    }
    return figures, [(w * piece[0], *piece[1:]) for w, (_, law) in zip(share, parts, strict=True) for piece in law]


def splice(rng, body, tail):
    """The body up to a cost inside its range; an excess, a power tail, or another law given that it lies above."""
    mean = above(body[1], 0.0)[1]
    at = float(mean * 10 ** rng.uniform(-0.3, 0.5))
    left = above(body[1], at)[0]
    reached = above(tail[1], at)[0]
    if not 1e-3 < left < 0.999 or reached < 1e-3:
        return body
    kind = rng.integers(4)
    if kind == 0:
        form = ExponentialForm(at * 10 ** rng.uniform(-1, 1))
        beyond = form.figures, [(left, form, 0.0, math.inf, at)]
    elif kind == 1:
        form = ParetoForm(at, rng.uniform(2.2, 5))
        beyond = {"family": "pareto", "alpha": form.alpha}, [(left, form, 0.0, math.inf, 0.0)]
    else:
        beyond = tail[0], [(w * left / reached, f, max(lo, at - sh), hi, sh) for w, f, lo, hi, sh in tail[1]]
    cut = [(w, f, lo, min(hi, at - sh), sh) for w, f, lo, hi, sh in body[1]]
    pieces = [piece for piece in [*cut, *beyond[1]] if piece[2] < piece[3]]
    return {"family": "spliced", "body": body[0], "tail": beyond[0], "at": at}, pieces


def drawn(seed):
    rng = np.random.default_rng(seed)

    def laws(n):
        return [simple(rng) for _ in range(n)]

    kind = seed % 4
    if kind == 0:
        return mixture(rng, laws(rng.integers(2, 7)))
    if kind == 1:
        return splice(rng, *laws(2))
    if kind == 2:
        return mixture(rng, [splice(rng, *laws(2)) for _ in range(rng.integers(2, 4))])
    return splice(rng, mixture(rng, laws(rng.integers(2, 5))), mixture(rng, laws(2)))


def worst_error(seed, moments_of=Moments):
    figures, law = drawn(seed)
    moments = moments_of(ANY.validate_python(figures))
    raw = above(law, -1.0)
    found, wanted = list(moments.raw[:3]), list(raw)
    for limit in raw[1] * np.array([0.1, 0.5, 1.0, 2.0, 10.0]):
        beyond = above(law, limit)
        for k in (1, 2):
            found.append(moments.below(limit)[k] + limit**k * moments.above(limit)[0])
            wanted.append(raw[k] - beyond[k] + limit**k * beyond[0])
            found.append(moments.above(limit)[k] + raw[k])  # a tail mean, to the scale of the whole
            wanted.append(beyond[k] + raw[k])
    return float(np.max(np.abs(np.array(found) / wanted - 1)))


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(12))
def test_moments_and_limited_means_are_the_closed_forms(seed):
    assert worst_error(seed) < 1e-9


@pytest.mark.slow
def test_moments_and_limited_means_of_five_hundred_laws():
    assert max(worst_error(seed) for seed in range(500)) < 1e-9


class ByQuantileAlone:
    """One mesh over the whole quantile function: what misses the steep piece between two parts."""

    def __init__(self, severity):
        edges = np.concatenate([[1.0], -np.expm1(-np.arange(40, 0, -1) * math.log(2)), 2.0 ** -np.arange(2, 60)])
        self.raw = panel_moments(severity, edges[:-1], edges[1:]).sum(axis=1)


def test_the_bound_notices_a_quadrature_of_the_whole():
    severity = ANY.validate_python(EXAMPLE)
    assert Moments(severity).raw[1] == pytest.approx(1_295.0, rel=1e-12)
    assert abs(ByQuantileAlone(severity).raw[1] / 1_295.0 - 1) > 1e-3


# ── the tables that are drawn from ───────────────────────────────────────────────────────────────


def of_table(table, limit):
    """Chance of a cost above a limit, and mean of the lesser of the two, of what a table draws."""

    def straight(a, b, low, high, mass):
        ends = np.sort(np.stack([a + b * low, a + b * high]), axis=0)
        width = np.maximum(ends[1] - ends[0], 1e-300)
        share = np.where(ends[1] > ends[0], np.clip((ends[1] - limit) / width, 0, 1), ends[0] > limit)
        over = np.where(
            ends[1] > ends[0], np.clip(ends[1] - limit, 0, width) ** 2 / (2 * width), np.maximum(ends[0] - limit, 0)
        )
        # a cell wholly above
        over = np.where(ends[0] >= limit, ends.mean(axis=0) - limit, over)
        return float(mass @ share), float(mass @ (ends.mean(axis=0) - over))

    floor = (table.body >> np.uint64(32)).astype(float) * table.body_unit
    width = (table.body & np.uint64(0xFFFFFFFF)).astype(float) * table.body_unit
    n = floor.size
    found = np.array(straight(floor, width, np.zeros(n), np.ones(n), np.full(n, (1 - table.p_large) / n)))
    octave = np.repeat(2.0 ** -np.arange(tables.TAIL_OCTAVES, 0, -1), tables.CELLS_PER_OCTAVE)
    chance = table.p_large * np.append(2.0**-tables.TAIL_OCTAVES, octave / tables.CELLS_PER_OCTAVE)
    a, b, split, c, d = table.tail.T
    at = np.minimum(split, 1.0)
    found += straight(a, b, np.zeros_like(at), at, chance * at)
    return found + straight(c, d, at, np.ones_like(at), chance * (1 - at))


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(("seed", "cut"), diagonal([2, 8], [0.3, 3.0]))
def test_tables_draw_the_mean_and_the_costs_above_the_cut(seed, cut):
    figures, law = drawn(seed)
    severity, raw = ANY.validate_python(figures), above(law, -1.0)
    limit = cut * raw[1]
    beyond, table = above(law, limit), tables.build(severity, limit)
    p_above, limited = of_table(table, limit)
    assert limited == pytest.approx(raw[1] - beyond[1] + limit * beyond[0], rel=1e-6)
    assert p_above == pytest.approx(beyond[0], rel=1e-4)
    assert of_table(table, math.inf)[1] == pytest.approx(raw[1], rel=1e-8)


# ── every page tells the same mean ───────────────────────────────────────────────────────────────

EXAMPLE = {
    "family": "mixture",
    "components": [
        {"weight": 0.99, "severity": {"family": "lognormal", "mean": 500.0, "cv": 1.0}},
        {"weight": 0.01, "severity": {"family": "lognormal", "mean": 80_000.0, "cv": 0.2}},
    ],
}


def example():
    return sim.Scenario.model_validate(
        {
            "schema_version": 1,
            "title": "Two kinds of users",
            "currency": "GBP",
            "population": {"segments": [{"name": "all", "share": 1.0, "severity": EXAMPLE}]},
            "simulation": {
                "replicates": 2_000, "population_sizes": [5_000], "thresholds": [10_000, 80_000, math.inf], "seed": 7
            },
        }
    )  # fmt: skip


@pytest.mark.heavy
def test_check_the_budget_and_the_self_check_agree():
    scenario, mean, cv = example(), 1_295.0, 6.244
    second = 0.99 * 500.0**2 * 2 + 0.01 * 80_000.0**2 * 1.04
    assert cv == pytest.approx(math.sqrt(second / mean**2 - 1), abs=5e-4)
    told = sim.describe(scenario)
    assert told["mean"] == pytest.approx(mean, rel=1e-10)
    assert told["cv"] == pytest.approx(math.sqrt(second / mean**2 - 1), rel=1e-10)
    # the costliest hundredth is the dear kind, but for what overlaps
    assert told["top_share"]["0.01"] == pytest.approx(800.0 / mean, abs=2e-4)
    answer = sim.exact(scenario)
    np.testing.assert_allclose(answer["budget"].sel(threshold=math.inf), 5_000 * mean, rtol=1e-10)
    summary = sim.summarise(sim.simulate(scenario, progress=False))
    assert summary.attrs["check"] == "passed"
    np.testing.assert_allclose(summary["budget"].values, answer["budget"].values, rtol=1e-12)
    assert np.abs(summary["z_n_above"].values[np.isfinite(summary["z_n_above"].values)]).max() < 5
