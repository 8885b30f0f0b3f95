"""What a contract over years brings each party: a verdict on each design, then tables by year and over the contract."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

from ...strata import unseen_bound
from ..figure import Figure, amount, chance, people, percent, percentage
from ..tables import Cell, Page, Rows, Table
from . import Kind
from .comparison import LEAST_TOLD_SHARE
from .shared import each, simulated, too_few, with_origin


def page(answer: xr.Dataset) -> Page:
    """Every design at the largest population."""
    known, chosen = answer.attrs, answer.isel(population_size=-1, unit=-1, missing_dims="ignore")
    if "threshold" in chosen.dims:
        chosen = chosen.isel(threshold=-1)
    designs = list(each(chosen, "design"))
    size = chosen.coords.get("population_size")
    where = "" if size is None else f" at {people(float(size))} people"
    parts: list[Table | str] = [f"Each party's result by year{where}"]
    for cell in designs:
        parts += [_parties(cell), *_pool(cell), *_exit(cell), *_investment(cell)]
    if "system_npv" in answer and "population_size" in answer.dims:
        parts += [_by_size(one) for one in each(answer, "design") if not np.isnan(one["system_npv"].values).all()]
    rate = float(known["discount_rate"])
    discounted = f"discounted at {percentage(rate)} a year to year 1" if rate else "not discounted"
    parts.append(f"Sums over years are {discounted}. In every simulated year payments between parties cancel out.")
    verdict = [_verdict(cell) for cell in designs] + [said for cell in designs for said in _sizes(cell)]
    made = Page(str(known.get("title", "")), verdict, parts, too_few(int(known["replicates"])))
    return with_origin(simulated(made), known)


def _money(cell: xr.Dataset, name: str) -> Figure:
    return amount(float(cell[name]), float(cell[f"{name}_se"]), str(cell.attrs.get("currency", "")))


def _chance(cell: xr.Dataset, name: str) -> Figure:
    value, error = float(cell[name]), float(cell[f"{name}_se"])
    if f"{name}_interval" in cell:
        return chance(value, error, cell[f"{name}_interval"].values.tolist())
    unseen = unseen_bound(int(cell.attrs["replicates"]))
    return chance(value, error, (1 - unseen, unseen) if value in (0.0, 1.0) else (math.nan, math.nan))


def _has(cell: xr.Dataset, name: str) -> bool:
    return name in cell and not bool(np.isnan(cell[name].values).all())


def _named(cell: xr.Dataset) -> list[xr.Dataset]:
    """The parties that take part."""
    there = abs(cell["expected_surplus"]).max("year") + abs(cell["cumulative_quantile"]).max(["year", "quantile_level"])
    largest = float(there.max())
    return [cell.sel(party=name) for name in cell["party"].values if float(there.sel(party=name)) > 1e-9 * largest]


def _verdict(cell: xr.Dataset) -> str:
    last, years = cell.isel(year=-1), cell.sizes["year"]
    parties = [party.isel(year=-1) for party in _named(cell)]
    losing = [one for one in parties if float(one["p_cumulative_loss"]) > LEAST_TOLD_SHARE]
    chances = ", ".join(f"{one['party'].values} {_chance(one, 'p_cumulative_loss')}" for one in losing)
    said = [f"chance of a loss: {chances}"] if losing else []
    if _has(cell, "p_exhausted"):
        said.append(f"the pool is exhausted by year {years} with a chance of {_chance(last, 'p_exhausted')}")
    if _has(cell, "p_left"):
        said.append(f"a party leaves by year {years} with a chance of {_chance(last, 'p_left')}")
    told = "; ".join(said) if said else "no party loses"
    return f"{cell['design'].values}, over {years} years: {told}."


def _sizes(cell: xr.Dataset) -> list[str]:
    """From how many people on the pool lasts, and the party stays."""
    what = {"size_pool_lasts": "the pool lasts all years", "size_nobody_leaves": "nobody leaves before the last year"}
    found, likely = [], f"with {percentage(float(cell.attrs['lasts']))} probability"
    for name, said in what.items():
        if _has(cell, name):
            size = float(cell[name])
            where = f"from {people(size)} people on" if math.isfinite(size) else "at none of the sizes"
            found.append(f"{cell['design'].values}: {said} {likely} {where} (of the sizes simulated).")
    return found


def _years(cell: xr.Dataset) -> list[str]:
    return [f"year {int(year)}" for year in cell["year"].values]


def _parties(cell: xr.Dataset) -> Table:
    rows: Rows = []
    for party in _named(cell):
        last = party.isel(year=-1)
        worst = last.sel(quantile_level=0.05)
        by_year = [_money(one, "expected_surplus") for one in each(party, "year")]
        whole = [
            _money(last, "expected_cumulative"),
            _money(worst, "cumulative_quantile"),
            _chance(last, "p_cumulative_loss"),
        ]
        rows.append([str(party["party"].values), *by_year, *whole])
    head = ["party", *_years(cell), "all years", "1 contract in 20 is below", "chance of a loss over all years"]
    return Table(head, rows, f"{cell['design'].values}: average result by year, and over the contract")


def _by_year(cell: xr.Dataset, rows: Sequence[tuple[str, str, dict[str, float]]], title: str) -> Table:
    made: Rows = []
    for label, name, at in rows:
        cells = [
            _chance(one, name) if name.startswith("p_") else _money(one, name) for one in each(cell.sel(at), "year")
        ]
        made.append([label, *cells])
    return Table(["", *_years(cell)], made, f"{cell['design'].values}: {title}")


def _pool(cell: xr.Dataset) -> list[Table | str]:
    if not _has(cell, "p_exhausted"):
        return []
    rows = [
        ("average balance", "expected_pool_balance", {}),
        ("1 contract in 20 is below", "pool_balance_quantile", {"quantile_level": 0.05}),
        ("exhausted by the end of the year", "p_exhausted", {}),
    ]
    parts: list[Table | str] = [_by_year(cell, rows, "the pool at the end of each year")]
    needed = float(cell["opening_needed"])
    if math.isinf(needed):
        parts.append("No opening balance is enough: the pool's cap is too low.")
    elif not math.isnan(needed):
        lasts = percentage(float(cell.attrs["lasts"]))
        figure = percent(needed, float(cell["opening_needed_se"]))
        parts.append(
            f"Opening balance that lasts all years with {lasts} probability: {figure} of the first year's budget."
        )
    return parts


def _exit(cell: xr.Dataset) -> list[Table]:
    rows = [("has left by the end of the year", "p_left", dict[str, float]())]
    return [_by_year(cell, rows, "the party of the exit rule")] if _has(cell, "p_left") else []


def _investment(cell: xr.Dataset) -> list[Table]:
    if not _has(cell, "system_npv"):
        return []
    rows: Rows = []
    parts = [*_named(cell), cell]
    for one in parts:
        own = one is not cell
        names = ("expected_npv", "p_paid_back") if own else ("system_npv", "system_p_paid_back")
        label = str(one["party"].values) if own else "all parties"
        money: list[Cell] = [_money(year, names[0]) for year in each(one, "year")]
        rows.append([f"{label}: net gain so far", *money])
        if float(one[names[0]][0]) < 0:
            rows.append([f"{label}: paid back by then", *(_chance(year, names[1]) for year in each(one, "year"))])
    return [Table(["", *_years(cell)], rows, f"{cell['design'].values}: the investment, by the end of each year")]


def _by_size(cell: xr.Dataset) -> Table:
    rows: Rows = [
        [people(float(one["population_size"])), *(_money(year, "system_npv") for year in each(one, "year"))]
        for one in each(cell.isel(threshold=-1, missing_dims="ignore"), "population_size")
    ]
    head = ["people", *(f"{int(year)} year{'s' * bool(year > 1)}" for year in cell["year"].values)]
    return Table(
        head, rows, f"{cell['design'].values}: net gain of all parties from the investment, by length of contract"
    )


KIND = Kind(page, over=("design",))
