"""Integrals over quantile functions against closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import oracles
import pytest
from conftest import FAMILIES, every
from pydantic import TypeAdapter
from scipy import integrate, stats

from simulator.costs.families.composite import Empirical
from simulator.costs.families.heavy_tails import Pareto
from simulator.costs.families.two_figures import Gamma, Lognormal
from simulator.costs.families.union import AnySeverity
from simulator.costs.quadrature import Moments, cell_moments, panel_moments

ORDERS = np.arange(5)
ANY = TypeAdapter(AnySeverity)
COSTS = np.array([0.01, 1.0, 250.0, 3_000.0, 25_000.0, 400_000.0, 5e7])


def lognormal_above(mu, sigma, cost):
    """E[Xᵏ; X > cost]."""
    k = ORDERS[:, None]
    return np.exp(k * mu + k**2 * sigma**2 / 2) * stats.norm.cdf((mu + k * sigma**2 - np.log(cost)) / sigma)


@pytest.mark.parametrize(("mu", "sigma"), [(6.5, 1.6), (8.0, 0.3), (3.0, 2.6)])
def test_partial_moments_of_a_lognormal(mu, sigma):
    moments, above = Moments(Lognormal(mu=mu, sigma=sigma)), lognormal_above(mu, sigma, COSTS)
    raw = np.exp(ORDERS * mu + ORDERS**2 * sigma**2 / 2)
    np.testing.assert_allclose(moments.raw, raw, rtol=1e-10)
    np.testing.assert_allclose(moments.above(COSTS), above, rtol=1e-8, atol=1e-290)
    np.testing.assert_allclose(moments.below(COSTS), raw[:, None] - above, rtol=1e-8, atol=1e-12 * raw[:, None].max())


def test_limited_moments_of_a_lognormal():
    mu, sigma = 6.5, 1.6
    moments = Moments(Lognormal(mu=mu, sigma=sigma))
    for order in (1, 2):
        limited = moments.below(COSTS)[order] + COSTS**order * moments.above(COSTS)[0]
        score = (np.log(COSTS) - mu) / sigma
        closed = math.exp(order * mu + order**2 * sigma**2 / 2) * stats.norm.cdf(score - order * sigma)
        closed += COSTS**order * stats.norm.sf(score)
        np.testing.assert_allclose(limited, closed, rtol=1e-10)


@pytest.mark.parametrize("alpha", [1.01, 1.2, 1.6, 2.05, 2.6, 4.02, 7.0])
def test_partial_moments_of_a_pareto_infinite_ones_included(alpha):
    moments = Moments(Pareto(scale=300.0, alpha=alpha))
    finite = alpha > ORDERS
    with np.errstate(divide="ignore", invalid="ignore"):
        closed = np.where(finite, alpha * 300.0**ORDERS / (alpha - ORDERS), np.inf)
    np.testing.assert_allclose(moments.raw, closed, rtol=1e-9)
    costs = np.array([400.0, 30_000.0, 1e7])
    above = moments.above(costs)
    for k in ORDERS:
        if finite[k]:
            np.testing.assert_allclose(above[k], alpha * 300.0**alpha * costs ** (k - alpha) / (alpha - k), rtol=1e-8)
        else:
            assert np.all(np.isinf(above[k]))
    below = [alpha * 300.0**alpha * (costs ** (k - alpha) - 300.0 ** (k - alpha)) / (k - alpha) for k in ORDERS]
    np.testing.assert_allclose(moments.below(costs), below, rtol=1e-8)


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("name", every(3, sorted(FAMILIES), 2))
def test_partial_moments_of_every_family_against_brute_force(name):
    law, moments = oracles.law_of(FAMILIES[name]), Moments(ANY.validate_python(FAMILIES[name]))
    if name == "empirical":
        wanted = [
            [np.sum(law.weights * law.values**k * (law.values <= cost)) for cost in (1_000.0, 12_000.0)] for k in ORDERS
        ]
    else:
        wanted = [[_below(law, k, cost) for cost in (1_000.0, 12_000.0)] for k in ORDERS]
    np.testing.assert_allclose(moments.below(np.array([1_000.0, 12_000.0])), wanted, rtol=2e-7)


def _below(law, order, cost):
    """E[Xᵏ; X ≤ cost] by parts: ∫ k·xᵏ⁻¹·(S(x) − S(cost)) dx."""
    left = float(law.sf(cost))
    if order == 0:
        return 1 - left
    points = sorted({p for p in (300.0, 500.0, 2_500.0, 3_000.0, 4_000.0) if p < cost})
    edges = [0.0, *points, cost]
    return sum(
        integrate.quad(
            lambda x: order * x ** (order - 1) * (float(law.sf(x)) - left), a, b, epsabs=0, epsrel=1e-10, limit=300
        )[0]
        for a, b in itertools.pairwise(edges)
    )


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_below_and_above_add_up(name):
    moments = Moments(ANY.validate_python(FAMILIES[name]))
    costs = np.array([0.0, 40.5, 950.25, 2_000.0, 9_000.0, 31_000.0, math.inf])
    finite = np.isfinite(moments.raw)
    total = moments.below(costs) + moments.above(costs)
    np.testing.assert_allclose(
        total[finite], np.broadcast_to(moments.raw[finite, None], total[finite].shape), rtol=1e-9
    )
    assert np.all(moments.above(math.inf) == 0)
    np.testing.assert_array_equal(moments.below(math.inf), moments.raw)


def test_an_atom_at_the_cost_belongs_below():
    moments = Moments(Empirical(values=[10.0, 20.0, 40.0, 80.0]))
    np.testing.assert_allclose(
        moments.below(40.0), [np.sum(np.array([10.0, 20.0, 40.0]) ** k) / 4 for k in ORDERS], rtol=1e-12
    )
    np.testing.assert_allclose(moments.above(40.0), [80.0**k / 4 for k in ORDERS], rtol=1e-12)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_cells_add_up_to_the_whole(name):
    severity = ANY.validate_python(FAMILIES[name])
    edges = np.array([1.0, 0.9, 0.5, 0.31, 0.03, 1e-3, 1e-9])
    panels, starts, panel_edges = cell_moments(severity, edges)
    cells = np.add.reduceat(panels, starts, axis=1)
    np.testing.assert_allclose(cells[0], -np.diff(edges), rtol=1e-10)
    assert np.all(np.isin(edges, panel_edges)) and np.array_equal(panel_edges[starts], edges[:-1])
    moments = Moments(severity)
    if name != "empirical":
        cost = severity.isf(edges[-1])
        np.testing.assert_allclose(cells.sum(axis=1), moments.below(cost), rtol=1e-7)


def test_a_panel_of_no_width_holds_nothing():
    assert np.all(panel_moments(Gamma(shape=2.0, scale=3.0), np.array([0.4]), np.array([0.4])) == 0)
