"""What pages of several kinds share: the names of rules, smallest populations in words, and where figures come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ...contracts.exclusion import NO_EXCLUSION as NO_EXCLUSION
from ...contracts.exclusion import Cap, rule_of
from ...thresholds import At, is_share
from ..figure import Figure, amount, chance, exact_percent, money_text, note, pence, people, percent, rounded
from ..tables import Page, Table

if TYPE_CHECKING:
    import xarray as xr

CALCULATED = "Calculated without simulation."
_FEW = 100


def threshold_label(threshold: float, unit: str, currency: str) -> str:
    """A threshold: money, or a percentile."""
    return At.of(threshold, unit).told(partial(money_text, currency=currency))


def teller(answer: xr.Dataset) -> Callable[[float], str]:
    """How a threshold of an answer is told."""
    unit, currency = str(answer["threshold"].attrs.get("units", "")), str(answer.attrs.get("currency", ""))
    return lambda threshold: threshold_label(threshold, unit, currency)


class RuleName(NamedTuple):
    """What is done at one threshold, in the words of the rule itself."""

    label: str
    """cap £25k"""
    sentence: str
    """with each patient's cost capped at £25k"""

    @property
    def opening(self) -> str:
        """The sentence's part, to begin with."""
        return self.sentence[:1].upper() + self.sentence[1:]


def rule_names(answer: xr.Dataset) -> list[RuleName]:
    """What is done at each threshold of a Dataset, under the rule that it holds for."""
    rule, told = rule_of(answer.attrs), teller(answer)
    thresholds = [float(one) for one in answer["threshold"].values.ravel()]
    return [RuleName(rule.label(one, told), rule.sentence(one, told)) for one in thresholds]


def rules(answer: xr.Dataset) -> list[str]:
    """What is done at each threshold of a Dataset: heads of columns."""
    return [name.label for name in rule_names(answer)]


def rule_head(answer: xr.Dataset) -> str:
    """The head of a column of rules."""
    return "cap on a patient's cost" if isinstance(rule_of(answer.attrs), Cap) else "rule"


def each(answer: xr.Dataset, dim: str) -> Iterator[xr.Dataset]:
    """An answer at each place of a dim."""
    return (answer.isel({dim: position}) for position in range(answer.sizes[dim]))


def ends(count: int) -> list[int]:
    """The last position, and the first where that is another: no cap, and the lowest."""
    return list(dict.fromkeys((count - 1, 0)))


def place_of(answer: xr.Dataset) -> str:
    """The dim that names the populations."""
    return "unit" if "unit" in answer.dims else "population_size"


def place_label(place: str, value: Any) -> Figure | str:
    """A population: its people, or a unit's name."""
    return people(float(value)) if place == "population_size" else str(value)


def figure_table(summary: xr.Dataset, name: str, title: str, **at: float) -> Table:
    """One figure by population (rows) and threshold (columns); exact where that is known."""
    place = place_of(summary)
    cells = summary.sel(at).transpose(place, "threshold", ...)
    rows = [
        [place_label(place, at_place[place].item()), *(figure_cell(cell, name) for cell in each(at_place, "threshold"))]
        for at_place in each(cells, place)
    ]
    return Table(["people" if place == "population_size" else place, *rules(summary)], rows, title)


def figure_cell(cell: xr.Dataset, name: str) -> Figure:
    """One figure of one cell; exact where that is known."""
    known = float(cell["exact_sd"] / cell["exact_mean"]) if name == "cv" and "exact_sd" in cell else math.nan
    return exact_percent(known) if math.isfinite(known) else figure_of(cell, name)


def figure_of(cell: xr.Dataset, name: str, currency: str = "") -> Figure:
    """One figure of an answer with its error: a chance of an overspend, a share, or in a currency money."""
    value, error = float(cell[name]), float(cell[f"{name}_se"])
    if name == "p_overspend":
        return chance(value, error, cell["p_overspend_interval"].values)
    is_money = currency and not is_share(cell[name].attrs.get("units"))
    return amount(value, error, currency) if is_money else percent(value, error)


