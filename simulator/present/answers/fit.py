"""A fitted model in words and tables: what was read, how good the fit is, and what to be wary of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...fitting.disclose.disclosure import SMALLEST_COUNT
from ...strata import exact_interval
from ..figure import (
    Cell,
    Figure,
    amount,
    chance,
    exact_percent,
    full_money,
    money,
    percent,
    percentage,
    plain_number,
    ratio,
)
from ..tables import Page, Rows, Table
from ..tidy import plain, tidy
from .shared import each, with_origin

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from ...fitting.fit import FittedModel

WITHHELD = "suppressed"
"""In the place of a figure behind which there are too few patients."""

_WIDE_MISS = 3.0
_FEW_IN_TAIL = 100
_WRONG_MEAN = 0.02
_MANY_PART_YEARS = 0.05
"""Share of member-years in part-years from which on it is told. With 5% of people in part-years, whose bills come at a
constant rate, the share without cost of a year is 2% too high, with 30% it is 14% (benchmarks/fit_validation.py)."""


def page(model: FittedModel) -> Page:
    """Everything that a terminal shows of a fit: warnings first, then what it rests on."""
    tables = [segment_table(model), *runner_up_tables(model), *years_tables(model), *goodness_tables(model)]
    withheld = any(cell is WITHHELD for table in tables for row in table.rows for cell in row)
    parts: list[Table | str] = [reading_table(model), reading_notes(model), *tables, _SUPPRESSED if withheld else ""]
    kept = model.report["rows_kept"]
    origin = model.provenance | ({} if kept is None else {"rows": kept})
    made = Page("", list(_told(model)), list(filter(None, parts)), list(_warnings(model)))
    return with_origin(made, origin)


def reading_table(model: FittedModel) -> Table:
    """What was read and dropped: counts and shares of cost."""
    report = model.report
    least = report["smallest_count"]
    rows = [["read", _count(report["rows_read"], least), ""]]
    rows += [[f"dropped: {d['why']}", _count(d["rows"], least), _share(d["share_of_cost"])] for d in report["dropped"]]
    rows.append(["kept", _count(report["rows_kept"], least), ""])
    note = f"numbers to the nearest five by segment and reason; fewer than {least} are shown as none"
    return Table(["rows", "number", "share of cost"], rows, f"What was read ({note})")


def reading_notes(model: FittedModel) -> str:
    """What was taken out of the rows, or changed in them."""
    report, told = model.report, []
    if report["excluded_service_share_of_cost"] is not None:
        held = _share(report["excluded_service_share_of_cost"])
        told.append(f"Excluded services held {held} of the cost of the rows left by the filters.")
    negative = report["negative"]
    if negative["rows"] != 0:
        done = {"zero": "set to 0", "net": "netted within the person"}[negative["policy"]]
        change = negative["change_of_cost"]
        by = "" if change is None else f", which changed the cost by {exact_percent(change, 3, sign=True)}"
        told.append(f"Negative amounts in {_count(negative['rows'], report['smallest_count'])} rows were {done}{by}.")
    if report["binned_segments"]:
        told.append(f"More than 100,000 patients: costs were binned in {', '.join(report['binned_segments'])}.")
    return "\n".join(told)


def years_tables(model: FittedModel) -> list[Table]:
    """How persistent costs are, where rows told the year."""
    if model.years is None:
        return []
    told = model.years.told
    again: Rows = [
        [
            f"costliest {percentage(row['top'])}",
            WITHHELD if row["observed"] is None else percent(row["observed"], row["observed_se"]),
            exact_percent(row["fitted"], 1),
        ]
        for row in told["again_in_top"]
    ]
    whose = " (published: two years of rows do not tell it)" if told["stay_is_published"] else ""
    left = model.years.leavers if isinstance(model.years.leavers, dict) else {"all": model.years.leavers}
    leave = ", ".join(f"{name} {exact_percent(own, 1)}" for name, own in left.items())
    stay = exact_percent(told["stay"], 1)
    note = f"Keep their class for a year: {stay}{whose}. Without a row in the next year: {leave}."
    title = f"Among the costliest again a year later ({_count(told['persons'], SMALLEST_COUNT)} persons with two years)"
    classes: Rows = [
        [f"{row['classes']}{', taken' if row['chosen'] else ''}", _behind(row)] for row in told["candidates"]
    ]
    return [
        Table(["people", "observed", "fitted"], again, title, note=note),
        Table(["classes", "log score behind"], classes, "Classes of people (log score: in the other half of persons)"),
    ]


def _patients(row: dict[str, Any]) -> str:
    """Patients in a tail, a rounded number."""
    return f"about {row['tail_patients']:,.0f}"


def segment_table(model: FittedModel) -> Table:
    """What each segment got."""
    rows: Rows = []
    for row, segment in zip(model.segments, model.population.segments, strict=True):
        tail: list[Cell] = ["none", "", ""]
        if "xi" in row:
            tail = [money(row["tail_at"], model.currency), _patients(row), f"{row['xi']:.2f} ± {row['xi_se']:.2f}"]
        family = row["family"] if row["credibility"] == 1 else f"{row['family']} (Z = {row['credibility']:.2f})"
        rows.append([row["name"], exact_percent(segment.share, 1), _without_cost(row), family, *tail])
    head = ["segment", "people", "without cost", "distribution", "tail above", "patients there", "shape ξ"]
    return Table(head, rows, "Distribution of each segment (people: of these rows)")


_RUNNERS_UP = 2
"""How many other families are shown with the one that was chosen."""


def runner_up_tables(model: FittedModel) -> list[Table]:
    """The chosen distribution and its runners-up, by segment; nothing if there was no choice."""
    rows = [cells for row in model.segments for cells in _runner_up_rows(row)]
    if not rows:
        return []
    head = ["segment", "distribution", "other half: all figures", "worst", "of", "own half: worst", "log score behind"]
    note = (
        "how far off each is when fitted to half of the patients. Other half: 1 = as far off as the rows themselves, "
        f"accepted up to {_most('WORST_MISS')}; own half: in standard errors of the difference between halves, "
        f"accepted up to {_most('WORST_OWN_MISS')}; log score in the other half, ± one standard error: the simplest of "
        "those with about the same score is chosen"
    )
    return [Table(head, rows, f"Runners-up ({note})", labels=2)]


def _most(name: str) -> str:
    from ...fitting import held_out

    return f"{getattr(held_out, name):g}"


def _runner_up_rows(row: dict[str, Any]) -> list[list[str]]:
    """A segment's rows: the law that was taken first, then those that hold before those that do not, the best first."""
    others = [c for c in row["candidates"] if c["family"] != row["family"]]
    others.sort(key=lambda c: (not c["converged"], not c["holds"], c["worst_miss"]))
    taken = [c for c in row["candidates"] if c["family"] == row["family"]]
    shown = [*taken, *others[:_RUNNERS_UP]] if taken else []
    return [
        [
            row["name"] if place == 0 else "",
            c["family"] + (", taken" if place == 0 else "" if c["converged"] else ", not converged"),
            f"{c['held_out_miss']:.2f}", f"{c['worst_miss']:.2f}", c["worst_figure"], f"{c['own_worst_miss']:.2f}",
            _behind(c),
        ]
        for place, c in enumerate(shown)
    ]  # fmt: skip


