"""Who gains and who loses under each design: a verdict on each in words, then a table of its parties."""

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...contracts.budget import Waterfall
from ...contracts.design import STATUS_QUO, designs_from, status_quo
from ...contracts.exclusion import rule_from
from ...settlement.compare import comparison_json
from ..figure import UNKNOWN, Figure, amount, chance, exact_amount, is_alike, people, percent, percentage
from ..tables import Page, Rows, Table
from . import Kind
from .shared import simulated, teller, too_few, with_origin

LEAST_TOLD_SHARE = 0.005
"""Share of the risk from which a verdict mentions a party."""

_MOST_PARTIES = 3
_FEWEST = 10
"""Replicates below which no spread is told."""

_TOO_FAR = 5.0
"""Standard errors between a simulated and an exact figure that chance does not explain."""


class Party(NamedTuple):
    """One party's year under one design, at one population and threshold: scalars of a comparison."""

    name: str
    cell: xr.Dataset
    currency: str

    def value(self, name: str) -> float:
        """A figure as a number; NaN where it is not there, or too few years were simulated to tell a spread."""
        unspread = self.cell.attrs["replicates"] < _FEWEST and name.startswith(("sd_", "worst_", "risk_"))
        return math.nan if name not in self.cell or unspread else float(self.cell[name])

    def money(self, name: str) -> Figure:
        """Money with its error."""
        return amount(self.value(name), self.value(f"{name}_se"), self.currency)

    def share(self, name: str) -> Figure:
        """A fraction with its error; of a chance that was never seen, or always, the 95% bound."""
        value, error = self.value(name), self.value(f"{name}_se")
        if is_alike(error) or not name.startswith("p_"):
            return percent(value, error)
        unseen = float(self.cell.attrs["unseen_bound"])
        bounds = (1 - unseen, unseen) if value in (0.0, 1.0) else (math.nan, math.nan)
        return chance(value, error, bounds)

    @property
    def expected(self) -> Figure:
        """The expected surplus: exact where that is known, else simulated."""
        return self._known("exact_surplus", "expected_surplus")

    @property
    def difference(self) -> Figure:
        """The same less that under the first design."""
        return self._known("exact_difference", "surplus_difference")

    def _known(self, exact: str, drawn: str) -> Figure:
        known = self.value(exact)
        return self.money(drawn) if math.isnan(known) else exact_amount(known, self.currency)

    @property
    def risk(self) -> float:
        """Share of the risk, 0 where it is not known."""
        share = self.value("risk_share")
        return 0.0 if math.isnan(share) else share


class Settled(NamedTuple):
    """One design at one population and threshold."""

    design: str
    label: str
    """The design's name, with its rule where it was swept over several thresholds."""
    parties: tuple[Party, ...]
    cell: xr.Dataset


def settled_at(compared: xr.Dataset, size: int = -1) -> Iterator[Settled]:
    """Each design, at each threshold that it was swept over, at one population."""
    place = next((dim for dim in ("population_size", "unit") if dim in compared.dims), None)
    chosen = compared if place is None else compared.isel({place: size})
    for design in chosen["design"].values:
        one = chosen.sel(design=design)
        placed = _by_threshold(one)
        for cell in placed:
            if parties := tuple(_present(cell)):
                yield Settled(str(design), _label(compared, str(design), cell, len(placed) > 1), parties, cell)


def _by_threshold(one: xr.Dataset) -> list[xr.Dataset]:
    """A design at each threshold that it was swept over; once where it has a threshold of its own."""
    if "threshold" not in one["expected_surplus"].dims:
        return [one]
    own = "design_threshold" in one.coords and not math.isnan(float(one["design_threshold"]))
    return [one.isel(threshold=at) for at in ([-1] if own else range(one.sizes["threshold"]))]


def _present(cell: xr.Dataset) -> Iterator[Party]:
    """The parties that take part: those with anything to their name."""
    worst = cell.sel(quantile_level=0.05) if 0.05 in cell["quantile_level"].values else cell.isel(quantile_level=0)
    currency = str(cell.attrs.get("currency", ""))
    for name in cell["party"].values:
        party = worst.sel(party=name)
        figures = ("expected_payment", "expected_cost_borne", "expected_surplus", "sd_surplus")
        if any(float(party[figure]) for figure in figures):
            yield Party(str(name), party, currency)


