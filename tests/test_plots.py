"""Pictures: what is drawn is what the Dataset says, with units, errors and provenance, and nothing overlaps."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import LOGNORMAL, every, make
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.text import Text
from printed import number

import simulator as sim
from simulator.analysis.size.places import places
from simulator.contracts.search import Search
from simulator.errors import SimulatorWarning
from simulator.present.figure import percent
from simulator.present.pictures import picture_named
from simulator.present.plots import colours, fonts
from simulator.present.plots.style import MOST_SERIES, _apart, evenly, one_in, percentage, save_figure

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DESIGNS = [
    {
        "name": "half and half",
        "exclusion": {"kind": "cap", "at": 20_000.0},
        "terms": [{"kind": "share", "gain": 0.5, "loss": 0.5}],
    },
    {
        "name": "full risk",
        "parties": [
            {"name": "payer", "funds": 1.0},
            {"name": "hospital", "delivers": 0.6},
            {"name": "community", "delivers": 0.4},
        ],
    },
]
STRESSES = [
    {"name": "prices", "expresses": "dearer", "changes": [{"kind": "inflation", "by": 0.02}]},
    {"name": "wrong baseline", "expresses": "dearer", "changes": [{"kind": "baseline_error", "by": 0.03}]},
]
SEARCH = Search.model_validate(
    {
        "figures": [{"path": "terms[0].gain", "between": [0.0, 1.0]}],
        "limits": [{"party": "provider", "worst": 0.9}],
    }
)
RANGES = [
    {"name": "prices", "change": {"kind": "inflation", "by": 0.0}, "low": -0.01, "high": 0.03},
    {"name": "sick", "change": {"kind": "mean_cost", "segment": "complex", "by": 0.0}, "low": -0.1, "high": 0.1},
]


@pytest.fixture(scope="module")
def scenario() -> sim.Scenario:
    return make(
        simulation={
            "replicates": 200,
            "population_sizes": [500, 1_000, 2_000, 5_000, 10_000],
            "thresholds": [5_000.0, 10_000.0, 20_000.0, 40_000.0, float("inf")],
        },
        shocks=[{"name": "prices", "cv": 0.01}],
        designs=DESIGNS,
        stresses=STRESSES,
        ranges=RANGES,
    )


@pytest.fixture(scope="module")
def calm(scenario: sim.Scenario) -> sim.Scenario:
    """The scenario without its shock, of which exact answers cost a twentieth."""
    return sim.Scenario.model_validate(scenario.model_dump() | {"shocks": []})


@pytest.fixture(scope="module")
def ledger(scenario: sim.Scenario) -> xr.Dataset:
    return sim.simulate(scenario, progress=False)


@pytest.fixture(scope="module")
def summary(ledger: xr.Dataset) -> xr.Dataset:
    return sim.summarise(ledger)


def practices() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    members = rng.integers(800, 20_000, 30)
    cost = members * 1_900.0 * (1 + rng.normal(0, 3, 30) / np.sqrt(members))
    cost[3] *= 1.5
    return pd.DataFrame({"members": members, "cost": cost})


def results() -> pd.DataFrame:
    rng = np.random.default_rng(9)
    people = np.repeat(rng.integers(3_000, 20_000, 40), 4)
    wide = np.repeat(rng.normal(0, 0.03, 40), 4) + rng.normal(0, 2, 160) / np.sqrt(people)
    years = np.tile(np.arange(4), 40)
    return pd.DataFrame({"organisation": np.arange(160) // 4, "year": years, "people": people, "result": wide})


def over_years(scenario: sim.Scenario) -> sim.Scenario:
    years = {"contract": 3, "persistence": {"again_in_top": {0.1: {1: 0.5, 5: 0.45}}}}
    return sim.Scenario.model_validate(scenario.model_dump() | {"years": years})


def settled_years(scenario: sim.Scenario) -> xr.Dataset:
    """A contract of three years with a reserve and an investment."""
    parties = [{"name": "payer", "funds": 1.0}, {"name": "provider", "delivers": 1.0}, {"name": "reserve"}]
    pool = {"kind": "risk_pool", "pool": "reserve", "opening": 0.1, "protects": ["provider"], "carries": True}
    contract, savings = {"investment": {"by": "provider", "set_up": 30_000.0}}, [0.0, 0.02, 0.05]
    design = sim.Design(name="reserve", parties=parties, transfers=[pool], contract=contract, savings=savings)
    return sim.settle(sim.simulate(over_years(scenario), progress=False), design)


def fitted() -> xr.Dataset:
    """Curves of a fit: the errors are a twentieth of what was observed."""
    amounts, shares = np.array([300.0, 1_000.0, 5_000.0, 20_000.0]), np.array([0.5, 0.1, 0.05, 0.01])
    names = ["mild", "severe"]
    falling = np.array([[0.5, 0.2, 0.02, 0.001], [0.9, 0.6, 0.2, 0.02]])
    limited = np.array([[150.0, 300.0, 420.0, 450.0], [280.0, 800.0, 2_200.0, 3_000.0]])
    dims = {"p_above": "amount", "limited_mean": "amount", "top_share": "people_share", "cell_mean": "people_share"}
    values = {"p_above": falling, "limited_mean": limited, "top_share": 1 - falling, "cell_mean": 10 * limited}
    kinds = {"observed_{}": 1.0, "observed_{}_se": 0.05, "fitted_{}": 1.01}
    return xr.Dataset(
        {
            kind.format(name): (("segment", dims[name]), values[name] * times)
            for name in values
            for kind, times in kinds.items()
        },
        coords={"segment": names, "amount": amounts, "people_share": shares},
        attrs={"currency": "GBP", "rows": 12_340, "seed": 7, "smallest_count": 10, "simulator_version": "0.1.0"},
    )


@pytest.fixture(scope="module")
def shown(scenario: sim.Scenario, calm: sim.Scenario, ledger: xr.Dataset, summary: xr.Dataset) -> dict[str, xr.Dataset]:
    """What each picture is drawn from."""
    return {
        "variance_by_size": summary.assign(sim.exact_curve(scenario)),
        "heat_map": summary.assign(sim.minimum_by_target(summary, (0.05,), margin=0.03)),
        "minimum_by_target": sim.minimum_by_target(summary),
        "minimum_population": sim.minimum_population(calm, margin=0.05, at_most=0.2),
        "exceedance_curve": sim.exceedance(ledger, sizes=[500, 1_000, 5_000, 10_000]),
        "fan_by_size": sim.fan(ledger),
        "funnel": sim.funnel(practices(), scenario),
        "threshold_effect": summary,
        "payoff_diagram": sim.payoff(scenario.designs, scenario=scenario),
        "who_bears": sim.compare(sim.settle(sim.simulate(calm, progress=False), calm.designs)),
        "layer_waterfall": sim.layers(ledger, scenario.designs[0]),
        "places": places(
            make(population={"units": [{"name": f"place {k}", "members": 300 * k} for k in (1, 2, 5)]}), 0.1, 0.2
        ),
        "risk_split": sim.variance_by_source(scenario),
        "tornado": sim.sensitivity(calm, points=4),
        "stress_heat_map": sim.stress(scenario, replicates=60),
        "fit_diagnostics": fitted(),
        "frontier": sim.propose(calm, SEARCH, replicates=100, points=16),
        "regression_to_the_mean": sim.persistence(over_years(calm)),
        "pooled_worth": sim.persistence(over_years(calm)),
        "cumulative_surplus": (years := sim.over_years(settled_years(calm))),
        "reserve_fan": years,
        "payback": years,
        "observed_spread": (judged := sim.backtest(results(), calm, deviation="result", after=2, sizes=(8_000,))),
        "pit_histogram": judged,
    }


@pytest.fixture(scope="module")
def untouched(shown: dict[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """The same, before anything is drawn from it."""
    return {name: dataset.copy(deep=True) for name, dataset in shown.items()}


KINDS = [
    "variance_by_size", "heat_map", "minimum_by_target", "minimum_population", "exceedance_curve", "fan_by_size",
    "funnel", "threshold_effect", "payoff_diagram", "who_bears", "layer_waterfall", "places", "risk_split", "tornado",
    "stress_heat_map", "fit_diagnostics", "frontier", "regression_to_the_mean", "pooled_worth",
    "cumulative_surplus", "reserve_fan", "payback",
    "observed_spread",
    "pit_histogram",
]  # fmt: skip


def drawn(name: str, dataset: xr.Dataset, **how: Any) -> list[Axes]:
    found = getattr(sim.plots, name)(dataset, **how)
    return found if isinstance(found, list) else [found]


@pytest.fixture(scope="module")
def once(shown: dict[str, xr.Dataset], untouched: dict[str, xr.Dataset]) -> Callable[[str], tuple[list[Axes], Any]]:
    """A picture that is drawn once for all tests that only look at it, and its figures before anybody looks."""
    return cache(lambda name: (found := drawn(name, shown[name]), _figures(found[0])))


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def said(axes: Axes) -> str:
    return " ".join(text.get_text() for text in axes.figure.findobj(Text)).replace("\n", " ")


# ── every picture ────────────────────────────────────────────────────────────────────────────────


def test_every_public_picture_is_tried_here() -> None:
    panels = {"fit_quantiles", "fit_exceedance", "fit_concentration", "fit_limited_means"}
    assert set(KINDS) | panels == set(sim.plots.__all__)


@pytest.mark.heavy
@pytest.mark.parametrize("name", KINDS)
def test_axes_come_back_with_a_question_units_and_provenance(
    name: str, shown: dict[str, xr.Dataset], once: Callable[[str], tuple[list[Axes], Any]]
) -> None:
    for axes in once(name)[0]:
        assert isinstance(axes, Axes)
        assert axes.get_title(loc="left") and axes.get_xlabel()
        labels = f"{axes.get_xlabel()} {axes.get_ylabel()}"
        assert any(unit in labels for unit in ("people", "%", "GBP", "years", "share", "fitted / observed", "USD"))
    told = said(axes)
    if name != "fit_diagnostics":
        assert f"scenario {shown[name].attrs['scenario_id'][:8]}" in told
        assert "simulated year" in told or "calculated without simulation" in told
        assert "seed 20170401" in told or "calculated without simulation" in told
    assert "simulator 0" in told
    if name == "fit_diagnostics":
        assert "fitted to 12,340 rows · seed 7 · simulator 0.1.0" in told
    assert any(word in told for word in ("95%", "exact", "without simulation", "imulation error", "imulated"))


@pytest.mark.heavy
@pytest.mark.parametrize("name", KINDS)
def test_no_words_are_cut_off_or_overlap(name: str, once: Callable[[str], tuple[list[Axes], Any]]) -> None:
    axes = once(name)[0][0]
    assert not overlaps(axes)


def overlaps(axes: Axes) -> list[str]:
    """Words that reach beyond the figure, or over other words, by more than a pixel."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    ticks = {id(label) for each in figure.findobj(Axes) for axis in (each.xaxis, each.yaxis) for label in _hidden(axis)}
    words = [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and id(text) not in ticks
    ]
    room = figure.bbox
    found = [
        f"{told!r} is cut off"
        for told, box in words
        if box.x0 < room.x0 - 1 or box.x1 > room.x1 + 1 or box.y0 < room.y0 - 1 or box.y1 > room.y1 + 1
    ]
    for (first, a), (second, b) in itertools.combinations(words, 2):
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1:
            found.append(f"{first!r} over {second!r}")
    return found


