"""What a picture needs of a file; each refuses, in one sentence and at once, a file that has it not."""

from __future__ import annotations

from .asked import Asked


def draws(asked: Asked) -> None:
    """A run's draws."""
    asked.ledger  # noqa: B018 - refuses what is no run


def statistics(asked: Asked) -> None:
    """A run's statistics, drawn or exact."""
    if not asked.is_exact:
        draws(asked)


def scenario(asked: Asked) -> None:
    """The scenario."""
    asked.scenario  # noqa: B018 - refuses what has none


def designs(asked: Asked) -> None:
    """Designs, and the one that was asked for."""
    asked.designs  # noqa: B018 - refuses a scenario without


def placed(asked: Asked) -> None:
    """A design with a threshold of its own: the one that was asked for, or any."""
    asked.placed  # noqa: B018 - refuses a scenario without


def sizes(asked: Asked) -> None:
    """Several population sizes, without which there is no curve."""
    if asked.found.sizes.get("population_size", 0) < 2:
        raise asked.refusal("holds one population size alone", "run the scenario with two or more")


def thresholds(asked: Asked) -> None:
    """Several thresholds."""
    if asked.found.sizes.get("threshold", 0) < 2:
        raise asked.refusal("holds one threshold alone", "run the scenario with two or more")


def units(asked: Asked) -> None:
    """Units."""
    if "unit" not in asked.ledger.dims:
        raise asked.refusal("has no units", "add [[population.units]] to the scenario and run it again")


def practices(asked: Asked) -> None:
    """The scenario whose luck the limits are for, and real rows or units that were drawn."""
    if asked.actuals is None:
        draws(asked)
        units(asked)
    scenario(asked)


def settled(asked: Asked) -> None:
    """A settlement, or draws and the designs to settle them by."""
    if "payment" not in asked.found:
        draws(asked)
        designs(asked)


def ranges(asked: Asked) -> None:
    """What `sensitivity` found, or the ranges to ask it about."""
    if "tornado" in asked.found:
        asked.fixed()
        return
    if not asked.scenario.ranges:
        raise asked.refusal("has no ranges", "add [[ranges]] to the scenario, or name what `sensitivity --out` wrote")
    from ..analysis.stress.sensitivity import ranges_of

    ranges_of(asked.scenario)


def stresses(asked: Asked) -> None:
    """What `stress` found, or the stresses and designs to ask it about."""
    if "surplus_difference_share" in asked.found:
        asked.fixed()
        return
    if not asked.scenario.stresses:
        raise asked.refusal("has no stresses", "add [[stresses]] to the scenario, or name what `stress --out` wrote")
    placed(asked)
    from ..analysis.stress.stress import stresses_of

    stresses_of(asked.scenario)


def curves(asked: Asked) -> None:
    """The curves of a fit."""
    if "observed_p_above" not in asked.found:
        raise asked.refusal("holds no curves of a fit", "name a file that `simulator fit --curves` wrote")


def minimum(asked: Asked) -> None:
    """What `size` found."""
    if "exact_minimum_population" not in asked.found:
        raise asked.refusal("holds no smallest population", "name a file that `simulator size --out` wrote")
