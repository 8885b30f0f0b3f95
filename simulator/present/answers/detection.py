"""How often each design pays for a true saving."""

from __future__ import annotations

import xarray as xr

from ..figure import Figure, people, percent, percentage
from ..tables import Page, Table
from . import Kind
from .shared import not_asked, simulated


def page(power: xr.Dataset) -> Page:
    """How often each design pays, by true saving (columns) and population (rows)."""
    savings = [float(saving) for saving in power["saving"].values]
    title = f"Chance that a true saving is paid for ({people(power.attrs['replicates'])} simulated years)"
    tables = []
    for design in power["design"].values:
        chosen = power.sel(design=design)
        rows = [
            [people(n), *(_chance(chosen.sel(population_size=n, saving=saving)) for saving in savings)]
            for n in power["population_size"].values
        ]
        tables.append(Table(["people", *(f"saves {percentage(saving)}" for saving in savings)], rows, str(design)))
    return simulated(Page(title, (), [*tables, *not_asked(power.attrs)]))


def _chance(cell: xr.Dataset) -> Figure:
    return percent(float(cell["p_paid"]), float(cell["p_paid_se"]))


KIND = Kind(page, over=("design", "population_size", "saving"))
