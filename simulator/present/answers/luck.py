"""Was last year luck: the percentile of an observed overspend among all possible years."""

import xarray as xr

from ..figure import Figure, exact_percent, in_years, people, percent, percentage
from ..tables import Cell, Page, Table
from . import Kind
from .shared import RuleName, rule_head, rule_names, simulated, with_origin


def page(answer: xr.Dataset) -> Page:
    """Whether an observed overspend is luck: a sentence for each risk, and a table."""
    names, known = rule_names(answer), answer.attrs
    overspend = exact_percent(known["overspend"], sign=True)
    together = f", {known['years_pooled']} contract years together" if "years_pooled" in known else ""
    title = f"Was it luck? Observed: {overspend} of the budget, {people(known['members'])} people{together}"
    rows = [
        [name.label, str(risk), *_row(answer.isel(threshold=position).sel(risk=risk))]
        for position, name in enumerate(names)
        for risk in answer["risk"].values
    ]
    head = [rule_head(answer), "risk", "percentile", "a gap this large, either way",
            f"range of {percentage(known['confidence'])} of {_periods(answer)}"]  # fmt: skip
    told = [_sentence(answer.isel(threshold=-1).sel(risk=risk), str(risk), names[-1]) for risk in answer["risk"].values]
    made = Page(title, told, [Table(head, rows, labels=2)])
    return with_origin(simulated(made) if _is_drawn(answer) else made, known)


def _is_drawn(answer: xr.Dataset) -> bool:
    return str(answer.attrs["method"]) == "simulated"


def _row(cell: xr.Dataset) -> list[Cell]:
    percentile, p = float(cell["percentile"]), float(cell["p_two_sided"])
    if not _is_drawn(cell):
        return [exact_percent(percentile, 1), exact_percent(p, 1), _range(cell)]
    error = float(cell["drawn_percentile_se"])
    return [percent(percentile, error), percent(p, 2 * error), _range(cell)]


def _range(cell: xr.Dataset, between: str = "to") -> str:
    low, high = (exact_percent(float(bound), 1, sign=True) for bound in cell["expected_range"].values)
    return f"{low} {between} {high}"


def _sentence(cell: xr.Dataset, risk: str, name: RuleName) -> str:
    p = float(cell["p_two_sided"])
    low, high = (float(bound) for bound in cell["expected_range"].values)
    inside = low <= cell.attrs["overspend"] <= high
    can = f"{risk} alone can explain it" if risk == "luck" else f"{risk} can explain it"
    verdict = can if inside else can.replace(" can ", " can hardly ")
    often: Figure | str = exact_percent(p, 1) if p > 1e-6 else "hardly any"
    periods, usual = _periods(cell), percentage(cell.attrs["confidence"])
    years = f" ({in_years(p)})" if in_years(p) and "years_pooled" not in cell.attrs else ""
    return (
        f"{name.opening}, {verdict}: a gap this large, either way, occurs in {often} of {periods}{years}; "
        f"{usual} of {periods} lie between {_range(cell, 'and')}."
    )


def _periods(answer: xr.Dataset) -> str:
    """What the overspend is of, in words."""
    return f"periods of {answer.attrs['years_pooled']} years" if "years_pooled" in answer.attrs else "years"


KIND = Kind(page, over=("risk", "threshold"))