def _hidden(axis: Any) -> list[Text]:
    """Labels of ticks beyond the ends of an axis, which are never drawn."""
    low, high = sorted(axis.get_view_interval())
    room = 1e-9 * (high - low)
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [
        label
        for tick in ticks
        for label in (tick.label1, tick.label2)
        if not low - room <= tick.get_loc() <= high + room
    ]


def test_the_check_of_overlaps_sees_one() -> None:
    _, axes = plt.subplots()
    axes.text(0.5, 0.5, "one")
    axes.text(0.5, 0.5, "other")
    axes.text(2.0, 0.2, "outside")
    assert len(overlaps(axes)) == 2


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("name", every(2, KINDS))
def test_nothing_is_changed_and_the_order_of_dims_does_not_matter(
    name: str,
    untouched: dict[str, xr.Dataset],
    shown: dict[str, xr.Dataset],
    once: Callable[[str], tuple[list[Axes], Any]],
) -> None:
    before = untouched[name]
    first = once(name)[1]
    assert before.identical(shown[name])
    turned = before.transpose(*reversed([str(dim) for dim in before.dims]))
    assert _figures(drawn(name, turned)[0]) == first


def _figures(axes: Axes) -> list[Any]:
    lines = [np.round(np.asarray(line.get_xydata(), float), 9).tolist() for line in axes.lines]
    bars = [tuple(np.round(patch.get_extents().bounds, 6)) for patch in axes.patches]
    return [lines, bars, sorted(text.get_text() for text in axes.texts)]


