"""Tables of `simulator check` and `simulator calibrate`: what a scenario or a calibration implies, in aligned text.

Computes nothing: it is given what `analysis.describe` found. Every figure is exact, and the tables say so.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import chain, repeat, zip_longest
from typing import Any

from .text import SYMBOLS, aligned

_EXACT = "Every figure is exact: computed from the distributions, without draws"
_WIDTH = 100


def check_table(described: Mapping[str, Any]) -> str:
    """What a scenario implies, with the verdict in words first.

    Parameters
    ----------
    described : mapping
        As `describe` returns it.

    Returns
    -------
    str
        Several lines, without a final line break.
    """
    money = _Money(described.get("currency", ""))
    blocks = [
        [described.get("title", "Cost model")],
        _verdict(described, money),
        _people(described, money),
        _thresholds(described, money),
        _segments(described, money),
        _shocks(described),
        _parameter_sets(described, money),
        _rare_services(described, money),
        [f"{_EXACT} and before shocks. Money is {money.unit} for one person and one year."],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _parameter_sets(d: Mapping[str, Any], money: _Money) -> list[str]:
    if "parameter_sets" not in d:
        return []
    doubt = d["parameter_sets"]
    told = f"{doubt['number']} parameter sets: a mean of {money.show(doubt['mean'])} over them"
    return [f"{told}, standard deviation {money.show(doubt['mean_sd'])}; all other figures are the central ones."]


def calibration_table(calibration: Mapping[str, Any], currency: str = "") -> str:
    """One calibrated family: its figures, and what it reaches beside each target.

    Parameters
    ----------
    calibration : mapping
        As `describe_calibration` returns it.
    currency : str
        ISO 4217 code.

    Returns
    -------
    str
    """
    money = _Money(currency)
    fit = [["target", "wanted", "reached"]]
    for row in calibration["fit"]:
        show = _figure if row["target"] == "cv" else _percent if "share" in row["target"] else money.show
        fit.append([row["target"], show(row["wanted"]), show(row["reached"])])
    missed = max(abs(row["reached"] - row["wanted"]) for row in calibration["fit"] if row["target"] != "mean")
    verdict = "meets every target" if missed < 5e-7 else f"meets every target to {missed:.2g}"
    blocks = [
        [f"The {calibration['family']} {verdict}.", "", _toml(calibration)],
        aligned(fit),
        _people(calibration["segment"], money),
        _thresholds(calibration["segment"], money),
        [f"{_EXACT}. The severity is that of users; all other figures count everybody."],
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def families_table(rows: Sequence[Mapping[str, Any]], currency: str = "") -> str:
    """All families for the same targets, side by side, and why the others cannot be had.

    Parameters
    ----------
    rows : sequence of mapping
        As `compare_families` returns them.
    currency : str
        ISO 4217 code.

    Returns
    -------
    str
    """
    money = _Money(currency)
    met = [row for row in rows if "refused" not in row]
    refused = [
        f"  {row['family']}: {row['refused'].removeprefix(row['family'] + ' ')}" for row in rows if "refused" in row
    ]
    blocks = []
    if met:
        blocks += [[_families_verdict(met, money)], aligned(_family_columns(met, money))]
    if refused:
        blocks.append(["Not to be had:", *refused])
    blocks.append([f"{_EXACT}; everybody is counted, also people without cost."])
    return "\n\n".join("\n".join(block) for block in blocks)


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _verdict(d: Mapping[str, Any], money: _Money) -> list[str]:
    published = d["published_r_squared"]
    lines = [
        f"A person costs {money.show(d['mean'])} a year on average; {_percent(d['zero_share'])} cost nothing, and the "
        f"costliest 5% carry {_percent(d['top_share']['0.05'])} of cost.",
        _spread(d),
        f"The segments explain {_percent(d['r_squared'])} of the variance between people; age and sex explain "
        f"{_percent(published['age and sex'])}, diagnoses {_percent(published['diagnoses'])} (Dixon et al. 2011).",
        _membership(d, money),
    ]
    return [line for words in lines for line in textwrap.wrap(words, _WIDTH)]


def _spread(d: Mapping[str, Any]) -> str:
    if d["cv"] == "inf":
        return "One person's cost has an infinite variance: only capped cost has a spread."
    return f"One person's cost has a standard deviation of {_figure(d['cv'])} times its mean."


def _membership(d: Mapping[str, Any], money: _Money) -> str:
    taken = f"{money.show(d['variance_between_segments'] ** 0.5)} a head (standard deviation)"
    if d["membership"] == "sampled":
        return f"The case mix is drawn: a budget adjusted for it would take {taken} of spread between segments out."
    return f"The case mix is fixed, as if the budget were adjusted for it: {taken} of spread between segments is out."


def _families_verdict(rows: Sequence[Mapping[str, Any]], money: _Money) -> str:
    if len(rows) == 1:
        return f"Only the {rows[0]['family']} meets the targets."
    lowest = rows[0]["segment"]["thresholds"][0]
    above = {row["family"]: row["segment"]["thresholds"][0]["share_of_cost_above"] for row in rows}
    least, most = min(above, key=lambda name: above[name]), max(above, key=lambda name: above[name])
    return (
        f"{len(rows)} families meet the targets; the share of cost above {money.show(lowest['threshold'])} a person "
        f"runs from {_percent(above[least])} ({least}) to {_percent(above[most])} ({most})."
    )


# ── tables ───────────────────────────────────────────────────────────────────────────────────────


def _people(d: Mapping[str, Any], money: _Money) -> list[str]:
    top = d["top_share"]
    rows = [
        ["mean cost a head", money.show(d["mean"])],
        ["people without cost", _percent(d["zero_share"])],
        ["standard deviation of one person's cost", money.show(d["sd"])],
        ["coefficient of variation", _figure(d["cv"])],
        *([f"share of cost of the costliest {float(q):.0%}", _percent(share)] for q, share in top.items()),
        ["share of cost of the cheaper half", _percent(d["bottom_half_share"])],
    ]
    return aligned(rows, header=False)


def _thresholds(d: Mapping[str, Any], money: _Money) -> list[str]:
    head = ["threshold", "people above", "cost above", "variance above", "mean kept", "cv kept", "R² of segments"]
    rows = [
        [
            _threshold(row, money),
            _percent(row["p_above"], digits=3),
            _percent(row["share_of_cost_above"], digits=2),
            _percent(row["share_of_variance_above"]),
            money.show(row["mean_below"]),
            _figure(row["cv"]),
            _percent(row["r_squared"]),
        ]
        for row in d["thresholds"]
    ]
    shown = slice(None) if len(d["segments"]) > 1 else slice(-1)
    return aligned([row[shown] for row in [head, *rows]])


def _threshold(row: Mapping[str, Any], money: _Money) -> str:
    amount = row["threshold"]
    shown = "by segment" if amount is None else "none" if amount == "inf" else money.show(amount)
    return shown if row["percentile"] is None else f"{row['percentile']:g} ({shown})"


def _segments(d: Mapping[str, Any], money: _Money) -> list[str]:
    head = ["segment", "people", "cost", "mean a head", "users", "cv", "family", "tail index"]
    rows = [
        [
            row["name"],
            _percent(row["share_of_people"], digits=2),
            _percent(row["share_of_cost"], digits=2),
            money.show(row["mean"]),
            _percent(row["p_user"]),
            _figure(row["cv"]),
            row["family"],
            "none" if row["tail_index"] == "inf" else _figure(row["tail_index"]),
        ]
        for row in d["segments"]
    ]
    return aligned([head, *rows])


def _shocks(d: Mapping[str, Any]) -> list[str]:
    if not d["shocks"]:
        return ["No shocks: all variation is luck."]
    rows = [[shock["name"], _percent(shock["cv"])] for shock in d["shocks"]]
    return aligned([["shock, not in the figures above", "cv"], *rows, ["together", _percent(d["shock_cv"])]])


def _rare_services(d: Mapping[str, Any], money: _Money) -> list[str]:
    if not d["rare_services"]:
        return []
    head = ["rare service, not in the figures above", "per 100,000", "mean price", "cost a head", "paid by the budget"]
    rows = [
        [
            row["name"],
            f"{row['rate_per_100k']:g}",
            money.show(row["mean_price"]),
            money.show(row["cost_a_head"], digits=2),
            "yes" if row["in_scope"] else "no",
        ]
        for row in d["rare_services"]
    ]
    totals = [
        [f"together, {words}", "", "", money.show(d[key], digits=2), ""]
        for key, words in (("rare_cost_in_scope", "in scope"), ("rare_cost_out_of_scope", "out of scope"))
    ]
    return aligned([head, *rows, *totals])


def _family_columns(rows: Sequence[Mapping[str, Any]], money: _Money) -> list[list[str]]:
    segments = [row["segment"] for row in rows]
    finite = [t for t, at in enumerate(segments[0]["thresholds"]) if at["threshold"] != "inf"]
    tops = segments[0]["top_share"]
    table = [
        ["", *(row["family"] for row in rows)],
        ["mean", *(money.show(s["mean"]) for s in segments)],
        ["cv", *(_figure(s["cv"]) for s in segments)],
        *([f"costliest {float(q):.0%}", *(_percent(s["top_share"][q]) for s in segments)] for q in tops),
        ["cheaper half", *(_percent(s["bottom_half_share"]) for s in segments)],
        ["tail index", *("none" if s["tail_index"] == "inf" else _figure(s["tail_index"]) for s in segments)],
    ]
    for t in finite:
        at = money.show(segments[0]["thresholds"][t]["threshold"])
        found = [s["thresholds"][t] for s in segments]
        table.append([f"people above {at}", *(_percent(row["p_above"], digits=3) for row in found)])
        table.append([f"cost above {at}", *(_percent(row["share_of_cost_above"], digits=2) for row in found)])
        table.append([f"cv capped at {at}", *(_figure(row["cv"]) for row in found)])
    return table + _figures_of(rows)


def _figures_of(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Each family's own figures, a line a figure."""
    given = [[f"{name} = {value:.6g}" for name, value in row["severity"].items() if name != "family"] for row in rows]
    firsts, lines = chain([True], repeat(False)), zip_longest(*given, fillvalue="")
    return [["figures of users" if first else "", *line] for first, line in zip(firsts, lines, strict=False)]


# ── form ─────────────────────────────────────────────────────────────────────────────────────────


class _Money:
    """Money in one currency."""

    def __init__(self, currency: str) -> None:
        self.symbol = SYMBOLS.get(currency, f"{currency} " if currency else "")
        self.unit = currency or "the scenario's currency"

    def show(self, value: float | str, digits: int = 0) -> str:
        return "infinite" if isinstance(value, str) else f"{self.symbol}{value:,.{digits}f}"


def _percent(value: float, digits: int = 1) -> str:
    return f"{value + 0.0:.{digits}%}"


def _figure(value: float | str) -> str:
    return "infinite" if isinstance(value, str) else f"{value:.3f}"


def _toml(calibration: Mapping[str, Any]) -> str:
    """The segment as a scenario file has it."""
    figures = (f'{n} = "{v}"' if isinstance(v, str) else f"{n} = {v!r}" for n, v in calibration["severity"].items())
    return f"p_user = {calibration['p_user']:g}\nseverity = {{ {', '.join(figures)} }}"