def _behind(candidate: dict[str, Any]) -> str:
    """How far a log score lies behind the best; nothing where it is the best or there is none."""
    behind, error = candidate["behind"], candidate["behind_se"]
    if math.isnan(behind):
        return ""
    return "best" if behind == error == 0 else f"{behind:.4f} ± {error:.4f}"


def _without_cost(row: dict[str, Any]) -> Cell:
    """Share without cost; a 95% bound where the rows have none, or no others."""
    share, rows = row["zero_share"], round(row["rows"])
    if 0 < rows * share < SMALLEST_COUNT:
        return WITHHELD
    interval = exact_interval(np.array(rows * share).astype(int), rows) if share in (0.0, 1.0) else (math.nan, math.nan)
    return chance(share, row["zero_share_se"], interval)


_SUPPRESSED = (
    "Suppressed: fewer than ten patients are behind the figure, or one of them outweighs the others. Observed figures "
    "are of groups of ten patients or more."
)


def goodness_tables(model: FittedModel) -> list[Table]:
    """Fitted and observed by segment: the figures of the whole, then those of each threshold."""
    at = model.goodness["measure_threshold"].values
    note = f"!: further from the rows than {_WIDE_MISS:.0f} standard errors of what is observed"
    found = [_goodness(model, np.flatnonzero(np.isnan(at)), f"Fitted and observed ({note})")]
    for threshold in dict.fromkeys(at[~np.isnan(at)].tolist()):
        title = f"… and at {money(threshold, model.currency)}"
        found.append(_goodness(model, np.flatnonzero(at == threshold), title))
    return found


