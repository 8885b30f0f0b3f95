"""One question on one page: how large, which places qualify, what caps cost, who carries what, what would break it."""

import math
from typing import Any

import xarray as xr

from ..figure import UNKNOWN, Figure, amount, exact_amount, exact_chance, exact_percent, pence, people, percentage
from ..tables import Cell, Code, Page, Table
from ..tidy import kept, plain, record
from . import Kind
from .places import chance_told, places_json, places_table, qualifying
from .shared import NO_EXCLUSION, RuleName, each, ends, rule_head, rule_names, rules, simulated, to_three, with_origin

_KEPT = (
    "title", "currency", "margin", "at_most", "pool_members", "method", "replicates", "seed", "draws_version",
    "scenario_id", "simulator_version",
)  # fmt: skip

_LONG_PATH = 30


def page(answer: xr.Dataset, source: str = "SCENARIO") -> Page:
    """The whole answer; `source` is the file of the next command."""
    known, last = answer.attrs, answer.isel(threshold=-1)
    margin, at_most = percentage(known["margin"]), percentage(known["at_most"])
    names = rule_names(answer)
    asked = f"For a chance of at most {at_most} of overspending by more than {margin} of the expected cost"
    told = "; ".join(_needed(names[at], answer.isel(threshold=at)) for at in ends(len(names)))
    parts: list[Table | str] = [_how_large(answer)]
    verdict = [f"{asked}: {told}."]
    if "qualifies" in answer:
        verdict.append(qualifying(answer, names))
        parts.append(places_table(answer))
    parts.append(_caps(answer))
    if "p_loss" in answer:
        parts.append(_contracts(answer))
    parts.append("\n".join(_breaks(last, names[-1])))
    # a long path would be wider than a narrow terminal
    file = source if len(source) <= _LONG_PATH else "SCENARIO"
    following = f"simulator run {file} --margin {margin} \\\n    --at-most {at_most} --out results/run.nc"
    parts += ["Next: simulate the years themselves, then write the report for a board:"]
    parts += [Code(f"{following}\nsimulator report results/run.nc -o results/report.html")]
    made = Page(str(known.get("title", "")), verdict, parts)
    return with_origin(made if known["method"] == "exact" else simulated(made), known)


def _central(cell: xr.Dataset) -> xr.Dataset:
    """The scenario itself, with all of its risk."""
    return cell.sel(tail="central").isel(risk=-1)


def _needed(name: RuleName, cell: xr.Dataset) -> str:
    cell = _central(cell)
    number = float(cell["minimum_population"])
    if math.isinf(number):
        return f"{name.sentence}, no population that was tried is large enough"
    smallest = people(cell.attrs["smallest"])
    return f"{name.sentence}, {f'{smallest} people or fewer' if number == 0 else f'{to_three(number)} people'}"


def _size(cell: xr.Dataset) -> Figure:
    """People, with the interval where they were simulated."""
    number, exactly = float(cell["minimum_population"]), bool(cell["calculated"])
    low, high = (float(end) for end in cell["minimum_population_interval"].values)
    made = to_three(number)
    if math.isinf(number):
        return Figure(number, "none is enough", unit="people")
    if number == 0:
        return Figure(number, f"{people(cell.attrs['smallest'])} or fewer", unit="people")
    if exactly:
        return made
    beside = f"({to_three(low)} to {'no limit' if math.isinf(high) else to_three(high)})"
    return Figure(number, made.text, beside, unit="people", interval=(low, high), basis="drawn")


def _how_large(answer: xr.Dataset) -> Table:
    rows: list[list[Cell]] = [
        [str(tail), str(risk), *(_size(cell) for cell in each(answer.sel(tail=tail, risk=risk), "threshold"))]
        for tail in answer["tail"].values
        for risk in answer["risk"].values
    ]
    return Table(["tail", "risk", *rules(answer)], rows, "How large: smallest population", labels=2)


