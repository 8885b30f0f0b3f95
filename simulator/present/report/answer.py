"""The answer first: one sentence, with its uncertainty."""

from typing import NamedTuple

from ...contracts.exclusion import Cap
from ..answers.comparison import verdicts
from ..answers.places import qualifying
from ..answers.shared import ends, figure_of, people_enough, rule_names
from ..figure import DIGITS_NOTE, people, percentage
from .gather import Contents, teller
from .sections import minimum_told

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
    said = [carried(contents), "".join(part.text for part in answer(contents))]
    return " ".join(filter(None, said))


def how_read(contents: Contents) -> str:
    """How the figures of the answer came about."""
    return f"From {contents.summary.attrs['replicates']:,} simulated years. {DIGITS_NOTE}"


def _how_large(contents: Contents) -> tuple[Part, ...]:
    target, sizes = contents.target, contents.summary["population_size"].values
    parts = [Part(f"To keep the chance of {target.overspend} at or below {percentage(target.at_most)}: ")]
    for at, rule in _ends(contents):
        parts += [Part("; ")] if len(parts) > 1 else []
        number = minimum_told(contents, target.margin, at)
        parts += [Part(f"{rule}, "), Part(people_enough(number, int(sizes[0]), int(sizes[-1])), strong=True)]
    budget = ", if the budget is the expected cost" if contents.designs else ""
    return (*parts, Part(f"{budget}. Interpolated between the sizes simulated."))


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
        parts += [Part(str(figure_of(cell.isel(threshold=at), "p_overspend", contents.currency)), strong=True)]
        parts += [Part(f" {rule}")]
    return (*parts, Part("."))
