"""The answer first: luck, shocks and tails in one sentence, every contract's price and chances, and what to do next."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import xarray as xr

from ...contracts.exclusion import Cap
from ..answers.comparison import settled_at, verdicts
from ..answers.places import qualifying
from ..answers.shared import NO_EXCLUSION, ends, figure_of, people_enough, provenance, rule_names, to_three
from ..figure import DIGITS_NOTE, exact_chance, money, people, percentage
from ..tables import Rows, Table
from .gather import Contents, teller
from .sections import at_threshold, minimum_told
from .terms import contract_pays

_MOST_DESIGNS = 3
"""Designs of which the answer speaks."""


class Part(NamedTuple):
    """A piece of the sentence; the figures of it are strong."""

    text: str
    strong: bool = False


def answer(contents: Contents) -> tuple[Part, ...]:
    """How large the population must be; where there is one population only, how often its year overspends."""
    told = _how_large(contents) if contents.has_sizes else _how_often(contents)
    if contents.judged is None:
        return told
    return (*told, Part(f" {qualifying(contents.judged, rule_names(contents.judged))}"))


def carried(contents: Contents) -> str:
    """Who carries the risk under the designs that are not there to compare with; nothing without designs."""
    if contents.compared is None:
        return ""
    here = slice(contents.own_design, contents.own_design + _MOST_DESIGNS)
    chosen = contents.compared.isel(threshold=-1, missing_dims="ignore").isel(design=here, population_size=[-1])
    told = verdicts(chosen, most=chosen.sizes["party"] if chosen.sizes["design"] == 1 else 2)
    swept = [design.name for design in contents.designs[here] if not design.exclusion.fixed_thresholds()]
    rules = dict.fromkeys(contents.rule_of(name, -1) for name in swept)
    rule = f" ({', '.join(rules)})" if rules else ""
    left = contents.designs[here.stop :]
    others = f" Also settled, in the tables below: {', '.join(design.name for design in left)}." if left else ""
    size = people(float(chosen["population_size"][0]))
    return f"Who carries the risk, among {size} people{rule}? {' '.join(told)}{others}"


def answer_text(contents: Contents) -> str:
    """The answer as plain text."""
    said = ["".join(part.text for part in answer(contents)), carried(contents)]
    return " ".join(filter(None, said))


def how_read(contents: Contents) -> str:
    """How the figures of the answer came about."""
    known = ""
    if contents.by_tail is not None:
        title = contents.by_tail.attrs.get("title")
        of = "" if title in (None, contents.summary.attrs["title"]) else f" (of “{title}”)"
        known = f" Figures by risk and tail{of} are calculated without simulation."
    return f"From {contents.summary.attrs['replicates']:,} simulated years. {DIGITS_NOTE}{known}"


def byline(contents: Contents) -> str:
    """Who wrote the report, when its years were simulated, and with what."""
    known = contents.summary.attrs
    try:
        made = datetime.fromisoformat(str(known.get("created_at")))
        dated = [f"Simulated on {made.day} {made:%B %Y}"]
    except ValueError:
        dated = []
    author = [f"Prepared by {contents.author}"] if contents.author else []
    first = ["contract year 1, but for the sections on all years"] if contents.several_years else []
    return " · ".join([*author, *dated, *first, provenance(known)])


def contract_table(contents: Contents) -> Table:
    """Contracts × cost × chance, at the largest population: what each pays, and each party's year under it."""
    assert contents.compared is not None
    size, rows = float(contents.summary["population_size"][-1]), Rows()
    for settled in settled_at(at_threshold(contents.compared, -1)):
        pays = contract_pays(contents, settled.design)
        for party in settled.parties:
            figures = party.expected, party.money("worst_surplus"), party.share("p_loss")
            told = [replace(one, text=one.brief, beside="") for one in figures]
            told.append(replace(party.share("risk_share"), beside=""))  # in full: the shares add to 100%
            rows.append([settled.design, party.name, contents.rule_of(settled.design, -1), *pays, *told])
    head = ["Contract", "Party", "Cap on a patient’s cost", "Contract pays a year", "a head", "Average result"]
    title = f"Contracts: what each pays, and what each party may expect, at {people(size)} people"
    return Table([*head, "1 year in 20 is below", "Chance of a loss", "Share of the risk"], rows, title, labels=2)


def tail_table(contents: Contents) -> Table:
    """The answer by tail and risk at the last threshold."""
    found = contents.by_tail
    assert found is not None
    risks = [str(one) for one in found["risk"].values]
    rows: Rows = [
        [str(tail), *(_cell_told(contents, found.sel(tail=tail, risk=risk)) for risk in risks)]
        for tail in found["tail"].values
    ]
    asked = "Smallest population" if contents.has_sizes else f"Chance of {contents.target.overspend}"
    note = "Calculated without simulation. Tails agree on the published share of the costliest, not on the rest."
    title = f"{asked}, {contents.thresholds[-1]}, by tail and risk"
    return Table(["Tail of the costs", *risks], rows, title, note=note)