@pytest.mark.heavy
@pytest.mark.parametrize("name", KINDS)
def test_at_most_four_colours_tell_series_apart(name: str, once: Callable[[str], tuple[list[Axes], Any]]) -> None:
    axes = once(name)[0][0]
    neutral = {colours.INK, colours.GREY, colours.PALE}
    used = {to_hex(line.get_color()).upper() for line in axes.lines} - neutral
    used |= {to_hex(patch.get_facecolor()).upper() for patch in axes.patches}
    assert used <= set(colours.SERIES) and len(used) <= MOST_SERIES


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("name", every(2, [name for name in KINDS if name != "fit_diagnostics"], 1))
def test_a_picture_takes_the_axes_it_is_given(name: str, shown: dict[str, xr.Dataset]) -> None:
    _, ax = plt.subplots(layout="constrained")
    assert drawn(name, shown[name], ax=ax) == [ax]


# ── colours ──────────────────────────────────────────────────────────────────────────────────────


def test_the_palette_reaches_three_to_one_and_words_four_and_a_half() -> None:
    assert contrast_by_hand("#000000", "#FFFFFF") == pytest.approx(21)
    for colour in colours.SERIES:
        assert contrast_by_hand(colour, "#FFFFFF") >= 3
        assert colours.contrast(colour, "#FFFFFF") == pytest.approx(contrast_by_hand(colour, "#FFFFFF"))
    for colour in (*colours.WORDS.values(), colours.INK, colours.GREY):
        assert contrast_by_hand(colour, "#FFFFFF") >= 4.5
    assert contrast_by_hand("#FFDD00", "#FFFFFF") < 3


