"""The explorer's grid: every text that its sliders can ask for, made here, so that the page itself computes nothing."""

import math
from typing import Any, NamedTuple

import xarray as xr

from ..answers.comparison import settled_at
from ..answers.shared import each, figure_of
from ..figure import amount, chance, exact_amount, money_text, percentage
from .gather import Contents, Place, overspend
from .sections import FIGURES, PARTY_FIGURES, at_threshold, level_of, minimum_told, party_rows

WIDTH, HEIGHT = 400, 246
"""Of the explorer's picture, in its own units."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 14, 28, 44
_TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
_TOPS = (0.1, 0.25, 0.5, 0.6, 0.75, 1.0)


class Control(NamedTuple):
    """One slider: what can be chosen, and what is chosen at first."""

    name: str
    label: str
    options: list[str]
    at: int


class Explorer(NamedTuple):
    """What the explorer shows at first, and the grid that its sliders look things up in."""

    controls: list[Control]
    marks: list[str]
    """What stands below each population in the picture."""
    figures: list[str]
    party_figures: list[str]
    grid: dict[str, Any]

    @property
    def first(self) -> dict[str, Any]:
        """What stands on the page before a slider is moved."""
        place, threshold, margin, design = (
            next((control.at for control in self.controls if control.name == name), 0)
            for name in ("population", "threshold", "margin", "design")
        )
        shown = None
        if self.grid["designs"]:
            shown = self.grid["designs"][design]
            at = threshold if len(shown["rules"]) > 1 else 0
            rule, rows, budget = shown["rules"][at], shown["rows"][place][at], shown["budgets"][place][at]
            shown = shown | {"rule": rule, "rows": rows, "budget": budget}
        return {
            "chance": self.grid["chance"][place][threshold][margin],
            "curve": [row[threshold][margin] for row in self.grid["chance"]],
            "figures": self.grid["figures"][place][threshold],
            "minimum": self.grid["minimum"][threshold][margin] if self.grid["minimum"] else None,
            "design": shown,
            "place": place,
        }


def explorer(contents: Contents) -> Explorer:
    """The controls and the grid of a report."""
    top = max(float(place.summary["p_overspend_interval"].max()) for place in contents.places)
    scale = _Scale(next(end for end in _TOPS if end >= min(top, 1.0)))
    controls, count, wide = _controls(contents), len(contents.places), WIDTH - _LEFT - _RIGHT
    grid = {
        "chance": [_chances(place, scale) for place in contents.places],
        "figures": [
            [_year(cell, contents.currency) for cell in each(level_of(place.summary), "threshold")]
            for place in contents.places
        ],
        "minimum": _minima(contents),
        "designs": [_design(contents, one.name, not one.exclusion.fixed_thresholds()) for one in contents.designs],
        "options": {control.name: control.options for control in controls},
        "events": [overspend(margin) for margin in contents.margins],
        "x": [round(_LEFT + wide * (place + 0.5) / count, 1) for place in range(count)],
        "ticks": [[str(percentage(tick)), round(scale.y(tick), 1)] for tick in _TICKS if tick <= scale.top],
        "target": round(scale.y(contents.target.at_most), 1) if contents.target.at_most <= scale.top else None,
        "ground": HEIGHT - _BOTTOM,
    }
    # sizes as 50k and 2m; units have names that are too long
    sizes = [money_text(float(size), "") for size in contents.summary["population_size"].values]
    marks = sizes if contents.units is None else ["all", *[""] * (len(contents.places) - 1)]
    titles = [title for _, title in FIGURES]
    return Explorer(controls, marks, ["Budget: the expected cost", *titles], list(PARTY_FIGURES), grid)


def _controls(contents: Contents) -> list[Control]:
    margins = contents.margins
    largest = contents.summary.sizes["population_size"] - 1
    size = largest if contents.designs else largest // 2
    found = [
        Control("population", "Population", [place.label for place in contents.places], size),
        Control("threshold", "Threshold for one patient’s cost", list(contents.thresholds), _own_threshold(contents)),
        Control("margin", "Margin above the budget", [str(percentage(m)) for m in margins],
                margins.index(contents.target.margin)),
    ]  # fmt: skip
    if contents.designs:
        names = [design.name for design in contents.designs]
        found.append(Control("design", "Design", names, contents.own_design))
    return found


def _own_threshold(contents: Contents) -> int:
    """Where the first design's own threshold stands among those of the run; else the last of these."""
    own = contents.designs[contents.own_design].exclusion.fixed_thresholds() if contents.designs else ()
    known = contents.summary["threshold"].values.tolist()
    return known.index(own[-1]) if own and own[-1] in known else len(known) - 1


