"""Which assumption matters: inputs by how far they move a statistic, with their Sobol indices."""

import xarray as xr

from ...analysis.statistics.statistic import STATISTICS
from ..figure import Cell, Figure, exact_chance, people, percentage
from ..tables import Page, Table
from . import Kind
from .shared import with_origin


def page(answer: xr.Dataset) -> Page:
    """Inputs by how far they move the statistic, with their Sobol indices, and the verdict in words."""
    known = answer.attrs
    swings = abs(answer["tornado"].sel(end="high") - answer["tornado"].sel(end="low")).values
    order = sorted(range(answer.sizes["input"]), key=lambda k: -swings[k])
    inputs = [(str(answer["input"].values[k]), answer.isel(input=k)) for k in order]
    agreed = exact_chance(float(answer["as_agreed"]))
    short = STATISTICS[known["statistic"]].short
    head = ["input", "lowest", "highest", f"{short} at lowest", f"{short} at highest", "alone", "with others"]
    title = f"Which assumption matters for the {statistic_words(answer)}? As agreed it is {agreed}"
    table = Table(head, [[name, *_row(cell)] for name, cell in inputs], "From the input that moves it most")
    notes = (
        "The columns at lowest and highest are calculated without simulation. Alone, with others: share of the "
        "uncertainty that the input explains by itself and together with the others (first-order and total Sobol "
        f"indices, {percentage(known['confidence'])} interval)."
    )
    return with_origin(Page(title, [_words(cell, name) for name, cell in inputs], [table, notes]), known)


def statistic_words(answer: xr.Dataset) -> str:
    """Which statistic the inputs move, in words."""
    known = answer.attrs
    words = STATISTICS[known["statistic"]].words(known.get("margin", 0.05), percentage)
    return f"{words} at {people(known['members'])} people" if "members" in known else words


def _row(cell: xr.Dataset) -> list[Cell]:
    rate = str(cell["figure"].values) == "per_100k"
    moved = [float(cell["range"].sel(end=end)) for end in ("low", "high")]
    ends = [f"{one:g} per 100,000" if rate else f"{'+' if one > 0 else ''}{percentage(one)}" for one in moved]
    found = [exact_chance(float(cell["tornado"].sel(end=end))) for end in ("low", "high")]
    return [*ends, *found, *(_index(cell, name) for name in ("first_order", "total_order"))]


def _index(cell: xr.Dataset, name: str) -> Figure:
    found, low, high = float(cell[name]), *(float(bound) for bound in cell[f"{name}_interval"].values)
    value, least, most = (percentage(round(number, 2)).text for number in (found, low, high))
    return Figure(found, value, f"({least} to {most})", interval=(low, high), basis="drawn")


def _words(cell: xr.Dataset, name: str) -> str:
    low, high = (float(bound) for bound in cell["total_order_interval"].values)
    if not low > 0:
        return f"{name}: too few points to tell its effect from none."
    value, sure = float(cell["total_order"]), percentage(cell.attrs["confidence"])
    return f"{name}: explains {value:.0%} of the uncertainty ({sure} interval: {low:.0%} to {high:.0%})."


KIND = Kind(page, over=("input",))
