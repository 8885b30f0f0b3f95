"""How far each input must move before a party reaches its limit of loss."""

import math
from collections.abc import Sequence

import xarray as xr

from ..figure import Cell, Figure, error_decimals, people, percent, percentage
from ..tables import Page, Table
from . import Kind
from .shared import simulated, too_few, with_origin


def page(found: xr.Dataset | Sequence[xr.Dataset]) -> Page:
    """How far each input must move, those that reach the limit first at the top."""
    told = sorted([found] if isinstance(found, xr.Dataset) else found, key=_distance)
    known = told[0].attrs
    rows: list[list[Cell]] = [[one.attrs["design"], one.attrs["change"].replace("_", " "), _point(one)] for one in told]
    limit = f"{percentage(known['loss_over'])} loss limit"
    title = f"How far an input must move before {known['party']} reaches its {limit} (share of its revenue)"
    table = Table(["design", "input", f"reaches the {limit} at"], rows, title, labels=2)
    heading = f"Breaking point of {known['party']}: {people(known['members'])} people"
    made = simulated(Page(heading, [sentence(told[0])], [table], too_few(known["replicates"])))
    return with_origin(made, known)


def _distance(found: xr.Dataset) -> float:
    """How far the input moves, as a share of how far it was moved at most."""
    point = float(found["breaking_point"])
    return math.inf if math.isnan(point) else point / found.attrs["largest"]


def sentence(found: xr.Dataset) -> str:
    """How far one input must move before a party reaches its limit."""
    known, point = found.attrs, float(found["breaking_point"])
    who = f"{known['design']}: {known['party']}"
    limit = f"its {percentage(known['loss_over'])} loss limit"
    what = f"of {known['change'].replace('_', ' ')}"
    if math.isnan(point):
        return f"{who} never reaches {limit}, even at {_largest(found)} {what}."
    if point == 0:
        return f"{who} has reached {limit} already, as agreed."
    return f"{who} reaches {limit} at {_point(found)} {what}."


def _point(found: xr.Dataset) -> Cell:
    point, error = float(found["breaking_point"]), float(found["breaking_point_se"])
    if math.isnan(point):
        return f"never, even at {_largest(found)}"
    if point == 0:
        return "already, as agreed"
    if not _is_rate(found):
        return percent(point, error)
    text = f"{point:.{error_decimals(error)}f} per 100,000"
    return Figure(point, text, unit="number", error=error, basis="drawn", decimals=error_decimals(error))


def _largest(found: xr.Dataset) -> str:
    most = found.attrs["largest"]
    return f"{most:g} per 100,000" if _is_rate(found) else str(percentage(most))


def _is_rate(found: xr.Dataset) -> bool:
    return bool(found.attrs["figure"] == "per_100k")


KIND = Kind(page)
