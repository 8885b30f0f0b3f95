"""Pictures of a fit: marks with their intervals, exact lines, names beside them, and the footer of all pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import diagonal, every
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from test_plots import fitted, odd_parts, overlaps, said

import simulator as sim
from simulator.fitting.fit import fit_bands
from simulator.present.pictures import PICTURES
from simulator.present.plots import fit_panels
from simulator.present.plots.colours import GREY, SERIES

PANELS = {
    "fit_quantiles": "cell_mean",
    "fit_exceedance": "p_above",
    "fit_concentration": "top_share",
    "fit_limited_means": "limited_mean",
}


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def bars(axes: Axes) -> list[np.ndarray]:
    """Ends of all error bars, shape (bar, end, coordinate), a series each."""
    found = [one.get_segments() for one in axes.collections if isinstance(one, LineCollection)]
    return [np.array([bar for bar in one if len(bar)]).reshape(-1, 2, 2) for one in found]


def marks(axes: Axes) -> list[np.ndarray]:
    return [np.asarray(line.get_xydata()) for line in axes.lines if line.get_marker() not in ("None", None, "")]


def lines(axes: Axes) -> list[np.ndarray]:
    plain = [line for line in axes.lines if line.get_marker() in ("None", None, "")]
    return [np.asarray(line.get_xydata()) for line in plain if to_hex(line.get_color()).upper() != GREY]


@pytest.mark.heavy
def test_marks_stand_at_what_was_observed_with_bars_of_1_96_standard_errors() -> None:
    curves = fitted()
    for name, what in PANELS.items():
        axes = getattr(sim.plots, name)(curves)
        assert len(marks(axes)) == len(bars(axes)) == 2, name
        for segment, (mark, bar) in enumerate(zip(marks(axes), bars(axes), strict=True)):
            part = curves.isel(segment=segment)
            observed, error, fit = (
                part[f"{kind}_{what}{end}"].values
                for kind, end in (("observed", ""), ("observed", "_se"), ("fitted", ""))
            )
            if name == "fit_quantiles":
                np.testing.assert_allclose(mark, np.stack([observed, fit], axis=1))
                np.testing.assert_allclose(bar[:, :, 0], observed[:, None] + 1.96 * error[:, None] * [-1, 1])
                continue
            times = 100.0 if name == "fit_concentration" else 1.0
            expected, half = times * observed, times * 1.96 * error
            if name == "fit_limited_means":
                # of a ratio: fitted / observed, times the relative error of the observed
                expected, half = fit / observed, 1.96 * fit / observed * error / observed
            np.testing.assert_allclose(mark[:, 1], expected)
            high = np.minimum(expected + half, 1.0) if name == "fit_exceedance" else expected + half
            np.testing.assert_allclose(bar[:, :, 1], np.stack([expected - half, high], axis=1))


@pytest.mark.heavy
def test_lines_are_what_is_fitted() -> None:
    curves = fitted()
    for name, times in (("fit_exceedance", 1.0), ("fit_concentration", 100.0)):
        for segment, line in enumerate(lines(getattr(sim.plots, name)(curves))):
            np.testing.assert_allclose(line[:, 1], times * curves[f"fitted_{PANELS[name]}"].values[segment])


@pytest.mark.heavy
def test_a_point_without_an_error_is_marked_without_a_bar() -> None:
    curves = fitted()
    curves["observed_p_above_se"][0, 1] = np.nan
    axes = sim.plots.fit_exceedance(curves)
    assert len(marks(axes)[0]) == 4 and len(bars(axes)[0]) == 3
    assert "Where there is no bar" in said(axes)


@pytest.mark.heavy
def test_curves_of_an_earlier_version_are_drawn_and_said_to_have_no_errors() -> None:
    curves = fitted()
    earlier = curves.drop_vars([str(name) for name in curves if str(name).endswith("_se")])
    earlier.attrs.clear()
    axes = sim.plots.fit_diagnostics(earlier, "USD")
    assert "errors of what was observed are not known" in said(axes[0]) and "1.96" not in said(axes[0])
    assert "USD" in axes[0].get_xlabel()
    assert all(len(marks(one)) == 2 and not any(len(bar) for bar in bars(one)) for one in axes)


@pytest.mark.heavy
@pytest.mark.parametrize("name", PANELS)
def test_names_stand_beside_the_lines_in_their_colour_and_not_in_a_legend(name: str) -> None:
    axes = getattr(sim.plots, name)(fitted())
    assert axes.get_legend() is None
    beside = {text.get_text() for text in axes.texts} & {"mild", "severe"}
    assert beside == {"mild", "severe"}


@pytest.mark.heavy
def test_the_currency_is_the_fits_and_may_be_given() -> None:
    curves = fitted().assign_attrs(currency="EUR")
    assert "EUR a year" in sim.plots.fit_exceedance(curves).get_xlabel()
    assert "SEK a year" in sim.plots.fit_exceedance(curves, "SEK").get_xlabel()
    assert "SEK a year" in sim.plots.fit_exceedance(curves, currency="SEK", ax=plt.subplots()[1]).get_xlabel()
    assert "EUR" in sim.plots.fit_diagnostics(curves)[0].get_ylabel()


@pytest.mark.heavy
@pytest.mark.parametrize("name", PANELS)
def test_a_panel_alone_has_a_question_a_footer_and_the_axes_it_is_given(name: str) -> None:
    _, ax = plt.subplots(layout="constrained")
    axes = getattr(sim.plots, name)(fitted(), ax=ax)
    assert axes is ax and axes.get_title(loc="left").endswith("?")
    told = said(axes)
    assert "95% intervals" in told and "exact for the model" in told and "fitted to 12,340 rows · seed 7" in told


@pytest.mark.parametrize("name", [*PANELS, "fit_diagnostics"])
@pytest.mark.parametrize("other", [xr.Dataset(), None])
def test_another_dataset_is_refused_in_one_sentence(name: str, other: Any) -> None:
    with pytest.raises(sim.SimulatorError, match=r"is given no observed_p_above; give what `fit\(…\).curves` gave"):
        getattr(sim.plots, name)(other)


# ── of real fits ─────────────────────────────────────────────────────────────────────────────────


def rows(segments: int, people: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(segments)
    place = random.integers(0, segments, people * segments)
    return pd.DataFrame(
        {
            "cost": random.lognormal(5.5 + 0.3 * place, 1.2) * (random.random(place.size) < 0.8),
            "need": [f"need level {k}, {'in their own homes' if k % 2 else 'in residential care'}" for k in place],
        }
    )


def bands() -> pd.DataFrame:
    costs = np.random.default_rng(12).lognormal(6.4, 1.4, 20_000)
    edges = np.array([0, 300, 1_000, 3_000, 10_000, np.inf])
    place = np.searchsorted(edges, costs) - 1
    return pd.DataFrame(
        {"band_low": edges[:-1], "band_high": edges[1:], "n": np.bincount(place), "total": np.bincount(place, costs)}
    )


@pytest.fixture(scope="module")
def curves_of() -> dict[str, xr.Dataset]:
    how: dict[str, Any] = {"cost": "cost", "family": "lognormal", "sets": 0}
    return {
        "one": sim.fit(rows(1, 400), **how).curves,
        "few": sim.fit({"cost": np.r_[np.zeros(30), np.geomspace(10, 900, 40)]}, **how).curves,
        "seven": sim.fit(rows(7), segment="need", **how).curves,
        "bands": fit_bands(bands(), sets=0).curves,
    }


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(("name", "kind"), diagonal([*PANELS, "fit_diagnostics"], ["seven", "one", "bands", "few"], 2))
def test_no_words_overlap_or_are_cut_off(name: str, kind: str, curves_of: dict[str, xr.Dataset]) -> None:
    found = getattr(sim.plots, name)(curves_of[kind])
    assert not overlaps(found[0] if isinstance(found, list) else found)


@pytest.mark.heavy
def test_seven_segments_have_four_series_and_the_others_are_named(curves_of: dict[str, xr.Dataset]) -> None:
    axes = sim.plots.fit_exceedance(curves_of["seven"])
    assert [to_hex(line.get_color()).upper() for line in axes.lines if line.get_linestyle() != "None"] == list(SERIES)
    assert len({line.get_marker() for line in axes.lines if line.get_linestyle() == "None"}) == 4
    told = said(axes)
    assert "Not shown: need level 1, in their own homes; need level 3" in told and "everybody" in told


@pytest.mark.heavy
def test_bands_say_that_errors_are_not_known_and_that_nothing_is_to_be_seen(curves_of: dict[str, xr.Dataset]) -> None:
    axes = sim.plots.fit_diagnostics(curves_of["bands"])
    told = said(axes[0])
    assert "fitted to bands of 20,000 people · seed 1" in told and "are not known" in told and "1.96" not in told
    assert "only bands are known" in told and not marks(axes[0]) and marks(axes[1])


def test_a_long_name_keeps_both_its_ends() -> None:
    name = "people of the northern districts who live in a household of one, aged 65 to 79 years"
    written = fit_panels._written(name)
    assert written.startswith("people of the") and written.endswith("79 years") and "…" in written
    assert max(map(len, written.splitlines())) <= 20 and written.count("\n") <= 3
    assert fit_panels._written("aged 18 to below 40") == "aged 18 to below 40"


def test_the_numbers_of_the_picture_hold_the_errors() -> None:
    table = PICTURES["fit-diagnostics"].figures(fitted())
    drawn = table[table["figure"].isin([f"observed_{what}" for what in PANELS.values()])]
    assert drawn["figure"].nunique() == len(PANELS) and (drawn["error"] > 0).any()
    one = table[(table["figure"] == "observed_p_above") & (table["segment"] == "mild")]
    assert one["error"].tolist() == pytest.approx([0.025, 0.01, 0.001, 0.00005])


# ── odd parts of a fit's curves ──────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "kind"), diagonal([*PANELS, "fit_diagnostics"], ["one", "seven"], 2))
def test_an_odd_part_of_the_curves_gives_a_picture_or_one_sentence(
    name: str, kind: str, curves_of: dict[str, xr.Dataset]
) -> None:
    refused = []
    for part, curves in odd_parts(curves_of[kind]):
        try:
            drawn = getattr(sim.plots, name)(curves)
        except sim.SimulatorError as error:
            refused.append(part)
            assert str(error).startswith(f"{name}: ") and "\n" not in str(error), (part, error)
            continue
        assert all(axes.has_data() for axes in np.atleast_1d(drawn)), part
        plt.close("all")
    assert {"unknown", "nothing"} <= set(refused) and "first segment" not in refused


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("name", every(3, [*PANELS, "fit_diagnostics"], 1))
def test_three_long_names_fit_into_the_picture(name: str, curves_of: dict[str, xr.Dataset]) -> None:
    three = curves_of["seven"].isel(segment=[0, 1, 2])
    long = three.assign_coords(segment=[f"{'a long name of a group of patients ' * 3}{k}" for k in range(3)])
    for axes in np.atleast_1d(getattr(sim.plots, name)(long)):
        assert axes.has_data()