_AT = ("people above", "mean excess", "mean, costs capped", "sd, costs capped")
"""Figures at a threshold, as the heads of columns."""


def _goodness(model: FittedModel, places: NDArray[np.intp], title: str) -> Table:
    rows: Rows = []
    cells = model.goodness.isel(measure=places)
    for segment in each(cells, "segment"):
        measures = list(each(segment, "measure"))
        rows.append([str(segment["segment"].values), "observed", *(_observed(one, model) for one in measures)])
        rows.append(["", "fitted", *(_fitted(one, model) for one in measures)])
    whole = [str(name).replace("share of cost of the", "cost of the").replace("share without", "without")
             for name in cells["measure"].values]  # fmt: skip
    heads = whole if np.isnan(cells["measure_threshold"].values).all() else _AT
    return Table(["segment", "", *heads], rows, title, labels=2)


def _observed(at: xr.Dataset, model: FittedModel) -> Cell:
    seen, error = float(at["observed"]), float(at["observed_se"])
    if not math.isfinite(seen):
        return _figure(at, seen, model)
    if not (math.isfinite(error) and error > 0):
        return f"{_figure(at, seen, model)} (error unknown)"
    unit = str(at["measure_unit"].values)
    if unit == "money":
        return amount(seen, error, model.currency)
    return percent(seen, error) if unit == "share" else ratio(seen, error)


def _fitted(at: xr.Dataset, model: FittedModel) -> Cell:
    told = _figure(at, float(at["fitted"]), model)
    return told.marked(" !") if isinstance(told, Figure) and _misses(float(at["miss"])) else told


def _misses(miss: float) -> bool:
    """Whether a figure lies too far from the rows; an infinite one does."""
    return not math.isnan(miss) and abs(miss) > _WIDE_MISS


def verdicts(model: FittedModel) -> list[str]:
    """Plain sentences on what the fit rests on and where it fails."""
    return [*_warnings(model), *_told(model)]


def _warnings(model: FittedModel) -> Iterator[str]:
    """What may make the fit unfit for its use."""
    yield from _mean_sentences(model)
    yield from _infinite_sentences(model)
    if missed := _missed(model):
        yield (
            f"For everybody together, these differ from the rows by more than {_WIDE_MISS:.0f} standard errors: "
            f"{', '.join(missed)}."
        )
    yield from model.report.get("notes", [])


def _told(model: FittedModel) -> Iterator[str]:
    """What a reader ought to know besides."""
    for row in model.segments:
        if row["asked"] not in ("auto", "bands", row["family"]):
            yield f"{row['name']}: {row['asked']} did not converge; the quantile table is taken instead."
    yield from _tail_sentences(model)
    if small := [row["name"] for row in model.segments if row["credibility"] < 1]:
        yield (
            f"{', '.join(small)}: too few patients for a law of their own; the shape is that of all segments, and "
            "the level is drawn towards theirs so far as segments are alike (their own in full from 135 users)."
        )
    if (share := model.report.get("part_year_share") or 0.0) >= _MANY_PART_YEARS:
        yield (
            f"{share:.0%} of member-years are of people covered for part of the year, whose costs are brought to a "
            "year. The mean is kept, but the law is more spread than that of a whole year and has more people without "
            "cost; --minimum-exposure 1 fits whole years alone."
        )
    if not _missed(model) and not list(_mean_sentences(model)):
        apart = int((abs(model.goodness["miss"]) > _WIDE_MISS).sum())
        of = f"; for single segments, {apart} {'does' if apart == 1 else 'do'} not (!)" if apart else ""
        within = f"within {_WIDE_MISS:.0f} standard errors of the rows"
        yield f"For everybody together, every figure shown lies {within}{of}."