def minimum_population(answer: xr.Dataset, position: int, largest: int, smallest: int) -> Figure:
    """One smallest population with its 95% interval, rounded outwards; 0 and infinity lie beyond those simulated."""
    value = float(answer["minimum_population"].isel(threshold=position))
    low, high = (float(bound) for bound in answer["minimum_population_interval"].isel(threshold=position).values)

    def said(number: float, rounding: Callable[[float], float] = round) -> str:
        if math.isinf(number):
            return f"over {people(largest)}"
        if number == 0:
            return f"{people(smallest)} or fewer"
        step = 10.0 ** (math.floor(math.log10(number)) - 1)
        return str(people(rounding(number / step) * step))

    beside = f"({said(low, math.floor)} to {said(high, math.ceil)})"
    if value == 0:
        beside = "" if high == 0 else f"({'perhaps' if math.isinf(high) else 'up to'} {said(high, math.ceil)})"
    elif math.isinf(value):
        beside = "" if math.isinf(low) else f"(at least {said(low, math.floor)})"
    return Figure(value, said(value), beside, unit="people", interval=(low, high), basis="drawn")


def people_enough(number: Figure, smallest: int, largest: int, interval: str = "95% interval: ") -> str:
    """How many people are enough, as the end of a sentence."""
    told = f" ({interval}{number.within})" if number.within else ""
    if number.value == 0:
        return f"{people(smallest)} people, the smallest size tried, are already enough{told}"
    if math.isinf(number.value):
        return f"not even {people(largest)} people, the largest size tried, are enough{told}"
    return f"{number.text} people are enough{told}"


def to_three(number: float) -> Figure:
    """People that were estimated, to three figures."""
    return people(rounded(number, 3))


def price_line(price: xr.Dataset | None) -> str:
    """What each cap costs a head and year: the expected excess, and with the loading of a pool."""
    if price is None:
        return ""
    currency, pool = price.attrs["currency"], people(price.attrs["pool_members"])
    rows = zip(rules(price), price["expected_excess_pmpy"].values, price["price_pmpy"].values, strict=True)
    told = [f"{n} {pence(e, currency)} ({pence(p, currency)})" for n, e, p in rows if n != NO_EXCLUSION]
    loaded = f"with {price.attrs['k']:g} standard deviation for a pool of {pool} people"
    return f"Price of each cap, expected excess per head and year ({loaded}): {'; '.join(told)}."


def provenance(known: Mapping[str, Any]) -> str:
    """Replicates (of a fit: rows), seed, scenario and version, as far as the attributes of an answer tell them."""
    parts = []
    if "replicates" in known:
        count = int(known["replicates"])
        parts.append(f"{count:,} simulated year{'s' if count > 1 else ''}")
    elif "rows" in known:
        parts.append(f"fitted to {int(known['rows']):,} rows")
    elif "banded_people" in known:
        parts.append(f"fitted to bands of {int(known['banded_people']):,} people")
    elif known.get("method") == "exact":
        parts.append("calculated without simulation")
    for key, told in (("seed", "seed {}"), ("scenario_id", "scenario {:.8}"), ("simulator_version", "simulator {}")):
        if key in known:
            parts.append(told.format(known[key]))
    return " · ".join(parts)


def too_few(replicates: int) -> list[str]:
    """A warning where so few years were simulated that the errors themselves are rough."""
    told = (
        f"Only {replicates:,} years were simulated: enough to look at the tables, not to answer the question; the "
        "errors themselves are rough. Simulate 1,000 or more."
    )
    return [told] if replicates < _FEW else []


def not_asked(known: Mapping[str, Any]) -> list[str]:
    """A note on the designs that an answer leaves out; none where it is about all."""
    names = known.get("left_out")
    return [f"Left out because they have no threshold of their own: {names}. Give each `at`."] if names else []


def simulated(page: Page) -> Page:
    """A page with a line on how its simulated figures are to be read."""
    return replace(page, parts=[*page.parts, note()])


def with_origin(page: Page, known: Mapping[str, Any]) -> Page:
    """A page whose last line says where its figures come from, and whose first where they are not exact after all."""
    doubts = [str(known["doubt"])] if known.get("doubt") else []
    return replace(page, parts=[*page.parts, provenance(known)], warnings=[*doubts, *page.warnings])