def _label(compared: xr.Dataset, design: str, cell: xr.Dataset, several: bool) -> str:
    if not several:
        return design
    raw = {one["name"]: one["exclusion"] for one in json.loads(compared.attrs.get("designs", "[]"))}
    return f"{design}, {rule_from(raw[design]).label(float(cell['threshold']), teller(compared))}"


def page(compared: xr.Dataset) -> Page:
    """The comparison of designs at the largest population."""
    from ...analysis.designs.exact_comparison import with_exact

    compared = with_exact(compared)
    known, designs = compared.attrs, list(settled_at(compared))
    largest = designs[0].cell.coords.get("population_size")
    where = "" if largest is None else f" at {people(float(largest))} people"
    accounts = [_account(one) for one in designs if one.design in _with_transfers(compared)]
    tables = [
        *(_table(one, compared) for one in designs),
        *accounts,
        *_outlook(compared),
        *_affordable(compared),
        _saving(designs),
        _withheld(designs),
        _events(compared),
        _protection(compared),
        _services(compared),
    ]
    shown = [table for table in tables if table.rows]
    parts: list[Table | str] = [f"Each party's year{where}", *shown, _notes(compared)]
    warnings = [*too_few(known["replicates"]), *_apart(compared)]
    made = simulated(Page(str(known.get("title", "")), verdicts(compared), parts, warnings))
    return with_origin(made, known)


def _apart(compared: xr.Dataset) -> list[str]:
    """A warning where the simulation does not confirm the calculated figures."""
    off = float(compared.attrs.get("exact_check", math.nan))
    told = (
        f"A simulated expected surplus is {off:.1f} standard errors from the exact one: a few years decide it, so "
        "simulate more; if it stays so, one of the two is wrong."
    )
    return [told] if off >= _TOO_FAR else []


def _table(settled: Settled, compared: xr.Dataset) -> Table:
    lost = f"chance of a loss over {percentage(float(compared.attrs['loss_over']))} of revenue"
    exact = any(not math.isnan(party.value("exact_surplus")) for party in settled.parties)
    head = ["party", "average result", *(["simulated"] if exact else []), "standard deviation", "1 year in 20 is below",
            "chance of a loss", lost, "share of risk", f"change from {compared['design'].values[0]}"]  # fmt: skip
    lines: Rows = [
        [
            party.name,
            party.expected,
            *([party.money("expected_surplus")] if exact else []),
            *map(party.money, ("sd_surplus", "worst_surplus")),
            *map(party.share, ("p_loss", "p_loss_over", "risk_share")),
            party.difference,
        ]
        for party in settled.parties
    ]
    first = settled.design == str(compared["design"].values[0])
    shown = slice(-1) if first else slice(None)  # nothing differs from itself
    return Table(head[shown], [line[shown] for line in lines], settled.label)


def _with_transfers(compared: xr.Dataset) -> set[str]:
    return {one["name"] for one in json.loads(compared.attrs.get("designs", "[]")) if one["transfers"]}


def _account(settled: Settled) -> Table:
    """Every line of the parties' accounts; they add up to the average results."""
    cell, currency = settled.cell, settled.parties[0].currency
    names = [party.name for party in settled.parties]
    lines: Rows = []
    for line in cell["line"].values if "expected_line" in cell else ():
        at = cell.sel(line=line, party=names)
        if (at["expected_line"] != 0).any():
            parts = zip(at["expected_line"].values, at["expected_line_se"].values, strict=True)
            lines.append([str(line), *(amount(float(value), float(error), currency) for value, error in parts)])
    return Table(["a year, on average", *names], lines, f"Accounts: {settled.label}")


def _withheld(designs: list[Settled]) -> Table:
    """What is withheld, and what of it comes back."""
    lines: Rows = []
    for one in designs:
        whole = one.parties[0]._replace(cell=one.cell)
        if whole.value("expected_withheld") > 0:
            lines.append([one.label, whole.money("expected_withheld"), whole.money("expected_earned_back")])
    return Table(["design", "withheld a year", "earned back"], lines, "Money withheld until outcomes are known")


