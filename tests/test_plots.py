"""Pictures: what is drawn is what the Dataset says, with units, errors and provenance."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
import xarray as xr
from conftest import make

import simulator as sim
from simulator.present.plots.style import evenly, save_figure

matplotlib.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(scope="module")
def summary() -> xr.Dataset:
    return sim.summarise(sim.simulate(make(), progress=False))


def test_variance_by_size_draws_the_figures_with_bands_exact_rings_and_footer(summary: xr.Dataset) -> None:
    ax = sim.plots.variance_by_size(summary)
    lines = [line for line in ax.lines if line.get_marker() == "None"]
    rings = [line for line in ax.lines if line.get_marker() == "o"]
    assert len(lines) == len(rings) == len(ax.collections) == 3
    np.testing.assert_allclose(lines[1].get_ydata(), 100 * summary["cv"].isel(threshold=1))
    np.testing.assert_allclose(
        rings[1].get_ydata(), 100 * (summary["exact_sd"] / summary["exact_mean"]).isel(threshold=1)
    )
    said = " ".join(text.get_text() for text in ax.texts)
    assert "no cap" in said and "cap £5k" in said
    assert "40 synthetic populations" in said and f"seed {summary.attrs['seed']}" in said
    assert summary.attrs["scenario_id"][:8] in said
    assert "people" in ax.get_xlabel() and "%" in ax.get_ylabel()
    plt.close(ax.figure)


def test_a_plot_takes_the_axes_it_is_given(summary: xr.Dataset) -> None:
    _, ax = plt.subplots()
    assert sim.plots.variance_by_size(summary, ax=ax, title="mine") is ax
    assert ax.get_title(loc="left") == "mine"
    plt.close(ax.figure)


def test_too_many_series_leave_out_the_middle_ones() -> None:
    assert evenly(3) == [0, 1, 2]
    assert evenly(12) == [0, 3, 6, 8, 11]


def test_a_picture_is_written_whole_or_not_at_all(summary: xr.Dataset, tmp_path: Path) -> None:
    save_figure(sim.plots.variance_by_size(summary), tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    with pytest.raises(sim.SimulatorError, match="does not exist"):
        save_figure(sim.plots.variance_by_size(summary), tmp_path / "absent" / "a.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]