def contrast_by_hand(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colour_maps_change_lightness_in_equal_steps() -> None:
    light = colours.lightness(np.array(colours.SEQUENTIAL.colors)[:, :3])
    assert light[0] == pytest.approx(100, abs=0.1)
    np.testing.assert_allclose(np.diff(light), np.diff(light).mean(), atol=0.02)
    half = colours.lightness(np.array(colours.DIVERGING.colors)[:, :3])
    assert (np.diff(half[:128]) > 0).all() and (np.diff(half[128:]) < 0).all()
    assert abs(half[0] - half[-1]) < 5
    assert not np.allclose(np.diff(colours.lightness(plt.get_cmap("jet")(np.arange(256))[:, :3])), 0.3, atol=0.3)


def test_words_on_cells_can_be_read() -> None:
    for map_ in (colours.SEQUENTIAL, colours.DIVERGING):
        for cell in map_.colors:
            assert contrast_by_hand(colours.ink_on(to_hex(cell)), to_hex(cell).upper()) >= 4.5


# ── what each draws ──────────────────────────────────────────────────────────────────────────────


def test_variance_by_size_draws_figures_bands_and_the_exact_curve(summary: xr.Dataset, scenario: sim.Scenario) -> None:
    ax = sim.plots.variance_by_size(summary.assign(sim.exact_curve(scenario)))
    lines = {line.get_label(): line for line in ax.lines}
    assert len(lines) == 2 * MOST_SERIES and len(ax.collections) == MOST_SERIES
    np.testing.assert_allclose(lines["no exclusion"].get_ydata(), summary["cv"].isel(threshold=-1))
    band = ax.collections[-1].get_paths()[0].vertices[:, 1]
    last = summary.isel(threshold=-1)
    assert band.max() == pytest.approx(float((last["cv"] + 1.96 * last["cv_se"]).max()))
    exact = lines["exact: no exclusion"]
    at = np.isin(np.asarray(exact.get_xdata()), [500, 10_000])
    wanted = (last["exact_sd"] / last["exact_mean"]).sel(population_size=[500, 10_000])
    np.testing.assert_allclose(np.asarray(exact.get_ydata())[at], wanted, rtol=1e-6)
    assert "cap £5,000" in said(ax) and "200 simulated years" in said(ax)


def test_without_a_curve_the_exact_figures_are_joined(summary: xr.Dataset) -> None:
    ax = sim.plots.variance_by_size(summary, title="mine")
    assert ax.get_title(loc="left") == "mine"
    exact = next(line for line in ax.lines if line.get_label() == "exact: no exclusion")
    np.testing.assert_allclose(exact.get_ydata(), (summary["exact_sd"] / summary["exact_mean"]).isel(threshold=-1))


def cells(chance: list[list[float]], sizes: list[int]) -> xr.Dataset:
    """A summary of 1,000 replicates with these chances of an overspend above 5%, a row a threshold."""
    share = np.array(chance)[..., None]
    by = ("threshold", "population_size", "margin")
    return xr.Dataset(
        {
            "p_overspend": (by, share),
            "p_overspend_se": (by, np.full(share.shape, 0.01)),
            "p_overspend_interval": ((*by, "bound"), np.stack([share - 0.02, share + 0.02], axis=-1)),
        },
        coords={
            "threshold": [5e3, np.inf][: len(chance)],
            "population_size": sizes,
            "margin": [0.05],
            "bound": ["lower", "upper"],
        },
        attrs={"currency": "GBP", "replicates": 1_000},
    )


def contour(ax: Axes) -> np.ndarray:
    return next(np.asarray(line.get_xydata()) for line in ax.lines if line.get_marker() == "None")


def test_the_line_of_the_heat_map_stands_where_the_chance_is_the_target() -> None:
    # 20% and 5% lie at 1,000 and 100,000 people: the target is met at the second size, in the middle of its cell
    made = cells([[0.20, 0.05, 0.01], [0.30, 0.20, 0.05]], [1_000, 10_000, 100_000])
    found = sim.minimum_by_target(made, (0.05,), margin=0.05)
    np.testing.assert_allclose(found["minimum_population"].values, [[10_000, 100_000]])
    ax = sim.plots.heat_map(made.assign(found))
    np.testing.assert_allclose(contour(ax), [[1.5, 0.0], [1.5, 1.0], [2.5, 1.0], [2.5, 2.0]])
    told = [text.get_text() for text in ax.texts if re.fullmatch(r"[\d.]+%", text.get_text())]
    assert sorted(told) == ["1%", "20%", "20%", "30%", "5%", "5%"]  # the error is one of a hundred: no more digits
    assert "5%: to the right is large enough" in said(ax) and "95% intervals" in said(ax)
    (bars,) = [each for each in ax.collections if each.get_label() != "mesh" and hasattr(each, "get_segments")]
    low, high = bars.get_segments()[0][:, 0]
    ends = found["minimum_population_interval"].isel(at_most=0, threshold=0).values
    np.testing.assert_allclose([low, high], np.log10(ends) - 3 + 0.5)
    assert low < 1.5 < high


def test_sizes_that_are_all_enough_or_all_too_few_have_no_line_but_words() -> None:
    for chance, word in ((0.01, "5%: every size is large enough"), (0.3, "5%: no size is large enough")):
        made = cells([[chance, chance]], [1_000, 10_000])
        ax = sim.plots.heat_map(made.assign(sim.minimum_by_target(made, (0.05,), margin=0.05)))
        assert word in said(ax) and all(len(line.get_xdata()) == 0 for line in ax.lines)
    bare = sim.plots.heat_map(made)
    assert "Line" not in said(bare) and not bare.lines


def test_a_line_of_another_margin_or_target_is_refused() -> None:
    made = cells([[0.20, 0.04]], [1_000, 10_000])
    lined = made.assign(sim.minimum_by_target(made, (0.1,), margin=0.05))
    with pytest.raises(sim.SimulatorError, match="at_most"):
        sim.plots.heat_map(lined, at_most=0.05)
    with pytest.raises(sim.SimulatorError, match="margin"):
        sim.plots.heat_map(lined, margin=0.03)
    assert "10%: to the right" in said(sim.plots.heat_map(lined))


@pytest.mark.heavy
def test_an_exact_answer_has_a_heat_map_lines_and_targets_without_errors(
    calm: sim.Scenario, shown: dict[str, xr.Dataset]
) -> None:
    answer = sim.exact(calm)
    ax = sim.plots.variance_by_size(answer.assign(sim.exact_curve(calm)))
    assert len(ax.lines) == MOST_SERIES and not ax.collections and "Calculated without simulation" in said(ax)
    least = sim.minimum_by_target(answer, (0.2,), margin=0.05)
    ax = sim.plots.heat_map(answer.assign(least))
    assert "calculated without simulation" in said(ax) and "±" not in said(ax)
    value, (low, high) = (least[name].values[0, -1] for name in ("minimum_population", "minimum_population_interval"))
    sizes = answer["population_size"].values
    assert low in sizes and high in sizes and low < value < high
    asked = shown["minimum_population"]
    assert value == pytest.approx(float(asked["exact_minimum_population"][-1]), rel=0.03)
    over = answer["p_overspend"].sel(margin=0.05).isel(threshold=-1)
    assert float(over.sel(population_size=low)) > 0.2 >= float(over.sel(population_size=high))
    marked = sim.plots.minimum_by_target(least, at_most=0.2)
    assert "two sizes between which" in said(marked) and "Dotted: the target of 20%" in said(marked)


def test_the_smallest_population_stands_beside_the_exact_one(shown: dict[str, xr.Dataset]) -> None:
    answer = shown["minimum_population"]
    ax = sim.plots.minimum_population(answer)
    rings = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    exact = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "|"]
    inside = np.isfinite(answer["minimum_population"]) & (answer["minimum_population"] > 0)
    np.testing.assert_allclose(rings, answer["minimum_population"].values[inside])
    known = answer["exact_minimum_population"].values
    np.testing.assert_allclose(exact, known[np.isfinite(known) & (known > 0)])
    assert len(rings) > 1 and len(exact) > 1
    never = answer.copy()
    never["systematic_alone"] = xr.full_like(answer["systematic_alone"], 0.31)
    assert "none is enough: 31% however many" in said(sim.plots.minimum_population(never))


