"""What `simulator run` prints: the answer in words first, then the tables behind it."""

from __future__ import annotations

import math
from typing import Any

import xarray as xr

from ..analysis.sizing import minimum_on_grid
from .text import columns, figure_table, minimum_population, people, percent, table


def run_report(summary: xr.Dataset, margin: float, at_most: float) -> str:
    """The answer of one run, its tables and its check."""
    parts = [summary.attrs.get("title", "")]
    if "population_size" in summary.dims and summary.sizes["population_size"] > 1:
        parts.append(answer_table(summary, margin, at_most))
    parts += [
        figure_table(summary, "cv", "Coefficient of variation of the retained cost"),
        figure_table(
            summary, "p_overspend", f"Chance of an overspend above {_percentage(margin)} of the budget", margin=margin
        ),
        removed_table(summary),
        _provenance(summary),
    ]
    return "\n\n".join(part for part in parts if part)


def answer_table(summary: xr.Dataset, margin: float, at_most: float) -> str:
    """How large the population must be, for each threshold."""
    answer = minimum_on_grid(summary, "p_overspend", at_most, margin=margin)
    sizes = summary["population_size"].values
    rows = [
        [
            "no exclusion" if label == "none" else f"excess over {label} removed",
            minimum_population(answer, position, int(sizes[-1]), int(sizes[0])),
        ]
        for position, label in enumerate(columns(summary))
    ]
    overspend, chance = _percentage(margin), _percentage(at_most)
    question = f"Smallest population at which an overspend above {overspend} has a chance of at most {chance}"
    return f"{question} (95% interval)\n{table(['patient-level rule', 'people'], rows)}"


def removed_table(summary: xr.Dataset) -> str:
    """What each threshold takes out, at the largest population."""
    place = "unit" if "unit" in summary.dims else "population_size"
    last = summary.isel({place: -1})
    figures = (
        ("cost removed", "cost_removed_share"),
        ("patients above", "patients_above_share"),
        ("variance removed", "variance_removed_share"),
    )
    rows = [[name, *(_share(last, key, d) for d in range(summary.sizes["threshold"]))] for name, key in figures]
    where = (
        f"{people(float(summary[place].values[-1]))} people"
        if place == "population_size"
        else str(summary[place].values[-1])
    )
    shares = table(["share of", *columns(summary)], rows)
    return f"What each threshold takes out, at {where} (± one standard error)\n{shares}"


def _share(cell: xr.Dataset, key: str, threshold: int) -> str:
    value, error = float(cell[key].isel(threshold=threshold)), float(cell[f"{key}_se"].isel(threshold=threshold))
    return "nothing" if value == 0 and error == 0 else percent(value, error)


def _percentage(fraction: float) -> str:
    return f"{100 * fraction:.6g}%"


def _provenance(summary: xr.Dataset) -> str:
    known = summary.attrs
    budget = (
        "budget = exact mean of the retained cost"
        if not known.get("capitation_pmpy")
        else f"capitation {known['capitation_pmpy']:g} a head"
    )
    stopped = {
        "target": "drawn on until every 95% interval was as narrow as asked\n",
        "max_replicates": "STOPPED at the limit of populations: not every 95% interval is as narrow as asked\n",
    }
    return (
        f"{stopped.get(known.get('stopped_by', ''), '')}{known['check_sentence']}\n"
        f"{known['replicates']:,} synthetic populations, seed {known['seed']}, "
        f"scenario {known['scenario_id'][:12]}, {budget}"
    )


def summary_rows(summary: xr.Dataset) -> dict[str, Any]:
    """The summary as JSON has it: one row a population and threshold; infinity is "inf", what is not known null."""
    place = "unit" if "unit" in summary.dims else "population_size"
    cells = []
    for p in range(summary.sizes[place]):
        for d in range(summary.sizes["threshold"]):
            cell = summary.isel({place: p, "threshold": d})
            row: dict[str, Any] = {place: cell[place].item(), "threshold": _plain(cell["threshold"].item())}
            for name in cell.data_vars:
                values = cell[name].values
                row[str(name)] = _plain(values.item()) if values.ndim == 0 else _nested(cell[name])
            cells.append(row)
    keep = (
        "title",
        "currency",
        "scenario_id",
        "seed",
        "replicates",
        "rule",
        "check",
        "check_sentence",
        "simulator_version",
        "tables_hash",
    )
    return {key: summary.attrs[key] for key in keep if key in summary.attrs} | {"cells": cells}


def _nested(values: xr.DataArray) -> Any:
    dim, *rest = values.dims
    labels = [str(label) for label in values[dim].values]
    parts = [values.isel({dim: position}) for position in range(len(labels))]
    return {label: _nested(part) if rest else _plain(part.item()) for label, part in zip(labels, parts, strict=True)}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