def _caps(answer: xr.Dataset) -> Table:
    rows: list[list[Cell]] = []
    for label, cell in zip(rules(answer), each(answer, "threshold"), strict=True):
        price, loading = float(cell["price_per_head"]), float(cell["loading"])
        bare = label == NO_EXCLUSION or (price == 0 and math.isnan(loading))
        spread: Cell = "none" if bare else UNKNOWN if math.isnan(loading) else exact_percent(loading, 1)
        rows.append([label, pence(price, answer.attrs["currency"]), spread, _size(_central(cell))])
    pool = people(answer.attrs["pool_members"])
    title = f"Caps: expected cost beyond each per head and year, and what a pool of {pool} people adds for its own luck"
    head = [rule_head(answer), "price per head", "loading, 1 standard deviation", "smallest population"]
    return Table(head, rows, title)


def _contracts(answer: xr.Dataset) -> Table:
    currency = answer.attrs["currency"]
    rows: list[list[Cell]] = []
    for design in answer["design"].values:
        for party in answer["party"].values:
            cell = answer.sel(design=design, party=party)
            surplus, error = float(cell["expected_surplus"]), float(cell["expected_surplus_se"])
            if not math.isnan(surplus):
                said = exact_amount(surplus, currency) if error == 0 else amount(surplus, error, currency)
                rows.append([str(design), str(party), said, chance_told(cell, "p_loss")])
    size = people(answer.attrs["pool_members"])
    title = f"Contracts: what each party may expect in a year, at {size} people; chances of a loss are simulated"
    return Table(["contract", "party", "expected surplus", "chance of a loss"], rows, title, labels=2)


def _breaks(last: xr.Dataset, name: RuleName) -> list[str]:
    """What would break the answer: a shock that no size removes, and a heavier tail."""
    margin, at_most, told = percentage(last.attrs["margin"]), percentage(last.attrs["at_most"]), []
    alone = float(_central(last)["systematic_alone"])
    if last.sizes["risk"] > 1:
        told.append(
            f"What would break it: shocks alone overspend by more than {margin} in {exact_chance(alone)} of years, "
            f"{name.sentence}, whatever the size; above {at_most} no population is large enough."
        )
    sizes = last.isel(risk=-1)["minimum_population"]
    worst = sizes.isel(tail=int(sizes.values.argmax()))
    if str(worst["tail"].values) != "central":
        number = float(worst)
        size = "no population that was tried is large enough" if math.isinf(number) else f"{to_three(number)} people"
        told.append(f"With the {worst['tail'].values} tail, {size}, {name.sentence}.")
    return told or ["What would break it: a shock that hits everybody at once; this answer has none."]


def as_json(answer: xr.Dataset) -> dict[str, Any]:
    """Rows by part: `how_large`, `places`, `caps` and `contracts`."""
    sized = [
        {"tail": str(tail), "risk": str(risk)}
        | record(cell, "threshold", "minimum_population", "systematic_alone")
        | {"interval": plain(cell["minimum_population_interval"].values.tolist()), "exact": bool(cell["calculated"])}
        for tail in answer["tail"].values
        for risk in answer["risk"].values
        for cell in each(answer.sel(tail=tail, risk=risk), "threshold")
    ]
    caps = [
        record(cell, "threshold", "price_per_head", "loading") | record(_central(cell), "minimum_population")
        for cell in each(answer, "threshold")
    ]
    figures = ("expected_surplus", "expected_surplus_se", "p_loss", "p_loss_se")
    designs = each(answer, "design") if "p_loss" in answer else ()
    parties = (party for design in designs for party in each(design, "party"))
    return kept(answer, _KEPT) | {
        "how_large": sized,
        "places": places_json(answer) if "qualifies" in answer else [],
        "caps": caps,
        "contracts": [record(one, "design", "party", *figures) for one in parties if one["expected_surplus"].notnull()],
    }


KIND = Kind(page, json=as_json)