def test_minimum_by_target_draws_what_lies_inside(shown: dict[str, xr.Dataset]) -> None:
    answer = shown["minimum_by_target"]
    ax = sim.plots.minimum_by_target(answer)
    least = answer["minimum_population"].isel(threshold=-1).values
    inside = np.isfinite(least) & (least > 0)
    assert inside.any() and not inside.all()
    line = next(line for line in ax.lines if line.get_label() == "no exclusion")
    np.testing.assert_allclose(line.get_ydata(), least[inside])


def test_where_no_size_will_do_the_picture_says_so(shown: dict[str, xr.Dataset]) -> None:
    answer = shown["minimum_by_target"].copy()
    answer["minimum_population"] = xr.full_like(answer["minimum_population"], np.inf)
    assert "targets that 10,000 people do not meet" in said(sim.plots.minimum_by_target(answer))


@pytest.mark.heavy
@pytest.mark.parametrize("least", [0.0, np.inf])
def test_where_every_target_is_met_or_missed_the_picture_can_be_written(
    least: float, shown: dict[str, xr.Dataset], tmp_path: Path
) -> None:
    answer = shown["minimum_by_target"].copy()
    for name in ("minimum_population", "minimum_population_interval"):
        answer[name] = xr.full_like(answer[name], least)
    save_figure(sim.plots.minimum_by_target(answer), tmp_path / "none.png")
    assert (tmp_path / "none.png").stat().st_size > 1_000


def test_the_exceedance_curve_is_drawn_on_years(shown: dict[str, xr.Dataset]) -> None:
    answer = shown["exceedance_curve"]
    ax = sim.plots.exceedance_curve(answer)
    line = next(line for line in ax.lines if line.get_label() == "500")
    chance = answer["p_exceed"].sel(population_size=500).values
    # of 200 years, the largest is an upper limit at 97.5% of those that come at least once in 55 years, and no rarer
    rarest = 1 - 0.025 ** (1 / 200)
    np.testing.assert_allclose(line.get_xdata(), chance[chance >= rarest])
    assert min(line.get_xdata()) > 1 / 200 and "end at 1 in 55" in said(ax)
    for band in ax.collections:
        assert band.get_paths()[0].vertices[:, 0].min() >= rarest - 1e-12
    thin = [np.asarray(line.get_xdata()) for line in ax.lines if line.get_linewidth() < 1]
    assert min(x.min() for x in thin) < rarest  # the exact curve goes on
    assert "5%\n1 in 20" in [label.get_text() for label in ax.get_xticklabels()]
    assert (one_in(0.5), one_in(0.4), one_in(0.001)) == ("1 in 2", "1 in 2.5", "1 in 1,000")


def test_the_fan_draws_every_level_and_its_errors(shown: dict[str, xr.Dataset]) -> None:
    answer = shown["fan_by_size"]
    ax = sim.plots.fan_by_size(answer)
    np.testing.assert_allclose(ax.lines[3].get_ydata(), answer["overspend"].isel(threshold=-1).sel(quantile_level=0.5))
    assert len(ax.collections) == 3 + answer.sizes["quantile_level"]


def test_the_funnel_marks_the_practice_beyond(shown: dict[str, xr.Dataset]) -> None:
    ax = sim.plots.funnel(shown["funnel"])
    beyond = next(line for line in ax.lines if line.get_marker() == "D")
    assert practices()["members"][3] in np.asarray(beyond.get_xdata())
    ordinary = next(line for line in ax.lines if line.get_marker() == "o")
    assert len(np.asarray(beyond.get_xdata())) + len(np.asarray(ordinary.get_xdata())) == 30


def own_mixes() -> xr.Dataset:
    segments = [
        {"name": "well", "share": 0.9, "p_user": 0.7, "severity": LOGNORMAL},
        {"name": "dying", "share": 0.1, "severity": {"family": "lognormal", "mean": 12_000.0, "cv": 0.8}},
    ]
    units = [
        {"name": "hospice", "members": 300, "shares": {"dying": 1.0}},
        {"name": "north", "members": 3_000, "shares": {"well": 1.0}},
        {"name": "south", "members": 3_000, "shares": {"well": 0.8, "dying": 0.2}},
    ]
    return sim.funnel(sim.simulate(make(population={"segments": segments, "units": units}), progress=False))


@pytest.mark.heavy
def test_units_with_mixes_of_their_own_have_bars_of_their_own() -> None:
    answer = own_mixes()
    ax = sim.plots.funnel(answer)
    assert not any(line.get_linestyle() == "--" for line in ax.lines)  # one curve would stand for no unit
    bars = [np.asarray(segment) for group in ax.collections for segment in group.get_segments()]
    drawn_limits = sorted((round(bar[0][1], 9), round(bar[-1][1], 9)) for bar in bars)
    own = answer["practice_limit"].transpose("level", "practice", "bound").values.reshape(-1, 2)
    assert drawn_limits == sorted((round(low, 9), round(high, 9)) for low, high in own)
    assert len({round(float(bar[0][0]), 6) for bar in bars}) == 3  # two of a size stand apart
    told = said(ax)
    assert "own case mix" in told and "each unit" in told and "practice" not in told and "hospice" in told
    assert "of 3 (luck alone: 0.15)" in told
    assert not overlaps(ax)


