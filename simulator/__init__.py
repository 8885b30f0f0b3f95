"""Capitation risk: how much of next year's health-care cost is luck, and who should carry it.

The flow, in one direction::

    scenario.toml → Scenario → cost model → engine → ledger → contracts → analysis → present

Public names are loaded when they are first used, so that importing the package is quick. Each stands once, below, under
the job it does; `JOBS` and `__all__` are read from there.
"""

from __future__ import annotations

import ast
import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())

if TYPE_CHECKING:
    """build"""
    from .scenario import load as load
    from .scenario import Scenario as Scenario
    from .analysis.statistics.describe import describe as describe
    from .analysis.years import persistence as persistence
    from .errors import SimulatorError as SimulatorError

    """draw"""
    from .runs import simulate as simulate
    from .ledger import merge as merge
    from .ledger import save as save
    from .ledger import open_ledger as open_ledger
    from .ledger import retained_cost as retained_cost
    from .analysis.statistics.summary import summarise as summarise
    from .analysis.statistics.exact_years import year_covariance as year_covariance
    from .analysis.statistics.pooled import pool_years as pool_years
    from .analysis.statistics.exact import exact as exact

    """size"""
    from .analysis.size.minimum import minimum_population as minimum_population
    from .analysis.size.grid import minimum_by_target as minimum_by_target
    from .analysis.luck.systematic import exact_curve as exact_curve
    from .analysis.size.published import beside_published as beside_published
    from .analysis.size.viable import viable_threshold as viable_threshold
    from .analysis.luck.systematic import variance_by_source as variance_by_source

    """cut"""
    from .contracts.exclusion import Cap as Cap
    from .contracts.exclusion import Coinsure as Coinsure
    from .contracts.exclusion import CarveOut as CarveOut
    from .analysis.designs.pricing import fair_price as fair_price
    from .analysis.designs.pricing import compare_rules as compare_rules

    """share"""
    from .contracts.design import Design as Design
    from .contracts.budget import PerHead as PerHead
    from .settlement.settle import settle as settle
    from .settlement.compare import compare as compare
    from .settlement.payoff import payoff as payoff
    from .analysis.designs.over_years import over_years as over_years
    from .analysis.designs.exact_settlement import exact_settlement as exact_settlement
    from .settlement.actuals import settle_actuals as settle_actuals
    from .analysis.designs.minimum_rate import load_minimum_rate as load_minimum_rate
    from .analysis.designs.detection import detection as detection
    from .analysis.designs.layers import layers as layers
    from .analysis.designs.propose import propose as propose

    """stress"""
    from .analysis.stress.stress import stress as stress
    from .stresses import load_stresses as load_stresses
    from .analysis.stress.reverse import reverse_stress as reverse_stress
    from .analysis.stress.sensitivity import sensitivity as sensitivity
    from .analysis.stress.sweep import sweep as sweep
    from .analysis.luck.luck import luck as luck
    from .analysis.spread.spread import spread as spread
    from .analysis.spread.backtest import backtest as backtest

    """fit"""
    from .fitting.fit import fit as fit
    from .costs.calibrate import calibrate as calibrate

    """show"""
    from .present.show import table as table
    from .analysis.luck.exceedance import exceedance as exceedance
    from .analysis.luck.exceedance import fan as fan
    from .analysis.luck.funnel import funnel as funnel
    from .present import plots as plots


def _face() -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Public names by the job they do, and the home of each, from the imports above."""
    with open(__file__, encoding="utf-8") as source:
        block = next(part for part in ast.parse(source.read()).body if isinstance(part, ast.If))
    jobs: dict[str, tuple[str, ...]] = {}
    homes: dict[str, str] = {}
    job = ""
    for part in block.body:
        if isinstance(part, ast.ImportFrom):
            names = tuple(alias.name for alias in part.names)
            jobs[job] += names
            homes |= dict.fromkeys(names, f".{part.module}")
        elif isinstance(part, ast.Expr):
            job = ast.literal_eval(part.value)
            jobs[job] = ()
    return jobs, homes


JOBS, _HOMES = _face()

__all__ = [name for names in JOBS.values() for name in names]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import_module(".present.term_html", __name__)  # so that a notebook shows every term
        home = import_module(_HOMES[name], __name__)
        found = getattr(home, name, None) or import_module(f".{name}", home.__name__)  # or a room
        globals()[name] = found
        return found
    if not name.startswith("_"):
        from .deprecated import NAMES, name_left

        if name in NAMES:
            return getattr(import_module(name_left(name), __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