def _tail_sentences(model: FittedModel) -> Iterator[str]:
    for row in model.segments:
        if "xi" not in row and row["family"] != "resample":
            yield f"{row['name']}: no tail of its own: none was asked for, or fewer than 30 patients would carry it."
        elif "xi" in row and row["tail_patients"] < _FEW_IN_TAIL:
            at = money(row["tail_at"], model.currency)
            yield f"{row['name']}: the tail beyond {at} rests on {_patients(row)} patients."


def _infinite_sentences(model: FittedModel) -> Iterator[str]:
    for row in model.segments:
        shape = f" (ξ = {row['xi']:.2f} ± {row['xi_se']:.2f}, infinite from 0.5)" if "xi" in row else ""
        if row["infinite_variance"]:
            yield f"{row['name']}: the variance is infinite{shape}; run it only with finite thresholds."
        elif row["infinite_variance_possible"]:
            yield f"{row['name']}: an infinite variance cannot be ruled out{shape}; trust only finite thresholds."


def _missed(model: FittedModel) -> list[str]:
    """Figures of everybody that lie too far from the rows."""
    everybody = model.goodness.isel(segment=-1)
    return [
        f"{measure} (infinite)" if math.isinf(miss) else str(measure)
        for measure, miss in zip(everybody["measure"].values, everybody["miss"].values, strict=True)
        if _misses(miss)
    ]


def _mean_sentences(model: FittedModel) -> Iterator[str]:
    mean = model.goodness.isel(segment=-1).sel(measure="mean")
    ratio = float(mean["fitted"] / mean["observed"])
    if math.isnan(ratio):
        yield (
            "One or two patients outweigh all others in a segment: its mean is suppressed, and the distribution leaves "
            "out part of their cost."
        )
    elif abs(ratio - 1) > _WRONG_MEAN:
        told = percent(ratio, ratio * float(mean["observed_se"] / mean["observed"]))
        yield f"The fitted mean is {told} of the observed one: do not use this fit for a budget."


def _figure(at: xr.Dataset, number: float, model: FittedModel) -> Cell:
    unit = str(at["measure_unit"].values)
    if math.isnan(number):
        return WITHHELD
    if math.isinf(number):
        return Figure(number, "infinite", unit=model.currency if unit == "money" else "1")
    if unit == "money":
        return full_money(number, model.currency)
    return plain_number(number, ".3f") if unit == "ratio" else exact_percent(number, 3)


def _count(count: int | None, least: int) -> str:
    return f"fewer than {least}, or none" if count is None else f"{count:,}"


def _share(share: float | None) -> str:
    return WITHHELD if share is None else f"{share:.2%}"


def as_json(model: FittedModel) -> dict[str, Any]:
    """The report as plain values; nan is null."""
    judged = model.goodness[["observed", "observed_se", "fitted", "miss"]]
    everybody = {
        str(segment["segment"].values): {
            str(cell["measure"].values): {str(name): float(cell[name]) for name in judged}
            for cell in each(segment, "measure")
        }
        for segment in each(judged, "segment")
    }
    told = {"report": model.report, "segments": list(model.segments), "goodness": everybody}
    told |= {} if model.years is None else {"years": model.years.told | {"leavers": model.years.leavers}}
    known: dict[str, Any] = plain(told | {"verdicts": verdicts(model), "provenance": model.provenance})
    return known


def fit_rows(model: FittedModel) -> pd.DataFrame:
    """Fitted and observed figures as a long table."""
    rows = tidy(model.goodness)
    money_units = model.goodness["measure_unit"].to_series() == "money"
    own = rows["unit"] != "1"
    amount = f"{model.currency} per person and year"
    rows.loc[own, "unit"] = [amount if money_units[measure] else "1" for measure in rows.loc[own, "measure"]]
    return rows
