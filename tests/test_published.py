"""Sizes that the literature names, beside ours."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import ROOT

import simulator as sim
from simulator.analysis.size.published import FINDINGS


@pytest.fixture(scope="module")
def scenario():
    return sim.load(ROOT / "configs" / "east_sussex_shock.toml").with_simulation(thresholds=(25_000.0, math.inf))


@pytest.fixture(scope="module")
def answer(scenario):
    return sim.beside_published(scenario)


def test_a_smaller_pool_needs_a_wider_margin(answer):
    assert answer["people"].values.tolist() == [10_000, 30_000, 100_000]
    assert (answer["margin"].diff("source") < 0).all()
    assert (answer["margin"].sel(risk="luck and shocks") > answer["margin"].sel(risk="luck")).all()


def test_pooling_three_years_would_divide_the_margin_by_the_root_of_three(answer):
    one, three = answer["margin"].sel(risk="luck", threshold=25_000.0).values[:2]
    assert one / three == pytest.approx(math.sqrt(3), rel=0.02)
    both = answer["margin"].sel(risk="luck and shocks", threshold=25_000.0).values
    assert both[0] / both[1] < 0.95 * math.sqrt(3)  # what hits everybody is not averaged out


def test_the_figures_that_the_documentation_prints(answer):
    luck = answer["margin"].sel(risk="luck", threshold=math.inf).values
    both = answer["margin"].sel(risk="luck and shocks", threshold=math.inf).values
    assert luck == pytest.approx([0.057, 0.032, 0.017], abs=0.001)
    assert both == pytest.approx([0.062, 0.041, 0.030], abs=0.001)


@pytest.mark.heavy
def test_the_margin_is_passed_in_one_year_of_twenty(answer, scenario):
    margins = answer["margin"].sel(risk="luck and shocks").isel(source=2).values
    p = sim.exact(scenario.resized((FINDINGS[2][1],)), margins=margins)["p_overspend"].values[0]
    assert np.diag(p) == pytest.approx(0.05, abs=1e-5)