class _Scale(NamedTuple):
    """Square roots of chances from 0 to `top`, downwards: small chances stay apart."""

    top: float

    def y(self, value: float) -> float:
        high = HEIGHT - _TOP - _BOTTOM
        return _TOP + high * (1 - math.sqrt(min(value, self.top) / self.top))


def _chances(place: Place, scale: _Scale) -> list[list[dict[str, Any]]]:
    """By threshold and margin: the text, and where the figure and its 95% interval stand in the picture."""
    return [
        [_chance(cell, scale) for cell in each(at_threshold, "margin")]
        for at_threshold in each(place.summary, "threshold")
    ]


def _chance(cell: xr.Dataset, scale: _Scale) -> dict[str, Any]:
    value, (low, high) = float(cell["p_overspend"]), (float(end) for end in cell["p_overspend_interval"].values)
    text = str(chance(value, float(cell["p_overspend_se"]), (low, high)))
    return {"text": text, "told": text, "y": [round(scale.y(one), 1) for one in (value, low, high)]}


def _year(cell: xr.Dataset, currency: str) -> list[str]:
    """Budget, and the figures of the retained cost."""
    given, is_known = float(cell["budget"]), math.isfinite(float(cell["exact_mean"]))
    budget = exact_amount(given, currency) if is_known else amount(given, float(cell["mean_cost_se"]), currency)
    return [str(budget), *(str(figure_of(cell, name, currency)) for name, _ in FIGURES)]


def _minima(contents: Contents) -> list[list[list[str]]]:
    """By threshold and margin: the smallest population and its interval, where several sizes were drawn."""
    if not contents.has_sizes:
        return []
    found = [[minimum_told(contents, m, at) for m in contents.margins] for at in range(len(contents.thresholds))]
    return [[[number.text, number.beside] for number in row] for row in found]


def _design(contents: Contents, name: str, swept: bool) -> dict[str, Any]:
    """Its rules, and by population and rule the rows of its parties."""
    points = range(len(contents.thresholds)) if swept else range(1)
    rules = [contents.rule_of(name, at) for at in points]
    compared = [place.compared for place in contents.places if place.compared is not None]
    settled = [[settled_at(at_threshold(one, at).sel(design=[name])) for at in points] for one in compared]
    rows = [[[[*map(str, row)] for one in found for row in party_rows(one)] for found in by] for by in settled]
    budgets = [[_budget(contents, name, place, at) for at in points] for place in range(len(contents.places))]
    return {"rules": rules, "own": not swept, "rows": rows, "budgets": budgets}


def _budget(contents: Contents, name: str, place: int, at: int) -> str:
    """What the design pays at a population, in words; units have no budget of their own."""
    if contents.agreed is None or place >= contents.summary.sizes["population_size"]:
        return ""
    cell = contents.agreed.sel(design=name).isel(population_size=place).isel(threshold=at, missing_dims="ignore")
    budget, error = float(cell["budget"]), float(cell["budget_se"])
    told = amount(budget, error, contents.currency) if error else exact_amount(budget, contents.currency)
    return f"Budget by contract: {told}."
