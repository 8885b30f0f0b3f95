"""The tables of a run, calculated without simulation."""

import numpy as np
import xarray as xr

from ..figure import exact_percent, people, percentage
from ..tables import Cell, Page, Table
from . import Kind
from .shared import RuleName, ends, rule_names, with_origin
from .summary import as_json, chosen_margin


def page(answer: xr.Dataset, margin: float | None = None, at_most: float = 0.05) -> Page:
    """The tables of a run, calculated without simulation."""
    margin = chosen_margin(answer, margin)
    cells, names = answer.transpose("population_size", "threshold", ...), rule_names(answer)
    over = cells["p_overspend"].sel(margin=margin)
    worst = cells["quantile_cost"].sel(quantile_level=0.95) / cells["budget"] - 1
    chance = f"chance of overspending by more than {percentage(margin)} of the budget"
    tables = [
        _by_size(cells["cv"], names, "Year-to-year risk: standard deviation of retained cost, as a share of its mean"),
        _by_size(over, names, f"{chance[:1].upper()}{chance[1:]} (▪: at most {percentage(at_most)})", at_most),
        _by_size(worst, names, "Overspend exceeded in 1 year in 20, as a share of the budget"),
    ]
    error = float(answer["probability_error"].max())
    how = f"Calculated without simulation: chances are right to {error:.1g}; means and standard deviations are exact."
    verdict = [_from_where(over, names[at], chance, at_most, at) for at in ends(len(names))]
    return with_origin(Page(str(answer.attrs.get("title", "")), verdict, [*tables, how]), answer.attrs)


def _from_where(over: xr.DataArray, name: RuleName, chance: str, at_most: float, column: int) -> str:
    sizes, values = over["population_size"].values, over.isel(threshold=column).values
    missed = np.flatnonzero(~(values <= at_most))
    said = f"{name.opening}, the {chance}"
    if missed.size and missed[-1] == sizes.size - 1:
        return (
            f"{said} is still {exact_percent(float(values[-1]))} at {people(sizes[-1])} people, the largest size asked."
        )
    first = sizes[missed[-1] + 1] if missed.size else sizes[0]
    return f"{said} is at most {percentage(at_most)} from {people(first)} people on (of the sizes asked)."


def _by_size(values: xr.DataArray, names: list[RuleName], title: str, at_most: float | None = None) -> Table:
    def told(value: float) -> Cell:
        return exact_percent(value).marked("" if at_most is None else " ▪" if value <= at_most else "  ")

    each = zip(values["population_size"].values, values.values.tolist(), strict=True)
    rows = [[people(n), *map(told, row)] for n, row in each]
    return Table(["people", *(name.label for name in names)], rows, title)


KIND = Kind(page, json=as_json)
