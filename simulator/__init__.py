"""Capitation risk: how much of next year's health-care cost is luck, and who should carry it.

The flow, in one direction::

    scenario.toml → Scenario → cost model → engine → ledger → contracts → analysis → present

Public names are loaded when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

logging.getLogger(__name__).addHandler(logging.NullHandler())

if TYPE_CHECKING:
    from .analysis.by_target import minimum_by_target as minimum_by_target
    from .analysis.describe import describe as describe
    from .analysis.detection import detection as detection
    from .analysis.exact import exact as exact
    from .analysis.exact_curve import exact_curve as exact_curve
    from .analysis.exact_settlement import exact_settlement as exact_settlement
    from .analysis.exceedance import exceedance as exceedance
    from .analysis.fan import fan as fan
    from .analysis.funnel import funnel as funnel
    from .analysis.layers import layers as layers
    from .analysis.luck import luck as luck
    from .analysis.minimum import minimum_population as minimum_population
    from .analysis.minimum_rate import load_minimum_rate as load_minimum_rate
    from .analysis.pricing import compare_rules as compare_rules
    from .analysis.pricing import fair_price as fair_price
    from .analysis.published import beside_published as beside_published
    from .analysis.reverse import reverse_stress as reverse_stress
    from .analysis.sensitivity import sensitivity as sensitivity
    from .analysis.statistics import summarise as summarise
    from .analysis.stress import stress as stress
    from .analysis.systematic import variance_by_source as variance_by_source
    from .analysis.viable import viable_terms as viable_terms
    from .analysis.viable import viable_threshold as viable_threshold
    from .base import SimulatorError as SimulatorError
    from .contracts.actuals import load_designs as load_designs
    from .contracts.actuals import settle_actuals as settle_actuals
    from .contracts.compare import compare as compare
    from .contracts.design import Design as Design
    from .contracts.exclusion import Banded as Banded
    from .contracts.exclusion import Cap as Cap
    from .contracts.exclusion import CarveOut as CarveOut
    from .contracts.exclusion import Coinsure as Coinsure
    from .contracts.payoff import payoff as payoff
    from .contracts.settle import settle as settle
    from .costs.calibrate import calibrate as calibrate
    from .costs.fit import fit as fit
    from .costs.fit import fit_bands as fit_bands
    from .costs.fit import model_population as model_population
    from .ledger import by_unit as by_unit
    from .ledger import merge as merge
    from .ledger import open_ledger as open_ledger
    from .ledger import retained_cost as retained_cost
    from .ledger import save as save
    from .present import plots as plots
    from .present.show import table as table
    from .runs import extend as extend
    from .runs import simulate as simulate
    from .scenario import Scenario as Scenario
    from .scenario import load as load
    from .stresses import load_stresses as load_stresses

_HOMES = {
    "Banded": ".contracts.exclusion",
    "Cap": ".contracts.exclusion",
    "CarveOut": ".contracts.exclusion",
    "Coinsure": ".contracts.exclusion",
    "Design": ".contracts.design",
    "Scenario": ".scenario",
    "SimulatorError": ".base",
    "beside_published": ".analysis.published",
    "by_unit": ".ledger",
    "calibrate": ".costs.calibrate",
    "compare": ".contracts.compare",
    "compare_rules": ".analysis.pricing",
    "describe": ".analysis.describe",
    "detection": ".analysis.detection",
    "exact": ".analysis.exact",
    "exact_curve": ".analysis.exact_curve",
    "exact_settlement": ".analysis.exact_settlement",
    "exceedance": ".analysis.exceedance",
    "extend": ".runs",
    "fair_price": ".analysis.pricing",
    "fan": ".analysis.fan",
    "fit": ".costs.fit",
    "fit_bands": ".costs.fit",
    "funnel": ".analysis.funnel",
    "layers": ".analysis.layers",
    "load": ".scenario",
    "load_designs": ".contracts.actuals",
    "load_minimum_rate": ".analysis.minimum_rate",
    "load_stresses": ".stresses",
    "luck": ".analysis.luck",
    "merge": ".ledger",
    "minimum_by_target": ".analysis.by_target",
    "minimum_population": ".analysis.minimum",
    "model_population": ".costs.fit",
    "open_ledger": ".ledger",
    "payoff": ".contracts.payoff",
    "plots": ".present.plots",
    "retained_cost": ".ledger",
    "reverse_stress": ".analysis.reverse",
    "save": ".ledger",
    "sensitivity": ".analysis.sensitivity",
    "settle": ".contracts.settle",
    "settle_actuals": ".contracts.actuals",
    "simulate": ".runs",
    "stress": ".analysis.stress",
    "summarise": ".analysis.statistics",
    "table": ".present.show",
    "variance_by_source": ".analysis.systematic",
    "viable_terms": ".analysis.viable",
    "viable_threshold": ".analysis.viable",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(_HOMES[name], __name__)
    found = home if name == "plots" else getattr(home, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