def _gap(compared: xr.Dataset) -> xr.Dataset | None:
    """Money and need without the contract, where the scenario says both."""
    from ...runs import scenario_of
    from ...settlement.outlook import outlook

    scenario = scenario_of(compared) if "scenario" in compared.attrs else None
    if scenario is None or scenario.do_nothing is None or not scenario.allocations:
        return None
    return outlook(scenario).isel(population_size=-1)


def _outlook(compared: xr.Dataset) -> list[Table]:
    at, currency = _gap(compared), str(compared.attrs.get("currency", ""))
    if at is None:
        return []
    money = [[exact_amount(float(v), currency) for v in at[name]] for name in ("allocation", "do_nothing_cost", "gap")]
    shares = [percent(float(share), 0.0) for share in at["gap_share"]]
    lines: Rows = [[str(int(year)), *rest] for year, *rest in zip(at["year"].values, *money, shares, strict=True)]
    head = ["contract year", "allocation", "cost if nothing is done", "gap", "share of the allocation"]
    return [Table(head, lines, "The gap if nothing is done")]


def _affordable(compared: xr.Dataset) -> list[Table]:
    """What an affordability waterfall makes of the current spend."""
    currency = str(compared.attrs.get("currency", ""))
    parts = ("current_spend", "saving", "incentive", "payment", "contingency", "provider_budget")
    lines: Rows = []
    for design in designs_from(json.loads(compared.attrs.get("designs", "[]"))):
        if isinstance(budget := design.budget, Waterfall):
            ratio = round(budget.payment / budget.provider_budget, 3)
            lines.append(
                [design.name, *(exact_amount(getattr(budget, part), currency) for part in parts), f"{ratio:.3f}"]
            )
    head = [
        "design",
        "current spend",
        "saving",
        "incentive",
        "payment",
        "contingency",
        "provider's cost",
        "income / cost",
    ]
    return [Table(head, lines, "What is affordable, a year")]


def _saving(designs: list[Settled]) -> Table:
    """Where the savings of the designs themselves fall."""
    lines: Rows = []
    for one in designs:
        whole = one.parties[0]._replace(cell=one.cell)
        if not whole.value("expected_saved") > 0:
            continue
        nobody = (
            [("nobody: cost that stays", whole.money("expected_unsaved"))] if whole.value("expected_unsaved") else []
        )
        parts = [("saved in all", whole.money("expected_saved"))]
        parts += [(party.name, party.money("expected_saving")) for party in one.parties]
        lines += [[one.label, who, share] for who, share in (*parts, *nobody)]
    return Table(["design", "who has it", "a year"], lines, "Where the design's own saving falls", labels=2)


_EVENTS = {"party_limit_bound": "loss limit applied", "gate_missed": "minimum savings rate not reached",
           "withhold_kept": "some of the money withheld was kept"}  # fmt: skip


def _events(compared: xr.Dataset) -> Table:
    lines: Rows = []
    for place in _occurring(compared, "p_triggered"):
        event = str(place.cell["event"].values)
        said = _EVENTS.get(event, event.replace("_", " "))
        lines.append([place.name, said, place.share("p_triggered")])
    return Table(["design", "event", "chance"], lines, "What was triggered", labels=2)


def _protection(compared: xr.Dataset) -> Table:
    name = "expected_protection_cost"
    lines: Rows = [[place.name, place.money(name)] for place in _occurring(compared, name)]
    return Table(["design", "a year"], lines, "Cost of protection beyond the excess it is expected to pay")


def _services(compared: xr.Dataset) -> Table:
    lines: Rows = []
    if "expected_service_cost" in compared:
        of_services = [name for name in compared.data_vars if "service" in compared[name].dims]
        found = compared[of_services].isel(population_size=-1, unit=-1, missing_dims="ignore")
        whole = float(found["expected_service_cost"].sum())
        for name in found["service"].values:
            one = Party(str(name), found.sel(service=name), str(compared.attrs.get("currency", "")))
            share, error = (one.value(f"expected_service_cost{end}") / whole for end in ("", "_se"))
            money = map(one.money, ("expected_service_cost", "sd_service_cost"))
            lines.append([one.name, *money, percent(share, error)])
    head = ["service", "average cost", "standard deviation", "share of all"]
    return Table(head, lines, "Services, before exclusions")