def test_no_exclusion_has_no_bars_and_is_no_cap(summary: xr.Dataset) -> None:
    labels = [label.get_text() for label in sim.plots.threshold_effect(summary).get_yticklabels()]
    assert labels == ["cap £5,000", "cap £10k", "cap £20k", "cap £40k"]


@pytest.mark.heavy
def test_a_picture_leaves_a_notebooks_interaction_on(tmp_path: Path) -> None:
    # as the backend of a notebook does, this one turns interaction on when it is loaded, which is at the first picture
    (tmp_path / "inline_like.py").write_text(
        "import matplotlib\nfrom matplotlib.backends.backend_agg import *\nmatplotlib.interactive(True)\n"
    )
    code = (
        "from matplotlib import pyplot as plt\n"
        "from simulator.present.plots.style import house_axes, house_style\n"
        "with house_style(): house_axes(None)\n"
        "assert plt.isinteractive()\n"
    )
    where = os.pathsep.join([str(tmp_path), os.getcwd()])
    known = os.environ | {"MPLBACKEND": "module://inline_like", "PYTHONPATH": where}
    subprocess.run([sys.executable, "-c", code], env=known, check=True)


def test_bars_are_as_long_as_what_a_threshold_removes(summary: xr.Dataset) -> None:
    ax = sim.plots.threshold_effect(summary, members=1_000)
    cells = summary.sel(population_size=1_000).isel(threshold=slice(0, 4))
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches[4:8]], cells["cost_removed_share"])


def test_parties_that_share_alike_have_one_line() -> None:
    parties = [{"name": "payer", "funds": 1.0}, *({"name": f"p{k}", "delivers": 0.25} for k in range(4))]
    ax = sim.plots.payoff_diagram(sim.payoff(sim.Design.model_validate({"name": "four", "parties": parties})))
    assert [line.get_label() for line in ax.lines][:1] == ["p0 = p1 = p2 = p3"]


def test_a_payoff_draws_a_gate_upright_and_ticks_are_not_rounded() -> None:
    terms = [{"kind": "minimum_rate", "rate": 0.02}, {"kind": "share", "gain": 0.5, "loss": 0.5}]
    ax = sim.plots.payoff_diagram(sim.payoff(sim.Design.model_validate({"name": "gate", "terms": terms})))
    line = next(line for line in ax.get_lines() if line.get_label() == "provider")
    drawn = np.interp([0.979, 0.981, 0.985], np.asarray(line.get_xdata()), np.asarray(line.get_ydata()))
    assert drawn == pytest.approx([0.0105, 0.0, 0.0], abs=1e-6)
    assert ax.get_xlim() == (0.9, 1.1)
    told = [ax.xaxis.get_major_formatter()(tick, 0) for tick in (0.9, 0.975, 1.0, 1.025, 1.1)]
    assert told == ["90%", "97.5%", "100%", "102.5%", "110%"]


def test_a_payoff_says_what_nobody_bears_whose_line_it_is_and_where_it_is_from() -> None:
    parties = [{"name": "payer", "funds": 1.0}, {"name": "trust", "delivers": 1.0, "variable_share": 0.6}]
    half = sim.Design.model_validate(
        {"name": "half", "parties": parties, "terms": [{"kind": "marginal_rate", "above": 0.3, "below": 0.3}]}
    )
    scenario = make(title="a place")
    told = said(sim.plots.payoff_diagram(sim.payoff(half, scenario=scenario)))
    assert "payer = trust −3%" in told and "half · a place" in told
    assert "At 110%, 4% of the budget is carried by nobody" in told
    assert told.lower().count("without simulation") == 1 and f"scenario {scenario.scenario_id[:8]}" in told
    parties[1].pop("variable_share")
    whole = sim.Design.model_validate({"name": "whole", "parties": parties})
    assert "carried by nobody" not in said(sim.plots.payoff_diagram(sim.payoff(whole, scenario=scenario)))


def test_the_waterfall_names_the_colours_that_occur_and_minus_where_it_is_one(shown: dict[str, xr.Dataset]) -> None:
    answer = shown["layer_waterfall"].copy(deep=True)
    whole = float(answer["amount"].isel(year=0, step=0))
    for amount, colour, other, share in ((-0.0003, "purple", "orange", "−0.03%"), (0.4, "orange", "purple", "40.0%")):
        answer["amount"][{"step": np.flatnonzero(answer["kind"] != "part")[1:]}] = amount * whole
        told = said(sim.plots.layer_waterfall(answer))
        assert f"{colour}: " in told and f"{other}: " not in told and f"· {share}" in told
        assert "Mean of the costliest 5% of years" in told and "1-in-20" not in told


def test_figures_of_one_picture_have_one_form(shown: dict[str, xr.Dataset]) -> None:
    answer = shown["risk_split"].copy(deep=True)
    answer["sd_overspend"][:] = np.resize([0.04, 0.057], answer["sd_overspend"].shape)
    told = said(sim.plots.risk_split(answer)).split()
    assert "4.0%" in told and "4%" not in told and "5.7%" in told
    swings = shown["tornado"].copy(deep=True)
    swings["tornado"][{"input": 0}] = [0.000281, 0.71]
    told = said(sim.plots.tornado(swings)).split()
    assert "0.028%" in told and "71.00%" in told


@pytest.mark.heavy
@pytest.mark.parametrize("name", [name for name in KINDS if name != "fit_diagnostics"])
def test_a_picture_asks_what_the_list_says_that_it_asks(
    name: str, once: Callable[[str], tuple[list[Axes], Any]]
) -> None:
    assert " ".join(once(name)[0][0].get_title(loc="left").split()) == picture_named(name).question


