"""Quantile tables: every cell has its family's mean and variance, and no body claim is above the cut."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import oracles
import pytest
from conftest import FAMILIES, diagonal
from pydantic import TypeAdapter
from scipy import integrate

from simulator.costs import tables
from simulator.costs.families.composite import Empirical
from simulator.costs.families.heavy_tails import Pareto
from simulator.costs.families.two_figures import Lognormal
from simulator.costs.families.union import AnySeverity
from simulator.costs.quadrature import Moments

ANY = TypeAdapter(AnySeverity)
CUTS = {"low": 0.5, "middle": 0.05, "high": 0.002}


def family(name):
    return ANY.validate_python(FAMILIES[name])


@cache
def built(name, chance):
    """The tables of a family, cut where a claim is exceeded with this chance."""
    severity = family(name)
    return tables.build(severity, float(severity.isf(chance)))


def body_cells(table):
    """Floor and width of the body cells in money."""
    floor, width = (table.body >> np.uint64(32)).astype(float), (table.body & np.uint64(0xFFFFFFFF)).astype(float)
    return floor * table.body_unit, width * table.body_unit


def line_moments(a, b, low, high):
    """∫ (a + b·t)ᵏ dt over low < t < high, k = 0, 1, 2."""
    t1, t2, t3 = high - low, (high**2 - low**2) / 2, (high**3 - low**3) / 3
    return np.array([t1, a * t1 + b * t2, a**2 * t1 + 2 * a * b * t2 + b**2 * t3])


def tail_cells(table):
    """Chance and ∫ xᵏ of each cell, given a large claim, from the rarest up."""
    a, b, split, c, d = table.tail.T
    at = np.minimum(split, 1.0)
    inside = line_moments(a, b, np.zeros_like(at), at) + line_moments(c, d, at, np.ones_like(at))
    octave = np.repeat(2.0 ** -np.arange(tables.TAIL_OCTAVES, 0, -1), tables.CELLS_PER_OCTAVE)
    chance = np.concatenate([[2.0**-tables.TAIL_OCTAVES], octave / tables.CELLS_PER_OCTAVE])
    return chance, chance * inside


def moments_of(table):
    """E[Xᵏ], k = 0, 1, 2, of what the kernel draws from the tables."""
    floor, width = body_cells(table)
    t = np.arange(tables._PARTS) / tables._PARTS
    t1, t2 = t.mean(), (t**2).mean()
    body = np.array([1.0, (floor + width * t1).mean(), (floor**2 + 2 * floor * width * t1 + width**2 * t2).mean()])
    return (1 - table.p_large) * body + table.p_large * tail_cells(table)[1].sum(axis=1)


LOOSER = {
    "empirical": 1e-3,  # a body cell with a jump from far below cannot spread as it should without going below 0
    "mixture": 1e-7,  # of the mesh of `Moments`, beside a gap between its parts
    "pareto": 1e-6,  # the last cell, rarer than 2⁻⁵⁸, has a cv that no uniform above 0 has
}


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(("name", "where"), diagonal(sorted(FAMILIES), sorted(CUTS), 2))
def test_tables_have_the_mean_and_the_variance_of_the_family(name, where):
    table, raw = built(name, CUTS[where]), Moments(family(name)).raw
    found = moments_of(table)
    assert found[0] == pytest.approx(1, abs=1e-12)
    assert found[1] == pytest.approx(raw[1], rel=1e-8)
    if math.isfinite(raw[2]):
        assert found[2] == pytest.approx(raw[2], rel=LOOSER.get(name, 1e-8))


@pytest.mark.parametrize("name", ["lognormal", "pareto native", "burr", "weibull"])
def test_tail_cells_have_the_conditional_mean_and_variance(name):
    severity, law = family(name), oracles.law_of(FAMILIES[name])
    table = tables.build(severity, float(severity.isf(0.01)))
    chance, inside = tail_cells(table)
    upper = np.cumsum(chance)
    for cell in (700, 2_000, 3_000, 3_600, 3_712):
        low, high = table.p_large * upper[cell - 1], table.p_large * upper[cell]
        wanted = [
            integrate.quad(lambda s, k=k: float(law.isf(s)) ** k, low, high, epsrel=1e-12, epsabs=0)[0] / (high - low)
            for k in (1, 2)
        ]
        mean, square = inside[1:, cell] / chance[cell]
        assert mean == pytest.approx(wanted[0], rel=1e-8)
        assert square - mean**2 == pytest.approx(wanted[1] - wanted[0] ** 2, rel=1e-3), (
            "a difference of nearly equal squares"
        )


@pytest.mark.parametrize("name", ["lognormal", "gamma", "spliced excess"])
def test_body_cells_have_the_conditional_mean(name):
    severity, law = family(name), oracles.law_of(FAMILIES[name])
    table = tables.build(severity, float(severity.isf(0.05)))
    floor, width = body_cells(table)
    edges = np.linspace(1.0, table.p_large, tables.BODY_CELLS + 1)
    for cell in (0, 1, 300, 800, 1_022):
        wanted = integrate.quad(lambda s: float(law.isf(s)), edges[cell + 1], edges[cell], epsrel=1e-11, epsabs=0)[
            0
        ] / (edges[cell] - edges[cell + 1])
        assert floor[cell] + width[cell] / 2 == pytest.approx(wanted, rel=1e-7, abs=2 * table.body_unit)


@pytest.mark.parametrize(("name", "where"), diagonal(sorted(FAMILIES), sorted(CUTS)))
def test_no_body_claim_is_above_the_cut(name, where):
    severity = family(name)
    cut = float(severity.isf(CUTS[where]))
    table = built(name, CUTS[where])
    floor, width = body_cells(table)
    largest_t = (tables._PARTS - 1) / tables._PARTS
    assert np.all(floor + width * largest_t <= cut + 2 * table.body_unit)
    least, at_or_above = (
        chance + (1 - chance) / 1_024 for chance in (float(severity.sf(cut)), float(severity.sf(np.nextafter(cut, 0))))
    )
    # an atom at the cut may be drawn among the large claims, nothing below it
    assert least * (1 - 1e-12) <= table.p_large <= at_or_above + 1 / 1_024
    if name != "empirical":
        assert table.p_large == pytest.approx(least, rel=1e-12)


@pytest.mark.heavy
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_capped_costs_of_the_tables_are_those_of_the_family(name):
    severity = family(name)
    moments = Moments(severity)
    table = built(name, 0.05)
    chance, inside = tail_cells(table)
    a, b, split, c, d = table.tail.T
    for survival in (0.02, 0.003, 1e-5):
        cost = float(severity.isf(survival))
        # cells wholly above and wholly below; the one that holds the threshold is left out on both sides
        highest = np.maximum(np.maximum(a, a + b), np.where(split < 1, np.maximum(c, c + d), 0))
        lowest = np.minimum(
            np.minimum(a, a + b * np.minimum(split, 1)), np.where(split < 1, np.minimum(c + d * split, c + d), np.inf)
        )
        sure, maybe = lowest > cost, highest > cost
        above = moments.above(cost)
        for k in (0, 1):
            low, high = (table.p_large * inside[k][which].sum() for which in (sure, maybe))
            assert low * (1 - 1e-9) - 1e-12 <= above[k] <= high * (1 + 1e-9) + 1e-12, (name, survival)
        assert table.p_large * chance[maybe & ~sure].sum() <= survival / 16, (
            "few claims lie in the cell of the threshold"
        )


def test_a_value_of_the_data_stands_unrounded_in_the_tail():
    values = [7.0, 25.7, 99.9, 300.1, 33_333.3, 60_000.7]
    table = tables.build(Empirical(values=values, weights=[1, 8, 5, 9.7, 0.2, 0.1]), 99.9)
    a, b, split, c, d = table.tail.T
    found = set(a[b == 0]) | set(c[(d == 0) & (split < 1)])
    assert found == {99.9, 300.1, 33_333.3, 60_000.7}
    assert np.mean(b == 0) == 1, "no cell blurs two values"


def test_a_cell_with_a_jump_is_split_there():
    severity = Empirical(values=[1.0, 5_000.0], weights=[0.995, 0.005])
    table = tables.build(severity, 1.0)
    split = table.tail[table.tail[:, 2] < 1]
    jump = [row for row in split if row[0] != row[3]]
    assert len(jump) == 1 and set(jump[0][[0, 3]]) == {5_000.0, 1.0}
    _, inside = tail_cells(table)
    assert table.p_large * inside[1].sum() == pytest.approx(25.0 + table.p_large - 0.005, rel=1e-10)


def test_a_cut_below_every_cost_leaves_no_body():
    table = tables.build(Pareto(scale=500.0, alpha=3.0), 100.0)
    assert table.p_large == 1 and not table.body.any()
    assert moments_of(table)[1] == pytest.approx(750.0, rel=1e-9)


@pytest.mark.parametrize("cut", [1e-300, 1e-6, 0.5, 2.0, 5.0, 20.0])
def test_a_cut_far_below_nearly_every_cost_still_has_tables(cut):
    table = tables.build(Lognormal(mean=4_000.0, cv=1.2), cut)
    assert moments_of(table)[1] == pytest.approx(4_000.0, rel=1e-8)


def test_users_without_cost_make_a_body_of_zeros():
    severity = Empirical(quantiles={0: 0.0, 0.7: 0.0, 1: 900.0})
    table = tables.build(severity, 0.0)
    floor, width = body_cells(table)
    assert not floor.any() and not width.any()
    assert moments_of(table)[1] == pytest.approx(0.3 * 450.0, rel=1e-9)


def test_the_hash_sees_every_number():
    table = tables.build(Lognormal(mean=1_000.0, cv=2.0), 5_000.0)
    base = tables.digest([table])
    assert tables.digest([tables.build(Lognormal(mean=1_000.0, cv=2.0), 5_000.0)]) == base
    body, tail = table.body.copy(), table.tail.copy()
    body[17] ^= np.uint64(1)
    tail[99, 1] = np.nextafter(tail[99, 1], 0)
    others = [
        table._replace(p_large=np.nextafter(table.p_large, 0)),
        table._replace(body_unit=np.nextafter(table.body_unit, 0)),
        table._replace(body=body),
        table._replace(tail=tail),
    ]
    assert len({base, *(tables.digest([other]) for other in others), tables.digest([table, table])}) == 6