def _occurring(compared: xr.Dataset, name: str) -> Iterator[Party]:
    """The places, at the largest population, at which a figure is above 0, by their design."""
    if name not in compared:
        return
    found = compared[[name, f"{name}_se"]].isel(population_size=-1, unit=-1, missing_dims="ignore")
    for place in np.argwhere(found[name].values > 0):
        cell = found.isel(dict(zip(found[name].dims, place, strict=True)))
        yield Party(str(cell["design"].values), cell, str(compared.attrs.get("currency", "")))


def _notes(compared: xr.Dataset) -> str:
    off, reference = float(compared.attrs["imbalance"]), str(compared["design"].values[0])
    balance = f"{off:.0e} of the budget (rounding)" if 0 < off < 1e-9 else f"{off:.1e} of the budget" if off else "none"
    notes = f"Every design is settled on the same simulated years. Largest imbalance of the accounts: {balance}."
    if math.isfinite(check := float(compared.attrs.get("exact_check", math.nan))):
        notes += (
            "\nAverage results are calculated without simulation where possible; the simulated ones are their check: "
            f"at most {check:.1f} standard errors apart, over all designs, parties and populations."
        )
    raw = json.loads(compared.attrs.get("designs", "[]"))
    if reference == STATUS_QUO and any(one.get("services") is not None for one in raw):
        notes += f"\n{STATUS_QUO!r} pays every service as [[services]] say."
    elif reference == STATUS_QUO and any(one["expresses"] == status_quo().expresses for one in raw):
        notes += f"\n{STATUS_QUO!r} is added for comparison: tariff and block, half of the money in blocks (assumed)."
    return notes


def verdicts(compared: xr.Dataset, most: int = _MOST_PARTIES) -> list[str]:
    """A sentence for each design at the largest population: who carries the risk, and what it means for each party."""
    return [verdict(one, most) for one in settled_at(compared)]


def verdict(settled: Settled, most: int = _MOST_PARTIES) -> str:
    """Who carries the risk under one design."""
    parties = settled.parties
    carrying = sorted((p for p in parties if abs(p.risk) >= LEAST_TOLD_SHARE), key=lambda party: -abs(party.risk))
    if not carrying:
        unknown = any(math.isnan(party.value("risk_share")) for party in parties)
        return f"{settled.label}: {f'who carries the risk is {UNKNOWN}' if unknown else 'nobody carries any risk'}."
    told = [_carries(party) for party in carrying[:most]]
    if len(carrying) > most:
        told.append(f"the rest lies with {', '.join(party.name for party in carrying[most:])}")
    if spared := [party.name for party in parties if abs(party.value("risk_share")) < LEAST_TOLD_SHARE]:
        told.append(f"none, or less than {percentage(LEAST_TOLD_SHARE)}, lies with {', '.join(spared)}")
    return f"{settled.label}: {'; '.join(told)}."


def _carries(party: Party) -> str:
    return (
        f"{party.share('risk_share').brief} of the risk lies with {party.name} (average result {party.expected.brief}; "
        f"{_losing(party)}; 1 year in 20 is below {party.money('worst_surplus').brief})"
    )


def _losing(party: Party) -> str:
    """In how many years there is a loss; a bound where every simulated year went the same way."""
    lost, seen = party.share("p_loss"), party.value("p_loss")
    if 0 < seen < 1:
        return f"a loss in {lost.brief} of years"
    if is_alike(party.value("p_loss_se")):
        return f"a loss in {'every' if seen else 'no'} simulated year"
    return f"chance of a loss {lost.brief}"


def as_json(compared: xr.Dataset) -> dict[str, Any]:
    """The comparison as JSON has it."""
    at = _gap(compared)
    gap = {} if at is None else {"gap": {str(name): at[name].values.tolist() for name in ("year", *at.data_vars)}}
    return comparison_json(compared) | {"verdicts": verdicts(compared)} | gap


KIND = Kind(page, json=as_json)
