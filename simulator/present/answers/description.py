"""What a scenario implies, exactly and before shocks: in words, then tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..figure import UNKNOWN, Cell, Figure, exact_percent, full_money, plain_number
from ..tables import Page, Rows, Table
from ..tidy import stacked, tidy_records
from .shared import NO_EXCLUSION

if TYPE_CHECKING:
    import pandas as pd

EXACT = "Calculated from the distributions, without simulation"
_NAMED = 3  # segments that a shock hits; of more only their number is told


def page(described: Mapping[str, Any]) -> Page:
    """What a scenario implies, with the verdict in words first."""
    money = Money(described.get("currency", ""))
    parts: list[Table | str] = [*tables(described), *_notes(described, money)]
    return Page(described.get("title", "Cost model"), _verdict(described, money), parts)


def tables(described: Mapping[str, Any]) -> list[Table]:
    """The tables of the page: one person's cost, thresholds, segments, shocks and rare services."""
    money = Money(described.get("currency", ""))
    found = [people_table(described, money), threshold_table(described, money), _segments(described, money)]
    found += [_shocks(described)] if described["shocks"] else []
    return found + ([_rare_services(described, money)] if described["rare_services"] else [])


def long_rows(described: Mapping[str, Any], **known: object) -> pd.DataFrame:
    """What a scenario implies, as a long table."""
    unit = _units(f"{described.get('currency') or 'money'} per person and year")
    keys = ("title", "currency", "membership", "years")
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


def _verdict(d: Mapping[str, Any], money: Money) -> list[str]:
    return [
        f"A person costs {money.show(d['mean'])} a year on average; {share(d['zero_share'])} cost nothing, and the "
        f"costliest 5% carry {share(d['top_share']['0.05'])} of cost.",
        _spread(d),
        _explained(d),
        _membership(d, money),
    ]


def _explained(d: Mapping[str, Any]) -> str:
    """What the segments explain; beside what English formulas explain, where the scenario is in pounds."""
    if len(d["segments"]) == 1:
        return "There is one segment: nothing tells beforehand who will be costly."
    told = f"The segments explain {share(d['r_squared'])} of the variance between people."
    if d.get("currency") != "GBP":
        return told
    published = d["published_r_squared"]
    return (
        f"{told} For comparison, of the NHS's formulas age and sex explain {share(published['age and sex'])}, "
        f"diagnoses {share(published['diagnoses'])} (Dixon et al. 2011, England)."
    )


def _spread(d: Mapping[str, Any]) -> str:
    if d["cv"] == "inf":
        return "One person's cost has an infinite variance: only capped cost has a spread."
    return f"One person's cost has a standard deviation of {number(d['cv'])} times its mean."


def _membership(d: Mapping[str, Any], money: Money) -> str:
    taken = f"{money.show(d['variance_between_segments'] ** 0.5)} a head (standard deviation)"
    if d["membership"] == "sampled":
        return f"The case mix is drawn: a budget adjusted for it would take {taken} of spread between segments out."
    return f"The case mix is fixed, as if the budget were adjusted for it: {taken} of spread between segments is out."


def people_table(d: Mapping[str, Any], money: Money) -> Table:
    """What one person costs."""
    rows: Rows = [
        ["mean cost a head", money.show(d["mean"])],
        ["people without cost", share(d["zero_share"])],
        ["standard deviation of one person's cost", money.show(d["sd"])],
        ["coefficient of variation", number(d["cv"])],
    ]
    rows += [[f"share of cost of the costliest {float(q):.0%}", share(part)] for q, part in d["top_share"].items()]
    rows.append(["share of cost of the cheaper half", share(d["bottom_half_share"])])
    return Table(["figure", "value"], rows, "One person's annual cost")


def threshold_table(d: Mapping[str, Any], money: Money) -> Table:
    """What lies above each threshold, and what is kept below it."""
    above = ["people above", "cost above", "one person's variance above"]
    head = ["threshold", *above, "mean kept", "cv kept", "R² of segments"]
    rows: Rows = []
    for row in d["thresholds"]:
        beyond: list[Cell] = ["nobody", "nothing", "nothing"]
        if row["threshold"] != "inf":
            parts = share(row["p_above"], digits=3), share(row["share_of_cost_above"], digits=2)
            beyond = [*parts, share(row["share_of_variance_above"])]
        kept = [money.show(row["mean_below"]), number(row["cv"]), share(row["r_squared"])]
        rows.append([_threshold(row, money), *beyond, *kept])
    shown = slice(None) if len(d["segments"]) > 1 else slice(-1)
    return Table(head[shown], [row[shown] for row in rows], "Effect of a cap on one person's annual cost")


