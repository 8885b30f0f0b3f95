"""Scenarios and files that many tests share."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import simulator as sim
from simulator import effort

effort.FIRST = 600.0  # a busy machine makes no test say that it is slow

EXAMPLES = {"ordinary": 4, "slow": 25}
for lane, examples in EXAMPLES.items():
    settings.register_profile(
        lane,
        derandomize=True,
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


def pytest_configure(config):
    """The slow lane tries more examples of every property."""
    settings.load_profile("ordinary" if "not slow" in config.option.markexpr else "slow")


ROOT = Path(__file__).parents[1]

LOGNORMAL = {"family": "lognormal", "mean": 1_000.0, "cv": 2.0}
SPLICED = {
    "family": "spliced",
    "body": {"family": "lognormal", "mean": 4_000.0, "cv": 1.2},
    "tail": {"family": "pareto", "alpha": 4.5},
    "at": 20_000.0,
}
SEGMENTS = [
    {"name": "well", "share": 0.7, "p_user": 0.6, "severity": LOGNORMAL},
    {"name": "complex", "share": 0.3, "p_user": 0.9, "severity": SPLICED},
]
SMALL = {
    "title": "small",
    "simulation": {
        "replicates": 40,
        "population_sizes": [7, 100, 250],
        "thresholds": [5_000.0, 20_000.0, float("inf")],
        "seed": 20170401,
    },
    "population": {"membership": "fixed", "segments": SEGMENTS},
}
UNITS = [
    {"name": "north", "members": 60},
    {"name": "south", "members": 90, "shares": {"well": 0.2, "complex": 0.8}},
    {"name": "old town", "members": 35, "shares": {"complex": 1.0}},
]
RARE = [
    {"name": "transplants", "rate_per_100k": 900.0, "price": {"family": "gamma", "mean": 30_000.0, "cv": 0.4}},
    {
        "name": "prison",
        "rate_per_100k": 2_000.0,
        "price": {"family": "weibull", "shape": 1.3, "scale": 4_000.0},
        "in_scope": False,
    },
]
SETS = [
    {"segment": "well", "p_user": [0.5, 0.6, 0.7], "mean": [900.0, 1_000.0, 1_300.0]},
    {"segment": "complex", "tail.alpha": [4.3, 4.5, 5.5]},
]
SHOCKS = [{"name": "prices", "cv": 0.05}, {"name": "winter", "cv": 0.02}]


def every(step, values, first=0):
    """Values as parameters, every step-th of them ordinary, the rest slow: tests of one subject begin at others."""
    marks = {first: ()}
    return [
        pytest.param(*(one if isinstance(one, tuple) else [one]), marks=marks.get(k % step, pytest.mark.slow))
        for k, one in enumerate(values)
    ]


def diagonal(one, other, step=1):
    """All pairs of two lists as parameters: a diagonal, on which every level stands, is ordinary, the rest slow.

    With a step, of the diagonal too every step-th alone.
    """
    short = min(len(one), len(other))
    return [
        pytest.param(a, b, marks=() if i % short == j % short and max(i, j) % step == 0 else pytest.mark.slow)
        for i, a in enumerate(one)
        for j, b in enumerate(other)
    ]


def of_everybody(shock):
    """The shock without the list of those whom it hits: it hits everybody."""
    return {key: value for key, value in shock.items() if key != "segments"}


def raw(**changes):
    """The small scenario's mapping, with some of its parts changed; `simulation` and `population` are merged."""
    made = copy.deepcopy(SMALL)
    for part in ("simulation", "population"):
        made[part] |= changes.pop(part, {})
    if "units" in made["population"]:
        made["simulation"].pop("population_sizes", None)
    return made | changes


def make(**changes):
    """The small scenario, with some of its parts changed."""
    return sim.Scenario.model_validate(raw(**changes))


def alone(severity, p_user=1.0, **changes):
    """A scenario of one segment."""
    population = {"segments": [{"name": "all", "share": 1.0, "p_user": p_user, "severity": severity}]}
    return make(population=population | changes.pop("population", {}), **changes)


KINDS = {
    "fixed": {},
    "sampled": {"population": {"membership": "sampled"}},
    "shocks": {"shocks": SHOCKS},
    "units": {"population": {"units": UNITS}},
    "units sampled": {"population": {"units": UNITS, "membership": "sampled"}, "shocks": SHOCKS[:1]},
    "rare": {"population": {"rare_services": RARE}, "shocks": SHOCKS[:1]},
    "percentiles by segment": {"simulation": {"thresholds": {"percentiles": [0.95, 0.999, 1.0], "by": "segment"}}},
    "percentiles by population": {
        "simulation": {"thresholds": {"percentiles": [0.95, 0.999], "by": "population"}},
        "shocks": SHOCKS[:1],
    },
    "parameter sets": {"population": {"parameter_sets": SETS, "membership": "sampled"}, "shocks": SHOCKS[:1]},
}
"""One scenario for each thing that the engine does."""