def next_steps(contents: Contents) -> Iterator[str]:
    """What to do next, as far as the report can tell."""
    scenario, target = contents.scenario, contents.target
    if contents.judged is not None:
        alone = contents.judged["qualifies"].isel(threshold=-1)
        small = [str(name) for name, meets in zip(alone["unit"].values, alone.values, strict=True) if not meets]
        if small:
            named = f"{', '.join(small[:6])}{f' and {len(small) - 6} more' if len(small) > 6 else ''}"
            yield f"Join places that are too small by themselves, or cap what one patient may cost them: {named}."
    if contents.designs:
        yield "Ask each party whether it could bear its 1 year in 20; one that could not needs a limit or a cap."
    else:
        yield "Write down the contract (budget, cap, shares, limits): the report then shows who gains and who loses."
    if not scenario.get("shocks"):
        yield "Add system-wide shocks, such as prices: without any, all of this is luck alone."
    else:
        yield "Set the size of the shocks from your own past years: they matter most for a large population."
    if not scenario.get("variants"):
        yield "Try a heavier tail of costs: summary figures do not show it, and without a cap it can double the answer."
    if contents.thresholds[-1] == NO_EXCLUSION and len(contents.thresholds) > 1:
        kept, whole = contents.summary.isel(population_size=-1)["mean_cost"].values[[0, -1]]
        paid = money(float(whole - kept), contents.currency, figures=2)
        yield f"Agree who pays for what a cap takes out: with {contents.thresholds[0]}, {paid} a year on average."
    yield f"Agree that a {percentage(target.at_most)} chance of {target.overspend} is acceptable before quoting a size."


def _cell_told(contents: Contents, cell: xr.Dataset) -> str:
    """A smallest population, or a chance, by tail and risk."""
    if not contents.has_sizes:
        return str(exact_chance(float(cell["p_overspend"])))
    number = float(cell["minimum_population"])
    if math.isinf(number):
        return "no number of people is enough"
    return f"{to_three(number)} people" if number else f"{people(cell.attrs['smallest'])} people or fewer"


def _by_tail(contents: Contents) -> list[Part]:
    """Luck, shocks and the heaviest tail, at the last threshold."""
    found = contents.by_tail
    assert found is not None
    name = "minimum_population" if contents.has_sizes else "p_overspend"
    figures = found[name].transpose("tail", "risk").values
    worst = str(found["tail"].values[max(range(len(figures)), key=lambda at: tuple(figures[at][::-1]))])
    parts: list[Part] = []
    for tail in dict.fromkeys(("central", worst)):
        for risk in found["risk"].values:
            told = _cell_told(contents, found.sel(tail=tail, risk=risk))
            of = f"{'luck alone' if risk == 'luck' else risk}{f' with the {tail} tail' if tail != 'central' else ''}"
            parts += [Part("; " if parts else ""), Part(told, strong=True), Part(f" for {of}")]
    return parts


def _how_large(contents: Contents) -> tuple[Part, ...]:
    target, sizes = contents.target, contents.summary["population_size"].values
    parts = [Part(f"To keep the chance of {target.overspend} at or below {percentage(target.at_most)}: ")]
    for at, rule in _ends(contents):
        parts += [Part("; ")] if len(parts) > 1 else []
        if contents.by_tail is not None and at == len(contents.thresholds) - 1:
            parts += [Part(f"{rule}, "), *_by_tail(contents)]
            continue
        number = minimum_told(contents, target.margin, at)
        parts += [Part(f"{rule}, "), Part(people_enough(number, int(sizes[0]), int(sizes[-1])), strong=True)]
    budget = ", if the budget is the expected cost" if contents.designs else ""
    drawn = contents.by_tail is None or len(contents.thresholds) > 1
    return (*parts, Part(f"{budget}.{' Interpolated between the sizes simulated.' if drawn else ''}"))


def _ends(contents: Contents) -> list[tuple[int, str]]:
    """The highest threshold in words, and the lowest where that is another one."""
    thresholds = contents.ledger["threshold"].values
    told = teller(contents.ledger)
    return [(at, Cap().sentence(float(thresholds[at]), told).replace("'", "’")) for at in ends(len(thresholds))]


def _how_often(contents: Contents) -> tuple[Part, ...]:
    cell = contents.summary.isel(population_size=0).sel(margin=contents.target.margin)
    size = people(float(contents.summary["population_size"][0]))
    parts = [Part(f"Among {size} people, the chance of {contents.target.overspend} is ")]
    for at, rule in _ends(contents):
        parts += [Part("; ")] if len(parts) > 1 else []
        if contents.by_tail is not None and at == len(contents.thresholds) - 1:
            parts += [*_by_tail(contents), Part(f", {rule}")]
            continue
        parts += [Part(str(figure_of(cell.isel(threshold=at), "p_overspend", contents.currency)), strong=True)]
        parts += [Part(f" {rule}")]
    return (*parts, Part("."))
