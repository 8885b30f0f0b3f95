"""What a design does, in a sentence: who carries the risk, and what that means to him, each figure with its error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..contracts.exclusion import rule_from
from .text import AS_DRAWN, amount, chance, exact_amount, is_as_drawn, percent, threshold_label

Row = Mapping[str, Any]

LEAST_TOLD_SHARE = 0.005
"""Share of the risk from which a verdict mentions a party."""

FIGURES_OF_EXACT = 4
"""Significant figures of an exact sum on a page."""

_MOST_PARTIES = 3
_FEWEST = 10
"""Replicates below which no spread is told."""


def verdicts(
    compared: Mapping[str, Any], currency: str, figures: int | None = None, most: int = _MOST_PARTIES
) -> list[str]:
    """A sentence for each design at the largest population.

    Parameters
    ----------
    compared : mapping
        From `comparison_json`.
    currency : str
        ISO 4217 code.
    figures : int, optional
        Significant figures at most; as many as the errors allow without it.
    most : int
        Parties that are named.

    Returns
    -------
    list of str
        Money per year. What is "drawn" and has no ± was the same in every draw, and need not be exact.
    """
    designs = by_design(compared, rows_told(compared), currency)
    return [_verdict(name, rows, currency, figures, most) for name, rows in designs.items()]


def rows_told(compared: Mapping[str, Any]) -> list[Row]:
    """The rows at the largest population, without what too few populations cannot tell."""
    largest = max(row["population_size"] for row in compared["rows"])
    bound = {"unseen_bound": compared["unseen_bound"]}
    rows: list[Row] = [{**row, **bound} for row in compared["rows"] if row["population_size"] == largest]
    return [_unspread(row) for row in rows] if compared["replicates"] < _FEWEST else rows


def by_design(compared: Mapping[str, Any], rows: Sequence[Row], currency: str) -> dict[str, list[Row]]:
    """Rows by the name of their design, with its rule at each threshold where it was swept over several."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(_design(compared, row, rows, currency), []).append(row)
    return found


def number(value: Any) -> float:
    """A figure of a row, as it was before it became JSON."""
    return math.nan if value is None else math.inf if value == "inf" else float(value)


def row_amount(row: Row, name: str, currency: str, figures: int | None = None) -> str:
    """Money of a row with its error."""
    return amount(number(row[name]), number(row[f"{name}_se"]), currency, figures)


def row_expected(row: Row, currency: str, figures: int | None = None) -> str:
    """A party's expected surplus: exact where that is known, else simulated."""
    known = number(row.get("exact_surplus"))
    if math.isnan(known):
        return row_amount(row, "expected_surplus", currency, figures)
    return exact_amount(known, currency, figures or FIGURES_OF_EXACT)


def row_difference(row: Row, currency: str) -> str:
    """The same less that of the first design."""
    known = number(row.get("exact_difference"))
    if math.isnan(known):
        return row_amount(row, "surplus_difference", currency)
    return exact_amount(known, currency, FIGURES_OF_EXACT)


def row_chance(row: Row, name: str, figures: int | None = None) -> str:
    """A fraction of a row with its error; the bound of a chance that was never seen in the draws, or always."""
    value, se = number(row[name]), number(row[f"{name}_se"])
    if is_as_drawn(se) or not name.startswith("p_") or "unseen_bound" not in row:
        return percent(value, se, figures=figures)
    return chance(value, se, (1 - row["unseen_bound"], row["unseen_bound"]), figures)


def _unspread(row: Row) -> Row:
    """A row without how far the surplus is spread, and who carries that."""
    return {name: math.nan if name.startswith(("sd_", "worst_", "risk_")) else value for name, value in row.items()}


def _design(compared: Mapping[str, Any], row: Row, rows: Sequence[Row], currency: str) -> str:
    swept = len({number(each.get("threshold")) for each in rows if each["design"] == row["design"]}) > 1
    if not swept:
        return str(row["design"])
    rule, unit = rule_from(compared["exclusions"][row["design"]]), compared["threshold_unit"]
    label = rule.label(number(row["threshold"]), lambda one: threshold_label(one, unit, currency))
    return f"{row['design']}, {label}"


def _verdict(design: str, rows: Sequence[Row], currency: str, figures: int | None, most: int) -> str:
    carrying = sorted((row for row in rows if abs(_risk(row)) >= LEAST_TOLD_SHARE), key=lambda row: -abs(_risk(row)))
    if not carrying:
        unknown = any(math.isnan(number(row["risk_share"])) for row in rows)
        return f"{design}: {'who carries the risk is not estimable' if unknown else 'nobody carries any risk'}."
    told = [_carries(row, currency, figures) for row in carrying[:most]]
    if len(carrying) > most:
        told.append("the rest on others")
    return f"{design}: {'; '.join(told)}."


def _carries(row: Row, currency: str, figures: int | None) -> str:
    share, as_drawn = row_chance(row, "risk_share", figures), f" {AS_DRAWN}"
    drawn = " drawn" if share.endswith(as_drawn) else ""
    return (
        f"{share.removesuffix(as_drawn)} of the risk{drawn} is on {row['party']} (expects "
        f"{row_expected(row, currency, figures)}, loses in {_losing(row, figures)}, one year in 20 "
        f"is worse than {row_amount(row, 'worst_0.05', currency, figures)})"
    )


def _losing(row: Row, figures: int | None) -> str:
    """In how many years; in words where every year that was drawn went the same way."""
    if is_as_drawn(number(row["p_loss_se"])):
        return "every year drawn" if number(row["p_loss"]) else "no year drawn"
    told = row_chance(row, "p_loss", figures).replace("< ", "less than ").replace("> ", "more than ")
    return f"{told} of years"


def _risk(row: Row) -> float:
    share = number(row["risk_share"])
    return 0.0 if math.isnan(share) else share
