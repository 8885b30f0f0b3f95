"""A fitted model in words and tables: what was read, how good the fit is, and what to be wary of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .text import money, table

if TYPE_CHECKING:
    from ..costs.fit import FittedModel

_WIDE_MISS = 3.0
_FEW_IN_TAIL = 100
_WRONG_MEAN = 0.02


def fit_report(model: FittedModel) -> str:
    """Everything that a terminal shows of a fit."""
    parts = [reading_table(model), segment_table(model), goodness_table(model), "\n".join(verdicts(model))]
    return "\n\n".join(parts)


def reading_table(model: FittedModel) -> str:
    """What was read, dropped and changed: counts and shares of cost."""
    report = model.report
    least = report["smallest_count"]
    rows = [["read", _count(report["rows_read"], least), ""]]
    rows += [[f"dropped: {d['why']}", _count(d["rows"], least), _share(d["share_of_cost"])] for d in report["dropped"]]
    rows.append(["kept", _count(report["rows_kept"], least), ""])
    text = table(["rows", "number", "share of cost"], rows)
    if report["excluded_service_share_of_cost"] is not None:
        held = _share(report["excluded_service_share_of_cost"])
        text += f"\nexcluded services held {held} of the cost of the rows left by the filters"
    negative = report["negative"]
    if negative["rows"] != 0:
        done = {"zero": "set to 0", "net": "netted within the person"}[negative["policy"]]
        text += f"\nnegative amounts in {_count(negative['rows'], least)} rows were {done}"
        if negative["change_of_cost"] is not None:
            text += f", which changed the cost by {negative['change_of_cost']:+.3%}"
    if report["binned_segments"]:
        text += f"\nmore than 100,000 patients: costs were binned in {', '.join(report['binned_segments'])}"
    return text


def segment_table(model: FittedModel) -> str:
    """What each segment got."""
    rows = []
    for row, segment in zip(model.segments, model.population.segments, strict=True):
        tail = ("", "", "")
        if "xi" in row:
            tail = (
                money(row["tail_at"], model.currency),
                f"{row['tail_patients']:,.0f}",
                f"{row['xi']:.2f} ± {row['xi_se']:.2f}",
            )
        family = row["family"] if row["credibility"] == 1 else f"{row['family']} (Z = {row['credibility']:.2f})"
        zero = f"{row['zero_share']:.1%} ± {100 * row['zero_share_se']:.1f}"
        rows.append([row["name"], f"{segment.share:.1%}", zero, family, *tail])
    return table(["segment", "people", "without cost", "law", "tail above", "patients there", "shape ξ"], rows)


def goodness_table(model: FittedModel) -> str:
    """Fitted beside observed, of everybody."""
    everybody = model.goodness.isel(segment=-1)
    rows = []
    for measure in everybody["measure"].values.tolist():
        at = everybody.sel(measure=measure)
        seen, fitted, miss = (float(at[name]) for name in ("observed", "fitted", "miss"))
        ratio = fitted / seen if seen else math.nan
        rows.append(
            [
                measure,
                _figure(measure, seen, model),
                _figure(measure, fitted, model),
                _or_dash(ratio, "{:.3f}"),
                _or_dash(miss, "{:+.1f}"),
            ]
        )
    return table(["everybody", "observed", "fitted", "ratio", "miss in se"], rows)


def verdicts(model: FittedModel) -> list[str]:
    """Plain sentences on what the fit rests on and where it fails."""
    return [*_law_sentences(model), *_tail_sentences(model), *_small_sentences(model), *_overall_sentences(model)]


def _law_sentences(model: FittedModel) -> list[str]:
    return [
        f"{row['name']}: {row['asked']} did not converge; the quantile table is taken instead."
        for row in model.segments
        if row["asked"] not in ("auto", "bands", row["family"])
    ]


def _tail_sentences(model: FittedModel) -> list[str]:
    found = []
    for row in model.segments:
        if "xi" not in row:
            if row["family"] != "resample":
                found.append(f"{row['name']}: no tail of its own; fewer than 30 patients would carry it.")
            if row["infinite_variance"]:
                found.append(f"{row['name']}: the variance is infinite; run it only with finite thresholds.")
            elif row["infinite_variance_possible"]:
                found.append(f"{row['name']}: an infinite variance cannot be ruled out; trust only finite thresholds.")
            continue
        at = money(row["tail_at"], model.currency)
        if row["tail_patients"] < _FEW_IN_TAIL:
            found.append(f"{row['name']}: the tail beyond {at} rests on {row['tail_patients']:,.0f} patients.")
        if row["infinite_variance"]:
            found.append(
                f"{row['name']}: the variance is infinite (ξ = {row['xi']:.2f}); run it only with finite thresholds."
            )
        elif row["infinite_variance_possible"]:
            found.append(
                f"{row['name']}: an infinite variance cannot be ruled out (ξ = {row['xi']:.2f} ± {row['xi_se']:.2f}, "
                "infinite from 0.5); trust only finite thresholds."
            )
    return found


def _small_sentences(model: FittedModel) -> list[str]:
    small = [row["name"] for row in model.segments if row["credibility"] < 1]
    if not small:
        return []
    return [
        f"{', '.join(small)}: too few patients for a shape of their own; blended with that of all segments "
        "(limited-fluctuation credibility, full at 135 users)."
    ]


def _overall_sentences(model: FittedModel) -> list[str]:
    everybody = model.goodness.isel(segment=-1)
    missed = [
        str(measure)
        for measure, miss in zip(everybody["measure"].values, everybody["miss"].values, strict=True)
        if math.isfinite(miss) and abs(miss) > _WIDE_MISS
    ]
    found = []
    mean = everybody.sel(measure="mean")
    ratio = float(mean["fitted"] / mean["observed"])
    if math.isnan(ratio):
        found.append("One patient makes more than half of the cost of a segment: the mean is not told.")
    elif abs(ratio - 1) > _WRONG_MEAN:
        found.append(f"The fitted mean is {ratio:.1%} of the observed one: do not use this fit for a budget.")
    if missed:
        found.append(
            f"Over all segments these miss the rows by more than {_WIDE_MISS:.0f} standard errors: {', '.join(missed)}."
        )
    elif not found:
        found.append(
            f"Over all segments every figure that can be told lies within {_WIDE_MISS:.0f} standard errors of the rows."
        )
    return found


def _figure(measure: str, number: float, model: FittedModel) -> str:
    from ..costs.fitting.measures import is_money

    if math.isnan(number):
        return "not told"
    if math.isinf(number):
        return "infinite"
    if is_money(measure):
        return f"{number:,.0f}"
    return f"{number:.3f}" if measure == "cv" else f"{number:.3%}"


def _or_dash(number: float, form: str) -> str:
    return form.format(number) if math.isfinite(number) else "—"


def _count(count: int | None, least: int) -> str:
    return f"fewer than {least}" if count is None else f"{count:,}"


def _share(share: float | None) -> str:
    return "not told" if share is None else f"{share:.2%}"


def as_json(model: FittedModel) -> dict[str, Any]:
    """The report as plain values; nan is null."""
    everybody = {
        str(segment): {
            str(measure): {
                name: _plain(float(model.goodness[name].sel(segment=segment, measure=measure)))
                for name in ("observed", "observed_se", "fitted", "miss")
            }
            for measure in model.goodness["measure"].values
        }
        for segment in model.goodness["segment"].values
    }
    rows = [{key: _plain(value) for key, value in row.items()} for row in model.segments]
    return {
        "report": model.report,
        "segments": rows,
        "goodness": everybody,
        "verdicts": verdicts(model),
        "provenance": model.provenance,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf"
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value
