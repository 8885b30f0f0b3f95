"""Each party's surplus against cost as a share of the budget, without draws."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ..figure import Figure, exact_percent, percentage
from ..tables import Cell, Page, Table
from . import Kind


def page(payoffs: xr.Dataset) -> Page:
    """Each party's surplus against cost / budget, exact for given cost: a share of the budget."""
    verdict, tables = [], []
    for design in payoffs["design"].values:
        one = payoffs.sel(design=design)
        parties = [str(name) for name in one["party"].values if abs(one["surplus"].sel(party=name)).max() > 0]
        shown = one.isel(cost_ratio=_rows_shown(one))
        own = [_NOBODY] if _has_own_cost(one) else []
        rows: list[list[Cell]] = [
            [_ratio(ratio, one["cost_ratio"].values), *(_share(shown, name, ratio) for name in (*parties, *own))]
            for ratio in shown["cost_ratio"].values
        ]
        verdict += [_payoff_sentence(str(design), one, [*parties, *own])]
        title = f"{design}: surplus of each party as a share of the budget"
        tables.append(Table(["cost / budget", *parties, *own], rows, title))
    unborne = f" {_UNBORNE}" if _has_own_cost(payoffs) else ""
    return Page("", verdict, [*tables, f"{_EXACT}{unborne}"])


_NOBODY = "nobody here"
_MOST_RATIOS = 13
_BESIDE = 1e-6
"""How close to each other the two sides of a jump are, at most."""
_EXACT = (
    "Calculated without simulation: the budget, quality and each party's part of the activity are as expected. What "
    "moves them, such as the luck of past years in a budget, is in the shares of risk of a simulation."
)
_UNBORNE = (
    "'nobody here': the part of a change of cost that no party carries within the year, because part of a party's own "
    "cost is fixed (variable_share below 1) or people come from outside; with it each row adds up."
)


def _rows_shown(one: xr.Dataset) -> list[int]:
    """Of the whole per cents so many as make a table of about a dozen rows, with both ends and where this one bends."""
    ratios = one["cost_ratio"].values
    whole = [k for k, ratio in enumerate(ratios) if abs(ratio - round(ratio, 2)) < _BESIDE / 100]
    shares = (one["surplus"] / one["budget"]).transpose("cost_ratio", "party").values
    return sorted(set(whole[:: max(1, -(-len(whole) // _MOST_RATIOS))]) | {0, len(ratios) - 1} | _bends(ratios, shares))


def _bends(ratios: np.ndarray, shares: np.ndarray) -> set[int]:
    """Where shares are not on the straight line between their neighbours; at a jump both sides."""
    before, here, after = ratios[:-2], ratios[1:-1], ratios[2:]
    way = ((here - before) / (after - before))[:, None]
    off = np.abs(shares[1:-1] - shares[:-2] - way * (shares[2:] - shares[:-2])).max(axis=1)
    return {int(k) + 1 for k in np.flatnonzero(off > _BESIDE)}


def _ratio(ratio: float, ratios: np.ndarray) -> str:
    """A ratio as a per cent; the far side of a jump is named by the jump."""
    twin = next((other for other in ratios if 0 < abs(other - ratio) < _BESIDE), ratio)
    if abs(ratio - round(ratio, 8)) <= abs(twin - round(twin, 8)):
        return str(percentage(float(ratio)))
    return f"just {'above' if ratio > twin else 'below'} {percentage(float(twin))}"


def _has_own_cost(payoffs: xr.Dataset) -> bool:
    return "own_cost" in payoffs and bool((abs(payoffs["own_cost"]) > 1e-9 * abs(payoffs["budget"])).any())


def _payoff_sentence(design: str, one: xr.Dataset, parties: Sequence[str]) -> str:
    ratios = one["cost_ratio"].values
    told = []
    for ratio in (ratios[-1], ratios[0]):
        kept = ", ".join(f"{party} {_share(one, party, ratio)}" for party in parties)
        told.append(f"at a cost of {percentage(float(ratio))} of the budget {kept}")
    return f"{design}: {'; '.join(told)} of the budget."


def _share(payoffs: xr.Dataset, party: str, ratio: float) -> Figure:
    at = payoffs.sel(cost_ratio=ratio)
    amount = at["own_cost"] if party == _NOBODY else at["surplus"].sel(party=party)
    share = float(amount) / float(payoffs["budget"])
    return exact_percent(share if abs(share) > 1e-9 else 0.0, sign=True)


KIND = Kind(page, over=("design", "cost_ratio", "party"))