def _threshold(row: Mapping[str, Any], money: Money) -> str:
    amount = row["threshold"]
    shown = "by segment" if amount is None else NO_EXCLUSION if amount == "inf" else str(money.show(amount))
    return shown if row["percentile"] is None else f"percentile {100 * row['percentile']:.6g} ({shown})"


def _segments(d: Mapping[str, Any], money: Money) -> Table:
    head = ["segment", "people", "cost", "mean a head", "users", "cv", "family", "tail index"]
    rows = [
        [
            row["name"],
            share(row["share_of_people"], digits=2),
            share(row["share_of_cost"], digits=2),
            money.show(row["mean"]),
            share(row["p_user"]),
            number(row["cv"]),
            row["family"],
            "none" if row["tail_index"] == "inf" else number(row["tail_index"]),
        ]
        for row in d["segments"]
    ]
    return Table(head, rows, "Segments")


def _shocks(d: Mapping[str, Any]) -> Table:
    head = ["shock", "cv"]
    rows: Rows = [[shock["name"], share(shock["cv"])] for shock in d["shocks"]]
    together: list[Cell] = ["together", share(d["shock_cv"])]
    if any("probability" in shock or shock.get("segments") for shock in d["shocks"]):
        head, together = [*head, "comes", "hits"], [*together, "", ""]
        for row, shock in zip(rows, d["shocks"], strict=True):
            some = "probability" in shock and f"{share(shock['probability'])} of years: cost {100 * shock['by']:+.3g}%"
            row += [some or "every year", _whom(d, shock)]
    return Table(head, [*rows, together], "System-wide shocks, not in the figures above")


def _whom(d: Mapping[str, Any], shock: Mapping[str, Any]) -> str:
    hit = shock.get("segments") or ()
    if len(hit) <= _NAMED:
        return ", ".join(hit) or "everybody"
    services = " and rare services" if d["rare_services"] else ""
    return f"{len(hit)} of {len(d['segments']) + len(d['rare_services'])} segments{services}"


def _notes(d: Mapping[str, Any], money: Money) -> Iterator[str]:
    if years := d.get("years"):
        yield f"Figures are of contract year 1, of years {years[0]} to {years[-1]}; `simulator years` compares them."
    if not d["shocks"]:
        yield "No shocks: all variation is luck."
    if pairs := d["shock_correlations"]:
        told = "; ".join("'{}' with '{}' {:+g}".format(*pair["between"], pair["value"]) for pair in pairs)
        yield f"Correlations of the shocks' normal scores: {told}."
    if doubt := d.get("parameter_sets"):
        yield (
            f"{doubt['number']} parameter sets: a mean of {money.show(doubt['mean'])} over them, standard deviation "
            f"{money.show(doubt['mean_sd'])}; all other figures are the central ones."
        )
    yield f"{EXACT} and before shocks. Money is {money.unit} for one person and one year."


def _rare_services(d: Mapping[str, Any], money: Money) -> Table:
    head = ["rare service", "per 100,000", "mean price", "cost a head", "paid by the budget"]
    rows: Rows = [
        [
            row["name"],
            f"{row['rate_per_100k']:g}",
            money.show(row["mean_price"]),
            money.show(row["cost_a_head"], digits=2),
            "yes" if row["in_scope"] else "no",
        ]
        for row in d["rare_services"]
    ]
    totals: Rows = [
        [f"together, {words}", "", "", money.show(d[key], digits=2), ""]
        for key, words in (("rare_cost_in_scope", "in scope"), ("rare_cost_out_of_scope", "out of scope"))
    ]
    return Table(head, [*rows, *totals], "Rare services, not in the figures above")


class Money:
    """Money in one currency."""

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self.unit = currency or "the scenario's currency"

    def show(self, value: float | str | None, digits: int = 0) -> Figure:
        if value is None or isinstance(value, str):
            return Figure(*_unbounded(value), unit=self.currency)
        return full_money(value, self.currency, digits)


share = partial(exact_percent, digits=1)
"""A fraction as a percentage."""


def number(value: float | str | None) -> Figure:
    """A bare number of three decimals."""
    if value is None or isinstance(value, str):
        return Figure(*_unbounded(value), unit="number")
    return plain_number(value, ".3f")


def _unbounded(value: str | None) -> tuple[float, str]:
    if value is None:
        return math.nan, UNKNOWN
    return (-math.inf, "−infinite") if value == "-inf" else (math.inf, "infinite")
