"""The answer first: one sentence, with its uncertainty."""

from __future__ import annotations

from typing import NamedTuple

from ...settlement.compare import comparison_json
from ..text import enough_already, minimum_population, people
from ..verdicts import verdicts
from .gather import Contents
from .names import figure, percentage, threshold_sentences
from .rounding import FIGURES, in_words

_MOST_DESIGNS = 3
"""Designs of which the answer speaks."""


class Part(NamedTuple):
    """A piece of the sentence; the figures of it are strong."""

    text: str
    strong: bool = False


def answer(contents: Contents) -> tuple[Part, ...]:
    """How large the population must be; where there is one population only, how often its year overspends."""
    return _how_large(contents) if contents.has_sizes else _how_often(contents)


def carried(contents: Contents) -> str:
    """Who carries the risk under the designs that are not there to compare with; nothing without designs."""
    if contents.compared is None:
        return ""
    compared = contents.compared.isel({dim: -1 for dim in ("threshold",) if dim in contents.compared.dims})
    here = slice(contents.own_design, contents.own_design + _MOST_DESIGNS)
    chosen = compared.isel(design=here, population_size=[-1])
    told = verdicts(comparison_json(chosen), contents.currency, FIGURES, most=2 if chosen.sizes["design"] == 1 else 1)
    swept = [design.name for design in contents.designs[here] if not design.exclusion.fixed_thresholds()]
    rules = dict.fromkeys(contents.rule_of(name, -1) for name in swept)
    rule = f" ({', '.join(rules)})" if rules else ""
    return f"Who carries the risk, among {people(float(chosen['population_size'][0]))} people{rule}? {' '.join(told)}"


def answer_text(contents: Contents) -> str:
    """The answer as plain text."""
    said = [carried(contents), "".join(part.text for part in answer(contents))]
    return " ".join(filter(None, said))


def how_read(contents: Contents) -> str:
    """How the figure of the answer came about."""
    drawn = f"{contents.summary.attrs['replicates']:,} synthetic populations"
    if contents.has_sizes:
        error = " ± is one standard error;" if contents.designs else ""
        return f"From {drawn};{error} intervals are rounded outwards."
    return f"From {drawn}; ± is one standard error."


def minimum_told(contents: Contents, margin: float, position: int) -> str:
    """The smallest population and its interval, for one margin and threshold."""
    sizes = contents.summary["population_size"].values
    return minimum_population(contents.minimum(margin), position, int(sizes[-1]), int(sizes[0]))


def _how_large(contents: Contents) -> tuple[Part, ...]:
    told = [(minimum_told(contents, contents.target.margin, at), name) for at, name in _ends(contents)]
    (first, *others), target = told, contents.target
    start = f"For {target.overspend} to have a chance of at most {percentage(target.at_most)}, "
    parts = [Part(start if enough_already(first[0]) else f"{start}a contract needs "), *_number(*first)]
    for one in others:
        parts += [Part("; "), *_number(*one)]
    budget = "; its budget is the expected cost, whatever a design sets" if contents.designs else ""
    return (*parts, Part(f", as read off the simulated sizes{budget}."))


def _number(said: str, rule: str) -> tuple[Part, ...]:
    if enough := enough_already(said):
        number, _, rest = enough.partition(" ")
        return Part(number, strong=True), Part(f" {rest} {rule}")
    number, _, interval = said.partition(" (")
    bracket = f" (95% interval: {interval}" if interval else ""
    return Part(number, strong=True), Part(f" people{bracket} {rule}")


def _ends(contents: Contents) -> list[tuple[int, str]]:
    """The highest threshold in words, and the lowest where that is another one."""
    last = len(contents.thresholds) - 1
    said = threshold_sentences(contents.ledger)
    return [(at, said[at]) for at in dict.fromkeys((last, 0))]


def _how_often(contents: Contents) -> tuple[Part, ...]:
    cell = contents.summary.isel(population_size=0).sel(margin=contents.target.margin)
    size = people(float(contents.summary["population_size"][0]))
    parts = [Part(f"Among {size} people, the chance of {contents.target.overspend} is ")]
    for at, rule in _ends(contents):
        parts += [Part("; ")] if len(parts) > 1 else []
        told = in_words(figure(cell.isel(threshold=at), "p_overspend", contents.currency))
        parts += [Part(told, strong=True)]
        parts += [Part(f" {rule}")]
    return (*parts, Part(" (± is one standard error, “below” and “above” give a 95% bound)."))