FAMILIES = {
    "lognormal": {"family": "lognormal", "mean": 1_000.0, "cv": 2.0},
    "lognormal native": {"family": "lognormal", "mu": 6.5, "sigma": 1.6},
    "gamma": {"family": "gamma", "mean": 1_500.0, "cv": 1.4},
    "gamma native": {"family": "gamma", "shape": 4.0, "scale": 400.0},
    "weibull": {"family": "weibull", "mean": 1_500.0, "cv": 1.8},
    "weibull native": {"family": "weibull", "shape": 1.5, "scale": 2_000.0},
    "pareto": {"family": "pareto", "mean": 1_500.0, "cv": 0.6},
    "pareto native": {"family": "pareto", "scale": 500.0, "alpha": 4.5},
    "pareto of infinite variance": {"family": "pareto", "scale": 500.0, "alpha": 1.6},
    "lomax": {"family": "lomax", "mean": 1_500.0, "cv": 1.3},
    "lomax native": {"family": "lomax", "scale": 5_000.0, "alpha": 5.0},
    "gpd": {"family": "gpd", "mean": 1_500.0, "cv": 1.2},
    "gpd native": {"family": "gpd", "shape": 0.15, "scale": 1_200.0},
    "gpd exponential": {"family": "gpd", "shape": 0.0, "scale": 1_200.0},
    "gpd bounded": {"family": "gpd", "shape": -0.3, "scale": 3_000.0},
    "burr": {"family": "burr", "mean": 1_500.0, "cv": 1.1, "tail": 5.0},
    "burr native": {"family": "burr", "c": 1.8, "d": 3.0, "scale": 2_500.0},
    "gengamma": {"family": "gengamma", "mean": 1_500.0, "cv": 1.7, "power": 0.6},
    "gengamma native": {"family": "gengamma", "shape": 2.5, "power": 0.7, "scale": 300.0},
    "gengamma of Prentice": {"family": "gengamma", "mu": 6.8, "sigma": 1.1, "q": 0.4},
    "gengamma with a power tail": {"family": "gengamma", "mu": 6.8, "sigma": 0.4, "q": -0.55},
    "gb2": {"family": "gb2", "mean": 1_500.0, "cv": 1.2, "tail": 5.5, "p": 0.7},
    "gb2 native": {"family": "gb2", "a": 1.3, "p": 1.6, "q": 3.5, "scale": 2_000.0},
    "spliced": SPLICED,
    "spliced excess": {
        "family": "spliced",
        "body": {"family": "gamma", "mean": 1_500.0, "cv": 1.4},
        "tail": {"family": "gpd", "shape": 0.2, "scale": 3_000.0},
        "at": 4_000.0,
    },
    "spliced conditional": {
        "family": "spliced",
        "body": {"family": "weibull", "shape": 0.9, "scale": 1_200.0},
        "tail": {"family": "lognormal", "mu": 7.0, "sigma": 1.4},
        "at": 3_000.0,
    },
    "mixture": {
        "family": "mixture",
        "components": [
            {"weight": 0.7, "severity": {"family": "gamma", "mean": 500.0, "cv": 0.8}},
            {"weight": 0.25, "severity": {"family": "pareto", "scale": 2_500.0, "alpha": 5.0}},
            {"weight": 0.05, "severity": {"family": "gpd", "shape": -0.5, "scale": 9_000.0}},
        ],
    },
    "empirical": {
        "family": "empirical",
        "values": [120.0, 40.5, 950.25, 2_000.0, 2_000.0, 8_800.0, 31_000.0],
        "weights": [9, 20, 6, 1.5, 1, 0.5, 0.125],
    },
    "empirical quantiles": {
        "family": "empirical",
        "quantiles": {"0": 0.0, "0.5": 300.0, "0.9": 2_500.0, "0.99": 12_000.0, "1": 60_000.0},
    },
}
"""Typical parameters of every family, declared once."""


@pytest.fixture(params=sorted(KINDS), scope="session")
def any_kind(request):
    """Each kind of scenario in turn."""
    return make(**KINDS[request.param])


@pytest.fixture
def small():
    """Two segments, three sizes, three thresholds, forty replicates."""
    return make()


@pytest.fixture(scope="session")
def data_folder():
    """The folder of public files that some tests read."""
    folder = Path(os.environ.get("SIMULATOR_DATA", ROOT / ".." / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}: set SIMULATOR_DATA")
    return folder


@pytest.fixture
def unpictured(monkeypatch):
    """Reports without their pictures, for tests of their words: drawing costs a second for each."""
    monkeypatch.setattr("simulator.present.report.charts.inline_svg", lambda *_: "<svg></svg>")


@pytest.fixture
def rng():
    """A generator of the tests' own."""
    return np.random.default_rng(20260101)