def test_who_bears_draws_both_years(shown: dict[str, xr.Dataset]) -> None:
    compared = shown["who_bears"].isel(population_size=-1)
    ax = sim.plots.who_bears(shown["who_bears"])
    worst = [float(np.asarray(line.get_xdata())[0]) for line in ax.lines if line.get_marker() == "D"]
    wanted = compared["worst_surplus"].sel(quantile_level=0.05, design="full risk", party="hospital")
    assert any(value == pytest.approx(float(wanted)) for value in worst)


def test_bars_of_the_waterfall_are_the_layers(shown: dict[str, xr.Dataset]) -> None:
    answer = shown["layer_waterfall"].sel(year="average")
    ax = sim.plots.layer_waterfall(shown["layer_waterfall"], year="average")
    widths = np.abs([bar.get_width() for bar in ax.patches])
    np.testing.assert_allclose(widths, np.abs(answer["amount"]))
    ends = [round(bar.get_x() + max(bar.get_width(), 0), 3) for bar in ax.patches]
    assert ends[1] == pytest.approx(float(answer["amount"][0]))


def test_shares_of_the_split_are_stacked(shown: dict[str, xr.Dataset]) -> None:
    ax = sim.plots.risk_split(shown["risk_split"])
    share = shown["risk_split"]["share"].isel(threshold=-1).sel(source="process")
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches[:5]], share)
    assert "taken as known" in said(ax)


def test_the_tornado_runs_from_end_to_end(shown: dict[str, xr.Dataset]) -> None:
    answer = shown["tornado"]
    ax = sim.plots.tornado(answer)
    agreed = float(answer["as_agreed"])
    swings = answer["tornado"].sel(end="high") - answer["tornado"].sel(end="low")
    widest = answer["tornado"].isel(input=int(np.argmax(np.abs(swings.values)))).sel(end=["low", "high"]).values
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches[:2]]
    np.testing.assert_allclose(ends, widest)
    assert all(bar.get_x() == pytest.approx(agreed) for bar in ax.patches)


@pytest.mark.heavy
def test_the_tornado_has_no_chance_below_nothing_or_above_certainty(calm: sim.Scenario) -> None:
    wide = [{**RANGES[0], "low": -0.2, "high": 0.3}, RANGES[1]]
    ax = sim.plots.tornado(sim.sensitivity(sim.Scenario.model_validate(calm.model_dump() | {"ranges": wide}), points=4))
    assert ax.get_xlim()[1] > 1 > ax.get_xlim()[0] < 0 and 0 <= min(ax.get_xticks()) < max(ax.get_xticks()) <= 1


def test_cells_of_the_stress_map_tell_the_change(shown: dict[str, xr.Dataset]) -> None:
    answer = shown["stress_heat_map"]
    told = said(sim.plots.stress_heat_map(answer))
    cell = answer.sel(stress="prices", design="full risk", party="hospital")
    value, error = (float(cell[f"surplus_difference_share{end}"]) for end in ("", "_se"))
    shown_there = percent(value, error, sign=True, most=2).brief
    assert value < 0 and abs(number(shown_there)[0] - value) <= error and shown_there in told


def test_parties_that_are_not_drawn_are_those_that_are_named(shown: dict[str, xr.Dataset]) -> None:
    one = shown["cumulative_surplus"].isel(party=[1])
    axes = sim.plots.cumulative_surplus(
        xr.concat([one.assign_coords(party=[f"party {k}"]) for k in range(6)], "party", data_vars="minimal")
    )
    named = said(axes).partition("Not shown: ")[2].partition(".")[0].split(", ")
    drawn = {text.get_text() for text in axes.figure.findobj(Text)}
    assert len(named) == 2 and sum(f"party {k}" in drawn for k in range(6)) == 4 and not set(named) & drawn


def test_dollars_are_money_not_mathematics() -> None:
    compared = sim.compare(sim.settle(sim.simulate(make(currency="USD"), progress=False), sim.Design(name="full risk")))
    ax = sim.plots.who_bears(compared)
    assert all(not text.get_parse_math() for text in ax.texts if "$" in text.get_text())


# ── small parts ──────────────────────────────────────────────────────────────────────────────────


def test_labels_are_moved_apart_and_no_further() -> None:
    assert _apart([0.0, 50.0], 12) == [0.0, 50.0]
    assert _apart([10.0, 10.0, 100.0], 12) == [4.0, 16.0, 100.0]
    assert sorted(np.diff(sorted(_apart([3.0, 1.0, 2.0, 2.5], 12)))) == [12.0, 12.0, 12.0]


@pytest.mark.parametrize(
    ("share", "signed", "told"),
    [
        (0.0431, False, "4.31%"),
        (0.02, True, "+2%"),
        (-0.005, True, "−0.5%"),
        (0.0, True, "0%"),
        (3e-5, False, "below 0.01%"),
    ],
)
def test_percentages_as_people_write_them(share: float, signed: bool, told: str) -> None:
    assert percentage(share, signed) == told


def test_too_many_series_leave_out_the_middle_ones() -> None:
    assert evenly(3) == [0, 1, 2]
    assert evenly(12) == [0, 4, 7, 11]


