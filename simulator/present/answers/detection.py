"""How often each design pays for a true saving."""

import xarray as xr

from ..figure import people, percentage
from ..tables import Page, Table
from . import Kind
from .shared import figure_of, not_asked, simulated


def page(power: xr.Dataset) -> Page:
    """How often each design pays, by true saving (columns) and population (rows)."""
    savings = [float(saving) for saving in power["saving"].values]
    title = f"Chance that a true saving is paid for ({people(power.attrs['replicates'])} simulated years)"
    tables = []
    for design in power["design"].values:
        chosen = power.sel(design=design)
        rows = [
            [people(n), *(figure_of(chosen.sel(population_size=n, saving=saving), "p_paid") for saving in savings)]
            for n in power["population_size"].values
        ]
        tables.append(Table(["people", *(f"saves {percentage(saving)}" for saving in savings)], rows, str(design)))
    return simulated(Page(title, (), [*tables, *not_asked(power.attrs)]))


KIND = Kind(page, over=("design", "population_size", "saving"))
