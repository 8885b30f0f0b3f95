"""Pages of `simulator check` and `simulator calibrate`: what a scenario or a calibration implies, in words and tables.

Computes nothing: it is given what `analysis.describe` found. Every figure is exact, and the tables say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .page import Code, Page, Table
from .text import NO_EXCLUSION, UNKNOWN, exact_percent, full_money
from .tidy import stacked, tidy_records

if TYPE_CHECKING:
    import pandas as pd

_EXACT = "Every figure is exact: computed from the distributions, without draws"
_NAMED = 3  # segments that a shock hits; of more only their number is told
_Rows = list[list[str]]


def check_table(described: Mapping[str, Any]) -> Page:
    """What a scenario implies, with the verdict in words first.

    Parameters
    ----------
    described : mapping
        As `describe` returns it.
    """
    money = _Money(described.get("currency", ""))
    parts: list[Table | str] = [
        _people(described, money),
        _thresholds(described, money),
        _segments(described, money),
        _shocks(described),
        *_correlations(described),
        *_parameter_sets(described, money),
        *_rare_services(described, money),
        f"{_EXACT} and before shocks. Money is {money.unit} for one person and one year.",
    ]
    return Page(described.get("title", "Cost model"), _verdict(described, money), parts)


def check_rows(described: Mapping[str, Any], **known: object) -> pd.DataFrame:
    """What a scenario implies, as a long table.

    Parameters
    ----------
    described : mapping
        As `describe` returns it.
    **known : object
        Further columns.
    """
    unit = _units(f"{described.get('currency') or 'money'} per person and year")
    keys = ("title", "currency", "membership")
    alone = {key: value for key, value in described.items() if key not in keys}
    tops = [{"people_share": float(q), "top_share": share} for q, share in described["top_share"].items()]
    lists = (([alone], ()), (tops, ("people_share",)), (described["thresholds"], ("threshold", "percentile")),
             (described["segments"], ("name", "family")), (described["shocks"], ("name",)),
             (described["rare_services"], ("name",)))  # fmt: skip
    about = ("people", "concentration", "thresholds", "segments", "shocks", "rare services")
    parts = zip(about, lists, strict=True)
    return stacked([tidy_records(rows, names, unit, **known, about=what) for what, (rows, names) in parts if rows])


def _units(money: str) -> Callable[[str], str]:
    amounts = ("mean", "sd", "mean_below", "mean_price", "cost_a_head", "rare_cost_in_scope", "rare_cost_out_of_scope")
    return lambda key: money if key in amounts else "money²" if key.startswith("variance_b") else "1"


def calibration_rows(rows: Sequence[Mapping[str, Any]], currency: str) -> pd.DataFrame:
    """Calibrated families as a long table; those that cannot be had have no row."""
    return stacked(
        [
            check_rows({**row["segment"], "currency": currency}, calibrated=row["family"])
            for row in rows
            if "segment" in row
        ]
    )


def calibration_table(calibration: Mapping[str, Any], currency: str = "") -> Page:
    """One calibrated family: its figures, and what it reaches beside each target.

    Parameters
    ----------
    calibration : mapping
        As `describe_calibration` returns it.
    currency : str
        ISO 4217 code.
    """
    money = _Money(currency)
    fit = []
    for row in calibration["fit"]:
        show = _figure if row["target"] == "cv" else _percent if "share" in row["target"] else money.show
        fit.append([row["target"], show(row["wanted"]), show(row["reached"])])
    missed = max(
        (abs(row["reached"] - row["wanted"]) for row in calibration["fit"] if row["target"] != "mean"), default=0.0
    )
    verdict = "meets every target" if missed < 5e-7 else f"meets every target to {missed:.2g}"
    parts: list[Table | str] = [
        Code(_toml(calibration)),
        Table(["target", "wanted", "reached"], fit),
        _people(calibration["segment"], money),
        _thresholds(calibration["segment"], money),
        f"{_EXACT}. The severity is that of users; all other figures count everybody.",
    ]
    return Page("", [f"The {calibration['family']} {verdict}."], parts)


def families_table(rows: Sequence[Mapping[str, Any]], currency: str = "") -> Page:
    """All families for the same targets, side by side, and why the others cannot be had.

    Parameters
    ----------
    rows : sequence of mapping
        As `compare_families` returns them.
    currency : str
        ISO 4217 code.
    """
    money = _Money(currency)
    met = _without_twin([row for row in rows if "refused" not in row], money)
    refused = [
        f"{row['family']}: {row['refused'].removeprefix(row['family'] + ' ')}" for row in rows if "refused" in row
    ]
    parts: list[Table | str] = []
    if met:
        head, *lines = _family_columns(met, money)
        parts += [Table(head, lines), "\n".join(["Figures of users:", *map(_figures_of, met)])]
    if refused:
        parts.append("\n".join(["Not to be had:", *refused]))
    parts.append(f"{_EXACT}; everybody is counted, also people without cost.")
    return Page("", [_families_verdict(met, money)] if met else (), parts)


def _without_twin(met: Sequence[Mapping[str, Any]], money: _Money) -> list[Mapping[str, Any]]:
    """Families without one that is another by a second name: a generalised Pareto of heavy tail is a Lomax."""
    known = {row["family"]: row for row in met}
    if not {"lomax", "gpd"} <= set(known):
        return list(met)
    (_, *ours), (_, *theirs) = (_family_columns([known[name]], money) for name in ("lomax", "gpd"))
    if ours != theirs:
        return list(met)
    named = {**known["lomax"], "family": "lomax (the same law as gpd)"}
    return [named if row["family"] == "lomax" else row for row in met if row["family"] != "gpd"]


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _verdict(d: Mapping[str, Any], money: _Money) -> list[str]:
    return [
        f"A person costs {money.show(d['mean'])} a year on average; {_percent(d['zero_share'])} cost nothing, and the "
        f"costliest 5% carry {_percent(d['top_share']['0.05'])} of cost.",
        _spread(d),
        _explained(d),
        _membership(d, money),
    ]


def _explained(d: Mapping[str, Any]) -> str:
    """What the segments explain; beside what English formulas explain, where the scenario is in pounds."""
    if len(d["segments"]) == 1:
        return "There is one segment: nothing tells beforehand who will be costly."
    told = f"The segments explain {_percent(d['r_squared'])} of the variance between people."
    if d.get("currency") != "GBP":
        return told
    published = d["published_r_squared"]
    return (
        f"{told} For comparison, of the NHS's formulas age and sex explain {_percent(published['age and sex'])}, "
        f"diagnoses {_percent(published['diagnoses'])} (Dixon et al. 2011, England)."
    )


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


def _people(d: Mapping[str, Any], money: _Money) -> Table:
    top = d["top_share"]
    rows = [
        ["mean cost a head", money.show(d["mean"])],
        ["people without cost", _percent(d["zero_share"])],
        ["standard deviation of one person's cost", money.show(d["sd"])],
        ["coefficient of variation", _figure(d["cv"])],
        *([f"share of cost of the costliest {float(q):.0%}", _percent(share)] for q, share in top.items()),
        ["share of cost of the cheaper half", _percent(d["bottom_half_share"])],
    ]
    return Table((), rows)


def _thresholds(d: Mapping[str, Any], money: _Money) -> Table:
    head = [
        "threshold",
        "people above",
        "cost above",
        "one person's variance above",
        "mean kept",
        "cv kept",
        "R² of segments",
    ]
    rows = [
        [
            _threshold(row, money),
            *(["nobody", "nothing", "nothing"] if row["threshold"] == "inf" else _above(row)),
            money.show(row["mean_below"]),
            _figure(row["cv"]),
            _percent(row["r_squared"]),
        ]
        for row in d["thresholds"]
    ]
    shown = slice(None) if len(d["segments"]) > 1 else slice(-1)
    return Table(head[shown], [row[shown] for row in rows])


def _above(row: Mapping[str, Any]) -> list[str]:
    shares = _percent(row["p_above"], digits=3), _percent(row["share_of_cost_above"], digits=2)
    return [*shares, _percent(row["share_of_variance_above"])]


def _threshold(row: Mapping[str, Any], money: _Money) -> str:
    amount = row["threshold"]
    shown = "by segment" if amount is None else NO_EXCLUSION if amount == "inf" else money.show(amount)
    return shown if row["percentile"] is None else f"{row['percentile']:g} ({shown})"


def _segments(d: Mapping[str, Any], money: _Money) -> Table:
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
    return Table(head, rows)


def _shocks(d: Mapping[str, Any]) -> Table | str:
    if not d["shocks"]:
        return "No shocks: all variation is luck."
    head = ["shock, not in the figures above", "cv"]
    rows = [[shock["name"], _percent(shock["cv"])] for shock in d["shocks"]]
    together = ["together", _percent(d["shock_cv"])]
    if any("probability" in shock or shock.get("segments") for shock in d["shocks"]):
        head, together = [*head, "comes", "hits"], [*together, "", ""]
        rows = [[*row, _when(shock), _whom(d, shock)] for row, shock in zip(rows, d["shocks"], strict=True)]
    return Table(head, [*rows, together])


def _when(shock: Mapping[str, Any]) -> str:
    if "probability" not in shock:
        return "every year"
    return f"{_percent(shock['probability'])} of years: cost {100 * shock['by']:+.3g}%"


def _whom(d: Mapping[str, Any], shock: Mapping[str, Any]) -> str:
    hit = shock.get("segments") or ()
    if len(hit) <= _NAMED:
        return ", ".join(hit) or "everybody"
    services = " and rare services" if d["rare_services"] else ""
    return f"{len(hit)} of {len(d['segments']) + len(d['rare_services'])} segments{services}"


def _correlations(d: Mapping[str, Any]) -> list[str]:
    pairs = d["shock_correlations"]
    if not pairs:
        return []
    told = "; ".join(f"'{one}' with '{other}' {pair['value']:+g}" for pair in pairs for one, other in [pair["between"]])
    return [f"Correlations of the shocks' normal scores: {told}."]


def _parameter_sets(d: Mapping[str, Any], money: _Money) -> list[str]:
    if "parameter_sets" not in d:
        return []
    doubt = d["parameter_sets"]
    told = f"{doubt['number']} parameter sets: a mean of {money.show(doubt['mean'])} over them"
    return [f"{told}, standard deviation {money.show(doubt['mean_sd'])}; all other figures are the central ones."]


def _rare_services(d: Mapping[str, Any], money: _Money) -> list[Table]:
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
    return [Table(head, [*rows, *totals])]


def _family_columns(rows: Sequence[Mapping[str, Any]], money: _Money) -> _Rows:
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
    return table


def _figures_of(row: Mapping[str, Any]) -> str:
    """A family's own figures."""
    given = [f"{name} = {value:.6g}" for name, value in row["severity"].items() if name != "family"]
    return f"{row['family']}: {', '.join(given)}"


# ── form ─────────────────────────────────────────────────────────────────────────────────────────


class _Money:
    """Money in one currency."""

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self.unit = currency or "the scenario's currency"

    def show(self, value: float | str | None, digits: int = 0) -> str:
        if value is None or isinstance(value, str):
            return _unbounded(value)
        return full_money(value, self.currency, digits)


def _percent(value: float, digits: int = 1) -> str:
    return exact_percent(value, digits)


def _figure(value: float | str | None) -> str:
    return _unbounded(value) if value is None or isinstance(value, str) else f"{value:.3f}".replace("-", "−")


def _unbounded(value: str | None) -> str:
    return UNKNOWN if value is None else "−infinite" if value == "-inf" else "infinite"


def _toml(calibration: Mapping[str, Any]) -> str:
    """The segment as a scenario file has it."""
    figures = (f'{n} = "{v}"' if isinstance(v, str) else f"{n} = {v!r}" for n, v in calibration["severity"].items())
    return f"p_user = {calibration['p_user']:g}\nseverity = {{ {', '.join(figures)} }}"