def test_a_picture_is_written_whole_or_not_at_all(summary: xr.Dataset, tmp_path: Path) -> None:
    draw: Callable[[], Axes] = lambda: sim.plots.variance_by_size(summary)  # noqa: E731
    save_figure(draw(), tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    with pytest.raises(sim.SimulatorError, match="does not exist"):
        save_figure(draw(), tmp_path / "absent" / "a.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]


@pytest.mark.parametrize("name", [one for one in sim.plots.__all__ if not one.startswith("fit_")])
def test_another_dataset_is_refused_with_what_is_needed(name):
    for other in (xr.Dataset(), None):
        with pytest.raises(sim.SimulatorError, match=r"^\w+: is given no \w+; give what `\w+` gave$"):
            getattr(sim.plots, name)(other)


def test_the_two_shares_of_variance_are_told_apart(summary: xr.Dataset, scenario: sim.Scenario) -> None:
    one_persons = str(sim.table(sim.describe(scenario)))
    of_the_total = str(sim.table(summary))
    assert "one person's" in " ".join(one_persons.split()) and "year-to-year variance removed" in of_the_total
    told = said(sim.plots.threshold_effect(summary))
    assert "of the total's variance" in told and "not of one person's cost" in told


# ── odd parts of an answer ───────────────────────────────────────────────────────────────────────

OWN = [kind for kind in KINDS if kind != "fit_diagnostics"]
"""Pictures of answers; a fit's own come with their own checks."""


def odd_parts(dataset: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """One place, a single one without its dim, or none, of each dim; figures none of which is known; nothing."""
    for dim in (dim for dim, size in dataset.sizes.items() if dim != "bound" and size):
        yield f"first {dim}", dataset.isel({dim: [0]})
        yield f"scalar {dim}", dataset.isel({dim: 0})
        yield f"no {dim}", dataset.isel({dim: []})
    yield "unknown", dataset.map(lambda one: one * np.nan if one.dtype.kind == "f" else one, keep_attrs=True)
    yield "nothing", xr.Dataset(attrs=dataset.attrs)


@pytest.mark.heavy
@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", OWN)
def test_an_odd_part_gives_a_picture_or_one_sentence(shown: dict[str, xr.Dataset], name: str, step: int) -> None:
    """Every fourth part of each picture, another fourth for the next picture, and what holds nothing; or all."""
    *parts, unknown, nothing = odd_parts(shown[name])
    tried, refused = [*parts[OWN.index(name) % step :: step], unknown, nothing], []
    for part, dataset in tried:
        try:
            axes = getattr(sim.plots, name)(dataset)
        except sim.SimulatorError as error:
            refused.append(part)
            assert str(error).startswith(f"{name}: ") and len(str(error)) < 200 and "\n" not in str(error), (
                part,
                error,
            )
            continue
        assert axes.has_data(), part
        plt.close(axes.figure)
    assert {"unknown", "nothing"} <= set(refused) and (len(refused) < len(tried) or step > 1)


@pytest.mark.heavy
@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", OWN)
def test_an_odd_part_gives_a_table_or_one_sentence(shown: dict[str, xr.Dataset], name: str, step: int) -> None:
    *parts, unknown, nothing = odd_parts(shown[name])
    for part, dataset in [*parts[(OWN.index(name) + 1) % step :: step], unknown, nothing]:
        try:
            said = str(sim.table(dataset))
        except sim.SimulatorError as error:
            assert len(str(error)) < 200, part
            continue
        assert said.strip() and "nan" not in said.split() and "£nan" not in said, (part, said)


def test_a_figure_that_is_not_drawn_is_not_told_in_the_footer(summary: xr.Dataset) -> None:
    unknown = summary.assign(exact_sd=summary["exact_sd"] * np.nan)
    words = [text.get_text() for text in sim.plots.variance_by_size(unknown).figure.findobj(Text)]
    assert not any("thin dark lines" in word for word in words)
    words = [text.get_text() for text in sim.plots.variance_by_size(summary).figure.findobj(Text)]
    assert any("thin dark lines" in word for word in words)
    plt.close("all")


def test_a_threshold_that_excludes_nobody_has_no_effect_to_draw(summary: xr.Dataset) -> None:
    with pytest.raises(sim.SimulatorError, match="no threshold that excludes anybody"):
        sim.plots.threshold_effect(summary.isel(threshold=[-1]))


# ── letters of every script ──────────────────────────────────────────────────────────────────────


def test_letters_that_no_font_has_are_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(fonts, "_files", dict)
    axes = plt.subplots()[1]
    axes.set_title("東京 हिन्दी")
    with pytest.warns(SimulatorWarning, match="no font of this machine has") as told:
        save_figure(axes, tmp_path / "title.png")
    assert len(told) == 1 and (tmp_path / "title.png").exists()


def test_a_font_that_has_the_letters_is_taken(tmp_path, monkeypatch):
    known = fonts._letters
    monkeypatch.setattr(fonts, "_files", lambda: {"Helper": "helper.ttf"})
    monkeypatch.setattr(fonts, "_letters", lambda file: frozenset("東京") if file == "helper.ttf" else known(file))
    axes = plt.subplots()[1]
    title = axes.set_title("東京")
    with fonts.all_letters(axes.figure):
        assert title.get_fontfamily()[-1] == "Helper"
    plt.close(axes.figure)


def test_observed_spread_draws_what_was_predicted_and_seen_and_no_spread_given_the_past(
    shown: dict[str, xr.Dataset],
) -> None:
    answer = shown["observed_spread"]
    ax = sim.plots.observed_spread(answer)
    *lines, dots = ax.lines
    for line, name in zip(lines, ["luck", "fitted"], strict=True):
        np.testing.assert_allclose(line.get_ydata(), answer["predicted_sd"].sel(model=name))
    np.testing.assert_allclose(dots.get_ydata(), answer["observed_sd"])
    low, high = ax.collections[0].get_segments()[0][:, 1]
    assert high - low == pytest.approx(2 * 1.96 * float(answer["observed_sd_se"][0]))
    falls = np.diff(np.log(answer["predicted_sd"].sel(model="luck").values))
    assert falls == pytest.approx(-np.diff(np.log(answer["people_usual"].values)) / 2, abs=0.1)
